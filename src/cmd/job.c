/*
 * job: a built-in task's own process, started by the engine as `stint job` (exec/exec.h says with which
 * descriptors). It reads $STINT_TASK, works in the current folder and tells what it does on fd 3
 * (job_train.c, job_cache.c).
 *
 * It never outlives the server: fd 4 is the read end of a pipe whose write end only the server holds, and a
 * thread ends the whole process group when it closes. SIGTERM asks the trainer to stop; its last checkpoint stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/must.h"
#include "cmd/args.h"
#include "cmd/job.h"
#include "cmd/say.h"
#include "exec/protocol.h"
#include "json/json.h"
#include "os/file.h"

enum { FD_PROTOCOL = 3, FD_LIFELINE = 4, TASK_FILE_MAX = 4 << 20, JOB_ARENA_MAX = 64 << 20 };

static volatile sig_atomic_t stop_asked;

static void on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

bool job_should_stop(void *ctx)
{
	(void)ctx;
	return stop_asked;
}

static void *watch_lifeline(void *arg)
{
	char byte;
	(void)arg;
	for (;;) {
		ssize_t n = read(FD_LIFELINE, &byte, 1);
		if (n == 0 || (n < 0 && errno != EINTR))
			(void)kill(0, SIGKILL); /* the server is gone: nothing may go on in its name */
	}
	return NULL;
}

/* A message that cannot be sent means that nobody listens any more. */
void job_send(const struct child_msg *msg)
{
	struct buf line;

	buf_init(&line, PROTOCOL_LINE_MAX);
	protocol_print(msg, &line);
	for (size_t sent = 0; sent < line.len;) {
		ssize_t n = write(FD_PROTOCOL, line.bytes + sent, line.len - sent);
		if (n < 0 && errno != EINTR)
			_exit(rc_exit_code(RC_IO));
		sent += n > 0 ? (size_t)n : 0;
	}
	buf_fini(&line);
}

void job_progress(void *ctx, int percent)
{
	(void)ctx;
	job_send(&(struct child_msg){ .kind = MSG_PROGRESS, .progress = percent });
}

/* What a failure is called on the wire, and whose fault it is. Whatever is not named is ours. */
struct fault_row {
	enum rc rc;
	const char *code;
	enum task_fault fault;
};
static const struct fault_row train_faults[] = {
	{ RC_INVALID, "Data.Invalid", FAULT_USER }, { RC_NOT_FOUND, "Data.NotFound", FAULT_USER },
	{ RC_DENIED, "Data.Denied", FAULT_USER },   { RC_LIMIT, "Data.TooLarge", FAULT_USER },
	{ RC_BUSY, "Disk.Full", FAULT_MACHINE },    { RC_TIMEOUT, "Task.Stopped", FAULT_MACHINE },
	{ RC_OK, "Task.Internal", FAULT_MACHINE },
};
static const struct fault_row cache_faults[] = {
	{ RC_INVALID, "Cache.Invalid", FAULT_USER },  { RC_NOT_FOUND, "Cache.NotFound", FAULT_USER },
	{ RC_CONFLICT, "Cache.Refused", FAULT_USER }, { RC_LIMIT, "Cache.TooLarge", FAULT_USER },
	{ RC_CORRUPT, "Cache.Damaged", FAULT_USER },  { RC_DENIED, "Cache.Denied", FAULT_USER },
	{ RC_BUSY, "Cache.Busy", FAULT_MACHINE },     { RC_TIMEOUT, "Task.Stopped", FAULT_MACHINE },
	{ RC_OK, "Task.Internal", FAULT_MACHINE },
};

/* rows end with that of RC_OK, which stands for all others. */
static int tell_failure(const struct fault_row *rows, enum rc rc, const struct err *err)
{
	while (rows->rc != rc && rows->rc != RC_OK)
		rows++;
	(void)fprintf(stderr, "error: %s: %s\n", rows->code, err->msg);
	job_send(&(struct child_msg){ .kind = MSG_ERROR, .code = rows->code, .fault = rows->fault, .text = err->msg });
	return rc_exit_code(rc);
}

static enum rc read_task(const char *path, struct arena *a, const json_t **out, struct err *err)
{
	struct buf text;

	buf_init(&text, TASK_FILE_MAX);
	enum rc rc = file_read(path, &text, err);
	if (rc == RC_OK)
		rc = json_read(buf_text(&text), text.len, a, out, err);
	buf_fini(&text);
	return rc == RC_OK ? rc : err_wrap(err, RC_INTERNAL, "task file");
}

static const struct builtin {
	const char *name;
	enum rc (*run)(const json_t *task, struct arena *a, struct err *err);
	const struct fault_row *faults;
} builtins[] = { { "ctr", job_train, train_faults }, { "dcs", job_cache, cache_faults } };

static const struct builtin *find_builtin(const json_t *task)
{
	const char *name = json_string_value(json_object_get(task, "builtin"));

	for (size_t i = 0; name && i < ARRAY_LEN(builtins); i++) {
		if (strcmp(builtins[i].name, name) == 0)
			return &builtins[i];
	}
	return NULL;
}

/* The server's descriptors must be there, or we would write to whatever file happens to be number 3. */
static enum rc check_descriptors(struct err *err)
{
	if (!getenv("STINT_TASK") || fcntl(FD_PROTOCOL, F_GETFD) < 0 || fcntl(FD_LIFELINE, F_GETFD) < 0)
		return err_set(err, RC_INVALID,
		               "only the server starts this command; to train offline: stint train --help");
	return RC_OK;
}

static void guard(void)
{
	pthread_t watcher;
	struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

	must(sigaction(SIGTERM, &stop, NULL) == 0);
	must(pthread_create(&watcher, NULL, watch_lifeline, NULL) == 0);
	must(pthread_detach(watcher) == 0);
}

static int run_job(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct err err = { 0 };
	int code;

	if (!args_read(c, NULL, 0, argc, argv, operands, &code))
		return code;
	enum rc rc = check_descriptors(&err);
	if (rc != RC_OK)
		return say_failed(c, rc, &err);
	guard();
	struct arena *a CLEANUP(arena_freep) = arena_new(JOB_ARENA_MAX);
	const json_t *task = NULL;
	rc = read_task(getenv("STINT_TASK"), a, &task, &err);
	const struct builtin *b = rc == RC_OK ? find_builtin(task) : NULL;
	if (rc == RC_OK)
		rc = b ? b->run(task, a, &err) : err_set(&err, RC_INTERNAL, "the task file names no built-in task");
	return rc == RC_OK ? 0 : tell_failure(b ? b->faults : train_faults, rc, &err);
}

const struct command command_job = {
	.name = "job",
	.operands = "",
	.summary = "Run a built-in task; started by the server only.",
	.example = "STINT_TASK=task.json stint job 3>messages 4<lifeline",
	.run = run_job,
};
