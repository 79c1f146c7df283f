/*
 * store: typed rows in tables, with transactions; what is kept, not what it means (engine/).
 *
 * A table is a description (struct table) of a C struct; the back ends (sqlite, mem) build everything from
 * it, so a new column is one line in store/tables.h and one numbered file in store/schema/.
 *
 * Owner:    texts and blobs in rows that are read belong to the arena given; rows written are borrowed.
 * Threads:  one struct store per thread (a connection). Any number of readers; writers of several stores on
 *           the same data exclude each other (in the program there is one writer thread, engine/writer.c).
 * Errors:   RC_NOT_FOUND (get of nothing; a row refers to one that is not there), RC_CONFLICT (a unique key
 *           exists already), RC_LIMIT (a value over STORE_VALUE_MAX), RC_BUSY (disk full, or another process
 *           holds the write lock for long), RC_IO, RC_CORRUPT. After a failed commit or an I/O error the store
 *           is broken: RC_IO to every call until reopened.
 *           In a transaction NOT_FOUND, CONFLICT and LIMIT leave it usable; any other error undoes all of it at
 *           once, and every call up to and including store_commit or store_rollback answers that error again.
 * Durability: store_commit returning RC_OK means the change is on disk (WAL, synchronous=FULL): E1. A change
 *           outside of a transaction is one by itself.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

enum col_type { COL_INT /* int64_t */, COL_REAL /* double */, COL_TEXT /* const char *, NULL reads as "" */,
		COL_BLOB /* struct blob */ };
enum {
	COL_KEY = 1,  /* part of the primary key */
	COL_AUTO = 2, /* the first column; INTEGER PRIMARY KEY, given by the store when 0 */
};

struct blob {
	const void *bytes;
	size_t len;
};

struct col {
	const char *name;
	enum col_type type;
	size_t offset; /* in the row struct */
	unsigned flags;
};

struct table;
struct pred;

/* The INT column col holds the COL_AUTO key of a row of table to, and goes with it (ON DELETE CASCADE). */
struct table_ref {
	const char *col; /* NULL ends the list */
	const struct table *to;
};

/*
 * A number the back end keeps: how many rows are alike in one or two columns, in the transaction of each change. A
 * count by EQ of the first column, or of both, then takes the same time however many rows there are, and so does a page
 * from the midst of a list by them that is ordered by `along`, descending. Rows that meet the table's `hot` condition
 * are left out of it, so that rows which come and go cost nothing more; they are few, and counted when asked.
 */
struct total {
	const char *name; /* of the table it is kept in (schema/); NULL ends the list */
	const char *first, *second; /* second may be NULL */
	const char *along; /* an INT column */
};

struct table {
	const char *name;
	size_t row_size;
	const struct col *cols;
	int n_cols;
	const char *const *uniques;   /* further unique keys, each "col,col"; NULL-terminated; may be NULL */
	const struct table_ref *refs; /* may be NULL */
	/* A condition few rows meet, on an INT column: what a partial index covers. A query that implies it is
	 * answered from that index. May be NULL. */
	const struct pred *hot;
	const struct total *totals; /* may be NULL */
};

enum { STORE_VALUE_MAX = 64 << 20 /* bytes of one text or blob */ };

enum cmp { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

/* A condition on one column; v_text for COL_TEXT, v_int for COL_INT. All of a query's must hold. */
struct pred {
	const char *col;
	enum cmp cmp;
	int64_t v_int;
	const char *v_text;
};
#define PRED_INT(column, op, value) { .col = (column), .cmp = (op), .v_int = (value) }
#define PRED_TEXT(column, op, value) { .col = (column), .cmp = (op), .v_text = (value) }

enum { QUERY_PREDS = 6, QUERY_ORDERS = 3 };

struct order {
	const char *col; /* NULL ends the list */
	bool is_desc;
};

struct query {
	const struct table *table;
	struct pred preds[QUERY_PREDS];
	int n_preds;
	struct order orders[QUERY_ORDERS]; /* ties: by primary key, in the direction of the last order given */
	int64_t offset, limit; /* limit 0: no limit; only store_list heeds these */
};

struct store;

/* Open or create; a writer brings an older schema up to date. Readers never create and never write.
 * RC_NOT_FOUND: a reader, and nothing there yet. RC_CONFLICT: made by a newer program, or a reader and the schema
 * is old. RC_INVALID: another program's database. RC_CORRUPT: damaged, or its columns are not tables.h's. */
enum store_mode { STORE_WRITER, STORE_READER };
enum rc store_open_sqlite(const char *path, enum store_mode mode, struct store **out, struct err *err) NODISCARD;
/* mem: a reference implementation for the contract suite and for tests of the engine; not durable. */
enum rc store_open_mem(struct store **out, struct err *err) NODISCARD;
/* This reader is for many requests, one after the other: let it keep pages and rows in so much memory, above what it
 * takes anyway. As opened it is one that reads now and then. Outside of a transaction. */
enum rc store_for_requests(struct store *s, size_t memory_size, struct err *err) NODISCARD;
void store_close(struct store *s); /* rolls back what is open; NULL is fine */

enum rc store_begin(struct store *s, struct err *err) NODISCARD;     /* takes the write lock at once */
enum rc store_commit(struct store *s, struct err *err) NODISCARD;
void store_rollback(struct store *s);
/* Within a transaction: undo point for one change of a batch. One level: mark, then keep or undo. */
enum rc store_mark(struct store *s, struct err *err) NODISCARD;
enum rc store_mark_keep(struct store *s, struct err *err) NODISCARD;
enum rc store_mark_undo(struct store *s, struct err *err) NODISCARD;
/* A number that grows with each row that is written: did something in between write? */
uint64_t store_writes(const struct store *s);
/* RC_OK, or what every call answers until the transaction is ended, or the store reopened. */
enum rc store_usable(struct store *s, struct err *err) NODISCARD;
/* Within a transaction: write what changes nothing, so that its commit shows whether the disk takes writes. */
enum rc store_touch(struct store *s, struct err *err) NODISCARD;
/* Between transactions: do what commits put off, so that it is done when nobody waits for an answer. Whoever never
 * calls it has it done by a commit in the end. What fails is tried again by a later one. */
void store_tidy(struct store *s);
/* A consistent view for several reads outside of a write transaction: of this moment. What was got in an earlier view
 * is had again without asking the database if nobody changed anything since. */
enum rc store_begin_read(struct store *s, struct err *err) NODISCARD;
void store_end_read(struct store *s);
/* End the view, but let the next store_begin_read go on with it for as long as nobody has changed anything since: that
 * costs neither a lock nor a call of the kernel. Any other call on the store first ends it for good. So does
 * store_rest, which is due before the thread waits for anything: what the view sees cannot be cut from the log. */
void store_pause_read(struct store *s);
void store_rest(struct store *s); /* nothing paused is fine */

/* row points to a struct of t's shape. insert fills the COL_AUTO column of row when it was 0. */
enum rc store_insert(struct store *s, const struct table *t, void *row, struct err *err) NODISCARD;
/* Replace all columns of the row with the same primary key. RC_NOT_FOUND when there is none. */
enum rc store_update(struct store *s, const struct table *t, const void *row, struct err *err) NODISCARD;
/* The same of those columns alone in which row differs from was, which is what was read of it: quicker, since an index
 * is written anew for every column that is set, changed or not. Both have the same primary key. RC_OK
 * when nothing differs. */
enum rc store_change(struct store *s, const struct table *t, const void *was, const void *row,
		     struct err *err) NODISCARD;
/* First match of q (its order applies; offset and limit are ignored) into row. RC_NOT_FOUND: none. */
enum rc store_get(struct store *s, const struct query *q, void *row, struct arena *a, struct err *err) NODISCARD;
/* All matches in order, as one array of q->table->row_size elements in a, never NULL. RC_LIMIT when a is full. */
enum rc store_list(struct store *s, const struct query *q, struct arena *a, void **rows, size_t *n,
		   struct err *err) NODISCARD;
enum rc store_count(struct store *s, const struct query *q, int64_t *n, struct err *err) NODISCARD;
/* Delete all matches, and what refers to them; *n (may be NULL) says how many matches there were. */
enum rc store_delete(struct store *s, const struct query *q, int64_t *n, struct err *err) NODISCARD;

/* RC_CORRUPT with the first finding. Reads all of the data: slow when there is much. A quick check (PRAGMA quick_check
 * for sqlite) looks at the form of all pages, at types and references; a full one (integrity_check) also compares
 * every index with its table, which takes several times as long. */
enum store_depth { STORE_QUICK, STORE_FULL };
enum rc store_check(struct store *s, enum store_depth depth, struct err *err) NODISCARD;
/* Are the totals those of the rows? RC_CORRUPT names the first list whose number is another. pause may be NULL; else it
 * is asked now and then, and the rest is left out once it says so. */
struct store_pause {
	bool (*is_over)(void *ctx);
	void *ctx;
};
enum rc store_check_totals(struct store *s, const struct store_pause *pause, struct err *err) NODISCARD;
/* Count what is wrong anew, as one change; *n says how many lists. */
enum rc store_mend_totals(struct store *s, int64_t *n, struct err *err) NODISCARD;
int store_schema_version(struct store *s); /* of the data as opened */

/* All data as a database of its own in the file to, which must not exist; mode 0600, not fsynced. Within
 * store_begin_read: as that view sees it, so that rows listed there are the copy's rows. Waits for no writer and holds
 * none up. RC_INVALID: the mem store, or a writer in a transaction. On failure no file is left. */
enum rc store_copy(struct store *s, const char *to, struct err *err) NODISCARD;

#endif
