/*
 * server: the API in this process, without a network: requests are built by hand, answers caught where the http server
 * would send them; engine, store and signatures off (AUTH_OFF) are real.
 *
 * What holds of every request: it is answered once, at the latest when the engine closes; with the id of the request;
 * in JSON, or with nothing (204, HEAD).
 *
 * A script is requests one after the other, separated by lines "---": "METHOD TARGET", and from the next line on the
 * body. "@name@" in target or body becomes what the answers so far last said for the member "name"
 * (or server_define said).
 *
 * State: a folder that begin fills once; the server is opened on a fresh copy of it now and then (server_turn), so that
 * it stays small.
 */
#ifndef FUZZ_SERVER_H
#define FUZZ_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"

/* Make the state that every turn starts with; called once. The program that runs built-in tasks is the file "child". */
typedef void server_begin_fn(void);

/* Open the server for the first time, or, after turn_size calls of this, anew on the state begin left. Waiting requests
 * are then answered. True: it is a new turn. */
bool server_turn(server_begin_fn *begin, int turn_size);
/* For begin, which leaves the server stopped: a file in the data folder; start and stop. */
void server_write(const char *name, const char *text, unsigned mode);
void server_start(int max_running);
void server_stop(void);

struct server_answer {
	bool is_waiting; /* the operation answers when its task ends */
	int status;
	const char *content_type;
	const char *body;
	size_t body_len;
	const json_t *json; /* NULL: empty */
};

/* Answers last until the next call. may_wait: an operation that answers later is no fault. */
const struct server_answer *server_call(const char *method, const char *target, const char *body, size_t body_len,
					bool may_wait);

/* No operation waits for its task: nothing changes by itself. */
bool server_is_idle(void);

void server_define(const char *name, const char *value);
const char *server_value(const char *name); /* "" when nothing was said */

struct server_request {
	char *method, *target, *body; /* filled in */
	size_t body_len;
};

/* Calls take for each request of the script; at most max. */
void server_script(const uint8_t *data, size_t size, int max, void (*take)(const struct server_request *r));

#endif
