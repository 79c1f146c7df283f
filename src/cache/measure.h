/*
 * measure: the figures of judge.h from what a node says of itself: two answers to INFO, its slow log, a sample of keys.
 *
 * Owner:  values; names of commands live in the arena given.  Threads: pure, any.  Errors: none. A line that is not
 *         there, or odd, leaves its figure NAN.
 */
#ifndef CACHE_MEASURE_H
#define CACHE_MEASURE_H

#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "cache/judge.h"

struct cache_command {
	const char *name;          /* "get", "config|set" */
	int64_t calls, usec;       /* since the process began, or was told to count anew */
};

struct cache_commands {
	struct cache_command *list; /* most time first */
	size_t n;
	int64_t usec;
};

/* Everything INFO says of commands. An arena that is full leaves the list empty, and says so itself. */
void measure_commands(const struct buf *info, struct arena *a, struct cache_commands *out);
/* Does its time grow with the number of elements of a key, or of all keys? */
bool command_is_linear(const char *name);
/* LINEAR, LINEAR_S and LINEAR_NOW. Scripts and transactions are not counted, only the commands they run. */
void measure_shares(const struct cache_commands *before, const struct cache_commands *now, struct figures *f);

/* All that INFO alone tells. bandwidth: bytes a second that may be received; 0 unknown. */
void measure_info(const struct buf *before, const struct buf *now, double bandwidth, struct figures *f);

/* SAME_SECOND and SAME_SECOND_KEYS; EXPIRING is known. ends_s: when each key of a sample ends, sorted here. */
enum { SAMPLE_MIN = 50 };  /* fewer keys say nothing */
void measure_ends(int64_t *ends_s, size_t n, struct figures *f);

/* Names, each once, as "keys, hgetall". */
enum { NAMES_SIZE = 160 };
struct names {
	char text[NAMES_SIZE];
};
void names_add(struct names *names, const char *name);   /* one that finds no room is left out */
/* The O(N) commands that took a tenth or more of the time, since the start or between the two. */
void measure_linear_names(const struct cache_commands *before, const struct cache_commands *now, struct names *out);

#endif
