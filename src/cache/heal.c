/*
 * heal: from whatever there is to what the description says. Each step looks first and does nothing when all is well,
 * so it may be cut off anywhere and run again.
 *
 *  H1 An unfinished restore is undone before anything is started; its copy of the backup goes.
 *  H2 Who is master: the recorded one if it serves as master; else a node that does (a switchover that was not
 *     recorded); else, if it has no process, the best replica that once was in step; else it is started.
 *  H3 A promoted replica takes the clients' address only when the old master has no process.
 *  H4 A node's folder that the description does not name is of an addition that was cut off, or of a removal that was
 *     told and not finished: its process and its data go.
 *  H5 Clients may write, but for an operation that goes on replacing all data in this attempt (seal.c).
 *  H6 Commands have the description's names again, by a restart if need be, and writes are not held back.
 */
#include <limits.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "cache/cache_priv.h"
#include "os/file.h"

enum { LOOK_LIMIT_MS = 3000, WORK_LIMIT_MS = 30000, WORK_SHARE = 10, NEVER_SYNCED = 1 };

struct health {
	struct cache_figures now[CACHE_NODES_MAX];
	bool works[CACHE_NODES_MAX]; /* it was busy while it was looked at */
};

static void look_once(const struct op *op, const struct cache_instance *c, int node, struct health *h)
{
	struct op part = op_within(op, LOOK_LIMIT_MS);
	int64_t used_ms = node_cpu_ms(c, node), from = clock_mono_ms();

	look_node(&part, c, node, &h->now[node]);
	int64_t took_ms = clock_mono_ms() - from;
	h->works[node] = used_ms >= 0 && node_cpu_ms(c, node) - used_ms >= took_ms / WORK_SHARE;
}

static void look_again(const struct op *op, const struct cache_instance *c, struct health *h)
{
	for (int i = 0; i < c->n_nodes; i++)
		look_once(op, c, i, h);
}

static enum rc check_folder(const struct cache_instance *c, struct err *err)
{
	char secret[SECRET_DIGITS + 1];
	enum rc rc = secret_read(c, secret, err);
	mem_wipe(secret, sizeof secret);
	return rc == RC_OK ? rc : err_wrap(err, rc, "the instance's folder is damaged or gone");
}

/* H1 */
static enum rc undo_restores(const struct op *op, struct cache_instance *c, struct err *err)
{
	bool is_open = false;
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		is_open = is_open || restore_is_open(c, i);
		rc = restore_tidy(c, i, err);
	}
	if (rc != RC_OK || !is_open)
		return rc;
	op_step(op, "undo interrupted restore", 5);
	rc = stop_all(op, c, err);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++)
		rc = restore_undo(c, i, err);
	return rc;
}

/* H4. "node-7" is such a folder; whatever else lies there is not ours to judge. */
static enum rc drop_if_stranger(void *ctx, const char *name, struct err *err)
{
	const struct cache_instance *c = ctx;
	int64_t number;

	if (strncmp(name, "node-", 5) != 0 || !num_i64(name + 5, &number) || number < 0 || number > INT_MAX)
		return RC_OK;
	for (int i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i].number == number)
			return RC_OK;
	}
	struct cache_instance alone = *c;
	alone.nodes[0] = (struct cache_node){ .number = (int)number };
	return node_drop(&alone, 0, err);
}

/* One command over many keys keeps Redis from answering for as long as it takes, and to kill it then would cost what is
 * not on disk yet, and the time to load all again. So one that works is waited for; one that stands still is not. */
static enum rc await_worker(const struct op *op, const struct cache_instance *c, int node, struct health *h,
			    struct err *err)
{
	struct op limit = op_within(op, WORK_LIMIT_MS);
	enum rc rc = RC_OK;

	while (rc == RC_OK && h->now[node].state == CACHE_NODE_HUNG && h->works[node] && op_left_ms(&limit) > 0) {
		op_step(op, "wait for a busy node", 15);
		look_once(&limit, c, node, h);
		rc = op_check(op, err);
	}
	return rc;
}

/* h->now of the node is HUNG. */
static enum rc end_hung(const struct op *op, struct cache_instance *c, int node, struct health *h, struct err *err)
{
	enum rc rc = await_worker(op, c, node, h, err);

	if (rc != RC_OK || h->now[node].state != CACHE_NODE_HUNG)
		return rc;
	rc = node_kill(c, node, err);
	h->now[node].state = CACHE_NODE_DOWN;
	return rc;
}

static enum rc clear_the_way(const struct op *op, struct cache_instance *c, enum cache_patience patience,
			     struct health *h, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (h->now[i].state == CACHE_NODE_HUNG && patience == CACHE_KILL_HUNG)
			rc = end_hung(op, c, i, h, err);
		enum cache_node_state s = h->now[i].state;
		if (rc != RC_OK)
			break;
		if (s == CACHE_NODE_FOREIGN)
			rc = err_set(err, RC_CONFLICT, "node %d: something else answers at %s port %d",
			             c->nodes[i].number, c->nodes[i].host, c->port);
		else if (s == CACHE_NODE_CROWDED)
			rc = err_set(err, RC_BUSY, "node %d has no connection left for its administration",
			             c->nodes[i].number);
		else if (s == CACHE_NODE_HUNG)
			rc = err_set(err, RC_BUSY, "node %d has a process that does not answer", c->nodes[i].number);
	}
	return rc;
}

/* Note who they are, and wait for those that are still loading. */
static enum rc adopt(const struct op *op, struct cache_instance *c, struct health *h, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		if (h->now[i].state == CACHE_NODE_DOWN)
			continue;
		rc = node_wait_ready(op, c, i, /* death_fd= */ -1, &w, err);
		if (rc == RC_OK)
			rc = node_identify(w, c, i, &c->nodes[i], err);
		if (rc == RC_OK)
			look_node(op, c, i, &h->now[i]);
	}
	return rc;
}

static bool is_up_as_master(const struct health *h, int i)
{
	return h->now[i].state == CACHE_NODE_UP && h->now[i].is_master;
}

static int best_survivor(const struct cache_instance *c, const struct health *h)
{
	int best = -1;
	for (int i = 0; i < c->n_nodes; i++) {
		const struct cache_figures *f = &h->now[i];
		/* One that never had the master's data would be promoted to an empty master. */
		if (f->state != CACHE_NODE_UP || c->nodes[i].priority == 0 || f->replication_offset <= NEVER_SYNCED)
			continue;
		if (best < 0 || f->replication_offset > h->now[best].replication_offset ||
		    (f->replication_offset == h->now[best].replication_offset && replica_is_preferred(c, i, best)))
			best = i;
	}
	return best;
}

/* H2, H3 */
static enum rc find_master(const struct op *op, struct cache_instance *c, struct health *h, struct err *err)
{
	int old = c->master;

	if (is_up_as_master(h, old))
		return RC_OK;
	for (int i = 0; i < c->n_nodes; i++) {
		if (is_up_as_master(h, i)) {
			c->master = i;
			return RC_OK;
		}
	}
	if (h->now[old].state == CACHE_NODE_UP) { /* somebody made it a replica, and nobody is master */
		op_step(op, "promote", 30);
		return replica_promote(op, c, old, err);
	}
	int heir = best_survivor(c, h);
	if (heir >= 0) {
		op_step(op, "promote", 30);
		return replica_promote(op, c, heir, err);
	}
	op_step(op, "start master", 30);
	enum rc rc = node_start(op, c, old, err);
	if (rc == RC_OK)
		look_node(op, c, old, &h->now[old]);
	return rc;
}

static enum rc turn_others(const struct op *op, struct cache_instance *c, const struct health *h, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (i == c->master)
			continue;
		op_step(op, "start replicas", 50);
		rc = h->now[i].state == CACHE_NODE_DOWN ? node_start(op, c, i, err) : replica_follow(op, c, i, err);
	}
	return rc;
}

/* A change of command names holds writes back while it lasts: one that was cut off must not go on doing so. */
static enum rc let_write(const struct op *op, const struct cache_instance *c, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	enum rc rc = node_open(op, c, c->master, &w, err);
	return rc == RC_OK ? wire_call(w, NULL, err, "CLIENT", "UNPAUSE") : rc;
}

/* While there is no room this fails again, and all else is well: the file stays marked, and the caller sees it. */
static void rewrite_files(const struct op *op, const struct cache_instance *c)
{
	for (int i = 0; i < c->n_nodes; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		if (node_open(op, c, i, &w, NULL) == RC_OK)
			let_pass(aof_rewrite_failed(op, w, NULL));
	}
}

static enum rc heal(const struct op *op, struct cache_instance *c, enum cache_patience patience, struct err *err)
{
	struct health h;
	enum rc rc = check_folder(c, err);

	if (rc == RC_OK)
		rc = seal_settle(op, c, err);
	if (rc == RC_OK)
		rc = undo_restores(op, c, err);
	if (rc == RC_OK)
		rc = dir_each(c->dir, drop_if_stranger, c, err);
	op_step(op, "look", 10);
	look_again(op, c, &h);
	if (rc == RC_OK)
		rc = clear_the_way(op, c, patience, &h, err);
	if (rc == RC_OK)
		rc = adopt(op, c, &h, err);
	if (rc == RC_OK && seal_is_there(c))
		rc = seal_tell(op, c, /* master= */ NULL, err); /* before clients find another master */
	if (rc == RC_OK)
		rc = find_master(op, c, &h, err);
	if (rc == RC_OK)
		rc = turn_others(op, c, &h, err);
	if (rc == RC_OK)
		rc = names_mend(op, c, err);
	op_step(op, "apply settings", 80);
	if (rc == RC_OK)
		rc = address_move(op, c, err);
	if (rc == RC_OK)
		rc = conf_apply_all(op, c, err);
	if (rc == RC_OK)
		rc = conf_apply_accounts(op, c, err);
	if (rc == RC_OK)
		seal_opened(c);
	if (rc == RC_OK)
		rc = let_write(op, c, err);
	if (rc == RC_OK)
		rewrite_files(op, c);
	return rc == RC_OK ? conf_write_all(c, err) : rc;
}

enum rc cache_heal(struct cache_instance *c, enum cache_patience patience, const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	if (rc == RC_OK)
		rc = heal(&op, &work, patience, err);
	if (rc == RC_OK)
		*c = work;
	return rc;
}

void cache_note_processes(struct cache_instance *c, const struct cache_run *run)
{
	int percent;
	struct op whole = op_start(run, &percent), op = op_undo(&whole);

	for (int i = 0; i < c->n_nodes; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		struct op part = op_within(&op, LOOK_LIMIT_MS);
		if (node_open(&part, c, i, &w, NULL) == RC_OK)
			let_pass(node_identify(w, c, i, &c->nodes[i], NULL)); /* another's process is not noted */
	}
}
