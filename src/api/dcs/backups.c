/* Backups and restores. */
#include <string.h>
#include "api/dcs/fields.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "base/clock.h"

/* ---- CopyInstance ---- */

struct copy {
	struct cache_row row;
	struct backup_row backup;
	char uid[UUID_SIZE], name[32];
};

static void copy_taken(struct change *change)
{
	struct call *c = change->ctx;

	if (operate_is_taken(c))
		(void)dcs_answer_text(c, "backup_id", c->change.cache_operate.backup->uid);
}

/* Either format may be asked for; a backup is an RDB file always, and says so. */
static bool check_format(struct call *c, const json_t *body)
{
	const char *format = "rdb";

	return (dcs_text(body, "backup_format", &format) &&
		(strcmp(format, "rdb") == 0 || strcmp(format, "aof") == 0)) ||
	       dcs_answer_named(c, DCS_ID_PARAM, "backup_format");
}

static void name_with_time(const char *prefix, char *out, size_t size)
{
	char stamp[15];

	format_stamp(clock_wall_ms(), stamp);
	(void)snprintf(out, size, "%s_%s", prefix, stamp);
}

void dcs_backups_create(struct call *c)
{
	struct copy *copy = arena_new_of(c->arena, struct copy);
	const json_t *body;
	const char *remark = "";

	if (!copy) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, &copy->row) || !dcs_body(c, DCS_BODY_OPTIONAL, &body))
		return;
	if (strcmp(copy->row.cache_mode, "ha") != 0) {
		(void)dcs_answer_error(c, DCS_HA_ONLY);
		return;
	}
	if (!fields_remark(c, body, &remark) || !check_format(c, body))
		return;
	format_new_uuid(copy->uid);
	name_with_time("backup", copy->name, sizeof copy->name);
	copy->backup = (struct backup_row){ .uid = copy->uid, .name = copy->name, .type = "manual", .remark = remark,
					    .format = "rdb" };
	struct cache_operate *o = operate_prepare(c, &copy->row, CACHE_OP_BACKUP, copy_taken);
	o->backup = &copy->backup;
	o->args = arena_printf(c->arena, "{\"uid\":\"%s\"}", copy->uid);
	if (o->args)
		operate_submit(c);
	else
		(void)dcs_answer_no_memory(c);
}

/* ---- lists of records ---- */

struct list {
	struct call *call;
	const struct cache_row *cache;
	struct backup_row *backups;      /* one of the two */
	struct restore_row *restores;
	const char **progress;           /* of each, "100.00" */
	struct backup_row *sources;      /* of restores; uid NULL: gone */
	size_t n;
	int64_t total;
};

static bool is_done(const char *status) { return strcmp(status, "succeed") == 0; }

/* Of the record's task: what it has reached, also when it failed. */
static enum verdict read_progress(struct call *c, const struct cache_row *cache, const char *status, int64_t task_id,
				  const char **out, struct err *err)
{
	struct task_row task = { .progress = 0 };
	enum verdict v = V_OK;

	if (!is_done(status))
		v = engine_cache_task_get(c->view, cache->project_id, cache->id, task_id, c->arena, &task, err);
	if (v == V_NO_TASK) /* its record was deleted */
		v = V_OK;
	*out = is_done(status) ? "100.00" : arena_printf(c->arena, "%.2f", (double)task.progress);
	return v;
}

static void write_backup(struct jw *w, const struct list *list, size_t i)
{
	const struct backup_row *b = &list->backups[i];

	jw_object(w);
	jw_kv_text(w, "backup_id", b->uid);
	jw_kv_text(w, "backup_name", b->name);
	jw_kv_text(w, "instance_id", list->cache->uid);
	jw_kv_text(w, "backup_type", b->type);
	jw_kv_text(w, "backup_format", b->format);
	jw_kv_text(w, "status", b->status);
	jw_kv_text(w, "progress", list->progress[i]);
	jw_kv_text(w, "remark", b->remark);
	jw_kv_int(w, "size", b->size);
	jw_kv_text(w, "period", NULL);
	jw_kv_text(w, "is_support_restore", is_done(b->status) ? "TRUE" : "FALSE"); /* a text */
	jw_kv_text(w, "error_code", *b->error_code ? b->error_code : NULL);
	format_kv_time(w, "created_at", b->created_at);
	format_kv_time(w, "updated_at", b->updated_at);
	format_kv_time(w, "execution_at", b->started_at);
	jw_end_object(w);
}

static void write_restore(struct jw *w, const struct list *list, size_t i)
{
	const struct restore_row *r = &list->restores[i];
	const struct backup_row *source = &list->sources[i];

	jw_object(w);
	jw_kv_text(w, "restore_id", r->uid);
	jw_kv_text(w, "restore_name", r->name);
	jw_kv_text(w, "restore_remark", r->remark);
	jw_kv_text(w, "backup_id", r->backup_uid);
	jw_kv_text(w, "backup_name", source->name);
	jw_kv_text(w, "backup_remark", source->remark);
	jw_kv_text(w, "status", r->status);
	jw_kv_text(w, "progress", list->progress[i]);
	jw_kv_text(w, "error_code", *r->error_code ? r->error_code : NULL);
	format_kv_time(w, "created_at", r->created_at);
	format_kv_time(w, "updated_at", r->updated_at);
	jw_end_object(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *list = subject;

	jw_object(w);
	jw_kv_int(w, "total_num", list->total);
	jw_key(w, list->backups ? "backup_record_response" : "restore_record_response");
	jw_array(w);
	for (size_t i = 0; i < list->n; i++)
		list->backups ? write_backup(w, list, i) : write_restore(w, list, i);
	jw_end_array(w);
	jw_end_object(w);
}

static bool read_filter(struct call *c, const struct cache_row *cache, struct record_filter *f)
{
	struct page page;
	struct span span;

	if (!scope_page(c, &page) || !scope_span(c, &span))
		return false;
	*f = (struct record_filter){ .cache_id = cache->id, .created_from = span.from_ms,
				     .created_until = span.until_ms, .offset = page.offset, .limit = page.limit };
	return true;
}

static enum verdict no_memory(struct err *err)
{
	(void)err_set(err, RC_LIMIT, "no memory for the records");
	return V_FAILED;
}

static enum verdict complete_backups(struct call *c, struct list *list, struct err *err)
{
	enum verdict v = V_OK;

	list->progress = arena_array(c->arena, list->n + 1, sizeof *list->progress);
	if (!list->progress)
		return no_memory(err);
	for (size_t i = 0; i < list->n && v == V_OK; i++)
		v = read_progress(c, list->cache, list->backups[i].status, list->backups[i].task_id,
				  &list->progress[i], err);
	return v;
}

static enum verdict complete_restores(struct call *c, struct list *list, struct err *err)
{
	enum verdict v = V_OK;

	list->progress = arena_array(c->arena, list->n + 1, sizeof *list->progress);
	list->sources = arena_array(c->arena, list->n + 1, sizeof *list->sources);
	if (!list->progress || !list->sources)
		return no_memory(err);
	for (size_t i = 0; i < list->n && v == V_OK; i++) {
		const struct restore_row *r = &list->restores[i];
		v = engine_backup_get(c->view, list->cache->id, r->backup_uid, c->arena, &list->sources[i], err);
		if (v == V_NO_RECORD)
			v = V_OK;
		if (v == V_OK)
			v = read_progress(c, list->cache, r->status, r->task_id, &list->progress[i], err);
	}
	return v;
}

void dcs_backups_list(struct call *c)
{
	struct cache_row row;
	struct record_filter filter;
	struct list list = { .call = c, .cache = &row };
	struct err err = { 0 };

	if (!scope_instance(c, &row) || !read_filter(c, &row, &filter))
		return;
	enum verdict v = engine_backup_list(c->view, &filter, c->arena, &list.backups, &list.n, &list.total, &err);
	if (v == V_OK)
		v = complete_backups(c, &list, &err);
	(void)dcs_answer_found(c, v, &err, write_list, &list);
}

void dcs_restores_list(struct call *c)
{
	struct cache_row row;
	struct record_filter filter;
	struct list list = { .call = c, .cache = &row };
	struct err err = { 0 };

	if (!scope_instance(c, &row) || !read_filter(c, &row, &filter))
		return;
	enum verdict v = engine_restore_list(c->view, &filter, c->arena, &list.restores, &list.n, &list.total, &err);
	if (v == V_OK)
		v = complete_restores(c, &list, &err);
	(void)dcs_answer_found(c, v, &err, write_list, &list);
}

/* ---- deleting a backup ---- */

static void backup_deleted(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_none(c);
	else if (change->verdict == V_BAD_STATE) /* it waits, or is being made */
		(void)dcs_answer_error(c, DCS_BACKING_UP);
	else if (change->verdict == V_INSTANCE_BUSY && c->change.backup_delete.is_analysed)
		(void)dcs_answer_words(c, DCS_RESTORING, "An offline key analysis of the backup is unfinished.");
	else if (change->verdict == V_INSTANCE_BUSY)
		(void)dcs_answer_error(c, DCS_RESTORING);
	else
		(void)dcs_answer_verdict(c, change->verdict, "", &change->err);
}

void dcs_backups_delete(struct call *c)
{
	struct cache_row *row = arena_new_of(c->arena, struct cache_row);
	const char *uid = path_arg(&c->args, "backup");

	if (!row) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, row))
		return;
	if (!format_is_uuid(uid)) {
		(void)dcs_answer_named(c, DCS_ID_PARAM, "backup_id");
		return;
	}
	c->change.backup_delete = (struct backup_delete){
		.base = { .done = backup_deleted, .ctx = c },
		.project_id = row->project_id,
		.uid = row->uid,
		.backup_uid = uid,
	};
	call_submit(c);
	engine_backup_delete(c->engine, &c->change.backup_delete);
}

/* ---- RestoreInstance ---- */

struct restore {
	struct cache_row row;
	struct backup_row backup;
	struct restore_row restore;
	char uid[UUID_SIZE], name[32];
};

static void restore_taken(struct change *change)
{
	struct call *c = change->ctx;

	if (operate_is_taken(c))
		(void)dcs_answer_text(c, "restore_id", c->change.cache_operate.restore->uid);
}

static bool check_backup(struct call *c, const json_t *body, struct restore *r)
{
	const char *uid = NULL;
	struct err err = { 0 };

	if (!dcs_text(body, "backup_id", &uid) || !uid || !format_is_uuid(uid))
		return dcs_answer_named(c, DCS_ID_PARAM, "backup_id");
	enum verdict v = engine_backup_get(c->view, r->row.id, uid, c->arena, &r->backup, &err);
	if (v != V_OK)
		return dcs_answer_read(c, v, &err);
	return is_done(r->backup.status) || dcs_answer_error(c, DCS_BACKUP_UNFIT);
}

static bool write_args(struct call *c, const struct restore *r, const char **out)
{
	struct buf text;
	struct jw w;

	buf_init(&text, DETAILS_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "uid", r->uid);
	jw_kv_text(&w, "backup_uid", r->backup.uid);
	jw_kv_text(&w, "file", r->backup.path);
	jw_kv_text(&w, "sha256", r->backup.sha256);
	jw_end_object(&w);
	return dcs_keep(c, &text, out);
}

void dcs_restores_create(struct call *c)
{
	struct restore *r = arena_new_of(c->arena, struct restore);
	const json_t *body;
	const char *remark = "";

	if (!r) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, &r->row) || !dcs_body(c, DCS_BODY_REQUIRED, &body) || !check_backup(c, body, r) ||
	    !fields_remark(c, body, &remark))
		return;
	format_new_uuid(r->uid);
	name_with_time("restore", r->name, sizeof r->name);
	r->restore =
	        (struct restore_row){ .uid = r->uid, .backup_uid = r->backup.uid, .name = r->name, .remark = remark };
	struct cache_operate *o = operate_prepare(c, &r->row, CACHE_OP_RESTORE, restore_taken);
	o->restore = &r->restore;
	if (write_args(c, r, &o->args))
		operate_submit(c);
}
