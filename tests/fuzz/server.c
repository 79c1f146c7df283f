#include "server.h"

#include <pthread.h>
#include <stdio.h>
#include "api/api.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "engine/engine.h"
#include "fuzz.h"
#include "os/file.h"

enum {
	ARENA_SIZE = 32 << 20,
	BODY_MAX = 64 << 20,
	PATIENCE_MS = 30000,
	WAIT_MS = 15,
	VALUES_MAX = 24,
	VALUE_SIZE = 80
};

/* ---- answers ---- */

/* One request and its answer. Made by server_call; freed there, or, if it waits, when the server is closed. */
struct exchange {
	struct http_req req; /* first: http_reply finds the exchange by it */
	bool is_done;
	int status;
	char content_type[80], request_id[64];
	struct buf body;
	json_t *json;
	char *texts[3]; /* method, target, body: borrowed by the request */
	struct exchange *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct exchange *last, *waiting;

const char *http_header_of(const struct http_req *req, const char *lower_name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (strcmp(req->headers[i].name, lower_name) == 0)
			return req->headers[i].value;
	return NULL;
}

void http_reply(struct http_req *req, const struct http_reply *reply)
{
	struct exchange *x = (struct exchange *)req;

	CHECK(reply->body_len == 0 || reply->content_type, "a body without a type");
	must(pthread_mutex_lock(&lock) == 0);
	CHECK(!x->is_done, "%s %s was answered twice", req->method, req->target);
	x->status = reply->status;
	snprintf(x->content_type, sizeof x->content_type, "%s", reply->content_type ? reply->content_type : "");
	for (size_t i = 0; i < reply->n_headers; i++)
		if (strstr(reply->headers[i].name, "request-id"))
			snprintf(x->request_id, sizeof x->request_id, "%s", reply->headers[i].value);
	buf_add(&x->body, reply->body, reply->body_len);
	x->is_done = true;
	must(pthread_cond_broadcast(&answered) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
}

/* There are no loops here: as of a server that has stopped. */
void http_run(struct http_req *req, void (*fn)(struct http_req *req)) { fn(req); }

void http_stats(const struct http_server *s, struct http_stats *out)
{
	(void)s;
	*out = (struct http_stats){ .connections = 1 };
}

static bool wait_for_answer(struct exchange *x, int64_t patience_ms)
{
	struct timespec until;
	int sys = 0;

	must(clock_gettime(CLOCK_REALTIME, &until) == 0);
	until.tv_sec += patience_ms / 1000;
	until.tv_nsec += patience_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	must(pthread_mutex_lock(&lock) == 0);
	while (!x->is_done && sys == 0)
		sys = pthread_cond_timedwait(&answered, &lock, &until);
	bool is_done = x->is_done;
	must(pthread_mutex_unlock(&lock) == 0);
	return is_done;
}

static void check_answer(struct exchange *x)
{
	const char *what = x->req.target;
	bool is_empty = x->status == 204 || strcmp(x->req.method, "HEAD") == 0 || !strstr(x->content_type, "json");

	CHECK(strcmp(x->request_id, x->req.id) == 0, "%s: id '%s'", what, x->request_id);
	CHECK(x->status >= 200 && x->status < 600, "%s: status %d", what, x->status);
	if (!is_empty) {
		json_error_t why;
		x->json = json_loadb(buf_text(&x->body), x->body.len, JSON_REJECT_DUPLICATES, &why);
		CHECK(x->json, "%s: %d, %s: '%s'", what, x->status, why.text, buf_text(&x->body));
	}
}

static void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	arena_free(x->req.arena);
	buf_fini(&x->body);
	json_decref(x->json);
	for (size_t i = 0; i < ARRAY_LEN(x->texts); i++)
		mem_free(x->texts[i]);
	mem_free(x);
}

/* ---- the server ---- */

static char root[64], data_dir[96], kept_dir[96], child[128];
static struct engine *engine;
static struct api *api;

static void join(char out[PATH_MAX], const char *dir, const char *name)
{
	struct err err = { 0 };
	CHECK(path_join(out, dir, name, &err) == RC_OK, "%s", err.msg);
}

void server_write(const char *name, const char *text, unsigned mode)
{
	char path[PATH_MAX];
	struct err err = { 0 };

	join(path, data_dir, name);
	*strrchr(path, '/') = '\0';
	CHECK(dir_make_unsynced(path, 0700, &err) == RC_OK, "%s", err.msg);
	join(path, data_dir, name);
	CHECK(file_write(path, text, strlen(text), mode, &err) == RC_OK, "%s", err.msg);
}

void server_start(int max_running)
{
	struct err err = { 0 };
	struct engine_config cfg = {
		.data_dir = data_dir, .self_exe = child, .max_running = max_running, .stop_grace_ms = 2000
	};

	CHECK(engine_open(&cfg, &engine, &err) == RC_OK, "%s", err.msg);
	struct api_config api_cfg = { .engine = engine, .threads = 1, .auth = AUTH_OFF, .nonces_max = 16 };
	CHECK(api_open(&api_cfg, &api, &err) == RC_OK, "%s", err.msg);
}

void server_stop(void)
{
	engine_close(engine); /* answers what waits */
	api_close(api);
	engine = NULL;
	api = NULL;
	exchange_free(last);
	last = NULL;
	while (waiting) {
		struct exchange *x = waiting;
		waiting = x->next;
		CHECK(x->is_done, "%s %s was never answered", x->req.method, x->req.target);
		check_answer(x);
		exchange_free(x);
	}
}

/* What makes the state: the database and the key. */
static void copy_state(const char *from, const char *to)
{
	static const char *const names[] = { "stint.db", "secret.key" };
	char path[PATH_MAX];
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buf bytes;
		buf_init(&bytes, 1 << 28);
		join(path, from, names[i]);
		CHECK(file_read(path, &bytes, &err) == RC_OK, "%s", err.msg);
		join(path, to, names[i]);
		CHECK(file_write(path, bytes.bytes, bytes.len, 0600, &err) == RC_OK, "%s", err.msg);
		buf_fini(&bytes);
	}
}

static void remove_root(void)
{
	if (engine)
		server_stop();
	if (dir_remove(root, NULL) != RC_OK)
		fprintf(stderr, "%s is left\n", root);
}

/* In memory where there is such a folder: every change is synced. */
static void make_folders(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err err = { 0 };

	if (access("/dev/shm", W_OK) == 0)
		tmp = "/dev/shm";
	snprintf(root, sizeof root, "%.40s/stint-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(root), "no temporary folder");
	CHECK(atexit(remove_root) == 0, "no clean-up");
	snprintf(data_dir, sizeof data_dir, "%s/data", root);
	snprintf(kept_dir, sizeof kept_dir, "%s/kept", root);
	snprintf(child, sizeof child, "%s/data/child", root);
	CHECK(dir_make_unsynced(data_dir, 0700, &err) == RC_OK && dir_make_unsynced(kept_dir, 0700, &err) == RC_OK,
	      "%s", err.msg);
}

bool server_turn(server_begin_fn *begin, int turn_size)
{
	static int turns_left;
	char path[PATH_MAX];
	struct err err = { 0 };

	if (!root[0]) {
		log_set_level(LOG_LEVEL_ERROR);
		make_folders();
		begin();
		copy_state(data_dir, kept_dir);
		server_start(0);
		turns_left = turn_size;
		return true;
	}
	if (--turns_left > 0)
		return false;
	turns_left = turn_size;
	server_stop();
	static const char *const rest[] = { "stint.db-wal", "stint.db-shm" };
	for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
		join(path, data_dir, rest[i]);
		CHECK(file_remove(path, &err) == RC_OK, "%s", err.msg);
	}
	copy_state(kept_dir, data_dir);
	server_start(0);
	return true;
}

/* ---- values ---- */

static struct {
	char name[32], value[VALUE_SIZE];
} values[VALUES_MAX];
static size_t n_values;

void server_define(const char *name, const char *value)
{
	size_t i = 0;

	while (i < n_values && strcmp(values[i].name, name) != 0)
		i++;
	if (strlen(name) >= sizeof values[0].name || strlen(value) >= VALUE_SIZE || i == VALUES_MAX)
		return;
	n_values = i == n_values ? n_values + 1 : n_values;
	memcpy(values[i].name, name, strlen(name) + 1);
	memcpy(values[i].value, value, strlen(value) + 1);
}

const char *server_value(const char *name)
{
	for (size_t i = 0; i < n_values; i++)
		if (strcmp(values[i].name, name) == 0)
			return values[i].value;
	return "";
}

/* Ids that an answer tells, wherever they stand in it. */
static void learn(const json_t *v)
{
	json_t *object = (json_t *)(uintptr_t)v, *member;
	const char *name;
	size_t i;

	json_object_foreach(object, name, member) {
		size_t len = strlen(name);
		bool is_id = len >= 2 && (strcmp(name + len - 2, "id") == 0 || strcmp(name + len - 2, "Id") == 0);
		if (json_is_string(member) && is_id && !strstr(name, "equest"))
			server_define(name, json_string_value(member));
		else if (!json_is_string(member))
			learn(member);
	}
	json_array_foreach(v, i, member)
		learn(member);
}

static char *fill_in(const char *text, size_t len, size_t *out_len)
{
	struct buf out;
	const char *end = text + len;

	buf_init(&out, len * VALUE_SIZE + 1);
	while (text < end) {
		const char *stop = *text == '@' ? memchr(text + 1, '@', (size_t)(end - text - 1)) : NULL;
		char name[32];
		if (stop && stop - text - 1 < (ptrdiff_t)sizeof name && stop > text + 1) {
			memcpy(name, text + 1, (size_t)(stop - text - 1));
			name[stop - text - 1] = '\0';
			buf_adds(&out, server_value(name));
			text = stop + 1;
		} else {
			buf_addc(&out, *text++);
		}
	}
	*out_len = out.len;
	return buf_take(&out);
}

/* ---- requests ---- */

/* As the http server gives it: of the body exactly its bytes and a NUL behind. */
static struct exchange *exchange_new(const char *method, const char *target, const char *body, size_t body_len)
{
	struct exchange *x = mem_new(struct exchange);
	const char *mark = strchr(target, '?');

	x->texts[0] = mem_dup(method);
	x->texts[1] = mem_dup(target);
	x->texts[2] = mem_dup_n(body ? body : "", body_len);
	x->req = (struct http_req){
		.method = x->texts[0],
		.target = x->texts[1],
		.body = body_len ? x->texts[2] : NULL,
		.body_len = body_len,
		.peer = "127.0.0.1",
		.start_us = clock_mono_us(),
		.arena = arena_new(ARENA_SIZE),
	};
	x->req.raw_path = mark ? arena_dup_n(x->req.arena, target, (size_t)(mark - target)) : x->texts[1];
	x->req.raw_query = mark ? x->texts[1] + (mark - target) + 1 : "";
	rand_uuid(x->req.id);
	buf_init(&x->body, BODY_MAX);
	return x;
}

const struct server_answer *server_call(const char *method, const char *target, const char *body, size_t body_len,
					bool may_wait)
{
	static struct server_answer answer;
	struct exchange *x = exchange_new(method, target, body, body_len);

	exchange_free(last);
	last = NULL;
	api_handle(api, &x->req);
	bool is_done = wait_for_answer(x, may_wait ? WAIT_MS : PATIENCE_MS);
	CHECK(is_done || may_wait, "%s %s was not answered", method, target);
	if (!is_done) {
		x->next = waiting;
		waiting = x;
		answer = (struct server_answer){ .is_waiting = true };
		return &answer;
	}
	last = x;
	check_answer(x);
	learn(x->json);
	answer = (struct server_answer){ false, x->status, x->content_type, buf_text(&x->body), x->body.len, x->json };
	return &answer;
}

bool server_is_idle(void)
{
	bool is_idle = true;

	must(pthread_mutex_lock(&lock) == 0);
	for (const struct exchange *x = waiting; x; x = x->next)
		is_idle = is_idle && x->is_done;
	must(pthread_mutex_unlock(&lock) == 0);
	return is_idle;
}

/* ---- scripts ---- */

/* Behind the next line "---", or the end. *len: what stands before it. */
static const char *next_part(const char *at, const char *end, size_t *len)
{
	static const char mark[] = "\n---\n";
	const char *found = memmem(at, (size_t)(end - at), mark, sizeof mark - 1);

	*len = (size_t)((found ? found : end) - at);
	return found ? found + sizeof mark - 1 : end;
}

/* As far as the http server lets a request through: a known method, no blank or control character in the target. */
static bool read_request(const char *part, size_t len, struct server_request *r)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
	const char *line_end = memchr(part, '\n', len), *blank = memchr(part, ' ', len);
	size_t line_len = line_end ? (size_t)(line_end - part) : len, filled;

	if (!blank || (size_t)(blank - part) >= line_len)
		return false;
	*r = (struct server_request){ .method = mem_dup_n(part, (size_t)(blank - part)) };
	r->target = fill_in(blank + 1, (size_t)(part + line_len - blank - 1), &filled);
	if (line_end)
		r->body = fill_in(line_end + 1, (size_t)(part + len - line_end - 1), &r->body_len);
	bool is_known = false, is_clean = r->target[0] == '/' && strlen(r->target) == filled;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		is_known |= strcmp(methods[i], r->method) == 0;
	for (const char *p = r->target; *p; p++)
		is_clean &= (unsigned char)*p > ' ' && *p != 0x7f;
	return is_known && is_clean;
}

void server_script(const uint8_t *data, size_t size, int max, void (*take)(const struct server_request *r))
{
	const char *at = size ? (const char *)data : "", *end = at + size;

	for (int n = 0; at < end && n < max; n++) {
		struct server_request r = { 0 };
		size_t len;
		const char *next = next_part(at, end, &len);
		if (read_request(at, len, &r))
			take(&r);
		mem_free(r.method);
		mem_free(r.target);
		mem_free(r.body);
		at = next;
	}
}
