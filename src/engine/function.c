#include "engine/function.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "engine/priv.h"
#include "json/json.h"
#include "os/file.h"
#include "train/train.h"

enum { MANIFESTS_MAX = 256, MANIFEST_SIZE_MAX = 1 << 20, ARGS_MAX = 256, RULES_MAX = 256 };

struct functions {
	struct arena *arena; /* everything below lives here */
	struct function *rows;
	int n, cap;
};

enum { DAY_S = 86400, HOUR_S = 3600, HOUR_MS = HOUR_S * 1000 };

/* Of the online part, which is not this server's: kept for it and shown, and nothing here reads them. */
static const struct param_rule ctr_usage_rules[] = {
	{ .name = "allow_dict_id", .type = PARAM_TEXT,
	  .help = "Id of a dictionary of allowed words; kept, without effect here." },
	{ .name = "deny_dict_id", .type = PARAM_TEXT,
	  .help = "Id of a dictionary of banned words; kept, without effect here." },
};

static const struct function builtin_ctr = {
	.name = "ctr",
	.model_type = "tf_checkpoint",
	.function_type = "PAAS",
	.domain = "",
	.category = "",
	.language = "zh",
	.version_id = 101,
	.version_name = "v1",
	.usage_rules = ctr_usage_rules,
	.n_usage_rules = ARRAY_LEN(ctr_usage_rules),
	.builtin = "ctr",
	.limits = { .time_s = DAY_S },
	.stall_ms = HOUR_MS,
	.grace_ms = 10000,
	.max_attempts = 3,
};

/* Operations on caches (engine/cache.h): run like a function's tasks, but no function of the API. */
static const struct function builtin_dcs = {
	.name = CACHE_FUNCTION,
	.model_type = "redis",
	.function_type = "PAAS",
	.domain = "",
	.category = "",
	.language = "",
	.version_id = 1,
	.version_name = "v1",
	.builtin = CACHE_FUNCTION,
	.is_internal = true,
	/* Operations end themselves before: cmd/job_cache.c, cmd/job_scan.c. */
	.limits = { .time_s = 7 * HOUR_S, .log_mib = 64 },
	.grace_ms = 30000,
	.max_attempts = 3,
};

static void add(struct functions *f, const struct function *row)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 8;
		f->rows = mem_grow(f->rows, (size_t)f->cap, sizeof *f->rows);
	}
	f->rows[f->n++] = *row;
}

/* ---- manifests ---- */

struct manifest {
	struct functions *all;
	const char *dir;
	const json_t *json;
	struct function out;
};

static enum rc text_member(const struct manifest *m, const char *name, const char *fallback, const char **out,
			   struct err *err)
{
	enum rc rc = json_pick_text(m->json, name, out, err);
	if (rc == RC_OK && !*out)
		*out = fallback;
	if (rc == RC_OK && !*out)
		rc = err_set(err, RC_INVALID, "%s is required", name);
	if (rc == RC_OK)
		*out = arena_dup(m->all->arena, *out);
	if (rc == RC_OK && !*out)
		rc = err_set(err, RC_LIMIT, "the manifests are too large");
	return rc;
}

static enum rc int_member(const struct manifest *m, const char *name, int64_t low, int64_t high, int64_t fallback,
			  int64_t *out, struct err *err)
{
	const json_t *v = json_pick(m->json, name);
	if (!v) {
		*out = fallback;
		return RC_OK;
	}
	if (!json_is_integer(v) || json_integer_value(v) < low || json_integer_value(v) > high)
		return err_set(err, RC_INVALID, "%s must be an integer from %lld to %lld", name, (long long)low,
			       (long long)high);
	*out = json_integer_value(v);
	return RC_OK;
}

/* A member that nobody reads is a mistake: a limit with a wrong letter in its name would be none. Names may begin with
 * a capital, as everywhere. */
static enum rc check_members(const json_t *object, const char *const *names, size_t n, struct err *err)
{
	json_t *members = (json_t *)(uintptr_t)object; /* its iterator is not const, but does not change it */

	for (void *at = json_object_iter(members); at; at = json_object_iter_next(members, at)) {
		const char *name = json_object_iter_key(at);
		size_t i = 0;
		while (i < n && !((name[0] | 0x20) == names[i][0] && strcmp(name + 1, names[i] + 1) == 0))
			i++;
		if (i == n)
			return err_set(err, RC_INVALID, "there is no member '%.60s'", name);
	}
	return RC_OK;
}

static enum rc bool_member(const struct manifest *m, const char *name, bool *out, struct err *err)
{
	const json_t *v = json_pick(m->json, name);
	if (v && !json_is_boolean(v))
		return err_set(err, RC_INVALID, "%s must be true or false", name);
	*out = json_is_true(v);
	return RC_OK;
}

/* Bounds of a parameter that is a number. */
static enum rc bounds_members(const struct manifest *m, double *low, double *high, struct err *err)
{
	const json_t *l = json_pick(m->json, "low"), *h = json_pick(m->json, "high");

	if ((l && !json_is_number(l)) || (h && !json_is_number(h)))
		return err_set(err, RC_INVALID, "low and high must be numbers");
	*low = l ? json_number_value(l) : -1e15;
	*high = h ? json_number_value(h) : 1e15;
	return *low <= *high ? RC_OK : err_set(err, RC_INVALID, "low %g is above high %g", *low, *high);
}

static bool parse_type(const char *word, enum param_type *out)
{
	static const struct {
		const char *word;
		enum param_type type;
	} types[] = { { "text", PARAM_TEXT },   { "int", PARAM_INT },       { "real", PARAM_REAL },
		      { "bool", PARAM_BOOL },   { "choice", PARAM_CHOICE }, { "rule", PARAM_RULE },
		      { "paths", PARAM_PATHS }, { "fields", PARAM_FIELDS } };
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i].word, word) == 0) {
			*out = types[i].type;
			return true;
		}
	}
	return false;
}

/* All of a parameter's rule but its name. */
static enum rc read_rule_body(const struct manifest *m, struct param_rule *out, struct err *err)
{
	static const char *const members[] = { "name", "type", "required", "default",
					       "low",  "high", "choices",  "help" };
	const char *type = NULL;

	enum rc rc = check_members(m->json, members, ARRAY_LEN(members), err);
	if (rc == RC_OK)
		rc = text_member(m, "type", "text", &type, err);
	if (rc == RC_OK && !parse_type(type, &out->type))
		rc = err_set(err, RC_INVALID, "type '%.40s' is none of text int real bool choice rule paths fields",
			     type);
	if (rc == RC_OK)
		rc = bool_member(m, "required", &out->is_required, err);
	if (rc == RC_OK)
		rc = bounds_members(m, &out->low, &out->high, err);
	if (rc == RC_OK)
		rc = text_member(m, "help", "", &out->help, err);
	if (rc == RC_OK)
		rc = text_member(m, "choices", "", &out->choices, err);
	if (rc == RC_OK && json_pick(m->json, "default"))
		rc = text_member(m, "default", NULL, &out->default_text, err);
	if (rc == RC_OK && out->type == PARAM_CHOICE && !*out->choices)
		rc = err_set(err, RC_INVALID, "a choice needs choices such as \"a|b\"");
	return rc;
}

static enum rc read_rule(const struct manifest *file, const json_t *v, struct param_rule *out, struct err *err)
{
	struct manifest m = { .all = file->all, .json = v };

	*out = (struct param_rule){ .name = NULL };
	enum rc rc = text_member(&m, "name", NULL, &out->name, err);
	if (rc != RC_OK)
		return rc;
	rc = read_rule_body(&m, out, err);
	if (rc != RC_OK)
		return err_wrap(err, rc, "parameter %.60s", out->name);
	return out->default_text ? param_check(out, out->default_text, err) : RC_OK;
}

static bool has_rule(const struct param_rule *rules, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rules[i].name, name) == 0)
			return true;
	}
	return false;
}

static enum rc read_rules(const struct manifest *m, const char *name, const struct param_rule **rules, size_t *n,
			  struct err *err)
{
	const json_t *list = json_pick(m->json, name);
	size_t len = json_array_size(list);

	if (list && !json_is_array(list))
		return err_set(err, RC_INVALID, "%s must be an array", name);
	if (len > RULES_MAX)
		return err_set(err, RC_LIMIT, "%s has more than %d entries", name, RULES_MAX);
	struct param_rule *out = arena_array(m->all->arena, len, sizeof *out);
	if (!out)
		return err_set(err, RC_LIMIT, "the manifests are too large");
	for (size_t i = 0; i < len; i++) {
		enum rc rc = read_rule(m, json_array_get(list, i), &out[i], err);
		if (rc == RC_OK && has_rule(out, i, out[i].name))
			rc = err_set(err, RC_INVALID, "%s has %.60s twice", name, out[i].name);
		if (rc != RC_OK)
			return rc;
	}
	*rules = out;
	*n = len;
	return RC_OK;
}

/* "run": an array of words, or a text split at blanks. */
static enum rc read_run(struct manifest *m, struct err *err)
{
	const json_t *run = json_pick(m->json, "run");
	const char **argv = arena_array(m->all->arena, ARGS_MAX + 1, sizeof *argv);
	size_t n = 0;

	if (!argv)
		return err_set(err, RC_LIMIT, "the manifests are too large");
	if (json_is_string(run)) {
		for (const char *p = json_string_value(run); *p && n < ARGS_MAX;) {
			size_t len = strcspn(p, " \t");
			if (len)
				argv[n++] = arena_dup_n(m->all->arena, p, len);
			p += len;
			p += strspn(p, " \t");
		}
	} else if (json_is_array(run)) {
		size_t i;
		const json_t *word;
		json_array_foreach(run, i, word) {
			if (!json_is_string(word) || n == ARGS_MAX)
				return err_set(err, RC_INVALID, "run must be an array of at most %d strings", ARGS_MAX);
			argv[n++] = arena_dup(m->all->arena, json_string_value(word));
		}
	}
	if (n == 0)
		return err_set(err, RC_INVALID, "run must be a command line (text or array), or \"builtin:ctr\"");
	if (arena_is_full(m->all->arena))
		return err_set(err, RC_LIMIT, "the manifests are too large");
	if (strncmp(argv[0], "builtin:", 8) != 0) {
		m->out.argv = argv;
		return RC_OK;
	}
	if (strcmp(argv[0], "builtin:ctr") != 0)
		return err_set(err, RC_INVALID, "run: there is no '%.60s', only builtin:ctr", argv[0]);
	m->out.builtin = "ctr";
	return RC_OK;
}

static enum rc read_limits(struct manifest *m, struct err *err)
{
	struct function *f = &m->out;
	int64_t stall_s = 0, grace_s = 0, attempts = 0;
	const struct {
		const char *name;
		int64_t high, fallback, *out;
	} limits[] = {
		{ "timeoutSeconds", 30 * DAY_S, DAY_S, &f->limits.time_s },
		{ "cpuSeconds", 1000 * INT64_C(30) * DAY_S, 0, &f->limits.cpu_s },
		{ "memoryMiB", 1 << 24, 0, &f->limits.memory_mib },
		{ "diskMiB", 1 << 30, 0, &f->limits.disk_mib },
		{ "logMiB", 1 << 20, 0, &f->limits.log_mib },
		{ "processes", 1 << 22, 0, &f->limits.processes },
	};

	enum rc rc = int_member(m, "versionId", 1, INT32_MAX, 101, &f->version_id, err);
	for (size_t i = 0; i < ARRAY_LEN(limits) && rc == RC_OK; i++)
		rc = int_member(m, limits[i].name, 0, limits[i].high, limits[i].fallback, limits[i].out, err);
	if (rc == RC_OK)
		rc = int_member(m, "stallSeconds", 0, 30 * 86400, 0, &stall_s, err);
	if (rc == RC_OK)
		rc = int_member(m, "graceSeconds", 0, 3600, 10, &grace_s, err);
	if (rc == RC_OK)
		rc = int_member(m, "maxAttempts", 1, 100, 3, &attempts, err);
	f->stall_ms = stall_s * 1000;
	f->grace_ms = grace_s * 1000;
	f->max_attempts = (int)attempts;
	return rc;
}

static bool is_function_name(const char *name)
{
	size_t len = strlen(name);
	return len >= 1 && len <= 30 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static enum rc read_names(struct manifest *m, struct err *err)
{
	struct function *f = &m->out;

	enum rc rc = text_member(m, "name", NULL, &f->name, err);
	if (rc == RC_OK && !is_function_name(f->name))
		rc = err_set(err, RC_INVALID, "name: 1 to 30 lower-case letters, digits or '_'");
	if (rc == RC_OK)
		rc = text_member(m, "modelType", NULL, &f->model_type, err);
	if (rc == RC_OK)
		rc = text_member(m, "functionType", "PAAS", &f->function_type, err);
	if (rc == RC_OK && strcmp(f->function_type, "PAAS") != 0 && strcmp(f->function_type, "SAAS") != 0)
		rc = err_set(err, RC_INVALID, "functionType must be PAAS or SAAS");
	if (rc == RC_OK)
		rc = text_member(m, "domain", "", &f->domain, err);
	if (rc == RC_OK)
		rc = text_member(m, "category", "", &f->category, err);
	if (rc == RC_OK)
		rc = text_member(m, "language", "zh", &f->language, err);
	if (rc == RC_OK)
		rc = text_member(m, "versionName", "v1", &f->version_name, err);
	return rc;
}

static enum rc read_manifest(struct manifest *m, struct err *err)
{
	static const char *const members[] = {
		"name",         "modelType",       "run",             "functionType",   "versionId",
		"versionName",  "domain",          "category",        "language",       "createParameters",
		"usageParameters", "timeoutSeconds", "stallSeconds",  "graceSeconds",   "maxAttempts",
		"cpuSeconds",   "memoryMiB",       "diskMiB",         "logMiB",         "processes",
	};
	struct function *f = &m->out;

	if (!json_is_object(m->json))
		return err_set(err, RC_INVALID, "not a JSON object");
	enum rc rc = check_members(m->json, members, ARRAY_LEN(members), err);
	if (rc == RC_OK)
		rc = read_names(m, err);
	if (rc == RC_OK)
		rc = read_run(m, err);
	if (rc == RC_OK)
		rc = read_limits(m, err);
	if (rc == RC_OK)
		rc = read_rules(m, "createParameters", &f->create_rules, &f->n_create_rules, err);
	if (rc == RC_OK)
		rc = read_rules(m, "usageParameters", &f->usage_rules, &f->n_usage_rules, err);
	if (rc == RC_OK && f->builtin && f->n_create_rules == 0) {
		f->create_rules = train_rules;
		f->n_create_rules = n_train_rules;
	}
	if (rc == RC_OK && functions_by_version(m->all, f->name, f->version_id))
		rc = err_set(err, RC_INVALID, "function %s has version %lld already", f->name,
			     (long long)f->version_id);
	return rc;
}

static enum rc load_file(void *ctx, const char *name, struct err *err)
{
	struct manifest *dir = ctx;
	struct arena *a CLEANUP(arena_freep) = arena_new(MANIFEST_SIZE_MAX);
	struct buf text;
	char path[PATH_MAX];
	size_t len = strlen(name);

	if (len < 6 || strcmp(name + len - 5, ".json") != 0)
		return RC_OK;
	struct manifest m = { .all = dir->all };
	buf_init(&text, MANIFEST_SIZE_MAX);
	enum rc rc = path_join(path, dir->dir, name, err);
	if (rc == RC_OK && dir->all->n >= MANIFESTS_MAX)
		rc = err_set(err, RC_LIMIT, "more than %d functions", MANIFESTS_MAX);
	if (rc == RC_OK)
		rc = file_read(path, &text, err);
	if (rc == RC_OK)
		rc = json_read(buf_text(&text), text.len, a, &m.json, err);
	if (rc == RC_OK)
		rc = read_manifest(&m, err);
	buf_fini(&text);
	if (rc != RC_OK)
		return err_wrap(err, rc, "manifest %s", path);
	add(dir->all, &m.out);
	return RC_OK;
}

static int by_name(const void *x, const void *y)
{
	const struct function *a = x, *b = y;
	int order = strcmp(a->name, b->name);
	return order ? order : a->version_id < b->version_id ? 1 : -1; /* the newest version first */
}

static void bound(int64_t *limit, int64_t bound)
{
	if (bound && (!*limit || *limit > bound))
		*limit = bound;
}

/* Operations on caches start processes that outlive them, and are bounded otherwise. */
static void set_bounds(struct functions *f, const struct function_limits *b)
{
	for (int i = 0; i < f->n; i++) {
		struct function_limits *l = &f->rows[i].limits;
		if (f->rows[i].is_internal)
			continue;
		bound(&l->time_s, b->time_s);
		bound(&l->cpu_s, b->cpu_s);
		bound(&l->memory_mib, b->memory_mib);
		bound(&l->disk_mib, b->disk_mib);
		bound(&l->log_mib, b->log_mib);
		bound(&l->processes, b->processes);
	}
}

enum rc functions_load(const char *dir, const struct function_limits *bounds, struct functions **out, struct err *err)
{
	struct functions *f = mem_new(struct functions);
	struct function ctr = builtin_ctr;
	struct manifest m = { .all = f, .dir = dir };

	f->arena = arena_new(16 << 20);
	ctr.create_rules = train_rules;
	ctr.n_create_rules = n_train_rules;
	add(f, &ctr);
	add(f, &builtin_dcs);
	enum rc rc = dir_each(dir, load_file, &m, err);
	if (rc != RC_OK) {
		functions_free(f);
		return rc;
	}
	if (bounds)
		set_bounds(f, bounds);
	qsort(f->rows, (size_t)f->n, sizeof *f->rows, by_name);
	*out = f;
	return RC_OK;
}

void functions_free(struct functions *f)
{
	if (!f)
		return;
	arena_free(f->arena);
	mem_free(f->rows);
	mem_free(f);
}

static bool matches(const char *wanted, const char *have) { return !wanted || strcmp(wanted, have) == 0; }

const struct function *functions_find(const struct functions *f, const char *name, const char *model_type,
				      const char *function_type, const char *domain, const char *category)
{
	for (int i = 0; i < f->n; i++) {
		const struct function *row = &f->rows[i];
		if (!row->is_internal && strcmp(row->name, name) == 0 && matches(model_type, row->model_type) &&
		    matches(function_type, row->function_type) && matches(domain, row->domain) &&
		    matches(category, row->category))
			return row;
	}
	return NULL;
}

const struct function *functions_by_version(const struct functions *f, const char *name, int64_t version_id)
{
	for (int i = 0; i < f->n; i++) {
		if (f->rows[i].version_id == version_id && strcmp(f->rows[i].name, name) == 0)
			return &f->rows[i];
	}
	return NULL;
}

const struct function *functions_any(const struct functions *f, const char *name)
{
	return functions_find(f, name, NULL, NULL, NULL, NULL);
}
