/*
 * What a child writes on its descriptor 3. However the bytes come in, the same lines come out as an obvious reading of
 * the whole gives; a line taken keeps its limits, and printed it reads the same again; a refused one says why and
 * leaves the message alone.
 */
#include <math.h>
#include "base/buf.h"
#include "base/mem.h"
#include "exec/inbox.h"
#include "exec/protocol.h"
#include "fuzz.h"

enum { ARENA_SIZE = 1 << 20, PRINTED_MAX = 1 << 20 };

/* ---- lines ---- */

/* The next line of what is left. The last one may lack its newline. */
static enum inbox_state ref_take(const char **at, const char *end, size_t line_max, const char **line, size_t *len)
{
	if (*at == end)
		return INBOX_EMPTY;
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	*line = *at;
	*len = (size_t)((newline ? newline : end) - *at);
	*at = newline ? newline + 1 : end;
	return *len > line_max ? INBOX_TOO_LONG : INBOX_LINE;
}

static void check_lines(const char *bytes, size_t size, size_t line_max, struct rng *r)
{
	struct inbox in;
	const char *at = bytes, *end = bytes + size, *line, *want;
	size_t len, want_len, added = 0;
	enum inbox_state state, wanted;

	inbox_init(&in, line_max);
	do {
		state = inbox_take(&in, &line, &len);
		if (state == INBOX_EMPTY && added < size) {
			size_t most = size - added < INBOX_READ_SIZE ? size - added : INBOX_READ_SIZE;
			size_t n = 1 + rng_below(r, rng_below(r, 2) ? most : (most < 20 ? most : 20));
			inbox_add(&in, bytes + added, n);
			added += n;
			continue;
		}
		if (state == INBOX_EMPTY)
			state = inbox_take_rest(&in, &line, &len);
		wanted = ref_take(&at, end, line_max, &want, &want_len);
		CHECK(state == wanted, "%d, not %d", (int)state, (int)wanted);
		if (state == INBOX_LINE)
			CHECK(fuzz_is_same(line, len, want, want_len), "another line of %zu, not %zu bytes", len,
			      want_len);
	} while (state != INBOX_TOO_LONG && (state != INBOX_EMPTY || added < size));
	inbox_fini(&in);
}

/* ---- messages ---- */

static bool is_text_same(const char *x, const char *y) { return x && y ? strcmp(x, y) == 0 : x == y; }

static void check_same(const struct child_msg *x, const struct child_msg *y)
{
	CHECK(x->kind == y->kind && x->progress == y->progress && x->step == y->step, "other numbers");
	CHECK(x->value == y->value, "%.17g, %.17g", x->value, y->value);
	CHECK(x->fault == y->fault || x->kind != MSG_ERROR, "other fault");
	CHECK(is_text_same(x->name, y->name) && is_text_same(x->set, y->set), "other names");
	CHECK(is_text_same(x->text, y->text) && is_text_same(x->code, y->code), "'%s', '%s'", x->text, y->text);
	CHECK(is_text_same(x->result_json, y->result_json), "%s, %s", x->result_json, y->result_json);
}

static void check_limits(const struct child_msg *m)
{
	CHECK(m->progress >= 0 && m->progress <= 100, "progress %d", m->progress);
	CHECK(isfinite(m->value) && m->step >= 0, "step %lld", (long long)m->step);
	CHECK(!m->name || strlen(m->name) <= 64, "name '%s'", m->name);
	CHECK(!m->text || strlen(m->text) <= 4096, "text of %zu bytes", strlen(m->text));
	CHECK(!m->result_json || strlen(m->result_json) <= 49152, "result of %zu bytes", strlen(m->result_json));
	if (m->kind == MSG_CHECKPOINT)
		CHECK(!strchr(m->text, '/') && strcmp(m->text, "..") != 0, "checkpoint '%s'", m->text);
}

static void check_round_trip(const struct child_msg *m, struct arena *a)
{
	struct buf text;
	struct child_msg again;
	struct err err = { 0 };

	buf_init(&text, PRINTED_MAX);
	protocol_print(m, &text);
	CHECK(!text.is_over && text.len > 0 && text.bytes[text.len - 1] == '\n', "%zu bytes", text.len);
	CHECK(!memchr(text.bytes, '\n', text.len - 1), "two lines: %s", buf_text(&text));
	enum rc rc = protocol_parse(text.bytes, text.len - 1, a, &again, &err);
	CHECK(rc == RC_OK, "%s: %s", buf_text(&text), err.msg);
	check_same(m, &again);
	buf_fini(&text);
}

static void check_message(const char *line, size_t len)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct child_msg m = { .progress = 42 };
	struct err err = { 0 };
	enum rc rc = protocol_parse(line, len, a, &m, &err);

	if (rc == RC_OK) {
		check_limits(&m);
		check_round_trip(&m, a);
		return;
	}
	fuzz_check_refusal(rc, &err);
	CHECK(rc == RC_INVALID || rc == RC_LIMIT, "%s", rc_name(rc));
	CHECK(m.progress == 42 && !m.text && !m.name, "output touched");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = size ? (const char *)data : "", *at = bytes, *line;
	struct rng r;
	size_t len;

	fuzz_chance(&r, data, size);
	check_lines(bytes, size, PROTOCOL_LINE_MAX, &r);
	check_lines(bytes, size, 1 + rng_below(&r, 100), &r);
	while (ref_take(&at, bytes + size, SIZE_MAX, &line, &len) == INBOX_LINE)
		check_message(line, len);
	return 0;
}
