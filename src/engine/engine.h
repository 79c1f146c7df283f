/*
 * engine: app groups, instances and their tasks; the only writer of task state. Both clouds' dialects call
 * this and translate names, casing and words.
 *
 * Reads: through a view, one per loop thread (its own store connection); they see every change answered before.
 * Writes: a change is a struct the caller owns until done(change) is called (on the writer thread, after the
 *         commit; it must not block; while stopping, on the caller's own thread before the call returns). All texts in
 *         it are borrowed until then. The writer takes all waiting changes, at most 256, into one transaction; a
 *         refused one does not fail its neighbours.
 *
 * Invariants E1-E8: docs/invariants.md. Threads: every function from any thread, a view from one at a time.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "engine/function.h"
#include "store/tables.h"
#include "task/state.h"

/* Outcome in the engine's words. A dialect has a table from these to its codes. */
#define VERDICT_TABLE(X)                                                                            \
	X(OK)                                                                                       \
	X(NO_APP)            /* no such app group in the account */                                 \
	X(APP_EXISTS)                                                                               \
	X(NO_FUNCTION)       /* no function, or no version of it for this model type */             \
	X(NO_INSTANCE)                                                                              \
	X(INSTANCE_EXISTS)                                                                          \
	X(INSTANCE_BUSY)     /* it has an unfinished task: E2 */                                    \
	X(NO_TASK)                                                                                  \
	X(TASK_UNFINISHED)   /* E5 */                                                               \
	X(NO_DEFAULT)                                                                               \
	X(DEFAULT_REFUSED)   /* the default instance cannot be set to that */                       \
	X(BAD_STATE)         /* the cache's status forbids it */                                    \
	X(NO_RECORD)         /* no such backup */                                                   \
	X(BAD_INPUT)         /* err says which and why */                                           \
	X(TOO_MANY)          /* over a limit; err says which */                                     \
	X(UNAVAILABLE)       /* stopping, disk full: nothing was changed, try again later */        \
	X(FAILED)            /* internal; err says what, for the log */

enum verdict {
#define X(name) V_##name,
	VERDICT_TABLE(X)
#undef X
};
const char *verdict_name(enum verdict v);

struct engine;
struct engine_view;

/* How long the records of ended tasks are kept, with their events, metrics, logs and models. Always kept: what the
 * model in service comes from, the newest success, the newest task. */
struct retention_rules {
	int64_t keep_tasks;               /* the newest so many of each instance; 0: all */
	int64_t keep_days;                /* that ended so many days ago; 0: for ever */
	int64_t every_ms;                 /* from one pass to the next; 0: a minute */
};

struct engine_config {
	const char *data_dir;             /* exists, locked by the caller */
	const char *self_exe;             /* program that runs `job` for built-in functions */
	int max_running;                  /* tasks executed at once, at least 0 (0: execution is paused) */
	const char *const *import_roots;  /* further ones; DATA/import always is */
	int n_import_roots;
	int views;                        /* how many engine_view_open will be held at once, to share memory; 0: 2 */
	int64_t instances_max;            /* per app group and function; 0: 1000 */
	int64_t stop_grace_ms;            /* for running children at engine_close */
	struct function_limits bounds;    /* of every function; log_mib 0: 64 */
	struct retention_rules retention;
	bool adopts_orphans;              /* exec_adopt_orphans: only where nobody else starts children */
	int64_t verify_every_ms;          /* models in service are compared with their checksums; 0: only at start */
	int64_t look_every_ms;            /* between looks at the processes of all caches; 0: 1000 */
};

/* The folders below data_dir, which exists: those that are missing, with one fsync for all. */
enum rc engine_make_folders(const char *data_dir, struct err *err) NODISCARD;
/* Opens the store, migrates, recovers (E7), loads functions, starts writer, supervisor and scheduler. */
enum rc engine_open(const struct engine_config *cfg, struct engine **out, struct err *err) NODISCARD;
/* Refuse new changes (V_UNAVAILABLE), stop children (their tasks go back to pending, resumed at the next start),
 * commit what is waiting, close. */
void engine_close(struct engine *e);
bool engine_is_healthy(const struct engine *e); /* the store takes writes */
bool engine_has_keys(const struct engine *e); /* could somebody sign a request when it was opened? */
const struct functions *engine_functions(const struct engine *e);
/* Is the model in service, as far as is known, what was put in service? True without one. E8, engine/verify.c */
bool engine_model_is_sound(const struct engine *e, const struct instance_row *i);
struct engine_state {
	size_t models_unusable;           /* in service, and missing or damaged */
	int64_t models_checked_at;        /* ms; 0: the first check is under way */
	int64_t disk_free;                /* bytes for the data folder; -1: unknown */
};
void engine_state(const struct engine *e, struct engine_state *out);
/* Prometheus text: tasks by state, queue wait, commit batch size and time. */
enum rc engine_metrics(struct engine_view *v, struct buf *out, struct err *err) NODISCARD;

enum rc engine_view_open(struct engine *e, struct engine_view **out, struct err *err) NODISCARD;
void engine_view_close(struct engine_view *v);
/* What is read between these is of one moment. They nest; a view that failed in between may be closed
 * without the end. */
enum rc engine_view_begin(struct engine_view *v, struct err *err) NODISCARD;
void engine_view_end(struct engine_view *v);
/* The same, but the next engine_view_begin goes on with the moment seen if nothing has changed since, which costs next
 * to nothing. engine_view_rest is due before the thread waits for anything. */
void engine_view_pause(struct engine_view *v);
void engine_view_rest(struct engine_view *v);

/* ---- reading: rows and their texts live in a; err is filled for V_FAILED ---- */

/* identity: name (wins) or decimal id. */
enum verdict engine_app_get(struct engine_view *v, const char *account, const char *identity, struct arena *a,
			    struct app_row *out, struct err *err);

struct app_filter {
	const char *account;              /* required */
	const char *name, *type, *resource_group_id; /* exact; NULL: any */
	const char *tags; /* JSON [{key,value}], all of them present; NULL: any. Malformed: V_BAD_INPUT */
	bool by_updated;                  /* default: newest created first */
	int64_t offset, limit;
};
enum verdict engine_app_list(struct engine_view *v, const struct app_filter *f, struct arena *a,
			     struct app_row **rows, size_t *n, int64_t *total, struct err *err);

enum verdict engine_instance_get(struct engine_view *v, int64_t app_id, const char *function, const char *name,
				 struct arena *a, struct instance_row *out, struct err *err);
/* What its id was when anybody asked last: a guess, for struct task_create. 0: none. */
int64_t engine_instance_hint(const struct engine *e, int64_t app_id, const char *function, const char *name);
struct instance_filter {
	int64_t app_id;
	const char *function;
	const char *model_type, *function_type, *source; /* NULL: any */
	int64_t offset, limit;
};
/* Newest first, then by name. */
enum verdict engine_instance_list(struct engine_view *v, const struct instance_filter *f, struct arena *a,
				  struct instance_row **rows, size_t *n, int64_t *total, struct err *err);

enum verdict engine_task_get(struct engine_view *v, int64_t instance_id, int64_t generation, struct arena *a,
			     struct task_row *out, struct err *err);
/* Of the newest task that still has a record; V_NO_TASK: none. */
enum verdict engine_task_newest(struct engine_view *v, int64_t instance_id, struct arena *a, struct task_row *out,
				struct err *err);
enum task_filter_state { TASKS_ALL, TASKS_UNFINISHED, TASKS_SUCCESS, TASKS_FAILED };
struct task_filter {
	int64_t instance_id;
	enum task_filter_state state;
	int64_t started_after, ended_before; /* ms, strict; INT64_MIN / INT64_MAX: no bound. A run that waits for its
						first start counts as started when it was created. A bounded
						ended_before matches ended runs only */
	int64_t offset, limit;
};
/* Highest generation first. */
enum verdict engine_task_list(struct engine_view *v, const struct task_filter *f, struct arena *a,
			      struct task_row **rows, size_t *n, int64_t *total, struct err *err);
enum verdict engine_task_events(struct engine_view *v, int64_t task_id, struct arena *a, struct event_row **rows,
				size_t *n, struct err *err);
/* Ordered by step. */
enum verdict engine_task_metrics(struct engine_view *v, int64_t task_id, struct arena *a, struct metric_row **rows,
				 size_t *n, struct err *err);
/* Of each metric the point of its highest step, in order of set and name, the first `most` of them. The work grows
 * with the number of metrics, not with that of their points. */
enum verdict engine_task_metrics_newest(struct engine_view *v, int64_t task_id, size_t most, struct arena *a,
					struct metric_row **rows, size_t *n, struct err *err);
/* Path of the task's log file (PATH_MAX bytes). */
void engine_task_log_path(const struct engine *e, const struct instance_row *i, int64_t generation, char *out);

enum verdict engine_default_get(struct engine_view *v, int64_t app_id, const char *function, struct arena *a,
				struct instance_row *out, struct err *err);

/* Look a key up for signature checks, through the view's connection. RC_NOT_FOUND: unknown. */
struct access_key;
enum rc engine_key_find(struct engine_view *v, const char *access_key_id, struct arena *a, struct access_key *out,
			struct err *err) NODISCARD;

/* ---- writing ---- */

struct change;
typedef void change_done_fn(struct change *c);

/* The head of every change. The caller sets done and ctx. verdict and err are valid in done(). */
struct change {
	change_done_fn *done;
	void *ctx;
	enum verdict verdict;
	struct err err;
	/* the engine's own */
	enum verdict (*apply)(struct engine *e, struct change *c);
	void (*committed)(struct engine *e, struct change *c);
	bool refuses_first; /* apply refuses, if it does, before it has written anything: so it needs no undo point */
	bool is_patient; /* when the store did not take it, it waits in line again instead of being answered */
	struct change *next;
};

struct app_create {
	struct change base;
	struct app_row row; /* without id and times; filled when done */
};
struct app_remove { /* with its instances, tasks, models, logs; V_INSTANCE_BUSY while one is unfinished */
	struct change base;
	const char *account, *identity;
	int64_t app_id; /* filled when done with V_OK */
};
struct instance_create {
	struct change base;
	int64_t app_id;
	const char *function, *name, *model_type, *function_type, *description, *cron; /* cron "" none */
	const struct param *create_params, *usage_params;
	size_t n_create_params, n_usage_params;
};
struct instance_update { /* NULL members keep their value; a params pointer replaces the whole list */
	struct change base;
	int64_t app_id;
	const char *function, *name;
	const char *description, *cron;
	const struct param *create_params, *usage_params;
	size_t n_create_params, n_usage_params;
	bool sets_create_params, sets_usage_params;
};
struct instance_delete {
	struct change base;
	int64_t app_id;
	const char *function, *name;
	/* the engine's own */
	char model_dir[PATH_MAX], log_dir[PATH_MAX];
};
struct task_create {
	struct change base;
	int64_t app_id;
	const char *function, *instance;
	int64_t hint;       /* engine_instance_hint; 0 none. What it means is what the names mean,
		it is only found sooner */
	int64_t generation; /* filled when done with V_OK */
};
struct task_delete {
	struct change base;
	int64_t app_id;
	const char *function, *instance;
	int64_t generation;
	/* the engine's own */
	bool is_in_service;
	char model_dir[PATH_MAX], log_path[PATH_MAX];
};
struct default_set {
	struct change base;
	int64_t app_id;
	const char *function;
	const char *instance; /* NULL or "": clear */
};

void engine_app_create(struct engine *e, struct app_create *c);
void engine_app_remove(struct engine *e, struct app_remove *c);
/* Checks name, model type, parameters (by the function's rules, train_data inside an import root) and cron. */
void engine_instance_create(struct engine *e, struct instance_create *c);
void engine_instance_update(struct engine *e, struct instance_update *c);
void engine_instance_delete(struct engine *e, struct instance_delete *c);
void engine_task_create(struct engine *e, struct task_create *c);
void engine_task_delete(struct engine *e, struct task_delete *c);
void engine_default_set(struct engine *e, struct default_set *c);

#endif
