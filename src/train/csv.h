/*
 * csv: one record of a comma- or tab-separated file split into cells (RFC 4180).
 *
 * A cell that begins with '"' ends with the next lone '"'; in between, '""' stands for one, and separators and line
 * ends are data. A '"' anywhere else is data.
 * Owner:   cells point into the line buffer and live until the next record.
 * Errors:  RC_INVALID "file:line: ..." for a quoted cell that does not end or goes on behind its end; RC_LIMIT.
 */
#ifndef TRAIN_CSV_H
#define TRAIN_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "train/lines.h"

enum { COLUMNS_MAX = 4096 };

/* One value of a row: a csv cell, or a value or an array's element in jsonl. */
struct cell {
	char *bytes; /* not followed by a NUL */
	size_t len;
	uint32_t column; /* place in the record; in jsonl the schema's column */
	bool is_element; /* of an array: not split at value_separator */
};

struct cells {
	struct cell *items; /* COLUMNS_MAX places in csv */
	size_t n, cap;
};

void cells_fini(struct cells *c);
void cells_add(struct cells *c, struct cell cell);

/* The next record that is no empty line. *has false at the end. */
enum rc csv_next(struct lines *l, char separator, struct cells *out, bool *has, struct err *err) NODISCARD;

#endif
