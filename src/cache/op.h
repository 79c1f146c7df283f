/*
 * op: a running operation: its deadline, its steps, and whether it was asked to stop.
 *
 * Redis tells of no event when a save, a load or a resynchronisation ends; the only way is to ask again. op_pause is
 * the one place that waits in between.
 */
#ifndef CACHE_OP_H
#define CACHE_OP_H

#include "cache/cache.h"

struct op {
	const struct cache_run *run;
	int64_t end_mono;          /* ms */
	bool is_undo;              /* not to be stopped, says no steps */
	int *percent;              /* the last one said; of the operation's own frame */
};

struct op op_start(const struct cache_run *run, int *percent);
/* The same operation while it undoes itself: with as much time again, and deaf to should_stop. */
struct op op_undo(const struct op *op);
/* The operation with an end of its own, at most limit_ms from now. */
struct op op_within(const struct op *op, int64_t limit_ms);
void op_step(const struct op *op, const char *name, int percent);
int64_t op_left_ms(const struct op *op);                           /* >= 0 */
enum rc op_check(const struct op *op, struct err *err) NODISCARD;  /* RC_TIMEOUT */
enum rc op_pause(const struct op *op, int ms, struct err *err) NODISCARD;

#endif
