/*
 * The database, and whether the rest of the folder is what it says. A running server may remove files while they are
 * looked at; so what seems to be wrong is looked at once more under a newer list, and told only if that still names it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/num.h"
#include "cmd/exam.h"
#include "cmd/inventory.h"
#include "cmd/tree.h"
#include "engine/cache_state.h"
#include "engine/keys.h"
#include "engine/paths.h"
#include "os/file.h"

enum { FULL_CHECK_MAX = 256 << 20, INVENTORY_MAX = 1 << 30, COMM_MAX = 64, TOLD_MAX = 20 };

/* ---- the database itself ---- */

static const char *remedy(enum rc rc)
{
	switch (rc) {
	case RC_INVALID:
		return "; is this the right folder? Else move the file away and restore a backup";
	case RC_CORRUPT:
		return "; stop the server and restore a backup: stint restore --from PATH --data NEW_DIR";
	case RC_NOT_FOUND:
		return "; a first start makes it. If there was one, restore a backup";
	default:
		return ""; /* of a newer or an older version: the reason says what to do */
	}
}

static void tell_store(struct exam *x, enum rc rc, const struct err *err)
{
	exam_tell(x, LEVEL_BAD, "database", "%s%s", err->msg, remedy(rc));
}

static void check_totals(struct exam *x, struct store *s)
{
	struct err err = { 0 };

	enum rc rc = store_check_totals(s, NULL, &err);
	if (rc == RC_OK)
		exam_tell(x, LEVEL_OK, "totals", "the numbers kept are those of the rows");
	else
		exam_tell(x, LEVEL_BAD, "totals", "%s%s", err.msg,
		          rc == RC_CORRUPT
		                  ? "; lists tell wrong totals until a server has run on it: it counts them anew"
		                  : "");
}

static void check_keys(struct exam *x, struct store *s)
{
	struct query q = { .table = &table_key, .preds = { PRED_INT("is_active", CMP_EQ, 1) }, .n_preds = 1 };
	struct err err = { 0 };
	int64_t n;

	if (store_count(s, &q, &n, &err) != RC_OK)
		exam_tell(x, LEVEL_BAD, "keys", "%s", err.msg);
	else if (n == 0)
		exam_tell(x, LEVEL_NOTE, "keys", "no active access key; make one: stint key create --data '%.300s'",
		          x->data);
	else
		exam_tell(x, LEVEL_OK, "keys", "%lld active", (long long)n);
}

/* Is secret.key the one the keys were encrypted with? */
static void check_secrets(struct exam *x, struct store *s)
{
	char path[PATH_MAX];
	struct keyring *ring = NULL;
	struct access_key *keys, found;
	struct err err = { 0 };
	size_t n = 0, n_lost = 0;

	if (!exam_path(x, "secret.key", path) || !file_exists(path))
		return; /* told already */
	enum rc rc = keyring_open(x->data, &ring, &err);
	if (rc == RC_OK)
		rc = keyring_list(s, x->arena, &keys, &n, &err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		n_lost += keyring_find(ring, s, keys[i].id, x->arena, &found, &err) == RC_CORRUPT;
	keyring_free(ring);
	if (rc != RC_OK)
		exam_tell(x, LEVEL_BAD, "secret.key", "%s", err.msg);
	else if (n_lost)
		exam_tell(x, LEVEL_BAD, "secret.key",
		          "%zu of %zu access keys were not encrypted with this file; restore the right one from a "
		          "backup, or delete those keys and make new ones",
		          n_lost, n);
}

/* ---- files that rows name ---- */

static const struct {
	const char *check, *advice;
} kinds[FILE_KINDS] = {
	[FILE_SERVING] = { "models", "train it again, or put the file back from a backup" },
	[FILE_MODEL] = { "models", "put it back from a backup, or delete the record of that task" },
	[FILE_RDB] = { "backups", "put it back from a backup of this folder, or delete that backup and make another" },
	[FILE_SECRET] = { "redis", "put it back from a backup; without it the instance can only be deleted" },
};

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(struct exam *x, const struct named_file *f)
{
	char path[PATH_MAX];
	struct file_sum sum;
	struct err err = { 0 };

	if (!exam_path(x, f->path, path))
		return "its path is too long";
	enum rc rc = file_sum(path, &sum, &err);
	if (rc == RC_NOT_FOUND)
		return "is missing";
	if (rc != RC_OK)
		return arena_printf(x->arena, "cannot be read (%s)", err.msg);
	return *f->sha256 && strcmp(f->sha256, sum.sha256) != 0 ? "is damaged: its checksum is not the recorded one"
	                                                        : NULL;
}

/* The secret is made by the instance's first task, so a young or failed instance may have none. */
static bool must_be_there(const struct inventory *v, const struct named_file *f)
{
	if (f->kind != FILE_SECRET)
		return file_kind_is_fixed(f->kind);
	for (size_t i = 0; i < v->n_caches; i++) {
		const char *status = v->caches[i].status;
		if (strstr(f->path, v->caches[i].uid))
			return strcmp(status, "RUNNING") == 0 || strcmp(status, "ERROR") == 0;
	}
	return false;
}

struct tally {
	size_t n_seen[FILE_KINDS], n_bad[FILE_KINDS];
};

static void check_named(struct exam *x, const struct inventory *v, bool tells, struct tally *t)
{
	for (size_t i = 0; i < v->n_files; i++) {
		const struct named_file *f = &v->files[i];
		if (!must_be_there(v, f))
			continue;
		const char *fault = fault_of(x, f);
		t->n_seen[f->kind]++;
		if (!fault)
			continue;
		if (tells && t->n_bad[f->kind] < TOLD_MAX)
			exam_tell(x, LEVEL_BAD, kinds[f->kind].check, "%s (%.200s), %s%s; %s", f->whose, f->path,
			          f->kind == FILE_SERVING ? "in service, " : "", fault, kinds[f->kind].advice);
		t->n_bad[f->kind]++;
	}
}

static enum rc list(struct store *s, struct arena *a, struct inventory *v, struct err *err)
{
	enum rc rc = store_begin_read(s, err);
	if (rc != RC_OK)
		return rc;
	rc = inventory_read(s, a, v, err);
	store_end_read(s);
	return rc;
}

static void sum_up(struct exam *x, const struct tally *t)
{
	if (t->n_bad[FILE_SERVING] + t->n_bad[FILE_MODEL] == 0)
		exam_tell(x, LEVEL_OK, "models", "%zu in service and %zu kept, all with the recorded checksum",
		          t->n_seen[FILE_SERVING], t->n_seen[FILE_MODEL]);
	if (t->n_seen[FILE_RDB] && t->n_bad[FILE_RDB] == 0)
		exam_tell(x, LEVEL_OK, "backups", "%zu of Redis instances, all with the recorded checksum",
		          t->n_seen[FILE_RDB]);
}

/* ---- Redis ---- */

static bool has_program(const char *name)
{
	char path[PATH_MAX];
	const char *at = getenv("PATH");

	for (; at && *at; at += strcspn(at, ":"), at += *at == ':') {
		int len = snprintf(path, sizeof path, "%.*s/%s", (int)strcspn(at, ":"), at, name);
		if (len > 0 && len < PATH_MAX && access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void check_program(struct exam *x, size_t n_caches)
{
	if (has_program("redis-server"))
		exam_tell(x, LEVEL_OK, "redis-server", "installed");
	else if (n_caches)
		exam_tell(x, LEVEL_BAD, "redis-server",
		          "not in PATH, and %zu Redis instance(s) need it: apt-get install redis-server", n_caches);
	else
		exam_tell(x, LEVEL_NOTE, "redis-server",
		          "not in PATH; only needed for Redis instances: apt-get install redis-server");
}

static void check_status(struct exam *x, const struct inventory *v)
{
	for (size_t i = 0; i < v->n_caches; i++) {
		if (strcmp(v->caches[i].status, "ERROR") == 0)
			exam_tell(x, LEVEL_NOTE, "redis",
			        "instance %s does not serve; a running server tries to mend it, its tasks say why not: "
			        "stint cache tasks %s",
			        v->caches[i].name, v->caches[i].name);
	}
}

static void check_whitelists(struct exam *x, const struct inventory *v, struct arena *a)
{
	for (size_t i = 0; i < v->n_caches; i++) {
		const json_t *whitelist;
		if (json_read_kept(v->caches[i].whitelist, a, &whitelist, NULL) == RC_OK &&
		    cache_whitelist_is_on(whitelist))
			exam_tell(x, LEVEL_NOTE, "redis",
			          "instance %s has an IP whitelist, which nothing here enforces: let a firewall keep "
			          "others from its port, or set a password",
			          v->caches[i].name);
	}
}

/* The instance in whose folder that process works: the UID below DATA/cache; false: none of ours. */
static bool works_in(const char *pid, const char *root, char uid[NAME_MAX + 1])
{
	char link[PATH_MAX], dir[PATH_MAX], comm[COMM_MAX];
	struct buf text;

	(void)snprintf(link, sizeof link, "/proc/%.20s/comm", pid);
	buf_init(&text, COMM_MAX - 1);
	bool is_redis = file_read(link, &text, NULL) == RC_OK;
	(void)snprintf(comm, sizeof comm, "%s", buf_text(&text));
	buf_fini(&text);
	if (!is_redis || strcmp(comm, "redis-server\n") != 0)
		return false;
	(void)snprintf(link, sizeof link, "/proc/%.20s/cwd", pid);
	ssize_t len = readlink(link, dir, sizeof dir - 1);
	size_t root_len = strlen(root);
	if (len <= 0)
		return false;
	dir[len] = '\0';
	if (strncmp(dir, root, root_len) != 0 || dir[root_len] != '/')
		return false;
	(void)snprintf(uid, NAME_MAX + 1, "%.*s", (int)strcspn(dir + root_len + 1, "/"), dir + root_len + 1);
	return true;
}

static bool is_known(const struct inventory *v, const char *uid)
{
	for (size_t i = 0; i < v->n_caches; i++) {
		if (strcmp(v->caches[i].uid, uid) == 0)
			return true;
	}
	return false;
}

static void check_orphans(struct exam *x, const struct inventory *v)
{
	char path[PATH_MAX], root[PATH_MAX], uid[NAME_MAX + 1];
	DIR *dir;

	if (!exam_path(x, TREE_CACHE, path) || !realpath(path, root))
		return; /* no instance was ever made */
	dir = opendir("/proc");
	if (!dir)
		return;
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		int64_t pid;
		if (num_i64(e->d_name, &pid) && works_in(e->d_name, root, uid) && !is_known(v, uid))
			exam_tell(x, LEVEL_BAD, "redis",
			        "redis-server process %lld works in cache/%s, which belongs to no instance (any more); "
			        "end it: kill %lld",
			        (long long)pid, uid, (long long)pid);
	}
	(void)closedir(dir);
}

/* ---- all of it ---- */

static bool is_clean(const struct tally *t)
{
	size_t n = 0;
	for (int i = 0; i < FILE_KINDS; i++)
		n += t->n_bad[i];
	return n == 0;
}

static void check_contents(struct exam *x, struct store *s)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(INVENTORY_MAX);
	struct inventory v = { 0 };
	struct tally first = { .n_seen = { 0 } }, second = { .n_seen = { 0 } };
	struct err err = { 0 };

	enum rc rc = list(s, a, &v, &err);
	if (rc == RC_OK)
		check_named(x, &v, /* tells= */ false, &first);
	if (rc == RC_OK && !is_clean(&first)) {
		rc = list(s, a, &v, &err);
		if (rc == RC_OK)
			check_named(x, &v, /* tells= */ true, &second);
		first = second;
	}
	if (rc != RC_OK) {
		tell_store(x, rc, &err);
		return;
	}
	sum_up(x, &first);
	check_program(x, v.n_caches);
	check_status(x, &v);
	check_whitelists(x, &v, a);
	check_orphans(x, &v);
}

/* A full check of a large database takes minutes, so it is made when it was asked for. */
static void check_store(struct exam *x, struct store *s, const char *path)
{
	struct err err = { 0 };
	int64_t size = 0;
	bool is_small = file_size(path, &size, &err) == RC_OK && size <= FULL_CHECK_MAX;
	enum store_depth depth = x->is_full || is_small ? STORE_FULL : STORE_QUICK;

	enum rc rc = store_check(s, depth, &err);
	if (rc != RC_OK) {
		tell_store(x, rc, &err);
		return;
	}
	exam_tell(x, LEVEL_OK, "database", "sound, schema version %d%s", store_schema_version(s),
	          depth == STORE_FULL ? "" : "; its indexes were not compared with its tables: --full does that");
	check_totals(x, s);
}

void exam_rows(struct exam *x)
{
	char path[PATH_MAX];
	struct store *s;
	struct err err = { 0 };

	if (!exam_path(x, "stint.db", path))
		return;
	enum rc rc = store_open_sqlite(path, STORE_READER, &s, &err);
	if (rc != RC_OK) {
		tell_store(x, rc, &err);
		check_program(x, 0);
		return;
	}
	check_store(x, s, path);
	check_keys(x, s);
	check_secrets(x, s);
	check_contents(x, s);
	store_close(s);
}
