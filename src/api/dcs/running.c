#include "api/dcs/running.h"

enum { RECENT_TASKS = 20 /* among which what runs now is looked for */ };

/* No other operation began after the one under way, but analyses may have. */
enum verdict running_operation(struct call *c, const struct cache_row *row, const char **out, struct err *err)
{
	struct task_row *rows;
	size_t n, i = 0;
	int64_t total;
	const struct cache_task_filter newest = {
		.project_id = row->project_id,
		.cache_id = row->id,
		.created_from = INT64_MIN,
		.created_until = INT64_MAX,
		.limit = RECENT_TASKS,
	};
	enum verdict v = engine_cache_task_list(c->view, &newest, c->arena, &rows, &n, &total, err);
	if (v != V_OK)
		return v;
	while (i < n && scan_of(rows[i].kind) != SCAN_KINDS)
		i++;
	*out = i < n && !task_state_is_final((enum task_state)rows[i].state) ? rows[i].kind : NULL;
	return V_OK;
}
