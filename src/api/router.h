/*
 * router: which operation a (method, path) is, by a table of templates such as
 * "/v4/openapi/app-groups/{app}/functions/{function}".
 *
 * A path is split on '/' as received and each segment is decoded after that, so an encoded slash stays inside of
 * its segment. A template's {name} takes one segment that is not empty.
 *
 * Owner:   decoded segments live in the arena; path_args borrow from them and from the template.
 * Threads: pure, any.
 * Limits:  PATH_SEGMENTS segments; a longer path matches nothing.
 */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"

enum { PATH_SEGMENTS = 16, PATH_ARGS = 5, ROUTE_METHODS_SIZE = 64 };

struct path {
	size_t n;                             /* PATH_SEGMENTS + 1: longer than any template */
	const char *segments[PATH_SEGMENTS];  /* decoded */
};

struct path_args {
	size_t n;
	struct path_arg {
		const char *name; /* in the template, not terminated */
		size_t name_len;
		const char *value;
	} list[PATH_ARGS];
};

struct call;
enum route_access { ROUTE_SIGNED, ROUTE_OPEN /* no key needed */ };

/* One row of the table. action and resource say what a policy must allow (RAM's names); "" for our own paths. */
struct route {
	const char *method, *path;
	const char *operation;         /* the vendor's name of it, also a metric's label */
	const char *action, *resource;
	enum route_access access;
	void (*handle)(struct call *c);
};

/* RC_INVALID: no leading '/', or a NUL in it. RC_LIMIT: the arena is full. */
enum rc path_split(const char *raw_path, struct arena *a, struct path *out, struct err *err) NODISCARD;
bool path_match(const char *path_template, const struct path *p, struct path_args *out);
/* Value of a template's {name}. The template has it: anything else is a bug. */
const char *path_arg(const struct path_args *args, const char *name);

enum route_verdict { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

/* A table, borrowed, with what a search wants to know of each row beforehand. */
struct route_index;
struct route_index *route_index_new(const struct route *routes, size_t n);
void route_index_free(struct route_index *x); /* NULL is fine */

/* Search the table: the first row that fits. ROUTE_FOUND fills *out and *args; ROUTE_NO_METHOD fills methods with the
 * path's methods, ready for an Allow header ("GET, POST"), and *out with one of its rows. */
enum route_verdict route_find(const struct route_index *x, const char *method, const struct path *p,
			      const struct route **out, struct path_args *args, char methods[ROUTE_METHODS_SIZE]);

#endif
