/*
 * Background tasks: lists of an instance and of a project, deleting records, progress, jobs. Task id,
 * job id and task-centre id are one and the same.
 */
#include <string.h>
#include "api/dcs/answer.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "base/clock.h"

enum { STEPS_MAX = 100 };

/* The contract's words for one state machine: task list, job. */
static const struct {
	const char *task, *job;
} words[] = {
	[TASK_PENDING] = { "CREATED", "INIT" },
	[TASK_RUNNING] = { "EXECUTING", "RUNNING" },
	[TASK_SUCCESS] = { "SUCCESS", "SUCCESS" },
	[TASK_FAILED] = { "FAILED", "FAIL" },
};

/* ---- lists ---- */

struct item {
	struct task_row row;
	char uid[TASK_UID_SIZE];
	const json_t *params; /* as the engine keeps them: {user_name, user_id, details, args} */
};

struct list {
	struct item *items;
	size_t n;
	int64_t total;
	bool is_centre;
};

static void write_task(struct jw *w, const struct item *item, bool is_centre)
{
	const struct task_row *row = &item->row;
	const json_t *details = json_object_get(item->params, "details");
	bool is_final = task_state_is_final((enum task_state)row->state);

	jw_object(w);
	jw_kv_text(w, "id", item->uid);
	jw_kv_text(w, "name", row->kind);
	jw_key(w, "details");
	if (details)
		jw_value(w, details);
	else
		jw_raw(w, "{}");
	jw_kv_text(w, "user_name", json_string_value(json_object_get(item->params, "user_name")));
	jw_kv_text(w, "user_id", json_string_value(json_object_get(item->params, "user_id")));
	jw_kv_text(w, "params", NULL);
	jw_kv_text(w, "status", words[row->state].task);
	format_kv_time(w, "created_at", row->created_at);
	format_kv_time(w, "updated_at", is_final ? row->ended_at : row->updated_at);
	jw_kv_bool(w, "enable_show", true);
	jw_kv_text(w, "error_code", *row->error_code ? row->error_code : NULL);
	if (is_centre)
		jw_kv_text(w, "job_id", item->uid);
	jw_end_object(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *list = subject;
	char total[24];

	(void)snprintf(total, sizeof total, "%lld", (long long)list->total);
	jw_object(w);
	jw_kv_text(w, "task_count", total); /* a text, says the contract */
	jw_key(w, "tasks");
	jw_array(w);
	for (size_t i = 0; i < list->n; i++)
		write_task(w, &list->items[i], list->is_centre);
	jw_end_array(w);
	jw_end_object(w);
}

static enum verdict complete(struct call *c, struct item *item, struct err *err)
{
	const char *params = *item->row.params ? item->row.params : "{}";

	engine_task_uid(c->engine, item->row.id, item->uid);
	return json_read(params, strlen(params), c->arena, &item->params, err) ? V_FAILED : V_OK;
}

static enum verdict read_list(struct call *c, const struct cache_task_filter *f, struct list *out, struct err *err)
{
	struct task_row *rows;

	enum verdict v = engine_cache_task_list(c->view, f, c->arena, &rows, &out->n, &out->total, err);
	if (v != V_OK)
		return v;
	out->items = arena_array(c->arena, out->n + 1, sizeof *out->items);
	if (!out->items) {
		(void)err_set(err, RC_LIMIT, "no memory for %zu tasks", out->n);
		return V_FAILED;
	}
	for (size_t i = 0; i < out->n && v == V_OK; i++) {
		out->items[i].row = rows[i];
		v = complete(c, &out->items[i], err);
	}
	return v;
}

static void answer_list(struct call *c, const char *project, int64_t cache_id)
{
	struct page page;
	struct span span;
	struct err err = { 0 };
	struct list list = { .is_centre = cache_id == 0 };

	if (!scope_page(c, &page) || !scope_span(c, &span))
		return;
	const struct cache_task_filter filter = {
		.project_id = project,
		.cache_id = cache_id,
		.created_from = span.from_ms,
		.created_until = span.until_ms,
		.offset = page.offset,
		.limit = page.limit,
	};
	enum verdict v = read_list(c, &filter, &list, &err);
	(void)dcs_answer_found(c, v, &err, write_list, &list);
}

void dcs_tasks_list(struct call *c)
{
	struct cache_row row;

	if (scope_instance(c, &row))
		answer_list(c, row.project_id, row.id);
}

void dcs_centre_list(struct call *c)
{
	const char *project;

	if (scope_project(c, &project))
		answer_list(c, project, /* cache_id: of all */ 0);
}

/* ---- deleting a record ---- */

/* 204 without a body only for those who ask. */
static bool wants_minimal(const struct call *c)
{
	const char *prefer = http_header_of(c->req, "prefer");
	return prefer && strcmp(prefer, "return=minimal") == 0;
}

static void deleted(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict != V_OK)
		(void)dcs_answer_verdict(c, change->verdict, "", &change->err);
	else if (wants_minimal(c))
		(void)dcs_answer_none(c);
	else
		(void)dcs_answer_text(c, "message", "");
}

static void delete_task(struct call *c, const char *project, const char *uid, const char *task)
{
	int64_t id;

	if (!engine_task_id(c->engine, task, &id)) {
		(void)dcs_answer_error(c, DCS_NO_TASK);
		return;
	}
	c->change.cache_task_delete = (struct cache_task_delete){
		.base = { .done = deleted, .ctx = c },
		.project_id = project,
		.uid = uid,
		.task_id = id,
	};
	call_submit(c);
	engine_cache_task_delete(c->engine, &c->change.cache_task_delete);
}

void dcs_tasks_delete(struct call *c)
{
	const char *project, *uid, *task;
	struct cache_row row;
	struct err err = { 0 };

	if (!scope_task_ids(c, &project, &uid, &task))
		return;
	/* Here already, so that an unknown instance is told before an unknown task. */
	enum verdict v = engine_cache_get(c->view, project, uid, c->arena, &row, &err);
	if (v == V_OK)
		delete_task(c, project, uid, task);
	else
		(void)dcs_answer_read(c, v, &err);
}

void dcs_centre_delete(struct call *c)
{
	const char *project, *task;

	if (scope_task_ids(c, &project, /* instance: */ NULL, &task))
		delete_task(c, project, NULL, task);
}

/* ---- progress: steps are the task's events of kind "step", "STATUS name" ---- */

struct step {
	char id[64];
	const char *name, *status;
	int64_t begin_at, end_at;
};

struct progress {
	struct task_row row;
	struct step steps[STEPS_MAX];
	size_t n_steps;
	int64_t now_ms;
};

static const char *const step_words[] = { "WAITING", "EXECUTING", "FINISH", "FAILED" };

static struct step *step_of(struct progress *p, const char *name)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		if (strcmp(p->steps[i].name, name) == 0)
			return &p->steps[i];
	}
	if (p->n_steps == STEPS_MAX)
		return NULL;
	struct step *step = &p->steps[p->n_steps++];
	*step = (struct step){ .name = name, .status = step_words[0] };
	return step;
}

static void take_step(struct progress *p, const struct event_row *event)
{
	for (size_t k = 0; k < ARRAY_LEN(step_words); k++) {
		size_t len = strlen(step_words[k]);
		if (strncmp(event->text, step_words[k], len) != 0 || event->text[len] != ' ')
			continue;
		struct step *step = step_of(p, event->text + len + 1);
		if (!step)
			return;
		step->status = step_words[k];
		if (k >= 1 && !step->begin_at)
			step->begin_at = event->at;
		step->end_at = k >= 2 ? event->at : 0;
		return;
	}
}

/* A task that ended leaves no step running: the child may have died before it could say so. */
static void close_steps(struct progress *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		struct step *s = &p->steps[i];
		if (s->end_at || !s->begin_at || !task_state_is_final((enum task_state)p->row.state))
			continue;
		s->status = p->row.state == TASK_SUCCESS ? "FINISH" : "FAILED";
		s->end_at = p->row.ended_at;
	}
}

/* By the pace so far; no better guess is at hand. */
static int64_t remain_s(const struct progress *p)
{
	if (p->row.state != TASK_RUNNING || p->row.progress <= 0 || p->now_ms <= p->row.started_at)
		return 0;
	return (p->now_ms - p->row.started_at) * (100 - p->row.progress) / p->row.progress / 1000;
}

static void write_progress(struct jw *w, const void *subject)
{
	const struct progress *p = subject;

	jw_object(w);
	jw_kv_int(w, "progress", p->row.progress);
	jw_kv_int(w, "remain_time", remain_s(p));
	jw_key(w, "step_details");
	jw_array(w);
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];
		bool has_failed = strcmp(s->status, "FAILED") == 0 && *p->row.error_code;
		jw_object(w);
		jw_kv_text(w, "step_id", s->id);
		jw_kv_text(w, "step_name", s->name);
		jw_kv_text(w, "step_status", s->status);
		format_kv_time(w, "begin_time", s->begin_at);
		format_kv_time(w, "end_time", s->end_at);
		jw_kv_text(w, "error_code", has_failed ? p->row.error_code : NULL);
		jw_key(w, "sub_step_details");
		jw_raw(w, "[]");
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

/* Of the newest attempt only: what an earlier one did was begun again. */
static enum verdict read_steps(struct call *c, struct progress *p, const char *uid, struct err *err)
{
	struct event_row *events;
	size_t n;

	enum verdict v = engine_task_events(c->view, p->row.id, c->arena, &events, &n, err);
	for (size_t i = 0; v == V_OK && i < n; i++) {
		if (strcmp(events[i].kind, "step") == 0 && events[i].attempt == p->row.attempt)
			take_step(p, &events[i]);
	}
	for (size_t i = 0; i < p->n_steps; i++)
		(void)snprintf(p->steps[i].id, sizeof p->steps[i].id, "%s-%zu", uid, i + 1);
	close_steps(p);
	return v;
}

void dcs_tasks_progress(struct call *c)
{
	const char *project, *uid, *task;
	struct cache_row row;
	struct err err = { 0 };
	int64_t id = 0;
	struct progress *p = arena_new_of(c->arena, struct progress);

	if (!p) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_task_ids(c, &project, &uid, &task))
		return;
	p->now_ms = clock_wall_ms();
	enum verdict v = engine_cache_get(c->view, project, uid, c->arena, &row, &err);
	if (v == V_OK && !engine_task_id(c->engine, task, &id))
		v = V_NO_TASK;
	if (v == V_OK)
		v = engine_cache_task_get(c->view, project, row.id, id, c->arena, &p->row, &err);
	if (v == V_OK)
		v = read_steps(c, p, task, &err);
	(void)dcs_answer_found(c, v, &err, write_progress, p);
}

/* ---- jobs ---- */

static void write_job(struct jw *w, const void *subject)
{
	const struct item *item = subject;
	const struct task_row *row = &item->row;

	jw_object(w);
	jw_kv_text(w, "job_id", item->uid);
	jw_kv_text(w, "job_type", row->kind);
	jw_kv_text(w, "status", words[row->state].job);
	format_kv_ms_text(w, "begin_time", row->started_at ? row->started_at : row->created_at);
	format_kv_ms_text(w, "end_time", row->ended_at);
	jw_kv_text(w, "fail_reason", row->state == TASK_FAILED ? row->error_message : NULL);
	jw_end_object(w);
}

/* The task behind an id: its own, or that of an offline analysis, whose "task_id" is the id of its record. */
static enum verdict find_job(struct call *c, const char *job, int64_t *task_id, struct err *err)
{
	struct scan_row scan;

	if (engine_task_id(c->engine, job, task_id))
		return V_OK;
	enum verdict v = engine_scan_get(c->view, /* cache_id: any */ 0, SCAN_OFFLINE, job, c->arena, &scan, err);
	if (v == V_OK)
		*task_id = scan.task_id;
	return v == V_NO_RECORD ? V_NO_TASK : v;
}

void dcs_job_show(struct call *c)
{
	const char *project;
	const char *job = path_arg(&c->args, "job");
	struct item item = { 0 };
	struct err err = { 0 };
	int64_t id;

	if (!scope_project(c, &project))
		return;
	if (!format_is_task(job)) {
		(void)dcs_answer_named(c, DCS_ID_PARAM, "job_id");
		return;
	}
	enum verdict v = find_job(c, job, &id, &err);
	if (v == V_OK)
		v = engine_cache_task_get(c->view, project, /* cache_id: any */ 0, id, c->arena, &item.row, &err);
	if (v == V_OK) {
		engine_task_uid(c->engine, id, item.uid);
		(void)dcs_answer(c, write_job, &item);
	} else {
		(void)dcs_answer_read(c, v, &err);
	}
}
