#include "cmd/data.h"

#include <stdio.h>
#include <string.h>
#include "cmd/manifest.h"
#include "engine/engine.h"
#include "os/file.h"
#include "store/foreign.h"

enum { KEYS_ARENA_SIZE = 16 << 20, ENDPOINT_MAX = 512 };

const char *data_dir(const char *given)
{
	if (given)
		return given;
	const char *env = getenv("STINT_DATA");
	return env && *env ? env : "stint-data";
}

enum rc data_refuse_half(const char *dir, struct err *err)
{
	char path[PATH_MAX];

	enum rc rc = path_join(path, dir, UNFINISHED_FILE, err);
	if (rc == RC_OK && file_exists(path))
		rc = err_set(err, RC_CONFLICT,
		             "'%.200s' is being restored, or a restore was cut off: restore into it again", dir);
	return rc;
}

/* Before anything is made in a folder that is somebody else's. */
static enum rc refuse_foreign(const char *dir, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = path_join(path, dir, "stint.db", err);
	return rc == RC_OK ? store_refuse_foreign(path, err) : rc;
}

enum rc data_make(const char *dir, struct err *err)
{
	enum rc rc = dir_make(dir, 0700, err);
	if (rc == RC_OK)
		rc = data_refuse_half(dir, err);
	if (rc == RC_OK)
		rc = refuse_foreign(dir, err);
	return rc == RC_OK ? engine_make_folders(dir, err) : rc;
}

enum rc data_keys_open(const char *dir, bool makes, struct data_keys *out, struct err *err)
{
	char path[PATH_MAX];
	struct data_keys k = { 0 };

	enum rc rc = path_join(path, dir, "stint.db", err);
	if (rc == RC_OK)
		rc = data_refuse_half(dir, err);
	if (rc != RC_OK)
		return rc;
	if (!makes && !file_exists(path))
		return err_set(err, RC_NOT_FOUND,
		               "'%.200s' is no data folder of stint yet; make one: stint init --data DIR", dir);
	if (makes)
		rc = data_make(dir, err);
	if (rc == RC_OK)
		rc = keyring_open(dir, &k.ring, err); /* before there is a database: then it may be made */
	if (rc == RC_OK)
		rc = store_open_sqlite(path, STORE_WRITER, &k.store, err);
	k.arena = arena_new(KEYS_ARENA_SIZE);
	if (rc == RC_OK)
		*out = k;
	else
		data_keys_close(&k);
	return rc;
}

void data_keys_close(struct data_keys *k)
{
	keyring_free(k->ring);
	store_close(k->store);
	arena_free(k->arena);
	*k = (struct data_keys){ 0 };
}

enum rc data_keys_first(struct data_keys *k, struct access_key *out, struct err *err)
{
	struct access_key *keys;
	const struct access_key *first = NULL;
	size_t n;

	enum rc rc = keyring_list(k->store, k->arena, &keys, &n, err);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (keys[i].is_active && (!first || keys[i].created_at < first->created_at))
			first = &keys[i];
	}
	if (!first)
		return err_set(err, RC_NOT_FOUND,
		               "there is no active access key; make one: stint key create --data DIR");
	return keyring_find(k->ring, k->store, first->id, k->arena, out, err);
}

enum rc data_endpoint_write(const char *dir, const char *endpoint, struct err *err)
{
	char path[PATH_MAX], line[ENDPOINT_MAX];

	int len = snprintf(line, sizeof line, "%s\n", endpoint);
	if (len < 0 || len >= (int)sizeof line)
		return err_set(err, RC_LIMIT, "address too long: '%.100s'", endpoint);
	enum rc rc = path_join(path, dir, "endpoint", err);
	return rc == RC_OK ? file_replace_unsynced(path, line, (size_t)len, 0600, err) : rc;
}

void data_endpoint_remove(const char *dir)
{
	char path[PATH_MAX];
	if (path_join(path, dir, "endpoint", NULL) != RC_OK || file_remove(path, NULL) != RC_OK)
		return; /* a stale address only costs its reader a refused connection */
}

enum rc data_endpoint_read(const char *dir, struct arena *a, const char **out, struct err *err)
{
	char path[PATH_MAX];
	struct buf text;

	enum rc rc = path_join(path, dir, "endpoint", err);
	if (rc != RC_OK)
		return rc;
	buf_init(&text, ENDPOINT_MAX);
	rc = file_read(path, &text, err);
	if (rc == RC_OK) {
		const char *line = buf_text(&text);
		*out = arena_dup_n(a, line, strcspn(line, "\r\n"));
		rc = *out ? RC_OK : err_set(err, RC_LIMIT, "out of the command's memory");
	}
	/* Empty: what a power failure may make of it, after which no server runs either. */
	if (rc == RC_NOT_FOUND || (rc == RC_OK && !**out))
		rc = err_set(err, RC_NOT_FOUND, "no server runs on '%.200s'; start one: stint serve --data %.100s", dir,
		             dir);
	buf_fini(&text);
	return rc;
}
