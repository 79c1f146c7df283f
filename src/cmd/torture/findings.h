/*
 * findings: what a torture run has to complain about, each with the round and the rule that was broken.
 * Threads: any. Limits: FINDINGS_MAX are kept, the rest is counted.
 */
#ifndef CMD_TORTURE_FINDINGS_H
#define CMD_TORTURE_FINDINGS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

enum { FINDINGS_MAX = 50, FINDING_TEXT_MAX = 600 };

struct finding {
	int64_t round;
	const char *rule; /* "E1" .. "E8" of docs/invariants.md, or a word; of static life */
	char text[FINDING_TEXT_MAX];
};

struct findings {
	pthread_mutex_t lock;
	int64_t round;     /* the one under way */
	const char *where; /* put before each text; "" */
	struct finding rows[FINDINGS_MAX];
	size_t n, n_all;
};

void findings_init(struct findings *f);
void findings_fini(struct findings *f);
void findings_begin_round(struct findings *f, int64_t round);
/* What is found from now on is of that place, "the restored copy: "; "": of the server that is tortured. Static life.
 */
void findings_set_place(struct findings *f, const char *where);
void findings_add(struct findings *f, const char *rule, const char *fmt, ...) PRINTF(3, 4);
size_t findings_count(struct findings *f);

#endif
