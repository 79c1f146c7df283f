#include "engine/template.h"

#include "base/clock.h"
#include "engine/cache.h"
#include "engine/priv.h"

/* ---- reading ---- */

static struct query one(const char *project_id, const char *uid)
{
	return (struct query){ .table = &table_template,
			       .preds = { PRED_TEXT("uid", CMP_EQ, uid), PRED_TEXT("project_id", CMP_EQ, project_id) },
			       .n_preds = 2 };
}

static enum verdict found(enum rc rc) { return rc == RC_NOT_FOUND ? V_NO_RECORD : verdict_of(rc); }

enum verdict engine_template_list(struct engine_view *v, const char *project_id, struct arena *a,
				  struct template_row **rows, size_t *n, struct err *err)
{
	struct query q = { .table = &table_template,
			   .preds = { PRED_TEXT("project_id", CMP_EQ, project_id) },
			   .n_preds = 1,
			   .orders = { { "created_at", true }, { "id", true } } };
	return verdict_of(store_list(v->store, &q, a, (void **)rows, n, err));
}

enum verdict engine_template_get(struct engine_view *v, const char *project_id, const char *uid, struct arena *a,
				 struct template_row *out, struct err *err)
{
	struct query q = one(project_id, uid);
	return found(store_get(v->store, &q, out, a, err));
}

/* ---- writing ---- */

static enum verdict apply_create(struct engine *e, struct change *base)
{
	struct template_create *c = (struct template_create *)base;
	struct err *err = &base->err;
	struct query all = { .table = &table_template,
			     .preds = { PRED_TEXT("project_id", CMP_EQ, c->row.project_id) },
			     .n_preds = 1 };
	int64_t n = 0;

	enum rc rc = store_count(e->store, &all, &n, err);
	if (rc == RC_OK && n >= TEMPLATES_MAX) {
		(void)err_set(err, RC_LIMIT, "templates: the project has %lld of %d", (long long)n, TEMPLATES_MAX);
		return V_TOO_MANY;
	}
	cache_new_uid(c->uid);
	c->row.id = 0;
	c->row.uid = c->uid;
	c->row.created_at = c->row.updated_at = clock_wall_ms();
	return verdict_of(rc == RC_OK ? store_insert(e->store, &table_template, &c->row, err) : rc);
}

void engine_template_create(struct engine *e, struct template_create *c)
{
	c->base.apply = apply_create;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

static enum verdict apply_update(struct engine *e, struct change *base)
{
	struct template_update *c = (struct template_update *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct template_row row;
	struct query q = one(c->project_id, c->uid);

	enum rc rc = store_get(e->store, &q, &row, a, err);
	if (rc != RC_OK)
		return found(rc);
	row.name = c->name ? c->name : row.name;
	row.description = c->description ? c->description : row.description;
	row.params = c->params ? c->params : row.params;
	row.updated_at = clock_wall_ms();
	return verdict_of(store_update(e->store, &table_template, &row, err));
}

void engine_template_update(struct engine *e, struct template_update *c)
{
	c->base.apply = apply_update;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

static enum verdict apply_delete(struct engine *e, struct change *base)
{
	struct template_delete *c = (struct template_delete *)base;
	struct query q = one(c->project_id, c->uid);
	int64_t n = 0;

	enum rc rc = store_delete(e->store, &q, &n, &base->err);
	return rc == RC_OK && n == 0 ? V_NO_RECORD : verdict_of(rc);
}

void engine_template_delete(struct engine *e, struct template_delete *c)
{
	c->base.apply = apply_delete;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}
