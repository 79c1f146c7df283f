/*
 * RDB files, as they come and with the checksum put right. What is taken adds up: keys in order, inside of the file, as
 * many as said; read as a file it is the same as from memory; the report on it is JSON; any shorter file and any with
 * one bit changed is refused. A callback that gives up ends the reading with its own code.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "json/json.h"
#include "rdb/rdb_priv.h"
#include "rdb/report.h"

enum { HEADING = 9, SUM_SIZE = 8, REPORT_MAX = 16 << 20, ARENA_SIZE = 64 << 20 };

/* What a reading has told. */
struct told {
	uint64_t n, hash, end; /* end: offset behind the last key */
	uint64_t give_up_at;   /* 0: never */
};

static void mix(struct told *t, uint64_t v)
{
	t->hash = (t->hash ^ v) * UINT64_C(0x9e3779b97f4a7c15) + (t->hash >> 29);
}

static enum rc take_key(void *ctx, const struct rdb_key *k, struct err *err)
{
	struct told *t = ctx;

	CHECK(k->type < RDB_TYPES && k->encoding < RDB_ENCODINGS, "type %d", (int)k->type);
	CHECK(k->offset >= t->end, "at %llu, behind %llu", (unsigned long long)k->offset, (unsigned long long)t->end);
	CHECK(k->file_size > 0, "a key of nothing");
	CHECK(k->name_kept == (k->name_len < RDB_NAME_MAX ? k->name_len : RDB_NAME_MAX), "%zu bytes of name",
	      k->name_kept);
	CHECK(k->memory_size > 0 && k->idle_s >= -1 && k->freq >= -1 && k->freq <= 255, "freq %d", k->freq);
	t->end = k->offset + k->file_size;
	const uint64_t said[] = { k->name_len,   k->db,         k->type,        k->encoding,
		                  k->n_elements, k->longest_size, k->file_size, k->memory_size,
		                  k->offset,     (uint64_t)k->expires_at_ms, (uint64_t)k->idle_s, (uint64_t)k->freq,
		                  k->has_expiry, k->is_compressed, k->n_groups, k->n_pending };
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		mix(t, said[i]);
	for (size_t i = 0; i < k->name_kept; i++)
		mix(t, k->name[i]);
	return ++t->n == t->give_up_at ? err_set(err, RC_CONFLICT, "enough") : RC_OK;
}

static enum rc read_bytes(const uint8_t *bytes, size_t size, struct told *t, struct rdb_info *info)
{
	struct rdb_visitor v = { t, take_key, NULL };
	struct err err = { 0 };
	enum rc rc = rdb_read_bytes(bytes, size, "input", &v, info, &err);

	if (rc != RC_OK) {
		fuzz_check_refusal(rc, &err);
		CHECK(rc == RC_INVALID || rc == RC_CORRUPT || rc == RC_CONFLICT, "%s: %s", rc_name(rc), err.msg);
	}
	return rc;
}

static void check_file(const uint8_t *bytes, size_t size, enum rc want, const struct told *told)
{
	struct told t = { .give_up_at = told->give_up_at };
	struct rdb_visitor v = { &t, take_key, NULL };
	struct err err = { 0 };
	struct fuzz_file f;

	fuzz_file_open(&f, bytes, size);
	enum rc rc = rdb_read(f.path, &v, NULL, &err);
	CHECK(rc == want, "%s, from memory %s", rc_name(rc), rc_name(want));
	CHECK(t.n == told->n && t.hash == told->hash, "%llu keys, from memory %llu", (unsigned long long)t.n,
	      (unsigned long long)told->n);
	fuzz_file_close(&f);
}

static void check_report(const uint8_t *bytes, size_t size, struct rng *r)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct rdb_report_options o = { .now_ms = (int64_t)rng_below(r, UINT64_C(1) << 42),
		                        .top_n = 1 + (int)rng_below(r, RDB_REPORT_TOP_MAX),
		                        .depth = 1 + (int)rng_below(r, RDB_REPORT_DEPTH_MAX),
		                        .separator = ':' };
	struct rdb_report *report = rdb_report_new(&o);
	struct rdb_info info;
	struct buf out;
	const json_t *json;
	struct err err = { 0 };

	buf_init(&out, REPORT_MAX);
	CHECK(rdb_read_bytes(bytes, size, "input", &(struct rdb_visitor){ report, rdb_report_key, NULL }, &info,
	                     &err) == RC_OK,
	      "%s", err.msg);
	rdb_report_write(report, &info, &out);
	CHECK(!out.is_over, "a report of more than %d bytes", REPORT_MAX);
	CHECK(json_read(buf_text(&out), out.len, a, &json, &err) == RC_OK, "%s: %s", err.msg, buf_text(&out));
	buf_fini(&out);
	rdb_report_free(report);
}

/* Cut off anywhere, or with one bit changed behind the heading: refused. */
static void check_damage(const uint8_t *bytes, size_t size, const struct rdb_info *info, struct rng *r)
{
	struct told t = { 0 };
	uint8_t *copy = (uint8_t *)mem_dup_n((const char *)bytes, size);
	size_t cut = rng_below(r, size);

	CHECK(read_bytes(copy, cut, &t, NULL) != RC_OK, "cut to %zu of %zu bytes", cut, size);
	if (info->checksum == RDB_CHECKSUM_GOOD) {
		size_t at = HEADING + rng_below(r, size - HEADING - SUM_SIZE);
		t = (struct told){ 0 };
		copy[at] ^= (uint8_t)(1u << rng_below(r, 8));
		CHECK(read_bytes(copy, size, &t, NULL) != RC_OK, "byte %zu changed", at);
	}
	mem_free(copy);
}

static void check_give_up(const uint8_t *bytes, size_t size, uint64_t n_keys, struct rng *r)
{
	struct told t = { .give_up_at = 1 + rng_below(r, n_keys) };

	CHECK(read_bytes(bytes, size, &t, NULL) == RC_CONFLICT, "the reading went on");
	CHECK(t.n == t.give_up_at, "%llu keys", (unsigned long long)t.n);
}

static void check_bytes(const uint8_t *bytes, size_t size, struct rng *r)
{
	struct told t = { 0 };
	struct rdb_info info = { .version = 42 };
	enum rc rc = read_bytes(bytes, size, &t, &info);

	if (rng_below(r, 4) == 0)
		check_file(bytes, size, rc, &t);
	if (rc != RC_OK) {
		CHECK(info.version == 42 && info.n_keys == 0, "output touched");
		return;
	}
	CHECK(info.version >= 1 && info.version <= RDB_VERSION_MAX, "version %d", info.version);
	CHECK(info.n_keys == t.n && info.file_size == size, "%llu keys of %llu", (unsigned long long)t.n,
	      (unsigned long long)info.n_keys);
	CHECK(t.end <= size, "keys end at %llu of %zu", (unsigned long long)t.end, size);
	CHECK(info.redis_version[sizeof info.redis_version - 1] == '\0', "version's text has no end");
	check_report(bytes, size, r);
	check_damage(bytes, size, &info, r);
	if (t.n)
		check_give_up(bytes, size, t.n, r);
}

/* The last eight bytes become the checksum of those before. */
static void fix_sum(uint8_t *bytes, size_t size)
{
	static struct crc64 crc;

	if (!crc.table[0][1])
		crc64_init(&crc);
	uint64_t sum = crc64_add(&crc, 0, bytes, size - SUM_SIZE);
	for (size_t i = 0; i < SUM_SIZE; i++)
		bytes[size - SUM_SIZE + i] = (uint8_t)(sum >> 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng r;

	fuzz_chance(&r, data, size);
	check_bytes(data, size, &r);
	if (size > HEADING + SUM_SIZE) {
		uint8_t *copy = (uint8_t *)mem_dup_n((const char *)data, size);
		fix_sum(copy, size);
		check_bytes(copy, size, &r);
		mem_free(copy);
	}
	return 0;
}
