/*
 * call: one request on its way through the dialects; private to api/.
 *
 * A handler runs on the request's loop thread and ends in exactly one answer: at once, or, for a change, from
 * done() on the engine's writer thread, which may hand it back to the loop (http_run). After it has answered or
 * submitted it must not touch the call again.
 *
 * Owner:   struct call and all it points to live in the request's arena.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/api.h"
#include "api/figures.h"
#include "api/opensearch/query.h"
#include "api/router.h"
#include "base/must.h"
#include "engine/cache.h"
#include "engine/schedule.h"
#include "engine/template.h"
#include "sign/acs3.h"

enum { CALL_HEADERS = 4 };

struct dialect;

struct call {
	struct api *api;
	struct engine *engine;
	struct http_req *req;
	struct arena *arena;         /* req's */
	struct engine_view *view;    /* of this loop; NULL for open routes until call_view */
	const struct dialect *dialect;
	const char *operation;       /* of the route; "" before it is known */
	const struct route *route;   /* NULL until found */
	struct path_args args;
	struct query_args query;
	const char *account;         /* whose key signed it; "" for open routes */
	const char *project_id;      /* of that key, for DCS; "" any (nobody signed) */
	const char *key_id, *key_name;
	size_t figure;
	bool is_submitted;           /* the answer comes once the writer thread is done with the change */
	struct http_header headers[CALL_HEADERS]; /* of the answer; call_reply adds one more */
	size_t n_headers;
	char methods[ROUTE_METHODS_SIZE]; /* for an Allow header */
	/* The one change a writing operation hands to the engine; here, so that no allocation can fail. Last, large,
	 * and not zeroed: an operation fills its own member whole. */
	union {
		struct app_create app_create;
		struct app_remove app_remove;
		struct instance_create instance_create;
		struct instance_update instance_update;
		struct instance_delete instance_delete;
		struct task_create task_create;
		struct task_delete task_delete;
		struct default_set default_set;
		struct cache_operate cache_operate;
		struct cache_update cache_update;
		struct cache_tag cache_tag;
		struct cache_task_delete cache_task_delete;
		struct backup_delete backup_delete;
		struct schedule_set schedule_set;
		struct template_create template_create;
		struct template_update template_update;
		struct template_delete template_delete;
	} change;
};

/* The loop's own connection, opened on first use. */
enum rc call_view(struct call *c, struct engine_view **out, struct err *err) NODISCARD;
/* Reading through the view failed: the loop's next request opens it afresh. Loop thread only. */
void call_spoil_view(struct call *c);
/* Right before a change is handed to the engine: api_close waits until its answer is out. */
void call_submit(struct call *c);
/* Did err only say "not now", of a call that has changed nothing? Then the answer is 503 and not 500. */
bool call_may_be_repeated(const struct call *c, const struct err *err);
/* Answer; the body is copied. The request id header and c->headers go with it. When the request's arena is full and
 * nothing was submitted, the dialect's words for no memory are the answer, whatever the body: none need look for it. */
void call_reply(struct call *c, int status, const char *content_type, const struct buf *body);
/* The same with a file for a body, status 200; the descriptor is given away. */
void call_reply_file(struct call *c, const char *content_type, const struct http_file *file);
int64_t call_latency_ms(const struct call *c);

/* For the open routes. */
const char *api_not_ready(struct api *api); /* why, or NULL */
struct figures *api_figures(struct api *api);
bool api_http_stats(struct api *api, struct http_stats *out);

/* auth.c. The request as the signature schemes want it; RC_LIMIT. */
enum rc auth_request(const struct call *c, struct sign_request *out, struct err *err) NODISCARD;
/* True: c->account is set. False: refused, and the answer is sent. */
bool auth_check(struct call *c, enum auth_mode mode, struct nonces *nonces);

extern const char auth_default_account[];

#endif
