#include "cmd/password.h"

#include <termios.h>
#include "base/buf.h"
#include "base/mem.h"
#include "os/file.h"

enum { KEY_INTERRUPT = 3 /* Ctrl-C, which is no signal while the echo is off, so that it comes back on */ };

/* The first line of text, without its end. */
static enum rc take_line(const char *text, const char *from, char out[PASSWORD_SIZE], struct err *err)
{
	size_t len = strcspn(text, "\r\n");

	if (len == 0 || len >= PASSWORD_SIZE)
		return err_set(err, RC_INVALID, "the password from %.100s has %zu characters; 1 to %d will do", from,
			       len, PASSWORD_SIZE - 1);
	memcpy(out, text, len);
	out[len] = '\0';
	return RC_OK;
}

static enum rc from_stream(FILE *f, const char *from, char out[PASSWORD_SIZE], struct err *err)
{
	char line[PASSWORD_SIZE + 2];

	if (!fgets(line, sizeof line, f))
		return err_set(err, RC_INVALID, "no password came from %.100s", from);
	enum rc rc = take_line(line, from, out, err);
	mem_wipe(line, sizeof line);
	return rc;
}

static enum rc from_file(const char *path, char out[PASSWORD_SIZE], struct err *err)
{
	struct buf text;

	if (strcmp(path, "-") == 0)
		return from_stream(stdin, "standard input", out, err);
	buf_init(&text, 4096);
	enum rc rc = file_read(path, &text, err);
	if (rc == RC_OK)
		rc = take_line(buf_text(&text), path, out, err);
	if (text.cap)
		mem_wipe(text.bytes, text.cap);
	buf_fini(&text);
	return rc;
}

static enum rc ask(FILE *terminal, const char *question, char out[PASSWORD_SIZE], struct err *err)
{
	struct termios was, quiet;

	if (tcgetattr(fileno(terminal), &was) != 0)
		return err_set(err, RC_INVALID, "the terminal cannot be asked for a password");
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	(void)fprintf(terminal, "%s: ", question);
	(void)fflush(terminal);
	(void)tcsetattr(fileno(terminal), TCSAFLUSH, &quiet);
	enum rc rc = from_stream(terminal, "the terminal", out, err);
	(void)tcsetattr(fileno(terminal), TCSAFLUSH, &was);
	(void)fprintf(terminal, "\n");
	if (rc == RC_OK && strchr(out, KEY_INTERRUPT))
		rc = err_set(err, RC_INVALID, "given up");
	return rc;
}

static enum rc from_terminal(const char *question, bool must_agree, char out[PASSWORD_SIZE], struct err *err)
{
	char again[PASSWORD_SIZE];

	FILE *terminal = fopen("/dev/tty", "r+e");
	if (!terminal)
		return err_set(err, RC_INVALID, "no password: set $REDISCLI_AUTH, or run this on a terminal");
	enum rc rc = ask(terminal, question, out, err);
	if (rc == RC_OK && must_agree) {
		rc = ask(terminal, "The same again", again, err);
		if (rc == RC_OK && strcmp(out, again) != 0)
			rc = err_set(err, RC_INVALID, "the two passwords differ");
		mem_wipe(again, sizeof again);
	}
	(void)fclose(terminal);
	return rc;
}

enum rc password_read(const char *file, const char *question, bool must_agree, char out[PASSWORD_SIZE], struct err *err)
{
	const char *env = getenv("REDISCLI_AUTH");

	if (file)
		return from_file(file, out, err);
	if (env && *env)
		return take_line(env, "$REDISCLI_AUTH", out, err);
	return from_terminal(question, must_agree, out, err);
}
