/*
 * exec: starts one child per running attempt and watches it to its end.
 *
 * One supervisor thread owns all children: it forks, reads fd 3, waits by pidfd, enforces time limits, ends a
 * child by SIGTERM to its process group and SIGKILL after the grace time, and reports through the handlers.
 * A child: own process group (and so are its descendants unless they leave it), own folder as working
 * directory, fd 0 /dev/null, fd 1 and 2 its log file, fd 3 the protocol, fd 4 the read end of a lifeline pipe
 * that never carries data and ends when the server does; parent-death signal SIGKILL; a clean environment
 * (PATH, HOME=its folder, LANG=C.UTF-8, TZ, STINT_TASK) without secrets; signal mask and dispositions reset.
 * Everything in its group is killed when it ended. After exec_adopt_orphans also what has left the group or lost its
 * parent (exec/family.h), and no zombie stays: nothing of it outlives the attempt.
 *
 * Not here: what tasks mean, retries, storage (engine/).
 * Threads:  exec_prepare, exec_start, exec_forget and exec_stop from any; handlers are called on the supervisor thread,
 *           one at a time, and must not block; back-pressure: exec_message_done lets the next messages of that
 *           task be read.
 * Invariants: E4 (every message carries its attempt), E7 (on_end is called exactly once for each start).
 */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "exec/protocol.h"
#include "task/state.h"

struct exec;

enum { EXEC_WINDOW = 32 };        /* messages of a task that may be out without exec_message_done */

/* What to run. Copied by exec_prepare. */
struct exec_spec {
	int64_t task_id, attempt;
	const char *const *argv;      /* NULL-terminated; argv[0] is looked up in PATH unless it has a slash */
	const char *work_dir;         /* the child's working directory; made when there are orders, else it exists */
	const char *log_path;         /* opened for appending, 0600; its folder like work_dir */
	const char *task_file;        /* value of STINT_TASK */
	const char *orders;           /* what to write there; NULL: the caller has written it */
	size_t orders_len;
	bool is_first;                /* with orders: the folder is to hold nothing else, and goes if not started */
	int64_t timeout_ms;           /* whole attempt; 0 none */
	int64_t stall_ms;             /* longest silence on fd 3; 0 none */
	int64_t grace_ms;             /* between SIGTERM and SIGKILL */
	int64_t log_limit;            /* what the log may take of the disk in bytes, at least GAPLOG_LIMIT_MIN; 0 none.
					 Past it its middle is dropped (exec/tasklog.h) */
	/* Of all processes of the attempt together, measured several times a second; 0 none. The kernel holds each
	 * process to a wider limit meanwhile (struct proc_limits), so that none runs away between two looks. */
	int64_t memory_limit;         /* bytes resident */
	int64_t cpu_limit_ms;         /* processor time */
	int64_t disk_limit;           /* bytes of the working directory and all below */
	int64_t process_limit;
	const char *limit_of;         /* whose limits, in words: "function score" */
};

/* How an attempt ended: classified in one place (exec/classify.c). */
struct exec_end {
	int64_t task_id, attempt;
	bool is_success;              /* exit 0, a result, no protocol fault, no error message; also when the child was
					 asked to stop meanwhile, since its work is complete */
	enum task_fault fault;        /* FAULT_NONE on success */
	const char *code;             /* e.g. "Task.Killed"; "" on success. Borrowed for the call */
	const char *message;          /* in words: "the process was killed by signal 9 (out of memory?)" */
	const char *result_json;      /* the last result message, also of a failed attempt; NULL without */
	const char *work_dir;         /* the spec's own; borrowed for the call */
	int exit_code, signal;        /* -1 / 0 when not applicable */
	int64_t max_rss;              /* bytes */
	int64_t user_ms, system_ms;   /* like max_rss of the child and those it waited for */
};

struct exec_handlers {
	void *ctx;
	void (*on_start)(void *ctx, int64_t task_id, int64_t attempt, pid_t pid, int64_t pid_start);
	/* Valid for the call only. At most EXEC_WINDOW messages of a task are out until exec_message_done. RESULT and
	 * ERROR are not passed on here: they are part of exec_end. Not called when the start failed. */
	void (*on_message)(void *ctx, int64_t task_id, int64_t attempt, const struct child_msg *msg);
	/* After the last on_message of the attempt; it does not wait for the messages still out. */
	void (*on_end)(void *ctx, const struct exec_end *end);
};

enum rc exec_open(const struct exec_handlers *handlers, struct exec **out, struct err *err) NODISCARD;
/* This process becomes the parent of whatever is orphaned below it, as process 1 of a container is anyway: waits for
 * it, and kills what an attempt left. Before the first exec_start, and only where children are started by exec alone.
 * False: the kernel cannot; then only groups are killed. */
bool exec_adopt_orphans(struct exec *e);
/* Two steps, since to write down that an attempt starts takes as long as to make ready for it: first its files are
 * made, then either it is started, or its files are taken back. Neither blocks. A start that fails (fork, exec, a file)
 * is an on_end with FAULT_MACHINE (FAULT_USER when the program does not exist). */
void exec_prepare(struct exec *e, const struct exec_spec *spec);
void exec_start(struct exec *e, int64_t task_id, int64_t attempt);
void exec_forget(struct exec *e, int64_t task_id, int64_t attempt); /* not prepared: nothing */
/* SIGTERM to the group now, SIGKILL after the grace time; on_end follows. Unknown task: nothing. reason in words. */
void exec_stop(struct exec *e, int64_t task_id, const char *reason);
/* One message was dealt with. Unknown or ended task: nothing. Any thread, also from within on_message. */
void exec_message_done(struct exec *e, int64_t task_id);
/* Stop every child (SIGTERM, grace at most grace_ms, SIGKILL), call on_end for each, join the thread.
 * exec_message_done must go on meanwhile; two seconds after the grace time unread messages are dropped. A start
 * asked for meanwhile (by on_end, say) ends at once as stopped. Not from a handler. Afterwards only
 * exec_message_done, which does nothing then, and exec_free may be called. */
void exec_stop_all(struct exec *e, int64_t grace_ms);
void exec_free(struct exec *e); /* NULL is fine */

/* For recovery at start: SIGKILL to the group of the very process that on_start told, if it lives. Also when only its
 * descendants are left, which a parent-death signal does not reach.
 * A failure of this one and the next: it could not be found out, and something may live. */
enum rc exec_kill_group(pid_t pid, int64_t pid_start, struct err *err) NODISCARD;
/* SIGKILL to whatever was started with this task_file: also what left its group, or started before
 * on_start was kept. */
enum rc exec_kill_left(const char *task_file, struct err *err) NODISCARD;

#endif
