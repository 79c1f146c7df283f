/*
 * job_scan: an analysis of a Redis instance as a task. What was found goes back in the result as {"scan":{"num":n,
 * ...}}, in the members the DCS contract names, so that the dialect only has to add ids and times.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/must.h"
#include "cache/analyse.h"
#include "cache/log.h"
#include "cmd/job_cache.h"
#include "os/file.h"
#include "rdb/report.h"

enum {
	SCAN_BATCH = 100,
	SCAN_PAUSE_MS = 1,
	TOP_KEYS = 20,          /* of each type, as the contract keeps them */
	TOP_HOT = 100,
	TOP_OFFLINE = 100,
	NAME_MAX_SIZE = 200,    /* of a key's name in a result: the protocol bounds the whole */
	PREFIX_MAX_SIZE = 130,  /* likewise, where there are TOP_OFFLINE of both */
	REPORT_MAX = 8 << 20,
	EXPIRE_MAX_S = 6 * 3600, /* a scan for expired keys; the engine ends a task later than that */
};

static const struct cache_scan gentle = { .batch = SCAN_BATCH, .pause_ms = SCAN_PAUSE_MS, .top = TOP_KEYS };

/* Bytes of a text in JSON, without its quotes. */
static size_t size_in_json(const char *text)
{
	struct buf out;
	struct jw w;

	buf_init(&out, 6 * NAME_MAX_SIZE + 2);
	jw_init(&w, &out, CASING_CAMEL);
	jw_text(&w, text);
	size_t size = out.len - 2;
	buf_fini(&out);
	return size;
}

/* A name may hold any bytes; what is no text shows as U+FFFD, and a control character takes six. Cut between two
 * characters, so that it takes at most so many bytes in the result, which is bounded as a whole. */
static void write_name(struct jw *w, const char *key, const char *name, size_t most)
{
	char cut[NAME_MAX_SIZE + 1];
	size_t len = strnlen(name, most), size;

	must(most <= NAME_MAX_SIZE);
	do {
		while (name[len] && len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
			len--;
		memcpy(cut, name, len);
		cut[len] = '\0';
		size = size_in_json(cut);
		len -= size > most ? (size - most + 5) / 6 : 0;
	} while (size > most);
	jw_kv_text(w, key, cut);
}

/* The first bytes of a key's name as a C string: one that is 0 becomes another that is no text either. */
static void name_of(const struct cache_key *k, char out[NAME_MAX_SIZE + 2])
{
	size_t len = k->name_len <= NAME_MAX_SIZE ? k->name_len : NAME_MAX_SIZE + 1; /* one more: it tells of a cut */

	for (size_t i = 0; i < len; i++)
		out[i] = (char)(k->name[i] ? k->name[i] : 0xff);
	out[len] = '\0';
}

static void write_keys(struct jw *w, const struct cache_keys *found)
{
	jw_kv_int(w, "num", (int64_t)found->n_keys);
	jw_kv_int(w, "scanned", found->scanned);
	jw_key(w, "keys");
	jw_array(w);
	for (size_t i = 0; i < found->n_keys; i++) {
		const struct cache_key *k = &found->keys[i];
		char name[NAME_MAX_SIZE + 2];
		name_of(k, name);
		jw_object(w);
		write_name(w, "name", name, NAME_MAX_SIZE);
		jw_kv_text(w, "type", cache_type_word(k->type));
		jw_kv_int(w, "db", k->db);
		jw_kv_int(w, "size", k->size);
		jw_kv_text(w, "unit", k->type == CACHE_STRING ? "byte" : "count");
		if (k->freq >= 0)
			jw_kv_int(w, "freq", k->freq);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static enum rc big_keys(struct operation *o, struct arena *a, struct err *err)
{
	struct cache_keys found;
	enum rc rc = cache_big_keys(&o->cache, &gentle, a, &found, &o->run, err);
	if (rc == RC_OK)
		write_keys(o->result, &found);
	return rc;
}

static enum rc hot_keys(struct operation *o, struct arena *a, struct err *err)
{
	struct cache_keys found;
	struct cache_scan how = gentle;
	how.top = TOP_HOT;
	enum rc rc = cache_hot_keys(&o->cache, &how, a, &found, &o->run, err);
	if (rc == RC_OK)
		write_keys(o->result, &found);
	return rc;
}

/* A member of the arguments, or else what manual scans have. */
static int64_t argument(const struct operation *o, const char *name, int64_t otherwise)
{
	const json_t *value = json_object_get(o->args, name);
	return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}

/* A scan that ran out of the time its schedule gives would do so again: it fails for good, unlike one
 * that was stopped. */
static enum rc expire_keys(struct operation *o, struct arena *a, struct err *err)
{
	int64_t scanned = 0, expired = 0;
	int64_t timeout_s = argument(o, "timeout_s", EXPIRE_MAX_S);
	struct cache_scan how = gentle;
	struct cache_run run = o->run;

	(void)a;
	timeout_s = timeout_s < EXPIRE_MAX_S ? timeout_s : EXPIRE_MAX_S;
	how.batch = (int)argument(o, "batch", SCAN_BATCH);
	run.timeout_ms = timeout_s * 1000;
	int64_t end_mono = clock_mono_ms() + run.timeout_ms;
	enum rc rc = cache_expire_keys(&o->cache, &how, &scanned, &expired, &run, err);
	if (rc == RC_TIMEOUT && clock_mono_ms() >= end_mono && !job_should_stop(NULL))
		return err_set(err, RC_LIMIT, "the scan was not finished within its timeout of %lld s",
			       (long long)timeout_s);
	if (rc == RC_OK) {
		jw_kv_int(o->result, "num", expired);
		jw_kv_int(o->result, "scanned", scanned);
	}
	return rc;
}

/* ---- offline: a backup's file ---- */

struct reading {
	struct rdb_report *report;
	struct operation *op;
};

static enum rc on_key(void *ctx, const struct rdb_key *k, struct err *err)
{
	struct reading *r = ctx;
	return rdb_report_key(r->report, k, err);
}

static enum rc on_progress(void *ctx, uint64_t done, uint64_t size, struct err *err)
{
	struct reading *r = ctx;
	if (job_should_stop(NULL))
		return err_set(err, RC_TIMEOUT, "the analysis was stopped");
	r->op->run.on_step(r->op->run.ctx, "read the backup", size ? (int)(done * 99 / size) : 0);
	return RC_OK;
}

static int64_t whole(const json_t *object, const char *name)
{
	return (int64_t)json_integer_value(json_object_get(object, name));
}

/* One of the report's rankings of every type, merged: the largest first. */
struct ranked {
	const char *type;
	const json_t *key;
};

static size_t gather(const json_t *rankings, struct ranked *out, size_t max)
{
	json_t *types = (json_t *)(uintptr_t)rankings; /* the iterator only reads */
	size_t n = 0, i;
	const json_t *key;

	for (void *it = json_object_iter(types); it; it = json_object_iter_next(types, it)) {
		json_array_foreach(json_object_iter_value(it), i, key) {
			size_t at = n < max ? n++ : max;
			while (at > 0 && whole(out[at - 1].key, "memoryBytes") < whole(key, "memoryBytes")) {
				if (at < max)
					out[at] = out[at - 1];
				at--;
			}
			if (at < max)
				out[at] = (struct ranked){ json_object_iter_key(it), key };
		}
	}
	return n;
}

static void write_largest(struct jw *w, const json_t *report)
{
	struct ranked top[TOP_OFFLINE];
	size_t n = gather(json_object_get(report, "topByMemory"), top, TOP_OFFLINE);

	jw_key(w, "largest_keys");
	jw_array(w);
	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(json_object_get(top[i].key, "name"));
		jw_object(w);
		write_name(w, "key", name ? name : "", NAME_MAX_SIZE);
		jw_kv_text(w, "type", top[i].type);
		jw_kv_int(w, "bytes", whole(top[i].key, "memoryBytes"));
		jw_kv_int(w, "num_of_elem", whole(top[i].key, "elements"));
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_prefixes(struct jw *w, const json_t *report)
{
	size_t i;
	const json_t *p;

	jw_key(w, "largest_key_prefixes");
	jw_array(w);
	json_array_foreach(json_object_get(report, "prefixes"), i, p) {
		const char *name = json_string_value(json_object_get(p, "prefix"));
		jw_object(w);
		write_name(w, "key_prefix", name ? name : "", PREFIX_MAX_SIZE);
		jw_kv_int(w, "bytes", whole(p, "memoryBytesAtLeast"));
		jw_kv_int(w, "num", whole(p, "keysAtLeast"));
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_types(struct jw *w, const json_t *report, const char *list, const char *member, const char *source)
{
	size_t i;
	const json_t *t;

	jw_key(w, list);
	jw_array(w);
	json_array_foreach(json_object_get(report, "types"), i, t) {
		jw_object(w);
		jw_kv_text(w, "type", json_string_value(json_object_get(t, "type")));
		jw_kv_int(w, member, whole(t, source));
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_offline(struct jw *w, const json_t *report)
{
	const json_t *total = json_object_get(report, "total");

	jw_kv_int(w, "num", whole(total, "keys"));
	jw_kv_int(w, "total_num", whole(total, "keys"));
	jw_kv_int(w, "total_bytes", whole(total, "memoryBytes"));
	write_largest(w, report);
	write_prefixes(w, report);
	write_types(w, report, "type_bytes", "bytes", "memoryBytes");
	write_types(w, report, "type_num", "num", "keys");
}

static enum rc read_rdb(struct operation *o, const char *file, struct arena *a, struct err *err)
{
	struct rdb_info info;
	struct buf text;
	const json_t *report = NULL;
	struct reading r = { .op = o };

	r.report = rdb_report_new(&(struct rdb_report_options){
		.now_ms = clock_wall_ms(), .top_n = TOP_OFFLINE, .depth = 1, .separator = ':' });
	struct rdb_visitor v = { &r, on_key, on_progress };
	buf_init(&text, REPORT_MAX);
	enum rc rc = rdb_read(file, &v, &info, err);
	if (rc == RC_OK)
		rdb_report_write(r.report, &info, &text);
	if (rc == RC_OK && text.is_over)
		rc = err_set(err, RC_LIMIT, "the report is longer than %d bytes", REPORT_MAX);
	if (rc == RC_OK)
		rc = json_read(buf_text(&text), text.len, a, &report, err);
	if (rc == RC_OK)
		write_offline(o->result, report);
	buf_fini(&text);
	rdb_report_free(r.report);
	return rc;
}

/* Of the backup that the arguments name, else of one made now and thrown away. */
static enum rc offline(struct operation *o, struct arena *a, struct err *err)
{
	const char *file = json_string_value(json_object_get(o->args, "file"));
	char fresh[PATH_MAX], here[PATH_MAX];
	struct cache_backup b;

	if (file && *file)
		return read_rdb(o, file, a, err);
	if (!getcwd(here, sizeof here))
		return err_set(err, RC_IO, "the working folder has gone");
	enum rc rc = path_join(fresh, here, "analysis.rdb", err);
	if (rc == RC_OK)
		rc = file_remove(fresh, err);
	if (rc == RC_OK)
		rc = cache_backup(&o->cache, fresh, &b, &o->run, err);
	if (rc == RC_OK)
		rc = read_rdb(o, fresh, a, err);
	enum rc removed = file_remove(fresh, rc == RC_OK ? err : NULL);
	return rc == RC_OK ? removed : rc;
}

static enum rc run_logs(struct operation *o, struct arena *a, struct err *err)
{
	struct cache_log_order order = { .node = (int)whole(o->args, "node"), .days = (int)whole(o->args, "days"),
					 .now_s = clock_wall_ms() / 1000,
					 .aged_s = whole(o->task, "aged_ms") / 1000 };
	int n_files = 0;
	(void)a;
	enum rc rc = cache_collect_logs(&o->cache, &order, &n_files, &o->run, err);
	if (rc == RC_OK)
		jw_kv_int(o->result, "num", n_files);
	return rc;
}

static enum rc (*const scans[SCAN_KINDS])(struct operation *o, struct arena *a, struct err *err) = {
	[SCAN_BIGKEY] = big_keys,
	[SCAN_HOTKEY] = hot_keys,
	[SCAN_EXPIRE] = expire_keys,
	[SCAN_OFFLINE] = offline,
	[SCAN_DIAGNOSIS] = job_diagnose,
	[SCAN_RUN_LOG] = run_logs,
};

enum rc job_scan(struct operation *o, enum scan_kind kind, struct arena *a, struct err *err)
{
	if (!scans[kind])
		return err_set(err, RC_INVALID, "analysis %s is not offered", scan_kind_word(kind));
	jw_key(o->result, "scan");
	jw_object(o->result);
	enum rc rc = scans[kind](o, a, err);
	if (rc == RC_OK)
		jw_end_object(o->result);
	return rc;
}
