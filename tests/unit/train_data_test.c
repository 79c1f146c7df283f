/* The data side of training: options, packings, formats, features, split, cache, rows to predict, simulated data. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lzma.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "os/calls.h"
#include "os/file.h"
#include "train/deal.h"
#include "train/featurize.h"
#include "train/inflate.h"
#include "train/reader.h"

/* ---- tools ---- */

/* Nothing here need survive a power cut, and real syncs take most of the time. */
static int no_fsync(int fd)
{
	(void)fd;
	return 0;
}

static char dir[PATH_MAX];

static void make_dir(void)
{
	const char *base = getenv("TMPDIR");
	(void)snprintf(dir, sizeof dir, "%s/train_data_XXXXXX", base ? base : "/tmp");
	must(mkdtemp(dir));
}

static void drop_dir(void) { must(dir_remove(dir, NULL) == RC_OK); }

/* One of four buffers in turn. */
static const char *in_dir(const char *name)
{
	static char path[4][PATH_MAX];
	static int turn;
	char *p = path[turn++ % 4];
	must(path_join(p, dir, name, NULL) == RC_OK);
	return p;
}

static void put_file(const char *name, const void *bytes, size_t len)
{
	must(file_replace(in_dir(name), bytes, len, 0600, NULL) == RC_OK);
}

static void put_text(const char *name, const char *text) { put_file(name, text, strlen(text)); }

enum { PARAMS_MAX = 24 };
struct given {
	struct param params[PARAMS_MAX];
	size_t n;
	struct arena *arena;
};

/* "name=value" texts, the last NULL. A file name given for train_data or valid_data is one in dir. */
static enum rc parse_options(struct given *g, const char *const *texts, struct train_options *o, struct err *err)
{
	for (; *texts; texts++) {
		const char *eq = strchr(*texts, '=');
		must(eq);
		char *name = arena_dup_n(g->arena, *texts, (size_t)(eq - *texts));
		must(name);
		bool is_path = strcmp(name, "train_data") == 0 || strcmp(name, "valid_data") == 0;
		must(g->n < PARAMS_MAX);
		if (!is_path) {
			g->params[g->n++] = (struct param){ name, eq + 1 };
			continue;
		}
		struct buf list;
		buf_init(&list, 65536);
		for (const char *p = eq + 1; *p; p += strcspn(p, ","), p += *p == ',') {
			buf_addf(&list, "%s%s/", list.len ? "," : "", dir);
			buf_add(&list, p, strcspn(p, ","));
		}
		must(!list.is_over);
		g->params[g->n++] = (struct param){ name, arena_dup(g->arena, buf_text(&list)) };
		buf_fini(&list);
	}
	enum rc rc = param_check_all(train_rules, n_train_rules, g->params, g->n, err);
	return rc == RC_OK ? train_options_parse(g->params, g->n, g->arena, o, err) : rc;
}

static enum rc open_with(const char *const *texts, const struct train_sink *sink, struct dataset **out, struct err *err)
{
	struct given g = { .arena = arena_new(1 << 20) };
	struct train_options o;
	enum rc rc = parse_options(&g, texts, &o, err);
	if (rc == RC_OK)
		rc = dataset_open(&o, dir, NULL, 0, sink, out, err);
	arena_free(g.arena);
	return rc;
}

#define OPEN(out, err, ...) open_with((const char *const[]){ __VA_ARGS__, NULL }, NULL, out, err)

static void print_example(struct buf *out, const struct example *e)
{
	buf_addf(out, "%g %.9g", (double)e->label, (double)e->scale);
	for (uint32_t i = 0; i < e->n; i++)
		buf_addf(out, " %u:%u:%.9g", e->features[i].field, e->features[i].index, (double)e->features[i].value);
	buf_addc(out, '\n');
}

/* All rows of a part as text; mem_free it. */
static char *dump(struct dataset *d, enum part part)
{
	struct buf out;
	struct block b = { 0 };
	struct err e = { 0 };
	buf_init(&out, (size_t)64 << 20);
	for (uint32_t i = 0; i < dataset_info(d)->n_blocks[part]; i++) {
		enum rc rc = dataset_block(d, part, i, &b, &e);
		EXPECT(rc == RC_OK, "block %u: %s", i, e.msg);
		for (uint32_t k = 0; rc == RC_OK && k < b.n; k++)
			print_example(&out, &b.examples[k]);
	}
	block_fini(&b);
	return buf_take(&out);
}

static enum rc note_entry(void *ctx, const char *name, struct err *err)
{
	(void)err;
	struct buf *names = ctx;
	buf_addf(names, "%s\n", name);
	return RC_OK;
}

/* Names in dir that contain part, one a line; mem_free it. */
static char *names_with(const char *part)
{
	struct buf all, some;
	buf_init(&all, 65536);
	buf_init(&some, 65536);
	must(dir_each(dir, note_entry, &all, NULL) == RC_OK);
	for (const char *p = buf_text(&all); *p; p += strcspn(p, "\n") + 1) {
		if (memmem(p, strcspn(p, "\n"), part, strlen(part)))
			buf_addf(&some, "%.*s\n", (int)strcspn(p, "\n"), p);
	}
	buf_fini(&all);
	return buf_take(&some);
}

/* The only cache file in dir. */
static void cache_path(char path[PATH_MAX])
{
	char *names = names_with(".cache");
	must(strlen(names) > 1);
	names[strcspn(names, "\n")] = '\0';
	must(path_join(path, dir, names, NULL) == RC_OK);
	mem_free(names);
}

static struct buf read_whole(const char *path)
{
	struct buf b;
	buf_init(&b, (size_t)256 << 20);
	must(file_read(path, &b, NULL) == RC_OK);
	return b;
}

/* ---- packings ---- */

typedef size_t packer(const char *bytes, size_t len, unsigned char *out, size_t cap);

static size_t pack_plain(const char *bytes, size_t len, unsigned char *out, size_t cap)
{
	must(len <= cap);
	memcpy(out, bytes, len);
	return len;
}

static size_t pack_gzip(const char *bytes, size_t len, unsigned char *out, size_t cap)
{
	z_stream z = {
		.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)cap
	};
	must(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	must(deflate(&z, Z_FINISH) == Z_STREAM_END);
	must(deflateEnd(&z) == Z_OK);
	return cap - z.avail_out;
}

static size_t pack_xz(const char *bytes, size_t len, unsigned char *out, size_t cap)
{
	size_t used = 0;
	must(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, (const uint8_t *)bytes, len, out, &used, cap) ==
	     LZMA_OK);
	return used;
}

static size_t pack_zstd(const char *bytes, size_t len, unsigned char *out, size_t cap)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	must(!ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)));
	size_t used = ZSTD_compress2(c, out, cap, bytes, len);
	must(!ZSTD_isError(used));
	(void)ZSTD_freeCCtx(c);
	return used;
}

static const struct {
	const char *name, *ending;
	packer *pack;
} packers[] = { { "plain", "", pack_plain },
		{ "gzip", ".gz", pack_gzip },
		{ "xz", ".xz", pack_xz },
		{ "zstd", ".zst", pack_zstd } };
enum { PACKED_CAP = 4 << 20 };

/* Write bytes packed, in n parts of equal length one after the other. */
static size_t put_packed(const char *name, packer *pack, const char *bytes, size_t len, size_t n_parts)
{
	unsigned char *out = mem_alloc(PACKED_CAP);
	size_t used = 0, from = 0;
	for (size_t i = 1; i <= n_parts; i++) {
		size_t to = len * i / n_parts;
		used += pack(bytes + from, to - from, out + used, PACKED_CAP - used);
		from = to;
	}
	put_file(name, out, used);
	mem_free(out);
	return used;
}

/* Unpack a file in steps of cap bytes. */
static enum rc unpack(const char *name, size_t cap, struct buf *out, struct err *err)
{
	struct inflate *s = NULL;
	char *part = mem_alloc(cap);
	size_t n = 1;
	enum rc rc = inflate_open(in_dir(name), INFLATE_FILE, NULL, &s, err);
	while (rc == RC_OK && n) {
		rc = inflate_read(s, part, cap, &n, err);
		if (rc == RC_OK)
			buf_add(out, part, n);
	}
	inflate_close(s);
	mem_free(part);
	return rc;
}

static char *long_text(size_t len)
{
	char *text = mem_alloc(len + 1);
	struct rng r;
	rng_init(&r, 7);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + rng_below(&r, 20));
	return text;
}

TEST(every_packing_gives_back_the_bytes)
{
	enum { LEN = 300000 };
	static const size_t caps[] = { 7, 4096, 1 << 20 };
	char *text = long_text(LEN);

	make_dir();
	for (size_t p = 0; p < ARRAY_LEN(packers); p++) {
		for (size_t parts = 1; parts <= 3; parts += 2) {
			put_packed("f", packers[p].pack, text, LEN, parts);
			for (size_t c = 0; c < ARRAY_LEN(caps); c++) {
				struct err e = { 0 };
				struct buf got;
				buf_init(&got, 1 << 20);
				enum rc rc = unpack("f", caps[c], &got, &e);
				EXPECT(rc == RC_OK, "%s: %s", packers[p].name, e.msg);
				EXPECT(got.len == LEN && memcmp(got.bytes, text, LEN) == 0, "%s in %zu parts by %zu",
				       packers[p].name, parts, caps[c]);
				buf_fini(&got);
			}
		}
	}
	mem_free(text);
	drop_dir();
}

TEST(damaged_packings_are_refused_by_name)
{
	enum { LEN = 50000 };
	char *text = long_text(LEN);

	make_dir();
	for (size_t p = 1; p < ARRAY_LEN(packers); p++) {
		size_t size = put_packed("f", packers[p].pack, text, LEN, 1);
		struct buf whole = read_whole(in_dir("f"));
		for (int kind = 0; kind < 3; kind++) {
			struct err e = { 0 };
			struct buf got;
			buf_init(&got, 1 << 20);
			whole.bytes[size / 2] = (char)(whole.bytes[size / 2] ^ (kind == 1 ? 0x55 : 0));
			if (kind == 2)
				buf_adds(&whole, "garbage that follows");
			put_file("f", whole.bytes, kind == 0 ? size - 3 : whole.len);
			EXPECT(unpack("f", 65536, &got, &e) == RC_INVALID, "%s kind %d: '%s'", packers[p].name, kind,
			       e.msg);
			EXPECT(strstr(e.msg, "/f: damaged") && strstr(e.msg, packers[p].name), "%s", e.msg);
			EXPECT(kind || strstr(e.msg, "cut off"), "%s", e.msg);
			if (kind == 1)
				whole.bytes[size / 2] = (char)(whole.bytes[size / 2] ^ 0x55);
			buf_fini(&got);
		}
		buf_fini(&whole);
	}
	struct inflate *s = NULL;
	struct err e = { 0 };
	EXPECT(inflate_open(in_dir("."), INFLATE_ANY, NULL, &s, &e) == RC_INVALID, "a folder");
	EXPECT(strstr(e.msg, "folder"), "%s", e.msg);
	EXPECT(inflate_open(in_dir("none"), INFLATE_ANY, NULL, &s, &e) == RC_NOT_FOUND && !s, "%s", e.msg);
	EXPECT(inflate_open("/dev/null", INFLATE_FILE, NULL, &s, &e) == RC_INVALID && strstr(e.msg, "regular"), "%s",
	       e.msg);
	mem_free(text);
	drop_dir();
}

/* ---- csv ---- */

TEST(csv_records_follow_rfc_4180)
{
	const struct {
		const char *text, *cells; /* cells as [a][b], records divided by / */
	} row[] = {
		{ "a,b\nc,d\n", "[a][b]/[c][d]/" },
		{ "a,b\r\nc,d", "[a][b]/[c][d]/" },
		{ "\xef\xbb\xbf"
		  "a\n",
		  "[a]/" },
		{ "\xef\xbb\xbf", "" },
		{ ",\n,,\n", "[][]/[][][]/" },
		{ "\n\na\n\n", "[a]/" },
		{ "\"a,b\",\"c\"\"d\"\n", "[a,b][c\"d]/" },
		{ "\"two\nlines\",x\ny,z\n", "[two\nlines][x]/[y][z]/" },
		{ "\"a\r\n\r\nb\"\r\nc\n", "[a\r\n\r\nb]/[c]/" },
		{ "\"\",\"\"\"\"\n", "[][\"]/" },
		{ "a\"b,c\"\n", "[a\"b][c\"]/" },
		{ "\"a\"", "[a]/" },
		{ "\"x\n,\"\"\n\",\"y\n\"\n", "[x\n,\"\n][y\n]/" },
	};
	make_dir();
	FOR_EACH_ROW (i, row) {
		struct lines l = { 0 };
		struct cells cells = { 0 };
		struct err e = { 0 };
		struct buf got;
		bool has = true;
		buf_init(&got, 4096);
		put_text("f", row[i].text);
		enum rc rc = lines_open(&l, in_dir("f"), INFLATE_ANY, NULL, &e);
		while (rc == RC_OK && has) {
			rc = csv_next(&l, ',', &cells, &has, &e);
			for (size_t k = 0; rc == RC_OK && has && k < cells.n; k++)
				buf_addf(&got, "[%.*s]", (int)cells.items[k].len, cells.items[k].bytes);
			if (rc == RC_OK && has)
				buf_addc(&got, '/');
		}
		EXPECT(rc == RC_OK, "row %zu: %s", i, e.msg);
		EXPECT(strcmp(buf_text(&got), row[i].cells) == 0, "row %zu: got %s", i, buf_text(&got));
		buf_fini(&got);
		cells_fini(&cells);
		lines_close(&l);
	}
	drop_dir();
}

/* ---- hashes and buckets ---- */

TEST(hashes_are_those_of_the_documentation)
{
	const struct { /* computed by another program from the words of docs/data-formats.md */
		const char *name, *value;
		uint64_t hash;
	} row[] = {
		{ "user_id", "u1", UINT64_C(0xc020844b487785ee) },
		{ "", "7", UINT64_C(0x427c7774168c5893) },
		{ "price", "+8", UINT64_C(0x51e8ce185f02c00d) },
		{ "\u6807\u9898", "\u7ea2\u8336", UINT64_C(0x1c2bab2df6a7df12) },
	};
	FOR_EACH_ROW (i, row) {
		uint64_t h = feat_value_hash(feat_name_hash(row[i].name, strlen(row[i].name)), row[i].value,
					     strlen(row[i].value));
		EXPECT(h == row[i].hash, "%s %s: %llx", row[i].name, row[i].value, (unsigned long long)h);
	}
}

TEST(numbers_fall_into_buckets)
{
	const struct {
		double v;
		const char *bucket;
	} row[] = {
		{ 0, "=0" },          { -0.0, "=0" }, { 8, "=8" },     { -8, "=-8" },  { 8.5, "+6" },
		{ -8.5, "-6" },       { 9, "+6" },    { 11.3, "+6" },  { 11.4, "+7" }, { 15.9, "+7" },
		{ 16, "+8" },         { 0.5, "+-2" }, { 0.75, "+-1" }, { 1.5, "+1" },  { 1e300, "+1993" },
		{ 1e-300, "+-1994" }, { 1.25, "+0" },
	};
	FOR_EACH_ROW (i, row) {
		char bucket[FEAT_BUCKET_SIZE];
		size_t len = feat_bucket(row[i].v, bucket);
		EXPECT(len == strlen(bucket) && strcmp(bucket, row[i].bucket) == 0, "%g: %s, not %s", row[i].v, bucket,
		       row[i].bucket);
	}
}

/* ---- what rows become ---- */

/* Expected: "label field:name=value*weight ..." against the hashes of a row. */
static void expect_row(const char *what, const struct schema *s, const struct feat_row *row, const char *want)
{
	const char *p = want + 2;
	uint32_t i = 0;

	EXPECT(row->has_label == (want[0] != '-') && (!row->has_label || (row->label > 0) == (want[0] == '1')),
	       "%s: label", what);
	for (; *p; i++) {
		char name[64], value[64];
		unsigned field;
		double weight = 1;
		int used = 0;
		value[0] = '\0';
		must(sscanf(p, "%u:%63[^=]=%63[^* ]%n", &field, name, value, &used) == 3);
		p += used;
		if (*p == '*') {
			must(sscanf(p, "*%lf%n", &weight, &used) == 1);
			p += used;
		}
		p += *p == ' ';
		if (strcmp(name, "_") == 0)
			name[0] = '\0';
		uint32_t index = feat_index(s, feat_name_hash(name, strlen(name)), value, strlen(value));
		EXPECT(i < row->n, "%s: only %u features", what, row->n);
		bool found = false;
		for (uint32_t k = 0; k < row->n; k++)
			found = found || (row->features[k].field == field && row->features[k].index == index &&
					  fabs((double)row->features[k].value - weight) < 1e-6);
		EXPECT(found, "%s: no feature %u %s=%s*%g", what, field, name, value, weight);
	}
	EXPECT(i == row->n, "%s: %u features, not %u", what, row->n, i);
}

TEST(every_format_gives_the_features_it_should)
{
	const struct {
		const char *file, *text, *options[6], *rows[3];
	} row[] = {
		{ "a.csv", "click,user,n\n1,u1,3\n0,,4\n", { 0 }, { "1 0:user=u1 1:n=3", "0 1:n=4" } },
		{ "a.tsv", "n\tclick\n5\t1\n\"x\ty\"\t0\n", { 0 }, { "1 0:n=5", "0 0:n=x\ty" } },
		{ "a.csv", "label,a\n1,x\n", { 0 }, { "1 0:a=x" } },
		{ "a.csv", ",click,a\n9,1,x\n", { 0 }, { "1 0:a=x" } },
		{ "a.csv",
		  "click,tag\n1,b|a|b||c\n0,x\n",
		  { 0 },
		  { "1 0:tag=a*0.57735 0:tag=b*0.57735 0:tag=c*0.57735", "0 0:tag=x" } },
		{ "a.csv", "click,tag\n1,b|a\n", { "value_separator=none" }, { "1 0:tag=b|a" } },
		{ "a.csv",
		  "click,tag\n1,a; b\n",
		  { "value_separator=;", "tags_field=tag" },
		  { "1 0:tag=a*0.707107 0:tag=b*0.707107" } },
		{ "a.csv",
		  "click,t\n1,Red TEA; red!\n",
		  { "title_field=t" },
		  { "1 0:t=red*0.707107 0:t=tea*0.707107" } },
		{ "a.csv", "click,p\n1,9.5\n0,3\n", { 0 }, { "1 0:p=+6", "0 0:p==3" } },
		{ "a.csv", "click,p\n1,9\n", { "numeric_fields=p" }, { "1 0:p=+6" } },
		{ "a.csv", "click,p\n1,9\n", { 0 }, { "1 0:p=9" } },
		{ "a.csv", "click,a,b\n1,x,y\n", { "feature_fields=b" }, { "1 0:b=y" } },
		{ "a.csv",
		  "1,x,y\n0,z,w\n",
		  { "header=false", "label_field=0" },
		  { "1 0:1=x 1:2=y", "0 0:1=z 1:2=w" } },
		{ "a.csv", "click,a\n1,\xff\xfe\n", { 0 }, { "1 0:a=\xff\xfe" } },
		{ "a.jsonl",
		  "{\"click\":1,\"u\":\"x\",\"n\":3}\n\n{\"n\":null,\"click\":false,\"u\":true}\n",
		  { 0 },
		  { "1 0:u=x 1:n=3", "0 0:u=true" } },
		{ "a.jsonl",
		  "{\"click\":1,\"t\":[\"a\",\"b|c\",7]}\n{\"click\":0,\"t\":[],\"p\":\"\"}\n",
		  { 0 },
		  { "1 0:t=a*0.57735 0:t=b|c*0.57735 0:t=7*0.57735", "0 " } },
		{ "a.jsonl", "{\"label\":1,\"p\":9.5}\n{\"label\":0,\"p\":3}\n", { 0 }, { "1 0:p=+6", "0 0:p==3" } },
		{ "a.jsonl",
		  "\n \n{\"label\":1,\"p\":9.5}\n\n{\"label\":0,\"p\":3}\n",
		  { 0 },
		  { "1 0:p=+6", "0 0:p==3" } },
		{ "a.ffm", "1 0:12:1 3:007:0.5\n0 1:12:0\n", { 0 }, { "1 0:_=12 3:_=7*0.5", "0 " } },
		{ "a.svm", "-1 12:1 7:2.5 # why\n+1 7:1\n", { 0 }, { "0 0:_=12 0:_=7*2.5", "1 0:_=7" } },
		{ "a", "1 0:12:1\n", { 0 }, { "1 0:_=12" } },
		{ "b", "1 12:1\n", { 0 }, { "1 0:_=12" } },
		{ "c", "{\"click\":1,\"a\":2}\n", { 0 }, { "1 0:a=2" } },
		{ "d", "click\ta\n1\tx\n", { 0 }, { "1 0:a=x" } },
	};
	make_dir();
	FOR_EACH_ROW (i, row) {
		struct given g = { .arena = arena_new(1 << 20) };
		struct train_options o;
		struct schema s;
		struct err e = { 0 };
		const char *texts[8] = { "train_data=x" };
		memcpy(texts + 1, row[i].options, sizeof row[i].options);
		must(parse_options(&g, texts, &o, &e) == RC_OK);
		put_text(row[i].file, row[i].text);
		enum train_format format = FORMAT_AUTO;
		EXPECT(reader_format(in_dir(row[i].file), &format, &e) == RC_OK, "%s", e.msg);
		/* The whole way has to accept the file too, or to refuse it only for having one class of label. */
		char data[80];
		(void)snprintf(data, sizeof data, "train_data=%s", row[i].file);
		struct dataset *d = NULL;
		bool one_class = !row[i].rows[1];
		texts[0] = data;
		enum rc rc = open_with(texts, NULL, &d, &e);
		EXPECT(one_class ? rc == RC_INVALID && strstr(e.msg, "one class")
				 : rc == RC_OK || strstr(e.msg, "one class"),
		       "row %zu: %s", i, e.msg);
		struct reader r;
		schema_init(&s, &o, format);
		rc = reader_open(&r, in_dir(row[i].file), format, READER_LABELLED | READER_GROWS, &s, NULL, &e);
		EXPECT(rc == RC_OK, "row %zu: %s", i, e.msg);
		if (strstr(row[i].text, "9.5")) { /* as the sniffing pass decides */
			if (!s.n)
				must(schema_add(&s, "p", 1, &(uint32_t){ 0 }, NULL) == RC_OK);
			s.columns[0].kind = COLUMN_NUMBER;
		}
		struct feat_row got = { 0 };
		bool has = true;
		size_t n = 0;
		for (; rc == RC_OK; n++) {
			rc = reader_row(&r, &got, &has, &e);
			EXPECT(rc == RC_OK, "row %zu: %s", i, e.msg);
			if (rc != RC_OK || !has)
				break;
			if (n < 3 && row[i].rows[n])
				expect_row(row[i].text, &s, &got, row[i].rows[n]);
		}
		EXPECT(n < 3 && !row[i].rows[n], "row %zu: %zu rows", i, n);
		feat_row_fini(&got);
		reader_close(&r);
		schema_fini(&s);
		dataset_close(d);
		arena_free(g.arena);
	}
	drop_dir();
}

/* ---- refusals ---- */

TEST(bad_data_are_refused_by_file_line_and_value)
{
	const struct {
		const char *file, *text, *options[3];
		enum rc rc;
		const char *says[3];
	} row[] = {
		{ "a.csv", "", { 0 }, RC_INVALID, { "no rows", "a.csv" } },
		{ "a.csv", "click,a\n", { 0 }, RC_INVALID, { "no rows" } },
		{ "a.ffm", "\n\n", { 0 }, RC_INVALID, { "no rows" } },
		{ "a.csv",
		  "click,a\n1,x\n1,y\n",
		  { 0 },
		  RC_INVALID,
		  { "only one class", "all 2 training rows are positive" } },
		{ "a.csv", "click,a\n0,x\n0,y\n", { 0 }, RC_INVALID, { "only one class", "negative" } },
		{ "a.csv", "click,a\n1,x\n0,x,y\n", { 0 }, RC_INVALID, { "a.csv:3: 3 cells where the heading has 2" } },
		{ "a.csv", "click,a\n1,x\n0\n", { 0 }, RC_INVALID, { "a.csv:3: 1 cells" } },
		{ "a.csv",
		  "1,x\n0\n",
		  { "header=false", "label_field=0" },
		  RC_INVALID,
		  { "a.csv:2: 1 cells where the first row has 2" } },
		{ "a.csv",
		  "click,a\nyes,x\n",
		  { 0 },
		  RC_INVALID,
		  { "a.csv:2: label column 'click': 'yes' is not a number" } },
		{ "a.csv",
		  "click,a\n1,\"x\ny\"\n,z\n",
		  { 0 },
		  RC_INVALID,
		  { "a.csv:4: the row has no label", "'click'" } },
		{ "a.csv", "click,a\n1,\"x\"y\n", { 0 }, RC_INVALID, { "a.csv:2: column 2: 'y' follows" } },
		{ "a.csv",
		  "click,a\n1,\"x\n2,y\n",
		  { 0 },
		  RC_INVALID,
		  { "a.csv:2: a quoted cell begins here that never ends" } },
		{ "a.csv", "clack,a\n1,x\n", { 0 }, RC_INVALID, { "a.csv:1: there is no label column 'click'" } },
		{ "a.csv", "click,a,a\n1,x,y\n", { 0 }, RC_INVALID, { "a.csv:1: two columns are named 'a'" } },
		{ "a.csv", "click,\xff\n1,x\n", { 0 }, RC_INVALID, { "a.csv:1: column name '?' is not UTF-8" } },
		{ "a.csv",
		  "click,a\n1,x\n0,y\n",
		  { "feature_fields=b" },
		  RC_INVALID,
		  { "feature_fields names column 'b'" } },
		{ "a.csv", "click,a\n1,x\n0,y\n", { "title_field=b" }, RC_INVALID, { "title_field or", "'b'" } },
		{ "a.csv",
		  "click,a\n1,2\n0,x\n",
		  { "numeric_fields=a" },
		  RC_INVALID,
		  { "a.csv:3: column 'a': 'x' is not a number" } },
		{ "a.csv",
		  "\xff\xfe"
		  "c\0",
		  { 0 },
		  RC_INVALID,
		  { "UTF-16" } },
		{ "a.csv", "click,a\n1,\n0,\n", { 0 }, RC_INVALID, { "no features at all" } },
		{ "a.jsonl", "{\"click\":1}\n{\"click\":}\n", { 0 }, RC_INVALID, { "a.jsonl:2: not JSON" } },
		{ "a.jsonl", "{\"click\":1}\n[1]\n", { 0 }, RC_INVALID, { "a.jsonl:2: a JSON object is needed" } },
		{ "a.jsonl", "{\"click\":1,\"a\":{}}\n", { 0 }, RC_INVALID, { "a.jsonl:1: member 'a' is an object" } },
		{ "a.jsonl", "{\"click\":1,\"a\":[[]]}\n", { 0 }, RC_INVALID, { "a.jsonl:1: member 'a'" } },
		{ "a.jsonl", "{\"click\":[1]}\n", { 0 }, RC_INVALID, { "a.jsonl:1: member 'click' is an array" } },
		{ "a.jsonl", "{\"click\":\"no\"}\n", { 0 }, RC_INVALID, { "a.jsonl:1: label column 'click': 'no'" } },
		{ "a.jsonl", "{\"x\":1}\n", { 0 }, RC_INVALID, { "a.jsonl:1: the row has no label" } },
		{ "a.jsonl",
		  "{\"click\":1,\"x\":1}\n{\"click\":0}\n",
		  { "feature_fields=x,y" },
		  RC_INVALID,
		  { "'y'" } },
		{ "a.ffm", "1 0:1:1\n0 0:x:1\n", { 0 }, RC_INVALID, { "a.ffm:2: '0:x:1'", "index" } },
		{ "a.ffm", "1 0:1\n", { 0 }, RC_INVALID, { "a.ffm:1: '0:1'" } },
		{ "a.ffm", "1 0:1:nan\n", { 0 }, RC_INVALID, { "a.ffm:1: '0:1:nan': the value is not a number" } },
		{ "a.ffm", "1 0:1:1e30\n", { 0 }, RC_INVALID, { "too large" } },
		{ "a.ffm", "1 1024:1:1\n", { 0 }, RC_INVALID, { "a.ffm:1: '1024:1:1': the field is too large" } },
		{ "a.ffm", "1 -1:1:1\n", { 0 }, RC_INVALID, { "whole number as field" } },
		{ "a.ffm", "0:1:1\n", { 0 }, RC_INVALID, { "a.ffm:1: the row has no label" } },
		{ "a.ffm", "1 0:1:1\n", { "feature_fields=a" }, RC_INVALID, { "libffm data have no columns" } },
		{ "a.svm", "1 qid:3 1:1\n", { 0 }, RC_INVALID, { "a.svm:1: 'qid:3'" } },
		{ "a.csv", "click,a\n1,x\n", { "valid_ratio=0.9" }, RC_INVALID, { "too few" } },
	};
	make_dir();
	FOR_EACH_ROW (i, row) {
		struct err e = { 0 };
		struct dataset *d = NULL;
		char data[80];
		(void)snprintf(data, sizeof data, "train_data=%s", row[i].file);
		const char *texts[5] = { data };
		memcpy(texts + 1, row[i].options, sizeof row[i].options);
		put_text(row[i].file, row[i].text);
		enum rc rc = open_with(texts, NULL, &d, &e);
		EXPECT(rc == row[i].rc && !d, "row %zu: %s '%s'", i, rc_name(rc), e.msg);
		for (size_t k = 0; k < ARRAY_LEN(row[i].says) && row[i].says[k]; k++)
			EXPECT(strstr(e.msg, row[i].says[k]), "row %zu: said '%s'", i, e.msg);
		char *left = names_with("tmp");
		char *caches = names_with(".cache");
		EXPECT(!*left && !*caches, "row %zu leaves %s%s", i, left, caches);
		mem_free(left);
		mem_free(caches);
		dataset_close(d);
	}
	drop_dir();
}

TEST(limits_are_refused)
{
	struct buf b;
	struct err e = { 0 };
	struct dataset *d = NULL;

	make_dir();
	buf_init(&b, 16 << 20);
	buf_adds(&b, "click,a\n1,x\n0,");
	for (int i = 0; i < 1 << 20; i++)
		buf_addc(&b, 'x');
	put_file("a.csv", b.bytes, b.len);
	EXPECT(OPEN(&d, &e, "train_data=a.csv") == RC_LIMIT, "%s", e.msg);
	EXPECT(strstr(e.msg, "a.csv:3: ") && strstr(e.msg, "1048576"), "%s", e.msg);
	buf_reset(&b);
	buf_adds(&b, "click\n0,\"");
	for (int i = 0; i < 600000; i++)
		buf_adds(&b, "x\n");
	put_file("a.csv", b.bytes, b.len);
	EXPECT(OPEN(&d, &e, "train_data=a.csv") == RC_LIMIT, "%s", e.msg);
	EXPECT(strstr(e.msg, "a.csv:2: "), "%s", e.msg);
	buf_reset(&b);
	for (int i = 0; i < COLUMNS_MAX + 1; i++)
		buf_addf(&b, "%sc%d", i ? "," : "", i);
	put_file("a.csv", b.bytes, b.len);
	EXPECT(OPEN(&d, &e, "train_data=a.csv") == RC_LIMIT && strstr(e.msg, "4096 columns"), "%s", e.msg);
	/* Each row has a column of its own with a name of nearly 1 MiB. */
	buf_reset(&b);
	for (int i = 0; i < 9; i++) {
		buf_addf(&b, "{\"click\":%d,\"%d", i % 2, i);
		for (int k = 0; k < 1000000; k++)
			buf_addc(&b, 'n');
		buf_adds(&b, "\":1}\n");
	}
	put_file("a.jsonl", b.bytes, b.len);
	EXPECT(OPEN(&d, &e, "train_data=a.jsonl") == RC_LIMIT && strstr(e.msg, "a.jsonl:9: ") &&
	               strstr(e.msg, "the names of the columns take more than 8 MiB"),
	       "%s", e.msg);
	buf_reset(&b);
	buf_adds(&b, "1");
	for (int i = 0; i < ROW_FEATURES_MAX + 1; i++)
		buf_addf(&b, " %d:1", i);
	put_file("a.svm", b.bytes, b.len);
	EXPECT(OPEN(&d, &e, "train_data=a.svm") == RC_LIMIT && strstr(e.msg, "a.svm:1: the row has more than 65536"),
	       "%s", e.msg);
	EXPECT(OPEN(&d, &e, "epochs=1") == RC_INVALID && strstr(e.msg, "no training data: give train_data"), "%s",
	       e.msg);
	EXPECT(OPEN(&d, &e, "train_data=none.csv") == RC_NOT_FOUND, "%s", e.msg);
	EXPECT(!d, "output touched");
	buf_fini(&b);
	drop_dir();
}

TEST(files_outside_of_the_roots_are_denied)
{
	struct err e = { 0 };
	struct dataset *d = NULL;
	char sub[PATH_MAX];
	struct given g = { .arena = arena_new(1 << 20) };
	struct train_options o;

	make_dir();
	must(path_join(sub, dir, "sub", NULL) == RC_OK && dir_make(sub, 0700, NULL) == RC_OK);
	put_text("a.csv", "click,a\n1,x\n0,y\n");
	const char *const roots[] = { sub }, *const all[] = { dir };
	must(parse_options(&g, (const char *const[]){ "train_data=a.csv", NULL }, &o, &e) == RC_OK);
	EXPECT(dataset_open(&o, dir, roots, 1, NULL, &d, &e) == RC_DENIED && !d, "%s", e.msg);
	EXPECT(dataset_open(&o, dir, all, 1, NULL, &d, &e) == RC_OK, "%s", e.msg);
	dataset_close(d);
	arena_free(g.arena);
	drop_dir();
}

/* ---- options ---- */

TEST(options_have_their_defaults)
{
	struct given g = { .arena = arena_new(1 << 20) };
	struct train_options o;
	struct err e = { 0 };
	enum rc rc = parse_options(&g, (const char *const[]){ "seed=", NULL }, &o, &e);

	EXPECT(rc == RC_OK, "%s", e.msg);
	EXPECT(!o.train_data.n && !o.valid_data.n && o.format == FORMAT_AUTO && o.has_header, "files");
	EXPECT(strcmp(o.label_field, "click") == 0 && o.positive.op == LABEL_GT && !(o.positive.value > 0), "label");
	EXPECT(strcmp(o.value_separator, "|") == 0 && o.split == SPLIT_TAIL && fabs(o.valid_ratio - 0.1) < 1e-12,
	       "split");
	EXPECT(o.model == MODEL_FFM && o.factors == 4 && o.epochs == 15 && o.early_stop_rounds == 3, "model");
	EXPECT(o.hash_bits == 20 && o.normalize && o.threads == 1 && o.seed == 1, "rest");
	EXPECT(fabs(o.learning_rate - 0.2) < 1e-12 && fabs(o.l2 - 1e-3) < 1e-12, "rates");
	arena_free(g.arena);
}

TEST(options_that_disagree_are_refused)
{
	const struct {
		const char *texts[4], *says;
	} row[] = {
		{ { "train_data=a", "valid_data=b,a" }, "in train_data and in valid_data" },
		{ { "feature_fields=a,click" }, "label_field 'click' is in feature_fields" },
		{ { "title_field=click" }, "label_field 'click'" },
		{ { "numeric_fields=a", "title_field=a" }, "'a' is in numeric_fields and in title_field" },
		{ { "tags_field=a", "description_field=a" }, "tags_field" },
		{ { "feature_fields=a", "numeric_fields=b" }, "'b' is in numeric_fields, but not in feature_fields" },
		{ { "hash_bits=29" }, "hash_bits" },
		{ { "split=head" }, "split" },
		{ { "positive=4" }, "positive" },
		{ { "colour=red" }, "unknown parameter" },
	};
	FOR_EACH_ROW (i, row) {
		struct given g = { .arena = arena_new(1 << 20) };
		struct train_options o = { .epochs = 42 };
		struct err e = { 0 };
		EXPECT(parse_options(&g, row[i].texts, &o, &e) == RC_INVALID, "row %zu", i);
		EXPECT(strstr(e.msg, row[i].says), "row %zu: said '%s'", i, e.msg);
		EXPECT(o.epochs == 42, "row %zu: output touched", i);
		arena_free(g.arena);
	}
}

TEST(the_vendors_column_names_are_features)
{
	struct given g = { .arena = arena_new(1 << 20) };
	struct train_options o;
	struct err e = { 0 };
	const char *const texts[] = { "feature_fields=a", "title_field=t",    "tags_field=g",
				      "id_field=i",       "category_field=a", NULL };
	EXPECT(parse_options(&g, texts, &o, &e) == RC_OK, "%s", e.msg);
	EXPECT(o.feature_fields.n == 4 && strcmp(o.feature_fields.items[1], "i") == 0, "%d", o.feature_fields.n);
	EXPECT(o.text_fields.n == 1 && o.multi_fields.n == 1, "kinds");
	arena_free(g.arena);
}

TEST(label_rules)
{
	const struct {
		const char *rule;
		int positives; /* of labels 1 2 3 4 5 */
	} row[] = { { ">=4", 2 }, { ">4", 1 }, { "<2", 1 }, { "<=2", 2 }, { "=3", 1 }, { "!=3", 4 }, { ">2.5", 3 } };
	make_dir();
	put_text("a.csv", "stars,x\n1,a\n2,b\n3.0,c\n 4 ,d\n5,e\n");
	FOR_EACH_ROW (i, row) {
		struct err e = { 0 };
		struct dataset *d = NULL;
		char rule[32];
		(void)snprintf(rule, sizeof rule, "positive=%s", row[i].rule);
		EXPECT(OPEN(&d, &e, "train_data=a.csv", "label_field=stars", "valid_ratio=0", rule) == RC_OK, "%s",
		       e.msg);
		if (d)
			EXPECT(dataset_info(d)->positives[PART_TRAIN] == row[i].positives, "%s: %lld", row[i].rule,
			       (long long)dataset_info(d)->positives[PART_TRAIN]);
		dataset_close(d);
	}
	drop_dir();
}

/* ---- one data set, many files ---- */

struct shop_row {
	int click, user, hour;
	double price;
};

static struct shop_row shop_row(struct rng *r)
{
	struct shop_row v = { .click = (int)rng_below(r, 2),
			      .user = (int)rng_below(r, 50),
			      .hour = (int)rng_below(r, 24) };
	v.price = (double)rng_below(r, 4000) / 8;
	return v;
}

/* The same rows as csv, tsv or jsonl. */
static void write_rows(struct buf *b, enum train_format format, int n)
{
	struct rng r;
	rng_init(&r, 3);
	if (format == FORMAT_CSV)
		buf_adds(b, "user,click,tags,price,hour\n");
	else if (format == FORMAT_TSV)
		buf_adds(b, "user\tclick\ttags\tprice\thour\r\n");
	for (int i = 0; i < n; i++) {
		struct shop_row v = shop_row(&r);
		if (format == FORMAT_CSV)
			buf_addf(b, "u%d,%d,\"a|t,%d\",%.3f,%d\n", v.user, v.click, v.hour, v.price, v.hour);
		else if (format == FORMAT_TSV)
			buf_addf(b, "u%d\t%d\ta|t,%d\t%.3f\t%d\r\n", v.user, v.click, v.hour, v.price, v.hour);
		else
			buf_addf(b,
				 "{\"user\":\"u%d\",\"tags\":[\"t,%d\",\"a\"],\"click\":%s,\"price\":%.3f,\"hour\":%d}"
				 "\n",
				 v.user, v.hour, v.click ? "true" : "false", v.price, v.hour);
	}
	must(!b->is_over);
}

TEST(the_same_rows_in_any_form_give_the_same_blocks)
{
	static const struct {
		enum train_format format;
		const char *ending;
	} forms[] = { { FORMAT_CSV, ".csv" }, { FORMAT_TSV, ".tsv" }, { FORMAT_JSONL, ".jsonl" } };
	enum { ROWS = 9000 };
	char *want[PARTS] = { NULL, NULL };

	make_dir();
	for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
		struct buf b;
		buf_init(&b, 8 << 20);
		write_rows(&b, forms[f].format, ROWS);
		for (size_t p = 0; p < ARRAY_LEN(packers); p++) {
			char name[32], data[64];
			struct err e = { 0 };
			struct dataset *d = NULL;
			(void)snprintf(name, sizeof name, "f%s%s", forms[f].ending, packers[p].ending);
			(void)snprintf(data, sizeof data, "train_data=%s", name);
			put_packed(name, packers[p].pack, b.bytes, b.len, 1);
			enum rc rc = OPEN(&d, &e, data, "feature_fields=user,tags,price,hour", "hash_bits=14");
			EXPECT(rc == RC_OK, "%s: %s", name, e.msg);
			for (int part = 0; rc == RC_OK && part < PARTS; part++) {
				char *got = dump(d, (enum part)part);
				if (!want[part])
					want[part] = got;
				EXPECT(strcmp(got, want[part]) == 0, "%s: part %d differs", name, part);
				if (got != want[part])
					mem_free(got);
			}
			dataset_close(d);
		}
		buf_fini(&b);
	}
	EXPECT(want[0] && strlen(want[0]) > 100000, "rows");
	mem_free(want[0]);
	mem_free(want[1]);
	drop_dir();
}

TEST(later_files_may_have_their_columns_in_another_order)
{
	struct err e = { 0 };
	struct dataset *d = NULL;
	make_dir();
	put_text("a.csv", "click,a,b\n1,x,y\n0,x,z\n");
	put_text("b.csv", "b,more,click,a\nz,?,0,x\n");
	put_text("c.csv", "click,a\n0,x\n");
	EXPECT(OPEN(&d, &e, "train_data=a.csv", "valid_data=b.csv") == RC_OK, "%s", e.msg);
	char *got = d ? dump(d, PART_VALID) : mem_dup("");
	char *train = d ? dump(d, PART_TRAIN) : mem_dup("");
	EXPECT(strstr(train, got) && strlen(got) > 10, "%s is not in %s", got, train);
	mem_free(got);
	mem_free(train);
	dataset_close(d);
	d = NULL;
	EXPECT(OPEN(&d, &e, "train_data=a.csv,c.csv") == RC_INVALID && !d, "no column b");
	EXPECT(strstr(e.msg, "c.csv:1: there is no column 'b'"), "%s", e.msg);
	put_text("d.ffm", "1 0:1:1\n");
	EXPECT(OPEN(&d, &e, "train_data=a.csv,d.ffm") == RC_INVALID && strstr(e.msg, "libffm data cannot go with csv"),
	       "%s", e.msg);
	drop_dir();
}

/* ---- split ---- */

/* Which of the rows 0 .. n-1, each with a feature of its own value, are in a part. */
static void mark_rows(struct dataset *d, enum part part, int *marks, int n)
{
	struct block b = { 0 };
	for (uint32_t i = 0; i < dataset_info(d)->n_blocks[part]; i++) {
		must(dataset_block(d, part, i, &b, NULL) == RC_OK);
		for (uint32_t k = 0; k < b.n; k++) {
			int id = -1; /* the row's number stands in the value of its feature */
			for (uint32_t j = 0; j < b.examples[k].n; j++)
				id = (int)lround((double)b.examples[k].features[j].value) - 1;
			EXPECT(id >= 0 && id < n, "row %d", id);
			if (id >= 0 && id < n)
				marks[id]++;
		}
	}
	block_fini(&b);
}

TEST(the_split_is_exact)
{
	enum { ROWS = 10007 };
	const struct {
		const char *split, *ratio, *seed;
		int valid;
		bool is_tail;
	} row[] = {
		{ "split=tail", "valid_ratio=0.1", "seed=1", 1001, true },
		{ "split=tail", "valid_ratio=0.25", "seed=1", 2502, true },
		{ "split=tail", "valid_ratio=0", "seed=1", 0, true },
		{ "split=random", "valid_ratio=0.1", "seed=1", 1001, false },
		{ "split=random", "valid_ratio=0.1", "seed=2", 1001, false },
	};
	static int seen[ARRAY_LEN(row)][PARTS][ROWS];
	struct buf b;

	make_dir();
	buf_init(&b, 1 << 20);
	for (int i = 0; i < ROWS; i++)
		buf_addf(&b, "%d 5:%d\n", i % 3 == 0, i + 1);
	put_file("a.svm", b.bytes, b.len);
	memset(seen, 0, sizeof seen);
	FOR_EACH_ROW (i, row) {
		struct err e = { 0 };
		struct dataset *d = NULL;
		enum rc rc = OPEN(&d, &e, "train_data=a.svm", row[i].split, row[i].ratio, row[i].seed);
		EXPECT(rc == RC_OK, "%s", e.msg);
		if (rc != RC_OK)
			continue;
		const struct dataset_info *info = dataset_info(d);
		EXPECT(info->rows[PART_VALID] == row[i].valid && info->rows[PART_TRAIN] == ROWS - row[i].valid,
		       "row %zu: %lld", i, (long long)info->rows[PART_VALID]);
		EXPECT(info->n_blocks[PART_TRAIN] == (uint32_t)(ROWS - row[i].valid + 4095) / 4096, "blocks");
		EXPECT(info->n_fields == 1 && info->n_features == 1 && info->row_features_max == 1, "counts");
		for (int p = 0; p < PARTS; p++)
			mark_rows(d, (enum part)p, seen[i][p], ROWS);
		int wrong = 0;
		for (int k = 0; k < ROWS; k++)
			wrong += seen[i][0][k] + seen[i][1][k] != 1 ||
				 (row[i].is_tail && seen[i][1][k] != (k >= ROWS - row[i].valid));
		EXPECT(wrong == 0, "row %zu: %d rows are in no part or in two", i, wrong);
		dataset_close(d);
	}
	int same = 0;
	for (int k = 0; k < ROWS; k++)
		same += seen[3][PART_VALID][k] && seen[4][PART_VALID][k];
	EXPECT(same > 40 && same < 180, "two seeds share %d rows of about 100", same);
	buf_fini(&b);
	drop_dir();
}

TEST(training_blocks_are_random_samples)
{
	enum { ROWS = 20000 };
	struct err e = { 0 };
	struct dataset *d = NULL;
	struct block b = { 0 };
	struct buf text;

	make_dir();
	buf_init(&text, 1 << 20);
	for (int i = 0; i < ROWS; i++)
		buf_addf(&text, "%d 1:%d\n", i >= ROWS / 2, i + 1); /* sorted by label, as exports are */
	put_file("a.svm", text.bytes, text.len);
	EXPECT(OPEN(&d, &e, "train_data=a.svm", "valid_ratio=0") == RC_OK, "%s", e.msg);
	for (uint32_t i = 0; d && i < dataset_info(d)->n_blocks[PART_TRAIN]; i++) {
		double positives = 0;
		must(dataset_block(d, PART_TRAIN, i, &b, NULL) == RC_OK);
		for (uint32_t k = 0; k < b.n; k++)
			positives += (double)b.examples[k].label;
		EXPECT(fabs(positives / b.n - 0.5) < 0.05, "block %u: %g of %u", i, positives, b.n);
	}
	block_fini(&b);
	dataset_close(d);
	buf_fini(&text);
	drop_dir();
}

TEST(the_shuffle_is_a_permutation)
{
	static const uint64_t sizes[] = { 1, 2, 3, 5, 16, 17, 1000, 4097 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct shuffle s;
		uint64_t sum = 0;
		unsigned char *hit = mem_alloc(sizes[i]);
		shuffle_init(&s, sizes[i], 9);
		for (uint64_t k = 0; k < sizes[i]; k++) {
			uint64_t to = shuffle_of(&s, k);
			must(to < sizes[i]);
			sum += !hit[to];
			hit[to] = 1;
		}
		EXPECT(sum == sizes[i], "%llu of %llu", (unsigned long long)sum, (unsigned long long)sizes[i]);
		mem_free(hit);
	}
}

struct dealt {
	uint64_t next;
	uint32_t blocks;
};

/* Row p has p % 600 features, each of which says p. */
static enum rc check_block(void *ctx, const struct example *rows, uint32_t n, struct err *err)
{
	(void)err;
	struct dealt *t = ctx;
	for (uint32_t i = 0; i < n; i++, t->next++) {
		bool ok = rows[i].n == t->next % 600 && (rows[i].label > 0) == (t->next % 3 == 0);
		for (uint32_t k = 0; ok && k < rows[i].n; k++)
			ok = rows[i].features[k].index == t->next && rows[i].features[k].field == k;
		EXPECT(ok, "row %llu", (unsigned long long)t->next);
	}
	t->blocks++;
	return RC_OK;
}

TEST(dealing_puts_every_row_in_its_place)
{
	enum { ROWS = 5003, BLOCK = 64 };
	static struct feature features[600];
	struct deal *d = NULL;
	struct dealt t = { 0 };
	struct shuffle order;
	struct err e = { 0 };

	make_dir();
	shuffle_init(&order, ROWS, 4);
	/* Told of 100 MiB it makes several groups, whose buffers run over many times. */
	EXPECT(deal_new(in_dir("deal.tmp"), ROWS, (uint64_t)100 << 20, BLOCK, &d, &e) == RC_OK, "%s", e.msg);
	for (uint64_t i = 0; i < ROWS; i++) {
		uint64_t place = shuffle_of(&order, i);
		struct example row = { .label = place % 3 == 0, .n = (uint32_t)(place % 600), .features = features };
		for (uint32_t k = 0; k < row.n; k++)
			features[k] = (struct feature){ k, (uint32_t)place, 1 };
		EXPECT(deal_add(d, place, &row, &e) == RC_OK, "%s", e.msg);
	}
	EXPECT(deal_out(d, check_block, &t, &e) == RC_OK, "%s", e.msg);
	EXPECT(t.next == ROWS && t.blocks == (ROWS + BLOCK - 1) / BLOCK, "%llu rows in %u blocks",
	       (unsigned long long)t.next, t.blocks);
	deal_free(d);
	drop_dir();
}

/* ---- the cache ---- */

struct told {
	char events[512];
	char hash[65];
	int progress;
	int stop_after; /* asks to stop at this question; 0: never */
	int asked;
	const char *append; /* to this file when the hash is known */
};

static void on_event(void *ctx, const char *text)
{
	struct told *t = ctx;
	size_t used = strlen(t->events);
	(void)snprintf(t->events + used, sizeof t->events - used, "%s;", text);
}

static void on_hash(void *ctx, const char *hex)
{
	struct told *t = ctx;
	memcpy(t->hash, hex, 65);
	if (t->append) {
		FILE *f = fopen(t->append, "a");
		must(f && fputs("1,z\n", f) >= 0 && fclose(f) == 0);
	}
}

static void on_progress(void *ctx, int percent)
{
	struct told *t = ctx;
	EXPECT(percent >= t->progress && percent <= DATASET_PERCENT, "progress %d after %d", percent, t->progress);
	t->progress = percent;
}

static bool on_stop(void *ctx)
{
	struct told *t = ctx;
	return ++t->asked == t->stop_after;
}

static struct train_sink sink_of(struct told *t)
{
	return (struct train_sink){
		.ctx = t, .event = on_event, .data_hash = on_hash, .progress = on_progress, .should_stop = on_stop
	};
}

static const char *const small[] = { "train_data=a.csv", "hash_bits=8", NULL };

static void put_small(void)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	write_rows(&b, FORMAT_CSV, 60);
	put_file("a.csv", b.bytes, b.len);
	buf_fini(&b);
}

/* Open the small data set, tell what happened; all its rows as text, mem_free it. */
static char *open_small(struct told *t)
{
	struct err e = { 0 };
	struct dataset *d = NULL;
	struct train_sink sink = sink_of(t);
	enum rc rc = open_with(small, &sink, &d, &e);
	EXPECT(rc == RC_OK, "%s", e.msg);
	char *got = d ? dump(d, PART_TRAIN) : mem_dup("");
	dataset_close(d);
	return got;
}

TEST(a_cache_is_used_again)
{
	struct told first = { 0 }, second = { 0 }, other = { 0 };
	struct train_sink sink = sink_of(&other);
	struct dataset *d = NULL;

	make_dir();
	put_small();
	char *a = open_small(&first), *b = open_small(&second);
	EXPECT(strstr(first.events, "building") && strstr(second.events, "found"), "%s / %s", first.events,
	       second.events);
	EXPECT(strlen(first.hash) == 64 && strcmp(first.hash, second.hash) == 0, "%s", first.hash);
	EXPECT(strcmp(a, b) == 0, "rows differ");
	EXPECT(first.progress == DATASET_PERCENT, "progress %d", first.progress);
	must(open_with((const char *const[]){ "train_data=a.csv", "hash_bits=9", NULL }, &sink, &d, NULL) == RC_OK);
	EXPECT(strstr(other.events, "building"), "another option: %s", other.events);
	dataset_close(d);
	put_text("a.csv", "click,a\n1,x\n0,y\n");
	struct told third = { 0 };
	mem_free(open_small(&third));
	EXPECT(strstr(third.events, "building") && strcmp(third.hash, first.hash) != 0, "other data: %s", third.events);
	mem_free(a);
	mem_free(b);
	drop_dir();
}

TEST(a_cache_damaged_anywhere_is_built_again)
{
	struct told t = { 0 };
	char path[PATH_MAX];

	make_dir();
	put_small();
	char *want = open_small(&t);
	cache_path(path);
	struct buf whole = read_whole(path);
	for (size_t at = 0; at < whole.len; at += at < 200 || whole.len - at < 80 ? 1 : 7) {
		char kept = whole.bytes[at];
		struct told again = { 0 };
		whole.bytes[at] = (char)(kept ^ 1 << at % 8);
		must(file_replace(path, whole.bytes, whole.len, 0600, NULL) == RC_OK);
		whole.bytes[at] = kept;
		char *got = open_small(&again);
		EXPECT(strstr(again.events, "damaged"), "byte %zu: %s", at, again.events);
		EXPECT(strcmp(got, want) == 0, "byte %zu: rows differ", at);
		mem_free(got);
	}
	for (size_t len = 0; len < whole.len; len += whole.len / 9) {
		struct told again = { 0 };
		must(file_replace(path, whole.bytes, len, 0600, NULL) == RC_OK);
		mem_free(open_small(&again));
		EXPECT(strstr(again.events, "damaged"), "cut to %zu: %s", len, again.events);
	}
	buf_fini(&whole);
	mem_free(want);
	drop_dir();
}

TEST(a_run_can_be_stopped_while_it_reads)
{
	make_dir();
	put_small();
	for (int at = 1; at <= 3; at++) {
		struct told t = { .stop_after = at };
		struct train_sink sink = sink_of(&t);
		struct dataset *d = NULL;
		struct err e = { 0 };
		EXPECT(open_with(small, &sink, &d, &e) == RC_TIMEOUT && !d, "%d: %s", at, e.msg);
		char *left = names_with(".tmp"), *caches = names_with(".cache");
		EXPECT(!*left && !*caches, "%s%s", left, caches);
		mem_free(left);
		mem_free(caches);
	}
	drop_dir();
}

TEST(data_that_change_while_they_are_read_are_refused)
{
	make_dir();
	put_text("a.csv", "click,a\n1,x\n0,y\n");
	struct told t = { .append = in_dir("a.csv") };
	struct train_sink sink = sink_of(&t);
	struct dataset *d = NULL;
	struct err e = { 0 };
	EXPECT(open_with(small, &sink, &d, &e) == RC_INVALID && !d, "%s", e.msg);
	EXPECT(strstr(e.msg, "changed"), "%s", e.msg);
	drop_dir();
}

/* ---- failing system calls ---- */

static int calls_left;
static int failing_errno;

static bool fails(void)
{
	errno = failing_errno;
	return calls_left > 0 && --calls_left == 0;
}

static ssize_t failing_write(int fd, const void *bytes, size_t n) { return fails() ? -1 : os_real.write(fd, bytes, n); }
static ssize_t failing_read(int fd, void *bytes, size_t n) { return fails() ? -1 : os_real.read(fd, bytes, n); }
static int failing_open(const char *path, int flags, mode_t mode)
{
	return fails() ? -1 : os_real.open(path, flags, mode);
}
static int failing_fsync(int fd) { return fails() ? -1 : os_real.fsync(fd); }
static int failing_rename(const char *from, const char *to) { return fails() ? -1 : os_real.rename(from, to); }

TEST(every_failing_call_is_reported_and_leaves_nothing)
{
	const struct {
		const char *name;
		int sys;
		enum rc rc;
	} row[] = {
		{ "write", ENOSPC, RC_BUSY }, { "read", EIO, RC_IO },   { "open", EMFILE, RC_IO },
		{ "fsync", EIO, RC_IO },      { "rename", EIO, RC_IO },
	};
	make_dir();
	put_small();
	FOR_EACH_ROW (i, row) {
		int n = 1;
		for (bool failed = true; failed && n < 200; n++) {
			struct err e = { 0 };
			struct dataset *d = NULL;
			calls_left = n;
			failing_errno = row[i].sys;
			os.write = i == 0 ? failing_write : os_real.write;
			os.read = i == 1 ? failing_read : os_real.read;
			os.open = i == 2 ? failing_open : os_real.open;
			os.fsync = i == 3 ? failing_fsync : no_fsync;
			os.rename = i == 4 ? failing_rename : os_real.rename;
			enum rc rc = open_with(small, NULL, &d, &e);
			failed = calls_left == 0;
			os = os_real;
			os.fsync = no_fsync;
			EXPECT(failed ? rc == row[i].rc && !d : rc == RC_OK, "%s %d: %s %s", row[i].name, n,
			       rc_name(rc), e.msg);
			dataset_close(d);
			char *left = names_with("tmp");
			EXPECT(!*left, "%s %d leaves %s", row[i].name, n, left);
			mem_free(left);
			char *caches = names_with(".cache");
			if (*caches) {
				char path[PATH_MAX];
				cache_path(path);
				must(file_remove(path, NULL) == RC_OK);
			}
			mem_free(caches);
		}
		EXPECT(n > 2 && n < 200, "%s: %d", row[i].name, n);
	}
	drop_dir();
}

/* ---- rows to predict ---- */

static char *read_rows(const struct dataset_info *info, const char *name, const char *format, struct err *err)
{
	struct row_reader *r = NULL;
	struct buf out;
	bool has_label, has = true;
	buf_init(&out, (size_t)64 << 20);
	enum rc rc = row_reader_open(info->schema_json, info->hash_bits, info->seen, in_dir(name), format, &r, err);
	while (rc == RC_OK && has) {
		struct example e;
		rc = row_reader_next(r, &e, &has_label, &has, err);
		if (rc == RC_OK && has)
			print_example(&out, &e);
	}
	row_reader_close(r);
	if (rc == RC_OK)
		return buf_take(&out);
	buf_fini(&out);
	return NULL;
}

TEST(rows_to_predict_get_the_features_of_training)
{
	struct err e = { 0 };
	struct dataset *d = NULL;
	struct buf b;

	make_dir();
	buf_init(&b, 8 << 20);
	write_rows(&b, FORMAT_CSV, 5000);
	put_file("a.csv", b.bytes, b.len);
	/* Validation rows keep their order, so they can be compared one by one. */
	char *cut = memrchr(b.bytes, '\n', b.len - 40 * 20);
	put_file("v.csv", b.bytes, (size_t)(cut + 1 - b.bytes));
	put_file("p.csv", b.bytes, (size_t)(cut + 1 - b.bytes));
	EXPECT(OPEN(&d, &e, "train_data=a.csv", "valid_data=v.csv") == RC_OK, "%s", e.msg);
	const struct dataset_info *info = dataset_info(d);
	char *want = dump(d, PART_VALID);
	char *got = read_rows(info, "p.csv", NULL, &e);
	EXPECT(got && strcmp(got, want) == 0, "differ: %s", e.msg);
	mem_free(got);
	buf_reset(&b);
	write_rows(&b, FORMAT_JSONL, 3);
	put_file("p.jsonl", b.bytes, b.len);
	got = read_rows(info, "p.jsonl", "jsonl", &e);
	EXPECT(got && strncmp(got, want, strlen(got)) == 0, "jsonl: %s, not %.200s", got, want);
	mem_free(got);
	put_text("q.csv", "hour,price,tags,user\n3,,never-seen,u1\n");
	got = read_rows(info, "q.csv", "", &e);
	EXPECT(got && strncmp(got, "0 0.707106769 0:", 16) == 0 && strstr(got, " 3:"), "no label, other order: %s %s",
	       got, e.msg);
	mem_free(got);
	put_text("r.csv", "user,price,tags\nu1,1.0,a\n");
	got = read_rows(info, "r.csv", NULL, &e);
	EXPECT(!got && strstr(e.msg, "r.csv:1: there is no column 'hour'"), "%s", e.msg);
	got = read_rows(info, "p.csv", "xml", &e);
	EXPECT(!got && strstr(e.msg, "format 'xml'"), "%s", e.msg);
	got = read_rows(&(struct dataset_info){ .schema_json = "{}", .hash_bits = 8, .seen = info->seen }, "p.csv",
			NULL, &e);
	EXPECT(!got && strstr(e.msg, "damaged"), "%s", e.msg);
	mem_free(want);
	dataset_close(d);
	buf_fini(&b);
	drop_dir();
}

TEST(features_never_seen_in_training_are_dropped)
{
	struct err e = { 0 };
	struct dataset *d = NULL;
	make_dir();
	put_text("a.ffm", "1 0:1:1 1:2:1\n0 0:3:1\n");
	put_text("v.ffm", "1 0:1:1 0:9:1 5:2:1\n1 0:7:1\n");
	EXPECT(OPEN(&d, &e, "train_data=a.ffm", "valid_data=v.ffm") == RC_OK, "%s", e.msg);
	const struct dataset_info *info = dataset_info(d);
	EXPECT(info->n_fields == 2 && info->n_features == 3, "%u %u", info->n_fields, info->n_features);
	char *valid = dump(d, PART_VALID), *rows = read_rows(info, "v.ffm", NULL, &e);
	EXPECT(strncmp(valid, "1 1 0:", 6) == 0 && strstr(valid, "\n1 1\n"), "%s", valid);
	EXPECT(rows && strcmp(rows, valid) == 0, "%s", rows);
	mem_free(valid);
	mem_free(rows);
	dataset_close(d);
	drop_dir();
}

/* ---- bounds ---- */

/* Resident memory of our own, without mapped files, in KiB. */
static long own_memory(void)
{
	long all = 0, resident = 0, shared = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	must(f && fscanf(f, "%ld %ld %ld", &all, &resident, &shared) == 3);
	must(fclose(f) == 0);
	return (resident - shared) * (sysconf(_SC_PAGESIZE) / 1024);
}

static void on_progress_weigh(void *ctx, int percent)
{
	long *peak = ctx, now = percent >= 0 ? own_memory() : 0;
	*peak = now > *peak ? now : *peak;
}

/* Runs first: under the address sanitizer, memory that earlier tests freed would hide what is taken. */
TEST(memory_does_not_grow_with_the_data)
{
	static const int rows[] = { 200000, 800000 };
	long growth[2] = { 0, 0 };

	make_dir();
	for (int i = 0; i < 2; i++) {
		struct err e = { 0 };
		struct dataset *d = NULL;
		double auc, loss;
		long before = own_memory(), peak = 0;
		const struct train_sink sink = { .ctx = &peak, .progress = on_progress_weigh };
		EXPECT(sample_shop(in_dir("big.csv"), rows[i], 1, &auc, &loss, &e) == RC_OK, "%s", e.msg);
		EXPECT(open_with((const char *const[]){ "train_data=big.csv", NULL }, &sink, &d, &e) == RC_OK, "%s",
		       e.msg);
		growth[i] = peak - before;
		dataset_close(d);
	}
	/* 800,000 rows are 70,000 KiB as features; one group of blocks takes 16,384 KiB, and some to sort it. */
	EXPECT(growth[0] > 0 && growth[1] < 45000 && growth[1] - growth[0] < 24000,
	       "%ld KiB with 200,000 rows, %ld with 800,000", growth[0], growth[1]);
	drop_dir();
}

/* ---- garbage ---- */

TEST(garbage_never_crashes)
{
	static const struct {
		const char *name, *text;
	} seeds[] = {
		{ "a.csv", "click,a,b\n1,\"x\"\"y\",2.5\n0,\"p\nq\",3\n1,,\n0,z|w,1e3\n" },
		{ "a.tsv", "click\ta\r\n1\tx\r\n0\ty\r\n" },
		{ "a.jsonl", "{\"click\":1,\"a\":[\"x\",2],\"b\":1.5}\n{\"click\":0,\"a\":null,\"b\":true}\n" },
		{ "a.ffm", "1 0:1:1 1:2:0.5\n0 0:3:1\n" },
		{ "a.svm", "-1 1:1 2:2 # c\n+1 3:1\n" },
		{ "a", "1 2:3\n0 1:1\n" },
	};
	struct rng r;
	int opened = 0, refused = 0;

	make_dir();
	rng_init(&r, 11);
	for (int i = 0; i < 600; i++) {
		size_t which = rng_below(&r, ARRAY_LEN(seeds)), packing = rng_below(&r, 8);
		unsigned char bytes[4096];
		char data[64];
		struct err e = { 0 };
		struct dataset *d = NULL;
		packer *pack = packing < ARRAY_LEN(packers) ? packers[packing].pack : pack_plain;
		size_t len = pack(seeds[which].text, strlen(seeds[which].text), bytes, sizeof bytes);
		for (uint64_t k = rng_below(&r, 4); k > 0; k--) {
			size_t at = rng_below(&r, len);
			bytes[at] = rng_below(&r, 2) ? (unsigned char)rng_below(&r, 256)
						     : (unsigned char)"\",\n\t:{[0.\\"[rng_below(&r, 10)];
		}
		put_file(seeds[which].name, bytes, rng_below(&r, 5) ? len : rng_below(&r, len));
		(void)snprintf(data, sizeof data, "train_data=%s", seeds[which].name);
		enum rc rc = OPEN(&d, &e, data, "valid_ratio=0", "hash_bits=8");
		EXPECT((rc == RC_OK) == (d != NULL), "rc and output disagree");
		EXPECT(rc == RC_OK || rc == RC_INVALID || rc == RC_LIMIT, "%s: %s", rc_name(rc), e.msg);
		EXPECT(rc == RC_OK || (e.msg[0] && !strpbrk(e.msg, "\n\r")), "message '%s'", e.msg);
		opened += rc == RC_OK;
		refused += rc != RC_OK;
		if (d)
			mem_free(dump(d, PART_TRAIN));
		dataset_close(d);
	}
	EXPECT(opened > 50 && refused > 50, "%d opened, %d refused: the seeds are not changed well", opened, refused);
	drop_dir();
}

/* ---- simulated data ---- */

TEST(the_sample_shop_is_learnable_and_repeats)
{
	double auc = 0, loss = 0, auc2 = 0, loss2 = 0;
	struct err e = { 0 };
	struct dataset *d = NULL;

	make_dir();
	EXPECT(sample_shop(in_dir("a.csv"), 100000, 5, &auc, &loss, &e) == RC_OK, "%s", e.msg);
	EXPECT(auc > 0.78 && auc < 0.83 && loss > 0.4 && loss < 0.5, "auc %g, logloss %g", auc, loss);
	EXPECT(sample_shop(in_dir("b.csv"), 100000, 5, &auc2, &loss2, &e) == RC_OK, "%s", e.msg);
	struct buf a = read_whole(in_dir("a.csv")), b = read_whole(in_dir("b.csv"));
	EXPECT(a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0 && fabs(auc - auc2) < 1e-15,
	       "one seed, two files");
	EXPECT(strncmp(a.bytes, "click,user_id,item_id,category,hour,position,price\n", 51) == 0, "heading");
	EXPECT(OPEN(&d, &e, "train_data=a.csv") == RC_OK, "%s", e.msg);
	EXPECT(dataset_info(d)->rows[PART_TRAIN] == 90000 && dataset_info(d)->n_fields == 6, "rows");
	EXPECT(strstr(dataset_info(d)->schema_json, "{\"name\":\"price\",\"kind\":\"number\""), "%s",
	       dataset_info(d)->schema_json);
	EXPECT(strstr(dataset_info(d)->schema_json, "{\"name\":\"hour\",\"kind\":\"category\""), "hour");
	EXPECT(sample_shop(in_dir("c.csv"), 9, 5, &auc, &loss, &e) == RC_INVALID && !file_exists(in_dir("c.csv")), "%s",
	       e.msg);
	EXPECT(sample_shop(in_dir("none/c.csv"), 10, 5, &auc, &loss, &e) != RC_OK, "no folder");
	dataset_close(d);
	buf_fini(&a);
	buf_fini(&b);
	drop_dir();
}

/* ---- real data, where there are some ---- */

TEST(real_data)
{
	const struct {
		const char *file, *options[5];
		int64_t rows, positives;
	} row[] = {
		{ "movielens-latest-small/ratings.csv.xz",
		  { "label_field=rating", "positive=>=4", "feature_fields=userId,movieId", "valid_ratio=0" },
		  100836,
		  48580 },
		{ "criteo-small/sample_test.csv.xz", { "label_field=0", "valid_ratio=0" }, 5000, -1 },
		{ "criteo-small/head_train.tsv.xz", { "header=false", "label_field=0", "valid_ratio=0" }, 7200, -1 },
		{ "goodbooks-ratings/ratings.csv.xz",
		  { "label_field=rating", "positive=>=4", "valid_ratio=0" },
		  981756,
		  650327 },
	};
	const char *base = getenv("STINT_TEST_DATA");
	make_dir();
	FOR_EACH_ROW (i, row) {
		char from[PATH_MAX];
		struct err e = { 0 };
		struct dataset *d = NULL;
		const char *texts[7] = { "train_data=link.x" };
		(void)snprintf(from, sizeof from, "%s/%s", base ? base : "", row[i].file);
		if (!base || !file_exists(from)) {
			printf("skipped real_data %s: no data\n", row[i].file);
			continue;
		}
		memcpy(texts + 1, row[i].options, sizeof row[i].options);
		(void)unlink(in_dir("link.x"));
		must(symlink(from, in_dir("link.x")) == 0);
		EXPECT(open_with(texts, NULL, &d, &e) == RC_OK, "%s: %s", row[i].file, e.msg);
		if (d)
			EXPECT(dataset_info(d)->rows[PART_TRAIN] == row[i].rows &&
				       (row[i].positives < 0 ||
					dataset_info(d)->positives[PART_TRAIN] == row[i].positives),
			       "%s: %lld rows, %lld positive", row[i].file,
			       (long long)dataset_info(d)->rows[PART_TRAIN],
			       (long long)dataset_info(d)->positives[PART_TRAIN]);
		dataset_close(d);
	}
	drop_dir();
}

int main(void)
{
	os.fsync = no_fsync;
	RUN(memory_does_not_grow_with_the_data);
	RUN(every_packing_gives_back_the_bytes);
	RUN(damaged_packings_are_refused_by_name);
	RUN(csv_records_follow_rfc_4180);
	RUN(hashes_are_those_of_the_documentation);
	RUN(numbers_fall_into_buckets);
	RUN(every_format_gives_the_features_it_should);
	RUN(bad_data_are_refused_by_file_line_and_value);
	RUN(limits_are_refused);
	RUN(files_outside_of_the_roots_are_denied);
	RUN(options_have_their_defaults);
	RUN(options_that_disagree_are_refused);
	RUN(the_vendors_column_names_are_features);
	RUN(label_rules);
	RUN(the_same_rows_in_any_form_give_the_same_blocks);
	RUN(later_files_may_have_their_columns_in_another_order);
	RUN(the_split_is_exact);
	RUN(training_blocks_are_random_samples);
	RUN(the_shuffle_is_a_permutation);
	RUN(dealing_puts_every_row_in_its_place);
	RUN(a_cache_is_used_again);
	RUN(a_cache_damaged_anywhere_is_built_again);
	RUN(a_run_can_be_stopped_while_it_reads);
	RUN(data_that_change_while_they_are_read_are_refused);
	RUN(every_failing_call_is_reported_and_leaves_nothing);
	RUN(rows_to_predict_get_the_features_of_training);
	RUN(features_never_seen_in_training_are_dropped);
	RUN(garbage_never_crashes);
	RUN(the_sample_shop_is_learnable_and_repeats);
	RUN(real_data);
	return test_failures != 0;
}
