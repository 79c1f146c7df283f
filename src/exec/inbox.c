#include "exec/inbox.h"

#include <string.h>
#include "base/must.h"

void inbox_init(struct inbox *in, size_t line_max)
{
	*in = (struct inbox){ .line_max = line_max };
	buf_init(&in->bytes, line_max + 1 + INBOX_READ_SIZE);
}

void inbox_fini(struct inbox *in) { buf_fini(&in->bytes); }

/* Taken lines are dropped here and not one by one: that would move the rest once for every line. */
void inbox_add(struct inbox *in, const char *bytes, size_t len)
{
	buf_drop_front(&in->bytes, in->at);
	in->searched -= in->at;
	in->at = 0;
	buf_add(&in->bytes, bytes, len);
	must(!in->bytes.is_over);
}

enum inbox_state inbox_take(struct inbox *in, const char **line, size_t *len)
{
	const char *from = buf_text(&in->bytes);
	const char *end = memchr(from + in->searched, '\n', in->bytes.len - in->searched);
	size_t found = end ? (size_t)(end - from) : in->bytes.len;

	if (found - in->at > in->line_max) {
		*line = from + in->at;
		*len = in->line_max;
		return INBOX_TOO_LONG;
	}
	if (!end) {
		in->searched = in->bytes.len;
		return INBOX_EMPTY;
	}
	*line = from + in->at;
	*len = found - in->at;
	in->at = in->searched = found + 1;
	return INBOX_LINE;
}

enum inbox_state inbox_take_rest(struct inbox *in, const char **line, size_t *len)
{
	if (in->at == in->bytes.len)
		return INBOX_EMPTY;
	*line = buf_text(&in->bytes) + in->at;
	*len = in->bytes.len - in->at;
	in->at = in->searched = in->bytes.len;
	return INBOX_LINE;
}
