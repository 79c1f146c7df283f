/* ListStatisticsOfRunningInstances: what the keeper saw of each master last; 0 while it has not looked. */
#include "api/dcs/answer.h"
#include "api/dcs/routes.h"
#include "api/dcs/scope.h"

struct statistics {
	const struct engine *engine;
	struct cache_row *rows;
	size_t n;
};

/* A number that the contract wants as a text. */
static void kv_text_of(struct jw *w, const char *key, int decimals, double value)
{
	char text[40];

	(void)snprintf(text, sizeof text, "%.*f", decimals, value);
	jw_kv_text(w, key, text);
}

/* Processor time in percent of the time since the start. */
static double cpu_percent(const struct cache_figures *f)
{
	return f->uptime_s > 0 ? f->cpu_s * 100 / (double)f->uptime_s : 0;
}

static void write_one(struct jw *w, const struct engine *e, const struct cache_row *row)
{
	struct cache_figures f = { 0 };

	(void)engine_cache_figures(e, row->id, &f); /* all 0 until the keeper has looked */
	jw_object(w);
	jw_kv_text(w, "instance_id", row->uid);
	jw_kv_int(w, "keys", f.keys);
	jw_kv_int(w, "used_memory", format_mib(f.used_memory));
	jw_kv_int(w, "max_memory", row->capacity_mib);
	jw_kv_int(w, "cmd_get_count", f.get_calls);
	jw_kv_int(w, "cmd_set_count", f.set_calls);
	kv_text_of(w, "input_kbps", 2, f.input_kbps);
	kv_text_of(w, "output_kbps", 2, f.output_kbps);
	kv_text_of(w, "used_cpu", 1, cpu_percent(&f));
	jw_end_object(w);
}

static void write_statistics(struct jw *w, const void *subject)
{
	const struct statistics *x = subject;

	jw_object(w);
	jw_key(w, "statistics");
	jw_array(w);
	for (size_t i = 0; i < x->n; i++)
		write_one(w, x->engine, &x->rows[i]);
	jw_end_array(w);
	jw_end_object(w);
}

void dcs_statistics(struct call *c)
{
	struct statistics x = { .engine = c->engine };
	struct cache_filter running = { .status = "RUNNING", .capacity_mib = -1, .limit = LIMIT_MAX };
	struct err err = { 0 };
	int64_t total;

	if (!scope_project(c, &running.project_id))
		return;
	enum verdict v = engine_cache_list(c->view, &running, c->arena, &x.rows, &x.n, &total, &err);
	(void)dcs_answer_found(c, v, &err, write_statistics, &x);
}
