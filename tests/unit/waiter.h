/*
 * waiter: for a test that hands something to the engine and waits for its answer, which comes on another thread.
 */
#ifndef WAITER_H
#define WAITER_H

#include <pthread.h>
#include <stdbool.h>
#include "engine/engine.h"

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool is_done;
};
#define WAITER { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false }

static inline void waiter_wake(struct waiter *w)
{
	(void)pthread_mutex_lock(&w->lock);
	w->is_done = true;
	(void)pthread_cond_signal(&w->cond);
	(void)pthread_mutex_unlock(&w->lock);
}

static inline void waiter_wait(struct waiter *w)
{
	(void)pthread_mutex_lock(&w->lock);
	while (!w->is_done)
		(void)pthread_cond_wait(&w->cond, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
}

/* done of a change whose ctx is a waiter. */
static inline void waiter_done(struct change *c) { waiter_wake(c->ctx); }

/* fn(engine, change), and wait. */
#define CALL_ON(engine, fn, change)                                                                                    \
	do {                                                                                                           \
		struct waiter w = WAITER;                                                                              \
		(change)->base.done = waiter_done;                                                                     \
		(change)->base.ctx = &w;                                                                               \
		fn(engine, (change));                                                                                  \
		waiter_wait(&w);                                                                                       \
	} while (0)

#endif
