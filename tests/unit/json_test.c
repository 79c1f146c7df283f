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
	RUN(reader_refuses_what_is_not_strict_json);
	RUN(reader_bounds_the_depth);
	RUN(both_casings_are_found_and_types_checked);
	return test_failures != 0;
}
