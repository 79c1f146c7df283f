/*
 * Request line and header lines. Fed whole or in pieces, the end is found at the same place with the same verdict; what
 * is taken is clean (no control characters, lengths and limits as promised), and printed it parses to the same again; a
 * refusal has a status and a reason and leaves the output alone.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "http/head.h"

enum { ARENA_SIZE = 1 << 20, PRINTED_MAX = 1 << 18 };

struct outcome {
	enum head_progress progress;
	size_t seen;
	struct head_fault fault;
};

static struct outcome scan_whole(const char *bytes, size_t size)
{
	struct head_scan s = { 0 };
	struct outcome o = { .seen = 0 };

	o.progress = head_scan(&s, bytes, size, &o.fault);
	o.seen = s.seen;
	return o;
}

/* As a connection does: the bytes come in pieces and lie in a block that may move. */
static struct outcome scan_pieces(const char *bytes, size_t size, struct rng *r)
{
	struct head_scan s = { 0 };
	struct outcome o = { .progress = HEAD_MORE };

	for (size_t len = 0; o.progress == HEAD_MORE && len < size;) {
		size_t most = size - len < 200 ? size - len : 200;
		len += 1 + rng_below(r, most);
		char *block = mem_alloc(len);
		memcpy(block, bytes, len);
		o.progress = head_scan(&s, block, len, &o.fault);
		mem_free(block);
	}
	o.seen = s.seen;
	return o;
}

static void check_fault(const struct head_fault *f)
{
	bool is_known = f->status == 400 || f->status == 414 || f->status == 417 || f->status == 431 ||
			f->status == 501 || f->status == 505;

	CHECK(is_known, "status %d", f->status);
	CHECK(f->why && *f->why, "no reason");
}

static bool is_clean(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

static size_t count(const struct head *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_headers; i++)
		n += strcmp(h->headers[i].name, name) == 0;
	return n;
}

/* No two readers of this head may see different ends of the request. */
static void check_framing(const struct head *h, char minor)
{
	size_t n_lengths = count(h, "content-length"), n_codings = count(h, "transfer-encoding");

	CHECK(n_lengths + n_codings <= 1, "%zu lengths, %zu codings", n_lengths, n_codings);
	CHECK(h->is_chunked == (n_codings == 1), "a coding is overlooked");
	CHECK(n_lengths || h->content_length == 0, "a length out of nothing");
	CHECK(count(h, "host") <= 1 && (minor == '0' || count(h, "host")), "%zu hosts", count(h, "host"));
}

static void check_head(const struct head *h)
{
	CHECK(is_clean(h->method) && !strchr(h->method, ' '), "method '%s'", h->method);
	CHECK(is_clean(h->target) && !strpbrk(h->target, " \t"), "target '%s'", h->target);
	CHECK(h->raw_path[0] == '/' || strcmp(h->raw_path, "*") == 0, "path '%s'", h->raw_path);
	CHECK(!strchr(h->raw_path, '?'), "path '%s'", h->raw_path);
	CHECK(h->n_headers <= HEAD_HEADERS_LIMIT, "%zu headers", h->n_headers);
	for (size_t i = 0; i < h->n_headers; i++) {
		const char *name = h->headers[i].name, *value = h->headers[i].value;
		size_t len = strlen(value);
		CHECK(*name && is_clean(name) && !strpbrk(name, " \t:ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "name '%s'", name);
		CHECK(is_clean(value), "value '%s'", value);
		CHECK(len == 0 || (!strchr(" \t", value[0]) && !strchr(" \t", value[len - 1])), "blanks: '%s'", value);
	}
}

static void print_head(struct buf *out, const struct head *h, char minor, struct rng *r)
{
	static const char *const blanks[] = { "", " ", "\t ", "   " };

	buf_addf(out, "%s %s HTTP/1.%c\r\n", h->method, h->target, minor);
	for (size_t i = 0; i < h->n_headers; i++)
		buf_addf(out, "%s:%s%s%s\r\n", h->headers[i].name, blanks[rng_below(r, 4)], h->headers[i].value,
			 blanks[rng_below(r, 4)]);
	buf_adds(out, "\r\n");
}

static void check_same(const struct head *x, const struct head *y)
{
	CHECK(strcmp(x->method, y->method) == 0, "%s, %s", x->method, y->method);
	CHECK(strcmp(x->target, y->target) == 0, "%s, %s", x->target, y->target);
	CHECK(strcmp(x->raw_path, y->raw_path) == 0, "%s, %s", x->raw_path, y->raw_path);
	CHECK(strcmp(x->raw_query, y->raw_query) == 0, "%s, %s", x->raw_query, y->raw_query);
	CHECK(x->n_headers == y->n_headers, "%zu, %zu headers", x->n_headers, y->n_headers);
	for (size_t i = 0; i < x->n_headers; i++) {
		CHECK(strcmp(x->headers[i].name, y->headers[i].name) == 0, "%s", y->headers[i].name);
		CHECK(strcmp(x->headers[i].value, y->headers[i].value) == 0, "%s", y->headers[i].value);
	}
	CHECK(x->content_length == y->content_length, "lengths differ");
	CHECK(x->is_chunked == y->is_chunked && x->is_keep_alive == y->is_keep_alive, "flags differ");
	CHECK(x->expects_continue == y->expects_continue, "flags differ");
}

/* Printed with other blanks: limits are met with bytes to spare, else it is not tried. */
static void check_round_trip(const struct head *h, char minor, struct arena *a, struct rng *r)
{
	struct buf text;
	struct head again;
	struct head_fault fault = { 0 };

	buf_init(&text, PRINTED_MAX);
	print_head(&text, h, minor, r);
	struct outcome o = scan_whole(text.bytes, text.len);
	if (text.len < HEAD_LIMIT && strlen(h->target) < HEAD_LINE_LIMIT - 100) {
		CHECK(o.progress == HEAD_DONE && o.seen == text.len, "'%s': %s", buf_text(&text), o.fault.why);
		CHECK(head_parse(&again, a, text.bytes, text.len, &fault), "'%s': %s", buf_text(&text), fault.why);
		check_same(h, &again);
	}
	buf_fini(&text);
}

static void check_small_arena(const char *bytes, size_t len)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(64);
	struct head h = { .n_headers = 42 };
	struct head_fault fault = { 0 };

	if (!head_parse(&h, a, bytes, len, &fault)) {
		check_fault(&fault);
		CHECK(h.n_headers == 42, "output touched");
	}
}

static void check_parse(const char *bytes, size_t len, struct rng *r)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct head h = { .n_headers = 42 };
	struct head_fault fault = { 0 };
	const char *end = memchr(bytes, '\r', len);

	CHECK(len <= HEAD_LIMIT, "%zu bytes of head", len);
	if (!head_parse(&h, a, bytes, len, &fault)) {
		check_fault(&fault);
		CHECK(h.n_headers == 42 && !h.method && !h.headers, "output touched");
		return;
	}
	check_head(&h);
	check_framing(&h, end[-1]);
	check_round_trip(&h, end[-1], a, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct rng r;

	if (size == 0)
		return 0;
	fuzz_chance(&r, data, size);
	struct outcome whole = scan_whole(bytes, size), pieces = scan_pieces(bytes, size, &r);
	CHECK(whole.progress == pieces.progress, "whole %d, pieces %d", (int)whole.progress, (int)pieces.progress);
	if (whole.progress == HEAD_BAD) {
		check_fault(&whole.fault);
		check_fault(&pieces.fault);
		/* Of two faults a large head may show another first when it comes in pieces. */
		CHECK(size > HEAD_LINE_LIMIT || whole.fault.status == pieces.fault.status, "%s, %s", whole.fault.why,
		      pieces.fault.why);
	} else {
		CHECK(whole.seen == pieces.seen, "whole %zu, pieces %zu", whole.seen, pieces.seen);
	}
	if (whole.progress == HEAD_DONE) {
		check_parse(bytes, whole.seen, &r);
		check_small_arena(bytes, whole.seen);
	}
	return 0;
}
