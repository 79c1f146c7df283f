#include "cmd/torture/session.h"

#include <signal.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/remote.h"

enum {
	PROCESS_LIMIT_MS = 5000,
	ORPHAN_LIMIT_MS = 2000,
	ORPHAN_LOOK_MS = 5,
	QUIET_LIMIT_MS = 90000,
	FILES_LIMIT_MS = 5000,
	STOP_LIMIT_MS = 20000
};

/* ---- starting ---- */

static void count_start(struct session *s)
{
	s->totals->starts++;
	if (s->t.server.start_ms > s->totals->slowest_start_ms)
		s->totals->slowest_start_ms = s->t.server.start_ms;
}

enum rc session_bring_up(struct session *s, const char *crash, struct err *err)
{
	enum rc rc = server_start(&s->t.cfg, crash, &s->t.server, err);

	if (rc == RC_BUSY && *crash && s->t.server.exit.signal == SIGKILL) {
		s->totals->died_early++;
		return session_bring_up(s, "", err);
	}
	s->is_armed = *crash != '\0';
	if (rc == RC_OK)
		count_start(s);
	else if (rc == RC_BUSY || rc == RC_TIMEOUT)
		findings_add(s->t.findings, "start", "%s", err->msg);
	return rc;
}

void session_check_orphans(struct session *s)
{
	struct marked *live = mem_array(MARKED_MAX, sizeof *live);
	int64_t until_ms = clock_mono_ms() + ORPHAN_LIMIT_MS;

	while (server_marked(&s->t.cfg, live) > 0 && clock_mono_ms() < until_ms)
		remote_pause(ORPHAN_LOOK_MS);
	if (server_marked(&s->t.cfg, live) > 0)
		findings_add(s->t.findings, "E4", "process %d still works on %.300s, %d ms after its server died",
		             (int)live[0].pid, live[0].task, ORPHAN_LIMIT_MS);
	mem_free(live);
}

enum rc session_restart(struct session *s, const char *crash, int64_t stillborn_ms, struct err *err)
{
	if (stillborn_ms < 0)
		return session_bring_up(s, crash, err);
	enum rc rc = server_start_and_kill(&s->t.cfg, stillborn_ms, &s->t.server, err);
	if (rc == RC_BUSY)
		findings_add(s->t.findings, "start", "%s", err->msg);
	s->totals->stillborn += rc == RC_OK;
	session_check_orphans(s);
	return rc == RC_OK ? session_bring_up(s, crash, err) : rc;
}

/* ---- looking ---- */

/* A step of the other cloud. */
static enum rc with_caches(struct session *s, enum rc (*step)(struct caches *c, struct asker *a, struct err *err),
                           struct err *err)
{
	struct asker a;

	if (!s->t.caches)
		return RC_OK;
	enum rc rc = caches_ask_open(s->t.caches, s->t.server.endpoint, &a, err);
	if (rc == RC_OK)
		rc = step(s->t.caches, &a, err);
	ask_close(&a);
	return rc;
}

enum rc session_look(struct session *s, struct asker *a, struct err *err)
{
	struct torture *t = &s->t;

	enum rc rc = rows_check_processes(t, PROCESS_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = check_all(t, a, err);
	if (rc == RC_OK)
		rc = with_caches(s, caches_look, err);
	return rc == RC_OK ? journal_read(&t->journal, t->findings, err) : rc;
}

static enum rc examine(struct session *s, struct err *err)
{
	const char *const argv[] = { s->t.cfg.exe, "doctor", "--data", s->t.cfg.data, NULL };
	int code;

	enum rc rc = server_run_command(&s->t.cfg, argv, "doctor.txt", &code, err);
	if (rc == RC_OK && code != 0)
		findings_add(s->t.findings, "E8", "`stint doctor` ended with %d; see doctor.txt", code);
	return rc;
}

enum rc session_settle(struct session *s, struct asker *a, struct err *err)
{
	struct torture *t = &s->t;

	enum rc rc = rows_await_quiet(t, QUIET_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = with_caches(s, caches_settle, err);
	if (rc == RC_OK)
		rc = session_look(s, a, err);
	if (rc == RC_OK)
		rc = judge_all(t, a, err);
	if (rc == RC_OK)
		rc = rows_check_files(t, FILES_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = check_delete_some(t, a,
		                       err); /* the start's sweep is over: these files are this server's to remove */
	if (rc == RC_OK)
		rc = rows_check_files(t, FILES_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = examine(s, err);
	s->totals->settled += rc == RC_OK;
	return rc;
}

static enum rc try_step(struct session *s, session_step *step, struct err *err)
{
	struct asker a;

	enum rc rc = ask_open(s->t.server.endpoint, s->t.key_id, s->t.key_secret, &a, err);
	if (rc == RC_OK)
		rc = step(s, &a, err);
	ask_close(&a);
	return rc;
}

enum rc session_do(struct session *s, session_step *step, struct err *err)
{
	char words[80];

	enum rc rc = try_step(s, step, err);
	if (rc == RC_OK || !server_wait(&s->t.server, rc == RC_BUSY ? ORPHAN_LIMIT_MS : 0))
		return rc;
	if (!s->is_armed || s->t.server.exit.signal != SIGKILL) {
		findings_add(s->t.findings, "server", "it %s without being asked to",
		             server_exit_words(&s->t.server, words, sizeof words));
		return rc;
	}
	s->totals->died_early++;
	rc = session_bring_up(s, "", err);
	return rc == RC_OK ? session_do(s, step, err) : rc;
}

/* ---- ending ---- */

static bool is_orderly(const struct server *s) { return s->exit.signal == 0 && s->exit.exit_code == 0; }

static bool stop_server(struct server *server, char *words, size_t size)
{
	server_signal(server, SIGTERM);
	if (!server_wait(server, STOP_LIMIT_MS)) {
		server_kill(server);
		(void)snprintf(words, size, "did not stop within %d ms", STOP_LIMIT_MS);
		return false;
	}
	(void)server_exit_words(server, words, size);
	return is_orderly(server);
}

bool session_end(struct session *s, const struct plan *p, char *words, size_t size)
{
	struct server *server = &s->t.server;
	bool was_up = server->is_up;

	if (was_up && p->ending == ENDING_STOP)
		return stop_server(server, words, size);
	if (was_up && p->ending == ENDING_CUT) {
		server_signal(server, SIGTERM);
		(void)server_wait(server, p->cut_ms);
	}
	server_kill(server);
	(void)server_exit_words(server, words, size);
	s->totals->not_reached += was_up && p->ending == ENDING_POINT;
	return ending_allows(p->ending, was_up, s->is_armed, server->exit.exit_code, server->exit.signal);
}

static enum rc end_caches(struct session *s, struct asker *a, struct err *err)
{
	(void)a;
	return with_caches(s, caches_end, err);
}

enum rc session_end_caches(struct session *s, struct err *err)
{
	return s->t.caches ? session_do(s, end_caches, err) : RC_OK;
}
