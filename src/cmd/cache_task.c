/* cache: background tasks, backups and restores of a Redis instance. */
#include <stdio.h>
#include <string.h>
#include "cmd/dcs.h"

#define LIST_OPTIONS(offset_, limit_)                                                                                  \
	OPTION_INT("offset", (offset_), "N", 0, INT32_MAX, "Skip so many (default 0)."),                               \
		OPTION_INT("limit", (limit_), "N", 1, 1000, "Show at most so many (default 100).")

enum { BODY_MAX = 16 << 10 };

static const char *page_query(struct remote *r, int64_t offset, int64_t limit)
{
	return arena_printf(client_arena(r->client), "offset=%lld&limit=%lld", (long long)offset, (long long)limit);
}

/* ---- tasks ---- */

static void print_tasks(struct remote *r, const json_t *tasks)
{
	static const char *const heads[] = { "TASK", "NAME", "STATUS", "STARTED (UTC)", "LAST CHANGE (UTC)", "BY" };
	struct arena *a = client_arena(r->client);
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *t = json_array_get(tasks, i);
		const char *cells[] = { json_text_of(t, "id"), json_text_of(t, "name"), json_text_of(t, "status"),
					dcs_time(a, t, "created_at"), dcs_time(a, t, "updated_at"),
					json_text_of(t, "user_name") };
		sheet_row(&s, cells);
	}
	sheet_print(&s, &r->out);
}

static int run_tasks(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	int64_t offset = 0, limit = 100;
	struct remote r = { .command = c };
	struct opt opts[] = { LIST_OPTIONS(&offset, &limit), DCS_CLIENT_OPTIONS(r.options) };
	struct dcs_cache cache;
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	const char *query = page_query(&r, offset, limit);
	bool is_answered = operands[0] ? dcs_find(&r, operands[0], &cache) &&
						 dcs_call_on(&r, "GET", cache.uid, "/tasks", query, NULL, &a)
				       : dcs_call(&r, "GET", "/tasks", NULL, query, NULL, &a);
	if (is_answered && !remote_print_json(&r, &a))
		print_tasks(&r, json_pick(a.json, "tasks"));
	return remote_close(&r);
}

static int run_forget(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = { DCS_CLIENT_OPTIONS(r.options) };
	struct dcs_cache cache;
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache)) {
		const char *segments[] = { cache.uid, operands[1] };
		if (dcs_call(&r, "DELETE", "/instances/{}/tasks/{}", segments, NULL, NULL, &a) &&
		    !remote_print_json(&r, &a))
			buf_addf(&r.out, "The record of task %s is gone; what it did stays.", operands[1]);
	}
	return remote_close(&r);
}

/* ---- backups ---- */

/* {name: value} as far as values are given. */
static const char *body_of(struct remote *r, const char *name, const char *value, const char *name2, const char *value2)
{
	struct buf text;
	struct jw w;

	buf_init(&text, BODY_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	if (value)
		jw_kv_text(&w, name, value);
	if (value2)
		jw_kv_text(&w, name2, value2);
	jw_end_object(&w);
	const char *body = text.is_over ? NULL : arena_dup(client_arena(r->client), buf_text(&text));
	buf_fini(&text);
	if (!body)
		r->rc = err_set(&r->err, RC_LIMIT, "the parameters are too large");
	return body;
}

static int run_backup(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX], *remark = NULL;
	bool waits = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_TEXT("remark", &remark, "TEXT", "A note, at most 128 characters."),
		DCS_WAIT_OPTION(&waits),
		DCS_CLIENT_OPTIONS(r.options),
	};
	struct dcs_cache cache;
	struct answer a;
	char uid[48];
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache) &&
	    dcs_call_on(&r, "POST", cache.uid, "/backups", NULL, body_of(&r, "remark", remark, NULL, NULL), &a)) {
		(void)snprintf(uid, sizeof uid, "%s", json_text_of(a.json, "backup_id"));
		if (r.options.as_json)
			remote_print_json(&r, &a);
		else
			buf_addf(&r.out, "Backup %s of %s %s.", uid, cache.name, waits ? "is made" : "is being made");
		char task[40];
		if (waits && dcs_newest_task(&r, cache.uid, task))
			dcs_wait(&r, cache.uid, task);
	}
	return remote_close(&r);
}

static void print_backups(struct remote *r, const json_t *list)
{
	static const char *const heads[] = { "BACKUP", "STATUS", "TYPE", "BYTES", "CREATED (UTC)", "REMARK" };
	struct arena *a = client_arena(r->client);
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *b = json_array_get(list, i);
		const char *cells[] = { json_text_of(b, "backup_id"), json_text_of(b, "status"),
					json_text_of(b, "backup_type"),
					arena_printf(a, "%lld", (long long)json_int_of(b, "size")),
					dcs_time(a, b, "created_at"), json_text_of(b, "remark") };
		sheet_row(&s, cells);
	}
	sheet_print(&s, &r->out);
}

static int run_backups(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	int64_t offset = 0, limit = 100;
	struct remote r = { .command = c };
	struct opt opts[] = { LIST_OPTIONS(&offset, &limit), DCS_CLIENT_OPTIONS(r.options) };
	struct dcs_cache cache;
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache) &&
	    dcs_call_on(&r, "GET", cache.uid, "/backups", page_query(&r, offset, limit), NULL, &a) &&
	    !remote_print_json(&r, &a))
		print_backups(&r, json_pick(a.json, "backup_record_response"));
	return remote_close(&r);
}

/* The newest that is whole. */
static bool newest_backup(struct remote *r, const struct dcs_cache *cache, const char **out)
{
	struct answer a;

	if (!dcs_call_on(r, "GET", cache->uid, "/backups", "limit=100", NULL, &a))
		return false;
	const json_t *list = json_pick(a.json, "backup_record_response");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *b = json_array_get(list, i);
		if (strcmp(json_text_of(b, "status"), "succeed") == 0) {
			*out = json_text_of(b, "backup_id");
			return true;
		}
	}
	r->rc = err_set(&r->err, RC_NOT_FOUND, "cache %.70s has no backup", cache->name);
	return false;
}

static int run_restore(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX], *remark = NULL;
	bool waits = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_TEXT("remark", &remark, "TEXT", "A note, at most 128 characters."),
		DCS_WAIT_OPTION(&waits),
		DCS_CLIENT_OPTIONS(r.options),
	};
	struct dcs_cache cache;
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	const char *backup = operands[1];
	if (dcs_find(&r, operands[0], &cache) && (backup || newest_backup(&r, &cache, &backup))) {
		const char *body = body_of(&r, "backup_id", backup, "remark", remark);
		(void)dcs_call_on(&r, "POST", cache.uid, "/restores", NULL, body, &a);
		dcs_finish(&r, &cache, waits, "has the data of the backup again");
	}
	return remote_close(&r);
}

const struct command command_cache_tasks = {
	.name = "cache tasks",
	.operands = "[CACHE]",
	.summary = "List background tasks, newest first, of one instance or of all.",
	.example = "stint cache tasks sessions",
	.run = run_tasks,
};
const struct command command_cache_forget = {
	.name = "cache forget",
	.operands = "CACHE TASK",
	.summary = "Delete the record of an ended background task.",
	.example = "stint cache forget sessions 8abf6e1e72c12e7c0172c15b508500aa",
	.run = run_forget,
};
const struct command command_cache_backup = {
	.name = "cache backup",
	.operands = "CACHE",
	.summary = "Back up an ha instance.",
	.example = "stint cache backup sessions --remark \"before the release\" --wait",
	.run = run_backup,
};
const struct command command_cache_backups = {
	.name = "cache backups",
	.operands = "CACHE",
	.summary = "List the backups of an instance, newest first.",
	.example = "stint cache backups sessions",
	.run = run_backups,
};
const struct command command_cache_restore = {
	.name = "cache restore",
	.operands = "CACHE [BACKUP]",
	.summary = "Replace all data by a backup's; the newest by default.",
	.example = "stint cache restore sessions --wait",
	.run = run_restore,
};
