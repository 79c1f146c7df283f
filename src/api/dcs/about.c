/* What an instance is made of and what can be done with it: version, topology, operations. */
#include <string.h>
#include "api/dcs/answer.h"
#include "api/dcs/routes.h"
#include "api/dcs/running.h"
#include "api/dcs/scope.h"
#include "api/dcs/state.h"

struct about {
	struct cache_row row;
	struct state state;
	struct cache_figures figures; /* of the master; all 0: not known */
	const char *obstacle;         /* code of what stands in the way of a resize; NULL nothing */
};

/* NULL: answered. */
static struct about *read_about(struct call *c)
{
	struct about *x = arena_new_of(c->arena, struct about);

	if (!x) {
		(void)dcs_answer_no_memory(c);
		return NULL;
	}
	if (!scope_instance(c, &x->row) || !scope_state(c, &x->row, &x->state))
		return NULL;
	if (!engine_cache_figures(c->engine, x->row.id, &x->figures))
		x->figures = (struct cache_figures){ 0 };
	return x;
}

/* ---- ShowInstanceVersion ---- */

/* What the master says it is. There is one program on the machine, and a newer one is in use after a restart, so there
 * is never an upgrade to offer. */
static void write_version(struct jw *w, const void *subject)
{
	const struct about *x = subject;
	const char *version = *x->figures.version ? x->figures.version : NULL;

	jw_object(w);
	jw_kv_text(w, "engine_minor_version", version);
	jw_kv_text(w, "latest_engine_minor_version", version);
	jw_kv_text(w, "proxy_minor_version", NULL);
	jw_kv_text(w, "latest_proxy_minor_version", NULL);
	jw_kv_bool(w, "engine_minor_version_upgradable", false);
	jw_kv_bool(w, "proxy_minor_version_upgradable", false);
	jw_end_object(w);
}

void dcs_version_show(struct call *c)
{
	struct about *x = read_about(c);

	if (x)
		(void)dcs_answer(c, write_version, x);
}

/* ---- ShowInstanceTopology: numbers are texts here ---- */

static void write_number(struct jw *w, const char *name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%lld", (long long)value);
	jw_kv_text(w, name, text);
}

static void write_node(struct jw *w, const struct about *x, const struct node *n)
{
	const struct node *master = state_master(&x->state);
	bool is_known = n->is_master && *x->figures.version;

	jw_object(w);
	jw_kv_text(w, "node_id", n->node_id);
	jw_kv_text(w, "node_name", n->host);
	jw_kv_text(w, "ip", n->host);
	write_number(w, "port", x->row.port);
	jw_kv_text(w, "node_type", n->is_master ? "master" : "slave");
	write_number(w, "max_memory", x->row.capacity_mib);
	if (is_known) {
		write_number(w, "used_memory", format_mib(x->figures.used_memory));
		write_number(w, "qps", x->figures.ops_per_s);
	}
	write_number(w, "db_num", CACHE_DATABASES);
	if (!n->is_master && master) {
		jw_kv_text(w, "relation_ip", master->host);
		write_number(w, "relation_port", x->row.port);
	}
	jw_kv_text(w, "group_id", x->state.group_id);
	jw_kv_text(w, "status", strcmp(x->row.status, "ERROR") == 0 ? "Inactive" : "Active");
	jw_end_object(w);
}

static void write_topology(struct jw *w, const void *subject)
{
	const struct about *x = subject;

	jw_object(w);
	jw_key(w, "redis_server");
	jw_array(w);
	for (size_t i = 0; i < x->state.n_nodes; i++)
		write_node(w, x, &x->state.nodes[i]);
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_topology_show(struct call *c)
{
	struct about *x = read_about(c);

	if (x)
		(void)dcs_answer(c, write_topology, x);
}

/* ---- ListInstanceOperations: can it be resized now? ---- */

static void write_operations(struct jw *w, const void *subject)
{
	const struct about *x = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", x->row.uid);
	jw_key(w, "operations");
	jw_array(w);
	jw_object(w);
	jw_kv_text(w, "operation", "extend");
	jw_kv_bool(w, "is_support", !x->obstacle);
	jw_kv_text(w, "cause_id", x->obstacle);
	jw_end_object(w);
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_operations_list(struct call *c)
{
	struct about *x = read_about(c);
	const char *asked = query_text(&c->query, "operation"), *running = NULL;
	struct err err = { 0 };

	if (!x)
		return;
	if (asked && strcmp(asked, "extend") != 0) { /* the one word that clients know */
		(void)dcs_answer_named(c, DCS_QUERY, "operation");
		return;
	}
	enum verdict v = running_operation(c, &x->row, &running, &err);
	if (v != V_OK) {
		(void)dcs_answer_read(c, v, &err);
		return;
	}
	if (!running && strcmp(x->row.status, "RUNNING") != 0)
		running = x->row.status;
	x->obstacle = running ? dcs_error_code(dcs_error_of_busy(running)) : NULL;
	(void)dcs_answer(c, write_operations, x);
}
