#include "cmd/torture/plan.h"

#include <signal.h>
#include <stdio.h>
#include "base/attr.h"

enum {
	PART_PLAN = -1,
	LOAD_MIN_MS = 60,
	LOAD_SPREAD_MS = 900,
	SETTLE_EVERY = 20,
	STILLBORN_MS = 120,
	CUT_MS = 250,
	FAR_PASSING = 120,
	NEAR_PASSING = 8
};

const char *ending_word(enum ending e)
{
	static const char *const words[] = { "killed", "crash point", "stopped", "cut off" };
	return words[e];
}

bool ending_allows(enum ending e, bool was_up, bool is_armed, int exit_code, int signal)
{
	if (e == ENDING_CUT && was_up && exit_code == 0)
		return true;
	return signal == SIGKILL && (was_up || is_armed);
}

void plan_rng(uint64_t seed, int64_t round, int64_t part, struct rng *out)
{
	uint64_t state = seed;

	state = rng_splitmix64(&state) ^ (uint64_t)round;
	state = rng_splitmix64(&state) ^ (uint64_t)part;
	rng_init(out, rng_splitmix64(&state));
}

/* Half of the time a passing soon after the start: recovery is where a second crash hurts most. */
static void choose_point(struct rng *r, struct plan *p)
{
	static const struct {
		const char *name;
		uint64_t far;
	} points[] = { { "store.before_commit", FAR_PASSING },
		       { "store.after_commit", FAR_PASSING },
		       { "exec.prepared", 12 },
		       { "engine.before_start", 12 },
		       { "engine.before_finish", 12 } };
	size_t k = (size_t)rng_below(r, ARRAY_LEN(points));
	uint64_t spread = rng_below(r, 2) ? NEAR_PASSING : points[k].far;

	(void)snprintf(p->crash, sizeof p->crash, "%s:%llu", points[k].name,
	               (unsigned long long)(1 + rng_below(r, spread)));
}

void plan_make(uint64_t seed, int64_t round, struct plan *out)
{
	struct rng r;
	struct plan p = { .settles = round % SETTLE_EVERY == 0, .stillborn_ms = -1 };

	plan_rng(seed, round, PART_PLAN, &r);
	uint64_t dice = rng_below(&r, 10);
	p.ending = dice < 5 ? ENDING_KILL : dice < 8 ? ENDING_POINT : dice < 9 ? ENDING_CUT : ENDING_STOP;
	p.cut_ms = (int64_t)rng_below(&r, CUT_MS);
	p.load_ms = LOAD_MIN_MS + (int64_t)rng_below(&r, LOAD_SPREAD_MS);
	p.n_child_kills = rng_below(&r, 2) ? (int)rng_below(&r, CHILD_KILLS_MAX + 1) : 0;
	for (int i = 0; i < p.n_child_kills; i++) {
		int64_t from = i ? p.child_kill_ms[i - 1] : 0;
		p.child_kill_ms[i] = from + (int64_t)rng_below(&r, (uint64_t)(p.load_ms - from) + 1);
	}
	if (rng_below(&r, 4) == 0)
		p.stillborn_ms = (int64_t)rng_below(&r, STILLBORN_MS);
	if (p.ending == ENDING_POINT)
		choose_point(&r, &p);
	p.backup_ms = (int64_t)rng_below(&r, (uint64_t)p.load_ms);
	*out = p;
}
