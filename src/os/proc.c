/*
 * Starting a child. clone(CLONE_VM | CLONE_VFORK) runs child_main on a stack of ours while the calling thread
 * is held, sharing all memory with it until execve. So what runs there
 *  P1 makes only system calls, and everything it needs was prepared before;
 *  P2 writes to no memory but its own frame (errno, which it shares, is the held thread's);
 *  P3 runs no signal handler: all signals are blocked around the clone and set to default before they are let in;
 *  P4 is invisible to sanitizers: it leaves its functions by execve, which their bookkeeping never sees.
 * A failure comes back through a close-on-exec pipe: a report, or end of file once the program runs.
 */
#include "os/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/must.h"
#include "base/num.h"
#include "os/calls.h"
#include "os/file.h"

/* The thread sanitizer's own wrapper of clone expects a copy of the memory: it changes the state of the "child". */
#if defined(__SANITIZE_THREAD__)
#define COPIES_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPIES_MEMORY 1
#endif
#endif
#ifndef COPIES_MEMORY
#define COPIES_MEMORY 0
#endif

enum {
	STACK_SIZE = 65536,
	KERNEL_SIGSET_SIZE = 8,
	CLONE_FLAGS = (COPIES_MEMORY ? 0 : CLONE_VM) | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
};

enum step { STEP_GROUP, STEP_PARENT, STEP_FDS, STEP_DIR, STEP_LIMITS, STEP_SIGNALS, STEP_EXEC, STEPS };
static const char *const step_words[STEPS] = {
	[STEP_GROUP] = "make a process group",
	[STEP_PARENT] = "tie the child to its parent",
	[STEP_FDS] = "place the descriptors",
	[STEP_DIR] = "enter the working directory",
	[STEP_LIMITS] = "set the limits",
	[STEP_SIGNALS] = "reset the signals",
	[STEP_EXEC] = "run",
};

struct report {
	int step, sys;
};

/* All that the child needs, ready before it exists. */
struct plan {
	const struct proc_spec *spec;
	const char *program; /* what execve gets */
	char *const *argv, *const *envp;
	int status_fd;
	pid_t parent;
	sigset_t no_signals;
};

/* ---- in the child: P1 to P4 ---- */

NO_SANITIZE static bool reset_signals(const struct plan *p)
{
	/* The raw call, for two reasons: sanitizers keep a table behind sigaction, which is shared here, and libc
	 * refuses its own two signals. All zero is SIG_DFL in the kernel's layout as well. */
	static const long zero[16];
	for (int sig = 1; sig < NSIG; sig++) {
		if (sig != SIGKILL && sig != SIGSTOP &&
		    syscall(SYS_rt_sigaction, sig, zero, NULL, KERNEL_SIGSET_SIZE) != 0)
			return false;
	}
	return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &p->no_signals, NULL, KERNEL_SIGSET_SIZE) == 0;
}

/* Move what stands in the way above n_fds first, so that no placing overwrites a source. */
NO_SANITIZE static bool place_fds(const struct plan *p, int *status_fd)
{
	int n = p->spec->n_fds, from[PROC_FDS_MAX + 1] = { 0 };

	for (int i = 0; i <= n; i++) {
		from[i] = i < n ? p->spec->fds[i] : p->status_fd;
		if (from[i] < n)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, n);
		if (from[i] < 0)
			return false;
	}
	*status_fd = from[n];
	for (int i = 0; i < n; i++) {
		if (dup2(from[i], i) < 0)
			return false;
	}
	return close_range((unsigned)n, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

/* Never above what the caller itself is held to. */
NO_SANITIZE static bool set_limit(__rlimit_resource_t what, int64_t soft, int64_t hard)
{
	struct rlimit now;

	if (!soft)
		return true;
	if (getrlimit(what, &now) != 0)
		return false;
	rlim_t most = now.rlim_max;
	const struct rlimit limit = { (rlim_t)soft < most ? (rlim_t)soft : most,
				      (rlim_t)hard < most ? (rlim_t)hard : most };
	return setrlimit(what, &limit) == 0;
}

/* Where it cannot be written (no /proc, not allowed) the kernel chooses as it likes. */
NO_SANITIZE static void be_first_victim(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = write(fd, "500", 3);
	(void)n;
	(void)close(fd);
}

NO_SANITIZE static bool set_limits(const struct plan *p)
{
	enum { CPU_GRACE_S = 5 };
	static const struct rlimit no_core = { 0, 0 };
	const struct proc_limits *l = &p->spec->limits;

	if (l->is_first_victim)
		be_first_victim();
	return setrlimit(RLIMIT_CORE, &no_core) == 0 && set_limit(RLIMIT_DATA, l->data_size, l->data_size) &&
	       set_limit(RLIMIT_FSIZE, l->file_size, INT64_MAX) &&
	       set_limit(RLIMIT_CPU, l->cpu_s, l->cpu_s + CPU_GRACE_S) &&
	       set_limit(RLIMIT_NPROC, l->processes, l->processes);
}

NO_SANITIZE static bool tie_to_parent(const struct plan *p)
{
	if (!p->spec->dies_with_parent)
		return true;
	/* A parent that died before the prctl sends no signal any more: look once after it. */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == p->parent;
}

/* Do step; true when it worked. Only STEP_EXEC never returns true. */
NO_SANITIZE static bool take_step(const struct plan *p, enum step step, int *status_fd)
{
	switch (step) {
	case STEP_GROUP:
		return setpgid(0, 0) == 0;
	case STEP_PARENT:
		return tie_to_parent(p);
	case STEP_FDS:
		return place_fds(p, status_fd);
	case STEP_DIR:
		return !p->spec->work_dir || chdir(p->spec->work_dir) == 0;
	case STEP_LIMITS:
		return set_limits(p);
	case STEP_SIGNALS:
		return reset_signals(p);
	case STEP_EXEC:
	case STEPS:
		break;
	}
	(void)execve(p->program, p->argv, p->envp); /* returns only to fail */
	return false;
}

NO_SANITIZE static int child_main(void *arg)
{
	const struct plan *p = arg;
	int status_fd = p->status_fd;

	for (int step = 0; step < STEPS; step++) {
		if (!take_step(p, (enum step)step, &status_fd)) {
			struct report r = { step, errno };
			/* When even this fails the parent sees a child that ended with 127. */
			if (write(status_fd, &r, sizeof r) < 0)
				break;
			break;
		}
	}
	_exit(127);
}

/* ---- in the parent ---- */

static const char *env_get(const char *const *envp, const char *name)
{
	size_t len = strlen(name);
	for (; *envp; envp++) {
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return *envp + len + 1;
	}
	return NULL;
}

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file that argv[0] names. Empty members of PATH, which would mean the working directory, are passed over. */
static enum rc find_program(const struct proc_spec *spec, char out[PATH_MAX], struct err *err)
{
	const char *name = spec->argv[0], *path = env_get(spec->envp, "PATH");
	bool is_seen = false;

	if (strchr(name, '/') || !*name) {
		if (!*name || strlen(name) >= PATH_MAX)
			return err_set(err, RC_NOT_FOUND, "the program's name is %s", *name ? "too long" : "empty");
		memcpy(out, name, strlen(name) + 1);
		return RC_OK;
	}
	while (path && *path) {
		int dir_len = (int)strcspn(path, ":");
		int len = dir_len ? snprintf(out, PATH_MAX, "%.*s/%s", dir_len, path, name) : 0;
		if (len > 0 && len < PATH_MAX && is_file(out)) {
			if (access(out, X_OK) == 0)
				return RC_OK;
			is_seen = true;
		}
		path += dir_len;
		path += *path == ':';
	}
	if (is_seen)
		return err_set(err, RC_DENIED, "the program '%.200s' in PATH may not be executed", name);
	return err_set(err, RC_NOT_FOUND, "there is no program '%.200s' in PATH", name);
}

static enum rc say_failure(const struct report *r, const struct plan *p, struct err *err)
{
	if (r->step == STEP_DIR)
		return err_sys(err, RC_IO, r->sys, "cannot enter the working directory '%.200s'", p->spec->work_dir);
	if (r->step != STEP_EXEC)
		return err_sys(err, RC_IO, r->sys, "cannot %s for '%.200s'", step_words[r->step], p->program);
	switch (r->sys) {
	case ENOENT: /* also when the interpreter named in its first line is missing */
	case ENOTDIR:
		return err_sys(err, RC_NOT_FOUND, r->sys, "cannot run '%.200s' (or its interpreter)", p->program);
	case EACCES:
	case ENOEXEC:
	case ELOOP:
	case ELIBBAD:
		return err_sys(err, RC_DENIED, r->sys, "cannot run '%.200s'", p->program);
	default:
		return err_sys(err, RC_IO, r->sys, "cannot run '%.200s'", p->program);
	}
}

/* The child's report, or 0 bytes when the program runs. */
static bool read_report(int fd, struct report *r)
{
	ssize_t n;
	do
		n = os.read(fd, r, sizeof *r);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof *r;
}

static int start(struct plan *p, int *pidfd)
{
	/* On the held thread's own stack: memory that stays until the child has left it, and no limit to set. */
	_Alignas(16) unsigned char stack[STACK_SIZE];
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)sigemptyset(&p->no_signals);
	must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	int pid = os.clone(child_main, stack + sizeof stack, CLONE_FLAGS, p, pidfd);
	int sys = errno;
	must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	errno = sys;
	return pid;
}

enum rc proc_spawn(const struct proc_spec *spec, struct proc *out, struct err *err)
{
	char program[PATH_MAX];
	int status[2];
	struct report report = { 0, 0 };

	must(spec->n_fds >= 0 && spec->n_fds <= PROC_FDS_MAX);
	enum rc rc = find_program(spec, program, err);
	if (rc != RC_OK)
		return rc;
	if (os.pipe2(status, O_CLOEXEC) != 0)
		return err_sys(err, RC_IO, errno, "cannot make a pipe to start '%.200s'", program);
	/* execve takes its lists as not const for historical reasons; it does not write to them. */
	struct plan plan = { .spec = spec,
		             .program = program,
		             .argv = (char *const *)(uintptr_t)spec->argv,
		             .envp = (char *const *)(uintptr_t)spec->envp,
		             .status_fd = status[1],
		             .parent = getpid() };
	struct proc p = { .pidfd = -1 };
	p.pid = start(&plan, &p.pidfd);
	int sys = errno;
	(void)os.close(status[1]);
	bool is_failed = p.pid > 0 && read_report(status[0], &report);
	(void)os.close(status[0]);
	if (p.pid < 0)
		return err_sys(err, RC_IO, sys, "cannot make a process for '%.200s'", program);
	if (is_failed) {
		struct proc_exit ended;
		(void)proc_wait(&p, &ended); /* what matters is in the report */
		return say_failure(&report, &plan, err);
	}
	*out = p;
	return RC_OK;
}

static int64_t ms_of(const struct timeval *t) { return (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000; }

bool proc_wait(struct proc *p, struct proc_exit *out)
{
	int status = 0;
	struct rusage used = { 0 };
	pid_t got;

	do
		got = wait4(p->pid, &status, 0, &used);
	while (got < 0 && errno == EINTR);
	(void)os.close(p->pidfd);
	p->pidfd = -1;
	*out = (struct proc_exit){ .exit_code = -1 };
	if (got < 0)
		return false;
	if (WIFEXITED(status))
		out->exit_code = WEXITSTATUS(status);
	else
		out->signal = WTERMSIG(status);
	out->max_rss_size = (int64_t)used.ru_maxrss * 1024;
	out->user_ms = ms_of(&used.ru_utime);
	out->system_ms = ms_of(&used.ru_stime);
	return true;
}

void proc_signal_group(const struct proc *p, int sig)
{
	must(p->pid > 1); /* kill(-1) and kill(0) would reach far more than a child */
	/* No child is told twice: two SIGTERMs often mean more than one. SIGKILL says no more the second time. */
	bool has_left = sig == SIGKILL || getpgid(p->pid) != p->pid;
	if (kill(-p->pid, sig) != 0)
		must(errno == ESRCH || errno == EPERM);
	if (has_left && kill(p->pid, sig) != 0)
		must(errno == ESRCH || errno == EPERM);
}

/* ---- recognising a process ---- */

struct stat_line {
	char state;
	pid_t group;
	int64_t start_ticks;
};

/* Field number n of a stat line, given the text from field 3 on (the name before it may hold blanks). */
static bool stat_field(const char *from_third, int n, int64_t *out)
{
	const char *p = from_third;
	for (int i = 3; i < n; i++) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	return num_i64_n(p, strcspn(p, " \n"), out);
}

/* RC_NOT_FOUND: no such process. Anything else is no answer: it may well live. */
static enum rc read_proc(pid_t pid, const char *name, struct buf *out, struct err *err)
{
	char path[64];
	struct err why = { 0 };

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	enum rc rc = file_read(path, out, &why);
	if (rc != RC_OK && why.sys == ESRCH) /* it ended between open and read */
		why.rc = rc = RC_NOT_FOUND;
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

static enum rc read_stat(pid_t pid, struct stat_line *out, struct err *err)
{
	struct buf text;
	int64_t group, start;

	buf_init(&text, 4096);
	enum rc rc = read_proc(pid, "stat", &text, err);
	const char *third = rc == RC_OK ? strrchr(buf_text(&text), ')') : NULL;
	if (third && third[1] == ' ' && stat_field(third + 2, 5, &group) && stat_field(third + 2, 22, &start))
		*out = (struct stat_line){ third[2], (pid_t)group, start };
	else if (rc == RC_OK)
		rc = err_set(err, RC_INTERNAL, "/proc/%d/stat is not what it should be", (int)pid);
	buf_fini(&text);
	return rc;
}

enum { TICK_BITS = 40, BOOT_BITS = 13 };
static int64_t boot_hash;
static pthread_once_t boot_once = PTHREAD_ONCE_INIT;

/* Start times count from the boot, and a machine may boot alike each day: so the boot is part of the mark. */
static void read_boot(void)
{
	struct buf id;
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	buf_init(&id, 256);
	/* Where it is hidden all boots look alike, and the start time has to do. */
	if (file_read("/proc/sys/kernel/random/boot_id", &id, NULL) != RC_OK)
		buf_reset(&id);
	for (size_t i = 0; i < id.len; i++)
		hash = (hash ^ (unsigned char)id.bytes[i]) * UINT64_C(1099511628211);
	boot_hash = (int64_t)(hash >> (64 - BOOT_BITS));
	buf_fini(&id);
}

static int64_t mark_of(const struct stat_line *s)
{
	must(pthread_once(&boot_once, read_boot) == 0);
	return boot_hash << TICK_BITS | (s->start_ticks & ((INT64_C(1) << TICK_BITS) - 1));
}

bool proc_start_mark(pid_t pid, int64_t *mark)
{
	struct stat_line s;
	if (read_stat(pid, &s, NULL) != RC_OK)
		return false;
	*mark = mark_of(&s);
	return true;
}

bool proc_is_same(pid_t pid, int64_t mark)
{
	struct stat_line s;
	return pid > 1 && read_stat(pid, &s, NULL) == RC_OK && s.state != 'Z' && s.state != 'X' && mark_of(&s) == mark;
}

/* value NULL: any. RC_NOT_FOUND: no such process, or none that we may look into: then it is not a child of ours. */
static enum rc has_env(pid_t pid, const char *name, const char *value, bool *has, struct err *err)
{
	struct buf env;
	struct err why = { 0 };
	size_t len = strlen(name);

	buf_init(&env, 262144);
	enum rc rc = read_proc(pid, "environ", &env, &why);
	if (rc == RC_LIMIT) /* a too long one is judged by its beginning */
		rc = RC_OK;
	if (rc != RC_OK && (why.sys == EACCES || why.sys == EPERM))
		rc = RC_NOT_FOUND;
	*has = false;
	for (size_t at = 0; rc == RC_OK && at < env.len && !*has; at += strlen(env.bytes + at) + 1)
		*has = strncmp(env.bytes + at, name, len) == 0 && env.bytes[at + len] == '=' &&
		       (!value || strcmp(env.bytes + at + len + 1, value) == 0);
	buf_fini(&env);
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

/* Who is looked for. */
struct wanted {
	const char *env_name, *env_value; /* value NULL: any */
	pid_t leader;                     /* with mark: left over from the group that it led; 0: anyone */
	int64_t mark;
	bool is_found;
	bool is_killed; /* kill who is found, and go on */
};

static enum rc is_member(const struct wanted *w, pid_t pid, bool *is, struct err *err)
{
	struct stat_line s;

	*is = true;
	if (!w->leader)
		return RC_OK;
	enum rc rc = read_stat(pid, &s, err);
	*is = rc == RC_OK && s.group == w->leader && s.state != 'Z' && mark_of(&s) >= w->mark &&
	      mark_of(&s) >> TICK_BITS == w->mark >> TICK_BITS;
	return rc;
}

static enum rc look_at(void *ctx, const char *name, struct err *err)
{
	struct wanted *w = ctx;
	int64_t pid;
	bool is;

	if (!num_i64(name, &pid) || pid <= 1 || pid > INT_MAX || pid == getpid())
		return RC_OK;
	enum rc rc = is_member(w, (pid_t)pid, &is, err);
	if (rc == RC_OK && is)
		rc = has_env((pid_t)pid, w->env_name, w->env_value, &is, err);
	if (rc == RC_OK && is) {
		w->is_found = true;
		if (w->is_killed)
			(void)kill((pid_t)pid, SIGKILL); /* gone by itself meanwhile: as good */
	}
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* Where /proc is not mounted nobody is found. */
static enum rc look_for(struct wanted *w, struct err *err) { return dir_each("/proc", look_at, w, err); }

enum rc proc_kill_left_group(pid_t pid, int64_t mark, const char *env_name, struct err *err)
{
	struct stat_line s;
	struct wanted left = { .env_name = env_name, .leader = pid, .mark = mark };

	if (pid <= 1)
		return RC_OK;
	/* While a member lives the kernel gives the number to nobody else, so the group is still that group. */
	enum rc rc = read_stat(pid, &s, err);
	bool is_ours = rc == RC_OK && mark_of(&s) == mark;
	if (rc == RC_NOT_FOUND) {
		rc = look_for(&left, err);
		is_ours = rc == RC_OK && left.is_found;
	}
	if (is_ours)
		(void)kill(-pid, SIGKILL); /* gone by itself meanwhile: as good */
	if (is_ours && !left.is_found)
		(void)kill(pid, SIGKILL); /* the leader may have joined another group */
	return rc;
}

enum rc proc_kill_marked(const char *env_name, const char *value, struct err *err)
{
	struct wanted marked = { .env_name = env_name, .env_value = value, .is_killed = true };
	return look_for(&marked, err);
}

static bool is_named(pid_t pid, const char *name)
{
	char path[64];
	struct buf text;

	(void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	buf_init(&text, 64);
	bool is_it = file_read(path, &text, NULL) == RC_OK && text.len == strlen(name) + 1 &&
	             strncmp(buf_text(&text), name, strlen(name)) == 0;
	buf_fini(&text);
	return is_it;
}

/* The kernel shows a removed folder under the name it had, with a mark behind. */
static bool works_in(pid_t pid, const char *dir)
{
	static const char removed[] = " (deleted)";
	char link[64], cwd[PATH_MAX];
	size_t len = strlen(dir);

	(void)snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
	ssize_t n = readlink(link, cwd, sizeof cwd - 1);
	if (n < 0)
		return false;
	cwd[n] = '\0';
	return strncmp(cwd, dir, len) == 0 && (!cwd[len] || strcmp(cwd + len, removed) == 0);
}

/* First the descriptor, then the check: what is checked cannot be exchanged afterwards. */
static bool kill_if_in(pid_t pid, const char *dir, const char *name, int64_t limit_ms)
{
	int fd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool is_over = true;

	if (fd < 0)
		return errno == ESRCH;
	if (is_named(pid, name) && works_in(pid, dir)) {
		(void)pidfd_send_signal(fd, SIGKILL, NULL, 0); /* gone by itself meanwhile: as good */
		is_over = poll(&p, 1, limit_ms > INT_MAX ? INT_MAX : (int)limit_ms) > 0;
	}
	(void)os.close(fd);
	return is_over;
}

struct in_folder {
	char dir[PATH_MAX];
	const char *name;
	int64_t limit_ms;
	bool is_clear;
};

static enum rc end_if_in(void *ctx, const char *entry, struct err *err)
{
	struct in_folder *in = ctx;
	int64_t pid;

	(void)err;
	if (num_i64(entry, &pid) && pid > 1 && pid <= INT_MAX && pid != getpid())
		in->is_clear = kill_if_in((pid_t)pid, in->dir, in->name, in->limit_ms) && in->is_clear;
	return RC_OK;
}

bool proc_kill_in(const char *dir, const char *name, int64_t limit_ms)
{
	struct in_folder in = { .name = name, .limit_ms = limit_ms, .is_clear = true };

	if (!realpath(dir, in.dir))
		(void)snprintf(in.dir, sizeof in.dir, "%s", dir);
	return dir_each("/proc", end_if_in, &in, NULL) == RC_OK && in.is_clear;
}

enum rc proc_become(const char *const *argv, struct err *err)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };

	(void)sigaction(SIGPIPE, &by_default, NULL); /* the one that programs ignore, and an ignored one stays so */
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv); /* as in proc_spawn: it does not write to the list */
	enum rc rc = errno == ENOENT ? RC_NOT_FOUND : errno == EACCES ? RC_DENIED : RC_IO;
	return err_sys(err, rc, errno, "cannot start '%.100s'", argv[0]);
}
