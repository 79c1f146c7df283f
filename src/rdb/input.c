/*
 * The bytes of the file pass through one buffer. When it runs dry, what was taken goes into the CRC, the rest moves to
 * the front, and the file fills it up. A length is compared with what the file has left before anything is skipped, so
 * a lying one is found where it stands, not at the end of the file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/must.h"
#include "os/calls.h"
#include "rdb/rdb_priv.h"

void in_note_bad(struct input *in, const char *fmt, ...)
{
	char why[200];
	va_list ap;
	va_start(ap, fmt);
	must(vsnprintf(why, sizeof why, fmt, ap) >= 0);
	va_end(ap);
	in->rc = err_set(in->err, RC_CORRUPT, "%.200s: damaged at byte %llu: %s", in->path,
	                 (unsigned long long)in_offset(in), why);
}

void in_note_refused(struct input *in, const char *fmt, ...)
{
	char why[200];
	va_list ap;
	va_start(ap, fmt);
	must(vsnprintf(why, sizeof why, fmt, ap) >= 0);
	va_end(ap);
	in->rc = err_set(in->err, RC_INVALID, "%.200s: %s", in->path, why);
}

static bool cut_off(struct input *in, uint64_t n)
{
	return in_bad(in, "cut off: %llu bytes should follow, %llu do", (unsigned long long)n,
	              (unsigned long long)in_left(in));
}

uint64_t in_crc(struct input *in)
{
	in->crc = crc64_add(&in->crc64, in->crc, in->summed, (size_t)(in->at - in->summed));
	in->summed = in->at;
	return in->crc;
}

static bool fill(struct input *in, size_t n)
{
	size_t have = (size_t)(in->end - in->at);

	while (have < n) {
		ssize_t got = os.read(in->fd, in->own + have, INPUT_SIZE - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			in->rc = err_sys(in->err, RC_IO, errno, "cannot read '%.200s'", in->path);
			return false;
		}
		if (got == 0)
			return in_bad(in, "it became shorter while being read");
		have += (size_t)got;
		in->end = in->own + have;
	}
	return true;
}

bool in_refill(struct input *in, size_t n)
{
	must(n <= INPUT_NEED_MAX);
	if (n > in_left(in))
		return cut_off(in, n);
	must(in->own); /* in the other case all of the file is there */
	(void)in_crc(in);
	if (in->visitor->progress) {
		in->rc = in->visitor->progress(in->visitor->ctx, in_offset(in), in->size, in->err);
		if (in->rc != RC_OK)
			return false;
	}
	size_t rest = (size_t)(in->end - in->at);
	in->base = in_offset(in);
	memmove(in->own, in->at, rest);
	in->at = in->summed = in->own;
	in->end = in->own + rest;
	return fill(in, n);
}

bool in_skip(struct input *in, uint64_t n)
{
	if (n > in_left(in))
		return cut_off(in, n);
	for (;;) {
		size_t have = (size_t)(in->end - in->at);
		if (n <= have) {
			in->at += n;
			return true;
		}
		in->at = in->end;
		n -= have;
		if (!in_refill(in, 1))
			return false;
	}
}

bool in_u8(struct input *in, uint8_t *out)
{
	if (!in_need(in, 1))
		return false;
	*out = *in->at++;
	return true;
}

bool in_le32(struct input *in, uint32_t *out)
{
	if (!in_need(in, 4))
		return false;
	*out = (uint32_t)le_get(in->at, 4);
	in->at += 4;
	return true;
}

bool in_le64(struct input *in, uint64_t *out)
{
	if (!in_need(in, 8))
		return false;
	*out = le_get(in->at, 8);
	in->at += 8;
	return true;
}

uint64_t le_get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = n; i--;)
		v = v << 8 | p[i];
	return v;
}

int64_t le_get_signed(const uint8_t *p, size_t n)
{
	uint64_t v = le_get(p, n), sign = UINT64_C(1) << (8 * n - 1);
	return (int64_t)((v ^ sign) - sign);
}

uint64_t be_get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

unsigned decimal_len(int64_t v)
{
	unsigned len = v < 0 ? 2 : 1;
	for (v /= 10; v; v /= 10)
		len++;
	return len;
}
