#include "request.h"

#include <string.h>
#include <strings.h>
#include "fuzz.h"
#include "http/head.h"

bool request_read(struct request *r, const uint8_t *data, size_t size, struct arena *a)
{
	struct head_scan s = { 0 };
	struct head_fault fault;
	struct head h;
	const char *bytes = (const char *)data;

	if (!size || head_scan(&s, bytes, size, &fault) != HEAD_DONE || !head_parse(&h, a, bytes, s.seen, &fault))
		return false;
	*r = (struct request){ .req = { .method = h.method,
	                                .raw_path = h.raw_path,
	                                .raw_query = h.raw_query,
	                                .n_headers = h.n_headers,
	                                .body = size > s.seen ? bytes + s.seen : NULL,
	                                .body_len = size - s.seen } };
	for (size_t i = 0; i < h.n_headers; i++)
		r->list[i] = (struct sign_header){ h.headers[i].name, h.headers[i].value };
	r->req.headers = r->list;
	return true;
}

void request_copy(struct request *to, const struct request *from)
{
	*to = *from;
	to->req.headers = to->list;
}

void request_drop(struct request *r, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < r->req.n_headers; i++)
		if (strcasecmp(r->list[i].name, name) != 0)
			r->list[n++] = r->list[i];
	r->req.n_headers = n;
}

void request_set(struct request *r, const char *name, const char *value)
{
	request_drop(r, name);
	CHECK(r->req.n_headers < REQUEST_HEADERS_MAX, "%zu headers", r->req.n_headers);
	r->list[r->req.n_headers++] = (struct sign_header){ name, value };
}

enum rc request_lookup(void *ctx, const char *access_key_id, struct arena *a, struct sign_key *out, struct err *err)
{
	struct sign_key key = { .secret = ctx ? ctx : REQUEST_SECRET, .account = "account" };

	if (strcmp(access_key_id, "BROKEN") == 0)
		return err_set(err, RC_IO, "the store cannot be read");
	if (strcmp(access_key_id, "OFF") == 0)
		key.status = SIGN_KEY_INACTIVE;
	else if (strcmp(access_key_id, "STS") == 0)
		key.security_token = REQUEST_TOKEN;
	else if (strcmp(access_key_id, "AKID") != 0)
		return err_set(err, RC_NOT_FOUND, "no key");
	key.access_key_id = arena_dup(a, access_key_id);
	*out = key;
	return RC_OK;
}
