/* The operations on whole instances: life, and changes that reach running nodes and their files. */
#include <stdio.h>
#include <string.h>
#include "base/must.h"
#include "cache/cache_priv.h"
#include "os/file.h"

enum { INFO_SIZE_MAX = 1 << 20, PRIORITY_DEFAULT = 100 };

/* ---- life ---- */

static enum rc refuse_entry(void *ctx, const char *name, struct err *err)
{
	return err_set(err, RC_CONFLICT, "the folder '%.300s' is not empty: it has '%.60s'", (const char *)ctx, name);
}

static enum rc erase(struct cache_instance *c, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++)
		rc = node_kill(c, i, err);
	return rc == RC_OK ? dir_remove(c->dir, err) : rc;
}

static enum rc build(const struct op *op, struct cache_instance *c, struct err *err)
{
	op_step(op, "prepare", 5);
	enum rc rc = dir_make(c->dir, 0700, err);
	if (rc == RC_OK)
		rc = secret_make(c, err);
	act_done();
	op_step(op, "start nodes", 10);
	if (rc == RC_OK)
		rc = start_all(op, c, err);
	op_step(op, "wait for replicas", 60);
	return rc == RC_OK ? replica_wait_all(op, c, err) : rc;
}

enum rc cache_create(struct cache_instance *c, const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	if (rc == RC_OK)
		rc = dir_each(c->dir, refuse_entry, work.dir, err);
	if (rc != RC_OK)
		return rc;
	rc = build(&op, &work, err);
	if (rc == RC_OK)
		*c = work;
	else if (erase(&work, NULL) != RC_OK)
		rc = err_wrap(err, RC_IO, "(and '%.200s' could not be removed)", c->dir);
	return rc;
}

static enum rc restart(const struct op *op, struct cache_instance *c, struct err *err)
{
	op_step(op, "stop", 10);
	enum rc rc = stop_all(op, c, err);
	op_step(op, "start nodes", 40);
	if (rc == RC_OK)
		rc = start_all(op, c, err);
	op_step(op, "wait for replicas", 70);
	return rc == RC_OK ? replica_wait_all(op, c, err) : rc;
}

enum rc cache_restart(struct cache_instance *c, const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	if (rc == RC_OK)
		rc = restart(&op, &work, err);
	if (rc == RC_OK)
		*c = work;
	return rc;
}

enum rc cache_delete(struct cache_instance *c, const struct cache_run *run, struct err *err)
{
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	op_step(&op, "delete", 10);
	return rc == RC_OK ? erase(c, err) : rc;
}

/* ---- changes ---- */

typedef enum rc apply_fn(const struct op *op, const struct cache_instance *c, struct err *err);

/* Running nodes first: what they refuse is not written. All or nothing. */
static enum rc change(const struct op *op, struct cache_instance *c, const struct cache_instance *to, apply_fn *apply,
                      struct err *err)
{
	enum rc rc = master_check(op, c, err);
	if (rc != RC_OK)
		return rc;
	op_step(op, "apply", 20);
	rc = apply(op, to, err);
	op_step(op, "write configuration", 80);
	if (rc == RC_OK)
		rc = conf_write_all(to, err);
	if (rc == RC_OK) {
		*c = *to;
		return RC_OK;
	}
	struct op undo = op_undo(op);
	struct err second = { .rc = RC_OK };
	/* A node that was the reason of the failure may fail again: cache_heal sets it right when it is back. */
	enum rc back = apply(&undo, c, &second);
	enum rc files = conf_write_all(c, &second);
	if (back != RC_OK || files != RC_OK) /* no refusal any more, but half a change: to be healed */
		return err_wrap(err, RC_IO, "(not wholly undone: %.120s)", second.msg);
	return rc;
}

static enum rc check_use(const struct op *op, const struct cache_instance *c, int64_t capacity, struct err *err)
{
	struct buf info;
	enum rc rc = RC_OK;

	buf_init(&info, INFO_SIZE_MAX);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		rc = node_open(op, c, i, &w, err);
		if (rc == RC_OK)
			rc = info_read(w, &info, err, "memory");
		/* Buffers of replicas and the log are not what maxmemory counts. */
		int64_t used = info_int(&info, "used_memory", 0) - info_int(&info, "mem_not_counted_for_evict", 0);
		if (rc == RC_OK && used > capacity)
			rc = err_set(err, RC_CONFLICT, "%lld MiB are used now, more than the new capacity of %lld MiB",
			             (long long)(used >> 20), (long long)(capacity >> 20));
	}
	buf_fini(&info);
	return rc;
}

enum rc cache_resize(struct cache_instance *c, int64_t capacity, const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	work.capacity = capacity;
	enum rc rc = cache_check(&work, err);
	op_step(&op, "check use", 5);
	if (rc == RC_OK)
		rc = check_use(&op, c, capacity, err);
	return rc == RC_OK ? change(&op, c, &work, conf_apply_all, err) : rc;
}

enum rc cache_check_resize(const struct cache_instance *c, int64_t capacity, const struct cache_run *run,
                           struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	work.capacity = capacity;
	enum rc rc = cache_check(&work, err);
	op_step(&op, "check roles", 5);
	if (rc == RC_OK)
		rc = master_check(&op, c, err);
	op_step(&op, "check use", 50);
	return rc == RC_OK ? check_use(&op, c, capacity, err) : rc;
}

enum rc cache_set_password(struct cache_instance *c, const char *password_hash, const struct cache_run *run,
                           struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	if (*password_hash && !hash_is_valid(password_hash))
		return err_set(err, RC_INVALID, "the password's hash is not SHA-256 in lower-case hex");
	(void)snprintf(work.password_hash, sizeof work.password_hash, "%s", password_hash);
	enum rc rc = cache_check(&work, err);
	return rc == RC_OK ? change(&op, c, &work, conf_apply_accounts, err) : rc;
}

/* ---- port ---- */

/* Bring one node to to->port from wherever it is: the two descriptions differ in the port only. */
static enum rc move_port(const struct op *op, const struct cache_instance *from, const struct cache_instance *to,
                         int node, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	char port[12];

	(void)snprintf(port, sizeof port, "%d", to->port);
	enum rc rc = node_open(op, from, node, &w, err);
	if (rc == RC_OK)
		rc = wire_call(w, NULL, err, "CONFIG", "SET", "port", port);
	act_done();
	if (rc == RC_OK)
		rc = conf_apply(w, to, node, err);
	if (rc == RC_OK)
		rc = wire_call(w, NULL, err, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
	if (rc == RC_OK)
		rc = wire_call(w, NULL, err, "CLIENT", "KILL", "TYPE", "pubsub");
	return rc;
}

static enum rc move_ports(const struct op *op, const struct cache_instance *from, const struct cache_instance *to,
                          struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < to->n_nodes && rc == RC_OK; i++)
		rc = move_port(op, from, to, i, err);
	for (int i = 0; i < to->n_nodes && rc == RC_OK; i++) {
		if (i != to->master)
			rc = replica_follow(op, to, i, err);
	}
	return rc == RC_OK ? conf_write_all(to, err) : rc;
}

static void move_ports_back(const struct op *op, const struct cache_instance *c, const struct cache_instance *to)
{
	struct op undo = op_undo(op);
	/* Each node by itself, and failures are left to cache_heal: one that never moved is not found at the new port.
	 */
	for (int i = 0; i < c->n_nodes; i++)
		let_pass(move_port(&undo, to, c, i, NULL));
	for (int i = 0; i < c->n_nodes; i++) {
		if (i != c->master)
			let_pass(replica_follow(&undo, c, i, NULL));
	}
	let_pass(conf_write_all(c, NULL));
}

static enum rc check_ports(const struct cache_instance *to, struct err *err)
{
	enum rc rc = address_check(to->host, to->port, err);
	for (int i = 0; i < to->n_nodes && rc == RC_OK; i++)
		rc = address_check(to->nodes[i].host, to->port, err);
	return rc;
}

enum rc cache_set_port(struct cache_instance *c, int port, const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	work.port = port;
	enum rc rc = cache_check(&work, err);
	if (rc != RC_OK || port == c->port)
		return rc;
	op_step(&op, "check addresses", 5);
	rc = master_check(&op, c, err);
	if (rc == RC_OK)
		rc = check_ports(&work, err);
	if (rc != RC_OK)
		return rc;
	op_step(&op, "move nodes", 20);
	rc = move_ports(&op, c, &work, err);
	op_step(&op, "wait for replicas", 70);
	if (rc == RC_OK)
		rc = replica_wait_all(&op, &work, err);
	if (rc == RC_OK)
		*c = work;
	else
		move_ports_back(&op, c, &work);
	return rc;
}

/* ---- settings ---- */

static enum rc save_for_good(const struct op *op, const struct cache_instance *c, int node, struct err *err)
{
	char dir[PATH_MAX];
	enum rc rc = save_now(op, c, node, NULL, err);
	if (rc == RC_OK)
		rc = node_file(c, node, AOF_DIR, dir, err);
	/* Left there it would be read again, old as it is, if the file is ever switched on by a start. */
	return rc == RC_OK ? dir_remove(dir, err) : rc;
}

/* What switching the append-only file on or off needs besides: data on disk in the form that a start will read. */
static enum rc secure_data(const struct op *op, const struct cache_instance *c, bool is_on, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		rc = is_on ? node_open(op, c, i, &w, err) : save_for_good(op, c, i, err);
		if (rc == RC_OK && is_on)
			rc = aof_wait(op, w, err);
	}
	return rc;
}

static bool names_setting(const struct cache_setting *settings, int n, const char *name)
{
	bool found = false;
	for (int i = 0; i < n; i++)
		found = found || strcmp(settings[i].name, name) == 0;
	return found;
}

/* Whoever asks for a number of clients is told when the machine lets Redis have fewer; no node is left
 * with another one. */
static enum rc try_clients(const struct op *op, const struct cache_instance *from, const struct cache_instance *to,
                           struct err *err)
{
	enum rc rc = master_check(op, from, err);
	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < to->n_nodes && rc == RC_OK; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		rc = node_open(op, to, i, &w, err);
		if (rc == RC_OK)
			rc = conf_apply_clients(w, to, /* is_firm= */ true, err);
	}
	struct op undo = op_undo(op);
	if (rc != RC_OK)
		let_pass(conf_apply_all(&undo, from, NULL)); /* what it cannot reach is for cache_heal */
	return rc;
}

enum rc cache_configure(struct cache_instance *c, const struct cache_setting *settings, int n,
                        const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	for (int i = 0; i < n && rc == RC_OK; i++)
		rc = conf_set(&work, &settings[i], err);
	if (rc != RC_OK)
		return rc;
	bool was_on = strcmp(cache_setting(c, "appendonly"), "yes") == 0;
	bool is_on = strcmp(cache_setting(&work, "appendonly"), "yes") == 0;
	struct cache_instance old = *c;
	if (names_setting(settings, n, "maxclients"))
		rc = try_clients(&op, c, &work, err);
	if (rc == RC_OK)
		rc = change(&op, c, &work, conf_apply_all, err);
	op_step(&op, "secure data", 90);
	if (rc != RC_OK || was_on == is_on)
		return rc;
	rc = secure_data(&op, c, is_on, err);
	if (rc != RC_OK) {
		struct op undo = op_undo(&op);
		*c = old;
		if (conf_apply_all(&undo, &old, NULL) != RC_OK || conf_write_all(&old, NULL) != RC_OK ||
		    secure_data(&undo, &old, was_on, NULL) != RC_OK)
			rc = err_wrap(err, RC_IO, "(not wholly undone)");
	}
	return rc;
}

enum rc cache_set_priority(struct cache_instance *c, int number, int priority, const struct cache_run *run,
                           struct err *err)
{
	struct cache_instance work = *c;
	int percent, at = -1;
	struct op op = op_start(run, &percent);

	for (int i = 0; i < c->n_nodes; i++)
		at = c->nodes[i].number == number ? i : at;
	if (at < 0)
		return err_set(err, RC_NOT_FOUND, "there is no node %d", number);
	work.nodes[at].priority = priority;
	enum rc rc = cache_check(&work, err);
	return rc == RC_OK ? change(&op, c, &work, conf_apply_all, err) : rc;
}

/* ---- renamed commands ---- */

/*
 * The append-only file names commands as clients called them. So it is rewritten, while writes are held back, to hold
 * data only: no name in it can be unknown to the processes that read it under the new names.
 */
static enum rc forget_names(const struct op *op, const struct cache_instance *c, struct err *err)
{
	CLEANUP(wire_closep) struct wire *master = NULL;
	char hold[24];

	(void)snprintf(hold, sizeof hold, "%lld", (long long)op_left_ms(op) + 1);
	enum rc rc = node_open(op, c, c->master, &master, err);
	if (rc == RC_OK)
		rc = wire_call(master, NULL, err, "CLIENT", "PAUSE", hold, "WRITE");
	act_done();
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		rc = node_open(op, c, i, &w, err);
		if (rc == RC_OK)
			rc = aof_rewrite(op, w, err);
	}
	if (rc != RC_OK && master)
		let_pass(wire_call(master, NULL, NULL, "CLIENT", "UNPAUSE")); /* it ends by itself as well */
	return rc;
}

enum rc names_mend(const struct op *op, struct cache_instance *c, struct err *err)
{
	bool has_names = true;
	enum rc rc = RC_OK;

	for (int i = 0; i < c->n_nodes && rc == RC_OK && has_names; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		rc = node_open(op, c, i, &w, err);
		if (rc == RC_OK)
			rc = conf_has_names(w, c, &has_names, err);
	}
	if (rc != RC_OK || has_names)
		return rc;
	op_step(op, "restore command names", 60);
	rc = forget_names(op, c, err);
	if (rc == RC_OK)
		rc = stop_all(op, c, err);
	return rc == RC_OK ? start_all(op, c, err) : rc;
}

enum rc cache_rename(struct cache_instance *c, const struct cache_rename *renames, int n, const struct cache_run *run,
                     struct err *err)
{
	struct cache_instance work = *c;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = conf_check_renames(renames, n, err);
	if (rc == RC_OK)
		rc = cache_check(c, err);
	op_step(&op, "rewrite append-only files", 5);
	if (rc == RC_OK)
		rc = master_check(&op, c, err);
	if (rc == RC_OK)
		rc = forget_names(&op, c, err);
	if (rc != RC_OK)
		return rc;
	work.n_renames = n;
	if (n)
		memcpy(work.renames, renames, (size_t)n * sizeof *renames);
	rc = restart(&op, &work, err);
	if (rc == RC_OK) {
		*c = work;
		return rc;
	}
	struct op undo = op_undo(&op);
	work = *c;
	if (restart(&undo, &work, NULL) == RC_OK)
		*c = work; /* the old names, in new processes */
	return rc;
}

/* ---- flush ---- */

/* Whether Redis did it is not known after these. */
static bool is_in_doubt(enum rc rc) { return rc == RC_IO || rc == RC_TIMEOUT; }

/* Redis has refused: nothing is erased, and clients may write again. */
static enum rc refused(const struct op *op, const struct cache_instance *c, struct wire *w, enum rc rc, struct err *err)
{
	struct err second = { .rc = RC_OK };
	enum rc back = seal_break(c, &second);

	if (back == RC_OK)
		back = seal_tell(op, c, w, &second);
	return back == RC_OK ? rc : err_wrap(err, RC_IO, "(and clients cannot write: %.120s)", second.msg);
}

/* In doubt, the seal stays: another attempt at this order erases again, and any other healing breaks it. */
static enum rc erase_sealed(const struct op *op, const struct cache_instance *c, struct wire *w, struct err *err)
{
	char copies[12];

	(void)snprintf(copies, sizeof copies, "%d", c->n_nodes - 1);
	enum rc rc = conf_apply_account(w, c, err);
	if (rc == RC_OK)
		rc = wire_call(w, NULL, err, conf_command(c, "flushall"), "ASYNC");
	act_done();
	if (rc != RC_OK)
		return is_in_doubt(rc) ? rc : refused(op, c, w, rc, err);
	/* A replica that is away erases when it is back; nothing to fail for. */
	rc = wire_call(w, NULL, err, "WAIT", copies, "2000");
	return rc == RC_OK ? seal_end(op, c, w, err) : rc;
}

enum rc cache_flush(struct cache_instance *c, const struct cache_run *run, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	int percent;
	struct op op = op_start(run, &percent), firm = op_undo(&op); /* short, and not to be left half done */

	enum rc rc = cache_check(c, err);
	if (rc == RC_OK)
		rc = master_check(&op, c, err);
	if (rc == RC_OK)
		rc = node_open(&firm, c, c->master, &w, err);
	op_step(&op, "erase", 10);
	if (rc == RC_OK)
		rc = seal_set(&op, c, err);
	if (rc == RC_OK)
		rc = erase_sealed(&firm, c, w, err);
	op_step(&op, "rewrite append-only file", 50);
	if (rc == RC_OK)
		let_pass(aof_rewrite(&op, w, NULL)); /* the file says already that the keys are gone: shorten it */
	return rc;
}

/* ---- replicas ---- */

static bool has_number(const struct cache_instance *c, int number)
{
	for (int i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i].number == number)
			return true;
	}
	return false;
}

/* Above all others; once those have been used up, the lowest that is free. */
static int next_number(const struct cache_instance *c)
{
	int number = 0;

	for (int i = 0; i < c->n_nodes; i++)
		number = c->nodes[i].number >= number ? c->nodes[i].number + 1 : number;
	if (number <= NUMBER_MAX)
		return number;
	for (number = 1; has_number(c, number); number++)
		continue;
	return number;
}

enum rc cache_add_replica(struct cache_instance *c, const char *host, const struct cache_run *run, struct err *err)
{
	struct cache_instance work = *c;
	int percent, at = c->n_nodes;
	struct op op = op_start(run, &percent);

	if (c->mode != CACHE_HA)
		return err_set(err, RC_CONFLICT, "a single instance has no replicas");
	if (at >= CACHE_NODES_MAX)
		return err_set(err, RC_CONFLICT, "an instance has at most %d nodes", CACHE_NODES_MAX);
	work.nodes[at] = (struct cache_node){ .number = next_number(c), .priority = PRIORITY_DEFAULT };
	int len = snprintf(work.nodes[at].host, CACHE_HOST_SIZE, "%s", host);
	if (len < 0 || len >= CACHE_HOST_SIZE)
		return err_set(err, RC_INVALID, "node: '%.45s' is no IP address", host);
	work.n_nodes++;
	enum rc rc = cache_check(&work, err);
	if (rc == RC_OK)
		rc = master_check(&op, c, err);
	if (rc != RC_OK)
		return rc;
	op_step(&op, "start node", 10);
	rc = node_start(&op, &work, at, err);
	op_step(&op, "wait for replica", 40);
	if (rc == RC_OK)
		rc = replica_wait(&op, &work, at, err);
	if (rc == RC_OK)
		*c = work;
	else if (node_drop(&work, at, NULL) != RC_OK)
		rc = err_wrap(err, RC_IO, "(and the new node could not be removed)");
	return rc;
}

enum rc cache_remove_replica(struct cache_instance *c, int number, const struct cache_run *run, struct err *err)
{
	int percent, at = -1;
	struct op op = op_start(run, &percent);

	for (int i = 0; i < c->n_nodes; i++)
		at = c->nodes[i].number == number ? i : at;
	if (at < 0)
		return err_set(err, RC_NOT_FOUND, "there is no node %d", number);
	if (at == c->master)
		return err_set(err, RC_CONFLICT, "node %d is the master", number);
	if (c->n_nodes <= 2)
		return err_set(err, RC_CONFLICT, "node %d is the last replica", number);
	enum rc rc = master_check(&op, c, err);
	op_step(&op, "remove node", 10);
	if (rc == RC_OK)
		rc = node_drop(c, at, err);
	if (rc != RC_OK)
		return rc;
	memmove(&c->nodes[at], &c->nodes[at + 1], (size_t)(c->n_nodes - at - 1) * sizeof c->nodes[0]);
	c->n_nodes--;
	c->master -= c->master > at;
	return RC_OK;
}
