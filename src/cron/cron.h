/*
 * cron: five-field schedules such as "30 9 * * 1-5", in UTC minutes.
 * Fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday). A field is a list of values,
 * ranges "a-b" and "*", the last two with an optional step "/n". "?" alone is "*" in the two day fields.
 * A day fires when it fits both day fields; when both restrict, one is enough (the old rule of cron). A
 * field that has every value restricts nothing, however it is written: "1-31" and "0,1,2,3,4,5,6" are "*".
 * Values are plain: copy them freely, nothing to release. Pure functions: any thread.
 * Not here: time zones, seconds, month names.
 */
#ifndef CRON_CRON_H
#define CRON_CRON_H

#include <stdint.h>
#include "base/err.h"

/* Bit n set: value n allowed. cron_parse makes only schedules that fire some day. */
struct cron {
	uint64_t minute;                  /* 0..59 */
	uint32_t hour, mday, month, wday; /* 0..23, 1..31, 1..12, 0..6 (0 is Sunday) */
};

/* Parse text into *out. RC_INVALID names the faulty field, or says that the date
 * never comes (30 February). On failure *out is unchanged. */
enum rc cron_parse(struct cron *out, const char *text, struct err *err) NODISCARD;

/* First firing strictly after after_s (Unix seconds, 0 <= after_s < 2^40). Cannot fail. */
int64_t cron_next(const struct cron *c, int64_t after_s);

#endif
