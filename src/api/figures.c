#include "api/figures.h"

#include <string.h>
#include "base/attr.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/must.h"

/* The statuses we send; the last place is for any other. */
static const int statuses[] = { 200, 204, 400, 401, 403, 404, 405, 408, 409, 413, 414, 429, 431, 500, 503, 0 };

struct figure {
	const char *operation;
	struct counter by_status[ARRAY_LEN(statuses)];
	struct histogram latency;
};

struct figures {
	size_t n;
	struct figure *list;
};

static void add_operation(struct figures *f, const char *operation)
{
	for (size_t i = 0; i < f->n; i++) {
		if (strcmp(f->list[i].operation, operation) == 0)
			return;
	}
	struct figure *figure = &f->list[f->n++];
	figure->operation = operation;
	histogram_init(&figure->latency, metric_latency_bounds_s, ARRAY_LEN(metric_latency_bounds_s));
}

struct figures *figures_new(const struct route *routes, size_t n)
{
	struct figures *f = mem_new(struct figures);

	f->list = mem_array(n + FIGURE_FIRST_OPERATION, sizeof *f->list);
	add_operation(f, "unknown");
	add_operation(f, "refused");
	for (size_t i = 0; i < n; i++)
		add_operation(f, routes[i].operation);
	return f;
}

void figures_free(struct figures *f)
{
	if (!f)
		return;
	mem_free(f->list);
	mem_free(f);
}

size_t figures_of(const struct figures *f, const char *operation)
{
	size_t i = 0;
	while (i < f->n && strcmp(f->list[i].operation, operation) != 0)
		i++;
	must(i < f->n);
	return i;
}

void figures_add(struct figures *f, size_t figure, int http_status, double seconds)
{
	size_t i = 0;

	must(figure < f->n);
	while (i < ARRAY_LEN(statuses) - 1 && statuses[i] != http_status)
		i++;
	counter_add(&f->list[figure].by_status[i], 1);
	histogram_add(&f->list[figure].latency, seconds > 0 ? seconds : 0);
}

static void write_counters(const struct figure *figure, struct buf *labels, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		uint64_t n = atomic_load_explicit(&figure->by_status[i].n, memory_order_relaxed);
		char code[16];
		if (!n)
			continue;
		(void)snprintf(code, sizeof code, "%d", statuses[i]);
		buf_reset(labels);
		metric_label(labels, "operation", figure->operation);
		metric_label(labels, "code", statuses[i] ? code : "other");
		metric_value(out, "stint_http_requests_total", buf_text(labels), (double)n);
	}
}

static bool was_used(const struct figure *figure)
{
	uint64_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		n += atomic_load_explicit(&figure->by_status[i].n, memory_order_relaxed);
	return n > 0;
}

void figures_write(struct figures *f, struct buf *out)
{
	struct buf labels;

	buf_init(&labels, 1024);
	metric_head(out, "stint_http_requests_total", "counter", "Requests answered, by operation and HTTP status.");
	for (size_t i = 0; i < f->n; i++)
		write_counters(&f->list[i], &labels, out);
	metric_head(out, "stint_http_request_seconds", "histogram", "Time from a complete request to its answer.");
	for (size_t i = 0; i < f->n; i++) {
		if (i == FIGURE_REFUSED || !was_used(&f->list[i])) /* what was refused took no time of ours */
			continue;
		buf_reset(&labels);
		metric_label(&labels, "operation", f->list[i].operation);
		metric_histogram(out, "stint_http_request_seconds", buf_text(&labels), &f->list[i].latency);
	}
	buf_fini(&labels);
}
