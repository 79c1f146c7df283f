/*
 * Instances. An absent field of an update keeps its value, a present array replaces the whole one.
 */
#include <string.h>
#include "api/opensearch/answer.h"
#include "api/opensearch/body.h"
#include "api/opensearch/routes.h"
#include "api/opensearch/scope.h"

enum output_level { OUTPUT_SIMPLE, OUTPUT_NORMAL, OUTPUT_DETAIL };
#define OUTPUT_WORDS "simple|normal|detail"

enum { DEFAULT_PAGE_SIZE = 10 };

/* An instance with everything its answer shows. */
struct item {
	struct instance_row row;
	enum output_level level;
	const struct function *function; /* NULL when its manifest is gone */
	const json_t *create_params, *usage_params;
	const char *dag_status;          /* NULL: it never had a task */
	bool is_available;
};

struct list {
	struct item *items;
	size_t n;
};

/* ---- writing ---- */

static void write_params(struct jw *w, const char *key, const json_t *params)
{
	jw_key(w, key);
	jw_array(w);
	/* jansson's iterators want a value they could change; this one is only read. */
	json_t *object = (json_t *)(uintptr_t)params;
	for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
		const char *value = json_string_value(json_object_iter_value(iter));
		jw_object(w);
		jw_kv_text(w, "name", json_object_iter_key(iter));
		jw_kv_text(w, "value", value ? value : "");
		jw_end_object(w);
	}
	jw_end_array(w);
}

/* E8: a model whose file was lost or damaged since serves nobody. */
static bool is_available(const struct engine *e, const struct instance_row *row)
{
	bool has_model = row->model_generation > 0;
	return (has_model || strcmp(row->function_type, "SAAS") == 0) && engine_model_is_sound(e, row);
}

static void write_belongs(struct jw *w, const struct function *f)
{
	jw_key(w, "belongs");
	jw_object(w);
	jw_kv_text(w, "category", f && *f->category ? f->category : "general");
	jw_kv_text(w, "domain", f ? f->domain : "");
	jw_kv_text(w, "language", f ? f->language : "");
	jw_end_object(w);
}

static void write_detail(struct jw *w, const struct item *item)
{
	if (item->dag_status) {
		jw_key(w, "task");
		jw_object(w);
		jw_kv_text(w, "dagStatus", item->dag_status);
		jw_kv_int(w, "lastRunTime", item->row.last_run_ms);
		jw_end_object(w);
	}
	const char *info = item->row.extend_info;
	jw_kv_text(w, "extendInfo", *info ? info : "{\"dataReport\":{},\"errors\":{}}");
}

static void write_instance(struct jw *w, const void *subject)
{
	const struct item *item = subject;
	const struct instance_row *row = &item->row;

	jw_object(w);
	jw_kv_text(w, "functionName", row->function);
	jw_kv_text(w, "instanceName", row->name);
	jw_kv_text(w, "functionType", row->function_type);
	jw_kv_text(w, "modelType", row->model_type);
	jw_kv_int(w, "versionId", row->version_id);
	jw_kv_text(w, "source", row->source);
	jw_kv_text(w, "status", item->is_available ? "available" : "unavailable");
	jw_kv_text(w, "description", row->description);
	jw_kv_int(w, "createTime", row->created_at);
	write_belongs(w, item->function);
	if (item->level >= OUTPUT_NORMAL) {
		write_params(w, "createParameters", item->create_params);
		write_params(w, "usageParameters", item->usage_params);
		jw_kv_text(w, "cron", row->cron);
	}
	if (item->level >= OUTPUT_DETAIL)
		write_detail(w, item);
	jw_end_object(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *list = subject;

	jw_array(w);
	for (size_t i = 0; i < list->n; i++)
		write_instance(w, &list->items[i]);
	jw_end_array(w);
}

/* ---- reading ---- */

static enum verdict read_params(struct call *c, const char *text, const json_t **out, struct err *err)
{
	if (!*text)
		text = "{}";
	return json_read(text, strlen(text), c->arena, out, err) ? V_FAILED : V_OK;
}

static enum verdict read_task(struct call *c, struct item *item, struct err *err)
{
	struct task_row task;

	item->dag_status = NULL;
	if (item->row.last_generation == 0)
		return V_OK;
	enum verdict v = engine_task_newest(c->view, item->row.id, c->arena, &task, err);
	if (v == V_OK && task_state_is_final((enum task_state)task.state) && item->row.busy_task_id == task.id) {
		/* It ended between the two readings. Read the instance again, so that nobody sees a successful
		 * task and an instance without its model. */
		v = engine_instance_get(c->view, item->row.app_id, item->row.function, item->row.name, c->arena,
					&item->row, err);
	}
	if (v == V_OK)
		item->dag_status = task_state_word((enum task_state)task.state);
	if (v == V_NO_TASK) {
		/* Every record was deleted. */
		item->dag_status = "untrained";
		v = V_OK;
	}
	return v;
}

static enum verdict complete(struct call *c, struct item *item, enum output_level level, struct err *err)
{
	const struct functions *functions = engine_functions(c->engine);
	enum verdict v = V_OK;

	item->level = level;
	item->function = functions_by_version(functions, item->row.function, item->row.version_id);
	if (level >= OUTPUT_DETAIL)
		v = read_task(c, item, err);
	if (v == V_OK && level >= OUTPUT_NORMAL)
		v = read_params(c, item->row.create_params, &item->create_params, err);
	if (v == V_OK && level >= OUTPUT_NORMAL)
		v = read_params(c, item->row.usage_params, &item->usage_params, err);
	item->is_available = is_available(c->engine, &item->row);
	return v;
}

void instances_get(struct call *c)
{
	struct scope s;
	struct item item = { 0 };
	struct err err = { 0 };
	int level = OUTPUT_NORMAL;

	if (!scope_find(c, SCOPE_INSTANCE, &s))
		return;
	if (query_choice(&c->query, "output", OUTPUT_WORDS, &level, &err)) {
		answer_bad_input(c, &err);
		return;
	}
	item.row = s.instance;
	enum verdict v = complete(c, &item, (enum output_level)level, &err);
	if (v == V_OK)
		answer_function(c, (struct envelope){ .result = write_instance, .subject = &item });
	else
		answer_read(c, v, &err);
}

static enum rc read_filter(struct call *c, struct instance_filter *f, enum output_level *level, struct err *err)
{
	static const char *const sources[] = { "user", "builtin", NULL };
	int source = 0, output = OUTPUT_NORMAL;
	struct page page;

	enum rc rc = query_choice(&c->query, "output", OUTPUT_WORDS, &output, err);
	if (!rc)
		rc = query_choice(&c->query, "source", "user|builtin|all", &source, err);
	if (!rc)
		rc = query_page(&c->query, DEFAULT_PAGE_SIZE, &page, err);
	if (rc)
		return rc;
	f->model_type = query_text(&c->query, "modelType");
	f->function_type = query_text(&c->query, "functionType");
	f->source = sources[source];
	f->offset = page.offset;
	f->limit = page.limit;
	*level = (enum output_level)output;
	return RC_OK;
}

static enum verdict read_list(struct call *c, const struct instance_filter *f, enum output_level level,
			      struct list *out, int64_t *total, struct err *err)
{
	struct instance_row *rows;
	size_t n;

	enum verdict v = engine_instance_list(c->view, f, c->arena, &rows, &n, total, err);
	if (v != V_OK)
		return v;
	*out = (struct list){ arena_array(c->arena, n + 1, sizeof *out->items), n };
	if (!out->items) {
		(void)err_set(err, RC_LIMIT, "no memory for %zu instances", n);
		return V_FAILED;
	}
	for (size_t i = 0; i < n && v == V_OK; i++) {
		out->items[i].row = rows[i];
		v = complete(c, &out->items[i], level, err);
		if (v == V_NO_INSTANCE) /* deleted meanwhile: the row as it was still is an answer */
			v = V_OK;
	}
	return v;
}

void instances_list(struct call *c)
{
	struct scope s;
	struct instance_filter filter = { 0 };
	enum output_level level;
	struct list list;
	int64_t total;
	struct err err = { 0 };

	if (!scope_find(c, SCOPE_FUNCTION, &s))
		return;
	if (read_filter(c, &filter, &level, &err)) {
		answer_bad_input(c, &err);
		return;
	}
	filter.app_id = s.app.id;
	filter.function = s.function;
	enum verdict v = read_list(c, &filter, level, &list, &total, &err);
	if (v == V_OK)
		answer_function(c, (struct envelope){ .result = write_list, .subject = &list, .total = &total });
	else
		answer_read(c, v, &err);
}

/* ---- changing ---- */

/* What bodies of create and update have in common. */
struct fields {
	const char *name, *model_type, *function_type, *description, *cron; /* NULL: absent */
	struct body_params create, usage;
};

static enum rc read_fields(const json_t *body, struct arena *a, struct fields *out, struct err *err)
{
	struct fields f = { 0 };
	const struct {
		const char *name;
		const char **to;
	} texts[] = {
		{ "instanceName", &f.name },         { "modelType", &f.model_type },
		{ "functionType", &f.function_type }, { "description", &f.description },
		{ "cron", &f.cron },
	};
	enum rc rc = RC_OK;

	for (size_t i = 0; i < ARRAY_LEN(texts) && !rc; i++)
		rc = body_text(body, texts[i].name, texts[i].to, err);
	if (!rc)
		rc = body_params(body, "createParameters", a, &f.create, err);
	if (!rc)
		rc = body_params(body, "usageParameters", a, &f.usage, err);
	if (!rc)
		*out = f;
	return rc;
}

/* The body's fields, or an answer and false. */
static bool take_fields(struct call *c, enum body_need need, struct fields *out)
{
	struct err err = { 0 };
	const json_t *body;

	if (body_parse(c->req->body, c->req->body_len, need, c->arena, &body, &err)) {
		answer_error(c, API_ERR_INVALID_REQUEST, err.msg);
		return false;
	}
	if (read_fields(body, c->arena, out, &err)) {
		answer_bad_input(c, &err);
		return false;
	}
	return true;
}

void instances_create(struct call *c)
{
	struct scope s;
	struct fields f;

	if (!scope_find(c, SCOPE_FUNCTION, &s) || !take_fields(c, BODY_REQUIRED, &f))
		return;
	if (!f.name || !f.model_type) {
		answer_error(c, API_ERR_MISSING_PARAMETER,
			     f.name ? "modelType is required" : "instanceName is required");
		return;
	}
	c->change.instance_create = (struct instance_create){
		.base = { .done = answer_change, .ctx = c },
		.app_id = s.app.id,
		.function = s.function,
		.name = f.name,
		.model_type = f.model_type,
		.function_type = f.function_type && *f.function_type ? f.function_type : "PAAS",
		.description = f.description ? f.description : "",
		.cron = f.cron ? f.cron : "",
		.create_params = f.create.list,
		.n_create_params = f.create.n,
		.usage_params = f.usage.list,
		.n_usage_params = f.usage.n,
	};
	call_submit(c);
	engine_instance_create(c->engine, &c->change.instance_create);
}

void instances_update(struct call *c)
{
	struct scope s;
	struct fields f;

	if (!scope_find(c, SCOPE_INSTANCE, &s) || !take_fields(c, BODY_OPTIONAL, &f))
		return;
	c->change.instance_update = (struct instance_update){
		.base = { .done = answer_change, .ctx = c },
		.app_id = s.app.id,
		.function = s.function,
		.name = s.instance.name,
		.description = f.description,
		.cron = f.cron,
		.create_params = f.create.list,
		.n_create_params = f.create.n,
		.sets_create_params = f.create.is_set,
		.usage_params = f.usage.list,
		.n_usage_params = f.usage.n,
		.sets_usage_params = f.usage.is_set,
	};
	call_submit(c);
	engine_instance_update(c->engine, &c->change.instance_update);
}

void instances_delete(struct call *c)
{
	struct scope s;

	if (!scope_find(c, SCOPE_FUNCTION, &s))
		return;
	c->change.instance_delete = (struct instance_delete){
		.base = { .done = answer_change, .ctx = c },
		.app_id = s.app.id,
		.function = s.function,
		.name = path_arg(&c->args, "instance"),
	};
	call_submit(c);
	engine_instance_delete(c->engine, &c->change.instance_delete);
}
