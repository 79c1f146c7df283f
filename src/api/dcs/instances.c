/* ListInstances and ShowInstance: one writer for both, since what one shows harms nobody in the
 * other. */
#include <string.h>
#include "api/dcs/answer.h"
#include "api/dcs/routes.h"
#include "api/dcs/running.h"
#include "api/dcs/scope.h"
#include "api/dcs/state.h"

struct item {
	struct cache_row row;
	struct state state;
	struct echo echo;
	struct spec spec;
	struct cache_figures figures; /* all 0: not known */
	const char *task; /* what runs now, as the vendor calls it; NULL nothing */
};

struct list {
	struct item *items;
	size_t n;
	int64_t total;
};

/* ---- writing ---- */

static void write_identity(struct jw *w, const struct item *item)
{
	const struct cache_row *row = &item->row;

	jw_kv_text(w, "instance_id", row->uid);
	jw_kv_text(w, "name", row->name);
	jw_kv_text(w, "description", row->description);
	jw_kv_text(w, "status", row->deleted_at ? CACHE_DELETED : row->status);
	jw_kv_text(w, "sub_status", "normal");
	jw_kv_text(w, "task", item->task);
	jw_kv_text(w, "engine", "Redis");
	jw_kv_text(w, "engine_version", row->engine_version);
	jw_kv_text(w, "spec_code", row->spec_code);
	jw_kv_text(w, "cache_mode", row->cache_mode);
	jw_kv_text(w, "ip", row->ip);
	jw_kv_int(w, "port", row->port);
	jw_kv_text(w, "no_password_access", *item->state.password_hash ? "false" : "true"); /* a text */
}

static void write_size(struct jw *w, const struct item *item)
{
	char minor[24];

	format_capacity_minor(item->row.capacity_mib, minor);
	jw_kv_int(w, "capacity", item->row.capacity_mib / 1024); /* 0 below one gigabyte */
	jw_kv_text(w, "capacity_minor", minor);
	/* What the last resize ended with; the limit the keeper saw may be that of before it. */
	jw_kv_int(w, "max_memory", item->row.capacity_mib);
	jw_kv_int(w, "used_memory", format_mib(item->figures.used_memory));
	jw_kv_int(w, "replica_count", (int64_t)(item->state.n_nodes ? item->state.n_nodes : (size_t)item->spec.copies));
	jw_kv_int(w, "sharding_count", 1);
	jw_kv_int(w, "db_number", 256);
}

static void write_times(struct jw *w, const struct cache_row *row)
{
	format_kv_time(w, "created_at", row->created_at);
	format_kv_time(w, "launched_at", row->launched_at);
	format_kv_time(w, "update_at", row->updated_at); /* one is spelled so when shown, the other when listed */
	format_kv_time(w, "updated_at", row->updated_at);
	jw_kv_text(w, "maintain_begin", row->maintain_begin);
	jw_kv_text(w, "maintain_end", row->maintain_end);
}

static void write_null(struct jw *w, const char *key)
{
	jw_key(w, key);
	jw_null(w);
}

static void write_echo_or(struct jw *w, const struct echo *e, const char *key, const char *otherwise)
{
	const char *text = echo_text(e, key);
	jw_kv_text(w, key, text ? text : otherwise);
}

/* As often as it was asked for: a client that keeps the list would take a shorter one for another place. */
static void write_zones(struct jw *w, const char *key, const char *zone, size_t n)
{
	jw_key(w, key);
	jw_array(w);
	while (n--)
		jw_text(w, zone);
	jw_end_array(w);
}

static void write_place(struct jw *w, const struct echo *e)
{
	write_zones(w, "az_codes", zone_code, echo_zones(e));
	write_zones(w, "available_zones", zone_id, echo_zones(e));
	write_echo_or(w, e, "vpc_id", NULL);
	write_null(w, "vpc_name");
	write_echo_or(w, e, "subnet_id", NULL);
	write_null(w, "subnet_name");
	write_null(w, "subnet_cidr");
	write_echo_or(w, e, "security_group_id", no_security_group);
	write_null(w, "security_group_name");
	write_null(w, "domain_name");
	write_null(w, "readonly_domain_name");
	jw_kv_bool(w, "enable_publicip", false);
	write_null(w, "publicip_id");
	write_null(w, "publicip_address");
}

static void write_owner(struct jw *w, const struct echo *e)
{
	jw_kv_int(w, "charging_mode", 0);
	write_null(w, "order_id");
	write_echo_or(w, e, "user_id", NULL);
	write_echo_or(w, e, "user_name", NULL);
	write_null(w, "access_user");
	write_echo_or(w, e, "enterprise_project_id", "0");
	write_echo_or(w, e, "enterprise_project_name", "default");
}

static void write_product(struct jw *w, const struct item *item)
{
	static const char *const features[] = { "support_acl", "support_transparent_client_ip", "support_ssl",
						"support_audit_log" };

	jw_kv_bool(w, "enable_ssl", false);
	jw_kv_bool(w, "service_upgrade", false);
	write_null(w, "service_task_id");
	jw_key(w, "features");
	jw_object(w);
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		jw_kv_bool(w, features[i], false);
	jw_end_object(w);
	jw_kv_text(w, "cpu_type", spec_cpu_type(item->spec.cpu));
	jw_kv_text(w, "product_type", "generic");
	jw_kv_text(w, "storage_type", "DRAM");
	jw_kv_text(w, "support_slow_log_flag", "true");
	jw_kv_bool(w, "transparent_client_ip_enable", false);
	jw_kv_text(w, "cloud_service_type_code", "hws.service.type.dcs");
	jw_kv_text(w, "cloud_resource_type_code", "hws.resource.type.dcs3");
}

/* A JSON text of the row, or what stands for none. */
static void write_kept(struct jw *w, const char *key, const char *json, const char *otherwise)
{
	jw_key(w, key);
	jw_raw(w, *json ? json : otherwise);
}

static void write_instance(struct jw *w, const void *subject)
{
	const struct item *item = subject;

	jw_object(w);
	write_identity(w, item);
	write_size(w, item);
	write_times(w, &item->row);
	write_kept(w, "tags", item->row.tags, "[]");
	write_kept(w, "instance_backup_policy", item->row.backup_policy, "null");
	write_place(w, &item->echo);
	write_owner(w, &item->echo);
	write_product(w, item);
	jw_end_object(w);
}

static void write_list(struct jw *w, const void *subject)
{
	const struct list *list = subject;

	jw_object(w);
	jw_kv_int(w, "instance_num", list->total);
	jw_key(w, "instances");
	jw_array(w);
	for (size_t i = 0; i < list->n; i++)
		write_instance(w, &list->items[i]);
	jw_end_array(w);
	jw_end_object(w);
}

/* ---- reading ---- */

static enum verdict complete(struct call *c, struct item *item, struct err *err)
{
	enum rc rc = state_read(&item->row, c->arena, &item->state, err);

	if (!rc)
		rc = echo_read(&item->row, c->arena, &item->echo, err);
	if (!rc && spec_parse(item->row.spec_code, &item->spec) != SPEC_GOOD)
		rc = err_set(err, RC_CORRUPT, "instance %s has the specification '%.40s'", item->row.uid,
			     item->row.spec_code);
	if (!engine_cache_figures(c->engine, item->row.id, &item->figures))
		item->figures = (struct cache_figures){ 0 };
	return rc ? V_FAILED : V_OK;
}

static enum verdict read_task(struct call *c, struct item *item, struct err *err)
{
	enum verdict v = running_operation(c, &item->row, &item->task, err);

	if (v == V_OK && item->task && strcmp(item->task, "BACKUP") == 0)
		item->task = "BACKUPING";
	return v;
}

void dcs_instances_show(struct call *c)
{
	struct item *item = arena_new_of(c->arena, struct item);
	struct err err = { 0 };

	if (!item) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!scope_instance(c, &item->row))
		return;
	enum verdict v = complete(c, item, &err);
	if (v == V_OK)
		v = read_task(c, item, &err);
	(void)dcs_answer_found(c, v, &err, write_instance, item);
}

static bool read_filter(struct call *c, struct cache_filter *f)
{
	struct page page;

	if (!scope_page(c, &page) || !scope_flag(c, "include_failure", &f->includes_failed) ||
	    !scope_flag(c, "include_delete", &f->includes_deleted) || !scope_flag(c, "name_equal", &f->name_is_exact) ||
	    !scope_capacity(c, &f->capacity_mib))
		return false;
	f->uid = query_text(&c->query, "instance_id");
	f->name = query_text(&c->query, "name");
	f->status = query_text(&c->query, "status");
	f->ip = query_text(&c->query, "ip");
	f->cache_mode = query_text(&c->query, "cache_mode");
	f->tags = query_text(&c->query, "tags");
	f->offset = page.offset;
	f->limit = page.limit;
	return true;
}

static enum verdict read_list(struct call *c, const struct cache_filter *f, struct list *out, struct err *err)
{
	struct cache_row *rows;

	enum verdict v = engine_cache_list(c->view, f, c->arena, &rows, &out->n, &out->total, err);
	if (v != V_OK)
		return v;
	out->items = arena_array(c->arena, out->n + 1, sizeof *out->items);
	if (!out->items) {
		(void)err_set(err, RC_LIMIT, "no memory for %zu instances", out->n);
		return V_FAILED;
	}
	for (size_t i = 0; i < out->n && v == V_OK; i++) {
		out->items[i].row = rows[i];
		v = complete(c, &out->items[i], err);
	}
	return v;
}

void dcs_instances_list(struct call *c)
{
	struct cache_filter filter = { 0 };
	struct list list = { 0 };
	struct err err = { 0 };

	if (!scope_project(c, &filter.project_id) || !read_filter(c, &filter))
		return;
	enum verdict v = read_list(c, &filter, &list, &err);
	(void)dcs_answer_found(c, v, &err, write_list, &list);
}
