/*
 * Claiming and starting: what is due is fired, what is pending is claimed, what is claimed is started.
 *
 *   run_due   pending -> running (claim)   inside a batch; the child is started after its commit (run_start_claimed)
 *
 * A claim is committed before its child is started, so a crash in between leaves a running task without a process,
 * which the next start recovers (run_end.c); it can never leave a process without a claim. The child's files are made
 * meanwhile: files of an attempt that never was are taken back when the commit fails (run_forget_claimed), and by the
 * next start's sweep, or its first attempt, after a crash.
 * What a child says is run_said.c, how an attempt ends run_end.c.
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "engine/cache.h"
#include "engine/priv.h"
#include "json/json.h"
#include "os/file.h"
#include "train/train.h"

enum {
	DUE_AT_ONCE = 64,  /* cron firings and claims of one batch, so that none grows without bound */
	CACHE_PLACES = 16, /* operations on caches at once */
	SKIPS_KEPT = 20,   /* notes of skipped firings, of one task */
	TASK_FILE_MAX = 4 << 20,
};

/* ---- the table of claimed attempts ---- */

struct attempt **run_attempt(struct engine *e, int64_t task_id, int64_t number)
{
	struct attempt **at = &e->attempts;
	while (*at && !((*at)->task_id == task_id && (*at)->number == number))
		at = &(*at)->next;
	return at;
}

void run_drop_attempt(struct engine *e, int64_t task_id, int64_t number)
{
	struct attempt **at = run_attempt(e, task_id, number), *gone = *at;
	if (!gone)
		return;
	*at = gone->next;
	e->n_attempts[gone->is_cache]--;
	mem_free(gone->unsynced_dir);
	mem_free(gone);
	e->looks_for_work = true;
}

void run_forget_claimed(struct engine *e)
{
	struct attempt **at = &e->attempts;
	while (*at) {
		struct attempt *a = *at;
		if (!a->starts) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		e->n_attempts[a->is_cache]--;
		if (a->is_prepared)
			exec_forget(e->exec, a->task_id, a->number);
		mem_free(a->unsynced_dir);
		mem_free(a);
	}
}

void run_free(struct engine *e)
{
	while (e->attempts)
		run_drop_attempt(e, e->attempts->task_id, e->attempts->number);
}

/* ---- preparing ---- */

static void write_roots(const struct engine *e, struct jw *w)
{
	jw_key(w, "import_roots");
	jw_array(w);
	for (int i = 0; i < e->n_roots; i++)
		jw_text(w, e->roots[i]);
	jw_end_array(w);
}

/* Whether name has a default; of any parameter when name is NULL. */
static bool has_default(const struct function *f, const char *name)
{
	for (size_t i = 0; i < f->n_create_rules; i++) {
		const struct param_rule *r = &f->create_rules[i];
		if (r->default_text && (!name || strcmp(r->name, name) == 0))
			return true;
	}
	return false;
}

/* An empty value means "not given", where there is a default. */
static void write_given(const json_t *given, const struct function *f, struct jw *w)
{
	const char *name;
	json_t *value;

	/* jansson's iterator takes no const; nothing is changed through it. */
	json_object_foreach((json_t *)(uintptr_t)given, name, value)
	{
		if (!json_is_string(value) || (!json_string_length(value) && has_default(f, name)))
			continue;
		jw_key_exact(w, name);
		jw_text(w, json_string_value(value));
	}
}

/* The parameters as given, and for those that were not the defaults of the function's manifest: a program can rely on
 * them. The built-in trainer's own rules have theirs inside. */
static enum rc write_params(const struct task_row *t, const struct function *f, struct jw *w, struct arena *a,
			    struct err *err)
{
	const json_t *given;

	jw_key(w, "parameters");
	if (f->is_internal || f->create_rules == train_rules || !has_default(f, NULL)) {
		jw_raw(w, t->params);
		return RC_OK;
	}
	enum rc rc = json_read(t->params, strlen(t->params), a, &given, err);
	if (rc != RC_OK)
		return rc;
	jw_object(w);
	write_given(given, f, w);
	for (size_t i = 0; i < f->n_create_rules; i++) {
		const struct param_rule *r = &f->create_rules[i];
		if (r->default_text && !json_string_length(json_object_get(given, r->name))) {
			jw_key_exact(w, r->name);
			jw_text(w, r->default_text);
		}
	}
	jw_end_object(w);
	return RC_OK;
}

/* The child's orders, docs/child-protocol.md. */
static enum rc write_task_file(struct engine *e, const struct app_row *app, const struct instance_row *i,
			       const struct task_row *t, const struct function *f, struct buf *out, struct arena *a,
			       struct err *err)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_int(&w, "task_id", t->id);
	jw_kv_text(&w, "kind", t->kind);
	jw_kv_text(&w, "app", app->name);
	jw_kv_text(&w, "function", i->function);
	jw_kv_text(&w, "instance", i->name);
	jw_kv_text(&w, "model_type", i->model_type);
	jw_kv_int(&w, "generation", t->generation);
	jw_kv_int(&w, "attempt", t->attempt);
	jw_kv_text(&w, "builtin", f->builtin ? f->builtin : "");
	jw_kv_text(&w, "checkpoint", t->checkpoint);
	enum rc rc = write_params(t, f, &w, a, err);
	if (rc == RC_OK && is_cache_task(t))
		rc = cache_write_task(e, t, &w, a, err);
	else if (rc == RC_OK)
		write_roots(e, &w);
	jw_end_object(&w);
	if (rc == RC_OK && out->is_over)
		rc = err_set(err, RC_LIMIT, "the task file is too large");
	return rc;
}

static enum rc prepare_child(struct engine *e, const struct app_row *app, const struct instance_row *i,
			     const struct task_row *t, const struct function *f, const char *dir, struct arena *a,
			     struct err *err)
{
	char file[PATH_MAX], log[PATH_MAX];
	const char *const builtin[] = { e->self_exe, "job", NULL };
	const char *limit_of = arena_printf(a, "function %s", f->name);
	struct buf text;

	engine_task_log_path(e, i, t->generation, log);
	enum rc rc = path_join(file, dir, TASK_FILE, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&text, TASK_FILE_MAX);
	rc = write_task_file(e, app, i, t, f, &text, a, err);
	struct exec_spec spec = {
		.task_id = t->id,
		.attempt = t->attempt,
		.argv = f->builtin ? builtin : f->argv,
		.work_dir = dir,
		.log_path = log,
		.task_file = file,
		.orders = buf_text(&text),
		.orders_len = text.len,
		.is_first = t->attempt == 1,
		.timeout_ms = f->limits.time_s * 1000,
		.stall_ms = f->stall_ms,
		.grace_ms = f->grace_ms,
		.memory_limit = f->limits.memory_mib << 20,
		.cpu_limit_ms = f->limits.cpu_s * 1000,
		.disk_limit = f->limits.disk_mib << 20,
		.log_limit = f->limits.log_mib << 20,
		.process_limit = f->limits.processes,
		.limit_of = f->is_internal ? NULL : limit_of,
	};
	if (rc == RC_OK)
		exec_prepare(e->exec, &spec);
	buf_fini(&text);
	return rc;
}

/* Reads what it needs from the store: within the transaction of the claim, or after it. */
static enum rc prepare_attempt(struct engine *e, struct attempt *attempt, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct task_row t;
	struct instance_row i;
	struct app_row app;
	char dir[PATH_MAX];

	enum rc rc = row_task(e->store, attempt->task_id, a, &t, err);
	if (rc == RC_OK)
		rc = row_instance(e->store, t.instance_id, a, &i, err);
	if (rc == RC_OK)
		rc = row_app(e->store, i.app_id, a, &app, err);
	if (rc != RC_OK)
		return rc;
	path_of_generation(e, &i, t.generation, dir);
	attempt->unsynced_dir = mem_dup(dir);
	const struct function *f = functions_by_version(e->functions, i.function, i.version_id);
	if (!f)
		return err_set(err, RC_INVALID, "function %s is no longer offered", i.function);
	return prepare_child(e, &app, &i, &t, f, dir, a, err);
}

static void prepare(struct engine *e, struct attempt *attempt)
{
	attempt->is_prepared = true;
	attempt->no_start.rc = prepare_attempt(e, attempt, &attempt->no_start);
}

/* While the claim is being committed the attempt's folder, orders and log are made; if it comes to nothing they are
 * taken back. Not while the sweep runs, to which they would be nobody's. */
static void prepare_claimed(struct engine *e)
{
	if (!atomic_load(&e->is_swept))
		return;
	for (struct attempt *at = e->attempts; at; at = at->next) {
		if (at->starts)
			prepare(e, at);
	}
}

/* ---- what is due ---- */

/* On a task that stands for long every firing would add a row: the newest are kept. The count is in the metrics. */
static enum rc note_skip(struct engine *e, int64_t task_id, int64_t now_ms, struct arena *a, struct err *err)
{
	struct event_row *rows;
	size_t n = 0;
	struct query q = { .table = &table_event,
			   .preds = { PRED_INT("task_id", CMP_EQ, task_id), PRED_TEXT("kind", CMP_EQ, "skipped") },
			   .n_preds = 2,
			   .orders = { { .col = "id", .is_desc = true } },
			   .offset = SKIPS_KEPT,
			   .limit = 1 };

	enum rc rc = row_event_add(e->store, task_id, 0, now_ms, "skipped",
				   "a scheduled run was skipped: this one is unfinished", err);
	if (rc == RC_OK)
		rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	if (rc != RC_OK || n == 0)
		return rc;
	q.preds[q.n_preds++] = (struct pred)PRED_INT("id", CMP_LE, rows[0].id);
	return store_delete(e->store, &q, NULL, err);
}

/* A schedule fired: a task, or a note on the one that is still unfinished. */
static enum rc fire(struct engine *e, struct instance_row *i, int64_t now_ms, struct arena *a, struct err *err)
{
	struct task_row task;
	struct task_order order = { .kind = KIND_TRAIN, .run_prefix = "scheduled", .params = i->create_params };
	const struct instance_row was = *i;

	i->cron_next_at = zone_cron_next(i->cron, now_ms);
	enum rc rc = store_change(e->store, &table_instance, &was, i, err);
	if (rc != RC_OK)
		return rc;
	if (i->busy_task_id) {
		e->tally.cron_skipped++;
		return note_skip(e, i->busy_task_id, now_ms, a, err);
	}
	e->tally.cron_fired++;
	return task_insert(e, i, &order, now_ms, a, &task, err);
}

static enum rc fire_due(struct engine *e, int64_t now_ms, struct arena *a, struct err *err)
{
	struct instance_row *rows;
	size_t n;
	struct query q = { .table = &table_instance,
			   .preds = { PRED_INT("cron_next_at", CMP_GT, 0), PRED_INT("cron_next_at", CMP_LE, now_ms) },
			   .n_preds = 2,
			   .orders = { { .col = "cron_next_at" } },
			   .limit = DUE_AT_ONCE };
	enum rc rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = fire(e, &rows[i], now_ms, a, err);
	return rc;
}

/* ---- a clock that was ahead ---- */

/* How far a clock may go back before what was planned by it is looked at again: less than that is a correction, and a
 * firing that has happened does not happen again. */
enum { CLOCK_SLACK_MS = 3 * 3600 * 1000, PAUSE_MOST_MS = 3600 * 1000 /* of task_backoff_ms and cache_after.c */ };

static int64_t clock_lead(int64_t now_ms) { return now_ms - clock_mono_ms(); }

bool run_clock_went_back(const struct engine *e, int64_t now_ms)
{
	return clock_lead(now_ms) < e->clock_lead_ms - CLOCK_SLACK_MS;
}

static enum rc plan_one(struct engine *e, struct instance_row *i, int64_t now_ms, struct err *err)
{
	const struct instance_row was = *i;

	if (i->cron_next_at <= zone_cron_next(i->cron, now_ms + CLOCK_SLACK_MS))
		return RC_OK;
	i->cron_next_at = zone_cron_next(i->cron, now_ms);
	log_warn("cron.planned_anew", "instance=%lld from=%lld to=%lld reason=\"the clock was ahead\"",
		 (long long)i->id, (long long)was.cron_next_at, (long long)i->cron_next_at);
	return store_change(e->store, &table_instance, &was, i, err);
}

/* Firings that were planned while the clock was far ahead would wait until it is there again: they are planned anew. A
 * few rows at a time, since each may have some MiB of parameters. */
static enum rc plan_anew(struct engine *e, int64_t now_ms, struct err *err)
{
	struct instance_row *rows;
	size_t n = DUE_AT_ONCE;
	int64_t last_id = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && n == DUE_AT_ONCE) {
		struct arena *a CLEANUP(arena_freep) = arena_new(DUE_ARENA_MAX);
		struct query q = { .table = &table_instance,
				   .preds = { PRED_INT("cron_next_at", CMP_GT, now_ms + CLOCK_SLACK_MS),
					      PRED_INT("id", CMP_GT, last_id) },
				   .n_preds = 2,
				   .orders = { { .col = "id" } },
				   .limit = DUE_AT_ONCE };
		rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
		for (size_t i = 0; rc == RC_OK && i < n; i++) {
			last_id = rows[i].id;
			rc = plan_one(e, &rows[i], now_ms, err);
		}
	}
	return rc;
}

/* A pause before another try, that is: what waits for its window, or for a schedule, does so by intent. */
static bool is_pause(const struct task_row *t)
{
	return t->attempt > 0 || strcmp(t->kind, cache_op_name(CACHE_OP_DELETE)) == 0;
}

/* Pauses are of minutes; one that is longer was counted from a time that has not come yet, and is over. */
static enum rc end_pauses(struct engine *e, int64_t now_ms, struct err *err)
{
	struct task_row *rows;
	size_t n = DUE_AT_ONCE;
	int64_t last_id = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && n == DUE_AT_ONCE) {
		struct arena *a CLEANUP(arena_freep) = arena_new(DUE_ARENA_MAX);
		struct query q = { .table = &table_task,
				   .preds = { PRED_INT("state", CMP_EQ, TASK_PENDING),
					      PRED_INT("not_before", CMP_GT, now_ms + PAUSE_MOST_MS),
					      PRED_INT("id", CMP_GT, last_id) },
				   .n_preds = 3,
				   .orders = { { .col = "id" } },
				   .limit = DUE_AT_ONCE };
		rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
		for (size_t i = 0; rc == RC_OK && i < n; i++) {
			const struct task_row was = rows[i];
			last_id = was.id;
			rows[i].not_before = is_pause(&was) ? 0 : was.not_before;
			rc = store_change(e->store, &table_task, &was, &rows[i], err);
		}
	}
	return rc;
}

static enum rc mind_clock(struct engine *e, int64_t now_ms, struct err *err)
{
	bool went_back = run_clock_went_back(e, now_ms);
	enum rc rc = went_back && e->takes_claims ? plan_anew(e, now_ms, err) : RC_OK;

	if (rc == RC_OK && went_back && e->takes_claims)
		rc = end_pauses(e, now_ms, err);
	if (rc == RC_OK && went_back)
		e->clock_lead_ms = clock_lead(now_ms);
	return rc;
}

static enum rc claim(struct engine *e, struct task_row *t, int64_t now_ms, struct arena *a, struct err *err)
{
	const struct task_row was = *t;
	char text[64];
	double wait_s = -1;

	must(task_state_may_become((enum task_state)t->state, TASK_RUNNING));
	t->state = TASK_RUNNING;
	t->attempt++;
	t->pid = t->pid_start = 0;
	t->updated_at = now_ms;
	if (!t->started_at) {
		t->started_at = now_ms;
		wait_s = now_ms > t->created_at ? (double)(now_ms - t->created_at) / 1e3 : 0;
	}
	(void)snprintf(text, sizeof text, "attempt %lld of %lld", (long long)t->attempt, (long long)t->max_attempts);
	enum rc rc = store_change(e->store, &table_task, &was, t, err);
	if (rc == RC_OK)
		rc = row_event_add(e->store, t->id, t->attempt, now_ms, "started", text, err);
	if (rc == RC_OK && is_cache_task(t))
		rc = cache_claimed(e, t, now_ms, a, err);
	if (rc != RC_OK)
		return rc;
	struct attempt *attempt = mem_new(struct attempt);
	*attempt = (struct attempt){ .task_id = t->id,
				     .number = t->attempt,
				     .is_cache = is_cache_task(t),
				     .starts = true,
				     .wait_s = wait_s,
				     .next = e->attempts };
	e->attempts = attempt;
	e->n_attempts[attempt->is_cache]++;
	return RC_OK;
}

/* Trainings take what the machine has; operations on caches are light and must not queue behind them: each kind has
 * places of its own. */
static enum rc claim_pending(struct engine *e, bool is_cache, int64_t now_ms, struct arena *a, struct err *err)
{
	struct task_row *rows;
	size_t n = 0;
	int places = is_cache && e->max_running > 0 ? CACHE_PLACES : e->max_running;
	int room = places - e->n_attempts[is_cache];

	if (!e->takes_claims || room <= 0)
		return RC_OK;
	struct query q = { .table = &table_task,
			   .preds = { PRED_INT("state", CMP_EQ, TASK_PENDING), PRED_INT("not_before", CMP_LE, now_ms),
				      PRED_TEXT("kind", is_cache ? CMP_NE : CMP_EQ, KIND_TRAIN) },
			   .n_preds = 3,
			   .orders = { { .col = "not_before" }, { .col = "id" } },
			   .limit = room < DUE_AT_ONCE ? room : DUE_AT_ONCE };
	enum rc rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = claim(e, &rows[i], now_ms, a, err);
	if (n == DUE_AT_ONCE)
		e->looks_for_work = true; /* perhaps there are more */
	return rc;
}

/* The earliest time at which something will be due that is not yet. */
static enum rc find_next_due(struct engine *e, int64_t now_ms, struct arena *a, struct err *err)
{
	struct instance_row i;
	struct task_row t;
	int64_t next = INT64_MAX;
	struct query cron = { .table = &table_instance,
			      .preds = { PRED_INT("cron_next_at", CMP_GT, 0) },
			      .n_preds = 1,
			      .orders = { { .col = "cron_next_at" } } };
	struct query later = { .table = &table_task,
			       .preds = { PRED_INT("state", CMP_EQ, TASK_PENDING),
					  PRED_INT("not_before", CMP_GT, now_ms) },
			       .n_preds = 2,
			       .orders = { { .col = "not_before" } } };
	e->next_due_at = INT64_MAX;
	if (!e->takes_claims)
		return RC_OK; /* while stopping nothing will be done about it */
	enum rc rc = store_get(e->store, &cron, &i, a, err);
	if (rc == RC_OK)
		next = i.cron_next_at;
	else if (rc != RC_NOT_FOUND)
		return rc;
	rc = store_get(e->store, &later, &t, a, err);
	if (rc == RC_OK && t.not_before < next)
		next = t.not_before;
	else if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	e->next_due_at = next;
	return RC_OK;
}

enum rc run_due(struct engine *e, int64_t now_ms, struct err *err)
{
	if (clock_lead(now_ms) > e->clock_lead_ms)
		e->clock_lead_ms = clock_lead(now_ms);
	if (!e->looks_for_work && now_ms < e->next_due_at && !run_clock_went_back(e, now_ms))
		return RC_OK;
	struct arena *a CLEANUP(arena_freep) = arena_new(DUE_ARENA_MAX);
	e->looks_for_work = false;
	enum rc rc = mind_clock(e, now_ms, err);
	if (rc == RC_OK && e->takes_claims)
		rc = fire_due(e, now_ms, a, err);
	if (rc == RC_OK)
		rc = claim_pending(e, false, now_ms, a, err);
	if (rc == RC_OK)
		rc = claim_pending(e, true, now_ms, a, err);
	if (rc == RC_OK)
		prepare_claimed(e);
	return rc == RC_OK ? find_next_due(e, now_ms, a, err) : rc;
}

/* ---- starting ---- */

static void start_one(struct engine *e, struct attempt *attempt)
{
	attempt->starts = false;
	if (!attempt->is_prepared)
		prepare(e, attempt);
	crash_point("engine.before_start");
	if (attempt->no_start.rc == RC_OK) {
		exec_start(e->exec, attempt->task_id, attempt->number);
		return;
	}
	struct exec_end end = { .task_id = attempt->task_id,
				.attempt = attempt->number,
				.fault = attempt->no_start.rc == RC_INVALID ? FAULT_USER : FAULT_MACHINE,
				.code = "Task.NoStart",
				.message = attempt->no_start.msg,
				.work_dir = attempt->unsynced_dir };
	run_submit_end(e, &end);
}

void run_start_claimed(struct engine *e)
{
	for (struct attempt *a = e->attempts; a; a = a->next) {
		if (!a->starts)
			continue;
		if (a->wait_s >= 0)
			histogram_add(&e->queue_wait_s, a->wait_s);
		start_one(e, a);
	}
}
