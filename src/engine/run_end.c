/*
 * How attempts end: success puts the model in service (E8), the user's fault fails the task, the machine's sends it
 * back to be tried again; and at start, what a dead server left behind is resumed or failed (E7).
 *
 *   apply_end     running -> success | failed, or back to pending after the machine's fault
 *   run_recover   running without a process -> pending | failed
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "engine/priv.h"
#include "json/json.h"
#include "os/file.h"
#include "os/gaplog.h"

/* The run's figures that the instance shows as its data report. */
static void write_data_report(struct jw *w, const struct task_row *t, const json_t *result)
{
	static const char *const keep[] = { "rows_train", "rows_valid", "positives_train", "positives_valid",
					    "features",   "fields" };

	jw_key(w, "dataReport");
	jw_object(w);
	if (result) {
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

static enum rc make_extend_info(const struct task_row *t, struct arena *a, const char **info, struct err *err)
{
	const json_t *result;
	struct buf out;
	struct jw w;

	enum rc rc = json_read_kept(t->result, a, &result, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&out, 65536);
	jw_init(&w, &out, CASING_CAMEL);
	jw_object(&w);
	write_data_report(&w, t, result);
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
	*info = text ? text : "{\"dataReport\":{},\"errors\":{}}";
	return RC_OK;
}

/* In t alone, which the caller writes. */
static enum rc requeue(struct engine *e, struct task_row *t, const char *why, int64_t delay_ms, int64_t now,
		       struct err *err)
{
	must(task_state_may_become((enum task_state)t->state, TASK_PENDING));
	t->state = TASK_PENDING;
	t->not_before = delay_ms ? now + delay_ms : 0;
	t->pid = t->pid_start = 0;
	t->updated_at = now;
	e->tally.requeued++;
	e->looks_for_work = true;
	return row_event_add(e->store, t->id, t->attempt, now, "requeued", why, err);
}

/* Terminal: success or failed. The instance is free again; on success its model is put in service (E8). t is the
 * caller's to write. */
static enum rc finish(struct engine *e, struct task_row *t, bool is_success, const char *sha256, int64_t now,
		      struct arena *a, struct err *err)
{
	struct instance_row i;
	enum rc rc = row_instance(e->store, t->instance_id, a, &i, err);
	if (rc != RC_OK)
		return rc;
	const struct instance_row was = i;
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
		rc = cache_finished(e, t, &i, now, a, err);
	else
		rc = make_extend_info(t, a, &i.extend_info, err);
	if (rc != RC_OK)
		return rc;
	if (is_success && !is_cache_task(t)) {
		i.model_generation = t->generation;
		i.model_sha256 = sha256;
	}
	rc = row_event_add(e->store, t->id, t->attempt, now, "ended", is_success ? "success" : t->error_message, err);
	return rc == RC_OK ? store_change(e->store, &table_instance, &was, &i, err) : rc;
}

/* Is the model in service, which this end replaces, one whose record was deleted (E5)? Then its files go. */
static enum rc find_orphan(struct engine *e, struct run_end *end, const struct task_row *t, struct arena *a,
			   struct err *err)
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

/* Whoever reads why his task failed may be a stranger to the machine: paths begin at the data folder. */
static void hide_place(const struct engine *e, char *message)
{
	size_t len = strlen(e->data_dir);

	for (char *at = message; (at = strstr(at, e->data_dir)) != NULL;) {
		bool begins_here = at == message || strchr(" '\"(=:,[", at[-1]); /* else it is a part of another path */
		if (begins_here && at[len] == '/')
			memmove(at, at + len + 1, strlen(at + len + 1) + 1);
		else
			at += len;
	}
}

static enum verdict apply_end(struct engine *e, struct change *base)
{
	struct run_end *end = (struct run_end *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct task_row t;
	int64_t now = clock_wall_ms();

	hide_place(e, end->message);
	enum rc rc = row_task(e->store, end->task_id, a, &t, err);
	if (rc == RC_NOT_FOUND)
		return V_NO_TASK;
	if (rc == RC_OK && !run_is_current(&t, end->attempt))
		return V_NO_TASK; /* late */
	if (rc != RC_OK)
		return verdict_of(rc);
	/* A try that the store did not take may have said otherwise, before the server began to stop. */
	end->is_final = false;
	const struct task_row was = t;
	bool is_stop = !e->takes_claims && end->fault == FAULT_MACHINE;
	if (is_stop)
		t.max_attempts++; /* an orderly stop of the server is not held against the task */
	if (!end->is_success && end->fault == FAULT_MACHINE && t.attempt < t.max_attempts) {
		int delay_ms = is_stop ? 0 : task_backoff_ms((int)t.attempt);
		rc = requeue(e, &t, end->message, delay_ms, now, err);
		return verdict_of(rc == RC_OK ? store_change(e->store, &table_task, &was, &t, err) : rc);
	}
	t.fault = end->fault;
	t.error_code = end->is_success ? "" : end->code;
	t.error_message = end->is_success ? "" : end->message;
	t.result = end->result_json ? end->result_json : "";
	end->is_final = true;
	rc = find_orphan(e, end, &t, a, err);
	if (rc == RC_OK)
		rc = finish(e, &t, end->is_success, end->sha256, now, a, err);
	if (rc == RC_OK)
		rc = store_change(e->store, &table_task, &was, &t, err);
	crash_point("engine.end_applied");
	return verdict_of(rc);
}

static void end_committed(struct engine *e, struct change *base)
{
	struct run_end *end = (struct run_end *)base;
	crash_point("engine.end_committed");
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

	if (base->verdict == V_UNAVAILABLE && !e->is_stopping) {
		e->retry_at_mono = clock_mono_ms() + atomic_load(&e->retry_delay_ms);
		end->is_final = false;
		writer_submit_own(e, base); /* no memory now: the end of a task must not be lost */
		return;
	}
	if (base->verdict != V_OK && base->verdict != V_NO_TASK && end->is_success && !e->is_stopping) {
		/* Its result cannot be kept, whatever it is: the task ends all the same, and says so. */
		fail_end(end, FAULT_USER, "Task.BadResult", base->err.msg);
		writer_submit_own(e, base);
		return;
	}
	log_info("task.ended",
		 "task=%lld attempt=%lld verdict=%s success=%d code=%s message=\"%s\" max_rss=%lld user_ms=%lld",
		 (long long)end->task_id, (long long)end->attempt, verdict_name(base->verdict), end->is_success,
		 end->code, end->message, (long long)end->max_rss, (long long)end->user_ms);
	run_drop_attempt(e, end->task_id, end->attempt);
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

void run_submit_end(struct engine *e, const struct exec_end *x)
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

static void on_end(void *ctx, const struct exec_end *x) { run_submit_end(ctx, x); }

void run_handlers(struct engine *e, struct exec_handlers *out)
{
	*out = (struct exec_handlers){
		.ctx = e, .on_start = run_on_start, .on_message = run_on_message, .on_end = on_end
	};
}

/* ---- recovery ---- */

/* E4: nothing of the attempt may live beside the next one. */
static enum rc kill_left(const struct engine *e, const struct instance_row *i, const struct task_row *t,
			 struct err *err)
{
	char dir[PATH_MAX], file[PATH_MAX];

	enum rc rc = t->pid > 0 ? exec_kill_group((pid_t)t->pid, t->pid_start, err) : RC_OK;
	path_of_generation(e, i, t->generation, dir);
	if (rc == RC_OK)
		rc = path_join(file, dir, TASK_FILE, err);
	if (rc == RC_OK && !is_cache_task(t)) /* what that one started is to live on, whatever it inherited */
		rc = exec_kill_left(file, err);
	return rc;
}

/* What it wrote after the dead server's last look. Nobody writes any more, and a next attempt may never come. */
static void bound_log(const struct engine *e, const struct instance_row *i, const struct task_row *t)
{
	const struct function *f = functions_by_version(e->functions, i->function, i->version_id);
	char path[PATH_MAX];
	struct err err = { 0 };

	if (!f || !f->limits.log_mib)
		return;
	engine_task_log_path(e, i, t->generation, path);
	if (gaplog_bound_path(path, f->limits.log_mib << 20, &err) != RC_OK)
		log_warn("files.log_not_bounded", "task=%lld path=%s reason=\"%s\"", (long long)t->id, path, err.msg);
}

static enum rc resume_or_fail(struct engine *e, struct task_row *t, int64_t now, struct arena *a, struct err *err)
{
	static const char why[] = "the server ended while the task ran";

	if (t->attempt < t->max_attempts)
		return requeue(e, t, why, 0, now, err);
	t->fault = FAULT_MACHINE;
	t->error_code = "Task.Interrupted";
	t->error_message = arena_printf(a, "%s, and this was its last attempt (%lld of %lld)", why,
					(long long)t->attempt, (long long)t->max_attempts);
	return finish(e, t, false, "", now, a, err);
}

static enum rc recover_one(struct engine *e, struct task_row *t, int64_t now, struct arena *a, struct err *err)
{
	const struct task_row was = *t;
	struct instance_row i;

	enum rc rc = row_instance(e->store, t->instance_id, a, &i, err);
	if (rc == RC_OK)
		rc = kill_left(e, &i, t, err);
	if (rc != RC_OK)
		return rc;
	bound_log(e, &i, t);
	rc = resume_or_fail(e, t, now, a, err);
	return rc == RC_OK ? store_change(e->store, &table_task, &was, t, err) : rc;
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
		if (*run_attempt(e, rows[i].id, rows[i].attempt))
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
