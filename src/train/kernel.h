/*
 * kernel: the score of a row and one AdaGrad step on it, for each model; the inner loop of training.
 *
 * kernel_scalar is plain C and the reference. kernel_sse2 and kernel_avx2 do the same sums in another order and, for
 * avx2, with fused multiply-add: scores agree within 1e-5 x (1 + sum of the absolute terms), weights after one step
 * within 1e-5 x (1 + |w|). None uses approximate instructions, so a kernel gives the same bits on every processor.
 *
 * The step: g = slope x_i ... + l2 w for each weight w of the row's features (the bias has no l2), then
 *   sum += g g;  w -= learning_rate g / sqrt(sum)          Duchi, Hazan, Singer, JMLR 2011
 *
 * Rows: features' values are final (scaled, clamped: row_fill), indices within the shape. A row without features is
 * the bias alone.
 * Threads: any; concurrent steps on one struct weights race by design (fit.c).
 */
#ifndef TRAIN_KERNEL_H
#define TRAIN_KERNEL_H

#include "train/dataset.h"
#include "train/weights.h"

struct adagrad {
	float learning_rate, l2;
};

struct kernel {
	const char *name;
	float (*score[3])(const struct weights *w, const struct feature *f, uint32_t n); /* by enum train_model */
	/* Returns the score before the step. w has sums. */
	float (*step[3])(struct weights *w, const struct adagrad *o, const struct feature *f, uint32_t n, float label);
};

extern const struct kernel kernel_scalar;

/* The fastest this machine has: the same on every call. */
const struct kernel *kernel_best(void);
/* "scalar" "sse2" "avx2"; NULL when there is none of that name or the processor lacks it. */
const struct kernel *kernel_named(const char *name);

/* Values past this size are cut to it: sums of their products stay far from the end of float32's range. */
#define ROW_VALUE_MAX 1e6f

/* A row made ready for a kernel; keeps its storage from row to row. */
struct row {
	struct feature *features;
	uint32_t n, cap;
};

/* Features of e that fit the shape, values scaled (normalize) and cut to +-ROW_VALUE_MAX; not a number becomes 0. */
void row_fill(struct row *r, const struct shape *s, const struct example *e, bool normalize);
void row_fini(struct row *r);

#endif
