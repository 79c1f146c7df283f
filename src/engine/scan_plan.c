#include "engine/scan_plan.h"

#include <string.h>
#include "base/num.h"

enum { DAY_MS = 24 * 3600 * 1000 };

/* Hour and minute of the first five bytes; false: no time of day. */
static bool read_time(const char *text, int64_t *hour, int64_t *minute)
{
	return strnlen(text, 5) == 5 && text[2] == ':' && num_i64_n(text, 2, hour) && num_i64_n(text + 3, 2, minute) &&
	       *hour >= 0 && *hour <= 23 && *minute >= 0 && *minute <= 59 && text[0] != '-' && text[3] != '-';
}

bool scan_plan_is_time(const char *text)
{
	int64_t hour, minute;
	return read_time(text, &hour, &minute) && !text[5];
}

static int64_t earlier(int64_t a, int64_t b) { return a && (!b || a < b) ? a : b; }

static int64_t next_of_day(const char *times, int64_t after_ms)
{
	int64_t next = 0, hour, minute, midnight_ms = after_ms / DAY_MS * DAY_MS;

	for (const char *p = times; read_time(p, &hour, &minute); p += 5 + (p[5] == ',')) {
		int64_t today = midnight_ms + (hour * 60 + minute) * 60000;
		next = earlier(today > after_ms ? today : today + DAY_MS, next);
	}
	return next;
}

/* On the grid that first_at begins, so that a late firing does not move those after it. */
static int64_t next_of_grid(const struct schedule_row *s, int64_t after_ms)
{
	int64_t step = s->interval_s * 1000;

	if (!s->first_at || s->first_at > after_ms)
		return s->first_at;
	return step > 0 ? s->first_at + ((after_ms - s->first_at) / step + 1) * step : 0;
}

int64_t scan_plan_next(const struct schedule_row *s, int64_t after_ms)
{
	return earlier(next_of_day(s->times, after_ms), next_of_grid(s, after_ms));
}

int64_t scan_plan_later(const struct schedule_row *s, int64_t now_ms)
{
	return earlier(now_ms + SCAN_LATER_MS, scan_plan_next(s, now_ms));
}
