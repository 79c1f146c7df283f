#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "train/loss.h"

static const float bins_edge = 16;

void metrics_init(struct metrics *m) { *m = (struct metrics){ 0 }; }

void metrics_fini(struct metrics *m)
{
	mem_free(m->exact);
	mem_free(m->bins);
	*m = (struct metrics){ 0 };
}

static void bin_add(struct bin *bins, float score, float label)
{
	float at = (score + bins_edge) * ((float)METRICS_BINS / (2 * bins_edge));
	int i = at >= (float)METRICS_BINS ? METRICS_BINS - 1 : at > 0 ? (int)at : 0;
	bins[i].rows++;
	bins[i].positives += label > 0;
}

static void to_bins(struct metrics *m)
{
	m->bins = mem_array(METRICS_BINS, sizeof *m->bins);
	for (int64_t i = 0; i < m->n_exact; i++)
		bin_add(m->bins, m->exact[i].score, m->exact[i].label);
	mem_free(m->exact);
	m->exact = NULL;
	m->n_exact = m->cap_exact = 0;
}

static void keep(struct metrics *m, float score, float label)
{
	if (!m->bins && m->n_exact == METRICS_EXACT_ROWS)
		to_bins(m);
	if (m->bins) {
		bin_add(m->bins, score, label);
		return;
	}
	if (m->n_exact == m->cap_exact) {
		m->cap_exact = m->cap_exact ? m->cap_exact * 2 : 1024;
		m->exact = mem_grow(m->exact, (size_t)m->cap_exact, sizeof *m->exact);
	}
	m->exact[m->n_exact++] = (struct scored){ score, label };
}

void metrics_add(struct metrics *m, float score, float label)
{
	score = isnan(score) ? 0 : score;
	bool is_said = score >= 0;
	m->rows++;
	m->positives += label > 0;
	m->said += is_said;
	m->hit += is_said && label > 0;
	m->loss += loss_log(score, label);
	m->probability += (double)loss_probability(score);
	keep(m, score, label);
}

void metrics_merge(struct metrics *m, struct metrics *other)
{
	if (other->bins && !m->bins)
		to_bins(m);
	for (int64_t i = 0; i < other->n_exact; i++)
		keep(m, other->exact[i].score, other->exact[i].label);
	for (int i = 0; other->bins && i < METRICS_BINS; i++) {
		m->bins[i].rows += other->bins[i].rows;
		m->bins[i].positives += other->bins[i].positives;
	}
	m->rows += other->rows;
	m->positives += other->positives;
	m->said += other->said;
	m->hit += other->hit;
	m->loss += other->loss;
	m->probability += other->probability;
	metrics_fini(other);
}

/* Groups of equal score, highest first. */
struct ranking {
	double auc_pairs;       /* positive-negative pairs in order, ties half */
	double precision_sum;   /* over positives, of the precision at their rank */
	double rows, positives; /* so far */
};

static void rank_group(struct ranking *r, double rows, double positives)
{
	double negatives = rows - positives, positives_before = r->positives;
	r->rows += rows;
	r->positives += positives;
	r->auc_pairs += negatives * (positives_before + positives / 2);
	if (positives > 0)
		r->precision_sum += positives * r->positives / r->rows;
}

static int by_score_down(const void *a, const void *b)
{
	float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
	return (x < y) - (x > y);
}

static void rank_exact(struct metrics *m, struct ranking *r)
{
	if (m->n_exact > 1)
		qsort(m->exact, (size_t)m->n_exact, sizeof *m->exact, by_score_down);
	for (int64_t i = 0; i < m->n_exact;) {
		double rows = 0, positives = 0;
		float score = m->exact[i].score;
		for (; i < m->n_exact && m->exact[i].score == score; i++) {
			rows++;
			positives += m->exact[i].label > 0;
		}
		rank_group(r, rows, positives);
	}
}

struct figures metrics_figures(struct metrics *m)
{
	struct ranking r = { 0 };
	double rows = (double)m->rows, positives = (double)m->positives, negatives = rows - positives;
	bool has_both = positives > 0 && negatives > 0;

	if (m->bins) {
		for (int i = METRICS_BINS - 1; i >= 0; i--) {
			if (m->bins[i].rows)
				rank_group(&r, (double)m->bins[i].rows, (double)m->bins[i].positives);
		}
	} else {
		rank_exact(m, &r);
	}
	return (struct figures){
		.logloss = rows > 0 ? m->loss / rows : NAN,
		.auc = has_both ? r.auc_pairs / (positives * negatives) : NAN,
		.pr_auc = has_both ? r.precision_sum / positives : NAN,
		.recall = positives > 0 ? (double)m->hit / positives : NAN,
		.precision = m->said > 0 ? (double)m->hit / (double)m->said : NAN,
		.calibration = positives > 0 ? m->probability / positives : NAN,
	};
}
