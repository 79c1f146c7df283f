#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include "base/mem.h"
#include "base/must.h"

void fuzz_fail(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: not true: %s: ", file, line, cond);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	abort();
}

void fuzz_chance(struct rng *r, const uint8_t *data, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
	rng_init(r, hash);
}

char *fuzz_text(const uint8_t *data, size_t size, size_t *len)
{
	size_t n = size ? strnlen((const char *)data, size) : 0;
	char *text = mem_alloc(n + 1);

	if (n)
		memcpy(text, data, n);
	text[n] = '\0';
	if (len)
		*len = n;
	return text;
}

void fuzz_file_open(struct fuzz_file *f, const void *bytes, size_t size)
{
	const char *at = bytes;

	f->fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(f->fd >= 0);
	while (size) {
		ssize_t n = write(f->fd, at, size);
		must(n > 0);
		at += n;
		size -= (size_t)n;
	}
	snprintf(f->path, sizeof f->path, "/proc/self/fd/%d", f->fd);
}

void fuzz_file_close(struct fuzz_file *f) { must(close(f->fd) == 0); }

void fuzz_check_refusal(enum rc rc, const struct err *err)
{
	CHECK(rc != RC_OK, "a refusal was looked at");
	CHECK(err->rc == rc, "returned %s, said %s", rc_name(rc), rc_name(err->rc));
	CHECK(err->msg[0], "%s without a word", rc_name(rc));
	CHECK(memchr(err->msg, '\0', sizeof err->msg), "%s: the message does not end", rc_name(rc));
	CHECK(!strpbrk(err->msg, "\r\n"), "%s: a line break in '%s'", rc_name(rc), err->msg);
}

bool fuzz_is_same(const void *x, size_t x_len, const void *y, size_t y_len)
{
	return x_len == y_len && (x_len == 0 || memcmp(x, y, x_len) == 0);
}
