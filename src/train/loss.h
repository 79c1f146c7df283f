/*
 * loss: the logistic loss of a score z for a label 0 or 1, and its derivative. Pure, any thread.
 * Finite for every z, infinities included; a z that is no number counts as 0.
 */
#ifndef TRAIN_LOSS_H
#define TRAIN_LOSS_H

#include <math.h>

static inline float loss_probability(float z) { return 1.0f / (1.0f + expf(-z)); }

/* d loss / d z. Between -1 and 1. */
static inline float loss_slope(float z, float label)
{
	float p = loss_probability(z);
	return (p == p ? p : 0.5f) - label;
}

/* -log of the probability given to the label, which is taken to be at least 1e-7: one row costs at most 16.1. */
static inline double loss_log(float z, float label)
{
	double margin = label > 0 ? (double)z : -(double)z, limit = 16.11809565095832;
	if (!(margin > -limit))
		return isnan(margin) ? log(2) : limit;
	return margin < limit ? log1p(exp(-margin)) : log1p(exp(-limit));
}

#endif
