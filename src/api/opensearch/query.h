/*
 * query: the values behind '?', decoded, with the contract's rules for numbers, words and pages.
 *
 * Names are compared exactly; unknown ones are ignored; of a repeated name the first value counts. For text an
 * empty value means "not given" (consoles send such), for a number it is an error.
 *
 * Owner:   texts live in the arena given to query_parse.
 * Errors:  RC_INVALID naming the value and its rule; outputs are then untouched.
 * Limits:  QUERY_ARGS_MAX pairs.  Threads: pure, any.
 */
#ifndef API_OPENSEARCH_QUERY_H
#define API_OPENSEARCH_QUERY_H

#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

enum { QUERY_ARGS_MAX = 64, PAGE_SIZE_MAX = 100 };

struct query_args {
	size_t n;
	struct query_arg {
		const char *name, *value;
	} *list;
};

enum rc query_parse(const char *raw_query, struct arena *a, struct query_args *out, struct err *err) NODISCARD;
/* NULL when absent or empty. */
const char *query_text(const struct query_args *q, const char *name);
/* Absent leaves *out as it is; low..high inclusive. */
enum rc query_int(const struct query_args *q, const char *name, int64_t low, int64_t high, int64_t *out,
		  struct err *err) NODISCARD;
/* One word of a '|'-separated list: *out becomes its index. Absent leaves it as it is. */
enum rc query_choice(const struct query_args *q, const char *name, const char *choices, int *out,
		     struct err *err) NODISCARD;

struct page {
	int64_t offset, limit;
};
/* pageNumber (from 1, default 1) and pageSize (1 to PAGE_SIZE_MAX). */
enum rc query_page(const struct query_args *q, int64_t default_size, struct page *out, struct err *err) NODISCARD;

#endif
