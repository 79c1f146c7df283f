/*
 * lines: a text file line by line, numbered, unpacked when packed; "\n" or "\r\n" ends a line, also a last one without.
 *
 * The line given is in the reader's buffer: it may be changed in place and lives until the next call.
 * A UTF-8 byte-order mark is dropped. Bytes are not checked otherwise: NUL and bad UTF-8 are data.
 * Errors:  those of train/inflate.h, RC_LIMIT a line (or a record of several) over 1 MiB, RC_INVALID UTF-16.
 * Threads: one owner at a time.
 */
#ifndef TRAIN_LINES_H
#define TRAIN_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "train/inflate.h"

enum { LINES_MAX_SIZE = 1 << 20 };

struct lines {
	struct inflate *in;
	const char *name; /* for messages; borrowed */
	char *bytes;
	size_t cap, end;    /* bytes[0..end) are read */
	size_t first, next; /* the current record is bytes[first..next) with its line end */
	int64_t number;     /* of the current record's first line, from 1 */
	int64_t n_lines;    /* lines taken so far */
	bool is_eof;
};

/* source and digest: see inflate_open. */
enum rc lines_open(struct lines *l, const char *path, enum inflate_source source, EVP_MD_CTX *digest,
		   struct err *err) NODISCARD;
void lines_close(struct lines *l); /* zeroed or closed is fine */
/* The next line, without its end. *has false at the end of the file. */
enum rc lines_next(struct lines *l, char **line, size_t *len, bool *has, struct err *err) NODISCARD;
/* Make the current record longer by the next line; the line end between them is kept. The record may have moved. */
enum rc lines_extend(struct lines *l, char **record, size_t *len, bool *has, struct err *err) NODISCARD;
/* Give the current record again next time. Only while it has not been changed. */
void lines_unread(struct lines *l);
/* "file:line: " before what err says. Returns rc. */
enum rc lines_where(const struct lines *l, enum rc rc, struct err *err);

/* A value for a message: at most 40 bytes, control characters and bad UTF-8 as '?'. */
enum { LINES_SHOWN_SIZE = 48 };
const char *lines_show(char shown[LINES_SHOWN_SIZE], const char *bytes, size_t len);
/* Length of the well-formed UTF-8 sequence that begins here, or 0. len > 0. */
size_t lines_utf8_len(const char *bytes, size_t len);

#endif
