/*
 * job_cache: what the operations on a Redis instance (job_cache.c) and its analyses (job_scan.c, job_diagnose.c) share.
 */
#ifndef CMD_JOB_CACHE_H
#define CMD_JOB_CACHE_H

#include "cache/cache.h"
#include "cmd/job.h"
#include "engine/cache.h"

struct operation {
	const json_t *task, *args;
	struct cache_instance cache;
	struct cache_run run;
	struct jw *result; /* inside the result object, for what an operation adds */
	bool is_retry;
	char order[24]; /* the same for each attempt at this task, and no other's */
};

/* Adds "scan" to the result. */
enum rc job_scan(struct operation *o, enum scan_kind kind, struct arena *a, struct err *err) NODISCARD;
/* One of the analyses; adds its members to the open "scan". */
enum rc job_diagnose(struct operation *o, struct arena *a, struct err *err) NODISCARD;

#endif
