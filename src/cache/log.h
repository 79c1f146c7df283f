/*
 * log: what the nodes' redis-servers themselves wrote, cut into one file for each node and day.
 *
 * The files lie in DIR/run-logs, named "redis_HOST_YYYY-MM-DD.log", and go with the instance. Days are those of the
 * processes' own clock, as their lines say; a line without a date belongs to the one before it.
 *
 * Not here: making Redis write more or less.
 * Threads:  any, one collection per instance at a time, beside any operation.
 * Errors:   those of cache.h: RC_NOT_FOUND (no such node), RC_BUSY (the disk is full), RC_TIMEOUT, RC_IO.
 */
#ifndef CACHE_LOG_H
#define CACHE_LOG_H

#include "cache/cache.h"

enum { CACHE_LOG_DAYS_MAX = 7 };            /* older files are removed by the next collection */
#define CACHE_LOG_DIR "run-logs"
#define CACHE_LOG_PREFIX "redis_"
#define CACHE_LOG_SUFFIX ".log"

struct cache_log_order {
	int node;                            /* number; -1 all */
	int days;                            /* before today, 0 .. CACHE_LOG_DAYS_MAX */
	int64_t now_s;                       /* wall clock */
	int64_t aged_s;                      /* by which files are old; 0: now_s */
};

/* Write anew what there is of these days; n_files: how many files that are. */
enum rc cache_collect_logs(const struct cache_instance *c, const struct cache_log_order *order, int *n_files,
			   const struct cache_run *run, struct err *err) NODISCARD;

#endif
