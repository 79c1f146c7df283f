/*
 * loop: one thread with an event loop, the connections assigned to it, their timers, and an inbox that other
 * threads post to.
 *
 * Loop 0 also accepts, and hands each connection to the loop that has the fewest. SDK clients keep few connections for
 * a long time; with one listener per thread (SO_REUSEPORT) the kernel's hash puts two of them on one thread half of the
 * time, and closing one such listener resets what waits in its backlog. A hand-over costs one message per connection,
 * not per request. It also makes the connection limit exact.
 *
 * Timers are our own, on the monotonic clock: libh2o's run on wall time, and a step of that clock would close
 * everything. Signals are blocked in loop threads: they are the main thread's matter, and SIGPIPE of a write to a
 * closed socket, which the kernel sends to the writing thread, stays pending there and the write just fails.
 */
#include "http/http_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"

enum { TURN_MAX_MS = 60 * 1000 };

static _Thread_local struct loop *loop_here;

bool loop_is_here(const struct loop *l) { return loop_here == l; }

/* ---- inbox ---- */

void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake_fd, &one, sizeof(one));
	must(n == (ssize_t)sizeof(one) || errno == EAGAIN); /* EAGAIN: the counter is full, so it is awake anyway */
}

bool loop_post(struct loop *l, struct message *m)
{
	m->next = NULL;
	pthread_mutex_lock(&l->lock);
	bool is_open = !l->is_closed, was_empty = !l->inbox;
	if (is_open) {
		*l->inbox_end = m;
		l->inbox_end = &m->next;
	}
	pthread_mutex_unlock(&l->lock);
	if (is_open && was_empty)
		loop_wake(l);
	return is_open;
}

static struct message *inbox_take(struct loop *l, bool is_last)
{
	pthread_mutex_lock(&l->lock);
	struct message *all = l->inbox;
	l->inbox = NULL;
	l->inbox_end = &l->inbox;
	l->is_closed |= is_last;
	pthread_mutex_unlock(&l->lock);
	return all;
}

static struct request *request_of_message(struct message *m)
{
	return (struct request *)((char *)m - offsetof(struct request, message));
}

static void refuse_fd(struct loop *l, int fd)
{
	(void)close(fd);
	atomic_fetch_sub(&l->n_conns, 1);
	atomic_fetch_sub(&l->server->n_conns, 1);
}

static void take_accepted(struct loop *l, struct accepted *a)
{
	if (l->is_draining)
		refuse_fd(l, a->fd);
	else
		conn_open(l, a->fd, a->peer, a->is_refused);
	mem_free(a);
}

static void inbox_run(struct loop *l, bool is_last)
{
	for (struct message *m = inbox_take(l, is_last), *next; m; m = next) {
		next = m->next;
		if (m->kind == MESSAGE_ACCEPTED)
			take_accepted(l, (struct accepted *)m);
		else if (m->kind == MESSAGE_RUN)
			request_run(request_of_message(m));
		else
			conn_answer(request_of_message(m));
	}
}

static void on_wake(h2o_socket_t *sock, const char *error)
{
	must(!error);
	struct loop *l = sock->data;
	h2o_buffer_consume(&sock->input, sock->input->size);
	inbox_run(l, /* is_last= */ false);
}

/* ---- accepting (loop 0) ---- */

static struct loop *emptiest_loop(struct http_server *s)
{
	struct loop *best = &s->loops[0];
	for (int i = 1; i < s->cfg.threads; i++)
		if (atomic_load(&s->loops[i].n_conns) < atomic_load(&best->n_conns))
			best = &s->loops[i];
	return best;
}

static void write_peer(char out[INET6_ADDRSTRLEN], const struct sockaddr_storage *addr)
{
	const void *bytes = &((const struct sockaddr_in *)addr)->sin_addr;
	int family = addr->ss_family;
	if (family == AF_INET6) {
		const struct in6_addr *six = &((const struct sockaddr_in6 *)addr)->sin6_addr;
		bool is_mapped = IN6_IS_ADDR_V4MAPPED(six);
		bytes = is_mapped ? (const void *)(six->s6_addr + 12) : six;
		family = is_mapped ? AF_INET : AF_INET6;
	}
	if (!inet_ntop(family, bytes, out, INET6_ADDRSTRLEN))
		out[0] = '\0';
}

/* An answer is one write, so waiting for more to send helps nobody; a peer that acknowledges nothing is given up. */
static void set_options(const struct http_server *s, int fd)
{
	int on = 1;
	unsigned timeout_ms = (unsigned)s->timeout_ms[TIMER_WRITE];
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

static void hand_over(struct loop *l, struct accepted *a)
{
	atomic_fetch_add(&l->n_conns, 1);
	if (loop_is_here(l)) {
		take_accepted(l, a);
	} else if (!loop_post(l, &a->message)) {
		refuse_fd(l, a->fd);
		mem_free(a);
	}
}

static void take_connection(struct http_server *s, int fd, const struct sockaddr_storage *addr)
{
	int64_t n = atomic_fetch_add(&s->n_conns, 1) + 1;
	int64_t limit = s->cfg.limits.connections_max;
	atomic_fetch_add(n > limit ? &s->n_refused : &s->n_accepted, 1);
	if (n > limit + REFUSED_MAX) {
		(void)close(fd);
		atomic_fetch_sub(&s->n_conns, 1);
		return;
	}
	set_options(s, fd);
	struct accepted *a = mem_new(struct accepted);
	a->message.kind = MESSAGE_ACCEPTED;
	a->fd = fd;
	a->is_refused = n > limit;
	write_peer(a->peer, addr);
	hand_over(emptiest_loop(s), a);
}

static bool is_exhaustion(int sys) { return sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM; }

static void pause_accepting(struct loop *l, int sys)
{
	int64_t now = clock_mono_ms();
	if (worry_is_news(&l->exhaustion, now)) /* a flood takes whatever is freed: it comes and goes */
		log_warn("http.accept_paused", "errno=%d ms=%d", sys, ACCEPT_PAUSE_MS);
	h2o_socket_read_stop(l->listener);
	l->accept_again_ms = now + ACCEPT_PAUSE_MS;
}

static void on_connection(h2o_socket_t *listener, const char *error)
{
	struct loop *l = listener->data;
	(void)error; /* with DONT_READ there is none */
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage addr = { 0 };
		socklen_t len = sizeof(addr);
		int fd = accept4(h2o_socket_get_fd(listener), (struct sockaddr *)&addr, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_connection(l->server, fd, &addr);
		} else if (is_exhaustion(errno)) {
			pause_accepting(l, errno);
			return;
		} else if (errno == EAGAIN) {
			return;
		} /* else that one connection failed before we took it; the next may be fine */
	}
}

static void listener_open(struct loop *l)
{
	l->listener = h2o_evloop_socket_create(l->ev, l->server->listen_fd, H2O_SOCKET_FLAG_DONT_READ);
	l->server->listen_fd = -1;
	l->listener->data = l;
	h2o_socket_read_start(l->listener, on_connection);
}

static void listener_close(struct loop *l)
{
	if (!l->listener)
		return;
	h2o_socket_close(l->listener);
	l->listener = NULL;
}

/* ---- timers ---- */

static struct conn *conn_of_timer(h2o_linklist_t *link) { return H2O_STRUCT_FROM_MEMBER(struct conn, timer, link); }

static void timers_run(struct loop *l)
{
	for (int kind = 0; kind < TIMER_KINDS; kind++) {
		h2o_linklist_t *list = &l->timers[kind];
		while (!h2o_linklist_is_empty(list)) {
			struct conn *c = conn_of_timer(list->next);
			if (c->deadline_ms > l->now_ms)
				break;
			h2o_linklist_unlink(&c->timer);
			conn_expire(c);
		}
	}
	if (l->accept_again_ms && l->accept_again_ms <= l->now_ms && l->listener) {
		l->accept_again_ms = 0;
		h2o_socket_read_start(l->listener, on_connection);
	}
}

static int32_t turn_ms(struct loop *l)
{
	int64_t at = clock_mono_ms() + TURN_MAX_MS, now = at - TURN_MAX_MS;
	for (int kind = 0; kind < TIMER_KINDS; kind++) {
		if (h2o_linklist_is_empty(&l->timers[kind]))
			continue;
		int64_t deadline = conn_of_timer(l->timers[kind].next)->deadline_ms;
		at = deadline < at ? deadline : at;
	}
	if (l->accept_again_ms && l->accept_again_ms < at)
		at = l->accept_again_ms;
	if (l->is_draining && atomic_load(&l->server->stop_at_ms) < at)
		at = atomic_load(&l->server->stop_at_ms);
	return at > now ? (int32_t)(at - now) : 0;
}

/* ---- the thread ---- */

static void each_conn(struct loop *l, void (*fn)(struct conn *c))
{
	for (h2o_linklist_t *link = l->conns.next, *next; link != &l->conns; link = next) {
		next = link->next; /* fn may free its connection, and that one only */
		fn(H2O_STRUCT_FROM_MEMBER(struct conn, link, link));
	}
}

static void turn(struct loop *l, int32_t max_ms)
{
	(void)h2o_evloop_run(l->ev, max_ms); /* fails when interrupted only: the next turn polls again */
	l->now_ms = clock_mono_ms();
	timers_run(l);
	const struct http_config *cfg = &l->server->cfg;
	if (cfg->on_rest)
		cfg->on_rest(cfg->ctx, l->index);
}

static bool is_over(struct loop *l)
{
	if (!atomic_load(&l->server->is_stopping))
		return false;
	if (!l->is_draining) {
		l->is_draining = true;
		listener_close(l);
		each_conn(l, conn_drain);
	}
	return h2o_linklist_is_empty(&l->conns) || l->now_ms >= atomic_load(&l->server->stop_at_ms);
}

static void loop_end(struct loop *l)
{
	each_conn(l, conn_abort);
	while (!h2o_linklist_is_empty(&l->conns))
		turn(l, /* max_ms= */ 10); /* TLS farewells: their sockets are shut, so each ends at once */
	inbox_run(l, /* is_last= */ true);
	h2o_socket_close(l->wake);
	turn(l, 0); /* frees what was closed */
	h2o_evloop_destroy(l->ev);
}

/* In the thread itself: a socket's input buffer belongs to the thread that made the socket. */
static void loop_begin(struct loop *l)
{
	loop_here = l;
	/* Recycled buffers would outlive the thread: libh2o keeps them per thread and has no call that frees them. Nor
	 * shall large ones become files in /tmp; ours stay small, as every byte is taken out as it arrives. */
	h2o_socket_buffer_prototype.allocator.max = 0;
	h2o_socket_buffer_prototype.mmap_settings = NULL;
	l->now_ms = clock_mono_ms();
	l->wake = h2o_evloop_socket_create(l->ev, l->wake_read_fd, 0);
	l->wake_read_fd = -1;
	l->wake->data = l;
	h2o_socket_read_start(l->wake, on_wake);
	if (l->index == 0)
		listener_open(l);
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;
	loop_begin(l);
	while (!is_over(l))
		turn(l, turn_ms(l));
	loop_end(l);
	loop_here = NULL;
	return NULL;
}

void loop_init(struct loop *l, struct http_server *s, int index)
{
	l->server = s;
	l->index = index;
	l->inbox_end = &l->inbox;
	l->wake_fd = l->wake_read_fd = -1;
	must(pthread_mutex_init(&l->lock, NULL) == 0);
	h2o_linklist_init_anchor(&l->conns);
	for (int kind = 0; kind < TIMER_KINDS; kind++)
		h2o_linklist_init_anchor(&l->timers[kind]);
}

static enum rc open_wake(struct loop *l, struct err *err)
{
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->wake_read_fd = l->wake_fd < 0 ? -1 : fcntl(l->wake_fd, F_DUPFD_CLOEXEC, 0);
	if (l->wake_read_fd < 0)
		return err_sys(err, RC_IO, errno, "http: cannot make a descriptor to wake a loop");
	return RC_OK;
}

/* h2o_evloop_create aborts when it gets no descriptor, so see first that there is one. (h2o_evloop_destroy never closes
 * it: a stopped server leaves one descriptor per loop behind, which matters to tests only.) */
static enum rc open_loop(struct loop *l, struct err *err)
{
	int probe = fcntl(l->wake_fd, F_DUPFD_CLOEXEC, 0);
	if (probe < 0)
		return err_sys(err, RC_IO, errno, "http: cannot make an event loop");
	(void)close(probe);
	l->ev = h2o_evloop_create();
	return RC_OK;
}

static int start_thread(struct loop *l)
{
	sigset_t all, before;
	must(sigfillset(&all) == 0);
	must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	int sys = pthread_create(&l->thread, NULL, loop_main, l);
	must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	return sys;
}

enum rc loop_start(struct loop *l, struct err *err)
{
	enum rc rc = open_wake(l, err);
	if (rc == RC_OK)
		rc = open_loop(l, err);
	if (rc != RC_OK)
		return rc;
	int sys = start_thread(l);
	if (sys != 0) {
		h2o_evloop_destroy(l->ev);
		return err_sys(err, RC_IO, sys, "http: cannot start a loop thread");
	}
	l->has_thread = true;
	return RC_OK;
}

void loop_fini(struct loop *l)
{
	if (l->wake_fd >= 0)
		(void)close(l->wake_fd);
	if (l->wake_read_fd >= 0)
		(void)close(l->wake_read_fd);
	(void)pthread_mutex_destroy(&l->lock);
}
