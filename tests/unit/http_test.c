/*
 * http: the pure parts (head, chunk) on tables and on every split of their input, then a real server on port 0 driven
 * by raw sockets. Nothing sleeps: tests wait for bytes, for the end of a connection, or for a request to
 * reach the handler.
 */
#include "http/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "http/chunk.h"
#include "http/head.h"
#include "test.h"

/* libh2o 2.2.5 keeps, per thread, up to 16 recycled memory pool chunks (used by TLS output) and never frees them; and
 * its BIO method table is made once per process. Both are bounded; all else must be freed. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:h2o_mem_alloc_recycle\n"; }

/* ---- head ---- */

static bool parse_text(const char *text, size_t len, size_t step, struct arena *a, struct head *h, struct head_fault *f)
{
	struct head_scan scan = { 0 };
	for (size_t n = step < len ? step : len;; n = n + step < len ? n + step : len) {
		/* A copy of just the bytes so far: reading past them is seen by the address sanitizer. */
		char *part = mem_dup_n(text, n);
		enum head_progress p = head_scan(&scan, part, n, f);
		bool is_good = p == HEAD_DONE && head_parse(h, a, part, scan.seen, f);
		mem_free(part);
		if (p != HEAD_MORE)
			return is_good;
		if (n == len) {
			*f = (struct head_fault){ 0, "incomplete" };
			return false;
		}
	}
}

TEST(heads_are_the_same_however_they_arrive)
{
	static const char text[] =
		"POST /a%2Fb//../c?x=%20&y HTTP/1.1\r\nHost: h:8080\r\nX-A: 1\r\nx-b:\t two words \r\n"
		"X-A: 2\r\nContent-Length: 12\r\n\r\nBODY";
	for (size_t step = 1; step < sizeof(text); step++) {
		struct arena *a = arena_new(1 << 20);
		struct head h = { 0 };
		struct head_fault f = { 0 };
		EXPECT(parse_text(text, sizeof(text) - 1, step, a, &h, &f), "step %zu: %s", step, f.why);
		if (h.n_headers == 5) {
			EXPECT(strcmp(h.method, "POST") == 0, "%s", h.method);
			EXPECT(strcmp(h.target, "/a%2Fb//../c?x=%20&y") == 0, "%s", h.target);
			EXPECT(strcmp(h.raw_path, "/a%2Fb//../c") == 0, "%s", h.raw_path);
			EXPECT(strcmp(h.raw_query, "x=%20&y") == 0, "%s", h.raw_query);
			EXPECT(strcmp(h.headers[0].name, "host") == 0, "%s", h.headers[0].name);
			EXPECT(strcmp(h.headers[2].value, "two words") == 0, "'%s'", h.headers[2].value);
			EXPECT(strcmp(h.headers[3].value, "2") == 0, "'%s'", h.headers[3].value);
			EXPECT(h.content_length == 12 && !h.is_chunked && h.is_keep_alive, "framing");
		}
		EXPECT(h.n_headers == 5, "%zu", h.n_headers);
		arena_free(a);
	}
}

#define GET "GET / HTTP/1.1\r\nhost: h\r\n"

TEST(bad_heads_are_refused_with_a_status_and_a_reason)
{
	static const struct { const char *text; size_t len; int status; const char *says; } row[] = {
#define ROW(t, status, says) { t, sizeof(t) - 1, status, says }
		ROW("\x16\x03\x01\x02", 400, "not an HTTP request"),
		ROW(" GET / HTTP/1.1\r\n\r\n", 400, "not an HTTP request"),
		ROW("GETGETGETGETGETGETGETGETGETGETGETGETGET", 400, "not an HTTP request"),
		ROW("GET / HTTP/1.1\nhost: h\n\n", 400, "CR LF"),
		ROW("GET /\r\n\r\n", 400, "METHOD TARGET"),
		ROW("GET  / HTTP/1.1\r\nhost: h\r\n\r\n", 400, "version"),
		ROW("GET / / HTTP/1.1\r\nhost: h\r\n\r\n", 400, "version"),
		ROW("GET / http/1.1\r\nhost: h\r\n\r\n", 400, "version"),
		ROW("GET / HTTP/1.10\r\nhost: h\r\n\r\n", 400, "version"),
		ROW("PRI * HTTP/2.0\r\n\r\n", 505, "only HTTP/1.1"),
		ROW("GET / HTTP/1.2\r\nhost: h\r\n\r\n", 505, "only HTTP/1.1"),
		ROW("BREW / HTTP/1.1\r\nhost: h\r\n\r\n", 501, "method"),
		ROW("get / HTTP/1.1\r\nhost: h\r\n\r\n", 501, "method"),
		ROW("CONNECT h:80 HTTP/1.1\r\nhost: h\r\n\r\n", 501, "method"),
		ROW("GET x HTTP/1.1\r\nhost: h\r\n\r\n", 400, "target"),
		ROW("GET * HTTP/1.1\r\nhost: h\r\n\r\n", 400, "target"),
		ROW("GET http:///x HTTP/1.1\r\nhost: h\r\n\r\n", 400, "target"),
		ROW("GET /\x01 HTTP/1.1\r\nhost: h\r\n\r\n", 400, "control"),
		ROW("GET /\0 HTTP/1.1\r\nhost: h\r\n\r\n", 400, "NUL"),
		ROW("GET / HTTP/1.1\r\n\r\n", 400, "Host"),
		ROW(GET "host: h\r\n\r\n", 400, "Host"),
		ROW(GET "x\r\n\r\n", 400, "NAME: VALUE"),
		ROW(GET ": x\r\n\r\n", 400, "NAME: VALUE"),
		ROW(GET "x : y\r\n\r\n", 400, "NAME: VALUE"),
		ROW(GET "x: y\r\n z\r\n\r\n", 400, "folded"),
		ROW(GET "x: y\rz\r\n\r\n", 400, "control"),
		ROW(GET "x: y\0z\r\n\r\n", 400, "NUL"),
		ROW(GET "content-length: -1\r\n\r\n", 400, "Content-Length"),
		ROW(GET "content-length: +1\r\n\r\n", 400, "Content-Length"),
		ROW(GET "content-length: 1, 1\r\n\r\n", 400, "Content-Length"),
		ROW(GET "content-length: 99999999999999999999\r\n\r\n", 400, "Content-Length"),
		ROW(GET "content-length: 1\r\ncontent-length: 1\r\n\r\n", 400, "Content-Length"),
		ROW(GET "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400, "exclude"),
		ROW(GET "transfer-encoding: gzip, chunked\r\n\r\n", 501, "chunked"),
		ROW(GET "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 501, "chunked"),
		ROW("GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400, "HTTP/1.0"),
		ROW(GET "expect: tea\r\n\r\n", 417, "100-continue"),
#undef ROW
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a = arena_new(1 << 20);
		struct head h = { .n_headers = 77 };
		struct head_fault f = { 0 };
		EXPECT(!parse_text(row[i].text, row[i].len, row[i].len, a, &h, &f), "%s", row[i].text);
		EXPECT(f.status == row[i].status, "%s: %d", row[i].text, f.status);
		EXPECT(f.why && strstr(f.why, row[i].says), "%s: said '%s'", row[i].text, f.why);
		EXPECT(h.n_headers == 77, "%s: output touched", row[i].text);
		arena_free(a);
	}
}

TEST(heads_that_look_odd_but_are_right)
{
	static const struct { const char *text, *path, *query; bool is_kept; } row[] = {
		{ "GET http://h:1/p?q HTTP/1.1\r\nhost: h:1\r\n\r\n", "/p", "q", true },
		{ "GET HTTPS://h HTTP/1.1\r\nhost: h\r\n\r\n", "/", "", true },
		{ "GET http://h?a=/ HTTP/1.1\r\nhost: h\r\n\r\n", "/", "a=/", true },
		{ "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n", "*", "", true },
		{ "GET /? HTTP/1.1\r\nhost:\r\n\r\n", "/", "", true },
		{ "GET /a??b HTTP/1.1\r\nhost: h\r\n\r\n", "/a", "?b", true },
		{ "GET /\xc3\xa9 HTTP/1.1\r\nhost: h\r\n\r\n", "/\xc3\xa9", "", true },
		{ "GET / HTTP/1.1\r\nhost: h\r\nconnection: x, Close\r\n\r\n", "/", "", false },
		{ "GET / HTTP/1.1\r\nhost: h\r\nconnection: closed\r\n\r\n", "/", "", true },
		{ "GET / HTTP/1.0\r\n\r\n", "/", "", false },
		{ "GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", "/", "", true },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a = arena_new(1 << 20);
		struct head h = { .raw_path = "", .raw_query = "" };
		struct head_fault f = { 0 };
		EXPECT(parse_text(row[i].text, strlen(row[i].text), 7, a, &h, &f), "%s: %s", row[i].text, f.why);
		EXPECT(strcmp(h.raw_path, row[i].path) == 0, "%s: path '%s'", row[i].text, h.raw_path);
		EXPECT(strcmp(h.raw_query, row[i].query) == 0, "%s: query '%s'", row[i].text, h.raw_query);
		EXPECT(h.is_keep_alive == row[i].is_kept, "%s", row[i].text);
		arena_free(a);
	}
}

/* Random damage to a good head: whole or byte by byte, the verdict is the same, and nothing is read out of bounds. */
TEST(a_refused_head_still_tells_its_path)
{
	const struct {
		const char *bytes, *path;
	} row[] = {
		{ "GET /v2/p/instances?limit=1 HTTP/1.1\r\nbad", "/v2/p/instances" },
		{ "GET /v2/p/inst", "/v2/p/inst" },
		{ "GET http://host:1/v2/p HTTP/9", "/v2/p" },
		{ "GET http://host", "" },
		{ "GET /v2/p\r\n", "/v2/p" },
		{ "GET /v2/p\x7fq", "/v2/p" },
		{ "GET", "" },
		{ "GET ", "" },
		{ "OPTIONS * HTTP/1.1", "" },
		{ "", "" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(1 << 16);
		const char *path = head_peek_path(a, row[i].bytes, strlen(row[i].bytes));
		EXPECT(strcmp(path, row[i].path) == 0, "'%s': '%s'", row[i].bytes, path);
	}
}

TEST(damaged_heads_get_the_same_verdict_however_they_arrive)
{
	static const char good[] =
		"PUT http://h/a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n"
		"Transfer-Encoding: chunked\r\nX: y\r\n\r\n";
	static const char spice[] = "\r\n\t :/?*,;\0\x7f\xff""1h";
	struct rng rng;
	int n_good = 0;
	rng_init(&rng, 20);
	for (int i = 0; i < 3000; i++) {
		char text[sizeof(good)];
		memcpy(text, good, sizeof(good));
		for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
			text[rng_below(&rng, sizeof(good) - 1)] = spice[rng_below(&rng, sizeof(spice) - 1)];
		bool is_good[2];
		struct head_fault f[2] = { { 0, "" }, { 0, "" } };
		for (int whole = 0; whole < 2; whole++) {
			struct arena *a = arena_new(1 << 20);
			struct head h;
			is_good[whole] = parse_text(text, sizeof(good) - 1, whole ? sizeof(good) : 1, a, &h, &f[whole]);
			n_good += is_good[whole];
			arena_free(a);
		}
		EXPECT(is_good[0] == is_good[1], "%d: %s", i, text);
		EXPECT(is_good[0] || f[0].status == f[1].status, "%d: %d or %d: %s", i, f[0].status, f[1].status, text);
	}
	EXPECT(n_good > 0 && n_good < 6000, "%d", n_good);
}

/* ---- chunk ---- */

static enum chunk_result decode(const char *text, size_t step, struct buf *out, size_t *used)
{
	struct chunk c = { 0 };
	size_t len = strlen(text);
	*used = 0;
	enum chunk_result result = CHUNK_MORE;
	while (result == CHUNK_MORE && *used < len) {
		size_t n = len - *used < step ? len - *used : step, taken = 0;
		char *part = mem_dup_n(text + *used, n);
		result = chunk_decode(&c, part, n, out, &taken);
		mem_free(part);
		*used += taken;
	}
	return result;
}

TEST(chunked_bodies_are_the_same_however_they_arrive)
{
	static const struct { const char *text; enum chunk_result result; const char *body; size_t rest;
	} row[] = {
		{ "0\r\n\r\nGET", CHUNK_DONE, "", 3 },
		{ "5\r\nhello\r\n0\r\n\r\n", CHUNK_DONE, "hello", 0 },
		{ "5;ext=\"a b\"\r\nhello\r\n6 \r\n world\r\n000\r\nTrailer: x\r\nT: y\r\n\r\nNEXT", CHUNK_DONE,
		  "hello world", 4 },
		{ "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", CHUNK_DONE, "01234567890123456789", 0 },
		{ "5\r\nhel", CHUNK_MORE, "hel", 0 },
		{ "\r\n", CHUNK_BAD, "", 0 },
		{ "g\r\n", CHUNK_BAD, "", 0 },
		{ "-1\r\n", CHUNK_BAD, "", 0 },
		{ "5\nhello", CHUNK_BAD, "", 0 },
		{ "5\r\rhello", CHUNK_BAD, "", 0 },
		{ "5\r\nhelloX", CHUNK_BAD, "hello", 0 },
		{ "5\r\nhello\n", CHUNK_BAD, "hello", 0 },
		{ "1000000000000000\r\n", CHUNK_BAD, "", 0 },
		{ "21\r\nx", CHUNK_TOO_LARGE, "", 0 },
		{ "20\r\n0123456789abcdef0123456789abcdef\r\n1\r\nx", CHUNK_TOO_LARGE, NULL, 0 },
	};
	FOR_EACH_ROW(i, row)
		for (size_t step = 1; step <= strlen(row[i].text); step++) {
			struct buf out;
			size_t used;
			buf_init(&out, 32);
			enum chunk_result result = decode(row[i].text, step, &out, &used);
			EXPECT(result == row[i].result, "%s by %zu: %d", row[i].text, step, (int)result);
			EXPECT(!row[i].body || strcmp(buf_text(&out), row[i].body) == 0, "%s: '%s'", row[i].text,
			       buf_text(&out));
			if (result == CHUNK_DONE)
				EXPECT(strlen(row[i].text) - used == row[i].rest, "%s: used %zu", row[i].text, used);
			buf_fini(&out);
		}
}

TEST(endless_chunk_lines_are_refused)
{
	static const char *const start[] = { "1;", "0\r\nt: ", "0\r\n" };
	FOR_EACH_ROW(i, start) {
		struct chunk c = { 0 };
		struct buf out;
		size_t used, total = 0;
		buf_init(&out, 32);
		enum chunk_result result = chunk_decode(&c, start[i], strlen(start[i]), &out, &used);
		const char *more = i == 2 ? "a: b\r\n" : "xxxxxx";
		for (; result == CHUNK_MORE && total < 100000; total += used)
			result = chunk_decode(&c, more, 6, &out, &used);
		EXPECT(result == CHUNK_BAD, "%s: %zu bytes taken", start[i], total);
		buf_fini(&out);
	}
}

/* ---- the server under test ---- */

enum { HELD_MAX = 128 }; /* also http's limit on full bodies at once */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct http_req *req[HELD_MAX];
	int n;
} held = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void hold(struct http_req *req)
{
	pthread_mutex_lock(&held.lock);
	must(held.n < HELD_MAX);
	held.req[held.n++] = req;
	pthread_cond_broadcast(&held.changed);
	pthread_mutex_unlock(&held.lock);
}

/* Wait until n requests are with the handler, and take them all. */
static void take_held(int n, struct http_req **out)
{
	pthread_mutex_lock(&held.lock);
	while (held.n < n)
		pthread_cond_wait(&held.changed, &held.lock);
	memcpy(out, held.req, (size_t)n * sizeof(*out));
	held.n = 0;
	pthread_mutex_unlock(&held.lock);
}

static void answer(struct http_req *req, int status, const char *body)
{
	struct http_header id = { "x-request-id", req->id };
	http_reply(req, &(struct http_reply){ .status = status, .content_type = "text/plain", .body = body,
					      .body_len = strlen(body), .headers = &id, .n_headers = 1 });
}

static void answer_echo(struct http_req *req)
{
	struct buf b;
	buf_init(&b, 16 << 20);
	buf_addf(&b, "%s|%s|%s|%s|%s|%d\n", req->method, req->target, req->raw_path, req->raw_query, req->peer,
		 req->is_tls);
	for (size_t i = 0; i < req->n_headers; i++)
		buf_addf(&b, "[%s: %s]\n", req->headers[i].name, req->headers[i].value);
	buf_addf(&b, "%zu:", req->body_len);
	buf_add(&b, req->body, req->body_len);
	answer(req, 200, buf_text(&b));
	buf_fini(&b);
}

enum { BIG_SIZE = 3 << 20 };

static void answer_big(struct http_req *req)
{
	char *body = mem_alloc(BIG_SIZE + 1);
	memset(body, 'b', BIG_SIZE);
	answer(req, 200, body);
	mem_free(body);
}

/* A file of FILE_SIZE bytes with a pattern in it, which the answer says to be of size bytes. */
enum { FILE_SIZE = 5000000 };

static int open_file(void)
{
	FILE *f = tmpfile();
	must(f);
	for (int i = 0; i < FILE_SIZE; i++)
		must(putc("0123456789abcdef-"[i % 17], f) != EOF);
	must(fflush(f) == 0);
	int fd = dup(fileno(f));
	must(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
	must(fclose(f) == 0);
	return fd;
}

static void answer_file(struct http_req *req, int64_t size)
{
	struct http_file file = { open_file(), size };
	http_reply(req, &(struct http_reply){ .status = 200, .content_type = "x/y", .file = &file });
}

static void answer_odd_headers(struct http_req *req)
{
	const struct http_header h[] = { { "x-good", "1" }, { "x-split", "a\r\nx-evil: 1" }, { "x bad", "1" },
					 { "content-length", "7" }, { "x-good", "2" } };
	http_reply(req, &(struct http_reply){ .status = 404,
					      .body = "{}",
					      .body_len = 2,
					      .content_type = "application/json",
					      .headers = h,
					      .n_headers = 5 });
}

static void handler(void *ctx, struct http_req *req)
{
	(void)ctx;
	if (strcmp(req->raw_path, "/held") == 0)
		hold(req);
	else if (strcmp(req->raw_path, "/big") == 0)
		answer_big(req);
	else if (strcmp(req->raw_path, "/file") == 0)
		answer_file(req, FILE_SIZE);
	else if (strcmp(req->raw_path, "/empty-file") == 0)
		answer_file(req, 0);
	else if (strcmp(req->raw_path, "/short-file") == 0)
		answer_file(req, FILE_SIZE + 1);
	else if (strcmp(req->raw_path, "/odd") == 0)
		answer_odd_headers(req);
	else if (strcmp(req->raw_path, "/none") == 0)
		http_reply(req, &(struct http_reply){ .status = 204 });
	else
		answer_echo(req);
}

static void on_fault(void *ctx, struct http_req *req, int status, const char *why, struct http_reply *reply)
{
	(void)ctx;
	reply->content_type = "application/json";
	reply->body = arena_printf(req->arena, "{\"code\":\"E%d\",\"why\":\"%s\",\"id\":\"%s\"}", status, why, req->id);
	reply->body_len = strlen(reply->body);
}

static struct http_config config(void)
{
	return (struct http_config){
		.host = "127.0.0.1", .threads = 2, .handler = handler, .on_fault = on_fault,
		.limits = { .body_max = 100000 },
	};
}

static struct http_server *start(const struct http_config *cfg)
{
	struct http_server *s = NULL;
	struct err e = { 0 };
	enum rc rc = http_start(cfg, &s, &e);
	EXPECT(rc == RC_OK, "%s", e.msg);
	must(rc == RC_OK);
	return s;
}

static struct http_server *start_default(void)
{
	struct http_config cfg = config();
	return start(&cfg);
}

static void stop(struct http_server *s)
{
	http_stop(s, 10000);
	struct http_stats stats;
	http_stats(s, &stats);
	EXPECT(stats.connections == 0, "%lld left", (long long)stats.connections);
	http_free(s);
}

/* ---- a client ---- */

struct client {
	int fd;
	SSL *ssl;
	struct buf in;  /* received, not yet consumed */
};

struct answer {
	int status;
	char head[4096];
	struct buf body;
};

static void client_open(struct client *c, int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = 20 };
	*c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	buf_init(&c->in, 64 << 20);
	must(c->fd >= 0);
	must(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	must(connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	if (c->fd >= 0)
		(void)close(c->fd);
	buf_fini(&c->in);
}

/* False when the server has closed already, which some tests provoke. */
static bool client_send_n(struct client *c, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = c->ssl ? SSL_write(c->ssl, (const char *)bytes + at, (int)(len - at)) :
				     send(c->fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static bool client_send(struct client *c, const char *text) { return client_send_n(c, text, strlen(text)); }

/* More bytes into c->in; false at the end of the connection. */
static bool client_fill(struct client *c)
{
	char part[65536];
	ssize_t n = c->ssl ? SSL_read(c->ssl, part, sizeof(part)) : recv(c->fd, part, sizeof(part), 0);
	if (n > 0)
		buf_add(&c->in, part, (size_t)n);
	return n > 0;
}

static bool client_is_at_end(struct client *c) { return c->in.len == 0 && !client_fill(c); }

static size_t length_of(const char *head)
{
	const char *p = strstr(head, "\r\ncontent-length: ");
	return p ? strtoul(p + 18, NULL, 10) : 0;
}

/* One answer off the connection. status 0: the connection ended first. */
static void client_read(struct client *c, struct answer *a, bool is_head)
{
	memset(a, 0, sizeof(*a));
	buf_init(&a->body, 64 << 20);
	const char *end;
	while (!(end = strstr(buf_text(&c->in), "\r\n\r\n")))
		if (!client_fill(c))
			return;
	size_t head_len = (size_t)(end - c->in.bytes) + 4;
	must(head_len < sizeof(a->head));
	memcpy(a->head, c->in.bytes, head_len);
	buf_drop_front(&c->in, head_len);
	size_t body_len = is_head ? 0 : length_of(a->head);
	while (c->in.len < body_len)
		if (!client_fill(c))
			return;
	buf_add(&a->body, c->in.bytes, body_len);
	buf_drop_front(&c->in, body_len);
	a->status = (int)strtoul(a->head + strlen("HTTP/1.1 "), NULL, 10);
}

static void answer_fini(struct answer *a) { buf_fini(&a->body); }

#define EXPECT_ANSWER(c, wanted_status, text)                                                       \
	do {                                                                                        \
		struct answer a_;                                                                   \
		client_read((c), &a_, false);                                                       \
		EXPECT(a_.status == (wanted_status), "status %d, head '%s'", a_.status, a_.head);   \
		EXPECT(strstr(buf_text(&a_.body), (text)), "no '%s' in '%.300s'", (text), buf_text(&a_.body)); \
		answer_fini(&a_);                                                                   \
	} while (0)

#define HOST "Host: example:8080\r\n"

/* ---- requests ---- */

TEST(one_connection_carries_many_requests)
{
	struct http_server *s = start_default();
	struct client c;
	client_open(&c, http_port(s));
	for (int i = 0; i < 20; i++) {
		char text[200];
		(void)snprintf(text, sizeof(text), "GET /n%d HTTP/1.1\r\n" HOST "\r\n", i);
		client_send(&c, text);
		(void)snprintf(text, sizeof(text), "GET|/n%d|/n%d||127.0.0.1|0\n", i, i);
		EXPECT_ANSWER(&c, 200, text);
	}
	client_close(&c);
	stop(s);
}

TEST(pipelined_requests_are_answered_in_order)
{
	struct http_server *s = start_default();
	struct client c;
	client_open(&c, http_port(s));
	client_send(&c, "GET /1 HTTP/1.1\r\n" HOST "\r\n"
			"POST /2 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
			"\r\nPOST /3 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
			"GET /4 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /5 HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&c, 200, "GET|/1|");
	EXPECT_ANSWER(&c, 200, "5:hello");
	EXPECT_ANSWER(&c, 200, "3:abc");
	EXPECT_ANSWER(&c, 200, "GET|/4|");
	EXPECT(client_is_at_end(&c), "answered after Connection: close");
	client_close(&c);
	stop(s);
}

TEST(target_and_headers_reach_the_handler_untouched)
{
	struct http_server *s = start_default();
	struct client c;
	client_open(&c, http_port(s));
	client_send(&c, "POST http://example:8080/a%2Fb/../%7e//c?q=%20+&&=x HTTP/1.1\r\nX-First: 1\r\n" HOST
			"X-Rep: b\r\nx-other:  y \r\nX-REP: a\r\nCookie: k=1\r\nCookie: k=2\r\nContent-Length: 2\r\n"
			"Expect: 100-continue\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nhi");
	struct answer a;
	client_read(&c, &a, false);
	EXPECT(a.status == 200, "%s", a.head);
	const char *wanted =
		"POST|http://example:8080/a%2Fb/../%7e//c?q=%20+&&=x|/a%2Fb/../%7e//c|q=%20+&&=x|127.0.0.1|0\n"
		"[x-first: 1]\n[host: example:8080]\n[x-rep: b]\n[x-other: y]\n[x-rep: a]\n[cookie: k=1]\n"
		"[cookie: k=2]\n[content-length: 2]\n[expect: 100-continue]\n[upgrade: h2c]\n"
		"[connection: Upgrade]\n2:hi";
	EXPECT(strcmp(buf_text(&a.body), wanted) == 0, "'%s'", buf_text(&a.body));
	answer_fini(&a);
	client_close(&c);
	stop(s);
}

TEST(answers_have_the_expected_head)
{
	struct http_server *s = start_default();
	struct client c;
	struct answer a;
	client_open(&c, http_port(s));
	client_send(&c, "GET /odd HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" HOST "\r\n");
	client_read(&c, &a, false);
	EXPECT(strncmp(a.head, "HTTP/1.1 404 Not Found\r\ndate: ", 30) == 0, "%s", a.head);
	EXPECT(strstr(a.head, " GMT\r\nserver: stint\r\nconnection: keep-alive\r\ncontent-length: 2\r\n"
			      "content-type: application/json\r\nx-good: 1\r\nx-good: 2\r\n\r\n"), "%s", a.head);
	answer_fini(&a);
	client_read(&c, &a, false);
	EXPECT(a.status == 204 && !strstr(a.head, "content-"), "%s", a.head);
	answer_fini(&a);
	client_send(&c, "HEAD /odd HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n");
	client_read(&c, &a, true);
	EXPECT(a.status == 404 && length_of(a.head) == 2, "%s", a.head);
	answer_fini(&a);
	EXPECT_ANSWER(&c, 200, "GET|/x|"); /* no body came in between */
	client_close(&c);
	stop(s);
}

TEST(old_clients_are_served)
{
	struct http_server *s = start_default();
	struct client c;
	client_open(&c, http_port(s));
	client_send(&c, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	EXPECT_ANSWER(&c, 200, "GET|/a|");
	client_send(&c, "GET /b HTTP/1.0\r\n\r\n");
	must(shutdown(c.fd, SHUT_WR) == 0); /* as netcat does */
	EXPECT_ANSWER(&c, 200, "GET|/b|");
	EXPECT(client_is_at_end(&c), "kept open");
	client_close(&c);
	stop(s);
}

TEST(bodies_up_to_the_limit_pass_and_larger_ones_get_413)
{
	struct http_server *s = start_default();
	char *body = mem_alloc(200001);
	memset(body, 'x', 200000);
	static const struct { bool is_chunked; int size; int status; const char *says; } row[] = {
		{ false, 100000, 200, "100000:xxx" }, { true, 100000, 200, "100000:xxx" },
		{ false, 100001, 413, "too large" },  { true, 100001, 413, "too large" },
		{ false, 200000, 413, "too large" },  { true, 200000, 413, "too large" },
	};
	FOR_EACH_ROW(i, row) {
		struct client c;
		char head[300];
		client_open(&c, http_port(s));
		(void)snprintf(head, sizeof(head), row[i].is_chunked ?
			       "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%x\r\n" :
			       "PUT / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", (unsigned)row[i].size);
		client_send(&c, head);
		client_send_n(&c, body, (size_t)row[i].size); /* all of it: the refusal must survive that */
		if (row[i].is_chunked)
			client_send(&c, "\r\n0\r\n\r\n");
		EXPECT_ANSWER(&c, row[i].status, row[i].says);
		client_close(&c);
	}
	mem_free(body);
	stop(s);
}

TEST(large_answers_arrive_whole)
{
	struct http_server *s = start_default();
	struct client c;
	struct answer a;
	client_open(&c, http_port(s));
	client_send(&c, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n");
	client_read(&c, &a, false);
	EXPECT(a.body.len == BIG_SIZE, "%zu", a.body.len);
	answer_fini(&a);
	EXPECT_ANSWER(&c, 200, "GET|/x|");
	client_close(&c);
	stop(s);
}

static int count_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void expect_file(struct client *c)
{
	struct answer a;
	client_read(c, &a, false);
	EXPECT(a.status == 200 && strstr(a.head, "content-type: x/y\r\n"), "%s", a.head);
	EXPECT(a.body.len == FILE_SIZE, "%zu", a.body.len);
	bool is_same = a.body.len == FILE_SIZE;
	for (int i = 0; is_same && i < FILE_SIZE; i++)
		is_same = a.body.bytes[i] == "0123456789abcdef-"[i % 17];
	EXPECT(is_same, "other bytes");
	answer_fini(&a);
}

TEST(files_are_streamed_and_closed)
{
	struct http_server *s = start_default();
	struct client c;
	struct answer a;
	client_open(&c, http_port(s));
	client_send(&c, "GET /x HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&c, 200, "GET|/x|");
	int before = count_descriptors();
	client_send(&c, "GET /file HTTP/1.1\r\n" HOST "\r\nHEAD /file HTTP/1.1\r\n" HOST "\r\n");
	expect_file(&c);
	client_read(&c, &a, /* is_head= */ true);
	EXPECT(length_of(a.head) == FILE_SIZE, "%s", a.head);
	answer_fini(&a);
	client_send(&c, "GET /empty-file HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n");
	client_read(&c, &a, false);
	EXPECT(a.status == 200 && a.body.len == 0 && strstr(a.head, "content-length: 0\r\n"), "%s", a.head);
	answer_fini(&a);
	EXPECT_ANSWER(&c, 200, "GET|/x|");
	EXPECT(count_descriptors() == before, "%d descriptors instead of %d", count_descriptors(), before);

	/* The promise cannot be kept: the client must see that, not a short body. */
	client_send(&c, "GET /short-file HTTP/1.1\r\n" HOST "\r\n");
	client_read(&c, &a, false);
	EXPECT(a.status == 0 && length_of(a.head) == FILE_SIZE + 1, "%d %s", a.status, a.head);
	answer_fini(&a);
	client_close(&c);
	client_open(&c, http_port(s)); /* one that goes away in the middle */
	client_send(&c, "GET /file HTTP/1.1\r\n" HOST "\r\n");
	EXPECT(client_fill(&c), "no byte");
	client_close(&c);
	stop(s);
}

TEST(continue_is_said_once_and_only_when_the_body_is_wanted)
{
	struct http_server *s = start_default();
	struct client c;
	struct answer a;
	client_open(&c, http_port(s));
	client_send(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
	client_read(&c, &a, true);
	EXPECT(a.status == 100, "%s", a.head);
	answer_fini(&a);
	client_send(&c, "abc");
	EXPECT_ANSWER(&c, 200, "3:abc");
	client_send(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
	EXPECT_ANSWER(&c, 413, "too large");
	EXPECT(client_is_at_end(&c), "kept open");
	client_close(&c);
	stop(s);
}

/* ---- refusals ---- */

TEST(faults_are_answered_in_the_callers_words_and_end_the_connection)
{
	static char long_target[HEAD_LINE_LIMIT + 100], long_header[HEAD_LIMIT + 100];
	memset(long_target, 'x', sizeof(long_target) - 1);
	memcpy(long_target, "GET /", 5);
	memset(long_header, 'x', sizeof(long_header) - 1);
	memcpy(long_header, GET "a: ", sizeof(GET) + 2);
	struct buf many;
	buf_init(&many, 1 << 20);
	buf_adds(&many, GET);
	for (int i = 0; i < HEAD_HEADERS_LIMIT; i++)
		buf_addf(&many, "h%d: 1\r\n", i);
	buf_adds(&many, "\r\n");
	const struct { const char *text; bool is_cut; int status; } row[] = {
		{ "\x16\x03\x01 not http", false, 400 },
		{ "garbage\r\n\r\n", false, 400 },
		{ "GET / HTTP/1.1\r\n\r\n", false, 400 },
		{ "GET / HT", true, 400 },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc", true, 400 },
		{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, 400 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, 505 },
		{ "BREW /pot HTTP/1.1\r\n" HOST "\r\n", false, 501 },
		{ long_target, false, 414 },
		{ long_header, false, 431 },
		{ buf_text(&many), false, 431 },
	};
	struct http_server *s = start_default();
	FOR_EACH_ROW(i, row) {
		struct client c;
		struct answer a;
		char code[20];
		client_open(&c, http_port(s));
		client_send(&c, row[i].text);
		if (row[i].is_cut)
			must(shutdown(c.fd, SHUT_WR) == 0);
		client_read(&c, &a, false);
		(void)snprintf(code, sizeof(code), "{\"code\":\"E%d\"", row[i].status);
		EXPECT(a.status == row[i].status, "%.40s: %s", row[i].text, a.head);
		EXPECT(strncmp(buf_text(&a.body), code, strlen(code)) == 0, "%.40s: '%s'", row[i].text,
		       buf_text(&a.body));
		EXPECT(strstr(a.head, "connection: close") && strstr(a.head, "application/json"), "%s", a.head);
		EXPECT(client_is_at_end(&c), "%.40s: kept open", row[i].text);
		answer_fini(&a);
		client_close(&c);
	}
	buf_fini(&many);
	stop(s);
}

TEST(slow_senders_get_408_and_silent_ones_are_closed)
{
	static const struct { const char *text; int status; } row[] = {
		{ "", 0 },
		{ "G", 408 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nx:", 408 },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc", 408 },
		{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nab", 408 },
	};
	struct http_config cfg = config();
	cfg.limits.header_timeout_ms = 100;
	struct http_server *s = start(&cfg);
	FOR_EACH_ROW(i, row) {
		struct client c;
		struct answer a;
		int64_t before_ms = clock_mono_ms();
		client_open(&c, http_port(s));
		client_send(&c, row[i].text);
		client_read(&c, &a, false);
		EXPECT(a.status == row[i].status, "'%s': %d", row[i].text, a.status);
		EXPECT(clock_mono_ms() - before_ms >= 95, "'%s': too early", row[i].text);
		EXPECT(client_is_at_end(&c), "'%s': kept open", row[i].text);
		answer_fini(&a);
		client_close(&c);
	}
	stop(s);
}

TEST(dribbling_does_not_win_time)
{
	struct http_config cfg = config();
	cfg.limits.header_timeout_ms = 150;
	struct http_server *s = start(&cfg);
	struct client c;
	struct timeval patience = { .tv_usec = 20000 };
	client_open(&c, http_port(s));
	must(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	client_send(&c, "GET / HTTP/1.1\r\nx: ");
	int n = 0;
	for (; n < 500 && c.in.len == 0 && client_send(&c, "y"); n++)
		(void)client_fill(&c); /* waits 20 ms for an answer */
	EXPECT(strncmp(buf_text(&c.in), "HTTP/1.1 408 ", 13) == 0, "after %d bytes: '%.50s'", n, buf_text(&c.in));
	client_close(&c);
	stop(s);
}

TEST(idle_connections_are_closed_silently)
{
	struct http_config cfg = config();
	cfg.limits.idle_timeout_ms = 100;
	struct http_server *s = start(&cfg);
	struct client c;
	client_open(&c, http_port(s));
	client_send(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&c, 200, "GET|/|");
	EXPECT(client_is_at_end(&c), "kept open");
	client_close(&c);
	stop(s);
}

TEST(connections_over_the_limit_get_503)
{
	struct http_config cfg = config();
	cfg.limits.connections_max = 2;
	struct http_server *s = start(&cfg);
	struct client c[3];
	struct http_stats stats;
	for (int i = 0; i < 2; i++) {
		client_open(&c[i], http_port(s));
		client_send(&c[i], "GET / HTTP/1.1\r\n" HOST "\r\n");
		EXPECT_ANSWER(&c[i], 200, "GET|/|");
	}
	client_open(&c[2], http_port(s));
	EXPECT_ANSWER(&c[2], 503, "too many connections");
	EXPECT(client_is_at_end(&c[2]), "kept open");
	client_send(&c[0], "GET /again HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&c[0], 200, "GET|/again|");
	http_stats(s, &stats);
	EXPECT(stats.accepted == 2 && stats.refused == 1, "%lld %lld", (long long)stats.accepted,
	       (long long)stats.refused);
	for (int i = 0; i < 3; i++)
		client_close(&c[i]);
	stop(s);
}

TEST(slow_and_idle_crowds_do_not_stop_a_good_client)
{
	enum { SLOW = 100, IDLE = 200 };
	struct http_server *s = start_default();
	static struct client crowd[SLOW + IDLE];
	for (int i = 0; i < SLOW + IDLE; i++) {
		client_open(&crowd[i], http_port(s));
		client_send(&crowd[i], i < SLOW ? "POST / HTTP/1.1\r\n" HOST "Content-Length: 9000\r\n\r\nslow" : "");
	}
	struct client c;
	int64_t before_ms = clock_mono_ms();
	client_open(&c, http_port(s));
	for (int i = 0; i < 50; i++) {
		client_send(&c, "GET /good HTTP/1.1\r\n" HOST "\r\n");
		EXPECT_ANSWER(&c, 200, "GET|/good|");
	}
	EXPECT(clock_mono_ms() - before_ms < 5000, "%lld ms", (long long)(clock_mono_ms() - before_ms));
	client_close(&c);
	for (int i = 0; i < SLOW + IDLE; i++)
		client_close(&crowd[i]);
	stop(s);
}

TEST(all_bodies_together_have_a_limit)
{
	enum { SIZE = 1000 };
	struct http_config cfg = config();
	cfg.limits.body_max = SIZE;
	struct http_server *s = start(&cfg);
	static struct client crowd[HELD_MAX], c;
	static struct http_req *req[HELD_MAX];
	static char body[SIZE];
	memset(body, 'x', sizeof(body));
	for (int i = 0; i < HELD_MAX; i++) { /* as many full bodies as are allowed */
		client_open(&crowd[i], http_port(s));
		client_send(&crowd[i], "PUT /held HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
		client_send_n(&crowd[i], body, SIZE);
	}
	take_held(HELD_MAX, req);
	client_open(&c, http_port(s));
	client_send(&c, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nx");
	EXPECT_ANSWER(&c, 503, "too many request bodies");
	client_close(&c);
	for (int i = 0; i < HELD_MAX; i++)
		answer(req[i], 200, "ok");
	for (int i = 0; i < HELD_MAX; i++) {
		EXPECT_ANSWER(&crowd[i], 200, "ok");
		client_close(&crowd[i]);
	}
	client_open(&c, http_port(s));
	client_send(&c, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
	EXPECT_ANSWER(&c, 200, "1:x");
	client_close(&c);
	stop(s);
}

TEST(running_out_of_descriptors_only_delays_new_clients)
{
	struct http_server *s = start_default();
	struct client old, c;
	struct rlimit before, tight;
	client_open(&old, http_port(s));
	client_send(&old, "GET / HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&old, 200, "GET|/|");
	must(getrlimit(RLIMIT_NOFILE, &before) == 0);
	int next = dup(0); /* the client's descriptor will be this one, and the server's would be the one after it */
	must(next >= 0);
	must(close(next) == 0);
	tight = before;
	tight.rlim_cur = (rlim_t)next + 1;
	must(setrlimit(RLIMIT_NOFILE, &tight) == 0);
	client_open(&c, http_port(s));
	client_send(&c, "GET /new HTTP/1.1\r\n" HOST "\r\n");
	struct timeval patience = { .tv_usec = 50000 };
	must(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	EXPECT(!client_fill(&c), "accepted without a descriptor");
	client_send(&old, "GET /old HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&old, 200, "GET|/old|");
	must(setrlimit(RLIMIT_NOFILE, &before) == 0);
	patience = (struct timeval){ .tv_sec = 20 };
	must(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	EXPECT_ANSWER(&c, 200, "GET|/new|");
	client_close(&old);
	client_close(&c);
	stop(s);
}

/* Seen from a second connection, which asks until the server has only that one left. */
TEST(clients_that_do_not_read_are_given_up)
{
	struct http_config cfg = config();
	cfg.limits.idle_timeout_ms = 200;
	struct http_server *s = start(&cfg);
	struct client deaf, c;
	struct http_stats stats;
	int small = 4096;
	client_open(&deaf, http_port(s));
	must(setsockopt(deaf.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
	for (int i = 0; i < 8; i++) /* 24 MiB, more than the kernel keeps */
		client_send(&deaf, "GET /big HTTP/1.1\r\n" HOST "\r\n");
	client_open(&c, http_port(s));
	int64_t end_ms = clock_mono_ms() + 10000;
	do {
		client_send(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
		EXPECT_ANSWER(&c, 200, "GET|/|");
		http_stats(s, &stats);
	} while (stats.connections > 1 && clock_mono_ms() < end_ms && !test_case_failures);
	EXPECT(stats.connections == 1, "%lld", (long long)stats.connections);
	client_close(&c);
	client_close(&deaf);
	stop(s);
}

/* ---- threads ---- */

TEST(two_requests_are_in_flight_on_two_loops_and_answered_from_here)
{
	struct http_server *s = start_default();
	struct client c[2];
	struct http_req *req[2];
	for (int i = 0; i < 2; i++) {
		client_open(&c[i], http_port(s));
		client_send(&c[i], i ? "POST /held?b HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nB" :
				       "POST /held?a HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nA");
	}
	take_held(2, req);
	EXPECT(req[0]->loop != req[1]->loop, "both on loop %d", req[0]->loop);
	EXPECT(strcmp(req[0]->id, req[1]->id) != 0 && strlen(req[0]->id) == 36, "%s", req[0]->id);
	for (int i = 1; i >= 0; i--)
		answer_echo(req[i]);
	EXPECT_ANSWER(&c[0], 200, "1:A");
	EXPECT_ANSWER(&c[1], 200, "1:B");
	client_send(&c[0], "GET /more HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&c[0], 200, "GET|/more|");
	for (int i = 0; i < 2; i++)
		client_close(&c[i]);
	stop(s);
}

static void note_cleanup(void *arg) { ++*(int *)arg; }

TEST(a_request_outlives_its_client)
{
	struct http_server *s = start_default();
	struct client c;
	struct http_req *req;
	int n_cleanups = 0;
	client_open(&c, http_port(s));
	client_send(&c, "POST /held HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
	take_held(1, &req);
	struct linger hard = { .l_onoff = 1 };
	must(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
	client_close(&c); /* a reset */
	EXPECT(req->body_len == 3 && memcmp(req->body, "abc", 3) == 0, "body");
	EXPECT(arena_dup(req->arena, req->id), "arena");
	arena_cleanup(req->arena, note_cleanup, &n_cleanups);
	answer_big(req);
	stop(s);
	EXPECT(n_cleanups == 1, "%d", n_cleanups);
}

TEST(a_request_outlives_its_server)
{
	struct http_server *s = start_default();
	struct client c;
	struct http_req *req;
	int n_cleanups = 0;
	client_open(&c, http_port(s));
	client_send(&c, "GET /held HTTP/1.1\r\n" HOST "\r\n");
	take_held(1, &req);
	arena_cleanup(req->arena, note_cleanup, &n_cleanups);
	http_stop(s, 0);
	http_stop(s, 0);
	http_free(s);
	EXPECT(client_is_at_end(&c), "answered");
	EXPECT(strcmp(req->raw_path, "/held") == 0, "%s", req->raw_path);
	answer(req, 200, "late");
	EXPECT(n_cleanups == 1, "%d", n_cleanups);
	client_close(&c);
}

static void *stop_in_thread(void *arg)
{
	http_stop(arg, 10000);
	return NULL;
}

TEST(a_drain_finishes_what_was_begun_and_refuses_what_is_new)
{
	struct http_server *s = start_default();
	int port = http_port(s);
	struct client busy, idle;
	struct http_req *req;
	pthread_t stopper;
	client_open(&idle, port);
	client_send(&idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&idle, 200, "GET|/|");
	client_open(&busy, port);
	client_send(&busy, "GET /held HTTP/1.1\r\n" HOST "\r\n");
	take_held(1, &req);
	must(pthread_create(&stopper, NULL, stop_in_thread, s) == 0);
	EXPECT(client_is_at_end(&idle), "idle connection kept"); /* which shows that the drain has begun */
	answer(req, 200, "finished");
	struct answer a;
	client_read(&busy, &a, false);
	EXPECT(a.status == 200 && strcmp(buf_text(&a.body), "finished") == 0, "%s", a.head);
	EXPECT(strstr(a.head, "connection: close"), "%s", a.head);
	EXPECT(client_is_at_end(&busy), "kept open");
	answer_fini(&a);
	client_close(&busy);
	must(pthread_join(stopper, NULL) == 0);
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0, "still listening");
	(void)close(fd);
	client_close(&idle);
	stop(s);
}

static void *answer_held_forever(void *arg)
{
	for (int n = *(int *)arg; n > 0; n--) {
		struct http_req *req;
		pthread_mutex_lock(&held.lock);
		while (held.n == 0)
			pthread_cond_wait(&held.changed, &held.lock);
		req = held.req[--held.n];
		pthread_mutex_unlock(&held.lock);
		if (n % 2)
			http_run(req, answer_echo);
		else
			answer_echo(req);
	}
	return NULL;
}

/* Who ran it, for the test below. */
static struct {
	pthread_t thread;
	int n;
} ran;

static void answer_and_tell(struct http_req *req)
{
	ran.thread = pthread_self();
	ran.n++;
	answer(req, 200, pthread_equal(ran.thread, *(pthread_t *)req->user) ? "elsewhere" : "on the loop");
}

TEST(what_is_run_runs_on_the_loop_while_there_is_one)
{
	struct http_server *s = start_default();
	struct client c;
	struct http_req *req;
	pthread_t self = pthread_self();
	ran.n = 0;
	client_open(&c, http_port(s));
	for (int i = 1; i <= 2; i++) { /* the connection goes on */
		client_send(&c, "GET /held HTTP/1.1\r\n" HOST "\r\n");
		take_held(1, &req);
		req->user = &self;
		http_run(req, answer_and_tell);
		EXPECT_ANSWER(&c, 200, "on the loop");
		EXPECT(ran.n == i, "ran %d times", ran.n);
	}
	client_send(&c, "GET /held HTTP/1.1\r\n" HOST "\r\n");
	take_held(1, &req);
	http_stop(s, /* drain_ms= */ 0);
	req->user = &self;
	http_run(req, answer_and_tell);
	EXPECT(ran.n == 3 && pthread_equal(ran.thread, self), "of a stopped server it runs at once: %d", ran.n);
	EXPECT(client_is_at_end(&c), "nobody is there to send it");
	client_close(&c);
	stop(s);
}

enum { CROWD = 6, EACH = 40 };

static void *crowd_member(void *arg)
{
	struct client c;
	client_open(&c, *(int *)arg);
	for (int i = 0; i < EACH; i++) {
		client_send(&c, i % 2 ? "GET /held HTTP/1.1\r\n" HOST "\r\n" : "GET /now HTTP/1.1\r\n" HOST "\r\n");
		EXPECT_ANSWER(&c, 200, i % 2 ? "GET|/held|" : "GET|/now|");
	}
	client_close(&c);
	return NULL;
}

TEST(many_threads_at_once)
{
	struct http_server *s = start_default();
	int port = http_port(s), n_held = CROWD * EACH / 2;
	pthread_t worker, member[CROWD];
	must(pthread_create(&worker, NULL, answer_held_forever, &n_held) == 0);
	for (int i = 0; i < CROWD; i++)
		must(pthread_create(&member[i], NULL, crowd_member, &port) == 0);
	for (int i = 0; i < CROWD; i++)
		must(pthread_join(member[i], NULL) == 0);
	must(pthread_join(worker, NULL) == 0);
	stop(s);
}

/* ---- starting ---- */

TEST(a_server_that_cannot_start_says_why)
{
	struct http_server *s = start_default(), *other = (struct http_server *)&held;
	struct http_config taken = config(), host = config(), threads = config(), half = config(), cert = config();
	taken.port = http_port(s);
	host.host = "192.0.2.1"; /* a documentation address: nobody's own */
	threads.threads = 0;
	half.tls_cert = "cert.pem";
	cert.tls_cert = cert.tls_key = "no-such-file.pem";
	const struct { const struct http_config *cfg; enum rc rc; const char *says; } row[] = {
		{ &taken, RC_IO, "cannot listen on 127.0.0.1 port" }, { &taken, RC_IO, "in use" },
		{ &host, RC_IO, "192.0.2.1" },
		{ &threads, RC_INVALID, "threads" },
		{ &half, RC_INVALID, "only one is given" },
		{ &cert, RC_INVALID, "no-such-file.pem" },
	};
	FOR_EACH_ROW(i, row) {
		struct err e = { 0 };
		EXPECT(http_start(row[i].cfg, &other, &e) == row[i].rc, "%zu: %s", i, e.msg);
		EXPECT(strstr(e.msg, row[i].says), "%zu: said '%s'", i, e.msg);
		EXPECT(other == (struct http_server *)&held, "%zu: output touched", i);
	}
	stop(s);
}

TEST(ipv6_is_served)
{
	struct http_config cfg = config();
	cfg.host = "::1";
	struct http_server *s = NULL;
	struct err e = { 0 };
	if (http_start(&cfg, &s, &e) != RC_OK) {
		EXPECT(e.sys != 0, "%s", e.msg); /* a machine without IPv6 */
		return;
	}
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)http_port(s)),
				     .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct client c = { .fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	buf_init(&c.in, 1 << 20);
	must(connect(c.fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	client_send(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&c, 200, "GET|/|/||::1|0");
	client_close(&c);
	stop(s);
}

/* ---- TLS ---- */

/* A self-signed certificate and its key in two files below the working folder. */
static void write_certificate(const char *cert_path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	must(key);
	must(cert);
	must(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
	must(X509_gmtime_adj(X509_getm_notBefore(cert), -60));
	must(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	must(X509_set_pubkey(cert, key) == 1);
	X509_NAME *name = X509_get_subject_name(cert);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0) == 1);
	must(X509_set_issuer_name(cert, name) == 1);
	must(X509_sign(cert, key, EVP_sha256()) > 0);
	FILE *f = fopen(cert_path, "w");
	must(f);
	must(PEM_write_X509(f, cert) == 1);
	must(fclose(f) == 0);
	f = fopen(key_path, "w");
	must(f);
	must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	must(fclose(f) == 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static bool client_tls(struct client *c, SSL_CTX *ctx, int max_version)
{
	static const unsigned char protocols[] = "\x02h2\x08http/1.1";
	c->ssl = SSL_new(ctx);
	must(SSL_set_max_proto_version(c->ssl, max_version) == 1);
	must(SSL_set_alpn_protos(c->ssl, protocols, sizeof(protocols) - 1) == 0);
	must(SSL_set_fd(c->ssl, c->fd) == 1);
	return SSL_connect(c->ssl) == 1;
}

static void check_tls(int port, SSL_CTX *ctx, int version)
{
	struct client c;
	struct answer a;
	const unsigned char *protocol = NULL;
	unsigned protocol_len = 0;
	client_open(&c, port);
	EXPECT(client_tls(&c, ctx, version), "version %x", (unsigned)version);
	SSL_get0_alpn_selected(c.ssl, &protocol, &protocol_len);
	EXPECT(protocol_len != 2, "h2 was chosen");
	client_send(&c, "POST /t HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
	EXPECT_ANSWER(&c, 200, "POST|/t|/t||127.0.0.1|1\n");
	client_send(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
	client_read(&c, &a, false);
	EXPECT(a.body.len == BIG_SIZE, "%zu", a.body.len);
	answer_fini(&a);
	client_send(&c, "GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	EXPECT_ANSWER(&c, 200, "GET|/x|");
	EXPECT(client_is_at_end(&c), "kept open");
	EXPECT(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, "no farewell");
	client_close(&c);
}

TEST(tls_carries_the_same)
{
	char cert[64], key[64];
	(void)snprintf(cert, sizeof(cert), "http_test.%d.cert.pem", (int)getpid());
	(void)snprintf(key, sizeof(key), "http_test.%d.key.pem", (int)getpid());
	write_certificate(cert, key);
	struct http_config cfg = config();
	cfg.tls_cert = cert;
	cfg.tls_key = key;
	struct http_server *s = start(&cfg);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	check_tls(http_port(s), ctx, TLS1_2_VERSION);
	check_tls(http_port(s), ctx, TLS1_3_VERSION);
	struct client c, idle, silent;
	client_open(&c, http_port(s));
	SSL_CTX_set_security_level(ctx, 0);
	EXPECT(!client_tls(&c, ctx, TLS1_1_VERSION), "TLS 1.1 was taken");
	client_close(&c);
	client_open(&c, http_port(s));
	client_send(&c, "GET / HTTP/1.1\r\n" HOST "\r\n"); /* plain text to the TLS port */
	while (client_fill(&c))
		;
	EXPECT(!strstr(buf_text(&c.in), "HTTP/"), "'%s'", buf_text(&c.in));
	client_close(&c);
	client_open(&c, http_port(s));
	EXPECT(client_tls(&c, ctx, TLS1_3_VERSION), "handshake");
	client_send(&c, "GET /file HTTP/1.1\r\n" HOST "\r\n");
	expect_file(&c);
	client_send(&c, "BREW / HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_ANSWER(&c, 501, "\"E501\"");
	client_close(&c);
	client_open(&silent, http_port(s)); /* one in its handshake and one idle while the server stops */
	client_open(&idle, http_port(s));
	EXPECT(client_tls(&idle, ctx, TLS1_3_VERSION), "handshake");
	stop(s);
	client_close(&silent);
	client_close(&idle);
	SSL_CTX_free(ctx);
	(void)unlink(cert);
	(void)unlink(key);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_DFL); /* the server must not depend on it being ignored ... */
	sigset_t pipe_only;
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	/* ... but the TLS client here writes without MSG_NOSIGNAL. */
	must(pthread_sigmask(SIG_BLOCK, &pipe_only, NULL) == 0);
	RUN(heads_are_the_same_however_they_arrive);
	RUN(bad_heads_are_refused_with_a_status_and_a_reason);
	RUN(heads_that_look_odd_but_are_right);
	RUN(a_refused_head_still_tells_its_path);
	RUN(damaged_heads_get_the_same_verdict_however_they_arrive);
	RUN(chunked_bodies_are_the_same_however_they_arrive);
	RUN(endless_chunk_lines_are_refused);
	RUN(one_connection_carries_many_requests);
	RUN(pipelined_requests_are_answered_in_order);
	RUN(target_and_headers_reach_the_handler_untouched);
	RUN(answers_have_the_expected_head);
	RUN(old_clients_are_served);
	RUN(bodies_up_to_the_limit_pass_and_larger_ones_get_413);
	RUN(large_answers_arrive_whole);
	RUN(files_are_streamed_and_closed);
	RUN(continue_is_said_once_and_only_when_the_body_is_wanted);
	RUN(faults_are_answered_in_the_callers_words_and_end_the_connection);
	RUN(slow_senders_get_408_and_silent_ones_are_closed);
	RUN(dribbling_does_not_win_time);
	RUN(idle_connections_are_closed_silently);
	RUN(connections_over_the_limit_get_503);
	RUN(slow_and_idle_crowds_do_not_stop_a_good_client);
	RUN(all_bodies_together_have_a_limit);
	RUN(running_out_of_descriptors_only_delays_new_clients);
	RUN(clients_that_do_not_read_are_given_up);
	RUN(two_requests_are_in_flight_on_two_loops_and_answered_from_here);
	RUN(a_request_outlives_its_client);
	RUN(a_request_outlives_its_server);
	RUN(a_drain_finishes_what_was_begun_and_refuses_what_is_new);
	RUN(what_is_run_runs_on_the_loop_while_there_is_one);
	RUN(many_threads_at_once);
	RUN(a_server_that_cannot_start_says_why);
	RUN(ipv6_is_served);
	RUN(tls_carries_the_same);
	return test_failures != 0;
}
