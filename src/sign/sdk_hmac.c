/*
 * The verifier is a chain of checks in the vendor's order; the first that fails puts the refusal into struct check
 * and ends the chain. SDKs hash a few kinds of request in more than one way, so the last
 * check goes through a short list of candidates. Memory is bounded by the arena and by CANON_TEXT_MAX.
 */
#include "sign/sdk_hmac.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/must.h"
#include "sign/canon.h"
#include "sign/hash.h"

#define SCHEME "SDK-HMAC-SHA256"
#define UNSIGNED "UNSIGNED-PAYLOAD"
#define MALFORMED                                                                                                      \
	"Authorization is not \"" SCHEME " Access=KEY, SignedHeaders=a;b, Signature=64 hex digits\" or the same with " \
	"Credential=KEY/YYYYMMDD/REGION/SERVICE/sdk_request"

/* error_code has room for nine characters. The texts behind the colon are the vendor's where he has one. */
#define CODE_WRONG "DCS.1001"
#define CODE_EXPIRED "DCS.1002"
#define CODE_NONE "DCS.1003"

enum {
	MAC_LEN = 32,
	DATE_LEN = 16, /* YYYYMMDDThhmmssZ */
	DAY_LEN = 8,
	SCOPE_PARTS = 4,
	SCOPE_MAX = 256,
	BODY_MAX = 12 << 20,
	PAYLOADS_MAX = 3,
};

/* What Authorization says. */
struct claim {
	struct slice key_id, names, signature;
	struct slice scope; /* "20261121///sdk_request"; empty: the form without one */
};

/* How the last line of the canonical request may have been made. */
struct payload {
	char text[CANON_HASH_LEN + 1];
	bool has_query; /* the query is in text, and so not in its own line */
};

/* One verification under way. */
struct check {
	const struct sign_request *req;
	int64_t now_s;
	struct arena *a;
	struct claim claim;
	struct sign_refusal refusal;
	struct sign_trace trace;
	bool is_over; /* the canonical request outgrew CANON_TEXT_MAX */
};

PRINTF(3, 4) static bool refuse(struct check *c, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *why = arena_vprintf(c->a, fmt, ap);
	va_end(ap);
	c->refusal = (struct sign_refusal){
		code, 401, arena_printf(c->a, "Incorrect IAM authentication information: %s", why ? why : "")
	};
	return false;
}

static void hmac(const void *key, size_t key_len, struct slice text, unsigned char mac[MAC_LEN])
{
	hash_hmac(key, key_len, text.at, text.len, mac);
}

/* With a scope the secret only starts a chain, one round per part of the scope, empty parts too. */
static bool sign_text(const struct claim *claim, const char *secret, const char *text, struct arena *a,
                      unsigned char mac[MAC_LEN])
{
	unsigned char key[MAC_LEN];
	struct slice rest = claim->scope;

	if (!rest.len) {
		hmac(secret, strlen(secret), slice_of(text), mac);
		return true;
	}
	char *seed = arena_printf(a, "SDK%s", secret);
	if (!seed)
		return false;
	hmac(seed, strlen(seed), slice_cut(&rest, '/'), key);
	OPENSSL_cleanse(seed, strlen(seed));
	for (int i = 1; i < SCOPE_PARTS; i++) {
		hmac(key, MAC_LEN, slice_cut(&rest, '/'), mac);
		memcpy(key, mac, MAC_LEN);
	}
	hmac(key, MAC_LEN, slice_of(text), mac);
	OPENSSL_cleanse(key, MAC_LEN);
	return true;
}

/* Decoded and encoded anew, so however a client escapes, the same text is signed; always with a slash at its end. */
static void add_uri(struct buf *out, const char *raw_path, struct arena *a)
{
	struct slice raw = slice_of(raw_path);
	char *path = arena_alloc(a, raw.len + 1);

	if (!path)
		return;
	size_t len = canon_decode(path, raw, CANON_PLUS_STAYS);
	struct slice rest = { path, len };
	while (rest.len) {
		struct slice segment = { rest.at, 0 };
		while (segment.len < rest.len && rest.at[segment.len] != '/')
			segment.len++;
		canon_encode(out, segment);
		rest = (struct slice){ rest.at + segment.len, rest.len - segment.len };
		if (slice_take(&rest, "/"))
			buf_addc(out, '/');
	}
	if (!len || path[len - 1] != '/')
		buf_addc(out, '/');
}

/* The SDKs that send a scope sign each run of blanks within a value as one space. */
static void add_squeezed(struct buf *out, struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (!canon_is_blank(value.at[i]))
			buf_addc(out, value.at[i]);
		else if (!canon_is_blank(value.at[i - 1])) /* i > 0: outer blanks are gone already */
			buf_addc(out, ' ');
	}
}

/* Every name of the claim must be in the request. */
static void add_headers(struct buf *out, const struct sign_request *req, const struct claim *claim)
{
	struct slice rest = claim->names, value;

	while (rest.len) {
		struct slice name = slice_cut(&rest, ';');
		must(canon_header(req, name, &value));
		slice_add(out, name);
		buf_addc(out, ':');
		if (claim->scope.len)
			add_squeezed(out, value);
		else
			slice_add(out, value);
		buf_addc(out, '\n');
	}
}

static void add_canonical_request(struct buf *out, const struct sign_request *req, const struct claim *claim,
                                  const struct payload *payload, struct arena *a)
{
	buf_addf(out, "%s\n", req->method);
	add_uri(out, req->raw_path, a);
	buf_addc(out, '\n');
	if (!payload->has_query)
		canon_query(out, req->raw_query, a);
	buf_addc(out, '\n');
	add_headers(out, req, claim);
	buf_addc(out, '\n');
	slice_add(out, claim->names);
	buf_addf(out, "\n%s", payload->text);
}

static const char *print_string_to_sign(const struct sign_request *req, const struct claim *claim,
                                        const char *canonical_hash, struct arena *a)
{
	struct slice date;

	must(canon_header(req, slice_of("x-sdk-date"), &date));
	return arena_printf(a, SCHEME "\n%.*s\n%.*s%s%s", (int)date.len, date.at, (int)claim->scope.len,
	                    claim->scope.at, claim->scope.len ? "\n" : "", canonical_hash);
}

static const char *print_authorization(const struct claim *claim, const char *mac, struct arena *a)
{
	bool is_scoped = claim->scope.len > 0;

	return arena_printf(a, SCHEME " %s=%.*s%s%.*s, SignedHeaders=%.*s, Signature=%s",
	                    is_scoped ? "Credential" : "Access", (int)claim->key_id.len, claim->key_id.at,
	                    is_scoped ? "/" : "", (int)claim->scope.len, claim->scope.at, (int)claim->names.len,
	                    claim->names.at, mac);
}

/* Compute all a correct server or client computes. False when the arena or CANON_TEXT_MAX is too small. */
static bool compute(const struct sign_request *req, const struct claim *claim, const struct payload *payload,
                    const char *secret, struct arena *a, struct sign_trace *out)
{
	struct buf text;
	unsigned char mac[MAC_LEN];
	char hash[CANON_HASH_LEN + 1], mac_hex[CANON_HASH_LEN + 1];

	buf_init(&text, CANON_TEXT_MAX);
	add_canonical_request(&text, req, claim, payload, a);
	bool is_over = text.is_over;
	sign_sha256_hex(buf_text(&text), text.len, hash);
	out->canonical_request = arena_dup_n(a, buf_text(&text), text.len);
	buf_fini(&text);
	out->string_to_sign = print_string_to_sign(req, claim, hash, a);
	if (is_over || !out->string_to_sign || !sign_text(claim, secret, out->string_to_sign, a, mac))
		return false;
	hex_of(mac, MAC_LEN, mac_hex);
	out->authorization = print_authorization(claim, mac_hex, a);
	return !arena_is_full(a);
}

static bool is_one_line(struct check *c)
{
	if (c->req->n_headers > CANON_HEADERS_MAX)
		return refuse(c, CODE_WRONG, "the request has more than %d headers", CANON_HEADERS_MAX);
	return !canon_has_line_break(c->req) ||
	       refuse(c, CODE_WRONG, "the request line or a header holds a line break");
}

/* "b;a;c": lower case and none twice. The order is the client's, and signed. */
static bool is_name_list(struct slice names)
{
	struct slice rest = names;

	if (!names.len || names.at[names.len - 1] == ';')
		return false;
	for (int n = 0; rest.len; n++) {
		struct slice before = { names.at, names.len - rest.len };
		struct slice name = slice_cut(&rest, ';');
		if (n == CANON_HEADERS_MAX || !canon_is_name(name) || canon_list_has(before, name))
			return false;
	}
	return true;
}

/* "YYYYMMDD/region/service/sdk_request"; region and service may be empty, and are from the SDKs. */
static bool is_scope(struct slice scope)
{
	if (!slice_is_printable(scope) || scope.len > SCOPE_MAX)
		return false;
	struct slice day = slice_cut(&scope, '/');
	(void)slice_cut(&scope, '/');
	(void)slice_cut(&scope, '/');
	return day.len == DAY_LEN && slice_is(scope, "sdk_request");
}

static bool parse_claim(struct slice text, struct claim *out)
{
	struct slice key_id = canon_take_member(&text), names = canon_take_member(&text), signature = text,
	             scope = { "", 0 };

	if (slice_take(&key_id, "Credential=")) {
		scope = key_id;
		key_id = slice_cut(&scope, '/');
		if (!is_scope(scope))
			return false;
	} else if (!slice_take(&key_id, "Access=")) {
		return false;
	}
	if (!slice_is_printable(key_id) || key_id.len > CANON_KEY_ID_MAX)
		return false;
	if (!slice_take(&names, "SignedHeaders=") || !is_name_list(names))
		return false;
	if (!slice_take(&signature, "Signature=") || !canon_is_hash(signature))
		return false;
	*out = (struct claim){ key_id, names, signature, scope };
	return true;
}

/* Algorithms that the SDKs have to be told to use, and those of the other cloud. */
static bool is_other_algorithm(struct slice text)
{
	static const char *const starts[] = { "SDK-", "V11-", "ACS3-", "acs ", "OPENSEARCH " };

	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		if (slice_take(&text, starts[i]))
			return true;
	}
	return false;
}

static bool read_claim(struct check *c)
{
	struct slice name = slice_of("authorization"), text = { "", 0 };

	if (canon_count(c->req, name) > 1)
		return refuse(c, CODE_WRONG, "header authorization is given more than once");
	(void)canon_header(c->req, name, &text); /* absent reads as empty */
	if (slice_take(&text, SCHEME " ") || slice_is(text, SCHEME))
		return parse_claim(text, &c->claim) || refuse(c, CODE_WRONG, "%s", MALFORMED);
	if (is_other_algorithm(text))
		return refuse(c, CODE_WRONG, "the algorithm of Authorization is not supported, use " SCHEME);
	if (!text.len && canon_count(c->req, slice_of("x-auth-token")))
		return refuse(c, CODE_WRONG, "decrypt token fail"); /* nobody issued it */
	return refuse(c, CODE_NONE, "x-auth-token not found");
}

static bool repeats_nothing(struct check *c)
{
	const char *name = canon_find_repeat(c->req, c->claim.names);

	return !name || refuse(c, CODE_WRONG, "header %.100s is given more than once", name);
}

static bool parse_date(struct slice text, int64_t *date_s)
{
	char iso[CLOCK_TEXT_SIZE];
	const char *p = text.at;

	if (text.len != DATE_LEN)
		return false;
	(void)snprintf(iso, sizeof iso, "%.4s-%.2s-%.5s:%.2s:%.3s", p, p + 4, p + 6, p + 11, p + 13);
	return clock_parse_iso(iso, date_s);
}

static bool is_dated_now(struct check *c)
{
	struct slice date = { "", 0 }, scope = c->claim.scope;
	int64_t date_s;

	(void)canon_header(c->req, slice_of("x-sdk-date"), &date); /* absent reads as empty */
	if (!date.len)
		return refuse(c, CODE_WRONG, "calc ak sk signature fail:header x-sdk-date is missing");
	if (!parse_date(date, &date_s))
		return refuse(c, CODE_WRONG, "calc ak sk signature fail:x-sdk-date is not YYYYMMDDThhmmssZ in UTC");
	if (scope.len && memcmp(scope.at, date.at, DAY_LEN) != 0)
		return refuse(c, CODE_WRONG, "calc ak sk signature fail:the day in Credential is not x-sdk-date's");
	if (date_s < c->now_s - CANON_WINDOW_S || date_s > c->now_s + CANON_WINDOW_S)
		return refuse(c, CODE_WRONG, "calc ak sk signature fail:signature expired");
	return true;
}

static bool has_fair_size(struct check *c)
{
	return c->req->body_len <= BODY_MAX || refuse(c, CODE_WRONG, "calc aksk signature fail:body too large");
}

static bool has_active_key(struct check *c, const struct sign_key *key)
{
	return key->status == SIGN_KEY_ACTIVE ||
	       refuse(c, CODE_WRONG, "ak %.*s is disabled", (int)c->claim.key_id.len, c->claim.key_id.at);
}

/* A temporary key works with its own token only, a permanent one with none. Some SDKs do not sign the token, hence
 * it is compared before the signature and whatever the list of signed headers says. */
static bool has_right_token(struct check *c, const struct sign_key *key)
{
	struct slice token = { "", 0 };
	bool is_given = canon_header(c->req, slice_of("x-security-token"), &token);

	if (!key->security_token)
		return !is_given || refuse(c, CODE_WRONG, "decrypt token fail");
	if (!token.len || token.len > CANON_TOKEN_MAX || token.len != strlen(key->security_token) ||
	    CRYPTO_memcmp(token.at, key->security_token, token.len) != 0)
		return refuse(c, CODE_WRONG, "decrypt token fail");
	if (key->expires_s && c->now_s >= key->expires_s)
		return refuse(c, CODE_EXPIRED, "decrypt token fail");
	return true;
}

/* The vendor's Go SDK (seen: 0.1.207) leaves the host out. That it is this one stands in a header which it does sign,
 * so no other client's request can be bent to pass for it. */
static bool may_omit_host(const struct check *c)
{
	static const char go[] = "huaweicloud-usdk-go/";
	struct slice agent = { "", 0 };

	return canon_list_has(c->claim.names, slice_of("user-agent")) &&
	       canon_header(c->req, slice_of("user-agent"), &agent) && agent.len >= sizeof go - 1 &&
	       memcmp(agent.at, go, sizeof go - 1) == 0;
}

static bool signs_enough(struct check *c)
{
	static const char *const required[] = { "x-sdk-date", "host" };
	size_t n_required = may_omit_host(c) ? 1 : ARRAY_LEN(required);
	struct slice rest = c->claim.names;

	while (rest.len) {
		struct slice name = slice_cut(&rest, ';');
		if (!canon_count(c->req, name))
			return refuse(c, CODE_WRONG, "SignedHeaders names %.*s, which the request does not have",
			              name.len < 100 ? (int)name.len : 100, name.at);
	}
	for (size_t i = 0; i < n_required; i++) {
		if (!canon_list_has(c->claim.names, slice_of(required[i])))
			return refuse(c, CODE_WRONG, "SignedHeaders does not name %s", required[i]);
	}
	return true;
}

/* All bodies of the API are JSON: an unsigned one of another type has no effect there, so its bytes may go unsigned. */
static bool is_never_json(const struct sign_request *req)
{
	struct slice type = { "", 0 };

	(void)canon_header(req, slice_of("content-type"), &type); /* absent reads as empty */
	return type.len && !canon_name_begins(type.at, "application/json") &&
	       !canon_name_begins(type.at, "application/bson");
}

static struct payload payload_of(const char *text)
{
	struct payload p = { .has_query = false };
	size_t len = strlen(text);

	must(len < sizeof p.text);
	memcpy(p.text, text, len);
	return p;
}

/* The query as a form, hashed: how gophertelekomcloud signs a POST that has parameters and no body. */
static struct payload payload_of_query(struct check *c)
{
	struct payload p = { .has_query = true };
	struct buf form;

	buf_init(&form, CANON_TEXT_MAX);
	canon_query_form(&form, c->req->raw_query, c->a);
	c->is_over = c->is_over || form.is_over;
	sign_sha256_hex(buf_text(&form), form.len, p.text);
	buf_fini(&form);
	return p;
}

/* What may stand in for the body, the likeliest first; none when the request claims another one than it has. */
static size_t list_payloads(struct check *c, struct payload out[PAYLOADS_MAX])
{
	const struct sign_request *req = c->req;
	struct slice name = slice_of("x-sdk-content-sha256"), claimed;
	bool is_claimed = canon_header(req, name, &claimed);
	char hash[CANON_HASH_LEN + 1];
	size_t n = 0;

	sign_sha256_hex(req->body, req->body_len, hash);
	if (!is_claimed || slice_is(claimed, hash)) {
		out[n++] = payload_of(hash);
	} else if (slice_is(claimed, UNSIGNED) && canon_list_has(c->claim.names, name) && is_never_json(req)) {
		out[n++] = payload_of(UNSIGNED);
		if (!req->body_len)
			out[n++] = payload_of(hash); /* the Python SDK's way */
	} else {
		return 0;
	}
	if (c->claim.scope.len && !req->body_len && *req->raw_query && strcmp(req->method, "POST") == 0)
		out[n++] = payload_of_query(c);
	return n;
}

static bool is_signed(struct check *c, const char *secret)
{
	struct payload payloads[PAYLOADS_MAX];

	if (!signs_enough(c))
		return false;
	size_t n = list_payloads(c, payloads);
	if (!n)
		return refuse(c, CODE_WRONG, "x-sdk-content-sha256 is not the hash of the body");
	for (size_t i = 0; i < n && !c->is_over; i++) {
		struct sign_trace made = { 0 };
		c->is_over = !compute(c->req, &c->claim, &payloads[i], secret, c->a, &made);
		if (c->is_over)
			return false;
		const char *mac = made.authorization + strlen(made.authorization) - CANON_HASH_LEN;
		bool matches = CRYPTO_memcmp(mac, c->claim.signature.at, CANON_HASH_LEN) == 0;
		if (matches || i == 0)
			c->trace = made;
		if (matches)
			return true;
	}
	return refuse(c, CODE_WRONG, "verify aksk signature fail");
}

/* Spend on an unknown key what a known one costs, so that timing does not tell them apart. */
static void pretend(struct check *c)
{
	(void)is_signed(c, "secret-of-a-key-that-does-not-exist"); /* its verdict is not the one to give */
	c->trace = (struct sign_trace){ 0 };
	(void)refuse(c, CODE_WRONG, "ak %.*s not exist", (int)c->claim.key_id.len, c->claim.key_id.at);
}

enum rc sdk_hmac_verify(const struct sign_request *req, int64_t now_s, bool check_signature, sign_lookup_fn *lookup,
                        void *lookup_ctx, struct arena *a, struct sign_key *key, struct sign_refusal *refusal,
                        struct sign_trace *trace, struct err *err)
{
	struct check c = { .req = req, .now_s = now_s, .a = a };
	struct sign_key found = { 0 };
	bool is_known = false;

	if (is_one_line(&c) && read_claim(&c) && repeats_nothing(&c) && is_dated_now(&c) && has_fair_size(&c)) {
		const char *key_id = arena_dup_n(a, c.claim.key_id.at, c.claim.key_id.len);
		enum rc rc = key_id ? lookup(lookup_ctx, key_id, a, &found, err) : RC_LIMIT;
		is_known = rc == RC_OK;
		if (rc == RC_NOT_FOUND)
			pretend(&c);
		else if (key_id && !is_known)
			return rc;
		else if (is_known && has_active_key(&c, &found) && check_signature)
			(void)(has_right_token(&c, &found) && is_signed(&c, found.secret)); /* verdicts are in c */
	}
	if (c.is_over || arena_is_full(a))
		return err_set(err, RC_LIMIT, "the request is too large to check its signature");
	if (is_known)
		*key = found;
	if (trace)
		*trace = c.trace;
	*refusal = c.refusal;
	return RC_OK;
}

/* "content-type;host;x-sdk-date": what of the request's headers we sign. NULL when the arena is full. */
static const char *names_to_sign(const struct sign_request *req, struct arena *a)
{
	static const char *const wanted[] = { "content-type", "host",
		                              "user-agent",   "x-domain-id",
		                              "x-project-id", "x-sdk-content-sha256",
		                              "x-sdk-date",   "x-security-token" };
	struct buf list;

	buf_init(&list, CANON_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		size_t n = canon_count(req, slice_of(wanted[i]));
		must(n <= 1);
		if (n)
			buf_addf(&list, "%s%s", list.len ? ";" : "", wanted[i]);
	}
	const char *names = arena_dup_n(a, buf_text(&list), list.len);
	buf_fini(&list);
	return names;
}

char *sdk_hmac_authorization(const struct sign_request *req, const char *access_key_id, const char *secret,
                             struct arena *a)
{
	const char *names = names_to_sign(req, a);
	struct slice claimed = { "", 0 };
	struct payload payload = { .has_query = false };
	struct sign_trace made = { 0 };

	if (!names)
		return NULL;
	sign_sha256_hex(req->body, req->body_len, payload.text);
	(void)canon_header(req, slice_of("x-sdk-content-sha256"), &claimed); /* absent reads as empty */
	if (slice_is(claimed, UNSIGNED))
		payload = payload_of(UNSIGNED);
	struct claim claim = { .key_id = slice_of(access_key_id), .names = slice_of(names), .scope = { "", 0 } };
	return compute(req, &claim, &payload, secret, a, &made) ? arena_dup(a, made.authorization) : NULL;
}
