/* Four lanes at a time: what every x86-64 has. Vectors are 16-byte aligned (weights.h). */
#include <emmintrin.h>
#include "train/kernel.h"

extern const struct kernel kernel_sse2;

static inline float lane_sum(__m128 v)
{
	v = _mm_add_ps(v, _mm_movehl_ps(v, v));
	return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}

static inline float vec_dot(const float *a, const float *b, uint32_t pad)
{
	__m128 sum = _mm_mul_ps(_mm_load_ps(a), _mm_load_ps(b));
	for (uint32_t d = 4; d < pad; d += 4)
		sum = _mm_add_ps(sum, _mm_mul_ps(_mm_load_ps(a + d), _mm_load_ps(b + d)));
	return lane_sum(sum);
}

static inline void vec_add(float *sum, const float *v, float x, uint32_t pad)
{
	__m128 xs = _mm_set1_ps(x);
	for (uint32_t d = 0; d < pad; d += 4)
		_mm_store_ps(sum + d, _mm_add_ps(_mm_load_ps(sum + d), _mm_mul_ps(xs, _mm_load_ps(v + d))));
}

static inline void descend(float *w, float *sum, __m128 now, __m128 g, __m128 rate)
{
	__m128 s = _mm_add_ps(_mm_load_ps(sum), _mm_mul_ps(g, g));
	_mm_store_ps(sum, s);
	_mm_store_ps(w, _mm_sub_ps(now, _mm_div_ps(_mm_mul_ps(rate, g), _mm_sqrt_ps(s))));
}

static inline void vec_pair_step(float *a, float *b, float c, const struct adagrad *o, uint32_t pad)
{
	__m128 cs = _mm_set1_ps(c), l2 = _mm_set1_ps(o->l2), rate = _mm_set1_ps(o->learning_rate);
	for (uint32_t d = 0; d < pad; d += 4) {
		__m128 va = _mm_load_ps(a + d), vb = _mm_load_ps(b + d);
		descend(a + d, a + pad + d, va, _mm_add_ps(_mm_mul_ps(cs, vb), _mm_mul_ps(l2, va)), rate);
		descend(b + d, b + pad + d, vb, _mm_add_ps(_mm_mul_ps(cs, va), _mm_mul_ps(l2, vb)), rate);
	}
}

static inline void vec_fm_step(float *v, const float *sum, float c, float x, const struct adagrad *o, uint32_t pad)
{
	__m128 cs = _mm_set1_ps(c), xs = _mm_set1_ps(x), l2 = _mm_set1_ps(o->l2), rate = _mm_set1_ps(o->learning_rate);
	for (uint32_t d = 0; d < pad; d += 4) {
		__m128 now = _mm_load_ps(v + d), rest = _mm_sub_ps(_mm_load_ps(sum + d), _mm_mul_ps(xs, now));
		descend(v + d, v + pad + d, now, _mm_add_ps(_mm_mul_ps(cs, rest), _mm_mul_ps(l2, now)), rate);
	}
}

#define KERNEL kernel_sse2
#define KERNEL_NAME "sse2"
#include "train/kernel_rows.h"
