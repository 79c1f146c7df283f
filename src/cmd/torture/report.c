#include "cmd/torture/report.h"

#include "json/json.h"

void report_json(const struct totals *n, const struct torture *t, int64_t seed, const char *kept, struct buf *out)
{
	const struct findings *f = t->findings;
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_int(&w, "seed", seed);
	jw_kv_int(&w, "rounds", n->rounds);
	jw_kv_int(&w, "done", n->done);
	jw_kv_int(&w, "refused", n->refused);
	jw_kv_int(&w, "unanswered", n->lost);
	jw_kv_int(&w, "killed", n->ended[ENDING_KILL]);
	jw_kv_int(&w, "crashPoints", n->ended[ENDING_POINT] - n->not_reached + n->died_early);
	jw_kv_int(&w, "crashPointsNotReached", n->not_reached);
	jw_kv_int(&w, "stopped", n->ended[ENDING_STOP]);
	jw_kv_int(&w, "cutOff", n->ended[ENDING_CUT]);
	jw_kv_int(&w, "childrenKilled", n->child_kills);
	jw_kv_int(&w, "attempts", t->journal.n_begun);
	jw_kv_int(&w, "settled", n->settled);
	jw_kv_int(&w, "copies", n->copies);
	jw_kv_int(&w, "starts", n->starts);
	jw_kv_int(&w, "startsKilled", n->stillborn);
	jw_kv_int(&w, "slowestStartMs", n->slowest_start_ms);
	if (t->caches) {
		jw_key(&w, "redis");
		jw_object(&w);
		jw_kv_int(&w, "made", t->caches->n_made);
		jw_kv_int(&w, "deleted", t->caches->n_deleted);
		jw_kv_int(&w, "failedCreations", t->caches->n_failed_creations);
		jw_kv_int(&w, "operations", t->caches->n_operations);
		jw_kv_int(&w, "written", t->caches->n_written);
		jw_kv_int(&w, "killed", t->caches->n_killed);
		jw_end_object(&w);
	}
	jw_kv_text(&w, "kept", kept);
	jw_key(&w, "broken");
	jw_array(&w);
	for (size_t i = 0; i < f->n; i++) {
		jw_object(&w);
		jw_kv_int(&w, "round", f->rows[i].round);
		jw_kv_text(&w, "rule", f->rows[i].rule);
		jw_kv_text(&w, "text", f->rows[i].text);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_end_object(&w);
}

void report_words(const struct totals *n, const struct torture *t, int64_t seed, const char *kept, struct buf *out)
{
	const struct findings *f = t->findings;

	for (size_t i = 0; i < f->n; i++)
		buf_addf(out, "BROKEN in round %lld, %s: %s\n", (long long)f->rows[i].round, f->rows[i].rule,
		         f->rows[i].text);
	if (f->n_all > f->n)
		buf_addf(out, "... and %zu more\n", f->n_all - f->n);
	buf_addf(out,
	         "%lld rounds: %lld requests acknowledged, %lld refused, %lld unanswered; %lld attempts of tasks.\n"
	         "The server was killed %lld times, died at a crash point %lld times, was stopped %lld times and cut "
	         "off "
	         "in %lld of these;\n%lld tasks' processes were killed, %lld starts cut off. The slowest start took "
	         "%lld ms.\n",
	         (long long)n->rounds, (long long)n->done, (long long)n->refused, (long long)n->lost,
	         (long long)t->journal.n_begun, (long long)(n->ended[ENDING_KILL] + n->not_reached),
	         (long long)(n->ended[ENDING_POINT] - n->not_reached + n->died_early),
	         (long long)(n->ended[ENDING_STOP] + n->ended[ENDING_CUT]), (long long)n->ended[ENDING_CUT],
	         (long long)n->child_kills, (long long)n->stillborn, (long long)n->slowest_start_ms);
	if (n->copies)
		buf_addf(out, "%lld backups were taken under load, restored and passed the same checks.\n",
		         (long long)n->copies);
	if (t->caches)
		buf_addf(out,
		         "%lld Redis instances were made (%lld creations failed) and %lld deleted, %lld operations "
		         "taken, %lld values acknowledged;\n%lld redis-server processes were killed.\n",
		         (long long)t->caches->n_made, (long long)t->caches->n_failed_creations,
		         (long long)t->caches->n_deleted, (long long)t->caches->n_operations,
		         (long long)t->caches->n_written, (long long)t->caches->n_killed);
	if (f->n_all)
		buf_addf(out, "%zu promise(s) broken. Again with: --seed %lld\n", f->n_all, (long long)seed);
	else
		buf_addf(out, "Every promise held. Seed %lld.\n", (long long)seed);
	if (kept)
		buf_addf(out, "Everything is kept in %s\n", kept);
}
