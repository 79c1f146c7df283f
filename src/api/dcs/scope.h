/*
 * scope: what a path and a query name, checked in the contract's order: form of the ids, project, instance.
 * Rows live in the call's arena. Loop thread only. False everywhere: something is wrong, and the answer is sent.
 */
#ifndef API_DCS_SCOPE_H
#define API_DCS_SCOPE_H

#include "api/call.h"
#include "api/dcs/format.h"
#include "api/dcs/state.h"

enum { LIMIT_DEFAULT = 10, LIMIT_MAX = 1000 };

/* Of the path's {project}: well formed, and the caller's own. */
bool scope_project(struct call *c, const char **out) NODISCARD;
/* Of the path's {project} and {instance}, which is there. */
bool scope_instance(struct call *c, struct cache_row *out) NODISCARD;
/* What its row says of the processes. */
bool scope_state(struct call *c, const struct cache_row *row, struct state *out) NODISCARD;
/* The ids of project, instance (NULL: the path has none) and {task}, well formed; nothing is looked up. */
bool scope_task_ids(struct call *c, const char **project, const char **instance, const char **task) NODISCARD;

bool scope_page(struct call *c, struct page *out) NODISCARD;
/* A span of time given as yyyyMMddHHmmss; both ends belong to it. INT64_MIN, INT64_MAX: no bound. */
struct span {
	int64_t from_ms, until_ms;
};
bool scope_span(struct call *c, struct span *out) NODISCARD;
/* "true" or "false"; absent leaves *out. */
bool scope_flag(struct call *c, const char *name, bool *out) NODISCARD;
/* A size in GB as the contract spells it, in MiB; -1: absent. */
bool scope_capacity(struct call *c, int64_t *mib) NODISCARD;
/* Who does this, for the records. */
struct actor scope_actor(const struct call *c);

#endif
