#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"

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

/* text up to size - 1 bytes, without half a character at the cut; *cut says whether there is more. */
static size_t take(char *to, size_t size, const char *text, bool *cut)
{
	size_t len = strnlen(text, size);

	*cut = len == size;
	if (*cut) {
		len--;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(to, text, len);
	to[len] = '\0';
	return len;
}

const char *log_text(struct log_text *room, const char *text)
{
	static const char more[] = "...";
	bool cut;
	size_t len = take(room->bytes, sizeof room->bytes - sizeof more + 1, text, &cut);

	if (cut)
		memcpy(room->bytes + len, more, sizeof more);
	for (char *p = room->bytes; *p; p++)
		*p = *p == '"' ? '\'' : *p;
	return room->bytes;
}

const char *log_word(struct log_text *room, const char *text)
{
	enum { WORD_SIZE = 64 + 1 };
	bool cut;

	(void)take(room->bytes, WORD_SIZE, text, &cut); /* such words are names: the first letters tell */
	for (char *p = room->bytes; *p; p++)
		*p = (unsigned char)*p <= ' ' || *p == '"' || *p == '=' ? '_' : *p;
	return room->bytes;
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char line[1024], at[CLOCK_TEXT_SIZE];

	if ((int)level > atomic_load(&max_level))
		return;
	clock_iso_ms(at, clock_wall_ms());
	int used = snprintf(line, sizeof line - 1, "%s %-5s %s ", at, names[level], event);
	va_list ap;
	va_start(ap, fmt);
	int more = vsnprintf(line + used, sizeof line - 1 - (size_t)used, fmt, ap);
	va_end(ap);
	size_t len = (size_t)used + (more > 0 ? (size_t)more : 0);
	if (len > sizeof line - 2)
		len = sizeof line - 2;
	tame(line, len);
	line[len++] = '\n';
	/* Nothing can be done about a log that cannot be written. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
