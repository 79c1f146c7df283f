/*
 * diagnose: how each node of a running instance fares, measured from Redis itself: INFO twice, a moment apart, its slow
 * log, its configuration, and when a sample of its keys end. judge.h says what the figures mean.
 *
 * Redis keeps no history but its slow log, so only that is of the window asked for; everything else is of the moment,
 * or counted since the process began. The sample (2000 keys at most, and only where a thousand have an expiry) counts
 * as reads that found their keys.
 *
 * Owner:    results live in the arena given.
 * Errors:   as cache/cache.h, for the whole only. A node that cannot be asked is no error: its figures are missing.
 */
#ifndef CACHE_DIAGNOSE_H
#define CACHE_DIAGNOSE_H

#include "cache/cache.h"
#include "cache/judge.h"
#include "cache/measure.h"

struct cache_diagnose_how {
	int64_t from_ms, until_ms;     /* the window, Unix time */
	int span_ms;                   /* between the two looks, 100 .. 60000 */
	double bandwidth;              /* bytes a second a node may receive; 0 unknown */
};

struct cache_diagnosis {
	bool is_asked;                 /* false: why says why not; figures may still tell of the reason (CLIENTS) */
	bool is_master;                /* as the node says */
	struct err why;
	struct figures figures;
	struct cache_commands commands;
	struct names linear;           /* O(N) commands in the slow log or with a good part of the time */
};

/* numbers: of the nodes to ask, 1 .. CACHE_NODES_MAX; out has n places, in their order. */
enum rc cache_diagnose(const struct cache_instance *c, const struct cache_diagnose_how *how, const int *numbers, int n,
		       struct arena *a, struct cache_diagnosis *out, const struct cache_run *run,
		       struct err *err) NODISCARD;

#endif
