/* Configuration parameters. */
#include <string.h>
#include "api/dcs/body.h"
#include "api/dcs/operate.h"
#include "api/dcs/params.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"

enum { RECENT_TASKS = 50 /* among which the last change of the configuration is looked for */ };

static bool is_offered(const struct dcs_param *p, const struct cache_row *row)
{
	return !p->is_ha_only || strcmp(row->cache_mode, "ha") == 0;
}

/* ---- showing ---- */

struct configs {
	struct cache_row row;
	struct state state;
	struct task_row last; /* change of the configuration; id 0: none is known */
};

static const char *status_of(const struct configs *x)
{
	if (!x->last.id || x->last.state == TASK_SUCCESS)
		return "SUCCESS";
	return x->last.state == TASK_FAILED ? "FAILURE" : "UPDATING";
}

static void write_configs(struct jw *w, const void *subject)
{
	const struct configs *x = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", x->row.uid);
	jw_kv_text(w, "status", x->row.status);
	jw_kv_text(w, "config_status", status_of(x));
	format_kv_time(w, "config_time", x->last.id ? x->last.updated_at : x->row.created_at);
	jw_key(w, "redis_config");
	jw_array(w);
	for (size_t i = 0; i < n_dcs_params; i++) {
		if (is_offered(&dcs_params[i], &x->row))
			param_write(w, &dcs_params[i], state_setting(&x->state, dcs_params[i].name));
	}
	jw_end_array(w);
	jw_end_object(w);
}

static enum verdict read_last(struct call *c, struct configs *x, struct err *err)
{
	struct task_row *rows;
	size_t n, i = 0;
	int64_t total;
	const struct cache_task_filter recent = {
		.project_id = x->row.project_id,
		.cache_id = x->row.id,
		.created_from = INT64_MIN,
		.created_until = INT64_MAX,
		.limit = RECENT_TASKS,
	};
	enum verdict v = engine_cache_task_list(c->view, &recent, c->arena, &rows, &n, &total, err);
	if (v != V_OK)
		return v;
	while (i < n && strcmp(rows[i].kind, cache_op_name(CACHE_OP_CONFIG)) != 0)
		i++;
	if (i < n)
		x->last = rows[i];
	return V_OK;
}

void dcs_configs_list(struct call *c)
{
	struct configs *x = arena_new_of(c->arena, struct configs);
	struct err err = { 0 };

	if (!x) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, &x->row) || !scope_state(c, &x->row, &x->state))
		return;
	enum verdict v = read_last(c, x, &err);
	(void)dcs_answer_found(c, v, &err, write_configs, x);
}

/* ---- changing ---- */

/* One entry of redis_config into settings; false: answered. */
static bool write_setting(struct call *c, const struct cache_row *row, const json_t *item, bool seen[], struct jw *w)
{
	const char *id = NULL, *name = NULL, *value = NULL;

	if (!json_is_object(item) || !dcs_text(item, "param_id", &id) || !dcs_text(item, "param_name", &name) ||
	    !dcs_text(item, "param_value", &value))
		return dcs_answer_named(c, DCS_CONFIG_VALUE, "redis_config");
	const struct dcs_param *p = param_find(id && *id ? id : NULL, name && *name ? name : NULL);
	const char *shown = name && *name ? name : id && *id ? id : "redis_config";
	if (!p || !value || !is_offered(p, row) || !param_takes(p, value) || seen[p - dcs_params])
		return dcs_answer_named(c, DCS_CONFIG_VALUE, arena_printf(c->arena, "%.64s", shown));
	seen[p - dcs_params] = true;
	jw_kv_text(w, p->name, value);
	return true;
}

static bool write_args(struct call *c, const struct cache_row *row, const json_t *list, const char **out)
{
	bool *seen = arena_array(c->arena, n_dcs_params, sizeof *seen);
	bool is_good = seen != NULL;
	struct buf text;
	struct jw w;

	if (!seen)
		return dcs_answer_no_memory(c);
	buf_init(&text, DETAILS_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_key(&w, "settings");
	jw_object(&w);
	for (size_t i = 0; is_good && i < json_array_size(list); i++)
		is_good = write_setting(c, row, json_array_get(list, i), seen, &w);
	if (!is_good) {
		buf_fini(&text);
		return false;
	}
	jw_end_object(&w);
	jw_end_object(&w);
	return dcs_keep(c, &text, out);
}

/* Two who change the configuration at once have a code of their own. */
static bool is_race(const struct cache_operate *o)
{
	return o->base.verdict == V_INSTANCE_BUSY && strcmp(o->busy, cache_op_name(CACHE_OP_CONFIG)) == 0;
}

static void configured(struct change *change)
{
	struct call *c = change->ctx;

	if (is_race(&c->change.cache_operate))
		(void)dcs_answer_error(c, DCS_CONFIG_RACE);
	else if (c->change.cache_operate.waits)
		operate_answer_none(change);
	else
		operate_answer_job(change);
}

static void update(struct call *c, bool waits)
{
	struct cache_row *row = arena_new_of(c->arena, struct cache_row);
	const json_t *body;

	if (!row) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, row) || !dcs_body(c, DCS_BODY_REQUIRED, &body))
		return;
	const json_t *list = dcs_member(body, "redis_config");
	if (json_array_size(list) == 0) {
		(void)dcs_answer_named(c, DCS_PARAM, "redis_config");
		return;
	}
	struct cache_operate *o = operate_prepare(c, row, CACHE_OP_CONFIG, configured);
	o->waits = waits;
	o->details = arena_printf(c->arena, "{\"updated_config_length\":%zu}", json_array_size(list));
	if (!write_args(c, row, list, &o->args))
		return;
	if (o->details)
		operate_submit(c);
	else
		(void)dcs_answer_no_memory(c);
}

void dcs_configs_update(struct call *c) { update(c, /* waits: */ true); }
void dcs_configs_update_async(struct call *c) { update(c, /* waits: */ false); }
