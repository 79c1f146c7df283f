#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/num.h"
#include "cache/wire.h"
#include "cmd/remote.h"
#include "cmd/torture/caches.h"
#include "os/file.h"

enum { SETTLE_LIMIT_MS = 120000, END_LIMIT_MS = 60000, LOOK_AGAIN_MS = 100, WORDS_SIZE = 400, CREATIONS_MAY_FAIL = 3 };

#define COMPLAIN(c, rule, ...) findings_add((c)->findings, (rule), __VA_ARGS__)

static enum rc gone(const struct asker *a, struct err *err)
{
	return err_set(err, RC_BUSY, "the server does not answer: %.200s", a->err.msg);
}

static enum rc get(struct asker *a, const struct path *path, const char *query, struct err *err)
{
	enum outcome o = ask(a, "GET", "", path, query);

	if (o == LOST)
		return gone(a, err);
	return o == DONE ? RC_OK
	                 : err_set(err, RC_INTERNAL, "%s: %d %.300s", path->pattern, a->answer.status, a->answer.text);
}

/* ---- what the server offers ---- */

static bool is_that_flavor(const json_t *f, const char *size, int64_t copies)
{
	const char *text = json_string_value(json_array_get(json_pick(f, "capacity"), 0));
	return text && strcmp(text, size) == 0 && json_int_of(f, "replica_count") == copies;
}

static enum rc find_spec(struct caches *c, struct asker *a, int mode, int size, struct err *err)
{
	static const char *const queries[] = { "cache_mode=single", "cache_mode=ha" }, *const sizes[] = { "0.125",
		                                                                                          "0.25" };
	struct path path = { "/v2/{}/flavors", { c->project_id } };

	enum rc rc = get(a, &path, queries[mode], err);
	if (rc != RC_OK)
		return rc;
	const json_t *list = json_pick(a->answer.json, "flavors");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *f = json_array_get(list, i);
		if (is_that_flavor(f, sizes[size], mode + 1)) {
			(void)snprintf(c->specs[mode][size], CACHE_TEXT_SIZE, "%s", json_text_of(f, "spec_code"));
			return RC_OK;
		}
	}
	return err_set(err, RC_INTERNAL, "there is no flavor of %s GB", sizes[size]);
}

enum rc caches_prepare(struct caches *c, const char *endpoint, struct err *err)
{
	struct path zones = { "/v2/available-zones", { NULL } };
	struct asker a;

	enum rc rc = caches_ask_open(c, endpoint, &a, err);
	if (rc == RC_OK)
		rc = get(&a, &zones, NULL, err);
	if (rc == RC_OK)
		(void)snprintf(c->zone, sizeof c->zone, "%s",
		               json_text_of(json_array_get(json_pick(a.answer.json, "available_zones"), 0), "code"));
	for (int k = 0; k < CACHE_MODES * CACHE_SIZES && rc == RC_OK; k++)
		rc = find_spec(c, &a, k / CACHE_SIZES, k % CACHE_SIZES, err);
	ask_close(&a);
	return rc;
}

/* ---- what it shows ---- */

static struct cache_fact *fact_named(struct caches *c, const char *name)
{
	for (int k = 0; k < CACHES; k++) {
		if (strcmp(c->rows[k].name, name) == 0)
			return &c->rows[k];
	}
	return NULL;
}

static bool is_failed_creation(const json_t *shown)
{
	return strcmp(json_text_of(shown, "status"), "CREATEFAILED") == 0;
}

static void compare_description(struct caches *c, struct cache_fact *f, const json_t *shown)
{
	int64_t number = 0;
	const char *text = json_text_of(shown, "description");

	bool is_number = strncmp(text, "wish ", 5) == 0 && num_i64(text + 5, &number);
	bool is_right = f->is_open || number == f->description || number == f->asked_description ||
	                (number > f->description && number <= f->description_most);
	if (!is_number || !is_right)
		COMPLAIN(c, "E1", "the Redis instance %s is described as '%.60s', and was as 'wish %lld'", f->name,
		         text, (long long)f->description);
	f->description = number;
	f->asked_description = f->description_most = 0;
}

/* It may be that one as well as another of its name: from now on it is this one. */
static void take_open(struct cache_fact *f)
{
	f->was_up = false;
	f->uid[0] = '\0';
	for (int k = 0; k < CACHE_KEYS; k++) {
		f->kept[k] = 0;
		f->sent[k] = INT64_MAX;
	}
}

/* It is listed. A creation or deletion without an answer is decided by that. */
static void saw(struct caches *c, const json_t *shown)
{
	const char *name = json_text_of(shown, "name"), *uid = json_text_of(shown, "instance_id");
	struct cache_fact *f = fact_named(c, name);

	if (f && f->is_open)
		take_open(f);
	if (!f || f->is == ABSENT || (*f->uid && strcmp(f->uid, uid) != 0)) {
		COMPLAIN(c, "E1", "the Redis instance %.70s, %.40s, is there, and was not made or was deleted", name,
		         uid);
		return;
	}
	(void)snprintf(f->uid, sizeof f->uid, "%s", uid);
	(void)snprintf(f->ip, sizeof f->ip, "%s", json_text_of(shown, "ip"));
	f->is = THERE;
	if (is_failed_creation(shown) && f->was_up)
		COMPLAIN(c, "E1", "the Redis instance %s served, and is now said never to have been made", f->name);
	f->was_up = f->was_up || strcmp(json_text_of(shown, "status"), "RUNNING") == 0;
	f->port = (int)json_int_of(shown, "port");
	compare_description(c, f, shown);
	f->is_open = false;
}

static bool is_listed(const json_t *list, const struct cache_fact *f)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (strcmp(json_text_of(json_array_get(list, i), "name"), f->name) == 0)
			return true;
	}
	return false;
}

static enum rc look_at_list(struct caches *c, struct asker *a, struct err *err)
{
	struct path path = { "/v2/{}/instances", { c->project_id } };

	enum rc rc = get(a, &path, "limit=100&include_failure=true", err);
	if (rc != RC_OK)
		return rc;
	const json_t *list = json_pick(a->answer.json, "instances");
	for (size_t i = 0; i < json_array_size(list); i++)
		saw(c, json_array_get(list, i));
	for (int k = 0; k < CACHES; k++) {
		struct cache_fact *f = &c->rows[k];
		if (f->is == ABSENT || is_listed(list, f))
			continue;
		if (f->is == THERE)
			COMPLAIN(c, "E1", "the Redis instance %s, %s, is lost", f->name, f->uid);
		f->is = ABSENT;
		f->is_open = false;
	}
	return RC_OK;
}

/* ---- what can be read ---- */

static void compare_value(struct caches *c, const struct cache_fact *f, int key, const redisReply *reply)
{
	int64_t value = 0;

	if (reply->type == REDIS_REPLY_STRING && !num_i64(reply->str, &value))
		value = -1;
	if (value < f->kept[key] || value > f->sent[key])
		COMPLAIN(c, "data", "the Redis instance %s has %lld as key-%d, and acknowledged %lld of %lld", f->name,
		         (long long)value, key, (long long)f->kept[key], (long long)f->sent[key]);
}

/* RC_OK: all was read. Anything else: it does not serve just now. */
static enum rc read_data(struct caches *c, struct cache_fact *f, struct err *err)
{
	struct wire *w = NULL;

	enum rc rc = cache_connect(f, &w, err);
	for (int k = 0; k < CACHE_KEYS && rc == RC_OK; k++) {
		redisReply *reply CLEANUP(reply_freep) = NULL;
		char key[24];
		(void)snprintf(key, sizeof key, "key-%d", k);
		rc = wire_call(w, &reply, err, "GET", key);
		if (rc == RC_OK)
			compare_value(c, f, k, reply);
	}
	wire_close(w);
	return rc;
}

enum rc caches_look(struct caches *c, struct asker *a, struct err *err)
{
	enum rc rc = look_at_list(c, a, err);

	for (int k = 0; k < CACHES && rc == RC_OK; k++) {
		struct err why;
		if (c->rows[k].is == THERE && c->rows[k].was_up)
			(void)read_data(c, &c->rows[k],
			                &why); /* one that is being mended is read when all has settled */
	}
	return rc;
}

void caches_spoil(const struct caches *c)
{
	for (int k = 0; k < CACHES; k++) {
		struct wire *w = NULL;
		struct err err;
		enum rc rc = *c->rows[k].ip ? cache_connect(&c->rows[k], &w, &err) : RC_NOT_FOUND;
		if (rc == RC_OK)
			rc = wire_call(w, NULL, &err, "FLUSHALL");
		(void)rc; /* one that does not serve is spoilt another time */
		wire_close(w);
	}
}

/* ---- at rest ---- */

/* What is not yet as it must come to be; "": nothing. */
typedef enum rc rest_fn(struct caches *c, struct asker *a, char words[WORDS_SIZE], struct err *err);

static enum rc await(struct caches *c, struct asker *a, rest_fn *look, const char *rule, int64_t limit_ms,
                     struct err *err)
{
	int64_t until_ms = clock_mono_ms() + limit_ms;

	for (;;) {
		char words[WORDS_SIZE] = "";
		enum rc rc = look(c, a, words, err);
		if (rc != RC_OK || !*words)
			return rc;
		if (clock_mono_ms() > until_ms) {
			COMPLAIN(c, rule, "%s, for %lld ms", words, (long long)limit_ms);
			return RC_OK;
		}
		remote_pause(LOOK_AGAIN_MS);
	}
}

/* A creation may fail: kills used its attempts up, or its port was somebody's. Then it can be deleted. */
static enum rc give_up(struct caches *c, struct asker *a, struct cache_fact *f, struct err *err)
{
	struct path path = { "/v2/{}/instances/{}", { c->project_id, f->uid } };
	enum outcome o = ask(a, "DELETE", "", &path, NULL);

	if (o == LOST)
		return gone(a, err);
	if (o == DONE) {
		f->is = ABSENT;
		c->n_failed_creations++;
	}
	return RC_OK;
}

static enum rc look_at_status(struct caches *c, struct asker *a, struct cache_fact *f, char words[WORDS_SIZE],
                              struct err *err)
{
	struct path path = { "/v2/{}/instances/{}", { c->project_id, f->uid } };

	enum rc rc = get(a, &path, NULL, err);
	if (rc != RC_OK)
		return rc;
	const char *status = json_text_of(a->answer.json, "status");
	if (is_failed_creation(a->answer.json) && !f->was_up)
		return give_up(c, a, f, err);
	if (strcmp(status, "RUNNING") != 0)
		(void)snprintf(words, WORDS_SIZE, "the Redis instance %s, %s, is %.40s", f->name, f->uid, status);
	else
		f->was_up = true;
	return RC_OK;
}

static enum rc look_at_tasks(struct caches *c, struct asker *a, char words[WORDS_SIZE], struct err *err)
{
	struct path path = { "/v2/{}/tasks", { c->project_id } };

	enum rc rc = get(a, &path, "limit=100", err);
	if (rc != RC_OK)
		return rc;
	const json_t *list = json_pick(a->answer.json, "tasks");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *t = json_array_get(list, i);
		const char *status = json_text_of(t, "status");
		if (strcmp(status, "SUCCESS") != 0 && strcmp(status, "FAILED") != 0)
			(void)snprintf(words, WORDS_SIZE, "the task %.40s, %.40s, is %.40s", json_text_of(t, "name"),
			               json_text_of(t, "id"), status);
	}
	return RC_OK;
}

static enum rc look_for_rest(struct caches *c, struct asker *a, char words[WORDS_SIZE], struct err *err)
{
	enum rc rc = look_at_tasks(c, a, words, err);

	for (int k = 0; k < CACHES && rc == RC_OK && !*words; k++) {
		struct cache_fact *f = &c->rows[k];
		struct err why;
		if (f->is == THERE)
			rc = look_at_status(c, a, f, words, err);
		if (f->is == THERE && rc == RC_OK && !*words && read_data(c, f, &why) != RC_OK)
			(void)snprintf(words, WORDS_SIZE,
			               "the Redis instance %s, %s, is RUNNING and cannot be read: %.200s", f->name,
			               f->uid, why.msg);
	}
	return rc;
}

/* ---- what is left over ---- */

static const struct cache_fact *fact_of(const struct caches *c, const char *uid)
{
	for (int k = 0; k < CACHES; k++) {
		if (c->rows[k].is == THERE && strcmp(c->rows[k].uid, uid) == 0)
			return &c->rows[k];
	}
	return NULL;
}

static void look_at_processes(const struct caches *c, char words[WORDS_SIZE])
{
	struct redis_process live[REDIS_MAX];
	int n_of[CACHES] = { 0 };

	for (size_t n = redis_list(c->cfg->data, live), k = 0; k < n; k++) {
		const struct cache_fact *f = fact_of(c, live[k].uid);
		if (!f)
			(void)snprintf(words, WORDS_SIZE,
			               "redis-server process %d works in cache/%s, which is nobody's", (int)live[k].pid,
			               live[k].uid);
		else
			n_of[f - c->rows]++;
	}
	for (int k = 0; k < CACHES; k++) {
		if (c->rows[k].is == THERE && n_of[k] != c->rows[k].n_nodes)
			(void)snprintf(words, WORDS_SIZE, "the Redis instance %s, %s, has %d processes of %d",
			               c->rows[k].name, c->rows[k].uid, n_of[k], c->rows[k].n_nodes);
	}
}

static void look_at_folder(const struct caches *c, const char *tree, char words[WORDS_SIZE])
{
	char path[PATH_MAX];
	DIR *dir = path_join(path, c->cfg->data, tree, NULL) == RC_OK ? opendir(path) : NULL;

	if (!dir)
		return; /* no instance was ever made */
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (*e->d_name != '.' && !fact_of(c, e->d_name))
			(void)snprintf(words, WORDS_SIZE, "the folder %s/%.60s is nobody's", tree, e->d_name);
	}
	(void)closedir(dir);
}

static enum rc look_for_leftovers(struct caches *c, struct asker *a, char words[WORDS_SIZE], struct err *err)
{
	(void)a;
	(void)err;
	look_at_processes(c, words);
	look_at_folder(c, "cache", words);
	look_at_folder(c, "backups", words);
	return RC_OK;
}

enum rc caches_settle(struct caches *c, struct asker *a, struct err *err)
{
	enum rc rc = look_at_list(c, a, err);
	if (rc == RC_OK)
		rc = await(c, a, look_for_rest, "redis", SETTLE_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = await(c, a, look_for_leftovers, "redis", END_LIMIT_MS, err);
	return rc;
}

/* ---- the end ---- */

static enum rc delete_all(struct caches *c, struct asker *a, char words[WORDS_SIZE], struct err *err)
{
	for (int k = 0; k < CACHES; k++) {
		struct cache_fact *f = &c->rows[k];
		struct path path = { "/v2/{}/instances/{}", { c->project_id, f->uid } };
		if (f->is != THERE)
			continue;
		enum outcome o = ask(a, "DELETE", "", &path, NULL);
		if (o == LOST)
			return gone(a, err);
		if (o == DONE)
			f->is = ABSENT;
		else
			(void)snprintf(words, WORDS_SIZE, "the Redis instance %s cannot be deleted: %.200s", f->name,
			               a->answer.text);
	}
	return RC_OK;
}

enum rc caches_end(struct caches *c, struct asker *a, struct err *err)
{
	enum rc rc = await(c, a, delete_all, "redis", END_LIMIT_MS, err);
	return rc == RC_OK ? await(c, a, look_for_leftovers, "redis", END_LIMIT_MS, err) : rc;
}
