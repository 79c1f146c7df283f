/*
 * restore: a data folder out of a backup.
 *
 * All files are checked before the first is written, and again while they are copied. The folder is marked unfinished
 * until it is whole, and no server starts on a marked one. Then the database learns where it is now:
 *
 *  T1 Redis instances and backups get paths in the new folder. What was known of their processes is forgotten: those
 *     belong to the folder the backup was made from, and the server of the copy must not take them for its own, not
 *     even to make an end of an instance whose deletion was under way.
 *  T2 So it must with the processes of tasks that ran: their numbers are forgotten, before a start would end them (E4).
 *     And their checkpoints, which are in no backup: an attempt is not to look for a file that is not there.
 *  T3 The tasks themselves stay as they were; the next start resumes or fails them (E7).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/crash.h"
#include "cmd/args.h"
#include "cmd/data.h"
#include "cmd/inventory.h"
#include "cmd/manifest.h"
#include "cmd/say.h"
#include "engine/cache_state.h"
#include "engine/paths.h"
#include "os/file.h"
#include "task/state.h"

enum { ROWS_MAX = 1 << 30, STATE_MAX = 1 << 20 };

struct restore {
	char from[PATH_MAX], data[PATH_MAX]; /* resolved */
	struct manifest manifest;
	struct arena *arena;
	size_t n_running, n_caches, n_bare; /* tasks; Redis instances; those of them without data */
	int64_t began_mono;
};

/* ---- files ---- */

static enum rc refuse_altered(const char *path, struct err *err)
{
	return err_set(err, RC_CORRUPT, "'%.300s' is not what the backup's list says: it was altered or damaged", path);
}

static bool is_same(const struct file_sum *a, const struct file_sum *b)
{
	return a->size == b->size && strcmp(a->sha256, b->sha256) == 0;
}

static enum rc check_file(const struct restore *r, const struct manifest_file *f, struct err *err)
{
	char path[PATH_MAX];
	struct file_sum sum;

	enum rc rc = path_join(path, r->from, f->path, err);
	if (rc == RC_OK)
		rc = file_sum(path, &sum, err);
	if (rc == RC_NOT_FOUND)
		return err_set(err, RC_CORRUPT, "'%.300s' is missing from the backup", path);
	return rc == RC_OK && !is_same(&sum, &f->sum) ? refuse_altered(path, err) : rc;
}

static enum rc check_files(const struct restore *r, struct err *err)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < r->manifest.n_files; i++)
		rc = check_file(r, &r->manifest.files[i], err);
	return rc;
}

static enum rc copy_checked(const struct restore *r, const struct manifest_file *f, const char *to, struct err *err)
{
	char from[PATH_MAX], path[PATH_MAX];
	struct file_sum sum;

	enum rc rc = path_join(from, r->from, f->path, err);
	if (rc == RC_OK)
		rc = path_join(path, r->data, to, err);
	if (rc == RC_OK)
		rc = file_copy(from, path, f->sum.mode, &sum, err); /* the list's: copies of backups lose theirs */
	if (rc == RC_OK && !is_same(&sum, &f->sum))
		rc = refuse_altered(from, err);
	crash_point("restore.file");
	return rc;
}

/* The save of a Redis instance: restore_data puts it where it belongs. */
static bool is_save(const struct restore *r, const char *path)
{
	for (size_t i = 0; i < r->manifest.n_caches; i++) {
		const struct manifest_cache *c = &r->manifest.caches[i];
		if (strcmp(c->source, "live") == 0 && strcmp(c->path, path) == 0)
			return true;
	}
	return false;
}

static enum rc copy_files(const struct restore *r, struct err *err)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < r->manifest.n_files; i++) {
		const struct manifest_file *f = &r->manifest.files[i];
		if (!is_save(r, f->path))
			rc = copy_checked(r, f, f->path, err);
	}
	return rc;
}

/* ---- the database: T1, T2 ---- */

static const char *state_text(struct restore *r, const struct cache_instance *c)
{
	struct buf text;
	struct jw w;

	buf_init(&text, STATE_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	cache_state_write(c, &w);
	const char *out = text.is_over ? NULL : arena_dup(r->arena, buf_text(&text));
	buf_fini(&text);
	return out;
}

static const struct manifest_file *save_of(const struct restore *r, const struct cache_row *row)
{
	const char *path = "";

	for (size_t i = 0; i < r->manifest.n_caches; i++) {
		if (strcmp(r->manifest.caches[i].uid, row->uid) == 0)
			path = r->manifest.caches[i].path;
	}
	for (size_t i = 0; *path && i < r->manifest.n_files; i++) {
		if (strcmp(r->manifest.files[i].path, path) == 0)
			return &r->manifest.files[i];
	}
	return NULL;
}

/* As the master's save, from which its first start makes an append-only file (cache/process.c); replicas follow it. */
static enum rc restore_data(struct restore *r, const struct cache_row *row, const struct cache_instance *c,
                            struct err *err)
{
	char name[64], to[PATH_MAX];
	const struct manifest_file *save = save_of(r, row);

	r->n_caches++;
	r->n_bare += !save;
	if (!save)
		return RC_OK;
	(void)snprintf(name, sizeof name, "node-%d/dump.rdb", c->nodes[c->master].number);
	enum rc rc = path_below_cache(row->uid, name, to, err);
	return rc == RC_OK ? copy_checked(r, save, to, err) : rc;
}

static enum rc move_cache(struct restore *r, struct store *s, struct cache_row *row, struct err *err)
{
	struct cache_instance c;
	char below[PATH_MAX];

	enum rc rc = cache_state_parse(row->state, &c, err);
	if (rc == RC_OK)
		rc = path_below_cache(row->uid, "", below, err);
	if (rc != RC_OK)
		return err_wrap(err, rc, "Redis instance %s", row->name);
	below[strlen(below) - 1] = '\0'; /* the slash */
	rc = path_join(c.dir, r->data, below, err);
	for (int i = 0; i < c.n_nodes; i++) {
		c.nodes[i].run_id[0] = '\0';
		c.nodes[i].pid = c.nodes[i].mark = 0;
	}
	row->state = state_text(r, &c);
	if (rc == RC_OK && !row->state)
		rc = err_set(err, RC_LIMIT, "the description of Redis instance %s is too long", row->name);
	if (rc == RC_OK)
		rc = store_update(s, &table_cache, row, err);
	return rc == RC_OK && !row->deleted_at ? restore_data(r, row, &c, err) : rc;
}

static enum rc move_backups(struct restore *r, struct store *s, const struct cache_row *cache, struct err *err)
{
	struct query q = { .table = &table_backup, .preds = { PRED_INT("cache_id", CMP_EQ, cache->id) }, .n_preds = 1 };
	struct backup_row *rows;
	char below[PATH_MAX], path[PATH_MAX];
	size_t n;

	enum rc rc = store_list(s, &q, r->arena, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (!*rows[i].path)
			continue;
		rc = path_below_backup(cache->uid, rows[i].uid, below, err);
		if (rc == RC_OK)
			rc = path_join(path, r->data, below, err);
		rows[i].path = path;
		if (rc == RC_OK)
			rc = store_update(s, &table_backup, &rows[i], err);
	}
	return rc;
}

static enum rc move_caches(struct restore *r, struct store *s, struct err *err)
{
	struct query q = { .table = &table_cache };
	struct cache_row *rows;
	size_t n;

	enum rc rc = store_list(s, &q, r->arena, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = move_cache(r, s, &rows[i], err);
		if (rc == RC_OK)
			rc = move_backups(r, s, &rows[i], err);
	}
	return rc;
}

static enum rc forget_attempts(struct restore *r, struct store *s, struct err *err)
{
	struct query q = { .table = &table_task, .preds = { PRED_INT("state", CMP_LE, TASK_RUNNING) }, .n_preds = 1 };
	struct task_row *rows;
	size_t n;

	enum rc rc = store_list(s, &q, r->arena, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		r->n_running += rows[i].state == TASK_RUNNING;
		rows[i].pid = rows[i].pid_start = 0;
		rows[i].checkpoint = "";
		rc = store_update(s, &table_task, &rows[i], err);
	}
	return rc;
}

static enum rc adapt(struct restore *r, struct store *s, struct err *err)
{
	enum rc rc = store_begin(s, err);
	if (rc != RC_OK)
		return rc;
	rc = move_caches(r, s, err);
	if (rc == RC_OK)
		rc = forget_attempts(r, s, err);
	if (rc == RC_OK)
		return store_commit(s, err);
	store_rollback(s);
	return rc;
}

static enum rc adapt_database(struct restore *r, struct err *err)
{
	char path[PATH_MAX];
	struct store *s = NULL;

	enum rc rc = path_join(path, r->data, "stint.db", err);
	if (rc == RC_OK)
		rc = store_open_sqlite(path, STORE_WRITER, &s, err); /* an older one is brought up to date */
	if (rc == RC_OK)
		rc = store_check(s, STORE_QUICK, err);
	if (rc == RC_OK)
		rc = adapt(r, s, err);
	store_close(s);
	return rc;
}

/* ---- the whole ---- */

static enum rc fill(struct restore *r, struct err *err)
{
	enum rc rc = copy_files(r, err);
	if (rc == RC_OK)
		rc = adapt_database(r, err);
	crash_point("restore.end");
	return rc == RC_OK ? tree_sync(r->data, err) : rc;
}

static enum rc resolve(const char *path, char out[PATH_MAX], struct err *err)
{
	return realpath(path, out) ? RC_OK : err_sys(err, RC_NOT_FOUND, errno, "cannot find '%.300s'", path);
}

static enum rc make(struct restore *r, const char *from, const char *data, struct err *err)
{
	int lock_fd;

	enum rc rc = resolve(from, r->from, err);
	if (rc == RC_OK)
		rc = manifest_read(&r->manifest, r->from, err);
	if (rc == RC_OK)
		rc = check_files(r, err);
	if (rc == RC_OK)
		rc = folder_claim(data, "restore", &lock_fd, err);
	if (rc != RC_OK)
		return rc;
	rc = resolve(data, r->data, err); /* descriptions hold absolute paths */
	if (rc == RC_OK)
		rc = fill(r, err);
	if (rc == RC_OK)
		return folder_release(data, lock_fd, err);
	folder_abandon(data, lock_fd);
	return rc;
}

static void tell(const struct restore *r, struct buf *out)
{
	char at[CLOCK_TEXT_SIZE];
	const struct manifest *m = &r->manifest;

	clock_iso(at, m->made_at / 1000);
	buf_addf(out, "%s: %zu files, %.1f MiB, as they were at %s (made by stint %s from %s)\n", r->data, m->n_files,
	         (double)m->size / (1 << 20), at, m->program, m->data);
	if (r->n_running)
		buf_addf(out, "%zu task(s) were running: the server's start resumes them, or ends them as failed.\n",
		         r->n_running);
	if (r->n_caches)
		buf_addf(out,
		        "%zu Redis instance(s), %zu of them without data: the server's start brings them up. Where "
		        "their addresses are in use by the server this backup is of, they stay down.\n",
		        r->n_caches, r->n_bare);
	buf_addf(out, "Next:\n  stint doctor --data %s\n  stint serve --data %s", r->data, r->data);
}

static void tell_json(const struct restore *r, struct buf *out)
{
	struct jw w;
	const struct manifest *m = &r->manifest;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "path", r->data);
	jw_kv_int(&w, "files", (int64_t)m->n_files);
	jw_kv_int(&w, "bytes", m->size);
	jw_kv_int(&w, "madeAt", m->made_at);
	jw_kv_text(&w, "madeFrom", m->data);
	jw_kv_text(&w, "madeBy", m->program);
	jw_kv_int(&w, "runningTasks", (int64_t)r->n_running);
	jw_kv_int(&w, "redis", (int64_t)r->n_caches);
	jw_kv_int(&w, "redisWithoutData", (int64_t)r->n_bare);
	jw_kv_int(&w, "tookMs", clock_mono_ms() - r->began_mono);
	jw_end_object(&w);
}

static int run_restore(const struct command *c, int argc, char **argv)
{
	struct restore r = { .began_mono = clock_mono_ms() };
	const char *from = NULL, *data = NULL, *operands[OPERANDS_MAX];
	bool as_json = false;
	struct opt opts[] = {
		OPTION_TEXT("from", &from, "PATH", "The backup."),
		OPTION_TEXT("data", &data, "DIR",
		            "Data folder to make: absent or empty (default $STINT_DATA, else ./stint-data)."),
		OPTION_FLAG("json", &as_json, "Print JSON."),
	};
	struct err err = { 0 };
	struct buf out;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (!from)
		return say_failed(c, err_set(&err, RC_INVALID, "--from is missing"), &err);
	manifest_init(&r.manifest);
	r.arena = arena_new(ROWS_MAX);
	buf_init(&out, 16 << 20);
	enum rc rc = make(&r, from, data_dir(data), &err);
	if (rc == RC_OK && as_json)
		tell_json(&r, &out);
	else if (rc == RC_OK)
		tell(&r, &out);
	code = say_result(c, rc, &err, &out);
	arena_free(r.arena);
	manifest_fini(&r.manifest);
	return code;
}

const struct command command_restore = {
	.name = "restore",
	.operands = "",
	.summary = "Make a data folder out of a backup.",
	.example = "stint restore --from /mnt/backups/monday --data ./stint-data",
	.run = run_restore,
};
