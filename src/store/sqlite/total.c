/*
 * Totals: numbers of rows in blocks of TOTAL_BLOCK neighbours in the order of a list. What is inserted is counted here,
 * updates and deletes by triggers (schema/0006_totals.sql), since those may follow from another row's. Counting by them
 * is sql.c's; here is how a list finds a page in its midst by adding up blocks instead of passing over rows, and
 * whether the numbers are those of the rows.
 */
#include <string.h>
#include "base/attr.h"
#include "base/must.h"
#include "store/sqlite/sqlite_priv.h"
#include "store/tables.h"

static const struct total *total_of(const struct shape *shape)
{
	return shape->total ? &shape->table->totals[shape->total - 1] : NULL;
}

/* ---- an insert ---- */

/* Those a total leaves out. */
static bool is_hot(const struct table *t, const void *row)
{
	if (!t->hot)
		return false;
	must(t->hot->cmp == CMP_LT); /* the only kind so far */
	return row_int(t, table_col(t, t->hot->col, strlen(t->hot->col)), row) < t->hot->v_int;
}

static int bind_named(sqlite3_stmt *stmt, int at, const struct table *t, const char *name, const void *row)
{
	int col = table_col(t, name, strlen(name));

	if (t->cols[col].type == COL_INT)
		return sqlite3_bind_int64(stmt, at, row_int(t, col, row));
	return sqlite3_bind_text(stmt, at, row_text(t, col, row), -1, SQLITE_STATIC);
}

static enum rc count_in(struct sqlite_store *s, const struct table *t, int i, const void *row, struct err *err)
{
	struct shape shape = { .table = t, .verb = VERB_COUNT_IN, .total = (uint8_t)(i + 1) };
	const struct total *total = &t->totals[i];
	sqlite3_stmt *stmt;
	int at = 1;

	enum rc rc = cache_get(s, &shape, &stmt, err);
	if (rc != RC_OK)
		return rc;
	int code = bind_named(stmt, at++, t, total->first, row);
	if (code == SQLITE_OK && total->second)
		code = bind_named(stmt, at++, t, total->second, row);
	if (code == SQLITE_OK)
		code = bind_named(stmt, at, t, total->along, row);
	code = code == SQLITE_OK ? sqlite3_step(stmt) : code;
	rc = code == SQLITE_DONE ? RC_OK : sqlite_failed(s->db, code, t, "cannot count", err);
	cache_done(stmt);
	return rc;
}

enum rc total_count_in(struct sqlite_store *s, const struct table *t, const void *row, struct err *err)
{
	enum rc rc = RC_OK;

	if (!t->totals || is_hot(t, row))
		return RC_OK;
	for (int i = 0; rc == RC_OK && t->totals[i].name; i++)
		rc = count_in(s, t, i, row, err);
	return rc;
}

/* ---- a page from the midst of a list ---- */

static bool is_along(const struct shape *shape, const struct total *total)
{
	return shape->n_orders == 1 && shape->order_desc[0] &&
	       strcmp(shape->table->cols[shape->order_col[0]].name, total->along) == 0;
}

/* Those rows of q that no total counts, from the value `from` of its order on. */
static enum rc count_hot(struct sqlite_store *s, const struct total *total, const struct query *q, int64_t from,
			 int64_t *n, struct err *err)
{
	struct query hot = *q;
	must(hot.n_preds + 2 <= QUERY_PREDS);
	hot.preds[hot.n_preds++] = *q->table->hot;
	hot.preds[hot.n_preds++] = (struct pred)PRED_INT(total->along, CMP_GE, from);
	struct shape shape = shape_of(VERB_COUNT, &hot);
	return s->base.ops->count(&s->base, &shape, &hot, n, err);
}

struct place {
	int64_t from;   /* first value of the last whole block that is passed */
	int64_t passed; /* rows in such blocks; 0: none, and from is nothing */
};

/* As many whole blocks as hold at most `most` rows, from the end of the order on. */
static enum rc pass_blocks(struct sqlite_store *s, const struct shape *list, const struct query *q, int64_t most,
			   struct place *out, struct err *err)
{
	struct shape shape = *list;
	struct place at = { 0, 0 };
	sqlite3_stmt *stmt;

	shape.verb = VERB_BLOCKS;
	shape.n_orders = 0;
	memset(shape.order_col, 0, sizeof shape.order_col);
	memset(shape.order_desc, 0, sizeof shape.order_desc);
	enum rc rc = sqlite_start(s, &shape, q, &stmt, err);
	if (rc != RC_OK)
		return rc;
	int code = sqlite3_step(stmt);
	while (code == SQLITE_ROW && at.passed + sqlite3_column_int64(stmt, 1) <= most) {
		at.passed += sqlite3_column_int64(stmt, 1);
		at.from = sqlite3_column_int64(stmt, 0) * TOTAL_BLOCK;
		code = sqlite3_step(stmt);
	}
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		rc = sqlite_failed(s->db, code, list->table, "cannot find the page", err);
	cache_done(stmt);
	if (rc == RC_OK)
		*out = at;
	return rc;
}

enum rc total_seek(struct sqlite_store *s, const struct shape *shape, struct query *q, struct err *err)
{
	const struct total *total = total_of(shape);
	bool has_hot = shape->table->hot && !shape->is_cold;
	int64_t n_hot = 0;
	struct place at = { 0, 0 };

	if (!total || !is_along(shape, total) || q->offset < TOTAL_BLOCK)
		return RC_OK;
	/* Hot rows may lie anywhere: leave room for all of them, and see afterwards how many were
	 * among those passed. */
	enum rc rc = has_hot ? count_hot(s, total, q, INT64_MIN, &n_hot, err) : RC_OK;
	if (rc == RC_OK)
		rc = pass_blocks(s, shape, q, q->offset - n_hot, &at, err);
	if (rc == RC_OK && n_hot && at.passed)
		rc = count_hot(s, total, q, at.from, &n_hot, err);
	if (rc != RC_OK || !at.passed)
		return rc;
	q->offset -= at.passed + n_hot;
	q->preds[q->n_preds++] = (struct pred)PRED_INT(total->along, CMP_LT, at.from);
	return RC_OK;
}

/* ---- are they right? ---- */

/*
 * List by list (by each value of `first`), so that what has to be sorted is never more than one list. The three
 * statements of a total have that value as ?1.
 */
struct audit {
	const struct table *table;
	const struct total *total;
	sqlite3_stmt *firsts;      /* every value, of rows and of numbers */
	sqlite3_stmt *differences; /* a row where the numbers of a value are not those of its rows */
	sqlite3_stmt *forget, *count; /* what mends it; NULL: only look */
};

/* Not the rows that a total leaves out. */
static void add_cold(struct buf *sql, const struct table *t)
{
	must(!t->hot || t->hot->cmp == CMP_LT); /* the only kind so far */
	if (t->hot)
		buf_addf(sql, " AND \"%s\">=%lld", t->hot->col, (long long)t->hot->v_int);
}

static void add_firsts(struct buf *sql, const struct audit *x)
{
	const char *first = x->total->first;
	buf_addf(sql, "SELECT DISTINCT \"%s\" FROM \"%s\" UNION SELECT DISTINCT \"%s\" FROM \"%s\"", first,
		 x->table->name, first, x->total->name);
}

static void add_differences(struct buf *sql, const struct audit *x)
{
	const struct total *total = x->total;
	const char *second = total->second ? total->second : total->first;

	buf_addf(sql, "SELECT 1 FROM (SELECT block AS b,\"%s\" AS s,n FROM \"%s\" WHERE \"%s\"=?1", second, total->name,
		 total->first);
	buf_addf(sql, " UNION ALL SELECT \"%s\">>%d,\"%s\",-1 FROM \"%s\" WHERE \"%s\"=?1", total->along, TOTAL_SHIFT,
		 second, x->table->name, total->first);
	add_cold(sql, x->table);
	buf_adds(sql, ") GROUP BY b,s HAVING sum(n)<>0 LIMIT 1");
}

static void add_forget(struct buf *sql, const struct audit *x)
{
	buf_addf(sql, "DELETE FROM \"%s\" WHERE \"%s\"=?1", x->total->name, x->total->first);
}

static void add_recount(struct buf *sql, const struct audit *x)
{
	const struct total *total = x->total;
	const char *second = total->second ? total->second : "";
	const char *quote = total->second ? "\"" : "", *comma = total->second ? "," : "";

	buf_addf(sql, "INSERT INTO \"%s\" (n,block,\"%s\"%s%s%s%s) ", total->name, total->first, comma, quote, second,
		 quote);
	buf_addf(sql, "SELECT count(*),\"%s\">>%d,\"%s\"%s%s%s%s FROM \"%s\" WHERE \"%s\"=?1", total->along,
		 TOTAL_SHIFT, total->first, comma, quote, second, quote, x->table->name, total->first);
	add_cold(sql, x->table);
	buf_addf(sql, " GROUP BY 2%s", total->second ? ",4" : "");
}

static enum rc prepare(sqlite3 *db, const struct audit *x, void (*add)(struct buf *sql, const struct audit *x),
		       sqlite3_stmt **out, struct err *err)
{
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	add(&sql, x);
	must(!sql.is_over);
	int code = sqlite3_prepare_v2(db, buf_text(&sql), -1, out, NULL);
	buf_fini(&sql);
	return code == SQLITE_OK ? RC_OK : sqlite_failed(db, code, x->table, "cannot check totals", err);
}

static enum rc prepare_all(sqlite3 *db, struct audit *x, bool mends, struct err *err)
{
	enum rc rc = prepare(db, x, add_firsts, &x->firsts, err);
	if (rc == RC_OK)
		rc = prepare(db, x, add_differences, &x->differences, err);
	if (rc == RC_OK && mends)
		rc = prepare(db, x, add_forget, &x->forget, err);
	if (rc == RC_OK && mends)
		rc = prepare(db, x, add_recount, &x->count, err);
	return rc;
}

static void audit_fini(struct audit *x)
{
	(void)sqlite3_finalize(x->firsts); /* these repeat the errors of their steps */
	(void)sqlite3_finalize(x->differences);
	(void)sqlite3_finalize(x->forget);
	(void)sqlite3_finalize(x->count);
}

/* Run a statement for the value that firsts stands at; *found (may be NULL): it gave a row. */
static enum rc run_for(sqlite3 *db, const struct audit *x, sqlite3_stmt *stmt, bool *found, struct err *err)
{
	(void)sqlite3_bind_value(stmt, 1, sqlite3_column_value(x->firsts, 0)); /* 1 is there */
	int code = sqlite3_step(stmt);
	enum rc rc = code == SQLITE_ROW || code == SQLITE_DONE ? RC_OK
		     : sqlite_failed(db, code, x->table, "cannot check totals", err);
	(void)sqlite3_reset(stmt); /* repeats the error of the step */
	if (found)
		*found = code == SQLITE_ROW;
	return rc;
}

static enum rc tell_wrong(const struct audit *x, struct err *err)
{
	return err_set(err, RC_CORRUPT, "the number of %s rows kept in %s is not that of the rows (%s %.80s)",
		       x->table->name, x->total->name, x->total->first,
		       (const char *)sqlite3_column_text(x->firsts, 0));
}

static enum rc check_first(sqlite3 *db, const struct audit *x, int64_t *n_mended, struct err *err)
{
	bool is_wrong = false;
	enum rc rc = run_for(db, x, x->differences, &is_wrong, err);
	if (rc != RC_OK || !is_wrong)
		return rc;
	if (!x->forget)
		return tell_wrong(x, err);
	++*n_mended;
	rc = run_for(db, x, x->forget, NULL, err);
	return rc == RC_OK ? run_for(db, x, x->count, NULL, err) : rc;
}

static enum rc check_total(sqlite3 *db, struct audit *x, const struct store_pause *pause, int64_t *n_mended,
			   struct err *err)
{
	enum rc rc = RC_OK;
	int code = sqlite3_step(x->firsts);

	while (rc == RC_OK && code == SQLITE_ROW && !(pause && pause->is_over(pause->ctx))) {
		rc = check_first(db, x, n_mended, err);
		if (rc == RC_OK)
			code = sqlite3_step(x->firsts);
	}
	if (rc == RC_OK && code != SQLITE_DONE && code != SQLITE_ROW)
		rc = sqlite_failed(db, code, x->table, "cannot check totals", err);
	return rc;
}

static enum rc check_table(sqlite3 *db, const struct table *t, const struct store_pause *pause, int64_t *n_mended,
			   struct err *err)
{
	enum rc rc = RC_OK;
	for (const struct total *total = t->totals; rc == RC_OK && total && total->name; total++) {
		struct audit x = { .table = t, .total = total };
		rc = prepare_all(db, &x, /* mends= */ n_mended, err);
		if (rc == RC_OK)
			rc = check_total(db, &x, pause, n_mended, err);
		audit_fini(&x);
	}
	return rc;
}

static enum rc check_all(struct store *base, const struct store_pause *pause, int64_t *n_mended, struct err *err)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(all_tables); i++)
		rc = check_table(sqlite_of(base)->db, all_tables[i], pause, n_mended, err);
	return rc;
}

/* Each list is compared by one statement, so no transaction is needed around all of them. */
enum rc total_check(struct store *base, const struct store_pause *pause, struct err *err)
{
	return check_all(base, pause, NULL, err);
}

enum rc total_mend(struct store *base, int64_t *n_mended, struct err *err)
{
	return check_all(base, NULL, n_mended, err);
}
