/*
 * A linear search: of some thirty templates those with another number of segments are passed over by a byte, and the
 * few left are compared segment by segment. A trie would be code without a customer.
 */
#include "api/router.h"

#include <string.h>
#include "api/percent.h"
#include "base/mem.h"
#include "base/must.h"

enum rc path_split(const char *raw_path, struct arena *a, struct path *out, struct err *err)
{
	struct path path = { 0 };
	const char *p = raw_path;

	if (*p != '/')
		return err_set(err, RC_INVALID, "the request path must begin with '/'");
	while (*p == '/') {
		p++;
		size_t len = (size_t)(strchrnul(p, '/') - p);
		if (path.n == PATH_SEGMENTS) {
			path.n++;
			break;
		}
		enum rc rc = percent_decode(p, len, CANON_PLUS_STAYS, a, &path.segments[path.n++], err);
		if (rc)
			return rc;
		p += len;
	}
	*out = path;
	return RC_OK;
}

/* Does one segment fit one template segment of tlen bytes? A {name} takes it into *args. */
static bool segment_match(const char *t, size_t tlen, const char *segment, struct path_args *args)
{
	if (tlen < 2 || t[0] != '{')
		return strlen(segment) == tlen && memcmp(t, segment, tlen) == 0;
	if (!*segment)
		return false;
	must(args->n < PATH_ARGS && t[tlen - 1] == '}');
	args->list[args->n++] = (struct path_arg){ .name = t + 1, .name_len = tlen - 2, .value = segment };
	return true;
}

bool path_match(const char *path_template, const struct path *p, struct path_args *out)
{
	struct path_args args = { 0 };
	const char *t = path_template;
	size_t i = 0;

	if (p->n > PATH_SEGMENTS)
		return false;
	for (; *t == '/'; i++) {
		t++;
		size_t tlen = (size_t)(strchrnul(t, '/') - t);
		if (i == p->n || !segment_match(t, tlen, p->segments[i], &args))
			return false;
		t += tlen;
	}
	if (i != p->n)
		return false;
	*out = args;
	return true;
}

const char *path_arg(const struct path_args *args, const char *name)
{
	size_t len = strlen(name);
	size_t i = 0;

	while (i < args->n && (args->list[i].name_len != len || memcmp(args->list[i].name, name, len) != 0))
		i++;
	must(i < args->n);
	return args->list[i].value;
}

struct route_index {
	const struct route *routes;
	size_t n;
	unsigned char n_segments[];
};

static size_t count_segments(const char *path_template)
{
	size_t n = 0;
	for (const char *p = path_template; *p; p++)
		n += *p == '/';
	return n;
}

struct route_index *route_index_new(const struct route *routes, size_t n)
{
	struct route_index *x = mem_alloc(sizeof *x + n);

	x->routes = routes;
	x->n = n;
	for (size_t i = 0; i < n; i++) {
		size_t n_segments = count_segments(routes[i].path);
		must(n_segments <= PATH_SEGMENTS);
		x->n_segments[i] = (unsigned char)n_segments;
	}
	return x;
}

void route_index_free(struct route_index *x) { mem_free(x); }

static void add_method(char methods[ROUTE_METHODS_SIZE], const char *method)
{
	size_t len = strlen(methods);
	int more = snprintf(methods + len, ROUTE_METHODS_SIZE - len, "%s%s", len ? ", " : "", method);
	must(more > 0 && (size_t)more < ROUTE_METHODS_SIZE - len);
}

enum route_verdict route_find(const struct route_index *x, const char *method, const struct path *p,
			      const struct route **out, struct path_args *args, char methods[ROUTE_METHODS_SIZE])
{
	const struct route *other = NULL;

	methods[0] = '\0';
	for (size_t i = 0; i < x->n; i++) {
		const struct route *r = &x->routes[i];
		if (x->n_segments[i] == p->n && strcmp(r->method, method) == 0 && path_match(r->path, p, args)) {
			*out = r;
			return ROUTE_FOUND;
		}
	}
	for (size_t i = 0; i < x->n; i++) {
		const struct route *r = &x->routes[i];
		if (x->n_segments[i] == p->n && path_match(r->path, p, args)) {
			add_method(methods, r->method);
			other = r;
		}
	}
	if (!other)
		return ROUTE_NO_PATH;
	*out = other;
	return ROUTE_NO_METHOD;
}
