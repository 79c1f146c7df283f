#include "exec/quota.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "os/file.h"

enum {
	DISK_LOOK_LEAST_MS = 500,
	DISK_LOOK_MOST_MS = 30000,
	DISK_LOOK_SHARE = 20, /* measuring a folder takes at most this part of the time */
	CPU_SLACK_S = 2,      /* so that the measured limit comes first, which has words */
	PROCESS_SLACK = 256,  /* the user's other tasks start processes as well */
};
#define DATA_SLACK (INT64_C(1) << 30) /* stacks of threads are counted by their size, not by their use */
#define FILE_SLACK (INT64_C(1) << 30) /* more than a flood of its log writes between two looks */

/* Its log is a file as well, and the kernel makes no difference; what was dropped from its middle counts there too. */
static int64_t file_limit(const struct child *c)
{
	const struct exec_spec *s = &c->spec;
	return s->disk_limit ? s->disk_limit + c->log_size + s->log_limit + FILE_SLACK : 0;
}

/* The kernel counts all threads of the user, and theirs are not more than the machine's: a number that costs one small
 * file, where to tell the users apart would take a look at every process, on the way to each start. */
static int64_t most_processes(const struct exec_spec *s)
{
	int64_t there = s->process_limit ? procs_threads() : -1;
	return there < 0 ? 0 : there + 2 * s->process_limit + PROCESS_SLACK;
}

struct proc_limits quota_of_kernel(struct child *c)
{
	const struct exec_spec *s = &c->spec;

	c->file_limit = file_limit(c);
	return (struct proc_limits){
		.data_size = s->memory_limit ? 2 * s->memory_limit + DATA_SLACK : 0,
		.file_size = c->file_limit,
		.cpu_s = s->cpu_limit_ms ? s->cpu_limit_ms / 1000 + CPU_SLACK_S : 0,
		.processes = most_processes(s),
		.is_first_victim = s->limit_of != NULL,
	};
}

bool quota_needs_look(const struct exec_spec *s) { return s->memory_limit || s->cpu_limit_ms || s->process_limit; }

/* MiB, rounded up: a limit of 1500 bytes is 1 MiB, not 0. */
static long long mib(int64_t size) { return (long long)((size + (1 << 20) - 1) >> 20); }

void quota_say(const struct child *c, enum stop_why why, char *out, size_t out_size)
{
	const struct exec_spec *s = &c->spec;
	const char *of = s->limit_of ? s->limit_of : "the task";

	if (why == STOP_LOG_FULL)
		(void)snprintf(out, out_size, "its log is larger than the limit of %lld bytes",
			       (long long)s->log_limit);
	else if (why == STOP_MEMORY)
		(void)snprintf(out, out_size, "it used more than %lld MiB of memory (limit of %s)",
			       mib(s->memory_limit), of);
	else if (why == STOP_CPU)
		(void)snprintf(out, out_size, "it used more than %lld s of processor time (limit of %s)",
		               (long long)s->cpu_limit_ms / 1000, of);
	else if (why == STOP_DISK)
		(void)snprintf(out, out_size, "its files took more than %lld MiB (limit of %s)", mib(s->disk_limit),
			       of);
	else
		(void)snprintf(out, out_size, "it had more than %lld processes (limit of %s)",
			       (long long)s->process_limit, of);
}

static bool is_over(int64_t used, int64_t limit) { return limit && used > limit; }

/* The limit is met. Asked already, and it grows to twice of it: no more patience. */
static void stop(struct child *c, const struct host *h, enum stop_why why, int64_t used, int64_t limit)
{
	char text[200];

	if (c->why == STOP_NONE) {
		quota_say(c, why, text, sizeof text);
		child_stop(c, h, why, "%s", text);
	} else if (c->why == why && used / 2 > limit) {
		c->kill_at = h->now_mono;
	}
}

/* The quick figure is too high where processes share memory: before it counts the exact one is asked for. */
static int64_t memory_used(const struct child *c, const struct family *f, const struct usage *u)
{
	return is_over(u->resident_size, c->spec.memory_limit) ? family_share_size(f, c->proc.pid) : u->resident_size;
}

static void check_disk(struct child *c, const struct host *h)
{
	int64_t from = clock_mono_ms(), used = dir_usage(c->spec.work_dir), took = clock_mono_ms() - from;
	int64_t pause = took * DISK_LOOK_SHARE;

	pause = pause < DISK_LOOK_LEAST_MS ? DISK_LOOK_LEAST_MS : pause > DISK_LOOK_MOST_MS ? DISK_LOOK_MOST_MS : pause;
	c->disk_look_at = h->now_mono + took + pause;
	if (is_over(used, c->spec.disk_limit))
		stop(c, h, STOP_DISK, used, c->spec.disk_limit);
}

/* A log that keeps its bound but has a gap goes on growing for the kernel. Of each look anew: a process that was just
 * being forked when its parent's limit was raised has the old one, and room enough until now. */
static void make_room_for_log(struct child *c, const struct host *h)
{
	if (!c->file_limit || c->log_size <= c->spec.log_limit)
		return;
	c->file_limit = file_limit(c);
	family_raise_file_limit(&h->family, c->proc.pid, c->file_limit);
}

void quota_check(struct child *c, const struct host *h)
{
	const struct exec_spec *s = &c->spec;
	struct usage u = { 0 };

	if (quota_needs_look(s)) {
		family_usage(&h->family, c->proc.pid, &u);
		c->cpu_ms = u.cpu_ms > c->cpu_ms ? u.cpu_ms : c->cpu_ms;
	}
	int64_t memory = memory_used(c, &h->family, &u);
	if (is_over(u.n_processes, s->process_limit))
		stop(c, h, STOP_PROCESSES, u.n_processes, s->process_limit);
	if (is_over(memory, s->memory_limit))
		stop(c, h, STOP_MEMORY, memory, s->memory_limit);
	if (is_over(c->cpu_ms, s->cpu_limit_ms))
		stop(c, h, STOP_CPU, c->cpu_ms, s->cpu_limit_ms);
	if (s->disk_limit && h->now_mono >= c->disk_look_at)
		check_disk(c, h);
	make_room_for_log(c, h);
}

/* The kernel counts for a child also what its memory was before it became the program: ours. */
static bool was_large(const struct child *c)
{
	struct rusage own;
	return is_over(c->exit.max_rss_size, c->spec.memory_limit) && getrusage(RUSAGE_SELF, &own) == 0 &&
	       c->exit.max_rss_size > (int64_t)own.ru_maxrss * 1024;
}

/* Up to what the kernel lets any of its files grow. */
static bool has_full_log(const struct child *c)
{
	struct stat st;
	return c->log_fd >= 0 && c->spec.disk_limit && fstat(c->log_fd, &st) == 0 &&
	       st.st_size >= c->file_limit;
}

void quota_blame(struct child *c)
{
	const struct exec_spec *s = &c->spec;
	enum stop_why why = STOP_NONE;

	if (was_large(c))
		why = STOP_MEMORY;
	else if (has_full_log(c))
		why = STOP_LOG_FULL;
	else if (s->cpu_limit_ms &&
		 (c->exit.signal == SIGXCPU || c->exit.user_ms + c->exit.system_ms > s->cpu_limit_ms))
		why = STOP_CPU;
	else if (s->disk_limit && (c->exit.signal == SIGXFSZ || is_over(dir_usage(s->work_dir), s->disk_limit)))
		why = STOP_DISK;
	if (why == STOP_NONE)
		return;
	c->why = why;
	quota_say(c, why, c->why_text, sizeof c->why_text);
}
