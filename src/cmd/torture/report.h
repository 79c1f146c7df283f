/*
 * report: a run in figures, and what it has to complain about, for people and for programs.
 */
#ifndef CMD_TORTURE_REPORT_H
#define CMD_TORTURE_REPORT_H

#include "cmd/torture/run.h"

struct totals {
	int64_t rounds, done, refused, lost; /* requests */
	int64_t ended[ENDINGS], not_reached; /* by enum ending; crash points that were not passed under load */
	int64_t died_early;                  /* at a crash point, before or while everything was looked at */
	int64_t child_kills, starts, stillborn, slowest_start_ms, settled;
	int64_t copies; /* restored backups that passed */
};

/* kept: where everything was left, NULL when it was taken away. */
void report_words(const struct totals *n, const struct torture *t, int64_t seed, const char *kept, struct buf *out);
void report_json(const struct totals *n, const struct torture *t, int64_t seed, const char *kept, struct buf *out);

#endif
