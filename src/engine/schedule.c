#include "engine/schedule.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "engine/priv.h"
#include "json/json.h"

/* ---- reading ---- */

static enum rc find(struct store *s, int64_t cache_id, enum scan_kind kind, struct arena *a, struct schedule_row *out,
		    struct err *err)
{
	struct query q = { .table = &table_schedule,
			   .preds = { PRED_INT("cache_id", CMP_EQ, cache_id),
				      PRED_TEXT("kind", CMP_EQ, scan_kind_word(kind)) },
			   .n_preds = 2 };
	return store_get(s, &q, out, a, err);
}

enum verdict engine_schedule_get(struct engine_view *v, int64_t cache_id, enum scan_kind kind, struct arena *a,
				 struct schedule_row *out, struct err *err)
{
	enum rc rc = find(v->store, cache_id, kind, a, out, err);
	return rc == RC_NOT_FOUND ? V_NO_RECORD : verdict_of(rc);
}

const char *engine_schedule_args(const struct schedule_row *row, struct arena *a)
{
	return arena_printf(a, "{\"batch\":%lld,\"timeout_s\":%lld}", (long long)row->batch, (long long)row->timeout_s);
}

/* Planned by a clock that was ahead, so far that one three hours on would plan something earlier
 * (like run.c's plan_anew). */
enum { CLOCK_SLACK_MS = 3 * 3600 * 1000 };

static bool is_too_far(const struct schedule_row *row, int64_t now_ms)
{
	int64_t next = scan_plan_next(row, now_ms + CLOCK_SLACK_MS);
	return next && row->next_at > next;
}

static enum rc list_between(struct store *s, int64_t after, int64_t until, bool is_latest_first, struct arena *a,
			    struct schedule_row **rows, size_t *n, struct err *err)
{
	struct query q = { .table = &table_schedule,
			   .preds = { PRED_INT("next_at", CMP_GT, after), PRED_INT("next_at", CMP_LE, until) },
			   .n_preds = 2,
			   .orders = { { "next_at", is_latest_first } },
			   .limit = FIRE_AT_ONCE };
	return store_list(s, &q, a, (void **)rows, n, err);
}

enum rc schedule_list_due(struct store *s, int64_t now_ms, struct arena *a, struct schedule_row **rows, size_t *n,
			  struct err *err)
{
	struct schedule_row *far;
	size_t n_far = 0;

	enum rc rc = list_between(s, 0, now_ms, false, a, rows, n, err);
	if (rc != RC_OK || *n > 0)
		return rc;
	rc = list_between(s, now_ms + CLOCK_SLACK_MS, INT64_MAX, true, a, &far, &n_far, err);
	*rows = far;
	for (size_t i = 0; rc == RC_OK && i < n_far; i++) {
		if (is_too_far(&far[i], now_ms))
			far[(*n)++] = far[i];
	}
	return rc;
}

/* ---- setting ---- */

/* What was there keeps its id and its history. */
static enum rc put(struct engine *e, struct schedule_row *row, enum scan_kind kind, struct arena *a, struct err *err)
{
	struct schedule_row old = { .id = 0, .skipped_why = "" };
	enum rc rc = find(e->store, row->cache_id, kind, a, &old, err);

	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	row->id = old.id;
	row->skipped_at = old.skipped_at;
	row->skipped_why = old.skipped_why;
	rc = old.id ? store_update(e->store, &table_schedule, row, err)
		    : store_insert(e->store, &table_schedule, row, err);
	row->skipped_why = ""; /* the arena's; it ends with this change */
	return rc;
}

static enum verdict apply_set(struct engine *e, struct change *base)
{
	struct schedule_set *c = (struct schedule_set *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row cache;

	enum rc rc = row_cache(e->store, c->project_id, c->uid, a, &cache, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	c->row.cache_id = cache.id;
	c->row.kind = scan_kind_word(c->kind);
	c->row.next_at = c->row.is_enabled ? scan_plan_next(&c->row, c->asked_at) : 0;
	c->row.updated_at = clock_wall_ms();
	return verdict_of(put(e, &c->row, c->kind, a, err));
}

void engine_schedule_set(struct engine *e, struct schedule_set *c)
{
	c->base.apply = apply_set;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

enum rc schedule_drop(struct store *s, int64_t cache_id, struct err *err)
{
	struct query q = { .table = &table_schedule,
			   .preds = { PRED_INT("cache_id", CMP_EQ, cache_id) },
			   .n_preds = 1 };
	return store_delete(s, &q, NULL, err);
}

/* ---- firing ---- */

static enum rc find_planned(struct engine *e, int64_t id, struct arena *a, struct schedule_row *row,
			    struct cache_row *cache, struct err *err)
{
	struct query planned = { .table = &table_schedule,
				 .preds = { PRED_INT("id", CMP_EQ, id), PRED_INT("next_at", CMP_GT, 0) },
				 .n_preds = 2 };
	enum rc rc = store_get(e->store, &planned, row, a, err);
	struct query of = { .table = &table_cache, .preds = { PRED_INT("id", CMP_EQ, rc == RC_OK ? row->cache_id : 0) },
			    .n_preds = 1 };
	return rc == RC_OK ? store_get(e->store, &of, cache, a, err) : rc;
}

/* Not due: at most its time is put right. */
static enum rc plan_anew(struct engine *e, struct schedule_row *row, int64_t now, struct err *err)
{
	if (!is_too_far(row, now))
		return RC_OK;
	int64_t was = row->next_at;
	row->next_at = scan_plan_next(row, now);
	log_warn("autoscan.planned_anew", "schedule=%lld from=%lld to=%lld reason=\"the clock was ahead\"",
		 (long long)row->id, (long long)was, (long long)row->next_at);
	return store_update(e->store, &table_schedule, row, err);
}

/* What is not among the settings has its default, and that counts none. */
enum rc engine_cache_counts_uses(const struct cache_row *cache, bool *out, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(1 << 20);
	const json_t *state = NULL;

	enum rc rc = json_read_kept(cache->state, a, &state, err);
	if (rc != RC_OK)
		return rc;
	const char *policy = json_string_value(json_object_get(json_object_get(state, "settings"), "maxmemory-policy"));
	*out = policy && (strcmp(policy, "allkeys-lfu") == 0 || strcmp(policy, "volatile-lfu") == 0);
	return RC_OK;
}

/* Sets outcome and why. Anything but V_OK: the change as a whole failed. */
static enum verdict try_scan(struct engine *e, struct schedule_fire *c, const struct schedule_row *row,
			     const struct cache_row *cache, struct arena *a)
{
	bool can_scan = true;
	enum rc rc = c->scan.kind == SCAN_HOTKEY ? engine_cache_counts_uses(cache, &can_scan, &c->base.err) : RC_OK;
	if (rc != RC_OK)
		return verdict_of(rc);
	if (!can_scan) {
		c->outcome = FIRE_SKIPPED;
		(void)snprintf(c->why, sizeof c->why, "maxmemory-policy is neither allkeys-lfu nor volatile-lfu");
		return V_OK;
	}
	c->scan.project_id = cache->project_id;
	c->scan.uid = cache->uid;
	c->scan.actor = (struct actor){ "system", "" };
	c->scan.type = "auto";
	c->scan.args = c->scan.kind == SCAN_EXPIRE ? engine_schedule_args(row, a) : "{}";
	enum verdict v = scan_create_apply(e, &c->scan);
	if (v == V_OK) {
		c->outcome = FIRE_MADE;
	} else if (v == V_INSTANCE_BUSY && c->scan.busy_task_id) {
		c->outcome = FIRE_SKIPPED;
		(void)snprintf(c->why, sizeof c->why, "the scan before it is unfinished");
	} else if (v == V_INSTANCE_BUSY || v == V_BAD_STATE) {
		c->outcome = FIRE_LATER;
		(void)snprintf(c->why, sizeof c->why, "the instance cannot be read: %s", c->scan.busy);
	} else {
		c->base.err = c->scan.base.err;
		return v;
	}
	return V_OK;
}

/* In the history of the scan that is in the way: once, however often the schedule meets it. */
static enum rc note_skip(struct engine *e, int64_t task_id, int64_t last_skip, int64_t now, struct arena *a,
			 struct err *err)
{
	struct task_row task;
	enum rc rc = row_task(e->store, task_id, a, &task, err);

	if (rc != RC_OK || last_skip >= task.created_at)
		return rc;
	return row_event_add(e->store, task_id, 0, now, "skipped",
			     "a scheduled scan was skipped: this one is unfinished", err);
}

static enum rc record(struct engine *e, const struct schedule_fire *c, struct schedule_row *row, int64_t now,
		      struct arena *a, struct err *err)
{
	enum rc rc = RC_OK;

	row->next_at = c->outcome == FIRE_LATER ? scan_plan_later(row, now) : scan_plan_next(row, now);
	if (c->outcome == FIRE_SKIPPED && c->scan.busy_task_id)
		rc = note_skip(e, c->scan.busy_task_id, row->skipped_at, now, a, err);
	if (c->outcome == FIRE_SKIPPED) {
		row->skipped_at = now;
		row->skipped_why = c->why;
	}
	return rc == RC_OK ? store_update(e->store, &table_schedule, row, err) : rc;
}

static enum verdict apply_fire(struct engine *e, struct change *base)
{
	struct schedule_fire *c = (struct schedule_fire *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct schedule_row row;
	struct cache_row cache;
	int64_t now = clock_wall_ms();

	c->outcome = FIRE_NONE;
	enum rc rc = find_planned(e, c->schedule_id, a, &row, &cache, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_OK : verdict_of(rc);
	if (row.next_at > now)
		return verdict_of(plan_anew(e, &row, now, err));
	(void)snprintf(c->cache_uid, sizeof c->cache_uid, "%s", cache.uid);
	while (c->scan.kind < SCAN_KINDS && strcmp(scan_kind_word(c->scan.kind), row.kind) != 0)
		c->scan.kind++;
	if (c->scan.kind == SCAN_KINDS) {
		(void)err_set(err, RC_CORRUPT, "schedule %lld is of no kind", (long long)row.id);
		return V_FAILED;
	}
	enum verdict v = try_scan(e, c, &row, &cache, a);
	return v == V_OK ? verdict_of(record(e, c, &row, now, a, err)) : v;
}

static void fired(struct engine *e, struct change *base)
{
	struct schedule_fire *c = (struct schedule_fire *)base;
	scan_create_committed(e, &c->scan);
}

void engine_schedule_fire(struct engine *e, struct schedule_fire *c)
{
	c->scan = (struct scan_create){ .kind = (enum scan_kind)0 };
	c->base.apply = apply_fire;
	c->base.committed = fired;
	writer_submit(e, &c->base);
}
