/*
 * Who sent this request, for the OpenSearch API and our own paths: strict checks the signature (sign/acs3.h), lax
 * believes a known key id, off believes all. Refusals are in the vendor's form.
 */
#include <string.h>
#include "api/call.h"
#include "api/opensearch/answer.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/keys.h"

const char auth_default_account[] = "1000000000000000";

/* acs3_verify asks for keys through this. */
static enum rc find_key(void *ctx, const char *access_key_id, struct arena *a, struct sign_key *out, struct err *err)
{
	struct access_key key;

	enum rc rc = engine_key_find(ctx, access_key_id, a, &key, err);
	if (rc)
		return rc;
	*out = (struct sign_key){
		.access_key_id = key.id,
		.secret = key.secret,
		.prepared = key.prepared,
		.status = key.is_active ? SIGN_KEY_ACTIVE : SIGN_KEY_INACTIVE,
		.account = key.account,
	};
	return RC_OK;
}

static bool starts(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* Schemes of other interfaces, told from a malformed header so that the answer helps. */
static bool is_other_scheme(const struct http_req *req)
{
	static const char *const schemes[] = { "acs ", "OPENSEARCH ", "SDK-", "V11-HMAC-SHA256 ", "Bearer " };
	const char *value = http_header_of(req, "authorization");

	for (size_t i = 0; value && i < ARRAY_LEN(schemes); i++) {
		if (starts(value, schemes[i]))
			return true;
	}
	const char *type = http_header_of(req, "x-acs-signature-type");
	return type && strcmp(type, "BEARERTOKEN") == 0;
}

enum rc auth_request(const struct call *c, struct sign_request *out, struct err *err)
{
	const struct http_req *req = c->req;
	struct sign_header *headers = arena_array(req->arena, req->n_headers + 1, sizeof *headers);

	if (!headers)
		return err_set(err, RC_LIMIT, "no memory for %zu headers", req->n_headers);
	for (size_t i = 0; i < req->n_headers; i++)
		headers[i] = (struct sign_header){ .name = req->headers[i].name, .value = req->headers[i].value };
	*out = (struct sign_request){
		.method = req->method,
		.raw_path = req->raw_path,
		.raw_query = req->raw_query,
		.headers = headers,
		.n_headers = req->n_headers,
		.body = req->body,
		.body_len = req->body_len,
	};
	return RC_OK;
}

static enum rc verify(struct call *c, bool check_signature, struct nonces *nonces, struct sign_key *key,
		      struct sign_refusal *refusal, struct err *err)
{
	struct sign_request req;

	enum rc rc = auth_request(c, &req, err);
	if (rc)
		return rc;
	return acs3_verify(&req, clock_wall_ms() / 1000, check_signature, find_key, c->view, nonces, c->arena, key,
			   refusal, NULL, err);
}

bool auth_check(struct call *c, enum auth_mode mode, struct nonces *nonces)
{
	struct sign_key key = { 0 };
	struct sign_refusal refusal = { 0 };
	struct err err = { 0 };

	if (mode == AUTH_OFF) {
		c->account = auth_default_account;
		return true;
	}
	if (is_other_scheme(c->req)) {
		answer_refusal(c, api_error_http(API_ERR_SIGNATURE_METHOD), api_error_code(API_ERR_SIGNATURE_METHOD),
			       api_error_message(API_ERR_SIGNATURE_METHOD));
		return false;
	}
	if (verify(c, /* check_signature: */ mode == AUTH_STRICT, nonces, &key, &refusal, &err)) {
		call_spoil_view(c);
		answer_internal(c, "auth.failed", &err);
		return false;
	}
	if (refusal.code) {
		/* Not louder: whoever can reach the port could fill the log. */
		log_debug("auth.refused", "request=%s peer=%s code=%s", c->req->id, c->req->peer, refusal.code);
		answer_refusal(c, refusal.http_status, refusal.code, refusal.message);
		return false;
	}
	c->account = key.account;
	return true;
}
