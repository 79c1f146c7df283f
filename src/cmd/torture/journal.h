/*
 * journal: what the tasks' processes themselves write down about who works on what, and the proof read from it.
 *
 * A file outside of the server's data folder, opened for appending: each line is one write, so the order of lines is
 * the order of events, over all processes and server lives. Every line is
 *
 *   LETTER instance_id task_id generation attempt pid
 *
 * B a process has begun to work on the task, W it is still at it, E it has done all and will now say how it ended,
 * X it found another process still at work on the instance.
 *
 * Proven (E4): an attempt runs once, attempts only rise, nobody writes a line after another process has begun on the
 * same instance, and no line says X.
 *
 * Owner: struct journal is the reader's. Threads: one.
 */
#ifndef CMD_TORTURE_JOURNAL_H
#define CMD_TORTURE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "cmd/torture/findings.h"

#define JOURNAL_FILE "journal"
#define JOURNAL_LOCKS "locks"

struct journal_line {
	char letter;
	int64_t instance_id, task_id, generation, attempt, pid;
};

/* Append one line to the descriptor by one write. */
enum rc journal_write(int fd, const struct journal_line *line, struct err *err) NODISCARD;

struct journal {
	char path[4096];
	int64_t offset;         /* read so far */
	struct held *instances; /* by instance_id */
	struct run *tasks;      /* by task_id */
	int64_t n_instances, n_tasks;
	int64_t n_begun;
};

enum rc journal_open(struct journal *j, const char *folder, struct err *err) NODISCARD;
void journal_close(struct journal *j);
/* Read what was added, and complain. */
enum rc journal_read(struct journal *j, struct findings *f, struct err *err) NODISCARD;
/* Has that attempt done all of its work? */
bool journal_has_ended(const struct journal *j, int64_t task_id, int64_t attempt);

#endif
