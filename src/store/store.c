/*
 * What every back end shares: conditions of each call, the state of transactions, and what an error does to them.
 *
 * S1 A change is applied only within a write transaction; one made outside gets its own.
 * S2 After an error that leaves a transaction in doubt, nothing of it is kept and nothing more is added to it.
 * S3 After a failed commit or an I/O error nothing is read or written any more: memory and disk may differ.
 *
 *      begin             mark
 * NONE -----> WRITE <------------> WRITE with mark
 *      <-----       keep, undo
 *      commit, rollback; a dead transaction (S2) stays WRITE until one of the two
 */
#include "store/store.h"

#include <string.h>
#include "base/crash.h"
#include "base/must.h"
#include "store/store_priv.h"

/* ---- descriptions ---- */

/* Names in queries and in descriptions are literals, which the linker makes one as a rule. */
static int col_of(const struct table *t, const char *name)
{
	for (int i = 0; i < t->n_cols; i++) {
		if (t->cols[i].name == name)
			return i;
	}
	return table_col(t, name, strlen(name));
}

int table_col(const struct table *t, const char *name, size_t len)
{
	int i = 0;
	while (i < t->n_cols && !(strncmp(t->cols[i].name, name, len) == 0 && t->cols[i].name[len] == '\0'))
		i++;
	must(i < t->n_cols); /* a query names a column that the table does not have */
	return i;
}

int table_auto(const struct table *t)
{
	return t->cols[0].flags & COL_AUTO ? 0 : -1;
}

void *rows_add(struct rows *rows, const struct table *t, int64_t limit, struct arena *a)
{
	enum { FIRST = 32, FIRST_MAX = 256 };
	if (rows->n == rows->cap) {
		/* A page of known size fits at once; else doubling leaves at most as much unused as used. */
		size_t first = limit > 0 && limit <= FIRST_MAX ? (size_t)limit : FIRST;
		size_t cap = rows->cap ? rows->cap * 2 : first;
		unsigned char *bytes = arena_array(a, cap, t->row_size);
		if (!bytes)
			return NULL;
		if (rows->n)
			memcpy(bytes, rows->bytes, rows->n * t->row_size);
		rows->bytes = bytes;
		rows->cap = cap;
	}
	return rows->bytes + rows->n++ * t->row_size;
}

/* Does "col cmp v" hold only for values for which hot does too? */
static bool implies(const struct pred *p, const struct pred *hot)
{
	int64_t v = p->v_int, h = hot->v_int;
	if (strcmp(p->col, hot->col) != 0)
		return false;
	if (hot->cmp == CMP_LT)
		return (p->cmp == CMP_EQ && v < h) || (p->cmp == CMP_LT && v <= h) || (p->cmp == CMP_LE && v < h);
	must(hot->cmp == CMP_GT);
	return (p->cmp == CMP_EQ && v > h) || (p->cmp == CMP_GT && v >= h) || (p->cmp == CMP_GE && v > h);
}

/* Does "col = v" hold only for values for which hot does not? */
static bool excludes(const struct pred *p, const struct pred *hot)
{
	return p->cmp == CMP_EQ && strcmp(p->col, hot->col) == 0 && !implies(p, hot);
}

static bool is_by(const struct query *q, const char *col)
{
	for (int i = 0; i < q->n_preds; i++) {
		if (strcmp(q->preds[i].col, col) == 0 && q->preds[i].cmp == CMP_EQ)
			return true;
	}
	return false;
}

/* 1 + the place of the total that knows the number of matches of q (but for hot ones); 0: none does. */
static int total_of(const struct query *q)
{
	for (int i = 0; q->table->totals && q->table->totals[i].name; i++) {
		const struct total *t = &q->table->totals[i];
		bool by_second = t->second && is_by(q, t->second);
		if (is_by(q, t->first) && q->n_preds == 1 + by_second)
			return i + 1;
	}
	return 0;
}

struct shape shape_of(enum verb verb, const struct query *q)
{
	const struct table *t = q->table;
	struct shape shape = { .table = t, .verb = (uint8_t)verb };

	must(q->n_preds >= 0 && q->n_preds <= QUERY_PREDS);
	must(q->offset >= 0);
	must(q->limit >= 0);
	shape.n_preds = (uint8_t)q->n_preds;
	for (int i = 0; i < q->n_preds; i++) {
		const struct pred *p = &q->preds[i];
		int col = col_of(t, p->col);
		must(t->cols[col].type == COL_INT || t->cols[col].type == COL_TEXT);
		shape.pred_col[i] = (uint8_t)col;
		shape.pred_cmp[i] = (uint8_t)p->cmp;
		shape.is_hot |= t->hot && implies(p, t->hot);
		shape.is_cold |= t->hot && excludes(p, t->hot);
	}
	/* A total knows nothing of hot rows. */
	if ((verb == VERB_COUNT || verb == VERB_LIST) && !shape.is_hot)
		shape.total = (uint8_t)total_of(q);
	if (verb != VERB_GET && verb != VERB_LIST)
		return shape;
	for (int i = 0; i < QUERY_ORDERS && q->orders[i].col; i++) {
		shape.order_col[i] = (uint8_t)col_of(t, q->orders[i].col);
		shape.order_desc[i] = q->orders[i].is_desc;
		shape.n_orders++;
	}
	return shape;
}

/* ---- refusals ---- */

enum rc refuse_twin(const struct table *t, const char *detail, struct err *err)
{
	return err_set(err, RC_CONFLICT, "%s: such a row exists already (%s)", t->name, detail);
}

enum rc refuse_orphan(const struct table *t, struct err *err)
{
	return err_set(err, RC_NOT_FOUND, "%s: a row that it refers to does not exist", t->name);
}

enum rc refuse_absent(const struct table *t, struct err *err)
{
	return err_set(err, RC_NOT_FOUND, "%s: no such row", t->name);
}

enum rc refuse_full_arena(const struct table *t, struct err *err)
{
	return err_set(err, RC_LIMIT, "%s: the result is larger than the memory allowed for it", t->name);
}

/* ---- state ---- */

static enum rc repeat(const struct err *why, const char *what, struct err *err)
{
	return err_set(err, why->rc, "%s: %.400s", what, why->msg);
}

void store_rest(struct store *s)
{
	if (!s->is_paused)
		return;
	s->is_paused = false;
	s->ops->end_read(s);
}

/* May the back end be asked at all? */
static enum rc usable(struct store *s, struct err *err)
{
	store_rest(s);
	if (s->broken.rc != RC_OK)
		return repeat(&s->broken, "the store must be reopened after an error", err);
	if (s->dead.rc != RC_OK)
		return repeat(&s->dead, "the transaction was undone after an error", err);
	return RC_OK;
}

static void end_tx(struct store *s)
{
	s->tx = TX_NONE;
	s->has_mark = false;
	s->dead = (struct err){ 0 };
}

static void break_store(struct store *s, const struct err *why)
{
	s->broken = *why;
	s->broken.rc = RC_IO;
}

/* What a back end answered, with its effect on the transaction and the store (S2, S3). */
static enum rc settle(struct store *s, enum rc rc, const struct err *why, struct err *err)
{
	if (rc == RC_OK)
		return rc;
	if (rc == RC_IO)
		break_store(s, why);
	bool is_harmless = rc == RC_NOT_FOUND || rc == RC_CONFLICT || rc == RC_LIMIT;
	if (s->tx == TX_WRITE && !is_harmless) {
		s->ops->rollback(s);
		s->has_mark = false;
		s->dead = *why;
	}
	if (err)
		*err = *why;
	return rc;
}

/* ---- transactions ---- */

enum rc store_begin(struct store *s, struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	must(s->mode == STORE_WRITER);
	must(s->tx == TX_NONE);
	if (rc != RC_OK)
		return rc;
	rc = settle(s, s->ops->begin(s, &why), &why, err);
	if (rc == RC_OK)
		s->tx = TX_WRITE;
	return rc;
}

enum rc store_commit(struct store *s, struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	must(s->tx == TX_WRITE);
	must(!s->has_mark);
	if (rc != RC_OK) {
		end_tx(s);
		return rc;
	}
	crash_point("store.before_commit");
	rc = s->ops->commit(s, &why);
	if (rc != RC_OK) {
		s->ops->rollback(s);
		/* With a full disk nothing was written and no doubt is left: it may go on once there is room. */
		if (rc != RC_BUSY)
			break_store(s, &why);
		if (err)
			*err = why;
	}
	end_tx(s);
	crash_point("store.after_commit");
	return rc;
}

void store_rollback(struct store *s)
{
	must(s->tx == TX_WRITE);
	if (usable(s, NULL) == RC_OK)
		s->ops->rollback(s);
	end_tx(s);
}

enum rc store_mark(struct store *s, struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	must(s->tx == TX_WRITE);
	if (rc != RC_OK)
		return rc;
	must(!s->has_mark);
	rc = settle(s, s->ops->mark(s, &why), &why, err);
	s->has_mark = rc == RC_OK;
	return rc;
}

static enum rc end_mark(struct store *s, enum rc (*how)(struct store *s, struct err *err), struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	must(s->tx == TX_WRITE);
	if (rc != RC_OK)
		return rc;
	must(s->has_mark);
	rc = settle(s, how(s, &why), &why, err);
	s->has_mark = false;
	return rc;
}

enum rc store_mark_keep(struct store *s, struct err *err) { return end_mark(s, s->ops->mark_keep, err); }
enum rc store_mark_undo(struct store *s, struct err *err) { return end_mark(s, s->ops->mark_undo, err); }

uint64_t store_writes(const struct store *s) { return s->n_writes; }
enum rc store_usable(struct store *s, struct err *err) { return usable(s, err); }

enum rc store_touch(struct store *s, struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	must(s->tx == TX_WRITE);
	return rc == RC_OK ? settle(s, s->ops->touch(s, &why), &why, err) : rc;
}

void store_tidy(struct store *s)
{
	must(s->tx == TX_NONE);
	if (s->ops->tidy && s->broken.rc == RC_OK)
		s->ops->tidy(s);
}

/* Go on with a paused view, unless something was changed since it was begun. */
static bool resume(struct store *s)
{
	if (!s->is_paused || s->broken.rc != RC_OK || !s->ops->is_newest(s))
		return false;
	s->is_paused = false;
	s->tx = TX_READ;
	return true;
}

enum rc store_begin_read(struct store *s, struct err *err)
{
	must(s->tx == TX_NONE);
	if (resume(s))
		return RC_OK;
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	if (rc != RC_OK)
		return rc;
	rc = settle(s, s->ops->begin_read(s, &why), &why, err);
	if (rc == RC_OK)
		s->tx = TX_READ;
	return rc;
}

void store_end_read(struct store *s)
{
	must(s->tx == TX_READ);
	s->ops->end_read(s);
	end_tx(s);
}

void store_pause_read(struct store *s)
{
	must(s->tx == TX_READ);
	if (!s->ops->is_newest || s->broken.rc != RC_OK || !s->ops->is_newest(s)) {
		store_end_read(s); /* an old view would only hold the log */
		return;
	}
	end_tx(s);
	s->is_paused = true;
}

enum rc store_for_requests(struct store *s, size_t memory_size, struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	must(s->mode == STORE_READER);
	must(s->tx == TX_NONE);
	if (rc != RC_OK || !s->ops->for_requests)
		return rc;
	return settle(s, s->ops->for_requests(s, memory_size, &why), &why, err);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rest(s);
	if (s->tx == TX_WRITE)
		store_rollback(s);
	else if (s->tx == TX_READ)
		store_end_read(s);
	s->ops->close(s);
}

/* ---- changes ---- */

/* S1: open a transaction of its own for a change made outside of one. */
static enum rc enter(struct store *s, bool *is_own, struct err *err)
{
	must(s->tx != TX_READ);
	*is_own = s->tx == TX_NONE;
	return *is_own ? store_begin(s, err) : usable(s, err);
}

static enum rc leave(struct store *s, bool is_own, enum rc rc, const struct err *why, struct err *err)
{
	rc = settle(s, rc, why, err);
	s->n_writes += rc == RC_OK;
	if (!is_own)
		return rc;
	if (rc == RC_OK)
		return store_commit(s, err);
	store_rollback(s);
	return rc;
}

static enum rc check_row(const struct table *t, const void *row, struct err *err)
{
	must(t->row_size <= STORE_ROW_MAX);
	for (int i = 0; i < t->n_cols; i++) {
		const struct col *c = &t->cols[i];
		size_t len = c->type == COL_TEXT   ? strlen(row_text(t, i, row))
			     : c->type == COL_BLOB ? row_blob(t, i, row).len
						   : 0;
		if (len > STORE_VALUE_MAX)
			return err_set(err, RC_LIMIT, "%s.%s: %zu bytes are more than the %d allowed", t->name, c->name,
				       len, STORE_VALUE_MAX);
	}
	return RC_OK;
}

enum rc store_insert(struct store *s, const struct table *t, void *row, struct err *err)
{
	struct err why = { 0 };
	int auto_col = table_auto(t);
	int64_t id = 0;
	bool is_own;

	must(auto_col < 0 || row_int(t, auto_col, row) >= 0);
	enum rc rc = enter(s, &is_own, err);
	if (rc != RC_OK)
		return rc;
	rc = check_row(t, row, &why);
	if (rc == RC_OK)
		rc = s->ops->insert(s, t, row, &id, &why);
	rc = leave(s, is_own, rc, &why, err);
	if (rc == RC_OK && auto_col >= 0)
		*(int64_t *)row_slot(t, auto_col, row) = id;
	return rc;
}

static bool is_same(const struct table *t, int col, const void *a, const void *b)
{
	switch (t->cols[col].type) {
	case COL_INT:
		return row_int(t, col, a) == row_int(t, col, b);
	case COL_REAL: /* by its bits, so that a NaN is itself */
		return memcmp(row_at(t, col, a), row_at(t, col, b), sizeof(double)) == 0;
	case COL_TEXT:
		return strcmp(row_text(t, col, a), row_text(t, col, b)) == 0;
	case COL_BLOB: {
		struct blob x = row_blob(t, col, a), y = row_blob(t, col, b);
		return x.len == y.len && memcmp(x.bytes, y.bytes, x.len) == 0;
	}
	}
	return false;
}

/* was NULL: all columns but the key. */
static enum rc update(struct store *s, const struct table *t, const void *was, const void *row, struct err *err)
{
	struct shape shape = { .table = t, .verb = VERB_UPDATE };
	struct err why = { 0 };
	bool is_own;

	must(t->n_cols <= COLS_MAX);
	for (int i = 0; i < t->n_cols; i++) {
		bool is_key = t->cols[i].flags & COL_KEY, is_changed = !was || !is_same(t, i, was, row);
		must(!is_key || !was || !is_changed);
		shape.sets |= (uint64_t)(!is_key && is_changed) << i;
	}
	enum rc rc = enter(s, &is_own, err);
	if (rc != RC_OK)
		return rc;
	rc = check_row(t, row, &why);
	if (rc == RC_OK && shape.sets)
		rc = s->ops->update(s, &shape, row, &why);
	return leave(s, is_own, rc, &why, err);
}

enum rc store_update(struct store *s, const struct table *t, const void *row, struct err *err)
{
	return update(s, t, NULL, row, err);
}

enum rc store_change(struct store *s, const struct table *t, const void *was, const void *row, struct err *err)
{
	return update(s, t, was, row, err);
}

enum rc store_delete(struct store *s, const struct query *q, int64_t *n, struct err *err)
{
	struct err why = { 0 };
	int64_t deleted = 0;
	bool is_own;
	struct shape shape = shape_of(VERB_DELETE, q);
	enum rc rc = enter(s, &is_own, err);
	if (rc != RC_OK)
		return rc;
	rc = leave(s, is_own, s->ops->delete(s, &shape, q, &deleted, &why), &why, err);
	if (rc == RC_OK && n)
		*n = deleted;
	return rc;
}

/* ---- reads ---- */

enum rc store_get(struct store *s, const struct query *q, void *row, struct arena *a, struct err *err)
{
	_Alignas(max_align_t) unsigned char found[STORE_ROW_MAX];
	struct err why = { 0 };
	struct shape shape = shape_of(VERB_GET, q);
	enum rc rc = usable(s, err);
	if (rc != RC_OK)
		return rc;
	must(q->table->row_size <= sizeof found);
	rc = settle(s, s->ops->get(s, &shape, q, found, a, &why), &why, err);
	if (rc == RC_OK)
		memcpy(row, found, q->table->row_size);
	return rc;
}

enum rc store_list(struct store *s, const struct query *q, struct arena *a, void **rows, size_t *n, struct err *err)
{
	struct err why = { 0 };
	void *found = NULL;
	size_t n_found = 0;
	struct shape shape = shape_of(VERB_LIST, q);
	enum rc rc = usable(s, err);
	if (rc != RC_OK)
		return rc;
	rc = s->ops->list(s, &shape, q, a, &found, &n_found, &why);
	if (rc == RC_OK && !found) {
		found = arena_alloc(a, 0);
		if (!found)
			rc = refuse_full_arena(q->table, &why);
	}
	rc = settle(s, rc, &why, err);
	if (rc == RC_OK) {
		*rows = found;
		*n = n_found;
	}
	return rc;
}

enum rc store_count(struct store *s, const struct query *q, int64_t *n, struct err *err)
{
	struct err why = { 0 };
	int64_t found = 0;
	struct shape shape = shape_of(VERB_COUNT, q);
	enum rc rc = usable(s, err);
	if (rc != RC_OK)
		return rc;
	rc = settle(s, s->ops->count(s, &shape, q, &found, &why), &why, err);
	if (rc == RC_OK)
		*n = found;
	return rc;
}

enum rc store_check(struct store *s, enum store_depth depth, struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	return rc != RC_OK ? rc : settle(s, s->ops->check(s, depth, &why), &why, err);
}

enum rc store_check_totals(struct store *s, const struct store_pause *pause, struct err *err)
{
	struct err why = { 0 };
	enum rc rc = usable(s, err);
	if (rc != RC_OK || !s->ops->check_totals)
		return rc;
	return settle(s, s->ops->check_totals(s, pause, &why), &why, err);
}

enum rc store_mend_totals(struct store *s, int64_t *n, struct err *err)
{
	struct err why = { 0 };
	int64_t n_mended = 0;
	bool is_own;
	enum rc rc = enter(s, &is_own, err);
	if (rc != RC_OK)
		return rc;
	if (s->ops->mend_totals)
		rc = s->ops->mend_totals(s, &n_mended, &why);
	rc = leave(s, is_own, rc, &why, err);
	if (rc == RC_OK)
		*n = n_mended;
	return rc;
}

int store_schema_version(struct store *s) { return s->ops->schema_version(s); }

enum rc store_copy(struct store *s, const char *to, struct err *err)
{
	enum rc rc = usable(s, err);
	if (rc != RC_OK)
		return rc;
	if (!s->ops->copy || s->tx == TX_WRITE)
		return err_set(err, RC_INVALID, "a %s store cannot be copied%s", s->ops->name,
			       s->ops->copy ? " within a change" : "");
	return s->ops->copy(s, to, err);
}
