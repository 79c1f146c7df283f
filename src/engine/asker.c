/*
 * The asker: one thread that puts a client's question to a Redis instance and waits for the answer, so that no thread
 * of the server that serves others ever waits for Redis. Each question has a few seconds; what takes longer is an
 * analysis, and that is a task.
 */
#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "engine/cache.h"
#include "engine/cache_state.h"
#include "engine/priv.h"

enum { ASK_MS = 3000, WAITING_MAX = 256 };

struct asker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct cache_ask *head, **tail;
	int n_waiting;
	bool is_stopping;
};

static struct cache_ask *take(struct asker *k)
{
	(void)pthread_mutex_lock(&k->lock);
	while (!k->head && !k->is_stopping)
		(void)pthread_cond_wait(&k->filled, &k->lock);
	struct cache_ask *q = k->head;
	if (q) {
		k->head = q->next;
		k->n_waiting--;
		if (!k->head)
			k->tail = &k->head;
	}
	(void)pthread_mutex_unlock(&k->lock);
	return q;
}

/* A server that stops waits for no Redis that does not answer, and there may be many questions. */
static bool is_over(void *ctx)
{
	struct asker *k = ctx;
	(void)pthread_mutex_lock(&k->lock);
	bool is_stopping = k->is_stopping;
	(void)pthread_mutex_unlock(&k->lock);
	return is_stopping;
}

static enum rc answer(struct asker *k, struct cache_ask *q)
{
	struct cache_instance c;
	struct cache_run run = { .timeout_ms = ASK_MS, .ctx = k, .should_stop = is_over };
	enum rc rc = cache_state_parse(q->state, &c, &q->err);

	if (rc != RC_OK)
		return rc;
	switch (q->kind) {
	case ASK_SLOW_LOG:
		return cache_slow_log(&c, q->node, q->max, q->arena, &q->slow, &q->n, &run, &q->err);
	case ASK_CLIENTS:
		return cache_clients(&c, q->node, q->arena, &q->clients, &q->n, &run, &q->err);
	case ASK_KILL:
		return cache_kill_clients(&c, q->node, q->addr, &q->killed, &run, &q->err);
	}
	return RC_INTERNAL;
}

static void *asker_main(void *arg)
{
	struct asker *k = arg;
	for (struct cache_ask *q = take(k); q; q = take(k)) {
		q->rc = answer(k, q);
		q->done(q);
	}
	return NULL;
}

void engine_cache_ask(struct engine *e, struct cache_ask *q)
{
	struct asker *k = e->asker;

	q->next = NULL;
	(void)pthread_mutex_lock(&k->lock);
	bool is_taken = !k->is_stopping && k->n_waiting < WAITING_MAX;
	if (is_taken) {
		*k->tail = q;
		k->tail = &q->next;
		k->n_waiting++;
		(void)pthread_cond_signal(&k->filled);
	}
	(void)pthread_mutex_unlock(&k->lock);
	if (!is_taken) {
		q->rc = err_set(&q->err, RC_BUSY, "too many questions to Redis are waiting");
		q->done(q);
	}
}

enum rc asker_start(struct engine *e, struct err *err)
{
	struct asker *k = mem_new(struct asker);

	k->tail = &k->head;
	must(pthread_mutex_init(&k->lock, NULL) == 0);
	must(pthread_cond_init(&k->filled, NULL) == 0);
	int sys = pthread_create(&k->thread, NULL, asker_main, k);
	if (sys) {
		mem_free(k);
		return err_sys(err, RC_IO, sys, "cannot start the asker thread");
	}
	e->asker = k;
	return RC_OK;
}

void asker_stop(struct engine *e)
{
	struct asker *k = e->asker;

	if (!k)
		return;
	(void)pthread_mutex_lock(&k->lock);
	k->is_stopping = true;
	(void)pthread_cond_signal(&k->filled);
	(void)pthread_mutex_unlock(&k->lock);
	must(pthread_join(k->thread, NULL) == 0); /* refuses what is waiting first */
	(void)pthread_cond_destroy(&k->filled);
	(void)pthread_mutex_destroy(&k->lock);
	mem_free(k);
	e->asker = NULL;
}
