/* Offline key analysis: what lies in a backup, or in one made for it and thrown away. Everything but the
 * findings is in the record's arguments, which the child gets too: it reads "file" only. */
#include <string.h>
#include "api/dcs/body.h"
#include "api/dcs/operate.h"
#include "api/dcs/records.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"
#include "base/attr.h"

/* ---- create ---- */

static bool find_node(struct call *c, const json_t *body, const struct cache_row *cache, struct state *state,
                      const struct node **out)
{
	const char *id = NULL;

	if (!dcs_text(body, "node_id", &id) || !id || !*id)
		return dcs_answer_named(c, DCS_PARAM, "node_id");
	if (!scope_state(c, cache, state))
		return false;
	*out = state_node(state, id);
	return *out || dcs_answer_error(c, DCS_NODE_ID);
}

/* uid NULL: none is named. */
static bool find_backup(struct call *c, const json_t *body, const struct cache_row *cache, struct backup_row *out)
{
	const char *uid = NULL;
	struct err err = { 0 };

	if (!dcs_text(body, "backup_id", &uid))
		return dcs_answer_named(c, DCS_ID_PARAM, "backup_id");
	if (!uid || !*uid)
		return true;
	enum verdict v = engine_backup_get(c->view, cache->id, uid, c->arena, out, &err);
	if (v != V_OK)
		return dcs_answer_read(c, v, &err);
	return strcmp(out->status, "succeed") == 0 ||
	       dcs_answer_words(c, DCS_BACKUP_UNFIT, "Only a backup that has succeeded can be analysed.");
}

static bool write_args(struct call *c, const struct node *node, const struct backup_row *backup, const char **out)
{
	struct buf text;
	struct jw w;

	buf_init(&text, DETAILS_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "node_id", node->node_id);
	jw_kv_text(&w, "node_ip", node->host);
	jw_kv_text(&w, "node_type", node->is_master ? "master" : "slave");
	if (backup->uid) {
		jw_kv_text(&w, "backup_id", backup->uid);
		jw_kv_text(&w, "file", backup->path);
	}
	jw_end_object(&w);
	return dcs_keep(c, &text, out);
}

static void created(struct change *change)
{
	struct record_call *r = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_text(r->call, "task_id", r->create.scan_uid);
	else
		record_refuse(r, DCS_STATE, "An offline key analysis of the instance is running.");
}

void dcs_offline_create(struct call *c)
{
	struct record_call *r = record_begin(c);
	const struct node *node = NULL;
	const char *args;
	const json_t *body;
	struct state state;
	struct backup_row backup = { .uid = NULL };

	if (r && dcs_body(c, DCS_BODY_REQUIRED, &body) && find_node(c, body, &r->cache, &state, &node) &&
	    find_backup(c, body, &r->cache, &backup) && write_args(c, node, &backup, &args))
		record_create(r, SCAN_OFFLINE, args, created);
}

/* ---- list, show ---- */

static void write_list(struct jw *w, const void *subject)
{
	const struct record_list *x = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", x->cache.uid);
	jw_kv_int(w, "total", x->total);
	jw_key(w, "records");
	jw_array(w);
	for (size_t i = 0; i < x->n; i++) {
		jw_object(w);
		jw_kv_text(w, "id", x->rows[i].uid);
		jw_kv_text(w, "status", x->rows[i].status);
		record_write_times(w, &x->rows[i]);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_offline_list(struct call *c)
{
	struct record_list x;

	if (record_list(c, SCAN_OFFLINE, &x))
		(void)dcs_answer(c, write_list, &x);
}

struct shown {
	const struct cache_row *cache;
	const struct scan_row *row;
	const json_t *args, *result; /* result NULL: none yet */
};

static void write_findings(struct jw *w, const json_t *result)
{
	static const char *const members[] = { "total_bytes",          "total_num",  "largest_keys",
		                               "largest_key_prefixes", "type_bytes", "type_num" };

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const json_t *value = json_object_get(result, members[i]);
		if (!value)
			continue;
		format_kv_value32(w, members[i], value);
	}
}

static void write_record(struct jw *w, const void *subject)
{
	const struct shown *x = subject;
	const char *backup = json_string_value(json_object_get(x->args, "backup_id"));

	jw_object(w);
	jw_kv_text(w, "id", x->row->uid);
	jw_kv_text(w, "instance_id", x->cache->uid);
	jw_kv_text(w, "status", x->row->status);
	jw_kv_text(w, "node_id", json_string_value(json_object_get(x->args, "node_id")));
	jw_kv_text(w, "node_ip", json_string_value(json_object_get(x->args, "node_ip")));
	jw_kv_text(w, "node_type", json_string_value(json_object_get(x->args, "node_type")));
	jw_kv_text(w, "group_name", shard_name);
	jw_kv_text(w, "analysis_type", backup ? "old_backup" : "new_backup");
	jw_kv_text(w, "backup_id", backup);
	record_write_times(w, x->row);
	write_findings(w, x->result);
	jw_end_object(w);
}

void dcs_offline_show(struct call *c)
{
	struct cache_row cache;
	struct scan_row row;
	struct shown x = { .cache = &cache, .row = &row };
	struct err err = { 0 };

	if (!scope_instance(c, &cache))
		return;
	enum verdict v = record_find(c, &cache, SCAN_OFFLINE, path_arg(&c->args, "scan"), &row, &err);
	if (v == V_OK && (json_read(row.args, strlen(row.args), c->arena, &x.args, &err) ||
	                  record_result(&row, c->arena, &x.result, &err)))
		v = V_FAILED;
	if (v == V_OK)
		(void)dcs_answer(c, write_record, &x);
	else if (v == V_NO_RECORD)
		(void)dcs_answer_error(c, DCS_NO_OFFLINE);
	else
		(void)dcs_answer_read(c, v, &err);
}

/* ---- delete ---- */

static void deleted(struct change *change)
{
	struct record_call *r = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_text(r->call, "task_id", r->row.uid);
	else
		record_refuse_delete(r, change);
}

void dcs_offline_delete(struct call *c) { record_delete(c, SCAN_OFFLINE, /* about: */ NULL, deleted); }
