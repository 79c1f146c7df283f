#include "cmd/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/must.h"
#include "os/calls.h"
#include "os/file.h"

enum { DEPTH_MAX = 24, PART_SIZE = 1 << 17 };

/* ---- walking ---- */

struct walk {
	tree_fn *fn;
	void *ctx;
	const char *dir; /* the folder being read */
	size_t root_len;
	int depth;
};

static enum rc visit(void *ctx, const char *name, struct err *err)
{
	const struct walk *w = ctx;
	char path[PATH_MAX];
	struct tree_entry e = { .path = path };

	enum rc rc = path_join(path, w->dir, name, err);
	if (rc != RC_OK)
		return rc;
	if (lstat(path, &e.st) != 0)
		return errno == ENOENT ? RC_OK : err_sys(err, RC_IO, errno, "cannot look at '%.300s'", path);
	e.relative = path + w->root_len + 1;
	rc = w->fn(w->ctx, &e, err);
	if (rc != RC_OK || e.is_skipped || !S_ISDIR(e.st.st_mode))
		return rc;
	if (w->depth == DEPTH_MAX)
		return err_set(err, RC_LIMIT, "'%.300s' is nested too deeply", path);
	struct walk below = *w;
	below.dir = path;
	below.depth++;
	return dir_each(path, visit, &below, err);
}

enum rc tree_walk(const char *root, tree_fn *fn, void *ctx, struct err *err)
{
	struct walk w = { .fn = fn, .ctx = ctx, .dir = root, .root_len = strlen(root) };
	return dir_each(root, visit, &w, err);
}

static enum rc sync_entry(void *ctx, struct tree_entry *e, struct err *err)
{
	(void)ctx;
	return S_ISDIR(e->st.st_mode) ? dir_sync(e->path, e->path, err) : RC_OK;
}

enum rc tree_sync(const char *root, struct err *err)
{
	enum rc rc = tree_walk(root, sync_entry, NULL, err);
	return rc == RC_OK ? dir_sync(root, root, err) : rc;
}

/* ---- sums and copies ---- */

static enum rc write_part(int fd, const char *path, const char *bytes, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = os.write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, errno == ENOSPC || errno == EDQUOT ? RC_BUSY : RC_IO, errno,
			               "cannot write '%.300s'", path);
		bytes += n;
		len -= (size_t)n;
	}
	return RC_OK;
}

/* All of in into the hash, and to out unless it is -1. */
static enum rc pump(int in, const char *from, int out, const char *to, EVP_MD_CTX *hash, int64_t *size, struct err *err)
{
	char part[PART_SIZE];

	for (;;) {
		ssize_t n = os.read(in, part, sizeof part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, RC_IO, errno, "cannot read '%.300s'", from);
		if (n == 0)
			return RC_OK;
		must(EVP_DigestUpdate(hash, part, (size_t)n) == 1);
		*size += n;
		enum rc rc = out < 0 ? RC_OK : write_part(out, to, part, (size_t)n, err);
		if (rc != RC_OK)
			return rc;
	}
}

static enum rc pump_summed(int in, const char *from, int out, const char *to, struct file_sum *sum, struct err *err)
{
	unsigned char digest[32];
	struct file_sum s = { .mode = sum->mode };
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	must(hash);
	must(EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1);
	enum rc rc = pump(in, from, out, to, hash, &s.size, err);
	must(EVP_DigestFinal_ex(hash, digest, NULL) == 1);
	EVP_MD_CTX_free(hash);
	for (size_t i = 0; i < sizeof digest; i++)
		(void)snprintf(s.sha256 + 2 * i, 3, "%02x", digest[i]);
	if (rc == RC_OK)
		*sum = s;
	return rc;
}

static enum rc open_source(const char *path, int *fd, unsigned *mode, struct err *err)
{
	struct stat st;
	enum rc rc = file_open_regular(path, fd, err);
	if (rc != RC_OK)
		return rc;
	must(fstat(*fd, &st) == 0); /* file_open_regular did the same */
	*mode = (unsigned)st.st_mode & 0700;
	return RC_OK;
}

enum rc file_sum(const char *path, struct file_sum *out, struct err *err)
{
	struct file_sum sum = { 0 };
	int in;

	enum rc rc = open_source(path, &in, &sum.mode, err);
	if (rc != RC_OK)
		return rc;
	rc = pump_summed(in, path, -1, NULL, &sum, err);
	(void)os.close(in); /* opened for reading: nothing to lose */
	if (rc == RC_OK)
		*out = sum;
	return rc;
}

static enum rc make_parents(const char *path, struct err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	must(slash && slash > path && slash - path < PATH_MAX);
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	return dir_make_unsynced(dir, 0700, err);
}

/* What it makes, it removes when it fails; what was there before stays. */
static enum rc copy_open(int in, const char *from, const char *to, struct file_sum *sum, struct err *err)
{
	int out = os.open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(err, errno == ENOSPC ? RC_BUSY : errno == EEXIST ? RC_CONFLICT : RC_IO, errno,
		               "cannot create '%.300s'", to);
	enum rc rc = pump_summed(in, from, out, to, sum, err);
	if (rc == RC_OK && fchmod(out, (mode_t)sum->mode | 0400) != 0)
		rc = err_sys(err, RC_IO, errno, "cannot set the mode of '%.300s'", to);
	if (rc == RC_OK && os.fsync(out) != 0)
		rc = err_sys(err, errno == ENOSPC || errno == EDQUOT ? RC_BUSY : RC_IO, errno, "cannot fsync '%.300s'",
		             to);
	if (os.close(out) != 0 && rc == RC_OK)
		rc = err_sys(err, RC_IO, errno, "cannot close '%.300s'", to);
	if (rc != RC_OK)
		(void)os.unlink(to); /* the first failure is the one to report */
	return rc;
}

enum rc file_copy(const char *from, const char *to, struct file_sum *out, struct err *err)
{
	struct file_sum sum = { 0 };
	int in;

	enum rc rc = open_source(from, &in, &sum.mode, err);
	if (rc != RC_OK)
		return rc;
	rc = make_parents(to, err);
	if (rc == RC_OK)
		rc = copy_open(in, from, to, &sum, err);
	(void)os.close(in); /* opened for reading: nothing to lose */
	if (rc == RC_OK)
		*out = sum;
	return rc;
}
