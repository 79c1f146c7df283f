/*
 * The writer: one thread, one connection, group commit.
 *
 * It takes all waiting changes (at most BATCH_MAX, no added delay: while one batch is being synced the next one
 * gathers), applies each behind its own undo point unless it needs none, fires what is due, commits once, and only then
 * answers (E1). Then it starts what was claimed, and last comes what commits put off (store_tidy).
 * A refused change answers without failing its batch. When the commit itself fails nothing of the batch counts, not
 * even its refusals, which may rest on a neighbour's change: those from outside are answered as not done, the
 * engine's own (what children said, how they ended) go back to the head of the line in their order, claimed attempts
 * are forgotten, and a broken store is reopened before the next batch, so that memory and disk never go separate ways.
 */
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "engine/priv.h"
#include "os/file.h"

static const char *const names[] = {
#define X(name) #name,
	VERDICT_TABLE(X)
#undef X
};

const char *verdict_name(enum verdict v) { return names[v]; }

enum verdict verdict_of(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return V_OK;
	case RC_INVALID:
	case RC_DENIED:
		return V_BAD_INPUT;
	case RC_LIMIT:
		return V_TOO_MANY;
	case RC_BUSY:
		return V_UNAVAILABLE;
	default:
		return V_FAILED;
	}
}

static void enqueue(struct engine *e, struct change *c, bool is_own)
{
	c->next = NULL;
	c->verdict = V_UNAVAILABLE;
	(void)pthread_mutex_lock(&e->queue_lock);
	bool is_taken = is_own || !e->is_refusing;
	if (is_taken) {
		*e->queue_tail = c;
		e->queue_tail = &c->next;
		(void)pthread_cond_signal(&e->queue_filled);
	}
	(void)pthread_mutex_unlock(&e->queue_lock);
	if (!is_taken) {
		(void)err_set(&c->err, RC_BUSY, "the server is stopping");
		c->done(c);
	}
}

void writer_submit(struct engine *e, struct change *c) { enqueue(e, c, false); }
void writer_submit_own(struct engine *e, struct change *c) { enqueue(e, c, true); }

/* How long the writer may rest: 0 work now, -1 until woken. Wall time is looked at once a minute at least, so that
 * a step of the clock delays a schedule by no more than that. */
static int64_t rest_ms(const struct engine *e)
{
	int64_t retry_ms = e->retry_at_mono - clock_mono_ms();
	if (e->is_stopping)
		return 0;
	if (retry_ms > 0)
		return retry_ms; /* the store was failing a moment ago: do not spin on it */
	if (e->queue_head || e->looks_for_work)
		return 0; /* the last batch made room for a waiting task after it had looked for one */
	if (e->next_due_at == INT64_MAX)
		return -1;
	int64_t now_ms = clock_wall_ms(), due_ms = e->next_due_at - now_ms;
	if (run_clock_went_back(e, now_ms))
		return 0;
	return due_ms < 0 ? 0 : due_ms < 60000 ? due_ms : 60000;
}

/* Wait for changes or for the next due time; take a batch. false: stop. */
static bool take_batch(struct engine *e, struct change *batch[BATCH_MAX], int *n)
{
	*n = 0;
	(void)pthread_mutex_lock(&e->queue_lock);
	for (int64_t ms = rest_ms(e); ms != 0; ms = rest_ms(e)) {
		int64_t until = ms < 0 ? INT64_MAX : clock_mono_ms() + ms;
		(void)cond_wait(&e->queue_filled, &e->queue_lock, until);
	}
	while (*n < BATCH_MAX && e->queue_head) {
		batch[(*n)++] = e->queue_head;
		e->queue_head = e->queue_head->next;
	}
	if (!e->queue_head)
		e->queue_tail = &e->queue_head;
	bool goes_on = *n > 0 || !e->is_stopping;
	(void)pthread_mutex_unlock(&e->queue_lock);
	return goes_on;
}

/* ---- the store ---- */

static void close_store(struct engine *e)
{
	store_close(e->store);
	e->store = NULL;
}

/* A folder that was moved away or unmounted takes writes for as long as it is open, and nobody would find them. */
static enum rc check_place(const struct engine *e, struct err *err)
{
	struct stat st;

	if (stat(e->store_path, &st) == 0 && st.st_dev == e->store_dev && st.st_ino == e->store_ino)
		return RC_OK;
	return err_set(err, RC_IO, "the database '%.300s' is no longer where it was", e->store_path);
}

enum rc writer_open_store(struct engine *e, bool makes, struct err *err)
{
	struct stat st;

	if (!makes && !file_exists(e->store_path))
		return err_set(err, RC_IO, "the database '%.300s' is gone", e->store_path);
	enum rc rc = store_open_sqlite(e->store_path, STORE_WRITER, &e->store, err);
	if (rc != RC_OK)
		return rc;
	if (stat(e->store_path, &st) == 0) {
		e->store_dev = st.st_dev;
		e->store_ino = st.st_ino;
	}
	if (makes) /* a start: recovery makes events */
		rc = row_event_newest(e->store, &e->newest_at, err);
	if (rc == RC_OK)
		rc = run_recover(e, err);
	if (rc != RC_OK)
		close_store(e);
	return rc;
}

/* ---- a batch ---- */

/* An undo point costs a copy of every page that is written behind it: a quarter of a create. One that breaks its
 * promise takes its batch with it, and has an undo point when it comes again. */
static enum rc apply_unmarked(struct engine *e, struct change *c, struct err *err)
{
	uint64_t before = store_writes(e->store);

	c->verdict = c->apply(e, c);
	enum rc rc = store_usable(e->store, err);
	if (rc != RC_OK || c->verdict == V_OK || store_writes(e->store) == before)
		return rc;
	c->refuses_first = false;
	return err_set(err, RC_INTERNAL, "a change was refused half way: %.200s", c->err.msg);
}

static enum rc apply_one(struct engine *e, struct change *c, struct err *err)
{
	if (c->refuses_first)
		return apply_unmarked(e, c, err);
	enum rc rc = store_mark(e->store, err);
	if (rc != RC_OK)
		return rc;
	c->verdict = c->apply(e, c);
	return c->verdict == V_OK ? store_mark_keep(e->store, err) : store_mark_undo(e->store, err);
}

static enum rc apply_batch(struct engine *e, struct change *batch[], int n, struct err *err)
{
	enum rc rc = check_place(e, err);
	if (rc == RC_OK)
		rc = store_begin(e->store, err);
	if (rc != RC_OK)
		return rc;
	e->tally = (struct tally){ 0 };
	for (int i = 0; i < n && rc == RC_OK; i++)
		rc = apply_one(e, batch[i], err);
	if (rc == RC_OK)
		rc = run_due(e, clock_wall_ms(), err);
	/* After a failure nothing less than a write that works shows that the store takes writes. */
	if (rc == RC_OK && !atomic_load(&e->is_healthy))
		rc = store_touch(e->store, err);
	if (rc != RC_OK) {
		store_rollback(e->store);
		return rc;
	}
	int64_t from_us = clock_mono_us();
	rc = store_commit(e->store, err);
	if (rc == RC_OK && n > 0) {
		histogram_add(&e->commit_s, (double)(clock_mono_us() - from_us) / 1e6);
		histogram_add(&e->batch_size, n);
	}
	return rc;
}

/* The patient ones go back to the head of the line in their order; how many others are left to be answered. While
 * stopping none does: what is not written then is the next start's matter (E7). */
static int put_back(struct engine *e, struct change *batch[], int n)
{
	struct change *head = NULL, **tail = &head;
	int left = 0;

	if (e->is_stopping)
		return n;
	for (int i = 0; i < n; i++) {
		struct change *c = batch[i];
		if (!c->is_patient) {
			batch[left++] = c;
			continue;
		}
		*tail = c;
		tail = &c->next;
	}
	(void)pthread_mutex_lock(&e->queue_lock);
	*tail = e->queue_head;
	if (!e->queue_head && head)
		e->queue_tail = tail;
	e->queue_head = head;
	(void)pthread_mutex_unlock(&e->queue_lock);
	return left;
}

/* The batch did not happen: make memory agree with the disk again. How many changes are left to be answered. */
static int fail_batch(struct engine *e, struct change *batch[], int n, enum rc rc, const struct err *err)
{
	bool is_news = atomic_exchange(&e->is_healthy, false);
	if (is_news || n > 0) /* it is tried four times a second */
		log_error("store.write_failed", "changes=%d rc=%s reason=\"%s\"", n, rc_name(rc), err->msg);
	/* Without a store nothing was tried, and a full disk leaves no doubt either. */
	enum verdict verdict = !e->store || rc == RC_BUSY ? V_UNAVAILABLE : V_FAILED;
	run_forget_claimed(e);
	e->looks_for_work = true;
	e->clock_lead_ms = INT64_MAX; /* what was planned anew was not */
	e->retry_at_mono = clock_mono_ms() + atomic_load(&e->retry_delay_ms);
	if (e->store && rc != RC_BUSY) /* in doubt what is on disk: look at it afresh */
		close_store(e);
	n = put_back(e, batch, n);
	for (int i = 0; i < n; i++) {
		batch[i]->verdict = verdict;
		batch[i]->err = *err;
	}
	return n;
}

static void count_batch(struct engine *e)
{
	counter_add(&e->n_requeued, e->tally.requeued);
	counter_add(&e->n_cron_fired, e->tally.cron_fired);
	counter_add(&e->n_cron_skipped, e->tally.cron_skipped);
	if (!atomic_exchange(&e->is_healthy, true))
		log_info("store.writes_again", "path=%s", e->store_path);
}

static void run_batch(struct engine *e, struct change *batch[], int n)
{
	struct err err = { 0 };
	enum rc rc = e->store ? RC_OK : writer_open_store(e, /* makes= */ false, &err);

	if (rc == RC_OK)
		rc = apply_batch(e, batch, n, &err);
	if (rc == RC_OK)
		count_batch(e);
	else
		n = fail_batch(e, batch, n, rc, &err);
	for (int i = 0; i < n; i++) {
		struct change *c = batch[i];
		if (c->verdict == V_OK && c->committed)
			c->committed(e, c);
		c->done(c); /* c may be gone now */
	}
	if (rc == RC_OK) {
		run_start_claimed(e);
		store_tidy(e->store);
	}
}

static void *writer_main(void *arg)
{
	struct engine *e = arg;
	struct change *batch[BATCH_MAX];
	int n;

	while (take_batch(e, batch, &n))
		run_batch(e, batch, n);
	return NULL;
}

enum rc writer_start(struct engine *e, struct err *err)
{
	cond_init(&e->queue_filled);
	must(pthread_mutex_init(&e->queue_lock, NULL) == 0);
	e->queue_tail = &e->queue_head;
	e->looks_for_work = true;
	e->next_due_at = 0;
	e->clock_lead_ms = INT64_MAX;
	int sys = pthread_create(&e->writer, NULL, writer_main, e);
	if (sys)
		return err_sys(err, RC_IO, sys, "cannot start the writer thread");
	e->has_writer = true;
	return RC_OK;
}

void writer_stop(struct engine *e)
{
	if (!e->has_writer)
		return;
	(void)pthread_mutex_lock(&e->queue_lock);
	e->is_refusing = true;
	e->is_stopping = true;
	(void)pthread_cond_signal(&e->queue_filled);
	(void)pthread_mutex_unlock(&e->queue_lock);
	must(pthread_join(e->writer, NULL) == 0);
	(void)pthread_cond_destroy(&e->queue_filled);
	(void)pthread_mutex_destroy(&e->queue_lock);
	e->has_writer = false;
}
