/*
 * UpdatePassword and ResetPassword. A wrong old password is no error of HTTP but an outcome; five in a row
 * lock the instance for five minutes.
 *
 * P1: guesses are counted one by one. Counting reads the row, judges, and writes the row, so only one such judgement
 *     per instance runs at a time; a second one meanwhile is told that the password is being changed. Otherwise many
 *     guesses sent at once would count as one.
 */
#include <pthread.h>
#include <string.h>
#include "api/dcs/fields.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"
#include "base/clock.h"
#include "sign/acs3.h"

enum { TRIES = 5, LOCK_MINUTES = 5, LOCK_MS = 60000 * LOCK_MINUTES, JUDGED_AT_ONCE = 64 };

/* ---- P1: the instances whose password is being judged. Of the process, as the data folder is. ---- */

static struct {
	pthread_mutex_t lock;
	int64_t cache_ids[JUDGED_AT_ONCE]; /* 0: free */
} judged = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* False: it is being judged already, or there are too many at once. */
static bool enter_judged(int64_t cache_id)
{
	size_t place = JUDGED_AT_ONCE;

	pthread_mutex_lock(&judged.lock);
	for (size_t i = 0; i < JUDGED_AT_ONCE; i++) {
		if (judged.cache_ids[i] == cache_id) {
			place = JUDGED_AT_ONCE;
			break;
		}
		if (!judged.cache_ids[i])
			place = i;
	}
	if (place < JUDGED_AT_ONCE)
		judged.cache_ids[place] = cache_id;
	pthread_mutex_unlock(&judged.lock);
	return place < JUDGED_AT_ONCE;
}

static void leave_judged(int64_t cache_id)
{
	pthread_mutex_lock(&judged.lock);
	for (size_t i = 0; i < JUDGED_AT_ONCE; i++) {
		if (judged.cache_ids[i] == cache_id)
			judged.cache_ids[i] = 0;
	}
	pthread_mutex_unlock(&judged.lock);
}

/* ---- the two forms of answer; everything in them is a text ---- */

struct outcome {
	bool is_reset;
	const char *result;         /* success, passwordFailed, locked, failed */
	int64_t lock_ms_left, tries_left;
};

struct change_of_password {
	struct cache_row row;
	struct state state;
	const char *old_password, *new_password; /* new "": password-free */
	struct outcome outcome;
	struct cache_update count;
};

static const char *message_of(const struct outcome *o)
{
	if (strcmp(o->result, "success") == 0)
		return o->is_reset ? "success" : "Modify DCSInstance password success.";
	if (strcmp(o->result, "locked") == 0)
		return "instance is locked";
	return strcmp(o->result, "passwordFailed") == 0 ? "The old password is wrong."
							: "Modify DCSInstance password failed.";
}

static void kv_number_text(struct jw *w, const char *key, int64_t n)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%lld", (long long)n);
	jw_kv_text(w, key, text);
}

static void write_outcome(struct jw *w, const void *subject)
{
	const struct outcome *o = subject;
	bool is_locked = strcmp(o->result, "locked") == 0;

	jw_object(w);
	jw_kv_text(w, "lock_time", is_locked ? "5" : "0");
	if (o->is_reset)
		jw_kv_text(w, "code", is_locked ? "3" : "1");
	else
		jw_kv_text(w, "result", o->result);
	kv_number_text(w, "lock_time_left", (o->lock_ms_left + 59999) / 60000);
	kv_number_text(w, "retry_times_left", o->tries_left);
	jw_kv_text(w, "message", message_of(o));
	if (o->is_reset)
		jw_kv_text(w, "ext_message", NULL);
	jw_end_object(w);
}

static void answer_outcome(struct call *c, struct change_of_password *p, const char *result)
{
	p->outcome.result = result;
	(void)dcs_answer(c, write_outcome, &p->outcome);
}

static bool is_locked_now(struct change_of_password *p)
{
	p->outcome.lock_ms_left = p->row.locked_until - clock_wall_ms();
	/* One for longer was made by a clock that was ahead. */
	if (p->outcome.lock_ms_left > 0 && p->outcome.lock_ms_left <= LOCK_MS)
		return true;
	p->outcome.lock_ms_left = 0;
	return false;
}

/* ---- the task ---- */

static void set_count(struct call *c, struct change_of_password *p, int64_t wrong, int64_t locked_until,
		      change_done_fn *done)
{
	p->count = (struct cache_update){
		.base = { .done = done, .ctx = c },
		.project_id = p->row.project_id,
		.uid = p->row.uid,
		.wrong_passwords = wrong,
		.locked_until = locked_until,
	};
}

/* The password is changed already: that the old guesses could not be forgotten is no failure of it. */
static void count_forgotten(struct change *change)
{
	struct call *c = change->ctx;
	struct change_of_password *p = c->req->user;

	leave_judged(p->row.id);
	answer_outcome(c, p, "success");
}

static void changed(struct change *change)
{
	struct call *c = change->ctx;
	struct change_of_password *p = c->req->user;
	bool is_success = change->verdict == V_OK && c->change.cache_operate.is_success;

	p->outcome.tries_left = TRIES;
	if (is_success && p->row.wrong_passwords) {
		set_count(c, p, 0, 0, count_forgotten);
		engine_cache_update(c->engine, &p->count);
		return;
	}
	leave_judged(p->row.id);
	if (!operate_is_taken(c))
		return;
	if (is_success)
		answer_outcome(c, p, "success");
	else if (p->outcome.is_reset)
		(void)dcs_answer_error(c, DCS_JOB_FAILED); /* its form has no word for a failure */
	else
		answer_outcome(c, p, "failed");
}

static void submit(struct call *c, struct change_of_password *p)
{
	char hash[65] = "";
	struct cache_operate *o = operate_prepare(c, &p->row, CACHE_OP_PASSWORD, changed);

	if (*p->new_password)
		sign_sha256_hex(p->new_password, strlen(p->new_password), hash);
	o->args = arena_printf(c->arena, "{\"password_hash\":\"%s\"}", hash);
	o->waits = true;
	c->req->user = p;
	if (o->args) {
		operate_submit(c);
		return;
	}
	leave_judged(p->row.id);
	(void)dcs_answer_no_memory(c);
}

/* ---- with the old password ---- */

static void guess_counted(struct change *change)
{
	struct call *c = change->ctx;
	struct change_of_password *p = c->req->user;
	bool is_last = p->outcome.tries_left == 0;

	leave_judged(p->row.id);
	if (change->verdict != V_OK)
		(void)dcs_answer_verdict(c, change->verdict, "", &change->err);
	else
		answer_outcome(c, p, is_last ? "locked" : "passwordFailed");
}

static void count_guess(struct call *c, struct change_of_password *p)
{
	/* A lock that has run out begins a new row. */
	int64_t wrong = (p->row.locked_until ? 0 : p->row.wrong_passwords) + 1;
	bool is_last = wrong >= TRIES;

	p->outcome.tries_left = is_last ? 0 : TRIES - wrong;
	p->outcome.lock_ms_left = is_last ? LOCK_MS : 0;
	c->req->user = p;
	set_count(c, p, wrong, is_last ? clock_wall_ms() + LOCK_MS : 0, guess_counted);
	call_submit(c);
	engine_cache_update(c->engine, &p->count);
}

static bool is_old_password(const struct change_of_password *p)
{
	char hash[65];
	unsigned char difference = 0;

	sign_sha256_hex(p->old_password, strlen(p->old_password), hash);
	if (strlen(p->state.password_hash) != 64)
		return false;
	for (size_t i = 0; i < 64; i++) /* in constant time */
		difference |= (unsigned char)(hash[i] ^ p->state.password_hash[i]);
	return difference == 0;
}

/* The row again, now that nobody else judges it. False: answered. */
static bool begin_judging(struct call *c, struct change_of_password *p)
{
	struct err err = { 0 };

	if (!enter_judged(p->row.id))
		return dcs_answer_error(c, DCS_CHANGING_PASSWORD);
	int64_t id = p->row.id;
	enum verdict v = engine_cache_get(c->view, p->row.project_id, p->row.uid, c->arena, &p->row, &err);
	if (v == V_OK && !state_read(&p->row, c->arena, &p->state, &err))
		return true;
	leave_judged(id);
	return v == V_OK ? dcs_answer_internal(c, "api.failed", &err) : dcs_answer_read(c, v, &err);
}

static bool check_texts(struct call *c, const json_t *body, struct change_of_password *p)
{
	if (!dcs_text(body, "old_password", &p->old_password) || !p->old_password || !*p->old_password)
		return dcs_answer_named(c, DCS_PASSWORD, "old_password");
	if (!dcs_text(body, "new_password", &p->new_password) || !p->new_password || !*p->new_password)
		return dcs_answer_named(c, DCS_PASSWORD, "new_password");
	if (strcmp(p->old_password, p->new_password) == 0)
		return dcs_answer_words(c, DCS_WEAK_PASSWORD, "The new password must differ from the old one.");
	return fields_password(c, p->new_password);
}

static bool check_not_free(struct call *c, struct change_of_password *p)
{
	if (!scope_state(c, &p->row, &p->state))
		return false;
	return *p->state.password_hash || dcs_answer_error(c, DCS_PASSWORD_FREE);
}

static struct change_of_password *new_change(struct call *c, bool is_reset)
{
	struct change_of_password *p = arena_new_of(c->arena, struct change_of_password);

	if (!p)
		(void)dcs_answer_no_memory(c);
	else
		p->outcome.is_reset = is_reset;
	return p;
}

void dcs_password_update(struct call *c)
{
	struct change_of_password *p = new_change(c, /* is_reset: */ false);
	const json_t *body;

	if (!p || !scope_instance(c, &p->row) || !dcs_body(c, DCS_BODY_REQUIRED, &body) ||
	    !check_not_free(c, p) || !check_texts(c, body, p) || !begin_judging(c, p))
		return;
	int64_t id = p->row.id;
	if (is_locked_now(p)) {
		answer_outcome(c, p, "locked");
		leave_judged(id);
	} else if (is_old_password(p)) {
		submit(c, p);
	} else {
		count_guess(c, p);
	}
}

/* ---- without ---- */

static bool check_reset(struct call *c, const json_t *body, struct change_of_password *p)
{
	bool is_free = false;

	if (!dcs_bool(body, "no_password_access", &is_free))
		return dcs_answer_named(c, DCS_NO_PASSWORD_ACCESS, "no_password_access");
	if (!dcs_text(body, "new_password", &p->new_password))
		return dcs_answer_named(c, DCS_PASSWORD, "new_password");
	if (is_free && p->new_password)
		return dcs_answer_error(c, DCS_PASSWORD_SUPERFLUOUS);
	if (is_free) {
		p->new_password = "";
		return true;
	}
	if (!p->new_password || !*p->new_password)
		return dcs_answer_named(c, DCS_PASSWORD, "new_password");
	return fields_password(c, p->new_password);
}

void dcs_password_reset(struct call *c)
{
	struct change_of_password *p = new_change(c, /* is_reset: */ true);
	const json_t *body;

	if (!p || !scope_instance(c, &p->row) || !dcs_body(c, DCS_BODY_REQUIRED, &body) ||
	    !check_reset(c, body, p) || !begin_judging(c, p))
		return;
	int64_t id = p->row.id;
	if (is_locked_now(p)) {
		answer_outcome(c, p, "locked");
		leave_judged(id);
	} else {
		submit(c, p);
	}
}
