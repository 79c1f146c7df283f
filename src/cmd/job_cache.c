/*
 * job_cache: an operation on a Redis instance as a task. The description comes in the task file, the operation does its
 * work through cache/cache.h, and the new description goes back in the result.
 *
 * A second attempt first heals: the operation before it was cut off, and only looking at the processes tells what is
 * true. Each operation here can be done twice with the same end, which is what makes that safe; but for a flush and a
 * restore, which would take away what clients wrote in between and therefore look first whether they were done.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/crash.h"
#include "base/must.h"
#include "cmd/job_cache.h"
#include "engine/cache_state.h"
#include "os/file.h"

enum { OPERATION_MS = 3600000, RESULT_MAX = 49152 };

/* ---- steps ---- */

/* The step under way; a new one ends it. */
struct steps {
	char name[128];
};

static void tell_step(const char *status, const char *name)
{
	char text[160];
	(void)snprintf(text, sizeof text, "%s %s", status, name);
	job_send(&(struct child_msg){ .kind = MSG_STAGE, .text = text });
	printf("%s\n", text);
	(void)fflush(stdout);
}

static void on_step(void *ctx, const char *name, int percent)
{
	struct steps *s = ctx;

	if (strcmp(s->name, name) != 0) {
		if (*s->name)
			tell_step("FINISH", s->name);
		tell_step("EXECUTING", name);
		(void)snprintf(s->name, sizeof s->name, "%s", name);
		crash_point("cache.step");
	}
	job_progress(NULL, percent);
}

static void end_steps(struct steps *s, enum rc rc)
{
	if (*s->name)
		tell_step(rc == RC_OK ? "FINISH" : "FAILED", s->name);
}

/* ---- operations ---- */

static enum rc create(struct operation *o, struct err *err)
{
	enum rc rc = RC_OK;
	if (o->is_retry) { /* begin with nothing, as the first attempt did */
		struct cache_instance half = o->cache;
		rc = cache_delete(&half, &o->run, err);
	}
	return rc == RC_OK ? cache_create(&o->cache, &o->run, err) : rc;
}

static enum rc delete(struct operation *o, struct err *err)
{
	char dir[PATH_MAX];
	const char *backups = json_string_value(json_object_get(o->task, "backup_dir"));

	enum rc rc = cache_delete(&o->cache, &o->run, err);
	if (rc != RC_OK || !backups)
		return rc;
	(void)snprintf(dir, sizeof dir, "%s", backups);
	return dir_remove(dir, err); /* the contract: backups go with their instance */
}

static enum rc resize(struct operation *o, struct err *err)
{
	return cache_resize(&o->cache, (int64_t)json_integer_value(json_object_get(o->args, "capacity")), &o->run, err);
}

static enum rc add_replica(struct operation *o, struct err *err)
{
	const char *host = json_string_value(json_object_get(o->task, "spare_host"));
	if (!host || !*host)
		return err_set(err, RC_LIMIT, "no address is left for another replica");
	return cache_add_replica(&o->cache, host, &o->run, err);
}

static enum rc delete_replica(struct operation *o, struct err *err)
{
	int number = (int)json_integer_value(json_object_get(o->args, "node"));
	bool is_there = false;

	for (int i = 0; i < o->cache.n_nodes; i++)
		is_there = is_there || o->cache.nodes[i].number == number;
	return o->is_retry && !is_there ? RC_OK : cache_remove_replica(&o->cache, number, &o->run, err);
}

static enum rc restart(struct operation *o, struct err *err) { return cache_restart(&o->cache, &o->run, err); }

/* Only a later attempt asks: numbers of tasks that a restored database has forgotten are given again. */
static bool was_carried_out(const struct operation *o) { return o->is_retry && cache_has_erased(&o->cache, o->order); }

static enum rc flush(struct operation *o, struct err *err)
{
	return was_carried_out(o) ? RC_OK : cache_flush(&o->cache, &o->run, err);
}

static enum rc set_password(struct operation *o, struct err *err)
{
	const char *hash = json_string_value(json_object_get(o->args, "password_hash"));
	return cache_set_password(&o->cache, hash ? hash : "", &o->run, err);
}

/* On a retry the healed description may have another master already: then the switch was made. */
static enum rc swap(struct operation *o, struct err *err)
{
	struct cache_instance before;
	enum rc rc = cache_state_read(json_object_get(o->task, "cache"), &before, err);

	if (rc == RC_OK && o->is_retry && before.nodes[before.master].number != o->cache.nodes[o->cache.master].number)
		return RC_OK;
	return rc == RC_OK ? cache_switch_over(&o->cache, -1, &o->run, err) : rc;
}

static enum rc backup_path(const struct operation *o, const char *suffix, char out[PATH_MAX], struct err *err)
{
	char name[64];
	const char *dir = json_string_value(json_object_get(o->task, "backup_dir"));
	const char *uid = json_string_value(json_object_get(o->args, "uid"));

	if (!dir || !uid || strlen(uid) > 36)
		return err_set(err, RC_INTERNAL, "the task file names no backup");
	(void)snprintf(name, sizeof name, "%s.rdb%s", uid, suffix);
	return path_join(out, dir, name, err);
}

/* What an attempt that was cut off has left. */
static enum rc remove_backup(const struct operation *o, struct err *err)
{
	static const char *const suffixes[] = { "", ".part" };
	char file[PATH_MAX];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < ARRAY_LEN(suffixes) && rc == RC_OK; i++) {
		rc = backup_path(o, suffixes[i], file, err);
		if (rc == RC_OK)
			rc = file_remove(file, err);
	}
	return rc;
}

static enum rc backup(struct operation *o, struct err *err)
{
	struct cache_backup b;
	char file[PATH_MAX];

	enum rc rc = remove_backup(o, err);
	if (rc == RC_OK)
		rc = backup_path(o, "", file, err);
	if (rc == RC_OK)
		rc = cache_backup(&o->cache, file, &b, &o->run, err);
	if (rc != RC_OK)
		return rc;
	jw_kv_text(o->result, "file", b.file);
	jw_kv_text(o->result, "sha256", b.sha256);
	jw_kv_int(o->result, "size", b.size);
	jw_kv_int(o->result, "keys", b.keys);
	return RC_OK;
}

static enum rc restore(struct operation *o, struct err *err)
{
	const char *file = json_string_value(json_object_get(o->args, "file"));
	const char *sha256 = json_string_value(json_object_get(o->args, "sha256"));
	if (!file)
		return err_set(err, RC_INTERNAL, "the task file names no backup file");
	if (was_carried_out(o))
		return RC_OK;
	return cache_restore(&o->cache, file, sha256 ? sha256 : "", &o->run, err);
}

static enum rc set_port(struct operation *o, struct err *err)
{
	return cache_set_port(&o->cache, (int)json_integer_value(json_object_get(o->args, "port")), &o->run, err);
}

static enum rc configure(struct operation *o, struct err *err)
{
	struct cache_setting settings[CACHE_SETTINGS_MAX];
	int n = 0;
	enum rc rc = cache_settings_read(json_object_get(o->args, "settings"), settings, CACHE_SETTINGS_MAX, &n, err);
	return rc == RC_OK ? cache_configure(&o->cache, settings, n, &o->run, err) : rc;
}

static enum rc set_priority(struct operation *o, struct err *err)
{
	return cache_set_priority(&o->cache, (int)json_integer_value(json_object_get(o->args, "node")),
				  (int)json_integer_value(json_object_get(o->args, "priority")), &o->run, err);
}

static enum rc check_resize(struct operation *o, struct err *err)
{
	int64_t capacity = (int64_t)json_integer_value(json_object_get(o->args, "capacity"));
	return cache_check_resize(&o->cache, capacity, &o->run, err);
}

/* The end of the task keeps it (engine/cache_ops.c). Nothing filters here, and the history says so. */
static enum rc set_whitelist(struct operation *o, struct err *err)
{
	bool is_on = cache_whitelist_is_on(json_object_get(o->args, "whitelist"));

	(void)err;
	o->run.on_step(o->run.ctx, is_on ? "keep the list, which nothing here enforces" : "keep the list", 99);
	return RC_OK;
}

/* Of one node, or with node 0 of all. Who connects meanwhile may stay. */
static enum rc kill_clients(struct operation *o, struct err *err)
{
	int wanted = (int)json_integer_value(json_object_get(o->args, "node"));
	int64_t killed = 0;
	char step[64];
	enum rc rc = RC_OK;

	for (int i = 0; i < o->cache.n_nodes && rc == RC_OK; i++) {
		int number = o->cache.nodes[i].number;
		if (wanted && number != wanted)
			continue;
		(void)snprintf(step, sizeof step, "disconnect the clients of node %d", number);
		o->run.on_step(o->run.ctx, step, 99 * i / o->cache.n_nodes);
		rc = cache_kill_clients(&o->cache, number, NULL, &killed, &o->run, err);
		if (rc == RC_OK)
			printf("%lld\n", (long long)killed);
	}
	return rc;
}

static enum rc rename_commands(struct operation *o, struct err *err)
{
	struct cache_rename renames[CACHE_RENAMES_MAX];
	int n = 0;
	enum rc rc = cache_renames_read(json_object_get(o->args, "renames"), renames, CACHE_RENAMES_MAX, &n, err);
	return rc == RC_OK ? cache_rename(&o->cache, renames, n, &o->run, err) : rc;
}

/* By itself, or after an operation that failed half done (engine/cache_after.c). */
static enum rc heal(struct operation *o, struct err *err)
{
	const char *after = json_string_value(json_object_get(o->args, "after"));
	enum cache_op failed = after ? cache_op_of(after) : CACHE_OPS;

	if (failed == CACHE_OP_CREATE) { /* there is nothing to heal, only something to remove */
		struct cache_instance half = o->cache;
		return cache_delete(&half, &o->run, err);
	}
	enum rc rc = failed == CACHE_OP_BACKUP ? remove_backup(o, err) : RC_OK;
	return rc == RC_OK ? cache_heal(&o->cache, CACHE_KILL_HUNG, &o->run, err) : rc;
}

static enum rc (*const operations[CACHE_OPS])(struct operation *o, struct err *err) = {
	[CACHE_OP_CREATE] = create,   [CACHE_OP_DELETE] = delete,	    [CACHE_OP_EXTEND] = resize,
	[CACHE_OP_ADD_REPLICA] = add_replica, [CACHE_OP_DELETE_REPLICA] = delete_replica,
	[CACHE_OP_RESTART] = restart, [CACHE_OP_SOFT_RESTART] = restart,    [CACHE_OP_FLUSH] = flush,
	[CACHE_OP_PASSWORD] = set_password, [CACHE_OP_SWAP] = swap,	    [CACHE_OP_BACKUP] = backup,
	[CACHE_OP_RESTORE] = restore, [CACHE_OP_PORT] = set_port,	    [CACHE_OP_CONFIG] = configure,
	[CACHE_OP_PRIORITY] = set_priority, [CACHE_OP_RESIZE_CHECK] = check_resize,
	[CACHE_OP_WHITELIST] = set_whitelist, [CACHE_OP_KILL_CLIENTS] = kill_clients,
	[CACHE_OP_RENAME] = rename_commands, [CACHE_OP_HEAL] = heal,
};

/* ---- the task ---- */

/* What kind of task it is: an operation, or an analysis. */
struct errand {
	enum cache_op op;
	enum scan_kind scan;
};

/* A diagnosis is for nodes that answer nobody, too, and logs are files. */
static bool wants_master(enum scan_kind scan) { return scan != SCAN_DIAGNOSIS && scan != SCAN_RUN_LOG; }

static enum rc operate(struct operation *o, const struct errand *errand, struct arena *a, struct err *err)
{
	enum rc rc = RC_OK;
	enum cache_op op = errand->op;

	crash_point("cache.step"); /* nothing is done yet */
	if (op == CACHE_OPS) {
		if (wants_master(errand->scan))
			/* A switchover may have ended since this was claimed. */
			rc = cache_find_master(&o->cache, &o->run, err);
		return rc == RC_OK ? job_scan(o, errand->scan, a, err) : rc;
	}
	bool heals_itself = op == CACHE_OP_CREATE || op == CACHE_OP_DELETE || op == CACHE_OP_HEAL;

	if (o->is_retry && !heals_itself)
		rc = cache_heal(&o->cache, CACHE_KILL_HUNG, &o->run, err);
	return rc == RC_OK ? operations[op](o, err) : rc;
}

static void send_result(struct jw *w, const struct buf *text)
{
	jw_end_object(w);
	if (!text->is_over)
		job_send(&(struct child_msg){ .kind = MSG_RESULT, .result_json = buf_text(text) });
}

/* A restart or a restore that failed may have left new processes, which the next operation must know. */
static void tell_processes(struct operation *o, enum cache_op op)
{
	struct buf text;
	struct jw w;

	if (op == CACHE_OPS || op == CACHE_OP_CREATE || op == CACHE_OP_DELETE || job_should_stop(NULL))
		return;
	cache_note_processes(&o->cache, &o->run);
	buf_init(&text, RESULT_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	jw_key(&w, "cache");
	cache_state_write(&o->cache, &w);
	send_result(&w, &text);
	buf_fini(&text);
}

static enum rc run_operation(struct operation *o, const struct errand *errand, struct arena *a, struct err *err)
{
	struct buf text;
	struct jw w;
	struct steps steps = { .name = "" };

	buf_init(&text, RESULT_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	/* cppcheck-suppress autoVariables; taken back below */
	o->result = &w;
	o->run = (struct cache_run){ .timeout_ms = OPERATION_MS, .order = o->order, .ctx = &steps, .on_step = on_step,
				     .should_stop = job_should_stop };
	enum rc rc = operate(o, errand, a, err);
	crash_point("cache.step"); /* all is done, and nobody knows */
	end_steps(&steps, rc);
	if (rc == RC_OK) {
		if (errand->op < CACHE_OPS) { /* an analysis changes nothing */
			jw_key(&w, "cache");
			cache_state_write(&o->cache, &w);
		}
		send_result(&w, &text);
		if (text.is_over)
			rc = err_set(err, RC_LIMIT, "the result is too long");
		crash_point("cache.step"); /* all is done and told, but the end is not seen */
	} else {
		tell_processes(o, errand->op);
	}
	o->result = NULL; /* it was on this stack */
	buf_fini(&text);
	return rc;
}

enum rc job_cache(const json_t *task, struct arena *a, struct err *err)
{
	struct operation o = { .task = task, .args = json_object_get(json_object_get(task, "parameters"), "args"),
			       .is_retry = json_integer_value(json_object_get(task, "attempt")) > 1 };
	const char *kind = json_string_value(json_object_get(task, "kind"));
	struct errand errand = { kind ? cache_op_of(kind) : CACHE_OPS, kind ? scan_of(kind) : SCAN_KINDS };

	(void)snprintf(o.order, sizeof o.order, "%lld",
		       (long long)json_integer_value(json_object_get(task, "generation")));
	if (errand.op == CACHE_OPS && errand.scan == SCAN_KINDS)
		return err_set(err, RC_INTERNAL, "no operation is named '%.60s'", kind ? kind : "");
	must(errand.op == CACHE_OPS || operations[errand.op]);
	enum rc rc = cache_state_read(json_object_get(task, "cache"), &o.cache, err);
	return rc == RC_OK ? run_operation(&o, &errand, a, err) : rc;
}
