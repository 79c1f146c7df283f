/*
 * schedule: analyses that run by themselves. A schedule belongs to a cache and a kind of analysis and goes with its
 * cache; when it fires is scan_plan.h's matter, that it fires the keeper's (keeper.c).
 *
 * A firing is one change: the next time and the scan's task are committed together, so a crash neither loses nor
 * doubles it. Firings missed while the server was down run once. A firing that meets a scan of its kind, or for hot
 * keys a maxmemory-policy that counts no uses, is skipped and recorded; one that meets an instance which cannot be read
 * waits.
 */
#ifndef ENGINE_SCHEDULE_H
#define ENGINE_SCHEDULE_H

#include "engine/cache.h"
#include "engine/scan_plan.h"

/* V_NO_RECORD: none was ever set. */
enum verdict engine_schedule_get(struct engine_view *v, int64_t cache_id, enum scan_kind kind, struct arena *a,
				 struct schedule_row *out, struct err *err);
/* What the child of a scan for expired keys needs of it: a JSON object. NULL: the arena is full. */
const char *engine_schedule_args(const struct schedule_row *row, struct arena *a);

/* Redis counts how often a key is used only under a maxmemory-policy that evicts by it: hot keys need one. */
enum rc engine_cache_counts_uses(const struct cache_row *cache, bool *out, struct err *err) NODISCARD;

/* Replaces what the schedule says: is_enabled, times, first_at, interval_s, timeout_s and batch of row, which the
 * caller has checked. The rest of row is filled when done with V_OK. */
struct schedule_set {
	struct change base;
	const char *project_id, *uid;
	enum scan_kind kind;
	int64_t asked_at;                         /* ms: firings after that count */
	struct schedule_row row;
};
void engine_schedule_set(struct engine *e, struct schedule_set *c);

/* ---- the keeper's ---- */

enum fire_outcome {
	FIRE_NONE,    /* meanwhile it is not due any more */
	FIRE_MADE,    /* scan.scan_uid is the scan's */
	FIRE_SKIPPED, /* why says what was in the way */
	FIRE_LATER,   /* likewise; it is still due */
};

struct schedule_fire {
	struct change base;
	int64_t schedule_id;
	/* filled when done with V_OK */
	enum fire_outcome outcome;
	char cache_uid[37], why[160];
	struct scan_create scan;                  /* its texts are gone by then */
};
void engine_schedule_fire(struct engine *e, struct schedule_fire *c);

enum { FIRE_AT_ONCE = 64 };
/* Schedules that are due, the longest first, at most FIRE_AT_ONCE; when none is, those that a clock which was far ahead
 * has planned: engine_schedule_fire plans these anew. */
enum rc schedule_list_due(struct store *s, int64_t now_ms, struct arena *a, struct schedule_row **rows, size_t *n,
			  struct err *err) NODISCARD;
/* With their cache, inside the change that deletes it. */
enum rc schedule_drop(struct store *s, int64_t cache_id, struct err *err) NODISCARD;

#endif
