#include "engine/backup_plan.h"

#include "test.h"

#define POLICY(type, days, begin, at)                                                                                  \
	"{\"policy\":{\"backup_type\":\"" type "\",\"save_days\":" days                                                \
	",\"periodical_backup_plan\":{\"backup_at\":" at ","                                                           \
	"\"period_type\":\"weekly\",\"begin_at\":\"" begin "\"}}}"

TEST(only_whole_automatic_plans_count)
{
	static const struct {
		const char *policy;
		bool is_auto;
	} row[] = {
		{ POLICY("auto", "7", "02:00-03:00", "[1,3,7]"), true },
		{ POLICY("manual", "7", "02:00-03:00", "[1]"), false },
		{ POLICY("auto", "0", "02:00-03:00", "[1]"), false },
		{ POLICY("auto", "7", "xx", "[1]"), false },
		{ POLICY("auto", "8", "02:00-03:00", "[1]"), false },
		{ POLICY("auto", "4294967297", "02:00-03:00", "[1]"), false },
		{ POLICY("auto", "7", "25:00-26:00", "[1]"), false },
		{ POLICY("auto", "7", "02:00-03:00", "[8]"), false },
		{ "", false },
		{ "{}", false },
		{ "not json", false },
		{ "{\"policy\":[]}", false },
	};
	FOR_EACH_ROW(i, row)
		EXPECT(backup_plan_read(row[i].policy).is_auto == row[i].is_auto, "%s", row[i].policy);
}

TEST(the_window_is_an_hour_of_a_day_in_utc)
{
	struct backup_plan p = backup_plan_read(POLICY("auto", "7", "02:00-03:00", "[1,7]"));
	int64_t sunday = utc(2026, 11, 22, 2, 0) * 1000, monday = utc(2026, 11, 23, 2, 0) * 1000;
	EXPECT(backup_plan_window(&p, sunday) == sunday && backup_plan_window(&p, sunday + 3599999) == sunday,
	       "Sunday is 7");
	EXPECT(backup_plan_window(&p, monday + 60000) == monday, "Monday is 1");
	EXPECT(backup_plan_window(&p, sunday - 1) == 0 && backup_plan_window(&p, sunday + 3600000) == 0,
	       "outside of the hour");
	EXPECT(backup_plan_window(&p, monday + 86400000) == 0, "no Tuesday");
}

/* One of another hour is none, neither of an earlier one nor of one that a clock which was ahead has made up. */
TEST(a_window_has_its_backup_or_is_still_to_have_one)
{
	static const int64_t hour = 3600000, window = 100 * INT64_C(3600000);
	static const struct {
		const char *type;
		int64_t created_at;
		bool is_made;
	} row[] = {
		{ "auto", 100 * INT64_C(3600000), true },     { "auto", 101 * INT64_C(3600000) - 1, true },
		{ "manual", 100 * INT64_C(3600000), false },  { "auto", 100 * INT64_C(3600000) - 1, false },
		{ "auto", 101 * INT64_C(3600000), false },    { "auto", 9000 * INT64_C(3600000), false },
	};
	FOR_EACH_ROW(i, row) {
		const struct backup_row b = { .type = row[i].type, .created_at = row[i].created_at };
		EXPECT(backup_plan_is_made(&b, 1, window) == row[i].is_made, "%s %lld", row[i].type,
		       (long long)(row[i].created_at / hour));
	}
	EXPECT(!backup_plan_is_made(NULL, 0, window), "none at all");
}

TEST(what_has_had_its_time_goes_but_never_the_last_good_one)
{
	static const struct backup_row good = { .status = "succeed", .type = "auto", .expires_at = 100 };
	struct backup_row rows[BACKUPS_MAX + 2];
	rows[0] = rows[1] = good;
	EXPECT(backup_plan_surplus(rows, 2, 99) == -1, "not yet");
	EXPECT(backup_plan_surplus(rows, 2, 100) == 1, "the oldest");
	EXPECT(backup_plan_surplus(rows, 1, 100) == -1, "the last good one stays");
	rows[1].status = "failed";
	EXPECT(backup_plan_surplus(rows, 2, 100) == 1, "a failed one goes");
	rows[1].status = "backuping";
	EXPECT(backup_plan_surplus(rows, 2, 100) == -1, "one under way stays");
	for (int i = 0; i < BACKUPS_MAX + 2; i++)
		rows[i] = (struct backup_row){ .status = "succeed", .type = "manual" };
	EXPECT(backup_plan_surplus(rows, BACKUPS_MAX, 1) == -1, "as many as may be");
	EXPECT(backup_plan_surplus(rows, BACKUPS_MAX + 2, 1) == BACKUPS_MAX + 1, "the oldest beyond");
}

int main(void)
{
	RUN(only_whole_automatic_plans_count);
	RUN(the_window_is_an_hour_of_a_day_in_utc);
	RUN(a_window_has_its_backup_or_is_still_to_have_one);
	RUN(what_has_had_its_time_goes_but_never_the_last_good_one);
	return test_failures != 0;
}
