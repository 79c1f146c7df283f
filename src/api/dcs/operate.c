#include "api/dcs/operate.h"

#include <stdatomic.h>
#include <string.h>
#include "api/dcs/body.h"

struct cache_operate *operate_prepare(struct call *c, const struct cache_row *row, enum cache_op op,
				      change_done_fn *done)
{
	c->change.cache_operate = (struct cache_operate){
		.base = { .done = done, .ctx = c },
		.project_id = row->project_id,
		.uid = row->uid,
		.op = op,
		.actor = scope_actor(c),
		.args = "{}",
		.details = "{}",
	};
	return &c->change.cache_operate;
}

void operate_submit(struct call *c)
{
	call_submit(c);
	engine_cache_operate(c->engine, &c->change.cache_operate);
}

bool operate_is_taken(struct call *c)
{
	const struct cache_operate *o = &c->change.cache_operate;
	return o->base.verdict == V_OK || dcs_answer_verdict(c, o->base.verdict, o->busy, &o->base.err);
}

void operate_answer_none(struct change *change)
{
	struct call *c = change->ctx;

	if (!operate_is_taken(c))
		return;
	if (c->change.cache_operate.waits && !c->change.cache_operate.is_success)
		(void)dcs_answer_error(c, DCS_JOB_FAILED);
	else
		(void)dcs_answer_none(c);
}

void operate_answer_job(struct change *change)
{
	struct call *c = change->ctx;

	if (operate_is_taken(c))
		(void)dcs_answer_task(c, "job_id", c->change.cache_operate.task_id);
}

/* ---- several at once ---- */

bool operate_ids(struct call *c, const json_t *body, const char ***uids, size_t *n)
{
	const json_t *array = dcs_member(body, "instances");
	size_t len = json_array_size(array);

	if (len == 0)
		return dcs_answer_error(c, DCS_NO_INSTANCES);
	if (len > IDS_MAX)
		return dcs_answer_error(c, DCS_TOO_MANY_IDS);
	const char **list = arena_array(c->arena, len, sizeof *list);
	if (!list)
		return dcs_answer_no_memory(c);
	for (size_t i = 0; i < len; i++) {
		list[i] = json_string_value(json_array_get(array, i));
		if (!list[i])
			return dcs_answer_error(c, DCS_NO_INSTANCES);
	}
	*uids = list;
	*n = len;
	return true;
}

/* Changes may be answered on the writer thread while later ones are still being handed in, so whoever takes the last of
 * left (one more than there are changes: the submitter's own) answers. */
struct batch {
	struct call *call;
	atomic_size_t left;
	size_t n;
	struct cache_operate *items;
};

static void write_results(struct jw *w, const void *subject)
{
	const struct batch *b = subject;

	jw_object(w);
	jw_key(w, "results");
	jw_array(w);
	for (size_t i = 0; i < b->n; i++) {
		jw_object(w);
		jw_kv_text(w, "instance", b->items[i].uid);
		jw_kv_text(w, "result", b->items[i].base.verdict == V_OK ? "success" : "failed");
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

static void count_down(struct batch *b)
{
	if (atomic_fetch_sub(&b->left, 1) == 1)
		(void)dcs_answer(b->call, write_results, b);
}

static void one_done(struct change *change) { count_down(change->ctx); }

void operate_many(struct call *c, const char *project, const char *const *uids, size_t n, enum cache_op op)
{
	struct batch *b = arena_new_of(c->arena, struct batch);
	struct cache_operate *items = arena_array(c->arena, n + 1, sizeof *items);

	if (!b || !items) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	b->call = c;
	b->n = n;
	b->items = items;
	atomic_init(&b->left, n + 1);
	call_submit(c);
	for (size_t i = 0; i < n; i++) {
		items[i] = (struct cache_operate){
			.base = { .done = one_done, .ctx = b },
			.project_id = project,
			.uid = uids[i],
			.op = op,
			.actor = scope_actor(c),
			.args = "{}",
			.details = "{}",
		};
		engine_cache_operate(c->engine, &items[i]);
	}
	count_down(b);
}
