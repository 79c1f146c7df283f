/*
 * Two sources of files: ones put together here byte by byte (old versions, every kind of value, damage), whose checksum
 * comes from a bit-by-bit CRC that shares nothing with the module's; and ones that a real redis-server writes, where
 * every number is compared with what that server answers. Without redis-server the second half says "skipped".
 */
#include "rdb/rdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "base/rand.h"
#include "json/json.h"
#include "os/calls.h"
#include "os/file.h"
#include "os/proc.h"
#include "rdb/heavy.h"
#include "rdb/report.h"
#include "test.h"

static char dir[PATH_MAX];

/* ---- putting files together ---- */

static void add_n(struct buf *b, uint64_t v, size_t n) /* little endian */
{
	for (size_t i = 0; i < n; i++)
		buf_addc(b, (char)(i < 8 ? v >> 8 * i : 0));
}

static void add_be(struct buf *b, uint64_t v, size_t n)
{
	for (size_t i = n; i--;)
		buf_addc(b, (char)(v >> 8 * i));
}

static void add_len(struct buf *b, uint64_t v)
{
	if (v < 64) {
		buf_addc(b, (char)v);
	} else if (v < 16384) {
		add_be(b, v | 0x4000, 2);
	} else if (v <= UINT32_MAX) {
		buf_addc(b, (char)0x80);
		add_be(b, v, 4);
	} else {
		buf_addc(b, (char)0x81);
		add_be(b, v, 8);
	}
}

static void add_text_n(struct buf *b, const void *bytes, size_t len)
{
	add_len(b, len);
	buf_add(b, bytes, len);
}

static void add_text(struct buf *b, const char *text) { add_text_n(b, text, strlen(text)); }

static uint64_t slow_crc(const char *bytes, size_t len)
{
	uint64_t crc = 0;
	for (size_t i = 0; i < len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			unsigned in = (unsigned)((unsigned char)bytes[i] >> bit & 1) ^ (unsigned)(crc & 1);
			crc >>= 1;
			if (in)
				crc ^= UINT64_C(0x95ac9329ac4bc9b5);
		}
	return crc;
}

static void begin(struct buf *b, int version)
{
	buf_init(b, 1 << 26);
	buf_addf(b, "REDIS%04d", version);
}

static void end_at(struct buf *b, int version, bool is_summed)
{
	buf_addc(b, (char)0xff);
	if (version >= 5)
		add_n(b, is_summed ? slow_crc(b->bytes, b->len) : 0, 8);
}

static void add_key(struct buf *b, int type, const char *name)
{
	buf_addc(b, (char)type);
	add_text(b, name);
}

/* A listpack of small strings and numbers: a text of digits becomes a number. n_says < 0: the true count. */
static void add_listpack(struct buf *b, const char *const *items, int n, int n_says)
{
	struct buf lp;
	buf_init(&lp, 1 << 20);
	for (int i = 0; i < n; i++) {
		int64_t v;
		size_t before = lp.len, len = strlen(items[i]);
		if (num_i64(items[i], &v) && v >= 0 && v < 128) {
			buf_addc(&lp, (char)v);
		} else if (num_i64(items[i], &v)) {
			buf_addc(&lp, (char)0xf4);
			add_n(&lp, (uint64_t)v, 8);
		} else if (len < 64) {
			buf_addc(&lp, (char)(0x80 | len));
			buf_adds(&lp, items[i]);
		} else {
			add_be(&lp, 0xe000 | len, 2);
			buf_adds(&lp, items[i]);
		}
		size_t size = lp.len - before;
		if (size > 127)
			buf_addc(&lp, (char)(size >> 7));
		buf_addc(&lp, (char)(size > 127 ? (size & 127) | 128 : size));
	}
	buf_addc(&lp, (char)0xff);
	add_len(b, lp.len + 6);
	add_n(b, lp.len + 6, 4);
	add_n(b, (uint64_t)(n_says < 0 ? n : n_says), 2);
	buf_add(b, lp.bytes, lp.len);
	buf_fini(&lp);
}

static void add_ziplist(struct buf *b, const char *const *items, int n)
{
	struct buf zl;
	size_t before = 0, tail = 10;
	buf_init(&zl, 1 << 20);
	for (int i = 0; i < n; i++) {
		int64_t v;
		size_t at = zl.len, len = strlen(items[i]);
		if (before < 254) {
			buf_addc(&zl, (char)before);
		} else {
			buf_addc(&zl, (char)254);
			add_n(&zl, before, 4);
		}
		if (num_i64(items[i], &v) && v >= 0 && v <= 12) {
			buf_addc(&zl, (char)(0xf1 + v));
		} else if (num_i64(items[i], &v)) {
			int width = v == (int8_t)v                   ? 1
			            : v == (int16_t)v                ? 2
			            : v < 1 << 23 && v >= -(1 << 23) ? 3
			            : v == (int32_t)v                ? 4
			                                             : 8;
			const unsigned char code[9] = { 0, 0xfe, 0xc0, 0xf0, 0xd0, 0, 0, 0, 0xe0 };
			buf_addc(&zl, (char)code[width]);
			add_n(&zl, (uint64_t)v, (size_t)width);
		} else if (len < 64) {
			buf_addc(&zl, (char)len);
			buf_adds(&zl, items[i]);
		} else {
			add_be(&zl, 0x4000 | len, 2);
			buf_adds(&zl, items[i]);
		}
		tail = 10 + at;
		before = zl.len - at;
	}
	buf_addc(&zl, (char)0xff);
	add_len(b, zl.len + 10);
	add_n(b, zl.len + 10, 4);
	add_n(b, tail, 4);
	add_n(b, (uint64_t)n, 2);
	buf_add(b, zl.bytes, zl.len);
	buf_fini(&zl);
}

static void add_intset(struct buf *b, const int64_t *v, size_t n, size_t width)
{
	add_len(b, 8 + n * width);
	add_n(b, width, 4);
	add_n(b, n, 4);
	for (size_t i = 0; i < n; i++)
		add_n(b, (uint64_t)v[i], width);
}

/* ---- what a reading told ---- */

enum { KEYS_MAX = 4096 };

struct told {
	int n;
	struct rdb_key key[KEYS_MAX];
	char name[KEYS_MAX][64];
	int fail_at; /* refuse the key of this number; -1 none */
	uint64_t n_progress, last_done;
};

static enum rc on_key(void *ctx, const struct rdb_key *k, struct err *err)
{
	struct told *t = ctx;
	must(k->name_kept == (k->name_len < RDB_NAME_MAX ? k->name_len : RDB_NAME_MAX));
	if (t->n == t->fail_at)
		return err_set(err, RC_DENIED, "enough of it");
	if (t->n < KEYS_MAX) {
		size_t n = k->name_kept < 63 ? k->name_kept : 63;
		t->key[t->n] = *k;
		t->key[t->n].name = NULL;
		memcpy(t->name[t->n], k->name, n);
		t->name[t->n][n] = '\0';
	}
	t->n++;
	return RC_OK;
}

static enum rc on_progress(void *ctx, uint64_t done, uint64_t size, struct err *err)
{
	struct told *t = ctx;
	(void)err;
	must(done <= size && done >= t->last_done);
	t->last_done = done;
	t->n_progress++;
	return RC_OK;
}

static struct told told;

static enum rc read_bytes(const struct buf *b, struct rdb_info *info, struct err *err)
{
	struct rdb_visitor v = { &told, on_key, on_progress };
	told.n = 0;
	told.fail_at = -1;
	told.last_done = told.n_progress = 0;
	/* A copy of exactly this size, so that the sanitizer sees a byte too far. */
	char *copy = mem_dup_n(b->bytes, b->len);
	char *exact = mem_alloc(b->len ? b->len : 1);
	memcpy(exact, copy, b->len);
	mem_free(copy);
	enum rc rc = rdb_read_bytes(exact, b->len, "test.rdb", &v, info, err);
	mem_free(exact);
	return rc;
}

static const struct rdb_key *find(const char *name)
{
	static const struct rdb_key none = { .n_elements = UINT64_MAX };
	for (int i = 0; i < told.n && i < KEYS_MAX; i++)
		if (strcmp(told.name[i], name) == 0)
			return &told.key[i];
	return &none;
}

/* ---- one file with one of everything ---- */

static const char long_text[] =
        "a text of more than sixty-three characters, so that its length takes two bytes in a listpack";

static void add_stream(struct buf *b, int version)
{
	static const char *const entry[] = { "1", "0", "1", "field", "0", "2", "0", "0", "value", "4" };
	add_len(b, 1);
	add_text_n(b, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1", 16);
	add_listpack(b, entry, 10, -1);
	for (int i = 0; i < (version >= 2 ? 8 : 3); i++) /* length, last id, and since 2 first, deleted, added */
		add_len(b, 1);
	add_len(b, 1); /* groups */
	add_text(b, "group");
	for (int i = 0; i < (version >= 2 ? 3 : 2); i++)
		add_len(b, 1);
	add_len(b, 1); /* pending */
	add_n(b, 1, 16);
	add_n(b, 1, 8);
	add_len(b, 2);
	add_len(b, 2); /* consumers */
	for (int i = 0; i < 2; i++) {
		add_text(b, i ? "second" : "first");
		add_n(b, 1, version >= 3 ? 16 : 8);
		add_len(b, (uint64_t)!i);
		if (!i)
			add_n(b, 1, 16);
	}
}

static void add_module_fields(struct buf *b)
{
	add_len(b, 1), add_len(b, 7);
	add_len(b, 2), add_len(b, 1000);
	add_len(b, 3), add_n(b, 0, 4);
	add_len(b, 4), add_n(b, 0, 8);
	add_len(b, 5), add_text(b, "of a module");
	add_len(b, 0);
}

static void add_simple_values(struct buf *b)
{
	add_key(b, 0, "embstr"), add_text(b, "short");
	add_key(b, 0, "raw"), add_text(b, long_text);
	add_key(b, 0, "int8"), buf_add(b, "\xc0\xff", 2);
	add_key(b, 0, "int16"), buf_add(b, "\xc1\x00\x80", 3);
	add_key(b, 0, "int32"), buf_add(b, "\xc2\xff\xff\xff\x7f", 5);
	add_key(b, 0, "int64"), add_text(b, "-9223372036854775808");
	add_key(b, 0, "notint"), add_text(b, "007");
	add_key(b, 0, "lzf"), buf_add(b, "\xc3\x05\x0b\x00x\xe0\x01\x00", 8);
	buf_addc(b, 0), buf_add(b, "\xc0\x2a", 2), add_text(b, "its name is a number");
	add_key(b, 1, "list"), add_len(b, 2), add_text(b, "one"), add_text(b, "three");
	add_key(b, 2, "set"), add_len(b, 2), add_text(b, "one"), buf_add(b, "\xc0\x0c", 2);
	add_key(b, 3, "zset"), add_len(b, 4), add_text(b, "m"),
	        buf_add(b,
	                "\x03"
	                "1.5",
	                4);
	for (int i = 253; i <= 255; i++)
		add_text(b, "member"), buf_addc(b, (char)i);
	add_key(b, 4, "hash"), add_len(b, 1), add_text(b, "field"), add_text(b, "the value");
	add_key(b, 5, "zset2"), add_len(b, 1), add_text(b, "member"), add_n(b, 0, 8);
	add_key(b, 24, "hashex"), add_n(b, 1, 8), add_len(b, 1), add_len(b, 0), add_text(b, "f"), add_text(b, "vvv");
	add_key(b, 7, "module"), add_len(b, UINT64_C(0x8180000000000001)), add_module_fields(b);
}

static void add_packed_values(struct buf *b)
{
	static const char *const items[] = { "0", "12", "-1", "300", "-70000", "7000000000", "text", long_text };
	static const char *const triples[] = { "f", "value", "1700000000000" };
	static const int64_t numbers[] = { -32768, 0, 5 };

	add_key(b, 9, "zipmap"), add_text_n(b,
	                                    "\x02\x01"
	                                    "f\x03\x02"
	                                    "one--\x02"
	                                    "gg\x00\x00\xff",
	                                    16);
	add_key(b, 10, "ziplist"), add_ziplist(b, items, 8);
	add_key(b, 11, "intset"), add_intset(b, numbers, 3, 2);
	add_key(b, 12, "zsetzl"), add_ziplist(b, items, 8);
	add_key(b, 13, "hashzl"), add_ziplist(b, items, 8);
	add_key(b, 14, "quick1"), add_len(b, 2), add_ziplist(b, items, 8), add_ziplist(b, items, 3);
	add_key(b, 16, "hashlp"), add_listpack(b, items, 8, -1);
	add_key(b, 17, "zsetlp"), add_listpack(b, items, 2, 65535);
	add_key(b, 18, "quick2"), add_len(b, 2), add_len(b, 2), add_listpack(b, items, 8, -1), add_len(b, 1),
	        add_text(b, "plain");
	add_key(b, 20, "setlp"), add_listpack(b, items, 7, -1);
	add_key(b, 25, "hashlpex"), add_n(b, 1, 8), add_listpack(b, triples, 3, -1);
	add_key(b, 15, "stream1"), add_stream(b, 1);
	add_key(b, 19, "stream2"), add_stream(b, 2);
	add_key(b, 21, "stream3"), add_stream(b, 3);
}

static void everything(struct buf *b, int version, bool is_summed)
{
	begin(b, version);
	buf_addc(b, (char)250), add_text(b, "redis-ver"), add_text(b, "7.0.15");
	buf_addc(b, (char)250), add_text(b, "redis-bits"), buf_add(b, "\xc0\x40", 2);
	buf_addc(b, (char)250), add_text(b, "ctime"), buf_add(b, "\xc2\x00\x00\x00\x60", 5);
	buf_addc(b, (char)250), add_text(b, "used-mem"), buf_add(b, "\xc2\x00\x00\x10\x00", 5);
	buf_addc(b, (char)245), add_text(b, "#!lua name=mylib\n");
	buf_addc(b, (char)247), add_len(b, UINT64_C(0x8180000000000001)), add_len(b, 2), add_len(b, 1),
	        add_module_fields(b);
	buf_addc(b, (char)254), add_len(b, 0);
	buf_addc(b, (char)251), add_len(b, 20), add_len(b, 2);
	add_simple_values(b);
	buf_addc(b, (char)254), add_len(b, 300);
	buf_addc(b, (char)244), add_len(b, 1), add_len(b, 2), add_len(b, 0);
	add_packed_values(b);
	buf_addc(b, (char)253), add_n(b, 1000000000, 4);
	add_key(b, 0, "in seconds"), add_text(b, "v");
	buf_addc(b, (char)252), add_n(b, UINT64_C(1700000000123), 8);
	buf_addc(b, (char)248), add_len(b, 86400);
	buf_addc(b, (char)249), buf_addc(b, (char)200);
	add_key(b, 0, "in ms"), add_text(b, "v");
	end_at(b, version, is_summed);
}

TEST(every_kind_of_value_is_counted)
{
	static const struct row {
		const char *name;
		enum rdb_type type;
		enum rdb_encoding encoding;
		uint64_t n, longest;
	} row[] = {
		{ "embstr", RDB_STRING, RDB_ENC_EMBSTR, 1, 5 },
		{ "raw", RDB_STRING, RDB_ENC_RAW, 1, sizeof long_text - 1 },
		{ "int8", RDB_STRING, RDB_ENC_INT, 1, 2 },
		{ "int16", RDB_STRING, RDB_ENC_INT, 1, 6 },
		{ "int32", RDB_STRING, RDB_ENC_INT, 1, 10 },
		{ "int64", RDB_STRING, RDB_ENC_INT, 1, 20 },
		{ "notint", RDB_STRING, RDB_ENC_EMBSTR, 1, 3 },
		{ "lzf", RDB_STRING, RDB_ENC_EMBSTR, 1, 11 },
		{ "42", RDB_STRING, RDB_ENC_EMBSTR, 1, 20 },
		{ "list", RDB_LIST, RDB_ENC_LINKEDLIST, 2, 5 },
		{ "set", RDB_SET, RDB_ENC_HASHTABLE, 2, 3 },
		{ "zset", RDB_ZSET, RDB_ENC_SKIPLIST, 4, 6 },
		{ "hash", RDB_HASH, RDB_ENC_HASHTABLE, 1, 9 },
		{ "zset2", RDB_ZSET, RDB_ENC_SKIPLIST, 1, 6 },
		{ "hashex", RDB_HASH, RDB_ENC_HASHTABLE, 1, 3 },
		{ "module", RDB_MODULE, RDB_ENC_MODULE, 5, 11 },
		{ "zipmap", RDB_HASH, RDB_ENC_ZIPMAP, 2, 3 },
		{ "ziplist", RDB_LIST, RDB_ENC_ZIPLIST, 8, sizeof long_text - 1 },
		{ "intset", RDB_SET, RDB_ENC_INTSET, 3, 6 },
		{ "zsetzl", RDB_ZSET, RDB_ENC_ZIPLIST, 4, 6 },
		{ "hashzl", RDB_HASH, RDB_ENC_ZIPLIST, 4, sizeof long_text - 1 },
		{ "quick1", RDB_LIST, RDB_ENC_QUICKLIST, 11, sizeof long_text - 1 },
		{ "hashlp", RDB_HASH, RDB_ENC_LISTPACK, 4, sizeof long_text - 1 },
		{ "zsetlp", RDB_ZSET, RDB_ENC_LISTPACK, 1, 1 },
		{ "quick2", RDB_LIST, RDB_ENC_QUICKLIST, 9, sizeof long_text - 1 },
		{ "setlp", RDB_SET, RDB_ENC_LISTPACK, 7, 10 },
		{ "hashlpex", RDB_HASH, RDB_ENC_LISTPACK, 1, 5 },
		{ "stream1", RDB_STREAM, RDB_ENC_STREAM, 1, 5 },
		{ "stream2", RDB_STREAM, RDB_ENC_STREAM, 1, 5 },
		{ "stream3", RDB_STREAM, RDB_ENC_STREAM, 1, 5 },
	};
	for (int version = 1; version <= RDB_VERSION_MAX; version++) {
		struct buf b;
		struct err e = { 0 };
		struct rdb_info info;
		everything(&b, version, version != 7);
		EXPECT(read_bytes(&b, &info, &e) == RC_OK, "version %d: %s", version, e.msg);
		EXPECT(told.n == (int)(sizeof row / sizeof row[0]) + 2, "version %d: %d keys", version, told.n);
		FOR_EACH_ROW (i, row) {
			const struct rdb_key *k = find(row[i].name);
			EXPECT(k->type == row[i].type && k->encoding == row[i].encoding, "%s: %d %d", row[i].name,
			       k->type, k->encoding);
			EXPECT(k->n_elements == row[i].n, "%s: %llu", row[i].name, (unsigned long long)k->n_elements);
			EXPECT(k->longest_size == row[i].longest, "%s: %llu", row[i].name,
			       (unsigned long long)k->longest_size);
			EXPECT(k->memory_size > k->name_len && k->file_size > k->name_len, "%s", row[i].name);
		}
		EXPECT(info.version == version && info.n_keys == (uint64_t)told.n && info.file_size == b.len,
		       "version %d", version);
		EXPECT(info.checksum == (version < 5    ? RDB_CHECKSUM_ABSENT
		                         : version == 7 ? RDB_CHECKSUM_OFF
		                                        : RDB_CHECKSUM_GOOD),
		       "version %d: %d", version, info.checksum);
		EXPECT(strcmp(info.redis_version, "7.0.15") == 0 && info.bits == 64 && info.n_functions == 1 &&
		               info.created_s == 0x60000000 && info.used_memory_size == 0x100000 &&
		               info.n_functions == 1 && info.n_module_aux == 1,
		       "aux");
		buf_fini(&b);
	}
}

TEST(marks_belong_to_the_next_key)
{
	struct buf b;
	struct err e = { 0 };
	everything(&b, 10, true);
	EXPECT(read_bytes(&b, NULL, &e) == RC_OK, "%s", e.msg);
	const struct rdb_key *s = find("in seconds"), *ms = find("in ms"), *plain = find("embstr"),
	                     *st = find("stream3");
	EXPECT(s->has_expiry && s->expires_at_ms == INT64_C(1000000000000) && s->freq == -1, "seconds");
	EXPECT(ms->has_expiry && ms->expires_at_ms == INT64_C(1700000000123) && ms->idle_s == 86400 && ms->freq == 200,
	       "ms");
	EXPECT(ms->offset + ms->file_size == b.len - 9, "the last record ends before the end mark");
	EXPECT(s->offset + s->file_size == ms->offset, "records touch");
	EXPECT(!plain->has_expiry && plain->idle_s == -1 && plain->freq == -1 && plain->db == 0 && ms->db == 300,
	       "plain");
	EXPECT(st->n_groups == 1 && st->n_consumers == 2 && st->n_pending == 1, "stream");
	EXPECT(strlen(find("module")->module) == 9 && find("lzf")->is_compressed && !plain->is_compressed,
	       "module, lzf");
	buf_fini(&b);
}

TEST(an_empty_file_of_a_server)
{
	struct buf b;
	struct err e = { 0 };
	struct rdb_info info;
	begin(&b, 9);
	end_at(&b, 9, true);
	EXPECT(read_bytes(&b, &info, &e) == RC_OK && told.n == 0 && info.n_keys == 0, "%s", e.msg);
	EXPECT(info.bits == -1 && info.created_s == -1 && !*info.redis_version, "nothing said");
	buf_fini(&b);
}

/* ---- refusals ---- */

#define BYTES(text) text, sizeof(text) - 1

TEST(refusals_say_what_and_where)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum rc rc;
		const char *says;
	} row[] = {
		{ BYTES(""), RC_CORRUPT, "byte 0: it is empty" },
		{ BYTES("REDIS00"), RC_CORRUPT, "byte 0: cut off" },
		{ BYTES("hello world"), RC_INVALID, "not an RDB file" },
		{ BYTES("VALKEY080\xff"), RC_INVALID, "Valkey" },
		{ BYTES("REDIS00x1\xff"), RC_CORRUPT, "no version" },
		{ BYTES("REDIS0000\xff"), RC_CORRUPT, "no version" },
		{ BYTES("REDIS0013\xff"), RC_INVALID, "version 13 is newer than 12" },
		{ BYTES("REDIS0003\x63"), RC_CORRUPT, "byte 9: 99 is no type" },
		{ BYTES("REDIS0003\x06\x01k"), RC_INVALID, "module" },
		{ BYTES("REDIS0010\x16\x01k"), RC_INVALID, "Valkey 9" },
		{ BYTES("REDIS0003\xf6\x01k"), RC_INVALID, "functions" },
		{ BYTES("REDIS0003\xff"
		        "more"),
		  RC_CORRUPT, "byte 10: 4 bytes follow" },
		{ BYTES("REDIS0009\xff\1\2\3\4\5\6\7\x08"), RC_CORRUPT, "the checksum is 0807060504030201" },
		{ BYTES("REDIS0003\xfe\x81\0\0\0\1\0\0\0\0"), RC_CORRUPT, "no number of a database" },
		{ BYTES("REDIS0003\xfe\xc0\1"), RC_CORRUPT, "a number is expected" },
		{ BYTES("REDIS0003\xfe\x82"), RC_CORRUPT, "begins no length" },
		{ BYTES("REDIS0003\xfd\0\0\0\0\xff"), RC_CORRUPT, "not followed by its key" },
		{ BYTES("REDIS0003\0\1k\x81\xff\xff\xff\xff\xff\xff\xff\xff"), RC_CORRUPT,
		  "a string of 18446744073709551615" },
		{ BYTES("REDIS0003\0\1k\xc5"), RC_CORRUPT, "5 is no kind of string" },
		{ BYTES("REDIS0003\0\1k\xc3\x03\x81\0\1\0\0\0\0\0\0xyz"), RC_CORRUPT,
		  "3 compressed bytes cannot give" },
		{ BYTES("REDIS0003\0\1k\xc3\x80\x7f\0\0\0\x05xyz"), RC_CORRUPT, "compressed bytes should follow" },
		{ BYTES("REDIS0003\4\1k\x81\x7f\0\0\0\0\0\0\0\xff"), RC_CORRUPT, "elements do not fit" },
		{ BYTES("REDIS0003\x0b\1k\xc0\7"), RC_CORRUPT, "a number stands where packed" },
		{ BYTES("REDIS0003\x0b\1k\x0c\3\0\0\0\1\0\0\0\1\0\0\0"), RC_CORRUPT, "cannot be 3 bytes wide" },
		{ BYTES("REDIS0003\x0b\1k\x0c\4\0\0\0\xff\xff\xff\xff\1\0\0\0"), RC_CORRUPT,
		  "intset: 4294967295 numbers" },
		{ BYTES("REDIS0003\x0d\1k\x0c\x0c\0\0\0\x0a\0\0\0\1\0\0\x05"), RC_CORRUPT,
		  "packed elements end too early" },
		{ BYTES("REDIS0003\x0d\1k\x0b\xff\0\0\0\x0a\0\0\0\0\0\xff"), RC_CORRUPT,
		  "it says 255 bytes and has 11" },
		{ BYTES("REDIS0003\x0d\1k\x0b\x0b\0\0\0\x0a\0\0\0\1\0\xff"), RC_CORRUPT, "heading fits not" },
		{ BYTES("REDIS0003\x0d\1k\x0d\x0d\0\0\0\x0a\0\0\0\1\0\0\xf1\xff"), RC_CORRUPT,
		  "do not come in groups of 2" },
		{ BYTES("REDIS0003\x0d\1k\x0d\x0d\0\0\0\x0a\0\0\0\1\0\7\xf1\xff"), RC_CORRUPT,
		  "says that 7 bytes are before" },
		{ BYTES("REDIS0003\x10\1k\x09\x09\0\0\0\1\0\x05\x02\xff"), RC_CORRUPT, "backward length" },
		{ BYTES("REDIS0003\x10\1k\x09\x09\0\0\0\2\0\x05\x01\xff"), RC_CORRUPT, "says 2 elements and has 1" },
		{ BYTES("REDIS0003\x10\1k\x09\x09\0\0\0\1\0\xf7\x01\xff"), RC_CORRUPT, "0xf7 begins no element" },
		{ BYTES("REDIS0003\x10\1k\x09\x09\0\0\0\0\0\xff\x01\xff"), RC_CORRUPT, "2 bytes follow the packed" },
		{ BYTES("REDIS0003\x09\1k\x04\1\1f\xff"), RC_CORRUPT, "a field has no value" },
		{ BYTES("REDIS0003\x12\1k\1\3\1x"), RC_CORRUPT, "3 is no form of a list's block" },
		{ BYTES("REDIS0003\x07\1k\1\x09"), RC_CORRUPT, "9 is no kind of a module's field" },
		{ BYTES("REDIS0003\xf7\1\3"), RC_CORRUPT, "when it is to be loaded" },
		/* packed strings that lie: before the begin, too long, too short, in the middle of an instruction */
		{ BYTES("REDIS0003\0\xc3\x02\x04\x40\x09"), RC_CORRUPT, "before its begin" },
		{ BYTES("REDIS0003\0\xc3\x04\x04\x00x\x20\x01"), RC_CORRUPT, "before its begin" }, /* by one */
		{ BYTES("REDIS0009\x0f\1k\0\0\0\0\1\1g\0\0\0\1\1c"
		        "12345678\1"
		        "1234567812345678"),
		  RC_CORRUPT, "has 0 pending entries, its consumers 1" },
		{ BYTES("REDIS0003\0\xc3\x03\x01\x01xy"), RC_CORRUPT, "longer than it says" },
		{ BYTES("REDIS0003\0\xc3\x04\x02\x00x\xe0\x01\x00"), RC_CORRUPT, "ends inside an instruction" },
		{ BYTES("REDIS0003\0\xc3\x04\x01\x00x\x00y"), RC_CORRUPT, "2 bytes follow a compressed string" },
	};
	FOR_EACH_ROW (i, row) {
		struct rdb_visitor v = { &told, on_key, NULL };
		struct rdb_info info = { .version = 77 };
		struct err e = { 0 };
		told.n = 0, told.fail_at = -1;
		enum rc rc = rdb_read_bytes(row[i].bytes, row[i].len, "x.rdb", &v, &info, &e);
		EXPECT(rc == row[i].rc && e.rc == rc, "%zu: %s: %s", i, rc_name(rc), e.msg);
		EXPECT(strstr(e.msg, row[i].says) && strncmp(e.msg, "x.rdb: ", 7) == 0, "%zu: said '%s', not '%s'", i,
		       e.msg, row[i].says);
		EXPECT(info.version == 77, "%zu: output touched", i);
	}
}

TEST(files_that_are_none)
{
	struct rdb_visitor v = { &told, on_key, NULL };
	struct err e = { 0 };
	char path[PATH_MAX];
	EXPECT(path_join(path, dir, "absent", NULL) == RC_OK, "path");
	EXPECT(rdb_read(path, &v, NULL, &e) == RC_NOT_FOUND && strstr(e.msg, "absent"), "%s", e.msg);
	EXPECT(rdb_read(dir, &v, NULL, &e) == RC_INVALID && strstr(e.msg, "not a regular file"), "%s", e.msg);
}

TEST(a_callback_ends_the_reading)
{
	struct rdb_visitor v = { &told, on_key, NULL };
	struct err e = { 0 };
	struct buf b;
	everything(&b, 10, true);
	told.n = 0, told.fail_at = 3;
	EXPECT(rdb_read_bytes(b.bytes, b.len, "x", &v, NULL, &e) == RC_DENIED && told.n == 3, "%s", e.msg);
	EXPECT(strcmp(e.msg, "enough of it") == 0, "%s", e.msg);
	buf_fini(&b);
}

/* ---- damage ---- */

static void cut_everywhere(const struct buf *whole)
{
	for (size_t len = 0; len < whole->len; len++) {
		struct buf b = { .bytes = whole->bytes, .len = len };
		struct err e = { 0 };
		EXPECT(read_bytes(&b, NULL, &e) == RC_CORRUPT, "%zu bytes: %s", len, e.msg);
	}
}

static void flip_everywhere(struct buf *b, bool is_summed)
{
	static const unsigned char masks[] = { 0x01, 0x80, 0xff };
	for (size_t at = 0; at < b->len; at++)
		FOR_EACH_ROW (m, masks) {
			struct err e = { 0 };
			b->bytes[at] = (char)(b->bytes[at] ^ masks[m]);
			enum rc rc = read_bytes(b, NULL, &e);
			b->bytes[at] = (char)(b->bytes[at] ^ masks[m]);
			EXPECT(rc == RC_CORRUPT || rc == RC_INVALID || (rc == RC_OK && !is_summed), "byte %zu: %s %s",
			       at, rc_name(rc), e.msg);
		}
}

TEST(cut_at_every_byte)
{
	for (int version = 3; version <= 10; version += 7) {
		struct buf b;
		everything(&b, version, true);
		cut_everywhere(&b);
		buf_fini(&b);
	}
}

TEST(every_byte_flipped)
{
	for (int is_summed = 0; is_summed < 2; is_summed++) {
		struct buf b;
		everything(&b, 10, is_summed);
		flip_everywhere(&b, is_summed);
		buf_fini(&b);
	}
}

static void mutate(struct rng *r, struct buf *b)
{
	static const char nasty[][9] = {
		"\x80\xff\xff\xff\xff", "\x81\x7f\xff\xff\xff\xff\xff\xff", "\xc3\x01\x40", "\xff", "\xfe",
		"\xf0\xff\xff\xff\xff"
	};
	size_t at = rng_below(r, b->len), n;
	switch (rng_below(r, 4)) {
	case 0:
		b->bytes[at] = (char)rng_u64(r);
		return;
	case 1: /* move a piece */
		n = rng_below(r, b->len - at);
		memmove(b->bytes + rng_below(r, b->len - n), b->bytes + at, n);
		return;
	case 2:
		n = rng_below(r, sizeof nasty / sizeof nasty[0]);
		memcpy(b->bytes + at, nasty[n], b->len - at < 5 ? b->len - at : 5);
		return;
	default:
		b->len -= rng_below(r, b->len < 16 ? 1 : 8);
	}
}

static void mutate_many(const struct buf *whole, uint64_t seed, int n)
{
	struct rng r;
	rng_init(&r, seed);
	for (int i = 0; i < n; i++) {
		struct buf b;
		struct err e = { 0 };
		buf_init(&b, whole->len + 1);
		buf_add(&b, whole->bytes, whole->len);
		for (uint64_t k = 1 + rng_below(&r, 4); k--;)
			mutate(&r, &b);
		enum rc rc = read_bytes(&b, NULL, &e);
		EXPECT(rc == RC_OK || rc == RC_CORRUPT || rc == RC_INVALID, "round %d: %s", i, e.msg);
		buf_fini(&b);
	}
}

TEST(mutations_end_in_an_answer)
{
	struct buf b;
	everything(&b, 10, false);
	mutate_many(&b, 20261122, 3000);
	buf_fini(&b);
}

/* A length that is a multiple of nothing, values on both sides of the window's edges. */
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t dripping_read(int fd, void *p, size_t n)
{
	static unsigned turn;
	if (++turn % 5 == 0) {
		errno = EINTR;
		return -1;
	}
	return real_read(fd, p, n < 1 + turn % 97 ? n : 1 + turn % 97);
}

static ssize_t failing_read(int fd, void *p, size_t n)
{
	(void)fd, (void)p, (void)n;
	errno = EIO;
	return -1;
}

TEST(reading_in_drips_gives_the_same)
{
	char path[PATH_MAX];
	struct rdb_visitor v = { &told, on_key, on_progress };
	struct err e = { 0 };
	struct buf b;
	begin(&b, 9);
	for (int i = 0; i < 700; i++) {
		char name[32], value[900];
		(void)snprintf(name, sizeof name, "key:%d", i);
		memset(value, 'v', sizeof value);
		add_key(&b, 0, name);
		add_text_n(&b, value, (size_t)i);
	}
	end_at(&b, 9, true);
	must(path_join(path, dir, "drips.rdb", NULL) == RC_OK);
	must(file_replace(path, b.bytes, b.len, 0600, &e) == RC_OK);
	real_read = os_real.read;
	for (int how = 0; how < 3; how++) {
		told.n = 0, told.fail_at = -1, told.last_done = told.n_progress = 0;
		os.read = how == 2 ? failing_read : how ? dripping_read : os_real.read;
		enum rc rc = rdb_read(path, &v, NULL, &e);
		os.read = os_real.read;
		EXPECT(rc == (how == 2 ? RC_IO : RC_OK), "%d: %s", how, e.msg);
		EXPECT(how == 2 || (told.n == 700 && find("key:699")->longest_size == 699 && told.n_progress), "%d: %d",
		       how, told.n);
	}
	buf_fini(&b);
}

/* ---- the report ---- */

/* ---- the report ---- */

static enum rc tell(struct rdb_report *r, const char *name, enum rdb_type type, uint32_t db, uint64_t memory,
                    uint64_t n, int64_t expires_at_ms)
{
	static uint64_t offset;
	struct rdb_key k = { .name = (const uint8_t *)name,
		             .name_len = strlen(name),
		             .name_kept = strlen(name),
		             .db = db,
		             .type = type,
		             .memory_size = memory,
		             .n_elements = n,
		             .file_size = 10,
		             .idle_s = -1,
		             .freq = -1,
		             .has_expiry = expires_at_ms != 0,
		             .expires_at_ms = expires_at_ms,
		             .offset = offset++ };
	return rdb_report_key(r, &k, NULL);
}

/* A path such as "types.0.keys" into a value. */
static const json_t *at(const json_t *v, const char *path)
{
	char part[64];
	while (v && *path) {
		size_t n = strcspn(path, ".");
		must(n < sizeof part);
		memcpy(part, path, n);
		part[n] = '\0';
		uint64_t i;
		v = json_is_array(v) && num_u64(part, &i) ? json_array_get(v, i) : json_object_get(v, part);
		path += n + (path[n] == '.');
	}
	return v;
}

static const json_t *report_json(const struct rdb_report *r, const struct rdb_info *info, struct arena *a)
{
	const json_t *v = NULL;
	struct err e = { 0 };
	struct buf out;
	buf_init(&out, 1 << 22);
	rdb_report_write(r, info, &out);
	EXPECT(!out.is_over && json_read(out.bytes, out.len, a, &v, &e) == RC_OK, "%s", e.msg);
	buf_fini(&out);
	return v;
}

TEST(a_report_adds_up)
{
	const struct rdb_report_options o = { .now_ms = 1000000, .top_n = 2, .depth = 2, .separator = ':' };
	struct rdb_report *r = rdb_report_new(&o);
	struct rdb_info info = { .version = 10,
		                 .checksum = RDB_CHECKSUM_OFF,
		                 .created_s = 0,
		                 .bits = 64,
		                 .used_memory_size = 5,
		                 .file_size = 99 };
	struct arena *a = arena_new(1 << 22);

	(void)tell(r, "user:1:name", RDB_STRING, 0, 100, 1, 0); /* it cannot fail */
	(void)tell(r, "user:2:name", RDB_STRING, 0, 300, 1, 999999);
	(void)tell(r, "user:3", RDB_STRING, 0, 200, 1, 1000000 + 59999);
	(void)tell(r, "user:4", RDB_STRING, 0, 200, 1, 1000000 + 60000);
	(void)tell(r, "plain\\\x01\xff\xc3\xa9", RDB_LIST, 3, 1000, 7, INT64_MAX);
	(void)tell(r, "none", RDB_LIST, 3, 1, 70, INT64_MIN);
	const json_t *v = report_json(r, &info, a);
	static const struct {
		const char *path;
		int64_t value;
	} number[] = {
		{ "total.keys", 6 },
		{ "total.memoryBytes", 1801 },
		{ "total.elements", 81 },
		{ "total.fileBytes", 60 },
		{ "total.expiringKeys", 5 },
		{ "types.0.keys", 4 },
		{ "types.1.elements", 77 },
		{ "databases.0.db", 0 },
		{ "databases.0.types.0.memoryBytes", 800 },
		{ "databases.1.db", 3 },
		{ "databases.1.types.0.keys", 2 },
		{ "expiry.0.keys", 2 },
		{ "expiry.1.keys", 1 },
		{ "expiry.2.keys", 1 },
		{ "expiry.6.keys", 1 },
		{ "expiry.7.keys", 1 },
		{ "topByMemory.string.0.memoryBytes", 300 },
		{ "topByMemory.string.1.memoryBytes", 200 },
		{ "topByElements.list.0.elements", 70 },
		{ "prefixes.0.memoryBytesAtMost", 800 },
		{ "prefixes.0.memoryBytesAtLeast", 800 },
		{ "prefixes.0.keysAtLeast", 4 },
		{ "prefixes.1.memoryBytesAtMost", 300 },
		{ "withoutPrefix.keys", 2 },
		{ "file.bytes", 99 },
	};
	FOR_EACH_ROW (i, number) {
		const json_t *n = at(v, number[i].path);
		EXPECT(json_is_integer(n) && json_integer_value(n) == number[i].value, "%s: %lld", number[i].path,
		       (long long)json_integer_value(n));
	}
	static const struct {
		const char *path, *value;
	} text[] = {
		{ "types.0.type", "string" },
		{ "databases.1.types.0.type", "list" },
		{ "topByMemory.string.1.name", "user:3" },
		{ "topByMemory.list.0.name", "plain\\\\\\x01\\xff\xc3\xa9" },
		{ "prefixes.0.prefix", "user:" },
		{ "prefixes.1.prefix", "user:2:" },
		{ "file.checksum", "off" },
		{ "file.createdAt", "1970-01-01T00:00:00Z" },
	};
	FOR_EACH_ROW (i, text) {
		const char *s = json_string_value(at(v, text[i].path));
		EXPECT(s && strcmp(s, text[i].value) == 0, "%s: %s", text[i].path, s ? s : "nothing");
	}
	EXPECT(json_array_size(at(v, "topByMemory.string")) == 2 && json_array_size(at(v, "prefixes")) == 2,
	       "two of each");
	rdb_report_free(r);
	arena_free(a);
}

TEST(a_report_stays_small)
{
	const struct rdb_report_options o = { .now_ms = 0, .top_n = 100, .depth = 1, .separator = '/' };
	struct rdb_report *r = rdb_report_new(&o);
	struct rdb_info info = { .version = 10, .created_s = -1, .used_memory_size = -1, .bits = -1 };
	struct arena *a = arena_new(1 << 22);
	uint64_t sum = 0;
	for (int i = 0; i < 20000; i++) {
		char name[64];
		(void)snprintf(name, sizeof name, "%d/x", i % 7000);
		(void)tell(r, name, (enum rdb_type)(i % RDB_TYPES), (uint32_t)(i % 90), (uint64_t)i, 1, 0);
		sum += (uint64_t)i;
	}
	const json_t *v = report_json(r, &info, a);
	EXPECT(json_integer_value(at(v, "total.memoryBytes")) == (int64_t)sum, "sum");
	EXPECT(json_array_size(at(v, "databases")) == RDB_REPORT_DATABASES, "databases");
	int64_t others = 0, in_type = 0;
	for (size_t i = 0; i < RDB_TYPES; i++)
		others += json_integer_value(json_object_get(json_array_get(at(v, "otherDatabases.types"), i), "keys"));
	EXPECT(others == (90 - 64) * (20000 / 90) + (20000 % 90 > 64 ? 20000 % 90 - 64 : 0), "%lld", (long long)others);
	for (size_t i = 0; i + 1 < 100; i++) {
		int64_t x = json_integer_value(
		        json_object_get(json_array_get(at(v, "topByMemory.hash"), i), "memoryBytes"));
		int64_t y = json_integer_value(
		        json_object_get(json_array_get(at(v, "topByMemory.hash"), i + 1), "memoryBytes"));
		in_type += x - y == RDB_TYPES;
	}
	EXPECT(in_type == 99, "the hundred largest in order: %lld", (long long)in_type);
	rdb_report_free(r);
	arena_free(a);
}

/* Against exact counts: no counter breaks its bounds, and no name above the threshold is missing. */
TEST(heavy_names_keep_their_bounds)
{
	enum { NAMES = 500, COUNTERS = 40 };
	static uint64_t truth[NAMES];
	const struct heavy_item *top[COUNTERS];
	uint64_t sum = 0;
	struct rng r;
	struct heavy *h = heavy_new(COUNTERS);
	rng_init(&r, 5);
	for (int i = 0; i < 50000; i++) {
		uint64_t pick = rng_below(&r, NAMES) * rng_below(&r, NAMES) / NAMES * rng_below(&r, NAMES) / NAMES,
		         w = 1 + rng_below(&r, 9);
		char name[16];
		int len = snprintf(name, sizeof name, "n%d", (int)pick);
		heavy_add(h, (const uint8_t *)name, (size_t)len, w);
		truth[pick] += w, sum += w;
	}
	unsigned n = heavy_top(h, top, COUNTERS);
	static bool present[NAMES];
	EXPECT(n == COUNTERS, "%u", n);
	for (unsigned i = 0; i < n; i++) {
		int64_t pick;
		must(num_i64_n((const char *)top[i]->name + 1, top[i]->len - 1, &pick));
		EXPECT(truth[pick] <= top[i]->weight && top[i]->weight - top[i]->error <= truth[pick], "n%d",
		       (int)pick);
		EXPECT(i == 0 || top[i]->weight <= top[i - 1]->weight, "order");
		present[pick] = true;
	}
	for (int i = 0; i < NAMES; i++)
		EXPECT(present[i] || truth[i] <= sum / COUNTERS, "n%d of %llu is missing", i,
		       (unsigned long long)truth[i]);
	heavy_free(h);
}

/* ---- a real server ---- */

static struct server {
	struct proc proc;
	int fd, out;
	char path[PATH_MAX]; /* of its file */
	char in[1 << 16];
	size_t at, end;
} server;

static const char *const server_programs[] = { "/usr/bin/redis-server", "/usr/local/bin/redis-server" };

static const char *server_program(void)
{
	for (size_t i = 0; i < ARRAY_LEN(server_programs); i++)
		if (access(server_programs[i], X_OK) == 0)
			return server_programs[i];
	return NULL;
}

/* Its standard output until the line that says it listens; afterwards nobody reads there, and little is written. */
static bool wait_ready(int out)
{
	char text[8192];
	size_t len = 0;
	while (len + 1 < sizeof text) {
		ssize_t n = read(out, text + len, sizeof text - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, "ready to accept connections at"))
			return true;
	}
	return false;
}

static void server_start(void)
{
	struct err e = { 0 };
	int fds[2];
	char sock[PATH_MAX];
	must(path_join(sock, dir, "s", NULL) == RC_OK && path_join(server.path, dir, "dump.rdb", NULL) == RC_OK);
	must(os.pipe2(fds, O_CLOEXEC) == 0);
	int null_fd = os.open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	const char *const argv[] = { server_program(),
		                     "--port",
		                     "0",
		                     "--unixsocket",
		                     sock,
		                     "--dir",
		                     dir,
		                     "--save",
		                     "",
		                     "--daemonize",
		                     "no",
		                     "--enable-debug-command",
		                     "yes",
		                     "--maxmemory-policy",
		                     "allkeys-lfu",
		                     "--databases",
		                     "64",
		                     NULL };
	const char *const envp[] = { "PATH=/usr/bin:/bin", NULL };
	const int child_fds[] = { null_fd, fds[1], fds[1] };
	const struct proc_spec spec = {
		.argv = argv, .envp = envp, .work_dir = dir, .fds = child_fds, .n_fds = 3, .dies_with_parent = true
	};
	enum rc rc = proc_spawn(&spec, &server.proc, &e);
	EXPECT(rc == RC_OK, "%s", e.msg);
	must(rc == RC_OK);
	(void)os.close(fds[1]), (void)os.close(null_fd);
	server.out = fds[0];
	must(wait_ready(server.out));
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	must(strlen(sock) < sizeof to.sun_path);
	memcpy(to.sun_path, sock, strlen(sock));
	server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(server.fd, (const struct sockaddr *)&to, sizeof to) == 0);
	server.at = server.end = 0;
}

static void server_stop(void)
{
	struct proc_exit how;
	proc_signal_group(&server.proc, SIGKILL);
	(void)proc_wait(&server.proc, &how);
	(void)os.close(server.fd), (void)os.close(server.out);
}

static char get_byte(void)
{
	if (server.at == server.end) {
		ssize_t n = read(server.fd, server.in, sizeof server.in);
		must(n > 0);
		server.at = 0, server.end = (size_t)n;
	}
	return server.in[server.at++];
}

static void get_line(char *out, size_t size)
{
	size_t n = 0;
	for (char c; (c = get_byte()) != '\r';)
		if (n + 1 < size)
			out[n++] = c;
	out[n] = '\0';
	must(get_byte() == '\n');
}

/* One answer; texts are cut, of arrays the parts are thrown away, errors end the test. */
static void get_reply(char *out, size_t size)
{
	char line[256];
	int64_t n;
	get_line(line, sizeof line);
	if (line[0] == '-')
		printf("redis-server: %s\n", line);
	must(line[0] != '-');
	if (line[0] == '+' || line[0] == ':') {
		(void)snprintf(out, size, "%s", line + 1);
		return;
	}
	must((line[0] == '$' || line[0] == '*') && num_i64(line + 1, &n));
	if (line[0] == '*') {
		char part[64];
		for (int64_t i = 0; i < n; i++)
			get_reply(part, sizeof part);
		(void)snprintf(out, size, "%s", line + 1);
		return;
	}
	size_t kept = 0;
	for (int64_t i = 0; i < n; i++) {
		char c = get_byte();
		if (kept + 1 < size)
			out[kept++] = c;
	}
	out[kept] = '\0';
	must(n < 0 || (get_byte() == '\r' && get_byte() == '\n'));
}

static void send_words(const char *const *words, const size_t *lens, int n)
{
	struct buf b;
	buf_init(&b, 1 << 24);
	buf_addf(&b, "*%d\r\n", n);
	for (int i = 0; i < n; i++) {
		buf_addf(&b, "$%zu\r\n", lens[i]);
		buf_add(&b, words[i], lens[i]);
		buf_adds(&b, "\r\n");
	}
	for (size_t done = 0; done < b.len;) {
		ssize_t w = write(server.fd, b.bytes + done, b.len - done);
		must(w > 0);
		done += (size_t)w;
	}
	buf_fini(&b);
}

static char answer[256];

/* A command of words between blanks. */
static const char *ask(const char *fmt, ...) PRINTF(1, 2);
static const char *ask(const char *fmt, ...)
{
	char line[1024];
	const char *words[32];
	size_t lens[32];
	int n = 0;
	va_list ap;
	va_start(ap, fmt);
	must(vsnprintf(line, sizeof line, fmt, ap) < (int)sizeof line);
	va_end(ap);
	for (const char *p = line; *p; p += strspn(p, " ")) {
		must(n < 32);
		words[n] = p;
		lens[n] = strcspn(p, " ");
		p += lens[n++];
	}
	send_words(words, lens, n);
	get_reply(answer, sizeof answer);
	return answer;
}

static int64_t ask_number(const char *command, const char *name, const char *rest)
{
	int64_t v = INT64_MIN;
	const char *a = ask("%s %s %s", command, name, rest);
	EXPECT(num_i64(a, &v), "%s %s: %s", command, name, a);
	return v;
}

static void set_bytes(const char *name, size_t name_len, const char *bytes, size_t len)
{
	const char *words[] = { "SET", name, bytes };
	const size_t lens[] = { 3, name_len, len };
	send_words(words, lens, 3);
	get_reply(answer, sizeof answer);
}

static void fill_strings(void)
{
	static char big[600000];
	struct rng r;
	rng_init(&r, 9);
	(void)ask("SELECT 0");
	(void)ask("SET s:int 12345"), (void)ask("SET s:wide -9223372036854775808"), (void)ask("SET s:not 0123");
	(void)ask("SET s:word hello"), (void)ask("SET 77 number_as_name"), (void)ask("SET s:pi 3.14159");
	memset(big, 'a', sizeof big);
	set_bytes("s:compressed", 12, big, sizeof big);
	set_bytes("s:44", 4, big, 44), set_bytes("s:45", 4, big, 45), set_bytes("s:empty", 7, big, 0);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)rng_u64(&r);
	set_bytes("s:noise", 7, big, sizeof big);
	set_bytes("s:page", 6, big, 5000);
	memset(big, 'k', 3000);
	set_bytes(big, 3000, "v", 1);
	(void)ask("SET t:soon 1 PXAT 4000000000123"), (void)ask("SET t:s x EXAT 3999999999");
	(void)ask("HSET t:hash f v"), (void)ask("PEXPIREAT t:hash 3500000000001");
}

static void fill_collections(void)
{
	(void)ask("SELECT 9");
	for (int i = 0; i < 300; i++) {
		(void)ask("RPUSH l:small%d a %d -70000 bb", i % 3, i);
		(void)ask("SADD set:ints %d", i * 1000 - 5), (void)ask("SADD set:wide %d00000000%03d", i % 90 + 1, i);
		(void)ask("SADD set:words member:%d", i);
		(void)ask("HSET h:table field:%d value:%d", i, i * i), (void)ask("ZADD z:skip %d.5 member:%d", i, i);
		(void)ask("RPUSH l:many item:%d:%s", i,
		          "a_longer_text_that_fills_the_blocks_of_the_list_sooner_than_short_ones");
	}
	(void)ask("HSET h:pack f1 v1 f2 22222 f3 -1"), (void)ask("ZADD z:pack 1 a 2.5 b -inf c");
	(void)ask("HSET h:long f %0100d", 7), (void)ask("SADD set:one x"), (void)ask("SADD set:mixed 1 2 three");
	(void)ask("CONFIG SET list-max-listpack-size 4 list-compress-depth 1");
	for (int i = 0; i < 100; i++)
		(void)ask("RPUSH l:squeezed aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%d", i);
	static char wide[20000];
	memset(wide, 'w', sizeof wide);
	const char *words[] = { "RPUSH", "l:plain", wide, "x", wide };
	const size_t lens[] = { 5, 7, sizeof wide, 1, 9000 };
	(void)ask("CONFIG SET list-max-listpack-size -2 list-compress-depth 0");
	send_words(words, lens, 5);
	get_reply(answer, sizeof answer);
}

/* One packed value larger than the window it is unpacked in, whose text comes again after almost 8 KiB. */
static void fill_far_references(void)
{
	enum { PERIOD = 105, FIELDS = 3000 };
	static char text[PERIOD][61];
	struct rng r;
	rng_init(&r, 3);
	for (int i = 0; i < PERIOD; i++)
		for (int c = 0; c < 60; c++)
			text[i][c] = (char)('!' + rng_below(&r, 90));
	(void)ask("CONFIG SET hash-max-listpack-entries 5000");
	for (int i = 0; i < FIELDS; i++)
		(void)ask("HSET h:far f%07d %s", i, text[i % PERIOD]);
}

static void fill_streams(void)
{
	(void)ask("SELECT 33");
	for (int i = 1; i <= 250; i++) {
		(void)ask("XADD x:plain %d-1 field value%d", i, i);
		(void)ask("XADD x:groups %d-1 temperature %d humidity %d", i, i * 7, i);
	}
	(void)ask("XADD x:one 1-1 a b"), (void)ask("XADD x:gone 1-1 a b"), (void)ask("XDEL x:gone 1-1");
	(void)ask("XDEL x:plain 7-1 8-1");
	(void)ask("XGROUP CREATE x:groups g1 0"), (void)ask("XGROUP CREATE x:groups g2 $");
	(void)ask("XREADGROUP GROUP g1 alice COUNT 10 STREAMS x:groups >");
	(void)ask("XREADGROUP GROUP g1 bob COUNT 5 STREAMS x:groups >"), (void)ask("XACK x:groups g1 1-1 2-1");
}

static const char *count_command(enum rdb_type type)
{
	static const char *const commands[RDB_TYPES] = {
		[RDB_STRING] = "EXISTS", [RDB_LIST] = "LLEN", [RDB_SET] = "SCARD",
		[RDB_ZSET] = "ZCARD",    [RDB_HASH] = "HLEN", [RDB_STREAM] = "XLEN"
	};
	return commands[type];
}

/* The estimate is of 7.0; other versions have other structures, and the answer is then only asked to be near. */
static bool is_version_7_0(void)
{
	char part[4096];
	const char *words[] = { "INFO", "server" };
	const size_t lens[] = { 4, 6 };
	send_words(words, lens, 2);
	get_reply(part, sizeof part);
	return strstr(part, "redis_version:7.0.") != NULL;
}

static void compare_memory(const char *name, const struct rdb_key *k)
{
	int64_t says = ask_number("MEMORY USAGE", name, "SAMPLES 0"), off = (int64_t)k->memory_size - says;
	/* Skip lists are of random height, radix trees are guessed. */
	int64_t tolerance = k->type == RDB_STREAM ? says / 5 : k->encoding == RDB_ENC_SKIPLIST ? says / 12 : 0;
	if (!is_version_7_0())
		tolerance = says / 3 + 64;
	EXPECT(off <= tolerance && -off <= tolerance, "%s (%s): %lld, Redis says %lld", name,
	       rdb_encoding_name(k->encoding), (long long)k->memory_size, (long long)says);
}

static void compare_key(const char *name, const struct rdb_key *k)
{
	must(ask("SELECT %d", (int)k->db));
	EXPECT(strcmp(ask("TYPE %s", name), rdb_type_name(k->type)) == 0, "%s: %s", name, answer);
	EXPECT(strcmp(ask("OBJECT ENCODING %s", name), rdb_encoding_name(k->encoding)) == 0, "%s: %s, not %s", name,
	       rdb_encoding_name(k->encoding), answer);
	int64_t n = ask_number(count_command(k->type), name, ""), at_ms = ask_number("PEXPIRETIME", name, "");
	EXPECT(n == (int64_t)k->n_elements, "%s: %llu, Redis says %lld", name, (unsigned long long)k->n_elements,
	       (long long)n);
	EXPECT(at_ms == (k->has_expiry ? k->expires_at_ms : -1), "%s: %lld", name, (long long)at_ms);
	EXPECT(k->freq >= 0 && k->freq <= 255, "%s: the server counts use", name);
	if (k->type == RDB_STRING)
		EXPECT(ask_number("STRLEN", name, "") == (int64_t)k->longest_size, "%s: %llu", name,
		       (unsigned long long)k->longest_size);
	compare_memory(name, k);
}

static void read_server_file(struct rdb_info *info)
{
	struct rdb_visitor v = { &told, on_key, on_progress };
	struct err e = { 0 };
	told.n = 0, told.fail_at = -1, told.last_done = told.n_progress = 0;
	enum rc rc = rdb_read(server.path, &v, info, &e);
	EXPECT(rc == RC_OK, "%s", e.msg);
}

static void load_function(void)
{
	static const char code[] = "#!lua name=mylib\nredis.register_function('f', function() return 1 end)";
	const char *words[] = { "FUNCTION", "LOAD", code };
	const size_t lens[] = { 8, 4, sizeof code - 1 };
	send_words(words, lens, 3);
	get_reply(answer, sizeof answer);
}

TEST(a_server_says_the_same)
{
	struct rdb_info info = { 0 };
	(void)ask("FLUSHALL");
	fill_strings(), fill_collections(), fill_far_references(), fill_streams();
	load_function();
	(void)ask("DEBUG RELOAD"), (void)ask("SAVE");
	read_server_file(&info);
	EXPECT(info.version >= 10 && info.checksum == RDB_CHECKSUM_GOOD && info.bits == 64 && info.n_functions == 1 &&
	               info.created_s > 1600000000,
	       "%d", info.version);
	int64_t size[3] = { 0 };
	for (int i = 0; i < 3; i++) {
		(void)ask("SELECT %d", i == 0 ? 0 : i == 1 ? 9 : 33);
		size[i] = ask_number("DBSIZE", "", "");
	}
	EXPECT(told.n == size[0] + size[1] + size[2], "%d keys", told.n);
	for (int i = 0; i < told.n; i++)
		if (told.key[i].name_len < 60)
			compare_key(told.name[i], &told.key[i]);
	const struct rdb_key *g = find("x:groups");
	EXPECT(g->n_groups == 2 && g->n_consumers == 2 && g->n_pending == 13, "%d %d %d", (int)g->n_groups,
	       (int)g->n_consumers, (int)g->n_pending);
	EXPECT(find("s:compressed")->is_compressed && find("s:compressed")->file_size < 20000, "compressed");
	EXPECT(find("l:squeezed")->is_compressed && find("l:squeezed")->longest_size == 69, "squeezed %d",
	       (int)find("l:squeezed")->longest_size);
	const struct rdb_key *far = find("h:far");
	EXPECT(far->is_compressed && far->encoding == RDB_ENC_LISTPACK && far->longest_size == 60 &&
	               far->n_elements == 3000,
	       "far: %d in %d", (int)far->longest_size, (int)far->file_size);
	EXPECT(far->file_size < 120000, "references that reach far are used: %d", (int)far->file_size);
	EXPECT(find("l:plain")->longest_size == 20000 && find("77")->longest_size == 14, "longest");
}

/* A small file of that server, all encodings, cut and flipped like the one put together by hand. */
TEST(a_file_of_a_server_in_pieces)
{
	struct err e = { 0 };
	struct buf b;
	(void)ask("FLUSHALL"), (void)ask("SELECT 2");
	(void)ask("SET aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb PX "
	          "100000000");
	(void)ask("RPUSH l a 1 2 3"), (void)ask("SADD i 1 2 3"), (void)ask("SADD s a b"),
	        (void)ask("HSET h f v g 100000");
	(void)ask("ZADD z 1 a 2 b"), (void)ask("CONFIG SET zset-max-listpack-entries 1"), (void)ask("ZADD zs 1 a 2 b");
	(void)ask("XADD x 1-1 f v"), (void)ask("XGROUP CREATE x g 0"), (void)ask("XREADGROUP GROUP g c STREAMS x >");
	(void)ask("SAVE");
	buf_init(&b, 1 << 20);
	must(file_read(server.path, &b, &e) == RC_OK);
	EXPECT(read_bytes(&b, NULL, &e) == RC_OK && told.n == 8, "%s", e.msg);
	EXPECT(find("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")->has_expiry, "a compressed name");
	cut_everywhere(&b);
	flip_everywhere(&b, true);
	memset(b.bytes + b.len - 8, 0, 8);
	flip_everywhere(&b, false);
	mutate_many(&b, 77, 1500);
	buf_fini(&b);
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	const char *tmp = getenv("TMPDIR");
	(void)argc, (void)argv;
	(void)snprintf(dir, sizeof dir, "%s/rdb_test.%d", tmp ? tmp : "/tmp", (int)getpid());
	must(dir_make(dir, 0700, &e) == RC_OK);
	RUN(every_kind_of_value_is_counted);
	RUN(marks_belong_to_the_next_key);
	RUN(an_empty_file_of_a_server);
	RUN(refusals_say_what_and_where);
	RUN(files_that_are_none);
	RUN(a_callback_ends_the_reading);
	RUN(cut_at_every_byte);
	RUN(every_byte_flipped);
	RUN(mutations_end_in_an_answer);
	RUN(reading_in_drips_gives_the_same);
	RUN(a_report_adds_up);
	RUN(a_report_stays_small);
	RUN(heavy_names_keep_their_bounds);
	if (!server_program()) {
		printf("skipped tests with redis-server: it is not installed\n");
	} else {
		server_start();
		RUN(a_server_says_the_same);
		RUN(a_file_of_a_server_in_pieces);
		server_stop();
	}
	if (dir_remove(dir, &e) != RC_OK)
		return 1;
	return test_failures != 0;
}
