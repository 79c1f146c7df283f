/*
 * report: a node's diagnosis in the members of the DCS contract.
 * Threads: pure, any.  Errors: the writer's, sticky in its buf.
 */
#ifndef CACHE_REPORT_H
#define CACHE_REPORT_H

#include "cache/diagnose.h"
#include "json/json.h"

/* Of a node's commands, those that took most time; the sums are of all. */
enum { REPORT_COMMANDS_MAX = 32 };

struct report_sums {
	int64_t abnormal, failed;  /* items */
};
/* Both in the one number that a record keeps beside its result: a page of a hundred reports of six nodes takes a
 * quarter of a second to parse, and a list shows no more of them than this. */
int64_t report_pack(struct report_sums sums);
struct report_sums report_unpack(int64_t packed);
/* Into the object that is open: abnormal_sum, failed_sum, diagnosis_dimension_list, command_time_taken_list. The sums
 * are added to *sums. A diagnosis of no figures has nothing but failed items. */
void report_write(struct jw *w, const struct cache_diagnosis *d, struct report_sums *sums);

#endif
