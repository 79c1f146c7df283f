#include "api/dcs/records.h"

#include <string.h>

struct record_call *record_begin(struct call *c)
{
	struct record_call *r = arena_new_of(c->arena, struct record_call);

	if (!r) {
		(void)dcs_answer_no_memory(c);
		return NULL;
	}
	r->call = c;
	return scope_instance(c, &r->cache) ? r : NULL;
}

bool record_is_over(const struct scan_row *row)
{
	return strcmp(row->status, "success") == 0 || strcmp(row->status, "failed") == 0;
}

void record_create(struct record_call *r, enum scan_kind kind, const char *args, change_done_fn *done)
{
	r->create = (struct scan_create){
		.base = { .done = done, .ctx = r },
		.project_id = r->cache.project_id,
		.uid = r->cache.uid,
		.kind = kind,
		.actor = scope_actor(r->call),
		.type = "manual",
		.args = args,
	};
	call_submit(r->call);
	engine_scan_create(r->call->engine, &r->create);
}

static void submit_delete(struct record_call *r, enum scan_kind kind, change_done_fn *done)
{
	r->remove = (struct scan_delete){
		.base = { .done = done, .ctx = r },
		.project_id = r->cache.project_id,
		.uid = r->cache.uid,
		.kind = kind,
		.scan_uid = r->row.uid,
	};
	call_submit(r->call);
	engine_scan_delete(r->call->engine, &r->remove);
}

void record_delete(struct call *c, enum scan_kind kind, const void *about, change_done_fn *done)
{
	struct record_call *r = record_begin(c);
	struct err err = { 0 };

	if (!r)
		return;
	r->about = about;
	enum verdict v = record_find(c, &r->cache, kind, path_arg(&c->args, "scan"), &r->row, &err);
	if (v == V_NO_RECORD)
		(void)dcs_answer_none(c); /* 204 says here that there was nothing */
	else if (v != V_OK)
		(void)dcs_answer_read(c, v, &err);
	else if (!record_is_over(&r->row))
		(void)dcs_answer_error(c, DCS_SCAN_STATE);
	else
		submit_delete(r, kind, done);
}

void record_refuse_delete(struct record_call *r, const struct change *change)
{
	switch (change->verdict) {
	case V_NO_RECORD:
		(void)dcs_answer_none(r->call);
		break;
	case V_BAD_STATE:
		(void)dcs_answer_error(r->call, DCS_SCAN_STATE);
		break;
	default:
		(void)dcs_answer_verdict(r->call, change->verdict, "", &change->err);
		break;
	}
}

void record_refuse(struct record_call *r, enum dcs_error running, const char *words)
{
	const struct scan_create *s = &r->create;

	if (s->base.verdict == V_INSTANCE_BUSY && scan_of(s->busy) == s->kind)
		(void)dcs_answer_words(r->call, running, words);
	else
		(void)dcs_answer_verdict(r->call, s->base.verdict, s->busy, &s->base.err);
}

enum verdict record_find(struct call *c, const struct cache_row *cache, enum scan_kind kind, const char *uid,
                         struct scan_row *out, struct err *err)
{
	return engine_scan_get(c->view, cache->id, kind, uid, c->arena, out, err);
}

bool record_page(struct call *c, enum scan_kind kind, const char *status, struct record_list *out)
{
	struct page page;
	struct err err = { 0 };

	if (!scope_page(c, &page))
		return false;
	const struct scan_filter filter = {
		.cache_id = out->cache.id,
		.kind = kind,
		.status = status,
		.offset = page.offset,
		.limit = page.limit,
	};
	enum verdict v = engine_scan_list(c->view, &filter, c->arena, &out->rows, &out->n, &out->total, &err);
	return v == V_OK || dcs_answer_read(c, v, &err);
}

bool record_list(struct call *c, enum scan_kind kind, struct record_list *out)
{
	int word = 0;

	if (!scope_instance(c, &out->cache))
		return false;
	if (query_choice(&c->query, "status", "waiting|running|success|failed", &word, NULL))
		return dcs_answer_named(c, DCS_QUERY, "status");
	return record_page(c, kind, query_text(&c->query, "status"), out);
}

void record_write_times(struct jw *w, const struct scan_row *row)
{
	format_kv_time(w, "created_at", row->created_at);
	if (row->started_at)
		format_kv_time(w, "started_at", row->started_at);
	if (row->ended_at)
		format_kv_time(w, "finished_at", row->ended_at);
}

enum rc record_result(const struct scan_row *row, struct arena *a, const json_t **out, struct err *err)
{
	const json_t *result = NULL;

	if (*row->result && json_read(row->result, strlen(row->result), a, &result, err))
		return err_wrap(err, RC_CORRUPT, "result of analysis %s", row->uid);
	*out = result;
	return RC_OK;
}
