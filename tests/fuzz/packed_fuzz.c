/*
 * The binary cache of a data set, as it comes and with every checksum put right. What opens decodes to rows within the
 * bounds the trainer relies on, or is refused as damaged; any byte changed is refused; and rows of our own, written and
 * read back, are the same.
 */
#include <math.h>
#include <stdio.h>
#include <zlib.h>
#include "base/mem.h"
#include "fuzz.h"
#include "os/file.h"
#include "train/dense.h"
#include "train/packed.h"

enum { HEADER = 176, ROW = 24, AT_BLOCKS = 112, AT_TAIL = 136, AT_SIZE = 144, AT_TAIL_CRC = 152 };

static const unsigned char key[PACKED_KEY_SIZE] = "the key of the fuzz target's dat";

/* ---- the checksums ---- */

static uint64_t get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	while (n--)
		v = v << 8 | p[n];
	return v;
}

static void put(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void fix_sums(uint8_t *file, size_t size)
{
	if (size < HEADER)
		return;
	uint64_t tail = get(file + AT_TAIL, 8), n = get(file + AT_BLOCKS, 4) + get(file + AT_BLOCKS + 4, 4);
	if (tail <= size) {
		for (uint64_t i = 0; i < n && size - tail >= (i + 1) * ROW; i++) {
			uint8_t *row = file + tail + i * ROW;
			uint64_t at = get(row, 8), len = get(row + 8, 4);
			if (at <= tail && len <= tail - at)
				put(row + 20, crc32_z(0, file + at, len), 4);
		}
		put(file + AT_TAIL_CRC, crc32_z(0, file + tail, size - tail), 4);
	}
	put(file + AT_SIZE, size, 8);
	memcpy(file + 16, key, sizeof key);
	put(file + HEADER - 4, crc32_z(0, file, HEADER - 4), 4);
}

/* ---- reading ---- */

static void check_block(const struct dataset_info *info, const struct block *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		const struct example *e = &b->examples[i];
		CHECK(e->label == 0 || e->label == 1, "label %g", (double)e->label);
		CHECK(!isnan(e->scale) && e->scale >= 0, "scale %g", (double)e->scale);
		for (uint32_t k = 0; k < e->n; k++) {
			CHECK(e->features[k].field < info->n_fields, "field %u", e->features[k].field);
			CHECK(e->features[k].index < info->n_features, "index %u", e->features[k].index);
			CHECK(isfinite(e->features[k].value), "value %g", (double)e->features[k].value);
		}
	}
}

static void check_open(const struct packed *c)
{
	const struct dataset_info *info = packed_info(c);
	struct block b = { 0 };
	struct err err = { 0 };

	CHECK(info->hash_bits >= 8 && info->hash_bits <= 28, "%u bits", info->hash_bits);
	CHECK(info->schema_json && info->seen && strlen(info->content_hash) == 64, "texts are missing");
	for (int part = 0; part < PARTS; part++) {
		for (uint32_t i = 0; i < info->n_blocks[part]; i++) {
			enum rc rc = packed_block(c, (enum part)part, i, &b, &err);
			if (rc == RC_OK)
				check_block(info, &b);
			else
				fuzz_check_refusal(rc, &err);
		}
	}
	block_fini(&b);
}

static enum rc open_bytes(const uint8_t *bytes, size_t size)
{
	struct fuzz_file f;
	struct packed *c = NULL;
	struct err err = { 0 };

	fuzz_file_open(&f, bytes, size);
	enum rc rc = packed_open(f.path, key, &c, &err);
	if (rc == RC_OK) {
		check_open(c);
		packed_close(c);
	} else {
		fuzz_check_refusal(rc, &err);
		CHECK(rc == RC_CORRUPT && !c, "%s: %s", rc_name(rc), err.msg);
	}
	fuzz_file_close(&f);
	return rc;
}

/* ---- writing and reading back ---- */

enum { FIELDS = 300, FEATURES = 70000, ROWS = 16, BITS = 8 };

static void make_rows(struct example *e, struct feature *f, uint32_t n, struct rng *r)
{
	bool all_one = rng_below(r, 2);

	for (uint32_t i = 0; i < n; i++) {
		e[i] = (struct example){ .label = (float)rng_below(r, 2),
					 .n = (uint32_t)rng_below(r, ROWS),
					 .features = f };
		for (uint32_t k = 0; k < e[i].n; k++, f++)
			*f = (struct feature){ (uint32_t)rng_below(r, FIELDS), (uint32_t)rng_below(r, FEATURES),
				               all_one ? 1 : (float)rng_normal(r) };
	}
}

static void check_same(const struct block *b, const struct example *e, uint32_t n)
{
	CHECK(b->n == n, "%u rows, not %u", b->n, n);
	for (uint32_t i = 0; i < n; i++) {
		CHECK(b->examples[i].label == e[i].label && b->examples[i].n == e[i].n, "row %u", i);
		CHECK(fuzz_is_same(b->examples[i].features, e[i].n * sizeof *e[i].features, e[i].features,
				   e[i].n * sizeof *e[i].features),
		      "features of row %u", i);
	}
}

static void check_round_trip(struct rng *r)
{
	static struct example e[ROWS];
	static struct feature features[ROWS * ROWS];
	static uint8_t seen[1 << (BITS - 3)];
	struct dataset_info info = {
		.n_fields = FIELDS, .n_features = FEATURES, .hash_bits = BITS, .seen = seen, .schema_json = "{}"
	};
	struct packed_writer w;
	struct packed *c = NULL;
	struct block b = { 0 };
	struct err err = { 0 };
	char path[128];
	const char *tmp = getenv("TMPDIR");
	uint32_t n = (uint32_t)rng_below(r, ROWS);

	snprintf(path, sizeof path, "%.40s/stint-fuzz-%d.packed", tmp ? tmp : "/tmp", (int)getpid());
	memset(info.content_hash, 'a', 64);
	make_rows(e, features, n, r);
	enum rc rc = packed_create(&w, path, &info, &err);
	if (rc == RC_OK)
		rc = packed_add_block(&w, PART_TRAIN, e, n, &err);
	if (rc == RC_OK)
		rc = packed_finish(&w, key, &err);
	CHECK(rc == RC_OK, "%s", err.msg);
	CHECK(packed_open(path, key, &c, &err) == RC_OK, "%s", err.msg);
	CHECK(packed_info(c)->rows[PART_TRAIN] == n, "rows are lost");
	CHECK(packed_block(c, PART_TRAIN, 0, &b, &err) == RC_OK, "%s", err.msg);
	check_same(&b, e, n);
	block_fini(&b);
	packed_close(c);
	CHECK(file_remove(path, &err) == RC_OK, "%s", err.msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng r;

	fuzz_chance(&r, data, size);
	uint8_t *copy = (uint8_t *)mem_dup_n((const char *)data, size);
	(void)open_bytes(copy, size);
	fix_sums(copy, size);
	if (open_bytes(copy, size) == RC_OK) {
		copy[rng_below(&r, size)] ^= (uint8_t)(1u << rng_below(&r, 8));
		CHECK(open_bytes(copy, size) != RC_OK, "a changed file was taken");
	}
	mem_free(copy);
	if (rng_below(&r, 16) == 0)
		check_round_trip(&r);
	return 0;
}
