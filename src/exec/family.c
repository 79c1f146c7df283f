#include "exec/family.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "exec/child.h"

enum { UNKNOWN = -1, DEPTH_MAX = 256 /* from a process up to its leader */ };
#define MARK "STINT_TASK"

void family_init(struct family *f)
{
	*f = (struct family){ .self = getpid() };
	procs_init(&f->procs);
}

void family_fini(struct family *f)
{
	procs_fini(&f->procs);
	mem_free(f->leaders);
	f->leaders = NULL;
	f->cap = 0;
}

static bool has_process(const struct child *c) { return c->state == CHILD_RUNNING && c->proc.pid > 0; }

static const struct child *led_by(const struct child *children, pid_t leader)
{
	for (const struct child *c = children; c; c = c->next) {
		if (has_process(c) && c->proc.pid == leader)
			return c;
	}
	return NULL;
}

/* An adopted process: whose was it? Also for one whose attempt is over: then it may not live on. */
static pid_t leader_of_orphan(struct family *f, const struct child *children, const struct procs_row *row)
{
	char mark[PATH_MAX];

	if (row->state == 'Z' || !procs_env(row->pid, MARK, mark, sizeof mark))
		return 0; /* a Redis process, which is to live on, has none */
	for (const struct child *c = children; c; c = c->next) {
		if (has_process(c) && strcmp(c->spec.task_file, mark) == 0)
			return c->proc.pid;
	}
	log_warn("exec.orphan_killed", "pid=%d task=%s", (int)row->pid, mark);
	procs_kill(&f->procs, row);
	return 0;
}

/* The parent's leader is found first, so the depth is that of the tree; a deeper one belongs to nobody. */
static pid_t find_leader(struct family *f, const struct child *children, size_t at, int depth)
{
	const struct procs_row *row = &f->procs.rows[at];

	if (f->leaders[at] != UNKNOWN)
		return f->leaders[at];
	f->leaders[at] = 0; /* while being looked for: numbers used again could make a ring */
	pid_t leader = 0;
	if (led_by(children, row->pid)) {
		leader = row->pid;
	} else if (led_by(children, row->group)) {
		leader = row->group;
	} else if (row->parent == f->self) {
		leader = f->adopts ? leader_of_orphan(f, children, row) : 0;
	} else if (row->parent > 1 && depth < DEPTH_MAX) {
		const struct procs_row *parent = procs_find(&f->procs, row->parent);
		leader = parent ? find_leader(f, children, (size_t)(parent - f->procs.rows), depth + 1) : 0;
	}
	f->leaders[at] = leader;
	return leader;
}

/* How those ended that did was their parent's to know. */
static void wait_for_orphans(struct family *f, const struct child *children)
{
	f->n_orphans = f->adopts && !f->procs.is_whole; /* perhaps there is one */
	for (size_t i = 0; f->adopts && i < f->procs.n; i++) {
		const struct procs_row *row = &f->procs.rows[i];
		if (row->parent != f->self || led_by(children, row->pid))
			continue;
		bool is_gone = row->state == 'Z' && waitpid(row->pid, NULL, WNOHANG) == row->pid;
		f->n_orphans += !is_gone;
	}
}

void family_look(struct family *f, const struct child *children)
{
	procs_look(&f->procs);
	if (f->cap < f->procs.cap) {
		f->cap = f->procs.cap;
		f->leaders = mem_grow(f->leaders, f->cap, sizeof *f->leaders);
	}
	for (size_t i = 0; i < f->procs.n; i++)
		f->leaders[i] = UNKNOWN;
	for (size_t i = 0; i < f->procs.n; i++)
		(void)find_leader(f, children, i, 0);
	wait_for_orphans(f, children);
}

void family_usage(const struct family *f, pid_t leader, struct usage *out)
{
	*out = (struct usage){ 0 };
	for (size_t i = 0; i < f->procs.n; i++) {
		const struct procs_row *row = &f->procs.rows[i];
		if (f->leaders[i] != leader)
			continue;
		out->n_processes += row->state != 'Z';
		out->cpu_ms += row->cpu_ms;
		out->resident_size += row->resident_size;
	}
}

int64_t family_share_size(const struct family *f, pid_t leader)
{
	int64_t sum = 0;

	for (size_t i = 0; i < f->procs.n; i++) {
		if (f->leaders[i] != leader)
			continue;
		int64_t size = procs_share_size(f->procs.rows[i].pid);
		sum += size >= 0 ? size : f->procs.rows[i].resident_size;
	}
	return sum;
}

int family_kill(struct family *f, pid_t leader)
{
	int n = 0;

	for (size_t i = 0; i < f->procs.n; i++) {
		const struct procs_row *row = &f->procs.rows[i];
		if (f->leaders[i] != leader || row->pid == leader || row->state == 'Z')
			continue;
		procs_kill(&f->procs, row);
		n++;
	}
	return n;
}

void family_raise_file_limit(const struct family *f, pid_t leader, int64_t size)
{
	for (size_t i = 0; i < f->procs.n; i++) {
		if (f->leaders[i] == leader && f->procs.rows[i].state != 'Z')
			procs_raise_file_limit(&f->procs.rows[i], size);
	}
}
