/*
 * hex: bytes as hexadecimal digits: digests, keys, ids, escapes. Written in lower case. Pure functions: any thread.
 */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* 2 len digits and a NUL. */
void hex_of(const unsigned char *bytes, size_t len, char *out);
/* Are these len bytes such digits? */
bool hex_is(const char *bytes, size_t len);

/* Value of a digit of either case, or -1. */
static inline int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
