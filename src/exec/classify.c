/*
 * The order is the rule: what came first is the cause. A child that said why it fails is believed before its exit
 * status is read; one that we asked to stop and that still finished its work has succeeded; but what it said
 * after a break of protocol or into a full log is no ground for calling it a success.
 */
#include "exec/classify.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/must.h"

static const struct stop_row {
	enum task_fault fault;
	const char *code, *verb;
} stops[] = {
	[STOP_NONE] = { FAULT_NONE, "", "" },
	[STOP_ASKED] = { FAULT_MACHINE, "Task.Stopped", "the task was stopped" },
	[STOP_TIMEOUT] = { FAULT_TIMEOUT, "Task.TimedOut", "the task was ended" },
	[STOP_STALL] = { FAULT_TIMEOUT, "Task.Stalled", "the task was ended" },
	[STOP_LOG_FULL] = { FAULT_USER, "Task.LogFull", "the task was ended" },
	[STOP_UNHEARD] = { FAULT_MACHINE, "Task.Unheard", "the task was ended" },
	[STOP_PROTOCOL] = { FAULT_USER, "Task.Protocol", "the task was ended" },
	[STOP_MEMORY] = { FAULT_USER, "Task.MemoryLimit", "the task was ended" },
	[STOP_CPU] = { FAULT_TIMEOUT, "Task.CpuLimit", "the task was ended" },
	[STOP_DISK] = { FAULT_USER, "Task.DiskLimit", "the task was ended" },
	[STOP_PROCESSES] = { FAULT_USER, "Task.ProcessLimit", "the task was ended" },
};

static void fail(struct end_class *out, enum task_fault fault, const char *code)
{
	out->fault = fault;
	out->code = code;
}

static void say_no_start(struct end_class *out, const struct err *why)
{
	bool is_users = why->rc == RC_NOT_FOUND || why->rc == RC_DENIED;

	fail(out, is_users ? FAULT_USER : FAULT_MACHINE, is_users ? "Task.NoProgram" : "Task.NoStart");
	(void)snprintf(out->text, sizeof out->text, "the program was not started: %s", why->msg);
}

static void say_stop(struct end_class *out, enum stop_why why, const char *text)
{
	const struct stop_row *row = &stops[why];

	fail(out, row->fault, row->code);
	if (text && *text)
		(void)snprintf(out->text, sizeof out->text, "%s: %s", row->verb, text);
	else
		(void)snprintf(out->text, sizeof out->text, "%s", row->verb);
}

static void say_signal(struct end_class *out, int sig)
{
	const char *words = sigdescr_np(sig);

	fail(out, FAULT_MACHINE, "Task.Killed");
	if (sig == SIGKILL)
		(void)snprintf(out->text, sizeof out->text,
		               "the program was killed by signal 9, perhaps because memory ran out");
	else
		(void)snprintf(out->text, sizeof out->text, "the program was killed by signal %d (%s)", sig,
		               words ? words : "no name");
}

static void say_status(struct end_class *out, int status)
{
	if (status < 0) {
		fail(out, FAULT_MACHINE, "Task.Killed");
		(void)snprintf(out->text, sizeof out->text, "the program ended and how it ended was lost");
	} else if (status > 0) {
		fail(out, FAULT_USER, "Task.Failed");
		(void)snprintf(out->text, sizeof out->text, "the program ended with status %d", status);
	} else {
		fail(out, FAULT_USER, "Task.NoResult");
		(void)snprintf(out->text, sizeof out->text, "the program ended with status 0 but sent no result");
	}
}

static void say_error(struct end_class *out, const struct end_facts *f)
{
	fail(out, f->error_fault, f->error_code);
	if (f->error_text && *f->error_text)
		out->message = f->error_text;
	else
		(void)snprintf(out->text, sizeof out->text, "the program reported an error without a message");
}

void classify_end(const struct end_facts *f, struct end_class *out)
{
	bool is_finished = f->exit_code == 0 && f->has_result;
	bool is_disqualified = f->why == STOP_PROTOCOL || f->why == STOP_LOG_FULL;

	*out = (struct end_class){ .code = "" };
	out->message = out->text;
	if (f->no_start)
		say_no_start(out, f->no_start);
	else if (f->error_code)
		say_error(out, f);
	else if (is_finished && !is_disqualified)
		out->is_success = true;
	else if (f->why != STOP_NONE)
		say_stop(out, f->why, f->why_text);
	else if (f->signal)
		say_signal(out, f->signal);
	else
		say_status(out, f->exit_code);
	must(out->is_success == (out->fault == FAULT_NONE));
}
