#include "api/dcs/scope.h"

#include <string.h>
#include "api/dcs/answer.h"
#include "base/num.h"

static bool is_own_project(const struct call *c, const char *project)
{
	/* Nobody signed: every project is his. */
	return !*c->project_id || strcmp(c->project_id, project) == 0;
}

bool scope_project(struct call *c, const char **out)
{
	const char *project = path_arg(&c->args, "project");

	if (!format_is_project(project))
		return dcs_answer_error(c, DCS_PROJECT_FORMAT);
	if (!is_own_project(c, project))
		return dcs_answer_error(c, DCS_FOREIGN_PROJECT);
	*out = project;
	return true;
}

bool scope_state(struct call *c, const struct cache_row *row, struct state *out)
{
	struct err err = { 0 };

	return !state_read(row, c->arena, out, &err) || dcs_answer_internal(c, "api.failed", &err);
}

bool scope_task_ids(struct call *c, const char **project, const char **instance, const char **task)
{
	const char *own = path_arg(&c->args, "project"), *uid = instance ? path_arg(&c->args, "instance") : NULL;
	const char *id = task ? path_arg(&c->args, "task") : NULL;

	if (!format_is_project(own))
		return dcs_answer_error(c, DCS_PROJECT_FORMAT);
	if (uid && !format_is_uuid(uid))
		return dcs_answer_error(c, DCS_INSTANCE_FORMAT);
	if (id && !format_is_task(id))
		return dcs_answer_error(c, DCS_TASK_FORMAT);
	if (!is_own_project(c, own))
		return dcs_answer_error(c, DCS_FOREIGN_PROJECT);
	*project = own;
	if (instance)
		*instance = uid;
	if (task)
		*task = id;
	return true;
}

bool scope_instance(struct call *c, struct cache_row *out)
{
	const char *project, *uid;
	struct err err = { 0 };

	if (!scope_task_ids(c, &project, &uid, /* task: */ NULL))
		return false;
	enum verdict v = engine_cache_get(c->view, project, uid, c->arena, out, &err);
	return v == V_OK || dcs_answer_read(c, v, &err);
}

bool scope_page(struct call *c, struct page *out)
{
	struct page page = { .offset = 0, .limit = LIMIT_DEFAULT };

	if (query_int(&c->query, "offset", 0, INT64_MAX, &page.offset, NULL))
		return dcs_answer_named(c, DCS_QUERY, "offset");
	if (query_int(&c->query, "limit", 1, LIMIT_MAX, &page.limit, NULL))
		return dcs_answer_named(c, DCS_QUERY, "limit");
	*out = page;
	return true;
}

/* begin_time is the same as start_time in the vendor's samples; start_time wins. */
static const char *begin_name(const struct call *c)
{
	return query_text(&c->query, "start_time") ? "start_time" : "begin_time";
}

bool scope_span(struct call *c, struct span *out)
{
	const char *begin = query_text(&c->query, begin_name(c)), *end = query_text(&c->query, "end_time");
	int64_t begin_s = 0, end_s = 0;

	if (begin && !format_parse_stamp(begin, &begin_s))
		return dcs_answer_named(c, DCS_QUERY, begin_name(c));
	if (end && !format_parse_stamp(end, &end_s))
		return dcs_answer_named(c, DCS_QUERY, "end_time");
	if (begin && end && end_s < begin_s)
		return dcs_answer_error(c, DCS_TIME_ORDER);
	out->from_ms = begin ? begin_s * 1000 : INT64_MIN;
	out->until_ms = end ? end_s * 1000 + 999 : INT64_MAX;
	return true;
}

bool scope_flag(struct call *c, const char *name, bool *out)
{
	int value = *out;

	if (query_choice(&c->query, name, "false|true", &value, NULL))
		return dcs_answer_named(c, DCS_QUERY, name);
	*out = value == 1;
	return true;
}

bool scope_capacity(struct call *c, int64_t *mib)
{
	const char *text = query_text(&c->query, "capacity");
	double gb;

	*mib = -1;
	if (!text)
		return true;
	if (!num_f64(text, &gb) || (*mib = format_capacity_mib(gb)) < 0)
		return dcs_answer_named(c, DCS_QUERY, "capacity");
	return true;
}

struct actor scope_actor(const struct call *c)
{
	return (struct actor){ .user_name = c->key_name, .user_id = c->account };
}
