/* Views: reading for the request threads, each on a connection of its own. */
#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "engine/priv.h"
#include "json/json.h"
#include "os/file.h"

/* Of all views together, so that a machine with many processors does not need more. Half of it keeps the upper pages of
 * a store of some millions of tasks, and its instances (docs/performance.md). */
enum { VIEWS_MEMORY = 24 << 20 };

enum rc engine_view_open(struct engine *e, struct engine_view **out, struct err *err)
{
	struct store *s;
	enum rc rc = store_open_sqlite(e->store_path, STORE_READER, &s, err);
	if (rc != RC_OK)
		return rc;
	rc = store_for_requests(s, VIEWS_MEMORY / (size_t)e->views, err);
	if (rc != RC_OK) {
		store_close(s);
		return rc;
	}
	struct engine_view *v = mem_new(struct engine_view);
	*v = (struct engine_view){ .engine = e, .store = s, .keys = key_cache_new() };
	*out = v;
	return RC_OK;
}

void engine_view_close(struct engine_view *v)
{
	if (!v)
		return;
	store_close(v->store);
	key_cache_free(v->keys);
	mem_free(v);
}

enum rc engine_view_begin(struct engine_view *v, struct err *err)
{
	enum rc rc = v->depth == 0 ? store_begin_read(v->store, err) : RC_OK;
	v->depth += rc == RC_OK;
	return rc;
}

void engine_view_end(struct engine_view *v)
{
	must(v->depth > 0);
	if (--v->depth == 0)
		store_end_read(v->store);
}

void engine_view_pause(struct engine_view *v)
{
	must(v->depth > 0);
	if (--v->depth == 0)
		store_pause_read(v->store);
}

void engine_view_rest(struct engine_view *v) { store_rest(v->store); }

static enum verdict found(enum rc rc, enum verdict missing) { return rc == RC_NOT_FOUND ? missing : verdict_of(rc); }

/* One page and the number of all matches, of one moment. */
static enum rc list_page(struct engine_view *v, struct query *q, struct arena *a, void **rows, size_t *n,
			 int64_t *total, struct err *err)
{
	enum rc rc = engine_view_begin(v, err);
	if (rc != RC_OK)
		return rc;
	rc = store_count(v->store, q, total, err);
	if (rc == RC_OK)
		rc = store_list(v->store, q, a, rows, n, err);
	engine_view_end(v);
	return rc;
}

static void add_text(struct query *q, const char *col, const char *value)
{
	if (value)
		q->preds[q->n_preds++] = (struct pred)PRED_TEXT(col, CMP_EQ, value);
}

enum verdict engine_app_get(struct engine_view *v, const char *account, const char *identity, struct arena *a,
			    struct app_row *out, struct err *err)
{
	return found(row_app_of(v->store, account, identity, a, out, err), V_NO_APP);
}

/* ---- app groups by tag ---- */

static bool has_tag(const json_t *tags, const char *key, const char *value)
{
	size_t i;
	const json_t *tag;
	json_array_foreach(tags, i, tag) {
		const char *k = json_string_value(json_object_get(tag, "key"));
		const char *val = json_string_value(json_object_get(tag, "value"));
		if (k && strcmp(k, key) == 0 && (!value || (val && strcmp(val, value) == 0)))
			return true;
	}
	return false;
}

static bool has_all_tags(const json_t *tags, const json_t *wanted)
{
	const json_t *want;
	size_t i;

	json_array_foreach(wanted, i, want) {
		const json_t *value = json_pick(want, "value");
		if (!has_tag(tags, json_string_value(json_pick(want, "key")), json_string_value(value)))
			return false;
	}
	return true;
}

/* Bring those of the n rows to the front that have all of the tags; *kept: how many they are. */
static enum rc keep_tagged(struct app_row *rows, size_t n, const json_t *wanted, size_t *kept, struct err *err)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct arena *a CLEANUP(arena_freep) = arena_new(1 << 20);
		const json_t *tags;
		enum rc rc = json_read_kept(rows[i].tags, a, &tags, err);
		if (rc != RC_OK)
			return rc;
		if (has_all_tags(tags, wanted))
			rows[n_kept++] = rows[i];
	}
	*kept = n_kept;
	return RC_OK;
}

static enum rc read_tags(const char *text, struct arena *a, const json_t **out, struct err *err)
{
	size_t i;
	const json_t *tag;

	enum rc rc = json_read(text, strlen(text), a, out, err);
	if (rc == RC_OK && !json_is_array(*out))
		rc = err_set(err, RC_INVALID, "tags must be a JSON array of {key, value}");
	if (rc != RC_OK)
		return rc;
	json_array_foreach(*out, i, tag) {
		const json_t *value = json_pick(tag, "value");
		if (!json_is_string(json_pick(tag, "key")) || (value && !json_is_string(value)))
			return err_set(err, RC_INVALID, "tags[%zu] must have a key and a value, both strings", i);
	}
	return RC_OK;
}

/* Tags are JSON texts, so this filter reads all candidates: app groups are few. */
static enum rc list_by_tags(struct engine_view *v, struct query *q, const char *tags, struct arena *a,
			    struct app_row **rows, size_t *n, int64_t *total, struct err *err)
{
	const json_t *wanted;
	int64_t offset = q->offset, limit = q->limit;
	struct app_row *all;
	size_t n_all, kept;

	q->offset = q->limit = 0;
	enum rc rc = read_tags(tags, a, &wanted, err);
	if (rc == RC_OK)
		rc = store_list(v->store, q, a, (void **)&all, &n_all, err);
	if (rc == RC_OK)
		rc = keep_tagged(all, n_all, wanted, &kept, err);
	if (rc != RC_OK)
		return rc;
	*total = (int64_t)kept;
	size_t from = (uint64_t)offset < kept ? (size_t)offset : kept;
	*rows = all + from;
	*n = limit && (uint64_t)limit < kept - from ? (size_t)limit : kept - from;
	return RC_OK;
}

enum verdict engine_app_list(struct engine_view *v, const struct app_filter *f, struct arena *a, struct app_row **rows,
			     size_t *n, int64_t *total, struct err *err)
{
	const char *by = f->by_updated ? "updated_at" : "created_at";
	struct query q = { .table = &table_app,
			   .orders = { { by, true }, { "id", true } },
			   .offset = f->offset,
			   .limit = f->limit };
	add_text(&q, "account", f->account);
	add_text(&q, "name", f->name);
	add_text(&q, "type", f->type);
	add_text(&q, "resource_group_id", f->resource_group_id);
	if (f->tags)
		return verdict_of(list_by_tags(v, &q, f->tags, a, rows, n, total, err));
	return verdict_of(list_page(v, &q, a, (void **)rows, n, total, err));
}

enum verdict engine_instance_get(struct engine_view *v, int64_t app_id, const char *function, const char *name,
				 struct arena *a, struct instance_row *out, struct err *err)
{
	enum rc rc = row_instance_of(v->store, app_id, function, name, a, out, err);
	if (rc == RC_OK)
		hints_put(v->engine->hints, app_id, function, name, out->id);
	return found(rc, V_NO_INSTANCE);
}

int64_t engine_instance_hint(const struct engine *e, int64_t app_id, const char *function, const char *name)
{
	return hints_get(e->hints, app_id, function, name);
}

enum verdict engine_instance_list(struct engine_view *v, const struct instance_filter *f, struct arena *a,
				  struct instance_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct query q = { .table = &table_instance,
			   .preds = { PRED_INT("app_id", CMP_EQ, f->app_id) },
			   .n_preds = 1,
			   .orders = { { "created_at", true }, { "name", false } },
			   .offset = f->offset,
			   .limit = f->limit };
	add_text(&q, "function", f->function);
	add_text(&q, "model_type", f->model_type);
	add_text(&q, "function_type", f->function_type);
	add_text(&q, "source", f->source);
	return verdict_of(list_page(v, &q, a, (void **)rows, n, total, err));
}

enum verdict engine_task_get(struct engine_view *v, int64_t instance_id, int64_t generation, struct arena *a,
			     struct task_row *out, struct err *err)
{
	return found(row_task_of(v->store, instance_id, generation, a, out, err), V_NO_TASK);
}

enum verdict engine_task_newest(struct engine_view *v, int64_t instance_id, struct arena *a, struct task_row *out,
				struct err *err)
{
	return found(row_task_newest(v->store, instance_id, a, out, err), V_NO_TASK);
}

static void add_int(struct query *q, const char *col, enum cmp cmp, int64_t value)
{
	q->preds[q->n_preds++] = (struct pred)PRED_INT(col, cmp, value);
}

/*
 * A run that waits for its first start counts as started when it was created, since that is the start an answer shows;
 * its started_at is 0, so the query with a lower bound misses it. There is at most one of an instance, and it is the
 * newest (E2), so it goes in front of what the query finds.
 */
static bool wants_waiting(const struct task_filter *f)
{
	return f->started_after != INT64_MIN && f->ended_before == INT64_MAX &&
	       (f->state == TASKS_ALL || f->state == TASKS_UNFINISHED);
}

/* RC_NOT_FOUND: none, or created too early. */
static enum rc find_waiting(struct engine_view *v, const struct task_filter *f, struct arena *a, struct task_row *out,
			    struct err *err)
{
	struct query q = { .table = &table_task,
			   .preds = { PRED_INT("instance_id", CMP_EQ, f->instance_id),
				      PRED_INT("state", CMP_EQ, TASK_PENDING), PRED_INT("started_at", CMP_EQ, 0),
				      PRED_INT("created_at", CMP_GT, f->started_after) },
			   .n_preds = 4 };
	return store_get(v->store, &q, out, a, err);
}

static enum rc put_in_front(const struct task_row *first, struct arena *a, struct task_row **rows, size_t *n,
			    struct err *err)
{
	struct task_row *all = arena_array(a, *n + 1, sizeof *all);

	if (!all)
		return err_set(err, RC_LIMIT, "no memory for %zu tasks", *n + 1);
	all[0] = *first;
	if (*n)
		memcpy(all + 1, *rows, *n * sizeof *all);
	*rows = all;
	++*n;
	return RC_OK;
}

static enum rc list_with_waiting(struct engine_view *v, const struct task_filter *f, struct query *q, struct arena *a,
				 struct task_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct task_row waiting;
	enum rc rc = find_waiting(v, f, a, &waiting, err);
	bool waits = rc == RC_OK, shows = waits && f->offset == 0;

	if (rc == RC_OK || rc == RC_NOT_FOUND)
		rc = store_count(v->store, q, total, err);
	if (rc != RC_OK)
		return rc;
	*total += waits;
	*n = 0;
	q->offset -= waits && !shows;
	q->limit -= shows && f->limit > 0;
	if (q->limit > 0 || f->limit == 0)
		rc = store_list(v->store, q, a, (void **)rows, n, err);
	return rc == RC_OK && shows ? put_in_front(&waiting, a, rows, n, err) : rc;
}

enum verdict engine_task_list(struct engine_view *v, const struct task_filter *f, struct arena *a,
			      struct task_row **rows, size_t *n, int64_t *total, struct err *err)
{
	struct query q = { .table = &table_task,
			   .preds = { PRED_INT("instance_id", CMP_EQ, f->instance_id) },
			   .n_preds = 1,
			   .orders = { { "generation", true } },
			   .offset = f->offset,
			   .limit = f->limit };
	if (f->state == TASKS_UNFINISHED)
		add_int(&q, "state", CMP_LT, TASK_SUCCESS);
	else if (f->state != TASKS_ALL)
		add_int(&q, "state", CMP_EQ, f->state == TASKS_SUCCESS ? TASK_SUCCESS : TASK_FAILED);
	if (f->started_after != INT64_MIN)
		add_int(&q, "started_at", CMP_GT, f->started_after > 0 ? f->started_after : 0);
	if (f->ended_before != INT64_MAX) {
		add_int(&q, "ended_at", CMP_GT, 0);
		add_int(&q, "ended_at", CMP_LT, f->ended_before);
	}
	if (!wants_waiting(f))
		return verdict_of(list_page(v, &q, a, (void **)rows, n, total, err));
	enum rc rc = engine_view_begin(v, err);
	if (rc != RC_OK)
		return verdict_of(rc);
	rc = list_with_waiting(v, f, &q, a, rows, n, total, err);
	engine_view_end(v);
	return verdict_of(rc);
}

enum verdict engine_task_events(struct engine_view *v, int64_t task_id, struct arena *a, struct event_row **rows,
				size_t *n, struct err *err)
{
	struct query q = { .table = &table_event,
			   .preds = { PRED_INT("task_id", CMP_EQ, task_id) },
			   .n_preds = 1,
			   .orders = { { "id", false } } };
	return verdict_of(store_list(v->store, &q, a, (void **)rows, n, err));
}

enum verdict engine_task_metrics(struct engine_view *v, int64_t task_id, struct arena *a, struct metric_row **rows,
				 size_t *n, struct err *err)
{
	struct query q = { .table = &table_metric,
			   .preds = { PRED_INT("task_id", CMP_EQ, task_id) },
			   .n_preds = 1,
			   .orders = { { "step", false }, { "name", false }, { "set_name", false } } };
	return verdict_of(store_list(v->store, &q, a, (void **)rows, n, err));
}

/* The newest point of the first metric after this one in order of (set, name); after NULL: of the very first.
 * Three steps along the primary key. RC_NOT_FOUND: there is none. */
static enum rc next_newest(struct engine_view *v, int64_t task_id, const struct metric_row *after, struct arena *a,
			   struct metric_row *out, struct err *err)
{
	struct metric_row first;
	enum rc rc = RC_NOT_FOUND;
	struct query q = { .table = &table_metric,
			   .preds = { PRED_INT("task_id", CMP_EQ, task_id) },
			   .n_preds = 1,
			   .orders = { { "set_name", false }, { "name", false } } };
	if (after) {
		struct query same_set = q;
		add_text(&same_set, "set_name", after->set_name);
		same_set.preds[same_set.n_preds++] = (struct pred)PRED_TEXT("name", CMP_GT, after->name);
		rc = store_get(v->store, &same_set, &first, a, err);
		q.preds[q.n_preds++] = (struct pred)PRED_TEXT("set_name", CMP_GT, after->set_name);
	}
	if (rc == RC_NOT_FOUND)
		rc = store_get(v->store, &q, &first, a, err);
	if (rc != RC_OK)
		return rc;
	struct query newest = { .table = &table_metric,
				.preds = { PRED_INT("task_id", CMP_EQ, task_id) },
				.n_preds = 1,
				.orders = { { "step", true } } };
	add_text(&newest, "set_name", first.set_name);
	add_text(&newest, "name", first.name);
	return store_get(v->store, &newest, out, a, err);
}

enum verdict engine_task_metrics_newest(struct engine_view *v, int64_t task_id, size_t most, struct arena *a,
					struct metric_row **rows, size_t *n, struct err *err)
{
	struct metric_row *list = arena_array(a, most, sizeof *list);
	size_t found_n = 0;

	if (!list)
		return verdict_of(err_set(err, RC_LIMIT, "no memory for %zu metrics", most));
	enum rc rc = engine_view_begin(v, err);
	if (rc != RC_OK)
		return verdict_of(rc);
	while (rc == RC_OK && found_n < most) {
		rc = next_newest(v, task_id, found_n ? &list[found_n - 1] : NULL, a, &list[found_n], err);
		found_n += rc == RC_OK;
	}
	engine_view_end(v);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return verdict_of(rc);
	*rows = list;
	*n = found_n;
	return V_OK;
}

enum verdict engine_default_get(struct engine_view *v, int64_t app_id, const char *function, struct arena *a,
				struct instance_row *out, struct err *err)
{
	struct default_row d;
	struct query q = { .table = &table_default,
			   .preds = { PRED_INT("app_id", CMP_EQ, app_id), PRED_TEXT("function", CMP_EQ, function) },
			   .n_preds = 2 };
	enum rc rc = store_get(v->store, &q, &d, a, err);
	if (rc == RC_OK)
		rc = row_instance(v->store, d.instance_id, a, out, err);
	return found(rc, V_NO_DEFAULT);
}

enum rc engine_key_find(struct engine_view *v, const char *access_key_id, struct arena *a, struct access_key *out,
			struct err *err)
{
	return keyring_find_cached(v->engine->keys, v->keys, v->store, access_key_id, a, out, err);
}

/* ---- metrics ---- */

static enum rc count_state(struct engine_view *v, enum task_state state, int64_t *n, struct err *err)
{
	struct query q = { .table = &table_task, .preds = { PRED_INT("state", CMP_EQ, state) }, .n_preds = 1 };
	return store_count(v->store, &q, n, err);
}

static double read_counter(struct counter *c) { return (double)atomic_load(&c->n); }

static void write_state(struct engine *e, struct buf *out)
{
	struct engine_state s;

	engine_state(e, &s);
	metric_head(out, "stint_models_unusable", "gauge", "Models in service whose file is missing or damaged.");
	metric_value(out, "stint_models_unusable", "", (double)s.models_unusable);
	metric_head(out, "stint_models_checked_timestamp_seconds", "gauge",
		    "When the models in service were last compared with their checksums; 0: not yet.");
	metric_value(out, "stint_models_checked_timestamp_seconds", "", (double)s.models_checked_at / 1000);
	if (s.disk_free < 0)
		return;
	metric_head(out, "stint_data_free_bytes", "gauge", "Free space of the data folder's file system.");
	metric_value(out, "stint_data_free_bytes", "", (double)s.disk_free);
}

static enum rc write_caches(struct engine_view *v, struct buf *out, struct err *err)
{
	struct query q = { .table = &table_cache,
			   .preds = { PRED_INT("deleted_at", CMP_EQ, 0), PRED_TEXT("status", CMP_EQ, "RUNNING") } };
	int64_t all = 0, running = 0, broken = 0;

	q.n_preds = 1;
	enum rc rc = store_count(v->store, &q, &all, err);
	q.n_preds = 2;
	if (rc == RC_OK)
		rc = store_count(v->store, &q, &running, err);
	q.preds[1].v_text = "ERROR";
	if (rc == RC_OK)
		rc = store_count(v->store, &q, &broken, err);
	if (rc != RC_OK)
		return rc;
	metric_head(out, "stint_redis_instances", "gauge", "Redis instances by status.");
	metric_value(out, "stint_redis_instances", "status=\"RUNNING\"", (double)running);
	metric_value(out, "stint_redis_instances", "status=\"ERROR\"", (double)broken);
	metric_value(out, "stint_redis_instances", "status=\"other\"", (double)(all - running - broken));
	return RC_OK;
}

enum rc engine_metrics(struct engine_view *v, struct buf *out, struct err *err)
{
	struct engine *e = v->engine;
	int64_t pending = 0, running = 0, size = 0;

	enum rc rc = count_state(v, TASK_PENDING, &pending, err);
	if (rc == RC_OK)
		rc = count_state(v, TASK_RUNNING, &running, err);
	if (rc != RC_OK)
		return rc;
	metric_head(out, "stint_tasks", "gauge", "Unfinished tasks by state.");
	metric_value(out, "stint_tasks", "state=\"pending\"", (double)pending);
	metric_value(out, "stint_tasks", "state=\"running\"", (double)running);
	metric_head(out, "stint_tasks_finished_total", "counter", "Tasks ended since the start of the server.");
	metric_value(out, "stint_tasks_finished_total", "state=\"success\"", read_counter(&e->n_success));
	metric_value(out, "stint_tasks_finished_total", "state=\"failed\"", read_counter(&e->n_failed));
	metric_head(out, "stint_task_requeues_total", "counter",
		    "Attempts that ended by the machine's fault and are tried again.");
	metric_value(out, "stint_task_requeues_total", "", read_counter(&e->n_requeued));
	metric_head(out, "stint_tasks_retired_total", "counter",
		    "Records of ended tasks that the retention rules removed.");
	metric_value(out, "stint_tasks_retired_total", "", read_counter(&e->n_retired));
	metric_head(out, "stint_cron_firings_total", "counter", "Schedules that fired, by what came of it.");
	metric_value(out, "stint_cron_firings_total", "result=\"created\"", read_counter(&e->n_cron_fired));
	metric_value(out, "stint_cron_firings_total", "result=\"skipped\"", read_counter(&e->n_cron_skipped));
	metric_head(out, "stint_task_queue_wait_seconds", "histogram", "From creation to the first claim.");
	metric_histogram(out, "stint_task_queue_wait_seconds", "", &e->queue_wait_s);
	metric_head(out, "stint_commit_batch_size", "histogram", "Changes per transaction.");
	metric_histogram(out, "stint_commit_batch_size", "", &e->batch_size);
	metric_head(out, "stint_commit_seconds", "histogram", "Time of the commit itself, with its fsync.");
	metric_histogram(out, "stint_commit_seconds", "", &e->commit_s);
	if (file_size(e->store_path, &size, NULL) == RC_OK) {
		metric_head(out, "stint_database_bytes", "gauge",
			    "Size of the database file; free pages in it are used again.");
		metric_value(out, "stint_database_bytes", "", (double)size);
	}
	metric_head(out, "stint_store_healthy", "gauge", "1 while the store takes writes.");
	metric_value(out, "stint_store_healthy", "", atomic_load(&e->is_healthy) ? 1 : 0);
	write_state(e, out);
	return write_caches(v, out, err);
}
