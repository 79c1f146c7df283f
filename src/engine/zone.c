/*
 * Schedules in local time on top of a pure UTC cron: an instant is shifted into local "as if UTC" seconds, cron
 * looks for the next match there, and the result is shifted back. Where the clocks go forward, a firing in the
 * gap comes later by the size of the gap; where they go back, a firing in the doubled hour happens once, the first
 * time. Which instant a local time means does not depend on when it is asked for, so nothing fires twice that was
 * looked for late, and nothing is lost.
 */
#include <time.h>
#include "base/must.h"
#include "cron/cron.h"
#include "engine/priv.h"

enum { DAY_S = 86400 };

static int64_t offset_s(int64_t at_s)
{
	time_t t = (time_t)at_s;
	struct tm tm;
	must(localtime_r(&t, &tm));
	return (int64_t)tm.tm_gmtoff;
}

/* No zone changes its offset twice within two days. */
static int64_t instant_of(int64_t local)
{
	int64_t before = offset_s(local - DAY_S), after = offset_s(local + DAY_S);
	bool is_before = offset_s(local - before) == before, is_after = offset_s(local - after) == after;

	return is_after && !is_before ? local - after : local - before;
}

/* The smallest local time that may mean an instant behind after_s: one in the gap may, up to its size later. */
static int64_t first_local(int64_t after_s)
{
	int64_t now = offset_s(after_s), yesterday = offset_s(after_s - DAY_S);
	int64_t local = after_s + (now < yesterday ? now : yesterday);
	return local < 0 ? 0 : local; /* a clock that was never set, west of Greenwich */
}

int64_t zone_cron_next(const char *cron, int64_t after_ms)
{
	struct cron c;
	if (!*cron || cron_parse(&c, cron, NULL) != RC_OK)
		return 0;
	int64_t after_s = after_ms / 1000, local = first_local(after_s);
	for (;;) {
		local = cron_next(&c, local);
		int64_t at_s = instant_of(local);
		if (at_s > after_s)
			return at_s * 1000;
	}
}

void zone_run_time(int64_t at_ms, char out[20])
{
	time_t t = (time_t)(at_ms / 1000);
	struct tm tm;
	must(localtime_r(&t, &tm));
	must(strftime(out, 20, "%Y-%m-%dT%H:%M:%S", &tm) == 19);
}
