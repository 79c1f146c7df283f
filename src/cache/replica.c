/*
 * Roles: following, catching up, promoting, switching over, and the clients' address that goes with the master.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/must.h"
#include "cache/cache_priv.h"

enum { INFO_SIZE_MAX = 1 << 20, HAND_OVER_LIMIT_MS = 15000 };

static bool follows(const struct buf *info, const struct cache_instance *c)
{
	return info_is(info, "role", "slave") && info_is(info, "master_host", c->nodes[c->master].host) &&
	       info_int(info, "master_port", 0) == c->port;
}

enum rc replica_follow(const struct op *op, const struct cache_instance *c, int node, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct buf info;
	char port[12];

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = node_open(op, c, node, &w, err);
	if (rc == RC_OK)
		rc = info_read(w, &info, err, "replication");
	(void)snprintf(port, sizeof port, "%d", c->port);
	if (rc == RC_OK && !follows(&info, c))
		rc = wire_call(w, NULL, err, "REPLICAOF", c->nodes[c->master].host, port);
	buf_fini(&info);
	return rc;
}

/* The master streams to a replica only after its first acknowledgement, up to a second after the replica says "up". */
static bool is_online(const struct buf *master_info, const char *host)
{
	char name[16];
	for (int i = 0; i < 2 * CACHE_NODES_MAX; i++) {
		(void)snprintf(name, sizeof name, "slave%d", i);
		if (info_part_is(master_info, name, "ip", host) && info_part_is(master_info, name, "state", "online"))
			return true;
	}
	return false;
}

/* In step means that both ends say so. */
static enum rc ask_both(struct wire *replica, struct wire *master, const struct cache_instance *c, int node,
                        bool *is_in_step, struct err *err)
{
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = info_read(replica, &info, err, "replication");
	*is_in_step = rc == RC_OK && follows(&info, c) && info_is(&info, "master_link_status", "up") &&
	              info_int(&info, "master_sync_in_progress", 1) == 0;
	if (*is_in_step) {
		rc = info_read(master, &info, err, "replication");
		*is_in_step = rc == RC_OK && is_online(&info, c->nodes[node].host);
	}
	buf_fini(&info);
	return rc;
}

enum rc replica_wait(const struct op *op, const struct cache_instance *c, int node, struct err *err)
{
	CLEANUP(wire_closep) struct wire *replica = NULL;
	CLEANUP(wire_closep) struct wire *master = NULL;
	bool is_in_step = false;

	enum rc rc = node_open(op, c, node, &replica, err);
	if (rc == RC_OK)
		rc = node_open(op, c, c->master, &master, err);
	while (rc == RC_OK && !is_in_step) {
		rc = ask_both(replica, master, c, node, &is_in_step, err);
		if (rc == RC_OK && !is_in_step)
			rc = op_pause(op, LOOK_AGAIN_MS, err);
	}
	return rc == RC_OK ? rc : err_wrap(err, rc, "node %d catches up", c->nodes[node].number);
}

static enum rc goal_of(const struct op *op, const struct cache_instance *c, int master, int64_t *goal, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = node_open(op, c, master, &w, err);
	if (rc == RC_OK)
		rc = info_read(w, &info, err, "replication");
	if (rc == RC_OK)
		*goal = info_int(&info, "master_repl_offset", 0);
	buf_fini(&info);
	return rc;
}

/* The node that a replica follows; -1: none of ours. */
static int followed_by(const struct buf *info, const struct cache_instance *c)
{
	for (int i = 0; i < c->n_nodes; i++) {
		if (info_is(info, "master_host", c->nodes[i].host))
			return i;
	}
	return -1;
}

/*
 * The roles may be exchanged meanwhile, when the caller runs beside an operation. A replica that became the master has
 * all there is; one that follows another now is measured by that one: an offset means nothing in another history.
 */
enum rc replica_catch_up(const struct op *op, const struct cache_instance *c, int node, struct err *err)
{
	CLEANUP(wire_closep) struct wire *replica = NULL;
	struct buf info;
	int64_t goal = 0;
	int master = c->master;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = goal_of(op, c, master, &goal, err);
	if (rc == RC_OK)
		rc = node_open(op, c, node, &replica, err);
	while (rc == RC_OK) {
		rc = info_read(replica, &info, err, "replication");
		if (rc != RC_OK || info_is(&info, "role", "master"))
			break;
		int now = followed_by(&info, c);
		if (now >= 0 && now != master) {
			master = now;
			rc = goal_of(op, c, master, &goal, err);
			continue;
		}
		if (info_int(&info, "slave_repl_offset", -1) >= goal)
			break;
		rc = op_pause(op, LOOK_AGAIN_MS, err);
	}
	buf_fini(&info);
	return rc == RC_OK ? rc : err_wrap(err, rc, "node %d catches up", c->nodes[node].number);
}

/* The recorded one if it says so; -1: nobody does, as for a moment in a hand-over. */
static int master_now(const struct op *op, const struct cache_instance *c)
{
	for (int i = 0; i < c->n_nodes; i++) {
		int node = (c->master + i) % c->n_nodes;
		struct cache_figures f;
		look_node(op, c, node, &f);
		if (f.state == CACHE_NODE_UP && f.is_master)
			return node;
	}
	return -1;
}

enum rc master_find(const struct op *op, struct cache_instance *c, struct err *err)
{
	struct op part = op_within(op, HAND_OVER_LIMIT_MS);
	enum rc rc = RC_OK;

	while (rc == RC_OK) {
		int node = master_now(&part, c);
		if (node >= 0) {
			c->master = node;
			return RC_OK;
		}
		rc = op_pause(&part, LOOK_AGAIN_MS, err);
	}
	return err_wrap(err, rc, "looking for the master");
}

enum rc cache_find_master(struct cache_instance *c, const struct cache_run *run, struct err *err)
{
	int percent;
	struct op op = op_start(run, &percent);
	return master_find(&op, c, err);
}

enum rc master_check(const struct op *op, const struct cache_instance *c, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = node_open(op, c, c->master, &w, err);
	if (rc == RC_OK)
		rc = info_read(w, &info, err, "replication");
	if (rc == RC_OK && !info_is(&info, "role", "master"))
		rc = err_set(err, RC_CONFLICT,
		             "node %d is recorded as master and is none; the instance must be healed first",
		             c->nodes[c->master].number);
	buf_fini(&info);
	return rc;
}

enum rc replica_wait_all(const struct op *op, const struct cache_instance *c, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (i != c->master)
			rc = replica_wait(op, c, i, err);
	}
	return rc;
}

bool replica_is_preferred(const struct cache_instance *c, int node, int other)
{
	return other < 0 || c->nodes[node].priority < c->nodes[other].priority;
}

int replica_in_step(const struct op *op, const struct cache_instance *c)
{
	int best = -1;
	for (int i = 0; i < c->n_nodes; i++) {
		struct cache_figures f;
		if (i == c->master || c->nodes[i].priority == 0)
			continue;
		look_node(op, c, i, &f);
		if (f.state == CACHE_NODE_UP && f.is_linked && replica_is_preferred(c, i, best))
			best = i;
	}
	return best;
}

int replica_or_master(const struct op *op, const struct cache_instance *c)
{
	for (int i = 0; i < c->n_nodes; i++) {
		struct cache_figures f;
		if (i == c->master)
			continue;
		look_node(op, c, i, &f);
		if (f.state == CACHE_NODE_UP && f.is_linked)
			return i;
	}
	return c->master;
}

/* ---- the clients' address ---- */

/* Listen where the description says. Nothing is touched when it is so already: a change closes and opens sockets. */
static enum rc listen_right(struct wire *w, const struct cache_instance *c, int node, struct err *err)
{
	CLEANUP(reply_freep) redisReply *r = NULL;
	char wanted[2 * CACHE_HOST_SIZE];

	conf_bind(c, node, wanted, sizeof wanted);
	enum rc rc = wire_call(w, &r, err, "CONFIG", "GET", "bind");
	if (rc != RC_OK)
		return rc;
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || !reply_is_text(r->element[1]))
		return wire_odd(w, "CONFIG GET", err);
	if (strcmp(r->element[1]->str, wanted) == 0)
		return RC_OK;
	rc = wire_call(w, NULL, err, "CONFIG", "SET", "bind", wanted);
	act_done();
	return rc;
}

static enum rc give_up_address(const struct op *op, const struct cache_instance *c, int node, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	char clients[CACHE_HOST_SIZE + 12];
	enum rc rc = node_open(op, c, node, &w, err);
	int fd = rc == RC_OK ? -1 : node_pidfd(c, node);

	if (rc != RC_OK && fd < 0)
		return RC_OK; /* no process, no address */
	if (fd >= 0)
		(void)close(fd);
	if (rc == RC_OK)
		rc = listen_right(w, c, node, err);
	(void)snprintf(clients, sizeof clients, strchr(c->host, ':') ? "[%s]:%d" : "%s:%d", c->host, c->port);
	/* Those who came in there would go on talking to a replica. */
	return rc == RC_OK ? wire_call(w, NULL, err, "CLIENT", "KILL", "LADDR", clients) : rc;
}

enum rc address_move(const struct op *op, const struct cache_instance *c, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	enum rc rc = RC_OK;

	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (i != c->master)
			rc = give_up_address(op, c, i, err);
	}
	if (rc == RC_OK)
		rc = node_open(op, c, c->master, &w, err);
	return rc == RC_OK ? listen_right(w, c, c->master, err) : rc;
}

/* ---- promotion ---- */

enum rc replica_promote(const struct op *op, struct cache_instance *c, int node, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	enum rc rc = node_open(op, c, node, &w, err);

	if (rc == RC_OK)
		rc = wire_call(w, NULL, err, "REPLICAOF", "NO", "ONE");
	act_done();
	if (rc == RC_OK)
		c->master = node;
	return rc == RC_OK ? address_move(op, c, err) : rc;
}

/* ---- switchover ---- */

/* Wait for the end of FAILOVER as the old master sees it. */
static enum rc wait_hand_over(const struct op *op, struct wire *w, struct err *err)
{
	struct buf info;
	enum rc rc;

	buf_init(&info, INFO_SIZE_MAX);
	for (;;) {
		rc = info_read(w, &info, err, "replication");
		if (rc != RC_OK || info_is(&info, "master_failover_state", "no-failover"))
			break;
		rc = op_pause(op, LOOK_AGAIN_MS, err);
		if (rc != RC_OK)
			break;
	}
	if (rc == RC_OK && !info_is(&info, "role", "slave"))
		rc = err_set(err, RC_BUSY,
		             "the replica did not catch up while writes were held back; the master is as before");
	buf_fini(&info);
	return rc;
}

/* One that was begun by a process which died goes on inside Redis, holds writes back, and would refuse ours: end it.
 * Whether it had come through by then is seen by its end, and settled by who asked. */
static enum rc end_old_hand_over(const struct op *op, struct wire *w, struct err *err)
{
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = info_read(w, &info, err, "replication");
	bool is_going_on = rc == RC_OK && !info_is(&info, "master_failover_state", "no-failover");
	buf_fini(&info);
	if (!is_going_on)
		return rc;
	let_pass(wire_call(w, NULL, NULL, "FAILOVER", "ABORT")); /* it may have ended this very moment */
	for (;;) {
		buf_init(&info, INFO_SIZE_MAX);
		rc = info_read(w, &info, err, "replication");
		bool is_over = rc == RC_OK && info_is(&info, "master_failover_state", "no-failover");
		bool is_master = is_over && info_is(&info, "role", "master");
		buf_fini(&info);
		if (is_over && !is_master)
			return err_set(err, RC_BUSY, "an earlier switchover came through only now: look again");
		if (rc != RC_OK || is_over)
			return rc;
		rc = op_pause(op, LOOK_AGAIN_MS, err);
		if (rc != RC_OK)
			return rc;
	}
}

/* Afterwards the target is the master, or all is as before. */
static enum rc hand_over(const struct op *op, const struct cache_instance *c, int target, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct op part = op_within(op, HAND_OVER_LIMIT_MS);
	char port[12], limit[24];

	enum rc rc = replica_wait(&part, c, target, err);
	if (rc == RC_OK)
		rc = node_open(&part, c, c->master, &w, err);
	if (rc == RC_OK)
		rc = end_old_hand_over(&part, w, err);
	(void)snprintf(port, sizeof port, "%d", c->port);
	(void)snprintf(limit, sizeof limit, "%lld", (long long)op_left_ms(&part) / 2 + 1);
	if (rc == RC_OK)
		rc = wire_call(w, NULL, err, "FAILOVER", "TO", c->nodes[target].host, port, "TIMEOUT", limit);
	act_done();
	if (rc != RC_OK)
		return rc;
	rc = wait_hand_over(&part, w, err);
	if (rc == RC_TIMEOUT) { /* asked to stop, most likely: stop it, or take note that it is too late */
		CLEANUP(wire_closep) struct wire *again = NULL;
		struct op undo = op_undo(op);
		if (node_open(&undo, c, c->master, &again, NULL) == RC_OK) {
			let_pass(wire_call(again, NULL, NULL, "FAILOVER", "ABORT")); /* none is going on: as good */
			if (wait_hand_over(&undo, again, NULL) == RC_OK)
				rc = RC_OK;
		}
	}
	return rc;
}

static enum rc wait_master(const struct op *op, const struct cache_instance *c, int node, struct err *err)
{
	struct cache_figures f;
	for (;;) {
		look_node(op, c, node, &f);
		if (f.state == CACHE_NODE_UP && f.is_master)
			return RC_OK;
		enum rc rc = op_pause(op, LOOK_AGAIN_MS, err);
		if (rc != RC_OK)
			return rc;
	}
}

/* The hand-over is done and cannot be taken back: what follows is carried through, even when asked to stop. */
static enum rc settle_roles(const struct op *op, struct cache_instance *c, int target, struct err *err)
{
	struct op firm = op_undo(op);

	enum rc rc = wait_master(&firm, c, target, err);
	c->master = target;
	if (rc == RC_OK)
		rc = address_move(&firm, c, err);
	op_step(op, "turn replicas", 70);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (i != target)
			rc = replica_follow(&firm, c, i, err);
	}
	if (rc == RC_OK)
		rc = conf_write_all(c, err);
	op_step(op, "wait for replicas", 80);
	return rc == RC_OK ? replica_wait_all(&firm, c, err) : rc;
}

static enum rc choose_target(const struct op *op, const struct cache_instance *c, int number, int *out, struct err *err)
{
	struct cache_figures f;
	int target = -1;

	if (c->mode != CACHE_HA)
		return err_set(err, RC_CONFLICT, "a single instance has no replica to switch to");
	for (int i = 0; i < c->n_nodes && number >= 0; i++)
		target = c->nodes[i].number == number ? i : target;
	if (number < 0)
		target = replica_in_step(op, c);
	if (target < 0)
		return number < 0
		               ? err_set(err, RC_CONFLICT, "no replica that may be promoted is in step with the master")
		               : err_set(err, RC_NOT_FOUND, "there is no node %d", number);
	if (target == c->master)
		return err_set(err, RC_CONFLICT, "node %d is the master already", number);
	look_node(op, c, target, &f);
	if (f.state != CACHE_NODE_UP || !f.is_linked)
		return err_set(err, RC_CONFLICT, "node %d is not in step with the master", c->nodes[target].number);
	*out = target;
	return RC_OK;
}

enum rc cache_switch_over(struct cache_instance *c, int number, const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent, target = -1;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	if (rc == RC_OK && c->mode == CACHE_HA)
		rc = master_check(&op, c, err);
	if (rc == RC_OK)
		rc = choose_target(&op, c, number, &target, err);
	op_step(&op, "hand over", 10);
	if (rc == RC_OK)
		rc = hand_over(&op, c, target, err);
	if (rc == RC_OK)
		rc = settle_roles(&op, &work, target, err);
	if (rc == RC_OK)
		*c = work;
	return rc;
}
