/*
 * plan: what a round does, decided by seed and number alone, so that a seed repeats its decisions.
 * Pure, any thread.
 */
#ifndef CMD_TORTURE_PLAN_H
#define CMD_TORTURE_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/rand.h"

enum ending {
	ENDING_KILL,  /* SIGKILL to the server */
	ENDING_POINT, /* at a crash point of its own; by SIGKILL when it does not come by in time */
	ENDING_STOP,  /* SIGTERM: an orderly stop must lose nothing either */
	ENDING_CUT,   /* SIGTERM, and SIGKILL while it stops */
	ENDINGS
};
const char *ending_word(enum ending e);
/* May a server that was killed in the end have ended so? was_up: it lived until then; is_armed: a crash point of its
 * own may have ended it before. With ENDING_CUT the orderly stop may have come just before the kill. */
bool ending_allows(enum ending e, bool was_up, bool is_armed, int exit_code, int signal);

enum { CRASH_SPEC_SIZE = 64, CHILD_KILLS_MAX = 3 };

struct plan {
	enum ending ending;
	char crash[CRASH_SPEC_SIZE]; /* STINT_CRASH_POINT; "" none */
	int64_t stillborn_ms;        /* kill the server so long after its start, and start it again; -1 not */
	int64_t cut_ms;              /* with ENDING_CUT: from SIGTERM to SIGKILL */
	int64_t load_ms;             /* until the end of the load */
	int64_t backup_ms;           /* when a backup begins in a round that makes one */
	int64_t child_kill_ms[CHILD_KILLS_MAX]; /* when to kill a task's process, ascending */
	int n_child_kills;
	bool settles; /* let all tasks end before, and look at everything */
};

/* The generator of one part of a round: its plan, or a connection's load. */
void plan_rng(uint64_t seed, int64_t round, int64_t part, struct rng *out);
void plan_make(uint64_t seed, int64_t round, struct plan *out);

#endif
