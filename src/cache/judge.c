#include "cache/judge.h"

#include <math.h>
#include <stdio.h>
#include "base/attr.h"
#include "base/must.h"

/* One row a rule. LIMIT: bad from there on. BELOW: bad beneath. WHERE: only when another figure is at least that. */
#define DECIDES(item, figure) ITEM_##item, false, FIGURE_##figure
#define EXPLAINS(item, figure) ITEM_##item, true, FIGURE_##figure
#define LIMIT(limit) false, limit
#define BELOW(limit) true, limit
#define ALWAYS FIGURES, 0
#define WHERE(figure, min) FIGURE_##figure, min

static const struct judge_rule rules[] = {
	{ DECIDES(CPU, CPU), LIMIT(0.8), ALWAYS, 11, 3, { 2, 3 },
	  "One thread runs all commands: beyond four fifths of a core its queue soon grows "
	  "faster than it is worked off." },
	{ EXPLAINS(CPU, LINEAR_NOW), LIMIT(0.5), ALWAYS, 10, 0, { 7 },
	  "Half of the time going to O(N) commands is where to save first." },
	{ EXPLAINS(CPU, PERSISTING), LIMIT(1), ALWAYS, 12, 0, { 0 },
	  "Every page written while a child saves is copied once more." },
	{ EXPLAINS(CPU, QPS_GROWTH), LIMIT(2), ALWAYS, 13, 0, { 0 },
	  "Twice the average is more than the usual ups and downs of a day." },

	{ DECIDES(COMMANDS, SLOW_LINEAR), LIMIT(1), ALWAYS, 10, 3, { 7 },
	  "One command that walks a whole collection for longer than slowlog-log-slower-than "
	  "kept all others waiting." },
	{ DECIDES(COMMANDS, SLOW), LIMIT(10), ALWAYS, 0, 3, { 5 },
	  "One or two may be the machine's fault; ten are the clients', and those that are not O(N) "
	  "mostly move large values." },
	{ DECIDES(COMMANDS, LINEAR), LIMIT(0.5), WHERE(LINEAR_S, 1), 10, 3, { 7 },
	  "Cheap one by one and so in no slow log, yet half of all the time. "
	  "Less than a second in all is no burden." },

	{ DECIDES(FRAGMENTATION, FRAGMENTATION), LIMIT(1.5), WHERE(FRAGMENTED, 0.1), 7, 3, { 4 },
	  "Half as much again as is used, and a tenth of the instance lost: "
	  "small nodes have high ratios of few bytes." },

	{ DECIDES(PERSISTENCE, SAVE_FAILED), LIMIT(1), ALWAYS, 4, 4, { 3 },
	  "A failed save means no new RDB file, and mostly a full disk or no memory for the fork." },
	{ DECIDES(PERSISTENCE, AOF_FAILED), LIMIT(1), ALWAYS, 4, 6, { 3 },
	  "Redis refuses writes while its append-only file cannot be written." },
	{ DECIDES(PERSISTENCE, FSYNC_DELAYED), LIMIT(1), ALWAYS, 3, 3, { 0 },
	  "Redis counts a delay only when a sync of the second before is still under way: "
	  "the disk does not keep up." },

	{ DECIDES(EXPIRATION, SAME_SECOND), LIMIT(0.1), WHERE(SAME_SECOND_KEYS, 1000), 9, 3, { 6 },
	  "Redis frees keys without a pause while more than a tenth of those it looks at are over; "
	  "under a thousand take no time." },
	{ DECIDES(EXPIRATION, STALE), LIMIT(0.1), WHERE(EXPIRING, 1000), 9, 3, { 6 },
	  "The same tenth, already reached." },
	{ DECIDES(EXPIRATION, EXPIRE_CUT), LIMIT(1), ALWAYS, 9, 3, { 6 },
	  "Freeing keys used up the quarter of the processor that it may have." },

	{ DECIDES(MEMORY, MEMORY), LIMIT(0.8), ALWAYS, 5, 5, { 3, 5 },
	  "A fifth is what buffers of clients and replicas and a day's growth need; "
	  "after that keys are evicted or writes refused." },
	{ EXPLAINS(MEMORY, MEMORY), LIMIT(0.8), WHERE(RDB_ON, 1), 6, 4, { 3 },
	  "A save may need as much memory again as is written meanwhile." },

	{ DECIDES(HIT_RATIO, HIT_RATIO), BELOW(0.8), WHERE(LOOKUPS, 1000), 8, 5, { 5 },
	  "More than one read in five goes on to the database behind the cache. Under a thousand reads say nothing." },

	{ DECIDES(CONNECTIONS, CLIENTS), LIMIT(0.8), ALWAYS, 1, 1, { 1, 3 },
	  "Clients that reconnect after a fault come all at once; a fifth is the room for that." },
	{ DECIDES(CONNECTIONS, REJECTED), LIMIT(1), ALWAYS, 1, 1, { 1, 3 },
	  "A connection refused is a client not served." },

	{ DECIDES(RECEIVED, RECEIVED), LIMIT(1), ALWAYS, 2, 3, { 2, 3 },
	  "More comes in than the specification's bandwidth." },
};

const struct judge_rule *judge_rules(size_t *n)
{
	*n = ARRAY_LEN(rules);
	return rules;
}

static const struct {
	enum figure_unit unit;
	const char *what;
} figures[FIGURES] = {
#define X(id, u, w) { UNIT_##u, w },
	FIGURE_TABLE(X)
#undef X
};

static const char *const dimensions[DIMENSIONS] = {
#define X(id, name) name,
	DIMENSION_TABLE(X)
#undef X
};

static const struct {
	enum diagnosis_dimension dimension;
	const char *name;
} items[ITEMS] = {
#define X(id, d, n) { DIMENSION_##d, n },
	ITEM_TABLE(X)
#undef X
};

const char *figure_what(enum figure f) { return figures[f].what; }
enum figure_unit figure_unit(enum figure f) { return figures[f].unit; }
const char *dimension_name(enum diagnosis_dimension d) { return dimensions[d]; }
const char *item_name(enum diagnosis_item i) { return items[i].name; }
enum diagnosis_dimension item_dimension(enum diagnosis_item i) { return items[i].dimension; }

const char *item_result_word(enum item_result r)
{
	static const char *const words[] = {
		[ITEM_NORMAL] = "normal", [ITEM_ABNORMAL] = "abnormal", [ITEM_FAILED] = "failed"
	};
	return words[r];
}

struct figures figures_none(void)
{
	struct figures f;
	for (int i = 0; i < FIGURES; i++)
		f.value[i] = NAN;
	return f;
}

void figure_text(enum figure f, double value, char out[FIGURE_TEXT_SIZE])
{
	double tenths = round(value * 1000); /* of a percent */

	if (isnan(value)) {
		(void)snprintf(out, FIGURE_TEXT_SIZE, "unknown");
		return;
	}
	switch (figures[f].unit) {
	case UNIT_SHARE:
		(void)snprintf(out, FIGURE_TEXT_SIZE, fmod(tenths, 10) != 0 ? "%.1f%%" : "%.0f%%", tenths / 10);
		break;
	case UNIT_RATIO: (void)snprintf(out, FIGURE_TEXT_SIZE, "%.2f", value); break;
	case UNIT_COUNT:
	case UNIT_FLAG: (void)snprintf(out, FIGURE_TEXT_SIZE, "%.0f", value); break;
	}
}

/* ---- judging ---- */

enum answer { NO, YES, UNKNOWN };

static enum answer applies(const struct judge_rule *r, const struct figures *f)
{
	double value = f->value[r->figure];

	if (r->guard < FIGURES && isnan(f->value[r->guard]))
		return UNKNOWN;
	if (r->guard < FIGURES && f->value[r->guard] < r->guard_min)
		return NO;
	if (isnan(value))
		return UNKNOWN;
	return (r->is_floor ? value < r->limit : value >= r->limit) ? YES : NO;
}

static void add_id(int *ids, size_t *n, int id)
{
	for (size_t i = 0; i < *n; i++) {
		if (ids[i] == id)
			return;
	}
	if (id == 0)
		return;
	must(*n < FINDING_MAX);
	ids[(*n)++] = id;
}

static void add(struct finding *out, const struct judge_rule *r)
{
	bool is_new = r->cause != 0;

	for (size_t i = 0; i < out->n_causes; i++)
		is_new = is_new && out->causes[i]->cause != r->cause;
	if (is_new) {
		must(out->n_causes < FINDING_MAX);
		out->causes[out->n_causes++] = r;
	}
	add_id(out->impacts, &out->n_impacts, r->impact);
	for (size_t i = 0; i < ARRAY_LEN(r->advice); i++)
		add_id(out->advice, &out->n_advice, r->advice[i]);
}

static void judge_item(const struct figures *f, enum diagnosis_item item, struct finding *out)
{
	bool is_unknown = false;

	*out = (struct finding){ .result = ITEM_NORMAL };
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (rules[i].item != item || rules[i].only_explains)
			continue;
		enum answer a = applies(&rules[i], f);
		is_unknown = is_unknown || a == UNKNOWN;
		if (a == YES) {
			out->result = ITEM_ABNORMAL;
			add(out, &rules[i]);
		}
	}
	if (out->result == ITEM_NORMAL && is_unknown)
		out->result = ITEM_FAILED;
	for (size_t i = 0; i < ARRAY_LEN(rules) && out->result == ITEM_ABNORMAL; i++) {
		if (rules[i].item == item && rules[i].only_explains && applies(&rules[i], f) == YES)
			add(out, &rules[i]);
	}
}

void judge(const struct figures *f, struct finding out[ITEMS])
{
	for (int i = 0; i < ITEMS; i++)
		judge_item(f, (enum diagnosis_item)i, &out[i]);
}
