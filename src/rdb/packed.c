/*
 * The four packed forms. Each walk reads one whole blob, checks every length against its neighbours (a backward length,
 * a tail offset, a count) and adds what it saw to the walk. Nothing is kept but the element being looked at.
 */
#include "rdb/rdb_priv.h"

enum { PACK_END = 0xff };

/* Element number index of this blob has len characters. */
static void see(struct walk *w, uint64_t index, uint64_t len)
{
	w->n++;
	if (index % w->period < w->n_measured && len > w->longest)
		w->longest = len;
}

static bool take_u8(struct blob *b, uint8_t *out)
{
	const uint8_t *p;
	if (!blob_take(b, 1, &p))
		return false;
	*out = *p;
	return true;
}

/* ---- listpack: total(4) count(2) { encoding content backward-length } ff ---- */

/* An element being read: its characters, and the bytes it takes so far. */
struct element {
	uint64_t len, size;
};

static bool element_string(struct blob *b, uint64_t len, uint64_t heading_size, struct element *e)
{
	*e = (struct element){ .len = len, .size = heading_size + len };
	return blob_skip(b, len);
}

static bool element_int(struct blob *b, size_t n, struct element *e)
{
	const uint8_t *p;
	if (!blob_take(b, n, &p))
		return false;
	*e = (struct element){ .len = decimal_len(le_get_signed(p, n)), .size = 1 + n };
	return true;
}

static bool listpack_int13(struct blob *b, uint8_t first, struct element *e)
{
	uint8_t low;
	if (!take_u8(b, &low))
		return false;
	int v = (first & 0x1f) << 8 | low;
	*e = (struct element){ .len = decimal_len(v < 4096 ? v : v - 8192), .size = 2 };
	return true;
}

static bool listpack_content(struct blob *b, uint8_t first, struct element *e)
{
	static const uint8_t int_size[] = { 2, 3, 4, 8 }; /* of f1 .. f4 */
	const uint8_t *p;
	uint8_t low;

	if (first < 0x80) {
		*e = (struct element){ .len = decimal_len(first), .size = 1 };
		return true;
	}
	if (first < 0xc0)
		return element_string(b, first & 0x3f, 1, e);
	if (first < 0xe0)
		return listpack_int13(b, first, e);
	if (first < 0xf0)
		return take_u8(b, &low) && element_string(b, (uint64_t)(first & 0xf) << 8 | low, 2, e);
	if (first == 0xf0)
		return blob_take(b, 4, &p) && element_string(b, le_get(p, 4), 5, e);
	if (first <= 0xf4)
		return element_int(b, int_size[first - 0xf1], e);
	return in_bad(b->in, "listpack: 0x%02x begins no element", first);
}

/* The size again, seven bits a byte, highest first, so that it can be read backwards. */
static bool listpack_backward(struct blob *b, uint64_t size)
{
	size_t n = size <= 127 ? 1 : size < 16383 ? 2 : size < 2097151 ? 3 : size < 268435455 ? 4 : 5;
	const uint8_t *p;

	if (!blob_take(b, n, &p))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned bits = size >> 7 * (n - 1 - i) & 0x7f;
		if (p[i] != (i ? bits | 0x80 : bits))
			return in_bad(b->in, "listpack: an element's backward length is not its length");
	}
	return true;
}

bool walk_listpack(struct blob *b, struct walk *w)
{
	enum { HEADING = 6, UNCOUNTED = 65535 };
	uint64_t size = b->left, n = 0;
	const uint8_t *p;
	uint8_t first;
	struct element e;

	if (!blob_take(b, HEADING, &p))
		return false;
	uint64_t says_size = le_get(p, 4), says_n = le_get(p + 4, 2);
	if (says_size != size)
		return in_bad(b->in, "listpack: it says %llu bytes and has %llu", (unsigned long long)says_size,
		              (unsigned long long)size);
	for (;; n++) {
		if (!take_u8(b, &first))
			return false;
		if (first == PACK_END)
			break;
		if (!listpack_content(b, first, &e) || !listpack_backward(b, e.size))
			return false;
		see(w, n, e.len);
	}
	if (says_n != UNCOUNTED && says_n != n)
		return in_bad(b->in, "listpack: it says %llu elements and has %llu", (unsigned long long)says_n,
		              (unsigned long long)n);
	return true;
}

/* ---- ziplist: total(4) tail(4) count(2) { previous-size encoding content } ff ---- */

static bool ziplist_content(struct blob *b, uint8_t first, struct element *e)
{
	const uint8_t *p;
	uint8_t low;

	switch (first >> 6) {
	case 0:
		return element_string(b, first & 0x3f, 1, e);
	case 1:
		return take_u8(b, &low) && element_string(b, (uint64_t)(first & 0x3f) << 8 | low, 2, e);
	case 2:
		return blob_take(b, 4, &p) && element_string(b, be_get(p, 4), 5, e);
	}
	switch (first) {
	case 0xc0:
		return element_int(b, 2, e);
	case 0xd0:
		return element_int(b, 4, e);
	case 0xe0:
		return element_int(b, 8, e);
	case 0xf0:
		return element_int(b, 3, e);
	case 0xfe:
		return element_int(b, 1, e);
	}
	if (first < 0xf1 || first > 0xfd)
		return in_bad(b->in, "ziplist: 0x%02x begins no element", first);
	*e = (struct element){ .len = decimal_len((first & 0xf) - 1), .size = 1 };
	return true;
}

/* The size of the element before, as an element says it; *n is how many bytes that took. */
static bool ziplist_previous(struct blob *b, uint8_t first, uint64_t *previous, uint64_t *n)
{
	enum { LONG = 254 };
	const uint8_t *p;

	if (first < LONG) {
		*previous = first;
		*n = 1;
		return true;
	}
	if (!blob_take(b, 4, &p))
		return false;
	*previous = le_get(p, 4);
	*n = 5;
	return true;
}

bool walk_ziplist(struct blob *b, struct walk *w)
{
	enum { HEADING = 10, UNCOUNTED = 65535 };
	uint64_t size = b->left, n = 0, last_at = HEADING, before = 0;
	const uint8_t *p;
	uint8_t first, encoding;

	if (!blob_take(b, HEADING, &p))
		return false;
	uint64_t says_size = le_get(p, 4), tail = le_get(p + 4, 4), says_n = le_get(p + 8, 2);
	if (says_size != size)
		return in_bad(b->in, "ziplist: it says %llu bytes and has %llu", (unsigned long long)says_size,
		              (unsigned long long)size);
	for (;; n++) {
		uint64_t previous, previous_size, at = size - b->left;
		struct element e;
		if (!take_u8(b, &first))
			return false;
		if (first == PACK_END)
			break;
		if (!ziplist_previous(b, first, &previous, &previous_size) || !take_u8(b, &encoding) ||
		    !ziplist_content(b, encoding, &e))
			return false;
		if (previous != before)
			return in_bad(b->in, "ziplist: an element says that %llu bytes are before it, %llu are",
			              (unsigned long long)previous, (unsigned long long)before);
		before = previous_size + e.size;
		last_at = at;
		see(w, n, e.len);
	}
	if (tail != last_at || (says_n != UNCOUNTED && says_n != n))
		return in_bad(b->in, "ziplist: its heading fits not its %llu elements", (unsigned long long)n);
	return true;
}

/* ---- intset: width(4) count(4) { number } ---- */

bool walk_intset(struct blob *b, struct walk *w)
{
	enum { HEADING = 8 };
	const uint8_t *p;

	if (!blob_take(b, HEADING, &p))
		return false;
	uint64_t width = le_get(p, 4), n = le_get(p + 4, 4);
	if (width != 2 && width != 4 && width != 8)
		return in_bad(b->in, "intset: numbers cannot be %llu bytes wide", (unsigned long long)width);
	if (b->left != n * width)
		return in_bad(b->in, "intset: %llu numbers of %llu bytes are not %llu bytes", (unsigned long long)n,
		              (unsigned long long)width, (unsigned long long)b->left);
	for (uint64_t i = 0; i < n; i++) {
		if (!blob_take(b, width, &p))
			return false;
		see(w, i, decimal_len(le_get_signed(p, width)));
	}
	return true;
}

/* ---- zipmap: count(1) { length field length spare(1) value spare-bytes } ff ---- */

static bool zipmap_len(struct blob *b, uint8_t first, uint64_t *len)
{
	enum { LONG = 254 };
	const uint8_t *p;

	if (first < LONG) {
		*len = first;
		return true;
	}
	if (first != LONG)
		return in_bad(b->in, "zipmap: a field has no value");
	if (!blob_take(b, 4, &p))
		return false;
	*len = le_get(p, 4);
	return true;
}

static bool zipmap_pair(struct blob *b, uint8_t first, uint64_t *field_len, uint64_t *value_len)
{
	uint8_t value_first, spare;

	return zipmap_len(b, first, field_len) && blob_skip(b, *field_len) && take_u8(b, &value_first) &&
	       zipmap_len(b, value_first, value_len) && take_u8(b, &spare) && blob_skip(b, *value_len) &&
	       blob_skip(b, spare);
}

bool walk_zipmap(struct blob *b, struct walk *w)
{
	enum { UNCOUNTED = 254 };
	uint8_t says_n, first;
	uint64_t n = 0, field_len, value_len;

	if (!take_u8(b, &says_n))
		return false;
	for (;; n++) {
		if (!take_u8(b, &first))
			return false;
		if (first == PACK_END)
			break;
		if (!zipmap_pair(b, first, &field_len, &value_len))
			return false;
		see(w, 2 * n, field_len);
		see(w, 2 * n + 1, value_len);
	}
	if (says_n < UNCOUNTED && says_n != n)
		return in_bad(b->in, "zipmap: it says %d fields and has %llu", says_n, (unsigned long long)n);
	return true;
}
