/*
 * percent: escapes of paths and queries decoded to texts.
 * Pure, any thread.
 */
#ifndef API_PERCENT_H
#define API_PERCENT_H

#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "sign/canon.h"

/* canon_decode of len bytes into a text of the arena. RC_INVALID: the text would contain a NUL. RC_LIMIT: the arena is
 * full. */
enum rc percent_decode(const char *bytes, size_t len, enum canon_plus plus, struct arena *a, const char **out,
		       struct err *err) NODISCARD;

#endif
