#include "change.h"

#include <errno.h>
#include <stdlib.h>
#include "base/must.h"
#include "test.h"

enum { N_MAX = 1 << 20 };

#define DB_ALL                                                                                                         \
	(KIND(DB_OPEN) | KIND(DB_READ) | KIND(DB_WRITE) | KIND(DB_INDEX) | KIND(DB_SYNC) | KIND(DB_TRUNCATE) |         \
	 KIND(DB_UNLINK) | KIND(DB_MMAP))

/* Under SQLite, for changes that only touch the store. */
static const struct inject_plan store_plans[] = {
	{ .what = "an I/O error once", .kinds = DB_ALL, .sys = EIO },
	{ .what = "I/O errors from then on", .kinds = DB_ALL, .sys = EIO, .goes_on = true },
	{ .what = "a full disk once", .kinds = KIND(DB_WRITE) | KIND(DB_TRUNCATE) | KIND(DB_INDEX), .sys = ENOSPC },
	{ .what = "a full disk from then on",
	  .kinds = KIND(DB_WRITE) | KIND(DB_TRUNCATE) | KIND(DB_INDEX) | KIND(DB_OPEN),
	  .sys = ENOSPC,
	  .goes_on = true },
	{ .what = "a failing fsync", .kinds = KIND(DB_SYNC), .sys = EIO },
	{ .what = "an interrupted call",
	  .kinds = KIND(DB_READ) | KIND(DB_WRITE) | KIND(DB_OPEN),
	  .sys = EINTR,
	  .is_invisible = true },
	{ .what = "a short write", .kinds = KIND(DB_WRITE), .is_invisible = true },
	{ .what = "no memory once", .kinds = KIND(DB_MEMORY), .sys = ENOMEM },
	{ .what = "no memory from then on", .kinds = KIND(DB_MEMORY), .sys = ENOMEM, .goes_on = true },
	{ .what = "no memory for JSON", .kinds = KIND(JSON_MEMORY), .sys = ENOMEM },
	{ .what = "a full arena", .kinds = KIND(ARENA), .sys = ENOMEM },
};

enum change_state change_both(bool is_first, bool is_second)
{
	return is_first != is_second ? TORN : is_first ? AFTER : BEFORE;
}

enum verdict change_answer(const struct change *c, struct err *err)
{
	*err = c->err;
	return c->verdict;
}

static void judge(const char *what, const struct inject_plan *plan, enum verdict v, const struct err *err,
		  enum change_state left)
{
	/* A full arena may also meet what is done for all changes of a batch together. */
	bool is_memory = plan->kinds & (KIND(JSON_MEMORY) | KIND(DB_MEMORY));
	bool is_full = plan->sys == ENOSPC && !(plan->kinds & KIND(DB_SYNC));

	EXPECT(left != TORN, "%s: half of it is there after %s %s", what, verdict_name(v), err->msg);
	EXPECT(v == V_OK || *err->msg, "%s: %s without a word", what, verdict_name(v));
	switch (v) {
	case V_OK:
		EXPECT(left == AFTER, "%s: acknowledged and not there", what);
		return;
	case V_UNAVAILABLE:
		EXPECT(left == BEFORE, "%s: 'not now', and yet there: %s", what, err->msg);
		break;
	case V_TOO_MANY:
		EXPECT(plan->kinds & KIND(ARENA), "%s: a limit without one: %s", what, err->msg);
		EXPECT(left == BEFORE, "%s: refused, and yet there: %s", what, err->msg);
		break;
	case V_FAILED:
		EXPECT(left == BEFORE || plan->sys == EIO, "%s: failed, and yet there: %s", what, err->msg);
		EXPECT(!is_memory && !is_full, "%s: only not now, but the answer was: %s", what, err->msg);
		break;
	default:
		EXPECT(false, "%s: %s is no answer to a fault: %s", what, verdict_name(v), err->msg);
	}
	EXPECT(!plan->is_invisible, "%s: was to go unnoticed: %s", what, err->msg);
}

/* Number n of this loop; whether the fault was met. */
static bool try_once(const struct change_op *op, const struct inject_plan *plan, int n)
{
	static int number;
	char what[128], name[32];
	struct err err = { 0 };

	(void)snprintf(what, sizeof what, "%s, %s at call %d", op->name, plan->what, n);
	(void)snprintf(name, sizeof name, "i%d", number++);
	op->prepare(name);
	inject_single_out(world.engine->writer);
	inject_arm(plan, n);
	enum verdict v = op->run(name, &err);
	bool is_met = inject_disarm() > 0;
	world_wait_healthy(what);
	judge(what, plan, v, &err, op->look(name));
	/* What was refused for the moment is done when asked again. */
	if (v != V_OK && op->look(name) == BEFORE) {
		v = op->run(name, &err);
		EXPECT(v == V_OK && op->look(name) == AFTER, "%s: asked again: %s %s", what, verdict_name(v), err.msg);
	}
	arena_reset(world.arena);
	return is_met;
}

static void loop(const struct change_op *op, const struct inject_plan *plan)
{
	char what[128];
	int n = 1, met = 0;

	(void)snprintf(what, sizeof what, "%s, %s", op->name, plan->what);
	world_start(0);
	keeper_stop(world.engine); /* it would look at what is only said to run */
	for (; n < N_MAX && try_once(op, plan, n); n = world_step(n))
		met++;
	EXPECT(n < N_MAX, "%s: no end of faults", what);
	EXPECT(met > 0 || (op->kinds == ALL_KINDS && plan->kinds & (KIND(JSON_MEMORY) | KIND(ARENA))),
	       "%s: nothing was made to fail", what);
	if (getenv("FAULT_VERBOSE"))
		printf("# %s: %d faults met\n", what, met);
	world_check(what);
}

static bool is_chosen(const struct change_op *op, const struct inject_plan *plan)
{
	const char *only = getenv("FAULT_ONLY");
	return (op->kinds & plan->kinds) && (!only || strstr(op->name, only) || strstr(plan->what, only));
}

void change_loops(const struct change_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		world_empty();
		FOR_EACH_ROW(k, store_plans) {
			if (is_chosen(&ops[i], &store_plans[k]))
				loop(&ops[i], &store_plans[k]);
		}
	}
}

void change_begin(void)
{
	inject_install();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	inject_spare_me();
	setenv("TZ", "UTC", 1);
	tzset();
	world_begin();
}
