/*
 * The gap is a hole made by fallocate(FALLOC_FL_PUNCH_HOLE), and the file itself is all there is to know about it:
 *
 *   0 ........ head | gap ........................... | newest ........ size
 *   head = limit / 4 and both ends of the gap are whole steps, so no byte beside it is cleared
 *
 * A gap begins where the first one began and only ever reaches further. So a reader that found no hole in what it has
 * just read has read what was written: holes are not filled again by those who append.
 */
#include "os/gaplog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/must.h"
#include "os/calls.h"
#include "os/file.h"

#define STEP INT64_C(65536) /* a multiple of what file systems hand out, and so of what they can free */

static int64_t whole_steps(int64_t n) { return n - n % STEP; }

/* Where data begin at or behind at: at itself where there is no hole, or where a file system cannot tell. */
static int64_t data_from(int fd, int64_t at, int64_t size)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);
	if (data >= 0)
		return data;
	return errno == ENXIO && at < size ? size : at;
}

/* Where they end: size where no hole follows. */
static int64_t data_until(int fd, int64_t at, int64_t size)
{
	off_t hole = lseek(fd, (off_t)at, SEEK_HOLE);
	return hole >= 0 ? hole : size;
}

/* ---- bounding ---- */

static enum rc drop(int fd, int64_t from, int64_t until, struct err *err)
{
	int bad;
	do
		bad = os.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(until - from));
	while (bad && errno == EINTR);
	if (!bad)
		return RC_OK;
	if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM || errno == ENODEV)
		return err_sys(err, RC_DENIED, errno, "the file system cannot drop the middle of a file");
	return err_sys(err, RC_IO, errno, "cannot drop the middle of the log");
}

enum rc gaplog_bound(int fd, int64_t limit, int64_t *size, struct err *err)
{
	int64_t head = whole_steps(limit / 4), end;

	must(limit >= GAPLOG_LIMIT_MIN);
	enum rc rc = file_size_open(fd, &end, err);
	if (rc != RC_OK)
		return rc;
	*size = end;
	if (end <= limit)
		return RC_OK;
	/* The gap as it is; it moves the place of a descriptor that is shared with writers, who append
	 * regardless of it. */
	int64_t gap_end = data_from(fd, head, end);
	if (head + (end - gap_end) <= limit)
		return RC_OK;
	return drop(fd, head, whole_steps(end - limit / 2), err);
}

enum rc gaplog_bound_path(const char *path, int64_t limit, struct err *err)
{
	int64_t size;
	int fd = os.open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);

	if (fd < 0 && errno == ENOENT)
		return RC_OK;
	if (fd < 0)
		return err_sys(err, RC_IO, errno, "cannot open the log '%.200s'", path);
	enum rc rc = gaplog_bound(fd, limit, &size, err);
	(void)os.close(fd); /* nothing was written through it */
	return rc;
}

/* ---- reading ---- */

static void note_gap(struct buf *out, int64_t n)
{
	char note[GAPLOG_NOTE_MAX];
	int len = snprintf(note, sizeof note,
	                   "\n[%lld bytes were dropped here: the log keeps its beginning and its newest part]\n",
	                   (long long)n);
	must(len > 0 && len < GAPLOG_NOTE_MAX);
	buf_add(out, note, (size_t)len);
}

static enum rc read_bytes(int fd, int64_t at, size_t max, struct buf *out, struct err *err)
{
	char part[16384];

	if (lseek(fd, (off_t)at, SEEK_SET) < 0)
		return err_sys(err, RC_IO, errno, "cannot seek in the log");
	while (max) {
		ssize_t n = os.read(fd, part, max < sizeof part ? max : sizeof part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, RC_IO, errno, "cannot read the log");
		if (n == 0)
			break;
		buf_add(out, part, (size_t)n);
		max -= (size_t)n;
	}
	return out->is_over ? err_set(err, RC_LIMIT, "no room for a part of the log") : RC_OK;
}

static void cut_back(struct buf *out, size_t len)
{
	if (out->len == len)
		return;
	out->len = len;
	out->bytes[len] = '\0';
}

/* Note and bytes from offset on. *is_stale: the gap reached into the bytes while they were read: they are left out. */
static enum rc read_once(int fd, int64_t offset, size_t max, struct buf *out, int64_t *next, bool *is_stale,
                         struct err *err)
{
	int64_t size;
	enum rc rc = file_size_open(fd, &size, err);
	if (rc != RC_OK)
		return rc;
	int64_t from = data_from(fd, offset, size);
	if (from > offset)
		note_gap(out, from - offset);
	size_t before = out->len;
	*next = from;
	*is_stale = false;
	if (from >= size)
		return RC_OK;
	int64_t n = data_until(fd, from, size) - from;
	rc = read_bytes(fd, from, n < (int64_t)max ? (size_t)n : max, out, err);
	if (rc != RC_OK)
		return rc;
	int64_t end = from + (int64_t)(out->len - before);
	/* Nothing at all: it became the gap between the look for data and the one for their end. */
	*is_stale = n == 0 || (end > from && data_until(fd, from, size) < end);
	if (*is_stale)
		cut_back(out, before);
	else
		*next = end;
	return RC_OK;
}

enum rc gaplog_read_open(int fd, int64_t offset, size_t max, struct buf *out, int64_t *next, struct err *err)
{
	size_t before = out->len;
	int64_t at = offset;
	bool is_stale;

	must(offset >= 0);
	enum rc rc = read_once(fd, offset, max, out, &at, &is_stale, err);
	/* Once more: then offset lies in the gap, so that there is at least the note of it. */
	if (rc == RC_OK && is_stale && at == offset)
		rc = read_once(fd, offset, max, out, &at, &is_stale, err);
	if (rc != RC_OK)
		cut_back(out, before);
	else
		*next = at;
	return rc;
}

enum rc gaplog_read(const char *path, int64_t offset, size_t max, struct buf *out, int64_t *next, struct err *err)
{
	int fd;

	enum rc rc = file_open_regular(path, &fd, err);
	if (rc != RC_OK)
		return rc;
	rc = gaplog_read_open(fd, offset, max, out, next, err);
	(void)os.close(fd); /* opened for reading: nothing to lose */
	return rc;
}
