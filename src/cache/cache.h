/*
 * cache: Redis instances made of real redis-server processes: create, heal, resize, switch over, restart, delete.
 *
 * An instance is one address for its clients and one or more nodes. A node is one redis-server with an address and a
 * folder of its own; all nodes use the same port. The master listens on its own address and on the clients' one, a
 * replica on its own only, so clients stay with one address whichever node serves them. The processes outlive whoever
 * started them. docs/cache.md says what lies where and what a failover protects.
 *
 * The description of an instance (struct cache_instance) is a plain value which the caller keeps. An operation changes
 * it on success only: store it then. When an operation was cut off (its process killed), call cache_heal with the old
 * description: it finds out what is true, and ends or undoes what was left half done.
 *
 * Not here: which operation may run when (one at a time per instance is the caller's rule), ids, backups as records,
 *           waiting between attempts to restart what keeps dying.
 * Owner:    values only; nothing to release.
 * Threads:  any, one operation per instance at a time; looking (cache_look, cache/analyse.h) beside anything.
 * Errors:   RC_NOT_FOUND   no redis-server program; no such node, folder or backup
 *           RC_INVALID     the description or an argument breaks a rule; the message names it
 *           RC_CONFLICT    the state forbids it: address taken, data larger than the new size, no replica to switch to,
 *                          the description is out of date (cache_heal brings it up to date)
 *           RC_BUSY        Redis is loading, saving or full of clients; the disk is full: later
 *           RC_TIMEOUT     the time given is over, or should_stop said so; what could be undone was
 *           RC_DENIED      Redis refuses our account: not a process of ours, or its configuration was altered
 *           RC_CORRUPT     a backup or an answer is damaged;  RC_IO  the system failed, or a process died at its start
 * Secrets:  users' passwords come as SHA-256 and are never kept in clear. The account of this module has a random
 *           secret in DIR/admin.key (0600) and in the nodes' configuration (0600), nowhere else.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "task/param.h"

enum {
	CACHE_NODES_MAX = 6,
	CACHE_SETTINGS_MAX = 32,
	CACHE_RENAMES_MAX = 9,
	CACHE_HOST_SIZE = 46,
	CACHE_RUN_ID_SIZE = 41,
	CACHE_HASH_SIZE = 65,          /* SHA-256 in lower-case hex, and NUL */
	CACHE_DATABASES = 256,
};

enum cache_mode { CACHE_SINGLE, CACHE_HA };    /* HA: a master and 1 .. CACHE_NODES_MAX - 1 replicas */

struct cache_node {
	int number;                          /* its folder is DIR/node-NUMBER; unique in the instance, 0 .. 9999 */
	char host[CACHE_HOST_SIZE];          /* its own address: IPv4 or IPv6, of this machine */
	int priority;                        /* 0 .. 100; the smallest is promoted first, 0 never */
	/* The process it was last seen in; written by the operations. run_id changes with every start of Redis. */
	char run_id[CACHE_RUN_ID_SIZE];
	int64_t pid, mark;                   /* mark: os/proc.h */
};

struct cache_setting {
	char name[48], value[64];
};

struct cache_rename {
	char command[17], name[65];          /* lower-case command of Redis; what it is called here */
};

struct cache_instance {
	enum cache_mode mode;
	char dir[PATH_MAX];                  /* absolute; belongs to this instance alone */
	char host[CACHE_HOST_SIZE];          /* where clients connect; of a single instance also its node's own host */
	int port;
	int64_t capacity;                    /* bytes: maxmemory of every node; 1 MiB or more */
	char password_hash[CACHE_HASH_SIZE]; /* cache_hash_password; "": clients need no password */
	struct cache_setting settings[CACHE_SETTINGS_MAX];   /* those that differ from cache_rules' defaults */
	int n_settings;
	struct cache_rename renames[CACHE_RENAMES_MAX];
	int n_renames;
	struct cache_node nodes[CACHE_NODES_MAX];
	int n_nodes, master;                 /* master: index in nodes */
};

/* How an operation is run. */
struct cache_run {
	const char *program;                 /* NULL: redis-server, looked up in PATH */
	int64_t timeout_ms;                  /* for the whole operation, > 0; undoing it has as much again */
	const char *order;                   /* what all attempts at one flush or restore have in common, and the
	                                      * healing between them; at most 255 bytes. NULL: never tried again */
	void *ctx;                           /* of the functions below, each of which may be NULL */
	/* A step begins or moves on; name is stable ("start node", "copy"), percent of the operation 0..99, rising. */
	void (*on_step)(void *ctx, const char *name, int percent);
	bool (*should_stop)(void *ctx);      /* polled several times a second; true: undo and RC_TIMEOUT */
};

/* ---- descriptions ---- */

/* Every rule on a description: addresses, numbers, paths, settings, names. Operations check it themselves. */
enum rc cache_check(const struct cache_instance *c, struct err *err) NODISCARD;
/* Is there a command by that name, in any case, in some Redis? Only names that could be new ones (4 letters at least)
 * are known. A command must not be renamed to it. */
bool cache_is_command(const char *name);
void cache_hash_password(const char *password, char out[CACHE_HASH_SIZE]);
/* What may be set, with the defaults of an instance. */
extern const struct param_rule cache_rules[];
extern const size_t n_cache_rules;
/* What the instance has for one of cache_rules: its own value or the default. NULL: no such setting. */
const char *cache_setting(const struct cache_instance *c, const char *name);

/* ---- life ---- */

/* Make the folder and start everything; done when the replicas are in step. The folder must be absent or empty.
 * On failure no process and no folder is left. */
enum rc cache_create(struct cache_instance *c, const struct cache_run *run, struct err *err) NODISCARD;

enum cache_patience { CACHE_WAIT_FOR_HUNG, CACHE_KILL_HUNG };
/*
 * Make the processes what the description says, whatever happened: adopt those that run (told by run_id, or by being
 * started from our configuration file), start those that do not, put back the data of an interrupted restore, promote
 * a replica that was in step when the master is dead, point replicas at the master, apply settings, let clients write
 * unless run->order is that of a flush or restore which was cut off. It does not wait
 * for replicas to catch up. For the start of the server, after an interrupted operation, and when a node died.
 * A node that has a process but does not answer in time: RC_BUSY, or it is killed and started again; at once if it
 * stands still, after half a minute if it is at work. */
enum rc cache_heal(struct cache_instance *c, enum cache_patience patience, const struct cache_run *run,
		   struct err *err) NODISCARD;
/*
 * Take note in the description of who is master now: for what only reads, and so runs beside operations that may
 * exchange the roles. Nothing is changed in the processes. Waits a while when nobody is, as for a moment
 * in a switchover.
 */
enum rc cache_find_master(struct cache_instance *c, const struct cache_run *run, struct err *err) NODISCARD;
/* Note which processes run now, after an operation failed that may have started new ones; a node that does not answer
 * keeps what was noted. Nothing else of the description changes. */
void cache_note_processes(struct cache_instance *c, const struct cache_run *run);
/* End all processes in good order, replicas first, and start them again. The data stays. */
enum rc cache_restart(struct cache_instance *c, const struct cache_run *run, struct err *err) NODISCARD;
/* End all processes and delete the folder with all data. An instance that is not there any more is fine. */
enum rc cache_delete(struct cache_instance *c, const struct cache_run *run, struct err *err) NODISCARD;

/* ---- changes; each is written to the configuration, so a restart keeps it, and undone on failure ---- */

/* RC_CONFLICT when more than capacity is used now. */
enum rc cache_resize(struct cache_instance *c, int64_t capacity, const struct cache_run *run,
		     struct err *err) NODISCARD;
/* Would cache_resize be possible now? The same errors; nothing changes. */
enum rc cache_check_resize(const struct cache_instance *c, int64_t capacity, const struct cache_run *run,
			   struct err *err) NODISCARD;
/* Works at once for new connections; open ones stay. password_hash "": no password. */
enum rc cache_set_password(struct cache_instance *c, const char *password_hash, const struct cache_run *run,
			   struct err *err) NODISCARD;
/* All connections drop; replicas come back by themselves. RC_CONFLICT when an address has the port taken. */
enum rc cache_set_port(struct cache_instance *c, int port, const struct cache_run *run, struct err *err) NODISCARD;
/* Change some settings, leave the others. A value equal to the default forgets the setting. */
enum rc cache_configure(struct cache_instance *c, const struct cache_setting *settings, int n,
			const struct cache_run *run, struct err *err) NODISCARD;
/* Replace all renames; restarts the instance. */
enum rc cache_rename(struct cache_instance *c, const struct cache_rename *renames, int n,
		     const struct cache_run *run, struct err *err) NODISCARD;
/* How soon a node is promoted (struct cache_node). RC_NOT_FOUND: no such node. */
enum rc cache_set_priority(struct cache_instance *c, int number, int priority, const struct cache_run *run,
			   struct err *err) NODISCARD;
/* Erase all keys of all databases. For the moment it takes clients can read, but not write (NOPERM). */
enum rc cache_flush(struct cache_instance *c, const struct cache_run *run, struct err *err) NODISCARD;
/* Was the flush or restore of that order carried out? Ask before trying again: clients write since, and a repetition
 * would take that away. Before it was, they cannot write, also between attempts, as long as these name the order. */
bool cache_has_erased(const struct cache_instance *c, const char *order);
/* Does a flush or restore keep clients from writing? When none is under way any more: heal. */
bool cache_is_closed(const struct cache_instance *c);
/* One replica more, with its own host; done when it is in step. */
enum rc cache_add_replica(struct cache_instance *c, const char *host, const struct cache_run *run,
			  struct err *err) NODISCARD;
/* RC_CONFLICT for the master and for the last replica. */
enum rc cache_remove_replica(struct cache_instance *c, int number, const struct cache_run *run,
			     struct err *err) NODISCARD;
/*
 * Make a replica the master. number: which node; -1: the best. No write that was acknowledged is lost: the master
 * refuses nothing but holds writes back until the replica has them all, and only then hands over. Held writes end
 * with READONLY and the connections to the clients' address are closed, so clients connect to the new master.
 */
enum rc cache_switch_over(struct cache_instance *c, int number, const struct cache_run *run, struct err *err) NODISCARD;

/* ---- backups ---- */

struct cache_backup {
	char file[PATH_MAX];
	char sha256[CACHE_HASH_SIZE];
	int64_t size, keys, saved_at_s;      /* keys: of all databases, about the time of the save */
	int node;                            /* number of the node that saved */
};

/* Save (on a replica that is in step, else on the master) and copy the save to file, which must not exist; its folder
 * is made. The file is one moment's state of all databases, readable by any Redis of this version or newer. */
enum rc cache_backup(struct cache_instance *c, const char *file, struct cache_backup *out,
		     const struct cache_run *run, struct err *err) NODISCARD;
/* Replace all data by a backup's. sha256: what the file must have, "" unknown. On failure the old data is back in
 * service and the message tells why; a damaged file is RC_CORRUPT. */
enum rc cache_restore(struct cache_instance *c, const char *file, const char *sha256, const struct cache_run *run,
		      struct err *err) NODISCARD;

/* ---- looking ---- */

enum cache_node_state {
	CACHE_NODE_DOWN,       /* no process */
	CACHE_NODE_LOADING,    /* reads its data */
	CACHE_NODE_UP,         /* answers */
	CACHE_NODE_CROWDED,    /* works, but has no connection left for us */
	CACHE_NODE_HUNG,       /* a process that does not answer in time */
	CACHE_NODE_FOREIGN,    /* something else answers at its address */
};

/* Of one node; all but the state and is_full is 0 unless it is UP. */
struct cache_figures {
	enum cache_node_state state;
	bool is_master, is_linked;               /* is_linked: a replica in step with its master */
	bool is_full;                            /* its clients, whom it serves, have all connections, or all but one */
	char version[24], run_id[CACHE_RUN_ID_SIZE];
	int64_t uptime_s;
	int64_t used_memory, max_memory;         /* bytes */
	int64_t keys;                            /* of all databases */
	int64_t ops_per_s, get_calls, set_calls;
	double input_kbps, output_kbps, cpu_s;
	int64_t replication_offset;
	bool is_aof_on;
	bool is_aof_ok;        /* the last write and the last rewrite went well; without, a crash may lose data */
};

struct cache_view {
	struct cache_figures nodes[CACHE_NODES_MAX];   /* in the order of the description */
	bool is_serving;       /* the recorded master is up, is a master, and answers us at the clients' address */
};

/* Put aside the log of each node that has grown beyond 64 MiB, in the place of the part put aside
 * before. Beside anything. */
void cache_bound_logs(const struct cache_instance *c);
/* Never fails: what cannot be asked is in the states. Takes at most timeout_ms for each node. */
void cache_look(const struct cache_instance *c, int64_t timeout_ms, struct cache_view *out);

#endif
