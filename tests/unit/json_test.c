#include "json/json.h"

#include <math.h>
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
	EXPECT(strcmp(buf_text(&out), "{\"a\":\"q\\\"\\\\\\u000a\\u0001\xef\xbf\xbd\xc3\xa4\",\"list\":[-9223372036854775808,0.1,45000,-2.5e-07,1e+300,"
				      "null,true,null,{}],\"raw\":{\"x\":1},\"none\":null}") == 0,
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
	static const char wanted[] = "{\"name\":\"a \\\"b\\\"\",\"list\":[{\"runId\":-7,\"data\":\"10\"}],\"Upper\":true,"
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
	return test_failures != 0;
}
