#include "cmd/torture/copy.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/torture/place.h"
#include "cmd/torture/siege.h"
#include "cmd/torture/twin.h"
#include "os/file.h"

enum { COPY_LOAD_MS = 300 };
#define REDIS_WAIT_S "5" /* one that is down when the backup comes to it stays so, its server being dead */
static const uint64_t other_seed = 0x636f7079; /* what is asked of the copy is not what was asked of the original */

/* ---- beside the load ---- */

static enum rc furnish(struct copy *c, const struct session *s, struct err *err)
{
	struct server_config *cfg = &c->of.t.cfg;

	c->of.totals = s->totals;
	c->of.t.findings = s->t.findings;
	c->of.t.key_id = s->t.key_id;
	c->of.t.key_secret = s->t.key_secret;
	c->of.t.before = &s->t.journal;
	*cfg = s->t.cfg;
	enum rc rc = path_join(cfg->run, s->t.cfg.run, "copy", err);
	if (rc == RC_OK)
		rc = dir_make(cfg->run, 0700, err);
	if (rc == RC_OK)
		rc = path_join(cfg->data, cfg->run, "data", err);
	if (rc == RC_OK)
		rc = path_join(c->backup, cfg->run, "backup", err);
	return rc == RC_OK ? path_join(c->journal, cfg->run, "journal", err) : rc;
}

enum rc copy_begin(struct copy *c, struct session *s, struct load *l, struct err *err)
{
	const char *const argv[] = { s->t.cfg.exe, "backup",       "--data",     s->t.cfg.data, "--to",
		                     c->backup,    "--redis-wait", REDIS_WAIT_S, NULL };

	enum rc rc = furnish(c, s, err);
	if (rc != RC_OK)
		return rc;
	load_hold(l);
	twin_take(&s->t.model, &c->of.t.model);
	if (s->t.caches) {
		caches_twin_take(s->t.caches, &c->of.t.cfg, &c->caches);
		c->of.t.caches = &c->caches;
	}
	c->is_taken = true;
	c->begun_ms = clock_mono_ms();
	rc = server_begin_command(&c->of.t.cfg, argv, "backup.txt", &c->proc, err);
	load_go_on(l);
	return rc;
}

enum rc copy_end(struct copy *c, const struct session *s, struct err *err)
{
	int code = server_end_command(&c->proc);

	c->took_ms = clock_mono_ms() - c->begun_ms;
	twin_follow(&c->of.t.model, &s->t.model);
	if (code != 0)
		findings_add(s->t.findings, "backup", "`stint backup` ended with %d; see copy/backup.txt", code);
	return s->t.caches && code == 0 ? caches_twin_follow(&c->caches, s->t.caches, c->backup, err) : RC_OK;
}

/* ---- the copy itself ---- */

/* Its tasks are to keep a journal of their own. */
static enum rc restore(const struct copy *c, struct err *err)
{
	const struct server_config *cfg = &c->of.t.cfg;
	const char *const argv[] = { cfg->exe, "restore", "--from", c->backup, "--data", cfg->data, NULL };
	int code;

	enum rc rc = server_run_command(cfg, argv, "restore.txt", &code, err);
	if (rc == RC_OK && code != 0)
		findings_add(c->of.t.findings, "backup", "`stint restore` ended with %d; see copy/restore.txt", code);
	return rc == RC_OK && code == 0 ? place_write_functions(cfg, c->journal, err) : rc;
}

/* As the original's rounds are: what it shows, then load, a kill, a start, and an end of all tasks. */
static enum rc run_round(struct session *s, const struct siege *what, struct err *err)
{
	struct load l;
	struct plan stop = { .ending = ENDING_STOP };
	char words[80];

	enum rc rc = session_bring_up(s, "", err);
	if (rc == RC_OK)
		rc = session_do(s, session_look, err);
	if (rc == RC_OK)
		rc = siege_lay(s, what, &l, err);
	if (rc == RC_OK)
		rc = session_bring_up(s, "", err);
	if (rc == RC_OK)
		rc = session_do(s, session_settle, err);
	if (rc == RC_OK && findings_count(s->t.findings) == 0)
		rc = session_end_caches(s, err);
	if (rc == RC_OK && !session_end(s, &stop, words, sizeof words))
		findings_add(s->t.findings, "server", "at the end it %s", words);
	server_kill(&s->t.server);
	redis_kill_all(s->t.cfg.data); /* after a good end there are none */
	return rc;
}

static enum rc spoil(struct session *s, uint64_t seed, int64_t round, struct err *err)
{
	struct rng r;

	plan_rng(seed, round, CONNECTIONS_MAX + 1, &r);
	return damage_do(&s->t, "record", &r, err);
}

static enum rc examine(struct copy *c, const struct siege *what, bool spoils, struct err *err)
{
	struct session *s = &c->of;

	enum rc rc = restore(c, err);
	if (rc != RC_OK || findings_count(s->t.findings) > 0)
		return rc;
	if (spoils)
		rc = spoil(s, what->seed, what->round, err);
	if (rc == RC_OK)
		rc = journal_open(&s->t.journal, c->journal, err);
	if (rc == RC_OK)
		rc = run_round(s, what, err);
	journal_close(&s->t.journal);
	return rc;
}

enum rc copy_examine(struct copy *c, const struct siege *like, bool spoils, struct err *err)
{
	struct plan plan = { .ending = ENDING_KILL, .load_ms = COPY_LOAD_MS, .stillborn_ms = -1 };
	struct siege what = *like;
	struct findings *f = c->of.t.findings;

	what.seed ^= other_seed;
	what.plan = &plan;
	what.copy = NULL;
	findings_set_place(f, "the restored copy: ");
	enum rc rc = examine(c, &what, spoils, err);
	findings_set_place(f, "");
	bool is_fine = rc == RC_OK && findings_count(f) == 0;
	c->of.totals->copies += is_fine;
	return is_fine ? dir_remove(c->of.t.cfg.run, err) : rc;
}

void copy_free(struct copy *c)
{
	if (c && c->is_taken)
		model_fini(&c->of.t.model);
	mem_free(c);
}
