/*
 * A column is one line here, in its struct (tables.h) and in a numbered file of schema/. The member's C type gives the
 * column's type, so those two cannot differ; the back end compares names and types with the database when it opens.
 */
#include "store/tables.h"

#include <assert.h>
#include "base/attr.h"
#include "task/state.h"

#define COL_OF(row, member, how)                                                                    \
	{ #member,                                                                                  \
	  _Generic(((row *)0)->member,                                                              \
		   int64_t: COL_INT, double: COL_REAL, const char *: COL_TEXT, struct blob: COL_BLOB), \
	  offsetof(row, member), (how) }
#define KEY(member) COL_OF(ROW, member, COL_KEY)
#define AUTO(member) COL_OF(ROW, member, COL_KEY | COL_AUTO)
#define COL(member) COL_OF(ROW, member, 0)
#define TABLE(name_, row_) .name = (name_), .row_size = sizeof(row_)
#define COLS(array) .cols = (array), .n_cols = (int)ARRAY_LEN(array)

#define ROW struct key_row
static const struct col key_cols[] = {
	KEY(access_key_id), COL(secret), COL(account), COL(project_id), COL(name), COL(is_active), COL(created_at),
};
#undef ROW
const struct table table_key = { TABLE("key", struct key_row), COLS(key_cols) };

#define ROW struct app_row
static const struct col app_cols[] = {
	AUTO(id),	  COL(account), COL(name),  COL(type), COL(charge_type), COL(resource_group_id),
	COL(description), COL(domain),	COL(quota), COL(tags), COL(created_at),	 COL(updated_at),
};
#undef ROW
static const char *const app_uniques[] = { "account,name", NULL };
const struct table table_app = { TABLE("app", struct app_row), COLS(app_cols), .uniques = app_uniques };

#define ROW struct instance_row
static const struct col instance_cols[] = {
	AUTO(id),	      COL(app_id),	     COL(function),	COL(name),	   COL(function_type),
	COL(model_type),      COL(source),	     COL(description),	COL(version_id),   COL(create_params),
	COL(usage_params),    COL(cron),	     COL(cron_next_at), COL(last_generation),
	COL(model_generation), COL(model_sha256),    COL(last_run_ms),	COL(busy_task_id), COL(extend_info),
	COL(created_at),      COL(updated_at),
};
#undef ROW
static const char *const instance_uniques[] = { "app_id,function,name", NULL };
static const struct table_ref instance_refs[] = { { "app_id", &table_app }, { NULL, NULL } };
static const struct pred instance_hot = PRED_INT("cron_next_at", CMP_GT, 0);
const struct table table_instance = { TABLE("instance", struct instance_row), COLS(instance_cols),
				      .uniques = instance_uniques, .refs = instance_refs, .hot = &instance_hot };

#define ROW struct task_row
static const struct col task_cols[] = {
	AUTO(id),	   COL(instance_id), COL(generation), COL(kind),	 COL(run_id),	  COL(state),
	COL(progress),	   COL(attempt),     COL(max_attempts), COL(not_before), COL(created_at), COL(started_at),
	COL(ended_at),	   COL(updated_at),  COL(params),     COL(checkpoint),	 COL(pid),	  COL(pid_start),
	COL(fault),	   COL(error_code),  COL(error_message), COL(result),	 COL(data_hash),
};
#undef ROW
static const char *const task_uniques[] = { "instance_id,generation", NULL };
static const struct table_ref task_refs[] = { { "instance_id", &table_instance }, { NULL, NULL } };
/* The unfinished ones. schema/ writes the number, so the order of states may not change. */
static_assert(TASK_PENDING == 0 && TASK_RUNNING == 1 && TASK_SUCCESS == 2 && TASK_FAILED == 3,
	      "task states are stored as numbers");
static const struct pred task_hot = PRED_INT("state", CMP_LT, TASK_SUCCESS);
static const struct total task_totals[] = {
	{ .name = "task_total", .first = "instance_id", .second = "state", .along = "generation" }, { .name = NULL }
};
const struct table table_task = { TABLE("task", struct task_row), COLS(task_cols), .uniques = task_uniques,
				  .refs = task_refs, .hot = &task_hot, .totals = task_totals };

#define ROW struct event_row
static const struct col event_cols[] = {
	AUTO(id), COL(task_id), COL(at), COL(attempt), COL(kind), COL(text),
};
#undef ROW
static const struct table_ref event_refs[] = { { "task_id", &table_task }, { NULL, NULL } };
const struct table table_event = { TABLE("event", struct event_row), COLS(event_cols), .refs = event_refs };

#define ROW struct metric_row
static const struct col metric_cols[] = {
	KEY(task_id), KEY(set_name), KEY(name), KEY(step), COL(value), COL(at),
};
#undef ROW
static const struct table_ref metric_refs[] = { { "task_id", &table_task }, { NULL, NULL } };
const struct table table_metric = { TABLE("metric", struct metric_row), COLS(metric_cols), .refs = metric_refs };

#define ROW struct default_row
static const struct col default_cols[] = { KEY(app_id), KEY(function), COL(instance_id) };
#undef ROW
static const struct table_ref default_refs[] = { { "instance_id", &table_instance }, { NULL, NULL } };
const struct table table_default = { TABLE("default", struct default_row), COLS(default_cols),
				     .refs = default_refs };

#define ROW struct cache_row
static const struct col cache_cols[] = {
	AUTO(id),	   COL(uid),	     COL(unit_id),	   COL(project_id),   COL(name),
	COL(description),  COL(status),	     COL(engine_version),  COL(spec_code),    COL(cache_mode),
	COL(capacity_mib), COL(ip),	     COL(port),		   COL(wrong_passwords), COL(locked_until),
	COL(maintain_begin), COL(maintain_end), COL(tags),	   COL(backup_policy), COL(echo),
	COL(whitelist),	   COL(state),	     COL(created_at),	   COL(launched_at),  COL(updated_at),
	COL(deleted_at),
};
#undef ROW
static const char *const uid_unique[] = { "uid", NULL };
static const struct table_ref cache_refs[] = { { "unit_id", &table_instance }, { NULL, NULL } };
const struct table table_cache = { TABLE("cache", struct cache_row), COLS(cache_cols), .uniques = uid_unique,
				   .refs = cache_refs };

#define ROW struct cache_task_row
static const struct col cache_task_cols[] = { KEY(task_id), COL(cache_id), COL(project_id) };
#undef ROW
static const struct table_ref cache_task_refs[] = { { "task_id", &table_task }, { NULL, NULL } };
static const struct total cache_task_totals[] = {
	{ .name = "cache_task_total", .first = "cache_id", .second = "project_id", .along = "task_id" },
	{ .name = "project_task_total", .first = "project_id", .along = "task_id" },
	{ .name = NULL },
};
const struct table table_cache_task = { TABLE("cache_task", struct cache_task_row), COLS(cache_task_cols),
					.refs = cache_task_refs, .totals = cache_task_totals };

#define ROW struct backup_row
static const struct col backup_cols[] = {
	AUTO(id), COL(uid), COL(cache_id), COL(name), COL(type), COL(status), COL(remark), COL(format),
	COL(size), COL(sha256), COL(path), COL(task_id), COL(error_code), COL(created_at), COL(started_at),
	COL(updated_at), COL(expires_at),
};
#undef ROW
static const struct table_ref of_cache[] = { { "cache_id", &table_cache }, { NULL, NULL } };
const struct table table_backup = { TABLE("backup", struct backup_row), COLS(backup_cols), .uniques = uid_unique,
				    .refs = of_cache };

#define ROW struct restore_row
static const struct col restore_cols[] = {
	AUTO(id),     COL(uid),	    COL(cache_id),   COL(backup_uid), COL(name), COL(remark),
	COL(status),  COL(task_id), COL(error_code), COL(created_at), COL(updated_at),
};
#undef ROW
const struct table table_restore = { TABLE("restore", struct restore_row), COLS(restore_cols), .uniques = uid_unique,
				     .refs = of_cache };

#define ROW struct scan_row
static const struct col scan_cols[] = {
	AUTO(id),   COL(uid), COL(cache_id), COL(kind),	      COL(type),       COL(status),   COL(args),
	COL(result), COL(num), COL(task_id),  COL(created_at), COL(started_at), COL(ended_at),
};
#undef ROW
const struct table table_scan = { TABLE("scan", struct scan_row), COLS(scan_cols),
				  .uniques = uid_unique, .refs = of_cache };

#define ROW struct schedule_row
static const struct col schedule_cols[] = {
	AUTO(id), COL(cache_id), COL(kind), COL(is_enabled), COL(times), COL(first_at), COL(interval_s),
	COL(timeout_s), COL(batch), COL(next_at), COL(skipped_at), COL(skipped_why), COL(updated_at),
};
#undef ROW
static const char *const schedule_uniques[] = { "cache_id,kind", NULL };
static const struct pred schedule_hot = PRED_INT("next_at", CMP_GT, 0);
const struct table table_schedule = { TABLE("schedule", struct schedule_row), COLS(schedule_cols),
				      .uniques = schedule_uniques, .refs = of_cache, .hot = &schedule_hot };

#define ROW struct template_row
static const struct col template_cols[] = {
	AUTO(id),	     COL(uid),	      COL(project_id), COL(name),	COL(description),
	COL(engine_version), COL(cache_mode), COL(params),     COL(created_at), COL(updated_at),
};
#undef ROW
const struct table table_template = { TABLE("template", struct template_row), COLS(template_cols),
				      .uniques = uid_unique };

const struct table *const all_tables[14] = {
	&table_key, &table_app, &table_instance, &table_task, &table_event, &table_metric, &table_default,
	&table_cache, &table_cache_task, &table_backup, &table_restore, &table_scan, &table_schedule, &table_template,
};
