/* Tags of instances. */
#include <string.h>
#include "api/dcs/fields.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"

static enum rc read_tags(const struct cache_row *row, struct arena *a, const json_t **out, struct err *err)
{
	const char *text = *row->tags ? row->tags : "[]";
	enum rc rc = json_read(text, strlen(text), a, out, err);
	return rc ? err_wrap(err, rc == RC_BUSY ? rc : RC_CORRUPT, "tags of instance %s", row->uid) : RC_OK;
}

/* ---- showing ---- */

static void write_tags(struct jw *w, const void *subject)
{
	const struct cache_row *row = subject;

	jw_object(w);
	jw_key(w, "tags");
	jw_raw(w, *row->tags ? row->tags : "[]");
	jw_end_object(w);
}

void dcs_tags_show(struct call *c)
{
	struct cache_row row;

	if (scope_instance(c, &row))
		(void)dcs_answer(c, write_tags, &row);
}

/* ---- of a project: each key once, with all its values ---- */

struct tag {
	const char *key, *value;
};

struct tag_list {
	struct tag *tags; /* each (key, value) once, by key */
	size_t n;
};

static int by_key(const void *a, const void *b)
{
	const struct tag *x = a, *y = b;
	int order = strcmp(x->key, y->key);
	return order ? order : strcmp(x->value, y->value);
}

static void write_project_tags(struct jw *w, const void *subject)
{
	const struct tag_list *list = subject;

	jw_object(w);
	jw_key(w, "tags");
	jw_array(w);
	for (size_t i = 0; i < list->n;) {
		const char *key = list->tags[i].key;
		jw_object(w);
		jw_kv_text(w, "key", key);
		jw_key(w, "values");
		jw_array(w);
		for (; i < list->n && strcmp(list->tags[i].key, key) == 0; i++) {
			if (i == 0 || by_key(&list->tags[i - 1], &list->tags[i]) != 0)
				jw_text(w, list->tags[i].value);
		}
		jw_end_array(w);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

static enum rc collect(struct call *c, const struct cache_row *row, struct tag_list *list, struct err *err)
{
	const json_t *tags;

	enum rc rc = read_tags(row, c->arena, &tags, err);
	for (size_t i = 0; !rc && i < json_array_size(tags) && i < TAGS_MAX; i++) {
		const json_t *tag = json_array_get(tags, i);
		const char *key = json_string_value(json_object_get(tag, "key"));
		const char *value = json_string_value(json_object_get(tag, "value"));
		if (key)
			list->tags[list->n++] = (struct tag){ key, value ? value : "" };
	}
	return rc;
}

void dcs_tags_project(struct call *c)
{
	struct cache_filter filter = { .includes_failed = true, .capacity_mib = -1 };
	struct cache_row *rows;
	size_t n;
	int64_t total;
	struct tag_list list = { 0 };
	struct err err = { 0 };

	if (!scope_project(c, &filter.project_id))
		return;
	enum verdict v = engine_cache_list(c->view, &filter, c->arena, &rows, &n, &total, &err);
	if (v != V_OK) {
		(void)dcs_answer_read(c, v, &err);
		return;
	}
	list.tags = arena_array(c->arena, n * TAGS_MAX + 1, sizeof *list.tags);
	if (!list.tags) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (collect(c, &rows[i], &list, &err)) {
			(void)dcs_answer_internal(c, "api.failed", &err);
			return;
		}
	}
	qsort(list.tags, list.n, sizeof *list.tags, by_key);
	(void)dcs_answer(c, write_project_tags, &list);
}

/* ---- changing ---- */

static void tags_changed(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		(void)dcs_answer_none(c);
	else if (change->verdict == V_TOO_MANY)
		(void)dcs_answer_error(c, DCS_QUOTA);
	else
		(void)dcs_answer_verdict(c, change->verdict, "", &change->err);
}

void dcs_tags_action(struct call *c)
{
	struct cache_row *row = arena_new_of(c->arena, struct cache_row);
	const json_t *body;
	const char *action = NULL, *given = NULL;

	if (!row) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, row) || !dcs_body(c, DCS_BODY_REQUIRED, &body))
		return;
	bool is_word = dcs_text(body, "action", &action) && action;
	bool creates = is_word && strcmp(action, "create") == 0;
	if (!creates && !(is_word && strcmp(action, "delete") == 0)) {
		(void)dcs_answer_named(c, DCS_PARAM, "action");
		return;
	}
	if (!fields_tags(c, body, &given))
		return;
	if (!given) {
		(void)dcs_answer_named(c, DCS_PARAM, "tags");
		return;
	}
	c->change.cache_tag = (struct cache_tag){
		.base = { .done = tags_changed, .ctx = c },
		.project_id = row->project_id,
		.uid = row->uid,
		.tags = given,
		.removes = !creates,
		.max = TAGS_MAX,
	};
	call_submit(c);
	engine_cache_tag(c->engine, &c->change.cache_tag);
}
