/*
 * Reading rests on jansson with JSON_REJECT_DUPLICATES; jansson itself bounds the nesting (2048), we bound it
 * tighter because what we read is flat. Writing is by hand: answers are built by the thousand per second, and a
 * tree in between would only be thrown away.
 */
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/attr.h"
#include "base/must.h"

enum { DEPTH_MAX = 32, NAME_MAX_LEN = 63 };

json_malloc_t json_grow;
static json_free_t give_back;

/*
 * jansson's lexer does not look whether it got the memory for the token it is in: without it a byte is lost, and the
 * end of the token is searched beyond the buffer, or an assert of its own ends the process. So what is being read keeps
 * a spare block, which the first piece of memory that is not to be had is taken from; from then on the text is at its
 * end (feed), so that the lexer asks for nothing more. What came of it is thrown away.
 *
 * The lexer doubles its buffer when a byte of the text does not fit: it never asks for more than spare_size says.
 * Others that do, such as the index of an object, are refused, which jansson copes with.
 */
struct reading {
	const char *next;
	size_t left;
	char *spare;
	size_t spare_size;
	bool is_starved;
};
static _Thread_local struct reading *current;

static size_t spare_size(size_t len) { return 2 * (len + 16); }

static void *grow(size_t size)
{
	struct reading *r = current;
	void *p = r && r->is_starved ? NULL : json_grow(size);

	if (p || !r)
		return p;
	bool is_first = !r->is_starved;
	r->is_starved = true;
	return is_first && size <= r->spare_size ? r->spare : NULL;
}

static void shrink(void *p)
{
	if (!current || p != current->spare)
		give_back(p);
}

BEFORE_MAIN static void watch_memory(void)
{
	json_get_alloc_funcs(&json_grow, &give_back);
	json_set_alloc_funcs(grow, shrink);
}

/* A few bytes at a time: what was fed already when memory ended still fits into the lexer's buffer, which has sixteen
 * at least for a new token, and as many more where it was just doubled. */
static size_t feed(void *out, size_t cap, void *ctx)
{
	enum { FEED = 8 };
	struct reading *r = ctx;
	size_t n = r->is_starved ? 0 : r->left < FEED ? r->left : FEED;

	must(cap >= FEED);
	if (n > 0) /* an empty text may have no address */
		memcpy(out, r->next, n);
	r->next += n;
	r->left -= n;
	return n;
}

/* NULL with a full error of jansson's, or for want of memory. */
static json_t *parse(struct reading *r, json_error_t *why)
{
	current = r;
	json_t *root = json_load_callback(feed, r, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, why);
	if (r->is_starved) {
		json_decref(root); /* perhaps the text was cut where it makes sense all the same */
		root = NULL;
	}
	current = NULL;
	return root;
}

static void release(void *root) { json_decref(root); }

static bool is_shallow(const json_t *v, int left)
{
	if (left == 0)
		return false;
	const char *key;
	json_t *member;
	size_t i;
	if (json_is_object(v)) {
		void *iter = json_object_iter((json_t *)(uintptr_t)v);
		for (; iter; iter = json_object_iter_next((json_t *)(uintptr_t)v, iter)) {
			key = json_object_iter_key(iter);
			member = json_object_iter_value(iter);
			if (!key || !is_shallow(member, left - 1))
				return false;
		}
	}
	json_array_foreach(v, i, member) {
		if (!is_shallow(member, left - 1))
			return false;
	}
	return true;
}

enum rc json_read(const char *bytes, size_t len, struct arena *a, const json_t **out, struct err *err)
{
	struct reading r = {
		.next = bytes, .left = len, .spare_size = spare_size(len), .spare = json_grow(spare_size(len))
	};
	json_error_t why;

	r.is_starved = !r.spare;
	json_t *root = r.spare ? parse(&r, &why) : NULL;
	give_back(r.spare);
	if (r.is_starved)
		return err_set(err, RC_BUSY, "no memory is left to read JSON");
	if (!root)
		return err_set(err, RC_INVALID, "not JSON: %s at line %d, column %d", why.text, why.line, why.column);
	arena_cleanup(a, release, root);
	if (!is_shallow(root, DEPTH_MAX))
		return err_set(err, RC_LIMIT, "JSON is nested deeper than %d levels", DEPTH_MAX);
	*out = root;
	return RC_OK;
}

enum rc json_read_kept(const char *text, struct arena *a, const json_t **out, struct err *err)
{
	enum rc rc = *text ? json_read(text, strlen(text), a, out, err) : RC_INVALID;

	if (rc == RC_BUSY)
		return rc;
	if (rc != RC_OK)
		*out = NULL;
	return RC_OK;
}

/* The PascalCase twin of a camelCase name. */
static void to_pascal(const char *camel, char out[NAME_MAX_LEN + 1])
{
	size_t len = strlen(camel);
	must(len > 0 && len <= NAME_MAX_LEN);
	memcpy(out, camel, len + 1);
	if (out[0] >= 'a' && out[0] <= 'z')
		out[0] = (char)(out[0] - 'a' + 'A');
}

const json_t *json_pick(const json_t *object, const char *camel_name)
{
	char pascal[NAME_MAX_LEN + 1];
	const json_t *v = json_object_get(object, camel_name);

	if (!v || json_is_null(v)) {
		to_pascal(camel_name, pascal);
		v = json_object_get(object, pascal);
	}
	return v && !json_is_null(v) ? v : NULL;
}

enum rc json_pick_text(const json_t *object, const char *camel_name, const char **out, struct err *err)
{
	const json_t *v = json_pick(object, camel_name);

	if (v && !json_is_string(v))
		return err_set(err, RC_INVALID, "%s must be a string", camel_name);
	*out = v ? json_string_value(v) : NULL;
	return RC_OK;
}

void jw_init(struct jw *w, struct buf *out, enum casing casing)
{
	*w = (struct jw){ .out = out, .casing = casing };
}

/* Comma before a value or key where one is due. */
static void begin_value(struct jw *w)
{
	if (w->needs_comma && !w->has_key)
		buf_addc(w->out, ',');
	w->has_key = false;
	w->needs_comma = true;
}

/* Bytes of a well-formed UTF-8 sequence at p, or 0 (RFC 3629: no surrogates, no overlong forms). */
static size_t utf8_len(const unsigned char *p)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
		     : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		     : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						   : 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* A bit for each byte that stands in a JSON string as it is: no NUL, control, quote, backslash,
 * nothing beyond ASCII. */
static const uint64_t plain_bytes[] = { ~UINT64_C(0) << ' ' & ~(UINT64_C(1) << '"'), ~(UINT64_C(1) << ('\\' - 64)), 0,
					0 };

static size_t plain_len(const unsigned char *p)
{
	size_t n = 0;
	while (plain_bytes[p[n] >> 6] >> (p[n] & 63) & 1)
		n++;
	return n;
}

/* Does any of the eight bytes of w, or more of them, need a look? Sets a byte's high bit where it is not plain, and
 * perhaps those of bytes behind it. */
static uint64_t not_plain(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t quote = w ^ ones * '"', backslash = w ^ ones * '\\';

	return (w | (w - ones * ' ') | (quote - ones) | (backslash - ones)) & highs;
}

/* All of them bytes that stand in a JSON string as they are? As are nearly all texts. */
static bool is_plain(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	uint64_t w;

	for (; end - p >= (ptrdiff_t)sizeof w; p += sizeof w) {
		memcpy(&w, p, sizeof w);
		if (not_plain(w))
			return false;
	}
	while (p < end && plain_bytes[*p >> 6] >> (*p & 63) & 1)
		p++;
	return p == end;
}

/* lead stands before the first quote, tail after the second one; both are one byte, or none when NUL. */
static bool write_plain(struct buf *out, char lead, const char *text, char tail)
{
	size_t len = strlen(text);
	size_t size = len + 2 + (lead != '\0') + (tail != '\0');
	char *p = is_plain(text, len) ? buf_room(out, size) : NULL;

	if (!p)
		return false;
	if (lead)
		*p++ = lead;
	*p++ = '"';
	/* A quote follows, no NUL. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(p, text, len);
	p += len;
	*p++ = '"';
	if (tail)
		*p++ = tail;
	buf_put(out, size);
	return true;
}

static void write_any(struct buf *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	buf_addc(out, '"');
	for (;;) {
		size_t plain = plain_len(p);
		buf_add(out, p, plain);
		p += plain;
		if (!*p)
			break;
		size_t len = utf8_len(p);
		if (len == 0) {
			buf_adds(out, "\xef\xbf\xbd");
			p++;
		} else if (*p == '"' || *p == '\\') {
			buf_addc(out, '\\');
			buf_addc(out, (char)*p++);
		} else if (*p < ' ') {
			buf_addf(out, "\\u%04x", *p++);
		} else {
			buf_add(out, p, len);
			p += len;
		}
	}
	buf_addc(out, '"');
}

static void write_string(struct buf *out, char lead, const char *text, char tail)
{
	if (write_plain(out, lead, text, tail))
		return;
	if (lead)
		buf_addc(out, lead);
	write_any(out, text);
	if (tail)
		buf_addc(out, tail);
}

void jw_key_exact(struct jw *w, const char *name)
{
	must(!w->has_key);
	write_string(w->out, w->needs_comma ? ',' : '\0', name, ':');
	w->has_key = true;
	w->needs_comma = true;
}

void jw_key(struct jw *w, const char *camel_name)
{
	char pascal[NAME_MAX_LEN + 1];

	if (w->casing == CASING_PASCAL) {
		to_pascal(camel_name, pascal);
		camel_name = pascal;
	}
	if (w->is_twin) {
		size_t at = w->out->len + w->needs_comma + 1;
		buf_add(&w->twin_keys, &at, sizeof at);
	}
	jw_key_exact(w, camel_name);
}

void jw_twin_begin(struct jw *w)
{
	must(w->depth > 0 && !w->needs_comma && !w->has_key && !w->is_twin && w->casing == CASING_CAMEL);
	w->is_twin = true;
	w->twin_from = w->out->len;
	buf_init(&w->twin_keys, w->out->ceiling);
}

static void raise_first(char *letter)
{
	if (*letter >= 'a' && *letter <= 'z')
		*letter = (char)(*letter - 'a' + 'A');
}

void jw_twin_end(struct jw *w)
{
	size_t len = w->out->len - w->twin_from, n = w->twin_keys.len / sizeof(size_t), at;
	char *p = len ? buf_room(w->out, len + 1) : NULL;

	must(w->is_twin && !w->has_key);
	/* Past the ceiling the places of the keys mean nothing, and p is NULL. */
	if (p) {
		*p = ',';
		memcpy(p + 1, w->out->bytes + w->twin_from, len);
		for (size_t i = 0; i < n; i++) {
			memcpy(&at, w->twin_keys.bytes + i * sizeof at, sizeof at);
			raise_first(p + 1 + (at - w->twin_from));
		}
		buf_put(w->out, len + 1);
	}
	w->is_twin = false;
	buf_fini(&w->twin_keys);
}

static void open_level(struct jw *w, char c)
{
	begin_value(w);
	buf_addc(w->out, c);
	w->needs_comma = false;
	w->depth++;
}

static void close_level(struct jw *w, char c)
{
	must(w->depth > 0 && !w->has_key);
	w->depth--;
	buf_addc(w->out, c);
	w->needs_comma = true;
}

void jw_object(struct jw *w) { open_level(w, '{'); }
void jw_end_object(struct jw *w) { close_level(w, '}'); }
void jw_array(struct jw *w) { open_level(w, '['); }
void jw_end_array(struct jw *w) { close_level(w, ']'); }

void jw_text(struct jw *w, const char *text)
{
	if (!text) {
		jw_null(w);
		return;
	}
	char lead = w->needs_comma && !w->has_key ? ',' : '\0';
	w->has_key = false;
	w->needs_comma = true;
	write_string(w->out, lead, text, '\0');
}

void jw_int(struct jw *w, int64_t v)
{
	begin_value(w);
	buf_addi(w->out, v);
}

void jw_int_text(struct jw *w, int64_t v)
{
	begin_value(w);
	buf_addc(w->out, '"');
	buf_addi(w->out, v);
	buf_addc(w->out, '"');
}

void jw_real(struct jw *w, double v)
{
	char text[40];

	begin_value(w);
	if (!isfinite(v)) {
		buf_adds(w->out, "null");
		return;
	}
	if (fabs(v) < 1e15 && v == trunc(v)) { /* 45000, not 4.5e+04 */
		buf_addf(w->out, "%.0f", v + 0.0); /* -0 + 0 is 0; "-0" would be read as an integer */
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		(void)snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_adds(w->out, text);
}

void jw_bool(struct jw *w, bool v)
{
	begin_value(w);
	buf_adds(w->out, v ? "true" : "false");
}

void jw_null(struct jw *w)
{
	begin_value(w);
	buf_adds(w->out, "null");
}

void jw_raw(struct jw *w, const char *json_text)
{
	begin_value(w);
	buf_adds(w->out, json_text);
}

void jw_kv_text(struct jw *w, const char *key, const char *text)
{
	jw_key(w, key);
	jw_text(w, text);
}

void jw_kv_int(struct jw *w, const char *key, int64_t v)
{
	jw_key(w, key);
	jw_int(w, v);
}

void jw_kv_real(struct jw *w, const char *key, double v)
{
	jw_key(w, key);
	jw_real(w, v);
}

void jw_kv_bool(struct jw *w, const char *key, bool v)
{
	jw_key(w, key);
	jw_bool(w, v);
}

/* ---- members of an object that is text, as this file writes it: no blanks outside of strings ---- */

/* Behind the string that begins at p; NULL when it has no end. */
static const char *behind_string(const char *p)
{
	if (*p != '"')
		return NULL;
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && !*++p)
			return NULL;
	}
	return *p ? p + 1 : NULL;
}

static const char *behind_scalar(const char *p)
{
	size_t len = strspn(p, "+-.0123456789aeflnrstuE"); /* numbers, true, false, null */
	return len ? p + len : NULL;
}

/* Behind the object or array that begins at p, its brackets in pairs of whatever kind. */
static const char *behind_brackets(const char *p)
{
	int depth = 0;

	while (p && *p) {
		if (*p == '"') {
			p = behind_string(p);
			continue;
		}
		if ((unsigned char)*p <= ' ')
			return NULL;
		depth += *p == '{' || *p == '[';
		depth -= *p == '}' || *p == ']';
		p++;
		if (depth == 0)
			return p;
	}
	return NULL;
}

static const char *behind_value(const char *p)
{
	if (*p == '"')
		return behind_string(p);
	return *p == '{' || *p == '[' ? behind_brackets(p) : behind_scalar(p);
}

/* Is the name between the quotes of member one of the list? */
static bool is_left_out(const char *member, const char *const *names)
{
	for (; *names; names++) {
		size_t len = strlen(*names);
		if (strncmp(member + 1, *names, len) == 0 && member[1 + len] == '"')
			return true;
	}
	return false;
}

/* One walk along the members; w NULL: only to see whether they have the form. */
static bool walk_members(struct jw *w, const char *p, const char *const *but)
{
	if (*p != '{')
		return false;
	if (p[1] == '}')
		return p[2] == '\0';
	do {
		const char *member = p + 1, *colon = behind_string(member);
		const char *end = colon && *colon == ':' ? behind_value(colon + 1) : NULL;
		if (!end)
			return false;
		if (w && !is_left_out(member, but)) {
			begin_value(w);
			buf_add(w->out, member, (size_t)(end - member));
		}
		p = end;
	} while (*p == ',');
	return p[0] == '}' && p[1] == '\0';
}

bool jw_members(struct jw *w, const char *object_text, const char *const *but)
{
	must(!w->has_key && w->depth > 0);
	return walk_members(NULL, object_text, but) && walk_members(w, object_text, but);
}

void jw_value(struct jw *w, const json_t *v)
{
	if (json_is_object(v)) {
		json_t *object = (json_t *)(uintptr_t)v; /* the iterator's interface is not const; it only reads */
		jw_object(w);
		for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
			jw_key_exact(w, json_object_iter_key(it));
			jw_value(w, json_object_iter_value(it));
		}
		jw_end_object(w);
	} else if (json_is_array(v)) {
		jw_array(w);
		for (size_t i = 0; i < json_array_size(v); i++)
			jw_value(w, json_array_get(v, i));
		jw_end_array(w);
	} else if (json_is_string(v)) {
		jw_text(w, json_string_value(v));
	} else if (json_is_integer(v)) {
		jw_int(w, json_integer_value(v));
	} else if (json_is_real(v)) {
		jw_real(w, json_real_value(v));
	} else if (json_is_boolean(v)) {
		jw_bool(w, json_is_true(v));
	} else {
		jw_null(w);
	}
}
