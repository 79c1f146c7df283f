/*
 * model_file: a trained model on disk: what it takes to score rows from files, and nothing else.
 * A sealed file (sealed.h) with the sections meta (JSON), schema (JSON), seen (bitmap), weights; docs/model-file.md.
 * The same weights and options give the same bytes: nothing in it tells the time.
 *
 * Errors: those of sealed.h; RC_CORRUPT too when sections contradict each other.
 */
#ifndef TRAIN_MODEL_FILE_H
#define TRAIN_MODEL_FILE_H

#include "train/dataset.h"
#include "train/kernel.h"
#include "train/metrics.h"
#include "train/sealed.h"
#include "train/weights.h"

/* How the model came about, for people. */
struct model_note {
	int epoch;
	double train_logloss;
	struct figures figures;
};

struct model {
	struct sealed file;
	struct weights weights;      /* borrowed from file */
	const struct kernel *kernel; /* that of the training, where this processor has it */
	uint32_t hash_bits;
	bool is_normalized;
	const uint8_t *seen;
	const char *schema_json;
	const char *meta_json;
};

enum rc model_write(const char *path, const struct weights *w, const struct train_options *o,
                    const struct dataset_info *info, const struct kernel *k, const struct model_note *note,
                    char seal_hex[SEALED_HEX_SIZE], struct err *err) NODISCARD;
/* The seal of a sound model file. */
enum rc model_seal(const char *path, char seal_hex[SEALED_HEX_SIZE], struct err *err) NODISCARD;

#endif
