#include "cmd/torture/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/attr.h"
#include "cmd/data.h"
#include "cmd/torture/caches.h"
#include "cmd/torture/journal.h"
#include "cmd/torture/model.h"
#include "engine/keys.h"
#include "json/json.h"
#include "os/calls.h"
#include "os/file.h"
#include "train/train.h"

enum { CLICK_ROWS = 400 };
static const char lock_name[] = "torture.lock";

static enum rc take_self(struct server_config *cfg, struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", cfg->exe, sizeof cfg->exe - 1);
	if (len < 0)
		return err_sys(err, RC_IO, errno, "cannot find the program's own file");
	cfg->exe[len] = '\0';
	return RC_OK;
}

static enum rc count_entry(void *n, const char *name, struct err *err)
{
	(void)name;
	(void)err;
	(*(int *)n)++;
	return RC_OK;
}

static enum rc claim(const char *dir, struct place *p, struct err *err)
{
	char path[PATH_MAX];
	int n = 0;

	p->is_made = access(dir, F_OK) != 0;
	enum rc rc = dir_make(dir, 0700, err);
	if (rc == RC_OK && !realpath(dir, p->run))
		rc = err_sys(err, RC_IO, errno, "cannot find '%.300s'", dir);
	if (rc == RC_OK)
		rc = path_join(path, p->run, lock_name, err);
	if (rc == RC_OK && !file_exists(path))
		rc = dir_each(p->run, count_entry, &n, err);
	if (rc == RC_OK && n > 0)
		rc = err_set(err, RC_CONFLICT,
		             "'%.300s' is not empty, and `stint torture` did not make what is in it; give a new folder",
		             dir);
	if (rc == RC_OK)
		rc = file_lock(path, &p->lock_fd, err);
	return rc == RC_CONFLICT && n == 0 ? err_set(err, rc, "another run is at work in '%.300s'", dir) : rc;
}

/* A run that was interrupted may have left Redis processes, of its own data and of a copy's:
 * they outlive everything. */
static enum rc empty(const struct place *p, struct err *err)
{
	static const char *const folders[] = { "data", "copy/data" };
	char data[PATH_MAX];
	enum rc rc = RC_OK;

	for (size_t k = 0; k < ARRAY_LEN(folders) && rc == RC_OK; k++) {
		rc = path_join(data, p->run, folders[k], err);
		if (rc == RC_OK)
			redis_kill_all(data);
	}
	return rc == RC_OK ? dir_prune(p->run, lock_name, err) : rc;
}

static enum rc write_manifest(const struct server_config *cfg, const char *journal, const struct trade *trade,
                              struct err *err)
{
	char name[64], path[PATH_MAX];
	struct buf text;
	struct jw w;

	if (trade->is_built_in)
		return RC_OK;
	buf_init(&text, 64 << 10);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "name", trade->function);
	jw_kv_text(&w, "modelType", trade->model_type);
	jw_key(&w, "run");
	jw_array(&w);
	jw_text(&w, cfg->exe);
	jw_text(&w, "torture-act");
	jw_text(&w, journal);
	jw_end_array(&w);
	jw_key(&w, "createParameters");
	jw_raw(&w, "[{\"name\":\"act\"},{\"name\":\"ms\"}]");
	jw_kv_int(&w, "maxAttempts", trade->attempts_max);
	jw_kv_int(&w, "timeoutSeconds", trade->timeout_s);
	jw_kv_int(&w, "graceSeconds", 1);
	jw_end_object(&w);
	(void)snprintf(name, sizeof name, "functions.d/%s.json", trade->function);
	enum rc rc = path_join(path, cfg->data, name, err);
	if (rc == RC_OK)
		rc = file_write(path, buf_text(&text), text.len, 0600, err);
	buf_fini(&text);
	return rc;
}

enum rc place_write_functions(const struct server_config *cfg, const char *journal, struct err *err)
{
	size_t n;
	const struct trade *all = trades(&n);

	enum rc rc = dir_make(journal, 0700, err);
	for (size_t k = 0; k < n && rc == RC_OK; k++)
		rc = write_manifest(cfg, journal, &all[k], err);
	return rc;
}

static enum rc make_key(const struct server_config *cfg, struct arena *a, struct place *p, struct err *err)
{
	struct data_keys keys;
	struct access_key key;

	enum rc rc = data_keys_open(cfg->data, /* makes= */ true, &keys, err);
	if (rc != RC_OK)
		return rc;
	rc = keyring_create(keys.ring, keys.store, NULL, "stint torture", keys.arena, &key, err);
	if (rc == RC_OK) {
		p->key_id = arena_dup(a, key.id);
		p->key_secret = arena_dup(a, key.secret);
		p->project_id = arena_dup(a, key.project_id);
	}
	data_keys_close(&keys);
	return rc;
}

static enum rc furnish(struct arena *a, struct place *p, struct server_config *cfg, struct err *err)
{
	char clicks[PATH_MAX];
	double best_auc, best_logloss;

	enum rc rc = path_join(cfg->data, p->run, "data", err);
	if (rc == RC_OK)
		rc = path_join(p->journal, p->run, "journal", err);
	if (rc == RC_OK)
		rc = make_key(cfg, a, p, err);
	if (rc == RC_OK)
		rc = place_write_functions(cfg, p->journal, err);
	if (rc == RC_OK)
		rc = path_join(clicks, cfg->data, "import/clicks.csv", err);
	return rc == RC_OK ? sample_shop(clicks, CLICK_ROWS, 1, &best_auc, &best_logloss, err) : rc;
}

enum rc place_take(const char *dir, struct arena *a, struct place *p, struct server_config *cfg, struct err *err)
{
	*p = (struct place){ .lock_fd = -1 };
	enum rc rc = take_self(cfg, err);
	if (rc == RC_OK)
		rc = claim(dir, p, err);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(cfg->run, sizeof cfg->run, "%s", p->run);
	rc = empty(p, err);
	if (rc == RC_OK)
		rc = furnish(a, p, cfg, err);
	if (rc != RC_OK)
		place_leave(p, /* keeps= */ false);
	return rc;
}

void place_leave(struct place *p, bool keeps)
{
	char path[PATH_MAX];

	/* What cannot be removed stays: nothing of the run depends on it any more. */
	if (p->lock_fd >= 0 && !keeps && empty(p, NULL) == RC_OK && path_join(path, p->run, lock_name, NULL) == RC_OK) {
		if (file_remove(path, NULL) == RC_OK && p->is_made)
			(void)rmdir(p->run);
	}
	if (p->lock_fd >= 0)
		(void)os.close(p->lock_fd);
	p->lock_fd = -1;
}
