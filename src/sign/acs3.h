/*
 * acs3: Alibaba Cloud's request signature V3, ACS3-HMAC-SHA256: verify a request, and make one.
 * Every rule of it has a vector in tests/unit.
 *
 * Not here: who holds which key (the caller's lookup), policies, the other schemes (one file each, later).
 * Owner:   requests, keys and results borrow from the caller's arena. Secrets are wiped by who loaded them.
 * Threads: pure but for struct nonces, which locks itself.
 */
#ifndef SIGN_ACS3_H
#define SIGN_ACS3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

struct sign_header {
	const char *name;  /* any case, NUL-terminated */
	const char *value; /* as received; outer blanks may still be there */
};

/* A request as received: nothing decoded. */
struct sign_request {
	const char *method;      /* "GET" */
	const char *raw_path;    /* bytes before the first '?' */
	const char *raw_query;   /* bytes after it, "" when none */
	const struct sign_header *headers;
	size_t n_headers;
	const void *body;        /* the de-chunked entity */
	size_t body_len;
};

struct hash_key;

enum sign_key_status { SIGN_KEY_ACTIVE, SIGN_KEY_INACTIVE };

struct sign_key {
	const char *access_key_id;
	const char *secret;
	const struct hash_key *prepared; /* of the secret (sign/hash.h), when the caller keeps it; NULL: made from it */
	const char *security_token; /* NULL: a permanent key */
	int64_t expires_s;          /* of a temporary key; 0: never */
	enum sign_key_status status;
	const char *account;        /* for the caller; not looked at */
};

/* Find a key. RC_OK and *out filled (borrowed from a), RC_NOT_FOUND, or a failure of the store. */
typedef enum rc sign_lookup_fn(void *ctx, const char *access_key_id, struct arena *a, struct sign_key *out,
			       struct err *err);

/* Why a request was refused: the vendor's code (of static life), status and text (borrowed from the arena). */
struct sign_refusal {
	const char *code;    /* NULL: the request is good. Else e.g. "SignatureDoesNotMatch" */
	int http_status;
	const char *message; /* for SignatureDoesNotMatch with the server's string to sign in it; may span lines */
};

/* What a correct server computes, for tests and messages. Members NULL when refused before computing. */
struct sign_trace {
	const char *canonical_request, *string_to_sign, *authorization;
};

struct nonces;

/*
 * Check in the contract's order: form of Authorization, required headers, date window (15 min, inclusive),
 * key, token, signature and body hash, nonce. The nonce is recorded only when all else is good.
 * check_signature false ("lax" mode): everything up to the key, then accept; nonces may be NULL then.
 * RC_OK: *refusal says the verdict, *key (when found, also of a refused request) who it is; trace may be NULL.
 * Anything else is a failure of lookup or of memory (RC_LIMIT), not a verdict, and no output is written.
 * Memory: 64 KiB serve any ordinary request; the most wasteful query ("a&a&a...") takes 20 times its length.
 */
enum rc acs3_verify(const struct sign_request *req, int64_t now_s, bool check_signature, sign_lookup_fn *lookup,
		    void *lookup_ctx, struct nonces *nonces, struct arena *a, struct sign_key *key,
		    struct sign_refusal *refusal, struct sign_trace *trace, struct err *err) NODISCARD;

/*
 * Make the Authorization value for a request whose headers (host, x-acs-action, x-acs-version, x-acs-date,
 * x-acs-signature-nonce, x-acs-content-sha256, content-type with a body) are already in req: signs host,
 * content-type and every x-acs-*, so none of these may stand there twice. Returned from a; NULL when a is full.
 */
char *acs3_authorization(const struct sign_request *req, const char *access_key_id, const char *secret,
			 struct arena *a);
/* Lower-case hex SHA-256 of bytes into out[65]. */
void sign_sha256_hex(const void *bytes, size_t len, char out[65]);

/*
 * nonces: which (scheme, key, nonce) came within the last 31 minutes. A bounded hash set of 128-bit
 * fingerprints in time buckets: old buckets are dropped whole; when full and nothing is old enough, new
 * requests are refused (throttling) rather than a replay let through. It lives in memory only: a restart
 * forgets, so a request of the last 15 minutes can be presented once more after one.
 */
struct nonces *nonces_new(size_t max_entries); /* about 40 bytes each, reserved at once */
void nonces_free(struct nonces *n);
enum nonce_verdict { NONCE_NEW, NONCE_SEEN, NONCE_FULL };
enum nonce_verdict nonces_add(struct nonces *n, const char *scheme, const char *access_key_id, const char *nonce,
			      int64_t now_s);

#endif
