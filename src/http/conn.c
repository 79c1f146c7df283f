/*
 * conn: one client connection, from accept to close. Everything here runs on the connection's loop thread (H1).
 *
 *   (open)-> HANDSHAKE -> IDLE -> HEAD -> BODY -> HANDLING -> WRITING -+-> IDLE          (kept alive)
 *                          |       |       |                   ^       +-> LINGER -> CLOSING
 *                          |       +-------+---- fault() ------+
 *                          +-> CLOSING (idle for too long)
 *
 *  start_reading: to IDLE      read_head: IDLE to HEAD to BODY      dispatch: to HANDLING      send_slice: to WRITING
 *  finish: from WRITING        conn_close: to CLOSING; on_closed frees
 *
 * While a handler has the request nothing is read: a client that sends ahead is held back by its own TCP window, and
 * one that only closed its sending side still gets its answer. A client that went away is noticed when the
 * answer is written.
 */
#include "http/http_priv.h"

#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"

enum { CONN_MAGIC = 0x636f6e31 };

static void on_read(h2o_socket_t *sock, const char *error);
static void advance(struct conn *c);

static struct conn *conn_of(h2o_socket_t *sock)
{
	struct conn *c = sock->data;
	must(c->magic == CONN_MAGIC);
	return c;
}

/* ---- timer ---- */

static void timer_stop(struct conn *c)
{
	if (h2o_linklist_is_linked(&c->timer))
		h2o_linklist_unlink(&c->timer);
}

static void timer_start(struct conn *c, enum timer_kind kind)
{
	timer_stop(c);
	c->deadline_ms = clock_mono_ms() + c->loop->server->timeout_ms[kind];
	h2o_linklist_insert(&c->loop->timers[kind], &c->timer);
}

/* ---- the end ---- */

static void on_closed(void *data)
{
	struct conn *c = data;
	must(c->magic == CONN_MAGIC);
	timer_stop(c);
	h2o_linklist_unlink(&c->link);
	atomic_fetch_sub(&c->loop->n_conns, 1);
	atomic_fetch_sub(&c->loop->server->n_conns, 1);
	c->magic = 0;
	mem_free(c);
}

/* Part with the request. Whoever answers it later frees it; if nobody will, it goes now. */
static void drop_request(struct conn *c)
{
	struct request *r = c->req;
	if (!r)
		return;
	c->req = NULL;
	r->conn = NULL;
	if (c->state != CONN_HANDLING)
		request_free(r);
}

/* c may be gone on return: plain sockets close at once, TLS ones after their farewell is written. */
static void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSING)
		return;
	drop_request(c);
	c->state = CONN_CLOSING;
	timer_start(c, TIMER_LINGER);
	h2o_socket_close(c->sock);
}

void conn_abort(struct conn *c)
{
	(void)shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR); /* so that no write of a farewell can block */
	conn_close(c);
}

static void linger(struct conn *c)
{
	c->state = CONN_LINGER;
	timer_start(c, TIMER_LINGER);
	if (!c->sock->ssl)
		(void)shutdown(h2o_socket_get_fd(c->sock), SHUT_WR);
	h2o_buffer_consume(&c->sock->input, c->sock->input->size);
	h2o_socket_read_start(c->sock, on_read);
}

/* ---- answering ---- */

static void start_reading(struct conn *c)
{
	c->state = CONN_IDLE;
	c->scan = (struct head_scan){ 0 };
	timer_start(c, c->was_used ? TIMER_IDLE : TIMER_REQUEST);
	h2o_socket_read_start(c->sock, on_read);
	advance(c); /* a pipelined request may be here already */
}

static void finish(struct conn *c)
{
	bool is_kept_alive = c->req->is_kept_alive && !c->loop->is_draining;
	drop_request(c);
	c->was_used = true;
	if (is_kept_alive)
		start_reading(c);
	else if (c->sock->ssl && !c->is_refused && c->sock->input->size == 0)
		conn_close(c); /* the farewell of TLS tells the client that this was all */
	else
		linger(c);
}

static void on_written(h2o_socket_t *sock, const char *error);

static void send_slice(struct conn *c)
{
	struct buf *out = &c->req->out;
	size_t left = out->len - c->n_sent;
	h2o_iovec_t slice = { .base = out->bytes + c->n_sent, .len = left < WRITE_SLICE ? left : WRITE_SLICE };
	c->state = CONN_WRITING;
	timer_start(c, TIMER_WRITE);
	c->n_sent += slice.len;
	h2o_socket_write(c->sock, &slice, 1, on_written);
}

/* The head promised more than the file has: only the end of the connection tells the client. */
static void send_file_slice(struct conn *c)
{
	h2o_iovec_t slice = { .len = request_read_file(c->req) };
	if (slice.len == 0) {
		log_warn("http.file_short", "request=%s missing=%lld", c->req->pub.id, (long long)c->req->file_left);
		conn_abort(c);
		return;
	}
	slice.base = c->req->file_slice;
	timer_start(c, TIMER_WRITE);
	h2o_socket_write(c->sock, &slice, 1, on_written);
}

static void on_written(h2o_socket_t *sock, const char *error)
{
	struct conn *c = conn_of(sock);
	if (error)
		conn_close(c);
	else if (c->n_sent < c->req->out.len)
		send_slice(c);
	else if (c->req->file_left > 0)
		send_file_slice(c);
	else
		finish(c);
}

/* A rendered answer goes out, unless "100 Continue" is still going: on_continue_written then comes back here (H4). */
static void send_answer(struct conn *c)
{
	c->n_sent = 0;
	c->state = CONN_WRITING;
	timer_start(c, TIMER_WRITE);
	if (!c->is_telling_continue)
		send_slice(c);
}

void conn_answer(struct request *r)
{
	if (!r->conn) {
		request_free(r);
		return;
	}
	must(r->conn->req == r);
	must(r->conn->state == CONN_HANDLING);
	send_answer(r->conn);
}

/* The server's own refusal, in the caller's words. The connection ends with it: where the next request would begin is
 * not known for sure. */
static void fault(struct conn *c, int status, const char *why)
{
	struct http_config *cfg = &c->loop->server->cfg;
	h2o_socket_read_stop(c->sock);
	if (!c->req)
		c->req = request_new(c->loop, c, c->peer);
	struct request *r = c->req;
	if (!*r->pub.raw_path)
		r->pub.raw_path = head_peek_path(r->pub.arena, c->sock->input->bytes, c->sock->input->size);
	c->is_refused = true;
	r->is_kept_alive = false;
	struct http_reply reply = { 0 };
	cfg->on_fault(cfg->ctx, &r->pub, status, why, &reply);
	if (reply.status < 200 || reply.status > 999)
		reply.status = status;
	if (!reply.body_len) {
		reply.content_type = "application/json";
		reply.body = arena_printf(r->pub.arena, "{\"message\":\"%s\"}", why);
		reply.body_len = reply.body ? strlen(reply.body) : 0;
	}
	atomic_store(&r->is_replied, true);
	request_render(r, &reply);
	send_answer(c);
}

/* ---- reading ---- */

static void dispatch(struct conn *c)
{
	struct request *r = c->req;
	struct http_config *cfg = &c->loop->server->cfg;
	h2o_socket_read_stop(c->sock);
	timer_stop(c);
	c->state = CONN_HANDLING;
	r->pub.body = r->body.len ? r->body.bytes : NULL;
	r->pub.body_len = r->body.len;
	r->pub.start_us = clock_mono_us();
	cfg->handler(cfg->ctx, &r->pub);
	/* r may be answered by now, and c be writing; nothing of either is touched here. */
}

static void on_continue_written(h2o_socket_t *sock, const char *error)
{
	struct conn *c = conn_of(sock);
	c->is_telling_continue = false;
	if (error)
		conn_close(c);
	else if (c->state == CONN_WRITING)
		send_slice(c);
}

static void tell_continue(struct conn *c)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	h2o_iovec_t line = { .base = text, .len = sizeof(text) - 1 };
	c->is_telling_continue = true;
	h2o_socket_write(c->sock, &line, 1, on_continue_written);
}

static const char no_room[] = "the server holds too many request bodies";

static void read_chunked(struct conn *c)
{
	struct request *r = c->req;
	size_t used = 0;
	enum chunk_result result =
		chunk_decode(&r->chunk, c->sock->input->bytes, c->sock->input->size, &r->body, &used);
	h2o_buffer_consume(&c->sock->input, used);
	if (!request_charge(r)) {
		fault(c, 503, no_room);
		return;
	}
	switch (result) {
	case CHUNK_MORE: break;
	case CHUNK_DONE: dispatch(c); break;
	case CHUNK_BAD: fault(c, 400, "the chunked body is malformed"); break;
	case CHUNK_TOO_LARGE: fault(c, 413, "the request body is too large"); break;
	}
}

static void read_counted(struct conn *c)
{
	struct request *r = c->req;
	size_t left = (size_t)r->head.content_length - r->body.len;
	size_t n = c->sock->input->size < left ? c->sock->input->size : left;
	buf_add(&r->body, c->sock->input->bytes, n);
	h2o_buffer_consume(&c->sock->input, n);
	if (!request_charge(r))
		fault(c, 503, no_room);
	else if (n == left)
		dispatch(c);
}

static void read_body(struct conn *c)
{
	if (c->req->head.is_chunked)
		read_chunked(c);
	else
		read_counted(c);
}

static void show_head(struct request *r)
{
	const struct head *h = &r->head;
	r->is_kept_alive = h->is_keep_alive;
	r->pub.method = h->method;
	r->pub.target = h->target;
	r->pub.raw_path = h->raw_path;
	r->pub.raw_query = h->raw_query;
	r->pub.headers = h->headers;
	r->pub.n_headers = h->n_headers;
}

/* The head has arrived in full. */
static void begin_request(struct conn *c)
{
	struct head_fault f;
	struct request *r = c->req = request_new(c->loop, c, c->peer);
	if (!head_parse(&r->head, r->pub.arena, c->sock->input->bytes, c->scan.seen, &f)) {
		fault(c, f.status, f.why);
		return;
	}
	h2o_buffer_consume(&c->sock->input, c->scan.seen);
	show_head(r);
	if (r->head.content_length > c->loop->server->cfg.limits.body_max) {
		fault(c, 413, "the request body is too large");
		return;
	}
	if (!r->head.is_chunked && r->head.content_length == 0) {
		dispatch(c);
		return;
	}
	c->state = CONN_BODY;
	if (c->sock->input->size > 0)
		read_body(c);
	else if (r->head.expects_continue)
		tell_continue(c);
}

/* RFC 9112, 2.2: empty lines before a request line are skipped. */
static void skip_empty_lines(struct conn *c)
{
	h2o_buffer_t *in = c->sock->input;
	size_t n = 0;
	while (n + 1 < in->size && in->bytes[n] == '\r' && in->bytes[n + 1] == '\n')
		n += 2;
	if (n)
		h2o_buffer_consume(&c->sock->input, n);
}

static void read_head(struct conn *c)
{
	struct head_fault f;
	if (c->scan.seen == 0)
		skip_empty_lines(c);
	h2o_buffer_t *in = c->sock->input;
	bool is_empty = in->size == 0 || (in->size == 1 && in->bytes[0] == '\r');
	if (is_empty)
		return;
	if (c->state == CONN_IDLE) {
		c->state = CONN_HEAD;
		timer_start(c, TIMER_REQUEST); /* from its first byte the request has this long, slow senders or not */
	}
	switch (head_scan(&c->scan, in->bytes, in->size, &f)) {
	case HEAD_MORE: break;
	case HEAD_DONE: begin_request(c); break;
	case HEAD_BAD: fault(c, f.status, f.why); break;
	}
}

static void advance(struct conn *c)
{
	switch (c->state) {
	case CONN_IDLE:
	case CONN_HEAD: read_head(c); break;
	case CONN_BODY: read_body(c); break;
	case CONN_LINGER: h2o_buffer_consume(&c->sock->input, c->sock->input->size); break;
	case CONN_HANDSHAKE:
	case CONN_HANDLING:
	case CONN_WRITING:
	case CONN_CLOSING: must(false); /* reading is stopped in these */
	}
}

/* The client sends no more. In the middle of a request it may still listen, so it is told. */
static void on_read_error(struct conn *c, const char *error)
{
	bool is_cut = (c->state == CONN_HEAD || c->state == CONN_BODY) && error == h2o_socket_error_closed;
	if (is_cut)
		fault(c, 400, "the request ends in the middle");
	else
		conn_close(c);
}

static void on_read(h2o_socket_t *sock, const char *error)
{
	struct conn *c = conn_of(sock);
	if (error)
		on_read_error(c, error);
	else
		advance(c);
}

/* ---- from outside ---- */

void conn_expire(struct conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
	case CONN_BODY: fault(c, 408, "the request did not arrive in time"); break;
	case CONN_IDLE: conn_close(c); break;
	case CONN_HANDSHAKE:
	case CONN_HANDLING:
	case CONN_WRITING:
	case CONN_LINGER: conn_abort(c); break;
	case CONN_CLOSING: /* its farewell does not get through */
		(void)shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
		break;
	}
}

void conn_drain(struct conn *c)
{
	if (c->state == CONN_IDLE || c->state == CONN_HANDSHAKE)
		conn_close(c);
}

static void start_serving(struct conn *c)
{
	if (c->is_refused)
		fault(c, 503, "the server has too many connections");
	else
		start_reading(c);
}

static void on_handshake(h2o_socket_t *sock, const char *error)
{
	struct conn *c = conn_of(sock);
	if (error || c->loop->is_draining)
		conn_close(c);
	else
		start_serving(c);
}

void conn_open(struct loop *l, int fd, const char *peer, bool is_refused)
{
	struct conn *c = mem_new(struct conn);
	c->magic = CONN_MAGIC;
	c->loop = l;
	c->is_refused = is_refused;
	(void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
	h2o_linklist_insert(&l->conns, &c->link);
	c->sock = h2o_evloop_socket_create(l->ev, fd, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
	c->sock->data = c;
	c->sock->on_close.cb = on_closed;
	c->sock->on_close.data = c;
	if (!l->server->tls) {
		start_serving(c);
		return;
	}
	c->state = CONN_HANDSHAKE;
	timer_start(c, TIMER_REQUEST);
	h2o_socket_ssl_handshake(c->sock, l->server->tls, NULL, on_handshake);
}
