#include "engine/ageing.h"

#include "test.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define T0 INT64_C(1790000000000)
#define BOOT (5 * HOUR)

TEST(a_jump_counts_once_it_has_lasted_for_a_day)
{
	/* Looks at one clock, one after the other: time since the first, and what the clock shows then. */
	static const struct {
		int64_t passed, wall, now;
		bool is_ahead;
	} row[] = {
		{ 0, 0, 0, false },
		{ HOUR, HOUR, HOUR, false },
		{ HOUR + 1000, HOUR + 60000, HOUR + 60000, false },            /* a correction */
		{ 2 * HOUR, 2 * HOUR + 30 * DAY, 2 * HOUR + 59000, true },     /* ahead ... */
		{ 3 * HOUR, 3 * HOUR, 3 * HOUR, false },                       /* ... for a while */
		{ 4 * HOUR, 4 * HOUR + 30 * DAY, 4 * HOUR, true },
		{ 27 * HOUR, 27 * HOUR + 30 * DAY, 27 * HOUR, true },
		{ 27 * HOUR + 1, 27 * HOUR + 99 * DAY, 27 * HOUR + 1, true },  /* further: a day from here on */
		{ 29 * HOUR, 29 * HOUR + 99 * DAY, 29 * HOUR, true },
		{ 51 * HOUR, 51 * HOUR + 99 * DAY + 3000, 51 * HOUR, true },   /* the same, a little corrected */
		{ 52 * HOUR, 52 * HOUR + 99 * DAY, 52 * HOUR + 99 * DAY, false },
		{ 54 * HOUR, 54 * HOUR + DAY, 54 * HOUR + DAY, false },        /* back is followed at once */
		{ 55 * HOUR, 55 * HOUR + 2 * DAY, 55 * HOUR + DAY, true },
	};
	struct ageing a;

	ageing_begin(&a, T0, BOOT, T0 - HOUR);
	FOR_EACH_ROW(i, row) {
		int64_t now = ageing_now(&a, T0 + row[i].wall, BOOT + row[i].passed);
		EXPECT(now == T0 + row[i].now, "%zu: %lld ms from what it is", i, (long long)(now - T0 - row[i].now));
		EXPECT(a.is_ahead == row[i].is_ahead, "%zu: ahead: %d", i, a.is_ahead);
	}
}

TEST(a_start_is_judged_by_what_was_written_last)
{
	static const struct {
		int64_t newest, now; /* ms before the clock's time; newest 0: never */
		bool is_ahead;
	} row[] = {
		{ 0, 0, false },         { HOUR, 0, false },  { DAY, 0, false }, { DAY + 90000, DAY + 90000, true },
		{ 400 * DAY, 400 * DAY, true }, { -DAY, 0, false }, /* written while the clock was ahead */
	};
	FOR_EACH_ROW(i, row) {
		struct ageing a;
		ageing_begin(&a, T0, BOOT, row[i].newest ? T0 - row[i].newest : 0);
		int64_t now = ageing_now(&a, T0, BOOT);
		EXPECT(now == T0 - row[i].now && a.is_ahead == row[i].is_ahead, "%zu: %lld, ahead: %d", i,
		       (long long)(T0 - now), a.is_ahead);
		now = ageing_now(&a, T0 + DAY + HOUR, BOOT + DAY + HOUR);
		EXPECT(now == T0 + DAY + HOUR && !a.is_ahead, "%zu: after a day", i);
	}
}

int main(void)
{
	RUN(a_jump_counts_once_it_has_lasted_for_a_day);
	RUN(a_start_is_judged_by_what_was_written_last);
	return test_failures != 0;
}
