/*
 * Eight lanes and fused multiply-add; compiled with -mavx2 -mfma and only called where kernel.c found both.
 * A vector of four is half a register, so a step on a pair of them puts both into one: one square root and one
 * division, the costly instructions here, serve two vectors. Vectors are 16-byte aligned (weights.h), so loads of
 * eight are unaligned ones.
 */
#include <immintrin.h>
#include "train/kernel.h"

extern const struct kernel kernel_avx2;

static inline float lane_sum(__m128 v)
{
	v = _mm_add_ps(v, _mm_movehl_ps(v, v));
	return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}

static inline __m128 halves_sum(__m256 v) { return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)); }

static inline float vec_dot(const float *a, const float *b, uint32_t pad)
{
	__m256 wide = _mm256_setzero_ps();
	uint32_t d = 0;
	for (; d + 8 <= pad; d += 8)
		wide = _mm256_fmadd_ps(_mm256_loadu_ps(a + d), _mm256_loadu_ps(b + d), wide);
	__m128 sum = halves_sum(wide);
	if (d < pad)
		sum = _mm_fmadd_ps(_mm_load_ps(a + d), _mm_load_ps(b + d), sum);
	return lane_sum(sum);
}

static inline void vec_add(float *sum, const float *v, float x, uint32_t pad)
{
	uint32_t d = 0;
	for (; d + 8 <= pad; d += 8)
		_mm256_storeu_ps(sum + d,
		                 _mm256_fmadd_ps(_mm256_set1_ps(x), _mm256_loadu_ps(v + d), _mm256_loadu_ps(sum + d)));
	if (d < pad)
		_mm_store_ps(sum + d, _mm_fmadd_ps(_mm_set1_ps(x), _mm_load_ps(v + d), _mm_load_ps(sum + d)));
}

/* sum takes the new sums; returns the new weights. */
static inline __m256 descend8(__m256 now, __m256 g, __m256 *sum, float rate)
{
	*sum = _mm256_fmadd_ps(g, g, *sum);
	return _mm256_sub_ps(now, _mm256_div_ps(_mm256_mul_ps(_mm256_set1_ps(rate), g), _mm256_sqrt_ps(*sum)));
}

static inline void step8(float *w, float *sum, __m256 now, __m256 g, float rate)
{
	__m256 s = _mm256_loadu_ps(sum);
	_mm256_storeu_ps(w, descend8(now, g, &s, rate));
	_mm256_storeu_ps(sum, s);
}

static inline void pair_step4(float *a, float *b, uint32_t pad, float c, const struct adagrad *o)
{
	__m256 now = _mm256_set_m128(_mm_load_ps(b), _mm_load_ps(a));
	__m256 sum = _mm256_set_m128(_mm_load_ps(b + pad), _mm_load_ps(a + pad));
	__m256 other = _mm256_permute2f128_ps(now, now, 1);
	__m256 g = _mm256_fmadd_ps(_mm256_set1_ps(c), other, _mm256_mul_ps(_mm256_set1_ps(o->l2), now));
	__m256 next = descend8(now, g, &sum, o->learning_rate);

	_mm_store_ps(a, _mm256_castps256_ps128(next));
	_mm_store_ps(a + pad, _mm256_castps256_ps128(sum));
	_mm_store_ps(b, _mm256_extractf128_ps(next, 1));
	_mm_store_ps(b + pad, _mm256_extractf128_ps(sum, 1));
}

static inline void vec_pair_step(float *a, float *b, float c, const struct adagrad *o, uint32_t pad)
{
	__m256 cs = _mm256_set1_ps(c), l2 = _mm256_set1_ps(o->l2);
	uint32_t d = 0;
	for (; d + 8 <= pad; d += 8) {
		__m256 va = _mm256_loadu_ps(a + d), vb = _mm256_loadu_ps(b + d);
		step8(a + d, a + pad + d, va, _mm256_fmadd_ps(cs, vb, _mm256_mul_ps(l2, va)), o->learning_rate);
		step8(b + d, b + pad + d, vb, _mm256_fmadd_ps(cs, va, _mm256_mul_ps(l2, vb)), o->learning_rate);
	}
	if (d < pad)
		pair_step4(a + d, b + d, pad, c, o);
}

static inline void vec_fm_step(float *v, const float *sum, float c, float x, const struct adagrad *o, uint32_t pad)
{
	uint32_t d = 0;
	for (; d + 8 <= pad; d += 8) {
		__m256 now = _mm256_loadu_ps(v + d);
		__m256 rest = _mm256_fnmadd_ps(_mm256_set1_ps(x), now, _mm256_loadu_ps(sum + d));
		__m256 g = _mm256_fmadd_ps(_mm256_set1_ps(c), rest, _mm256_mul_ps(_mm256_set1_ps(o->l2), now));
		step8(v + d, v + pad + d, now, g, o->learning_rate);
	}
	if (d < pad) {
		__m128 now = _mm_load_ps(v + d), s = _mm_load_ps(v + pad + d);
		__m128 rest = _mm_fnmadd_ps(_mm_set1_ps(x), now, _mm_load_ps(sum + d));
		__m128 g = _mm_fmadd_ps(_mm_set1_ps(c), rest, _mm_mul_ps(_mm_set1_ps(o->l2), now));
		s = _mm_fmadd_ps(g, g, s);
		_mm_store_ps(v + pad + d, s);
		__m128 step = _mm_div_ps(_mm_mul_ps(_mm_set1_ps(o->learning_rate), g), _mm_sqrt_ps(s));
		_mm_store_ps(v + d, _mm_sub_ps(now, step));
	}
}

#define KERNEL kernel_avx2
#define KERNEL_NAME "avx2"
#include "train/kernel_rows.h"
