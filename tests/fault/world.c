#include "world.h"

#include <ftw.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/must.h"
#include "os/file.h"
#include "test.h"

struct world world;

/* Thousands of engines are opened and closed here: with the usual quarter of a gigabyte kept of what was freed, half of
 * the time would go into fresh pages. What is found within the smaller rest is enough. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=8:malloc_context_size=12"; }

/* ---- asking ---- */

bool world_comes_true_within(int64_t ms, bool (*check)(void *ctx), void *ctx)
{
	for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until; usleep(2000)) {
		if (check(ctx))
			return true;
	}
	return check(ctx);
}

bool world_comes_true(bool (*check)(void *ctx), void *ctx) { return world_comes_true_within(20000, check, ctx); }

static bool is_healthy(void *ctx)
{
	(void)ctx;
	return engine_is_healthy(world.engine);
}

void world_wait_healthy(const char *what)
{
	must(world_comes_true(is_healthy, NULL) || !printf("%s: the engine takes no changes any more\n", what));
}

int world_step(int n)
{
	if (getenv("STINT_QUICK"))
		return 2 * n + 1;
	return getenv("STINT_FAULT_EVERY") ? n + 1 : n + 1 + n / 100;
}

/* ---- begin and end ---- */

/* Functions whose attempts are not repeated, so that every end is seen. Each script waits for its gate, if
 * it has one. */
static void write_function(const char *name, const char *script)
{
	char path[PATH_MAX];
	struct buf text;
	struct err err = { 0 };

	(void)snprintf(path, sizeof path, "%s/functions.d/%s.json", world.dir, name);
	buf_init(&text, 65536);
	buf_addf(&text, "{\"name\":\"%s\",\"modelType\":\"script\",\"maxAttempts\":1,\"graceSeconds\":1,"
			"\"run\":[\"/bin/sh\",\"-c\",\"%s\"]}", name, script);
	must(file_replace(path, buf_text(&text), text.len, 0600, &err) == RC_OK);
	buf_fini(&text);
}

#define SAY(json) "echo '" json "' >&3; "
#define Q "\\\""
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define WAIT_FOR_GATE SAY("{" Q "progress" Q ":10}") "while ! [ -e ../../../../../gate ]; do sleep 0.01; done; "

static void write_functions(void)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/functions.d", world.dir);
	must(dir_make(path, 0700, NULL) == RC_OK);
	write_function("ok", SAY("{" Q "result" Q ":{}}"));
	write_function("gated", WAIT_FOR_GATE SAY("{" Q "metric" Q ":" Q "loss" Q "," Q "value" Q ":0.5}")
					SAY("{" Q "result" Q ":{}}"));
	write_function("model", WAIT_FOR_GATE "printf abc >model.bin; "
			SAY("{" Q "result" Q ":{" Q "model" Q ":" Q "model.bin" Q "," Q "sha256" Q ":" Q ABC Q "}}"));
	write_function("bad", WAIT_FOR_GATE "exit 3");
}

void world_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(world.dir, sizeof world.dir, "%s/stint-fault-XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(world.dir));
	write_functions();
	world.arena = arena_new((size_t)1 << 30);
}

void world_empty(void)
{
	must(dir_prune(world.dir, "functions.d", NULL) == RC_OK);
	arena_reset(world.arena);
}

void world_end(void)
{
	must(dir_remove(world.dir, NULL) == RC_OK);
	arena_free(world.arena);
}

enum rc world_open(int max_running, struct err *err)
{
	struct engine_config cfg = { .data_dir = world.dir, .self_exe = "/bin/false", .max_running = max_running,
				     .stop_grace_ms = 2000 };
	world.n_fds = inject_count_fds();
	world.engine = NULL;
	enum rc rc = engine_open(&cfg, &world.engine, err);
	if (rc == RC_OK)
		atomic_store(&world.engine->retry_delay_ms, 5); /* loops meet a failed batch hundreds of times */
	return rc;
}

void world_start(int max_running)
{
	struct err err = { 0 };
	struct app_row app;

	must(world_open(max_running, &err) == RC_OK || !printf("%s\n", err.msg));
	struct app_create c = { .row = { .account = "1", .name = "shop", .type = "enhanced", .charge_type = "POSTPAY",
					 .quota = "{}", .tags = "[]" } };
	CALL(engine_app_create, &c);
	must(c.base.verdict == V_OK || c.base.verdict == V_APP_EXISTS);
	must(world_app("shop", &app));
	world.app_id = app.id;
}

void world_stop(void)
{
	engine_close(world.engine);
	world.engine = NULL;
	EXPECT(inject_count_children() == 0, "a child nobody waited for");
	EXPECT(inject_count_fds() == world.n_fds, "descriptors: %d before, %d after", world.n_fds, inject_count_fds());
}

/* ---- making ---- */

void world_make_instance(const char *function, const char *name, const char *cron)
{
	struct instance_create c = { .app_id = world.app_id, .function = function, .name = name, .model_type = "script",
				     .function_type = "PAAS", .description = "old", .cron = cron };
	CALL(engine_instance_create, &c);
	must(c.base.verdict == V_OK || !printf("%s: %s %s\n", name, verdict_name(c.base.verdict), c.base.err.msg));
}

void world_make_task(const char *function, const char *name)
{
	struct task_create c = { .app_id = world.app_id, .function = function, .instance = name };
	CALL(engine_task_create, &c);
	must(c.base.verdict == V_OK || !printf("%s: %s %s\n", name, verdict_name(c.base.verdict), c.base.err.msg));
}

struct cache_create world_cache(const char *name, int port)
{
	return (struct cache_create){
		.row = { .project_id = WORLD_PROJECT,
			 .name = name,
			 .description = "",
			 .engine_version = "7.0",
			 .spec_code = "redis.single.xu1.tiny.128",
			 .cache_mode = "single",
			 .capacity_mib = 128,
			 .ip = "",
			 .port = port,
			 .maintain_begin = "18:00:00",
			 .maintain_end = "19:00:00",
			 .tags = "[]",
			 .backup_policy = "",
			 .echo = "{}" },
		.actor = { "ops", "1" },
		.password_hash = "",
		.renames = "{}",
		.caches_max = 1 << 20,
		.memory_max_mib = 1 << 30,
	};
}

void world_make_cache(const char *name, char uid[37])
{
	struct cache_create c = world_cache(name, 1);
	CALL(engine_cache_create, &c);
	must(c.base.verdict == V_OK || !printf("%s: %s %s\n", name, verdict_name(c.base.verdict), c.base.err.msg));
	(void)snprintf(uid, 37, "%s", c.uid);
}

/* ---- looking ---- */

struct store *world_store(enum store_mode mode)
{
	char path[PATH_MAX];
	struct store *s;
	struct err err = { 0 };

	(void)snprintf(path, sizeof path, "%s/stint.db", world.dir);
	must(store_open_sqlite(path, mode, &s, &err) == RC_OK || !printf("%s\n", err.msg));
	return s;
}

static bool is_found(enum rc rc, struct store *s)
{
	store_close(s);
	must(rc == RC_OK || rc == RC_NOT_FOUND);
	return rc == RC_OK;
}

bool world_app(const char *name, struct app_row *out)
{
	struct store *s = world_store(STORE_READER);
	return is_found(row_app_of(s, "1", name, world.arena, out, NULL), s);
}

bool world_instance(const char *function, const char *name, struct instance_row *out)
{
	struct store *s = world_store(STORE_READER);
	return is_found(row_instance_of(s, world.app_id, function, name, world.arena, out, NULL), s);
}

bool world_task(int64_t instance_id, int64_t generation, struct task_row *out)
{
	struct store *s = world_store(STORE_READER);
	return is_found(row_task_of(s, instance_id, generation, world.arena, out, NULL), s);
}

int64_t world_count(const struct table *t, const char *col, int64_t value)
{
	struct store *s = world_store(STORE_READER);
	struct query q = { .table = t, .preds = { PRED_INT(col, CMP_EQ, value) }, .n_preds = 1 };
	int64_t n = 0;
	must(store_count(s, &q, &n, NULL) == RC_OK);
	store_close(s);
	return n;
}

struct awaited {
	int64_t instance_id, generation;
	struct task_row *out;
};

static bool has_ended(void *ctx)
{
	struct awaited *a = ctx;
	return world_task(a->instance_id, a->generation, a->out) && task_state_is_final((enum task_state)a->out->state);
}

bool world_ended(const char *function, const char *name, int64_t generation, struct task_row *out)
{
	struct instance_row i;
	struct awaited a = { .generation = generation, .out = out };

	*out = (struct task_row){ .error_message = "", .error_code = "" };
	if (!world_instance(function, name, &i))
		return false;
	a.instance_id = i.id;
	return world_comes_true(has_ended, &a);
}

void world_set_task(int64_t instance_id, int64_t generation, enum task_state state, int64_t attempt, pid_t pid,
		    int64_t mark)
{
	struct store *s = world_store(STORE_WRITER);
	struct task_row t;
	struct instance_row i;

	must(row_task_of(s, instance_id, generation, world.arena, &t, NULL) == RC_OK);
	must(row_instance(s, instance_id, world.arena, &i, NULL) == RC_OK);
	t.state = state;
	t.attempt = attempt;
	t.pid = pid;
	t.pid_start = mark;
	t.progress = state == TASK_SUCCESS ? 100 : 40;
	i.busy_task_id = task_state_is_final(state) ? 0 : t.id;
	must(store_begin(s, NULL) == RC_OK);
	must(store_update(s, &table_task, &t, NULL) == RC_OK && store_update(s, &table_instance, &i, NULL) == RC_OK);
	must(store_commit(s, NULL) == RC_OK);
	store_close(s);
}

void world_set_running(const char *cache_uid)
{
	struct store *s = world_store(STORE_WRITER);
	struct cache_row row;
	struct instance_row unit;
	struct task_row t;

	must(row_cache(s, WORLD_PROJECT, cache_uid, world.arena, &row, NULL) == RC_OK);
	must(row_instance(s, row.unit_id, world.arena, &unit, NULL) == RC_OK);
	must(row_task(s, unit.busy_task_id, world.arena, &t, NULL) == RC_OK);
	row.status = "RUNNING";
	unit.busy_task_id = 0;
	t.state = TASK_SUCCESS;
	t.progress = 100;
	must(store_begin(s, NULL) == RC_OK);
	must(store_update(s, &table_cache, &row, NULL) == RC_OK &&
	     store_update(s, &table_instance, &unit, NULL) == RC_OK);
	must(store_update(s, &table_task, &t, NULL) == RC_OK && store_commit(s, NULL) == RC_OK);
	store_close(s);
}

void world_set_cron(const char *function, const char *name, int64_t next_at)
{
	struct store *s = world_store(STORE_WRITER);
	struct instance_row i;

	must(row_instance_of(s, world.app_id, function, name, world.arena, &i, NULL) == RC_OK);
	i.cron_next_at = next_at;
	must(store_update(s, &table_instance, &i, NULL) == RC_OK);
	store_close(s);
}

/* ---- invariants ---- */

static void check_tasks_of(struct store *s, const struct instance_row *i, const char *what)
{
	struct query q = { .table = &table_task, .preds = { PRED_INT("instance_id", CMP_EQ, i->id) }, .n_preds = 1,
			   .orders = { { "generation", false } } };
	struct task_row *t;
	size_t n;
	int64_t unfinished = 0, last = 0;

	must(store_list(s, &q, world.arena, (void **)&t, &n, NULL) == RC_OK);
	for (size_t k = 0; k < n; k++) {
		bool is_final = task_state_is_final((enum task_state)t[k].state);
		unfinished += !is_final;
		EXPECT(t[k].generation > last, "%s: E3: generation %lld twice", what, (long long)t[k].generation);
		last = t[k].generation;
		EXPECT(is_final || i->busy_task_id == t[k].id,
		       "%s: E2: an unfinished task that its instance does not know", what);
		EXPECT(t[k].state != TASK_SUCCESS || t[k].progress == 100, "%s: E6: success at %lld", what,
		       (long long)t[k].progress);
		EXPECT(t[k].state != TASK_FAILED || *t[k].error_message, "%s: E6: failed without a word", what);
		EXPECT(t[k].state != TASK_FAILED || i->model_generation != t[k].generation,
		       "%s: E8: a failed one serves", what);
	}
	EXPECT(unfinished <= 1, "%s: E2: %lld unfinished tasks", what, (long long)unfinished);
	EXPECT(last <= i->last_generation, "%s: E3: %lld of %lld", what, (long long)last,
	       (long long)i->last_generation);
	EXPECT(unfinished || !i->busy_task_id, "%s: E2: busy with nothing", what);
}

static void check_model_of(const struct instance_row *i, const char *what)
{
	static struct engine paths;
	char dir[PATH_MAX], path[PATH_MAX], hex[65];
	unsigned char digest[32];
	struct buf bytes;

	if (!i->model_generation || !*i->model_sha256)
		return;
	(void)snprintf(paths.data_dir, sizeof paths.data_dir, "%s", world.dir);
	path_of_generation(&paths, i, i->model_generation, dir);
	must(path_join(path, dir, MODEL_FILE, NULL) == RC_OK);
	buf_init(&bytes, 1 << 20);
	EXPECT(file_read(path, &bytes, NULL) == RC_OK, "%s: E8: the model in service is missing", what);
	must(EVP_Digest(buf_text(&bytes), bytes.len, digest, NULL, EVP_sha256(), NULL) == 1);
	for (size_t k = 0; k < sizeof digest; k++)
		(void)snprintf(hex + 2 * k, 3, "%02x", digest[k]);
	EXPECT(strcmp(hex, i->model_sha256) == 0, "%s: E8: its checksum does not hold", what);
	buf_fini(&bytes);
}

static const char *checked;
static int check_name(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	size_t len = strlen(path);
	EXPECT(len < 4 || strcmp(path + len - 4, ".tmp") != 0, "%s: left behind: %s", checked, path + at->base);
	return 0;
}

void world_check(const char *what)
{
	struct err err = { 0 };
	struct instance_row *rows;
	size_t n;
	struct query all = { .table = &table_instance };

	world_stop();
	arena_reset(world.arena);
	struct store *s = world_store(STORE_WRITER);
	EXPECT(store_check(s, STORE_FULL, &err) == RC_OK, "%s: %s", what, err.msg);
	must(store_list(s, &all, world.arena, (void **)&rows, &n, NULL) == RC_OK);
	for (size_t i = 0; i < n; i++) {
		check_tasks_of(s, &rows[i], what);
		check_model_of(&rows[i], what);
	}
	store_close(s);
	checked = what;
	must(nftw(world.dir, check_name, 16, FTW_PHYS) == 0);
	EXPECT(world_open(0, &err) == RC_OK, "%s: cannot start again: %s", what, err.msg);
	EXPECT(world_count(&table_task, "state", TASK_RUNNING) == 0, "%s: E7: running without a process", what);
	world_stop();
	arena_reset(world.arena);
}
