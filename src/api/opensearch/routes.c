/*
 * The contract's sections 5 to 10 as data. Odd forms of the vendor's own samples (/task, /version/101,
 * /default-instances) are aliases: rows with the same operation.
 */
#include "api/opensearch/routes.h"

#include "base/attr.h"

#define APPS "/v4/openapi/app-groups"
#define APP APPS "/{app}"
#define FUNCTION APP "/functions/{function}"
#define INSTANCES FUNCTION "/instances"
#define INSTANCE INSTANCES "/{instance}"
#define TASKS INSTANCE "/tasks"
#define FUNCTIONS "/v4/openapi/functions/{function}"
#define STINT_TASK "/stint/v1/app-groups/{app}/functions/{function}/instances/{instance}/tasks/{generation}"

#define READ "opensearch:DescribeFunction", "apps/{app}"
#define WRITE "opensearch:WriteFunction", "apps/{app}"

static const struct route routes[] = {
	{ "POST", APPS, "CreateAppGroup", "opensearch:CreateAppGroup", "app-groups/*", ROUTE_SIGNED, apps_create },
	{ "GET", APPS, "ListAppGroups", "opensearch:ListAppGroup", "app-groups/*", ROUTE_SIGNED, apps_list },
	{ "GET", APP, "DescribeAppGroup", "opensearch:DescribeAppGroup", "app-groups/{app}", ROUTE_SIGNED, apps_get },
	{ "DELETE", APP, "RemoveAppGroup", "opensearch:RemoveAppGroup", "app-groups/{app}", ROUTE_SIGNED, apps_remove },

	{ "GET", FUNCTIONS "/current-version", "GetFunctionCurrentVersion", "opensearch:DescribeFunction", "*",
	  ROUTE_SIGNED, versions_current },
	{ "GET", FUNCTIONS "/versions/{version}", "GetFunctionVersion", "opensearch:DescribeFunction", "*",
	  ROUTE_SIGNED, versions_get },
	{ "GET", FUNCTIONS "/version/{version}", "GetFunctionVersion", "opensearch:DescribeFunction", "*",
	  ROUTE_SIGNED, versions_get },

	{ "POST", INSTANCES, "CreateFunctionInstance", WRITE, ROUTE_SIGNED, instances_create },
	{ "GET", INSTANCES, "ListFunctionInstances", READ, ROUTE_SIGNED, instances_list },
	{ "GET", INSTANCE, "GetFunctionInstance", READ, ROUTE_SIGNED, instances_get },
	{ "PUT", INSTANCE, "UpdateFunctionInstance", WRITE, ROUTE_SIGNED, instances_update },
	{ "DELETE", INSTANCE, "DeleteFunctionInstance", WRITE, ROUTE_SIGNED, instances_delete },

	{ "POST", TASKS, "CreateFunctionTask", WRITE, ROUTE_SIGNED, tasks_create },
	{ "POST", INSTANCE "/task", "CreateFunctionTask", WRITE, ROUTE_SIGNED, tasks_create },
	{ "GET", TASKS, "ListFunctionTasks", READ, ROUTE_SIGNED, tasks_list },
	{ "GET", TASKS "/{generation}", "GetFunctionTask", READ, ROUTE_SIGNED, tasks_get },
	{ "DELETE", TASKS "/{generation}", "DeleteFunctionTask", WRITE, ROUTE_SIGNED, tasks_delete },

	{ "GET", FUNCTION "/default-instance", "GetFunctionDefaultInstance", READ, ROUTE_SIGNED, defaults_get },
	{ "GET", FUNCTION "/default-instances", "GetFunctionDefaultInstance", READ, ROUTE_SIGNED, defaults_get },
	{ "PUT", FUNCTION "/default-instance", "UpdateFunctionDefaultInstance", WRITE, ROUTE_SIGNED, defaults_set },
	{ "PUT", FUNCTION "/default-instances", "UpdateFunctionDefaultInstance", WRITE, ROUTE_SIGNED, defaults_set },

	/* Not the vendor's: what the command line shows of a task. */
	{ "GET", STINT_TASK, "StintGetTask", READ, ROUTE_SIGNED, console_task },
	{ "GET", STINT_TASK "/log", "StintGetTaskLog", READ, ROUTE_SIGNED, console_task_log },

	{ "GET", "/healthz", "Health", "", "", ROUTE_OPEN, console_health },
	{ "HEAD", "/healthz", "Health", "", "", ROUTE_OPEN, console_health },
	{ "GET", "/readyz", "Ready", "", "", ROUTE_OPEN, console_ready },
	{ "HEAD", "/readyz", "Ready", "", "", ROUTE_OPEN, console_ready },
	{ "GET", "/metrics", "Metrics", "", "", ROUTE_OPEN, console_metrics },
	{ "HEAD", "/metrics", "Metrics", "", "", ROUTE_OPEN, console_metrics },
};

const struct route *api_routes(size_t *n)
{
	*n = ARRAY_LEN(routes);
	return routes;
}
