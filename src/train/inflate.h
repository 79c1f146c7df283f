/*
 * inflate: the bytes of a file, unpacked when it is packed: gzip, xz, zstd (found by content, not by name) or plain.
 *
 * Several packed parts one after the other read as one, as the packers' own tools do.
 * Owner:   struct inflate is a heap object with one owner.
 * Errors:  RC_NOT_FOUND no file, RC_INVALID damaged or cut packing or not a file, RC_LIMIT packed so that unpacking
 *          takes more than 128 MiB, RC_IO. Every message names the file.
 * Threads: one owner at a time.
 */
#ifndef TRAIN_INFLATE_H
#define TRAIN_INFLATE_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum inflate_source {
	INFLATE_ANY,  /* a pipe or a terminal will do; "-" is standard input */
	INFLATE_FILE, /* a regular file, which can be read again */
};

struct inflate;

/* digest: gets the file's bytes as they are on disk, all of them once the end is reached; NULL: none. */
enum rc inflate_open(const char *path, enum inflate_source source, EVP_MD_CTX *digest, struct inflate **out,
		     struct err *err) NODISCARD;
/* Up to cap bytes; *n == 0 only at the end. */
enum rc inflate_read(struct inflate *s, void *bytes, size_t cap, size_t *n, struct err *err) NODISCARD;
uint64_t inflate_taken(const struct inflate *s); /* bytes read from the file so far, packed */
void inflate_close(struct inflate *s);           /* NULL is fine */

/* All bytes of a regular file into the digest, without unpacking; *size is how many. */
enum rc inflate_digest(const char *path, EVP_MD_CTX *digest, uint64_t *size, struct err *err) NODISCARD;

#endif
