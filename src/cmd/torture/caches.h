/*
 * caches: Redis instances under torture (--dcs): what was acknowledged of them and written into them, a connection that
 * asks for operations and writes data beside the other load, and the look at all of it after a restart.
 *
 * One connection asks for everything, so it can tell each answer in advance. Values only grow: value n of a key is
 * written after n - 1, so what is read must lie between the last that Redis acknowledged and the last that was sent.
 * With a replica only what WAIT has confirmed counts as acknowledged, since a failover may take the end; without one,
 * what Redis has handed to the kernel, which it puts off while an fsync takes long (docs/cache.md).
 *
 * Threads: the load has its own; all else is for the session's while no load runs.
 */
#ifndef CMD_TORTURE_CACHES_H
#define CMD_TORTURE_CACHES_H

#include <pthread.h>
#include <stdatomic.h>
#include "cmd/torture/ask.h"
#include "cmd/torture/server.h"

#define CACHE_PASSWORD "Stint-Torture-1"
enum { CACHES = 3, CACHE_KEYS = 16, CACHE_UID_SIZE = 40, CACHE_TEXT_SIZE = 64 };

struct cache_fact {
	char name[NAME_SIZE];
	const char *mode; /* "single", "ha" */
	int n_nodes;
	enum presence is; /* UNSURE: its creation, without uid, or its deletion got no answer */
	bool was_up;      /* it has been RUNNING: from now on nothing excuses that it is not */
	char uid[CACHE_UID_SIZE], ip[CACHE_TEXT_SIZE];
	int port, size;                             /* size: index of the one asked for last */
	int64_t description, asked_description;     /* asked: its answer is missing; 0 none */
	int64_t description_most;                   /* any from description to this one is right: of a copy; 0 none */
	bool is_open;                               /* it may be another by now, or none: of a copy */
	int64_t kept[CACHE_KEYS], sent[CACHE_KEYS]; /* values of the keys; 0: never written */
};

enum { CACHE_MODES = 2, CACHE_SIZES = 2 };

struct caches {
	const struct server_config *cfg;
	struct findings *findings;
	const char *key_id, *key_secret, *project_id;
	char zone[CACHE_TEXT_SIZE], specs[CACHE_MODES][CACHE_SIZES][CACHE_TEXT_SIZE];
	struct cache_fact rows[CACHES];
	int64_t number; /* of descriptions and values, never given twice */
	int64_t n_made, n_deleted, n_operations, n_written, n_killed, n_failed_creations;
};

void caches_init(struct caches *c, const struct server_config *cfg, struct findings *f);
/* Zone and sizes that the server offers; once. */
enum rc caches_prepare(struct caches *c, const char *endpoint, struct err *err) NODISCARD;
enum rc caches_ask_open(const struct caches *c, const char *endpoint, struct asker *a, struct err *err) NODISCARD;

/* ---- load (caches_load.c) ---- */

struct cache_load {
	struct caches *caches;
	pthread_rwlock_t *gate; /* deeds of struct load: held for reading while at something */
	struct asker asker;
	struct rng rng;
	atomic_bool is_stopping;
	pthread_t thread;
};
enum rc cache_load_start(struct cache_load *l, struct caches *c, const char *endpoint, const struct rng *rng,
                         pthread_rwlock_t *gate, struct err *err) NODISCARD;
/* Its figures stay in l->asker. */
void cache_load_stop(struct cache_load *l);

/* ---- looks (caches_check.c); RC_BUSY: the server does not answer ---- */

/* What the server shows, and what can be read of those that serve. */
enum rc caches_look(struct caches *c, struct asker *a, struct err *err) NODISCARD;
/* Erase what Redis holds behind the server's back, to see that it is noticed. */
void caches_spoil(const struct caches *c);
/* Wait until all serve and nothing is under way; then every key is read, and processes and folders are counted. */
enum rc caches_settle(struct caches *c, struct asker *a, struct err *err) NODISCARD;
/* Delete all; nothing may be left of them. */
enum rc caches_end(struct caches *c, struct asker *a, struct err *err) NODISCARD;

/* ---- a copy (twin.h), made while operations and writes went on ---- */

/* out: what had been acknowledged when the copy was begun. cfg: where the copy will be. */
void caches_twin_take(const struct caches *c, const struct server_config *cfg, struct caches *out);
/* It is complete, and what was asked for since may be in it. backup: the folder, whose list says of which instances it
 * has the data of that time; those that gave none come up with older data, or empty. */
enum rc caches_twin_follow(struct caches *twin, const struct caches *c, const char *backup, struct err *err) NODISCARD;

/* ---- processes (caches_process.c) ---- */

struct redis_process {
	pid_t pid;
	char uid[CACHE_UID_SIZE]; /* of the instance in whose folder it works */
};
enum { REDIS_MAX = 64 };
size_t redis_list(const char *data, struct redis_process out[REDIS_MAX]);
/* Kill one by chance. False: there is none. */
bool redis_kill_one(const char *data, struct rng *r);
/* Kill all that work below the data folder: the end of a run that failed, or what one left that was interrupted. */
void redis_kill_all(const char *data);

/* Connect to an instance as its clients do. RC_IO and others: it does not serve. */
struct wire;
enum rc cache_connect(const struct cache_fact *f, struct wire **out, struct err *err) NODISCARD;

#endif
