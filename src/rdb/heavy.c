/*
 * Counters lie in an array and never move. A chained hash table finds the counter of a name; a binary heap of their
 * numbers, lightest at the root, finds the one to be taken over. Weights only grow, so a counter only sinks.
 */
#include "rdb/heavy.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"

struct counter {
	struct heavy_item item;
	uint32_t hash;
	int32_t next; /* in its chain; -1 ends */
	uint32_t heap_at;
};

struct heavy {
	unsigned n, cap, n_chains; /* n_chains is a power of two */
	struct counter *counters;
	int32_t *chains;
	uint32_t *heap;
};

struct heavy *heavy_new(unsigned n_counters)
{
	must(n_counters >= 1 && n_counters <= HEAVY_COUNTERS_MAX);
	struct heavy *h = mem_new(struct heavy);
	h->cap = n_counters;
	for (h->n_chains = 1; h->n_chains < 2 * n_counters;)
		h->n_chains *= 2;
	h->counters = mem_array(h->cap, sizeof h->counters[0]);
	h->heap = mem_array(h->cap, sizeof h->heap[0]);
	h->chains = mem_array(h->n_chains, sizeof h->chains[0]);
	memset(h->chains, 0xff, h->n_chains * sizeof h->chains[0]); /* -1 */
	return h;
}

void heavy_free(struct heavy *h)
{
	if (!h)
		return;
	mem_free(h->counters);
	mem_free(h->heap);
	mem_free(h->chains);
	mem_free(h);
}

static uint32_t hash_of(const uint8_t *name, size_t len) /* FNV-1a; a bad spread only costs time, see docs/rdb.md */
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static int32_t *chain_of(struct heavy *h, uint32_t hash) { return &h->chains[hash & (h->n_chains - 1)]; }

static struct counter *find(struct heavy *h, uint32_t hash, const uint8_t *name, size_t len)
{
	for (int32_t i = *chain_of(h, hash); i >= 0; i = h->counters[i].next) {
		struct counter *c = &h->counters[i];
		if (c->hash == hash && c->item.len == len && memcmp(c->item.name, name, len) == 0)
			return c;
	}
	return NULL;
}

static void heap_put(struct heavy *h, uint32_t at, uint32_t number)
{
	h->heap[at] = number;
	h->counters[number].heap_at = at;
}

static uint64_t heap_weight(const struct heavy *h, uint32_t at) { return h->counters[h->heap[at]].item.weight; }

static void sink(struct heavy *h, uint32_t at)
{
	uint32_t number = h->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child + 1 < h->n && heap_weight(h, child + 1) < heap_weight(h, child))
			child++;
		if (child >= h->n || heap_weight(h, child) >= h->counters[number].item.weight)
			break;
		heap_put(h, at, h->heap[child]);
		at = child;
	}
	heap_put(h, at, number);
}

static void rise(struct heavy *h, uint32_t at)
{
	uint32_t number = h->heap[at];

	for (; at && heap_weight(h, (at - 1) / 2) > h->counters[number].item.weight; at = (at - 1) / 2)
		heap_put(h, at, h->heap[(at - 1) / 2]);
	heap_put(h, at, number);
}

static void unchain(struct heavy *h, struct counter *c)
{
	int32_t *link = chain_of(h, c->hash), number = (int32_t)(c - h->counters);
	while (*link != number)
		link = &h->counters[*link].next;
	*link = c->next;
}

static void name_it(struct heavy *h, struct counter *c, uint32_t hash, const uint8_t *name, size_t len)
{
	int32_t *chain = chain_of(h, hash);

	c->hash = hash;
	c->item.len = (uint32_t)len;
	memcpy(c->item.name, name, len);
	c->next = *chain;
	*chain = (int32_t)(c - h->counters);
}

void heavy_add(struct heavy *h, const uint8_t *name, size_t len, uint64_t weight)
{
	if (len > HEAVY_NAME_MAX)
		len = HEAVY_NAME_MAX;
	uint32_t hash = hash_of(name, len);
	struct counter *c = find(h, hash, name, len);
	if (c) {
		c->item.weight += weight;
		c->item.n++;
		sink(h, c->heap_at);
	} else if (h->n < h->cap) {
		c = &h->counters[h->n];
		c->item = (struct heavy_item){ .weight = weight, .n = 1 };
		name_it(h, c, hash, name, len);
		heap_put(h, h->n, h->n);
		rise(h, h->n++);
	} else {
		c = &h->counters[h->heap[0]];
		unchain(h, c);
		c->item = (struct heavy_item){ .weight = c->item.weight + weight, .error = c->item.weight, .n = 1 };
		name_it(h, c, hash, name, len);
		sink(h, 0);
	}
}

static int heavier(const void *a, const void *b)
{
	const struct heavy_item *x = *(const struct heavy_item *const *)a, *y = *(const struct heavy_item *const *)b;
	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	int order = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
	return order ? order : (x->len > y->len) - (x->len < y->len);
}

unsigned heavy_top(const struct heavy *h, const struct heavy_item **out, unsigned max)
{
	const struct heavy_item **all = mem_array(h->n, sizeof *all);
	unsigned n = h->n < max ? h->n : max;

	for (unsigned i = 0; i < h->n; i++)
		all[i] = &h->counters[i].item;
	if (h->n)
		qsort(all, h->n, sizeof *all, heavier);
	if (n)
		memcpy(out, all, n * sizeof *all);
	mem_free(all);
	return n;
}
