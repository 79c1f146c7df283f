/*
 * world: an engine on a data folder of its own, for fault loops: calls that wait for their answer, rows looked at
 * through a connection of their own, and the invariants checked on what a run left behind.
 *
 * The main thread prepares and looks and is spared by the faults (inject.h); the engine's threads are tested.
 */
#ifndef FAULT_WORLD_H
#define FAULT_WORLD_H

#include <limits.h>
#include "engine/cache.h"
#include "engine/engine.h"
#include "engine/priv.h"
#include "inject.h"
#include "waiter.h"

struct world {
	char dir[2048];
	struct engine *engine;
	struct arena *arena; /* of what was looked at; emptied by world_check */
	int64_t app_id;
	int n_fds; /* before the start */
};
extern struct world world;

/* Ask the engine and wait for the answer. */
#define CALL(fn, change) CALL_ON(world.engine, fn, change)

void world_begin(void);                                    /* folder and functions; no engine yet */
void world_end(void);                                      /* the folder goes */
void world_empty(void);                                    /* back to what world_begin made */
enum rc world_open(int max_running, struct err *err);      /* faults may be armed */
void world_start(int max_running);                         /* must work, and makes the app group "shop" */
void world_stop(void);                                     /* and nothing leaks */

void world_make_instance(const char *function, const char *name, const char *cron);
void world_make_task(const char *function, const char *name);
#define WORLD_PROJECT "0123456789abcdef0123456789abcdef"
/* An instance of the smallest size, to be made by CALL. */
struct cache_create world_cache(const char *name, int port);
void world_make_cache(const char *name, char uid[37]);
void world_wait_healthy(const char *what);                 /* it takes changes again, by itself */
/* Until check holds or 20 s are over. */
bool world_comes_true(bool (*check)(void *ctx), void *ctx);
bool world_comes_true_within(int64_t ms, bool (*check)(void *ctx), void *ctx);

/* Rows as they are on the disk now; false: none. */
bool world_app(const char *name, struct app_row *out);
bool world_instance(const char *function, const char *name, struct instance_row *out);
bool world_task(int64_t instance_id, int64_t generation, struct task_row *out);
int64_t world_count(const struct table *t, const char *col, int64_t value);
struct store *world_store(enum store_mode mode);
/* The instance's task of that generation, ended; false: not within 20 s. */
bool world_ended(const char *function, const char *name, int64_t generation, struct task_row *out);
/* Change a row behind the engine's back. */
void world_set_task(int64_t instance_id, int64_t generation, enum task_state state, int64_t attempt, pid_t pid,
		    int64_t mark);
void world_set_running(const char *cache_uid);             /* and what made it has ended */
void world_set_cron(const char *function, const char *name, int64_t next_at);

/* E2, E3, E6, E7 (when the engine is stopped and started again), E8 on all rows; the database is whole; no temporary
 * file is left. The engine is stopped. */
void world_check(const char *what);

/* The next n of a loop: each one up to 100, then in steps of a hundredth (there are thousands of allocations); with
 * $STINT_QUICK 1, 3, 7, 15 ...; with $STINT_FAULT_EVERY each single one. */
int world_step(int n);

#endif
