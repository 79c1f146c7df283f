/* Big keys, hot keys and expired keys. One run of each kind per instance at a time; what a run found stays
 * in its record until that is deleted, or a hundred newer ones are there. */
#include <string.h>
#include "api/dcs/records.h"
#include "api/dcs/routes.h"
#include "engine/schedule.h"

struct kind {
	enum scan_kind kind;
	enum dcs_error running, unknown;
	const char *running_words;
};

static const struct kind big = { SCAN_BIGKEY, DCS_BIGKEY_RUNNING, DCS_NO_BIGKEY, NULL };
/* For these the vendor has no code of their own; this one says to try again later. */
static const struct kind hot = { SCAN_HOTKEY, DCS_STATE, DCS_NO_HOTKEY, "Instance hotkey analyze is running." };
static const struct kind expire = { SCAN_EXPIRE, DCS_STATE, DCS_ID_PARAM, "A scan for expired keys is running." };

/* ---- records ---- */

struct shown {
	const struct cache_row *cache;
	const struct scan_row *row;
	const json_t *result; /* NULL: none yet */
	bool has_keys;        /* a kind that finds keys */
};

static void write_summary(struct jw *w, const struct scan_row *row)
{
	jw_kv_text(w, "status", row->status);
	jw_kv_text(w, "scan_type", row->type);
	record_write_times(w, row);
}

static void write_record(struct jw *w, const void *subject)
{
	const struct shown *x = subject;
	const json_t *keys = json_object_get(x->result, "keys");

	jw_object(w);
	jw_kv_text(w, "id", x->row->uid);
	jw_kv_text(w, "instance_id", x->cache->uid);
	write_summary(w, x->row);
	if (x->has_keys)
		jw_kv_int(w, "num", x->row->num);
	if (x->has_keys && keys) {
		jw_key(w, "keys");
		jw_value(w, keys);
	}
	jw_end_object(w);
}

static void answer_record(struct call *c, const struct cache_row *cache, const struct scan_row *row,
                          const struct kind *kind)
{
	struct shown x = { .cache = cache, .row = row, .has_keys = kind->kind != SCAN_EXPIRE };
	struct err err = { 0 };

	if (record_result(row, c->arena, &x.result, &err))
		(void)dcs_answer_internal(c, "api.failed", &err);
	else
		(void)dcs_answer(c, write_record, &x);
}

/* ---- create ---- */

static void created(struct change *change)
{
	struct record_call *r = change->ctx;
	const struct kind *kind = r->about;

	if (change->verdict == V_OK)
		answer_record(r->call, &r->cache, &r->create.row, kind);
	else
		record_refuse(r, kind->running, kind->running_words);
}

void dcs_bigkey_create(struct call *c)
{
	struct record_call *r = record_begin(c);

	if (!r)
		return;
	r->about = &big;
	record_create(r, SCAN_BIGKEY, "{}", created);
}

void dcs_hotkey_create(struct call *c)
{
	struct record_call *r = record_begin(c);
	bool is_fit = false;
	struct err err = { 0 };

	if (!r)
		return;
	r->about = &hot;
	if (engine_cache_counts_uses(&r->cache, &is_fit, &err) != RC_OK)
		(void)dcs_answer_internal(c, "api.failed", &err);
	else if (is_fit)
		record_create(r, SCAN_HOTKEY, "{}", created);
	else
		(void)dcs_answer_error(c, DCS_HOTKEY);
}

/* By hand as the schedule would, when there is one: as many keys a step, and no longer. */
void dcs_expire_create(struct call *c)
{
	struct record_call *r = record_begin(c);
	struct schedule_row schedule;
	struct err err = { 0 };
	const char *args = "{}";

	if (!r)
		return;
	r->about = &expire;
	enum verdict v = engine_schedule_get(c->view, r->cache.id, SCAN_EXPIRE, c->arena, &schedule, &err);
	if (v == V_OK)
		args = engine_schedule_args(&schedule, c->arena);
	if (v != V_OK && v != V_NO_RECORD)
		(void)dcs_answer_read(c, v, &err);
	else if (!args)
		(void)dcs_answer_no_memory(c);
	else
		record_create(r, SCAN_EXPIRE, args, created);
}

/* ---- list ---- */

static void write_records(struct jw *w, const struct record_list *x, bool has_num)
{
	jw_key(w, "records");
	jw_array(w);
	for (size_t i = 0; i < x->n; i++) {
		jw_object(w);
		jw_kv_text(w, "id", x->rows[i].uid);
		write_summary(w, &x->rows[i]);
		if (has_num)
			jw_kv_int(w, "num", x->rows[i].num);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct record_list *x = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", x->cache.uid);
	jw_kv_int(w, "count", x->total);
	write_records(w, x, /* has_num: */ false);
	jw_end_object(w);
}

/* Here total counts all, and count those of the page. */
static void write_history(struct jw *w, const void *subject)
{
	const struct record_list *x = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", x->cache.uid);
	jw_kv_int(w, "total", x->total);
	jw_kv_int(w, "count", (int64_t)x->n);
	write_records(w, x, /* has_num: */ true);
	jw_end_object(w);
}

static void list(struct call *c, const struct kind *kind, dcs_write_fn *write)
{
	struct record_list x;

	if (record_list(c, kind->kind, &x))
		(void)dcs_answer(c, write, &x);
}

void dcs_bigkey_list(struct call *c) { list(c, &big, write_list); }
void dcs_hotkey_list(struct call *c) { list(c, &hot, write_list); }
void dcs_expire_history(struct call *c) { list(c, &expire, write_history); }

/* ---- show, delete ---- */

static void show(struct call *c, const struct kind *kind)
{
	struct cache_row cache;
	struct scan_row row;
	struct err err = { 0 };

	if (!scope_instance(c, &cache))
		return;
	enum verdict v = record_find(c, &cache, kind->kind, path_arg(&c->args, "scan"), &row, &err);
	if (v == V_OK)
		answer_record(c, &cache, &row, kind);
	else if (v == V_NO_RECORD)
		(void)dcs_answer_error(c, kind->unknown);
	else
		(void)dcs_answer_read(c, v, &err);
}

void dcs_bigkey_show(struct call *c) { show(c, &big); }
void dcs_hotkey_show(struct call *c) { show(c, &hot); }

static void deleted(struct change *change)
{
	struct record_call *r = change->ctx;

	if (change->verdict == V_OK)
		answer_record(r->call, &r->cache, &r->row, r->about);
	else
		record_refuse_delete(r, change);
}

void dcs_bigkey_delete(struct call *c) { record_delete(c, SCAN_BIGKEY, &big, deleted); }
void dcs_hotkey_delete(struct call *c) { record_delete(c, SCAN_HOTKEY, &hot, deleted); }
