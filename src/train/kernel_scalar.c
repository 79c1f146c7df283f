/* The reference kernel: plain loops, one rounding per operation, terms added from left to right. */
#include <math.h>
#include "train/kernel.h"

static inline float vec_dot(const float *a, const float *b, uint32_t pad)
{
	float sum = 0;
	for (uint32_t d = 0; d < pad; d++)
		sum += a[d] * b[d];
	return sum;
}

static inline void vec_add(float *sum, const float *v, float x, uint32_t pad)
{
	for (uint32_t d = 0; d < pad; d++)
		sum[d] += x * v[d];
}

static inline void descend(float *w, float *sum, float g, float learning_rate)
{
	*sum += g * g;
	*w -= learning_rate * g / sqrtf(*sum);
}

static inline void vec_pair_step(float *a, float *b, float c, const struct adagrad *o, uint32_t pad)
{
	for (uint32_t d = 0; d < pad; d++) {
		float ga = c * b[d] + o->l2 * a[d], gb = c * a[d] + o->l2 * b[d];
		descend(&a[d], &a[pad + d], ga, o->learning_rate);
		descend(&b[d], &b[pad + d], gb, o->learning_rate);
	}
}

static inline void vec_fm_step(float *v, const float *sum, float c, float x, const struct adagrad *o, uint32_t pad)
{
	for (uint32_t d = 0; d < pad; d++)
		descend(&v[d], &v[pad + d], c * (sum[d] - x * v[d]) + o->l2 * v[d], o->learning_rate);
}

#define KERNEL kernel_scalar
#define KERNEL_NAME "scalar"
#include "train/kernel_rows.h"
