/*
 * paths: where the files that rows name lie below DATA, as paths relative to it. For whoever reads a data folder from
 * outside of a running engine: backup, restore, doctor.
 * Pure; any thread. Errors: RC_LIMIT, a row's names make too long a path (out is unchanged).
 */
#ifndef ENGINE_PATHS_H
#define ENGINE_PATHS_H

#include <limits.h>
#include "base/err.h"
#include "store/tables.h"

#define TREE_MODELS "models"
#define TREE_LOGS "logs"
#define TREE_CACHE "cache"
#define TREE_BACKUPS "backups"
#define MODEL_FILE "model.bin"

enum rc path_below_model(const struct instance_row *i, int64_t generation, char out[PATH_MAX],
			 struct err *err) NODISCARD;
enum rc path_below_log(const struct instance_row *i, int64_t generation, char out[PATH_MAX], struct err *err) NODISCARD;
/* cache/UID/NAME; the folder of an instance of Redis. */
enum rc path_below_cache(const char *cache_uid, const char *name, char out[PATH_MAX], struct err *err) NODISCARD;
/* backups/UID/BACKUP.rdb */
enum rc path_below_backup(const char *cache_uid, const char *backup_uid, char out[PATH_MAX], struct err *err) NODISCARD;

#endif
