#include "cmd/dcs.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"

enum { POLL_MS = 250, SEGMENTS_MAX = 4 };

bool dcs_open(struct remote *r, struct opt *opts, size_t n_opts, int argc, char **argv, const char **operands,
	      int *exit_code)
{
	r->options.cloud = CLOUD_DCS;
	return remote_open(r, opts, n_opts, argc, argv, operands, exit_code);
}

bool dcs_call(struct remote *r, const char *method, const char *pattern, const char *const *segments,
	      const char *query, const char *body, struct answer *out)
{
	const char *all[SEGMENTS_MAX] = { client_project(r->client) };
	char whole[160];
	size_t n = 1;

	for (const char *p = strchr(pattern, '{'); p && n < SEGMENTS_MAX; p = strchr(p + 1, '{')) {
		/* cppcheck-suppress nullPointer; none are given only where the pattern has no place for one */
		all[n] = segments[n - 1];
		n++;
	}
	(void)snprintf(whole, sizeof whole, "/v2/{}%s", pattern);
	return remote_call(r, method, "", client_path(r->client, whole, all, n), query, body, out);
}

bool dcs_call_on(struct remote *r, const char *method, const char *uid, const char *pattern, const char *query,
		 const char *body, struct answer *out)
{
	char whole[120];

	(void)snprintf(whole, sizeof whole, "/instances/{}%s", pattern);
	return dcs_call(r, method, whole, &uid, query, body, out);
}

/* ---- an instance ---- */

static bool is_uuid(const char *text)
{
	return strlen(text) == 36 && strspn(text, "0123456789abcdefABCDEF-") == 36 && text[8] == '-';
}

static bool find_uid(struct remote *r, const char *name, const char **uid)
{
	const char *pairs[] = { "name", name, "name_equal", "true", "include_failure", "true", "limit", "2" };
	struct answer a;

	if (!dcs_call(r, "GET", "/instances", NULL, client_query(r->client, pairs, 4), NULL, &a))
		return false;
	const json_t *list = json_pick(a.json, "instances");
	if (json_array_size(list) == 0)
		r->rc = err_set(&r->err, RC_NOT_FOUND, "no cache is named '%.80s'", name);
	else if (json_array_size(list) > 1)
		r->rc = err_set(&r->err, RC_INVALID, "several caches are named '%.80s': give the id (stint cache list)",
				name);
	*uid = json_text_of(json_array_get(list, 0), "instance_id");
	return r->rc == RC_OK;
}

bool dcs_find(struct remote *r, const char *name_or_uid, struct dcs_cache *out)
{
	const char *uid = name_or_uid;
	struct answer a;

	if (!is_uuid(name_or_uid) && !find_uid(r, name_or_uid, &uid))
		return false;
	if (!dcs_call_on(r, "GET", uid, "", NULL, NULL, &a))
		return false;
	(void)snprintf(out->uid_text, sizeof out->uid_text, "%s", json_text_of(a.json, "instance_id"));
	(void)snprintf(out->name_text, sizeof out->name_text, "%s", json_text_of(a.json, "name"));
	out->uid = out->uid_text;
	out->name = out->name_text;
	out->json = a.json;
	return true;
}

/* ---- bodies ---- */

enum { BODY_MAX = 1 << 20 };

void dcs_body_begin(struct jw *w, struct buf *body)
{
	buf_init(body, BODY_MAX);
	jw_init(w, body, CASING_CAMEL);
	jw_object(w);
}

bool dcs_body_finish(struct remote *r, struct jw *w, struct buf *body)
{
	if (r->rc == RC_OK)
		jw_end_object(w);
	if (r->rc == RC_OK && body->is_over)
		r->rc = err_set(&r->err, RC_LIMIT, "the parameters are too large");
	return r->rc == RC_OK;
}

void dcs_body_drop(struct buf *body)
{
	if (body->cap)
		mem_wipe(body->bytes, body->cap);
	buf_fini(body);
}

bool dcs_body_zones(struct remote *r, struct jw *w, const char *name)
{
	struct answer a;

	if (!remote_call(r, "GET", "", "/v2/available-zones", NULL, NULL, &a))
		return false;
	jw_key(w, name);
	jw_array(w);
	jw_text(w, json_text_of(json_array_get(json_pick(a.json, "available_zones"), 0), "code"));
	jw_end_array(w);
	return true;
}

/* ---- sizes ---- */

bool dcs_size(struct remote *r, const char *text, int64_t *mib)
{
	size_t len = strspn(text, "0123456789.");
	const char *unit = text + len;
	bool is_mib = strcmp(unit, "M") == 0 || strcmp(unit, "MB") == 0;
	double n;

	if (num_f64_n(text, len < 20 ? len : 0, &n) && n > 0 && n < 1e6 &&
	    (is_mib || !*unit || strcmp(unit, "G") == 0 || strcmp(unit, "GB") == 0)) {
		*mib = (int64_t)(is_mib ? n : n * 1024);
		return true;
	}
	r->rc = err_set(&r->err, RC_INVALID, "a size is written 128M, 1G or, in gigabytes, 0.125, not '%.40s'", text);
	return false;
}

static const char *size_text(const json_t *flavors, size_t i)
{
	const char *text = json_string_value(json_array_get(json_pick(json_array_get(flavors, i), "capacity"), 0));
	return text ? text : "";
}

/* They come again for every number of copies. */
static void list_sizes(const json_t *flavors, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < json_array_size(flavors) && used < size; i++) {
		if (i > 0 && strcmp(size_text(flavors, i), size_text(flavors, 0)) == 0)
			break;
		used += (size_t)snprintf(out + used, size - used, " %s", size_text(flavors, i));
	}
}

static bool has_size(const json_t *flavor, int64_t mib)
{
	double gb;
	const char *text = json_string_value(json_array_get(json_pick(flavor, "capacity"), 0));
	return text && num_f64(text, &gb) && (int64_t)(gb * 1024) == mib;
}

bool dcs_spec(struct remote *r, const char *mode, const char *cpu_type, int64_t mib, int64_t copies, const char **out)
{
	const char *pairs[] = { "cache_mode", mode, "cpu_type", cpu_type };
	struct answer a;
	char sizes[200];

	if (!dcs_call(r, "GET", "/flavors", NULL, client_query(r->client, pairs, 2), NULL, &a))
		return false;
	const json_t *flavors = json_pick(a.json, "flavors");
	for (size_t i = 0; i < json_array_size(flavors); i++) {
		const json_t *f = json_array_get(flavors, i);
		if (has_size(f, mib) && (copies == 0 || json_int_of(f, "replica_count") == copies)) {
			*out = json_text_of(f, "spec_code");
			return true;
		}
	}
	list_sizes(flavors, sizes, sizeof sizes);
	r->rc = err_set(&r->err, RC_INVALID, "%s caches have no size of %g GB; in gigabytes there are:%s", mode,
			(double)mib / 1024, sizes);
	return false;
}

const char *dcs_time(struct arena *a, const json_t *object, const char *name)
{
	const char *text = json_text_of(object, name);
	return strlen(text) >= 19 ? arena_printf(a, "%.10s %.8s", text, text + 11) : "-";
}

/* ---- waiting ---- */

bool dcs_newest_task(struct remote *r, const char *uid, char out[40])
{
	struct answer a;

	if (!dcs_call_on(r, "GET", uid, "/tasks", "limit=1", NULL, &a))
		return false;
	const char *id = json_text_of(json_array_get(json_pick(a.json, "tasks"), 0), "id");
	if (!*id) {
		r->rc = err_set(&r->err, RC_NOT_FOUND, "the cache has no background task");
		return false;
	}
	(void)snprintf(out, 40, "%s", id);
	return true;
}

/* The step that runs, else the last one. */
static const char *step_of(const json_t *progress)
{
	const json_t *steps = json_pick(progress, "step_details");
	size_t n = json_array_size(steps);
	const char *name = "";

	for (size_t i = 0; i < n; i++) {
		const json_t *step = json_array_get(steps, i);
		name = json_text_of(step, "step_name");
		if (strcmp(json_text_of(step, "step_status"), "EXECUTING") == 0)
			break;
	}
	return name;
}

static bool show_progress(struct remote *r, struct progress *bar, const char *uid, const char *task)
{
	const char *segments[] = { uid, task };
	struct answer a;

	if (!uid)
		return true;
	if (!dcs_call(r, "GET", "/instances/{}/tasks/{}/progress", segments, NULL, NULL, &a))
		return false;
	if (!r->options.as_json)
		progress_show(bar, (int)json_int_of(a.json, "progress"), step_of(a.json), clock_mono_ms());
	return true;
}

/* True while the task goes on. */
static bool goes_on(struct remote *r, const char *task)
{
	struct answer a;

	if (!dcs_call(r, "GET", "/jobs/{}", &task, NULL, NULL, &a))
		return false;
	const char *status = json_text_of(a.json, "status");
	if (strcmp(status, "FAIL") == 0)
		r->rc = err_set(&r->err, RC_CONFLICT, "%s failed: %.300s", json_text_of(a.json, "job_type"),
				json_text_of(a.json, "fail_reason"));
	return strcmp(status, "INIT") == 0 || strcmp(status, "RUNNING") == 0;
}

void dcs_wait(struct remote *r, const char *uid, const char *task)
{
	struct progress bar;
	bool is_going = true;

	progress_init(&bar, clock_mono_ms());
	while (is_going) {
		client_forget(r->client);
		is_going = goes_on(r, task); /* first, so that what is shown last is the end */
		if (r->rc == RC_OK && show_progress(r, &bar, uid, task) && is_going)
			remote_pause(POLL_MS);
		is_going = is_going && r->rc == RC_OK;
	}
	progress_end(&bar);
}

void dcs_finish(struct remote *r, const struct dcs_cache *cache, bool waits, const char *done)
{
	char task[40];

	if (r->rc != RC_OK || !dcs_newest_task(r, cache->uid, task))
		return;
	if (waits)
		dcs_wait(r, cache->uid, task);
	if (r->rc != RC_OK)
		return;
	if (r->options.as_json)
		buf_addf(&r->out, "{\"instance_id\":\"%s\",\"task_id\":\"%s\"}", cache->uid, task);
	else if (waits)
		buf_addf(&r->out, "Cache %s %s.", cache->name, done);
	else
		buf_addf(&r->out, "Task %s is accepted. Look at it: stint cache tasks %s", task, cache->name);
}
