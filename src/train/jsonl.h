/* jsonl: one line, a JSON object, taken apart into the cells of the schema's columns. Errors without file and line. */
#ifndef TRAIN_JSONL_H
#define TRAIN_JSONL_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "train/csv.h"
#include "train/schema.h"

/*
 * Cells live in the arena. null, "" and [] give no cell; an array gives one cell for each element.
 * grows: members unknown to an open schema become columns. label->bytes NULL: the row has none.
 */
enum jsonl_growth { JSONL_FIXED, JSONL_GROWS };
enum rc jsonl_cells(const char *line, size_t len, struct schema *s, enum jsonl_growth growth, struct arena *a,
		    struct cells *out, struct cell *label, struct err *err) NODISCARD;

#endif
