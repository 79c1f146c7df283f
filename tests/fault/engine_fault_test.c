/*
 * Every change of the engine with every call below it failing in turn. For each operation and each kind of fault: the
 * n-th call fails, n = 1, 2, 3 ... until none is left to fail; after each the answer was honest (done: it is there whole;
 * not now: nothing is there; failed: whole or absent), and the engine takes changes again by itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/must.h"
#include "engine/cache.h"
#include "engine/keys.h"
#include "os/file.h"
#include "test.h"
#include "world.h"

enum { N_MAX = 1 << 20 };

/* ---- the faults ---- */

#define DB_ALL (KIND(DB_OPEN) | KIND(DB_READ) | KIND(DB_WRITE) | KIND(DB_INDEX) | KIND(DB_SYNC) | KIND(DB_TRUNCATE) | KIND(DB_UNLINK) | KIND(DB_MMAP))

/* Under SQLite, for changes that only touch the store. */
static const struct inject_plan store_plans[] = {
	{ .what = "an I/O error once", .kinds = DB_ALL, .sys = EIO },
	{ .what = "I/O errors from then on", .kinds = DB_ALL, .sys = EIO, .goes_on = true },
	{ .what = "a full disk once", .kinds = KIND(DB_WRITE) | KIND(DB_TRUNCATE) | KIND(DB_INDEX), .sys = ENOSPC },
	{ .what = "a full disk from then on", .kinds = KIND(DB_WRITE) | KIND(DB_TRUNCATE) | KIND(DB_INDEX) | KIND(DB_OPEN), .sys = ENOSPC, .goes_on = true },
	{ .what = "a failing fsync", .kinds = KIND(DB_SYNC), .sys = EIO },
	{ .what = "an interrupted call", .kinds = KIND(DB_READ) | KIND(DB_WRITE) | KIND(DB_OPEN), .sys = EINTR, .is_invisible = true },
	{ .what = "a short write", .kinds = KIND(DB_WRITE), .is_invisible = true },
	{ .what = "no memory once", .kinds = KIND(DB_MEMORY), .sys = ENOMEM },
	{ .what = "no memory from then on", .kinds = KIND(DB_MEMORY), .sys = ENOMEM, .goes_on = true },
	{ .what = "no memory for JSON", .kinds = KIND(JSON_MEMORY), .sys = ENOMEM },
	{ .what = "a full arena", .kinds = KIND(ARENA), .sys = ENOMEM },
};

/* ---- what an operation left behind ---- */

enum state { BEFORE, AFTER, TORN };

struct op {
	const char *name;
	void (*prepare)(const char *name);
	enum verdict (*run)(const char *name, struct err *err);
	enum state (*look)(const char *name);
};

static enum state both(bool is_first, bool is_second) { return is_first != is_second ? TORN : is_first ? AFTER : BEFORE; }

static enum verdict answer(const struct change *c, struct err *err)
{
	*err = c->err;
	return c->verdict;
}

static void prepare_nothing(const char *name) { (void)name; }

/* ---- app groups ---- */

static enum verdict create_app(const char *name, struct err *err)
{
	struct app_create c = { .row = { .account = "1", .name = name, .type = "enhanced", .charge_type = "POSTPAY",
					 .quota = "{}", .tags = "[]" } };
	CALL(engine_app_create, &c);
	return answer(&c.base, err);
}

static enum state look_app(const char *name)
{
	struct app_row row;
	return world_app(name, &row) ? AFTER : BEFORE;
}

static int64_t other_app_id;

static void prepare_app(const char *name)
{
	struct err err = { 0 };
	struct app_row row;
	int64_t shop = world.app_id;

	must(create_app(name, &err) == V_OK && world_app(name, &row));
	world.app_id = other_app_id = row.id;
	world_make_instance("ok", "one", "");
	world.app_id = shop;
}

static enum verdict remove_app(const char *name, struct err *err)
{
	struct app_remove c = { .account = "1", .identity = name };
	CALL(engine_app_remove, &c);
	return answer(&c.base, err);
}

static enum state look_removed_app(const char *name)
{
	struct app_row row;
	return both(!world_app(name, &row), world_count(&table_instance, "app_id", other_app_id) == 0);
}

/* ---- instances ---- */

static enum verdict create_instance(const char *name, struct err *err)
{
	struct param p = { "colour", "red" };
	struct instance_create c = { .app_id = world.app_id, .function = "ok", .name = name, .model_type = "script",
				     .function_type = "PAAS", .description = "d", .cron = "0 3 ? * *", .usage_params = &p };
	CALL(engine_instance_create, &c);
	return answer(&c.base, err);
}

static enum state look_instance(const char *name)
{
	struct instance_row i;
	if (!world_instance("ok", name, &i))
		return BEFORE;
	return strcmp(i.description, "d") == 0 && i.cron_next_at > 0 ? AFTER : TORN;
}

static void prepare_instance(const char *name) { world_make_instance("ok", name, ""); }

static enum verdict update_instance(const char *name, struct err *err)
{
	struct instance_update c = { .app_id = world.app_id, .function = "ok", .name = name, .description = "new",
				     .cron = "0 3 ? * *" };
	CALL(engine_instance_update, &c);
	return answer(&c.base, err);
}

static enum state look_updated(const char *name)
{
	struct instance_row i;
	return world_instance("ok", name, &i) ? both(strcmp(i.description, "new") == 0, i.cron_next_at > 0) : TORN;
}

static int64_t instance_id, task_id;

/* An instance with a task that has ended. */
static void prepare_ended(const char *name)
{
	struct instance_row i;
	struct task_row t;

	world_make_instance("ok", name, "");
	world_make_task("ok", name);
	must(world_instance("ok", name, &i) && world_task(i.id, 1, &t));
	world_set_task(i.id, 1, TASK_SUCCESS, 1, 0, 0);
	instance_id = i.id;
	task_id = t.id;
}

static enum verdict delete_instance(const char *name, struct err *err)
{
	struct instance_delete c = { .app_id = world.app_id, .function = "ok", .name = name };
	CALL(engine_instance_delete, &c);
	return answer(&c.base, err);
}

static enum state look_deleted_instance(const char *name)
{
	struct instance_row i;
	return both(!world_instance("ok", name, &i), world_count(&table_task, "instance_id", instance_id) == 0);
}

static enum verdict set_default(const char *name, struct err *err)
{
	struct default_set c = { .app_id = world.app_id, .function = "ok", .instance = name };
	CALL(engine_default_set, &c);
	return answer(&c.base, err);
}

static enum state look_default(const char *name)
{
	struct store *s = world_store(STORE_READER);
	struct engine_view view = { .engine = world.engine, .store = s };
	struct instance_row i;
	enum verdict v = engine_default_get(&view, world.app_id, "ok", world.arena, &i, NULL);
	bool is_set = v == V_OK && strcmp(i.name, name) == 0;
	store_close(s);
	return is_set ? AFTER : BEFORE;
}

/* ---- tasks ---- */

static enum verdict create_task(const char *name, struct err *err)
{
	struct task_create c = { .app_id = world.app_id, .function = "ok", .instance = name };
	CALL(engine_task_create, &c);
	return answer(&c.base, err);
}

static enum state look_task(const char *name)
{
	struct instance_row i;
	struct task_row t;

	must(world_instance("ok", name, &i));
	if (!world_task(i.id, 1, &t))
		return i.last_generation || i.busy_task_id ? TORN : BEFORE;
	bool is_told = world_count(&table_event, "task_id", t.id) == 1;
	return i.last_generation == 1 && i.busy_task_id == t.id && is_told ? AFTER : TORN;
}

static enum verdict delete_task(const char *name, struct err *err)
{
	struct task_delete c = { .app_id = world.app_id, .function = "ok", .instance = name, .generation = 1 };
	CALL(engine_task_delete, &c);
	return answer(&c.base, err);
}

static enum state look_deleted_task(const char *name)
{
	struct task_row t;
	(void)name;
	return both(!world_task(instance_id, 1, &t), world_count(&table_event, "task_id", task_id) == 0);
}

/* ---- instances of the other dialect ---- */

static int64_t count_all(const struct table *t)
{
	struct store *s = world_store(STORE_READER);
	struct query q = { .table = t };
	int64_t n = 0;
	must(store_count(s, &q, &n, NULL) == RC_OK);
	store_close(s);
	return n;
}

static const struct table *const cache_tables[] = { &table_cache, &table_instance, &table_task, &table_cache_task };
static int64_t rows_before[ARRAY_LEN(cache_tables)];

static void prepare_cache(const char *name)
{
	(void)name;
	FOR_EACH_ROW(i, cache_tables)
		rows_before[i] = count_all(cache_tables[i]);
}

static enum verdict create_cache(const char *name, struct err *err)
{
	struct cache_create c = {
		.row = { .project_id = "0123456789abcdef0123456789abcdef", .name = name, .description = "", .engine_version = "7.0",
			 .spec_code = "redis.single.xu1.tiny.128", .cache_mode = "single", .capacity_mib = 128, .ip = "127.9.9.9",
			 .port = 6379, .maintain_begin = "18:00:00", .maintain_end = "19:00:00", .tags = "[]", .backup_policy = "",
			 .echo = "{}" },
		.actor = { "ops", "1" }, .password_hash = "", .renames = "{}", .caches_max = 1 << 20, .memory_max_mib = 1 << 30,
	};
	CALL(engine_cache_create, &c);
	return answer(&c.base, err);
}

static enum state look_cache(const char *name)
{
	int64_t more = count_all(&table_cache) - rows_before[0];
	(void)name;
	FOR_EACH_ROW(i, cache_tables) {
		if (count_all(cache_tables[i]) - rows_before[i] != more)
			return TORN;
	}
	return more ? AFTER : BEFORE;
}

/* ---- access keys: made through a connection of their own, as the command line does ---- */

static struct key_making {
	enum rc rc;
	struct err err;
	char id[64], secret[64];
} making;

/* On a thread of its own, which is not spared. */
static void *make_key(void *arg)
{
	struct arena *a = arena_new(1 << 20);
	struct keyring *k = NULL;
	struct store *s = NULL;
	struct access_key key;
	char path[PATH_MAX];

	inject_single_out(pthread_self());
	making = (struct key_making){ .err = { 0 } };
	must(path_join(path, world.dir, "stint.db", NULL) == RC_OK);
	making.rc = keyring_open(world.dir, &k, &making.err);
	if (making.rc == RC_OK)
		making.rc = store_open_sqlite(path, STORE_WRITER, &s, &making.err);
	if (making.rc == RC_OK)
		making.rc = keyring_create(k, s, NULL, arg, a, &key, &making.err);
	if (making.rc == RC_OK) {
		(void)snprintf(making.id, sizeof making.id, "%s", key.id);
		(void)snprintf(making.secret, sizeof making.secret, "%s", key.secret);
	}
	store_close(s);
	keyring_free(k);
	arena_free(a);
	return NULL;
}

static enum verdict create_key(const char *name, struct err *err)
{
	pthread_t thread;
	char copy[32];

	(void)snprintf(copy, sizeof copy, "%s", name);
	must(pthread_create(&thread, NULL, make_key, copy) == 0);
	must(pthread_join(thread, NULL) == 0);
	*err = making.err;
	return verdict_of(making.rc);
}

/* One that was told is the one that is kept. */
static enum state look_key(const char *name)
{
	struct store *s = world_store(STORE_READER);
	struct query q = { .table = &table_key, .preds = { PRED_TEXT("name", CMP_EQ, name) }, .n_preds = 1 };
	struct access_key key;
	int64_t n = 0;

	must(store_count(s, &q, &n, NULL) == RC_OK);
	bool is_told = making.rc == RC_OK &&
		       keyring_find(world.engine->keys, s, making.id, world.arena, &key, NULL) == RC_OK &&
		       strcmp(key.secret, making.secret) == 0;
	store_close(s);
	return n > 1 || (making.rc == RC_OK && !is_told) ? TORN : n ? AFTER : BEFORE;
}

static const struct op ops[] = {
	{ "create app group", prepare_nothing, create_app, look_app },
	{ "remove app group", prepare_app, remove_app, look_removed_app },
	{ "create instance", prepare_nothing, create_instance, look_instance },
	{ "update instance", prepare_instance, update_instance, look_updated },
	{ "delete instance", prepare_ended, delete_instance, look_deleted_instance },
	{ "set default", prepare_instance, set_default, look_default },
	{ "create task", prepare_instance, create_task, look_task },
	{ "delete task", prepare_ended, delete_task, look_deleted_task },
	{ "create cache", prepare_cache, create_cache, look_cache },
	{ "create key", prepare_nothing, create_key, look_key },
};

/* ---- the loop ---- */

static void judge(const char *what, const struct inject_plan *plan, enum verdict v, const struct err *err, enum state left)
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
static bool try_once(const struct op *op, const struct inject_plan *plan, int n)
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

static void loop(const struct op *op, const struct inject_plan *plan)
{
	char what[128];
	int n = 1, met = 0;

	(void)snprintf(what, sizeof what, "%s, %s", op->name, plan->what);
	world_start(0);
	for (; n < N_MAX && try_once(op, plan, n); n = world_step(n))
		met++;
	EXPECT(n < N_MAX, "%s: no end of faults", what);
	if (getenv("FAULT_VERBOSE"))
		printf("# %s: %d faults met\n", what, met);
	world_check(what);
}

TEST(every_change_is_whole_or_absent_and_answered_so)
{
	const char *only = getenv("FAULT_ONLY");
	FOR_EACH_ROW(i, ops) {
		world_empty();
		FOR_EACH_ROW(k, store_plans) {
			if (!only || strstr(ops[i].name, only) || strstr(store_plans[k].what, only))
				loop(&ops[i], &store_plans[k]);
		}
	}
}

int main(void)
{
	inject_install();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	inject_spare_me();
	setenv("TZ", "UTC", 1);
	tzset();
	world_begin();
	RUN(every_change_is_whole_or_absent_and_answered_so);
	world_end();
	return test_failures != 0;
}
