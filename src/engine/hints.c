/* A place is one word, so that it is never half of one hint and half of another: the id, and some bits of the names'
 * hash. */
#include "engine/hints.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"

enum { PLACES = 1 << 15, CHECK_BITS = 24 };
#define ID_END (INT64_C(1) << (63 - CHECK_BITS))

struct hints {
	atomic_uint_least64_t places[PLACES];
};

struct hints *hints_new(void) { return mem_new(struct hints); }
void hints_free(struct hints *h) { mem_free(h); }

/* FNV-1a, with the NUL of each text. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	for (;; text++) {
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
		if (!*text)
			return hash;
	}
}

static uint64_t hash_of(int64_t app_id, const char *function, const char *name)
{
	uint64_t hash = (UINT64_C(0xcbf29ce484222325) ^ (uint64_t)app_id) * UINT64_C(0x100000001b3);
	return add_text(add_text(hash, function), name);
}

static uint64_t check_of(uint64_t hash) { return hash >> (64 - CHECK_BITS); }
static size_t place_of(uint64_t hash) { return (hash ^ hash >> 32) & (PLACES - 1); }

void hints_put(struct hints *h, int64_t app_id, const char *function, const char *name, int64_t id)
{
	uint64_t hash = hash_of(app_id, function, name), word = (uint64_t)id << CHECK_BITS | check_of(hash);
	atomic_uint_least64_t *place = &h->places[place_of(hash)];

	/* Not written again and again, so that processors need not take it from each other. */
	if (id > 0 && id < ID_END && atomic_load_explicit(place, memory_order_relaxed) != word)
		atomic_store_explicit(place, word, memory_order_relaxed);
}

int64_t hints_get(const struct hints *h, int64_t app_id, const char *function, const char *name)
{
	uint64_t hash = hash_of(app_id, function, name);
	uint64_t word = atomic_load_explicit(&h->places[place_of(hash)], memory_order_relaxed);
	bool is_of_it = (word & ((UINT64_C(1) << CHECK_BITS) - 1)) == check_of(hash);

	return is_of_it ? (int64_t)(word >> CHECK_BITS) : 0;
}
