/*
 * session: one server through its lives: started, looked at, put under load, ended. The run itself is one; a restored
 * backup of it that is examined (copy.h) is another, with a folder, a model and a journal of its own.
 *
 * Owner:   struct session is the caller's, zeroed but for its members `t.cfg`, keys, findings, model and journal.
 * Threads: the one that starts the server.
 * Errors:  what is wrong with the server goes to the findings; an rc says that the run cannot go on.
 */
#ifndef CMD_TORTURE_SESSION_H
#define CMD_TORTURE_SESSION_H

#include "cmd/torture/report.h"
#include "cmd/torture/run.h"

struct session {
	struct torture t;
	struct totals *totals;
	bool is_armed; /* the running server will die at a crash point */
};

/* A server that is ready. One that dies at its armed point before is started again, unarmed. crash: "" none. */
enum rc session_bring_up(struct session *s, const char *crash, struct err *err) NODISCARD;
/* The same after a death; a stillborn_ms from 0 on has one start killed after so long before. */
enum rc session_restart(struct session *s, const char *crash, int64_t stillborn_ms, struct err *err) NODISCARD;

/* A step with a server that may die at its armed point; then it is made again on one that is not armed. */
typedef enum rc session_step(struct session *s, struct asker *a, struct err *err);
enum rc session_do(struct session *s, session_step *step, struct err *err) NODISCARD;
/* Steps: everything as it stands; all tasks left to end and then everything. */
session_step session_look, session_settle;

/* End the server as planned. False: it had ended otherwise than it may; words say how it ended. */
bool session_end(struct session *s, const struct plan *p, char *words, size_t size);
/* Delete all Redis instances; nothing may be left of them. */
enum rc session_end_caches(struct session *s, struct err *err) NODISCARD;
/* E4: with the server dead nothing goes on working for it. */
void session_check_orphans(struct session *s);

#endif
