/*
 * backup: a consistent copy of a data folder, beside a running server or without one.
 *
 *  B1 Every file that the copied database names is in the copy. Files are written before the row that names them and
 *     removed after it, under paths that are never used again; so a file that a copy of the database names can only be
 *     absent because its row was deleted since. Then the database is copied once more, and what a copy already has is
 *     not copied again: each round is shorter than the one before.
 *  B2 One that is absent again, and named by a database that was copied after it was found absent, is really missing
 *     (or, with a wrong checksum, damaged): that is said, and ends the backup unless it is only a log, or it was asked
 *     to go on.
 *  B3 The manifest is written after all else is on disk, and the mark of an unfinished folder goes after that.
 *
 * The database is read in one transaction, which holds no writer up. Redis instances are asked for a save of
 * their own after the last copy of the database; one that cannot give it is represented by its newest backup.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"
#include "base/num.h"
#include "cache/cache.h"
#include "cmd/args.h"
#include "cmd/data.h"
#include "cmd/inventory.h"
#include "cmd/manifest.h"
#include "cmd/say.h"
#include "engine/cache_state.h"
#include "engine/paths.h"
#include "os/calls.h"
#include "os/file.h"

enum { ROUNDS_MAX = 50, INVENTORY_MAX = 1 << 30, NOTE_MAX = 700 };

struct backup {
	char data[PATH_MAX], to[PATH_MAX]; /* resolved */
	bool leaves_import, leaves_damaged;
	int64_t redis_wait_s;
	struct manifest manifest;
	struct store *store;
	struct arena *round;      /* of the newest inventory */
	struct inventory now;
	struct arena *kept;       /* of absent */
	const char **absent;      /* paths that the round before did not find as they should be */
	size_t n_absent;
	int n_rounds, n_notes;
	int64_t began_mono;
};

/* On stderr at once: what the operator should know, the backup going on. */
PRINTF(2, 3) static void note(struct backup *b, const char *fmt, ...)
{
	char text[NOTE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	b->n_notes++;
	(void)fprintf(stderr, "stint backup: note: %s\n", text);
}

/* ---- files ---- */

static enum rc paths_of(const struct backup *b, const char *relative, char from[PATH_MAX], char to[PATH_MAX],
                        struct err *err)
{
	enum rc rc = path_join(from, b->data, relative, err);
	return rc == RC_OK ? path_join(to, b->to, relative, err) : rc;
}

static enum rc list_file(struct backup *b, const char *relative, const struct file_sum *sum, struct err *err)
{
	crash_point("backup.file");
	return manifest_add_file(&b->manifest, relative, sum, err);
}

/* RC_NOT_FOUND: there is none. */
static enum rc copy_one(struct backup *b, const char *relative, bool is_log, struct file_sum *sum, struct err *err)
{
	char from[PATH_MAX], to[PATH_MAX];

	enum rc rc = paths_of(b, relative, from, to, err);
	if (rc != RC_OK)
		return rc;
	return is_log ? log_copy(from, to, sum, err) : file_copy(from, to, /* mode= */ 0, sum, err);
}

/* What no row names: settings, manifests of functions, import/, whatever else the operator keeps there. */
static bool is_managed(const struct backup *b, const char *relative)
{
	static const char *const names[] = { "stint.db", "stint.db-wal", "stint.db-shm", "lock",	  "endpoint",
		                             TREE_MODELS, TREE_LOGS,     TREE_CACHE,	 TREE_BACKUPS, MANIFEST_FILE };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(relative, names[i]) == 0)
			return true;
	}
	return b->leaves_import && strcmp(relative, "import") == 0;
}

static bool is_temporary(const char *name)
{
	size_t len = strlen(name);
	return len > 4 && strcmp(name + len - 4, ".tmp") == 0;
}

static enum rc copy_other(void *ctx, struct tree_entry *e, struct err *err)
{
	struct backup *b = ctx;
	struct file_sum sum;

	e->is_skipped = is_managed(b, e->relative);
	if (e->is_skipped || S_ISDIR(e->st.st_mode) || is_temporary(e->relative))
		return RC_OK;
	if (!S_ISREG(e->st.st_mode)) {
		note(b, "'%.300s' is no regular file and was left out", e->path);
		return RC_OK;
	}
	enum rc rc = copy_one(b, e->relative, /* is_log= */ false, &sum, err);
	if (rc == RC_NOT_FOUND)
		return RC_OK; /* removed meanwhile */
	return rc == RC_OK ? list_file(b, e->relative, &sum, err) : rc;
}

/* ---- rounds: B1, B2 ---- */

static bool was_absent(const struct backup *b, const char *path)
{
	for (size_t i = 0; i < b->n_absent; i++) {
		if (strcmp(b->absent[i], path) == 0)
			return true;
	}
	return false;
}

static bool is_copied(const struct backup *b, const char *relative)
{
	char to[PATH_MAX];
	return path_join(to, b->to, relative, NULL) == RC_OK && file_exists(to);
}

/* The copy of the database of a round that was not the last. */
static enum rc forget_database(struct backup *b, struct err *err)
{
	char to[PATH_MAX];
	enum rc rc = path_join(to, b->to, "stint.db", err);
	return rc == RC_OK ? file_remove(to, err) : rc;
}

/* List and copy in one transaction, so that the list is the copy's. */
static enum rc copy_database(struct backup *b, struct err *err)
{
	char to[PATH_MAX];

	enum rc rc = forget_database(b, err);
	if (rc == RC_OK)
		rc = path_join(to, b->to, "stint.db", err);
	if (rc == RC_OK)
		rc = store_begin_read(b->store, err);
	if (rc != RC_OK)
		return rc;
	rc = inventory_read(b->store, b->round, &b->now, err);
	if (rc == RC_OK)
		rc = store_copy(b->store, to, err);
	store_end_read(b->store);
	crash_point("backup.database");
	return rc;
}

/* *is_there: as it should be, or absent as it may be whether its row is still there or not. */
static enum rc copy_named(struct backup *b, const struct named_file *f, bool *is_there, struct err *err)
{
	char to[PATH_MAX];
	struct file_sum sum;

	*is_there = true;
	if (is_copied(b, f->path))
		return RC_OK;
	enum rc rc = copy_one(b, f->path, f->kind == FILE_LOG, &sum, err);
	if (rc == RC_NOT_FOUND || rc == RC_INVALID) {
		*is_there = !f->is_due;
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	if (file_kind_is_fixed(f->kind) && *f->sha256 && strcmp(f->sha256, sum.sha256) != 0) {
		*is_there = false;
		rc = path_join(to, b->to, f->path, err);
		return rc == RC_OK ? file_remove(to, err) : rc;
	}
	return list_file(b, f->path, &sum, err);
}

static enum rc refuse_damaged(const struct named_file *f, struct err *err)
{
	return err_set(err, RC_CORRUPT,
	               "'%.200s' (%.120s) is missing or has a wrong checksum; `stint doctor` tells more. To leave such "
	               "files out: --leave-damaged",
	               f->path, f->whose);
}

/* One look at everything; *n_new: files that the next round must look for again. */
static enum rc copy_all_named(struct backup *b, size_t *n_new, struct err *err)
{
	struct arena *kept = arena_new(INVENTORY_MAX);
	const char **absent = arena_array(kept, b->now.n_files + 1, sizeof *absent);
	size_t n_absent = 0;
	enum rc rc = absent ? RC_OK : err_set(err, RC_LIMIT, "too many files");

	*n_new = 0;
	for (size_t i = 0; rc == RC_OK && i < b->now.n_files; i++) {
		const struct named_file *f = &b->now.files[i];
		bool is_there;
		rc = copy_named(b, f, &is_there, err);
		if (rc != RC_OK || is_there)
			continue;
		bool is_damaged = was_absent(b, f->path);
		absent[n_absent++] = arena_dup(kept, f->path);
		*n_new += !is_damaged;
		if (is_damaged && !b->leaves_damaged && file_kind_is_fixed(f->kind))
			rc = refuse_damaged(f, err);
	}
	arena_free(b->kept);
	b->kept = kept;
	b->absent = absent;
	b->n_absent = n_absent;
	return rc;
}

static enum rc copy_rounds(struct backup *b, struct err *err)
{
	enum rc rc = RC_OK;
	size_t n_new = 1;

	for (; rc == RC_OK && n_new; b->n_rounds++) {
		if (b->n_rounds == ROUNDS_MAX)
			return err_set(err, RC_BUSY, "files are replaced faster than they can be copied; try again");
		arena_reset(b->round);
		rc = copy_database(b, err);
		if (rc == RC_OK)
			rc = copy_all_named(b, &n_new, err);
	}
	for (size_t i = 0; rc == RC_OK && i < b->n_absent; i++)
		note(b, "'%.300s' is missing or damaged and was left out", b->absent[i]);
	return rc;
}

/* SQLite wrote it without any sync. */
static enum rc seal_database(struct backup *b, struct err *err)
{
	char path[PATH_MAX];
	struct file_sum sum;

	enum rc rc = path_join(path, b->to, "stint.db", err);
	if (rc == RC_OK)
		rc = file_publish(path, path, err); /* onto itself: fsync of file and folder */
	if (rc == RC_OK)
		rc = file_sum(path, &sum, err);
	return rc == RC_OK ? list_file(b, "stint.db", &sum, err) : rc;
}

/* ---- Redis ---- */

/* Its newest backup that is in the copy; they are listed newest first. */
static const char *newest_stored(const struct backup *b, const struct cache_row *c)
{
	char prefix[PATH_MAX];
	int len = snprintf(prefix, sizeof prefix, TREE_BACKUPS "/%s/", c->uid);

	for (size_t i = 0; i < b->now.n_files; i++) {
		const struct named_file *f = &b->now.files[i];
		if (f->kind == FILE_RDB && strncmp(f->path, prefix, (size_t)len) == 0 && is_copied(b, f->path))
			return f->path;
	}
	return NULL;
}

static enum rc save_live(struct backup *b, const struct cache_row *c, const char *relative, struct file_sum *sum,
                         int64_t *saved_at, struct err *err)
{
	struct cache_instance instance;
	struct cache_backup saved;
	struct cache_run run = { .timeout_ms = b->redis_wait_s * 1000 };
	char to[PATH_MAX];

	if (b->redis_wait_s == 0)
		return err_set(err, RC_TIMEOUT, "it was not asked (--redis-wait 0)");
	enum rc rc = cache_state_parse(c->state, &instance, err);
	if (rc == RC_OK)
		rc = path_join(to, b->to, relative, err);
	if (rc == RC_OK)
		rc = cache_backup(&instance, to, &saved, &run, err);
	if (rc != RC_OK)
		return rc;
	*sum = (struct file_sum){ .size = saved.size, .mode = 0600 };
	memcpy(sum->sha256, saved.sha256, sizeof sum->sha256);
	*saved_at = saved.saved_at_s * 1000;
	return RC_OK;
}

static enum rc copy_cache(struct backup *b, const struct cache_row *c, struct err *err)
{
	char relative[PATH_MAX];
	struct file_sum sum;
	struct err why = { 0 };
	struct manifest_cache m = { .uid = c->uid, .source = "live", .path = relative };

	enum rc rc = path_below_cache(c->uid, "save.rdb", relative, err);
	if (rc != RC_OK)
		return rc;
	if (save_live(b, c, relative, &sum, &m.saved_at, &why) == RC_OK) {
		rc = list_file(b, relative, &sum, err);
		return rc == RC_OK ? manifest_add_cache(&b->manifest, &m, err) : rc;
	}
	const char *stored = newest_stored(b, c);
	note(b, "Redis instance %s gave no save (%s); %s", c->name, why.msg,
	     stored ? "its newest backup takes the place of its data"
	            : "it has no backup either: its data is not in the copy");
	m.source = stored ? "stored" : "none";
	m.path = stored ? stored : "";
	return manifest_add_cache(&b->manifest, &m, err);
}

/* ---- the whole ---- */

static enum rc resolve(const char *path, char out[PATH_MAX], struct err *err)
{
	return realpath(path, out) ? RC_OK : err_sys(err, RC_NOT_FOUND, errno, "cannot find '%.300s'", path);
}

static enum rc refuse_nested(const struct backup *b, struct err *err)
{
	const char *roots[] = { b->data };
	char inside[PATH_MAX];

	if (path_inside(b->to, roots, 1, inside, NULL) != RC_OK)
		return RC_OK;
	return err_set(err, RC_INVALID,
	               "'%.200s' lies in the data folder; a backup belongs elsewhere, best on another disk", b->to);
}

static enum rc fill(struct backup *b, struct err *err)
{
	enum rc rc = copy_rounds(b, err);
	if (rc == RC_OK)
		rc = seal_database(b, err);
	if (rc == RC_OK)
		rc = tree_walk(b->data, copy_other, b, err);
	if (rc == RC_OK && !is_copied(b, "secret.key"))
		note(b, "there is no secret.key: the access keys in the copy cannot be used");
	for (size_t i = 0; rc == RC_OK && i < b->now.n_caches; i++)
		rc = copy_cache(b, &b->now.caches[i], err);
	if (rc == RC_OK)
		rc = tree_sync(b->to, err);
	crash_point("backup.manifest");
	return rc == RC_OK ? manifest_write(&b->manifest, b->to, err) : rc;
}

static enum rc open_data(struct backup *b, const char *data, struct err *err)
{
	char path[PATH_MAX];

	enum rc rc = resolve(data, b->data, err);
	if (rc == RC_OK)
		rc = data_refuse_half(b->data, err);
	if (rc == RC_OK)
		rc = path_join(path, b->data, "stint.db", err);
	if (rc == RC_OK && !file_exists(path))
		rc = err_set(err, RC_NOT_FOUND, "'%.200s' is no data folder of stint: it has no stint.db", data);
	if (rc == RC_OK)
		rc = store_open_sqlite(path, STORE_READER, &b->store, err);
	return rc;
}

static enum rc make(struct backup *b, const char *to, struct err *err)
{
	int lock_fd;
	bool is_new = !file_exists(to);

	enum rc rc = dir_make(to, 0700, err);
	if (rc == RC_OK)
		rc = resolve(to, b->to, err);
	if (rc == RC_OK)
		rc = refuse_nested(b, err);
	if (rc != RC_OK && is_new)
		(void)rmdir(to); /* it was made to find out where it is */
	if (rc == RC_OK)
		rc = folder_claim(b->to, "backup", &lock_fd, err);
	if (rc != RC_OK)
		return rc;
	b->manifest.made_at = clock_wall_ms();
	b->manifest.program = STINT_VERSION;
	b->manifest.schema = store_schema_version(b->store);
	b->manifest.data = b->data;
	rc = fill(b, err);
	if (rc == RC_OK)
		return folder_release(b->to, lock_fd, err);
	folder_abandon(b->to, lock_fd);
	return rc;
}

static void tell(const struct backup *b, bool as_json, struct buf *out)
{
	struct jw w;
	int64_t took_ms = clock_mono_ms() - b->began_mono;

	if (!as_json) {
		buf_addf(out,
		        "%zu files, %.1f MiB in %.1f s: %s\nIt holds secrets (secret.key, password hashes): keep it as "
		        "safe as the data folder.\nRestore it with: stint restore --from %s --data DIR",
		        b->manifest.n_files, (double)b->manifest.size / (1 << 20), (double)took_ms / 1000, b->to,
		        b->to);
		return;
	}
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "path", b->to);
	jw_kv_int(&w, "files", (int64_t)b->manifest.n_files);
	jw_kv_int(&w, "bytes", b->manifest.size);
	jw_kv_int(&w, "runningTasks", (int64_t)b->now.n_running);
	jw_kv_int(&w, "rounds", b->n_rounds);
	jw_kv_int(&w, "notes", b->n_notes);
	jw_kv_int(&w, "tookMs", took_ms);
	jw_key(&w, "redis");
	jw_array(&w);
	for (size_t i = 0; i < b->manifest.n_caches; i++) {
		jw_object(&w);
		jw_kv_text(&w, "id", b->manifest.caches[i].uid);
		jw_kv_text(&w, "source", b->manifest.caches[i].source);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_end_object(&w);
}

static int run_backup(const struct command *c, int argc, char **argv)
{
	struct backup b = { .redis_wait_s = 600, .began_mono = clock_mono_ms() };
	const char *data = NULL, *to = NULL, *operands[OPERANDS_MAX];
	bool as_json = false;
	struct opt opts[] = {
		OPTION_TEXT("data", &data, "DIR", "Data folder (default $STINT_DATA, else ./stint-data)."),
		OPTION_TEXT("to", &to, "PATH",
		            "Folder for the backup: absent, empty, or left by one that was cut off."),
		OPTION_FLAG("leave-import", &b.leaves_import, "Leave out the training files in import/."),
		OPTION_FLAG("leave-damaged", &b.leaves_damaged, "Go on without files that are missing or damaged."),
		OPTION_INT("redis-wait", &b.redis_wait_s, "SECONDS", 0, 86400,
		           "Longest wait for a Redis instance's save (600); 0: use its newest backup."),
		OPTION_FLAG("json", &as_json, "Print JSON."),
	};
	struct err err = { 0 };
	struct buf out;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (!to)
		return say_failed(c, err_set(&err, RC_INVALID, "--to is missing"), &err);
	manifest_init(&b.manifest);
	b.round = arena_new(INVENTORY_MAX);
	buf_init(&out, 16 << 20);
	enum rc rc = open_data(&b, data_dir(data), &err);
	if (rc == RC_OK)
		rc = make(&b, to, &err);
	if (rc == RC_OK)
		tell(&b, as_json, &out);
	code = say_result(c, rc, &err, &out);
	store_close(b.store);
	arena_free(b.round);
	arena_free(b.kept);
	manifest_fini(&b.manifest);
	return code;
}

const struct command command_backup = {
	.name = "backup",
	.operands = "",
	.summary = "Copy a data folder, also while its server runs.",
	.example = "stint backup --data ./stint-data --to /mnt/backups/monday",
	.run = run_backup,
};
