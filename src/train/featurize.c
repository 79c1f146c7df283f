#include "train/featurize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/num.h"
#include "train/lines.h"

/* FNV-1a (Fowler, Noll, Vo), 64 bits; its weak low bits are mended by feat_mix. */
static const uint64_t fnv_basis = UINT64_C(0xcbf29ce484222325), fnv_prime = UINT64_C(0x100000001b3);

static uint64_t fnv(uint64_t h, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * fnv_prime;
	return h;
}

/* The 0xff byte, which UTF-8 never has, keeps ("ab", "c") and ("a", "bc") apart. */
uint64_t feat_name_hash(const char *name, size_t len) { return fnv(fnv(fnv_basis, name, len), "\xff", 1); }

uint64_t feat_mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

uint64_t feat_value_hash(uint64_t begin, const char *value, size_t len) { return feat_mix(fnv(begin, value, len)); }

uint32_t feat_index(const struct schema *s, uint64_t begin, const char *value, size_t len)
{
	return (uint32_t)(feat_value_hash(begin, value, len) & ((UINT64_C(1) << s->hash_bits) - 1));
}

/*
 * Whole numbers from -8 to 8 have a bucket each: counts, stars. Others share one with what has the same sign and the
 * same half of an octave; finer and coarser ones were measured (docs/data-formats.md). Compared with a constant,
 * not by log2, so that every machine agrees.
 */
size_t feat_bucket(double v, char out[FEAT_BUCKET_SIZE])
{
	static const double half_octave = 0.70710678118654757; /* sqrt(1/2) */
	int octave, len;
	double part = frexp(fabs(v), &octave); /* 0.5 <= part < 1 */

	if (fabs(v) <= 8 && v == floor(v))
		len = snprintf(out, FEAT_BUCKET_SIZE, "=%d", (int)v);
	else
		len = snprintf(out, FEAT_BUCKET_SIZE, "%c%d", v < 0 ? '-' : '+',
			       2 * (octave - 1) + (part >= half_octave));
	return (size_t)len;
}

void feat_row_fini(struct feat_row *r)
{
	mem_free(r->features);
	*r = (struct feat_row){ 0 };
}

enum rc feat_row_add(struct feat_row *r, uint32_t field, uint32_t index, float value, struct err *err)
{
	if (r->n == ROW_FEATURES_MAX)
		return err_set(err, RC_LIMIT, "the row has more than %d features", ROW_FEATURES_MAX);
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->features = mem_grow(r->features, r->cap, sizeof r->features[0]);
	}
	r->features[r->n++] = (struct feature){ field, index, value };
	return RC_OK;
}

static int by_index(const void *a, const void *b)
{
	const struct feature *x = a, *y = b;
	return (x->index > y->index) - (x->index < y->index);
}

/* Features first.. are one cell's: each once, in ascending order, with the weights of that many. */
static void settle_cell(struct feat_row *r, uint32_t first)
{
	uint32_t n = r->n - first, kept = 1;

	if (n < 2)
		return;
	struct feature *f = r->features + first;
	qsort(f, n, sizeof f[0], by_index);
	for (uint32_t i = 1; i < n; i++) {
		if (f[i].index != f[kept - 1].index)
			f[kept++] = f[i];
	}
	for (uint32_t i = 0; i < kept; i++)
		f[i].value = (float)(1 / sqrt(kept));
	r->n = first + kept;
}

struct piece {
	const char *bytes;
	size_t len;
};

/* One value of a column. */
static enum rc add_value(struct feat_row *r, const struct schema *s, uint32_t column, struct piece v, struct err *err)
{
	if (!v.len)
		return RC_OK;
	return feat_row_add(r, column, feat_index(s, s->columns[column].hash, v.bytes, v.len), 1, err);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static struct piece trim(struct piece v)
{
	for (; v.len && is_blank(*v.bytes); v.bytes++)
		v.len--;
	while (v.len && is_blank(v.bytes[v.len - 1]))
		v.len--;
	return v;
}

static enum rc add_category(struct feat_row *r, const struct schema *s, uint32_t column, const struct cell *c,
			    struct err *err)
{
	const char *p = c->bytes, *end = p + c->len;
	size_t gap = strlen(s->separator);

	for (;;) {
		const char *stop =
			c->is_element || !gap || p == end ? NULL : memmem(p, (size_t)(end - p), s->separator, gap);
		struct piece v = { p, (size_t)((stop ? stop : end) - p) };
		if (s->columns[column].kind == COLUMN_TAGS)
			v = trim(v);
		enum rc rc = add_value(r, s, column, v, err);
		if (rc != RC_OK || !stop)
			return rc;
		p = stop + gap;
	}
}

static enum rc add_number(struct feat_row *r, const struct schema *s, uint32_t column, const struct cell *c,
			  struct err *err)
{
	char bucket[FEAT_BUCKET_SIZE], shown[LINES_SHOWN_SIZE];
	struct piece v = trim((struct piece){ c->bytes, c->len });
	double number;

	if (v.len && num_f64_n(v.bytes, v.len, &number)) {
		v.len = feat_bucket(number, bucket);
		v.bytes = bucket;
	} else if (v.len && s->columns[column].is_strict) {
		return err_set(err, RC_INVALID, "column '%.100s': '%s' is not a number", s->columns[column].name,
			       lines_show(shown, v.bytes, v.len));
	}
	return add_value(r, s, column, v, err);
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* Words in lower case; the cell is changed in place, nobody else reads it. */
static enum rc add_text(struct feat_row *r, const struct schema *s, uint32_t column, const struct cell *c,
			struct err *err)
{
	char *p = c->bytes, *end = p + c->len;
	enum rc rc = RC_OK;

	while (p < end && rc == RC_OK) {
		char *from = p;
		for (; p < end && is_word(*p); p++) {
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
		}
		rc = add_value(r, s, column, (struct piece){ from, (size_t)(p - from) }, err);
		p++;
	}
	return rc;
}

enum rc feat_row_add_cell(struct feat_row *r, const struct schema *s, uint32_t column, const struct cell *cells,
			  size_t n, struct err *err)
{
	static enum rc (*const add[])(struct feat_row *, const struct schema *, uint32_t, const struct cell *,
				      struct err *) = {
		[COLUMN_CATEGORY] = add_category,
		[COLUMN_NUMBER] = add_number,
		[COLUMN_TEXT] = add_text,
		[COLUMN_TAGS] = add_category,
	};
	uint32_t first = r->n;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = add[s->columns[column].kind](r, s, column, &cells[i], err);
	if (rc == RC_OK)
		settle_cell(r, first);
	return rc;
}

static bool obeys(const struct label_rule *rule, double v)
{
	switch (rule->op) {
	case LABEL_LT:
		return v < rule->value;
	case LABEL_LE:
		return v <= rule->value;
	case LABEL_GT:
		return v > rule->value;
	case LABEL_GE:
		return v >= rule->value;
	case LABEL_EQ:
		return v <= rule->value && v >= rule->value;
	case LABEL_NE:
		return v < rule->value || v > rule->value;
	}
	return false;
}

enum rc feat_row_set_label(struct feat_row *r, const struct schema *s, const char *bytes, size_t len, struct err *err)
{
	char shown[LINES_SHOWN_SIZE];
	struct piece v = trim((struct piece){ bytes, len });
	double number;

	if (!num_f64_n(v.bytes, v.len, &number)) {
		lines_show(shown, bytes, len);
		return format_is_sparse(s->format)
			       ? err_set(err, RC_INVALID, "label '%s' is not a number", shown)
			       : err_set(err, RC_INVALID, "label column '%.100s': '%s' is not a number", s->label_field,
					 shown);
	}
	r->label = obeys(&s->positive, number) ? 1 : 0;
	r->has_label = true;
	return RC_OK;
}

void feat_row_make_dense(struct feat_row *r, const struct dense *dense, uint32_t n_fields)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < r->n; i++) {
		struct feature f = r->features[i];
		if (f.field >= n_fields || !dense_has(dense, f.index))
			continue;
		f.index = dense_rank(dense, f.index);
		r->features[kept++] = f;
	}
	r->n = kept;
}

float feat_scale(const struct feature *features, uint32_t n)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += (double)features[i].value * (double)features[i].value;
	return sum > 0 ? (float)(1 / sqrt(sum)) : 1;
}
