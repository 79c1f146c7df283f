/*
 * report: what a whole RDB file holds, added up key by key: totals per database and type, when keys expire, the largest
 * keys of each type, and the prefixes of names under which the memory lies. It comes out as JSON (docs/rdb.md).
 *
 * Use:      r = rdb_report_new(&options);
 *           rdb_read(path, &(struct rdb_visitor){ r, rdb_report_key, NULL }, &info, err);
 *           rdb_report_write(r, &info, out); rdb_report_free(r);
 * Memory:   fixed by the options: below 1 MiB at their limits, however many keys come.
 * Exact:    everything but the prefixes. Those are a Space-Saving summary (rdb/heavy.h): each is told with a lower and
 *           an upper bound, and none that holds more than 1/1024 of the prefixed memory is missing from it.
 * Threads:  one owner at a time.
 */
#ifndef RDB_REPORT_H
#define RDB_REPORT_H

#include <stdint.h>
#include "base/buf.h"
#include "rdb/rdb.h"

enum {
	RDB_REPORT_TOP_MAX = 100,
	RDB_REPORT_DEPTH_MAX = 4,
	RDB_REPORT_DATABASES = 64,  /* told one by one; those met later are told together */
	RDB_REPORT_NAME_MAX = 256,  /* bytes of a large key's name that are told */
	RDB_REPORT_PREFIXES = 1024, /* counters of the summary */
};

struct rdb_report_options {
	int64_t now_ms; /* expiries are told as times from here */
	int top_n;      /* 1 .. RDB_REPORT_TOP_MAX: keys in each ranking, and prefixes */
	int depth;      /* 1 .. RDB_REPORT_DEPTH_MAX: a:b:c counts under "a:", and with 2 also under "a:b:" */
	char separator; /* usually ':' */
};

struct rdb_report;

struct rdb_report *rdb_report_new(const struct rdb_report_options *o);
void rdb_report_free(struct rdb_report *r);                                     /* NULL is fine */
enum rc rdb_report_key(void *report, const struct rdb_key *k, struct err *err); /* always RC_OK */
/* One JSON object; past out's ceiling out->is_over says so. May be called again, also between keys. */
void rdb_report_write(const struct rdb_report *r, const struct rdb_info *info, struct buf *out);

#endif
