#include "cron/cron.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>
#include "base/must.h"
#include "base/num.h" /* take_char, take_int: move *p past what they accept */

/*
 * A field is a bit set, so a match is a shift, and the search skips a day, an hour or a
 * minute at a time. Nine years bound it: the longest wait is eight, between two
 * 29 Februaries around 2100.
 */
enum { FIELDS = 5, DAY_S = 86400, ANY_WDAY = 0x7f };
static const int64_t search_s = INT64_C(9) * 366 * DAY_S;
static const uint32_t any_mday = 0xfffffffe;

static const struct field {
	const char *name;
	int lo, hi;
	bool is_day; /* "?" is for these */
} fields[FIELDS] = {
	{ "minute", 0, 59, false }, { "hour", 0, 23, false },      { "day of month", 1, 31, true },
	{ "month", 1, 12, false },  { "day of week", 0, 7, true }, /* 0 and 7 are both Sunday */
};

/* One item of a list: star, value or range; a star or range may carry a step. */
static bool take_item(const char **p, const struct field *f, uint64_t *set)
{
	int lo = f->lo, hi = f->hi, step = 1;
	bool many = take_char(p, '*');

	if (!many) {
		if (!take_int(p, &lo))
			return false;
		hi = lo;
		many = take_char(p, '-');
		if (many && !take_int(p, &hi))
			return false;
	}
	if (many && take_char(p, '/') && !take_int(p, &step))
		return false;
	if (lo < f->lo || hi > f->hi || lo > hi || step < 1)
		return false;
	for (int64_t v = lo; v <= hi; v += step) /* wider than step, which may be INT_MAX */
		*set |= UINT64_C(1) << v;
	return true;
}

/* A whole field: "?" where that is allowed, else a list. */
static bool take_field(const char **p, const struct field *f, uint64_t *set)
{
	static const char star[] = "*";

	if (f->is_day && take_char(p, '?')) {
		const char *any = star;
		return take_item(&any, f, set);
	}
	do {
		if (!take_item(p, f, set))
			return false;
	} while (take_char(p, ','));
	return true;
}

static bool fires_on_day(const struct cron *c, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	must(gmtime_r(&t, &tm));
	bool mday = c->mday >> tm.tm_mday & 1, wday = c->wday >> tm.tm_wday & 1;
	/* Cron's old rule: when both day fields restrict, one of them is enough. */
	bool either = c->mday != any_mday && c->wday != ANY_WDAY;
	return (c->month >> (tm.tm_mon + 1) & 1) && (either ? mday || wday : mday && wday);
}

static int64_t search(const struct cron *c, int64_t after_s)
{
	int64_t t = (after_s / 60 + 1) * 60, end = t + search_s;

	while (t < end) {
		if (!fires_on_day(c, t))
			t = (t / DAY_S + 1) * DAY_S;
		else if (!(c->hour >> t / 3600 % 24 & 1))
			t = (t / 3600 + 1) * 3600;
		else if (!(c->minute >> t / 60 % 60 & 1))
			t += 60;
		else
			return t;
	}
	return -1;
}

enum rc cron_parse(struct cron *out, const char *text, struct err *err)
{
	uint64_t set[FIELDS] = { 0 };
	const char *p = text;

	for (int i = 0; i < FIELDS; i++) {
		p += strspn(p, " ");
		bool ok = take_field(&p, &fields[i], &set[i]);
		if (!ok || (*p && *p != ' ') || (i == FIELDS - 1 && p[strspn(p, " ")]))
			return err_set(err, RC_INVALID, "cron: bad %s at byte %td", fields[i].name, p - text);
	}
	struct cron c = { set[0], (uint32_t)set[1], (uint32_t)set[2], (uint32_t)set[3],
		          (uint32_t)((set[4] | set[4] >> 7) & ANY_WDAY) };
	if (search(&c, 0) < 0)
		return err_set(err, RC_INVALID, "cron: '%.60s' never fires", text);
	*out = c;
	return RC_OK;
}

int64_t cron_next(const struct cron *c, int64_t after_s)
{
	must(after_s >= 0 && after_s < INT64_C(1) << 40);
	int64_t t = search(c, after_s);
	must(t > after_s); /* cron_parse let no dead schedule through */
	return t;
}
