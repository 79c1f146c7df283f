/*
 * rows: what holds of training data in any text format.
 *
 *   Every row keeps its bounds: fields, hashed indices, finite values, labels of 0 and 1.
 *   A refusal names file and line.
 *   A byte-order mark before, a line end behind the last line, and gzip around it change nothing.
 *   The schema, written as JSON and read back, treats the same rows alike: same features, same labels.
 */
#ifndef FUZZ_ROWS_H
#define FUZZ_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include "train/options.h"

void rows_check(enum train_format format, const uint8_t *data, size_t size);

#endif
