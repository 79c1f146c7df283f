#include "exec/tasklog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/must.h"
#include "exec/quota.h"
#include "os/calls.h"
#include "os/file.h"
#include "os/gaplog.h"

enum { LOOK_LEAST_MS = 10, LOOK_MOST_MS = 250, LOOKS_PER_LIMIT = 4 };

static void close_log(struct child *c)
{
	if (c->log_fd >= 0)
		(void)os.close(c->log_fd); /* we appended nothing that must last */
	c->log_fd = -1;
}

/* An earlier attempt may have put anything there; a FIFO without a reader would make all children wait for one. */
enum rc tasklog_open(struct child *c, struct err *err)
{
	struct stat st;
	int fd = os.open(c->spec.log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0 && errno != ENXIO) /* which a FIFO answers */
		return err_sys(err, RC_IO, errno, "cannot open the log '%.200s'", c->spec.log_path);
	c->log_fd = fd;
	if (fd >= 0 && fstat(fd, &st) != 0)
		return err_sys(err, RC_IO, errno, "cannot look at the log '%.200s'", c->spec.log_path);
	if (fd < 0 || !S_ISREG(st.st_mode))
		return err_set(err, RC_IO, "the log '%.200s' is no regular file", c->spec.log_path);
	must(fcntl(fd, F_SETFL, O_APPEND) == 0); /* the child's to write to, as files are */
	c->log_size = (int64_t)st.st_size;
	return RC_OK;
}

void tasklog_begin(struct child *c, const struct host *h)
{
	c->log_check_at = INT64_MAX;
	if (!c->spec.log_limit) {
		close_log(c);
		return;
	}
	c->log_seen_at = h->now_mono;
	c->log_check_at = h->now_mono + LOOK_MOST_MS;
}

/* In the time that it would take, at the pace of late, to write a quarter of the limit. */
static int64_t pause_of(const struct child *c, int64_t grown, int64_t took_ms)
{
	int64_t part = c->spec.log_limit / LOOKS_PER_LIMIT;

	if (grown <= 0 || part / grown >= LOOK_MOST_MS)
		return LOOK_MOST_MS;
	int64_t pause = took_ms * part / grown;
	return pause < LOOK_LEAST_MS ? LOOK_LEAST_MS : pause > LOOK_MOST_MS ? LOOK_MOST_MS : pause;
}

/* Asked to end already, and its log grows to twice of what it may: no more patience. */
static void stop(struct child *c, const struct host *h, const char *text)
{
	if (c->why == STOP_NONE)
		child_stop(c, h, STOP_LOG_FULL, "%s", text);
	else if (c->why == STOP_LOG_FULL && c->log_size / 2 > c->spec.log_limit)
		c->kill_at = h->now_mono;
}

/* Once for an attempt. failure NULL: some of the middle is gone. */
static void tell(struct child *c, const char *failure)
{
	if (c->is_log_told || c->log_size <= c->spec.log_limit)
		return;
	c->is_log_told = true;
	log_warn(failure ? "exec.log_not_bounded" : "exec.log_gap", "task=%lld attempt=%lld limit=%lld reason=\"%s\"",
	         (long long)c->spec.task_id, (long long)c->spec.attempt, (long long)c->spec.log_limit,
	         failure ? failure : "its log keeps its beginning and its newest part");
}

void tasklog_check(struct child *c, const struct host *h)
{
	int64_t before = c->log_size;
	struct err err = { 0 };
	char limit[120], text[320];

	enum rc rc = gaplog_bound(c->log_fd, c->spec.log_limit, &c->log_size, &err);
	c->log_check_at = h->now_mono + pause_of(c, c->log_size - before, h->now_mono - c->log_seen_at);
	c->log_seen_at = h->now_mono;
	if (rc == RC_DENIED) {
		quota_say(c, STOP_LOG_FULL, limit, sizeof limit);
		(void)snprintf(text, sizeof text, "%s, and %.180s", limit, err.msg);
		stop(c, h, text);
	} else if (c->log_size > TASKLOG_MOST) {
		(void)snprintf(text, sizeof text, "it wrote more than %lld bytes to its log", (long long)TASKLOG_MOST);
		stop(c, h, text);
	} else {
		tell(c, rc == RC_OK ? NULL : err.msg); /* a full disk, say: the machine's fault, for a while */
	}
}

/* What is behind the limit goes, so that the limit holds afterwards. */
static bool cut(const struct child *c)
{
	char note[96];
	int len = snprintf(note, sizeof note, "\n[the log was cut here: its limit is %lld bytes]\n",
	                   (long long)c->spec.log_limit);
	return ftruncate(c->log_fd, (off_t)c->spec.log_limit) == 0 && os.write(c->log_fd, note, (size_t)len) == len;
}

void tasklog_end(struct child *c)
{
	struct err err = { 0 };
	int64_t size;

	if (c->log_fd < 0)
		return;
	enum rc rc = c->spec.log_limit ? gaplog_bound(c->log_fd, c->spec.log_limit, &size, &err) : RC_OK;
	if (rc != RC_OK && !(rc == RC_DENIED && cut(c)))
		log_warn("exec.log_not_cut", "task=%lld path=%s reason=\"%s\"", (long long)c->spec.task_id,
		         c->spec.log_path, err.msg);
	close_log(c);
}
