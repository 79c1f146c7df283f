/*
 * running: the operation that an instance is under, for answers that show it. Private to api/dcs.
 */
#ifndef API_DCS_RUNNING_H
#define API_DCS_RUNNING_H

#include "api/call.h"

/* Name of the task, as the engine calls it; NULL: none. Analyses are no operations. Loop thread. */
enum verdict running_operation(struct call *c, const struct cache_row *row, const char **out, struct err *err);

#endif
