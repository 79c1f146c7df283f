#include "api/router.h"

#include "api/percent.h"
#include "base/attr.h"
#include "test.h"

enum { ARENA_SIZE = 64 << 10 };

TEST(escapes_are_decoded_and_broken_ones_stay)
{
	const struct {
		const char *in;
		enum canon_plus plus;
		const char *out;
	} row[] = {
		{ "", CANON_PLUS_STAYS, "" },
		{ "ctr_test", CANON_PLUS_STAYS, "ctr_test" },
		{ "a%20b%2Fc", CANON_PLUS_STAYS, "a b/c" },
		{ "a%2fb", CANON_PLUS_STAYS, "a/b" },
		{ "a+b", CANON_PLUS_STAYS, "a+b" },
		{ "a+b%2B", CANON_PLUS_IS_SPACE, "a b+" },
		{ "%E8%AF%8D", CANON_PLUS_STAYS, "\xe8\xaf\x8d" },
		{ "100%", CANON_PLUS_STAYS, "100%" },
		{ "%2", CANON_PLUS_STAYS, "%2" },
		{ "%zz%4", CANON_PLUS_STAYS, "%zz%4" },
		{ "%%41", CANON_PLUS_STAYS, "%A" },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		const char *out = NULL;
		struct err err = { 0 };
		EXPECT(percent_decode(row[i].in, strlen(row[i].in), row[i].plus, a, &out, &err) == RC_OK, "%s: %s",
		       row[i].in, err.msg);
		EXPECT(out && strcmp(out, row[i].out) == 0, "%s gave %s", row[i].in, out);
	}
}

TEST(decoding_refuses_a_nul_and_a_full_arena)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE), *small CLEANUP(arena_freep) = arena_new(1);
	const char *out = "untouched";
	struct err err = { 0 };

	EXPECT(percent_decode("a%00b", 5, CANON_PLUS_STAYS, a, &out, &err) == RC_INVALID, "%s", err.msg);
	EXPECT(strstr(err.msg, "NUL"), "said %s", err.msg);
	EXPECT(percent_decode("abc", 3, CANON_PLUS_STAYS, small, &out, &err) == RC_LIMIT, "%s", err.msg);
	EXPECT(strcmp(out, "untouched") == 0, "output touched: %s", out);
}

TEST(paths_match_templates_segment_by_segment)
{
	const struct {
		const char *path_template, *raw_path;
		bool matches;
		const char *a, *b; /* values of {a} and {b}, when the template has them */
	} row[] = {
		{ "/", "/", true, NULL, NULL },
		{ "/healthz", "/healthz", true, NULL, NULL },
		{ "/healthz", "/healthz/", false, NULL, NULL },
		{ "/healthz", "/health", false, NULL, NULL },
		{ "/healthz", "//healthz", false, NULL, NULL },
		{ "/x/{a}", "/x/one", true, "one", NULL },
		{ "/x/{a}", "/x/", false, NULL, NULL },
		{ "/x/{a}", "/x", false, NULL, NULL },
		{ "/x/{a}", "/x/one/two", false, NULL, NULL },
		{ "/x/{a}", "/X/one", false, NULL, NULL },
		{ "/x/{a}/y/{b}", "/x/my%20app%2Fx/y/ctr", true, "my app/x", "ctr" },
		{ "/x/{a}/y/{b}", "/x/y/y/y", true, "y", "y" },
		{ "/x/{a}/y", "/x/%7Ba%7D/y", true, "{a}", NULL },
		{ "/x", "/%78", true, NULL, NULL },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		struct path path;
		struct path_args args = { .n = 99 };
		struct err err = { 0 };
		EXPECT(path_split(row[i].raw_path, a, &path, &err) == RC_OK, "%s: %s", row[i].raw_path, err.msg);
		EXPECT(path_match(row[i].path_template, &path, &args) == row[i].matches, "%s on %s", row[i].raw_path,
		       row[i].path_template);
		EXPECT(row[i].matches || args.n == 99, "%s: output touched", row[i].raw_path);
		if (row[i].a)
			EXPECT(strcmp(path_arg(&args, "a"), row[i].a) == 0, "{a} is %s", path_arg(&args, "a"));
		if (row[i].b)
			EXPECT(strcmp(path_arg(&args, "b"), row[i].b) == 0, "{b} is %s", path_arg(&args, "b"));
	}
}

TEST(hostile_paths_match_nothing)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct path path = { .n = 7 };
	struct path_args args;
	struct err err = { 0 };
	char deep[2 * 200 + 1] = "";

	EXPECT(path_split("", a, &path, &err) == RC_INVALID, "empty");
	EXPECT(path_split("x/y", a, &path, &err) == RC_INVALID && strstr(err.msg, "'/'"), "said %s", err.msg);
	EXPECT(path_split("/a/%00", a, &path, &err) == RC_INVALID && strstr(err.msg, "NUL"), "said %s", err.msg);
	EXPECT(path.n == 7, "output touched");
	for (size_t i = 0; i < sizeof deep - 1; i++)
		deep[i] = i % 2 ? 'a' : '/';
	EXPECT(path_split(deep, a, &path, &err) == RC_OK && path.n > PATH_SEGMENTS, "%zu segments", path.n);
	EXPECT(!path_match("/{a}", &path, &args), "a deep path matched");
}

static const struct route table[] = {
	{ "POST", "/things", "CreateThing", "x:Write", "things/*", ROUTE_SIGNED, NULL },
	{ "GET", "/things", "ListThings", "x:Read", "things/*", ROUTE_SIGNED, NULL },
	{ "GET", "/things/{thing}", "GetThing", "x:Read", "things/{thing}", ROUTE_SIGNED, NULL },
	{ "DELETE", "/things/{thing}", "DeleteThing", "x:Write", "things/{thing}", ROUTE_SIGNED, NULL },
};

TEST(a_route_is_found_by_method_and_path)
{
	const struct {
		const char *method, *path;
		enum route_verdict verdict;
		const char *operation, *methods;
	} row[] = {
		{ "POST", "/things", ROUTE_FOUND, "CreateThing", NULL },
		{ "GET", "/things", ROUTE_FOUND, "ListThings", NULL },
		{ "DELETE", "/things/a%2Fb", ROUTE_FOUND, "DeleteThing", NULL },
		{ "PUT", "/things", ROUTE_NO_METHOD, NULL, "POST, GET" },
		{ "get", "/things/1", ROUTE_NO_METHOD, NULL, "GET, DELETE" },
		{ "GET", "/things/1/2", ROUTE_NO_PATH, NULL, "" },
		{ "GET", "/", ROUTE_NO_PATH, NULL, "" },
	};
	struct route_index *x = route_index_new(table, ARRAY_LEN(table));
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		struct path path = { 0 };
		const struct route *route = NULL;
		struct path_args args;
		char methods[ROUTE_METHODS_SIZE];
		EXPECT(path_split(row[i].path, a, &path, NULL) == RC_OK, "%s", row[i].path);
		enum route_verdict v = route_find(x, row[i].method, &path, &route, &args, methods);
		EXPECT(v == row[i].verdict, "%s %s gave %d", row[i].method, row[i].path, (int)v);
		if (row[i].operation)
			EXPECT(route && strcmp(route->operation, row[i].operation) == 0, "%s %s", row[i].method,
			       row[i].path);
		if (row[i].methods)
			EXPECT(strcmp(methods, row[i].methods) == 0, "%s has '%s'", row[i].path, methods);
	}
	route_index_free(x);
}

int main(void)
{
	RUN(escapes_are_decoded_and_broken_ones_stay);
	RUN(decoding_refuses_a_nul_and_a_full_arena);
	RUN(paths_match_templates_segment_by_segment);
	RUN(hostile_paths_match_nothing);
	RUN(a_route_is_found_by_method_and_path);
	return test_failures != 0;
}
