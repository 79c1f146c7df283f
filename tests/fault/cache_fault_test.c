/* Redis instances, their backups and schedules, changed while every call below fails in turn (change.h). */
#include <stdlib.h>
#include "base/clock.h"
#include "base/must.h"
#include "change.h"
#include "engine/schedule.h"
#include "test.h"

#define BACKUP_UID "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"

static int64_t count_all(const struct table *t)
{
	struct store *s = world_store(STORE_READER);
	struct query q = { .table = t };
	int64_t n = 0;
	must(store_count(s, &q, &n, NULL) == RC_OK);
	store_close(s);
	return n;
}

/* Those of before: a new one is weighed against all there are, so each would add calls to the loop of the next. */
static void forget_all(void)
{
	struct store *s = world_store(STORE_WRITER);
	struct query units = { .table = &table_instance,
			       .preds = { PRED_INT("app_id", CMP_NE, world.app_id) },
			       .n_preds = 1 };

	must(store_delete(s, &units, NULL, NULL) == RC_OK);
	store_close(s);
}

/* ---- a new one ---- */

static const struct table *const parts[] = { &table_cache, &table_instance, &table_task, &table_cache_task };
static int64_t before[ARRAY_LEN(parts)];

static void prepare_none(const char *name)
{
	(void)name;
	forget_all();
	FOR_EACH_ROW(i, parts)
		before[i] = count_all(parts[i]);
}

static enum verdict create_cache(const char *name, struct err *err)
{
	struct cache_create c = world_cache(name, 6379);
	CALL(engine_cache_create, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_cache(const char *name)
{
	int64_t more = count_all(&table_cache) - before[0];
	(void)name;
	FOR_EACH_ROW(i, parts) {
		if (count_all(parts[i]) - before[i] != more)
			return TORN;
	}
	return more ? AFTER : BEFORE;
}

/* ---- one that is there ---- */

static char uid[37];

static void prepare_one(const char *name)
{
	forget_all();
	world_make_cache(name, uid);
	world_set_running(uid);
}

static void row_now(struct cache_row *row)
{
	struct store *s = world_store(STORE_READER);
	must(row_cache(s, WORLD_PROJECT, uid, world.arena, row, NULL) == RC_OK);
	store_close(s);
}

static enum verdict update(const char *name, struct err *err)
{
	struct cache_update c = { .project_id = WORLD_PROJECT,
				  .uid = uid,
				  .description = "new",
				  .maintain_begin = "02:00:00",
				  .maintain_end = "03:00:00",
				  .wrong_passwords = -1,
				  .locked_until = -1 };
	(void)name;
	CALL(engine_cache_update, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_updated(const char *name)
{
	struct cache_row row;
	(void)name;
	row_now(&row);
	return change_both(strcmp(row.description, "new") == 0, strcmp(row.maintain_begin, "02:00:00") == 0);
}

/* The one change of the writer that reads JSON: the tags that are there and those that come. */
static enum verdict tag(const char *name, struct err *err)
{
	struct cache_tag c = {
		.project_id = WORLD_PROJECT,
		.uid = uid,
		.max = 20,
		.tags = "[{\"key\":\"a colour\",\"value\":\"a darker red\"},{\"key\":\"b\",\"value\":\"\"}]"
	};
	(void)name;
	CALL(engine_cache_tag, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_tagged(const char *name)
{
	struct cache_row row;
	(void)name;
	row_now(&row);
	return change_both(strstr(row.tags, "a darker red"), strstr(row.tags, "\"b\""));
}

/* ---- an operation: its task, its record, the unit that is busy with it ---- */

static enum verdict back_up(const char *name, struct err *err)
{
	struct backup_row b = { .uid = BACKUP_UID, .name = name, .type = "manual", .remark = "",
				.format = "rdb" };
	struct cache_operate c = { .project_id = WORLD_PROJECT,
				   .uid = uid,
				   .op = CACHE_OP_BACKUP,
				   .actor = { "ops", "1" },
				   .args = "{}",
				   .details = "{}",
				   .backup = &b };
	CALL(engine_cache_operate, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_backed_up(const char *name)
{
	struct store *s = world_store(STORE_READER);
	struct cache_row row;
	struct instance_row unit;

	(void)name;
	row_now(&row);
	must(row_instance(s, row.unit_id, world.arena, &unit, NULL) == RC_OK);
	store_close(s);
	int64_t n_backups = world_count(&table_backup, "cache_id", row.id);
	int64_t n_tasks = world_count(&table_task, "instance_id", unit.id);
	if (n_backups == 0 && n_tasks == 1 && !unit.busy_task_id)
		return BEFORE;
	return n_backups == 1 && n_tasks == 2 && unit.busy_task_id && unit.last_generation == 2 ? AFTER : TORN;
}

/* ---- how an operation ended ---- */

static int64_t unit_id, task_id;

static void task_now(int64_t generation, struct task_row *t)
{
	must(world_task(unit_id, generation, t));
}

/* The operation's attempt runs, for all that the row says; a store that is opened afresh would know better (E7), so
 * these meet only what leaves it open. Ends that do more are run_fault_test's. */
static void prepare_running(const char *name, enum cache_op op, const char *args)
{
	struct cache_operate c = { .project_id = WORLD_PROJECT,
				   .uid = uid,
				   .op = op,
				   .actor = { "ops", "1" },
				   .args = args,
				   .details = "{}" };
	struct cache_row row;
	struct task_row t;

	prepare_one(name);
	CALL(engine_cache_operate, &c);
	must(c.base.verdict == V_OK);
	row_now(&row);
	unit_id = row.unit_id;
	task_now(2, &t);
	task_id = t.id;
	world_set_task(unit_id, 2, TASK_RUNNING, t.max_attempts, 0, 0);
}

static bool is_over(void *ctx)
{
	struct task_row t;
	(void)ctx;
	task_now(2, &t);
	return task_state_is_final((enum task_state)t.state);
}

static bool is_struck_or_over(void *ctx) { return inject_fired() > 0 || is_over(ctx); }

/* No end is refused: what the store did not take is written when it takes it, and nothing of it is passed over. */
static enum verdict end_it(const struct exec_end *end, struct err *err)
{
	run_submit_end(world.engine, end);
	(void)world_comes_true(is_struck_or_over, NULL);
	(void)inject_disarm();
	return world_comes_true(is_over, NULL) ? V_OK : verdict_of(err_set(err, RC_INTERNAL, "it never ends"));
}

static void prepare_resize(const char *name)
{
	prepare_running(name, CACHE_OP_EXTEND, "{\"spec_code\":\"redis.single.xu1.tiny.256\",\"capacity_mib\":256}");
}

static enum verdict end_resize(const char *name, struct err *err)
{
	struct task_row t;
	(void)name;
	task_now(2, &t);
	struct exec_end end = { .task_id = task_id, .attempt = t.attempt, .is_success = true, .code = "", .message = "",
				.result_json = "{\"cache\":{\"host\":\"127.1.2.3\",\"port\":7001,\"nodes\":[]}}" };
	return end_it(&end, err);
}

static enum change_state look_resized(const char *name)
{
	struct cache_row row;
	(void)name;
	row_now(&row);
	bool is_shown = change_both(row.capacity_mib == 256, strstr(row.spec_code, "256")) == AFTER && row.port == 7001;
	return change_both(is_over(NULL) && strcmp(row.status, "RUNNING") == 0, is_shown);
}

static void prepare_backup(const char *name)
{
	prepare_running(name, CACHE_OP_BACKUP, "{\"uid\":\"" BACKUP_UID "\"}");
}

/* What the machine ended is followed by a recovery, which must know the file that is to go. */
static enum verdict end_backup(const char *name, struct err *err)
{
	struct task_row t;
	(void)name;
	task_now(2, &t);
	struct exec_end end = { .task_id = task_id, .attempt = t.attempt, .fault = FAULT_MACHINE, .code = "Task.Killed",
				.message = "killed",
				.result_json = "{\"cache\":{\"host\":\"127.1.2.3\",\"port\":7001,\"nodes\":[]}}" };
	return end_it(&end, err);
}

static enum change_state look_followed(const char *name)
{
	struct cache_row row;
	struct task_row t;

	(void)name;
	row_now(&row);
	bool is_followed = world_task(unit_id, 3, &t) && strstr(t.params, BACKUP_UID);
	return change_both(is_over(NULL) && row.port == 7001, is_followed);
}

/* ---- a schedule ---- */

static enum verdict schedule(const char *name, struct err *err)
{
	struct schedule_set c = { .project_id = WORLD_PROJECT,
				  .uid = uid,
				  .kind = SCAN_BIGKEY,
				  .asked_at = clock_wall_ms(),
				  .row = { .is_enabled = 1, .times = "08:00,21:00" } };
	(void)name;
	CALL(engine_schedule_set, &c);
	return change_answer(&c.base, err);
}

static enum change_state look_scheduled(const char *name)
{
	struct cache_row row;
	(void)name;
	row_now(&row);
	return world_count(&table_schedule, "cache_id", row.id) == 1 ? AFTER : BEFORE;
}

static const struct change_op ops[] = {
	{ "create cache", prepare_none, create_cache, look_cache, ALL_KINDS },
	{ "update cache", prepare_one, update, look_updated, ALL_KINDS },
	{ "tag cache", prepare_one, tag, look_tagged, ALL_KINDS },
	{ "back up cache", prepare_one, back_up, look_backed_up, ALL_KINDS },
	{ "end of a resize", prepare_resize, end_resize, look_resized, KIND(JSON_MEMORY) },
	{ "end of a lost backup", prepare_backup, end_backup, look_followed, KIND(JSON_MEMORY) },
	{ "schedule scans", prepare_one, schedule, look_scheduled, ALL_KINDS },
};

TEST(every_change_of_a_redis_instance_is_whole_or_absent_and_answered_so)
{
	change_loops(ops, ARRAY_LEN(ops));
}

int main(void)
{
	change_begin();
	RUN(every_change_of_a_redis_instance_is_whole_or_absent_and_answered_so);
	world_end();
	return test_failures != 0;
}
