/*
 * options: the parameters of a training run as typed values. The rules (names, types, limits, defaults, help) are
 * the table train_rules in options.c, the only place where an option is described.
 * A value: texts are borrowed from the params given, lists live in the arena.
 */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "task/param.h"

enum train_model { MODEL_LR, MODEL_FM, MODEL_FFM };
enum train_format { FORMAT_AUTO, FORMAT_CSV, FORMAT_TSV, FORMAT_JSONL, FORMAT_LIBFFM, FORMAT_LIBSVM };
enum split_method { SPLIT_TAIL /* last valid_ratio of rows by file order */, SPLIT_RANDOM /* seeded */ };

struct text_list {
	const char **items;
	int n;
};

struct label_rule { /* y = 1 when label OP value; default "> 0" */
	enum label_op { LABEL_LT, LABEL_LE, LABEL_GT, LABEL_GE, LABEL_EQ, LABEL_NE } op;
	double value;
};

/* Words of the enums, in their order: in options, schemas and messages. */
enum { FORMATS = FORMAT_LIBSVM + 1, LABEL_OPS = LABEL_NE + 1 };
extern const char *const format_words[FORMATS], *const label_op_words[LABEL_OPS];

struct train_options {
	struct text_list train_data, valid_data;
	enum train_format format;          /* data_format: csv tsv jsonl libffm libsvm; default by name, then content */
	bool has_header;                   /* header: csv, tsv; without one columns are named "0", "1", ... */
	const char *label_field;           /* default "click", else "label" is tried by the reader */
	struct label_rule positive;
	struct text_list feature_fields;   /* n == 0: all others */
	struct text_list numeric_fields;   /* bucketed; besides columns found to hold decimals */
	struct text_list text_fields;      /* split into words: title_field, description_field */
	struct text_list multi_fields;     /* tags_field */
	const char *value_separator;       /* splits several values in one cell; default "|" */
	double valid_ratio;                /* default 0.1 */
	enum split_method split;
	enum train_model model;            /* default ffm */
	int factors;                       /* default 4 */
	double learning_rate;              /* default 0.2 */
	double l2;                         /* default 1e-3 */
	int epochs;                        /* default 15 */
	int early_stop_rounds; /* default 3: stop after so many epochs without a better validation; 0: never */
	int hash_bits;                     /* default 20; 8..28 */
	bool normalize;                    /* default true: each row scaled to unit length */
	int threads;                       /* default 1 (deterministic) */
	uint64_t seed;                     /* default 1 */
};

/* params were checked against train_rules. RC_INVALID for what only holds between options. */
enum rc train_options_parse(const struct param *params, size_t n_params, struct arena *a, struct train_options *out,
			    struct err *err) NODISCARD;
/* Canonical text of the options that shape the cache (not of those that shape the optimiser), for its key. */
char *train_options_cache_key(const struct train_options *o, struct arena *a);

#endif
