/*
 * quota: what an attempt may use, and what happens when it uses more.
 *
 * Two nets. The wide one is the kernel's, for each process by itself (quota_of_kernel): it holds what grows faster than
 * anybody looks. The narrow one is measured a few times a second over all processes of the attempt (quota_check): the
 * attempt is asked to end, by the rules of child_stop, and the reason is told in words. Memory, disk, processes and CPU
 * time that go on growing meanwhile to twice their limit are killed without waiting. A program that met the wide net
 * and ended by itself is told as having met its limit too (quota_blame).
 * Threads: the supervisor.
 */
#ifndef EXEC_QUOTA_H
#define EXEC_QUOTA_H

#include "exec/child.h"

/* For its start; its log is open. */
struct proc_limits quota_of_kernel(struct child *c);
bool quota_needs_look(const struct exec_spec *s);
/* In a turn that measures: the family has been looked at. */
void quota_check(struct child *c, const struct host *h);
/* The limit that why names, in words, as a clause. */
void quota_say(const struct child *c, enum stop_why why, char *out, size_t out_size);
/* It has ended, failing, and nobody had asked it to: because of a limit? */
void quota_blame(struct child *c);

#endif
