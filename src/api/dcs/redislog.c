/*
 * Run logs: what redis-server itself wrote, a file for each node and day. A collection is a task that
 * leaves files (cache/log.h); the files are the records, so a list is a look into one small folder, and an id is
 * derived from its file's name.
 */
#include <stdlib.h>
#include <string.h>
#include "api/dcs/links.h"
#include "api/dcs/records.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"
#include "base/clock.h"
#include "cache/log.h"
#include "os/file.h"

enum { LOGS_MAX = 1000, LINK_LIFE_S = 86400, DATE_LEN = 10 };

struct log_file {
	const char *name, *host, *date;
	char id[UUID_SIZE];
};

struct logs {
	struct call *call;
	struct cache_row row;
	struct state state;
	const char *dir, *oldest;   /* folder; the first day that still counts */
	struct log_file *list;      /* newest first */
	size_t n;
	struct page page;
};

/* log_type: there is one. */
static bool check_type(struct call *c)
{
	int word = 0;
	return !query_choice(&c->query, "log_type", "run", &word, NULL) || dcs_answer_named(c, DCS_QUERY, "log_type");
}

/* ---- CreateRedislog ---- */

static void created(struct change *change)
{
	struct record_call *r = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_none(r->call);
	else
		record_refuse(r, DCS_STATE, "The run logs are being collected already.");
}

static bool read_days(struct call *c, int64_t *out)
{
	static const int64_t days[] = { 0, 1, 3, 7 };
	int word = 0;

	if (query_choice(&c->query, "query_time", "0|1|3|7", &word, NULL))
		return dcs_answer_named(c, DCS_QUERY, "query_time");
	*out = days[word];
	return true;
}

/* -1: every node. */
static bool read_node(struct call *c, const struct cache_row *row, int64_t *out)
{
	const char *id = query_text(&c->query, "replication_id");
	struct state state;

	*out = -1;
	if (!id || !*id)
		return true;
	if (!scope_state(c, row, &state))
		return false;
	for (size_t i = 0; i < state.n_nodes; i++) {
		if (strcmp(state.nodes[i].replication_id, id) == 0) {
			*out = state.nodes[i].number;
			return true;
		}
	}
	return dcs_answer_named(c, DCS_QUERY, "replication_id");
}

void dcs_redislog_create(struct call *c)
{
	struct record_call *r = record_begin(c);
	int64_t days = 0, node = -1;

	if (!r || !check_type(c) || !read_days(c, &days) || !read_node(c, &r->cache, &node))
		return;
	const char *args = arena_printf(c->arena, "{\"days\":%lld,\"node\":%lld}", (long long)days, (long long)node);
	if (args)
		record_create(r, SCAN_RUN_LOG, args, created);
	else
		(void)dcs_answer_no_memory(c);
}

/* ---- what there is ---- */

/* Only names that a collection gives: "redis_HOST_YYYY-MM-DD.log". */
static bool read_name(struct logs *x, const char *name, struct log_file *out)
{
	const size_t head = strlen(CACHE_LOG_PREFIX), tail = strlen(CACHE_LOG_SUFFIX), len = strlen(name);
	struct arena *a = x->call->arena;

	if (len < head + 1 + DATE_LEN + tail || strncmp(name, CACHE_LOG_PREFIX, head) != 0 ||
	    strcmp(name + len - tail, CACHE_LOG_SUFFIX) != 0)
		return false;
	size_t date_at = len - tail - DATE_LEN;
	*out = (struct log_file){ .name = arena_dup(a, name),
				  .host = arena_dup_n(a, name + head, date_at - 1 - head),
				  .date = arena_dup_n(a, name + date_at, DATE_LEN) };
	const char *whole = arena_printf(a, "%s/%s", x->row.uid, name);
	if (!whole || !out->name || !out->host || !out->date)
		return false;
	format_derived_uuid(whole, out->id);
	return strcmp(out->date, x->oldest) >= 0;
}

static enum rc add_file(void *ctx, const char *name, struct err *err)
{
	struct logs *x = ctx;

	(void)err;
	if (x->n < LOGS_MAX && read_name(x, name, &x->list[x->n]))
		x->n++;
	return RC_OK;
}

static int newest_first(const void *a, const void *b)
{
	const struct log_file *x = a, *y = b;
	int order = strcmp(y->date, x->date);
	return order ? order : strcmp(x->host, y->host);
}

/* Blocks for one look into a folder of at most some dozen files. */
static bool read_files(struct logs *x)
{
	struct call *c = x->call;
	char oldest[CLOCK_TEXT_SIZE];
	struct err err = { 0 };

	if (!scope_state(c, &x->row, &x->state))
		return false;
	/* A day more than is kept: the days are of the processes' clock, this one is UTC. */
	clock_iso(oldest, clock_wall_ms() / 1000 - (CACHE_LOG_DAYS_MAX + 1) * INT64_C(86400));
	oldest[DATE_LEN] = '\0';
	x->oldest = arena_dup(c->arena, oldest);
	x->dir = arena_printf(c->arena, "%s/" CACHE_LOG_DIR, x->state.dir);
	x->list = arena_array(c->arena, LOGS_MAX, sizeof *x->list);
	if (!x->oldest || !x->dir || !x->list)
		return dcs_answer_no_memory(c);
	if (*x->state.dir && dir_each(x->dir, add_file, x, &err) != RC_OK)
		return dcs_answer_internal(c, "api.failed", &err);
	qsort(x->list, x->n, sizeof *x->list, newest_first);
	return true;
}

/* NULL: answered. */
static struct logs *begin(struct call *c)
{
	struct logs *x = arena_new_of(c->arena, struct logs);

	if (!x) {
		(void)dcs_answer_no_memory(c);
		return NULL;
	}
	x->call = c;
	return x;
}

static const struct log_file *find_file(const struct logs *x, const char *id)
{
	for (size_t i = 0; i < x->n; i++) {
		if (strcmp(x->list[i].id, id) == 0)
			return &x->list[i];
	}
	return NULL;
}

/* ---- ListRedislog ---- */

static void write_files(struct jw *w, const void *subject)
{
	const struct logs *x = subject;
	size_t from = (uint64_t)x->page.offset < x->n ? (size_t)x->page.offset : x->n;

	jw_object(w);
	jw_kv_int(w, "total_num", (int64_t)x->n);
	jw_key(w, "file_list");
	jw_array(w);
	for (size_t i = from; i < x->n && i - from < (size_t)x->page.limit; i++) {
		const struct log_file *f = &x->list[i];
		jw_object(w);
		jw_kv_text(w, "id", f->id);
		jw_kv_text(w, "file_name", f->name);
		jw_kv_text(w, "group_name", shard_name);
		jw_kv_text(w, "replication_ip", f->host);
		jw_kv_text(w, "status", "succeed");
		jw_kv_text(w, "time", f->date);
		jw_kv_text(w, "backup_id", NULL);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_redislog_list(struct call *c)
{
	struct logs *x = begin(c);

	if (x && scope_instance(c, &x->row) && check_type(c) && scope_page(c, &x->page) && read_files(x))
		(void)dcs_answer(c, write_files, x);
}

/* ---- CreateRedislogDownloadLink ---- */

struct link {
	const char *id, *url;
};

static void write_link(struct jw *w, const void *subject)
{
	const struct link *l = subject;

	jw_object(w);
	jw_kv_text(w, "id", l->id);
	jw_kv_text(w, "backup_id", NULL);
	jw_kv_text(w, "link", l->url);
	jw_end_object(w);
}

void dcs_redislog_link(struct call *c)
{
	struct logs *x = begin(c);

	if (!x || !scope_instance(c, &x->row) || !read_files(x))
		return;
	const struct log_file *f = find_file(x, path_arg(&c->args, "log"));
	if (!f) {
		(void)dcs_answer_named(c, DCS_ID_PARAM, "id");
		return;
	}
	const char *path = arena_printf(c->arena, "/v2/%s/instances/%s/redislog/%s/files/%s", x->row.project_id,
					x->row.uid, f->id, f->name);
	if (!path) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	struct link l = { .id = f->id, .url = link_make(c, path, LINK_LIFE_S) };
	if (l.url)
		(void)dcs_answer(c, write_link, &l);
}

void dcs_redislog_download(struct call *c)
{
	struct logs *x = begin(c);
	struct err err = { 0 };

	if (!x || !link_check(c))
		return;
	enum verdict v = engine_cache_get(c->view, path_arg(&c->args, "project"), path_arg(&c->args, "instance"),
					  c->arena, &x->row, &err);
	if (v != V_OK) {
		v == V_NO_INSTANCE ? (void)link_is_dead(c) : (void)dcs_answer_read(c, v, &err);
		return;
	}
	if (!read_files(x))
		return;
	const struct log_file *f = find_file(x, path_arg(&c->args, "log"));
	const char *path = f ? arena_printf(c->arena, "%s/%s", x->dir, f->name) : NULL;
	if (path)
		link_send(c, path, "text/plain; charset=utf-8", f->name);
	else
		f ? (void)dcs_answer_no_memory(c) : (void)link_is_dead(c);
}
