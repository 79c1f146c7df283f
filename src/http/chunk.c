#include "http/chunk.h"

#include <stdbool.h>
#include "base/hex.h"

static void start_line(struct chunk *c, enum chunk_state state)
{
	c->state = state;
	c->line_len = 0;
	c->last = 0;
}

static void start_size(struct chunk *c)
{
	start_line(c, CHUNK_SIZE);
	c->left = 0;
	c->n_digits = 0;
	c->is_in_size = true;
}

/* One byte of "1a;name=value CR LF". */
static bool take_size_byte(struct chunk *c, unsigned char byte)
{
	if (++c->line_len > CHUNK_LINE_LIMIT)
		return false;
	int digit = hex_value((char)byte);
	if (c->is_in_size && digit >= 0) {
		if (c->n_digits++ == 15) /* 60 bits: no overflow, and far over any limit */
			return false;
		c->left = c->left * 16 + (uint64_t)digit;
		return true;
	}
	if (c->is_in_size && byte != ';' && byte != ' ' && byte != '\t' && byte != '\r')
		return false;
	c->is_in_size = false;
	if (c->last == '\r' && byte != '\n')
		return false;
	if (byte == '\n') {
		if (c->last != '\r' || c->n_digits == 0)
			return false;
		start_line(c, c->left ? CHUNK_DATA : CHUNK_TRAILERS);
		return true;
	}
	c->last = byte;
	return true;
}

static bool take_data_end_byte(struct chunk *c, unsigned char byte)
{
	if (c->last == 0 && byte == '\r') {
		c->last = byte;
		return true;
	}
	if (c->last != '\r' || byte != '\n')
		return false;
	start_size(c);
	return true;
}

static bool take_trailer_byte(struct chunk *c, unsigned char byte)
{
	if (++c->trailers_size > CHUNK_TRAILERS_LIMIT || ++c->line_len > CHUNK_LINE_LIMIT)
		return false;
	if (c->last == '\r' && byte != '\n')
		return false;
	if (byte != '\n') {
		c->last = byte;
		return true;
	}
	if (c->last != '\r')
		return false;
	start_line(c, c->line_len == 2 ? CHUNK_END : CHUNK_TRAILERS);
	return true;
}

static bool take_byte(struct chunk *c, unsigned char byte)
{
	switch (c->state) {
	case CHUNK_SIZE: return take_size_byte(c, byte);
	case CHUNK_DATA_END: return take_data_end_byte(c, byte);
	case CHUNK_TRAILERS: return take_trailer_byte(c, byte);
	case CHUNK_DATA:
	case CHUNK_END: break;
	}
	return false;
}

/* As much of the chunk's data as is here; returns how much. */
static size_t take_data(struct chunk *c, const char *bytes, size_t len, struct buf *out)
{
	size_t n = c->left < len ? (size_t)c->left : len;
	buf_add(out, bytes, n);
	c->left -= n;
	if (c->left == 0)
		start_line(c, CHUNK_DATA_END);
	return n;
}

enum chunk_result chunk_decode(struct chunk *c, const char *bytes, size_t len, struct buf *out, size_t *used)
{
	if (c->state == CHUNK_SIZE && c->line_len == 0)
		start_size(c);
	size_t at = 0;
	enum chunk_result result = CHUNK_MORE;
	while (at < len && c->state != CHUNK_END && result == CHUNK_MORE) {
		if (c->state == CHUNK_DATA)
			at += take_data(c, bytes + at, len - at, out);
		else if (!take_byte(c, (unsigned char)bytes[at++]))
			result = CHUNK_BAD;
		/* Refused as soon as it is announced, not when it has been sent. */
		if (out->is_over || (c->state == CHUNK_DATA && c->left > out->ceiling - out->len))
			result = CHUNK_TOO_LARGE;
	}
	*used = at;
	return result == CHUNK_MORE && c->state == CHUNK_END ? CHUNK_DONE : result;
}
