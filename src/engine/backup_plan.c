#include "engine/backup_plan.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/must.h"
#include "json/json.h"

enum { HOUR_MS = 3600000, POLICY_MAX = 65536, SAVE_DAYS_MAX = 7 };

struct backup_plan backup_plan_read(const char *policy_json)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(POLICY_MAX);
	struct backup_plan p = { .is_auto = false };
	const json_t *root = NULL, *day;
	size_t i;

	if (!*policy_json || json_read(policy_json, strlen(policy_json), a, &root, NULL) != RC_OK)
		return p;
	const json_t *policy = json_object_get(root, "policy");
	const json_t *plan = json_object_get(policy, "periodical_backup_plan");
	const char *type = json_string_value(json_object_get(policy, "backup_type"));
	const char *begin = json_string_value(json_object_get(plan, "begin_at"));
	json_array_foreach(json_object_get(plan, "backup_at"), i, day) {
		json_int_t n = json_integer_value(day);
		p.days |= n >= 1 && n <= 7 ? 1u << n : 0;
	}
	json_int_t save_days = json_integer_value(json_object_get(policy, "save_days"));
	p.save_days = save_days >= 1 && save_days <= SAVE_DAYS_MAX ? (int)save_days : 0;
	bool has_hour = begin && begin[0] >= '0' && begin[0] <= '2' && begin[1] >= '0' && begin[1] <= '9';
	p.begin_hour = has_hour ? (begin[0] - '0') * 10 + (begin[1] - '0') : 24;
	p.is_auto = type && strcmp(type, "auto") == 0 && p.days && p.begin_hour < 24 && p.save_days > 0;
	return p;
}

int64_t backup_plan_window(const struct backup_plan *p, int64_t now_ms)
{
	time_t t = (time_t)(now_ms / 1000);
	struct tm tm;

	must(gmtime_r(&t, &tm));
	int day = tm.tm_wday == 0 ? 7 : tm.tm_wday;
	if (!p->is_auto || !(p->days >> day & 1) || tm.tm_hour != p->begin_hour)
		return 0;
	return now_ms / HOUR_MS * HOUR_MS;
}

bool backup_plan_is_made(const struct backup_row *rows, size_t n, int64_t window_ms)
{
	for (size_t i = 0; i < n; i++) {
		const struct backup_row *b = &rows[i];
		if (strcmp(b->type, "auto") == 0 && b->created_at >= window_ms && b->created_at < window_ms + HOUR_MS)
			return true;
	}
	return false;
}

static bool is_under_way(const struct backup_row *b)
{
	return strcmp(b->status, "waiting") == 0 || strcmp(b->status, "backuping") == 0;
}

int backup_plan_surplus(const struct backup_row *rows, size_t n, int64_t now_ms)
{
	size_t good = 0;

	for (size_t i = 0; i < n; i++)
		good += strcmp(rows[i].status, "succeed") == 0;
	for (size_t i = n; i > 0; i--) { /* the oldest first */
		const struct backup_row *b = &rows[i - 1];
		bool is_last_good = good == 1 && strcmp(b->status, "succeed") == 0;
		bool is_expired = b->expires_at && b->expires_at <= now_ms;
		bool is_beyond = i > BACKUPS_MAX;
		if (!is_under_way(b) && !is_last_good && (is_expired || is_beyond))
			return (int)(i - 1);
	}
	return -1;
}
