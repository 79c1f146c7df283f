/*
 * canon: what the signature schemes share: header look-ups, percent-encoding, the sorted query.
 * The schemes differ in how they put these together (auth.md sections 3 to 7), not in the pieces.
 *
 * Owner:    slices borrow from what they were cut out of; scratch memory comes from the caller's arena.
 * Threads:  any (pure).
 * Errors:   sticky in the buf and the arena: check both once, after the last call.
 */
#ifndef SIGN_CANON_H
#define SIGN_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/buf.h"
#include "sign/acs3.h"

struct slice {
	const char *at;
	size_t len;
};

struct slice slice_of(const char *text);
bool slice_is(struct slice s, const char *text);
/* Cut s before the first c: returns the front, *s is what follows c, or empty when there is no c. */
struct slice slice_cut(struct slice *s, char c);
/* Move *s past prefix when it begins with it. */
bool slice_take(struct slice *s, const char *prefix);

/* Header names compare without regard to ASCII case. */
bool canon_name_is(const char *header_name, struct slice name);
bool canon_name_begins(const char *header_name, const char *prefix);
/* How many header fields have that name. */
size_t canon_count(const struct sign_request *req, struct slice name);
/* Value of the first field of that name without the blanks around it. False, *value untouched: there is none. */
bool canon_header(const struct sign_request *req, struct slice name, struct slice *value);

/* enc: A-Z a-z 0-9 - _ . ~ stay, any other byte becomes %XX in upper case. */
void canon_encode(struct buf *out, struct slice bytes);
/* dec: %XX becomes the byte, anything else stays; plus_is_space is for queries only. Never longer than the
 * input, so to may be as long as that; returns the length. */
enum canon_plus { CANON_PLUS_STAYS, CANON_PLUS_IS_SPACE };
size_t canon_decode(char *to, struct slice from, enum canon_plus plus);
/* The query's pairs decoded, sorted as bytes (key, then value), encoded, joined: "a=1&b=". */
void canon_query(struct buf *out, const char *raw_query, struct arena *a);
/* The same as a form: sorted by key only, values of one key in order of arrival, a space written '+'. */
void canon_query_form(struct buf *out, const char *raw_query, struct arena *a);

#endif
