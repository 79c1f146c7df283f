/*
 * Analyses of caches. Each kind has a unit of its own per cache, "UID:bigkey", so one of a kind runs at a time (E2)
 * and all run beside operations, but for those under which there is nothing to read: these refuse a scan while they
 * are under way. The child returns {"scan":{"num":n, ...}}; the row keeps it as it is, and the dialect renders it.
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "engine/cache.h"
#include "engine/priv.h"
#include "json/json.h"

enum { KEPT = 100 }; /* records of a kind per cache */

static const struct {
	const char *word, *name;
} kinds[SCAN_KINDS] = {
#define X(id, kind, name) { kind, name },
	SCAN_TABLE(X)
#undef X
};

const char *scan_kind_word(enum scan_kind k) { return kinds[k].word; }

enum scan_kind scan_of(const char *task_name)
{
	for (int i = 0; i < SCAN_KINDS; i++) {
		if (strcmp(kinds[i].name, task_name) == 0)
			return (enum scan_kind)i;
	}
	return SCAN_KINDS;
}

/* ---- create ---- */

/* Logs are files: they can be read whatever their processes do, and are wanted most when those do not work. */
static bool needs_redis(enum scan_kind kind) { return kind != SCAN_RUN_LOG; }

/* The operation under way that a scan must not meet, or NULL. The first two begin or end the instance itself. */
static const char *obstacle(const struct task_row *running, enum scan_kind kind)
{
	static const enum cache_op ops[] = { CACHE_OP_CREATE,  CACHE_OP_DELETE, CACHE_OP_RESTART, CACHE_OP_SOFT_RESTART,
					     CACHE_OP_RESTORE, CACHE_OP_FLUSH,  CACHE_OP_RENAME };
	for (size_t i = 0; i < (needs_redis(kind) ? ARRAY_LEN(ops) : 2); i++) {
		if (strcmp(running->kind, cache_op_name(ops[i])) == 0)
			return running->kind;
	}
	return NULL;
}

static enum verdict check_cache(struct engine *e, struct scan_create *c, const struct cache_row *cache,
				const struct instance_row *unit, struct arena *a, struct err *err)
{
	struct task_row running;
	const char *name = NULL;

	if (unit->busy_task_id) {
		enum rc rc = row_task(e->store, unit->busy_task_id, a, &running, err);
		if (rc != RC_OK)
			return verdict_of(rc);
		name = obstacle(&running, c->kind);
	}
	bool is_running = strcmp(cache->status, "RUNNING") == 0 || strcmp(cache->status, "EXTENDING") == 0 ||
			  (!needs_redis(c->kind) && strcmp(cache->status, "CREATEFAILED") != 0);
	if (!name && is_running)
		return V_OK;
	(void)snprintf(c->busy, sizeof c->busy, "%s", name ? name : cache->status);
	return name ? V_INSTANCE_BUSY : V_BAD_STATE;
}

static enum rc scan_unit(struct engine *e, const struct instance_row *main_unit, enum scan_kind kind, int64_t now,
			 struct arena *a, struct instance_row *out, struct err *err)
{
	char *name = arena_printf(a, "%s:%s", main_unit->name, kinds[kind].word);
	enum rc rc = row_instance_of(e->store, main_unit->app_id, CACHE_FUNCTION, name, a, out, err);
	if (rc != RC_NOT_FOUND)
		return rc;
	*out = (struct instance_row){ .app_id = main_unit->app_id,
				      .function = CACHE_FUNCTION,
				      .name = name,
				      .version_id = 1,
				      .source = "user",
				      .created_at = now,
				      .updated_at = now };
	return store_insert(e->store, &table_instance, out, err);
}

static bool is_over(const struct scan_row *s)
{
	return strcmp(s->status, "success") == 0 || strcmp(s->status, "failed") == 0;
}

/* The task of a record that goes. Its files go after the commit. */
static enum rc drop_task(struct engine *e, struct scan_create *c, int64_t task_id, struct arena *a, struct err *err)
{
	struct task_row task;
	struct instance_row unit;
	struct query self = { .table = &table_task, .preds = { PRED_INT("id", CMP_EQ, task_id) }, .n_preds = 1 };

	enum rc rc = row_task(e->store, task_id, a, &task, err);
	if (rc == RC_OK)
		rc = row_instance(e->store, task.instance_id, a, &unit, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc; /* deleted by its user */
	if (!task_state_is_final((enum task_state)task.state))
		return RC_OK;
	engine_task_log_path(e, &unit, task.generation, c->log_path);
	path_of_generation(e, &unit, task.generation, c->work_dir);
	return store_delete(e->store, &self, NULL, err);
}

/* Make room: the oldest one goes. Each creation makes one, and of a kind only the newest may be unfinished, so there is
 * never more than one too many. With an automatic one goes its task: nobody else would ever delete those. */
static enum rc prune(struct engine *e, struct scan_create *c, int64_t cache_id, struct arena *a, struct err *err)
{
	struct scan_row *rows;
	size_t n = 0;
	struct query q = { .table = &table_scan,
			   .preds = { PRED_INT("cache_id", CMP_EQ, cache_id),
				      PRED_TEXT("kind", CMP_EQ, kinds[c->kind].word) },
			   .n_preds = 2,
			   .orders = { { "created_at", true }, { "id", true } },
			   .offset = KEPT - 1,
			   .limit = 1 };
	enum rc rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	if (rc != RC_OK || !n || !is_over(&rows[0]))
		return rc;
	if (strcmp(rows[0].type, "auto") == 0)
		rc = drop_task(e, c, rows[0].task_id, a, err);
	struct query self = { .table = &table_scan, .preds = { PRED_INT("id", CMP_EQ, rows[0].id) }, .n_preds = 1 };
	return rc == RC_OK ? store_delete(e->store, &self, NULL, err) : rc;
}

static enum rc insert_scan(struct engine *e, struct scan_create *c, const struct cache_row *cache,
			   struct instance_row *unit, int64_t now, struct arena *a, struct err *err)
{
	int64_t task_id = 0;
	cache_new_uid(c->scan_uid);
	enum rc rc = prune(e, c, cache->id, a, err);
	if (rc == RC_OK)
		rc = cache_insert_task(e, unit, cache, kinds[c->kind].name, &c->actor, c->args, "{}", 0, now, a,
				       &task_id, err);
	c->row = (struct scan_row){ .uid = c->scan_uid,
				    .cache_id = cache->id,
				    .kind = kinds[c->kind].word,
				    .type = c->type,
				    .status = "waiting",
				    .args = c->args,
				    .result = "",
				    .task_id = task_id,
				    .created_at = now };
	return rc == RC_OK ? store_insert(e->store, &table_scan, &c->row, err) : rc;
}

enum verdict scan_create_apply(struct engine *e, struct scan_create *c)
{
	struct err *err = &c->base.err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row cache;
	struct instance_row main_unit, unit;
	int64_t now = clock_wall_ms();

	c->busy_task_id = 0;
	c->log_path[0] = c->work_dir[0] = '\0';
	enum rc rc = row_cache(e->store, c->project_id, c->uid, a, &cache, err);
	if (rc == RC_OK)
		rc = row_instance(e->store, cache.unit_id, a, &main_unit, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	enum verdict v = check_cache(e, c, &cache, &main_unit, a, err);
	if (v != V_OK)
		return v;
	rc = scan_unit(e, &main_unit, c->kind, now, a, &unit, err);
	if (rc == RC_OK && unit.busy_task_id) {
		(void)snprintf(c->busy, sizeof c->busy, "%s", kinds[c->kind].name);
		c->busy_task_id = unit.busy_task_id;
		return V_INSTANCE_BUSY;
	}
	return verdict_of(rc == RC_OK ? insert_scan(e, c, &cache, &unit, now, a, err) : rc);
}

void scan_create_committed(struct engine *e, struct scan_create *c)
{
	if (!*c->log_path)
		return;
	closer_remove_path(e, c->log_path);
	closer_remove_path(e, c->work_dir);
}

static enum verdict apply_create(struct engine *e, struct change *base)
{
	return scan_create_apply(e, (struct scan_create *)base);
}

static void created(struct engine *e, struct change *base) { scan_create_committed(e, (struct scan_create *)base); }

void engine_scan_create(struct engine *e, struct scan_create *c)
{
	c->base.apply = apply_create;
	c->base.committed = created;
	writer_submit(e, &c->base);
}

/* ---- while it runs, and its end ---- */

static enum rc scan_of_task(struct engine *e, const struct task_row *t, struct arena *a, struct scan_row *out,
			    struct err *err)
{
	struct cache_row c;
	enum rc rc = row_cache_of_task(e->store, t->id, a, &c, err);
	if (rc != RC_OK)
		return rc;
	struct query q = { .table = &table_scan,
			   .preds = { PRED_INT("cache_id", CMP_EQ, c.id), PRED_INT("task_id", CMP_EQ, t->id) },
			   .n_preds = 2 };
	return store_get(e->store, &q, out, a, err);
}

enum rc scan_claimed(struct engine *e, const struct task_row *t, int64_t now, struct arena *a, struct err *err)
{
	struct scan_row row;
	enum rc rc = scan_of_task(e, t, a, &row, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc; /* deleted with its cache */
	row.status = "running";
	row.started_at = row.started_at ? row.started_at : now;
	return store_update(e->store, &table_scan, &row, err);
}

enum rc scan_finished(struct engine *e, const struct task_row *t, int64_t now, struct arena *a, struct err *err)
{
	struct scan_row row;
	struct buf text;
	struct jw w;
	const json_t *result = NULL;

	enum rc rc = scan_of_task(e, t, a, &row, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	row.status = t->state == TASK_SUCCESS ? "success" : "failed";
	row.ended_at = now;
	if (t->state == TASK_SUCCESS && *t->result)
		rc = json_read(t->result, strlen(t->result), a, &result, err);
	const json_t *scan = json_object_get(result, "scan");
	if (rc == RC_OK && json_is_object(scan)) {
		buf_init(&text, PROTOCOL_LINE_MAX);
		jw_init(&w, &text, CASING_CAMEL);
		jw_value(&w, scan);
		row.result = text.is_over ? "" : arena_dup(a, buf_text(&text));
		row.num = (int64_t)json_integer_value(json_object_get(scan, "num"));
		buf_fini(&text);
	}
	return rc == RC_OK ? store_update(e->store, &table_scan, &row, err) : rc;
}

/* ---- delete ---- */

static enum rc find_scan(struct store *s, int64_t cache_id, enum scan_kind kind, const char *uid, struct arena *a,
			 struct scan_row *out, struct err *err)
{
	struct query q = { .table = &table_scan,
			   .preds = { PRED_TEXT("uid", CMP_EQ, uid), PRED_TEXT("kind", CMP_EQ, kinds[kind].word),
				      PRED_INT("cache_id", CMP_EQ, cache_id) },
			   .n_preds = cache_id ? 3 : 2 };
	return store_get(s, &q, out, a, err);
}

static enum rc check_project(struct engine *e, const struct scan_delete *c, const struct scan_row *row, struct arena *a,
			     struct err *err)
{
	struct cache_row cache;
	struct query q = { .table = &table_cache,
			   .preds = { PRED_INT("id", CMP_EQ, row->cache_id),
				      PRED_TEXT("project_id", CMP_EQ, c->project_id) },
			   .n_preds = 2 };
	return store_get(e->store, &q, &cache, a, err);
}

static enum verdict apply_delete(struct engine *e, struct change *base)
{
	struct scan_delete *c = (struct scan_delete *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row cache = { .id = 0 };
	struct scan_row row;

	enum rc rc = c->uid ? row_cache(e->store, c->project_id, c->uid, a, &cache, err) : RC_OK;
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	rc = find_scan(e->store, cache.id, c->kind, c->scan_uid, a, &row, err);
	if (rc == RC_OK)
		rc = check_project(e, c, &row, a, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_RECORD : verdict_of(rc);
	if (!is_over(&row))
		return V_BAD_STATE;
	struct query self = { .table = &table_scan, .preds = { PRED_INT("id", CMP_EQ, row.id) }, .n_preds = 1 };
	return verdict_of(store_delete(e->store, &self, NULL, err));
}

void engine_scan_delete(struct engine *e, struct scan_delete *c)
{
	c->base.apply = apply_delete;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

/* ---- reading ---- */

enum verdict engine_scan_list(struct engine_view *v, const struct scan_filter *f, struct arena *a,
			      struct scan_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct query q = { .table = &table_scan,
			   .preds = { PRED_INT("cache_id", CMP_EQ, f->cache_id),
				      PRED_TEXT("kind", CMP_EQ, kinds[f->kind].word),
				      PRED_TEXT("status", CMP_EQ, f->status) },
			   .n_preds = f->status ? 3 : 2,
			   .orders = { { "created_at", true }, { "id", true } },
			   .offset = f->offset,
			   .limit = f->limit };
	enum rc rc = store_count(v->store, &q, total, err);
	if (rc == RC_OK)
		rc = store_list(v->store, &q, a, (void **)rows, n, err);
	return verdict_of(rc);
}

enum verdict engine_scan_get(struct engine_view *v, int64_t cache_id, enum scan_kind kind, const char *scan_uid,
			     struct arena *a, struct scan_row *out, struct err *err)
{
	enum rc rc = find_scan(v->store, cache_id, kind, scan_uid, a, out, err);
	return rc == RC_NOT_FOUND ? V_NO_RECORD : verdict_of(rc);
}
