/*
 * featurize: the values of a row made features: (field, hash of column name and value, weight).
 *
 * Stateless: what a value becomes depends on the column's name and kind alone, never on other rows, so prediction
 * needs no table. The hash and the buckets are described in docs/data-formats.md for others to compute.
 *   category, tags  hash(name, value), for each value of the cell
 *   text            hash(name, word), for each different word
 *   number          hash(name, bucket of the number)
 * The k different features of one cell weigh 1/sqrt(k) each, so that a cell counts the same however many values it has.
 * Errors:  RC_INVALID a text where a number must be, RC_LIMIT too many features in a row. Without file and line.
 * Threads: any; the row has one owner.
 */
#ifndef TRAIN_FEATURIZE_H
#define TRAIN_FEATURIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "train/csv.h"
#include "train/dataset.h"
#include "train/dense.h"
#include "train/schema.h"

enum { ROW_FEATURES_MAX = 65536 };

struct feat_row {
	struct feature *features; /* index: the hash, or the dense index after feat_row_make_dense */
	uint32_t n, cap;
	float label;
	bool has_label;
};

void feat_row_fini(struct feat_row *r);
enum rc feat_row_add(struct feat_row *r, uint32_t field, uint32_t index, float value, struct err *err) NODISCARD;
/* The values of one cell: cells[0..n) of the same schema column. Empty ones are left out. */
enum rc feat_row_add_cell(struct feat_row *r, const struct schema *s, uint32_t column, const struct cell *cells,
			  size_t n, struct err *err) NODISCARD;
/* Label text against the rule. RC_INVALID: no number. */
enum rc feat_row_set_label(struct feat_row *r, const struct schema *s, const char *bytes, size_t len,
			   struct err *err) NODISCARD;

/* Hashes to dense indices; features never seen in training, or of a field there was not, are dropped. */
void feat_row_make_dense(struct feat_row *r, const struct dense *dense, uint32_t n_fields);
/* 1 / |x|, 1 for a row without features. */
float feat_scale(const struct feature *features, uint32_t n);

uint64_t feat_name_hash(const char *name, size_t len); /* where a column's hashes begin */
uint64_t feat_value_hash(uint64_t begin, const char *value, size_t len);
uint64_t feat_mix(uint64_t h); /* splitmix64's finaliser */
uint32_t feat_index(const struct schema *s, uint64_t begin, const char *value, size_t len);
enum { FEAT_BUCKET_SIZE = 24 };
size_t feat_bucket(double v, char out[FEAT_BUCKET_SIZE]); /* length of the bucket's name */

#endif
