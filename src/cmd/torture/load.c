#include "cmd/torture/load.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "cmd/remote.h"
#include "cmd/torture/plan.h"

enum { PAUSE_SPREAD_MS = 12, TASK_SPREAD_MS = 300, SHORT_TASK_MS = 20, KEPT_WANTED = 40, PAGE_MAX = 100 };

struct worker {
	struct load *load;
	struct model *model;
	int number;
	struct rng rng;
	struct asker asker;
	pthread_t thread;
	bool is_over; /* nothing can be asked any more */
};

static bool by_chance(struct worker *w, uint64_t one_in) { return rng_below(&w->rng, one_in) == 0; }

/* ---- asking ---- */

static enum outcome send(struct worker *w, const char *method, const char *action, const struct path *path,
                         const char *query)
{
	enum outcome o = ask(&w->asker, method, action, path, query);
	bool is_going = o == REFUSED && atomic_load(&w->load->is_stopping) &&
	                strcmp(ask_code(&w->asker), "ServiceUnavailable") == 0;

	w->is_over = o == LOST || is_going;
	return o;
}

static bool is_refused_with(const struct worker *w, const char *code) { return strcmp(ask_code(&w->asker), code) == 0; }

/* A refusal that nothing known explains. */
static void unexpected(struct worker *w, const char *what, const struct app_fact *app, const char *name)
{
	if (!w->is_over) /* then it is the refusal of a server that stops */
		findings_add(w->model->findings, "answer", "%s of %s%s%s was refused: %d %.300s", what, app->name,
		             name ? "/" : "", name ? name : "", w->asker.answer.status, w->asker.answer.text);
}

#define INSTANCE_PATH(pattern_, i)                                                                                     \
	(struct path)                                                                                                  \
	{                                                                                                              \
		(pattern_), { (i)->app->name, (i)->trade->function, (i)->name }                                        \
	}

/* ---- choosing ---- */

static struct app_fact *own_app(struct worker *w, bool is_brief)
{
	for (int a = 0; a < w->model->n_apps; a++) {
		struct app_fact *app = &w->model->apps[a];
		if (app->owner == w->number && app->comes_and_goes == is_brief)
			return app;
	}
	must(false);
	return NULL;
}

static struct instance_fact *any_own(struct worker *w)
{
	struct app_fact *app = own_app(w, by_chance(w, 4));
	return app->is == THERE ? &app->instances[rng_below(&w->rng, (uint64_t)app->n)] : NULL;
}

/* One that is there, of this connection's or, as often, of everybody's. */
static struct instance_fact *any_there(struct worker *w)
{
	struct app_fact *all = &w->model->apps[0];
	struct instance_fact *i = by_chance(w, 2) ? any_own(w) : &all->instances[rng_below(&w->rng, (uint64_t)all->n)];
	return i && i->is == THERE ? i : NULL;
}

void load_wish(const struct instance_fact *i, struct rng *r, struct wish *out)
{
	size_t n = 0;

	while (i->trade->acts[n])
		n++;
	*out = (struct wish){
		.act = i->has_schedule ? i->trade->acts[0] : i->trade->acts[rng_below(r, n)],
		.ms = (int64_t)rng_below(r, rng_below(r, 2) ? SHORT_TASK_MS : TASK_SPREAD_MS),
		.number = (int64_t)rng_below(r, 1000000000),
		.cron = i->has_schedule   ? "* * * * *"
		        : rng_below(r, 6) ? ""
		                          : "0 0 29 2 *",
	};
}

/* ---- instances ---- */

static void create_instance(struct worker *w)
{
	struct instance_fact *i = any_own(w);
	struct wish wish;

	if (!i || i->is != ABSENT)
		return;
	load_wish(i, &w->rng, &wish);
	ask_instance_body(&w->asker, i, &wish, /* is_creation= */ true);
	struct path path = { path_instances, { i->app->name, i->trade->function } };
	model_wishing(i, &wish);
	enum outcome o = send(w, "POST", "CreateFunctionInstance", &path, NULL);
	if (o == REFUSED) {
		model_unwish(i);
		unexpected(w, "the creation", i->app, i->name);
		return;
	}
	model_forget_tasks(w->model, i);
	i->now = (struct wish){ .act = NULL };
	i->is = o == DONE ? THERE : UNSURE;
	i->has_asked = o == LOST;
	*(o == DONE ? &i->now : &i->asked) = wish;
}

static void update_instance(struct worker *w)
{
	struct instance_fact *i = any_own(w);
	struct wish wish;

	if (!i || i->is != THERE)
		return;
	load_wish(i, &w->rng, &wish);
	ask_instance_body(&w->asker, i, &wish, /* is_creation= */ false);
	model_wishing(i, &wish);
	enum outcome o = send(w, "PUT", "UpdateFunctionInstance", &INSTANCE_PATH(path_instance, i), NULL);
	if (o == REFUSED) {
		model_unwish(i);
		unexpected(w, "the update", i->app, i->name);
		return;
	}
	i->has_asked = o == LOST;
	*(o == DONE ? &i->now : &i->asked) = wish;
}

static void forget_instance(struct worker *w, struct instance_fact *i)
{
	model_forget_tasks(w->model, i);
	i->is = ABSENT;
	i->now.act = NULL;
	if (i->app->fallback == i)
		i->app->fallback = NULL;
}

static void delete_instance(struct worker *w)
{
	struct instance_fact *i = any_own(w);

	if (!i || i->is != THERE)
		return;
	bool is_idle = model_is_idle(w->model, i);
	model_wishing(i, NULL);
	enum outcome o = send(w, "DELETE", "DeleteFunctionInstance", &INSTANCE_PATH(path_instance, i), NULL);
	if (o == REFUSED)
		model_unwish(i);
	if (o == DONE)
		forget_instance(w, i);
	else if (o == LOST)
		i->is = UNSURE;
	else if (is_idle || !is_refused_with(w, "Task.IsRunning"))
		unexpected(w, "the deletion", i->app, i->name);
}

static void get_instance(struct worker *w)
{
	struct instance_fact *i = any_there(w);
	char error[200];

	if (!i)
		return;
	enum outcome o = send(w, "GET", "GetFunctionInstance", &INSTANCE_PATH(path_instance, i), NULL);
	if (o == REFUSED)
		unexpected(w, "a look", i->app, i->name);
	else if (o == DONE && !ask_shows_wish(&w->asker, i, &i->now, error, sizeof error))
		findings_add(w->model->findings, "E1", "%s/%s is not as it was last acknowledged: %s", i->app->name,
		             i->name, error);
}

/* The list of an app group that only this connection changes has exactly what it made. */
static void list_instances(struct worker *w)
{
	struct app_fact *app = own_app(w, by_chance(w, 4));
	const char *function = app->instances[0].trade->function;
	size_t n_wanted = 0, n_found = 0;

	if (app->is != THERE)
		return;
	struct path path = { path_instances, { app->name, function } };
	enum outcome o = send(w, "GET", "ListFunctionInstances", &path, "pageSize=100");
	if (o == REFUSED)
		unexpected(w, "a list", app, NULL);
	if (o != DONE)
		return;
	const json_t *list = answer_result(&w->asker.answer);
	for (int k = 0; k < app->n; k++) {
		const struct instance_fact *i = &app->instances[k];
		if (i->is != THERE || i->trade != app->instances[0].trade)
			continue;
		n_wanted++;
		for (size_t r = 0; r < json_array_size(list); r++)
			n_found += strcmp(json_text_of(json_array_get(list, r), "instanceName"), i->name) == 0;
	}
	if (n_found != n_wanted || json_array_size(list) != n_wanted)
		findings_add(w->model->findings, "E1",
		             "the list of %s/%s shows %zu instances, %zu of the %zu that are there", app->name,
		             function, json_array_size(list), n_found, n_wanted);
}

/* ---- tasks ---- */

static void create_task(struct worker *w)
{
	struct instance_fact *i = any_there(w);

	if (!i || i->has_schedule)
		return;
	bool is_idle = i->app->owner != SHARED && model_is_idle(w->model, i);
	model_creating(w->model, i);
	enum outcome o = send(w, "POST", "CreateFunctionTask", &INSTANCE_PATH(path_tasks, i), NULL);
	model_created(w->model, i, o);
	if (o == REFUSED && (is_idle || !is_refused_with(w, "Task.IsRunning")))
		unexpected(w, "a task", i->app, i->name);
}

static void list_tasks(struct worker *w)
{
	static const size_t sizes[] = { 1, 7, PAGE_MAX };
	struct sighting rows[PAGE_MAX];
	struct instance_fact *i = any_there(w);
	size_t size = sizes[rng_below(&w->rng, ARRAY_LEN(sizes))];
	char query[64];

	if (!i)
		return;
	(void)snprintf(query, sizeof query, "pageNumber=1&pageSize=%zu", size);
	enum outcome o = send(w, "GET", "ListFunctionTasks", &INSTANCE_PATH(path_tasks, i), query);
	if (o == REFUSED)
		unexpected(w, "the list of tasks", i->app, i->name);
	if (o != DONE)
		return;
	size_t n = ask_read_tasks(&w->asker, rows, 0, ARRAY_LEN(rows));
	model_saw_list(w->model, i, rows, n, n < size, w->asker.begun_us, clock_mono_us());
}

/* A path to a task; generation has room for its number. */
static struct path task_path(const struct instance_fact *i, int64_t g, char generation[24])
{
	(void)snprintf(generation, 24, "%lld", (long long)g);
	return (struct path){ path_task, { i->app->name, i->trade->function, i->name, generation } };
}

static void get_task(struct worker *w)
{
	struct instance_fact *i = any_there(w);
	int64_t g = i ? model_pick_task(w->model, i, &w->rng) : 0;
	char generation[24];
	struct sighting row;

	if (!g)
		return;
	struct path path = task_path(i, g, generation);
	enum outcome o = send(w, "GET", "GetFunctionTask", &path, NULL);
	if (o == DONE && ask_read_task(answer_result(&w->asker.answer), &row))
		model_saw_task(w->model, i, &row, w->asker.begun_us, clock_mono_us());
	else if (o == REFUSED && is_refused_with(w, "Task.NotExist"))
		model_missed_task(w->model, i, g, w->asker.begun_us);
	else if (o != LOST)
		unexpected(w, "a look at a task", i->app, i->name);
}

static void delete_task(struct worker *w)
{
	struct instance_fact *i = any_there(w);
	int64_t g = i ? model_pick_task(w->model, i, &w->rng) : 0;
	char generation[24];
	bool is_over = false;

	/* A few are left to grow old; many would make every list long. */
	if (!g || (model_count_kept(w->model, i) < KEPT_WANTED && by_chance(w, 2)))
		return;
	if (!model_deleting(w->model, i, g, &is_over))
		return;
	struct path path = task_path(i, g, generation);
	enum outcome o = send(w, "DELETE", "DeleteFunctionTask", &path, NULL);
	model_deleted(w->model, i, g, o);
	if (o == REFUSED && (is_over || !is_refused_with(w, "Task.UnableDelete")))
		unexpected(w, "the deletion of a task", i->app, i->name);
}

/* ---- default instances and app groups ---- */

static void set_default(struct worker *w)
{
	struct app_fact *app = own_app(w, /* is_brief= */ false);
	const struct instance_fact *i = &app->instances[rng_below(&w->rng, 2)];
	bool clears = by_chance(w, 4);

	if (i->is != THERE || i->trade != app->instances[0].trade)
		return;
	ask_default_body(&w->asker, clears ? "" : i->name);
	struct path path = { path_default, { app->name, i->trade->function } };
	app->n_default_changes++;
	enum outcome o = send(w, "PUT", "UpdateFunctionDefaultInstance", &path, NULL);
	if (o == REFUSED) {
		unexpected(w, "the default instance", app, NULL);
		return;
	}
	app->has_fallback_asked = o == LOST;
	*(o == DONE ? &app->fallback : &app->fallback_asked) = clears ? NULL : i;
}

static void get_default(struct worker *w)
{
	struct app_fact *app = own_app(w, /* is_brief= */ false);
	struct path path = { path_default, { app->name, app->instances[0].trade->function } };

	enum outcome o = send(w, "GET", "GetFunctionDefaultInstance", &path, NULL);
	const char *found = o == DONE ? json_text_of(answer_result(&w->asker.answer), "instanceName") : "";
	if (o == REFUSED && !is_refused_with(w, "DefaultInstance.NotExist"))
		unexpected(w, "the default instance", app, NULL);
	else if (o != LOST && !w->is_over && strcmp(found, app->fallback ? app->fallback->name : "") != 0)
		findings_add(w->model->findings, "E1", "the default instance of %s is '%.40s' and was '%s'", app->name,
		             found, app->fallback ? app->fallback->name : "");
}

static void create_app(struct worker *w)
{
	struct app_fact *app = own_app(w, /* is_brief= */ true);

	if (app->is != ABSENT)
		return;
	ask_app_body(&w->asker, app);
	struct path path = { path_apps, { NULL } };
	app->n_changes++;
	enum outcome o = send(w, "POST", "CreateAppGroup", &path, NULL);
	if (o == REFUSED)
		unexpected(w, "the creation", app, NULL);
	else
		app->is = o == DONE ? THERE : UNSURE;
}

static void remove_app(struct worker *w)
{
	struct app_fact *app = own_app(w, /* is_brief= */ true);
	bool is_idle = true;

	if (app->is != THERE)
		return;
	for (int k = 0; k < app->n; k++) {
		is_idle = is_idle && (app->instances[k].is == ABSENT || model_is_idle(w->model, &app->instances[k]));
		model_wishing(&app->instances[k], NULL);
	}
	struct path path = { path_app, { app->name } };
	app->n_changes++;
	enum outcome o = send(w, "DELETE", "RemoveAppGroup", &path, NULL);
	if (o == REFUSED && (is_idle || !is_refused_with(w, "Task.IsRunning")))
		unexpected(w, "the removal", app, NULL);
	for (int k = 0; k < app->n && o == REFUSED; k++)
		model_unwish(&app->instances[k]);
	if (o == REFUSED)
		return;
	app->is = o == DONE ? ABSENT : UNSURE;
	for (int k = 0; k < app->n && o == DONE; k++)
		forget_instance(w, &app->instances[k]);
}

/* ---- the connection ---- */

static const struct {
	uint64_t weight;
	void (*act)(struct worker *w);
} deeds[] = {
	{ 22, create_task },     { 16, list_tasks },  { 12, get_task },       { 10, delete_task },
	{ 12, create_instance }, { 8, get_instance }, { 6, update_instance }, { 4, delete_instance },
	{ 4, list_instances },   { 4, set_default },  { 3, get_default },     { 3, create_app },
	{ 2, remove_app },
};

static void do_something(struct worker *w)
{
	uint64_t all = 0;

	for (size_t i = 0; i < ARRAY_LEN(deeds); i++)
		all += deeds[i].weight;
	uint64_t dice = rng_below(&w->rng, all);
	size_t k = 0;
	for (; dice >= deeds[k].weight; k++)
		dice -= deeds[k].weight;
	deeds[k].act(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!w->is_over && !atomic_load(&w->load->is_stopping)) {
		must(pthread_rwlock_rdlock(&w->load->deeds) == 0);
		do_something(w);
		must(pthread_rwlock_unlock(&w->load->deeds) == 0);
		remote_pause((long)rng_below(&w->rng, PAUSE_SPREAD_MS));
	}
	return NULL;
}

static enum rc start_worker(struct load *l, int number, struct err *err)
{
	struct worker *w = &l->workers[number];

	w->load = l;
	w->model = l->model;
	w->number = number;
	plan_rng(l->seed, l->round, number, &w->rng);
	enum rc rc = ask_open(l->endpoint, l->key_id, l->key_secret, &w->asker, err);
	if (rc != RC_OK)
		return rc;
	int sys = pthread_create(&w->thread, NULL, work, w);
	if (sys) {
		ask_close(&w->asker);
		return err_sys(err, RC_IO, sys, "cannot start a thread");
	}
	return RC_OK;
}

/* One that waits for everybody's pause is not to wait for ever. */
static void init_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t kind;

	must(pthread_rwlockattr_init(&kind) == 0);
	must(pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
	must(pthread_rwlock_init(lock, &kind) == 0);
	(void)pthread_rwlockattr_destroy(&kind);
}

void load_hold(struct load *l) { must(pthread_rwlock_wrlock(&l->deeds) == 0); }

void load_go_on(struct load *l) { must(pthread_rwlock_unlock(&l->deeds) == 0); }

enum rc load_start(struct load *l, struct err *err)
{
	int n = l->n;
	enum rc rc = RC_OK;

	init_lock(&l->deeds);
	l->workers = mem_array((size_t)n, sizeof *l->workers);
	atomic_init(&l->is_stopping, false);
	for (l->n = 0; l->n < n && rc == RC_OK; l->n += rc == RC_OK)
		rc = start_worker(l, l->n, err);
	if (rc != RC_OK)
		load_stop(l);
	return rc;
}

void load_stop(struct load *l)
{
	atomic_store(&l->is_stopping, true);
	for (int i = 0; i < l->n; i++) {
		struct worker *w = &l->workers[i];
		must(pthread_join(w->thread, NULL) == 0);
		l->n_done += w->asker.n_done;
		l->n_refused += w->asker.n_refused;
		l->n_lost += w->asker.n_lost;
		if (w->asker.lost_us && (!l->first_lost_us || w->asker.lost_us < l->first_lost_us))
			l->first_lost_us = w->asker.lost_us;
		ask_close(&w->asker);
	}
	mem_free(l->workers);
	l->workers = NULL;
	(void)pthread_rwlock_destroy(&l->deeds);
}
