/*
 * build: training files made a cache file: columns' kinds found, rows made features, split, and dealt to blocks.
 *
 * Three passes: (1) the first rows, to see which columns hold numbers; (2) all files, rows into a temporary file as
 * features; (3) that file, once the number of rows is known: which rows are training and which hashes they use, then
 * all rows with dense indices into blocks.
 * Errors:  those of train/dataset.h. Temporary files are gone at the end, also after a failure.
 */
#ifndef TRAIN_BUILD_H
#define TRAIN_BUILD_H

#include "base/err.h"
#include "train/packed.h"
#include "train/options.h"
#include "train/train.h"

struct build_file {
	char *path;       /* checked against the roots */
	const char *name; /* as the user gave it */
	enum train_format format;
	enum part part; /* PART_VALID: of valid_data */
};

struct build_input {
	const struct train_options *options;
	const struct build_file *files;
	int n_files;
	uint64_t size;            /* of all files, for the progress */
	const char *content_hash; /* 64 hex digits; RC_INVALID when the files have changed since it was taken */
	const char *dir;          /* for temporary files */
	const struct train_sink *sink;
};

enum rc build_cache(const struct build_input *in, const char *cache_path, const unsigned char key[PACKED_KEY_SIZE],
		    struct err *err) NODISCARD;

#endif
