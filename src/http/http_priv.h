/*
 * http_priv: what the files of http/ share: server, loop, connection, request.
 *
 * libh2o gives the event loop, the sockets with their buffers, and TLS on them. Its HTTP/1 layer is not used: it closes
 * slow connections without a word, answers faults as text/plain of its own, takes Host, Content-Length, Expect and
 * others out of the headers, has one timeout for everything, and lets two lengths through. What replaces it is
 * http/head.c, http/chunk.c (pure) and http/conn.c (the state machine).
 *
 * Invariants:
 *  H1  A connection, its socket and its timers are touched by its loop thread only.
 *  H2  A request has one holder at a time: its connection, the handler, or the inbox. conn->req and req->conn point at
 *      each other until either side ends; only the loop thread reads or writes the two.
 *  H3  The server outlives every request and thread that can reach it: each holds a reference.
 *  H4  At most one write is under way on a socket. An answer waits for "100 Continue" to be out.
 */
#ifndef HTTP_HTTP_PRIV_H
#define HTTP_HTTP_PRIV_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <h2o/socket.h>
#include <h2o/linklist.h>
#include "base/buf.h"
#include "base/worry.h"
#include "http/chunk.h"
#include "http/head.h"
#include "http/http.h"

enum {
	REQUEST_ARENA_MAX = 64 * 1024 * 1024,
	REPLY_MAX = 1024 * 1024 * 1024, /* of one answer: a guard against our own mistakes, not a setting */
	WRITE_SLICE = 256 * 1024,       /* written at once; each slice restarts the write timeout */
	FILE_SLICE = 128 * 1024,        /* of a file: read and written at once, one per answer in memory */
	LINGER_MS = 2000,               /* reading on after a refusal: the client then sees the answer and no reset */
	REFUSED_MAX = 256,              /* connections over the limit that still get a 503; more are just closed */
	ACCEPT_PAUSE_MS = 100,          /* out of descriptors: how long to leave the backlog alone */
	ACCEPT_BATCH = 64,
	BODIES_MAX = 128,               /* times body_max: bytes of all bodies held at once; beyond it 503 */
};

/* ---- messages to a loop ---- */

enum message_kind { MESSAGE_ACCEPTED, MESSAGE_REPLIED, MESSAGE_RUN };

struct message {
	struct message *next;
	enum message_kind kind;
};

struct accepted {
	struct message message; /* first */
	int fd;
	bool is_refused;        /* over connections_max: answer 503 */
	char peer[INET6_ADDRSTRLEN];
};

/* ---- timers: every kind has one length, so each list is in order of its deadlines ---- */

enum timer_kind { TIMER_REQUEST, TIMER_IDLE, TIMER_WRITE, TIMER_LINGER, TIMER_KINDS };

/* ---- loop ---- */

struct loop {
	struct http_server *server;
	int index;
	pthread_t thread;
	bool has_thread;
	h2o_loop_t *ev;
	int wake_fd;               /* eventfd; closed with the server: a late poster never writes to another file */
	int wake_read_fd;          /* a duplicate of it, until the thread has it in its event loop: */
	h2o_socket_t *wake;
	pthread_mutex_t lock;      /* guards inbox and is_closed; nothing else happens under it */
	struct message *inbox, **inbox_end;
	bool is_closed;
	_Atomic int n_conns;       /* assigned to this loop, on their way to it included */
	h2o_linklist_t conns;
	h2o_linklist_t timers[TIMER_KINDS];
	int64_t now_ms;            /* monotonic, of the turn's end: callbacks of the poll before it ask the clock */
	h2o_socket_t *listener;    /* loop 0 until the drain */
	int64_t accept_again_ms;   /* 0: accepting */
	struct worry exhaustion;   /* of descriptors, when accepting */
	bool is_draining;
};

struct http_server {
	struct http_config cfg;    /* text members point to our copies */
	struct loop *loops;
	SSL_CTX *tls;              /* NULL: plain */
	int listen_fd;             /* until loop 0 takes it */
	int port;
	int64_t timeout_ms[TIMER_KINDS];
	_Atomic int refs;
	_Atomic bool is_stopping;
	_Atomic int64_t stop_at_ms;
	_Atomic int64_t n_conns, n_accepted, n_refused;
	_Atomic int64_t bodies_size; /* bytes of request bodies in memory */
	bool is_stopped;
};

void server_ref(struct http_server *s);
void server_unref(struct http_server *s);

void loop_init(struct loop *l, struct http_server *s, int index);
enum rc loop_start(struct loop *l, struct err *err) NODISCARD;
void loop_fini(struct loop *l);
/* Any thread. False when the loop has ended: the message is still the caller's. */
bool loop_post(struct loop *l, struct message *m);
void loop_wake(struct loop *l);
bool loop_is_here(const struct loop *l);

/* ---- requests ---- */

struct request {
	struct http_req pub;       /* first: the handler's view */
	struct message message;
	unsigned magic;
	struct http_server *server;
	struct loop *loop;
	struct conn *conn;         /* NULL: the client is gone (H2) */
	struct head head;
	struct chunk chunk;
	struct buf body, out;
	int file_fd;               /* what follows out, or -1 */
	int64_t file_left;         /* bytes of it not yet read */
	char *file_slice;          /* the part under way */
	size_t charged_size;       /* of body, already in server->bodies_size */
	void (*run)(struct http_req *req); /* with MESSAGE_RUN */
	_Atomic bool is_replied;
	bool is_kept_alive;        /* after the answer; decided when it is rendered */
	char peer[INET6_ADDRSTRLEN];
};

struct request *request_new(struct loop *l, struct conn *c, const char peer[INET6_ADDRSTRLEN]);
void request_free(struct request *r);
/* Count the body's growth; false when all bodies together are too large. */
bool request_charge(struct request *r);
void request_render(struct request *r, const struct http_reply *reply);
/* What http_run wants. */
void request_run(struct request *r);
/* The next part of the file into r->file_slice: its length, or 0 when the file is not what it was said to be. Blocks
 * for the disk as long as a slice takes; loop thread. */
size_t request_read_file(struct request *r);

/* ---- connections ---- */

enum conn_state {
	CONN_HANDSHAKE, /* TLS */
	CONN_IDLE,      /* no byte of a request yet */
	CONN_HEAD,
	CONN_BODY,
	CONN_HANDLING,  /* the handler has the request */
	CONN_WRITING,
	CONN_LINGER,    /* answered for the last time: read and drop until the client closes */
	CONN_CLOSING,   /* given to h2o_socket_close; freed by its callback */
};

struct conn {
	unsigned magic;
	enum conn_state state;
	struct loop *loop;
	h2o_socket_t *sock;
	h2o_linklist_t link, timer;
	int64_t deadline_ms;
	struct head_scan scan;
	struct request *req;       /* from the end of its head (or its fault) to the end of its answer */
	size_t n_sent;             /* of req->out */
	bool is_refused;
	bool was_used;             /* has carried a request */
	bool is_telling_continue;  /* H4 */
	char peer[INET6_ADDRSTRLEN];
};

/* Take a connected descriptor into this loop. */
void conn_open(struct loop *l, int fd, const char *peer, bool is_refused);
/* The request's answer is rendered: send it, or drop it when the client is gone. Loop thread. */
void conn_answer(struct request *r);
void conn_drain(struct conn *c);   /* the server is stopping: go as soon as nothing is owed */
void conn_abort(struct conn *c);   /* go now */
void conn_expire(struct conn *c);  /* its timer ran out */

/* PEM files to a server context: TLS 1.2 at least, no HTTP/2. */
enum rc tls_new(const char *cert, const char *key, SSL_CTX **out, struct err *err) NODISCARD;

#endif
