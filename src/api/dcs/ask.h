/*
 * ask: questions to Redis on behalf of a request, one node after the other. Private to api/dcs.
 *
 * ask_begin and ask_node run on the loop thread. After ask_first the request belongs to the asker's thread, where the
 * callback runs: it answers, or goes on with ask_next.
 */
#ifndef API_DCS_ASK_H
#define API_DCS_ASK_H

#include "api/dcs/answer.h"
#include "api/dcs/scope.h"
#include "api/dcs/state.h"

struct asking {
	struct call *call;
	struct cache_row row;
	struct state state;
	struct cache_ask ask; /* max and addr are the caller's to set; answers lie in the call's arena */
	void *about;          /* the caller's own */
	/* Redis has answered. */
	void (*answered)(struct asking *k);
};

/* The instance of the path, in a state in which it can be asked. NULL: answered. */
struct asking *ask_begin(struct call *c);
/* id NULL: the master. NULL: no such node, and that is answered. */
const struct node *ask_node(struct asking *k, const char *id);
void ask_first(struct asking *k, enum ask_kind kind, const struct node *node, void (*answered)(struct asking *k));
/* The same kind once more: of another node, or with another address. */
void ask_next(struct asking *k, const struct node *node);

#endif
