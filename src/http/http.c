#include "http/http.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "http/http_priv.h"

enum { THREADS_MAX = 256 };

static const struct http_limits default_limits = {
	.body_max = 2 * 1024 * 1024, .connections_max = 10000, .header_timeout_ms = 10000, .idle_timeout_ms = 60000,
};

/* ---- the object ---- */

static void use_defaults(struct http_limits *l)
{
	if (!l->body_max)
		l->body_max = default_limits.body_max;
	if (!l->connections_max)
		l->connections_max = default_limits.connections_max;
	if (!l->header_timeout_ms)
		l->header_timeout_ms = default_limits.header_timeout_ms;
	if (!l->idle_timeout_ms)
		l->idle_timeout_ms = default_limits.idle_timeout_ms;
}

static struct http_server *server_new(const struct http_config *cfg)
{
	struct http_server *s = mem_new(struct http_server);
	s->cfg = *cfg;
	s->cfg.host = mem_dup(cfg->host);
	s->cfg.tls_cert = s->cfg.tls_key = NULL; /* read once, at start */
	use_defaults(&s->cfg.limits);
	s->timeout_ms[TIMER_REQUEST] = s->cfg.limits.header_timeout_ms;
	s->timeout_ms[TIMER_IDLE] = s->cfg.limits.idle_timeout_ms;
	s->timeout_ms[TIMER_WRITE] = s->cfg.limits.idle_timeout_ms;
	s->timeout_ms[TIMER_LINGER] = LINGER_MS;
	s->listen_fd = -1;
	s->refs = 1;
	s->loops = mem_array((size_t)cfg->threads, sizeof(*s->loops));
	for (int i = 0; i < cfg->threads; i++)
		loop_init(&s->loops[i], s, i);
	return s;
}

static void server_free(struct http_server *s)
{
	for (int i = 0; i < s->cfg.threads; i++)
		loop_fini(&s->loops[i]);
	if (s->listen_fd >= 0)
		(void)close(s->listen_fd);
	SSL_CTX_free(s->tls);
	mem_free((void *)(uintptr_t)s->cfg.host);
	mem_free(s->loops);
	mem_free(s);
}

void server_ref(struct http_server *s) { atomic_fetch_add(&s->refs, 1); }

void server_unref(struct http_server *s)
{
	if (atomic_fetch_sub(&s->refs, 1) == 1)
		server_free(s);
}

/* ---- binding ---- */

static int open_listener(const struct addrinfo *addr)
{
	int on = 1;
	int fd = socket(addr->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, addr->ai_addr, addr->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int sys = errno;
	(void)close(fd);
	errno = sys;
	return -1;
}

static enum rc port_of(int fd, int *port, struct err *err)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		return err_sys(err, RC_IO, errno, "http: cannot learn the port");
	in_port_t p = addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port :
						   ((struct sockaddr_in *)&addr)->sin_port;
	*port = ntohs(p);
	return RC_OK;
}

static enum rc server_bind(struct http_server *s, struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *addr = NULL;
	char port[16];
	(void)snprintf(port, sizeof(port), "%d", s->cfg.port);
	int bad = getaddrinfo(s->cfg.host, port, &hints, &addr);
	if (bad)
		return err_set(err, RC_INVALID, "http: cannot listen on host '%s': %s", s->cfg.host, gai_strerror(bad));
	s->listen_fd = open_listener(addr);
	int sys = errno;
	freeaddrinfo(addr);
	if (s->listen_fd < 0)
		return err_sys(err, RC_IO, sys, "http: cannot listen on %s port %d", s->cfg.host, s->cfg.port);
	return port_of(s->listen_fd, &s->port, err);
}

/* ---- start and stop ---- */

static enum rc check_config(const struct http_config *cfg, struct err *err)
{
	must(cfg->handler);
	must(cfg->on_fault);
	if (!cfg->host || !*cfg->host)
		return err_set(err, RC_INVALID, "http: no host to listen on");
	if (cfg->port < 0 || cfg->port > 65535)
		return err_set(err, RC_INVALID, "http: port %d is not in 0 .. 65535", cfg->port);
	if (cfg->threads < 1 || cfg->threads > THREADS_MAX)
		return err_set(err, RC_INVALID, "http: %d threads is not in 1 .. %d", cfg->threads, THREADS_MAX);
	if (!cfg->tls_cert != !cfg->tls_key)
		return err_set(err, RC_INVALID, "http: TLS needs a certificate and its key, only one is given");
	const struct http_limits *l = &cfg->limits;
	if (l->connections_max < 0 || l->header_timeout_ms < 0 || l->idle_timeout_ms < 0)
		return err_set(err, RC_INVALID, "http: a limit is negative");
	return RC_OK;
}

static enum rc start_loops(struct http_server *s, struct err *err)
{
	for (int i = s->cfg.threads - 1; i >= 0; i--) { /* loop 0 accepts, so it comes last */
		enum rc rc = loop_start(&s->loops[i], err);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc server_start(struct http_server *s, const struct http_config *cfg, struct err *err)
{
	if (cfg->tls_cert) {
		enum rc rc = tls_new(cfg->tls_cert, cfg->tls_key, &s->tls, err);
		if (rc != RC_OK)
			return rc;
	}
	enum rc rc = server_bind(s, err);
	return rc == RC_OK ? start_loops(s, err) : rc;
}

enum rc http_start(const struct http_config *cfg, struct http_server **out, struct err *err)
{
	enum rc rc = check_config(cfg, err);
	if (rc != RC_OK)
		return rc;
	struct http_server *s = server_new(cfg);
	rc = server_start(s, cfg, err);
	if (rc != RC_OK) {
		http_free(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

int http_port(const struct http_server *s) { return s->port; }

void http_stats(const struct http_server *s, struct http_stats *out)
{
	*out = (struct http_stats){
		.connections = atomic_load(&s->n_conns),
		.accepted = atomic_load(&s->n_accepted),
		.refused = atomic_load(&s->n_refused),
	};
}

void http_stop(struct http_server *s, int64_t drain_ms)
{
	if (s->is_stopped)
		return;
	s->is_stopped = true;
	atomic_store(&s->stop_at_ms, clock_mono_ms() + (drain_ms > 0 ? drain_ms : 0));
	atomic_store(&s->is_stopping, true);
	for (int i = 0; i < s->cfg.threads; i++)
		if (s->loops[i].has_thread)
			loop_wake(&s->loops[i]);
	for (int i = 0; i < s->cfg.threads; i++)
		if (s->loops[i].has_thread)
			must(pthread_join(s->loops[i].thread, NULL) == 0);
}

void http_free(struct http_server *s)
{
	if (!s)
		return;
	http_stop(s, /* drain_ms= */ 0);
	server_unref(s);
}
