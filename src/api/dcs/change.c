/* UpdateInstance, DeleteSingleInstance, BatchDeleteInstances, RestartOrFlushInstances. */
#include <string.h>
#include "api/dcs/fields.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"

/* ---- update: only what differs acts ---- */

struct update {
	struct cache_row row;
	struct state state;
	int64_t port;
	const char *renames;         /* JSON object */
	bool changes_port, changes_renames, changes_row;
	struct cache_update change;
};

static bool check_name(struct call *c, const json_t *body, const char **out)
{
	const char *name = NULL;

	if (!dcs_text(body, "name", &name))
		return dcs_answer_error(c, DCS_NAME);
	if (!name || strcmp(name, *out) == 0)
		return true;
	if (!fields_name(c, name, INSTANCE_NAME_MAX))
		return false;
	*out = name;
	return true;
}

/* The echo with another security group in it; "" and the word that is shown for none are none. */
static bool check_group(struct call *c, const json_t *body, struct update *u)
{
	const char *group = NULL;
	struct echo echo;
	struct buf text;
	struct jw w;
	struct err err = { 0 };

	if (!dcs_text(body, "security_group_id", &group))
		return dcs_answer_error(c, DCS_SECURITY_GROUP);
	if (echo_read(&u->row, c->arena, &echo, &err))
		return dcs_answer_internal(c, "api.failed", &err);
	const char *old = echo_text(&echo, "security_group_id");
	if (group && strcmp(group, no_security_group) == 0)
		group = "";
	if (!group || strcmp(group, old ? old : "") == 0)
		return true;
	json_t *object = (json_t *)(uintptr_t)echo.root; /* for the iterators; only read */
	buf_init(&text, DETAILS_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
		if (strcmp(json_object_iter_key(it), "security_group_id") == 0)
			continue;
		jw_key_exact(&w, json_object_iter_key(it));
		jw_value(&w, json_object_iter_value(it));
	}
	if (*group)
		jw_kv_text(&w, "security_group_id", group);
	jw_end_object(&w);
	return dcs_keep(c, &text, &u->change.echo);
}

static bool check_row_fields(struct call *c, const json_t *body, struct update *u)
{
	const struct cache_row *row = &u->row;
	const char *name = row->name, *description = row->description;
	const char *begin = row->maintain_begin, *end = row->maintain_end;

	if (!check_name(c, body, &name) || !fields_description(c, body, &description) ||
	    !fields_window(c, body, &begin, &end) || !check_group(c, body, u) ||
	    !fields_backup_policy(c, body, row->cache_mode, row->project_id, row->backup_policy,
				  &u->change.backup_policy))
		return false;
	u->change.name = strcmp(name, row->name) != 0 ? name : NULL;
	u->change.description = strcmp(description, row->description) != 0 ? description : NULL;
	if (strcmp(begin, row->maintain_begin) != 0 || strcmp(end, row->maintain_end) != 0) {
		u->change.maintain_begin = begin;
		u->change.maintain_end = end;
	}
	u->changes_row = u->change.name || u->change.description || u->change.maintain_begin || u->change.echo ||
			 u->change.backup_policy;
	return true;
}

static bool check_process_fields(struct call *c, const json_t *body, struct update *u)
{
	const json_t *renames = NULL;

	u->port = u->row.port;
	if (!fields_port(c, body, &u->port) || !fields_renames(c, body, u->state.renames, &u->renames))
		return false;
	if (u->renames && json_read(u->renames, strlen(u->renames), c->arena, &renames, NULL))
		return dcs_answer_no_memory(c);
	u->changes_port = u->port != u->row.port;
	/* None at all and an empty object are the same. */
	u->changes_renames = renames && (json_object_size(renames) || json_object_size(u->state.renames)) &&
			     (!u->state.renames || !json_equal(renames, u->state.renames));
	if (u->changes_port && u->changes_renames)
		return dcs_answer_words(
		        c, DCS_PARAM,
		        "Invalid rename_commands parameter in the request: each of port and commands is "
		        "a task of its own, so change one at a time.");
	return true;
}

static void row_updated(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_none(c);
	else
		(void)dcs_answer_verdict(c, change->verdict, "", &change->err);
}

/* The task was taken, or refused, and then the rest of the update must not count either. */
static void task_taken(struct change *change)
{
	struct call *c = change->ctx;
	struct update *u = c->req->user;

	if (!operate_is_taken(c))
		return;
	if (u->changes_row)
		engine_cache_update(c->engine, &u->change);
	else
		(void)dcs_answer_none(c);
}

static bool write_port(struct call *c, const struct update *u, struct cache_operate *o)
{
	o->args = arena_printf(c->arena, "{\"port\":%lld}", (long long)u->port);
	o->details = arena_printf(c->arena, "{\"old_port\":%lld,\"new_port\":%lld}", (long long)u->row.port,
				  (long long)u->port);
	return (o->args && o->details) || dcs_answer_no_memory(c);
}

/* Details name the commands whose names are changed now. */
static bool write_renames(struct call *c, const struct update *u, struct cache_operate *o)
{
	json_t *now = NULL;
	const json_t *parsed;
	struct buf text;
	struct jw w;

	if (json_read(u->renames, strlen(u->renames), c->arena, &parsed, NULL))
		return dcs_answer_no_memory(c);
	now = (json_t *)(uintptr_t)parsed; /* for the iterators; only read */
	buf_init(&text, DETAILS_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_key(&w, "rename_commands");
	jw_array(&w);
	for (void *it = json_object_iter(now); it; it = json_object_iter_next(now, it))
		jw_text(&w, json_object_iter_key(it));
	jw_end_array(&w);
	jw_end_object(&w);
	o->args = arena_printf(c->arena, "{\"renames\":%s}", u->renames);
	return dcs_keep(c, &text, &o->details) && (o->args || dcs_answer_no_memory(c));
}

static void submit_update(struct call *c, struct update *u)
{
	bool is_port = u->changes_port;

	u->change.base = (struct change){ .done = row_updated, .ctx = c };
	u->change.project_id = u->row.project_id;
	u->change.uid = u->row.uid;
	u->change.wrong_passwords = u->change.locked_until = -1;
	if (u->changes_port || u->changes_renames) {
		struct cache_operate *o =
		        operate_prepare(c, &u->row, is_port ? CACHE_OP_PORT : CACHE_OP_RENAME, task_taken);
		c->req->user = u;
		if (is_port ? write_port(c, u, o) : write_renames(c, u, o))
			operate_submit(c);
	} else if (u->changes_row) {
		call_submit(c);
		engine_cache_update(c->engine, &u->change);
	} else {
		(void)dcs_answer_none(c);
	}
}

void dcs_instances_update(struct call *c)
{
	struct update *u = arena_new_of(c->arena, struct update);
	const json_t *body;

	if (!u) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, &u->row) || !dcs_body(c, DCS_BODY_REQUIRED, &body) ||
	    !scope_state(c, &u->row, &u->state))
		return;
	if (check_row_fields(c, body, u) && check_process_fields(c, body, u))
		submit_update(c, u);
}

/* ---- deletion ---- */

static void deleted(struct change *change)
{
	struct call *c = change->ctx;
	const struct cache_operate *o = &c->change.cache_operate;

	if (change->verdict == V_INSTANCE_BUSY || change->verdict == V_BAD_STATE)
		(void)dcs_answer_error(c, dcs_error_of_busy_delete(o->busy));
	else if (operate_is_taken(c))
		(void)dcs_answer_none(c);
}

void dcs_instances_delete(struct call *c)
{
	struct cache_row row;

	if (!scope_instance(c, &row))
		return;
	(void)operate_prepare(c, &row, CACHE_OP_DELETE, deleted);
	operate_submit(c);
}

/* Instances whose creation failed: the quota keeps them few. */
static bool list_failed(struct call *c, const char *project, const char ***uids, size_t *n)
{
	struct cache_row *rows;
	int64_t total;
	struct err err = { 0 };
	const struct cache_filter filter = {
		.project_id = project,
		.status = "CREATEFAILED",
		.includes_failed = true,
		.capacity_mib = -1,
	};
	enum verdict v = engine_cache_list(c->view, &filter, c->arena, &rows, n, &total, &err);
	if (v != V_OK)
		return dcs_answer_read(c, v, &err);
	*uids = arena_array(c->arena, *n + 1, sizeof **uids);
	for (size_t i = 0; *uids && i < *n; i++)
		(*uids)[i] = rows[i].uid;
	return *uids || dcs_answer_no_memory(c);
}

void dcs_instances_delete_many(struct call *c)
{
	const char *project, **uids;
	const json_t *body;
	size_t n;
	bool is_all_failed = false;

	if (!scope_project(c, &project) || !scope_flag(c, "all_failure", &is_all_failed))
		return;
	if (is_all_failed ? list_failed(c, project, &uids, &n)
			  : dcs_body(c, DCS_BODY_REQUIRED, &body) && operate_ids(c, body, &uids, &n))
		operate_many(c, project, uids, n, CACHE_OP_DELETE);
}

/* ---- restart, flush ---- */

void dcs_restart_or_flush(struct call *c)
{
	static const struct {
		const char *word;
		enum cache_op op;
	} actions[] = {
		{ "restart", CACHE_OP_RESTART },
		{ "soft_restart", CACHE_OP_SOFT_RESTART },
		{ "flush", CACHE_OP_FLUSH },
	};
	const char *project, **uids, *action = NULL;
	const json_t *body;
	size_t n;

	if (!scope_project(c, &project) || !dcs_body(c, DCS_BODY_REQUIRED, &body) ||
	    !operate_ids(c, body, &uids, &n))
		return;
	bool is_text = dcs_text(body, "action", &action) && action;
	for (size_t i = 0; is_text && i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].word, action) == 0) {
			operate_many(c, project, uids, n, actions[i].op);
			return;
		}
	}
	(void)dcs_answer_error(c, DCS_ACTION);
}
