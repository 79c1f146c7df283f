/*
 * Values by type byte, out of a table. Counts come first in the file, so a hostile one is compared with the bytes left
 * before anything loops over it; each turn of a loop then takes at least one byte.
 */
#include <string.h>
#include "base/num.h"
#include "rdb/rdb_priv.h"

struct kind {
	uint8_t code;
	enum rdb_type type;
	enum rdb_encoding encoding;
	bool (*take)(struct input *in, const struct kind *kind, struct rdb_key *k);
	walk_fn *walk;      /* of packed kinds and quicklists */
	uint8_t period;     /* strings in a row that make one element */
	uint8_t n_measured; /* how many of them are the user's: not scores, not times */
	uint8_t version;    /* of streams */
};

static void measure(struct rdb_key *k, const struct text *t)
{
	if (t->len > k->longest_size)
		k->longest_size = t->len;
	k->is_compressed |= t->kind == TEXT_LZF;
}

static bool element_text(struct input *in, struct rdb_key *k)
{
	struct text t;
	if (!skip_text(in, &t))
		return false;
	measure(k, &t);
	k->memory_size += mem_sds(t.len);
	return true;
}

/* ---- strings ---- */

/* Redis keeps every text that is a number of 64 bits as a number, also those too wide for a number in the file. */
static bool looks_like_int(struct input *in, const struct text *t, bool *is_int)
{
	enum { DIGITS_MAX = 20 };
	int64_t v;

	*is_int = false;
	if (t->kind != TEXT_PLAIN || !t->len || t->len > DIGITS_MAX)
		return true;
	if (!in_need(in, t->len))
		return false;
	/* The same value has one spelling: no leading zero, no "-0". */
	*is_int = num_i64_n((const char *)in->at, t->len, &v) && decimal_len(v) == t->len;
	return true;
}

static bool take_string(struct input *in, const struct kind *kind, struct rdb_key *k)
{
	enum { EMBEDDED_MAX = 44 };
	struct text t;
	bool is_int;

	(void)kind; /* there is one */
	if (!take_text(in, &t) || !looks_like_int(in, &t, &is_int) || !skip_content(in, &t))
		return false;
	is_int |= t.kind == TEXT_INT;
	k->encoding = is_int ? RDB_ENC_INT : t.len <= EMBEDDED_MAX ? RDB_ENC_EMBSTR : RDB_ENC_RAW;
	k->n_elements = 1;
	measure(k, &t);
	k->memory_size += mem_string(k->encoding, t.len);
	return true;
}

/* ---- element after element: list, set, hash, zset ---- */

/* Scores as text, before version 8: a length, or one of three words. */
static bool skip_text_score(struct input *in)
{
	enum { WORDS = 253 }; /* not a number, +inf, -inf */
	uint8_t len;
	return in_u8(in, &len) && (len >= WORDS || in_skip(in, len));
}

enum { CODE_LIST = 1, CODE_ZSET = 3, CODE_ZSET_2 = 5, CODE_HASH_TIMES = 24 };

static bool skip_beside(struct input *in, const struct kind *kind)
{
	enum { SCORE_SIZE = 8 };
	uint64_t expires;

	switch (kind->code) {
	case CODE_ZSET:
		return skip_text_score(in);
	case CODE_ZSET_2:
		return in_skip(in, SCORE_SIZE);
	default:
		return kind->code != CODE_HASH_TIMES || take_len(in, &expires);
	}
}

static bool take_members(struct input *in, const struct kind *kind, struct rdb_key *k)
{
	uint64_t n, earliest;

	if (kind->code == CODE_HASH_TIMES && !in_le64(in, &earliest))
		return false;
	if (!take_count(in, "elements", kind->n_measured, &n))
		return false;
	for (uint64_t i = 0; i < n; i++) {
		bool beside_first = kind->code == CODE_HASH_TIMES;
		if (beside_first && !skip_beside(in, kind))
			return false;
		for (unsigned text = 0; text < kind->n_measured; text++)
			if (!element_text(in, k))
				return false;
		if (!beside_first && !skip_beside(in, kind))
			return false;
	}
	k->n_elements = n;
	k->memory_size += kind->code == CODE_LIST ? mem_quicklist() : mem_table(n);
	if (kind->type == RDB_ZSET)
		k->memory_size += mem_skiplist(n);
	return true;
}

/* ---- packed in one string ---- */

static bool walk_text(struct input *in, walk_fn *walk, struct walk *w, struct text *out)
{
	struct text t;
	struct blob b;
	if (!take_text(in, &t) || !blob_open(in, &t, &b) || !walk(&b, w) || !blob_close(&b))
		return false;
	*out = t;
	return true;
}

static bool divide(struct input *in, const struct walk *w, unsigned period, uint64_t *n)
{
	if (w->n % period)
		return in_bad(in, "%llu packed strings do not come in groups of %u", (unsigned long long)w->n, period);
	*n = w->n / period;
	return true;
}

static bool take_packed(struct input *in, const struct kind *kind, struct rdb_key *k)
{
	enum { CODE_LISTPACK_TIMES = 25 };
	struct walk w = { .period = kind->period, .n_measured = kind->n_measured };
	struct text t;
	uint64_t earliest;

	if (kind->code == CODE_LISTPACK_TIMES && !in_le64(in, &earliest))
		return false;
	if (!walk_text(in, kind->walk, &w, &t) || !divide(in, &w, kind->period, &k->n_elements))
		return false;
	k->longest_size = w.longest;
	k->is_compressed = t.kind == TEXT_LZF;
	k->memory_size += mem_packed(t.len);
	return true;
}

/* ---- quicklists: blocks of elements ---- */

enum { CODE_QUICKLIST_2 = 18 };
enum { NODE_PLAIN = 1, NODE_PACKED = 2 };

static bool take_node(struct input *in, const struct kind *kind, struct walk *w, struct rdb_key *k)
{
	uint64_t container = NODE_PACKED;
	struct text t;

	if (kind->code == CODE_QUICKLIST_2 && !take_len(in, &container))
		return false;
	if (container == NODE_PLAIN) {
		if (!skip_text(in, &t))
			return false;
		measure(k, &t);
		w->n++;
	} else if (container == NODE_PACKED) {
		if (!walk_text(in, kind->walk, w, &t))
			return false;
		k->is_compressed |= t.kind == TEXT_LZF;
	} else {
		return in_bad(in, "%llu is no form of a list's block", (unsigned long long)container);
	}
	k->memory_size += mem_node(t.len);
	return true;
}

static bool take_quicklist(struct input *in, const struct kind *kind, struct rdb_key *k)
{
	struct walk w = { .period = 1, .n_measured = 1 };
	uint64_t n;

	if (!take_count(in, "blocks of a list", 2, &n))
		return false;
	for (uint64_t i = 0; i < n; i++)
		if (!take_node(in, kind, &w, k))
			return false;
	k->n_elements = w.n;
	if (w.longest > k->longest_size)
		k->longest_size = w.longest;
	k->memory_size += mem_quicklist();
	return true;
}

/* ---- streams ---- */

enum { STREAM_ID_SIZE = 16, TIME_SIZE = 8 };

static bool skip_lens(struct input *in, unsigned n)
{
	uint64_t v;
	for (unsigned i = 0; i < n; i++)
		if (!take_len(in, &v))
			return false;
	return true;
}

static bool stream_blocks(struct input *in, struct rdb_key *k)
{
	struct walk w = { .period = 1, .n_measured = 1 };
	struct text id, t;
	uint64_t n;

	if (!take_count(in, "blocks of a stream", 2 + STREAM_ID_SIZE, &n))
		return false;
	for (uint64_t i = 0; i < n; i++) {
		if (!skip_text(in, &id))
			return false;
		if (id.len != STREAM_ID_SIZE)
			return in_bad(in, "an entry's id of %llu bytes", (unsigned long long)id.len);
		if (!walk_text(in, walk_listpack, &w, &t))
			return false;
		k->is_compressed |= t.kind == TEXT_LZF;
		k->memory_size += mem_block(t.len);
	}
	k->longest_size = w.longest;
	k->memory_size += mem_stream(n);
	return true;
}

/* Entries given to a consumer and not yet acknowledged: of a group id, time, times; of a consumer the id alone. */
static bool group_pending(struct input *in, uint64_t *n)
{
	uint64_t times;
	if (!take_count(in, "pending entries", STREAM_ID_SIZE + TIME_SIZE + 1, n))
		return false;
	for (uint64_t i = 0; i < *n; i++)
		if (!in_skip(in, STREAM_ID_SIZE + TIME_SIZE) || !take_len(in, &times))
			return false;
	return true;
}

static bool take_consumer(struct input *in, const struct kind *kind, struct rdb_key *k, uint64_t *n_pending)
{
	unsigned n_times = kind->version >= 3 ? 2 : 1; /* seen, active */
	struct text name;
	uint64_t n;

	if (!skip_text(in, &name) || !in_skip(in, n_times * TIME_SIZE) ||
	    !take_count(in, "pending entries", STREAM_ID_SIZE, &n) || !in_skip(in, n * STREAM_ID_SIZE))
		return false;
	k->n_consumers++;
	k->memory_size += mem_consumer(name.len, n);
	*n_pending += n;
	return true;
}

static bool take_group(struct input *in, const struct kind *kind, struct rdb_key *k)
{
	unsigned n_lens = kind->version >= 2 ? 3 : 2; /* last id in two parts; entries read */
	uint64_t n_pending, n_consumers, n_owned = 0;
	struct text name;

	if (!skip_text(in, &name) || !skip_lens(in, n_lens) || !group_pending(in, &n_pending) ||
	    !take_count(in, "consumers", 2 + TIME_SIZE, &n_consumers))
		return false;
	for (uint64_t i = 0; i < n_consumers; i++)
		if (!take_consumer(in, kind, k, &n_owned))
			return false;
	if (n_owned != n_pending)
		return in_bad(in, "a group has %llu pending entries, its consumers %llu", (unsigned long long)n_pending,
		              (unsigned long long)n_owned);
	k->n_groups++;
	k->n_pending += n_pending;
	k->memory_size += mem_group(n_pending);
	return true;
}

static bool take_stream(struct input *in, const struct kind *kind, struct rdb_key *k)
{
	unsigned n_lens = kind->version >= 2 ? 7 : 2; /* last id; first id, highest deleted id, entries ever added */
	uint64_t n_groups;

	if (!stream_blocks(in, k) || !take_len(in, &k->n_elements) || !skip_lens(in, n_lens) ||
	    !take_count(in, "groups", 5, &n_groups))
		return false;
	for (uint64_t i = 0; i < n_groups; i++)
		if (!take_group(in, kind, k))
			return false;
	return true;
}

/* ---- modules: every field says what it is, so the module is not needed ---- */

bool skip_module_fields(struct input *in, uint64_t *n, uint64_t *longest)
{
	enum { END, SINT, UINT, FLOAT, DOUBLE, STRING };
	uint64_t what, number;
	struct text t;

	for (*n = 0, *longest = 0;; ++*n) {
		if (!take_len(in, &what))
			return false;
		bool ok;
		switch (what) {
		case END:
			return true;
		case SINT:
		case UINT:
			ok = take_len(in, &number);
			break;
		case FLOAT:
			ok = in_skip(in, 4);
			break;
		case DOUBLE:
			ok = in_skip(in, 8);
			break;
		case STRING:
			ok = skip_text(in, &t);
			if (ok && t.len > *longest)
				*longest = t.len;
			break;
		default:
			return in_bad(in, "%llu is no kind of a module's field", (unsigned long long)what);
		}
		if (!ok)
			return false;
	}
}

/* Nine characters of six bits, and ten bits of version. */
void module_name(uint64_t id, char out[10])
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	id >>= 10;
	for (int i = 9; i--; id >>= 6)
		out[i] = set[id & 63];
	out[9] = '\0';
}

static bool take_module(struct input *in, const struct kind *kind, struct rdb_key *k)
{
	uint64_t id, before = in_offset(in);

	(void)kind; /* there is one */
	if (!take_len(in, &id) || !skip_module_fields(in, &k->n_elements, &k->longest_size))
		return false;
	module_name(id, k->module);
	k->memory_size += mem_packed(in_offset(in) - before); /* only the module knows; this is a floor */
	return true;
}

static const struct kind kinds[] = {
	{ 0, RDB_STRING, RDB_ENC_RAW, take_string, NULL, 1, 1, 0 },
	{ CODE_LIST, RDB_LIST, RDB_ENC_LINKEDLIST, take_members, NULL, 1, 1, 0 },
	{ 2, RDB_SET, RDB_ENC_HASHTABLE, take_members, NULL, 1, 1, 0 },
	{ CODE_ZSET, RDB_ZSET, RDB_ENC_SKIPLIST, take_members, NULL, 1, 1, 0 },
	{ 4, RDB_HASH, RDB_ENC_HASHTABLE, take_members, NULL, 2, 2, 0 },
	{ CODE_ZSET_2, RDB_ZSET, RDB_ENC_SKIPLIST, take_members, NULL, 1, 1, 0 },
	{ 7, RDB_MODULE, RDB_ENC_MODULE, take_module, NULL, 1, 1, 0 },
	{ 9, RDB_HASH, RDB_ENC_ZIPMAP, take_packed, walk_zipmap, 2, 2, 0 },
	{ 10, RDB_LIST, RDB_ENC_ZIPLIST, take_packed, walk_ziplist, 1, 1, 0 },
	{ 11, RDB_SET, RDB_ENC_INTSET, take_packed, walk_intset, 1, 1, 0 },
	{ 12, RDB_ZSET, RDB_ENC_ZIPLIST, take_packed, walk_ziplist, 2, 1, 0 },
	{ 13, RDB_HASH, RDB_ENC_ZIPLIST, take_packed, walk_ziplist, 2, 2, 0 },
	{ 14, RDB_LIST, RDB_ENC_QUICKLIST, take_quicklist, walk_ziplist, 1, 1, 0 },
	{ 15, RDB_STREAM, RDB_ENC_STREAM, take_stream, NULL, 1, 1, 1 },
	{ 16, RDB_HASH, RDB_ENC_LISTPACK, take_packed, walk_listpack, 2, 2, 0 },
	{ 17, RDB_ZSET, RDB_ENC_LISTPACK, take_packed, walk_listpack, 2, 1, 0 },
	{ CODE_QUICKLIST_2, RDB_LIST, RDB_ENC_QUICKLIST, take_quicklist, walk_listpack, 1, 1, 0 },
	{ 19, RDB_STREAM, RDB_ENC_STREAM, take_stream, NULL, 1, 1, 2 },
	{ 20, RDB_SET, RDB_ENC_LISTPACK, take_packed, walk_listpack, 1, 1, 0 },
	{ 21, RDB_STREAM, RDB_ENC_STREAM, take_stream, NULL, 1, 1, 3 },
	{ CODE_HASH_TIMES, RDB_HASH, RDB_ENC_HASHTABLE, take_members, NULL, 2, 2, 0 },
	{ 25, RDB_HASH, RDB_ENC_LISTPACK, take_packed, walk_listpack, 3, 2, 0 },
};

static const struct kind *kind_of(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].code == code)
			return &kinds[i];
	return NULL;
}

bool is_value_code(uint8_t code) { return kind_of(code) != NULL; }

bool take_value(struct input *in, uint8_t code, struct rdb_key *k)
{
	const struct kind *kind = kind_of(code);

	k->type = kind->type;
	k->encoding = kind->encoding;
	return kind->take(in, kind, k);
}
