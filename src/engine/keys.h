/*
 * keys: access keys of the data folder, secrets encrypted at rest with DATA/secret.key (AES-256-GCM, the key id
 * as associated data). Works with and without a running server: a key made by another process is seen at once.
 *
 * Owner: texts of struct access_key belong to the arena; wipe nothing, the arena of a request is short-lived.
 */
#ifndef ENGINE_KEYS_H
#define ENGINE_KEYS_H

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"

struct hash_key;

struct access_key {
	const char *id, *secret, *account, *project_id, *name;
	const struct hash_key *prepared; /* of the secret (sign/hash.h); NULL unless found through a key_cache */
	bool is_active;
	int64_t created_at;
};

struct keyring;

/* Reads DATA/secret.key; makes it (0600) in a new folder, so before the database. RC_CORRUPT: of a wrong size, or
 * missing beside a database. */
enum rc keyring_open(const char *data_dir, struct keyring **out, struct err *err) NODISCARD;
void keyring_free(struct keyring *k); /* wipes */
/* A new active key: id "LTAI" + 20 letters and digits, secret 30; account NULL: a fixed default account. */
enum rc keyring_create(struct keyring *k, struct store *s, const char *account, const char *name, struct arena *a,
		       struct access_key *out, struct err *err) NODISCARD;
/* RC_NOT_FOUND: unknown. */
enum rc keyring_find(struct keyring *k, struct store *s, const char *id, struct arena *a, struct access_key *out,
		     struct err *err) NODISCARD;
/*
 * Secrets opened lately. What is kept belongs to the very bytes of a row, so that a key which is switched off, deleted
 * or made anew is seen as by keyring_find: only the deciphering, and the first half of each MAC, are not done again.
 * Threads: one owner at a time. Freed, it wipes.
 */
struct key_cache;
struct key_cache *key_cache_new(void);
void key_cache_free(struct key_cache *c); /* NULL is fine */
enum rc keyring_find_cached(struct keyring *k, struct key_cache *c, struct store *s, const char *id, struct arena *a,
			    struct access_key *out, struct err *err) NODISCARD;
/* All keys, secrets left NULL. */
enum rc keyring_list(struct store *s, struct arena *a, struct access_key **out, size_t *n, struct err *err) NODISCARD;
enum rc keyring_set_active(struct store *s, const char *id, bool is_active, struct err *err) NODISCARD;
enum rc keyring_delete(struct store *s, const char *id, struct err *err) NODISCARD;

/* One 16-byte block under AES-128 with a key of its own, derived from secret.key: for ids that tell nothing. */
void keyring_block(const struct keyring *k, unsigned char block[16], bool encrypts);
/* HMAC-SHA256 in lower-case hex under another such key: for links that carry their own permission. */
enum { KEYRING_MAC_SIZE = 65 };
void keyring_mac(const struct keyring *k, const char *text, char out[KEYRING_MAC_SIZE]);

#endif
