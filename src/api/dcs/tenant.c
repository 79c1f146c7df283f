/* What a project may have and what there is to choose from: quota, counts, flavors, zones, windows,
 * versions. */
#include "api/dcs/tenant.h"

#include <string.h>
#include <strings.h>
#include "api/dcs/answer.h"
#include "api/dcs/links.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "api/dcs/spec.h"

/* ---- usage ---- */

static bool list_all(struct call *c, const char *project, struct cache_row **rows, size_t *n)
{
	int64_t total;
	struct err err = { 0 };
	const struct cache_filter all = { .project_id = project, .includes_failed = true, .capacity_mib = -1 };

	enum verdict v = engine_cache_list(c->view, &all, c->arena, rows, n, &total, &err);
	return v == V_OK || dcs_answer_read(c, v, &err);
}

bool tenant_usage(struct call *c, const char *project, struct usage *out)
{
	struct cache_row *rows;
	size_t n;
	struct usage used = { 0 };

	if (!list_all(c, project, &rows, &n))
		return false;
	used.instances = (int64_t)n;
	for (size_t i = 0; i < n; i++)
		used.memory_mib += rows[i].capacity_mib;
	*out = used;
	return true;
}

static void write_resource(struct jw *w, const char *type, const char *unit, int64_t quota, int64_t used)
{
	jw_object(w);
	jw_kv_text(w, "type", type);
	jw_kv_text(w, "unit", unit);
	jw_kv_int(w, "min", 1);
	jw_kv_int(w, "max", quota);
	jw_kv_int(w, "quota", quota);
	jw_kv_int(w, "used", used);
	jw_end_object(w);
}

static void write_quota(struct jw *w, const void *subject)
{
	const struct usage *used = subject;

	jw_object(w);
	jw_key(w, "quotas");
	jw_object(w);
	jw_key(w, "resources");
	jw_array(w);
	write_resource(w, "instance", NULL, QUOTA_INSTANCES, used->instances);
	write_resource(w, "ram", "GB", QUOTA_MEMORY_GB, (used->memory_mib + 1023) / 1024);
	jw_end_array(w);
	jw_end_object(w);
	jw_end_object(w);
}

void dcs_quota(struct call *c)
{
	const char *project;
	struct usage used;

	if (scope_project(c, &project) && tenant_usage(c, project, &used))
		(void)dcs_answer(c, write_quota, &used);
}

/* ---- how many instances are in which state ---- */

static const struct {
	const char *status, *key;
} counted[] = {
	{ "RUNNING", "running_count" },
	{ "CREATING", "creating_count" },
	{ "CREATEFAILED", "createfailed_count" },
	{ "ERROR", "error_count" },
	{ "RESTARTING", "restarting_count" },
	{ "EXTENDING", "extending_count" },
	{ "RESTORING", "restoring_count" },
	{ "FLUSHING", "flushing_count" },
	{ "UPGRADING", "upgrading_count" },
	{ "MIGRATING", "migrating_count" },
	{ "FROZEN", "frozen_count" },
	{ "FREEZING", "freezing_count" },
	{ "PAYING", "paying_count" },
};

struct counts {
	int64_t n[ARRAY_LEN(counted)];
};

static void write_count_members(struct jw *w, const struct counts *counts)
{
	for (size_t i = 0; i < ARRAY_LEN(counted); i++)
		jw_kv_int(w, counted[i].key, counts->n[i]);
}

static void write_counts(struct jw *w, const void *subject)
{
	static const struct counts none;

	jw_object(w);
	write_count_members(w, subject);
	jw_key(w, "redis");
	jw_object(w);
	write_count_members(w, subject);
	jw_end_object(w);
	jw_key(w, "memcached");
	jw_object(w);
	write_count_members(w, &none);
	jw_end_object(w);
	jw_end_object(w);
}

void dcs_status_counts(struct call *c)
{
	const char *project;
	struct cache_row *rows;
	size_t n;
	bool includes_failed = false;
	struct counts counts = { 0 };

	if (!scope_project(c, &project) || !scope_flag(c, "include_failure", &includes_failed) ||
	    !list_all(c, project, &rows, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_LEN(counted); k++)
			counts.n[k] += strcmp(rows[i].status, counted[k].status) == 0 &&
				       (includes_failed || strcmp(rows[i].status, "CREATEFAILED") != 0);
	}
	(void)dcs_answer(c, write_counts, &counts);
}

/* ---- flavors ---- */

struct flavor_filter {
	const char *spec_code, *mode, *engine, *version, *cpu_type;
	int64_t capacity_mib;   /* -1 any */
	struct spec current;    /* of the instance that may become another; copies 0: none named */
};

static bool is_redis_version(const char *text)
{
	size_t i = 0;
	while (i < n_redis_versions && strcmp(redis_versions[i], text) != 0)
		i++;
	return i < n_redis_versions;
}

static bool is_wanted(const struct flavor_filter *f, const struct spec *s, const char *code)
{
	if (f->spec_code && strcmp(f->spec_code, code) != 0)
		return false;
	if (f->mode && strcmp(f->mode, s->mode) != 0)
		return false;
	if (f->engine && strcasecmp(f->engine, "redis") != 0)
		return false;
	if (f->version && !is_redis_version(f->version))
		return false;
	if (f->cpu_type && strcmp(f->cpu_type, spec_cpu_type(s->cpu)) != 0)
		return false;
	if (f->capacity_mib >= 0 && f->capacity_mib != s->capacity_mib)
		return false;
	return !f->current.copies ||
	       (strcmp(f->current.mode, s->mode) == 0 && strcmp(f->current.cpu, s->cpu) == 0 &&
		f->current.copies == s->copies && f->current.capacity_mib != s->capacity_mib);
}

static void write_attr(struct jw *w, const char *capacity, const char *name, const char *value)
{
	jw_object(w);
	jw_kv_text(w, "capacity", capacity);
	jw_kv_text(w, "name", name);
	jw_kv_text(w, "value", value);
	jw_end_object(w);
}

static void write_attrs(struct jw *w, const struct spec *s, const char *capacity)
{
	char bandwidth[24];

	(void)snprintf(bandwidth, sizeof bandwidth, "%d", spec_bandwidth(s->capacity_mib));
	jw_key(w, "attrs");
	jw_array(w);
	write_attr(w, capacity, "sharding_num", "1");
	write_attr(w, capacity, "proxy_num", "0");
	write_attr(w, capacity, "db_number", "256");
	write_attr(w, capacity, "max_memory", capacity);
	write_attr(w, capacity, "max_connections", s->capacity_mib < 1024 ? "10000" : "50000");
	write_attr(w, capacity, "max_clients", "10000");
	write_attr(w, capacity, "max_bandwidth", bandwidth);
	write_attr(w, capacity, "max_in_bandwidth", bandwidth);
	jw_end_array(w);
}

static void write_one_text(struct jw *w, const char *key, const char *text)
{
	jw_key(w, key);
	jw_array(w);
	jw_text(w, text);
	jw_end_array(w);
}

static void write_flavor(struct jw *w, const struct spec *s, const char *code)
{
	char capacity[24];

	format_capacity(s->capacity_mib, capacity);
	jw_object(w);
	jw_kv_text(w, "spec_code", code);
	jw_kv_text(w, "cloud_service_type_code", "hws.service.type.dcs");
	jw_kv_text(w, "cloud_resource_type_code", "hws.resource.type.dcs3");
	jw_kv_text(w, "cache_mode", s->mode);
	jw_kv_text(w, "engine", "redis");
	jw_kv_text(w, "engine_version", "4.0;5.0;6.0;7.0");
	jw_kv_text(w, "product_type", "generic");
	jw_kv_text(w, "cpu_type", spec_cpu_type(s->cpu));
	jw_kv_text(w, "storage_type", "DRAM");
	jw_kv_text(w, "pricing_type", "normal");
	write_one_text(w, "capacity", capacity);
	write_one_text(w, "billing_mode", "Hourly");
	jw_kv_int(w, "tenant_ip_count", s->copies);
	jw_kv_int(w, "replica_count", s->copies);
	jw_kv_bool(w, "is_dec", false);
	write_attrs(w, s, capacity);
	jw_key(w, "flavors_available_zones");
	jw_array(w);
	jw_object(w);
	jw_kv_text(w, "capacity", capacity);
	jw_kv_text(w, "unit", "GB");
	write_one_text(w, "available_zones", zone_id);
	write_one_text(w, "az_codes", zone_code);
	jw_end_object(w);
	jw_end_array(w);
	jw_end_object(w);
}

static void write_flavors(struct jw *w, const void *subject)
{
	jw_object(w);
	jw_key(w, "flavors");
	jw_array(w);
	for (size_t i = 0; i < spec_count(); i++) {
		char code[SPEC_CODE_SIZE];
		struct spec s = spec_at(i);
		spec_code(&s, code);
		if (is_wanted(subject, &s, code))
			write_flavor(w, &s, code);
	}
	jw_end_array(w);
	jw_end_object(w);
}

static bool read_current(struct call *c, const char *project, struct spec *out)
{
	const char *uid = query_text(&c->query, "instance_id");
	struct cache_row row;
	struct err err = { 0 };

	if (!uid)
		return true;
	if (!format_is_uuid(uid))
		return dcs_answer_error(c, DCS_INSTANCE_FORMAT);
	enum verdict v = engine_cache_get(c->view, project, uid, c->arena, &row, &err);
	if (v != V_OK)
		return dcs_answer_read(c, v, &err);
	if (spec_parse(row.spec_code, out) == SPEC_GOOD)
		return true;
	(void)err_set(&err, RC_CORRUPT, "instance %s has the specification '%.40s'", uid, row.spec_code);
	return dcs_answer_internal(c, "api.failed", &err);
}

void dcs_flavors(struct call *c)
{
	const char *project;
	struct flavor_filter f = {
		.spec_code = query_text(&c->query, "spec_code"),
		.mode = query_text(&c->query, "cache_mode"),
		.engine = query_text(&c->query, "engine"),
		.version = query_text(&c->query, "engine_version"),
		.cpu_type = query_text(&c->query, "cpu_type"),
	};

	if (scope_project(c, &project) && scope_capacity(c, &f.capacity_mib) && read_current(c, project, &f.current))
		(void)dcs_answer(c, write_flavors, &f);
}

/* ---- zones, maintenance windows ---- */

static void write_zones(struct jw *w, const void *subject)
{
	(void)subject;
	jw_object(w);
	jw_kv_text(w, "region_id", zone_region);
	jw_kv_text(w, "regionId", zone_region); /* one SDK reads this spelling */
	jw_key(w, "available_zones");
	jw_array(w);
	jw_object(w);
	jw_kv_text(w, "code", zone_code);
	jw_kv_text(w, "port", "8403");
	jw_kv_text(w, "name", zone_name);
	jw_kv_text(w, "id", zone_id);
	jw_kv_text(w, "resource_availability", "true");
	jw_end_object(w);
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_zones(struct call *c) { (void)dcs_answer(c, write_zones, NULL); }

static void write_windows(struct jw *w, const void *subject)
{
	enum { HOURS = 24, DEFAULT_HOUR = 18 };
	char text[16];

	(void)subject;
	jw_object(w);
	jw_key(w, "maintain_windows");
	jw_array(w);
	for (int i = 0; i < HOURS; i++) {
		int hour = (DEFAULT_HOUR + i) % HOURS;
		jw_object(w);
		jw_kv_int(w, "seq", i + 1);
		jw_kv_bool(w, "default", i == 0);
		(void)snprintf(text, sizeof text, "%02d:00:00", hour);
		jw_kv_text(w, "begin", text);
		(void)snprintf(text, sizeof text, "%02d:00:00", (hour + 1) % HOURS);
		jw_kv_text(w, "end", text);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_windows(struct call *c) { (void)dcs_answer(c, write_windows, NULL); }

/* ---- versions ---- */

static void write_version(struct jw *w, const char *base)
{
	jw_object(w);
	jw_kv_text(w, "id", "v2");
	jw_kv_text(w, "status", "CURRENT");
	jw_kv_text(w, "updated", "2016-12-09T00:00:00Z");
	jw_kv_text(w, "version", "");
	jw_kv_text(w, "min_version", "");
	jw_key(w, "links");
	jw_array(w);
	jw_object(w);
	jw_kv_text(w, "rel", "self");
	jw_kv_text(w, "href", base);
	jw_end_object(w);
	jw_end_array(w);
	jw_end_object(w);
}

static void write_versions(struct jw *w, const void *subject)
{
	jw_object(w);
	jw_key(w, "versions");
	jw_array(w);
	write_version(w, subject);
	jw_end_array(w);
	jw_end_object(w);
}

static void write_version_alone(struct jw *w, const void *subject)
{
	jw_object(w);
	jw_key(w, "version");
	write_version(w, subject);
	jw_end_object(w);
}

static const char *base_url(struct call *c)
{
	const char *origin = link_origin(c);
	const char *url = origin ? arena_printf(c->arena, "%s/v2/", origin) : NULL;
	return url ? url : "/v2/";
}

void dcs_versions(struct call *c) { (void)dcs_answer(c, write_versions, base_url(c)); }
void dcs_version_v2(struct call *c) { (void)dcs_answer(c, write_version_alone, base_url(c)); }
