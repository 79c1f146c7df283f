/*
 * http: an HTTP/1.1 server with several loop threads, limits, timeouts and a clean drain.
 * Knows nothing of tasks: one handler function gets every request and answers it, at once or later.
 *
 * Owner:    struct http_req belongs to the server; the handler may keep it until it calls http_reply.
 *           Its arena (64 MiB at most), body and headers live exactly as long. If the client goes away meanwhile, or
 *           the server is stopped and freed, the request stays valid and http_reply drops the answer.
 * Threads:  handler, on_fault and on_rest run on the request's loop thread and must not block: its other connections
 *           wait for them. http_reply may be called from any thread, once; http_run from any thread before that.
 *           Cleanups of the arena run in some thread.
 *           http_stop and http_free belong to the thread that started the server, never to a loop thread.
 * Limits:   struct http_limits. Request line 16 KiB, head 64 KiB, 100 headers; the bodies held at once are limited to
 *           128 x body_max. A write of an answer must progress within the idle timeout.
 * Faults:   what the server refuses itself goes through on_fault, so that even those answers are in the caller's form
 *           (never an empty body, never HTML), and ends the connection:
 *             400 malformed, or cut off in the middle    408 not complete in time      413 body        414 request line
 *             417 an Expect other than 100-continue      431 headers                   501 method (only GET HEAD POST
 *             PUT PATCH DELETE OPTIONS pass) or transfer coding    503 too many connections or bodies   
 *             505 not HTTP/1.x
 *           Without an answer are closed: a connection on which no byte of a request came in time, a failed TLS
 *           handshake, and connections that exceed connections_max by more than 256.
 * HTTP/2 stays off: its preface gets 505, an Upgrade is ignored, TLS negotiates no protocol.
 * A write to a client that has gone raises no SIGPIPE in the process.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

struct http_header {
	const char *name;  /* in requests: lower case; NUL-terminated */
	const char *value; /* NUL-terminated; never contains CR, LF, NUL */
};

struct http_req {
	const char *method;       /* "GET" */
	const char *target;       /* request target as received */
	const char *raw_path;     /* before the first '?', as received; without "http://host" if the client sent that */
	const char *raw_query;    /* after it; "" when none */
	const struct http_header *headers; /* all, as received: order, repeats; blanks around a value removed */
	size_t n_headers;
	const void *body;         /* de-chunked, a NUL follows; NULL when empty */
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

/* A body that comes out of an open file, from where its offset stands: read as the client takes it, so that its size
 * costs no memory. The descriptor is the server's from http_reply on. A file that turns out shorter
 * ends the connection. */
struct http_file {
	int fd;
	int64_t size;
};

struct http_reply {
	int status;
	const char *content_type;          /* required when there is a body */
	const void *body;                  /* copied; not sent in answer to HEAD, nor with 204 and 304 */
	size_t body_len;                   /* at most 512 MiB */
	const struct http_file *file;      /* instead of body; NULL none. The struct is copied */
	const struct http_header *headers; /* further ones, names in lower case; the server's own are not repeated
					    * (connection, content-length, content-type, date, server,
					    * transfer-encoding), and one with a control character is left out */
	size_t n_headers;
};

void http_reply(struct http_req *req, const struct http_reply *reply);
/* Have the loop thread of the request call fn, so that it renders the answer and not this thread, which others wait
 * for. Any thread; the request is fn's from here on. Of a server that has stopped there is no such thread, and fn is
 * called at once. */
void http_run(struct http_req *req, void (*fn)(struct http_req *req));

struct http_limits {
	size_t body_max;          /* bytes of the de-chunked body; default 2 MiB */
	int connections_max;      /* over it: 503 and close; default 10000 */
	int header_timeout_ms;    /* from accept or a request's first byte until it is complete; default 10000 */
	int idle_timeout_ms;      /* keep-alive, and between progress of a write; default 60000 */
};

struct http_config {
	const char *host;         /* "127.0.0.1", "::1", "0.0.0.0", "::" (both families) */
	int port;                 /* 0 picks a free one */
	int threads;              /* loop threads, at least 1 */
	const char *tls_cert, *tls_key; /* PEM files (chain, key); NULL: plain HTTP. TLS 1.2 at least */
	struct http_limits limits; /* 0 members take the defaults */
	void (*handler)(void *ctx, struct http_req *req);
	/* Answer a request that the server itself refuses (malformed, too large, timed out, overloaded). Fills
	 * *reply (status 0 means status); bytes may come from req->arena; http_reply must not be called. req has at
	 * least id, arena, peer; others may be "" or empty. raw_path is as much as arrived of it, and as it came. */
	void (*on_fault)(void *ctx, struct http_req *req, int status, const char *why, struct http_reply *reply);
	/* The loop thread has handled all that was there and waits next. NULL: nobody wants to know. */
	void (*on_rest)(void *ctx, int loop);
	void *ctx;
};

struct http_server;

/* Open now; taken since the start; over connections_max since the start. */
struct http_stats { int64_t connections, accepted, refused; };

/* Binds, starts the threads, accepts. RC_IO with the address in words when it cannot bind; RC_INVALID when the
 * configuration makes no sense or the TLS files cannot be used. */
enum rc http_start(const struct http_config *cfg, struct http_server **out, struct err *err) NODISCARD;
int http_port(const struct http_server *s);
void http_stats(const struct http_server *s, struct http_stats *out);
/* Stop accepting, close idle connections, let requests that have begun (to arrive, to be handled, to be answered) end
 * for up to drain_ms, then close. The threads are joined on return. Idempotent. */
void http_stop(struct http_server *s, int64_t drain_ms);
/* NULL is fine. Stops without a drain if http_stop was not called. Requests still with the handler stay valid. */
void http_free(struct http_server *s);

#endif
