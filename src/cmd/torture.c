/*
 * torture: a real server on this disk under load, killed again and again, and everything it ever acknowledged checked
 * after each restart. What a round does is cmd/torture/plan.h, what must hold cmd/torture/model.h.
 *
 * A round: load on the running server; its end, by signal or at a crash point; a start, timed; a look at everything.
 * Exit 0 when all promises held, 1 when one was broken.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/remote.h"
#include "cmd/say.h"
#include "cmd/torture/load.h"
#include "cmd/torture/place.h"
#include "cmd/torture/report.h"
#include "cmd/torture/run.h"

enum { ROUNDS_DEFAULT = 100, CONNECTIONS_DEFAULT = 4, START_LIMIT_S = 5, ARENA_MAX = 1 << 20 };
enum {
	PROCESS_LIMIT_MS = 5000,
	ORPHAN_LIMIT_MS = 2000,
	ORPHAN_LOOK_MS = 5,
	QUIET_LIMIT_MS = 90000,
	FILES_LIMIT_MS = 5000
};
enum { STOP_LIMIT_MS = 20000 };

struct torture_options {
	const char *data, *tamper;
	int64_t rounds, seed, connections, start_limit_s;
	bool keeps, as_json;
};

struct session {
	struct torture_options o;
	struct torture t;
	struct totals totals;
	struct progress bar;
	bool is_armed; /* the running server will die at a crash point */
};

static uint64_t seed_of(const struct session *s) { return (uint64_t)s->o.seed; }

/* ---- starting ---- */

static void count_start(struct session *s)
{
	s->totals.starts++;
	if (s->t.server.start_ms > s->totals.slowest_start_ms)
		s->totals.slowest_start_ms = s->t.server.start_ms;
}

/* A server that is ready. One that dies at its armed point before is started again, unarmed. */
static enum rc bring_up(struct session *s, const char *crash, struct err *err)
{
	enum rc rc = server_start(&s->t.cfg, crash, &s->t.server, err);

	if (rc == RC_BUSY && *crash && s->t.server.exit.signal == SIGKILL) {
		s->totals.died_early++;
		return bring_up(s, "", err);
	}
	s->is_armed = *crash != '\0';
	if (rc == RC_OK)
		count_start(s);
	else if (rc == RC_BUSY || rc == RC_TIMEOUT)
		findings_add(&s->t.findings, "start", "%s", err->msg);
	return rc;
}

/* E4: with the server dead nothing goes on working for it. */
static void check_orphans(struct session *s)
{
	struct marked *live = mem_array(MARKED_MAX, sizeof *live);
	int64_t until_ms = clock_mono_ms() + ORPHAN_LIMIT_MS;

	while (server_marked(&s->t.cfg, live) > 0 && clock_mono_ms() < until_ms)
		remote_pause(ORPHAN_LOOK_MS);
	if (server_marked(&s->t.cfg, live) > 0)
		findings_add(&s->t.findings, "E4", "process %d still works on %.300s, %d ms after its server died",
		             (int)live[0].pid, live[0].task, ORPHAN_LIMIT_MS);
	mem_free(live);
}

/* The start between two rounds, sometimes cut off first. */
static enum rc restart(struct session *s, const char *crash, const struct plan *p, struct err *err)
{
	if (p->stillborn_ms < 0)
		return bring_up(s, crash, err);
	enum rc rc = server_start_and_kill(&s->t.cfg, p->stillborn_ms, &s->t.server, err);
	if (rc == RC_BUSY)
		findings_add(&s->t.findings, "start", "%s", err->msg);
	s->totals.stillborn += rc == RC_OK;
	check_orphans(s);
	return rc == RC_OK ? bring_up(s, crash, err) : rc;
}

/* ---- looking ---- */

typedef enum rc step_fn(struct session *s, struct asker *a, struct err *err);

static enum rc look(struct session *s, struct asker *a, struct err *err)
{
	struct torture *t = &s->t;

	enum rc rc = rows_check_processes(t, PROCESS_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = check_all(t, a, err);
	return rc == RC_OK ? journal_read(&t->journal, &t->findings, err) : rc;
}

static enum rc examine(struct session *s, struct err *err)
{
	const char *const argv[] = { s->t.cfg.exe, "doctor", "--data", s->t.cfg.data, NULL };
	int code;

	enum rc rc = server_run_command(&s->t.cfg, argv, "doctor.txt", &code, err);
	if (rc == RC_OK && code != 0)
		findings_add(&s->t.findings, "E8", "`stint doctor` ended with %d; see doctor.txt", code);
	return rc;
}

/* Let every task end, then look at all that only holds when nothing runs. */
static enum rc settle(struct session *s, struct asker *a, struct err *err)
{
	struct torture *t = &s->t;

	enum rc rc = rows_await_quiet(t, QUIET_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = look(s, a, err);
	if (rc == RC_OK)
		rc = judge_all(t, a, err);
	if (rc == RC_OK)
		rc = rows_check_files(t, FILES_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = check_delete_some(t, a,
		                       err); /* the start's sweep is over: their files are this server's to remove */
	if (rc == RC_OK)
		rc = rows_check_files(t, FILES_LIMIT_MS, err);
	if (rc == RC_OK)
		rc = examine(s, err);
	s->totals.settled += rc == RC_OK;
	return rc;
}

static enum rc prepare(struct session *s, struct asker *a, struct err *err)
{
	return check_prepare(&s->t, a, seed_of(s), err);
}

static enum rc try_step(struct session *s, step_fn *step, struct err *err)
{
	struct asker a;

	enum rc rc = ask_open(s->t.server.endpoint, s->t.key_id, s->t.key_secret, &a, err);
	if (rc == RC_OK)
		rc = step(s, &a, err);
	ask_close(&a);
	return rc;
}

/* A step; when an armed server dies on the way, again on one that is not. */
static enum rc with_server(struct session *s, step_fn *step, struct err *err)
{
	char words[80];

	enum rc rc = try_step(s, step, err);
	if (rc == RC_OK || !server_wait(&s->t.server, rc == RC_BUSY ? ORPHAN_LIMIT_MS : 0))
		return rc;
	if (!s->is_armed || s->t.server.exit.signal != SIGKILL) {
		findings_add(&s->t.findings, "server", "it %s without being asked to",
		             server_exit_words(&s->t.server, words, sizeof words));
		return rc;
	}
	s->totals.died_early++;
	rc = bring_up(s, "", err);
	return rc == RC_OK ? with_server(s, step, err) : rc;
}

/* ---- a round ---- */

static void kill_child(struct session *s, struct rng *r)
{
	struct marked *live = mem_array(MARKED_MAX, sizeof *live);
	size_t n = server_marked(&s->t.cfg, live);

	if (n > 0) {
		const struct marked *m = &live[rng_below(r, n)];
		(void)kill(m->pid, SIGKILL); /* ended meanwhile: as good */
		s->totals.child_kills++;
	}
	mem_free(live);
}

/* Wait through the load, killing children on the way. When it was over: the server's death or the plan's time. */
static void watch_load(struct session *s, const struct plan *p, struct rng *r)
{
	int64_t from_ms = clock_mono_ms();
	int next = 0;

	for (bool died = false; !died;) {
		int64_t until = next < p->n_child_kills ? p->child_kill_ms[next] : p->load_ms;
		int64_t left = until - (clock_mono_ms() - from_ms);
		died = server_wait(&s->t.server, left > 0 ? left : 0);
		if (died || next == p->n_child_kills)
			return;
		kill_child(s, r);
		next++;
	}
}

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

/* End the server as planned. False: it had ended otherwise than it may. */
static bool end_server(struct session *s, const struct plan *p, char *words, size_t size)
{
	struct server *server = &s->t.server;
	bool was_up = server->is_up;

	if (was_up && p->ending == ENDING_STOP)
		return stop_server(server, words, size);
	if (was_up && p->ending == ENDING_CUT) {
		server_signal(server, SIGTERM);
		(void)server_wait(server, p->cut_ms);
	}
	bool has_stopped = was_up && !server->is_up; /* faster than it was to be cut off */
	server_kill(server);
	(void)server_exit_words(server, words, size);
	s->totals.not_reached += was_up && p->ending == ENDING_POINT;
	if (has_stopped)
		return is_orderly(server);
	return (was_up || s->is_armed) && server->exit.signal == SIGKILL;
}

static enum rc put_under_load(struct session *s, int64_t round, const struct plan *p, struct load *l, struct err *err)
{
	struct torture *t = &s->t;
	struct rng r;
	char words[80];

	*l = (struct load){ .model = &t->model,
		            .endpoint = t->server.endpoint,
		            .key_id = t->key_id,
		            .key_secret = t->key_secret,
		            .seed = seed_of(s),
		            .round = round,
		            .n = (int)s->o.connections };
	plan_rng(seed_of(s), round, CONNECTIONS_MAX, &r);
	enum rc rc = load_start(l, err);
	if (rc != RC_OK)
		return rc;
	watch_load(s, p, &r);
	int64_t end_us = clock_mono_us();
	bool lived = t->server.is_up;
	atomic_store(&l->is_stopping, true);
	bool is_fine = end_server(s, p, words, sizeof words);
	load_stop(l);
	if (!is_fine)
		findings_add(&t->findings, "server", "it %s without being asked to", words);
	/* An armed server may have died unnoticed by then. */
	if (lived && !s->is_armed && l->first_lost_us && l->first_lost_us < end_us)
		findings_add(&t->findings, "answer", "a request got no answer while the server lived");
	check_orphans(s);
	s->totals.done += l->n_done;
	s->totals.refused += l->n_refused;
	s->totals.lost += l->n_lost;
	s->totals.ended[p->ending]++;
	return RC_OK;
}

static void report_round(struct session *s, int64_t round, const struct plan *p, const struct load *l)
{
	char line[240];
	size_t n = findings_count(&s->t.findings);

	(void)snprintf(
	        line, sizeof line, "round %4lld  %-11s %-24s %5lld requests, %lld unanswered, up again in %lld ms: %s",
	        (long long)round, ending_word(p->ending), p->crash, (long long)(l->n_done + l->n_refused + l->n_lost),
	        (long long)l->n_lost, (long long)s->t.server.start_ms, n ? "BROKEN" : "ok");
	progress_line(&s->bar, line);
	if (s->bar.is_on_terminal)
		progress_show(&s->bar, (int)(100 * round / s->o.rounds), ending_word(p->ending), clock_mono_ms());
}

static enum rc tamper(struct session *s, int64_t round, struct err *err)
{
	struct rng r;

	if (!s->o.tamper)
		return RC_OK;
	plan_rng(seed_of(s), round, CONNECTIONS_MAX + 1, &r);
	return damage_do(&s->t, s->o.tamper, &r, err);
}

static enum rc run_round(struct session *s, int64_t round, struct err *err)
{
	struct plan p, next;
	struct load l = { .n = 0 };

	findings_begin_round(&s->t.findings, round);
	s->t.model.n_made_unanswered = 0;
	plan_make(seed_of(s), round, &p);
	plan_make(seed_of(s), round + 1, &next);
	enum rc rc = put_under_load(s, round, &p, &l, err);
	if (rc == RC_OK)
		rc = tamper(s, round, err);
	/* The next round's server looks at this round's end, unless all its tasks are to come to theirs first. */
	bool settles = p.settles || round == s->o.rounds;
	if (rc == RC_OK)
		rc = restart(s, settles ? "" : next.crash, &p, err);
	if (rc == RC_OK)
		rc = with_server(s, settles ? settle : look, err);
	if (rc == RC_OK && p.ending == ENDING_STOP && s->t.model.n_made_unanswered)
		findings_add(&s->t.findings, "stop", "%lld change(s) were made and not answered in an orderly stop",
		             (long long)s->t.model.n_made_unanswered);
	s->totals.rounds = round;
	report_round(s, round, &p, &l);
	return rc;
}

static enum rc run_rounds(struct session *s, struct err *err)
{
	struct plan stop = { .ending = ENDING_STOP };
	char words[80];

	enum rc rc = bring_up(s, "", err);
	if (rc == RC_OK)
		rc = with_server(s, prepare, err);
	for (int64_t round = 1; rc == RC_OK && round <= s->o.rounds && findings_count(&s->t.findings) == 0; round++)
		rc = run_round(s, round, err);
	if (rc == RC_OK && s->t.server.is_up && !end_server(s, &stop, words, sizeof words))
		findings_add(&s->t.findings, "server", "at the end it %s", words);
	server_kill(&s->t.server);
	return rc;
}

/* ---- the whole ---- */

static int print_report(const struct command *c, const struct session *s, const char *kept)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	if (s->o.as_json)
		report_json(&s->totals, &s->t, s->o.seed, kept, &out);
	else
		report_words(&s->totals, &s->t, s->o.seed, kept, &out);
	int code = say_text(c, &out);
	buf_fini(&out);
	return code ? code : s->t.findings.n_all > 0;
}

static int run_session(const struct command *c, struct session *s)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct place place;
	struct err err = { 0 };

	enum rc rc = place_take(s->o.data, a, &place, &s->t.cfg, &err);
	if (rc != RC_OK)
		return say_failed(c, rc, &err);
	s->t.cfg.start_limit_ms = s->o.start_limit_s * 1000;
	s->t.key_id = place.key_id;
	s->t.key_secret = place.key_secret;
	findings_init(&s->t.findings);
	model_init(&s->t.model, (int)s->o.connections, &s->t.findings);
	progress_init(&s->bar, clock_mono_ms());
	rc = journal_open(&s->t.journal, place.journal, &err);
	if (rc == RC_OK)
		rc = run_rounds(s, &err);
	progress_end(&s->bar);
	bool is_broken = findings_count(&s->t.findings) > 0;
	bool keeps = s->o.keeps || is_broken || rc != RC_OK;
	int code = rc == RC_OK || is_broken ? print_report(c, s, keeps ? place.run : NULL) : say_failed(c, rc, &err);
	place_leave(&place, keeps);
	journal_close(&s->t.journal);
	model_fini(&s->t.model);
	findings_fini(&s->t.findings);
	return code;
}

static int64_t any_seed(void)
{
	uint32_t seed;
	rand_bytes(&seed, sizeof seed);
	return seed;
}

static int run_torture(const struct command *c, int argc, char **argv)
{
	struct session *s = mem_new(struct session);
	struct torture_options *o = &s->o;
	const char *operands[OPERANDS_MAX];
	int code;

	*o = (struct torture_options){ .rounds = ROUNDS_DEFAULT,
		                       .seed = any_seed(),
		                       .connections = CONNECTIONS_DEFAULT,
		                       .start_limit_s = START_LIMIT_S };
	struct opt opts[] = {
		OPTION_TEXT("data", &o->data, "DIR", "Folder to work in: new, empty, or of an earlier run. Required."),
		OPTION_INT("rounds", &o->rounds, "N", 1, 1000000, "How often to kill and check (default 100)."),
		OPTION_INT("seed", &o->seed, "N", 0, INT64_MAX,
		           "Repeats the decisions of a run (default: random, and said)."),
		OPTION_INT("connections", &o->connections, "N", 1, CONNECTIONS_MAX,
		           "How many ask at once (default 4)."),
		OPTION_INT("start-limit", &o->start_limit_s, "SECONDS", 1, 600,
		           "Longest start that is accepted (default 5)."),
		OPTION_CHOICE("tamper", &o->tamper, "WHAT", DAMAGES,
		              "Spoil data between rounds, to see that it is noticed: record, number, state, progress "
		              "or log."),
		OPTION_FLAG("keep", &o->keeps, "Leave the folder as it is; after a failure it always stays."),
		OPTION_FLAG("json", &o->as_json, "Print the summary as JSON."),
	};
	if (args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code)) {
		struct err err;
		code = o->data ? run_session(c, s)
		               : say_failed(c, err_set(&err, RC_INVALID, "give a folder to work in: --data DIR"), &err);
	}
	mem_free(s);
	return code;
}

const struct command command_torture = {
	.name = "torture",
	.operands = "",
	.summary = "Kill a server on your disk again and again, and check that nothing is lost.",
	.example = "stint torture --data /var/tmp/torture --rounds 100\nstint torture --data /var/tmp/torture --seed "
	           "42 --keep",
	.run = run_torture,
};
