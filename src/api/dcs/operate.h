/*
 * operate: handing an operation to the engine, and the ways its answer looks. Private to api/dcs.
 */
#ifndef API_DCS_OPERATE_H
#define API_DCS_OPERATE_H

#include "api/dcs/answer.h"
#include "api/dcs/scope.h"

enum { DETAILS_MAX = 16 << 10, IDS_MAX = 50 };

/* Fill c->change.cache_operate: args and details "{}", at once. The caller sets what is more, then submits it. */
struct cache_operate *operate_prepare(struct call *c, const struct cache_row *row, enum cache_op op,
				      change_done_fn *done);
void operate_submit(struct call *c);

/* For done: the operation was taken (or, of one that waits, has ended well). */
void operate_answer_none(struct change *change);   /* 204 */
void operate_answer_job(struct change *change);    /* 200 {"job_id"} */
/* Refused: answered with the contract's word for what is in the way. False then. */
bool operate_is_taken(struct call *c);

/* {"instances":[...]} of a body as texts; at least one, at most IDS_MAX. False: answered. */
bool operate_ids(struct call *c, const json_t *body, const char ***uids, size_t *n) NODISCARD;
/* One operation for each of several instances; 200 {"results":[{instance, result}]} when all are taken or refused. */
void operate_many(struct call *c, const char *project, const char *const *uids, size_t n, enum cache_op op);

#endif
