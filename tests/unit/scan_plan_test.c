#include "engine/scan_plan.h"

#include <stdlib.h>
#include "test.h"

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

TEST(only_times_of_day_are_times)
{
	static const char *const good[] = { "00:00", "21:00", "23:59", "09:05" };
	static const char *const bad[] = { "",      "21",    "21:0",  "21:000", "24:00", "12:60", "-1:00",
					   "12:-1", "1:000", "ab:cd", "21.00",  " 9:00", "09:00 " };
	FOR_EACH_ROW(i, good)
		EXPECT(scan_plan_is_time(good[i]), "'%s'", good[i]);
	FOR_EACH_ROW(i, bad)
		EXPECT(!scan_plan_is_time(bad[i]), "'%s'", bad[i]);
}

TEST(times_of_day_fire_every_day_in_utc_wherever_the_server_stands)
{
	static const struct {
		const char *zone, *times;
		int64_t after_min, next_min; /* from 2026-11-22 00:00 UTC */
	} row[] = {
		{ "UTC", "21:00", 0, 21 * 60 },
		{ "UTC", "21:00", 21 * 60, 45 * 60 },             /* strictly after */
		{ "UTC", "21:00,08:30", 0, 8 * 60 + 30 },         /* in any order */
		{ "UTC", "08:30,21:00", 9 * 60, 21 * 60 },
		{ "UTC", "08:30,21:00", 22 * 60, 32 * 60 + 30 },
		{ "UTC", "", 0, -1 },
		{ "Asia/Shanghai", "21:00", 0, 21 * 60 },
		{ "America/New_York", "21:00", 0, 21 * 60 },
	};
	int64_t base = utc(2026, 11, 22, 0, 0);
	FOR_EACH_ROW(i, row) {
		struct schedule_row s = { .times = row[i].times };
		set_zone(row[i].zone);
		int64_t next = scan_plan_next(&s, (base + row[i].after_min * 60) * 1000);
		int64_t expected = row[i].next_min < 0 ? 0 : (base + row[i].next_min * 60) * 1000;
		EXPECT(next == expected, "%s %s after %lld: %lld", row[i].zone, row[i].times,
		       (long long)row[i].after_min, (long long)(next / 60000 - base / 60));
	}
	set_zone("UTC");
}

TEST(an_interval_counts_from_the_first_moment_and_not_from_a_late_firing)
{
	static const struct {
		int64_t first, interval_s, after, next;
	} row[] = {
		{ 5000, 10, 0, 5000 },      { 5000, 10, 4999, 5000 },
		{ 5000, 10, 5000, 15000 },  { 5000, 10, 14999, 15000 },
		{ 5000, 10, 15000, 25000 }, { 5000, 10, 987654, 995000 }, /* missed ones count once */
		{ 5000, 0, 4999, 5000 },    { 5000, 0, 5000, 0 },
		{ 5000, 0, 6000, 0 }, /* only the first */
		{ 0, 10, 5000, 0 },         { 0, 0, 5000, 0 },
	};
	FOR_EACH_ROW(i, row) {
		struct schedule_row s = { .times = "", .first_at = row[i].first, .interval_s = row[i].interval_s };
		EXPECT(scan_plan_next(&s, row[i].after) == row[i].next, "%zu: %lld", i,
		       (long long)scan_plan_next(&s, row[i].after));
	}
}

TEST(what_cannot_fire_now_is_tried_soon_but_not_beyond_the_next_one)
{
	struct schedule_row often = { .times = "", .first_at = 5000, .interval_s = 10 };
	struct schedule_row once = { .times = "", .first_at = 5000 };
	EXPECT(scan_plan_later(&often, 6000) == 15000, "the next one is nearer");
	EXPECT(scan_plan_later(&once, 6000) == 6000 + SCAN_LATER_MS, "there is no next one");
}

int main(void)
{
	RUN(only_times_of_day_are_times);
	RUN(times_of_day_fire_every_day_in_utc_wherever_the_server_stands);
	RUN(an_interval_counts_from_the_first_moment_and_not_from_a_late_firing);
	RUN(what_cannot_fire_now_is_tried_soon_but_not_beyond_the_next_one);
	return test_failures != 0;
}
