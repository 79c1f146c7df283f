#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/attr.h"
#include "base/clock.h"

enum { LINE_MAX_SIZE = 1024, VALUE_MAX = 508 };

static atomic_int max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level) { atomic_store(&max_level, (int)level); }

/* Values come from outside: a newline in one must not start a forged line. */
static void tame(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = ' ';
	}
}

/* A line as it grows; room is left for the newline. */
struct line {
	char bytes[LINE_MAX_SIZE];
	size_t len;
};

static void add(struct line *l, const char *bytes, size_t len)
{
	size_t room = sizeof l->bytes - 1 - l->len;

	len = len < room ? len : room;
	memcpy(l->bytes + l->len, bytes, len);
	l->len += len;
}

/* Bytes of text that are shown: not half a character at the cut. */
static size_t shown_len(const char *text, bool *is_cut)
{
	size_t len = strnlen(text, VALUE_MAX + 1);

	*is_cut = len > VALUE_MAX;
	if (!*is_cut)
		return len;
	len = VALUE_MAX;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static bool is_word(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] <= ' ' || text[i] == '"' || text[i] == 0x7f)
			return false;
	}
	return true;
}

/* What others wrote: it neither ends its value, nor begins another one, nor pushes those behind it off the line. */
static void add_text(struct line *l, const char *text, bool is_quoted)
{
	bool is_cut;
	size_t len = shown_len(text, &is_cut);
	bool gets_quotes = !is_quoted && !is_word(text, len);

	if (gets_quotes)
		add(l, "\"", 1);
	for (size_t i = 0; i < len; i++)
		add(l, text[i] == '"' ? "'" : text + i, 1);
	if (is_cut)
		add(l, "...", 3);
	if (gets_quotes)
		add(l, "\"", 1);
}

static void add_int(struct line *l, long long v)
{
	char text[24];
	int len = snprintf(text, sizeof text, "%lld", v);
	add(l, text, len > 0 ? (size_t)len : 0);
}

/* The conversions that log lines use. printf knows more, but not where a value begins and ends. */
PRINTF(2, 0) static void print(struct line *l, const char *fmt, va_list ap)
{
	bool is_quoted = false;

	for (const char *p = fmt; *p;) {
		if (*p != '%') {
			is_quoted ^= *p == '"';
			add(l, p++, 1);
		} else if (p[1] == 's') {
			const char *text = va_arg(ap, const char *);
			add_text(l, text ? text : "(null)", is_quoted);
			p += 2;
		} else if (p[1] == 'd') {
			add_int(l, va_arg(ap, int));
			p += 2;
		} else if (strncmp(p, "%lld", 4) == 0) {
			add_int(l, va_arg(ap, long long));
			p += 4;
		} else if (strncmp(p, "%zu", 3) == 0) {
			add_int(l, (long long)va_arg(ap, size_t));
			p += 3;
		} else {
			add(l, p, strlen(p)); /* what follows cannot be told, and no server ends for that */
			return;
		}
	}
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warn ", "info ", "debug" };
	struct line line = { .len = 0 };
	char at[CLOCK_TEXT_SIZE];

	if ((int)level > atomic_load(&max_level))
		return;
	clock_iso_ms(at, clock_wall_ms());
	const char *const head[] = { at, " ", names[level], " ", event, " " };
	for (size_t i = 0; i < ARRAY_LEN(head); i++)
		add(&line, head[i], strlen(head[i]));
	va_list ap;
	va_start(ap, fmt);
	print(&line, fmt, ap);
	va_end(ap);
	tame(line.bytes, line.len);
	line.bytes[line.len++] = '\n';
	/* Nothing can be done about a log that cannot be written. */
	if (write(STDERR_FILENO, line.bytes, line.len) < 0)
		return;
}
