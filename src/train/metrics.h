/*
 * metrics: how good a set of scores is, from any number of rows in bounded memory.
 *
 * Up to METRICS_EXACT_ROWS rows are kept and ranked exactly. Past that they go into METRICS_BINS bins, equally wide in
 * the score from -16 to 16: rows less than 3.1e-5 apart in the score then count as ties, which moves AUC and PR-AUC by
 * less than 1e-4. Scores past the ends tie as well: probabilities nearer than 1e-7 to 0 or 1. Logloss, recall,
 * precision and calibration are exact either way.
 *
 * Ties: a pair with equal scores counts half for AUC (midranks); rows of equal score enter PR-AUC together.
 * Owner:   struct metrics is the caller's; metrics_fini. Copying it moves it.
 * Threads: one owner at a time; metrics_merge joins what several threads gathered.
 */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

enum { METRICS_EXACT_ROWS = 1 << 20, METRICS_BINS = 1 << 20 };

struct scored {
	float score;
	float label;
};

struct bin {
	uint64_t rows, positives;
};

struct metrics {
	struct scored *exact; /* while there are no bins */
	int64_t n_exact, cap_exact;
	struct bin *bins;
	int64_t rows, positives;
	int64_t said, hit;        /* rows with p >= 0.5, and positives among them */
	double loss, probability; /* sums */
};

/* All fractions. NAN where undefined: auc and pr_auc of one class only, recall without positives, precision when
 * nothing was said to be positive, calibration without positives; logloss without rows. */
struct figures {
	double logloss, auc, pr_auc;
	double recall, precision; /* at probability 0.5 */
	double calibration;       /* mean probability / mean label */
};

void metrics_init(struct metrics *m);
void metrics_fini(struct metrics *m);
void metrics_add(struct metrics *m, float score, float label); /* score before the logistic function; label 0 or 1 */
void metrics_merge(struct metrics *m, struct metrics *other);  /* other is emptied */
struct figures metrics_figures(struct metrics *m);             /* reorders what is kept; more may be added after */

#endif
