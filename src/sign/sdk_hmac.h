/*
 * sdk_hmac: Huawei Cloud's and Open Telekom Cloud's request signature, SDK-HMAC-SHA256: verify a request, and make one.
 * Every rule of it has a vector in tests/unit.
 *
 * Both forms are verified: Access=KEY with the secret as it is (the vendor's own SDKs), and Credential=KEY/SCOPE with
 * a derived secret (gophertelekomcloud, Terraform). Only the first is made.
 *
 * The host must be signed, but by the vendor's Go SDK, which leaves it out and is told by its signed User-Agent.
 *
 * Not here: which projects a key may use (DCS.1004), paths to refuse before routing ("..", %2F: they sign like what
 * they decode to), tokens (X-Auth-Token without Authorization belongs to their issuer; as there is none yet, such a
 * request gets the answer of an unknown token), and nonces: the scheme has none and SDKs resend requests unchanged.
 * Owner:   as in sign/acs3.h, whose types these are.
 * Threads: any (pure).
 */
#ifndef SIGN_SDK_HMAC_H
#define SIGN_SDK_HMAC_H

#include "sign/acs3.h"

/*
 * Check in this order: form of Authorization, repeated headers, date window (15 min, inclusive), size of the body
 * (12 MiB), key, token, what is signed, payload, signature. check_signature false ("lax" mode): everything up to the
 * key, then accept.
 * RC_OK: *refusal says the verdict: code is error_code ("DCS.1001", .1002 an expired token, .1003 no credentials),
 * http_status 401, message error_msg (under 400 characters, one line, ASCII). *key (when found, also of a refused
 * request) says who it is; trace may be NULL, and serves diagnosis: where a request could have been signed in several
 * ways it shows the one that matched, else the first.
 * Anything else is a failure of lookup or of memory (RC_LIMIT), not a verdict, and no output is written.
 * Memory: as acs3_verify; a POST without a body but with a query may take twice that.
 */
enum rc sdk_hmac_verify(const struct sign_request *req, int64_t now_s, bool check_signature, sign_lookup_fn *lookup,
			void *lookup_ctx, struct arena *a, struct sign_key *key, struct sign_refusal *refusal,
			struct sign_trace *trace, struct err *err) NODISCARD;

/*
 * Make the Authorization value for a request whose headers are already in req: host, x-sdk-date (YYYYMMDDThhmmssZ),
 * and as wanted content-type, user-agent, x-project-id, x-domain-id, x-security-token and x-sdk-content-sha256 (the
 * body's hash, or UNSIGNED-PAYLOAD). Of these all that are there get signed, so none may stand there twice.
 * Returned from a; NULL when a is full or the request too large.
 */
char *sdk_hmac_authorization(const struct sign_request *req, const char *access_key_id, const char *secret,
			     struct arena *a);

#endif
