/*
 * answer: how a handler of the DCS dialect ends, each way one call. Private to api/dcs.
 * After any of these the call belongs to the http server again. All return false, so that a check can end in one.
 */
#ifndef API_DCS_ANSWER_H
#define API_DCS_ANSWER_H

#include "api/call.h"
#include "api/dcs/errors.h"
#include "json/json.h"

extern const char dcs_json_type[];

/* Writes the one object (or array) of an answer. */
typedef void dcs_write_fn(struct jw *w, const void *subject);

bool dcs_answer(struct call *c, dcs_write_fn *write, const void *subject);   /* 200 */
bool dcs_answer_none(struct call *c);                                        /* 204 */
/* 200 with one text member: {"job_id":"..."} */
bool dcs_answer_text(struct call *c, const char *key, const char *value);
/* 200 {"job_id":...}, or another key, of a task. */
bool dcs_answer_task(struct call *c, const char *key, int64_t task_id);

bool dcs_answer_error(struct call *c, enum dcs_error e);
/* A code whose message says which: name takes the place of {0}. */
bool dcs_answer_named(struct call *c, enum dcs_error e, const char *name);
/* Other words than the code's own. */
bool dcs_answer_words(struct call *c, enum dcs_error e, const char *message);
/* Anything but V_OK of a change. busy: cache_operate's, or "". */
bool dcs_answer_verdict(struct call *c, enum verdict v, const char *busy, const struct err *err);
/* The same after a reading, whose view is renewed when it failed. */
bool dcs_answer_read(struct call *c, enum verdict v, const struct err *err);
/* 200 with what was read, or by dcs_answer_read why it was not. */
bool dcs_answer_found(struct call *c, enum verdict v, const struct err *err, dcs_write_fn *write, const void *subject);
bool dcs_answer_internal(struct call *c, const char *event, const struct err *err);
bool dcs_answer_no_memory(struct call *c);
/* What was written into b as a text of the call's arena; b is released. False: answered. */
bool dcs_keep(struct call *c, struct buf *b, const char **out) NODISCARD;
/* {"error_code","error_msg","error_ext_msg":null} */
void dcs_write_error(struct buf *out, const char *code, const char *message);

#endif
