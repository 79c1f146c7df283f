/*
 * records: what analyses have in common: how their lists are asked for, how their records and
 * refusals look. Private to api/dcs.
 */
#ifndef API_DCS_RECORDS_H
#define API_DCS_RECORDS_H

#include "api/dcs/answer.h"
#include "api/dcs/scope.h"

/* One request that makes or deletes a record, from the loop thread to the writer's and back. */
struct record_call {
	struct call *call;
	struct cache_row cache;
	struct scan_row row; /* of one that is deleted: as it was */
	struct scan_create create;
	struct scan_delete remove;
	const void *about; /* the caller's own */
};

/* NULL: answered. The instance is there and in ->cache. */
struct record_call *record_begin(struct call *c);
/* Fill create and hand it in; done's ctx is the record_call. args: a JSON object. */
void record_create(struct record_call *r, enum scan_kind kind, const char *args, change_done_fn *done);
/* Of the path's {instance} and {scan}; what is not there or not over is answered. done's ctx is the record_call. */
void record_delete(struct call *c, enum scan_kind kind, const void *about, change_done_fn *done);
void record_refuse_delete(struct record_call *r, const struct change *change);
/* Not created. running: the answer when one of this kind runs already. */
void record_refuse(struct record_call *r, enum dcs_error running, const char *words);

/* The record of that id into ->row. V_NO_RECORD. */
enum verdict record_find(struct call *c, const struct cache_row *cache, enum scan_kind kind, const char *uid,
                         struct scan_row *out, struct err *err);

struct record_list {
	struct cache_row cache;
	struct scan_row *rows;
	size_t n;
	int64_t total;
};
/* A page of those of out->cache, which the caller has filled; status NULL: any. False: answered. */
bool record_page(struct call *c, enum scan_kind kind, const char *status, struct record_list *out) NODISCARD;
/* The same, with the status of the query. */
bool record_list(struct call *c, enum scan_kind kind, struct record_list *out) NODISCARD;

bool record_is_over(const struct scan_row *row);
/* created_at, and started_at and finished_at once there are such. */
void record_write_times(struct jw *w, const struct scan_row *row);
/* The parsed result; *out NULL: none. */
enum rc record_result(const struct scan_row *row, struct arena *a, const json_t **out, struct err *err) NODISCARD;

#endif
