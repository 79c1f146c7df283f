/*
 * weights: the numbers a model learns, and the model's formula.
 *
 * With x the row's values (scaled to unit length when normalize is on), i and j over the row's features, f(i) the
 * field of feature i:
 *   lr   z = b + sum_i w_i x_i
 *   fm   z = lr + sum_{i<j} <v_i, v_j> x_i x_j                       Rendle, ICDM 2010
 *   ffm  z = lr + sum_{i<j} <v_{i,f(j)}, v_{j,f(i)}> x_i x_j         Juan, Zhuang, Chin, Lin, RecSys 2016
 * and the probability is 1 / (1 + exp(-z)).
 *
 * One block of float32, its parts 64-byte aligned: bias | linear | vectors. In training every weight has its AdaGrad
 * sum of squared gradients close by, so that one update touches one cache line: b s | w s w s ... | a vector of
 * `pad` weights, then its `pad` sums, and so on. A model ready to use has no sums; the steps below tell the two apart.
 * A vector is padded with zeros to a multiple of four; gradients of the padding are zero, so it stays zero.
 *
 * Owner:   weights_new's caller; weights_free. weights_borrow points into memory of someone else: nothing to free.
 * Threads: any may read; training threads write without locks (see fit.c).
 * Errors:  RC_LIMIT when the block would not fit in memory: names the options to lower.
 */
#ifndef TRAIN_WEIGHTS_H
#define TRAIN_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "train/options.h"

enum { FACTORS_MAX = 128 };

struct shape {
	enum train_model kind;
	uint32_t n_features, n_fields;
	uint32_t factors; /* 1 .. FACTORS_MAX; no meaning for lr */
};

struct weights {
	struct shape shape;
	uint32_t pad;     /* factors rounded up to a multiple of 4; 0 for lr */
	uint32_t vectors; /* per feature: 0 (lr), 1 (fm), n_fields (ffm) */
	uint32_t linear_step,
	        vector_step;           /* floats from one weight or vector to the next: 2, 2 pad; without sums 1, pad */
	float *bias, *linear, *vector; /* into block */
	float *block;
	size_t size; /* bytes of block, a multiple of 64 */
	bool is_owned;
};

/* Bytes of a block of this shape; RC_LIMIT past the ceiling (three quarters of the machine's memory). */
enum rc weights_size(const struct shape *s, bool with_sums, size_t *size, struct err *err) NODISCARD;
/* A block with sums, all zero. */
enum rc weights_new(struct weights *w, const struct shape *s, struct err *err) NODISCARD;
/* Starting values: bias and linear 0, vectors uniform in +-0.1 / sqrt(factors); sums 1. */
void weights_start(struct weights *w, uint64_t seed);
/* Look at a block without sums that someone else keeps; its size must be weights_size(). 64-byte aligned. */
void weights_borrow(struct weights *w, const struct shape *s, float *block, size_t size);
void weights_free(struct weights *w);

/* The block without its sums, in pieces of at most 64 KiB: what a model file stores. */
enum rc weights_strip(const struct weights *w,
                      enum rc (*take)(void *ctx, const void *bytes, size_t len, struct err *err), void *ctx,
                      struct err *err) NODISCARD;

const char *train_model_word(enum train_model kind); /* "lr" "fm" "ffm" */
bool train_model_parse(const char *word, enum train_model *out);

#endif
