/*
 * siege: load on a server while its tasks are killed, and then its end.
 *
 * What the load found is in the findings; what was asked and answered, in the model. Threads: the session's.
 */
#ifndef CMD_TORTURE_SIEGE_H
#define CMD_TORTURE_SIEGE_H

#include "cmd/torture/copy.h"
#include "cmd/torture/load.h"
#include "cmd/torture/session.h"

struct siege {
	uint64_t seed;
	int64_t round;
	int connections;
	const struct plan *plan;
	struct copy *copy; /* its backup begins at plan->backup_ms; NULL: none is made */
};

/* l: the figures of the load, for the caller to tell. */
enum rc siege_lay(struct session *s, const struct siege *what, struct load *l, struct err *err) NODISCARD;

#endif
