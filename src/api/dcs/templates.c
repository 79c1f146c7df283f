#include "api/dcs/templates.h"

#include <string.h>
#include <strings.h>
#include "api/dcs/body.h"
#include "api/dcs/operate.h"
#include "api/dcs/params.h"
#include "api/dcs/routes.h"
#include "api/dcs/spec.h"
#include "base/attr.h"

enum { NAME_LEN_MAX = 64, DESCRIPTION_LEN_MAX = 1024 };

/* ---- the system's ---- */

static const char *const modes[] = { "single", "ha" };

static size_t system_count(void) { return n_redis_versions * ARRAY_LEN(modes); }

/* Texts that are not static live in a; RC_LIMIT is seen by arena_is_full. */
static struct template_row system_at(size_t i, struct arena *a)
{
	const char *mode = modes[i % ARRAY_LEN(modes)], *version = redis_versions[i / ARRAY_LEN(modes)];
	char uid[UUID_SIZE];
	const char *name = arena_printf(a, "Default-Redis-%s-%s", version, mode);

	format_derived_uuid(name ? name : "", uid);
	return (struct template_row){ .uid = arena_dup(a, uid), .name = name, .description = "What a new instance has.",
				      .engine_version = version, .cache_mode = mode, .params = "{}" };
}

static bool is_system(const struct template_row *t) { return t->id == 0; }

/* ---- finding one ---- */

/* False: answered, with unknown when there is none of that id. */
static bool find(struct call *c, const char *project, const char *id, enum dcs_error unknown, struct template_row *out)
{
	struct err err = { 0 };

	for (size_t i = 0; i < system_count(); i++) {
		struct template_row t = system_at(i, c->arena);
		if (arena_is_full(c->arena))
			return dcs_answer_no_memory(c);
		if (strcmp(t.uid, id) == 0) {
			*out = t;
			return true;
		}
	}
	enum verdict v = engine_template_get(c->view, project, id, c->arena, out, &err);
	if (v == V_NO_RECORD)
		return dcs_answer_named(c, unknown, "template_id");
	return v == V_OK || dcs_answer_read(c, v, &err);
}

bool template_settings(struct call *c, const char *project, const char *id, const char *mode, const char **out)
{
	struct template_row t;

	if (!find(c, project, id, DCS_ID_PARAM, &t))
		return false;
	if (strcmp(t.cache_mode, mode) != 0)
		return dcs_answer_words(c, DCS_ID_PARAM,
					"Invalid template_id parameter in the request. It is for another cache_mode.");
	*out = t.params;
	return true;
}

/* ---- parameters ---- */

static bool is_offered(const struct dcs_param *p, const char *mode)
{
	return !p->is_ha_only || strcmp(mode, "ha") == 0;
}

static bool check_params(struct call *c, const json_t *params, const char *mode)
{
	json_t *object = (json_t *)(uintptr_t)params; /* for the iterators; only read */

	if (params && !json_is_object(params))
		return dcs_answer_named(c, DCS_PARAM, "params");
	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
		const char *name = json_object_iter_key(it), *value = json_string_value(json_object_iter_value(it));
		const struct dcs_param *p = param_find(NULL, name);
		if (!p || !value || !is_offered(p, mode) || !param_takes(p, value))
			return dcs_answer_named(c, DCS_CONFIG_VALUE, arena_printf(c->arena, "%.64s", name));
	}
	return true;
}

/* Those of the body over those of t, as far as they differ from the defaults. False: answered. */
static bool merge_params(struct call *c, const json_t *body, const struct template_row *t, const char **out)
{
	const json_t *given = dcs_member(body, "params"), *old = NULL;
	struct buf text;
	struct jw w;
	struct err err = { 0 };

	if (!check_params(c, given, t->cache_mode))
		return false;
	if (json_read(t->params, strlen(t->params), c->arena, &old, &err))
		return dcs_answer_internal(c, "api.failed", &err);
	buf_init(&text, DETAILS_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	for (const struct dcs_param *p = dcs_params; p < dcs_params + n_dcs_params; p++) {
		const json_t *value = json_object_get(given, p->name);
		const char *chosen = json_string_value(value ? value : json_object_get(old, p->name));
		if (!chosen || strcmp(chosen, p->initial) == 0)
			continue;
		jw_key_exact(&w, p->name);
		jw_text(&w, chosen);
	}
	jw_end_object(&w);
	return dcs_keep(c, &text, out);
}

/* ---- showing ---- */

static void write_members(struct jw *w, const struct template_row *t)
{
	jw_kv_text(w, "template_id", t->uid);
	jw_kv_text(w, "name", t->name);
	jw_kv_text(w, "type", is_system(t) ? "sys" : "user");
	jw_kv_text(w, "engine", "Redis");
	jw_kv_text(w, "engine_version", t->engine_version);
	jw_kv_text(w, "cache_mode", t->cache_mode);
	jw_kv_text(w, "description", t->description);
	jw_kv_text(w, "product_type", "generic");
	jw_kv_text(w, "storage_type", "DRAM");
	format_kv_time(w, "created_at", t->created_at);
}

struct shown {
	struct template_row t;
	const json_t *params;
};

/* The parameters as ListConfigurations has them: a list, which is how Terraform's provider reads them. */
static void write_shown(struct jw *w, const void *subject)
{
	const struct shown *x = subject;

	jw_object(w);
	write_members(w, &x->t);
	jw_key(w, "params");
	jw_array(w);
	for (const struct dcs_param *p = dcs_params; p < dcs_params + n_dcs_params; p++) {
		if (is_offered(p, x->t.cache_mode))
			param_write(w, p, json_string_value(json_object_get(x->params, p->name)));
	}
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_templates_show(struct call *c)
{
	const char *project;
	struct shown x = { .params = NULL };
	struct err err = { 0 };

	if (!scope_project(c, &project) || !find(c, project, path_arg(&c->args, "template"), DCS_NO_TEMPLATE, &x.t))
		return;
	if (json_read(x.t.params, strlen(x.t.params), c->arena, &x.params, &err))
		(void)dcs_answer_internal(c, "api.failed", &err);
	else
		(void)dcs_answer(c, write_shown, &x);
}

/* ---- list ---- */

struct list {
	struct template_row *rows; /* from here on: the page */
	size_t n, total;
};

static bool is_wanted(struct call *c, const struct template_row *t)
{
	const char *name = query_text(&c->query, "name"), *id = query_text(&c->query, "template_id");
	const char *engine = query_text(&c->query, "engine"), *version = query_text(&c->query, "engine_version");
	const char *mode = query_text(&c->query, "cache_mode"), *description = query_text(&c->query, "description");

	return (!name || strstr(t->name, name)) && (!id || strcmp(t->uid, id) == 0) &&
	       (!engine || strcasecmp(engine, "redis") == 0) && (!version || strcmp(t->engine_version, version) == 0) &&
	       (!mode || strcmp(t->cache_mode, mode) == 0) && (!description || strstr(t->description, description));
}

/* All of one type. False: answered. */
static bool read_all(struct call *c, const char *project, bool of_system, struct list *list)
{
	struct err err = { 0 };

	if (!of_system) {
		enum verdict v = engine_template_list(c->view, project, c->arena, &list->rows, &list->n, &err);
		return v == V_OK || dcs_answer_read(c, v, &err);
	}
	list->n = system_count();
	list->rows = arena_array(c->arena, list->n, sizeof *list->rows);
	for (size_t i = 0; list->rows && i < list->n; i++)
		list->rows[i] = system_at(i, c->arena);
	return !arena_is_full(c->arena) || dcs_answer_no_memory(c);
}

static void take_page(struct call *c, const struct page *page, struct list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (is_wanted(c, &list->rows[i]))
			list->rows[kept++] = list->rows[i];
	}
	size_t from = (uint64_t)page->offset < kept ? (size_t)page->offset : kept, rest = kept - from;
	list->total = kept;
	list->rows += from;
	list->n = (uint64_t)page->limit < rest ? (size_t)page->limit : rest;
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *list = subject;

	jw_object(w);
	jw_kv_int(w, "template_num", (int64_t)list->total);
	jw_key(w, "templates");
	jw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		write_members(w, &list->rows[i]);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_templates_list(struct call *c)
{
	enum { SYS, USER };
	const char *project;
	struct page page;
	struct list list = { .n = 0 };
	int type = -1;

	if (!scope_project(c, &project) || !scope_page(c, &page))
		return;
	if (query_choice(&c->query, "type", "sys|user", &type, NULL) || type < 0) {
		(void)dcs_answer_named(c, DCS_QUERY, "type");
		return;
	}
	if (!read_all(c, project, type == SYS, &list))
		return;
	take_page(c, &page, &list);
	(void)dcs_answer(c, write_list, &list);
}

/* ---- changing ---- */

/* A text of low to high characters, none of them a control one. Absent leaves *out. */
static bool take_text(struct call *c, const json_t *body, const char *name, size_t low, size_t high, const char **out)
{
	const char *text = *out;
	bool is_good = dcs_text(body, name, &text);

	for (const char *p = text; is_good && p && *p; p++)
		is_good = (unsigned char)*p >= ' ' && *p != 0x7f;
	if (!is_good || (text && (dcs_length(text) < low || dcs_length(text) > high)))
		return dcs_answer_named(c, DCS_PARAM, name);
	*out = text;
	return true;
}

static bool take_words(struct call *c, const json_t *body, const char **name, const char **description)
{
	return take_text(c, body, "name", 1, NAME_LEN_MAX, name) &&
	       take_text(c, body, "description", 0, DESCRIPTION_LEN_MAX, description);
}

/* What a body says beside the template it starts from must agree with that. */
static bool agrees(struct call *c, const json_t *body, const char *name, const char *value)
{
	const char *given = NULL;

	return (dcs_text(body, name, &given) && (!given || !*given || strcasecmp(given, value) == 0)) ||
	       dcs_answer_named(c, DCS_PARAM, name);
}

/* The vendor's pages do not say of which template this is the type: Terraform's provider gives that of the source, the
 * SDKs' samples that of the new one. So both words are right, and neither decides anything: the id does. */
static bool check_type(struct call *c, const json_t *body)
{
	const char *type = NULL;

	return (dcs_text(body, "type", &type) &&
		(!type || !*type || strcmp(type, "sys") == 0 || strcmp(type, "user") == 0)) ||
	       dcs_answer_named(c, DCS_PARAM, "type");
}

static bool find_source(struct call *c, const json_t *body, const char *project, struct template_row *out)
{
	const char *id = NULL;

	if (!dcs_text(body, "template_id", &id) || !id)
		return dcs_answer_named(c, DCS_ID_PARAM, "template_id");
	return find(c, project, id, DCS_ID_PARAM, out) && check_type(c, body) && agrees(c, body, "engine", "Redis") &&
	       agrees(c, body, "engine_version", out->engine_version) && agrees(c, body, "cache_mode", out->cache_mode);
}

static void created(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_text(c, "id", c->change.template_create.uid);
	else if (change->verdict == V_TOO_MANY)
		(void)dcs_answer_error(c, DCS_QUOTA);
	else
		(void)dcs_answer_verdict(c, change->verdict, "", &change->err);
}

void dcs_templates_create(struct call *c)
{
	const char *project;
	const json_t *body;
	struct template_row row;

	if (!scope_project(c, &project) || !dcs_body(c, DCS_BODY_REQUIRED, &body) ||
	    !find_source(c, body, project, &row))
		return;
	row.project_id = project;
	row.name = NULL;
	row.description = "";
	if (!take_words(c, body, &row.name, &row.description) || !merge_params(c, body, &row, &row.params))
		return;
	if (!row.name) {
		(void)dcs_answer_named(c, DCS_PARAM, "name");
		return;
	}
	c->change.template_create = (struct template_create){ .base = { .done = created, .ctx = c }, .row = row };
	call_submit(c);
	engine_template_create(c->engine, &c->change.template_create);
}

static void changed(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_text(c, "result", "success");
	else if (change->verdict == V_NO_RECORD)
		(void)dcs_answer_error(c, DCS_NO_TEMPLATE);
	else
		(void)dcs_answer_verdict(c, change->verdict, "", &change->err);
}

/* Of the path, and the project's own. False: answered. */
static bool find_own(struct call *c, const char **project, struct template_row *out)
{
	if (!scope_project(c, project) || !find(c, *project, path_arg(&c->args, "template"), DCS_NO_TEMPLATE, out))
		return false;
	return !is_system(out) ||
	       dcs_answer_words(c, DCS_ID_PARAM,
		       "Invalid template_id parameter in the request. The system's templates cannot be changed.");
}

void dcs_templates_update(struct call *c)
{
	const char *project;
	const json_t *body;
	struct template_row row;

	if (!find_own(c, &project, &row) || !dcs_body(c, DCS_BODY_REQUIRED, &body))
		return;
	c->change.template_update = (struct template_update){
		.base = { .done = changed, .ctx = c },
		.project_id = project,
		.uid = row.uid,
	};
	struct template_update *u = &c->change.template_update;
	if (!take_words(c, body, &u->name, &u->description) ||
	    (dcs_member(body, "params") && !merge_params(c, body, &row, &u->params)))
		return;
	call_submit(c);
	engine_template_update(c->engine, u);
}

void dcs_templates_delete(struct call *c)
{
	const char *project;
	struct template_row row;

	if (!find_own(c, &project, &row))
		return;
	c->change.template_delete = (struct template_delete){
		.base = { .done = changed, .ctx = c },
		.project_id = project,
		.uid = row.uid,
	};
	call_submit(c);
	engine_template_delete(c->engine, &c->change.template_delete);
}
