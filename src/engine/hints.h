/*
 * hints: which id an instance of these names had when somebody last looked. Only a guess, which no commit makes wrong
 * or right: who goes by it reads the row by that id and compares the names. It spares the loop thread of a create a
 * search that the writer does again.
 *
 * Owner:    the engine.
 * Threads:  any, at once.
 * Limits:   256 KiB. One that falls on the place of another takes it.
 */
#ifndef ENGINE_HINTS_H
#define ENGINE_HINTS_H

#include <stdint.h>

struct hints;

struct hints *hints_new(void);
void hints_free(struct hints *h); /* NULL is fine */
void hints_put(struct hints *h, int64_t app_id, const char *function, const char *name, int64_t id);
int64_t hints_get(const struct hints *h, int64_t app_id, const char *function, const char *name); /* 0: none */

#endif
