/*
 * A kept row is one block: the row struct, then the bytes of its texts and blobs, each followed by a NUL. Its pointers
 * point into the block itself, so that handing out is one copy of the block and moving these pointers along.
 */
#include "store/sqlite/memo.h"

#include <string.h>
#include "base/mem.h"
#include "base/must.h"

void memo_fini(struct memo *m)
{
	for (int i = 0; i < MEMO_PLACES; i++)
		mem_free(m->places[i].bytes);
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
	return h;
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

static struct memo_row *place_of(struct memo *m, const struct memo_key *key)
{
	return &m->places[key->hash & (MEMO_PLACES - 1)];
}

static bool is_of(const struct memo_row *r, const struct memo_key *key)
{
	return r->hash == key->hash && r->key_len == key->len && memcmp(r->bytes + r->size, key->bytes, key->len) == 0;
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
	const struct memo_row *kept = place_of(m, key);

	if (!kept->bytes || kept->era != m->era || !is_of(kept, key))
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
	struct memo_row *place = place_of(m, key);
	size_t size = size_of(t, row);

	if (m->era == 0 || size > MEMO_SIZE_MAX)
		return;
	mem_free(place->bytes);
	*place = (struct memo_row){ .hash = key->hash, .era = m->era, .key_len = key->len, .size = size,
				    .bytes = mem_alloc(size + key->len) };
	pack(place->bytes, t, row);
	memcpy(place->bytes + size, key->bytes, key->len);
}
