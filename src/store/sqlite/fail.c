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

/* Only where SQLite writes a database or a log it tells a full disk from other faults, and a quota not even there: for
 * the index of the log (made, cut, made longer) and for files that cannot be made, the kernel's word counts. errno has
 * it: each of these codes comes from a call that has just failed, while what SQLite notes of it (sqlite3_system_errno)
 * may be of an earlier one, since a failed commit sets nothing there. A sync that found the disk full is another
 * matter: what it left undone is not known. */
static bool is_full(int full_code, int sys)
{
	switch (full_code) {
	case SQLITE_IOERR_WRITE:
	case SQLITE_IOERR_SHMOPEN:
	case SQLITE_IOERR_SHMSIZE:
	case SQLITE_IOERR_SHMMAP:
		break;
	default:
		if ((full_code & 0xff) != SQLITE_CANTOPEN)
			return false;
	}
	return sys == ENOSPC || sys == EDQUOT;
}

enum rc sqlite_failed(sqlite3 *db, int code, const struct table *t, const char *what, struct err *err)
{
	int sys = errno, full = sqlite3_extended_errcode(db);

	if (is_full(full, sys))
		return err_sys(err, RC_BUSY, sys, "%s: the disk is full (SQLite code %d)", what, full);
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
