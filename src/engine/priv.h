/*
 * priv: what the files of engine/ share. The threads and what each owns:
 *   writer      (writer.c)  e->store, all task state, the run table (run.c); waits for changes or the next due time
 *   supervisor  (exec/)     children; its callbacks only copy and submit changes
 *   closer      (closer.c)  slow file work: checking and publishing models, removing folders
 *   retention   (retention.c)  finds records that may go; the writer removes them
 * Lock: e->queue_lock guards the queue and the stop flags, nothing else; nothing is called under it.
 */
#ifndef ENGINE_PRIV_H
#define ENGINE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/metric.h"
#include "engine/ageing.h"
#include "engine/engine.h"
#include "engine/hints.h"
#include "engine/keys.h"
#include "engine/paths.h"
#include "exec/exec.h"
#include "json/json.h"
#include "store/store.h"

enum {
	BATCH_MAX = 256,
	EVENTS_MAX = 10000,   /* kept per attempt; further ones are counted */
	METRICS_MAX = 100000, /* likewise */
	ARENA_MAX = 64 << 20, /* of one change, or one read */
	DUE_ARENA_MAX = 512 << 20, /* of all that is due at once: a row may have some MiB of parameters */
};

struct closer;
struct asker;
struct keeper;
struct retention;
struct verifier;
struct cache_operate;
struct actor;

/* A claimed attempt, from claim to finish. Writer thread only. */
struct attempt {
	int64_t task_id, number;
	bool is_cache;
	int n_events, n_metrics;
	bool starts; /* claimed in this batch, to be started after its commit */
	bool is_prepared; /* exec has what it is to start, or no_start says why not */
	struct err no_start; /* rc RC_OK: it may */
	char *unsynced_dir; /* its folder, until the first checkpoint in it was announced */
	double wait_s; /* from the task's creation to its first claim; below 0: not the first */
	struct attempt *next;
};

struct engine {
	char data_dir[3072], self_exe[1024];
	struct store *store; /* the writer's; NULL while it cannot be opened */
	char store_path[3200];
	dev_t store_dev; /* with store_ino: the file that is open, to notice when it is no longer the one at its path */
	ino_t store_ino;
	int64_t newest_at; /* when the newest event of before this start was, ms; 0: there is none */
	struct ageing ageing; /* with ageing_lock. mark: what was kept of it; the keeper's, and of open and close */
	struct ageing_mark mark;
	pthread_mutex_t ageing_lock; /* nothing is called under it */
	bool has_ageing, is_ahead_told;
	struct functions *functions;
	struct keyring *keys;
	struct hints *hints; /* of instances, by any thread */
	bool has_keys; /* active ones, at the opening */
	struct exec *exec;
	struct closer *closer;
	struct keeper *keeper;
	struct verifier *verifier;
	struct asker *asker;
	struct retention *retention;
	char **roots; /* import roots, DATA/import first */
	int n_roots;
	int max_running;
	int views; /* that share the memory for them */
	int64_t instances_max, stop_grace_ms, verify_every_ms, look_every_ms;

	pthread_t writer;
	bool has_writer;
	pthread_mutex_t queue_lock;
	pthread_cond_t queue_filled;
	struct change *queue_head, **queue_tail;
	atomic_bool is_refusing; /* new changes from outside are answered V_UNAVAILABLE */
	atomic_bool is_stopping; /* the writer ends once the queue is empty */

	struct attempt *attempts;
	int n_attempts[2]; /* of trainings, of operations on caches */
	struct cache_operate *waiting; /* answered when their tasks end */
	int64_t retry_at_mono; /* after a failed batch: do not try the store before this */
	atomic_llong retry_delay_ms; /* from that batch on */
	bool takes_claims;   /* false while stopping */
	bool looks_for_work; /* something may be claimable or due: look after this batch */
	int64_t next_due_at; /* wall ms; INT64_MAX: nothing waits for a time */
	/* The most that the wall clock was ahead of the monotonic one; INT64_MAX: look what was planned. */
	int64_t clock_lead_ms;

	atomic_bool is_swept; /* the sweep is over: nobody looks for files that no row names */
	atomic_bool is_healthy;
	struct counter n_success, n_failed, n_requeued, n_retired, n_cron_fired, n_cron_skipped;
	struct tally {
		unsigned requeued, cron_fired, cron_skipped;
	} tally; /* of the batch in hand: counted once it is committed */
	struct histogram queue_wait_s, batch_size, commit_s;
};

struct engine_view {
	struct engine *engine;
	struct store *store;
	struct key_cache *keys;
	int depth; /* of engine_view_begin */
};

/* writer.c */
enum rc writer_start(struct engine *e, struct err *err) NODISCARD;
void writer_stop(struct engine *e); /* after the queue is empty; joins */
/* From outside: refused while stopping. From the engine's own threads: always taken. */
void writer_submit(struct engine *e, struct change *c);
void writer_submit_own(struct engine *e, struct change *c);
/* The writer's connection. makes: also when there is no database yet, which only a start may do. */
enum rc writer_open_store(struct engine *e, bool makes, struct err *err) NODISCARD;
/* Fold a store failure inside apply() into a verdict. */
enum verdict verdict_of(enum rc rc);

/* run.c claims and starts, run_said.c keeps what children say, run_end.c ends attempts and recovers. All but the exec
 * handlers on the writer thread. */
#define TASK_FILE "task.json"
/* Where the attempt stands in the table, or where it would; by number too: an attempt that ended and the next one may
 * both be there until the end is answered. */
struct attempt **run_attempt(struct engine *e, int64_t task_id, int64_t number);
void run_drop_attempt(struct engine *e, int64_t task_id, int64_t number);
/* E4: only the attempt that the row names, and only while it runs. */
bool run_is_current(const struct task_row *t, int64_t attempt);
void run_on_start(void *ctx, int64_t task_id, int64_t attempt, pid_t pid, int64_t pid_start);
void run_on_message(void *ctx, int64_t task_id, int64_t attempt, const struct child_msg *msg);
void run_submit_end(struct engine *e, const struct exec_end *x);
void run_handlers(struct engine *e, struct exec_handlers *out);
/* Tasks that the store says run and that do not: at start, and after the store was reopened. */
enum rc run_recover(struct engine *e, struct err *err) NODISCARD;
/* Inside the batch's transaction: fire what cron has due, claim what may run; sets next_due_at. */
enum rc run_due(struct engine *e, int64_t now_ms, struct err *err) NODISCARD;
/* So far that run_due should look, although nothing is due. */
bool run_clock_went_back(const struct engine *e, int64_t now_ms);
void run_start_claimed(struct engine *e);  /* after its commit */
void run_forget_claimed(struct engine *e); /* after its rollback */
void run_free(struct engine *e);
struct run_end;
/* From the closer, once the model was checked or found wanting. Takes ownership of end. */
void run_closed(struct engine *e, struct run_end *end);

/* closer.c */
enum rc closer_start(struct engine *e, struct err *err) NODISCARD;
/* Two steps, since the writer still submits removals while it drains: finish the queue and join, then free. */
void closer_wait(struct engine *e);
void closer_free(struct engine *e);
void closer_remove_path(struct engine *e, const char *path);     /* folder or file, later */
void closer_prune_dir(struct engine *e, const char *path);       /* keep the model file only, later */
void closer_sync_dir(struct engine *e, const char *path);        /* below DATA/models: fsync it, its parents, later */
void closer_check_model(struct engine *e, struct run_end *end);  /* then run_closed */
void closer_sweep(struct engine *e); /* remove folders and logs that no row names */
/* SHA-256 of a model file. Any thread. RC_NOT_FOUND: it is missing. pause may be NULL; else it is asked between blocks,
 * and RC_TIMEOUT is returned once it says so. */
enum rc closer_hash_file(const char *path, const struct store_pause *pause, char hex[65],
			 struct err *err) NODISCARD;

/* verify.c: are the models in service what they were, and the totals those of the rows? Start it after the writer;
 * stop, then free. */
enum rc verifier_start(struct engine *e, struct err *err) NODISCARD;
void verifier_stop(struct engine *e);
void verifier_free(struct engine *e);

/* keeper.c: looks after the processes of caches. Stop it while the writer still answers. */
enum rc keeper_start(struct engine *e, struct err *err) NODISCARD;
void keeper_stop(struct engine *e);

/* retention.c: removes the records of ended tasks that the rules no longer keep. Stop it while the writer answers. */
enum rc retention_start(struct engine *e, const struct retention_rules *rules, struct err *err) NODISCARD;
void retention_stop(struct engine *e);

/* asker.c: waits for Redis so that nobody else has to. */
enum rc asker_start(struct engine *e, struct err *err) NODISCARD;
void asker_stop(struct engine *e);

/* An attempt's end on its way from exec through the closer to the writer. */
struct run_end {
	struct change base;
	struct engine *engine;
	int64_t task_id, attempt;
	bool is_success;
	bool is_final; /* the task ended with it, not only the attempt */
	enum task_fault fault;
	char *code, *message, *result_json;
	char *work_dir;
	char *orphan_dir; /* of the model that this one replaces, when no record names it any more */
	char sha256[65];
	int64_t max_rss, user_ms, system_ms;
};

/* paths.c */
void path_of_app(const struct engine *e, const char *tree, int64_t app_id, char *out);
void path_of_instance(const struct engine *e, const char *tree, const struct instance_row *i, char *out);
/* Below models/. */
void path_of_generation(const struct engine *e, const struct instance_row *i, int64_t generation, char *out);

/* rows.c: typed gets used by several files */
enum rc row_app(struct store *s, int64_t id, struct arena *a, struct app_row *out, struct err *err) NODISCARD;
enum rc row_app_of(struct store *s, const char *account, const char *identity, struct arena *a, struct app_row *out,
		   struct err *err) NODISCARD;
enum rc row_instance(struct store *s, int64_t id, struct arena *a, struct instance_row *out, struct err *err) NODISCARD;
enum rc row_instance_of(struct store *s, int64_t app_id, const char *function, const char *name, struct arena *a,
			struct instance_row *out, struct err *err) NODISCARD;
enum rc row_task(struct store *s, int64_t id, struct arena *a, struct task_row *out, struct err *err) NODISCARD;
enum rc row_task_of(struct store *s, int64_t instance_id, int64_t generation, struct arena *a, struct task_row *out,
		    struct err *err) NODISCARD;
enum rc row_task_newest(struct store *s, int64_t instance_id, struct arena *a, struct task_row *out,
			struct err *err) NODISCARD;
/* A cache that is not deleted. */
enum rc row_cache(struct store *s, const char *project_id, const char *uid, struct arena *a, struct cache_row *out,
		  struct err *err) NODISCARD;
enum rc row_cache_of_task(struct store *s, int64_t task_id, struct arena *a, struct cache_row *out,
			  struct err *err) NODISCARD;
enum rc row_backup(struct store *s, int64_t cache_id, const char *uid, struct arena *a, struct backup_row *out,
		   struct err *err) NODISCARD;
/* When the newest event of all was; 0: there is none. */
enum rc row_event_newest(struct store *s, int64_t *at_ms, struct err *err) NODISCARD;
enum rc row_event_add(struct store *s, int64_t task_id, int64_t attempt, int64_t at, const char *kind, const char *text,
		      struct err *err) NODISCARD;

/* tasks.c: the one way a task comes into being; run_prefix "trigger" or "scheduled". instance is updated too. */
struct task_order {
	const char *kind, *run_prefix, *params;
	int64_t not_before;
};
#define KIND_TRAIN "train"
enum rc task_insert(struct engine *e, struct instance_row *instance, const struct task_order *order, int64_t now_ms,
		    struct arena *a, struct task_row *out, struct err *err) NODISCARD;

/* cache_ops.c: what a cache's task means for its rows. is_cache_task: all others are trainings. */
bool is_cache_task(const struct task_row *t);
enum rc cache_claimed(struct engine *e, const struct task_row *t, int64_t now_ms, struct arena *a,
		      struct err *err) NODISCARD;
/* unit: the task's, free again; what follows a failure may claim it (cache_after.c). */
enum rc cache_finished(struct engine *e, const struct task_row *t, struct instance_row *unit, int64_t now_ms,
		       struct arena *a, struct err *err) NODISCARD;
void cache_answer_waiting(struct engine *e, int64_t task_id, bool is_success, const char *code, const char *message);
void cache_answer_rest(struct engine *e); /* at the close: whoever still waits for an end */
enum rc cache_write_task(struct engine *e, const struct task_row *t, struct jw *w, struct arena *a,
			 struct err *err) NODISCARD;
/* A cache's task under a unit of its, with its link. kind: of the task. */
enum rc cache_insert_task(struct engine *e, struct instance_row *unit, const struct cache_row *c, const char *kind,
			  const struct actor *actor, const char *args, const char *details, int64_t not_before,
			  int64_t now, struct arena *a, int64_t *task_id, struct err *err) NODISCARD;
void cache_new_uid(char out[37]); /* UUID, lower case */
/* cache_address.c: may this cache listen at that port of its addresses? RC_INVALID: one is another cache's. */
enum rc cache_check_address(struct engine *e, const struct cache_row *c, int64_t port, struct arena *a,
			    struct err *err) NODISCARD;
/* cache_after.c: the task that a failed operation needs, if any. */
enum rc cache_follow_up(struct engine *e, struct instance_row *unit, const struct cache_row *c,
			const struct task_row *t, int64_t now_ms, struct arena *a, struct err *err) NODISCARD;
/* scan.c: a scan's creation as part of another change; nothing is written when it is refused. */
struct scan_create;
enum verdict scan_create_apply(struct engine *e, struct scan_create *c);
void scan_create_committed(struct engine *e, struct scan_create *c);
/* What a task means for its analysis. */
enum rc scan_claimed(struct engine *e, const struct task_row *t, int64_t now_ms, struct arena *a,
		     struct err *err) NODISCARD;
enum rc scan_finished(struct engine *e, const struct task_row *t, int64_t now_ms, struct arena *a,
		      struct err *err) NODISCARD;
#define CACHE_FUNCTION "dcs"

/* zone.c: schedules in the process's time zone (TZ). 0: the schedule is empty. */
int64_t zone_cron_next(const char *cron, int64_t after_ms);
void zone_run_time(int64_t at_ms, char out[20]); /* YYYY-MM-DDThh:mm:ss */

#endif
