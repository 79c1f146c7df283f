/*
 * answer: how a handler ends, each way one call. Private to api/.
 * After any of these the call belongs to the http server again.
 */
#ifndef API_OPENSEARCH_ANSWER_H
#define API_OPENSEARCH_ANSWER_H

#include "api/call.h"
#include "api/opensearch/envelope.h"
#include "api/opensearch/errors.h"

extern const char answer_json_type[];

/* A successful function operation: request id, code, message and latency are filled in here. */
void answer_function(struct call *c, struct envelope e);
/* The same for an app-group operation. */
void answer_app(struct call *c, struct envelope e);
/* A writing operation's bare envelope. */
void answer_written(struct call *c);

/* The done() of every change whose answer is the bare envelope; its ctx is the call. It is rendered on the call's loop.
 * */
void answer_change(struct change *change);

/* why NULL: the code's own message. */
void answer_error(struct call *c, enum api_error e, const char *why);
/* Anything but V_OK. The words of an internal failure go to the log only. */
void answer_verdict(struct call *c, enum verdict v, const struct err *err);
void answer_no_memory(struct call *c); /* 503 */
/* A body or query that broke a rule (RC_INVALID, RC_LIMIT). */
void answer_bad_input(struct call *c, const struct err *err);
/* The same after a reading of the engine, whose view is renewed when it failed. */
void answer_read(struct call *c, enum verdict v, const struct err *err);
void answer_internal(struct call *c, const char *event, const struct err *err);
/* 405, with the methods the path has, from c->methods. */
void answer_method(struct call *c);
/* The data plane's push operations, in their own form of error, which has numbers for codes. */
void answer_push_refused(struct call *c);
/* A signature that was not good. */
void answer_refusal(struct call *c, int status, const char *code, const char *message);

#endif
