/* IP whitelist, dcs.md 3.10. Redis has no allow-list and nothing here stands between it and its clients, so a whitelist
 * that is enabled would protect nobody: it is refused, and everything else says that none is in force. */
#include <string.h>
#include "api/dcs/body.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"

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

/* Both members are required; what is in a list that is not enabled is not kept. */
static bool check(struct call *c, struct cache_row *row)
{
	const json_t *body;
	bool is_enabled = false;

	if (!scope_instance(c, row) || !dcs_body(c, DCS_BODY_REQUIRED, &body))
		return false;
	if (!dcs_member(body, "enable_whitelist") || !dcs_bool(body, "enable_whitelist", &is_enabled))
		return dcs_answer_named(c, DCS_QUERY, "enable_whitelist");
	if (!json_is_array(dcs_member(body, "whitelist")))
		return dcs_answer_named(c, DCS_QUERY, "whitelist");
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
