/*
 * doctor: look at a data folder and say what is wrong and what to do about it. Changes nothing.
 * Each check prints one line: "ok", "note" (worth knowing) or "BAD" (act). Exit 0 without, 1 with a BAD one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "cmd/args.h"
#include "cmd/data.h"
#include "cmd/exam.h"
#include "cmd/manifest.h"
#include "cmd/say.h"
#include "cmd/serve.h"
#include "cmd/tree.h"
#include "os/file.h"

enum { WORDS_MAX = 1400, ARENA_MAX = 512 << 20, SECRET_SIZE = 32, FREE_MIB_MIN = 256, FREE_PERCENT_MIN = 5,
       FREE_FILES_MIN = 1000 };

void exam_tell(struct exam *x, enum level level, const char *check, const char *fmt, ...)
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

bool exam_path(const struct exam *x, const char *name, char out[PATH_MAX])
{
	return path_join(out, x->data, name, NULL) == RC_OK;
}

/* ---- the folder and its own files ---- */

static bool check_folder(struct exam *x)
{
	struct stat st;

	if (stat(x->data, &st) != 0) {
		exam_tell(x, LEVEL_BAD, "folder", "'%.300s' is not there; make it: stint init --data DIR", x->data);
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		exam_tell(x, LEVEL_BAD, "folder", "'%.300s' is no folder; say which one: --data DIR", x->data);
		return false;
	}
	if (st.st_uid != geteuid())
		exam_tell(x, LEVEL_BAD, "folder", "it belongs to user %u, you are %u; run this as its owner", st.st_uid,
		        geteuid());
	else if (st.st_mode & S_IWOTH)
		exam_tell(x, LEVEL_BAD, "folder", "everyone may write into it; run: chmod 700 '%.300s'", x->data);
	else
		exam_tell(x, LEVEL_OK, "folder", "%.300s", x->data);
	return true;
}

static void check_secret(struct exam *x)
{
	char path[PATH_MAX];
	struct stat st;

	if (!exam_path(x, "secret.key", path))
		return;
	if (lstat(path, &st) != 0)
		exam_tell(x, LEVEL_BAD, "secret.key",
		        "missing: secrets of existing keys cannot be read; restore it from a backup, "
		        "or delete the keys and make new ones");
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		exam_tell(x, LEVEL_BAD, "secret.key", "must be a plain file that belongs to the server's user");
	else if (st.st_mode & 077)
		exam_tell(x, LEVEL_BAD, "secret.key", "others may read it (mode %04o); run: chmod 600 '%.300s'",
		        (unsigned)(st.st_mode & 07777), path);
	else if (st.st_size != SECRET_SIZE)
		exam_tell(x, LEVEL_BAD, "secret.key",
		          "it has %lld bytes instead of %d: no server starts; restore it from a backup",
		          (long long)st.st_size, SECRET_SIZE);
	else
		exam_tell(x, LEVEL_OK, "secret.key", "mode %04o", (unsigned)(st.st_mode & 07777));
}

/* The kernel lets go of a lock when its holder dies, so a lock file alone means nothing; an address that no server
 * answers at means that the last one was killed. */
static void check_lock(struct exam *x)
{
	char path[PATH_MAX], endpoint[PATH_MAX];
	struct err err = { 0 };
	int fd;

	if (!exam_path(x, "lock", path) || !exam_path(x, "endpoint", endpoint))
		return;
	enum rc rc = file_exists(path) ? file_lock(path, &fd, &err) : RC_NOT_FOUND;
	if (rc == RC_OK)
		(void)close(fd);
	x->is_served = rc == RC_CONFLICT;
	if (x->is_served)
		exam_tell(x, LEVEL_OK, "lock", "a server runs on it");
	else if (rc != RC_OK && rc != RC_NOT_FOUND)
		exam_tell(x, LEVEL_BAD, "lock", "%s; the server needs to write it", err.msg);
	else if (file_exists(endpoint))
		exam_tell(x, LEVEL_NOTE, "lock",
		          "no server runs on it, and the last one was killed: 'endpoint' still names its address; "
		          "harmless, the next start replaces it");
	else
		exam_tell(x, LEVEL_OK, "lock", "no server runs on it");
}

static bool is_unfinished(struct exam *x)
{
	char path[PATH_MAX];

	if (!exam_path(x, UNFINISHED_FILE, path) || !file_exists(path))
		return false;
	exam_tell(x, LEVEL_BAD, "restore",
	          "a restore into this folder is under way or was cut off; no server starts on it: restore again");
	return true;
}

/* The file that `stint init` puts there; what else a service uses is only known to its --config. */
static void check_settings(struct exam *x)
{
	char path[PATH_MAX];
	struct err err = { 0 };

	if (!exam_path(x, "stint.ini", path) || !file_exists(path))
		return;
	if (serve_settings_check(path, &err) == RC_OK)
		exam_tell(x, LEVEL_OK, "settings", "stint.ini can be read");
	else
		exam_tell(x, LEVEL_BAD, "settings", "%s; correct it, a server started with it ends at once", err.msg);
}

/* ---- every file ---- */

struct census {
	uid_t owner;
	int n_leftovers, n_foreign, n_open;
	char leftover[PATH_MAX], foreign[PATH_MAX], open[PATH_MAX];
	uid_t stranger;
};

static void count(int *n, char first[PATH_MAX], const char *path)
{
	if ((*n)++ == 0)
		(void)snprintf(first, PATH_MAX, "%s", path);
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);
	return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* secret.key has a check of its own. */
static bool holds_secrets(const char *relative)
{
	const char *slash = strrchr(relative, '/'), *name = slash ? slash + 1 : relative;
	return strncmp(relative, "stint.db", 8) == 0 || strcmp(name, "admin.key") == 0 ||
	       (strncmp(relative, "cache/", 6) == 0 && strcmp(name, "redis.conf") == 0) ||
	       (strncmp(relative, "backups/", 8) == 0 && ends_in(name, ".rdb"));
}

static enum rc look_at(void *ctx, struct tree_entry *e, struct err *err)
{
	struct census *c = ctx;
	bool is_link = S_ISLNK(e->st.st_mode);

	(void)err;
	if (e->st.st_uid != c->owner) {
		c->stranger = c->n_foreign ? c->stranger : e->st.st_uid;
		count(&c->n_foreign, c->foreign, e->path);
	}
	if (S_ISREG(e->st.st_mode) && (ends_in(e->relative, ".tmp") || ends_in(e->relative, ".rdb.part")))
		count(&c->n_leftovers, c->leftover, e->path);
	bool others_write = !is_link && (e->st.st_mode & S_IWOTH);
	if (others_write || (S_ISREG(e->st.st_mode) && (e->st.st_mode & 077) && holds_secrets(e->relative)))
		count(&c->n_open, c->open, e->path);
	return RC_OK;
}

static void check_files(struct exam *x)
{
	struct census c = { .n_leftovers = 0 };
	struct stat st;
	struct err err = { 0 };

	if (stat(x->data, &st) != 0)
		return; /* it was there a moment ago */
	c.owner = st.st_uid;
	if (tree_walk(x->data, look_at, &c, &err) != RC_OK)
		exam_tell(x, LEVEL_BAD, "files", "%s; the server's user must be able to read all of it", err.msg);
	if (c.n_foreign)
		exam_tell(x, LEVEL_BAD, "files",
		        "%d of them belong to another user than the folder, such as '%.300s' (user %u); run: chown -R "
		        "%u '%.300s'",
		        c.n_foreign, c.foreign, c.stranger, c.owner, x->data);
	if (c.n_open)
		exam_tell(x, LEVEL_BAD, "files",
		        "%d can be read or written by others and should not,"
		        " such as '%.300s'; run: chmod go-rwx on them",
		        c.n_open, c.open);
	if (!c.n_foreign && !c.n_open)
		exam_tell(x, LEVEL_OK, "files", "owners and modes are as they should be");
	if (c.n_leftovers)
		exam_tell(x, LEVEL_NOTE, "leftovers",
		          "%d unfinished file(s) of an interrupted write, such as '%.300s'; %s", c.n_leftovers,
		          c.leftover,
		          x->is_served ? "the running server may be at work on it: look again later"
		                       : "harmless while no server runs, delete them");
	else
		exam_tell(x, LEVEL_OK, "leftovers", "none");
}

static void check_space(struct exam *x)
{
	struct statvfs fs;

	if (statvfs(x->data, &fs) != 0) {
		exam_tell(x, LEVEL_BAD, "disk", "cannot tell the free space (errno %d)", errno);
		return;
	}
	double free_mib = (double)fs.f_bavail * (double)fs.f_frsize / (1 << 20);
	double percent = fs.f_blocks ? 100.0 * (double)fs.f_bavail / (double)fs.f_blocks : 100;
	if (free_mib < FREE_MIB_MIN)
		exam_tell(x, LEVEL_BAD, "disk", "only %.0f MiB are free; make room, else changes are refused",
		          free_mib);
	else if (fs.f_files && fs.f_favail < FREE_FILES_MIN)
		exam_tell(x, LEVEL_BAD, "disk", "room for only %llu more files; delete some",
		          (unsigned long long)fs.f_favail);
	else if (percent < FREE_PERCENT_MIN)
		exam_tell(x, LEVEL_NOTE, "disk", "%.1f GiB are free, %.1f percent", free_mib / 1024, percent);
	else
		exam_tell(x, LEVEL_OK, "disk", "%.1f GiB free", free_mib / 1024);
}

static void examine(struct exam *x)
{
	if (!check_folder(x))
		return;
	check_secret(x);
	check_lock(x);
	if (!is_unfinished(x)) {
		check_settings(x);
		exam_rows(x);
	}
	check_files(x);
	check_space(x);
}

static int run_doctor(const struct command *c, int argc, char **argv)
{
	const char *data = NULL, *operands[OPERANDS_MAX];
	struct exam x = { 0 };
	struct opt opts[] = {
		OPTION_TEXT("data", &data, "DIR", "Data folder (default $STINT_DATA, else ./stint-data)."),
		OPTION_FLAG("full", &x.is_full, "Compare every index of a database over 256 MiB with its table, too."),
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
