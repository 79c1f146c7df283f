/*
 * job: what the built-in tasks of `stint job` share: talking on fd 3, and being asked to stop.
 * One process, one task; only cmd/job*.c.
 */
#ifndef CMD_JOB_H
#define CMD_JOB_H

#include "base/arena.h"
#include "exec/protocol.h"
#include "json/json.h"

/* Write one message. Ends the process when nobody listens any more. */
void job_send(const struct child_msg *msg);
void job_progress(void *ctx, int percent);  /* ctx is not used */
bool job_should_stop(void *ctx);            /* SIGTERM came */

/* The built-in tasks: task is the task file (docs/child-protocol.md). Each sends its own result. */
enum rc job_train(const json_t *task, struct arena *a, struct err *err) NODISCARD;
enum rc job_cache(const json_t *task, struct arena *a, struct err *err) NODISCARD;

#endif
