/*
 * Model files, as they come and with every checksum put right. A file that loads can be described as JSON and used:
 * each row of a small text scores one line, a number from 0 to 1 (unless its weights are out of all reason). Another
 * seal or any byte changed is refused; a refusal names the file and hands out nothing.
 */
#include <math.h>
#include <openssl/evp.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "fuzz.h"
#include "json/json.h"
#include "train/model_file.h"
#include "train/train.h"

enum { HEAD = 64, DIGEST = SEALED_DIGEST_SIZE, ARENA_SIZE = 1 << 20, OUT_MAX = 1 << 20 };

/* ---- the checksums ---- */

static uint64_t get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	while (n--)
		v = v << 8 | p[n];
	return v;
}

static void digest(const void *bytes, size_t size, uint8_t out[DIGEST])
{
	CHECK(EVP_Digest(bytes, size, out, NULL, EVP_sha256(), NULL) == 1, "SHA-256");
}

/* False: the sections do not fit, so there is nothing to put right. */
static bool fix_sums(uint8_t *file, size_t size)
{
	uint8_t text[HEAD + SEALED_SECTIONS_MAX * DIGEST];
	uint64_t n = size >= HEAD ? get(file + 16, 4) : 0;
	size_t at = HEAD, trailer = (n + 1) * DIGEST;

	if (!n || n > SEALED_SECTIONS_MAX || size < HEAD + trailer)
		return false;
	for (size_t i = 0; i < 8; i++)
		file[24 + i] = (uint8_t)((uint64_t)size >> 8 * i);
	uint8_t *digests = file + size - trailer;
	for (uint64_t i = 0; i < n; i++) {
		size_t left = size - trailer - at;
		if (left < HEAD || get(file + at + 16, 8) > left - HEAD)
			return false;
		size_t whole = HEAD + (get(file + at + 16, 8) + 63) / 64 * 64;
		if (whole > left)
			return false;
		digest(file + at, whole, digests + i * DIGEST);
		at += whole;
	}
	memcpy(text, file, HEAD);
	memcpy(text + HEAD, digests, n * DIGEST);
	digest(text, HEAD + n * DIGEST, digests + n * DIGEST);
	return true;
}

/* ---- what a model does ---- */

/* Of a size that no sum of their products leaves the range of float32. */
static bool are_sane(const struct weights *w)
{
	for (size_t i = 0; i < w->size / sizeof(float); i++)
		if (!(fabsf(w->block[i]) <= ROW_VALUE_MAX))
			return false;
	return true;
}

static void check_scores(struct model *m, const char *rows)
{
	struct fuzz_file in, out;
	struct err err = { 0 };
	char text[OUT_MAX / 256];
	bool is_sane = are_sane(&m->weights);

	fuzz_file_open(&in, rows, strlen(rows));
	fuzz_file_open(&out, "", 0);
	enum rc rc = model_predict_file(m, in.path, NULL, out.fd, NULL, &err);
	if (rc != RC_OK)
		fuzz_check_refusal(rc, &err);
	ssize_t n = pread(out.fd, text, sizeof text - 1, 0);
	CHECK(n >= 0, "no predictions to read");
	text[n] = '\0';
	for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
		double p;
		bool is_number = num_f64_n(line, strcspn(line, "\n"), &p);
		CHECK(is_number || !is_sane, "'%.20s' is no number", line);
		CHECK(!is_number || (p >= 0 && p <= 1), "probability %g", p);
	}
	fuzz_file_close(&in);
	fuzz_file_close(&out);
}

static void check_model(struct model *m)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct buf out;
	const json_t *json;
	struct err err = { 0 };

	buf_init(&out, OUT_MAX);
	model_describe(m, &out);
	CHECK(json_read(buf_text(&out), out.len, a, &json, &err) == RC_OK && json_is_object(json), "%s: %s", err.msg,
	      buf_text(&out));
	buf_fini(&out);
	check_scores(m, "click,a,b\n1,x,2\n0,y|z,3.5\n,,\n");
	check_scores(m, "1 0:1:1 1:2:0.5 1023:9:2\n0 0:3:1e9\n");
	check_scores(m, "{\"click\":1,\"a\":\"x\",\"b\":[1,2.5,\"y\"]}\n{}\n");
}

static void check_file(const uint8_t *bytes, size_t size, struct rng *r)
{
	struct fuzz_file f;
	struct model *m = NULL;
	struct err err = { 0 };
	char seal[SEALED_HEX_SIZE] = "";

	fuzz_file_open(&f, bytes, size);
	enum rc rc = model_load(f.path, &m, &err);
	if (rc != RC_OK) {
		fuzz_check_refusal(rc, &err);
		CHECK(rc == RC_CORRUPT || rc == RC_INVALID || rc == RC_LIMIT, "%s: %s", rc_name(rc), err.msg);
		CHECK(!m && strstr(err.msg, f.path), "'%s' does not name the file", err.msg);
		fuzz_file_close(&f);
		return;
	}
	CHECK(model_seal(f.path, seal, &err) == RC_OK && strcmp(seal, m->file.seal_hex) == 0, "seal '%s'", seal);
	check_model(m);
	model_free(m);
	fuzz_file_close(&f);
	uint8_t *copy = (uint8_t *)mem_dup_n((const char *)bytes, size);
	copy[rng_below(r, size)] ^= (uint8_t)(1u << rng_below(r, 8));
	fuzz_file_open(&f, copy, size);
	CHECK(model_seal(f.path, seal, &err) != RC_OK, "a changed file was taken");
	fuzz_file_close(&f);
	mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng r;

	fuzz_chance(&r, data, size);
	if (rng_below(&r, 4) == 0)
		check_file(data, size, &r);
	uint8_t *copy = (uint8_t *)mem_dup_n((const char *)data, size);
	if (fix_sums(copy, size))
		check_file(copy, size, &r);
	mem_free(copy);
	return 0;
}
