/*
 * How tasks ended, each looked at once in detail when nothing runs: as its act must end, or because the machine's
 * kills used its attempts up; with a history in which every attempt was started once and the end came once.
 */
#include <stdio.h>
#include <string.h>
#include "cmd/torture/run.h"

struct judged {
	struct torture *t;
	const struct instance_fact *i;
	const json_t *detail;
	const char *act, *state, *code;
	int64_t generation, attempt, attempts_max;
};

static const struct {
	const char *act, *code; /* code "": success */
	bool uses_all_attempts;
} ends[] = {
	{ "succeed", "", false },
	{ "model", "", false },
	{ "train", "", false },
	{ "fail", "Torture.User", false },
	{ "exit", "Task.Failed", false },
	{ "silent", "Task.NoResult", false },
	{ "garbage", "Task.Protocol", false },
	{ "deaf", "Task.TimedOut", false },
	{ "machine", "Torture.Machine", true },
	{ "die", "Task.Killed", true },
};

static void complain(const struct judged *j, const char *rule, const char *what)
{
	findings_add(j->t->findings, rule, "%s/%s: task %lld (%s, attempt %lld of %lld, %s %s): %s", j->i->app->name,
	             j->i->name, (long long)j->generation, j->act, (long long)j->attempt, (long long)j->attempts_max,
	             j->state, j->code, what);
}

/* The machine may end any act's last attempt: the run kills its processes and its server. */
static bool is_machines(const struct judged *j)
{
	bool is_killed = strcmp(j->code, "Task.Killed") == 0 || strcmp(j->code, "Task.Interrupted") == 0;
	return is_killed && j->attempt == j->attempts_max;
}

static bool is_as_asked(const struct judged *j)
{
	for (size_t k = 0; k < ARRAY_LEN(ends); k++) {
		if (strcmp(ends[k].act, j->act) == 0 && strcmp(ends[k].code, j->code) == 0)
			return !ends[k].uses_all_attempts || j->attempt == j->attempts_max;
	}
	/* A machine under load may be too slow for the shortest of time limits. */
	return strcmp(j->code, "Task.TimedOut") == 0 && strcmp(j->i->trade->function, "stubborn") == 0;
}

static void judge_result(const struct judged *j)
{
	const json_t *result = json_pick(j->detail, "result");

	if (j->i->trade->is_built_in)
		return;
	if (json_int_of(result, "generation") != j->generation || json_int_of(result, "attempt") != j->attempt)
		complain(j, "E4", "its result is that of another run");
	int64_t id = json_int_of(result, "task_id");
	bool has_ended = journal_has_ended(&j->t->journal, id, j->attempt) ||
	                 (j->t->before && journal_has_ended(j->t->before, id, j->attempt));
	if (!has_ended)
		complain(j, "E4", "it succeeded, and its process never came to the end");
}

static void judge_history(const struct judged *j)
{
	const json_t *events = json_pick(j->detail, "events");
	int64_t n_started = 0, n_ended = 0;
	bool is_in_order = true;

	for (size_t k = 0; k < json_array_size(events); k++) {
		const json_t *e = json_array_get(events, k);
		const char *kind = json_text_of(e, "kind");
		bool is_start = strcmp(kind, "started") == 0;
		n_started += is_start;
		is_in_order = is_in_order && n_ended == 0 && (!is_start || json_int_of(e, "attempt") == n_started);
		n_ended += strcmp(kind, "ended") == 0;
	}
	if (n_started != j->attempt || n_ended != 1 || !is_in_order)
		complain(j, "E4", "its history does not begin each attempt once and end once");
}

static void judge(const struct judged *j)
{
	bool is_success = strcmp(j->state, "success") == 0;

	if (!is_as_asked(j) && !is_machines(j))
		complain(j, "end", json_text_of(j->detail, "errorMessage"));
	if (j->attempt < 1 || j->attempt > j->attempts_max)
		complain(j, "end", "more attempts than allowed, or none");
	if (is_success != (json_int_of(j->detail, "progress") == 100) || is_success != !*j->code)
		complain(j, "E6", "success and only success has a progress of 100 and no reason");
	if (!is_success && !*json_text_of(j->detail, "errorMessage"))
		complain(j, "E6", "it failed without a reason in words");
	if (is_success)
		judge_result(j);
	judge_history(j);
}

static enum rc judge_task(struct torture *t, struct asker *a, const struct instance_fact *i, int64_t generation,
                          struct err *err)
{
	char number[24];
	struct path path = { path_detail, { i->app->name, i->trade->function, i->name, number } };

	(void)snprintf(number, sizeof number, "%lld", (long long)generation);
	enum outcome o = ask(a, "GET", "StintGetTask", &path, NULL);
	if (o == LOST)
		return err_set(err, RC_BUSY, "the server does not answer: %.200s", a->err.msg);
	const json_t *d = a->answer.json;
	struct judged j = {
		.t = t,
		.i = i,
		.detail = d,
		.act = i->trade->is_built_in ? "train" : json_text_of(json_pick(d, "params"), "act"),
		.state = json_text_of(d, "state"),
		.code = json_text_of(d, "errorCode"),
		.generation = generation,
		.attempt = json_int_of(d, "attempt"),
		.attempts_max = json_int_of(d, "maxAttempts"),
	};
	if (o == REFUSED)
		complain(&j, "E1", "it is listed, and is not there");
	else
		judge(&j);
	return RC_OK;
}

enum rc judge_all(struct torture *t, struct asker *a, struct err *err)
{
	enum rc rc = RC_OK;

	for (int k = 0; k < t->model.n_apps; k++) {
		struct app_fact *app = &t->model.apps[k];
		for (int m = 0; m < app->n; m++) {
			struct instance_fact *i = &app->instances[m];
			for (int64_t g = 1; g <= i->n_tasks && rc == RC_OK; g++) {
				struct task_fact *f = &i->tasks[g - 1];
				if (f->record != KEPT || !f->is_over || f->is_judged)
					continue;
				rc = judge_task(t, a, i, g, err);
				f->is_judged = rc == RC_OK;
			}
		}
	}
	return rc;
}
