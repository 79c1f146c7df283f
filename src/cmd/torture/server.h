/*
 * server: the `stint serve` that is tortured, as a child of this process, and the processes that work for it.
 *
 * The server dies with the thread that started it. Its log goes to RUN/server.log; that of the life before is
 * RUN/server.log.old.
 * Threads: the one that starts.
 */
#ifndef CMD_TORTURE_SERVER_H
#define CMD_TORTURE_SERVER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "os/proc.h"

enum { ENDPOINT_SIZE = 128, MARKED_MAX = 256 };

struct server_config {
	char exe[PATH_MAX]; /* this program */
	char run[PATH_MAX]; /* absolute */
	char data[PATH_MAX];
	int64_t start_limit_ms;
};

struct server {
	struct proc proc;
	bool is_up;
	char endpoint[ENDPOINT_SIZE];
	int64_t start_ms; /* how long the last start took */
	struct proc_exit exit;
};

/* Start and wait until it says that it is ready. RC_BUSY: it died before (s->exit says how), RC_TIMEOUT: it was not
 * ready in time, and is dead now. crash: STINT_CRASH_POINT, "" none. */
enum rc server_start(const struct server_config *cfg, const char *crash, struct server *s, struct err *err) NODISCARD;
/* Start, and kill after so long, ready or not. */
enum rc server_start_and_kill(const struct server_config *cfg, int64_t after_ms, struct server *s,
                              struct err *err) NODISCARD;
/* Wait for its end, at most so long. True: it ended, s->exit says how. */
bool server_wait(struct server *s, int64_t ms);
void server_signal(const struct server *s, int sig);
/* SIGKILL, and wait. */
void server_kill(struct server *s);
/* "ended with 3", "was killed by signal 6". */
const char *server_exit_words(const struct server *s, char *out, size_t size);
/* Begin another command of this program, its output into RUN/NAME; wait for its end: its exit code, -1 after a signal.
 */
enum rc server_begin_command(const struct server_config *cfg, const char *const *argv, const char *output,
                             struct proc *proc, struct err *err) NODISCARD;
int server_end_command(struct proc *proc);
/* Another command of this program to its end, its output into RUN/NAME. */
enum rc server_run_command(const struct server_config *cfg, const char *const *argv, const char *output, int *exit_code,
                           struct err *err) NODISCARD;

/* A process started for a task below the data folder. */
struct marked {
	pid_t pid;
	int64_t mark;        /* proc_is_same */
	char task[PATH_MAX]; /* its STINT_TASK */
};
/* All that live now, at most MARKED_MAX; texts are inside. */
size_t server_marked(const struct server_config *cfg, struct marked *out);

#endif
