/*
 * dialect: a server without its sockets, for tests of the vendors' dialects. Requests are made by hand, and answers
 * caught where the http server would send them (dialect.c is the http server); engine, store and children are real.
 *
 * One server at a time. Threads: the test's alone; answers may come from any.
 */
#ifndef DIALECT_H
#define DIALECT_H

#include "api/api.h"
#include "base/buf.h"
#include "json/json.h"
#include "test.h"

/* ---- the last answer ---- */

struct seen {
	int status;
	char content_type[80];
	struct buf body; /* a file's bytes too */
	json_t *json;    /* NULL when the body is none */
};
extern struct seen seen;

const char *seen_header(const char *lower_name); /* "" when there is none */
void seen_keep(const struct http_reply *reply);  /* as if it had been sent */

/* What stands at a place such as "Result/0/InstanceName"; NULL: nothing. */
const json_t *value_at(const char *place);
/* The same as JSON, texts without their quotes; "-": nothing. The last eight stay valid. */
const char *at(const char *place);
#define EXPECT_AT(place, value)                                                                                        \
	EXPECT(strcmp(at(place), (value)) == 0, "%s is %s in %s", (place), at(place), buf_text(&seen.body))

/* ---- the server ---- */

struct dialect_setup {
	enum auth_mode auth;
	int max_running;
	int threads;           /* loops that a request may name */
	int64_t look_every_ms; /* at Redis instances; 0: as a server does */
	const char *id_header; /* every answer has the request's id there; NULL: not looked at */
};

extern char data_dir[4096], child[4200]; /* child: the program that runs what is built in */
extern struct engine *engine;
extern struct api *api;
extern char key_id[64], key_secret[64], key_project[64];

void dialect_make_dir(void); /* data_dir, and child in it */
void dialect_start(const struct dialect_setup *setup);
void dialect_stop(void); /* what still waits is answered */
void dialect_end(void);  /* stop, and the folder goes */
/* path is below data_dir when it is no absolute one. */
void write_file(const char *path, const char *text, unsigned mode);
void make_key(const char *account); /* NULL: the server's own */

/* A row of a table of routes must say what it is called, what a policy must allow, and who answers it; once. */
struct route;
void check_routes(const struct route *routes, size_t n);

/* ---- requests ---- */

enum { HEADERS_MAX = 16 };

struct request {
	const char *method, *target, *body; /* body NULL: none */
	struct http_header headers[HEADERS_MAX];
	size_t n_headers;
	int loop;
};

extern size_t request_memory; /* of one request; 16 MiB */
int send_request(const struct request *r); /* the answer's status */
/* Called on either side of the handing over and the wait for the answer, when it is set: there faults are armed. */
extern void (*dialect_watch)(bool begins);
/* GET target again until the answer has value at place; what a client does, with its patience limited. */
bool poll_until(const char *target, const char *place, const char *value);

#endif
