/*
 * routes: every operation the server knows, as one table; and the handlers the table names.
 * A handler answers exactly once (api/call.h).
 */
#ifndef API_OPENSEARCH_ROUTES_H
#define API_OPENSEARCH_ROUTES_H

#include "api/router.h"

const struct route *api_routes(size_t *n);

void apps_create(struct call *c);
void apps_get(struct call *c);
void apps_list(struct call *c);
void apps_remove(struct call *c);

void versions_current(struct call *c);
void versions_get(struct call *c);

void instances_create(struct call *c);
void instances_get(struct call *c);
void instances_list(struct call *c);
void instances_update(struct call *c);
void instances_delete(struct call *c);

void tasks_create(struct call *c);
void tasks_get(struct call *c);
void tasks_list(struct call *c);
void tasks_delete(struct call *c);

void defaults_get(struct call *c);
void defaults_set(struct call *c);

void console_health(struct call *c);
void console_ready(struct call *c);
void console_metrics(struct call *c);
void console_task(struct call *c);
void console_task_log(struct call *c);

#endif
