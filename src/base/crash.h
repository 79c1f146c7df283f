/*
 * crash: places where a test can make the process die as if the power had gone.
 *
 * STINT_CRASH_POINT=name kills the process with SIGKILL when it first passes crash_point("name");
 * name:n at the n-th passing (n = 1, 2 ...). The variable is read once, at the first passing of any point; a text that
 * names no point, or has a bad count, never kills. Unset, a point costs one load and one branch.
 * Threads: any.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_bool crash_is_watching; /* true until it is known that there is nothing to wait for */
void crash_passed(const char *name);

/* The same as the variable, for a test's forked child; NULL: nothing to wait for. Only while no other thread runs. */
void crash_arm(const char *spec);

#define crash_point(name)                                                                           \
	(atomic_load_explicit(&crash_is_watching, memory_order_relaxed) ? crash_passed(name) : (void)0)

#endif
