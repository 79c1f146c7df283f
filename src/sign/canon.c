#include "sign/canon.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/attr.h"
#include "base/hex.h"

struct slice slice_of(const char *text) { return (struct slice){ text, strlen(text) }; }

bool slice_is(struct slice s, const char *text) { return strlen(text) == s.len && memcmp(s.at, text, s.len) == 0; }

struct slice slice_cut(struct slice *s, char c)
{
	const char *at = s->len ? memchr(s->at, c, s->len) : NULL;
	struct slice front = { s->at, at ? (size_t)(at - s->at) : s->len };
	size_t gone = front.len + (at != NULL);

	*s = (struct slice){ s->at + gone, s->len - gone };
	return front;
}

bool slice_take(struct slice *s, const char *prefix)
{
	size_t len = strlen(prefix);

	if (s->len < len || memcmp(s->at, prefix, len) != 0)
		return false;
	*s = (struct slice){ s->at + len, s->len - len };
	return true;
}

int slice_compare(struct slice x, struct slice y)
{
	size_t len = x.len < y.len ? x.len : y.len;
	int order = len ? memcmp(x.at, y.at, len) : 0;

	return order ? order : (x.len > y.len) - (x.len < y.len);
}

bool slice_is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] <= ' ' || s.at[i] > '~')
			return false;
	}
	return s.len > 0;
}

void slice_add(struct buf *out, struct slice s) { buf_add(out, s.at, s.len); }

bool canon_is_blank(char c) { return c == ' ' || c == '\t'; }

bool canon_is_hash(struct slice s) { return s.len == CANON_HASH_LEN && hex_is(s.at, s.len); }

bool canon_is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
	}
	return s.len > 0;
}

bool canon_list_has(struct slice names, struct slice name)
{
	while (names.len) {
		struct slice one = slice_cut(&names, ';');
		if (one.len == name.len && strncasecmp(one.at, name.at, name.len) == 0)
			return true;
	}
	return false;
}

struct slice canon_take_member(struct slice *rest)
{
	struct slice member = slice_cut(rest, ',');

	(void)slice_take(rest, " "); /* usual, not required */
	return member;
}

/* strcspn prepares a table at each call, which for texts as short as these takes longer than the search. */
static bool breaks_line(const char *text)
{
	size_t len = strlen(text);
	return memchr(text, '\n', len) || memchr(text, '\r', len);
}

bool canon_has_line_break(const struct sign_request *req)
{
	bool found = breaks_line(req->method) || breaks_line(req->raw_path) || breaks_line(req->raw_query);

	for (size_t i = 0; i < req->n_headers && !found; i++)
		found = breaks_line(req->headers[i].name) || breaks_line(req->headers[i].value);
	return found;
}

/* In the order of what it costs: most names that are compared differ in the first letter or in length. */
bool canon_name_is(const char *header_name, struct slice name)
{
	if (name.len && (header_name[0] | 0x20) != (name.at[0] | 0x20))
		return false;
	return strlen(header_name) == name.len && strncasecmp(header_name, name.at, name.len) == 0;
}

bool canon_name_begins(const char *header_name, const char *prefix)
{
	return strncasecmp(header_name, prefix, strlen(prefix)) == 0;
}

size_t canon_count(const struct sign_request *req, struct slice name)
{
	size_t n = 0;

	for (size_t i = 0; i < req->n_headers; i++)
		n += canon_name_is(req->headers[i].name, name);
	return n;
}

static struct slice without_blanks(const char *text)
{
	struct slice s = slice_of(text);

	while (s.len && canon_is_blank(s.at[0]))
		s = (struct slice){ s.at + 1, s.len - 1 };
	while (s.len && canon_is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool canon_header(const struct sign_request *req, struct slice name, struct slice *value)
{
	for (size_t i = 0; i < req->n_headers; i++) {
		if (!canon_name_is(req->headers[i].name, name))
			continue;
		*value = without_blanks(req->headers[i].value);
		return true;
	}
	return false;
}

/* Those of both schemes: a request signed by one must not carry what the other would read twice. */
static bool is_single_kind(struct slice name, struct slice signed_names)
{
	static const char *const single[] = { "authorization",        "host",         "date",
		                              "content-type",         "content-md5",  "x-sdk-date",
		                              "x-sdk-content-sha256", "x-project-id", "x-domain-id",
		                              "x-security-token",     "x-auth-token" };

	for (size_t i = 0; i < ARRAY_LEN(single); i++) {
		if (canon_name_is(single[i], name))
			return true;
	}
	return canon_name_begins(name.at, "x-acs-") || canon_name_begins(name.at, "x-opensearch-") ||
	       canon_list_has(signed_names, name);
}

const char *canon_find_repeat(const struct sign_request *req, struct slice signed_names)
{
	for (size_t i = 0; i < req->n_headers; i++) {
		struct slice name = slice_of(req->headers[i].name);
		if (is_single_kind(name, signed_names) && canon_count(req, name) > 1)
			return name.at;
	}
	return NULL;
}

/* ---- fields by name ---- */

static bool has_upper_case(struct slice s)
{
	bool found = false;
	for (size_t i = 0; i < s.len; i++)
		found |= s.at[i] >= 'A' && s.at[i] <= 'Z';
	return found;
}

/* Borrowed where it is in lower case already. .at is NULL when the arena is full. */
static struct slice lower_name(const char *name, struct arena *a)
{
	struct slice s = slice_of(name);

	if (!has_upper_case(s))
		return s;
	char *p = arena_dup_n(a, s.at, s.len);
	for (size_t i = 0; p && i < s.len; i++) {
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	}
	return (struct slice){ p, s.len };
}

bool canon_fields_of(const struct sign_request *req, struct arena *a, struct canon_fields *out)
{
	struct canon_field *list = arena_array(a, req->n_headers + 1, sizeof *list);

	for (size_t n = 0; list && n < req->n_headers; n++) {
		struct canon_field f = { lower_name(req->headers[n].name, a), without_blanks(req->headers[n].value) };
		size_t at = n;
		if (!f.name.at)
			return false;
		for (; at > 0 && slice_compare(list[at - 1].name, f.name) > 0; at--)
			list[at] = list[at - 1];
		list[at] = f;
	}
	if (list)
		*out = (struct canon_fields){ list, req->n_headers };
	return list != NULL;
}

const struct canon_field *canon_field(const struct canon_fields *f, struct slice name)
{
	size_t from = 0, to = f->n;

	while (from < to) {
		size_t middle = (from + to) / 2;
		if (slice_compare(f->list[middle].name, name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from < f->n && slice_compare(f->list[from].name, name) == 0 ? &f->list[from] : NULL;
}

const struct canon_field *canon_field_repeat(const struct canon_fields *f, struct slice signed_names)
{
	for (size_t i = 1; i < f->n; i++) {
		if (slice_compare(f->list[i - 1].name, f->list[i].name) == 0 &&
		    is_single_kind(f->list[i].name, signed_names))
			return &f->list[i];
	}
	return NULL;
}

/* ---- percent-encoding and queries ---- */

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == '~';
}

void canon_encode(struct buf *out, struct slice bytes)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.at[i];
		unsigned char b = (unsigned char)c;
		char code[3] = { '%', digits[b >> 4], digits[b & 15] };
		if (is_unreserved(c))
			buf_addc(out, c);
		else
			buf_add(out, code, sizeof code);
	}
}

size_t canon_decode(char *to, struct slice from, enum canon_plus plus)
{
	size_t n = 0;

	for (size_t i = 0; i < from.len; i++) {
		char c = from.at[i];
		bool is_code = c == '%' && from.len - i > 2 && hex_value(from.at[i + 1]) >= 0 &&
		               hex_value(from.at[i + 2]) >= 0;
		if (is_code) {
			to[n++] = (char)(unsigned char)(hex_value(from.at[i + 1]) << 4 | hex_value(from.at[i + 2]));
			i += 2;
		} else {
			to[n++] = c == '+' && plus == CANON_PLUS_IS_SPACE ? ' ' : c;
		}
	}
	return n;
}

struct pair {
	struct slice key, value;
};

static int compare_pairs(const void *x, const void *y)
{
	const struct pair *p = x, *q = y;
	int order = slice_compare(p->key, q->key);

	return order ? order : slice_compare(p->value, q->value);
}

/* Decode into the scratch space at *to, which moves on. */
static struct slice decode_to(char **to, struct slice from)
{
	struct slice s = { *to, canon_decode(*to, from, CANON_PLUS_IS_SPACE) };

	*to += s.len;
	return s;
}

/* All keys are decoded into one run of memory, each behind the one that came before it. */
static int compare_arrivals(const void *x, const void *y)
{
	const struct pair *p = x, *q = y;
	int order = slice_compare(p->key, q->key);

	return order ? order : (p->key.at > q->key.at) - (p->key.at < q->key.at);
}

/* The pairs decoded, in order of arrival, or NULL when the arena is full. */
static struct pair *read_pairs(const char *raw_query, struct arena *a, size_t *n)
{
	struct slice rest = slice_of(raw_query);
	size_t most = 1;

	for (size_t i = 0; i < rest.len; i++)
		most += rest.at[i] == '&';
	struct pair *pairs = arena_array(a, most, sizeof *pairs);
	char *scratch = arena_alloc(a, rest.len + 1);
	if (!pairs || !scratch)
		return NULL;
	*n = 0;
	while (rest.len) {
		struct slice value = slice_cut(&rest, '&');
		if (!value.len)
			continue;
		struct slice key = slice_cut(&value, '=');
		pairs[*n].key = decode_to(&scratch, key);
		pairs[(*n)++].value = decode_to(&scratch, value);
		scratch++; /* in place of the '&', so that no two keys begin at one address */
	}
	return pairs;
}

void canon_query(struct buf *out, const char *raw_query, struct arena *a)
{
	size_t n;
	struct pair *pairs = *raw_query ? read_pairs(raw_query, a, &n) : NULL;

	if (!pairs)
		return;
	qsort(pairs, n, sizeof *pairs, compare_pairs);
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, i ? "&" : "");
		canon_encode(out, pairs[i].key);
		buf_addc(out, '=');
		canon_encode(out, pairs[i].value);
	}
}

static void encode_form(struct buf *out, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.at[i] == ' ')
			buf_addc(out, '+');
		else
			canon_encode(out, (struct slice){ bytes.at + i, 1 });
	}
}

void canon_query_form(struct buf *out, const char *raw_query, struct arena *a)
{
	size_t n;
	struct pair *pairs = read_pairs(raw_query, a, &n);

	if (!pairs)
		return;
	qsort(pairs, n, sizeof *pairs, compare_arrivals);
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, i ? "&" : "");
		encode_form(out, pairs[i].key);
		buf_addc(out, '=');
		encode_form(out, pairs[i].value);
	}
}
