/*
 * Spoiling data on purpose, between two lives of the server: so that a run can show that it would notice. Each kind
 * breaks one promise behind the server's back, on a task that succeeded.
 */
#include <string.h>
#include "cmd/torture/run.h"
#include "os/file.h"
#include "store/store.h"
#include "store/tables.h"
#include "task/state.h"

enum { ARENA_MAX = 64 << 20 };

struct victim {
	struct store *store;
	struct arena *arena;
	struct task_row task;
	struct instance_row instance;
};

static enum rc choose(struct victim *v, struct rng *r, struct err *err)
{
	struct query q = { .table = &table_task, .preds = { PRED_INT("state", CMP_EQ, TASK_SUCCESS) }, .n_preds = 1 };
	void *rows;
	size_t n;

	enum rc rc = store_list(v->store, &q, v->arena, &rows, &n, err);
	if (rc != RC_OK)
		return rc;
	if (n == 0)
		return err_set(err, RC_NOT_FOUND, "no task has succeeded yet");
	v->task = ((struct task_row *)rows)[rng_below(r, n)];
	struct query own = { .table = &table_instance,
		             .preds = { PRED_INT("id", CMP_EQ, v->task.instance_id) },
		             .n_preds = 1 };
	return store_get(v->store, &own, &v->instance, v->arena, err);
}

static enum rc remove_log(const struct torture *t, const struct victim *v, struct err *err)
{
	char path[PATH_MAX];

	enum rc rc = rows_log_path(t, &v->instance, v->task.generation, path, err);
	return rc == RC_OK ? file_remove(path, err) : rc;
}

static enum rc spoil(const struct torture *t, struct victim *v, const char *kind, struct err *err)
{
	struct query self = { .table = &table_task, .preds = { PRED_INT("id", CMP_EQ, v->task.id) }, .n_preds = 1 };

	if (strcmp(kind, "log") == 0)
		return remove_log(t, v, err);
	if (strcmp(kind, "record") == 0)
		return store_delete(v->store, &self, NULL, err);
	if (strcmp(kind, "number") == 0)
		v->task.generation += 7;
	else if (strcmp(kind, "state") == 0)
		v->task.state = TASK_FAILED;
	else
		v->task.progress = 7;
	return store_update(v->store, &table_task, &v->task, err);
}

enum rc damage_do(struct torture *t, const char *kind, struct rng *r, struct err *err)
{
	char path[PATH_MAX];
	struct victim v = { .arena = arena_new(ARENA_MAX) };

	enum rc rc = path_join(path, t->cfg.data, "stint.db", err);
	if (rc == RC_OK)
		rc = store_open_sqlite(path, STORE_WRITER, &v.store, err);
	if (rc == RC_OK)
		rc = choose(&v, r, err);
	if (rc == RC_OK)
		rc = spoil(t, &v, kind, err);
	store_close(v.store);
	arena_free(v.arena);
	return rc == RC_NOT_FOUND ? RC_OK : rc; /* the next round then */
}
