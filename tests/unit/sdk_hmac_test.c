#include "sign/sdk_hmac.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "sign/canon.h"
#include "vectors.h"

enum { HEX_LEN = 64 };
#define SAYS "Incorrect IAM authentication information: "
#define MISMATCH "verify aksk signature fail"
#define NO_HASH "x-sdk-content-sha256 is not the hash of the body"

static const char now_text[] = "2026-11-21T12:00:00Z";
static const char body_text[] = "{\"name\":\"a\"}";
static const char date_text[] = "20261121T120000Z";

static void scene_init(struct scene *s)
{
	*s = (struct scene){ 0 };
	s->req = (struct sign_request){ .method = "PUT",
		                        .raw_path = "/v2/0123/instances/4567",
		                        .raw_query = "b=2&a=1+x",
		                        .headers = s->headers,
		                        .body = body_text,
		                        .body_len = sizeof body_text - 1 };
	s->key = (struct sign_key){ .access_key_id = "HWTEST", .secret = "a secret", .account = "100" };
	(void)clock_parse_iso(now_text, &s->now_s);
	add_header(s, "host", "shop.test:8080");
	add_header(s, "x-sdk-date", date_text);
	add_header(s, "content-type", "application/json");
	add_header(s, "x-project-id", "0123");
}

static void sign(struct scene *s, struct arena *a)
{
	drop_header(s, "Authorization");
	add_header(s, "Authorization", sdk_hmac_authorization(&s->req, s->key.access_key_id, s->key.secret, a));
}

static struct verdict verify(struct scene *s, struct arena *a)
{
	struct verdict v = { .refusal = { "untouched", 0, "" } };
	v.rc = sdk_hmac_verify(&s->req, s->now_s, true, find_key, s, a, &v.key, &v.refusal, &v.trace, &v.err);
	return v;
}

/*
 * Sign in the other form or over other headers than sdk_hmac_authorization does: the server's own trace of a request
 * with a wrong signature says what the right one is. The vectors prove that it says so rightly.
 */
static void sign_as(struct scene *s, const char *credential, const char *names, struct arena *a)
{
	char zeros[HEX_LEN + 1];

	memset(zeros, '0', HEX_LEN);
	zeros[HEX_LEN] = '\0';
	drop_header(s, "Authorization");
	add_header(s, "Authorization",
	           arena_printf(a, "SDK-HMAC-SHA256 %s, SignedHeaders=%s, Signature=%s", credential, names, zeros));
	struct verdict v = verify(s, a);
	EXPECT(v.trace.authorization, "%s %s: %s", credential, names, v.refusal.message);
	set_header(s, "Authorization", v.trace.authorization ? v.trace.authorization : "");
}

/* Is it refused with this code, 401, and just these words behind the vendor's prefix? */
static bool is_refused(const struct verdict *v, const char *code, const char *why)
{
	const char *says = v->refusal.message;

	return v->rc == RC_OK && same(v->refusal.code, code) && v->refusal.http_status == 401 && says &&
	       strncmp(says, SAYS, strlen(SAYS)) == 0 && same(says + strlen(SAYS), why);
}

static bool is_good(const struct verdict *v)
{
	return v->rc == RC_OK && !v->refusal.code && !v->refusal.http_status && !v->refusal.message;
}

/* ---- the contract's vectors ---- */

/* The words of every refusal before a signature is computed; all later ones say MISMATCH. */
static const char *why_refused(const char *id)
{
#define MALFORMED                                                                                                      \
	"Authorization is not \"SDK-HMAC-SHA256 Access=KEY, SignedHeaders=a;b, Signature=64 hex digits\" or"           \
	" the same with Credential=KEY/YYYYMMDD/REGION/SERVICE/sdk_request"
	static const struct {
		const char *id, *why;
	} row[] = {
		{ "hw-go-get/scope-date", "calc ak sk signature fail:the day in Credential is not x-sdk-date's" },
		{ "hw-go-sts/token-other", "decrypt token fail" },
		{ "hw-py-sts/token-other", "decrypt token fail" },
		{ "hw-py-sts/token-missing", "decrypt token fail" },
		{ "hw-py-content-hash/body", NO_HASH },
		{ "hw-py-post/hash-injected", NO_HASH },
		{ "hw-py-post/unsigned-payload-injected", NO_HASH },
		{ "hw-py-unsigned-payload/json", NO_HASH },
		{ "hw-py-get-query/algorithm", "the algorithm of Authorization is not supported, use SDK-HMAC-SHA256" },
		{ "hw-py-get-query/date-format",
		  "calc ak sk signature fail:x-sdk-date is not YYYYMMDDThhmmssZ in UTC" },
		{ "hw-py-get-query/date-missing", "calc ak sk signature fail:header x-sdk-date is missing" },
		{ "hw-py-get-query/date-not-signed", "SignedHeaders does not name x-sdk-date" },
		{ "hw-py-get-query/dup-authorization", "header authorization is given more than once" },
		{ "hw-py-get-query/dup-date", "header X-Sdk-Date is given more than once" },
		{ "hw-py-get-query/dup-project", "header X-Project-Id is given more than once" },
		{ "hw-py-get-query/expired", "calc ak sk signature fail:signature expired" },
		{ "hw-py-get-query/future", "calc ak sk signature fail:signature expired" },
		{ "hw-py-get-query/host-not-signed", "SignedHeaders does not name host" },
		{ "hw-py-get-query/key", "ak HWEXAMPLEACCESSKEY01 not exist" },
		{ "hw-py-get-query/malformed-empty", MALFORMED },
		{ "hw-py-get-query/malformed-no-signature", MALFORMED },
		{ "hw-py-get-query/no-authorization", "x-auth-token not found" },
		{ "hw-py-get-query/signed-header-absent",
		  "SignedHeaders names content-type, which the request does not have" },
	};
	FOR_EACH_ROW (i, row) {
		if (same(row[i].id, id))
			return row[i].why;
	}
	return NULL;
}

static void expect_verdict(const json_t *v, const struct verdict *got)
{
	const json_t *error = json_object_get(v, "expected_error");
	const char *id = member(v, "id"), *code = error ? member(error, "code") : NULL;
	const char *why = why_refused(id);

	EXPECT(!code == json_is_true(json_object_get(v, "valid")), "%s: the vector contradicts itself", id);
	if (!code) {
		EXPECT(is_good(got), "%s: %s %s", id, code_of(got), got->refusal.message);
		return;
	}
	EXPECT(!why == (member(v, "expected_string_to_sign") != NULL), "%s: refused too early or too late", id);
	EXPECT(is_refused(got, code, why ? why : MISMATCH), "%s: %s %s", id, code_of(got), got->refusal.message);
	EXPECT(got->refusal.http_status == (int)json_integer_value(json_object_get(error, "http_status")), "%s", id);
}

TEST(every_vector_of_the_contract)
{
	json_t *all = load_vectors("sdk_hmac.json");
	int n_valid = 0, n_refused = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(all, i, v)
	{
		struct arena *a = arena_new(1 << 16);
		struct scene s;
		load_scene(&s, v);
		struct verdict got = verify(&s, a);
		expect_verdict(v, &got);
		expect_trace(v, &got.trace);
		n_valid += got.refusal.code == NULL;
		n_refused += got.refusal.code != NULL;
		arena_free(a);
	}
	EXPECT(n_valid == 38 && n_refused == 35, "%d valid, %d refused", n_valid, n_refused);
	json_decref(all);
}

TEST(the_same_request_may_come_again)
{
	json_t *all = load_vectors("sdk_hmac.json");
	const json_t *v;
	size_t i;

	json_array_foreach(all, i, v)
	{
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		load_scene(&s, v);
		struct verdict first = verify(&s, a), second = verify(&s, a);
		EXPECT(same(first.refusal.code, second.refusal.code), "%s: then %s", member(v, "id"), code_of(&second));
		arena_free(a);
	}
	json_decref(all);
}

/* What a client that set only the signed headers would hand to sdk_hmac_authorization. */
static void keep_signed_headers(struct scene *s, const char *authorization)
{
	struct slice rest = slice_of(authorization);
	size_t kept = 0;

	(void)slice_cut(&rest, ',');
	(void)slice_take(&rest, " SignedHeaders=");
	struct slice names = slice_cut(&rest, ',');
	for (size_t i = 0; i < s->req.n_headers; i++) {
		bool is_signed = false;
		for (struct slice left = names; left.len;)
			is_signed = canon_name_is(s->headers[i].name, slice_cut(&left, ';')) || is_signed;
		if (is_signed)
			s->headers[kept++] = s->headers[i];
	}
	s->req.n_headers = kept;
}

TEST(we_sign_as_the_sdks_do)
{
	json_t *all = load_vectors("sdk_hmac.json");
	int compared = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(all, i, v)
	{
		const char *id = member(v, "id"), *theirs = member(v, "expected_authorization");
		/* Not ours: scopes, headers of a caller's own, and the Python SDK's second way with no body. */
		if (!json_is_true(json_object_get(v, "valid")) || strstr(theirs, "Credential=") ||
		    strstr(theirs, "x-note") || same(id, "hw-py-unsigned-payload-empty"))
			continue;
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		load_scene(&s, v);
		keep_signed_headers(&s, theirs);
		const char *ours = sdk_hmac_authorization(&s.req, s.key.access_key_id, s.key.secret, a);
		EXPECT(same(ours, theirs), "%s: %s", id, ours);
		compared++;
		arena_free(a);
	}
	EXPECT(compared == 29, "%d compared", compared);
	json_decref(all);
}

/* The three of the service's own contract, which share key, host, time, project and agent. */
TEST(vectors_of_the_service)
{
#define PROJECT "a4d31cb6-3d72-4fdc-8ec9-6e3a41e47f71"
#define INSTANCE "5560df16-cebf-4473-95c4-d1b573c16e79"
	const struct {
		const char *method, *path, *query, *type, *body, *hash, *signature;
	} row[] = {
		{ "DELETE", "/v2/" PROJECT "/instances/" INSTANCE "/tasks/8abf6e1e72c12e7c0172c15b508500aa", "",
		  "application/json", "", "6bbb320f2cef5f38958db387896476c38bb90e6a9e5f6e2c02785417f9e3f93e",
		  "b665d9fb842a1492f601e67081af50c41c7b26c6437828b4ab5c195706dfb162" },
		{ "GET", "/v2/" PROJECT "/instances/" INSTANCE "/tasks",
		  "end_time=20200617155959&limit=10&offset=0&start_time=20200609160000", "application/json", "",
		  "bb677222e9a97d4e996038121a756dc613e5e6ae1d7c22ab92964adbf1533f7a",
		  "85ee2403616109d541607398925d09b740adba4ebd2d0e047fbde3501be70459" },
		{ "PUT", "/v2/" PROJECT "/instances/status", "", "application/json;charset=utf-8",
		  "{\"instances\": [\"" INSTANCE "\"], \"action\": \"restart\"}",
		  "d43de488f41a3e722a585791460b8c89009ce5ea1abb8448f99db59cc7378c49",
		  "51ef3037f41fb224beaadaf74417523f527e9ef55b24643ae455eacb37e0ea87" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s = { .now_s = utc(2020, 6, 17, 8, 18) };
		char hash[HEX_LEN + 1];
		s.key = (struct sign_key){ .access_key_id = "TESTAK0000000000001",
			                   .secret = "testsk-0123456789abcdefghijklmnopqrstuvwx" };
		s.req = (struct sign_request){ row[i].method, row[i].path,        row[i].query, s.headers, 0,
			                       row[i].body,   strlen(row[i].body) };
		add_header(&s, "Host", "127.0.0.1:8080");
		add_header(&s, "X-Sdk-Date", "20200617T081806Z");
		add_header(&s, "X-Project-Id", PROJECT);
		add_header(&s, "User-Agent", "huaweicloud-usdk-python/3.0");
		add_header(&s, "Content-Type", row[i].type);
		sign(&s, a);
		const char *made = s.headers[s.req.n_headers - 1].value;
		EXPECT(strstr(made, "SignedHeaders=content-type;host;user-agent;x-project-id;x-sdk-date, "), "%s",
		       made);
		EXPECT(same(strstr(made, "Signature=") + 10, row[i].signature), "row %zu: %s", i, made);
		struct verdict v = verify(&s, a);
		EXPECT(is_good(&v), "row %zu: %s", i, v.refusal.message);
		sign_sha256_hex(v.trace.canonical_request, strlen(v.trace.canonical_request), hash);
		EXPECT(same(hash, row[i].hash), "row %zu: %s", i, v.trace.canonical_request);
		arena_free(a);
	}
}

/* As sent by huaweicloud-sdk-go-v3 0.1.207, which signs no host. */
TEST(the_go_sdks_own_request)
{
	static const char agent[] = "huaweicloud-usdk-go/3.0; os/Debian_GNU/Linux#12_(bookworm)#amd64 go/go1.26.8; "
	                            "app/4f0ea811-869a-4488-aa8a-d8da8d01a8b8";
	struct arena *a = arena_new(ARENA_SIZE);
	struct scene s = { .now_s = utc(2026, 11, 22, 4, 19) };

	s.key = (struct sign_key){ .access_key_id = "a", .secret = "b" };
	s.req = (struct sign_request){ .method = "GET",
		                       .raw_path = "/v2/5c7dba4091d9b333da297f5e5f9dcd64/instances/x/tasks",
		                       .raw_query = "",
		                       .headers = s.headers,
		                       .body = "" };
	add_header(&s, "Host", "127.0.0.1:37919");
	add_header(&s, "User-Agent", agent);
	add_header(&s, "Content-Type", "application/json");
	add_header(&s, "X-Project-Id", "5c7dba4091d9b333da297f5e5f9dcd64");
	add_header(&s, "X-Sdk-Date", "20261122T041953Z");
	add_header(&s, "Authorization",
	           "SDK-HMAC-SHA256 Access=a, SignedHeaders=user-agent;x-project-id;x-sdk-date, "
	           "Signature=09538c46b51be7c8be7f9a29a91aa16379a596ed3c10d08fc6ae56bf6495eece");
	struct verdict v = verify(&s, a);
	EXPECT(is_good(&v), "%s", v.refusal.message);
	set_header(&s, "User-Agent", "huaweicloud-usdk-go/3.1"); /* signed, so nobody can take it over */
	v = verify(&s, a);
	EXPECT(is_refused(&v, "DCS.1001", MISMATCH), "%s", v.refusal.message);
	arena_free(a);
}

TEST(others_must_sign_the_host)
{
	const struct {
		const char *agent, *names;
	} row[] = {
		{ "huaweicloud-usdk-python/3.0", "user-agent;x-project-id;x-sdk-date" },
		{ "my huaweicloud-usdk-go/3.0", "user-agent;x-project-id;x-sdk-date" },
		{ "huaweicloud-usdk-go", "user-agent;x-project-id;x-sdk-date" },
		{ "huaweicloud-usdk-go/3.0", "x-project-id;x-sdk-date" }, /* it does not sign who it is */
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		add_header(&s, "User-Agent", row[i].agent);
		add_header(&s, "Authorization",
		           arena_printf(a, "SDK-HMAC-SHA256 Access=HWTEST, SignedHeaders=%s, Signature=%064d",
		                        row[i].names, 0));
		struct verdict v = verify(&s, a);
		EXPECT(is_refused(&v, "DCS.1001", "SignedHeaders does not name host"), "row %zu: %s", i,
		       v.refusal.message);
		arena_free(a);
	}
}

/* ---- rules the vectors do not reach ---- */

#define SIG64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SIG64_UPPER "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"
#define FORM "SDK-HMAC-SHA256 Access=HWTEST, SignedHeaders="
#define SCOPED(scope) "SDK-HMAC-SHA256 Credential=HWTEST/" scope ", SignedHeaders=host;x-sdk-date, Signature=" SIG64

TEST(forms_of_authorization)
{
	static const char other[] = "the algorithm of Authorization is not supported, use SDK-HMAC-SHA256";
	const struct {
		const char *text, *code, *why;
	} row[] = {
		{ FORM "host;x-sdk-date, Signature=" SIG64, "DCS.1001", MISMATCH },
		{ FORM "x-sdk-date;host, Signature=" SIG64, "DCS.1001", MISMATCH }, /* the order is the client's */
		{ FORM "host;x-sdk-date,Signature=" SIG64, "DCS.1001", MISMATCH },
		{ FORM "host;x-sdk-date,  Signature=" SIG64, "DCS.1001", MALFORMED },
		{ FORM "host;x-sdk-date, Signature=" SIG64_UPPER, "DCS.1001", MALFORMED },
		{ FORM "host;x-sdk-date, Signature=" SIG64 "0", "DCS.1001", MALFORMED },
		{ FORM "host;x-sdk-date, Signature=" SIG64 ", x=y", "DCS.1001", MALFORMED },
		{ FORM ", Signature=" SIG64, "DCS.1001", MALFORMED },
		{ FORM "host;;x-sdk-date, Signature=" SIG64, "DCS.1001", MALFORMED },
		{ FORM "host;x-sdk-date;, Signature=" SIG64, "DCS.1001", MALFORMED },
		{ FORM "host;x-sdk-date;host, Signature=" SIG64, "DCS.1001", MALFORMED },
		{ FORM "Host;x-sdk-date, Signature=" SIG64, "DCS.1001", MALFORMED },
		{ FORM "host;hos;ost;x-sdk-date, Signature=" SIG64, "DCS.1001",
		  "SignedHeaders names hos, which the request does not have" },
		{ "SDK-HMAC-SHA256 Access=, SignedHeaders=host;x-sdk-date, Signature=" SIG64, "DCS.1001", MALFORMED },
		{ "SDK-HMAC-SHA256 Access=K, Signature=" SIG64 ", SignedHeaders=host;x-sdk-date", "DCS.1001",
		  MALFORMED },
		{ "SDK-HMAC-SHA256", "DCS.1001", MALFORMED },
		{ SCOPED("20261121///sdk_request"), "DCS.1001", MISMATCH },
		{ SCOPED("20261121/eu-de/dcs/sdk_request"), "DCS.1001", MISMATCH },
		{ SCOPED("20261121/sdk_request"), "DCS.1001", MALFORMED },
		{ SCOPED("20261121////sdk_request"), "DCS.1001", MALFORMED },
		{ SCOPED("20261121///sdk_request/"), "DCS.1001", MALFORMED },
		{ SCOPED("2026112///sdk_request"), "DCS.1001", MALFORMED },
		{ SCOPED("20261121/ //sdk_request"), "DCS.1001", MALFORMED },
		{ SCOPED("20261122///sdk_request"), "DCS.1001",
		  "calc ak sk signature fail:the day in Credential is not x-sdk-date's" },
		{ SCOPED(""), "DCS.1001", MALFORMED },
		{ "SDK-HMAC-SHA256 Credential=HWTEST, SignedHeaders=host;x-sdk-date, Signature=" SIG64, "DCS.1001",
		  MALFORMED },
		{ "SDK-HMAC-SHA256 Credential=/20261121///sdk_request, SignedHeaders=host;x-sdk-date, "
		  "Signature=" SIG64,
		  "DCS.1001", MALFORMED },
		{ "SDK-HMAC-SM3 Access=K, SignedHeaders=host;x-sdk-date, Signature=" SIG64, "DCS.1001", other },
		{ "SDK-ECDSA-P256-SHA256 Access=K, SignedHeaders=host, Signature=ab", "DCS.1001", other },
		{ "SDK-SM2-SM3 Access=K, SignedHeaders=host, Signature=ab", "DCS.1001", other },
		{ "V11-HMAC-SHA256 Credential=K/20261121/r/s, SignedHeaders=host, Signature=ab", "DCS.1001", other },
		{ "SDK-HMAC-SHA256Access=K, SignedHeaders=host, Signature=" SIG64, "DCS.1001", other },
		{ "ACS3-HMAC-SHA256 Credential=K,SignedHeaders=host,Signature=" SIG64, "DCS.1001", other },
		{ "acs K:MTIz", "DCS.1001", other },
		{ "OPENSEARCH K:MTIz", "DCS.1001", other },
		{ "sdk-hmac-sha256 Access=K", "DCS.1003", "x-auth-token not found" },
		{ "Basic dTpw", "DCS.1003", "x-auth-token not found" },
		{ "", "DCS.1003", "x-auth-token not found" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		add_header(&s, "Authorization", row[i].text);
		struct verdict v = verify(&s, a);
		EXPECT(is_refused(&v, row[i].code, row[i].why), "'%s': %s %s", row[i].text, code_of(&v),
		       v.refusal.message);
		arena_free(a);
	}
}

static void leave(struct scene *s) { (void)s; }
static void other_key(struct scene *s) { s->key.access_key_id = "OTHER"; }
static void inactive(struct scene *s) { s->key.status = SIGN_KEY_INACTIVE; }
static void other_secret(struct scene *s) { s->key.secret = "another secret"; }
static void unsigned_with_token(struct scene *s)
{
	drop_header(s, "Authorization");
	add_header(s, "X-Auth-Token", "MIIabc");
}
static void signed_with_token(struct scene *s) { add_header(s, "X-Auth-Token", "MIIabc"); }
static void unsigned_at_all(struct scene *s) { drop_header(s, "Authorization"); }
static void folded(struct scene *s) { add_header(s, "accept", "a\r\n b"); }
static void broken_path(struct scene *s) { s->req.raw_path = "/v2\n/x"; }
static void second_type(struct scene *s) { add_header(s, "Content-Type", "a"); }
static void second_token(struct scene *s)
{
	add_header(s, "x-auth-token", "a");
	add_header(s, "X-Auth-Token", "a");
}
static void second_accept(struct scene *s)
{
	add_header(s, "accept", "a");
	add_header(s, "Accept", "b");
}
static void early(struct scene *s) { s->now_s -= 15 * 60; }
static void too_early(struct scene *s) { s->now_s -= 15 * 60 + 1; }
static void late(struct scene *s) { s->now_s += 15 * 60; }
static void too_late(struct scene *s) { s->now_s += 15 * 60 + 1; }
static void no_day(struct scene *s) { set_header(s, "x-sdk-date", "20261131T120000Z"); }
static void lower_date(struct scene *s) { set_header(s, "x-sdk-date", "20261121t120000z"); }
static void long_date(struct scene *s) { set_header(s, "x-sdk-date", "20261121T120000ZZ"); }
static void blank_date(struct scene *s) { set_header(s, "x-sdk-date", " "); }
static void padded_host(struct scene *s) { set_header(s, "host", " \tshop.test:8080 "); }
static void slash(struct scene *s) { s->req.raw_path = "/v2/0123/instances/4567/"; }
static void escaped(struct scene *s) { s->req.raw_path = "/%76%32%2f0123/instances/4567"; }
static void two_slashes(struct scene *s) { s->req.raw_path = "/v2/0123/instances/4567//"; }
static void body_huge(struct scene *s) { s->req.body_len = (12u << 20) + 1; }
static void forged_hash(struct scene *s) { add_header(s, "x-sdk-content-sha256", SIG64); }
static void real_hash(struct scene *s)
{
	static char hash[HEX_LEN + 1];
	sign_sha256_hex(body_text, sizeof body_text - 1, hash);
	add_header(s, "x-sdk-content-sha256", hash);
}

TEST(refusals_beyond_the_vectors)
{
	static const char expired[] = "calc ak sk signature fail:signature expired";
	static const char no_date[] = "calc ak sk signature fail:x-sdk-date is not YYYYMMDDThhmmssZ in UTC";
	static const char line_break[] = "the request line or a header holds a line break";
	const struct {
		const char *what;
		void (*change)(struct scene *s);
		const char *code, *why;
		const char *lax; /* the code when signatures are not checked */
	} row[] = {
		{ "nothing wrong", leave, NULL, NULL, NULL },
		{ "unsigned accept twice is harmless", second_accept, NULL, NULL, NULL },
		{ "blanks around a value", padded_host, NULL, NULL, NULL },
		{ "trailing slash", slash, NULL, NULL, NULL },
		{ "path escaped otherwise", escaped, NULL, NULL, NULL },
		{ "early edge", early, NULL, NULL, NULL },
		{ "late edge", late, NULL, NULL, NULL },
		{ "true hash in an unsigned header", real_hash, NULL, NULL, NULL },
		{ "signature and token: the signature counts", signed_with_token, NULL, NULL, NULL },
		{ "two trailing slashes", two_slashes, "DCS.1001", MISMATCH, NULL },
		{ "other secret", other_secret, "DCS.1001", MISMATCH, NULL },
		{ "false hash in an unsigned header", forged_hash, "DCS.1001", NO_HASH, NULL },
		{ "unknown key", other_key, "DCS.1001", "ak HWTEST not exist", "DCS.1001" },
		{ "disabled key", inactive, "DCS.1001", "ak HWTEST is disabled", "DCS.1001" },
		{ "token alone", unsigned_with_token, "DCS.1001", "decrypt token fail", "DCS.1001" },
		{ "neither", unsigned_at_all, "DCS.1003", "x-auth-token not found", "DCS.1003" },
		{ "folded header", folded, "DCS.1001", line_break, "DCS.1001" },
		{ "line break in the path", broken_path, "DCS.1001", line_break, "DCS.1001" },
		{ "content-type twice", second_type, "DCS.1001", "header content-type is given more than once",
		  "DCS.1001" },
		{ "token twice", second_token, "DCS.1001", "header x-auth-token is given more than once", "DCS.1001" },
		{ "before the early edge", too_early, "DCS.1001", expired, "DCS.1001" },
		{ "after the late edge", too_late, "DCS.1001", expired, "DCS.1001" },
		{ "31 November", no_day, "DCS.1001", no_date, "DCS.1001" },
		{ "date in lower case", lower_date, "DCS.1001", no_date, "DCS.1001" },
		{ "date too long", long_date, "DCS.1001", no_date, "DCS.1001" },
		{ "blank date", blank_date, "DCS.1001", "calc ak sk signature fail:header x-sdk-date is missing",
		  "DCS.1001" },
		{ "body too large", body_huge, "DCS.1001", "calc aksk signature fail:body too large", "DCS.1001" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		struct sign_refusal lax = { "untouched", 0, NULL };
		struct sign_key key = { 0 };
		scene_init(&s);
		sign(&s, a);
		row[i].change(&s);
		struct verdict v = verify(&s, a);
		EXPECT(row[i].code ? is_refused(&v, row[i].code, row[i].why) : is_good(&v), "%s: %s %s", row[i].what,
		       code_of(&v), v.refusal.message);
		EXPECT(row[i].code || same(v.key.account, "100"), "%s: key not given", row[i].what);
		enum rc rc = sdk_hmac_verify(&s.req, s.now_s, false, find_key, &s, a, &key, &lax, NULL, NULL);
		EXPECT(rc == RC_OK && same(lax.code, row[i].lax), "%s: lax %s", row[i].what, lax.code);
		EXPECT(row[i].lax || same(key.account, "100"), "%s: lax gives no key", row[i].what);
		arena_free(a);
	}
}

TEST(a_body_of_12_mib_is_not_too_large)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct scene s;
	char *body = mem_alloc(12 << 20);

	scene_init(&s);
	memset(body, 'x', 12 << 20);
	s.req.body = body;
	s.req.body_len = 12 << 20;
	sign(&s, a);
	struct verdict v = verify(&s, a);
	EXPECT(is_good(&v), "%s", v.refusal.message);
	mem_free(body);
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
		{ "tok", "tok", 0, "DCS.1002" },
		{ "tok", "tok", -100, "DCS.1002" },
		{ "tok", "tox", 1, "DCS.1001" },
		{ "tok", "tox", 0, "DCS.1001" }, /* a stranger does not learn that it expired */
		{ "tok", "to", 1, "DCS.1001" },
		{ "tok", "tokk", 1, "DCS.1001" },
		{ "tok", "", 1, "DCS.1001" },
		{ "tok", NULL, 1, "DCS.1001" },
		{ NULL, "tok", 1, "DCS.1001" },
		{ NULL, "", 1, "DCS.1001" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		s.key.security_token = row[i].kept;
		s.key.expires_s = s.now_s + row[i].expires_in_s;
		if (row[i].given)
			add_header(&s, "x-security-token", row[i].given);
		sign(&s, a);
		struct verdict v = verify(&s, a);
		EXPECT(row[i].code ? is_refused(&v, row[i].code, "decrypt token fail") : is_good(&v), "row %zu: %s %s",
		       i, code_of(&v), v.refusal.message);
		arena_free(a);
	}
}

TEST(a_token_counts_signed_or_not)
{
	const char *const names[] = { "host;x-sdk-date", "host;x-sdk-date;x-security-token" };

	FOR_EACH_ROW (i, names) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		s.key.security_token = "tok";
		add_header(&s, "x-security-token", "tok");
		sign_as(&s, "Access=HWTEST", names[i], a);
		struct verdict v = verify(&s, a);
		EXPECT(is_good(&v), "%s: %s", names[i], v.refusal.message);
		set_header(&s, "x-security-token", "tox");
		v = verify(&s, a);
		EXPECT(is_refused(&v, "DCS.1001", "decrypt token fail"), "%s: %s", names[i], code_of(&v));
		arena_free(a);
	}
}

TEST(an_unsigned_payload_is_for_bodies_that_are_no_json)
{
	static const char with[] = "content-type;host;x-sdk-content-sha256;x-sdk-date";
	const struct {
		const char *type, *names;
		bool is_taken;
	} row[] = {
		{ "text/plain", with, true },
		{ "application/octet-stream", with, true },
		{ "application/x-json", with, true },
		{ "text/plain", "host;x-sdk-date", false },
		{ "application/json", with, false },
		{ "Application/JSON; charset=utf-8", with, false },
		{ "application/bson", with, false },
		{ " application/json", with, false },
		{ "", with, false },
		{ NULL, "host;x-sdk-content-sha256;x-sdk-date", false },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		drop_header(&s, "content-type");
		if (row[i].type)
			add_header(&s, "content-type", row[i].type);
		add_header(&s, "x-sdk-content-sha256", "UNSIGNED-PAYLOAD");
		if (strcmp(row[i].names, "host;x-sdk-date") == 0)
			add_header(&s, "Authorization", FORM "host;x-sdk-date, Signature=" SIG64);
		else
			sign(&s, a);
		struct verdict v = verify(&s, a);
		EXPECT(row[i].is_taken ? is_good(&v) : is_refused(&v, "DCS.1001", NO_HASH), "%s: %s %s", row[i].type,
		       code_of(&v), v.refusal.message);
		arena_free(a);
	}
}

/* A POST of the scoped form may have its query in place of the body; nothing else may. */
TEST(only_a_scoped_post_without_a_body_hashes_its_query)
{
	static const char names[] = "host;x-sdk-date", scoped[] = "Credential=HWTEST/20261121///sdk_request";
	const struct {
		const char *what, *method, *credential, *body;
		bool is_taken;
	} row[] = {
		{ "scoped POST", "POST", scoped, "", true },
		{ "scoped PUT", "PUT", scoped, "", false },
		{ "scoped post", "post", scoped, "", false },
		{ "scoped POST with a body", "POST", scoped, "x", false },
		{ "POST", "POST", "Access=HWTEST", "", false },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		s.req.method = row[i].method;
		s.req.raw_query = ""; /* signed with the form as its body, which hashes to the same */
		s.req.body = "a=1+x&b=2&b=1";
		s.req.body_len = strlen(s.req.body);
		sign_as(&s, row[i].credential, names, a);
		s.req.raw_query = "b=2&a=1%20x&b=1";
		s.req.body = row[i].body;
		s.req.body_len = strlen(row[i].body);
		struct verdict v = verify(&s, a);
		EXPECT(row[i].is_taken ? is_good(&v) : is_refused(&v, "DCS.1001", MISMATCH), "%s: %s %s", row[i].what,
		       code_of(&v), v.refusal.message);
		arena_free(a);
	}
}

TEST(runs_of_blanks_count_as_one_in_the_scoped_form_only)
{
	const struct {
		const char *credential;
		bool is_taken;
	} row[] = { { "Credential=HWTEST/20261121/r/s/sdk_request", true }, { "Access=HWTEST", false } };

	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		add_header(&s, "user-agent", "a b c");
		sign_as(&s, row[i].credential, "host;user-agent;x-sdk-date", a);
		set_header(&s, "user-agent", " a \t  b\tc  ");
		struct verdict v = verify(&s, a);
		EXPECT(is_good(&v) == row[i].is_taken, "%s: %s", row[i].credential, v.refusal.message);
		set_header(&s, "user-agent", "ab c");
		v = verify(&s, a);
		EXPECT(is_refused(&v, "DCS.1001", MISMATCH), "%s: a lost blank passed", row[i].credential);
		arena_free(a);
	}
}

/* ---- every signed byte ---- */

/* Does a text with that byte instead mean the same by the contract? Then nothing need refuse it. */
static bool is_alias(const char *what, char was, char is)
{
	if (strcmp(what, "name") == 0) /* of a header */
		return (was ^ is) == 0x20 && (was | 0x20) >= 'a' && (was | 0x20) <= 'z';
	return strcmp(what, "query") == 0 && ((was == '+' && is == ' ') || (was == 'B' && is == 'b')); /* as in %2B */
}

/* Verify with one byte of text changed to any of a few others, for each byte in turn; *place points to it meanwhile. */
static void expect_each_byte_counts(struct scene *s, const char **place, const char *what, struct rng *rng)
{
	enum { TRIES = 6 };
	char *text = mem_dup(*place);
	const char *kept = *place;

	*place = text;
	for (char *p = text; *p; p++) {
		char was = *p;
		for (int i = 0; i < TRIES; i++) {
			struct arena *a = arena_new(ARENA_SIZE);
			*p = i ? (char)(unsigned char)(1 + rng_below(rng, 255)) : (char)(was ^ 1);
			struct verdict v = verify(s, a);
			bool is_same = *p == was || is_alias(what, was, *p);
			EXPECT(v.rc == RC_OK && (is_same ? is_good(&v) : v.refusal.code && v.refusal.message),
			       "%s: changed to '%s', %s", what, text, code_of(&v));
			arena_free(a);
		}
		*p = was;
	}
	*place = kept;
	mem_free(text);
}

static void expect_all_bytes_count(struct scene *s, struct rng *rng)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct verdict v = verify(s, a);
	char changed[sizeof body_text];

	EXPECT(is_good(&v), "unchanged: %s", v.refusal.message);
	expect_each_byte_counts(s, &s->req.method, "method", rng);
	expect_each_byte_counts(s, &s->req.raw_path, "path", rng);
	expect_each_byte_counts(s, &s->req.raw_query, "query", rng);
	for (size_t i = 0; i < s->req.n_headers; i++) {
		expect_each_byte_counts(s, &s->headers[i].value, "value", rng);
		expect_each_byte_counts(s, &s->headers[i].name, "name", rng);
	}
	for (size_t i = 0; i < s->req.body_len; i++) {
		memcpy(changed, body_text, sizeof changed);
		changed[i] = (char)(changed[i] ^ (char)(1 + rng_below(rng, 127)));
		s->req.body = changed;
		v = verify(s, a);
		EXPECT(is_refused(&v, "DCS.1001", MISMATCH), "body: %s", code_of(&v));
	}
	s->req.body = body_text;
	arena_free(a);
}

TEST(a_change_of_any_signed_byte_is_refused)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct rng rng;
	struct scene s;

	rng_init(&rng, 20261121);
	scene_init(&s);
	s.req.raw_query = "b=2&a=1+x%2By";
	sign(&s, a);
	expect_all_bytes_count(&s, &rng);
	sign_as(&s, "Credential=HWTEST/20261121/eu-de//sdk_request", "content-type;host;x-project-id;x-sdk-date", a);
	expect_all_bytes_count(&s, &rng);
	s.key.security_token = "to+ken==";
	add_header(&s, "x-security-token", "to+ken==");
	sign(&s, a);
	expect_all_bytes_count(&s, &rng);
	arena_free(a);
}

static char *random_text(struct rng *rng, struct arena *a, const char *start, const char *letters)
{
	size_t len = rng_below(rng, 40), n = strlen(start);
	char *text = arena_alloc(a, n + len + 1);

	memcpy(text, start, n);
	for (size_t i = 0; i < len; i++)
		text[n + i] = letters[rng_below(rng, strlen(letters))];
	return text;
}

TEST(what_we_sign_we_take)
{
	struct rng rng;

	rng_init(&rng, 7);
	for (int i = 0; i < 500; i++) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		scene_init(&s);
		s.req.raw_path = random_text(&rng, a, "/", "ab/%2fF0+*'~\xe6;:");
		s.req.raw_query = random_text(&rng, a, "", "ab=&%2fF0+*'~\xe6;:");
		s.key.secret = random_text(&rng, a, "", "abc/+=~ ");
		add_header(&s, "user-agent", random_text(&rng, a, "", "a \t\xe4,;\""));
		sign(&s, a);
		struct verdict v = verify(&s, a);
		EXPECT(is_good(&v), "%d: '%s?%s': %s", i, s.req.raw_path, s.req.raw_query, v.refusal.message);
		sign_as(&s, "Credential=HWTEST/20261121///sdk_request", "user-agent;host;x-sdk-date", a);
		v = verify(&s, a);
		EXPECT(is_good(&v), "%d scoped: '%s?%s': %s", i, s.req.raw_path, s.req.raw_query, v.refusal.message);
		arena_free(a);
	}
}

/* ---- limits and failures ---- */

TEST(too_many_headers_or_names_are_refused_before_any_is_compared)
{
	static struct sign_header many[201];
	struct arena *a = arena_new(ARENA_SIZE);
	struct buf list;
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	FOR_EACH_ROW (i, many)
		many[i] = i < s.req.n_headers ? s.headers[i] : (struct sign_header){ "accept", "x" };
	s.req.headers = many;
	s.req.n_headers = 201;
	struct verdict v = verify(&s, a);
	EXPECT(is_refused(&v, "DCS.1001", "the request has more than 200 headers"), "%s", v.refusal.message);
	s.req.n_headers = 200;
	v = verify(&s, a);
	EXPECT(is_good(&v), "200 headers: %s", v.refusal.message);
	scene_init(&s);
	buf_init(&list, 1 << 16);
	for (int i = 0; i < 201; i++)
		buf_addf(&list, "%sn%d", i ? ";" : "", i);
	add_header(&s, "Authorization", arena_printf(a, FORM "%s, Signature=" SIG64, buf_text(&list)));
	v = verify(&s, a);
	EXPECT(is_refused(&v, "DCS.1001", MALFORMED), "201 names: %s", v.refusal.message);
	buf_fini(&list);
	arena_free(a);
}

TEST(long_names_do_not_make_long_answers)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct scene s;
	char key[130], name[5000];

	memset(key, 'k', sizeof key);
	memset(name, 'n', sizeof name);
	scene_init(&s);
	add_header(
	        &s, "Authorization",
	        arena_printf(a, "SDK-HMAC-SHA256 Access=%.128s, SignedHeaders=host;x-sdk-date, Signature=" SIG64, key));
	struct verdict v = verify(&s, a);
	EXPECT(same(v.refusal.code, "DCS.1001") && strstr(v.refusal.message, "k not exist"), "%s", v.refusal.message);
	EXPECT(strlen(v.refusal.message) < 400, "%zu", strlen(v.refusal.message));
	set_header(
	        &s, "Authorization",
	        arena_printf(a, "SDK-HMAC-SHA256 Access=%.129s, SignedHeaders=host;x-sdk-date, Signature=" SIG64, key));
	v = verify(&s, a);
	EXPECT(is_refused(&v, "DCS.1001", MALFORMED), "%s", v.refusal.message);
	set_header(&s, "Authorization", arena_printf(a, FORM "%.5000s, Signature=" SIG64, name));
	v = verify(&s, a);
	EXPECT(strstr(v.refusal.message, "nnn, which the request does not have"), "%s", v.refusal.message);
	EXPECT(strlen(v.refusal.message) < 400, "%zu", strlen(v.refusal.message));
	arena_free(a);
}

TEST(unknown_key_leaves_key_and_trace_empty)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	s.key.access_key_id = "OTHER";
	struct verdict v = verify(&s, a);
	EXPECT(is_refused(&v, "DCS.1001", "ak HWTEST not exist"), "%s", v.refusal.message);
	EXPECT(!v.key.access_key_id && !v.trace.canonical_request && !v.trace.string_to_sign && !v.trace.authorization,
	       "something was given away");
	arena_free(a);
}

/* Every way to run out of memory, until there is enough. */
static void expect_limits(struct scene *s)
{
	for (size_t size = 0;; size += 2) {
		struct arena *small = arena_new(size);
		struct verdict v = verify(s, small);
		bool is_enough = v.rc == RC_OK;
		EXPECT(!is_enough || is_good(&v), "%zu: %s", size, v.refusal.message);
		EXPECT(is_enough || (v.rc == RC_LIMIT && same(v.refusal.code, "untouched")), "%zu: %s", size,
		       rc_name(v.rc));
		EXPECT(is_enough || (!v.key.access_key_id && !v.trace.string_to_sign), "%zu: outputs touched", size);
		arena_free(small);
		if (!is_enough)
			continue;
		EXPECT(size > 100 && size < 20000, "%zu bytes were enough", size);
		return;
	}
}

TEST(failures_are_no_verdicts)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct scene s;

	scene_init(&s);
	sign(&s, a);
	s.lookup_rc = RC_IO;
	struct verdict v = verify(&s, a);
	EXPECT(v.rc == RC_IO && same(v.refusal.code, "untouched"), "%s %s", rc_name(v.rc), code_of(&v));
	EXPECT(strstr(v.err.msg, "ill"), "%s", v.err.msg);
	s.lookup_rc = RC_OK;
	expect_limits(&s);
	for (size_t ceiling = 0; ceiling < 300; ceiling += 4) {
		struct arena *small = arena_new(ceiling);
		EXPECT(!sdk_hmac_authorization(&s.req, "k", "s", small), "%zu bytes were enough", ceiling);
		arena_free(small);
	}
	s.req.method = "POST";
	s.req.body_len = 0;
	sign_as(&s, "Credential=HWTEST/20261121///sdk_request", "host;x-sdk-date", a);
	expect_limits(&s);
	arena_free(a);
}

TEST(a_canonical_request_over_1_mib_is_a_limit)
{
	struct arena *a = arena_new(1 << 26);
	struct scene s;
	char *query = mem_alloc(1 << 20);

	memset(query, '+', (1 << 20) - 1); /* three bytes each once encoded */
	query[(1 << 20) - 1] = '\0';
	scene_init(&s);
	s.req.body_len = 0;
	s.req.method = "POST";
	s.req.raw_query = query;
	EXPECT(!sdk_hmac_authorization(&s.req, "k", "s", a), "signed");
	add_header(&s, "Authorization", SCOPED("20261121///sdk_request"));
	struct verdict v = verify(&s, a);
	EXPECT(v.rc == RC_LIMIT && same(v.refusal.code, "untouched"), "%s", rc_name(v.rc));
	mem_free(query);
	arena_free(a);
}

/* ---- pieces ---- */

TEST(query_as_a_form_keeps_the_order_of_one_keys_values)
{
	const struct {
		const char *raw, *form;
	} row[] = {
		{ "", "" },
		{ "&&", "" },
		{ "b=2&a=1+x", "a=1+x&b=2" },
		{ "k=b&k=a&j=%20%2B&k=c", "j=+%2B&k=b&k=a&k=c" },
		{ "=&=x&=a", "=&=x&=a" },
		{ "b&B=~*", "B=~%2A&b=" },
		{ "k=9&k=8&k=7&k=6&k=5&k=4&k=3&k=2&k=1", "k=9&k=8&k=7&k=6&k=5&k=4&k=3&k=2&k=1" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(10000);
		struct buf out;
		buf_init(&out, 1000);
		canon_query_form(&out, row[i].raw, a);
		EXPECT(same(buf_text(&out), row[i].form), "'%s': got '%s'", row[i].raw, buf_text(&out));
		buf_fini(&out);
		arena_free(a);
	}
}

TEST(path_is_decoded_then_encoded_and_ends_in_a_slash)
{
	const struct {
		const char *raw, *canonical;
	} row[] = {
		{ "", "/" },
		{ "/", "/" },
		{ "//", "//" },
		{ "/a", "/a/" },
		{ "/a/", "/a/" },
		{ "/a%2F", "/a/" },
		{ "/a+b%20c%2B", "/a%2Bb%20c%2B/" },
		{ "/%7E~*'%e4", "/~~%2A%27%E4/" },
		{ "/a%00b/../%zz%", "/a%00b/../%25zz%25/" },
		{ "a", "a/" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct scene s;
		char start[100];
		scene_init(&s);
		s.req.raw_path = row[i].raw;
		sign(&s, a);
		struct verdict v = verify(&s, a);
		int len = snprintf(start, sizeof start, "PUT\n%s\na=1%%20x&b=2\n", row[i].canonical);
		EXPECT(is_good(&v) && strncmp(v.trace.canonical_request, start, (size_t)len) == 0, "%s: %s", row[i].raw,
		       v.trace.canonical_request);
		arena_free(a);
	}
}

int main(void)
{
	RUN(every_vector_of_the_contract);
	RUN(the_same_request_may_come_again);
	RUN(we_sign_as_the_sdks_do);
	RUN(vectors_of_the_service);
	RUN(the_go_sdks_own_request);
	RUN(others_must_sign_the_host);
	RUN(forms_of_authorization);
	RUN(refusals_beyond_the_vectors);
	RUN(a_body_of_12_mib_is_not_too_large);
	RUN(temporary_keys_need_their_own_token_in_time);
	RUN(a_token_counts_signed_or_not);
	RUN(an_unsigned_payload_is_for_bodies_that_are_no_json);
	RUN(only_a_scoped_post_without_a_body_hashes_its_query);
	RUN(runs_of_blanks_count_as_one_in_the_scoped_form_only);
	RUN(a_change_of_any_signed_byte_is_refused);
	RUN(what_we_sign_we_take);
	RUN(too_many_headers_or_names_are_refused_before_any_is_compared);
	RUN(long_names_do_not_make_long_answers);
	RUN(unknown_key_leaves_key_and_trace_empty);
	RUN(failures_are_no_verdicts);
	RUN(a_canonical_request_over_1_mib_is_a_limit);
	RUN(query_as_a_form_keeps_the_order_of_one_keys_values);
	RUN(path_is_decoded_then_encoded_and_ends_in_a_slash);
	return test_failures != 0;
}
