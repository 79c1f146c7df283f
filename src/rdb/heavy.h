/*
 * heavy: which names carry the most weight in a stream too long to count each one, in fixed memory.
 *
 * Method:   Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data
 *           streams", ICDT 2005), with weights. A new name takes over the lightest counter and inherits its weight,
 *           which is remembered as the possible error.
 * Bounds:   for every counter  weight - error <= true weight <= weight,  and with c counters and total weight W no name
 *           of true weight above W / c is without a counter. With no more than c names everything is exact.
 * Limits:   a name is known by its first HEAVY_NAME_MAX bytes.
 * Threads:  one owner at a time.
 */
#ifndef RDB_HEAVY_H
#define RDB_HEAVY_H

#include <stddef.h>
#include <stdint.h>

enum { HEAVY_NAME_MAX = 128, HEAVY_COUNTERS_MAX = 1 << 16 };

struct heavy_item {
	uint64_t weight, error;
	uint64_t n; /* additions since the name has this counter: a lower bound, exact when error is 0 */
	uint32_t len;
	uint8_t name[HEAVY_NAME_MAX];
};

struct heavy;

struct heavy *heavy_new(unsigned n_counters); /* 1 .. HEAVY_COUNTERS_MAX */
void heavy_free(struct heavy *h);             /* NULL is fine */
void heavy_add(struct heavy *h, const uint8_t *name, size_t len, uint64_t weight);
/* The counters, heaviest first, at most max of them; returns how many. Items live until the next heavy_add. */
unsigned heavy_top(const struct heavy *h, const struct heavy_item **out, unsigned max);

#endif
