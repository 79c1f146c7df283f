#include "api/percent.h"

#include <string.h>

enum rc percent_decode(const char *bytes, size_t len, enum canon_plus plus, struct arena *a, const char **out,
		       struct err *err)
{
	char *text = arena_dup_n(a, bytes, len);

	if (!text)
		return err_set(err, RC_LIMIT, "the request needs more memory than it may take");
	if (memchr(bytes, '%', len) || memchr(bytes, '+', len)) { /* nearly every segment means itself */
		len = canon_decode(text, (struct slice){ bytes, len }, plus);
		text[len] = '\0';
	}
	if (memchr(text, '\0', len))
		return err_set(err, RC_INVALID, "the request target contains a NUL (%%00)");
	*out = text;
	return RC_OK;
}
