/*
 * head: the request line and header lines of an HTTP/1.x request, found in a growing buffer and parsed strictly.
 *
 * Not here: bodies (http/chunk.h), sockets (http/conn.c).
 * Owner:    everything a struct head points to lies in the arena given to head_parse.
 * Threads:  any (pure functions).
 * Errors:   struct head_fault has the HTTP status and one sentence; its text is a literal.
 * Limits:   HEAD_LIMIT bytes in all (431), HEAD_LINE_LIMIT for the request line (414), HEAD_HEADERS_LIMIT lines (431).
 *
 * Strict where leniency lets two readers disagree on where a request ends: lines end in CR LF, no folded lines, no
 * blank before a colon, one Content-Length at most, never together with Transfer-Encoding, exactly one
 * Host in HTTP/1.1.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "http/http.h"

enum { HEAD_LIMIT = 64 * 1024, HEAD_LINE_LIMIT = 16 * 1024, HEAD_HEADERS_LIMIT = 100 };

struct head_fault {
	int status;
	const char *why;
};

/* How far the search for the end of the head has come. All zero at the start of a request. */
struct head_scan {
	size_t seen;       /* bytes looked at */
	size_t line_start; /* where the line being read starts */
};

enum head_progress { HEAD_MORE, HEAD_DONE, HEAD_BAD };

/* Look at the bytes received so far; call again with the same start and more bytes after HEAD_MORE. HEAD_DONE: the head
 * is the first s->seen bytes. HEAD_BAD: *fault says why; found as early as possible, so that garbage is
 * answered at once. */
enum head_progress head_scan(struct head_scan *s, const char *bytes, size_t len, struct head_fault *fault);

struct head {
	const char *method, *target, *raw_path, *raw_query;
	const struct http_header *headers; /* as received: order, repeats, values; names in lower case */
	size_t n_headers;
	uint64_t content_length; /* 0 when not given */
	bool is_chunked;
	bool is_keep_alive;      /* by version and Connection header */
	bool expects_continue;
};

/* Parse the len bytes that head_scan has delimited. On failure false, *fault is set and *out is unchanged. */
bool head_parse(struct head *out, struct arena *a, const char *bytes, size_t len, struct head_fault *fault);

/* What the beginning of a request that is refused, of any bytes, says of its raw path, perhaps not all of it: for
 * whoever words the refusal. "" when there is none. */
const char *head_peek_path(struct arena *a, const char *bytes, size_t len);

#endif
