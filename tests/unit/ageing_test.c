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

	ageing_begin(&a, T0, BOOT, T0 - HOUR, NULL);
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
		ageing_begin(&a, T0, BOOT, row[i].newest ? T0 - row[i].newest : 0, NULL);
		int64_t now = ageing_now(&a, T0, BOOT);
		EXPECT(now == T0 - row[i].now && a.is_ahead == row[i].is_ahead, "%zu: %lld, ahead: %d", i,
		       (long long)(T0 - now), a.is_ahead);
		now = ageing_now(&a, T0 + DAY + HOUR, BOOT + DAY + HOUR);
		EXPECT(now == T0 + DAY + HOUR && !a.is_ahead, "%zu: after a day", i);
	}
}

/* Each run of 20 hours begins with a machine that was just started, four hours after the one before. */
TEST(the_day_of_a_jump_may_be_made_up_of_several_starts)
{
	struct ageing a;
	struct ageing_mark mark;
	int64_t wall = T0, newest = T0 - 30 * DAY, now;

	ageing_begin(&a, wall, BOOT, newest, NULL);
	now = ageing_now(&a, wall, BOOT);
	EXPECT(a.is_ahead && now == newest, "%lld", (long long)(now - newest));
	now = ageing_now(&a, wall + 20 * HOUR, BOOT + 20 * HOUR);
	EXPECT(a.is_ahead && now == newest + 20 * HOUR, "%lld", (long long)(now - newest));
	mark = ageing_mark_of(&a, wall + 20 * HOUR, BOOT + 20 * HOUR);
	wall += DAY;
	ageing_begin(&a, wall, BOOT, newest, &mark);
	now = ageing_now(&a, wall, BOOT);
	EXPECT(a.is_ahead && now == newest + DAY, "believed goes on: %lld", (long long)(now - newest));
	now = ageing_now(&a, wall + 4 * HOUR - 1, BOOT + 4 * HOUR - 1);
	EXPECT(a.is_ahead, "a day has not passed yet");
	now = ageing_now(&a, wall + 4 * HOUR, BOOT + 4 * HOUR);
	EXPECT(!a.is_ahead && now == wall + 4 * HOUR, "a day has passed: %lld", (long long)(now - wall));

	/* And from then on every start is believed, though nothing is written down but the mark. */
	mark = ageing_mark_of(&a, wall + 20 * HOUR, BOOT + 20 * HOUR);
	wall += DAY;
	ageing_begin(&a, wall, BOOT, newest, &mark);
	EXPECT(ageing_now(&a, wall, BOOT) == wall && !a.is_ahead, "believed");
}

TEST(a_mark_is_only_of_use_to_a_clock_that_went_on_from_it)
{
	/* When the mark was made, what was believed then, what was written last; and what is believed now. */
	static const struct {
		int64_t wall, believed, newest, now;
		bool is_ahead;
	} row[] = {
		{ -HOUR, -HOUR, -90 * DAY, 0, false },              /* an hour ago all was well */
		{ -DAY, -DAY, -90 * DAY, 0, false },
		{ -DAY - 1, -DAY - 1, -90 * DAY, -DAY - 1, true },  /* a jump, or down for long */
		{ -9 * DAY, -99 * DAY, -90 * DAY, -90 * DAY, true },
		{ -9 * DAY, -9 * DAY, -HOUR, 0, false },            /* an old mark, as in a backup that was restored */
		{ 30 * DAY, 30 * DAY, -HOUR, 0, false },            /* the clock was put back */
		{ 30 * DAY, -HOUR, -HOUR, 0, false },
		{ 30000, -HOUR, -HOUR, -HOUR - 30000, true },       /* by a moment: it is ahead as it was */
	};
	FOR_EACH_ROW(i, row) {
		struct ageing a;
		const struct ageing_mark mark = { T0 + row[i].wall, T0 + row[i].believed, HOUR };
		ageing_begin(&a, T0, BOOT, T0 + row[i].newest, &mark);
		int64_t now = ageing_now(&a, T0, BOOT);
		EXPECT(now == T0 + row[i].now && a.is_ahead == row[i].is_ahead, "%zu: %lld, ahead: %d", i,
		       (long long)(now - T0), a.is_ahead);
	}
}

TEST(a_mark_is_read_as_it_was_printed_and_nothing_else_is_one)
{
	static const char *const bad[] = {
		"", "stint-clock 1 ", "stint-clock 1 3 2\n", "stint-clock 1 3 2 1", "stint-clock 2 3 2 1\n",
		"stint-clock 1 3 2 1 \n", "stint-clock 1 3 2 1\n\n", "stint-clock 1 3 -2 1\n", "stint-clock 1 2 3 1\n",
		"stint-clock 1 253402300799001 2 1\n", "stint-clock 1 3 2 86400001\n", "stint-clock 1 3  2 1\n",
	};
	const struct ageing_mark mark = { T0, T0 - DAY, HOUR };
	struct ageing_mark back = { 0, 0, 0 };
	struct buf text;

	buf_init(&text, 128);
	ageing_print(&mark, &text);
	EXPECT(ageing_parse(buf_text(&text), &back) && back.wall_ms == T0 && back.believed_ms == T0 - DAY &&
		       back.lasted_ms == HOUR,
	       "%s", buf_text(&text));
	buf_fini(&text);
	FOR_EACH_ROW(i, bad)
		EXPECT(!ageing_parse(bad[i], &back) && back.wall_ms == T0, "%s", bad[i]);
}

int main(void)
{
	RUN(the_day_of_a_jump_may_be_made_up_of_several_starts);
	RUN(a_mark_is_only_of_use_to_a_clock_that_went_on_from_it);
	RUN(a_mark_is_read_as_it_was_printed_and_nothing_else_is_one);
	RUN(a_jump_counts_once_it_has_lasted_for_a_day);
	RUN(a_start_is_judged_by_what_was_written_last);
	return test_failures != 0;
}
