/*
 * The verifier is a chain of checks in the contract's order (auth.md section 6); the first that fails puts the
 * refusal into struct check and ends the chain. Memory is bounded by the arena and by CANON_TEXT_MAX.
 */
#include "sign/acs3.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/must.h"
#include "sign/canon.h"
#include "sign/hash.h"

#define SCHEME "ACS3-HMAC-SHA256"

#define REFUSALS(X)                                                                                                    \
	X(NO_AUTHORIZATION, "MissingAccessKeyId", 400)                                                                 \
	X(MALFORMED, "IncompleteSignature", 400)                                                                       \
	X(METHOD, "InvalidSignatureMethod", 400)                                                                       \
	X(NO_DATE, "MissingTimestamp", 400)                                                                            \
	X(NO_NONCE, "MissingSignatureNonce", 400)                                                                      \
	X(NO_ACTION, "MissingAction", 400)                                                                             \
	X(NO_VERSION, "MissingVersion", 400)                                                                           \
	X(DATE_FORMAT, "InvalidTimeStamp.Format", 400)                                                                 \
	X(DATE_EXPIRED, "InvalidTimeStamp.Expired", 400)                                                               \
	X(KEY_UNKNOWN, "InvalidAccessKeyId.NotFound", 404)                                                             \
	X(KEY_INACTIVE, "InvalidAccessKeyId.Inactive", 400)                                                            \
	X(NO_TOKEN, "MissingSecurityToken", 400)                                                                       \
	X(TOKEN_OTHER, "InvalidSecurityToken.MismatchWithAccessKey", 400)                                              \
	X(TOKEN_MALFORMED, "InvalidSecurityToken.Malformed", 400)                                                      \
	X(TOKEN_EXPIRED, "InvalidSecurityToken.Expired", 400)                                                          \
	X(MISMATCH, "SignatureDoesNotMatch", 400)                                                                      \
	X(REPLAY, "SignatureNonceUsed", 400)                                                                           \
	X(THROTTLED, "Throttling.User", 429)

enum why {
#define X(name, code, status) WHY_##name,
	REFUSALS(X)
#undef X
};

static const struct {
	const char *code;
	int status;
} refusals[] = {
#define X(name, code, status) { code, status },
	REFUSALS(X)
#undef X
};

/* What Authorization says. */
struct claim {
	struct slice key_id, signed_names, signature;
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

PRINTF(3, 4) static bool refuse(struct check *c, enum why why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	c->refusal = (struct sign_refusal){ refusals[why].code, refusals[why].status, arena_vprintf(c->a, fmt, ap) };
	va_end(ap);
	return false;
}

void sign_sha256_hex(const void *bytes, size_t len, char out[65])
{
	unsigned char hash[HASH_LEN];

	hash_sha256(bytes, len, hash);
	canon_hex(hash, sizeof hash, out);
}

static void hmac_hex(const char *secret, const char *text, char out[65])
{
	unsigned char mac[HASH_LEN];

	hash_hmac(secret, strlen(secret), text, strlen(text), mac);
	canon_hex(mac, sizeof mac, out);
}

/* The path is taken as received, since SDKs differ in what they escape, but for three replacements. */
static void add_uri(struct buf *out, const char *raw_path)
{
	if (!*raw_path)
		buf_addc(out, '/');
	for (const char *p = raw_path; *p; p++) {
		size_t plain = strcspn(p, "+*%");
		buf_add(out, p, plain);
		p += plain;
		if (!*p)
			break;
		if (*p == '+') {
			buf_adds(out, "%20");
		} else if (*p == '*') {
			buf_adds(out, "%2A");
		} else if (strncmp(p, "%7E", 3) == 0) {
			buf_addc(out, '~');
			p += 2;
		} else {
			buf_addc(out, *p);
		}
	}
}

/* Every name in names must be in the request, and x-acs-content-sha256 as well. */
static void add_canonical_request(struct buf *out, const struct sign_request *req, struct slice names, struct arena *a)
{
	struct slice rest = names, value;

	buf_adds(out, req->method);
	buf_addc(out, '\n');
	add_uri(out, req->raw_path);
	buf_addc(out, '\n');
	canon_query(out, req->raw_query, a);
	buf_addc(out, '\n');
	while (rest.len) {
		struct slice name = slice_cut(&rest, ';');
		must(canon_header(req, name, &value));
		slice_add(out, name);
		buf_addc(out, ':');
		slice_add(out, value);
		buf_addc(out, '\n');
	}
	buf_addc(out, '\n');
	slice_add(out, names);
	buf_addc(out, '\n');
	must(canon_header(req, slice_of("x-acs-content-sha256"), &value));
	slice_add(out, value);
}

/* Compute all a correct server or client computes. False when the arena or CANON_TEXT_MAX is too small. */
static bool compute(const struct sign_request *req, const struct claim *claim, const char *secret, struct arena *a,
                    struct sign_trace *out)
{
	struct buf text;
	char hash[CANON_HASH_LEN + 1], mac[CANON_HASH_LEN + 1];

	buf_init(&text, CANON_TEXT_MAX);
	add_canonical_request(&text, req, claim->signed_names, a);
	bool is_over = text.is_over;
	sign_sha256_hex(buf_text(&text), text.len, hash);
	out->canonical_request = arena_dup_n(a, buf_text(&text), text.len);
	buf_fini(&text);
	out->string_to_sign = arena_printf(a, SCHEME "\n%s", hash);
	if (is_over || !out->string_to_sign)
		return false;
	hmac_hex(secret, out->string_to_sign, mac);
	out->authorization =
	        arena_printf(a, SCHEME " Credential=%.*s,SignedHeaders=%.*s,Signature=%s", (int)claim->key_id.len,
	                     claim->key_id.at, (int)claim->signed_names.len, claim->signed_names.at, mac);
	return !arena_is_full(a);
}

static bool is_one_line(struct check *c)
{
	if (c->req->n_headers > CANON_HEADERS_MAX)
		return refuse(c, WHY_MALFORMED, "The request has more than %d headers.", CANON_HEADERS_MAX);
	return !canon_has_line_break(c->req) ||
	       refuse(c, WHY_MALFORMED, "The request line or a header holds a line break.");
}

/* "a;b;c": lower case, strictly ascending, so that none repeats. */
static bool is_name_list(struct slice names)
{
	struct slice last = { "", 0 };

	if (!names.len || names.at[names.len - 1] == ';')
		return false;
	while (names.len) {
		struct slice name = slice_cut(&names, ';');
		if (!canon_is_name(name) || slice_compare(last, name) >= 0)
			return false;
		last = name;
	}
	return true;
}

static bool parse_claim(struct slice text, struct claim *out)
{
	struct slice key_id = canon_take_member(&text), names = canon_take_member(&text), signature = text;

	if (!slice_take(&key_id, "Credential=") || !slice_is_printable(key_id) || key_id.len > CANON_KEY_ID_MAX)
		return false;
	if (!slice_take(&names, "SignedHeaders=") || !is_name_list(names))
		return false;
	if (!slice_take(&signature, "Signature=") || !canon_is_hash(signature))
		return false;
	*out = (struct claim){ key_id, names, signature };
	return true;
}

static bool read_claim(struct check *c)
{
	struct slice name = slice_of("authorization"), text = { "", 0 };

	if (canon_count(c->req, name) > 1)
		return refuse(c, WHY_MALFORMED, "Authorization is given more than once.");
	(void)canon_header(c->req, name, &text); /* absent reads as empty */
	if (slice_take(&text, SCHEME " ") || slice_is(text, SCHEME))
		return parse_claim(text, &c->claim) ||
		       refuse(c, WHY_MALFORMED,
		              "Authorization is not \"" SCHEME " Credential=KEY,SignedHeaders=a;b,"
		              "Signature=64 hex digits\" with the header names in ascending order.");
	if (slice_take(&text, "ACS3-") || slice_take(&text, "acs "))
		return refuse(c, WHY_METHOD, "The signature method is not supported; use " SCHEME ".");
	return refuse(c, WHY_NO_AUTHORIZATION, "The request is not signed: it has no Authorization of a known scheme.");
}

static bool repeats_nothing(struct check *c)
{
	const char *name = canon_find_repeat(c->req, c->claim.signed_names);

	return !name || refuse(c, WHY_MALFORMED, "Header %.100s is given more than once.", name);
}

static bool has_required(struct check *c)
{
	static const struct {
		const char *name;
		enum why why;
	} required[] = {
		{ "x-acs-date", WHY_NO_DATE },
		{ "x-acs-signature-nonce", WHY_NO_NONCE },
		{ "x-acs-action", WHY_NO_ACTION },
		{ "x-acs-version", WHY_NO_VERSION },
		{ "x-acs-content-sha256", WHY_MALFORMED },
	};

	for (size_t i = 0; i < ARRAY_LEN(required); i++) {
		struct slice value = { "", 0 };
		(void)canon_header(c->req, slice_of(required[i].name), &value); /* empty is as good as absent */
		if (!value.len)
			return refuse(c, required[i].why, "Header %s is mandatory for this request.", required[i].name);
	}
	return true;
}

static bool is_dated_now(struct check *c)
{
	char text[CLOCK_TEXT_SIZE] = "";
	struct slice value;
	int64_t date_s;

	must(canon_header(c->req, slice_of("x-acs-date"), &value));
	if (value.len < sizeof text)
		memcpy(text, value.at, value.len);
	if (!clock_parse_iso(text, &date_s))
		return refuse(c, WHY_DATE_FORMAT, "x-acs-date is not of the form YYYY-MM-DDThh:mm:ssZ (UTC).");
	if (date_s < c->now_s - CANON_WINDOW_S || date_s > c->now_s + CANON_WINDOW_S) {
		char now[CLOCK_TEXT_SIZE];
		clock_iso(now, c->now_s);
		return refuse(c, WHY_DATE_EXPIRED, "x-acs-date %s is more than 15 minutes from the server's time %s.",
		              text, now);
	}
	return true;
}

static bool has_active_key(struct check *c, const struct sign_key *key)
{
	return key->status == SIGN_KEY_ACTIVE || refuse(c, WHY_KEY_INACTIVE, "The specified access key is disabled.");
}

/* A temporary key works with its own token only, a permanent one with none. */
static bool has_right_token(struct check *c, const struct sign_key *key)
{
	struct slice token;
	bool is_given = canon_header(c->req, slice_of("x-acs-security-token"), &token);

	if (!key->security_token)
		return !is_given || refuse(c, WHY_TOKEN_OTHER, "A permanent access key goes without a security token.");
	if (!is_given || !token.len)
		return refuse(c, WHY_NO_TOKEN, "Header x-acs-security-token is mandatory for a temporary access key.");
	if (!slice_is_printable(token) || token.len > CANON_TOKEN_MAX)
		return refuse(c, WHY_TOKEN_MALFORMED, "The security token is not readable.");
	if (token.len != strlen(key->security_token) || CRYPTO_memcmp(token.at, key->security_token, token.len) != 0)
		return refuse(c, WHY_TOKEN_OTHER, "The security token does not belong to the access key.");
	if (key->expires_s && c->now_s >= key->expires_s)
		return refuse(c, WHY_TOKEN_EXPIRED, "The security token has expired.");
	return true;
}

static bool signs_enough(struct check *c)
{
	struct slice rest = c->claim.signed_names;

	while (rest.len) {
		struct slice name = slice_cut(&rest, ';');
		if (!canon_count(c->req, name))
			return refuse(c, WHY_MISMATCH, "SignedHeaders names %.*s, which the request does not have.",
			              (int)name.len, name.at);
	}
	if (!canon_list_has(c->claim.signed_names, slice_of("host")))
		return refuse(c, WHY_MISMATCH, "SignedHeaders must name host.");
	for (size_t i = 0; i < c->req->n_headers; i++) {
		const char *name = c->req->headers[i].name;
		if (canon_name_begins(name, "x-acs-") && !canon_list_has(c->claim.signed_names, slice_of(name)))
			return refuse(c, WHY_MISMATCH, "SignedHeaders must name %.100s.", name);
	}
	return true;
}

/*
 * MAC first, then the body's hash. The vendor's SDKs compare the string to sign in the message with their own
 * and blame the secret when the two are equal; so a wrong body says so before that.
 */
static bool is_signed(struct check *c, const char *secret)
{
	char hash[CANON_HASH_LEN + 1];
	struct slice claimed;

	if (!signs_enough(c))
		return false;
	c->is_over = !compute(c->req, &c->claim, secret, c->a, &c->trace);
	if (c->is_over)
		return false;
	const char *mac = c->trace.authorization + strlen(c->trace.authorization) - CANON_HASH_LEN;
	sign_sha256_hex(c->req->body, c->req->body_len, hash);
	if (CRYPTO_memcmp(mac, c->claim.signature.at, CANON_HASH_LEN) != 0)
		return refuse(c, WHY_MISMATCH,
		              "Specified signature does not match our calculation. server StringToSign is [%s]",
		              c->trace.string_to_sign);
	must(canon_header(c->req, slice_of("x-acs-content-sha256"), &claimed));
	if (!slice_is(claimed, hash))
		return refuse(c, WHY_MISMATCH,
		              "x-acs-content-sha256 does not match the body, whose SHA-256 is %s. Specified signature "
		              "does not match our calculation. server StringToSign is [%s]",
		              hash, c->trace.string_to_sign);
	return true;
}

/* Spend on an unknown key what a known one costs, so that timing does not tell them apart. */
static void pretend(struct check *c)
{
	(void)is_signed(c, "secret-of-a-key-that-does-not-exist"); /* its verdict is not the one to give */
	c->trace = (struct sign_trace){ 0 };
	(void)refuse(c, WHY_KEY_UNKNOWN, "The specified access key is not found.");
}

static bool is_first_use(struct check *c, struct nonces *nonces, const char *key_id)
{
	struct slice value;

	must(canon_header(c->req, slice_of("x-acs-signature-nonce"), &value));
	const char *nonce = arena_dup_n(c->a, value.at, value.len);
	if (!nonce)
		return false;
	switch (nonces_add(nonces, SCHEME, key_id, nonce, c->now_s)) {
	case NONCE_SEEN:
		return refuse(c, WHY_REPLAY, "The specified signature nonce was used before.");
	case NONCE_FULL:
		return refuse(c, WHY_THROTTLED, "Too many requests within the last 31 minutes; try again later.");
	case NONCE_NEW:
		break;
	}
	return true;
}

enum rc acs3_verify(const struct sign_request *req, int64_t now_s, bool check_signature, sign_lookup_fn *lookup,
                    void *lookup_ctx, struct nonces *nonces, struct arena *a, struct sign_key *key,
                    struct sign_refusal *refusal, struct sign_trace *trace, struct err *err)
{
	struct check c = { .req = req, .now_s = now_s, .a = a };
	struct sign_key found = { 0 };
	bool is_known = false;

	if (is_one_line(&c) && read_claim(&c) && repeats_nothing(&c) && has_required(&c) && is_dated_now(&c)) {
		const char *key_id = arena_dup_n(a, c.claim.key_id.at, c.claim.key_id.len);
		enum rc rc = key_id ? lookup(lookup_ctx, key_id, a, &found, err) : RC_LIMIT;
		is_known = rc == RC_OK;
		if (rc == RC_NOT_FOUND)
			pretend(&c);
		else if (key_id && !is_known)
			return rc;
		else if (is_known && has_active_key(&c, &found) && check_signature)
			(void)(has_right_token(&c, &found) && is_signed(&c, found.secret) &&
			       is_first_use(&c, nonces, key_id)); /* each leaves its verdict in c */
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

static int compare_texts(const void *x, const void *y)
{
	const char *const *p = x, *const *q = y;
	return strcmp(*p, *q);
}

static char *lower(struct arena *a, const char *text)
{
	char *p = arena_dup(a, text);

	for (char *c = p; c && *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	return p;
}

/* "content-type;host;x-acs-action": what of the request's headers we sign. NULL when the arena is full. */
static const char *names_to_sign(const struct sign_request *req, struct arena *a)
{
	const char **names = arena_array(a, req->n_headers + 1, sizeof *names);
	size_t n = 0, size = 1;

	for (size_t i = 0; i < req->n_headers && names; i++) {
		const char *name = req->headers[i].name;
		bool wanted = canon_name_begins(name, "x-acs-") || canon_name_is(name, slice_of("host")) ||
		              canon_name_is(name, slice_of("content-type"));
		if (!wanted)
			continue;
		size += strlen(name) + 1;
		names[n++] = lower(a, name);
	}
	char *list = arena_alloc(a, size);
	if (arena_is_full(a))
		return NULL;
	qsort(names, n, sizeof *names, compare_texts);
	for (size_t i = 0, used = 0; i < n; i++) {
		size_t len = strlen(names[i]);
		must(i == 0 || strcmp(names[i - 1], names[i]) != 0);
		if (i)
			list[used++] = ';';
		memcpy(list + used, names[i], len);
		used += len;
	}
	return list;
}

char *acs3_authorization(const struct sign_request *req, const char *access_key_id, const char *secret, struct arena *a)
{
	const char *names = names_to_sign(req, a);
	struct sign_trace made = { 0 };

	if (!names)
		return NULL;
	struct claim claim = { .key_id = slice_of(access_key_id), .signed_names = slice_of(names) };
	return compute(req, &claim, secret, a, &made) ? arena_dup(a, made.authorization) : NULL;
}
