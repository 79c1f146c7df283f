/*
 * function: what an instance can be of, and what runs its tasks. Built-in functions are tables of the program;
 * a user's are manifests, DATA/functions.d/NAME.json (docs/functions.md):
 *   {"name":"score","modelType":"script","versionId":101,"versionName":"v1","run":["python3","/opt/score.py"],
 *    "createParameters":[{"name":"rows","type":"int","low":1,"high":1000,"default":"10","required":false,
 *                         "help":"..."}],
 *    "usageParameters":[],"timeoutSeconds":3600,"stallSeconds":600,"graceSeconds":10,"maxAttempts":3,"memoryMiB":0,
 *    "cpuSeconds":0,"diskMiB":0,"logMiB":64,"processes":0}
 * "run" is a command line (array, or a text without shell rules) or "builtin:ctr".
 * Read once at start; immutable afterwards, so any thread may use it.
 */
#ifndef ENGINE_FUNCTION_H
#define ENGINE_FUNCTION_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "task/param.h"

/* What an attempt may use; 0: no limit. All of its processes together. */
struct function_limits {
	int64_t time_s, cpu_s, memory_mib, disk_mib, log_mib, processes;
};

struct function {
	const char *name;          /* "ctr" */
	const char *model_type;    /* "tf_checkpoint" */
	const char *function_type; /* "PAAS" */
	const char *domain, *category, *language; /* "" general */
	int64_t version_id;        /* 101 */
	const char *version_name;  /* "v1" */
	const struct param_rule *create_rules, *usage_rules;
	size_t n_create_rules, n_usage_rules;
	const char *const *argv;   /* NULL-terminated; NULL for a built-in */
	const char *builtin;       /* "ctr", or NULL */
	bool is_internal;          /* not offered: functions_find and functions_any pass it over */
	int64_t stall_ms, grace_ms;
	struct function_limits limits;
	int max_attempts;
};

struct functions;

/* Built-ins plus the manifests of dir (absent folder: none). RC_INVALID names the file and the fault. */
/* bounds: where a function says nothing, its limits; where it says more, they hold all the same. NULL: none. */
enum rc functions_load(const char *dir, const struct function_limits *bounds, struct functions **out,
		       struct err *err) NODISCARD;
void functions_free(struct functions *f);
/* NULL when there is none. model_type, function_type NULL match any (the first). */
const struct function *functions_find(const struct functions *f, const char *name, const char *model_type,
				      const char *function_type, const char *domain, const char *category);
const struct function *functions_by_version(const struct functions *f, const char *name, int64_t version_id);
/* Is there any function of this name? */
const struct function *functions_any(const struct functions *f, const char *name);

#endif
