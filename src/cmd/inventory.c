/* Rows in, files out. Instances are taken one by one, so that the texts of their tasks need not all be held at once. */
#include "cmd/inventory.h"

#include <limits.h>
#include <string.h>
#include "engine/paths.h"
#include "json/json.h"
#include "task/state.h"

enum { TASKS_ARENA = 512 << 20, FILES_FIRST = 64 };

struct collector {
	struct store *store;
	struct arena *arena;
	struct inventory v;
	size_t cap;
};

static enum rc add(struct collector *c, enum file_kind kind, const char *path, const char *sha256, const char *whose,
                   struct err *err)
{
	if (c->v.n_files == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : FILES_FIRST;
		struct named_file *files = arena_array(c->arena, cap, sizeof *files);
		if (files && c->v.n_files)
			memcpy(files, c->v.files, c->v.n_files * sizeof *files);
		c->v.files = files;
		c->cap = cap;
	}
	const char *own_path = arena_dup(c->arena, path), *own_sum = arena_dup(c->arena, sha256);
	if (!c->v.files || !own_path || !own_sum || !whose)
		return err_set(err, RC_LIMIT, "the data folder names more files than this command can hold");
	c->v.files[c->v.n_files++] = (struct named_file){ kind, own_path, own_sum, whose, file_kind_is_fixed(kind) };
	return RC_OK;
}

static const char *name_generation(struct collector *c, const struct instance_row *i, int64_t generation)
{
	return arena_printf(c->arena, "%s %s (app group id %lld), generation %lld", i->function, i->name,
	                    (long long)i->app_id, (long long)generation);
}

/* What a finished task's result says of its model; a user's function need not make one. */
static bool made_model(const struct task_row *t, struct arena *a, const char **sha256)
{
	const json_t *result = NULL;
	const char *model = NULL;

	*sha256 = NULL;
	if (t->state != TASK_SUCCESS || json_read(t->result, strlen(t->result), a, &result, NULL) != RC_OK)
		return false;
	return json_pick_text(result, "model", &model, NULL) == RC_OK && model &&
	       json_pick_text(result, "sha256", sha256, NULL) == RC_OK;
}

static enum rc add_task(struct collector *c, const struct instance_row *i, const struct task_row *t, struct arena *a,
                        struct err *err)
{
	char path[PATH_MAX];
	const char *sha256, *whose = name_generation(c, i, t->generation);

	c->v.n_running += t->state == TASK_RUNNING;
	enum rc rc = path_below_log(i, t->generation, path, err);
	if (rc == RC_OK)
		rc = add(c, FILE_LOG, path, "", whose, err);
	if (rc == RC_OK)
		c->v.files[c->v.n_files - 1].is_due = task_state_is_final((enum task_state)t->state) && t->attempt > 0;
	if (rc != RC_OK || t->generation == i->model_generation || !made_model(t, a, &sha256))
		return rc;
	rc = path_below_model(i, t->generation, path, err);
	return rc == RC_OK ? add(c, FILE_MODEL, path, sha256 ? sha256 : "", whose, err) : rc;
}

static enum rc add_tasks(struct collector *c, const struct instance_row *i, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(TASKS_ARENA);
	struct query q = { .table = &table_task,
		           .preds = { PRED_INT("instance_id", CMP_EQ, i->id) },
		           .n_preds = 1,
		           .orders = { { "generation", false } } };
	struct task_row *tasks;
	size_t n;

	enum rc rc = store_list(c->store, &q, a, (void **)&tasks, &n, err);
	for (size_t k = 0; rc == RC_OK && k < n; k++)
		rc = add_task(c, i, &tasks[k], a, err);
	return rc;
}

static enum rc add_instance(struct collector *c, const struct instance_row *i, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = RC_OK;

	if (i->model_generation && *i->model_sha256) {
		rc = path_below_model(i, i->model_generation, path, err);
		if (rc == RC_OK)
			rc = add(c, FILE_SERVING, path, i->model_sha256, name_generation(c, i, i->model_generation),
			         err);
	}
	return rc == RC_OK ? add_tasks(c, i, err) : rc;
}

static enum rc add_instances(struct collector *c, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(TASKS_ARENA);
	struct query q = { .table = &table_instance, .orders = { { "id", false } } };
	struct instance_row *rows;
	size_t n;

	enum rc rc = store_list(c->store, &q, a, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = add_instance(c, &rows[i], err);
	return rc;
}

static enum rc add_backups(struct collector *c, const struct cache_row *cache, struct err *err)
{
	struct query q = { .table = &table_backup,
		           .preds = { PRED_INT("cache_id", CMP_EQ, cache->id), PRED_TEXT("status", CMP_EQ, "succeed") },
		           .n_preds = 2,
		           .orders = { { "created_at", true }, { "id", true } } };
	struct backup_row *rows;
	char path[PATH_MAX];
	size_t n;

	enum rc rc = store_list(c->store, &q, c->arena, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = path_below_backup(cache->uid, rows[i].uid, path, err);
		const char *whose = arena_printf(c->arena, "backup %s of Redis instance %s", rows[i].name, cache->name);
		if (rc == RC_OK)
			rc = add(c, FILE_RDB, path, rows[i].sha256, whose, err);
	}
	return rc;
}

static enum rc add_caches(struct collector *c, struct err *err)
{
	struct query q = { .table = &table_cache,
		           .preds = { PRED_INT("deleted_at", CMP_EQ, 0) },
		           .n_preds = 1,
		           .orders = { { "id", false } } };
	char path[PATH_MAX];
	void *rows;

	enum rc rc = store_list(c->store, &q, c->arena, &rows, &c->v.n_caches, err);
	if (rc != RC_OK)
		return rc;
	c->v.caches = rows;
	for (size_t i = 0; rc == RC_OK && i < c->v.n_caches; i++) {
		const struct cache_row *cache = &c->v.caches[i];
		const char *whose = arena_printf(c->arena, "Redis instance %s", cache->name);
		rc = path_below_cache(cache->uid, "admin.key", path, err);
		if (rc == RC_OK)
			rc = add(c, FILE_SECRET, path, "", whose, err);
		if (rc == RC_OK)
			rc = add_backups(c, cache, err);
	}
	return rc;
}

enum rc inventory_read(struct store *s, struct arena *a, struct inventory *out, struct err *err)
{
	struct collector c = { .store = s, .arena = a };

	enum rc rc = add_instances(&c, err);
	if (rc == RC_OK)
		rc = add_caches(&c, err);
	if (rc == RC_OK)
		*out = c.v;
	return rc;
}
