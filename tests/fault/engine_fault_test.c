/* App groups, instances, tasks and access keys, changed while every call below fails in turn (change.h). */
#include "base/must.h"
#include "change.h"
#include "engine/keys.h"
#include "os/file.h"
#include "test.h"

static void prepare_nothing(const char *name) { (void)name; }

/* ---- app groups ---- */

static enum verdict create_app(const char *name, struct err *err)
{
	struct app_create c = { .row = { .account = "1", .name = name, .type = "enhanced", .charge_type = "POSTPAY",
					 .quota = "{}", .tags = "[]" } };
	CALL(engine_app_create, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_app(const char *name)
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
	return change_answer(&c.base, err);
}

static enum change_state look_removed_app(const char *name)
{
	struct app_row row;
	return change_both(!world_app(name, &row), world_count(&table_instance, "app_id", other_app_id) == 0);
}

/* ---- instances ---- */

static enum verdict create_instance(const char *name, struct err *err)
{
	struct param p = { "colour", "red" };
	struct instance_create c = { .app_id = world.app_id,
				     .function = "ok",
				     .name = name,
				     .model_type = "script",
				     .function_type = "PAAS",
				     .description = "d",
				     .cron = "0 3 ? * *",
				     .usage_params = &p };
	CALL(engine_instance_create, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_instance(const char *name)
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
	return change_answer(&c.base, err);
}

static enum change_state look_updated(const char *name)
{
	struct instance_row i;
	return world_instance("ok", name, &i) ? change_both(strcmp(i.description, "new") == 0, i.cron_next_at > 0)
					      : TORN;
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
	return change_answer(&c.base, err);
}

static enum change_state look_deleted_instance(const char *name)
{
	struct instance_row i;
	return change_both(!world_instance("ok", name, &i), world_count(&table_task, "instance_id", instance_id) == 0);
}

static enum verdict set_default(const char *name, struct err *err)
{
	struct default_set c = { .app_id = world.app_id, .function = "ok", .instance = name };
	CALL(engine_default_set, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_default(const char *name)
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
	return change_answer(&c.base, err);
}

static enum change_state look_task(const char *name)
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
	return change_answer(&c.base, err);
}

static enum change_state look_deleted_task(const char *name)
{
	struct task_row t;
	(void)name;
	return change_both(!world_task(instance_id, 1, &t), world_count(&table_event, "task_id", task_id) == 0);
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
static enum change_state look_key(const char *name)
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

static const struct change_op ops[] = {
	{ "create app group", prepare_nothing, create_app, look_app, ALL_KINDS },
	{ "remove app group", prepare_app, remove_app, look_removed_app, ALL_KINDS },
	{ "create instance", prepare_nothing, create_instance, look_instance, ALL_KINDS },
	{ "update instance", prepare_instance, update_instance, look_updated, ALL_KINDS },
	{ "delete instance", prepare_ended, delete_instance, look_deleted_instance, ALL_KINDS },
	{ "set default", prepare_instance, set_default, look_default, ALL_KINDS },
	{ "create task", prepare_instance, create_task, look_task, ALL_KINDS },
	{ "delete task", prepare_ended, delete_task, look_deleted_task, ALL_KINDS },
	{ "create key", prepare_nothing, create_key, look_key, ALL_KINDS },
};

TEST(every_change_is_whole_or_absent_and_answered_so)
{
	change_loops(ops, ARRAY_LEN(ops));
}

int main(void)
{
	change_begin();
	RUN(every_change_is_whole_or_absent_and_answered_so);
	world_end();
	return test_failures != 0;
}
