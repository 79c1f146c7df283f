/*
 * The reference implementation: what the operations mean, with no thought for speed.
 *
 * Each table is an array of rows in the order of their primary key. A row once made never changes, it is only replaced;
 * so a snapshot of everything is a copy of the arrays with one more owner per row, and undoing is going back to one.
 */
#include <stdlib.h>
#include <string.h>
#include "base/attr.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/schema/schema.h"
#include "store/store_priv.h"
#include "store/tables.h"

enum { TABLES = ARRAY_LEN(all_tables) };

/* A row struct; the texts and blobs it points to follow it in the same block. */
struct mem_row {
	size_t n_owners;
	_Alignas(max_align_t) unsigned char bytes[];
};

struct mem_table {
	struct mem_row **rows; /* by primary key */
	size_t n, cap;
	int64_t last_id;       /* highest id ever given */
};

struct image {
	struct mem_table tables[TABLES];
};

struct mem_store {
	struct store base;
	struct image now;
	struct image at_begin, at_mark; /* while there is a transaction, a mark */
};

static struct mem_store *mem_of(struct store *s) { return (struct mem_store *)s; }

static struct mem_table *table_in(struct image *img, const struct table *t)
{
	size_t i = 0;
	while (i < TABLES && all_tables[i] != t)
		i++;
	must(i < TABLES);
	return &img->tables[i];
}

/* ---- rows ---- */

/* Texts and blobs of row behind it, each with a NUL. */
static size_t tail_size(const struct table *t, const void *row)
{
	size_t size = 0;
	for (int i = 0; i < t->n_cols; i++) {
		if (t->cols[i].type == COL_TEXT)
			size += strlen(row_text(t, i, row)) + 1;
		else if (t->cols[i].type == COL_BLOB)
			size += row_blob(t, i, row).len + 1;
	}
	return size;
}

/* dst is a copy of the row struct src; place what it points to from tail on, and point there. */
static void copy_tail(const struct table *t, void *dst, char *tail, const void *src)
{
	for (int i = 0; i < t->n_cols; i++) {
		enum col_type type = t->cols[i].type;
		if (type != COL_TEXT && type != COL_BLOB)
			continue;
		struct blob b = type == COL_BLOB ? row_blob(t, i, src)
						 : (struct blob){ row_text(t, i, src), strlen(row_text(t, i, src)) };
		memcpy(tail, b.bytes, b.len);
		tail[b.len] = '\0';
		if (type == COL_BLOB)
			*(struct blob *)row_slot(t, i, dst) = (struct blob){ tail, b.len };
		else
			*(const char **)row_slot(t, i, dst) = tail;
		tail += b.len + 1;
	}
}

static struct mem_row *row_new(const struct table *t, const void *row)
{
	struct mem_row *r = mem_alloc(sizeof *r + t->row_size + tail_size(t, row));
	r->n_owners = 1;
	memcpy(r->bytes, row, t->row_size);
	copy_tail(t, r->bytes, (char *)r->bytes + t->row_size, row);
	return r;
}

static void row_unref(struct mem_row *r)
{
	if (--r->n_owners == 0)
		mem_free(r);
}

static bool row_copy_out(const struct table *t, const struct mem_row *r, void *row, struct arena *a)
{
	char *tail = arena_alloc(a, tail_size(t, r->bytes));
	if (!tail)
		return false;
	memcpy(row, r->bytes, t->row_size);
	copy_tail(t, row, tail, r->bytes);
	return true;
}

static int cmp_ints(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int cmp_col(const struct table *t, int col, const void *a, const void *b)
{
	switch (t->cols[col].type) {
	case COL_INT:
		return cmp_ints(row_int(t, col, a), row_int(t, col, b));
	case COL_REAL:
		return (row_real(t, col, a) > row_real(t, col, b)) - (row_real(t, col, a) < row_real(t, col, b));
	case COL_TEXT:
		return strcmp(row_text(t, col, a), row_text(t, col, b));
	case COL_BLOB:
		break;
	}
	must_failed("a type with an order", __FILE__, __LINE__, __func__);
}

static int cmp_keys(const struct table *t, const void *a, const void *b)
{
	int c = 0;
	for (int i = 0; i < t->n_cols && c == 0; i++) {
		if (t->cols[i].flags & COL_KEY)
			c = cmp_col(t, i, a, b);
	}
	return c;
}

/* Are a and b alike in all columns of "col,col"? */
static bool has_same(const struct table *t, const char *cols, const void *a, const void *b)
{
	for (const char *p = cols; *p;) {
		size_t len = strcspn(p, ",");
		if (cmp_col(t, table_col(t, p, len), a, b) != 0)
			return false;
		p += len + (p[len] == ',');
	}
	return true;
}

/* ---- images ---- */

static void image_fini(struct image *img)
{
	for (size_t i = 0; i < TABLES; i++) {
		struct mem_table *mt = &img->tables[i];
		for (size_t j = 0; j < mt->n; j++)
			row_unref(mt->rows[j]);
		mem_free(mt->rows);
	}
	*img = (struct image){ 0 };
}

static void image_copy(struct image *dst, const struct image *src)
{
	for (size_t i = 0; i < TABLES; i++) {
		const struct mem_table *from = &src->tables[i];
		struct mem_table *to = &dst->tables[i];
		*to = (struct mem_table){ mem_array(from->n, sizeof *to->rows), from->n, from->n, from->last_id };
		for (size_t j = 0; j < from->n; j++) {
			to->rows[j] = from->rows[j];
			to->rows[j]->n_owners++;
		}
	}
}

/* now becomes what it was; the saved image is empty then. */
static void image_go_back(struct image *now, struct image *saved)
{
	image_fini(now);
	*now = *saved;
	*saved = (struct image){ 0 };
}

/* ---- changes of an image ---- */

/* Place of the row with row's primary key, or where it would be. */
static size_t find(const struct table *t, const struct mem_table *mt, const void *row, bool *is_there)
{
	size_t at = 0;
	while (at < mt->n && cmp_keys(t, mt->rows[at]->bytes, row) < 0)
		at++;
	*is_there = at < mt->n && cmp_keys(t, mt->rows[at]->bytes, row) == 0;
	return at;
}

/* Would row break a unique key, other than with the row at except? */
static enum rc check_uniques(const struct table *t, const struct mem_table *mt, const void *row, size_t except,
			     struct err *err)
{
	for (const char *const *u = t->uniques; u && *u; u++) {
		for (size_t i = 0; i < mt->n; i++) {
			if (i != except && has_same(t, *u, mt->rows[i]->bytes, row))
				return refuse_twin(t, *u, err);
		}
	}
	return RC_OK;
}

static bool has_id(struct image *img, const struct table *t, int64_t id)
{
	const struct mem_table *mt = table_in(img, t);
	for (size_t i = 0; i < mt->n; i++) {
		if (row_int(t, table_auto(t), mt->rows[i]->bytes) == id)
			return true;
	}
	return false;
}

static enum rc check_refs(struct image *img, const struct table *t, const void *row, struct err *err)
{
	for (const struct table_ref *r = t->refs; r && r->col; r++) {
		if (!has_id(img, r->to, row_int(t, table_col(t, r->col, strlen(r->col)), row)))
			return refuse_orphan(t, err);
	}
	return RC_OK;
}

static void remove_at(struct image *img, const struct table *t, size_t at);

/* Remove the rows of t that refer to row id of gone. No table refers to itself, so places in t stay valid. */
static void cascade(struct image *img, const struct table *t, const struct table *gone, int64_t id)
{
	const struct mem_table *mt = table_in(img, t);
	for (const struct table_ref *r = t->refs; r && r->col; r++) {
		if (r->to != gone)
			continue;
		int col = table_col(t, r->col, strlen(r->col));
		for (size_t at = mt->n; at-- > 0;) {
			if (row_int(t, col, mt->rows[at]->bytes) == id)
				remove_at(img, t, at);
		}
	}
}

static void remove_at(struct image *img, const struct table *t, size_t at)
{
	struct mem_table *mt = table_in(img, t);
	struct mem_row *gone = mt->rows[at];

	mt->n--;
	memmove(mt->rows + at, mt->rows + at + 1, (mt->n - at) * sizeof *mt->rows);
	for (size_t i = 0; table_auto(t) >= 0 && i < TABLES; i++)
		cascade(img, all_tables[i], t, row_int(t, table_auto(t), gone->bytes));
	row_unref(gone);
}

static void put_at(struct mem_table *mt, size_t at, struct mem_row *r)
{
	if (mt->n == mt->cap) {
		mt->cap = mt->cap ? mt->cap * 2 : 16;
		mt->rows = mem_grow(mt->rows, mt->cap, sizeof *mt->rows);
	}
	memmove(mt->rows + at + 1, mt->rows + at, (mt->n - at) * sizeof *mt->rows);
	mt->rows[at] = r;
	mt->n++;
}

static enum rc mem_insert(struct store *base, const struct table *t, const void *row, int64_t *id, struct err *err)
{
	_Alignas(max_align_t) unsigned char full[STORE_ROW_MAX];
	struct mem_store *s = mem_of(base);
	struct mem_table *mt = table_in(&s->now, t);
	int auto_col = table_auto(t);
	bool is_there;

	memcpy(full, row, t->row_size);
	if (auto_col >= 0 && row_int(t, auto_col, row) == 0)
		*(int64_t *)row_slot(t, auto_col, full) = mt->last_id + 1;
	size_t at = find(t, mt, full, &is_there);
	if (is_there)
		return refuse_twin(t, "primary key", err);
	enum rc rc = check_uniques(t, mt, full, SIZE_MAX, err);
	if (rc == RC_OK)
		rc = check_refs(&s->now, t, full, err);
	if (rc != RC_OK)
		return rc;
	put_at(mt, at, row_new(t, full));
	if (auto_col >= 0) {
		*id = row_int(t, auto_col, full);
		mt->last_id = *id > mt->last_id ? *id : mt->last_id;
	}
	return RC_OK;
}

static size_t col_size(const struct table *t, int col)
{
	static const size_t sizes[] = { [COL_INT] = sizeof(int64_t),
					[COL_REAL] = sizeof(double),
					[COL_TEXT] = sizeof(const char *),
					[COL_BLOB] = sizeof(struct blob) };
	return sizes[t->cols[col].type];
}

static enum rc mem_update(struct store *base, const struct shape *shape, const void *row, struct err *err)
{
	_Alignas(max_align_t) unsigned char full[STORE_ROW_MAX];
	const struct table *t = shape->table;
	struct mem_store *s = mem_of(base);
	struct mem_table *mt = table_in(&s->now, t);
	bool is_there;
	size_t at = find(t, mt, row, &is_there);
	if (!is_there)
		return refuse_absent(t, err);
	memcpy(full, mt->rows[at]->bytes, t->row_size);
	for (int i = 0; i < t->n_cols; i++) {
		if (shape->sets >> i & 1)
			memcpy(row_slot(t, i, full), row_at(t, i, row), col_size(t, i));
	}
	enum rc rc = check_uniques(t, mt, full, at, err);
	if (rc == RC_OK)
		rc = check_refs(&s->now, t, full, err);
	if (rc != RC_OK)
		return rc;
	struct mem_row *new_row = row_new(t, full);
	row_unref(mt->rows[at]);
	mt->rows[at] = new_row;
	return RC_OK;
}

/* ---- queries ---- */

static bool holds(enum cmp cmp, int c)
{
	switch (cmp) {
	case CMP_EQ:
		return c == 0;
	case CMP_NE:
		return c != 0;
	case CMP_LT:
		return c < 0;
	case CMP_LE:
		return c <= 0;
	case CMP_GT:
		return c > 0;
	case CMP_GE:
		return c >= 0;
	}
	return false;
}

static bool matches(const struct shape *shape, const struct query *q, const void *row)
{
	const struct table *t = shape->table;
	for (int i = 0; i < shape->n_preds; i++) {
		const struct pred *p = &q->preds[i];
		int col = shape->pred_col[i];
		int c = t->cols[col].type == COL_INT ? cmp_ints(row_int(t, col, row), p->v_int)
						     : strcmp(row_text(t, col, row), p->v_text ? p->v_text : "");
		if (!holds((enum cmp)shape->pred_cmp[i], c))
			return false;
	}
	return true;
}

static int cmp_in_order(const void *a, const void *b, void *arg)
{
	const struct shape *shape = arg;
	const struct mem_row *ra = *(struct mem_row *const *)a, *rb = *(struct mem_row *const *)b;
	bool is_desc = false;
	int c = 0;
	for (int i = 0; i < shape->n_orders && c == 0; i++) {
		is_desc = shape->order_desc[i];
		c = cmp_col(shape->table, shape->order_col[i], ra->bytes, rb->bytes);
	}
	if (c == 0)
		c = cmp_keys(shape->table, ra->bytes, rb->bytes);
	return is_desc ? -c : c;
}

/* All matches, in order; borrowed from the table, the array is the caller's. */
static struct mem_row **select_rows(struct mem_store *s, const struct shape *shape, const struct query *q, size_t *n)
{
	const struct mem_table *mt = table_in(&s->now, shape->table);
	struct mem_row **found = mem_array(mt->n, sizeof(struct mem_row *));
	struct shape by = *shape;
	*n = 0;
	for (size_t i = 0; i < mt->n; i++) {
		if (matches(shape, q, mt->rows[i]->bytes))
			found[(*n)++] = mt->rows[i];
	}
	qsort_r(found, *n, sizeof(struct mem_row *), cmp_in_order, &by);
	return found;
}

static enum rc mem_get(struct store *base, const struct shape *shape, const struct query *q, void *row,
		       struct arena *a, struct err *err)
{
	size_t n;
	struct mem_row **found = select_rows(mem_of(base), shape, q, &n);
	enum rc rc = n ? RC_OK : refuse_absent(shape->table, err);
	if (rc == RC_OK && !row_copy_out(shape->table, found[0], row, a))
		rc = refuse_full_arena(shape->table, err);
	mem_free(found);
	return rc;
}

static enum rc mem_list(struct store *base, const struct shape *shape, const struct query *q, struct arena *a,
			void **rows, size_t *n, struct err *err)
{
	struct rows out = { NULL, 0, 0 };
	enum rc rc = RC_OK;
	size_t n_found;
	struct mem_row **found = select_rows(mem_of(base), shape, q, &n_found);

	for (size_t i = (size_t)q->offset; i < n_found && rc == RC_OK; i++) {
		if (q->limit && out.n == (size_t)q->limit)
			break;
		void *row = rows_add(&out, shape->table, q->limit, a);
		if (!row || !row_copy_out(shape->table, found[i], row, a))
			rc = refuse_full_arena(shape->table, err);
	}
	mem_free(found);
	*rows = out.bytes;
	*n = out.n;
	return rc;
}

static enum rc mem_count(struct store *base, const struct shape *shape, const struct query *q, int64_t *n,
			 UNUSED struct err *err)
{
	size_t n_found;
	mem_free(select_rows(mem_of(base), shape, q, &n_found));
	*n = (int64_t)n_found;
	return RC_OK;
}

static enum rc mem_delete(struct store *base, const struct shape *shape, const struct query *q, int64_t *n,
			  UNUSED struct err *err)
{
	struct mem_store *s = mem_of(base);
	const struct mem_table *mt = table_in(&s->now, shape->table);
	*n = 0;
	for (size_t at = mt->n; at-- > 0;) {
		if (matches(shape, q, mt->rows[at]->bytes)) {
			remove_at(&s->now, shape->table, at);
			++*n;
		}
	}
	return RC_OK;
}

/* ---- transactions ---- */

static enum rc mem_begin(struct store *s, UNUSED struct err *err)
{
	image_copy(&mem_of(s)->at_begin, &mem_of(s)->now);
	return RC_OK;
}

static enum rc mem_commit(struct store *s, UNUSED struct err *err)
{
	image_fini(&mem_of(s)->at_begin);
	return RC_OK;
}

static void mem_rollback(struct store *s)
{
	image_fini(&mem_of(s)->at_mark);
	image_go_back(&mem_of(s)->now, &mem_of(s)->at_begin);
}

static enum rc mem_mark(struct store *s, UNUSED struct err *err)
{
	image_copy(&mem_of(s)->at_mark, &mem_of(s)->now);
	return RC_OK;
}

static enum rc mem_keep(struct store *s, UNUSED struct err *err)
{
	image_fini(&mem_of(s)->at_mark);
	return RC_OK;
}

static enum rc mem_undo(struct store *s, UNUSED struct err *err)
{
	image_go_back(&mem_of(s)->now, &mem_of(s)->at_mark);
	return RC_OK;
}

static enum rc mem_touch(UNUSED struct store *s, UNUSED struct err *err) { return RC_OK; }
static enum rc mem_begin_read(UNUSED struct store *s, UNUSED struct err *err) { return RC_OK; }
static void mem_end_read(UNUSED struct store *s) {}
static int mem_schema_version(UNUSED struct store *s) { return schema_version; }

static enum rc mem_check(struct store *base, UNUSED enum store_depth depth, struct err *err)
{
	struct image *img = &mem_of(base)->now;
	for (size_t i = 0; i < TABLES; i++) {
		const struct table *t = all_tables[i];
		for (size_t j = 0; j < img->tables[i].n; j++) {
			const void *row = img->tables[i].rows[j]->bytes;
			must(j == 0 || cmp_keys(t, img->tables[i].rows[j - 1]->bytes, row) < 0);
			if (check_refs(img, t, row, err) != RC_OK)
				return RC_CORRUPT;
		}
	}
	return RC_OK;
}

static void mem_close(struct store *base)
{
	struct mem_store *s = mem_of(base);
	image_fini(&s->now);
	mem_free(s);
}

static const struct store_ops mem_ops = {
	.name = "mem",
	.close = mem_close,
	.begin = mem_begin,
	.commit = mem_commit,
	.rollback = mem_rollback,
	.mark = mem_mark,
	.mark_keep = mem_keep,
	.mark_undo = mem_undo,
	.touch = mem_touch,
	.begin_read = mem_begin_read,
	.end_read = mem_end_read,
	.insert = mem_insert,
	.update = mem_update,
	.get = mem_get,
	.list = mem_list,
	.count = mem_count,
	.delete = mem_delete,
	.check = mem_check,
	.schema_version = mem_schema_version,
};

enum rc store_open_mem(struct store **out, UNUSED struct err *err)
{
	struct mem_store *s = mem_new(struct mem_store);
	s->base = (struct store){ .ops = &mem_ops, .mode = STORE_WRITER };
	*out = &s->base;
	return RC_OK;
}
