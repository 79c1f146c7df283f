#include "api/dcs/state.h"

#include <string.h>

const char shard_name[] = "group-0";

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static void read_node(const struct cache_row *row, const json_t *item, bool is_master, struct node *out)
{
	char name[96];
	long long number = json_integer_value(json_object_get(item, "number"));

	*out = (struct node){
		.number = number,
		.host = text_of(item, "host"),
		.priority = json_integer_value(json_object_get(item, "priority")),
		.is_master = is_master,
	};
	(void)snprintf(name, sizeof name, "%s/node-%lld", row->uid, number);
	format_derived_hex(name, out->node_id);
	(void)snprintf(name, sizeof name, "%s/replication-%lld", row->uid, number);
	format_derived_uuid(name, out->replication_id);
}

enum rc state_read(const struct cache_row *row, struct arena *a, struct state *out, struct err *err)
{
	struct state s = { .dir = "", .password_hash = "" };
	const json_t *root;
	char name[96];

	(void)snprintf(name, sizeof name, "%s/group-0", row->uid);
	format_derived_uuid(name, s.group_id);
	if (*row->state) {
		if (json_read(row->state, strlen(row->state), a, &root, err))
			return err_wrap(err, RC_CORRUPT, "state of instance %s", row->uid);
		const json_t *nodes = json_object_get(root, "nodes");
		size_t n = json_array_size(nodes);
		s.is_made = true;
		s.dir = text_of(root, "dir");
		s.password_hash = text_of(root, "password_hash");
		s.settings = json_object_get(root, "settings");
		s.renames = json_object_get(root, "renames");
		long long master = json_integer_value(json_object_get(root, "master"));
		for (size_t i = 0; i < n && i < COPIES_MAX; i++)
			read_node(row, json_array_get(nodes, i), (long long)i == master, &s.nodes[s.n_nodes++]);
	}
	*out = s;
	return RC_OK;
}

const char *state_setting(const struct state *s, const char *name)
{
	return json_string_value(json_object_get(s->settings, name));
}

const struct node *state_master(const struct state *s)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		if (s->nodes[i].is_master)
			return &s->nodes[i];
	}
	return NULL;
}

const struct node *state_node(const struct state *s, const char *node_id)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		if (strcmp(s->nodes[i].node_id, node_id) == 0)
			return &s->nodes[i];
	}
	return NULL;
}

enum rc echo_read(const struct cache_row *row, struct arena *a, struct echo *out, struct err *err)
{
	const char *text = *row->echo ? row->echo : "{}";
	const json_t *root;

	if (json_read(text, strlen(text), a, &root, err))
		return err_wrap(err, RC_CORRUPT, "echo of instance %s", row->uid);
	out->root = root;
	return RC_OK;
}

const char *echo_text(const struct echo *e, const char *name)
{
	return json_string_value(json_object_get(e->root, name));
}

/* Of one zone nothing is kept. */
size_t echo_zones(const struct echo *e)
{
	json_int_t n = json_integer_value(json_object_get(e->root, "zones"));
	return n > 1 && n <= COPIES_MAX ? (size_t)n : 1;
}

const char no_security_group[] = "securityGroupId";
