/* Opening and closing, in an order that leaves nobody talking to what is gone. */
#include "engine/engine.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "engine/priv.h"
#include "os/file.h"

static enum rc set_paths(struct engine *e, const struct engine_config *cfg, struct err *err)
{
	char real[PATH_MAX]; /* children work elsewhere: every path they are told must be absolute */

	if (!realpath(cfg->data_dir, real))
		return err_sys(err, RC_NOT_FOUND, errno, "cannot find the data folder '%.300s'", cfg->data_dir);
	if (strlen(real) >= sizeof e->data_dir)
		return err_set(err, RC_LIMIT, "the data folder's path is longer than %zu bytes",
			       sizeof e->data_dir - 1);
	if (strlen(cfg->self_exe) >= sizeof e->self_exe)
		return err_set(err, RC_LIMIT, "the program's path is longer than %zu bytes", sizeof e->self_exe - 1);
	memcpy(e->data_dir, real, strlen(real) + 1);
	(void)snprintf(e->self_exe, sizeof e->self_exe, "%s", cfg->self_exe);
	(void)snprintf(e->store_path, sizeof e->store_path, "%s/stint.db", e->data_dir);
	return RC_OK;
}

/* Absolute also when the folder is not there yet: relative ones are meant from where the server was started. */
static char *absolute(const char *path)
{
	char real[PATH_MAX], here[PATH_MAX], joined[PATH_MAX];

	if (realpath(path, real))
		return mem_dup(real);
	if (path[0] != '/' && getcwd(here, sizeof here) && path_join(joined, here, path, NULL) == RC_OK)
		return mem_dup(joined);
	return mem_dup(path);
}

static void set_roots(struct engine *e, const struct engine_config *cfg)
{
	char import[PATH_MAX];

	(void)snprintf(import, sizeof import, "%s/import", e->data_dir);
	e->roots = mem_array((size_t)cfg->n_import_roots + 1, sizeof *e->roots);
	e->roots[e->n_roots++] = mem_dup(import);
	for (int i = 0; i < cfg->n_import_roots; i++)
		e->roots[e->n_roots++] = absolute(cfg->import_roots[i]);
}

enum rc engine_make_folders(const char *data_dir, struct err *err)
{
	static const char *const names[] = { "import", "models", "logs", "functions.d", "cache", "backups" };

	return dir_make_in(data_dir, names, ARRAY_LEN(names), 0700, err);
}

static enum rc look_for_keys(struct engine *e, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct query q = { .table = &table_key, .preds = { PRED_INT("is_active", CMP_EQ, 1) }, .n_preds = 1 };
	struct key_row row;

	enum rc rc = store_get(e->store, &q, &row, a, err);
	e->has_keys = rc == RC_OK;
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc load_functions(struct engine *e, const struct engine_config *cfg, struct err *err)
{
	enum { LOG_MIB = 64 };
	char path[PATH_MAX];
	struct function_limits bounds = cfg->bounds;

	bounds.log_mib = bounds.log_mib ? bounds.log_mib : LOG_MIB;
	enum rc rc = path_join(path, e->data_dir, "functions.d", err);
	return rc == RC_OK ? functions_load(path, &bounds, &e->functions, err) : rc;
}

static void init_figures(struct engine *e)
{
	histogram_init(&e->queue_wait_s, metric_latency_bounds_s, ARRAY_LEN(metric_latency_bounds_s));
	histogram_init(&e->commit_s, metric_latency_bounds_s, ARRAY_LEN(metric_latency_bounds_s));
	histogram_init(&e->batch_size, metric_batch_bounds, ARRAY_LEN(metric_batch_bounds));
}

static enum rc open_all(struct engine *e, const struct engine_config *cfg, struct err *err)
{
	struct exec_handlers handlers;

	enum rc rc = set_paths(e, cfg, err);
	if (rc == RC_OK) {
		set_roots(e, cfg);
		rc = engine_make_folders(e->data_dir, err);
	}
	if (rc == RC_OK)
		rc = load_functions(e, cfg, err);
	if (rc == RC_OK)
		rc = keyring_open(e->data_dir, &e->keys, err);
	if (rc == RC_OK)
		rc = writer_open_store(e, /* makes= */ true, err); /* recovers (E7) */
	if (rc == RC_OK) {
		ageing_open(e);
		rc = look_for_keys(e, err);
	}
	if (rc == RC_OK)
		rc = closer_start(e, err);
	run_handlers(e, &handlers);
	if (rc == RC_OK)
		rc = exec_open(&handlers, &e->exec, err);
	if (rc == RC_OK && cfg->adopts_orphans && !exec_adopt_orphans(e->exec))
		log_warn("exec.no_adoption", "what leaves its process group is not ended with its task");
	if (rc == RC_OK)
		rc = writer_start(e, err);
	if (rc == RC_OK)
		rc = verifier_start(e, err); /* it may have something for the writer */
	if (rc == RC_OK)
		rc = keeper_start(e, err);
	if (rc == RC_OK)
		rc = asker_start(e, err);
	if (rc == RC_OK)
		rc = retention_start(e, &cfg->retention, err);
	if (rc == RC_OK)
		closer_sweep(e);
	return rc;
}

enum rc engine_open(const struct engine_config *cfg, struct engine **out, struct err *err)
{
	enum { LOOK_EVERY_MS = 1000, VIEWS = 2 };
	struct engine *e = mem_new(struct engine);

	e->hints = hints_new();
	e->max_running = cfg->max_running;
	e->views = cfg->views ? cfg->views : VIEWS;
	e->instances_max = cfg->instances_max;
	e->stop_grace_ms = cfg->stop_grace_ms;
	e->verify_every_ms = cfg->verify_every_ms;
	e->look_every_ms = cfg->look_every_ms ? cfg->look_every_ms : LOOK_EVERY_MS;
	e->takes_claims = true;
	atomic_init(&e->is_healthy, true);
	atomic_init(&e->is_swept, false);
	atomic_init(&e->retry_delay_ms, 250);
	init_figures(e);
	enum rc rc = open_all(e, cfg, err);
	if (rc != RC_OK) {
		engine_close(e);
		return rc;
	}
	*out = e;
	return RC_OK;
}

/* From now on nothing is taken from outside, and the writer claims nothing. */
static enum verdict apply_stop_claims(struct engine *e, struct change *c)
{
	(void)c;
	e->takes_claims = false;
	return V_OK;
}

struct stop_claims {
	struct change base;
	struct engine *engine;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

static void claims_stopped(struct change *base)
{
	struct stop_claims *s = (struct stop_claims *)base;
	s->engine->takes_claims = false; /* also when the store took no transaction */
	(void)pthread_mutex_lock(&s->lock);
	s->is_done = true;
	(void)pthread_cond_signal(&s->done);
	(void)pthread_mutex_unlock(&s->lock);
}

static void stop_claims(struct engine *e)
{
	struct stop_claims s = { .base = { .apply = apply_stop_claims, .done = claims_stopped }, .engine = e };

	must(pthread_mutex_init(&s.lock, NULL) == 0);
	must(pthread_cond_init(&s.done, NULL) == 0);
	(void)pthread_mutex_lock(&e->queue_lock);
	e->is_refusing = true;
	(void)pthread_mutex_unlock(&e->queue_lock);
	writer_submit_own(e, &s.base);
	(void)pthread_mutex_lock(&s.lock);
	while (!s.is_done)
		(void)pthread_cond_wait(&s.done, &s.lock);
	(void)pthread_mutex_unlock(&s.lock);
	(void)pthread_cond_destroy(&s.done);
	(void)pthread_mutex_destroy(&s.lock);
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	if (e->has_writer)
		stop_claims(e);
	verifier_stop(e);
	keeper_stop(e);
	asker_stop(e);
	retention_stop(e);
	if (e->exec)
		exec_stop_all(e->exec, e->stop_grace_ms); /* on_end for each child: to the closer */
	closer_wait(e);                                /* ends go on to the writer */
	writer_stop(e);                                /* its last acknowledgements still reach exec */
	ageing_close(e);
	exec_free(e->exec);
	cache_answer_rest(e);
	closer_free(e);
	verifier_free(e);
	run_free(e);
	store_close(e->store);
	keyring_free(e->keys);
	hints_free(e->hints);
	functions_free(e->functions);
	for (int i = 0; i < e->n_roots; i++)
		mem_free(e->roots[i]);
	mem_free(e->roots);
	mem_free(e);
}

bool engine_is_healthy(const struct engine *e) { return atomic_load(&e->is_healthy); }
bool engine_has_keys(const struct engine *e) { return e->has_keys; }
const struct functions *engine_functions(const struct engine *e) { return e->functions; }
