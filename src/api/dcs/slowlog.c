/* ListSlowlog: the slow logs of all nodes, or of those in one role, as one list. */
#include <stdlib.h>
#include <string.h>
#include "api/dcs/ask.h"
#include "api/dcs/routes.h"
#include "base/clock.h"

enum { ENTRIES_MAX = 1000 /* of one node: no instance may keep more */ };
enum { ROLE_ANY, ROLE_MASTER, ROLE_SLAVE };
enum { SORT_START, SORT_DURATION };
enum { DESCENDING, ASCENDING };

struct slowlog {
	int64_t from_ms, until_ms;
	struct page page;
	int role, sort_key, sort_dir;
	const struct node *nodes[COPIES_MAX];
	size_t n_nodes, n_asked;
	const struct cache_slow **entries;
	size_t n;
};

/* ---- the answer ---- */

static int64_t sign_of(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int by_start(const void *a, const void *b)
{
	const struct cache_slow *x = *(const struct cache_slow *const *)a, *y = *(const struct cache_slow *const *)b;
	int64_t order = sign_of(x->at_s, y->at_s);
	if (!order)
		order = sign_of(x->id, y->id);
	return (int)(order ? order : sign_of(x->node, y->node));
}

static int by_duration(const void *a, const void *b)
{
	const struct cache_slow *x = *(const struct cache_slow *const *)a, *y = *(const struct cache_slow *const *)b;
	int64_t order = sign_of(x->duration_us, y->duration_us);
	return order ? (int)order : by_start(a, b);
}

/* Without the port: the contract has an address here. */
static void kv_address(struct jw *w, const char *key, const char *client)
{
	const char *colon = client ? strrchr(client, ':') : NULL;
	char text[128];

	if (!colon) {
		jw_kv_text(w, key, client);
		return;
	}
	(void)snprintf(text, sizeof text, "%.*s", (int)(colon - client), client);
	jw_kv_text(w, key, text);
}

static const char *role_of(const struct slowlog *x, int number)
{
	for (size_t i = 0; i < x->n_nodes; i++) {
		if (x->nodes[i]->number == number)
			return x->nodes[i]->is_master ? "master" : "slave";
	}
	return NULL;
}

static void write_entry(struct jw *w, const struct slowlog *x, const struct cache_slow *s)
{
	char start[CLOCK_TEXT_SIZE], duration[24];

	clock_iso(start, s->at_s);
	(void)snprintf(duration, sizeof duration, "%lld", (long long)(s->duration_us / 1000));
	jw_object(w);
	jw_kv_int(w, "id", s->id);
	jw_kv_text(w, "command", s->command);
	jw_kv_text(w, "start_time", start);
	jw_kv_text(w, "duration", duration); /* whole milliseconds, as a text */
	jw_kv_text(w, "shard_name", shard_name);
	jw_key(w, "database_id");
	jw_null(w); /* Redis does not log it, nor the user */
	jw_kv_text(w, "username", NULL);
	jw_kv_text(w, "node_role", role_of(x, s->node));
	kv_address(w, "client_ip", s->client);
	jw_end_object(w);
}

/* Entry i of the order asked for. */
static const struct cache_slow *entry_at(const struct slowlog *x, size_t i)
{
	return x->entries[x->sort_dir == ASCENDING ? i : x->n - 1 - i];
}

static void write_slowlog(struct jw *w, const void *subject)
{
	const struct slowlog *x = subject;
	size_t first = (uint64_t)x->page.offset < x->n ? (size_t)x->page.offset : x->n;
	size_t left = x->n - first, shown = (size_t)x->page.limit < left ? (size_t)x->page.limit : left;

	jw_object(w);
	jw_kv_int(w, "total_num", (int64_t)x->n);
	jw_kv_int(w, "count", (int64_t)shown);
	jw_key(w, "slowlogs");
	jw_array(w);
	for (size_t i = 0; i < shown; i++)
		write_entry(w, x, entry_at(x, first + i));
	jw_end_array(w);
	jw_end_object(w);
}

/* ---- asking ---- */

static void keep_entries(struct slowlog *x, const struct cache_ask *q)
{
	for (size_t i = 0; i < q->n && i < ENTRIES_MAX; i++) {
		int64_t at_ms = q->slow[i].at_s * 1000;
		/* A log entry knows its second only. */
		if (at_ms + 999 >= x->from_ms && at_ms <= x->until_ms)
			x->entries[x->n++] = &q->slow[i];
	}
}

static void answered(struct asking *k)
{
	struct slowlog *x = k->about;

	keep_entries(x, &k->ask);
	if (++x->n_asked < x->n_nodes) {
		ask_next(k, x->nodes[x->n_asked]);
		return;
	}
	qsort(x->entries, x->n, sizeof(const struct cache_slow *), x->sort_key == SORT_START ? by_start : by_duration);
	(void)dcs_answer(k->call, write_slowlog, x);
}

/* Unix milliseconds; both are required. */
static bool read_times(struct call *c, struct slowlog *x)
{
	x->from_ms = x->until_ms = -1;
	if (query_int(&c->query, "start_time", 0, INT64_MAX, &x->from_ms, NULL) || x->from_ms < 0)
		return dcs_answer_named(c, DCS_QUERY, "start_time");
	if (query_int(&c->query, "end_time", 0, INT64_MAX, &x->until_ms, NULL) || x->until_ms < 0)
		return dcs_answer_named(c, DCS_QUERY, "end_time");
	return x->from_ms <= x->until_ms || dcs_answer_error(c, DCS_TIME_ORDER);
}

static bool read_words(struct call *c, struct slowlog *x)
{
	if (query_choice(&c->query, "sort_key", "start_time|duration", &x->sort_key, NULL))
		return dcs_answer_named(c, DCS_QUERY, "sort_key");
	if (query_choice(&c->query, "sort_dir", "desc|asc", &x->sort_dir, NULL))
		return dcs_answer_named(c, DCS_QUERY, "sort_dir");
	if (query_choice(&c->query, "role", "all|master|slave", &x->role, NULL))
		return dcs_answer_named(c, DCS_QUERY, "role");
	return true;
}

static void choose_nodes(struct slowlog *x, const struct state *state)
{
	for (size_t i = 0; i < state->n_nodes; i++) {
		const struct node *node = &state->nodes[i];
		if (x->role == ROLE_ANY || (x->role == ROLE_MASTER) == node->is_master)
			x->nodes[x->n_nodes++] = node;
	}
}

void dcs_slowlog_list(struct call *c)
{
	struct asking *k = ask_begin(c);
	struct slowlog *x = arena_new_of(c->arena, struct slowlog);

	if (!k)
		return;
	if (!x) {
		(void)dcs_answer_no_memory(c);
		return;
	}
	if (!read_times(c, x) || !scope_page(c, &x->page) || !read_words(c, x))
		return;
	choose_nodes(x, &k->state);
	x->entries = arena_array(c->arena, x->n_nodes * ENTRIES_MAX + 1, sizeof *x->entries);
	k->about = x;
	k->ask.max = ENTRIES_MAX;
	if (!x->entries)
		(void)dcs_answer_no_memory(c);
	else if (x->n_nodes == 0)
		(void)dcs_answer(c, write_slowlog, x);
	else
		ask_first(k, ASK_SLOW_LOG, x->nodes[0], answered);
}
