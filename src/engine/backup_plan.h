/*
 * backup_plan: when an automatic backup is due, and which backups have had their time. Pure: the policy is the JSON
 * that cache_row.backup_policy keeps, time is an argument (Unix milliseconds; days and hours in UTC).
 */
#ifndef ENGINE_BACKUP_PLAN_H
#define ENGINE_BACKUP_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "store/tables.h"

enum { BACKUPS_MAX = 24 }; /* kept of a cache; beyond it the oldest goes */

struct backup_plan {
	bool is_auto;
	unsigned days;      /* bit n set: on that day, 1 (Monday) .. 7 */
	int begin_hour;     /* 0 .. 23: within this hour */
	int save_days;      /* 1 .. 7; 0: not given, or out of bounds */
};

/* "" or anything that is no automatic plan: is_auto false. */
struct backup_plan backup_plan_read(const char *policy_json);
/* Begin of the window that now lies in, or 0: now is in none. */
int64_t backup_plan_window(const struct backup_plan *p, int64_t now_ms);
/* Was the automatic backup of that window tried? One that says to be of later was made by a clock that was ahead. */
bool backup_plan_is_made(const struct backup_row *rows, size_t n, int64_t window_ms);
/* Which of a cache's backups, newest first, should go: automatic ones past their expires_at, but never the last that
 * succeeded, and the oldest beyond BACKUPS_MAX. -1: none. Unfinished ones never go. */
int backup_plan_surplus(const struct backup_row *rows, size_t n, int64_t now_ms);

#endif
