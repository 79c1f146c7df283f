#include "train/weights.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/must.h"
#include "base/rand.h"

enum { LINE_FLOATS = 16 /* a cache line */, PIECE_FLOATS = 16384 };

/* Size of the three parts in floats. */
struct layout {
	uint64_t bias, linear, vector;
};

static uint32_t pad_of(const struct shape *s) { return s->kind == MODEL_LR ? 0 : (s->factors + 3) / 4 * 4; }

static uint32_t vectors_of(const struct shape *s)
{
	switch (s->kind) {
	case MODEL_LR:
		return 0;
	case MODEL_FM:
		return 1;
	case MODEL_FFM:
		return s->n_fields;
	}
	return 0;
}

static uint64_t to_lines(uint64_t n_floats) { return (n_floats + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS; }

/* False on overflow. */
static bool lay_out(const struct shape *s, bool with_sums, struct layout *out)
{
	uint64_t copies = with_sums ? 2 : 1, n;

	if (__builtin_mul_overflow((uint64_t)s->n_features * vectors_of(s), pad_of(s) * copies, &n) ||
	    n > UINT64_MAX / 16)
		return false;
	*out = (struct layout){ LINE_FLOATS, to_lines(s->n_features * copies), to_lines(n) };
	return true;
}

static uint64_t ceiling_size(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	must(pages > 0 && page > 0);
	return (uint64_t)pages * (uint64_t)page / 4 * 3;
}

enum rc weights_size(const struct shape *s, bool with_sums, size_t *size, struct err *err)
{
	struct layout l;
	uint64_t ceiling = ceiling_size();
	double need = (double)s->n_features * vectors_of(s) * pad_of(s) * (with_sums ? 8 : 4);

	must(s->kind == MODEL_LR || (s->factors > 0 && s->factors <= FACTORS_MAX));
	if (!lay_out(s, with_sums, &l) || (l.bias + l.linear + l.vector) * sizeof(float) > ceiling)
		return err_set(err, RC_LIMIT,
		               "model %s with %u features, %u fields and %u factors needs %.1f GiB of memory, the "
		               "limit here is "
		               "%.1f GiB: lower factors or hash_bits, give fewer feature_fields, or choose %s",
		               train_model_word(s->kind), s->n_features, s->n_fields, s->factors, need / 0x1p30,
		               (double)ceiling / 0x1p30, s->kind == MODEL_FFM ? "model fm" : "model lr");
	*size = (size_t)(l.bias + l.linear + l.vector) * sizeof(float);
	return RC_OK;
}

static void place(struct weights *w, const struct shape *s, float *block, size_t size, bool with_sums)
{
	struct layout l;
	must(lay_out(s, with_sums, &l));
	must((l.bias + l.linear + l.vector) * sizeof(float) == size);
	uint32_t copies = with_sums ? 2 : 1;
	*w = (struct weights){
		.shape = *s,
		.pad = pad_of(s),
		.vectors = vectors_of(s),
		.linear_step = copies,
		.vector_step = copies * pad_of(s),
		.bias = block,
		.linear = block + l.bias,
		.vector = block + l.bias + l.linear,
		.block = block,
		.size = size,
	};
}

enum rc weights_new(struct weights *w, const struct shape *s, struct err *err)
{
	size_t size;
	enum rc rc = weights_size(s, true, &size, err);
	if (rc != RC_OK)
		return rc;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_set(err, RC_LIMIT, "no memory for a model of %.1f GiB: lower factors or hash_bits",
		               (double)size / 0x1p30);
	(void)madvise(p, size, MADV_HUGEPAGE); /* fewer address look-ups; without it only slower */
	place(w, s, p, size, /* with_sums= */ true);
	w->is_owned = true;
	return RC_OK;
}

void weights_borrow(struct weights *w, const struct shape *s, float *block, size_t size)
{
	must((uintptr_t)block % 64 == 0);
	place(w, s, block, size, /* with_sums= */ false);
}

void weights_free(struct weights *w)
{
	if (w->is_owned)
		must(munmap(w->block, w->size) == 0);
	*w = (struct weights){ 0 };
}

void weights_start(struct weights *w, uint64_t seed)
{
	struct rng rng;
	/* Around zero, so that features that were not seen in training (and are left out of a row) miss no offset that
	 * the others were trained to count on; a tenth of the usual width, so that noise does not pass for interaction.
	 * docs/trainer.md has the figures of the alternatives. */
	float half_width = w->pad ? 0.1f / sqrtf((float)w->shape.factors) : 0;
	uint64_t n_vectors = (uint64_t)w->shape.n_features * w->vectors;

	must(w->is_owned);
	rng_init(&rng, seed);
	w->bias[0] = 0;
	w->bias[1] = 1;
	for (uint64_t i = 0; i < w->shape.n_features; i++) {
		w->linear[2 * i] = 0;
		w->linear[2 * i + 1] = 1;
	}
	for (uint64_t i = 0; i < n_vectors; i++) {
		float *v = w->vector + i * w->vector_step;
		for (uint32_t d = 0; d < w->pad; d++) {
			v[d] = d < w->shape.factors ? half_width * (2 * (float)rng_unit(&rng) - 1) : 0;
			v[w->pad + d] = 1;
		}
	}
}

/* Collects floats and hands them on in pieces. */
struct strip {
	float piece[PIECE_FLOATS];
	size_t n;
	enum rc (*take)(void *ctx, const void *bytes, size_t len, struct err *err);
	void *ctx;
	struct err *err;
	enum rc rc;
};

static void strip_flush(struct strip *s)
{
	if (s->rc == RC_OK && s->n)
		s->rc = s->take(s->ctx, s->piece, s->n * sizeof(float), s->err);
	s->n = 0;
}

/* count runs of len floats, step apart; then zeros up to a full line. */
static void strip_part(struct strip *s, const float *from, uint64_t count, uint32_t len, uint32_t step)
{
	for (uint64_t i = 0; i < count && s->rc == RC_OK; i++) {
		for (uint32_t d = 0; d < len; d++) {
			if (s->n == PIECE_FLOATS)
				strip_flush(s);
			s->piece[s->n++] = from[i * step + d];
		}
	}
	for (uint64_t i = count * len; i < to_lines(count * len); i++) {
		if (s->n == PIECE_FLOATS)
			strip_flush(s);
		s->piece[s->n++] = 0;
	}
}

enum rc weights_strip(const struct weights *w,
                      enum rc (*take)(void *ctx, const void *bytes, size_t len, struct err *err), void *ctx,
                      struct err *err)
{
	struct strip s = { .take = take, .ctx = ctx, .err = err, .rc = RC_OK };

	strip_part(&s, w->bias, 1, 1, 1);
	strip_part(&s, w->linear, w->shape.n_features, 1, w->linear_step);
	strip_part(&s, w->vector, (uint64_t)w->shape.n_features * w->vectors, w->pad, w->vector_step);
	strip_flush(&s);
	return s.rc;
}

static const char *const words[] = { [MODEL_LR] = "lr", [MODEL_FM] = "fm", [MODEL_FFM] = "ffm" };

const char *train_model_word(enum train_model kind) { return words[kind]; }

bool train_model_parse(const char *word, enum train_model *out)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], word) == 0) {
			*out = (enum train_model)i;
			return true;
		}
	}
	return false;
}
