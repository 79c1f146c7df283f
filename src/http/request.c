/*
 * request: the object a handler holds, and the rendering of its answer into bytes. Rendering runs in the thread that
 * calls http_reply, so that loop threads only write.
 */
#include "http/http_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "os/calls.h"

enum { REQUEST_MAGIC = 0x72657131, USUAL_HEAD_SIZE = 384 };

struct request *request_new(struct loop *l, struct conn *c, const char peer[INET6_ADDRSTRLEN])
{
	struct request *r = mem_new(struct request);
	r->magic = REQUEST_MAGIC;
	r->server = l->server;
	r->loop = l;
	r->conn = c;
	memcpy(r->peer, peer, sizeof(r->peer));
	buf_init(&r->body, l->server->cfg.limits.body_max);
	buf_init(&r->out, REPLY_MAX);
	r->file_fd = -1;
	r->pub = (struct http_req){
		.method = "", .target = "", .raw_path = "", .raw_query = "", .peer = r->peer,
		.is_tls = l->server->tls != NULL, .loop = l->index, .start_us = clock_mono_us(),
		.arena = arena_new(REQUEST_ARENA_MAX),
	};
	rand_uuid(r->pub.id);
	server_ref(r->server);
	return r;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	must(r->magic == REQUEST_MAGIC);
	must(!r->conn);
	r->magic = 0;
	struct http_server *s = r->server;
	atomic_fetch_sub(&s->bodies_size, (int64_t)r->charged_size);
	arena_free(r->pub.arena);
	buf_fini(&r->body);
	buf_fini(&r->out);
	if (r->file_fd >= 0)
		(void)os.close(r->file_fd); /* opened for reading: nothing to lose */
	mem_free(r->file_slice);
	mem_free(r);
	server_unref(s);
}

bool request_charge(struct request *r)
{
	int64_t more = (int64_t)(r->body.len - r->charged_size);
	r->charged_size = r->body.len;
	int64_t total = atomic_fetch_add(&r->server->bodies_size, more) + more;
	return total <= 0 || (uint64_t)(total - 1) / BODIES_MAX < r->server->cfg.limits.body_max;
}

/* ---- rendering ---- */

static const char *reason_of(int status)
{
	static const struct { int status; const char *words; } table[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 406, "Not Acceptable" },
		{ 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" },
		{ 412, "Precondition Failed" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" }, { 417, "Expectation Failed" }, { 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].status == status)
			return table[i].words;
	return "Unknown";
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", made once per second and thread. */
static const char *date_text(void)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	static _Thread_local time_t made_s;
	static _Thread_local char text[64];
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;
	if ((now != made_s || !text[0]) && gmtime_r(&now, &tm)) {
		(void)snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
			       months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
		made_s = now;
	}
	return text;
}

/* Nor a blank or a colon, as names go. */
static bool is_name(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == ':')
			return false;
	return *text != '\0';
}

static bool has_control(const char *text)
{
	for (const char *p = text; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return true;
	return false;
}

/* Headers that the server itself decides on. */
static bool is_own_header(const char *name)
{
	static const char *const own[] = { "connection", "content-length", "content-type", "date",
					   "server", "transfer-encoding" };
	if (name[0] == 'x' || name[0] == 'X') /* nearly all others */
		return false;
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcasecmp(name, own[i]) == 0)
			return true;
	return false;
}

/* A value may come from a client. One that would split the answer is left out, and the log says so. */
static void add_header(struct request *r, const char *name, const char *value)
{
	if (!is_name(name) || has_control(value)) {
		log_warn("http.header_dropped", "request=%s name_len=%zu", r->pub.id, strlen(name));
		return;
	}
	buf_adds(&r->out, name);
	buf_add(&r->out, ": ", 2);
	buf_adds(&r->out, value);
	buf_add(&r->out, "\r\n", 2);
}

static bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

static void render_head(struct request *r, const struct http_reply *reply)
{
	buf_adds(&r->out, "HTTP/1.1 ");
	buf_addi(&r->out, reply->status);
	buf_addc(&r->out, ' ');
	buf_adds(&r->out, reason_of(reply->status));
	buf_adds(&r->out, "\r\ndate: ");
	buf_adds(&r->out, date_text());
	buf_adds(&r->out, r->is_kept_alive ? "\r\nserver: stint\r\nconnection: keep-alive\r\n"
					   : "\r\nserver: stint\r\nconnection: close\r\n");
	if (may_have_body(reply->status)) {
		buf_adds(&r->out, "content-length: ");
		buf_addi(&r->out, reply->file ? (int64_t)reply->file->size : (int64_t)reply->body_len);
		buf_adds(&r->out, "\r\n");
	}
	if (reply->body_len || reply->file)
		add_header(r, "content-type", reply->content_type ? reply->content_type : "application/octet-stream");
	for (size_t i = 0; i < reply->n_headers; i++)
		if (!is_own_header(reply->headers[i].name))
			add_header(r, reply->headers[i].name, reply->headers[i].value);
	buf_add(&r->out, "\r\n", 2);
}

void request_render(struct request *r, const struct http_reply *reply)
{
	must(reply->status >= 200);
	must(reply->status <= 999);
	must(!reply->body_len || reply->body);
	must(!reply->body_len || !reply->file);
	must(reply->body_len < REPLY_MAX / 2);
	if (atomic_load(&r->server->is_stopping))
		r->is_kept_alive = false;
	buf_reserve(&r->out, USUAL_HEAD_SIZE + reply->body_len); /* one allocation */
	render_head(r, reply);
	bool sends_body = may_have_body(reply->status) && strcmp(r->pub.method, "HEAD") != 0;
	if (sends_body)
		buf_add(&r->out, reply->body, reply->body_len);
	must(!r->out.is_over);
	if (!reply->file)
		return;
	r->file_fd = reply->file->fd;
	r->file_left = sends_body ? reply->file->size : 0;
}

size_t request_read_file(struct request *r)
{
	size_t want = r->file_left < FILE_SLICE ? (size_t)r->file_left : FILE_SLICE;
	ssize_t n;

	if (!r->file_slice)
		r->file_slice = mem_array(FILE_SLICE, 1);
	do
		n = os.read(r->file_fd, r->file_slice, want);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	r->file_left -= n;
	return (size_t)n;
}

const char *http_header_of(const struct http_req *req, const char *lower_name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (strcmp(req->headers[i].name, lower_name) == 0)
			return req->headers[i].value;
	return NULL;
}

/* Hand it to its loop; false: that has ended, and the request is still ours. The server stays until we are done with
 * it: once posted, r may be freed at any moment, and with it the last other reference. */
static bool post(struct request *r, enum message_kind kind)
{
	struct http_server *s = r->server;

	server_ref(s);
	r->message.kind = kind;
	bool is_posted = loop_post(r->loop, &r->message);
	server_unref(s);
	return is_posted;
}

void http_reply(struct http_req *req, const struct http_reply *reply)
{
	struct request *r = (struct request *)req;
	must(r->magic == REQUEST_MAGIC);
	must(!atomic_exchange(&r->is_replied, true));
	request_render(r, reply);
	if (loop_is_here(r->loop))
		conn_answer(r);
	else if (!post(r, MESSAGE_REPLIED))
		request_free(r);
}

void request_run(struct request *r)
{
	must(r->magic == REQUEST_MAGIC);
	r->run(&r->pub);
}

void http_run(struct http_req *req, void (*fn)(struct http_req *req))
{
	struct request *r = (struct request *)req;
	must(r->magic == REQUEST_MAGIC);
	must(!atomic_load(&r->is_replied));
	r->run = fn;
	if (!post(r, MESSAGE_RUN))
		fn(req);
}
