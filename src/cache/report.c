#include "cache/report.h"

#include <stdio.h>

/* Six nodes have 54 items. */
enum { PACKED = 1000 };

int64_t report_pack(struct report_sums sums) { return sums.failed * PACKED + sums.abnormal; }

struct report_sums report_unpack(int64_t packed)
{
	return (struct report_sums){ .abnormal = packed % PACKED, .failed = packed / PACKED };
}

/* ---- conclusions: what, and the words a text about it has open ---- */

static void write_texts(struct jw *w, const struct judge_rule *r, const struct cache_diagnosis *d)
{
	char text[FIGURE_TEXT_SIZE];

	jw_object(w);
	figure_text(r->figure, r->limit, text);
	jw_kv_text(w, "THRESHOLD", text);
	figure_text(r->figure, d->figures.value[r->figure], text);
	jw_kv_text(w, "VALUE", text);
	if (r->cause == CAUSE_LINEAR_COMMANDS)
		jw_kv_text(w, "COMMANDS", d->linear.text);
	jw_end_object(w);
}

static void write_cause(struct jw *w, const struct judge_rule *r, const struct cache_diagnosis *d)
{
	jw_object(w);
	jw_kv_int(w, "id", r->cause);
	jw_key(w, "params");
	if (figure_unit(r->figure) == UNIT_FLAG)
		jw_null(w);
	else
		write_texts(w, r, d);
	jw_end_object(w);
}

static void write_causes(struct jw *w, const struct finding *f, const struct cache_diagnosis *d)
{
	jw_key(w, "cause_ids");
	if (f->n_causes == 0) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < f->n_causes; i++)
		write_cause(w, f->causes[i], d);
	jw_end_array(w);
}

static void write_ids(struct jw *w, const char *key, const int *ids, size_t n)
{
	jw_key(w, key);
	if (n == 0) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < n; i++) {
		jw_object(w);
		jw_kv_int(w, "id", ids[i]);
		jw_key(w, "params");
		jw_null(w);
		jw_end_object(w);
	}
	jw_end_array(w);
}

/* ---- items ---- */

static void write_item(struct jw *w, enum diagnosis_item item, const struct finding *f, const struct cache_diagnosis *d)
{
	jw_object(w);
	jw_kv_text(w, "name", item_name(item));
	jw_kv_text(w, "result", item_result_word(f->result));
	write_causes(w, f, d);
	write_ids(w, "impact_ids", f->impacts, f->n_impacts);
	write_ids(w, "advice_ids", f->advice, f->n_advice);
	jw_end_object(w);
}

/* dimension DIMENSIONS: all. */
static struct report_sums count(const struct finding findings[ITEMS], enum diagnosis_dimension dimension)
{
	struct report_sums sums = { 0, 0 };

	for (int i = 0; i < ITEMS; i++) {
		if (dimension != DIMENSIONS && item_dimension((enum diagnosis_item)i) != dimension)
			continue;
		sums.abnormal += findings[i].result == ITEM_ABNORMAL;
		sums.failed += findings[i].result == ITEM_FAILED;
	}
	return sums;
}

static void write_dimension(struct jw *w, enum diagnosis_dimension dimension, const struct finding findings[ITEMS],
                            const struct cache_diagnosis *d)
{
	struct report_sums sums = count(findings, dimension);

	jw_object(w);
	jw_kv_text(w, "name", dimension_name(dimension));
	jw_kv_int(w, "abnormal_num", sums.abnormal);
	jw_kv_int(w, "failed_num", sums.failed);
	jw_key(w, "diagnosis_item_list");
	jw_array(w);
	for (int i = 0; i < ITEMS; i++) {
		if (item_dimension((enum diagnosis_item)i) == dimension)
			write_item(w, (enum diagnosis_item)i, &findings[i], d);
	}
	jw_end_array(w);
	jw_end_object(w);
}

/* ---- commands ---- */

/* The vendor's samples have milliseconds with three digits under these names, so whole microseconds fit. */
static double as_ms(int64_t usec) { return (double)usec / 1000; }

static void write_command(struct jw *w, const struct cache_command *c, int64_t usec)
{
	char share[16];

	(void)snprintf(share, sizeof share, "%.2f%%", usec > 0 ? (double)c->usec * 100 / (double)usec : 0.0);
	jw_object(w);
	jw_kv_int(w, "calls_sum", c->calls);
	jw_kv_real(w, "usec_sum", as_ms(c->usec));
	jw_kv_text(w, "command_name", c->name);
	jw_kv_text(w, "per_usec", share);
	jw_kv_real(w, "average_usec", c->calls > 0 ? as_ms((c->usec + c->calls / 2) / c->calls) : 0);
	jw_end_object(w);
}

static void write_commands(struct jw *w, const struct cache_diagnosis *d)
{
	const struct cache_commands *c = &d->commands;

	jw_object(w);
	jw_kv_int(w, "total_num", (int64_t)c->n);
	jw_kv_real(w, "total_usec_sum", as_ms(c->usec));
	jw_kv_text(w, "result", d->is_asked ? "succeed" : "failed");
	jw_key(w, "command_list");
	jw_array(w);
	for (size_t i = 0; i < c->n && i < REPORT_COMMANDS_MAX; i++)
		write_command(w, &c->list[i], c->usec);
	jw_end_array(w);
	jw_end_object(w);
}

void report_write(struct jw *w, const struct cache_diagnosis *d, struct report_sums *sums)
{
	struct finding findings[ITEMS];

	judge(&d->figures, findings);
	struct report_sums own = count(findings, DIMENSIONS);
	jw_kv_int(w, "abnormal_sum", own.abnormal);
	jw_kv_int(w, "failed_sum", own.failed);
	jw_key(w, "diagnosis_dimension_list");
	jw_array(w);
	for (int i = 0; i < DIMENSIONS; i++)
		write_dimension(w, (enum diagnosis_dimension)i, findings, d);
	jw_end_array(w);
	jw_key(w, "command_time_taken_list");
	write_commands(w, d);
	sums->abnormal += own.abnormal;
	sums->failed += own.failed;
}
