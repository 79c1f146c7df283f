/*
 * run: what the parts of one torture run share. Shown, for cmd/torture*.c alone.
 */
#ifndef CMD_TORTURE_RUN_H
#define CMD_TORTURE_RUN_H

#include "cmd/torture/ask.h"
#include "cmd/torture/caches.h"
#include "cmd/torture/findings.h"
#include "cmd/torture/journal.h"
#include "cmd/torture/model.h"
#include "cmd/torture/plan.h"
#include "cmd/torture/server.h"
#include "store/tables.h"

struct torture {
	uint64_t seed;
	struct server_config cfg;
	struct server server;
	struct findings *findings; /* of the whole run */
	struct model model;
	struct journal journal;
	struct caches *caches;        /* Redis instances, NULL: none */
	const struct journal *before; /* of what this is a copy of; NULL: of nothing */
	const char *key_id, *key_secret;
};

/*
 * check: after a restart, compare what the server shows with the model (check.c).
 *
 * RC_OK: everything was looked at, what is wrong is among the findings. RC_BUSY: the server died on the way, as an
 * armed crash point makes it; nothing was decided that the next look would not decide again.
 */
/* First make the app groups and instances that are there all the time. */
enum rc check_prepare(struct torture *t, struct asker *a, struct err *err) NODISCARD;
enum rc check_all(struct torture *t, struct asker *a, struct err *err) NODISCARD;

/* While nothing runs: delete a record here and there. */
enum rc check_delete_some(struct torture *t, struct asker *a, struct err *err) NODISCARD;

/* judge: every ended task that was not judged yet, in detail: did it end as its act must (judge.c)? */
enum rc judge_all(struct torture *t, struct asker *a, struct err *err) NODISCARD;

/*
 * rows: what lies in the data folder, through the store's reader (rows.c). The server runs meanwhile.
 */
/* E7: each task that is said to run has its live process, and each such process its task. Within the limit. */
enum rc rows_check_processes(struct torture *t, int64_t limit_ms, struct err *err) NODISCARD;
/* Wait until no task is unfinished; RC_TIMEOUT, RC_BUSY when the server died. */
enum rc rows_await_quiet(struct torture *t, int64_t limit_ms, struct err *err) NODISCARD;
/* While nothing runs: files without rows, rows without files, temp files. Within the limit. */
enum rc rows_check_files(struct torture *t, int64_t limit_ms, struct err *err) NODISCARD;

/* Where the log of a task lies. */
enum rc rows_log_path(const struct torture *t, const struct instance_row *i, int64_t generation, char out[PATH_MAX],
                      struct err *err) NODISCARD;

/* damage: spoil the stopped server's data, so that the run must find it (damage.c). */
#define DAMAGED_COPY "copy" /* the record of a restored backup (copy.h), not of the server's */
#define DAMAGED_REDIS "redis" /* what the Redis instances hold (caches.h) */
#define DAMAGES "record|number|state|progress|log|" DAMAGED_COPY "|" DAMAGED_REDIS
enum rc damage_do(struct torture *t, const char *kind, struct rng *r, struct err *err) NODISCARD;

#endif
