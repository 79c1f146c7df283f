/*
 * Percent-encoding and the canonical query, against slow and obvious ones: pieces in a list, moved up one place at a
 * time until they are in order. The canonical form of a canonical query is itself; encoding and decoding
 * undo each other.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "sign/canon.h"

enum { ARENA_SIZE = 8 << 20, TEXT_MAX = 1 << 22 };

/* ---- the reference ---- */

static int digit_of(char c)
{
	const char *digits = "0123456789abcdefABCDEF", *at = c ? strchr(digits, c) : NULL;
	return !at ? -1 : at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

static void ref_decode(struct buf *out, const char *text, size_t len, bool plus_is_space)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '%' && i + 2 < len && digit_of(text[i + 1]) >= 0 && digit_of(text[i + 2]) >= 0) {
			buf_addc(out, (char)(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2])));
			i += 2;
		} else {
			buf_addc(out, text[i] == '+' && plus_is_space ? ' ' : text[i]);
		}
	}
}

static void ref_encode(struct buf *out, const char *bytes, size_t len, bool space_is_plus)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	for (size_t i = 0; i < len; i++) {
		if (space_is_plus && bytes[i] == ' ')
			buf_addc(out, '+');
		else if (bytes[i] && strchr(plain, bytes[i]))
			buf_addc(out, bytes[i]);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)bytes[i]);
	}
}

enum { PAIRS_MAX = 256 };

struct ref_pair {
	struct buf key, value;
};

static bool is_before(const struct buf *x, const struct buf *y, bool *is_equal)
{
	size_t len = x->len < y->len ? x->len : y->len;
	int order = len ? memcmp(x->bytes, y->bytes, len) : 0;

	*is_equal = order == 0 && x->len == y->len;
	return order < 0 || (order == 0 && x->len < y->len);
}

static bool must_swap(const struct ref_pair *first, const struct ref_pair *second, bool by_value_too)
{
	bool is_equal;

	if (is_before(&second->key, &first->key, &is_equal))
		return true;
	return is_equal && by_value_too && is_before(&second->value, &first->value, &is_equal);
}

static void add_pair(struct ref_pair *p, const char *text, size_t len)
{
	const char *equals = memchr(text, '=', len);
	size_t key_len = equals ? (size_t)(equals - text) : len;

	buf_init(&p->key, TEXT_MAX);
	buf_init(&p->value, TEXT_MAX);
	ref_decode(&p->key, text, key_len, true);
	if (equals)
		ref_decode(&p->value, equals + 1, len - key_len - 1, true);
}

/* False: more pairs than the reference has patience for. */
static bool ref_query(struct buf *out, const char *query, bool is_form)
{
	static struct ref_pair pairs[PAIRS_MAX];
	size_t n = 0;

	for (const char *p = query; *p && n < PAIRS_MAX; p += p[0] == '&') {
		size_t len = strcspn(p, "&");
		if (len)
			add_pair(&pairs[n++], p, len);
		p += len;
	}
	for (size_t i = 1; i < n; i++) {
		for (size_t k = i; k > 0 && must_swap(&pairs[k - 1], &pairs[k], !is_form); k--) {
			struct ref_pair held = pairs[k];
			pairs[k] = pairs[k - 1];
			pairs[k - 1] = held;
		}
	}
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, i ? "&" : "");
		ref_encode(out, pairs[i].key.bytes, pairs[i].key.len, is_form);
		buf_addc(out, '=');
		ref_encode(out, pairs[i].value.bytes, pairs[i].value.len, is_form);
		buf_fini(&pairs[i].key);
		buf_fini(&pairs[i].value);
	}
	return n < PAIRS_MAX;
}

/* ---- */

typedef void query_fn(struct buf *out, const char *raw_query, struct arena *a);

static void check_query(query_fn *canonical, const char *query, bool is_form)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct buf got, again, want;

	buf_init(&got, TEXT_MAX);
	buf_init(&again, TEXT_MAX);
	buf_init(&want, TEXT_MAX);
	canonical(&got, query, a);
	canonical(&again, buf_text(&got), a);
	CHECK(!arena_is_full(a) && !got.is_over, "too much for '%s'", query);
	CHECK(fuzz_is_same(got.bytes, got.len, again.bytes, again.len), "'%s' gives '%s', that '%s'", query,
	      buf_text(&got), buf_text(&again));
	if (ref_query(&want, query, is_form))
		CHECK(fuzz_is_same(got.bytes, got.len, want.bytes, want.len), "'%s' gives '%s', not '%s'", query,
		      buf_text(&got), buf_text(&want));
	buf_fini(&got);
	buf_fini(&again);
	buf_fini(&want);
}

static void check_decode(const char *bytes, size_t size, enum canon_plus plus)
{
	char *to = mem_alloc(size ? size : 1);
	size_t n = canon_decode(to, (struct slice){ bytes, size }, plus);
	struct buf want;

	buf_init(&want, TEXT_MAX);
	ref_decode(&want, bytes, size, plus == CANON_PLUS_IS_SPACE);
	CHECK(fuzz_is_same(to, n, want.bytes, want.len), "%zu bytes, not %zu", n, want.len);
	mem_free(to);
	buf_fini(&want);
}

static void check_encode(const char *bytes, size_t size)
{
	struct buf got, want;
	char *back = mem_alloc(size * 3 + 1);

	buf_init(&got, TEXT_MAX);
	buf_init(&want, TEXT_MAX);
	canon_encode(&got, (struct slice){ bytes, size });
	ref_encode(&want, bytes, size, false);
	CHECK(fuzz_is_same(got.bytes, got.len, want.bytes, want.len), "'%s', not '%s'", buf_text(&got),
	      buf_text(&want));
	size_t n = canon_decode(back, (struct slice){ got.bytes, got.len }, CANON_PLUS_IS_SPACE);
	CHECK(fuzz_is_same(back, n, bytes, size), "'%s' decodes to something else", buf_text(&got));
	mem_free(back);
	buf_fini(&got);
	buf_fini(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = size ? (const char *)data : "";
	char *text = fuzz_text(data, size, NULL);

	check_decode(bytes, size, CANON_PLUS_STAYS);
	check_decode(bytes, size, CANON_PLUS_IS_SPACE);
	check_encode(bytes, size);
	check_query(canon_query, text, false);
	check_query(canon_query_form, text, true);
	mem_free(text);
	return 0;
}
