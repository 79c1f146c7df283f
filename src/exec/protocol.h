/*
 * protocol: the lines a task's child writes on fd 3 (docs/child-protocol.md), one JSON object a line:
 *   {"progress":42}   {"metric":"logloss","step":3,"value":0.4471,"set":"validation"}   {"event":"epoch 3 of 15"}
 *   {"checkpoint":"ckpt-3"}   {"result":{...}}   {"error":{"code":"Data.Empty","message":"...","fault":"user"}}
 *   {"data_hash":"9f86..."}   {"stage":"copy","status":"EXECUTING"}
 * Pure, any thread. Limits: a line at most 64 KiB; names 64 bytes; texts 4 KiB; a result 48 KiB.
 */
#ifndef EXEC_PROTOCOL_H
#define EXEC_PROTOCOL_H

#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "task/state.h"

enum { PROTOCOL_LINE_MAX = 65536 };

enum child_msg_kind {
	MSG_PROGRESS,
	MSG_METRIC,
	MSG_EVENT,
	MSG_CHECKPOINT,
	MSG_RESULT,
	MSG_ERROR,
	MSG_DATA_HASH,
	MSG_STAGE
};

struct child_msg {
	enum child_msg_kind kind;
	int progress;                  /* PROGRESS: 0..100 */
	const char *name, *set;        /* METRIC: name, set ("" when absent) */
	int64_t step;                  /* METRIC: 0 when absent */
	double value;                  /* METRIC: finite */
	const char *text;              /* STAGE: "EXECUTING copy" (WAITING, EXECUTING, FINISH or FAILED, and the
	                                * step's name); EVENT; CHECKPOINT (a plain file name); DATA_HASH (hex);
	                                * ERROR: message */
	const char *code;              /* ERROR: "Task.Failed" when absent */
	enum task_fault fault;         /* ERROR: FAULT_USER when absent */
	const char *result_json;       /* RESULT: the object as JSON text */
};

/* One line without its newline. RC_INVALID says what is wrong, RC_LIMIT when over a limit. Unknown keys beside
 * the known one are ignored; a line with no known key is RC_INVALID. Texts belong to a. */
enum rc protocol_parse(const char *line, size_t len, struct arena *a, struct child_msg *out, struct err *err) NODISCARD;
/* The writing side, used by `stint job`: appends one line with its newline to out. */
void protocol_print(const struct child_msg *msg, struct buf *out);

#endif
