/* The default instance of a function in an app group: set, clear. Deleting the instance clears it (foreign key). */
#include "engine/priv.h"

static enum rc put_default(struct engine *e, const struct default_set *c, int64_t instance_id, struct err *err)
{
	struct default_row row = { .app_id = c->app_id, .function = c->function, .instance_id = instance_id };
	enum rc rc = store_update(e->store, &table_default, &row, err);
	return rc == RC_NOT_FOUND ? store_insert(e->store, &table_default, &row, err) : rc;
}

static enum verdict apply_set(struct engine *e, struct change *base)
{
	struct default_set *c = (struct default_set *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row instance;

	if (!c->instance || !*c->instance) {
		struct query q = { .table = &table_default,
				   .preds = { PRED_INT("app_id", CMP_EQ, c->app_id),
					      PRED_TEXT("function", CMP_EQ, c->function) },
				   .n_preds = 2 };
		return verdict_of(store_delete(e->store, &q, NULL, err));
	}
	enum rc rc = row_instance_of(e->store, c->app_id, c->function, c->instance, a, &instance, err);
	if (rc == RC_NOT_FOUND) {
		(void)err_set(err, RC_NOT_FOUND, "instance %.60s does not exist", c->instance);
		return V_DEFAULT_REFUSED;
	}
	return verdict_of(rc == RC_OK ? put_default(e, c, instance.id, err) : rc);
}

void engine_default_set(struct engine *e, struct default_set *c)
{
	c->base.apply = apply_set;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}
