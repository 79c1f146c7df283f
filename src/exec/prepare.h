/*
 * prepare: what an attempt finds on disk when its program starts: its folder, its orders in it (STINT_TASK), its log.
 * Made before it is known whether it will start, while its claim is being committed; so it can be taken back.
 *
 * Without any fsync: orders need not outlive the attempt, and folders are synced when something in them is to last.
 * Threads: the supervisor.
 */
#ifndef EXEC_PREPARE_H
#define EXEC_PREPARE_H

#include "exec/child.h"

/* Leaves the log open. err is not NULL. On failure nothing of it is wanted any more, and prepare_undo may
 * still be called. */
enum rc prepare_files(struct child *c, struct err *err) NODISCARD;
/* It will not start. Of a first attempt nothing stays; a later one leaves what the earlier ones left. */
void prepare_undo(struct child *c);

#endif
