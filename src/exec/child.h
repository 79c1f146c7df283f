/*
 * child: one attempt from its start to its end. For exec/exec.c, which owns the thread, the clock and the list.
 *
 *   (child_new)--> NEW --child_start--> RUNNING --exit seen--> EXITED --all delivered--> DONE
 *                   \------------------child_refuse-----------------------------------/
 *
 * Owner:    the caller, from child_new to child_free.
 * Threads:  child_new any; everything else the supervisor thread.
 * Invariants:
 *   C1 on_end is called exactly once, on the way into DONE (E7).
 *   C2 at most EXEC_WINDOW messages are out; what waits behind them is one inbox and the pipe.
 *   C3 the group is killed while its leader is still unreaped, so its number cannot mean another group.
 */
#ifndef EXEC_CHILD_H
#define EXEC_CHILD_H

#include "base/arena.h"
#include "base/attr.h"
#include "exec/classify.h"
#include "exec/exec.h"
#include "exec/family.h"
#include "exec/inbox.h"
#include "os/proc.h"

/* What all children of a supervisor share. */
struct host {
	struct exec_handlers handlers;
	struct arena *scratch;          /* for one message */
	int epoll_fd, null_fd, lifeline_fd;
	int64_t now_mono;               /* ms; one for each turn of the loop */
	int64_t drop_at_mono;           /* from here on, what an ended child left unread is dropped */
	struct family family;
	const struct child *children;   /* all of them */
	bool has_looked;                /* in this turn */
	int64_t look_at_mono;           /* when to measure next: the pace follows from how long a look took */
	bool is_measuring;              /* this turn */
};

enum child_state { CHILD_NEW, CHILD_RUNNING, CHILD_EXITED, CHILD_DONE };

struct child {
	struct child *next;
	struct exec_spec spec;          /* its texts are in arena */
	struct arena *arena;
	enum child_state state;
	char *orders;                   /* owned; until they are written */
	bool has_files;                 /* NEW: they were made, or it was tried */
	struct err unprepared;          /* NEW: why it cannot be started; rc RC_OK: nothing known against it */

	struct proc proc;
	struct proc_exit exit;
	bool has_exit_event;            /* set by the loop: the pidfd is readable */

	int pipe_fd;                    /* our end of fd 3; -1 when closed */
	bool is_readable;               /* set by the loop: reading may give something */
	bool is_listening;              /* false once what follows does not matter */
	bool has_more;                  /* its share of this turn was used up */
	int64_t unread_size;            /* EXITED: what its processes left in the pipe */
	struct inbox inbox;
	int64_t n_lines;
	int n_unacked;

	int log_fd;                     /* NEW: once prepared; RUNNING: only with a log limit; else -1 */
	int64_t log_size, log_seen_at;  /* when it was last looked at */
	bool is_log_told;               /* that some of it was dropped, or could not be */
	int64_t file_limit;             /* what the kernel lets any of its files grow to; 0 none */
	int64_t timeout_at, heard_at, log_check_at, kill_at; /* monotonic ms */
	int64_t disk_look_at;
	int64_t cpu_ms;                 /* the most that was measured: ended ones may vanish from the sum */
	bool is_killed;

	enum stop_why why;
	char why_text[400];
	char *result_json, *error_code, *error_text;
	enum task_fault error_fault;
};

struct child *child_new(const struct exec_spec *spec);
void child_free(struct child *c);

/* Ready to start quickly: all that can be done before (exec/prepare.h). A failure is told by child_start. */
void child_prepare(struct child *c);
/* It will not start after all: leave nothing. The caller frees it. */
void child_forget(struct child *c);
/* NEW to RUNNING, or to DONE when it cannot be started. */
void child_start(struct child *c, struct host *h);
/* NEW to DONE without starting it: not_now says why; NULL: because the supervisor is closing. */
void child_refuse(struct child *c, struct host *h, const struct err *not_now);
/* Ask it to end, for the first reason only. Ended already: nothing. */
void child_stop(struct child *c, const struct host *h, enum stop_why why, const char *fmt, ...) PRINTF(4, 5);
/* Do all that is due: deliver, reap, enforce limits, end. */
void child_turn(struct child *c, struct host *h);
/* Does it run, with limits that are measured? */
bool child_is_measured(const struct child *c);
/* What the look of this turn showed; the first to ask has it made. */
struct family *host_family(struct host *h);
void child_message_done(struct child *c, const struct host *h);
/* When child_turn must be called at the latest, without any event; INT64_MAX: never. */
int64_t child_due(const struct child *c, const struct host *h);

#endif
