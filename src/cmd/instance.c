/* instance: the configured models of a function in an app group. */
#include <stdio.h>
#include <string.h>
#include "cmd/remote.h"

static const char INSTANCES[] = "/v4/openapi/app-groups/{}/functions/{}/instances";
static const char ONE_INSTANCE[] = "/v4/openapi/app-groups/{}/functions/{}/instances/{}";

/* What create and update share. NULL texts are left out. */
struct body {
	const char *name, *model_type, *description, *cron;
	struct opt_list create_params, usage_params;
};
#define BODY_OPTIONS(b)                                                                                                \
	{ .name = "param",                                                                                             \
	  .letter = 'p',                                                                                               \
	  .kind = OPT_LIST,                                                                                            \
	  .out = &(b).create_params,                                                                                   \
	  .value = "NAME=VALUE",                                                                                       \
	  .help = "A createParameter, such as train_data=shop.csv; may be repeated." },                                \
	        OPTION_LIST("usage-param", &(b).usage_params, "NAME=VALUE", "A usageParameter; may be repeated."),     \
	        OPTION_TEXT("description", &(b).description, "TEXT", "Free text."),                                    \
	        OPTION_TEXT("cron", &(b).cron, "TEXT", "When to train by itself: \"0 3 ? * 1-5\"; \"\" never.")

static void optional_text(struct jw *w, const char *key, const char *value)
{
	if (value)
		jw_kv_text(w, key, value);
}

static enum rc print_body(const struct body *b, struct buf *out, struct err *err)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	optional_text(&w, "instanceName", b->name);
	optional_text(&w, "modelType", b->model_type);
	optional_text(&w, "description", b->description);
	optional_text(&w, "cron", b->cron);
	enum rc rc = remote_params(&b->create_params, "createParameters", &w, err);
	if (rc == RC_OK)
		rc = remote_params(&b->usage_params, "usageParameters", &w, err);
	if (rc == RC_OK)
		jw_end_object(&w);
	if (rc == RC_OK && out->is_over)
		rc = err_set(err, RC_LIMIT, "the parameters are too large");
	return rc;
}

static int run_create(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	struct body b = { 0 };
	struct remote r = { .command = c };
	struct opt opts[] = {
		FUNCTION_OPTION(&function),
		OPTION_TEXT("model-type", &b.model_type, "NAME", "Model type (default for ctr: tf_checkpoint)."),
		BODY_OPTIONS(b),
		CLIENT_OPTIONS(r.options),
	};
	struct answer a;
	struct buf body;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	b.name = operands[1];
	if (!b.model_type && strcmp(function, "ctr") == 0)
		b.model_type = "tf_checkpoint";
	buf_init(&body, 1 << 20);
	r.rc = b.model_type ? print_body(&b, &body, &r.err)
	                    : err_set(&r.err, RC_INVALID, "--model-type is required for function %.60s", function);
	const char *segments[] = { operands[0], function };
	const char *path = client_path(r.client, INSTANCES, segments, 2);
	if (remote_call(&r, "POST", "CreateFunctionInstance", path, NULL, buf_text(&body), &a) &&
	    !remote_print_json(&r, &a))
		buf_addf(&r.out, "Instance %s is made. Train it: stint task create %s %s%s --watch", b.name,
		         operands[0], b.name, remote_function(&r, function));
	buf_fini(&body);
	return remote_close(&r);
}

static int run_update(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	struct body b = { 0 };
	struct remote r = { .command = c };
	struct opt opts[] = { FUNCTION_OPTION(&function), BODY_OPTIONS(b), CLIENT_OPTIONS(r.options) };
	struct answer a;
	struct buf body;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	buf_init(&body, 1 << 20);
	r.rc = print_body(&b, &body, &r.err);
	const char *segments[] = { operands[0], function, operands[1] };
	const char *path = client_path(r.client, ONE_INSTANCE, segments, 3);
	if (remote_call(&r, "PUT", "UpdateFunctionInstance", path, NULL, buf_text(&body), &a) &&
	    !remote_print_json(&r, &a))
		buf_addf(&r.out, "Instance %s is changed; new parameters act from its next run.", operands[1]);
	buf_fini(&body);
	return remote_close(&r);
}

static void print_params(struct remote *r, const char *label, const json_t *params)
{
	for (size_t i = 0; i < json_array_size(params); i++) {
		const json_t *p = json_array_get(params, i);
		buf_addf(&r->out, "%-14s %s = %s\n", i == 0 ? label : "", json_text_of(p, "name"),
		         json_text_of(p, "value"));
	}
}

static void print_instance(struct remote *r, const json_t *i)
{
	struct arena *a = client_arena(r->client);
	const json_t *task = json_pick(i, "task");

	remote_line(r, "name", json_text_of(i, "instanceName"));
	remote_line(r, "function", json_text_of(i, "functionName"));
	remote_line(r, "model type", json_text_of(i, "modelType"));
	remote_line(r, "status", json_text_of(i, "status"));
	remote_line(r, "created", say_time(a, json_int_of(i, "createTime")));
	remote_line(r, "cron", *json_text_of(i, "cron") ? json_text_of(i, "cron") : "-");
	if (*json_text_of(i, "description"))
		remote_line(r, "description", json_text_of(i, "description"));
	print_params(r, "parameters", json_pick(i, "createParameters"));
	print_params(r, "usage", json_pick(i, "usageParameters"));
	if (task) {
		remote_line(r, "last run", json_text_of(task, "dagStatus"));
		remote_line(r, "took", say_duration(a, json_int_of(task, "lastRunTime")));
	}
	if (*json_text_of(i, "extendInfo"))
		remote_line(r, "report", json_text_of(i, "extendInfo"));
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
	const char *segments[] = { operands[0], function, operands[1] };
	const char *path = client_path(r.client, ONE_INSTANCE, segments, 3);
	if (remote_call(&r, "GET", "GetFunctionInstance", path, "output=detail", NULL, &a) &&
	    !remote_print_json(&r, &a) && answer_result(&a))
		print_instance(&r, answer_result(&a));
	return remote_close(&r);
}

static void print_list(struct remote *r, const json_t *list)
{
	static const char *const heads[] = { "NAME", "MODEL TYPE", "STATUS", "CRON", "CREATED (UTC)", "DESCRIPTION" };
	struct arena *a = client_arena(r->client);
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t k = 0; k < json_array_size(list); k++) {
		const json_t *i = json_array_get(list, k);
		const char *cron = json_text_of(i, "cron");
		const char *cells[] = { json_text_of(i, "instanceName"),
			                json_text_of(i, "modelType"),
			                json_text_of(i, "status"),
			                *cron ? cron : "-",
			                say_time(a, json_int_of(i, "createTime")),
			                json_text_of(i, "description") };
		sheet_row(&s, cells);
	}
	sheet_print(&s, &r->out);
}

static int run_list(const struct command *c, int argc, char **argv)
{
	const char *function = "ctr", *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	int64_t page = 1, size = 100;
	struct opt opts[] = { FUNCTION_OPTION(&function), PAGE_OPTIONS(page, size), CLIENT_OPTIONS(r.options) };
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	const char *segments[] = { operands[0], function };
	const char *path = client_path(r.client, INSTANCES, segments, 2);
	const char *query = remote_page_query(&r, page, size, "source", "all");
	if (remote_call(&r, "GET", "ListFunctionInstances", path, query, NULL, &a) && !remote_print_json(&r, &a))
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
	const char *segments[] = { operands[0], function, operands[1] };
	const char *path = client_path(r.client, ONE_INSTANCE, segments, 3);
	if (remote_call(&r, "DELETE", "DeleteFunctionInstance", path, NULL, NULL, &a) && !remote_print_json(&r, &a))
		buf_addf(&r.out, "Instance %s is gone, with its tasks and models.", operands[1]);
	return remote_close(&r);
}

const struct command command_instance_create = {
	.name = "instance create",
	.operands = "APP INSTANCE",
	.summary = "Configure a model.",
	.example = "stint instance create shop ctr_shop -p train_data=shop.csv -p label_field=click -p epochs=10",
	.run = run_create,
};
const struct command command_instance_get = {
	.name = "instance get",
	.operands = "APP INSTANCE",
	.summary = "Show an instance, its parameters and its last run.",
	.example = "stint instance get shop ctr_shop",
	.run = run_get,
};
const struct command command_instance_list = {
	.name = "instance list",
	.operands = "APP",
	.summary = "List the instances of a function, newest first.",
	.example = "stint instance list shop --function ctr",
	.run = run_list,
};
const struct command command_instance_update = {
	.name = "instance update",
	.operands = "APP INSTANCE",
	.summary = "Change an instance; parameters replace all former ones.",
	.example = "stint instance update shop ctr_shop --cron \"0 3 ? * 0,1,2,3,4,5,6\"",
	.run = run_update,
};
const struct command command_instance_delete = {
	.name = "instance delete",
	.operands = "APP INSTANCE",
	.summary = "Delete an instance with its tasks and models.",
	.example = "stint instance delete shop ctr_shop",
	.run = run_delete,
};
