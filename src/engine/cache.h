/*
 * cache: Redis instances and their background tasks, for the DCS dialect. A cache is a row beside a unit, a row of
 * instance: so every rule of tasks (E1-E7) holds for its operations. What really happens to processes happens in the
 * task's child (cmd/job_cache.c) through cache/cache.h; the engine keeps the description and moves the status.
 *
 * Verdicts beside those of engine.h keep their meaning: V_NO_INSTANCE no such cache in the project (or deleted),
 * V_INSTANCE_BUSY (busy says with what), V_BAD_STATE its status forbids the operation, V_NO_TASK, V_TASK_UNFINISHED.
 */
#ifndef ENGINE_CACHE_H
#define ENGINE_CACHE_H

#include "cache/analyse.h"
#include "cache/cache.h"
#include "engine/engine.h"

/* name of the task, status meanwhile ("" unchanged), status after a failure, may start from ERROR */
#define CACHE_OP_TABLE(X)                                                                           \
	X(CREATE, "CREATE", "CREATING", "CREATEFAILED", false)                                      \
	X(DELETE, "DELETE", "DELETING", "ERROR", true)                                              \
	X(EXTEND, "EXTEND", "EXTENDING", "RUNNING", false)                                          \
	X(ADD_REPLICA, "AddReplica", "EXTENDING", "RUNNING", false)                                 \
	X(DELETE_REPLICA, "DelReplica", "EXTENDING", "RUNNING", false)                              \
	X(RESTART, "RESTART", "RESTARTING", "ERROR", true)                                          \
	X(SOFT_RESTART, "SOFT_RESTART", "RESTARTING", "ERROR", true)                                \
	X(FLUSH, "FLUSH", "FLUSHING", "RUNNING", false)                                             \
	X(PASSWORD, "modify", "", "RUNNING", false)                                                 \
	X(SWAP, "masterStandbySwapJob", "", "RUNNING", false)                                       \
	X(BACKUP, "BACKUP", "", "RUNNING", false)                                                   \
	X(RESTORE, "RESTORE", "RESTORING", "RUNNING", false)                                        \
	X(PORT, "UpdatePort", "", "RUNNING", false)                                                 \
	X(CONFIG, "UpdateConfig", "", "RUNNING", false)                                             \
	X(PRIORITY, "UpdateSlavePriority", "", "RUNNING", false)                                    \
	X(RESIZE_CHECK, "ResizeCheck", "", "RUNNING", false)                                        \
	X(WHITELIST, "AddWhitelist", "", "RUNNING", false)                                          \
	X(KILL_CLIENTS, "KillClients", "", "RUNNING", false)                                        \
	X(RENAME, "RenameCommands", "RESTARTING", "ERROR", false)                                   \
	X(HEAL, "AutoRecovery", "", "ERROR", true) /* made by the keeper, engine/keeper.c */

enum cache_op {
#define X(id, name, during, failed, from_error) CACHE_OP_##id,
	CACHE_OP_TABLE(X)
#undef X
	CACHE_OPS
};
const char *cache_op_name(enum cache_op op);
/* CACHE_OPS when no operation has that task name. */
enum cache_op cache_op_of(const char *task_name);

/* Analyses: kind in rows, name of the task. They read, so they run beside operations; one of each kind at a time. */
#define SCAN_TABLE(X)                                                                               \
	X(BIGKEY, "bigkey", "BIGKEY")                                                               \
	X(HOTKEY, "hotkey", "HOTKEY")                                                               \
	X(EXPIRE, "expire", "ExpireScan")                                                           \
	X(OFFLINE, "offline", "OfflineAnalysis")                                                    \
	X(DIAGNOSIS, "diagnosis", "Diagnosis")                                                      \
	X(RUN_LOG, "runlog", "RunLog")

enum scan_kind {
#define X(id, kind, name) SCAN_##id,
	SCAN_TABLE(X)
#undef X
	SCAN_KINDS
};
const char *scan_kind_word(enum scan_kind k);  /* "bigkey" */
enum scan_kind scan_of(const char *task_name); /* SCAN_KINDS: no analysis */

/* ---- ids: a task's public one is 32 hex digits, its row id under a block cipher keyed by DATA/secret.key ---- */

enum { TASK_UID_SIZE = 33 };
void engine_task_uid(const struct engine *e, int64_t task_id, char out[TASK_UID_SIZE]);
/* false: no id this server gave out. Accepts dashes and either case. */
bool engine_task_id(const struct engine *e, const char *uid, int64_t *task_id);

/* A signature of text that only this data folder's server makes, 64 hex digits: for links to files. */
enum { LINK_MAC_SIZE = 65 };
void engine_link_mac(const struct engine *e, const char *text, char out[LINK_MAC_SIZE]);

/* ---- reading ---- */

enum verdict engine_cache_get(struct engine_view *v, const char *project_id, const char *uid, struct arena *a,
			      struct cache_row *out, struct err *err);
/* The same by the row's id: of a record that tells which. */
enum verdict engine_cache_find(struct engine_view *v, const char *project_id, int64_t cache_id, struct arena *a,
			       struct cache_row *out, struct err *err);

#define CACHE_DELETED "DELETED" /* the status of a cache that is deleted, whatever became of its processes */
struct cache_filter {
	const char *project_id;                   /* required */
	const char *uid, *name, *status, *ip, *cache_mode; /* NULL: any */
	bool name_is_exact, includes_failed;      /* name: else a part of it */
	bool includes_deleted;                    /* for ever: their rows stay */
	int64_t capacity_mib;                     /* -1: any */
	const char *tags;                         /* "key=value,key=value": all must be there; NULL: any */
	int64_t offset, limit;                    /* newest first */
};
enum verdict engine_cache_list(struct engine_view *v, const struct cache_filter *f, struct arena *a,
			       struct cache_row **rows, size_t *n, int64_t *total, struct err *err);

/* cache_id 0: any of the project. */
enum verdict engine_cache_task_get(struct engine_view *v, const char *project_id, int64_t cache_id, int64_t task_id,
				   struct arena *a, struct task_row *out, struct err *err);
struct cache_task_filter {
	const char *project_id;
	int64_t cache_id;                         /* 0: all, also of deleted caches */
	int64_t created_from, created_until;      /* ms, inclusive; INT64_MIN / INT64_MAX: no bound */
	int64_t offset, limit;                    /* newest first */
};
enum verdict engine_cache_task_list(struct engine_view *v, const struct cache_task_filter *f, struct arena *a,
				    struct task_row **rows, size_t *n, int64_t *total, struct err *err);

struct record_filter {
	int64_t cache_id;
	int64_t created_from, created_until;
	int64_t offset, limit;
};
enum verdict engine_backup_list(struct engine_view *v, const struct record_filter *f, struct arena *a,
				struct backup_row **rows, size_t *n, int64_t *total, struct err *err);
enum verdict engine_backup_get(struct engine_view *v, int64_t cache_id, const char *uid, struct arena *a,
			       struct backup_row *out, struct err *err); /* V_NO_RECORD */
enum verdict engine_restore_list(struct engine_view *v, const struct record_filter *f, struct arena *a,
				 struct restore_row **rows, size_t *n, int64_t *total, struct err *err);

struct scan_filter {
	int64_t cache_id;
	enum scan_kind kind;
	const char *status;                       /* NULL: any */
	int64_t offset, limit;                    /* newest first */
};
enum verdict engine_scan_list(struct engine_view *v, const struct scan_filter *f, struct arena *a,
			      struct scan_row **rows, size_t *n, int64_t *total, struct err *err);
/* cache_id 0: of any cache; the row tells which. V_NO_RECORD. */
enum verdict engine_scan_get(struct engine_view *v, int64_t cache_id, enum scan_kind kind, const char *scan_uid,
			     struct arena *a, struct scan_row *out, struct err *err);

/* The master's figures as the keeper saw them last, at most a few seconds ago. false: not yet, or not serving. */
bool engine_cache_figures(const struct engine *e, int64_t cache_id, struct cache_figures *out);

/* ---- asking a running instance (asker.c) ---- */

enum ask_kind { ASK_SLOW_LOG, ASK_CLIENTS, ASK_KILL };

/* A question that Redis answers in seconds. The caller's until done is called, on the asker's thread; results lie in
 * arena, which nobody else may use meanwhile. */
struct cache_ask {
	void (*done)(struct cache_ask *q);
	void *ctx;
	enum ask_kind kind;
	const char *state;                        /* cache_row.state */
	struct arena *arena;
	int node;                                 /* number of the node asked */
	int max;                                  /* SLOW_LOG: entries, 1 .. 1000 */
	const char *addr;                         /* KILL: "ip:port"; NULL all */
	enum rc rc;                               /* results from here on; see cache/analyse.h */
	struct err err;
	struct cache_slow *slow;
	struct cache_client *clients;
	size_t n;
	int64_t killed;
	struct cache_ask *next;                   /* the asker's own */
};
void engine_cache_ask(struct engine *e, struct cache_ask *q);

/* ---- writing ---- */

struct actor {
	const char *user_name, *user_id;
};

/* Makes row (without id, uid, unit_id, status, times, ip when "", state) and its task CREATE. */
struct cache_create {
	struct change base;
	struct cache_row row;
	struct actor actor;
	const char *password_hash;                /* "" password-free */
	int n_replicas;                           /* of mode ha: 1 .. 5 */
	const char *renames;                      /* JSON object, "{}" none */
	const char *settings;                     /* likewise: parameters that differ from the defaults; NULL none */
	int64_t caches_max, memory_max_mib;       /* quota of the project */
	char uid[37];                             /* filled when done with V_OK */
	int64_t task_id;
	bool is_over_memory;                      /* V_TOO_MANY: for the quota of memory; else for that of caches */
};

/* A task that changes the cache. */
struct cache_operate {
	struct change base;
	const char *project_id, *uid;
	enum cache_op op;
	struct actor actor;
	const char *args;                         /* JSON object for the child, "{}" none */
	const char *details;                      /* JSON object shown as the task's details */
	int64_t not_before;                       /* ms; 0: at once */
	struct backup_row *backup;                /* BACKUP: uid, name, type, remark, format given; stored with it */
	struct restore_row *restore;              /* RESTORE: uid, backup_uid, name, remark */
	bool waits;                               /* done only when the task has ended; then is_success and err */
	/* filled when done */
	int64_t task_id;
	bool is_success;                          /* waits: how the task ended */
	char busy[48];                            /* V_INSTANCE_BUSY: the running task's name, V_BAD_STATE: status */
	/* the engine's own */
	struct engine *engine;
	change_done_fn *caller_done;
	struct cache_operate *next_waiting;
};

/* Row-level change: no process is touched. NULL members keep their value. */
struct cache_update {
	struct change base;
	const char *project_id, *uid;
	const char *name, *description, *maintain_begin, *maintain_end, *tags, *backup_policy, *echo;
	int64_t wrong_passwords, locked_until;    /* -1 keeps */
};

/* Puts tags beside those that are there, a key's old value giving way, or removes those with the keys of tags. In the
 * writer, so that of two changes at once neither is lost. V_TOO_MANY: more than max afterwards. */
struct cache_tag {
	struct change base;
	const char *project_id, *uid;
	const char *tags;                         /* JSON array [{key, value}], keys unique */
	bool removes;
	int max;
};

struct cache_task_delete {
	struct change base;
	const char *project_id;
	const char *uid;                          /* cache; NULL: wherever it is in the project */
	int64_t task_id;
	/* the engine's own */
	char log_path[PATH_MAX], work_dir[PATH_MAX];
};

/* The record and its file. V_BAD_STATE while waiting or being made, V_INSTANCE_BUSY while what reads it is
 * unfinished. */
struct backup_delete {
	struct change base;
	const char *project_id, *uid, *backup_uid;
	bool is_analysed;                         /* with V_INSTANCE_BUSY: by an analysis; else by a restore */
	/* the engine's own */
	char path[PATH_MAX];
};

/* V_BAD_STATE: not running (busy has the status); V_INSTANCE_BUSY: such a scan, or an operation it must not meet;
 * V_NO_RECORD: the backup that it is to read is gone. */
struct scan_create {
	struct change base;
	const char *project_id, *uid;
	enum scan_kind kind;
	struct actor actor;
	const char *type, *args;                  /* "manual", "auto"; JSON object for the child */
	struct scan_row row;                      /* filled when done with V_OK; its texts last like the change's */
	char scan_uid[37], busy[48];
	int64_t busy_task_id;                     /* of such a scan, when one is in the way; else 0 */
	/* the engine's own */
	char log_path[PATH_MAX], work_dir[PATH_MAX];
};

struct scan_delete { /* V_BAD_STATE while waiting or running */
	struct change base;
	const char *project_id, *uid;             /* uid NULL: of any cache of the project */
	enum scan_kind kind;
	const char *scan_uid;
};

/* The backup that a scan with these arguments reads; NULL: none. Lives in a. */
enum rc scan_backup(const char *args, struct arena *a, const char **uid, struct err *err) NODISCARD;
void engine_scan_create(struct engine *e, struct scan_create *c);
void engine_scan_delete(struct engine *e, struct scan_delete *c);
void engine_cache_create(struct engine *e, struct cache_create *c);
void engine_cache_operate(struct engine *e, struct cache_operate *c);
void engine_cache_update(struct engine *e, struct cache_update *c);
void engine_cache_tag(struct engine *e, struct cache_tag *c);
void engine_cache_task_delete(struct engine *e, struct cache_task_delete *c);
void engine_backup_delete(struct engine *e, struct backup_delete *c);

#endif
