/*
 * Paths and queries of a request. Escapes decode as an obvious reference says or are refused for a NUL; a path splits
 * into what it is joined from; a query has the pairs of the reference, the first of a name counts; numbers and pages
 * keep their bounds; and a path that a route takes fits that route's template and no refusal touches an output.
 */
#include "api/dcs/routes.h"
#include "api/opensearch/query.h"
#include "api/opensearch/routes.h"
#include "api/percent.h"
#include "api/router.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "fuzz.h"

enum { ARENA_SIZE = 1 << 20, TEXT_MAX = 1 << 20 };

static int digit_of(char c)
{
	const char *digits = "0123456789abcdefABCDEF", *at = c ? strchr(digits, c) : NULL;
	return !at ? -1 : at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

/* False: it would hold a NUL. */
static bool ref_decode(struct buf *out, const char *text, size_t len, bool plus_is_space)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i] == '+' && plus_is_space ? ' ' : text[i];
		if (text[i] == '%' && len - i > 2 && digit_of(text[i + 1]) >= 0 && digit_of(text[i + 2]) >= 0) {
			c = (char)(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2]));
			i += 2;
		}
		if (!c)
			return false;
		buf_addc(out, c);
	}
	return true;
}

static void check_decode(const char *bytes, size_t size, enum canon_plus plus, struct arena *a)
{
	const char *got = "untouched";
	struct err err = { 0 };
	struct buf want;

	buf_init(&want, TEXT_MAX);
	bool is_good = ref_decode(&want, bytes, size, plus == CANON_PLUS_IS_SPACE);
	enum rc rc = percent_decode(bytes, size, plus, a, &got, &err);
	CHECK(is_good == (rc == RC_OK), "the reference says %d, we %s", is_good, err.msg);
	if (is_good) {
		CHECK(strcmp(got, buf_text(&want)) == 0, "'%s', not '%s'", got, buf_text(&want));
	} else {
		fuzz_check_refusal(rc, &err);
		CHECK(strcmp(got, "untouched") == 0, "output touched");
	}
	buf_fini(&want);
}

/* ---- paths ---- */

static void check_route(const struct route *routes, size_t n, const char *method, const struct path *p)
{
	const struct route *found = NULL;
	struct path_args args = { 0 }, again;
	char methods[ROUTE_METHODS_SIZE] = "";

	struct route_index *x = route_index_new(routes, n);
	enum route_verdict verdict = route_find(x, method, p, &found, &args, methods);
	route_index_free(x);
	switch (verdict) {
	case ROUTE_FOUND:
		CHECK(strcmp(found->method, method) == 0, "%s for %s", found->method, method);
		CHECK(path_match(found->path, p, &again) && again.n == args.n, "%s does not fit", found->path);
		for (size_t i = 0; i < args.n; i++)
			CHECK(*args.list[i].value, "%s: nothing for %.*s", found->path, (int)args.list[i].name_len,
			      args.list[i].name);
		break;
	case ROUTE_NO_METHOD:
		CHECK(found && *methods && !strstr(methods, method), "%s among '%s'", method, methods);
		break;
	case ROUTE_NO_PATH:
		for (size_t i = 0; i < n; i++)
			CHECK(!path_match(routes[i].path, p, &args), "%s fits", routes[i].path);
		break;
	}
}

static void check_path(const char *text, struct arena *a)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" };
	struct path p = { .n = 42 };
	struct err err = { 0 };
	size_t n_slashes = 0, n;

	for (const char *s = text; *s; s++)
		n_slashes += *s == '/';
	enum rc rc = path_split(text, a, &p, &err);
	if (rc != RC_OK) {
		fuzz_check_refusal(rc, &err);
		CHECK(p.n == 42, "output touched");
		CHECK(text[0] != '/' || strstr(text, "%00"), "'%s' was refused: %s", text, err.msg);
		return;
	}
	CHECK(p.n == (n_slashes > PATH_SEGMENTS ? PATH_SEGMENTS + 1 : n_slashes), "%zu segments of '%s'", p.n, text);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		const struct route *routes = api_routes(&n);
		check_route(routes, n, methods[i], &p);
		routes = dcs_routes(&n);
		check_route(routes, n, methods[i], &p);
	}
}

/* ---- queries ---- */

static void check_number(const struct query_args *q, const struct query_arg *arg)
{
	int64_t got = 42, want = 0;
	struct err err = { 0 };
	bool is_good = num_i64(arg->value, &want) && want >= -5 && want <= 1000;
	enum rc rc = query_int(q, arg->name, -5, 1000, &got, &err);

	CHECK(is_good == (rc == RC_OK), "'%s' as a number: %s", arg->value, err.msg);
	CHECK(got == (is_good ? want : 42), "'%s' is %lld", arg->value, (long long)got);
	if (rc != RC_OK)
		CHECK(err.rc == rc && err.msg[0], "refused without a word");
}

static void check_page(const struct query_args *q)
{
	struct page page = { .offset = -1, .limit = -1 };
	struct err err = { 0 };

	if (query_page(q, 10, &page, &err) == RC_OK)
		CHECK(page.offset >= 0 && page.limit >= 1 && page.limit <= PAGE_SIZE_MAX &&
		              page.offset <= INT64_MAX - page.limit,
		      "offset %lld, limit %lld", (long long)page.offset, (long long)page.limit);
	else
		CHECK(page.offset == -1 && page.limit == -1 && err.msg[0], "output touched");
}

static size_t count_pairs(const char *text)
{
	size_t n = 0;

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "&");
		n += len > 0;
		p += len + (p[len] == '&');
	}
	return n;
}

static void check_query(const char *text, struct arena *a)
{
	struct query_args q = { .n = 99 };
	struct err err = { 0 };
	enum rc rc = query_parse(text, a, &q, &err);

	if (rc != RC_OK) {
		fuzz_check_refusal(rc, &err);
		CHECK(q.n == 99, "output touched");
		CHECK(count_pairs(text) > QUERY_ARGS_MAX || strstr(text, "%00"), "'%s': %s", text, err.msg);
		return;
	}
	CHECK(q.n == count_pairs(text) && q.n <= QUERY_ARGS_MAX, "%zu pairs of '%s'", q.n, text);
	for (size_t i = 0; i < q.n; i++) {
		size_t first = 0;
		while (strcmp(q.list[first].name, q.list[i].name) != 0)
			first++;
		const char *value = query_text(&q, q.list[i].name);
		CHECK(value ? strcmp(value, q.list[first].value) == 0 : !*q.list[first].value, "'%s' is '%s'",
		      q.list[i].name, value);
		if (first == i)
			check_number(&q, &q.list[i]);
	}
	check_page(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	size_t len;
	char *text = fuzz_text(data, size, &len);

	check_decode(text, len, CANON_PLUS_STAYS, a);
	check_decode(text, len, CANON_PLUS_IS_SPACE, a);
	char *path = fuzz_text((const uint8_t *)text, strcspn(text, "?"), NULL);
	check_path(path, a);
	mem_free(path);
	check_query(text + strcspn(text, "?") + (strchr(text, '?') != NULL), a);
	mem_free(text);
	return 0;
}
