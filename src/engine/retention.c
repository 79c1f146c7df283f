/*
 * Retention: one quiet thread that removes the records of ended tasks which the rules no longer keep: per instance the
 * newest keep_tasks, of those the ones that ended within keep_days. Of an instance always stay
 *   R1 a task that has not ended (E5),
 *   R2 the one whose model is in service (E8), and the newest that succeeded,
 *   R3 the newest of all, which says how the instance fares.
 * Numbers are never given again (E3): the instance counts them, not its records.
 *
 * Age is told by a clock that a jump of the machine's does not reach for a day (ageing.h).
 *
 * It finds what is surplus on a connection of its own, and drops it by small changes, each judged anew by the writer:
 * at most BATCH_TASKS records, at most about BATCH_ROWS rows with events and metrics, and after each a rest four times
 * as long, so that changes from outside hardly wait. A record with more rows than that loses them in several changes
 * before it goes itself. A pass that fails is followed by the next one in its time. Files
 * go after the commit, like those of a task that its user deletes.
 */
#include <stddef.h>
#include <string.h>
#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/worry.h"
#include "engine/priv.h"

enum {
	BATCH_TASKS = 64,
	BATCH_ROWS = 2000,
	ALWAYS_KEPT = 4, /* R1 to R3 */
	PAGE = BATCH_TASKS + ALWAYS_KEPT,
	REST_SHARE = 4,
	REST_LEAST_MS = 10,
	EVERY_MS = 60000,
};
#define DAY_MS INT64_C(86400000)

struct retention {
	struct engine *engine;
	struct retention_rules rules;
	struct worry failure; /* of its passes */
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_stopping, is_answered;
};

/* Records of one instance that are to go. */
struct drop {
	struct change base;
	struct retention *retention;
	int64_t instance_id, now_ms;
	int64_t ids[BATCH_TASKS];
	int n;
	bool trims; /* the only one has too many rows: take some away */
	/* what became of them: paths are of those that were dropped */
	char *log_paths[BATCH_TASKS], *work_dirs[BATCH_TASKS];
	int n_dropped;
};

/* ---- the rules ---- */

/* What the rules say of an instance now: newer ones than surplus_generation are not too many. */
struct verge {
	int64_t newest_generation, success_generation, surplus_generation, ended_before;
};

static enum rc newest_of(struct store *s, int64_t instance_id, bool is_success, int64_t skip, struct arena *a,
			 int64_t *generation, struct err *err)
{
	struct task_row *rows;
	size_t n = 0;
	struct query q = { .table = &table_task,
			   .preds = { PRED_INT("instance_id", CMP_EQ, instance_id),
				      PRED_INT("state", CMP_EQ, TASK_SUCCESS) },
			   .n_preds = is_success ? 2 : 1,
			   .orders = { { .col = "generation", .is_desc = true } },
			   .offset = skip,
			   .limit = 1 };
	enum rc rc = store_list(s, &q, a, (void **)&rows, &n, err);
	if (rc == RC_OK)
		*generation = n ? rows[0].generation : 0;
	return rc;
}

static enum rc find_verge(struct store *s, const struct retention_rules *rules, const struct instance_row *i,
			  int64_t now_ms, struct arena *a, struct verge *out, struct err *err)
{
	struct verge v = { .ended_before = rules->keep_days ? now_ms - rules->keep_days * DAY_MS : 0 };

	enum rc rc = newest_of(s, i->id, false, 0, a, &v.newest_generation, err);
	if (rc == RC_OK)
		rc = newest_of(s, i->id, true, 0, a, &v.success_generation, err);
	if (rc == RC_OK && rules->keep_tasks)
		rc = newest_of(s, i->id, false, rules->keep_tasks + (i->busy_task_id != 0), a, &v.surplus_generation,
			       err);
	if (rc == RC_OK)
		*out = v;
	return rc;
}

static bool is_surplus(const struct instance_row *i, const struct verge *v, const struct task_row *t)
{
	bool is_kept = !task_state_is_final((enum task_state)t->state) || t->generation == i->model_generation ||
		       t->generation == v->success_generation || t->generation == v->newest_generation;
	return !is_kept && (t->generation <= v->surplus_generation || t->ended_at < v->ended_before);
}

/* ---- finding ---- */

static enum rc count_rows(struct store *s, int64_t task_id, int64_t *n, struct err *err)
{
	int64_t events = 0, metrics = 0;
	struct query of_events = { .table = &table_event,
				   .preds = { PRED_INT("task_id", CMP_EQ, task_id) },
				   .n_preds = 1 };
	struct query of_metrics = of_events;
	of_metrics.table = &table_metric;

	enum rc rc = store_count(s, &of_events, &events, err);
	if (rc == RC_OK)
		rc = store_count(s, &of_metrics, &metrics, err);
	if (rc == RC_OK)
		*n = 1 + events + metrics;
	return rc;
}

/* From the oldest on: of a page of them at least one is not among those always kept, if any is surplus. But a clock
 * that was ahead may have left ends that are still to come, of records that are not old: such pages are passed. */
static enum rc list_oldest(struct retention *r, const struct instance_row *i, const struct verge *v, struct arena *a,
			   struct task_row **rows, size_t *n, struct err *err)
{
	int64_t after = 0, wall_ms = clock_wall_ms();
	bool goes_on = v->surplus_generation || v->ended_before;
	enum rc rc = RC_OK;

	*n = 0;
	while (rc == RC_OK && goes_on) {
		struct query oldest = { .table = &table_task,
					.preds = { PRED_INT("instance_id", CMP_EQ, i->id),
						   PRED_INT("generation", CMP_GT, after) },
					.n_preds = 2,
					.orders = { { .col = "generation" } },
					.limit = PAGE };
		arena_reset(a);
		rc = store_list(r->store, &oldest, a, (void **)rows, n, err);
		goes_on = rc == RC_OK && *n == PAGE;
		for (size_t k = 0; goes_on && k < *n; k++)
			goes_on = !is_surplus(i, v, &(*rows)[k]);
		goes_on = goes_on && (*rows)[PAGE - 1].ended_at > wall_ms;
		after = goes_on ? (*rows)[PAGE - 1].generation : after;
	}
	return rc;
}

static enum rc collect(struct retention *r, const struct instance_row *i, struct arena *a, struct drop *out,
		       struct err *err)
{
	struct task_row *rows = NULL; /* none, as long as n is 0 */
	size_t n = 0;
	int64_t weight = 0;
	struct verge v;

	out->now_ms = ageing_of(r->engine);
	enum rc rc = find_verge(r->store, &r->rules, i, out->now_ms, a, &v, err);
	if (rc == RC_OK)
		rc = list_oldest(r, i, &v, a, &rows, &n, err);
	for (size_t k = 0; rc == RC_OK && k < n && out->n < BATCH_TASKS && weight < BATCH_ROWS; k++) {
		int64_t more = 0;
		if (!is_surplus(i, &v, &rows[k]))
			continue;
		rc = count_rows(r->store, rows[k].id, &more, err);
		if (out->n && weight + more > BATCH_ROWS)
			break;
		out->trims = more > BATCH_ROWS;
		out->ids[out->n++] = rows[k].id;
		weight += more;
	}
	return rc;
}

/* ---- dropping, on the writer thread ---- */

/* Delete the first BATCH_ROWS of what q means, which are told apart by column col and in its order. at: where a row
 * struct has that column. */
static enum rc delete_first(struct store *s, struct query q, const char *col, size_t at, struct arena *a,
			    struct err *err)
{
	unsigned char *row;
	size_t n = 0;

	q.orders[0] = (struct order){ .col = col };
	q.offset = BATCH_ROWS;
	q.limit = 1;
	enum rc rc = store_list(s, &q, a, (void **)&row, &n, err);
	if (rc != RC_OK)
		return rc;
	q.orders[0] = (struct order){ 0 };
	if (n)
		q.preds[q.n_preds++] = (struct pred)PRED_INT(col, CMP_LT, *(const int64_t *)(const void *)(row + at));
	return store_delete(s, &q, NULL, err);
}

/* Of its metrics, one after the other, and then of its events. */
static enum rc trim(struct store *s, int64_t task_id, struct arena *a, struct err *err)
{
	struct metric_row first;
	struct query of_events = { .table = &table_event,
				   .preds = { PRED_INT("task_id", CMP_EQ, task_id) },
				   .n_preds = 1 };
	struct query of_metrics = of_events;
	of_metrics.table = &table_metric;

	enum rc rc = store_get(s, &of_metrics, &first, a, err);
	if (rc == RC_NOT_FOUND)
		return delete_first(s, of_events, "id", offsetof(struct event_row, id), a, err);
	if (rc != RC_OK)
		return rc;
	of_metrics.preds[of_metrics.n_preds++] = (struct pred)PRED_TEXT("set_name", CMP_EQ, first.set_name);
	of_metrics.preds[of_metrics.n_preds++] = (struct pred)PRED_TEXT("name", CMP_EQ, first.name);
	return delete_first(s, of_metrics, "step", offsetof(struct metric_row, step), a, err);
}

static enum rc drop_one(struct engine *e, struct drop *d, const struct instance_row *i, const struct verge *v,
			int64_t id, struct arena *a, struct err *err)
{
	char path[PATH_MAX];
	struct task_row t;
	struct query self = { .table = &table_task, .preds = { PRED_INT("id", CMP_EQ, id) }, .n_preds = 1 };

	enum rc rc = row_task(e->store, id, a, &t, err);
	if (rc == RC_NOT_FOUND || (rc == RC_OK && !is_surplus(i, v, &t)))
		return RC_OK; /* deleted by its user, or in service meanwhile */
	if (rc == RC_OK && d->trims)
		return trim(e->store, id, a, err);
	if (rc == RC_OK)
		rc = store_delete(e->store, &self, NULL, err);
	if (rc != RC_OK)
		return rc;
	engine_task_log_path(e, i, t.generation, path);
	d->log_paths[d->n_dropped] = mem_dup(path);
	path_of_generation(e, i, t.generation, path);
	d->work_dirs[d->n_dropped++] = mem_dup(path);
	return RC_OK;
}

static enum verdict apply_drop(struct engine *e, struct change *base)
{
	struct drop *d = (struct drop *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row i;
	struct verge v;

	enum rc rc = row_instance(e->store, d->instance_id, a, &i, err);
	if (rc == RC_NOT_FOUND)
		return V_OK; /* gone with all its tasks */
	if (rc == RC_OK)
		rc = find_verge(e->store, &d->retention->rules, &i, d->now_ms, a, &v, err);
	for (int k = 0; rc == RC_OK && k < d->n; k++)
		rc = drop_one(e, d, &i, &v, d->ids[k], a, err);
	return verdict_of(rc);
}

static void remove_files(struct engine *e, struct change *base)
{
	const struct drop *d = (const struct drop *)base;

	for (int k = 0; k < d->n_dropped; k++) {
		closer_remove_path(e, d->log_paths[k]);
		closer_remove_path(e, d->work_dirs[k]);
	}
	counter_add(&e->n_retired, (uint64_t)d->n_dropped);
}

/* ---- the thread ---- */

static void answered(struct change *base)
{
	struct retention *r = base->ctx;
	(void)pthread_mutex_lock(&r->lock);
	r->is_answered = true;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
}

static enum verdict submit(struct retention *r, struct drop *d)
{
	d->base = (struct change){ .apply = apply_drop, .committed = remove_files, .done = answered, .ctx = r };
	writer_submit(r->engine, &d->base);
	(void)pthread_mutex_lock(&r->lock);
	while (!r->is_answered)
		(void)pthread_cond_wait(&r->changed, &r->lock);
	r->is_answered = false;
	(void)pthread_mutex_unlock(&r->lock);
	for (int k = 0; k < d->n_dropped; k++) {
		mem_free(d->log_paths[k]);
		mem_free(d->work_dirs[k]);
	}
	return d->base.verdict;
}

/* False: the server is stopping. */
static bool rest(struct retention *r, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;

	(void)pthread_mutex_lock(&r->lock);
	for (bool is_time = false; !r->is_stopping && !is_time;)
		is_time = cond_wait(&r->changed, &r->lock, until);
	bool goes_on = !r->is_stopping;
	(void)pthread_mutex_unlock(&r->lock);
	return goes_on;
}

/* One batch of an instance. *is_clean: there was nothing to do. */
static enum rc drop_some(struct retention *r, const struct instance_row *i, bool *is_clean, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct drop d = { .retention = r, .instance_id = i->id };
	int64_t from = clock_mono_ms();

	enum rc rc = collect(r, i, a, &d, err);
	*is_clean = rc != RC_OK || d.n == 0;
	if (*is_clean)
		return rc;
	if (submit(r, &d) != V_OK)
		return err_set(err, RC_BUSY, "%.200s", d.base.err.msg);
	log_debug("retention.dropped", "instance=%lld tasks=%d", (long long)i->id, d.n_dropped);
	int64_t pause = (clock_mono_ms() - from) * REST_SHARE;
	*is_clean = !rest(r, pause > REST_LEAST_MS ? pause : REST_LEAST_MS);
	return RC_OK;
}

/* Of the instance after *id; RC_NOT_FOUND: that was the last. */
static enum rc tidy_next(struct retention *r, int64_t *id, struct err *err)
{
	bool is_clean = false;
	enum rc rc = RC_OK;

	for (bool is_first = true; rc == RC_OK && !is_clean; is_first = false) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
		struct instance_row i;
		struct query q = { .table = &table_instance,
				   .preds = { PRED_INT("id", is_first ? CMP_GT : CMP_EQ, *id) },
				   .n_preds = 1 };
		rc = store_get(r->store, &q, &i, a, err);
		if (rc == RC_NOT_FOUND)
			return is_first ? rc : RC_OK; /* deleted meanwhile */
		if (rc != RC_OK)
			return rc;
		*id = i.id;
		rc = drop_some(r, &i, &is_clean, err);
	}
	return rc;
}

static void make_pass(struct retention *r)
{
	struct err err = { 0 };
	int64_t id = 0;

	enum rc rc = r->store ? RC_OK : store_open_sqlite(r->engine->store_path, STORE_READER, &r->store, &err);
	while (rc == RC_OK && rest(r, 0))
		rc = tidy_next(r, &id, &err);
	if ((rc == RC_OK || rc == RC_NOT_FOUND) && worry_ends(&r->failure))
		log_info("retention.goes_on", "it can be done again");
	if (rc == RC_OK || rc == RC_NOT_FOUND || atomic_load(&r->engine->is_refusing))
		return;
	if (worry_is_news(&r->failure, clock_mono_ms()))
		log_warn("retention.failed", "rc=%s reason=\"%s\"", rc_name(rc), err.msg);
	if (rc == RC_BUSY)
		return;
	store_close(r->store); /* the database may be another one by the next pass */
	r->store = NULL;
}

static void *retention_main(void *arg)
{
	struct retention *r = arg;
	do
		make_pass(r);
	while (rest(r, r->rules.every_ms));
	return NULL;
}

enum rc retention_start(struct engine *e, const struct retention_rules *rules, struct err *err)
{
	if (!rules->keep_tasks && !rules->keep_days)
		return RC_OK;
	struct retention *r = mem_new(struct retention);
	r->engine = e;
	r->rules = *rules;
	r->rules.every_ms = rules->every_ms ? rules->every_ms : EVERY_MS;
	cond_init(&r->changed);
	must(pthread_mutex_init(&r->lock, NULL) == 0);
	int sys = pthread_create(&r->thread, NULL, retention_main, r);
	if (sys) {
		mem_free(r);
		return err_sys(err, RC_IO, sys, "cannot start the retention thread");
	}
	e->retention = r;
	return RC_OK;
}

void retention_stop(struct engine *e)
{
	struct retention *r = e->retention;

	if (!r)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->is_stopping = true;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
	must(pthread_join(r->thread, NULL) == 0);
	store_close(r->store);
	(void)pthread_cond_destroy(&r->changed);
	(void)pthread_mutex_destroy(&r->lock);
	mem_free(r);
	e->retention = NULL;
}
