#include "train/dense.h"

#include <endian.h>
#include <string.h>
#include "base/mem.h"

enum { STRIDE_SIZE = 64, WORD_SIZE = 8 };

static uint64_t word_at(const uint8_t *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof w);
	return le64toh(w);
}

void dense_init(struct dense *d, const uint8_t *bits, uint32_t hash_bits)
{
	size_t size = dense_bitmap_size(hash_bits);
	*d = (struct dense){ .bits = bits,
			     .below = mem_array((size + STRIDE_SIZE - 1) / STRIDE_SIZE, sizeof d->below[0]) };
	for (size_t i = 0; i < size; i += WORD_SIZE) {
		if (i % STRIDE_SIZE == 0)
			d->below[i / STRIDE_SIZE] = d->n;
		d->n += (uint32_t)__builtin_popcountll(word_at(bits + i));
	}
}

void dense_fini(struct dense *d)
{
	mem_free(d->below);
	*d = (struct dense){ 0 };
}

uint32_t dense_rank(const struct dense *d, uint32_t hash)
{
	size_t at = hash / 8 / STRIDE_SIZE * STRIDE_SIZE;
	uint32_t rank = d->below[at / STRIDE_SIZE], bit = hash % 64;

	for (; at + WORD_SIZE <= hash / 8; at += WORD_SIZE)
		rank += (uint32_t)__builtin_popcountll(word_at(d->bits + at));
	return rank + (uint32_t)__builtin_popcountll(word_at(d->bits + at) & ((UINT64_C(1) << bit) - 1));
}
