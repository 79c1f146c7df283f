/*
 * twin: a model (model.h) of what a copy of the data must show that was being made while requests went on.
 *
 * The copy is of one moment between two that are known: when it was begun, nobody asking just then (twin_take), and
 * when it was complete (twin_follow). What was acknowledged before the first must be there. What was asked for in
 * between may be there, wholly or not at all, and in the order in which it was asked: a task is there if a later one of
 * its instance is. Nothing that was asked for after the second can be there, nor anything that nobody asked for.
 */
#ifndef CMD_TORTURE_TWIN_H
#define CMD_TORTURE_TWIN_H

#include "cmd/torture/model.h"

/* out: to be given to model_fini. */
void twin_take(const struct model *m, struct model *out);
void twin_follow(struct model *twin, const struct model *m);

#endif
