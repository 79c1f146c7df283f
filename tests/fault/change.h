/*
 * change: the loop over one change of the engine. For each kind of fault the n-th call of the writer fails, n = 1, 2,
 * 3 ... until none is left to fail; after each the answer was honest (done: it is there whole; not now: nothing is
 * there; failed: whole or absent), and the engine takes changes again by itself.
 */
#ifndef FAULT_CHANGE_H
#define FAULT_CHANGE_H

#include "world.h"

/* What a change left behind. */
enum change_state { BEFORE, AFTER, TORN };
enum change_state change_both(bool is_first, bool is_second); /* two halves of it */

struct change_op {
	const char *name;
	/* name is another one each time. Rows that a later run would have to read go here, or its calls grow with n. */
	void (*prepare)(const char *name);
	enum verdict (*run)(const char *name, struct err *err);
	enum change_state (*look)(const char *name);
	unsigned kinds; /* of faults: KIND(...) | KIND(...), or */
#define ALL_KINDS (~0u)
};

enum verdict change_answer(const struct change *c, struct err *err); /* of one that was made with CALL */

void change_begin(void); /* of main: doors, thread, zone, folder */
void change_loops(const struct change_op *ops, size_t n);

#endif
