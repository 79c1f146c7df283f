#include "cmd/torture/model.h"

#include <stdio.h>
#include <string.h>
#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"

enum { GENERATIONS_MAX = 1 << 20, OWN_INSTANCES = 4, SCRATCH_INSTANCES = 2, SHARED_INSTANCES = 6, SCHEDULED = 2 };

static const struct trade table[] = {
	{ .function = "quick",
	  .model_type = "act",
	  .attempts_max = 3,
	  .timeout_s = 60,
	  .acts = { "succeed", "model", "fail", "exit", "silent", "garbage", "machine" } },
	{ .function = "patient",
	  .model_type = "act",
	  .attempts_max = 4,
	  .timeout_s = 120,
	  .acts = { "succeed", "model", "die" } },
	{ .function = "stubborn",
	  .model_type = "act",
	  .attempts_max = 2,
	  .timeout_s = 1,
	  .acts = { "deaf", "succeed" } },
	{ .function = "ctr", .model_type = "tf_checkpoint", .is_built_in = true, .acts = { "train" } },
};
enum { QUICK, PATIENT, STUBBORN, TRAINER };

const struct trade *trades(size_t *n)
{
	*n = ARRAY_LEN(table);
	return table;
}

/* ---- what there is ---- */

static void add_instance(struct app_fact *app, int trade)
{
	struct instance_fact *i = &app->instances[app->n];

	i->app = app;
	i->trade = &table[trade];
	(void)snprintf(i->name, sizeof i->name, "%s_%d", table[trade].function, app->n);
	app->n++;
}

static struct app_fact *add_app(struct model *m, const char *name, int owner)
{
	struct app_fact *app = &m->apps[m->n_apps++];

	app->owner = owner;
	if (owner == SHARED)
		(void)snprintf(app->name, sizeof app->name, "%s", name);
	else
		(void)snprintf(app->name, sizeof app->name, "%s%d", name, owner);
	return app;
}

void model_init(struct model *m, int connections, struct findings *f)
{
	static const int own[OWN_INSTANCES] = { QUICK, QUICK, PATIENT, STUBBORN };
	static const int shared[SHARED_INSTANCES] = { QUICK, QUICK, PATIENT, TRAINER, QUICK, QUICK };

	*m = (struct model){ .findings = f, .apps = mem_array((size_t)(2 * connections + 1), sizeof *m->apps) };
	must(pthread_mutex_init(&m->lock, NULL) == 0);
	struct app_fact *all = add_app(m, "all", SHARED);
	for (int k = 0; k < SHARED_INSTANCES; k++)
		add_instance(all, shared[k]);
	for (int k = SHARED_INSTANCES - SCHEDULED; k < SHARED_INSTANCES; k++)
		all->instances[k].has_schedule = true;
	for (int c = 0; c < connections; c++) {
		struct app_fact *app = add_app(m, "own", c);
		for (int k = 0; k < OWN_INSTANCES; k++)
			add_instance(app, own[k]);
		app = add_app(m, "brief", c);
		app->comes_and_goes = true;
		for (int k = 0; k < SCRATCH_INSTANCES; k++)
			add_instance(app, QUICK);
	}
}

void model_fini(struct model *m)
{
	for (int a = 0; a < m->n_apps; a++) {
		for (int k = 0; k < m->apps[a].n; k++) {
			struct instance_fact *i = &m->apps[a].instances[k];
			mem_free(i->tasks);
			mem_free(i->past);
			mem_free(i->others);
		}
	}
	mem_free(m->apps);
	(void)pthread_mutex_destroy(&m->lock);
}

static void lock(struct model *m) { (void)pthread_mutex_lock(&m->lock); }
static void unlock(struct model *m) { (void)pthread_mutex_unlock(&m->lock); }

#define COMPLAIN(m, i, rule, fmt, ...)                                                                                 \
	findings_add((m)->findings, (rule), "%s/%s: " fmt, (i)->app->name, (i)->name, __VA_ARGS__)

/* The fact about that generation, made unless it is there. NULL: no server counts that far. */
static struct task_fact *fact(struct model *m, struct instance_fact *i, int64_t generation)
{
	if (generation < 1 || generation > GENERATIONS_MAX) {
		COMPLAIN(m, i, "E3", "generation %lld is shown", (long long)generation);
		return NULL;
	}
	if (generation > i->cap) {
		int64_t cap = generation > 2 * i->cap ? generation + 16 : 2 * i->cap;
		i->tasks = mem_grow(i->tasks, (size_t)cap, sizeof *i->tasks);
		memset(i->tasks + i->cap, 0, (size_t)(cap - i->cap) * sizeof *i->tasks);
		i->cap = cap;
	}
	if (generation > i->n_tasks)
		i->n_tasks = generation;
	return &i->tasks[generation - 1];
}

void model_forget_tasks(struct model *m, struct instance_fact *i)
{
	lock(m);
	mem_free(i->tasks);
	i->tasks = NULL;
	i->n_tasks = i->cap = i->n_created = i->n_asking = i->n_lost = 0;
	i->has_unknown_past = false;
	unlock(m);
}

void model_begin_round(struct model *m)
{
	m->n_made_unanswered = 0;
	for (int a = 0; a < m->n_apps; a++) {
		for (int k = 0; k < m->apps[a].n; k++)
			m->apps[a].instances[k].n_past = 0;
	}
}

void model_wishing(struct instance_fact *i, const struct wish *w)
{
	if (i->n_past == i->cap_past) {
		i->cap_past = i->cap_past ? 2 * i->cap_past : 16;
		i->past = mem_grow(i->past, i->cap_past, sizeof *i->past);
	}
	i->past[i->n_past++] = w ? *w : (struct wish){ .act = NULL };
}

void model_unwish(struct instance_fact *i)
{
	must(i->n_past > 0);
	i->n_past--;
}

/* ---- creations ---- */

void model_creating(struct model *m, struct instance_fact *i)
{
	lock(m);
	i->n_asking++;
	unlock(m);
}

void model_created(struct model *m, struct instance_fact *i, enum outcome how)
{
	lock(m);
	i->n_asking--;
	i->n_created += how == DONE;
	i->n_lost += how == LOST;
	unlock(m);
}

/* ---- deletions ---- */

int64_t model_count_kept(struct model *m, const struct instance_fact *i)
{
	int64_t n = 0;

	lock(m);
	for (int64_t k = 0; k < i->n_tasks; k++)
		n += i->tasks[k].record == KEPT;
	unlock(m);
	return n;
}

int64_t model_pick_task(struct model *m, struct instance_fact *i, struct rng *r)
{
	int64_t found = 0;

	lock(m);
	int64_t from = i->n_tasks ? (int64_t)rng_below(r, (uint64_t)i->n_tasks) : 0;
	for (int64_t k = 0; k < i->n_tasks && !found; k++) {
		int64_t at = (from + k) % i->n_tasks;
		if (i->tasks[at].record == KEPT)
			found = at + 1;
	}
	unlock(m);
	return found;
}

bool model_deleting(struct model *m, struct instance_fact *i, int64_t generation, bool *is_over)
{
	lock(m);
	struct task_fact *t = &i->tasks[generation - 1];
	bool is_mine = t->record == KEPT && !t->is_deleting;
	if (is_mine) {
		t->is_deleting = true;
		*is_over = t->is_over;
	}
	unlock(m);
	return is_mine;
}

void model_deleted(struct model *m, struct instance_fact *i, int64_t generation, enum outcome how)
{
	lock(m);
	struct task_fact *t = &i->tasks[generation - 1];
	t->is_deleting = false;
	if (how == DONE) {
		t->record = DELETED;
		t->deleted_us = clock_mono_us();
	} else if (how == LOST) {
		t->record = PERHAPS_DELETED;
	}
	unlock(m);
}

/* ---- sightings ---- */

static void compare(struct model *m, const struct instance_fact *i, const struct task_fact *t,
                    const struct sighting *row)
{
	long long g = (long long)row->generation;

	if (strcmp(t->run_id, row->run_id) != 0)
		COMPLAIN(m, i, "E3", "task %lld was the run %s and is now %.60s", g, t->run_id, row->run_id);
	if (row->progress < t->progress)
		COMPLAIN(m, i, "E6", "the progress of task %lld fell from %d to %d", g, t->progress, row->progress);
	if (t->is_over && (!row->is_over || row->is_success != t->is_success || row->ended_at != t->ended_at))
		COMPLAIN(m, i, "E6", "task %lld had ended %s at %lld and is now %s, %lld", g,
		         t->is_success ? "well" : "failed", (long long)t->ended_at,
		         !row->is_over     ? "running"
		         : row->is_success ? "success"
		                           : "failed",
		         (long long)row->ended_at);
	if (row->is_over && row->is_success && row->progress != 100)
		COMPLAIN(m, i, "E6", "task %lld succeeded with a progress of %d", g, row->progress);
}

static void keep(struct task_fact *t, const struct sighting *row, int64_t now_us)
{
	t->is_over = row->is_over;
	t->is_success = row->is_success;
	t->progress = row->progress;
	t->ended_at = row->ended_at;
	t->seen_us = now_us;
	(void)snprintf(t->run_id, sizeof t->run_id, "%s", row->run_id);
}

static void saw(struct model *m, struct instance_fact *i, const struct sighting *row, int64_t begun_us, int64_t now_us)
{
	struct task_fact *t = fact(m, i, row->generation);

	if (!t)
		return;
	t->is_listed = true;
	if (t->record == UNSEEN) {
		t->record = KEPT;
		keep(t, row, now_us);
		return;
	}
	if (t->record == DELETED && t->deleted_us < begun_us)
		COMPLAIN(m, i, "E1", "task %lld was deleted, and is there again", (long long)row->generation);
	bool is_later = t->seen_us < begun_us;
	if (is_later)
		compare(m, i, t, row);
	if (is_later || row->is_over || row->progress > t->progress)
		keep(t, row, now_us);
}

/* No more than were asked for: nothing is done twice. A schedule's own are counted after restarts. */
static void check_number(struct model *m, const struct instance_fact *i)
{
	int64_t most = i->n_created + i->n_asking + i->n_lost;

	if (!i->has_schedule && !i->has_unknown_past && i->n_tasks > most)
		COMPLAIN(m, i, "E1", "there are %lld tasks, and %lld were asked for", (long long)i->n_tasks,
		         (long long)most);
}

/* Is every task that this list must show among its rows? lowest: the oldest it reaches. */
static void check_whole(struct model *m, const struct instance_fact *i, int64_t lowest, int64_t begun_us)
{
	for (int64_t g = lowest; g <= i->n_tasks; g++) {
		const struct task_fact *t = &i->tasks[g - 1];
		if (t->record == KEPT && !t->is_deleting && !t->is_listed && t->seen_us < begun_us)
			COMPLAIN(m, i, "E1", "task %lld is missing in a list", (long long)g);
	}
}

/* E2, in one look: what runs is one, and the newest. */
static void check_running(struct model *m, const struct instance_fact *i, const struct sighting *rows, size_t n)
{
	int n_running = 0;
	bool is_newest = true;

	for (size_t k = 0; k < n; k++) {
		n_running += !rows[k].is_over;
		is_newest = is_newest && (rows[k].is_over || k == 0);
		if (k > 0 && rows[k].generation >= rows[k - 1].generation)
			COMPLAIN(m, i, "E3", "a list shows task %lld behind task %lld", (long long)rows[k].generation,
			         (long long)rows[k - 1].generation);
	}
	if (n_running > 1 || !is_newest)
		COMPLAIN(m, i, "E2", "%d tasks are unfinished at once, or not the newest", n_running);
}

void model_saw_list(struct model *m, struct instance_fact *i, const struct sighting *rows, size_t n, bool reaches_end,
                    int64_t begun_us, int64_t now_us)
{
	int64_t lowest = reaches_end || n == 0 ? 1 : rows[n - 1].generation;

	lock(m);
	for (int64_t g = 0; g < i->n_tasks; g++)
		i->tasks[g].is_listed = false;
	for (size_t k = 0; k < n; k++)
		saw(m, i, &rows[k], begun_us, now_us);
	check_number(m, i);
	check_whole(m, i, lowest, begun_us);
	check_running(m, i, rows, n);
	unlock(m);
}

void model_saw_task(struct model *m, struct instance_fact *i, const struct sighting *row, int64_t begun_us,
                    int64_t now_us)
{
	lock(m);
	saw(m, i, row, begun_us, now_us);
	check_number(m, i);
	unlock(m);
}

void model_missed_task(struct model *m, struct instance_fact *i, int64_t generation, int64_t begun_us)
{
	lock(m);
	const struct task_fact *t = &i->tasks[generation - 1];
	if (t->record == KEPT && !t->is_deleting && t->seen_us < begun_us)
		COMPLAIN(m, i, "E1", "task %lld is not there any more", (long long)generation);
	unlock(m);
}

bool model_is_idle(struct model *m, const struct instance_fact *i)
{
	lock(m);
	bool is_idle = i->n_tasks == i->n_created && i->n_lost == 0 && i->n_asking == 0;
	for (int64_t k = 0; k < i->n_tasks && is_idle; k++) {
		const struct task_fact *t = &i->tasks[k];
		is_idle = t->record != UNSEEN && (t->record != KEPT || t->is_over);
	}
	unlock(m);
	return is_idle;
}

bool model_lacks_deleted(struct model *m, const struct instance_fact *i)
{
	lock(m);
	bool lacks = false;
	for (int64_t k = i->n_tasks; k < i->cap && !lacks; k++)
		lacks = i->tasks[k].record == PERHAPS_DELETED;
	unlock(m);
	return lacks;
}

/* ---- after a restart ---- */

static void settle_record(struct model *m, struct task_fact *t)
{
	if (t->record != PERHAPS_DELETED)
		return;
	t->record = t->is_listed ? KEPT : DELETED;
	m->n_made_unanswered += !t->is_listed;
	t->deleted_us = clock_mono_us();
}

/* Numbers that were given and never shown: said once, then taken for deleted. */
static void check_gaps(struct model *m, struct instance_fact *i)
{
	int64_t n = 0, first = 0;

	for (int64_t g = i->n_tasks; g >= 1; g--) {
		if (i->tasks[g - 1].record != UNSEEN)
			continue;
		i->tasks[g - 1].record = DELETED;
		first = g;
		n++;
	}
	if (n && !i->has_unknown_past)
		COMPLAIN(m, i, "E1",
		         "of %lld tasks that were created %lld are nowhere to be seen, the first is task %lld",
		         (long long)i->n_tasks, (long long)n, (long long)first);
}

void model_compare_end(struct model *m, struct instance_fact *i, int64_t firings)
{
	lock(m);
	for (int64_t k = 0; k < i->n_tasks; k++)
		settle_record(m, &i->tasks[k]);
	check_gaps(m, i);
	if (i->n_tasks < i->n_created)
		COMPLAIN(m, i, "E1", "%lld creations were acknowledged, and there were %lld tasks",
		         (long long)i->n_created, (long long)i->n_tasks);
	if (i->has_schedule && i->n_tasks > i->n_created + firings)
		COMPLAIN(m, i, "schedule", "it fired %lld times, and %lld minutes began",
		         (long long)(i->n_tasks - i->n_created), (long long)firings);
	if (!i->has_schedule && i->n_tasks > i->n_created)
		m->n_made_unanswered += i->n_tasks - i->n_created;
	i->n_created = i->n_tasks;
	i->n_lost = i->n_asking = 0;
	if (i->cap > i->n_tasks) /* a twin knows of tasks that its copy came too early for: these numbers are free */
		memset(i->tasks + i->n_tasks, 0, (size_t)(i->cap - i->n_tasks) * sizeof *i->tasks);
	unlock(m);
}
