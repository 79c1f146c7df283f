/* Tasks: the one place where they come into being (E2, E3) and where their records go (E5). */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/must.h"
#include "base/num.h"
#include "engine/priv.h"

/* "trigger__2021-03-05T12:18:41", and "..._2" when the instance's last run bears that very name. */
static enum rc make_run_id(struct engine *e, const struct instance_row *instance, const char *prefix, int64_t now_ms,
			   struct arena *a, const char **out, struct err *err)
{
	char at[20], base[64];
	struct task_row last;
	bool is_first = instance->last_generation == 0;

	zone_run_time(now_ms, at);
	int printed = snprintf(base, sizeof base, "%s__%s", prefix, at);
	must(printed > 0 && printed < (int)sizeof base);
	size_t len = (size_t)printed;
	enum rc rc = is_first ? RC_NOT_FOUND : row_task_newest(e->store, instance->id, a, &last, err);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	int64_t n = 0; /* of the last one by this name */
	if (rc == RC_OK && strncmp(last.run_id, base, len) == 0 && (!last.run_id[len] || last.run_id[len] == '_')) {
		if (last.run_id[len] != '_' || !num_i64(last.run_id + len + 1, &n))
			n = 1;
	}
	*out = n ? arena_printf(a, "%s_%lld", base, (long long)n + 1) : arena_dup(a, base);
	return *out ? RC_OK : err_set(err, RC_LIMIT, "the change needs more memory than one may take");
}

enum rc task_insert(struct engine *e, struct instance_row *instance, const struct task_order *order, int64_t now_ms,
		    struct arena *a, struct task_row *out, struct err *err)
{
	const struct function *f = functions_by_version(e->functions, instance->function, instance->version_id);
	const struct instance_row was = *instance;
	*out = (struct task_row){
		.instance_id = instance->id,
		.generation = instance->last_generation + 1,
		.kind = order->kind,
		.state = TASK_PENDING,
		.max_attempts = f ? f->max_attempts : 1,
		.not_before = order->not_before > now_ms ? order->not_before : 0,
		.created_at = now_ms,
		.updated_at = now_ms,
		.params = order->params,
	};
	enum rc rc = make_run_id(e, instance, order->run_prefix, now_ms, a, &out->run_id, err);
	if (rc == RC_OK)
		rc = store_insert(e->store, &table_task, out, err);
	if (rc == RC_OK)
		rc = row_event_add(e->store, out->id, 0, now_ms, "queued", order->run_prefix, err);
	if (rc != RC_OK)
		return rc;
	instance->last_generation = out->generation;
	instance->busy_task_id = out->id;
	e->looks_for_work = true;
	return store_change(e->store, &table_instance, &was, instance, err);
}

/* The hint may be of an instance that has gone, or of other names altogether. */
static enum rc find_instance(struct engine *e, const struct task_create *c, struct arena *a, struct instance_row *out,
			     struct err *err)
{
	enum rc rc = c->hint ? row_instance(e->store, c->hint, a, out, err) : RC_NOT_FOUND;

	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	bool is_it = rc == RC_OK && out->app_id == c->app_id && strcmp(out->function, c->function) == 0 &&
		     strcmp(out->name, c->instance) == 0;
	return is_it ? RC_OK : row_instance_of(e->store, c->app_id, c->function, c->instance, a, out, err);
}

static enum verdict apply_create(struct engine *e, struct change *base)
{
	struct task_create *c = (struct task_create *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row instance;

	enum rc rc = find_instance(e, c, a, &instance, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	if (instance.busy_task_id)
		return V_INSTANCE_BUSY; /* E2 */
	struct task_row task = { 0 };
	struct task_order order = { .kind = KIND_TRAIN, .run_prefix = "trigger", .params = instance.create_params };
	rc = task_insert(e, &instance, &order, clock_wall_ms(), a, &task, err);
	c->generation = task.generation;
	return verdict_of(rc);
}

void engine_task_create(struct engine *e, struct task_create *c)
{
	c->base.apply = apply_create;
	c->base.committed = NULL;
	c->base.refuses_first = true;
	writer_submit(e, &c->base);
}

static enum verdict apply_delete(struct engine *e, struct change *base)
{
	struct task_delete *c = (struct task_delete *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row instance;
	struct task_row task;

	enum rc rc = row_instance_of(e->store, c->app_id, c->function, c->instance, a, &instance, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	rc = row_task_of(e->store, instance.id, c->generation, a, &task, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_TASK : verdict_of(rc);
	if (!task_state_is_final((enum task_state)task.state))
		return V_TASK_UNFINISHED; /* E5 */
	struct query self = { .table = &table_task, .preds = { PRED_INT("id", CMP_EQ, task.id) }, .n_preds = 1 };
	rc = store_delete(e->store, &self, NULL, err);
	c->is_in_service = instance.model_generation == c->generation;
	path_of_generation(e, &instance, c->generation, c->model_dir);
	engine_task_log_path(e, &instance, c->generation, c->log_path);
	return verdict_of(rc);
}

/* E5: the record's log goes, and its model unless that is the one in service. */
static void remove_files(struct engine *e, struct change *base)
{
	struct task_delete *c = (struct task_delete *)base;

	closer_remove_path(e, c->log_path);
	if (!c->is_in_service)
		closer_remove_path(e, c->model_dir);
}

void engine_task_delete(struct engine *e, struct task_delete *c)
{
	c->base.apply = apply_delete;
	c->base.committed = remove_files;
	writer_submit(e, &c->base);
}
