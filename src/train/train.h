/*
 * train: click-through-rate models trained from files, without a server: readers, features, models, metrics,
 * model file, prediction. Used by `stint job` (as a task's child), `stint train` and `stint predict`.
 *
 * A run: read rows (csv, tsv, jsonl, libffm, libsvm; plain, gzip, xz or zstd by content) -> hash features ->
 * packed binary cache on disk, keyed by content and options -> epochs of AdaGrad over the streamed cache,
 * evaluating the validation part after each -> keep the best epoch -> model file. A checkpoint after each epoch
 * lets a killed run go on; with threads=1 and one seed the resumed model is bit-identical to the undisturbed one.
 *
 * Owner:   everything lives in the arena given or inside struct train_*.
 * Errors:  RC_INVALID data or option (file, line and reason in words), RC_NOT_FOUND no file, RC_DENIED outside the
 *          roots, RC_LIMIT, RC_IO, RC_BUSY disk full, RC_CORRUPT model or cache damaged (a damaged cache is rebuilt).
 * Threads: train_run starts its own Hogwild threads; call it from one.
 * Method:  docs/trainer.md; model file docs/model-file.md.
 */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "task/param.h"

/* All options as rules: names, types, limits, defaults, help. The one list behind the ctr function's
 * createParameters, `stint train --help` and docs/trainer.md. */
extern const struct param_rule train_rules[];
extern const size_t n_train_rules;

/* Where a run tells what it does. Members may be NULL. Called on train_run's thread. */
struct train_sink {
	void *ctx;
	void (*progress)(void *ctx, int percent);                        /* 0..99 */
	void (*metric)(void *ctx, const char *set, const char *name, int64_t step, double value);
	void (*event)(void *ctx, const char *text);
	void (*checkpoint)(void *ctx, const char *file_name);            /* durable in work_dir when called */
	void (*data_hash)(void *ctx, const char *hex);
	bool (*should_stop)(void *ctx);                                  /* polled; true: RC_TIMEOUT soon after */
};

struct train_run {
	const struct param *params;       /* checked with param_check_all(train_rules) by the caller */
	size_t n_params;
	const char *work_dir;             /* cache, checkpoints and model.bin go here */
	const char *const *roots;         /* files must lie in one of these, a relative name is looked up in them in
					   * order; NULL: anywhere, relative to the current folder (offline use) */
	int n_roots;
	const char *checkpoint;           /* file name in work_dir to go on from; NULL or "": from the start */
	struct train_sink sink;
};

/* Final figures. AUC etc. are of the validation rows (of the best epoch); NAN where undefined (one class only). */
struct train_result {
	char model_path[4096];            /* work_dir/model.bin, published atomically */
	char model_sha256[65];
	int64_t rows_train, rows_valid, positives_train, positives_valid;
	int64_t features, fields;         /* distinct hashed features seen in training; fields */
	int best_epoch, epochs_run;
	double logloss, auc, pr_auc, recall, precision, calibration; /* recall, precision at 0.5, fractions */
	double train_logloss;
	double seconds;
};

/* What a run that was cut off has left in work_dir to go on from, for train_run.checkpoint; "": nothing. */
enum { CHECKPOINT_NAME_SIZE = 24 };
void train_find_checkpoint(const char *work_dir, char name[CHECKPOINT_NAME_SIZE]);
enum rc train_run(const struct train_run *run, struct arena *a, struct train_result *out, struct err *err) NODISCARD;
/* The "result" object of the child protocol and of `stint train --json`: "model" (the file's name, without its folder)
 * and "sha256" when there is one, "rows" and so on, "recall" and "precision" in percent; null where undefined. */
void train_result_json(const struct train_result *r, struct buf *out);

/* A loaded model: read-only, mmapped; any thread may predict with its own scratch. */
struct model;
/* Checks magic, version, checksum. */
enum rc model_load(const char *path, struct model **out, struct err *err) NODISCARD;
void model_free(struct model *m);

/* Probabilities for every row of in_path ("-": stdin), in the format the model was trained on or a given one
 * (format NULL or ""): one line "0.123456" per row to out. The label column may be absent. With labels and
 * metrics non-NULL, fills logloss, auc ... as for validation; rows_valid counts the rows that had one. */
enum rc model_predict_file(const struct model *m, const char *in_path, const char *format, int out_fd,
			   struct train_result *metrics, struct err *err) NODISCARD;
/* Human summary: kind, factors, fields, options, trained when; as a JSON object. */
void model_describe(const struct model *m, struct buf *out_json);

/* Simulated shop data (`stint sample shop`): CSV with heading
 *   click,user_id,item_id,category,hour,position,price
 * planted user-category preferences, position bias and noise. *best_auc and *best_logloss: figures of the true
 * probabilities on the last tenth of the rows, the best any model can do. */
enum rc sample_shop(const char *path, int64_t rows, uint64_t seed, double *best_auc, double *best_logloss,
		    struct err *err) NODISCARD;

#endif
