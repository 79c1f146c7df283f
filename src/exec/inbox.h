/*
 * inbox: cuts the bytes of a pipe into lines, keeps the unfinished one, and bounds it.
 *
 * Owner:    struct inbox is the caller's; a line is borrowed until the next call.
 * Threads:  one owner at a time.
 * Limits:   a line of line_max bytes without its newline; INBOX_READ_SIZE bytes may be added when inbox_take said
 *           INBOX_EMPTY, so memory stays below twice the sum of both.
 */
#ifndef EXEC_INBOX_H
#define EXEC_INBOX_H

#include <stddef.h>
#include "base/buf.h"

enum { INBOX_READ_SIZE = 16384 };
enum inbox_state { INBOX_LINE, INBOX_EMPTY, INBOX_TOO_LONG };

struct inbox {
	struct buf bytes;
	size_t at;         /* where the first line not yet taken begins */
	size_t searched;   /* no newline between at and here */
	size_t line_max;
};

void inbox_init(struct inbox *in, size_t line_max);
void inbox_fini(struct inbox *in);
void inbox_add(struct inbox *in, const char *bytes, size_t len);
/* The next whole line without its newline. INBOX_EMPTY: there is none yet. INBOX_TOO_LONG: there will never be. */
enum inbox_state inbox_take(struct inbox *in, const char **line, size_t *len);
/* What is left when no more bytes will come: a last line without a newline, or INBOX_EMPTY. */
enum inbox_state inbox_take_rest(struct inbox *in, const char **line, size_t *len);

#endif
