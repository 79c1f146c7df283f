/* Caches in the engine: rows, tasks and their ends. The child is a script that answers as the real one would; Redis
 * itself is the matter of cache_test and the scenarios. */
#include "engine/cache.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "engine/cache_state.h"
#include "engine/priv.h"
#include "engine/schedule.h"
#include "os/file.h"
#include "test.h"
#include "waiter.h"

#define PROJECT "a4d31cb63d7244fdbec96e3a41e47f71"

static char data_dir[4096], child[4200];
static struct engine *engine;
static struct engine_view *view;
static struct arena *arena;

#define CALL(fn, change) CALL_ON(engine, fn, change)

/* What `stint job` is for these tests: a script run with the word "job" in the task's folder. */
static void set_child(const char *script)
{
	struct buf text;
	buf_init(&text, 65536);
	buf_addf(&text, "#!/bin/sh\n%s\n", script);
	EXPECT(file_replace(child, buf_text(&text), text.len, 0700, NULL) == RC_OK, "script");
	buf_fini(&text);
}

static void start(int max_running)
{
	struct engine_config cfg = {
		.data_dir = data_dir, .self_exe = child, .max_running = max_running, .stop_grace_ms = 2000
	};
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
	(void)snprintf(data_dir, sizeof data_dir, "%s/stint-cache-XXXXXX", tmp ? tmp : "/tmp");
	EXPECT(mkdtemp(data_dir), "temporary folder");
	(void)snprintf(child, sizeof child, "%s/child", data_dir);
	arena = arena_new(64 << 20);
	set_child("echo '{\"result\":{}}' >&3");
}

static void end(void)
{
	arena_free(arena);
	EXPECT(dir_remove(data_dir, NULL) == RC_OK, "clean up");
}

static const struct actor actor = { "ops", "d53977d1adfb49c5b025ba7d33a13fd7" };

static struct cache_create create(const char *mode, int64_t mib)
{
	struct cache_create c = {
		.row = { .project_id = PROJECT,
			 .name = "dcs-test",
			 .description = "",
			 .engine_version = "7.0",
			 .spec_code = "redis.ha.xu1.tiny.r2.128",
			 .cache_mode = mode,
			 .capacity_mib = mib,
			 .ip = "",
			 .port = 6379,
			 .maintain_begin = "18:00:00",
			 .maintain_end = "19:00:00",
			 .tags = "[{\"key\":\"a\",\"value\":\"1\"}]",
			 .backup_policy = "",
			 .echo = "{}" },
		.actor = actor,
		.password_hash = "",
		.n_replicas = 1,
		.renames = "{}",
		.caches_max = 3,
		.memory_max_mib = 1024,
	};
	CALL(engine_cache_create, &c);
	return c;
}

static struct cache_row get(const char *uid)
{
	struct cache_row row = { .status = "" };
	enum verdict v = engine_cache_get(view, PROJECT, uid, arena, &row, NULL);
	if (v != V_OK)
		row.status = verdict_name(v);
	return row;
}

static struct task_row ended(int64_t task_id)
{
	struct task_row t = { 0 };
	for (int64_t until = clock_mono_ms() + 20000; clock_mono_ms() < until; usleep(5000)) {
		if (engine_cache_task_get(view, PROJECT, 0, task_id, arena, &t, NULL) == V_OK &&
		    task_state_is_final((enum task_state)t.state))
			return t;
	}
	return t;
}

static struct cache_operate operate(const char *uid, enum cache_op op, const char *args, bool waits)
{
	struct cache_operate c = { .project_id = PROJECT,
				   .uid = uid,
				   .op = op,
				   .actor = actor,
				   .args = args,
				   .details = "{}",
				   .waits = waits };
	CALL(engine_cache_operate, &c);
	return c;
}

/* A policy for the hour we are in, on every day: the keeper makes one backup, and not a second. */
static bool is_backed_up_by_plan(const char *uid)
{
	struct backup_row *rows;
	size_t n = 0;
	int64_t total = 0;
	char policy[256];
	(void)snprintf(policy, sizeof policy,
		"{\"policy\":{\"backup_type\":\"auto\",\"save_days\":1,\"periodical_backup_plan\":{\"backup_at\":[1,"
		"2,3,4,5,6,7],\"period_type\":\"weekly\",\"begin_at\":\"%02d:00\"}}}",
		(int)(clock_wall_ms() / 3600000 % 24));
	struct cache_update u = {
		.project_id = PROJECT, .uid = uid, .backup_policy = policy, .wrong_passwords = -1, .locked_until = -1
	};
	CALL(engine_cache_update, &u);
	struct record_filter f = {
		.cache_id = get(uid).id, .created_from = INT64_MIN, .created_until = INT64_MAX, .limit = 10
	};
	for (int64_t until = clock_mono_ms() + 15000; clock_mono_ms() < until; usleep(50000)) {
		if (engine_backup_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && n &&
		    strcmp(rows[0].status, "succeed") == 0)
			break;
	}
	u.backup_policy = "";
	CALL(engine_cache_update, &u);
	return n == 1 && strcmp(rows[0].type, "auto") == 0 && strcmp(rows[0].status, "succeed") == 0 &&
	       rows[0].expires_at > 0;
}

static void asked(struct cache_ask *q) { waiter_wake(q->ctx); }

static bool system_has_no_redis(void) { return access("/usr/bin/redis-server", X_OK) != 0; }

static bool is_serving(const char *state)
{
	struct cache_instance c;
	struct cache_view v;
	if (cache_state_parse(state, &c, NULL) != RC_OK)
		return false;
	cache_look(&c, 1000, &v);
	return v.is_serving;
}

static void kill_master(const char *state)
{
	struct cache_instance c;
	EXPECT(cache_state_parse(state, &c, NULL) == RC_OK, "state");
	EXPECT(kill((pid_t)c.nodes[c.master].pid, SIGKILL) == 0, "pid %lld", (long long)c.nodes[c.master].pid);
}

static bool was_mended(int64_t cache_id)
{
	struct task_row *rows;
	size_t n = 0;
	int64_t total = 0;
	struct cache_task_filter f = { .project_id = PROJECT,
				       .cache_id = cache_id,
				       .created_from = INT64_MIN,
				       .created_until = INT64_MAX,
				       .limit = 1 };
	return engine_cache_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && n == 1 &&
	       strcmp(rows[0].kind, "AutoRecovery") == 0 && rows[0].state == TASK_SUCCESS;
}

/* Ask for an analysis and wait for its end. */
static struct scan_row scanned(const char *uid, enum scan_kind kind)
{
	struct scan_create c = {
		.project_id = PROJECT, .uid = uid, .kind = kind, .actor = actor, .type = "manual", .args = "{}"
	};
	struct scan_row row = { .status = "" };
	CALL(engine_scan_create, &c);
	EXPECT(c.base.verdict == V_OK, "%s: %s", scan_kind_word(kind), verdict_name(c.base.verdict));
	if (c.base.verdict == V_OK)
		(void)ended(c.row.task_id);
	EXPECT(engine_scan_get(view, get(uid).id, kind, c.scan_uid, arena, &row, NULL) == V_OK, "the record");
	return row;
}

TEST(one_scan_of_a_kind_at_a_time_beside_an_operation)
{
	struct scan_row *rows;
	size_t n = 0;
	int64_t total = 0;
	begin();
	start(1);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	stop();
	start(0); /* from here on everything waits */
	EXPECT(operate(c.uid, CACHE_OP_CONFIG, "{}", false).base.verdict == V_OK, "an operation");
	struct scan_create s = {
		.project_id = PROJECT, .uid = c.uid, .kind = SCAN_BIGKEY, .actor = actor, .type = "manual", .args = "{}"
	};
	CALL(engine_scan_create, &s);
	EXPECT(s.base.verdict == V_OK, "beside it: %s", verdict_name(s.base.verdict));
	struct scan_create again = s;
	CALL(engine_scan_create, &again);
	EXPECT(again.base.verdict == V_INSTANCE_BUSY && strcmp(again.busy, "BIGKEY") == 0, "%s", again.busy);
	again.kind = SCAN_HOTKEY;
	CALL(engine_scan_create, &again);
	EXPECT(again.base.verdict == V_OK, "another kind");
	struct scan_delete d = { .project_id = PROJECT, .uid = c.uid, .kind = SCAN_BIGKEY, .scan_uid = s.scan_uid };
	CALL(engine_scan_delete, &d);
	EXPECT(d.base.verdict == V_BAD_STATE, "while waiting");
	struct scan_filter f = { .cache_id = get(c.uid).id, .kind = SCAN_BIGKEY, .limit = 10 };
	EXPECT(engine_scan_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && n == 1 &&
		       strcmp(rows[0].status, "waiting") == 0,
	       "%zu", n);
	stop();
	set_child("echo '{\"result\":{\"scan\":{\"num\":3,\"keys\":[]}}}' >&3");
	start(1);
	(void)ended(s.row.task_id);
	EXPECT(engine_scan_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && rows[0].num == 3, "its findings");
	d.project_id = "another";
	CALL(engine_scan_delete, &d);
	EXPECT(d.base.verdict == V_NO_INSTANCE, "of another project");
	d.project_id = PROJECT;
	CALL(engine_scan_delete, &d);
	EXPECT(d.base.verdict == V_OK, "%s", verdict_name(d.base.verdict));
	CALL(engine_scan_delete, &d);
	EXPECT(d.base.verdict == V_NO_RECORD, "twice");
	stop();
	end();
}

TEST(a_cache_is_made_and_its_description_kept)
{
	begin();
	start(1);
	struct cache_create c = create("ha", 128);
	EXPECT(c.base.verdict == V_OK, "%s", c.base.err.msg);
	struct task_row t = ended(c.task_id);
	EXPECT(t.state == TASK_SUCCESS && strcmp(t.kind, "CREATE") == 0, "%s: %s", t.kind, t.error_message);
	struct cache_row row = get(c.uid);
	EXPECT(strcmp(row.status, "RUNNING") == 0 && row.launched_at > 0, "%s", row.status);
	EXPECT(strncmp(row.ip, "127.", 4) == 0, "%s", row.ip);
	EXPECT(strstr(row.state, "\"mode\":\"ha\"") && strstr(row.state, "\"number\":2"), "%s", row.state);
	EXPECT(strstr(t.params, "\"user_name\":\"ops\""), "%s", t.params);
	stop();
	end();
}

TEST(a_result_replaces_the_description)
{
	begin();
	start(1);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	set_child(
		"grep -q '\"port\":7000' task.json && echo '{\"stage\":\"move\"}' >&3 && echo '{\"stage\":\"move\","
		"\"status\":\"FINISH\"}' >&3 "
		"&& echo '{\"result\":{\"cache\":{\"mode\":\"single\",\"host\":\"127.9.9.9\",\"port\":7000}}}' >&3");
	struct cache_operate o = operate(c.uid, CACHE_OP_PORT, "{\"port\":7000}", true);
	EXPECT(o.base.verdict == V_OK && o.is_success, "%s", o.base.err.msg);
	struct cache_row row = get(c.uid);
	EXPECT(row.port == 7000 && strcmp(row.ip, "127.9.9.9") == 0 && strcmp(row.status, "RUNNING") == 0, "%s:%lld %s",
	       row.ip, (long long)row.port, row.status);
	struct event_row *events;
	size_t n = 0, stages = 0;
	EXPECT(engine_task_events(view, o.task_id, arena, &events, &n, NULL) == V_OK, "events");
	for (size_t i = 0; i < n; i++)
		stages += strcmp(events[i].kind, "step") == 0 &&
			  strcmp(events[i].text, stages ? "FINISH move" : "EXECUTING move") == 0;
	EXPECT(stages == 2, "%zu steps", stages);
	stop();
	end();
}

TEST(a_failure_leaves_the_description_and_tells_who_waits)
{
	begin();
	start(1);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	struct cache_row before = get(c.uid);
	set_child("echo '{\"error\":{\"code\":\"Cache.Refused\",\"message\":\"no room\"}}' >&3; exit 1");
	struct cache_operate o = operate(c.uid, CACHE_OP_EXTEND, "{\"capacity_mib\":256,\"spec_code\":\"x\"}", true);
	EXPECT(o.base.verdict == V_OK && !o.is_success && strstr(o.base.err.msg, "no room"), "%s", o.base.err.msg);
	struct cache_row row = get(c.uid);
	EXPECT(strcmp(row.state, before.state) == 0 && row.capacity_mib == 128 && strcmp(row.status, "RUNNING") == 0,
	       "%s", row.status);
	o = operate(c.uid, CACHE_OP_RESTART, "{}", true);
	EXPECT(!o.is_success && strcmp(get(c.uid).status, "ERROR") == 0, "%s", get(c.uid).status);
	o = operate(c.uid, CACHE_OP_EXTEND, "{}", false);
	EXPECT(o.base.verdict == V_BAD_STATE && strcmp(o.busy, "ERROR") == 0, "%s", o.busy);
	set_child("echo '{\"result\":{}}' >&3");
	o = operate(c.uid, CACHE_OP_RESTART, "{}", true);
	EXPECT(o.is_success && strcmp(get(c.uid).status, "RUNNING") == 0, "healed: %s", get(c.uid).status);
	o = operate(c.uid, CACHE_OP_EXTEND, "{\"capacity_mib\":256,\"spec_code\":\"x\"}", true);
	row = get(c.uid);
	EXPECT(row.capacity_mib == 256 && strcmp(row.spec_code, "x") == 0, "%lld %s", (long long)row.capacity_mib,
	       row.spec_code);
	stop();
	end();
}

TEST(a_failure_keeps_the_processes_it_left_and_nothing_else)
{
	begin();
	start(1);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	set_child(
		"echo '{\"result\":{\"cache\":{\"mode\":\"single\",\"host\":\"127.9.9.9\",\"port\":6379,"
		"\"nodes\":[{\"run_id\":\"new\"}]}}}' >&3\n"
		"echo '{\"error\":{\"code\":\"Cache.Refused\",\"message\":\"no room\"}}' >&3; exit 1");
	struct cache_operate o = operate(c.uid, CACHE_OP_RESTART, "{\"capacity_mib\":256,\"spec_code\":\"x\"}", true);
	EXPECT(!o.is_success && strstr(o.base.err.msg, "no room"), "%s", o.base.err.msg);
	struct cache_row row = get(c.uid);
	EXPECT(strstr(row.state, "\"run_id\":\"new\"") && strcmp(row.status, "ERROR") == 0, "%s %s", row.status,
	       row.state);
	EXPECT(row.capacity_mib == 128 && strcmp(row.spec_code, "x") != 0, "%lld %s", (long long)row.capacity_mib,
	       row.spec_code);
	const char *before = row.state;
	set_child("echo '{\"result\":{\"cache\":7}}' >&3\n"
		  "echo '{\"error\":{\"code\":\"Cache.Refused\",\"message\":\"no room\"}}' >&3; exit 1");
	o = operate(c.uid, CACHE_OP_RESTART, "{}", true);
	EXPECT(!o.is_success && strcmp(get(c.uid).state, before) == 0, "%s", get(c.uid).state);
	stop();
	end();
}

static void retag(const char *uid, const char *tags, bool removes, enum verdict expected)
{
	struct cache_tag t = { .project_id = PROJECT, .uid = uid, .tags = tags, .removes = removes, .max = 4 };
	CALL(engine_cache_tag, &t);
	EXPECT(t.base.verdict == expected, "%s: %s %s", tags, verdict_name(t.base.verdict), t.base.err.msg);
}

/* Two at once, each with one tag of its own: handed in before either is answered. */
static void tag_twice_at_once(const char *uid)
{
	struct waiter w[2];
	struct cache_tag t[2];
	const char *const tags[] = { "[{\"key\":\"b\",\"value\":\"2\"}]", "[{\"key\":\"c\",\"value\":\"3\"}]" };

	for (int i = 0; i < 2; i++) {
		w[i] = (struct waiter)WAITER;
		t[i] = (struct cache_tag){ .base = { .done = waiter_done, .ctx = &w[i] },
					   .project_id = PROJECT,
					   .uid = uid,
					   .tags = tags[i],
					   .max = 4 };
		engine_cache_tag(engine, &t[i]);
	}
	for (int i = 0; i < 2; i++) {
		waiter_wait(&w[i]);
		EXPECT(t[i].base.verdict == V_OK, "%s", t[i].base.err.msg);
	}
}

TEST(tags_are_merged_where_no_change_is_lost)
{
	begin();
	start(0);
	struct cache_create c = create("single", 128);
	tag_twice_at_once(c.uid);
#define ABC "[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":\"2\"},{\"key\":\"c\",\"value\":\"3\"}]"
	EXPECT(strcmp(get(c.uid).tags, ABC) == 0, "%s", get(c.uid).tags);
	retag(c.uid, "[{\"key\":\"d\"},{\"key\":\"e\"}]", false, V_TOO_MANY);
	EXPECT(strcmp(get(c.uid).tags, ABC) == 0, "%s", get(c.uid).tags);
	retag(c.uid, "[{\"key\":\"a\",\"value\":\"9\"}]", false, V_OK);
	retag(c.uid, "[{\"key\":\"b\"},{\"key\":\"none\"}]", true, V_OK);
	EXPECT(strcmp(get(c.uid).tags, "[{\"key\":\"c\",\"value\":\"3\"},{\"key\":\"a\",\"value\":\"9\"}]") == 0, "%s",
	       get(c.uid).tags);
	retag("00000000-0000-4000-8000-000000000000", "[]", false, V_NO_INSTANCE);
	stop();
	end();
}

/* A cache's newest task. */
static struct task_row newest(int64_t cache_id)
{
	struct task_row *rows;
	size_t n = 0;
	int64_t total = 0;
	struct cache_task_filter f = { .project_id = PROJECT, .cache_id = cache_id, .created_from = INT64_MIN,
				       .created_until = INT64_MAX, .limit = 1 };
	bool is_there = engine_cache_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && n == 1;
	return is_there ? rows[0] : (struct task_row){ .kind = "", .params = "" };
}

#define FAILS(fault) /* but a recovery, which succeeds */                                     \
	"grep -q '\"kind\":\"AutoRecovery\"' \"$STINT_TASK\" && echo '{\"result\":{}}' >&3 && exit 0; " \
	"echo '{\"error\":{\"code\":\"Cache.Down\",\"message\":\"gone\",\"fault\":\"" fault "\"}}' >&3; exit 1"

TEST(what_the_machine_made_fail_is_recovered_in_the_same_breath)
{
	begin();
	start(1);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	int64_t cache_id = get(c.uid).id;

	set_child(FAILS("user"));
	struct cache_operate o = operate(c.uid, CACHE_OP_EXTEND, "{}", true);
	EXPECT(!o.is_success && newest(cache_id).id == o.task_id, "a refusal needs no recovery: %s",
	       newest(cache_id).kind);

	set_child(FAILS("machine"));
	o = operate(c.uid, CACHE_OP_BACKUP, "{\"uid\":\"some-backup\"}", true);
	struct task_row after = newest(cache_id);
	EXPECT(!o.is_success && after.id > o.task_id && strcmp(after.kind, "AutoRecovery") == 0, "%s", after.kind);
	EXPECT(strstr(after.params, "\"args\":{\"after\":\"BACKUP\",\"uid\":\"some-backup\"}"), "%s", after.params);
	EXPECT(ended(after.id).state == TASK_SUCCESS && newest(cache_id).id == after.id, "one, and once");
	EXPECT(strcmp(get(c.uid).status, "RUNNING") == 0, "%s", get(c.uid).status);

	set_child(FAILS("user"));
	int64_t now = clock_wall_ms();
	o = operate(c.uid, CACHE_OP_DELETE, "{}", true);
	after = newest(cache_id);
	EXPECT(!o.is_success && after.id > o.task_id && strcmp(after.kind, "DELETE") == 0, "%s", after.kind);
	EXPECT(after.state == TASK_PENDING && after.not_before >= now + 10000, "in %lld ms",
	       (long long)(after.not_before - now));
	stop();
	end();
}

TEST(a_create_that_the_machine_made_fail_is_cleared_away)
{
	begin();
	set_child(FAILS("machine"));
	start(1);
	struct cache_create c = create("ha", 128);
	EXPECT(ended(c.task_id).state == TASK_FAILED, "failed");
	struct task_row after = newest(get(c.uid).id);
	EXPECT(strcmp(after.kind, "AutoRecovery") == 0 && strstr(after.params, "\"after\":\"CREATE\""), "%s",
	       after.params);
	EXPECT(ended(after.id).state == TASK_SUCCESS, "cleared");
	EXPECT(strcmp(get(c.uid).status, "CREATEFAILED") == 0, "%s", get(c.uid).status);
	set_child("echo '{\"result\":{}}' >&3");
	struct cache_operate o = operate(c.uid, CACHE_OP_DELETE, "{}", true);
	EXPECT(o.is_success, "%s", verdict_name(o.base.verdict));
	stop();
	end();
}

TEST(a_busy_cache_says_with_what_and_a_deleted_one_is_gone_at_once)
{
	struct task_row *rows;
	size_t n = 0;
	int64_t total = 0, id = 0;
	char uid[TASK_UID_SIZE];
	begin();
	start(0);
	struct cache_create c = create("single", 128);
	struct cache_operate o = operate(c.uid, CACHE_OP_FLUSH, "{}", false);
	EXPECT(o.base.verdict == V_INSTANCE_BUSY && strcmp(o.busy, "CREATE") == 0, "%s", o.busy);
	struct cache_task_delete d = { .project_id = PROJECT, .uid = c.uid, .task_id = c.task_id };
	CALL(engine_cache_task_delete, &d);
	EXPECT(d.base.verdict == V_TASK_UNFINISHED, "E5");
	stop();
	start(1);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "goes on after a restart");
	o = operate(c.uid, CACHE_OP_DELETE, "{}", false);
	EXPECT(o.base.verdict == V_OK && strcmp(get(c.uid).status, "NO_INSTANCE") == 0, "%s", get(c.uid).status);
	EXPECT(ended(o.task_id).state == TASK_SUCCESS, "deleted");
	struct cache_task_filter f = {
		.project_id = PROJECT, .created_from = INT64_MIN, .created_until = INT64_MAX, .limit = 10
	};
	EXPECT(engine_cache_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && total == 2 && n == 2,
	       "%zu of %lld", n, (long long)total);
	EXPECT(rows[0].id == o.task_id, "newest first");
	f.created_until = 0;
	EXPECT(engine_cache_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && total == 0 && n == 0,
	       "bounded");
	engine_task_uid(engine, o.task_id, uid);
	EXPECT(strlen(uid) == 32 && engine_task_id(engine, uid, &id) && id == o.task_id, "%s", uid);
	uid[0] = uid[0] == '0' ? '1' : '0';
	EXPECT(!engine_task_id(engine, uid, &id), "an id we never gave out");
	EXPECT(!engine_task_id(engine, "xyz", &id) && !engine_task_id(engine, "", &id), "no id at all");
	d = (struct cache_task_delete){ .project_id = PROJECT, .task_id = o.task_id };
	CALL(engine_cache_task_delete, &d);
	EXPECT(d.base.verdict == V_OK, "from the task centre");
	CALL(engine_cache_task_delete, &d);
	EXPECT(d.base.verdict == V_NO_TASK, "twice");
	d.project_id = "another";
	d.task_id = c.task_id;
	CALL(engine_cache_task_delete, &d);
	EXPECT(d.base.verdict == V_NO_TASK, "of another project");
	stop();
	end();
}

/* A bound on the time looks at every task, and must not keep what it does not show. */
TEST(a_bounded_list_takes_memory_for_its_page_only)
{
	enum { TASKS = 20, ARGS_SIZE = 16 << 10 };
	struct arena *a CLEANUP(arena_freep) = arena_new(TASKS * ARGS_SIZE / 2);
	struct task_row *rows;
	size_t n = 0;
	int64_t total = 0;
	char args[ARGS_SIZE + 16];
	struct err err = { 0 };

	begin();
	start(1);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	(void)snprintf(args, sizeof args, "{\"x\":\"%0*d\"}", ARGS_SIZE, 0);
	for (int i = 0; i < TASKS; i++)
		EXPECT(operate(c.uid, CACHE_OP_FLUSH, args, true).base.verdict == V_OK, "task %d", i);
	struct cache_task_filter f = {
		.project_id = PROJECT, .created_from = 0, .created_until = INT64_MAX, .offset = 1, .limit = 2
	};
	EXPECT(engine_cache_task_list(view, &f, a, &rows, &n, &total, &err) == V_OK, "%s", err.msg);
	EXPECT(n == 2 && total == TASKS + 1 && rows[0].id == rows[1].id + 1, "%zu of %lld", n, (long long)total);
	EXPECT(n == 2 && strstr(rows[1].params, "000"), "its parameters are there");
	stop();
	end();
}

TEST(quotas_lists_and_the_other_dialect)
{
	struct cache_row *rows;
	struct app_row *apps;
	size_t n = 0;
	int64_t total = 0;
	begin();
	start(0);
	EXPECT(create("single", 128).base.verdict == V_OK && create("single", 256).base.verdict == V_OK, "two");
	struct cache_create big = create("single", 4096);
	EXPECT(big.base.verdict == V_TOO_MANY && big.is_over_memory, "%s", big.base.err.msg);
	EXPECT(create("single", 128).base.verdict == V_OK, "three");
	struct cache_create c = create("single", 128);
	EXPECT(c.base.verdict == V_TOO_MANY && !c.is_over_memory, "%s", c.base.err.msg);
	struct cache_filter f = { .project_id = PROJECT, .capacity_mib = -1, .limit = 2 };
	EXPECT(engine_cache_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && n == 2 && total == 3,
	       "%zu of %lld", n, (long long)total);
	f.capacity_mib = 256;
	EXPECT(engine_cache_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && total == 1, "by capacity");
	f = (struct cache_filter){ .project_id = PROJECT, .capacity_mib = -1, .tags = "a=1", .name = "test" };
	EXPECT(engine_cache_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && total == 3,
	       "by tag and part of the name");
	f.tags = "a=2";
	EXPECT(engine_cache_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && total == 0, "no such tag");
	struct app_filter all = { .account = "1000000000000000", .limit = 10 };
	EXPECT(engine_app_list(view, &all, arena, &apps, &n, &total, NULL) == V_OK && total == 0, "no app group shows");
	EXPECT(!functions_any(engine_functions(engine), CACHE_FUNCTION), "no function shows");
	stop();
	end();
}

TEST(backups_follow_their_task)
{
	struct backup_row *rows, b = { .uid = "548ceeff-2cbb-47ab-9a1c-7b085a8c08d7",
				       .name = "backup_1",
				       .type = "manual",
				       .remark = "",
				       .format = "rdb" };
	size_t n = 0;
	int64_t total = 0;
	begin();
	start(1);
	struct cache_create c = create("ha", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	set_child("echo '{\"result\":{\"file\":\"/nowhere/b.rdb\",\"sha256\":\"ab\",\"size\":77}}' >&3");
	struct cache_operate o = { .project_id = PROJECT,
				   .uid = c.uid,
				   .op = CACHE_OP_BACKUP,
				   .actor = actor,
				   .args = "{}",
				   .details = "{}",
				   .backup = &b,
				   .waits = true };
	CALL(engine_cache_operate, &o);
	EXPECT(o.base.verdict == V_OK && o.is_success, "%s", o.base.err.msg);
	struct record_filter f = {
		.cache_id = get(c.uid).id, .created_from = INT64_MIN, .created_until = INT64_MAX, .limit = 10
	};
	EXPECT(engine_backup_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK && n == 1, "%zu", n);
	EXPECT(strcmp(rows[0].status, "succeed") == 0 && rows[0].size == 77 &&
		       strcmp(rows[0].path, "/nowhere/b.rdb") == 0,
	       "%s %s", rows[0].status, rows[0].path);
	struct backup_delete d = { .project_id = PROJECT, .uid = c.uid, .backup_uid = b.uid };
	CALL(engine_backup_delete, &d);
	EXPECT(d.base.verdict == V_OK, "%s", d.base.err.msg);
	CALL(engine_backup_delete, &d);
	EXPECT(d.base.verdict == V_NO_RECORD, "twice");
	struct scan_create late = { .project_id = PROJECT, .uid = c.uid, .kind = SCAN_OFFLINE, .actor = actor,
				    .type = "manual",
				    .args = "{\"backup_id\":\"548ceeff-2cbb-47ab-9a1c-7b085a8c08d7\"}" };
	CALL(engine_scan_create, &late);
	EXPECT(late.base.verdict == V_NO_RECORD, "an analysis of what is gone: %s", verdict_name(late.base.verdict));
	struct scan_row row;
	EXPECT(engine_scan_get(view, get(c.uid).id, SCAN_OFFLINE, late.scan_uid, arena, &row, NULL) == V_NO_RECORD,
	       "it was made");
	stop();
	end();
}

static void change_rows(const char *sql)
{
	char path[4200];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
	       sqlite3_errmsg(db));
	EXPECT(sqlite3_changes(db) > 0, "nothing was changed");
	(void)sqlite3_close(db);
}

static void make_backup(const char *uid, const char *backup_uid)
{
	struct backup_row b = { .uid = backup_uid, .name = "b", .type = "auto", .remark = "", .format = "rdb" };
	struct cache_operate o = { .project_id = PROJECT, .uid = uid, .op = CACHE_OP_BACKUP, .actor = actor,
				   .args = "{}", .details = "{}", .backup = &b, .waits = true };
	CALL(engine_cache_operate, &o);
	EXPECT(o.base.verdict == V_OK && o.is_success, "%s", o.base.err.msg);
}

static bool has_backup(const char *uid, const char *backup_uid)
{
	struct backup_row b;
	return engine_backup_get(view, get(uid).id, backup_uid, arena, &b, NULL) == V_OK;
}

/* However many there are: what a list takes is of the size of its page. */
TEST(deleted_caches_are_listed_by_the_page)
{
	struct arena *small = arena_new(1 << 18);
	struct cache_row *rows;
	size_t n = 0;
	int64_t total = 0;

	begin();
	start(1);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	stop();
	change_rows("INSERT INTO cache (uid, unit_id, project_id, name, deleted_at, created_at, state) "
		    "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 700) "
		    "SELECT 'uid-' || i, (SELECT unit_id FROM cache), '" PROJECT "', 'gone', 1, i, "
		    "hex(zeroblob(1000)) FROM k");
	start(1);
	struct cache_filter f = { .project_id = PROJECT, .capacity_mib = -1, .includes_deleted = true, .limit = 10 };
	EXPECT(engine_cache_list(view, &f, small, &rows, &n, &total, NULL) == V_OK && n == 10 && total == 701,
	       "%zu of %lld", n, (long long)total);
	EXPECT(n == 10 && strcmp(rows[0].uid, c.uid) == 0 && strcmp(rows[1].uid, "uid-700") == 0, "newest first");
	f.name = "gon";
	f.offset = 695;
	EXPECT(engine_cache_list(view, &f, small, &rows, &n, &total, NULL) == V_OK && n == 5 && total == 700,
	       "%zu of %lld", n, (long long)total);
	EXPECT(n == 5 && strcmp(rows[4].uid, "uid-1") == 0 && strlen(rows[4].state) == 2000, "the oldest");
	f.offset = 700;
	EXPECT(engine_cache_list(view, &f, small, &rows, &n, &total, NULL) == V_OK && n == 0 && total == 700, "none");
	stop();
	end();
	arena_free(small);
}

/* The server finds its clock a year ahead of what it wrote last: only what was over by that goes. The keeper asks about
 * the oldest first, so what it passed over is known once the next one is gone. */
TEST(a_backup_is_not_old_because_a_clock_is_ahead)
{
	static const char *const uids[] = { "548ceeff-2cbb-47ab-9a1c-7b085a8c08d7",
					    "548ceeff-2cbb-47ab-9a1c-7b085a8c08d8",
					    "548ceeff-2cbb-47ab-9a1c-7b085a8c08d9" };
	begin();
	start(1);
	struct cache_create c = create("ha", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	set_child("echo '{\"result\":{\"file\":\"/nowhere/b.rdb\",\"sha256\":\"ab\",\"size\":77}}' >&3");
	FOR_EACH_ROW(i, uids)
		make_backup(c.uid, uids[i]);
	stop();
	change_rows("UPDATE event SET at = at - 365 * 86400000");
	change_rows("UPDATE backup SET expires_at = created_at + id WHERE id = 1");
	change_rows("UPDATE backup SET expires_at = 1 WHERE id = 2");
	start(0);
	for (int64_t until = clock_mono_ms() + 20000; has_backup(c.uid, uids[1]) && clock_mono_ms() < until;)
		usleep(5000);
	EXPECT(!has_backup(c.uid, uids[1]), "what is over by any clock stays");
	EXPECT(has_backup(c.uid, uids[0]) && has_backup(c.uid, uids[2]),
	       "what is over by a clock that may be wrong is gone");
	stop();
	end();
}

/* ---- what does not get well ---- */

/* When the recoveries of a cache were made, the first ones first; how many there are. */
static size_t recoveries_of(int64_t cache_id, int64_t at[], size_t max)
{
	struct task_row *rows;
	size_t n = 0, n_found = 0;
	int64_t total = 0;
	struct cache_task_filter f = { .project_id = PROJECT, .cache_id = cache_id, .created_from = INT64_MIN,
				       .created_until = INT64_MAX, .limit = 100 };
	EXPECT(engine_cache_task_list(view, &f, arena, &rows, &n, &total, NULL) == V_OK, "list");
	for (size_t i = n; i > 0 && n_found < max; i--) { /* newest first */
		if (strcmp(rows[i - 1].kind, "AutoRecovery") == 0)
			at[n_found++] = rows[i - 1].created_at;
	}
	return n_found;
}

/* Each recovery takes longer than a round of the keeper, and none helps. */
TEST(recoveries_that_do_not_help_come_later_and_later)
{
	int64_t at[3] = { 0 };
	begin();
	start(1);
	struct cache_create c = create("single", 128); /* of nodes that nobody made */
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	set_child("sleep 1.2; echo '{\"result\":{}}' >&3");
	int64_t id = get(c.uid).id;
	for (int64_t until = clock_mono_ms() + 60000; recoveries_of(id, at, 3) < 3 && clock_mono_ms() < until;
	     usleep(50000))
		arena_reset(arena);
	EXPECT(at[1] - at[0] >= 1900, "after %lld ms", (long long)(at[1] - at[0]));
	EXPECT(at[2] - at[1] >= 3900, "after %lld ms", (long long)(at[2] - at[1]));
	stop();
	end();
}

/* ---- what the log says of a trouble that lasts ---- */

static void set_state(const char *uid, const char *state)
{
	char path[4200], sql[4200];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	(void)snprintf(sql, sizeof sql, "UPDATE cache SET state = '%s' WHERE uid = '%s'", state, uid);
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_busy_timeout(db, 10000) == SQLITE_OK &&
		       sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK && sqlite3_changes(db) == 1,
	       "%s", sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}

static int times_logged(const char *what)
{
	char path[4200];
	struct buf text;
	int n = 0;

	(void)snprintf(path, sizeof path, "%s/log", data_dir);
	buf_init(&text, 16 << 20);
	EXPECT(file_read(path, &text, NULL) == RC_OK, "no log");
	for (const char *at = strstr(buf_text(&text), what); at; at = strstr(at + 1, what))
		n++;
	buf_fini(&text);
	return n;
}

static bool is_logged(const char *what)
{
	for (int64_t until = clock_mono_ms() + 20000; clock_mono_ms() < until; usleep(20000)) {
		if (times_logged(what))
			return true;
	}
	return false;
}

TEST(a_trouble_that_lasts_is_logged_when_it_begins_and_when_it_ends)
{
	char first_says[80], second_says[80], path[4200];
	begin();
	(void)snprintf(path, sizeof path, "%s/log", data_dir);
	int log_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), stderr_fd = dup(STDERR_FILENO);
	EXPECT(log_fd >= 0 && dup2(log_fd, STDERR_FILENO) >= 0, "log");
	start(1);
	struct cache_create first = create("single", 128), second = create("single", 128);
	EXPECT(ended(first.task_id).state == TASK_SUCCESS && ended(second.task_id).state == TASK_SUCCESS, "created");
	(void)snprintf(first_says, sizeof first_says, "cache.description cache=%s", first.uid);
	(void)snprintf(second_says, sizeof second_says, "cache.description cache=%s", second.uid);
	const char *sound = get(first.uid).state;
	set_state(first.uid, "x");
	EXPECT(is_logged(first_says), "the first");
	set_state(second.uid, "x");
	EXPECT(is_logged(second_says), "the second"); /* by a later look, which has met the first again */
	EXPECT(times_logged(first_says) == 1, "%d times", times_logged(first_says));
	set_state(first.uid, sound);
	EXPECT(is_logged("keeper.trouble_over was=cache.description"), "its end");
	stop();
	EXPECT(times_logged(first_says) == 1, "%d times", times_logged(first_says));
	(void)dup2(stderr_fd, STDERR_FILENO);
	(void)close(stderr_fd);
	(void)close(log_fd);
	end();
}

/* ---- analyses that run by themselves; the keeper looks every second ---- */

/* A schedule whose first firing was due a moment ago. */
static struct schedule_row overdue(const char *uid, enum scan_kind kind, int64_t interval_s)
{
	int64_t now = clock_wall_ms();
	struct schedule_set c = { .project_id = PROJECT,
				  .uid = uid,
				  .kind = kind,
				  .asked_at = now - 20000,
				  .row = { .is_enabled = 1,
					   .times = "",
					   .first_at = now - 10000,
					   .interval_s = interval_s,
					   .timeout_s = 7200,
					   .batch = 10 } };
	CALL(engine_schedule_set, &c);
	EXPECT(c.base.verdict == V_OK && c.row.next_at == now - 10000, "%s: %lld", verdict_name(c.base.verdict),
	       (long long)c.row.next_at);
	return c.row;
}

static struct schedule_row schedule_of(const char *uid, enum scan_kind kind)
{
	struct schedule_row row = { .next_at = -1, .skipped_why = "" };
	(void)engine_schedule_get(view, get(uid).id, kind, arena, &row, NULL);
	return row;
}

/* Until the schedule's due firing was dealt with. */
static struct schedule_row fired(const char *uid, enum scan_kind kind)
{
	struct schedule_row row = schedule_of(uid, kind);
	for (int64_t until = clock_mono_ms() + 20000;
	     row.next_at && row.next_at <= clock_wall_ms() && clock_mono_ms() < until; usleep(5000))
		row = schedule_of(uid, kind);
	return row;
}

/* Of a description that names no node, so that the keeper does not find the processes missing which a
 * script never made. */
static struct cache_create create_without_nodes(void)
{
	set_child("echo '{\"result\":{\"cache\":{\"mode\":\"single\",\"host\":\"127.9.9.9\",\"port\":7000}}}' >&3");
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	return c;
}

static size_t scans_of(const char *uid, enum scan_kind kind, struct scan_row **rows)
{
	size_t n = 0;
	int64_t total = 0;
	struct scan_filter f = { .cache_id = get(uid).id, .kind = kind, .limit = 1000 };
	EXPECT(engine_scan_list(view, &f, arena, rows, &n, &total, NULL) == V_OK, "list");
	return n;
}

TEST(a_schedule_fires_once_for_all_that_was_missed)
{
	struct scan_row *rows;
	begin();
	start(1);
	struct cache_create c = create_without_nodes();
	set_child("cp task.json ../task.json; echo '{\"result\":{\"scan\":{\"num\":3}}}' >&3");
	(void)overdue(c.uid, SCAN_EXPIRE, 9); /* two firings are missed */
	struct schedule_row row = fired(c.uid, SCAN_EXPIRE);
	EXPECT((row.next_at - row.first_at) % 9000 == 0 && row.next_at > clock_wall_ms() - 9000, "on the grid: %lld",
	       (long long)(row.next_at - row.first_at));
	struct schedule_set off = {
		.project_id = PROJECT, .uid = c.uid, .kind = SCAN_EXPIRE, .asked_at = clock_wall_ms(), .row = row
	};
	off.row.is_enabled = 0;
	CALL(engine_schedule_set, &off);
	EXPECT(off.base.verdict == V_OK && off.row.next_at == 0, "switched off: %lld", (long long)off.row.next_at);
	size_t n = scans_of(c.uid, SCAN_EXPIRE, &rows);
	EXPECT(n == 1 && strcmp(rows[0].type, "auto") == 0, "%zu scans", n);
	struct task_row t = ended(rows[0].task_id);
	EXPECT(t.state == TASK_SUCCESS && strstr(t.params, "\"batch\":10") && strstr(t.params, "\"timeout_s\":7200"),
	       "%s", t.params);
	EXPECT(strstr(t.params, "\"user_name\":\"system\""), "%s", t.params);
	stop();
	start(1);
	EXPECT(schedule_of(c.uid, SCAN_EXPIRE).next_at == 0 && schedule_of(c.uid, SCAN_EXPIRE).batch == 10,
	       "kept over a restart");
	stop();
	end();
}

TEST(a_firing_that_meets_a_scan_is_skipped_and_told)
{
	struct scan_row *rows;
	struct event_row *events;
	size_t n = 0, skipped = 0;
	begin();
	start(1);
	struct cache_create c = create_without_nodes();
	stop();
	start(0); /* from here on everything waits */
	struct scan_create s = {
		.project_id = PROJECT, .uid = c.uid, .kind = SCAN_BIGKEY, .actor = actor, .type = "manual", .args = "{}"
	};
	CALL(engine_scan_create, &s);
	EXPECT(s.base.verdict == V_OK, "%s", verdict_name(s.base.verdict));
	(void)overdue(c.uid, SCAN_BIGKEY, 0);
	struct schedule_row row = fired(c.uid, SCAN_BIGKEY);
	EXPECT(row.next_at == 0 && row.skipped_at > 0 && strstr(row.skipped_why, "unfinished"), "%lld %s",
	       (long long)row.next_at, row.skipped_why);
	(void)overdue(c.uid, SCAN_BIGKEY, 0);
	EXPECT(fired(c.uid, SCAN_BIGKEY).skipped_at > row.skipped_at, "skipped again");
	EXPECT(scans_of(c.uid, SCAN_BIGKEY, &rows) == 1, "no second one");
	EXPECT(engine_task_events(view, s.row.task_id, arena, &events, &n, NULL) == V_OK, "events");
	for (size_t i = 0; i < n; i++)
		skipped += strcmp(events[i].kind, "skipped") == 0;
	EXPECT(skipped == 1, "told once: %zu events", skipped);
	(void)overdue(c.uid, SCAN_HOTKEY, 0);
	row = fired(c.uid, SCAN_HOTKEY);
	EXPECT(row.next_at == 0 && strstr(row.skipped_why, "maxmemory-policy"), "%s", row.skipped_why);
	EXPECT(scans_of(c.uid, SCAN_HOTKEY, &rows) == 0, "none is made");
	stop();
	end();
}

TEST(a_firing_waits_for_an_instance_and_goes_with_it)
{
	struct scan_row *rows;
	begin();
	start(0);
	struct cache_create c = create("single", 128);
	(void)overdue(c.uid, SCAN_BIGKEY, 0);
	struct schedule_row row = fired(c.uid, SCAN_BIGKEY);
	EXPECT(row.next_at > clock_wall_ms() && row.next_at <= clock_wall_ms() + SCAN_LATER_MS && !row.skipped_at,
	       "being created: %lld", (long long)row.next_at);
	EXPECT(scans_of(c.uid, SCAN_BIGKEY, &rows) == 0, "none is made");
	stop();
	start(1);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "created");
	int64_t cache_id = get(c.uid).id;
	EXPECT(engine_schedule_get(view, cache_id, SCAN_BIGKEY, arena, &row, NULL) == V_OK, "there");
	EXPECT(operate(c.uid, CACHE_OP_DELETE, "{}", false).base.verdict == V_OK, "deleted");
	EXPECT(engine_schedule_get(view, cache_id, SCAN_BIGKEY, arena, &row, NULL) == V_NO_RECORD,
	       "and with it its schedule");
	struct schedule_set set = { .project_id = PROJECT, .uid = c.uid, .kind = SCAN_BIGKEY, .row = { .times = "" } };
	CALL(engine_schedule_set, &set);
	EXPECT(set.base.verdict == V_NO_INSTANCE, "%s", verdict_name(set.base.verdict));
	stop();
	end();
}

static int64_t scan_of_type(const char *uid, const char *type)
{
	struct scan_create s = {
		.project_id = PROJECT, .uid = uid, .kind = SCAN_BIGKEY, .actor = actor, .type = type, .args = "{}"
	};
	CALL(engine_scan_create, &s);
	EXPECT(s.base.verdict == V_OK && ended(s.row.task_id).state == TASK_SUCCESS, "%s",
	       verdict_name(s.base.verdict));
	return s.row.task_id;
}

/* As if that many scans had run since. */
static void add_records(int64_t cache_id, int n)
{
	struct store *s = NULL;
	char path[4200], uid[37];
	struct err err = { 0 };

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, &err) == RC_OK, "%s", err.msg);
	for (int i = 0; s && i < n; i++) {
		cache_new_uid(uid);
		struct scan_row row = { .uid = uid,
					.cache_id = cache_id,
					.kind = "bigkey",
					.type = "auto",
					.status = "success",
					.created_at = clock_wall_ms() };
		EXPECT(store_insert(s, &table_scan, &row, &err) == RC_OK, "%s", err.msg);
	}
	store_close(s);
}

static void log_path_of(int64_t task_id, char out[PATH_MAX])
{
	struct task_row t = ended(task_id);
	struct instance_row unit;
	EXPECT(row_instance(view->store, t.instance_id, arena, &unit, NULL) == RC_OK, "unit");
	engine_task_log_path(engine, &unit, t.generation, out);
}

/* A hundred records stay; what is beyond goes with its task, unless somebody asked for it. */
TEST(old_automatic_scans_go_with_their_tasks)
{
	struct scan_row *rows;
	struct task_row t;
	char log[PATH_MAX];
	begin();
	start(1);
	struct cache_create c = create_without_nodes();
	set_child("echo '{\"result\":{\"scan\":{\"num\":0}}}' >&3");
	int64_t oldest = scan_of_type(c.uid, "auto"), manual = scan_of_type(c.uid, "manual"),
		third = scan_of_type(c.uid, "auto");
	int64_t cache_id = get(c.uid).id;
	log_path_of(oldest, log);
	EXPECT(access(log, F_OK) == 0, "%s", log);
	stop();
	add_records(cache_id, 97);
	start(1);
	(void)scan_of_type(c.uid, "auto");
	(void)scan_of_type(c.uid, "auto");
	EXPECT(scans_of(c.uid, SCAN_BIGKEY, &rows) == 100, "%zu", scans_of(c.uid, SCAN_BIGKEY, &rows));
	EXPECT(rows[99].task_id == third, "the oldest that is kept");
	EXPECT(engine_cache_task_get(view, PROJECT, 0, oldest, arena, &t, NULL) == V_NO_TASK, "the oldest");
	EXPECT(engine_cache_task_get(view, PROJECT, 0, manual, arena, &t, NULL) == V_OK, "one that was asked for");
	EXPECT(engine_cache_task_get(view, PROJECT, 0, third, arena, &t, NULL) == V_OK, "one that is kept");
	stop();
	EXPECT(access(log, F_OK) != 0, "the log went too");
	end();
}

/* The real child and real processes, when the program was built beside this test and redis-server is there. */
TEST(the_real_child_makes_keeps_and_deletes_redis)
{
	static const char stint[] = TEST_BUILD_DIR "/stint";
	struct task_row t;
	if (access(stint, X_OK) != 0 || system_has_no_redis()) {
		printf("skipped the_real_child_makes_keeps_and_deletes_redis: no stint or no redis-server\n");
		return;
	}
	begin();
	(void)snprintf(child, sizeof child, "%s", stint);
	start(1);
	struct cache_create c = create("ha", 128);
	t = ended(c.task_id);
	EXPECT(t.state == TASK_SUCCESS, "create: %s", t.error_message);
	struct cache_row row = get(c.uid);
	EXPECT(strcmp(row.status, "RUNNING") == 0 && is_serving(row.state), "%s %s", row.status, row.state);
	struct cache_operate o = operate(c.uid, CACHE_OP_SWAP, "{}", true);
	EXPECT(o.is_success && strstr(get(c.uid).state, "\"master\":1"), "swap: %s", o.base.err.msg);
	o = operate(c.uid, CACHE_OP_EXTEND, "{\"capacity\":268435456,\"capacity_mib\":256,\"spec_code\":\"s\"}", true);
	EXPECT(o.is_success && get(c.uid).capacity_mib == 256, "resize: %s", o.base.err.msg);
	EXPECT(is_backed_up_by_plan(c.uid), "the plan of this hour");
	struct scan_row scan = scanned(c.uid, SCAN_BIGKEY);
	EXPECT(strcmp(scan.status, "success") == 0 && strstr(scan.result, "\"keys\":["), "big keys: %s %s", scan.status,
	       scan.result);
	scan = scanned(c.uid, SCAN_OFFLINE);
	EXPECT(strcmp(scan.status, "success") == 0 && strstr(scan.result, "largest_keys"), "offline: %s %s",
	       scan.status, scan.result);
	scan = scanned(c.uid, SCAN_HOTKEY);
	EXPECT(strcmp(scan.status, "failed") == 0, "hot keys need an lfu policy: %s", scan.status);
	scan = scanned(c.uid, SCAN_EXPIRE);
	EXPECT(strcmp(scan.status, "success") == 0 && scan.ended_at >= scan.started_at, "expired keys: %s",
	       scan.status);
	struct cache_figures figures = { .max_memory = 0 };
	for (int64_t until = clock_mono_ms() + 10000; figures.max_memory != 268435456 && clock_mono_ms() < until;
	     usleep(50000))
		(void)engine_cache_figures(engine, row.id, &figures);
	EXPECT(figures.max_memory == 268435456 && figures.used_memory > 0, "figures: %lld",
	       (long long)figures.max_memory);
	struct waiter w = WAITER;
	struct cache_ask ask = { .done = asked,
				 .ctx = &w,
				 .kind = ASK_SLOW_LOG,
				 .state = get(c.uid).state,
				 .arena = arena,
				 .node = 1,
				 .max = 10 };
	engine_cache_ask(engine, &ask);
	waiter_wait(&w);
	EXPECT(ask.rc == RC_OK, "slow log: %s", ask.err.msg);
	kill_master(get(c.uid).state);
	bool is_back = false;
	for (int64_t until = clock_mono_ms() + 20000; !is_back && clock_mono_ms() < until; usleep(50000))
		is_back =
			strcmp(get(c.uid).status, "RUNNING") == 0 && is_serving(get(c.uid).state) && was_mended(row.id);
	EXPECT(is_back, "the keeper: %s", get(c.uid).status);
	o = operate(c.uid, CACHE_OP_DELETE, "{}", false);
	for (int64_t until = clock_mono_ms() + 10000; o.base.verdict == V_INSTANCE_BUSY && clock_mono_ms() < until;
	     usleep(50000))
		o = operate(c.uid, CACHE_OP_DELETE, "{}", false);
	t = ended(o.task_id);
	EXPECT(t.state == TASK_SUCCESS, "delete: %s", t.error_message);
	EXPECT(!is_serving(row.state), "no process is left");
	stop();
	end();
}

static void set_next_at(int64_t next_at)
{
	char path[4200], sql[100];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	(void)snprintf(sql, sizeof sql, "UPDATE schedule SET next_at=%lld", (long long)next_at);
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
	       sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}

TEST(a_scan_that_a_clock_far_ahead_has_planned_is_planned_anew)
{
	const int64_t day_ms = 86400000;
	begin();
	start(4);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "made");
	int64_t now = clock_wall_ms();
	struct schedule_set set = { .project_id = PROJECT, .uid = c.uid, .kind = SCAN_BIGKEY, .asked_at = now,
				    .row = { .is_enabled = 1, .times = "00:00,12:00", .skipped_why = "" } };
	CALL(engine_schedule_set, &set);
	int64_t planned = set.row.next_at;
	EXPECT(set.base.verdict == V_OK && planned > now && planned <= now + day_ms, "%lld", (long long)planned);
	stop();
	set_next_at(planned + 3650 * day_ms);
	start(4);
	int64_t next = 0;
	for (int64_t until = clock_mono_ms() + 10000; next - now > day_ms || !next; usleep(5000)) {
		next = schedule_of(c.uid, SCAN_BIGKEY).next_at;
		if (clock_mono_ms() > until)
			break;
	}
	EXPECT(next == planned || next == planned + day_ms / 2, "%lld", (long long)(next - planned));
	stop();
	end();
}

/* As if that many had been made and deleted over the years. */
static void count_as_made(int64_t n)
{
	char path[4200], sql[100];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	(void)snprintf(sql, sizeof sql, "UPDATE sqlite_sequence SET seq=%lld WHERE name='cache'", (long long)n);
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
	       sqlite3_errmsg(db));
	EXPECT(sqlite3_changes(db) == 1, "no such counter");
	(void)sqlite3_close(db);
}

/* There are 65536 places for addresses, and instances come and go: those of deleted ones are given again. */
TEST(addresses_of_deleted_caches_are_given_again)
{
	enum { PLACES = 65536 };
	begin();
	start(4);
	struct cache_create kept = create("single", 128), gone = create("single", 128);
	EXPECT(ended(kept.task_id).state == TASK_SUCCESS && ended(gone.task_id).state == TASK_SUCCESS, "made");
	const char *kept_ip = get(kept.uid).ip, *gone_ip = get(gone.uid).ip;
	EXPECT(ended(operate(gone.uid, CACHE_OP_DELETE, "{}", false).task_id).state == TASK_SUCCESS, "deleted");
	stop();
	count_as_made(PLACES);
	start(4);
	struct cache_create next = create("single", 128);
	EXPECT(next.base.verdict == V_OK, "%s: %s", verdict_name(next.base.verdict), next.base.err.msg);
	const char *next_ip = next.base.verdict == V_OK ? get(next.uid).ip : "";
	EXPECT(strcmp(next_ip, kept_ip) != 0, "two live ones at %s", kept_ip);
	EXPECT(strcmp(next_ip, gone_ip) == 0, "%s instead of the place that is free, %s", next_ip, gone_ip);
	EXPECT(strcmp(get(kept.uid).ip, kept_ip) == 0, "the old one has moved");
	stop();
	end();
}

/* Let the second node of the cache be the 63rd that it has had, at that one's address. */
static void age_replica(const char *uid)
{
	struct cache_row row = get(uid);
	char from[64], script[8192];
	int len = (int)strlen(row.ip), last = 0;

	while (row.ip[len - 1] != '.')
		len--;
	last = (int)strtol(row.ip + len, NULL, 10);
	(void)snprintf(from, sizeof from, "\"number\":2,\"host\":\"%.*s%d\"", len, row.ip, last + 2);
	const char *at = strstr(row.state, from);
	EXPECT(at, "%s is not in %s", from, row.state);
	if (!at)
		return;
	(void)snprintf(script, sizeof script,
	               "cat >&3 <<'.'\n{\"result\":{\"cache\":%.*s\"number\":63,\"host\":\"%.*s%d\"%s}}\n.",
	               (int)(at - row.state), row.state, len, row.ip, last + 63, at + strlen(from));
	set_child(script);
	EXPECT(ended(operate(uid, CACHE_OP_RESTART, "{}", false).task_id).state == TASK_SUCCESS, "aged");
	EXPECT(strstr(get(uid).state, "\"number\":63"), "%s", get(uid).state);
}

/* An instance has 63 addresses for its nodes, and replicas come and go. */
TEST(addresses_of_removed_replicas_are_given_again)
{
	char script[4300], path[4200], spare[64];
	struct buf orders;
	int prefix_len;

	begin();
	start(4);
	struct cache_create c = create("ha", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "made");
	age_replica(c.uid);
	(void)snprintf(path, sizeof path, "%s/orders", data_dir);
	(void)snprintf(script, sizeof script, "cp \"$STINT_TASK\" '%s'; echo '{\"result\":{}}' >&3", path);
	set_child(script);
	EXPECT(ended(operate(c.uid, CACHE_OP_ADD_REPLICA, "{}", false).task_id).state == TASK_SUCCESS, "added");
	buf_init(&orders, 65536);
	EXPECT(file_read(path, &orders, NULL) == RC_OK, "no orders");
	const char *ip = get(c.uid).ip;
	prefix_len = (int)(strrchr(ip, '.') + 1 - ip);
	(void)snprintf(spare, sizeof spare, "\"spare_host\":\"%.*s%d\"", prefix_len, ip,
	               (int)strtol(ip + prefix_len, NULL, 10) + 2);
	EXPECT(strstr(buf_text(&orders), spare), "not %s in %s", spare, buf_text(&orders));
	buf_fini(&orders);
	stop();
	end();
}

/* ---- a Redis that takes connections and says nothing ---- */

static int listen_at(const char *host, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(fd >= 0 && inet_pton(AF_INET, host, &at.sin_addr) == 1, "%s", host);
	EXPECT(bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 128) == 0, "%s", host);
	return fd;
}

static void count_answer(struct cache_ask *q)
{
	atomic_int *n = q->ctx;
	atomic_fetch_add(n, 1);
}

TEST(a_stop_waits_for_no_answers_of_redis)
{
	enum { QUESTIONS = 12, ASK_MS = 3000 /* as asker.c has it */ };
	static const char secret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static struct cache_ask asks[QUESTIONS];
	struct err err = { 0 };
	char dir[4200], path[4300];
	atomic_int n_answered = 0;

	begin();
	start(4);
	struct cache_create c = create("single", 128);
	EXPECT(ended(c.task_id).state == TASK_SUCCESS, "made");
	struct cache_row row = get(c.uid);
	(void)snprintf(dir, sizeof dir, "%s/cache/%s", data_dir, c.uid);
	(void)snprintf(path, sizeof path, "%s/admin.key", dir);
	EXPECT(dir_make(dir, 0700, &err) == RC_OK && file_replace(path, secret, sizeof secret - 1, 0600, &err) == RC_OK,
	       "%s", err.msg);
	int silent = listen_at(row.ip, (int)row.port);
	for (int i = 0; i < QUESTIONS; i++) {
		asks[i] = (struct cache_ask){ .done = count_answer,
					      .ctx = &n_answered,
					      .kind = ASK_CLIENTS,
					      .state = row.state,
					      .arena = arena,
					      .node = 1,
					      .max = 10 };
		engine_cache_ask(engine, &asks[i]);
	}
	int64_t from = clock_mono_ms();
	stop();
	int64_t took = clock_mono_ms() - from;
	EXPECT(atomic_load(&n_answered) == QUESTIONS, "%d were answered", atomic_load(&n_answered));
	EXPECT(took < QUESTIONS * ASK_MS / 2, "it took %lld ms", (long long)took);
	for (int i = 0; i < QUESTIONS; i++)
		EXPECT(asks[i].rc == RC_TIMEOUT, "%d: %s", i, asks[i].err.msg);
	(void)close(silent);
	end();
}

int main(void)
{
	RUN(a_cache_is_made_and_its_description_kept);
	RUN(a_result_replaces_the_description);
	RUN(a_failure_leaves_the_description_and_tells_who_waits);
	RUN(a_failure_keeps_the_processes_it_left_and_nothing_else);
	RUN(tags_are_merged_where_no_change_is_lost);
	RUN(what_the_machine_made_fail_is_recovered_in_the_same_breath);
	RUN(a_create_that_the_machine_made_fail_is_cleared_away);
	RUN(a_busy_cache_says_with_what_and_a_deleted_one_is_gone_at_once);
	RUN(a_bounded_list_takes_memory_for_its_page_only);
	RUN(quotas_lists_and_the_other_dialect);
	RUN(deleted_caches_are_listed_by_the_page);
	RUN(backups_follow_their_task);
	RUN(a_backup_is_not_old_because_a_clock_is_ahead);
	RUN(one_scan_of_a_kind_at_a_time_beside_an_operation);
	if (getenv("STINT_QUICK"))
		printf("skipped recoveries_that_do_not_help_come_later_and_later: it takes ten seconds\n");
	else
		RUN(recoveries_that_do_not_help_come_later_and_later);
	RUN(a_trouble_that_lasts_is_logged_when_it_begins_and_when_it_ends);
	RUN(a_schedule_fires_once_for_all_that_was_missed);
	RUN(a_scan_that_a_clock_far_ahead_has_planned_is_planned_anew);
	RUN(a_firing_that_meets_a_scan_is_skipped_and_told);
	RUN(a_firing_waits_for_an_instance_and_goes_with_it);
	RUN(old_automatic_scans_go_with_their_tasks);
	RUN(addresses_of_deleted_caches_are_given_again);
	RUN(addresses_of_removed_replicas_are_given_again);
	RUN(a_stop_waits_for_no_answers_of_redis);
	RUN(the_real_child_makes_keeps_and_deletes_redis);
	return test_failures != 0;
}
