/*
 * buf: a growing run of bytes with a ceiling, always followed by a NUL.
 *
 * Owner:    struct buf is the caller's; buf_fini releases, buf_take moves the bytes out (mem_free them).
 * Errors:   sticky. Past the ceiling nothing more is added and is_over stays true; check it once.
 * Threads:  one owner at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

struct buf {
	char *bytes;      /* NULL while empty and never grown; use buf_text for a string */
	size_t len, cap;  /* bytes; cap counts the NUL's place */
	size_t ceiling;   /* len never exceeds it */
	bool is_over;
};

void buf_init(struct buf *b, size_t ceiling_size);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b);                          /* empty, keep storage */
char *buf_take(struct buf *b);                          /* never NULL; b is empty afterwards */
const char *buf_text(const struct buf *b);              /* "" when empty */
void buf_reserve(struct buf *b, size_t len);            /* room for len more at once; past the ceiling: nothing */
/* Where len more bytes may be written, to be counted by buf_put; NULL, and is_over, past the ceiling. */
char *buf_room(struct buf *b, size_t len);
void buf_put(struct buf *b, size_t len);                /* so many of them were */
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addi(struct buf *b, int64_t v);                 /* in decimal */
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_drop_front(struct buf *b, size_t len);         /* remove the first len bytes, len <= b->len */

#endif
