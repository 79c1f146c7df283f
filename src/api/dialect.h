/*
 * dialect: what one cloud's API does in its own way on the common path of a request (api.c): which operations there
 * are, who may call, and how a refusal looks that no operation makes. Private to api/.
 */
#ifndef API_DIALECT_H
#define API_DIALECT_H

#include "api/call.h"

struct dialect {
	const char *id_header;        /* carries the request's id in every answer */
	const char *content_type;     /* of its errors */
	const struct route *(*routes)(size_t *n);
	/* Do signed operations live here, whether or not there is one at this very path? */
	bool (*is_signed_place)(const char *raw_path);
	/* Bring the spellings that clients use for one path to the table's. False: a path that nothing has. */
	bool (*settle_path)(struct path *p);
	/* True: c->account (and what else its operations want to know of the caller) is set. False: refused, and the
	 * answer is sent. */
	bool (*authenticate)(struct call *c, enum auth_mode mode, struct nonces *nonces);
	/* Does what the request says of its operation fit its route? False: answered. */
	bool (*is_consistent)(struct call *c);
	void (*bad_request)(struct call *c, const struct err *err); /* a path or a query that cannot be read */
	void (*unavailable)(struct call *c);
	void (*no_memory)(struct call *c);                          /* 503 too, in words of its own */
	void (*no_path)(struct call *c);
	void (*no_method)(struct call *c);                          /* c->methods says which there are */
	/* The body for what the http server itself refuses; why may be empty. */
	void (*fault)(struct buf *body, int status, const char *request_id, const char *why);
};

extern const struct dialect opensearch_dialect, dcs_dialect;

#endif
