/*
 * spool: a file written from front to back through a buffer, then perhaps read again. For the data set's
 * temporary files and for those it leaves.
 *
 * Errors:  RC_BUSY the disk is full, RC_IO. A nameless file is gone with its descriptor, also after kill -9.
 * Threads: one owner at a time.
 */
#ifndef TRAIN_SPOOL_H
#define TRAIN_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum spool_kind { SPOOL_NAMED, SPOOL_NAMELESS /* path is removed as soon as it is open */ };

struct spool {
	int fd; /* -1: closed */
	char *path;
	char *bytes;
	size_t len, at; /* buffered; while reading bytes[at..len) are to come */
	uint64_t size;  /* written so far, buffered bytes included */
};

enum rc spool_create(struct spool *s, const char *path, enum spool_kind kind, struct err *err) NODISCARD;
enum rc spool_write(struct spool *s, const void *bytes, size_t len, struct err *err) NODISCARD;
enum rc spool_flush(struct spool *s, struct err *err) NODISCARD;
/* Flush and go back to the front, to read. */
enum rc spool_rewind(struct spool *s, struct err *err) NODISCARD;
/* Exactly len bytes; RC_IO when fewer are left. */
enum rc spool_read(struct spool *s, void *bytes, size_t len, struct err *err) NODISCARD;
/* Flushed bytes at a place, whatever was read or written before. */
enum rc spool_read_at(struct spool *s, uint64_t offset, void *bytes, size_t len, struct err *err) NODISCARD;
enum rc spool_write_at(struct spool *s, uint64_t offset, const void *bytes, size_t len, struct err *err) NODISCARD;
/* Named files: flush and close, keeping the file. */
enum rc spool_finish(struct spool *s, struct err *err) NODISCARD;
/* Close and remove what is not finished. Closed or zeroed with fd -1 is fine. */
void spool_drop(struct spool *s);

#endif
