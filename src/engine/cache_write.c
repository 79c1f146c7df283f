/* Changes of a cache's records that need no process: the row itself, ended tasks, backups. */
#include <string.h>
#include "base/attr.h"
#include "base/clock.h"
#include "engine/cache.h"
#include "engine/priv.h"

static void take_text(const char **slot, const char *value)
{
	if (value)
		*slot = value;
}

static enum verdict apply_update(struct engine *e, struct change *base)
{
	struct cache_update *c = (struct cache_update *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row row;

	enum rc rc = row_cache(e->store, c->project_id, c->uid, a, &row, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	take_text(&row.name, c->name);
	take_text(&row.description, c->description);
	take_text(&row.maintain_begin, c->maintain_begin);
	take_text(&row.maintain_end, c->maintain_end);
	take_text(&row.tags, c->tags);
	take_text(&row.backup_policy, c->backup_policy);
	take_text(&row.echo, c->echo);
	row.wrong_passwords = c->wrong_passwords >= 0 ? c->wrong_passwords : row.wrong_passwords;
	row.locked_until = c->locked_until >= 0 ? c->locked_until : row.locked_until;
	row.updated_at = clock_wall_ms();
	return verdict_of(store_update(e->store, &table_cache, &row, err));
}

void engine_cache_update(struct engine *e, struct cache_update *c)
{
	c->base.apply = apply_update;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

/* The task, when it is of the project and, if one is named, of that cache. */
static enum rc find_task(struct engine *e, const struct cache_task_delete *c, const struct cache_row *cache,
			 struct arena *a, struct task_row *out, struct err *err)
{
	struct cache_task_row link;
	struct query q = { .table = &table_cache_task,
			   .preds = { PRED_INT("task_id", CMP_EQ, c->task_id),
				      PRED_TEXT("project_id", CMP_EQ, c->project_id),
				      PRED_INT("cache_id", CMP_EQ, cache ? cache->id : 0) },
			   .n_preds = cache ? 3 : 2 };
	enum rc rc = store_get(e->store, &q, &link, a, err);
	return rc == RC_OK ? row_task(e->store, c->task_id, a, out, err) : rc;
}

static enum verdict apply_task_delete(struct engine *e, struct change *base)
{
	struct cache_task_delete *c = (struct cache_task_delete *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row cache;
	struct instance_row unit;
	struct task_row task;

	enum rc rc = c->uid ? row_cache(e->store, c->project_id, c->uid, a, &cache, err) : RC_OK;
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	rc = find_task(e, c, c->uid ? &cache : NULL, a, &task, err);
	if (rc == RC_OK)
		rc = row_instance(e->store, task.instance_id, a, &unit, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_TASK : verdict_of(rc);
	if (!task_state_is_final((enum task_state)task.state))
		return V_TASK_UNFINISHED; /* E5 */
	engine_task_log_path(e, &unit, task.generation, c->log_path);
	path_of_generation(e, &unit, task.generation, c->work_dir);
	struct query self = { .table = &table_task, .preds = { PRED_INT("id", CMP_EQ, task.id) }, .n_preds = 1 };
	return verdict_of(store_delete(e->store, &self, NULL, err));
}

static void remove_task_files(struct engine *e, struct change *base)
{
	struct cache_task_delete *c = (struct cache_task_delete *)base;
	closer_remove_path(e, c->log_path);
	closer_remove_path(e, c->work_dir);
}

void engine_cache_task_delete(struct engine *e, struct cache_task_delete *c)
{
	c->base.apply = apply_task_delete;
	c->base.committed = remove_task_files;
	writer_submit(e, &c->base);
}

/* A restore reads the file when its task runs, and again when an attempt was cut off. */
static enum rc is_being_restored(struct engine *e, const struct backup_row *b, bool *out, struct err *err)
{
	static const char *const unfinished[] = { "waiting", "restoring" };
	int64_t sum = 0, n = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < ARRAY_LEN(unfinished) && rc == RC_OK; i++, sum += n) {
		struct query q = { .table = &table_restore,
				   .preds = { PRED_INT("cache_id", CMP_EQ, b->cache_id),
					      PRED_TEXT("backup_uid", CMP_EQ, b->uid),
					      PRED_TEXT("status", CMP_EQ, unfinished[i]) },
				   .n_preds = 3 };
		rc = store_count(e->store, &q, &n, err);
	}
	if (rc == RC_OK)
		*out = sum > 0;
	return rc;
}

/* An offline analysis reads it like a restore. One of a cache at most is unfinished (E2). */
static enum rc is_being_analysed(struct engine *e, const struct backup_row *b, struct arena *a, bool *out,
				 struct err *err)
{
	struct scan_row *rows;
	const char *uid = NULL;
	size_t n = 0;
	struct query q = { .table = &table_scan,
			   .preds = { PRED_INT("cache_id", CMP_EQ, b->cache_id),
				      PRED_TEXT("kind", CMP_EQ, scan_kind_word(SCAN_OFFLINE)),
				      PRED_TEXT("status", CMP_NE, "success"), PRED_TEXT("status", CMP_NE, "failed") },
			   .n_preds = 4,
			   .limit = 1 };

	enum rc rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	if (rc == RC_OK && n)
		rc = scan_backup(rows[0].args, a, &uid, err);
	if (rc == RC_OK)
		*out = uid && strcmp(uid, b->uid) == 0;
	return rc;
}

static enum verdict apply_backup_delete(struct engine *e, struct change *base)
{
	struct backup_delete *c = (struct backup_delete *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row cache;
	struct backup_row backup;
	bool is_needed = false;

	enum rc rc = row_cache(e->store, c->project_id, c->uid, a, &cache, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	rc = row_backup(e->store, cache.id, c->backup_uid, a, &backup, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_RECORD : verdict_of(rc);
	if (strcmp(backup.status, "waiting") == 0 || strcmp(backup.status, "backuping") == 0)
		return V_BAD_STATE;
	rc = is_being_restored(e, &backup, &is_needed, err);
	if (rc == RC_OK && !is_needed)
		rc = is_being_analysed(e, &backup, a, &c->is_analysed, err);
	if (rc != RC_OK)
		return verdict_of(rc);
	if (is_needed || c->is_analysed)
		return V_INSTANCE_BUSY;
	(void)snprintf(c->path, sizeof c->path, "%s", backup.path);
	struct query self = { .table = &table_backup, .preds = { PRED_INT("id", CMP_EQ, backup.id) }, .n_preds = 1 };
	return verdict_of(store_delete(e->store, &self, NULL, err));
}

static void remove_backup_file(struct engine *e, struct change *base)
{
	struct backup_delete *c = (struct backup_delete *)base;
	if (*c->path)
		closer_remove_path(e, c->path);
}

void engine_backup_delete(struct engine *e, struct backup_delete *c)
{
	c->base.apply = apply_backup_delete;
	c->base.committed = remove_backup_file;
	writer_submit(e, &c->base);
}
