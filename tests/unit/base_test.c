#include "base/arena.h"
#include <math.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/worry.h"
#include "test.h"

/* ---- arena ---- */

TEST(arena_gives_zeroed_aligned_memory_that_stays)
{
	struct arena *a = arena_new(1 << 20);
	unsigned char *got[200];
	size_t sizes[200];

	for (size_t i = 0; i < 200; i++) {
		sizes[i] = i * i % 3001;
		got[i] = arena_alloc(a, sizes[i]);
		EXPECT(got[i] && (uintptr_t)got[i] % 16 == 0, "size %zu", sizes[i]);
		for (size_t j = 0; j < sizes[i]; j++)
			EXPECT(got[i][j] == 0, "size %zu: byte %zu not zero", sizes[i], j);
		if (sizes[i])
			memset(got[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < 200; i++) {
		for (size_t j = 0; j < sizes[i]; j++)
			EXPECT(got[i][j] == (unsigned char)(i + 1), "block %zu was overwritten", i);
	}
	arena_free(a);
	arena_free(NULL);
}

TEST(arena_keeps_its_ceiling_and_stays_full)
{
	struct arena *a = arena_new(100);

	EXPECT(arena_alloc(a, 60) && !arena_is_full(a), "60 of 100");
	EXPECT(!arena_alloc(a, 41) && arena_is_full(a), "101 of 100");
	EXPECT(!arena_alloc(a, 1), "a full arena went on");
	EXPECT(!arena_dup(a, "x") && !arena_dup_n(a, NULL, 5) && !arena_dup(a, NULL), "dup in a full arena");
	EXPECT(!arena_printf(a, "%d", 1) && !arena_array(a, 1, 1), "a full arena went on");
	arena_reset(a);
	EXPECT(!arena_is_full(a) && arena_alloc(a, 100), "all of it after reset");
	EXPECT(!arena_alloc(a, 1), "101 of 100");
	arena_reset(a);
	EXPECT(!arena_array(a, SIZE_MAX / 2, 3) && arena_is_full(a), "a product that wraps");
	arena_free(a);
	a = arena_new(SIZE_MAX);
	EXPECT(!arena_alloc(a, SIZE_MAX - 3) && arena_is_full(a), "a size that wraps when rounded up");
	arena_free(a);
}

static char cleanup_order[8];
static void note(void *arg) { strncat(cleanup_order, arg, 1); }

TEST(arena_cleanups_run_last_in_first_out)
{
	char one[] = "1", two[] = "2", three[] = "3";
	struct arena *a = arena_new(0);

	cleanup_order[0] = '\0';
	arena_cleanup(a, note, one);
	arena_cleanup(a, note, two);
	EXPECT(!*cleanup_order, "ran early: %s", cleanup_order);
	arena_reset(a);
	EXPECT(strcmp(cleanup_order, "21") == 0, "%s", cleanup_order);
	arena_cleanup(a, note, three);
	arena_freep(&a);
	EXPECT(strcmp(cleanup_order, "213") == 0, "%s", cleanup_order);
}

TEST(arena_texts)
{
	struct arena *a = arena_new(1000);
	const char *s = arena_printf(a, "%s-%03d", "x", 7);
	EXPECT(strcmp(s, "x-007") == 0, "%s", s);
	s = arena_dup_n(a, "a\0b", 3);
	EXPECT(memcmp(s, "a\0b", 4) == 0, "bytes with a NUL");
	s = arena_dup_n(a, NULL, 0);
	EXPECT(s && !*s, "no bytes");
	EXPECT(!arena_dup(a, NULL) && !arena_is_full(a), "NULL gives NULL and is no failure");
	arena_free(a);
}

/* ---- buf ---- */

TEST(buf_grows_to_its_ceiling_and_no_further)
{
	struct buf b;
	buf_init(&b, 10);
	EXPECT(strcmp(buf_text(&b), "") == 0, "empty");
	buf_adds(&b, "12345");
	buf_addf(&b, "%s%d", "678", 90);
	EXPECT(!b.is_over && strcmp(buf_text(&b), "1234567890") == 0, "%s", buf_text(&b));
	buf_addc(&b, 'x');
	EXPECT(b.is_over && strcmp(buf_text(&b), "1234567890") == 0, "%s", buf_text(&b));
	buf_drop_front(&b, 8);
	buf_addc(&b, 'x');
	EXPECT(b.is_over && strcmp(buf_text(&b), "90") == 0, "sticky: %s", buf_text(&b));
	buf_reset(&b);
	EXPECT(!b.is_over && b.len == 0 && strcmp(buf_text(&b), "") == 0, "reset: %s", buf_text(&b));
	buf_addf(&b, "%s", "12345678901");
	EXPECT(b.is_over && b.len == 0, "too long at once: %s", buf_text(&b));
	buf_fini(&b);
	buf_init(&b, SIZE_MAX);
	buf_add(&b, "a\0b", 3);
	EXPECT(b.len == 3 && memcmp(buf_text(&b), "a\0b", 4) == 0, "bytes with a NUL");
	buf_add(&b, NULL, SIZE_MAX);
	EXPECT(b.is_over && b.len == 3, "a length that wraps");
	buf_fini(&b);
}

TEST(buf_take_moves_the_bytes_out)
{
	struct buf b;
	buf_init(&b, 10);
	char *none = buf_take(&b);
	EXPECT(none && !*none, "taking nothing gives an empty text");
	buf_adds(&b, "abc");
	char *p = buf_take(&b);
	EXPECT(strcmp(p, "abc") == 0 && !b.bytes && !b.len && b.ceiling == 10, "%s", p);
	buf_adds(&b, "d");
	EXPECT(strcmp(buf_text(&b), "d") == 0 && strcmp(p, "abc") == 0, "shares the storage");
	buf_drop_front(&b, 0);
	buf_drop_front(&b, 1);
	EXPECT(b.len == 0 && !*buf_text(&b), "%s", buf_text(&b));
	mem_free(p);
	mem_free(none);
	buf_fini(&b);
	buf_fini(&b);
}

/* ---- num ---- */

TEST(integers_are_whole_texts)
{
	const struct {
		const char *text;
		bool ok;
		int64_t value;
	} row[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "007", true, 7 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "", false, 0 },
		{ "-", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1\n", false, 0 },
		{ "0x1", false, 0 },
		{ "1.0", false, 0 },
		{ "--1", false, 0 },
	};
	FOR_EACH_ROW (i, row) {
		int64_t v = 42;
		EXPECT(num_i64(row[i].text, &v) == row[i].ok, "'%s'", row[i].text);
		EXPECT(v == (row[i].ok ? row[i].value : 42), "'%s': %lld", row[i].text, (long long)v);
		uint64_t u = 42;
		bool unsigned_ok =
		        (row[i].ok && row[i].text[0] != '-') || strcmp(row[i].text, "9223372036854775808") == 0;
		EXPECT(num_u64(row[i].text, &u) == unsigned_ok, "'%s' unsigned", row[i].text);
		EXPECT(unsigned_ok || u == 42, "'%s': output touched", row[i].text);
	}
	uint64_t u = 0;
	EXPECT(num_u64("18446744073709551615", &u) && u == UINT64_MAX, "largest");
	EXPECT(!num_u64("18446744073709551616", &u) && u == UINT64_MAX, "one more");
	int64_t v = 42;
	EXPECT(num_i64_n("123x", 3, &v) && v == 123, "only len bytes count");
	EXPECT(!num_i64_n("1\0", 2, &v) && v == 123, "a NUL is no digit");
}

TEST(reals_are_whole_texts)
{
	const struct {
		const char *text;
		bool ok;
		double value;
	} row[] = {
		{ "0", true, 0 },    { "-1.5e3", true, -1500 }, { "+2", true, 2 },    { ".5", true, .5 },
		{ "5.", true, 5 },   { "1e-400", true, 0 },     { "0.1", true, 0.1 }, { "1e400", false, 0 },
		{ "", false, 0 },    { ".", false, 0 },         { "e5", false, 0 },   { "1e", false, 0 },
		{ "1,5", false, 0 }, { " 1", false, 0 },        { "1 ", false, 0 },   { "nan", false, 0 },
		{ "inf", false, 0 }, { "0x1p3", false, 0 },     { "1-1", false, 0 },
	};
	FOR_EACH_ROW (i, row) {
		double v = 42;
		EXPECT(num_f64(row[i].text, &v) == row[i].ok, "'%s'", row[i].text);
		EXPECT(fabs(v - (row[i].ok ? row[i].value : 42)) < 1e-300, "'%s': %g", row[i].text, v);
		double n = 42;
		EXPECT(num_f64_n(row[i].text, strlen(row[i].text), &n) == row[i].ok, "'%s' by length", row[i].text);
	}
	double v = 42;
	EXPECT(!num_f64_n(NULL, 0, &v) && !num_f64_n("1\0002", 3, &v), "nothing, or a NUL");
	EXPECT(num_f64_n("1.25,", 4, &v) && v > 1.24 && v < 1.26, "%g", v);
	char digits[65];
	memset(digits, '1', sizeof digits);
	EXPECT(num_f64_n(digits, 63, &v) && !num_f64_n(digits, 64, &v), "at most 63 bytes");
}

TEST(canonical_numbers)
{
	const struct {
		const char *text;
		bool is;
	} row[] = { { "1", true },
		    { "10", true },
		    { "9223372036854775807", true },
		    { "0", false },
		    { "01", false },
		    { "-1", false },
		    { "+1", false },
		    { "", false },
		    { "1a", false },
		    { "9223372036854775808", false } };
	FOR_EACH_ROW (i, row)
		EXPECT(num_is_canonical(row[i].text) == row[i].is, "'%s'", row[i].text);
}

TEST(takers_move_past_what_they_accept)
{
	const char *p = "12,34x", *start = p;
	int v = 0;
	EXPECT(take_int(&p, &v) && v == 12 && *p == ',', "%d at %s", v, p);
	EXPECT(!take_int(&p, &v) && v == 12 && p == start + 2, "no digit");
	EXPECT(!take_char(&p, ';') && take_char(&p, ','), "comma");
	EXPECT(take_int(&p, &v) && v == 34 && *p == 'x', "%d at %s", v, p);
	const char *big = "2147483648", *at = big;
	EXPECT(!take_int(&at, &v) && at == big && v == 34, "past INT_MAX");
	at = "2147483647";
	EXPECT(take_int(&at, &v) && v == 2147483647 && !*at, "INT_MAX");
}

/* ---- clock ---- */

TEST(times_print_and_parse_back)
{
	const struct {
		int64_t ms;
		const char *text, *with_ms;
	} row[] = {
		{ 0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z" },
		{ INT64_C(1795304172007), "2026-11-21T23:36:12Z", "2026-11-21T23:36:12.007Z" },
		{ INT64_C(951782400999), "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.999Z" },
		{ -1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999Z" },
		{ -1000, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000Z" },
		{ INT64_C(-30641760000000), "0999-01-01T00:00:00Z", "0999-01-01T00:00:00.000Z" },
		{ INT64_C(253402300799000), "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z" },
	};
	FOR_EACH_ROW (i, row) {
		char text[CLOCK_TEXT_SIZE];
		int64_t s = row[i].ms / 1000 - (row[i].ms % 1000 < 0), back = 42;
		clock_iso(text, s);
		EXPECT(strcmp(text, row[i].text) == 0, "%s, not %s", text, row[i].text);
		EXPECT(clock_parse_iso(text, &back) && back == s, "%s: %lld", text, (long long)back);
		clock_iso_ms(text, row[i].ms);
		EXPECT(strcmp(text, row[i].with_ms) == 0, "%s, not %s", text, row[i].with_ms);
	}
}

/* What a peer or a file says is no reason to end. */
TEST(a_time_beyond_the_years_we_write_is_shown_as_the_nearest)
{
	static const struct {
		int64_t s;
		const char *text;
	} row[] = {
		{ INT64_MAX, "9999-12-31T23:59:59Z" },
		{ INT64_C(253402300800), "9999-12-31T23:59:59Z" },
		{ INT64_C(-62167219200), "0000-01-01T00:00:00Z" },
		{ INT64_C(-62167219201), "0000-01-01T00:00:00Z" },
		{ INT64_MIN, "0000-01-01T00:00:00Z" },
	};
	FOR_EACH_ROW (i, row) {
		char text[CLOCK_TEXT_SIZE];
		clock_iso(text, row[i].s);
		EXPECT(strcmp(text, row[i].text) == 0, "%s, not %s", text, row[i].text);
	}
	char text[CLOCK_TEXT_SIZE];
	clock_iso_ms(text, INT64_MAX);
	EXPECT(strncmp(text, "9999-12-31T23:59:59.", 20) == 0, "%s", text);
	clock_iso_ms(text, INT64_MIN);
	EXPECT(strncmp(text, "0000-01-01T00:00:00.", 20) == 0, "%s", text);
}

TEST(what_is_no_time)
{
	static const char *const row[] = {
		"",
		"2026-11-21",
		"2026-11-21T23:36:12",
		"2026-11-21T23:36:12z",
		"2026-11-21 23:36:12Z",
		"2026-11-21T23:36:12ZZ",
		"2026-11-21T23:36:12.000Z",
		"2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-12-31T23:59:60Z",
		"2026-1a-01T00:00:00Z",
		"+026-11-01T00:00:00Z",
	};
	FOR_EACH_ROW (i, row) {
		int64_t s = 42;
		EXPECT(!clock_parse_iso(row[i], &s) && s == 42, "'%s': %lld", row[i], (long long)s);
	}
}

TEST(clocks_go_forward)
{
	int64_t us = clock_mono_us(), ms = clock_mono_ms();
	EXPECT(ms >= us / 1000 && clock_mono_us() >= us, "%lld us, %lld ms", (long long)us, (long long)ms);
	EXPECT(clock_wall_ms() > INT64_C(1700000000000), "wall clock is in the past");
}

/* ---- rand ---- */

TEST(generators_match_their_published_vectors)
{
	/* splitmix64 from seed 1234567, and xoshiro256** from state 1, 2, 3, 4: the values other implementations test.
	 */
	static const uint64_t split[] = { UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
		                          UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
		                          UINT64_C(16408922859458223821) };
	static const uint64_t xo[] = { 11520,
		                       0,
		                       1509978240,
		                       UINT64_C(1215971899390074240),
		                       UINT64_C(1216172134540287360),
		                       UINT64_C(607988272756665600),
		                       UINT64_C(16172922978634559625),
		                       UINT64_C(8476171486693032832),
		                       UINT64_C(10595114339597558777),
		                       UINT64_C(2904607092377533576) };
	uint64_t state = 1234567;
	FOR_EACH_ROW (i, split) {
		uint64_t v = rng_splitmix64(&state);
		EXPECT(v == split[i], "splitmix64 %zu: %llu", i, (unsigned long long)v);
	}
	struct rng r = { { 1, 2, 3, 4 } };
	FOR_EACH_ROW (i, xo) {
		uint64_t v = rng_u64(&r);
		EXPECT(v == xo[i], "xoshiro256** %zu: %llu", i, (unsigned long long)v);
	}
	rng_init(&r, 1234567);
	EXPECT(memcmp(r.s, split, sizeof r.s) == 0, "the state is not filled by splitmix64");
}

TEST(generated_numbers_keep_their_range_and_spread)
{
	enum { N = 60000, SIDES = 6 };
	struct rng r;
	int hits[SIDES] = { 0 };
	double sum = 0, normal_sum = 0, square_sum = 0;

	rng_init(&r, 1);
	for (int i = 0; i < N; i++) {
		double u = rng_unit(&r), z = rng_normal(&r);
		EXPECT(u >= 0 && u < 1, "%g", u);
		sum += u;
		normal_sum += z;
		square_sum += z * z;
		hits[rng_below(&r, SIDES)]++;
	}
	for (int i = 0; i < SIDES; i++)
		EXPECT(hits[i] > 9500 && hits[i] < 10500, "side %d: %d", i, hits[i]); /* 5 standard deviations */
	EXPECT(fabs(sum / N - 0.5) < 0.006, "mean %g", sum / N);
	EXPECT(fabs(normal_sum / N) < 0.021, "mean %g", normal_sum / N);
	EXPECT(fabs(square_sum / N - 1) < 0.03, "variance %g", square_sum / N);
	EXPECT(rng_below(&r, 1) == 0, "one side");
	EXPECT(rng_below(&r, UINT64_MAX) < UINT64_MAX, "all sides but one");
}

TEST(ids_have_their_form)
{
	char id[37], other[37], hex[33];
	rand_uuid(id);
	rand_uuid(other);
	EXPECT(strlen(id) == 36 && strcmp(id, other) != 0, "%s %s", id, other);
	EXPECT(strspn(id, "0123456789ABCDEF-") == 36, "%s", id);
	EXPECT(id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-', "%s", id);
	EXPECT(id[14] == '4' && strchr("89AB", id[19]), "%s", id);
	rand_hex(hex, 32);
	EXPECT(strlen(hex) == 32 && strspn(hex, "0123456789abcdef") == 32, "%s", hex);
	rand_hex(hex, 0);
	EXPECT(!*hex, "%s", hex);
	unsigned char bytes[64] = { 0 }, zero[64] = { 0 };
	rand_bytes(bytes, sizeof bytes);
	EXPECT(memcmp(bytes, zero, sizeof bytes) != 0, "no bytes came");
}

/* ---- metric ---- */

TEST(metrics_in_prometheus_text)
{
	static const double bounds[] = { 0.5, 2 };
	struct counter c = { 0 };
	struct histogram h;
	struct buf out, labels;

	buf_init(&out, 10000);
	buf_init(&labels, 1000);
	counter_add(&c, 3);
	counter_add(&c, 4);
	metric_label(&labels, "route", "a\"b\\c\nd");
	metric_label(&labels, "code", "200");
	metric_head(&out, "x_total", "counter", "What it counts.");
	metric_value(&out, "x_total", buf_text(&labels), (double)c.n);
	metric_value(&out, "y", "", 0.25);
	histogram_init(&h, bounds, 2);
	histogram_add(&h, 0.5);
	histogram_add(&h, 0.75);
	histogram_add(&h, 3);
	metric_histogram(&out, "z", "k=\"v\"", &h);
	metric_histogram(&out, "z", "", &h);
	EXPECT(strcmp(buf_text(&out), "# HELP x_total What it counts.\n"
	                              "# TYPE x_total counter\n"
	                              "x_total{route=\"a\\\"b\\\\c\\nd\",code=\"200\"} 7\n"
	                              "y 0.25\n"
	                              "z_bucket{k=\"v\",le=\"0.5\"} 1\n"
	                              "z_bucket{k=\"v\",le=\"2\"} 2\n"
	                              "z_bucket{k=\"v\",le=\"+Inf\"} 3\n"
	                              "z_sum{k=\"v\"} 4.25\n"
	                              "z_count{k=\"v\"} 3\n"
	                              "z_bucket{le=\"0.5\"} 1\n"
	                              "z_bucket{le=\"2\"} 2\n"
	                              "z_bucket{le=\"+Inf\"} 3\n"
	                              "z_sum 4.25\n"
	                              "z_count 3\n") == 0,
	       "%s", buf_text(&out));
	buf_fini(&out);
	buf_fini(&labels);
}

TEST(shared_bounds_ascend)
{
	for (size_t i = 1; i < 12; i++)
		EXPECT(metric_latency_bounds_s[i] > metric_latency_bounds_s[i - 1], "latency %zu", i);
	for (size_t i = 1; i < 9; i++)
		EXPECT(metric_batch_bounds[i] > metric_batch_bounds[i - 1], "batch %zu", i);
}

/* ---- err, log, mem ---- */

TEST(errors_in_words)
{
	struct err e = { 0 };
	EXPECT(err_set(&e, RC_INVALID, "field %s", "a\nb\x7f") == RC_INVALID, "code");
	EXPECT(e.rc == RC_INVALID && e.sys == 0 && strcmp(e.msg, "field a b ") == 0, "%s", e.msg);
	EXPECT(err_wrap(&e, e.rc, "file %d", 7) == RC_INVALID && strcmp(e.msg, "file 7: field a b ") == 0, "%s", e.msg);
	EXPECT(err_sys(&e, RC_IO, 2, "open '%s'", "x") == RC_IO && e.sys == 2, "sys %d", e.sys);
	EXPECT(strcmp(e.msg, "open 'x': No such file or directory") == 0, "%s", e.msg);
	EXPECT(err_set(NULL, RC_BUSY, "x") == RC_BUSY && err_sys(NULL, RC_IO, 2, "x") == RC_IO, "without a place");
	EXPECT(err_wrap(NULL, RC_IO, "x") == RC_IO, "without a place");
}

TEST(cut_messages_end_with_a_whole_character)
{
	static const char *const chars[] = { "x", "\xc3\xa4", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80" };
	FOR_EACH_ROW (i, chars) {
		size_t size = strlen(chars[i]);
		for (int pad = 0; pad < 4; pad++) {
			struct err e;
			char text[2000] = "";
			for (size_t n = 0; n < 300; n++)
				strncat(text, chars[i], 4);
			(void)err_set(&e, RC_INVALID, "%.*s%s", pad, "...", text);
			size_t lead = strspn(e.msg, "."), len = strlen(e.msg);
			EXPECT((len - lead) % size == 0, "%zu-byte character, %zu before: %zu", size, lead, len);
			EXPECT(len > 295, "%zu left", len);
		}
	}
}

TEST(digits_of_bytes)
{
	const char *all = "0123456789abcdefABCDEF";
	char out[7];

	hex_of((const unsigned char *)"\x00\xa9\xff", 3, out);
	EXPECT(strcmp(out, "00a9ff") == 0 && hex_is(out, 6) && hex_is("", 0), "%s", out);
	EXPECT(!hex_is("00A9ff", 6) && !hex_is("00g9ff", 6) && !hex_is("0", 2), "capitals, letters, too short");
	for (int c = -128; c < 128; c++) {
		const char *at = c ? strchr(all, c) : NULL;
		int place = at ? (int)(at - all) : -1;
		EXPECT(hex_value((char)c) == (place > 15 ? place - 6 : place), "%d", c);
	}
}

TEST(codes_have_names_and_exit_codes)
{
	EXPECT(strcmp(rc_name(RC_NOT_FOUND), "NOT_FOUND") == 0, "%s", rc_name(RC_NOT_FOUND));
	EXPECT(rc_exit_code(RC_OK) == 0 && rc_exit_code(RC_BUSY) == 75, "exit codes");
}

/* What is written to stderr goes to a pipe, until it is read. */
static void divert(int fds[2], int *kept)
{
	*kept = dup(STDERR_FILENO);
	if (pipe(fds) != 0 || *kept < 0)
		abort();
	(void)dup2(fds[1], STDERR_FILENO);
}

static void read_diverted(const int fds[2], int kept, char *out, size_t size)
{
	(void)dup2(kept, STDERR_FILENO);
	(void)close(kept);
	(void)close(fds[1]);
	ssize_t n = read(fds[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	(void)close(fds[0]);
}
#define LOGGED(out, size, call)                                                                     \
	do {                                                                                        \
		int fds_[2], kept_;                                                                 \
		divert(fds_, &kept_);                                                               \
		call;                                                                               \
		read_diverted(fds_, kept_, out, size);                                              \
	} while (0)

static void logged(char *out, size_t size, const char *value)
{
	LOGGED(out, size, {
		log_warn("test.event", "value=%s", value);
		log_debug("test.hidden", "value=%s", value);
	});
}

TEST(a_log_line_is_one_line)
{
	char line[3000], longer[2000];
	logged(line, sizeof line, "a\nerror forged\x1b[0m");
	EXPECT(strstr(line, "Z warn  test.event value=\"a error forged [0m\"\n"), "%s", line);
	EXPECT(strchr(line, '\n') == line + strlen(line) - 1, "more than one line: %s", line);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	logged(line, sizeof line, longer);
	EXPECT(strlen(line) <= 1024 && line[strlen(line) - 1] == '\n', "%zu bytes", strlen(line));
}

/* Each value can be told from the next, whoever wrote it. */
TEST(a_value_in_a_log_line_stays_one_value)
{
	static const struct {
		const char *value, *shown;
	} row[] = {
		{ "plain/path=1", "value=plain/path=1 reason=\"plain/path=1\" n=-7 size=3 big=-9" },
		{ "", "value= reason=\"\" n=-7 size=3 big=-9" },
		{ NULL, "value=(null) reason=\"(null)\" n=-7 size=3 big=-9" },
		{ "/my data", "value=\"/my data\" reason=\"/my data\" n=-7 size=3 big=-9" },
		{ "it said \"no\" n=1", "value=\"it said 'no' n=1\" reason=\"it said 'no' n=1\" n=-7 size=3 big=-9" },
		{ "x\" n=\"1", "value=\"x' n='1\" reason=\"x' n='1\" n=-7 size=3 big=-9" },
		{ "%s%d", "value=%s%d reason=\"%s%d\" n=-7 size=3 big=-9" },
	};
	char line[3000], *longer = line + 1500;

	FOR_EACH_ROW (i, row) {
		LOGGED(line, sizeof line, log_warn("test.event", "value=%s reason=\"%s\" n=%d size=%zu big=%lld",
						   row[i].value, row[i].value, -7, (size_t)3, -9LL));
		const char *found = strstr(line, "test.event ");
		EXPECT(found && strncmp(found + 11, row[i].shown, strlen(row[i].shown)) == 0 &&
			       strcmp(found + 11 + strlen(row[i].shown), "\n") == 0,
		       "%zu: %s", i, line);
	}
	/* A long one ends with a whole character, and leaves room for those behind it. */
	for (int i = 0; i < 700; i++)
		longer[i] = (char)(i % 2 ? 0xa4 : 0xc3);
	longer[700] = '\0';
	LOGGED(line, 1500, log_warn("test.event", "reason=\"%s\" n=%d", longer, 5));
	const char *end = strstr(line, "\xc3\xa4...\" n=5\n");
	EXPECT(end && strlen(line) > 508, "%s", line);
}

TEST(heap_helpers)
{
	char *p = mem_dup("abc");
	EXPECT(strcmp(p, "abc") == 0 && !mem_dup(NULL), "dup");
	mem_wipe(p, 3);
	EXPECT(memcmp(p, "\0\0\0", 4) == 0, "wipe");
	mem_freep(&p);
	int *n = mem_array(4, sizeof *n);
	EXPECT(n[0] == 0 && n[3] == 0, "not zeroed");
	n[3] = 7;
	n = mem_grow(n, 400, sizeof *n);
	EXPECT(n[3] == 7, "lost on growing");
	mem_free(n);
	mem_free(NULL);
}

TEST(a_trouble_that_lasts_is_told_when_it_begins_and_every_ten_minutes)
{
	struct worry w = { 0 };
	int told = 0;

	EXPECT(!worry_ends(&w), "there was none");
	for (int64_t second = 0; second < 3600; second++)
		told += worry_is_news(&w, 5000 + second * 1000);
	EXPECT(told == 6, "%d times in an hour", told);
	EXPECT(worry_ends(&w) && !worry_ends(&w), "its end is news once");
	EXPECT(worry_is_news(&w, 3605001), "it has begun anew");
}

int main(void)
{
	RUN(arena_gives_zeroed_aligned_memory_that_stays);
	RUN(arena_keeps_its_ceiling_and_stays_full);
	RUN(arena_cleanups_run_last_in_first_out);
	RUN(arena_texts);
	RUN(buf_grows_to_its_ceiling_and_no_further);
	RUN(buf_take_moves_the_bytes_out);
	RUN(integers_are_whole_texts);
	RUN(reals_are_whole_texts);
	RUN(canonical_numbers);
	RUN(takers_move_past_what_they_accept);
	RUN(times_print_and_parse_back);
	RUN(a_time_beyond_the_years_we_write_is_shown_as_the_nearest);
	RUN(what_is_no_time);
	RUN(clocks_go_forward);
	RUN(generators_match_their_published_vectors);
	RUN(generated_numbers_keep_their_range_and_spread);
	RUN(ids_have_their_form);
	RUN(metrics_in_prometheus_text);
	RUN(shared_bounds_ascend);
	RUN(errors_in_words);
	RUN(cut_messages_end_with_a_whole_character);
	RUN(digits_of_bytes);
	RUN(codes_have_names_and_exit_codes);
	RUN(a_log_line_is_one_line);
	RUN(a_value_in_a_log_line_stays_one_value);
	RUN(heap_helpers);
	RUN(a_trouble_that_lasts_is_told_when_it_begins_and_every_ten_minutes);
	return test_failures != 0;
}
