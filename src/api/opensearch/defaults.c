/*
 * The default instance of a function in an app group, sections 8.6 and 8.7.
 */
#include "api/opensearch/answer.h"
#include "api/opensearch/body.h"
#include "api/opensearch/routes.h"
#include "api/opensearch/scope.h"

static void write_result(struct jw *w, const void *subject)
{
	const struct instance_row *row = subject;

	jw_object(w);
	jw_kv_text(w, "instanceName", row->name);
	jw_end_object(w);
}

/* The schema declares these beside the result as well. */
static void write_members(struct jw *w, const void *subject)
{
	const struct instance_row *row = subject;

	jw_kv_text(w, "instanceName", row->name);
	jw_kv_text(w, "functionName", row->function);
}

void defaults_get(struct call *c)
{
	struct scope s;
	struct instance_row row;
	struct err err = { 0 };

	if (!scope_find(c, SCOPE_FUNCTION, &s))
		return;
	enum verdict v = engine_default_get(c->view, s.app.id, s.function, c->arena, &row, &err);
	if (v == V_OK)
		answer_function(c, (struct envelope){
			.result = write_result, .members = write_members, .subject = &row });
	else
		answer_read(c, v, &err);
}

void defaults_set(struct call *c)
{
	struct scope s;
	struct err err = { 0 };
	const json_t *body;
	const char *instance;

	if (!scope_find(c, SCOPE_FUNCTION, &s))
		return;
	if (body_parse(c->req->body, c->req->body_len, BODY_OPTIONAL, c->arena, &body, &err)) {
		answer_error(c, API_ERR_INVALID_REQUEST, err.msg);
		return;
	}
	if (body_text(body, "instanceName", &instance, &err)) {
		answer_bad_input(c, &err);
		return;
	}
	c->change.default_set = (struct default_set){
		.base = { .done = answer_change, .ctx = c },
		.app_id = s.app.id,
		.function = s.function,
		.instance = instance,
	};
	call_submit(c);
	engine_default_set(c->engine, &c->change.default_set);
}
