/*
 * procs: what runs on this machine now, as /proc shows it: one look, then questions to it.
 *
 * Owner:    struct procs is the caller's, procs_init to procs_fini.
 * Threads:  one owner at a time.
 * A look is not one moment: a process may end, or fork, while others are being read. Whoever kills by a look does it
 * with procs_kill, and looks again. Where /proc is not mounted a look is empty.
 * Two descriptors are kept from procs_init on, of /proc and one in reserve, so that others who have taken all there are
 * do not blind the next look.
 */
#ifndef OS_PROCS_H
#define OS_PROCS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct procs_row {
	pid_t pid, parent, group;
	char state;              /* as in /proc/PID/stat; 'Z' ended and not waited for */
	int64_t start_ticks;
	int64_t cpu_ms;          /* its own, and of the children it has waited for */
	int64_t resident_size;   /* bytes, shared pages included */
};

struct procs {
	struct procs_row *rows;  /* in order of pid */
	size_t n, cap;
	bool is_whole;           /* the last look saw all there was; else descriptors or memory had run out */
	DIR *dir;
	int spare_fd;
};

void procs_init(struct procs *p);
void procs_fini(struct procs *p);
void procs_look(struct procs *p);
/* How many threads the whole machine has, whosever, without a look: one small file. -1: the kernel does not say. */
int64_t procs_threads(void);
const struct procs_row *procs_find(const struct procs *p, pid_t pid); /* NULL: not seen */
/* Processor time of one process without a look at all: its own, and of the children it has waited for; -1: no such
 * process. */
int64_t procs_cpu_ms(pid_t pid);
/* SIGKILL, if the number still means the process that was seen. */
void procs_kill(struct procs *p, const struct procs_row *row);
/* Could this process have adopted others (PR_SET_CHILD_SUBREAPER)? Quick: one small file, where the kernel has it; else
 * true. Exact as long as the main thread itself starts no children: it is the one that adopts. */
bool procs_may_have_adopted(void);
/* Bytes that the process alone holds, and its share of what it shares; -1: the kernel does not say. */
int64_t procs_share_size(pid_t pid);
/* Let files that it writes grow to size bytes (RLIMIT_FSIZE), if that is more than now and the kernel lets us. */
void procs_raise_file_limit(const struct procs_row *row, int64_t size);
/* What the process was started with as variable name: into out, cut to its size. False: not there, or not readable. */
bool procs_env(pid_t pid, const char *name, char *out, size_t out_size);

#endif
