/*
 * copy: a backup taken of the tortured server's folder under its load, restored into a folder of its own, and examined
 * as the original is: with a server, a model of what it must show (twin.h), load, a kill, a restart and an end of all
 * tasks.
 *
 *   RUN/copy/backup/  what `stint backup` made   RUN/copy/data/  what `stint restore` made of it
 *   RUN/copy/journal/ of the copy's tasks        and the logs of the copy's server, backup.txt and restore.txt
 *
 * Threads: the session's.
 */
#ifndef CMD_TORTURE_COPY_H
#define CMD_TORTURE_COPY_H

#include "cmd/torture/load.h"
#include "cmd/torture/session.h"

struct copy {
	struct caches caches; /* of the copy, when the original has some */
	struct session of;    /* the copy's own: its folder is RUN/copy, its model a twin */
	char backup[PATH_MAX], journal[PATH_MAX];
	struct proc proc; /* the backup under way */
	int64_t begun_ms, took_ms;
	bool is_taken; /* the twin has been made */
};

/* Hold the load for a moment to write down what has been acknowledged, then begin the backup beside it. */
enum rc copy_begin(struct copy *c, struct session *s, struct load *l, struct err *err) NODISCARD;
/* After the load: wait for the backup's end, and allow for what was asked since it began. */
enum rc copy_end(struct copy *c, const struct session *s, struct err *err) NODISCARD;
/* When nothing was found so far: restore and examine it under a load like that; spoils: damage the restored data first,
 * to see that it is noticed. Takes the folder away unless something was found. */
struct siege;
enum rc copy_examine(struct copy *c, const struct siege *like, bool spoils, struct err *err) NODISCARD;
/* Made by mem_new; whatever became of it. */
void copy_free(struct copy *c);

#endif
