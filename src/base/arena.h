/*
 * arena: memory of one request, task attempt or training step, released all at once.
 *
 * Owner:    arena_new's caller; arena_free runs the cleanups (last in, first out), then frees all.
 * Threads:  one owner at a time; an arena may be handed on, never shared.
 * Limits:   a byte ceiling. Past it every allocation returns NULL and arena_is_full() stays true, so
 *           a builder may go on and check once (the arena_ functions accept what a full one returned).
 * Under the address sanitizer each allocation is its own heap block, so overruns are seen.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/attr.h"

struct arena;

struct arena *arena_new(size_t ceiling_size);
void arena_free(struct arena *a);                /* NULL is fine */
void arena_freep(struct arena **a);              /* for CLEANUP */
void arena_reset(struct arena *a);               /* empty it, forget "full"; cleanups run */
bool arena_is_full(const struct arena *a);

void *arena_alloc(struct arena *a, size_t size);            /* zeroed, 16-byte aligned, or NULL */
void *arena_room(struct arena *a, size_t size);             /* the same, not zeroed */
void *arena_array(struct arena *a, size_t n, size_t size);  /* the same, product checked */
char *arena_dup(struct arena *a, const char *text);         /* NULL text gives NULL */
char *arena_dup_n(struct arena *a, const char *bytes, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF(2, 0);
/* fn(arg) runs at reset or free. Always succeeds (its record does not count against the ceiling). */
void arena_cleanup(struct arena *a, void (*fn)(void *arg), void *arg);

/* Where every arena gets its blocks: from the heap, without fail. Tests put one here that answers NULL for the
 * n-th block; the arena is then full, as if that block had gone past its ceiling. */
extern void *(*arena_grow)(size_t size);

#define arena_new_of(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
