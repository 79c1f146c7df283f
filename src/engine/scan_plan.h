/*
 * scan_plan: when an analysis that runs by itself is due. Big and hot keys run at times of day, in UTC as all times of
 * the DCS contract are; expired keys from a first moment on, at an interval. Pure; Unix milliseconds, not before 1970.
 */
#ifndef ENGINE_SCAN_PLAN_H
#define ENGINE_SCAN_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "store/tables.h"

enum {
	SCAN_TIMES_MAX = 24,             /* a day */
	SCAN_TIMES_SIZE = SCAN_TIMES_MAX * 6, /* of schedule_row.times with its NUL */
	SCAN_INTERVAL_MAX_S = 30 * 86400,
	SCAN_TIMEOUT_MAX_S = 2 * SCAN_INTERVAL_MAX_S,
	SCAN_BATCH_MIN = 10,
	SCAN_BATCH_MAX = 1000,
	SCAN_LATER_MS = 60000,           /* an instance that cannot be read now is looked at again after that */
};

/* "HH:mm", 00:00 .. 23:59. */
bool scan_plan_is_time(const char *text);
/* First firing strictly after after_ms, by what the schedule says, enabled or not; 0: there is none. */
int64_t scan_plan_next(const struct schedule_row *s, int64_t after_ms);
/* The same when the firing that is due now cannot be: soon, and no later than the next one. */
int64_t scan_plan_later(const struct schedule_row *s, int64_t now_ms);

#endif
