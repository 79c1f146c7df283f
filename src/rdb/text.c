/*
 * Lengths and strings. A compressed string is unpacked a piece at a time: LZF refers back 8 KiB at most, so the last
 * 8 KiB made are all that must stay, and a value of any size is walked in one window. The window holds, in order, the
 * reach, what was made and not yet taken (at .. end), and room.
 */
#include <stdio.h>
#include <string.h>
#include "base/must.h"
#include "rdb/rdb_priv.h"

enum { LEN_6 = 0, LEN_14 = 1, LEN_WIDE = 2, LEN_SPECIAL = 3 };                    /* the top two bits */
enum { SPECIAL_INT8 = 0, SPECIAL_INT16 = 1, SPECIAL_INT32 = 2, SPECIAL_LZF = 3 }; /* the other six */
enum { WIDE_32 = 0x80, WIDE_64 = 0x81 };

static bool wide_len(struct input *in, uint8_t first, uint64_t *out)
{
	size_t n = first == WIDE_32 ? 4 : 8;

	if (first != WIDE_32 && first != WIDE_64)
		return in_bad(in, "0x%02x begins no length", first);
	if (!in_need(in, n))
		return false;
	*out = be_get(in->at, n);
	in->at += n;
	return true;
}

/* *special says that *out names a kind of string. */
static bool any_len(struct input *in, uint64_t *out, bool *special)
{
	uint8_t first, low;

	if (!in_u8(in, &first))
		return false;
	*special = first >> 6 == LEN_SPECIAL;
	switch (first >> 6) {
	case LEN_14:
		if (!in_u8(in, &low))
			return false;
		*out = (uint64_t)(first & 0x3f) << 8 | low;
		return true;
	case LEN_WIDE:
		return wide_len(in, first, out);
	default:
		*out = first & 0x3f;
		return true;
	}
}

bool take_len(struct input *in, uint64_t *out)
{
	bool special;
	uint64_t v;

	if (!any_len(in, &v, &special))
		return false;
	if (special)
		return in_bad(in, "a number is expected, a kind of string stands there");
	*out = v;
	return true;
}

bool take_count(struct input *in, const char *what, unsigned min_size, uint64_t *out)
{
	uint64_t n;

	if (!take_len(in, &n))
		return false;
	if (n > in_left(in) / min_size)
		return in_bad(in, "%llu %s do not fit into the %llu bytes that follow", (unsigned long long)n, what,
		              (unsigned long long)in_left(in));
	*out = n;
	return true;
}

static bool int_text(struct input *in, size_t n, struct text *out)
{
	if (!in_need(in, n))
		return false;
	int64_t v = le_get_signed(in->at, n);
	in->at += n;
	*out = (struct text){ .kind = TEXT_INT, .len = decimal_len(v), .value = v };
	return true;
}

static bool lzf_text(struct input *in, struct text *out)
{
	struct text t = { .kind = TEXT_LZF };

	if (!take_len(in, &t.packed_len) || !take_len(in, &t.len))
		return false;
	if (t.packed_len > in_left(in))
		return in_bad(in, "cut off: %llu compressed bytes should follow, %llu do",
		              (unsigned long long)t.packed_len, (unsigned long long)in_left(in));
	/* Three bytes make 264 at best. */
	if (t.len / (LZF_COPY_MAX / 3) > t.packed_len)
		return in_bad(in, "%llu compressed bytes cannot give %llu", (unsigned long long)t.packed_len,
		              (unsigned long long)t.len);
	*out = t;
	return true;
}

bool take_text(struct input *in, struct text *out)
{
	bool special;
	uint64_t v;

	if (!any_len(in, &v, &special))
		return false;
	if (!special) {
		if (v > in_left(in))
			return in_bad(in, "cut off: a string of %llu bytes should follow, %llu do",
			              (unsigned long long)v, (unsigned long long)in_left(in));
		*out = (struct text){ .kind = TEXT_PLAIN, .len = v };
		return true;
	}
	switch (v) {
	case SPECIAL_INT8:
		return int_text(in, 1, out);
	case SPECIAL_INT16:
		return int_text(in, 2, out);
	case SPECIAL_INT32:
		return int_text(in, 4, out);
	case SPECIAL_LZF:
		return lzf_text(in, out);
	default:
		return in_bad(in, "%d is no kind of string", (int)v);
	}
}

bool skip_content(struct input *in, const struct text *t)
{
	switch (t->kind) {
	case TEXT_PLAIN:
		return in_skip(in, t->len);
	case TEXT_LZF:
		return in_skip(in, t->packed_len);
	default:
		return true; /* the heading was all of it */
	}
}

bool skip_text(struct input *in, struct text *out)
{
	struct text t;
	if (!take_text(in, &t) || !skip_content(in, &t))
		return false;
	*out = t;
	return true;
}

static bool copy_blob(struct blob *b, uint8_t *out, size_t n)
{
	const uint8_t *p;

	for (size_t done = 0; done < n;) {
		size_t piece = n - done < INPUT_NEED_MAX ? n - done : INPUT_NEED_MAX;
		if (!blob_take(b, piece, &p))
			return false;
		memcpy(out + done, p, piece);
		done += piece;
	}
	return true;
}

bool take_name(struct input *in, uint8_t *out, size_t cap, uint64_t *len)
{
	struct text t;
	struct blob b;

	if (!take_text(in, &t))
		return false;
	if (t.kind == TEXT_INT) {
		char digits[24];
		int n = snprintf(digits, sizeof digits, "%lld", (long long)t.value);
		must(n > 0 && (size_t)n <= cap);
		memcpy(out, digits, (size_t)n);
		*len = (uint64_t)n;
		return true;
	}
	size_t kept = t.len < cap ? (size_t)t.len : cap;
	if (!blob_open(in, &t, &b) || !copy_blob(&b, out, kept) || !blob_skip(&b, b.left) || !blob_close(&b))
		return false;
	*len = t.len;
	return true;
}

/* ---- blobs ---- */

bool blob_open(struct input *in, const struct text *t, struct blob *b)
{
	if (t->kind == TEXT_INT)
		return in_bad(in, "a number stands where packed elements are expected");
	*b = (struct blob){ .in = in, .left = t->len };
	if (t->kind == TEXT_LZF) {
		b->is_packed = true;
		b->packed_left = t->packed_len;
		b->unmade = t->len;
	}
	return true;
}

/* The next byte of the compressed form. */
static bool lzf_byte(struct blob *b, unsigned *out)
{
	uint8_t byte;

	if (!b->packed_left)
		return in_bad(b->in, "a compressed string ends inside an instruction");
	if (!in_u8(b->in, &byte))
		return false;
	b->packed_left--;
	*out = byte;
	return true;
}

static bool lzf_literal(struct blob *b, size_t n)
{
	struct input *in = b->in;

	if (n > b->unmade || n > b->packed_left)
		return in_bad(in, "a compressed string is longer than it says");
	if (!in_need(in, n))
		return false;
	memcpy(in->lzf + b->end, in->at, n);
	in->at += n;
	b->packed_left -= n;
	b->end += n;
	b->unmade -= n;
	return true;
}

static bool lzf_copy(struct blob *b, unsigned first)
{
	unsigned len = first >> 5, more = 0, low;

	if ((len == 7 && !lzf_byte(b, &more)) || !lzf_byte(b, &low))
		return false;
	size_t n = len + more + 2, back = ((size_t)(first & 0x1f) << 8 | low) + 1;
	if (back > b->end)
		return in_bad(b->in, "a compressed string refers to before its begin");
	if (n > b->unmade)
		return in_bad(b->in, "a compressed string is longer than it says");
	uint8_t *to = b->in->lzf + b->end;
	const uint8_t *from = to - back;
	for (size_t i = 0; i < n; i++) /* may overlap itself: that repeats */
		to[i] = from[i];
	b->end += n;
	b->unmade -= n;
	return true;
}

static bool lzf_step(struct blob *b)
{
	unsigned first;
	if (!lzf_byte(b, &first))
		return false;
	return first < 32 ? lzf_literal(b, first + 1) : lzf_copy(b, first);
}

/* Make at least n bytes available, and then as many as fit. n <= b->left. */
static bool lzf_fill(struct blob *b, size_t n)
{
	size_t keep_from = b->at > LZF_REACH ? b->at - LZF_REACH : 0;

	memmove(b->in->lzf, b->in->lzf + keep_from, b->end - keep_from);
	b->at -= keep_from;
	b->end -= keep_from;
	while (b->unmade && b->end + LZF_COPY_MAX <= LZF_SIZE)
		if (!lzf_step(b))
			return false;
	must(b->end - b->at >= n); /* left counts what is made and what is unmade */
	return true;
}

bool blob_take(struct blob *b, size_t n, const uint8_t **bytes)
{
	if (n > b->left)
		return in_bad(b->in, "packed elements end too early");
	if (!b->is_packed) {
		if (!in_need(b->in, n))
			return false;
		*bytes = b->in->at;
		b->in->at += n;
	} else {
		if (b->end - b->at < n && !lzf_fill(b, n))
			return false;
		*bytes = b->in->lzf + b->at;
		b->at += n;
	}
	b->left -= n;
	return true;
}

bool blob_skip(struct blob *b, uint64_t n)
{
	if (n > b->left)
		return in_bad(b->in, "packed elements end too early");
	b->left -= n;
	if (!b->is_packed)
		return in_skip(b->in, n);
	while (n > b->end - b->at) {
		n -= b->end - b->at;
		b->at = b->end;
		if (!lzf_fill(b, 1))
			return false;
	}
	b->at += n;
	return true;
}

bool blob_close(struct blob *b)
{
	if (b->left)
		return in_bad(b->in, "%llu bytes follow the packed elements", (unsigned long long)b->left);
	if (b->packed_left)
		return in_bad(b->in, "%llu bytes follow a compressed string", (unsigned long long)b->packed_left);
	return true;
}
