#include "cmd/settings.h"

#include <ini.h>
#include <string.h>
#include "os/file.h"

/* inih cuts what does not fit its line buffer with line end and NUL, and takes the rest for a line of its own. */
enum { SETTINGS_SIZE_MAX = 64 << 10, LINE_SIZE_MAX = INI_MAX_LINE - 2 };

struct reading {
	struct opt *opts;
	size_t n;
	struct arena *arena;
	struct err *err;
	enum rc rc;
};

static enum rc take(struct reading *r, const char *name, const char *value)
{
	struct opt *o = args_find(r->opts, r->n, name);

	if (!o || strcmp(o->name, "config") == 0)
		return err_set(r->err, RC_INVALID, "unknown setting '%.60s'", name);
	if (o->is_given)
		return RC_OK;
	const char *copy = arena_dup(r->arena, value);
	if (!copy)
		return err_set(r->err, RC_LIMIT, "too many settings");
	return args_set(o, copy, r->err);
}

/* inih's handler: 0 makes ini_parse_string report the line. The first fault is kept. */
static int on_setting(void *ctx, const char *section, const char *name, const char *value)
{
	struct reading *r = ctx;
	(void)section;
	if (r->rc == RC_OK)
		r->rc = take(r, name, value);
	return r->rc == RC_OK;
}

/* Make the text one that inih reads as we mean it: lines that fit, none indented (it would take such a line for more of
 * the value above it), and no NUL, which would end the text. */
static enum rc prepare(const char *path, struct buf *text, struct err *err)
{
	const char *line = buf_text(text), *end = line + text->len;
	char *to = text->bytes;

	if (memchr(line, '\0', text->len))
		return err_set(err, RC_INVALID, "%.200s: holds a NUL byte", path);
	for (int number = 1; line < end; number++) {
		size_t len = strcspn(line, "\n"), indent = strspn(line, " \t\r\v\f");
		if (len > LINE_SIZE_MAX)
			return err_set(err, RC_INVALID, "%.200s:%d: longer than %d bytes", path, number, LINE_SIZE_MAX);
		const char *next = line + len + (line + len < end);
		memmove(to, line + indent, (size_t)(next - line) - indent);
		to += (size_t)(next - line) - indent;
		line = next;
	}
	if (to) {
		*to = '\0';
		text->len = (size_t)(to - text->bytes);
	}
	return RC_OK;
}

enum rc settings_read(const char *path, struct opt *opts, size_t n, struct arena *a, struct err *err)
{
	struct buf text;
	struct err first = { 0 };
	struct reading r = { .opts = opts, .n = n, .arena = a, .err = &first, .rc = RC_OK };

	buf_init(&text, SETTINGS_SIZE_MAX);
	enum rc rc = file_read(path, &text, err);
	if (rc == RC_OK)
		rc = prepare(path, &text, err);
	if (rc == RC_OK) {
		int line = ini_parse_string(buf_text(&text), on_setting, &r);
		if (line != 0)
			rc = err_set(err, r.rc == RC_OK ? RC_INVALID : r.rc, "%.200s:%d: %s", path, line,
			             first.msg[0] ? first.msg : "not of the form name = value");
	}
	buf_fini(&text);
	return rc;
}
