/*
 * Comma- and tab-separated files. Records and cells are those of an obvious reader of RFC 4180; cells written in
 * quotation marks come back; and what holds of rows in any format (rows.h).
 */
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "rows.h"
#include "train/csv.h"

enum { TEXT_MAX = 1 << 24 };

/* ---- the obvious reader: one character after the other, cells gathered with a mark behind each ---- */

enum { CELL_END = 0x01, RECORD_END = 0x02 }; /* marks; told from data by an escape before data of that kind */

static void put(struct buf *out, char c)
{
	buf_addc(out, '=');
	buf_addc(out, c);
}

/* False: the text is malformed. */
static bool ref_read(struct buf *out, const char *p, const char *end, char separator)
{
	while (p < end) {
		if (*p == '\n' || (*p == '\r' && (p + 1 == end || p[1] == '\n'))) { /* an empty line */
			p += *p == '\r' && p + 1 < end ? 2 : 1;
			continue;
		}
		for (bool more = true; more;) {
			if (p < end && *p == '"') {
				for (p++; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++) {
					put(out, *p);
					p += *p == '"';
				}
				if (p++ >= end)
					return false;
			} else {
				while (p < end && *p != separator && *p != '\n' &&
				       !(*p == '\r' && (p + 1 == end || p[1] == '\n')))
					put(out, *p++);
			}
			buf_addc(out, CELL_END);
			more = p < end && *p == separator;
			if (more)
				p++;
			else if (p < end && *p != '\n' && !(*p == '\r' && (p + 1 == end || p[1] == '\n')))
				return false;
		}
		if (p < end && *p == '\r')
			p++;
		if (p < end)
			p++;
		buf_addc(out, RECORD_END);
	}
	return true;
}

/* ---- ours, in the same form ---- */

static enum rc read_all(struct buf *out, const void *bytes, size_t size, char separator, struct err *err)
{
	struct lines l;
	struct cells cells = { 0 };
	struct fuzz_file f;
	bool has = true;

	fuzz_file_open(&f, bytes, size);
	enum rc rc = lines_open(&l, f.path, INFLATE_FILE, NULL, err);
	CHECK(rc == RC_OK, "%s", err->msg);
	while (rc == RC_OK && has) {
		rc = csv_next(&l, separator, &cells, &has, err);
		for (size_t i = 0; rc == RC_OK && has && i < cells.n; i++) {
			for (size_t k = 0; k < cells.items[i].len; k++)
				put(out, cells.items[i].bytes[k]);
			buf_addc(out, CELL_END);
		}
		if (rc == RC_OK && has)
			buf_addc(out, RECORD_END);
	}
	cells_fini(&cells);
	lines_close(&l);
	fuzz_file_close(&f);
	return rc;
}

static void check_reference(const char *bytes, size_t size, char separator)
{
	struct buf want, got;
	struct err err = { 0 };

	buf_init(&want, TEXT_MAX);
	buf_init(&got, TEXT_MAX);
	bool is_good = ref_read(&want, bytes, bytes + size, separator);
	enum rc rc = read_all(&got, bytes, size, separator, &err);
	if (rc == RC_LIMIT)
		is_good = false; /* more columns than are taken */
	CHECK(is_good == (rc == RC_OK), "the reference says %d, we %s", is_good, err.msg);
	if (rc == RC_OK)
		CHECK(fuzz_is_same(want.bytes, want.len, got.bytes, got.len), "'%s', not '%s'", buf_text(&got),
		      buf_text(&want));
	else
		fuzz_check_refusal(rc, &err);
	buf_fini(&want);
	buf_fini(&got);
}

/* The input cut anywhere into cells and records, written in quotation marks. */
static void check_round_trip(const char *bytes, size_t size, char separator, struct rng *r)
{
	struct buf text, want, got;
	struct err err = { 0 };

	buf_init(&text, TEXT_MAX);
	buf_init(&want, TEXT_MAX);
	buf_init(&got, TEXT_MAX);
	for (size_t i = 0; i < size;) {
		buf_addc(&text, '"');
		for (size_t n = rng_below(r, 20); n && i < size; n--, i++) {
			buf_adds(&text, bytes[i] == '"' ? "\"" : "");
			buf_addc(&text, bytes[i]);
			put(&want, bytes[i]);
		}
		buf_addc(&text, '"');
		buf_addc(&want, CELL_END);
		bool is_last = i == size || rng_below(r, 3) == 0;
		buf_adds(&text, is_last ? (rng_below(r, 2) ? "\n" : "\r\n") : (char[]){ separator, '\0' });
		if (is_last)
			buf_addc(&want, RECORD_END);
	}
	enum rc rc = read_all(&got, text.bytes, text.len, separator, &err);
	CHECK(rc == RC_OK, "%s", err.msg);
	CHECK(fuzz_is_same(want.bytes, want.len, got.bytes, got.len), "'%s' came back as '%s'", buf_text(&want),
	      buf_text(&got));
	buf_fini(&text);
	buf_fini(&want);
	buf_fini(&got);
}

/* As plain text: what a packer or another encoding begins with is not csv's matter. */
static bool is_text(const char *bytes, size_t size)
{
	return !size || ((unsigned char)bytes[0] < 0x80 && bytes[0] != 0x1f && bytes[0] != 0x28 &&
			 (size < 4 || memcmp(bytes + 1, "\x2a\x4d\x18", 3) != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = size ? (const char *)data : "";
	struct rng r;

	fuzz_chance(&r, data, size);
	if (is_text(bytes, size))
		check_reference(bytes, size, rng_below(&r, 4) ? ',' : '\t');
	check_round_trip(bytes, size, ',', &r);
	rows_check(rng_below(&r, 4) ? FORMAT_CSV : FORMAT_TSV, data, size);
	return 0;
}
