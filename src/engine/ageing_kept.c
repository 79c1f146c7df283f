/*
 * The engine's ageing and its mark in DATA/clock, which is written every ten minutes, when a jump begins or ends, and
 * at the end of a run with one. A mark that is lost costs at most another day of waiting; one that cannot be written is
 * told, and tried again in its time.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/ageing.h"
#include "engine/priv.h"
#include "os/file.h"

enum { KEEP_EVERY_MS = 600000, MARK_SIZE_MAX = 128 };

static bool is_ahead(const struct ageing_mark *m) { return m->wall_ms > m->believed_ms + AGEING_SLACK_MS; }

static enum rc read_mark(const struct engine *e, struct ageing_mark *out, struct err *err)
{
	char path[PATH_MAX];
	struct buf text;

	buf_init(&text, MARK_SIZE_MAX);
	enum rc rc = path_join(path, e->data_dir, "clock", err);
	if (rc == RC_OK)
		rc = file_read(path, &text, err);
	if (rc == RC_OK && !ageing_parse(buf_text(&text), out))
		rc = err_set(err, RC_CORRUPT, "'%.300s' is not what it should be", path);
	buf_fini(&text);
	return rc;
}

void ageing_open(struct engine *e)
{
	struct ageing_mark mark;
	struct err err = { 0 };
	int64_t wall_ms = clock_wall_ms(), boot_ms = clock_boot_ms();

	enum rc rc = read_mark(e, &mark, &err);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		log_warn("clock.not_read", "reason=\"%s\"", err.msg);
	must(pthread_mutex_init(&e->ageing_lock, NULL) == 0);
	e->has_ageing = true;
	ageing_begin(&e->ageing, wall_ms, boot_ms, e->newest_at, rc == RC_OK ? &mark : NULL);
	e->mark = rc == RC_OK ? mark : (struct ageing_mark){ wall_ms, wall_ms, 0 };
}

/* True: that the clock is ahead is news. */
static bool look(struct engine *e, struct ageing_mark *now)
{
	(void)pthread_mutex_lock(&e->ageing_lock);
	int64_t wall_ms = clock_wall_ms(), boot_ms = clock_boot_ms();
	(void)ageing_now(&e->ageing, wall_ms, boot_ms);
	*now = ageing_mark_of(&e->ageing, wall_ms, boot_ms);
	bool is_news = e->ageing.is_ahead && !e->is_ahead_told;
	e->is_ahead_told = e->ageing.is_ahead;
	(void)pthread_mutex_unlock(&e->ageing_lock);
	return is_news;
}

static struct ageing_mark look_and_tell(struct engine *e)
{
	struct ageing_mark now;

	if (look(e, &now))
		log_warn("clock.ahead",
			 "by_s=%lld reason=\"nothing is deleted by this time until it has lasted for a day\"",
			 (long long)(now.wall_ms - now.believed_ms) / 1000);
	return now;
}

int64_t ageing_of(struct engine *e) { return look_and_tell(e).believed_ms; }

static void keep(struct engine *e, const struct ageing_mark *now)
{
	char path[PATH_MAX];
	struct buf text;
	struct err err = { 0 };

	buf_init(&text, MARK_SIZE_MAX);
	ageing_print(now, &text);
	enum rc rc = path_join(path, e->data_dir, "clock", &err);
	if (rc == RC_OK)
		rc = file_replace(path, buf_text(&text), text.len, 0600, &err);
	if (rc != RC_OK)
		log_warn("clock.not_kept", "reason=\"%s\"", err.msg);
	buf_fini(&text);
	e->mark = *now; /* also when it failed: the next try is in its time */
}

static bool is_due(const struct engine *e, const struct ageing_mark *now)
{
	int64_t passed_ms = now->wall_ms - e->mark.wall_ms;
	return is_ahead(now) != is_ahead(&e->mark) || passed_ms >= KEEP_EVERY_MS || passed_ms <= -KEEP_EVERY_MS;
}

void ageing_keep(struct engine *e)
{
	const struct ageing_mark now = look_and_tell(e);

	if (is_due(e, &now))
		keep(e, &now);
}

void ageing_close(struct engine *e)
{
	if (!e->has_ageing)
		return;
	const struct ageing_mark now = look_and_tell(e);
	if (is_due(e, &now) || is_ahead(&now))
		keep(e, &now);
	must(pthread_mutex_destroy(&e->ageing_lock) == 0);
	e->has_ageing = false;
}
