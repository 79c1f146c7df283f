/*
 * store_priv: what store.c and the back ends share. For files below store/ (and its tests) alone.
 *
 * store.c checks conditions, keeps the state of transactions and decides what an error means for them; a back end
 * only does what it is told. It sees a change only within a transaction, a mark only once, and no call while broken.
 */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include <assert.h>
#include "store/store.h"

enum verb { VERB_INSERT, VERB_UPDATE, VERB_GET, VERB_LIST, VERB_COUNT, VERB_DELETE,
	    VERB_BLOCKS /* of a total, last first: for a back end's own use */, VERB_COUNT_IN /* a row to a total,
	    	likewise */, VERBS };

/*
 * A statement without its values: columns as places in table->cols. Made by store.c from a query, so that a back end
 * handles no names; equal shapes are equal bytes.
 */
struct shape {
	const struct table *table;
	uint64_t sets; /* of an update: bit i for column i */
	uint8_t verb, n_preds, n_orders;
	uint8_t is_hot; /* the preds imply table->hot */
	uint8_t pred_col[QUERY_PREDS], pred_cmp[QUERY_PREDS];
	uint8_t order_col[QUERY_ORDERS], order_desc[QUERY_ORDERS];
	uint8_t is_cold; /* the preds exclude table->hot */
	uint8_t total;   /* 1 + place in table->totals of the one that covers the preds; 0: none */
};
static_assert(sizeof(struct shape) == sizeof(void *) + 8 + 4 + 2 * QUERY_PREDS + 2 * QUERY_ORDERS + 2,
	      "no padding, whose bytes nobody promises");
enum { COLS_MAX = 64 /* of a table: the bits of shape.sets */ };

struct shape shape_of(enum verb verb, const struct query *q);

struct store_ops {
	const char *name;
	void (*close)(struct store *s);
	enum rc (*for_requests)(struct store *s, size_t memory_size, struct err *err); /* NULL: no difference */
	enum rc (*begin)(struct store *s, struct err *err);
	enum rc (*commit)(struct store *s, struct err *err); /* on failure it may be open still: rollback follows */
	void (*rollback)(struct store *s);
	enum rc (*mark)(struct store *s, struct err *err);
	enum rc (*mark_keep)(struct store *s, struct err *err);
	enum rc (*mark_undo)(struct store *s, struct err *err);
	enum rc (*touch)(struct store *s, struct err *err);
	void (*tidy)(struct store *s); /* NULL: nothing is put off */
	enum rc (*begin_read)(struct store *s, struct err *err);
	void (*end_read)(struct store *s);
	/* Does the view begun see all there is? NULL: cannot tell without beginning anew. */
	bool (*is_newest)(struct store *s);
	enum rc (*insert)(struct store *s, const struct table *t, const void *row, int64_t *id, struct err *err);
	enum rc (*update)(struct store *s, const struct shape *shape, const void *row, struct err *err);
	enum rc (*get)(struct store *s, const struct shape *shape, const struct query *q, void *row, struct arena *a,
		       struct err *err);
	enum rc (*list)(struct store *s, const struct shape *shape, const struct query *q, struct arena *a,
			void **rows, size_t *n, struct err *err);
	enum rc (*count)(struct store *s, const struct shape *shape, const struct query *q, int64_t *n,
			 struct err *err);
	enum rc (*delete)(struct store *s, const struct shape *shape, const struct query *q, int64_t *n,
			  struct err *err);
	enum rc (*check)(struct store *s, enum store_depth depth, struct err *err);
	/* NULL: keeps none. */
	enum rc (*check_totals)(struct store *s, const struct store_pause *pause, struct err *err);
	enum rc (*mend_totals)(struct store *s, int64_t *n_mended, struct err *err);
	int (*schema_version)(struct store *s);
	enum rc (*copy)(struct store *s, const char *to, struct err *err); /* NULL: cannot */
};

enum tx { TX_NONE, TX_READ, TX_WRITE };

/* First member of each back end's own struct. */
struct store {
	const struct store_ops *ops;
	enum store_mode mode;
	enum tx tx;
	bool has_mark;
	bool is_paused;    /* TX_NONE, but the back end still has the view */
	uint64_t n_writes; /* rows inserted and updated, calls that deleted: store_writes */
	struct err dead;   /* rc not RC_OK: why the open transaction was undone */
	struct err broken; /* rc not RC_OK: why the store must be reopened */
};

enum { STORE_ROW_MAX = 512 /* bytes of a row struct; outputs are built beside and copied on success */ };

/* The array a back end collects rows in; it lives in the arena. */
struct rows {
	unsigned char *bytes;
	size_t n, cap;
};
/* A place for one more row, or NULL when the arena is full. */
void *rows_add(struct rows *rows, const struct table *t, int64_t limit, struct arena *a);

int table_col(const struct table *t, const char *name, size_t len); /* stops when there is no such column */
int table_auto(const struct table *t);                               /* -1: none */

/* The members of a row. */
static inline const void *row_at(const struct table *t, int col, const void *row)
{
	return (const char *)row + t->cols[col].offset;
}
static inline void *row_slot(const struct table *t, int col, void *row)
{
	return (char *)row + t->cols[col].offset;
}
static inline int64_t row_int(const struct table *t, int col, const void *row)
{
	return *(const int64_t *)row_at(t, col, row);
}
static inline double row_real(const struct table *t, int col, const void *row)
{
	return *(const double *)row_at(t, col, row);
}
/* Never NULL. */
static inline const char *row_text(const struct table *t, int col, const void *row)
{
	const char *text = *(const char *const *)row_at(t, col, row);
	return text ? text : "";
}
/* bytes is never NULL. */
static inline struct blob row_blob(const struct table *t, int col, const void *row)
{
	struct blob b = *(const struct blob *)row_at(t, col, row);
	return b.len ? b : (struct blob){ "", 0 };
}

/* The kinds of refusal, worded alike by all back ends. detail: which key. */
enum rc refuse_twin(const struct table *t, const char *detail, struct err *err);
enum rc refuse_orphan(const struct table *t, struct err *err);
enum rc refuse_absent(const struct table *t, struct err *err);
enum rc refuse_full_arena(const struct table *t, struct err *err);

#endif
