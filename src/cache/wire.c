#include "cache/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"

enum {
	ANSWER_SIZE_MAX = 64 << 20,
	ELEMENTS_MAX = 1 << 20,
	QUEUE_SIZE_MAX = 64 << 20,
	SLICE_MS = 100, /* how often should_stop is asked while waiting */
	CONNECT_LIMIT_MS = 5000,
};

struct wire {
	redisContext *ctx;
	redisReplyObjectFunctions limited; /* hiredis' own, with a look at sizes first */
	void *(*make_array)(const redisReadTask *task, int n);
	struct buf queue;
	struct op op;
	size_t answer_size;
	bool is_dead, is_too_long;
	char where[CACHE_HOST_SIZE + 16];
};

/* This version of hiredis takes any length a peer announces and allocates for it. */
static void *make_limited_array(const redisReadTask *task, int n)
{
	struct wire *w = task->privdata;
	if (n > ELEMENTS_MAX) {
		w->is_too_long = true;
		return NULL;
	}
	return w->make_array(task, n);
}

static void limit_reader(struct wire *w)
{
	redisReader *r = w->ctx->reader;
	w->limited = *r->fn;
	w->make_array = r->fn->createArray;
	w->limited.createArray = make_limited_array;
	r->fn = &w->limited;
	r->privdata = w;
}

static enum rc connect_failed(const struct wire *w, struct err *err)
{
	const redisContext *ctx = w->ctx;
	const char *why = ctx ? ctx->errstr : "out of memory";

	if (ctx && ctx->err == REDIS_ERR_IO && (errno == ECONNREFUSED || strstr(why, "refused")))
		return err_set(err, RC_IO, "nobody listens at %s", w->where);
	if (ctx && ctx->err == REDIS_ERR_IO && (errno == ETIMEDOUT || strstr(why, "timed out")))
		return err_set(err, RC_TIMEOUT, "%s takes no connection in time", w->where);
	return err_set(err, RC_IO, "cannot connect to %s: %.150s", w->where, why);
}

static enum rc log_in(struct wire *w, const char *user, const char *secret, struct err *err)
{
	enum rc rc = wire_call(w, NULL, err, "AUTH", user, secret);
	if (rc == RC_CONFLICT) /* "called without any password configured", "unknown command": none of ours */
		return err_set(err, RC_DENIED, "%s knows no account of ours", w->where);
	return rc == RC_OK ? wire_call(w, NULL, err, "CLIENT", "SETNAME", user) : rc;
}

enum rc wire_open(const struct op *op, const char *host, int port, const char *user, const char *secret,
                  struct wire **out, struct err *err)
{
	enum rc rc = op_check(op, err);
	if (rc != RC_OK)
		return rc;
	struct wire *w = mem_new(struct wire);
	buf_init(&w->queue, QUEUE_SIZE_MAX);
	w->op = *op;
	(void)snprintf(w->where, sizeof w->where, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
	int64_t left = op_left_ms(op) < CONNECT_LIMIT_MS ? op_left_ms(op) + 1 : CONNECT_LIMIT_MS;
	struct timeval limit = { (time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000) };
	w->ctx = redisConnectWithTimeout(host, port, limit);
	if (!w->ctx || w->ctx->err) {
		rc = connect_failed(w, err);
		w->is_dead = true;
	} else {
		limit_reader(w);
		rc = user ? log_in(w, user, secret, err) : RC_OK;
	}
	if (rc == RC_OK)
		*out = w;
	else
		wire_close(w);
	return rc;
}

void wire_close(struct wire *w)
{
	if (!w)
		return;
	if (w->ctx)
		redisFree(w->ctx);
	if (w->queue.cap)
		mem_wipe(w->queue.bytes, w->queue.cap); /* it may have held a secret */
	buf_fini(&w->queue);
	mem_free(w);
}

void wire_closep(struct wire **w) { wire_close(*w); }
const char *wire_where(const struct wire *w) { return w->where; }

void reply_freep(redisReply **r)
{
	if (*r)
		freeReplyObject(*r);
	*r = NULL;
}

bool reply_is_text(const redisReply *r)
{
	return r && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS);
}

enum rc wire_odd(const struct wire *w, const char *command, struct err *err)
{
	return err_set(err, RC_CORRUPT, "%s answers %s in a way Redis does not", w->where, command);
}

void wire_add(struct wire *w, const char *const *argv, const size_t *lens, int argc)
{
	buf_addf(&w->queue, "*%d\r\n", argc);
	for (int i = 0; i < argc; i++) {
		size_t len = lens ? lens[i] : strlen(argv[i]);
		buf_addf(&w->queue, "$%zu\r\n", len);
		buf_add(&w->queue, argv[i], len);
		buf_adds(&w->queue, "\r\n");
	}
}

static enum rc die(struct wire *w, enum rc rc)
{
	w->is_dead = true;
	return rc;
}

/* Wait until the socket is ready for events, at most to end_mono's and the operation's end. */
static enum rc wait_ready(struct wire *w, short events, const struct op *call, struct err *err)
{
	struct pollfd p = { .fd = w->ctx->fd, .events = events };
	for (;;) {
		enum rc rc = op_check(call, NULL);
		if (rc != RC_OK && op_check(&w->op, err) == RC_OK)
			return err_set(err, RC_TIMEOUT, "no answer from %s in %d s", w->where, CALL_LIMIT_MS / 1000);
		if (rc != RC_OK)
			return err_wrap(err, rc, "no answer from %s", w->where);
		int64_t left = op_left_ms(call);
		int n = poll(&p, 1, left < SLICE_MS ? (int)left + 1 : SLICE_MS);
		if (n > 0)
			return RC_OK;
		if (n < 0 && errno != EINTR)
			return err_sys(err, RC_IO, errno, "cannot wait for %s", w->where);
	}
}

static enum rc flush(struct wire *w, const struct op *call, struct err *err)
{
	if (w->queue.is_over)
		return err_set(err, RC_LIMIT, "a command for %s is too long", w->where);
	for (size_t at = 0; at < w->queue.len;) {
		ssize_t n = send(w->ctx->fd, w->queue.bytes + at, w->queue.len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			at += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, RC_IO, errno, "the connection to %s broke", w->where);
		enum rc rc = wait_ready(w, POLLOUT, call, err);
		if (rc != RC_OK)
			return rc;
	}
	buf_reset(&w->queue);
	return RC_OK;
}

static enum rc read_failed(struct wire *w, struct err *err)
{
	const redisContext *ctx = w->ctx;
	if (w->is_too_long)
		return err_set(err, RC_LIMIT, "%s announces an answer of too many parts", w->where);
	if (ctx->err == REDIS_ERR_EOF)
		return err_set(err, RC_IO, "%s closed the connection", w->where);
	if (ctx->err == REDIS_ERR_PROTOCOL || ctx->reader->err)
		return err_set(err, RC_CORRUPT, "%s does not speak Redis' protocol", w->where);
	return err_set(err, RC_IO, "the connection to %s broke: %.150s", w->where, ctx->errstr);
}

/* Take what has arrived. */
static enum rc feed(struct wire *w, struct err *err)
{
	const redisReader *r = w->ctx->reader;
	size_t before = r->len - r->pos;

	if (redisBufferRead(w->ctx) != REDIS_OK)
		return read_failed(w, err);
	w->answer_size += r->len - r->pos - before;
	if (w->answer_size > ANSWER_SIZE_MAX)
		return err_set(err, RC_LIMIT, "an answer of %s is longer than %d MiB", w->where, ANSWER_SIZE_MAX >> 20);
	return RC_OK;
}

static enum rc next(struct wire *w, redisReply **out, struct err *err)
{
	struct op call = op_within(&w->op, CALL_LIMIT_MS);
	enum rc rc = flush(w, &call, err);
	void *reply = NULL;

	while (rc == RC_OK) {
		if (redisReaderGetReply(w->ctx->reader, &reply) != REDIS_OK)
			return read_failed(w, err);
		if (reply)
			break;
		rc = wait_ready(w, POLLIN, &call, err);
		if (rc == RC_OK)
			rc = feed(w, err);
	}
	if (rc == RC_OK)
		*out = reply;
	w->answer_size = 0;
	return rc;
}

enum rc wire_next(struct wire *w, redisReply **out, struct err *err)
{
	if (w->is_dead)
		return err_set(err, RC_IO, "the connection to %s is broken", w->where);
	enum rc rc = next(w, out, err);
	return rc == RC_OK ? rc : die(w, rc);
}

enum rc reply_error(const redisReply *r, const char *where, struct err *err)
{
	static const struct {
		const char *starts;
		enum rc rc;
	} known[] = {
		{ "LOADING", RC_BUSY },    { "BUSY ", RC_BUSY },
		{ "MASTERDOWN", RC_BUSY }, { "ERR max number of clients", RC_BUSY },
		{ "NOAUTH", RC_DENIED },   { "WRONGPASS", RC_DENIED },
		{ "NOPERM", RC_DENIED },   { "OOM", RC_LIMIT },
	};
	enum rc rc = RC_CONFLICT;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strncmp(r->str, known[i].starts, strlen(known[i].starts)) == 0)
			rc = known[i].rc;
	}
	/* The text is a peer's: one line of printable bytes. */
	char text[200];
	size_t n = r->len < sizeof text - 1 ? r->len : sizeof text - 1;
	for (size_t i = 0; i < n; i++)
		text[i] = r->str[i] < ' ' || r->str[i] > '~' ? '?' : r->str[i];
	text[n] = '\0';
	return err_set(err, rc, "Redis at %s says: %s", where, text);
}

enum rc wire_callv(struct wire *w, redisReply **out, struct err *err, const char *const *argv, int argc)
{
	redisReply *r = NULL;

	must(w->queue.len == 0);
	wire_add(w, argv, NULL, argc);
	enum rc rc = wire_next(w, &r, err);
	if (rc == RC_OK && r->type == REDIS_REPLY_ERROR)
		rc = reply_error(r, w->where, err);
	if (rc == RC_OK && out)
		*out = r;
	else
		reply_freep(&r);
	return rc;
}

/* ---- INFO ---- */

enum rc info_read(struct wire *w, struct buf *text, struct err *err, const char *section)
{
	CLEANUP(reply_freep) redisReply *r = NULL;
	enum rc rc = wire_call(w, &r, err, "INFO", section);
	if (rc != RC_OK)
		return rc;
	if (!reply_is_text(r))
		return wire_odd(w, "INFO", err);
	buf_reset(text);
	buf_add(text, r->str, r->len);
	return text->is_over ? err_set(err, RC_LIMIT, "INFO of %s is too long", w->where) : RC_OK;
}

/* The value of "name:value\r\n". */
static const char *info_find(const struct buf *text, const char *name, size_t *len)
{
	size_t name_len = strlen(name);
	for (const char *p = buf_text(text); *p; p += strspn(p, "\r\n")) {
		size_t line = strcspn(p, "\r\n");
		if (line > name_len && p[name_len] == ':' && memcmp(p, name, name_len) == 0) {
			*len = line - name_len - 1;
			return p + name_len + 1;
		}
		p += line;
	}
	return NULL;
}

bool info_text(const struct buf *text, const char *name, char *out, size_t size)
{
	size_t len;
	const char *value = info_find(text, name, &len);
	if (!value || len >= size)
		return false;
	memcpy(out, value, len);
	out[len] = '\0';
	return true;
}

int64_t info_int(const struct buf *text, const char *name, int64_t absent)
{
	size_t len;
	const char *value = info_find(text, name, &len);
	int64_t v;
	return value && num_i64_n(value, len, &v) ? v : absent;
}

double info_real(const struct buf *text, const char *name, double absent)
{
	size_t len;
	const char *value = info_find(text, name, &len);
	double v;
	return value && len < 64 && num_f64_n(value, len, &v) ? v : absent;
}

bool info_is(const struct buf *text, const char *name, const char *value)
{
	size_t len;
	const char *v = info_find(text, name, &len);
	return v && len == strlen(value) && memcmp(v, value, len) == 0;
}

/* The value of part in "name:a=1,b=2". */
static const char *part_find(const struct buf *text, const char *name, const char *part, size_t *len)
{
	size_t line, part_len = strlen(part);
	const char *p = info_find(text, name, &line), *end = p ? p + line : NULL;

	while (p && p < end) {
		size_t item = strcspn(p, ",\r\n");
		if (item > part_len && p[part_len] == '=' && memcmp(p, part, part_len) == 0) {
			*len = item - part_len - 1;
			return p + part_len + 1;
		}
		p += item + 1;
	}
	return NULL;
}

int64_t info_part(const struct buf *text, const char *name, const char *part, int64_t absent)
{
	size_t len;
	const char *value = part_find(text, name, part, &len);
	int64_t v;
	return value && num_i64_n(value, len, &v) ? v : absent;
}

bool info_part_is(const struct buf *text, const char *name, const char *part, const char *value)
{
	size_t len;
	const char *v = part_find(text, name, part, &len);
	return v && len == strlen(value) && memcmp(v, value, len) == 0;
}

bool info_next(const struct buf *text, const char *prefix, const char **at, char *name, size_t size)
{
	const char *p = *at ? *at : buf_text(text);

	for (; *p; p += strspn(p, "\r\n")) {
		size_t line = strcspn(p, "\r\n"), len = strcspn(p, ":\r\n");
		const char *from = p;
		p += line;
		if (len == line || len >= size || strncmp(from, prefix, strlen(prefix)) != 0)
			continue;
		memcpy(name, from, len);
		name[len] = '\0';
		*at = p;
		return true;
	}
	return false;
}

int64_t info_sum(const struct buf *text, const char *prefix, const char *part)
{
	const char *at = NULL;
	char name[64];
	int64_t sum = 0;

	while (info_next(text, prefix, &at, name, sizeof name))
		sum += info_part(text, name, part, 0);
	return sum;
}
