#include "train/kernel.h"

#include <string.h>
#include "base/mem.h"

#ifdef TRAIN_X86
extern const struct kernel kernel_sse2, kernel_avx2;

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

const struct kernel *kernel_best(void)
{
#ifdef TRAIN_X86
	return has_avx2() ? &kernel_avx2 : &kernel_sse2;
#else
	return &kernel_scalar;
#endif
}

const struct kernel *kernel_named(const char *name)
{
#ifdef TRAIN_X86
	if (strcmp(name, kernel_avx2.name) == 0)
		return has_avx2() ? &kernel_avx2 : NULL;
	if (strcmp(name, kernel_sse2.name) == 0)
		return &kernel_sse2;
#endif
	return strcmp(name, kernel_scalar.name) == 0 ? &kernel_scalar : NULL;
}

static float final_value(float v)
{
	if (!(v == v))
		return 0;
	return v > ROW_VALUE_MAX ? ROW_VALUE_MAX : v < -ROW_VALUE_MAX ? -ROW_VALUE_MAX : v;
}

void row_fill(struct row *r, const struct shape *s, const struct example *e, bool normalize)
{
	if (e->n > r->cap) {
		r->cap = e->n + e->n / 2;
		r->features = mem_grow(r->features, r->cap, sizeof *r->features);
	}
	r->n = 0;
	for (uint32_t i = 0; i < e->n; i++) {
		struct feature f = e->features[i];
		if (f.index >= s->n_features || f.field >= s->n_fields)
			continue; /* training saw no such feature or field: nothing is known about it */
		f.value = final_value(normalize ? f.value * e->scale : f.value);
		r->features[r->n++] = f;
	}
}

void row_fini(struct row *r)
{
	mem_free(r->features);
	*r = (struct row){ 0 };
}
