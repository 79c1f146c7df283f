/*
 * load: signed requests over many connections, one in flight on each, and how fast they are answered. The bench
 * scripts send the same requests to stint and to its peer with it, so the client's own cost is on both sides.
 *
 *   load CONNECT CONNECTIONS REQUESTS METHOD ACTION BODY PATH...      (CONNECT is 127.0.0.1:8080; PATH "-": from
 *                                                                      standard input, one a line)
 *
 * The access key comes in STINT_ACCESS_KEY_ID and STINT_ACCESS_KEY_SECRET. All requests are signed (ACS3-HMAC-SHA256, a
 * nonce of its own each) before the clock starts; paths are taken in turn. Prints one JSON object:
 * {"answered":n,"seconds":s,"per_second":r,"p50_us":..,"p99_us":..,"max_us":..,"statuses":{"200":n}}.
 * Exit code 1 when a connection breaks or an answer cannot be read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rand.h"
#include "sign/acs3.h"

enum {
	CONNECTIONS_MAX = 4096,
	REQUESTS_MAX = 5000000,
	ANSWER_MAX = 64 << 10,
	STATUS_END = 600,
	EVENTS = 64,
};

struct text {
	const char *bytes;
	size_t len;
};

struct connection {
	int fd;
	size_t request;      /* index of the one in flight */
	size_t have;         /* bytes of the answer in in[] */
	int64_t sent_us;
	char in[ANSWER_MAX];
};

struct load {
	const char *method, *action, *body, *connect;
	char **paths;
	size_t n_paths;
	size_t n_requests, n_connections;
	struct text *requests;
	uint32_t *took_us;   /* by request */
	size_t next, answered;
	int64_t statuses[STATUS_END];
	struct connection *connections;
	int epoll;
};

static int fail(const char *what)
{
	(void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- the requests ---- */

/* The paths of standard input; they live until the end. */
static void read_paths(struct load *l)
{
	enum { PATHS_SIZE_MAX = 512 << 20 };
	static struct buf text;
	char part[65536];
	size_t n;

	buf_init(&text, PATHS_SIZE_MAX);
	while ((n = fread(part, 1, sizeof part, stdin)) > 0)
		buf_add(&text, part, n);
	l->paths = NULL;
	l->n_paths = 0;
	for (char *line = text.bytes; line && *line;) {
		char *end = line + strcspn(line, "\n");
		bool is_last = *end == '\0';
		*end = '\0';
		if ((l->n_paths & (l->n_paths - 1)) == 0)
			l->paths = mem_grow(l->paths, l->n_paths ? l->n_paths * 2 : 1, sizeof *l->paths);
		l->paths[l->n_paths++] = line;
		line = is_last ? NULL : end + 1;
	}
}

static struct text make_request(const struct load *l, const char *path, const char *id, const char *secret,
				struct arena *a)
{
	char date[CLOCK_TEXT_SIZE], nonce[33], hash[65];
	bool has_body = l->body[0] != '\0';

	clock_iso(date, clock_wall_ms() / 1000);
	rand_hex(nonce, 32);
	sign_sha256_hex(l->body, strlen(l->body), hash);
	const struct sign_header headers[] = {
		{ "host", l->connect },
		{ "x-acs-date", date },
		{ "x-acs-signature-nonce", nonce },
		{ "x-acs-content-sha256", hash },
		{ "x-acs-version", "2017-12-25" },
		{ "x-acs-action", l->action },
		{ "content-type", "application/json" },
	};
	const char *query = strchr(path, '?');
	const struct sign_request signed_part = {
		.method = l->method,
		.raw_path = query ? arena_dup_n(a, path, (size_t)(query - path)) : path,
		.raw_query = query ? query + 1 : "",
		.headers = headers,
		.n_headers = sizeof headers / sizeof *headers - (has_body ? 0 : 1),
		.body = l->body,
		.body_len = strlen(l->body),
	};
	const char *authorization = acs3_authorization(&signed_part, id, secret, a);
	char *text = arena_printf(a,
		"%s %s HTTP/1.1\r\nhost: %s\r\nx-acs-date: %s\r\nx-acs-signature-nonce: %s\r\n"
		"x-acs-content-sha256: %s\r\nx-acs-version: 2017-12-25\r\nx-acs-action: %s\r\nauthorization: %s\r\n",
		l->method, path, l->connect, date, nonce, hash, l->action, authorization ? authorization : "");
	text = has_body ? arena_printf(a, "%scontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", text,
				       strlen(l->body), l->body)
			: arena_printf(a, "%s\r\n", text);
	return (struct text){ text, text ? strlen(text) : 0 };
}

static int make_requests(struct load *l)
{
	const char *id = getenv("STINT_ACCESS_KEY_ID"), *secret = getenv("STINT_ACCESS_KEY_SECRET");
	struct arena *scratch = arena_new(1 << 20);

	l->requests = mem_array(l->n_requests, sizeof *l->requests);
	l->took_us = mem_array(l->n_requests, sizeof *l->took_us);
	for (size_t i = 0; id && secret && i < l->n_requests; i++) {
		struct text t = make_request(l, l->paths[i % l->n_paths], id, secret, scratch);
		char *kept = t.len > 0 ? mem_alloc(t.len) : NULL;
		if (!kept)
			return fail("cannot make a request");
		memcpy(kept, t.bytes, t.len);
		l->requests[i] = (struct text){ kept, t.len };
		arena_reset(scratch);
	}
	arena_free(scratch);
	return id && secret ? 0 : fail("STINT_ACCESS_KEY_ID and STINT_ACCESS_KEY_SECRET must be set");
}

/* ---- connections ---- */

static int open_connection(const struct load *l, struct connection *c)
{
	char host[64] = "";
	const char *colon = strrchr(l->connect, ':');
	int64_t port = 0;
	struct sockaddr_in to = { .sin_family = AF_INET };

	if (colon && (size_t)(colon - l->connect) < sizeof host)
		memcpy(host, l->connect, (size_t)(colon - l->connect));
	if (!colon || !num_i64(colon + 1, &port) || port < 1 || port > 65535 ||
	    inet_pton(AF_INET, host, &to.sin_addr) != 1) {
		errno = EINVAL;
		return fail("CONNECT must be ADDRESS:PORT");
	}
	to.sin_port = htons((uint16_t)port);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&to, sizeof to) != 0)
		return fail("cannot connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0 ? 0 : fail("epoll_ctl");
}

static int send_next(struct load *l, struct connection *c)
{
	if (l->next == l->n_requests)
		return 0;
	const struct text *t = &l->requests[l->next];
	c->request = l->next++;
	c->have = 0;
	c->sent_us = clock_mono_us();
	/* A request is far smaller than a socket's buffer, and nothing else is in it. */
	return send(c->fd, t->bytes, t->len, MSG_NOSIGNAL) == (ssize_t)t->len ? 0 : fail("cannot send");
}

/* Bytes of the whole answer once its head is there; 0 before; -1 when it has no length. */
static int64_t answer_size(const struct connection *c)
{
	static const char name[] = "content-length:";
	const char *end = memmem(c->in, c->have, "\r\n\r\n", 4);

	if (!end)
		return 0;
	for (const char *line = c->in; line < end; line = (const char *)memchr(line, '\n', ANSWER_MAX) + 1) {
		if (strncasecmp(line, name, sizeof name - 1) == 0)
			return end + 4 - c->in + strtoll(line + sizeof name - 1, NULL, 10);
	}
	return -1;
}

static int receive(struct load *l, struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->have, sizeof c->in - c->have, 0);
	if (n <= 0)
		return fail(n == 0 ? "the server closed a connection" : "cannot receive");
	c->have += (size_t)n;
	int64_t size = answer_size(c);
	if (size < 0 || size > ANSWER_MAX || c->have < 12) {
		errno = EPROTO;
		return fail("an answer without a length, or too long");
	}
	if (size == 0 || (int64_t)c->have < size)
		return 0;
	l->took_us[c->request] = (uint32_t)(clock_mono_us() - c->sent_us);
	long status = strtol(c->in + 9, NULL, 10);
	l->statuses[status > 0 && status < STATUS_END ? status : 0]++;
	l->answered++;
	return send_next(l, c);
}

static int run(struct load *l)
{
	for (size_t i = 0; i < l->n_connections; i++) {
		if (send_next(l, &l->connections[i]))
			return 1;
	}
	while (l->answered < l->n_requests) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(l->epoll, events, EVENTS, 10000);
		if (n <= 0)
			return fail("no answer within ten seconds");
		for (int i = 0; i < n; i++) {
			if (receive(l, events[i].data.ptr))
				return 1;
		}
	}
	return 0;
}

/* ---- the figures ---- */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void tell(struct load *l, double seconds)
{
	qsort(l->took_us, l->n_requests, sizeof *l->took_us, by_value);
	(void)printf(
		"{\"answered\":%zu,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,"
		"\"statuses\":{",
		l->answered, seconds, (double)l->answered / seconds, l->took_us[l->n_requests / 2],
		l->took_us[l->n_requests - 1 - l->n_requests / 100], l->took_us[l->n_requests - 1]);
	const char *comma = "";
	for (int i = 0; i < STATUS_END; i++) {
		if (l->statuses[i] > 0) {
			(void)printf("%s\"%d\":%lld", comma, i, (long long)l->statuses[i]);
			comma = ",";
		}
	}
	(void)printf("}}\n");
}

int main(int argc, char **argv)
{
	struct load l = { 0 };
	int64_t n_connections, n_requests;

	if (argc < 8 || !num_i64(argv[2], &n_connections) || n_connections < 1 || n_connections > CONNECTIONS_MAX ||
	    !num_i64(argv[3], &n_requests) || n_requests < n_connections || n_requests > REQUESTS_MAX) {
		(void)fprintf(stderr, "usage: load ADDRESS:PORT CONNECTIONS REQUESTS METHOD ACTION BODY PATH...\n");
		return 64;
	}
	l = (struct load){ .connect = argv[1],
			   .n_connections = (size_t)n_connections,
			   .n_requests = (size_t)n_requests,
			   .method = argv[4],
			   .action = argv[5],
			   .body = argv[6],
			   .paths = argv + 7,
			   .n_paths = (size_t)argc - 7,
			   .epoll = epoll_create1(EPOLL_CLOEXEC) };
	if (strcmp(argv[7], "-") == 0)
		read_paths(&l);
	if (l.n_paths == 0 || make_requests(&l))
		return 1;
	l.connections = mem_array(l.n_connections, sizeof *l.connections);
	for (size_t i = 0; i < l.n_connections; i++) {
		if (open_connection(&l, &l.connections[i]))
			return 1;
	}
	int64_t began = clock_mono_us();
	if (run(&l))
		return 1;
	tell(&l, (double)(clock_mono_us() - began) / 1e6);
	return fflush(stdout) == 0 ? 0 : 1;
}
