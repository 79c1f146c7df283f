/*
 * metric: counters, gauges and histograms that any thread may touch, and their Prometheus text form.
 * Plain values with atomic members: put them in the struct that owns the thing measured.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>
#include "base/buf.h"

enum { METRIC_BUCKETS = 16 };

struct counter { _Atomic uint64_t n; };

/* Cumulative on output. bounds: ascending upper limits (inclusive), the last bucket is +Inf. */
struct histogram {
	const double *bounds;
	int n_bounds;                                /* at most METRIC_BUCKETS - 1 */
	_Atomic uint64_t hits[METRIC_BUCKETS];
	_Atomic uint64_t sum_micro;                  /* sum of values x 1e6 */
};

extern const double metric_latency_bounds_s[12];     /* 0.1 ms to 10 s */
extern const double metric_batch_bounds[9];          /* 1, 2, 4 ... 256 */

void counter_add(struct counter *c, uint64_t n);
void histogram_init(struct histogram *h, const double *bounds, int n_bounds);
void histogram_add(struct histogram *h, double value); /* value >= 0 */

/* Heading lines of one metric family. type: "counter", "gauge", "histogram". */
void metric_head(struct buf *out, const char *name, const char *type, const char *help);
/* labels: "" or  key="value",key="value"  already escaped (metric_label does it). */
void metric_value(struct buf *out, const char *name, const char *labels, double value);
void metric_histogram(struct buf *out, const char *name, const char *labels, struct histogram *h);
void metric_label(struct buf *labels, const char *key, const char *value);

#endif
