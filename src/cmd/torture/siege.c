#include "cmd/torture/siege.h"

#include <signal.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"

/* A task's process, or with Redis instances as often one of theirs. */
static void kill_child(struct session *s, struct rng *r)
{
	if (s->t.caches && rng_below(r, 2) && redis_kill_one(s->t.cfg.data, r)) {
		s->t.caches->n_killed++;
		return;
	}
	struct marked *live = mem_array(MARKED_MAX, sizeof *live);
	size_t n = server_marked(&s->t.cfg, live);

	if (n > 0) {
		const struct marked *m = &live[rng_below(r, n)];
		(void)kill(m->pid, SIGKILL); /* ended meanwhile: as good */
		s->totals->child_kills++;
	}
	mem_free(live);
}

/* Wait until so many ms after from_ms. False: the server died before. */
static bool wait_until(struct session *s, int64_t from_ms, int64_t ms)
{
	int64_t left_ms = ms - (clock_mono_ms() - from_ms);
	return !server_wait(&s->t.server, left_ms > 0 ? left_ms : 0);
}

/* Wait through the load, killing children and beginning a backup on the way. When it was over: the server's death or
 * the plan's time. */
static enum rc watch_load(struct session *s, const struct siege *w, struct load *l, struct rng *r, struct err *err)
{
	const struct plan *p = w->plan;
	int64_t from_ms = clock_mono_ms();
	bool is_to_copy = w->copy != NULL;
	int next = 0;

	for (bool lives = true; lives;) {
		bool kills = next < p->n_child_kills;
		int64_t at_ms = kills ? p->child_kill_ms[next] : p->load_ms;
		bool copies = is_to_copy && p->backup_ms <= at_ms;
		lives = wait_until(s, from_ms, copies ? p->backup_ms : at_ms);
		if (lives && copies) {
			is_to_copy = false;
			enum rc rc = copy_begin(w->copy, s, l, err);
			if (rc != RC_OK)
				return rc;
		} else if (lives && kills) {
			kill_child(s, r);
			next++;
		} else {
			break;
		}
	}
	return is_to_copy ? copy_begin(w->copy, s, l, err) : RC_OK; /* of what a server left that died early */
}

static void count(struct session *s, const struct load *l, enum ending how)
{
	s->totals->done += l->n_done;
	s->totals->refused += l->n_refused;
	s->totals->lost += l->n_lost;
	s->totals->ended[how]++;
}

/* ---- the load ---- */

/* That of both clouds. */
static enum rc start(struct session *s, const struct siege *w, struct load *l, struct cache_load *redis,
                     struct err *err)
{
	struct rng r;

	enum rc rc = load_start(l, err);
	if (rc != RC_OK || !s->t.caches)
		return rc;
	plan_rng(w->seed, w->round, CONNECTIONS_MAX + 2, &r);
	rc = cache_load_start(redis, s->t.caches, s->t.server.endpoint, &r, &l->deeds, err);
	if (rc != RC_OK)
		load_stop(l);
	return rc;
}

static void stop(struct session *s, struct load *l, struct cache_load *redis)
{
	if (s->t.caches)
		cache_load_stop(redis);
	load_stop(l);
	if (!s->t.caches)
		return;
	l->n_done += redis->asker.n_done;
	l->n_refused += redis->asker.n_refused;
	l->n_lost += redis->asker.n_lost;
	if (redis->asker.lost_us && (!l->first_lost_us || redis->asker.lost_us < l->first_lost_us))
		l->first_lost_us = redis->asker.lost_us;
}

enum rc siege_lay(struct session *s, const struct siege *w, struct load *l, struct err *err)
{
	struct torture *t = &s->t;
	struct cache_load redis;
	struct rng r;
	char words[80];

	*l = (struct load){ .model = &t->model,
		            .endpoint = t->server.endpoint,
		            .key_id = t->key_id,
		            .key_secret = t->key_secret,
		            .seed = w->seed,
		            .round = w->round,
		            .n = w->connections };
	plan_rng(w->seed, w->round, CONNECTIONS_MAX, &r);
	enum rc rc = start(s, w, l, &redis, err);
	if (rc != RC_OK)
		return rc;
	rc = watch_load(s, w, l, &r, err);
	int64_t end_us = clock_mono_us();
	bool lived = t->server.is_up;
	atomic_store(&l->is_stopping, true);
	if (t->caches)
		atomic_store(&redis.is_stopping, true);
	bool is_fine = session_end(s, w->plan, words, sizeof words);
	stop(s, l, &redis);
	if (!is_fine)
		findings_add(t->findings, "server", "it %s without being asked to", words);
	/* An armed server may have died unnoticed by then. */
	if (lived && !s->is_armed && l->first_lost_us && l->first_lost_us < end_us)
		findings_add(t->findings, "answer", "a request got no answer while the server lived");
	session_check_orphans(s);
	count(s, l, w->plan->ending);
	return rc == RC_OK && w->copy ? copy_end(w->copy, s, err) : rc;
}
