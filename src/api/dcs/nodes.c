/*
 * Nodes of an instance. There is one shard, "group-0"; a node's id is derived from its instance and
 * number.
 */
#include <string.h>
#include "api/dcs/answer.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"
#include "api/dcs/state.h"

struct nodes {
	struct cache_row row;
	struct state state;
};

static bool is_standby(const struct nodes *x) { return strcmp(x->row.cache_mode, "ha") == 0; }

/* As far as the engine knows: a node works unless its instance is being made or is in error. */
static const char *node_status(const struct nodes *x)
{
	if (strcmp(x->row.status, "CREATING") == 0)
		return "Creating";
	return strcmp(x->row.status, "ERROR") == 0 || strcmp(x->row.status, "CREATEFAILED") == 0 ? "Inactive"
	                                                                                         : "Active";
}

static void write_dimensions(struct jw *w, const struct nodes *x, const struct node *n)
{
	jw_key(w, "dimensions");
	jw_array(w);
	jw_object(w);
	jw_kv_text(w, "name", "dcs_instance_id");
	jw_kv_text(w, "value", x->row.uid);
	jw_end_object(w);
	jw_object(w);
	jw_kv_text(w, "name", "dcs_cluster_redis_node");
	jw_kv_text(w, "value", n->node_id);
	jw_end_object(w);
	jw_end_array(w);
}

static void write_replication(struct jw *w, const struct nodes *x, const struct node *n)
{
	jw_object(w);
	jw_kv_text(w, "replication_role", n->is_master ? "master" : "slave");
	jw_kv_text(w, "replication_ip", n->host);
	jw_kv_bool(w, "is_replication", !n->is_master);
	jw_kv_text(w, "replication_id", n->replication_id);
	jw_kv_text(w, "node_id", n->node_id);
	jw_kv_text(w, "status", node_status(x));
	jw_kv_text(w, "az_code", zone_code);
	write_dimensions(w, x, n);
	jw_end_object(w);
}

static void write_replications(struct jw *w, const void *subject)
{
	const struct nodes *x = subject;

	jw_array(w);
	for (size_t i = 0; i < x->state.n_nodes; i++)
		write_replication(w, x, &x->state.nodes[i]);
	jw_end_array(w);
}

static void write_groups(struct jw *w, const void *subject)
{
	const struct nodes *x = subject;

	jw_object(w);
	jw_kv_int(w, "group_count", 1);
	jw_key(w, "group_list");
	jw_array(w);
	jw_object(w);
	jw_kv_text(w, "group_id", x->state.group_id);
	jw_kv_text(w, "group_name", shard_name);
	jw_key(w, "replication_list");
	write_replications(w, x);
	jw_end_object(w);
	jw_end_array(w);
	jw_end_object(w);
}

static void write_logical(struct jw *w, const struct nodes *x, const struct node *n)
{
	char name[96], port[24];

	(void)snprintf(name, sizeof name, "(%s)%.64s", n->is_master ? "master" : "replica", n->host);
	(void)snprintf(port, sizeof port, "%lld", (long long)x->row.port);
	jw_object(w);
	jw_kv_text(w, "logical_node_id", n->node_id);
	jw_kv_text(w, "name", name);
	jw_kv_text(w, "status", node_status(x));
	jw_kv_text(w, "az_code", zone_code);
	jw_kv_text(w, "node_role", "redis-server");
	jw_kv_text(w, "node_type", n->is_master ? "master" : "slave");
	jw_kv_text(w, "node_ip", n->host);
	jw_kv_text(w, "node_port", port); /* a text */
	jw_kv_text(w, "node_id", n->node_id);
	jw_kv_int(w, "priority_weight", n->priority);
	jw_kv_bool(w, "is_access", n->is_master || is_standby(x));
	jw_kv_text(w, "group_id", x->state.group_id);
	jw_kv_text(w, "group_name", shard_name);
	jw_kv_bool(w, "is_remove_ip", false);
	jw_kv_text(w, "replication_id", n->replication_id);
	write_dimensions(w, x, n);
	jw_end_object(w);
}

static void write_nodes(struct jw *w, const struct nodes *x)
{
	jw_key(w, "nodes");
	jw_array(w);
	for (size_t i = 0; i < x->state.n_nodes; i++)
		write_logical(w, x, &x->state.nodes[i]);
	jw_end_array(w);
}

static void write_logicals(struct jw *w, const void *subject)
{
	const struct nodes *x = subject;

	jw_object(w);
	jw_kv_text(w, "instance_id", x->row.uid);
	jw_kv_int(w, "total", (int64_t)x->state.n_nodes);
	write_nodes(w, x);
	jw_end_object(w);
}

struct many {
	struct nodes *instances;
	size_t n;
	int64_t total;
};

static void write_many(struct jw *w, const void *subject)
{
	const struct many *x = subject;

	jw_object(w);
	jw_kv_int(w, "count", x->total);
	jw_key(w, "instances");
	jw_array(w);
	for (size_t i = 0; i < x->n; i++) {
		jw_object(w);
		jw_kv_text(w, "instance_id", x->instances[i].row.uid);
		jw_kv_int(w, "node_count", (int64_t)x->instances[i].state.n_nodes);
		write_nodes(w, &x->instances[i]);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

/* A replica may go while another one stays. */
static void write_deletable(struct jw *w, const void *subject)
{
	const struct nodes *x = subject;
	bool is_possible = x->state.n_nodes > 2;

	jw_object(w);
	jw_kv_bool(w, "check_result", is_possible);
	jw_kv_text(w, "available_zone", zone_id);
	jw_key(w, "replication_list");
	jw_array(w);
	for (size_t i = 0; is_possible && i < x->state.n_nodes; i++) {
		const struct node *n = &x->state.nodes[i];
		if (n->is_master)
			continue;
		jw_object(w);
		jw_kv_text(w, "replication_id", n->replication_id);
		jw_kv_text(w, "node_id", n->node_id);
		jw_kv_text(w, "replication_ip", n->host);
		jw_kv_text(w, "group_id", x->state.group_id);
		jw_kv_text(w, "group_name", shard_name);
		jw_kv_text(w, "available_zone", zone_id);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_end_object(w);
}

/* NULL: answered. */
static struct nodes *read_nodes(struct call *c)
{
	struct nodes *x = arena_new_of(c->arena, struct nodes);

	if (!x) {
		(void)dcs_answer_no_memory(c);
		return NULL;
	}
	if (!scope_instance(c, &x->row) || !scope_state(c, &x->row, &x->state))
		return NULL;
	return x;
}

static void show(struct call *c, dcs_write_fn *write)
{
	struct nodes *x = read_nodes(c);

	if (x)
		(void)dcs_answer(c, write, x);
}

void dcs_nodes_groups(struct call *c) { show(c, write_groups); }
void dcs_nodes_logical(struct call *c) { show(c, write_logicals); }
void dcs_nodes_deletable(struct call *c) { show(c, write_deletable); }

void dcs_nodes_states(struct call *c)
{
	struct nodes *x = read_nodes(c);

	if (!x)
		return;
	if (strcmp(path_arg(&c->args, "group"), x->state.group_id) == 0)
		(void)dcs_answer(c, write_replications, x);
	else
		(void)dcs_answer_named(c, DCS_ID_PARAM, "group_id");
}

static enum verdict read_many(struct call *c, const struct cache_filter *f, struct many *out, struct err *err)
{
	struct cache_row *rows;

	enum verdict v = engine_cache_list(c->view, f, c->arena, &rows, &out->n, &out->total, err);
	if (v != V_OK)
		return v;
	out->instances = arena_array(c->arena, out->n + 1, sizeof *out->instances);
	if (!out->instances) {
		(void)err_set(err, RC_LIMIT, "no memory for the nodes of %zu instances", out->n);
		return V_FAILED;
	}
	for (size_t i = 0; i < out->n; i++) {
		out->instances[i].row = rows[i];
		if (state_read(&rows[i], c->arena, &out->instances[i].state, err))
			return V_FAILED;
	}
	return V_OK;
}

void dcs_nodes_of_project(struct call *c)
{
	struct cache_filter filter = { .capacity_mib = -1 };
	struct page page;
	struct many x;
	struct err err = { 0 };

	if (!scope_project(c, &filter.project_id) || !scope_page(c, &page))
		return;
	filter.offset = page.offset;
	filter.limit = page.limit;
	enum verdict v = read_many(c, &filter, &x, &err);
	(void)dcs_answer_found(c, v, &err, write_many, &x);
}
