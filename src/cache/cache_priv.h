/*
 * What the files of cache/ share. Below, c is the working copy of a description: operations change it freely and
 * hand it to the caller on success (docs of cache.h).
 */
#ifndef CACHE_CACHE_PRIV_H
#define CACHE_CACHE_PRIV_H

#include "base/buf.h"
#include "base/crash.h"
#include "cache/cache.h"
#include "cache/wire.h"

#define ADMIN_USER "stint"
#define ASIDE_DIR "before-restore"
#define DUMP_FILE "dump.rdb"
#define AOF_DIR "appendonlydir"

enum {
	SECRET_DIGITS = 64,
	STOP_GRACE_MS = 15000,
	KILL_LIMIT_MS = 10000,
	LOOK_AGAIN_MS = 20,
	NUMBER_MAX = 9999, /* of a node */
};

/* After each act that leaves something behind (a file, a process, a setting of a running node): here tests cut an
 * operation off, one act after another. */
static inline void act_done(void) { crash_point("cache.act"); }

/* For a failure that changes nothing; why stands beside the call. */
static inline void let_pass(enum rc rc) { (void)rc; }

/* ---- check.c ---- */
/* Our account's secret in DIR/admin.key. */
enum rc secret_make(const struct cache_instance *c, struct err *err) NODISCARD;
enum rc secret_read(const struct cache_instance *c, char out[SECRET_DIGITS + 1], struct err *err) NODISCARD;
bool hash_is_valid(const char *hash);

/* ---- config.c ---- */
const struct param_rule *conf_rule(const char *name);
/* Put name=value among c's settings, or drop it when it is the default. RC_INVALID: the rule is broken. */
enum rc conf_set(struct cache_instance *c, const struct cache_setting *s, struct err *err) NODISCARD;
/* The command of Redis under the name it has in this instance. */
const char *conf_command(const struct cache_instance *c, const char *command);
/* The command of Redis that is called so in this instance. */
const char *conf_command_of(const struct cache_instance *c, const char *name);
/* May no client call it? Then a call of it was ours. */
bool conf_is_denied(const char *command);
enum rc conf_check_renames(const struct cache_rename *renames, int n, struct err *err) NODISCARD;
/* Has the running node the description's names for commands? They only change with a start. */
enum rc conf_has_names(struct wire *w, const struct cache_instance *c, bool *out, struct err *err) NODISCARD;
/* Write DIR/node-N/redis.conf. is_rdb_boot: load dump.rdb, not the append-only file. */
enum rc conf_write(const struct cache_instance *c, int node, bool is_rdb_boot, struct err *err) NODISCARD;
enum rc conf_write_all(const struct cache_instance *c, struct err *err) NODISCARD;
/* Addresses a node listens on, as "bind" has them. */
void conf_bind(const struct cache_instance *c, int node, char *out, size_t size);
/* CONFIG SET of maxclients alone. A machine whose limit of open files is too low for so many lets Redis start with
 * fewer, and refuses the number later: that is passed over unless is_firm. */
enum rc conf_apply_clients(struct wire *w, const struct cache_instance *c, bool is_firm, struct err *err) NODISCARD;
/* That, and CONFIG SET of all else that a description says about a running node, in one command; on failure nothing of
 * it is changed. */
enum rc conf_apply(struct wire *w, const struct cache_instance *c, int node, struct err *err) NODISCARD;
enum rc conf_apply_all(const struct op *op, const struct cache_instance *c, struct err *err) NODISCARD;
/* Tell a running node, or all, what clients may do and with which password; while there is a seal, not write. */
enum rc conf_apply_account(struct wire *w, const struct cache_instance *c, struct err *err) NODISCARD;
enum rc conf_apply_accounts(const struct op *op, const struct cache_instance *c, struct err *err) NODISCARD;

/* ---- instance.c ---- */
/* Restart the instance if a node has other names for commands than the description. All nodes run. */
enum rc names_mend(const struct op *op, struct cache_instance *c, struct err *err) NODISCARD;

/* ---- process.c ---- */
enum rc node_dir(const struct cache_instance *c, int node, char out[PATH_MAX], struct err *err) NODISCARD;
enum rc node_file(const struct cache_instance *c, int node, const char *name, char out[PATH_MAX],
		  struct err *err) NODISCARD;
/* A descriptor of the node's process; -1: it has none. Cannot be another process, even when numbers are used again. */
int node_pidfd(const struct cache_instance *c, int node);
/* Processor time that it has used; -1: it has no process, or the kernel does not say. */
int64_t node_cpu_ms(const struct cache_instance *c, int node);
/* Start it with the data that lies there, wait until it answers with all loaded, and note its identity in c. It has
 * no process now. */
enum rc node_boot(const struct op *op, struct cache_instance *c, int node, struct err *err) NODISCARD;
/* The same after undoing an unfinished restore: what everything but a restore itself uses. */
enum rc node_start(const struct op *op, struct cache_instance *c, int node, struct err *err) NODISCARD;
/* End it: in good order within STOP_GRACE_MS, else by force. No process is fine. Whatever else of Redis works in the
 * node's folder ends too: a server that was started and never seen, a child that saves for a dead one. */
enum rc node_stop(const struct op *op, struct cache_instance *c, int node, struct err *err) NODISCARD;
enum rc node_kill(struct cache_instance *c, int node, struct err *err) NODISCARD;
/* Connect to the node with our account. */
enum rc node_open(const struct op *op, const struct cache_instance *c, int node, struct wire **out,
		  struct err *err) NODISCARD;
/* RC_CONFLICT unless what answers is this node; on success the identity is noted in n. */
enum rc node_identify(struct wire *w, const struct cache_instance *c, int node, struct cache_node *n,
		      struct err *err) NODISCARD;
/* End it and remove its folder. */
enum rc node_drop(struct cache_instance *c, int node, struct err *err) NODISCARD;
enum rc node_wait_ready(const struct op *op, const struct cache_instance *c, int node, int death_fd,
			struct wire **out, struct err *err) NODISCARD;
/* RC_CONFLICT: taken. RC_INVALID: no address of this machine. */
enum rc address_check(const char *host, int port, struct err *err) NODISCARD;
enum rc stop_all(const struct op *op, struct cache_instance *c, struct err *err) NODISCARD;   /* replicas first */
enum rc start_all(const struct op *op, struct cache_instance *c, struct err *err) NODISCARD;  /* master first */
enum rc aof_wait(const struct op *op, struct wire *w, struct err *err) NODISCARD;
/* Rewrite the append-only file (when there is one) and wait for it. */
enum rc aof_rewrite(const struct op *op, struct wire *w, struct err *err) NODISCARD;
/* The same, only when the last rewrite failed. */
enum rc aof_rewrite_failed(const struct op *op, struct wire *w, struct err *err) NODISCARD;
/* Before a node is stopped: whatever it holds is in a file that a start can read. stop_all asks this of the master. */
enum rc aof_secure(const struct op *op, const struct cache_instance *c, int node, struct err *err) NODISCARD;

/* ---- backup.c ---- */
/* BGSAVE on the node, and wait for it. saved_at_s may be NULL. */
enum rc save_now(const struct op *op, const struct cache_instance *c, int node, int64_t *saved_at_s,
		 struct err *err) NODISCARD;

/* ---- look.c ---- */
void look_node(const struct op *op, const struct cache_instance *c, int node, struct cache_figures *out);

/* ---- replica.c ---- */
enum rc replica_follow(const struct op *op, const struct cache_instance *c, int node, struct err *err) NODISCARD;
enum rc replica_wait(const struct op *op, const struct cache_instance *c, int node, struct err *err) NODISCARD;
enum rc replica_wait_all(const struct op *op, const struct cache_instance *c, struct err *err) NODISCARD;
/* Wait until a replica has all that the master has now; one that becomes the master meanwhile has it. */
enum rc replica_catch_up(const struct op *op, const struct cache_instance *c, int node, struct err *err) NODISCARD;
/* RC_CONFLICT when the recorded master is none: the description is out of date, and acting on it would do harm. */
enum rc master_check(const struct op *op, const struct cache_instance *c, struct err *err) NODISCARD;
/* As cache_find_master. */
enum rc master_find(const struct op *op, struct cache_instance *c, struct err *err) NODISCARD;
/* Is node a better choice for a master than other (-1: none yet), as far as their owner said? */
bool replica_is_preferred(const struct cache_instance *c, int node, int other);
/* A replica that is in step with the master, the best by priority; -1: none. */
int replica_in_step(const struct op *op, const struct cache_instance *c);
/* The node to ask without burdening the master: a replica in step, else the master. */
int replica_or_master(const struct op *op, const struct cache_instance *c);
/* Give the clients' address to c->master and take it from every other running node. */
enum rc address_move(const struct op *op, const struct cache_instance *c, struct err *err) NODISCARD;
/* Make node the master though the old one, which must have no process, cannot be asked. */
enum rc replica_promote(const struct op *op, struct cache_instance *c, int node, struct err *err) NODISCARD;

/* ---- restore.c ---- */
/* Remove what a restore that was cut off left beside the data: its copy of the backup; old data after it was done. */
enum rc restore_tidy(const struct cache_instance *c, int node, struct err *err) NODISCARD;
bool restore_is_open(const struct cache_instance *c, int node);
/* Put back what an unfinished restore laid aside. The node has no process. */
enum rc restore_undo(const struct cache_instance *c, int node, struct err *err) NODISCARD;

/* ---- seal.c ---- */
bool seal_is_there(const struct cache_instance *c);
/* On disk only: nodes that run are told by conf_apply_account. */
enum rc seal_set(const struct op *op, const struct cache_instance *c, struct err *err) NODISCARD;
enum rc seal_break(const struct cache_instance *c, struct err *err) NODISCARD;
/* Keep the seal of op's own order, an earlier attempt's; break any other. */
enum rc seal_settle(const struct op *op, const struct cache_instance *c, struct err *err) NODISCARD;
/* Let the nodes that run, and their files, know whether there is a seal. master: a connection to it that is open, since
 * clients may have taken all others; or NULL. */
enum rc seal_tell(const struct op *op, const struct cache_instance *c, struct wire *master, struct err *err) NODISCARD;
/* All is replaced: note that op's order was carried out, then let clients write. */
enum rc seal_end(const struct op *op, const struct cache_instance *c, struct wire *master, struct err *err) NODISCARD;
/* All nodes were told what they may; unless there is a seal this is the end of it. */
void seal_opened(const struct cache_instance *c);

/* ---- copy.c ---- */
/* Copy and hash; out is new, complete and durable, or not there. */
enum rc copy_file(const struct op *op, const char *from, const char *to, char sha256[CACHE_HASH_SIZE], int64_t *size,
		  struct err *err) NODISCARD;

#endif
