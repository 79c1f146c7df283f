/*
 * Migrations: all that are missing in one transaction together with the user_version they lead to, so a crash leaves a
 * database as it was or up to date, and a new one costs one sync. They run with foreign keys off, since rebuilding a
 * table would otherwise delete what refers to it; before the commit the references are checked as a whole.
 */
#include "store/sqlite/sqlite_priv.h"

enum rc sqlite_run(sqlite3 *db, const char *sql, struct err *err)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? RC_OK : sqlite_failed(db, code, NULL, "cannot run SQL", err);
}

enum rc sqlite_number(sqlite3 *db, const char *sql, int64_t *out, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = RC_OK;
	int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	else
		rc = sqlite_failed(db, code, NULL, "cannot read", err);
	(void)sqlite3_finalize(stmt); /* repeats the error of the step */
	return rc;
}

static enum rc set_numbers(sqlite3 *db, int version, struct err *err)
{
	char sql[96];
	(void)snprintf(sql, sizeof sql, "PRAGMA application_id=%d;PRAGMA user_version=%d", STORE_APPLICATION_ID,
		       version);
	return sqlite_run(db, sql, err);
}

/* Within a transaction: from version - 1 to version. */
static enum rc apply(sqlite3 *db, const struct migration *m, int version, struct err *err)
{
	int64_t n_orphans = 0;
	enum rc rc = sqlite_run(db, m->sql, err);
	if (rc == RC_OK)
		rc = set_numbers(db, version, err);
	if (rc == RC_OK)
		rc = sqlite_number(db, "SELECT count(*) FROM pragma_foreign_key_check", &n_orphans, err);
	if (rc == RC_OK && n_orphans)
		rc = err_set(err, RC_CORRUPT, "%lld rows refer to rows that do not exist", (long long)n_orphans);
	return rc;
}

/* A newer program may have been here since the file was looked at. */
static enum rc read_version(sqlite3 *db, int n, int64_t *now, struct err *err)
{
	enum rc rc = sqlite_number(db, "PRAGMA user_version", now, err);
	if (rc == RC_OK && *now > n)
		rc = err_set(err, RC_CONFLICT,
			     "a newer stint brought the database to schema version %lld just now, this program "
			     "knows versions up to %d: use a newer stint",
			     (long long)*now, n);
	return rc;
}

/* Within a transaction. With the lock in hand: a neighbour may have been faster. */
static enum rc apply_missing(sqlite3 *db, const struct migration *list, int n, struct err *err)
{
	int64_t now = 0;
	enum rc rc = read_version(db, n, &now, err);

	for (int64_t v = now + 1; rc == RC_OK && v <= n; v++) {
		rc = apply(db, &list[v - 1], (int)v, err);
		if (rc != RC_OK)
			return err_wrap(err, rc, "migration %s", list[v - 1].name);
	}
	return rc;
}

enum rc migrate(sqlite3 *db, const struct migration *list, int n, struct err *err)
{
	int64_t now = 0;
	enum rc rc = read_version(db, n, &now, err);
	if (rc != RC_OK || now == n)
		return rc;
	rc = sqlite_run(db, "BEGIN IMMEDIATE", err);
	if (rc != RC_OK)
		return rc;
	rc = apply_missing(db, list, n, err);
	if (rc == RC_OK)
		rc = sqlite_run(db, "COMMIT", err);
	if (rc != RC_OK && !sqlite3_get_autocommit(db))
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* closing does it too; tell the first error */
	return rc;
}
