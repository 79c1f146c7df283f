/*
 * state: what a cache's row says in JSON, read once into a value: what runs (cache_row.state, written by the engine
 * when a task ends) and what the caller only wants to read again (cache_row.echo, ours).
 *
 * Owner: texts live in the arena given.  Threads: pure, any.
 */
#ifndef API_DCS_STATE_H
#define API_DCS_STATE_H

#include "api/dcs/format.h"
#include "api/dcs/spec.h"
#include "engine/cache.h"

struct node {
	int64_t number;
	const char *host;
	int64_t priority;
	bool is_master;
	char node_id[HEX32_SIZE], replication_id[UUID_SIZE];
};

struct state {
	bool is_made;                  /* false: no process was ever started for it; the rest is empty then */
	const char *dir;               /* where its files lie */
	const char *password_hash;     /* "" password-free */
	const json_t *settings, *renames; /* objects name -> text; NULL: none */
	struct node nodes[COPIES_MAX];
	size_t n_nodes;
	char group_id[UUID_SIZE];
};

/* RC_CORRUPT: not what the engine writes. */
enum rc state_read(const struct cache_row *row, struct arena *a, struct state *out, struct err *err) NODISCARD;
const char *state_setting(const struct state *s, const char *name); /* NULL: as by default */
const struct node *state_master(const struct state *s);             /* NULL: none */
const struct node *state_node(const struct state *s, const char *node_id); /* NULL: none has that id */
extern const char shard_name[];                                     /* of the only one */

/* A text of the echo; NULL when it was not given. */
struct echo {
	const json_t *root;
};
enum rc echo_read(const struct cache_row *row, struct arena *a, struct echo *out, struct err *err) NODISCARD;
const char *echo_text(const struct echo *e, const char *name);
size_t echo_zones(const struct echo *e); /* how many zones were named: all are the one there is */
extern const char no_security_group[];   /* the vendor's word */

#endif
