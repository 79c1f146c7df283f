/*
 * api: the wire dialects behind one http handler. Takes every request, verifies who sent it, routes by
 * (method, path), answers in the dialect's own form; also /healthz, /readyz, /metrics and our own console paths.
 *
 * What it answers, and where it differs from the vendor: docs/api-coverage.md, docs/differences.md.
 *
 * Threads: api_handle on the loop threads; one engine view per loop. Answers may come from the writer thread.
 * Owner:   api_open's caller; cfg is copied, its engine borrowed.
 * Errors:  api_open only: RC_INVALID. A request is always answered, in the vendor's form of error if need be.
 */
#ifndef API_API_H
#define API_API_H

#include "engine/engine.h"
#include "http/http.h"

enum auth_mode { AUTH_STRICT, AUTH_LAX, AUTH_OFF };

struct api_config {
	struct engine *engine;
	int threads;          /* loop threads of the http server */
	enum auth_mode auth;
	size_t nonces_max;    /* 0: 1,000,000 */
};

struct api;

enum rc api_open(const struct api_config *cfg, struct api **out, struct err *err) NODISCARD;
/* After http_stop. Waits until every change handed to the engine is answered, so it may come before or after
 * engine_close (which answers them all). NULL is fine. */
void api_close(struct api *api);
/* Give metrics access to the server's own figures. */
void api_set_server(struct api *api, const struct http_server *server);
void api_set_draining(struct api *api); /* /readyz says 503 from now on */
/* For struct http_config: handler, on_fault and on_rest, ctx is the api. */
void api_handle(void *ctx, struct http_req *req);
void api_rest(void *ctx, int loop);
void api_fault(void *ctx, struct http_req *req, int status, const char *why, struct http_reply *reply);

#endif
