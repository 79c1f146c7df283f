/*
 * state: the life of a task. pending -> running -> success | failed; running -> pending only when an
 * attempt ended by the machine's fault and another is allowed (E7). Terminal states never change.
 *
 *   (create)--> pending --claim--> running --finish--> success
 *                  ^                  |  \--finish----> failed
 *                  +------requeue-----+
 *
 * Pure values, any thread. Words: "pending" "running" "success" "failed".
 */
#ifndef TASK_STATE_H
#define TASK_STATE_H

#include <stdbool.h>

enum task_state { TASK_PENDING, TASK_RUNNING, TASK_SUCCESS, TASK_FAILED, TASK_STATES };

const char *task_state_word(enum task_state s);
bool task_state_is_final(enum task_state s);
bool task_state_may_become(enum task_state from, enum task_state to);

/* Whose fault an attempt's end was: decides whether it is tried again. */
enum task_fault { FAULT_NONE, FAULT_USER, FAULT_MACHINE, FAULT_TIMEOUT };
const char *task_fault_word(enum task_fault f); /* "" "user" "machine" "timeout" */

/* E6: what a reported progress makes of the kept one, both 0..100; never decreases, 100 only by success. */
int task_progress_next(int kept, int reported);

/* Delay before attempt n+1 after attempt n (1, 2 ...) ended by the machine's fault: 1 s doubling, at most 5 min. */
int task_backoff_ms(int attempt);

#endif
