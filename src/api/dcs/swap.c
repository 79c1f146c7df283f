/* Master and standby change places, dcs.md 3.4. */
#include <string.h>
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"

static bool check(struct call *c, struct cache_row *row)
{
	struct state state;
	struct err err = { 0 };
	bool has_candidate = false;

	if (!scope_instance(c, row))
		return false;
	if (strcmp(row->cache_mode, "ha") != 0)
		return dcs_answer_error(c, DCS_SWAP);
	if (state_read(row, c->arena, &state, &err))
		return dcs_answer_internal(c, "api.failed", &err);
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
