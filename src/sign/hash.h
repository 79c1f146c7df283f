/*
 * hash: SHA-256 and HMAC-SHA256 of bytes in memory, for short texts and often.
 *
 * OpenSSL 3 looks an algorithm up by name at each use, which for a text of some hundred bytes takes longer than
 * hashing it; here that happens once in a process.
 *
 * Threads:  any.
 */
#ifndef SIGN_HASH_H
#define SIGN_HASH_H

#include <stddef.h>

enum { HASH_LEN = 32 };

struct hash_part {
	const void *bytes;
	size_t len;
};

void hash_sha256(const void *bytes, size_t len, unsigned char out[HASH_LEN]);
/* Of the parts one behind the other. */
void hash_sha256_parts(const struct hash_part *parts, size_t n, unsigned char out[HASH_LEN]);
void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char out[HASH_LEN]);

#endif
