/*
 * The data folder against the processes and files there are. Rows are read in one transaction; what does not agree is
 * looked at again until the limit, since processes end and files go a moment before or after their rows.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/remote.h"
#include "cmd/torture/run.h"
#include "os/file.h"
#include "store/store.h"
#include "store/tables.h"
#include "task/state.h"

enum { ARENA_MAX = 256 << 20, LOOK_AGAIN_MS = 20, WORDS_SIZE = 500, FOLDERS_DEPTH = 8 };

struct view {
	struct store *store;
	struct arena *arena;
};

static void view_close(struct view *v)
{
	store_close(v->store);
	arena_free(v->arena);
}

static enum rc view_open(const struct torture *t, struct view *v, struct err *err)
{
	char path[PATH_MAX];

	*v = (struct view){ .arena = arena_new(ARENA_MAX) };
	enum rc rc = path_join(path, t->cfg.data, "stint.db", err);
	if (rc == RC_OK)
		rc = store_open_sqlite(path, STORE_READER, &v->store, err);
	if (rc == RC_OK)
		rc = store_begin_read(v->store, err);
	if (rc != RC_OK)
		view_close(v);
	return rc;
}

static enum rc list(struct view *v, const struct table *table, void *rows, size_t *n, struct err *err)
{
	struct query q = { .table = table };
	void *found;
	enum rc rc = store_list(v->store, &q, v->arena, &found, n, err);
	if (rc == RC_OK)
		*(void **)rows = found;
	return rc;
}

static enum rc list_running(struct view *v, struct task_row **rows, size_t *n, struct err *err)
{
	struct query q = { .table = &table_task, .preds = { PRED_INT("state", CMP_EQ, TASK_RUNNING) }, .n_preds = 1 };
	void *found;
	enum rc rc = store_list(v->store, &q, v->arena, &found, n, err);
	if (rc == RC_OK)
		*rows = found;
	return rc;
}

/* Look until there is nothing to complain about or the time is up; then complain. */
typedef enum rc look_fn(struct torture *t, char words[WORDS_SIZE], struct err *err);

static enum rc look_until(struct torture *t, look_fn *look, const char *rule, int64_t limit_ms, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + limit_ms;

	for (;;) {
		char words[WORDS_SIZE] = "";
		enum rc rc = look(t, words, err);
		if (rc != RC_OK || !*words)
			return rc;
		if (server_wait(&t->server, 0))
			return err_set(err, RC_BUSY, "the server died meanwhile");
		if (clock_mono_ms() > until_ms) {
			findings_add(t->findings, rule, "%s, for %lld ms", words, (long long)limit_ms);
			return RC_OK;
		}
		remote_pause(LOOK_AGAIN_MS);
	}
}

/* ---- processes ---- */

static bool has_row(const struct task_row *rows, size_t n, const struct marked *m)
{
	for (size_t k = 0; k < n; k++) {
		if (rows[k].pid == m->pid && rows[k].pid_start == m->mark)
			return true;
	}
	return false;
}

static enum rc look_at_processes(struct torture *t, char words[WORDS_SIZE], struct err *err)
{
	struct marked *live = mem_array(MARKED_MAX, sizeof *live);
	struct task_row *rows;
	struct view v;
	size_t n = 0;

	size_t n_live = server_marked(&t->cfg, live);
	enum rc rc = view_open(t, &v, err);
	if (rc == RC_OK) {
		rc = list_running(&v, &rows, &n, err);
		for (size_t k = 0; rc == RC_OK && k < n; k++) {
			if (!proc_is_same((pid_t)rows[k].pid, rows[k].pid_start))
				(void)snprintf(words, WORDS_SIZE,
				               "task id %lld is running, attempt %lld, without a live process",
				               (long long)rows[k].id, (long long)rows[k].attempt);
		}
		for (size_t k = 0; rc == RC_OK && k < n_live; k++) {
			if (!has_row(rows, n, &live[k]) && proc_is_same(live[k].pid, live[k].mark))
				(void)snprintf(words, WORDS_SIZE, "process %d works on %.300s, which no task knows of",
				               (int)live[k].pid, live[k].task);
		}
		view_close(&v);
	}
	mem_free(live);
	return rc;
}

enum rc rows_check_processes(struct torture *t, int64_t limit_ms, struct err *err)
{
	return look_until(t, look_at_processes, "E7", limit_ms, err);
}

/* ---- an end of all tasks ---- */

static enum rc look_for_unfinished(struct torture *t, char words[WORDS_SIZE], struct err *err)
{
	struct query q = { .table = &table_task, .preds = { PRED_INT("state", CMP_LE, TASK_RUNNING) }, .n_preds = 1 };
	struct task_row row;
	struct view v;

	enum rc rc = view_open(t, &v, err);
	if (rc != RC_OK)
		return rc;
	rc = store_get(v.store, &q, &row, v.arena, err);
	if (rc == RC_OK)
		(void)snprintf(words, WORDS_SIZE,
		               "task id %lld does not end: %s, attempt %lld of %lld, not before %lld",
		               (long long)row.id, task_state_word((enum task_state)row.state), (long long)row.attempt,
		               (long long)row.max_attempts, (long long)row.not_before);
	view_close(&v);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc rows_await_quiet(struct torture *t, int64_t limit_ms, struct err *err)
{
	return look_until(t, look_for_unfinished, "stuck", limit_ms, err);
}

/* ---- files ---- */

struct inventory {
	struct torture *t;
	struct view view;
	struct instance_row *instances;
	struct task_row *tasks;
	size_t n_instances, n_tasks;
	char *words;
};

static const struct instance_row *instance_of(const struct inventory *v, int64_t id)
{
	for (size_t k = 0; k < v->n_instances; k++) {
		if (v->instances[k].id == id)
			return &v->instances[k];
	}
	return NULL;
}

static const struct task_row *task_of(const struct inventory *v, int64_t instance_id, int64_t generation)
{
	for (size_t k = 0; k < v->n_tasks; k++) {
		if (v->tasks[k].instance_id == instance_id && v->tasks[k].generation == generation)
			return &v->tasks[k];
	}
	return NULL;
}

/* tree is "models" or "logs": may PATH/7, 7.log or 7/model.bin below it be there? */
static bool may_stay(const struct inventory *v, const char *tree, int64_t app_id, int64_t instance_id,
                     int64_t generation, const char *file)
{
	bool is_models = strcmp(tree, "models") == 0;
	const struct instance_row *i = instance_of(v, instance_id);
	const struct task_row *t = task_of(v, instance_id, generation);

	if (!i || i->app_id != app_id)
		return false;
	if (!generation)
		return true; /* the instance's folder */
	bool serves = is_models && i->model_generation == generation;
	bool is_known = t && (!is_models || t->state == TASK_SUCCESS);
	return (serves || is_known) && (!is_models || !*file || strcmp(file, "model.bin") == 0);
}

static bool is_temp(const char *name)
{
	size_t len = strlen(name);
	return len > 4 && strcmp(name + len - 4, ".tmp") == 0;
}

/* Split TREE/APP/FUNCTION/INSTANCE.ID/GENERATION[.log]/FILE; what is not there yet is 0 or "". False: it is not ours.
 */
static bool read_place(const char *below, int64_t *app_id, int64_t *instance_id, int64_t *generation,
                       char file[NAME_MAX])
{
	char part[5][NAME_MAX] = { "", "", "", "", "" };
	int n = 0;

	for (const char *p = below; *p && n < 5; n++) {
		size_t len = strcspn(p, "/");
		(void)snprintf(part[n], NAME_MAX, "%.*s", (int)len, p);
		p += len + (p[len] == '/');
	}
	*app_id = *instance_id = *generation = 0;
	const char *dot = strrchr(part[2], '.');
	if (n > 0 && !num_i64(part[0], app_id))
		return false;
	if (n > 2 && (!dot || !num_i64(dot + 1, instance_id)))
		return false;
	if (n > 3 && !num_i64_n(part[3], strcspn(part[3], "."), generation))
		return false;
	(void)snprintf(file, NAME_MAX, "%s", part[4]);
	return true;
}

static bool app_is_known(const struct inventory *v, int64_t app_id)
{
	struct query q = { .table = &table_app, .preds = { PRED_INT("id", CMP_EQ, app_id) }, .n_preds = 1 };
	int64_t n = 0;
	return store_count(v->view.store, &q, &n, NULL) != RC_OK || n > 0;
}

static bool is_left(const struct inventory *v, const char *tree, const char *below, const char *name)
{
	int64_t app_id, instance_id, generation;
	char file[NAME_MAX];

	if (is_temp(name))
		return true;
	if (strcmp(tree, "models") != 0 && strcmp(tree, "logs") != 0)
		return false;
	if (!read_place(below, &app_id, &instance_id, &generation, file))
		return true;
	if (!app_id)
		return false;
	return instance_id ? !may_stay(v, tree, app_id, instance_id, generation, file) : !app_is_known(v, app_id);
}

/* tree: the first folder below DATA; below: the path in it; path: the whole one. */
static void walk(const struct inventory *v, const char *tree, const char *below, const char *path, int depth)
{
	struct stat st;
	DIR *dir = depth ? opendir(path) : NULL;

	if (!dir)
		return;
	for (const struct dirent *e = readdir(dir); e && !*v->words; e = readdir(dir)) {
		char next[PATH_MAX], full[PATH_MAX];
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    path_join(full, path, e->d_name, NULL) != RC_OK || lstat(full, &st) != 0)
			continue;
		if (!*below)
			(void)snprintf(next, sizeof next, "%s", e->d_name);
		else if (path_join(next, below, e->d_name, NULL) != RC_OK)
			continue;
		if (is_left(v, tree, next, e->d_name))
			(void)snprintf(v->words, WORDS_SIZE, "%.400s is left behind", full);
		else if (S_ISDIR(st.st_mode))
			walk(v, tree, next, full, depth - 1);
	}
	(void)closedir(dir);
}

static void walk_tree(const struct inventory *v, const char *tree)
{
	char path[PATH_MAX];
	if (path_join(path, v->t->cfg.data, tree, NULL) == RC_OK)
		walk(v, tree, "", path, FOLDERS_DEPTH);
}

enum rc rows_log_path(const struct torture *t, const struct instance_row *i, int64_t generation, char out[PATH_MAX],
                      struct err *err)
{
	char name[NAME_MAX];

	(void)snprintf(name, sizeof name, "logs/%lld/%s/%s.%lld/%lld.log", (long long)i->app_id, i->function, i->name,
	               (long long)i->id, (long long)generation);
	return path_join(out, t->cfg.data, name, err);
}

/* The log of a task that succeeded is there as long as its record. */
static void check_logs(const struct inventory *v)
{
	for (size_t k = 0; k < v->n_tasks && !*v->words; k++) {
		const struct task_row *t = &v->tasks[k];
		const struct instance_row *i = instance_of(v, t->instance_id);
		char path[PATH_MAX];
		if (!i || t->state != TASK_SUCCESS)
			continue;
		if (rows_log_path(v->t, i, t->generation, path, NULL) == RC_OK && !file_exists(path))
			(void)snprintf(v->words, WORDS_SIZE, "the log %.400s is gone", path);
	}
}

/* E2 as the rows have it: whoever is busy is busy with an unfinished task of its own, and nobody else has one. */
static void check_busy(const struct inventory *v)
{
	for (size_t k = 0; k < v->n_tasks && !*v->words; k++) {
		const struct task_row *t = &v->tasks[k];
		const struct instance_row *i = instance_of(v, t->instance_id);
		if (!i || (!task_state_is_final((enum task_state)t->state) && i->busy_task_id != t->id) ||
		    t->generation > i->last_generation)
			(void)snprintf(v->words, WORDS_SIZE, "task id %lld and its instance do not agree",
			               (long long)t->id);
	}
}

static enum rc look_at_files(struct torture *t, char words[WORDS_SIZE], struct err *err)
{
	static const char *const trees[] = { "models", "logs", "import", "functions.d", "cache", "backups" };
	struct inventory v = { .t = t, .words = words };

	enum rc rc = view_open(t, &v.view, err);
	if (rc != RC_OK)
		return rc;
	rc = list(&v.view, &table_instance, &v.instances, &v.n_instances, err);
	if (rc == RC_OK)
		rc = list(&v.view, &table_task, &v.tasks, &v.n_tasks, err);
	if (rc == RC_OK)
		check_busy(&v);
	for (size_t k = 0; k < ARRAY_LEN(trees) && rc == RC_OK; k++)
		walk_tree(&v, trees[k]);
	if (rc == RC_OK)
		check_logs(&v);
	view_close(&v.view);
	return rc;
}

enum rc rows_check_files(struct torture *t, int64_t limit_ms, struct err *err)
{
	return look_until(t, look_at_files, "files", limit_ms, err);
}
