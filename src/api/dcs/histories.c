/* ListConfigHistories and ShowConfigHistoryDetail: the instance's UpdateConfig tasks, under their ids in
 * the form of a UUID. A deleted task record takes its history with it. */
#include <string.h>
#include "api/dcs/answer.h"
#include "api/dcs/params.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "base/attr.h"

enum { TASKS_AT_ONCE = 50, TASKS_MAX = 1000 /* newest ones that are searched */, PAGE_ARENA_SIZE = 16 << 20 };

struct history {
	char uid[UUID_SIZE];
	int64_t created_at, state;
	const json_t *settings; /* of one that is shown by itself */
};

struct list {
	struct page page;
	struct history *items;
	size_t n;
	int64_t total;
};

static const char *status_of(int64_t state)
{
	if (state == TASK_SUCCESS)
		return "SUCCESS";
	return state == TASK_FAILED ? "FAILURE" : "UPDATING";
}

/* 8-4-4-4-12 of the 32 digits; engine_task_id reads either form. */
static void set_uid(struct history *h, const struct engine *e, int64_t task_id)
{
	char hex[TASK_UID_SIZE];

	engine_task_uid(e, task_id, hex);
	(void)snprintf(h->uid, sizeof h->uid, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static void write_members(struct jw *w, const struct history *h)
{
	jw_kv_text(w, "history_id", h->uid);
	jw_kv_text(w, "type", "config_param");
	format_kv_time(w, "created_at", h->created_at);
	jw_kv_text(w, "status", status_of(h->state));
}

/* ---- list ---- */

static void write_list(struct jw *w, const void *subject)
{
	const struct list *x = subject;

	jw_object(w);
	jw_kv_int(w, "history_num", x->total);
	jw_key(w, "histories");
	jw_array(w);
	for (size_t i = 0; i < x->n; i++) {
		jw_object(w);
		write_members(w, &x->items[i]);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

static void keep(struct list *x, const struct engine *e, const struct task_row *row)
{
	if (strcmp(row->kind, cache_op_name(CACHE_OP_CONFIG)) != 0)
		return;
	if (x->total++ < x->page.offset || (int64_t)x->n == x->page.limit)
		return;
	struct history *h = &x->items[x->n++];
	*h = (struct history){ .created_at = row->created_at, .state = row->state };
	set_uid(h, e, row->id);
}

/* Tasks of all kinds are read in small portions, each into memory of its own: other kinds' results may be long. */
static enum verdict read_histories(struct call *c, const struct cache_row *row, struct list *x, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(PAGE_ARENA_SIZE);
	struct cache_task_filter portion = {
		.project_id = row->project_id,
		.cache_id = row->id,
		.created_from = INT64_MIN,
		.created_until = INT64_MAX,
		.limit = TASKS_AT_ONCE,
	};
	size_t n = TASKS_AT_ONCE;
	int64_t total;

	for (; n == TASKS_AT_ONCE && portion.offset < TASKS_MAX; portion.offset += TASKS_AT_ONCE) {
		struct task_row *rows;
		arena_reset(a);
		enum verdict v = engine_cache_task_list(c->view, &portion, a, &rows, &n, &total, err);
		if (v != V_OK)
			return v;
		for (size_t i = 0; i < n; i++)
			keep(x, c->engine, &rows[i]);
	}
	return V_OK;
}

void dcs_histories_list(struct call *c)
{
	struct cache_row row;
	struct list x = { .n = 0 };
	struct err err = { 0 };

	if (!scope_instance(c, &row) || !scope_page(c, &x.page))
		return;
	x.items = arena_array(c->arena, (size_t)x.page.limit, sizeof *x.items);
	if (!x.items) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	enum verdict v = read_histories(c, &row, &x, &err);
	(void)dcs_answer_found(c, v, &err, write_list, &x);
}

/* ---- one ---- */

static void write_history(struct jw *w, const void *subject)
{
	const struct history *h = subject;
	json_t *settings = (json_t *)(uintptr_t)h->settings; /* for the iterators; only read */

	jw_object(w);
	write_members(w, h);
	jw_key(w, "redis_config");
	jw_array(w);
	for (void *it = json_object_iter(settings); it; it = json_object_iter_next(settings, it)) {
		const struct dcs_param *p = param_find(NULL, json_object_iter_key(it));
		jw_object(w);
		jw_kv_text(w, "param_id", p ? p->id : NULL);
		jw_kv_text(w, "param_name", json_object_iter_key(it));
		jw_kv_text(w, "param_value", json_string_value(json_object_iter_value(it)));
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

static enum verdict read_one(struct call *c, const struct cache_row *row, struct history *h, struct err *err)
{
	struct task_row task;
	const json_t *params;
	int64_t id;

	if (!engine_task_id(c->engine, path_arg(&c->args, "history"), &id))
		return V_NO_TASK;
	enum verdict v = engine_cache_task_get(c->view, row->project_id, row->id, id, c->arena, &task, err);
	if (v != V_OK)
		return v;
	if (strcmp(task.kind, cache_op_name(CACHE_OP_CONFIG)) != 0)
		return V_NO_TASK;
	if (json_read(task.params, strlen(task.params), c->arena, &params, err))
		return V_FAILED;
	*h = (struct history){ .created_at = task.created_at, .state = task.state };
	h->settings = json_object_get(json_object_get(params, "args"), "settings");
	set_uid(h, c->engine, id);
	return V_OK;
}

void dcs_histories_show(struct call *c)
{
	struct cache_row row;
	struct history h;
	struct err err = { 0 };

	if (!scope_instance(c, &row))
		return;
	enum verdict v = read_one(c, &row, &h, &err);
	if (v == V_OK)
		(void)dcs_answer(c, write_history, &h);
	else if (v == V_NO_TASK)
		(void)dcs_answer_named(c, DCS_ID_PARAM, "history_id");
	else
		(void)dcs_answer_read(c, v, &err);
}
