/* Reading caches, their tasks and records for the request threads. */
#include <stdlib.h>
#include <string.h>
#include "engine/cache.h"
#include "engine/priv.h"
#include "json/json.h"

static enum verdict found(enum rc rc, enum verdict missing) { return rc == RC_NOT_FOUND ? missing : verdict_of(rc); }

enum verdict engine_cache_get(struct engine_view *v, const char *project_id, const char *uid, struct arena *a,
			      struct cache_row *out, struct err *err)
{
	return found(row_cache(v->store, project_id, uid, a, out, err), V_NO_INSTANCE);
}

enum verdict engine_cache_find(struct engine_view *v, const char *project_id, int64_t cache_id, struct arena *a,
			       struct cache_row *out, struct err *err)
{
	struct query q = { .table = &table_cache,
			   .preds = { PRED_INT("id", CMP_EQ, cache_id), PRED_TEXT("project_id", CMP_EQ, project_id),
				      PRED_INT("deleted_at", CMP_EQ, 0) },
			   .n_preds = 3 };
	return found(store_get(v->store, &q, out, a, err), V_NO_INSTANCE);
}

/* ---- lists of caches ---- */

/* One "key=value" of the filter among the row's tags; a filter without '=' asks for the key alone. */
static bool has_tag(const json_t *tags, const char *wanted, size_t len)
{
	size_t i;
	const json_t *tag;
	const char *eq = memchr(wanted, '=', len);
	size_t key_len = eq ? (size_t)(eq - wanted) : len;

	json_array_foreach(tags, i, tag) {
		const char *k = json_string_value(json_object_get(tag, "key"));
		const char *val = json_string_value(json_object_get(tag, "value"));
		if (!k || strlen(k) != key_len || strncmp(k, wanted, key_len) != 0)
			continue;
		if (!eq)
			return true;
		if (val && strlen(val) == len - key_len - 1 && strncmp(val, eq + 1, len - key_len - 1) == 0)
			return true;
	}
	return false;
}

static enum rc has_tags(const char *tags_json, const char *filter, bool *out, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(1 << 20);
	const json_t *tags = NULL;
	bool has_all = true;

	enum rc rc = json_read_kept(tags_json, a, &tags, err);
	if (rc != RC_OK)
		return rc;
	for (const char *p = filter; has_all && *p; p += strcspn(p, ","), p += *p == ',')
		has_all = has_tag(tags, p, strcspn(p, ","));
	*out = has_all;
	return RC_OK;
}

/* As far as the columns tell. */
static bool may_be_wanted(const struct cache_row *c, const struct cache_filter *f)
{
	if (f->name && !(f->name_is_exact ? strcmp(c->name, f->name) == 0 : strstr(c->name, f->name) != NULL))
		return false;
	const char *status = c->deleted_at ? CACHE_DELETED : c->status;
	if (f->status && strcmp(status, f->status) != 0)
		return false;
	if (!f->includes_failed && !f->status && strcmp(status, "CREATEFAILED") == 0)
		return false;
	return f->capacity_mib < 0 || c->capacity_mib == f->capacity_mib;
}

static enum rc is_wanted(const struct cache_row *c, const struct cache_filter *f, bool *out, struct err *err)
{
	*out = may_be_wanted(c, f);
	return *out && f->tags ? has_tags(c->tags, f->tags, out, err) : RC_OK;
}

static void add_text(struct query *q, const char *col, const char *value)
{
	if (value)
		q->preds[q->n_preds++] = (struct pred)PRED_TEXT(col, CMP_EQ, value);
}

/* Those that quotas keep few: read at once. */
static enum rc list_whole(struct engine_view *v, const struct cache_filter *f, const struct query *q, struct arena *a,
			  struct cache_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct cache_row *all;
	size_t n_all = 0, kept = 0;

	enum rc rc = store_list(v->store, q, a, (void **)&all, &n_all, err);
	for (size_t i = 0; rc == RC_OK && i < n_all; i++) {
		bool is_kept = false;
		rc = is_wanted(&all[i], f, &is_kept, err);
		if (rc == RC_OK && is_kept)
			all[kept++] = all[i];
	}
	if (rc != RC_OK)
		return rc;
	size_t from = (uint64_t)f->offset < kept ? (size_t)f->offset : kept;
	*total = (int64_t)kept;
	*rows = all + from;
	*n = f->limit && (uint64_t)f->limit < kept - from ? (size_t)f->limit : kept - from;
	return RC_OK;
}

/* Deleted ones stay for good: they are judged part by part, and only those of the page are kept. */
static enum rc list_parts(struct engine_view *v, const struct cache_filter *f, struct query *q, struct arena *a,
			  struct cache_row *rows, size_t *n, int64_t *total, struct err *err)
{
	enum { PART = 256 };
	struct arena *scratch CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row *part;
	size_t n_part = PART, kept = 0;
	int64_t matches = 0;
	enum rc rc = RC_OK;

	for (q->limit = PART; rc == RC_OK && n_part == PART; q->offset += PART) {
		arena_reset(scratch);
		rc = store_list(v->store, q, scratch, (void **)&part, &n_part, err);
		for (size_t i = 0; rc == RC_OK && i < n_part; i++) {
			struct query self = { .table = &table_cache,
					      .preds = { PRED_INT("id", CMP_EQ, part[i].id) },
					      .n_preds = 1 };
			bool is_kept = false;
			rc = is_wanted(&part[i], f, &is_kept, err);
			if (rc == RC_OK && is_kept && matches++ >= f->offset && (int64_t)kept < f->limit)
				rc = store_get(v->store, &self, &rows[kept++], a, err);
		}
	}
	*n = kept;
	*total = matches;
	return rc;
}

/* Parts of names and tags are no columns, so all of a project's caches are looked at. */
enum verdict engine_cache_list(struct engine_view *v, const struct cache_filter *f, struct arena *a,
			       struct cache_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct query q = { .table = &table_cache, .orders = { { "created_at", true }, { "id", true } } };
	add_text(&q, "project_id", f->project_id);
	if (!f->includes_deleted)
		q.preds[q.n_preds++] = (struct pred)PRED_INT("deleted_at", CMP_EQ, 0);
	add_text(&q, "uid", f->uid);
	add_text(&q, "ip", f->ip);
	add_text(&q, "cache_mode", f->cache_mode);
	if (!f->includes_deleted || !f->limit)
		return verdict_of(list_whole(v, f, &q, a, rows, n, total, err));
	struct cache_row *page = arena_array(a, (size_t)f->limit, sizeof *page);
	if (!page)
		return verdict_of(err_set(err, RC_LIMIT, "no memory for %lld instances", (long long)f->limit));
	enum rc rc = engine_view_begin(v, err);
	if (rc != RC_OK)
		return verdict_of(rc);
	rc = list_parts(v, f, &q, a, page, n, total, err);
	engine_view_end(v);
	if (rc == RC_OK)
		*rows = page;
	return verdict_of(rc);
}

/* ---- tasks ---- */

enum verdict engine_cache_task_get(struct engine_view *v, const char *project_id, int64_t cache_id, int64_t task_id,
				   struct arena *a, struct task_row *out, struct err *err)
{
	struct cache_task_row link;
	struct query q = { .table = &table_cache_task,
			   .preds = { PRED_INT("task_id", CMP_EQ, task_id), PRED_TEXT("project_id", CMP_EQ, project_id),
				      PRED_INT("cache_id", CMP_EQ, cache_id) },
			   .n_preds = cache_id ? 3 : 2 };
	enum rc rc = store_get(v->store, &q, &link, a, err);
	return found(rc == RC_OK ? row_task(v->store, task_id, a, out, err) : rc, V_NO_TASK);
}

static bool is_between(int64_t at, int64_t from, int64_t until) { return at >= from && at <= until; }

/* Is the task of the filter's time? Judged in memory of its own, since most are not shown. */
static enum rc judge_task(struct engine_view *v, const struct cache_task_filter *f, int64_t task_id,
			  struct arena *scratch, bool *out, struct err *err)
{
	struct task_row t;

	arena_reset(scratch);
	enum rc rc = row_task(v->store, task_id, scratch, &t, err);
	if (rc == RC_OK)
		*out = is_between(t.created_at, f->created_from, f->created_until);
	return rc;
}

/* The page of those whose time is right, and how many there are. Only lists with such a bound read
 * beyond their page. */
static enum rc list_bounded(struct engine_view *v, const struct cache_task_filter *f,
			    const struct cache_task_row *links, size_t n_links, struct arena *a, struct task_row *rows,
			    size_t *n, int64_t *total, struct err *err)
{
	struct arena *scratch CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	int64_t matches = 0;
	size_t kept = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < n_links; i++) {
		bool is_match = false;
		rc = judge_task(v, f, links[i].task_id, scratch, &is_match, err);
		if (rc != RC_OK || !is_match || matches++ < f->offset || (f->limit && (int64_t)kept == f->limit))
			continue;
		rc = row_task(v->store, links[i].task_id, a, &rows[kept++], err);
	}
	*n = kept;
	*total = matches;
	return rc;
}

/* Newest first by id, which is the order of creation. */
static enum rc list_tasks(struct engine_view *v, const struct cache_task_filter *f, struct query *q, struct arena *a,
			  struct task_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct cache_task_row *links;
	size_t n_links = 0;
	bool is_bounded = f->created_from != INT64_MIN || f->created_until != INT64_MAX;

	q->offset = is_bounded ? 0 : f->offset;
	q->limit = is_bounded ? 0 : f->limit;
	enum rc rc = store_count(v->store, q, total, err);
	if (rc == RC_OK)
		rc = store_list(v->store, q, a, (void **)&links, &n_links, err);
	if (rc != RC_OK)
		return rc;
	size_t most = f->limit && (uint64_t)f->limit < n_links ? (size_t)f->limit : n_links;
	*rows = arena_array(a, most + 1, sizeof **rows);
	if (!*rows)
		return err_set(err, RC_LIMIT, "too many tasks to list");
	if (is_bounded)
		return list_bounded(v, f, links, n_links, a, *rows, n, total, err);
	for (size_t i = 0; rc == RC_OK && i < n_links; i++)
		rc = row_task(v->store, links[i].task_id, a, &(*rows)[i], err);
	*n = n_links;
	return rc;
}

enum verdict engine_cache_task_list(struct engine_view *v, const struct cache_task_filter *f, struct arena *a,
				    struct task_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct query q = { .table = &table_cache_task, .orders = { { "task_id", true } } };
	q.preds[q.n_preds++] = (struct pred)PRED_TEXT("project_id", CMP_EQ, f->project_id);
	if (f->cache_id)
		q.preds[q.n_preds++] = (struct pred)PRED_INT("cache_id", CMP_EQ, f->cache_id);
	enum rc rc = engine_view_begin(v, err);
	if (rc != RC_OK)
		return verdict_of(rc);
	rc = list_tasks(v, f, &q, a, rows, n, total, err);
	engine_view_end(v);
	return verdict_of(rc);
}

/* ---- records ---- */

static enum rc list_records(struct engine_view *v, const struct table *t, const struct record_filter *f,
			    struct arena *a, void **rows, size_t *n, int64_t *total, struct err *err)
{
	struct query q = { .table = t,
			   .preds = { PRED_INT("cache_id", CMP_EQ, f->cache_id),
				      PRED_INT("created_at", CMP_GE, f->created_from),
				      PRED_INT("created_at", CMP_LE, f->created_until) },
			   .n_preds = 3,
			   .orders = { { "created_at", true }, { "id", true } },
			   .offset = f->offset,
			   .limit = f->limit };
	enum rc rc = engine_view_begin(v, err);
	if (rc != RC_OK)
		return rc;
	rc = store_count(v->store, &q, total, err);
	if (rc == RC_OK)
		rc = store_list(v->store, &q, a, rows, n, err);
	engine_view_end(v);
	return rc;
}

enum verdict engine_backup_list(struct engine_view *v, const struct record_filter *f, struct arena *a,
				struct backup_row **rows, size_t *n, int64_t *total, struct err *err)
{
	return verdict_of(list_records(v, &table_backup, f, a, (void **)rows, n, total, err));
}

enum verdict engine_backup_get(struct engine_view *v, int64_t cache_id, const char *uid, struct arena *a,
			       struct backup_row *out, struct err *err)
{
	return found(row_backup(v->store, cache_id, uid, a, out, err), V_NO_RECORD);
}

enum verdict engine_restore_list(struct engine_view *v, const struct record_filter *f, struct arena *a,
				 struct restore_row **rows, size_t *n, int64_t *total, struct err *err)
{
	return verdict_of(list_records(v, &table_restore, f, a, (void **)rows, n, total, err));
}
