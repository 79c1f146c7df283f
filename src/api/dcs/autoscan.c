/* When big keys, hot keys and expired keys are looked for without being asked. A body changes what it names
 * and leaves the rest; what was never set reads as switched off. */
#include <string.h>
#include "api/dcs/answer.h"
#include "api/dcs/body.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "base/num.h"

enum { DEFAULT_BATCH = 100, DEFAULT_TIMEOUT_S = 360 * 60, DEFAULT_INTERVAL_S = DEFAULT_TIMEOUT_S / 2 };

struct plan {
	struct call *call;
	enum scan_kind kind;
	struct cache_row cache;
	struct schedule_row row; /* as it is, then as it is to be */
	char times[SCAN_TIMES_SIZE];
	int64_t now_ms;
};

/* ---- showing ---- */

static void write_times(struct jw *w, const char *times)
{
	char one[sizeof "21:00"] = "";

	jw_key(w, "schedule_at");
	jw_array(w);
	for (const char *p = times; strlen(p) >= sizeof one - 1; p += sizeof one - 1, p += *p == ',') {
		memcpy(one, p, sizeof one - 1);
		jw_text(w, one);
	}
	jw_end_array(w);
}

/* Without the Z that other times have: so the vendor writes this one. */
static void write_first(struct jw *w, int64_t at_ms)
{
	char text[CLOCK_TEXT_SIZE];

	if (at_ms) {
		clock_iso_ms(text, at_ms);
		text[strlen(text) - 1] = '\0';
	}
	jw_kv_text(w, "first_scan_at", at_ms ? text : NULL);
}

static void write_plan(struct jw *w, const void *subject)
{
	const struct plan *p = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", p->cache.uid);
	jw_kv_bool(w, "enable_auto_scan", p->row.is_enabled != 0);
	if (p->kind == SCAN_EXPIRE) {
		write_first(w, p->row.first_at);
		jw_kv_int(w, "interval", p->row.interval_s);
		jw_kv_int(w, "timeout", p->row.timeout_s);
		jw_kv_int(w, "scan_keys_count", p->row.batch);
	} else {
		write_times(w, p->row.times);
	}
	format_kv_time(w, "updated_at", p->row.updated_at);
	if (p->row.skipped_at) { /* ours */
		format_kv_time(w, "skipped_at", p->row.skipped_at);
		jw_kv_text(w, "skipped_reason", p->row.skipped_why);
	}
	jw_end_object(w);
}

/* The schedule of the path's instance as it is. NULL: answered. */
static struct plan *read_plan(struct call *c, enum scan_kind kind)
{
	struct plan *p = arena_new_of(c->arena, struct plan);
	struct err err = { 0 };

	if (!p) {
		(void)dcs_answer_no_memory(c);
		return NULL;
	}
	p->call = c;
	p->kind = kind;
	p->now_ms = clock_wall_ms();
	if (!scope_instance(c, &p->cache))
		return NULL;
	enum verdict v = engine_schedule_get(c->view, p->cache.id, kind, c->arena, &p->row, &err);
	if (v == V_NO_RECORD) {
		p->row = (struct schedule_row){ .times = "", .skipped_why = "", .interval_s = DEFAULT_INTERVAL_S,
						.timeout_s = DEFAULT_TIMEOUT_S, .batch = DEFAULT_BATCH };
	} else if (v != V_OK) {
		(void)dcs_answer_read(c, v, &err);
		return NULL;
	}
	return p;
}

static void show(struct call *c, enum scan_kind kind)
{
	const struct plan *p = read_plan(c, kind);
	if (p)
		(void)dcs_answer(c, write_plan, p);
}

void dcs_bigkey_plan_show(struct call *c) { show(c, SCAN_BIGKEY); }
void dcs_hotkey_plan_show(struct call *c) { show(c, SCAN_HOTKEY); }
void dcs_expire_plan_show(struct call *c) { show(c, SCAN_EXPIRE); }

/* ---- what a body says ---- */

static bool take_enabled(struct plan *p, const json_t *body)
{
	bool is_enabled = p->row.is_enabled != 0;

	if (!dcs_bool(body, "enable_auto_scan", &is_enabled))
		return dcs_answer_named(p->call, DCS_PARAM, "enable_auto_scan");
	p->row.is_enabled = is_enabled;
	return true;
}

/* One to SCAN_TIMES_MAX times of day; none only while the schedule is off. */
static bool take_times(struct plan *p, const json_t *body)
{
	const json_t *list = dcs_member(body, "schedule_at"), *item;
	size_t i, len = 0;

	if (list && (!json_is_array(list) || json_array_size(list) > SCAN_TIMES_MAX))
		return dcs_answer_named(p->call, DCS_PARAM, "schedule_at");
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);
		if (!text || !scan_plan_is_time(text))
			return dcs_answer_named(p->call, DCS_PARAM, "schedule_at");
		len += (size_t)snprintf(p->times + len, sizeof p->times - len, "%s%s", len ? "," : "", text);
	}
	p->row.times = list ? p->times : p->row.times;
	return !p->row.is_enabled || *p->row.times || dcs_answer_named(p->call, DCS_PARAM, "schedule_at");
}

/* "2023-07-07T15:00:05.000" in UTC; the milliseconds and a Z may be left out. */
static bool parse_first(const char *text, int64_t *at_ms)
{
	enum { TO_SECONDS = 19 };
	char seconds[CLOCK_TEXT_SIZE];
	int64_t at_s, ms = 0;
	size_t len = strlen(text);

	len -= len > 0 && (text[len - 1] == 'Z' || text[len - 1] == 'z');
	bool has_ms = len == TO_SECONDS + 4;
	if ((!has_ms && len != TO_SECONDS) || (has_ms && text[TO_SECONDS] != '.'))
		return false;
	(void)snprintf(seconds, sizeof seconds, "%.*sZ", TO_SECONDS, text);
	if (!clock_parse_iso(seconds, &at_s) || (has_ms && !num_i64_n(text + TO_SECONDS + 1, 3, &ms)) || ms < 0)
		return false;
	*at_ms = at_s * 1000 + ms;
	return true;
}

/* While the schedule is on, it must have a firing before it. */
static bool take_first(struct plan *p, const json_t *body)
{
	const char *text = NULL;

	if (!dcs_text(body, "first_scan_at", &text) || (text && !parse_first(text, &p->row.first_at)))
		return dcs_answer_named(p->call, DCS_PARAM, "first_scan_at");
	bool is_past = text && p->row.first_at <= p->now_ms;
	bool never_fires = scan_plan_next(&p->row, p->now_ms) == 0;
	return !p->row.is_enabled || (!is_past && !never_fires) || dcs_answer_error(p->call, DCS_FIRST_SCAN_AT);
}

static bool take_number(struct plan *p, const json_t *body, const char *name, int64_t *value, int64_t low, int64_t high,
			enum dcs_error beyond)
{
	if (!dcs_int(body, name, value))
		return dcs_answer_named(p->call, DCS_PARAM, name);
	return (*value >= low && *value <= high) || dcs_answer_error(p->call, beyond);
}

/* A timeout that is not given grows with the interval, as the rule between the two wants it. */
static bool take_limits(struct plan *p, const json_t *body)
{
	struct schedule_row *r = &p->row;

	if (!take_number(p, body, "interval", &r->interval_s, 0, SCAN_INTERVAL_MAX_S, DCS_SCAN_INTERVAL))
		return false;
	if (!dcs_member(body, "timeout") && r->timeout_s < 2 * r->interval_s)
		r->timeout_s = 2 * r->interval_s;
	int64_t least = r->interval_s ? 2 * r->interval_s : 1;
	return take_number(p, body, "timeout", &r->timeout_s, least, SCAN_TIMEOUT_MAX_S, DCS_SCAN_TIMEOUT) &&
	       take_number(p, body, "scan_keys_count", &r->batch, SCAN_BATCH_MIN, SCAN_BATCH_MAX, DCS_SCAN_KEYS_COUNT);
}

static bool has_fit_policy(const struct plan *p)
{
	bool is_fit = false;
	struct err err = { 0 };

	if (engine_cache_counts_uses(&p->cache, &is_fit, &err) != RC_OK)
		return dcs_answer_internal(p->call, "api.failed", &err);
	return is_fit || dcs_answer_error(p->call, DCS_HOTKEY);
}

static bool take_body(struct plan *p, const json_t *body)
{
	if (!take_enabled(p, body))
		return false;
	if (p->kind == SCAN_EXPIRE)
		return take_limits(p, body) && take_first(p, body);
	if (p->kind == SCAN_HOTKEY && p->row.is_enabled && !has_fit_policy(p))
		return false;
	return take_times(p, body);
}

/* ---- changing ---- */

static void updated(struct change *change)
{
	struct plan *p = change->ctx;
	const char *why = p->row.skipped_why;

	p->row = p->call->change.schedule_set.row;
	p->row.skipped_why = why; /* as it was read: of this request's arena */
	if (change->verdict == V_OK)
		(void)dcs_answer(p->call, write_plan, p);
	else
		(void)dcs_answer_verdict(p->call, change->verdict, "", &change->err);
}

static void update(struct call *c, enum scan_kind kind)
{
	struct plan *p = read_plan(c, kind);
	const json_t *body;

	if (!p || !dcs_body(c, DCS_BODY_REQUIRED, &body) || !take_body(p, body))
		return;
	c->change.schedule_set = (struct schedule_set){
		.base = { .done = updated, .ctx = p },
		.project_id = p->cache.project_id,
		.uid = p->cache.uid,
		.kind = kind,
		.asked_at = p->now_ms,
		.row = p->row,
	};
	call_submit(c);
	engine_schedule_set(c->engine, &c->change.schedule_set);
}

void dcs_bigkey_plan_update(struct call *c) { update(c, SCAN_BIGKEY); }
void dcs_hotkey_plan_update(struct call *c) { update(c, SCAN_HOTKEY); }
void dcs_expire_plan_update(struct call *c) { update(c, SCAN_EXPIRE); }
