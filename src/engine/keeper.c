/*
 * The keeper: one thread that looks at every cache once a second and has what is broken mended.
 *
 * Looking is read-only and happens beside everything; mending is a task, AutoRecovery, so the rule of one task at a
 * time per instance holds for it too, and the history shows it. A cache that is found not serving twice in a row shows
 * ERROR; the task goes off at once and, while it does not help, again after 2 s, 4 s, 8 s ... at most 5 minutes.
 * One that is found well once, or operated on otherwise, is forgotten; one that breaks again before that goes on where
 * it was in this row.
 * A cache whose master serves but whose replica is down, or cannot write its append-only file, is mended alike, without
 * showing ERROR; and one whose clients an operation that is over has left unable to write.
 * It also bounds the logs of Redis, makes the automatic backups of a cache's policy, drops those that have had their
 * time (backup_plan.h), has the analyses made that are due (schedule.h), and keeps what is believed of the clock
 * (ageing.h).
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/worry.h"
#include "cache/cache.h"
#include "engine/backup_plan.h"
#include "engine/cache.h"
#include "engine/cache_state.h"
#include "engine/priv.h"
#include "engine/schedule.h"

enum { LOOK_LIMIT_MS = 500, BAD_LOOKS = 2, FIRST_DELAY_MS = 2000, MOST_DELAY_MS = 300000,
       FIGURES_LAST_MS = 10000 };

/* What the keeper remembers of a cache that was not well. */
struct patient {
	int64_t cache_id;
	int bad_looks;
	int64_t recovery; /* generation of the last task that was to mend it; 0: none yet */
	int64_t delay_ms, next_try_mono;
	bool is_seen; /* in this round */
	struct patient *next;
};

/* What a cache's master said last. Guarded by keeper.lock. */
struct seen {
	int64_t cache_id, at_mono;
	struct cache_figures figures;
	struct seen *next;
};

/* What went wrong in a round, and does in the next ones while its cause lasts. */
struct trouble {
	const char *event; /* as logged */
	int64_t id;        /* of the row it is about; 0: of none */
	struct worry worry;
	bool is_seen; /* in this round */
	struct trouble *next;
};

struct keeper {
	struct engine *engine;
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_stopping, is_answered;
	struct patient *patients;
	struct seen *seen;
	struct trouble *troubles;
};

/* ---- troubles ---- */

/* Is it to be told now? */
static bool is_news(struct keeper *k, const char *event, int64_t id)
{
	struct trouble *t = k->troubles;
	while (t && (t->id != id || strcmp(t->event, event) != 0))
		t = t->next;
	if (!t) {
		t = mem_new(struct trouble);
		*t = (struct trouble){ .event = event, .id = id, .next = k->troubles };
		k->troubles = t;
	}
	t->is_seen = true;
	return worry_is_news(&t->worry, clock_mono_ms());
}

/* Those that were not met in a round that went to its end are over. */
static void end_troubles(struct keeper *k)
{
	for (struct trouble **at = &k->troubles; *at;) {
		struct trouble *t = *at;
		if (t->is_seen) {
			t->is_seen = false;
			at = &t->next;
			continue;
		}
		log_info("keeper.trouble_over", "was=%s id=%lld", t->event, (long long)t->id);
		*at = t->next;
		mem_free(t);
	}
}

/* ---- patients ---- */

static struct patient *find_patient(const struct keeper *k, int64_t cache_id)
{
	struct patient *p = k->patients;
	while (p && p->cache_id != cache_id)
		p = p->next;
	return p;
}

/* A recovery that takes longer than a round is no reason to forget how often it was tried; any other operation is. */
static void keep_patient(struct keeper *k, const struct cache_row *row, const struct instance_row *unit)
{
	struct patient *p = find_patient(k, row->id);
	if (!p || p->recovery != unit->last_generation)
		return;
	p->bad_looks = 0;
	p->is_seen = true;
}

static struct patient *patient_of(struct keeper *k, int64_t cache_id)
{
	struct patient *p = find_patient(k, cache_id);
	if (!p) {
		p = mem_new(struct patient);
		*p = (struct patient){ .cache_id = cache_id, .next = k->patients };
		k->patients = p;
	}
	p->is_seen = true;
	return p;
}

/* Those that were not noted in this round are deleted, or well. */
static void forget_others(struct keeper *k)
{
	for (struct patient **at = &k->patients; *at;) {
		struct patient *p = *at;
		if (p->is_seen) {
			p->is_seen = false;
			at = &p->next;
			continue;
		}
		*at = p->next;
		mem_free(p);
	}
}

/* ---- figures ---- */

static void keep_figures(struct keeper *k, int64_t cache_id, const struct cache_figures *f)
{
	(void)pthread_mutex_lock(&k->lock);
	struct seen *s = k->seen;
	while (s && s->cache_id != cache_id)
		s = s->next;
	if (!s) {
		s = mem_new(struct seen);
		s->cache_id = cache_id;
		s->next = k->seen;
		k->seen = s;
	}
	s->figures = *f;
	s->at_mono = clock_mono_ms();
	(void)pthread_mutex_unlock(&k->lock);
}

/* Of caches that are gone, or do not serve any more. */
static void drop_old_figures(struct keeper *k)
{
	int64_t now = clock_mono_ms();
	(void)pthread_mutex_lock(&k->lock);
	for (struct seen **at = &k->seen; *at;) {
		struct seen *s = *at;
		if (now - s->at_mono < FIGURES_LAST_MS) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		mem_free(s);
	}
	(void)pthread_mutex_unlock(&k->lock);
}

bool engine_cache_figures(const struct engine *e, int64_t cache_id, struct cache_figures *out)
{
	struct keeper *k = e->keeper;
	if (!k)
		return false;
	(void)pthread_mutex_lock(&k->lock);
	const struct seen *s = k->seen;
	while (s && s->cache_id != cache_id)
		s = s->next;
	if (s)
		*out = s->figures;
	(void)pthread_mutex_unlock(&k->lock);
	return s != NULL;
}

/* ---- changes, one at a time, waited for ---- */

static void answered(struct change *base)
{
	struct keeper *k = base->ctx;
	(void)pthread_mutex_lock(&k->lock);
	k->is_answered = true;
	(void)pthread_cond_broadcast(&k->changed);
	(void)pthread_mutex_unlock(&k->lock);
}

static void wait_for_answer(struct keeper *k)
{
	(void)pthread_mutex_lock(&k->lock);
	while (!k->is_answered)
		(void)pthread_cond_wait(&k->changed, &k->lock);
	k->is_answered = false;
	(void)pthread_mutex_unlock(&k->lock);
}

struct status_change {
	struct change base;
	const char *project_id, *uid, *from, *to;
};

/* From one status to another, unless something else happened meanwhile. */
static enum verdict apply_status(struct engine *e, struct change *base)
{
	struct status_change *c = (struct status_change *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row row;
	struct instance_row unit;

	enum rc rc = row_cache(e->store, c->project_id, c->uid, a, &row, err);
	if (rc == RC_OK)
		rc = row_instance(e->store, row.unit_id, a, &unit, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_BAD_STATE : verdict_of(rc);
	if (unit.busy_task_id || strcmp(row.status, c->from) != 0)
		return V_BAD_STATE;
	row.status = c->to;
	row.updated_at = clock_wall_ms();
	return verdict_of(store_update(e->store, &table_cache, &row, err));
}

static void set_status(struct keeper *k, const struct cache_row *row, const char *to)
{
	struct status_change c = { .base = { .apply = apply_status, .done = answered, .ctx = k },
				   .project_id = row->project_id, .uid = row->uid, .from = row->status, .to = to };
	writer_submit(k->engine, &c.base);
	wait_for_answer(k);
	if (c.base.verdict == V_OK)
		log_warn("cache.status", "cache=%s from=%s to=%s", row->uid, row->status, to);
}

/* Is there a task now that is to mend it? */
static bool mend(struct keeper *k, const struct cache_row *row)
{
	struct cache_operate c = { .base = { .done = answered, .ctx = k },
				   .project_id = row->project_id,
				   .uid = row->uid,
				   .op = CACHE_OP_HEAL,
				   .actor = { "system", "" },
				   .args = "{}",
				   .details = "{}" };
	engine_cache_operate(k->engine, &c);
	wait_for_answer(k);
	log_warn("cache.recovery", "cache=%s task=%lld verdict=%s", row->uid, (long long)c.task_id,
		 verdict_name(c.base.verdict));
	return c.base.verdict == V_OK;
}

/* ---- backups: as the policy says, and not for ever ---- */

static enum rc list_backups(struct keeper *k, int64_t cache_id, struct arena *a, struct backup_row **rows, size_t *n)
{
	struct query q = { .table = &table_backup, .preds = { PRED_INT("cache_id", CMP_EQ, cache_id) }, .n_preds = 1,
			   .orders = { { "created_at", true }, { "id", true } } };
	return store_list(k->store, &q, a, (void **)rows, n, NULL);
}

static void drop_backup(struct keeper *k, const struct cache_row *row, const struct backup_row *b)
{
	struct backup_delete d = { .base = { .done = answered, .ctx = k },
				   .project_id = row->project_id,
				   .uid = row->uid,
				   .backup_uid = b->uid };
	engine_backup_delete(k->engine, &d);
	wait_for_answer(k);
	if (d.base.verdict == V_OK)
		log_info("backup.dropped", "cache=%s backup=%s", row->uid, b->name);
	else if (d.base.verdict != V_INSTANCE_BUSY && /* else it is being read, and the next round asks again */
		 is_news(k, "backup.not_dropped", row->id))
		log_warn("backup.not_dropped", "cache=%s backup=%s verdict=%s reason=\"%s\"", row->uid, b->name,
			 verdict_name(d.base.verdict), d.base.err.msg);
}

static void make_backup(struct keeper *k, const struct cache_row *row, const struct backup_plan *plan, int64_t now)
{
	char uid[37], args[64], at[CLOCK_TEXT_SIZE], name[32] = "backup_";
	size_t len = strlen(name);

	cache_new_uid(uid);
	clock_iso(at, now / 1000);
	for (const char *p = at; *p; p++) { /* backup_20190510163116 */
		if (*p >= '0' && *p <= '9')
			name[len++] = *p;
	}
	(void)snprintf(args, sizeof args, "{\"uid\":\"%s\"}", uid);
	struct backup_row b = { .uid = uid, .name = name, .type = "auto", .remark = "", .format = "rdb",
				.expires_at = now + plan->save_days * INT64_C(86400000) };
	struct cache_operate c = { .base = { .done = answered, .ctx = k },
				   .project_id = row->project_id,
				   .uid = row->uid,
				   .op = CACHE_OP_BACKUP,
				   .actor = { "system", "" },
				   .args = args,
				   .details = "{}",
				   .backup = &b };
	engine_cache_operate(k->engine, &c);
	wait_for_answer(k);
	if (c.base.verdict == V_OK)
		log_info("backup.scheduled", "cache=%s backup=%s", row->uid, name);
	else if (is_news(k, "backup.not_scheduled", row->id))
		log_warn("backup.not_scheduled", "cache=%s verdict=%s reason=\"%s\"", row->uid,
			 verdict_name(c.base.verdict), c.base.err.msg);
}

static void look_after_backups(struct keeper *k, const struct cache_row *row, bool is_busy)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct backup_plan plan = backup_plan_read(row->backup_policy);
	struct backup_row *rows;
	size_t n = 0;
	int64_t now = clock_wall_ms(), window = backup_plan_window(&plan, now);

	if (list_backups(k, row->id, a, &rows, &n) != RC_OK)
		return;
	int surplus = backup_plan_surplus(rows, n, ageing_of(k->engine));
	if (surplus >= 0)
		drop_backup(k, row, &rows[surplus]);
	bool is_due = window && !backup_plan_is_made(rows, n, window);
	if (is_due && !is_busy && strcmp(row->status, "RUNNING") == 0)
		make_backup(k, row, &plan, now);
}

/* ---- a round ---- */

/* A master whose connections are all taken serves those who have them, and no task of ours would get one either. */
static bool is_serving(const struct cache_instance *c, const struct cache_view *view)
{
	return view->is_serving || view->nodes[c->master].is_full;
}

static bool is_whole(const struct cache_instance *c, const struct cache_view *view)
{
	bool is_good = is_serving(c, view) && !cache_is_closed(c);
	for (int i = 0; i < c->n_nodes; i++) {
		const struct cache_figures *f = &view->nodes[i];
		bool has_bad_file = f->state == CACHE_NODE_UP && f->is_aof_on && !f->is_aof_ok;
		is_good =
			is_good && !has_bad_file &&
			(f->state == CACHE_NODE_UP || f->state == CACHE_NODE_CROWDED || f->state == CACHE_NODE_LOADING);
	}
	return is_good;
}

static void look_after(struct keeper *k, const struct cache_row *row, const struct instance_row *unit)
{
	struct cache_instance c;
	struct cache_view view;
	struct err err = { 0 };

	if (cache_state_parse(row->state, &c, &err) != RC_OK) {
		if (is_news(k, "cache.description", row->id))
			log_error("cache.description", "cache=%s reason=\"%s\"", row->uid, err.msg);
		return;
	}
	cache_bound_logs(&c);
	cache_look(&c, LOOK_LIMIT_MS, &view);
	if (view.is_serving)
		keep_figures(k, row->id, &view.nodes[c.master]);
	if (unit->busy_task_id) { /* an operation has it in hand; only look */
		keep_patient(k, row, unit);
		return;
	}
	if (is_whole(&c, &view)) {
		if (strcmp(row->status, "ERROR") == 0)
			set_status(k, row, "RUNNING");
		return;
	}
	struct patient *p = patient_of(k, row->id);
	if (++p->bad_looks < BAD_LOOKS)
		return;
	if (!is_serving(&c, &view) && strcmp(row->status, "RUNNING") == 0)
		set_status(k, row, "ERROR");
	int64_t now = clock_mono_ms();
	if (p->recovery != unit->last_generation)
		p->delay_ms = p->next_try_mono = 0; /* it was operated on since */
	if (now < p->next_try_mono)
		return;
	p->recovery = unit->last_generation + mend(k, row);
	p->delay_ms = p->delay_ms ? 2 * p->delay_ms : FIRST_DELAY_MS;
	if (p->delay_ms > MOST_DELAY_MS)
		p->delay_ms = MOST_DELAY_MS;
	p->next_try_mono = now + p->delay_ms;
}

static enum rc list_kept(struct keeper *k, struct arena *a, struct cache_row **rows, size_t *n, struct err *err)
{
	struct query q = { .table = &table_cache, .preds = { PRED_INT("deleted_at", CMP_EQ, 0) }, .n_preds = 1,
			   .orders = { { "id", false } } };
	enum rc rc = k->store ? RC_OK : store_open_sqlite(k->engine->store_path, STORE_READER, &k->store, err);
	return rc == RC_OK ? store_list(k->store, &q, a, (void **)rows, n, err) : rc;
}

/* ---- analyses that run by themselves ---- */

static void fire(struct keeper *k, int64_t schedule_id)
{
	struct schedule_fire c = { .base = { .done = answered, .ctx = k }, .schedule_id = schedule_id };

	engine_schedule_fire(k->engine, &c);
	wait_for_answer(k);
	const char *kind = c.scan.kind < SCAN_KINDS ? scan_kind_word(c.scan.kind) : "";
	if (c.base.verdict != V_OK && is_news(k, "autoscan.failed", schedule_id))
		log_warn("autoscan.failed", "schedule=%lld verdict=%s reason=\"%s\"", (long long)schedule_id,
			 verdict_name(c.base.verdict), c.base.err.msg);
	if (c.base.verdict != V_OK)
		return;
	if (c.outcome == FIRE_MADE)
		log_info("autoscan.scheduled", "cache=%s kind=%s scan=%s", c.cache_uid, kind, c.scan.scan_uid);
	else if (c.outcome != FIRE_NONE)
		log_info(c.outcome == FIRE_SKIPPED ? "autoscan.skipped" : "autoscan.waits",
			 "cache=%s kind=%s reason=\"%s\"", c.cache_uid, kind, c.why);
}

/* False: it is not known what is due. What ails the store was told already. */
static bool fire_due(struct keeper *k)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct schedule_row *rows;
	size_t n = 0;

	if (schedule_list_due(k->store, clock_wall_ms(), a, &rows, &n, NULL) != RC_OK)
		return false;
	for (size_t i = 0; i < n && !atomic_load(&k->engine->is_refusing); i++)
		fire(k, rows[i].id);
	return true;
}

static bool is_settled(const struct cache_row *row)
{
	return strcmp(row->status, "RUNNING") == 0 || strcmp(row->status, "ERROR") == 0 ||
	       strcmp(row->status, "EXTENDING") == 0;
}

static void visit(struct keeper *k, const struct cache_row *row, struct arena *a)
{
	struct instance_row unit = { 0 };
	bool is_known = row_instance(k->store, row->unit_id, a, &unit, NULL) == RC_OK;

	if (is_known && is_settled(row))
		look_after(k, row, &unit);
	/* What was done just now may have it in hand. */
	is_known = is_known && row_instance(k->store, row->unit_id, a, &unit, NULL) == RC_OK;
	look_after_backups(k, row, /* is_busy= */ !is_known || unit.busy_task_id);
}

static void make_round(struct keeper *k)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row *rows;
	size_t n = 0;
	struct err err = { 0 };

	enum rc rc = list_kept(k, a, &rows, &n, &err);
	bool is_whole_round = rc == RC_OK && fire_due(k);
	if (rc != RC_OK) {
		if (is_news(k, "keeper.blind", 0))
			log_warn("keeper.blind", "reason=\"%s\"", err.msg);
		store_close(k->store); /* perhaps it is broken for good: the next round opens another */
		k->store = NULL;
	}
	for (size_t i = 0; rc == RC_OK && i < n && !atomic_load(&k->engine->is_refusing); i++)
		visit(k, &rows[i], a);
	if (is_whole_round && !atomic_load(&k->engine->is_refusing))
		end_troubles(k);
	forget_others(k);
	drop_old_figures(k);
	ageing_keep(k->engine);
}

static bool rest(struct keeper *k)
{
	int64_t until = clock_mono_ms() + k->engine->look_every_ms;

	(void)pthread_mutex_lock(&k->lock);
	for (bool is_time = false; !k->is_stopping && !is_time;)
		is_time = cond_wait(&k->changed, &k->lock, until);
	bool goes_on = !k->is_stopping;
	(void)pthread_mutex_unlock(&k->lock);
	return goes_on;
}

static void *keeper_main(void *arg)
{
	struct keeper *k = arg;
	while (rest(k))
		make_round(k);
	return NULL;
}

enum rc keeper_start(struct engine *e, struct err *err)
{
	struct keeper *k = mem_new(struct keeper);

	k->engine = e;
	cond_init(&k->changed);
	must(pthread_mutex_init(&k->lock, NULL) == 0);
	int sys = pthread_create(&k->thread, NULL, keeper_main, k);
	if (sys) {
		mem_free(k);
		return err_sys(err, RC_IO, sys, "cannot start the keeper thread");
	}
	e->keeper = k;
	return RC_OK;
}

void keeper_stop(struct engine *e)
{
	struct keeper *k = e->keeper;

	if (!k)
		return;
	(void)pthread_mutex_lock(&k->lock);
	k->is_stopping = true;
	(void)pthread_cond_broadcast(&k->changed);
	(void)pthread_mutex_unlock(&k->lock);
	must(pthread_join(k->thread, NULL) == 0);
	forget_others(k);
	while (k->seen) {
		struct seen *s = k->seen;
		k->seen = s->next;
		mem_free(s);
	}
	while (k->troubles) {
		struct trouble *t = k->troubles;
		k->troubles = t->next;
		mem_free(t);
	}
	store_close(k->store);
	(void)pthread_cond_destroy(&k->changed);
	(void)pthread_mutex_destroy(&k->lock);
	mem_free(k);
	e->keeper = NULL;
}
