/*
 * tasklog: the file that a child's output goes to, and the bound of its size.
 *
 * The child has the file itself as its descriptors 1 and 2, so that no line passes through us and none is lost with us.
 * Past the limit the middle is dropped (os/gaplog.h), as often as it takes: the file is looked at four times a second,
 * and more often the faster it grows. So between two looks it may be larger than its limit, and is not afterwards.
 * Where that fails for another reason it is tried again with the next look, and the attempt goes on.
 * It is ended (STOP_LOG_FULL) only where the file system cannot drop the middle of a file, or when TASKLOG_MOST
 * bytes were written in all. Then, and only then, a file that is too large at the end is cut there.
 * Threads: the supervisor.
 */
#ifndef EXEC_TASKLOG_H
#define EXEC_TASKLOG_H

#include "exec/child.h"

#define TASKLOG_MOST (INT64_C(1) << 40) /* below what any file system in use can number */

/* Open it for appending, and learn its size. */
enum rc tasklog_open(struct child *c, struct err *err) NODISCARD;
/* The child runs: when to look first. */
void tasklog_begin(struct child *c, const struct host *h);
/* Bound it; due at c->log_check_at. */
void tasklog_check(struct child *c, const struct host *h);
/* The child has ended, or never was: bound it a last time and close it. */
void tasklog_end(struct child *c);

#endif
