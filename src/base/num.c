#include "base/num.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool num_i64_n(const char *bytes, size_t len, int64_t *out)
{
	bool neg = len && bytes[0] == '-';
	int64_t v = 0;

	if (len == (size_t)neg)
		return false;
	for (size_t i = neg; i < len; i++) {
		if (!is_digit(bytes[i]))
			return false;
		int digit = bytes[i] - '0';
		/* Built downwards, since INT64_MIN has no positive twin. */
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
			return false;
	}
	if (!neg && v == INT64_MIN)
		return false;
	*out = neg ? v : -v;
	return true;
}

bool num_i64(const char *text, int64_t *out) { return num_i64_n(text, strlen(text), out); }

bool num_u64(const char *text, uint64_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (const char *p = text; *p; p++) {
		if (!is_digit(*p) || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool num_f64(const char *text, double *out)
{
	/* strtod takes blanks, hex, "inf" and "nan"; we do not. The program never calls setlocale. */
	if (!*text || text[strspn(text, "+-.0123456789eE")])
		return false;
	char *end;
	errno = 0;
	double v = strtod(text, &end);
	if (*end || end == text || !isfinite(v))
		return false;
	*out = v;
	return true;
}

bool num_f64_n(const char *bytes, size_t len, double *out)
{
	char text[64];

	if (len >= sizeof text)
		return false;
	if (len)
		memcpy(text, bytes, len);
	text[len] = '\0';
	return strlen(text) == len && num_f64(text, out);
}

bool num_is_canonical(const char *text)
{
	size_t len = strlen(text);
	int64_t v;
	return len && text[0] != '0' && text[0] != '-' && num_i64_n(text, len, &v);
}

bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

bool take_int(const char **p, int *out)
{
	const char *q = *p;
	int v = 0;

	for (; is_digit(*q); q++) {
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *q - '0', &v))
			return false;
	}
	if (q == *p)
		return false;
	*p = q;
	*out = v;
	return true;
}
