/*
 * ageing: the time by which things are old enough to be deleted for good. It follows the wall clock, but for jumps
 * forward: these count only once they have lasted for a day, so that a clock that is wrong for a while costs nobody his
 * records. Whatever goes by it goes late rather than early, by a day at most while the server runs.
 *
 * Owner:   struct ageing is the caller's; nothing to release.
 * Threads: one owner at a time.
 */
#ifndef ENGINE_AGEING_H
#define ENGINE_AGEING_H

#include <stdbool.h>
#include <stdint.h>

#define AGEING_SETTLE_MS INT64_C(86400000)
enum { AGEING_SLACK_MS = 60000 /* a correction, and no jump */ };

struct ageing {
	bool is_ahead;
	int64_t lead_ms;            /* believed: of the wall clock over boot_ms */
	int64_t ahead_ms, since_ms; /* is_ahead: the lead that it has now, and since when */
};

/* wall_ms, boot_ms: of this moment. newest_ms: when something was last written down, 0 never; a clock more than a day
 * ahead of that may be wrong, or the server was down for long. */
void ageing_begin(struct ageing *a, int64_t wall_ms, int64_t boot_ms, int64_t newest_ms);
int64_t ageing_now(struct ageing *a, int64_t wall_ms, int64_t boot_ms);
/* The same by the machine's clocks; a jump is told in the log. */
void ageing_start(struct ageing *a, int64_t newest_ms);
int64_t ageing_look(struct ageing *a);

#endif
