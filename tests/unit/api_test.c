/* The OpenSearch dialect by itself, over a real engine, store and children (dialect.h). */
#include "dialect.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "api/figures.h"
#include "api/opensearch/body.h"
#include "api/opensearch/envelope.h"
#include "api/opensearch/errors.h"
#include "api/opensearch/query.h"
#include "api/opensearch/routes.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/rand.h"
#include "os/file.h"
#include "sign/acs3.h"

enum { ARENA_SIZE = 1 << 20 };

/* ---- pure parts ---- */

static void write_thing(struct jw *w, const void *subject)
{
	jw_object(w);
	jw_kv_text(w, "thingName", subject);
	jw_end_object(w);
}

static void write_things(struct jw *w, const void *subject)
{
	jw_array(w);
	write_thing(w, subject);
	jw_end_array(w);
}

static void write_members(struct jw *w, const void *subject) { jw_kv_text(w, "thingName", subject); }

#define CAMEL_HEAD                                                                                                     \
	"\"status\":\"OK\",\"requestId\":\"ID\",\"httpCode\":200,\"code\":\"\",\"message\":\"\",\"latency\":12"
#define PASCAL_HEAD                                                                                                    \
	"\"Status\":\"OK\",\"RequestId\":\"ID\",\"HttpCode\":200,\"Code\":\"\",\"Message\":\"\",\"Latency\":12"
#define CAMEL_FAIL                                                                                                     \
	"\"status\":\"FAIL\",\"requestId\":\"ID\",\"httpCode\":409,\"code\":\"A.B\",\"message\":\"no "                 \
	"\\\"x\\\"\",\"latency\":12"
#define PASCAL_FAIL                                                                                                    \
	"\"Status\":\"FAIL\",\"RequestId\":\"ID\",\"HttpCode\":409,\"Code\":\"A.B\",\"Message\":\"no "                 \
	"\\\"x\\\"\",\"Latency\":12"

TEST(envelopes_are_the_contracts_to_the_byte)
{
	static const int64_t total = 7;
	const struct {
		void (*write)(struct buf *, const struct envelope *);
		struct envelope e;
		const char *text;
	} row[] = {
		{ envelope_function,
		  { .http_code = 200, .code = "", .message = "" },
		  "{" CAMEL_HEAD ",\"result\":{}," PASCAL_HEAD "}" },
		{ envelope_function,
		  { .http_code = 200, .code = "", .message = "", .result = write_thing, .subject = "x" },
		  "{" CAMEL_HEAD ",\"result\":{\"thingName\":\"x\"}," PASCAL_HEAD
		  ",\"Result\":{\"ThingName\":\"x\"}}" },
		{ envelope_function,
		  { .http_code = 200,
		    .code = "",
		    .message = "",
		    .result = write_things,
		    .subject = "x",
		    .total = &total },
		  "{" CAMEL_HEAD ",\"totalCount\":7,\"result\":[{\"thingName\":\"x\"}]," PASCAL_HEAD
		  ",\"TotalCount\":7,\"Result\":[{\"ThingName\":\"x\"}]}" },
		{ envelope_function,
		  { .http_code = 200,
		    .code = "",
		    .message = "",
		    .result = write_thing,
		    .members = write_members,
		    .subject = "x" },
		  "{" CAMEL_HEAD ",\"thingName\":\"x\",\"result\":{\"thingName\":\"x\"}," PASCAL_HEAD
		  ",\"ThingName\":\"x\",\"Result\":{\"ThingName\":\"x\"}}" },
		{ envelope_app,
		  { .http_code = 200,
		    .code = "",
		    .message = "",
		    .result = write_things,
		    .subject = "x",
		    .total = &total },
		  "{\"requestId\":\"ID\",\"totalCount\":7,\"result\":[{\"thingName\":\"x\"}]}" },
		{ envelope_error,
		  { .http_code = 409, .code = "A.B", .message = "no \"x\"" },
		  "{" CAMEL_FAIL "," PASCAL_FAIL "}" },
	};
	FOR_EACH_ROW(i, row) {
		struct buf out;
		struct envelope e = row[i].e;
		e.request_id = "ID";
		e.latency_ms = 12;
		buf_init(&out, 4096);
		row[i].write(&out, &e);
		EXPECT(strcmp(buf_text(&out), row[i].text) == 0, "row %zu:\n%s\n%s", i, buf_text(&out), row[i].text);
		buf_fini(&out);
	}
}

TEST(every_refusal_of_the_engine_has_a_code)
{
	const struct {
		enum verdict verdict;
		const char *code;
		int http;
	} row[] = {
		{ V_NO_APP, "App.NotFound", 404 },
		{ V_APP_EXISTS, "App.Duplicated", 409 },
		{ V_NO_FUNCTION, "Version.NotExist", 404 },
		{ V_NO_INSTANCE, "Instance.NotExist", 404 },
		{ V_INSTANCE_EXISTS, "Instance.Duplicated", 409 },
		{ V_INSTANCE_BUSY, "Task.IsRunning", 409 },
		{ V_NO_TASK, "Task.NotExist", 404 },
		{ V_TASK_UNFINISHED, "Task.UnableDelete", 409 },
		{ V_NO_DEFAULT, "DefaultInstance.NotExist", 404 },
		{ V_DEFAULT_REFUSED, "DefaultInstance.SetFail", 400 },
		{ V_BAD_INPUT, "InvalidParameter", 400 },
		{ V_TOO_MANY, "OutOfRange", 400 },
		{ V_UNAVAILABLE, "ServiceUnavailable", 503 },
		{ V_FAILED, "InternalError", 500 },
	};
	FOR_EACH_ROW(i, row) {
		enum api_error e = api_error_of_verdict(row[i].verdict);
		EXPECT(strcmp(api_error_code(e), row[i].code) == 0, "%s is %s", verdict_name(row[i].verdict),
		       api_error_code(e));
		EXPECT(api_error_http(e) == row[i].http, "%s is %d", row[i].code, api_error_http(e));
		EXPECT(*api_error_message(e), "%s says nothing", row[i].code);
	}
	EXPECT(!verdict_tells_why(V_FAILED), "an internal failure's words would reach the client");
}

TEST(the_servers_own_refusals_have_a_code)
{
	const struct {
		int status;
		const char *code;
	} row[] = { { 400, "InvalidRequest" },   { 408, "InvalidRequest" },   { 413, "InvalidParameter" },
		    { 414, "InvalidParameter" }, { 417, "InvalidRequest" },   { 431, "InvalidParameter" },
		    { 500, "InternalError" },    { 501, "InvalidRequest" },   { 503, "ServiceUnavailable" },
		    { 505, "InvalidRequest" } };
	FOR_EACH_ROW(i, row) {
		const char *code = api_error_code(api_error_of_status(row[i].status));
		EXPECT(strcmp(code, row[i].code) == 0, "%d is %s", row[i].status, code);
	}
}

TEST(queries_decode_and_the_first_value_counts)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct query_args q;
	struct err err = { 0 };
	const struct {
		const char *name, *value;
	} row[] = {
		{ "a", "x y" },       { "b", "1+1=2" },   { "tags", "[{\"key\":\"foo\"}]" },
		{ "twice", "first" }, { "empty", NULL },  { "bare", NULL },
		{ "A", NULL },        { "absent", NULL }, { "na me", "v" },
	};
	EXPECT(query_parse("a=x+y&b=1%2B1=2&&tags=%5B%7B%22key%22%3A%22foo%22%7D%5D&twice=first&twice=second&empty=&"
	                   "bare&na%20me=v",
	                   a, &q, &err) == RC_OK,
	       "%s", err.msg);
	FOR_EACH_ROW(i, row) {
		const char *value = query_text(&q, row[i].name);
		EXPECT(row[i].value ? value && strcmp(value, row[i].value) == 0 : !value, "%s is %s", row[i].name,
		       value);
	}
}

TEST(bad_queries_are_refused_with_name_and_rule)
{
	const struct {
		const char *query, *says;
	} row[] = {
		{ "pageNumber=0", "pageNumber must be an integer of at least 1, not '0'" },
		{ "pageNumber=-1", "pageNumber" },
		{ "pageNumber=abc", "not 'abc'" },
		{ "pageNumber=", "pageNumber" },
		{ "pageNumber=1.5", "pageNumber" },
		{ "pageNumber=+1", "pageNumber" },
		{ "pageNumber=99999999999999999999", "pageNumber" },
		{ "pageSize=0", "pageSize must be an integer from 1 to 100" },
		{ "pageSize=101", "pageSize" },
		{ "pageSize=ten", "pageSize" },
		{ "pageSize", "pageSize" },
		{ "status=pending", "status must be one of success|failed|running, not 'pending'" },
		{ "status=succes", "status" },
		{ "status=success%7Cfailed", "status" },
		{ "time=now", "time must be an integer, not 'now'" },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		struct query_args q;
		struct page page = { .offset = 7, .limit = 8 };
		int status = 42;
		int64_t time = 43;
		struct err err = { 0 };
		EXPECT(query_parse(row[i].query, a, &q, &err) == RC_OK, "%s", err.msg);
		enum rc rc = query_page(&q, 10, &page, &err);
		if (!rc)
			rc = query_choice(&q, "status", "success|failed|running", &status, &err);
		if (!rc)
			rc = query_int(&q, "time", INT64_MIN, INT64_MAX, &time, &err);
		EXPECT(rc == RC_INVALID, "%s was taken", row[i].query);
		EXPECT(strstr(err.msg, row[i].says), "%s: said '%s'", row[i].query, err.msg);
		EXPECT(status == 42 && time == 43, "%s: output touched", row[i].query);
		EXPECT(page.limit == (strncmp(row[i].query, "page", 4) == 0 ? 8 : 10), "%s: page touched",
		       row[i].query);
	}
}

TEST(pages_become_offset_and_limit)
{
	const struct {
		const char *query;
		int64_t offset, limit;
	} row[] = {
		{ "", 0, 10 },
		{ "pageSize=100", 0, 100 },
		{ "pageNumber=3", 20, 10 },
		{ "pageNumber=3&pageSize=7", 14, 7 },
		{ "pageNumber=9223372036854775807&pageSize=100", INT64_MAX - 100, 100 },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		struct query_args q;
		struct page page = { 0 };
		EXPECT(query_parse(row[i].query, a, &q, NULL) == RC_OK && query_page(&q, 10, &page, NULL) == RC_OK,
		       "%s", row[i].query);
		EXPECT(page.offset == row[i].offset && page.limit == row[i].limit, "%s: %lld, %lld", row[i].query,
		       (long long)page.offset, (long long)page.limit);
	}
}

TEST(queries_have_limits)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE), *small CLEANUP(arena_freep) = arena_new(8);
	struct query_args q = { .n = 99 };
	struct err err = { 0 };
	char many[2 * (QUERY_ARGS_MAX + 1) + 1] = "";

	for (size_t i = 0; i < sizeof many - 1; i++)
		many[i] = i % 2 ? '&' : 'a';
	EXPECT(query_parse(many, a, &q, &err) == RC_INVALID && strstr(err.msg, "64 values"), "%s", err.msg);
	EXPECT(query_parse("a=%00", a, &q, &err) == RC_INVALID && strstr(err.msg, "NUL"), "%s", err.msg);
	EXPECT(query_parse("a=1", small, &q, &err) == RC_LIMIT, "%s", err.msg);
	EXPECT(q.n == 99, "output touched");
}

TEST(bodies_are_objects_in_either_casing)
{
	const struct {
		const char *body;
		const char *name; /* of member instanceName; NULL: absent */
	} row[] = {
		{ "", NULL },
		{ " \r\n\t", NULL },
		{ "{}", NULL },
		{ "{\"instanceName\":null}", NULL },
		{ "{\"instanceName\":\"a\"}", "a" },
		{ "{\"InstanceName\":\"b\",\"more\":[1]}", "b" },
		{ "{\"InstanceName\":\"b\",\"instanceName\":\"a\"}", "a" },
		{ "{\"instanceName\":\"\"}", "" },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		const json_t *body;
		const char *name = "?";
		struct err err = { 0 };
		EXPECT(body_parse(row[i].body, strlen(row[i].body), BODY_OPTIONAL, a, &body, &err) == RC_OK, "%s: %s",
		       row[i].body, err.msg);
		EXPECT(body_text(body, "instanceName", &name, &err) == RC_OK, "%s: %s", row[i].body, err.msg);
		EXPECT(row[i].name ? name && strcmp(name, row[i].name) == 0 : !name, "%s gave %s", row[i].body, name);
	}
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	const json_t *body = NULL;
	struct err err = { 0 };
	EXPECT(body_parse(NULL, 0, BODY_REQUIRED, a, &body, &err) == RC_INVALID && !body,
	       "nothing was taken for a body");
	EXPECT(strstr(err.msg, "empty"), "said %s", err.msg);
	EXPECT(body_parse(NULL, 0, BODY_OPTIONAL, a, &body, &err) == RC_OK && json_is_object(body), "%s", err.msg);
}

TEST(parameter_lists_are_read_or_refused_by_name)
{
	const struct {
		const char *body;
		bool is_set;
		size_t n;
		const char *says; /* NULL: taken */
	} row[] = {
		{ "{}", false, 0, NULL },
		{ "{\"createParameters\":null}", false, 0, NULL },
		{ "{\"createParameters\":[]}", true, 0, NULL },
		{ "{\"createParameters\":[{\"name\":\"a\",\"value\":\"1\"},{\"Name\":\"b\",\"Value\":\"\"}]}", true, 2,
		  NULL },
		{ "{\"CreateParameters\":[{\"name\":\"a\",\"Value\":\"\"}]}", true, 1, NULL },
		{ "{\"createParameters\":[{\"name\":\"a\",\"val\":\"5\"}]}", false, 0,
		  "createParameters[0]: value must be present" },
		{ "{\"createParameters\":{}}", false, 0, "createParameters must be an array" },
		{ "{\"createParameters\":\"[]\"}", false, 0, "createParameters must be an array" },
		{ "{\"createParameters\":[1]}", false, 0, "createParameters[0]" },
		{ "{\"createParameters\":[{\"name\":\"a\",\"value\":\"\"},{\"value\":\"x\"}]}", false, 0,
		  "createParameters[1]: name" },
		{ "{\"createParameters\":[{\"name\":\"a\",\"value\":5}]}", false, 0, "value must be a string" },
		{ "{\"createParameters\":[{\"name\":5}]}", false, 0, "name must be a string" },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		const json_t *body;
		struct body_params params = { .n = 99 };
		struct err err = { 0 };
		EXPECT(body_parse(row[i].body, strlen(row[i].body), BODY_OPTIONAL, a, &body, &err) == RC_OK, "%s: %s",
		       row[i].body, err.msg);
		enum rc rc = body_params(body, "createParameters", a, &params, &err);
		EXPECT(rc == (row[i].says ? RC_INVALID : RC_OK), "%s: %s", row[i].body, err.msg);
		if (row[i].says) {
			EXPECT(strstr(err.msg, row[i].says), "%s: said '%s'", row[i].body, err.msg);
			EXPECT(params.n == 99, "%s: output touched", row[i].body);
		} else {
			EXPECT(params.is_set == row[i].is_set && params.n == row[i].n, "%s: %zu", row[i].body,
			       params.n);
		}
	}
}

/* ---- the table of operations ---- */

static enum route_verdict find(const char *method, const char *raw_path, const struct route **out,
                               struct path_args *args, char methods[ROUTE_METHODS_SIZE], struct arena *a)
{
	struct path path = { 0 };
	struct err err = { 0 };
	size_t n;
	const struct route *routes = api_routes(&n);

	EXPECT(path_split(raw_path, a, &path, &err) == RC_OK, "%s: %s", raw_path, err.msg);
	struct route_index *x = route_index_new(routes, n);
	enum route_verdict verdict = route_find(x, method, &path, out, args, methods);
	route_index_free(x);
	return verdict;
}

#define F "/v4/openapi/app-groups/my-app/functions/ctr"

TEST(every_documented_path_finds_its_operation)
{
	const struct {
		const char *method, *path, *operation, *action;
	} row[] = {
		{ "POST", "/v4/openapi/app-groups", "CreateAppGroup", "opensearch:CreateAppGroup" },
		{ "GET", "/v4/openapi/app-groups", "ListAppGroups", "opensearch:ListAppGroup" },
		{ "GET", "/v4/openapi/app-groups/my-app", "DescribeAppGroup", "opensearch:DescribeAppGroup" },
		{ "DELETE", "/v4/openapi/app-groups/my-app", "RemoveAppGroup", "opensearch:RemoveAppGroup" },
		{ "GET", "/v4/openapi/functions/ctr/current-version", "GetFunctionCurrentVersion",
		  "opensearch:DescribeFunction" },
		{ "GET", "/v4/openapi/functions/ctr/versions/101", "GetFunctionVersion",
		  "opensearch:DescribeFunction" },
		{ "GET", "/v4/openapi/functions/ctr/version/101", "GetFunctionVersion", "opensearch:DescribeFunction" },
		{ "POST", F "/instances", "CreateFunctionInstance", "opensearch:WriteFunction" },
		{ "GET", F "/instances", "ListFunctionInstances", "opensearch:DescribeFunction" },
		{ "GET", F "/instances/ctr_test", "GetFunctionInstance", "opensearch:DescribeFunction" },
		{ "PUT", F "/instances/ctr_test", "UpdateFunctionInstance", "opensearch:WriteFunction" },
		{ "DELETE", F "/instances/ctr_test", "DeleteFunctionInstance", "opensearch:WriteFunction" },
		{ "POST", F "/instances/ctr_test/tasks", "CreateFunctionTask", "opensearch:WriteFunction" },
		{ "POST", F "/instances/ctr_test/task", "CreateFunctionTask", "opensearch:WriteFunction" },
		{ "GET", F "/instances/ctr_test/tasks", "ListFunctionTasks", "opensearch:DescribeFunction" },
		{ "GET", F "/instances/ctr_test/tasks/3", "GetFunctionTask", "opensearch:DescribeFunction" },
		{ "DELETE", F "/instances/ctr_test/tasks/1", "DeleteFunctionTask", "opensearch:WriteFunction" },
		{ "GET", F "/default-instance", "GetFunctionDefaultInstance", "opensearch:DescribeFunction" },
		{ "GET", F "/default-instances", "GetFunctionDefaultInstance", "opensearch:DescribeFunction" },
		{ "PUT", F "/default-instance", "UpdateFunctionDefaultInstance", "opensearch:WriteFunction" },
		{ "PUT", F "/default-instances", "UpdateFunctionDefaultInstance", "opensearch:WriteFunction" },
		{ "HEAD", "/healthz", "Health", "" },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		const struct route *route = NULL;
		struct path_args args;
		char methods[ROUTE_METHODS_SIZE];
		EXPECT(find(row[i].method, row[i].path, &route, &args, methods, a) == ROUTE_FOUND, "%s %s",
		       row[i].method, row[i].path);
		if (!route)
			continue;
		EXPECT(strcmp(route->operation, row[i].operation) == 0, "%s %s is %s", row[i].method, row[i].path,
		       route->operation);
		EXPECT(strcmp(route->action, row[i].action) == 0, "%s needs %s", route->operation, route->action);
	}
}

TEST(other_methods_and_paths_are_told_apart)
{
	const struct {
		const char *method, *path;
		enum route_verdict verdict;
		const char *methods;
	} row[] = {
		{ "PATCH", F "/instances/ctr_test", ROUTE_NO_METHOD, "GET, PUT, DELETE" },
		{ "PUT", F "/instances/ctr_test/tasks/1", ROUTE_NO_METHOD, "GET, DELETE" },
		{ "GET", F "/instances/ctr_test/task", ROUTE_NO_METHOD, "POST" },
		{ "get", "/healthz", ROUTE_NO_METHOD, "GET, HEAD" },
		{ "HEAD", F "/instances", ROUTE_NO_METHOD, "POST, GET" },
		{ "GET", F "/resources", ROUTE_NO_PATH, "" },
		{ "GET", "/v4/openapi/app-groups/a/data-collections", ROUTE_NO_PATH, "" },
		{ "GET", "/", ROUTE_NO_PATH, "" },
	};
	FOR_EACH_ROW(i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		const struct route *route = NULL;
		struct path_args args;
		char methods[ROUTE_METHODS_SIZE];
		EXPECT(find(row[i].method, row[i].path, &route, &args, methods, a) == row[i].verdict, "%s %s",
		       row[i].method, row[i].path);
		EXPECT(strcmp(methods, row[i].methods) == 0, "%s has '%s'", row[i].path, methods);
	}
}

TEST(the_table_is_complete)
{
	size_t n;
	const struct route *routes = api_routes(&n);

	check_routes(routes, n);
}

/* ---- fixture ---- */

/* A function whose run says 40 percent, waits at a gate, and then ends as its parameter wants. */
static const char script[] = "echo '{\"metric\":\"logloss\",\"step\":1,\"value\":0.7,\"set\":\"validation\"}' >&3; "
                             "echo '{\"metric\":\"logloss\",\"step\":2,\"value\":0.44,\"set\":\"validation\"}' >&3; "
                             "echo '{\"metric\":\"logloss\",\"step\":9,\"value\":0.6,\"set\":\"training\"}' >&3; "
                             "echo '{\"metric\":\"auc\",\"step\":9,\"value\":0.7,\"set\":\"training\"}' >&3; "
                             "echo '{\"metric\":\"rate\",\"step\":3,\"value\":9}' >&3; "
                             "echo '{\"progress\":40}' >&3; echo hello from the run; read word < %s/gate; "
                             "if [ \"$word\" = fail ]; then echo '{\"error\":{\"code\":\"Data.Empty\",\"message\":\"no "
                             "rows\"}}' >&3; exit 1; fi; echo '{\"result\":{\"recall\":91,\"auc\":0.85}}' >&3";

static void write_function(void)
{
	struct buf text, command;
	struct jw w;
	char path[4200];

	(void)snprintf(path, sizeof path, "%s/functions.d", data_dir);
	EXPECT(dir_make(path, 0700, NULL) == RC_OK, "functions.d");
	(void)snprintf(path, sizeof path, "%s/gate", data_dir);
	EXPECT(mkfifo(path, 0600) == 0, "gate");
	buf_init(&command, 8192);
	buf_addf(&command, script, data_dir);
	buf_init(&text, 65536);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "name", "score");
	jw_kv_text(&w, "modelType", "script");
	jw_kv_int(&w, "maxAttempts", 1);
	jw_key(&w, "run");
	jw_array(&w);
	jw_text(&w, "/bin/sh");
	jw_text(&w, "-c");
	jw_text(&w, buf_text(&command));
	jw_end_array(&w);
	jw_key(&w, "createParameters");
	jw_raw(&w, "[{\"name\":\"rows\",\"type\":\"int\",\"low\":1,\"high\":1000,\"default\":\"10\",\"help\":\"Rows to "
	           "read.\"},{\"name\":\"source\",\"type\":\"text\",\"required\":true,\"help\":\"Where from.\"},"
	           "{\"name\":\"mode\",\"type\":\"choice\",\"choices\":\"fast|exact\",\"default\":\"fast\",\"help\":"
	           "\"How.\"}]");
	jw_end_object(&w);
	write_file("functions.d/score.json", buf_text(&text), 0600);
	buf_fini(&text);
	buf_fini(&command);
}

static void begin(enum auth_mode auth, int max_running)
{
	struct dialect_setup setup = {
		.auth = auth, .max_running = max_running, .threads = 2, .id_header = "x-acs-request-id"
	};

	dialect_make_dir();
	write_function();
	dialect_start(&setup);
}

/* ---- requests ---- */

static int call(const char *method, const char *target, const char *body)
{
	struct request r = { .method = method, .target = target, .body = body };
	return send_request(&r);
}

/* The last answer is this error, in both casings, with a status equal to its HttpCode. */
static void expect_error(const char *what, int status, const char *code)
{
	char number[16];

	(void)snprintf(number, sizeof number, "%d", status);
	EXPECT(seen.status == status, "%s: %d %s", what, seen.status, buf_text(&seen.body));
	EXPECT(strcmp(seen.content_type, "application/json;charset=utf-8") == 0, "%s: %s", what, seen.content_type);
	EXPECT(strcmp(at("Code"), code) == 0 && strcmp(at("code"), code) == 0, "%s: %s", what, buf_text(&seen.body));
	EXPECT(strcmp(at("HttpCode"), number) == 0 && strcmp(at("httpCode"), number) == 0, "%s: %s", what,
	       at("HttpCode"));
	EXPECT(strcmp(at("Status"), "FAIL") == 0 && strcmp(at("status"), "FAIL") == 0, "%s: %s", what, at("Status"));
	EXPECT(strlen(at("Message")) > 5 && strcmp(at("Message"), at("message")) == 0, "%s: %s", what, at("Message"));
	EXPECT(strlen(at("RequestId")) == 36 && strcmp(at("RequestId"), at("requestId")) == 0, "%s", what);
	EXPECT(strcmp(at("Result"), "-") == 0 && strcmp(at("result"), "-") == 0, "%s: a result beside an error", what);
}

/* The last answer is a writing operation's bare envelope. */
static void expect_written(const char *what)
{
	EXPECT(seen.status == 200, "%s: %d %s", what, seen.status, buf_text(&seen.body));
	EXPECT_AT("Status", "OK");
	EXPECT_AT("status", "OK");
	EXPECT_AT("Code", "");
	EXPECT_AT("result", "{}");
	EXPECT_AT("Result", "-");
}

#define APPS "/v4/openapi/app-groups"
#define SCORE APPS "/my-app/functions/score"
#define ONE SCORE "/instances/score_test"
#define CREATE_APP                                                                                                     \
	"{\"name\":\"my-app\",\"type\":\"enhanced\",\"quota\":{\"docSize\":1,\"computeResource\":20,\"spec\":"         \
	"\"opensearch.share.common\"}}"
#define CREATE_ONE                                                                                                     \
	"{\"instanceName\":\"score_test\",\"modelType\":\"script\",\"description\":\"test instance\","                 \
	"\"createParameters\":[{\"name\":\"source\",\"value\":\"here\"},{\"name\":\"rows\",\"value\":\"\"}],\"cron\":" \
	"\"0 0 ? * 0,1\"}"

static void make_app_and_instance(void)
{
	EXPECT(call("POST", APPS, CREATE_APP) == 200, "%s", buf_text(&seen.body));
	EXPECT(call("POST", SCORE "/instances", CREATE_ONE) == 200, "%s", buf_text(&seen.body));
	expect_written("create instance");
}

/* Let the waiting run end; it opens the gate for reading itself. */
static void open_gate(const char *word)
{
	char path[4200];

	(void)snprintf(path, sizeof path, "%s/gate", data_dir);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word), "gate");
	(void)close(fd);
}

/* ---- the contract, end to end ---- */

TEST(the_worked_exchange_of_the_contract)
{
	begin(AUTH_OFF, 2);
	make_app_and_instance();
	EXPECT(call("GET", ONE "?output=detail", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("Result/Status", "unavailable");
	EXPECT_AT("Result/Task", "-");
	EXPECT_AT("Result/ExtendInfo", "{\"dataReport\":{},\"errors\":{}}");

	call("POST", ONE "/tasks", NULL);
	expect_written("create task");
	call("POST", ONE "/tasks", NULL);
	expect_error("second task", 409, "Task.IsRunning");
	call("POST", ONE "/task", "{}");
	expect_error("second task by its alias", 409, "Task.IsRunning");

	poll_until(ONE "/tasks/1", "Result/Progress", "40");
	EXPECT_AT("Result/Status", "running");
	EXPECT_AT("result/status", "running");
	EXPECT_AT("Result/EndTime", "0");
	EXPECT_AT("Result/Generation", "1");
	EXPECT(json_is_string(json_object_get(json_object_get(seen.json, "Result"), "Generation")), "a number");
	EXPECT_AT("Result/FunctionName", "score");
	EXPECT(strncmp(at("Result/RunId"), "trigger__", 9) == 0, "run id %s", at("Result/RunId"));
	EXPECT_AT("Result/ExtendInfo", "{\"metrics\":{\"rate\":9,\"training.auc\":0.7,\"training.logloss\":0.6,"
	                               "\"validation.logloss\":0.44},\"attempts\":1,\"errors\":[]}");
	call("GET", ONE "?output=detail", NULL);
	EXPECT_AT("Result/Task/DagStatus", "running");

	call("DELETE", ONE "/tasks/1", NULL);
	expect_error("delete in progress", 409, "Task.UnableDelete");
	call("DELETE", ONE, NULL);
	expect_error("delete busy instance", 409, "Task.IsRunning");
	call("DELETE", APPS "/my-app", NULL);
	expect_error("remove busy group", 409, "Task.IsRunning");

	open_gate("go\n");
	poll_until(ONE "/tasks/1", "Result/Status", "success");
	EXPECT_AT("Result/Progress", "100");
	EXPECT_AT("Result/ExtendInfo", "{\"recall\":91,\"auc\":0.85,\"errors\":[]}");
	EXPECT(strtoll(at("Result/EndTime"), NULL, 10) > strtoll(at("Result/StartTime"), NULL, 10), "%s", at("Result"));
	call("GET", ONE, NULL);
	EXPECT_AT("Result/Status", "available");

	call("GET", SCORE "/default-instance", NULL);
	expect_error("no default yet", 404, "DefaultInstance.NotExist");
	call("PUT", SCORE "/default-instance", "{\"instanceName\":\"score_test\"}");
	expect_written("set default");
	EXPECT(call("GET", SCORE "/default-instances", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("Result/InstanceName", "score_test");
	EXPECT_AT("InstanceName", "score_test");
	EXPECT_AT("functionName", "score");
	call("PUT", SCORE "/default-instance", "{\"instanceName\":\"other\"}");
	expect_error("default of nothing", 400, "DefaultInstance.SetFail");

	const char *not_one[] = { "01", "001", "1.0", "%2B1", "1%20", "0x1", "-1", "11" };
	FOR_EACH_ROW(i, not_one) {
		char target[256];
		(void)snprintf(target, sizeof target, ONE "/tasks/%s", not_one[i]);
		call("GET", target, NULL);
		expect_error(target, 404, "Task.NotExist");
		call("DELETE", target, NULL);
		expect_error(target, 404, "Task.NotExist");
	}
	call("DELETE", ONE "/tasks/1", NULL);
	expect_written("delete task");
	call("GET", ONE "/tasks/1", NULL);
	expect_error("deleted task", 404, "Task.NotExist");
	call("GET", ONE "?output=detail", NULL);
	EXPECT_AT("Result/Status", "available");
	EXPECT_AT("Result/Task/DagStatus", "untrained");
	dialect_end();
}

TEST(a_failed_run_says_why_and_leaves_the_instance_as_it_was)
{
	begin(AUTH_OFF, 2);
	make_app_and_instance();
	call("POST", ONE "/tasks", "{}");
	expect_written("create task");
	open_gate("fail\n");
	poll_until(ONE "/tasks/1", "Result/Status", "failed");
	EXPECT_AT("Result/Progress", "40");
	EXPECT_AT("Result/ExtendInfo", "{\"errors\":[{\"code\":\"Data.Empty\",\"message\":\"no rows\"}]}");
	call("GET", ONE "?output=detail", NULL);
	EXPECT_AT("Result/Status", "unavailable");
	EXPECT_AT("Result/Task/DagStatus", "failed");

	/* Our own view of the same task. */
	EXPECT(call("GET", "/stint/v1/app-groups/my-app/functions/score/instances/score_test/tasks/1", NULL) == 200,
	       "%s", buf_text(&seen.body));
	EXPECT_AT("state", "failed");
	EXPECT_AT("errorCode", "Data.Empty");
	EXPECT_AT("errorMessage", "no rows");
	EXPECT_AT("fault", "user");
	EXPECT_AT("maxAttempts", "1");
	EXPECT_AT("params/source", "here");
	EXPECT_AT("metrics/1/value", "0.44");
	EXPECT_AT("metrics/1/set", "validation");
	EXPECT_AT("events/0/kind", "queued");

	const struct {
		const char *query, *text, *next;
	} row[] = { { "", "hello from the run\n", "19" },
		    { "?offset=6", "from the run\n", "19" },
		    { "?offset=19", "", "19" },
		    { "?offset=1000", "", "1000" } };
	FOR_EACH_ROW(i, row) {
		char target[256];
		(void)snprintf(target, sizeof target,
		               "/stint/v1/app-groups/my-app/functions/score/instances/score_test/tasks/1/log%s",
		               row[i].query);
		EXPECT(call("GET", target, NULL) == 200, "%s: %d", target, seen.status);
		EXPECT(strcmp(buf_text(&seen.body), row[i].text) == 0, "%s: %s", target, buf_text(&seen.body));
		EXPECT(strcmp(seen_header("x-stint-next-offset"), row[i].next) == 0, "%s: next %s", target,
		       seen_header("x-stint-next-offset"));
		EXPECT(strncmp(seen.content_type, "text/plain", 10) == 0, "%s", seen.content_type);
	}
	call("GET", "/stint/v1/app-groups/my-app/functions/score/instances/score_test/tasks/1/log?offset=-1", NULL);
	expect_error("negative offset", 400, "InvalidParameter");
	dialect_end();
}

TEST(queued_runs_show_as_running)
{
	begin(AUTH_OFF, /* max_running: */ 0);
	make_app_and_instance();
	call("POST", ONE "/tasks", NULL);
	expect_written("create task");
	call("GET", ONE "/tasks/1", NULL);
	EXPECT_AT("Result/Status", "running");
	EXPECT_AT("Result/Progress", "0");
	EXPECT_AT("Result/EndTime", "0");
	call("GET", ONE "?output=detail", NULL);
	EXPECT_AT("Result/Task/DagStatus", "pending");
	EXPECT_AT("Result/Task/LastRunTime", "0");
	call("GET", ONE "/tasks?status=running", NULL);
	EXPECT_AT("TotalCount", "1");
	EXPECT_AT("Result/0/Generation", "1");
	call("GET", ONE "/tasks?status=success", NULL);
	EXPECT_AT("TotalCount", "0");
	EXPECT_AT("Result", "[]");
	call("GET", ONE "/tasks?endTime=99999999999999", NULL);
	EXPECT_AT("TotalCount", "0");

	/* Its start is its creation, in the answer and in the filter alike. */
	call("GET", ONE "/tasks/1", NULL);
	const int64_t created_at = strtoll(at("Result/StartTime"), NULL, 10);
	EXPECT(llabs(created_at - clock_wall_ms()) < 600000, "starts at %lld", (long long)created_at);
	const struct {
		int64_t after;
		const char *more, *total, *first;
	} row[] = {
		{ created_at - 1, "", "1", "1" },
		{ created_at, "", "0", "-" },
		{ -1, "&pageSize=10", "1", "1" },
		{ INT64_MIN + 1, "", "1", "1" },
		{ created_at - 1, "&status=running&pageSize=10", "1", "1" },
		{ created_at - 1, "&status=success", "0", "-" },
		{ created_at - 1, "&pageNumber=2", "1", "-" },
		{ created_at - 1, "&endTime=99999999999999", "0", "-" },
	};
	FOR_EACH_ROW(i, row) {
		char target[256];
		(void)snprintf(target, sizeof target, ONE "/tasks?startTime=%lld%s", (long long)row[i].after,
			       row[i].more);
		EXPECT(call("GET", target, NULL) == 200, "%s: %s", target, buf_text(&seen.body));
		EXPECT(strcmp(at("TotalCount"), row[i].total) == 0 &&
			       strcmp(at("Result/0/Generation"), row[i].first) == 0,
		       "%s: %s", target, buf_text(&seen.body));
		EXPECT_AT("Result/1", "-");
	}
	dialect_end();
}

/* A page that begins with the run that waits, or goes on behind it. */
TEST(a_waiting_run_stands_in_front_of_the_filtered_list)
{
	begin(AUTH_OFF, 1);
	make_app_and_instance();
	for (int i = 1; i <= 2; i++) {
		char target[256];
		call("POST", ONE "/tasks", NULL);
		open_gate("go\n");
		(void)snprintf(target, sizeof target, ONE "/tasks/%d", i);
		poll_until(target, "Result/Status", "success");
	}
	call("POST", SCORE "/instances", "{\"instanceName\":\"other\",\"modelType\":\"script\","
	                                 "\"createParameters\":[{\"name\":\"source\",\"value\":\"here\"}]}");
	expect_written("another instance");
	call("POST", SCORE "/instances/other/tasks", NULL);
	poll_until(SCORE "/instances/other/tasks/1", "Result/Progress", "40");
	call("POST", ONE "/tasks", NULL);
	expect_written("a run that waits");
	const struct {
		const char *query, *total, *first, *second, *third;
	} row[] = {
		{ "?startTime=1&pageSize=10", "3", "3", "2", "1" },
		{ "?startTime=1&pageSize=2", "3", "3", "2", "-" },
		{ "?startTime=1&pageSize=2&pageNumber=2", "3", "1", "-", "-" },
		{ "?startTime=1", "3", "3", "-", "-" },
		{ "?startTime=1&pageNumber=2", "3", "2", "-", "-" },
		{ "?startTime=1&pageNumber=4", "3", "-", "-", "-" },
		{ "?startTime=-1&pageSize=10", "3", "3", "2", "1" },
		{ "?startTime=99999999999999", "0", "-", "-", "-" },
		{ "?pageSize=10", "3", "3", "2", "1" },
	};
	FOR_EACH_ROW(i, row) {
		char target[256];
		(void)snprintf(target, sizeof target, ONE "/tasks%s", row[i].query);
		EXPECT(call("GET", target, NULL) == 200, "%s: %s", target, buf_text(&seen.body));
		EXPECT_AT("TotalCount", row[i].total);
		EXPECT_AT("Result/0/Generation", row[i].first);
		EXPECT_AT("Result/1/Generation", row[i].second);
		EXPECT_AT("Result/2/Generation", row[i].third);
	}
	open_gate("go\n");
	poll_until(SCORE "/instances/other/tasks/1", "Result/Status", "success");
	if (poll_until(ONE "/tasks/3", "Result/Progress", "40"))
		open_gate("go\n");
	poll_until(ONE "/tasks/3", "Result/Status", "success");
	dialect_end();
}

TEST(the_action_header_must_agree_with_the_path)
{
	begin(AUTH_OFF, 0);
	make_app_and_instance();
	const struct {
		const char *method, *target, *action;
		int status; /* 404: refused for its action */
	} row[] = {
		{ "GET", APPS, "ListAppGroups", 200 },
		{ "GET", APPS, "", 200 },
		{ "GET", APPS, "CreateAppGroup", 404 },
		{ "GET", APPS, "listappgroups", 404 },
		{ "GET", APPS "/my-app", "RemoveAppGroup", 404 },
		{ "DELETE", APPS "/my-app", "DescribeAppGroup", 404 },
		{ "GET", ONE, "GetFunctionInstance", 200 },
		{ "GET", "/v4/openapi/functions/score/version/101", "GetFunctionVersion", 200 },
		{ "POST", ONE "/task", "DeleteFunctionTask", 404 },
		{ "GET", "/stint/v1/app-groups/my-app/functions/score/instances/score_test/tasks/1", "GetFunctionTask",
		  404 },
		{ "GET", "/healthz", "Anything", 200 },
	};
	FOR_EACH_ROW(i, row) {
		struct request r = { .method = row[i].method, .target = row[i].target, .n_headers = 1,
			             .headers = { { "x-acs-action", row[i].action } } };
		EXPECT(send_request(&r) == row[i].status, "%s %s as %s: %s", row[i].method, row[i].target,
		       row[i].action, buf_text(&seen.body));
		if (row[i].status == 404) {
			expect_error(row[i].target, 404, "InvalidAction.NotFound");
			EXPECT(strstr(at("Message"), row[i].action), "said '%s'", at("Message"));
		}
	}
	call("GET", ONE "/tasks", NULL);
	EXPECT_AT("TotalCount", "0"); /* the refused change did not happen */
	dialect_end();
}

TEST(tasks_are_listed_newest_first_one_a_page)
{
	begin(AUTH_OFF, 2);
	make_app_and_instance();
	for (int i = 1; i <= 3; i++) {
		char target[256];
		call("POST", ONE "/tasks", NULL);
		expect_written("create task");
		open_gate("go\n");
		(void)snprintf(target, sizeof target, ONE "/tasks/%d", i);
		poll_until(target, "Result/Status", "success");
	}
	char start_of_2[32], filtered[512];
	call("GET", ONE "/tasks/2", NULL);
	(void)snprintf(start_of_2, sizeof start_of_2, "%s", at("Result/StartTime"));

	const struct {
		const char *query, *total, *first, *second;
	} row[] = {
		{ "", "3", "3", "-" },
		{ "?pageSize=10", "3", "3", "2" },
		{ "?pageNumber=2&pageSize=2", "3", "1", "-" },
		{ "?pageNumber=9&pageSize=2", "3", "-", "-" },
		{ "?status=success&pageSize=10", "3", "3", "2" },
		{ "?status=failed&pageSize=10", "0", "-", "-" },
		{ "?startTime=1582214400&pageSize=10", "3", "3", "2" },
		{ "?endTime=1582646399&pageSize=10", "0", "-", "-" },
		{ "?unknown=1&status=", "3", "3", "-" },
	};
	FOR_EACH_ROW(i, row) {
		(void)snprintf(filtered, sizeof filtered, ONE "/tasks%s", row[i].query);
		EXPECT(call("GET", filtered, NULL) == 200, "%s: %s", filtered, buf_text(&seen.body));
		EXPECT_AT("TotalCount", row[i].total);
		EXPECT_AT("totalCount", row[i].total);
		EXPECT_AT("Result/0/Generation", row[i].first);
		EXPECT_AT("Result/1/Generation", row[i].second);
	}
	(void)snprintf(filtered, sizeof filtered, ONE "/tasks?pageSize=10&startTime=%s", start_of_2);
	call("GET", filtered, NULL);
	EXPECT_AT("TotalCount", "1"); /* strictly later */
	EXPECT_AT("Result/0/Generation", "3");

	const char *bad[] = { "?status=pending", "?pageSize=0", "?pageSize=101", "?pageNumber=x", "?startTime=soon" };
	FOR_EACH_ROW(i, bad) {
		(void)snprintf(filtered, sizeof filtered, ONE "/tasks%s", bad[i]);
		call("GET", filtered, NULL);
		expect_error(bad[i], 400, "InvalidParameter");
	}
	dialect_end();
}

TEST(instances_show_what_the_level_asks_for)
{
	begin(AUTH_OFF, 0);
	make_app_and_instance();
	const struct {
		const char *query;
		bool is_normal, is_detail;
	} row[] = { { "?output=simple", false, false },
		    { "", true, false },
		    { "?output=normal", true, false },
		    { "?output=detail", true, true } };
	FOR_EACH_ROW(i, row) {
		char target[256];
		(void)snprintf(target, sizeof target, ONE "%s", row[i].query);
		EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
		EXPECT_AT("Result/FunctionName", "score");
		EXPECT_AT("Result/InstanceName", "score_test");
		EXPECT_AT("Result/FunctionType", "PAAS");
		EXPECT_AT("Result/ModelType", "script");
		EXPECT_AT("Result/VersionId", "101");
		EXPECT_AT("Result/Source", "user");
		EXPECT_AT("Result/Description", "test instance");
		EXPECT_AT("Result/Belongs/Language", "zh");
		EXPECT_AT("Result/Cron", row[i].is_normal ? "0 0 ? * 0,1" : "-");
		EXPECT_AT("Result/CreateParameters",
		          row[i].is_normal
		                  ? "[{\"Name\":\"source\",\"Value\":\"here\"},{\"Name\":\"rows\",\"Value\":\"\"}]"
		                  : "-");
		EXPECT_AT("result/createParameters",
		          row[i].is_normal
		                  ? "[{\"name\":\"source\",\"value\":\"here\"},{\"name\":\"rows\",\"value\":\"\"}]"
		                  : "-");
		EXPECT_AT("Result/UsageParameters", row[i].is_normal ? "[]" : "-");
		EXPECT_AT("Result/ExtendInfo", row[i].is_detail ? "{\"dataReport\":{},\"errors\":{}}" : "-");
		EXPECT_AT("Result/Task", "-");
	}
	EXPECT(call("GET", SCORE "/instances?source=all&output=simple", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("TotalCount", "1");
	EXPECT_AT("Result/0/InstanceName", "score_test");
	EXPECT_AT("result/0/cron", "-");
	const char *empty[] = { "?source=builtin", "?modelType=other", "?functionType=SAAS", "?pageNumber=2" };
	FOR_EACH_ROW(i, empty) {
		char target[256];
		(void)snprintf(target, sizeof target, SCORE "/instances%s", empty[i]);
		EXPECT(call("GET", target, NULL) == 200, "%s: %s", target, buf_text(&seen.body));
		EXPECT_AT("Result", "[]");
	}
	call("PUT", ONE, "{\"Description\":\"new\",\"cron\":\"\"}");
	expect_written("update");
	call("GET", ONE, NULL);
	EXPECT_AT("Result/Description", "new");
	EXPECT_AT("Result/Cron", "");
	EXPECT_AT("Result/CreateParameters/0/Value", "here");
	call("PUT", ONE, "{\"createParameters\":[{\"name\":\"source\",\"value\":\"there\"}]}");
	expect_written("replace parameters");
	call("GET", ONE, NULL);
	EXPECT_AT("Result/CreateParameters", "[{\"Name\":\"source\",\"Value\":\"there\"}]");
	EXPECT_AT("Result/Description", "new");
	call("PUT", SCORE "/default-instance", "{\"InstanceName\":\"score_test\"}");
	expect_written("set default");
	call("DELETE", ONE, NULL);
	expect_written("delete instance");
	call("GET", SCORE "/default-instance", NULL);
	expect_error("default went with it", 404, "DefaultInstance.NotExist");
	call("PUT", SCORE "/default-instance", NULL);
	expect_written("clear default");
	dialect_end();
}

TEST(refusals_come_in_the_contracts_order)
{
	begin(AUTH_OFF, 0);
	make_app_and_instance();
	const struct {
		const char *method, *target, *body;
		int status;
		const char *code, *says;
	} row[] = {
		{ "GET", APPS "/none/functions/none/instances/none/tasks/0", NULL, 404, "App.NotFound",
		  "App not found" },
		{ "GET", APPS "/my-app/functions/none/instances/none/tasks/0", NULL, 404, "Version.NotExist",
		  "version not exist." },
		{ "GET", SCORE "/instances/none/tasks/0", NULL, 404, "Instance.NotExist", "instance not exist." },
		{ "GET", ONE "/tasks/0", NULL, 404, "Task.NotExist", "" },
		{ "GET", ONE "/tasks/01", NULL, 404, "Task.NotExist", "" },
		{ "GET", ONE "/tasks/abc", NULL, 404, "Task.NotExist", "" },
		{ "GET", ONE "/tasks/-1", NULL, 404, "Task.NotExist", "" },
		{ "GET", ONE "/tasks/99999999999999999999", NULL, 404, "Task.NotExist", "" },
		{ "DELETE", ONE "/tasks/1", NULL, 404, "Task.NotExist", "" },
		{ "DELETE", SCORE "/instances/none", NULL, 404, "Instance.NotExist", "" },
		{ "POST", SCORE "/instances/none/tasks", "not json", 404, "Instance.NotExist", "" },
		{ "POST", ONE "/tasks", "not json", 400, "InvalidRequest", "request body: not JSON" },
		{ "PUT", SCORE "/instances/none", "not json", 404, "Instance.NotExist", "" },
		{ "PUT", ONE, "not json", 400, "InvalidRequest", "" },
		{ "PUT", ONE, "{\"cron\":5}", 400, "InvalidParameter", "cron must be a string" },
		{ "PUT", ONE, "{\"cron\":\"99 * * * *\"}", 400, "InvalidParameter", "minute" },
		{ "GET", ONE "?output=all", NULL, 400, "InvalidParameter", "simple|normal|detail" },
		{ "GET", SCORE "/instances?source=mine", NULL, 400, "InvalidParameter", "user|builtin|all" },
		{ "GET", APPS "/my-app/functions/none/instances", NULL, 404, "Version.NotExist", "" },
		{ "POST", SCORE "/instances", "[]", 400, "InvalidRequest", "object" },
		{ "POST", SCORE "/instances", NULL, 400, "InvalidRequest", "empty" },
		{ "POST", SCORE "/instances", "{}", 400, "MissingParameter", "instanceName is required" },
		{ "POST", SCORE "/instances", "{\"instanceName\":\"a\"}", 400, "MissingParameter",
		  "modelType is required" },
		{ "POST", SCORE "/instances", "{\"instanceName\":\"a\",\"modelType\":\"other\"}", 404,
		  "Version.NotExist", "" },
		{ "POST", SCORE "/instances", "{\"instanceName\":\"1a\",\"modelType\":\"script\"}", 400,
		  "InvalidParameter", "instanceName" },
		{ "POST", SCORE "/instances", "{\"instanceName\":7,\"modelType\":\"script\"}", 400, "InvalidParameter",
		  "instanceName must be a string" },
		{ "POST", SCORE "/instances",
		  "{\"instanceName\":\"a\",\"modelType\":\"script\",\"createParameters\":[{\"name\":\"rows\",\"value\":"
		  "\"5\"}]}",
		  400, "InvalidParameter", "source" },
		{ "POST", SCORE "/instances",
		  "{\"instanceName\":\"a\",\"modelType\":\"script\",\"createParameters\":[{\"name\":\"source\","
		  "\"value\":\"x\"},{\"name\":\"speed\",\"value\":\"5\"}]}",
		  400, "InvalidParameter", "speed" },
		{ "POST", SCORE "/instances", CREATE_ONE, 409, "Instance.Duplicated", "" },
		{ "POST", APPS, CREATE_APP, 409, "App.Duplicated", "" },
		{ "POST", APPS, "{\"name\":\"a b\",\"type\":\"enhanced\"}", 400, "App.InvalidParameter.Name",
		  "letters" },
		{ "POST", APPS, "{\"type\":\"enhanced\"}", 400, "MissingParameter", "name" },
		{ "POST", APPS, "{\"name\":\"x\"}", 400, "MissingParameter", "type" },
		{ "POST", APPS, "{\"name\":\"x\",\"type\":\"huge\"}", 400, "InvalidParameter", "standard or enhanced" },
		{ "POST", APPS, "{\"name\":\"x\",\"type\":\"enhanced\",\"quota\":{\"docSize\":-1}}", 400,
		  "InvalidParameter", "quota.docSize" },
		{ "POST", APPS, "{\"name\":\"x\",\"type\":\"enhanced\",\"tags\":[{\"value\":\"v\"}]}", 400,
		  "InvalidParameter", "tags" },
		{ "GET", APPS "?tags=nonsense", NULL, 400, "InvalidParameter", "" },
		{ "GET", APPS "?sortBy=2", NULL, 400, "InvalidParameter", "sortBy" },
		{ "GET", "/v4/openapi/functions/none/current-version", NULL, 404, "Version.NotExist", "" },
		{ "GET", "/v4/openapi/functions/score/current-version", NULL, 400, "MissingParameter", "modelType" },
		{ "GET", "/v4/openapi/functions/score/current-version?modelType=other", NULL, 404, "Version.NotExist",
		  "" },
		{ "GET", "/v4/openapi/functions/score/versions/999", NULL, 404, "Version.NotExist", "" },
		{ "GET", "/v4/openapi/functions/score/versions/one", NULL, 404, "Version.NotExist", "" },
		{ "PATCH", ONE, NULL, 405, "UnsupportedHTTPMethod", "GET, PUT, DELETE" },
		{ "GET", SCORE "/resources", NULL, 404, "InvalidAction.NotFound", "" },
		{ "GET", "/nowhere", NULL, 404, "InvalidAction.NotFound", "" },
		{ "GET", ONE "/tasks?a=%00", NULL, 400, "InvalidParameter", "NUL" },
		{ "GET", "/v4/%00", NULL, 400, "InvalidRequest", "NUL" },
	};
	FOR_EACH_ROW(i, row) {
		char what[128];
		(void)snprintf(what, sizeof what, "row %zu, %s %s", i, row[i].method, row[i].target);
		call(row[i].method, row[i].target, row[i].body);
		expect_error(what, row[i].status, row[i].code);
		EXPECT(strstr(at("Message"), row[i].says), "%s said '%s'", what, at("Message"));
	}
	call("PATCH", ONE, NULL);
	EXPECT(strcmp(seen_header("allow"), "GET, PUT, DELETE") == 0, "Allow: %s", seen_header("allow"));
	dialect_end();
}

TEST(app_groups_are_camel_case_and_in_seconds)
{
	begin(AUTH_OFF, 0);
	EXPECT(call("POST", APPS,
	            "{\"name\":\"first\",\"type\":\"enhanced\",\"tags\":[{\"key\":\"foo\",\"value\":\"bar\"}]}") == 200,
	       "%s", buf_text(&seen.body));
	EXPECT_AT("result/name", "first");
	EXPECT_AT("Result", "-");
	EXPECT_AT("status", "-");
	EXPECT_AT("result/status", "normal");
	EXPECT_AT("result/produced", "1");
	EXPECT_AT("result/chargeType", "POSTPAY");
	EXPECT_AT("result/engineType", "ha3");
	EXPECT_AT("result/quota/docSize", "1");
	EXPECT(json_is_string(json_object_get(json_object_get(seen.json, "result"), "id")), "id is no string");
	EXPECT(strlen(at("result/created")) == 10, "created %s", at("result/created"));
	char id[32], instance_id[64], target[256];
	(void)snprintf(id, sizeof id, "%s", at("result/id"));
	(void)snprintf(instance_id, sizeof instance_id, "%s", at("result/instanceId"));
	call("POST", APPS,
	     "{\"Name\":\"second\",\"Type\":\"standard\",\"chargeType\":\"PREPAY\",\"resourceGroupId\":\"rg-2\"}");

	(void)snprintf(target, sizeof target, APPS "/%s", id);
	EXPECT(call("GET", target, NULL) == 200, "by id: %s", buf_text(&seen.body));
	EXPECT_AT("result/name", "first");
	const struct {
		const char *query, *total, *first;
	} row[] = {
		{ "", "2", "second" },
		{ "?pageSize=1&pageNumber=2", "2", "first" },
		{ "?name=first", "1", "first" },
		{ "?type=standard", "1", "second" },
		{ "?resourceGroupId=rg-2", "1", "second" },
		{ "?resourceGroupId=rg-2&name=first", "0", "-" },
		{ "?tags=%5B%7B%22key%22%3A%22foo%22%2C%22value%22%3A%22bar%22%7D%5D", "1", "first" },
		{ "?instanceId=ops-x-1", "0", "-" },
		{ "?name=third", "0", "-" },
	};
	FOR_EACH_ROW(i, row) {
		(void)snprintf(target, sizeof target, APPS "%s", row[i].query);
		EXPECT(call("GET", target, NULL) == 200, "%s: %s", target, buf_text(&seen.body));
		EXPECT_AT("totalCount", row[i].total);
		EXPECT_AT("result/0/name", row[i].first);
	}
	(void)snprintf(target, sizeof target, APPS "?instanceId=%s", instance_id);
	call("GET", target, NULL);
	EXPECT_AT("totalCount", "1");
	EXPECT_AT("result/0/name", "first");
	call("DELETE", APPS "/second", NULL);
	expect_error("prepaid group", 400, "InvalidRequest");
	EXPECT(call("DELETE", APPS "/first", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("result", "[]");
	call("GET", APPS "/first", NULL);
	expect_error("removed group", 404, "App.NotFound");
	dialect_end();
}

TEST(versions_publish_the_rules)
{
	begin(AUTH_OFF, 0);
	const char *targets[] = {
		"/v4/openapi/functions/score/current-version?modelType=script&functionType=PAAS&category=general",
		"/v4/openapi/functions/score/versions/101", "/v4/openapi/functions/score/version/101"
	};
	FOR_EACH_ROW(i, targets) {
		EXPECT(call("GET", targets[i], NULL) == 200, "%s: %s", targets[i], buf_text(&seen.body));
		EXPECT_AT("Result/VersionId", "101");
		EXPECT_AT("Result/VersionName", "v1");
		EXPECT_AT("Result/ModelType", "script");
		EXPECT_AT("Result/VersionConfig/CreateParameters",
		          "[{\"Name\":\"rows\",\"Required\":\"false\"},{\"Name\":\"source\",\"Required\":\"true\"},"
		          "{\"Name\":\"mode\",\"Required\":\"false\"}]");
		EXPECT_AT("Result/VersionConfig/UsageParameters", "[]");
		EXPECT_AT("Result/VersionConfig/Depends", "[]");
		EXPECT_AT("result/versionConfig/createParameters/0/componentProps",
		          "{\"component\":\"InputNumber\",\"attributes\":{\"defaultValue\":\"10\",\"min\":1,\"max\":"
		          "1000}}");
		EXPECT_AT("result/versionConfig/createParameters/2/componentProps",
		          "{\"component\":\"Select\",\"attributes\":{\"defaultValue\":\"fast\",\"options\":[\"fast\","
		          "\"exact\"]}}");
		EXPECT(strstr(at("result/versionConfig/createParameters/0/formItemProps"), "Rows to read."), "%s",
		       at("result/versionConfig/createParameters/0"));
	}
	dialect_end();
}

/* ---- who may ask ---- */

static const char *operation_of(const char *method, const char *target, struct arena *a)
{
	const struct route *route = NULL;
	struct path_args args;
	char methods[ROUTE_METHODS_SIZE];

	(void)find(method, arena_dup_n(a, target, strcspn(target, "?")), &route, &args, methods, a); /* NULL: no path */
	return route ? route->operation : "Unknown";
}

/* A signed request, its texts in a; secret may be a wrong one. */
static struct request signed_request(const char *method, const char *target, const char *body, const char *secret,
                                     struct arena *a)
{
	struct request r = { .method = method, .target = target, .body = body };
	struct sign_header headers[HEADERS_MAX];
	char at_text[CLOCK_TEXT_SIZE], hash[65], nonce[33];
	const char *mark = strchr(target, '?');

	clock_iso(at_text, clock_wall_ms() / 1000);
	sign_sha256_hex(body ? body : "", body ? strlen(body) : 0, hash);
	rand_hex(nonce, 32);
	const struct http_header list[] = {
		{ "host", "127.0.0.1:8080" },
		{ "x-acs-action", operation_of(method, target, a) },
		{ "x-acs-content-sha256", arena_dup(a, hash) },
		{ "x-acs-date", arena_dup(a, at_text) },
		{ "x-acs-signature-nonce", arena_dup(a, nonce) },
		{ "x-acs-version", "2017-12-25" },
	};
	FOR_EACH_ROW(i, list) {
		r.headers[i] = list[i];
		headers[i] = (struct sign_header){ list[i].name, list[i].value };
	}
	r.n_headers = sizeof list / sizeof *list;
	struct sign_request to_sign = {
		.method = method,
		.raw_path = mark ? arena_dup_n(a, target, (size_t)(mark - target)) : target,
		.raw_query = mark ? mark + 1 : "",
		.headers = headers,
		.n_headers = r.n_headers,
		.body = body,
		.body_len = body ? strlen(body) : 0,
	};
	r.headers[r.n_headers++] =
	        (struct http_header){ "authorization", acs3_authorization(&to_sign, key_id, secret, a) };
	return r;
}

TEST(strict_takes_a_good_signature_and_nothing_else)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	begin(AUTH_STRICT, 0);
	make_key(/* account: */ NULL);
	struct request good = signed_request("POST", APPS, CREATE_APP, key_secret, a);
	EXPECT(send_request(&good) == 200, "%s", buf_text(&seen.body));
	send_request(&good);
	expect_error("replay", 400, "SignatureNonceUsed");
	good = signed_request("GET", APPS "?pageSize=1", NULL, key_secret, a);
	good.loop = 1;
	EXPECT(send_request(&good) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("totalCount", "1");

	struct request bad = signed_request("GET", APPS, NULL, "wrong", a);
	send_request(&bad);
	expect_error("wrong secret", 400, "SignatureDoesNotMatch");
	EXPECT_AT("HostId", "127.0.0.1:8080");
	EXPECT_AT("hostId", "127.0.0.1:8080");
	EXPECT(strstr(at("Message"), "ACS3-HMAC-SHA256"), "no string to sign: %s", at("Message"));

	const struct {
		const char *method, *target, *authorization;
		int status;
		const char *code;
	} row[] = {
		{ "GET", APPS, NULL, 400, "MissingAccessKeyId" },
		{ "GET", "/v4/openapi/no-such-thing", NULL, 400, "MissingAccessKeyId" },
		{ "PATCH", APPS, NULL, 400, "MissingAccessKeyId" },
		{ "GET", "/stint/v1/nothing", NULL, 400, "MissingAccessKeyId" },
		{ "GET", "/favicon.ico", NULL, 404, "InvalidAction.NotFound" },
		{ "GET", APPS, "acs AK:c2lnbmF0dXJl", 400, "InvalidSignatureMethod" },
		{ "GET", APPS, "OPENSEARCH AK:c2lnbmF0dXJl", 400, "InvalidSignatureMethod" },
		{ "GET", APPS, "SDK-HMAC-SHA256 Access=AK", 400, "InvalidSignatureMethod" },
		{ "GET", APPS, "ACS3-RSA-SHA256 Credential=AK", 400, "InvalidSignatureMethod" },
		{ "POST", "/v3/openapi/app-groups/a/data-collections/a/actions/bulk", "OPENSEARCH AK:x", 400,
		  "InvalidSignatureMethod" },
	};
	FOR_EACH_ROW(i, row) {
		struct request r = { .method = row[i].method, .target = row[i].target };
		if (row[i].authorization)
			r.headers[r.n_headers++] = (struct http_header){ "authorization", row[i].authorization };
		send_request(&r);
		expect_error(row[i].target, row[i].status, row[i].code);
	}
	EXPECT_AT("errors/0/code", "4003"); /* of the push, in its own form too */
	EXPECT(strcmp(at("request_id"), at("RequestId")) == 0, "%s", at("request_id"));
	dialect_end();
}

TEST(accounts_do_not_see_each_other)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	begin(AUTH_STRICT, 0);
	make_key("2000000000000001");
	struct request r = signed_request("POST", APPS, CREATE_APP, key_secret, a);
	EXPECT(send_request(&r) == 200, "%s", buf_text(&seen.body));
	char by_id[128];
	(void)snprintf(by_id, sizeof by_id, APPS "/%s", at("result/id"));

	make_key("2000000000000002");
	const struct {
		const char *method, *target;
	} row[] = { { "GET", APPS "/my-app" }, { "DELETE", APPS "/my-app" }, { "GET", by_id }, { "DELETE", by_id },
		    { "GET", ONE "/tasks" } };
	FOR_EACH_ROW(i, row) {
		r = signed_request(row[i].method, row[i].target, NULL, key_secret, a);
		send_request(&r);
		expect_error(row[i].target, 404, "App.NotFound");
	}
	r = signed_request("GET", APPS, NULL, key_secret, a);
	send_request(&r);
	EXPECT_AT("totalCount", "0");
	r = signed_request("POST", APPS, CREATE_APP, key_secret, a);
	EXPECT(send_request(&r) == 200, "the name is free in this account: %s", buf_text(&seen.body));
	dialect_end();
}

TEST(lax_wants_a_known_key_only)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	begin(AUTH_LAX, 0);
	make_key(/* account: */ NULL);
	struct request r = signed_request("GET", APPS, NULL, "wrong", a);
	EXPECT(send_request(&r) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(key_id, sizeof key_id, "LTAInobody");
	r = signed_request("GET", APPS, NULL, "wrong", a);
	send_request(&r);
	expect_error("unknown key", 404, "InvalidAccessKeyId.NotFound");
	dialect_end();
}

/* ---- what needs no key ---- */

TEST(health_readiness_and_metrics_are_open)
{
	static const char *const series[] = {
		"stint_build_info{version=",
		"stint_http_requests_total{operation=\"CreateFunctionTask\",code=\"404\"} 1\n",
		"stint_http_requests_total{operation=\"unknown\",code=\"404\"} 1\n",
		"stint_http_requests_total{operation=\"refused\",code=\"413\"} 1\n",
		"stint_http_request_seconds_count{operation=\"Health\"} 1\n",
		"stint_http_connections 3\n",
		"stint_http_connections_refused_total 1\n",
		"stint_tasks{state=\"pending\"} 0\n",
		"stint_up 1\n",
	};
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	struct http_req req = { .arena = a,
		                .peer = "127.0.0.1",
		                .method = "",
		                .raw_path = "",
		                .raw_query = "",
		                .id = "1081EB05-473C-5BF4-95BE-6D7CAD5E2213" };
	struct http_reply reply;

	begin(AUTH_OFF, 0);
	EXPECT(call("GET", "/healthz", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("status", "ok");
	EXPECT(call("HEAD", "/readyz", NULL) == 200, "%s", buf_text(&seen.body));
	call("POST", "/healthz", NULL);
	expect_error("method", 405, "UnsupportedHTTPMethod");
	call("POST", ONE "/tasks", NULL);
	call("GET", "/nowhere", NULL);
	api_fault(api, &req, 413, "the body is larger than 2097152 bytes", &reply);
	seen_keep(&reply);
	EXPECT(seen.status == 413, "%d", seen.status);
	EXPECT_AT("Code", "InvalidParameter");
	EXPECT_AT("httpCode", "413");
	EXPECT_AT("Message", "the body is larger than 2097152 bytes");
	EXPECT(strcmp(seen_header("x-acs-request-id"), req.id) == 0, "%s", seen_header("x-acs-request-id"));
	api_set_server(api, (const struct http_server *)&req);
	EXPECT(call("GET", "/metrics", NULL) == 200, "%d", seen.status);
	EXPECT(strncmp(seen.content_type, "text/plain; version=0.0.4", 25) == 0, "%s", seen.content_type);
	FOR_EACH_ROW(i, series)
		EXPECT(strstr(buf_text(&seen.body), series[i]), "no %s in\n%s", series[i], buf_text(&seen.body));
	api_set_draining(api);
	EXPECT(call("GET", "/readyz", NULL) == 503, "%s", buf_text(&seen.body));
	EXPECT_AT("reason", "the server is stopping");
	dialect_end();
}

int main(void)
{
	RUN(envelopes_are_the_contracts_to_the_byte);
	RUN(every_refusal_of_the_engine_has_a_code);
	RUN(the_servers_own_refusals_have_a_code);
	RUN(queries_decode_and_the_first_value_counts);
	RUN(bad_queries_are_refused_with_name_and_rule);
	RUN(pages_become_offset_and_limit);
	RUN(queries_have_limits);
	RUN(bodies_are_objects_in_either_casing);
	RUN(parameter_lists_are_read_or_refused_by_name);
	RUN(every_documented_path_finds_its_operation);
	RUN(other_methods_and_paths_are_told_apart);
	RUN(the_table_is_complete);
	RUN(the_worked_exchange_of_the_contract);
	RUN(a_failed_run_says_why_and_leaves_the_instance_as_it_was);
	RUN(queued_runs_show_as_running);
	RUN(a_waiting_run_stands_in_front_of_the_filtered_list);
	RUN(the_action_header_must_agree_with_the_path);
	RUN(tasks_are_listed_newest_first_one_a_page);
	RUN(instances_show_what_the_level_asks_for);
	RUN(refusals_come_in_the_contracts_order);
	RUN(app_groups_are_camel_case_and_in_seconds);
	RUN(versions_publish_the_rules);
	RUN(strict_takes_a_good_signature_and_nothing_else);
	RUN(accounts_do_not_see_each_other);
	RUN(lax_wants_a_known_key_only);
	RUN(health_readiness_and_metrics_are_open);
	return test_failures != 0;
}
