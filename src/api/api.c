/*
 * The way of a request: find its dialect by the path, its route, authenticate, read the query, let the route's handler
 * answer. What differs between the clouds on this way is in struct dialect.
 * Authentication comes before "no such path" wherever signed operations live, so that an unsigned caller learns
 * nothing about what is there; open routes (health, metrics) need no key.
 */
#include "api/api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "api/dialect.h"
#include "api/opensearch/answer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { NONCES_MAX = 1000000 };

/* A loop thread's own; no other thread looks at it before api_close. */
struct loop {
	struct engine_view *view;
	bool is_spoiled;
	bool is_reading; /* between engine_view_begin and _end */
};

struct api {
	struct engine *engine;
	enum auth_mode auth;
	int n_loops;
	struct loop *loops;
	struct nonces *nonces;
	struct figures *figures;
	struct route_index *opensearch_routes, *dcs_routes;
	_Atomic(const struct http_server *) server;
	atomic_bool is_draining;
	pthread_mutex_t lock;      /* owed */
	pthread_cond_t settled;
	int64_t owed;              /* changes submitted and not answered yet */
};

/* Of the operations of all dialects. */
static struct figures *new_figures(void)
{
	size_t n, n_dcs;
	const struct route *routes = opensearch_dialect.routes(&n), *dcs = dcs_dialect.routes(&n_dcs);
	struct route *all = mem_array(n + n_dcs, sizeof *all);

	memcpy(all, routes, n * sizeof *all);
	memcpy(all + n, dcs, n_dcs * sizeof *all);
	struct figures *figures = figures_new(all, n + n_dcs);
	mem_free(all);
	return figures;
}

static struct route_index *new_index(const struct dialect *dialect)
{
	size_t n;
	const struct route *routes = dialect->routes(&n);
	return route_index_new(routes, n);
}

enum rc api_open(const struct api_config *cfg, struct api **out, struct err *err)
{
	if (cfg->threads < 1)
		return err_set(err, RC_INVALID, "api: %d loop threads", cfg->threads);
	struct api *api = mem_new(struct api);
	api->engine = cfg->engine;
	api->auth = cfg->auth;
	api->n_loops = cfg->threads;
	api->loops = mem_array((size_t)cfg->threads, sizeof *api->loops);
	api->nonces = nonces_new(cfg->nonces_max ? cfg->nonces_max : NONCES_MAX);
	api->figures = new_figures();
	api->opensearch_routes = new_index(&opensearch_dialect);
	api->dcs_routes = new_index(&dcs_dialect);
	must(pthread_mutex_init(&api->lock, NULL) == 0);
	must(pthread_cond_init(&api->settled, NULL) == 0);
	*out = api;
	return RC_OK;
}

static void wait_until_settled(struct api *api)
{
	pthread_mutex_lock(&api->lock);
	while (api->owed > 0)
		pthread_cond_wait(&api->settled, &api->lock);
	pthread_mutex_unlock(&api->lock);
}

void api_close(struct api *api)
{
	if (!api)
		return;
	wait_until_settled(api);
	for (int i = 0; i < api->n_loops; i++)
		engine_view_close(api->loops[i].view);
	mem_free(api->loops);
	nonces_free(api->nonces);
	figures_free(api->figures);
	route_index_free(api->opensearch_routes);
	route_index_free(api->dcs_routes);
	pthread_cond_destroy(&api->settled);
	pthread_mutex_destroy(&api->lock);
	mem_free(api);
}

void api_set_server(struct api *api, const struct http_server *server) { atomic_store(&api->server, server); }
void api_set_draining(struct api *api) { atomic_store(&api->is_draining, true); }
struct figures *api_figures(struct api *api) { return api->figures; }

const char *api_not_ready(struct api *api)
{
	if (atomic_load(&api->is_draining))
		return "the server is stopping";
	return engine_is_healthy(api->engine) ? NULL : "the store takes no changes";
}

bool api_http_stats(struct api *api, struct http_stats *out)
{
	const struct http_server *server = atomic_load(&api->server);

	if (server)
		http_stats(server, out);
	return server != NULL;
}

/* ---- the call ---- */

enum rc call_view(struct call *c, struct engine_view **out, struct err *err)
{
	must(c->req->loop >= 0 && c->req->loop < c->api->n_loops);
	struct loop *loop = &c->api->loops[c->req->loop];

	if (loop->is_spoiled) {
		engine_view_close(loop->view);
		*loop = (struct loop){ 0 };
	}
	if (!loop->view) {
		enum rc rc = engine_view_open(c->engine, &loop->view, err);
		if (rc)
			return rc;
	}
	*out = loop->view;
	return RC_OK;
}

void call_spoil_view(struct call *c)
{
	must(!c->is_submitted);
	c->api->loops[c->req->loop].is_spoiled = true;
}

void call_submit(struct call *c)
{
	pthread_mutex_lock(&c->api->lock);
	c->api->owed++;
	pthread_mutex_unlock(&c->api->lock);
	c->is_submitted = true;
}

static void settle(struct api *api)
{
	pthread_mutex_lock(&api->lock);
	if (--api->owed == 0)
		pthread_cond_broadcast(&api->settled);
	pthread_mutex_unlock(&api->lock);
}

static double seconds_since(const struct http_req *req)
{
	return (double)(clock_mono_us() - req->start_us) / 1e6;
}

int64_t call_latency_ms(const struct call *c) { return (clock_mono_us() - c->req->start_us) / 1000; }

static void reply_with(struct call *c, struct http_reply reply)
{
	/* The call dies with its request, inside http_reply. */
	struct api *api = c->api;
	bool was_submitted = c->is_submitted;

	must(c->n_headers < CALL_HEADERS);
	c->headers[c->n_headers++] = (struct http_header){ c->dialect->id_header, c->req->id };
	reply.headers = c->headers;
	reply.n_headers = c->n_headers;
	figures_add(api->figures, c->figure, reply.status, seconds_since(c->req));
	log_debug("http.request", "request=%s method=%s path=%s status=%d", c->req->id, c->req->method,
		  c->req->raw_path, reply.status);
	http_reply(c->req, &reply);
	if (was_submitted)
		settle(api);
}

bool call_may_be_repeated(const struct call *c, const struct err *err)
{
	return err->rc == RC_BUSY && !c->is_submitted;
}

void call_reply(struct call *c, int status, const char *content_type, const struct buf *body)
{
	/* A full arena left something out: of the answer, or of what led to it. A change may have been made by then. */
	if (status != 503 && !c->is_submitted && arena_is_full(c->arena)) {
		c->dialect->no_memory(c);
		return;
	}
	reply_with(c, (struct http_reply){ .status = status, .content_type = content_type, .body = buf_text(body),
					   .body_len = body->len });
}

void call_reply_file(struct call *c, const char *content_type, const struct http_file *file)
{
	reply_with(c, (struct http_reply){ .status = 200, .content_type = content_type, .file = file });
}

/* ---- dispatch ---- */

static bool starts(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* DCS has /v2, and the root, where its clients ask for versions. */
static const struct dialect *dialect_of(const char *raw_path)
{
	bool is_dcs = starts(raw_path, "/v2/") || strcmp(raw_path, "/v2") == 0 || strcmp(raw_path, "/") == 0;
	return is_dcs ? &dcs_dialect : &opensearch_dialect;
}

/* All that a request reads is of one moment, and taken under one lock of the store. */
static bool enter(struct call *c)
{
	struct err err = { 0 };
	struct loop *loop = &c->api->loops[c->req->loop];

	if (call_view(c, &c->view, &err) || engine_view_begin(c->view, &err)) {
		log_error("api.no_view", "request=%s why=\"%s\"", c->req->id, err.msg);
		loop->is_spoiled = loop->view != NULL;
		c->dialect->unavailable(c);
		return false;
	}
	loop->is_reading = true;
	return c->dialect->authenticate(c, c->api->auth, c->api->nonces);
}

static void run(struct call *c)
{
	struct err err = { 0 };

	if (c->route->access == ROUTE_SIGNED && !c->dialect->is_consistent(c))
		return;
	if (query_parse(c->req->raw_query, c->arena, &c->query, &err))
		c->dialect->bad_request(c, &err);
	else
		c->route->handle(c);
}

static enum route_verdict find_route(struct call *c, struct path *path, const struct route **out)
{
	const struct route_index *routes = c->dialect == &dcs_dialect ? c->api->dcs_routes : c->api->opensearch_routes;

	if (!c->dialect->settle_path(path))
		return ROUTE_NO_PATH;
	return route_find(routes, c->req->method, path, out, &c->args, c->methods);
}

static void dispatch(struct call *c, struct path *path)
{
	const struct route *route = NULL;

	enum route_verdict found = find_route(c, path, &route);
	if (found == ROUTE_FOUND) {
		c->route = route;
		c->operation = route->operation;
		c->figure = figures_of(c->api->figures, route->operation);
	}
	bool is_open = found == ROUTE_NO_PATH ? !c->dialect->is_signed_place(c->req->raw_path)
					      : route->access == ROUTE_OPEN;
	if (!is_open && !enter(c))
		return;
	if (found == ROUTE_NO_PATH)
		c->dialect->no_path(c);
	else if (found == ROUTE_NO_METHOD)
		c->dialect->no_method(c);
	else
		run(c);
}

/* In the form of errors of every dialect at once: there is no memory to choose. */
static const char no_memory[] = "{\"error_code\":\"DCS.5000\",\"error_msg\":\"no memory for this request\","
				"\"code\":\"ServiceUnavailable\",\"message\":\"no memory for this request\","
				"\"Code\":\"ServiceUnavailable\",\"Message\":\"no memory for this request\"}";

static void reply_without_memory(struct http_req *req)
{
	const struct http_header id = { dialect_of(req->raw_path)->id_header, req->id };
	http_reply(req, &(struct http_reply){ .status = 503,
					      .content_type = answer_json_type,
					      .body = no_memory,
					      .body_len = sizeof no_memory - 1,
					      .headers = &id,
					      .n_headers = 1 });
}

static void leave(struct loop *loop)
{
	if (loop->is_reading)
		engine_view_pause(loop->view);
	loop->is_reading = false;
}

void api_rest(void *ctx, int loop)
{
	struct api *api = ctx;

	if (api->loops[loop].view)
		engine_view_rest(api->loops[loop].view);
}

void api_handle(void *ctx, struct http_req *req)
{
	struct api *api = ctx;
	struct loop *loop = &api->loops[req->loop];
	struct path path;
	struct err err = { 0 };
	struct call *c = arena_room(req->arena, sizeof *c);

	if (!c) {
		reply_without_memory(req);
		return;
	}
	memset(c, 0, offsetof(struct call, change));
	c->api = api;
	c->engine = api->engine;
	c->req = req;
	c->arena = req->arena;
	c->dialect = dialect_of(req->raw_path);
	c->operation = c->account = c->project_id = "";
	c->figure = FIGURE_UNKNOWN;
	if (starts(req->raw_path, "/v3/openapi/"))
		answer_push_refused(c);
	else if (path_split(req->raw_path, c->arena, &path, &err))
		c->dialect->bad_request(c, &err);
	else
		dispatch(c, &path);
	leave(loop); /* c may be gone */
}

void api_fault(void *ctx, struct http_req *req, int status, const char *why, struct http_reply *reply)
{
	struct api *api = ctx;
	const struct dialect *dialect = dialect_of(req->raw_path ? req->raw_path : "");
	struct http_header *header = arena_new_of(req->arena, struct http_header);
	struct buf body;

	buf_init(&body, 64 << 10);
	dialect->fault(&body, status, req->id, why);
	char *bytes = arena_dup_n(req->arena, buf_text(&body), body.len);
	*reply = (struct http_reply){
		.status = status,
		.content_type = dialect->content_type,
		.body = bytes ? bytes : no_memory,
		.body_len = bytes ? body.len : sizeof no_memory - 1,
	};
	if (header) {
		*header = (struct http_header){ dialect->id_header, req->id };
		reply->headers = header;
		reply->n_headers = 1;
	}
	buf_fini(&body);
	figures_add(api->figures, FIGURE_REFUSED, status, 0);
}
