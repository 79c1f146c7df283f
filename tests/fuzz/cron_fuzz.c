/*
 * Schedules, against a reading and a calendar of their own that do one minute after the other: the same texts are
 * taken, the same values are allowed, the next firing is the first minute that fits. A refusal changes nothing.
 */
#include "base/mem.h"
#include "base/num.h"
#include "cron/cron.h"
#include "fuzz.h"

enum { FIELDS = 5, MINUTE_S = 60, DAY_S = 86400 };

/* ---- the obvious reading: is value one of those that the field's text allows? ---- */

struct bounds {
	int lo, hi;
};
static const struct bounds bounds[FIELDS] = { { 0, 59 }, { 0, 23 }, { 1, 31 }, { 1, 12 }, { 0, 7 } };

struct item {
	int lo, hi, step;
};

/* A whole item: V, V-V, *, the last two also with /STEP. */
static bool read_item(const char *text, struct bounds b, struct item *out)
{
	struct item i = { b.lo, b.hi, 1 };
	bool is_many = take_char(&text, '*');

	if (!is_many) {
		if (!take_int(&text, &i.lo))
			return false;
		i.hi = i.lo;
		if (take_char(&text, '-')) {
			is_many = true;
			if (!take_int(&text, &i.hi))
				return false;
		}
	}
	if (*text == '/' && is_many) {
		text++;
		if (!take_int(&text, &i.step))
			return false;
	}
	*out = i;
	return *text == '\0' && i.lo >= b.lo && i.hi <= b.hi && i.lo <= i.hi && i.step >= 1;
}

static bool read_field(char *text, int field, bool allowed[64])
{
	bool is_last = false;

	if (field >= 2 && field != 3 && strcmp(text, "?") == 0)
		text[0] = '*';
	while (!is_last) {
		char *comma = strchr(text, ',');
		struct item i;
		is_last = !comma;
		if (comma)
			*comma = '\0';
		if (!read_item(text, bounds[field], &i))
			return false;
		for (int v = 0; v < 64; v++)
			allowed[v] |= v >= i.lo && v <= i.hi && (v - i.lo) % i.step == 0;
		text = is_last ? text : comma + 1;
	}
	return true;
}

struct reference {
	bool allowed[FIELDS][64];
};

static bool read_schedule(struct reference *out, const char *given)
{
	char *text = fuzz_text((const uint8_t *)given, strlen(given), NULL), *at = text;
	bool is_good = true;
	int n = 0;

	for (; is_good && *(at += strspn(at, " ")); n++) {
		size_t len = strcspn(at, " ");
		char *next = at + len + (at[len] == ' ');
		at[len] = '\0';
		is_good = n < FIELDS && read_field(at, n, out->allowed[n]);
		at = next;
	}
	out->allowed[4][0] |= out->allowed[4][7]; /* both are Sunday */
	out->allowed[4][7] = false;
	mem_free(text);
	return is_good && n == FIELDS;
}

/* ---- the obvious calendar ---- */

static bool is_leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int month_days(int y, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return days[month - 1] + (month == 2 && is_leap(y));
}

struct date {
	int year, month, mday, wday;
};

static void date_next(struct date *d)
{
	d->wday = (d->wday + 1) % 7;
	if (++d->mday <= month_days(d->year, d->month))
		return;
	d->mday = 1;
	if (++d->month <= 12)
		return;
	d->month = 1;
	d->year++;
}

static bool has_all(const bool *allowed, struct bounds b)
{
	for (int v = b.lo; v <= b.hi; v++)
		if (!allowed[v])
			return false;
	return true;
}

static bool fits_day(const struct reference *r, const struct date *d)
{
	bool mday = r->allowed[2][d->mday], wday = r->allowed[4][d->wday];
	bool any_mday = has_all(r->allowed[2], bounds[2]), any_wday = has_all(r->allowed[4], (struct bounds){ 0, 6 });

	if (!r->allowed[3][d->month])
		return false;
	return any_mday || any_wday ? mday && wday : mday || wday;
}

enum { DAYS = 160 * 366 };

/* The date of a day since 1 January 1970, a Thursday. */
static const struct date *date_of(int64_t day)
{
	static struct date dates[DAYS];

	if (dates[0].year == 0) {
		dates[0] = (struct date){ 1970, 1, 1, 4 };
		for (int i = 1; i < DAYS; i++) {
			dates[i] = dates[i - 1];
			date_next(&dates[i]);
		}
	}
	CHECK(day < DAYS, "day %lld", (long long)day);
	return &dates[day];
}

static bool ever_fires(const struct reference *r)
{
	for (int day = 0; day < 28 * 366; day++) /* weekdays and leap years come round in 28 years */
		if (fits_day(r, date_of(day)))
			return true;
	return false;
}

/* The first minute after after_s that fits: day after day, and in a day minute after minute. */
static int64_t first_after(const struct reference *r, int64_t after_s)
{
	for (int64_t day = after_s / DAY_S;; day++) {
		for (int minute = 0; minute < 24 * 60 && fits_day(r, date_of(day)); minute++) {
			int64_t t = day * DAY_S + minute * MINUTE_S;
			if (t > after_s && r->allowed[1][minute / 60] && r->allowed[0][minute % 60])
				return t;
		}
	}
}

/* ---- */

static void check_set(const bool *allowed, uint64_t set, const char *name)
{
	for (int v = 0; v < 64; v++)
		CHECK(allowed[v] == (set >> v & 1), "%s %d", name, v);
}

static void check_taken(const struct cron *c, const struct reference *r, struct rng *chance)
{
	check_set(r->allowed[0], c->minute, "minute");
	check_set(r->allowed[1], c->hour, "hour");
	check_set(r->allowed[2], c->mday, "day of month");
	check_set(r->allowed[3], c->month, "month");
	check_set(r->allowed[4], c->wday, "day of week");
	int64_t t = (int64_t)rng_below(chance, INT64_C(140) * 366 * DAY_S); /* past 2100, which has no 29 February */
	for (int i = 0; i < 3; i++) {
		int64_t next = cron_next(c, t), want = first_after(r, t);
		CHECK(next == want, "after %lld: %lld, not %lld", (long long)t, (long long)next, (long long)want);
		t = next;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng chance;
	struct reference ref = { 0 };
	struct cron c = { .minute = 42 };
	struct err err = { 0 };
	char *text = fuzz_text(data, size, NULL);

	fuzz_chance(&chance, data, size);
	enum rc rc = cron_parse(&c, text, &err);
	bool is_good = read_schedule(&ref, text) && ever_fires(&ref);
	CHECK(is_good == (rc == RC_OK), "'%s': the reference says %d, cron %s", text, is_good, err.msg);
	if (rc == RC_OK) {
		check_taken(&c, &ref, &chance);
	} else {
		fuzz_check_refusal(rc, &err);
		CHECK(c.minute == 42 && !c.hour && !c.mday && !c.month && !c.wday, "output touched");
	}
	mem_free(text);
	return 0;
}
