/*
 * Totals are arrays of sums. A ranking is a heap of at most top_n entries with the smallest at the root, so a key that
 * is smaller than the root costs one comparison; of equal ones the earlier in the file stays.
 */
#include "rdb/report.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "json/json.h"
#include "rdb/heavy.h"

struct sums {
	uint64_t n_keys, n_elements, memory_size, file_size, n_expiring, longest_size;
};

struct ranked {
	uint64_t rank;
	struct rdb_key key; /* its name is in here */
	uint8_t name[RDB_REPORT_NAME_MAX];
};

struct ranking {
	int n;
	struct ranked *heap;
};

enum { BY_MEMORY, BY_ELEMENTS, RANKINGS };

/* A key that expires in less than below_ms belongs to the first such class. */
static const struct {
	const char *name;
	int64_t below_ms;
} expiry_classes[] = {
	{ "expired", 1 },
	{ "within1m", INT64_C(60) * 1000 },
	{ "within1h", INT64_C(3600) * 1000 },
	{ "within1d", INT64_C(86400) * 1000 },
	{ "within7d", INT64_C(7) * 86400 * 1000 },
	{ "within30d", INT64_C(30) * 86400 * 1000 },
	{ "later", INT64_MAX },
	{ "never", 0 }, /* has no expiry */
};
enum { EXPIRY_CLASSES = (int)ARRAY_LEN(expiry_classes), NEVER = EXPIRY_CLASSES - 1, LATER = NEVER - 1 };

struct rdb_report {
	struct rdb_report_options o;
	struct sums all, of_type[RDB_TYPES], of_expiry[EXPIRY_CLASSES], unprefixed;
	int n_databases;
	uint32_t database[RDB_REPORT_DATABASES];
	struct sums of_database[RDB_REPORT_DATABASES + 1][RDB_TYPES]; /* the last row: those that had no place */
	struct ranking ranking[RANKINGS][RDB_TYPES];
	struct heavy *prefixes;
};

struct rdb_report *rdb_report_new(const struct rdb_report_options *o)
{
	must(o->top_n >= 1 && o->top_n <= RDB_REPORT_TOP_MAX);
	must(o->depth >= 1 && o->depth <= RDB_REPORT_DEPTH_MAX);
	struct rdb_report *r = mem_new(struct rdb_report);
	r->o = *o;
	for (int by = 0; by < RANKINGS; by++)
		for (int type = 0; type < RDB_TYPES; type++)
			r->ranking[by][type].heap = mem_array((size_t)o->top_n, sizeof(struct ranked));
	r->prefixes = heavy_new(RDB_REPORT_PREFIXES);
	return r;
}

void rdb_report_free(struct rdb_report *r)
{
	if (!r)
		return;
	for (int by = 0; by < RANKINGS; by++)
		for (int type = 0; type < RDB_TYPES; type++)
			mem_free(r->ranking[by][type].heap);
	heavy_free(r->prefixes);
	mem_free(r);
}

/* ---- adding ---- */

static void sums_add(struct sums *s, const struct rdb_key *k)
{
	s->n_keys++;
	s->n_elements += k->n_elements;
	s->memory_size += k->memory_size;
	s->file_size += k->file_size;
	s->n_expiring += k->has_expiry;
	if (k->longest_size > s->longest_size)
		s->longest_size = k->longest_size;
}

static int database_row(struct rdb_report *r, uint32_t db)
{
	for (int i = r->n_databases; i--;) /* the last one is the present one */
		if (r->database[i] == db)
			return i;
	if (r->n_databases == RDB_REPORT_DATABASES)
		return RDB_REPORT_DATABASES;
	r->database[r->n_databases] = db;
	return r->n_databases++;
}

static int expiry_class(const struct rdb_report *r, const struct rdb_key *k)
{
	int64_t left_ms;

	if (!k->has_expiry)
		return NEVER;
	if (__builtin_sub_overflow(k->expires_at_ms, r->o.now_ms, &left_ms))
		return k->expires_at_ms < 0 ? 0 : LATER;
	int i = 0;
	while (i < LATER && left_ms >= expiry_classes[i].below_ms)
		i++;
	return i;
}

static bool ranks_below(const struct ranked *a, const struct ranked *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->key.offset > b->key.offset;
}

static void swap(struct ranked *a, struct ranked *b)
{
	struct ranked t = *a;
	*a = *b;
	*b = t;
}

static void heap_rise(struct ranked *heap, int at)
{
	for (; at && ranks_below(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap(&heap[at], &heap[(at - 1) / 2]);
}

static void heap_sink(struct ranked *heap, int n, int at)
{
	for (;;) {
		int child = 2 * at + 1;
		if (child + 1 < n && ranks_below(&heap[child + 1], &heap[child]))
			child++;
		if (child >= n || !ranks_below(&heap[child], &heap[at]))
			return;
		swap(&heap[at], &heap[child]);
		at = child;
	}
}

static void ranked_set(struct ranked *e, const struct rdb_key *k, uint64_t rank)
{
	size_t kept = k->name_kept < RDB_REPORT_NAME_MAX ? k->name_kept : RDB_REPORT_NAME_MAX;

	e->rank = rank;
	e->key = *k;
	e->key.name = NULL;
	e->key.name_kept = kept;
	memcpy(e->name, k->name, kept);
}

static void ranking_add(struct ranking *g, int top_n, const struct rdb_key *k, uint64_t rank)
{
	if (g->n < top_n) {
		ranked_set(&g->heap[g->n], k, rank);
		heap_rise(g->heap, g->n++);
	} else if (rank > g->heap[0].rank) {
		ranked_set(&g->heap[0], k, rank);
		heap_sink(g->heap, g->n, 0);
	}
}

static void prefixes_add(struct rdb_report *r, const struct rdb_key *k)
{
	size_t len = 0;

	for (int depth = 0; depth < r->o.depth; depth++) {
		const uint8_t *at = memchr(k->name + len, r->o.separator, k->name_kept - len);
		if (!at)
			break;
		len = (size_t)(at - k->name) + 1;
		heavy_add(r->prefixes, k->name, len, k->memory_size);
	}
	if (!len)
		sums_add(&r->unprefixed, k);
}

enum rc rdb_report_key(void *report, const struct rdb_key *k, struct err *err)
{
	struct rdb_report *r = report;

	(void)err; /* nothing can fail */
	sums_add(&r->all, k);
	sums_add(&r->of_type[k->type], k);
	sums_add(&r->of_expiry[expiry_class(r, k)], k);
	sums_add(&r->of_database[database_row(r, k->db)][k->type], k);
	ranking_add(&r->ranking[BY_MEMORY][k->type], r->o.top_n, k, k->memory_size);
	ranking_add(&r->ranking[BY_ELEMENTS][k->type], r->o.top_n, k, k->n_elements);
	prefixes_add(r, k);
	return RC_OK;
}

/* ---- writing ---- */

/* Bytes of a well-formed character of UTF-8 that is no control character and no backslash; else 0. */
static size_t plain_char(const uint8_t *p, size_t left)
{
	if (*p < 0x80)
		return *p >= 0x20 && *p != 0x7f && *p != '\\';
	size_t n = *p >= 0xc2 && *p <= 0xdf ? 2 : *p >= 0xe0 && *p <= 0xef ? 3 : *p >= 0xf0 && *p <= 0xf4 ? 4 : 0;
	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (p[i] >> 6 != 2)
			return 0;
	/* Not in the shortest form, a surrogate, past the last character; c2 80 .. 9f are controls. */
	bool is_bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
	              (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90) || (p[0] == 0xc2 && p[1] < 0xa0);
	return is_bad ? 0 : n;
}

/* Names are any bytes: what is no text is written \xNN, and a backslash doubled, so that no two names look alike. */
static void write_name(struct jw *w, const char *key, const uint8_t *name, size_t len)
{
	struct buf text;
	buf_init(&text, 4 * RDB_NAME_MAX);
	for (size_t i = 0; i < len;) {
		size_t n = plain_char(name + i, len - i);
		if (n)
			buf_add(&text, name + i, n);
		else if (name[i] == '\\')
			buf_adds(&text, "\\\\");
		else
			buf_addf(&text, "\\x%02x", name[i]);
		i += n ? n : 1;
	}
	jw_kv_text(w, key, buf_text(&text));
	buf_fini(&text);
}

/* JSON numbers are signed here; no sum of sizes in a file comes near the limit, a hostile stream's count may. */
static void kv_count(struct jw *w, const char *key, uint64_t v)
{
	jw_kv_int(w, key, v < INT64_MAX ? (int64_t)v : INT64_MAX);
}

static void write_sums(struct jw *w, const struct sums *s)
{
	kv_count(w, "keys", s->n_keys);
	kv_count(w, "elements", s->n_elements);
	kv_count(w, "memoryBytes", s->memory_size);
	kv_count(w, "fileBytes", s->file_size);
	kv_count(w, "expiringKeys", s->n_expiring);
	kv_count(w, "longestElementBytes", s->longest_size);
}

static void write_types(struct jw *w, const struct sums of_type[RDB_TYPES])
{
	jw_key(w, "types");
	jw_array(w);
	for (int type = 0; type < RDB_TYPES; type++) {
		if (!of_type[type].n_keys)
			continue;
		jw_object(w);
		jw_kv_text(w, "type", rdb_type_name((enum rdb_type)type));
		write_sums(w, &of_type[type]);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_databases(struct jw *w, const struct rdb_report *r)
{
	jw_key(w, "databases");
	jw_array(w);
	for (int i = 0; i < r->n_databases; i++) {
		jw_object(w);
		jw_kv_int(w, "db", r->database[i]);
		write_types(w, r->of_database[i]);
		jw_end_object(w);
	}
	jw_end_array(w);
	if (r->n_databases == RDB_REPORT_DATABASES) {
		jw_key(w, "otherDatabases");
		jw_object(w);
		write_types(w, r->of_database[RDB_REPORT_DATABASES]);
		jw_end_object(w);
	}
}

static void write_expiry(struct jw *w, const struct rdb_report *r)
{
	jw_key(w, "expiry");
	jw_array(w);
	for (int i = 0; i < EXPIRY_CLASSES; i++) {
		jw_object(w);
		jw_kv_text(w, "when", expiry_classes[i].name);
		kv_count(w, "keys", r->of_expiry[i].n_keys);
		kv_count(w, "memoryBytes", r->of_expiry[i].memory_size);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_ranked(struct jw *w, const struct ranked *e)
{
	const struct rdb_key *k = &e->key;

	jw_object(w);
	write_name(w, "name", e->name, k->name_kept);
	if (k->name_len > k->name_kept)
		kv_count(w, "nameBytes", k->name_len); /* the name is cut */
	jw_kv_int(w, "db", k->db);
	jw_kv_text(w, "encoding", rdb_encoding_name(k->encoding));
	kv_count(w, "elements", k->n_elements);
	kv_count(w, "memoryBytes", k->memory_size);
	kv_count(w, "fileBytes", k->file_size);
	kv_count(w, "longestElementBytes", k->longest_size);
	if (k->has_expiry)
		jw_kv_int(w, "expiresAtMs", k->expires_at_ms);
	if (k->idle_s >= 0)
		jw_kv_int(w, "idleSeconds", k->idle_s);
	if (k->freq >= 0)
		jw_kv_int(w, "frequency", k->freq);
	if (k->type == RDB_STREAM) {
		kv_count(w, "groups", k->n_groups);
		kv_count(w, "consumers", k->n_consumers);
		kv_count(w, "pending", k->n_pending);
	}
	if (k->type == RDB_MODULE)
		jw_kv_text(w, "module", k->module);
	jw_end_object(w);
}

static int ranked_order(const void *a, const void *b)
{
	const struct ranked *x = *(const struct ranked *const *)a, *y = *(const struct ranked *const *)b;
	return ranks_below(x, y) ? 1 : ranks_below(y, x) ? -1 : 0;
}

static void write_ranking(struct jw *w, const char *type, const struct ranking *g)
{
	const struct ranked *order[RDB_REPORT_TOP_MAX];

	if (!g->n)
		return;
	for (int i = 0; i < g->n; i++)
		order[i] = &g->heap[i];
	qsort(order, (size_t)g->n, sizeof order[0], ranked_order);
	jw_key(w, type);
	jw_array(w);
	for (int i = 0; i < g->n; i++)
		write_ranked(w, order[i]);
	jw_end_array(w);
}

static void write_rankings(struct jw *w, const struct rdb_report *r)
{
	static const char *const keys[RANKINGS] = { [BY_MEMORY] = "topByMemory", [BY_ELEMENTS] = "topByElements" };

	for (int by = 0; by < RANKINGS; by++) {
		jw_key(w, keys[by]);
		jw_object(w);
		for (int type = 0; type < RDB_TYPES; type++)
			write_ranking(w, rdb_type_name((enum rdb_type)type), &r->ranking[by][type]);
		jw_end_object(w);
	}
}

static void write_prefixes(struct jw *w, const struct rdb_report *r)
{
	const struct heavy_item *top[RDB_REPORT_TOP_MAX];
	unsigned n = heavy_top(r->prefixes, top, (unsigned)r->o.top_n);

	jw_key(w, "prefixes");
	jw_array(w);
	for (unsigned i = 0; i < n; i++) {
		jw_object(w);
		write_name(w, "prefix", top[i]->name, top[i]->len);
		kv_count(w, "memoryBytesAtMost", top[i]->weight);
		kv_count(w, "memoryBytesAtLeast", top[i]->weight - top[i]->error);
		kv_count(w, "keysAtLeast", top[i]->n);
		jw_end_object(w);
	}
	jw_end_array(w);
	jw_key(w, "withoutPrefix");
	jw_object(w);
	write_sums(w, &r->unprefixed);
	jw_end_object(w);
}

static void write_file(struct jw *w, const struct rdb_info *info)
{
	static const char *const checksums[] = {
		[RDB_CHECKSUM_GOOD] = "good",
		[RDB_CHECKSUM_OFF] = "off",
		[RDB_CHECKSUM_ABSENT] = "absent",
	};
	enum { YEARS_S_MAX = INT32_MAX };
	char text[CLOCK_TEXT_SIZE];

	jw_key(w, "file");
	jw_object(w);
	jw_kv_int(w, "rdbVersion", info->version);
	jw_kv_text(w, "redisVersion", *info->redis_version ? info->redis_version : NULL);
	if (info->created_s >= 0 && info->created_s <= YEARS_S_MAX)
		clock_iso(text, info->created_s);
	else
		text[0] = '\0';
	jw_kv_text(w, "createdAt", *text ? text : NULL);
	if (info->used_memory_size >= 0)
		jw_kv_int(w, "usedMemoryBytes", info->used_memory_size);
	jw_kv_text(w, "checksum", checksums[info->checksum]);
	kv_count(w, "bytes", info->file_size);
	kv_count(w, "functions", info->n_functions);
	jw_end_object(w);
}

void rdb_report_write(const struct rdb_report *r, const struct rdb_info *info, struct buf *out)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	write_file(&w, info);
	jw_key(&w, "total");
	jw_object(&w);
	write_sums(&w, &r->all);
	jw_end_object(&w);
	write_types(&w, r->of_type);
	write_databases(&w, r);
	write_expiry(&w, r);
	write_rankings(&w, r);
	write_prefixes(&w, r);
	jw_end_object(&w);
}
