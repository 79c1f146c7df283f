/*
 * Fingerprints stand in a ring in order of arrival, numbered 1, 2, 3...; [oldest, next) are the living ones.
 * A hash slot holds the number of its newest entry, an entry the number of the next older one in its slot.
 * As chains run from new to old, the first number below oldest ends them: dropping a time bucket is moving
 * oldest past its run of the ring, nothing is unlinked, and stale numbers left behind are harmless.
 *
 * A bucket is one minute of the caller's clock. It goes when even its last second is older than KEEP_S.
 */
#include "sign/acs3.h"

#include <pthread.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "sign/hash.h"

enum { KEEP_S = 31 * 60, BUCKET_S = 60, BUCKETS = KEEP_S / BUCKET_S + 3 };

struct print {
	uint64_t half[2];
};

struct entry {
	struct print print;
	uint64_t older;
};

/* Entries up to, not including, end arrived in that minute or before. */
struct bucket {
	int64_t minute;
	uint64_t end;
};

struct nonces {
	pthread_mutex_t lock;
	unsigned char salt[16]; /* so that nobody can aim at one slot */
	struct entry *entries;
	uint64_t *slots;
	uint64_t cap, slot_mask;
	uint64_t oldest, next;
	struct bucket buckets[BUCKETS]; /* ascending minutes */
	size_t n_buckets;
};

struct nonces *nonces_new(size_t max_entries)
{
	must(max_entries > 0 && max_entries <= SIZE_MAX / 4 / sizeof(struct entry));
	struct nonces *n = mem_new(struct nonces);
	uint64_t n_slots = 1;

	while (n_slots < max_entries)
		n_slots *= 2;
	must(pthread_mutex_init(&n->lock, NULL) == 0);
	rand_bytes(n->salt, sizeof n->salt);
	n->entries = mem_array(max_entries, sizeof *n->entries);
	n->slots = mem_array(n_slots, sizeof *n->slots);
	n->cap = max_entries;
	n->slot_mask = n_slots - 1;
	n->oldest = n->next = 1;
	return n;
}

void nonces_free(struct nonces *n)
{
	if (!n)
		return;
	must(pthread_mutex_destroy(&n->lock) == 0);
	mem_free(n->entries);
	mem_free(n->slots);
	mem_free(n);
}

/* The NULs between the parts keep ("ab", "c") and ("a", "bc") apart. */
static struct print print_of(const struct nonces *n, const char *scheme, const char *access_key_id, const char *nonce)
{
	unsigned char hash[HASH_LEN];
	struct print p;
	const struct hash_part parts[] = {
		{ n->salt, sizeof n->salt },
		{ scheme, strlen(scheme) + 1 },
		{ access_key_id, strlen(access_key_id) + 1 },
		{ nonce, strlen(nonce) + 1 },
	};

	hash_sha256_parts(parts, ARRAY_LEN(parts), hash);
	memcpy(&p, hash, sizeof p);
	return p;
}

static void drop_old(struct nonces *n, int64_t now_s)
{
	size_t gone = 0;

	while (gone < n->n_buckets && now_s - (n->buckets[gone].minute * BUCKET_S + BUCKET_S - 1) > KEEP_S)
		n->oldest = n->buckets[gone++].end;
	n->n_buckets -= gone;
	memmove(n->buckets, n->buckets + gone, n->n_buckets * sizeof n->buckets[0]);
}

/*
 * The bucket new entries go to. A clock set back a little goes on filling the newest; one set back by more than
 * KEEP_S would keep entries for as long as it was ahead, so all are dated anew, which keeps each KEEP_S from now.
 */
static struct bucket *bucket_for(struct nonces *n, int64_t now_s)
{
	int64_t minute = now_s / BUCKET_S;
	struct bucket *newest = n->n_buckets ? &n->buckets[n->n_buckets - 1] : NULL;

	if (newest && newest->minute - minute > KEEP_S / BUCKET_S) {
		n->n_buckets = 1;
		n->buckets[0] = (struct bucket){ minute, n->next };
		return &n->buckets[0];
	}
	if (newest && newest->minute >= minute)
		return newest;
	must(n->n_buckets < BUCKETS);
	n->buckets[n->n_buckets] = (struct bucket){ minute, n->next };
	return &n->buckets[n->n_buckets++];
}

static bool is_known(const struct nonces *n, struct print p)
{
	uint64_t at = n->slots[p.half[0] & n->slot_mask];

	while (at >= n->oldest) {
		const struct entry *e = &n->entries[at % n->cap];
		if (e->print.half[0] == p.half[0] && e->print.half[1] == p.half[1])
			return true;
		at = e->older;
	}
	return false;
}

static enum nonce_verdict add(struct nonces *n, struct print p, int64_t now_s)
{
	drop_old(n, now_s);
	struct bucket *b = bucket_for(n, now_s);
	if (is_known(n, p))
		return NONCE_SEEN;
	if (n->next - n->oldest == n->cap)
		return NONCE_FULL;
	uint64_t *slot = &n->slots[p.half[0] & n->slot_mask];
	n->entries[n->next % n->cap] = (struct entry){ p, *slot };
	*slot = n->next++;
	b->end = n->next;
	return NONCE_NEW;
}

enum nonce_verdict nonces_add(struct nonces *n, const char *scheme, const char *access_key_id, const char *nonce,
                              int64_t now_s)
{
	struct print p = print_of(n, scheme, access_key_id, nonce);

	must(pthread_mutex_lock(&n->lock) == 0);
	enum nonce_verdict verdict = add(n, p, now_s);
	must(pthread_mutex_unlock(&n->lock) == 0);
	return verdict;
}
