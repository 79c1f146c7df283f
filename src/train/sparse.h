/*
 * sparse: one line of libffm ("label field:index:value ...") or libsvm ("label index:value ...").
 * Errors are without file and line.
 */
#ifndef TRAIN_SPARSE_H
#define TRAIN_SPARSE_H

#include <stddef.h>
#include "base/err.h"
#include "train/featurize.h"
#include "train/schema.h"

/*
 * A line may lack the label (row->has_label says). Values of 0 are left out. An index is hashed like a value without
 * a column name, so equal indices are equal features. grows: a field not met before
 * raises s->n_fields, else its features are left out. In libsvm all features are of field 0; a comment may follow '#'.
 */
enum sparse_growth { SPARSE_FIXED, SPARSE_GROWS };
enum rc sparse_row(const char *line, size_t len, enum train_format format, struct schema *s, enum sparse_growth growth,
		   struct feat_row *row, struct err *err) NODISCARD;

#endif
