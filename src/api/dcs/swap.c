/* Master and standby change places, and which standby may. */
#include <string.h>
#include "api/dcs/body.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"

static bool check(struct call *c, struct cache_row *row)
{
	struct state state;
	bool has_candidate = false;

	if (!scope_instance(c, row))
		return false;
	if (strcmp(row->cache_mode, "ha") != 0)
		return dcs_answer_error(c, DCS_SWAP);
	if (!scope_state(c, row, &state))
		return false;
	for (size_t i = 0; i < state.n_nodes; i++)
		has_candidate |= !state.nodes[i].is_master && state.nodes[i].priority > 0;
	return has_candidate || dcs_answer_error(c, DCS_ALL_PRIORITIES_ZERO);
}

static void swapped(struct change *change)
{
	struct call *c = change->ctx;

	if (!operate_is_taken(c))
		return;
	if (c->change.cache_operate.is_success)
		(void)dcs_answer_none(c);
	else
		(void)dcs_answer_error(c, DCS_SWAP_FAILED);
}

void dcs_swap(struct call *c)
{
	struct cache_row row;

	if (!check(c, &row))
		return;
	operate_prepare(c, &row, CACHE_OP_SWAP, swapped)->waits = true;
	operate_submit(c);
}

void dcs_swap_async(struct call *c)
{
	struct cache_row row;

	if (!check(c, &row))
		return;
	(void)operate_prepare(c, &row, CACHE_OP_SWAP, operate_answer_job);
	operate_submit(c);
}

/* ---- UpdateSlavePriority ---- */

enum { PRIORITY_MAX = 100 };

static bool read_priority(struct call *c, int64_t *out)
{
	const json_t *body;

	if (!dcs_body(c, DCS_BODY_REQUIRED, &body))
		return false;
	bool is_given = dcs_member(body, "slave_priority_weight") && dcs_int(body, "slave_priority_weight", out);
	return (is_given && *out >= 0 && *out <= PRIORITY_MAX) || dcs_answer_error(c, DCS_PRIORITY);
}

/* The replica of the path. The master has no place in the order until it is a replica again. */
static bool find_replica(struct call *c, const struct cache_row *row, struct node *out)
{
	struct state state;

	if (!scope_state(c, row, &state))
		return false;
	if (strcmp(path_arg(&c->args, "group"), state.group_id) != 0)
		return dcs_answer_named(c, DCS_ID_PARAM, "group_id");
	const struct node *node = state_node(&state, path_arg(&c->args, "node"));
	if (!node || node->is_master)
		return dcs_answer_error(c, DCS_NODE_ID);
	*out = *node;
	return true;
}

void dcs_priority_update(struct call *c)
{
	struct cache_row row;
	struct node node = { 0 };
	int64_t priority = 0;

	if (!scope_instance(c, &row))
		return;
	if (strcmp(row.cache_mode, "ha") != 0) {
		(void)dcs_answer_error(c, DCS_HA_ONLY);
		return;
	}
	if (!find_replica(c, &row, &node) || !read_priority(c, &priority))
		return;
	struct cache_operate *o = operate_prepare(c, &row, CACHE_OP_PRIORITY, operate_answer_none);
	o->waits = true;
	o->args = arena_printf(c->arena, "{\"node\":%lld,\"priority\":%lld}", (long long)node.number,
			       (long long)priority);
	o->details = arena_printf(c->arena, "{\"group_name\":\"%s\",\"node_name\":\"%s\"}", shard_name, node.host);
	if (o->args && o->details)
		operate_submit(c);
	else
		(void)dcs_answer_no_memory(c);
}
