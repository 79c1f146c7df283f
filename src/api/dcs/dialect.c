/* The DCS API on the common way of a request, with Huawei's signature. */
#include "api/dialect.h"

#include <string.h>
#include "api/dcs/answer.h"
#include "api/dcs/routes.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/keys.h"
#include "sign/sdk_hmac.h"

static bool is_signed_place(const char *raw_path) { return strncmp(raw_path, "/v2/", 4) == 0; }

static bool is_plain_segment(const char *s)
{
	return !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

/* A trailing slash counts for nothing (SDKs do not follow redirects), "instance" is "instances" everywhere, since the
 * vendor's own pages mix the two; an encoded slash or a dot segment signs like another path and is refused. */
static bool settle_path(struct path *p)
{
	if (p->n > PATH_SEGMENTS)
		return true;
	if (p->n > 1 && !*p->segments[p->n - 1])
		p->n--;
	if (p->n > 3 && strcmp(p->segments[2], "instance") == 0)
		p->segments[2] = "instances";
	for (size_t i = 0; i < p->n; i++) {
		if (!is_plain_segment(p->segments[i]))
			return false;
	}
	return true;
}

/* ---- who is it ---- */

struct lookup {
	struct engine_view *view;
	struct access_key found;
};

static enum rc find_key(void *ctx, const char *access_key_id, struct arena *a, struct sign_key *out, struct err *err)
{
	struct lookup *l = ctx;

	enum rc rc = engine_key_find(l->view, access_key_id, a, &l->found, err);
	if (rc)
		return rc;
	*out = (struct sign_key){
		.access_key_id = l->found.id,
		.secret = l->found.secret,
		.status = l->found.is_active ? SIGN_KEY_ACTIVE : SIGN_KEY_INACTIVE,
		.account = l->found.account,
	};
	return RC_OK;
}

static enum rc verify(struct call *c, bool check_signature, struct lookup *l, struct sign_refusal *refusal,
		      struct err *err)
{
	struct sign_request req;
	struct sign_key key = { 0 };

	enum rc rc = auth_request(c, &req, err);
	if (rc)
		return rc;
	return sdk_hmac_verify(&req, clock_wall_ms() / 1000, check_signature, find_key, l, c->arena, &key, refusal,
			       NULL, err);
}

static void answer_refusal(struct call *c, const struct sign_refusal *r)
{
	struct buf body;

	buf_init(&body, 64 << 10);
	dcs_write_error(&body, r->code, r->message);
	call_reply(c, r->http_status, dcs_json_type, &body);
	buf_fini(&body);
}

/* A project named in the header must be the key's, too: it may differ from the path only by mistake. */
static bool is_header_project_fit(const struct call *c)
{
	const char *named = http_header_of(c->req, "x-project-id");
	return !named || !*named || !*c->project_id || strcmp(named, c->project_id) == 0;
}

static bool authenticate(struct call *c, enum auth_mode mode, struct nonces *nonces)
{
	struct lookup l = { .view = c->view };
	struct sign_refusal refusal = { 0 };
	struct err err = { 0 };

	(void)nonces; /* the scheme has none, and its SDKs repeat requests unchanged */
	c->account = auth_default_account;
	c->key_id = c->key_name = "stint";
	if (mode == AUTH_OFF)
		return true;
	if (verify(c, /* check_signature: */ mode == AUTH_STRICT, &l, &refusal, &err)) {
		call_spoil_view(c);
		return dcs_answer_internal(c, "auth.failed", &err);
	}
	if (refusal.code) {
		/* Not louder: whoever can reach the port could fill the log. */
		log_debug("auth.refused", "request=%s peer=%s code=%s", c->req->id, c->req->peer, refusal.code);
		answer_refusal(c, &refusal);
		return false;
	}
	c->account = l.found.account;
	c->project_id = l.found.project_id;
	c->key_id = l.found.id;
	c->key_name = *l.found.name ? l.found.name : l.found.id;
	return is_header_project_fit(c) || dcs_answer_error(c, DCS_FOREIGN_PROJECT);
}

/* The operation is said by method and path alone. */
static bool is_consistent(struct call *c)
{
	(void)c;
	return true;
}

/* ---- refusals no operation makes ---- */

static void bad_request(struct call *c, const struct err *err)
{
	if (c->route)
		(void)dcs_answer_words(c, DCS_QUERY, err->msg);
	else
		(void)dcs_answer_error(c, DCS_PATH);
}

static void unavailable(struct call *c) { (void)dcs_answer_error(c, DCS_UNAVAILABLE); }
static void no_memory(struct call *c) { (void)dcs_answer_no_memory(c); }
static void no_path(struct call *c) { (void)dcs_answer_error(c, DCS_PATH); }

static void no_method(struct call *c)
{
	c->headers[c->n_headers++] = (struct http_header){ "allow", c->methods };
	(void)dcs_answer_error(c, DCS_METHOD);
}

static void fault(struct buf *body, int status, const char *request_id, const char *why)
{
	enum dcs_error e = dcs_error_of_status(status);

	(void)request_id; /* clients take it from the header only */
	dcs_write_error(body, dcs_error_code(e), why && *why ? why : dcs_error_message(e));
}

const struct dialect dcs_dialect = {
	.id_header = "x-request-id",
	.content_type = dcs_json_type,
	.routes = dcs_routes,
	.is_signed_place = is_signed_place,
	.settle_path = settle_path,
	.authenticate = authenticate,
	.is_consistent = is_consistent,
	.bad_request = bad_request,
	.unavailable = unavailable,
	.no_memory = no_memory,
	.no_path = no_path,
	.no_method = no_method,
	.fault = fault,
};
