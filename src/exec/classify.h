/*
 * classify: the one place that decides what the end of an attempt means.
 * Pure, any thread. Texts in the output are borrowed from the facts or its own.
 */
#ifndef EXEC_CLASSIFY_H
#define EXEC_CLASSIFY_H

#include <stdbool.h>
#include "base/err.h"
#include "task/state.h"

/* Why the supervisor ended a child; STOP_NONE: it did not. The first reason counts. */
enum stop_why {
	STOP_NONE,
	STOP_ASKED,
	STOP_TIMEOUT,
	STOP_STALL,
	STOP_LOG_FULL,
	STOP_PROTOCOL,
	STOP_UNHEARD,
	STOP_MEMORY,
	STOP_CPU,
	STOP_DISK,
	STOP_PROCESSES,
};

struct end_facts {
	const struct err *no_start;    /* why there never was a child; NULL: there was */
	const char *error_code;        /* the child's error message, sent before any stop; NULL: none */
	const char *error_text;
	enum task_fault error_fault;
	enum stop_why why;
	const char *why_text;          /* with why: a clause such as "it ran longer than 5000 ms" */
	bool has_result;
	int exit_code, signal;         /* as struct proc_exit; -1 and 0: unknown */
};

struct end_class {
	bool is_success;
	enum task_fault fault;
	const char *code, *message;
	char text[560];                /* behind message unless that is borrowed */
};

void classify_end(const struct end_facts *f, struct end_class *out);

#endif
