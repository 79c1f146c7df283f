/*
 * The chunked coding. Whatever comes: split anywhere it decodes to the same bytes with the same verdict, never past the
 * ceiling; and any bytes encoded, in chunks of any size and with extensions and trailers, come back.
 */
#include "base/mem.h"
#include "fuzz.h"
#include "http/chunk.h"

struct outcome {
	enum chunk_result result;
	size_t used;
	struct buf out;
};

static void decode(struct outcome *o, const char *bytes, size_t size, size_t ceiling, struct rng *split)
{
	struct chunk c = { 0 };

	buf_init(&o->out, ceiling);
	o->result = CHUNK_MORE;
	o->used = 0;
	while (o->result == CHUNK_MORE && o->used < size) {
		size_t len = size - o->used, used = 0;
		if (split)
			len = 1 + rng_below(split, len < 40 ? len : 40);
		char *piece = mem_alloc(len); /* its own block: reading past the piece would be seen */
		memcpy(piece, bytes + o->used, len);
		o->result = chunk_decode(&c, piece, len, &o->out, &used);
		mem_free(piece);
		CHECK(used <= len, "used %zu of %zu bytes", used, len);
		CHECK(o->result != CHUNK_MORE || used == len, "wants more and left %zu bytes", len - used);
		o->used += used;
	}
	CHECK(o->out.len <= ceiling, "%zu bytes, ceiling %zu", o->out.len, ceiling);
}

static void check_splits(const char *bytes, size_t size, size_t ceiling, struct rng *r)
{
	struct outcome whole, split;

	decode(&whole, bytes, size, ceiling, NULL);
	decode(&split, bytes, size, ceiling, r);
	CHECK(whole.result == split.result, "whole %d, split %d", (int)whole.result, (int)split.result);
	CHECK(whole.used == split.used, "whole used %zu, split %zu", whole.used, split.used);
	CHECK(fuzz_is_same(whole.out.bytes, whole.out.len, split.out.bytes, split.out.len), "other bytes");
	buf_fini(&whole.out);
	buf_fini(&split.out);
}

static void encode(struct buf *out, const char *bytes, size_t size, struct rng *r)
{
	while (size) {
		size_t n = 1 + rng_below(r, size);
		buf_addf(out, rng_below(r, 2) ? "%zx%s\r\n" : "%zX%s\r\n", n, rng_below(r, 2) ? ";a=\"b\"" : "");
		buf_add(out, bytes, n);
		buf_adds(out, "\r\n");
		bytes += n;
		size -= n;
	}
	buf_adds(out, rng_below(r, 2) ? "0\r\n\r\n" : "000;last\r\nTrailer: 1\r\n\r\n");
}

static void check_round_trip(const char *bytes, size_t size, struct rng *r)
{
	struct buf coded;
	struct outcome o;

	buf_init(&coded, 1 << 26);
	encode(&coded, bytes, size, r);
	size_t coded_len = coded.len;
	buf_adds(&coded, "GET /"); /* the next request is none of its business */
	decode(&o, coded.bytes, coded.len, size, r);
	CHECK(o.result == CHUNK_DONE && o.used == coded_len, "result %d, used %zu of %zu", (int)o.result, o.used,
	      coded_len);
	CHECK(fuzz_is_same(o.out.bytes, o.out.len, bytes, size), "other bytes came back");
	buf_fini(&o.out);
	if (size) {
		decode(&o, coded.bytes, coded.len, size - 1, r);
		CHECK(o.result == CHUNK_TOO_LARGE, "one byte over the ceiling: %d", (int)o.result);
		buf_fini(&o.out);
	}
	buf_fini(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng r;

	fuzz_chance(&r, data, size);
	check_splits((const char *)data, size, 1 + rng_below(&r, 4096), &r);
	check_splits((const char *)data, size, 1 << 20, &r);
	check_round_trip((const char *)data, size, &r);
	return 0;
}
