/*
 * torture: a real server on this disk under load, killed again and again, and everything it ever acknowledged checked
 * after each restart. What a round does is cmd/torture/plan.h, what must hold cmd/torture/model.h.
 *
 * A round: load on the running server; its end, by signal or at a crash point; a start, timed; a look at everything.
 * Every now and then a backup is made beside the load, restored, and examined likewise (cmd/torture/copy.h).
 * Exit 0 when all promises held, 1 when one was broken.
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/say.h"
#include "cmd/torture/place.h"
#include "cmd/torture/siege.h"

enum {
	ROUNDS_DEFAULT = 100,
	CONNECTIONS_DEFAULT = 4,
	BACKUP_EVERY_DEFAULT = 25,
	START_LIMIT_S = 5,
	ARENA_MAX = 1 << 20
};
struct torture_options {
	const char *data, *tamper;
	int64_t rounds, seed, connections, start_limit_s, backup_every;
	bool keeps, as_json, has_redis;
};

struct run {
	struct torture_options o;
	struct session session;
	struct caches caches;
	struct findings findings;
	struct totals totals;
	struct progress bar;
};

static uint64_t seed_of(const struct run *r) { return (uint64_t)r->o.seed; }

/* ---- a round ---- */

/* What a round is, and what came of it. */
struct round {
	int64_t number;
	struct plan plan, next;
	struct siege siege;
	struct load load;
};

static void report_round(struct run *r, const struct round *n)
{
	const struct load *l = &n->load;
	const struct copy *c = n->siege.copy;
	char line[300], copy[80] = "";

	if (c)
		(void)snprintf(copy, sizeof copy, ", backup of %lld ms restored", (long long)c->took_ms);
	(void)snprintf(line, sizeof line,
	               "round %4lld  %-11s %-24s %5lld requests, %lld unanswered, up again in %lld ms%s: %s",
	               (long long)n->number, ending_word(n->plan.ending), n->plan.crash,
	               (long long)(l->n_done + l->n_refused + l->n_lost), (long long)l->n_lost,
	               (long long)r->session.t.server.start_ms, copy, findings_count(&r->findings) ? "BROKEN" : "ok");
	progress_line(&r->bar, line);
	if (r->bar.is_on_terminal)
		progress_show(&r->bar, (int)(100 * n->number / r->o.rounds), ending_word(n->plan.ending),
		              clock_mono_ms());
}

static bool spoils_copies(const struct run *r) { return r->o.tamper && strcmp(r->o.tamper, DAMAGED_COPY) == 0; }

static enum rc tamper(struct run *r, int64_t round, struct err *err)
{
	struct rng rng;

	if (!r->o.tamper || spoils_copies(r))
		return RC_OK;
	if (strcmp(r->o.tamper, DAMAGED_REDIS) == 0) {
		if (r->o.has_redis)
			caches_spoil(&r->caches);
		return RC_OK;
	}
	plan_rng(seed_of(r), round, CONNECTIONS_MAX + 1, &rng);
	return damage_do(&r->session.t, r->o.tamper, &rng, err);
}

static enum rc restart_and_look(struct run *r, const struct round *n, struct err *err)
{
	struct session *s = &r->session;
	/* The next round's server looks at this round's end, unless all its tasks are to come to theirs first. */
	bool settles = n->plan.settles || n->number == r->o.rounds;

	enum rc rc = session_restart(s, settles ? "" : n->next.crash, n->plan.stillborn_ms, err);
	if (rc == RC_OK)
		rc = session_do(s, settles ? session_settle : session_look, err);
	if (rc == RC_OK && n->plan.ending == ENDING_STOP && s->t.model.n_made_unanswered)
		findings_add(&r->findings, "stop", "%lld change(s) were made and not answered in an orderly stop",
		             (long long)s->t.model.n_made_unanswered);
	return rc;
}

static void begin_round(struct run *r, int64_t number, struct round *n)
{
	bool copies = r->o.backup_every && number % r->o.backup_every == 0;

	findings_begin_round(&r->findings, number);
	model_begin_round(&r->session.t.model);
	*n = (struct round){ .number = number };
	plan_make(seed_of(r), number, &n->plan);
	plan_make(seed_of(r), number + 1, &n->next);
	n->siege = (struct siege){ .seed = seed_of(r),
		                   .round = number,
		                   .connections = (int)r->o.connections,
		                   .plan = &n->plan,
		                   .copy = copies ? mem_new(struct copy) : NULL };
}

/* Its Redis instances have the addresses of the original's, so that one dies meanwhile, all its nodes at once: one
 * more thing that it must get over. */
static enum rc examine_copy(struct run *r, const struct round *n, struct err *err)
{
	struct session *s = &r->session;

	if (r->o.has_redis) {
		server_kill(&s->t.server);
		redis_kill_all(s->t.cfg.data);
	}
	enum rc rc = copy_examine(n->siege.copy, &n->siege, spoils_copies(r), err);
	return rc == RC_OK && r->o.has_redis ? session_bring_up(s, "", err) : rc;
}

static enum rc run_round(struct run *r, int64_t number, struct err *err)
{
	struct round n;

	begin_round(r, number, &n);
	enum rc rc = siege_lay(&r->session, &n.siege, &n.load, err);
	if (rc == RC_OK)
		rc = tamper(r, number, err);
	if (rc == RC_OK)
		rc = restart_and_look(r, &n, err);
	if (rc == RC_OK && n.siege.copy && findings_count(&r->findings) == 0)
		rc = examine_copy(r, &n, err);
	r->totals.rounds = number;
	report_round(r, &n);
	copy_free(n.siege.copy);
	return rc;
}

static enum rc prepare(struct session *s, struct asker *a, struct err *err)
{
	enum rc rc = check_prepare(&s->t, a, err);
	return rc == RC_OK && s->t.caches ? caches_prepare(s->t.caches, s->t.server.endpoint, err) : rc;
}

static enum rc run_rounds(struct run *r, struct err *err)
{
	struct session *s = &r->session;
	struct plan stop = { .ending = ENDING_STOP };
	char words[80];

	enum rc rc = session_bring_up(s, "", err);
	if (rc == RC_OK)
		rc = session_do(s, prepare, err);
	for (int64_t round = 1; rc == RC_OK && round <= r->o.rounds && findings_count(&r->findings) == 0; round++)
		rc = run_round(r, round, err);
	if (rc == RC_OK && findings_count(&r->findings) == 0)
		rc = session_end_caches(s, err);
	if (rc == RC_OK && s->t.server.is_up && !session_end(s, &stop, words, sizeof words))
		findings_add(&r->findings, "server", "at the end it %s", words);
	server_kill(&s->t.server);
	return rc;
}

/* ---- the whole ---- */

static int print_report(const struct command *c, const struct run *r, const char *kept)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	if (r->o.as_json)
		report_json(&r->totals, &r->session.t, r->o.seed, kept, &out);
	else
		report_words(&r->totals, &r->session.t, r->o.seed, kept, &out);
	int code = say_text(c, &out);
	buf_fini(&out);
	return code ? code : r->findings.n_all > 0;
}

static enum rc run_in(struct run *r, const struct place *place, struct err *err)
{
	struct torture *t = &r->session.t;

	t->cfg.start_limit_ms = r->o.start_limit_s * 1000;
	t->key_id = place->key_id;
	t->key_secret = place->key_secret;
	t->findings = &r->findings;
	t->seed = seed_of(r);
	r->session.totals = &r->totals;
	findings_init(&r->findings);
	model_init(&t->model, (int)r->o.connections, &r->findings);
	progress_init(&r->bar, clock_mono_ms());
	if (r->o.has_redis) {
		caches_init(&r->caches, &t->cfg, &r->findings);
		r->caches.key_id = place->key_id;
		r->caches.key_secret = place->key_secret;
		r->caches.project_id = place->project_id;
		t->caches = &r->caches;
	}
	enum rc rc = journal_open(&t->journal, place->journal, err);
	if (rc == RC_OK)
		rc = run_rounds(r, err);
	progress_end(&r->bar);
	redis_kill_all(t->cfg.data); /* after a good end there are none */
	return rc;
}

static int run_session(const struct command *c, struct run *r)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct torture *t = &r->session.t;
	struct place place;
	struct err err = { 0 };

	enum rc rc = place_take(r->o.data, a, &place, &t->cfg, &err);
	if (rc != RC_OK)
		return say_failed(c, rc, &err);
	rc = run_in(r, &place, &err);
	bool is_broken = findings_count(&r->findings) > 0;
	bool keeps = r->o.keeps || is_broken || rc != RC_OK;
	int code = rc == RC_OK || is_broken ? print_report(c, r, keeps ? place.run : NULL) : say_failed(c, rc, &err);
	place_leave(&place, keeps);
	journal_close(&t->journal);
	model_fini(&t->model);
	findings_fini(&r->findings);
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
	struct run *r = mem_new(struct run);
	struct torture_options *o = &r->o;
	const char *operands[OPERANDS_MAX];
	int code;

	*o = (struct torture_options){ .rounds = ROUNDS_DEFAULT,
		                       .seed = any_seed(),
		                       .connections = CONNECTIONS_DEFAULT,
		                       .backup_every = BACKUP_EVERY_DEFAULT,
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
		OPTION_INT(
		        "backup-every", &o->backup_every, "N", 0, 1000000,
		        "Take a backup in every N-th round, restore it and examine the copy (default 25); 0: never."),
		OPTION_CHOICE("tamper", &o->tamper, "WHAT", DAMAGES,
		              "Spoil data between rounds, to see that it is noticed: record, number, state, progress, "
		              "log; copy: a record of each restored backup; redis: what Redis instances hold."),
		OPTION_FLAG("dcs", &o->has_redis,
		            "Redis instances as well: operations on them, data in them, their processes killed."),
		OPTION_FLAG("keep", &o->keeps, "Leave the folder as it is; after a failure it always stays."),
		OPTION_FLAG("json", &o->as_json, "Print the summary as JSON."),
	};
	if (args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code)) {
		struct err err;
		code = o->data ? run_session(c, r)
		               : say_failed(c, err_set(&err, RC_INVALID, "give a folder to work in: --data DIR"), &err);
	}
	mem_free(r);
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
