/*
 * Whose address is it? Where a process listens the system lets no second one, but while an instance is down its address
 * is free, and whoever took it then would be served its clients, and keep it from coming back. So the rows decide, on
 * the writer thread, where a request names a place: an address of its own choice, or another port.
 */
#include <string.h>
#include "engine/priv.h"
#include "json/json.h"

static enum rc read_nodes(const struct cache_row *c, struct arena *a, const json_t **out, struct err *err)
{
	const json_t *state;
	enum rc rc = json_read_kept(c->state, a, &state, err);

	if (rc == RC_OK)
		*out = json_object_get(state, "nodes");
	return rc;
}

static bool has_host(const struct cache_row *c, const json_t *nodes, const char *host)
{
	const json_t *node;
	size_t i;

	json_array_foreach(nodes, i, node) {
		const char *own = json_string_value(json_object_get(node, "host"));
		if (own && strcmp(own, host) == 0)
			return true;
	}
	return strcmp(c->ip, host) == 0;
}

/* An address that both have, or NULL. */
static const char *shared_host(const struct cache_row *c, const json_t *nodes, const struct cache_row *other,
			       const json_t *other_nodes)
{
	const json_t *node;
	size_t i;

	if (has_host(other, other_nodes, c->ip))
		return c->ip;
	json_array_foreach(nodes, i, node) {
		const char *own = json_string_value(json_object_get(node, "host"));
		if (own && has_host(other, other_nodes, own))
			return own;
	}
	return NULL;
}

/* A creation that failed has left no process that would come back. */
static bool may_be_passed_over(const struct cache_row *c, const struct cache_row *other)
{
	return other->id == c->id || strcmp(other->status, "CREATEFAILED") == 0;
}

enum rc cache_check_address(struct engine *e, const struct cache_row *c, int64_t port, struct arena *a, struct err *err)
{
	struct cache_row *rows;
	const json_t *nodes = NULL, *others;
	size_t n = 0;
	struct query q = { .table = &table_cache,
			   .preds = { PRED_INT("port", CMP_EQ, port), PRED_INT("deleted_at", CMP_EQ, 0) },
			   .n_preds = 2 };

	enum rc rc = read_nodes(c, a, &nodes, err);
	if (rc == RC_OK)
		rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (may_be_passed_over(c, &rows[i]))
			continue;
		rc = read_nodes(&rows[i], a, &others, err);
		const char *host = rc == RC_OK ? shared_host(c, nodes, &rows[i], others) : NULL;
		if (host)
			return err_set(err, RC_INVALID, "%s port %lld belongs to another instance", host,
				       (long long)port);
	}
	return rc;
}
