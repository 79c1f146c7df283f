/*
 * The verifier is a chain of checks in the vendor's order; the first that fails puts the
 * refusal into struct check and ends the chain. Memory is bounded by the arena and by CANON_TEXT_MAX.
 * Every request goes this way, so the header fields are sorted once, looked up by name, and what is signed of them is
 * one walk along two sorted lists; texts that only a refusal or a test wants to see are made for these alone.
 */
#include "sign/acs3.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/must.h"
#include "sign/canon.h"
#include "sign/hash.h"

#define SCHEME "ACS3-HMAC-SHA256"
#define DATE "x-acs-date"
#define NONCE "x-acs-signature-nonce"
#define CONTENT_HASH "x-acs-content-sha256"

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

/* The fields that a signature covers, in ascending order of their names. */
struct covered {
	const struct canon_field **list;
	size_t n;
};

/* What a correct server or client computes. */
struct product {
	char string_to_sign[sizeof SCHEME + CANON_HASH_LEN + 1]; /* "SCHEME\nhash" */
	unsigned char mac[HASH_LEN];
};

/* One verification under way. */
struct check {
	const struct sign_request *req;
	struct canon_fields fields;
	int64_t now_s;
	struct arena *a;
	struct claim claim;
	struct covered covered;
	struct sign_refusal refusal;
	struct sign_trace *trace; /* NULL: nobody wants it */
	bool is_over;             /* the canonical request outgrew CANON_TEXT_MAX */
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
	hex_of(hash, sizeof hash, out);
}

/* Most requests that read have no body. */
static void body_hash(const struct sign_request *req, char out[CANON_HASH_LEN + 1])
{
	static const char of_nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

	if (req->body_len)
		sign_sha256_hex(req->body, req->body_len, out);
	else
		memcpy(out, of_nothing, sizeof of_nothing);
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

/* x-acs-content-sha256 must be among the fields. */
static void add_canonical_request(struct buf *out, const struct sign_request *req, const struct canon_fields *fields,
				  struct slice names, const struct covered *covered, struct arena *a)
{
	buf_adds(out, req->method);
	buf_addc(out, '\n');
	add_uri(out, req->raw_path);
	buf_addc(out, '\n');
	canon_query(out, req->raw_query, a);
	buf_addc(out, '\n');
	for (size_t i = 0; i < covered->n; i++) {
		slice_add(out, covered->list[i]->name);
		buf_addc(out, ':');
		slice_add(out, covered->list[i]->value);
		buf_addc(out, '\n');
	}
	buf_addc(out, '\n');
	slice_add(out, names);
	buf_addc(out, '\n');
	const struct canon_field *hash = canon_field(fields, slice_of(CONTENT_HASH));
	must(hash);
	slice_add(out, hash->value);
}

static void hash_canonical_request(const struct buf *text, char string_to_sign[])
{
	static const char first_line[] = SCHEME "\n";
	unsigned char hash[HASH_LEN];

	hash_sha256(buf_text(text), text->len, hash);
	memcpy(string_to_sign, first_line, sizeof first_line - 1);
	hex_of(hash, sizeof hash, string_to_sign + sizeof first_line - 1);
}

/* False when the arena or CANON_TEXT_MAX is too small. The canonical request is kept only for a trace. */
static bool compute(const struct sign_request *req, const struct canon_fields *fields, struct slice names,
		    const struct covered *covered, const struct hash_key *key, struct arena *a, struct product *out,
		    const char **canonical_request)
{
	enum { USUAL_SIZE = 1024 }; /* most fit: one allocation */
	struct buf text;

	buf_init(&text, CANON_TEXT_MAX);
	buf_reserve(&text, USUAL_SIZE);
	add_canonical_request(&text, req, fields, names, covered, a);
	bool is_good = !text.is_over && !arena_is_full(a);
	hash_canonical_request(&text, out->string_to_sign);
	if (canonical_request)
		*canonical_request = arena_dup_n(a, buf_text(&text), text.len);
	buf_fini(&text);
	hash_mac(key, out->string_to_sign, strlen(out->string_to_sign), out->mac);
	return is_good;
}

static char *authorization_of(struct slice key_id, struct slice names, const struct product *made, struct arena *a)
{
	char mac[CANON_HASH_LEN + 1];

	hex_of(made->mac, sizeof made->mac, mac);
	return arena_printf(a, SCHEME " Credential=%.*s,SignedHeaders=%.*s,Signature=%s", (int)key_id.len, key_id.at,
			    (int)names.len, names.at, mac);
}

static bool is_one_line(struct check *c)
{
	if (c->req->n_headers > CANON_HEADERS_MAX)
		return refuse(c, WHY_MALFORMED, "The request has more than %d headers.", CANON_HEADERS_MAX);
	return !canon_has_line_break(c->req) ||
	       refuse(c, WHY_MALFORMED, "The request line or a header holds a line break.");
}

/* False, without a refusal: the arena is full. */
static bool sorts_fields(struct check *c) { return canon_fields_of(c->req, c->a, &c->fields); }

/* The value of the first field of that name; an empty one is as good as none. */
static struct slice value_of(const struct check *c, const char *name)
{
	const struct canon_field *f = canon_field(&c->fields, slice_of(name));
	return f ? f->value : (struct slice){ "", 0 };
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
	struct slice name = slice_of("authorization"), text = value_of(c, name.at);
	const struct canon_field *f = canon_field(&c->fields, name), *end = c->fields.list + c->fields.n;

	if (f && f + 1 < end && slice_compare(f[1].name, name) == 0)
		return refuse(c, WHY_MALFORMED, "Authorization is given more than once.");
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
	const struct canon_field *f = canon_field_repeat(&c->fields, c->claim.signed_names);

	return !f || refuse(c, WHY_MALFORMED, "Header %.100s is given more than once.", f->name.at);
}

static bool has_required(struct check *c)
{
	static const struct {
		const char *name;
		enum why why;
	} required[] = {
		{ DATE, WHY_NO_DATE },
		{ NONCE, WHY_NO_NONCE },
		{ "x-acs-action", WHY_NO_ACTION },
		{ "x-acs-version", WHY_NO_VERSION },
		{ CONTENT_HASH, WHY_MALFORMED },
	};

	for (size_t i = 0; i < ARRAY_LEN(required); i++) {
		if (!value_of(c, required[i].name).len)
			return refuse(c, required[i].why, "Header %s is mandatory for this request.", required[i].name);
	}
	return true;
}

static bool is_dated_now(struct check *c)
{
	char text[CLOCK_TEXT_SIZE] = "";
	struct slice value = value_of(c, DATE);
	int64_t date_s;

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
	const struct canon_field *given = canon_field(&c->fields, slice_of("x-acs-security-token"));
	struct slice token = given ? given->value : (struct slice){ "", 0 };

	if (!key->security_token)
		return !given || refuse(c, WHY_TOKEN_OTHER, "A permanent access key goes without a security token.");
	if (!token.len)
		return refuse(c, WHY_NO_TOKEN, "Header x-acs-security-token is mandatory for a temporary access key.");
	if (!slice_is_printable(token) || token.len > CANON_TOKEN_MAX)
		return refuse(c, WHY_TOKEN_MALFORMED, "The security token is not readable.");
	if (token.len != strlen(key->security_token) || CRYPTO_memcmp(token.at, key->security_token, token.len) != 0)
		return refuse(c, WHY_TOKEN_OTHER, "The security token does not belong to the access key.");
	if (key->expires_s && c->now_s >= key->expires_s)
		return refuse(c, WHY_TOKEN_EXPIRED, "The security token has expired.");
	return true;
}

/* The fields that SignedHeaders names: both lists ascend. There is at most a name for each field. */
static bool find_covered(struct check *c)
{
	struct slice rest = c->claim.signed_names;
	const struct canon_field *f = c->fields.list, *end = f + c->fields.n;
	struct covered covered = { arena_array(c->a, c->fields.n + 1, sizeof *covered.list), 0 };

	if (!covered.list)
		return false;
	while (rest.len) {
		struct slice name = slice_cut(&rest, ';');
		while (f < end && slice_compare(f->name, name) < 0)
			f++;
		if (f == end || slice_compare(f->name, name) != 0)
			return refuse(c, WHY_MISMATCH, "SignedHeaders names %.*s, which the request does not have.",
				      (int)name.len, name.at);
		covered.list[covered.n++] = f++;
	}
	c->covered = covered;
	return true;
}

static bool is_in(struct slice text, const char *prefix) { return slice_take(&text, prefix); }

/* Host and every x-acs-* must be covered. */
static bool signs_enough(struct check *c)
{
	const struct canon_field *f = c->fields.list, *end = f + c->fields.n;
	size_t n = 0;

	if (!find_covered(c))
		return false;
	if (!canon_list_has(c->claim.signed_names, slice_of("host")))
		return refuse(c, WHY_MISMATCH, "SignedHeaders must name host.");
	for (; f < end; f++) {
		if (n < c->covered.n && c->covered.list[n] == f)
			n++;
		else if (is_in(f->name, "x-acs-"))
			return refuse(c, WHY_MISMATCH, "SignedHeaders must name %.100s.", f->name.at);
	}
	return true;
}

static bool compute_all(struct check *c, const struct hash_key *key, struct product *made)
{
	struct sign_trace *t = c->trace;

	bool is_good = compute(c->req, &c->fields, c->claim.signed_names, &c->covered, key, c->a, made,
			       t ? &t->canonical_request : NULL);
	if (is_good && t) {
		t->string_to_sign = arena_dup(c->a, made->string_to_sign);
		t->authorization = authorization_of(c->claim.key_id, c->claim.signed_names, made, c->a);
	}
	return is_good && !arena_is_full(c->a);
}

/*
 * MAC first, then the body's hash. The vendor's SDKs compare the string to sign in the message with their own
 * and blame the secret when the two are equal; so a wrong body says so before that.
 */
static bool is_signed(struct check *c, const struct hash_key *key)
{
	char hash[CANON_HASH_LEN + 1], mac[CANON_HASH_LEN + 1];
	struct product made;

	if (!signs_enough(c))
		return false;
	c->is_over = !compute_all(c, key, &made);
	if (c->is_over)
		return false;
	hex_of(made.mac, sizeof made.mac, mac);
	if (CRYPTO_memcmp(mac, c->claim.signature.at, CANON_HASH_LEN) != 0)
		return refuse(c, WHY_MISMATCH,
		              "Specified signature does not match our calculation. server StringToSign is [%s]",
		              made.string_to_sign);
	body_hash(c->req, hash);
	if (!slice_is(value_of(c, CONTENT_HASH), hash))
		return refuse(c, WHY_MISMATCH,
		              "x-acs-content-sha256 does not match the body, whose SHA-256 is %s. Specified signature "
		              "does not match our calculation. server StringToSign is [%s]",
		              hash, made.string_to_sign);
	return true;
}

static bool is_signed_by(struct check *c, const struct sign_key *key)
{
	struct hash_key made;

	if (key->prepared)
		return is_signed(c, key->prepared);
	hash_key_init(&made, key->secret, strlen(key->secret));
	bool is_good = is_signed(c, &made);
	OPENSSL_cleanse(&made, sizeof made);
	return is_good;
}

static struct hash_key nobodys_key;

static void make_nobodys_key(void)
{
	static const char secret[] = "secret-of-a-key-that-does-not-exist";
	hash_key_init(&nobodys_key, secret, sizeof secret - 1);
}

/* Spend on an unknown key what a known one costs, so that timing does not tell them apart. */
static void pretend(struct check *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	must(pthread_once(&once, make_nobodys_key) == 0);
	(void)is_signed(c, &nobodys_key); /* its verdict is not the one to give */
	if (c->trace)
		*c->trace = (struct sign_trace){ 0 };
	(void)refuse(c, WHY_KEY_UNKNOWN, "The specified access key is not found.");
}

static bool is_first_use(struct check *c, struct nonces *nonces, const char *key_id)
{
	struct slice value = value_of(c, NONCE);
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
	struct sign_trace made = { 0 };
	struct check c = { .req = req, .now_s = now_s, .a = a, .trace = trace ? &made : NULL };
	struct sign_key found = { 0 };
	bool is_known = false;

	if (is_one_line(&c) && sorts_fields(&c) && read_claim(&c) && repeats_nothing(&c) && has_required(&c) &&
	    is_dated_now(&c)) {
		const char *key_id = arena_dup_n(a, c.claim.key_id.at, c.claim.key_id.len);
		enum rc rc = key_id ? lookup(lookup_ctx, key_id, a, &found, err) : RC_LIMIT;
		is_known = rc == RC_OK;
		if (rc == RC_NOT_FOUND)
			pretend(&c);
		else if (key_id && !is_known)
			return rc;
		else if (is_known && has_active_key(&c, &found) && check_signature)
			(void)(has_right_token(&c, &found) && is_signed_by(&c, &found) &&
			       is_first_use(&c, nonces, key_id)); /* each leaves its verdict in c */
	}
	if (c.is_over || arena_is_full(a))
		return err_set(err, RC_LIMIT, "the request is too large to check its signature");
	if (is_known)
		*key = found;
	if (trace)
		*trace = made;
	*refusal = c.refusal;
	return RC_OK;
}

/* What of the request's fields we sign. False: the arena is full. */
static bool choose_covered(const struct canon_fields *fields, struct arena *a, struct covered *out)
{
	struct covered covered = { arena_array(a, fields->n + 1, sizeof *covered.list), 0 };

	for (size_t i = 0; i < fields->n && covered.list; i++) {
		const struct canon_field *f = &fields->list[i];
		bool is_wanted =
		        is_in(f->name, "x-acs-") || slice_is(f->name, "host") || slice_is(f->name, "content-type");
		if (!is_wanted)
			continue;
		must(covered.n == 0 || slice_compare(covered.list[covered.n - 1]->name, f->name) != 0);
		covered.list[covered.n++] = f;
	}
	*out = covered;
	return covered.list != NULL;
}

/* "content-type;host;x-acs-action". NULL when the arena is full. */
static const char *join_names(const struct covered *covered, struct arena *a)
{
	size_t size = 1, used = 0;

	for (size_t i = 0; i < covered->n; i++)
		size += covered->list[i]->name.len + 1;
	char *list = arena_alloc(a, size);
	for (size_t i = 0; i < covered->n && list; i++) {
		struct slice name = covered->list[i]->name;
		if (i)
			list[used++] = ';';
		memcpy(list + used, name.at, name.len);
		used += name.len;
	}
	return list;
}

char *acs3_authorization(const struct sign_request *req, const char *access_key_id, const char *secret, struct arena *a)
{
	struct canon_fields fields;
	struct covered covered;
	struct hash_key key;
	struct product made;

	if (!canon_fields_of(req, a, &fields) || !choose_covered(&fields, a, &covered))
		return NULL;
	const char *list = join_names(&covered, a);
	if (!list)
		return NULL;
	struct slice names = slice_of(list);
	hash_key_init(&key, secret, strlen(secret));
	bool is_good = compute(req, &fields, names, &covered, &key, a, &made, NULL);
	OPENSSL_cleanse(&key, sizeof key);
	return is_good ? authorization_of(slice_of(access_key_id), names, &made, a) : NULL;
}
