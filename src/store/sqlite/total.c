/*
 * Totals: numbers of rows that triggers keep (schema/0006_totals.sql), in blocks of TOTAL_BLOCK neighbours in the order
 * of a list. Counting by them is sql.c's; here is how a list finds a page in its midst by adding up blocks instead of
 * passing over rows, and whether the numbers are those of the rows.
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
	/* Hot rows may lie anywhere: leave room for all of them, and see afterwards how many were among those passed. */
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

static sqlite3_stmt *prepared(sqlite3 *db, const struct buf *sql)
{
	sqlite3_stmt *stmt = NULL;
	must(!sql->is_over);
	return sqlite3_prepare_v2(db, buf_text(sql), -1, &stmt, NULL) == SQLITE_OK ? stmt : NULL;
}

/* Not the rows that a total leaves out. */
static void add_cold(struct buf *sql, const struct table *t, const char *word)
{
	must(!t->hot || t->hot->cmp == CMP_LT); /* the only kind so far */
	if (t->hot)
		buf_addf(sql, " %s \"%s\">=%lld", word, t->hot->col, (long long)t->hot->v_int);
}

/* Rows where the number kept for one value of `first` is not the number of rows: none, if all is well. */
static sqlite3_stmt *prepare_differences(sqlite3 *db, const struct table *t, const struct total *total)
{
	const char *second = total->second ? total->second : total->first;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	buf_addf(&sql, "SELECT 1 FROM (SELECT block AS b,\"%s\" AS s,n FROM \"%s\" WHERE \"%s\"=?1", second, total->name,
		 total->first);
	buf_addf(&sql, " UNION ALL SELECT \"%s\">>%d,\"%s\",-1 FROM \"%s\" WHERE \"%s\"=?1", total->along, TOTAL_SHIFT,
		 second, t->name, total->first);
	add_cold(&sql, t, "AND");
	buf_adds(&sql, ") GROUP BY b,s HAVING sum(n)<>0 LIMIT 1");
	sqlite3_stmt *stmt = prepared(db, &sql);
	buf_fini(&sql);
	return stmt;
}

static sqlite3_stmt *prepare_firsts(sqlite3 *db, const struct total *total)
{
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	buf_addf(&sql, "SELECT DISTINCT \"%s\" FROM \"%s\"", total->first, total->name);
	sqlite3_stmt *stmt = prepared(db, &sql);
	buf_fini(&sql);
	return stmt;
}

static enum rc tell_wrong(const struct table *t, const struct total *total, const char *which, struct err *err)
{
	return err_set(err, RC_CORRUPT, "the number of %s rows kept in %s is not that of the rows (%s %.80s)", t->name,
		       total->name, total->first, which);
}

/* The value that firsts stands at. */
static enum rc check_one(sqlite3 *db, const struct table *t, const struct total *total, sqlite3_stmt *firsts,
			 sqlite3_stmt *differences, struct err *err)
{
	enum rc rc = RC_OK;
	(void)sqlite3_bind_value(differences, 1, sqlite3_column_value(firsts, 0)); /* 1 is there */
	int code = sqlite3_step(differences);
	if (code == SQLITE_ROW)
		rc = tell_wrong(t, total, (const char *)sqlite3_column_text(firsts, 0), err);
	else if (code != SQLITE_DONE)
		rc = sqlite_failed(db, code, t, "cannot check totals", err);
	(void)sqlite3_reset(differences); /* repeats the error of the step */
	return rc;
}

/* Value by value, so that what has to be sorted is never more than one list. */
static enum rc check_each(sqlite3 *db, const struct table *t, const struct total *total, struct err *err)
{
	sqlite3_stmt *firsts = prepare_firsts(db, total), *differences = prepare_differences(db, t, total);
	bool is_ready = firsts && differences;
	int code = is_ready ? sqlite3_step(firsts) : sqlite3_errcode(db);
	enum rc rc = RC_OK;

	for (; rc == RC_OK && code == SQLITE_ROW; code = rc == RC_OK ? sqlite3_step(firsts) : SQLITE_DONE)
		rc = check_one(db, t, total, firsts, differences, err);
	if (rc == RC_OK && code != SQLITE_DONE)
		rc = sqlite_failed(db, code, t, "cannot check totals", err);
	(void)sqlite3_finalize(firsts); /* repeats the error of the step */
	(void)sqlite3_finalize(differences);
	return rc;
}

/* If every number kept is right and their sum is that of all rows, none is missing. */
static enum rc check_sum(sqlite3 *db, const struct table *t, const struct total *total, struct err *err)
{
	struct buf sql;
	int64_t more = 0;

	buf_init(&sql, SQL_MAX);
	buf_addf(&sql, "SELECT (SELECT count(*) FROM \"%s\"", t->name);
	add_cold(&sql, t, "WHERE");
	buf_addf(&sql, ")-(SELECT coalesce(sum(n),0) FROM \"%s\")", total->name);
	enum rc rc = sqlite_number(db, buf_text(&sql), &more, err);
	buf_fini(&sql);
	return rc == RC_OK && more ? tell_wrong(t, total, "not kept at all", err) : rc;
}

static enum rc check_table(sqlite3 *db, const struct table *t, struct err *err)
{
	enum rc rc = RC_OK;
	for (const struct total *total = t->totals; rc == RC_OK && total && total->name; total++) {
		rc = check_each(db, t, total, err);
		if (rc == RC_OK)
			rc = check_sum(db, t, total, err);
	}
	return rc;
}

enum rc total_check(struct store *base, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	bool is_own = sqlite3_get_autocommit(s->db);
	enum rc rc = is_own ? cache_control(s, CTL_BEGIN_READ, err) : RC_OK;

	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(all_tables); i++)
		rc = check_table(s->db, all_tables[i], err);
	if (is_own)
		base->ops->end_read(base);
	return rc;
}
