#include "api/dcs/fields.h"

#include <string.h>
#include <strings.h>
#include "api/dcs/format.h"
#include "api/dcs/spec.h"
#include "base/clock.h"
#include "base/num.h"
#include "cache/cache.h"

enum { FIELD_JSON_MAX = 64 << 10 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char digits[] = "0123456789";
static const char name_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

static bool is_in(char c, const char *set) { return c && strchr(set, c); }
static bool has_only(const char *text, const char *set) { return !text[strspn(text, set)]; }

static bool is_texts(const json_t *value)
{
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!json_is_string(json_array_get(value, i)))
			return false;
	}
	return json_is_array(value);
}

static bool is_of_kind(const json_t *value, enum field_kind kind)
{
	int64_t n;

	switch (kind) {
	case FIELD_TEXT: return json_is_string(value);
	case FIELD_FLAG: return json_is_boolean(value);
	case FIELD_TEXTS: return is_texts(value);
	case FIELD_OBJECT: return json_is_object(value);
	case FIELD_TEXT_OR_INT: return json_is_string(value) || dcs_int_value(value, &n);
	}
	return false;
}

bool fields_types(struct call *c, const json_t *object, const struct field_type *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *value = dcs_member(object, list[i].name);
		if (value && !is_of_kind(value, list[i].kind))
			return dcs_answer_named(c, DCS_PARAM, list[i].name);
	}
	return true;
}

bool fields_name(struct call *c, const char *name, size_t len_max)
{
	size_t len = name ? strlen(name) : 0;
	bool is_good = len >= 4 && len <= len_max && (is_in(name[0], letters) || is_in(name[0], digits)) &&
		       has_only(name, name_letters);
	return is_good || dcs_answer_error(c, DCS_NAME);
}

bool fields_description(struct call *c, const json_t *body, const char **out)
{
	const char *text = *out;

	if (!dcs_text(body, "description", &text) || (text && dcs_length(text) > 1024))
		return dcs_answer_error(c, DCS_DESCRIPTION);
	*out = text;
	return true;
}

bool fields_port(struct call *c, const json_t *body, int64_t *out)
{
	int64_t port = *out;

	if (!dcs_int(body, "port", &port) || port < 1 || port > 65535)
		return dcs_answer_named(c, DCS_PARAM, "port");
	*out = port;
	return true;
}

bool fields_window(struct call *c, const json_t *body, const char **begin, const char **end)
{
	const char *from = NULL, *to = NULL;

	if (!dcs_text(body, "maintain_begin", &from) || !dcs_text(body, "maintain_end", &to))
		return dcs_answer_error(c, DCS_MAINTAIN);
	bool has_from = from && *from, has_to = to && *to; /* some clients send "" for not given */
	if (!has_from && !has_to)
		return true;
	if (!has_from || !has_to || !format_is_full_hour(from) || !format_is_full_hour(to) || strcmp(from, to) == 0)
		return dcs_answer_error(c, DCS_MAINTAIN);
	*begin = from;
	*end = to;
	return true;
}

bool fields_password(struct call *c, const char *password)
{
	static const char special[] = "`~!@#$^&*()-_=+\\|{},<.>/?:'\"";
	size_t len = strlen(password);
	bool has_lower = false, has_upper = false, has_digit = false, has_special = false;

	for (const char *p = password; *p; p++) {
		if (*p >= 'a' && *p <= 'z')
			has_lower = true;
		else if (*p >= 'A' && *p <= 'Z')
			has_upper = true;
		else if (is_in(*p, digits))
			has_digit = true;
		else if (is_in(*p, special))
			has_special = true;
		else
			return dcs_answer_error(c, DCS_WEAK_PASSWORD);
	}
	int classes = has_lower + has_upper + has_digit + has_special;
	return (len >= 8 && len <= 32 && classes >= 3) || dcs_answer_error(c, DCS_WEAK_PASSWORD);
}

/* ---- renamed commands ---- */

static const char *const renamable[] = { "command", "keys", "flushdb", "flushall", "hgetall",
					 "scan",    "hscan", "sscan",   "zscan" };

static bool is_renamable(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(renamable); i++) {
		if (strcmp(renamable[i], command) == 0)
			return true;
	}
	return false;
}

static bool is_new_name(const char *name)
{
	size_t len = strlen(name);
	return len >= 4 && len <= 64 && is_in(name[0], letters) && has_only(name, name_letters) &&
	       !cache_is_command(name);
}

/* Does a command other than this one get that name, by the body or, unless the body has it, as before? Redis does not
 * tell cases apart. */
static bool is_name_taken(const json_t *wanted, const json_t *old, const char *command, const char *name)
{
	const char *other;

	for (size_t i = 0; i < ARRAY_LEN(renamable); i++) {
		const json_t *value = json_object_get(wanted, renamable[i]);
		other = json_string_value(value ? value : json_object_get(old, renamable[i]));
		if (other && strcmp(renamable[i], command) != 0 && strcasecmp(other, name) == 0)
			return true;
	}
	return false;
}

/* The new name of one command: NULL its own. False: against the rules. */
static bool read_rename(const json_t *wanted, const json_t *old, const char *command, const char **out)
{
	const json_t *value = json_object_get(wanted, command);
	const char *name = json_string_value(value);

	*out = NULL;
	if (!value) {
		*out = json_string_value(json_object_get(old, command));
		return true;
	}
	if (json_is_null(value) || (name && (!*name || strcmp(name, command) == 0)))
		return true;
	*out = name;
	return name && is_new_name(name) && !is_name_taken(wanted, old, command, name);
}

static bool has_only_renamable(const json_t *wanted)
{
	json_t *object = (json_t *)(uintptr_t)wanted; /* for the iterators; only read */

	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
		if (!is_renamable(json_object_iter_key(it)))
			return false;
	}
	return json_is_object(wanted);
}

bool fields_renames(struct call *c, const json_t *body, const json_t *old, const char **out)
{
	const json_t *wanted = dcs_member(body, "rename_commands");
	bool is_good = wanted && has_only_renamable(wanted);
	struct buf text;
	struct jw w;

	if (!wanted)
		return true;
	buf_init(&text, FIELD_JSON_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	for (size_t i = 0; is_good && i < ARRAY_LEN(renamable); i++) {
		const char *name;
		is_good = read_rename(wanted, old, renamable[i], &name);
		if (is_good && name)
			jw_kv_text(&w, renamable[i], name);
	}
	if (!is_good) {
		buf_fini(&text);
		return dcs_answer_named(c, DCS_PARAM, "rename_commands");
	}
	jw_end_object(&w);
	return dcs_keep(c, &text, out);
}

/* ---- tags ---- */

static bool write_tag(struct jw *w, const json_t *tags, size_t i)
{
	const json_t *tag = json_array_get(tags, i);
	const char *key = NULL, *value = "";

	if (!json_is_object(tag) || !dcs_text(tag, "key", &key) || !dcs_text(tag, "value", &value))
		return false;
	if (!key || !*key || dcs_length(key) > 128 || dcs_length(value) > 255)
		return false;
	for (size_t k = 0; k < i; k++) {
		const char *other = json_string_value(json_object_get(json_array_get(tags, k), "key"));
		if (other && strcmp(other, key) == 0)
			return false;
	}
	jw_object(w);
	jw_kv_text(w, "key", key);
	jw_kv_text(w, "value", value);
	jw_end_object(w);
	return true;
}

bool fields_tags(struct call *c, const json_t *body, const char **out)
{
	const json_t *tags = dcs_member(body, "tags");
	bool is_good = json_is_array(tags) && json_array_size(tags) <= TAGS_MAX;
	struct buf text;
	struct jw w;

	if (!tags)
		return true;
	buf_init(&text, FIELD_JSON_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_array(&w);
	for (size_t i = 0; is_good && i < json_array_size(tags); i++)
		is_good = write_tag(&w, tags, i);
	if (!is_good) {
		buf_fini(&text);
		return dcs_answer_named(c, DCS_PARAM, "tags");
	}
	jw_end_array(&w);
	return dcs_keep(c, &text, out);
}

/* ---- backup policy ---- */

struct policy {
	const char *type, *begin_at;
	int64_t save_days;
	bool days[8]; /* 1..7, 1 is Monday */
	bool has_plan;
};

static bool is_hour_span(const char *text)
{
	int64_t from, to;
	return text && strlen(text) == 11 && num_i64_n(text, 2, &from) && num_i64_n(text + 6, 2, &to) && from >= 0 &&
	       from <= 23 && to >= 0 && to <= 24 && memcmp(text + 2, ":00-", 4) == 0 && strcmp(text + 8, ":00") == 0;
}

static bool read_days(const json_t *days, struct policy *p)
{
	int64_t day;

	for (size_t i = 0; i < json_array_size(days); i++) {
		if (!dcs_int_value(json_array_get(days, i), &day) || day < 1 || day > 7)
			return false;
		p->days[day] = true;
	}
	return json_array_size(days) > 0;
}

static bool read_plan(struct call *c, const json_t *plan, struct policy *p)
{
	const char *period = NULL;

	p->has_plan = true;
	if (!dcs_text(plan, "period_type", &period) || !period || strcmp(period, "weekly") != 0)
		return dcs_answer_error(c, DCS_PERIOD_TYPE);
	if (!read_days(dcs_member(plan, "backup_at"), p))
		return dcs_answer_error(c, DCS_BACKUP_AT);
	if (!dcs_text(plan, "begin_at", &p->begin_at) || !is_hour_span(p->begin_at))
		return dcs_answer_error(c, DCS_BEGIN_AT);
	return true;
}

/* Manual backups need neither days nor a plan. */
static bool read_policy(struct call *c, const json_t *object, struct policy *p)
{
	const json_t *save_days = dcs_member(object, "save_days"), *plan = dcs_member(object, "periodical_backup_plan");

	if (!dcs_text(object, "backup_type", &p->type) || !p->type)
		return dcs_answer_error(c, DCS_BACKUP_TYPE);
	bool is_auto = strcmp(p->type, "auto") == 0;
	if ((is_auto || save_days) &&
	    (!dcs_int_value(save_days, &p->save_days) || p->save_days < 1 || p->save_days > 7))
		return dcs_answer_error(c, DCS_SAVE_DAYS);
	if (!is_auto && strcmp(p->type, "manual") != 0)
		return dcs_answer_error(c, DCS_BACKUP_TYPE);
	return !(is_auto || plan) || read_plan(c, plan, p);
}

static void write_plan(struct jw *w, const struct policy *p)
{
	jw_key(w, "periodical_backup_plan");
	if (!p->has_plan) {
		jw_null(w);
		return;
	}
	jw_object(w);
	jw_kv_text(w, "timezone_offset", NULL);
	jw_key(w, "backup_at");
	jw_array(w);
	for (int day = 1; day <= 7; day++) {
		if (p->days[day])
			jw_int(w, day);
	}
	jw_end_array(w);
	jw_kv_text(w, "period_type", "weekly");
	jw_kv_text(w, "begin_at", p->begin_at);
	jw_end_object(w);
}

static void write_policy(struct jw *w, const struct policy *p)
{
	jw_key(w, "policy");
	jw_object(w);
	jw_kv_text(w, "backup_type", p->type);
	jw_key(w, "save_days");
	if (p->save_days)
		jw_int(w, p->save_days);
	else
		jw_null(w);
	write_plan(w, p);
	jw_end_object(w);
}

/* Of the policy that was there: id and birthday stay. */
static const char *old_text(const json_t *old, const char *name)
{
	return json_string_value(json_object_get(old, name));
}

static void write_policy_object(struct jw *w, const struct policy *p, const json_t *old, const char *project)
{
	char id[UUID_SIZE], now[CLOCK_TEXT_SIZE];

	format_new_uuid(id);
	clock_iso_ms(now, clock_wall_ms());
	const char *old_id = old_text(old, "backup_policy_id"), *born = old_text(old, "created_at");
	jw_object(w);
	jw_kv_text(w, "backup_policy_id", old_id ? old_id : id);
	jw_kv_text(w, "created_at", born ? born : now);
	jw_kv_text(w, "updated_at", now);
	jw_kv_text(w, "tenant_id", project);
	write_policy(w, p);
	jw_end_object(w);
}

bool fields_backup_policy(struct call *c, const json_t *body, const char *mode, const char *project, const char *old,
			  const char **out)
{
	const json_t *object = dcs_member(body, "instance_backup_policy"), *inner = dcs_member(object, "policy");
	const json_t *before = NULL;
	struct policy p = { 0 };
	struct buf text;
	struct jw w;

	if (!object || (json_is_object(object) && json_object_size(object) == 0))
		return true;
	if (strcmp(mode, "single") == 0)
		return dcs_answer_error(c, DCS_HA_ONLY);
	/* Clients send the inner part; one that sends back what it was shown has it wrapped. */
	if (!read_policy(c, inner ? inner : object, &p))
		return false;
	if (json_read_kept(old, c->arena, &before, NULL))
		return dcs_answer_error(c, DCS_UNAVAILABLE); /* without it the rest of the old one would be lost */
	buf_init(&text, FIELD_JSON_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	write_policy_object(&w, &p, before, project);
	return dcs_keep(c, &text, out);
}

/* ---- zones, remarks ---- */

bool fields_zones(struct call *c, const json_t *body, const char *name, enum dcs_error error, size_t max, size_t *n_out)
{
	const json_t *zones = dcs_member(body, name);
	size_t n = json_array_size(zones);

	if (n < 1 || n > max)
		return dcs_answer_error(c, error);
	for (size_t i = 0; i < n; i++) {
		const char *zone = json_string_value(json_array_get(zones, i));
		if (!zone)
			return dcs_answer_error(c, error);
		if (!zone_is(zone))
			return dcs_answer_error(c, DCS_ZONE);
	}
	*n_out = n;
	return true;
}

bool fields_remark(struct call *c, const json_t *body, const char **out)
{
	const char *text = "";

	if (!dcs_text(body, "remark", &text) || dcs_length(text) > 128)
		return dcs_answer_error(c, DCS_REMARK);
	*out = text;
	return true;
}
