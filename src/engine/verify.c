/*
 * The verifier: one thread that compares the models in service with their checksums (E8), and the totals that the store
 * keeps with the rows, at start and every so often.
 * A file can be lost or damaged long after it was put in service; then the instance is no longer shown as available,
 * and metrics and readiness say so. The row stays as it is: the file may come back, from a backup or with its disk.
 *
 *  V1 Before the first request is answered it is known which files are absent; whole files are read afterwards.
 *  V2 What is found wanting counts for one generation of an instance: the next one that goes in service is not touched.
 *  V3 Only what was seen is a flaw: a look for which there was no descriptor or no memory says nothing of the model. It
 *     is made again soon, and until then what was known of the model stands.
 *  V4 The numbers of tasks that the store keeps are compared with the tasks; a wrong one is told and counted anew.
 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include "base/attr.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/worry.h"
#include "engine/priv.h"
#include "os/file.h"

enum { ROWS_MAX = 512 << 20, AGAIN_MS = 1000 };

struct flaw {
	int64_t instance_id, generation;
};

struct verifier {
	struct engine *engine;
	pthread_t thread;
	bool has_thread;
	struct worry no_list; /* of the passes, one at a time */
	pthread_mutex_t lock;
	pthread_cond_t stops;
	/* guarded by lock from here on */
	bool is_stopping;
	struct flaw *flaws;
	size_t n_flaws;
	int64_t checked_at; /* wall ms of the end of the last full pass; 0: none yet */
};

/* ---- asking ---- */

static bool has_flaw(const struct flaw *flaws, size_t n, const struct instance_row *i)
{
	for (size_t k = 0; k < n; k++) {
		if (flaws[k].instance_id == i->id && flaws[k].generation == i->model_generation)
			return true;
	}
	return false;
}

bool engine_model_is_sound(const struct engine *e, const struct instance_row *i)
{
	struct verifier *v = e->verifier;

	(void)pthread_mutex_lock(&v->lock);
	bool is_flawed = has_flaw(v->flaws, v->n_flaws, i);
	(void)pthread_mutex_unlock(&v->lock);
	return !is_flawed;
}

void engine_state(const struct engine *e, struct engine_state *out)
{
	struct verifier *v = e->verifier;
	struct statvfs fs;

	*out = (struct engine_state){ .disk_free = -1 };
	(void)pthread_mutex_lock(&v->lock);
	out->models_unusable = v->n_flaws;
	out->models_checked_at = v->checked_at;
	(void)pthread_mutex_unlock(&v->lock);
	if (statvfs(e->data_dir, &fs) == 0)
		out->disk_free = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

/* ---- a pass ---- */

enum depth { IS_THERE, IS_WHOLE };

static bool must_stop(struct verifier *v)
{
	(void)pthread_mutex_lock(&v->lock);
	bool is_stopping = v->is_stopping;
	(void)pthread_mutex_unlock(&v->lock);
	return is_stopping;
}

static bool is_over(void *ctx) { return must_stop(ctx); }

/* Until then, or the stop. True: no stop. */
static bool rest_until(struct verifier *v, int64_t until)
{
	(void)pthread_mutex_lock(&v->lock);
	for (bool is_time = false; !v->is_stopping && !is_time;)
		is_time = cond_wait(&v->stops, &v->lock, until);
	bool goes_on = !v->is_stopping;
	(void)pthread_mutex_unlock(&v->lock);
	return goes_on;
}

static enum rc look_at(struct verifier *v, const struct instance_row *i, enum depth depth, struct err *err)
{
	const struct store_pause until_stop = { .is_over = is_over, .ctx = v };
	char below[PATH_MAX], path[PATH_MAX], sha256[65];
	int64_t size;

	enum rc rc = path_below_model(i, i->model_generation, below, err);
	if (rc == RC_OK)
		rc = path_join(path, v->engine->data_dir, below, err);
	if (rc != RC_OK)
		return rc;
	if (depth == IS_THERE) {
		rc = file_size(path, &size, err);
		return rc != RC_NOT_FOUND ? rc : err_set(err, rc, "the model file '%.200s' is missing", path);
	}
	rc = closer_hash_file(path, &until_stop, sha256, err);
	if (rc == RC_OK && strcmp(sha256, i->model_sha256) != 0)
		rc = err_set(err, RC_CORRUPT,
			     "the model file '%.200s' is damaged: its checksum is not the recorded one", path);
	return rc;
}

/* A model is removed after another took its place; so one that was in service when the list was made may be gone. */
static enum rc ask_replaced(struct store *s, const struct instance_row *i, bool *is_replaced, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct instance_row now;

	enum rc rc = row_instance(s, i->id, a, &now, err);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	*is_replaced = rc == RC_NOT_FOUND || now.model_generation != i->model_generation;
	return RC_OK;
}

enum finding { SOUND, FLAWED, UNSEEN };

static bool is_exhausted(const struct err *err)
{
	return err->sys == EMFILE || err->sys == ENFILE || err->sys == ENOMEM;
}

static enum finding judge(struct verifier *v, struct store *s, const struct instance_row *i, enum depth depth,
			  struct err *err)
{
	struct err second = { 0 };
	bool is_replaced = false;

	enum rc rc = *i->model_sha256 ? look_at(v, i, depth, err) : RC_OK;
	if (rc == RC_OK)
		return SOUND;
	if (rc == RC_TIMEOUT || is_exhausted(err))
		return UNSEEN;
	rc = ask_replaced(s, i, &is_replaced, &second);
	if (rc == RC_BUSY)
		*err = second;
	return rc == RC_BUSY ? UNSEEN : rc == RC_OK && is_replaced ? SOUND : FLAWED;
}

/* V3: patiently, but not while the start waits for it (V1). */
static enum finding find_out(struct verifier *v, struct store *s, const struct instance_row *i, enum depth depth,
			     struct err *err)
{
	enum finding f = judge(v, s, i, depth, err);

	if (f != UNSEEN || must_stop(v))
		return f;
	log_warn("model.not_checked", "instance=%s generation=%lld reason=\"%s\"", i->name,
		 (long long)i->model_generation, err->msg);
	while (f == UNSEEN && depth == IS_WHOLE && rest_until(v, clock_mono_ms() + AGAIN_MS))
		f = judge(v, s, i, depth, err);
	if (f != UNSEEN)
		log_info("model.checked", "instance=%s generation=%lld", i->name, (long long)i->model_generation);
	return f;
}

static size_t collect(struct verifier *v, struct store *s, const struct instance_row *rows, size_t n, enum depth depth,
		      struct flaw *out)
{
	size_t n_flaws = 0;

	for (size_t i = 0; i < n && !must_stop(v); i++) {
		struct err err = { 0 };
		if (find_out(v, s, &rows[i], depth, &err) != FLAWED)
			continue;
		if (engine_model_is_sound(v->engine, &rows[i]))
			log_error("model.unusable", "instance=%s generation=%lld reason=\"%s\"", rows[i].name,
				  (long long)rows[i].model_generation, err.msg);
		out[n_flaws++] = (struct flaw){ rows[i].id, rows[i].model_generation };
	}
	return n_flaws;
}

static void publish(struct verifier *v, struct flaw *flaws, size_t n, enum depth depth)
{
	(void)pthread_mutex_lock(&v->lock);
	bool counts = !v->is_stopping; /* else the pass was cut short */
	struct flaw *old = counts ? v->flaws : flaws;
	if (counts) {
		v->flaws = flaws;
		v->n_flaws = n;
		v->checked_at = depth == IS_WHOLE ? clock_wall_ms() : v->checked_at;
	}
	(void)pthread_mutex_unlock(&v->lock);
	mem_free(old);
}

/* ---- totals ---- */

struct mend {
	struct change base;
	int64_t n_lists;
};

static enum verdict apply_mend(struct engine *e, struct change *base)
{
	return verdict_of(store_mend_totals(e->store, &((struct mend *)base)->n_lists, &base->err));
}

static void told_mended(UNUSED struct engine *e, struct change *base)
{
	log_warn("totals.mended", "lists=%lld", (long long)((const struct mend *)base)->n_lists);
}

static void free_mend(struct change *base) { mem_free(base->ctx); }

/* V4. What cannot be read is told by whoever needs it. */
static void check_totals(struct verifier *v, struct store *s)
{
	const struct store_pause until_stop = { .is_over = is_over, .ctx = v };
	struct err err = { 0 };

	if (store_check_totals(s, &until_stop, &err) != RC_CORRUPT)
		return;
	log_error("totals.wrong", "reason=\"%s\"", err.msg);
	struct mend *m = mem_new(struct mend);
	m->base = (struct change){ .apply = apply_mend, .committed = told_mended, .done = free_mend, .ctx = m };
	writer_submit_own(v->engine, &m->base);
}

/* False: not even the list could be read. */
static bool make_pass(struct verifier *v, enum depth depth)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ROWS_MAX);
	struct query q = { .table = &table_instance,
			   .preds = { PRED_INT("model_generation", CMP_GT, 0) },
			   .n_preds = 1 };
	struct instance_row *rows = NULL;
	struct store *s = NULL;
	struct err err = { 0 };
	size_t n = 0;

	enum rc rc = store_open_sqlite(v->engine->store_path, STORE_READER, &s, &err);
	if (rc == RC_OK)
		rc = store_list(s, &q, a, (void **)&rows, &n, &err);
	if (rc == RC_OK) {
		struct flaw *flaws = mem_array(n + 1, sizeof *flaws);
		publish(v, flaws, collect(v, s, rows, n, depth, flaws), depth);
		if (worry_ends(&v->no_list))
			log_info("model.checked", "the list of models can be read again");
	} else if (worry_is_news(&v->no_list, clock_mono_ms())) {
		log_warn("model.not_checked", "reason=\"%s\"", err.msg);
	}
	if (rc == RC_OK && depth == IS_WHOLE)
		check_totals(v, s);
	store_close(s);
	return rc == RC_OK;
}

/* ---- the thread ---- */

/* True when the time for another pass has come: soon, when the last one came to nothing (V3). */
static bool rest(struct verifier *v, bool is_done)
{
	int64_t every_ms = is_done ? v->engine->verify_every_ms : AGAIN_MS;
	return rest_until(v, every_ms ? clock_mono_ms() + every_ms : INT64_MAX);
}

static void *verifier_main(void *arg)
{
	struct verifier *v = arg;
	bool is_done;
	do
		is_done = make_pass(v, IS_WHOLE);
	while (rest(v, is_done));
	return NULL;
}

enum rc verifier_start(struct engine *e, struct err *err)
{
	struct verifier *v = mem_new(struct verifier);

	v->engine = e;
	cond_init(&v->stops);
	must(pthread_mutex_init(&v->lock, NULL) == 0);
	e->verifier = v;
	(void)make_pass(v, IS_THERE); /* V1; what it cannot see the next one does */
	int sys = pthread_create(&v->thread, NULL, verifier_main, v);
	if (sys)
		return err_sys(err, RC_IO, sys, "cannot start the verifier thread");
	v->has_thread = true;
	return RC_OK;
}

void verifier_stop(struct engine *e)
{
	struct verifier *v = e->verifier;

	if (!v)
		return;
	(void)pthread_mutex_lock(&v->lock);
	v->is_stopping = true;
	(void)pthread_cond_broadcast(&v->stops);
	(void)pthread_mutex_unlock(&v->lock);
	if (v->has_thread)
		must(pthread_join(v->thread, NULL) == 0);
	v->has_thread = false;
}

void verifier_free(struct engine *e)
{
	struct verifier *v = e->verifier;

	if (!v)
		return;
	(void)pthread_cond_destroy(&v->stops);
	(void)pthread_mutex_destroy(&v->lock);
	mem_free(v->flaws);
	mem_free(v);
	e->verifier = NULL;
}
