#include "store/sqlite/newest.h"

#include <string.h>
#include "base/attr.h"

enum { INDEX_REGION_SIZE = 32768 /* as SQLite maps it */, COPY_WORDS = NEWEST_WORDS / 2 };

/* A number of the file's head: 1 rollback journal, 2 write-ahead log. */
static bool has_log(sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	bool is_wal = false;

	if (sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		const char *mode = (const char *)sqlite3_column_text(stmt, 0);
		is_wal = mode && strcmp(mode, "wal") == 0;
	}
	(void)sqlite3_finalize(stmt); /* repeats the error of the step */
	return is_wal;
}

void newest_find(struct newest *n, sqlite3 *db)
{
	sqlite3_file *file = NULL;
	volatile void *region = NULL;

	if (n->is_sought)
		return;
	n->is_sought = true;
	if (!has_log(db) || sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
	    !file->pMethods)
		return;
	const sqlite3_io_methods *m = file->pMethods;
	/* The region is there since the view began; this only tells where. */
	if (m->iVersion >= 2 && m->xShmMap && m->xShmMap(file, 0, INDEX_REGION_SIZE, 0, &region) == SQLITE_OK)
		n->head = region;
}

/* mxFrame: the fifth of the head's numbers of 32 bits, in the machine's own order. */
static bool is_long(const struct newest *n)
{
	uint32_t numbers[5];
	memcpy(numbers, n->noted, sizeof numbers);
	return numbers[4] > NEWEST_FRAMES_MAX;
}

/* The copies differ while a commit writes them, and are zero before the first one. */
void newest_note(struct newest *n)
{
	uint64_t any = 0, differences = 0;

	for (int i = 0; n->head && i < NEWEST_WORDS; i++)
		n->noted[i] = n->head[i];
	for (int i = 0; n->head && i < COPY_WORDS; i++) {
		any |= n->noted[i];
		differences |= n->noted[i] ^ n->noted[i + COPY_WORDS];
	}
	n->is_noted = any != 0 && differences == 0 && !is_long(n);
}

bool newest_is_same(const struct newest *n)
{
	uint64_t differences = 0;

	for (int i = 0; n->is_noted && i < NEWEST_WORDS; i++)
		differences |= n->noted[i] ^ n->head[i];
	return n->is_noted && differences == 0;
}
