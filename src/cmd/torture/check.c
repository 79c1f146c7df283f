/* After a restart: every app group, instance, default and task that was ever acknowledged, as the server shows it. */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/torture/load.h"
#include "cmd/torture/run.h"

enum { PAGE = 100, SIGHTINGS_MAX = 4000, FIRING_GRACE_MS = 8000, MINUTE_MS = 60000 };

struct check {
	struct torture *t;
	struct asker *a;
	struct sighting *rows;
	struct arena *texts; /* run ids, over several answers */
	struct err *err;
};

#define COMPLAIN(c, rule, ...) findings_add((c)->t->findings, (rule), __VA_ARGS__)

static enum rc gone(const struct check *c)
{
	return err_set(c->err, RC_BUSY, "the server does not answer: %.200s", c->a->err.msg);
}

/* Does it exist? missing: the code that says that it does not. */
static enum rc look(struct check *c, const char *action, const struct path *path, const char *missing, bool *is_there)
{
	enum outcome o = ask(c->a, "GET", action, path, NULL);

	if (o == LOST)
		return gone(c);
	*is_there = o == DONE;
	if (o == REFUSED && strcmp(ask_code(c->a), missing) != 0)
		COMPLAIN(c, "answer", "%s of %s was refused: %d %.300s", action, path->segments[0], c->a->answer.status,
		         c->a->answer.text);
	return RC_OK;
}

/* What was known of something, and whether it is there. False: these contradict each other. */
static bool decide(enum presence *known, bool is_there)
{
	bool is_fine = *known == UNSURE || (*known == THERE) == is_there;
	*known = is_there ? THERE : ABSENT;
	return is_fine;
}

/* ---- tasks ---- */

static enum rc read_page(struct check *c, const struct instance_fact *i, int page, size_t *n, bool *is_last)
{
	char query[64];
	struct path path = { path_tasks, { i->app->name, i->trade->function, i->name } };

	(void)snprintf(query, sizeof query, "pageNumber=%d&pageSize=%d", page, PAGE);
	enum outcome o = ask(c->a, "GET", "ListFunctionTasks", &path, query);
	if (o == LOST)
		return gone(c);
	size_t before = *n;
	if (o == DONE)
		*n = ask_read_tasks(c->a, c->rows, *n, SIGHTINGS_MAX);
	else
		COMPLAIN(c, "answer", "the tasks of %s/%s are not listed: %d %.300s", i->app->name, i->name,
		         c->a->answer.status, c->a->answer.text);
	for (size_t k = before; k < *n; k++)
		c->rows[k].run_id = arena_dup(c->texts, c->rows[k].run_id);
	*is_last = *n - before < PAGE || *n == SIGHTINGS_MAX;
	return RC_OK;
}

/* A run that a schedule began between two pages has shifted the second. */
static size_t drop_repeated(struct sighting *rows, size_t n)
{
	size_t kept = 0;

	for (size_t k = 0; k < n; k++) {
		if (!kept || rows[k].generation < rows[kept - 1].generation)
			rows[kept++] = rows[k];
	}
	return kept;
}

/* Runs of a schedule are named after their minute; none fires twice in one. */
static void check_firings(struct check *c, const struct instance_fact *i, const struct sighting *rows, size_t n)
{
	enum { MINUTE_LEN = sizeof "scheduled__2026-11-22T05:20" - 1 };

	for (size_t k = 0; k < n; k++) {
		if (strncmp(rows[k].run_id, "scheduled__", 11) != 0)
			COMPLAIN(c, "E1", "%s/%s: nobody asked for the run %.60s", i->app->name, i->name,
			         rows[k].run_id);
		else if (k > 0 && strncmp(rows[k].run_id, rows[k - 1].run_id, MINUTE_LEN) == 0)
			COMPLAIN(c, "schedule", "%s/%s fired twice in a minute: %.60s and %.60s", i->app->name, i->name,
			         rows[k].run_id, rows[k - 1].run_id);
	}
}

static void compare_schedule(struct check *c, struct instance_fact *i)
{
	int64_t now_ms = clock_wall_ms(), minute = now_ms / MINUTE_MS;
	bool has_fired = i->n_tasks > i->n_created || model_lacks_deleted(&c->t->model, i);
	int64_t late_ms = now_ms - (i->minute + 1) * MINUTE_MS;

	if (!has_fired && late_ms > FIRING_GRACE_MS && model_is_idle(&c->t->model, i))
		COMPLAIN(c, "schedule", "%s/%s did not fire, %lld ms after its minute", i->app->name, i->name,
		         (long long)late_ms);
	model_compare_end(&c->t->model, i, minute - i->minute);
	if (has_fired)
		i->minute = minute;
}

static enum rc compare_tasks(struct check *c, struct instance_fact *i)
{
	bool is_last = false;
	size_t n = 0;
	int64_t begun_us = clock_mono_us();
	enum rc rc = RC_OK;

	arena_reset(c->texts);
	for (int page = 1; rc == RC_OK && !is_last; page++)
		rc = read_page(c, i, page, &n, &is_last);
	if (rc != RC_OK)
		return rc;
	n = drop_repeated(c->rows, n);
	model_saw_list(&c->t->model, i, c->rows, n, /* reaches_end= */ true, begun_us, clock_mono_us());
	if (!i->has_schedule) {
		model_compare_end(&c->t->model, i, 0);
		return RC_OK;
	}
	check_firings(c, i, c->rows, n);
	compare_schedule(c, i);
	return RC_OK;
}

/* ---- instances ---- */

static void forget_instance(struct check *c, struct instance_fact *i)
{
	i->is = ABSENT;
	i->has_asked = false;
	i->now.act = NULL;
	i->n_others = 0;
	model_forget_tasks(&c->t->model, i);
}

static bool shows_other(const struct check *c, const struct instance_fact *i, const struct wish **which)
{
	char why[200];

	for (size_t k = 0; k < i->n_others; k++) {
		*which = &i->others[k];
		if (ask_shows_wish(c->a, i, *which, why, sizeof why))
			return true;
	}
	return false;
}

/* It must be as last acknowledged, or wholly as the change without an answer wanted it. */
static void compare_wish(struct check *c, struct instance_fact *i)
{
	char why[200] = "it was never made", other[200] = "";
	const struct wish *which;

	if (ask_shows_wish(c->a, i, &i->now, why, sizeof why)) {
		i->has_asked = false;
		return;
	}
	if (shows_other(c, i, &which)) {
		i->now = *which;
		i->has_asked = false;
		return;
	}
	bool is_made = i->has_asked && ask_shows_wish(c->a, i, &i->asked, other, sizeof other);
	c->t->model.n_made_unanswered += is_made;
	if (is_made)
		i->now = i->asked;
	else
		COMPLAIN(c, "E1", "%s/%s is not as it was last acknowledged: %s%s%s", i->app->name, i->name, why,
		         *other ? "; nor as asked for without an answer: " : "", other);
	i->has_asked = false;
}

static enum rc compare_instance(struct check *c, struct instance_fact *i)
{
	struct path path = { path_instance, { i->app->name, i->trade->function, i->name } };
	bool is_there;

	enum rc rc = look(c, "GetFunctionInstance", &path, "Instance.NotExist", &is_there);
	if (rc != RC_OK)
		return rc;
	if (!decide(&i->is, is_there))
		COMPLAIN(c, "E1", "the instance %s/%s %s", i->app->name, i->name,
		         is_there ? "is there, and was not made or was deleted" : "is lost");
	if (!is_there) {
		forget_instance(c, i);
		return RC_OK;
	}
	compare_wish(c, i);
	i->n_others = 0;
	return compare_tasks(c, i);
}

/* Any was possible: from now on it is that one. */
static void take_default(struct app_fact *app, const char *found)
{
	app->is_default_open = app->has_fallback_asked = false;
	app->fallback = NULL;
	for (int k = 0; k < app->n; k++) {
		if (strcmp(app->instances[k].name, found) == 0)
			app->fallback = &app->instances[k];
	}
}

static enum rc compare_default(struct check *c, struct app_fact *app)
{
	struct path path = { path_default, { app->name, app->instances[0].trade->function } };
	bool is_there;

	enum rc rc = look(c, "GetFunctionDefaultInstance", &path, "DefaultInstance.NotExist", &is_there);
	if (rc != RC_OK)
		return rc;
	const char *found = is_there ? json_text_of(answer_result(&c->a->answer), "instanceName") : "";
	if (app->is_default_open) {
		take_default(app, found);
		return RC_OK;
	}
	const struct instance_fact *known[] = { app->fallback, app->fallback_asked };
	for (size_t k = 0; k < (app->has_fallback_asked ? 2U : 1U); k++) {
		/* An instance that went took its being the default along. */
		const struct instance_fact *i = known[k] && known[k]->is == THERE ? known[k] : NULL;
		if (strcmp(found, i ? i->name : "") != 0)
			continue;
		app->fallback = i;
		app->has_fallback_asked = false;
		return RC_OK;
	}
	COMPLAIN(c, "E1", "the default instance of %s is '%.40s', and was '%s'", app->name, found,
	         app->fallback ? app->fallback->name : "");
	app->has_fallback_asked = false;
	return RC_OK;
}

static enum rc compare_app(struct check *c, struct app_fact *app)
{
	struct path path = { path_app, { app->name } };
	bool is_there;

	enum rc rc = look(c, "DescribeAppGroup", &path, "App.NotFound", &is_there);
	if (rc != RC_OK)
		return rc;
	if (!decide(&app->is, is_there))
		COMPLAIN(c, "E1", "the app group %s %s", app->name, is_there ? "is there, and was removed" : "is lost");
	for (int k = 0; k < app->n && rc == RC_OK; k++) {
		if (is_there)
			rc = compare_instance(c, &app->instances[k]);
		else
			forget_instance(c, &app->instances[k]);
	}
	if (rc == RC_OK && is_there && !app->comes_and_goes && app->owner != SHARED)
		rc = compare_default(c, app);
	return rc;
}

static void check_init(struct check *c, struct torture *t, struct asker *a, struct err *err)
{
	*c = (struct check){ .t = t,
		             .a = a,
		             .err = err,
		             .rows = mem_array(SIGHTINGS_MAX, sizeof *c->rows),
		             .texts = arena_new(4 << 20) };
}

static void check_fini(struct check *c)
{
	mem_free(c->rows);
	arena_free(c->texts);
}

enum rc check_all(struct torture *t, struct asker *a, struct err *err)
{
	struct check c;
	enum rc rc = RC_OK;

	check_init(&c, t, a, err);
	for (int k = 0; k < t->model.n_apps && rc == RC_OK; k++)
		rc = compare_app(&c, &t->model.apps[k]);
	check_fini(&c);
	return rc;
}

/* ---- deleting ---- */

static enum rc delete_one(struct torture *t, struct asker *a, struct instance_fact *i, int64_t generation,
                          struct err *err)
{
	char number[24];
	struct path path = { path_task, { i->app->name, i->trade->function, i->name, number } };
	bool is_over;

	(void)snprintf(number, sizeof number, "%lld", (long long)generation);
	if (!model_deleting(&t->model, i, generation, &is_over))
		return RC_OK;
	enum outcome o = ask(a, "DELETE", "DeleteFunctionTask", &path, NULL);
	model_deleted(&t->model, i, generation, o);
	if (o == LOST)
		return err_set(err, RC_BUSY, "the server does not answer: %.200s", a->err.msg);
	if (o == REFUSED)
		findings_add(t->findings, "E5", "task %lld of %s/%s had ended, and cannot be deleted: %.300s",
		             (long long)generation, i->app->name, i->name, a->answer.text);
	return RC_OK;
}

enum rc check_delete_some(struct torture *t, struct asker *a, struct err *err)
{
	enum rc rc = RC_OK;

	for (int k = 0; k < t->model.n_apps; k++) {
		struct app_fact *app = &t->model.apps[k];
		for (int m = 0; m < app->n && rc == RC_OK; m++) {
			struct instance_fact *i = &app->instances[m];
			/* Every second one of what was there for long, so that models go with and without service. */
			for (int64_t g = 1; g <= i->n_tasks && rc == RC_OK; g += 2) {
				if (!i->has_schedule && i->tasks[g - 1].record == KEPT && i->tasks[g - 1].is_over)
					rc = delete_one(t, a, i, g, err);
			}
		}
	}
	return rc;
}

/* ---- what is there all the time ---- */

static enum rc make(struct torture *t, struct asker *a, const char *action, const struct path *path, struct err *err)
{
	enum outcome o = ask(a, "POST", action, path, NULL);

	(void)t;
	if (o == LOST)
		return err_set(err, RC_IO, "%s", a->err.msg);
	return o == DONE ? RC_OK : err_set(err, RC_INTERNAL, "%s: %d %.300s", action, a->answer.status, a->answer.text);
}

static enum rc make_instances(struct torture *t, struct asker *a, struct app_fact *app, struct rng *r, struct err *err)
{
	enum rc rc = RC_OK;

	for (int k = 0; k < app->n && rc == RC_OK; k++) {
		struct instance_fact *i = &app->instances[k];
		struct path path = { path_instances, { app->name, i->trade->function } };
		load_wish(i, r, &i->now);
		ask_instance_body(a, i, &i->now, /* is_creation= */ true);
		i->minute = clock_wall_ms() / MINUTE_MS;
		rc = make(t, a, "CreateFunctionInstance", &path, err);
		i->is = THERE;
	}
	return rc;
}

enum rc check_prepare(struct torture *t, struct asker *a, struct err *err)
{
	struct rng r;
	enum rc rc = RC_OK;

	plan_rng(t->seed, 0, 0, &r);
	for (int k = 0; k < t->model.n_apps && rc == RC_OK; k++) {
		struct app_fact *app = &t->model.apps[k];
		struct path path = { path_apps, { NULL } };
		if (app->comes_and_goes)
			continue;
		ask_app_body(a, app);
		rc = make(t, a, "CreateAppGroup", &path, err);
		app->is = THERE;
		if (rc == RC_OK && app->owner == SHARED)
			rc = make_instances(t, a, app, &r, err);
	}
	return rc;
}
