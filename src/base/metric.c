#include "base/metric.h"

#include "base/must.h"

const double metric_latency_bounds_s[12] = { 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
					     0.01,   0.05,    0.1,    0.5,   1,      10 };
const double metric_batch_bounds[9] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };

void counter_add(struct counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(&c->n, n, memory_order_relaxed);
}

void histogram_init(struct histogram *h, const double *bounds, int n_bounds)
{
	must(n_bounds < METRIC_BUCKETS);
	h->bounds = bounds;
	h->n_bounds = n_bounds;
	for (int i = 0; i < METRIC_BUCKETS; i++)
		atomic_init(&h->hits[i], 0);
	atomic_init(&h->sum_micro, 0);
}

void histogram_add(struct histogram *h, double value)
{
	int i = 0;
	while (i < h->n_bounds && value > h->bounds[i])
		i++;
	atomic_fetch_add_explicit(&h->hits[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_micro, (uint64_t)(value * 1e6), memory_order_relaxed);
}

void metric_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_value(struct buf *out, const char *name, const char *labels, double value)
{
	if (*labels)
		buf_addf(out, "%s{%s} %.15g\n", name, labels, value);
	else
		buf_addf(out, "%s %.15g\n", name, value);
}

void metric_histogram(struct buf *out, const char *name, const char *labels, struct histogram *h)
{
	const char *comma = *labels ? "," : "";
	uint64_t total = 0;

	for (int i = 0; i <= h->n_bounds; i++) {
		total += atomic_load_explicit(&h->hits[i], memory_order_relaxed);
		if (i < h->n_bounds)
			buf_addf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma,
				 h->bounds[i], (unsigned long long)total);
		else
			buf_addf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma,
				 (unsigned long long)total);
	}
	double sum = (double)atomic_load_explicit(&h->sum_micro, memory_order_relaxed) / 1e6;
	const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
	buf_addf(out, "%s_sum%s%s%s %.15g\n", name, open, labels, close, sum);
	buf_addf(out, "%s_count%s%s%s %llu\n", name, open, labels, close, (unsigned long long)total);
}

void metric_label(struct buf *labels, const char *key, const char *value)
{
	buf_addf(labels, "%s%s=\"", labels->len ? "," : "", key);
	for (const char *p = value; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(labels, '\\');
		if (*p == '\n')
			buf_adds(labels, "\\n");
		else
			buf_addc(labels, *p);
	}
	buf_addc(labels, '"');
}
