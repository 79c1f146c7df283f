#include "json/json.h"

#include <math.h>
#include <stdlib.h>
#include "test.h"

TEST(writer_places_commas_and_escapes)
{
	struct buf out;
	struct jw w;
	buf_init(&out, 4096);
	jw_init(&w, &out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "a", "q\"\\\n\x01\xff\xc3\xa4");
	jw_key(&w, "list");
	jw_array(&w);
	jw_int(&w, INT64_MIN);
	jw_real(&w, 0.1);
	jw_real(&w, 45000);
	jw_real(&w, -0.0);
	jw_real(&w, -2.5e-7);
	jw_real(&w, 1e300);
	jw_real(&w, NAN);
	jw_bool(&w, true);
	jw_null(&w);
	jw_object(&w);
	jw_end_object(&w);
	jw_end_array(&w);
	jw_key(&w, "raw");
	jw_raw(&w, "{\"x\":1}");
	jw_kv_text(&w, "none", NULL);
	jw_end_object(&w);
	EXPECT(strcmp(buf_text(&out),
		      "{\"a\":\"q\\\"\\\\\\u000a\\u0001\xef\xbf\xbd\xc3\xa4\",\"list\":[-9223372036854775808,0.1,"
		      "45000,0,-2.5e-07,1e+300,null,true,null,{}],\"raw\":{\"x\":1},\"none\":null}") == 0,
	       "%s", buf_text(&out));
	buf_fini(&out);
}

TEST(pascal_casing_raises_the_first_letter_of_keys_but_not_of_data)
{
	struct buf out;
	struct jw w;
	buf_init(&out, 4096);
	jw_init(&w, &out, CASING_PASCAL);
	jw_object(&w);
	jw_kv_int(&w, "pageSize", 1);
	jw_key_exact(&w, "data");
	jw_int(&w, 2);
	jw_end_object(&w);
	EXPECT(strcmp(buf_text(&out), "{\"PageSize\":1,\"data\":2}") == 0, "%s", buf_text(&out));
	buf_fini(&out);
}

static void write_twins(struct buf *out, size_t ceiling)
{
	struct jw w;

	buf_init(out, ceiling);
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_twin_begin(&w);
	jw_kv_text(&w, "name", "a \"b\"");
	jw_key(&w, "list");
	jw_array(&w);
	jw_object(&w);
	jw_kv_int(&w, "runId", -7);
	jw_key_exact(&w, "data");
	jw_int_text(&w, 10);
	jw_end_object(&w);
	jw_end_array(&w);
	jw_kv_bool(&w, "Upper", true);
	jw_twin_end(&w);
	jw_kv_int(&w, "after", 100);
	jw_end_object(&w);
}

TEST(twins_differ_in_the_first_letters_of_keys)
{
	static const char wanted[] =
		"{\"name\":\"a \\\"b\\\"\",\"list\":[{\"runId\":-7,\"data\":\"10\"}],\"Upper\":true,"
		"\"Name\":\"a \\\"b\\\"\",\"List\":[{\"RunId\":-7,\"data\":\"10\"}],\"Upper\":true,"
		"\"after\":100}";
	struct buf out;
	struct jw w;

	write_twins(&out, 4096);
	EXPECT(strcmp(buf_text(&out), wanted) == 0, "%s", buf_text(&out));
	buf_fini(&out);
	for (size_t ceiling = 0; ceiling < sizeof wanted - 1; ceiling++) { /* never past it, wherever it comes */
		write_twins(&out, ceiling);
		EXPECT(out.is_over && out.len <= ceiling, "%zu: %zu", ceiling, out.len);
		buf_fini(&out);
	}
	write_twins(&out, sizeof wanted - 1);
	EXPECT(!out.is_over && strcmp(buf_text(&out), wanted) == 0, "%s", buf_text(&out));
	buf_reset(&out);
	jw_init(&w, &out, CASING_CAMEL);
	jw_object(&w);
	jw_twin_begin(&w);
	jw_twin_end(&w);
	jw_end_object(&w);
	EXPECT(strcmp(buf_text(&out), "{}") == 0, "nothing twice: %s", buf_text(&out));
	buf_fini(&out);
}

/* Each byte value at each place of a text of several words' length: as jansson reads it back, it is the same. */
TEST(any_byte_anywhere_in_a_text_is_written_so_that_it_reads_back)
{
	struct arena *a = arena_new(64 << 20);
	char text[20];
	struct buf out;

	buf_init(&out, 4096);
	for (size_t len = 1; len < sizeof text; len++) {
		for (size_t at = 0; at < len; at++) {
			for (int c = 1; c < 0x80; c++) {
				struct jw w;
				const json_t *read;
				memset(text, 'x', len);
				text[len] = '\0';
				text[at] = (char)c;
				buf_reset(&out);
				jw_init(&w, &out, CASING_CAMEL);
				jw_text(&w, text);
				bool is_good = json_read(buf_text(&out), out.len, a, &read, NULL) == RC_OK &&
					       strcmp(json_string_value(read), text) == 0;
				EXPECT(is_good, "byte %d at %zu of %zu: %s", c, at, len, buf_text(&out));
			}
		}
		arena_reset(a);
	}
	buf_fini(&out);
	arena_free(a);
}

TEST(members_are_copied_as_they_stand_or_not_at_all)
{
	static const char *const but[] = { "errors", "é", NULL };
	static const struct {
		const char *text, *copied; /* NULL: not in the form */
	} rows[] = {
		{ "{}", "" },
		{ "{\"a\":1}", ",\"a\":1" },
		{ "{\"errors\":[1,{\"x\":\"]}\"}],\"b\":{\"errors\":2}}", ",\"b\":{\"errors\":2}" },
		{ "{\"a\":\"\\\\\",\"b\":\"\\\"}\",\"errors\":null}", ",\"a\":\"\\\\\",\"b\":\"\\\"}\"" },
		{ "{\"errorsx\":true,\"error\":-1.5e+20}", ",\"errorsx\":true,\"error\":-1.5e+20" },
		{ "{\"a\": 1}", NULL },
		{ "{\"a\":[1, 2]}", NULL },
		{ "{ }", NULL },
		{ "{\"a\":1} ", NULL },
		{ "{\"a\":1", NULL },
		{ "{\"a\":", NULL },
		{ "{\"a\"", NULL },
		{ "{\"a", NULL },
		{ "{\"a\\", NULL },
		{ "{\"a\":[1}", NULL },
		{ "{\"a\":1,}", NULL },
		{ "{a:1}", NULL },
		{ "[1]", NULL },
		{ "", NULL },
	};

	FOR_EACH_ROW(i, rows) {
		struct buf out;
		struct jw w;
		char wanted[200];
		buf_init(&out, 4096);
		jw_init(&w, &out, CASING_CAMEL);
		jw_object(&w);
		jw_kv_int(&w, "n", 1);
		bool is_copied = jw_members(&w, rows[i].text, but);
		jw_kv_int(&w, "z", 2);
		jw_end_object(&w);
		(void)snprintf(wanted, sizeof wanted, "{\"n\":1%s,\"z\":2}", rows[i].copied ? rows[i].copied : "");
		EXPECT(is_copied == (rows[i].copied != NULL), "%s", rows[i].text);
		EXPECT(strcmp(buf_text(&out), wanted) == 0, "%s: %s", rows[i].text, buf_text(&out));
		buf_fini(&out);
	}
}

TEST(reader_refuses_what_is_not_strict_json)
{
	static const char *const row[] = { "", "{", "{\"a\":1,\"a\":2}", "{} x", "{\"a\":\"\xff\"}", "{'a':1}", "[1,]",
					   "\"a\\u0000b\"" };
	FOR_EACH_ROW(i, row) {
		struct arena *a = arena_new(65536);
		const json_t *v = NULL;
		struct err e = { 0 };
		EXPECT(json_read(row[i], strlen(row[i]), a, &v, &e) == RC_INVALID, "%s", row[i]);
		EXPECT(strstr(e.msg, "not JSON") && !v, "%s: %s", row[i], e.msg);
		arena_free(a);
	}
}

TEST(reader_bounds_the_depth)
{
	char deep[200];
	struct arena *a = arena_new(65536);
	const json_t *v = NULL;
	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	EXPECT(json_read(deep, sizeof deep, a, &v, NULL) == RC_LIMIT && !v, "100 levels");
	EXPECT(json_read(deep + 70, 60, a, &v, NULL) == RC_OK && v, "30 levels");
	arena_free(a);
}

TEST(both_casings_are_found_and_types_checked)
{
	static const char text[] = "{\"InstanceName\":\"x\",\"cron\":null,\"n\":1}";
	struct arena *a = arena_new(65536);
	const json_t *v = NULL;
	const char *s = "untouched";
	struct err e = { 0 };
	EXPECT(json_read(text, strlen(text), a, &v, &e) == RC_OK, "%s", e.msg);
	EXPECT(json_pick_text(v, "instanceName", &s, &e) == RC_OK && strcmp(s, "x") == 0, "%s", e.msg);
	EXPECT(json_pick_text(v, "cron", &s, &e) == RC_OK && !s, "null counts as absent");
	s = "untouched";
	EXPECT(json_pick_text(v, "n", &s, &e) == RC_INVALID && strstr(e.msg, "n must be a string"), "%s", e.msg);
	EXPECT(strcmp(s, "untouched") == 0, "output touched");
	arena_free(a);
}

/* ---- memory that ends ---- */

static struct {
	int left, missing; /* pieces that are still to be had; that were not to be had */
	bool is_for_good;
	json_malloc_t real;
} memory;

static void *grow_until(size_t size)
{
	bool is_missing = memory.left <= 0 && (memory.is_for_good || !memory.missing);

	memory.left--;
	memory.missing += is_missing;
	return is_missing ? NULL : memory.real(size);
}

/* With each piece of memory missing in turn. How many pieces it needs. */
static int starve(const char *text, bool for_good)
{
	for (int n = 0;; n++) {
		struct arena *a = arena_new(1 << 20);
		const json_t *out = NULL;
		struct err err = { 0 };

		memory.left = n;
		memory.missing = 0;
		memory.is_for_good = for_good;
		json_grow = grow_until;
		enum rc rc = json_read(text, strlen(text), a, &out, &err);
		bool met = memory.missing > 0;
		json_grow = memory.real;
		EXPECT(rc == (met ? RC_BUSY : RC_OK), "%.40s, piece %d: %s %s", text, n, rc_name(rc), err.msg);
		EXPECT(!met || (!out && strstr(err.msg, "no memory")), "%.40s, piece %d: %s", text, n, err.msg);
		arena_free(a);
		if (!met)
			return n;
	}
}

/* jansson's lexer loses bytes of a token that it gets no memory for, and then stops the process or reads beyond its
 * buffer: at a quote that got lost, and where it takes back the byte after a number or a word. */
TEST(memory_that_ends_at_any_piece_is_told_and_nothing_else)
{
	static char longest[70000];
	static const char *const texts[] = {
		"1234567890123456",
		"[123456789012345,1234567890123456,12345678901234567]",
		"[1.2345678901234567890123456789012345e-10]",
		"{\"fourteen chars\":\"fifteen chars..\",\"sixteen chars...\":[true,false,null]}",
		"[\"\xc3\xa9t\xc3\xa9 \xe2\x82\xac\xe2\x82\xac\xe2\x82\xac \xf0\x9f\x98\x80\xf0\x9f\x98\x80\","
		"\"\\u20ac\\ud83d\\ude00\\n\"]",
		"[[],[[]],{},{\"a\":{\"b\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}]",
		"[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\","
		"\"0123456789abcdef0123456789abcdef0123456789abcdef\"]",
		"{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,"
		"\"a key that is longer than all\":11}",
		longest,
	};
	memset(longest, 'x', sizeof longest - 1);
	longest[0] = longest[sizeof longest - 2] = '"';
	memory.real = json_grow;
	FOR_EACH_ROW(i, texts) {
		EXPECT(starve(texts[i], /* for_good= */ false) > 3, "%.40s: nothing was missing", texts[i]);
		EXPECT(starve(texts[i], /* for_good= */ true) > 3, "%.40s: nothing was missing", texts[i]);
	}
}

/* What is refused for another reason stays so, and no memory is no excuse for bytes that were never looked at. */
TEST(faults_of_the_text_are_told_as_before)
{
	static const struct {
		const char *text, *says;
	} row[] = {
		{ "", "line 1, column 0" },
		{ "[1,2", "line 1, column 4" },
		{ "[1,\n 2,\n x]", "line 3, column 2" },
		{ "[\"abcdefghijklmnopqrstuvwxyz", "premature end" },
		{ "{\"a\":1,\"a\":2}", "duplicate" },
		{ "[1] x", "end of file expected" },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a = arena_new(4096);
		const json_t *out = NULL;
		struct err err = { 0 };
		EXPECT(json_read(row[i].text, strlen(row[i].text), a, &out, &err) == RC_INVALID, "%s: %s", row[i].text,
		       err.msg);
		EXPECT(strstr(err.msg, row[i].says) && !out, "%s: %s", row[i].text, err.msg);
		arena_free(a);
	}
}

/* What was kept and is unreadable is gone without; what is readable is never passed over. */
TEST(kept_text_is_passed_over_only_when_it_cannot_be_read)
{
	struct arena *a = arena_new(1 << 20);
	const json_t *out = NULL;
	struct err err = { 0 };

	EXPECT(json_read_kept("{\"a\":1}", a, &out, &err) == RC_OK && json_object_get(out, "a"), "%s", err.msg);
	EXPECT(json_read_kept("", a, &out, &err) == RC_OK && !out, "empty");
	EXPECT(json_read_kept("{\"a\":", a, &out, &err) == RC_OK && !out, "damaged");
	memory.real = json_grow;
	memory.left = 4;
	memory.missing = 0;
	json_grow = grow_until;
	EXPECT(json_read_kept("{\"a\":1}", a, &out, &err) == RC_BUSY && strstr(err.msg, "no memory"), "%s", err.msg);
	json_grow = memory.real;
	arena_free(a);
}

int main(void)
{
	RUN(writer_places_commas_and_escapes);
	RUN(pascal_casing_raises_the_first_letter_of_keys_but_not_of_data);
	RUN(twins_differ_in_the_first_letters_of_keys);
	RUN(any_byte_anywhere_in_a_text_is_written_so_that_it_reads_back);
	RUN(members_are_copied_as_they_stand_or_not_at_all);
	RUN(reader_refuses_what_is_not_strict_json);
	RUN(reader_bounds_the_depth);
	RUN(both_casings_are_found_and_types_checked);
	RUN(memory_that_ends_at_any_piece_is_told_and_nothing_else);
	RUN(faults_of_the_text_are_told_as_before);
	RUN(kept_text_is_passed_over_only_when_it_cannot_be_read);
	return test_failures != 0;
}
