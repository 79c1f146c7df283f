/*
 * A new database is made in memory and comes to its file as a whole: two syncs, that of the file and that of its
 * folder, where SQLite takes seven for an empty file, its change to a write-ahead log, and the schema in it. And
 * whoever opens it, after whatever crash, finds all of the schema or no database.
 */
#include <string.h>
#include "os/file.h"
#include "store/sqlite/sqlite_priv.h"

/* Where the head of a database file says what is written and read beside it: 1 a journal, 2 a write-ahead log. */
enum { HEAD_SIZE = 100, AT_WRITE_VERSION = 18, AT_READ_VERSION = 19, WITH_LOG = 2 };

static enum rc make_image(sqlite3 **db, unsigned char **image, size_t *size, struct err *err)
{
	sqlite3_int64 n = 0;

	int code = sqlite3_open_v2(":memory:", db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return sqlite_failed(*db, code, NULL, "cannot open", err);
	enum rc rc = migrate(*db, schema_migrations, schema_version, err);
	if (rc != RC_OK)
		return rc;
	*image = sqlite3_serialize(*db, "main", &n, 0);
	if (!*image || n < HEAD_SIZE)
		return err_set(err, RC_BUSY, "no memory for a new database");
	*size = (size_t)n;
	(*image)[AT_WRITE_VERSION] = (*image)[AT_READ_VERSION] = WITH_LOG;
	return RC_OK;
}

enum rc sqlite_create(const char *path, struct err *err)
{
	sqlite3 *db = NULL;
	unsigned char *image = NULL;
	size_t size = 0;

	enum rc rc = make_image(&db, &image, &size, err);
	if (rc == RC_OK)
		rc = file_create(path, image, size, 0600, err); /* it will hold keys */
	sqlite3_free(image);
	(void)sqlite3_close(db); /* nothing is under way in it, and nothing of it stays */
	return rc;
}
