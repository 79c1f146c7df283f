/*
 * The running of tasks: what is due is fired, what is pending is claimed, what is claimed is started, what a child
 * says is kept, what ended is finished or tried again.
 *
 *   run_due       pending -> running (claim)      inside a batch; the child is started after its commit
 *   apply_message keeps progress, metrics ...     only from the attempt the task row names (E4)
 *   apply_end     running -> success | failed, or back to pending after the machine's fault
 *   run_recover   at start: running without a process -> pending | failed (E7)
 *
 * A claim is committed before its child is started, so a crash in between leaves a running task without a process,
 * which the next start recovers; it can never leave a process without a claim.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "engine/priv.h"
#include "json/json.h"
#include "os/file.h"

enum {
	DUE_AT_ONCE = 64,  /* cron firings and claims of one batch, so that none grows without bound */
	CACHE_PLACES = 16, /* operations on caches at once */
	TASK_FILE_MAX = 4 << 20,
};
#define TASK_FILE "task.json"

/* ---- the table of claimed attempts ---- */

/* By number too: an attempt that ended and the next one may both be there until the end is answered. */
static struct attempt **find_attempt(struct engine *e, int64_t task_id, int64_t number)
{
	struct attempt **at = &e->attempts;
	while (*at && !((*at)->task_id == task_id && (*at)->number == number))
		at = &(*at)->next;
	return at;
}

static void drop_attempt(struct engine *e, int64_t task_id, int64_t number)
{
	struct attempt **at = find_attempt(e, task_id, number), *gone = *at;
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
		mem_free(a);
	}
}

void run_free(struct engine *e)
{
	while (e->attempts)
		drop_attempt(e, e->attempts->task_id, e->attempts->number);
}

/* ---- what is due ---- */

/* A schedule fired: a task, or a note on the one that is still unfinished. */
static enum rc fire(struct engine *e, struct instance_row *i, int64_t now_ms, struct arena *a, struct err *err)
{
	struct task_row task;
	struct task_order order = { .kind = KIND_TRAIN, .run_prefix = "scheduled", .params = i->create_params };
	enum rc rc = RC_OK;

	i->cron_next_at = zone_cron_next(i->cron, now_ms);
	if (i->busy_task_id) {
		e->tally.cron_skipped++;
		rc = row_event_add(e->store, i->busy_task_id, 0, now_ms, "skipped", "a scheduled run was skipped: this one is unfinished",
				   err);
		return rc == RC_OK ? store_update(e->store, &table_instance, i, err) : rc;
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

static enum rc claim(struct engine *e, struct task_row *t, int64_t now_ms, struct arena *a, struct err *err)
{
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
	enum rc rc = store_update(e->store, &table_task, t, err);
	if (rc == RC_OK)
		rc = row_event_add(e->store, t->id, t->attempt, now_ms, "started", text, err);
	if (rc == RC_OK && is_cache_task(t))
		rc = cache_claimed(e, t, now_ms, a, err);
	if (rc != RC_OK)
		return rc;
	struct attempt *attempt = mem_new(struct attempt);
	*attempt = (struct attempt){ .task_id = t->id, .number = t->attempt, .is_cache = is_cache_task(t), .starts = true,
				     .wait_s = wait_s, .next = e->attempts };
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
			       .preds = { PRED_INT("state", CMP_EQ, TASK_PENDING), PRED_INT("not_before", CMP_GT, now_ms) },
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
	if (!e->looks_for_work && now_ms < e->next_due_at)
		return RC_OK;
	struct arena *a CLEANUP(arena_freep) = arena_new(DUE_ARENA_MAX);
	e->looks_for_work = false;
	enum rc rc = e->takes_claims ? fire_due(e, now_ms, a, err) : RC_OK;
	if (rc == RC_OK)
		rc = claim_pending(e, false, now_ms, a, err);
	if (rc == RC_OK)
		rc = claim_pending(e, true, now_ms, a, err);
	return rc == RC_OK ? find_next_due(e, now_ms, a, err) : rc;
}

/* ---- starting ---- */

static void write_roots(const struct engine *e, struct jw *w)
{
	jw_key(w, "import_roots");
	jw_array(w);
	for (int i = 0; i < e->n_roots; i++)
		jw_text(w, e->roots[i]);
	jw_end_array(w);
}

/* The child's orders, docs/child-protocol.md. */
static enum rc write_task_file(struct engine *e, const struct app_row *app, const struct instance_row *i,
			       const struct task_row *t, const struct function *f, struct buf *out, struct arena *a,
			       struct err *err)
{
	struct jw w;
	enum rc rc = RC_OK;

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
	jw_key(&w, "parameters");
	jw_raw(&w, t->params);
	if (is_cache_task(t))
		rc = cache_write_task(e, i, &w, a, err);
	else
		write_roots(e, &w);
	jw_end_object(&w);
	if (rc == RC_OK && out->is_over)
		rc = err_set(err, RC_LIMIT, "the task file is too large");
	return rc;
}

static enum rc start_child(struct engine *e, const struct app_row *app, const struct instance_row *i,
			   const struct task_row *t, const struct function *f, struct arena *a, struct err *err)
{
	char dir[PATH_MAX], file[PATH_MAX], log[PATH_MAX];
	const char *const builtin[] = { e->self_exe, "job", NULL };
	struct buf text;

	path_of_generation(e, i, t->generation, dir);
	path_of_instance(e, TREE_LOGS, i, log);
	/* Without any fsync, which would hold up the commits: the task file need not last, and folders are synced when
	 * something in them is to: at the first checkpoint, and before a model serves. */
	enum rc rc = dir_make_unsynced(log, 0700, err);
	engine_task_log_path(e, i, t->generation, log);
	if (rc == RC_OK && t->attempt == 1)
		rc = dir_remove(dir, err); /* a number that was given before, by a database that was lost */
	if (rc == RC_OK)
		rc = dir_make_unsynced(dir, 0700, err);
	if (rc == RC_OK)
		rc = path_join(file, dir, TASK_FILE, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&text, TASK_FILE_MAX);
	rc = write_task_file(e, app, i, t, f, &text, a, err);
	if (rc == RC_OK)
		rc = file_write(file, buf_text(&text), text.len, 0600, err);
	buf_fini(&text);
	if (rc != RC_OK)
		return rc;
	struct exec_spec spec = {
		.task_id = t->id,
		.attempt = t->attempt,
		.argv = f->builtin ? builtin : f->argv,
		.work_dir = dir,
		.log_path = log,
		.task_file = file,
		.timeout_ms = f->timeout_ms,
		.stall_ms = f->stall_ms,
		.grace_ms = f->grace_ms,
		.memory_limit = f->memory_limit,
		.log_limit = 64 << 20,
	};
	crash_point("engine.before_start");
	exec_start(e->exec, &spec);
	return RC_OK;
}

static void submit_end(struct engine *e, const struct exec_end *end);

static void start_one(struct engine *e, struct attempt *attempt)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct task_row t;
	struct instance_row i;
	struct app_row app;
	struct err err = { 0 };
	const struct function *f = NULL;
	char dir[PATH_MAX] = "";

	attempt->starts = false;
	enum rc rc = row_task(e->store, attempt->task_id, a, &t, &err);
	if (rc == RC_OK)
		rc = row_instance(e->store, t.instance_id, a, &i, &err);
	if (rc == RC_OK)
		rc = row_app(e->store, i.app_id, a, &app, &err);
	if (rc == RC_OK) {
		path_of_generation(e, &i, t.generation, dir);
		attempt->unsynced_dir = mem_dup(dir);
		f = functions_by_version(e->functions, i.function, i.version_id);
		rc = f ? start_child(e, &app, &i, &t, f, a, &err)
		       : err_set(&err, RC_INVALID, "function %s is no longer offered", i.function);
	}
	if (rc != RC_OK) {
		struct exec_end end = { .task_id = attempt->task_id,
					.attempt = attempt->number,
					.fault = rc == RC_INVALID ? FAULT_USER : FAULT_MACHINE,
					.code = "Task.NoStart",
					.message = err.msg,
					.work_dir = *dir ? dir : NULL };
		submit_end(e, &end);
	}
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

/* ---- what children say ---- */

struct message {
	struct change base;
	struct engine *engine;
	struct arena *arena;
	int64_t task_id, attempt;
	bool is_start;
	int64_t pid, pid_start;
	struct child_msg msg;
};

/* E4: only the attempt that the row names, and only while it runs. */
static bool is_current(const struct task_row *t, int64_t attempt)
{
	return t->state == TASK_RUNNING && t->attempt == attempt;
}

static enum rc keep_metric(struct engine *e, const struct message *m, struct attempt *at, int64_t now, struct err *err)
{
	struct metric_row row = { .task_id = m->task_id, .name = m->msg.name, .set_name = m->msg.set,
				  .step = m->msg.step, .value = m->msg.value, .at = now };
	if (at->n_metrics++ >= METRICS_MAX)
		return RC_OK;
	/* A resumed attempt may report a step again: the last word stands. */
	enum rc rc = store_update(e->store, &table_metric, &row, err);
	return rc == RC_NOT_FOUND ? store_insert(e->store, &table_metric, &row, err) : rc;
}

static enum rc keep_event(struct engine *e, const struct message *m, struct attempt *at, const char *kind, int64_t now,
			  struct err *err)
{
	if (at->n_events > EVENTS_MAX)
		return RC_OK;
	const char *text = at->n_events++ == EVENTS_MAX ? "too many events: further ones are not kept" : m->msg.text;
	return row_event_add(e->store, m->task_id, m->attempt, now, kind, text, err);
}

static enum rc keep_milestone(struct engine *e, const struct message *m, int64_t before, int64_t after, int64_t now,
			      struct err *err)
{
	char text[32];
	if (before / 10 == after / 10)
		return RC_OK;
	(void)snprintf(text, sizeof text, "%lld %%", (long long)(after / 10 * 10));
	return row_event_add(e->store, m->task_id, m->attempt, now, "progress", text, err);
}

static enum rc keep_message(struct engine *e, const struct message *m, struct task_row *t, struct attempt *at,
			    struct err *err)
{
	int64_t now = clock_wall_ms(), before = t->progress;
	enum rc rc = RC_OK;

	switch (m->msg.kind) {
	case MSG_METRIC:
		return keep_metric(e, m, at, now, err);
	case MSG_EVENT:
		return keep_event(e, m, at, "note", now, err);
	case MSG_STAGE:
		return keep_event(e, m, at, "step", now, err);
	case MSG_PROGRESS:
		t->progress = task_progress_next((int)before, m->msg.progress); /* E6 */
		if (t->progress == before)
			return RC_OK;
		rc = keep_milestone(e, m, before, t->progress, now, err);
		break;
	case MSG_CHECKPOINT:
		t->checkpoint = m->msg.text;
		if (at->unsynced_dir)
			closer_sync_dir(e, at->unsynced_dir);
		mem_free(at->unsynced_dir);
		at->unsynced_dir = NULL;
		rc = keep_event(e, m, at, "checkpoint", now, err);
		break;
	case MSG_DATA_HASH:
		t->data_hash = m->msg.text;
		break;
	case MSG_RESULT:
	case MSG_ERROR:
		return RC_OK; /* part of the end */
	}
	t->updated_at = now;
	return rc == RC_OK ? store_update(e->store, &table_task, t, err) : rc;
}

static enum verdict apply_message(struct engine *e, struct change *base)
{
	struct message *m = (struct message *)base;
	struct err *err = &base->err;
	struct attempt *at = *find_attempt(e, m->task_id, m->attempt);
	struct task_row t;

	enum rc rc = row_task(e->store, m->task_id, m->arena, &t, err);
	if (rc == RC_NOT_FOUND)
		return V_NO_TASK;
	if (rc == RC_OK && (!at || !is_current(&t, m->attempt)))
		return V_BAD_INPUT; /* late */
	if (rc == RC_OK && m->is_start) {
		t.pid = m->pid;
		t.pid_start = m->pid_start;
		rc = store_update(e->store, &table_task, &t, err);
	} else if (rc == RC_OK) {
		rc = keep_message(e, m, &t, at, err);
	}
	return verdict_of(rc);
}

static void message_done(struct change *base)
{
	struct message *m = (struct message *)base;
	if (base->verdict != V_OK)
		log_warn("task.message_dropped", "task=%lld attempt=%lld verdict=%s reason=\"%s\"", (long long)m->task_id,
			 (long long)m->attempt, verdict_name(base->verdict), base->err.msg);
	if (!m->is_start)
		exec_message_done(m->engine->exec, m->task_id);
	arena_free(m->arena);
}

static struct message *message_new(struct engine *e, int64_t task_id, int64_t attempt)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct message *m = arena_new_of(a, struct message);
	*m = (struct message){ .base = { .apply = apply_message, .done = message_done, .is_patient = true },
			       .engine = e, .arena = a, .task_id = task_id, .attempt = attempt };
	return m;
}

static void on_start(void *ctx, int64_t task_id, int64_t attempt, pid_t pid, int64_t pid_start)
{
	struct message *m = message_new(ctx, task_id, attempt);
	m->is_start = true;
	m->pid = pid;
	m->pid_start = pid_start;
	writer_submit_own(ctx, &m->base);
}

static void on_message(void *ctx, int64_t task_id, int64_t attempt, const struct child_msg *msg)
{
	struct message *m = message_new(ctx, task_id, attempt);
	m->msg = *msg;
	m->msg.name = arena_dup(m->arena, msg->name);
	m->msg.set = arena_dup(m->arena, msg->set);
	m->msg.text = arena_dup(m->arena, msg->text);
	writer_submit_own(ctx, &m->base);
}

/* ---- ends ---- */

/* The run's figures that the instance shows as its data report. */
static void write_data_report(struct jw *w, const struct task_row *t, struct arena *a)
{
	static const char *const keep[] = { "rows_train", "rows_valid", "positives_train", "positives_valid",
					    "features",   "fields" };
	const json_t *result = NULL;

	jw_key(w, "dataReport");
	jw_object(w);
	if (*t->result && json_read(t->result, strlen(t->result), a, &result, NULL) == RC_OK) {
		jw_kv_int(w, "generation", t->generation);
		for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
			const json_t *v = json_object_get(result, keep[i]);
			if (json_is_number(v))
				jw_kv_real(w, keep[i], json_number_value(v));
		}
	}
	if (*t->data_hash)
		jw_kv_text(w, "dataHash", t->data_hash);
	jw_end_object(w);
}

static const char *make_extend_info(const struct task_row *t, struct arena *a)
{
	struct buf out;
	struct jw w;

	buf_init(&out, 65536);
	jw_init(&w, &out, CASING_CAMEL);
	jw_object(&w);
	write_data_report(&w, t, a);
	jw_key(&w, "errors");
	jw_object(&w);
	if (*t->error_code) {
		jw_key_exact(&w, t->error_code);
		jw_text(&w, t->error_message);
	}
	jw_end_object(&w);
	jw_end_object(&w);
	const char *text = out.is_over ? NULL : arena_dup(a, buf_text(&out));
	buf_fini(&out);
	return text ? text : "{\"dataReport\":{},\"errors\":{}}";
}

static enum rc requeue(struct engine *e, struct task_row *t, const char *why, int64_t delay_ms, int64_t now,
		       struct err *err)
{
	must(task_state_may_become((enum task_state)t->state, TASK_PENDING));
	t->state = TASK_PENDING;
	t->not_before = now + delay_ms;
	t->pid = t->pid_start = 0;
	t->updated_at = now;
	e->tally.requeued++;
	e->looks_for_work = true;
	enum rc rc = row_event_add(e->store, t->id, t->attempt, now, "requeued", why, err);
	return rc == RC_OK ? store_update(e->store, &table_task, t, err) : rc;
}

/* Terminal: success or failed. The instance is free again; on success its model is put in service (E8). */
static enum rc finish(struct engine *e, struct task_row *t, bool is_success, const char *sha256, int64_t now,
		      struct arena *a, struct err *err)
{
	struct instance_row i;
	enum rc rc = row_instance(e->store, t->instance_id, a, &i, err);
	if (rc != RC_OK)
		return rc;
	must(task_state_may_become((enum task_state)t->state, is_success ? TASK_SUCCESS : TASK_FAILED));
	must(i.busy_task_id == t->id);
	t->state = is_success ? TASK_SUCCESS : TASK_FAILED;
	t->progress = is_success ? 100 : t->progress;
	t->ended_at = now > t->started_at ? now : t->started_at + 1;
	t->updated_at = now;
	t->pid = t->pid_start = 0;
	i.busy_task_id = 0;
	i.last_run_ms = t->ended_at - t->started_at;
	if (is_cache_task(t))
		rc = cache_finished(e, t, now, a, err);
	else
		i.extend_info = make_extend_info(t, a);
	if (rc != RC_OK)
		return rc;
	if (is_success && !is_cache_task(t)) {
		i.model_generation = t->generation;
		i.model_sha256 = sha256;
	}
	rc = row_event_add(e->store, t->id, t->attempt, now, "ended", is_success ? "success" : t->error_message, err);
	if (rc == RC_OK)
		rc = store_update(e->store, &table_task, t, err);
	return rc == RC_OK ? store_update(e->store, &table_instance, &i, err) : rc;
}

/* Is the model in service, which this end replaces, one whose record was deleted (E5)? Then its files go. */
static enum rc find_orphan(struct engine *e, struct run_end *end, const struct task_row *t, struct arena *a, struct err *err)
{
	struct instance_row i;
	struct task_row named;
	char dir[PATH_MAX];

	mem_free(end->orphan_dir); /* of a try that the store did not take */
	end->orphan_dir = NULL;
	enum rc rc = row_instance(e->store, t->instance_id, a, &i, err);
	if (rc != RC_OK || !end->is_success || !i.model_generation)
		return rc;
	rc = row_task_of(e->store, i.id, i.model_generation, a, &named, err);
	if (rc != RC_NOT_FOUND)
		return rc;
	path_of_generation(e, &i, i.model_generation, dir);
	end->orphan_dir = mem_dup(dir);
	return RC_OK;
}

static enum verdict apply_end(struct engine *e, struct change *base)
{
	struct run_end *end = (struct run_end *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct task_row t;
	int64_t now = clock_wall_ms();

	enum rc rc = row_task(e->store, end->task_id, a, &t, err);
	if (rc == RC_NOT_FOUND)
		return V_NO_TASK;
	if (rc == RC_OK && !is_current(&t, end->attempt))
		return V_NO_TASK; /* late */
	if (rc != RC_OK)
		return verdict_of(rc);
	bool is_stop = !e->takes_claims && end->fault == FAULT_MACHINE;
	if (is_stop)
		t.max_attempts++; /* an orderly stop of the server is not held against the task */
	if (!end->is_success && end->fault == FAULT_MACHINE && t.attempt < t.max_attempts) {
		int delay_ms = is_stop ? 0 : task_backoff_ms((int)t.attempt);
		return verdict_of(requeue(e, &t, end->message, delay_ms, now, err));
	}
	t.fault = end->fault;
	t.error_code = end->is_success ? "" : end->code;
	t.error_message = end->is_success ? "" : end->message;
	t.result = end->result_json ? end->result_json : "";
	end->is_final = true;
	rc = find_orphan(e, end, &t, a, err);
	return verdict_of(rc == RC_OK ? finish(e, &t, end->is_success, end->sha256, now, a, err) : rc);
}

static void end_committed(struct engine *e, struct change *base)
{
	struct run_end *end = (struct run_end *)base;
	if (!end->is_final)
		return;
	counter_add(end->is_success ? &e->n_success : &e->n_failed, 1);
	if (end->work_dir && end->is_success)
		closer_prune_dir(e, end->work_dir); /* cache and checkpoints have done their work */
	else if (end->work_dir)
		closer_remove_path(e, end->work_dir);
	if (end->orphan_dir)
		closer_remove_path(e, end->orphan_dir);
}

static void run_end_free(struct run_end *end)
{
	mem_free(end->code);
	mem_free(end->message);
	mem_free(end->result_json);
	mem_free(end->work_dir);
	mem_free(end->orphan_dir);
	mem_free(end);
}

static void fail_end(struct run_end *end, enum task_fault fault, const char *code, const char *message)
{
	end->is_success = end->is_final = false;
	end->fault = fault;
	mem_free(end->code);
	mem_free(end->message);
	end->code = mem_dup(code);
	end->message = mem_dup(message);
}

static void end_done(struct change *base)
{
	struct run_end *end = (struct run_end *)base;
	struct engine *e = end->engine;

	if (base->verdict != V_OK && base->verdict != V_NO_TASK && end->is_success && !e->is_stopping) {
		/* Its result cannot be kept, whatever it is: the task ends all the same, and says so. */
		fail_end(end, FAULT_USER, "Task.BadResult", base->err.msg);
		writer_submit_own(e, base);
		return;
	}
	log_info("task.ended", "task=%lld attempt=%lld verdict=%s success=%d code=%s message=\"%s\" max_rss=%lld user_ms=%lld",
		 (long long)end->task_id, (long long)end->attempt, verdict_name(base->verdict), end->is_success, end->code,
		 end->message, (long long)end->max_rss, (long long)end->user_ms);
	drop_attempt(e, end->task_id, end->attempt);
	if (end->is_final || base->verdict != V_OK)
		cache_answer_waiting(e, end->task_id, end->is_success, end->code, end->message);
	run_end_free(end);
}

void run_closed(struct engine *e, struct run_end *end)
{
	end->base.apply = apply_end;
	end->base.committed = end_committed;
	end->base.done = end_done;
	end->base.is_patient = true; /* the end of a task must not be lost */
	writer_submit_own(e, &end->base);
}

static void submit_end(struct engine *e, const struct exec_end *x)
{
	struct run_end *end = mem_new(struct run_end);
	*end = (struct run_end){ .engine = e,
				 .task_id = x->task_id,
				 .attempt = x->attempt,
				 .is_success = x->is_success,
				 .fault = x->fault,
				 .code = mem_dup(x->code ? x->code : ""),
				 .message = mem_dup(x->message ? x->message : ""),
				 .result_json = mem_dup(x->result_json),
				 .work_dir = mem_dup(x->work_dir),
				 .max_rss = x->max_rss,
				 .user_ms = x->user_ms,
				 .system_ms = x->system_ms };
	closer_check_model(e, end);
}

static void on_end(void *ctx, const struct exec_end *x) { submit_end(ctx, x); }

void run_handlers(struct engine *e, struct exec_handlers *out)
{
	*out = (struct exec_handlers){ .ctx = e, .on_start = on_start, .on_message = on_message, .on_end = on_end };
}

/* ---- recovery ---- */

/* E4: nothing of the attempt may live beside the next one. */
static enum rc kill_left(struct engine *e, const struct task_row *t, struct arena *a, struct err *err)
{
	struct instance_row i;
	char dir[PATH_MAX], file[PATH_MAX];

	enum rc rc = row_instance(e->store, t->instance_id, a, &i, err);
	if (rc != RC_OK)
		return rc;
	if (t->pid > 0)
		exec_kill_group((pid_t)t->pid, t->pid_start);
	path_of_generation(e, &i, t->generation, dir);
	rc = path_join(file, dir, TASK_FILE, err);
	if (rc == RC_OK && !is_cache_task(t)) /* what that one started is to live on, whatever it inherited */
		exec_kill_left(file);
	return rc;
}

static enum rc recover_one(struct engine *e, struct task_row *t, int64_t now, struct arena *a, struct err *err)
{
	static const char why[] = "the server ended while the task ran";

	enum rc rc = kill_left(e, t, a, err);
	if (rc != RC_OK)
		return rc;
	if (t->attempt < t->max_attempts)
		return requeue(e, t, why, 0, now, err);
	t->fault = FAULT_MACHINE;
	t->error_code = "Task.Interrupted";
	t->error_message = arena_printf(a, "%s, and this was its last attempt (%lld of %lld)", why, (long long)t->attempt,
					(long long)t->max_attempts);
	return finish(e, t, false, "", now, a, err);
}

enum rc run_recover(struct engine *e, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new((size_t)1 << 30);
	struct task_row *rows;
	size_t n = 0, n_recovered = 0;
	struct query q = { .table = &table_task, .preds = { PRED_INT("state", CMP_EQ, TASK_RUNNING) }, .n_preds = 1 };

	enum rc rc = store_begin(e->store, err);
	if (rc != RC_OK)
		return rc;
	rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (*find_attempt(e, rows[i].id, rows[i].attempt))
			continue; /* after a reopening: it does run */
		rc = recover_one(e, &rows[i], clock_wall_ms(), a, err);
		n_recovered++;
	}
	if (rc != RC_OK) {
		store_rollback(e->store);
		return rc;
	}
	rc = store_commit(e->store, err);
	if (rc == RC_OK && n_recovered)
		log_info("engine.recovered", "tasks=%zu", n_recovered);
	return rc;
}
