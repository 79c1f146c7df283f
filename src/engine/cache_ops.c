/*
 * What an operation's task means for its cache: the status while it waits and runs, what its end leaves, the records of
 * backups and restores, and who waits for the end. All on the writer thread.
 *
 * The child returns the cache's new description in its result, {"cache":{...}}; it replaces row.state in the
 * transaction that ends the task. That of a failed task is the old one with the processes that run now; one that was
 * killed sends none, and its next attempt begins by healing. What the machine made fail for good is followed by
 * a recovery (cache_after.c).
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/rand.h"
#include "engine/cache.h"
#include "engine/cache_state.h"
#include "engine/priv.h"
#include "engine/schedule.h"
#include "json/json.h"

enum { STATE_MAX = 65536, HOSTS_PER_CACHE = 64, SLOTS = 1 << 16 };

static const struct {
	const char *name, *during, *failed;
	bool from_error;
} ops[CACHE_OPS] = {
#define X(id, name, during, failed, from_error) { name, during, failed, from_error },
	CACHE_OP_TABLE(X)
#undef X
};

const char *cache_op_name(enum cache_op op) { return ops[op].name; }

enum cache_op cache_op_of(const char *task_name)
{
	for (int i = 0; i < CACHE_OPS; i++) {
		if (strcmp(ops[i].name, task_name) == 0)
			return (enum cache_op)i;
	}
	return CACHE_OPS;
}

bool is_cache_task(const struct task_row *t) { return strcmp(t->kind, KIND_TRAIN) != 0; }

/* ---- addresses ---- */

/* Every node has a loopback address of its own, so that the default port is free for each: 127.64.0.0/10, 64 addresses
 * a cache, the first for the clients of an ha instance, the others for its nodes. Where a data folder begins in
 * that range is drawn from its secret key, so that two servers on one machine hardly ever meet. false:
 * no such number. */
static bool host_of(const struct engine *e, int64_t cache_id, int64_t number, char out[16])
{
	unsigned char block[16] = "first address";

	keyring_block(e->keys, block, true);
	int64_t slot = (cache_id + block[0] * 256 + block[1]) % SLOTS, n = slot * HOSTS_PER_CACHE + number;
	if (number >= HOSTS_PER_CACHE)
		return false;
	(void)snprintf(out, 16, "127.%d.%d.%d", 64 + (int)(n >> 16 & 63), (int)(n >> 8 & 255), (int)(n & 255));
	return true;
}

/* Do processes run, or may they, at the addresses of the cache with this id? */
static enum rc is_housed(struct engine *e, int64_t cache_id, struct arena *a, bool *is, struct err *err)
{
	struct cache_row c;
	struct instance_row unit;
	struct query q = { .table = &table_cache, .preds = { PRED_INT("id", CMP_EQ, cache_id) }, .n_preds = 1 };

	*is = false;
	enum rc rc = store_get(e->store, &q, &c, a, err);
	if (rc == RC_OK)
		rc = row_instance(e->store, c.unit_id, a, &unit, err);
	if (rc == RC_OK)
		*is = !c.deleted_at || unit.busy_task_id; /* until its deletion has ended */
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* Ids are never given again, addresses are: those of every SLOTS-th id. */
static enum rc has_neighbour(struct engine *e, int64_t cache_id, struct arena *a, bool *has, struct err *err)
{
	enum rc rc = RC_OK;

	*has = false;
	for (int64_t id = cache_id - SLOTS; id > 0 && rc == RC_OK && !*has; id -= SLOTS)
		rc = is_housed(e, id, a, has, err);
	return rc;
}

/* ---- starting one ---- */

static enum rc set_status(struct engine *e, struct cache_row *c, const char *status, int64_t now, struct err *err)
{
	if (*status)
		c->status = status;
	c->updated_at = now;
	return store_update(e->store, &table_cache, c, err);
}

enum rc cache_insert_task(struct engine *e, struct instance_row *unit, const struct cache_row *c, const char *kind,
			  const struct actor *actor, const char *args, const char *details, int64_t not_before,
			  int64_t now, struct arena *a, int64_t *task_id, struct err *err)
{
	struct buf text;
	struct jw w;
	struct task_row task;

	buf_init(&text, STATE_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "user_name", actor->user_name);
	jw_kv_text(&w, "user_id", actor->user_id);
	jw_key(&w, "details");
	jw_raw(&w, details);
	jw_key(&w, "args");
	jw_raw(&w, args);
	jw_end_object(&w);
	struct task_order order = { .kind = kind, .run_prefix = "trigger", .not_before = not_before,
				    .params = text.is_over ? NULL : arena_dup(a, buf_text(&text)) };
	buf_fini(&text);
	if (!order.params)
		return err_set(err, RC_LIMIT, "the operation's parameters are too long");
	enum rc rc = task_insert(e, unit, &order, now, a, &task, err);
	struct cache_task_row link = { .task_id = task.id, .cache_id = c->id, .project_id = c->project_id };
	if (rc == RC_OK)
		rc = store_insert(e->store, &table_cache_task, &link, err);
	*task_id = task.id;
	return rc;
}

/* ---- create ---- */

/* The project's folder of units: an app group that no account of the other dialect can name. */
static enum rc project_unit(struct engine *e, const char *project_id, int64_t now, struct arena *a, int64_t *app_id,
			    struct err *err)
{
	struct app_row app;
	struct query q = { .table = &table_app,
			   .preds = { PRED_TEXT("account", CMP_EQ, "project"), PRED_TEXT("name", CMP_EQ, project_id) },
			   .n_preds = 2 };
	enum rc rc = store_get(e->store, &q, &app, a, err);
	if (rc == RC_NOT_FOUND) {
		app = (struct app_row){ .account = "project", .name = project_id, .type = CACHE_FUNCTION, .quota = "{}",
					.tags = "[]", .created_at = now, .updated_at = now };
		rc = store_insert(e->store, &table_app, &app, err);
	}
	*app_id = app.id;
	return rc;
}

static enum rc check_quota(struct engine *e, struct cache_create *c, struct arena *a, struct err *err)
{
	struct cache_row *rows;
	size_t n = 0;
	int64_t memory_mib = c->row.capacity_mib;
	struct query q = { .table = &table_cache,
			   .preds = { PRED_TEXT("project_id", CMP_EQ, c->row.project_id),
				      PRED_INT("deleted_at", CMP_EQ, 0) },
			   .n_preds = 2 };
	enum rc rc = store_list(e->store, &q, a, (void **)&rows, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		memory_mib += rows[i].capacity_mib;
	if (rc == RC_OK && (int64_t)n >= c->caches_max)
		return err_set(err, RC_LIMIT, "instances: the project has %zu of %lld", n, (long long)c->caches_max);
	c->is_over_memory = rc == RC_OK && memory_mib > c->memory_max_mib;
	if (c->is_over_memory)
		return err_set(err, RC_LIMIT, "memory: %lld MiB of at most %lld", (long long)memory_mib,
			       (long long)c->memory_max_mib);
	return rc;
}

/* The first description, as cache_create (cache/cache.h) wants it. */
static enum rc first_state(const struct engine *e, const struct cache_create *c, struct arena *a, const char **out,
			   struct err *err)
{
	bool is_ha = strcmp(c->row.cache_mode, "ha") == 0;
	int n_nodes = is_ha ? 1 + c->n_replicas : 1;
	char host[16];
	struct buf text;
	struct jw w;

	buf_init(&text, STATE_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "mode", is_ha ? "ha" : "single");
	jw_kv_text(&w, "dir", arena_printf(a, "%s/cache/%s", e->data_dir, c->uid));
	jw_kv_text(&w, "host", c->row.ip);
	jw_kv_int(&w, "port", c->row.port);
	jw_kv_int(&w, "capacity", c->row.capacity_mib << 20);
	jw_kv_text(&w, "password_hash", c->password_hash);
	jw_key(&w, "settings");
	jw_raw(&w, c->settings ? c->settings : "{}");
	jw_key(&w, "renames");
	jw_raw(&w, c->renames);
	jw_key(&w, "nodes");
	jw_array(&w);
	for (int i = 1; i <= n_nodes; i++) {
		jw_object(&w);
		jw_kv_int(&w, "number", i);
		jw_kv_text(&w, "host", is_ha && host_of(e, c->row.id, i, host) ? host : c->row.ip);
		jw_kv_int(&w, "priority", 100);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_kv_int(&w, "master", 0);
	jw_end_object(&w);
	*out = text.is_over ? NULL : arena_dup(a, buf_text(&text));
	buf_fini(&text);
	return *out ? RC_OK : err_set(err, RC_LIMIT, "the description is too long");
}

/* The row, under the next id whose addresses are free. */
static enum rc insert_housed(struct engine *e, struct cache_row *row, struct arena *a, struct err *err)
{
	bool is_taken = true;
	enum rc rc = store_insert(e->store, &table_cache, row, err);

	for (int i = 0; rc == RC_OK && i < SLOTS; i++) {
		struct query self = { .table = &table_cache,
				      .preds = { PRED_INT("id", CMP_EQ, row->id) },
				      .n_preds = 1 };
		rc = has_neighbour(e, row->id, a, &is_taken, err);
		if (rc != RC_OK || !is_taken)
			return rc;
		rc = store_delete(e->store, &self, NULL, err);
		row->id++;
		if (rc == RC_OK)
			rc = store_insert(e->store, &table_cache, row, err);
	}
	return rc == RC_OK ? err_set(err, RC_LIMIT, "no loopback address is left") : rc;
}

static enum rc insert_rows(struct engine *e, struct cache_create *c, struct instance_row *unit, int64_t now,
			   struct arena *a, struct err *err)
{
	bool is_chosen = *c->row.ip; /* else it is one that was never given to anybody */
	char host[16];

	enum rc rc = store_insert(e->store, &table_instance, unit, err);
	c->row.id = 0;
	c->row.uid = c->uid;
	c->row.unit_id = unit->id;
	c->row.status = "CREATING";
	c->row.created_at = c->row.updated_at = now;
	if (rc == RC_OK)
		rc = insert_housed(e, &c->row, a, err);
	if (rc == RC_OK && !*c->row.ip)
		c->row.ip = host_of(e, c->row.id, 0, host) ? arena_dup(a, host) : "";
	if (rc == RC_OK)
		rc = first_state(e, c, a, &c->row.state, err);
	if (rc == RC_OK && is_chosen)
		rc = cache_check_address(e, &c->row, c->row.port, a, err);
	return rc == RC_OK ? store_update(e->store, &table_cache, &c->row, err) : rc;
}

void cache_new_uid(char out[37])
{
	rand_uuid(out);
	for (char *p = out; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'F' ? *p | 0x20 : *p);
}

static enum verdict apply_create(struct engine *e, struct change *base)
{
	struct cache_create *c = (struct cache_create *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	int64_t now = clock_wall_ms(), app_id = 0;

	cache_new_uid(c->uid);
	enum rc rc = check_quota(e, c, a, err);
	if (rc == RC_OK)
		rc = project_unit(e, c->row.project_id, now, a, &app_id, err);
	struct instance_row unit = { .app_id = app_id, .function = CACHE_FUNCTION, .name = c->uid, .version_id = 1,
				     .source = "user", .created_at = now, .updated_at = now };
	if (rc == RC_OK)
		rc = insert_rows(e, c, &unit, now, a, err);
	if (rc == RC_OK)
		rc = cache_insert_task(e, &unit, &c->row, ops[CACHE_OP_CREATE].name, &c->actor, "{}", "{}", 0, now, a,
				       &c->task_id, err);
	return verdict_of(rc);
}

void engine_cache_create(struct engine *e, struct cache_create *c)
{
	c->base.apply = apply_create;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}

/* ---- operate ---- */

static enum verdict refuse_state(struct cache_operate *c, enum verdict v, const char *word)
{
	(void)snprintf(c->busy, sizeof c->busy, "%s", word);
	return v;
}

static enum verdict check_state(struct engine *e, struct cache_operate *c, const struct cache_row *cache,
				const struct instance_row *unit, struct arena *a, struct err *err)
{
	struct task_row running;

	if (unit->busy_task_id) {
		enum rc rc = row_task(e->store, unit->busy_task_id, a, &running, err);
		return rc == RC_OK ? refuse_state(c, V_INSTANCE_BUSY, running.kind) : verdict_of(rc);
	}
	bool is_deletable = c->op == CACHE_OP_DELETE && strcmp(cache->status, "CREATEFAILED") == 0;
	bool is_healing = ops[c->op].from_error && strcmp(cache->status, "ERROR") == 0;
	if (strcmp(cache->status, "RUNNING") != 0 && !is_deletable && !is_healing)
		return refuse_state(c, V_BAD_STATE, cache->status);
	return V_OK;
}

static enum verdict check_port(struct engine *e, const struct cache_operate *c, const struct cache_row *cache,
			       struct arena *a, struct err *err)
{
	const json_t *args = NULL;

	enum rc rc = json_read(c->args, strlen(c->args), a, &args, err);
	if (rc == RC_OK)
		rc = cache_check_address(e, cache, (int64_t)json_integer_value(json_object_get(args, "port")), a, err);
	return verdict_of(rc);
}

static enum rc insert_records(struct engine *e, struct cache_operate *c, const struct cache_row *cache, int64_t now,
			      struct err *err)
{
	enum rc rc = RC_OK;
	if (c->backup) {
		c->backup->cache_id = cache->id;
		c->backup->task_id = c->task_id;
		c->backup->status = "waiting";
		c->backup->created_at = c->backup->updated_at = now;
		rc = store_insert(e->store, &table_backup, c->backup, err);
	}
	if (rc == RC_OK && c->restore) {
		c->restore->cache_id = cache->id;
		c->restore->task_id = c->task_id;
		c->restore->status = "waiting";
		c->restore->created_at = c->restore->updated_at = now;
		rc = store_insert(e->store, &table_restore, c->restore, err);
	}
	return rc;
}

static enum verdict apply_operate(struct engine *e, struct change *base)
{
	struct cache_operate *c = (struct cache_operate *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row cache;
	struct instance_row unit;
	int64_t now = clock_wall_ms();

	enum rc rc = row_cache(e->store, c->project_id, c->uid, a, &cache, err);
	if (rc == RC_OK)
		rc = row_instance(e->store, cache.unit_id, a, &unit, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	enum verdict v = check_state(e, c, &cache, &unit, a, err);
	if (v == V_OK && c->op == CACHE_OP_PORT)
		v = check_port(e, c, &cache, a, err);
	if (v != V_OK)
		return v;
	rc = cache_insert_task(e, &unit, &cache, ops[c->op].name, &c->actor, c->args, c->details, c->not_before, now, a,
			       &c->task_id, err);
	if (rc == RC_OK)
		rc = insert_records(e, c, &cache, now, err);
	if (c->op == CACHE_OP_DELETE) {
		cache.deleted_at = now; /* gone for every reader at once; the processes follow */
		if (rc == RC_OK)
			rc = schedule_drop(e->store, cache.id, err);
	}
	if (rc == RC_OK)
		rc = set_status(e, &cache, c->not_before > now ? "" : ops[c->op].during, now, err);
	crash_point("engine.order_applied");
	return verdict_of(rc);
}

/* The caller of a waiting operation is answered by its task's end. The caller's done runs behind ours. */
static void done_or_wait(struct change *base)
{
	struct cache_operate *c = (struct cache_operate *)base;
	crash_point("engine.order_committed");
	if (base->verdict != V_OK || !c->waits) {
		c->caller_done(base);
		return;
	}
	c->next_waiting = c->engine->waiting;
	c->engine->waiting = c;
}

void engine_cache_operate(struct engine *e, struct cache_operate *c)
{
	c->base.apply = apply_operate;
	c->base.committed = NULL;
	c->caller_done = c->base.done;
	c->base.done = done_or_wait;
	c->engine = e;
	writer_submit(e, &c->base);
}

void cache_answer_waiting(struct engine *e, int64_t task_id, bool is_success, const char *code, const char *message)
{
	struct cache_operate **at = &e->waiting;
	while (*at) {
		struct cache_operate *c = *at;
		if (c->task_id != task_id) {
			at = &c->next_waiting;
			continue;
		}
		*at = c->next_waiting;
		c->is_success = is_success;
		if (!is_success)
			(void)err_set(&c->base.err, RC_INTERNAL, "%s: %s", code, message);
		c->caller_done(&c->base);
	}
}

void cache_answer_rest(struct engine *e)
{
	while (e->waiting)
		cache_answer_waiting(e, e->waiting->task_id, false, "Task.Stopped",
				     "the server is stopping; the task goes on at its next start");
}

/* ---- while it runs ---- */

static enum rc backup_of_task(struct engine *e, int64_t cache_id, int64_t task_id, struct arena *a,
			      struct backup_row *out, struct err *err)
{
	struct query q = { .table = &table_backup,
			   .preds = { PRED_INT("cache_id", CMP_EQ, cache_id), PRED_INT("task_id", CMP_EQ, task_id) },
			   .n_preds = 2 };
	return store_get(e->store, &q, out, a, err);
}

static enum rc restore_of_task(struct engine *e, int64_t cache_id, int64_t task_id, struct arena *a,
			       struct restore_row *out, struct err *err)
{
	struct query q = { .table = &table_restore,
			   .preds = { PRED_INT("cache_id", CMP_EQ, cache_id), PRED_INT("task_id", CMP_EQ, task_id) },
			   .n_preds = 2 };
	return store_get(e->store, &q, out, a, err);
}

/* Move the record that belongs to the task, when there is one, to a status. result: of a success, else NULL. */
static enum rc move_record(struct engine *e, const struct cache_row *c, const struct task_row *t, const char *status,
			   const json_t *result, int64_t now, struct arena *a, struct err *err)
{
	struct backup_row b;
	struct restore_row r;

	enum rc rc = backup_of_task(e, c->id, t->id, a, &b, err);
	if (rc == RC_OK) {
		const char *path = json_string_value(json_object_get(result, "file"));
		const char *sha256 = json_string_value(json_object_get(result, "sha256"));
		b.status = strcmp(status, "restoring") == 0 ? "backuping" : status;
		b.started_at = b.started_at ? b.started_at : now;
		b.updated_at = now;
		b.path = path ? path : b.path;
		b.sha256 = sha256 ? sha256 : b.sha256;
		b.size = (int64_t)json_integer_value(json_object_get(result, "size"));
		return store_update(e->store, &table_backup, &b, err);
	}
	if (rc == RC_NOT_FOUND)
		rc = restore_of_task(e, c->id, t->id, a, &r, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	r.status = status;
	r.updated_at = now;
	return store_update(e->store, &table_restore, &r, err);
}

enum rc cache_claimed(struct engine *e, const struct task_row *t, int64_t now, struct arena *a, struct err *err)
{
	struct cache_row c;
	enum cache_op op = cache_op_of(t->kind);

	if (op == CACHE_OPS)
		return scan_claimed(e, t, now, a, err);
	enum rc rc = row_cache_of_task(e->store, t->id, a, &c, err);
	if (rc == RC_OK)
		rc = set_status(e, &c, ops[op].during, now, err); /* one that waited for its window starts here */
	return rc == RC_OK ? move_record(e, &c, t, "restoring", NULL, now, a, err) : rc;
}

static bool has_node_at(const json_t *state, const char *host)
{
	const json_t *node;
	size_t i;

	json_array_foreach(json_object_get(state, "nodes"), i, node) {
		const char *there = json_string_value(json_object_get(node, "host"));
		if (there && strcmp(there, host) == 0)
			return true;
	}
	return false;
}

/* Numbers of nodes only grow, so that what was said of one is never taken for another's; addresses are given again. */
static bool find_spare(const struct engine *e, int64_t cache_id, const json_t *state, char host[16])
{
	for (int64_t i = 1; host_of(e, cache_id, i, host); i++) {
		if (!has_node_at(state, host))
			return true;
	}
	return false;
}

/* What the child needs beside the task itself. */
enum rc cache_write_task(struct engine *e, const struct task_row *t, struct jw *w, struct arena *a, struct err *err)
{
	struct cache_row c;
	char host[16];
	const json_t *state = NULL;

	enum rc rc = row_cache_of_task(e->store, t->id, a, &c, err);
	if (rc == RC_OK)
		rc = json_read(c.state, strlen(c.state), a, &state, err);
	if (rc != RC_OK)
		return rc;
	jw_key(w, "cache");
	jw_raw(w, c.state);
	jw_kv_text(w, "spare_host", find_spare(e, c.id, state, host) ? host : "");
	jw_kv_text(w, "backup_dir", arena_printf(a, "%s/backups/%s", e->data_dir, c.uid));
	jw_kv_int(w, "aged_ms", ageing_of(e)); /* by which logs are old */
	return rc;
}

/* ---- the end ---- */

/* NULL: too long. */
static const char *text_of(const json_t *value, struct arena *a)
{
	struct buf text;
	struct jw w;

	buf_init(&text, STATE_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_value(&w, value);
	const char *out = text.is_over ? NULL : arena_dup(a, buf_text(&text));
	buf_fini(&text);
	return out;
}

static enum rc take_state(struct cache_row *c, const json_t *state, struct arena *a, struct err *err)
{
	const char *host = json_string_value(json_object_get(state, "host"));

	if (!json_is_object(state))
		return RC_OK; /* nothing changed */
	c->state = text_of(state, a);
	c->port = (int64_t)json_integer_value(json_object_get(state, "port"));
	c->ip = host ? host : c->ip;
	return c->state ? RC_OK : err_set(err, RC_LIMIT, "the cache's description is too long");
}

/* What a failed operation left. When it is not to be read the old description stays: the end of a task must not fail
 * for it. */
static enum rc take_processes(struct cache_row *c, const struct task_row *t, struct arena *a, struct err *err)
{
	struct cache_row next = *c;
	const json_t *result;

	enum rc rc = json_read_kept(t->result, a, &result, err);
	if (rc == RC_OK && result && take_state(&next, json_object_get(result, "cache"), a, NULL) == RC_OK)
		*c = next;
	return rc;
}

/* Nothing here stands between Redis and its clients, so who relies on the list has to be told. A task of a program
 * that kept none has none. */
static enum rc take_whitelist(struct cache_row *c, const json_t *whitelist, struct arena *a, struct err *err)
{
	if (!json_is_object(whitelist))
		return RC_OK;
	c->whitelist = text_of(whitelist, a);
	if (!c->whitelist)
		return err_set(err, RC_LIMIT, "the whitelist is too long");
	if (cache_whitelist_is_on(whitelist))
		log_warn("cache.whitelist_not_enforced",
			 "cache=%s reason=\"the list is kept and shown; a firewall has to keep others out\"", c->uid);
	return RC_OK;
}

/* Beside the description, what the row shows: a resize changes it, and a whitelist is nothing else. */
static enum rc take_args(struct cache_row *c, const struct task_row *t, struct arena *a, struct err *err)
{
	const json_t *params = NULL;
	enum cache_op op = cache_op_of(t->kind);
	bool is_resize = op == CACHE_OP_EXTEND || op == CACHE_OP_ADD_REPLICA || op == CACHE_OP_DELETE_REPLICA;
	bool is_whitelist = op == CACHE_OP_WHITELIST;
	enum rc rc = is_resize || is_whitelist ? json_read_kept(t->params, a, &params, err) : RC_OK;
	const json_t *args = json_object_get(params, "args");
	if (rc == RC_OK && is_whitelist)
		return take_whitelist(c, json_object_get(args, "whitelist"), a, err);
	const char *spec = json_string_value(json_object_get(args, "spec_code"));
	c->spec_code = spec ? spec : c->spec_code;
	if (json_is_integer(json_object_get(args, "capacity_mib")))
		c->capacity_mib = (int64_t)json_integer_value(json_object_get(args, "capacity_mib"));
	return rc;
}

/* A cache that never came to be does not run because its remains were cleared away. */
static const char *status_after(const struct cache_row *c, enum cache_op op, bool is_success)
{
	if (op == CACHE_OP_HEAL && !c->launched_at)
		return ops[CACHE_OP_CREATE].failed;
	if (!is_success)
		return ops[op].failed;
	return op == CACHE_OP_DELETE ? "DELETED" : "RUNNING";
}

enum rc cache_finished(struct engine *e, const struct task_row *t, struct instance_row *unit, int64_t now,
		       struct arena *a, struct err *err)
{
	enum cache_op op = cache_op_of(t->kind);
	bool is_success = t->state == TASK_SUCCESS;
	const json_t *result = NULL;
	struct cache_row c;

	if (op == CACHE_OPS)
		return scan_finished(e, t, now, a, err);
	enum rc rc = row_cache_of_task(e->store, t->id, a, &c, err);
	if (rc == RC_OK && is_success && *t->result)
		rc = json_read(t->result, strlen(t->result), a, &result, err);
	if (rc == RC_OK && is_success)
		rc = take_state(&c, json_object_get(result, "cache"), a, err);
	if (rc == RC_OK)
		rc = is_success ? take_args(&c, t, a, err) : take_processes(&c, t, a, err);
	if (rc != RC_OK)
		return rc;
	if (is_success && op == CACHE_OP_CREATE)
		c.launched_at = now;
	const char *end = is_success ? "succeed" : "failed";
	rc = move_record(e, &c, t, end, is_success ? result : NULL, now, a, err);
	if (rc == RC_OK)
		rc = set_status(e, &c, status_after(&c, op, is_success), now, err);
	return rc == RC_OK && !is_success ? cache_follow_up(e, unit, &c, t, now, a, err) : rc;
}
