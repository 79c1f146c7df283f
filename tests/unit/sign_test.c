#include "base/hex.h"
#include "sign/acs3.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"
#include "sign/canon.h"
#include "sign/hash.h"
#include "vectors.h"

static const char *header_value(const struct scene *s, const char *name)
{
	for (size_t i = 0; i < s->req.n_headers; i++) {
		if (strcmp(s->headers[i].name, name) == 0)
			return s->headers[i].value;
	}
	return "";
}

static const char now_text[] = "2026-11-21T12:00:00Z";
static const char body_text[] = "{\"name\":\"a\"}";
static char body_hash[65]; /* filled by scene_init */

static void scene_init(struct scene *s)
{
	*s = (struct scene){ 0 };
	s->req = (struct sign_request){ .method = "POST",
		                        .raw_path = "/v4/openapi/app-groups",
		                        .raw_query = "b=2&a=1",
		                        .headers = s->headers,
		                        .body = body_text,
		                        .body_len = sizeof body_text - 1 };
	s->key = (struct sign_key){ .access_key_id = "LTAItest", .secret = "a secret", .account = "100" };
	(void)clock_parse_iso(now_text, &s->now_s);
	sign_sha256_hex(body_text, sizeof body_text - 1, body_hash);
	set_header(s, "host", "shop.test:8080");
	set_header(s, "x-acs-action", "CreateAppGroup");
	set_header(s, "x-acs-version", "2017-12-25");
	set_header(s, "x-acs-date", now_text);
	set_header(s, "x-acs-signature-nonce", "n-1");
	set_header(s, "x-acs-content-sha256", body_hash);
	set_header(s, "content-type", "application/json; charset=utf-8");
}

static void sign(struct scene *s, struct arena *a)
{
	drop_header(s, "Authorization");
	set_header(s, "Authorization", acs3_authorization(&s->req, s->key.access_key_id, s->key.secret, a));
}

static struct verdict verify(struct scene *s, struct nonces *n, struct arena *a)
{
	struct verdict v = { .refusal = { "untouched", 0, "" } };
	v.rc = acs3_verify(&s->req, s->now_s, true, find_key, s, n, a, &v.key, &v.refusal, &v.trace, &v.err);
	return v;
}

/* ---- the contract's vectors ---- */

static const json_t *vector_of(const json_t *all, const char *id)
{
	const json_t *v;
	size_t i;
	json_array_foreach(all, i, v)
	{
		if (strcmp(member(v, "id"), id) == 0)
			return v;
	}
	return NULL;
}

static void present_first(const json_t *all, const char *id, struct nonces *n, struct arena *a)
{
	struct scene s;
	load_scene(&s, vector_of(all, id));
	struct verdict v = verify(&s, n, a);
	EXPECT(v.rc == RC_OK && !v.refusal.code, "%s: %s", id, code_of(&v));
}

static void expect_verdict(const json_t *v, const struct verdict *got)
{
	const json_t *error = json_object_get(v, "expected_error");
	const char *id = member(v, "id"), *code = error ? member(error, "code") : NULL;
	int status = error ? (int)json_integer_value(json_object_get(error, "http_status")) : 0;

	EXPECT(got->rc == RC_OK, "%s: %s", id, got->err.msg);
	EXPECT(same(got->refusal.code, code), "%s: got %s", id, code_of(got));
	EXPECT(!code == json_is_true(json_object_get(v, "valid")), "%s: the vector contradicts itself", id);
	EXPECT(got->refusal.http_status == status, "%s: got %d", id, got->refusal.http_status);
	EXPECT(!code || (got->refusal.message && *got->refusal.message), "%s: no message", id);
}

/* The vendor's SDKs look for the server's string to sign in the message of a wrong signature. */
static void expect_string_in_message(const json_t *v, const struct verdict *got)
{
	const char *to_sign = member(v, "expected_string_to_sign");
	char text[300];

	if (!same(got->refusal.code, "SignatureDoesNotMatch") || !to_sign)
		return;
	(void)snprintf(text, sizeof text, "server StringToSign is [%s]", to_sign);
	EXPECT(strstr(got->refusal.message, text), "%s: message %s", member(v, "id"), got->refusal.message);
}

TEST(every_vector_of_the_contract)
{
	json_t *all = load_vectors("acs3.json");
	int n_valid = 0, n_refused = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(all, i, v)
	{
		struct nonces *n = nonces_new(100);
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		if (member(v, "replay_of"))
			present_first(all, member(v, "replay_of"), n, a);
		load_scene(&s, v);
		struct verdict got = verify(&s, n, a);
		expect_verdict(v, &got);
		expect_trace(v, &got.trace);
		expect_string_in_message(v, &got);
		n_valid += !got.refusal.code;
		n_refused += got.refusal.code != NULL;
		arena_free(a);
		nonces_free(n);
	}
	EXPECT(n_valid == 29 && n_refused == 41, "%d valid, %d refused", n_valid, n_refused);
	json_decref(all);
}

/* Does the SDK's header list name just what acs3_authorization signs? */
static bool signs_like_us(const struct scene *s, const char *theirs)
{
	return !strstr(theirs, ";user-agent") && !strstr(theirs, "=accept;") &&
	       (!*header_value(s, "content-type") || strstr(theirs, "content-type"));
}

TEST(we_sign_as_the_sdks_do)
{
	json_t *all = load_vectors("acs3.json");
	int compared = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(all, i, v)
	{
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		const char *theirs = member(v, "expected_authorization");
		load_scene(&s, v);
		if (json_is_true(json_object_get(v, "valid")) && signs_like_us(&s, theirs)) {
			const char *ours = acs3_authorization(&s.req, s.key.access_key_id, s.key.secret, a);
			EXPECT(same(ours, theirs), "%s: %s", member(v, "id"), ours);
			compared++;
		}
		arena_free(a);
	}
	EXPECT(compared >= 20, "only %d compared", compared);
	json_decref(all);
}

/* ---- rules the vectors do not reach ---- */

static void leave(struct scene *s) { (void)s; }
static void no_action(struct scene *s) { drop_header(s, "x-acs-action"); }
static void no_version(struct scene *s) { drop_header(s, "x-acs-version"); }
static void no_hash(struct scene *s) { drop_header(s, "x-acs-content-sha256"); }
static void blank_nonce(struct scene *s) { set_header(s, "x-acs-signature-nonce", " \t "); }
static void no_host(struct scene *s) { drop_header(s, "host"); }
static void other_key(struct scene *s) { s->key.access_key_id = "LTAIother"; }
static void inactive(struct scene *s) { s->key.status = SIGN_KEY_INACTIVE; }
static void folded(struct scene *s) { set_header(s, "accept", "a\r\n b"); }
static void broken_path(struct scene *s) { s->req.raw_path = "/v4\n/x"; }
static void second_type(struct scene *s) { add_header(s, "Content-Type", "a"); }
static void second_accept(struct scene *s)
{
	add_header(s, "accept", "a");
	add_header(s, "Accept", "b");
}
static void claims(struct scene *s, const char *text) { set_header(s, "Authorization", text); }
#define CLAIM "ACS3-HMAC-SHA256 Credential="
#define SIG64_UPPER "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"
#define SIG64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static void upper_hex(struct scene *s) { claims(s, CLAIM "k,SignedHeaders=host,Signature=" SIG64_UPPER); }
static void long_hex(struct scene *s) { claims(s, CLAIM "k,SignedHeaders=host,Signature=" SIG64 "0"); }
static void more_after(struct scene *s) { claims(s, CLAIM "k,SignedHeaders=host,Signature=" SIG64 ",x=y"); }
static void no_names(struct scene *s) { claims(s, CLAIM "k,SignedHeaders=,Signature=" SIG64); }
static void end_semi(struct scene *s) { claims(s, CLAIM "k,SignedHeaders=host;,Signature=" SIG64); }
static void twice(struct scene *s) { claims(s, CLAIM "k,SignedHeaders=host;host,Signature=" SIG64); }
static void upper_name(struct scene *s) { claims(s, CLAIM "k,SignedHeaders=Host,Signature=" SIG64); }
static void no_key_id(struct scene *s) { claims(s, CLAIM ",SignedHeaders=host,Signature=" SIG64); }
static void two_blanks(struct scene *s) { claims(s, CLAIM "k,  SignedHeaders=host,Signature=" SIG64); }
static void sm3(struct scene *s) { claims(s, "ACS3-HMAC-SM3 Credential=k,SignedHeaders=host,Signature=" SIG64); }
static void glued(struct scene *s) { claims(s, "ACS3-HMAC-SHA256Credential=k,SignedHeaders=host,Signature=" SIG64); }
static void old_roa(struct scene *s) { claims(s, "acs k:MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="); }
static void lower_scheme(struct scene *s) { claims(s, "acs3-hmac-sha256 Credential=k"); }
static void basic(struct scene *s) { claims(s, "Basic dTpw"); }
static void empty_auth(struct scene *s) { claims(s, ""); }
static void early(struct scene *s) { s->now_s -= 15 * 60; }
static void too_early(struct scene *s) { s->now_s -= 15 * 60 + 1; }
static void zone_date(struct scene *s) { set_header(s, "x-acs-date", "2026-11-21T12:00:00+00:00"); }
static void long_date(struct scene *s) { set_header(s, "x-acs-date", "2026-11-21T12:00:00Z 2026-11-21T12:00:00Z"); }

TEST(refusals_beyond_the_vectors)
{
	const struct {
		const char *what;
		void (*change)(struct scene *s);
		const char *code, *says;
	} row[] = {
		{ "nothing wrong", leave, NULL, NULL },
		{ "clock at the early edge", early, NULL, NULL },
		{ "clock before the early edge", too_early, "InvalidTimeStamp.Expired", "15 minutes" },
		{ "date with an offset", zone_date, "InvalidTimeStamp.Format", "YYYY" },
		{ "date too long for the buffer", long_date, "InvalidTimeStamp.Format", "YYYY" },
		{ "no action", no_action, "MissingAction", "x-acs-action" },
		{ "no version", no_version, "MissingVersion", "x-acs-version" },
		{ "no hash", no_hash, "IncompleteSignature", "x-acs-content-sha256" },
		{ "blank nonce", blank_nonce, "MissingSignatureNonce", "x-acs-signature-nonce" },
		{ "no host, which is signed", no_host, "SignatureDoesNotMatch", "host" },
		{ "inactive key", inactive, "InvalidAccessKeyId.Inactive", "disabled" },
		{ "folded header", folded, "IncompleteSignature", "line break" },
		{ "line break in the path", broken_path, "IncompleteSignature", "line break" },
		{ "content-type twice", second_type, "IncompleteSignature", "content-type is given more than once" },
		{ "unsigned accept twice is harmless", second_accept, NULL, NULL },
		{ "upper-case hex", upper_hex, "IncompleteSignature", "Authorization" },
		{ "hex too long", long_hex, "IncompleteSignature", "Authorization" },
		{ "rest after the signature", more_after, "IncompleteSignature", "Authorization" },
		{ "no names", no_names, "IncompleteSignature", "Authorization" },
		{ "trailing semicolon", end_semi, "IncompleteSignature", "Authorization" },
		{ "a name twice", twice, "IncompleteSignature", "ascending" },
		{ "upper-case name", upper_name, "IncompleteSignature", "Authorization" },
		{ "empty key id", no_key_id, "IncompleteSignature", "Authorization" },
		{ "two blanks", two_blanks, "IncompleteSignature", "Authorization" },
		{ "other hash", sm3, "InvalidSignatureMethod", "ACS3-HMAC-SHA256" },
		{ "no blank after the scheme", glued, "InvalidSignatureMethod", "ACS3-HMAC-SHA256" },
		{ "the old scheme", old_roa, "InvalidSignatureMethod", "ACS3-HMAC-SHA256" },
		{ "scheme in lower case", lower_scheme, "MissingAccessKeyId", "not signed" },
		{ "another kind of Authorization", basic, "MissingAccessKeyId", "not signed" },
		{ "empty Authorization", empty_auth, "MissingAccessKeyId", "not signed" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct nonces *n = nonces_new(10);
		struct scene s;
		scene_init(&s);
		sign(&s, a);
		row[i].change(&s);
		struct verdict v = verify(&s, n, a);
		EXPECT(v.rc == RC_OK, "%s: %s", row[i].what, v.err.msg);
		EXPECT(same(v.refusal.code, row[i].code), "%s: got %s", row[i].what, code_of(&v));
		EXPECT(!row[i].says || strstr(v.refusal.message, row[i].says), "%s: said %s", row[i].what,
		       v.refusal.message);
		EXPECT(row[i].code || same(v.key.account, "100"), "%s: key not given", row[i].what);
		nonces_free(n);
		arena_free(a);
	}
}

/* Verify with one byte of text changed, for each byte in turn; *place points to it meanwhile. */
static void expect_each_byte_counts(struct scene *s, const char **place, const char *what)
{
	char *text = mem_dup(*place);
	const char *kept = *place;

	*place = text;
	for (char *p = text; *p; p++) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct nonces *n = nonces_new(10);
		*p = (char)(*p ^ 1);
		struct verdict v = verify(s, n, a);
		EXPECT(v.rc == RC_OK && v.refusal.code, "%s: changed to '%s', still good", what, text);
		*p = (char)(*p ^ 1);
		nonces_free(n);
		arena_free(a);
	}
	*place = kept;
	mem_free(text);
}

TEST(a_change_of_any_signed_byte_is_refused)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	expect_each_byte_counts(&s, &s.req.method, "method");
	expect_each_byte_counts(&s, &s.req.raw_path, "path");
	expect_each_byte_counts(&s, &s.req.raw_query, "query");
	for (size_t i = 0; i < s.req.n_headers; i++) {
		expect_each_byte_counts(&s, &s.headers[i].value, s.headers[i].name);
		expect_each_byte_counts(&s, &s.headers[i].name, s.headers[i].name);
	}
	char changed[sizeof body_text];
	for (size_t i = 0; i < s.req.body_len; i++) {
		struct nonces *n = nonces_new(10);
		memcpy(changed, body_text, sizeof changed);
		changed[i] = (char)(changed[i] ^ 1);
		s.req.body = changed;
		struct verdict v = verify(&s, n, a);
		EXPECT(same(v.refusal.code, "SignatureDoesNotMatch"), "body: %s", code_of(&v));
		nonces_free(n);
	}
	arena_free(a);
}

TEST(too_many_headers_are_refused_before_any_is_compared)
{
	static struct sign_header many[201];
	struct arena *a = arena_new(ARENA_SIZE);
	struct nonces *n = nonces_new(10);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	FOR_EACH_ROW (i, many)
		many[i] = i < s.req.n_headers ? s.headers[i] : (struct sign_header){ "accept", "x" };
	s.req.headers = many;
	s.req.n_headers = 201;
	struct verdict v = verify(&s, n, a);
	EXPECT(same(v.refusal.code, "IncompleteSignature") && strstr(v.refusal.message, "200"), "%s", code_of(&v));
	s.req.n_headers = 200;
	v = verify(&s, n, a);
	EXPECT(!v.refusal.code, "200 headers: %s", code_of(&v));
	nonces_free(n);
	arena_free(a);
}

TEST(temporary_keys_need_their_own_token_in_time)
{
	const struct {
		const char *kept, *given;
		int64_t expires_in_s;
		const char *code;
	} row[] = {
		{ "tok", "tok", 1, NULL },
		{ "tok", " tok ", 1, NULL },
		{ "tok", "tok", 0, "InvalidSecurityToken.Expired" },
		{ "tok", "tok", -100, "InvalidSecurityToken.Expired" },
		{ "tok", "tox", 1, "InvalidSecurityToken.MismatchWithAccessKey" },
		{ "tok", "to", 1, "InvalidSecurityToken.MismatchWithAccessKey" },
		{ "tok", "tokk", 1, "InvalidSecurityToken.MismatchWithAccessKey" },
		{ "tok", "t ok", 1, "InvalidSecurityToken.Malformed" },
		{ "tok", "", 1, "MissingSecurityToken" },
		{ "tok", NULL, 1, "MissingSecurityToken" },
		{ NULL, "tok", 1, "InvalidSecurityToken.MismatchWithAccessKey" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct nonces *n = nonces_new(10);
		struct scene s;
		scene_init(&s);
		s.key.security_token = row[i].kept;
		s.key.expires_s = s.now_s + row[i].expires_in_s;
		if (row[i].given)
			set_header(&s, "x-acs-security-token", row[i].given);
		sign(&s, a);
		struct verdict v = verify(&s, n, a);
		EXPECT(same(v.refusal.code, row[i].code), "row %zu: got %s", i, code_of(&v));
		nonces_free(n);
		arena_free(a);
	}
}

TEST(a_wrong_body_is_told_from_a_wrong_secret)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct nonces *n = nonces_new(10);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	s.req.body_len--;
	struct verdict v = verify(&s, n, a);
	EXPECT(same(v.refusal.code, "SignatureDoesNotMatch"), "%s", code_of(&v));
	EXPECT(strstr(v.refusal.message, "does not match the body"), "%s", v.refusal.message);
	s.req.body_len++;
	s.key.secret = "another secret";
	v = verify(&s, n, a);
	EXPECT(strstr(v.refusal.message,
	              "Specified signature does not match our calculation. server StringToSign is [ACS3") ==
	               v.refusal.message,
	       "%s", v.refusal.message);
	s.key.secret = "a secret";
	v = verify(&s, n, a);
	EXPECT(!v.refusal.code, "a refused request used up its nonce: %s", code_of(&v));
	v = verify(&s, n, a);
	EXPECT(same(v.refusal.code, "SignatureNonceUsed"), "%s", code_of(&v));
	nonces_free(n);
	arena_free(a);
}

TEST(a_full_nonce_store_throttles)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct nonces *n = nonces_new(1);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	struct verdict v = verify(&s, n, a);
	EXPECT(!v.refusal.code, "%s", code_of(&v));
	set_header(&s, "x-acs-signature-nonce", "n-2");
	sign(&s, a);
	v = verify(&s, n, a);
	EXPECT(same(v.refusal.code, "Throttling.User") && v.refusal.http_status == 429, "%s", code_of(&v));
	nonces_free(n);
	arena_free(a);
}

TEST(lax_mode_wants_form_and_a_known_key)
{
	const struct {
		const char *what;
		void (*change)(struct scene *s);
		const char *code;
	} row[] = {
		{ "signature of another secret", leave, NULL },
		{ "malformed", twice, "IncompleteSignature" },
		{ "no action", no_action, "MissingAction" },
		{ "unsigned", empty_auth, "MissingAccessKeyId" },
		{ "unknown key", other_key, "InvalidAccessKeyId.NotFound" },
		{ "old date", too_early, "InvalidTimeStamp.Expired" },
		{ "inactive", inactive, "InvalidAccessKeyId.Inactive" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		struct sign_refusal r;
		struct sign_key key = { 0 };
		scene_init(&s);
		sign(&s, a);
		s.key.secret = "another secret";
		row[i].change(&s);
		enum rc rc = acs3_verify(&s.req, s.now_s, false, find_key, &s, NULL, a, &key, &r, NULL, NULL);
		EXPECT(rc == RC_OK && same(r.code, row[i].code), "%s: %s", row[i].what, r.code ? r.code : "good");
		EXPECT(row[i].code || same(key.access_key_id, "LTAItest"), "%s: no key", row[i].what);
		arena_free(a);
	}
}

TEST(unknown_key_leaves_key_and_trace_empty)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct nonces *n = nonces_new(10);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	s.key.access_key_id = "LTAIother";
	struct verdict v = verify(&s, n, a);
	EXPECT(same(v.refusal.code, "InvalidAccessKeyId.NotFound") && v.refusal.http_status == 404, "%s", code_of(&v));
	EXPECT(!v.key.access_key_id && !v.trace.string_to_sign && !v.trace.authorization, "something was given away");
	nonces_free(n);
	arena_free(a);
}

TEST(failures_are_no_verdicts)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct nonces *n = nonces_new(10);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	s.lookup_rc = RC_IO;
	struct verdict v = verify(&s, n, a);
	EXPECT(v.rc == RC_IO && same(v.refusal.code, "untouched"), "%s %s", rc_name(v.rc), code_of(&v));
	EXPECT(strstr(v.err.msg, "ill"), "%s", v.err.msg);
	s.lookup_rc = RC_OK;
	size_t size = 0;
	for (;; size += 2) { /* every way to run out of memory, until there is enough */
		struct arena *small = arena_new(size);
		v = verify(&s, n, small);
		arena_free(small);
		if (v.rc == RC_OK)
			break;
		EXPECT(v.rc == RC_LIMIT && same(v.refusal.code, "untouched"), "%zu: %s", size, rc_name(v.rc));
		EXPECT(!v.key.access_key_id && !v.trace.string_to_sign, "%zu: outputs touched", size);
	}
	EXPECT(!v.refusal.code && size > 100, "%zu: %s", size, code_of(&v));
	for (size_t ceiling = 0; ceiling < 300; ceiling += 4) {
		struct arena *small = arena_new(ceiling);
		EXPECT(!acs3_authorization(&s.req, "k", "s", small), "%zu bytes were enough", ceiling);
		arena_free(small);
	}
	char *query = mem_alloc(1 << 20);
	memset(query, '+', (1 << 20) - 1); /* three bytes each once encoded: past the limit of a canonical request */
	s.req.raw_query = query;
	struct arena *big = arena_new(1 << 26);
	v = verify(&s, n, big);
	EXPECT(v.rc == RC_LIMIT, "%s", rc_name(v.rc));
	arena_free(big);
	mem_free(query);
	nonces_free(n);
	arena_free(a);
}

TEST(a_prepared_key_verifies_as_its_secret_does)
{
	static const struct {
		const char *prepared_of;
		const char *code;
	} rows[] = { { "a secret", NULL }, { "another", "SignatureDoesNotMatch" } };
	struct arena *a = arena_new(ARENA_SIZE);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nonces *n = nonces_new(10);
		struct scene s;
		struct hash_key k;
		scene_init(&s);
		sign(&s, a);
		hash_key_init(&k, rows[i].prepared_of, strlen(rows[i].prepared_of));
		s.key.prepared = &k;
		s.key.secret = NULL; /* not asked for */
		struct verdict v = verify(&s, n, a);
		EXPECT(v.rc == RC_OK && same(v.refusal.code, rows[i].code), "%s: %s", rows[i].prepared_of, code_of(&v));
		nonces_free(n);
	}
	arena_free(a);
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block); and a state that is used again. */
TEST(published_macs)
{
	static const struct {
		const char *key, *text, *mac;
	} rows[] = {
		{ "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ "Jefe", "what do ya want for nothing?",
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	};
	char long_key[132] = { 0 };

	memset(long_key, 0xaa, 131);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *key = rows[i].key ? rows[i].key : long_key;
		unsigned char mac[HASH_LEN];
		char hex[2 * HASH_LEN + 1];
		struct hash_key k;
		hash_key_init(&k, key, strlen(key));
		for (int use = 0; use < 2; use++) {
			hash_mac(&k, rows[i].text, strlen(rows[i].text), mac);
			hex_of(mac, sizeof mac, hex);
			EXPECT(same(hex, rows[i].mac), "%zu, use %d: %s", i, use, hex);
		}
		hash_hmac(key, strlen(key), rows[i].text, strlen(rows[i].text), mac);
		hex_of(mac, sizeof mac, hex);
		EXPECT(same(hex, rows[i].mac), "%zu: %s", i, hex);
	}
}

static struct slice field_at(const struct canon_fields *f, size_t i) { return f->list[i].value; }

TEST(fields_are_found_by_name_in_order_of_arrival)
{
	static const struct sign_header headers[] = {
		{ "x-b", " 1\t" }, { "Host", "h" }, { "a", "" }, { "X-B", "2" }, { "x", "3" }, { "x-bb", "4" },
	};
	const struct sign_request req = { .method = "GET", .raw_path = "/", .raw_query = "", .headers = headers,
					  .n_headers = ARRAY_LEN(headers) };
	static const char *const order[] = { "", "h", "3", "1", "2", "4" };
	struct arena *a = arena_new(ARENA_SIZE);
	struct canon_fields f;

	EXPECT(canon_fields_of(&req, a, &f) && f.n == ARRAY_LEN(order), "%zu", f.n);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		EXPECT(slice_is(field_at(&f, i), order[i]), "%zu: %.*s", i, (int)field_at(&f, i).len,
		       field_at(&f, i).at);
	const struct canon_field *found = canon_field(&f, slice_of("x-b"));
	EXPECT(found && slice_is(found->value, "1"), "the first of two");
	EXPECT(!canon_field(&f, slice_of("x-")) && !canon_field(&f, slice_of("z")) && !canon_field(&f, slice_of("")),
	       "absent");
	EXPECT(!canon_field_repeat(&f, slice_of("host")), "x-b decides nothing");
	found = canon_field_repeat(&f, slice_of("host;x-b"));
	EXPECT(found && slice_is(found->name, "x-b"), "a signed one given twice");
	arena_free(a);
}

TEST(what_the_arena_lacked_costs_no_nonce)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	for (size_t size = 0;; size += 8) {
		struct nonces *n = nonces_new(10);
		struct arena *small = arena_new(size);
		struct verdict v = verify(&s, n, small);
		arena_free(small);
		bool failed = v.rc != RC_OK;
		if (failed) {
			v = verify(&s, n, a);
			EXPECT(v.rc == RC_OK && !v.refusal.code, "%zu: %s", size, code_of(&v));
			arena_reset(a);
			scene_init(&s);
			sign(&s, a);
		}
		nonces_free(n);
		if (!failed)
			break;
	}
	arena_free(a);
}

/* ---- pieces ---- */

TEST(published_hashes)
{
	char hex[65];

	sign_sha256_hex("", 0, hex);
	EXPECT(same(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "%s", hex);
	sign_sha256_hex(NULL, 0, hex);
	EXPECT(same(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "%s", hex);
	sign_sha256_hex("abc", 3, hex); /* FIPS 180-4 */
	EXPECT(same(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "%s", hex);
}

TEST(path_is_signed_as_received_but_for_three_replacements)
{
	const struct {
		const char *raw, *canonical;
	} row[] = {
		{ "", "/" },
		{ "/", "/" },
		{ "/a+b*c%7Ed", "/a%20b%2Ac~d" },
		{ "/%7e%2a%2B%41", "/%7e%2a%2B%41" },
		{ "/~!'()%7", "/~!'()%7" },
		{ "/%%7E%7", "/%~%7" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct nonces *n = nonces_new(10);
		struct scene s;
		char start[100];
		scene_init(&s);
		s.req.raw_path = row[i].raw;
		sign(&s, a);
		struct verdict v = verify(&s, n, a);
		int len = snprintf(start, sizeof start, "POST\n%s\na=1&b=2\n", row[i].canonical);
		EXPECT(!v.refusal.code && strncmp(v.trace.canonical_request, start, (size_t)len) == 0, "%s: %s",
		       row[i].raw, v.trace.canonical_request);
		nonces_free(n);
		arena_free(a);
	}
}

TEST(query_is_decoded_sorted_and_encoded)
{
	const struct {
		const char *raw, *canonical;
	} row[] = {
		{ "", "" },
		{ "&&", "" },
		{ "a", "a=" },
		{ "a=", "a=" },
		{ "=", "=" },
		{ "b=2&a=1", "a=1&b=2" },
		{ "a=2&a=1&a=1", "a=1&a=1&a=2" },
		{ "ab=1&a=2", "a=2&ab=1" },
		{ "a=1=2", "a=1%3D2" },
		{ "a;b=1", "a%3Bb=1" },
		{ "q=a+b%20c%2Bd", "q=a%20b%20c%2Bd" },
		{ "q=~*'()!", "q=~%2A%27%28%29%21" },
		{ "q=%e4%bd%A0", "q=%E4%BD%A0" },
		{ "q=%", "q=%25" },
		{ "q=%4", "q=%254" },
		{ "q=%zz%00", "q=%25zz%00" },
		{ "%62=1&a=2", "a=2&b=1" },
		{ "\xff=1&z=2", "z=2&%FF=1" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(10000);
		struct buf out;
		buf_init(&out, 1000);
		canon_query(&out, row[i].raw, a);
		EXPECT(same(buf_text(&out), row[i].canonical), "'%s': got '%s'", row[i].raw, buf_text(&out));
		buf_fini(&out);
		arena_free(a);
	}
}

TEST(decoding_keeps_a_plus_outside_of_queries)
{
	char out[16];
	size_t len = canon_decode(out, slice_of("a+%2b%2B"), CANON_PLUS_STAYS);
	EXPECT(len == 4 && memcmp(out, "a+++", 4) == 0, "%.*s", (int)len, out);
	len = canon_decode(out, slice_of("a+%2b"), CANON_PLUS_IS_SPACE);
	EXPECT(len == 3 && memcmp(out, "a +", 3) == 0, "%.*s", (int)len, out);
}

/* ---- nonces ---- */

TEST(a_nonce_counts_per_scheme_and_key)
{
	struct nonces *n = nonces_new(100);
	EXPECT(nonces_add(n, "S", "ab", "c", 1000) == NONCE_NEW, "first");
	EXPECT(nonces_add(n, "S", "ab", "c", 1000) == NONCE_SEEN, "second");
	EXPECT(nonces_add(n, "S", "a", "bc", 1000) == NONCE_NEW, "other split");
	EXPECT(nonces_add(n, "S", "abc", "", 1000) == NONCE_NEW, "other key");
	EXPECT(nonces_add(n, "T", "ab", "c", 1000) == NONCE_NEW, "other scheme");
	nonces_free(n);
	nonces_free(NULL);
}

TEST(a_nonce_is_kept_for_31_minutes)
{
	enum { START = 1795262400, KEEP = 31 * 60 };
	for (int second = 0; second < 60; second++) {
		struct nonces *n = nonces_new(100);
		int64_t at = START + second;
		EXPECT(nonces_add(n, "S", "k", "x", at) == NONCE_NEW, "first");
		EXPECT(nonces_add(n, "S", "k", "x", at + KEEP) == NONCE_SEEN, "second %d", second);
		EXPECT(nonces_add(n, "S", "k", "x", at + KEEP + 60) == NONCE_NEW, "second %d: kept too long", second);
		EXPECT(nonces_add(n, "S", "k", "x", at + KEEP + 61) == NONCE_SEEN, "second %d: again", second);
		nonces_free(n);
	}
}

static enum nonce_verdict add_number(struct nonces *n, int i, int64_t now_s)
{
	char text[16];
	(void)snprintf(text, sizeof text, "%d", i);
	return nonces_add(n, "S", "k", text, now_s);
}

TEST(full_refuses_until_the_oldest_bucket_may_go)
{
	struct nonces *n = nonces_new(100);
	for (int i = 0; i < 100; i++)
		EXPECT(add_number(n, i, 60 * (1000 + i / 50)) == NONCE_NEW, "%d", i);
	EXPECT(add_number(n, 100, 60 * 1001) == NONCE_FULL, "room in a full store");
	EXPECT(add_number(n, 7, 60 * 1001) == NONCE_SEEN, "a full store forgot");
	int64_t later = 60 * 1001 + 31 * 60; /* past the first minute's bucket, not the second's */
	for (int i = 100; i < 150; i++)
		EXPECT(add_number(n, i, later) == NONCE_NEW, "%d", i);
	EXPECT(add_number(n, 150, later) == NONCE_FULL, "room for more than was dropped");
	for (int i = 50; i < 150; i++)
		EXPECT(add_number(n, i, later) == NONCE_SEEN, "%d forgotten", i);
	nonces_free(n);
}

TEST(hours_of_traffic_agree_with_a_plain_list)
{
	enum { N = 4000, CAP = 340 };
	static int64_t first_s[N]; /* when a number was last taken as new */
	struct nonces *n = nonces_new(CAP);
	int64_t now_s = 1000000;
	int seen = 0, fresh = 0;

	memset(first_s, 0, sizeof first_s);
	for (int step = 0; step < 20000; step++) {
		int i = (step * 7919) % 353; /* comes again after 353 steps, within the window or not */
		now_s += step % 3000 < 2000 ? 5 : 11;
		enum nonce_verdict v = add_number(n, i, now_s);
		int64_t age_s = now_s - first_s[i];
		if (v == NONCE_NEW) {
			EXPECT(!first_s[i] || age_s > 31 * 60, "step %d: a replay after %lld s", step,
			       (long long)age_s);
			first_s[i] = now_s;
			fresh++;
		} else if (v == NONCE_SEEN) {
			EXPECT(first_s[i] && age_s <= 32 * 60, "step %d: remembered for %lld s", step,
			       (long long)age_s);
			seen++;
		}
	}
	EXPECT(seen > 100 && fresh > 1000, "%d seen, %d new", seen, fresh);
	nonces_free(n);
}

TEST(a_clock_set_back_forgets_nothing_and_heals)
{
	struct nonces *n = nonces_new(3);
	int64_t ahead = INT64_C(2000000000), now = 1795262400;

	EXPECT(add_number(n, 1, ahead) == NONCE_NEW, "ahead");
	EXPECT(add_number(n, 1, ahead - 600) == NONCE_SEEN, "a little back");
	EXPECT(add_number(n, 2, ahead - 600) == NONCE_NEW, "a little back");
	EXPECT(add_number(n, 1, now) == NONCE_SEEN && add_number(n, 2, now) == NONCE_SEEN, "far back");
	EXPECT(add_number(n, 3, now) == NONCE_NEW && add_number(n, 4, now) == NONCE_FULL, "far back");
	EXPECT(add_number(n, 4, now + 33 * 60) == NONCE_NEW, "entries dated in the future never left");
	nonces_free(n);
}

enum { THREADS = 4, PER_THREAD = 3000 };

static void *add_all(void *arg)
{
	struct nonces *n = arg;
	intptr_t fresh = 0;
	for (int i = 0; i < PER_THREAD; i++)
		fresh += add_number(n, i, 5000) == NONCE_NEW;
	return (void *)fresh;
}

TEST(of_threads_with_one_nonce_one_wins)
{
	struct nonces *n = nonces_new(PER_THREAD);
	pthread_t id[THREADS];
	intptr_t total = 0;

	for (int i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&id[i], NULL, add_all, n) == 0, "thread %d", i);
	for (int i = 0; i < THREADS; i++) {
		void *fresh = NULL;
		(void)pthread_join(id[i], &fresh);
		total += (intptr_t)fresh;
	}
	EXPECT(total == PER_THREAD, "%ld taken as new", (long)total);
	nonces_free(n);
}

int main(void)
{
	RUN(every_vector_of_the_contract);
	RUN(we_sign_as_the_sdks_do);
	RUN(refusals_beyond_the_vectors);
	RUN(a_change_of_any_signed_byte_is_refused);
	RUN(too_many_headers_are_refused_before_any_is_compared);
	RUN(temporary_keys_need_their_own_token_in_time);
	RUN(a_wrong_body_is_told_from_a_wrong_secret);
	RUN(a_full_nonce_store_throttles);
	RUN(lax_mode_wants_form_and_a_known_key);
	RUN(unknown_key_leaves_key_and_trace_empty);
	RUN(failures_are_no_verdicts);
	RUN(a_prepared_key_verifies_as_its_secret_does);
	RUN(published_macs);
	RUN(fields_are_found_by_name_in_order_of_arrival);
	RUN(what_the_arena_lacked_costs_no_nonce);
	RUN(published_hashes);
	RUN(path_is_signed_as_received_but_for_three_replacements);
	RUN(query_is_decoded_sorted_and_encoded);
	RUN(decoding_keeps_a_plus_outside_of_queries);
	RUN(a_nonce_counts_per_scheme_and_key);
	RUN(a_nonce_is_kept_for_31_minutes);
	RUN(full_refuses_until_the_oldest_bucket_may_go);
	RUN(hours_of_traffic_agree_with_a_plain_list);
	RUN(a_clock_set_back_forgets_nothing_and_heals);
	RUN(of_threads_with_one_nonce_one_wins);
	return test_failures != 0;
}
