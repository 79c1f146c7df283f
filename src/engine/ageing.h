/*
 * ageing: the time by which things are old enough to be deleted for good. It follows the wall clock, but for jumps
 * forward: these count only once they have lasted for a day, so that a clock that is wrong for a while costs nobody his
 * records. Whatever goes by it goes late rather than early, by a day at most while the server runs. The day may be
 * made up of several starts: what is believed, and for how long it has not been, goes on from a mark of it.
 *
 * Owner:   struct ageing is the caller's; nothing to release. The engine has one, with its mark in DATA/clock.
 * Threads: one owner at a time; ageing_of any.
 */
#ifndef ENGINE_AGEING_H
#define ENGINE_AGEING_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define AGEING_SETTLE_MS INT64_C(86400000)
#define AGEING_LAST_MS INT64_C(253402300799000) /* year 9999 */
enum { AGEING_SLACK_MS = 60000 /* a correction, and no jump */ };

struct ageing {
	bool is_ahead;
	int64_t lead_ms;            /* believed: of the wall clock over boot_ms */
	int64_t ahead_ms, since_ms; /* is_ahead: the lead that it has now, and since when */
};

/* What is known at a moment of the wall clock. */
struct ageing_mark {
	int64_t wall_ms, believed_ms;
	int64_t lasted_ms; /* how long the clock has been ahead of what is believed; 0: it is not */
};

/* wall_ms, boot_ms: of this moment. mark: of the run before; NULL: there is none. A clock that went on from it by no
 * more than a day is judged as it was then. newest_ms: when something was last written down, 0 never; another
 * clock more than a day ahead of that may be wrong, or the server was down for long. */
void ageing_begin(struct ageing *a, int64_t wall_ms, int64_t boot_ms, int64_t newest_ms,
		  const struct ageing_mark *mark);
int64_t ageing_now(struct ageing *a, int64_t wall_ms, int64_t boot_ms);
struct ageing_mark ageing_mark_of(const struct ageing *a, int64_t wall_ms, int64_t boot_ms);
/* As DATA/clock has it: "stint-clock 1 WALL BELIEVED LASTED" and a newline, milliseconds. */
void ageing_print(const struct ageing_mark *mark, struct buf *out);
bool ageing_parse(const char *text, struct ageing_mark *out);

/* The engine's own (ageing_kept.c), by the machine's clocks; a jump is told in the log. */
struct engine;
void ageing_open(struct engine *e);  /* e->newest_at is known */
int64_t ageing_of(struct engine *e); /* now */
void ageing_keep(struct engine *e);  /* write the mark down when it is time to: one thread at a time */
void ageing_close(struct engine *e); /* not opened: nothing */

#endif
