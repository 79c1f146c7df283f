/*
 * Our own view of a task, for the command line: everything that is kept of it, and its log. Signed and looked up
 * like the vendor's operations, but no part of the vendor's API.
 */
#include <limits.h>
#include <string.h>
#include "api/opensearch/answer.h"
#include "api/opensearch/routes.h"
#include "api/opensearch/scope.h"
#include "os/gaplog.h"

enum { DETAIL_MAX_SIZE = 64 << 20, LOG_PART_SIZE = 1 << 20 };

struct detail {
	const char *instance;
	struct task_row row;
	struct event_row *events;
	struct metric_row *metrics;
	size_t n_events, n_metrics;
	const json_t *result, *params;
};

static void write_events(struct jw *w, const struct detail *d)
{
	jw_key(w, "events");
	jw_array(w);
	for (size_t i = 0; i < d->n_events; i++) {
		jw_object(w);
		jw_kv_int(w, "at", d->events[i].at);
		jw_kv_int(w, "attempt", d->events[i].attempt);
		jw_kv_text(w, "kind", d->events[i].kind);
		jw_kv_text(w, "text", d->events[i].text);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_metrics(struct jw *w, const struct detail *d)
{
	jw_key(w, "metrics");
	jw_array(w);
	for (size_t i = 0; i < d->n_metrics; i++) {
		jw_object(w);
		jw_kv_text(w, "name", d->metrics[i].name);
		jw_kv_text(w, "set", d->metrics[i].set_name);
		jw_kv_int(w, "step", d->metrics[i].step);
		jw_kv_real(w, "value", d->metrics[i].value);
		jw_kv_int(w, "at", d->metrics[i].at);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_json(struct jw *w, const char *key, const json_t *object)
{
	jw_key(w, key);
	envelope_value(w, object);
}

static void write_detail(struct jw *w, const struct detail *d)
{
	const struct task_row *row = &d->row;

	jw_object(w);
	jw_kv_text(w, "instance", d->instance);
	jw_kv_int(w, "generation", row->generation);
	jw_kv_text(w, "kind", row->kind);
	jw_kv_text(w, "runId", row->run_id);
	jw_kv_text(w, "state", task_state_word((enum task_state)row->state));
	jw_kv_int(w, "progress", row->progress);
	jw_kv_int(w, "attempt", row->attempt);
	jw_kv_int(w, "maxAttempts", row->max_attempts);
	jw_kv_int(w, "notBefore", row->not_before);
	jw_kv_int(w, "createdAt", row->created_at);
	jw_kv_int(w, "startedAt", row->started_at);
	jw_kv_int(w, "endedAt", row->ended_at);
	jw_kv_int(w, "updatedAt", row->updated_at);
	jw_kv_text(w, "checkpoint", row->checkpoint);
	jw_kv_text(w, "errorCode", row->error_code);
	jw_kv_text(w, "errorMessage", row->error_message);
	jw_kv_text(w, "fault", task_fault_word((enum task_fault)row->fault));
	jw_kv_text(w, "dataHash", row->data_hash);
	write_json(w, "result", d->result);
	write_json(w, "params", d->params);
	write_events(w, d);
	write_metrics(w, d);
	jw_end_object(w);
}

static void answer_detail(struct call *c, const struct detail *d)
{
	struct err err = { 0 };
	struct buf body;
	struct jw w;

	buf_init(&body, DETAIL_MAX_SIZE);
	jw_init(&w, &body, CASING_CAMEL);
	write_detail(&w, d);
	if (body.is_over) {
		(void)err_set(&err, RC_LIMIT, "task %lld is larger than %d bytes of JSON", (long long)d->row.id,
			      DETAIL_MAX_SIZE);
		answer_internal(c, "api.answer_too_large", &err);
	} else {
		call_reply(c, 200, answer_json_type, &body);
	}
	buf_fini(&body);
}

static enum verdict read_json(struct call *c, const char *text, const json_t **out, struct err *err)
{
	if (!*text)
		text = "{}";
	return json_read(text, strlen(text), c->arena, out, err) ? V_FAILED : V_OK;
}

void console_task(struct call *c)
{
	struct scope s;
	struct err err = { 0 };

	if (!scope_find(c, SCOPE_TASK, &s))
		return;
	struct detail d = { .instance = s.instance.name, .row = s.task };
	enum verdict v = engine_task_events(c->view, s.task.id, c->arena, &d.events, &d.n_events, &err);
	if (v == V_OK)
		v = engine_task_metrics(c->view, s.task.id, c->arena, &d.metrics, &d.n_metrics, &err);
	if (v == V_OK)
		v = read_json(c, s.task.result, &d.result, &err);
	if (v == V_OK)
		v = read_json(c, s.task.params, &d.params, &err);
	if (v == V_OK)
		answer_detail(c, &d);
	else
		answer_read(c, v, &err);
}

/* ---- the log ---- */

void console_task_log(struct call *c)
{
	struct scope s;
	struct err err = { 0 };
	int64_t offset = 0, end;
	char path[PATH_MAX], *next;
	struct buf body;

	if (!scope_find(c, SCOPE_TASK, &s))
		return;
	if (query_int(&c->query, "offset", 0, INT64_MAX, &offset, &err)) {
		answer_bad_input(c, &err);
		return;
	}
	engine_task_log_path(c->engine, &s.instance, s.generation, path);
	buf_init(&body, LOG_PART_SIZE + GAPLOG_NOTE_MAX);
	end = offset;
	enum rc rc = gaplog_read(path, offset, LOG_PART_SIZE, &body, &end, &err);
	if (rc == RC_NOT_FOUND) /* not begun yet */
		rc = RC_OK;
	next = arena_printf(c->arena, "%lld", (long long)end);
	if (!rc && !next)
		rc = err_set(&err, RC_LIMIT, "no memory for the answer");
	if (rc) {
		answer_internal(c, "api.log_unreadable", &err);
	} else {
		c->headers[c->n_headers++] = (struct http_header){ "x-stint-next-offset", next };
		call_reply(c, 200, "text/plain; charset=utf-8", &body);
	}
	buf_fini(&body);
}
