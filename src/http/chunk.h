/*
 * chunk: the chunked transfer coding of a request body, decoded piece by piece as bytes arrive.
 *
 * Owner:    struct chunk is a value, all zero at the start of a body.
 * Threads:  any (pure functions on what the caller owns).
 * Limits:   the decoded bytes by out's ceiling (CHUNK_TOO_LARGE); a size line with its extension, and a trailer line,
 *           by CHUNK_LINE_LIMIT, all trailers by CHUNK_TRAILERS_LIMIT (CHUNK_BAD). Extensions and trailers are dropped.
 */
#ifndef HTTP_CHUNK_H
#define HTTP_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

enum { CHUNK_LINE_LIMIT = 1024, CHUNK_TRAILERS_LIMIT = 8192 };

enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILERS, CHUNK_END };

struct chunk {
	enum chunk_state state;
	uint64_t left;        /* bytes of the chunk still to come */
	size_t line_len;      /* of the line being read */
	size_t trailers_size;
	unsigned char last;   /* the byte before, to see CR LF */
	unsigned n_digits;
	bool is_in_size;      /* still in the hexadecimal digits */
};

enum chunk_result { CHUNK_MORE, CHUNK_DONE, CHUNK_BAD, CHUNK_TOO_LARGE };

/* Decode bytes[0..len), appending data to out. *used: how many bytes belong to this body; the rest is
 * the next request. */
enum chunk_result chunk_decode(struct chunk *c, const char *bytes, size_t len, struct buf *out, size_t *used);

#endif
