/*
 * doctor: look at a data folder and say what is wrong and what to do about it. Changes nothing.
 * Each check prints one line: "ok", "note" (worth knowing) or "BAD" (act). Exit 0 without, 1 with a BAD one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/data.h"
#include "cmd/say.h"
#include "json/json.h"
#include "os/file.h"
#include "sign/acs3.h"
#include "store/store.h"
#include "store/tables.h"

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_BAD };
enum { WORDS_MAX = 900, LEFTOVERS_DEPTH = 6, MODEL_SIZE_MAX = 1 << 30, ARENA_MAX = 256 << 20 };

struct exam {
	const char *data;
	bool as_json;
	struct arena *arena;
	struct buf out;
	struct jw json;
	int n_bad;
};

PRINTF(4, 5) static void finding(struct exam *x, enum level level, const char *check, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "note", "BAD" };
	char text[WORDS_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	x->n_bad += level == LEVEL_BAD;
	if (!x->as_json) {
		buf_addf(&x->out, "%-5s %-14s %s\n", words[level], check, text);
		return;
	}
	jw_object(&x->json);
	jw_kv_text(&x->json, "check", check);
	jw_kv_text(&x->json, "level", level == LEVEL_BAD ? "bad" : words[level]);
	jw_kv_text(&x->json, "text", text);
	jw_end_object(&x->json);
}

static bool path_of(const struct exam *x, const char *name, char out[PATH_MAX])
{
	return path_join(out, x->data, name, NULL) == RC_OK;
}

static bool check_folder(struct exam *x)
{
	struct stat st;

	if (stat(x->data, &st) != 0) {
		finding(x, LEVEL_BAD, "folder", "'%.300s' is not there; make it: stint init --data DIR", x->data);
		return false;
	}
	if (st.st_uid != geteuid())
		finding(x, LEVEL_BAD, "folder", "it belongs to user %u, you are %u; run this as its owner", st.st_uid,
		        geteuid());
	else if (st.st_mode & S_IWOTH)
		finding(x, LEVEL_BAD, "folder", "everyone may write into it; run: chmod 700 '%.300s'", x->data);
	else
		finding(x, LEVEL_OK, "folder", "%.300s", x->data);
	return true;
}

static void check_secret(struct exam *x)
{
	char path[PATH_MAX];
	struct stat st;

	if (!path_of(x, "secret.key", path))
		return;
	if (lstat(path, &st) != 0)
		finding(x, LEVEL_BAD, "secret.key",
		        "missing: secrets of existing keys cannot be read; restore it from a backup, "
		        "or delete the keys and make new ones");
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		finding(x, LEVEL_BAD, "secret.key", "must be a plain file that belongs to the server's user");
	else if (st.st_mode & 077)
		finding(x, LEVEL_BAD, "secret.key", "others may read it (mode %04o); run: chmod 600 '%.300s'",
		        (unsigned)(st.st_mode & 07777), path);
	else
		finding(x, LEVEL_OK, "secret.key", "mode %04o", (unsigned)(st.st_mode & 07777));
}

/* True when no server runs on the folder. */
static void check_lock(struct exam *x)
{
	char path[PATH_MAX];
	struct err err = { 0 };
	int fd;

	if (!path_of(x, "lock", path) || !file_exists(path)) {
		finding(x, LEVEL_OK, "lock", "no server runs on it");
		return;
	}
	enum rc rc = file_lock(path, &fd, &err);
	if (rc == RC_OK)
		(void)close(fd);
	if (rc == RC_OK)
		finding(x, LEVEL_OK, "lock", "no server runs on it");
	else if (rc == RC_CONFLICT)
		finding(x, LEVEL_OK, "lock", "a server runs on it");
	else
		finding(x, LEVEL_BAD, "lock", "%s", err.msg);
}

/* ---- models: the file in service must be the one its row names ---- */

static enum rc sha256_of_file(const char *path, char hex[65], struct err *err)
{
	struct buf bytes;

	buf_init(&bytes, MODEL_SIZE_MAX);
	enum rc rc = file_read(path, &bytes, err);
	if (rc == RC_OK)
		sign_sha256_hex(buf_text(&bytes), bytes.len, hex);
	buf_fini(&bytes);
	return rc;
}

/* Where models lie: engine/paths.c. */
static bool model_is_sound(struct exam *x, const struct instance_row *i)
{
	char hex[65];
	struct err err = { 0 };
	const char *path =
	        arena_printf(x->arena, "%s/models/%lld/%s/%s.%lld/%lld/model.bin", x->data, (long long)i->app_id,
	                     i->function, i->name, (long long)i->id, (long long)i->model_generation);
	const char *what = arena_printf(x->arena, "%s %s (app group id %lld), generation %lld,", i->function, i->name,
	                                (long long)i->app_id, (long long)i->model_generation);

	if (!path || !what)
		return true;
	if (sha256_of_file(path, hex, &err) != RC_OK) {
		finding(x, LEVEL_BAD, "models", "%s is in service but unreadable (%s); train it again", what, err.msg);
		return false;
	}
	if (strcmp(hex, i->model_sha256) == 0)
		return true;
	finding(x, LEVEL_BAD, "models", "%s is damaged: its checksum is not the recorded one; train it again", what);
	return false;
}

static void check_models(struct exam *x, struct store *s)
{
	/* Without a checksum there is no file: a user's function need not make one. */
	struct query q = { .table = &table_instance,
		           .preds = { PRED_INT("model_generation", CMP_GT, 0), PRED_TEXT("model_sha256", CMP_NE, "") },
		           .n_preds = 2 };
	struct instance_row *rows;
	void *list;
	size_t n, n_sound = 0;
	struct err err = { 0 };

	if (store_list(s, &q, x->arena, &list, &n, &err) != RC_OK) {
		finding(x, LEVEL_BAD, "models", "%s", err.msg);
		return;
	}
	rows = list;
	for (size_t i = 0; i < n; i++)
		n_sound += model_is_sound(x, &rows[i]);
	if (n_sound == n)
		finding(x, LEVEL_OK, "models", "%zu in service, all with the recorded checksum", n);
}

static void check_keys(struct exam *x, struct store *s)
{
	struct query q = { .table = &table_key, .preds = { PRED_INT("is_active", CMP_EQ, 1) }, .n_preds = 1 };
	struct err err = { 0 };
	int64_t n;

	if (store_count(s, &q, &n, &err) != RC_OK)
		finding(x, LEVEL_BAD, "keys", "%s", err.msg);
	else if (n == 0)
		finding(x, LEVEL_NOTE, "keys", "no active access key; make one: stint key create --data '%.300s'",
		        x->data);
	else
		finding(x, LEVEL_OK, "keys", "%lld active", (long long)n);
}

static void check_store(struct exam *x)
{
	char path[PATH_MAX];
	struct store *s;
	struct err err = { 0 };

	if (!path_of(x, "stint.db", path))
		return;
	if (store_open_sqlite(path, STORE_READER, &s, &err) != RC_OK) {
		finding(x, LEVEL_BAD, "database", "%s", err.msg);
		return;
	}
	if (store_check(s, &err) == RC_OK)
		finding(x, LEVEL_OK, "database", "sound, schema version %d", store_schema_version(s));
	else
		finding(x, LEVEL_BAD, "database", "%s; stop the server and restore stint.db from a backup", err.msg);
	check_keys(x, s);
	check_models(x, s);
	store_close(s);
}

/* ---- leftovers ---- */

static bool ends_in_tmp(const char *name)
{
	size_t len = strlen(name);
	return len > 4 && strcmp(name + len - 4, ".tmp") == 0;
}

/* Count *.tmp files below path, links not followed; the first is kept for the message. */
static void count_leftovers(const char *path, int depth, int *n, char first[PATH_MAX])
{
	DIR *dir = depth > 0 ? opendir(path) : NULL;

	if (!dir)
		return;
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char sub[PATH_MAX];
		struct stat st;
		if (e->d_name[0] == '.' || path_join(sub, path, e->d_name, NULL) != RC_OK || lstat(sub, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			count_leftovers(sub, depth - 1, n, first);
		} else if (ends_in_tmp(e->d_name)) {
			if ((*n)++ == 0)
				memcpy(first, sub, strlen(sub) + 1);
		}
	}
	(void)closedir(dir);
}

static void check_leftovers(struct exam *x)
{
	char first[PATH_MAX] = "";
	int n = 0;

	count_leftovers(x->data, LEFTOVERS_DEPTH, &n, first);
	if (n)
		finding(x, LEVEL_NOTE, "leftovers",
		        "%d unfinished file(s) of an interrupted write, such as '%.300s'; harmless while "
		        "no server runs, delete them",
		        n, first);
	else
		finding(x, LEVEL_OK, "leftovers", "none");
}

static void check_space(struct exam *x)
{
	struct statvfs fs;

	if (statvfs(x->data, &fs) != 0) {
		finding(x, LEVEL_BAD, "disk", "cannot tell the free space (errno %d)", errno);
		return;
	}
	double free_mib = (double)fs.f_bavail * (double)fs.f_frsize / (1 << 20);
	if (free_mib < 256)
		finding(x, LEVEL_BAD, "disk", "only %.0f MiB are free; make room", free_mib);
	else
		finding(x, LEVEL_OK, "disk", "%.1f GiB free", free_mib / 1024);
}

static void check_redis(struct exam *x)
{
	static const char *const places[] = { "/usr/bin/redis-server", "/usr/local/bin/redis-server",
		                              "/usr/sbin/redis-server" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (access(places[i], X_OK) == 0) {
			finding(x, LEVEL_OK, "redis-server", "%s", places[i]);
			return;
		}
	}
	finding(x, LEVEL_NOTE, "redis-server",
	        "not installed; only needed for Redis instances: apt-get install redis-server");
}

static void examine(struct exam *x)
{
	if (check_folder(x)) {
		check_secret(x);
		check_lock(x);
		check_store(x);
		check_leftovers(x);
		check_space(x);
	}
	check_redis(x);
}

static int run_doctor(const struct command *c, int argc, char **argv)
{
	const char *data = NULL, *operands[OPERANDS_MAX];
	struct exam x = { 0 };
	struct opt opts[] = {
		OPTION_TEXT("data", &data, "DIR", "Data folder (default $STINT_DATA, else ./stint-data)."),
		OPTION_FLAG("json", &x.as_json, "Print JSON."),
	};
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	x.data = data_dir(data);
	x.arena = arena_new(ARENA_MAX);
	buf_init(&x.out, 16 << 20);
	jw_init(&x.json, &x.out, CASING_CAMEL);
	if (x.as_json)
		jw_array(&x.json);
	examine(&x);
	if (x.as_json)
		jw_end_array(&x.json);
	else
		buf_addf(&x.out, x.n_bad ? "%d finding(s) need you.\n" : "All is well.\n", x.n_bad);
	code = say_text(c, &x.out);
	buf_fini(&x.out);
	arena_free(x.arena);
	return code ? code : x.n_bad > 0;
}

const struct command command_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "Check a data folder and say what to do.",
	.example = "stint doctor --data ./stint-data",
	.run = run_doctor,
};
