#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "cache/cache_priv.h"

enum { INFO_SIZE_MAX = 1 << 20, ENDING_MS = 500 };

static void fill(const struct buf *info, const struct cache_node *n, struct cache_figures *f)
{
	*f = (struct cache_figures){
		.state = info_int(info, "loading", 0) ? CACHE_NODE_LOADING : CACHE_NODE_UP,
		.is_master = info_is(info, "role", "master"),
		.is_linked = info_is(info, "role", "slave") && info_is(info, "master_link_status", "up") &&
		             info_int(info, "master_sync_in_progress", 1) == 0,
		.uptime_s = info_int(info, "uptime_in_seconds", 0),
		.used_memory = info_int(info, "used_memory", 0),
		.max_memory = info_int(info, "maxmemory", 0),
		.keys = info_sum(info, "db", "keys"),
		.ops_per_s = info_int(info, "instantaneous_ops_per_sec", 0),
		.get_calls = info_part(info, "cmdstat_get", "calls", 0),
		.set_calls = info_part(info, "cmdstat_set", "calls", 0),
		.input_kbps = info_real(info, "instantaneous_input_kbps", 0),
		.output_kbps = info_real(info, "instantaneous_output_kbps", 0),
		.cpu_s = info_real(info, "used_cpu_sys", 0) + info_real(info, "used_cpu_user", 0),
		.is_aof_on = info_int(info, "aof_enabled", 0) == 1,
		.is_aof_ok = info_is(info, "aof_last_write_status", "ok") &&
		             info_is(info, "aof_last_bgrewrite_status", "ok"),
	};
	f->replication_offset = info_int(info, f->is_master ? "master_repl_offset" : "slave_repl_offset", 0);
	memcpy(f->run_id, n->run_id, sizeof f->run_id);
	(void)info_text(info, "redis_version", f->version, sizeof f->version); /* else none is known */
}

/* What a failure to ask says about the node. */
static enum cache_node_state state_of(enum rc rc, bool has_process)
{
	if (rc == RC_BUSY && has_process)
		return CACHE_NODE_CROWDED;
	if (has_process)
		return CACHE_NODE_HUNG;
	return rc == RC_IO ? CACHE_NODE_DOWN : CACHE_NODE_FOREIGN;
}

/* Redis keeps no connection for its administrator: maxclients are all there are, and who comes after them is told so
 * and let go. */
static bool says_full(enum rc rc, const struct err *why)
{
	return rc == RC_BUSY && strstr(why->msg, "max number of clients");
}

/* A process that was killed hangs up a moment before it is gone. */
static bool ends_soon(const struct op *op, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int64_t left = op_left_ms(op);
	return poll(&p, 1, left < ENDING_MS ? (int)left : ENDING_MS) > 0;
}

void look_node(const struct op *op, const struct cache_instance *c, int node, struct cache_figures *out)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct cache_figures f = { .state = CACHE_NODE_DOWN };
	struct cache_node n = c->nodes[node];
	struct err why = { .rc = RC_OK };
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = node_open(op, c, node, &w, &why);
	if (rc == RC_OK)
		rc = node_identify(w, c, node, &n, NULL);
	if (rc == RC_OK)
		rc = info_read(w, &info, NULL, "all");
	if (rc == RC_OK) {
		fill(&info, &n, &f);
	} else {
		int fd = node_pidfd(c, node);
		bool is_ending = fd >= 0 && rc == RC_IO && ends_soon(op, fd);
		f.state = state_of(rc, fd >= 0 && !is_ending);
		f.is_full = f.state == CACHE_NODE_CROWDED && says_full(rc, &why);
		if (fd >= 0)
			(void)close(fd);
	}
	buf_fini(&info);
	*out = f;
}

/* Does the clients' address lead to that very process? */
static enum rc reach(const struct op *op, const struct cache_instance *c, const char *run_id, struct err *err)
{
	struct cache_instance front = *c; /* the master seen from where clients stand */
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct cache_node n;

	memcpy(front.nodes[c->master].host, c->host, sizeof c->host);
	enum rc rc = node_open(op, &front, c->master, &w, err);
	if (rc == RC_OK)
		rc = node_identify(w, &front, c->master, &n, err);
	if (rc == RC_OK && strcmp(n.run_id, run_id) != 0)
		rc = err_set(err, RC_CONFLICT, "another process answers at the clients' address");
	return rc;
}

/* m answers as a master, at its own address. A single instance has no other. */
static bool is_reached(const struct op *op, const struct cache_instance *c, struct cache_figures *m)
{
	struct err why = { .rc = RC_OK };

	if (strcmp(c->host, c->nodes[c->master].host) == 0)
		return true;
	enum rc rc = reach(op, c, m->run_id, &why);
	/* That one connection was left for us does not mean that there are two. */
	m->is_full = says_full(rc, &why);
	return rc == RC_OK;
}

void cache_look(const struct cache_instance *c, int64_t timeout_ms, struct cache_view *out)
{
	struct cache_run run = { .timeout_ms = timeout_ms };
	int percent;

	*out = (struct cache_view){ .is_serving = false };
	for (int i = 0; i < c->n_nodes; i++) {
		struct op op = op_start(&run, &percent);
		look_node(&op, c, i, &out->nodes[i]);
	}
	struct cache_figures *m = &out->nodes[c->master];
	struct op op = op_start(&run, &percent);
	out->is_serving = m->state == CACHE_NODE_UP && m->is_master && is_reached(&op, c, m);
}
