/*
 * http: an HTTP/1.1 server on libh2o with several loop threads, limits, timeouts and a clean drain.
 * Knows nothing of tasks: one handler function gets every request and answers it, at once or later.
 *
 * Owner:    struct http_req belongs to the server; the handler may keep it until it calls http_reply.
 *           Its arena lives exactly as long. If the client goes away meanwhile the request stays valid and
 *           http_reply drops the answer.
 * Threads:  the handler runs on the request's loop thread. http_reply may be called from any thread, once.
 * Limits:   struct http_limits; over one of them the client gets 400, 408, 413, 414, 431 or 503 through on_fault,
 *           so that even those answers are in the caller's form. Never an empty body, never HTML.
 * HTTP/2 stays off. A repeated header stays repeated; header order and raw bytes are kept.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

struct http_header {
	const char *name;  /* as libh2o gives it: lower case; NUL-terminated */
	const char *value; /* NUL-terminated; never contains CR, LF, NUL */
};

struct http_req {
	const char *method;       /* "GET" */
	const char *target;       /* request target as received */
	const char *raw_path;     /* before the first '?', as received */
	const char *raw_query;    /* after it; "" when none */
	const struct http_header *headers; /* with "host" */
	size_t n_headers;
	const void *body;         /* de-chunked; NULL when empty */
	size_t body_len;
	const char *peer;         /* "127.0.0.1" */
	bool is_tls;
	int loop;                 /* index of the loop thread: 0 .. threads-1 */
	int64_t start_us;         /* monotonic, when the handler was called */
	char id[37];              /* request id: upper-case UUID, made by the server */
	struct arena *arena;
	void *user;               /* the handler's own */
};

/* First value of a header, name in lower case; NULL when absent. */
const char *http_header_of(const struct http_req *req, const char *lower_name);

struct http_reply {
	int status;
	const char *content_type;          /* required when body_len > 0 */
	const void *body;                  /* copied unless it lies in req->arena */
	size_t body_len;
	const struct http_header *headers; /* further ones, names in lower case */
	size_t n_headers;
};

void http_reply(struct http_req *req, const struct http_reply *reply);

struct http_limits {
	size_t body_max;          /* bytes of the de-chunked body; default 2 MiB */
	int connections_max;      /* over it: 503 and close; default 10000 */
	int header_timeout_ms;    /* until the request is complete; default 10000 */
	int idle_timeout_ms;      /* keep-alive; default 60000 */
};

struct http_config {
	const char *host;         /* "127.0.0.1", "::1", "0.0.0.0" */
	int port;                 /* 0 picks a free one */
	int threads;              /* loop threads, at least 1 */
	const char *tls_cert, *tls_key; /* PEM files; NULL: plain HTTP */
	struct http_limits limits; /* 0 members take the defaults */
	void (*handler)(void *ctx, struct http_req *req);
	/* Answer a request that the server itself refuses (malformed, too large, timed out, overloaded). Fills
	 * *reply; bytes may come from req->arena. req has at least id, arena, peer; others may be "". */
	void (*on_fault)(void *ctx, struct http_req *req, int status, const char *why, struct http_reply *reply);
	void *ctx;
};

struct http_server;

struct http_stats { int64_t connections, accepted, refused; };

/* Binds, starts the threads, accepts. RC_IO with the address in words when it cannot bind. */
enum rc http_start(const struct http_config *cfg, struct http_server **out, struct err *err) NODISCARD;
int http_port(const struct http_server *s);
void http_stats(const struct http_server *s, struct http_stats *out);
/* Stop accepting, close idle connections, wait for requests in progress up to drain_ms, then close. Idempotent. */
void http_stop(struct http_server *s, int64_t drain_ms);
void http_free(struct http_server *s);

#endif
