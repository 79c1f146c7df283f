/*
 * hash: SHA-256 and HMAC-SHA256 of bytes in memory, for short texts and often.
 *
 * Threads:  any.
 */
#ifndef SIGN_HASH_H
#define SIGN_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_LEN = 32, HASH_WORDS = 8 };

struct hash_part {
	const void *bytes;
	size_t len;
};

void hash_sha256(const void *bytes, size_t len, unsigned char out[HASH_LEN]);
/* Of the parts one behind the other. */
void hash_sha256_parts(const struct hash_part *parts, size_t n, unsigned char out[HASH_LEN]);

/* A key of HMAC-SHA256 as far as it can be worked off before there is a text: made once, used often. A value, and as
 * secret as the key: wipe it (mem_wipe). */
struct hash_key {
	uint32_t inner[HASH_WORDS], outer[HASH_WORDS]; /* the hash's state behind the key's two pads */
};

void hash_key_init(struct hash_key *k, const void *key, size_t len);
void hash_mac(const struct hash_key *k, const void *bytes, size_t len, unsigned char out[HASH_LEN]);
/* Both at once, for a key that is used once. */
void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char out[HASH_LEN]);

#endif
