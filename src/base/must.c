#include "base/must.h"

#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void must_failed(const char *cond, const char *file, int line, const char *func)
{
	char text[512];
	int saved = errno;
	int len = snprintf(text, sizeof text, "stint: BUG must(%s) failed at %s:%d in %s, errno=%d\n",
			   cond, file, line, func, saved);
	void *frames[32];

	if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
		abort();
	backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
	abort();
}
