#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"

enum { FIRST_CAP = 256 }; /* most are texts of a few hundred bytes: one allocation */

void buf_init(struct buf *b, size_t ceiling_size)
{
	enum { GROWTH = 4 }; /* doubling past a ceiling near SIZE_MAX would wrap */
	*b = (struct buf){ .ceiling = ceiling_size < SIZE_MAX / GROWTH ? ceiling_size : SIZE_MAX / GROWTH };
}

void buf_fini(struct buf *b)
{
	mem_free(b->bytes);
	*b = (struct buf){ .ceiling = b->ceiling };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->is_over = false;
	if (b->bytes)
		b->bytes[0] = '\0';
}

char *buf_take(struct buf *b)
{
	char *p = b->bytes ? b->bytes : mem_alloc(1);
	*b = (struct buf){ .ceiling = b->ceiling };
	return p;
}

const char *buf_text(const struct buf *b) { return b->bytes ? b->bytes : ""; }

static bool grow(struct buf *b, size_t more)
{
	if (b->is_over || more > b->ceiling || b->len > b->ceiling - more) {
		b->is_over = true;
		return false;
	}
	size_t need = b->len + more + 1;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : FIRST_CAP;
		while (cap < need)
			cap *= 2;
		b->bytes = mem_grow(b->bytes, cap, 1);
		b->cap = cap;
	}
	return true;
}

/* Room for more bytes and the NUL, or is_over. Nearly always it is there. */
static inline bool reserve(struct buf *b, size_t more)
{
	bool is_there = !b->is_over && more < b->cap - b->len && b->len + more <= b->ceiling;
	return is_there || grow(b, more);
}

void buf_reserve(struct buf *b, size_t len)
{
	if (!b->is_over && len <= b->ceiling && b->len <= b->ceiling - len)
		(void)grow(b, len);
}

char *buf_room(struct buf *b, size_t len) { return reserve(b, len) ? b->bytes + b->len : NULL; }

void buf_put(struct buf *b, size_t len)
{
	must(len < b->cap - b->len);
	b->len += len;
	b->bytes[b->len] = '\0';
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len)
		memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
	b->bytes[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *text) { buf_add(b, text, strlen(text)); }

void buf_addc(struct buf *b, char c)
{
	if (!reserve(b, 1))
		return;
	b->bytes[b->len++] = c;
	b->bytes[b->len] = '\0';
}

void buf_addi(struct buf *b, int64_t v)
{
	char text[24];
	char *p = text + sizeof text;
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	for (; left >= 100; left /= 100) {
		unsigned two = (unsigned)(left % 100);
		*--p = (char)('0' + two % 10);
		*--p = (char)('0' + two / 10);
	}
	if (left >= 10)
		*--p = (char)('0' + left % 10);
	*--p = (char)('0' + (left >= 10 ? left / 10 : left));
	if (v < 0)
		*--p = '-';
	buf_add(b, p, (size_t)(text + sizeof text - p));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	size_t room = b->bytes && !b->is_over ? b->cap - b->len : 0;
	va_start(ap, fmt);
	va_copy(again, ap);
	/* Most texts fit where there is room already: one pass. */
	int len = vsnprintf(room ? b->bytes + b->len : NULL, room, fmt, ap);
	va_end(ap);
	must(len >= 0);
	if (reserve(b, (size_t)len)) {
		if ((size_t)len >= room)
			(void)vsnprintf(b->bytes + b->len, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	} else if (room) {
		b->bytes[b->len] = '\0'; /* refused: what was there stays */
	}
	va_end(again);
}

void buf_drop_front(struct buf *b, size_t len)
{
	must(len <= b->len);
	if (!len)
		return;
	b->len -= len;
	memmove(b->bytes, b->bytes + len, b->len + 1);
}
