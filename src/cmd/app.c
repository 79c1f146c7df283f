/* app: app groups of a server. */
#include <stdio.h>
#include <string.h>
#include "cmd/remote.h"

static const char APPS[] = "/v4/openapi/app-groups";
static const char ONE_APP[] = "/v4/openapi/app-groups/{}";

static void body_of(struct buf *body, const char *name, const char *type, const char *description)
{
	struct jw w;

	jw_init(&w, body, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "name", name);
	jw_kv_text(&w, "type", type);
	jw_kv_text(&w, "chargeType", "POSTPAY");
	if (description)
		jw_kv_text(&w, "description", description);
	jw_key(&w, "quota");
	jw_object(&w);
	jw_kv_int(&w, "docSize", 1);
	jw_kv_int(&w, "computeResource", 20);
	jw_kv_text(&w, "spec", "opensearch.share.common");
	jw_end_object(&w);
	jw_end_object(&w);
}

static int run_create(const struct command *c, int argc, char **argv)
{
	const char *type = "enhanced", *description = NULL, *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_CHOICE("type", &type, "TYPE", "standard|enhanced",
		              "standard or enhanced (default: has algorithm functions)."),
		OPTION_TEXT("description", &description, "TEXT", "Free text."),
		CLIENT_OPTIONS(r.options),
	};
	struct answer a;
	struct buf body;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	buf_init(&body, 64 << 10);
	body_of(&body, operands[0], type, description);
	if (remote_call(&r, "POST", "CreateAppGroup", APPS, NULL, buf_text(&body), &a) && !remote_print_json(&r, &a))
		buf_addf(&r.out, "App group %s is ready, id %s.", operands[0], json_text_of(answer_result(&a), "id"));
	buf_fini(&body);
	return remote_close(&r);
}

static void print_app(struct remote *r, const json_t *app)
{
	struct arena *a = client_arena(r->client);

	remote_line(r, "name", json_text_of(app, "name"));
	remote_line(r, "id", json_text_of(app, "id"));
	remote_line(r, "type", json_text_of(app, "type"));
	remote_line(r, "status", json_text_of(app, "status"));
	remote_line(r, "created", say_time(a, 1000 * json_int_of(app, "created")));
	if (*json_text_of(app, "description"))
		remote_line(r, "description", json_text_of(app, "description"));
}

static int run_get(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = { CLIENT_OPTIONS(r.options) };
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	const char *path = client_path(r.client, ONE_APP, operands, 1);
	if (remote_call(&r, "GET", "DescribeAppGroup", path, NULL, NULL, &a) && !remote_print_json(&r, &a))
		print_app(&r, answer_result(&a));
	return remote_close(&r);
}

static void print_apps(struct remote *r, const json_t *apps)
{
	static const char *const heads[] = { "NAME", "ID", "TYPE", "STATUS", "CREATED (UTC)" };
	struct arena *a = client_arena(r->client);
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t i = 0; i < json_array_size(apps); i++) {
		const json_t *app = json_array_get(apps, i);
		const char *cells[] = { json_text_of(app, "name"), json_text_of(app, "id"), json_text_of(app, "type"),
			                json_text_of(app, "status"), say_time(a, 1000 * json_int_of(app, "created")) };
		sheet_row(&s, cells);
	}
	sheet_print(&s, &r->out);
}

static int run_list(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	int64_t page = 1, size = 100;
	struct opt opts[] = { PAGE_OPTIONS(page, size), CLIENT_OPTIONS(r.options) };
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	const char *query = remote_page_query(&r, page, size, NULL, NULL);
	if (remote_call(&r, "GET", "ListAppGroups", APPS, query, NULL, &a) && !remote_print_json(&r, &a))
		print_apps(&r, answer_result(&a));
	return remote_close(&r);
}

static int run_delete(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = { CLIENT_OPTIONS(r.options) };
	struct answer a;
	int code;

	if (!remote_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	const char *path = client_path(r.client, ONE_APP, operands, 1);
	if (remote_call(&r, "DELETE", "RemoveAppGroup", path, NULL, NULL, &a) && !remote_print_json(&r, &a))
		buf_addf(&r.out, "App group %s is gone, with its instances, tasks and models.", operands[0]);
	return remote_close(&r);
}

const struct command command_app_create = {
	.name = "app create",
	.operands = "APP",
	.summary = "Make an app group.",
	.example = "stint app create shop --data ./stint-data",
	.run = run_create,
};
const struct command command_app_get = {
	.name = "app get",
	.operands = "APP",
	.summary = "Show an app group.",
	.example = "stint app get shop --json",
	.run = run_get,
};
const struct command command_app_list = {
	.name = "app list",
	.operands = "",
	.summary = "List app groups, newest first.",
	.example = "stint app list --data ./stint-data",
	.run = run_list,
};
const struct command command_app_delete = {
	.name = "app delete",
	.operands = "APP",
	.summary = "Delete an app group with all that is in it.",
	.example = "stint app delete shop",
	.run = run_delete,
};
