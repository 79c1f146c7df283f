#include "api/opensearch/scope.h"

#include "api/opensearch/answer.h"
#include "base/num.h"

static bool find_app(struct call *c, struct scope *s)
{
	struct err err = { 0 };

	enum verdict v = engine_app_get(c->view, c->account, path_arg(&c->args, "app"), c->arena, &s->app, &err);
	if (v != V_OK)
		answer_read(c, v, &err);
	return v == V_OK;
}

bool scope_function(struct call *c, const char **out)
{
	const char *name = path_arg(&c->args, "function");

	if (!functions_any(engine_functions(c->engine), name)) {
		answer_error(c, API_ERR_VERSION_NOT_EXIST, NULL);
		return false;
	}
	*out = name;
	return true;
}

static bool find_instance(struct call *c, struct scope *s)
{
	struct err err = { 0 };

	enum verdict v = engine_instance_get(c->view, s->app.id, s->function, path_arg(&c->args, "instance"), c->arena,
					     &s->instance, &err);
	if (v != V_OK)
		answer_read(c, v, &err);
	return v == V_OK;
}

static bool read_generation(struct call *c, struct scope *s)
{
	const char *text = path_arg(&c->args, "generation");

	if (!num_is_canonical(text) || !num_i64(text, &s->generation)) {
		answer_error(c, API_ERR_TASK_NOT_EXIST, NULL);
		return false;
	}
	return true;
}

static bool find_task(struct call *c, struct scope *s)
{
	struct err err = { 0 };

	enum verdict v = engine_task_get(c->view, s->instance.id, s->generation, c->arena, &s->task, &err);
	if (v != V_OK)
		answer_read(c, v, &err);
	return v == V_OK;
}

bool scope_find(struct call *c, enum scope_depth depth, struct scope *out)
{
	struct scope s = { 0 };

	bool is_found = find_app(c, &s);
	if (is_found && depth >= SCOPE_FUNCTION)
		is_found = scope_function(c, &s.function);
	if (is_found && depth >= SCOPE_INSTANCE)
		is_found = find_instance(c, &s);
	if (is_found && depth >= SCOPE_GENERATION)
		is_found = read_generation(c, &s);
	if (is_found && depth >= SCOPE_TASK)
		is_found = find_task(c, &s);
	if (!is_found)
		return false;
	*out = s;
	return true;
}
