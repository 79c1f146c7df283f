/*
 * Starts with every call failing in turn: in an empty folder, and where a dead server left a task running, with a
 * process of it alive. A start that is refused says why, leaks nothing and spoils nothing; one that succeeds has done
 * all of its duties: the functions are there, no task runs without a process (E7) and no process without a task (E4).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/must.h"
#include "os/file.h"
#include "os/proc.h"
#include "test.h"
#include "world.h"

enum { N_MAX = 1 << 20 };

#define DB_DISK                                                                                                        \
	(KIND(DB_OPEN) | KIND(DB_READ) | KIND(DB_WRITE) | KIND(DB_INDEX) | KIND(DB_SYNC) | KIND(DB_TRUNCATE) |         \
	 KIND(DB_UNLINK) | KIND(DB_MMAP))
#define FILES                                                                                                          \
	(KIND(OPEN) | KIND(READ) | KIND(WRITE) | KIND(FSYNC) | KIND(CLOSE) | KIND(RENAME) | KIND(UNLINK) |             \
	 KIND(MKDIR) | KIND(DIR))

static const struct inject_plan plans[] = {
	{ .what = "a file error", .kinds = FILES | KIND(PIPE) | KIND(EPOLL), .sys = EIO },
	{ .what = "a full disk",
	  .kinds = KIND(OPEN) | KIND(WRITE) | KIND(MKDIR) | KIND(RENAME) | KIND(DB_WRITE) | KIND(DB_TRUNCATE) |
		   KIND(DB_INDEX),
	  .sys = ENOSPC },
	{ .what = "no descriptors", .kinds = KIND(OPEN) | KIND(PIPE) | KIND(DIR) | KIND(DB_OPEN), .sys = EMFILE },
	{ .what = "no descriptors from then on",
	  .kinds = KIND(OPEN) | KIND(PIPE) | KIND(DIR) | KIND(DB_OPEN),
	  .sys = EMFILE,
	  .goes_on = true },
	{ .what = "a database error", .kinds = DB_DISK, .sys = EIO },
	{ .what = "database errors from then on", .kinds = DB_DISK, .sys = EIO, .goes_on = true },
	{ .what = "no memory for the database", .kinds = KIND(DB_MEMORY), .sys = ENOMEM },
	{ .what = "no memory for JSON", .kinds = KIND(JSON_MEMORY), .sys = ENOMEM },
	{ .what = "no memory for JSON from then on", .kinds = KIND(JSON_MEMORY), .sys = ENOMEM, .goes_on = true },
	{ .what = "an interrupted transfer",
	  .kinds = KIND(READ) | KIND(WRITE) | KIND(DB_READ) | KIND(DB_WRITE),
	  .sys = EINTR,
	  .is_invisible = true },
	{ .what = "a short transfer", .kinds = KIND(READ) | KIND(WRITE) | KIND(DB_WRITE), .is_invisible = true },
};

static bool offers(const char *name)
{
	return functions_find(world.engine->functions, name, NULL, NULL, NULL, NULL) != NULL;
}

/* What holds at a start holds however often it was refused before. */
static void judge_start(const char *what, const struct inject_plan *plan, enum rc rc, const struct err *err)
{
	if (rc == RC_OK) {
		EXPECT(offers("ok") && offers("gated") && offers("model") && offers("bad"),
		       "%s: it started without functions that are there", what);
		EXPECT(world_count(&table_task, "state", TASK_RUNNING) == 0, "%s: E7: running without a process", what);
		world_stop();
		return;
	}
	EXPECT(*err->msg, "%s: refused without a word", what);
	EXPECT(rc == RC_IO || rc == RC_BUSY || rc == RC_CORRUPT, "%s: the wrong class: %s %s", what, rc_name(rc),
	       err->msg);
	EXPECT(rc != RC_CORRUPT || plan->sys == EIO, "%s: called damaged: %s", what, err->msg);
	EXPECT(plan->sys != ENOSPC || rc == RC_BUSY || strstr(err->msg, "/dev/null"), "%s: a full disk passes: %s %s",
	       what, rc_name(rc), err->msg);
	EXPECT(!plan->is_invisible, "%s: was to go unnoticed: %s", what, err->msg);
	EXPECT(inject_count_fds() == world.n_fds, "%s: descriptors: %d before, %d after", what, world.n_fds,
	       inject_count_fds());
}

static bool try_start(const struct inject_plan *plan, const char *what, int n)
{
	struct err err = { 0 };

	inject_arm(plan, n);
	enum rc rc = world_open(0, &err);
	bool is_met = inject_disarm() > 0;
	judge_start(what, plan, rc, &err);
	rc = world_open(0, &err);
	EXPECT(rc == RC_OK, "%s: and never again: %s", what, err.msg);
	if (rc == RC_OK) {
		EXPECT(world_count(&table_task, "state", TASK_RUNNING) == 0, "%s: E7 at the next start", what);
		world_stop();
	}
	return is_met;
}

static bool is_chosen(const char *what)
{
	const char *only = getenv("FAULT_ONLY");
	return !only || strstr(what, only);
}

/* A start asks for memory more than ten thousand times: each single one only when that loop was chosen. */
static int step(const struct inject_plan *plan, int n)
{
	bool is_long = plan->kinds == KIND(DB_MEMORY) && !getenv("FAULT_ONLY") && !getenv("STINT_QUICK");
	return is_long ? n + 1 + n / 100 : world_step(n);
}

static void loop(const struct inject_plan *plan, const char *where,
		 bool (*try)(const struct inject_plan *plan, const char *what, int n))
{
	char what[128];
	int n = 1;

	if (!is_chosen(plan->what))
		return;
	for (bool is_met = true; is_met && n < N_MAX; n = step(plan, n)) {
		(void)snprintf(what, sizeof what, "%s, %s at call %d", where, plan->what, n);
		is_met = try(plan, what, n);
		arena_reset(world.arena);
	}
	EXPECT(n < N_MAX, "%s: no end of faults", what);
	if (getenv("FAULT_VERBOSE"))
		printf("# %s: %d calls\n", what, inject_calls());
}

/* ---- in an empty folder ---- */

static bool try_fresh(const struct inject_plan *plan, const char *what, int n)
{
	world_empty();
	return try_start(plan, what, n);
}

TEST(a_first_start_succeeds_or_is_refused_in_words)
{
	FOR_EACH_ROW(i, plans)
		loop(&plans[i], "first start", try_fresh);
}

/* ---- where a server died ---- */

static struct instance_row left;

/* A process of the attempt that the server's death did not reach: it has left the group. */
static pid_t leave_process(void)
{
	static struct engine paths;
	char dir[PATH_MAX], variable[PATH_MAX + 32];
	const char *const argv[] = { "/bin/sleep", "600", NULL };
	struct proc p;
	struct err err = { 0 };

	(void)snprintf(paths.data_dir, sizeof paths.data_dir, "%s", world.dir);
	path_of_generation(&paths, &left, 1, dir);
	(void)snprintf(variable, sizeof variable, "STINT_TASK=%s/%s", dir, TASK_FILE);
	const char *const envp[] = { variable, NULL };
	struct proc_spec spec = { .argv = argv, .envp = envp };
	must(proc_spawn(&spec, &p, &err) == RC_OK || !printf("%s\n", err.msg));
	(void)close(p.pidfd);
	return p.pid;
}

static bool is_dead(void *ctx)
{
	pid_t pid = *(pid_t *)ctx;
	siginfo_t info = { 0 };
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Run by number and mark, or by its environment alone (is_told false): the claim was kept and on_start was not. */
static bool try_left(const struct inject_plan *plan, const char *what, int n, bool is_told)
{
	struct err err = { 0 };
	int64_t mark = 0;
	pid_t pid = leave_process();

	must(proc_start_mark(pid, &mark));
	world_set_task(left.id, 1, TASK_RUNNING, 1, is_told ? pid : 0, is_told ? mark : 0);
	inject_arm(plan, n);
	enum rc rc = world_open(0, &err);
	bool is_met = inject_disarm() > 0;
	if (rc == RC_OK)
		EXPECT(world_comes_true_within(5000, is_dead, &pid), "%s: E4: a process of the dead attempt lives on",
		       what);
	(void)kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0) == pid);
	judge_start(what, plan, rc, &err);
	must(world_open(0, &err) == RC_OK || !printf("%s: and never again: %s\n", what, err.msg));
	EXPECT(world_count(&table_task, "state", TASK_RUNNING) == 0, "%s: E7 at the next start", what);
	world_stop();
	return is_met;
}

static bool try_told(const struct inject_plan *plan, const char *what, int n) { return try_left(plan, what, n, true); }
static bool try_untold(const struct inject_plan *plan, const char *what, int n)
{
	return try_left(plan, what, n, false);
}

TEST(a_start_after_a_crash_leaves_no_process_and_no_task_behind)
{
	world_empty();
	world_start(0);
	world_make_instance("ok", "one", "");
	world_make_task("ok", "one");
	must(world_instance("ok", "one", &left));
	static char function[32], name[32];
	(void)snprintf(function, sizeof function, "%s", left.function);
	(void)snprintf(name, sizeof name, "%s", left.name);
	left.function = function; /* the arena is emptied meanwhile */
	left.name = name;
	world_stop();
	FOR_EACH_ROW(i, plans) {
		loop(&plans[i], "start after a crash", try_told);
		loop(&plans[i], "start after a crash, process not told", try_untold);
	}
	struct err err = { 0 };
	must(world_open(0, &err) == RC_OK);
	world_check("after all starts");
}

int main(void)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	inject_install(); /* the main thread is not spared: it is the one that opens */
	setenv("TZ", "UTC", 1);
	tzset();
	world_begin();
	RUN(a_first_start_succeeds_or_is_refused_in_words);
	RUN(a_start_after_a_crash_leaves_no_process_and_no_task_behind);
	world_end();
	return test_failures != 0;
}
