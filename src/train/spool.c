#include "train/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "os/calls.h"
#include "os/file.h"

enum { BUFFER_SIZE = 256 * 1024 };

static enum rc failed(const struct spool *s, const char *verb, struct err *err)
{
	int sys = errno;
	return err_sys(err, sys == ENOSPC || sys == EDQUOT ? RC_BUSY : RC_IO, sys, "cannot %s '%.300s'", verb, s->path);
}

enum rc spool_create(struct spool *s, const char *path, enum spool_kind kind, struct err *err)
{
	int fd = os.open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct spool made = { .fd = fd, .path = mem_dup(path) };

	if (fd < 0) {
		enum rc rc = failed(&made, "create", err);
		mem_free(made.path);
		return rc;
	}
	if (kind == SPOOL_NAMELESS)
		(void)os.unlink(path); /* if it cannot go, it is overwritten next time */
	made.bytes = mem_alloc(BUFFER_SIZE);
	*s = made;
	return RC_OK;
}

enum rc spool_flush(struct spool *s, struct err *err)
{
	enum rc rc = file_put(s->fd, s->path, s->bytes, s->len, err);
	s->len = 0;
	return rc;
}

enum rc spool_write(struct spool *s, const void *bytes, size_t len, struct err *err)
{
	s->size += len;
	if (len > BUFFER_SIZE - s->len) {
		enum rc rc = spool_flush(s, err);
		if (rc == RC_OK && len >= BUFFER_SIZE)
			return file_put(s->fd, s->path, bytes, len, err);
		if (rc != RC_OK)
			return rc;
	}
	if (len)
		memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
	return RC_OK;
}

enum rc spool_rewind(struct spool *s, struct err *err)
{
	enum rc rc = s->at ? RC_OK : spool_flush(s, err); /* at > 0: reading, nothing to flush */
	s->at = s->len = 0;
	if (rc == RC_OK && lseek(s->fd, 0, SEEK_SET) != 0)
		rc = failed(s, "go to the start of", err);
	return rc;
}

enum rc spool_read(struct spool *s, void *bytes, size_t len, struct err *err)
{
	char *to = bytes;

	while (len) {
		if (s->at == s->len) {
			ssize_t n = os.read(s->fd, s->bytes, BUFFER_SIZE);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return failed(s, "read", err);
			if (n == 0)
				return err_set(err, RC_IO, "'%.300s' has become shorter", s->path);
			s->at = 0;
			s->len = (size_t)n;
		}
		size_t n = s->len - s->at < len ? s->len - s->at : len;
		memcpy(to, s->bytes + s->at, n);
		s->at += n;
		to += n;
		len -= n;
	}
	return RC_OK;
}

enum rc spool_read_at(struct spool *s, uint64_t offset, void *bytes, size_t len, struct err *err)
{
	char *to = bytes;
	while (len) {
		ssize_t n = pread(s->fd, to, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(s, "read", err);
		if (n == 0)
			return err_set(err, RC_IO, "'%.300s' has become shorter", s->path);
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return RC_OK;
}

enum rc spool_write_at(struct spool *s, uint64_t offset, const void *bytes, size_t len, struct err *err)
{
	enum rc rc = spool_flush(s, err);
	if (rc == RC_OK && lseek(s->fd, (off_t)offset, SEEK_SET) < 0)
		rc = failed(s, "go to a place in", err);
	return rc == RC_OK ? file_put(s->fd, s->path, bytes, len, err) : rc;
}

static void forget(struct spool *s)
{
	mem_free(s->path);
	mem_free(s->bytes);
	*s = (struct spool){ .fd = -1 };
}

enum rc spool_finish(struct spool *s, struct err *err)
{
	enum rc rc = spool_flush(s, err);
	int fd = s->fd;

	s->fd = -1;
	if (os.close(fd) != 0 && rc == RC_OK)
		rc = failed(s, "close", err);
	if (rc != RC_OK)
		(void)os.unlink(s->path); /* the first failure is the one to report */
	forget(s);
	return rc;
}

void spool_drop(struct spool *s)
{
	if (s->fd < 0)
		return;
	(void)os.close(s->fd);
	(void)os.unlink(s->path); /* gone already when nameless */
	forget(s);
}
