/* task: the training runs of an instance: start, look, follow, delete. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/num.h"
#include "cmd/remote.h"

static const char TASKS[] = "/v4/openapi/app-groups/{}/functions/{}/instances/{}/tasks";
static const char ONE_TASK[] = "/v4/openapi/app-groups/{}/functions/{}/instances/{}/tasks/{}";
/* Our own view of a task: live figures and history, which the vendor's API has no place for. */
static const char DETAIL[] = "/stint/v1/app-groups/{}/functions/{}/instances/{}/tasks/{}";
static const char LOG[] = "/stint/v1/app-groups/{}/functions/{}/instances/{}/tasks/{}/log";

enum { POLL_MS = 500 };

/* Which task a command is about. */
struct target {
	const char *app, *function, *instance, *generation;
};

static const char *target_path(struct remote *r, const char *pattern, const struct target *t)
{
	const char *segments[] = { t->app, t->function, t->instance, t->generation };
	return client_path(r->client, pattern, segments, t->generation ? 4 : 3);
}

/* The newest generation into t->generation. */
static bool find_newest(struct remote *r, struct target *t)
{
	struct answer a;

	t->generation = NULL;
	const char *path = target_path(r, TASKS, t);
	if (!remote_call(r, "GET", "ListFunctionTasks", path, "pageNumber=1&pageSize=1", NULL, &a))
		return false;
	const char *generation = json_text_of(json_array_get(answer_result(&a), 0), "generation");
	if (*generation) {
		t->generation = generation;
		return true;
	}
	r->rc = err_set(&r->err, RC_NOT_FOUND, "instance %.60s has no task", t->instance);
	return false;
}

/* ---- watch ---- */

/* "epoch 3, loss 0.44710" from what the server knows, or the newest event. */
static void note_of(const json_t *detail, char *out, size_t size)
{
	const json_t *metrics = json_pick(detail, "metrics"), *events = json_pick(detail, "events");
	size_t n = json_array_size(metrics), n_events = json_array_size(events);
	const json_t *loss = NULL;

	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const json_t *m = json_array_get(metrics, i);
		if (strcmp(json_text_of(m, "name"), "logloss") == 0 &&
		    strcmp(json_text_of(m, "set"), "validation") == 0)
			loss = m;
	}
	if (loss)
		(void)snprintf(out, size, "epoch %lld, loss %.5f", (long long)json_int_of(loss, "step"),
		               json_number_value(json_pick(loss, "value")));
	else if (n_events)
		(void)snprintf(out, size, "%.100s", json_text_of(json_array_get(events, n_events - 1), "text"));
}

static void print_end(struct remote *r, const struct target *t, const json_t *detail)
{
	struct arena *a = client_arena(r->client);
	const char *state = json_text_of(detail, "state");
	int64_t started = json_int_of(detail, "startedAt"), ended = json_int_of(detail, "endedAt");
	const json_t *result = json_pick(detail, "result");
	const char *name;
	json_t *value;

	buf_addf(&r->out, "Task %s of %s: %s", t->generation, t->instance, state);
	if (ended > started && started > 0)
		buf_addf(&r->out, " after %s", say_duration(a, ended - started));
	buf_addf(&r->out, ", attempt %lld.\n", (long long)json_int_of(detail, "attempt"));
	if (!result)
		return;
	/* jansson's iterator takes no const; nothing is changed through it. */
	json_object_foreach((json_t *)(uintptr_t)result, name, value)
	{
		if (json_is_real(value))
			buf_addf(&r->out, "  %-18s %.5f\n", name, json_real_value(value));
		else if (json_is_integer(value))
			buf_addf(&r->out, "  %-18s %lld\n", name, (long long)json_integer_value(value));
		else if (json_is_string(value))
			buf_addf(&r->out, "  %-18s %s\n", name, json_string_value(value));
	}
}

static void show(struct remote *r, struct progress *bar, const struct answer *a)
{
	char note[160];
	const json_t *d = a->json;

	if (r->options.as_json) {
		printf("%.*s\n", (int)a->len, a->text);
		if (fflush(stdout) != 0)
			r->rc = err_set(&r->err, RC_IO, "standard output takes no more");
		return;
	}
	note_of(d, note, sizeof note);
	if (strcmp(json_text_of(d, "state"), "pending") == 0)
		(void)snprintf(note, sizeof note, "waiting for a free place");
	progress_show(bar, (int)json_int_of(d, "progress"), note, clock_mono_ms());
}

static bool is_over(const json_t *detail)
{
	const char *state = json_text_of(detail, "state");
	return strcmp(state, "success") == 0 || strcmp(state, "failed") == 0;
}

/* Follow to the end. A failed task is a failed command, with the task's own reason. */
static void watch(struct remote *r, const struct target *given)
{
	struct target t = *given;
	struct progress bar;
	struct answer a;
	char generation[32];

	(void)snprintf(generation, sizeof generation, "%s", t.generation); /* outlives the forgotten answers */
	t.generation = generation;
	progress_init(&bar, clock_mono_ms());
	for (;;) {
		client_forget(r->client);
		if (!remote_call(r, "GET", "StintGetTask", target_path(r, DETAIL, &t), NULL, NULL, &a))
			break;
		show(r, &bar, &a);
		if (r->rc != RC_OK || is_over(a.json))
			break;
		remote_pause(POLL_MS);
	}
	progress_end(&bar);
	if (r->rc != RC_OK)
		return;
	if (!r->options.as_json)
		print_end(r, &t, a.json);
	if (strcmp(json_text_of(a.json, "state"), "failed") == 0)
		r->rc = err_set(&r->err, RC_CONFLICT, "task %s failed: %s: %.300s", t.generation,
		                json_text_of(a.json, "errorCode"), json_text_of(a.json, "errorMessage"));
}

static int run_watch(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = { FUNCTION_OPTION(&function), CLIENT_OPTIONS(r.options) };
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct target t = { operands[0], function, operands[1], operands[2] };
	if (t.generation || find_newest(&r, &t))
		watch(&r, &t);
	return remote_close(&r);
}

/* ---- create, get, list, delete ---- */

static int run_create(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	bool watches = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		FUNCTION_OPTION(&function),
		OPTION_FLAG("watch", &watches, "Follow the run to its end."),
		CLIENT_OPTIONS(r.options),
	};
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct target t = { operands[0], function, operands[1], NULL };
	/* The vendor's answer does not tell the generation: the newest task is the one just made, since an
	 * instance has at most one unfinished task. */
	if (remote_call(&r, "POST", "CreateFunctionTask", target_path(&r, TASKS, &t), NULL, NULL, &a) &&
	    find_newest(&r, &t)) {
		if (watches)
			watch(&r, &t);
		else if (r.options.as_json)
			buf_addf(&r.out, "{\"generation\":\"%s\"}", t.generation);
		else
			buf_addf(&r.out, "Task %s of %s is created. Follow it: stint task watch %s %s %s%s",
			         t.generation, t.instance, t.app, t.instance, t.generation,
			         remote_function(&r, function));
	}
	return remote_close(&r);
}

static void print_history(struct remote *r, const json_t *events)
{
	static const char *const heads[] = { "TIME (UTC)", "ATTEMPT", "EVENT", "" };
	struct arena *a = client_arena(r->client);
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t i = 0; i < json_array_size(events); i++) {
		const json_t *e = json_array_get(events, i);
		const char *cells[] = { say_time(a, json_int_of(e, "at")),
			                arena_printf(a, "%lld", (long long)json_int_of(e, "attempt")),
			                json_text_of(e, "kind"), json_text_of(e, "text") };
		sheet_row(&s, cells);
	}
	buf_addc(&r->out, '\n');
	sheet_print(&s, &r->out);
}

static int run_get(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = { FUNCTION_OPTION(&function), CLIENT_OPTIONS(r.options) };
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct target t = { operands[0], function, operands[1], operands[2] };
	if (remote_call(&r, "GET", "StintGetTask", target_path(&r, DETAIL, &t), NULL, NULL, &a) &&
	    !remote_print_json(&r, &a)) {
		print_end(&r, &t, a.json);
		if (*json_text_of(a.json, "errorMessage"))
			buf_addf(&r.out, "  %s: %s\n", json_text_of(a.json, "errorCode"),
			         json_text_of(a.json, "errorMessage"));
		print_history(&r, json_pick(a.json, "events"));
	}
	return remote_close(&r);
}

static void print_list(struct remote *r, const json_t *list)
{
	static const char *const heads[] = { "GENERATION", "STATUS", "PROGRESS", "STARTED (UTC)", "TOOK", "RUN" };
	struct arena *a = client_arena(r->client);
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *t = json_array_get(list, i);
		int64_t start = json_int_of(t, "startTime"), end = json_int_of(t, "endTime");
		const char *cells[] = { json_text_of(t, "generation"),
			                json_text_of(t, "status"),
			                arena_printf(a, "%lld %%", (long long)json_int_of(t, "progress")),
			                say_time(a, start),
			                end > 0 ? say_duration(a, end - start) : "-",
			                json_text_of(t, "runId") };
		sheet_row(&s, cells);
	}
	sheet_print(&s, &r->out);
}

static int run_list(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *status = NULL, *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	int64_t page = 1, size = 100;
	struct opt opts[] = {
		FUNCTION_OPTION(&function),
		OPTION_CHOICE("status", &status, "STATUS", "success|failed|running",
		              "Only success, failed or running ones."),
		PAGE_OPTIONS(page, size),
		CLIENT_OPTIONS(r.options),
	};
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct target t = { operands[0], function, operands[1], NULL };
	const char *query = remote_page_query(&r, page, size, status ? "status" : NULL, status);
	if (remote_call(&r, "GET", "ListFunctionTasks", target_path(&r, TASKS, &t), query, NULL, &a) &&
	    !remote_print_json(&r, &a))
		print_list(&r, answer_result(&a));
	return remote_close(&r);
}

static int run_delete(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = { FUNCTION_OPTION(&function), CLIENT_OPTIONS(r.options) };
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct target t = { operands[0], function, operands[1], operands[2] };
	if (remote_call(&r, "DELETE", "DeleteFunctionTask", target_path(&r, ONE_TASK, &t), NULL, NULL, &a) &&
	    !remote_print_json(&r, &a))
		buf_addf(&r.out, "The record of task %s is gone; the model in service stays.", t.generation);
	return remote_close(&r);
}

/* ---- log ---- */

/* Print what is new from *offset; false when the call failed. *got says how many bytes came. */
static bool print_log(struct remote *r, const struct target *t, int64_t *offset, size_t *got)
{
	struct answer a;
	char query[48];

	(void)snprintf(query, sizeof query, "offset=%lld", (long long)*offset);
	r->rc = client_fetch(r->client, "StintGetTaskLog", target_path(r, LOG, t), query, &a, &r->err);
	if (r->rc != RC_OK)
		return false;
	(void)fwrite(a.text, 1, a.len, stdout);
	if (fflush(stdout) != 0)
		r->rc = err_set(&r->err, RC_IO, "standard output takes no more");
	*got = a.len;
	*offset = a.next_offset >= 0 ? a.next_offset : *offset + (int64_t)a.len;
	return r->rc == RC_OK;
}

static bool has_ended(struct remote *r, const struct target *t)
{
	struct answer a;
	return !remote_call(r, "GET", "StintGetTask", target_path(r, DETAIL, t), NULL, NULL, &a) || is_over(a.json);
}

static void read_log(struct remote *r, const struct target *given, bool follows)
{
	struct target t = *given;
	char generation[32];
	int64_t offset = 0;
	bool ended = !follows;
	size_t got;

	(void)snprintf(generation, sizeof generation, "%s", t.generation);
	t.generation = generation;
	for (;;) {
		client_forget(r->client);
		/* Asked before reading: what was written before the end is then read after it. */
		if (!ended)
			ended = has_ended(r, &t);
		if (r->rc != RC_OK || !print_log(r, &t, &offset, &got))
			return;
		if (ended && got == 0)
			return;
		if (got == 0)
			remote_pause(POLL_MS);
	}
}

static int run_log(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	bool follows = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		FUNCTION_OPTION(&function),
		{ .name = "follow",
		  .letter = 'f',
		  .kind = OPT_FLAG,
		  .out = &follows,
		  .help = "Go on until the task has ended." },
		CLIENT_PLACE_OPTIONS(r.options),
	};
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct target t = { operands[0], function, operands[1], operands[2] };
	if (t.generation || find_newest(&r, &t))
		read_log(&r, &t, follows);
	return remote_close(&r);
}

const struct command command_task_create = {
	.name = "task create",
	.operands = "APP INSTANCE",
	.summary = "Start a training run.",
	.example = "stint task create shop ctr_shop --watch",
	.run = run_create,
};
const struct command command_task_get = {
	.name = "task get",
	.operands = "APP INSTANCE GENERATION",
	.summary = "Show a run: state, result, history.",
	.example = "stint task get shop ctr_shop 1",
	.run = run_get,
};
const struct command command_task_list = {
	.name = "task list",
	.operands = "APP INSTANCE",
	.summary = "List the runs of an instance, newest first.",
	.example = "stint task list shop ctr_shop --status success",
	.run = run_list,
};
const struct command command_task_watch = {
	.name = "task watch",
	.operands = "APP INSTANCE [GENERATION]",
	.summary = "Follow a run to its end; the newest by default.",
	.example = "stint task watch shop ctr_shop",
	.run = run_watch,
};
const struct command command_task_log = {
	.name = "task log",
	.operands = "APP INSTANCE [GENERATION]",
	.summary = "Print what a run wrote; the newest by default.",
	.example = "stint task log shop ctr_shop 1 --follow",
	.run = run_log,
};
const struct command command_task_delete = {
	.name = "task delete",
	.operands = "APP INSTANCE GENERATION",
	.summary = "Delete the record of a finished run.",
	.example = "stint task delete shop ctr_shop 1",
	.run = run_delete,
};
