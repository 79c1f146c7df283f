/* Files of backups for whoever has a link. */
#include <string.h>
#include "api/dcs/body.h"
#include "api/dcs/format.h"
#include "api/dcs/links.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"

enum { LIFE_MIN_S = 300, LIFE_MAX_S = 86400 };

/* ---- ListBackupFileLinks ---- */

struct link {
	const char *folder, *name, *url;
};

static void write_links(struct jw *w, const void *subject)
{
	const struct link *l = subject;

	jw_object(w);
	jw_kv_text(w, "file_path", l->folder);
	jw_kv_text(w, "bucket_name", "stint"); /* there are no buckets; clients only show it */
	jw_key(w, "links");
	jw_array(w);
	jw_object(w);
	jw_kv_text(w, "file_name", l->name);
	jw_kv_text(w, "link", l->url);
	jw_end_object(w);
	jw_end_array(w);
	jw_end_object(w);
}

static bool read_life(struct call *c, int64_t *out)
{
	const json_t *body;

	if (!dcs_body(c, DCS_BODY_REQUIRED, &body))
		return false;
	if (!dcs_member(body, "expiration") || !dcs_int(body, "expiration", out) || *out < LIFE_MIN_S ||
	    *out > LIFE_MAX_S)
		return dcs_answer_named(c, DCS_PARAM, "expiration");
	return true;
}

static bool is_under_way(const struct backup_row *b)
{
	return strcmp(b->status, "waiting") == 0 || strcmp(b->status, "backuping") == 0;
}

static bool read_backup(struct call *c, const struct cache_row *cache, struct backup_row *out)
{
	const char *uid = path_arg(&c->args, "backup");
	struct err err = { 0 };

	enum verdict v = format_is_uuid(uid) ? engine_backup_get(c->view, cache->id, uid, c->arena, out, &err)
					     : V_NO_RECORD;
	if (v == V_NO_RECORD)
		return dcs_answer_named(c, DCS_ID_PARAM, "backup_id");
	if (v != V_OK)
		return dcs_answer_read(c, v, &err);
	if (is_under_way(out))
		return dcs_answer_error(c, DCS_BACKING_UP);
	return strcmp(out->status, "succeed") == 0 || dcs_answer_error(c, DCS_BACKUP_UNFIT);
}

/* redis_{ip}_{port}_{slots}_{time}.rdb: the one shard has every slot. */
static const char *name_of(struct call *c, const struct cache_row *cache, const struct backup_row *b)
{
	char stamp[15];

	format_stamp(b->created_at, stamp);
	return arena_printf(c->arena, "redis_%s_%lld_0-16383_%s.rdb", cache->ip, (long long)cache->port, stamp);
}

void dcs_backups_links(struct call *c)
{
	struct cache_row cache;
	struct backup_row backup;
	int64_t life_s = 0;

	if (!scope_instance(c, &cache) || !read_life(c, &life_s) || !read_backup(c, &cache, &backup))
		return;
	struct link l = { .name = name_of(c, &cache, &backup),
			  .folder = arena_printf(c->arena, "backups/%s/%s", cache.uid, backup.uid) };
	const char *path = l.name ? arena_printf(c->arena, "/v2/%s/instances/%s/backups/%s/files/%s", cache.project_id,
						 cache.uid, backup.uid, l.name)
				  : NULL;
	if (!path || !l.folder) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	l.url = link_make(c, path, life_s);
	if (l.url)
		(void)dcs_answer(c, write_links, &l);
}

/* ---- what a link leads to ---- */

void dcs_backups_download(struct call *c)
{
	struct cache_row cache;
	struct backup_row backup;
	struct err err = { 0 };

	if (!link_check(c))
		return;
	enum verdict v = engine_cache_get(c->view, path_arg(&c->args, "project"), path_arg(&c->args, "instance"),
					  c->arena, &cache, &err);
	if (v == V_OK)
		v = engine_backup_get(c->view, cache.id, path_arg(&c->args, "backup"), c->arena, &backup, &err);
	if (v == V_NO_INSTANCE || v == V_NO_RECORD)
		(void)link_is_dead(c);
	else if (v != V_OK)
		(void)dcs_answer_read(c, v, &err);
	else
		link_send(c, backup.path, "application/octet-stream", path_arg(&c->args, "file"));
}
