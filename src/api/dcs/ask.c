#include "api/dcs/ask.h"

#include <string.h>
#include "base/log.h"

struct asking *ask_begin(struct call *c)
{
	struct asking *k = arena_new_of(c->arena, struct asking);

	if (!k) {
		(void)dcs_answer_no_memory(c);
		return NULL;
	}
	k->call = c;
	if (!scope_instance(c, &k->row))
		return NULL;
	bool is_running = strcmp(k->row.status, "RUNNING") == 0 || strcmp(k->row.status, "EXTENDING") == 0;
	if (!is_running) {
		(void)dcs_answer_error(c, dcs_error_of_busy(k->row.status));
		return NULL;
	}
	return scope_state(c, &k->row, &k->state) ? k : NULL;
}

const struct node *ask_node(struct asking *k, const char *id)
{
	const struct node *node = id ? state_node(&k->state, id) : state_master(&k->state);

	if (!node)
		(void)dcs_answer_error(k->call, DCS_NODE_ID);
	return node;
}

/* What Redis cannot answer now is, for clients, an instance that is not running: they try again on that code. */
static void done(struct cache_ask *q)
{
	struct asking *k = q->ctx;

	if (q->rc == RC_OK) {
		k->answered(k);
		return;
	}
	log_warn("api.redis_silent", "request=%s operation=%s instance=%s node=%d why=\"%s\"", k->call->req->id,
	         k->call->operation, k->row.uid, q->node, q->err.msg);
	if (q->rc == RC_CORRUPT || q->rc == RC_LIMIT || q->rc == RC_INTERNAL)
		(void)dcs_answer_error(k->call, DCS_INTERNAL);
	else
		(void)dcs_answer_words(
		        k->call, DCS_NOT_RUNNING,
		        "The instance status is not running: Redis does not answer now. Try again later.");
}

void ask_next(struct asking *k, const struct node *node)
{
	k->ask.node = (int)node->number;
	engine_cache_ask(k->call->engine, &k->ask);
}

void ask_first(struct asking *k, enum ask_kind kind, const struct node *node, void (*answered)(struct asking *k))
{
	k->answered = answered;
	k->ask.done = done;
	k->ask.ctx = k;
	k->ask.kind = kind;
	k->ask.state = k->row.state;
	k->ask.arena = k->call->arena;
	call_submit(k->call);
	ask_next(k, node);
}
