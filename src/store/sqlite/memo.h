/*
 * memo: rows that a reader got lately, to be had again without asking the database for as long as nobody changed it.
 *
 * What is kept belongs to one version of the data (PRAGMA data_version within a read transaction, which moves with
 * every commit of any other connection, also of another process); memo_version with another version forgets all of it.
 * So an answer from here is the answer the database would give in the same transaction.
 *
 * Owner:    struct memo is the store's. Rows handed out are copies in the caller's arena.
 * Threads:  one owner at a time, as the store's connection.
 * Limits:   MEMO_PLACES rows, each with its texts at most MEMO_SIZE_MAX bytes; a row that hashes to a taken
 *           place takes it.
 */
#ifndef STORE_SQLITE_MEMO_H
#define STORE_SQLITE_MEMO_H

#include "base/buf.h"
#include "store/store_priv.h"

enum { MEMO_PLACES = 256 /* a power of two */, MEMO_KEY_MAX = 512, MEMO_SIZE_MAX = 4096 };

/* A query as bytes: its shape and values. */
struct memo_key {
	uint64_t hash;
	size_t len;
	unsigned char bytes[MEMO_KEY_MAX];
};

struct memo_row {
	uint64_t hash;
	uint64_t era; /* memo.era when it was kept */
	size_t key_len, size;
	unsigned char *bytes; /* the row struct with its texts behind it (size), then the key */
};

struct memo {
	int64_t version;
	uint64_t era;  /* grows with each version seen; 0: none yet, nothing is kept */
	uint64_t n_hits; /* for tests */
	struct memo_row places[MEMO_PLACES];
};

void memo_fini(struct memo *m);
/* The version of the data from now on. */
void memo_version(struct memo *m, int64_t version);
/* False: the values are too long to be kept. */
bool memo_key(struct memo_key *key, const struct shape *shape, const struct query *q);
/* RC_NOT_FOUND: not here. RC_LIMIT: the arena is full; row is not written. */
enum rc memo_get(struct memo *m, const struct memo_key *key, const struct table *t, void *row,
		 struct arena *a) NODISCARD;
/* Keep a copy of row, unless it is large. */
void memo_keep(struct memo *m, const struct memo_key *key, const struct table *t, const void *row);

#endif
