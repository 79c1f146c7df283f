/*
 * wire: one connection to a redis-server, with a limit on time, size and shape of what comes back.
 *
 * hiredis parses; sending, waiting and limits are ours: an operation's deadline and its wish to stop hold in the
 * middle of an answer, a peer that is no Redis gets an error and not our memory, and no write raises SIGPIPE.
 * A wire is dead after a failure of its own, but not after an error of Redis: every later call says so again.
 *
 * Errors: RC_NOT_FOUND nobody listens; RC_TIMEOUT; RC_IO the connection broke; RC_CORRUPT not Redis' protocol;
 *         an answer "-..." of Redis: RC_BUSY LOADING, BUSY, full; RC_DENIED account; RC_CONFLICT any other.
 */
#ifndef CACHE_WIRE_H
#define CACHE_WIRE_H

#include <hiredis/hiredis.h>
#include "base/buf.h"
#include "cache/op.h"

struct wire;

enum { CALL_LIMIT_MS = 60000 };    /* for one answer, inside the operation's own deadline */

/* user NULL: do not log in. */
enum rc wire_open(const struct op *op, const char *host, int port, const char *user, const char *secret,
		  struct wire **out, struct err *err) NODISCARD;
void wire_close(struct wire *w);       /* NULL is fine */
void wire_closep(struct wire **w);     /* for CLEANUP */

/* Queue a command; wire_next sends what is queued and gives the answers in order, errors of Redis among them. */
void wire_add(struct wire *w, const char *const *argv, const size_t *lens, int argc);
enum rc wire_next(struct wire *w, redisReply **out, struct err *err) NODISCARD;

/* One command, one answer that is no error. out may be NULL; release with reply_freep. */
enum rc wire_callv(struct wire *w, redisReply **out, struct err *err, const char *const *argv, int argc) NODISCARD;
#define wire_call(w, out, err, ...)                                                                 \
	wire_callv((w), (out), (err), (const char *const[]){ __VA_ARGS__ },                         \
		   (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)))

void reply_freep(redisReply **r);      /* for CLEANUP */
bool reply_is_text(const redisReply *r);
enum rc reply_error(const redisReply *r, const char *where, struct err *err);   /* r is an error of Redis */
/* RC_CORRUPT: not an answer that command has. */
enum rc wire_odd(const struct wire *w, const char *command, struct err *err);
const char *wire_where(const struct wire *w);                                   /* "host:port" */

/* ---- INFO ---- */

/* Sections as INFO takes them, e.g. "default". text is reset first. */
enum rc info_read(struct wire *w, struct buf *text, struct err *err, const char *section) NODISCARD;
bool info_text(const struct buf *text, const char *name, char *out, size_t size);
int64_t info_int(const struct buf *text, const char *name, int64_t absent);
double info_real(const struct buf *text, const char *name, double absent);
bool info_is(const struct buf *text, const char *name, const char *value);
/* name:a=1,b=2: the number of part in line name. */
int64_t info_part(const struct buf *text, const char *name, const char *part, int64_t absent);
bool info_part_is(const struct buf *text, const char *name, const char *part, const char *value);
/* The numbers of part in all lines whose name begins with prefix, added up. */
int64_t info_sum(const struct buf *text, const char *prefix, const char *part);
/* The lines whose name begins with prefix, one a call: the whole name. *at is NULL before the first; false after the
 * last. A name that does not fit is left out. */
bool info_next(const struct buf *text, const char *prefix, const char **at, char *name, size_t size);

#endif
