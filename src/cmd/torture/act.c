/*
 * torture-act: the program behind the functions of a torture run. It does what its parameter "act" says, well or badly,
 * and keeps the journal (journal.h) from which is proven that no two of it were ever at work on one instance.
 *
 * The instance is locked as one byte of a file, by a lock that goes with its process. A process that was killed may
 * hold its lock for a moment more; so a held one is waited for shortly, and the journal tells whether its holder still
 * worked.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/must.h"
#include "base/num.h"
#include "cmd/args.h"
#include "cmd/say.h"
#include "cmd/torture/journal.h"
#include "json/json.h"
#include "os/calls.h"
#include "os/file.h"
#include "sign/acs3.h"

enum { FD_MESSAGES = 3, TASK_MAX_SIZE = 1 << 20, LOCK_WAIT_MS = 1000, STEP_MS = 15, MODEL_SIZE = 4096 };

struct work {
	struct journal_line line;
	int journal;
	const char *act;
	int64_t ms;
};

static enum rc note(struct work *w, char letter, struct err *err)
{
	w->line.letter = letter;
	return journal_write(w->journal, &w->line, err);
}

static void rest(int ms) { (void)poll(NULL, 0, ms); }

/* ---- one at a time ---- */

static bool try_lock(int fd, int64_t at, int64_t *holder)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	if (fcntl(fd, F_SETLK, &l) == 0)
		return true;
	*holder = fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK ? l.l_pid : 0;
	return false;
}

static enum rc report_holder(const struct work *w, int64_t holder, struct err *err)
{
	struct journal_line found = w->line;

	found.letter = 'X';
	found.attempt = holder;
	enum rc rc = journal_write(w->journal, &found, err);
	return rc == RC_OK ? err_set(err, RC_CONFLICT, "process %lld works on the same instance", (long long)holder)
	                   : rc;
}

/* Held until the process ends. */
static enum rc lock_instance(struct work *w, const char *folder, struct err *err)
{
	char path[PATH_MAX];
	int64_t holder = 0, until_ms = clock_mono_ms() + LOCK_WAIT_MS;

	enum rc rc = path_join(path, folder, JOURNAL_LOCKS, err);
	if (rc != RC_OK)
		return rc;
	int fd = os.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, RC_IO, errno, "cannot open '%.300s'", path);
	while (!try_lock(fd, w->line.instance_id, &holder)) {
		if (clock_mono_ms() > until_ms)
			return report_holder(w, holder, err);
		rest(1);
	}
	return RC_OK;
}

/* ---- what it is asked to do ---- */

/* .../FUNCTION/INSTANCE.ID/GENERATION/task.json */
static bool instance_id_of(const char *task_file, int64_t *id)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, "%s", task_file);
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(path, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
	const char *dot = strrchr(path, '.');
	return dot && num_i64(dot + 1, id);
}

static enum rc read_work(struct work *w, struct arena *a, struct err *err)
{
	const char *file = getenv("STINT_TASK");
	const json_t *task;
	struct buf text;

	if (!file || fcntl(FD_MESSAGES, F_GETFD) < 0 || !instance_id_of(file, &w->line.instance_id))
		return err_set(err, RC_INVALID, "only a server under `stint torture` starts this command");
	buf_init(&text, TASK_MAX_SIZE);
	enum rc rc = file_read(file, &text, err);
	if (rc == RC_OK)
		rc = json_read(buf_text(&text), text.len, a, &task, err);
	buf_fini(&text);
	if (rc != RC_OK)
		return rc;
	const json_t *parameters = json_object_get(task, "parameters");
	const char *act = json_string_value(json_object_get(parameters, "act"));
	const char *ms = json_string_value(json_object_get(parameters, "ms"));
	if (!act || !ms || !num_i64(ms, &w->ms))
		return err_set(err, RC_INVALID, "the task file has no act");
	w->act = act;
	w->line.task_id = json_integer_value(json_object_get(task, "task_id"));
	w->line.generation = json_integer_value(json_object_get(task, "generation"));
	w->line.attempt = json_integer_value(json_object_get(task, "attempt"));
	w->line.pid = getpid();
	return RC_OK;
}

static enum rc open_journal(struct work *w, const char *folder, struct err *err)
{
	char path[PATH_MAX];

	enum rc rc = path_join(path, folder, JOURNAL_FILE, err);
	if (rc != RC_OK)
		return rc;
	w->journal = os.open(path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
	return w->journal < 0 ? err_sys(err, RC_IO, errno, "cannot open '%.300s'", path) : RC_OK;
}

/* ---- doing it ---- */

PRINTF(1, 2) static void tell(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	int len = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	must(len > 0 && len < (int)sizeof line);
	(void)os.write(FD_MESSAGES, line, (size_t)len); /* a server that died hears nothing, and takes us along */
}

static enum rc work_on(struct work *w, struct err *err)
{
	int64_t begun_ms = clock_mono_ms(), done_ms = 0;
	enum rc rc = RC_OK;

	do {
		tell("{\"progress\":%lld}\n", (long long)(w->ms ? 99 * done_ms / w->ms : 50));
		int64_t left_ms = w->ms - done_ms;
		rest((int)(left_ms < STEP_MS ? left_ms : STEP_MS));
		rc = note(w, 'W', err);
		done_ms = clock_mono_ms() - begun_ms;
	} while (rc == RC_OK && done_ms < w->ms);
	return rc;
}

static enum rc leave_model(const struct work *w, struct err *err)
{
	char bytes[MODEL_SIZE], hash[65];

	memset(bytes, (int)('a' + w->line.generation % 26), sizeof bytes);
	enum rc rc = file_write("model.bin", bytes, sizeof bytes, 0600, err);
	if (rc != RC_OK)
		return rc;
	sign_sha256_hex(bytes, sizeof bytes, hash);
	tell("{\"result\":{\"task_id\":%lld,\"generation\":%lld,\"attempt\":%lld,\"model\":\"model.bin\",\"sha256\":\"%"
	     "s\"}}\n",
	     (long long)w->line.task_id, (long long)w->line.generation, (long long)w->line.attempt, hash);
	return RC_OK;
}

static enum rc succeed(const struct work *w, struct err *err)
{
	(void)err;
	tell("{\"result\":{\"task_id\":%lld,\"generation\":%lld,\"attempt\":%lld}}\n", (long long)w->line.task_id,
	     (long long)w->line.generation, (long long)w->line.attempt);
	return RC_OK;
}

static enum rc fail(const struct work *w, struct err *err)
{
	bool is_machine = strcmp(w->act, "machine") == 0;
	tell("{\"error\":{\"code\":\"Torture.%s\",\"message\":\"as it was asked to\",\"fault\":\"%s\"}}\n",
	     is_machine ? "Machine" : "User", is_machine ? "machine" : "user");
	return err_set(err, RC_CONFLICT, "asked to fail");
}

static enum rc leave(const struct work *w, struct err *err)
{
	(void)w;
	return err_set(err, RC_CONFLICT, "asked to end badly");
}

static enum rc be_silent(const struct work *w, struct err *err)
{
	(void)w;
	(void)err;
	return RC_OK;
}

static enum rc babble(const struct work *w, struct err *err)
{
	(void)err;
	tell("attempt %lld talks no JSON\n", (long long)w->line.attempt);
	return RC_OK;
}

static enum rc die(const struct work *w, struct err *err)
{
	(void)w;
	(void)err;
	(void)kill(getpid(), SIGKILL);
	return RC_OK;
}

static enum rc be_deaf(const struct work *w, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct work again = *w;

	must(sigaction(SIGTERM, &ignore, NULL) == 0);
	again.ms = 60000; /* longer than its time limit and its grace */
	return work_on(&again, err);
}

static const struct {
	const char *act;
	enum rc (*perform)(const struct work *w, struct err *err);
} acts[] = {
	{ "succeed", succeed },  { "model", leave_model }, { "fail", fail }, { "machine", fail }, { "exit", leave },
	{ "silent", be_silent }, { "garbage", babble },    { "die", die },   { "deaf", be_deaf },
};

static enum rc perform(const struct work *w, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
		if (strcmp(acts[i].act, w->act) == 0)
			return acts[i].perform(w, err);
	}
	return err_set(err, RC_INVALID, "'%.40s' is no act", w->act);
}

static enum rc act(const char *folder, struct arena *a, struct err *err)
{
	struct work w = { .journal = -1 };

	enum rc rc = read_work(&w, a, err);
	if (rc == RC_OK)
		rc = open_journal(&w, folder, err);
	if (rc == RC_OK)
		rc = lock_instance(&w, folder, err);
	if (rc == RC_OK)
		rc = note(&w, 'B', err);
	if (rc == RC_OK)
		rc = work_on(&w, err);
	if (rc == RC_OK && (strcmp(w.act, "succeed") == 0 || strcmp(w.act, "model") == 0))
		rc = note(&w, 'E', err);
	return rc == RC_OK ? perform(&w, err) : rc;
}

static int run_act(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct err err = { 0 };
	int code;

	if (!args_read(c, NULL, 0, argc, argv, operands, &code))
		return code;
	struct arena *a CLEANUP(arena_freep) = arena_new(TASK_MAX_SIZE * 8);
	enum rc rc = act(operands[0], a, &err);
	printf("attempt ended: %s\n", rc == RC_OK ? "well" : err.msg);
	return rc == RC_OK ? 0 : say_failed(c, rc, &err);
}

const struct command command_torture_act = {
	.name = "torture-act",
	.operands = "FOLDER",
	.summary = "Be a task of a torture run; started by its server only.",
	.example = "STINT_TASK=task.json stint torture-act ./torture/journal 3>messages 4<lifeline",
	.run = run_act,
};
