/* Sessions: who is connected to a node, and ending that. Lists are asked for as they are wanted, so
 * nothing has to be collected first. */
#include <stdlib.h>
#include <string.h>
#include "api/dcs/ask.h"
#include "api/dcs/body.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/num.h"

enum { ADDRESSES_MAX = 100 /* of one request to disconnect */ };

/* As the contract calls and types them, and as Redis does; network and peer it has none of. */
static const struct field {
	const char *name, *redis_name;
	bool is_number;
} fields[] = {
	{ "id", "id", false },       { "addr", "addr", false },     { "fd", "fd", false },
	{ "name", "name", false },   { "cmd", "cmd", false },       { "db", "db", false },
	{ "flags", "flags", false }, { "events", "events", false }, { "network", "", false },
	{ "peer", "", false },       { "user", "user", false },     { "age", "age", true },
	{ "idle", "idle", true },    { "sub", "sub", true },        { "psub", "psub", true },
	{ "multi", "multi", true },  { "qbuf", "qbuf", true },      { "qbuf_free", "qbuf-free", true },
	{ "obl", "obl", true },      { "oll", "oll", true },        { "omem", "omem", true },
};
/* The words for sort: the table's names, in its order. */
static const char sort_words[] = "id|addr|fd|name|cmd|db|flags|events|network|peer|user|age|idle|sub|psub|multi|qbuf|"
                                 "qbuf_free|obl|oll|omem";

/* ---- list ---- */

struct session {
	const struct cache_client *client;
	const char *key; /* what is sorted by */
	int64_t number;
	bool is_number;
	size_t place; /* in Redis' list */
};

struct sessions {
	struct page page;
	const char *addr; /* a part of it; NULL any */
	int sort, order;  /* sort: index in fields */
	int64_t at_ms;
	struct session *list;
	size_t n;
};

enum { ASCENDING, DESCENDING };

static const char *value_of(const struct cache_client *client, const struct field *f)
{
	return *f->redis_name ? cache_client_get(client, f->redis_name) : NULL;
}

static void write_client(struct jw *w, const struct cache_client *client)
{
	int64_t number;

	jw_object(w);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *value = value_of(client, &fields[i]);
		if (!fields[i].is_number) {
			jw_kv_text(w, fields[i].name, value);
		} else if (value && num_i64(value, &number)) {
			jw_kv_int(w, fields[i].name, number);
		}
	}
	jw_end_object(w);
}

static void write_sessions(struct jw *w, const void *subject)
{
	const struct sessions *x = subject;
	size_t first = (uint64_t)x->page.offset < x->n ? (size_t)x->page.offset : x->n;
	size_t left = x->n - first, shown = (size_t)x->page.limit < left ? (size_t)x->page.limit : left;

	jw_object(w);
	format_kv_time(w, "time", x->at_ms);
	jw_kv_int(w, "count", (int64_t)x->n);
	jw_key(w, "clients");
	jw_array(w);
	for (size_t i = first; i < first + shown; i++)
		write_client(w, x->list[x->order == ASCENDING ? i : x->n - 1 - i].client);
	jw_end_array(w);
	jw_end_object(w);
}

static int order_of(int64_t a, int64_t b) { return (a > b) - (a < b); }

/* Numbers by value and before texts; equal ones as Redis lists them. */
static int by_key(const void *a, const void *b)
{
	const struct session *x = a, *y = b;
	int order = order_of(y->is_number, x->is_number);

	if (!order)
		order = x->is_number ? order_of(x->number, y->number) : strcmp(x->key, y->key);
	return order ? order : order_of((int64_t)x->place, (int64_t)y->place);
}

static void listed(struct asking *k)
{
	struct sessions *x = k->about;

	x->at_ms = clock_wall_ms();
	x->list = arena_array(k->call->arena, k->ask.n + 1, sizeof *x->list);
	if (!x->list) {
		(void)dcs_answer_no_memory(k->call);
		return;
	}
	for (size_t i = 0; i < k->ask.n; i++) {
		const struct cache_client *client = &k->ask.clients[i];
		const char *addr = cache_client_get(client, "addr"), *key = value_of(client, &fields[x->sort]);
		if (x->addr && (!addr || !strstr(addr, x->addr)))
			continue;
		struct session *s = &x->list[x->n++];
		*s = (struct session){ .client = client, .key = key ? key : "", .place = i };
		s->is_number = num_i64(s->key, &s->number);
	}
	qsort(x->list, x->n, sizeof *x->list, by_key);
	(void)dcs_answer(k->call, write_sessions, x);
}

static bool read_query(struct call *c, struct sessions *x)
{
	if (!scope_page(c, &x->page))
		return false;
	if (query_choice(&c->query, "sort", sort_words, &x->sort, NULL))
		return dcs_answer_named(c, DCS_QUERY, "sort");
	if (query_choice(&c->query, "order", "asc|desc", &x->order, NULL))
		return dcs_answer_named(c, DCS_QUERY, "order");
	x->addr = query_text(&c->query, "addr");
	return true;
}

void dcs_clients_list(struct call *c)
{
	struct asking *k = ask_begin(c);
	struct sessions *x = arena_new_of(c->arena, struct sessions);
	const struct node *node;

	if (!k)
		return;
	if (!x) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	k->about = x;
	if (!read_query(c, x))
		return;
	node = ask_node(k, query_text(&c->query, "node_id"));
	if (node)
		ask_first(k, ASK_CLIENTS, node, listed);
}

/* The node that a body must name. NULL: answered. */
static const struct node *node_of_body(struct asking *k, const json_t *body)
{
	const char *id = NULL;

	if (dcs_text(body, "node_id", &id) && id && *id)
		return ask_node(k, id);
	(void)dcs_answer_named(k->call, DCS_PARAM, "node_id");
	return NULL;
}

void dcs_clients_scan(struct call *c)
{
	struct asking *k = ask_begin(c);
	const json_t *body;
	bool is_cleaned = false;

	if (!k || !dcs_body(c, DCS_BODY_REQUIRED, &body) || !node_of_body(k, body))
		return;
	if (!dcs_bool(body, "clean_cache", &is_cleaned))
		(void)dcs_answer_named(c, DCS_PARAM, "clean_cache");
	else
		(void)dcs_answer_text(c, "message",
		                      "Nothing has to be collected: ListClients asks the node each time.");
}

/* ---- ending sessions ---- */

struct killing {
	const struct node *node;
	const char **addrs;
	size_t n, n_done;
};

static void killed(struct asking *k)
{
	struct killing *x = k->about;

	if (++x->n_done == x->n) {
		(void)dcs_answer_none(k->call);
		return;
	}
	k->ask.addr = x->addrs[x->n_done];
	ask_next(k, x->node);
}

static struct killing *new_killing(struct asking *k)
{
	struct killing *x = k ? arena_new_of(k->call->arena, struct killing) : NULL;

	if (k && !x)
		(void)dcs_answer_no_memory(k->call);
	else if (k)
		k->about = x;
	return x;
}

static bool read_addresses(struct call *c, const json_t *body, struct killing *x)
{
	const json_t *list = dcs_member(body, "client_addrs");

	x->n = json_array_size(list);
	if (x->n == 0 || x->n > ADDRESSES_MAX)
		return dcs_answer_named(c, DCS_PARAM, "client_addrs");
	x->addrs = arena_array(c->arena, x->n, sizeof *x->addrs);
	if (!x->addrs)
		return dcs_answer_no_memory(c);
	for (size_t i = 0; i < x->n; i++) {
		x->addrs[i] = json_string_value(json_array_get(list, i));
		if (!x->addrs[i] || !*x->addrs[i])
			return dcs_answer_named(c, DCS_PARAM, "client_addrs");
	}
	return true;
}

void dcs_clients_kill(struct call *c)
{
	struct asking *k = ask_begin(c);
	struct killing *x = new_killing(k);
	const json_t *body;

	if (!x || !dcs_body(c, DCS_BODY_REQUIRED, &body))
		return;
	x->node = node_of_body(k, body);
	if (!x->node || !read_addresses(c, body, x))
		return;
	k->ask.addr = x->addrs[0];
	ask_first(k, ASK_KILL, x->node, killed);
}

/* The vendor's is a job, which clients wait for; so it is a task here. */
void dcs_clients_kill_all(struct call *c)
{
	struct asking *k = ask_begin(c);
	const struct node *node = NULL;
	const json_t *body;
	bool is_everywhere = false;

	if (!k || !dcs_body(c, DCS_BODY_REQUIRED, &body))
		return;
	if (!dcs_bool(body, "kill_all_nodes", &is_everywhere)) {
		(void)dcs_answer_named(c, DCS_PARAM, "kill_all_nodes");
		return;
	}
	if (!is_everywhere) {
		node = node_of_body(k, body);
		if (!node)
			return;
	}
	struct cache_operate *o = operate_prepare(c, &k->row, CACHE_OP_KILL_CLIENTS, operate_answer_job);
	o->args = arena_printf(c->arena, "{\"node\":%lld}", node ? (long long)node->number : 0);
	if (o->args)
		operate_submit(c);
	else
		(void)dcs_answer_no_memory(c);
}
