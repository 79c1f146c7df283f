/*
 * request: an input that is a whole HTTP request, as the signature schemes see it.
 *
 * Owner:   everything lies in the arena given; the struct is the caller's.
 */
#ifndef FUZZ_REQUEST_H
#define FUZZ_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "sign/acs3.h"

enum { REQUEST_HEADERS_MAX = 120 };

struct request {
	struct sign_request req; /* headers is list */
	struct sign_header list[REQUEST_HEADERS_MAX];
};

/* Head and body; false when the input is no request. */
bool request_read(struct request *r, const uint8_t *data, size_t size, struct arena *a);
void request_copy(struct request *to, const struct request *from);
void request_drop(struct request *r, const char *name);
/* In place of all of that name. */
void request_set(struct request *r, const char *name, const char *value);

/* Now, in every run: 2026-11-21T12:00:00Z. */
enum { REQUEST_NOW_S = 1795262400 };

/* Keys there are: "AKID" (permanent), "OFF" (inactive), "STS" (with the token "token"); looking up "BROKEN" fails. */
#define REQUEST_SECRET "secret"
#define REQUEST_TOKEN "token"
/* ctx: const char *, the secret of all keys; NULL: REQUEST_SECRET. */
enum rc request_lookup(void *ctx, const char *access_key_id, struct arena *a, struct sign_key *out, struct err *err);

#endif
