#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/must.h"

static int64_t read_us(clockid_t id)
{
	struct timespec ts;
	must(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_ms(void) { return read_us(CLOCK_REALTIME) / 1000; }
int64_t clock_mono_ms(void) { return read_us(CLOCK_MONOTONIC) / 1000; }
int64_t clock_mono_us(void) { return read_us(CLOCK_MONOTONIC); }
int64_t clock_boot_ms(void) { return read_us(CLOCK_BOOTTIME) / 1000; }

#define FIRST_S INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define LAST_S INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */

static void split(int64_t wall_s, struct tm *tm)
{
	time_t t = (time_t)(wall_s < FIRST_S ? FIRST_S : wall_s > LAST_S ? LAST_S : wall_s);
	must(gmtime_r(&t, tm));
}

enum { DATE_LEN = 19 };

/* Not strftime, which leaves years before 1000 unpadded. */
static void print_date(char text[CLOCK_TEXT_SIZE], const struct tm *tm)
{
	int n = snprintf(text, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", tm->tm_year + 1900, tm->tm_mon + 1,
	                 tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec);
	must(n == DATE_LEN);
}

void clock_iso(char text[CLOCK_TEXT_SIZE], int64_t wall_s)
{
	struct tm tm;
	split(wall_s, &tm);
	print_date(text, &tm);
	memcpy(text + DATE_LEN, "Z", 2);
}

void clock_iso_ms(char text[CLOCK_TEXT_SIZE], int64_t wall_ms)
{
	struct tm tm;
	int ms = (int)(wall_ms % 1000);
	if (ms < 0)
		ms += 1000; /* before 1970: the second is the earlier one */
	split(wall_ms / 1000 - (wall_ms % 1000 < 0), &tm);
	print_date(text, &tm);
	int n = snprintf(text + DATE_LEN, CLOCK_TEXT_SIZE - DATE_LEN, ".%03dZ", ms);
	must(n == 5);
}

bool clock_parse_iso(const char *text, int64_t *wall_s)
{
	static const char shape[] = "0000-00-00T00:00:00Z";
	struct tm tm = { 0 };

	if (strlen(text) != sizeof shape - 1)
		return false;
	for (size_t i = 0; shape[i]; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';
		if (shape[i] == '0' ? !digit : text[i] != shape[i])
			return false;
	}
#define TWO(at) ((text[at] - '0') * 10 + (text[(at) + 1] - '0'))
	tm.tm_year = TWO(0) * 100 + TWO(2) - 1900;
	tm.tm_mon = TWO(5) - 1;
	tm.tm_mday = TWO(8);
	tm.tm_hour = TWO(11);
	tm.tm_min = TWO(14);
	tm.tm_sec = TWO(17);
#undef TWO
	struct tm given = tm;
	time_t t = timegm(&tm);
	/* timegm normalises 30 February to 1 March; a date it had to move is no date. */
	if (tm.tm_mday != given.tm_mday || tm.tm_mon != given.tm_mon || tm.tm_year != given.tm_year ||
	    tm.tm_hour != given.tm_hour || tm.tm_min != given.tm_min || tm.tm_sec != given.tm_sec)
		return false;
	*wall_s = (int64_t)t;
	return true;
}
