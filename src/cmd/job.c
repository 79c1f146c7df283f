/*
 * job: a built-in task's own process, started by the engine as `stint job` (exec/exec.h says with which
 * descriptors). It reads $STINT_TASK, trains in the current folder and tells what it does on fd 3.
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
#include "cmd/say.h"
#include "exec/protocol.h"
#include "json/json.h"
#include "os/file.h"
#include "train/train.h"

enum { FD_PROTOCOL = 3, FD_LIFELINE = 4, TASK_FILE_MAX = 4 << 20, JOB_ARENA_MAX = 64 << 20 };

static volatile sig_atomic_t stop_asked;

static void on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

static bool should_stop(void *ctx)
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
static void send_msg(const struct child_msg *msg)
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

static void on_progress(void *ctx, int percent)
{
	(void)ctx;
	send_msg(&(struct child_msg){ .kind = MSG_PROGRESS, .progress = percent });
}

static void on_metric(void *ctx, const char *set, const char *name, int64_t step, double value)
{
	(void)ctx;
	printf("step %lld: %s %s = %.6g\n", (long long)step, set, name, value);
	(void)fflush(stdout);                     /* the log is for reading along */
	if (value == value && value - value == 0) /* finite: the protocol has no words for others */
		send_msg(&(struct child_msg){
		        .kind = MSG_METRIC, .set = set, .name = name, .step = step, .value = value });
}

static void send_text(enum child_msg_kind kind, const char *label, const char *text)
{
	printf("%s%s\n", label, text);
	(void)fflush(stdout);
	send_msg(&(struct child_msg){ .kind = kind, .text = text });
}

static void on_event(void *ctx, const char *text)
{
	(void)ctx;
	send_text(MSG_EVENT, "", text);
}

static void on_checkpoint(void *ctx, const char *file_name)
{
	(void)ctx;
	send_text(MSG_CHECKPOINT, "checkpoint: ", file_name);
}

static void on_data_hash(void *ctx, const char *hex)
{
	(void)ctx;
	send_text(MSG_DATA_HASH, "data: sha256 ", hex);
}

/* What a failure is called on the wire, and whose fault it is. */
static const struct fault_row {
	enum rc rc;
	const char *code;
	enum task_fault fault;
} fault_rows[] = {
	{ RC_INVALID, "Data.Invalid", FAULT_USER }, { RC_NOT_FOUND, "Data.NotFound", FAULT_USER },
	{ RC_DENIED, "Data.Denied", FAULT_USER },   { RC_LIMIT, "Data.TooLarge", FAULT_USER },
	{ RC_BUSY, "Disk.Full", FAULT_MACHINE },    { RC_TIMEOUT, "Task.Stopped", FAULT_MACHINE },
};

static int tell_failure(enum rc rc, const struct err *err)
{
	struct child_msg msg = { .kind = MSG_ERROR, .code = "Task.Internal", .fault = FAULT_MACHINE, .text = err->msg };

	for (size_t i = 0; i < ARRAY_LEN(fault_rows); i++) {
		if (fault_rows[i].rc == rc) {
			msg.code = fault_rows[i].code;
			msg.fault = fault_rows[i].fault;
		}
	}
	(void)fprintf(stderr, "error: %s: %s\n", msg.code, err->msg);
	send_msg(&msg);
	return rc_exit_code(rc);
}

/* ---- the task file ---- */

struct job {
	struct arena *arena;
	const char *builtin, *checkpoint;
	const char **roots;
	int n_roots;
	struct param *params;
	size_t n_params;
};

/* path, or where it is below the first root that has it; unfound ones keep the first root for the message. */
static const char *find_in_roots(const struct job *j, const char *path)
{
	if (path[0] == '/' || j->n_roots == 0)
		return path;
	for (int i = 0; i < j->n_roots; i++) {
		const char *full = arena_printf(j->arena, "%s/%s", j->roots[i], path);
		if (full && file_exists(full))
			return full;
	}
	return arena_printf(j->arena, "%s/%s", j->roots[0], path);
}

/* "a.csv,/b.csv" with each path resolved. */
static const char *resolve_paths(const struct job *j, const char *list)
{
	const char *out = "";

	while (*list && out) {
		size_t len = strcspn(list, ",");
		const char *one = arena_dup_n(j->arena, list, len);
		const char *found = one ? find_in_roots(j, one) : NULL;
		out = found ? arena_printf(j->arena, "%s%s%s", out, *out ? "," : "", found) : NULL;
		list += len + (list[len] == ',');
	}
	return out;
}

static bool is_paths(const char *name)
{
	for (size_t i = 0; i < n_train_rules; i++) {
		if (strcmp(train_rules[i].name, name) == 0)
			return train_rules[i].type == PARAM_PATHS;
	}
	return false;
}

static enum rc read_roots(const json_t *task, struct job *j, struct err *err)
{
	const json_t *roots = json_pick(task, "import_roots");
	size_t n = json_array_size(roots);

	j->roots = arena_array(j->arena, n + 1, sizeof *j->roots);
	if (!j->roots)
		return err_set(err, RC_LIMIT, "the task file has too many import roots");
	for (size_t i = 0; i < n; i++) {
		const char *root = json_string_value(json_array_get(roots, i));
		if (!root)
			return err_set(err, RC_INTERNAL, "import_roots holds something else than texts");
		j->roots[j->n_roots++] = root;
	}
	return RC_OK;
}

static enum rc read_params(json_t *params, struct job *j, struct err *err)
{
	const char *name;
	json_t *value;

	j->params = arena_array(j->arena, json_object_size(params) + 1, sizeof *j->params);
	if (!j->params)
		return err_set(err, RC_LIMIT, "the task file has too many parameters");
	json_object_foreach(params, name, value)
	{
		const char *text = json_string_value(value);
		if (!text)
			return err_set(err, RC_INTERNAL, "parameter %.60s is no text", name);
		text = is_paths(name) ? resolve_paths(j, text) : text;
		if (!text)
			return err_set(err, RC_LIMIT, "the paths in parameter %.60s are too long", name);
		j->params[j->n_params++] = (struct param){ name, text };
	}
	return RC_OK;
}

static enum rc read_task(const char *path, struct job *j, struct err *err)
{
	struct buf text;
	const json_t *task = NULL;

	buf_init(&text, TASK_FILE_MAX);
	enum rc rc = file_read(path, &text, err);
	if (rc == RC_OK)
		rc = json_read(buf_text(&text), text.len, j->arena, &task, err);
	buf_fini(&text);
	if (rc == RC_OK)
		rc = json_pick_text(task, "builtin", &j->builtin, err);
	if (rc == RC_OK)
		rc = json_pick_text(task, "checkpoint", &j->checkpoint, err);
	if (rc == RC_OK)
		rc = read_roots(task, j, err);
	if (rc == RC_OK)
		rc = read_params(json_object_get(task, "parameters"), j, err);
	/* The server wrote this file: whatever is wrong with it is not the user's fault. */
	return rc == RC_OK || rc == RC_LIMIT ? rc : err_wrap(err, RC_INTERNAL, "task file");
}

static void tell_result(const struct train_result *r)
{
	struct buf text;

	buf_init(&text, PROTOCOL_LINE_MAX);
	train_result_json(r, &text);
	send_msg(&(struct child_msg){ .kind = MSG_RESULT, .result_json = buf_text(&text) });
	buf_fini(&text);
}

static enum rc train(const struct job *j, struct err *err)
{
	struct train_result result;
	struct train_run run = {
		.params = j->params,
		.n_params = j->n_params,
		.work_dir = ".",
		.roots = j->roots,
		.n_roots = j->n_roots,
		.checkpoint = j->checkpoint,
		.sink = { .progress = on_progress,
		          .metric = on_metric,
		          .event = on_event,
		          .checkpoint = on_checkpoint,
		          .data_hash = on_data_hash,
		          .should_stop = should_stop },
	};

	enum rc rc = param_check_all(train_rules, n_train_rules, run.params, run.n_params, err);
	if (rc == RC_OK)
		rc = train_run(&run, j->arena, &result, err);
	if (rc == RC_OK)
		tell_result(&result);
	return rc;
}

static enum rc run_builtin(const struct job *j, struct err *err)
{
	if (j->builtin && strcmp(j->builtin, "ctr") == 0)
		return train(j, err);
	return err_set(err, RC_INTERNAL, "no built-in function is named '%.60s'", j->builtin ? j->builtin : "");
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
	struct job j = { .arena = arena_new(JOB_ARENA_MAX) };
	rc = read_task(getenv("STINT_TASK"), &j, &err);
	if (rc == RC_OK)
		rc = run_builtin(&j, &err);
	code = rc == RC_OK ? 0 : tell_failure(rc, &err);
	arena_free(j.arena);
	return code;
}

const struct command command_job = {
	.name = "job",
	.operands = "",
	.summary = "Run a built-in task; started by the server only.",
	.example = "STINT_TASK=task.json stint job 3>messages 4<lifeline",
	.run = run_job,
};
