/* CreateInstance: checks in the order of the contract's table, then one change per instance. */
#include <arpa/inet.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include "api/dcs/fields.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "api/dcs/spec.h"
#include "api/dcs/templates.h"
#include "api/dcs/tenant.h"
#include "sign/acs3.h"

enum { INSTANCES_AT_ONCE = 100, SERIAL_LEN = 4 /* "-000" */, ECHO_MAX = 64 << 10, DEFAULT_PORT = 6379 };

struct plan {
	const char *project;
	const char *name, *description, *engine_version, *spec_code, *ip;
	const char *maintain_begin, *maintain_end, *tags, *backup_policy, *renames, *settings, *echo;
	char password_hash[65];    /* "" password-free */
	int64_t n, port;
	size_t n_zones;
	struct spec spec;
};

/* ---- checks ---- */

static bool check_version(struct call *c, const json_t *body, struct plan *p)
{
	const char *engine = NULL, *version = NULL;

	if (!dcs_text(body, "engine", &engine) || !engine || strcasecmp(engine, "redis") != 0)
		return dcs_answer_error(c, DCS_ENGINE);
	if (!dcs_text(body, "engine_version", &version) || !version)
		return dcs_answer_error(c, DCS_ENGINE_VERSION);
	for (size_t i = 0; i < n_redis_versions; i++) {
		if (strcmp(version, redis_versions[i]) == 0)
			p->engine_version = redis_versions[i];
	}
	return p->engine_version || dcs_answer_error(c, DCS_ENGINE_VERSION);
}

static bool check_size(struct call *c, const json_t *body, struct plan *p)
{
	double capacity = 0;

	if (!dcs_number(body, "capacity", &capacity))
		return dcs_answer_error(c, DCS_CAPACITY);
	int64_t mib = format_capacity_mib(capacity);
	if (mib < 0)
		return dcs_answer_error(c, DCS_CAPACITY);
	if (!dcs_text(body, "spec_code", &p->spec_code) || !p->spec_code)
		return dcs_answer_error(c, DCS_SPEC_CODE);
	switch (spec_parse(p->spec_code, &p->spec)) {
	case SPEC_UNKNOWN: return dcs_answer_error(c, DCS_SPEC_CODE);
	case SPEC_OTHER_TYPE: return dcs_answer_error(c, DCS_TYPE);
	case SPEC_GOOD: break;
	}
	return mib == p->spec.capacity_mib || dcs_answer_error(c, DCS_CAPACITY);
}

/* 0.0.0.0 would be every address of the machine, those of other instances too. */
static bool is_address(const char *ip)
{
	struct in_addr addr;
	return inet_pton(AF_INET, ip, &addr) == 1 && addr.s_addr != htonl(INADDR_ANY);
}

static bool check_network(struct call *c, const json_t *body, struct plan *p)
{
	const char *vpc = NULL, *subnet = NULL, *group = NULL, *ip = "";

	if (!dcs_text(body, "vpc_id", &vpc) || !vpc || !*vpc)
		return dcs_answer_error(c, DCS_VPC);
	if (!dcs_text(body, "subnet_id", &subnet) || !subnet || !*subnet)
		return dcs_answer_error(c, DCS_SUBNET);
	if (!dcs_text(body, "security_group_id", &group))
		return dcs_answer_error(c, DCS_SECURITY_GROUP);
	if (!dcs_text(body, "private_ip", &ip) || (*ip && !is_address(ip)))
		return dcs_answer_named(c, DCS_PARAM, "private_ip");
	p->ip = ip;
	return true;
}

static bool check_number(struct call *c, const json_t *body, struct plan *p)
{
	p->n = 1;
	if (!dcs_int(body, "instance_num", &p->n) || p->n < 1 || p->n > INSTANCES_AT_ONCE)
		return dcs_answer_named(c, DCS_PARAM, "instance_num");
	if (p->n > 1 && *p->ip) /* one address for several */
		return dcs_answer_named(c, DCS_PARAM, "private_ip");
	return true;
}

static bool check_name(struct call *c, const json_t *body, struct plan *p)
{
	int64_t n = 1;

	/* How long it may be depends on a number whose own fault is told later. */
	bool is_serial = dcs_int(body, "instance_num", &n) && n > 1;
	if (!dcs_text(body, "name", &p->name))
		return dcs_answer_error(c, DCS_NAME);
	return fields_name(c, p->name, is_serial ? INSTANCE_NAME_MAX - 2 * SERIAL_LEN : INSTANCE_NAME_MAX);
}

static bool check_password(struct call *c, const json_t *body, struct plan *p)
{
	const char *password = NULL;
	bool is_free = false;

	if (!dcs_bool(body, "no_password_access", &is_free))
		return dcs_answer_named(c, DCS_NO_PASSWORD_ACCESS, "no_password_access");
	if (is_free)
		return true;
	if (!dcs_text(body, "password", &password) || !password || !*password)
		return dcs_answer_named(c, DCS_PASSWORD, "password");
	if (!fields_password(c, password))
		return false;
	sign_sha256_hex(password, strlen(password), p->password_hash);
	return true;
}

static bool check_charging(struct call *c, const json_t *body)
{
	const char *mode = "";

	if (!dcs_text(dcs_member(body, "bss_param"), "charging_mode", &mode))
		return dcs_answer_named(c, DCS_QUERY, "charging_mode");
	return !*mode || strcmp(mode, "postPaid") == 0 || dcs_answer_named(c, DCS_QUERY, "charging_mode");
}

static bool check_rest(struct call *c, const json_t *body)
{
	static const struct field_type rest[] = {
		{ "publicip_id", FIELD_TEXT },
		{ "enable_publicip", FIELD_FLAG },
		{ "enable_ssl", FIELD_FLAG },
		{ "access_user", FIELD_TEXT },
		{ "enterprise_project_id", FIELD_TEXT_OR_INT }, /* an example of the vendor's sends 0 */
		{ "enterprise_project_name", FIELD_TEXT },
		{ "bss_param", FIELD_OBJECT },
		{ "spec_param", FIELD_OBJECT },
	};
	return fields_types(c, body, rest, ARRAY_LEN(rest));
}

/* ---- what is only read again ---- */

static void echo_text_of(struct jw *w, const json_t *body, const char *name)
{
	const json_t *value = json_object_get(body, name);
	const char *text = json_string_value(value);
	char digits[24];
	int64_t number;

	if (!text && dcs_int_value(value, &number)) {
		(void)snprintf(digits, sizeof digits, "%lld", (long long)number);
		text = digits;
	}
	if (text && *text && strlen(text) <= BODY_TEXT_BYTES)
		jw_kv_text(w, name, text);
}

static bool make_echo(struct call *c, const json_t *body, struct plan *p)
{
	static const char *const names[] = { "vpc_id", "subnet_id", "security_group_id", "enterprise_project_id",
					     "enterprise_project_name", "template_id" };
	struct buf text;
	struct jw w;

	buf_init(&text, ECHO_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		echo_text_of(&w, body, names[i]);
	if (p->n_zones > 1)
		jw_kv_int(&w, "zones", (int64_t)p->n_zones);
	jw_kv_text(&w, "user_name", c->key_name);
	jw_kv_text(&w, "user_id", c->account);
	jw_end_object(&w);
	return dcs_keep(c, &text, &p->echo);
}

/* The parameters it begins with, when a template is named. An id that cannot be one of ours comes from a script made
 * for the cloud, whose system templates mean what is the default here. */
static bool check_template(struct call *c, const json_t *body, struct plan *p)
{
	const char *id = NULL;

	if (!dcs_text(body, "template_id", &id))
		return dcs_answer_named(c, DCS_ID_PARAM, "template_id");
	return !id || !format_is_uuid(id) || template_settings(c, p->project, id, p->spec.mode, &p->settings);
}

static bool make_plan(struct call *c, const json_t *body, struct plan *p)
{
	p->description = "";
	p->maintain_begin = "18:00:00";
	p->maintain_end = "19:00:00";
	p->tags = "[]";
	p->renames = "{}";
	p->backup_policy = "";
	p->settings = "{}";
	p->port = DEFAULT_PORT;
	return check_name(c, body, p) && check_version(c, body, p) && check_size(c, body, p) &&
	       fields_zones(c, body, "az_codes", DCS_ZONE, COPIES_MAX, &p->n_zones) && check_network(c, body, p) &&
	       check_number(c, body, p) && fields_window(c, body, &p->maintain_begin, &p->maintain_end) &&
	       check_password(c, body, p) && fields_description(c, body, &p->description) &&
	       fields_port(c, body, &p->port) && fields_renames(c, body, NULL, &p->renames) &&
	       fields_tags(c, body, &p->tags) &&
	       fields_backup_policy(c, body, p->spec.mode, p->project, "", &p->backup_policy) &&
	       check_rest(c, body) && check_template(c, body, p) && check_charging(c, body) && make_echo(c, body, p);
}

/* The engine checks the quota again, one instance at a time; here, so that several are created all or none. */
static bool check_quota(struct call *c, const struct plan *p)
{
	struct usage used;

	if (!tenant_usage(c, p->project, &used))
		return false;
	if (used.instances + p->n > QUOTA_INSTANCES)
		return dcs_answer_error(c, DCS_QUOTA_INSTANCES);
	if (used.memory_mib + p->n * p->spec.capacity_mib > (int64_t)QUOTA_MEMORY_GB * 1024)
		return dcs_answer_error(c, DCS_QUOTA_MEMORY);
	return true;
}

/* ---- the changes ---- */

/* As in operate.c: whoever takes the last of left answers. */
struct batch {
	struct call *call;
	atomic_size_t left;
	size_t n;
	struct cache_create *items;
};

static void write_created(struct jw *w, const void *subject)
{
	const struct batch *b = subject;

	jw_object(w);
	jw_key(w, "instances");
	jw_array(w);
	for (size_t i = 0; i < b->n; i++) {
		if (b->items[i].base.verdict != V_OK)
			continue;
		jw_object(w);
		jw_kv_text(w, "instance_id", b->items[i].uid);
		jw_kv_text(w, "instance_name", b->items[i].row.name);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

static void count_down(struct batch *b)
{
	const struct cache_create *first = &b->items[0];
	size_t n_good = 0;

	if (atomic_fetch_sub(&b->left, 1) != 1)
		return;
	for (size_t i = 0; i < b->n; i++)
		n_good += b->items[i].base.verdict == V_OK;
	if (n_good)
		(void)dcs_answer(b->call, write_created, b);
	else if (first->base.verdict == V_TOO_MANY)
		(void)dcs_answer_error(b->call, first->is_over_memory ? DCS_QUOTA_MEMORY : DCS_QUOTA_INSTANCES);
	else
		(void)dcs_answer_verdict(b->call, first->base.verdict, "", &first->base.err);
}

static void one_done(struct change *change) { count_down(change->ctx); }

static struct cache_create change_of(const struct plan *p, struct batch *b, const char *name)
{
	return (struct cache_create){
		.base = { .done = one_done, .ctx = b },
		.row = {
			.project_id = p->project,
			.name = name,
			.description = p->description,
			.engine_version = p->engine_version,
			.spec_code = p->spec_code,
			.cache_mode = p->spec.mode,
			.capacity_mib = p->spec.capacity_mib,
			.ip = p->ip,
			.port = p->port,
			.maintain_begin = p->maintain_begin,
			.maintain_end = p->maintain_end,
			.tags = p->tags,
			.backup_policy = p->backup_policy,
			.echo = p->echo,
		},
		.actor = scope_actor(b->call),
		.password_hash = p->password_hash,
		.n_replicas = p->spec.copies - 1,
		.renames = p->renames,
		.settings = p->settings,
		.caches_max = QUOTA_INSTANCES,
		.memory_max_mib = (int64_t)QUOTA_MEMORY_GB * 1024,
	};
}

static void submit(struct call *c, const struct plan *p)
{
	size_t n = (size_t)p->n;
	struct batch *b = arena_new_of(c->arena, struct batch);
	struct cache_create *items = arena_array(c->arena, n, sizeof *items);

	for (size_t i = 0; b && items && i < n; i++) {
		const char *name = n > 1 ? arena_printf(c->arena, "%s-%03zu", p->name, i) : p->name;
		b->call = c;
		items[i] = change_of(p, b, name);
	}
	if (arena_is_full(c->arena)) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	b->n = n;
	b->items = items;
	atomic_init(&b->left, n + 1);
	call_submit(c);
	for (size_t i = 0; i < n; i++)
		engine_cache_create(c->engine, &items[i]);
	count_down(b);
}

void dcs_instances_create(struct call *c)
{
	struct plan *p = arena_new_of(c->arena, struct plan); /* its texts are borrowed until the last change is done */
	const json_t *body;

	if (!p) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (scope_project(c, &p->project) && dcs_body(c, DCS_BODY_REQUIRED, &body) && make_plan(c, body, p) &&
	    check_quota(c, p))
		submit(c, p);
}
