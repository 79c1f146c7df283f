/* Typed gets and the few inserts that several files of engine/ share. */
#include <string.h>
#include "base/num.h"
#include "engine/priv.h"

/* clang-format off */
#define BY_ID(tab, value) { .table = &(tab), .preds = { PRED_INT("id", CMP_EQ, value) }, .n_preds = 1 }
/* clang-format on */

enum rc row_app(struct store *s, int64_t id, struct arena *a, struct app_row *out, struct err *err)
{
	struct query q = BY_ID(table_app, id);
	return store_get(s, &q, out, a, err);
}

enum rc row_app_of(struct store *s, const char *account, const char *identity, struct arena *a, struct app_row *out,
		   struct err *err)
{
	struct query by_name = { .table = &table_app,
				 .preds = { PRED_TEXT("account", CMP_EQ, account),
					    PRED_TEXT("name", CMP_EQ, identity) },
				 .n_preds = 2 };
	enum rc rc = store_get(s, &by_name, out, a, err);
	int64_t id;

	if (rc != RC_NOT_FOUND || !num_is_canonical(identity) || !num_i64(identity, &id))
		return rc;
	struct query by_id = { .table = &table_app,
			       .preds = { PRED_INT("id", CMP_EQ, id), PRED_TEXT("account", CMP_EQ, account) },
			       .n_preds = 2 };
	return store_get(s, &by_id, out, a, err);
}

enum rc row_instance(struct store *s, int64_t id, struct arena *a, struct instance_row *out, struct err *err)
{
	struct query q = BY_ID(table_instance, id);
	return store_get(s, &q, out, a, err);
}

enum rc row_instance_of(struct store *s, int64_t app_id, const char *function, const char *name, struct arena *a,
			struct instance_row *out, struct err *err)
{
	struct query q = { .table = &table_instance,
			   .preds = { PRED_INT("app_id", CMP_EQ, app_id), PRED_TEXT("function", CMP_EQ, function),
				      PRED_TEXT("name", CMP_EQ, name) },
			   .n_preds = 3 };
	return store_get(s, &q, out, a, err);
}

enum rc row_task(struct store *s, int64_t id, struct arena *a, struct task_row *out, struct err *err)
{
	struct query q = BY_ID(table_task, id);
	return store_get(s, &q, out, a, err);
}

enum rc row_task_of(struct store *s, int64_t instance_id, int64_t generation, struct arena *a, struct task_row *out,
		    struct err *err)
{
	struct query q = { .table = &table_task,
			   .preds = { PRED_INT("instance_id", CMP_EQ, instance_id),
				      PRED_INT("generation", CMP_EQ, generation) },
			   .n_preds = 2 };
	return store_get(s, &q, out, a, err);
}

enum rc row_task_newest(struct store *s, int64_t instance_id, struct arena *a, struct task_row *out, struct err *err)
{
	struct query q = { .table = &table_task,
			   .preds = { PRED_INT("instance_id", CMP_EQ, instance_id) },
			   .n_preds = 1,
			   .orders = { { .col = "generation", .is_desc = true } } };
	return store_get(s, &q, out, a, err);
}

enum rc row_event_add(struct store *s, int64_t task_id, int64_t attempt, int64_t at, const char *kind, const char *text,
		      struct err *err)
{
	struct event_row row = { .task_id = task_id, .attempt = attempt, .at = at, .kind = kind, .text = text };
	return store_insert(s, &table_event, &row, err);
}

enum rc row_cache(struct store *s, const char *project_id, const char *uid, struct arena *a, struct cache_row *out,
		  struct err *err)
{
	struct query q = { .table = &table_cache,
			   .preds = { PRED_TEXT("uid", CMP_EQ, uid), PRED_TEXT("project_id", CMP_EQ, project_id),
				      PRED_INT("deleted_at", CMP_EQ, 0) },
			   .n_preds = 3 };
	return store_get(s, &q, out, a, err);
}

enum rc row_cache_of_task(struct store *s, int64_t task_id, struct arena *a, struct cache_row *out, struct err *err)
{
	struct cache_task_row link;
	struct query to_link = { .table = &table_cache_task,
				 .preds = { PRED_INT("task_id", CMP_EQ, task_id) },
				 .n_preds = 1 };
	enum rc rc = store_get(s, &to_link, &link, a, err);
	if (rc != RC_OK)
		return rc;
	struct query q = BY_ID(table_cache, link.cache_id);
	return store_get(s, &q, out, a, err);
}

enum rc row_backup(struct store *s, int64_t cache_id, const char *uid, struct arena *a, struct backup_row *out,
		   struct err *err)
{
	struct query q = { .table = &table_backup,
			   .preds = { PRED_TEXT("uid", CMP_EQ, uid), PRED_INT("cache_id", CMP_EQ, cache_id) },
			   .n_preds = 2 };
	return store_get(s, &q, out, a, err);
}
