/*
 * scope: what a path names, looked up in the contract's order of precedence: app group, function, instance, task.
 * Rows live in the call's arena. Loop thread only.
 */
#ifndef API_OPENSEARCH_SCOPE_H
#define API_OPENSEARCH_SCOPE_H

#include "api/call.h"

/* How far to look. GENERATION only reads the number; TASK also the task's row. */
enum scope_depth { SCOPE_APP, SCOPE_FUNCTION, SCOPE_INSTANCE, SCOPE_GENERATION, SCOPE_TASK };

struct scope {
	struct app_row app;
	const char *function;
	struct instance_row instance;
	int64_t generation;
	struct task_row task;
};

/* False: something is not there, and the answer is sent. */
bool scope_find(struct call *c, enum scope_depth depth, struct scope *out) NODISCARD;
/* A path's function alone, for the operations outside of app groups: is there any such? */
bool scope_function(struct call *c, const char **out) NODISCARD;

#endif
