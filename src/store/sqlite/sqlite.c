/*
 * The operations. Each takes its statement from the cache and resets it before it returns: a statement left half way
 * would keep its read lock, and with it an old view of the data and a log that cannot be cut.
 */
#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "store/sqlite/sqlite_priv.h"

static void sqlite_close(struct store *base)
{
	struct sqlite_store *s = sqlite_of(base);
	cache_fini(s);
	memo_fini(&s->memo);
	must(sqlite3_close(s->db) == SQLITE_OK); /* busy only if a statement were forgotten */
	mem_free(s);
}

/* ---- transactions ---- */

static enum rc sqlite_begin(struct store *s, struct err *err) { return cache_control(sqlite_of(s), CTL_BEGIN, err); }

/* Locks and frames come first (the latter told as a full disk or a quota): without them nothing is kept. What fails
 * later, the index of the log for lack of room or memory, fails with the frames on the disk: whoever opens the files
 * after a crash finds the transaction. */
static enum rc sqlite_commit(struct store *s, struct err *err)
{
	enum rc rc = cache_control(sqlite_of(s), CTL_COMMIT, err);
	int code = sqlite3_extended_errcode(sqlite_of(s)->db);
	bool is_before = (code & 0xff) == SQLITE_BUSY || code == SQLITE_FULL || code == SQLITE_IOERR_WRITE;
	if (rc == RC_BUSY && !is_before)
		err->rc = rc = RC_IO;
	return rc;
}

static enum rc sqlite_mark(struct store *s, struct err *err) { return cache_control(sqlite_of(s), CTL_MARK, err); }
static enum rc sqlite_keep(struct store *s, struct err *err) { return cache_control(sqlite_of(s), CTL_KEEP, err); }

static enum rc sqlite_undo(struct store *s, struct err *err)
{
	enum rc rc = cache_control(sqlite_of(s), CTL_UNDO, err);
	return rc == RC_OK ? sqlite_keep(s, err) : rc; /* rolling back to a savepoint leaves it standing */
}

/* As far as readers of older views let it. */
static void sqlite_tidy(struct store *base)
{
	struct sqlite_store *s = sqlite_of(base);

	if (s->n_frames >= LOG_FRAMES) /* what cannot be copied stays in the log */
		(void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	s->n_frames = 0;
}

int sqlite_note_log(void *store, sqlite3 *db, const char *name, int n_frames)
{
	struct sqlite_store *s = store;

	s->n_frames = n_frames;
	if (n_frames >= LOG_FRAMES_MOST)
		(void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL); /* likewise */
	return SQLITE_OK;
}

/* Setting the version it has writes the first page again. That may be a newer one than at the opening: a command of a
 * newer program brings the database up to date under a server that goes on. */
static enum rc sqlite_touch(struct store *base, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	int64_t version = 0;
	char sql[48];

	enum rc rc = sqlite_number(s->db, "PRAGMA user_version", &version, err);
	(void)snprintf(sql, sizeof sql, "PRAGMA user_version=%lld", (long long)version);
	return rc == RC_OK ? sqlite_run(s->db, sql, err) : rc;
}

/* Some errors make SQLite roll back by itself; a rollback that reports an error has ended the transaction too. */
static void sqlite_rollback(struct store *base)
{
	struct sqlite_store *s = sqlite_of(base);
	if (!sqlite3_get_autocommit(s->db) && cache_control(s, CTL_ROLLBACK, NULL) != RC_OK)
		must(sqlite3_get_autocommit(s->db));
}

/* The moment that is seen is fixed here: the memo must know whether it is still the one it remembers. */
static enum rc sqlite_begin_read(struct store *base, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	int64_t version;

	newest_note(&s->newest);
	enum rc rc = cache_control(s, CTL_BEGIN_READ, err);
	if (rc != RC_OK)
		return rc;
	rc = cache_version(s, &version, err);
	if (rc == RC_OK)
		memo_version(&s->memo, version);
	else
		sqlite_rollback(base);
	if (rc == RC_OK && base->mode == STORE_READER)
		newest_find(&s->newest, s->db);
	return rc;
}

/* Out of memory while it reads, SQLite ends the transaction by itself; then there is no view to go on with. */
static bool sqlite_is_newest(struct store *base)
{
	struct sqlite_store *s = sqlite_of(base);
	return !sqlite3_get_autocommit(s->db) && newest_is_same(&s->newest);
}

/* ---- changes ---- */

/* Run a statement that gives no rows. */
static enum rc change(struct sqlite_store *s, sqlite3_stmt *stmt, int bound, const struct table *t, const char *what,
		      struct err *err)
{
	int code = bound == SQLITE_OK ? sqlite3_step(stmt) : bound;
	enum rc rc = code == SQLITE_DONE ? RC_OK : sqlite_failed(s->db, code, t, what, err);
	cache_done(stmt);
	return rc;
}

static enum rc write_row(struct sqlite_store *s, const struct shape *shape, const void *row, const char *what,
			 struct err *err)
{
	sqlite3_stmt *stmt;
	enum rc rc = cache_get(s, shape, &stmt, err);
	return rc == RC_OK ? change(s, stmt, rows_bind(stmt, shape, row), shape->table, what, err) : rc;
}

static enum rc sqlite_insert(struct store *base, const struct table *t, const void *row, int64_t *id, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	struct shape shape = { .table = t, .verb = VERB_INSERT };
	enum rc rc = write_row(s, &shape, row, "cannot insert", err);
	if (rc != RC_OK)
		return rc;
	*id = sqlite3_last_insert_rowid(s->db);
	return total_count_in(s, t, row, err);
}

static enum rc sqlite_update(struct store *base, const struct shape *shape, const void *row, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	enum rc rc = write_row(s, shape, row, "cannot update", err);
	return rc == RC_OK && sqlite3_changes64(s->db) == 0 ? refuse_absent(shape->table, err) : rc;
}

/* ---- queries ---- */

static int bind_query(sqlite3_stmt *stmt, const struct shape *shape, const struct query *q)
{
	int code = SQLITE_OK, n = shape->n_preds;

	for (int i = 0; i < n && code == SQLITE_OK; i++) {
		const struct pred *p = &q->preds[i];
		if (shape->table->cols[shape->pred_col[i]].type == COL_INT)
			code = sqlite3_bind_int64(stmt, i + 1, p->v_int);
		else
			code = sqlite3_bind_text(stmt, i + 1, p->v_text ? p->v_text : "", -1, SQLITE_STATIC);
	}
	if (shape->verb == VERB_LIST && code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, n + 1, q->limit ? q->limit : -1);
	if (shape->verb == VERB_LIST && code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, n + 2, q->offset);
	return code;
}

enum rc sqlite_start(struct sqlite_store *s, const struct shape *shape, const struct query *q, sqlite3_stmt **stmt,
		     struct err *err)
{
	enum rc rc = cache_get(s, shape, stmt, err);
	if (rc != RC_OK)
		return rc;
	int code = bind_query(*stmt, shape, q);
	if (code == SQLITE_OK)
		return RC_OK;
	cache_done(*stmt);
	return sqlite_failed(s->db, code, shape->table, "cannot bind", err);
}

/* The first row of the query, from the database. */
static enum rc find(struct sqlite_store *s, const struct shape *shape, const struct query *q, void *row,
		    struct arena *a, struct err *err)
{
	sqlite3_stmt *stmt;
	enum rc rc = sqlite_start(s, shape, q, &stmt, err);
	if (rc != RC_OK)
		return rc;
	int code = sqlite3_step(stmt);
	if (code == SQLITE_DONE)
		rc = refuse_absent(shape->table, err);
	else if (code != SQLITE_ROW)
		rc = sqlite_failed(s->db, code, shape->table, "cannot read", err);
	else if (!rows_read(stmt, shape->table, row, a))
		rc = refuse_full_arena(shape->table, err);
	cache_done(stmt);
	return rc;
}

static enum rc sqlite_get(struct store *base, const struct shape *shape, const struct query *q, void *row,
			  struct arena *a, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	struct memo_key key;

	/* A writer's own commits do not move the version that it sees. */
	if (base->mode != STORE_READER || base->tx != TX_READ || !memo_key(&key, shape, q))
		return find(s, shape, q, row, a, err);
	enum rc rc = memo_get(&s->memo, &key, shape->table, row, a);
	if (rc == RC_LIMIT)
		return refuse_full_arena(shape->table, err);
	if (rc == RC_OK)
		return RC_OK;
	rc = find(s, shape, q, row, a, err);
	if (rc == RC_OK)
		memo_keep(&s->memo, &key, shape->table, row);
	return rc;
}

static enum rc list_rows(struct sqlite_store *s, const struct shape *shape, const struct query *q, struct arena *a,
			 void **rows, size_t *n, struct err *err)
{
	struct rows found = { NULL, 0, 0 };
	sqlite3_stmt *stmt;
	enum rc rc = sqlite_start(s, shape, q, &stmt, err);
	if (rc != RC_OK)
		return rc;
	int code = sqlite3_step(stmt);
	for (; code == SQLITE_ROW && rc == RC_OK; code = sqlite3_step(stmt)) {
		void *row = rows_add(&found, shape->table, q->limit, a);
		if (!row || !rows_read(stmt, shape->table, row, a))
			rc = refuse_full_arena(shape->table, err);
	}
	if (rc == RC_OK && code != SQLITE_DONE)
		rc = sqlite_failed(s->db, code, shape->table, "cannot list", err);
	cache_done(stmt);
	*rows = found.bytes;
	*n = found.n;
	return rc;
}

static enum rc sqlite_list(struct store *base, const struct shape *shape, const struct query *q, struct arena *a,
			   void **rows, size_t *n, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	struct query rest = *q;

	enum rc rc = total_seek(s, shape, &rest, err);
	if (rc != RC_OK || rest.n_preds == q->n_preds)
		return rc == RC_OK ? list_rows(s, shape, q, a, rows, n, err) : rc;
	struct shape narrow = shape_of(VERB_LIST, &rest);
	return list_rows(s, &narrow, &rest, a, rows, n, err);
}

static enum rc sqlite_count(struct store *base, const struct shape *shape, const struct query *q, int64_t *n,
			    struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	sqlite3_stmt *stmt;
	enum rc rc = sqlite_start(s, shape, q, &stmt, err);
	if (rc != RC_OK)
		return rc;
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*n = sqlite3_column_int64(stmt, 0);
	else
		rc = sqlite_failed(s->db, code, shape->table, "cannot count", err);
	cache_done(stmt);
	return rc;
}

static enum rc sqlite_delete(struct store *base, const struct shape *shape, const struct query *q, int64_t *n,
			     struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	sqlite3_stmt *stmt;
	enum rc rc = sqlite_start(s, shape, q, &stmt, err);
	if (rc == RC_OK)
		rc = change(s, stmt, SQLITE_OK, shape->table, "cannot delete", err);
	if (rc == RC_OK)
		*n = sqlite3_changes64(s->db); /* without the rows of other tables that went with them */
	return rc;
}

/* ---- the whole file ---- */

static enum rc check_pages(sqlite3 *db, enum store_depth depth, struct err *err)
{
	const char *sql = depth == STORE_FULL ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)";
	sqlite3_stmt *stmt = NULL;
	enum rc rc = RC_OK;
	int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	const char *finding = code == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	if (code != SQLITE_ROW)
		rc = sqlite_failed(db, code, NULL, "cannot check", err);
	else if (!finding || strcmp(finding, "ok") != 0)
		rc = err_set(err, RC_CORRUPT, "the database is damaged: %s", finding ? finding : "no finding");
	(void)sqlite3_finalize(stmt); /* repeats the error of the step */
	return rc;
}

static enum rc sqlite_check(struct store *base, enum store_depth depth, struct err *err)
{
	sqlite3 *db = sqlite_of(base)->db;
	int64_t n_orphans = 0;
	enum rc rc = check_pages(db, depth, err);
	if (rc == RC_OK)
		rc = sqlite_number(db, "SELECT count(*) FROM pragma_foreign_key_check", &n_orphans, err);
	if (rc == RC_OK && n_orphans)
		rc = err_set(err, RC_CORRUPT, "%lld rows refer to rows that do not exist", (long long)n_orphans);
	return rc;
}

static int sqlite_schema_version(struct store *s) { return sqlite_of(s)->version; }

const struct store_ops sqlite_ops = {
	.name = "sqlite",
	.close = sqlite_close,
	.for_requests = sqlite_for_requests,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.mark = sqlite_mark,
	.mark_keep = sqlite_keep,
	.mark_undo = sqlite_undo,
	.touch = sqlite_touch,
	.tidy = sqlite_tidy,
	.begin_read = sqlite_begin_read,
	.end_read = sqlite_rollback,
	.is_newest = sqlite_is_newest,
	.insert = sqlite_insert,
	.update = sqlite_update,
	.get = sqlite_get,
	.list = sqlite_list,
	.count = sqlite_count,
	.delete = sqlite_delete,
	.check = sqlite_check,
	.check_totals = total_check,
	.mend_totals = total_mend,
	.schema_version = sqlite_schema_version,
	.copy = sqlite_copy,
};
