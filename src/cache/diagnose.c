/*
 * All nodes are looked at once, then after the span once more; each look has a connection and a time limit of its own,
 * so that a node that hangs costs the others nothing but that time. The slow log is read at the first look: a busy node
 * overwrites it within seconds, and the window is over already.
 */
#include "cache/diagnose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/attr.h"
#include "cache/analyse.h"
#include "cache/cache_priv.h"

enum {
	INFO_SIZE_MAX = 1 << 20,
	LOOK_MS = 5000,          /* for one look at one node */
	SLOW_MAX = 1000,
	SLOW_SIZE_MAX = 64 << 20,
	SAMPLE_KEYS = 2000,      /* looked at in all databases together */
	SAMPLE_BATCH = 200,
	EXPIRING_ENOUGH = 1000,  /* fewer cannot burden a node, whenever they end */
};

struct patient {
	const struct cache_instance *c;
	const struct cache_diagnose_how *how;
	const struct op *op;
	int number;
	struct buf before, now;
	struct cache_diagnosis *out;
};

/* -1: it is there no more. */
static int index_of(const struct cache_instance *c, int number)
{
	for (int i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i].number == number)
			return i;
	}
	return -1;
}

static enum rc visit(const struct patient *p, const struct op *look, struct buf *info, struct wire **out,
                     struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	int node = index_of(p->c, p->number);

	if (node < 0)
		return err_set(err, RC_NOT_FOUND, "node %d is there no more", p->number);
	struct cache_node seen = p->c->nodes[node];
	enum rc rc = node_open(look, p->c, node, &w, err);
	if (rc == RC_OK)
		rc = node_identify(w, p->c, node, &seen, err);
	if (rc == RC_OK)
		rc = info_read(w, info, err, "all");
	if (rc == RC_OK && info_int(info, "loading", 0) != 0)
		rc = err_set(err, RC_BUSY, "%s is loading its data", wire_where(w));
	if (rc == RC_OK && out) {
		*out = w;
		w = NULL;
	}
	return rc;
}

/* Note why a node could not be asked. One that has no connection left for us says something about its clients. */
static void give_up(struct patient *p, enum rc rc, const struct err *err)
{
	p->out->is_asked = false;
	p->out->figures = figures_none();
	if (rc == RC_BUSY && strstr(err->msg, "max number of clients"))
		p->out->figures.value[FIGURE_CLIENTS] = 1;
	p->out->why = *err;
}

/* ---- what is asked beside INFO; a part that fails leaves its figures missing ---- */

static void ask_schedule(struct patient *p, struct wire *w)
{
	CLEANUP(reply_freep) redisReply *r = NULL;

	if (wire_call(w, &r, NULL, "CONFIG", "GET", "save") == RC_OK && r->type == REDIS_REPLY_ARRAY &&
	    r->elements == 2 && reply_is_text(r->element[1]))
		p->out->figures.value[FIGURE_RDB_ON] = r->element[1]->len > 0 ? 1 : 0;
}

enum { COMMAND_SIZE = 80 };

/* The command of an entry, as Redis calls it. */
static void command_of(const struct patient *p, const struct cache_slow *s, char out[COMMAND_SIZE])
{
	char word[COMMAND_SIZE];

	(void)snprintf(word, sizeof word, "%.*s", (int)strcspn(s->command, " "), s->command);
	for (char *at = word; *at; at++)
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
	(void)snprintf(out, COMMAND_SIZE, "%s", conf_command_of(p->c, word));
}

/* By our own connections, or by a replica's, which has no name but asks what no client may. */
static bool is_ours(const struct cache_slow *s, const char *command)
{
	return strcmp(s->client_name, ADMIN_USER) == 0 || conf_is_denied(command);
}

/* An entry knows its second only, and belongs to the window when any part of that second does. */
static bool is_in_window(const struct patient *p, const struct cache_slow *s)
{
	return s->at_s * 1000 + 999 >= p->how->from_ms && s->at_s * 1000 <= p->how->until_ms;
}

static void count_slow(struct patient *p, const struct cache_slow *slow, size_t n)
{
	double all = 0, linear = 0;
	char command[COMMAND_SIZE];

	for (size_t i = 0; i < n; i++) {
		command_of(p, &slow[i], command);
		if (is_ours(&slow[i], command) || !is_in_window(p, &slow[i]))
			continue;
		all++;
		if (command_is_linear(command)) {
			linear++;
			names_add(&p->out->linear, command);
		}
	}
	p->out->figures.value[FIGURE_SLOW] = all;
	p->out->figures.value[FIGURE_SLOW_LINEAR] = linear;
}

static void ask_slow_log(struct patient *p)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(SLOW_SIZE_MAX);
	struct cache_run run = { .timeout_ms = LOOK_MS };
	struct cache_slow *slow;
	size_t n;

	if (cache_slow_log(p->c, p->number, SLOW_MAX, a, &slow, &n, &run, NULL) == RC_OK)
		count_slow(p, slow, n);
}

struct sample {
	struct wire *w;
	const char *scan;                 /* the command's name here */
	int64_t ends_s[SAMPLE_KEYS];
	size_t n;
};

static enum rc take_ends(struct sample *s, const redisReply *keys)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *k = keys->element[i];
		const char *const argv[] = { "EXPIRETIME", k->str };
		if (reply_is_text(k))
			wire_add(s->w, argv, (const size_t[]){ strlen(argv[0]), k->len }, 2);
	}
	for (size_t i = 0; i < keys->elements && rc == RC_OK; i++) {
		CLEANUP(reply_freep) redisReply *r = NULL;
		if (!reply_is_text(keys->element[i]))
			continue;
		rc = wire_next(s->w, &r, NULL);
		if (rc == RC_OK && r->type == REDIS_REPLY_INTEGER && r->integer >= 0 && s->n < SAMPLE_KEYS)
			s->ends_s[s->n++] = r->integer;
	}
	return rc;
}

/* SCAN goes by hash, so the first keys of a walk are as good as any. */
static enum rc sample_db(struct sample *s, int db, int64_t keys_max)
{
	char cursor[32] = "0", count[12], number[12];
	int64_t seen = 0;

	(void)snprintf(number, sizeof number, "%d", db);
	(void)snprintf(count, sizeof count, "%d", SAMPLE_BATCH);
	enum rc rc = wire_call(s->w, NULL, NULL, "SELECT", number);
	while (rc == RC_OK && seen < keys_max) {
		CLEANUP(reply_freep) redisReply *r = NULL;
		rc = wire_call(s->w, &r, NULL, s->scan, cursor, "COUNT", count);
		if (rc != RC_OK || r->type != REDIS_REPLY_ARRAY || r->elements != 2 || !reply_is_text(r->element[0]) ||
		    r->element[0]->len >= sizeof cursor || r->element[1]->type != REDIS_REPLY_ARRAY)
			return RC_CORRUPT;
		memcpy(cursor, r->element[0]->str, r->element[0]->len + 1);
		seen += (int64_t)r->element[1]->elements;
		rc = take_ends(s, r->element[1]);
		if (strcmp(cursor, "0") == 0)
			break;
	}
	return rc;
}

static void ask_ends(struct patient *p, struct wire *w)
{
	struct sample s = { .w = w, .scan = conf_command(p->c, "scan") };
	double expiring = p->out->figures.value[FIGURE_EXPIRING];
	enum rc rc = RC_OK;
	char name[16];

	for (int db = 0; db < CACHE_DATABASES && expiring >= EXPIRING_ENOUGH && rc == RC_OK; db++) {
		(void)snprintf(name, sizeof name, "db%d", db);
		double expires = (double)info_part(&p->now, name, "expires", 0);
		if (expires > 0)
			rc = sample_db(&s, db, (int64_t)ceil(SAMPLE_KEYS * expires / expiring));
	}
	if (rc == RC_OK)
		measure_ends(s.ends_s, s.n, &p->out->figures);
}

/* ---- one node ---- */

static void look_first(struct patient *p)
{
	struct op look = op_within(p->op, LOOK_MS);
	struct err err = { 0 };

	enum rc rc = visit(p, &look, &p->before, NULL, &err);
	p->out->is_asked = rc == RC_OK;
	if (rc == RC_OK)
		ask_slow_log(p);
	else
		give_up(p, rc, &err);
}

static void fill(struct patient *p, struct arena *a)
{
	struct cache_diagnosis *d = p->out;
	struct cache_commands before;

	d->is_master = info_is(&p->now, "role", "master");
	measure_info(&p->before, &p->now, p->how->bandwidth, &d->figures);
	measure_commands(&p->before, a, &before);
	measure_commands(&p->now, a, &d->commands);
	measure_shares(&before, &d->commands, &d->figures);
	measure_linear_names(&before, &d->commands, &d->linear);
}

static bool is_same_process(const struct patient *p)
{
	char run_id[CACHE_RUN_ID_SIZE];
	return info_text(&p->before, "run_id", run_id, sizeof run_id) && info_is(&p->now, "run_id", run_id);
}

static void look_again(struct patient *p, struct arena *a)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct op look = op_within(p->op, LOOK_MS);
	struct err err = { 0 };

	if (!p->out->is_asked)
		return;
	enum rc rc = visit(p, &look, &p->now, &w, &err);
	if (rc == RC_OK && !is_same_process(p))
		rc = err_set(&err, RC_CONFLICT, "%s was started anew meanwhile", wire_where(w));
	if (rc != RC_OK) {
		give_up(p, rc, &err);
		return;
	}
	fill(p, a);
	ask_schedule(p, w);
	ask_ends(p, w);
}

/* ---- all of them ---- */

static enum rc look_at_all(struct patient *patients, int n, const struct op *op, int span_ms, struct arena *a,
                           struct err *err)
{
	enum rc rc = RC_OK;

	for (int i = 0; i < n && rc == RC_OK; i++) {
		op_step(op, "look at the nodes", 5 + 30 * i / n);
		look_first(&patients[i]);
		rc = op_check(op, err);
	}
	op_step(op, "wait", 35);
	if (rc == RC_OK)
		rc = op_pause(op, span_ms, err);
	for (int i = 0; i < n && rc == RC_OK; i++) {
		op_step(op, "look again", 65 + 30 * i / n);
		look_again(&patients[i], a);
		rc = op_check(op, err);
	}
	return rc == RC_OK && arena_is_full(a) ? err_set(err, RC_LIMIT, "the figures are too many") : rc;
}

enum rc cache_diagnose(const struct cache_instance *c, const struct cache_diagnose_how *how, const int *numbers, int n,
                       struct arena *a, struct cache_diagnosis *out, const struct cache_run *run, struct err *err)
{
	struct patient patients[CACHE_NODES_MAX];
	int percent;
	struct op op = op_start(run, &percent);

	if (n < 1 || n > CACHE_NODES_MAX)
		return err_set(err, RC_INVALID, "%d nodes to ask: 1 .. %d", n, CACHE_NODES_MAX);
	if (how->span_ms < 100 || how->span_ms > 60000)
		return err_set(err, RC_INVALID, "span_ms %d is not in 100 .. 60000", how->span_ms);
	for (int i = 0; i < n; i++) {
		out[i] = (struct cache_diagnosis){ .figures = figures_none() };
		patients[i] = (struct patient){ .c = c, .how = how, .op = &op, .number = numbers[i], .out = &out[i] };
		buf_init(&patients[i].before, INFO_SIZE_MAX);
		buf_init(&patients[i].now, INFO_SIZE_MAX);
	}
	enum rc rc = look_at_all(patients, n, &op, how->span_ms, a, err);
	for (int i = 0; i < n; i++) {
		buf_fini(&patients[i].before);
		buf_fini(&patients[i].now);
	}
	return rc;
}
