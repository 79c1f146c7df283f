#include "train/lines.h"

#include <string.h>
#include "base/mem.h"
#include "base/must.h"

enum { FIRST_CAP = 256 * 1024, SHOWN_MAX = 40 };

enum rc lines_open(struct lines *l, const char *path, enum inflate_source source, EVP_MD_CTX *digest, struct err *err)
{
	struct inflate *in;
	enum rc rc = inflate_open(path, source, digest, &in, err);
	if (rc != RC_OK)
		return rc;
	*l = (struct lines){ .in = in, .name = path, .cap = FIRST_CAP, .bytes = mem_alloc(FIRST_CAP) };
	return RC_OK;
}

void lines_close(struct lines *l)
{
	inflate_close(l->in);
	mem_free(l->bytes);
	*l = (struct lines){ 0 };
}

enum rc lines_where(const struct lines *l, enum rc rc, struct err *err)
{
	return err_wrap(err, rc, "%.300s:%lld", l->name, (long long)l->number);
}

/* Read more behind bytes[0..end), moving the current record to the front to have room. */
static enum rc fill(struct lines *l, struct err *err)
{
	size_t n = 0;

	if (l->end == l->cap && l->first) {
		memmove(l->bytes, l->bytes + l->first, l->end - l->first);
		l->next -= l->first;
		l->end -= l->first;
		l->first = 0;
	} else if (l->end == l->cap) {
		l->cap *= 2; /* at most twice LINES_MAX_SIZE: longer records are refused before */
		l->bytes = mem_grow(l->bytes, l->cap, 1);
	}
	enum rc rc = inflate_read(l->in, l->bytes + l->end, l->cap - l->end, &n, err);
	l->end += n;
	l->is_eof = rc == RC_OK && n == 0;
	return rc;
}

/* Move l->next behind the line that begins there. *has false: there is none. */
static enum rc take_line(struct lines *l, bool *has, struct err *err)
{
	size_t seen = 0; /* bytes after next known to hold no line end */
	for (;;) {
		char *start = l->bytes + l->next;
		size_t left = l->end - l->next;
		char *end = left > seen ? memchr(start + seen, '\n', left - seen) : NULL;
		size_t size = (end ? (size_t)(end + 1 - start) : left) + l->next - l->first;
		if (size > LINES_MAX_SIZE + 1) {
			(void)err_set(err, RC_LIMIT, "a line or a quoted cell is longer than %d bytes", LINES_MAX_SIZE);
			return lines_where(l, RC_LIMIT, err);
		}
		if (end || l->is_eof) {
			*has = end || left;
			l->next = l->first + size;
			l->n_lines += *has;
			return RC_OK;
		}
		seen = left;
		enum rc rc = fill(l, err);
		if (rc != RC_OK)
			return rc;
	}
}

/* The current record without its line end. */
static void give(const struct lines *l, char **record, size_t *len)
{
	size_t n = l->next - l->first;
	*record = l->bytes + l->first;
	if (n && (*record)[n - 1] == '\n')
		n--;
	if (n && (*record)[n - 1] == '\r')
		n--;
	*len = n;
}

static enum rc check_start(struct lines *l, struct err *err)
{
	const char *p = l->bytes;
	if (l->end >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		l->first = 3;
	else if (l->end >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0))
		return err_set(err, RC_INVALID, "%.300s: the text is UTF-16; UTF-8 is needed", l->name);
	return RC_OK;
}

enum rc lines_next(struct lines *l, char **line, size_t *len, bool *has, struct err *err)
{
	bool got = false;
	enum rc rc = RC_OK;

	l->first = l->next;
	l->number = l->n_lines + 1;
	if (l->n_lines == 0 && l->next == 0) {
		rc = take_line(l, &got, err);
		if (rc == RC_OK)
			rc = check_start(l, err);
		got = got && l->next > l->first;
	} else {
		rc = take_line(l, &got, err);
	}
	if (rc != RC_OK)
		return rc;
	if (got)
		give(l, line, len);
	*has = got;
	return RC_OK;
}

enum rc lines_extend(struct lines *l, char **record, size_t *len, bool *has, struct err *err)
{
	bool got = false;
	enum rc rc = take_line(l, &got, err);
	if (rc != RC_OK)
		return rc;
	if (got)
		give(l, record, len);
	*has = got;
	return RC_OK;
}

void lines_unread(struct lines *l)
{
	must(l->n_lines == l->number);
	l->next = l->first;
	l->n_lines--;
}

size_t lines_utf8_len(const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t need = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (need > len)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
	bool is_bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
		      (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90);
	return need > 1 && is_bad ? 0 : need;
}

const char *lines_show(char shown[LINES_SHOWN_SIZE], const char *bytes, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len;) {
		size_t n = lines_utf8_len(bytes + i, len - i);
		bool is_plain = n && (unsigned char)bytes[i] >= ' ' && bytes[i] != 0x7f;
		if (used + (n ? n : 1) > SHOWN_MAX) {
			memcpy(shown + used, "...", 3);
			used += 3;
			break;
		}
		if (is_plain)
			memcpy(shown + used, bytes + i, n);
		else
			shown[used] = '?';
		used += is_plain ? n : 1;
		i += n ? n : 1;
	}
	shown[used] = '\0';
	return shown;
}
