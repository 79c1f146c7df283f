/*
 * The closer: one thread for slow file work that must not hold up the writer or the supervisor. It checks a finished
 * run's model against its checksum and makes it durable before the writer may put it in service (E8), and removes
 * the files of what is gone. Removal is always after the commit that made a file nobody's; what a crash leaves
 * behind is found by the sweep at the next start.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/crash.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "engine/priv.h"
#include "json/json.h"
#include "os/calls.h"
#include "os/file.h"

enum job_kind { JOB_REMOVE, JOB_PRUNE, JOB_SYNC, JOB_CHECK, JOB_SWEEP };

struct job {
	enum job_kind kind;
	char *path;
	struct run_end *end;
	struct job *next;
};

struct closer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct job *head, **tail;
	bool is_stopping;
};

static void submit(struct engine *e, enum job_kind kind, const char *path, struct run_end *end)
{
	struct closer *c = e->closer;
	struct job *j = mem_new(struct job);

	*j = (struct job){ .kind = kind, .path = mem_dup(path), .end = end };
	(void)pthread_mutex_lock(&c->lock);
	*c->tail = j;
	c->tail = &j->next;
	(void)pthread_cond_signal(&c->filled);
	(void)pthread_mutex_unlock(&c->lock);
}

void closer_remove_path(struct engine *e, const char *path) { submit(e, JOB_REMOVE, path, NULL); }
void closer_prune_dir(struct engine *e, const char *path) { submit(e, JOB_PRUNE, path, NULL); }
void closer_sync_dir(struct engine *e, const char *path) { submit(e, JOB_SYNC, path, NULL); }
void closer_check_model(struct engine *e, struct run_end *end) { submit(e, JOB_CHECK, NULL, end); }
void closer_sweep(struct engine *e) { submit(e, JOB_SWEEP, NULL, NULL); }

static struct job *take(struct closer *c)
{
	(void)pthread_mutex_lock(&c->lock);
	while (!c->head && !c->is_stopping)
		(void)pthread_cond_wait(&c->filled, &c->lock);
	struct job *j = c->head;
	if (j) {
		c->head = j->next;
		if (!c->head)
			c->tail = &c->head;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return j;
}

static void remove_path(const char *path)
{
	struct stat st;
	struct err err = { 0 };

	if (lstat(path, &st) != 0)
		return;
	enum rc rc = S_ISDIR(st.st_mode) ? dir_remove(path, &err) : file_remove(path, &err);
	if (rc != RC_OK)
		log_warn("files.not_removed", "path=%s reason=\"%s\"", path, err.msg);
}

/* A run without a model leaves nothing: then the folder goes too. */
static void prune(const char *path)
{
	struct err err = { 0 };
	if (dir_prune(path, MODEL_FILE, &err) != RC_OK)
		log_warn("files.not_removed", "path=%s reason=\"%s\"", path, err.msg);
	else
		(void)os.rmdir(path); /* most have a model in them, which the kernel tells by refusing */
}

/* ---- checking a model ---- */

static enum rc add_file(EVP_MD_CTX *ctx, const char *path, int fd, const struct store_pause *pause, struct err *err)
{
	unsigned char part[65536];

	for (;;) {
		if (pause && pause->is_over(pause->ctx))
			return err_set(err, RC_TIMEOUT, "the model file '%.200s' was not read to its end", path);
		ssize_t n = os.read(fd, part, sizeof part);
		if (n == 0)
			return RC_OK;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, RC_IO, errno, "the model file '%.200s' cannot be read", path);
		must(EVP_DigestUpdate(ctx, part, (size_t)n) == 1);
	}
}

enum rc closer_hash_file(const char *path, const struct store_pause *pause, char hex[65], struct err *err)
{
	unsigned char digest[32];
	int fd;

	enum rc rc = file_open_regular(path, &fd, err);
	if (rc == RC_NOT_FOUND)
		return err_set(err, rc, "the model file '%.200s' is missing", path);
	if (rc != RC_OK)
		return err_wrap(err, rc, "the model file");
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	must(ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
	rc = add_file(ctx, path, fd, pause, err);
	(void)os.close(fd); /* opened for reading: nothing to lose */
	must(EVP_DigestFinal_ex(ctx, digest, NULL) == 1);
	EVP_MD_CTX_free(ctx);
	if (rc == RC_OK)
		hex_of(digest, sizeof digest, hex);
	return rc;
}

/* A result names its model, or has none (a user's function need not make one). */
static enum rc check_model(const struct engine *e, const char *dir, const char *result_json, char sha256[65],
			   struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(1 << 20);
	const json_t *result;
	const char *model = NULL, *claimed = NULL;
	char path[PATH_MAX];

	sha256[0] = '\0';
	enum rc rc = json_read(result_json, strlen(result_json), a, &result, err);
	if (rc == RC_OK)
		rc = json_pick_text(result, "model", &model, err);
	if (rc == RC_OK)
		rc = json_pick_text(result, "sha256", &claimed, err);
	if (rc != RC_OK || !model)
		return rc;
	if (strcmp(model, MODEL_FILE) != 0)
		return err_set(err, RC_INVALID, "the result names the model '%.60s'; it must be " MODEL_FILE, model);
	rc = path_join(path, dir, MODEL_FILE, err);
	if (rc == RC_OK)
		rc = closer_hash_file(path, /* pause= */ NULL, sha256, err);
	if (rc == RC_OK && claimed && strcmp(claimed, sha256) != 0)
		rc = err_set(err, RC_CORRUPT, "the model file's checksum is %s, the result says %.64s", sha256,
			     claimed);
	if (rc == RC_OK)
		rc = file_publish(path, path, err); /* onto itself: fsync of file and folder */
	return rc == RC_OK ? dir_sync(dir, e->data_dir, err) : rc;
}

static void check_end(struct engine *e, struct run_end *end)
{
	struct err err = { 0 };
	enum rc rc = end->is_success ? check_model(e, end->work_dir, end->result_json, end->sha256, &err) : RC_OK;

	if (rc != RC_OK) {
		end->is_success = false;
		end->fault = rc == RC_INVALID || rc == RC_NOT_FOUND ? FAULT_USER : FAULT_MACHINE;
		mem_free(end->code);
		mem_free(end->message);
		end->code = mem_dup("Model.Unusable");
		end->message = mem_dup(err.msg);
	}
	crash_point("engine.before_finish"); /* the model is durable, and no row knows it */
	run_closed(e, end);
}

/* ---- the sweep ---- */

struct sweep {
	struct store *store;
	bool is_models; /* else logs */
	char dir[PATH_MAX];
	int64_t instance_id;
};

static void remove_in(const struct sweep *s, const char *name)
{
	char path[PATH_MAX];
	if (path_join(path, s->dir, name, NULL) == RC_OK)
		remove_path(path);
}

/* What of generation is still wanted: asked anew for each, since tasks end and are deleted meanwhile. */
static enum rc look_up(const struct sweep *s, int64_t generation, bool *is_dead, bool *is_finished, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct task_row t;
	struct instance_row i;

	/* The task first: were it the other way round, one that went into service and was deleted in between would be
	 * neither. */
	enum rc rc = row_task_of(s->store, s->instance_id, generation, a, &t, err);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	bool is_named = rc == RC_OK && !(s->is_models && t.state == TASK_FAILED);
	bool is_success = rc == RC_OK && t.state == TASK_SUCCESS;
	rc = row_instance(s->store, s->instance_id, a, &i, err);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	bool serves = rc == RC_OK && s->is_models && i.model_generation == generation;
	*is_dead = !is_named && !serves;
	*is_finished = s->is_models && (is_success || serves);
	return RC_OK;
}

/* A folder of models, or a log: 7 or 7.log. */
static enum rc sweep_generation(void *ctx, const char *name, struct err *err)
{
	struct sweep *s = ctx;
	char path[PATH_MAX];
	int64_t generation;
	bool is_dead, is_finished;

	if (!num_i64_n(name, strcspn(name, "."), &generation))
		return RC_OK; /* not ours */
	enum rc rc = look_up(s, generation, &is_dead, &is_finished, err);
	if (rc == RC_OK && is_dead)
		remove_in(s, name);
	else if (rc == RC_OK && is_finished && path_join(path, s->dir, name, NULL) == RC_OK)
		prune(path); /* cache and checkpoints of a run whose end was committed just before a crash */
	return rc;
}

static enum rc descend(const struct sweep *s, const char *name, int64_t instance_id, dir_entry_fn *fn, struct err *err)
{
	struct sweep below = { .store = s->store, .instance_id = instance_id, .is_models = s->is_models };
	enum rc rc = path_join(below.dir, s->dir, name, err);
	if (rc == RC_OK)
		rc = dir_each(below.dir, fn, &below, err);
	return rc == RC_NOT_FOUND ? RC_OK : rc; /* no folder: a stray file, or removed meanwhile */
}

static enum rc sweep_instance(void *ctx, const char *name, struct err *err)
{
	struct sweep *s = ctx;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row i;
	int64_t id;
	const char *dot = strrchr(name, '.');

	if (!dot || !num_i64(dot + 1, &id))
		return RC_OK;
	enum rc rc = row_instance(s->store, id, a, &i, err);
	if (rc == RC_NOT_FOUND) {
		remove_in(s, name);
		return RC_OK;
	}
	return rc == RC_OK ? descend(s, name, id, sweep_generation, err) : rc;
}

static enum rc sweep_function(void *ctx, const char *name, struct err *err)
{
	return descend(ctx, name, 0, sweep_instance, err);
}

static enum rc sweep_app(void *ctx, const char *name, struct err *err)
{
	struct sweep *s = ctx;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct app_row app;
	int64_t id;

	if (!num_i64(name, &id))
		return RC_OK;
	enum rc rc = row_app(s->store, id, a, &app, err);
	if (rc == RC_NOT_FOUND) {
		remove_in(s, name);
		return RC_OK;
	}
	return rc == RC_OK ? descend(s, name, 0, sweep_function, err) : rc;
}

static enum rc sweep_tree(struct engine *e, struct store *store, const char *tree, struct err *err)
{
	struct sweep s = { .store = store, .is_models = strcmp(tree, TREE_MODELS) == 0 };

	enum rc rc = path_join(s.dir, e->data_dir, tree, err);
	return rc == RC_OK ? dir_each(s.dir, sweep_app, &s, err) : rc;
}

static void sweep(struct engine *e)
{
	struct store *store = NULL;
	struct err err = { 0 };

	struct query apps = { .table = &table_app };
	int64_t n_apps = 0;

	enum rc rc = store_open_sqlite(e->store_path, STORE_READER, &store, &err);
	if (rc == RC_OK)
		rc = store_count(store, &apps, &n_apps, &err);
	/* In an empty database every model would be nobody's: perhaps the right one was only mislaid. */
	if (rc == RC_OK && n_apps == 0) {
		store_close(store);
		return;
	}
	if (rc == RC_OK)
		rc = sweep_tree(e, store, TREE_MODELS, &err);
	if (rc == RC_OK)
		rc = sweep_tree(e, store, TREE_LOGS, &err);
	if (rc != RC_OK)
		log_warn("files.sweep_failed", "reason=\"%s\"", err.msg);
	store_close(store);
}

/* ---- the thread ---- */

/* For checkpoints; a model's folders are synced again, and must be, before it serves. */
static void sync_up(const struct engine *e, const char *path)
{
	struct err err = { 0 };
	if (dir_sync(path, e->data_dir, &err) != RC_OK && err.rc != RC_NOT_FOUND)
		log_warn("files.not_synced", "path=%s reason=\"%s\"", path, err.msg);
}

static void *closer_main(void *arg)
{
	struct engine *e = arg;

	for (struct job *j = take(e->closer); j; j = take(e->closer)) {
		switch (j->kind) {
		case JOB_REMOVE:
			remove_path(j->path);
			break;
		case JOB_PRUNE:
			prune(j->path);
			break;
		case JOB_SYNC:
			sync_up(e, j->path);
			break;
		case JOB_CHECK:
			check_end(e, j->end);
			break;
		case JOB_SWEEP:
			sweep(e);
			atomic_store(&e->is_swept, true);
			mem_trim(); /* the start is over: what it took does not come again soon */
			break;
		}
		mem_free(j->path);
		mem_free(j);
	}
	return NULL;
}

enum rc closer_start(struct engine *e, struct err *err)
{
	struct closer *c = mem_new(struct closer);

	c->tail = &c->head;
	must(pthread_mutex_init(&c->lock, NULL) == 0);
	must(pthread_cond_init(&c->filled, NULL) == 0);
	e->closer = c;
	int sys = pthread_create(&c->thread, NULL, closer_main, e);
	if (sys) {
		mem_free(c);
		e->closer = NULL;
		return err_sys(err, RC_IO, sys, "cannot start the closer thread");
	}
	return RC_OK;
}

void closer_wait(struct engine *e)
{
	struct closer *c = e->closer;
	if (!c)
		return;
	(void)pthread_mutex_lock(&c->lock);
	c->is_stopping = true;
	(void)pthread_cond_signal(&c->filled);
	(void)pthread_mutex_unlock(&c->lock);
	must(pthread_join(c->thread, NULL) == 0);
}

void closer_free(struct engine *e)
{
	struct closer *c = e->closer;
	if (!c)
		return;
	while (c->head) { /* removals that came after the thread ended: the next start's sweep does them */
		struct job *j = c->head;
		c->head = j->next;
		mem_free(j->path);
		mem_free(j);
	}
	(void)pthread_cond_destroy(&c->filled);
	(void)pthread_mutex_destroy(&c->lock);
	mem_free(c);
	e->closer = NULL;
}
