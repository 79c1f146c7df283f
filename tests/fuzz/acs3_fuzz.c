/*
 * ACS3 signatures. A verdict is one of the contract's, in words, the same when asked again; who is let in strictly is
 * let in laxly too, and not a second time with the same nonce. A request completed and signed by us is let in; let
 * anything that is signed differ (path, query, method, a header, the body, the secret) and it is not.
 */
#include <strings.h>
#include "base/buf.h"
#include "fuzz.h"
#include "request.h"
#include "sign/canon.h"

enum { ARENA_SIZE = 4 << 20, STRICT = true, LAX = false };

struct verdict {
	enum rc rc;
	struct sign_refusal refusal;
	struct sign_key key;
	struct sign_trace trace;
};

static struct verdict verify(const struct request *r, bool is_strict, const char *secret, struct nonces *nonces,
			     struct arena *a)
{
	struct verdict v = { .refusal.http_status = 42, .key.account = "untouched", .trace = { 0 } };
	struct err err = { 0 };

	v.rc = acs3_verify(&r->req, REQUEST_NOW_S, is_strict, request_lookup, (void *)(uintptr_t)secret, nonces, a,
			   &v.key, &v.refusal, &v.trace, &err);
	if (v.rc != RC_OK) {
		fuzz_check_refusal(v.rc, &err);
		CHECK(v.rc == RC_LIMIT || v.rc == RC_IO, "%s", err.msg);
		CHECK(v.refusal.http_status == 42 && strcmp(v.key.account, "untouched") == 0, "output touched");
	}
	return v;
}

static struct verdict verify_once(const struct request *r, bool is_strict, const char *secret, struct arena *a)
{
	struct nonces *nonces = nonces_new(16);
	struct verdict v = verify(r, is_strict, secret, nonces, a);

	nonces_free(nonces);
	return v;
}

static bool is_in(const struct verdict *v) { return v->rc == RC_OK && !v->refusal.code; }

static bool is_same(const struct verdict *x, const struct verdict *y)
{
	if (x->rc != y->rc || !x->refusal.code != !y->refusal.code)
		return false;
	return !x->refusal.code || (strcmp(x->refusal.code, y->refusal.code) == 0 &&
				    strcmp(x->refusal.message, y->refusal.message) == 0);
}

static void check_words(const struct verdict *v)
{
	if (v->rc != RC_OK || !v->refusal.code)
		return;
	CHECK(*v->refusal.code && v->refusal.message && *v->refusal.message, "refused without a word");
	CHECK(v->refusal.http_status == 400 || v->refusal.http_status == 404 || v->refusal.http_status == 429,
	      "%s has status %d", v->refusal.code, v->refusal.http_status);
}

static void check_as_given(const struct request *r, struct arena *a)
{
	struct nonces *nonces = nonces_new(16);
	struct verdict first = verify(r, STRICT, NULL, nonces, a), second = verify(r, STRICT, NULL, nonces, a);
	struct verdict lax = verify_once(r, LAX, NULL, a);

	check_words(&first);
	check_words(&lax);
	if (is_in(&first)) {
		CHECK(is_in(&lax), "in, but not laxly: %s", lax.refusal.code);
		CHECK(!is_in(&second) && strcmp(second.refusal.code, "SignatureNonceUsed") == 0, "let in twice");
		CHECK(first.key.access_key_id, "let in without a key");
	} else {
		CHECK(is_same(&first, &second), "first %s, then %s", first.refusal.message, second.refusal.message);
	}
	nonces_free(nonces);
}

/* All that must be there, once; false: the request cannot be signed for other reasons. */
static bool complete(struct request *r, char hash[65])
{
	sign_sha256_hex(r->req.body, r->req.body_len, hash);
	request_drop(r, "authorization");
	request_drop(r, "x-acs-security-token");
	request_set(r, "host", "h");
	request_set(r, "x-acs-action", "ListAppGroups");
	request_set(r, "x-acs-version", "2017-12-25");
	request_set(r, "x-acs-date", "2026-11-21T12:10:00Z");
	request_set(r, "x-acs-signature-nonce", "n");
	request_set(r, "x-acs-content-sha256", hash);
	for (size_t i = 0; i < r->req.n_headers; i++)
		if (canon_name_begins(r->list[i].name, "x-acs-") && !canon_is_name(slice_of(r->list[i].name)))
			return false;
	return !canon_find_repeat(&r->req, slice_of("host;content-type"));
}

static void expect_out(const struct request *r, const char *secret, const char *what, struct arena *a)
{
	struct verdict v = verify_once(r, STRICT, secret, a);

	CHECK(!is_in(&v), "let in with another %s", what);
	CHECK(v.rc != RC_OK || strcmp(v.refusal.code, "SignatureDoesNotMatch") == 0, "another %s: %s", what,
	      v.refusal.code);
}

/* A value that the field does not have, whether it is there or not. */
static void set_another(struct request *r, const char *name)
{
	const char *value = "1";

	for (size_t i = 0; i < r->req.n_headers; i++) {
		if (strcasecmp(r->list[i].name, name) == 0 && strchr(r->list[i].value, '1'))
			value = "2";
	}
	request_set(r, name, value);
}

static void check_tampering(const struct request *good, struct arena *a)
{
	struct request r;

	expect_out(good, "Secret", "secret", a);
	request_copy(&r, good);
	r.req.raw_path = arena_printf(a, "%sx", good->req.raw_path);
	expect_out(&r, NULL, "path", a);
	request_copy(&r, good);
	r.req.raw_query = arena_printf(a, "%s&x", good->req.raw_query);
	expect_out(&r, NULL, "query", a);
	request_copy(&r, good);
	r.req.method = strcmp(good->req.method, "GET") == 0 ? "PUT" : "GET";
	expect_out(&r, NULL, "method", a);
	request_copy(&r, good);
	r.req.body_len = 1;
	r.req.body = good->req.body_len == 1 && *(const char *)good->req.body == '{' ? "[" : "{";
	expect_out(&r, NULL, "body", a);
	request_copy(&r, good);
	set_another(&r, "x-acs-signature-nonce");
	expect_out(&r, NULL, "nonce", a);
	request_copy(&r, good);
	set_another(&r, "x-acs-more");
	expect_out(&r, NULL, "header", a);
}

/* With the signature that the verifier says is the right one for what the request claims to sign: if that lets it in,
 * what must be signed is. */
static void check_completed_by_trace(const struct request *given, struct arena *a)
{
	struct verdict refused = verify_once(given, STRICT, NULL, a);
	struct request r;

	if (refused.rc != RC_OK || !refused.refusal.code || !refused.trace.authorization)
		return;
	request_copy(&r, given);
	request_set(&r, "authorization", refused.trace.authorization);
	struct verdict v = verify_once(&r, STRICT, NULL, a);
	if (!is_in(&v))
		return;
	struct slice text = slice_of(v.trace.authorization);
	(void)slice_cut(&text, ',');
	struct slice names = slice_cut(&text, ',');
	CHECK(slice_take(&names, "SignedHeaders="), "'%s'", v.trace.authorization);
	CHECK(canon_list_has(names, slice_of("host")), "in without a signed host: '%s'", v.trace.authorization);
	for (size_t i = 0; i < r.req.n_headers; i++)
		CHECK(!canon_name_begins(r.list[i].name, "x-acs-") || canon_list_has(names, slice_of(r.list[i].name)),
		      "in with %s not signed: '%s'", r.list[i].name, v.trace.authorization);
	check_tampering(&r, a);
}

static void check_signed(const struct request *given, struct arena *a)
{
	struct request r;
	char hash[65];

	request_copy(&r, given);
	if (!complete(&r, hash))
		return;
	char *authorization = acs3_authorization(&r.req, "AKID", REQUEST_SECRET, a);
	if (!authorization)
		return; /* too large for the arena */
	request_set(&r, "authorization", authorization);
	struct verdict v = verify_once(&r, STRICT, NULL, a);
	CHECK(v.rc == RC_LIMIT || is_in(&v), "signed by us and refused: %s", v.refusal.message);
	if (is_in(&v))
		check_tampering(&r, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct arena *small CLEANUP(arena_freep) = arena_new(300);
	struct request r;

	if (!request_read(&r, data, size, a))
		return 0;
	check_as_given(&r, a);
	check_completed_by_trace(&r, a);
	check_signed(&r, a);
	struct verdict v = verify_once(&r, STRICT, NULL, small);
	check_words(&v);
	return 0;
}
