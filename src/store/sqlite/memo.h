/*
 * memo: rows that a reader got lately, to be had again without asking the database for as long as nobody changed it.
 *
 * What is kept belongs to one version of the data (PRAGMA data_version within a read transaction, which moves with
 * every commit of any other connection, also of another process); memo_version with another version forgets all of it.
 * So an answer from here is the answer the database would give in the same transaction.
 *
 * Only what is asked for a second time is kept: a row that is read once and never again, as most tasks of a large
 * store, costs neither memory nor the place of one that is read with every request. That it was asked for before is
 * known by a few bits of its key's hash, so now and then a row is kept at once; which is no harm.
 *
 * Owner:    struct memo is the store's. Rows handed out are copies in the caller's arena.
 * Threads:  one owner at a time, as the store's connection.
 * Limits:   bytes as memo_limit says, MEMO_USUAL_SIZE without; each row with its texts at most MEMO_SIZE_MAX. When they
 *           are full, what was kept longest goes first.
 */
#ifndef STORE_SQLITE_MEMO_H
#define STORE_SQLITE_MEMO_H

#include "base/buf.h"
#include "store/store_priv.h"

enum { MEMO_WAYS = 4, MEMO_KEY_MAX = 512, MEMO_SIZE_MAX = 4096, MEMO_USUAL_SIZE = 128 << 10 };

/* A query as bytes: its shape and values. */
struct memo_key {
	uint64_t hash;
	size_t len;
	unsigned char bytes[MEMO_KEY_MAX];
};

struct memo_row {
	uint64_t hash;
	uint64_t era; /* memo.era when it was kept */
	uint32_t key_len, size;
	unsigned char *bytes; /* the row struct with its texts behind it (size), then the key; NULL: a free place */
};

struct memo {
	int64_t version;
	uint64_t era;  /* grows with each version seen; 0: none yet, nothing is kept */
	uint64_t n_hits; /* for tests */
	size_t limit, size; /* bytes of rows and keys: at most, now */
	size_t n_places;    /* a power of two, in sets of MEMO_WAYS; 0: none made yet */
	size_t hand;        /* the place that is freed next when they are full */
	unsigned turn;      /* which of a full set goes */
	struct memo_row *places;
	uint16_t *asked;    /* bits of the hash last asked for and not found, by others of its bits */
};

void memo_fini(struct memo *m);
/* At most so many bytes from now on; what was kept is forgotten. */
void memo_limit(struct memo *m, size_t size);
/* The version of the data from now on. */
void memo_version(struct memo *m, int64_t version);
/* False: the values are too long to be kept. */
bool memo_key(struct memo_key *key, const struct shape *shape, const struct query *q);
/* RC_NOT_FOUND: not here. RC_LIMIT: the arena is full; row is not written. */
enum rc memo_get(struct memo *m, const struct memo_key *key, const struct table *t, void *row,
		 struct arena *a) NODISCARD;
/* The row that memo_get did not have: keep a copy if it was asked for before, unless it is large. */
void memo_keep(struct memo *m, const struct memo_key *key, const struct table *t, const void *row);

#endif
