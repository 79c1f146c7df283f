#include "engine/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cron/cron.h"
#include "json/json.h"
#include "os/file.h"

enum { NAME_LEN_MAX = 30, PARAMS_JSON_MAX = 1 << 20 };

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_name(const char *name, const char *also)
{
	size_t len = strlen(name);
	if (len < 1 || len > NAME_LEN_MAX || !is_letter(name[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!is_letter(name[i]) && !is_digit(name[i]) && !strchr(also, name[i]))
			return false;
	}
	return true;
}

enum rc check_app_name(const char *name, struct err *err)
{
	/* The text of the contract names letters, digits and '_'; its samples use "my-app", so '-' passes too. */
	if (is_name(name, "_-"))
		return RC_OK;
	return err_set(err, RC_INVALID, "name '%.60s': 1 to 30 letters, digits, '_' or '-', the first a letter", name);
}

enum rc check_instance_name(const char *name, struct err *err)
{
	if (is_name(name, "_"))
		return RC_OK;
	return err_set(err, RC_INVALID, "instanceName '%.60s': 1 to 30 letters, digits or '_', the first a letter",
		       name);
}

enum rc check_text(const char *field, const char *text, size_t max_len, struct err *err)
{
	if (strlen(text) > max_len)
		return err_set(err, RC_INVALID, "%s is longer than %zu bytes", field, max_len);
	return RC_OK;
}

enum rc check_cron(const char *cron, struct err *err)
{
	struct cron c;
	if (strlen(cron) > 200)
		return err_set(err, RC_INVALID, "cron is longer than 200 bytes");
	return *cron ? cron_parse(&c, cron, err) : RC_OK;
}

/* Does path stay below root when read letter by letter? Links are checked by whoever opens it. */
static bool is_below(const char *path, const char *root)
{
	size_t len = strlen(root);
	return strncmp(path, root, len) == 0 && (path[len] == '/' || (len > 0 && root[len - 1] == '/'));
}

static bool has_dot_dot(const char *path)
{
	for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/') {
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
			return true;
	}
	return false;
}

static enum rc check_path(const struct engine *e, const char *name, const char *path, struct err *err)
{
	char real[PATH_MAX];

	if (has_dot_dot(path))
		return err_set(err, RC_INVALID, "parameter %s: '%.200s' must not contain '..'", name, path);
	if (path[0] != '/')
		return RC_OK; /* relative: looked up in the import roots when the task runs */
	for (int i = 0; i < e->n_roots; i++) {
		if (is_below(path, e->roots[i]) || (realpath(e->roots[i], real) && is_below(path, real)))
			return RC_OK;
	}
	return err_set(err, RC_INVALID,
		"parameter %s: '%.200s' is outside of every import root (the server's --import-root; DATA/import "
		"always is one)",
		name, path);
}

static enum rc check_paths(const struct engine *e, const char *name, const char *list, struct err *err)
{
	char path[PATH_MAX];

	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
		size_t len = strcspn(p, ",");
		if (len >= sizeof path)
			return err_set(err, RC_INVALID, "parameter %s: a path is longer than %d bytes", name,
				       PATH_MAX - 1);
		memcpy(path, p, len);
		path[len] = '\0';
		enum rc rc = check_path(e, name, path, err);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc check_params(const struct engine *e, const struct param_rule *rules, size_t n_rules, const struct param *params,
		     size_t n_params, struct err *err)
{
	enum rc rc = param_check_all(rules, n_rules, params, n_params, err);

	for (size_t i = 0; i < n_rules && rc == RC_OK; i++) {
		const char *value = rules[i].type == PARAM_PATHS
					    ? param_get(rules, n_rules, params, n_params, rules[i].name) : NULL;
		if (value)
			rc = check_paths(e, rules[i].name, value, err);
	}
	return rc;
}

char *params_to_json(const struct param *params, size_t n, struct arena *a)
{
	struct buf out;
	struct jw w;

	buf_init(&out, PARAMS_JSON_MAX);
	jw_init(&w, &out, CASING_CAMEL);
	jw_object(&w);
	for (size_t i = 0; i < n; i++) {
		jw_key_exact(&w, params[i].name);
		jw_text(&w, params[i].value);
	}
	jw_end_object(&w);
	char *text = out.is_over ? NULL : arena_dup_n(a, buf_text(&out), out.len);
	buf_fini(&out);
	return text;
}
