/*
 * exam: what the checks of `stint doctor` share. A check looks, changes nothing, and tells findings; it never stops the
 * checks after it.
 */
#ifndef CMD_EXAM_H
#define CMD_EXAM_H

#include <limits.h>
#include <stdbool.h>
#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "json/json.h"

enum level { LEVEL_OK, LEVEL_NOTE /* worth knowing */, LEVEL_BAD /* act */ };

struct exam {
	const char *data;
	bool as_json, is_full; /* is_full: compare the database's indexes with its tables however large it is */
	struct arena *arena;
	struct buf out;
	struct jw json;
	int n_bad;
	bool is_served; /* a server runs on the folder */
};

/* One line of words that also say what to do. check is a stable name. */
PRINTF(4, 5) void exam_tell(struct exam *x, enum level level, const char *check, const char *fmt, ...);
/* DATA/name; false: too long. */
bool exam_path(const struct exam *x, const char *name, char out[PATH_MAX]);

/* exam_rows.c: the database, and the files and processes it names */
void exam_rows(struct exam *x);

#endif
