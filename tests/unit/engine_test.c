/* The engine by itself: real store, real children (shell commands as user functions), no HTTP. */
#include "engine/engine.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/priv.h"
#include "os/calls.h"
#include "os/file.h"
#include "os/proc.h"
#include "sign/hash.h"
#include "test.h"
#include "waiter.h"

static char data_dir[2048];
static struct engine *engine;
static struct engine_view *view;
static struct arena *arena;
static struct app_row app;
static struct retention_rules rules; /* of the next start */
enum { PATIENCE_MS = 60000 }; /* for what comes true at once on a machine that is not busy */

#define CALL(fn, change) CALL_ON(engine, fn, change)

/* ---- fixture ---- */

static void write_manifest(const char *name, const char *script, const char *more)
{
	char path[4200];
	struct buf text;

	(void)snprintf(path, sizeof path, "%s/functions.d", data_dir);
	(void)!dir_make(path, 0700, NULL);
	(void)snprintf(path, sizeof path, "%s/functions.d/%s.json", data_dir, name);
	buf_init(&text, 65536);
	buf_addf(&text, "{\"name\":\"%s\",\"modelType\":\"script\",\"run\":[\"/bin/sh\",\"-c\",\"%s\"]%s}", name,
		 script, more);
	struct err err = { 0 };
	EXPECT(file_replace(path, buf_text(&text), text.len, 0600, &err) == RC_OK, "%s", err.msg);
	buf_fini(&text);
}

static void start(int max_running)
{
	struct engine_config cfg = { .data_dir = data_dir, .self_exe = "/bin/false", .max_running = max_running,
				     .stop_grace_ms = 2000, .retention = rules };
	struct err err = { 0 };
	EXPECT(engine_open(&cfg, &engine, &err) == RC_OK, "%s", err.msg);
	EXPECT(engine_view_open(engine, &view, &err) == RC_OK, "%s", err.msg);
}

static void stop(void)
{
	engine_view_close(view);
	engine_close(engine);
}

static void begin(void)
{
	const char *tmp = getenv("TMPDIR");
	(void)snprintf(data_dir, sizeof data_dir, "%s/stint-engine-XXXXXX", tmp ? tmp : "/tmp");
	EXPECT(mkdtemp(data_dir), "temporary folder");
	arena = arena_new(64 << 20);
	write_manifest("ok", "echo '{\\\"progress\\\":50}' >&3; echo '{\\\"result\\\":{\\\"recall\\\":91}}' >&3", "");
	write_manifest("bad", "exit 3", "");
	write_manifest("die", "kill -9 $$", ",\"maxAttempts\":2");
	write_manifest("hang", "sleep 600", ",\"timeoutSeconds\":1,\"graceSeconds\":1");
	write_manifest("long", "echo '{\\\"checkpoint\\\":\\\"ckpt-1\\\"}' >&3; sleep 600", ",\"graceSeconds\":1");
}

static void end(void)
{
	arena_free(arena);
	EXPECT(dir_remove(data_dir, NULL) == RC_OK, "clean up");
}

static void make_app(void)
{
	struct app_create c = { .row = { .account = "1", .name = "shop", .type = "enhanced", .charge_type = "POSTPAY",
					 .quota = "{}", .tags = "[]" } };
	CALL(engine_app_create, &c);
	EXPECT(c.base.verdict == V_OK, "%s", c.base.err.msg);
	EXPECT(engine_app_get(view, "1", "shop", arena, &app, NULL) == V_OK, "app");
}

static enum verdict make_instance(const char *function, const char *name, const char *cron)
{
	struct instance_create c = { .app_id = app.id, .function = function, .name = name, .model_type = "script",
				     .function_type = "PAAS", .description = "", .cron = cron };
	CALL(engine_instance_create, &c);
	return c.base.verdict;
}

static enum verdict make_task(const char *function, const char *name, int64_t *generation)
{
	struct task_create c = { .app_id = app.id, .function = function, .instance = name };
	CALL(engine_task_create, &c);
	if (generation)
		*generation = c.generation;
	return c.base.verdict;
}

static struct instance_row instance(const char *function, const char *name)
{
	struct instance_row row = { 0 };
	EXPECT(engine_instance_get(view, app.id, function, name, arena, &row, NULL) == V_OK, "instance %s", name);
	return row;
}

/* Until the task has ended or 20 s are over. */
static struct task_row ended(int64_t instance_id, int64_t generation)
{
	struct task_row t = { 0 };
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until;) {
		enum verdict v = engine_task_get(view, instance_id, generation, arena, &t, NULL);
		if (v == V_OK && task_state_is_final((enum task_state)t.state))
			return t;
		usleep(5000);
	}
	return t;
}

static bool has_event(int64_t task_id, const char *kind)
{
	struct event_row *rows;
	size_t n = 0;
	EXPECT(engine_task_events(view, task_id, arena, &rows, &n, NULL) == V_OK, "events");
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rows[i].kind, kind) == 0)
			return true;
	}
	return false;
}

/* ---- tests ---- */

TEST(a_task_runs_and_puts_its_instance_in_service)
{
	int64_t generation = 0;
	begin();
	start(2);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	EXPECT(instance("ok", "one").model_generation == 0, "no model yet");
	EXPECT(make_task("ok", "one", &generation) == V_OK && generation == 1, "generation %lld",
	       (long long)generation);
	struct task_row t = ended(instance("ok", "one").id, 1);
	EXPECT(t.state == TASK_SUCCESS && t.progress == 100, "state %lld: %s", (long long)t.state, t.error_message);
	EXPECT(t.ended_at > t.started_at && t.started_at >= t.created_at, "times");
	EXPECT(strstr(t.result, "91"), "%s", t.result);
	EXPECT(strncmp(t.run_id, "trigger__20", 11) == 0, "%s", t.run_id);
	EXPECT(instance("ok", "one").model_generation == 1 && instance("ok", "one").busy_task_id == 0, "in service");
	EXPECT(make_task("ok", "one", &generation) == V_OK && generation == 2, "next generation");
	t = ended(instance("ok", "one").id, 2);
	EXPECT(t.state == TASK_SUCCESS, "second");
	stop();
	end();
}

TEST(failures_are_classed_and_told)
{
	static const struct {
		const char *function, *code;
		enum task_fault fault;
		int attempts;
	} row[] = {
		{ "bad", "Task.Failed", FAULT_USER, 1 },
		{ "die", "Task.Killed", FAULT_MACHINE, 2 },
		{ "hang", "Task.TimedOut", FAULT_TIMEOUT, 1 },
	};
	begin();
	start(3);
	make_app();
	FOR_EACH_ROW(i, row) {
		EXPECT(make_instance(row[i].function, "x", "") == V_OK, "%s", row[i].function);
		EXPECT(make_task(row[i].function, "x", NULL) == V_OK, "%s", row[i].function);
	}
	FOR_EACH_ROW(i, row) {
		struct task_row t = ended(instance(row[i].function, "x").id, 1);
		EXPECT(t.state == TASK_FAILED, "%s: state %lld", row[i].function, (long long)t.state);
		EXPECT(strcmp(t.error_code, row[i].code) == 0, "%s: %s %s", row[i].function, t.error_code,
		       t.error_message);
		EXPECT(t.fault == row[i].fault && t.attempt == row[i].attempts, "%s: fault %lld attempt %lld",
		       row[i].function, (long long)t.fault, (long long)t.attempt);
		EXPECT(*t.error_message && t.progress < 100, "%s: words", row[i].function);
		EXPECT(row[i].attempts == 1 || t.ended_at - t.started_at >= 1000, "%s: tried again without a pause",
		       row[i].function);
		EXPECT(instance(row[i].function, "x").model_generation == 0, "%s: not in service", row[i].function);
	}
	stop();
	end();
}

TEST(one_unfinished_task_per_instance_and_none_of_them_deletable)
{
	begin();
	start(0); /* paused: tasks stay pending */
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	EXPECT(make_task("ok", "one", NULL) == V_OK, "first");
	EXPECT(make_task("ok", "one", NULL) == V_INSTANCE_BUSY, "E2");
	struct task_delete d = { .app_id = app.id, .function = "ok", .instance = "one", .generation = 1 };
	CALL(engine_task_delete, &d);
	EXPECT(d.base.verdict == V_TASK_UNFINISHED, "E5");
	struct instance_delete i = { .app_id = app.id, .function = "ok", .name = "one" };
	CALL(engine_instance_delete, &i);
	EXPECT(i.base.verdict == V_INSTANCE_BUSY, "instance");
	struct app_remove r = { .account = "1", .identity = "shop" };
	CALL(engine_app_remove, &r);
	EXPECT(r.base.verdict == V_INSTANCE_BUSY, "app");
	stop();
	start(1); /* the same task runs now */
	EXPECT(ended(instance("ok", "one").id, 1).state == TASK_SUCCESS, "ran after the restart");
	stop();
	end();
}

TEST(generations_are_not_reused_after_deletion)
{
	int64_t generation = 0;
	struct task_row t;
	char log[PATH_MAX];
	begin();
	start(1);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	EXPECT(make_task("ok", "one", NULL) == V_OK, "first");
	struct instance_row i = instance("ok", "one");
	EXPECT(ended(i.id, 1).state == TASK_SUCCESS, "ran");
	engine_task_log_path(engine, &i, 1, log);
	EXPECT(file_exists(log), "%s", log);
	struct task_delete d = { .app_id = app.id, .function = "ok", .instance = "one", .generation = 1 };
	CALL(engine_task_delete, &d);
	EXPECT(d.base.verdict == V_OK, "%s", d.base.err.msg);
	CALL(engine_task_delete, &d);
	EXPECT(d.base.verdict == V_NO_TASK, "twice");
	EXPECT(engine_task_get(view, i.id, 1, arena, &t, NULL) == V_NO_TASK, "gone");
	EXPECT(instance("ok", "one").model_generation == 1, "the model stays in service");
	EXPECT(make_task("ok", "one", &generation) == V_OK && generation == 2, "E3: %lld", (long long)generation);
	EXPECT(ended(i.id, 2).state == TASK_SUCCESS, "ran");
	stop();
	EXPECT(!file_exists(log), "the log went with the record");
	end();
}

TEST(an_orderly_stop_sends_a_running_task_back_and_keeps_its_checkpoint)
{
	struct task_row t;
	begin();
	start(1);
	make_app();
	EXPECT(make_instance("long", "one", "") == V_OK, "instance");
	EXPECT(make_task("long", "one", NULL) == V_OK, "task");
	int64_t id = instance("long", "one").id;
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until; usleep(5000)) {
		if (engine_task_get(view, id, 1, arena, &t, NULL) == V_OK && *t.checkpoint)
			break;
	}
	EXPECT(strcmp(t.checkpoint, "ckpt-1") == 0 && t.state == TASK_RUNNING && t.pid > 0, "checkpoint '%s'",
	       t.checkpoint);
	pid_t pid = (pid_t)t.pid;
	int64_t pid_start = t.pid_start;
	stop();
	EXPECT(!proc_is_same(pid, pid_start), "the child is gone");
	start(0);
	EXPECT(engine_task_get(view, id, 1, arena, &t, NULL) == V_OK, "kept");
	EXPECT(t.state == TASK_PENDING && t.attempt == 1 && t.max_attempts == 4, "state %lld attempt %lld of %lld",
	       (long long)t.state, (long long)t.attempt, (long long)t.max_attempts);
	EXPECT(strcmp(t.checkpoint, "ckpt-1") == 0, "checkpoint kept");
	EXPECT(has_event(t.id, "requeued"), "recorded");
	stop();
	end();
}

static struct instance_row instance_of(struct store *s, const char *name)
{
	struct instance_row row = { 0 };
	EXPECT(row_instance_of(s, app.id, "ok", name, arena, &row, NULL) == RC_OK, "row");
	return row;
}

/* Write straight into the store, as a crash or a stopped clock would have left it. */
static void set_instance(const char *name, int64_t cron_next_at)
{
	char path[4200];
	struct store *s;
	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, NULL) == RC_OK, "store");
	struct instance_row row = instance_of(s, name);
	row.cron_next_at = cron_next_at;
	EXPECT(store_begin(s, NULL) == RC_OK, "begin");
	EXPECT(store_update(s, &table_instance, &row, NULL) == RC_OK, "update");
	EXPECT(store_commit(s, NULL) == RC_OK, "commit");
	store_close(s);
}

TEST(a_missed_firing_runs_once_and_a_busy_one_is_skipped)
{
	struct task_row *rows;
	size_t n;
	int64_t total = 0;
	begin();
	start(0);
	make_app();
	EXPECT(make_instance("ok", "nightly", "0 3 ? * *") == V_OK, "instance");
	int64_t planned = instance("ok", "nightly").cron_next_at;
	EXPECT(planned > clock_wall_ms() && planned % 86400000 == 3 * 3600000, "03:00 UTC: %lld", (long long)planned);
	stop();
	set_instance("nightly", clock_wall_ms() - 5 * INT64_C(86400000)); /* five nights were missed */
	start(1);
	struct instance_row i = instance("ok", "nightly");
	struct task_filter f = {
		.instance_id = i.id, .started_after = INT64_MIN, .ended_before = INT64_MAX, .limit = 10
	};
	EXPECT(ended(i.id, 1).state == TASK_SUCCESS, "ran");
	EXPECT(engine_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && total == 1, "once: %lld",
	       (long long)total);
	EXPECT(total > 0 && strncmp(rows[0].run_id, "scheduled__", 11) == 0, "run id");
	EXPECT(instance("ok", "nightly").cron_next_at == planned, "planned again");
	stop();
	start(0);
	EXPECT(make_task("ok", "nightly", NULL) == V_OK, "a pending one");
	stop();
	set_instance("nightly", clock_wall_ms() - 1000);
	start(0);
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until; usleep(5000)) {
		if (instance("ok", "nightly").cron_next_at == planned)
			break;
	}
	i = instance("ok", "nightly");
	EXPECT(i.last_generation == 2 && i.cron_next_at == planned, "no third task");
	EXPECT(has_event(i.busy_task_id, "skipped"), "recorded");
	stop();
	end();
}

/* Planned by a clock that was years ahead for a while; and by one that was an hour ahead, which may
 * have fired already. */
TEST(what_a_clock_that_was_ahead_has_planned_is_planned_anew)
{
	const int64_t day_ms = 86400000, year_ms = 365 * day_ms;
	begin();
	start(0);
	make_app();
	EXPECT(make_instance("ok", "nightly", "0 3 ? * *") == V_OK &&
		       make_instance("ok", "yearly", "0 3 1 1 ?") == V_OK,
	       "made");
	int64_t nightly = instance("ok", "nightly").cron_next_at, yearly = instance("ok", "yearly").cron_next_at;
	stop();
	set_instance("nightly", nightly + 50 * year_ms);
	start(0);
	int64_t now_planned = instance("ok", "nightly").cron_next_at;
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; now_planned != nightly && clock_mono_ms() < until;
	     usleep(5000))
		now_planned = instance("ok", "nightly").cron_next_at;
	EXPECT(now_planned == nightly || now_planned == nightly + day_ms, "%lld", (long long)(now_planned - nightly));
	EXPECT(instance("ok", "yearly").cron_next_at == yearly, "a firing that is far away was touched");
	stop();
	end();
}

/* As a clock that was ahead would have left the task. */
static void set_not_before(int64_t task_id, int64_t not_before)
{
	char path[4200];
	struct store *s;
	struct task_row row;

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, NULL) == RC_OK, "store");
	EXPECT(row_task(s, task_id, arena, &row, NULL) == RC_OK, "row");
	row.not_before = not_before;
	EXPECT(store_update(s, &table_task, &row, NULL) == RC_OK, "update");
	store_close(s);
}

TEST(a_pause_by_a_clock_that_was_ahead_is_over_and_a_window_stays)
{
	const int64_t year_ms = 365 * INT64_C(86400000);
	struct task_row t;

	begin();
	start(1);
	make_app();
	EXPECT(make_instance("long", "tried", "") == V_OK && make_instance("ok", "planned", "") == V_OK, "made");
	EXPECT(make_task("long", "tried", NULL) == V_OK, "first");
	struct instance_row tried = instance("long", "tried"), planned = instance("ok", "planned");
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until; usleep(5000)) {
		EXPECT(engine_task_get(view, tried.id, 1, arena, &t, NULL) == V_OK, "task");
		if (*t.checkpoint)
			break;
	}
	stop(); /* it goes back to the queue */
	start(0);
	EXPECT(make_task("ok", "planned", NULL) == V_OK, "second");
	planned = instance("ok", "planned");
	stop();
	set_not_before(tried.busy_task_id, clock_wall_ms() + year_ms);
	set_not_before(planned.busy_task_id, clock_wall_ms() + year_ms);
	start(1);
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; t.attempt < 2 && clock_mono_ms() < until; usleep(5000))
		EXPECT(engine_task_get(view, tried.id, 1, arena, &t, NULL) == V_OK, "task");
	EXPECT(t.attempt == 2, "it waits for a time that has not come");
	EXPECT(engine_task_get(view, planned.id, 1, arena, &t, NULL) == V_OK && t.state == TASK_PENDING &&
		       t.not_before > clock_wall_ms(),
	       "what waits by intent was started");
	stop();
	end();
}

/* Of a task that is unfinished for long; every firing makes a note. */
TEST(only_the_newest_notes_of_skipped_firings_are_kept)
{
	enum { FIRINGS = 25, KEPT = 20 };
	struct event_row *rows;
	size_t n = 0, skips = 0;
	int64_t first_skip = 0, last_seen = 0;

	begin();
	start(0);
	make_app();
	EXPECT(make_instance("ok", "nightly", "0 3 ? * *") == V_OK, "instance");
	int64_t planned = instance("ok", "nightly").cron_next_at;
	EXPECT(make_task("ok", "nightly", NULL) == V_OK, "a pending one");
	for (int i = 0; i < FIRINGS; i++) {
		stop();
		set_instance("nightly", clock_wall_ms() - 1000);
		start(0);
		for (int64_t until = clock_mono_ms() + 10000; clock_mono_ms() < until; usleep(5000)) {
			if (instance("ok", "nightly").cron_next_at == planned)
				break;
		}
		EXPECT(engine_task_events(view, instance("ok", "nightly").busy_task_id, arena, &rows, &n, NULL) == V_OK,
		       "events");
		EXPECT(n && strcmp(rows[n - 1].kind, "skipped") == 0 && rows[n - 1].id > last_seen,
		       "firing %d is not noted", i);
		last_seen = n ? rows[n - 1].id : 0;
		first_skip = i == FIRINGS - KEPT ? last_seen : first_skip;
	}
	EXPECT(n && strcmp(rows[0].kind, "queued") == 0, "other events go with them");
	for (size_t i = 0; i < n; i++)
		skips += strcmp(rows[i].kind, "skipped") == 0;
	EXPECT(skips == KEPT && rows[n - KEPT].id == first_skip, "%zu notes, the oldest is %lld", skips,
	       (long long)rows[n - KEPT].id);
	stop();
	end();
}

TEST(schedules_know_the_leap_day_and_the_time_zone)
{
	int64_t from = utc(2026, 3, 1, 0, 0) * 1000;
	EXPECT(zone_cron_next("0 0 29 2 ?", from) == utc(2028, 2, 29, 0, 0) * 1000, "leap day");
	EXPECT(zone_cron_next("", from) == 0, "none");
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	EXPECT(zone_cron_next("0 3 ? * *", utc(2026, 1, 10, 12, 0) * 1000) == utc(2026, 1, 11, 2, 0) * 1000, "winter");
	EXPECT(zone_cron_next("0 3 ? * *", utc(2026, 7, 10, 12, 0) * 1000) == utc(2026, 7, 11, 1, 0) * 1000, "summer");
	setenv("TZ", "UTC", 1);
	tzset();
}

/* Berlin, 2026: on 29 March 02:00 to 03:00 do not exist, on 25 October they are there twice; both at 01:00 UTC. */
TEST(a_firing_of_a_change_of_clocks_happens_once_whenever_it_is_looked_for)
{
	const struct {
		const char *cron;
		int64_t after, next;
	} row[] = {
		{ "30 2 ? * *", utc(2026, 3, 28, 12, 0), utc(2026, 3, 29, 1, 30) },
		{ "30 2 ? * *", utc(2026, 3, 29, 0, 45), utc(2026, 3, 29, 1, 30) },
		{ "30 2 ? * *", utc(2026, 3, 29, 1, 5), utc(2026, 3, 29, 1, 30) },
		{ "30 2 ? * *", utc(2026, 3, 29, 1, 30), utc(2026, 3, 30, 0, 30) },
		{ "0 1,2 ? * *", utc(2026, 3, 29, 0, 0), utc(2026, 3, 29, 1, 0) },
		{ "30 * ? * *", utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 1, 30) },
		{ "0 * ? * *", utc(2026, 3, 29, 1, 0), utc(2026, 3, 29, 2, 0) },
		{ "30 2 ? * *", utc(2026, 10, 24, 12, 0), utc(2026, 10, 25, 0, 30) },
		{ "30 2 ? * *", utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30) },
		{ "30 2 ? * *", utc(2026, 10, 25, 1, 10), utc(2026, 10, 26, 1, 30) }, /* fired late */
		{ "30 * ? * *", utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 2, 30) },
		{ "0 3 ? * *", utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 2, 0) },
		{ "30 2 25 10 ?", utc(2026, 1, 1, 0, 0), utc(2026, 10, 25, 0, 30) },
	};
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	FOR_EACH_ROW(i, row) {
		int64_t next = zone_cron_next(row[i].cron, row[i].after * 1000) / 1000;
		EXPECT(next == row[i].next, "row %zu: %s comes %lld s late", i, row[i].cron,
		       (long long)(next - row[i].next));
	}
	setenv("TZ", "America/New_York", 1);
	tzset();
	EXPECT(zone_cron_next("0 3 ? * *", 60000) == INT64_C(8 * 3600000), "a clock that was never set");
	setenv("TZ", "UTC", 1);
	tzset();
}

TEST(input_is_judged_with_words)
{
	static const struct {
		const char *name, *cron, *says;
	} row[] = {
		{ "1x", "", "instanceName" },
		{ "with-dash", "", "instanceName" },
		{ "abcdefghijabcdefghijabcdefghijk", "", "instanceName" },
		{ "good", "61 * * * *", "minute" },
		{ "good", "0 0 30 2 ?", "never" },
	};
	begin();
	start(0);
	make_app();
	FOR_EACH_ROW(i, row) {
		struct instance_create c = { .app_id = app.id,
					     .function = "ok",
					     .name = row[i].name,
					     .model_type = "script",
					     .function_type = "PAAS",
					     .description = "",
					     .cron = row[i].cron };
		CALL(engine_instance_create, &c);
		EXPECT(c.base.verdict == V_BAD_INPUT && strstr(c.base.err.msg, row[i].says), "%s: %s", row[i].name,
		       c.base.err.msg);
	}
	static const struct {
		const char *name, *value, *says;
	} params[] = {
		{ "colour", "red", "unknown parameter 'colour'" },
		{ "epochs", "many", "epochs" },
		{ "epochs", "0", "epochs" },
		{ "positive", "~4", "positive" },
		{ "train_data", "/etc/passwd", "outside of every import root" },
		{ "train_data", "a/../../../etc/passwd", "'..'" },
	};
	FOR_EACH_ROW(i, params) {
		struct param p = { params[i].name, params[i].value };
		struct instance_create c = { .app_id = app.id,
					     .function = "ctr",
					     .name = "good",
					     .model_type = "tf_checkpoint",
					     .function_type = "PAAS",
					     .description = "",
					     .cron = "",
					     .create_params = &p,
					     .n_create_params = 1 };
		CALL(engine_instance_create, &c);
		EXPECT(c.base.verdict == V_BAD_INPUT && strstr(c.base.err.msg, params[i].says), "%s=%s: %s",
		       params[i].name, params[i].value, c.base.err.msg);
	}
	EXPECT(make_instance("nothing", "good", "") == V_NO_FUNCTION, "function");
	EXPECT(make_instance("ok", "good", "") == V_OK && make_instance("ok", "good", "") == V_INSTANCE_EXISTS,
	       "twice");
	stop();
	end();
}

TEST(a_faulty_manifest_is_named_at_start)
{
	const struct {
		const char *more, *says;
	} row[] = {
		{ ",\"maxAttempts\":\"many\"", "maxAttempts" },
		{ ",\"timeoutSecond\":5", "no member 'timeoutSecond'" },
		{ ",\"\":5", "no member ''" },
		{ ",\"createParameters\":[{\"name\":\"a\",\"optional\":true}]",
		  "parameter a: there is no member 'optional'" },
		{ ",\"createParameters\":[{\"name\":\"a\",\"required\":\"true\"}]", "parameter a: required must be" },
		{ ",\"createParameters\":[{\"name\":\"a\",\"type\":\"int\",\"low\":\"1\"}]",
		  "parameter a: low and high must be" },
		{ ",\"createParameters\":[{\"name\":\"a\",\"type\":\"int\",\"low\":2,\"high\":1}]",
		  "parameter a: low 2 is above" },
		{ ",\"createParameters\":[{\"name\":\"a\",\"type\":\"number\"}]", "parameter a: type 'number'" },
		{ ",\"createParameters\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"a\"}]",
		  "createParameters has a twice" },
		{ ",\"usageParameters\":[1]", "name is required" },
	};
	begin();
	FOR_EACH_ROW(i, row) {
		struct err err = { 0 };
		struct engine *e = NULL;
		write_manifest("broken", "true", row[i].more);
		struct engine_config cfg = { .data_dir = data_dir, .self_exe = "/bin/false", .max_running = 1 };
		EXPECT(engine_open(&cfg, &e, &err) == RC_INVALID && !e, "%s: opened", row[i].more);
		EXPECT(strstr(err.msg, "broken.json") && strstr(err.msg, row[i].says), "%s: said %s", row[i].more,
		       err.msg);
	}
	end();
}

TEST(manifests_that_are_too_large_together_are_refused)
{
	enum { BIG = 800000, MANIFESTS = 24 };
	char path[4200], name[16];
	struct err err = { 0 };
	struct engine *e = NULL;
	struct buf text;

	begin();
	buf_init(&text, BIG + 1000);
	for (int i = 0; i < MANIFESTS; i++) {
		(void)snprintf(name, sizeof name, "big%d", i);
		buf_reset(&text);
		buf_addf(&text, "{\"name\":\"%s\",\"modelType\":\"script\",\"run\":\"true\",\"domain\":\"", name);
		for (int k = 0; k < BIG; k++)
			buf_addc(&text, 'x');
		buf_adds(&text, "\"}");
		write_manifest(name, "true", ""); /* makes the folder */
		(void)snprintf(path, sizeof path, "%s/functions.d/%s.json", data_dir, name);
		EXPECT(file_replace(path, buf_text(&text), text.len, 0600, &err) == RC_OK, "%s", err.msg);
	}
	buf_fini(&text);
	struct engine_config cfg = { .data_dir = data_dir, .self_exe = "/bin/false", .max_running = 1 };
	EXPECT(engine_open(&cfg, &e, &err) == RC_LIMIT && !e, "opened");
	EXPECT(strstr(err.msg, "too large"), "%s", err.msg);
	end();
}

TEST(two_hundred_concurrent_creates_make_one_task)
{
	enum { N = 200 };
	struct task_create c[N];
	struct waiter w[N];
	int won = 0, busy = 0;
	begin();
	start(0);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	for (int i = 0; i < N; i++) {
		w[i] = (struct waiter)WAITER;
		c[i] = (struct task_create){
			.base = { .done = waiter_done, .ctx = &w[i] },
			.app_id = app.id,
			.function = "ok",
			.instance = "one",
		};
	}
	for (int i = 0; i < N; i++)
		engine_task_create(engine, &c[i]);
	for (int i = 0; i < N; i++) {
		waiter_wait(&w[i]);
		won += c[i].base.verdict == V_OK;
		busy += c[i].base.verdict == V_INSTANCE_BUSY;
	}
	EXPECT(won == 1 && busy == N - 1, "%d won, %d busy", won, busy);
	EXPECT(instance("ok", "one").last_generation == 1, "gap-free");
	stop();
	end();
}

/* ---- one task after the other ---- */

/* Until check() holds or 10 s are over. */
static bool comes_true(bool (*check)(void *ctx), void *ctx)
{
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until; usleep(5000)) {
		if (check(ctx))
			return true;
	}
	return check(ctx);
}

TEST(the_end_of_one_task_is_the_start_of_the_next)
{
	char name[16];
	begin();
	start(1);
	make_app();
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "i%d", i);
		EXPECT(make_instance("ok", name, "") == V_OK && make_task("ok", name, NULL) == V_OK, "%s", name);
	}
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "i%d", i);
		EXPECT(ended(instance("ok", name).id, 1).state == TASK_SUCCESS, "%s waits though nothing runs", name);
	}
	stop();
	end();
}

static int64_t n_running(void)
{
	struct instance_filter f = { .app_id = app.id, .function = "long", .limit = 100 };
	struct instance_row *rows;
	struct task_row t;
	size_t n;
	int64_t total, running = 0;
	EXPECT(engine_instance_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK, "instances");
	for (size_t i = 0; i < n; i++)
		running += engine_task_newest(view, rows[i].id, arena, &t, NULL) == V_OK && t.state == TASK_RUNNING &&
			   *t.checkpoint;
	return running;
}

static bool all_run(void *ctx) { return n_running() == *(int *)ctx; }

TEST(more_tasks_than_one_batch_claims_are_all_started)
{
	int n = 70; /* more than DUE_AT_ONCE, and none ends by itself */
	char name[16];
	begin();
	start(0);
	make_app();
	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof name, "i%d", i);
		EXPECT(make_instance("long", name, "") == V_OK && make_task("long", name, NULL) == V_OK, "%s", name);
	}
	stop();
	start(100);
	EXPECT(comes_true(all_run, &n), "%lld of %d run", (long long)n_running(), n);
	stop();
	end();
}

TEST(no_more_tasks_run_than_there_are_places)
{
	int two = 2;
	char name[16];
	struct task_row t;
	int64_t running = 0;
	begin();
	start(0);
	make_app();
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "i%d", i);
		EXPECT(make_instance("long", name, "") == V_OK && make_task("long", name, NULL) == V_OK, "%s", name);
	}
	stop();
	start(2); /* all of them wait */
	EXPECT(comes_true(all_run, &two), "%lld run", (long long)n_running());
	stop();
	start(0);
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "i%d", i);
		EXPECT(engine_task_newest(view, instance("long", name).id, arena, &t, NULL) == V_OK, "%s", name);
		running += t.attempt > 0;
	}
	EXPECT(running == 2, "%lld were claimed", (long long)running);
	stop();
	end();
}

TEST(a_word_of_another_attempt_is_refused)
{
	struct exec_handlers handlers;
	struct task_row t;
	struct child_msg late = { .kind = MSG_PROGRESS, .progress = 70 };
	int one = 1;
	begin();
	start(1);
	make_app();
	EXPECT(make_instance("long", "one", "") == V_OK && make_task("long", "one", NULL) == V_OK, "task");
	EXPECT(comes_true(all_run, &one), "runs");
	int64_t id = instance("long", "one").id;
	EXPECT(engine_task_get(view, id, 1, arena, &t, NULL) == V_OK && t.attempt == 1, "row");
	run_handlers(engine, &handlers);
	struct exec_end end_of_another = { .task_id = t.id, .attempt = 5, .is_success = true, .code = "", .message = "",
					   .result_json = "{}", .work_dir = data_dir };
	handlers.on_message(handlers.ctx, t.id, 5, &late);
	handlers.on_end(handlers.ctx, &end_of_another);
	for (int i = 0; i < 3; i++) /* through the closer and the writer */
		EXPECT(make_task("long", "one", NULL) == V_INSTANCE_BUSY, "still busy");
	usleep(100000);
	EXPECT(engine_task_get(view, id, 1, arena, &t, NULL) == V_OK && t.state == TASK_RUNNING && t.progress == 0,
	       "E4: state %lld at %lld", (long long)t.state, (long long)t.progress);
	stop();
	end();
}

/* ---- a disk that fails: a layer below SQLite ---- */

static struct {
	atomic_int write_code, sync_code, lock_code; /* what every such call answers; 0: do it */
	atomic_int n_begun; /* write locks asked for */
	atomic_bool heals_with_stop; /* writes work again with the first transaction after the engine claims no more */
} disk;

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real;
};
#define BELOW(f) (((struct faulty_file *)(f))->real)
#define PASS(name, params, args) static int f_##name params { return BELOW(f)->pMethods->name args; }

static int f_close(sqlite3_file *f)
{
	int code = BELOW(f)->pMethods->xClose(BELOW(f));
	sqlite3_free(BELOW(f));
	return code;
}
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int code = atomic_load(&disk.write_code);
	return code ? code : BELOW(f)->pMethods->xWrite(BELOW(f), p, n, at);
}
static int f_sync(sqlite3_file *f, int flags)
{
	int code = atomic_load(&disk.sync_code);
	return code ? code : BELOW(f)->pMethods->xSync(BELOW(f), flags);
}
static int f_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	bool is_begin = at == 0 && flags == (SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
	/* Transactions are the writer thread's, and so is that member. */
	if (is_begin && atomic_load(&disk.heals_with_stop) && !engine->takes_claims)
		atomic_store(&disk.write_code, 0);
	int code = is_begin && atomic_fetch_add(&disk.n_begun, 1) >= 0 ? atomic_load(&disk.lock_code) : 0;
	return code ? code : BELOW(f)->pMethods->xShmLock(BELOW(f), at, n, flags);
}
static void f_shm_barrier(sqlite3_file *f) { BELOW(f)->pMethods->xShmBarrier(BELOW(f)); }
PASS(xRead, (sqlite3_file * f, void *p, int n, sqlite3_int64 at), (BELOW(f), p, n, at))
PASS(xTruncate, (sqlite3_file * f, sqlite3_int64 n), (BELOW(f), n))
PASS(xFileSize, (sqlite3_file * f, sqlite3_int64 *n), (BELOW(f), n))
PASS(xLock, (sqlite3_file * f, int l), (BELOW(f), l))
PASS(xUnlock, (sqlite3_file * f, int l), (BELOW(f), l))
PASS(xCheckReservedLock, (sqlite3_file * f, int *out), (BELOW(f), out))
PASS(xFileControl, (sqlite3_file * f, int op, void *p), (BELOW(f), op, p))
PASS(xSectorSize, (sqlite3_file * f), (BELOW(f)))
PASS(xDeviceCharacteristics, (sqlite3_file * f), (BELOW(f)))
PASS(xShmMap, (sqlite3_file * f, int i, int n, int x, void volatile **p), (BELOW(f), i, n, x, p))
PASS(xShmUnmap, (sqlite3_file * f, int d), (BELOW(f), d))

static const sqlite3_io_methods faulty_methods = {
	2,
	f_close,
	f_xRead,
	f_write,
	f_xTruncate,
	f_sync,
	f_xFileSize,
	f_xLock,
	f_xUnlock,
	f_xCheckReservedLock,
	f_xFileControl,
	f_xSectorSize,
	f_xDeviceCharacteristics,
	f_xShmMap,
	f_shm_lock,
	f_shm_barrier,
	f_xShmUnmap,
	NULL,
	NULL,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	sqlite3_vfs *below = vfs->pAppData;
	sqlite3_file *file = sqlite3_malloc(below->szOsFile);
	memset(file, 0, (size_t)below->szOsFile);
	*(struct faulty_file *)f = (struct faulty_file){ .real = file };
	int code = below->xOpen(below, name, file, flags, out_flags);
	if (code == SQLITE_OK)
		f->pMethods = &faulty_methods;
	else
		sqlite3_free(file);
	return code;
}

static void use_faulty_disk(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *below = sqlite3_vfs_find("unix");
	vfs = *below;
	vfs.zName = "faulty";
	vfs.szOsFile = (int)sizeof(struct faulty_file);
	vfs.pAppData = below;
	vfs.xOpen = faulty_open;
	EXPECT(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK, "register");
}

static bool is_healthy(void *ctx) { return engine_is_healthy(engine) == *(bool *)ctx; }

/* A view of the moment: after a fault the old one may be broken for good, which its user sees and reopens it. */
static void renew_view(void)
{
	engine_view_close(view);
	EXPECT(engine_view_open(engine, &view, NULL) == RC_OK, "view");
}

static void open_gate(void)
{
	char path[4200];
	(void)snprintf(path, sizeof path, "%s/gate", data_dir);
	EXPECT(file_replace(path, "", 0, 0600, NULL) == RC_OK, "gate");
}

static void close_gate(void)
{
	char path[4200];
	(void)snprintf(path, sizeof path, "%s/gate", data_dir);
	EXPECT(file_remove(path, NULL) == RC_OK, "gate");
}

static bool has_metric(int64_t task_id)
{
	struct metric_row *rows;
	size_t n = 0;
	EXPECT(engine_task_metrics(view, task_id, arena, &rows, &n, NULL) == V_OK, "metrics");
	return n == 1 && strcmp(rows[0].name, "loss") == 0;
}

/* Whatever the disk does: refused changes were not made, ends and messages are kept until they can be written. */
TEST(a_failing_disk_refuses_changes_and_loses_no_end)
{
	static const struct {
		const char *what;
		int write_code, sync_code, lock_code;
		enum verdict verdict;
	} row[] = {
		{ "full", SQLITE_FULL, 0, 0, V_UNAVAILABLE },
		{ "write error", SQLITE_IOERR_WRITE, 0, 0, V_FAILED },
		{ "fsync error", 0, SQLITE_IOERR_FSYNC, 0, V_FAILED },
		{ "no transaction", 0, 0, SQLITE_IOERR_SHMLOCK, V_FAILED },
	};
	bool yes = true, no = false;
	begin();
	write_manifest("gated",
		"while ! [ -e ../../../../../gate ]; do sleep 0.05; done; echo '{\\\"metric\\\":\\\"loss\\\","
		"\\\"value\\\":0.5}' >&3; echo '{\\\"result\\\":{}}' >&3",
		",\"maxAttempts\":1");
	start(2);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK && make_instance("gated", "two", "") == V_OK, "instances");
	FOR_EACH_ROW(i, row) {
		int64_t generation = (int64_t)i + 1;
		EXPECT(make_task("gated", "two", NULL) == V_OK, "%s: the task whose end meets the fault", row[i].what);
		struct instance_row two = instance("gated", "two");
		atomic_store(&disk.write_code, row[i].write_code);
		atomic_store(&disk.sync_code, row[i].sync_code);
		atomic_store(&disk.lock_code, row[i].lock_code);
		enum verdict v = make_task("ok", "one", NULL);
		EXPECT(v == row[i].verdict || v == V_UNAVAILABLE, "%s: %s", row[i].what, verdict_name(v));
		EXPECT(comes_true(is_healthy, &no), "%s: seen", row[i].what);
		open_gate();
		usleep(400000); /* longer than the writer's pause: message and end have met the fault */
		atomic_store(&disk.write_code, 0);
		atomic_store(&disk.sync_code, 0);
		atomic_store(&disk.lock_code, 0);
		EXPECT(comes_true(is_healthy, &yes), "%s: got over", row[i].what);
		renew_view();
		EXPECT(instance("ok", "one").last_generation == generation - 1, "%s: what was refused is not there",
		       row[i].what);
		struct task_row t = ended(two.id, generation);
		EXPECT(t.state == TASK_SUCCESS, "%s: its end was lost: state %lld %s", row[i].what, (long long)t.state,
		       t.error_message);
		EXPECT(has_metric(t.id), "%s: its message was lost", row[i].what);
		EXPECT(make_task("ok", "one", NULL) == V_OK, "%s: taken again", row[i].what);
		EXPECT(ended(instance("ok", "one").id, generation).state == TASK_SUCCESS, "%s: and run", row[i].what);
		close_gate();
	}
	stop();
	end();
}

TEST(a_stop_with_a_full_disk_ends_and_leaves_the_task_to_the_next_start)
{
	bool no = false;
	struct task_row t;
	begin();
	start(1);
	make_app();
	EXPECT(make_instance("long", "one", "") == V_OK && make_task("long", "one", NULL) == V_OK, "task");
	int one = 1;
	EXPECT(comes_true(all_run, &one), "runs");
	int64_t id = instance("long", "one").id;
	atomic_store(&disk.write_code, SQLITE_FULL);
	EXPECT(make_task("long", "one", NULL) == V_INSTANCE_BUSY, "a refusal writes nothing");
	EXPECT(make_instance("ok", "two", "") == V_UNAVAILABLE && comes_true(is_healthy, &no), "full");
	stop();
	atomic_store(&disk.write_code, 0);
	start(0);
	EXPECT(engine_task_get(view, id, 1, arena, &t, NULL) == V_OK && t.state == TASK_PENDING, "E7: state %lld",
	       (long long)t.state);
	stop();
	end();
}

/* The end of a task's last attempt waits for the store. */
static bool has_tried_to_end(UNUSED void *ctx)
{
	(void)pthread_mutex_lock(&engine->queue_lock);
	const struct change *c = engine->queue_head;
	bool has = c && c->is_patient && ((const struct run_end *)c)->is_final;
	(void)pthread_mutex_unlock(&engine->queue_lock);
	return has;
}

static bool is_started(void *instance_id)
{
	struct task_row t;
	return engine_task_get(view, *(int64_t *)instance_id, 1, arena, &t, NULL) == V_OK && t.pid > 0;
}

static bool is_there(void *path) { return file_exists(path); }

/* First the task was to fail, but the store did not take it; then the server stops, and the task is
 * sent back instead. */
TEST(a_task_sent_back_after_its_end_was_not_taken_keeps_its_files)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct task_row t;
	begin();
	write_manifest("last", "touch ckpt; while ! [ -e ../../../../../gate ]; do sleep 0.05; done; kill -9 $$",
		       ",\"maxAttempts\":1");
	write_manifest("deaf", "trap '' TERM; while :; do sleep 0.05; done", "");
	start(2);
	make_app();
	EXPECT(make_instance("deaf", "two", "") == V_OK && make_task("deaf", "two", NULL) == V_OK,
	       "the stop takes a while");
	int64_t two = instance("deaf", "two").id;
	EXPECT(make_instance("last", "one", "") == V_OK && make_task("last", "one", NULL) == V_OK, "task");
	struct instance_row i = instance("last", "one");
	path_of_generation(engine, &i, 1, dir);
	EXPECT(path_join(path, dir, "ckpt", NULL) == RC_OK, "path");
	EXPECT(comes_true(is_started, &two) && comes_true(is_started, &i.id) && comes_true(is_there, path), "both run");
	atomic_store(&disk.write_code, SQLITE_FULL);
	open_gate();
	EXPECT(comes_true(has_tried_to_end, NULL), "its end met the full disk");
	atomic_store(&disk.heals_with_stop, true);
	stop();
	atomic_store(&disk.heals_with_stop, false);
	atomic_store(&disk.write_code, 0);
	EXPECT(file_exists(path), "its files were removed");
	start(0);
	EXPECT(engine_task_get(view, i.id, 1, arena, &t, NULL) == V_OK && t.state == TASK_PENDING &&
		       t.max_attempts == 2,
	       "state %lld, attempt %lld of %lld", (long long)t.state, (long long)t.attempt, (long long)t.max_attempts);
	stop();
	end();
}

TEST(a_start_with_a_failing_disk_is_refused_in_words)
{
	struct err err = { 0 };
	struct engine *e = NULL;
	begin();
	start(0);
	stop();
	struct engine_config cfg = { .data_dir = data_dir, .self_exe = "/bin/false", .max_running = 1 };
	atomic_store(&disk.lock_code, SQLITE_IOERR_SHMLOCK);
	int n = 0; /* fail at the first write lock, the second ... until there is none left to fail */
	for (enum rc rc = RC_IO; rc != RC_OK && n < 50; n++) {
		atomic_store(&disk.n_begun, -n);
		rc = engine_open(&cfg, &e, &err);
		EXPECT(rc == RC_OK || (rc == RC_IO && !e && *err.msg), "%d: %s", n, err.msg);
		atomic_store(&disk.lock_code, rc == RC_OK ? 0 : SQLITE_IOERR_SHMLOCK);
	}
	EXPECT(n > 1 && n < 50, "%d", n);
	engine_close(e);
	atomic_store(&disk.lock_code, 0);
	end();
}

TEST(a_data_folder_that_vanishes_is_noticed_and_not_made_again)
{
	char aside[4200];
	bool yes = true;
	begin();
	start(1);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	(void)snprintf(aside, sizeof aside, "%s.aside", data_dir);
	EXPECT(rename(data_dir, aside) == 0, "move away");
	enum verdict v = make_task("ok", "one", NULL);
	EXPECT(v == V_FAILED || v == V_UNAVAILABLE, "acknowledged without a database: %s", verdict_name(v));
	EXPECT(!engine_is_healthy(engine), "said so");
	v = make_task("ok", "one", NULL);
	EXPECT(v == V_UNAVAILABLE && !file_exists(data_dir), "made again: %s", verdict_name(v));
	EXPECT(rename(aside, data_dir) == 0, "put back");
	EXPECT(comes_true(is_healthy, &yes), "goes on by itself");
	renew_view();
	EXPECT(make_task("ok", "one", NULL) == V_OK && ended(instance("ok", "one").id, 1).state == TASK_SUCCESS,
	       "works again");
	stop();
	end();
}

/* ---- a slow batch ---- */

struct slow {
	struct change base;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool is_entered, is_open;
	unsigned rest_us;
};

static enum verdict apply_slow(struct engine *e, struct change *base)
{
	struct slow *s = (struct slow *)base;
	(void)e;
	pthread_mutex_lock(&s->lock);
	s->is_entered = true;
	pthread_cond_signal(&s->cond);
	while (!s->is_open)
		pthread_cond_wait(&s->cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
	usleep(s->rest_us);
	return V_OK;
}

#define SLOW(w) { .base = { .done = waiter_done, .ctx = (w), .apply = apply_slow }, .lock = PTHREAD_MUTEX_INITIALIZER, \
		  .cond = PTHREAD_COND_INITIALIZER }

static void enter(struct slow *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->is_entered)
		pthread_cond_wait(&s->cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void release(struct slow *s)
{
	pthread_mutex_lock(&s->lock);
	s->is_open = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

static int n_waiting(void)
{
	int n = 0;
	pthread_mutex_lock(&engine->queue_lock);
	for (const struct change *c = engine->queue_head; c; c = c->next)
		n++;
	pthread_mutex_unlock(&engine->queue_lock);
	return n;
}

static bool has_waiting(void *ctx) { return n_waiting() >= *(int *)ctx; }

static enum verdict insert_and_refuse(struct engine *e, struct change *c)
{
	struct app_row row = { .account = "1", .name = "half", .quota = "{}", .tags = "[]" };
	EXPECT(store_insert(e->store, &table_app, &row, &c->err) == RC_OK, "%s", c->err.msg);
	return V_BAD_INPUT;
}

TEST(a_refused_change_leaves_nothing_and_its_neighbours_alone)
{
	struct waiter first_done = WAITER, half_done = WAITER, good_done = WAITER;
	struct slow first = SLOW(&first_done);
	struct change half = { .done = waiter_done, .ctx = &half_done, .apply = insert_and_refuse };
	struct app_row row;
	int two = 2;
	begin();
	start(0);
	make_app();
	struct instance_create good = { .base = { .done = waiter_done, .ctx = &good_done },
					.app_id = app.id,
					.function = "ok",
					.name = "one",
					.model_type = "script",
					.function_type = "PAAS",
					.description = "",
					.cron = "" };
	writer_submit(engine, &first.base);
	enter(&first);
	writer_submit(engine, &half);
	engine_instance_create(engine, &good);
	EXPECT(comes_true(has_waiting, &two), "both in one batch");
	release(&first);
	waiter_wait(&first_done);
	waiter_wait(&half_done);
	waiter_wait(&good_done);
	EXPECT(half.verdict == V_BAD_INPUT && good.base.verdict == V_OK, "%s", verdict_name(good.base.verdict));
	EXPECT(engine_app_get(view, "1", "half", arena, &row, NULL) == V_NO_APP, "a refused change was kept");
	EXPECT(instance("ok", "one").id > 0, "its neighbour");
	stop();
	end();
}

/* One that was to refuse before it writes, and does not: nothing of its batch is kept, and the next time it
 * is undone alone. */
TEST(a_change_that_breaks_its_promise_is_never_kept_half)
{
	struct waiter half_done = WAITER;
	struct change half = {
		.done = waiter_done, .ctx = &half_done, .apply = insert_and_refuse, .refuses_first = true
	};
	struct app_row row;
	begin();
	start(0);
	writer_submit(engine, &half);
	waiter_wait(&half_done);
	EXPECT(half.verdict == V_FAILED && strstr(half.err.msg, "half way"), "%s: %s", verdict_name(half.verdict),
	       half.err.msg);
	EXPECT(engine_app_get(view, "1", "half", arena, &row, NULL) == V_NO_APP, "it was kept");
	half_done = (struct waiter)WAITER;
	writer_submit(engine, &half);
	waiter_wait(&half_done);
	EXPECT(half.verdict == V_BAD_INPUT, "%s: %s", verdict_name(half.verdict), half.err.msg);
	EXPECT(engine_app_get(view, "1", "half", arena, &row, NULL) == V_NO_APP, "it was kept");
	make_app();
	stop();
	end();
}

/* The back-off of an ended attempt runs out in the very batch that ended it: old and new attempt meet in memory. */
TEST(an_attempt_due_again_at_once_is_started)
{
	struct waiter first_done = WAITER, second_done = WAITER;
	struct slow first = SLOW(&first_done), second = SLOW(&second_done);
	int one = 1, two = 2;
	begin();
	write_manifest("gated", "while ! [ -e ../../../../../gate ]; do sleep 0.05; done; kill -9 $$",
		       ",\"maxAttempts\":2");
	start(2);
	make_app();
	EXPECT(make_instance("gated", "one", "") == V_OK && make_task("gated", "one", NULL) == V_OK, "task");
	int64_t id = instance("gated", "one").id;
	struct task_row t = { 0 };
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; !t.pid && clock_mono_ms() < until; usleep(5000))
		EXPECT(engine_task_get(view, id, 1, arena, &t, NULL) == V_OK, "row");
	writer_submit(engine, &first.base);
	enter(&first);
	open_gate();
	EXPECT(comes_true(has_waiting, &one), "the end waits behind the first");
	second.is_open = true;
	second.rest_us = 1200000; /* longer than the first back-off */
	writer_submit(engine, &second.base);
	EXPECT(comes_true(has_waiting, &two), "both in one batch");
	release(&first);
	waiter_wait(&first_done);
	waiter_wait(&second_done);
	t = ended(id, 1);
	EXPECT(t.state == TASK_FAILED && t.attempt == 2, "state %lld attempt %lld", (long long)t.state,
	       (long long)t.attempt);
	stop();
	end();
}

TEST(a_schedule_that_is_due_while_stopping_keeps_no_processor_busy)
{
	int one = 1;
	begin();
	write_manifest("long", "trap '' TERM; echo '{\\\"checkpoint\\\":\\\"c\\\"}' >&3; while :; do sleep 1; done",
		       ",\"graceSeconds\":1");
	start(1);
	make_app();
	EXPECT(make_instance("ok", "nightly", "0 3 ? * *") == V_OK, "schedule");
	EXPECT(make_instance("long", "one", "") == V_OK && make_task("long", "one", NULL) == V_OK, "task");
	EXPECT(comes_true(all_run, &one), "runs");
	set_instance("nightly", clock_wall_ms() + 300);
	EXPECT(make_instance("ok", "two", "1 1 1 1 ?") == V_OK, "so that the writer looks");
	atomic_store(&disk.n_begun, 0);
	stop();
	EXPECT(atomic_load(&disk.n_begun) < 50, "%d transactions", atomic_load(&disk.n_begun));
	end();
}

/* ---- models ---- */

static bool is_model_kept(const char *function, int64_t generation, const char *file)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct instance_row i = instance(function, "one");
	path_of_generation(engine, &i, generation, dir);
	return path_join(path, dir, file, NULL) == RC_OK && file_exists(path);
}

#define RESULT(more) "; echo '{\\\"result\\\":{\\\"model\\\":\\\"model.bin\\\"" more "}}' >&3"

/* E8, and that nothing a program leaves behind stops the thread that looks at it. */
TEST(only_a_real_model_file_is_put_in_service)
{
	static const struct {
		const char *name, *script, *says;
	} row[] = {
		{ "absent", "true" RESULT(""), "missing" },
		{ "fifo", "mkfifo model.bin" RESULT(""), "no regular file" },
		{ "folder", "mkdir model.bin" RESULT(""), "no regular file" },
		{ "link", "ln -s /dev/zero model.bin" RESULT(""), "no regular file" },
		{ "othersum", "echo x >model.bin" RESULT(",\\\"sha256\\\":\\\"00\\\""), "checksum" },
		{ "othername", "echo '{\\\"result\\\":{\\\"model\\\":\\\"../x\\\"}}' >&3", "must be model.bin" },
		{ "notext", "echo '{\\\"result\\\":{\\\"model\\\":7}}' >&3", "model" },
	};
	begin();
	FOR_EACH_ROW(i, row)
		write_manifest(row[i].name, row[i].script, ",\"maxAttempts\":1");
	write_manifest("good", "printf abc >model.bin; echo x >scratch" RESULT(""), "");
	start(2);
	make_app();
	FOR_EACH_ROW(i, row) {
		EXPECT(make_instance(row[i].name, "one", "") == V_OK && make_task(row[i].name, "one", NULL) == V_OK,
		       "%s", row[i].name);
		struct task_row t = ended(instance(row[i].name, "one").id, 1);
		EXPECT(t.state == TASK_FAILED && strcmp(t.error_code, "Model.Unusable") == 0, "%s: state %lld %s",
		       row[i].name, (long long)t.state, t.error_code);
		EXPECT(strstr(t.error_message, row[i].says), "%s: %s", row[i].name, t.error_message);
		EXPECT(instance(row[i].name, "one").model_generation == 0, "%s in service", row[i].name);
	}
	EXPECT(make_instance("good", "one", "") == V_OK && make_task("good", "one", NULL) == V_OK, "good");
	EXPECT(ended(instance("good", "one").id, 1).state == TASK_SUCCESS, "good");
	EXPECT(strcmp(instance("good", "one").model_sha256,
		      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0,
	       "%s", instance("good", "one").model_sha256);
	stop();
	end();
}

static bool has_no_folder(void *ctx)
{
	const struct instance_row *i = ctx;
	char dir[PATH_MAX];
	path_of_generation(engine, i, 1, dir);
	return !file_exists(dir);
}

TEST(a_run_without_a_model_leaves_no_folder)
{
	begin();
	start(1);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK && make_task("ok", "one", NULL) == V_OK, "task");
	struct instance_row i = instance("ok", "one");
	EXPECT(ended(i.id, 1).state == TASK_SUCCESS, "train");
	EXPECT(comes_true(has_no_folder, &i), "an empty folder stays until its record goes");
	stop();
	end();
}

static bool first_is_gone(void *ctx)
{
	(void)ctx;
	return !is_model_kept("good", 1, "model.bin");
}

static void delete_task(const char *function, int64_t generation)
{
	struct task_delete d = { .app_id = app.id, .function = function, .instance = "one", .generation = generation };
	CALL(engine_task_delete, &d);
	EXPECT(d.base.verdict == V_OK, "%s", d.base.err.msg);
}

TEST(a_model_is_kept_while_it_serves_and_goes_when_nothing_names_it)
{
	begin();
	write_manifest("good", "printf abc >model.bin" RESULT(""), "");
	start(1);
	make_app();
	EXPECT(make_instance("good", "one", "") == V_OK, "instance");
	for (int64_t g = 1; g <= 2; g++) {
		EXPECT(make_task("good", "one", NULL) == V_OK &&
			       ended(instance("good", "one").id, g).state == TASK_SUCCESS,
		       "train");
		if (g == 1)
			delete_task("good", 1);
		EXPECT(is_model_kept("good", g, "model.bin"), "E5: %lld serves", (long long)g);
	}
	EXPECT(comes_true(first_is_gone, NULL), "neither row nor service names the first any more");
	EXPECT(instance("good", "one").model_generation == 2 && is_model_kept("good", 2, "model.bin"),
	       "the second serves");
	stop();
	end();
}

static void put_file(const char *dir, const char *name)
{
	char path[PATH_MAX];
	EXPECT(dir_make(dir, 0700, NULL) == RC_OK && path_join(path, dir, name, NULL) == RC_OK, "%s", dir);
	EXPECT(file_replace(path, "x", 1, 0600, NULL) == RC_OK, "%s", path);
}

static bool lies_there(const char *dir, const char *name)
{
	char path[PATH_MAX];
	return path_join(path, dir, name, NULL) == RC_OK && file_exists(path);
}

/* What a crash between a commit and the file work after it leaves behind. */
TEST(the_sweep_takes_what_no_row_names_and_nothing_else)
{
	static struct engine paths;
	char first[PATH_MAX], third[PATH_MAX], ninth[PATH_MAX], failed[PATH_MAX], other[PATH_MAX], no_app[PATH_MAX],
		models[PATH_MAX];
	begin();
	write_manifest("good", "printf abc >model.bin" RESULT(""), "");
	start(1);
	make_app();
	EXPECT(make_instance("good", "one", "") == V_OK, "instance");
	for (int64_t g = 1; g <= 3; g++)
		EXPECT(make_task("good", "one", NULL) == V_OK &&
			       ended(instance("good", "one").id, g).state == TASK_SUCCESS,
		       "train");
	EXPECT(make_instance("bad", "one", "") == V_OK && make_task("bad", "one", NULL) == V_OK, "bad");
	struct instance_row i = instance("good", "one"), b = instance("bad", "one");
	EXPECT(ended(b.id, 1).state == TASK_FAILED, "fail");
	delete_task("good", 3);
	stop();
	(void)snprintf(paths.data_dir, sizeof paths.data_dir, "%s", data_dir);
	path_of_generation(&paths, &i, 1, first);
	path_of_generation(&paths, &i, 3, third);
	path_of_generation(&paths, &i, 9, ninth);
	path_of_generation(&paths, &b, 1, failed);
	i.id = 77;
	path_of_instance(&paths, TREE_MODELS, &i, other);
	path_of_app(&paths, TREE_MODELS, 55, no_app);
	(void)snprintf(models, sizeof models, "%s/models", data_dir);
	put_file(models, "1x"); /* a stray file, that stops nothing */
	put_file(first, "cache.bin");
	put_file(ninth, "model.bin");
	put_file(failed, "x");
	put_file(other, "x");
	put_file(no_app, "x");
	start(0);
	stop(); /* which waits for the sweep */
	EXPECT(lies_there(first, "model.bin") && !lies_there(first, "cache.bin"), "the rest of a finished run");
	EXPECT(lies_there(third, "model.bin"), "in service without a record");
	EXPECT(!file_exists(ninth) && !file_exists(failed) && !file_exists(other) && !file_exists(no_app), "nobody's");
	EXPECT(lies_there(models, "1x"), "not ours");
	end();
}

TEST(a_missing_database_costs_no_model)
{
	char dir[PATH_MAX], path[4200];
	begin();
	write_manifest("good", "[ -e model.bin ] && exit 9; printf abc >model.bin" RESULT(""), "");
	start(1);
	make_app();
	EXPECT(make_instance("good", "one", "") == V_OK && make_task("good", "one", NULL) == V_OK, "task");
	EXPECT(ended(instance("good", "one").id, 1).state == TASK_SUCCESS, "train");
	struct instance_row i = instance("good", "one");
	path_of_generation(engine, &i, 1, dir);
	stop();
	for (int n = 0; n < 3; n++) {
		static const char *const ends[] = { "", "-wal", "-shm" };
		(void)snprintf(path, sizeof path, "%s/stint.db%s", data_dir, ends[n]);
		EXPECT(file_remove(path, NULL) == RC_OK, "%s", path);
	}
	start(1);
	stop();
	EXPECT(lies_there(dir, "model.bin"), "whoever brings the database back finds the models");
	start(1);
	make_app(); /* the same numbers are given again: a run must not find its predecessor's files */
	EXPECT(make_instance("good", "one", "") == V_OK && make_task("good", "one", NULL) == V_OK, "task");
	struct task_row t = ended(instance("good", "one").id, 1);
	EXPECT(t.state == TASK_SUCCESS, "an empty folder for a first attempt: %s", t.error_message);
	stop();
	end();
}

/* ---- what a run leaves in its row ---- */

TEST(progress_never_falls_and_the_last_word_on_a_step_stands)
{
	struct metric_row *rows;
	size_t n = 0;
	begin();
	write_manifest("report",
		       "for p in 60 30; do echo '{\\\"progress\\\":'$p'}'; done >&3; for v in 1 2; do "
		       "echo '{\\\"metric\\\":\\\"loss\\\",\\\"step\\\":7,\\\"value\\\":'$v'}'; done >&3; exit 3",
		       "");
	start(1);
	make_app();
	EXPECT(make_instance("report", "one", "") == V_OK && make_task("report", "one", NULL) == V_OK, "task");
	struct task_row t = ended(instance("report", "one").id, 1);
	EXPECT(t.state == TASK_FAILED && t.progress == 60, "E6: %lld", (long long)t.progress);
	EXPECT(engine_task_metrics(view, t.id, arena, &rows, &n, NULL) == V_OK && n == 1 && rows[0].value > 1.5,
	       "%zu metrics", n);
	EXPECT(has_event(t.id, "progress") && has_event(t.id, "started") && has_event(t.id, "ended"), "history");
	stop();
	end();
}

TEST(a_second_attempt_finds_the_files_of_the_first)
{
	begin();
	write_manifest("again", "[ -e ckpt ] && echo '{\\\"result\\\":{}}' >&3 && exit 0; echo x >ckpt; kill -9 $$",
		       ",\"maxAttempts\":2");
	start(1);
	make_app();
	EXPECT(make_instance("again", "one", "") == V_OK && make_task("again", "one", NULL) == V_OK, "task");
	struct task_row t = ended(instance("again", "one").id, 1);
	EXPECT(t.state == TASK_SUCCESS && t.attempt == 2, "state %lld: %s", (long long)t.state, t.error_message);
	stop();
	end();
}

TEST(a_flood_of_events_is_kept_up_to_a_limit_that_is_told)
{
	struct event_row *rows;
	size_t n = 0, notes = 0;
	bool is_told = false;
	begin();
	write_manifest("flood",
		       "i=0; while [ $i -lt 10050 ]; do echo '{\\\"event\\\":\\\"x\\\"}'; i=$((i+1)); done >&3; "
		       "echo '{\\\"result\\\":{}}' >&3",
		       "");
	start(1);
	make_app();
	EXPECT(make_instance("flood", "one", "") == V_OK && make_task("flood", "one", NULL) == V_OK, "task");
	struct task_row t = ended(instance("flood", "one").id, 1);
	EXPECT(t.state == TASK_SUCCESS, "state %lld", (long long)t.state);
	EXPECT(engine_task_events(view, t.id, arena, &rows, &n, NULL) == V_OK, "events");
	for (size_t i = 0; i < n; i++) {
		notes += strcmp(rows[i].kind, "note") == 0;
		is_told |= strstr(rows[i].text, "too many events") != NULL;
	}
	EXPECT(notes == EVENTS_MAX + 1 && is_told, "%zu notes", notes);
	stop();
	end();
}

TEST(a_child_that_cannot_be_started_is_an_end_too)
{
	char path[PATH_MAX];
	begin();
	write_manifest("once", "true", ",\"maxAttempts\":1");
	start(1);
	make_app();
	path_of_app(engine, TREE_LOGS, app.id, path);
	EXPECT(file_replace(path, "", 0, 0600, NULL) == RC_OK, "a file where the folder should be");
	EXPECT(make_instance("once", "one", "") == V_OK && make_task("once", "one", NULL) == V_OK, "task");
	struct task_row t = ended(instance("once", "one").id, 1);
	EXPECT(t.state == TASK_FAILED && strcmp(t.error_code, "Task.NoStart") == 0 && t.fault == FAULT_MACHINE, "%s",
	       t.error_code);
	EXPECT(strstr(t.error_message, "is no folder"), "%s", t.error_message);
	stop();
	end();
}

/* As a killed server leaves it. */
static void set_running(int64_t instance_id, int64_t attempt, int64_t max_attempts)
{
	char path[4200];
	struct store *s;
	struct task_row row;
	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, NULL) == RC_OK, "store");
	EXPECT(row_task_of(s, instance_id, 1, arena, &row, NULL) == RC_OK, "row");
	row.state = TASK_RUNNING;
	row.attempt = attempt;
	row.max_attempts = max_attempts;
	row.progress = 40;
	EXPECT(store_update(s, &table_task, &row, NULL) == RC_OK, "update");
	store_close(s);
}

TEST(a_task_that_ran_when_the_server_died_is_resumed_or_failed)
{
	struct task_row t;
	begin();
	start(0);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK && make_task("ok", "one", NULL) == V_OK, "task");
	EXPECT(make_instance("ok", "two", "") == V_OK && make_task("ok", "two", NULL) == V_OK, "task");
	int64_t one = instance("ok", "one").id, two = instance("ok", "two").id;
	stop();
	set_running(one, 1, 3);
	set_running(two, 3, 3);
	start(0);
	EXPECT(engine_task_get(view, one, 1, arena, &t, NULL) == V_OK && t.state == TASK_PENDING && t.attempt == 1,
	       "E7 resumed");
	EXPECT(has_event(t.id, "requeued") && instance("ok", "one").busy_task_id == t.id, "still the instance's task");
	EXPECT(engine_task_get(view, two, 1, arena, &t, NULL) == V_OK && t.state == TASK_FAILED, "E7 failed");
	EXPECT(strcmp(t.error_code, "Task.Interrupted") == 0 && strstr(t.error_message, "3 of 3") && t.progress == 40,
	       "%s", t.error_message);
	EXPECT(instance("ok", "two").busy_task_id == 0 && make_task("ok", "two", NULL) == V_OK, "free again");
	stop();
	end();
}

/* ---- what goes when its row goes ---- */

static bool is_gone(void *path) { return !file_exists(path); }

TEST(files_go_with_what_named_them)
{
	char first[PATH_MAX], second[PATH_MAX], models[PATH_MAX], logs[PATH_MAX], app_models[PATH_MAX], bad[PATH_MAX];
	begin();
	write_manifest("good", "printf abc >model.bin; echo x >scratch" RESULT(""), "");
	start(1);
	make_app();
	EXPECT(make_instance("good", "one", "") == V_OK && make_instance("bad", "one", "") == V_OK, "instances");
	struct instance_row i = instance("good", "one"), b = instance("bad", "one");
	for (int64_t g = 1; g <= 2; g++)
		EXPECT(make_task("good", "one", NULL) == V_OK && ended(i.id, g).state == TASK_SUCCESS, "train");
	EXPECT(make_task("bad", "one", NULL) == V_OK && ended(b.id, 1).state == TASK_FAILED, "fail");
	path_of_generation(engine, &i, 1, first);
	path_of_generation(engine, &i, 2, second);
	path_of_generation(engine, &b, 1, bad);
	path_of_instance(engine, TREE_MODELS, &i, models);
	path_of_instance(engine, TREE_LOGS, &i, logs);
	path_of_app(engine, TREE_MODELS, app.id, app_models);
	EXPECT(comes_true(is_gone, bad), "a failed run's folder");
	char scratch[PATH_MAX];
	EXPECT(path_join(scratch, second, "scratch", NULL) == RC_OK && comes_true(is_gone, scratch),
	       "a finished run keeps its model only");
	delete_task("good", 1);
	EXPECT(comes_true(is_gone, first) && file_exists(second), "a deleted record's model that does not serve");
	struct instance_delete d = { .app_id = app.id, .function = "good", .name = "one" };
	CALL(engine_instance_delete, &d);
	EXPECT(d.base.verdict == V_OK && comes_true(is_gone, models) && comes_true(is_gone, logs), "an instance's");
	struct app_remove r = { .account = "1", .identity = "shop" };
	CALL(engine_app_remove, &r);
	EXPECT(r.base.verdict == V_OK && comes_true(is_gone, app_models), "an app group's");
	stop();
	end();
}

/* ---- hints ---- */

static enum verdict make_task_by(int64_t hint, const char *name)
{
	struct task_create c = { .app_id = app.id, .function = "ok", .instance = name, .hint = hint };
	CALL(engine_task_create, &c);
	return c.base.verdict;
}

/* Whatever the hint: the names decide. */
TEST(a_hint_only_says_where_to_look_first)
{
	begin();
	start(0);
	make_app();
	for (int i = 0; i < 4; i++) {
		char name[8];
		(void)snprintf(name, sizeof name, "i%d", i);
		EXPECT(make_instance("ok", name, "") == V_OK, "instance");
	}
	EXPECT(engine_instance_hint(engine, app.id, "ok", "i0") == 0, "nobody has asked yet");
	int64_t first = instance("ok", "i0").id, other = instance("ok", "i1").id;
	EXPECT(engine_instance_hint(engine, app.id, "ok", "i0") == first, "asked");
	EXPECT(engine_instance_hint(engine, app.id, "ok", "i2") == 0 && engine_instance_hint(engine, app.id + 1, "ok",
		"i0") == 0 &&
	       engine_instance_hint(engine, app.id, "bad", "i0") == 0, "of other names");

	EXPECT(make_task_by(first, "i0") == V_OK && instance("ok", "i0").last_generation == 1, "a good hint");
	EXPECT(make_task_by(first, "i0") == V_INSTANCE_BUSY, "E2");
	EXPECT(make_task_by(first, "i2") == V_OK, "a hint at another one, which is busy");
	EXPECT(instance("ok", "i2").last_generation == 1 && instance("ok", "i0").last_generation == 1,
		"of the one that is named");
	EXPECT(make_task_by(INT64_MAX, "i3") == V_OK && instance("ok", "i3").last_generation == 1, "a hint at nothing");
	EXPECT(make_task_by(other, "gone") == V_NO_INSTANCE && instance("ok", "i1").last_generation == 0,
		"nothing of that name");

	struct instance_delete d = { .app_id = app.id, .function = "ok", .name = "i1" };
	CALL(engine_instance_delete, &d);
	EXPECT(d.base.verdict == V_OK && engine_instance_hint(engine, app.id, "ok", "i1") == other, "it is a guess");
	EXPECT(make_task_by(other, "i1") == V_NO_INSTANCE, "it is gone");
	EXPECT(make_instance("ok", "i1", "") == V_OK && make_task_by(other, "i1") == V_OK, "made anew");
	EXPECT(instance("ok", "i1").id != other && instance("ok", "i1").last_generation == 1, "of the new one");
	stop();
	end();
}

/* ---- small rules ---- */

TEST(limits_and_refusals_of_the_moment)
{
	begin();
	start(0);
	make_app();
	engine->instances_max = 2;
	EXPECT(make_instance("ok", "a", "") == V_OK && make_instance("ok", "b", "") == V_OK, "two");
	EXPECT(make_instance("ok", "c", "") == V_TOO_MANY && make_instance("bad", "c", "") == V_OK,
	       "a third of one function");
	struct instance_update u = { .app_id = app.id, .function = "ok", .name = "a", .cron = "0 3 ? * *" };
	CALL(engine_instance_update, &u);
	EXPECT(u.base.verdict == V_OK && instance("ok", "a").cron_next_at > clock_wall_ms(), "planned");
	u.cron = "";
	CALL(engine_instance_update, &u);
	EXPECT(u.base.verdict == V_OK && instance("ok", "a").cron_next_at == 0, "no longer");
	pthread_mutex_lock(&engine->queue_lock);
	engine->is_refusing = true;
	pthread_mutex_unlock(&engine->queue_lock);
	EXPECT(make_task("ok", "a", NULL) == V_UNAVAILABLE, "stopping");
	stop();
	end();
}

static bool has_fired(void *ctx)
{
	(void)ctx;
	return instance("ok", "nightly").last_generation == 1;
}

TEST(a_claim_that_was_not_kept_starts_nothing)
{
	char path[4200];
	struct buf text;
	begin();
	write_manifest("count", "echo x >>../../../../../count; echo '{\\\"result\\\":{}}' >&3", "");
	start(0);
	make_app();
	EXPECT(make_instance("count", "one", "") == V_OK && make_task("count", "one", NULL) == V_OK, "task");
	stop();
	atomic_store(&disk.write_code, SQLITE_FULL);
	start(1);
	usleep(600000); /* at least two tries */
	atomic_store(&disk.write_code, 0);
	struct task_row t = ended(instance("count", "one").id, 1);
	EXPECT(t.state == TASK_SUCCESS && t.attempt == 1, "state %lld attempt %lld", (long long)t.state,
	       (long long)t.attempt);
	(void)snprintf(path, sizeof path, "%s/count", data_dir);
	buf_init(&text, 100);
	EXPECT(file_read(path, &text, NULL) == RC_OK && text.len == 2, "E4: run %zu times", text.len / 2);
	buf_fini(&text);
	stop();
	end();
}

static bool is_swept(void *ctx)
{
	(void)ctx;
	return atomic_load(&engine->is_swept);
}

/* A task's files are made while its claim is being committed. */
TEST(of_a_claim_that_was_not_kept_no_file_stays)
{
	char folder[PATH_MAX], log[PATH_MAX];
	begin();
	write_manifest("good", "printf abc >model.bin" RESULT(""), "");
	start(1);
	make_app();
	EXPECT(make_instance("good", "one", "") == V_OK, "instance");
	struct instance_row i = instance("good", "one");
	path_of_generation(engine, &i, 1, folder);
	engine_task_log_path(engine, &i, 1, log);
	EXPECT(comes_true(is_swept, NULL), "before, nothing is made early");
	atomic_store(&disk.sync_code, SQLITE_IOERR_FSYNC);
	EXPECT(make_task("good", "one", NULL) != V_OK, "it cannot be kept");
	EXPECT(comes_true(is_gone, folder) && comes_true(is_gone, log), "%s", folder);
	atomic_store(&disk.sync_code, 0);
	stop(); /* what the failed sync left in the log is anyone's guess: the next start sees */
	start(1);
	renew_view();
	if (instance("good", "one").last_generation == 0)
		EXPECT(make_task("good", "one", NULL) == V_OK, "and now it can");
	EXPECT(ended(i.id, 1).state == TASK_SUCCESS, "its end");
	EXPECT(file_exists(folder) && file_exists(log), "its files");
	stop();
	end();
}

TEST(what_a_failed_batch_did_is_not_counted)
{
	begin();
	start(0);
	make_app();
	EXPECT(make_instance("ok", "nightly", "0 3 ? * *") == V_OK, "instance");
	stop();
	set_instance("nightly", clock_wall_ms() - 1000);
	atomic_store(&disk.write_code, SQLITE_FULL);
	start(0);
	usleep(600000); /* at least two tries */
	EXPECT(!engine_is_healthy(engine) && atomic_load(&engine->n_cron_fired.n) == 0, "counted before it was kept");
	atomic_store(&disk.write_code, 0);
	EXPECT(comes_true(has_fired, NULL), "fired");
	EXPECT(atomic_load(&engine->n_cron_fired.n) == 1, "%d", (int)atomic_load(&engine->n_cron_fired.n));
	stop();
	end();
}

/* ---- retention ---- */

static int64_t n_tasks(int64_t instance_id)
{
	struct task_row *rows;
	size_t n;
	int64_t total = -1;
	struct task_filter f = {
		.instance_id = instance_id, .started_after = INT64_MIN, .ended_before = INT64_MAX, .limit = 1
	};
	EXPECT(engine_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK, "list");
	return total;
}

struct wanted {
	int64_t instance_id, n;
};

static bool has_wanted(void *ctx)
{
	const struct wanted *w = ctx;
	return n_tasks(w->instance_id) == w->n;
}

/* The count follows the commit that a reader sees already. */
static bool are_retired(void *n) { return atomic_load(&engine->n_retired.n) == *(uint64_t *)n; }

/* Which generations have a record: "3 8 9 ". And each that has none has no log and no folder either. */
static const char *records(const struct instance_row *i)
{
	static char text[200];
	char path[PATH_MAX];
	struct task_row t;

	text[0] = '\0';
	for (int64_t g = 1; g <= i->last_generation; g++) {
		size_t len = strlen(text);
		engine_task_log_path(engine, i, g, path);
		if (engine_task_get(view, i->id, g, arena, &t, NULL) == V_OK) {
			(void)snprintf(text + len, sizeof text - len, "%d ", (int)g);
			EXPECT(file_exists(path), "%s", path);
			continue;
		}
		/* Files follow rows, and one another. */
		EXPECT(comes_true(is_gone, path), "%s", path);
		path_of_generation(engine, i, g, path);
		EXPECT(comes_true(is_gone, path), "%s", path);
	}
	return text;
}

static void make_all_old(int64_t instance_id, int64_t ended_at)
{
	char path[4200];
	struct store *s;
	struct task_row *rows;
	size_t n = 0;
	struct query q = { .table = &table_task,
			   .preds = { PRED_INT("instance_id", CMP_EQ, instance_id) },
			   .n_preds = 1 };

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, NULL) == RC_OK, "store");
	EXPECT(store_list(s, &q, arena, (void **)&rows, &n, NULL) == RC_OK, "list");
	EXPECT(store_begin(s, NULL) == RC_OK, "begin");
	for (size_t i = 0; i < n; i++) {
		rows[i].ended_at = ended_at;
		EXPECT(store_update(s, &table_task, &rows[i], NULL) == RC_OK, "update");
	}
	EXPECT(store_commit(s, NULL) == RC_OK, "commit");
	store_close(s);
}

/* Generations 1 to 3 succeed, 4 to 9 fail. */
static struct instance_row make_history(void)
{
	char bad[4200];

	(void)snprintf(bad, sizeof bad, "%s/bad", data_dir);
	EXPECT(make_instance("moody", "one", "") == V_OK, "instance");
	struct instance_row i = instance("moody", "one");
	for (int64_t g = 1; g <= 9; g++) {
		if (g == 4)
			EXPECT(file_replace(bad, "", 0, 0600, NULL) == RC_OK, "bad");
		EXPECT(make_task("moody", "one", NULL) == V_OK, "task %d", (int)g);
		struct task_row t = ended(i.id, g);
		EXPECT(t.state == (g < 4 ? TASK_SUCCESS : TASK_FAILED), "task %d: %s", (int)g, t.error_message);
	}
	return instance("moody", "one");
}

TEST(old_records_go_by_number_and_by_age_and_what_serves_stays)
{
	int64_t generation = 0;
	struct event_row *events;
	size_t n = 1;
	struct task_row first;

	begin();
	write_manifest("moody", "test -e ../../../../../bad && exit 3; echo '{\\\"result\\\":{}}' >&3", "");
	start(1);
	make_app();
	struct instance_row i = make_history();
	EXPECT(engine_task_get(view, i.id, 1, arena, &first, NULL) == V_OK, "before");
	EXPECT(strcmp(records(&i), "1 2 3 4 5 6 7 8 9 ") == 0, "without rules all stay: %s", records(&i));
	stop();

	rules = (struct retention_rules){ .keep_tasks = 2, .every_ms = 50 };
	start(1);
	struct wanted w = { i.id, 3 };
	EXPECT(comes_true(has_wanted, &w), "%d", (int)n_tasks(i.id));
	EXPECT(strcmp(records(&i), "3 8 9 ") == 0, "%s", records(&i));
	EXPECT(engine_task_events(view, first.id, arena, &events, &n, NULL) == V_OK && n == 0, "%zu events are left",
	       n);
	EXPECT(comes_true(are_retired, &(uint64_t){ 6 }), "%d", (int)atomic_load(&engine->n_retired.n));
	EXPECT(instance("moody", "one").model_generation == 3, "serves");
	EXPECT(make_task("moody", "one", &generation) == V_OK && generation == 10, "E3: %d", (int)generation);
	(void)ended(i.id, 10);
	i = instance("moody", "one");
	EXPECT(comes_true(has_wanted, &w) && strcmp(records(&i), "3 9 10 ") == 0, "%s", records(&i));
	stop();

	rules = (struct retention_rules){ .keep_days = 2, .every_ms = 50 };
	make_all_old(i.id, clock_wall_ms() - 2 * INT64_C(86400000) + 60000);
	start(1);
	EXPECT(make_task("moody", "one", NULL) == V_OK, "eleventh");
	(void)ended(i.id, 11);
	i = instance("moody", "one");
	EXPECT(strcmp(records(&i), "3 9 10 11 ") == 0, "not old enough: %s", records(&i));
	stop();
	make_all_old(i.id, clock_wall_ms() - 2 * INT64_C(86400000) - 1000);
	start(1);
	w.n = 2;
	EXPECT(comes_true(has_wanted, &w) && strcmp(records(&i), "3 11 ") == 0, "%s", records(&i));
	stop();
	rules = (struct retention_rules){ 0 };
	end();
}

/* More rows than one change takes away, with steps of several metrics and many events. */
TEST(a_heavy_record_goes_in_pieces)
{
	char path[4200];
	struct store *s;
	struct task_row t;
	struct event_row *events;
	struct metric_row *metrics;
	size_t n = 1;

	begin();
	start(1);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	struct instance_row i = instance("ok", "one");
	for (int64_t g = 1; g <= 3; g++) {
		EXPECT(make_task("ok", "one", NULL) == V_OK, "task");
		t = ended(i.id, g);
		EXPECT(t.state == TASK_SUCCESS, "ran");
	}
	EXPECT(engine_task_get(view, i.id, 1, arena, &t, NULL) == V_OK, "first");
	stop();
	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, NULL) == RC_OK && store_begin(s, NULL) == RC_OK, "store");
	for (int k = 0; k < 5000; k++) {
		struct metric_row m = {
			.task_id = t.id, .name = k % 2 ? "auc" : "loss", .set_name = "test", .step = 1000 * (k / 2)
		};
		EXPECT(store_insert(s, &table_metric, &m, NULL) == RC_OK, "metric");
		EXPECT(row_event_add(s, t.id, 1, 1, "note", "many", NULL) == RC_OK, "event");
	}
	EXPECT(store_commit(s, NULL) == RC_OK, "commit");
	store_close(s);
	rules = (struct retention_rules){ .keep_tasks = 2, .every_ms = 20 };
	start(1);
	struct wanted w = { i.id, 2 };
	EXPECT(comes_true(has_wanted, &w), "%d", (int)n_tasks(i.id));
	EXPECT(engine_task_events(view, t.id, arena, &events, &n, NULL) == V_OK && n == 0, "%zu events", n);
	EXPECT(engine_task_metrics(view, t.id, arena, &metrics, &n, NULL) == V_OK && n == 0, "%zu metrics", n);
	EXPECT(comes_true(are_retired, &(uint64_t){ 1 }), "%d", (int)atomic_load(&engine->n_retired.n));
	stop();
	rules = (struct retention_rules){ 0 };
	end();
}

/* The records of a clock that was a year ahead for a while are not old for a year, nor do they hold up those behind. */
TEST(records_that_end_in_the_future_do_not_keep_others)
{
	enum { AHEAD = 150, OLD = 3 };
	const int64_t day_ms = 86400000;
	char path[4200];
	struct store *s;

	begin();
	start(1);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	struct instance_row i = instance("ok", "one");
	EXPECT(make_task("ok", "one", NULL) == V_OK && ended(i.id, 1).state == TASK_SUCCESS, "task");
	stop();
	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, NULL) == RC_OK && store_begin(s, NULL) == RC_OK, "store");
	i = instance_of(s, "one");
	for (int k = 1; k <= AHEAD + OLD; k++) {
		struct task_row t = { .instance_id = i.id, .generation = 1 + k, .kind = "train", .state = TASK_FAILED,
				      .attempt = 1, .params = "{}", .started_at = 1 };
		t.ended_at = clock_wall_ms() + (k <= AHEAD ? 365 * day_ms : -3 * day_ms);
		EXPECT(store_insert(s, &table_task, &t, NULL) == RC_OK, "task");
	}
	i.last_generation += AHEAD + OLD;
	EXPECT(store_update(s, &table_instance, &i, NULL) == RC_OK && store_commit(s, NULL) == RC_OK, "commit");
	store_close(s);
	rules = (struct retention_rules){ .keep_days = 2, .every_ms = 20 };
	start(1);
	struct wanted w = { i.id, 1 + AHEAD + 1 }; /* of the old ones the newest of all stays */
	EXPECT(comes_true(has_wanted, &w), "%d", (int)n_tasks(i.id));
	stop();
	rules = (struct retention_rules){ 0 };
	end();
}

TEST(a_task_in_progress_is_not_counted_nor_removed)
{
	begin();
	start(1);
	make_app();
	EXPECT(make_instance("ok", "one", "") == V_OK, "instance");
	struct instance_row i = instance("ok", "one");
	for (int64_t g = 1; g <= 4; g++) {
		EXPECT(make_task("ok", "one", NULL) == V_OK, "task");
		EXPECT(ended(i.id, g).state == TASK_SUCCESS, "ran");
	}
	stop();
	rules = (struct retention_rules){ .keep_tasks = 2, .keep_days = 1, .every_ms = 20 };
	start(0); /* paused: it stays pending */
	EXPECT(make_task("ok", "one", NULL) == V_OK, "pending");
	i = instance("ok", "one");
	struct wanted w = { i.id, 3 };
	EXPECT(comes_true(has_wanted, &w), "%d", (int)n_tasks(i.id));
	struct task_row t;
	EXPECT(engine_task_get(view, i.id, 5, arena, &t, NULL) == V_OK && t.state == TASK_PENDING, "the pending one");
	EXPECT(engine_task_get(view, i.id, 3, arena, &t, NULL) == V_OK, "two ended ones beside it");
	stop();
	rules = (struct retention_rules){ 0 };
	end();
}

/* ---- secrets opened lately ---- */

struct keys_world {
	struct keyring *ring;
	struct key_cache *cache;
	struct store *store;
};

static enum rc find_cached(struct keys_world *w, const char *id, struct access_key *out)
{
	return keyring_find_cached(w->ring, w->cache, w->store, id, arena, out, NULL);
}

static struct key_row row_of_key(struct keys_world *w, const char *id)
{
	struct query q = { .table = &table_key, .preds = { PRED_TEXT("access_key_id", CMP_EQ, id) }, .n_preds = 1 };
	struct key_row row = { 0 };
	EXPECT(store_get(w->store, &q, &row, arena, NULL) == RC_OK, "%s", id);
	return row;
}

static void put_secret(struct keys_world *w, const char *id, struct blob secret)
{
	struct key_row row = row_of_key(w, id);
	row.secret = secret;
	EXPECT(store_update(w->store, &table_key, &row, NULL) == RC_OK, "%s", id);
}

static void expect_same_key(struct keys_world *w, const char *id)
{
	struct access_key plain, cached;
	struct hash_key made;

	EXPECT(keyring_find(w->ring, w->store, id, arena, &plain, NULL) == RC_OK, "%s", id);
	EXPECT(find_cached(w, id, &cached) == RC_OK, "%s", id);
	EXPECT(strcmp(plain.secret, cached.secret) == 0, "%s", id);
	hash_key_init(&made, plain.secret, strlen(plain.secret));
	EXPECT(!plain.prepared && memcmp(&made, cached.prepared, sizeof made) == 0, "%s", id);
}

/* More keys than the cache has places, so that some take each other's. */
TEST(a_cached_secret_is_that_of_its_row)
{
	enum { KEYS = 70 };
	struct access_key keys[KEYS], found;
	struct keys_world w = { .cache = key_cache_new() };
	char path[4096];

	begin();
	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(keyring_open(data_dir, &w.ring, NULL) == RC_OK, "keyring");
	EXPECT(store_open_sqlite(path, STORE_WRITER, &w.store, NULL) == RC_OK, "store");
	for (int i = 0; i < KEYS; i++)
		EXPECT(keyring_create(w.ring, w.store, NULL, "k", arena, &keys[i], NULL) == RC_OK, "%d", i);
	for (int i = 0; i < 2 * KEYS; i++)
		expect_same_key(&w, keys[i % KEYS].id);
	const char *id = keys[0].id, *other = keys[1].id;
	struct blob own = row_of_key(&w, id).secret;
	put_secret(&w, id, row_of_key(&w, other).secret); /* which the cache knows as the other's */
	EXPECT(find_cached(&w, other, &found) == RC_OK && find_cached(&w, id, &found) == RC_CORRUPT,
	       "another key's secret");
	put_secret(&w, id, (struct blob){ own.bytes, own.len - 1 });
	EXPECT(find_cached(&w, id, &found) == RC_CORRUPT, "cut off");
	put_secret(&w, id, (struct blob){ own.bytes, 3 });
	EXPECT(find_cached(&w, id, &found) == RC_CORRUPT, "no secret");
	put_secret(&w, id, own);
	expect_same_key(&w, id);
	EXPECT(keyring_set_active(w.store, id, false, NULL) == RC_OK, "switch off");
	EXPECT(find_cached(&w, id, &found) == RC_OK && !found.is_active, "it is seen to be off");
	EXPECT(keyring_delete(w.store, id, NULL) == RC_OK && find_cached(&w, id, &found) == RC_NOT_FOUND, "deleted");
	store_close(w.store);
	keyring_free(w.ring);
	key_cache_free(w.cache);
	end();
}

/* ---- two who are the first in a folder ---- */

static struct {
	struct keyring *ring; /* the other one's, made while we look for the key and find none */
	bool has_database;
} neighbour;

static int open_beside_a_neighbour(const char *path, int flags, mode_t mode)
{
	char database[4096];
	size_t len = strlen(path), name_len = strlen("/secret.key");

	if (neighbour.ring || len < name_len || strcmp(path + len - name_len, "/secret.key") != 0)
		return os_real.open(path, flags, mode);
	os = os_real;
	(void)snprintf(database, sizeof database, "%s/stint.db", data_dir);
	EXPECT(keyring_open(data_dir, &neighbour.ring, NULL) == RC_OK, "neighbour");
	if (neighbour.has_database)
		EXPECT(file_write(database, "", 0, 0600, NULL) == RC_OK, "database");
	errno = ENOENT;
	return -1;
}

/* One of two keys would be lost, with all that was made with it. */
TEST(who_makes_a_folder_at_once_with_another_has_the_same_key)
{
	char mine[KEYRING_MAC_SIZE], other[KEYRING_MAC_SIZE];

	for (int i = 0; i < 2; i++) {
		struct keyring *ring = NULL;
		struct err err = { 0 };
		begin();
		neighbour.ring = NULL;
		neighbour.has_database = i;
		os.open = open_beside_a_neighbour;
		EXPECT(keyring_open(data_dir, &ring, &err) == RC_OK, "%d: %s", i, err.msg);
		os = os_real;
		if (ring) {
			keyring_mac(ring, "x", mine);
			keyring_mac(neighbour.ring, "x", other);
			EXPECT(strcmp(mine, other) == 0, "%d: two keys for one folder", i);
		}
		keyring_free(ring);
		keyring_free(neighbour.ring);
		end();
	}
}

/* ---- looks at a model that cannot be made, or take long ---- */

static struct {
	_Atomic bool is_refused; /* no descriptor for it */
	_Atomic int n_refused, n_blocks;
	_Atomic int slow_fd; /* of the model, when its disk is to be slow; else -1 */
	bool is_slow;
} look;

enum { SLOW_BLOCKS = 400, SLOW_MS = 10 };

static int open_model(const char *path, int flags, mode_t mode)
{
	size_t len = strlen(path), name_len = strlen("/model.bin");
	bool is_model = len > name_len && strcmp(path + len - name_len, "/model.bin") == 0;

	if (is_model && look.is_refused) {
		look.n_refused++;
		errno = EMFILE;
		return -1;
	}
	int fd = os_real.open(path, flags, mode);
	if (is_model && look.is_slow)
		look.slow_fd = fd;
	return fd;
}

/* A large model on a slow disk. */
static ssize_t read_slowly(int fd, void *buf, size_t n)
{
	if (fd != look.slow_fd)
		return os_real.read(fd, buf, n);
	if (look.n_blocks++ == SLOW_BLOCKS)
		return 0;
	(void)poll(NULL, 0, SLOW_MS);
	memset(buf, 0, n);
	return (ssize_t)n;
}

static bool is_refused_twice(void *ctx)
{
	(void)ctx;
	return look.n_refused >= 2;
}

static bool is_read(void *ctx)
{
	(void)ctx;
	return look.n_blocks > 0;
}

static bool is_checked(void *ctx)
{
	(void)ctx;
	struct engine_state s;
	engine_state(engine, &s);
	return s.models_checked_at > 0;
}

static void make_model(void)
{
	begin();
	write_manifest("good", "printf abc >model.bin" RESULT(""), "");
	start(1);
	make_app();
	EXPECT(make_instance("good", "one", "") == V_OK && make_task("good", "one", NULL) == V_OK &&
		       ended(instance("good", "one").id, 1).state == TASK_SUCCESS,
	       "train");
	stop();
}

TEST(a_model_that_cannot_be_looked_at_is_not_damaged_and_is_looked_at_again)
{
	struct engine_state s;

	make_model();
	look.is_refused = true;
	look.slow_fd = -1;
	os.open = open_model;
	start(0);
	EXPECT(comes_true(is_refused_twice, NULL), "it is not looked at again");
	struct instance_row row = instance("good", "one");
	engine_state(engine, &s);
	EXPECT(s.models_unusable == 0 && engine_model_is_sound(engine, &row), "for lack of a descriptor");
	EXPECT(s.models_checked_at == 0, "it was not checked yet");
	look.is_refused = false;
	EXPECT(comes_true(is_checked, NULL), "with descriptors again");
	engine_state(engine, &s);
	EXPECT(s.models_unusable == 0, "it is whole");
	stop();
	os = os_real;
	end();
}

TEST(a_stop_does_not_wait_for_the_look_at_a_large_model)
{
	make_model();
	look.is_slow = true;
	look.n_blocks = 0;
	look.slow_fd = -1;
	os.open = open_model;
	os.read = read_slowly;
	start(0);
	EXPECT(comes_true(is_read, NULL), "it is looked at");
	stop();
	EXPECT(look.n_blocks < SLOW_BLOCKS, "the stop waited for the whole file");
	os = os_real;
	look.is_slow = false;
	end();
}

int main(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	RUN(a_task_runs_and_puts_its_instance_in_service);
	RUN(failures_are_classed_and_told);
	RUN(one_unfinished_task_per_instance_and_none_of_them_deletable);
	RUN(generations_are_not_reused_after_deletion);
	RUN(an_orderly_stop_sends_a_running_task_back_and_keeps_its_checkpoint);
	RUN(a_missed_firing_runs_once_and_a_busy_one_is_skipped);
	RUN(what_a_clock_that_was_ahead_has_planned_is_planned_anew);
	RUN(a_pause_by_a_clock_that_was_ahead_is_over_and_a_window_stays);
	RUN(only_the_newest_notes_of_skipped_firings_are_kept);
	RUN(schedules_know_the_leap_day_and_the_time_zone);
	RUN(a_firing_of_a_change_of_clocks_happens_once_whenever_it_is_looked_for);
	RUN(input_is_judged_with_words);
	RUN(a_faulty_manifest_is_named_at_start);
	RUN(manifests_that_are_too_large_together_are_refused);
	RUN(two_hundred_concurrent_creates_make_one_task);
	RUN(a_hint_only_says_where_to_look_first);
	use_faulty_disk();
	RUN(the_end_of_one_task_is_the_start_of_the_next);
	RUN(more_tasks_than_one_batch_claims_are_all_started);
	RUN(no_more_tasks_run_than_there_are_places);
	RUN(a_word_of_another_attempt_is_refused);
	RUN(a_failing_disk_refuses_changes_and_loses_no_end);
	RUN(a_stop_with_a_full_disk_ends_and_leaves_the_task_to_the_next_start);
	RUN(a_task_sent_back_after_its_end_was_not_taken_keeps_its_files);
	RUN(a_start_with_a_failing_disk_is_refused_in_words);
	RUN(a_data_folder_that_vanishes_is_noticed_and_not_made_again);
	RUN(a_refused_change_leaves_nothing_and_its_neighbours_alone);
	RUN(a_change_that_breaks_its_promise_is_never_kept_half);
	RUN(an_attempt_due_again_at_once_is_started);
	RUN(a_schedule_that_is_due_while_stopping_keeps_no_processor_busy);
	RUN(only_a_real_model_file_is_put_in_service);
	RUN(a_run_without_a_model_leaves_no_folder);
	RUN(a_model_is_kept_while_it_serves_and_goes_when_nothing_names_it);
	RUN(the_sweep_takes_what_no_row_names_and_nothing_else);
	RUN(a_missing_database_costs_no_model);
	RUN(progress_never_falls_and_the_last_word_on_a_step_stands);
	RUN(a_second_attempt_finds_the_files_of_the_first);
	RUN(a_flood_of_events_is_kept_up_to_a_limit_that_is_told);
	RUN(a_child_that_cannot_be_started_is_an_end_too);
	RUN(a_task_that_ran_when_the_server_died_is_resumed_or_failed);
	RUN(files_go_with_what_named_them);
	RUN(limits_and_refusals_of_the_moment);
	RUN(a_claim_that_was_not_kept_starts_nothing);
	RUN(of_a_claim_that_was_not_kept_no_file_stays);
	RUN(what_a_failed_batch_did_is_not_counted);
	RUN(old_records_go_by_number_and_by_age_and_what_serves_stays);
	RUN(a_heavy_record_goes_in_pieces);
	RUN(records_that_end_in_the_future_do_not_keep_others);
	RUN(a_task_in_progress_is_not_counted_nor_removed);
	RUN(a_cached_secret_is_that_of_its_row);
	RUN(who_makes_a_folder_at_once_with_another_has_the_same_key);
	RUN(a_model_that_cannot_be_looked_at_is_not_damaged_and_is_looked_at_again);
	RUN(a_stop_does_not_wait_for_the_look_at_a_large_model);
	return test_failures != 0;
}
