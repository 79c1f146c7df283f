/*
 * Starting, finding and ending redis-server.
 *
 * Redis makes itself a daemon: own session, child of nobody here, so it neither dies with us nor stays as a zombie.
 * While it starts we hold the read end of a pipe whose write end only Redis has (descriptor 3, never written to):
 * its end tells that Redis is gone, and the log written meanwhile tells why.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "cache/cache_priv.h"
#include "os/calls.h"
#include "os/file.h"
#include "os/proc.h"
#include "os/procs.h"

enum {
	LOG_SIZE_MAX = 4 << 20 /* at a start */,
	LOG_LIVE_MAX = 64 << 20,
	LOG_TAIL_SIZE = 8192,
	LOG_LINE_MAX = 200,
	INFO_SIZE_MAX = 1 << 20,
	ASK_AGAIN_MS = 250,
	LEAVE_LIMIT_MS = 20000
};

#define SERVER_NAME "redis-server" /* as the kernel names the process and the children it forks */

enum rc node_dir(const struct cache_instance *c, int node, char out[PATH_MAX], struct err *err)
{
	char name[24];
	(void)snprintf(name, sizeof name, "node-%d", c->nodes[node].number);
	return path_join(out, c->dir, name, err);
}

enum rc node_file(const struct cache_instance *c, int node, const char *name, char out[PATH_MAX], struct err *err)
{
	char dir[PATH_MAX];
	enum rc rc = node_dir(c, node, dir, err);
	return rc == RC_OK ? path_join(out, dir, name, err) : rc;
}

/* ---- which process is it ---- */

/* Does the process work in the node's folder? Redis moves there and stays; nobody else has a reason to. */
static bool works_in(pid_t pid, const char *dir)
{
	char link[64], cwd[PATH_MAX], real[PATH_MAX];

	(void)snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
	ssize_t n = readlink(link, cwd, sizeof cwd - 1);
	if (n < 0 || !realpath(dir, real))
		return false;
	cwd[n] = '\0';
	return strcmp(cwd, real) == 0;
}

static pid_t pid_in_file(const char *path)
{
	struct buf text;
	int64_t pid = 0;

	buf_init(&text, 32);
	if (file_read(path, &text, NULL) == RC_OK)
		(void)num_i64_n(text.bytes, strcspn(buf_text(&text), "\r\n"), &pid); /* stays 0 when it is no number */
	buf_fini(&text);
	return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* A descriptor of the node's process, and its number; -1: there is none. */
static int find_process(const struct cache_instance *c, int node, pid_t *pid)
{
	const struct cache_node *n = &c->nodes[node];
	char dir[PATH_MAX], path[PATH_MAX];

	/* First the descriptor, then the check: what is checked cannot be exchanged afterwards. */
	*pid = n->pid > 1 ? (pid_t)n->pid : 0;
	int fd = *pid ? pidfd_open(*pid, 0) : -1;
	if (fd >= 0 && proc_is_same(*pid, n->mark))
		return fd;
	if (fd >= 0)
		(void)close(fd);
	if (node_dir(c, node, dir, NULL) != RC_OK || path_join(path, dir, "redis.pid", NULL) != RC_OK)
		return -1;
	*pid = pid_in_file(path);
	fd = *pid ? pidfd_open(*pid, 0) : -1;
	if (fd >= 0 && works_in(*pid, dir))
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int node_pidfd(const struct cache_instance *c, int node)
{
	pid_t pid;
	return find_process(c, node, &pid);
}

int64_t node_cpu_ms(const struct cache_instance *c, int node)
{
	pid_t pid;
	int fd = find_process(c, node, &pid);
	int64_t used = fd >= 0 ? procs_cpu_ms(pid) : -1;

	if (fd >= 0)
		(void)close(fd);
	return used;
}

enum rc node_open(const struct op *op, const struct cache_instance *c, int node, struct wire **out, struct err *err)
{
	char secret[SECRET_DIGITS + 1];
	enum rc rc = secret_read(c, secret, err);

	if (rc == RC_OK)
		rc = wire_open(op, c->nodes[node].host, c->port, ADMIN_USER, secret, out, err);
	mem_wipe(secret, sizeof secret);
	return rc;
}

enum rc node_identify(struct wire *w, const struct cache_instance *c, int node, struct cache_node *n, struct err *err)
{
	char run_id[CACHE_RUN_ID_SIZE], config[PATH_MAX], wanted[PATH_MAX];
	struct buf info;

	enum rc rc = node_file(c, node, "redis.conf", wanted, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&info, INFO_SIZE_MAX);
	rc = info_read(w, &info, err, "server");
	int64_t pid = info_int(&info, "process_id", 0), mark = 0;
	if (rc == RC_OK && (!info_text(&info, "run_id", run_id, sizeof run_id) || pid <= 1 || pid > INT_MAX))
		rc = wire_odd(w, "INFO", err);
	/* run_id is proof. Without it (we were cut off before it was noted) the file it was started from is. */
	bool is_ours =
	        rc == RC_OK && (strcmp(run_id, c->nodes[node].run_id) == 0 ||
	                        (info_text(&info, "config_file", config, sizeof config) && !strcmp(config, wanted)));
	if (rc == RC_OK && (!is_ours || !proc_start_mark((pid_t)pid, &mark)))
		rc = err_set(err, RC_CONFLICT, "another redis-server (process %lld) answers at %s", (long long)pid,
		             wire_where(w));
	if (rc == RC_OK) {
		memcpy(n->run_id, run_id, sizeof run_id);
		n->pid = pid;
		n->mark = mark;
	}
	buf_fini(&info);
	return rc;
}

/* What nobody has written down. A child that saves for a server which was killed would put its file in place later. */
static enum rc end_strays(const struct cache_instance *c, int node, struct err *err)
{
	char dir[PATH_MAX];
	enum rc rc = node_dir(c, node, dir, err);
	if (rc == RC_OK && !proc_kill_in(dir, SERVER_NAME, KILL_LIMIT_MS))
		rc = err_set(err, RC_IO, "node %d: a process in its folder does not end", c->nodes[node].number);
	return rc;
}

/* ---- starting ---- */

enum rc address_check(const char *host, int port, struct err *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
	const struct sockaddr *address = is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
	socklen_t size = is_v4 ? sizeof v4 : sizeof v6;
	int on = 1;

	must(is_v4 || inet_pton(AF_INET6, host, &v6.sin6_addr) == 1); /* cache_check has seen it */
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, RC_IO, errno, "cannot make a socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* as Redis does; without it bind is stricter */
	int sys = bind(fd, address, size) == 0 ? 0 : errno;
	(void)close(fd);
	switch (sys) {
	case 0:
		return RC_OK;
	case EADDRINUSE:
		return err_set(err, RC_CONFLICT, "%s port %d is taken by another program", host, port);
	case EADDRNOTAVAIL:
		return err_set(err, RC_INVALID, "%s is no address of this machine", host);
	case EACCES:
		return err_set(err, RC_DENIED, "no right to listen at %s port %d", host, port);
	default:
		return err_sys(err, RC_IO, sys, "cannot listen at %s port %d", host, port);
	}
}

static enum rc check_addresses(const struct cache_instance *c, int node, struct err *err)
{
	enum rc rc = address_check(c->nodes[node].host, c->port, err);
	if (rc == RC_OK && node == c->master && strcmp(c->host, c->nodes[node].host) != 0)
		rc = address_check(c->host, c->port, err);
	return rc;
}

/* The log's last line of weight from offset on: what Redis says before it gives up. */
static void last_words(const char *path, int64_t offset, char out[LOG_LINE_MAX + 1])
{
	struct buf text;
	const char *best = "it wrote no reason", *p;
	size_t best_len = strlen(best);
	bool is_warning = false;

	buf_init(&text, LOG_TAIL_SIZE);
	let_pass(file_read_part(path, offset, LOG_TAIL_SIZE, &text,
	                        NULL)); /* without a log there is no reason to tell */
	for (p = buf_text(&text); *p; p += strspn(p, "\r\n")) {
		size_t len = strcspn(p, "\r\n");
		const char *hash = memchr(p, '#', len);
		/* ">>>" quotes a line of the configuration, which may hold a secret. */
		if (strncmp(p, ">>>", 3) != 0 && len && (hash || !is_warning)) {
			is_warning = is_warning || hash;
			best = hash ? hash + 1 + (hash[1] == ' ') : p;
			best_len = len - (size_t)(best - p);
		}
		p += len;
	}
	if (best_len > LOG_LINE_MAX)
		best_len = LOG_LINE_MAX;
	memcpy(out, best, best_len);
	out[best_len] = '\0';
	buf_fini(&text);
}

/* Redis opens its log for every line, so the file may go at any time. */
static enum rc rotate_log(const char *path, int64_t most, int64_t *size, struct err *err)
{
	char old[PATH_MAX];

	*size = 0;
	if (file_size(path, size, NULL) != RC_OK || *size <= most)
		return RC_OK;
	int len = snprintf(old, sizeof old, "%s.1", path);
	if (len < 0 || len >= PATH_MAX)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	if (os.rename(path, old) != 0)
		return err_sys(err, RC_IO, errno, "cannot rename '%.300s'", path);
	*size = 0;
	return RC_OK;
}

void cache_bound_logs(const struct cache_instance *c)
{
	char path[PATH_MAX];
	int64_t size;

	for (int i = 0; i < c->n_nodes; i++) {
		if (node_file(c, i, "redis.log", path, NULL) == RC_OK)
			let_pass(rotate_log(path, LOG_LIVE_MAX, &size, NULL)); /* it is tried again */
	}
}

struct birth {
	char dir[PATH_MAX], conf[PATH_MAX], log[PATH_MAX];
	int64_t log_from;
	int death_fd; /* ends when the process does */
};

/* Redis leaves for the background at once, and its first process ends. What stays is something else by that name. */
static enum rc wait_gone(const struct op *op, struct proc *p, const struct birth *b, struct err *err)
{
	struct op part = op_within(op, LEAVE_LIMIT_MS);
	struct pollfd end = { .fd = p->pidfd, .events = POLLIN };
	struct proc_exit exit;
	char words[LOG_LINE_MAX + 1];

	while (poll(&end, 1, ASK_AGAIN_MS) <= 0) {
		enum rc rc = op_check(&part, err);
		if (rc != RC_OK) {
			proc_signal_group(p, SIGKILL);
			(void)proc_wait(p, &exit); /* how it ended is known */
			return err_wrap(err, rc, "redis-server does not go into the background");
		}
	}
	if (proc_wait(p, &exit) && exit.exit_code == 0) /* the daemon is its child and goes on */
		return RC_OK;
	last_words(b->log, b->log_from, words);
	return err_set(err, RC_IO, "redis-server refuses to start: %s", words);
}

static enum rc spawn(const struct op *op, struct birth *b, const int fds[4], struct err *err)
{
	char path[4096];
	const char *inherited = getenv("PATH");
	const char *program = op->run->program ? op->run->program : "redis-server";

	int len = snprintf(path, sizeof path, "PATH=%s",
	                   inherited && *inherited ? inherited : "/usr/local/bin:/usr/bin:/bin");
	if (len < 0 || (size_t)len >= sizeof path)
		return err_set(err, RC_LIMIT, "PATH is longer than %zu bytes", sizeof path);
	struct proc_spec spec = { .argv = (const char *const[]){ program, b->conf, NULL },
		                  .envp = (const char *const[]){ path, "LANG=C", NULL },
		                  .work_dir = b->dir,
		                  .fds = fds,
		                  .n_fds = 4 };
	struct proc p;
	enum rc rc = proc_spawn(&spec, &p, err);
	if (rc == RC_NOT_FOUND)
		return err_set(err, rc, "there is no program '%.200s': install the package redis-server", program);
	return rc == RC_OK ? wait_gone(op, &p, b, err) : rc;
}

static enum rc give_birth(const struct op *op, struct birth *b, struct err *err)
{
	int null_fd = os.open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	int log_fd = os.open(b->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int life[2] = { -1, -1 };
	enum rc rc = RC_OK;

	if (null_fd < 0 || log_fd < 0 || os.pipe2(life, O_CLOEXEC) != 0)
		rc = err_sys(err, RC_IO, errno, "cannot prepare '%.300s'", b->log);
	if (rc == RC_OK)
		rc = spawn(op, b, (const int[]){ null_fd, log_fd, log_fd, life[1] }, err);
	const int spent[] = { null_fd, log_fd, life[1], rc == RC_OK ? -1 : life[0] };
	for (size_t i = 0; i < ARRAY_LEN(spent); i++) {
		if (spent[i] >= 0)
			(void)os.close(spent[i]);
	}
	if (rc == RC_OK)
		b->death_fd = life[0];
	return rc;
}

static bool has_ended(int death_fd, int wait_ms)
{
	struct pollfd p = { .fd = death_fd, .events = POLLIN };
	return poll(&p, 1, wait_ms) > 0 && death_fd >= 0;
}

/* RC_OK with *is_ready; other codes: no use to go on. */
static enum rc try_ready(const struct op *op, const struct cache_instance *c, int node, struct wire **w, bool *is_ready,
                         struct err *err)
{
	struct err why = { .rc = RC_OK };
	enum rc rc = *w ? RC_OK : node_open(op, c, node, w, &why);
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	if (rc == RC_OK)
		rc = info_read(*w, &info, &why, "persistence");
	*is_ready = rc == RC_OK && info_int(&info, "loading", 1) == 0 && info_int(&info, "async_loading", 0) == 0;
	buf_fini(&info);
	if (rc == RC_DENIED || rc == RC_CORRUPT)
		return err_set(err, RC_CONFLICT, "something else answers at the node's address: %.300s", why.msg);
	if (rc != RC_OK) { /* not listening yet, or it breaks off while it starts */
		wire_close(*w);
		*w = NULL;
	}
	return RC_OK;
}

enum rc node_wait_ready(const struct op *op, const struct cache_instance *c, int node, int death_fd, struct wire **out,
                        struct err *err)
{
	struct wire *w = NULL;
	bool is_ready = false;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !is_ready) {
		rc = try_ready(op, c, node, &w, &is_ready, err);
		if (rc == RC_OK && !is_ready && has_ended(death_fd, LOOK_AGAIN_MS))
			rc = err_set(err, RC_IO, "redis-server ended");
		if (rc == RC_OK && !is_ready)
			rc = op_check(op, err);
	}
	if (rc == RC_OK)
		*out = w;
	else
		wire_close(w);
	return rc;
}

/* Redis with an append-only file looks at nothing else, so data that is only in dump.rdb must be loaded without. */
static bool needs_rdb_boot(const struct cache_instance *c, int node)
{
	char manifest[PATH_MAX], dump[PATH_MAX];
	return strcmp(cache_setting(c, "appendonly"), "yes") == 0 &&
	       node_file(c, node, AOF_DIR "/appendonly.aof.manifest", manifest, NULL) == RC_OK &&
	       !file_exists(manifest) && node_file(c, node, DUMP_FILE, dump, NULL) == RC_OK && file_exists(dump);
}

static enum rc begin_aof(const struct op *op, const struct cache_instance *c, int node, struct wire *w, struct err *err)
{
	enum rc rc = wire_call(w, NULL, err, "CONFIG", "SET", "appendonly", "yes");
	if (rc == RC_OK)
		rc = aof_wait(op, w, err);
	return rc == RC_OK ? conf_write(c, node, /* is_rdb_boot= */ false, err) : rc;
}

/* From a running process to a node that can be used. */
static enum rc bring_up(const struct op *op, struct cache_instance *c, int node, const struct birth *b,
                        bool is_rdb_boot, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	enum rc rc = node_wait_ready(op, c, node, b->death_fd, &w, err);

	if (rc == RC_IO && has_ended(b->death_fd, 0)) {
		char words[LOG_LINE_MAX + 1];
		last_words(b->log, b->log_from, words);
		return err_set(err, RC_IO, "redis-server ended at its start: %s", words);
	}
	if (rc == RC_OK)
		rc = node_identify(w, c, node, &c->nodes[node], err);
	if (rc == RC_OK && is_rdb_boot)
		rc = begin_aof(op, c, node, w, err);
	return rc;
}

static enum rc prepare(const struct cache_instance *c, int node, bool is_rdb_boot, struct birth *b, struct err *err)
{
	enum rc rc = check_addresses(c, node, err);
	if (rc == RC_OK)
		rc = conf_write(c, node, is_rdb_boot, err);
	if (rc == RC_OK)
		rc = node_file(c, node, "redis.conf", b->conf, err);
	if (rc == RC_OK)
		rc = node_file(c, node, "redis.log", b->log, err);
	if (rc == RC_OK)
		rc = rotate_log(b->log, LOG_SIZE_MAX, &b->log_from, err);
	return rc;
}

static enum rc remove_temp(void *ctx, const char *name, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = strncmp(name, "temp-", 5) == 0 ? path_join(path, ctx, name, err) : RC_NOT_FOUND;
	return rc == RC_OK ? file_remove(path, err) : rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* Nobody else may work there; and the files that a killed Redis was writing are of no use to anybody. */
static enum rc clear_folder(const struct cache_instance *c, int node, char *dir, struct err *err)
{
	char aof[PATH_MAX];
	enum rc rc = end_strays(c, node, err);

	if (rc == RC_OK)
		rc = dir_make(dir, 0700, err);
	if (rc == RC_OK)
		rc = dir_each(dir, remove_temp, dir, err);
	if (rc == RC_OK)
		rc = path_join(aof, dir, AOF_DIR, err);
	return rc == RC_OK ? dir_each(aof, remove_temp, aof, err) : rc;
}

enum rc node_start(const struct op *op, struct cache_instance *c, int node, struct err *err)
{
	enum rc rc = restore_undo(c, node, err);
	return rc == RC_OK ? node_boot(op, c, node, err) : rc;
}

enum rc node_boot(const struct op *op, struct cache_instance *c, int node, struct err *err)
{
	struct birth b = { .death_fd = -1 };
	enum rc rc = node_dir(c, node, b.dir, err);

	if (rc == RC_OK)
		rc = clear_folder(c, node, b.dir, err);
	bool is_rdb_boot = needs_rdb_boot(c, node);
	if (rc == RC_OK)
		rc = prepare(c, node, is_rdb_boot, &b, err);
	if (rc == RC_OK)
		rc = give_birth(op, &b, err);
	act_done();
	if (b.death_fd >= 0) {
		rc = bring_up(op, c, node, &b, is_rdb_boot, err);
		if (rc != RC_OK && node_kill(c, node, NULL) != RC_OK)
			rc = err_wrap(err, rc, "and its process cannot be ended");
		(void)os.close(b.death_fd);
	}
	return rc == RC_OK ? rc : err_wrap(err, rc, "node %d", c->nodes[node].number);
}

/* ---- ending ---- */

static bool wait_end(int pidfd, int64_t limit_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int n;
	do
		n = poll(&p, 1, limit_ms > INT_MAX ? INT_MAX : (int)limit_ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* Ask again and again: Redis forgets a request that comes while it writes its first append-only file. */
static bool ask_to_end(int pidfd, int64_t grace_ms)
{
	while (grace_ms > 0 && pidfd_send_signal(pidfd, SIGTERM, NULL, 0) == 0) {
		int64_t part = grace_ms < ASK_AGAIN_MS ? grace_ms : ASK_AGAIN_MS;
		if (wait_end(pidfd, part))
			return true;
		grace_ms -= part;
	}
	return false;
}

static enum rc end_process(const struct cache_instance *c, int node, int64_t grace_ms, struct err *err)
{
	int fd = node_pidfd(c, node);
	bool is_gone = fd < 0 || ask_to_end(fd, grace_ms);

	if (!is_gone) {
		(void)pidfd_send_signal(fd, SIGKILL, NULL, 0); /* gone by itself meanwhile: as good */
		is_gone = wait_end(fd, KILL_LIMIT_MS);
	}
	if (fd >= 0)
		(void)close(fd);
	if (!is_gone)
		return err_set(err, RC_IO, "node %d: the process does not end", c->nodes[node].number);
	enum rc rc = end_strays(c, node, err);
	act_done();
	return rc;
}

enum rc node_stop(const struct op *op, struct cache_instance *c, int node, struct err *err)
{
	int64_t left = op_left_ms(op);
	return end_process(c, node, left < STOP_GRACE_MS ? left : STOP_GRACE_MS, err);
}

enum rc node_kill(struct cache_instance *c, int node, struct err *err) { return end_process(c, node, 0, err); }

enum rc node_drop(struct cache_instance *c, int node, struct err *err)
{
	char dir[PATH_MAX];
	enum rc rc = node_dir(c, node, dir, err);
	if (rc == RC_OK)
		rc = node_kill(c, node, err);
	return rc == RC_OK ? dir_remove(dir, err) : rc;
}

/* Redis 7.0 whose rewrite failed keeps its place in the new file wrongly; when a write then falls short (a full disk),
 * the file gets a hole that no start can read. A rewrite makes the file good again: no stop without. */
enum rc aof_secure(const struct op *op, const struct cache_instance *c, int node, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	if (node_open(op, c, node, &w, NULL) != RC_OK)
		return RC_OK; /* it does not run, or cannot be asked: nothing to save */
	enum rc rc = aof_rewrite_failed(op, w, err);
	return rc == RC_OK ? rc : err_wrap(err, rc, "not stopped, since its data would not all be on disk");
}

enum rc stop_all(const struct op *op, struct cache_instance *c, struct err *err)
{
	enum rc rc = aof_secure(op, c, c->master, err);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (i != c->master)
			rc = node_stop(op, c, i, err);
	}
	return rc == RC_OK ? node_stop(op, c, c->master, err) : rc;
}

enum rc start_all(const struct op *op, struct cache_instance *c, struct err *err)
{
	enum rc rc = node_start(op, c, c->master, err);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (i != c->master)
			rc = node_start(op, c, i, err);
	}
	return rc;
}

/* ---- the append-only file ---- */

enum rc aof_wait(const struct op *op, struct wire *w, struct err *err)
{
	struct buf info;
	enum rc rc;

	buf_init(&info, INFO_SIZE_MAX);
	for (;;) {
		rc = info_read(w, &info, err, "persistence");
		bool is_busy =
		        info_int(&info, "aof_rewrite_in_progress", 1) || info_int(&info, "aof_rewrite_scheduled", 1);
		if (rc != RC_OK || !is_busy)
			break;
		rc = op_pause(op, LOOK_AGAIN_MS, err);
		if (rc != RC_OK)
			break;
	}
	if (rc == RC_OK && info_int(&info, "aof_enabled", 0) && !info_is(&info, "aof_last_bgrewrite_status", "ok"))
		rc = err_set(err, RC_IO, "%s cannot write its append-only file; its log tells why", wire_where(w));
	buf_fini(&info);
	return rc;
}

enum rc aof_rewrite(const struct op *op, struct wire *w, struct err *err)
{
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = info_read(w, &info, err, "persistence");
	bool is_on = rc == RC_OK && info_int(&info, "aof_enabled", 0) == 1;
	buf_fini(&info);
	if (is_on)
		rc = aof_wait(op, w, err); /* one that began before is too old */
	if (is_on && rc == RC_OK)
		rc = wire_call(w, NULL, err, "BGREWRITEAOF");
	act_done();
	return is_on && rc == RC_OK ? aof_wait(op, w, err) : rc;
}

enum rc aof_rewrite_failed(const struct op *op, struct wire *w, struct err *err)
{
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = info_read(w, &info, err, "persistence");
	bool has_failed = rc == RC_OK && info_int(&info, "aof_enabled", 0) == 1 &&
	                  !info_is(&info, "aof_last_bgrewrite_status", "ok");
	buf_fini(&info);
	if (!has_failed)
		return rc;
	rc = wire_call(w, NULL, err, "BGREWRITEAOF");
	return rc == RC_OK ? aof_wait(op, w, err) : rc;
}
