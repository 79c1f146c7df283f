#include "cache/analyse.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "cache/cache_priv.h"

enum { INFO_SIZE_MAX = 1 << 20, NAME_LEN_MAX = 1024, TOP_MAX = 100, FIELDS_MAX = 64, CLIENTS_MAX = 100000 };

static const struct {
	const char *word, *measure;
} types[CACHE_TYPES] = {
	[CACHE_STRING] = { "string", "STRLEN" }, [CACHE_LIST] = { "list", "LLEN" },
	[CACHE_SET] = { "set", "SCARD" },        [CACHE_ZSET] = { "zset", "ZCARD" },
	[CACHE_HASH] = { "hash", "HLEN" },       [CACHE_STREAM] = { "stream", "XLEN" },
};

const char *cache_type_word(enum cache_type t)
{
	must(t >= 0 && t < CACHE_TYPES);
	return types[t].word;
}

/* -1: no answer, or a type of a module. */
static int type_of(const redisReply *r)
{
	for (int t = 0; t < CACHE_TYPES && reply_is_text(r); t++) {
		if (strcmp(r->str, types[t].word) == 0)
			return t;
	}
	return -1;
}

/* ---- the n greatest ---- */

struct entry {
	struct cache_key key;   /* its name on the heap, cut */
	size_t whole_len;
	uint64_t whole_hash;    /* of a name that was cut: what tells it from others that begin like it */
	bool is_described;
};

struct top {
	struct entry entries[TOP_MAX]; /* greatest first */
	size_t n, cap;
};

static int64_t weight(const struct cache_key *k) { return k->freq >= 0 ? k->freq : k->size; }

static bool is_cut(size_t len) { return len > NAME_LEN_MAX; }

/* FNV-1a; 0 of a name that is kept whole. */
static uint64_t hash_of(const char *name, size_t len)
{
	uint64_t hash = is_cut(len) ? UINT64_C(0xcbf29ce484222325) : 0;

	for (size_t i = 0; is_cut(len) && i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* NULL: the key, with its whole name, is not among them. */
static struct entry *top_find(struct top *t, const struct cache_key *k)
{
	uint64_t hash = hash_of(k->name, k->name_len);

	for (size_t i = 0; i < t->n; i++) {
		struct entry *e = &t->entries[i];
		if (e->key.db == k->db && e->whole_len == k->name_len && e->whole_hash == hash &&
		    memcmp(e->key.name, k->name, e->key.name_len) == 0)
			return e;
	}
	return NULL;
}

/* k with its whole name. SCAN gives a key again when the table of keys shrinks meanwhile. */
static void top_add(struct top *t, struct cache_key k)
{
	if ((t->n == t->cap && weight(&t->entries[t->n - 1].key) >= weight(&k)) || top_find(t, &k))
		return;
	if (t->n == t->cap)
		mem_free((void *)(uintptr_t)t->entries[--t->n].key.name);
	struct entry e = { .key = k, .whole_len = k.name_len, .whole_hash = hash_of(k.name, k.name_len) };
	e.key.name_len = is_cut(k.name_len) ? NAME_LEN_MAX : k.name_len;
	e.key.name = mem_dup_n(k.name, e.key.name_len);
	size_t at = t->n++;
	for (; at > 0 && weight(&t->entries[at - 1].key) < weight(&k); at--)
		t->entries[at] = t->entries[at - 1];
	t->entries[at] = e;
}

static void top_fini(struct top *t)
{
	for (size_t i = 0; i < t->n; i++)
		mem_free((void *)(uintptr_t)t->entries[i].key.name);
	t->n = 0;
}

/* ---- walking all keys ---- */

struct walk;
typedef enum rc batch_fn(struct walk *walk, const redisReply *keys, struct err *err);

struct walk {
	const struct op *op;
	const struct cache_instance *c;
	const struct cache_scan *how;
	struct wire *w;
	batch_fn *fn;     /* NULL: walking is all */
	struct top *tops; /* of fn */
	int db;
	int64_t scanned, total;
};

static enum rc scan_once(struct walk *walk, char cursor[32], struct err *err)
{
	CLEANUP(reply_freep) redisReply *r = NULL;
	char count[12];

	(void)snprintf(count, sizeof count, "%d", walk->how->batch);
	enum rc rc = wire_call(walk->w, &r, err, conf_command(walk->c, "scan"), cursor, "COUNT", count);
	if (rc != RC_OK)
		return rc;
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || !reply_is_text(r->element[0]) ||
	    r->element[0]->len >= 32 || r->element[1]->type != REDIS_REPLY_ARRAY)
		return wire_odd(walk->w, "SCAN", err);
	const redisReply *keys = r->element[1];
	for (size_t i = 0; i < keys->elements; i++) {
		if (!reply_is_text(keys->element[i]))
			return wire_odd(walk->w, "SCAN", err);
	}
	memcpy(cursor, r->element[0]->str, r->element[0]->len + 1);
	walk->scanned += (int64_t)keys->elements;
	int64_t seen = walk->scanned < walk->total ? walk->scanned : walk->total;
	op_step(walk->op, "scan", walk->total ? 5 + (int)((double)seen / (double)walk->total * 90) : 95);
	return walk->fn && keys->elements ? walk->fn(walk, keys, err) : RC_OK;
}

static enum rc walk_db(struct walk *walk, struct err *err)
{
	char cursor[32] = "0", db[12];

	(void)snprintf(db, sizeof db, "%d", walk->db);
	enum rc rc = wire_call(walk->w, NULL, err, "SELECT", db);
	while (rc == RC_OK) {
		rc = scan_once(walk, cursor, err);
		if (rc != RC_OK || strcmp(cursor, "0") == 0)
			break;
		rc = op_pause(walk->op, walk->how->pause_ms, err);
	}
	return rc;
}

static enum rc walk_all(struct walk *walk, struct err *err)
{
	int64_t keys[CACHE_DATABASES];
	char name[12];
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = info_read(walk->w, &info, err, "keyspace");
	for (int db = 0; db < CACHE_DATABASES; db++) {
		(void)snprintf(name, sizeof name, "db%d", db);
		keys[db] = info_part(&info, name, "keys", 0);
		walk->total += keys[db];
	}
	buf_fini(&info);
	for (walk->db = 0; walk->db < CACHE_DATABASES && rc == RC_OK; walk->db++) {
		if (keys[walk->db] > 0)
			rc = walk_db(walk, err);
	}
	return rc;
}

static enum rc check_scan(const struct cache_scan *how, struct err *err)
{
	if (how->batch < 10 || how->batch > 1000)
		return err_set(err, RC_INVALID, "batch %d is not in 10 .. 1000", how->batch);
	if (how->pause_ms < 0 || how->pause_ms > 1000)
		return err_set(err, RC_INVALID, "pause_ms %d is not in 0 .. 1000", how->pause_ms);
	if (how->top < 1 || how->top > TOP_MAX)
		return err_set(err, RC_INVALID, "top %d is not in 1 .. %d", how->top, TOP_MAX);
	return RC_OK;
}

static enum rc hand_out(struct top *tops, int n, struct arena *a, struct cache_keys *out, struct err *err)
{
	size_t all = 0, at = 0;

	for (int i = 0; i < n; i++)
		all += tops[i].n;
	struct cache_key *keys = arena_array(a, all ? all : 1, sizeof *keys);
	for (int i = 0; i < n && keys; i++) {
		for (size_t k = 0; k < tops[i].n; k++) {
			keys[at] = tops[i].entries[k].key;
			keys[at].name = arena_dup_n(a, keys[at].name, keys[at].name_len);
			at++;
		}
	}
	if (arena_is_full(a))
		return err_set(err, RC_LIMIT, "the result is too large");
	out->keys = keys;
	out->n_keys = all;
	return RC_OK;
}

/* ---- big keys ---- */

/* Queue one command for each key; commands[i] NULL: none. */
static void add_for_keys(struct wire *w, const char *const *commands, const redisReply *keys)
{
	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *k = keys->element[i];
		if (commands[i])
			wire_add(w, (const char *const[]){ commands[i], k->str },
			         (const size_t[]){ strlen(commands[i]), k->len }, 2);
	}
}

static enum rc ask_types(struct walk *walk, const redisReply *keys, int *type, const char **measure, struct err *err)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < keys->elements; i++)
		measure[i] = "TYPE";
	add_for_keys(walk->w, measure, keys);
	for (size_t i = 0; i < keys->elements && rc == RC_OK; i++) {
		CLEANUP(reply_freep) redisReply *r = NULL;
		rc = wire_next(walk->w, &r, err);
		type[i] = rc == RC_OK ? type_of(r) : -1;
		measure[i] = type[i] >= 0 ? types[type[i]].measure : NULL;
	}
	return rc;
}

static enum rc measure_all(struct walk *walk, const redisReply *keys, const int *type, const char **measure,
                           struct err *err)
{
	enum rc rc = RC_OK;
	add_for_keys(walk->w, measure, keys);
	for (size_t i = 0; i < keys->elements && rc == RC_OK; i++) {
		CLEANUP(reply_freep) redisReply *r = NULL;
		if (!measure[i])
			continue;
		rc = wire_next(walk->w, &r, err);
		/* An error or 0: the key is gone, or is another by now. */
		if (rc == RC_OK && r->type == REDIS_REPLY_INTEGER && r->integer > 0)
			top_add(&walk->tops[type[i]], (struct cache_key){ .name = keys->element[i]->str,
			                                                  .name_len = keys->element[i]->len,
			                                                  .type = (enum cache_type)type[i],
			                                                  .db = walk->db,
			                                                  .size = r->integer,
			                                                  .freq = -1 });
	}
	return rc;
}

static enum rc big_batch(struct walk *walk, const redisReply *keys, struct err *err)
{
	int *type = mem_array(keys->elements, sizeof *type);
	const char **measure = mem_array(keys->elements, sizeof *measure);
	enum rc rc = ask_types(walk, keys, type, measure, err);

	if (rc == RC_OK)
		rc = measure_all(walk, keys, type, measure, err);
	mem_free(type);
	mem_free((void *)measure);
	return rc;
}

enum rc cache_big_keys(const struct cache_instance *c, const struct cache_scan *how, struct arena *a,
                       struct cache_keys *out, const struct cache_run *run, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = check_scan(how, err);
	if (rc != RC_OK)
		return rc;
	int node = replica_or_master(&op, c);
	rc = node_open(&op, c, node, &w, err);
	if (rc != RC_OK)
		return rc;
	struct top *tops = mem_array(CACHE_TYPES, sizeof *tops);
	for (int t = 0; t < CACHE_TYPES; t++)
		tops[t].cap = (size_t)how->top;
	struct walk walk = { .op = &op, .c = c, .how = how, .w = w, .fn = big_batch, .tops = tops };
	rc = walk_all(&walk, err);
	struct cache_keys found = { .scanned = walk.scanned, .node = c->nodes[node].number };
	if (rc == RC_OK)
		rc = hand_out(tops, CACHE_TYPES, a, &found, err);
	if (rc == RC_OK)
		*out = found;
	for (int t = 0; t < CACHE_TYPES; t++)
		top_fini(&tops[t]);
	mem_free(tops);
	return rc;
}

/* ---- hot keys ---- */

/* Type and size. One that is gone meanwhile keeps "string" and 0. */
static enum rc describe(struct walk *walk, struct entry *e, const char *name, size_t len, struct err *err)
{
	CLEANUP(reply_freep) redisReply *type = NULL;
	CLEANUP(reply_freep) redisReply *size = NULL;

	e->is_described = true;
	wire_add(walk->w, (const char *const[]){ "TYPE", name }, (const size_t[]){ 4, len }, 2);
	enum rc rc = wire_next(walk->w, &type, err);
	int t = rc == RC_OK ? type_of(type) : -1;
	if (t < 0)
		return rc;
	const char *measure = types[t].measure;
	e->key.type = (enum cache_type)t;
	wire_add(walk->w, (const char *const[]){ measure, name }, (const size_t[]){ strlen(measure), len }, 2);
	rc = wire_next(walk->w, &size, err);
	if (rc == RC_OK)
		e->key.size = size->type == REDIS_REPLY_INTEGER ? size->integer : 0;
	return rc;
}

static struct cache_key hot_key(const struct walk *walk, const redisReply *name, int freq)
{
	return (struct cache_key){ .name = name->str, .name_len = name->len, .db = walk->db, .freq = freq };
}

/* Those whose names are kept in part only: now, while the whole ones are at hand. */
static enum rc describe_cut(struct walk *walk, const redisReply *keys, struct err *err)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < keys->elements && rc == RC_OK; i++) {
		const redisReply *k = keys->element[i];
		const struct cache_key key = hot_key(walk, k, 0);
		struct entry *e = is_cut(k->len) ? top_find(walk->tops, &key) : NULL;
		if (e && !e->is_described)
			rc = describe(walk, e, k->str, k->len, err);
	}
	return rc;
}

static enum rc hot_batch(struct walk *walk, const redisReply *keys, struct err *err)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *k = keys->element[i];
		wire_add(walk->w, (const char *const[]){ "OBJECT", "FREQ", k->str }, (const size_t[]){ 6, 4, k->len },
		         3);
	}
	for (size_t i = 0; i < keys->elements && rc == RC_OK; i++) {
		CLEANUP(reply_freep) redisReply *r = NULL;
		rc = wire_next(walk->w, &r, err);
		if (rc == RC_OK && r->type == REDIS_REPLY_INTEGER && r->integer >= 0 && r->integer <= 255)
			top_add(walk->tops, hot_key(walk, keys->element[i], (int)r->integer));
	}
	return rc == RC_OK ? describe_cut(walk, keys, err) : rc;
}

/* The few that were found. */
static enum rc describe_all(struct walk *walk, struct top *top, struct err *err)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < top->n && rc == RC_OK; i++) {
		struct entry *e = &top->entries[i];
		char db[12];
		if (e->is_described)
			continue;
		(void)snprintf(db, sizeof db, "%d", e->key.db);
		rc = wire_call(walk->w, NULL, err, "SELECT", db);
		if (rc == RC_OK)
			rc = describe(walk, e, e->key.name, e->key.name_len, err);
	}
	return rc;
}

static enum rc check_policy(struct wire *w, struct err *err)
{
	CLEANUP(reply_freep) redisReply *r = NULL;
	enum rc rc = wire_call(w, &r, err, "CONFIG", "GET", "maxmemory-policy");
	if (rc != RC_OK)
		return rc;
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || !reply_is_text(r->element[1]))
		return wire_odd(w, "CONFIG GET", err);
	if (!strstr(r->element[1]->str, "-lfu"))
		return err_set(err, RC_CONFLICT,
		               "maxmemory-policy is %.40s; use is counted with allkeys-lfu and volatile-lfu only",
		               r->element[1]->str);
	return RC_OK;
}

enum rc cache_hot_keys(const struct cache_instance *c, const struct cache_scan *how, struct arena *a,
                       struct cache_keys *out, const struct cache_run *run, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = check_scan(how, err);
	if (rc == RC_OK)
		rc = node_open(&op, c, c->master, &w, err);
	if (rc == RC_OK)
		rc = check_policy(w, err);
	if (rc != RC_OK)
		return rc;
	struct top *top = mem_new(struct top);
	top->cap = (size_t)how->top;
	struct walk walk = { .op = &op, .c = c, .how = how, .w = w, .fn = hot_batch, .tops = top };
	rc = walk_all(&walk, err);
	if (rc == RC_OK)
		rc = describe_all(&walk, top, err);
	struct cache_keys found = { .scanned = walk.scanned, .node = c->nodes[c->master].number };
	if (rc == RC_OK)
		rc = hand_out(top, 1, a, &found, err);
	if (rc == RC_OK)
		*out = found;
	top_fini(top);
	mem_free(top);
	return rc;
}

/* ---- expired keys ---- */

static enum rc count_expired(struct wire *w, int64_t *n, struct err *err)
{
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = info_read(w, &info, err, "stats");
	if (rc == RC_OK)
		*n = info_int(&info, "expired_keys", 0);
	buf_fini(&info);
	return rc;
}

enum rc cache_expire_keys(const struct cache_instance *c, const struct cache_scan *how, int64_t *scanned,
                          int64_t *expired, const struct cache_run *run, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct cache_scan any = *how;
	int64_t before = 0, after = 0;
	int percent;
	struct op op = op_start(run, &percent);

	any.top = 1;
	enum rc rc = check_scan(&any, err);
	if (rc == RC_OK)
		rc = node_open(&op, c, c->master, &w, err);
	if (rc == RC_OK)
		rc = count_expired(w, &before, err);
	struct walk walk = { .op = &op, .c = c, .how = &any, .w = w };
	if (rc == RC_OK)
		rc = walk_all(&walk, err);
	if (rc == RC_OK)
		rc = count_expired(w, &after, err);
	if (rc == RC_OK) {
		*scanned = walk.scanned;
		*expired = after - before;
	}
	return rc;
}

/* ---- slow log ---- */

static enum rc open_number(const struct op *op, const struct cache_instance *c, int number, struct wire **w,
                           struct err *err)
{
	for (int i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i].number == number)
			return node_open(op, c, i, w, err);
	}
	return err_set(err, RC_NOT_FOUND, "there is no node %d", number);
}

static bool is_slow_entry(const redisReply *r)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements >= 6 && r->element[0]->type == REDIS_REPLY_INTEGER &&
	       r->element[1]->type == REDIS_REPLY_INTEGER && r->element[2]->type == REDIS_REPLY_INTEGER &&
	       r->element[3]->type == REDIS_REPLY_ARRAY && reply_is_text(r->element[4]) && reply_is_text(r->element[5]);
}

static const char *join(struct arena *a, const redisReply *words)
{
	struct buf text;

	buf_init(&text, 65536);
	for (size_t i = 0; i < words->elements; i++) {
		if (i)
			buf_addc(&text, ' ');
		if (reply_is_text(words->element[i]))
			buf_add(&text, words->element[i]->str, words->element[i]->len);
	}
	const char *out = arena_dup_n(a, buf_text(&text), text.len);
	buf_fini(&text);
	return out;
}

static enum rc take_slow(const struct wire *w, const redisReply *r, int number, struct arena *a,
                         struct cache_slow **out, size_t *n, struct err *err)
{
	if (r->type != REDIS_REPLY_ARRAY)
		return wire_odd(w, "SLOWLOG", err);
	struct cache_slow *slow = arena_array(a, r->elements ? r->elements : 1, sizeof *slow);
	for (size_t i = 0; i < r->elements && slow; i++) {
		const redisReply *e = r->element[i];
		if (!is_slow_entry(e))
			return wire_odd(w, "SLOWLOG", err);
		slow[i] = (struct cache_slow){ .id = e->element[0]->integer,
			                       .at_s = e->element[1]->integer,
			                       .duration_us = e->element[2]->integer,
			                       .command = join(a, e->element[3]),
			                       .client = arena_dup_n(a, e->element[4]->str, e->element[4]->len),
			                       .client_name = arena_dup_n(a, e->element[5]->str, e->element[5]->len),
			                       .node = number };
	}
	if (arena_is_full(a))
		return err_set(err, RC_LIMIT, "the slow log is too large");
	*out = slow;
	*n = r->elements;
	return RC_OK;
}

enum rc cache_slow_log(const struct cache_instance *c, int number, int max, struct arena *a, struct cache_slow **out,
                       size_t *n, const struct cache_run *run, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	CLEANUP(reply_freep) redisReply *r = NULL;
	char count[12];
	int percent;
	struct op op = op_start(run, &percent);

	if (max < 1 || max > 1000)
		return err_set(err, RC_INVALID, "%d entries of the slow log: 1 .. 1000", max);
	(void)snprintf(count, sizeof count, "%d", max);
	enum rc rc = open_number(&op, c, number, &w, err);
	if (rc == RC_OK)
		rc = wire_call(w, &r, err, "SLOWLOG", "GET", count);
	return rc == RC_OK ? take_slow(w, r, number, a, out, n, err) : rc;
}

/* ---- clients ---- */

const char *cache_client_get(const struct cache_client *client, const char *name)
{
	for (size_t i = 0; i < client->n_fields; i++) {
		if (strcmp(client->fields[i].name, name) == 0)
			return client->fields[i].value;
	}
	return NULL;
}

/* "id=3 addr=127.0.0.1:4 name= ..." No value has a blank: Redis refuses names with one. */
static bool parse_client(char *line, struct arena *a, struct cache_client *out)
{
	struct cache_client_field fields[FIELDS_MAX];
	size_t n = 0;

	while (*line && n < FIELDS_MAX) {
		char *end = line + strcspn(line, " "), *equal = memchr(line, '=', (size_t)(end - line));
		bool is_last = !*end;
		*end = '\0';
		if (equal) {
			*equal = '\0';
			fields[n++] = (struct cache_client_field){ line, equal + 1 };
		}
		line = is_last ? end : end + 1;
	}
	struct cache_client_field *kept = arena_array(a, n ? n : 1, sizeof *kept);
	if (!kept)
		return false;
	memcpy(kept, fields, n * sizeof *kept);
	*out = (struct cache_client){ kept, n };
	return true;
}

static bool is_internal(const struct cache_client *client)
{
	const char *user = cache_client_get(client, "user"), *flags = cache_client_get(client, "flags");
	return (user && strcmp(user, ADMIN_USER) == 0) || (flags && strpbrk(flags, "SM"));
}

static enum rc take_clients(char *text, struct arena *a, struct cache_client **out, size_t *n, struct err *err)
{
	size_t lines = 0, kept = 0;

	for (const char *p = text; p && *p; p++)
		lines += *p == '\n';
	if (lines > CLIENTS_MAX)
		return err_set(err, RC_LIMIT, "%zu clients are too many to list", lines);
	struct cache_client *clients = arena_array(a, lines + 1, sizeof *clients);
	for (char *line = text; line && *line && clients;) {
		char *end = line + strcspn(line, "\n");
		bool is_last = !*end;
		*end = '\0';
		if (parse_client(line, a, &clients[kept]) && !is_internal(&clients[kept]))
			kept++;
		line = is_last ? end : end + 1;
	}
	if (arena_is_full(a))
		return err_set(err, RC_LIMIT, "the list of clients is too large");
	*out = clients;
	*n = kept;
	return RC_OK;
}

static enum rc list_clients(struct wire *w, struct arena *a, struct cache_client **out, size_t *n, struct err *err)
{
	CLEANUP(reply_freep) redisReply *r = NULL;
	enum rc rc = wire_call(w, &r, err, "CLIENT", "LIST");
	if (rc != RC_OK)
		return rc;
	if (!reply_is_text(r))
		return wire_odd(w, "CLIENT LIST", err);
	return take_clients(arena_dup_n(a, r->str, r->len), a, out, n, err);
}

enum rc cache_clients(const struct cache_instance *c, int number, struct arena *a, struct cache_client **out, size_t *n,
                      const struct cache_run *run, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = open_number(&op, c, number, &w, err);
	return rc == RC_OK ? list_clients(w, a, out, n, err) : rc;
}

/* By id and not by kind, so that neither our own connections nor replicas are among them. */
static enum rc kill_listed(struct wire *w, struct cache_client *clients, size_t n, const char *addr, int64_t *killed,
                           struct err *err)
{
	int64_t count = 0;
	for (size_t i = 0; i < n; i++) {
		CLEANUP(reply_freep) redisReply *r = NULL;
		const char *id = cache_client_get(&clients[i], "id"), *at = cache_client_get(&clients[i], "addr");
		if (!id || (addr && (!at || strcmp(at, addr) != 0)))
			continue;
		enum rc rc = wire_call(w, &r, err, "CLIENT", "KILL", "ID", id);
		if (rc != RC_OK)
			return rc;
		count += r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
	}
	*killed = count;
	return RC_OK;
}

enum rc cache_kill_clients(const struct cache_instance *c, int number, const char *addr, int64_t *killed,
                           const struct cache_run *run, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct cache_client *clients = NULL;
	size_t n = 0;
	int percent;
	struct op op = op_start(run, &percent);

	struct arena *a = arena_new(64 << 20);
	enum rc rc = open_number(&op, c, number, &w, err);
	if (rc == RC_OK)
		rc = list_clients(w, a, &clients, &n, err);
	if (rc == RC_OK)
		rc = kill_listed(w, clients, n, addr, killed, err);
	arena_free(a);
	return rc;
}
