/* IP whitelist. Redis has no allow-list and nothing here stands between it and its clients, so a whitelist
 * that is enabled would protect nobody: it is refused, and everything else says that none is in force. */
#include <string.h>
#include "api/dcs/fields.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "base/attr.h"

static void write_whitelist(struct jw *w, const void *subject)
{
	const struct cache_row *row = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", row->uid);
	jw_kv_bool(w, "enable_whitelist", false);
	jw_key(w, "whitelist");
	jw_array(w);
	jw_end_array(w);
	jw_kv_text(w, "whitelist_ip_limit_num", "20"); /* a text */
	jw_end_object(w);
}

void dcs_whitelist_show(struct call *c)
{
	struct cache_row row;

	if (scope_instance(c, &row))
		(void)dcs_answer(c, write_whitelist, &row);
}

enum { GROUPS_MAX = 4, ADDRESSES_MAX = 20 };

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

static bool check_group(struct call *c, const json_t *group, size_t *n_addresses)
{
	static const struct field_type members[] = { { "group_name", FIELD_TEXT }, { "ip_list", FIELD_TEXTS } };
	const json_t *list = dcs_member(group, "ip_list");
	bool is_good = json_is_object(group);

	if (!fields_types(c, group, members, ARRAY_LEN(members)))
		return false;
	for (size_t i = 0; is_good && i < json_array_size(list); i++)
		is_good = count_addresses(json_string_value(json_array_get(list, i)), n_addresses);
	return is_good || dcs_answer_named(c, DCS_QUERY, "whitelist");
}

/* What is in a list that is not enabled is not kept, but it must be one. */
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

/* Both members are required; the instance may be named again. */
static bool check(struct call *c, struct cache_row *row)
{
	static const struct field_type instance_id = { "instance_id", FIELD_TEXT };
	const json_t *body;
	bool is_enabled = false;

	if (!scope_instance(c, row) || !dcs_body(c, DCS_BODY_REQUIRED, &body))
		return false;
	if (!dcs_member(body, "enable_whitelist") || !dcs_bool(body, "enable_whitelist", &is_enabled))
		return dcs_answer_named(c, DCS_QUERY, "enable_whitelist");
	if (!check_list(c, dcs_member(body, "whitelist")) || !fields_types(c, body, &instance_id, 1))
		return false;
	if (!is_enabled)
		return true;
	return dcs_answer_words(c, DCS_QUERY,
	                        "Invalid enable_whitelist in the request. An IP whitelist cannot be enabled: Redis has "
	                        "no allow-list, and this server does not filter connections.");
}

void dcs_whitelist_update(struct call *c)
{
	struct cache_row row;

	if (check(c, &row))
		(void)dcs_answer_none(c);
}

/* A job there must be, and ShowJobInfo must know it; it has nothing to do. */
void dcs_whitelist_update_async(struct call *c)
{
	struct cache_row row;

	if (!check(c, &row))
		return;
	(void)operate_prepare(c, &row, CACHE_OP_WHITELIST, operate_answer_job);
	operate_submit(c);
}
