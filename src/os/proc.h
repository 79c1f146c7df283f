/*
 * proc: start a program as a child of this process, signal it and its group, wait for it, and recognise it later.
 *
 * A child starts with a process group of its own, every signal at its default and none blocked, exactly the
 * descriptors it is given (as 0, 1, 2 ...) and nothing else, the environment it is given, and no core file.
 * The calling thread is held until the program runs or is known not to; the memory is not copied for it, so
 * a large server starts children as fast as a small one.
 *
 * Owner:    struct proc is the caller's, from proc_spawn until proc_wait has released it.
 * Threads:  any. With dies_with_parent the child is killed when the thread that called proc_spawn ends.
 * Errors:   of proc_spawn: RC_NOT_FOUND no such program, RC_DENIED it cannot be executed, RC_IO anything else.
 */
#ifndef OS_PROC_H
#define OS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

enum { PROC_FDS_MAX = 8 };

/* What the kernel itself holds a child to, each of its processes by itself (setrlimit); 0: no limit. */
struct proc_limits {
	int64_t data_size;         /* bytes of private writable memory */
	int64_t file_size;         /* bytes of any file it writes: SIGXFSZ; may be raised later (os/procs.h) */
	int64_t cpu_s;             /* SIGXCPU, and SIGKILL five seconds of processor time later */
	int64_t processes;         /* of all the user's, threads included; the kernel does not hold root to it */
	bool is_first_victim;      /* when the machine's memory runs out, this one goes before the caller */
};

struct proc_spec {
	const char *const *argv;   /* NULL-terminated. argv[0] without a slash is looked up in the PATH of envp; a
				      relative one with a slash is meant from work_dir */
	const char *const *envp;   /* NULL-terminated "NAME=value" */
	const char *work_dir;      /* NULL: that of the caller */
	const int *fds;            /* become 0 .. n_fds - 1 of the child; stay open here */
	int n_fds;                 /* 0 .. PROC_FDS_MAX */
	struct proc_limits limits;
	bool dies_with_parent;     /* SIGKILL when the starting thread ends, however it ends */
};

struct proc {
	pid_t pid;                 /* also the number of its process group */
	int pidfd;                 /* readable once it ended; close-on-exec */
};

enum rc proc_spawn(const struct proc_spec *spec, struct proc *out, struct err *err) NODISCARD;

/* Become that program, which is looked up in PATH; environment and descriptors that are not close-on-exec stay, signals
 * get their default. Returns only to fail: RC_NOT_FOUND no such program, RC_DENIED it cannot be executed, RC_IO. */
enum rc proc_become(const char *const *argv, struct err *err) NODISCARD;

struct proc_exit {
	int exit_code;             /* -1 when it ended by a signal */
	int signal;                /* 0 when it ended by itself */
	int64_t max_rss_size;      /* bytes; never below what the caller had at the start: the kernel counts it too */
	int64_t user_ms, system_ms;
};

/* Wait for the end, release number and pidfd. False: somebody else has taken the status; out says -1 and 0 then. */
bool proc_wait(struct proc *p, struct proc_exit *out);
/* Signal all of the group, and the child itself where it has joined another. Until proc_wait the number cannot mean
 * another process. A dead group: nothing. */
void proc_signal_group(const struct proc *p, int sig);

/*
 * Recognising a process by a number that was written down: numbers are used again, so a start mark goes with
 * each. The mark is the start time of the process (field 22 of /proc/PID/stat) mixed with the identity of the
 * running boot, positive and below 2^53.
 */
bool proc_start_mark(pid_t pid, int64_t *mark);     /* false: no such process */
bool proc_is_same(pid_t pid, int64_t mark);         /* it lives; a zombie does not */
/* SIGKILL to that very process and to the group that it leads, or left. When the leader is gone but members of its
 * group are left, they are killed if one of them started no earlier and has a variable env_name in its environment. Any
 * failure (no descriptor left to look with, say) means that they may live. */
enum rc proc_kill_left_group(pid_t pid, int64_t mark, const char *env_name, struct err *err) NODISCARD;
/* SIGKILL to every process, but this one, that was started with env_name=value in its environment: reaches those
 * that left their group, and those whose number nobody has written down. Fails likewise. */
enum rc proc_kill_marked(const char *env_name, const char *value, struct err *err) NODISCARD;
/* SIGKILL to every process, but this one, that has this name (as the kernel keeps it: at most 15 bytes) and works in
 * the folder dir, and wait for their ends, limit_ms for each. False: one lives still. dir may have
 * been removed meanwhile. */
bool proc_kill_in(const char *dir, const char *name, int64_t limit_ms);

#endif
