/*
 * family: which of the machine's processes belong to which attempt, by a look at /proc: what is in the child's process
 * group, what descends from such a process, and what was orphaned meanwhile and came to us (exec_adopt_orphans) with
 * the attempt's STINT_TASK in its environment. So leaving the group (setsid) or losing the parent (double fork) hides
 * nothing; a program that does both and clears its environment as well is not found.
 *
 * Owner:    struct family is the caller's. Threads: one owner at a time.
 * Method:   one look serves all attempts of a turn of the loop; looks are as rare as measuring allows.
 */
#ifndef EXEC_FAMILY_H
#define EXEC_FAMILY_H

#include "os/procs.h"

struct child;

struct family {
	struct procs procs;
	pid_t *leaders;   /* for each row the leader of its attempt, 0: none of ours */
	size_t cap;
	pid_t self;
	bool adopts;      /* orphans below this process become its children */
	int n_orphans;    /* adopted ones that were there at the last look, and one for what it could not see */
};

/* What an attempt's processes use together. */
struct usage {
	int n_processes;         /* without those that ended and were not waited for */
	int64_t cpu_ms;          /* with that of ended ones, as far as somebody waited for them */
	int64_t resident_size;   /* bytes; what several share is counted for each: never too little */
};

void family_init(struct family *f);
void family_fini(struct family *f);
/* Look at /proc. children: all attempts, of which those that have a process count. With adopts also: wait for adopted
 * ones that ended, and kill those whose attempt is over. */
void family_look(struct family *f, const struct child *children);
void family_usage(const struct family *f, pid_t leader, struct usage *out);
/* The exact figure for resident_size, which takes longer to find; where the kernel does not tell, the same. */
int64_t family_share_size(const struct family *f, pid_t leader);
/* SIGKILL to all of the attempt but its leader; how many were there. */
int family_kill(struct family *f, pid_t leader);
/* Let the files of all of them grow to size bytes, as far as the kernel lets us (struct proc_limits). */
void family_raise_file_limit(const struct family *f, pid_t leader, int64_t size);

#endif
