/* Instances: create, update, delete. Their rules come from the function (function.h) and the contract (check.h). */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "engine/check.h"
#include "engine/priv.h"

enum { DESCRIPTION_MAX = 4096, INSTANCES_DEFAULT_MAX = 1000 };

static enum rc check_create(const struct engine *e, const struct instance_create *c, const struct function *f,
			    struct err *err)
{
	enum rc rc = check_instance_name(c->name, err);
	if (rc == RC_OK)
		rc = check_text("description", c->description, DESCRIPTION_MAX, err);
	if (rc == RC_OK)
		rc = check_cron(c->cron, err);
	if (rc == RC_OK)
		rc = check_params(e, f->create_rules, f->n_create_rules, c->create_params, c->n_create_params, err);
	if (rc == RC_OK)
		rc = check_params(e, f->usage_rules, f->n_usage_rules, c->usage_params, c->n_usage_params, err);
	return rc;
}

static enum rc check_room(struct engine *e, const struct instance_create *c, struct err *err)
{
	int64_t n = 0, most = e->instances_max ? e->instances_max : INSTANCES_DEFAULT_MAX;
	struct query q = { .table = &table_instance,
			   .preds = { PRED_INT("app_id", CMP_EQ, c->app_id),
				      PRED_TEXT("function", CMP_EQ, c->function) },
			   .n_preds = 2 };
	enum rc rc = store_count(e->store, &q, &n, err);
	if (rc == RC_OK && n >= most)
		return err_set(err, RC_LIMIT, "at most %lld instances of a function in an app group", (long long)most);
	return rc;
}

/* The body names no domain and no category: a general version comes first, else what there is. */
static const struct function *find_function(const struct engine *e, const struct instance_create *c)
{
	const struct function *f = functions_find(e->functions, c->function, c->model_type, c->function_type, "", "");
	return f ? f : functions_find(e->functions, c->function, c->model_type, c->function_type, NULL, NULL);
}

static enum verdict apply_create(struct engine *e, struct change *base)
{
	struct instance_create *c = (struct instance_create *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct app_row app;
	int64_t now = clock_wall_ms();

	enum rc rc = row_app(e->store, c->app_id, a, &app, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_APP : verdict_of(rc);
	const struct function *f = find_function(e, c);
	if (!f)
		return V_NO_FUNCTION;
	rc = check_create(e, c, f, err);
	if (rc == RC_OK)
		rc = check_room(e, c, err);
	if (rc != RC_OK)
		return verdict_of(rc);
	struct instance_row row = {
		.app_id = c->app_id,
		.function = c->function,
		.name = c->name,
		.function_type = f->function_type,
		.model_type = f->model_type,
		.source = "user",
		.description = c->description,
		.version_id = f->version_id,
		.create_params = params_to_json(c->create_params, c->n_create_params, a),
		.usage_params = params_to_json(c->usage_params, c->n_usage_params, a),
		.cron = c->cron,
		.cron_next_at = zone_cron_next(c->cron, now),
		.model_sha256 = "",
		.extend_info = "{\"dataReport\":{},\"errors\":{}}",
		.created_at = now,
		.updated_at = now,
	};
	if (!row.create_params || !row.usage_params) {
		(void)err_set(err, RC_LIMIT, "the parameters are too long");
		return V_TOO_MANY;
	}
	rc = store_insert(e->store, &table_instance, &row, err);
	e->looks_for_work = e->looks_for_work || row.cron_next_at;
	return rc == RC_CONFLICT ? V_INSTANCE_EXISTS : verdict_of(rc);
}

void engine_instance_create(struct engine *e, struct instance_create *c)
{
	c->base.apply = apply_create;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

static enum rc merge_update(struct engine *e, const struct instance_update *c, struct instance_row *row,
			    struct arena *a, struct err *err)
{
	const struct function *f = functions_by_version(e->functions, row->function, row->version_id);
	enum rc rc = f ? RC_OK : err_set(err, RC_INVALID, "version %lld of function %s is no longer offered",
					 (long long)row->version_id, row->function);
	if (rc == RC_OK && c->sets_create_params) {
		rc = check_params(e, f->create_rules, f->n_create_rules, c->create_params, c->n_create_params, err);
		row->create_params = params_to_json(c->create_params, c->n_create_params, a);
	}
	if (rc == RC_OK && c->sets_usage_params) {
		rc = check_params(e, f->usage_rules, f->n_usage_rules, c->usage_params, c->n_usage_params, err);
		row->usage_params = params_to_json(c->usage_params, c->n_usage_params, a);
	}
	if (rc == RC_OK && c->description) {
		rc = check_text("description", c->description, DESCRIPTION_MAX, err);
		row->description = c->description;
	}
	if (rc == RC_OK && c->cron) {
		rc = check_cron(c->cron, err);
		row->cron = c->cron;
		row->cron_next_at = rc == RC_OK ? zone_cron_next(c->cron, clock_wall_ms()) : 0;
	}
	if (rc == RC_OK && (!row->create_params || !row->usage_params))
		return err_set(err, RC_LIMIT, "the parameters are too long");
	return rc;
}

static enum verdict apply_update(struct engine *e, struct change *base)
{
	struct instance_update *c = (struct instance_update *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row row;

	enum rc rc = row_instance_of(e->store, c->app_id, c->function, c->name, a, &row, err);
	if (rc == RC_NOT_FOUND)
		return V_NO_INSTANCE;
	if (rc == RC_OK)
		rc = merge_update(e, c, &row, a, err);
	if (rc == RC_OK) {
		row.updated_at = clock_wall_ms();
		rc = store_update(e->store, &table_instance, &row, err);
	}
	e->looks_for_work = true;
	return verdict_of(rc);
}

void engine_instance_update(struct engine *e, struct instance_update *c)
{
	c->base.apply = apply_update;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

static enum verdict apply_delete(struct engine *e, struct change *base)
{
	struct instance_delete *c = (struct instance_delete *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row row;

	enum rc rc = row_instance_of(e->store, c->app_id, c->function, c->name, a, &row, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	if (row.busy_task_id)
		return V_INSTANCE_BUSY;
	struct query self = { .table = &table_instance, .preds = { PRED_INT("id", CMP_EQ, row.id) }, .n_preds = 1 };
	rc = store_delete(e->store, &self, NULL, err);
	path_of_instance(e, TREE_MODELS, &row, c->model_dir);
	path_of_instance(e, TREE_LOGS, &row, c->log_dir);
	return verdict_of(rc);
}

static void remove_files(struct engine *e, struct change *base)
{
	struct instance_delete *c = (struct instance_delete *)base;
	closer_remove_path(e, c->model_dir);
	closer_remove_path(e, c->log_dir);
}

void engine_instance_delete(struct engine *e, struct instance_delete *c)
{
	c->base.apply = apply_delete;
	c->base.committed = remove_files;
	writer_submit(e, &c->base);
}
