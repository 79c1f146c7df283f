#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "cache/wire.h"
#include "cmd/remote.h"
#include "cmd/torture/caches.h"
#include "cmd/torture/plan.h"

enum {
	PAUSE_SPREAD_MS = 20,
	BURST_MAX = 24,
	PORT_LOWEST = 10000,
	PORT_SPREAD = 20000,
	VALUE_MAX = 24,
	INFO_MAX = 64 << 10
};

static const char path_caches[] = "/v2/{}/instances", path_status[] = "/v2/{}/instances/status";
static const char path_cache[] = "/v2/{}/instances/{}", path_resize[] = "/v2/{}/instances/{}/resize";
static const char path_backups[] = "/v2/{}/instances/{}/backups", path_tags[] = "/v2/{}/dcs/{}/tags/action";
static const char path_swap[] = "/v2/{}/instances/{}/async-swap";

static bool by_chance(struct cache_load *l, uint64_t one_in) { return rng_below(&l->rng, one_in) == 0; }

static struct path on(const struct cache_load *l, const char *pattern, const struct cache_fact *f)
{
	return (struct path){ pattern, { l->caches->project_id, f->uid } };
}

/* It is busy, or does not serve just now: every operation may say so. */
static bool is_not_now(const struct asker *a)
{
	static const char *const codes[] = { "DCS.4026", "DCS.4049", "DCS.4096", "DCS.4097",
		                             "DCS.4099", "DCS.4111", "DCS.4113", "DCS.4118" };

	for (size_t k = 0; k < ARRAY_LEN(codes); k++) {
		if (strcmp(ask_code(a), codes[k]) == 0)
			return true;
	}
	return false;
}

static bool is_stopping(struct cache_load *l) { return atomic_load(&l->is_stopping) && l->asker.answer.status == 503; }

static void unexpected(struct cache_load *l, const char *what, const struct cache_fact *f)
{
	if (!is_stopping(l))
		findings_add(l->caches->findings, "answer", "%s of the Redis instance %s was refused: %d %.300s", what,
		             f->name, l->asker.answer.status, l->asker.answer.text);
}

/* An operation whose body is in the asker, if it has one. */
static enum outcome operate(struct cache_load *l, const char *method, const char *pattern, const struct cache_fact *f,
                            const char *what)
{
	struct path path = on(l, pattern, f);
	enum outcome o = ask(&l->asker, method, "", &path, NULL);

	if (o == REFUSED && !is_not_now(&l->asker))
		unexpected(l, what, f);
	l->caches->n_operations += o == DONE;
	return o;
}

static void begin_body(struct cache_load *l, struct jw *w)
{
	buf_reset(&l->asker.body);
	jw_init(w, &l->asker.body, CASING_CAMEL);
	jw_object(w);
}

/* ---- coming and going ---- */

static void write_description(struct jw *w, int64_t number)
{
	char text[40];
	(void)snprintf(text, sizeof text, "wish %lld", (long long)number);
	jw_kv_text(w, "description", text);
}

static void write_creation(struct cache_load *l, const struct cache_fact *f)
{
	const struct caches *c = l->caches;
	struct jw w;

	begin_body(l, &w);
	jw_kv_text(&w, "name", f->name);
	jw_kv_text(&w, "engine", "Redis");
	jw_kv_text(&w, "engine_version", "7.0");
	jw_kv_real(&w, "capacity", f->size ? 0.25 : 0.125);
	jw_kv_text(&w, "spec_code", c->specs[f->n_nodes > 1][f->size]);
	jw_key(&w, "az_codes");
	jw_array(&w);
	jw_text(&w, c->zone);
	jw_end_array(&w);
	jw_kv_text(&w, "vpc_id", "v");
	jw_kv_text(&w, "subnet_id", "s");
	jw_kv_text(&w, "password", CACHE_PASSWORD);
	jw_kv_int(&w, "port", f->port);
	write_description(&w, f->description);
	jw_end_object(&w);
}

static void create(struct cache_load *l, struct cache_fact *f)
{
	struct path path = { path_caches, { l->caches->project_id } };
	struct cache_fact fresh = { .mode = f->mode, .n_nodes = f->n_nodes };

	memcpy(fresh.name, f->name, sizeof fresh.name);
	fresh.port = PORT_LOWEST + (int)rng_below(&l->rng, PORT_SPREAD);
	fresh.description = ++l->caches->number;
	*f = fresh;
	write_creation(l, f);
	enum outcome o = ask(&l->asker, "POST", "", &path, NULL);
	if (o == REFUSED) {
		unexpected(l, "the creation", f);
		return;
	}
	f->is = o == DONE ? THERE : UNSURE;
	l->caches->n_made += o == DONE;
	const json_t *made = json_array_get(json_pick(l->asker.answer.json, "instances"), 0);
	if (o == DONE)
		(void)snprintf(f->uid, sizeof f->uid, "%s", json_text_of(made, "instance_id"));
}

static void delete (struct cache_load *l, struct cache_fact *f)
{
	enum outcome o = operate(l, "DELETE", path_cache, f, "the deletion");

	if (o == DONE)
		f->is = ABSENT;
	else if (o == LOST)
		f->is = UNSURE;
	l->caches->n_deleted += o == DONE;
}

/* ---- looking and changing ---- */

static void show(struct cache_load *l, struct cache_fact *f)
{
	struct path path = on(l, path_cache, f);
	enum outcome o = ask(&l->asker, "GET", "", &path, NULL);
	const json_t *shown = l->asker.answer.json;
	char wanted[40];

	if (o == REFUSED)
		unexpected(l, "a look", f);
	if (o != DONE)
		return;
	f->was_up = f->was_up || strcmp(json_text_of(shown, "status"), "RUNNING") == 0;
	(void)snprintf(f->ip, sizeof f->ip, "%s", json_text_of(shown, "ip"));
	(void)snprintf(wanted, sizeof wanted, "wish %lld", (long long)f->description);
	if (strcmp(json_text_of(shown, "description"), wanted) != 0)
		findings_add(l->caches->findings, "E1",
		             "the Redis instance %s is described as '%.60s', and was as '%s'", f->name,
		             json_text_of(shown, "description"), wanted);
}

static void describe(struct cache_load *l, struct cache_fact *f)
{
	int64_t number = ++l->caches->number;
	struct jw w;

	begin_body(l, &w);
	write_description(&w, number);
	jw_end_object(&w);
	enum outcome o = operate(l, "PUT", path_cache, f, "the description");
	if (o == DONE)
		f->description = number;
	else if (o == LOST)
		f->asked_description = number;
}

static void resize(struct cache_load *l, struct cache_fact *f)
{
	int size = !f->size;
	struct jw w;

	begin_body(l, &w);
	jw_kv_text(&w, "spec_code", l->caches->specs[f->n_nodes > 1][size]);
	jw_kv_int(&w, "new_capacity", 0);
	jw_end_object(&w);
	struct path path = on(l, path_resize, f);
	enum outcome o = ask(&l->asker, "POST", "", &path, NULL);
	/* DCS.4103: it has that size already, since an earlier one failed, or came to its end without an answer. */
	if (o == REFUSED && !is_not_now(&l->asker) && strcmp(ask_code(&l->asker), "DCS.4103") != 0)
		unexpected(l, "the resize", f);
	l->caches->n_operations += o == DONE;
	if (o != REFUSED || strcmp(ask_code(&l->asker), "DCS.4103") == 0)
		f->size = size;
}

static void restart(struct cache_load *l, struct cache_fact *f)
{
	struct path path = { path_status, { l->caches->project_id } };
	struct jw w;

	begin_body(l, &w);
	jw_key(&w, "instances");
	jw_array(&w);
	jw_text(&w, f->uid);
	jw_end_array(&w);
	jw_kv_text(&w, "action", "restart");
	jw_end_object(&w);
	enum outcome o = ask(&l->asker, "PUT", "", &path, NULL); /* its result says whether it was not now */
	if (o == REFUSED)
		unexpected(l, "the restart", f);
	l->caches->n_operations += o == DONE;
}

static void back_up(struct cache_load *l, struct cache_fact *f)
{
	struct jw w;

	if (f->n_nodes == 1)
		return; /* the vendor makes none of a single one */
	begin_body(l, &w);
	jw_end_object(&w);
	(void)operate(l, "POST", path_backups, f, "a backup");
}

static void tag(struct cache_load *l, struct cache_fact *f)
{
	char value[VALUE_MAX];
	struct jw w;

	(void)snprintf(value, sizeof value, "%lld", (long long)++l->caches->number);
	begin_body(l, &w);
	jw_kv_text(&w, "action", "create");
	jw_key(&w, "tags");
	jw_array(&w);
	jw_object(&w);
	jw_kv_text(&w, "key", "tortured");
	jw_kv_text(&w, "value", value);
	jw_end_object(&w);
	jw_end_array(&w);
	jw_end_object(&w);
	(void)operate(l, "POST", path_tags, f, "a tag");
}

static void switch_over(struct cache_load *l, struct cache_fact *f)
{
	if (f->n_nodes > 1)
		(void)operate(l, "PUT", path_swap, f, "the switchover");
}

/* ---- data ---- */

/* Redis answers a write before it has handed it to the kernel only while an fsync takes long; then it says so. */
static bool is_with_the_kernel(struct wire *w)
{
	struct buf info;
	struct err err;

	buf_init(&info, INFO_MAX);
	bool is = info_read(w, &info, &err, "persistence") == RC_OK && info_int(&info, "aof_buffer_length", -1) == 0;
	buf_fini(&info);
	return is;
}

static bool is_with_the_replica(struct wire *w)
{
	redisReply *reply CLEANUP(reply_freep) = NULL;
	struct err err;

	return wire_call(w, &reply, &err, "WAIT", "1", "500") == RC_OK && reply->type == REDIS_REPLY_INTEGER &&
	       reply->integer >= 1;
}

/* Has Redis taken it for good? */
static bool is_kept(struct wire *w, const struct cache_fact *f, const char *key, const char *value)
{
	struct err err;

	if (wire_call(w, NULL, &err, "SET", key, value) != RC_OK)
		return false;
	return f->n_nodes == 1 ? is_with_the_kernel(w) : is_with_the_replica(w);
}

/* Only what has been RUNNING: a creation that is tried again begins with an empty one. */
static void write_data(struct cache_load *l, struct cache_fact *f)
{
	struct wire *w = NULL;
	struct err err;
	bool goes_on = f->was_up && *f->ip && cache_connect(f, &w, &err) == RC_OK;

	for (int n = 1 + (int)rng_below(&l->rng, BURST_MAX); goes_on && n > 0; n--) {
		char key[VALUE_MAX], value[VALUE_MAX];
		size_t k = (size_t)rng_below(&l->rng, CACHE_KEYS);
		int64_t number = ++l->caches->number;
		(void)snprintf(key, sizeof key, "key-%zu", k);
		(void)snprintf(value, sizeof value, "%lld", (long long)number);
		f->sent[k] = number;
		goes_on = is_kept(w, f, key, value);
		if (goes_on)
			f->kept[k] = number;
		l->caches->n_written += goes_on;
	}
	wire_close(w);
}

/* ---- the connection ---- */

static const struct {
	uint64_t weight;
	void (*act)(struct cache_load *l, struct cache_fact *f);
} deeds[] = {
	{ 40, write_data }, { 20, show }, { 8, describe },    { 4, resize }, { 4, restart },
	{ 4, back_up },     { 4, tag },   { 3, switch_over }, { 2, delete },
};

static void do_something(struct cache_load *l)
{
	struct cache_fact *f = &l->caches->rows[rng_below(&l->rng, CACHES)];
	uint64_t all = 0;
	size_t k = 0;

	if (f->is == ABSENT && by_chance(l, 2))
		create(l, f);
	if (f->is == THERE && !f->was_up)
		show(l, f); /* so that it is written to as soon as it serves */
	if (f->is != THERE)
		return;
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++)
		all += deeds[i].weight;
	uint64_t dice = rng_below(&l->rng, all);
	for (; dice >= deeds[k].weight; k++)
		dice -= deeds[k].weight;
	deeds[k].act(l, f);
}

static void *work(void *arg)
{
	struct cache_load *l = arg;

	while (!l->asker.lost_us && !atomic_load(&l->is_stopping)) {
		must(pthread_rwlock_rdlock(l->gate) == 0);
		do_something(l);
		must(pthread_rwlock_unlock(l->gate) == 0);
		remote_pause((long)rng_below(&l->rng, PAUSE_SPREAD_MS));
	}
	return NULL;
}

enum rc cache_load_start(struct cache_load *l, struct caches *c, const char *endpoint, const struct rng *rng,
                         pthread_rwlock_t *gate, struct err *err)
{
	l->caches = c;
	l->gate = gate;
	l->rng = *rng;
	atomic_init(&l->is_stopping, false);
	enum rc rc = caches_ask_open(c, endpoint, &l->asker, err);
	if (rc != RC_OK)
		return rc;
	int sys = pthread_create(&l->thread, NULL, work, l);
	if (sys == 0)
		return RC_OK;
	ask_close(&l->asker);
	return err_sys(err, RC_IO, sys, "cannot start a thread");
}

void cache_load_stop(struct cache_load *l)
{
	atomic_store(&l->is_stopping, true);
	must(pthread_join(l->thread, NULL) == 0);
	ask_close(&l->asker);
}
