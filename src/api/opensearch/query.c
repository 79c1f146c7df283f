#include "api/opensearch/query.h"

#include <string.h>
#include "api/percent.h"
#include "base/num.h"

enum { SHOWN_MAX = 80 }; /* bytes of a refused value that a message repeats */

static enum rc decode_pair(const char *piece, size_t len, struct arena *a, struct query_arg *out, struct err *err)
{
	const char *eq = memchr(piece, '=', len);
	size_t name_len = eq ? (size_t)(eq - piece) : len;
	const char *value = eq ? eq + 1 : piece + len;

	enum rc rc = percent_decode(piece, name_len, CANON_PLUS_IS_SPACE, a, &out->name, err);
	if (!rc)
		rc = percent_decode(value, (size_t)(piece + len - value), CANON_PLUS_IS_SPACE, a, &out->value, err);
	return rc;
}

/* Room for as many pairs as there can be; most requests have none. */
static size_t most_pairs(const char *raw_query)
{
	size_t n = *raw_query != '\0';

	for (const char *p = raw_query; *p && n < QUERY_ARGS_MAX; p++)
		n += *p == '&';
	return n;
}

enum rc query_parse(const char *raw_query, struct arena *a, struct query_args *out, struct err *err)
{
	struct query_args q = { 0, arena_array(a, most_pairs(raw_query), sizeof *q.list) };
	const char *p = raw_query;

	if (!q.list)
		return err_set(err, RC_LIMIT, "the request needs more memory than it may take");
	for (size_t len; *p; p += len + (p[len] == '&')) {
		len = strcspn(p, "&");
		if (len == 0)
			continue;
		if (q.n == QUERY_ARGS_MAX)
			return err_set(err, RC_INVALID, "the query has more than %d values", QUERY_ARGS_MAX);
		enum rc rc = decode_pair(p, len, a, &q.list[q.n++], err);
		if (rc)
			return rc;
	}
	*out = q;
	return RC_OK;
}

/* Present, even if empty. */
static const char *find(const struct query_args *q, const char *name)
{
	for (size_t i = 0; i < q->n; i++) {
		if (strcmp(q->list[i].name, name) == 0)
			return q->list[i].value;
	}
	return NULL;
}

const char *query_text(const struct query_args *q, const char *name)
{
	const char *value = find(q, name);
	return value && *value ? value : NULL;
}

enum rc query_int(const struct query_args *q, const char *name, int64_t low, int64_t high, int64_t *out,
		  struct err *err)
{
	const char *value = find(q, name);
	int64_t n;

	if (!value)
		return RC_OK;
	if (!num_i64(value, &n) || n < low || n > high) {
		if (low == INT64_MIN && high == INT64_MAX)
			return err_set(err, RC_INVALID, "%s must be an integer, not '%.*s'", name, SHOWN_MAX, value);
		if (high == INT64_MAX)
			return err_set(err, RC_INVALID, "%s must be an integer of at least %lld, not '%.*s'", name,
				       (long long)low, SHOWN_MAX, value);
		return err_set(err, RC_INVALID, "%s must be an integer from %lld to %lld, not '%.*s'", name,
			       (long long)low, (long long)high, SHOWN_MAX, value);
	}
	*out = n;
	return RC_OK;
}

enum rc query_choice(const struct query_args *q, const char *name, const char *choices, int *out, struct err *err)
{
	const char *value = query_text(q, name);
	const char *p = choices;

	if (!value)
		return RC_OK;
	for (int i = 0;; i++) {
		size_t len = strcspn(p, "|");
		if (strlen(value) == len && memcmp(p, value, len) == 0) {
			*out = i;
			return RC_OK;
		}
		if (!p[len])
			break;
		p += len + 1;
	}
	return err_set(err, RC_INVALID, "%s must be one of %s, not '%.*s'", name, choices, SHOWN_MAX, value);
}

enum rc query_page(const struct query_args *q, int64_t default_size, struct page *out, struct err *err)
{
	int64_t number = 1, size = default_size, offset;

	enum rc rc = query_int(q, "pageNumber", 1, INT64_MAX, &number, err);
	if (!rc)
		rc = query_int(q, "pageSize", 1, PAGE_SIZE_MAX, &size, err);
	if (rc)
		return rc;
	/* A page number beyond all reason is merely past the end. */
	if (__builtin_mul_overflow(number - 1, size, &offset))
		offset = INT64_MAX - size;
	*out = (struct page){ .offset = offset, .limit = size };
	return RC_OK;
}
