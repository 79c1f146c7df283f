/*
 * A new database is made in memory and comes to its file as a whole: two syncs, that of the file and that of its
 * folder, where SQLite takes seven for an empty file, its change to a write-ahead log, and the schema in it. And
 * whoever opens it, after whatever crash, finds all of the schema or no database.
 */
#include <string.h>
#include "os/file.h"
#include "store/foreign.h"
#include "store/sqlite/sqlite_priv.h"

/* The head of a database file. AT_WRITE_VERSION and AT_READ_VERSION say what is written and read beside it: 1 a
 * journal, 2 a write-ahead log. The others are numbers of 32 bits, the highest byte first. */
enum {
	HEAD_SIZE = 100,
	AT_WRITE_VERSION = 18,
	AT_READ_VERSION = 19,
	AT_SCHEMA_COOKIE = 40, /* 0: nothing was ever made in it */
	AT_USER_VERSION = 60,
	AT_APPLICATION_ID = 68,
	WITH_LOG = 2,
};

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

static uint32_t number_at(const char *head, int at)
{
	uint32_t n = 0;
	for (int i = 0; i < 4; i++)
		n = n << 8 | (unsigned char)head[at + i];
	return n;
}

/* Without SQLite, which would make files beside it. What a log beside it holds is not seen: of ours that is at most its
 * very first transaction, whose file is empty by its head. */
static enum rc judge_head(const struct buf *head, struct err *err)
{
	static const char magic[] = "SQLite format 3";

	if (head->len == 0)
		return RC_OK;
	if (head->len < HEAD_SIZE || memcmp(head->bytes, magic, sizeof magic) != 0)
		return err_set(err, RC_CORRUPT, "the file is no database, or its head is damaged");
	uint32_t id = number_at(head->bytes, AT_APPLICATION_ID);
	bool is_empty = !id && !number_at(head->bytes, AT_USER_VERSION) && !number_at(head->bytes, AT_SCHEMA_COOKIE);
	return id == STORE_APPLICATION_ID || is_empty ? RC_OK : refuse_program(id, err);
}

enum rc store_refuse_foreign(const char *path, struct err *err)
{
	struct buf head;

	buf_init(&head, HEAD_SIZE);
	/* One that cannot be read is told by who opens it. */
	bool is_read = file_read_part(path, 0, HEAD_SIZE, &head, NULL) == RC_OK;
	enum rc rc = is_read ? judge_head(&head, err) : RC_OK;
	buf_fini(&head);
	return rc == RC_OK ? rc : err_wrap(err, rc, "%s", path);
}
