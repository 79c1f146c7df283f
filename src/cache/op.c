#include "cache/op.h"

#include <poll.h>
#include "base/clock.h"
#include "base/must.h"

struct op op_start(const struct cache_run *run, int *percent)
{
	must(run->timeout_ms > 0);
	*percent = 0;
	return (struct op){ .run = run, .end_mono = clock_mono_ms() + run->timeout_ms, .percent = percent };
}

struct op op_undo(const struct op *op)
{
	return (struct op){ .run = op->run,
		            .end_mono = clock_mono_ms() + op->run->timeout_ms,
		            .is_undo = true,
		            .percent = op->percent };
}

struct op op_within(const struct op *op, int64_t limit_ms)
{
	struct op part = *op;
	int64_t end = clock_mono_ms() + limit_ms;

	if (part.end_mono > end)
		part.end_mono = end;
	return part;
}

void op_step(const struct op *op, const char *name, int percent)
{
	if (op->is_undo || !op->run->on_step)
		return;
	if (*op->percent < percent)
		*op->percent = percent;
	op->run->on_step(op->run->ctx, name, *op->percent);
}

int64_t op_left_ms(const struct op *op)
{
	int64_t left = op->end_mono - clock_mono_ms();
	return left > 0 ? left : 0;
}

enum rc op_check(const struct op *op, struct err *err)
{
	if (op_left_ms(op) == 0)
		return err_set(err, RC_TIMEOUT, "not finished in time");
	if (!op->is_undo && op->run->should_stop && op->run->should_stop(op->run->ctx))
		return err_set(err, RC_TIMEOUT, "stopped on request");
	return RC_OK;
}

enum rc op_pause(const struct op *op, int ms, struct err *err)
{
	enum rc rc = op_check(op, err);
	if (rc == RC_OK && ms > 0)
		(void)poll(NULL, 0, op_left_ms(op) < ms ? (int)op_left_ms(op) : ms); /* a signal only shortens it */
	return rc;
}
