#include "dialect.h"

#include <pthread.h>
#include <unistd.h>
#include "api/router.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/rand.h"
#include "engine/keys.h"
#include "os/file.h"

/* ---- the http server, as far as a dialect sees it ---- */

struct seen seen;

static struct {
	char name[64], value[256];
} kept[HEADERS_MAX];
static size_t n_kept;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static bool is_answered;

const char *http_header_of(const struct http_req *req, const char *lower_name)
{
	for (size_t i = 0; i < req->n_headers; i++) {
		if (strcmp(req->headers[i].name, lower_name) == 0)
			return req->headers[i].value;
	}
	return NULL;
}

static void keep_headers(const struct http_reply *reply)
{
	must(reply->n_headers <= HEADERS_MAX);
	n_kept = reply->n_headers;
	for (size_t i = 0; i < n_kept; i++) {
		(void)snprintf(kept[i].name, sizeof kept[i].name, "%s", reply->headers[i].name);
		(void)snprintf(kept[i].value, sizeof kept[i].value, "%s", reply->headers[i].value);
	}
}

static void keep_file(const struct http_file *file)
{
	char part[4096];

	for (ssize_t n = read(file->fd, part, sizeof part); n > 0; n = read(file->fd, part, sizeof part))
		buf_add(&seen.body, part, (size_t)n);
	EXPECT((int64_t)seen.body.len == file->size, "%zu bytes of %lld", seen.body.len, (long long)file->size);
	(void)close(file->fd);
}

static void keep_bytes(const struct http_reply *reply)
{
	seen.status = reply->status;
	(void)snprintf(seen.content_type, sizeof seen.content_type, "%s", reply->content_type);
	keep_headers(reply);
	buf_fini(&seen.body);
	buf_init(&seen.body, 64 << 20);
	buf_add(&seen.body, reply->body, reply->body_len);
	if (reply->file)
		keep_file(reply->file);
}

static void read_body(void)
{
	json_decref(seen.json);
	seen.json = json_loadb(buf_text(&seen.body), seen.body.len, 0, NULL);
}

void seen_keep(const struct http_reply *reply)
{
	keep_bytes(reply);
	read_body();
}

void http_reply(struct http_req *req, const struct http_reply *reply)
{
	(void)req;
	must(pthread_mutex_lock(&lock) == 0);
	keep_bytes(reply);
	must(!is_answered);
	is_answered = true;
	must(pthread_cond_signal(&answered) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
}

/* There are no loops here: as of a server that has stopped. */
void http_run(struct http_req *req, void (*fn)(struct http_req *req)) { fn(req); }

void http_stats(const struct http_server *s, struct http_stats *out)
{
	(void)s;
	*out = (struct http_stats){ .connections = 3, .accepted = 5, .refused = 1 };
}

/* ---- the last answer ---- */

const char *seen_header(const char *lower_name)
{
	for (size_t i = 0; i < n_kept; i++) {
		if (strcmp(kept[i].name, lower_name) == 0)
			return kept[i].value;
	}
	return "";
}

const json_t *value_at(const char *place)
{
	char name[128];
	const json_t *v = seen.json;

	for (const char *p = place; *p && v;) {
		size_t len = strcspn(p, "/");
		(void)snprintf(name, sizeof name, "%.*s", (int)len, p);
		v = json_is_array(v) ? json_array_get(v, (size_t)strtoul(name, NULL, 10)) : json_object_get(v, name);
		p += len + (p[len] == '/');
	}
	return v;
}

const char *at(const char *place)
{
	static char text[8][8192];
	static unsigned turn;
	char *out = text[turn++ % 8];
	const json_t *v = value_at(place);

	if (!v)
		return "-";
	if (json_is_string(v)) {
		(void)snprintf(out, sizeof text[0], "%s", json_string_value(v));
		return out;
	}
	size_t len = json_dumpb(v, out, sizeof text[0] - 1, JSON_COMPACT | JSON_ENCODE_ANY);
	out[len < sizeof text[0] ? len : sizeof text[0] - 1] = '\0';
	return out;
}

/* ---- the server ---- */

char data_dir[4096], child[4200];
struct engine *engine;
struct api *api;
char key_id[64], key_secret[64], key_project[64];

static const char *id_header;

void dialect_make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(data_dir, sizeof data_dir, "%s/stint-dialect-XXXXXX", tmp ? tmp : "/tmp");
	EXPECT(mkdtemp(data_dir), "temporary folder");
	(void)snprintf(child, sizeof child, "%s/child", data_dir);
}

void dialect_start(const struct dialect_setup *setup)
{
	struct err err = { 0 };
	struct engine_config engine_cfg = { .data_dir = data_dir,
					    .self_exe = child,
					    .max_running = setup->max_running,
					    .stop_grace_ms = 2000,
					    .look_every_ms = setup->look_every_ms };

	EXPECT(engine_open(&engine_cfg, &engine, &err) == RC_OK, "%s", err.msg);
	must(engine);
	struct api_config cfg = {
		.engine = engine, .threads = setup->threads, .auth = setup->auth, .nonces_max = 1000
	};
	EXPECT(api_open(&cfg, &api, &err) == RC_OK, "%s", err.msg);
	id_header = setup->id_header;
}

void dialect_stop(void)
{
	api_close(api);
	engine_close(engine);
	api = NULL;
	engine = NULL;
}

void dialect_end(void)
{
	dialect_stop();
	json_decref(seen.json);
	seen.json = NULL;
	buf_fini(&seen.body);
	EXPECT(dir_remove(data_dir, NULL) == RC_OK, "clean up");
}

void write_file(const char *path, const char *text, unsigned mode)
{
	char full[4200];
	struct err err = { 0 };

	(void)snprintf(full, sizeof full, "%s%s%s", *path == '/' ? "" : data_dir, *path == '/' ? "" : "/", path);
	EXPECT(file_replace(full, text, strlen(text), mode, &err) == RC_OK, "%s", err.msg);
}

void make_key(const char *account)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(1 << 20);
	struct keyring *keys = NULL;
	struct store *s = NULL;
	struct access_key key = { .id = "" };
	char path[4200];
	struct err err = { 0 };

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	EXPECT(keyring_open(data_dir, &keys, &err) == RC_OK, "%s", err.msg);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, &err) == RC_OK, "%s", err.msg);
	EXPECT(keyring_create(keys, s, account, "tester", a, &key, &err) == RC_OK, "%s", err.msg);
	(void)snprintf(key_id, sizeof key_id, "%s", key.id);
	(void)snprintf(key_secret, sizeof key_secret, "%s", key.secret);
	(void)snprintf(key_project, sizeof key_project, "%s", key.project_id);
	store_close(s);
	keyring_free(keys);
}

/* ---- requests ---- */

size_t request_memory = 16 << 20;
void (*dialect_watch)(bool begins);

int send_request(const struct request *r)
{
	struct arena *a = arena_new(request_memory);
	const char *mark = strchr(r->target, '?');
	struct http_req req = {
		.method = r->method,
		.target = r->target,
		.raw_path = mark ? arena_dup_n(a, r->target, (size_t)(mark - r->target)) : r->target,
		.raw_query = mark ? mark + 1 : "",
		.headers = r->headers,
		.n_headers = r->n_headers,
		.body = r->body,
		.body_len = r->body ? strlen(r->body) : 0,
		.peer = "127.0.0.1",
		.loop = r->loop,
		.start_us = clock_mono_us(),
		.arena = a,
	};
	rand_uuid(req.id);
	is_answered = false;
	if (dialect_watch)
		dialect_watch(/* begins= */ true);
	api_handle(api, &req);
	must(pthread_mutex_lock(&lock) == 0);
	while (!is_answered)
		must(pthread_cond_wait(&answered, &lock) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
	if (dialect_watch)
		dialect_watch(/* begins= */ false);
	read_body();
	EXPECT(!id_header || strcmp(seen_header(id_header), req.id) == 0, "%s %s: header says '%s'", r->method,
	       r->target, seen_header(id_header));
	arena_free(a);
	return seen.status;
}

bool poll_until(const char *target, const char *place, const char *value)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	const struct request r = { .method = "GET", .target = target };
	int64_t give_up = clock_mono_ms() + 30000;

	while (send_request(&r) == 200 && strcmp(at(place), value) != 0 && clock_mono_ms() < give_up)
		(void)nanosleep(&pause, NULL);
	EXPECT(strcmp(at(place), value) == 0, "%s: %s stayed %s", target, place, at(place));
	return strcmp(at(place), value) == 0;
}

void check_routes(const struct route *routes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		EXPECT(*routes[i].operation && routes[i].handle, "row %zu", i);
		EXPECT((routes[i].access == ROUTE_OPEN) == (*routes[i].action == '\0'), "%s: action '%s'",
		       routes[i].operation, routes[i].action);
		for (size_t k = 0; k < i; k++)
			EXPECT(strcmp(routes[i].path, routes[k].path) != 0 ||
			               strcmp(routes[i].method, routes[k].method) != 0,
			       "%s is twice in the table", routes[i].path);
	}
}
