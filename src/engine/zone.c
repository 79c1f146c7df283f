/*
 * Schedules in local time on top of a pure UTC cron: an instant is shifted into local "as if UTC" seconds, cron
 * looks for the next match there, and the result is shifted back. Where the clocks go forward, a firing in the
 * gap moves by the size of the gap; where they go back, a firing in the doubled hour happens once, the first time.
 */
#include <time.h>
#include "base/must.h"
#include "cron/cron.h"
#include "engine/priv.h"

static int64_t offset_s(int64_t at_s)
{
	time_t t = (time_t)at_s;
	struct tm tm;
	must(localtime_r(&t, &tm));
	return (int64_t)tm.tm_gmtoff;
}

int64_t zone_cron_next(const char *cron, int64_t after_ms)
{
	struct cron c;
	if (!*cron || cron_parse(&c, cron, NULL) != RC_OK)
		return 0;
	int64_t after_s = after_ms / 1000, local = after_s + offset_s(after_s);
	for (;;) {
		local = cron_next(&c, local);
		int64_t guess = local - offset_s(after_s);
		int64_t at_s = local - offset_s(guess);
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
