#include "http/head.h"

#include <string.h>
#include <strings.h>
#include "base/attr.h"
#include "base/num.h"

/* What the server lets through to the handler; anything else it refuses itself. */
static const char *const known_methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
enum { METHOD_LIMIT = 32 };

static bool fail(struct head_fault *fault, int status, const char *why)
{
	*fault = (struct head_fault){ status, why };
	return false;
}

/* What a byte of a token (tchar of RFC 9110, 5.6.2) is in lower case; 0 for any other byte. */
static const unsigned char token_bytes[256] = {
	['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+',
	['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`',  ['|'] = '|',   ['~'] = '~',
	['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7',
	['8'] = '8', ['9'] = '9',
	['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h',
	['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p',
	['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x',
	['y'] = 'y', ['z'] = 'z',
	['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h',
	['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p',
	['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x',
	['Y'] = 'y', ['Z'] = 'z',
};

static bool is_token_char(unsigned char c) { return token_bytes[c] != 0; }

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* ---- the end of the head ---- */

static enum head_progress bad(struct head_fault *fault, int status, const char *why)
{
	(void)fail(fault, status, why);
	return HEAD_BAD;
}

/* A TLS hello on the plain port, or any other noise, shows in the first bytes. */
static bool may_start_a_method(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && i <= METHOD_LIMIT; i++) {
		if (bytes[i] == ' ')
			return i > 0;
		if (!is_token_char((unsigned char)bytes[i]))
			return false;
	}
	return len <= METHOD_LIMIT;
}

static enum head_progress over_limit(const struct head_scan *s, size_t len, struct head_fault *fault)
{
	if (s->line_start == 0 && len > HEAD_LINE_LIMIT)
		return bad(fault, 414, "the request line is too long");
	if (len > HEAD_LIMIT)
		return bad(fault, 431, "the request headers are too large");
	return HEAD_MORE;
}

enum head_progress head_scan(struct head_scan *s, const char *bytes, size_t len, struct head_fault *fault)
{
	if (s->line_start == 0 && !may_start_a_method(bytes, len))
		return bad(fault, 400, "this is not an HTTP request");
	for (;;) {
		const char *lf = s->seen < len ? memchr(bytes + s->seen, '\n', len - s->seen) : NULL;
		if (!lf)
			break;
		size_t at = (size_t)(lf - bytes);
		if (at == 0 || bytes[at - 1] != '\r')
			return bad(fault, 400, "a line does not end in CR LF");
		size_t line_len = at - 1 - s->line_start;
		bool is_first = s->line_start == 0;
		if (is_first && line_len > HEAD_LINE_LIMIT)
			return bad(fault, 414, "the request line is too long");
		if (at + 1 > HEAD_LIMIT)
			return bad(fault, 431, "the request headers are too large");
		s->seen = s->line_start = at + 1;
		if (line_len == 0)
			return HEAD_DONE;
	}
	s->seen = len;
	return over_limit(s, len, fault);
}

/* ---- the request line ---- */

/* The text up to sep becomes a string of its own; *rest points past sep. NULL when sep is not there. */
static char *cut(char **rest, char sep)
{
	char *word = *rest, *end = strchr(word, sep);
	if (!end)
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return word;
}

static bool is_known_method(const char *method)
{
	for (size_t i = 0; i < ARRAY_LEN(known_methods); i++)
		if (strcmp(method, known_methods[i]) == 0)
			return true;
	return false;
}

static bool is_token(const char *text)
{
	for (const char *p = text; *p; p++)
		if (!is_token_char((unsigned char)*p))
			return false;
	return *text != '\0';
}

static bool parse_version(const char *text, int *minor, struct head_fault *fault)
{
	if (strncmp(text, "HTTP/", 5) != 0 || strlen(text) != 8 || text[6] != '.')
		return fail(fault, 400, "the request line does not end in an HTTP version");
	if (text[5] != '1')
		return fail(fault, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	if (text[7] != '0' && text[7] != '1')
		return fail(fault, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	*minor = text[7] - '0';
	return true;
}

/* Where the path starts: past "http://authority" of the absolute form. NULL: neither form. */
static const char *path_of_target(const char *method, const char *target)
{
	static const char *const schemes[] = { "http://", "https://" };
	if (target[0] == '/')
		return target;
	if (strcmp(target, "*") == 0)
		return strcmp(method, "OPTIONS") == 0 ? target : NULL;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);
		if (strncasecmp(target, schemes[i], n) == 0) {
			size_t authority_len = strcspn(target + n, "/?");
			return authority_len ? target + n + authority_len : NULL;
		}
	}
	return NULL;
}

static bool parse_target(struct head *h, struct arena *a, const char *target, struct head_fault *fault)
{
	for (const char *p = target; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return fail(fault, 400, "the request target has a blank or a control character");
	const char *path = path_of_target(h->method, target);
	if (!path)
		return fail(fault, 400, "the request target is neither a path nor an http URL");
	size_t path_len = strcspn(path, "?");
	h->target = target;
	h->raw_path = path_len ? arena_dup_n(a, path, path_len) : "/";
	h->raw_query = path[path_len] ? path + path_len + 1 : "";
	return true;
}

static bool parse_request_line(struct head *h, int *minor, struct arena *a, char *line, struct head_fault *fault)
{
	char *rest = line;
	const char *method = cut(&rest, ' ');
	const char *target = method ? cut(&rest, ' ') : NULL;
	if (!target || !is_token(method))
		return fail(fault, 400, "the request line is not METHOD TARGET VERSION");
	if (!parse_version(rest, minor, fault))
		return false;
	if (!is_known_method(method))
		return fail(fault, 501, "this method is not known");
	h->method = method;
	return parse_target(h, a, target, fault);
}

/* ---- header lines ---- */

/* A line and its length; what is behind it is a NUL. */
struct line {
	char *at;
	size_t len;
};

static char *trim(char *text, size_t len)
{
	while (is_blank(*text)) {
		text++;
		len--;
	}
	while (len && is_blank(text[len - 1]))
		text[--len] = '\0';
	return text;
}

static bool is_clean_byte(unsigned char c) { return (c >= ' ' && c != 0x7f) || c == '\t'; }

/* The high bit of each byte that may be a control character or not ASCII, and perhaps of bytes behind such a one. */
static uint64_t needs_a_look(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t del = w ^ ones * 0x7f;

	return (w | (w - ones * ' ') | (del - ones)) & highs;
}

/* Eight bytes at a time: values are most of a head. */
static bool is_clean_value(const char *value, size_t len)
{
	const char *p = value, *end = value + len;
	uint64_t w;

	while (p < end) {
		if (end - p >= (ptrdiff_t)sizeof w) {
			memcpy(&w, p, sizeof w);
			if (!needs_a_look(w)) {
				p += sizeof w;
				continue;
			}
		}
		if (!is_clean_byte((unsigned char)*p++))
			return false;
	}
	return true;
}

/* Lower the letters of a token up to the colon, which becomes its end. NULL: what stands there is no token. */
static char *end_of_name(char *name)
{
	char *p = name;

	for (unsigned char c; (c = token_bytes[(unsigned char)*p]) != 0; p++)
		*p = (char)c;
	if (*p != ':' || p == name)
		return NULL;
	*p = '\0';
	return p;
}

static bool parse_header(struct http_header *out, struct line line, struct head_fault *fault)
{
	if (is_blank(line.at[0]))
		return fail(fault, 400, "a folded header line is not allowed");
	char *end = end_of_name(line.at);
	if (!end)
		return fail(fault, 400, "a header line is not NAME: VALUE");
	char *value = end + 1;
	size_t len = (size_t)(line.at + line.len - value);
	if (!is_clean_value(value, len))
		return fail(fault, 400, "a header value has a control character");
	*out = (struct http_header){ line.at, trim(value, len) };
	return true;
}

/* ---- what the headers mean for the connection ---- */

/* Is word one of the comma-separated words of list? */
static bool list_has(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = list; *p;) {
		p += strspn(p, " \t,");
		size_t n = strcspn(p, ",");
		size_t used = n;
		while (used && is_blank(p[used - 1]))
			used--;
		if (used == len && strncasecmp(p, word, len) == 0)
			return true;
		p += n;
	}
	return false;
}

struct framing {
	int hosts, lengths, encodings;
	bool is_close, is_keep;
};

/* Of the few headers that matter here each begins with one of these letters; most others do not. */
static bool may_matter(const char *name)
{
	return name[0] == 'c' || name[0] == 'h' || name[0] == 't' || name[0] == 'e';
}

static bool note_header(struct head *h, struct framing *f, const struct http_header *header, struct head_fault *fault)
{
	if (!may_matter(header->name))
		return true;
	if (strcmp(header->name, "host") == 0) {
		f->hosts++;
	} else if (strcmp(header->name, "content-length") == 0) {
		bool is_number = header->value[0] >= '0' && header->value[0] <= '9' &&
				 num_u64(header->value, &h->content_length);
		if (!is_number || f->lengths++)
			return fail(fault, 400, "Content-Length must be one number");
	} else if (strcmp(header->name, "transfer-encoding") == 0) {
		if (f->encodings++ || strcasecmp(header->value, "chunked") != 0)
			return fail(fault, 501, "the only Transfer-Encoding understood is chunked");
		h->is_chunked = true;
	} else if (strcmp(header->name, "expect") == 0) {
		if (strcasecmp(header->value, "100-continue") != 0)
			return fail(fault, 417, "the only expectation met is 100-continue");
		h->expects_continue = true;
	} else if (strcmp(header->name, "connection") == 0) {
		f->is_close |= list_has(header->value, "close");
		f->is_keep |= list_has(header->value, "keep-alive");
	}
	return true;
}

static bool settle(struct head *h, const struct framing *f, int minor, struct head_fault *fault)
{
	if (f->hosts > 1 || (minor == 1 && f->hosts == 0))
		return fail(fault, 400, "a request must have one Host header");
	if (h->is_chunked && f->lengths)
		return fail(fault, 400, "Content-Length and Transfer-Encoding exclude each other");
	if (h->is_chunked && minor == 0)
		return fail(fault, 400, "HTTP/1.0 has no Transfer-Encoding");
	h->is_keep_alive = !f->is_close && (minor == 1 || f->is_keep);
	h->expects_continue = h->expects_continue && minor == 1;
	return true;
}

/* ---- all of it ---- */

/* The next line as a string of its own. head_scan saw to it that every line ends in CR LF. False: there is none. */
static bool next_line(char **rest, char *end, struct line *out)
{
	char *line = *rest, *lf = memchr(line, '\n', (size_t)(end - line));
	if (!lf)
		return false;
	lf[-1] = '\0';
	*rest = lf + 1;
	*out = (struct line){ line, (size_t)(lf - 1 - line) };
	return true;
}

static size_t count_lines(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 0;
	for (const char *p = memchr(text, '\n', len); p; p = memchr(p + 1, '\n', (size_t)(end - p - 1)))
		n++;
	return n;
}

static bool parse_lines(struct head *h, struct arena *a, char *text, size_t len, struct head_fault *fault)
{
	size_t n_lines = count_lines(text, len); /* request line and the empty line count too */
	if (n_lines > HEAD_HEADERS_LIMIT + 2)
		return fail(fault, 431, "the request has too many headers");
	struct http_header *headers = arena_array(a, n_lines, sizeof(*headers));
	char *rest = text, *end = text + len;
	struct line line;
	int minor = 0;
	if (!headers || !next_line(&rest, end, &line) || !parse_request_line(h, &minor, a, line.at, fault))
		return false;
	struct framing framing = { 0 };
	while (next_line(&rest, end, &line) && line.len) {
		struct http_header *header = &headers[h->n_headers];
		if (!parse_header(header, line, fault) || !note_header(h, &framing, header, fault))
			return false;
		h->n_headers++;
	}
	h->headers = headers;
	return settle(h, &framing, minor, fault);
}

bool head_parse(struct head *out, struct arena *a, const char *bytes, size_t len, struct head_fault *fault)
{
	(void)fail(fault, 431, "the request headers are too large"); /* what a full arena means */
	if (memchr(bytes, '\0', len))
		return fail(fault, 400, "the request head has a NUL byte");
	char *text = arena_dup_n(a, bytes, len);
	struct head h = { 0 };
	if (!text || !parse_lines(&h, a, text, len, fault) || arena_is_full(a))
		return false;
	*out = h;
	return true;
}

const char *head_peek_path(struct arena *a, const char *bytes, size_t len)
{
	const char *end = bytes + len, *from = len ? memchr(bytes, ' ', len) : NULL;
	size_t n = 0;

	if (!from)
		return "";
	for (from++; from + n < end && (unsigned char)from[n] > ' ' && from[n] != 0x7f; n++)
		;
	const char *target = arena_dup_n(a, from, n);
	const char *path = target ? path_of_target("", target) : NULL;
	const char *peeked = path ? arena_dup_n(a, path, strcspn(path, "?")) : NULL;
	return peeked ? peeked : "";
}
