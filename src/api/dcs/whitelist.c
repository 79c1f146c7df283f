/* IP whitelist. Redis has no allow-list and nothing here stands between it and its clients: a list is kept and shown
 * as it was given, and at the end of its task the log says that nothing enforces it (engine/cache_ops.c). */
#include <string.h>
#include "api/dcs/fields.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "base/attr.h"

/* ---- show ---- */

struct shown {
	struct cache_row row;
	const json_t *kept; /* NULL: never set */
};

static void write_whitelist(struct jw *w, const void *subject)
{
	const struct shown *x = subject;
	const json_t *list = json_object_get(x->kept, "whitelist");

	jw_object(w);
	jw_kv_text(w, "instance_id", x->row.uid);
	jw_kv_bool(w, "enable_whitelist", json_is_true(json_object_get(x->kept, "enable_whitelist")));
	jw_key(w, "whitelist");
	if (list) {
		jw_value(w, list);
	} else {
		jw_array(w);
		jw_end_array(w);
	}
	jw_kv_text(w, "whitelist_ip_limit_num", "20"); /* a text */
	jw_end_object(w);
}

void dcs_whitelist_show(struct call *c)
{
	struct shown x = { .kept = NULL };
	struct err err = { 0 };

	if (!scope_instance(c, &x.row))
		return;
	const char *text = x.row.whitelist;
	enum rc rc = *text ? json_read(text, strlen(text), c->arena, &x.kept, &err) : RC_OK;
	if (rc == RC_OK) {
		(void)dcs_answer(c, write_whitelist, &x);
	} else if (rc == RC_BUSY) {
		(void)dcs_answer_no_memory(c);
	} else {
		(void)err_wrap(&err, RC_CORRUPT, "whitelist of instance %s", x.row.uid);
		(void)dcs_answer_internal(c, "api.failed", &err);
	}
}

/* ---- change ---- */

enum { GROUPS_MAX = 4, ADDRESSES_MAX = 20, GROUP_NAME_MAX = 64, LIST_BYTES_MAX = 8 << 10 };

/* Counts them in: one text may hold several, with commas between. Everybody's address is none. */
static bool count_addresses(const char *text, size_t *n)
{
	for (;;) {
		text += strspn(text, ", ");
		size_t len = strcspn(text, ", ");
		if (!len)
			return *n <= ADDRESSES_MAX;
		if ((len == 7 && strncmp(text, "0.0.0.0", 7) == 0) || (len == 9 && strncmp(text, "0.0.0.0/0", 9) == 0))
			return false;
		++*n;
		text += len;
	}
}

static bool is_name(const char *name) { return name && *name && dcs_length(name) <= GROUP_NAME_MAX; }

static bool check_group(struct call *c, const json_t *group, size_t *n_addresses)
{
	static const struct field_type members[] = { { "group_name", FIELD_TEXT }, { "ip_list", FIELD_TEXTS } };
	const json_t *list = dcs_member(group, "ip_list");

	if (!fields_types(c, group, members, ARRAY_LEN(members)))
		return false;
	bool is_good = list && is_name(json_string_value(dcs_member(group, "group_name")));
	for (size_t i = 0; is_good && i < json_array_size(list); i++)
		is_good = count_addresses(json_string_value(json_array_get(list, i)), n_addresses);
	return is_good || dcs_answer_named(c, DCS_QUERY, "whitelist");
}

static bool check_list(struct call *c, const json_t *list)
{
	size_t n = json_array_size(list), n_addresses = 0;

	if (!json_is_array(list) || n > GROUPS_MAX)
		return dcs_answer_named(c, DCS_QUERY, "whitelist");
	for (size_t i = 0; i < n; i++) {
		if (!check_group(c, json_array_get(list, i), &n_addresses))
			return false;
	}
	return true;
}

static void write_groups(struct jw *w, const json_t *list)
{
	jw_array(w);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *group = json_array_get(list, i);
		jw_object(w);
		jw_kv_text(w, "group_name", json_string_value(json_object_get(group, "group_name")));
		jw_key(w, "ip_list");
		jw_value(w, json_object_get(group, "ip_list"));
		jw_end_object(w);
	}
	jw_end_array(w);
}

/* The task's arguments; its end keeps what whitelist is. Texts may be long, and lists full of empty ones. */
static bool write_args(struct call *c, bool is_enabled, const json_t *list, const char **out)
{
	struct buf text;
	struct jw w;

	buf_init(&text, LIST_BYTES_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_key(&w, "whitelist");
	jw_object(&w);
	jw_kv_bool(&w, "enable_whitelist", is_enabled);
	jw_key(&w, "whitelist");
	write_groups(&w, list);
	jw_end_object(&w);
	jw_end_object(&w);
	if (!text.is_over)
		return dcs_keep(c, &text, out);
	buf_fini(&text);
	return dcs_answer_named(c, DCS_QUERY, "whitelist");
}

/* Both members are required; the instance may be named again. */
static bool read_args(struct call *c, const char **args)
{
	static const struct field_type instance_id = { "instance_id", FIELD_TEXT };
	const json_t *body;
	bool is_enabled = false;

	if (!dcs_body(c, DCS_BODY_REQUIRED, &body))
		return false;
	if (!dcs_member(body, "enable_whitelist") || !dcs_bool(body, "enable_whitelist", &is_enabled))
		return dcs_answer_named(c, DCS_QUERY, "enable_whitelist");
	const json_t *list = dcs_member(body, "whitelist");
	return check_list(c, list) && fields_types(c, body, &instance_id, 1) && write_args(c, is_enabled, list, args);
}

static void update(struct call *c, bool waits)
{
	struct cache_row row;
	const char *args;

	if (!scope_instance(c, &row) || !read_args(c, &args))
		return;
	struct cache_operate *o = operate_prepare(c, &row, CACHE_OP_WHITELIST,
						  waits ? operate_answer_none : operate_answer_job);
	o->args = args;
	o->waits = waits;
	operate_submit(c);
}

void dcs_whitelist_update(struct call *c) { update(c, /* waits: */ true); }
void dcs_whitelist_update_async(struct call *c) { update(c, /* waits: */ false); }
