/*
 * Training tasks. The vendor shows three states only: a task that waits appears as running.
 */
#include <string.h>
#include "api/opensearch/answer.h"
#include "api/opensearch/body.h"
#include "api/opensearch/routes.h"
#include "api/opensearch/scope.h"

enum {
	DEFAULT_PAGE_SIZE = 1,   /* as documented */
	METRIC_NAMES_MAX = 64,   /* distinct ones shown while running */
	EXTEND_INFO_MAX_SIZE = 1 << 20,
};

struct item {
	const char *function;
	struct task_row row;
	const char *extend_info;
};

struct list {
	struct item *items;
	size_t n;
};

/* ---- writing ---- */

static const char *status_word(int64_t state)
{
	if (state == TASK_SUCCESS || state == TASK_FAILED)
		return task_state_word((enum task_state)state);
	return task_state_word(TASK_RUNNING);
}

static void write_task(struct jw *w, const void *subject)
{
	const struct item *item = subject;
	const struct task_row *row = &item->row;

	jw_object(w);
	jw_kv_text(w, "functionName", item->function);
	jw_kv_int(w, "progress", row->progress);
	jw_kv_text(w, "status", status_word(row->state));
	jw_kv_int(w, "startTime", row->started_at ? row->started_at : row->created_at);
	jw_kv_int(w, "endTime", row->ended_at);
	jw_kv_text(w, "extendInfo", item->extend_info);
	jw_kv_text(w, "runId", row->run_id);
	jw_key(w, "generation");
	jw_int_text(w, row->generation);
	jw_end_object(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *list = subject;

	jw_array(w);
	for (size_t i = 0; i < list->n; i++)
		write_task(w, &list->items[i]);
	jw_end_array(w);
}

/* ---- ExtendInfo: one JSON text of evaluation and errors ---- */

/* Written here, whatever the child's result says. */
static const char *const own_members[] = { "errors", "metrics", "attempts", NULL };

static bool is_own_member(const char *key)
{
	size_t i = 0;
	while (own_members[i] && strcmp(own_members[i], key) != 0)
		i++;
	return own_members[i] != NULL;
}

/* The other members of the child's result. It is kept as we write JSON; what is not was put there by somebody else. */
static enum rc write_evaluation(struct jw *w, const char *text, struct arena *a, struct err *err)
{
	const json_t *result;

	if (!*text || jw_members(w, text, own_members))
		return RC_OK;
	enum rc rc = json_read(text, strlen(text), a, &result, err);
	if (rc != RC_OK)
		return rc;
	json_t *object = (json_t *)(uintptr_t)result; /* for the iterators; only read */
	for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
		const char *key = json_object_iter_key(iter);
		if (is_own_member(key))
			continue;
		jw_key_exact(w, key);
		envelope_value(w, json_object_iter_value(iter));
	}
	return RC_OK;
}

static void write_metrics(struct jw *w, const struct metric_row *rows, size_t n)
{
	char name[160];

	jw_key(w, "metrics");
	jw_object(w);
	for (size_t i = 0; i < n; i++) {
		const char *set = rows[i].set_name;
		(void)snprintf(name, sizeof name, "%s%s%s", set, *set ? "." : "", rows[i].name);
		jw_key_exact(w, name);
		jw_real(w, rows[i].value);
	}
	jw_end_object(w);
}

static void write_errors(struct jw *w, const struct task_row *row)
{
	jw_key(w, "errors");
	jw_array(w);
	if (*row->error_code || *row->error_message) {
		jw_object(w);
		jw_kv_text(w, "code", row->error_code);
		jw_kv_text(w, "message", row->error_message);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static enum verdict write_running(struct call *c, struct jw *w, const struct task_row *row, struct err *err)
{
	struct metric_row *metrics;
	size_t n;

	enum verdict v = engine_task_metrics_newest(c->view, row->id, METRIC_NAMES_MAX, c->arena, &metrics, &n, err);
	if (v != V_OK)
		return v;
	write_metrics(w, metrics, n);
	jw_kv_int(w, "attempts", row->attempt);
	return V_OK;
}

/* item->extend_info from its row. */
static enum verdict complete(struct call *c, struct item *item, struct err *err)
{
	const struct task_row *row = &item->row;
	struct buf text;
	struct jw w;

	buf_init(&text, EXTEND_INFO_MAX_SIZE);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	enum verdict v = write_evaluation(&w, row->result, c->arena, err) ? V_FAILED : V_OK;
	if (v == V_OK && !task_state_is_final((enum task_state)row->state))
		v = write_running(c, &w, row, err);
	write_errors(&w, row);
	jw_end_object(&w);
	item->extend_info = arena_dup_n(c->arena, buf_text(&text), text.len);
	if (v == V_OK && (text.is_over || !item->extend_info)) {
		(void)err_set(err, RC_LIMIT, "the evaluation of task %lld is too large", (long long)row->id);
		v = V_FAILED;
	}
	buf_fini(&text);
	return v;
}

/* ---- operations ---- */

/* The writer finds the instance again and has the last word on whether it is there; so one whose id is known from
 * before is not looked for here. Only a request with something else wrong with it is told of a missing instance first.
 * */
static bool find_target(struct call *c, bool is_well, struct scope *out, int64_t *hint)
{
	*hint = 0;
	if (!scope_find(c, SCOPE_FUNCTION, out))
		return false;
	if (is_well)
		*hint = engine_instance_hint(c->engine, out->app.id, out->function, path_arg(&c->args, "instance"));
	return *hint || scope_find(c, SCOPE_INSTANCE, out);
}

void tasks_create(struct call *c)
{
	struct scope s;
	struct err err = { 0 };
	const json_t *body;
	int64_t hint;

	bool is_well = body_parse(c->req->body, c->req->body_len, BODY_OPTIONAL, c->arena, &body, &err) == RC_OK;
	if (!find_target(c, is_well, &s, &hint))
		return;
	if (!is_well) {
		answer_error(c, API_ERR_INVALID_REQUEST, err.msg);
		return;
	}
	c->change.task_create = (struct task_create){
		.base = { .done = answer_change, .ctx = c },
		.app_id = s.app.id,
		.function = s.function,
		.instance = path_arg(&c->args, "instance"),
		.hint = hint ? hint : s.instance.id,
	};
	call_submit(c);
	engine_task_create(c->engine, &c->change.task_create);
}

void tasks_get(struct call *c)
{
	struct scope s;
	struct err err = { 0 };

	if (!scope_find(c, SCOPE_TASK, &s))
		return;
	struct item item = { .function = s.function, .row = s.task };
	enum verdict v = complete(c, &item, &err);
	if (v == V_OK)
		answer_function(c, (struct envelope){ .result = write_task, .subject = &item });
	else
		answer_read(c, v, &err);
}

static enum rc read_filter(struct call *c, struct task_filter *f, struct err *err)
{
	static const enum task_filter_state states[] = { TASKS_SUCCESS, TASKS_FAILED, TASKS_UNFINISHED };
	int state = -1;
	struct page page;

	f->started_after = INT64_MIN;
	f->ended_before = INT64_MAX;
	enum rc rc = query_choice(&c->query, "status", "success|failed|running", &state, err);
	if (!rc)
		rc = query_int(&c->query, "startTime", INT64_MIN, INT64_MAX, &f->started_after, err);
	if (!rc)
		rc = query_int(&c->query, "endTime", INT64_MIN, INT64_MAX, &f->ended_before, err);
	if (!rc)
		rc = query_page(&c->query, DEFAULT_PAGE_SIZE, &page, err);
	if (rc)
		return rc;
	f->state = state < 0 ? TASKS_ALL : states[state];
	f->offset = page.offset;
	f->limit = page.limit;
	return RC_OK;
}

static enum verdict read_list(struct call *c, const struct scope *s, const struct task_filter *f, struct list *out,
			      int64_t *total, struct err *err)
{
	struct task_row *rows;
	size_t n;

	enum verdict v = engine_task_list(c->view, f, c->arena, &rows, &n, total, err);
	if (v != V_OK)
		return v;
	*out = (struct list){ arena_array(c->arena, n + 1, sizeof *out->items), n };
	if (!out->items) {
		(void)err_set(err, RC_LIMIT, "no memory for %zu tasks", n);
		return V_FAILED;
	}
	for (size_t i = 0; i < n && v == V_OK; i++) {
		out->items[i] = (struct item){ .function = s->function, .row = rows[i] };
		v = complete(c, &out->items[i], err);
	}
	return v;
}

void tasks_list(struct call *c)
{
	struct scope s;
	struct task_filter filter = { 0 };
	struct list list;
	int64_t total;
	struct err err = { 0 };

	if (!scope_find(c, SCOPE_INSTANCE, &s))
		return;
	if (read_filter(c, &filter, &err)) {
		answer_bad_input(c, &err);
		return;
	}
	filter.instance_id = s.instance.id;
	enum verdict v = read_list(c, &s, &filter, &list, &total, &err);
	if (v == V_OK)
		answer_function(c, (struct envelope){ .result = write_list, .subject = &list, .total = &total });
	else
		answer_read(c, v, &err);
}

void tasks_delete(struct call *c)
{
	struct scope s;

	if (!scope_find(c, SCOPE_GENERATION, &s))
		return;
	c->change.task_delete = (struct task_delete){
		.base = { .done = answer_change, .ctx = c },
		.app_id = s.app.id,
		.function = s.function,
		.instance = s.instance.name,
		.generation = s.generation,
	};
	call_submit(c);
	engine_task_delete(c->engine, &c->change.task_delete);
}
