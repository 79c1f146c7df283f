/*
 * vectors: what the tests of both signature schemes share: a request that a test may change, the server's one key, the
 * verdict on it, and the reading of tests/unit/vectors/NAME.json.
 *
 * Owner:    a scene's texts are borrowed: from the vectors, which the caller releases with json_decref, or from the
 * test. Threads:  one.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <jansson.h>
#include "base/clock.h"
#include "base/must.h"
#include "sign/acs3.h"
#include "test.h"

enum { MAX_HEADERS = 40, ARENA_SIZE = 1 << 20 };

/* A request whose headers a test may change, and the server's one key. */
struct scene {
	struct sign_header headers[MAX_HEADERS];
	struct sign_request req;
	struct sign_key key;
	int64_t now_s;
	enum rc lookup_rc; /* what the lookup answers when not RC_OK */
};

/* All that a verifier gives back. */
struct verdict {
	enum rc rc;
	struct sign_refusal refusal;
	struct sign_key key;
	struct sign_trace trace;
	struct err err;
};

static bool same(const char *x, const char *y) { return x && y ? strcmp(x, y) == 0 : x == y; }

static const char *code_of(const struct verdict *v) { return v->refusal.code ? v->refusal.code : "good"; }

/* The verifiers' lookup; ctx is the scene. */
static enum rc find_key(void *ctx, const char *access_key_id, struct arena *a, struct sign_key *out, struct err *err)
{
	const struct scene *s = ctx;
	(void)a;
	if (s->lookup_rc != RC_OK)
		return err_set(err, s->lookup_rc, "the key store is ill");
	if (strcmp(access_key_id, s->key.access_key_id) != 0)
		return err_set(err, RC_NOT_FOUND, "no such key");
	*out = s->key;
	return RC_OK;
}

static void add_header(struct scene *s, const char *name, const char *value)
{
	must(s->req.n_headers < MAX_HEADERS);
	s->headers[s->req.n_headers++] = (struct sign_header){ name, value };
}

/* Change the first header of just that name, or add one. */
static void set_header(struct scene *s, const char *name, const char *value)
{
	for (size_t i = 0; i < s->req.n_headers; i++) {
		if (same(s->headers[i].name, name)) {
			s->headers[i].value = value;
			return;
		}
	}
	add_header(s, name, value);
}

/* Every header of just that name goes; the others keep their order. */
static void drop_header(struct scene *s, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->req.n_headers; i++) {
		if (!same(s->headers[i].name, name))
			s->headers[kept++] = s->headers[i];
	}
	s->req.n_headers = kept;
}

static const char *member(const json_t *v, const char *name) { return json_string_value(json_object_get(v, name)); }

/* The vectors in tests/unit/vectors/file; NULL, and the test has failed, when they cannot be read. */
static json_t *load_vectors(const char *file)
{
	char path[1000];
	json_error_t e;

	(void)snprintf(path, sizeof path, "%s/unit/vectors/%s", TEST_SOURCE_DIR, file);
	json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
	EXPECT(all, "%s line %d: %s", file, e.line, e.text);
	return all;
}

/* The request, the key and the time of one vector. */
static void load_scene(struct scene *s, const json_t *v)
{
	const json_t *headers = json_object_get(v, "headers"), *h;
	size_t i;

	*s = (struct scene){ 0 };
	json_array_foreach(headers, i, h)
	{
		add_header(s, json_string_value(json_array_get(h, 0)), json_string_value(json_array_get(h, 1)));
	}
	s->req.headers = s->headers;
	s->req.method = member(v, "method");
	s->req.raw_path = member(v, "path");
	s->req.raw_query = member(v, "query") ? member(v, "query") : "";
	s->req.body = member(v, "body") ? member(v, "body") : "";
	s->req.body_len = strlen(s->req.body);
	s->key = (struct sign_key){ .access_key_id = member(v, "access_key_id"),
		                    .secret = member(v, "secret"),
		                    .security_token = member(v, "security_token") };
	EXPECT(clock_parse_iso(member(v, "server_time"), &s->now_s), "%s: server_time", member(v, "id"));
}

/* Each step of the computation came out as the vector says; what it does not have was not computed. */
static void expect_trace(const json_t *v, const struct sign_trace *got)
{
	const char *id = member(v, "id"), *to_sign = member(v, "expected_string_to_sign");
	const char *canonical = member(v, "expected_canonical_request");
	const char *authorization = member(v, "expected_authorization");

	EXPECT(same(got->canonical_request, canonical), "%s: got %s", id, got->canonical_request);
	EXPECT(same(got->string_to_sign, to_sign), "%s: got %s", id, got->string_to_sign);
	EXPECT(same(got->authorization, authorization), "%s: got %s", id, got->authorization);
}

#endif
