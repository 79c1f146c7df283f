/*
 * A copy through SQLite's backup interface, in one step: all pages of one read transaction. With a write-ahead log that
 * holds no writer up, and no writer can make it begin again, which many small steps would have to.
 * The copy is worth nothing until it is whole, so it is made without a journal and without any sync; who keeps it
 * forces it to disk once.
 */
#include "os/calls.h"
#include "os/file.h"
#include "store/sqlite/sqlite_priv.h"

static enum rc open_target(const char *to, sqlite3 **db, struct err *err)
{
	int code = sqlite3_open_v2(to, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return sqlite_failed(*db, code, NULL, "cannot open the copy", err);
	return sqlite_run(*db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", err);
}

static enum rc copy_pages(sqlite3 *from, sqlite3 *to, struct err *err)
{
	sqlite3_backup *work = sqlite3_backup_init(to, "main", from, "main");
	if (!work)
		return sqlite_failed(to, sqlite3_errcode(to), NULL, "cannot begin to copy", err);
	int code = sqlite3_backup_step(work, -1);
	int end = sqlite3_backup_finish(work);
	if (code == SQLITE_DONE && end == SQLITE_OK)
		return RC_OK;
	return sqlite_failed(to, code == SQLITE_DONE ? end : code, NULL, "cannot copy", err);
}

enum rc sqlite_copy(struct store *base, const char *to, struct err *err)
{
	sqlite3 *db = NULL;

	if (file_exists(to))
		return err_set(err, RC_CONFLICT, "'%.300s' exists already", to);
	enum rc rc = file_write(to, "", 0, 0600, err); /* it will hold keys: SQLite would make it readable by others */
	if (rc != RC_OK)
		return rc;
	rc = open_target(to, &db, err);
	if (rc == RC_OK)
		rc = copy_pages(sqlite_of(base)->db, db, err);
	int code = sqlite3_close(db);
	if (rc == RC_OK && code != SQLITE_OK)
		rc = err_set(err, RC_IO, "the copy cannot be closed (SQLite code %d)", code);
	if (rc != RC_OK)
		(void)os.unlink(to); /* the first failure is the one to report */
	return rc == RC_OK ? rc : err_wrap(err, rc, "%s", to);
}
