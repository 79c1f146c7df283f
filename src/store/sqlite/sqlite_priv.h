/*
 * sqlite_priv: the SQLite back end's parts. For files of this folder and tests/unit/store_test.c alone.
 *
 *   create.c   a new database
 *   open.c     connection, identity of the file, comparison of its columns with the descriptions
 *   migrate.c  bringing an older database up to date
 *   sql.c      SQL text of a shape
 *   cache.c    prepared statements by shape
 *   rows.c     C rows to parameters and back
 *   memo.c     rows got lately
 *   newest.c   has anybody changed anything?
 *   sqlite.c   the operations
 *   total.c    numbers of rows kept, and lists that go by them
 *   copy.c     the whole of it into another file
 *   fail.c     result codes
 */
#ifndef STORE_SQLITE_SQLITE_PRIV_H
#define STORE_SQLITE_SQLITE_PRIV_H

#include <sqlite3.h>
#include "base/buf.h"
#include "store/schema/schema.h"
#include "store/sqlite/memo.h"
#include "store/sqlite/newest.h"
#include "store/store_priv.h"

enum {
	STORE_APPLICATION_ID = 0x73746e74, /* "stnt", at byte 68 of the file */
	BUSY_TIMEOUT_MS = 5000,
	CACHE_SETS = 64, /* a power of two */
	CACHE_WAYS = 4,
	SQL_MAX = 8192,  /* bytes of one statement */
	TOTAL_SHIFT = 10, /* schema/ writes it */
	TOTAL_BLOCK = 1 << TOTAL_SHIFT,
	LOG_FRAMES = 1000,      /* store_tidy copies a log of that many pages back into the database */
	LOG_FRAMES_MOST = 4000, /* a commit does it itself */
};

enum control {
	CTL_BEGIN,
	CTL_COMMIT,
	CTL_ROLLBACK,
	CTL_MARK,
	CTL_KEEP,
	CTL_UNDO,
	CTL_BEGIN_READ,
	CTL_VERSION,
	CONTROLS
};

struct cached {
	struct shape shape;
	sqlite3_stmt *stmt; /* NULL: free place */
	uint64_t used_at;   /* tick of the last use */
};

struct sqlite_store {
	struct store base;
	sqlite3 *db;
	int version; /* user_version as opened */
	int n_frames; /* in the log, as of the last commit; 0: they were copied back since */
	sqlite3_stmt *controls[CONTROLS];
	struct cached cache[CACHE_SETS][CACHE_WAYS];
	uint64_t tick;
	uint64_t n_prepared; /* statements prepared so far; for tests */
	struct memo memo;    /* of a reader */
	struct newest newest; /* of a reader */
};

static inline struct sqlite_store *sqlite_of(struct store *s) { return (struct sqlite_store *)s; }

extern const struct store_ops sqlite_ops;

/* For sqlite3_wal_hook: told of each commit, in place of SQLite's own rule, which copies the log back within a
 * commit. */
int sqlite_note_log(void *store, sqlite3 *db, const char *name, int n_frames);

/* The failure of the last call on db in our terms. t: the table concerned, NULL for none. what: what was tried. */
enum rc sqlite_failed(sqlite3 *db, int code, const struct table *t, const char *what, struct err *err);

void sql_of_shape(struct buf *out, const struct shape *shape);

/* The prepared statement of a shape, owned by the cache; the caller resets it after use (cache_done). */
enum rc cache_get(struct sqlite_store *s, const struct shape *shape, sqlite3_stmt **out, struct err *err) NODISCARD;
void cache_done(sqlite3_stmt *stmt); /* reset, forget parameters; it holds no lock then */
/* All of them at the opening: a rollback must be possible when no memory is left to prepare it. */
enum rc cache_prepare_controls(struct sqlite_store *s, struct err *err) NODISCARD;
enum rc cache_control(struct sqlite_store *s, enum control c, struct err *err) NODISCARD;
/* CTL_VERSION: one number, of the data this connection sees in its transaction, which begins with it at the latest. */
enum rc cache_version(struct sqlite_store *s, int64_t *version, struct err *err) NODISCARD;
void cache_fini(struct sqlite_store *s);

/* Column i to ?i+1: all for an insert, for an update the key and what it sets. */
int rows_bind(sqlite3_stmt *stmt, const struct shape *shape, const void *row);
bool rows_read(sqlite3_stmt *stmt, const struct table *t, void *row, struct arena *a); /* false: arena full */

/* Bring db from its user_version to n, in one transaction. Neighbours may do so at once. RC_CONFLICT: it
 * is beyond n. */
enum rc migrate(sqlite3 *db, const struct migration *list, int n, struct err *err) NODISCARD;
/* The one number that sql gives. */
enum rc sqlite_number(sqlite3 *db, const char *sql, int64_t *out, struct err *err) NODISCARD;
enum rc sqlite_run(sqlite3 *db, const char *sql, struct err *err) NODISCARD;

/* The statement of a query, bound and ready to step; on success the caller ends it with cache_done. */
enum rc sqlite_start(struct sqlite_store *s, const struct shape *shape, const struct query *q, sqlite3_stmt **stmt,
		     struct err *err) NODISCARD;

/* Of a list whose page lies beyond a block: narrow q to what comes after the blocks before it, if a
 * total knows them. */
enum rc total_seek(struct sqlite_store *s, const struct shape *shape, struct query *q, struct err *err) NODISCARD;
/* A row was inserted: count it in the totals of its table. */
enum rc total_count_in(struct sqlite_store *s, const struct table *t, const void *row, struct err *err) NODISCARD;
/* store_check_totals, store_mend_totals */
enum rc total_check(struct store *base, const struct store_pause *pause, struct err *err) NODISCARD;
enum rc total_mend(struct store *base, int64_t *n_mended, struct err *err) NODISCARD;

/* open.c: store_for_requests */
enum rc sqlite_for_requests(struct store *base, size_t memory_size, struct err *err) NODISCARD;
/* create.c: a new database at path, with all of the schema and durable. A failure that leaves none there is no answer:
 * SQLite may still be able to make one. RC_CONFLICT: a neighbour was faster. */
enum rc sqlite_create(const char *path, struct err *err) NODISCARD;

/* open.c */
enum rc refuse_program(int64_t application_id, struct err *err);
/* copy.c: store_copy */
enum rc sqlite_copy(struct store *base, const char *to, struct err *err) NODISCARD;

#endif
