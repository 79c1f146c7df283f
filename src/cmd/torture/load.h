/*
 * load: connections that each do one random thing after another, and check every answer against the model.
 *
 * What a connection decides comes from seed, round and its number; how far it gets, from the machine.
 * Threads: started and stopped by one.
 */
#ifndef CMD_TORTURE_LOAD_H
#define CMD_TORTURE_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include "cmd/torture/ask.h"

struct worker;

struct load {
	struct model *model;
	const char *endpoint, *key_id, *key_secret;
	uint64_t seed;
	int64_t round;
	int n;
	struct worker *workers;
	pthread_rwlock_t deeds; /* held for reading by whoever is at something */
	atomic_bool is_stopping;           /* the server is about to go: answers may stay away */
	int64_t n_done, n_refused, n_lost; /* after load_stop */
	int64_t first_lost_us;             /* when an answer first stayed away; 0 never */
};

enum rc load_start(struct load *l, struct err *err) NODISCARD;
void load_stop(struct load *l);
/* Wait until no request is under way, and let nobody begin one. */
void load_hold(struct load *l);
void load_go_on(struct load *l);

/* An order for an instance: what its tasks are to do. */
void load_wish(const struct instance_fact *i, struct rng *r, struct wish *out);

#endif
