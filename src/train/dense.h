/*
 * dense: a set of hashes as a bitmap, and the rank of each in it: the sparse hashes of a data set made dense indices.
 *
 * Bit i is bit i % 8 of byte i / 8. Rank: how many bits below i are set. Constant time: a count for every 512 bits.
 * Owner:   the bitmap is borrowed; the counts are dense_fini's to release.
 * Threads: read-only after dense_init.
 */
#ifndef TRAIN_DENSE_H
#define TRAIN_DENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dense {
	const uint8_t *bits;
	uint32_t *below; /* below[k]: bits set in bits[0 .. 64 k) */
	uint32_t n;      /* bits set in all */
};

static inline size_t dense_bitmap_size(uint32_t hash_bits) { return ((size_t)1 << hash_bits) / 8; }

/* hash_bits 8..28. */
void dense_init(struct dense *d, const uint8_t *bits, uint32_t hash_bits);
void dense_fini(struct dense *d);
static inline bool dense_has(const struct dense *d, uint32_t hash) { return d->bits[hash / 8] >> hash % 8 & 1; }
uint32_t dense_rank(const struct dense *d, uint32_t hash);

#endif
