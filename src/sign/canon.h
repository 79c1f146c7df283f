/*
 * canon: what the signature schemes share: limits, the parts of Authorization, header look-ups, percent-encoding,
 * the sorted query.
 * The schemes differ in how they put these together, not in the pieces.
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
#include "base/attr.h"
#include "base/buf.h"
#include "sign/acs3.h"

enum {
	CANON_WINDOW_S = 15 * 60, /* a request's date may be that far from the server's, either way */
	CANON_HASH_LEN = 64,      /* hex digits of a SHA-256 or a MAC of it */
	CANON_HEADERS_MAX = 200,  /* repeats are sought pairwise */
	CANON_KEY_ID_MAX = 128,
	CANON_TOKEN_MAX = 8192,   /* security token */
	CANON_TEXT_MAX = 1 << 20, /* canonical request */
};

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
/* Order as bytes, like memcmp; of two that begin alike the shorter is first. */
int slice_compare(struct slice x, struct slice y);
/* One byte or more, all from '!' to '~'. */
bool slice_is_printable(struct slice s);
void slice_add(struct buf *out, struct slice s);

/* The blanks of a header value: space and tab. */
bool canon_is_blank(char c);
/* CANON_HASH_LEN hex digits in lower case. */
bool canon_is_hash(struct slice s);
/* A header's name as signed: one or more of a-z 0-9 - _ . */
bool canon_is_name(struct slice s);
/* Is name one of "a;b;c"? Without regard to ASCII case. */
bool canon_list_has(struct slice names, struct slice name);
/* Cut the next member off the comma-separated parameters of Authorization; one space behind the comma may follow. */
struct slice canon_take_member(struct slice *rest);

/* Is there a CR or LF in the method, path, query or a header? It would let one request be signed as another. */
bool canon_has_line_break(const struct sign_request *req);
/* The first header given more than once though it decides who asks for what, or is in signed_names ("a;b;c"): two of a
 * kind would let two readers see two requests. NULL when there is none. Takes n_headers squared. */
const char *canon_find_repeat(const struct sign_request *req, struct slice signed_names);

/* Header names compare without regard to ASCII case. */
bool canon_name_is(const char *header_name, struct slice name);
bool canon_name_begins(const char *header_name, const char *prefix);
/* How many header fields have that name. */
size_t canon_count(const struct sign_request *req, struct slice name);
/* Value of the first field of that name without the blanks around it. False, *value untouched: there is none. */
bool canon_header(const struct sign_request *req, struct slice name, struct slice *value);

/* The header fields of a request in ascending order of their names, fields of one name in order of arrival: what is
 * asked for by name is then found in a few comparisons, and a sorted list of names in one walk. */
struct canon_field {
	struct slice name;  /* in lower case */
	struct slice value; /* without the blanks around it */
};

struct canon_fields {
	struct canon_field *list;
	size_t n;
};

/* False: the arena is full, and *out is untouched. Takes n_headers squared when they come in descending order. */
bool canon_fields_of(const struct sign_request *req, struct arena *a, struct canon_fields *out) NODISCARD;
/* The first field of that name, or NULL. Those behind it that have the name are the list's next ones. */
const struct canon_field *canon_field(const struct canon_fields *f, struct slice name);
/* canon_find_repeat among sorted fields. */
const struct canon_field *canon_field_repeat(const struct canon_fields *f, struct slice signed_names);

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
