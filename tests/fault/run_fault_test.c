/*
 * Tasks that are started and end while calls fail: whatever it is, the task ends, once, with a model that holds or with
 * words that name the machine and not the user; and a schedule that is due fires once.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/must.h"
#include "os/file.h"
#include "test.h"
#include "world.h"

enum { N_MAX = 1 << 20 };

#define DB_DISK                                                                                                        \
	(KIND(DB_OPEN) | KIND(DB_READ) | KIND(DB_WRITE) | KIND(DB_INDEX) | KIND(DB_SYNC) | KIND(DB_TRUNCATE) |         \
	 KIND(DB_UNLINK))
#define FILES                                                                                                          \
	(KIND(OPEN) | KIND(READ) | KIND(WRITE) | KIND(FSYNC) | KIND(CLOSE) | KIND(RENAME) | KIND(UNLINK) |             \
	 KIND(MKDIR) | KIND(DIR))
#define PROCESS (KIND(PIPE) | KIND(EPOLL) | KIND(CLONE))

/* Of these the engine itself gets over: the end of the task is written when the store takes it. */
static const struct inject_plan store_plans[] = {
	{ .what = "database I/O error once", .kinds = DB_DISK, .sys = EIO },
	{ .what = "database I/O errors for a while", .kinds = DB_DISK, .sys = EIO, .goes_on = true },
	{ .what = "full disk for a while",
	  .kinds = KIND(DB_WRITE) | KIND(DB_TRUNCATE) | KIND(DB_INDEX),
	  .sys = ENOSPC,
	  .goes_on = true },
	{ .what = "no memory once", .kinds = KIND(DB_MEMORY), .sys = ENOMEM },
	{ .what = "no memory for a while", .kinds = KIND(DB_MEMORY), .sys = ENOMEM, .goes_on = true },
};

/* Of these the attempt may fail, and no attempt is made again here. */
static const struct inject_plan file_plans[] = {
	{ .what = "an I/O error", .kinds = FILES, .sys = EIO },
	{ .what = "a full disk", .kinds = FILES & ~(KIND(READ) | KIND(CLOSE) | KIND(DIR)), .sys = ENOSPC },
	{ .what = "no descriptors", .kinds = KIND(OPEN) | KIND(PIPE) | KIND(CLONE) | KIND(DIR), .sys = EMFILE },
	{ .what = "no descriptors for a while",
	  .kinds = KIND(OPEN) | KIND(PIPE) | KIND(CLONE) | KIND(DIR),
	  .sys = EMFILE,
	  .goes_on = true },
	{ .what = "no process", .kinds = PROCESS, .sys = EAGAIN },
	{ .what = "no memory in the kernel", .kinds = PROCESS, .sys = ENOMEM },
	{ .what = "no memory for JSON", .kinds = KIND(JSON_MEMORY), .sys = ENOMEM },
	{ .what = "no memory for JSON for a while", .kinds = KIND(JSON_MEMORY), .sys = ENOMEM, .goes_on = true },
	{ .what = "an interrupted transfer", .kinds = KIND(READ) | KIND(WRITE), .sys = EINTR, .is_invisible = true },
	{ .what = "a short transfer", .kinds = KIND(READ) | KIND(WRITE), .is_invisible = true },
};

/* ---- a gate that children wait at ---- */

static void open_gate(void)
{
	char path[PATH_MAX];
	must(path_join(path, world.dir, "gate", NULL) == RC_OK && file_write(path, "", 0, 0600, NULL) == RC_OK);
}

static void close_gate(void)
{
	char path[PATH_MAX];
	must(path_join(path, world.dir, "gate", NULL) == RC_OK && file_remove(path, NULL) == RC_OK);
}

/* ---- one task ---- */

struct run {
	const char *function;
	char name[32];
	struct task_row task;
};

static bool runs(void *ctx)
{
	struct run *r = ctx;
	struct instance_row i;
	return world_instance(r->function, r->name, &i) && world_task(i.id, 1, &r->task) && r->task.progress == 10;
}

static bool is_over(void *ctx)
{
	struct run *r = ctx;
	struct instance_row i;
	return world_instance(r->function, r->name, &i) && world_task(i.id, 1, &r->task) &&
	       task_state_is_final((enum task_state)r->task.state);
}

static bool was_met(void *ctx) { return inject_fired() > 0 || is_over(ctx); }
static bool was_met_often(void *ctx) { return inject_fired() > 3 || is_over(ctx); }

/* While the fault is armed: until it was met or there is nothing left to meet it; one that goes on, a little longer. */
static int let_it_strike(const struct inject_plan *plan, struct run *r)
{
	(void)world_comes_true(was_met, r);
	if (plan->goes_on)
		(void)world_comes_true_within(200, was_met_often, r);
	return inject_disarm();
}

static void judge_end(const char *what, const struct inject_plan *plan, struct run *r, enum task_state wanted)
{
	struct instance_row i = { .model_sha256 = "", .extend_info = "" };
	struct task_row *t = &r->task;
	bool is_expected = (enum task_state)t->state == wanted;

	must(world_instance(r->function, r->name, &i));
	EXPECT(i.busy_task_id == 0, "%s: the instance stays busy", what);
	EXPECT(is_expected || !plan->is_invisible, "%s: was to go unnoticed: %s %s", what, t->error_code,
	       t->error_message);
	EXPECT((t->state == TASK_SUCCESS) == (i.model_generation == 1), "%s: in service: %lld", what,
	       (long long)i.model_generation);
	EXPECT(t->state != TASK_SUCCESS || strstr(i.extend_info, "\"generation\":1"), "%s: its figures are lost", what);
	EXPECT(is_expected || *t->error_message, "%s: failed without a word", what);
	EXPECT(is_expected || t->fault == FAULT_MACHINE, "%s: the user is blamed: %s %s", what, t->error_code,
	       t->error_message);
}

static int number;

/* Without the keeper, which reads something once a second: the n-th call would be its own now and then, and the one of
 * the task that it stands for would never be met. */
static void start_without_keeper(int max_running)
{
	world_empty();
	world_start(max_running);
	keeper_stop(world.engine);
}

static void prepare(struct run *r, const char *function)
{
	*r = (struct run){ .function = function };
	(void)snprintf(r->name, sizeof r->name, "r%d", number++);
	world_make_instance(function, r->name, "");
}

/* ---- the end of a task ---- */

static bool try_end(const char *function, const struct inject_plan *plan, bool is_kept, int n)
{
	char what[128];
	struct run r;
	enum task_state wanted = strcmp(function, "bad") == 0 ? TASK_FAILED : TASK_SUCCESS;

	(void)snprintf(what, sizeof what, "end of %s, %s at call %d", function, plan->what, n);
	prepare(&r, function);
	close_gate();
	world_make_task(function, r.name);
	must(world_comes_true(runs, &r));
	inject_arm(plan, n);
	open_gate();
	bool is_met = let_it_strike(plan, &r) > 0;
	EXPECT(world_comes_true(is_over, &r), "%s: the task never ends", what);
	world_wait_healthy(what);
	judge_end(what, plan, &r, wanted);
	EXPECT(!is_kept || (enum task_state)r.task.state == wanted, "%s: its end was lost: %s", what,
	       r.task.error_message);
	arena_reset(world.arena);
	return is_met;
}

static void loop_end(const char *function, const struct inject_plan *plan, bool is_kept)
{
	char what[128];
	int n = 1;

	(void)snprintf(what, sizeof what, "end of %s, %s", function, plan->what);
	start_without_keeper(2);
	for (; n < N_MAX && try_end(function, plan, is_kept, n); n = world_step(n))
		continue;
	EXPECT(n < N_MAX, "%s: no end of faults", what);
	if (getenv("FAULT_VERBOSE"))
		printf("# %s: up to call %d\n", what, n);
	world_check(what);
}

static bool is_chosen(const char *what)
{
	const char *only = getenv("FAULT_ONLY");
	return !only || strstr(what, only);
}

TEST(no_end_is_lost_when_the_store_fails)
{
	static const char *const functions[] = { "model", "gated", "bad" };
	size_t n_functions = getenv("STINT_QUICK") ? 1 : ARRAY_LEN(functions);
	for (size_t f = 0; f < n_functions; f++) {
		FOR_EACH_ROW(i, store_plans) {
			if (is_chosen(store_plans[i].what))
				loop_end(functions[f], &store_plans[i], /* is_kept= */ true);
		}
	}
}

TEST(a_model_serves_whole_or_not_at_all_when_files_fail)
{
	FOR_EACH_ROW(i, file_plans) {
		if (is_chosen(file_plans[i].what))
			loop_end("model", &file_plans[i], /* is_kept= */ false);
	}
}

/* ---- the start of a task ---- */

static bool try_start(const struct inject_plan *plan, int n)
{
	char what[128];
	struct run r;

	(void)snprintf(what, sizeof what, "start, %s at call %d", plan->what, n);
	prepare(&r, "model");
	open_gate();
	inject_arm(plan, n);
	world_make_task("model", r.name);
	bool is_met = let_it_strike(plan, &r) > 0;
	EXPECT(world_comes_true(is_over, &r), "%s: the task never ends", what);
	judge_end(what, plan, &r, TASK_SUCCESS);
	arena_reset(world.arena);
	return is_met;
}

TEST(a_task_that_cannot_be_started_ends_in_words)
{
	FOR_EACH_ROW(i, file_plans) {
		int n = 1;
		if (!is_chosen(file_plans[i].what))
			continue;
		start_without_keeper(2);
		for (; n < N_MAX && try_start(&file_plans[i], n); n = world_step(n))
			continue;
		EXPECT(n < N_MAX, "%s: no end of faults", file_plans[i].what);
		if (getenv("FAULT_VERBOSE"))
			printf("# start, %s: up to call %d\n", file_plans[i].what, n);
		world_check(file_plans[i].what);
	}
}

/* ---- a schedule ---- */

static bool has_fired(void *ctx)
{
	struct instance_row i;
	return world_instance("ok", ctx, &i) && i.last_generation > 0;
}

/* The firing is in the batch of a change that meets the fault; it fires with that batch or with a later one. */
static bool try_firing(const struct inject_plan *plan, int n)
{
	char what[128], name[32];
	struct instance_row i;
	struct task_row t;

	(void)snprintf(what, sizeof what, "a firing, %s at call %d", plan->what, n);
	(void)snprintf(name, sizeof name, "r%d", number++);
	world_make_instance("ok", name, "0 3 ? * *");
	world_set_cron("ok", name, clock_wall_ms() - 1000);
	struct instance_update c = { .app_id = world.app_id, .function = "ok", .name = "other", .cron = "0 4 ? * *" };
	inject_arm(plan, n);
	CALL(engine_instance_update, &c);
	bool is_met = inject_disarm() > 0;
	world_wait_healthy(what);
	CALL(engine_instance_update, &c);
	EXPECT(c.base.verdict == V_OK, "%s: asked again: %s", what, c.base.err.msg);
	EXPECT(world_comes_true(has_fired, name), "%s: did not fire", what);
	must(world_instance("ok", name, &i));
	EXPECT(i.last_generation == 1 && i.cron_next_at > clock_wall_ms(), "%s: fired %lld times", what,
	       (long long)i.last_generation);
	EXPECT(world_task(i.id, 1, &t) && strncmp(t.run_id, "scheduled__", 11) == 0, "%s: the task", what);
	arena_reset(world.arena);
	return is_met;
}

TEST(a_schedule_fires_once_whatever_fails)
{
	FOR_EACH_ROW(k, store_plans) {
		int n = 1;
		if (!is_chosen(store_plans[k].what))
			continue;
		start_without_keeper(0);
		world_make_instance("ok", "other", "");
		for (; n < N_MAX && try_firing(&store_plans[k], n); n = world_step(n))
			continue;
		EXPECT(n < N_MAX, "%s: no end of faults", store_plans[k].what);
		if (getenv("FAULT_VERBOSE"))
			printf("# a firing, %s: up to call %d\n", store_plans[k].what, n);
		world_check(store_plans[k].what);
	}
}

/* ---- the keeper ---- */

static bool was_struck(void *ctx)
{
	(void)ctx;
	return inject_fired() > 0;
}

static bool shows_error(void *ctx)
{
	struct store *s = world_store(STORE_READER);
	struct cache_row row;
	must(row_cache(s, WORLD_PROJECT, ctx, world.arena, &row, NULL) == RC_OK);
	store_close(s);
	return strcmp(row.status, "ERROR") == 0;
}

/* The keeper's own connection breaks: it opens another, and sees again that an instance has no process. */
TEST(the_keeper_sees_again_after_a_read_error)
{
	static const struct inject_plan plan = {
		.what = "read errors", .kinds = KIND(DB_READ), .sys = ESTALE, .goes_on = true
	};
	char one[37], two[37];

	world_empty();
	world_start(0);
	world_make_cache("one", one);
	world_set_running(one);
	EXPECT(world_comes_true(shows_error, one), "the keeper is blind from the start");
	world_make_cache("two", two); /* something new to read */
	inject_arm(&plan, 1);
	EXPECT(world_comes_true(was_struck, NULL), "the keeper reads nothing");
	(void)inject_disarm();
	world_wait_healthy("the keeper");
	world_set_running(two);
	EXPECT(world_comes_true(shows_error, two), "the keeper is blind for good");
	world_check("the keeper");
}

int main(void)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	inject_install();
	inject_spare_me();
	setenv("TZ", "UTC", 1);
	tzset();
	world_begin();
	RUN(the_keeper_sees_again_after_a_read_error);
	RUN(a_task_that_cannot_be_started_ends_in_words);
	RUN(a_model_serves_whole_or_not_at_all_when_files_fail);
	RUN(no_end_is_lost_when_the_store_fails);
	RUN(a_schedule_fires_once_whatever_fails);
	world_end();
	return test_failures != 0;
}
