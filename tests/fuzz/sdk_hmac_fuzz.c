/*
 * SDK-HMAC signatures. A verdict is one of the contract's, in one ASCII line, the same when asked again; who is let in
 * strictly is let in laxly. A request completed and signed by us is let in; let anything that is signed differ (path,
 * query, method, a header, the body, the secret) and it is not.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "request.h"
#include "sign/canon.h"
#include "sign/sdk_hmac.h"

enum { ARENA_SIZE = 4 << 20, STRICT = true, LAX = false, MESSAGE_MAX = 400 };

struct verdict {
	enum rc rc;
	struct sign_refusal refusal;
	struct sign_key key;
	struct sign_trace trace;
};

static struct verdict verify(const struct request *r, bool is_strict, const char *secret, struct arena *a)
{
	struct verdict v = { .refusal.http_status = 42, .key.account = "untouched", .trace = { 0 } };
	struct err err = { 0 };

	v.rc = sdk_hmac_verify(&r->req, REQUEST_NOW_S, is_strict, request_lookup, (void *)(uintptr_t)secret, a, &v.key,
			       &v.refusal, &v.trace, &err);
	if (v.rc != RC_OK) {
		fuzz_check_refusal(v.rc, &err);
		CHECK(v.rc == RC_LIMIT || v.rc == RC_IO, "%s", err.msg);
		CHECK(v.refusal.http_status == 42 && strcmp(v.key.account, "untouched") == 0, "output touched");
	}
	return v;
}

static bool is_in(const struct verdict *v) { return v->rc == RC_OK && !v->refusal.code; }

static void check_words(const struct verdict *v)
{
	if (v->rc != RC_OK || !v->refusal.code)
		return;
	const char *text = v->refusal.message;
	CHECK(strlen(v->refusal.code) == 8 && strncmp(v->refusal.code, "DCS.100", 7) == 0, "code %s", v->refusal.code);
	CHECK(v->refusal.http_status == 401, "%s has status %d", v->refusal.code, v->refusal.http_status);
	CHECK(text && *text && strlen(text) < MESSAGE_MAX, "%s: '%s'", v->refusal.code, text ? text : "-");
	for (const char *p = text; *p; p++)
		CHECK(*p >= ' ' && *p <= '~', "'%s' is not one line of ASCII", text);
}

static void check_as_given(const struct request *r, struct arena *a)
{
	struct verdict first = verify(r, STRICT, NULL, a), second = verify(r, STRICT, NULL, a);
	struct verdict lax = verify(r, LAX, NULL, a);

	check_words(&first);
	check_words(&lax);
	CHECK(first.rc == second.rc && is_in(&first) == is_in(&second), "two verdicts");
	if (first.rc == RC_OK && first.refusal.code)
		CHECK(strcmp(first.refusal.message, second.refusal.message) == 0, "'%s', '%s'", first.refusal.message,
		      second.refusal.message);
	CHECK(!is_in(&first) || is_in(&lax), "in, but not laxly");
	CHECK(!is_in(&first) || first.key.access_key_id, "let in without a key");
}

static bool complete(struct request *r, char hash[65])
{
	sign_sha256_hex(r->req.body, r->req.body_len, hash);
	request_drop(r, "authorization");
	request_drop(r, "x-security-token");
	request_set(r, "host", "h");
	request_set(r, "x-sdk-date", "20261121T115000Z");
	request_set(r, "x-sdk-content-sha256", hash);
	return !canon_find_repeat(&r->req, slice_of("host;content-type;user-agent"));
}

static void expect_out(const struct request *r, const char *secret, const char *what, struct arena *a)
{
	struct verdict v = verify(r, STRICT, secret, a);

	CHECK(!is_in(&v), "let in with another %s", what);
	CHECK(v.rc != RC_OK || strcmp(v.refusal.code, "DCS.1001") == 0, "another %s: %s", what, v.refusal.code);
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
	request_set(&r, "host", "g");
	expect_out(&r, NULL, "host", a);
	request_copy(&r, good);
	request_set(&r, "x-sdk-date", "20261121T115001Z");
	expect_out(&r, NULL, "date", a);
}

/* With the signature that the verifier says is the right one for what the request claims to sign: if that lets it in,
 * what must be signed is. */
static void check_completed_by_trace(const struct request *given, struct arena *a)
{
	struct verdict refused = verify(given, STRICT, NULL, a);
	struct request r;
	struct slice agent = { "", 0 };

	if (refused.rc != RC_OK || !refused.refusal.code || !refused.trace.authorization)
		return;
	request_copy(&r, given);
	request_set(&r, "authorization", refused.trace.authorization);
	struct verdict v = verify(&r, STRICT, NULL, a);
	if (!is_in(&v))
		return;
	struct slice text = slice_of(v.trace.authorization);
	(void)slice_cut(&text, ',');
	struct slice names = slice_cut(&text, ',');
	CHECK(slice_take(&names, " SignedHeaders="), "'%s'", v.trace.authorization);
	(void)canon_header(&r.req, slice_of("user-agent"), &agent); /* absent reads as empty */
	bool is_go = canon_list_has(names, slice_of("user-agent")) && slice_take(&agent, "huaweicloud-usdk-go/");
	CHECK(canon_list_has(names, slice_of("x-sdk-date")), "in without a signed date: '%s'", v.trace.authorization);
	CHECK(is_go || canon_list_has(names, slice_of("host")), "in without a signed host: '%s'",
	      v.trace.authorization);
}

static void check_signed(const struct request *given, struct arena *a)
{
	struct request r;
	char hash[65];

	request_copy(&r, given);
	if (!complete(&r, hash))
		return;
	char *authorization = sdk_hmac_authorization(&r.req, "AKID", REQUEST_SECRET, a);
	if (!authorization)
		return; /* too large for the arena */
	request_set(&r, "authorization", authorization);
	struct verdict v = verify(&r, STRICT, NULL, a);
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
	struct verdict v = verify(&r, STRICT, NULL, small);
	check_words(&v);
	return 0;
}
