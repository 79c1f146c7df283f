/*
 * App groups: camelCase only, times in seconds. A group of this server is "normal" from the start;
 * what it is sold for elsewhere (quota, charge type) is kept and shown, and limits nothing.
 */
#include <string.h>
#include "api/opensearch/answer.h"
#include "api/opensearch/body.h"
#include "api/opensearch/routes.h"
#include "api/opensearch/scope.h"
#include "base/num.h"

enum { DEFAULT_PAGE_SIZE = 10, TAGS_MAX = 20 };
static const char instance_prefix[] = "ops-stint-"; /* of instanceId; the group's id follows */
static const char default_quota[] =
	"{\"docSize\":1,\"computeResource\":20,\"spec\":\"opensearch.share.common\"}";

struct list {
	const struct app_row *rows;
	size_t n;
};

static void write_app(struct jw *w, const void *subject)
{
	const struct app_row *row = subject;
	char id[24], instance_id[48];

	(void)snprintf(id, sizeof id, "%lld", (long long)row->id);
	(void)snprintf(instance_id, sizeof instance_id, "%s%s", instance_prefix, id);
	jw_object(w);
	jw_kv_text(w, "id", id);
	jw_kv_text(w, "name", row->name);
	jw_kv_text(w, "type", row->type);
	jw_kv_text(w, "status", "normal");
	jw_kv_int(w, "produced", 1);
	jw_kv_int(w, "created", row->created_at / 1000);
	jw_kv_int(w, "updated", row->updated_at / 1000);
	jw_kv_int(w, "switchedTime", row->created_at / 1000);
	jw_kv_text(w, "chargeType", row->charge_type);
	jw_kv_int(w, "chargingWay", 1);
	jw_kv_text(w, "commodityCode", "opensearch");
	jw_kv_text(w, "currentVersion", id);
	jw_kv_text(w, "description", row->description);
	jw_kv_text(w, "domain", row->domain);
	jw_kv_text(w, "engineType", "ha3");
	jw_kv_text(w, "lockMode", "Unlock");
	jw_kv_int(w, "hasPendingQuotaReviewTask", 0);
	jw_kv_text(w, "instanceId", instance_id);
	jw_kv_text(w, "projectId", "");
	jw_kv_text(w, "expireOn", "");
	jw_kv_text(w, "resourceGroupId", row->resource_group_id);
	jw_key(w, "quota");
	jw_raw(w, *row->quota ? row->quota : "{}");
	jw_key(w, "tags");
	jw_raw(w, *row->tags ? row->tags : "[]");
	jw_end_object(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *list = subject;

	jw_array(w);
	for (size_t i = 0; i < list->n; i++)
		write_app(w, &list->rows[i]);
	jw_end_array(w);
}

/* ---- reading ---- */

void apps_get(struct call *c)
{
	struct scope s;

	if (scope_find(c, SCOPE_APP, &s))
		answer_app(c, (struct envelope){ .result = write_app, .subject = &s.app });
}

static enum rc read_filter(struct call *c, struct app_filter *f, struct err *err)
{
	int sort_by = 0;
	struct page page;

	enum rc rc = query_choice(&c->query, "sortBy", "0|1", &sort_by, err);
	if (!rc)
		rc = query_page(&c->query, DEFAULT_PAGE_SIZE, &page, err);
	if (rc)
		return rc;
	*f = (struct app_filter){
		.account = c->account,
		.name = query_text(&c->query, "name"),
		.type = query_text(&c->query, "type"),
		.resource_group_id = query_text(&c->query, "resourceGroupId"),
		.tags = query_text(&c->query, "tags"),
		.by_updated = sort_by == 1,
		.offset = page.offset,
		.limit = page.limit,
	};
	return RC_OK;
}

/* An instanceId is a group's id in other words: turn it into the group's name. *is_none: it fits no group. */
static enum verdict narrow_to_instance(struct call *c, struct app_filter *f, bool *is_none, struct err *err)
{
	const char *id = query_text(&c->query, "instanceId");
	size_t prefix_len = sizeof instance_prefix - 1;
	struct app_row row;

	*is_none = false;
	if (!id)
		return V_OK;
	*is_none = strncmp(id, instance_prefix, prefix_len) != 0 || !num_is_canonical(id + prefix_len);
	if (*is_none)
		return V_OK;
	enum verdict v = engine_app_get(c->view, f->account, id + prefix_len, c->arena, &row, err);
	if (v != V_OK && v != V_NO_APP)
		return v;
	*is_none = v == V_NO_APP || (f->name && strcmp(f->name, row.name) != 0);
	if (!*is_none)
		f->name = row.name;
	return V_OK;
}

void apps_list(struct call *c)
{
	struct app_filter filter;
	struct app_row *rows = NULL;
	struct list list = { 0 };
	int64_t total = 0;
	bool is_none;
	struct err err = { 0 };

	if (read_filter(c, &filter, &err)) {
		answer_bad_input(c, &err);
		return;
	}
	enum verdict v = narrow_to_instance(c, &filter, &is_none, &err);
	if (v == V_OK && !is_none)
		v = engine_app_list(c->view, &filter, c->arena, &rows, &list.n, &total, &err);
	if (v != V_OK) {
		answer_read(c, v, &err);
		return;
	}
	list.rows = rows;
	answer_app(c, (struct envelope){ .result = write_list, .subject = &list, .total = &total });
}

/* ---- creating ---- */

static bool is_word_of(const char *word, const char *choices)
{
	size_t len = strlen(word);

	for (const char *p = choices; *p;) {
		size_t n = strcspn(p, "|");
		if (n == len && memcmp(p, word, n) == 0)
			return true;
		p += n + (p[n] == '|');
	}
	return false;
}

static enum rc copy_quota_number(const json_t *quota, const char *name, struct jw *w, struct err *err)
{
	const json_t *v = json_pick(quota, name);

	if (v && (!json_is_integer(v) || json_integer_value(v) < 0))
		return err_set(err, RC_INVALID, "quota.%s must be an integer of at least 0", name);
	jw_kv_int(w, name, v ? json_integer_value(v) : 0);
	return RC_OK;
}

static enum rc copy_quota(const json_t *quota, struct jw *w, struct err *err)
{
	static const char specs[] =
		"opensearch.share.junior|opensearch.share.common|opensearch.share.compute|opensearch.share.storage|"
		"opensearch.private.common|opensearch.private.compute|opensearch.private.storage";
	const char *spec;

	if (!json_is_object(quota))
		return err_set(err, RC_INVALID, "quota must be an object {docSize, computeResource, spec}");
	jw_object(w);
	enum rc rc = copy_quota_number(quota, "docSize", w, err);
	if (!rc)
		rc = copy_quota_number(quota, "computeResource", w, err);
	if (!rc)
		rc = body_text(quota, "spec", &spec, err);
	if (rc)
		return rc;
	if (spec && !is_word_of(spec, specs))
		return err_set(err, RC_INVALID, "quota.spec must be one of %s", specs);
	jw_kv_text(w, "spec", spec ? spec : "opensearch.share.common");
	jw_end_object(w);
	return RC_OK;
}

static enum rc copy_tag(const json_t *tag, struct jw *w, struct err *err)
{
	const char *key = NULL, *value = NULL;

	if (!json_is_object(tag))
		return err_set(err, RC_INVALID, "tags must be an array of {key, value}");
	enum rc rc = body_text(tag, "key", &key, err);
	if (!rc)
		rc = body_text(tag, "value", &value, err);
	if (rc)
		return err_wrap(err, rc, "tags");
	if (!key || !*key)
		return err_set(err, RC_INVALID, "tags: a key must be present and not empty");
	jw_object(w);
	jw_kv_text(w, "key", key);
	jw_kv_text(w, "value", value ? value : "");
	jw_end_object(w);
	return RC_OK;
}

static enum rc copy_tags(const json_t *tags, struct jw *w, struct err *err)
{
	size_t n = json_array_size(tags);

	if (!json_is_array(tags) || n > TAGS_MAX)
		return err_set(err, RC_INVALID, "tags must be an array of at most %d {key, value}", TAGS_MAX);
	jw_array(w);
	for (size_t i = 0; i < n; i++) {
		enum rc rc = copy_tag(json_array_get(tags, i), w, err);
		if (rc)
			return rc;
	}
	jw_end_array(w);
	return RC_OK;
}

typedef enum rc copy_fn(const json_t *v, struct jw *w, struct err *err);

/* A member as checked and compact JSON text; otherwise when it is absent. */
static enum rc take_json(const json_t *body, const char *name, copy_fn *copy, const char *otherwise, struct arena *a,
			 const char **out, struct err *err)
{
	const json_t *v = json_pick(body, name);
	struct buf text;
	struct jw w;

	*out = otherwise;
	if (!v)
		return RC_OK;
	buf_init(&text, 256 << 10);
	jw_init(&w, &text, CASING_CAMEL);
	enum rc rc = copy(v, &w, err);
	const char *copied = rc || text.is_over ? NULL : arena_dup_n(a, buf_text(&text), text.len);
	if (!rc && !copied)
		rc = err_set(err, RC_INVALID, "%s is too large", name);
	if (!rc)
		*out = copied;
	buf_fini(&text);
	return rc;
}

static enum rc read_row(const json_t *body, struct arena *a, struct app_row *out, struct err *err)
{
	struct app_row row = { 0 };
	const struct {
		const char *name;
		const char **to;
		const char *otherwise;
	} texts[] = {
		{ "name", &row.name, NULL },
		{ "type", &row.type, NULL },
		{ "chargeType", &row.charge_type, "POSTPAY" },
		{ "resourceGroupId", &row.resource_group_id, "" },
		{ "description", &row.description, "" },
		{ "domain", &row.domain, "GENERAL" },
	};
	enum rc rc = RC_OK;

	for (size_t i = 0; i < ARRAY_LEN(texts) && !rc; i++) {
		rc = body_text(body, texts[i].name, texts[i].to, err);
		if (!rc && !*texts[i].to)
			*texts[i].to = texts[i].otherwise;
	}
	if (!rc)
		rc = take_json(body, "quota", copy_quota, default_quota, a, &row.quota, err);
	if (!rc)
		rc = take_json(body, "tags", copy_tags, "[]", a, &row.tags, err);
	if (!rc)
		*out = row;
	return rc;
}

/* False: a rule is broken, and the answer is sent. */
static bool check_row(struct call *c, const struct app_row *row)
{
	if (!row->name || !row->type)
		answer_error(c, API_ERR_MISSING_PARAMETER, row->name ? "type is required" : "name is required");
	else if (!is_word_of(row->type, "standard|enhanced"))
		answer_error(c, API_ERR_INVALID_PARAMETER, "type must be standard or enhanced");
	else if (!is_word_of(row->charge_type, "POSTPAY|PREPAY"))
		answer_error(c, API_ERR_INVALID_PARAMETER, "chargeType must be POSTPAY or PREPAY");
	else
		return true;
	return false;
}

static void created(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		answer_app(c, (struct envelope){ .result = write_app, .subject = &c->change.app_create.row });
	else if (change->verdict == V_BAD_INPUT) /* of a row checked here, only the name is left to the engine */
		answer_error(c, API_ERR_APP_NAME, change->err.msg);
	else
		answer_verdict(c, change->verdict, &change->err);
}

void apps_create(struct call *c)
{
	struct err err = { 0 };
	const json_t *body;
	struct app_row row;

	if (body_parse(c->req->body, c->req->body_len, BODY_REQUIRED, c->arena, &body, &err)) {
		answer_error(c, API_ERR_INVALID_REQUEST, err.msg);
		return;
	}
	if (read_row(body, c->arena, &row, &err)) {
		answer_bad_input(c, &err);
		return;
	}
	if (!check_row(c, &row))
		return;
	row.account = c->account;
	c->change.app_create = (struct app_create){ .base = { .done = created, .ctx = c }, .row = row };
	call_submit(c);
	engine_app_create(c->engine, &c->change.app_create);
}

/* ---- removing ---- */

static void write_empty(struct jw *w, const void *subject)
{
	(void)subject; /* the vendor's result of a removal is always [] */
	jw_array(w);
	jw_end_array(w);
}

static void removed(struct change *change)
{
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		answer_app(c, (struct envelope){ .result = write_empty });
	else
		answer_verdict(c, change->verdict, &change->err);
}

void apps_remove(struct call *c)
{
	struct scope s;

	if (!scope_find(c, SCOPE_APP, &s))
		return;
	if (strcmp(s.app.charge_type, "PREPAY") == 0) {
		answer_error(c, API_ERR_INVALID_REQUEST, "only a POSTPAY app group can be removed, this one is PREPAY");
		return;
	}
	c->change.app_remove = (struct app_remove){
		.base = { .done = removed, .ctx = c },
		.account = c->account,
		.identity = path_arg(&c->args, "app"),
	};
	call_submit(c);
	engine_app_remove(c->engine, &c->change.app_remove);
}
