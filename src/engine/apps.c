/* App groups: create, and remove with everything in them. */
#include <string.h>
#include "base/clock.h"
#include "base/num.h"
#include "engine/check.h"
#include "engine/priv.h"

static enum verdict apply_create(struct engine *e, struct change *base)
{
	struct app_create *c = (struct app_create *)base;
	struct err *err = &base->err;

	enum rc rc = check_app_name(c->row.name, err);
	if (rc != RC_OK)
		return V_BAD_INPUT;
	c->row.id = 0;
	c->row.created_at = c->row.updated_at = clock_wall_ms();
	rc = store_insert(e->store, &table_app, &c->row, err);
	return rc == RC_CONFLICT ? V_APP_EXISTS : verdict_of(rc);
}

void engine_app_create(struct engine *e, struct app_create *c)
{
	c->base.apply = apply_create;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

static void remove_files(struct engine *e, struct change *base)
{
	char path[PATH_MAX];
	struct app_remove *c = (struct app_remove *)base;
	path_of_app(e, TREE_MODELS, c->app_id, path);
	closer_remove_path(e, path);
	path_of_app(e, TREE_LOGS, c->app_id, path);
	closer_remove_path(e, path);
}

static enum verdict apply_remove(struct engine *e, struct change *base)
{
	struct app_remove *c = (struct app_remove *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct app_row app;
	int64_t busy = 0;

	enum rc rc = row_app_of(e->store, c->account, c->identity, a, &app, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_APP : verdict_of(rc);
	struct query unfinished = { .table = &table_instance,
				    .preds = { PRED_INT("app_id", CMP_EQ, app.id),
					       PRED_INT("busy_task_id", CMP_NE, 0) },
				    .n_preds = 2 };
	rc = store_count(e->store, &unfinished, &busy, err);
	if (rc == RC_OK && busy > 0)
		return V_INSTANCE_BUSY;
	struct query self = { .table = &table_app, .preds = { PRED_INT("id", CMP_EQ, app.id) }, .n_preds = 1 };
	if (rc == RC_OK)
		rc = store_delete(e->store, &self, NULL, err);
	c->app_id = app.id;
	return verdict_of(rc);
}

void engine_app_remove(struct engine *e, struct app_remove *c)
{
	c->base.apply = apply_remove;
	c->base.committed = remove_files;
	writer_submit(e, &c->base);
}
