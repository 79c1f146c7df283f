#include "cron/cron.h"
#include <string.h>
#include "base/buf.h"
#include "base/rand.h"
#include "test.h"

TEST(known_firings)
{
	const struct {
		const char *text;
		int64_t after, next;
	} row[] = {
		{ "* * * * *", utc(2024, 1, 1, 0, 0), utc(2024, 1, 1, 0, 1) },
		{ "* * * * *", utc(2024, 1, 1, 0, 0) + 59, utc(2024, 1, 1, 0, 1) },
		{ "*/15 9-10 * * *", utc(2024, 1, 1, 10, 45), utc(2024, 1, 2, 9, 0) },
		{ "0 0 29 2 *", utc(2096, 2, 29, 0, 0), utc(2104, 2, 29, 0, 0) },
		{ "0 0 29 2 *", utc(2023, 6, 1, 0, 0), utc(2024, 2, 29, 0, 0) },
		{ "0 0 29 2 *", utc(1999, 6, 1, 0, 0), utc(2000, 2, 29, 0, 0) },
		{ "59 23 31 12 *", utc(2026, 12, 31, 23, 59), utc(2027, 12, 31, 23, 59) },
		{ "0 12 13 * 5", utc(2024, 9, 6, 11, 59), utc(2024, 9, 6, 12, 0) },
		{ "0 12 13 * 5", utc(2024, 9, 6, 12, 0), utc(2024, 9, 13, 12, 0) },
		{ "0 12 * * 7", utc(2024, 9, 1, 12, 0), utc(2024, 9, 8, 12, 0) },
		{ "0 12 * * 5-7", utc(2024, 9, 7, 12, 0), utc(2024, 9, 8, 12, 0) },
		{ "1-5/2147483647 * * * *", utc(2024, 1, 1, 0, 1), utc(2024, 1, 1, 1, 1) },
		{ "  0   0 1  1  *  ", utc(2024, 1, 1, 0, 0), utc(2025, 1, 1, 0, 0) },
		/* The examples of the contract: daily at midnight, and at three on Sunday, Monday, Wednesday, Friday.
		 */
		{ "0 0 ? * 0,1,2,3,4,5,6", utc(2026, 11, 21, 0, 0), utc(2026, 11, 22, 0, 0) },
		{ "0 3 ? * 0,1,3,5", utc(2026, 11, 21, 12, 0), utc(2026, 11, 22, 3, 0) },
		{ "0 3 ? * 0,1,3,5", utc(2026, 11, 23, 3, 0), utc(2026, 11, 25, 3, 0) },
		{ "0 0 ? * 0", utc(2026, 11, 22, 0, 0), utc(2026, 11, 29, 0, 0) },
		/* A "?" does not restrict, so the other day field decides alone. */
		{ "0 0 13 * ?", utc(2026, 11, 21, 0, 0), utc(2026, 12, 13, 0, 0) },
		{ "0 0 ? * ?", utc(2026, 11, 21, 0, 0), utc(2026, 11, 22, 0, 0) },
		{ "0 0 1 1 *", (INT64_C(1) << 40) - 1, utc(36813, 1, 1, 0, 0) },
	};
	FOR_EACH_ROW (i, row) {
		struct cron c = { 0 };
		struct err e = { 0 };
		EXPECT(cron_parse(&c, row[i].text, &e) == RC_OK, "%s: %s", row[i].text, e.msg);
		if (e.rc != RC_OK)
			continue;
		int64_t next = cron_next(&c, row[i].after);
		EXPECT(next == row[i].next, "%s: %lld", row[i].text, (long long)next);
	}
}

TEST(refusals_name_the_field_and_leave_the_output_alone)
{
	const struct {
		const char *text, *says;
	} row[] = {
		{ "", "minute" },
		{ "60 * * * *", "minute" },
		{ "5/2 * * * *", "minute" },
		{ "? * * * *", "minute" },
		{ "-1 * * * *", "minute" },
		{ "1,, * * * *", "minute" },
		{ "1, * * * *", "minute" },
		{ "*/0 * * * *", "minute" },
		{ "*/ * * * *", "minute" },
		{ "*5 * * * *", "minute" },
		{ "99999999999999999999 * * * *", "minute" },
		{ "*\t* * * *", "minute" },
		{ "* 5-2 * * *", "hour" },
		{ "* ? * * *", "hour" },
		{ "* 24 * * *", "hour" },
		{ "* * 3x * *", "day of month" },
		{ "* * 0 * *", "day of month" },
		{ "* * ?/2 * *", "day of month" },
		{ "* * ?,3 * *", "day of month" },
		{ "* * 3,? * *", "day of month" },
		{ "* * * ? *", "month" },
		{ "* * * 13 *", "month" },
		{ "* * * JAN *", "month" },
		{ "* * * *", "week" },
		{ "* * * * 8", "week" },
		{ "* * * * ??", "week" },
		{ "* * * * * *", "week" },
		{ "* * * * *\n", "week" },
		{ "0 0 30 2 *", "never" },
		{ "0 0 31 2,4,6,9,11 ?", "never" },
	};
	FOR_EACH_ROW (i, row) {
		struct cron c = { .minute = 42 };
		struct err e = { 0 };
		EXPECT(cron_parse(&c, row[i].text, &e) == RC_INVALID, "%s", row[i].text);
		EXPECT(strstr(e.msg, row[i].says), "%s: said '%s'", row[i].text, e.msg);
		EXPECT(c.minute == 42 && !c.hour && !c.mday && !c.month && !c.wday, "%s: output touched", row[i].text);
		EXPECT(cron_parse(&c, row[i].text, NULL) == RC_INVALID, "%s: without an err", row[i].text);
	}
}

/* What a schedule means, said once more without bit sets and skipping: an item is a triple of numbers. */
struct item {
	int lo, hi, step;
};
struct plain_field {
	struct item item[3];
	int n;
	bool is_any; /* "*" or "?" */
};

static const int field_lo[5] = { 0, 0, 1, 1, 0 }, field_hi[5] = { 59, 23, 31, 12, 7 };

static bool holds(const struct plain_field *f, int value)
{
	for (int i = 0; i < f->n; i++) {
		for (int v = f->item[i].lo; v <= f->item[i].hi; v += f->item[i].step) {
			if (v == value)
				return true;
		}
	}
	return false;
}

static bool oracle_fires(const struct plain_field f[5], int64_t at_s)
{
	time_t t = (time_t)at_s;
	struct tm tm;
	(void)gmtime_r(&t, &tm);
	bool mday = holds(&f[2], tm.tm_mday);
	bool wday = holds(&f[4], tm.tm_wday) || (tm.tm_wday == 0 && holds(&f[4], 7));
	bool day = f[2].is_any ? wday : f[4].is_any ? mday : mday || wday;
	return day && holds(&f[3], tm.tm_mon + 1) && holds(&f[1], tm.tm_hour) && holds(&f[0], tm.tm_min);
}

static struct item random_item(struct rng *r, int field, struct buf *text)
{
	int lo = field_lo[field], hi = field_hi[field];
	int a = lo + (int)rng_below(r, (uint64_t)(hi - lo + 1)), b = a + (int)rng_below(r, (uint64_t)(hi - a + 1));
	int step = 1 + (int)rng_below(r, 9);

	switch (rng_below(r, 4)) {
	case 0:
		buf_addf(text, "%d-%d/%d", a, b, step);
		return (struct item){ a, b, step };
	case 1:
		buf_addf(text, "%d-%d", a, b);
		return (struct item){ a, b, 1 };
	default:
		buf_addf(text, "%d", a);
		return (struct item){ a, a, 1 };
	}
}

/* Days are often "*" or "?", so that all four ways in which the day fields combine occur. */
static void random_schedule(struct rng *r, struct plain_field f[5], struct buf *text)
{
	for (int i = 0; i < 5; i++) {
		f[i] = (struct plain_field){ .n = 1 };
		buf_adds(text, i ? " " : "");
		if (rng_below(r, 2)) {
			bool asks = (i == 2 || i == 4) && rng_below(r, 2);
			buf_addc(text, asks ? '?' : '*');
			f[i].item[0] = (struct item){ field_lo[i], field_hi[i], 1 };
			f[i].is_any = true;
			continue;
		}
		f[i].n = 1 + (int)rng_below(r, 3);
		for (int j = 0; j < f[i].n; j++) {
			buf_adds(text, j ? "," : "");
			f[i].item[j] = random_item(r, i, text);
		}
	}
}

/* A range may happen to hold every day, which does not restrict either. */
static void settle_any(struct plain_field f[5])
{
	for (int i = 2; i <= 4; i += 2) {
		bool all = true;
		for (int v = 1; v <= (i == 4 ? 6 : 31); v++)
			all = all && holds(&f[i], v);
		f[i].is_any = all && (i == 2 || holds(&f[i], 0) || holds(&f[i], 7));
	}
}

TEST(agrees_with_a_minute_by_minute_oracle)
{
	enum { SCHEDULES = 150, FIRINGS = 4, MINUTES = 40 * 1440 };
	struct rng r;
	struct buf text;
	int compared = 0;

	rng_init(&r, 7);
	buf_init(&text, 500);
	for (int s = 0; s < SCHEDULES; s++) {
		struct plain_field f[5];
		struct cron c;
		struct err e = { 0 };
		buf_reset(&text);
		random_schedule(&r, f, &text);
		settle_any(f);
		if (cron_parse(&c, buf_text(&text), &e) != RC_OK) {
			EXPECT(strstr(e.msg, "never"), "%s: %s", buf_text(&text), e.msg);
			continue;
		}
		int64_t at = utc(2024, 2, 20, 0, 0) + (int64_t)rng_below(&r, 300 * 86400);
		for (int n = 0; n < FIRINGS; n++) {
			int64_t next = cron_next(&c, at), t = (at / 60 + 1) * 60, end = t + MINUTES * 60;
			while (t < end && t < next && !oracle_fires(f, t))
				t += 60;
			bool same = t == next ? oracle_fires(f, t) : t == end;
			EXPECT(same, "%s after %lld: %lld, oracle %lld", buf_text(&text), (long long)at,
			       (long long)next, (long long)t);
			compared += t == next;
			at = next + (int64_t)rng_below(&r, 100);
		}
	}
	EXPECT(compared > SCHEDULES, "only %d firings were reached", compared);
	buf_fini(&text);
}

int main(void)
{
	RUN(known_firings);
	RUN(refusals_name_the_field_and_leave_the_output_alone);
	RUN(agrees_with_a_minute_by_minute_oracle);
	return test_failures != 0;
}
