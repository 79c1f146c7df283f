/* Diagnosis reports. What was asked for (the window, the nodes) is in the record's arguments, which the
 * child gets too; what it found (cmd/job_diagnose.c) has the contract's members but for the few that only the dialect
 * knows. */
#include <stdatomic.h>
#include <string.h>
#include "api/dcs/body.h"
#include "api/dcs/operate.h"
#include "api/dcs/records.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"
#include "base/attr.h"
#include "base/clock.h"
#include "cache/report.h"

enum {
	SPAN_MAX_MS = 10 * 60 * 1000,
	REPORTS_MAX = 100,              /* ids of a deletion: as many as are kept */
	NODE_NAMES_MAX = 50,
	BYTES_A_SECOND = 125000,        /* of one Mbit/s */
};
#define AGE_MAX_MS (INT64_C(7) * 24 * 3600 * 1000)

/* ---- create ---- */

struct wish {
	int64_t begin_ms, end_ms;
	const struct node *nodes[COPIES_MAX];
	size_t n;
};

static bool read_time(struct call *c, const json_t *body, const char *name, int64_t *out)
{
	return (dcs_int_value(dcs_member(body, name), out) && *out > 0) || dcs_answer_named(c, DCS_PARAM, name);
}

static bool read_window(struct call *c, const json_t *body, const struct cache_row *cache, struct wish *w)
{
	int64_t now = clock_wall_ms(), born = cache->launched_at ? cache->launched_at : cache->created_at;

	if (!read_time(c, body, "begin_time", &w->begin_ms) || !read_time(c, body, "end_time", &w->end_ms))
		return false;
	if (w->end_ms <= w->begin_ms)
		return dcs_answer_error(c, DCS_TIME_ORDER);
	if (w->end_ms - w->begin_ms > SPAN_MAX_MS)
		return dcs_answer_error(c, DCS_SPAN);
	if (w->end_ms > now)
		return dcs_answer_error(c, DCS_IN_FUTURE);
	if (w->begin_ms < now - AGE_MAX_MS)
		return dcs_answer_error(c, DCS_TOO_LONG_AGO);
	return w->begin_ms >= born || dcs_answer_error(c, DCS_BEFORE_INSTANCE);
}

enum { NODE_NAME_SIZE = 64 };

static void name_node(const struct node *node, int64_t port, char out[NODE_NAME_SIZE])
{
	bool has_colons = strchr(node->host, ':') != NULL;
	(void)snprintf(out, NODE_NAME_SIZE, has_colons ? "[%s]:%lld" : "%s:%lld", node->host, (long long)port);
}

/* By its address, with the port or without. */
static const struct node *find_node(const struct state *state, int64_t port, const char *name)
{
	char full[NODE_NAME_SIZE];

	for (size_t i = 0; name && i < state->n_nodes; i++) {
		name_node(&state->nodes[i], port, full);
		if (strcmp(state->nodes[i].host, name) == 0 || strcmp(full, name) == 0)
			return &state->nodes[i];
	}
	return NULL;
}

static void choose(struct wish *w, const struct node *node)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->nodes[i] == node)
			return;
	}
	w->nodes[w->n++] = node;
}

/* None named: all. */
static bool read_nodes(struct call *c, const json_t *body, int64_t port, const struct state *state, struct wish *w)
{
	const json_t *names = dcs_member(body, "node_ip_list"), *name;
	size_t i;

	if (names && (!json_is_array(names) || json_array_size(names) > NODE_NAMES_MAX))
		return dcs_answer_named(c, DCS_PARAM, "node_ip_list");
	json_array_foreach(names, i, name) {
		const struct node *node = find_node(state, port, json_string_value(name));
		if (!node)
			return dcs_answer_named(c, DCS_PARAM, "node_ip_list");
		choose(w, node);
	}
	for (i = 0; json_array_size(names) == 0 && i < state->n_nodes; i++)
		choose(w, &state->nodes[i]);
	return true;
}

static void write_nodes(struct jw *out, const struct wish *w, int64_t port)
{
	char name[NODE_NAME_SIZE];

	jw_key(out, "nodes");
	jw_array(out);
	for (size_t i = 0; i < w->n; i++) {
		name_node(w->nodes[i], port, name);
		jw_object(out);
		jw_kv_int(out, "number", w->nodes[i]->number);
		jw_kv_text(out, "node_ip", name);
		jw_kv_text(out, "role", w->nodes[i]->is_master ? "master" : "slave");
		jw_end_object(out);
	}
	jw_end_array(out);
}

static bool write_args(struct call *c, const struct cache_row *cache, const struct wish *w, const char **out)
{
	struct buf text;
	struct jw j;

	buf_init(&text, DETAILS_MAX);
	jw_init(&j, &text, CASING_CAMEL);
	jw_object(&j);
	jw_kv_int(&j, "begin_ms", w->begin_ms);
	jw_kv_int(&j, "end_ms", w->end_ms);
	jw_kv_int(&j, "bandwidth", (int64_t)spec_bandwidth(cache->capacity_mib) * BYTES_A_SECOND);
	write_nodes(&j, w, cache->port);
	jw_end_object(&j);
	return dcs_keep(c, &text, out);
}

static void created(struct change *change)
{
	struct record_call *r = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_text(r->call, "report_id", r->create.scan_uid);
	else
		record_refuse(r, DCS_STATE, "A diagnosis of the instance is running.");
}

void dcs_diagnosis_create(struct call *c)
{
	struct record_call *r = record_begin(c);
	struct wish wish = { .n = 0 };
	struct state state;
	const json_t *body;
	const char *args;

	if (!r || !dcs_body(c, DCS_BODY_REQUIRED, &body) || !scope_state(c, &r->cache, &state))
		return;
	if (read_window(c, body, &r->cache, &wish) && read_nodes(c, body, r->cache.port, &state, &wish) &&
	    write_args(c, &r->cache, &wish, &args))
		record_create(r, SCAN_DIAGNOSIS, args, created);
}

/* ---- a record, read ---- */

struct report {
	const struct scan_row *row;
	const json_t *nodes;    /* that were asked for */
	int64_t begin_ms, end_ms;
	struct report_sums sums;
};

static int64_t whole(const json_t *object, const char *name)
{
	return (int64_t)json_integer_value(json_object_get(object, name));
}

static bool has_failed(const struct scan_row *row) { return record_is_over(row) && !*row->result; }

static enum rc read_report(const struct scan_row *row, struct arena *a, struct report *out, struct err *err)
{
	const json_t *args = NULL;

	enum rc rc = json_read(row->args, strlen(row->args), a, &args, err);
	if (rc != RC_OK)
		return rc;
	*out = (struct report){ .row = row,
		                .nodes = json_object_get(args, "nodes"),
		                .begin_ms = whole(args, "begin_ms"),
		                .end_ms = whole(args, "end_ms"),
		                .sums = report_unpack(row->num) };
	if (has_failed(row)) /* the diagnosis itself, and with it every item */
		out->sums.failed = (int64_t)json_array_size(out->nodes) * ITEMS;
	return RC_OK;
}

/* ---- list ---- */

struct list {
	struct record_list records;
	struct report *reports;
};

static void write_summary(struct jw *w, const struct report *r)
{
	jw_object(w);
	jw_kv_text(w, "report_id", r->row->uid);
	jw_kv_text(w, "status", record_is_over(r->row) ? "finished" : "diagnosing");
	format_kv_time(w, "begin_time", r->begin_ms);
	format_kv_time(w, "end_time", r->end_ms);
	format_kv_time(w, "created_at", r->row->created_at);
	jw_kv_int(w, "node_num", (int64_t)json_array_size(r->nodes));
	jw_kv_int(w, "abnormal_item_sum", r->sums.abnormal);
	jw_kv_int(w, "failed_item_sum", r->sums.failed);
	jw_end_object(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *x = subject;

	jw_object(w);
	jw_kv_int(w, "total_num", x->records.total);
	jw_key(w, "diagnosis_report_list");
	jw_array(w);
	for (size_t i = 0; i < x->records.n; i++)
		write_summary(w, &x->reports[i]);
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_diagnosis_list(struct call *c)
{
	struct list x = { .reports = NULL };
	struct err err = { 0 };
	enum rc rc = RC_OK;

	if (!scope_instance(c, &x.records.cache) || !record_page(c, SCAN_DIAGNOSIS, /* status: */ NULL, &x.records))
		return;
	x.reports = arena_array(c->arena, x.records.n + 1, sizeof *x.reports);
	if (!x.reports) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	for (size_t i = 0; i < x.records.n && rc == RC_OK; i++)
		rc = read_report(&x.records.rows[i], c->arena, &x.reports[i], &err);
	if (rc == RC_OK)
		(void)dcs_answer(c, write_list, &x);
	else
		(void)dcs_answer_internal(c, "api.failed", &err);
}

/* ---- show ---- */

static void write_place(struct jw *w, const json_t *node)
{
	jw_kv_text(w, "node_ip", json_string_value(json_object_get(node, "node_ip")));
	jw_kv_text(w, "az_code", zone_code);
	jw_kv_text(w, "group_name", shard_name);
	jw_kv_text(w, "role", json_string_value(json_object_get(node, "role")));
}

static void write_found(struct jw *w, const json_t *node)
{
	static const char *const members[] = { "abnormal_sum", "failed_sum", "diagnosis_dimension_list",
		                               "command_time_taken_list" };

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		format_kv_value32(w, members[i], json_object_get(node, members[i]));
}

static void write_none(struct jw *w)
{
	struct cache_diagnosis none = { .figures = figures_none() };
	struct report_sums sums = { 0, 0 };

	report_write(w, &none, &sums);
}

struct shown {
	struct report report;
	const json_t *found;    /* of each node; NULL: nothing, not yet or not at all */
};

static void write_node(struct jw *w, const struct shown *x, const json_t *node)
{
	jw_object(w);
	write_place(w, node);
	if (x->found)
		write_found(w, node);
	else
		write_none(w);
	jw_end_object(w);
}

static void write_report(struct jw *w, const void *subject)
{
	const struct shown *x = subject;
	const json_t *nodes = has_failed(x->report.row) ? x->report.nodes : x->found, *node;
	size_t i;

	jw_object(w);
	jw_kv_int(w, "abnormal_item_sum", x->report.sums.abnormal);
	jw_kv_int(w, "failed_item_sum", x->report.sums.failed);
	jw_key(w, "diagnosis_node_report_list");
	jw_array(w);
	json_array_foreach(nodes, i, node)
		write_node(w, x, node);
	jw_end_array(w);
	jw_end_object(w);
}

static enum rc read_found(const struct scan_row *row, struct arena *a, struct shown *out, struct err *err)
{
	const json_t *result = NULL;

	enum rc rc = read_report(row, a, &out->report, err);
	if (rc == RC_OK)
		rc = record_result(row, a, &result, err);
	if (rc == RC_OK)
		out->found = json_object_get(result, "nodes");
	return rc;
}

void dcs_diagnosis_show(struct call *c)
{
	const char *project;
	struct cache_row cache;
	struct scan_row row;
	struct shown shown;
	struct err err = { 0 };

	if (!scope_project(c, &project))
		return;
	enum verdict v = engine_scan_get(c->view, /* cache_id: any */ 0, SCAN_DIAGNOSIS, path_arg(&c->args, "report"),
	                                 c->arena, &row, &err);
	if (v == V_OK)
		v = engine_cache_find(c->view, project, row.cache_id, c->arena, &cache, &err);
	if (v == V_OK && read_found(&row, c->arena, &shown, &err))
		v = V_FAILED;
	if (v == V_OK)
		(void)dcs_answer(c, write_report, &shown);
	else if (v == V_NO_RECORD || v == V_NO_INSTANCE)
		(void)dcs_answer_named(c, DCS_ID_PARAM, "report_id");
	else
		(void)dcs_answer_read(c, v, &err);
}

/* ---- delete ---- */

/* One change an id. They may be done on the writer's thread while later ones are still being handed in, so whoever
 * takes the last of left (one more than there are changes: the submitter's own) answers. */
struct removal {
	struct call *call;
	atomic_size_t left;
	size_t n;
	struct scan_delete *items;
};

static void write_results(struct jw *w, const void *subject)
{
	const struct removal *x = subject;

	jw_object(w);
	jw_key(w, "results");
	jw_array(w);
	for (size_t i = 0; i < x->n; i++) {
		jw_object(w);
		jw_kv_text(w, "id", x->items[i].scan_uid);
		jw_kv_text(w, "result", x->items[i].base.verdict == V_OK ? "success" : "failed");
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

static void count_down(struct removal *x)
{
	if (atomic_fetch_sub(&x->left, 1) == 1)
		(void)dcs_answer(x->call, write_results, x);
}

static void one_removed(struct change *change) { count_down(change->ctx); }

static bool read_ids(struct call *c, const json_t *body, struct removal *x)
{
	const json_t *ids = dcs_member(body, "report_id_list"), *id;
	size_t n = json_array_size(ids), i;

	if (n < 1 || n > REPORTS_MAX)
		return dcs_answer_named(c, DCS_PARAM, "report_id_list");
	x->items = arena_array(c->arena, n, sizeof *x->items);
	if (!x->items)
		return dcs_answer_no_memory(c);
	json_array_foreach(ids, i, id) {
		if (!json_is_string(id) || json_string_length(id) > BODY_TEXT_BYTES)
			return dcs_answer_named(c, DCS_PARAM, "report_id_list");
		x->items[i].scan_uid = json_string_value(id);
	}
	x->n = n;
	return true;
}

static void remove_all(struct removal *x, const struct cache_row *cache)
{
	size_t n = x->n;

	atomic_init(&x->left, n + 1);
	call_submit(x->call);
	for (size_t i = 0; i < n; i++) {
		struct scan_delete *d = &x->items[i];
		d->base = (struct change){ .done = one_removed, .ctx = x };
		d->project_id = cache->project_id;
		d->uid = cache->uid;
		d->kind = SCAN_DIAGNOSIS;
		engine_scan_delete(x->call->engine, d);
	}
	count_down(x);
}

void dcs_diagnosis_delete(struct call *c)
{
	struct record_call *r = record_begin(c);
	struct removal *x = arena_new_of(c->arena, struct removal);
	const json_t *body;

	if (!r)
		return;
	if (!x) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	x->call = c;
	if (dcs_body(c, DCS_BODY_REQUIRED, &body) && read_ids(c, body, x))
		remove_all(x, &r->cache);
}
