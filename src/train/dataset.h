/*
 * dataset: training rows, read from files once and kept as a packed binary cache on disk, then streamed in blocks.
 *
 * dataset_open hashes the files' bytes (SHA-256) while reading; the cache's name is the hash of content and options,
 * so a second run over the same data starts at once and a damaged cache is rebuilt. Rows become features:
 *   (field f, hash(field name, value) mod 2^hash_bits, value v)
 * Indices seen in the training part are made dense, 0 .. n_features-1 in ascending order of the hash (a bitmap with
 * ranks); a validation row's features that training never saw are dropped. Rows of the training part are dealt to
 * blocks at random (seeded), so every block is a random sample of the whole, in bounded memory, whatever the
 * files' order. Memory is bounded by block_rows x features per row and 2^hash_bits / 8 bytes, not by the data.
 *
 * Threads: after dataset_open read-only; dataset_block may be called from several threads, each with its own block.
 * Errors:  RC_INVALID data ("file:line: reason"), RC_NOT_FOUND, RC_DENIED, RC_LIMIT, RC_IO, RC_BUSY.
 * Format of the cache: docs/binary-cache.md.
 */
#ifndef TRAIN_DATASET_H
#define TRAIN_DATASET_H

#include "train/options.h"
#include "train/train.h"

struct feature {
	uint32_t field;  /* 0 .. n_fields-1 */
	uint32_t index;  /* 0 .. n_features-1 */
	float value;     /* as given, 1 for categories */
};

struct example {
	float label;              /* 0 or 1 */
	float scale;              /* 1 / |x|, for normalize: multiply each value by it */
	uint32_t n;
	const struct feature *features; /* into the block */
};

enum part { PART_TRAIN, PART_VALID, PARTS };

struct dataset_info {
	int64_t rows[PARTS], positives[PARTS];
	uint32_t n_blocks[PARTS];
	uint32_t n_fields, n_features, hash_bits;
	uint32_t row_features_max;
	char content_hash[65];       /* SHA-256 over all files' bytes, hex */
	const uint8_t *seen;         /* bitmap of 2^hash_bits bits: which hashes are features */
	const char *schema_json;     /* what a featurizer needs to treat new rows alike: format, columns, options */
};

struct dataset;

enum { DATASET_PERCENT = 20 }; /* of a run's progress, told while its data are made ready; then comes the fitting */
enum rc dataset_open(const struct train_options *o, const char *work_dir, const char *const *roots, int n_roots,
		     const struct train_sink *sink, struct dataset **out, struct err *err) NODISCARD;
void dataset_close(struct dataset *d);
const struct dataset_info *dataset_info(const struct dataset *d);

/* A decoded block; reuse it for the next. */
struct block {
	struct example *examples;
	uint32_t n;
	struct feature *features;
	size_t features_cap;
	uint32_t examples_cap;
};
enum rc dataset_block(struct dataset *d, enum part part, uint32_t index, struct block *b, struct err *err) NODISCARD;
void block_fini(struct block *b);

/* Rows for prediction, featurized as the schema says; features not in the bitmap are dropped. path "-": standard input;
 * format NULL: the schema's. */
struct row_reader;
enum rc row_reader_open(const char *schema_json, uint32_t hash_bits, const uint8_t *seen, const char *path,
			const char *format, struct row_reader **out, struct err *err) NODISCARD;
/* *has_row false at the end. has_label: the row had one. */
enum rc row_reader_next(struct row_reader *r, struct example *out, bool *has_label, bool *has_row,
			struct err *err) NODISCARD;
void row_reader_close(struct row_reader *r);

#endif
