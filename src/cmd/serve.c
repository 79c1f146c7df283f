/*
 * serve: the server. Settings, then the parts in the order store < engine < api < http; stopping goes backwards:
 * no new requests, requests in progress, children and waiting changes, then the rest.
 *
 * Signals are blocked before the first thread starts and taken by sigwait on the main thread, so no handler ever
 * interrupts another thread's call. After the first SIGTERM or SIGINT the default action is back: a second one
 * ends the process at once, which is safe (kill -9 is a supported way to stop).
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/num.h"
#include "cmd/args.h"
#include "cmd/data.h"
#include "cmd/remote.h"
#include "cmd/say.h"
#include "cmd/serve.h"
#include "cmd/settings.h"
#include "engine/engine.h"
#include "http/http.h"
#include "os/file.h"

struct serve_options {
	const char *data, *listen, *auth, *config, *tls_cert, *tls_key, *log_level;
	int64_t threads, max_running, drain_s, connections_max, instances_max, check_s;
	struct opt_list import_roots;
	struct function_limits task;
	int64_t keep_tasks, keep_days, tidy_s;
};

struct server {
	struct engine *engine;
	struct api *api;
	struct http_server *http;
	int lock_fd;
};

enum { LOCK_WAIT_MS = 2000, LOCK_LOOK_MS = 10 };
enum { HOST_MAX = 256, URL_MAX = HOST_MAX + 32 };

struct address {
	char host[HOST_MAX];
	int port;
};

/* "127.0.0.1:8080", "[::1]:0", "localhost:8080", ":8080" for every address. */
static enum rc address_parse(const char *text, struct address *out, struct err *err)
{
	const char *colon = strrchr(text, ':');
	int64_t port;

	if (!colon || !num_i64(colon + 1, &port) || port < 0 || port > 65535)
		return err_set(err, RC_INVALID, "--listen is HOST:PORT with a port from 0 to 65535, not '%.60s'", text);
	const char *host = text;
	size_t len = (size_t)(colon - text);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return err_set(err, RC_INVALID, "--listen: write an IPv6 address in brackets: [%.*s]:%s", (int)len,
		               text, colon + 1);
	}
	if (len == 0) {
		host = "0.0.0.0";
		len = strlen(host);
	} else if (len == 9 && memcmp(host, "localhost", 9) == 0) {
		host = "127.0.0.1";
	}
	if (len >= HOST_MAX)
		return err_set(err, RC_INVALID, "--listen: the host name is too long");
	memcpy(out->host, host, len);
	out->host[len] = '\0';
	out->port = (int)port;
	return RC_OK;
}

/* An address, not a name, which may lead anywhere. */
static bool is_loopback(const char *host)
{
	unsigned char v4[4];

	return strcmp(host, "::1") == 0 || (inet_pton(AF_INET, host, v4) == 1 && v4[0] == 127);
}

static enum rc auth_parse(const char *word, const struct address *at, enum auth_mode *out, struct err *err)
{
	if (strcmp(word, "strict") == 0) {
		*out = AUTH_STRICT;
		return RC_OK;
	}
	bool is_off = strcmp(word, "off") == 0;
	if (is_off && !is_loopback(at->host))
		return err_set(err, RC_INVALID, "--auth off is only allowed on a loopback address, not on %.100s",
		               at->host);
	log_warn("auth.weak", "mode=%s meaning=\"%s\"", word,
	         is_off ? "everyone who can connect may do everything"
	                : "signatures are not checked, a known key id is enough");
	*out = is_off ? AUTH_OFF : AUTH_LAX;
	return RC_OK;
}

static void set_log_level(const char *word)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(word, words[i]) == 0)
			log_set_level((enum log_level)i);
	}
}

/* As many connections as the system lets us have. */
static void raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("files.limit", "errno=%d kept=\"the lower limit\"", errno);
}

static enum rc self_path(char out[PATH_MAX], struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
	if (len < 0)
		return err_sys(err, RC_IO, errno, "cannot find the program's own file");
	out[len] = '\0';
	return RC_OK;
}

/* A server that was killed while it started a task leaves, for a moment, the child that has not become its program yet,
 * with copies of all descriptors: that of the lock, and of the port. So a held lock is given time to be let go. */
static enum rc lock_in_time(const char *path, int *fd, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + LOCK_WAIT_MS;
	enum rc rc = file_lock(path, fd, err);

	while (rc == RC_CONFLICT && clock_mono_ms() < until_ms) {
		remote_pause(LOCK_LOOK_MS);
		rc = file_lock(path, fd, err);
	}
	return rc;
}

static enum rc lock_data(const char *data, int *fd, struct err *err)
{
	char path[PATH_MAX];

	enum rc rc = data_make(data, err);
	if (rc == RC_OK)
		rc = path_join(path, data, "lock", err);
	if (rc != RC_OK)
		return rc;
	rc = lock_in_time(path, fd, err);
	return rc == RC_CONFLICT ? err_set(err, rc, "another server runs on '%.300s'", data) : rc;
}

static enum rc start_engine(const struct serve_options *o, struct server *s, struct err *err)
{
	char self[PATH_MAX];

	enum rc rc = self_path(self, err);
	if (rc != RC_OK)
		return rc;
	struct engine_config cfg = {
		.data_dir = o->data,
		.self_exe = self,
		.max_running = (int)o->max_running,
		.views = (int)o->threads,
		.import_roots = o->import_roots.items,
		.n_import_roots = o->import_roots.n,
		.instances_max = o->instances_max,
		.stop_grace_ms = o->drain_s * 1000,
		.bounds = o->task,
		.retention = { o->keep_tasks, o->keep_days, o->tidy_s * 1000 },
		.adopts_orphans = true,
		.verify_every_ms = o->check_s * 1000,
	};
	rc = engine_open(&cfg, &s->engine, err);
	if (rc == RC_OK && !engine_has_keys(s->engine) && strcmp(o->auth, "off") != 0)
		log_warn("key.none", "data=%s advice=\"make one: stint key create --data DIR\"", o->data);
	return rc;
}

/* Descriptors that the server must have whatever its clients do: a start of a task that finds none fails, and so does a
 * look at a Redis instance. */
static int64_t own_files(const struct serve_options *o)
{
	enum {
		ALWAYS = 64,      /* the database for the threads in the background, the supervisor, moments */
		PER_LOOP = 8,     /* its event queue, and its view of the database */
		PER_TASK = 4,     /* its pipe, its process, its log, and one for its start */
		CACHE_TASKS = 16, /* beside those of max-running */
		REFUSED = 256,    /* connections beyond the limit that are being told so */
	};
	return ALWAYS + PER_LOOP * o->threads + PER_TASK * (o->max_running + CACHE_TASKS) + REFUSED;
}

/* As many connections as were asked for, or as there are descriptors for. */
static int64_t connections_max(const struct serve_options *o)
{
	enum { LEAST = 16 };
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT32_MAX)
		return o->connections_max;
	int64_t files = (int64_t)limit.rlim_cur, most = files - own_files(o);
	most = most < LEAST ? LEAST : most;
	if (o->connections_max <= most)
		return o->connections_max;
	log_warn("http.fewer_connections", "asked=%lld most=%lld reason=\"the limit of open files is %lld\"",
		 (long long)o->connections_max, (long long)most, (long long)files);
	return most;
}

static enum rc start_http(const struct serve_options *o, const struct address *at, enum auth_mode auth,
                          struct server *s, struct err *err)
{
	struct api_config api = { .engine = s->engine, .threads = (int)o->threads, .auth = auth };

	enum rc rc = api_open(&api, &s->api, err);
	if (rc != RC_OK)
		return rc;
	struct http_config http = {
		.host = at->host,
		.port = at->port,
		.threads = (int)o->threads,
		.tls_cert = o->tls_cert,
		.tls_key = o->tls_key,
		.limits = { .connections_max = (int)connections_max(o) },
		.handler = api_handle,
		.on_fault = api_fault,
		.on_rest = api_rest,
		.ctx = s->api,
	};
	rc = http_start(&http, &s->http, err);
	if (rc == RC_OK)
		api_set_server(s->api, s->http);
	return rc;
}

static void url_of(const struct serve_options *o, const char *host, const struct server *s, char out[URL_MAX])
{
	bool is_v6 = strchr(host, ':') != NULL;

	(void)snprintf(out, URL_MAX, "%s://%s%s%s:%d", o->tls_cert ? "https" : "http", is_v6 ? "[" : "", host,
	               is_v6 ? "]" : "", http_port(s->http));
}

/* Where the commands on this machine find a server that listens on every address. */
static const char *reachable(const char *host)
{
	if (strcmp(host, "0.0.0.0") == 0)
		return "127.0.0.1";
	return strcmp(host, "::") == 0 ? "::1" : host;
}

static enum rc announce(const struct serve_options *o, const struct address *at, const struct server *s,
                        struct err *err)
{
	char url[URL_MAX], local[URL_MAX];

	url_of(o, at->host, s, url);
	url_of(o, reachable(at->host), s, local);
	enum rc rc = data_endpoint_write(o->data, local, err);
	if (rc == RC_BUSY) { /* a full disk: only the commands beside us ask for it; an old one would mislead them */
		log_warn("server.no_endpoint", "reason=\"%s\"", err->msg);
		data_endpoint_remove(o->data);
	} else if (rc != RC_OK) {
		return rc;
	}
	log_info("server.ready", "url=%s data=%s version=%s", url, o->data, STINT_VERSION);
	printf("stint: ready on %s\n", url);
	/* Whoever started us may have closed stdout; the server is ready all the same. */
	(void)fflush(stdout);
	clearerr(stdout);
	return RC_OK;
}

static void wait_for_signal(const sigset_t *stops)
{
	int sig;

	must(sigwait(stops, &sig) == 0);
	log_info("server.stopping", "signal=%d", sig);
	must(pthread_sigmask(SIG_UNBLOCK, stops, NULL) == 0);
}

static void stop(const struct serve_options *o, struct server *s)
{
	if (s->api)
		api_set_draining(s->api);
	if (s->http) {
		data_endpoint_remove(o->data);
		http_stop(s->http, o->drain_s * 1000);
	}
	/* The engine answers what waits, through the api; so it closes first. */
	if (s->engine)
		engine_close(s->engine);
	if (s->api)
		api_close(s->api);
	if (s->http)
		http_free(s->http);
}

static enum rc serve(const struct serve_options *o, struct err *err)
{
	struct server s = { .lock_fd = -1 };
	struct address at;
	enum auth_mode auth = AUTH_STRICT;
	sigset_t stops;

	must(sigemptyset(&stops) == 0 && sigaddset(&stops, SIGTERM) == 0 && sigaddset(&stops, SIGINT) == 0);
	must(pthread_sigmask(SIG_BLOCK, &stops, NULL) == 0);
	if (!o->tls_cert != !o->tls_key)
		return err_set(err, RC_INVALID, "--tls-cert and --tls-key go together");
	enum rc rc = address_parse(o->listen, &at, err);
	if (rc == RC_OK)
		rc = auth_parse(o->auth, &at, &auth, err);
	if (rc == RC_OK)
		rc = lock_data(o->data, &s.lock_fd, err);
	if (rc == RC_OK)
		rc = start_engine(o, &s, err);
	if (rc == RC_OK)
		rc = start_http(o, &at, auth, &s, err);
	if (rc == RC_OK)
		rc = announce(o, &at, &s, err);
	if (rc == RC_OK)
		wait_for_signal(&stops);
	stop(o, &s);
	if (rc == RC_OK)
		log_info("server.stopped", "data=%s", o->data);
	if (s.lock_fd >= 0)
		(void)close(s.lock_fd); /* nothing was written through it */
	return rc;
}

static int64_t processors(int64_t most)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > most ? most : n;
}

enum { SERVE_OPTIONS = 23, SETTINGS_ARENA = 1 << 20 };

static struct serve_options default_options(void)
{
	return (struct serve_options){
		.listen = "127.0.0.1:8080",
		.auth = "strict",
		.log_level = "info",
		.threads = processors(4),
		.max_running = processors(64),
		.drain_s = 10,
		.connections_max = 10000,
		.instances_max = 1000,
		.keep_tasks = 1000,
		.tidy_s = 60,
		.task = { .log_mib = 64, .processes = 1024 },
		.check_s = 3600,
	};
}

/* The one table of settings, for the command line and for a file. */
static void options_table(struct serve_options *o, struct opt out[SERVE_OPTIONS])
{
	const struct opt table[] = {
		OPTION_TEXT("data", &o->data, "DIR", "Data folder (default $STINT_DATA, else ./stint-data)."),
		OPTION_TEXT("listen", &o->listen, "HOST:PORT", "Address (default 127.0.0.1:8080; port 0: a free one)."),
		OPTION_INT("threads", &o->threads, "N", 1, 64, "Loop threads (default: processors, at most 4)."),
		OPTION_INT("max-running", &o->max_running, "N", 0, 1024,
		           "Tasks run at once (default: processors, at most 64; 0 pauses)."),
		OPTION_CHOICE("auth", &o->auth, "MODE", "strict|lax|off",
		              "strict (default), lax: known key id only, off: loopback only."),
		OPTION_LIST("import-root", &o->import_roots, "PATH",
		            "Folder training data may be read from; may be repeated."),
		OPTION_TEXT("config", &o->config, "FILE", "Settings file; the command line wins."),
		OPTION_TEXT("tls-cert", &o->tls_cert, "FILE", "Certificate chain in PEM; switches HTTPS on."),
		OPTION_TEXT("tls-key", &o->tls_key, "FILE", "Its private key in PEM."),
		OPTION_CHOICE("log-level", &o->log_level, "LEVEL", "error|warn|info|debug",
		              "error, warn, info (default) or debug."),
		OPTION_INT("drain-seconds", &o->drain_s, "N", 0, 3600,
		           "Longest wait for requests, then children, at stop (10)."),
		OPTION_INT("max-connections", &o->connections_max, "N", 1, 1000000,
		           "Open connections; more get 503 (default 10000)."),
		OPTION_INT("max-instances", &o->instances_max, "N", 1, 1000000,
		           "Instances of one function in an app group (1000)."),
		OPTION_INT("keep-tasks", &o->keep_tasks, "N", 0, 1000000,
		           "Ended tasks kept of each instance (1000; 0: all)."),
		OPTION_INT("keep-days", &o->keep_days, "N", 0, 36500,
		           "Days ended tasks are kept (0: for ever, the default)."),
		OPTION_INT("tidy-seconds", &o->tidy_s, "N", 1, 86400, "From one tidying to the next (60)."),
		OPTION_INT("max-task-seconds", &o->task.time_s, "N", 0, 2592000,
		           "Bound of every task's time (0: none, the default)."),
		OPTION_INT("max-task-cpu-seconds", &o->task.cpu_s, "N", 0, 2592000000,
		           "Bound of its processor time (0: none, the default)."),
		OPTION_INT("max-task-memory-mib", &o->task.memory_mib, "N", 0, 1 << 24,
		           "Bound of its memory (0: none, the default)."),
		OPTION_INT("max-task-disk-mib", &o->task.disk_mib, "N", 0, 1 << 30,
		           "Bound of its working folder (0: none, the default)."),
		OPTION_INT("max-task-log-mib", &o->task.log_mib, "N", 1, 1 << 20, "Bound of its log (64)."),
		OPTION_INT("max-task-processes", &o->task.processes, "N", 0, 1 << 22,
		           "Bound of its processes (1024; 0: none)."),
		OPTION_INT("check-seconds", &o->check_s, "N", 0, 2592000,
		           "Between checks of the models in service (3600; 0: only at start)."),
	};
	static_assert(sizeof table == SERVE_OPTIONS * sizeof *out, "SERVE_OPTIONS counts them");
	memcpy(out, table, sizeof table);
}

enum rc serve_settings_check(const char *path, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(SETTINGS_ARENA);
	struct serve_options o = default_options();
	struct opt opts[SERVE_OPTIONS];

	options_table(&o, opts);
	return settings_read(path, opts, SERVE_OPTIONS, a, err);
}

static int run_serve(const struct command *c, int argc, char **argv)
{
	struct serve_options o = default_options();
	struct opt opts[SERVE_OPTIONS];
	const char *operands[OPERANDS_MAX];
	struct err err = { 0 };
	int code;

	options_table(&o, opts);
	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct arena *a = arena_new(SETTINGS_ARENA);
	enum rc rc = o.config ? settings_read(o.config, opts, ARRAY_LEN(opts), a, &err) : RC_OK;
	o.data = data_dir(o.data);
	if (rc == RC_OK) {
		set_log_level(o.log_level);
		raise_file_limit();
		rc = serve(&o, &err);
	}
	arena_free(a);
	return rc == RC_OK ? 0 : say_failed(c, rc, &err);
}

const struct command command_serve = {
	.name = "serve",
	.operands = "",
	.summary = "Run the server.",
	.example = "stint serve --data ./stint-data --listen 127.0.0.1:8080 --import-root /srv/clicks",
	.run = run_serve,
};
