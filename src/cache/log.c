/*
 * One pass over a node's log and the part put aside before it. Each day is gathered in NAME.part and takes the place of
 * an older NAME when all is read, so a reader never sees half a day and a collection cut off leaves only parts.
 */
#include "cache/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/must.h"
#include "cache/cache_priv.h"
#include "cache/op.h"
#include "os/calls.h"
#include "os/file.h"

#define PART ".part"

enum { DAY_S = 86400, DAY_SIZE = 11, LINE_PART = 8192, CHECK_EVERY = 512 };

struct cutter {
	const struct op *op;
	char dir[PATH_MAX];
	const char *host;
	char first_day[DAY_SIZE];  /* wanted from here on */
	char day[DAY_SIZE];        /* of the line before; "" none yet */
	FILE *out;                 /* where that day goes; NULL: nowhere */
};

/* "2026-11-22", as local as Redis's own. */
static void day_text(int64_t at_s, char out[DAY_SIZE])
{
	time_t t = (time_t)at_s;
	struct tm tm;

	must(localtime_r(&t, &tm));
	must(strftime(out, DAY_SIZE, "%Y-%m-%d", &tm) == DAY_SIZE - 1);
}

/* The date of "12345:M 22 Nov 2026 05:14:49.123 * ...". */
static bool read_day(const char *line, char out[DAY_SIZE])
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4];
	unsigned day, year;

	/* The widths bound what is read, and the ranges are checked below. NOLINTNEXTLINE(cert-err34-c) */
	if (sscanf(line, "%*[0-9]:%*c %2u %3[A-Za-z] %4u ", &day, month, &year) != 3 || strlen(month) != 3)
		return false;
	const char *at = strstr(months, month);
	if (!at || (at - months) % 3 != 0 || day < 1 || day > 31 || year < 1000)
		return false;
	char text[40];
	(void)snprintf(text, sizeof text, "%04u-%02u-%02u", year, (unsigned)(at - months) / 3 + 1, day);
	memcpy(out, text, DAY_SIZE);
	return true;
}

static enum rc close_day(struct cutter *k, struct err *err)
{
	FILE *f = k->out;

	k->out = NULL;
	if (!f)
		return RC_OK;
	bool is_bad = ferror(f) != 0;
	if (fclose(f) != 0 || is_bad)
		return err_sys(err, errno == ENOSPC ? RC_BUSY : RC_IO, errno, "cannot write the log of %s", k->day);
	return RC_OK;
}

/* Of k->day. A day may come back, when the clock was set: then it goes on. */
static enum rc open_day(struct cutter *k, struct err *err)
{
	char name[CACHE_HOST_SIZE + 40], path[PATH_MAX];

	if (strcmp(k->day, k->first_day) < 0)
		return RC_OK;
	(void)snprintf(name, sizeof name, CACHE_LOG_PREFIX "%s_%s" CACHE_LOG_SUFFIX PART, k->host, k->day);
	enum rc rc = path_join(path, k->dir, name, err);
	if (rc != RC_OK)
		return rc;
	int fd = os.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno == ENOSPC ? RC_BUSY : RC_IO, errno, "cannot make '%.300s'", path);
	k->out = fdopen(fd, "a");
	must(k->out); /* fails for want of memory only */
	return RC_OK;
}

static enum rc turn_to(struct cutter *k, const char *day, struct err *err)
{
	if (strcmp(day, k->day) == 0)
		return RC_OK;
	enum rc rc = close_day(k, err);
	memcpy(k->day, day, DAY_SIZE);
	return rc == RC_OK ? open_day(k, err) : rc;
}

/* A line with its end, or as much of it as fits; 0 at the end. NULs, as a power failure may leave them in a
 * log, are shown. */
static size_t next_part(FILE *in, char part[LINE_PART])
{
	size_t len = 0;
	int c = 0;

	while (len < LINE_PART - 1 && c != '\n') {
		c = getc_unlocked(in);
		if (c == EOF)
			break;
		part[len++] = (char)(c ? c : '?');
	}
	part[len] = '\0';
	return len;
}

static enum rc cut_lines(struct cutter *k, FILE *in, struct err *err)
{
	char part[LINE_PART], day[DAY_SIZE];
	bool is_start = true;  /* of a line; a long one comes in several parts */
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK; i++) {
		size_t len = next_part(in, part);
		if (!len)
			break;
		if (i % CHECK_EVERY == 0)
			rc = op_check(k->op, err);
		if (rc == RC_OK && is_start && read_day(part, day))
			rc = turn_to(k, day, err);
		if (k->out)
			(void)fputs(part, k->out); /* close_day sees a failure */
		is_start = part[len - 1] == '\n';
	}
	return rc;
}

/* *in is NULL for a file that is not there. */
static enum rc open_log(const struct cache_instance *c, int node, const char *name, FILE **in, struct stat *st,
			struct err *err)
{
	char path[PATH_MAX];
	int fd = -1;

	*in = NULL;
	enum rc rc = node_file(c, node, name, path, err);
	if (rc == RC_OK)
		rc = file_open_regular(path, &fd, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	must(fstat(fd, st) == 0); /* file_open_regular did the same */
	*in = fdopen(fd, "r");
	must(*in);
	return RC_OK;
}

static void close_log(FILE *in)
{
	if (in)
		(void)fclose(in); /* opened for reading: nothing to lose */
}

/* The older part first. It is opened last: when the newer one becomes the older one in between, both are the same file,
 * and nothing is read twice or passed over. */
static enum rc cut_logs(struct cutter *k, const struct cache_instance *c, int node, struct err *err)
{
	FILE *newer = NULL, *older = NULL;
	struct stat of_newer, of_older;

	enum rc rc = open_log(c, node, "redis.log", &newer, &of_newer, err);
	if (rc == RC_OK)
		rc = open_log(c, node, "redis.log.1", &older, &of_older, err);
	bool is_same = newer && older && of_newer.st_ino == of_older.st_ino;
	if (rc == RC_OK && older && !is_same)
		rc = cut_lines(k, older, err);
	if (rc == RC_OK && newer)
		rc = cut_lines(k, newer, err);
	close_log(older);
	close_log(newer);
	return rc;
}

/* ---- the folder ---- */

struct sweep {
	const struct cutter *k;
	int n_files;
};

static bool ends_with(const char *name, const char *tail)
{
	size_t len = strlen(name), tail_len = strlen(tail);
	return len >= tail_len && strcmp(name + len - tail_len, tail) == 0;
}

static enum rc drop_part(void *ctx, const char *name, struct err *err)
{
	const struct sweep *s = ctx;
	char path[PATH_MAX];

	if (!ends_with(name, PART))
		return RC_OK;
	enum rc rc = path_join(path, s->k->dir, name, err);
	return rc == RC_OK ? file_remove(path, err) : rc;
}

static enum rc publish_part(void *ctx, const char *name, struct err *err)
{
	struct sweep *s = ctx;
	char temp[PATH_MAX], path[PATH_MAX];

	if (!ends_with(name, PART))
		return RC_OK;
	enum rc rc = path_join(temp, s->k->dir, name, err);
	if (rc != RC_OK)
		return rc;
	memcpy(path, temp, sizeof path);
	path[strlen(path) - strlen(PART)] = '\0';
	s->n_files++;
	return file_publish(temp, path, err);
}

static enum rc drop_old(void *ctx, const char *name, struct err *err)
{
	const struct sweep *s = ctx;
	char path[PATH_MAX];
	size_t len = strlen(name), tail = DAY_SIZE - 1 + strlen(CACHE_LOG_SUFFIX);

	if (!ends_with(name, CACHE_LOG_SUFFIX) || len < tail ||
	    strncmp(name + len - tail, s->k->first_day, DAY_SIZE - 1) >= 0)
		return RC_OK;
	enum rc rc = path_join(path, s->k->dir, name, err);
	return rc == RC_OK ? file_remove(path, err) : rc;
}

/* ---- collecting ---- */

static enum rc collect_node(struct cutter *k, const struct cache_instance *c, int node, struct err *err)
{
	op_step(k->op, "read logs", node * 90 / c->n_nodes);
	k->host = c->nodes[node].host;
	k->day[0] = '\0';
	enum rc rc = cut_logs(k, c, node, err);
	enum rc closed = close_day(k, rc == RC_OK ? err : NULL);
	return rc == RC_OK ? closed : rc;
}

static enum rc collect(struct cutter *k, const struct cache_instance *c, const struct cache_log_order *order,
		       int *n_files, struct err *err)
{
	struct sweep s = { .k = k };
	bool is_found = order->node < 0;

	enum rc rc = dir_each(k->dir, drop_part, &s, err);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		bool is_asked = order->node < 0 || c->nodes[i].number == order->node;
		is_found = is_found || is_asked;
		if (is_asked)
			rc = collect_node(k, c, i, err);
	}
	if (rc == RC_OK && !is_found)
		rc = err_set(err, RC_NOT_FOUND, "there is no node %d", order->node);
	if (rc == RC_OK)
		rc = dir_each(k->dir, publish_part, &s, err);
	day_text((order->aged_s ? order->aged_s : order->now_s) - CACHE_LOG_DAYS_MAX * DAY_S, k->first_day);
	if (rc == RC_OK)
		rc = dir_each(k->dir, drop_old, &s, err);
	if (rc == RC_OK)
		*n_files = s.n_files;
	return rc;
}

enum rc cache_collect_logs(const struct cache_instance *c, const struct cache_log_order *order, int *n_files,
			   const struct cache_run *run, struct err *err)
{
	int percent;
	struct op op = op_start(run, &percent);
	struct cutter k = { .op = &op };

	if (order->days < 0 || order->days > CACHE_LOG_DAYS_MAX)
		return err_set(err, RC_INVALID, "logs of %d days are not kept", order->days);
	day_text(order->now_s - (int64_t)order->days * DAY_S, k.first_day);
	enum rc rc = cache_check(c, err);
	if (rc == RC_OK)
		rc = path_join(k.dir, c->dir, CACHE_LOG_DIR, err);
	if (rc == RC_OK)
		rc = dir_make(k.dir, 0700, err);
	return rc == RC_OK ? collect(&k, c, order, n_files, err) : rc;
}
