#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int exit_code;
} rc_rows[] = {
#define X(name, exit_code) { #name, exit_code },
	RC_TABLE(X)
#undef X
};

const char *rc_name(enum rc rc) { return rc_rows[rc].name; }
int rc_exit_code(enum rc rc) { return rc_rows[rc].exit_code; }

/* Drop the character that ends the text unfinished: messages are UTF-8 also when they were cut. */
static size_t whole_len(const char *text, size_t len)
{
	size_t lead = len;

	while (lead && len - lead < 4 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (!lead)
		return len;
	unsigned char c = (unsigned char)text[lead - 1];
	size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
	return len - (lead - 1) < want ? lead - 1 : len;
}

/* Values from outside are quoted in messages: no control character of theirs gets through. */
static void tidy(char msg[sizeof((struct err *)NULL)->msg])
{
	size_t len = strlen(msg);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)msg[i] < ' ' || msg[i] == 0x7f)
			msg[i] = ' ';
	}
	msg[whole_len(msg, len)] = '\0';
}

PRINTF(4, 0) static void fill(struct err *err, enum rc rc, int sys, const char *fmt, va_list ap)
{
	err->rc = rc;
	err->sys = sys;
	(void)vsnprintf(err->msg, sizeof err->msg, fmt, ap); /* cutting is the contract */
	tidy(err->msg);
}

enum rc err_set(struct err *err, enum rc rc, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		fill(err, rc, 0, fmt, ap);
		va_end(ap);
	}
	return rc;
}

enum rc err_sys(struct err *err, enum rc rc, int sys, const char *fmt, ...)
{
	if (err) {
		char text[96] = "";
		va_list ap;
		va_start(ap, fmt);
		fill(err, rc, sys, fmt, ap);
		va_end(ap);
		const char *why = strerror_r(sys, text, sizeof text); /* the GNU one: never fails */
		size_t used = strlen(err->msg);
		(void)snprintf(err->msg + used, sizeof err->msg - used, ": %s", why);
		tidy(err->msg);
	}
	return rc;
}

enum rc err_wrap(struct err *err, enum rc rc, const char *fmt, ...)
{
	if (err) {
		char where[sizeof err->msg], inner[sizeof err->msg];
		va_list ap;
		va_start(ap, fmt);
		(void)vsnprintf(where, sizeof where, fmt, ap);
		va_end(ap);
		memcpy(inner, err->msg, sizeof inner);
		size_t used = strnlen(where, sizeof where - 1);
		memcpy(err->msg, where, used);
		(void)snprintf(err->msg + used, sizeof err->msg - used, ": %.400s", inner);
		tidy(err->msg);
	}
	return rc;
}
