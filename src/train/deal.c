#include "train/deal.h"

#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "train/featurize.h"

enum { GROUPS_MAX = 2048, GROUP_SIZE = 16 << 20, GROUP_BUFFER_SIZE = 32 * 1024 };

struct chunk { /* bytes of one group in the file */
	uint64_t offset;
	uint32_t size;
	uint32_t group;
};

struct group {
	char *bytes; /* GROUP_BUFFER_SIZE, made when first used */
	size_t len;
	uint64_t size; /* of all its rows */
};

struct deal {
	struct spool file;
	uint64_t n_rows, group_rows, n_groups;
	uint32_t block_rows;
	struct group *groups;
	struct chunk *chunks; /* as written; sorted by group before reading */
	size_t n_chunks, chunks_cap;
};

enum rc deal_new(const char *path, uint64_t n_rows, uint64_t rows_size, uint32_t block_rows, struct deal **out,
		 struct err *err)
{
	struct deal *d = mem_new(struct deal);
	uint64_t n_blocks = (n_rows + block_rows - 1) / block_rows, wanted = rows_size / GROUP_SIZE + 1;

	wanted = wanted < GROUPS_MAX ? wanted : GROUPS_MAX;
	uint64_t group_blocks = (n_blocks + wanted - 1) / wanted;
	d->n_rows = n_rows;
	d->block_rows = block_rows;
	d->group_rows = (group_blocks ? group_blocks : 1) * block_rows;
	d->n_groups = (n_rows + d->group_rows - 1) / d->group_rows;
	d->groups = mem_array(d->n_groups, sizeof d->groups[0]);
	d->file.fd = -1;
	enum rc rc = spool_create(&d->file, path, SPOOL_NAMELESS, err);
	if (rc != RC_OK) {
		deal_free(d);
		return rc;
	}
	*out = d;
	return RC_OK;
}

void deal_free(struct deal *d)
{
	if (!d)
		return;
	spool_drop(&d->file);
	for (uint64_t i = 0; i < d->n_groups; i++)
		mem_free(d->groups[i].bytes);
	mem_free(d->groups);
	mem_free(d->chunks);
	mem_free(d);
}

static enum rc put_chunk(struct deal *d, uint64_t group, const void *bytes, size_t len, struct err *err)
{
	if (!len)
		return RC_OK;
	if (d->n_chunks == d->chunks_cap) {
		d->chunks_cap = d->chunks_cap ? 2 * d->chunks_cap : 256;
		d->chunks = mem_grow(d->chunks, d->chunks_cap, sizeof d->chunks[0]);
	}
	d->chunks[d->n_chunks++] = (struct chunk){ d->file.size, (uint32_t)len, (uint32_t)group };
	return spool_write(&d->file, bytes, len, err);
}

static enum rc put(struct deal *d, uint64_t group, const void *bytes, size_t len, struct err *err)
{
	struct group *g = &d->groups[group];
	enum rc rc = RC_OK;

	g->size += len;
	if (!g->bytes)
		g->bytes = mem_alloc(GROUP_BUFFER_SIZE);
	if (len > GROUP_BUFFER_SIZE - g->len) {
		rc = put_chunk(d, group, g->bytes, g->len, err);
		g->len = 0;
	}
	if (rc == RC_OK && len > GROUP_BUFFER_SIZE)
		return put_chunk(d, group, bytes, len, err);
	if (rc != RC_OK || !len)
		return rc;
	memcpy(g->bytes + g->len, bytes, len);
	g->len += len;
	return RC_OK;
}

enum rc deal_add(struct deal *d, uint64_t place, const struct example *row, struct err *err)
{
	struct stored_row head = { .place = place, .n = row->n, .label = row->label > 0 };
	uint64_t group = place / d->group_rows;

	must(place < d->n_rows);
	enum rc rc = put(d, group, &head, sizeof head, err);
	return rc == RC_OK ? put(d, group, row->features, row->n * sizeof row->features[0], err) : rc;
}

/* A stable counting sort by group: within a group chunks stay in the order written, rows may span them. */
static struct chunk *sort_chunks(const struct deal *d, size_t *first)
{
	struct chunk *sorted = mem_array(d->n_chunks, sizeof sorted[0]);
	for (size_t i = 0; i < d->n_chunks; i++)
		first[d->chunks[i].group + 1]++;
	for (uint64_t g = 0; g < d->n_groups; g++)
		first[g + 1] += first[g];
	size_t *next = mem_array(d->n_groups + 1, sizeof next[0]);
	memcpy(next, first, (d->n_groups + 1) * sizeof next[0]);
	for (size_t i = 0; i < d->n_chunks; i++)
		sorted[next[d->chunks[i].group]++] = d->chunks[i];
	mem_free(next);
	return sorted;
}

static enum rc read_group(struct deal *d, const struct chunk *chunks, size_t n, char *bytes, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		enum rc rc = spool_read_at(&d->file, chunks[i].offset, bytes, chunks[i].size, err);
		if (rc != RC_OK)
			return rc;
		bytes += chunks[i].size;
	}
	return RC_OK;
}

/* Point rows[place - first] at each row in bytes. Returns how many there are. */
static uint32_t place_rows(const char *bytes, uint64_t size, uint64_t first, struct example *rows)
{
	uint32_t n = 0;
	for (const char *p = bytes, *end = bytes + size; p < end; n++) {
		struct stored_row head;
		memcpy(&head, p, sizeof head);
		p += sizeof head;
		/* Heads and features are multiples of 4 bytes, so features are aligned. */
		rows[head.place - first] = (struct example){ .label = (float)head.label,
							     .n = head.n,
							     .features = (const struct feature *)(const void *)p };
		p += head.n * sizeof(struct feature);
	}
	return n;
}

static enum rc give_blocks(const struct deal *d, const struct example *rows, uint32_t n, deal_taker *take, void *ctx,
			   struct err *err)
{
	enum rc rc = RC_OK;
	for (uint32_t i = 0; i < n && rc == RC_OK; i += d->block_rows)
		rc = take(ctx, rows + i, n - i < d->block_rows ? n - i : d->block_rows, err);
	return rc;
}

enum rc deal_out(struct deal *d, deal_taker *take, void *ctx, struct err *err)
{
	enum rc rc = RC_OK;
	uint64_t max_size = 0;

	for (uint64_t g = 0; g < d->n_groups && rc == RC_OK; g++) {
		rc = put_chunk(d, g, d->groups[g].bytes, d->groups[g].len, err);
		mem_free(d->groups[g].bytes);
		d->groups[g].bytes = NULL;
		max_size = d->groups[g].size > max_size ? d->groups[g].size : max_size;
	}
	if (rc == RC_OK)
		rc = spool_flush(&d->file, err);
	if (rc != RC_OK)
		return rc;
	size_t *first = mem_array(d->n_groups + 1, sizeof first[0]);
	struct chunk *chunks = sort_chunks(d, first);
	char *bytes = mem_alloc(max_size);
	struct example *rows = mem_array(d->group_rows, sizeof rows[0]);
	for (uint64_t g = 0; g < d->n_groups && rc == RC_OK; g++) {
		rc = read_group(d, chunks + first[g], first[g + 1] - first[g], bytes, err);
		if (rc != RC_OK)
			break;
		uint32_t n = place_rows(bytes, d->groups[g].size, g * d->group_rows, rows);
		rc = give_blocks(d, rows, n, take, ctx, err);
	}
	mem_free(rows);
	mem_free(bytes);
	mem_free(chunks);
	mem_free(first);
	return rc;
}

/*
 * A Feistel network over 2 half_bits >= log2 n bits permutes 0 .. 4^half_bits - 1; walking on while outside of
 * 0 .. n-1 makes it one of those (cycle walking; fewer than 4 steps on average). Four rounds mix well enough.
 */
void shuffle_init(struct shuffle *s, uint64_t n, uint64_t seed)
{
	*s = (struct shuffle){ .n = n, .half_bits = 1 };
	while (s->half_bits < 31 && (UINT64_C(1) << 2 * s->half_bits) < n)
		s->half_bits++;
	for (int i = 0; i < 4; i++)
		s->keys[i] = rng_splitmix64(&seed);
}

uint64_t shuffle_of(const struct shuffle *s, uint64_t i)
{
	uint64_t mask = (UINT64_C(1) << s->half_bits) - 1;

	must(i < s->n);
	do {
		uint64_t left = i >> s->half_bits, right = i & mask;
		for (int k = 0; k < 4; k++) {
			uint64_t next = left ^ (feat_mix(right ^ s->keys[k]) & mask);
			left = right;
			right = next;
		}
		i = left << s->half_bits | right;
	} while (i >= s->n);
	return i;
}
