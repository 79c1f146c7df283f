/*
 * Real children: /bin/sh scripts, and this very program started again with the name of a role (see roles[]).
 * Nothing sleeps to be in time: waiting is for a message, an end, or a pidfd, each with a deadline that only a
 * failing test reaches. A child that shall stay reads descriptor 4, which ends when the test does.
 */
#include "exec/exec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "exec/classify.h"
#include "os/calls.h"
#include "os/file.h"
#include "os/gaplog.h"
#include "os/proc.h"
#include "test.h"

enum { TASKS = 64, PATIENCE_S = 30 };

#define STAY "read x <&4"
#define RESULT "echo '{\"result\":{\"ok\":1}}' >&3\n"

static char self_path[PATH_MAX], dir[PATH_MAX];

/* ---- what the handlers saw ---- */

struct seen {
	int n_starts, n_ends, n_msgs;
	bool is_in_order; /* metrics arrived with steps 0, 1, 2 ... */
	pid_t pid;
	int64_t mark, attempt;
	struct buf events; /* texts of events, a line each */
	bool is_success;
	enum task_fault fault;
	char code[80], message[600];
	char *result;
	int exit_code, signal;
	int64_t max_rss;
};

static struct bench {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct seen seen[TASKS];
	bool withholds; /* do not acknowledge */
	struct exec *exec;
} bench = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void on_start(void *ctx, int64_t task_id, int64_t attempt, pid_t pid, int64_t mark)
{
	struct bench *b = ctx;
	struct seen *s = &b->seen[task_id];
	must(pthread_mutex_lock(&b->lock) == 0);
	s->n_starts++;
	s->pid = pid;
	s->mark = mark;
	s->attempt = attempt;
	must(pthread_cond_broadcast(&b->changed) == 0);
	must(pthread_mutex_unlock(&b->lock) == 0);
}

static void on_message(void *ctx, int64_t task_id, int64_t attempt, const struct child_msg *msg)
{
	struct bench *b = ctx;
	struct seen *s = &b->seen[task_id];
	must(pthread_mutex_lock(&b->lock) == 0);
	must(attempt == s->attempt && !s->n_ends);
	if (msg->kind == MSG_METRIC && msg->step != s->n_msgs)
		s->is_in_order = false;
	if (msg->kind == MSG_EVENT)
		buf_addf(&s->events, "%s\n", msg->text);
	s->n_msgs++;
	bool acks = !b->withholds;
	must(pthread_cond_broadcast(&b->changed) == 0);
	must(pthread_mutex_unlock(&b->lock) == 0);
	if (acks)
		exec_message_done(b->exec, task_id);
}

static void on_end(void *ctx, const struct exec_end *end)
{
	struct bench *b = ctx;
	struct seen *s = &b->seen[end->task_id];
	must(pthread_mutex_lock(&b->lock) == 0);
	s->n_ends++;
	s->is_success = end->is_success;
	s->fault = end->fault;
	(void)snprintf(s->code, sizeof s->code, "%s", end->code);
	(void)snprintf(s->message, sizeof s->message, "%s", end->message);
	mem_free(s->result);
	s->result = mem_dup(end->result_json);
	s->exit_code = end->exit_code;
	s->signal = end->signal;
	s->max_rss = end->max_rss;
	must(pthread_cond_broadcast(&b->changed) == 0);
	must(pthread_mutex_unlock(&b->lock) == 0);
}

static void forget(void)
{
	for (int i = 0; i < TASKS; i++) {
		buf_fini(&bench.seen[i].events);
		mem_free(bench.seen[i].result);
		bench.seen[i] = (struct seen){ .is_in_order = true };
		buf_init(&bench.seen[i].events, 1 << 20);
	}
	bench.withholds = false;
}

static void open_bench(void)
{
	static const struct exec_handlers handlers = { &bench, on_start, on_message, on_end };
	struct err e = { 0 };
	forget();
	EXPECT(exec_open(&handlers, &bench.exec, &e) == RC_OK, "%s", e.msg);
}

static void close_bench(void)
{
	exec_stop_all(bench.exec, 0);
	exec_free(bench.exec);
	bench.exec = NULL;
}

/* Wait until *counter of the bench is at least n. */
static bool wait_for(const int *counter, int n, int64_t patience_ms)
{
	struct timespec until;
	must(clock_gettime(CLOCK_REALTIME, &until) == 0);
	int64_t ns = until.tv_nsec + patience_ms % 1000 * 1000000;
	until.tv_sec += patience_ms / 1000 + ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	must(pthread_mutex_lock(&bench.lock) == 0);
	int rc = 0;
	while (*counter < n && rc == 0)
		rc = pthread_cond_timedwait(&bench.changed, &bench.lock, &until);
	bool is_there = *counter >= n;
	must(pthread_mutex_unlock(&bench.lock) == 0);
	return is_there;
}

static struct seen *await_end(int64_t task_id)
{
	struct seen *s = &bench.seen[task_id];
	EXPECT(wait_for(&s->n_ends, 1, PATIENCE_S * 1000), "task %d has not ended", (int)task_id);
	return s;
}

static void await_messages(int64_t task_id, int n)
{
	EXPECT(wait_for(&bench.seen[task_id].n_msgs, n, PATIENCE_S * 1000), "task %d: %d messages", (int)task_id, n);
}

/* A counter while the child is still running. */
static int now(const int *counter)
{
	must(pthread_mutex_lock(&bench.lock) == 0);
	int n = *counter;
	must(pthread_mutex_unlock(&bench.lock) == 0);
	return n;
}

static void set_withholds(bool withholds)
{
	must(pthread_mutex_lock(&bench.lock) == 0);
	bench.withholds = withholds;
	must(pthread_mutex_unlock(&bench.lock) == 0);
}

static void ack(int64_t task_id, int n)
{
	for (int i = 0; i < n; i++)
		exec_message_done(bench.exec, task_id);
}

/* ---- starting ---- */

static char *log_path(int64_t task_id)
{
	static char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%.3900s/log-%d", dir, (int)task_id);
	return path;
}

static struct exec_spec spec_of(int64_t task_id, const char *const *argv)
{
	return (struct exec_spec){ .task_id = task_id,
		                   .attempt = 1,
		                   .argv = argv,
		                   .work_dir = dir,
		                   .log_path = log_path(task_id),
		                   .task_file = "/some/task.json",
		                   .grace_ms = 5000 };
}

static void start_with(struct exec_spec spec)
{
	exec_prepare(bench.exec, &spec);
	exec_start(bench.exec, spec.task_id, spec.attempt);
}

static const char *const *sh(const char *script)
{
	static const char *argv[4] = { "/bin/sh", "-c", NULL, NULL };
	argv[2] = script;
	return argv;
}

static const char *const *role(const char *name)
{
	static const char *argv[3] = { self_path, NULL, NULL };
	argv[1] = name;
	return argv;
}

static struct seen *run(const char *const *argv)
{
	start_with(spec_of(1, argv));
	return await_end(1);
}

static void expect_end(const struct seen *s, const char *what, bool is_success, enum task_fault fault, const char *code,
                       const char *says)
{
	EXPECT(s->n_ends == 1, "%s: on_end %d times", what, s->n_ends);
	EXPECT(s->is_success == is_success, "%s: %s: %s", what, s->code, s->message);
	EXPECT(s->fault == fault, "%s: fault '%s'", what, task_fault_word(s->fault));
	EXPECT(strcmp(s->code, code) == 0, "%s: code '%s': %s", what, s->code, s->message);
	EXPECT(strstr(s->message, says), "%s: said '%s'", what, s->message);
}

static const char *log_text(int64_t task_id)
{
	static struct buf text;
	buf_fini(&text);
	buf_init(&text, 1 << 20);
	struct err e = { 0 };
	EXPECT(file_read(log_path(task_id), &text, &e) == RC_OK, "%s", e.msg);
	return buf_text(&text);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;
	must(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

/* Has the process with this number ended within the patience? */
static bool is_gone(int64_t pid)
{
	int fd = pidfd_open((pid_t)pid, 0);
	if (fd < 0)
		return errno == ESRCH;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, PATIENCE_S * 1000);
	(void)close(fd);
	return n == 1;
}

static int64_t first_number(const struct buf *events)
{
	int64_t n = 0;
	EXPECT(num_i64_n(buf_text(events), strcspn(buf_text(events), "\n"), &n), "'%s'", buf_text(events));
	return n;
}

/* ---- roles of this program as a child ---- */

static void say(const char *text)
{
	size_t len = strlen(text);
	while (len) {
		ssize_t n = write(3, text, len);
		must(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

static void say_event(const char *text)
{
	struct buf b;
	buf_init(&b, 65536);
	protocol_print(&(struct child_msg){ .kind = MSG_EVENT, .text = text }, &b);
	say(buf_text(&b));
	buf_fini(&b);
}

static void flood(int n)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	for (int i = 0; i < n; i++) {
		protocol_print(&(struct child_msg){ .kind = MSG_METRIC, .name = "m", .step = i, .value = i }, &b);
		if (i % 100 == 99 || i == n - 1) {
			say(buf_text(&b));
			buf_reset(&b);
		}
	}
	buf_fini(&b);
	say("{\"result\":{}}\n");
}

static void play_flood(void) { flood(5000); }
static void play_trickle(void) { flood(20); }

static void play_env(void)
{
	for (char **e = environ; *e; e++)
		say_event(*e);
	say("{\"result\":{}}\n");
}

static void play_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	must(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		char name[64], target[256] = "";
		int64_t fd;
		if (!num_i64(e->d_name, &fd) || fd == dirfd(d))
			continue;
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
		must(n > 0);
		target[strcspn(target, ":")] = '\0';
		(void)snprintf(name, sizeof name, "%d %.50s", (int)fd, target);
		say_event(name);
	}
	(void)closedir(d);
	say("{\"result\":{}}\n");
}

static void play_signals(void)
{
	struct buf b;
	buf_init(&b, 65536);
	must(file_read("/proc/self/status", &b, NULL) == RC_OK);
	for (const char *p = buf_text(&b); p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		char line[64];
		(void)snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
		if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0)
			say_event(line);
	}
	buf_fini(&b);
	say("{\"result\":{}}\n");
}

static void play_split(void)
{
	static const char lines[] = "{\"event\":\"in pieces\"}\n{\"result\":{\"a\":1}}\n";
	for (const char *p = lines; *p; p++)
		must(write(3, p, 1) == 1);
}

static void play_long(void)
{
	char *line = mem_alloc(70 * 1024 + 1);
	memset(line, 'x', 70 * 1024);
	say("{\"event\":\"before\"}\n");
	say(line);
	say("\n{\"result\":{}}\n");
	mem_free(line);
}

static void play_nuls(void) { must(write(3, "{\"progress\":\0}\n\0\0\0\n", 19) == 19); }

static void helper_start(void *ctx, int64_t task_id, int64_t attempt, pid_t pid, int64_t mark)
{
	(void)ctx;
	(void)task_id;
	(void)attempt;
	dprintf(1, "%d %lld\n", (int)pid, (long long)mark);
}

static void helper_message(void *ctx, int64_t task_id, int64_t attempt, const struct child_msg *msg)
{
	(void)ctx;
	(void)task_id;
	(void)attempt;
	dprintf(1, "%s\n", msg->text);
}

static void helper_end(void *ctx, const struct exec_end *end)
{
	(void)ctx;
	dprintf(1, "ended: %s\n", end->message);
}

/* A server to be killed: tells number and mark of its child, then the number of its grandchild. */
static void play_server(void)
{
	static const struct exec_handlers handlers = { NULL, helper_start, helper_message, helper_end };
	struct exec *e;
	must(getcwd(dir, sizeof dir));
	must(exec_open(&handlers, &e, NULL) == RC_OK);
	const struct exec_spec spec =
	        spec_of(1, sh("sleep 1000 & echo \"{\\\"event\\\":\\\"$!\\\"}\" >&3; exec sleep 1000"));
	exec_prepare(e, &spec);
	exec_start(e, spec.task_id, spec.attempt);
	for (;;)
		(void)pause();
}

/* Joins the group of a process of its own, so that the one it was started with is empty. */
static void leave_group(void)
{
	const char *const argv[] = { "/bin/sleep", "1000", NULL }, *const env[] = { "PATH=/usr/bin:/bin", NULL };
	const int fds[] = { 0, 1, 2 };
	const struct proc_spec spec = { .argv = argv, .envp = env, .fds = fds, .n_fds = 3, .dies_with_parent = true };
	struct proc other;
	must(proc_spawn(&spec, &other, NULL) == RC_OK);
	must(setpgid(0, other.pid) == 0);
	say_event("left");
	for (;;)
		(void)pause();
}

static void play_leaver(void) { leave_group(); }

static void play_deaf_leaver(void)
{
	const struct sigaction deaf = { .sa_handler = SIG_IGN };
	must(sigaction(SIGTERM, &deaf, NULL) == 0);
	leave_group();
}

static const struct {
	const char *name;
	void (*play)(void);
} roles[] = {
	{ "flood", play_flood }, { "trickle", play_trickle }, { "env", play_env },
	{ "fds", play_fds },     { "signals", play_signals }, { "split", play_split },
	{ "long", play_long },   { "nuls", play_nuls },       { "server", play_server },
	{ "leaver", play_leaver }, { "deaf leaver", play_deaf_leaver },
};

/* ---- classification, without processes ---- */

TEST(ends_are_classified)
{
	static const struct err no_file = { .rc = RC_NOT_FOUND, .msg = "gone" },
	                        no_x = { .rc = RC_DENIED, .msg = "mode" },
	                        no_fork = { .rc = RC_IO, .msg = "no memory" };
	static const struct {
		const char *what;
		struct end_facts facts;
		bool is_success;
		enum task_fault fault;
		const char *code, *says;
	} row[] = {
		{ "success", { .has_result = true }, true, FAULT_NONE, "", "" },
		{ "no result", { 0 }, false, FAULT_USER, "Task.NoResult", "status 0" },
		{ "status", { .exit_code = 3 }, false, FAULT_USER, "Task.Failed", "ended with status 3" },
		{ "result, then status",
		  { .has_result = true, .exit_code = 3 },
		  false,
		  FAULT_USER,
		  "Task.Failed",
		  "status 3" },
		{ "result, then signal",
		  { .has_result = true, .exit_code = -1, .signal = SIGSEGV },
		  false,
		  FAULT_MACHINE,
		  "Task.Killed",
		  "signal 11 (Segmentation fault)" },
		{ "killed",
		  { .exit_code = -1, .signal = SIGKILL },
		  false,
		  FAULT_MACHINE,
		  "Task.Killed",
		  "signal 9, perhaps because memory" },
		{ "lost", { .has_result = true, .exit_code = -1 }, false, FAULT_MACHINE, "Task.Killed", "lost" },
		{ "error",
		  { .error_code = "A.B", .error_text = "why", .error_fault = FAULT_MACHINE, .exit_code = 1 },
		  false,
		  FAULT_MACHINE,
		  "A.B",
		  "why" },
		{ "error though status 0 and result",
		  { .error_code = "A.B", .error_text = "why", .error_fault = FAULT_USER, .has_result = true },
		  false,
		  FAULT_USER,
		  "A.B",
		  "why" },
		{ "silent error",
		  { .error_code = "A.B", .error_text = "", .error_fault = FAULT_USER },
		  false,
		  FAULT_USER,
		  "A.B",
		  "without a message" },
		{ "error before the stop",
		  { .error_code = "A", .error_text = "x", .error_fault = FAULT_USER, .why = STOP_TIMEOUT },
		  false,
		  FAULT_USER,
		  "A",
		  "x" },
		{ "stop",
		  { .why = STOP_ASKED, .why_text = "you said so", .exit_code = -1, .signal = SIGTERM },
		  false,
		  FAULT_MACHINE,
		  "Task.Stopped",
		  "stopped: you said so" },
		{ "stop without words",
		  { .why = STOP_ASKED, .exit_code = 0 },
		  false,
		  FAULT_MACHINE,
		  "Task.Stopped",
		  "was stopped" },
		{ "stop, work complete", { .why = STOP_ASKED, .has_result = true }, true, FAULT_NONE, "", "" },
		{ "stop, status",
		  { .why = STOP_ASKED, .has_result = true, .exit_code = 1 },
		  false,
		  FAULT_MACHINE,
		  "Task.Stopped",
		  "" },
		{ "timeout",
		  { .why = STOP_TIMEOUT, .why_text = "too long", .exit_code = -1, .signal = SIGKILL },
		  false,
		  FAULT_TIMEOUT,
		  "Task.TimedOut",
		  "too long" },
		{ "stall",
		  { .why = STOP_STALL, .why_text = "silent", .exit_code = 1 },
		  false,
		  FAULT_TIMEOUT,
		  "Task.Stalled",
		  "silent" },
		{ "log",
		  { .why = STOP_LOG_FULL, .why_text = "big", .has_result = true },
		  false,
		  FAULT_USER,
		  "Task.LogFull",
		  "big" },
		{ "protocol",
		  { .why = STOP_PROTOCOL, .why_text = "line 3", .has_result = true },
		  false,
		  FAULT_USER,
		  "Task.Protocol",
		  "line 3" },
		{ "memory",
		  { .why = STOP_MEMORY, .why_text = "much", .exit_code = -1, .signal = SIGTERM },
		  false,
		  FAULT_USER,
		  "Task.MemoryLimit",
		  "much" },
		{ "cpu",
		  { .why = STOP_CPU, .why_text = "busy", .exit_code = 1 },
		  false,
		  FAULT_TIMEOUT,
		  "Task.CpuLimit",
		  "busy" },
		{ "disk",
		  { .why = STOP_DISK, .why_text = "full", .exit_code = 1 },
		  false,
		  FAULT_USER,
		  "Task.DiskLimit",
		  "full" },
		{ "limit met, work complete", { .why = STOP_DISK, .has_result = true }, true, FAULT_NONE, "", "" },
		{ "processes",
		  { .why = STOP_PROCESSES, .why_text = "many", .exit_code = 1 },
		  false,
		  FAULT_USER,
		  "Task.ProcessLimit",
		  "many" },
		{ "no program", { .no_start = &no_file }, false, FAULT_USER, "Task.NoProgram", "not started: gone" },
		{ "not executable", { .no_start = &no_x }, false, FAULT_USER, "Task.NoProgram", "mode" },
		{ "no process", { .no_start = &no_fork }, false, FAULT_MACHINE, "Task.NoStart", "no memory" },
	};
	FOR_EACH_ROW (i, row) {
		struct end_class c;
		classify_end(&row[i].facts, &c);
		EXPECT(c.is_success == row[i].is_success, "%s", row[i].what);
		EXPECT(c.fault == row[i].fault, "%s: fault '%s'", row[i].what, task_fault_word(c.fault));
		EXPECT(strcmp(c.code, row[i].code) == 0, "%s: code '%s'", row[i].what, c.code);
		EXPECT(strstr(c.message, row[i].says), "%s: said '%s'", row[i].what, c.message);
		EXPECT(c.is_success == !*c.message, "%s: said '%s'", row[i].what, c.message);
	}
}

/* ---- ends of real children ---- */

TEST(scripts_end_as_they_should)
{
	static const struct {
		const char *script;
		bool is_success;
		enum task_fault fault;
		const char *code, *says;
		int exit_code, signal;
	} row[] = {
		{ RESULT, true, FAULT_NONE, "", "", 0, 0 },
		{ "printf '{\"result\":{}}' >&3", true, FAULT_NONE, "", "", 0, 0 },
		{ RESULT "echo '{\"event\":\"late\"}' >&3", true, FAULT_NONE, "", "", 0, 0 },
		{ ":", false, FAULT_USER, "Task.NoResult", "no result", 0, 0 },
		{ "exec 3>&-; exit 0", false, FAULT_USER, "Task.NoResult", "no result", 0, 0 },
		{ "exit 7", false, FAULT_USER, "Task.Failed", "status 7", 7, 0 },
		{ RESULT "exit 1", false, FAULT_USER, "Task.Failed", "status 1", 1, 0 },
		{ "no-such-command", false, FAULT_USER, "Task.Failed", "status 127", 127, 0 },
		{ "echo '{\"error\":{\"code\":\"Data.Empty\",\"message\":\"no rows\"}}' >&3; exit 4", false, FAULT_USER,
		  "Data.Empty", "no rows", 4, 0 },
		{ "echo '{\"error\":{\"code\":\"A\"}}' >&3; echo '{\"error\":{\"code\":\"B\"}}' >&3", false, FAULT_USER,
		  "A", "without a message", 0, 0 },
		{ "echo '{\"error\":{\"code\":\"Disk\",\"message\":\"full\",\"fault\":\"machine\"}}' >&3;" RESULT,
		  false, FAULT_MACHINE, "Disk", "full", 0, 0 },
		{ "kill -9 $$", false, FAULT_MACHINE, "Task.Killed", "signal 9", -1, SIGKILL },
		{ "kill -11 $$", false, FAULT_MACHINE, "Task.Killed", "signal 11", -1, SIGSEGV },
		{ "kill -15 $$", false, FAULT_MACHINE, "Task.Killed", "signal 15", -1, SIGTERM },
		{ "printf '{\"progress\":5' >&3; kill -9 $$", false, FAULT_MACHINE, "Task.Killed", "signal 9", -1,
		  SIGKILL },
		{ "echo '{\"progress\":5}' >&3; echo 'epoch 1' >&3; " STAY, false, FAULT_USER, "Task.Protocol",
		  "line 2 on descriptor 3 is wrong: not JSON", -1, SIGTERM },
		{ "echo 'epoch 1' >&3; " STAY, false, FAULT_USER, "Task.Protocol", "it begins 'epoch 1'", -1, SIGTERM },
		{ "printf '\\377\\001\\n' >&3; " STAY, false, FAULT_USER, "Task.Protocol",
		  "begins '?"
		  "?'",
		  -1, SIGTERM },
		{ "echo >&3; " STAY, false, FAULT_USER, "Task.Protocol", "line 1", -1, SIGTERM },
		{ "echo '{\"checkpoint\":\"../x\"}' >&3; " STAY, false, FAULT_USER, "Task.Protocol", "plain file name",
		  -1, SIGTERM },
		{ RESULT "printf '{\"resu' >&3", false, FAULT_USER, "Task.Protocol", "line 2", 0, 0 },
	};
	FOR_EACH_ROW (i, row) {
		open_bench();
		struct seen *s = run(sh(row[i].script));
		expect_end(s, row[i].script, row[i].is_success, row[i].fault, row[i].code, row[i].says);
		EXPECT(s->exit_code == row[i].exit_code && s->signal == row[i].signal, "%s: %d %d", row[i].script,
		       s->exit_code, s->signal);
		EXPECT(s->n_starts == 1, "%s", row[i].script);
		close_bench();
	}
}

TEST(a_result_and_the_use_of_resources_are_told)
{
	open_bench();
	struct seen *s = run(sh("echo '{\"progress\":1}' >&3\necho '{\"result\":{\"auc\":0.75}}' >&3"));
	EXPECT(s->result && strcmp(s->result, "{\"auc\":0.75}") == 0, "%s", s->result ? s->result : "(null)");
	EXPECT(s->n_msgs == 1, "%d", s->n_msgs);
	EXPECT(s->max_rss > 100000 && s->max_rss < INT64_C(1) << 32, "%lld", (long long)s->max_rss);
	close_bench();
}

TEST(programs_that_cannot_start_say_why)
{
	char plain[PATH_MAX], bad[PATH_MAX];
	struct err e = { 0 };
	must(path_join(plain, dir, "plain", &e) == RC_OK && path_join(bad, dir, "bad", &e) == RC_OK);
	must(file_replace(plain, "x", 1, 0600, &e) == RC_OK);
	must(file_replace(bad, "#!/no/such/shell\n", 17, 0700, &e) == RC_OK);
	const struct {
		const char *program, *work_dir, *log;
		enum task_fault fault;
		const char *code, *says;
	} row[] = {
		{ "/no/such/program", dir, log_path(1), FAULT_USER, "Task.NoProgram", "/no/such/program" },
		{ "no-such-program", dir, log_path(1), FAULT_USER, "Task.NoProgram",
		  "no program 'no-such-program' in PATH" },
		{ "", dir, log_path(1), FAULT_USER, "Task.NoProgram", "empty" },
		{ plain, dir, log_path(1), FAULT_USER, "Task.NoProgram", "Permission denied" },
		{ "./plain", dir, log_path(1), FAULT_USER, "Task.NoProgram", "Permission denied" },
		{ dir, dir, log_path(1), FAULT_USER, "Task.NoProgram", "Permission denied" },
		{ bad, dir, log_path(1), FAULT_USER, "Task.NoProgram", "interpreter" },
		{ "/bin/true", "/no/such/dir", log_path(1), FAULT_MACHINE, "Task.NoStart", "working directory '/no" },
		{ "/bin/true", dir, "/no/such/dir/log", FAULT_MACHINE, "Task.NoStart", "log '/no/such" },
	};
	FOR_EACH_ROW (i, row) {
		const char *const argv[] = { row[i].program, NULL };
		struct exec_spec spec = spec_of(1, argv);
		spec.work_dir = row[i].work_dir;
		spec.log_path = row[i].log;
		open_bench();
		start_with(spec);
		expect_end(await_end(1), row[i].program, false, row[i].fault, row[i].code, row[i].says);
		EXPECT(bench.seen[1].n_starts == 0 && bench.seen[1].exit_code == -1, "%s", row[i].program);
		close_bench();
	}
}

TEST(a_program_is_found_in_path)
{
	const char *const argv[] = { "sh", "-c", RESULT, NULL };
	open_bench();
	EXPECT(run(argv)->is_success, "%s", bench.seen[1].message);
	close_bench();
}

/* ---- what a child finds ---- */

TEST(a_child_has_five_descriptors)
{
	int stray = open("/dev/null", O_RDONLY), high = dup2(stray, 700); /* not close-on-exec, like a library's */
	must(stray >= 0 && high == 700);
	open_bench();
	struct seen *s = run(role("fds"));
	static const char *const want[] = { "0 /dev/null\n", "1 /", "2 /", "3 pipe\n", "4 pipe\n" };
	int lines = 0;
	for (const char *p = buf_text(&s->events); *p; p += strcspn(p, "\n") + 1)
		lines++;
	FOR_EACH_ROW (i, want)
		EXPECT(strstr(buf_text(&s->events), want[i]), "no %s in %s", want[i], buf_text(&s->events));
	EXPECT(lines == 5, "%s", buf_text(&s->events));
	close_bench();
	(void)close(stray);
	(void)close(high);
}

TEST(a_child_has_a_clean_environment)
{
	must(setenv("SECRET_KEY", "hidden", 1) == 0 && setenv("TZ", "Asia/Shanghai", 1) == 0);
	open_bench();
	struct seen *s = run(role("env"));
	char home[PATH_MAX + 8];
	(void)snprintf(home, sizeof home, "HOME=%s\n", dir);
	const char *const want[] = { "PATH=/", home, "LANG=C.UTF-8\n", "TZ=Asia/Shanghai\n",
		                     "STINT_TASK=/some/task.json\n" };
	int lines = 0;
	for (const char *p = buf_text(&s->events); *p; p += strcspn(p, "\n") + 1)
		lines++;
	FOR_EACH_ROW (i, want)
		EXPECT(strstr(buf_text(&s->events), want[i]), "no %s in %s", want[i], buf_text(&s->events));
	EXPECT(lines == 5 && !strstr(buf_text(&s->events), "SECRET"), "%s", buf_text(&s->events));
	close_bench();
	must(setenv("STINT_CRASH_POINT", "store.before_commit", 1) == 0); /* about the server itself */
	open_bench();
	s = run(role("env"));
	EXPECT(!strstr(buf_text(&s->events), "CRASH"), "%s", buf_text(&s->events));
	close_bench();
	must(setenv("STINT_CRASH_POINT", "@/some/order", 1) == 0);
	open_bench();
	s = run(role("env"));
	EXPECT(strstr(buf_text(&s->events), "STINT_CRASH_POINT=@/some/order\n"), "%s", buf_text(&s->events));
	close_bench();
	must(unsetenv("SECRET_KEY") == 0 && unsetenv("TZ") == 0 && unsetenv("STINT_CRASH_POINT") == 0);
}

TEST(a_child_has_default_signals)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	must(sigaction(SIGPIPE, &ignore, &before) == 0);
	open_bench();
	struct seen *s = run(role("signals"));
	EXPECT(strstr(buf_text(&s->events), "SigBlk:\t0000000000000000"), "%s", buf_text(&s->events));
	EXPECT(strstr(buf_text(&s->events), "SigIgn:\t0000000000000000"), "%s", buf_text(&s->events));
	close_bench();
	must(sigaction(SIGPIPE, &before, NULL) == 0);
}

TEST(a_child_has_its_folder_its_group_its_limits_and_its_log)
{
	struct exec_spec spec = spec_of(2,
		sh("pwd; echo oops >&2; ulimit -d; ulimit -f; ulimit -t; cat /proc/self/oom_score_adj; ulimit -c; "
		   "read x && echo input;"
		   "cut -d' ' -f5 < /proc/$$/stat; echo $$; " RESULT));
	struct err e = { 0 };
	char want[PATH_MAX + 128];
	struct stat st;

	must(file_replace(log_path(2), "before\n", 7, 0600, &e) == RC_OK);
	spec.memory_limit = INT64_C(1) << 30;
	spec.disk_limit = INT64_C(512) << 20;
	spec.log_limit = INT64_C(512) << 20;
	spec.cpu_limit_ms = 60000;
	spec.limit_of = "function score";
	open_bench();
	start_with(spec);
	struct seen *s = await_end(2);
	int pid = (int)s->pid;
	(void)snprintf(want, sizeof want, "before\n%s\noops\n3145728\n4194304\n62\n500\n0\n%d\n%d\n", dir, pid, pid);
	EXPECT(s->is_success, "%s", s->message);
	EXPECT(strcmp(log_text(2), want) == 0, "%s instead of %s", log_text(2), want);
	start_with(spec_of(3, sh("echo x")));
	(void)await_end(3);
	EXPECT(stat(log_path(3), &st) == 0 && (st.st_mode & 0777) == 0600, "%o", (unsigned)st.st_mode);
	close_bench();
}

/* The kernel's limit is for all threads of the user: at least those that are there are added. */
TEST(the_limit_of_processes_is_beside_those_that_are_there)
{
	open_bench();
	for (int i = 1; i <= 3; i++) {
		struct exec_spec spec =
			spec_of(i, sh("awk '/Max processes/ { printf \"{\\\"event\\\":\\\"%d\\\"}\\n\", $3 }' "
				      "/proc/self/limits >&3; " RESULT));
		int64_t limit = 0;
		spec.process_limit = 1000;
		start_with(spec);
		EXPECT(await_end(i)->is_success, "%s", bench.seen[i].message);
		const char *said = buf_text(&bench.seen[i].events);
		EXPECT(num_i64_n(said, strcspn(said, "\n"), &limit), "%s", said);
		EXPECT(limit > 2000 + 256, "start %d: %lld leaves no room for what is there", i, (long long)limit);
	}
	close_bench();
}

/* ---- descriptor 3 ---- */

TEST(a_message_may_come_in_pieces)
{
	open_bench();
	struct seen *s = run(role("split"));
	EXPECT(s->is_success && strcmp(buf_text(&s->events), "in pieces\n") == 0, "%s", buf_text(&s->events));
	close_bench();
}

TEST(a_line_too_long_is_the_tasks_fault)
{
	open_bench();
	struct seen *s = run(role("long"));
	expect_end(s, "70 KB", false, FAULT_USER, "Task.Protocol",
	           "line 2 on descriptor 3 is wrong: longer than 65536");
	EXPECT(strcmp(buf_text(&s->events), "before\n") == 0, "%s", buf_text(&s->events));
	close_bench();
}

TEST(binary_zeros_are_the_tasks_fault)
{
	open_bench();
	expect_end(run(role("nuls")), "NULs", false, FAULT_USER, "Task.Protocol", "begins '{\"progress\":?}'");
	close_bench();
}

TEST(a_flood_waits_for_acknowledgements_and_loses_nothing)
{
	open_bench();
	set_withholds(true);
	struct exec_spec spec = spec_of(1, role("flood"));
	spec.stall_ms = 1000; /* the silence that the window causes is not the child's; its start is */
	start_with(spec);
	await_messages(1, EXEC_WINDOW);
	EXPECT(!wait_for(&bench.seen[1].n_msgs, EXEC_WINDOW + 1, 1400), "more messages are out");
	EXPECT(!now(&bench.seen[1].n_ends), "its silence was counted");
	for (int n = EXEC_WINDOW; n < 320; n += 10) {
		ack(1, 10);
		await_messages(1, n + 10);
		EXPECT(now(&bench.seen[1].n_msgs) <= n + 10, "%d out", now(&bench.seen[1].n_msgs));
	}
	set_withholds(false);
	ack(1, EXEC_WINDOW);
	struct seen *s = await_end(1);
	EXPECT(s->is_success && s->n_msgs == 5000 && s->is_in_order, "%d messages, %s", s->n_msgs, s->message);
	close_bench();
}

TEST(silence_is_counted_from_the_acknowledgement_on)
{
	enum { STALL_MS = 200 };
	struct exec_spec spec =
	        spec_of(1, sh("i=0; while [ $i -lt 33 ]; do echo '{\"event\":\"e\"}'; i=$((i+1)); done >&3;" STAY));
	open_bench();
	set_withholds(true);
	spec.stall_ms = STALL_MS;
	start_with(spec);
	await_messages(1, EXEC_WINDOW);
	EXPECT(!wait_for(&bench.seen[1].n_ends, 1, 2 * STALL_MS), "its silence was counted");
	int64_t from = clock_mono_ms();
	ack(1, EXEC_WINDOW);
	expect_end(await_end(1), "silent", false, FAULT_TIMEOUT, "Task.Stalled", "200 ms");
	EXPECT(clock_mono_ms() - from >= STALL_MS, "after %d ms", (int)(clock_mono_ms() - from));
	close_bench();
}

TEST(what_an_ended_child_left_is_delivered_first)
{
	open_bench();
	set_withholds(true);
	start_with(
	        spec_of(1, sh("i=0; while [ $i -lt 100 ]; do echo '{\"event\":\"e\"}'; i=$((i+1)); done >&3; exit 3")));
	await_messages(1, EXEC_WINDOW);
	EXPECT(is_gone(bench.seen[1].pid), "still there");
	/* Once another one has ended, the supervisor has seen the first one's exit too. */
	start_with(spec_of(2, sh(":")));
	(void)await_end(2);
	EXPECT(!now(&bench.seen[1].n_ends), "ended before all was delivered");
	exec_stop(bench.exec, 1, "too late to matter");
	for (int n = EXEC_WINDOW; n < 100; n++) {
		ack(1, 1);
		await_messages(1, n + 1);
	}
	ack(1, 1);
	expect_end(await_end(1), "status 3", false, FAULT_USER, "Task.Failed", "status 3");
	EXPECT(bench.seen[1].n_msgs == 100, "%d", bench.seen[1].n_msgs);
	close_bench();
}

/* ---- stopping ---- */

TEST(stop_ends_a_willing_child_softly_and_a_deaf_one_hard)
{
	static const struct {
		const char *script;
		int signal;
		bool is_success;
	} row[] = {
		{ "echo '{\"event\":\"up\"}' >&3; " STAY, SIGTERM, false },
		{ "trap '' TERM; echo '{\"event\":\"up\"}' >&3; while :; do " STAY "; done", SIGKILL, false },
		{ "echo '{\"event\":\"up\"}' >&3; kill -STOP $$", SIGTERM, false },
		{ "trap 'echo \"{\\\"error\\\":{}}\" >&3; exit 1' TERM; echo '{\"event\":\"up\"}' >&3; " STAY, 0,
		  false },
		{ "trap 'echo \"{\\\"result\\\":{}}\" >&3; exit 0' TERM; echo '{\"event\":\"up\"}' >&3; " STAY, 0,
		  true },
	};
	FOR_EACH_ROW (i, row) {
		struct exec_spec spec = spec_of(1, sh(row[i].script));
		spec.grace_ms = row[i].signal == SIGKILL ? 100 : 1000 * PATIENCE_S;
		open_bench();
		start_with(spec);
		await_messages(1, 1);
		exec_stop(bench.exec, 1, "asked by a test");
		exec_stop(bench.exec, 1, "asked again");
		struct seen *s = await_end(1);
		if (row[i].is_success)
			expect_end(s, row[i].script, true, FAULT_NONE, "", "");
		else
			expect_end(s, row[i].script, false, FAULT_MACHINE, "Task.Stopped", "stopped: asked by a test");
		EXPECT(s->signal == row[i].signal, "%s: signal %d", row[i].script, s->signal);
		exec_stop(bench.exec, 1, "gone already");
		close_bench();
	}
}

/* A program may leave the group that it was started with: it is met all the same, and by one SIGTERM or the SIGKILL. */
TEST(a_leader_that_left_its_group_is_met)
{
	static const struct {
		const char *role;
		int signal;
	} row[] = { { "leaver", SIGTERM }, { "deaf leaver", SIGKILL } };
	FOR_EACH_ROW (i, row) {
		struct exec_spec spec = spec_of(1, role(row[i].role));
		spec.grace_ms = row[i].signal == SIGKILL ? 100 : 1000 * PATIENCE_S;
		open_bench();
		start_with(spec);
		await_messages(1, 1);
		exec_stop(bench.exec, 1, "asked by a test");
		struct seen *s = await_end(1);
		if (!now(&s->n_ends))
			(void)kill(s->pid, SIGKILL); /* so that the test ends too */
		expect_end(s, row[i].role, false, FAULT_MACHINE, "Task.Stopped", "asked by a test");
		EXPECT(s->signal == row[i].signal, "%s: signal %d", row[i].role, s->signal);
		close_bench();
	}
}

TEST(limits_of_time_are_enforced)
{
	static const struct {
		const char *script;
		int64_t timeout_ms, stall_ms;
		enum task_fault fault;
		const char *code, *says;
	} row[] = {
		{ STAY, 50, 0, FAULT_TIMEOUT, "Task.TimedOut", "limit of 50 ms" },
		{ "while :; do echo '{\"progress\":1}' >&3; done", 300, 250, FAULT_TIMEOUT, "Task.TimedOut", "300 ms" },
		{ STAY, 20000, 50, FAULT_TIMEOUT, "Task.Stalled", "nothing on descriptor 3 for 50 ms" },
		{ "exec 3>&-; " STAY, 0, 50, FAULT_TIMEOUT, "Task.Stalled", "50 ms" },
	};
	FOR_EACH_ROW (i, row) {
		struct exec_spec spec = spec_of(4, sh(row[i].script));
		spec.timeout_ms = row[i].timeout_ms;
		spec.stall_ms = row[i].stall_ms;
		open_bench();
		start_with(spec);
		expect_end(await_end(4), row[i].script, false, row[i].fault, row[i].code, row[i].says);
		close_bench();
	}
}

/* ---- the log ---- */

enum { LOG_LIMIT = 1 << 20 };

static int64_t log_disk_size(int64_t task_id)
{
	struct stat st;
	must(stat(log_path(task_id), &st) == 0);
	return (int64_t)st.st_blocks * 512;
}

/* All of it as a reader sees it; borrowed until the next call. */
static const char *read_log(int64_t task_id)
{
	static struct buf text;
	struct err e = { 0 };
	int64_t at = 0, next = -1;

	buf_fini(&text);
	for (buf_init(&text, 8 << 20);; at = next) {
		EXPECT(gaplog_read(log_path(task_id), at, LOG_LIMIT, &text, &next, &e) == RC_OK, "%s", e.msg);
		if (next == at)
			return buf_text(&text);
	}
}

static bool log_ends_with(int64_t task_id, const char *text)
{
	struct buf end;
	int64_t size, next;

	buf_init(&end, 100);
	must(file_size(log_path(task_id), &size, NULL) == RC_OK && size >= (int64_t)strlen(text));
	must(gaplog_read(log_path(task_id), size - (int64_t)strlen(text), 100, &end, &next, NULL) == RC_OK);
	bool does = strcmp(buf_text(&end), text) == 0;
	buf_fini(&end);
	return does;
}

TEST(a_flooded_log_keeps_its_beginning_and_its_newest_part)
{
	struct exec_spec spec =
		spec_of(5, sh("echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last; " RESULT));
	int64_t size;
	char note[80];

	spec.log_limit = LOG_LIMIT;
	open_bench();
	start_with(spec);
	EXPECT(await_end(5)->is_success, "%s", bench.seen[5].message);
	const char *text = read_log(5);
	must(file_size(log_path(5), &size, NULL) == RC_OK);
	EXPECT(size == 6 + 20000000 + 6, "%lld", (long long)size);
	EXPECT(log_disk_size(5) <= LOG_LIMIT, "it takes %lld", (long long)log_disk_size(5));
	EXPECT(strncmp(text, "first\nxxx", 9) == 0 && strcmp(text + strlen(text) - 9, "xxx\nlast\n") == 0, "%.20s",
	       text);
	const char *at = strstr(text, "\n[");
	EXPECT(at != NULL, "nothing says that bytes are missing");
	(void)snprintf(note, sizeof note, "[%lld bytes were dropped here: ",
	               (long long)(size - ((int64_t)strlen(text) - (int64_t)(at ? strcspn(at + 1, "\n") + 2 : 0))));
	EXPECT(at && strncmp(at + 1, note, strlen(note)) == 0, "%.60s instead of %s", at ? at + 1 : "", note);
	close_bench();
}

static struct seen *flood_log(struct exec_spec spec)
{
	(void)unlink(log_path(spec.task_id)); /* of the test before */
	spec.log_limit = LOG_LIMIT;
	spec.grace_ms = 200;
	open_bench();
	start_with(spec);
	struct seen *s = await_end(spec.task_id);
	close_bench();
	return s;
}

TEST(a_flood_is_bounded_as_long_as_it_goes_on)
{
	struct exec_spec spec = spec_of(5, sh("trap '' TERM; exec yes"));
	spec.timeout_ms = 1000;
	expect_end(flood_log(spec), "flood", false, FAULT_TIMEOUT, "Task.TimedOut", "limit of 1000 ms");
	EXPECT(log_disk_size(5) <= LOG_LIMIT, "it takes %lld", (long long)log_disk_size(5));
	EXPECT(strstr(read_log(5), " bytes were dropped here: "), "nothing says so");
}

static int keep_all(int fd, int mode, off_t from, off_t len)
{
	(void)fd, (void)mode, (void)from, (void)len;
	errno = EOPNOTSUPP;
	return -1;
}

static int full_disk(int fd, int mode, off_t from, off_t len)
{
	(void)fd, (void)mode, (void)from, (void)len;
	errno = ENOSPC;
	return -1;
}

TEST(where_the_middle_cannot_be_dropped_a_flood_ends_the_task)
{
	static const struct {
		const char *script;
		bool is_success;
	} row[] = {
		{ "head -c 9000000 /dev/zero | tr '\\0' x; " STAY, false },
		{ "trap '' TERM; while :; do head -c 1000000 /dev/zero | tr '\\0' x; done", false },
		{ "head -c 3000000 /dev/zero | tr '\\0' x; " RESULT, true }, /* it ends before anybody looks */
	};
	FOR_EACH_ROW (i, row) {
		os.fallocate = keep_all;
		struct seen *s = flood_log(spec_of(5, sh(row[i].script)));
		os = os_real;
		/* The third may be looked at after all; then it is ended like the others. */
		if (!s->is_success)
			expect_end(s, row[i].script, false, FAULT_USER, "Task.LogFull",
				"larger than the limit of 1048576 bytes, and the file system cannot drop the middle");
		EXPECT(!s->is_success || row[i].is_success, "%s", row[i].script);
		const char *text = read_log(5);
		EXPECT(strspn(text, "x") == LOG_LIMIT, "%zu", strspn(text, "x"));
		EXPECT(strstr(text, "cut here: its limit is 1048576 bytes"), "%zu", strlen(text));
	}
}

TEST(what_keeps_the_middle_for_now_is_not_the_tasks_fault)
{
	int64_t size;

	os.fallocate = full_disk;
	struct seen *s = flood_log(spec_of(5, sh("head -c 9000000 /dev/zero | tr '\\0' x; " RESULT)));
	os = os_real;
	EXPECT(s->is_success, "%s", s->message);
	EXPECT(file_size(log_path(5), &size, NULL) == RC_OK && size == 9000000, "%lld", (long long)size);
}

/* What an attempt has put in the place of its log must not hold up the next one's start, nor anybody else. */
TEST(what_is_no_file_is_no_log)
{
	const char *path = log_path(1);
	(void)unlink(path);
	must(mkfifo(path, 0600) == 0);
	open_bench();
	start_with(spec_of(1, sh(RESULT)));
	struct seen *s = &bench.seen[1];
	bool is_told = wait_for(&s->n_ends, 1, PATIENCE_S * 1000);
	EXPECT(is_told, "the supervisor waits for a reader");
	int fd = is_told ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* so that the test ends too */
	(void)await_end(1);
	if (fd >= 0)
		(void)close(fd);
	expect_end(s, "a pipe", false, FAULT_MACHINE, "Task.NoStart", "no regular file");
	EXPECT(s->n_starts == 0, "it was started");
	close_bench();
	must(unlink(path) == 0);
}

TEST(a_log_without_end_ends_the_task)
{
	expect_end(flood_log(spec_of(5, sh("truncate -s 1025G /proc/self/fd/1; " STAY))), "1025 GiB", false, FAULT_USER,
	           "Task.LogFull", "it wrote more than 1099511627776 bytes to its log");
	EXPECT(log_disk_size(5) <= LOG_LIMIT, "it takes %lld", (long long)log_disk_size(5));
}

/* To the kernel the log is a file of the task like any other, with a size that counts what was dropped too. In blocks
 * of 512 bytes: 1 GiB and the 2 MiB of both limits; the log is then twice made longer than the kernel lets it
 * be at first. */
TEST(a_limit_of_disk_leaves_a_log_room_to_go_on)
{
	struct exec_spec spec = spec_of(5, sh("echo $(ulimit -f); truncate -s 1000M /proc/self/fd/1\n"
	                                      "while [ $(ulimit -f) -lt 4000000 ]; do :; done\n"
	                                      "truncate -s 2000M /proc/self/fd/1 || exit 9\n"
	                                      "while [ $(ulimit -f) -lt 6000000 ]; do :; done\n"
	                                      "echo last; " RESULT));
	spec.disk_limit = 1 << 20;
	EXPECT(flood_log(spec)->is_success, "%s", bench.seen[5].message);
	const char *text = read_log(5);
	EXPECT(strncmp(text, "2101248\n", 8) == 0, "%.20s", text);
	EXPECT(log_ends_with(5, "last\n"), "what came after it went on is gone");
	EXPECT(log_disk_size(5) <= LOG_LIMIT, "it takes %lld", (long long)log_disk_size(5));
}

/* Each of these would go on for ever, or to a bound that harms no machine. */
TEST(limits_of_use_end_the_whole_attempt_and_say_which)
{
	static const struct {
		const char *script;
		int64_t memory, cpu_ms, disk, processes;
		enum task_fault fault;
		const char *code, *says;
	} row[] = {
		{ "exec tail /dev/zero", 50 << 20, 0, 0, 0, FAULT_USER, "Task.MemoryLimit",
		  "it used more than 50 MiB of memory (limit of function score)" },
		{ "tail /dev/zero & trap '' TERM; while :; do " STAY "; done", 50 << 20, 0, 0, 0, FAULT_USER,
		  "Task.MemoryLimit", "50 MiB of memory" },
		{ "(while :; do :; done) & while :; do :; done", 0, 1000, 0, 0, FAULT_TIMEOUT, "Task.CpuLimit",
		  "it used more than 1 s of processor time (limit of function score)" },
		{ "head -c 3000000 /dev/zero > big; " STAY, 0, 0, 1 << 20, 0, FAULT_USER, "Task.DiskLimit",
		  "its files took more than 1 MiB (limit of function score)" },
		{ "mkdir -p d/e; for i in 1 2 3 4 5 6 7 8; do head -c 200000 /dev/zero > d/e/$i; done; " STAY, 0, 0,
		  1 << 20, 0, FAULT_USER, "Task.DiskLimit", "1 MiB" },
		{ "exec truncate -s 2G big", 0, 0, 1 << 20, 0, FAULT_USER, "Task.DiskLimit", "1 MiB" },
		{ "i=0; while [ $i -lt 60 ]; do (read x <&4) & i=$((i+1)); done; wait", 0, 0, 0, 20, FAULT_USER,
		  "Task.ProcessLimit", "it had more than 20 processes (limit of function score)" },
	};
	FOR_EACH_ROW (i, row) {
		char work[PATH_MAX];
		struct exec_spec spec = spec_of(6, sh(row[i].script));
		struct err e = { 0 };
		must(path_join(work, dir, "work", &e) == RC_OK && dir_make(work, 0700, &e) == RC_OK);
		spec.work_dir = work;
		spec.memory_limit = row[i].memory;
		spec.cpu_limit_ms = row[i].cpu_ms;
		spec.disk_limit = row[i].disk;
		spec.process_limit = row[i].processes;
		spec.limit_of = "function score";
		spec.grace_ms = 300;
		open_bench();
		EXPECT(exec_adopt_orphans(bench.exec), "%d", errno); /* their zombies too: a group of them is a group */
		int before = count_fds();
		start_with(spec);
		expect_end(await_end(6), row[i].script, false, row[i].fault, row[i].code, row[i].says);
		EXPECT(count_fds() == before, "%s: descriptors leak", row[i].script);
		close_bench();
		while (waitpid(-1, NULL, 0) > 0)
			; /* what ended after the last look */
		EXPECT(kill(-bench.seen[6].pid, 0) != 0, "%s: some of the group is left", row[i].script);
		EXPECT(dir_remove(work, &e) == RC_OK, "%s", e.msg);
	}
	must(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

TEST(what_stays_below_its_limits_is_left_alone)
{
	struct exec_spec spec =
		spec_of(6, sh("head -c 100000 /dev/zero > small; (sleep 1) & (sleep 1) & wait; " RESULT));
	char work[PATH_MAX];
	struct err e = { 0 };
	must(path_join(work, dir, "work", &e) == RC_OK && dir_make(work, 0700, &e) == RC_OK);
	spec.work_dir = work;
	spec.memory_limit = 200 << 20;
	spec.cpu_limit_ms = 20000;
	spec.disk_limit = 1 << 20;
	spec.process_limit = 6;
	open_bench();
	start_with(spec);
	EXPECT(await_end(6)->is_success, "%s", bench.seen[6].message);
	close_bench();
	EXPECT(dir_remove(work, &e) == RC_OK, "%s", e.msg);
}

TEST(close_stops_all_and_tells_of_each)
{
	open_bench();
	int before = count_fds();
	for (int i = 1; i <= 5; i++)
		start_with(
		        spec_of(i, sh(i == 3 ? "trap '' TERM; echo '{\"event\":\"up\"}' >&3; while :; do " STAY "; done"
		                             : "echo '{\"event\":\"up\"}' >&3; " STAY)));
	for (int i = 1; i <= 5; i++)
		await_messages(i, 1);
	exec_stop_all(bench.exec, 100);
	exec_free(bench.exec);
	bench.exec = NULL;
	for (int i = 1; i <= 5; i++) {
		expect_end(&bench.seen[i], "close", false, FAULT_MACHINE, "Task.Stopped", "the server is stopping");
		EXPECT(bench.seen[i].signal == (i == 3 ? SIGKILL : SIGTERM), "%d", bench.seen[i].signal);
		EXPECT(is_gone(bench.seen[i].pid), "%d", i);
	}
	EXPECT(count_fds() < before, "descriptors leak");
}

TEST(close_does_not_wait_for_ever_for_acknowledgements)
{
	open_bench();
	set_withholds(true);
	start_with(spec_of(1, role("flood")));
	await_messages(1, EXEC_WINDOW);
	exec_stop_all(bench.exec, 0);
	exec_free(bench.exec);
	bench.exec = NULL;
	expect_end(&bench.seen[1], "close", false, FAULT_MACHINE, "Task.Stopped", "the server is stopping");
}

/* ---- nothing is left over ---- */

TEST(descendants_in_the_group_are_killed_with_their_leader)
{
	open_bench();
	/* It holds descriptor 3 open as well, which must not delay the end. */
	struct seen *s = run(sh("sleep 1000 & echo \"{\\\"event\\\":\\\"$!\\\"}\" >&3; " RESULT));
	EXPECT(s->is_success, "%s", s->message);
	EXPECT(is_gone(first_number(&s->events)), "it lives");
	close_bench();
}

TEST(a_process_that_left_the_group_does_not_hold_the_end_up)
{
	open_bench();
	struct seen *s = run(sh("mkfifo gate && setsid sh -c 'echo \"{\\\"event\\\":\\\"$$\\\"}\" >&3; echo > gate;"
	                        "exec sleep 1000' & while [ ! -p gate ]; do :; done; read x < gate; " RESULT));
	EXPECT(s->is_success, "%s", s->message);
	int64_t pid = first_number(&s->events);
	if (pid > 1)
		EXPECT(kill((pid_t)pid, SIGKILL) == 0, "%d", errno);
	close_bench();
}

/* With adoption: what left the group, what lost its parent, what did both, and zombies. */
TEST(adopted_descendants_end_with_their_attempt)
{
	static const char does_both[] = "setsid sh -c 'setsid sh -c \""
					"echo {\\\\\\\"event\\\\\\\":\\\\\\\"\\$\\$\\\\\\\"} >&3; "
					"exec sleep 1000\" & exit 0' & ";
	static const char *const scripts[] = {
		"setsid sh -c 'echo \"{\\\"event\\\":\\\"$$\\\"}\" >&3; exec sleep 1000' & ",
		"(setsid sh -c 'echo \"{\\\"event\\\":\\\"$$\\\"}\" >&3; exec sleep 1000' & ) ; ",
		does_both,
	};
	FOR_EACH_ROW (i, scripts) {
		char script[1000];
		(void)snprintf(script, sizeof script, "%sread go < gate; " RESULT, scripts[i]);
		char gate[PATH_MAX];
		must(path_join(gate, dir, "gate", NULL) == RC_OK);
		(void)unlink(gate);
		must(mkfifo(gate, 0600) == 0);
		open_bench();
		EXPECT(exec_adopt_orphans(bench.exec), "%d", errno);
		start_with(spec_of(1, sh(script)));
		await_messages(1, 1); /* it has left */
		int fd = open(gate, O_WRONLY | O_CLOEXEC);
		must(fd >= 0 && write(fd, "\n", 1) == 1 && close(fd) == 0);
		struct seen *s = await_end(1);
		EXPECT(s->is_success, "%s: %s", scripts[i], s->message);
		int64_t helper = first_number(&s->events);
		bool is_ended = is_gone(helper);
		EXPECT(is_ended, "%s: it lives", scripts[i]);
		if (!is_ended && helper > 1)
			(void)kill((pid_t)helper, SIGKILL); /* so that the test ends too */
		close_bench();
		while (waitpid(-1, NULL, 0) > 0)
			; /* what ended after the last look */
		EXPECT(errno == ECHILD, "%d", errno);
	}
	must(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

/* Nothing can be seen at the end of the attempt; it is looked for again once something can, with no child left. */
TEST(what_left_its_group_ends_also_when_descriptors_had_run_out)
{
	char gate[PATH_MAX];
	struct rlimit old, low;
	must(path_join(gate, dir, "gate", NULL) == RC_OK);
	(void)unlink(gate);
	must(mkfifo(gate, 0600) == 0);
	open_bench();
	EXPECT(exec_adopt_orphans(bench.exec), "%d", errno);
	start_with(spec_of(1, sh("setsid sh -c 'echo \"{\\\"event\\\":\\\"$$\\\"}\" >&3; exec sleep 1000' & "
				 "read go < gate; " RESULT)));
	await_messages(1, 1); /* it has left */
	int fd = open(gate, O_WRONLY | O_CLOEXEC);
	must(getrlimit(RLIMIT_NOFILE, &old) == 0);
	low = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	must(setrlimit(RLIMIT_NOFILE, &low) == 0);
	must(fd >= 0 && write(fd, "\n", 1) == 1 && close(fd) == 0);
	struct seen *s = await_end(1);
	must(setrlimit(RLIMIT_NOFILE, &old) == 0);
	EXPECT(s->is_success, "%s", s->message);
	int64_t helper = first_number(&s->events);
	bool is_ended = is_gone(helper);
	EXPECT(is_ended, "it lives");
	if (!is_ended && helper > 1)
		(void)kill((pid_t)helper, SIGKILL); /* so that the test ends too */
	close_bench();
	while (waitpid(-1, NULL, 0) > 0)
		; /* what ended after the last look */
	must(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

TEST(adopted_zombies_are_waited_for)
{
	open_bench();
	EXPECT(exec_adopt_orphans(bench.exec), "%d", errno);
	/* Five that lose their parent while the task goes on, and end. */
	start_with(spec_of(
		1, sh("for i in 1 2 3 4 5; do (sh -c 'echo \"{\\\"event\\\":\\\"$$\\\"}\" >&3' & ); done; " STAY)));
	await_messages(1, 5);
	struct seen *s = &bench.seen[1];
	int64_t until = clock_mono_ms() + PATIENCE_S * 1000, pid = first_number(&s->events);
	while (kill((pid_t)pid, 0) == 0 && clock_mono_ms() < until)
		(void)wait_for(&s->n_ends, 1, 20);
	EXPECT(kill((pid_t)pid, 0) != 0, "%d is still a zombie", (int)pid);
	close_bench();
	must(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

struct server {
	struct proc proc;
	FILE *out;
	int64_t child, mark, grandchild;
};

static void start_server(struct server *s)
{
	int out[2], null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	struct err e = { 0 };
	long long child = 0, mark = 0, grandchild = 0;

	must(null_fd >= 0 && pipe2(out, O_CLOEXEC) == 0);
	const int fds[] = { null_fd, out[1], null_fd };
	const struct proc_spec spec = { .argv = role("server"), .envp = env, .work_dir = dir, .fds = fds, .n_fds = 3 };
	EXPECT(proc_spawn(&spec, &s->proc, &e) == RC_OK, "%s", e.msg);
	(void)close(out[1]);
	(void)close(null_fd);
	s->out = fdopen(out[0], "r");
	must(s->out);
	EXPECT(fscanf(s->out, "%lld %lld %lld", &child, &mark, &grandchild) == 3, "the server said something else");
	s->child = child;
	s->mark = mark;
	s->grandchild = grandchild;
}

TEST(a_killed_server_leaves_no_child_and_recovery_no_descendant)
{
	struct server s = { 0 };
	struct proc_exit ended;

	/* Orphans come to us, so that none stays as a zombie and the leader's number is really gone. */
	must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);

	start_server(&s);
	EXPECT(proc_is_same((pid_t)s.child, s.mark), "%d is not alive", (int)s.child);
	EXPECT(!proc_is_same((pid_t)s.child, s.mark + 1), "the mark is not looked at");
	EXPECT(exec_kill_group((pid_t)s.child, s.mark + 1, NULL) == RC_OK, "kill");
	EXPECT(proc_is_same((pid_t)s.child, s.mark), "the wrong mark has killed");
	proc_signal_group(&s.proc, SIGKILL);
	EXPECT(proc_wait(&s.proc, &ended) && ended.signal == SIGKILL, "%d", ended.signal);
	EXPECT(is_gone(s.child), "the child outlived its server");
	EXPECT(!proc_is_same((pid_t)s.child, s.mark), "a zombie is called alive");
	EXPECT(waitpid((pid_t)s.child, NULL, 0) == s.child, "%d", errno);
	EXPECT(!proc_is_same((pid_t)s.child, s.mark), "a dead one is called alive");
	/* The parent-death signal does not reach a grandchild: that is what exec_kill_group is for. */
	EXPECT(kill((pid_t)s.grandchild, 0) == 0, "nothing left to test with");
	EXPECT(exec_kill_group((pid_t)s.child, s.mark, NULL) == RC_OK, "kill");
	EXPECT(is_gone(s.grandchild), "the grandchild outlived recovery");
	EXPECT(waitpid((pid_t)s.grandchild, NULL, 0) == s.grandchild, "%d", errno);
	must(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
	(void)fclose(s.out);
}

TEST(recovery_meets_a_leader_that_left_its_group)
{
	int out[2];
	char byte;
	struct proc_exit ended;
	struct proc p;
	int64_t mark = 0;
	struct err e = { 0 };

	must(pipe2(out, O_CLOEXEC) == 0);
	const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	const int fds[] = { 0, 1, 2, out[1] };
	const struct proc_spec spec = { .argv = role("leaver"), .envp = env, .fds = fds, .n_fds = 4 };
	EXPECT(proc_spawn(&spec, &p, &e) == RC_OK, "%s", e.msg);
	EXPECT(read(out[0], &byte, 1) == 1 && proc_start_mark(p.pid, &mark), "it has left");
	EXPECT(exec_kill_group(p.pid, mark, &e) == RC_OK, "%s", e.msg);
	bool is_ended = is_gone(p.pid);
	EXPECT(is_ended, "it lives");
	if (!is_ended)
		(void)kill(p.pid, SIGKILL); /* so that the test ends too */
	EXPECT(proc_wait(&p, &ended) && ended.signal == SIGKILL, "%d", ended.signal);
	must(close(out[0]) == 0 && close(out[1]) == 0);
}

TEST(a_number_used_again_is_not_killed)
{
	int64_t mark = 0;
	EXPECT(proc_start_mark(getpid(), &mark) && mark > 0 && mark < INT64_C(1) << 53, "%lld", (long long)mark);
	EXPECT(proc_is_same(getpid(), mark), "not myself");
	EXPECT(exec_kill_group(getpid(), mark - 1, NULL) == RC_OK, "kill"); /* would end the test */
	EXPECT(!proc_is_same(0, 0) && !proc_is_same(-1, mark) && !proc_is_same(1, mark), "odd numbers");
	EXPECT(exec_kill_group(0, mark, NULL) == RC_OK, "kill");
	EXPECT(exec_kill_group(-1, mark, NULL) == RC_OK, "kill");
	EXPECT(!proc_start_mark(0, &mark), "there is no process 0");
}

/* ---- prepared, and then started or not ---- */

/* In folders that are not there yet. */
static struct exec_spec ordered(int64_t task_id, const char *script)
{
	static char folder[PATH_MAX], file[PATH_MAX], log[PATH_MAX];
	static const char *argv[4] = { "/bin/sh", "-c", NULL, NULL };
	argv[2] = script;
	struct exec_spec spec = spec_of(task_id, argv);

	(void)snprintf(folder, sizeof folder, "%.3900s/models/one/7", dir);
	(void)snprintf(file, sizeof file, "%.3900s/models/one/7/task.json", dir);
	(void)snprintf(log, sizeof log, "%.3900s/logs/one/7.log", dir);
	spec.work_dir = folder;
	spec.task_file = file;
	spec.log_path = log;
	spec.orders = "{\"kind\":\"test\"}";
	spec.orders_len = strlen(spec.orders);
	spec.is_first = true;
	return spec;
}

/* The supervisor has worked off all that was asked for before. */
static void catch_up(int64_t task_id)
{
	start_with(spec_of(task_id, sh(RESULT)));
	EXPECT(await_end(task_id)->is_success, "%s", bench.seen[task_id].message);
}

static bool is_there(const struct exec_spec *s, bool is)
{
	return file_exists(s->work_dir) == is && file_exists(s->task_file) == is && file_exists(s->log_path) == is;
}

TEST(files_are_made_before_the_start_and_taken_back_without_it)
{
	open_bench();
	struct exec_spec spec =
		ordered(1, "read orders <task.json; echo \"{\\\"event\\\":\\\"$(ls | tr '\\n' ' ')\\\"}\" >&3\n"
			   "[ \"$orders$STINT_TASK\" = '{\"kind\":\"test\"}'$PWD/task.json ] && " RESULT);
	exec_prepare(bench.exec, &spec);
	catch_up(2);
	EXPECT(is_there(&spec, true) && bench.seen[1].n_starts == 0, "made, and not started");
	exec_forget(bench.exec, 1, 2); /* another attempt: nothing */
	catch_up(3);
	EXPECT(is_there(&spec, true), "another attempt's");
	exec_forget(bench.exec, 1, 1);
	exec_forget(bench.exec, 1, 1);
	catch_up(4);
	EXPECT(is_there(&spec, false) && bench.seen[1].n_ends == 0, "something stays");
	/* Left of a number that was given before. */
	char stray[PATH_MAX];
	must(path_join(stray, spec.work_dir, "stray", NULL) == RC_OK);
	must(dir_make(spec.work_dir, 0700, NULL) == RC_OK && file_write(stray, "", 0, 0600, NULL) == RC_OK);
	start_with(spec);
	EXPECT(await_end(1)->is_success, "%s", bench.seen[1].message);
	EXPECT(strcmp(buf_text(&bench.seen[1].events), "task.json \n") == 0, "%s", buf_text(&bench.seen[1].events));
	/* What a first attempt left is the second's, whether it starts or not. */
	must(file_write(stray, "", 0, 0600, NULL) == RC_OK);
	spec.attempt = 2;
	spec.is_first = false;
	exec_prepare(bench.exec, &spec);
	exec_forget(bench.exec, 1, 2);
	catch_up(5);
	EXPECT(is_there(&spec, true) && file_exists(stray), "an earlier attempt's files are gone");
	close_bench();
}

TEST(what_was_prepared_and_never_decided_goes_with_the_supervisor)
{
	open_bench();
	int before = count_fds();
	struct exec_spec spec = ordered(1, RESULT);
	must(dir_remove(spec.work_dir, NULL) == RC_OK && file_remove(spec.log_path, NULL) == RC_OK);
	exec_prepare(bench.exec, &spec);
	catch_up(2);
	EXPECT(is_there(&spec, true), "made");
	close_bench();
	EXPECT(is_there(&spec, false) && bench.seen[1].n_ends == 0, "something stays");
	open_bench();
	EXPECT(count_fds() == before, "descriptors leak");
	close_bench();
}

TEST(files_that_cannot_be_made_are_the_machines_fault)
{
	open_bench();
	struct exec_spec spec = ordered(1, RESULT);
	must(dir_make(dir, 0700, NULL) == RC_OK && file_write(spec.work_dir, "", 0, 0600, NULL) == RC_OK);
	start_with(spec);
	expect_end(await_end(1), "a file in the way", false, FAULT_MACHINE, "Task.NoStart", "models/one/7'");
	EXPECT(bench.seen[1].n_starts == 0, "started");
	must(file_remove(spec.work_dir, NULL) == RC_OK);
	close_bench();
}

/* ---- many, twice, and when the kernel refuses ---- */

TEST(fifty_children_at_once)
{
	open_bench();
	int before = count_fds();
	for (int i = 1; i <= 50; i++)
		start_with(spec_of(i, role("trickle")));
	for (int i = 1; i <= 50; i++) {
		struct seen *s = await_end(i);
		EXPECT(s->is_success && s->n_msgs == 20 && s->is_in_order, "task %d: %d, %s", i, s->n_msgs, s->message);
	}
	EXPECT(count_fds() == before, "descriptors leak");
	close_bench();
}

TEST(a_task_runs_once_at_a_time)
{
	open_bench();
	start_with(spec_of(1, sh("echo '{\"event\":\"up\"}' >&3; " STAY)));
	await_messages(1, 1);
	start_with(spec_of(1, sh(RESULT)));
	expect_end(await_end(1), "second", false, FAULT_MACHINE, "Task.NoStart", "still running");
	EXPECT(bench.seen[1].n_starts == 1, "%d", bench.seen[1].n_starts);
	close_bench();
	EXPECT(bench.seen[1].n_ends == 2 && strcmp(bench.seen[1].code, "Task.Stopped") == 0, "%d %s",
	       bench.seen[1].n_ends, bench.seen[1].code);
}

static atomic_int calls_left;

static bool is_refused(void) { return atomic_fetch_sub(&calls_left, 1) == 1; }

static int open_or_not(const char *path, int flags, mode_t mode)
{
	errno = EMFILE;
	return is_refused() ? -1 : os_real.open(path, flags, mode);
}

static int pipe2_or_not(int fds[2], int flags)
{
	errno = EMFILE;
	return is_refused() ? -1 : os_real.pipe2(fds, flags);
}

static int clone_or_not(int (*fn)(void *), void *stack_top, int flags, void *arg, int *pidfd)
{
	errno = EAGAIN;
	return is_refused() ? -1 : os_real.clone(fn, stack_top, flags, arg, pidfd);
}

/* Fail the n-th call of a start, for n = 1, 2 ... until nothing is left to fail. */
TEST(each_refused_call_is_a_clean_end)
{
	int n = 1;
	for (bool is_done = false; !is_done && n < 20; n++) {
		int before = count_fds();
		os.open = open_or_not;
		os.pipe2 = pipe2_or_not;
		os.clone = clone_or_not;
		atomic_store(&calls_left, 1000);
		open_bench();
		atomic_store(&calls_left, n);
		struct seen *s = run(sh(RESULT));
		is_done = atomic_load(&calls_left) > 0;
		bool is_mark_only = s->is_success; /* the start mark could not be read: no reason to fail */
		if (!is_mark_only)
			expect_end(s, "refused", false, FAULT_MACHINE, "Task.NoStart", "not started");
		close_bench();
		os = os_real;
		EXPECT(count_fds() == before, "call %d: descriptors leak", n);
	}
	EXPECT(n > 5, "only %d calls", n);
}

TEST(open_fails_cleanly)
{
	static const struct exec_handlers handlers = { &bench, on_start, on_message, on_end };
	for (int n = 1; n <= 2; n++) {
		int before = count_fds();
		struct exec *e = NULL;
		struct err err = { 0 };
		os.open = open_or_not;
		os.pipe2 = pipe2_or_not;
		atomic_store(&calls_left, n);
		EXPECT(exec_open(&handlers, &e, &err) == RC_IO && !e, "call %d", n);
		EXPECT(strstr(err.msg, "Too many open files"), "%s", err.msg);
		os = os_real;
		EXPECT(count_fds() == before, "call %d: descriptors leak", n);
	}
}

static void run_all(void)
{
	RUN(ends_are_classified);
	RUN(scripts_end_as_they_should);
	RUN(a_result_and_the_use_of_resources_are_told);
	RUN(programs_that_cannot_start_say_why);
	RUN(a_program_is_found_in_path);
	RUN(a_child_has_five_descriptors);
	RUN(a_child_has_a_clean_environment);
	RUN(a_child_has_default_signals);
	RUN(a_child_has_its_folder_its_group_its_limits_and_its_log);
	RUN(the_limit_of_processes_is_beside_those_that_are_there);
	RUN(a_message_may_come_in_pieces);
	RUN(a_line_too_long_is_the_tasks_fault);
	RUN(binary_zeros_are_the_tasks_fault);
	RUN(a_flood_waits_for_acknowledgements_and_loses_nothing);
	RUN(silence_is_counted_from_the_acknowledgement_on);
	RUN(what_an_ended_child_left_is_delivered_first);
	RUN(stop_ends_a_willing_child_softly_and_a_deaf_one_hard);
	RUN(a_leader_that_left_its_group_is_met);
	RUN(limits_of_time_are_enforced);
	RUN(a_flooded_log_keeps_its_beginning_and_its_newest_part);
	RUN(a_flood_is_bounded_as_long_as_it_goes_on);
	RUN(where_the_middle_cannot_be_dropped_a_flood_ends_the_task);
	RUN(what_keeps_the_middle_for_now_is_not_the_tasks_fault);
	RUN(what_is_no_file_is_no_log);
	RUN(a_log_without_end_ends_the_task);
	RUN(a_limit_of_disk_leaves_a_log_room_to_go_on);
	RUN(limits_of_use_end_the_whole_attempt_and_say_which);
	RUN(what_stays_below_its_limits_is_left_alone);
	RUN(close_stops_all_and_tells_of_each);
	RUN(close_does_not_wait_for_ever_for_acknowledgements);
	RUN(descendants_in_the_group_are_killed_with_their_leader);
	RUN(a_process_that_left_the_group_does_not_hold_the_end_up);
	RUN(adopted_descendants_end_with_their_attempt);
	RUN(what_left_its_group_ends_also_when_descriptors_had_run_out);
	RUN(adopted_zombies_are_waited_for);
	RUN(a_killed_server_leaves_no_child_and_recovery_no_descendant);
	RUN(recovery_meets_a_leader_that_left_its_group);
	RUN(a_number_used_again_is_not_killed);
	RUN(files_are_made_before_the_start_and_taken_back_without_it);
	RUN(what_was_prepared_and_never_decided_goes_with_the_supervisor);
	RUN(files_that_cannot_be_made_are_the_machines_fault);
	RUN(fifty_children_at_once);
	RUN(a_task_runs_once_at_a_time);
	RUN(each_refused_call_is_a_clean_end);
	RUN(open_fails_cleanly);
}

int main(int argc, char **argv)
{
	if (argc == 2) {
		FOR_EACH_ROW (i, roles) {
			if (strcmp(argv[1], roles[i].name) == 0) {
				roles[i].play();
				return 0;
			}
		}
		return 64;
	}
	const char *tmp = getenv("TMPDIR");
	ssize_t len = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
	must(len > 0);
	(void)snprintf(dir, sizeof dir, "%.3000s/exec_test.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	must(mkdtemp(dir));
	char real[PATH_MAX];
	must(realpath(dir, real));
	memcpy(dir, real, sizeof dir);
	run_all();
	forget();
	EXPECT(dir_remove(dir, NULL) == RC_OK, "%s", dir);
	return test_failures != 0;
}
