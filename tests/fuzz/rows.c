#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <zlib.h>
#include "base/mem.h"
#include "fuzz.h"
#include "train/reader.h"
#include "train/train.h"

enum { ARENA_SIZE = 1 << 16, HASH_BITS_LOW = 8, SCHEMA_MAX = 1 << 22 };

/* What a reading gave. */
struct reading {
	enum rc rc;
	size_t n;
	uint64_t hash;
};

static void mix(struct reading *g, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	for (size_t i = 0; i < len; i++)
		g->hash = (g->hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static void take_row(struct reading *g, const struct feat_row *row, const struct schema *s)
{
	CHECK(row->n <= ROW_FEATURES_MAX, "%u features", row->n);
	CHECK(!row->has_label || row->label == 0 || row->label == 1, "label %g", (double)row->label);
	for (uint32_t i = 0; i < row->n; i++) {
		const struct feature *f = &row->features[i];
		CHECK(f->field < s->n_fields, "field %u of %u", f->field, s->n_fields);
		CHECK(f->index < UINT32_C(1) << s->hash_bits, "index %u", f->index);
		CHECK(isfinite(f->value), "value %g", (double)f->value);
	}
	mix(g, row->features, row->n * sizeof row->features[0]);
	mix(g, &row->has_label, sizeof row->has_label);
	if (row->has_label)
		mix(g, &row->label, sizeof row->label);
	g->n++;
}

static void check_words(enum rc rc, const struct err *err, const char *path)
{
	fuzz_check_refusal(rc, err);
	CHECK(rc == RC_INVALID || rc == RC_LIMIT, "%s: %s", rc_name(rc), err->msg);
	CHECK(strstr(err->msg, path), "'%s' does not name the file", err->msg);
}

static struct reading read_rows(struct schema *s, enum reader_flags flags, const void *bytes, size_t size)
{
	struct reading g = { .hash = 14695981039346656037u };
	struct reader r = { 0 };
	struct feat_row row = { 0 };
	struct fuzz_file f;
	struct err err = { 0 };
	bool has = true;

	fuzz_file_open(&f, bytes, size);
	g.rc = reader_open(&r, f.path, s->format, flags, s, NULL, &err);
	while (g.rc == RC_OK && has) {
		g.rc = reader_row(&r, &row, &has, &err);
		if (g.rc == RC_OK && has)
			take_row(&g, &row, s);
	}
	if (g.rc != RC_OK)
		check_words(g.rc, &err, f.path);
	feat_row_fini(&row);
	reader_close(&r);
	fuzz_file_close(&f);
	return g;
}

static void make_options(enum train_format format, struct rng *chance, struct arena *a, struct train_options *o)
{
	static const char *const separators[] = { "|", ";", " ", "ab" };
	struct param params[] = { { "data_format", format_word(format) },
		                  { "train_data", "x" },
		                  { "header", rng_below(chance, 4) ? "true" : "false" },
		                  { "value_separator", separators[rng_below(chance, 4)] },
		                  { "hash_bits", rng_below(chance, 2) ? "8" : "20" },
		                  { "positive", rng_below(chance, 2) ? ">0" : "!=1.5" } };
	struct err err = { 0 };

	if (format == FORMAT_CSV || format == FORMAT_TSV || format == FORMAT_JSONL) {
		static const char *const numeric[] = { "", "n", "1" }, *const title[] = { "", "t", "2" };
		struct param more[] = { { "numeric_fields", numeric[rng_below(chance, 3)] },
			                { "title_field", title[rng_below(chance, 3)] },
			                { "tags_field", rng_below(chance, 2) ? "g" : "" } };
		struct param all[ARRAY_LEN(params) + ARRAY_LEN(more)];
		memcpy(all, params, sizeof params);
		memcpy(all + ARRAY_LEN(params), more, sizeof more);
		CHECK(train_options_parse(all, ARRAY_LEN(all), a, o, &err) == RC_OK, "%s", err.msg);
		return;
	}
	CHECK(train_options_parse(params, ARRAY_LEN(params), a, o, &err) == RC_OK, "%s", err.msg);
}

static struct reading read_fresh(struct schema *s, const struct train_options *o, enum train_format format,
				 const void *bytes, size_t size)
{
	schema_init(s, o, format);
	return read_rows(s, READER_LABELLED | READER_GROWS, bytes, size);
}

static void expect_same(const struct train_options *o, enum train_format format, const struct reading *want,
			const struct buf *text, const char *how)
{
	struct schema s;
	struct reading g = read_fresh(&s, o, format, text->bytes, text->len);

	CHECK(g.rc == want->rc && g.n == want->n && g.hash == want->hash, "%s: %s after %zu rows, else %s after %zu",
	      how, rc_name(g.rc), g.n, rc_name(want->rc), want->n);
	schema_fini(&s);
}

static void pack(struct buf *out, const void *bytes, size_t size)
{
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)bytes, .avail_in = (unsigned)size };
	enum { GZIP_WINDOW = 15 + 16 };

	CHECK(deflateInit2(&z, 1, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK, "gzip");
	size_t room = deflateBound(&z, (unsigned long)size);
	unsigned char *packed = mem_alloc(room);
	z.next_out = packed;
	z.avail_out = (unsigned)room;
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END, "gzip");
	buf_add(out, packed, room - z.avail_out);
	mem_free(packed);
	(void)deflateEnd(&z);
}

/* Is the input a plain text by itself? What begins as a packed file or another encoding does is another thing. */
static bool is_plain_start(const uint8_t *data, size_t size)
{
	static const struct {
		const char *bytes;
		size_t len;
	} others[] = { { "\x1f\x8b", 2 }, { "\xfd" "7zXZ", 5 }, { "\x28\xb5\x2f\xfd", 4 }, { "\xef\xbb\xbf", 3 },
		       { "\xff\xfe", 2 }, { "\xfe\xff", 2 }, { "\x50\x2a\x4d\x18", 4 } };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (size >= others[i].len && memcmp(data, others[i].bytes, others[i].len) == 0)
			return false;
	return size < 4 || memcmp(data + 1, "\x2a\x4d\x18", 3) != 0; /* zstd's skippable frames */
}

static void check_wrappings(const struct train_options *o, enum train_format format, const struct reading *want,
			    const uint8_t *data, size_t size, struct rng *chance)
{
	struct buf text;

	buf_init(&text, size * 2 + 4096);
	switch (is_plain_start(data, size) ? rng_below(chance, 4) : 4) {
	case 0:
		buf_adds(&text, "\xef\xbb\xbf");
		buf_add(&text, data, size);
		expect_same(o, format, want, &text, "byte-order mark");
		break;
	case 1:
		pack(&text, data, size);
		expect_same(o, format, want, &text, "gzip");
		break;
	case 2:
		buf_add(&text, data, size);
		if (size && data[size - 1] != '\n' && data[size - 1] != '\r') {
			buf_addc(&text, '\n');
			expect_same(o, format, want, &text, "line end");
		}
		break;
	default:
		break;
	}
	buf_fini(&text);
}

/* Rows to predict become what they became in training. */
static void check_schema(const struct schema *s, const struct reading *want, const uint8_t *data, size_t size)
{
	struct schema again = { 0 };
	struct buf json, json_again;
	struct err err = { 0 };

	buf_init(&json, SCHEMA_MAX);
	buf_init(&json_again, SCHEMA_MAX);
	schema_to_json(s, &json);
	enum rc rc = schema_from_json(&again, buf_text(&json), s->hash_bits, &err);
	CHECK(rc == RC_OK, "%s: %s", err.msg, buf_text(&json));
	schema_to_json(&again, &json_again);
	CHECK(strcmp(buf_text(&json), buf_text(&json_again)) == 0, "%s became %s", buf_text(&json),
	      buf_text(&json_again));
	struct reading g = read_rows(&again, READER_PREDICT, data, size);
	CHECK(g.rc == RC_OK && g.n == want->n && g.hash == want->hash, "trained on %zu rows, predicts %zu: %s", want->n,
	      g.n, rc_name(g.rc));
	schema_fini(&again);
	buf_fini(&json);
	buf_fini(&json_again);
}

void rows_check(enum train_format format, const uint8_t *data, size_t size)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct train_options o;
	struct schema s;
	struct rng chance;

	fuzz_chance(&chance, data, size);
	make_options(format, &chance, a, &o);
	struct reading got = read_fresh(&s, &o, format, data, size);
	check_wrappings(&o, format, &got, data, size, &chance);
	if (got.rc == RC_OK && got.n)
		check_schema(&s, &got, data, size);
	schema_fini(&s);
}
