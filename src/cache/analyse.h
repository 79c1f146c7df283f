/*
 * analyse: questions to a running instance: big keys, hot keys, expired keys, slow commands, connected clients.
 *
 * Scans walk the keys with SCAN in small batches, a pause after each, so clients hardly notice; a key that is there
 * during the whole scan is seen, one that comes or goes meanwhile may be. Renamed commands are honoured.
 *
 * Owner:    results are values or live in the arena given.
 * Errors:   as cache/cache.h; RC_LIMIT when a result outgrows the arena.
 */
#ifndef CACHE_ANALYSE_H
#define CACHE_ANALYSE_H

#include "base/arena.h"
#include "cache/cache.h"

enum cache_type { CACHE_STRING, CACHE_LIST, CACHE_SET, CACHE_ZSET, CACHE_HASH, CACHE_STREAM, CACHE_TYPES };
const char *cache_type_word(enum cache_type t);    /* "string" ... */

struct cache_scan {
	int batch;             /* keys asked for at once, 10 .. 1000 */
	int pause_ms;          /* after each batch, 0 .. 1000 */
	int top;               /* keys kept: per type for big keys, in all for hot ones; 1 .. 100 */
};

struct cache_key {
	const char *name;      /* of name_len bytes, which may be any; NUL added. Cut at 1024 */
	size_t name_len;
	enum cache_type type;
	int db;
	int64_t size;          /* bytes of a string, else the number of elements */
	int freq;              /* hot keys: the logarithmic counter 0 .. 255; else -1 */
};

struct cache_keys {
	struct cache_key *keys;    /* big: by type, largest first; hot: most used first */
	size_t n_keys;
	int64_t scanned;
	int node;                  /* number of the node that was asked */
};

/* Largest keys of each type. Asks a replica that is in step, else the master. Measuring counts as an access there. */
enum rc cache_big_keys(const struct cache_instance *c, const struct cache_scan *how, struct arena *a,
		       struct cache_keys *out, const struct cache_run *run, struct err *err) NODISCARD;
/* Most used keys of the master. RC_CONFLICT unless maxmemory-policy is allkeys-lfu or volatile-lfu. */
enum rc cache_hot_keys(const struct cache_instance *c, const struct cache_scan *how, struct arena *a,
		       struct cache_keys *out, const struct cache_run *run, struct err *err) NODISCARD;
/* Walk all keys of the master so that those whose time is over are freed. how->top is not used. */
enum rc cache_expire_keys(const struct cache_instance *c, const struct cache_scan *how, int64_t *scanned,
			  int64_t *expired, const struct cache_run *run, struct err *err) NODISCARD;

struct cache_slow {
	int64_t id, at_s, duration_us;
	const char *command;       /* arguments separated by blanks, as Redis keeps them (long ones cut) */
	const char *client, *client_name;
	int node;
};
/* The newest at most max (1 .. 1000) entries of one node. */
enum rc cache_slow_log(const struct cache_instance *c, int number, int max, struct arena *a, struct cache_slow **out,
		       size_t *n, const struct cache_run *run, struct err *err) NODISCARD;

struct cache_client_field {
	const char *name, *value;
};
struct cache_client {
	const struct cache_client_field *fields;   /* in Redis' order and spelling: id addr laddr fd name age ... */
	size_t n_fields;
};
/* NULL: no such field. */
const char *cache_client_get(const struct cache_client *client, const char *name);
/* Clients of one node; our own connections and the replication links are left out. */
enum rc cache_clients(const struct cache_instance *c, int number, struct arena *a, struct cache_client **out, size_t *n,
		      const struct cache_run *run, struct err *err) NODISCARD;
/* Disconnect. addr: "ip:port" as the list shows it; NULL: all clients. *killed: how many there were. */
enum rc cache_kill_clients(const struct cache_instance *c, int number, const char *addr, int64_t *killed,
			   const struct cache_run *run, struct err *err) NODISCARD;

#endif
