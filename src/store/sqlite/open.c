/*
 * Opening: look before touching. Nothing is written to a file until its application_id, its version and its being a
 * database at all are known; a foreign or newer one stays byte for byte as it was.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/must.h"
#include "os/file.h"
#include "store/sqlite/sqlite_priv.h"
#include "store/tables.h"

enum { ROWS_SHARE = 4 /* of the memory for requests: a quarter for rows, the rest for pages */ };

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Settings of this connection. The ones for writers need a file that is known to be ours.
 *
 * Memory: a process has some six connections (the writer, a reader per loop, three threads in the background), so one
 * that reads now and then gets little; store_for_requests gives more. Nothing is mapped: a file that somebody cuts
 * short would end the process instead of being an error, what is mapped counts once for each connection, and SQLite
 * prepares a mapped page afresh at every visit, with a look at each of its cells. That was a third of what the writer
 * did for a create. */
static const char for_all[] = "PRAGMA trusted_schema=OFF;"
			      "PRAGMA cell_size_check=ON;"
			      "PRAGMA foreign_keys=ON;"
			      "PRAGMA temp_store=MEMORY;"
			      "PRAGMA mmap_size=0;";
static const char for_readers[] = "PRAGMA cache_size=-1024;"; /* KiB */
static const char for_writers[] = "PRAGMA cache_size=-8192;"
				  "PRAGMA synchronous=FULL;"
				  "PRAGMA journal_size_limit=67108864;";

/* A reader that answers requests. It judges no cells when it meets a page, and as each commit of others empties its
 * cache, it often does: that keeps damage from spreading to other pages, which only a writer could do, and took 44,000
 * of the 173,000 instructions for a task of a large store. What lies beyond a page is refused either way. */
static const char for_requests[] = "PRAGMA cell_size_check=OFF;"
				   "PRAGMA cache_size=-%zu;";

enum rc sqlite_for_requests(struct store *base, size_t memory_size, struct err *err)
{
	struct sqlite_store *s = sqlite_of(base);
	size_t rows_size = memory_size / ROWS_SHARE;
	char sql[sizeof for_requests + 20];

	memo_limit(&s->memo, rows_size);
	(void)snprintf(sql, sizeof sql, for_requests, (memory_size - rows_size) / 1024);
	return sqlite_run(s->db, sql, err);
}

/* SQLite's count of its memory takes a lock at each allocation of whatever connection, and nobody asks for it. And a
 * page cache begins with room for twenty pages, all of it touched at once: 87 KiB for a connection that reads three.
 * Too late to change only where the program has used SQLite before by itself; it then goes on as it was. */
static void configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

static enum rc make_new(const char *path, struct err *err)
{
	struct err why = { 0 };

	enum rc rc = sqlite_create(path, &why);
	if (rc == RC_OK || rc == RC_CONFLICT || !file_exists(path))
		return RC_OK; /* if there is none yet SQLite makes it, in more steps, or says what is in the way */
	if (err)
		*err = why;
	return rc;
}

static enum rc connect_to(struct sqlite_store *s, const char *path, struct err *err)
{
	int flags = s->base.mode == STORE_WRITER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;

	if (s->base.mode == STORE_READER && !file_exists(path))
		return err_set(err, RC_NOT_FOUND, "no database there yet");
	must(pthread_once(&once, configure) == 0);
	enum rc rc = file_exists(path) ? RC_OK : make_new(path, err);
	if (rc != RC_OK)
		return rc;
	bool is_new = !file_exists(path);
	int code = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	/* Without memory there is no handle either, which all that is asked about it takes for "out of memory". */
	if (code != SQLITE_OK)
		return sqlite_failed(s->db, code, NULL, "cannot open", err);
	/* It will hold keys. Set while it is empty; SQLite gives the files beside it the same mode. */
	if (is_new && chmod(path, 0600) < 0)
		return err_sys(err, RC_IO, errno, "cannot set the mode");
	(void)sqlite3_extended_result_codes(s->db, 1); /* these cannot fail on an open connection */
	(void)sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Plans must not depend on the values bound: for a column with a partial index SQLite would otherwise parse the
	 * statement anew at each use, to see whether the value lies in the index. Our statements say so themselves. */
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
	return RC_OK;
}

/* Three marks of one moment: another process may be creating the file right now. */
static enum rc read_marks(sqlite3 *db, int64_t *id, int64_t *version, int64_t *n_objects, struct err *err)
{
	enum rc rc = sqlite_run(db, "BEGIN", err);
	if (rc == RC_OK)
		rc = sqlite_number(db, "PRAGMA application_id", id, err);
	if (rc == RC_OK)
		rc = sqlite_number(db, "PRAGMA user_version", version, err);
	if (rc == RC_OK)
		rc = sqlite_number(db, "SELECT count(*) FROM sqlite_schema", n_objects, err);
	if (rc == RC_OK) /* after a failure the connection is closed, which ends it too */
		rc = sqlite_run(db, "ROLLBACK", err);
	return rc;
}

enum rc refuse_program(int64_t application_id, struct err *err)
{
	return err_set(err, RC_INVALID, "this is another program's database (application id %lld, ours is %d)",
		       (long long)application_id, STORE_APPLICATION_ID);
}

/* Whose file is it, and of which version? Only reads. */
static enum rc identify(struct sqlite_store *s, struct err *err)
{
	int64_t id = 0, version = 0, n_objects = 0;
	enum rc rc = read_marks(s->db, &id, &version, &n_objects, err);
	if (rc != RC_OK)
		return rc;
	bool is_empty = id == 0 && version == 0 && n_objects == 0;
	if (id != STORE_APPLICATION_ID && !is_empty)
		return refuse_program(id, err);
	if (version > schema_version)
		return err_set(err, RC_CONFLICT,
			       "the database has schema version %lld, this program knows versions up to %d: "
			       "use a newer stint",
			       (long long)version, schema_version);
	if (s->base.mode == STORE_READER && is_empty)
		return err_set(err, RC_NOT_FOUND, "the database is empty");
	if (s->base.mode == STORE_READER && version < schema_version)
		return err_set(err, RC_CONFLICT,
			       "the database has schema version %lld, this program needs %d: start the server once to "
			       "bring it up to date",
			       (long long)version, schema_version);
	return RC_OK;
}

/* Two processes that create the file at once meet here, and for the change of the journal SQLite does not call its
 * busy handler: ask again for as long as that would have waited. */
static int ask_for_wal(sqlite3_stmt *stmt)
{
	enum { PAUSE_MS = 10 };
	int code = sqlite3_step(stmt);
	for (int waited_ms = 0; code == SQLITE_BUSY && waited_ms < BUSY_TIMEOUT_MS; waited_ms += PAUSE_MS) {
		(void)sqlite3_reset(stmt); /* repeats the BUSY */
		(void)sqlite3_sleep(PAUSE_MS);
		code = sqlite3_step(stmt);
	}
	return code;
}

static enum rc use_wal(sqlite3 *db, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool is_wal = false;
	int code = sqlite3_prepare_v2(db, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = ask_for_wal(stmt);
	if (code == SQLITE_ROW) {
		const char *mode = (const char *)sqlite3_column_text(stmt, 0);
		is_wal = mode && strcmp(mode, "wal") == 0;
	}
	enum rc rc = code != SQLITE_ROW ? sqlite_failed(db, code, NULL, "cannot use a write-ahead log", err)
		     : is_wal		? RC_OK
					: err_set(err, RC_IO, "the file system does not support a write-ahead log");
	(void)sqlite3_finalize(stmt); /* repeats the error of the step */
	return rc;
}

/* ---- columns against descriptions ---- */

static const char *const type_words[] = {
	[COL_INT] = "INTEGER", [COL_REAL] = "REAL", [COL_TEXT] = "TEXT", [COL_BLOB] = "BLOB",
};

/* One row of pragma_table_info: name, type, place in the key. */
static bool is_described(const struct table *t, const char *name, const char *type, bool is_key)
{
	for (int i = 0; i < t->n_cols; i++) {
		const struct col *c = &t->cols[i];
		if (strcmp(c->name, name) == 0)
			return strcmp(type_words[c->type], type) == 0 && !(c->flags & COL_KEY) == !is_key;
	}
	return false;
}

/* Columns have distinct names, so as many described ones as there are descriptions are all of them. */
static enum rc compare_table(sqlite3_stmt *stmt, const struct table *t, struct err *err)
{
	int n = 0;
	for (; sqlite3_step(stmt) == SQLITE_ROW; n++) {
		const char *name = (const char *)sqlite3_column_text(stmt, 0);
		const char *type = (const char *)sqlite3_column_text(stmt, 1);
		if (!name || !type || !is_described(t, name, type, sqlite3_column_int(stmt, 2) > 0))
			return err_set(err, RC_CORRUPT, "column %s of table %s is not what this program expects",
				       name ? name : "?", t->name);
	}
	if (n != t->n_cols)
		return err_set(err, RC_CORRUPT, "table %s has %d of the %d columns this program expects", t->name, n,
			       t->n_cols);
	return RC_OK;
}

static enum rc compare_all(sqlite3 *db, struct err *err)
{
	static const char sql[] = "SELECT name, type, pk FROM pragma_table_info(?1)";
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	enum rc rc = code == SQLITE_OK ? RC_OK : sqlite_failed(db, code, NULL, "cannot read the schema", err);

	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(all_tables); i++) {
		(void)sqlite3_bind_text(stmt, 1, all_tables[i]->name, -1, SQLITE_STATIC); /* 1 is there */
		rc = compare_table(stmt, all_tables[i], err);
		code = sqlite3_reset(stmt);
		if (code != SQLITE_OK)
			rc = sqlite_failed(db, code, NULL, "cannot read the schema", err);
	}
	(void)sqlite3_finalize(stmt); /* nothing is under way */
	return rc;
}

static enum rc prepare_writer(struct sqlite_store *s, struct err *err)
{
	(void)sqlite3_wal_hook(s->db, sqlite_note_log, s);
	enum rc rc = use_wal(s->db, err);
	if (rc == RC_OK)
		rc = sqlite_run(s->db, for_writers, err);
	/* Before foreign keys are switched on: see migrate.c. */
	if (rc == RC_OK)
		rc = sqlite_run(s->db, "PRAGMA foreign_keys=OFF", err);
	if (rc == RC_OK)
		rc = migrate(s->db, schema_migrations, schema_version, err);
	return rc;
}

static enum rc open_it(struct sqlite_store *s, const char *path, struct err *err)
{
	enum rc rc = connect_to(s, path, err);
	if (rc == RC_OK)
		rc = identify(s, err);
	if (rc == RC_OK)
		rc = s->base.mode == STORE_WRITER ? prepare_writer(s, err) : sqlite_run(s->db, for_readers, err);
	if (rc == RC_OK)
		rc = sqlite_run(s->db, for_all, err);
	if (rc == RC_OK)
		rc = compare_all(s->db, err);
	if (rc == RC_OK)
		rc = cache_prepare_controls(s, err);
	s->version = schema_version; /* older ones were refused or brought up to date */
	return rc;
}

enum rc store_open_sqlite(const char *path, enum store_mode mode, struct store **out, struct err *err)
{
	must(path[0]);
	struct sqlite_store *s = mem_new(struct sqlite_store);
	s->base = (struct store){ .ops = &sqlite_ops, .mode = mode };
	enum rc rc = open_it(s, path, err);
	if (rc != RC_OK) {
		sqlite_ops.close(&s->base);
		return err_wrap(err, rc, "%s", path);
	}
	*out = &s->base;
	return RC_OK;
}
