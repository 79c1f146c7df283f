/*
 * The supervisor thread. Each turn of its loop: wait for events and deadlines, read the clock once, turn events
 * into flags of the children, run the commands that other threads queued, give every child its turn, free those
 * that are done. So nothing is freed while an event or a handler may still mean it.
 *
 * The queue is the only thing shared with other threads; its lock is never held around a handler or a system call
 * that may wait.
 */
#include "exec/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "exec/child.h"
#include "os/calls.h"

enum {
	EVENTS_PER_TURN = 64,
	SCRATCH_SIZE = 2 * PROTOCOL_LINE_MAX,
	/* How much longer than its grace time exec_stop_all waits for acknowledgements. */
	ACK_WAIT_MS = 2000,
	LOOK_LEAST_MS = 250, /* between two looks at what runs */
	LOOK_MOST_MS = 5000,
	LOOK_SHARE = 20,        /* looking takes at most this part of the time */
	ORPHANS_EVERY_MS = 1000, /* with nothing to measure */
};

enum command_kind {
	COMMAND_ADOPT,
	COMMAND_PREPARE,
	COMMAND_START,
	COMMAND_FORGET,
	COMMAND_STOP,
	COMMAND_DONE,
	COMMAND_CLOSE,
};

struct command {
	struct command *next;
	enum command_kind kind;
	int64_t task_id, attempt;
	struct child *child; /* PREPARE: owned */
	char *reason;        /* STOP: owned */
	int64_t grace_ms;    /* CLOSE */
};

struct exec {
	struct host host;
	struct child *children, *prepared;
	bool is_closing;
	bool is_woken;
	int wake_fd, lifeline_write_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* first, last */
	struct command *first, **last;
};

/* ---- the queue ---- */

static void push(struct exec *e, struct command command)
{
	struct command *c = mem_new(struct command);
	const uint64_t one = 1;

	*c = command;
	must(pthread_mutex_lock(&e->lock) == 0);
	bool was_empty = !e->first;
	*e->last = c;
	e->last = &c->next;
	must(pthread_mutex_unlock(&e->lock) == 0);
	/* One wake for a whole run of commands; the counter cannot overflow, as it is read for each. */
	if (was_empty)
		must(write(e->wake_fd, &one, sizeof one) == sizeof one);
}

static struct command *pop(struct exec *e)
{
	must(pthread_mutex_lock(&e->lock) == 0);
	struct command *c = e->first;
	if (c)
		e->first = c->next;
	if (!e->first)
		e->last = &e->first;
	must(pthread_mutex_unlock(&e->lock) == 0);
	return c;
}

static struct child *find(const struct exec *e, int64_t task_id)
{
	for (struct child *c = e->children; c; c = c->next) {
		if (c->spec.task_id == task_id && c->state != CHILD_DONE)
			return c;
	}
	return NULL;
}

/* What runs has files of its own in the same folder: they are not touched. */
static void prepare(struct exec *e, struct child *c)
{
	if (find(e, c->spec.task_id))
		(void)err_set(&c->unprepared, RC_CONFLICT, "an attempt of this task is still running"); /* E4 */
	else if (!e->is_closing)
		child_prepare(c);
	c->next = e->prepared;
	e->prepared = c;
}

/* Out of the list; NULL: it is not there. */
static struct child *take_prepared(struct exec *e, int64_t task_id, int64_t attempt)
{
	for (struct child **at = &e->prepared; *at; at = &(*at)->next) {
		struct child *c = *at;
		if (c->spec.task_id == task_id && c->spec.attempt == attempt) {
			*at = c->next;
			return c;
		}
	}
	return NULL;
}

static void forget(struct child *c)
{
	if (c)
		child_forget(c);
	child_free(c);
}

static bool is_measured(const struct exec *e)
{
	for (const struct child *c = e->children; c; c = c->next) {
		if (child_is_measured(c))
			return true;
	}
	return false;
}

/* The first look at what runs comes after a while, as all others do: the kernel's limits hold it until then, and most
 * tasks are quicker to start, and many to end, without. Where orphans are waited for the looks go on as they were. */
static void start_now(struct exec *e, struct child *c)
{
	int64_t first_look = e->host.now_mono + LOOK_LEAST_MS;

	if (!is_measured(e) && !e->host.family.n_orphans && e->host.look_at_mono < first_look)
		e->host.look_at_mono = first_look;
	child_start(c, &e->host);
}

static void start(struct exec *e, struct child *c)
{
	must(c);
	if (e->is_closing)
		child_refuse(c, &e->host, NULL);
	else
		start_now(e, c);
	c->next = e->children;
	e->children = c;
	e->host.children = c;
}

static void close_all(struct exec *e, int64_t grace_ms)
{
	int64_t kill_at = e->host.now_mono + grace_ms;

	e->is_closing = true;
	e->host.drop_at_mono = kill_at + ACK_WAIT_MS;
	for (struct child *c = e->children; c; c = c->next) {
		child_stop(c, &e->host, STOP_ASKED, "the server is stopping");
		if (c->kill_at > kill_at)
			c->kill_at = kill_at;
	}
}

static void run_command(struct exec *e, const struct command *cmd)
{
	struct child *c = find(e, cmd->task_id);

	switch (cmd->kind) {
	case COMMAND_ADOPT:
		e->host.family.adopts = true;
		break;
	case COMMAND_PREPARE:
		prepare(e, cmd->child);
		break;
	case COMMAND_START:
		start(e, take_prepared(e, cmd->task_id, cmd->attempt));
		break;
	case COMMAND_FORGET:
		forget(take_prepared(e, cmd->task_id, cmd->attempt));
		break;
	case COMMAND_STOP:
		if (c)
			child_stop(c, &e->host, STOP_ASKED, "%s", cmd->reason);
		break;
	case COMMAND_DONE:
		if (c)
			child_message_done(c, &e->host);
		break;
	case COMMAND_CLOSE:
		close_all(e, cmd->grace_ms);
		break;
	}
}

static void run_commands(struct exec *e)
{
	for (struct command *c = pop(e); c; c = pop(e)) {
		run_command(e, c);
		mem_free(c->reason);
		mem_free(c);
	}
}

/* ---- the loop ---- */

/* Orphans come from children, or stay: with neither there is nothing to look for. */
static bool has_orphans(const struct exec *e)
{
	return e->host.family.adopts && (e->children || e->host.family.n_orphans > 0);
}

static int64_t look_due(const struct exec *e)
{
	return is_measured(e) || has_orphans(e) ? e->host.look_at_mono : INT64_MAX;
}

/* Once for all children that are measured, and for what was orphaned. */
static void look(struct exec *e)
{
	struct host *h = &e->host;

	h->has_looked = false;
	h->is_measuring = h->now_mono >= look_due(e);
	if (!h->is_measuring)
		return;
	(void)host_family(h);
	int64_t took = clock_mono_ms() - h->now_mono;
	int64_t pause = is_measured(e) ? LOOK_LEAST_MS : ORPHANS_EVERY_MS;
	pause = took * LOOK_SHARE > pause ? took * LOOK_SHARE : pause;
	h->look_at_mono = h->now_mono + took + (pause < LOOK_MOST_MS ? pause : LOOK_MOST_MS);
}

static void wait_for_events(struct exec *e)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int64_t now = clock_mono_ms(), due = look_due(e);

	for (const struct child *c = e->children; c; c = c->next) {
		int64_t at = child_due(c, &e->host);
		due = at < due ? at : due;
	}
	int64_t wait_ms = due <= now ? 0 : due - now;
	int timeout = due == INT64_MAX ? -1 : wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
	int n = epoll_wait(e->host.epoll_fd, events, EVENTS_PER_TURN, timeout);
	must(n >= 0 || errno == EINTR);
	for (int i = 0; i < n; i++)
		*(bool *)events[i].data.ptr = true;
}

static void clear_wake(struct exec *e)
{
	uint64_t n;
	if (e->is_woken)
		must(read(e->wake_fd, &n, sizeof n) == sizeof n || errno == EAGAIN);
	e->is_woken = false;
}

static void free_done(struct exec *e)
{
	for (struct child **p = &e->children; *p;) {
		struct child *c = *p;
		if (c->state == CHILD_DONE) {
			*p = c->next;
			child_free(c);
		} else {
			p = &c->next;
		}
	}
	e->host.children = e->children;
}

/* A handler may have queued something in the last turn: it is looked at once more. */
static bool is_finished(struct exec *e)
{
	must(pthread_mutex_lock(&e->lock) == 0);
	bool is_empty = !e->first;
	must(pthread_mutex_unlock(&e->lock) == 0);
	return e->is_closing && !e->children && is_empty;
}

static void *supervise(void *arg)
{
	struct exec *e = arg;

	while (!is_finished(e)) {
		wait_for_events(e);
		e->host.now_mono = clock_mono_ms();
		clear_wake(e);
		look(e);
		run_commands(e);
		for (struct child *c = e->children; c; c = c->next)
			child_turn(c, &e->host);
		free_done(e);
	}
	return NULL;
}

/* ---- opening and closing ---- */

/* The process's signals are the main thread's matter; only those a thread raises itself stay. */
static enum rc start_thread(struct exec *e, struct err *err)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
	sigset_t blocked, before;

	(void)sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		(void)sigdelset(&blocked, own[i]);
	must(pthread_sigmask(SIG_SETMASK, &blocked, &before) == 0);
	int sys = pthread_create(&e->thread, NULL, supervise, e);
	must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (sys != 0)
		return err_sys(err, RC_IO, sys, "cannot start the supervisor thread");
	(void)pthread_setname_np(e->thread, "exec");
	return RC_OK;
}

static enum rc open_fds(struct exec *e, struct err *err)
{
	int lifeline[2];

	if (os.pipe2(lifeline, O_CLOEXEC) != 0)
		return err_sys(err, RC_IO, errno, "cannot make the lifeline pipe");
	e->host.lifeline_fd = lifeline[0];
	e->lifeline_write_fd = lifeline[1];
	e->host.null_fd = os.open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	if (e->host.null_fd < 0)
		return err_sys(err, RC_IO, errno, "cannot open '/dev/null'");
	e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->host.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &e->is_woken };
	if (e->wake_fd < 0 || e->host.epoll_fd < 0 ||
	    os.epoll_ctl(e->host.epoll_fd, EPOLL_CTL_ADD, e->wake_fd, &ev) != 0)
		return err_sys(err, RC_IO, errno, "cannot prepare the supervisor's event queue");
	return RC_OK;
}

static void release(struct exec *e)
{
	const int fds[] = { e->host.lifeline_fd, e->lifeline_write_fd, e->host.null_fd, e->wake_fd, e->host.epoll_fd };

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (fds[i] >= 0)
			(void)os.close(fds[i]); /* nothing is written through them */
	}
	family_fini(&e->host.family);
	arena_free(e->host.scratch);
	must(pthread_mutex_destroy(&e->lock) == 0);
	mem_free(e);
}

enum rc exec_open(const struct exec_handlers *handlers, struct exec **out, struct err *err)
{
	struct exec *e = mem_new(struct exec);

	must(handlers->on_start && handlers->on_message && handlers->on_end);
	e->host = (struct host){ .handlers = *handlers,
		                 .scratch = arena_new(SCRATCH_SIZE),
		                 .epoll_fd = -1,
		                 .null_fd = -1,
		                 .lifeline_fd = -1,
		                 .drop_at_mono = INT64_MAX };
	family_init(&e->host.family);
	e->wake_fd = e->lifeline_write_fd = -1;
	e->last = &e->first;
	must(pthread_mutex_init(&e->lock, NULL) == 0);
	enum rc rc = open_fds(e, err);
	if (rc == RC_OK)
		rc = start_thread(e, err);
	if (rc != RC_OK) {
		release(e);
		return rc;
	}
	*out = e;
	return RC_OK;
}

bool exec_adopt_orphans(struct exec *e)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return false;
	push(e, (struct command){ .kind = COMMAND_ADOPT });
	return true;
}

void exec_prepare(struct exec *e, const struct exec_spec *spec)
{
	push(e, (struct command){ .kind = COMMAND_PREPARE, .task_id = spec->task_id, .child = child_new(spec) });
}

void exec_start(struct exec *e, int64_t task_id, int64_t attempt)
{
	push(e, (struct command){ .kind = COMMAND_START, .task_id = task_id, .attempt = attempt });
}

void exec_forget(struct exec *e, int64_t task_id, int64_t attempt)
{
	push(e, (struct command){ .kind = COMMAND_FORGET, .task_id = task_id, .attempt = attempt });
}

void exec_stop(struct exec *e, int64_t task_id, const char *reason)
{
	push(e, (struct command){ .kind = COMMAND_STOP, .task_id = task_id, .reason = mem_dup(reason) });
}

void exec_message_done(struct exec *e, int64_t task_id)
{
	push(e, (struct command){ .kind = COMMAND_DONE, .task_id = task_id });
}

void exec_stop_all(struct exec *e, int64_t grace_ms)
{
	must(grace_ms >= 0);
	push(e, (struct command){ .kind = COMMAND_CLOSE, .grace_ms = grace_ms });
	must(pthread_join(e->thread, NULL) == 0);
}

void exec_free(struct exec *e)
{
	if (!e)
		return;
	for (struct command *c = pop(e); c; c = pop(e)) {
		must(c->kind == COMMAND_DONE); /* it came after its child's end */
		mem_free(c);
	}
	while (e->prepared) { /* whoever asked for it did not come to say whether it starts */
		struct child *next = e->prepared->next;
		forget(e->prepared);
		e->prepared = next;
	}
	release(e);
}

/* ---- recovery ---- */

enum rc exec_kill_group(pid_t pid, int64_t pid_start, struct err *err)
{
	return proc_kill_left_group(pid, pid_start, "STINT_TASK", err);
}

enum rc exec_kill_left(const char *task_file, struct err *err)
{
	return proc_kill_marked("STINT_TASK", task_file, err);
}
