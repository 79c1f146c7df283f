#include "cmd/torture/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "os/calls.h"
#include "os/file.h"

enum { ENV_MAX = 512, CRASH_VAR_SIZE = 128, ENVIRON_MAX_SIZE = 256 << 10 };
static const char ready_words[] = "stint: ready on ";

/* Ours without the crash point, and with the wanted one. */
static void make_env(const char *crash, char var[CRASH_VAR_SIZE], const char *out[ENV_MAX])
{
	static const char name[] = "STINT_CRASH_POINT=";
	size_t n = 0;

	for (char **e = environ; *e && n < ENV_MAX - 2; e++) {
		if (strncmp(*e, name, sizeof name - 1) != 0)
			out[n++] = *e;
	}
	if (*crash) {
		(void)snprintf(var, CRASH_VAR_SIZE, "%s%s", name, crash);
		out[n++] = var;
	}
	out[n] = NULL;
}

static enum rc open_log(const struct server_config *cfg, int *fd, struct err *err)
{
	char path[PATH_MAX], old[PATH_MAX];

	enum rc rc = path_join(path, cfg->run, "server.log", err);
	if (rc == RC_OK)
		rc = path_join(old, cfg->run, "server.log.old", err);
	if (rc != RC_OK)
		return rc;
	(void)os.rename(path, old); /* the first start has none */
	*fd = os.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	return *fd < 0 ? err_sys(err, RC_IO, errno, "cannot make '%.300s'", path) : RC_OK;
}

static enum rc spawn(const struct server_config *cfg, const char *const *argv, const char *crash, int out_fd,
                     int log_fd, struct proc *proc, struct err *err)
{
	char var[CRASH_VAR_SIZE];
	const char *env[ENV_MAX];
	int null_fd = os.open("/dev/null", O_RDONLY | O_CLOEXEC, 0);

	if (null_fd < 0)
		return err_sys(err, RC_IO, errno, "cannot open /dev/null");
	make_env(crash, var, env);
	int fds[] = { null_fd, out_fd, log_fd };
	struct proc_spec spec = {
		.argv = argv, .envp = env, .work_dir = cfg->run, .fds = fds, .n_fds = 3, .dies_with_parent = true
	};
	enum rc rc = proc_spawn(&spec, proc, err);
	(void)os.close(null_fd);
	return rc;
}

/* The line it prints when it is ready, or the end of its output. False: not in time. */
static bool read_ready(int fd, int64_t until_ms, struct buf *line)
{
	char part[512];

	while (!memchr(buf_text(line), '\n', line->len)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left_ms = until_ms - clock_mono_ms();
		if (left_ms <= 0)
			return false;
		if (poll(&p, 1, (int)left_ms) <= 0)
			continue; /* interrupted, or too late */
		ssize_t n = os.read(fd, part, sizeof part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return true;
		buf_add(line, part, (size_t)n);
	}
	return true;
}

static enum rc await_ready(const struct server_config *cfg, int fd, int64_t from_ms, struct server *s, struct err *err)
{
	struct buf line;
	char words[80];

	buf_init(&line, 4096);
	bool is_in_time = read_ready(fd, from_ms + cfg->start_limit_ms, &line);
	s->start_ms = clock_mono_ms() - from_ms;
	const char *text = buf_text(&line), *found = strstr(text, ready_words);
	enum rc rc = RC_OK;
	if (found) {
		found += sizeof ready_words - 1;
		(void)snprintf(s->endpoint, sizeof s->endpoint, "%.*s", (int)strcspn(found, "\n"), found);
	} else {
		server_kill(s);
		rc = is_in_time ? err_set(err, RC_BUSY, "the server %s before it was ready",
		                          server_exit_words(s, words, sizeof words))
		                : err_set(err, RC_TIMEOUT, "the server was not ready within %lld ms",
		                          (long long)cfg->start_limit_ms);
	}
	buf_fini(&line);
	return rc;
}

/* Its standard output can be read from *out_fd. */
static enum rc launch(const struct server_config *cfg, const char *crash, struct server *s, int *out_fd,
                      struct err *err)
{
	const char *const argv[] = { cfg->exe,        "serve", "--data",          cfg->data, "--listen", "127.0.0.1:0",
		                     "--max-running", "4",     "--drain-seconds", "5",       NULL };
	int pipe_fds[2], log_fd = -1;

	*s = (struct server){ .is_up = false };
	enum rc rc = open_log(cfg, &log_fd, err);
	if (rc != RC_OK)
		return rc;
	if (os.pipe2(pipe_fds, O_CLOEXEC) != 0) {
		(void)os.close(log_fd);
		return err_sys(err, RC_IO, errno, "cannot make a pipe");
	}
	rc = spawn(cfg, argv, crash, pipe_fds[1], log_fd, &s->proc, err);
	(void)os.close(pipe_fds[1]);
	(void)os.close(log_fd);
	s->is_up = rc == RC_OK;
	if (rc == RC_OK)
		*out_fd = pipe_fds[0];
	else
		(void)os.close(pipe_fds[0]);
	return rc;
}

enum rc server_start(const struct server_config *cfg, const char *crash, struct server *s, struct err *err)
{
	int64_t from_ms = clock_mono_ms();
	int out_fd;

	enum rc rc = launch(cfg, crash, s, &out_fd, err);
	if (rc != RC_OK)
		return rc;
	rc = await_ready(cfg, out_fd, from_ms, s, err);
	(void)os.close(out_fd);
	return rc;
}

enum rc server_start_and_kill(const struct server_config *cfg, int64_t after_ms, struct server *s, struct err *err)
{
	int out_fd;

	enum rc rc = launch(cfg, "", s, &out_fd, err);
	if (rc != RC_OK)
		return rc;
	bool died = server_wait(s, after_ms);
	server_kill(s);
	(void)os.close(out_fd);
	return died ? err_set(err, RC_BUSY, "the server ended by itself while it started") : RC_OK;
}

bool server_wait(struct server *s, int64_t ms)
{
	int64_t until_ms = clock_mono_ms() + ms;

	while (s->is_up) {
		struct pollfd p = { .fd = s->proc.pidfd, .events = POLLIN };
		int64_t left_ms = until_ms - clock_mono_ms();
		int n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
		if (n > 0) {
			(void)proc_wait(&s->proc, &s->exit);
			s->is_up = false;
		} else if (left_ms <= 0) {
			return false;
		}
	}
	return true;
}

void server_signal(const struct server *s, int sig)
{
	if (s->is_up)
		(void)kill(s->proc.pid, sig); /* not yet waited for, so the number is its own */
}

void server_kill(struct server *s)
{
	server_signal(s, SIGKILL);
	(void)server_wait(s, INT_MAX);
}

const char *server_exit_words(const struct server *s, char *out, size_t size)
{
	if (s->exit.signal)
		(void)snprintf(out, size, "was killed by signal %d", s->exit.signal);
	else
		(void)snprintf(out, size, "ended with %d", s->exit.exit_code);
	return out;
}

enum rc server_begin_command(const struct server_config *cfg, const char *const *argv, const char *output,
                             struct proc *proc, struct err *err)
{
	char path[PATH_MAX];

	enum rc rc = path_join(path, cfg->run, output, err);
	if (rc != RC_OK)
		return rc;
	int fd = os.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, RC_IO, errno, "cannot make '%.300s'", path);
	rc = spawn(cfg, argv, "", fd, fd, proc, err);
	(void)os.close(fd);
	return rc;
}

int server_end_command(struct proc *proc)
{
	struct proc_exit end;

	(void)proc_wait(proc, &end);
	return end.exit_code;
}

enum rc server_run_command(const struct server_config *cfg, const char *const *argv, const char *output, int *exit_code,
                           struct err *err)
{
	struct proc proc;

	enum rc rc = server_begin_command(cfg, argv, output, &proc, err);
	if (rc == RC_OK)
		*exit_code = server_end_command(&proc);
	return rc;
}

/* ---- processes of tasks ---- */

/* STINT_TASK of that process when it lies below the data folder. */
static bool task_of(const struct server_config *cfg, pid_t pid, char out[PATH_MAX])
{
	static const char name[] = "STINT_TASK=";
	char path[64];
	size_t len = strlen(cfg->data);
	struct buf env;
	bool is_found = false;

	(void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	buf_init(&env, ENVIRON_MAX_SIZE);
	if (file_read(path, &env, NULL) != RC_OK)
		buf_reset(&env); /* gone, or not ours to read */
	for (size_t at = 0; at < env.len && !is_found; at += strlen(env.bytes + at) + 1) {
		const char *value = env.bytes + at + sizeof name - 1;
		is_found = strncmp(env.bytes + at, name, sizeof name - 1) == 0 && strncmp(value, cfg->data, len) == 0 &&
		           value[len] == '/';
		if (is_found)
			(void)snprintf(out, PATH_MAX, "%s", value);
	}
	buf_fini(&env);
	return is_found;
}

size_t server_marked(const struct server_config *cfg, struct marked *out)
{
	DIR *dir = opendir("/proc");
	size_t n = 0;

	must(dir);
	for (const struct dirent *e = readdir(dir); e && n < MARKED_MAX; e = readdir(dir)) {
		struct marked *m = &out[n];
		int64_t pid;
		if (!num_i64(e->d_name, &pid) || pid <= 1 || pid > INT_MAX || !task_of(cfg, (pid_t)pid, m->task))
			continue;
		m->pid = (pid_t)pid;
		n += proc_start_mark(m->pid, &m->mark) && proc_is_same(m->pid, m->mark);
	}
	(void)closedir(dir);
	return n;
}
