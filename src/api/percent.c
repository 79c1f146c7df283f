#include "api/percent.h"

#include <stdbool.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte of the decoded text; *p moves past what it took. */
static char take_byte(const char **p, const char *end, enum percent_plus plus)
{
	char c = *(*p)++;

	if (c == '+' && plus == PERCENT_PLUS_IS_SPACE)
		return ' ';
	if (c != '%' || end - *p < 2 || hex_digit((*p)[0]) < 0 || hex_digit((*p)[1]) < 0)
		return c;
	c = (char)(hex_digit((*p)[0]) * 16 + hex_digit((*p)[1]));
	*p += 2;
	return c;
}

enum rc percent_decode(const char *bytes, size_t len, enum percent_plus plus, struct arena *a, const char **out,
		       struct err *err)
{
	char *text = arena_dup_n(a, bytes, len), *to = text;
	const char *end = bytes + len;

	if (!text)
		return err_set(err, RC_LIMIT, "the request needs more memory than it may take");
	/* Nearly every segment means itself. */
	bool is_itself = !memchr(bytes, '%', len) && !memchr(bytes, '\0', len) &&
			 (plus == PERCENT_PLUS_STAYS || !memchr(bytes, '+', len));
	if (is_itself) {
		*out = text;
		return RC_OK;
	}
	for (const char *p = bytes; p < end; to++) {
		*to = take_byte(&p, end, plus);
		if (*to == '\0')
			return err_set(err, RC_INVALID, "the request target contains a NUL (%%00)");
	}
	*to = '\0';
	*out = text;
	return RC_OK;
}
