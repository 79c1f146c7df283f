/*
 * A kept row is one block: the row struct, then the bytes of its texts and blobs, each followed by a NUL. Its pointers
 * point into the block itself, so that handing out is one copy of the block and moving these pointers along.
 */
#include "store/sqlite/memo.h"

#include <string.h>
#include "base/mem.h"
#include "base/must.h"

enum { ROW_USUAL_SIZE = 512, PLACES_LEAST = 64, ASKED_PER_PLACE = 4 /* what is read once passes through there */ };

/* ---- places ---- */

static void free_row(struct memo *m, struct memo_row *r)
{
	if (!r->bytes)
		return;
	m->size -= r->size + r->key_len;
	mem_free(r->bytes);
	r->bytes = NULL;
}

void memo_fini(struct memo *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		free_row(m, &m->places[i]);
	mem_free(m->places);
	mem_free(m->asked);
	m->places = NULL;
	m->asked = NULL;
	m->n_places = m->hand = 0;
}

void memo_limit(struct memo *m, size_t size)
{
	memo_fini(m);
	m->limit = size;
}

static void make_places(struct memo *m)
{
	m->limit = m->limit ? m->limit : MEMO_USUAL_SIZE;
	m->n_places = PLACES_LEAST;
	while (m->n_places < m->limit / ROW_USUAL_SIZE)
		m->n_places *= 2;
	m->places = mem_array(m->n_places, sizeof *m->places);
	m->asked = mem_array(m->n_places * ASKED_PER_PLACE, sizeof *m->asked);
}

static struct memo_row *set_of(const struct memo *m, const struct memo_key *key)
{
	return &m->places[key->hash & (m->n_places - MEMO_WAYS)];
}

/* In the set of its key: one that is free or holds what is forgotten, else each in turn. */
static struct memo_row *free_place(struct memo *m, const struct memo_key *key)
{
	struct memo_row *set = set_of(m, key), *place = &set[m->turn++ % MEMO_WAYS];

	for (int i = 0; i < MEMO_WAYS; i++) {
		if (!set[i].bytes || set[i].era != m->era)
			place = &set[i];
	}
	free_row(m, place);
	return place;
}

static void make_room(struct memo *m, size_t size)
{
	while (m->size && m->size + size > m->limit) {
		free_row(m, &m->places[m->hand]);
		m->hand = (m->hand + 1) & (m->n_places - 1);
	}
}

/* Was it asked for before, as far as is known? From now on it was. */
static bool was_asked(struct memo *m, const struct memo_key *key)
{
	uint16_t bits = (uint16_t)(key->hash >> 48);
	uint16_t *asked = &m->asked[key->hash >> 16 & (m->n_places * ASKED_PER_PLACE - 1)];
	bool is_known = *asked == bits;

	*asked = bits;
	return is_known;
}

void memo_version(struct memo *m, int64_t version)
{
	if (m->era && m->version == version)
		return;
	m->version = version;
	m->era++;
}

/* ---- the key ---- */

static bool add(struct memo_key *key, const void *bytes, size_t len)
{
	if (len > MEMO_KEY_MAX - key->len)
		return false;
	memcpy(key->bytes + key->len, bytes, len);
	key->len += len;
	return true;
}

/* FNV-1a over eight bytes at a time, the last ones padded with zeros: keys have lengths of their own beside it. */
static uint64_t hash_of(const unsigned char *bytes, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325), word;
	for (; len > 0; bytes += sizeof word) {
		size_t n = len < sizeof word ? len : sizeof word;
		word = 0;
		memcpy(&word, bytes, n);
		h = (h ^ word) * UINT64_C(0x100000001b3);
		h ^= h >> 32;
		len -= n;
	}
	/* The last words, in which keys of one shape differ, shall reach all bits. */
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

bool memo_key(struct memo_key *key, const struct shape *shape, const struct query *q)
{
	key->len = 0;
	if (!add(key, shape, sizeof *shape))
		return false;
	for (int i = 0; i < shape->n_preds; i++) {
		const struct pred *p = &q->preds[i];
		const char *text = p->v_text ? p->v_text : "";
		bool is_int = shape->table->cols[shape->pred_col[i]].type == COL_INT;
		if (is_int ? !add(key, &p->v_int, sizeof p->v_int) : !add(key, text, strlen(text) + 1))
			return false;
	}
	key->hash = hash_of(key->bytes, key->len);
	return true;
}

static bool is_of(const struct memo_row *r, const struct memo_key *key)
{
	return r->bytes && r->hash == key->hash && r->key_len == key->len &&
	       memcmp(r->bytes + r->size, key->bytes, key->len) == 0;
}

/* NULL: it is not kept. */
static const struct memo_row *find(const struct memo *m, const struct memo_key *key)
{
	const struct memo_row *set = m->n_places ? set_of(m, key) : NULL;

	for (int i = 0; set && i < MEMO_WAYS; i++) {
		if (set[i].era == m->era && is_of(&set[i], key))
			return &set[i];
	}
	return NULL;
}

/* ---- the row ---- */

static bool has_bytes(const struct table *t, int col)
{
	return t->cols[col].type == COL_TEXT || t->cols[col].type == COL_BLOB;
}

static struct blob bytes_of(const struct table *t, int col, const void *row)
{
	if (t->cols[col].type == COL_BLOB)
		return row_blob(t, col, row);
	const char *text = row_text(t, col, row);
	return (struct blob){ text, strlen(text) };
}

/* Where the row keeps the pointer to the bytes of that column. */
static const void **pointer_of(const struct table *t, int col, void *row)
{
	void *slot = row_slot(t, col, row);
	return t->cols[col].type == COL_BLOB ? &((struct blob *)slot)->bytes : (const void **)slot;
}

enum rc memo_get(struct memo *m, const struct memo_key *key, const struct table *t, void *row, struct arena *a)
{
	const struct memo_row *kept = find(m, key);

	if (!kept)
		return RC_NOT_FOUND;
	char *block = arena_dup_n(a, (const char *)kept->bytes, kept->size);
	if (!block)
		return RC_LIMIT;
	memcpy(row, block, t->row_size);
	for (int i = 0; i < t->n_cols; i++) {
		const void **pointer = has_bytes(t, i) ? pointer_of(t, i, row) : NULL;
		if (pointer)
			*pointer = block + ((const unsigned char *)*pointer - kept->bytes);
	}
	m->n_hits++;
	return RC_OK;
}

static size_t size_of(const struct table *t, const void *row)
{
	size_t size = t->row_size;
	for (int i = 0; i < t->n_cols; i++)
		size += has_bytes(t, i) ? bytes_of(t, i, row).len + 1 : 0;
	return size;
}

/* row into the block, whose bytes are zero. */
static void pack(unsigned char *block, const struct table *t, const void *row)
{
	unsigned char *end = block + t->row_size;

	memcpy(block, row, t->row_size);
	for (int i = 0; i < t->n_cols; i++) {
		if (!has_bytes(t, i))
			continue;
		struct blob b = bytes_of(t, i, row);
		memcpy(end, b.bytes, b.len);
		*pointer_of(t, i, block) = end;
		end += b.len + 1;
	}
}

void memo_keep(struct memo *m, const struct memo_key *key, const struct table *t, const void *row)
{
	if (m->era == 0)
		return;
	if (!m->n_places)
		make_places(m);
	size_t size = was_asked(m, key) ? size_of(t, row) : 0;
	if (size == 0 || size > MEMO_SIZE_MAX)
		return;
	make_room(m, size + key->len);
	struct memo_row *place = free_place(m, key);
	*place = (struct memo_row){ .hash = key->hash,
				    .era = m->era,
				    .key_len = (uint32_t)key->len,
				    .size = (uint32_t)size,
				    .bytes = mem_alloc(size + key->len) };
	m->size += size + key->len;
	pack(place->bytes, t, row);
	memcpy(place->bytes + size, key->bytes, key->len);
}
