/*
 * Where things lie below DATA: models/APP/FUNCTION/INSTANCE.ID/GENERATION/ and
 * logs/APP/FUNCTION/INSTANCE.ID/GENERATION.log, APP and ID being row ids, so that an instance that is created again
 * under an old name never meets the files of its predecessor, and the files of an app group or an instance go as one
 * folder in each tree.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/attr.h"
#include "base/must.h"
#include "engine/paths.h"
#include "engine/priv.h"

void path_of_app(const struct engine *e, const char *tree, int64_t app_id, char *out)
{
	int n = snprintf(out, PATH_MAX, "%s/%s/%lld", e->data_dir, tree, (long long)app_id);
	must(n > 0 && n < PATH_MAX); /* engine_open bounds data_dir, the rules of names the rest */
}

void path_of_instance(const struct engine *e, const char *tree, const struct instance_row *i, char *out)
{
	int n = snprintf(out, PATH_MAX, "%s/%s/%lld/%s/%s.%lld", e->data_dir, tree, (long long)i->app_id, i->function,
			 i->name, (long long)i->id);
	must(n > 0 && n < PATH_MAX);
}

void path_of_generation(const struct engine *e, const struct instance_row *i, int64_t generation, char *out)
{
	char dir[PATH_MAX];
	path_of_instance(e, TREE_MODELS, i, dir);
	int n = snprintf(out, PATH_MAX, "%s/%lld", dir, (long long)generation);
	must(n > 0 && n < PATH_MAX);
}

void engine_task_log_path(const struct engine *e, const struct instance_row *i, int64_t generation, char *out)
{
	char dir[PATH_MAX];
	path_of_instance(e, TREE_LOGS, i, dir);
	int n = snprintf(out, PATH_MAX, "%s/%lld.log", dir, (long long)generation);
	must(n > 0 && n < PATH_MAX);
}

/* ---- relative to DATA ---- */

PRINTF(3, 4) static enum rc print_path(char out[PATH_MAX], struct err *err, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(path, sizeof path, fmt, ap);
	va_end(ap);
	if (n <= 0 || n >= PATH_MAX)
		return err_set(err, RC_LIMIT, "the path '%.100s...' is too long", path);
	memcpy(out, path, (size_t)n + 1);
	return RC_OK;
}

enum rc path_below_model(const struct instance_row *i, int64_t generation, char out[PATH_MAX], struct err *err)
{
	return print_path(out, err, TREE_MODELS "/%lld/%s/%s.%lld/%lld/" MODEL_FILE, (long long)i->app_id, i->function,
			  i->name, (long long)i->id, (long long)generation);
}

enum rc path_below_log(const struct instance_row *i, int64_t generation, char out[PATH_MAX], struct err *err)
{
	return print_path(out, err, TREE_LOGS "/%lld/%s/%s.%lld/%lld.log", (long long)i->app_id, i->function, i->name,
			  (long long)i->id, (long long)generation);
}

enum rc path_below_cache(const char *cache_uid, const char *name, char out[PATH_MAX], struct err *err)
{
	return print_path(out, err, TREE_CACHE "/%s/%s", cache_uid, name);
}

enum rc path_below_backup(const char *cache_uid, const char *backup_uid, char out[PATH_MAX], struct err *err)
{
	return print_path(out, err, TREE_BACKUPS "/%s/%s.rdb", cache_uid, backup_uid);
}
