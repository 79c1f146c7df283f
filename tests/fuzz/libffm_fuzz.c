/*
 * libffm and libsvm files, in turns: what holds of rows in any format (rows.h); and a row printed from numbers reads as
 * those numbers: a feature for each value that is not 0, in order.
 */
#include <math.h>
#include <stdio.h>
#include "base/buf.h"
#include "fuzz.h"
#include "rows.h"
#include "train/sparse.h"
#include "train/train.h"

enum { ARENA_SIZE = 1 << 16, TEXT_MAX = 1 << 20, FEATURES_MAX = 32 };

static void check_printed(enum train_format format, struct rng *r)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct param params[] = { { "data_format", format_word(format) }, { "train_data", "x" } };
	struct train_options o;
	struct schema s;
	struct feat_row row = { 0 };
	struct buf text;
	struct err err = { 0 };
	float values[FEATURES_MAX];
	uint32_t fields[FEATURES_MAX], n = 0;
	bool is_ffm = format == FORMAT_LIBFFM;

	CHECK(train_options_parse(params, ARRAY_LEN(params), a, &o, &err) == RC_OK, "%s", err.msg);
	schema_init(&s, &o, format);
	buf_init(&text, TEXT_MAX);
	int label = (int)rng_below(r, 2);
	buf_addf(&text, "%d", label);
	for (size_t i = rng_below(r, FEATURES_MAX); i; i--) {
		double value = rng_below(r, 4) ? ldexp(rng_unit(r) - 0.5, (int)rng_below(r, 60) - 30)
					       : (double)rng_below(r, 2);
		fields[n] = is_ffm ? (uint32_t)rng_below(r, SCHEMA_FIELDS_MAX) : 0;
		if (is_ffm)
			buf_addf(&text, " %u:%llu:%.17g", fields[n], (unsigned long long)rng_below(r, 1000), value);
		else
			buf_addf(&text, "\t%llu:%.17g", (unsigned long long)rng_below(r, 1000), value);
		values[n] = (float)value;
		n += fabs(value) >= 1e-18;
	}
	buf_adds(&text, rng_below(r, 4) || is_ffm ? "" : " # 1:2");
	enum rc rc = sparse_row(buf_text(&text), text.len, format, &s, SPARSE_GROWS, &row, &err);
	CHECK(rc == RC_OK, "'%s': %s", buf_text(&text), err.msg);
	CHECK(row.has_label && row.label == (float)label && row.n == n, "'%s': %u features", buf_text(&text), row.n);
	for (uint32_t i = 0; i < n; i++)
		CHECK(row.features[i].field == fields[i] && row.features[i].value == values[i], "'%s': %u:%.9g",
		      buf_text(&text), row.features[i].field, (double)row.features[i].value);
	buf_fini(&text);
	feat_row_fini(&row);
	schema_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng r;

	fuzz_chance(&r, data, size);
	rows_check(FORMAT_LIBFFM, data, size);
	rows_check(FORMAT_LIBSVM, data, size);
	check_printed(rng_below(&r, 2) ? FORMAT_LIBFFM : FORMAT_LIBSVM, &r);
	return 0;
}
