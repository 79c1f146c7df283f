/*
 * err: the result codes of the program and the place where a failure is put into words.
 *
 * Owner:    struct err is the caller's, last parameter, may be NULL; nothing to release.
 * Threads:  any (a value).
 * A code exists because some caller acts on it differently (see RC_TABLE).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

#define RC_TABLE(X) /* name, exit code of a command */                                             \
	X(OK, 0)                                                                                   \
	X(INVALID, 64)   /* the input is wrong: say which field and which rule */                  \
	X(NOT_FOUND, 66)                                                                           \
	X(CONFLICT, 65)  /* the state forbids it: busy, exists already */                          \
	X(LIMIT, 65)     /* larger than a limit we set */                                          \
	X(DENIED, 77)    /* not allowed */                                                         \
	X(BUSY, 75)      /* try again: draining, overloaded, disk full */                          \
	X(TIMEOUT, 75)   /* nothing was done in time: try again */                                 \
	X(IO, 74)                                                                                  \
	X(CORRUPT, 70)                                                                             \
	X(UNKNOWN, 70)   /* sent, and the answer was lost: look it up first */                     \
	X(INTERNAL, 70)  /* a peer broke its contract */

enum rc {
#define X(name, exit_code) RC_##name,
	RC_TABLE(X)
#undef X
};

struct err {
	enum rc rc;
	int sys;       /* errno, or 0 */
	char msg[480]; /* one sentence, UTF-8, no newline */
};

const char *rc_name(enum rc rc);
int rc_exit_code(enum rc rc);

/* Put a failure into words. Returns rc, so that "return err_set(...)" reads well. Long text is cut. */
enum rc err_set(struct err *err, enum rc rc, const char *fmt, ...) PRINTF(3, 4);
/* The same for a failed system call: appends ": " and the text of errno value sys. */
enum rc err_sys(struct err *err, enum rc rc, int sys, const char *fmt, ...) PRINTF(4, 5);
/* Prepend where to what an inner layer said ("model.bin: bad checksum"). Returns err's own code. */
enum rc err_wrap(struct err *err, enum rc rc, const char *fmt, ...) PRINTF(3, 4);

#endif
