#include "cmd/torture/twin.h"

#include <string.h>
#include "base/mem.h"
#include "base/must.h"

enum { ANY_NUMBER = 1 << 20 }; /* of tasks of an instance that was perhaps made anew meanwhile */

/* ---- the moment of its beginning ---- */

static void take_instance(struct instance_fact *i, struct app_fact *app)
{
	const struct task_fact *tasks = i->tasks;

	i->app = app;
	i->tasks = NULL;
	i->past = i->others = NULL; /* n_past stays: so much had been asked for by then */
	i->cap_past = i->n_others = 0;
	i->cap = i->n_tasks;
	if (i->cap) {
		i->tasks = mem_array((size_t)i->cap, sizeof *i->tasks);
		memcpy(i->tasks, tasks, (size_t)i->cap * sizeof *i->tasks);
	}
}

static const struct instance_fact *own(const struct instance_fact *i, const struct app_fact *from,
                                       const struct app_fact *to)
{
	return i ? to->instances + (i - from->instances) : NULL;
}

static void take_app(const struct app_fact *from, struct app_fact *to)
{
	*to = *from;
	to->fallback = own(from->fallback, from, to);
	to->fallback_asked = own(from->fallback_asked, from, to);
	for (int k = 0; k < to->n; k++)
		take_instance(&to->instances[k], to);
}

void twin_take(const struct model *m, struct model *out)
{
	*out = (struct model){ .findings = m->findings,
		               .apps = mem_array((size_t)m->n_apps, sizeof *out->apps),
		               .n_apps = m->n_apps };
	must(pthread_mutex_init(&out->lock, NULL) == 0);
	for (int k = 0; k < m->n_apps; k++)
		take_app(&m->apps[k], &out->apps[k]);
}

/* ---- what was asked for since ---- */

/* Has its deletion been asked for, so that what is there may be another of that name? */
static bool may_be_another(const struct instance_fact *then, const struct instance_fact *now)
{
	bool may_be = then->is != THERE && now->n_past > then->n_past;

	for (size_t k = then->n_past; k < now->n_past; k++)
		may_be = may_be || !now->past[k].act;
	return may_be;
}

static void follow_wishes(struct instance_fact *then, const struct instance_fact *now)
{
	size_t n = now->n_past - then->n_past;

	if (n > 0) {
		then->others = mem_array(n, sizeof *then->others);
		then->n_others = n;
		memcpy(then->others, now->past + then->n_past, n * sizeof *then->others);
	}
	then->n_past = 0; /* nothing was asked of the copy itself yet */
}

/* Room for tasks that came since, without saying that they are there. */
static void reserve(struct instance_fact *then, int64_t n)
{
	if (n <= then->cap)
		return;
	then->tasks = mem_grow(then->tasks, (size_t)n, sizeof *then->tasks);
	memset(then->tasks + then->cap, 0, (size_t)(n - then->cap) * sizeof *then->tasks);
	then->cap = n;
}

static void follow_old_task(struct task_fact *then, const struct task_fact *now)
{
	if (then->record == KEPT && now->record != KEPT)
		then->record = PERHAPS_DELETED;
}

/* It must be there when a later one is, unless it was to go again; and it is that very run. */
static void follow_new_task(struct task_fact *then, const struct task_fact *now)
{
	if (now->record == UNSEEN)
		return;
	then->record = now->record == KEPT ? KEPT : PERHAPS_DELETED;
	memcpy(then->run_id, now->run_id, sizeof then->run_id);
}

static void follow_tasks(struct instance_fact *then, const struct instance_fact *now)
{
	reserve(then, now->n_tasks);
	for (int64_t k = 0; k < now->n_tasks; k++) {
		if (k < then->n_tasks)
			follow_old_task(&then->tasks[k], &now->tasks[k]);
		else
			follow_new_task(&then->tasks[k], &now->tasks[k]);
	}
	int64_t asked_then = then->n_created + then->n_lost, asked_now = now->n_created + now->n_lost;
	then->n_lost += asked_now - asked_then;
}

static void follow_instance(struct model *twin, struct instance_fact *then, const struct instance_fact *now)
{
	if (!may_be_another(then, now)) {
		follow_tasks(then, now);
	} else {
		model_forget_tasks(twin, then);
		then->n_lost = ANY_NUMBER;
		then->has_unknown_past = true;
		then->is = UNSURE;
	}
	follow_wishes(then, now);
}

void twin_follow(struct model *twin, const struct model *m)
{
	for (int a = 0; a < twin->n_apps; a++) {
		struct app_fact *then = &twin->apps[a];
		const struct app_fact *now = &m->apps[a];
		then->is_default_open = now->n_default_changes > then->n_default_changes;
		if (now->n_changes > then->n_changes)
			then->is = UNSURE;
		for (int k = 0; k < then->n; k++) {
			bool has_changed = now->instances[k].n_past > then->instances[k].n_past;
			then->is_default_open = then->is_default_open || has_changed;
			follow_instance(twin, &then->instances[k], &now->instances[k]);
		}
	}
}
