/*
 * SQL text of a shape. Parameters: for insert and update column i is ?i+1; else predicate i is ?i+1, and a list's
 * LIMIT and OFFSET follow. All names are quoted, since "key" and "default" are words of SQL.
 */
#include "base/must.h"
#include "store/sqlite/sqlite_priv.h"

static const char *const cmp_words[] = {
	[CMP_EQ] = "=", [CMP_NE] = "<>", [CMP_LT] = "<", [CMP_LE] = "<=", [CMP_GT] = ">", [CMP_GE] = ">=",
};

static bool is_key(const struct table *t, int col) { return t->cols[col].flags & COL_KEY; }

static void add_names(struct buf *out, const struct table *t)
{
	for (int i = 0; i < t->n_cols; i++)
		buf_addf(out, "%s\"%s\"", i ? "," : "", t->cols[i].name);
}

static void add_insert(struct buf *out, const struct table *t)
{
	buf_addf(out, "INSERT INTO \"%s\" (", t->name);
	add_names(out, t);
	buf_adds(out, ") VALUES (");
	for (int i = 0; i < t->n_cols; i++)
		buf_addf(out, "%s?%d", i ? "," : "", i + 1);
	buf_adds(out, ")");
}

/* The key is never set again: rows that refer to it need no look. */
static void add_update(struct buf *out, const struct shape *shape)
{
	const struct table *t = shape->table;
	const char *between = "";
	buf_addf(out, "UPDATE \"%s\" SET ", t->name);
	for (int i = 0; i < t->n_cols; i++) {
		if (!(shape->sets >> i & 1))
			continue;
		buf_addf(out, "%s\"%s\"=?%d", between, t->cols[i].name, i + 1);
		between = ",";
	}
	between = " WHERE ";
	for (int i = 0; i < t->n_cols; i++) {
		if (!is_key(t, i))
			continue;
		buf_addf(out, "%s\"%s\"=?%d", between, t->cols[i].name, i + 1);
		between = " AND ";
	}
}

static void add_where(struct buf *out, const struct shape *shape, bool is_hot)
{
	const struct table *t = shape->table;
	const char *between = " WHERE ";

	for (int i = 0; i < shape->n_preds; i++) {
		buf_addf(out, "%s\"%s\"%s?%d", between, t->cols[shape->pred_col[i]].name,
			 cmp_words[shape->pred_cmp[i]], i + 1);
		between = " AND ";
	}
	/* Implied by the parameters, which the planner does not see: said again in the words of the partial index. */
	if (is_hot)
		buf_addf(out, "%s\"%s\"%s%lld", between, t->hot->col, cmp_words[t->hot->cmp],
			 (long long)t->hot->v_int);
}

/* Is the order settled as far as this column goes: the same for all matches, or asked for already? The planner does
 * not always see it, and would sort. */
static bool is_settled(const struct shape *shape, int col)
{
	for (int i = 0; i < shape->n_preds; i++) {
		if (shape->pred_col[i] == col && shape->pred_cmp[i] == CMP_EQ)
			return true;
	}
	for (int i = 0; i < shape->n_orders; i++) {
		if (shape->order_col[i] == col)
			return true;
	}
	return false;
}

static void add_order(struct buf *out, const struct shape *shape)
{
	const struct table *t = shape->table;
	const char *between = " ORDER BY ";
	bool is_desc = false;

	for (int i = 0; i < shape->n_orders; i++) {
		is_desc = shape->order_desc[i];
		buf_addf(out, "%s\"%s\"%s", between, t->cols[shape->order_col[i]].name, is_desc ? " DESC" : "");
		between = ",";
	}
	for (int i = 0; i < t->n_cols; i++) {
		if (!is_key(t, i) || is_settled(shape, i))
			continue;
		buf_addf(out, "%s\"%s\"%s", between, t->cols[i].name, is_desc ? " DESC" : "");
		between = ",";
	}
}

static void add_select(struct buf *out, const struct shape *shape)
{
	buf_adds(out, "SELECT ");
	add_names(out, shape->table);
	buf_addf(out, " FROM \"%s\"", shape->table->name);
	add_where(out, shape, shape->is_hot);
	add_order(out, shape);
	if (shape->verb == VERB_GET)
		buf_adds(out, " LIMIT 1");
	else
		buf_addf(out, " LIMIT ?%d OFFSET ?%d", shape->n_preds + 1, shape->n_preds + 2);
}

static void add_count(struct buf *out, const struct shape *shape, bool is_hot)
{
	buf_addf(out, "SELECT count(*) FROM \"%s\"", shape->table->name);
	add_where(out, shape, is_hot);
}

/* The kept number, and those that it leaves out. Columns of a total are named as those of its table. */
static void add_from_total(struct buf *out, const struct shape *shape)
{
	buf_addf(out, "SELECT (SELECT coalesce(sum(n),0) FROM \"%s\"", shape->table->totals[shape->total - 1].name);
	add_where(out, shape, /* is_hot= */ false);
	buf_adds(out, ")");
	if (!shape->table->hot || shape->is_cold)
		return;
	buf_adds(out, "+(");
	add_count(out, shape, /* is_hot= */ true);
	buf_adds(out, ")");
}

static void add_blocks(struct buf *out, const struct shape *shape)
{
	buf_addf(out, "SELECT block,sum(n) FROM \"%s\"", shape->table->totals[shape->total - 1].name);
	add_where(out, shape, /* is_hot= */ false);
	buf_adds(out, " GROUP BY block ORDER BY block DESC");
}

/* Parameters: first, second (if there is one), along. */
static void add_count_in(struct buf *out, const struct shape *shape)
{
	const struct total *total = &shape->table->totals[shape->total - 1];
	bool has_second = total->second != NULL;

	buf_addf(out, "INSERT INTO \"%s\" (\"%s\"", total->name, total->first);
	if (has_second)
		buf_addf(out, ",\"%s\"", total->second);
	buf_addf(out, ",block,n) VALUES (?1,%s?%d>>%d,1) ON CONFLICT DO UPDATE SET n=n+1", has_second ? "?2," : "",
		 2 + has_second, TOTAL_SHIFT);
}

void sql_of_shape(struct buf *out, const struct shape *shape)
{
	switch ((enum verb)shape->verb) {
	case VERB_INSERT:
		add_insert(out, shape->table);
		return;
	case VERB_UPDATE:
		add_update(out, shape);
		return;
	case VERB_GET:
	case VERB_LIST:
		add_select(out, shape);
		return;
	case VERB_COUNT:
		if (shape->total)
			add_from_total(out, shape);
		else
			add_count(out, shape, shape->is_hot);
		return;
	case VERB_DELETE:
		buf_addf(out, "DELETE FROM \"%s\"", shape->table->name);
		add_where(out, shape, shape->is_hot);
		return;
	case VERB_BLOCKS:
		add_blocks(out, shape);
		return;
	case VERB_COUNT_IN:
		add_count_in(out, shape);
		return;
	case VERBS:
		break;
	}
	must_failed("a verb", __FILE__, __LINE__, __func__);
}
