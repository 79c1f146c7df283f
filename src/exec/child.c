#include "exec/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "exec/prepare.h"
#include "exec/quota.h"
#include "exec/tasklog.h"
#include "os/calls.h"
#include "os/gaplog.h"

enum {
	SPEC_SIZE_MAX = 262144, /* the command line with all its texts */
	LINES_PER_TURN = 64,    /* then the other children have their turn */
	EXCERPT_SIZE = 80, /* of a wrong line, in the message about it */
};

/* ---- made and freed ---- */

static const char *const *copy_argv(struct arena *a, const char *const *argv)
{
	size_t n = 0;
	while (argv[n])
		n++;
	const char **copy = arena_array(a, n + 1, sizeof *copy);
	for (size_t i = 0; i < n && copy; i++)
		copy[i] = arena_dup(a, argv[i]);
	return copy;
}

struct child *child_new(const struct exec_spec *spec)
{
	struct child *c = mem_new(struct child);

	must(spec->argv && spec->argv[0] && spec->work_dir && spec->log_path && spec->task_file);
	must(spec->timeout_ms >= 0 && spec->stall_ms >= 0 && spec->grace_ms >= 0);
	must(spec->memory_limit >= 0 && spec->log_limit >= 0 && spec->cpu_limit_ms >= 0);
	must(spec->disk_limit >= 0 && spec->process_limit >= 0);
	must(!spec->log_limit || spec->log_limit >= GAPLOG_LIMIT_MIN);
	must(!spec->is_first || spec->orders);
	c->arena = arena_new(SPEC_SIZE_MAX);
	c->spec = *spec;
	c->spec.argv = copy_argv(c->arena, spec->argv);
	c->spec.work_dir = arena_dup(c->arena, spec->work_dir);
	c->spec.log_path = arena_dup(c->arena, spec->log_path);
	c->spec.task_file = arena_dup(c->arena, spec->task_file);
	c->orders = spec->orders ? mem_dup_n(spec->orders, spec->orders_len) : NULL;
	c->spec.limit_of = spec->limit_of ? arena_dup(c->arena, spec->limit_of) : NULL;
	c->proc = (struct proc){ .pidfd = -1 };
	c->exit = (struct proc_exit){ .exit_code = -1 };
	c->pipe_fd = c->log_fd = -1;
	inbox_init(&c->inbox, PROTOCOL_LINE_MAX);
	return c;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)os.close(*fd); /* ends of a pipe: nothing to learn */
	*fd = -1;
}

void child_free(struct child *c)
{
	if (!c)
		return;
	must(c->state == CHILD_NEW || c->state == CHILD_DONE);
	inbox_fini(&c->inbox);
	arena_free(c->arena);
	mem_free(c->orders);
	mem_free(c->result_json);
	mem_free(c->error_code);
	mem_free(c->error_text);
	mem_free(c);
}

/* ---- the end ---- */

static void finish(struct child *c, struct host *h, const struct err *no_start)
{
	const struct end_facts facts = {
		.no_start = no_start,
		.error_code = c->error_code,
		.error_text = c->error_text,
		.error_fault = c->error_fault,
		.why = c->why,
		.why_text = c->why_text,
		.has_result = c->result_json != NULL,
		.exit_code = c->exit.exit_code,
		.signal = c->exit.signal,
	};
	struct end_class class;

	must(c->state != CHILD_DONE);
	tasklog_end(c);
	close_fd(&c->pipe_fd);
	c->state = CHILD_DONE;
	classify_end(&facts, &class);
	const struct exec_end end = {
		.task_id = c->spec.task_id,
		.attempt = c->spec.attempt,
		.is_success = class.is_success,
		.fault = class.fault,
		.code = class.code,
		.message = class.message,
		.result_json = c->result_json,
		.work_dir = c->spec.work_dir,
		.exit_code = c->exit.exit_code,
		.signal = c->exit.signal,
		.max_rss = c->exit.max_rss_size,
		.user_ms = c->exit.user_ms,
		.system_ms = c->exit.system_ms,
	};
	h->handlers.on_end(h->handlers.ctx, &end);
}

void child_refuse(struct child *c, struct host *h, const struct err *not_now)
{
	must(c->state == CHILD_NEW);
	if (!not_now) {
		c->why = STOP_ASKED;
		(void)snprintf(c->why_text, sizeof c->why_text, "the server is stopping");
	}
	finish(c, h, not_now);
}

/* ---- the start ---- */

/* PATH and TZ are the server's own, since a task's program is looked up and reads clocks as the server does; so is a
 * test's order file (base/crash.h). Of its other variables none is passed on. */
static const char *const *make_env(struct child *c)
{
	enum { MOST = 7 };
	const char *path = getenv("PATH"), *tz = getenv("TZ"), *crash = getenv("STINT_CRASH_POINT");
	const char **env = arena_array(c->arena, MOST, sizeof *env);
	int n = 0;

	if (!env)
		return NULL;
	env[n++] = arena_printf(c->arena, "PATH=%s", path && *path ? path : "/usr/local/bin:/usr/bin:/bin");
	env[n++] = arena_printf(c->arena, "HOME=%s", c->spec.work_dir);
	env[n++] = "LANG=C.UTF-8";
	env[n++] = arena_printf(c->arena, "STINT_TASK=%s", c->spec.task_file);
	if (tz && *tz)
		env[n++] = arena_printf(c->arena, "TZ=%s", tz);
	if (crash && *crash == '@')
		env[n++] = arena_printf(c->arena, "STINT_CRASH_POINT=%s", crash);
	must(n < MOST);
	return env;
}

/* Only our end does not block: a program that writes fast shall wait, not fail. */
static enum rc open_pipe(int ends[2], struct err *err)
{
	if (os.pipe2(ends, O_CLOEXEC) != 0)
		return err_sys(err, RC_IO, errno, "cannot make the pipe for descriptor 3");
	must(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	return RC_OK;
}

static enum rc spawn(struct child *c, const struct host *h, int pipe_fd, struct err *err)
{
	const char *const *env = make_env(c);
	const int fds[] = { h->null_fd, c->log_fd, c->log_fd, pipe_fd, h->lifeline_fd };
	const struct proc_spec spec = {
		.argv = c->spec.argv,
		.envp = env,
		.work_dir = c->spec.work_dir,
		.fds = fds,
		.n_fds = (int)ARRAY_LEN(fds),
		.limits = quota_of_kernel(c),
		.dies_with_parent = true,
	};

	if (arena_is_full(c->arena))
		return err_set(err, RC_DENIED, "its command line is longer than %d bytes", SPEC_SIZE_MAX);
	return proc_spawn(&spec, &c->proc, err);
}

/* Edges, not levels: a pipe that is not read because its messages are not acknowledged must not wake the loop. */
static enum rc watch(const struct host *h, int fd, bool *flag, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = flag };
	if (os.epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
		return err_sys(err, RC_IO, errno, "cannot watch the child");
	return RC_OK;
}

/* Explicitly: a child of another thread that is between clone and exec may hold a copy of the descriptor, and
 * then closing ours does not end the watch. */
static void unwatch(const struct host *h, int fd) { (void)os.epoll_ctl(h->epoll_fd, EPOLL_CTL_DEL, fd, NULL); }

static enum rc watch_both(struct child *c, const struct host *h, struct err *err)
{
	enum rc rc = watch(h, c->proc.pidfd, &c->has_exit_event, err);
	if (rc == RC_OK) {
		rc = watch(h, c->pipe_fd, &c->is_readable, err);
		if (rc != RC_OK)
			unwatch(h, c->proc.pidfd);
	}
	if (rc != RC_OK) {
		proc_signal_group(&c->proc, SIGKILL);
		(void)proc_wait(&c->proc, &c->exit); /* why it is gone, we know */
	}
	return rc;
}

void child_prepare(struct child *c)
{
	c->unprepared.rc = prepare_files(c, &c->unprepared);
	crash_point("exec.prepared");
}

void child_forget(struct child *c) { prepare_undo(c); }

static enum rc try_start(struct child *c, const struct host *h, struct err *err)
{
	int ends[2] = { -1, -1 };

	if (c->unprepared.rc != RC_OK) {
		*err = c->unprepared;
		return err->rc;
	}
	enum rc rc = open_pipe(ends, err);
	if (rc == RC_OK)
		rc = spawn(c, h, ends[1], err);
	close_fd(&ends[1]);
	c->pipe_fd = ends[0];
	return rc == RC_OK ? watch_both(c, h, err) : rc;
}

static int64_t later(int64_t from, int64_t ms) { return ms > INT64_MAX - from ? INT64_MAX : from + ms; }

void child_start(struct child *c, struct host *h)
{
	struct err err = { 0 };
	int64_t mark = 0; /* stays so where /proc is not mounted: such a child is not recognised after a restart */

	must(c->state == CHILD_NEW && (c->has_files || c->unprepared.rc != RC_OK));
	if (try_start(c, h, &err) != RC_OK) {
		finish(c, h, &err);
		return;
	}
	c->state = CHILD_RUNNING;
	c->is_listening = true;
	c->heard_at = h->now_mono;
	c->timeout_at = c->spec.timeout_ms ? later(h->now_mono, c->spec.timeout_ms) : INT64_MAX;
	tasklog_begin(c, h);
	(void)proc_start_mark(c->proc.pid, &mark);
	h->handlers.on_start(h->handlers.ctx, c->spec.task_id, c->spec.attempt, c->proc.pid, mark);
}

/* ---- stopping ---- */

void child_stop(struct child *c, const struct host *h, enum stop_why why, const char *fmt, ...)
{
	/* After the exit the cause is settled, save that the last lines may turn out to be wrong, or be lost. */
	bool is_over = c->has_exit_event && why != STOP_PROTOCOL && why != STOP_UNHEARD;
	if (c->why != STOP_NONE || c->state == CHILD_DONE || is_over)
		return;
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(c->why_text, sizeof c->why_text, fmt, ap); /* cutting is fine */
	va_end(ap);
	c->why = why;
	if (c->state != CHILD_RUNNING)
		return;
	c->kill_at = later(h->now_mono, c->spec.grace_ms);
	proc_signal_group(&c->proc, SIGTERM);
	proc_signal_group(&c->proc, SIGCONT); /* a suspended one shall hear it too */
}

static void kill_now(struct child *c)
{
	log_warn("exec.killed", "task=%lld attempt=%lld pid=%d reason=\"it did not end by SIGTERM\"",
	         (long long)c->spec.task_id, (long long)c->spec.attempt, (int)c->proc.pid);
	c->is_killed = true;
	proc_signal_group(&c->proc, SIGKILL);
}

/* While its messages wait for us a child is not silent. */
static int64_t stall_at(const struct child *c)
{
	bool is_counted = c->spec.stall_ms && c->n_unacked < EXEC_WINDOW;
	return is_counted ? later(c->heard_at, c->spec.stall_ms) : INT64_MAX;
}

bool child_is_measured(const struct child *c)
{
	return c->state == CHILD_RUNNING && !c->is_killed && (quota_needs_look(&c->spec) || c->spec.disk_limit);
}

struct family *host_family(struct host *h)
{
	if (!h->has_looked)
		family_look(&h->family, h->children);
	h->has_looked = true;
	return &h->family;
}

static void enforce_limits(struct child *c, const struct host *h)
{
	if (c->why == STOP_NONE && h->now_mono >= c->timeout_at)
		child_stop(c, h, STOP_TIMEOUT, "it ran longer than its limit of %lld ms",
		           (long long)c->spec.timeout_ms);
	if (c->why == STOP_NONE && h->now_mono >= stall_at(c))
		child_stop(c, h, STOP_STALL, "it reported nothing on descriptor 3 for %lld ms",
		           (long long)c->spec.stall_ms);
	if (!c->is_killed && h->now_mono >= c->log_check_at)
		tasklog_check(c, h);
	if (h->is_measuring && child_is_measured(c))
		quota_check(c, h);
	if (c->why != STOP_NONE && !c->is_killed && h->now_mono >= c->kill_at)
		kill_now(c);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t child_due(const struct child *c, const struct host *h)
{
	if (c->has_more)
		return h->now_mono;
	if (c->state == CHILD_EXITED)
		return h->drop_at_mono;
	if (c->state != CHILD_RUNNING || c->is_killed)
		return INT64_MAX;
	if (c->why != STOP_NONE)
		return least(c->kill_at, c->log_check_at);
	return least(c->timeout_at, least(stall_at(c), c->log_check_at));
}

/* ---- descriptor 3 ---- */

static void close_pipe(struct child *c, const struct host *h)
{
	if (c->pipe_fd >= 0)
		unwatch(h, c->pipe_fd);
	close_fd(&c->pipe_fd);
	c->is_readable = false;
}

/* The line goes into a message that people read: printable ASCII only, and only its beginning. */
static void break_protocol(struct child *c, const struct host *h, const char *line, size_t len, const char *what)
{
	char excerpt[EXCERPT_SIZE + 1];
	size_t n = len < EXCERPT_SIZE ? len : EXCERPT_SIZE;

	for (size_t i = 0; i < n; i++)
		excerpt[i] = (char)(line[i] >= ' ' && line[i] <= '~' ? line[i] : '?');
	excerpt[n] = '\0';
	c->is_listening = false;
	close_pipe(c, h);
	child_stop(c, h, STOP_PROTOCOL, "line %lld on descriptor 3 is wrong: %.240s; it begins '%s'",
	           (long long)c->n_lines, what, excerpt);
}

/* What it says is lost by our own fault: whatever it did, nobody will know. */
static void stop_listening(struct child *c, const struct host *h, const char *what)
{
	c->is_listening = false;
	close_pipe(c, h);
	child_stop(c, h, STOP_UNHEARD, "what it reported on descriptor 3 was lost: %.300s", what);
}

static void keep_error(struct child *c, const struct child_msg *m)
{
	/* The first one is the cause; one that answers our SIGTERM is not. */
	if (c->error_code || c->why != STOP_NONE)
		return;
	c->error_code = mem_dup(m->code);
	c->error_text = mem_dup(m->text);
	c->error_fault = m->fault;
}

static void handle_line(struct child *c, struct host *h, const char *line, size_t len)
{
	struct child_msg m;
	struct err err = { 0 };

	c->n_lines++;
	arena_reset(h->scratch);
	enum rc rc = protocol_parse(line, len, h->scratch, &m, &err);
	if (rc == RC_BUSY) {
		stop_listening(c, h, err.msg);
	} else if (rc != RC_OK) {
		break_protocol(c, h, line, len, err.msg);
	} else if (m.kind == MSG_ERROR) {
		keep_error(c, &m);
	} else if (m.kind == MSG_RESULT) {
		mem_free(c->result_json);
		c->result_json = mem_dup(m.result_json);
	} else {
		c->n_unacked++;
		h->handlers.on_message(h->handlers.ctx, c->spec.task_id, c->spec.attempt, &m);
	}
}

/* More bytes into the inbox; false: none now (or none ever: then the pipe is closed). */
static bool fill(struct child *c, const struct host *h)
{
	char part[INBOX_READ_SIZE];
	size_t want = sizeof part;

	if (c->state == CHILD_EXITED)
		want = c->unread_size < (int64_t)want ? (size_t)c->unread_size : want;
	if (!c->is_readable || !want)
		return false;
	ssize_t n;
	do
		n = os.read(c->pipe_fd, part, want);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		inbox_add(&c->inbox, part, (size_t)n);
		c->heard_at = h->now_mono;
		c->unread_size -= c->state == CHILD_EXITED ? n : 0;
	} else if (n < 0 && errno == EAGAIN) {
		c->is_readable = false;
	} else if (n < 0) {
		stop_listening(c, h, strerrordesc_np(errno));
	} else {
		close_pipe(c, h);
	}
	return n > 0;
}

/* A last line without a newline counts when the program ended by itself; else it is one cut in the middle. */
static bool may_take_rest(const struct child *c)
{
	return c->state == CHILD_EXITED && c->exit.exit_code >= 0 && c->why == STOP_NONE;
}

static bool next_line(struct child *c, const struct host *h, const char **line, size_t *len)
{
	for (;;) {
		switch (inbox_take(&c->inbox, line, len)) {
		case INBOX_LINE:
			return true;
		case INBOX_TOO_LONG:
			c->n_lines++;
			break_protocol(c, h, *line, *len, "longer than 65536 bytes");
			return false;
		case INBOX_EMPTY:
			break;
		}
		if (!fill(c, h))
			return may_take_rest(c) && inbox_take_rest(&c->inbox, line, len) == INBOX_LINE;
	}
}

/* Hand on what may be handed on. True: nothing was left behind (C2). */
static bool deliver(struct child *c, struct host *h)
{
	const char *line;
	size_t len;

	c->has_more = false;
	for (int n = 0; c->is_listening && c->n_unacked < EXEC_WINDOW; n++) {
		if (n == LINES_PER_TURN) {
			c->has_more = true;
			return false;
		}
		if (!next_line(c, h, &line, &len))
			return true;
		handle_line(c, h, line, len);
	}
	return !c->is_listening;
}

void child_message_done(struct child *c, const struct host *h)
{
	if (c->n_unacked == EXEC_WINDOW)
		c->heard_at = h->now_mono; /* the silence was ours */
	if (c->n_unacked > 0)              /* one of an earlier attempt may come late */
		c->n_unacked--;
}

/* ---- the exit ---- */

/* What left the group too: when the leader has ended, all that descends from it was adopted, or from one that was. A
 * process that forks while it is being looked for has its child found by the next look. */
static void kill_family(const struct child *c, struct host *h)
{
	enum { LOOKS_MOST = 4 };

	proc_signal_group(&c->proc, SIGKILL);
	if (!h->family.adopts || !procs_may_have_adopted())
		return;
	for (int i = 0; i < LOOKS_MOST && family_kill(host_family(h), c->proc.pid) > 0; i++)
		h->has_looked = false;
}

/* C3. The pipe may be held open by a process that left the group: what counts is what is in it now. */
static void reap(struct child *c, struct host *h)
{
	int unread = 0;

	unwatch(h, c->proc.pidfd);
	kill_family(c, h);
	if (!proc_wait(&c->proc, &c->exit))
		log_error("exec.status_lost", "task=%lld pid=%d", (long long)c->spec.task_id, (int)c->proc.pid);
	c->state = CHILD_EXITED;
	if (c->why == STOP_NONE && c->exit.exit_code != 0)
		quota_blame(c);
	if (c->pipe_fd >= 0)
		must(ioctl(c->pipe_fd, FIONREAD, &unread) == 0);
	c->unread_size = unread;
	c->is_readable = unread > 0;
}

void child_turn(struct child *c, struct host *h)
{
	if (c->state == CHILD_RUNNING && c->has_exit_event)
		reap(c, h);
	bool is_dry = deliver(c, h);
	if (c->state == CHILD_EXITED && (is_dry || h->now_mono >= h->drop_at_mono)) {
		close_pipe(c, h);
		finish(c, h, NULL);
	} else if (c->state == CHILD_RUNNING) {
		enforce_limits(c, h);
	}
}
