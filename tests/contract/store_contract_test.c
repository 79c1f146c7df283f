/*
 * What every store back end must do alike: each test runs unchanged on a fresh store of each kind, and random
 * operation sequences run on all of them at once and must agree with the memory one, row for row.
 */
#include <math.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "os/file.h"
#include "store/store_priv.h" /* row_int and the like: the suite goes by the descriptions too */
#include "store/tables.h"
#include "test.h"

/* ---- the back ends ---- */

static char dir[512];

static struct store *open_mem(struct err *err)
{
	struct store *out = NULL;
	return store_open_mem(&out, err) == RC_OK ? out : NULL;
}

static struct store *open_sqlite(struct err *err)
{
	static int n;
	char path[600];
	struct store *out = NULL;
	(void)snprintf(path, sizeof path, "%s/%d.db", dir, n++);
	return store_open_sqlite(path, STORE_WRITER, &out, err) == RC_OK ? out : NULL;
}

static const struct opener {
	const char *name;
	struct store *(*open)(struct err *err);
} openers[] = { { "mem", open_mem }, { "sqlite", open_sqlite } };

static struct store *s; /* the one under test */
static struct arena *a;
static struct err e;

#define RUN_ON_EACH(test)                                                                           \
	FOR_EACH_ROW(on, openers) {                                                                 \
		test_case_failures = 0;                                                             \
		a = arena_new((size_t)64 << 20);                                                    \
		s = openers[on].open(&e);                                                           \
		EXPECT(s, "%s", e.msg);                                                             \
		if (s)                                                                              \
			test();                                                                     \
		store_close(s);                                                                     \
		arena_free(a);                                                                      \
		printf("%s %s on %s\n", test_case_failures ? "FAILED" : "ok", #test, openers[on].name); \
		(void)fflush(stdout);                                                               \
	}

#define OK(call) EXPECT((call) == RC_OK, "%s", e.msg)
#define SAYS(text) EXPECT(strstr(e.msg, text), "said '%s'", e.msg)

/* ---- making and comparing rows ---- */

union any_row {
	struct key_row key;
	struct app_row app;
	struct instance_row instance;
	struct cache_row cache;
	struct cache_task_row cache_task;
	struct backup_row backup;
	struct restore_row restore;
	struct scan_row scan;
	struct schedule_row schedule;
	struct template_row template;
	struct task_row task;
	struct event_row event;
	struct metric_row metric;
	struct default_row dflt;
};

static bool same_col(const struct table *t, int i, const void *x, const void *y)
{
	struct blob b, c;
	switch (t->cols[i].type) {
	case COL_INT:
		return row_int(t, i, x) == row_int(t, i, y);
	case COL_REAL:
		return row_real(t, i, x) >= row_real(t, i, y) && row_real(t, i, x) <= row_real(t, i, y);
	case COL_TEXT:
		return strcmp(row_text(t, i, x), row_text(t, i, y)) == 0;
	case COL_BLOB:
		b = row_blob(t, i, x);
		c = row_blob(t, i, y);
		return b.len == c.len && memcmp(b.bytes, c.bytes, b.len) == 0;
	}
	return false;
}

/* Name of the first column in which the rows differ; NULL: none. */
static const char *difference(const struct table *t, const void *x, const void *y)
{
	for (int i = 0; i < t->n_cols; i++) {
		if (!same_col(t, i, x, y))
			return t->cols[i].name;
	}
	return NULL;
}

static bool is_ref(const struct table *t, int col)
{
	for (const struct table_ref *r = t->refs; r && r->col; r++) {
		if (strcmp(r->col, t->cols[col].name) == 0)
			return true;
	}
	return false;
}

/* Values that are easily spoilt on the way, another one for each column and each salt. */
static void fill(const struct table *t, void *row, size_t salt)
{
	static const int64_t ints[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 1700000000123, 255 };
	static const double reals[] = { 0.1, -1e300, 5e-324, 3, 1.0 / 3 };
	static const char *const texts[] = { "",
					     "x",
					     "it's \"quoted\" -- ; %s ?1",
					     "tab\tnewline\nend",
					     "\xe5\xbe\xb7 \xf0\x9f\x98\x80",
					     "  blanks  ",
					     "0123",
					     "\xff\xfe bad utf-8" };
	static const struct blob blobs[] = { { "\0a\0b", 4 }, { NULL, 0 }, { "\xff\x00", 2 } };
	memset(row, 0, t->row_size);
	for (int i = 0; i < t->n_cols; i++) {
		size_t k = (size_t)i + salt;
		void *slot = row_slot(t, i, row);
		if (t->cols[i].type == COL_INT)
			*(int64_t *)slot = is_ref(t, i) ? 1 : ints[k % ARRAY_LEN(ints)];
		else if (t->cols[i].type == COL_REAL)
			*(double *)slot = reals[k % ARRAY_LEN(reals)];
		else if (t->cols[i].type == COL_TEXT)
			*(const char **)slot = texts[k % ARRAY_LEN(texts)];
		else
			*(struct blob *)slot = blobs[k % ARRAY_LEN(blobs)];
		if (t->cols[i].flags & COL_AUTO)
			*(int64_t *)slot = 0;
	}
}

static int64_t add_app(const char *name)
{
	struct app_row row = { .account = "1", .name = name };
	OK(store_insert(s, &table_app, &row, &e));
	return row.id;
}

static int64_t add_instance(int64_t app_id, const char *name)
{
	struct instance_row row = { .app_id = app_id, .function = "ctr", .name = name };
	OK(store_insert(s, &table_instance, &row, &e));
	return row.id;
}

static int64_t add_task(int64_t instance_id, int64_t generation, int64_t state)
{
	struct task_row row = { .instance_id = instance_id, .generation = generation, .state = state };
	OK(store_insert(s, &table_task, &row, &e));
	return row.id;
}

/* One row each that everything may refer to: id 1. */
static void add_parents(void)
{
	int64_t app = add_app("parent"), instance = add_instance(app, "parent"), task = add_task(instance, 100, 0);
	struct cache_row cache = { .uid = "parent", .unit_id = instance };
	OK(store_insert(s, &table_cache, &cache, &e));
	EXPECT(app == 1 && instance == 1 && task == 1 && cache.id == 1, "first ids");
}

static int64_t count_of(const struct table *t)
{
	struct query q = { .table = t };
	int64_t n = -1;
	OK(store_count(s, &q, &n, &e));
	return n;
}

/* The row with row's primary key. */
static enum rc get_twin(const struct table *t, const void *row, void *out)
{
	struct query q = { .table = t };
	for (int i = 0; i < t->n_cols; i++) {
		if (!(t->cols[i].flags & COL_KEY))
			continue;
		struct pred p = { .col = t->cols[i].name, .cmp = CMP_EQ };
		if (t->cols[i].type == COL_INT)
			p.v_int = row_int(t, i, row);
		else
			p.v_text = row_text(t, i, row);
		q.preds[q.n_preds++] = p;
	}
	return store_get(s, &q, out, a, &e);
}

/* ---- rows ---- */

TEST(every_column_of_every_table_comes_back)
{
	add_parents();
	FOR_EACH_ROW(i, all_tables) {
		const struct table *t = all_tables[i];
		int n_done = 0;
		for (size_t salt = 0; salt < 8; salt++) {
			union any_row row, got;
			fill(t, &row, salt);
			if (t == &table_instance || t == &table_task || t == &table_cache)
				OK(store_delete(s, &(struct query){ .table = t, .preds = { PRED_INT("id", CMP_GT, 1) },
								    .n_preds = 1 }, NULL, &e));
			if (t == &table_cache_task) /* its key is a reference: there is room for one */
				OK(store_delete(s, &(struct query){ .table = t }, NULL, &e));
			enum rc rc = store_insert(s, t, &row, &e);
			if (rc == RC_CONFLICT) /* the salts of a short key repeat */
				continue;
			EXPECT(rc == RC_OK, "%s: %s", t->name, e.msg);
			OK(get_twin(t, &row, &got));
			const char *diff = difference(t, &row, &got);
			EXPECT(!diff, "insert %s.%s, salt %zu", t->name, diff, salt);
			n_done++;
		}
		EXPECT(n_done >= 6, "%s: only %d rows tried", t->name, n_done);
	}
}

static void copy_key(const struct table *t, void *to, const void *from)
{
	for (int c = 0; c < t->n_cols; c++) {
		if (t->cols[c].flags & COL_KEY)
			memcpy(row_slot(t, c, to), row_at(t, c, from),
			       t->cols[c].type == COL_INT ? sizeof(int64_t) : sizeof(char *));
	}
}

TEST(update_replaces_every_column_but_the_key)
{
	add_parents();
	FOR_EACH_ROW(i, all_tables) {
		const struct table *t = all_tables[i];
		union any_row row, next, got;
		fill(t, &row, 1);
		OK(store_insert(s, t, &row, &e));
		fill(t, &next, 5);
		copy_key(t, &next, &row);
		OK(store_update(s, t, &next, &e));
		OK(get_twin(t, &row, &got));
		const char *diff = difference(t, &next, &got);
		EXPECT(!diff, "%s.%s", t->name, diff);
	}
}

/* was is not what is stored: so it shows which columns were written. */
TEST(a_change_writes_the_columns_that_differ_and_no_others)
{
	add_parents();
	FOR_EACH_ROW(i, all_tables) {
		const struct table *t = all_tables[i];
		union any_row row, was, next, got;
		int n_differ = 0;
		fill(t, &row, 1);
		OK(store_insert(s, t, &row, &e));
		fill(t, &was, 3);
		copy_key(t, &was, &row);
		next = was;
		for (int c = 0; c < t->n_cols; c += 2) {
			union any_row other;
			fill(t, &other, 4);
			if (t->cols[c].flags & COL_KEY)
				continue;
			memcpy(row_slot(t, c, &next), row_at(t, c, &other),
			       t->cols[c].type == COL_BLOB ? sizeof(struct blob) : 8);
			n_differ += !same_col(t, c, &was, &next);
		}
		OK(store_change(s, t, &was, &next, &e));
		OK(get_twin(t, &row, &got));
		for (int c = 0; c < t->n_cols; c++)
			EXPECT(same_col(t, c, &got, same_col(t, c, &was, &next) ? &row : &next), "%s.%s", t->name,
			       t->cols[c].name);
		EXPECT(n_differ > 0 || t->n_cols <= 3, "%s: nothing tried", t->name);
	}
}

TEST(a_change_of_nothing_writes_nothing)
{
	struct app_row row = { .id = 42, .name = "ghost" }, other = row;
	OK(store_change(s, &table_app, &row, &other, &e));
	EXPECT(count_of(&table_app) == 0, "made one");
	other.name = "seen";
	EXPECT(store_change(s, &table_app, &row, &other, &e) == RC_NOT_FOUND, "%s", e.msg);
	SAYS("app");
	EXPECT(count_of(&table_app) == 0, "made one");
}

TEST(null_texts_and_blobs_read_as_empty)
{
	struct key_row row = { .access_key_id = "k" }, got;
	OK(store_insert(s, &table_key, &row, &e));
	OK(get_twin(&table_key, &row, &got));
	EXPECT(got.account && !*got.account && got.name && !*got.name, "texts");
	EXPECT(got.secret.bytes && got.secret.len == 0, "blob");
	struct query q = { .table = &table_key, .preds = { PRED_TEXT("account", CMP_EQ, NULL) }, .n_preds = 1 };
	OK(store_get(s, &q, &got, a, &e));
}

TEST(a_number_that_is_none_comes_back_as_such)
{
	add_parents();
	const double values[] = { (double)NAN, (double)INFINITY, -(double)INFINITY };
	FOR_EACH_ROW(i, values) {
		struct metric_row row = { .task_id = 1, .name = "loss", .step = (int64_t)i, .value = values[i] }, got;
		OK(store_insert(s, &table_metric, &row, &e));
		OK(get_twin(&table_metric, &row, &got));
		EXPECT(isnan(values[i]) ? isnan(got.value) : isinf(got.value) && (got.value > 0) == (values[i] > 0),
		       "%g became %g", values[i], got.value);
	}
}

TEST(a_get_of_nothing_leaves_the_row_alone)
{
	struct app_row row = { .id = 42 };
	struct query q = { .table = &table_app, .preds = { PRED_INT("id", CMP_EQ, 7) }, .n_preds = 1 };
	EXPECT(store_get(s, &q, &row, a, &e) == RC_NOT_FOUND, "%s", e.msg);
	SAYS("app");
	EXPECT(row.id == 42 && !row.name, "touched");
	EXPECT(store_get(s, &q, &row, a, NULL) == RC_NOT_FOUND, "without a place for the error");
}

TEST(an_update_of_nothing_is_told)
{
	struct app_row row = { .id = 42, .name = "ghost" };
	EXPECT(store_update(s, &table_app, &row, &e) == RC_NOT_FOUND, "%s", e.msg);
	SAYS("app");
	EXPECT(count_of(&table_app) == 0, "made one");
}

TEST(values_over_the_limit_are_refused)
{
	char *big = mem_alloc(STORE_VALUE_MAX + 2);
	memset(big, 'x', STORE_VALUE_MAX + 1);
	struct app_row row = { .name = "n", .tags = big };
	struct key_row key = { .access_key_id = "k", .secret = { big, STORE_VALUE_MAX + 1 } };
	OK(store_begin(s, &e));
	EXPECT(store_insert(s, &table_app, &row, &e) == RC_LIMIT, "%s", e.msg);
	SAYS("app.tags");
	EXPECT(row.id == 0, "id touched");
	EXPECT(store_insert(s, &table_key, &key, &e) == RC_LIMIT, "%s", e.msg);
	SAYS("key.secret");
	(void)add_app("still usable");
	OK(store_commit(s, &e));
	EXPECT(count_of(&table_app) == 1, "rows");
	mem_free(big);
}

/* ---- keys ---- */

TEST(twins_are_refused_and_the_transaction_goes_on)
{
	add_parents();
	OK(store_begin(s, &e));
	FOR_EACH_ROW(i, all_tables) {
		const struct table *t = all_tables[i];
		union any_row row, twin;
		fill(t, &row, 2);
		OK(store_insert(s, t, &row, &e));
		int64_t n = count_of(t);
		twin = row; /* the same primary key */
		EXPECT(store_insert(s, t, &twin, &e) == RC_CONFLICT, "%s: %s", t->name, e.msg);
		SAYS(t->name);
		if (t->uniques) { /* another primary key, the same unique one */
			twin.app.id = 0;
			EXPECT(store_insert(s, t, &twin, &e) == RC_CONFLICT, "%s: %s", t->name, e.msg);
			SAYS(t->name);
			EXPECT(twin.app.id == 0, "id touched");
		}
		EXPECT(count_of(t) == n, "%s: rows", t->name);
	}
	OK(store_commit(s, &e));
}

TEST(an_update_may_not_make_a_twin)
{
	int64_t x = add_app("x"), y = add_app("y");
	struct app_row row = { .id = y, .account = "1", .name = "x" };
	OK(store_begin(s, &e));
	EXPECT(store_update(s, &table_app, &row, &e) == RC_CONFLICT, "%s", e.msg);
	SAYS("app");
	row.name = "y2";
	OK(store_update(s, &table_app, &row, &e));
	row = (struct app_row){ .id = x, .account = "2", .name = "y2" }; /* another account: fine */
	OK(store_update(s, &table_app, &row, &e));
	struct app_row twin = row;
	twin.account = "1"; /* y is there by this name */
	EXPECT(store_change(s, &table_app, &row, &twin, &e) == RC_CONFLICT, "%s", e.msg);
	SAYS("app");
	OK(store_commit(s, &e));
}

TEST(rows_refer_to_rows_that_exist)
{
	struct instance_row in = { .app_id = 9, .name = "i" };
	struct task_row task = { .instance_id = 9, .generation = 1 };
	struct event_row event = { .task_id = 9 };
	struct metric_row metric = { .task_id = 9 };
	struct default_row dflt = { .app_id = 1, .instance_id = 9 };
	const struct {
		const struct table *t;
		void *row;
	} row[] = { { &table_instance, &in }, { &table_task, &task }, { &table_event, &event },
		    { &table_metric, &metric }, { &table_default, &dflt } };
	OK(store_begin(s, &e));
	FOR_EACH_ROW(i, row) {
		EXPECT(store_insert(s, row[i].t, row[i].row, &e) == RC_NOT_FOUND, "%s: %s", row[i].t->name, e.msg);
		SAYS("refers to");
		EXPECT(count_of(row[i].t) == 0, "%s", row[i].t->name);
	}
	in.app_id = add_app("p");
	OK(store_insert(s, &table_instance, &in, &e));
	in.app_id = 99;
	EXPECT(store_update(s, &table_instance, &in, &e) == RC_NOT_FOUND, "%s", e.msg);
	SAYS("refers to");
	OK(store_commit(s, &e));
}

TEST(ids_ascend_and_are_never_given_again)
{
	int64_t first = add_app("a"), second = add_app("b");
	EXPECT(first > 0 && second > first, "%lld %lld", (long long)first, (long long)second);
	OK(store_delete(s, &(struct query){ .table = &table_app }, NULL, &e));
	int64_t third = add_app("a");
	EXPECT(third > second, "%lld given again", (long long)third);
	struct app_row row = { .id = 1000, .account = "1", .name = "chosen" };
	OK(store_insert(s, &table_app, &row, &e));
	EXPECT(row.id == 1000, "a chosen id stays");
	OK(store_delete(s, &(struct query){ .table = &table_app }, NULL, &e));
	EXPECT(add_app("c") == 1001, "after a chosen one");
	int64_t in = add_instance(1001, "i"), task = add_task(in, 1, 0);
	OK(store_delete(s, &(struct query){ .table = &table_instance }, NULL, &e)); /* takes the task along */
	in = add_instance(1001, "i");
	EXPECT(add_task(in, 1, 0) > task, "task id given again");
}

TEST(what_refers_to_a_deleted_row_goes_too)
{
	int64_t kept = add_instance(add_app("kept"), "i");
	int64_t app = add_app("gone"), in = add_instance(app, "i");
	for (int k = 0; k < 2; k++) {
		int64_t task = add_task(k ? in : kept, 1, 0);
		struct event_row event = { .task_id = task };
		struct metric_row metric = { .task_id = task };
		struct default_row dflt = { .app_id = k, .instance_id = k ? in : kept };
		OK(store_insert(s, &table_event, &event, &e));
		OK(store_insert(s, &table_metric, &metric, &e));
		OK(store_insert(s, &table_default, &dflt, &e));
	}
	int64_t n = -1;
	struct query q = { .table = &table_app, .preds = { PRED_TEXT("name", CMP_EQ, "gone") }, .n_preds = 1 };
	OK(store_delete(s, &q, &n, &e));
	EXPECT(n == 1, "counts matches alone, said %lld", (long long)n);
	const struct table *const left[] = { &table_app, &table_instance, &table_task, &table_event, &table_metric,
					     &table_default };
	FOR_EACH_ROW(i, left)
		EXPECT(count_of(left[i]) == 1, "%s has %lld", left[i]->name, (long long)count_of(left[i]));
	struct default_row dflt;
	OK(store_get(s, &(struct query){ .table = &table_default }, &dflt, a, &e));
	EXPECT(dflt.instance_id == kept, "the wrong one went");
}

/* ---- queries ---- */

/* Names or ids of the matches, such as "a,b". */
static const char *names(const struct query *q)
{
	struct app_row *rows = NULL;
	size_t n = 99;
	struct buf out;
	buf_init(&out, 4096);
	OK(store_list(s, q, a, (void **)&rows, &n, &e));
	for (size_t i = 0; i < n; i++)
		buf_addf(&out, "%s%s", i ? "," : "", rows[i].name);
	const char *text = arena_dup(a, buf_text(&out));
	buf_fini(&out);
	return text;
}

static void add_five_apps(void)
{
	const struct app_row rows[] = {
		{ .account = "1", .name = "a", .created_at = 30 }, { .account = "1", .name = "b", .created_at = 10 },
		{ .account = "2", .name = "c", .created_at = 20 }, { .account = "1", .name = "d", .created_at = 20 },
		{ .account = "3", .name = "B", .created_at = -5 },
	};
	FOR_EACH_ROW(i, rows) {
		struct app_row row = rows[i];
		OK(store_insert(s, &table_app, &row, &e));
	}
}

TEST(conditions)
{
	const struct {
		struct pred preds[3];
		int n;
		const char *found;
	} row[] = {
		{ { PRED_INT("created_at", CMP_EQ, 20) }, 1, "c,d" },
		{ { PRED_INT("created_at", CMP_NE, 20) }, 1, "a,b,B" },
		{ { PRED_INT("created_at", CMP_LT, 20) }, 1, "b,B" },
		{ { PRED_INT("created_at", CMP_LE, 20) }, 1, "b,c,d,B" },
		{ { PRED_INT("created_at", CMP_GT, 20) }, 1, "a" },
		{ { PRED_INT("created_at", CMP_GE, 20) }, 1, "a,c,d" },
		{ { PRED_INT("created_at", CMP_GE, INT64_MIN) }, 1, "a,b,c,d,B" },
		{ { PRED_TEXT("name", CMP_EQ, "b") }, 1, "b" },
		{ { PRED_TEXT("name", CMP_NE, "b") }, 1, "a,c,d,B" },
		{ { PRED_TEXT("name", CMP_LT, "b") }, 1, "a,B" },
		{ { PRED_TEXT("name", CMP_LE, "b") }, 1, "a,b,B" },
		{ { PRED_TEXT("name", CMP_GT, "b") }, 1, "c,d" },
		{ { PRED_TEXT("name", CMP_GE, "b") }, 1, "b,c,d" },
		{ { PRED_TEXT("name", CMP_GT, "\xc3\xa9") }, 1, "" },
		{ { PRED_TEXT("account", CMP_EQ, "1"), PRED_INT("created_at", CMP_GT, 10),
		    PRED_INT("created_at", CMP_LT, 30) }, 3, "d" },
		{ { PRED_TEXT("account", CMP_EQ, "' OR 1=1 --") }, 1, "" },
		{ { PRED_INT("id", CMP_EQ, 3) }, 1, "c" },
		{ { PRED_INT("id", CMP_EQ, 3), PRED_INT("id", CMP_EQ, 4) }, 2, "" },
	};
	add_five_apps();
	FOR_EACH_ROW(i, row) {
		struct query q = { .table = &table_app, .n_preds = row[i].n };
		memcpy(q.preds, row[i].preds, sizeof row[i].preds);
		const char *found = names(&q);
		EXPECT(strcmp(found, row[i].found) == 0, "row %zu: %s, not %s", i, found, row[i].found);
		int64_t n = -1, commas = 0;
		for (const char *p = found; *p; p++)
			commas += *p == ',';
		OK(store_count(s, &q, &n, &e));
		EXPECT(n == (*found ? commas + 1 : 0), "row %zu: counted %lld", i, (long long)n);
	}
}

TEST(order_offset_and_limit)
{
	const struct {
		struct order orders[QUERY_ORDERS];
		int64_t offset, limit;
		const char *found;
	} row[] = {
		{ { { 0 } }, 0, 0, "a,b,c,d,B" },
		{ { { "name", false } }, 0, 0, "B,a,b,c,d" },
		{ { { "name", true } }, 0, 0, "d,c,b,a,B" },
		{ { { "created_at", false } }, 0, 0, "B,b,c,d,a" },         /* a tie ascends with the order */
		{ { { "created_at", true } }, 0, 0, "a,d,c,b,B" },          /* and descends with it */
		{ { { "created_at", true }, { "name", false } }, 0, 0, "a,c,d,b,B" },
		{ { { "account", false }, { "created_at", true }, { "name", true } }, 0, 0, "a,d,b,c,B" },
		{ { { "name", false } }, 0, 2, "B,a" },
		{ { { "name", false } }, 2, 2, "b,c" },
		{ { { "name", false } }, 4, 2, "d" },
		{ { { "name", false } }, 5, 2, "" },
		{ { { "name", false } }, 1, 0, "a,b,c,d" },
		{ { { "name", false } }, INT64_MAX, INT64_MAX, "" },
		{ { { "name", false } }, 0, INT64_MAX, "B,a,b,c,d" },
	};
	add_five_apps();
	FOR_EACH_ROW(i, row) {
		struct query q = { .table = &table_app, .offset = row[i].offset, .limit = row[i].limit };
		memcpy(q.orders, row[i].orders, sizeof q.orders);
		const char *found = names(&q);
		EXPECT(strcmp(found, row[i].found) == 0, "row %zu: %s, not %s", i, found, row[i].found);
		struct app_row first = { .name = "" };
		q.offset = q.limit = 0;
		OK(store_get(s, &q, &first, a, &e));
		const char *all = names(&q);
		EXPECT(strncmp(all, first.name, 1) == 0, "row %zu: get gave %s of %s", i, first.name, all);
	}
}

/* Bounds around the condition of the partial index: an implied condition may never hide a row. */
TEST(conditions_around_a_partial_index)
{
	int64_t in = add_instance(add_app("p"), "i");
	for (int64_t k = 0; k < 12; k++)
		(void)add_task(in, k + 1, k % 4);
	for (int cmp = CMP_EQ; cmp <= CMP_GE; cmp++) {
		for (int64_t v = -2; v <= 5; v++) {
			int64_t want = 0, n = -1;
			for (int64_t state = 0; state < 4; state++) {
				const bool holds[] = { state == v, state != v, state < v,
						       state <= v, state > v, state >= v };
				want += 3 * holds[cmp];
			}
			struct query q = { .table = &table_task, .preds = { PRED_INT("state", (enum cmp)cmp, v) },
					   .n_preds = 1 };
			OK(store_count(s, &q, &n, &e));
			EXPECT(n == want, "cmp %d, %lld: %lld, not %lld", cmp, (long long)v, (long long)n,
			       (long long)want);
		}
	}
}

TEST(lists_longer_than_a_first_guess)
{
	enum { N = 1000 };
	OK(store_begin(s, &e));
	for (int i = 0; i < N; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "%04d", i);
		(void)add_app(name);
	}
	OK(store_commit(s, &e));
	struct app_row *rows = NULL;
	size_t n = 0;
	OK(store_list(s, &(struct query){ .table = &table_app }, a, (void **)&rows, &n, &e));
	EXPECT(n == N, "%zu", n);
	for (size_t i = 0; i < n; i++)
		EXPECT(rows[i].id == (int64_t)i + 1 && strtol(rows[i].name, NULL, 10) == (long)i, "row %zu", i);
}

TEST(a_full_arena_is_told_and_nothing_is_written)
{
	add_five_apps();
	struct arena *small = arena_new(100);
	struct app_row *rows = (struct app_row *)&e, row = { .id = 42 };
	size_t n = 77;
	struct query q = { .table = &table_app };
	OK(store_begin(s, &e));
	EXPECT(store_list(s, &q, small, (void **)&rows, &n, &e) == RC_LIMIT, "%s", e.msg);
	SAYS("app");
	EXPECT(n == 77 && rows == (struct app_row *)&e, "touched");
	struct arena *tiny = arena_new(1);
	EXPECT(store_get(s, &q, &row, tiny, &e) == RC_LIMIT, "%s", e.msg);
	EXPECT(row.id == 42, "touched");
	(void)add_app("the transaction goes on");
	OK(store_commit(s, &e));
	q.preds[0] = (struct pred)PRED_INT("id", CMP_EQ, 999);
	q.n_preds = 1;
	struct arena *none = arena_new(0);
	OK(store_list(s, &q, none, (void **)&rows, &n, &e));
	EXPECT(n == 0 && rows, "an empty list needs no room and is no NULL");
	arena_free(small);
	arena_free(tiny);
	arena_free(none);
}

TEST(delete_says_how_many)
{
	add_five_apps();
	int64_t n = -1;
	struct query q = { .table = &table_app, .preds = { PRED_TEXT("account", CMP_EQ, "1") }, .n_preds = 1,
			   .limit = 1 };
	OK(store_delete(s, &q, &n, &e));
	EXPECT(n == 3, "%lld", (long long)n);
	OK(store_delete(s, &q, &n, &e));
	EXPECT(n == 0, "%lld", (long long)n);
	OK(store_delete(s, &(struct query){ .table = &table_app }, NULL, &e));
	EXPECT(count_of(&table_app) == 0, "left");
}

/* ---- transactions ---- */

TEST(commit_keeps_and_rollback_undoes)
{
	OK(store_begin(s, &e));
	(void)add_app("a");
	OK(store_commit(s, &e));
	OK(store_begin(s, &e));
	(void)add_app("b");
	struct app_row row = { .id = 1, .account = "1", .name = "changed" };
	OK(store_update(s, &table_app, &row, &e));
	EXPECT(count_of(&table_app) == 2, "a transaction sees its own changes");
	store_rollback(s);
	EXPECT(strcmp(names(&(struct query){ .table = &table_app }), "a") == 0, "after the rollback");
	OK(store_begin(s, &e));
	OK(store_delete(s, &(struct query){ .table = &table_app }, NULL, &e));
	store_rollback(s);
	EXPECT(count_of(&table_app) == 1, "a delete undone");
	OK(store_begin(s, &e));
	OK(store_commit(s, &e));
}

TEST(a_mark_undoes_one_change_of_a_batch)
{
	OK(store_begin(s, &e));
	int64_t app = add_app("before");
	OK(store_mark(s, &e));
	(void)add_app("kept");
	OK(store_mark_keep(s, &e));
	OK(store_mark(s, &e));
	(void)add_app("undone");
	(void)add_instance(app, "undone");
	OK(store_delete(s, &(struct query){ .table = &table_app, .preds = { PRED_INT("id", CMP_EQ, app) },
					    .n_preds = 1 }, NULL, &e));
	OK(store_mark_undo(s, &e));
	OK(store_mark(s, &e));
	struct app_row twin = { .account = "1", .name = "kept" };
	EXPECT(store_insert(s, &table_app, &twin, &e) == RC_CONFLICT, "%s", e.msg);
	OK(store_mark_undo(s, &e));
	(void)add_app("after");
	OK(store_commit(s, &e));
	const char *left = names(&(struct query){ .table = &table_app });
	EXPECT(strcmp(left, "before,kept,after") == 0, "%s", left);
	EXPECT(count_of(&table_instance) == 0, "instances");
}

TEST(a_rollback_with_a_mark_undoes_all)
{
	OK(store_begin(s, &e));
	(void)add_app("a");
	OK(store_mark(s, &e));
	(void)add_app("b");
	store_rollback(s);
	EXPECT(count_of(&table_app) == 0, "left");
	OK(store_begin(s, &e));
	OK(store_mark(s, &e)); /* the old one is forgotten */
	OK(store_mark_keep(s, &e));
	OK(store_commit(s, &e));
}

TEST(a_refused_change_alone_leaves_nothing_open)
{
	(void)add_app("a");
	struct app_row twin = { .account = "1", .name = "a" };
	EXPECT(store_insert(s, &table_app, &twin, &e) == RC_CONFLICT, "%s", e.msg);
	OK(store_begin(s, &e));
	OK(store_commit(s, &e));
}

TEST(reads_may_be_bracketed)
{
	(void)add_app("a");
	OK(store_begin_read(s, &e));
	EXPECT(count_of(&table_app) == 1, "rows");
	EXPECT(count_of(&table_task) == 0, "rows");
	store_end_read(s);
	(void)add_app("b");
}

TEST(a_paused_view_hides_nothing)
{
	OK(store_begin_read(s, &e));
	EXPECT(count_of(&table_app) == 0, "rows");
	store_pause_read(s);
	(void)add_app("a");
	OK(store_begin_read(s, &e));
	EXPECT(count_of(&table_app) == 1, "in the next view");
	store_pause_read(s);
	EXPECT(count_of(&table_app) == 1, "outside of one");
	store_rest(s);
}

TEST(a_sound_store_checks_well)
{
	add_parents();
	OK(store_check(s, STORE_FULL, &e));
	EXPECT(store_schema_version(s) >= 1, "%d", store_schema_version(s));
}

/* ---- totals: counts and pages that a back end need not count out ---- */

enum { GROUPS = 3, CHANGES = 40, MANY = 3000 };

/* As many as a list gives, and each page of it is the same piece of the whole. */
static void expect_counted(struct rng *r, struct query q)
{
	void *all, *page;
	size_t n_all = 0, n = 0;
	int64_t counted = -1;
	OK(store_count(s, &q, &counted, &e));
	OK(store_list(s, &q, a, &all, &n_all, &e));
	EXPECT(counted == (int64_t)n_all, "%s: counts %lld of %zu", q.table->name, (long long)counted, n_all);
	for (int i = 0; i < 8; i++) {
		q.offset = (int64_t)rng_below(r, n_all + 3);
		q.limit = 4;
		OK(store_list(s, &q, a, &page, &n, &e));
		size_t from = (size_t)q.offset < n_all ? (size_t)q.offset : n_all;
		EXPECT(n == (n_all - from < 4 ? n_all - from : 4), "%s: %zu rows at %zu of %zu", q.table->name, n, from,
		       n_all);
		for (size_t k = 0; k < n; k++) {
			const char *diff = difference(q.table, (char *)page + k * q.table->row_size,
						      (char *)all + (from + k) * q.table->row_size);
			EXPECT(!diff, "%s: %s of row %zu of %zu", q.table->name, diff, from + k, n_all);
		}
	}
}

static void expect_all_counted(struct rng *r)
{
	static const char *const projects[] = { "p", "q" };
	struct query tasks = { .table = &table_task, .orders = { { "generation", true } } };
	struct query links = { .table = &table_cache_task, .orders = { { "task_id", true } } };
	for (int64_t i = 1; i <= GROUPS; i++) {
		tasks.preds[0] = links.preds[0] = (struct pred)PRED_INT("instance_id", CMP_EQ, i);
		links.preds[0].col = "cache_id";
		tasks.n_preds = links.n_preds = 1;
		expect_counted(r, tasks);
		expect_counted(r, links);
		for (int64_t k = 0; k < 4; k++) {
			tasks.preds[1] = (struct pred)PRED_INT("state", CMP_EQ, k);
			links.preds[1] = (struct pred)PRED_TEXT("project_id", CMP_EQ, projects[k % 2]);
			tasks.n_preds = links.n_preds = 2;
			expect_counted(r, tasks);
			expect_counted(r, links);
		}
	}
	FOR_EACH_ROW(i, projects) {
		links.preds[0] = (struct pred)PRED_TEXT("project_id", CMP_EQ, projects[i]);
		links.n_preds = 1;
		expect_counted(r, links);
	}
	arena_reset(a);
}

static struct task_row random_task(struct rng *r)
{
	return (struct task_row){ .instance_id = 1 + (int64_t)rng_below(r, GROUPS),
				  .generation = (int64_t)rng_below(r, 40000) - 3000,
				  .state = rng_below(r, 20) ? 2 + (int64_t)rng_below(r, 2) : (int64_t)rng_below(r, 2) };
}

static void add_random_task(struct rng *r)
{
	struct task_row row = random_task(r);
	if (rng_below(r, 4))
		row.instance_id = 1;
	enum rc rc = store_insert(s, &table_task, &row, &e);
	EXPECT(rc == RC_OK || rc == RC_CONFLICT, "%s", e.msg);
	if (rc != RC_OK || rng_below(r, 2))
		return;
	struct cache_task_row link = { row.id, 1 + (int64_t)rng_below(r, GROUPS), rng_below(r, 3) ? "p" : "q" };
	OK(store_insert(s, &table_cache_task, &link, &e));
}

static void change_random_task(struct rng *r)
{
	struct task_row row = random_task(r), old;
	struct cache_task_row link = { 1 + (int64_t)rng_below(r, MANY), 1 + (int64_t)rng_below(r, GROUPS), "q" };
	row.id = 1 + (int64_t)rng_below(r, MANY);
	enum rc rc = get_twin(&table_task, &row, &old);
	if (rc == RC_OK && rng_below(r, 2)) { /* the usual one: it ends */
		row = old;
		row.state = 3;
	}
	rc = store_update(s, &table_task, &row, &e);
	EXPECT(rc == RC_OK || rc == RC_CONFLICT || rc == RC_NOT_FOUND, "%s", e.msg);
	rc = store_update(s, &table_cache_task, &link, &e);
	EXPECT(rc == RC_OK || rc == RC_NOT_FOUND, "%s", e.msg);
}

static void change_at_random(struct rng *r)
{
	int64_t id = 1 + (int64_t)rng_below(r, MANY);
	struct query some = { .table = &table_task, .n_preds = 2,
			      .preds = { PRED_INT("id", CMP_GE, id), PRED_INT("id", CMP_LT, id + 9) } };
	switch (rng_below(r, 4)) {
	case 0:
		OK(store_delete(s, &some, NULL, &e));
		break;
	case 1:
		add_random_task(r);
		break;
	default:
		change_random_task(r);
		break;
	}
}

TEST(totals_are_those_of_the_rows)
{
	struct rng r;
	rng_init(&r, 7);
	int64_t app = add_app("a");
	for (int i = 0; i < GROUPS; i++)
		(void)add_instance(app, (const char *const[]){ "x", "y", "z" }[i]);
	OK(store_begin(s, &e));
	for (int i = 0; i < MANY; i++)
		add_random_task(&r);
	OK(store_commit(s, &e));
	expect_all_counted(&r);
	OK(store_begin(s, &e));
	for (int i = 0; i < CHANGES; i++) {
		OK(store_mark(s, &e));
		for (int k = 0; k < 5; k++)
			change_at_random(&r);
		OK(i % 4 ? store_mark_keep(s, &e) : store_mark_undo(s, &e));
	}
	expect_all_counted(&r);
	store_rollback(s);
	expect_all_counted(&r);
	OK(store_begin(s, &e));
	for (int i = 0; i < CHANGES; i++)
		change_at_random(&r);
	OK(store_delete(s,
			&(struct query){
				.table = &table_instance, .preds = { PRED_INT("id", CMP_EQ, 2) }, .n_preds = 1 },
			NULL, &e));
	OK(store_commit(s, &e));
	expect_all_counted(&r);
	OK(store_check_totals(s, NULL, &e));
	OK(store_delete(s, &(struct query){ .table = &table_app }, NULL, &e));
	expect_all_counted(&r);
	OK(store_check_totals(s, NULL, &e));
}

/* ---- random sequences ---- */

enum { STORES = ARRAY_LEN(openers), STEPS = 4000 };

static struct store *both[STORES];

/* A row with few different values, so that keys collide, references hit and miss, and orders tie. */
static void random_row(struct rng *r, const struct table *t, void *row)
{
	static const char *const texts[] = { NULL, "", "a", "b", "ab", "B", "\xc3\xa9" };
	memset(row, 0, t->row_size);
	for (int i = 0; i < t->n_cols; i++) {
		void *slot = row_slot(t, i, row);
		if (t->cols[i].flags & COL_AUTO)
			*(int64_t *)slot = rng_below(r, 4) ? 0 : (int64_t)rng_below(r, 30);
		else if (t->cols[i].type == COL_INT)
			*(int64_t *)slot = (int64_t)rng_below(r, is_ref(t, i) ? 12 : 5);
		else if (t->cols[i].type == COL_REAL)
			*(double *)slot = (double)rng_below(r, 7) / 3;
		else if (t->cols[i].type == COL_TEXT)
			*(const char **)slot = texts[rng_below(r, ARRAY_LEN(texts))];
		else
			*(struct blob *)slot = (struct blob){ "blob", rng_below(r, 5) };
	}
}

static int random_col(struct rng *r, const struct table *t)
{
	int i;
	do
		i = (int)rng_below(r, (uint64_t)t->n_cols);
	while (t->cols[i].type != COL_INT && t->cols[i].type != COL_TEXT);
	return i;
}

static struct query random_query(struct rng *r, const struct table *t)
{
	static const char *const texts[] = { NULL, "", "a", "b", "B" };
	struct query q = { .table = t, .n_preds = (int)rng_below(r, 4) };
	for (int i = 0; i < q.n_preds; i++) {
		q.preds[i] = (struct pred){ .col = t->cols[random_col(r, t)].name, .cmp = (enum cmp)rng_below(r, 6),
					    .v_int = (int64_t)rng_below(r, 6), .v_text = texts[rng_below(r, 5)] };
		if (t->hot && rng_below(r, 3) == 0)
			q.preds[i].col = t->hot->col;
	}
	for (uint64_t i = 0, n = rng_below(r, QUERY_ORDERS + 1); i < n; i++)
		q.orders[i] = (struct order){ t->cols[random_col(r, t)].name, rng_below(r, 2) };
	q.offset = rng_below(r, 3) ? 0 : (int64_t)rng_below(r, 5);
	q.limit = rng_below(r, 3) ? 0 : (int64_t)rng_below(r, 5);
	return q;
}

static void expect_same_lists(const struct query *q, int step)
{
	void *rows[STORES];
	size_t n[STORES];
	for (int k = 0; k < STORES; k++) {
		s = both[k];
		OK(store_list(s, q, a, &rows[k], &n[k], &e));
		EXPECT(n[k] == n[0], "step %d: %s lists %zu of %s, not %zu", step, openers[k].name, n[k],
		       q->table->name, n[0]);
		if (n[k] != n[0])
			return;
	}
	for (size_t i = 0; i < n[0]; i++) {
		for (int k = 1; k < STORES; k++) {
			const char *diff = difference(q->table, (char *)rows[0] + i * q->table->row_size,
						      (char *)rows[k] + i * q->table->row_size);
			EXPECT(!diff, "step %d: %s, row %zu of %s: %s differs", step, openers[k].name, i,
			       q->table->name, diff);
		}
	}
}

static const char *const op_names[] = { "insert", "update", "change",   "delete", "get",  "count",
					"begin",  "commit", "rollback", "mark",   "keep", "undo" };
enum op { INSERT, UPDATE, CHANGE, DELETE, GET, COUNT, BEGIN, COMMIT, ROLLBACK, MARK, KEEP, UNDO };

/* One that is allowed in the state of the stores: the bookkeeping is the caller's side of the contract. */
static enum op random_op(struct rng *r)
{
	uint64_t dice = rng_below(r, 100);
	if (dice < 45)
		return INSERT;
	if (dice < 60)
		return dice < 52 ? UPDATE : CHANGE;
	if (dice < 64)
		return DELETE;
	if (dice < 80)
		return dice < 72 ? GET : COUNT;
	if (both[0]->tx == TX_NONE)
		return BEGIN;
	if (both[0]->has_mark)
		return dice < 90 ? KEEP : UNDO;
	return dice < 92 ? MARK : dice < 97 ? COMMIT : ROLLBACK;
}

struct outcome {
	enum rc rc;
	int64_t n;
	union any_row row;
};

static struct outcome apply(struct store *on, enum op op, const struct query *q, const union any_row *was,
			    const union any_row *row)
{
	struct outcome o = { .n = -1, .row = *row };
	const struct table *t = q->table;
	switch (op) {
	case INSERT: o.rc = store_insert(on, t, &o.row, &e); break;
	case UPDATE: o.rc = store_update(on, t, &o.row, &e); break;
	case CHANGE: o.rc = store_change(on, t, was, &o.row, &e); break;
	case DELETE: o.rc = store_delete(on, q, &o.n, &e); break;
	case GET: o.rc = store_get(on, q, &o.row, a, &e); break;
	case COUNT: o.rc = store_count(on, q, &o.n, &e); break;
	case BEGIN: o.rc = store_begin(on, &e); break;
	case COMMIT: o.rc = store_commit(on, &e); break;
	case ROLLBACK: store_rollback(on); break;
	case MARK: o.rc = store_mark(on, &e); break;
	case KEEP: o.rc = store_mark_keep(on, &e); break;
	case UNDO: o.rc = store_mark_undo(on, &e); break;
	}
	return o;
}

static void one_step(struct rng *r, int step, int *n_ok)
{
	const struct table *t = all_tables[rng_below(r, ARRAY_LEN(all_tables))];
	enum op op = random_op(r);
	struct query q = random_query(r, t);
	union any_row was, row;
	struct outcome o[STORES];

	if (op == DELETE && q.n_preds == 0) /* would keep the stores empty */
		q.preds[q.n_preds++] = (struct pred){ .col = t->cols[0].name, .v_int = 3, .v_text = "a" };
	memset(&row, 0, sizeof row);
	random_row(r, t, &row);
	random_row(r, t, &was);
	copy_key(t, &was, &row);
	for (int k = 0; k < STORES; k++) {
		o[k] = apply(both[k], op, &q, &was, &row);
		EXPECT(o[k].rc == o[0].rc, "step %d, %s %s: %s says %s (%s), not %s", step, op_names[op], t->name,
		       openers[k].name, rc_name(o[k].rc), e.msg, rc_name(o[0].rc));
		EXPECT(o[k].n == o[0].n, "step %d, %s %s: %lld, not %lld", step, op_names[op], t->name,
		       (long long)o[k].n, (long long)o[0].n);
		const char *diff = difference(t, &o[k].row, &o[0].row);
		EXPECT(!diff, "step %d, %s %s: %s differs", step, op_names[op], t->name, diff);
	}
	n_ok[op] += o[0].rc == RC_OK;
	expect_same_lists(&q, step);
}

static void random_run(uint64_t seed, int *n_ok)
{
	struct rng r;
	rng_init(&r, seed);
	a = arena_new((size_t)64 << 20);
	for (int k = 0; k < STORES; k++)
		both[k] = openers[k].open(&e);
	for (int step = 0; step < STEPS && !test_case_failures; step++) {
		one_step(&r, step, n_ok);
		if (step % 50)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(all_tables); i++)
			expect_same_lists(&(struct query){ .table = all_tables[i] }, step);
		arena_reset(a);
	}
	for (int k = 0; k < STORES; k++) {
		if (both[k]->tx == TX_NONE)
			OK(store_check(both[k], STORE_FULL, &e));
		OK(store_check_totals(both[k], NULL, &e));
		store_close(both[k]);
	}
	arena_free(a);
	if (test_case_failures)
		printf("seed %llu\n", (unsigned long long)seed);
}

TEST(random_sequences_agree)
{
	int n_ok[ARRAY_LEN(op_names)] = { 0 };
	for (uint64_t seed = 1; seed <= 2; seed++)
		random_run(seed, n_ok);
	FOR_EACH_ROW(i, op_names)
		EXPECT(n_ok[i] >= 20, "only %d times ok: %s", n_ok[i], op_names[i]);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	(void)snprintf(dir, sizeof dir, "%.400s/store-contract-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	RUN_ON_EACH(every_column_of_every_table_comes_back);
	RUN_ON_EACH(update_replaces_every_column_but_the_key);
	RUN_ON_EACH(a_change_writes_the_columns_that_differ_and_no_others);
	RUN_ON_EACH(a_change_of_nothing_writes_nothing);
	RUN_ON_EACH(null_texts_and_blobs_read_as_empty);
	RUN_ON_EACH(a_number_that_is_none_comes_back_as_such);
	RUN_ON_EACH(a_get_of_nothing_leaves_the_row_alone);
	RUN_ON_EACH(an_update_of_nothing_is_told);
	RUN_ON_EACH(values_over_the_limit_are_refused);
	RUN_ON_EACH(twins_are_refused_and_the_transaction_goes_on);
	RUN_ON_EACH(an_update_may_not_make_a_twin);
	RUN_ON_EACH(rows_refer_to_rows_that_exist);
	RUN_ON_EACH(ids_ascend_and_are_never_given_again);
	RUN_ON_EACH(what_refers_to_a_deleted_row_goes_too);
	RUN_ON_EACH(conditions);
	RUN_ON_EACH(order_offset_and_limit);
	RUN_ON_EACH(conditions_around_a_partial_index);
	RUN_ON_EACH(lists_longer_than_a_first_guess);
	RUN_ON_EACH(a_full_arena_is_told_and_nothing_is_written);
	RUN_ON_EACH(delete_says_how_many);
	RUN_ON_EACH(commit_keeps_and_rollback_undoes);
	RUN_ON_EACH(a_mark_undoes_one_change_of_a_batch);
	RUN_ON_EACH(a_rollback_with_a_mark_undoes_all);
	RUN_ON_EACH(a_refused_change_alone_leaves_nothing_open);
	RUN_ON_EACH(reads_may_be_bracketed);
	RUN_ON_EACH(a_paused_view_hides_nothing);
	RUN_ON_EACH(a_sound_store_checks_well);
	RUN_ON_EACH(totals_are_those_of_the_rows);
	RUN(random_sequences_agree);
	if (dir_remove(dir, &e) != RC_OK)
		return 1;
	return test_failures != 0;
}
