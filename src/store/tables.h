/*
 * tables: the rows stint keeps. One struct and one description each; times are Unix milliseconds (UTC),
 * 0 for "not yet"; JSON texts are what the name says. The SQL is in schema/, checked against this at start.
 */
#ifndef STORE_TABLES_H
#define STORE_TABLES_H

#include <stdint.h>
#include "store/store.h"

/* An access key. secret is AES-256-GCM under DATA/secret.key: nonce(12) | ciphertext | tag(16). */
struct key_row {
	const char *access_key_id; /* primary key */
	struct blob secret;
	const char *account;       /* decimal id of the owning account */
	const char *project_id;    /* 32 hex digits; for the DCS dialect */
	const char *name;          /* free text */
	int64_t is_active;
	int64_t created_at;
};

/* An app group. */
struct app_row {
	int64_t id;                /* primary key, automatic */
	const char *account;
	const char *name;          /* unique with account */
	const char *type, *charge_type, *resource_group_id, *description, *domain;
	const char *quota;         /* JSON object {docSize, computeResource, spec} */
	const char *tags;          /* JSON array [{key, value}] */
	int64_t created_at, updated_at;
};

/* An algorithm instance of a function in an app group. */
struct instance_row {
	int64_t id;                /* primary key, automatic */
	int64_t app_id;            /* app.id, deleted with it */
	const char *function;
	const char *name;          /* unique with app_id and function */
	const char *function_type, *model_type, *source, *description;
	int64_t version_id;
	const char *create_params; /* JSON object name -> text, in the order given */
	const char *usage_params;
	const char *cron;          /* "" none */
	int64_t cron_next_at;      /* 0 none; else when it fires next */
	int64_t last_generation;   /* of the newest task ever created: E3 */
	int64_t model_generation;  /* in service; 0 none: E8 */
	const char *model_sha256;  /* of the model file in service, hex */
	int64_t last_run_ms;       /* duration of the last finished run */
	int64_t busy_task_id;      /* the one unfinished task, 0 none: E2 */
	const char *extend_info;   /* JSON object {dataReport, errors} of the last run */
	int64_t created_at, updated_at;
};

/* One task: for OpenSearch a training run, numbered by generation. */
struct task_row {
	int64_t id;                /* primary key, automatic, never reused */
	int64_t instance_id;       /* unique with generation */
	int64_t generation;        /* 1, 2, 3 ... per instance */
	const char *kind;          /* "train" */
	const char *run_id;        /* trigger__2021-03-05T12:18:41 */
	int64_t state;             /* enum task_state */
	int64_t progress;          /* 0..100 */
	int64_t attempt;           /* of the current or last attempt; 0 before the first */
	int64_t max_attempts;
	int64_t not_before;        /* pending: not claimed before this. 0: at once, whatever becomes of the clock */
	int64_t created_at, started_at, ended_at; /* started_at: first claim; kept over attempts */
	int64_t updated_at;
	const char *params;        /* JSON object as given at creation */
	const char *checkpoint;    /* name of the newest one, "" none */
	int64_t pid, pid_start;    /* of the live attempt; start is field 22 of /proc/PID/stat */
	int64_t fault;             /* enum task_fault, of the end */
	const char *error_code, *error_message; /* in words; "" without failure */
	const char *result;        /* JSON object of the child's result message; "" none */
	const char *data_hash;     /* hex; "" unknown */
};

/* Append-only history of a task. */
struct event_row {
	int64_t id;                /* primary key, automatic, ascending */
	int64_t task_id;           /* deleted with the task */
	int64_t at;
	int64_t attempt;
	const char *kind;          /* queued started progress checkpoint note requeued skipped ended */
	const char *text;
};

/* A metric by step. (task_id, set_name, name, step) is the primary key. */
struct metric_row {
	int64_t task_id;           /* deleted with the task */
	const char *name;          /* "logloss" */
	const char *set_name;      /* "training", "validation", "test" or "" */
	int64_t step;
	double value;
	int64_t at;
};

/* The instance used when a query names none; one per (app, function). */
struct default_row {
	int64_t app_id;            /* primary key with function */
	const char *function;
	int64_t instance_id;
};

/* A Redis instance of the DCS dialect. Its tasks belong to a row of instance (unit_id), which outlives it, so that
 * the records of a deleted instance stay. Of passwords only hashes are kept (cache/cache.h). */
struct cache_row {
	int64_t id;                /* primary key, automatic */
	const char *uid;           /* UUID with dashes, lower case; unique */
	int64_t unit_id;           /* instance.id */
	const char *project_id;
	const char *name, *description;
	const char *status;        /* the contract's words: CREATING, RUNNING, ERROR ... */
	const char *engine_version, *spec_code, *cache_mode; /* "7.0", "redis.ha.xu1.tiny.r2.128", "ha" */
	int64_t capacity_mib;
	const char *ip;            /* of the master, which clients use */
	int64_t port;
	int64_t wrong_passwords, locked_until; /* in a row; ms */
	const char *maintain_begin, *maintain_end; /* HH:mm:ss, UTC */
	const char *tags;          /* JSON array [{key, value}] */
	const char *backup_policy; /* JSON object, "" none */
	const char *echo;          /* JSON object: what the caller gave and only wants to read again */
	const char *whitelist;     /* JSON {enable_whitelist, whitelist: [{group_name, ip_list}]}, "" never set */
	const char *state;         /* JSON of struct cache_instance (cache/cache.h): what runs; set when a task ends */
	int64_t created_at, launched_at, updated_at, deleted_at;
};

/* A task of a cache, for lists over a project that outlive the cache. */
struct cache_task_row {
	int64_t task_id;           /* primary key; deleted with the task */
	int64_t cache_id;
	const char *project_id;
};

struct backup_row {
	int64_t id;                /* primary key, automatic */
	const char *uid;           /* UUID; unique */
	int64_t cache_id;
	const char *name, *type;   /* "backup_20190510163116"; manual, auto */
	const char *status;        /* waiting backuping succeed failed expired deleted */
	const char *remark, *format;
	int64_t size;              /* bytes */
	const char *sha256, *path; /* of the RDB file */
	int64_t task_id;
	const char *error_code;
	int64_t created_at, started_at, updated_at, expires_at;
};

struct restore_row {
	int64_t id;                /* primary key, automatic */
	const char *uid;           /* UUID; unique */
	int64_t cache_id;
	const char *backup_uid;
	const char *name, *remark;
	const char *status;        /* waiting restoring succeed failed */
	int64_t task_id;
	const char *error_code;
	int64_t created_at, updated_at;
};

/* One run of an analysis of a cache. */
struct scan_row {
	int64_t id;                /* primary key, automatic */
	const char *uid;           /* UUID; unique */
	int64_t cache_id;
	const char *kind;          /* bigkey hotkey expire offline diagnosis */
	const char *type;          /* manual, auto */
	const char *status;        /* waiting running success failed */
	const char *args, *result; /* JSON objects; result "" until it succeeded */
	int64_t num;               /* of findings: keys, as the contract counts them */
	int64_t task_id;
	int64_t created_at, started_at, ended_at;
};

/* When an analysis of a cache runs by itself; one per cache and kind (engine/schedule.h). */
struct schedule_row {
	int64_t id;                /* primary key, automatic */
	int64_t cache_id;          /* unique with kind */
	const char *kind;          /* bigkey hotkey expire */
	int64_t is_enabled;
	const char *times;         /* bigkey, hotkey: "08:00,21:00", every day in UTC; "" none */
	int64_t first_at;          /* expire: the first firing; 0 none */
	int64_t interval_s;        /* expire: from firing to firing; 0: only the first */
	int64_t timeout_s, batch;  /* expire: of each scan; keys a step */
	int64_t next_at;           /* when it fires next; 0 never */
	int64_t skipped_at;        /* the last firing that made no scan, 0 none, and why */
	const char *skipped_why;
	int64_t updated_at;        /* when it was last set */
};

/* A set of parameters that a user keeps for instances to come. */
struct template_row {
	int64_t id;                /* primary key, automatic */
	const char *uid;           /* UUID; unique */
	const char *project_id;
	const char *name, *description;
	const char *engine_version, *cache_mode; /* of the instances it is for */
	const char *params;        /* JSON object name -> text: those that differ from the defaults */
	int64_t created_at, updated_at;
};

extern const struct table table_key, table_app, table_instance, table_task, table_event, table_metric, table_default,
	table_cache, table_cache_task, table_backup, table_restore, table_scan, table_schedule,
	table_template;
extern const struct table *const all_tables[14];

#endif
