/*
 * newest: has anybody, also another process, changed the data since a view of it was begun? Asked without a lock or a
 * call of the kernel, for every request that reads.
 *
 * SQLite answers such a question only within a transaction of its own: two locks on a file and two statements each
 * time. What it looks at there is the head of the index of the write-ahead log, memory that all who have the database
 * open share: https://sqlite.org/walformat.html, section 2.1. Each commit writes other bytes into it (a counter, the
 * number of frames, checksums of the log), twice, the second copy first. So the same bytes mean the same data.
 *
 *   newest_note            what the head is, before the view is begun
 *   (begin the view)       it sees that, or something later
 *   newest_is_same         still that: so the view sees it, and nothing later exists
 *
 * A log of more than NEWEST_FRAMES_MAX pages is never the same: readers who keep their views while others come and go
 * leave no moment to begin it anew, and it would grow for as long as they are busy.
 *
 * Owner:    struct newest is a value in the connection's struct; what it points to is SQLite's until
 *           the connection closes.
 * Threads:  one owner at a time, as the connection.
 */
#ifndef STORE_SQLITE_NEWEST_H
#define STORE_SQLITE_NEWEST_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum { NEWEST_WORDS = 2 * 48 / sizeof(uint64_t) /* both copies of the head */, NEWEST_FRAMES_MAX = 4096 };

struct newest {
	const volatile uint64_t *head; /* NULL: not known yet, or not to be had */
	bool is_sought;
	bool is_noted;
	uint64_t noted[NEWEST_WORDS];
};

/* Within a view: where the head is. Without a log, or where the file system has no shared memory, it is nowhere, and
 * newest_is_same never true. */
void newest_find(struct newest *n, sqlite3 *db);
void newest_note(struct newest *n);
bool newest_is_same(const struct newest *n);

#endif
