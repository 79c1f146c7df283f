/*
 * Two steps, since a cell is unescaped in place and must be complete before: first lengthen the record until no
 * quotation is open (most records hold no '"' at all, then there is nothing to do), then cut it up.
 */
#include "train/csv.h"

#include <string.h>
#include "base/mem.h"

void cells_fini(struct cells *c)
{
	mem_free(c->items);
	*c = (struct cells){ 0 };
}

void cells_add(struct cells *c, struct cell cell)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		c->items = mem_grow(c->items, c->cap, sizeof c->items[0]);
	}
	c->items[c->n++] = cell;
}

/* Where a scan for the record's end stands. */
enum place { AT_START, IN_PLAIN, IN_QUOTES, AFTER_QUOTE };

static enum place scan(enum place at, const char *p, const char *end, char separator)
{
	for (; p < end; p++) {
		if (at == IN_QUOTES)
			at = *p == '"' ? AFTER_QUOTE : IN_QUOTES;
		else if (*p == '"' && (at == AT_START || at == AFTER_QUOTE))
			at = IN_QUOTES;
		else
			at = *p == separator ? AT_START : IN_PLAIN;
	}
	return at;
}

static enum rc complete(struct lines *l, char separator, char **record, size_t *len, struct err *err)
{
	if (!memchr(*record, '"', *len))
		return RC_OK;
	enum place at = scan(AT_START, *record, *record + *len, separator);
	while (at == IN_QUOTES) {
		size_t scanned = *len;
		bool has;
		enum rc rc = lines_extend(l, record, len, &has, err);
		if (rc == RC_OK && !has) {
			(void)err_set(err, RC_INVALID, "a quoted cell begins here that never ends");
			rc = lines_where(l, RC_INVALID, err);
		}
		if (rc != RC_OK)
			return rc;
		at = scan(at, *record + scanned, *record + *len, separator);
	}
	return RC_OK;
}

/* Unescape a quoted cell whose text begins at p; *next is behind its closing quotation mark. */
static size_t unquote(char *p, char *end, char **next)
{
	char *to = p, *from = p;
	for (; from < end; from++) {
		if (*from == '"') {
			from++;
			if (from == end || *from != '"')
				break;
		}
		*to++ = *from;
	}
	*next = from < end ? from : end;
	return (size_t)(to - p);
}

static enum rc cut(struct lines *l, char separator, char *p, char *end, struct cells *out, struct err *err)
{
	char shown[LINES_SHOWN_SIZE];

	for (out->n = 0; out->n < COLUMNS_MAX;) {
		struct cell c = { .bytes = p, .column = (uint32_t)out->n };
		char *stop;
		if (p < end && *p == '"') {
			c.bytes = p + 1;
			c.len = unquote(p + 1, end, &stop);
			if (stop < end && *stop != separator) {
				(void)err_set(err, RC_INVALID, "column %zu: '%s' follows the closing quotation mark",
					      out->n + 1, lines_show(shown, stop, (size_t)(end - stop)));
				return lines_where(l, RC_INVALID, err);
			}
		} else {
			stop = p < end ? memchr(p, separator, (size_t)(end - p)) : NULL;
			stop = stop ? stop : end;
			c.len = (size_t)(stop - p);
		}
		cells_add(out, c);
		if (stop == end)
			return RC_OK;
		p = stop + 1;
	}
	(void)err_set(err, RC_LIMIT, "more than %d columns", COLUMNS_MAX);
	return lines_where(l, RC_LIMIT, err);
}

enum rc csv_next(struct lines *l, char separator, struct cells *out, bool *has, struct err *err)
{
	char *record = NULL;
	size_t len = 0;
	enum rc rc;

	do
		rc = lines_next(l, &record, &len, has, err);
	while (rc == RC_OK && *has && len == 0);
	if (rc == RC_OK && *has)
		rc = complete(l, separator, &record, &len, err);
	if (rc == RC_OK && *has)
		rc = cut(l, separator, record, record + len, out, err);
	return rc;
}
