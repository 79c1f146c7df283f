/*
 * percent: decoding of percent-escapes in paths and queries (auth.md's dec and qdec).
 * Pure, any thread.
 */
#ifndef API_PERCENT_H
#define API_PERCENT_H

#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"

enum percent_plus { PERCENT_PLUS_STAYS /* paths */, PERCENT_PLUS_IS_SPACE /* queries */ };

/* Decode len bytes into a text of the arena: "%XX" in either case becomes the byte, a '%' without two hex digits
 * stays as it is. RC_INVALID: the text would contain a NUL. RC_LIMIT: the arena is full. */
enum rc percent_decode(const char *bytes, size_t len, enum percent_plus plus, struct arena *a, const char **out,
		       struct err *err) NODISCARD;

#endif
