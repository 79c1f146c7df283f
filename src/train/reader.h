/*
 * reader: the rows of one file in any format, as cells or as features.
 *
 * Reading training data it completes the schema: the first csv or tsv file's heading decides the columns; jsonl and
 * libffm add what they meet. Later files' columns are found by name, in any order; what the schema lacks is ignored.
 * Errors:  RC_INVALID and RC_LIMIT as "file:line: reason", naming column and value; those of train/lines.h.
 * Threads: one owner at a time; the schema must live as long.
 */
#ifndef TRAIN_READER_H
#define TRAIN_READER_H

#include <stdbool.h>
#include "base/err.h"
#include "train/csv.h"
#include "train/featurize.h"
#include "train/lines.h"
#include "train/schema.h"

enum reader_flags {
	READER_PREDICT = 0, /* columns are fixed, the label may be absent */
	READER_LABELLED = 1,
	READER_GROWS = 2, /* the schema may get new columns and fields */
};

struct reader {
	struct schema *schema;
	struct lines lines;
	enum train_format format; /* of this file */
	enum reader_flags flags;
	struct cells cells; /* of the row last read; column: the schema's */
	struct cell label;  /* bytes NULL: none */
	int32_t *targets;   /* csv: for each place in a record the schema's column, or below 0 */
	size_t n_targets;
	bool has_pending;    /* csv without heading: the first record is read already */
	struct arena *arena; /* jsonl: the parsed line */
};

/* format: FORMAT_AUTO finds it by name, then by content. digest: see inflate_open; NULL: none. */
enum rc reader_open(struct reader *r, const char *path, enum train_format format, enum reader_flags flags,
		    struct schema *s, EVP_MD_CTX *digest, struct err *err) NODISCARD;
void reader_close(struct reader *r); /* zeroed or closed is fine */
/* The next row's cells, in r->cells and r->label. Not for libffm and libsvm. */
enum rc reader_cells(struct reader *r, bool *has, struct err *err) NODISCARD;
/* The next row's features. */
enum rc reader_row(struct reader *r, struct feat_row *row, bool *has, struct err *err) NODISCARD;

/* Format by the file's name ("x.csv.gz") or, failing that, by its first line that is not empty. */
enum rc reader_format(const char *path, enum train_format *out, struct err *err) NODISCARD;

#endif
