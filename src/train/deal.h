/*
 * deal: rows, numbered by where they shall end up, put in that order on disk in bounded memory.
 *
 * Rows are dealt to groups of neighbouring blocks, through one small buffer a group, into a temporary file; then one
 * group after the other is read back, put in order and given out block by block.
 * Memory:  GROUP_BUFFER_SIZE a group, at most 2048 groups, and one group's rows (16 MiB, more beyond 32 GiB).
 * Errors:  RC_BUSY disk full, RC_IO, and what the taker says.
 * Threads: one owner at a time.
 */
#ifndef TRAIN_DEAL_H
#define TRAIN_DEAL_H

#include <stdint.h>
#include "base/err.h"
#include "train/dataset.h"
#include "train/spool.h"

struct deal;

/* n_rows rows of about rows_size bytes in all, in blocks of block_rows; path is for the temporary file. */
enum rc deal_new(const char *path, uint64_t n_rows, uint64_t rows_size, uint32_t block_rows, struct deal **out,
		 struct err *err) NODISCARD;
void deal_free(struct deal *d); /* NULL is fine */
/* One row; each place 0 .. n_rows-1 is used once. */
enum rc deal_add(struct deal *d, uint64_t place, const struct example *row, struct err *err) NODISCARD;

/* All blocks in order, the last perhaps shorter. */
typedef enum rc deal_taker(void *ctx, const struct example *rows, uint32_t n, struct err *err);
enum rc deal_out(struct deal *d, deal_taker *take, void *ctx, struct err *err) NODISCARD;

/* A seeded permutation of 0 .. n-1, computed one by one. */
struct shuffle {
	uint64_t n, keys[4];
	unsigned half_bits;
};
void shuffle_init(struct shuffle *s, uint64_t n, uint64_t seed);
uint64_t shuffle_of(const struct shuffle *s, uint64_t i);

/* How rows stand in temporary files: a head, then the features. */
struct stored_row {
	uint64_t place;
	uint32_t n;
	uint32_t label;
};

#endif
