/* cache resize: another size, a replica more, a replica less. */
#include <stdio.h>
#include <string.h>
#include "cmd/dcs.h"

struct resizing {
	const char *size, *leaving; /* one of the three; leaving: node id or address */
	bool adds, in_window;
};

static bool write_size(struct remote *r, const struct dcs_cache *cache, const struct resizing *z, struct jw *w)
{
	const char *spec;
	int64_t mib;

	if (!dcs_size(r, z->size, &mib) || !dcs_spec(r, json_text_of(cache->json, "cache_mode"),
						     json_text_of(cache->json, "cpu_type"), mib,
						     json_int_of(cache->json, "replica_count"), &spec))
		return false;
	jw_kv_text(w, "spec_code", spec);
	jw_kv_real(w, "new_capacity", (double)mib / 1024);
	return true;
}

/* The id of a node given by it, or by its address. NULL: r says why. */
static const char *find_node(struct remote *r, const struct dcs_cache *cache, const char *id_or_address)
{
	struct answer a;

	if (!dcs_call_on(r, "GET", cache->uid, "/logical-nodes", NULL, NULL, &a))
		return NULL;
	const json_t *nodes = json_pick(a.json, "nodes");
	for (size_t i = 0; i < json_array_size(nodes); i++) {
		const json_t *n = json_array_get(nodes, i);
		if (strcmp(json_text_of(n, "node_id"), id_or_address) == 0 ||
		    strcmp(json_text_of(n, "node_ip"), id_or_address) == 0)
			return json_text_of(n, "node_id");
	}
	r->rc = err_set(&r->err, RC_NOT_FOUND, "cache %.70s has no node '%.60s'; `stint cache show %.70s` lists them",
			cache->name, id_or_address, cache->name);
	return NULL;
}

/* The present code, whose size stays; the server says what comes of it. */
static bool write_replica(struct remote *r, const struct dcs_cache *cache, const struct resizing *z, struct jw *w)
{
	jw_kv_text(w, "spec_code", json_text_of(cache->json, "spec_code"));
	jw_kv_int(w, "new_capacity", 0);
	jw_kv_text(w, "change_type", z->adds ? "createReplication" : "deleteReplication");
	if (z->adds)
		return dcs_body_zones(r, w, "available_zones");
	const char *node = find_node(r, cache, z->leaving);
	jw_key(w, "node_list");
	jw_array(w);
	jw_text(w, node);
	jw_end_array(w);
	return node != NULL;
}

static bool write_resize(struct remote *r, const struct dcs_cache *cache, const struct resizing *z, struct buf *body)
{
	struct jw w;

	dcs_body_begin(&w, body);
	if (!(z->size ? write_size(r, cache, z, &w) : write_replica(r, cache, z, &w)))
		return false;
	if (z->in_window)
		jw_kv_bool(&w, "execute_immediately", false);
	return dcs_body_finish(r, &w, body);
}

static void resize(struct remote *r, const char *name, const struct resizing *z, bool waits)
{
	struct dcs_cache cache;
	struct answer a;
	struct buf body;
	char done[64];

	if ((z->size != NULL) + z->adds + (z->leaving != NULL) != 1) {
		r->rc = err_set(&r->err, RC_INVALID, "say one of SIZE, --add-replica and --remove-replica");
		return;
	}
	if (!dcs_find(r, name, &cache))
		return;
	if (write_resize(r, &cache, z, &body))
		(void)dcs_call_on(r, "POST", cache.uid, "/resize", NULL, buf_text(&body), &a);
	dcs_body_drop(&body);
	if (z->size)
		(void)snprintf(done, sizeof done, "has the size %.20s now", z->size);
	else
		(void)snprintf(done, sizeof done, "has one replica %s now", z->adds ? "more" : "less");
	dcs_finish(r, &cache, waits, done);
}

static int run_resize(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	bool waits = false;
	struct resizing z = { 0 };
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_FLAG("add-replica", &z.adds, "Not another size: one replica more."),
		OPTION_TEXT("remove-replica", &z.leaving, "NODE", "One replica less: the node of that id or address."),
		OPTION_FLAG("in-window", &z.in_window, "Not now but in the cache's maintenance window."),
		DCS_WAIT_OPTION(&waits),
		DCS_CLIENT_OPTIONS(r.options),
	};
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	z.size = operands[1];
	resize(&r, operands[0], &z, waits);
	return remote_close(&r);
}

const struct command command_cache_resize = {
	.name = "cache resize",
	.operands = "CACHE [SIZE]",
	.summary = "Change the memory or the replicas of an instance while it works.",
	.example = "stint cache resize sessions 512M --wait\n"
		   "stint cache resize sessions --add-replica --wait\n"
		   "stint cache resize sessions --remove-replica 127.64.0.67 --wait",
	.run = run_resize,
};
