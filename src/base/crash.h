/*
 * crash: places where a test can make the process die as if the power had gone, or stop to be looked at.
 *
 * STINT_CRASH_POINT=ORDER, where ORDER is "name[:n][ word]": the process does what the word says when it passes
 * crash_point("name") for the n-th time (n = 1, 2 ...; 1 unless given).
 *   no word   it dies by SIGKILL
 *   stop      it stops by SIGSTOP, all its threads, and goes on from there after a SIGCONT
 * STINT_CRASH_POINT=@FILE: the order stands in that file, which may come (by a rename) and go at any time. A process
 * looks for it at each passing; the first that passes the point named takes the file away and counts this passing as
 * its first. With the word "each" the file stays, and every process that passes the point dies.
 *
 * The variable is read once, at the first passing of any point; a text that names no point, or has a bad count or word,
 * never does anything. Unset, a point costs one load and one branch.
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
