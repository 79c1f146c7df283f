/*
 * What children say: each message is copied on the supervisor's thread, applied by the writer, and counts only while
 * the task's row names the attempt it comes from (E4). Progress never falls (E6).
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/priv.h"

struct message {
	struct change base;
	struct engine *engine;
	struct arena *arena;
	int64_t task_id, attempt;
	bool is_start;
	int64_t pid, pid_start;
	struct child_msg msg;
};

bool run_is_current(const struct task_row *t, int64_t attempt)
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
	const struct task_row was = *t;
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
	return rc == RC_OK ? store_change(e->store, &table_task, &was, t, err) : rc;
}

static enum rc keep_process(struct engine *e, const struct message *m, struct task_row *t, struct err *err)
{
	const struct task_row was = *t;

	t->pid = m->pid;
	t->pid_start = m->pid_start;
	return store_change(e->store, &table_task, &was, t, err);
}

static enum verdict apply_message(struct engine *e, struct change *base)
{
	struct message *m = (struct message *)base;
	struct err *err = &base->err;
	struct attempt *at = *run_attempt(e, m->task_id, m->attempt);
	struct task_row t;

	enum rc rc = row_task(e->store, m->task_id, m->arena, &t, err);
	if (rc == RC_NOT_FOUND)
		return V_NO_TASK;
	if (rc == RC_OK && (!at || !run_is_current(&t, m->attempt)))
		return V_BAD_INPUT; /* late */
	if (rc == RC_OK && m->is_start) {
		rc = keep_process(e, m, &t, err);
	} else if (rc == RC_OK) {
		rc = keep_message(e, m, &t, at, err);
	}
	return verdict_of(rc);
}

static void message_done(struct change *base)
{
	struct message *m = (struct message *)base;
	if (base->verdict != V_OK)
		log_warn("task.message_dropped", "task=%lld attempt=%lld verdict=%s reason=\"%s\"",
			 (long long)m->task_id, (long long)m->attempt, verdict_name(base->verdict), base->err.msg);
	if (!m->is_start)
		exec_message_done(m->engine->exec, m->task_id);
	arena_free(m->arena);
}

static struct message *message_new(struct engine *e, int64_t task_id, int64_t attempt)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct message *m = arena_new_of(a, struct message);
	*m = (struct message){
		.base = { .apply = apply_message, .done = message_done, .refuses_first = true, .is_patient = true },
		.engine = e,
		.arena = a,
		.task_id = task_id,
		.attempt = attempt
	};
	return m;
}

void run_on_start(void *ctx, int64_t task_id, int64_t attempt, pid_t pid, int64_t pid_start)
{
	struct message *m = message_new(ctx, task_id, attempt);
	m->is_start = true;
	m->pid = pid;
	m->pid_start = pid_start;
	writer_submit_own(ctx, &m->base);
}

void run_on_message(void *ctx, int64_t task_id, int64_t attempt, const struct child_msg *msg)
{
	struct message *m = message_new(ctx, task_id, attempt);
	m->msg = *msg;
	m->msg.name = arena_dup(m->arena, msg->name);
	m->msg.set = arena_dup(m->arena, msg->set);
	m->msg.text = arena_dup(m->arena, msg->text);
	writer_submit_own(ctx, &m->base);
}
