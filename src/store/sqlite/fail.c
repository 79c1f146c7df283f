#include <errno.h>
#include "store/sqlite/sqlite_priv.h"

static const struct {
	int code; /* primary, or extended where that matters; the first match counts */
	enum rc rc;
	const char *words; /* NULL: SQLite's own */
} kinds[] = {
	{ SQLITE_BUSY, RC_BUSY, "another process holds the write lock" },
	{ SQLITE_LOCKED, RC_BUSY, "another process holds the write lock" },
	{ SQLITE_FULL, RC_BUSY, "the disk is full" },
	{ SQLITE_IOERR_SHMSIZE, RC_BUSY, "there is no room for the index of the write-ahead log" },
	{ SQLITE_NOMEM, RC_BUSY, "out of memory" },
	{ SQLITE_IOERR_NOMEM, RC_BUSY, "out of memory" },
	{ SQLITE_IOERR_CORRUPTFS, RC_CORRUPT, "the file system is damaged" },
	{ SQLITE_CORRUPT, RC_CORRUPT, NULL },
	{ SQLITE_NOTADB, RC_CORRUPT, "the file is no database, or its head is damaged" },
	{ SQLITE_TOOBIG, RC_LIMIT, NULL },
	{ SQLITE_IOERR, RC_IO, NULL },
	{ SQLITE_CANTOPEN, RC_IO, NULL },
	{ SQLITE_READONLY, RC_IO, NULL },
	{ SQLITE_PERM, RC_IO, NULL },
	{ SQLITE_AUTH, RC_IO, NULL },
	{ SQLITE_PROTOCOL, RC_BUSY, NULL },
	{ SQLITE_NOLFS, RC_IO, NULL },
};

static bool is_full(int sys) { return sys == ENOSPC || sys == EDQUOT; }

enum rc sqlite_failed(sqlite3 *db, int code, const struct table *t, const char *what, struct err *err)
{
	int full = sqlite3_extended_errcode(db);

	/* At a sync that would be another matter: what it left undone is not known. */
	if ((code & 0xff) == SQLITE_CANTOPEN && is_full(sqlite3_system_errno(db)))
		return err_set(err, RC_BUSY, "%s: the disk is full (SQLite code %d)", what, full);
	if (t && code == SQLITE_CONSTRAINT_FOREIGNKEY)
		return refuse_orphan(t, err);
	if (t && (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
		  code == SQLITE_CONSTRAINT_ROWID))
		return refuse_twin(t, sqlite3_errmsg(db), err);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].code != code && kinds[i].code != (code & 0xff))
			continue;
		/* SQLite's own words follow: they are what a search for help needs. */
		const char *words = kinds[i].words;
		enum rc rc = err_set(err, kinds[i].rc, "%s: %s%s%s (SQLite code %d)", what, words ? words : "",
				     words ? ": " : "", sqlite3_errmsg(db), full);
		if (err)
			err->sys = sqlite3_system_errno(db);
		return rc;
	}
	return err_set(err, RC_INTERNAL, "%s: %s (SQLite code %d)", what, sqlite3_errmsg(db), full);
}
