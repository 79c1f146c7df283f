#include "base/hex.h"

void hex_of(const unsigned char *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

bool hex_is(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (hex_value(bytes[i]) < 0 || (bytes[i] >= 'A' && bytes[i] <= 'F'))
			return false;
	}
	return true;
}
