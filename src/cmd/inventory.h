/*
 * inventory: the files that a database names, and what is known of each. What a backup must hold and a
 * doctor looks for.
 *
 * Owner:  everything lives in the arena given.
 * Errors: RC_LIMIT when the arena is full; those of the store.
 * Read it within store_begin_read, together with whatever must agree with it.
 */
#ifndef CMD_INVENTORY_H
#define CMD_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"
#include "store/tables.h"

enum file_kind {
	FILE_SERVING,  /* the model in service of an instance (E8) */
	FILE_MODEL,    /* the model of an earlier generation that is kept */
	FILE_LOG,      /* of a task; absent until its first attempt, and when a user has taken it away */
	FILE_RDB,      /* a backup of a Redis instance that succeeded */
	FILE_SECRET,   /* the administration's secret of a Redis instance; absent until it was made */
	FILE_KINDS
};

struct named_file {
	enum file_kind kind;
	const char *path;    /* relative to the data folder */
	const char *sha256;  /* as recorded; "" unknown */
	const char *whose;   /* in words: "ctr one (app group id 1), generation 3" */
	bool is_due;         /* it is there for as long as its row; a FILE_LOG is once its task has ended */
};

/* Files of these kinds never change under their path: a checksum that does not hold means damage. */
static inline bool file_kind_is_fixed(enum file_kind k)
{
	return k == FILE_SERVING || k == FILE_MODEL || k == FILE_RDB;
}

struct inventory {
	struct named_file *files;
	size_t n_files;
	struct cache_row *caches; /* that are not deleted */
	size_t n_caches;
	size_t n_running;         /* tasks */
};

enum rc inventory_read(struct store *s, struct arena *a, struct inventory *out, struct err *err) NODISCARD;

#endif
