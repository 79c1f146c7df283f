/* The engine by itself: real store, real children (shell commands as user functions), no HTTP. */
#include "engine/engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "engine/priv.h"
#include "os/file.h"
#include "test.h"

static char data_dir[4096];
static struct engine *engine;
static struct engine_view *view;
static struct arena *arena;
static struct app_row app;

/* ---- a changes' caller that waits ---- */

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool is_done;
};

static void wake(struct change *c)
{
	struct waiter *w = c->ctx;
	pthread_mutex_lock(&w->lock);
	w->is_done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void wait_for(struct waiter *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->is_done)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

#define WAITER { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false }
#define CALL(fn, change)                                                                            \
	do {                                                                                        \
		struct waiter w = WAITER;                                                           \
		(change)->base.done = wake;                                                         \
		(change)->base.ctx = &w;                                                            \
		fn(engine, (change));                                                               \
		wait_for(&w);                                                                       \
	} while (0)

/* ---- fixture ---- */

static void write_manifest(const char *name, const char *script, const char *more)
{
	char path[4200];
	struct buf text;

	(void)snprintf(path, sizeof path, "%s/functions.d", data_dir);
	(void)!dir_make(path, 0700, NULL);
	(void)snprintf(path, sizeof path, "%s/functions.d/%s.json", data_dir, name);
	buf_init(&text, 65536);
	buf_addf(&text, "{\"name\":\"%s\",\"modelType\":\"script\",\"run\":[\"/bin/sh\",\"-c\",\"%s\"]%s}", name, script, more);
	struct err err = { 0 };
	EXPECT(file_replace(path, buf_text(&text), text.len, 0600, &err) == RC_OK, "%s", err.msg);
	buf_fini(&text);
}

static void start(int max_running)
{
	struct engine_config cfg = { .data_dir = data_dir, .self_exe = "/bin/false", .max_running = max_running,
				     .stop_grace_ms = 2000 };
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
	for (int64_t until = clock_mono_ms() + 20000; clock_mono_ms() < until;) {
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
	EXPECT(make_task("ok", "one", &generation) == V_OK && generation == 1, "generation %lld", (long long)generation);
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
		EXPECT(strcmp(t.error_code, row[i].code) == 0, "%s: %s %s", row[i].function, t.error_code, t.error_message);
		EXPECT(t.fault == row[i].fault && t.attempt == row[i].attempts, "%s: fault %lld attempt %lld", row[i].function,
		       (long long)t.fault, (long long)t.attempt);
		EXPECT(*t.error_message && t.progress < 100, "%s: words", row[i].function);
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
	for (int64_t until = clock_mono_ms() + 10000; clock_mono_ms() < until; usleep(5000)) {
		if (engine_task_get(view, id, 1, arena, &t, NULL) == V_OK && *t.checkpoint)
			break;
	}
	EXPECT(strcmp(t.checkpoint, "ckpt-1") == 0 && t.state == TASK_RUNNING && t.pid > 0, "checkpoint '%s'", t.checkpoint);
	pid_t pid = (pid_t)t.pid;
	int64_t pid_start = t.pid_start;
	stop();
	EXPECT(!exec_is_alive(pid, pid_start), "the child is gone");
	start(0);
	EXPECT(engine_task_get(view, id, 1, arena, &t, NULL) == V_OK, "kept");
	EXPECT(t.state == TASK_PENDING && t.attempt == 1 && t.max_attempts == 4, "state %lld attempt %lld of %lld",
	       (long long)t.state, (long long)t.attempt, (long long)t.max_attempts);
	EXPECT(strcmp(t.checkpoint, "ckpt-1") == 0, "checkpoint kept");
	EXPECT(has_event(t.id, "requeued"), "recorded");
	stop();
	end();
}

/* Write straight into the store, as a crash or a stopped clock would have left it. */
static void set_instance(const char *name, int64_t cron_next_at)
{
	char path[4200];
	struct store *s;
	struct instance_row row;
	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, NULL) == RC_OK, "store");
	EXPECT(row_instance_of(s, app.id, "ok", name, arena, &row, NULL) == RC_OK, "row");
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
	struct task_filter f = { .instance_id = i.id, .started_after = INT64_MIN, .ended_before = INT64_MAX, .limit = 10 };
	EXPECT(ended(i.id, 1).state == TASK_SUCCESS, "ran");
	EXPECT(engine_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && total == 1, "once: %lld", (long long)total);
	EXPECT(total > 0 && strncmp(rows[0].run_id, "scheduled__", 11) == 0, "run id");
	EXPECT(instance("ok", "nightly").cron_next_at == planned, "planned again");
	stop();
	start(0);
	EXPECT(make_task("ok", "nightly", NULL) == V_OK, "a pending one");
	stop();
	set_instance("nightly", clock_wall_ms() - 1000);
	start(0);
	for (int64_t until = clock_mono_ms() + 10000; clock_mono_ms() < until; usleep(5000)) {
		if (instance("ok", "nightly").cron_next_at == planned)
			break;
	}
	i = instance("ok", "nightly");
	EXPECT(i.last_generation == 2 && i.cron_next_at == planned, "no third task");
	EXPECT(has_event(i.busy_task_id, "skipped"), "recorded");
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
	/* 29 March 2026: 02:00 does not exist; the firing of 02:30 happens, once, that day */
	int64_t gap = zone_cron_next("30 2 ? * *", utc(2026, 3, 28, 12, 0) * 1000);
	EXPECT(gap >= utc(2026, 3, 29, 0, 30) * 1000 && gap <= utc(2026, 3, 29, 1, 30) * 1000, "gap: %lld", (long long)gap);
	EXPECT(zone_cron_next("30 2 ? * *", gap) == utc(2026, 3, 30, 0, 30) * 1000, "the day after");
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
		struct instance_create c = { .app_id = app.id, .function = "ok", .name = row[i].name, .model_type = "script",
					     .function_type = "PAAS", .description = "", .cron = row[i].cron };
		CALL(engine_instance_create, &c);
		EXPECT(c.base.verdict == V_BAD_INPUT && strstr(c.base.err.msg, row[i].says), "%s: %s", row[i].name, c.base.err.msg);
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
		struct instance_create c = { .app_id = app.id, .function = "ctr", .name = "good", .model_type = "tf_checkpoint",
					     .function_type = "PAAS", .description = "", .cron = "", .create_params = &p,
					     .n_create_params = 1 };
		CALL(engine_instance_create, &c);
		EXPECT(c.base.verdict == V_BAD_INPUT && strstr(c.base.err.msg, params[i].says), "%s=%s: %s", params[i].name,
		       params[i].value, c.base.err.msg);
	}
	EXPECT(make_instance("nothing", "good", "") == V_NO_FUNCTION, "function");
	EXPECT(make_instance("ok", "good", "") == V_OK && make_instance("ok", "good", "") == V_INSTANCE_EXISTS, "twice");
	stop();
	end();
}

TEST(a_faulty_manifest_is_named_at_start)
{
	struct err err = { 0 };
	struct engine *e = NULL;
	begin();
	write_manifest("broken", "true", ",\"maxAttempts\":\"many\"");
	struct engine_config cfg = { .data_dir = data_dir, .self_exe = "/bin/false", .max_running = 1 };
	EXPECT(engine_open(&cfg, &e, &err) == RC_INVALID && !e, "opened");
	EXPECT(strstr(err.msg, "broken.json") && strstr(err.msg, "maxAttempts"), "%s", err.msg);
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
		c[i] = (struct task_create){ .base = { .done = wake, .ctx = &w[i] }, .app_id = app.id, .function = "ok", .instance = "one" };
	}
	for (int i = 0; i < N; i++)
		engine_task_create(engine, &c[i]);
	for (int i = 0; i < N; i++) {
		wait_for(&w[i]);
		won += c[i].base.verdict == V_OK;
		busy += c[i].base.verdict == V_INSTANCE_BUSY;
	}
	EXPECT(won == 1 && busy == N - 1, "%d won, %d busy", won, busy);
	EXPECT(instance("ok", "one").last_generation == 1, "gap-free");
	stop();
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
	RUN(schedules_know_the_leap_day_and_the_time_zone);
	RUN(input_is_judged_with_words);
	RUN(a_faulty_manifest_is_named_at_start);
	RUN(two_hundred_concurrent_creates_make_one_task);
	return test_failures != 0;
}
