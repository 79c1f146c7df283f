/*
 * kernel_rows: the loops over a row's features, written once for all kernels. Included at the end of kernel_scalar.c,
 * kernel_sse2.c and kernel_avx2.c, each of which has defined before, for vectors of pad floats (a multiple of 4):
 *
 *   float vec_dot(const float *a, const float *b, uint32_t pad);                    sum of a[d] b[d]
 *   void  vec_add(float *sum, const float *v, float x, uint32_t pad);               sum += x v
 *   void  vec_pair_step(float *a, float *b, float c, const struct adagrad *o, uint32_t pad);
 *         gradients c b + l2 a and c a + l2 b, both of the values before; the sums follow each vector
 *   void  vec_fm_step(float *v, const float *sum, float c, float x, const struct adagrad *o, uint32_t pad);
 *         gradient c (sum - x v) + l2 v
 *
 * and KERNEL (its variable) and KERNEL_NAME. The call with a constant pad lets the compiler unroll the usual sizes.
 */
#include <math.h>
#include "base/must.h"
#include "train/kernel.h"
#include "train/loss.h"

static inline void scalar_step(float *w, float g, float learning_rate)
{
	w[1] += g * g;
	w[0] -= learning_rate * g / sqrtf(w[1]);
}

static inline const float *vector_of(const struct weights *w, uint32_t index, uint32_t slot)
{
	return w->vector + ((size_t)index * w->vectors + slot) * w->vector_step;
}

static inline float *vector_at(struct weights *w, uint32_t index, uint32_t slot)
{
	return w->vector + ((size_t)index * w->vectors + slot) * w->vector_step;
}

static float lr_score(const struct weights *w, const struct feature *f, uint32_t n)
{
	float z = w->bias[0];
	for (uint32_t i = 0; i < n; i++)
		z += w->linear[(size_t)f[i].index * w->linear_step] * f[i].value;
	return z;
}

static void linear_step(struct weights *w, const struct adagrad *o, const struct feature *f, uint32_t n, float slope)
{
	scalar_step(w->bias, slope, o->learning_rate);
	for (uint32_t i = 0; i < n; i++) {
		float *p = w->linear + (size_t)f[i].index * 2;
		scalar_step(p, slope * f[i].value + o->l2 * p[0], o->learning_rate);
	}
}

static float lr_step(struct weights *w, const struct adagrad *o, const struct feature *f, uint32_t n, float label)
{
	float z = lr_score(w, f, n);
	linear_step(w, o, f, n, loss_slope(z, label));
	return z;
}

/* sum = sum_i x_i v_i; returns sum_{i<j} <v_i, v_j> x_i x_j = (|sum|^2 - sum_i |x_i v_i|^2) / 2. */
static inline float fm_pairs(const struct weights *w, const struct feature *f, uint32_t n, float *sum, uint32_t pad)
{
	float squares = 0;
	must(pad >= 4);
	for (uint32_t d = 0; d < pad; d++)
		sum[d] = 0;
	for (uint32_t i = 0; i < n; i++) {
		const float *v = vector_of(w, f[i].index, 0);
		vec_add(sum, v, f[i].value, pad);
		squares += f[i].value * f[i].value * vec_dot(v, v, pad);
	}
	return 0.5f * (vec_dot(sum, sum, pad) - squares);
}

static float fm_score(const struct weights *w, const struct feature *f, uint32_t n)
{
	_Alignas(64) float sum[FACTORS_MAX];
	return lr_score(w, f, n) + fm_pairs(w, f, n, sum, w->pad);
}

static float fm_step(struct weights *w, const struct adagrad *o, const struct feature *f, uint32_t n, float label)
{
	_Alignas(64) float sum[FACTORS_MAX];
	float z = lr_score(w, f, n) + fm_pairs(w, f, n, sum, w->pad), slope = loss_slope(z, label);

	linear_step(w, o, f, n, slope);
	for (uint32_t i = 0; i < n; i++)
		vec_fm_step(vector_at(w, f[i].index, 0), sum, slope * f[i].value, f[i].value, o, w->pad);
	return z;
}

static inline float ffm_pairs(const struct weights *w, const struct feature *f, uint32_t n, uint32_t pad)
{
	float z = 0;
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = i + 1; j < n; j++)
			z += vec_dot(vector_of(w, f[i].index, f[j].field), vector_of(w, f[j].index, f[i].field), pad) *
			     (f[i].value * f[j].value);
	}
	return z;
}

static float ffm_score(const struct weights *w, const struct feature *f, uint32_t n)
{
	float linear = lr_score(w, f, n);
	switch (w->pad) {
	case 4:
		return linear + ffm_pairs(w, f, n, 4);
	case 8:
		return linear + ffm_pairs(w, f, n, 8);
	default:
		return linear + ffm_pairs(w, f, n, w->pad);
	}
}

static inline void ffm_pairs_step(struct weights *w, const struct adagrad *o, const struct feature *f, uint32_t n,
                                  float slope, uint32_t pad)
{
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = i + 1; j < n; j++) {
			float *a = vector_at(w, f[i].index, f[j].field), *b = vector_at(w, f[j].index, f[i].field);
			/* A value given twice in one row makes a pair with itself: two steps on one vector would clash.
			 */
			if (a != b)
				vec_pair_step(a, b, slope * f[i].value * f[j].value, o, pad);
		}
	}
}

static float ffm_step(struct weights *w, const struct adagrad *o, const struct feature *f, uint32_t n, float label)
{
	float z = ffm_score(w, f, n), slope = loss_slope(z, label);

	linear_step(w, o, f, n, slope);
	if (w->pad == 4)
		ffm_pairs_step(w, o, f, n, slope, 4);
	else if (w->pad == 8)
		ffm_pairs_step(w, o, f, n, slope, 8);
	else
		ffm_pairs_step(w, o, f, n, slope, w->pad);
	return z;
}

const struct kernel KERNEL = {
	.name = KERNEL_NAME,
	.score = { [MODEL_LR] = lr_score, [MODEL_FM] = fm_score, [MODEL_FFM] = ffm_score },
	.step = { [MODEL_LR] = lr_step, [MODEL_FM] = fm_step, [MODEL_FFM] = ffm_step },
};
