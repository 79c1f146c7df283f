#include "cmd/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>
#include "base/hex.h"
#include "base/must.h"
#include "os/calls.h"
#include "os/file.h"
#include "os/gaplog.h"

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

/* What goes where: from a file, or with is_log from a task's, into a hash and to another file. */
struct pump {
	const char *from, *to;
	int in, out; /* out -1: only into the hash */
	bool is_log;
	EVP_MD_CTX *hash;
	int64_t size;
};

static enum rc pump_part(struct pump *p, const char *bytes, size_t len, struct err *err)
{
	must(EVP_DigestUpdate(p->hash, bytes, len) == 1);
	p->size += (int64_t)len;
	return p->out < 0 ? RC_OK : file_put(p->out, p->to, bytes, len, err);
}

static enum rc pump_file(struct pump *p, struct err *err)
{
	char part[PART_SIZE];

	for (;;) {
		ssize_t n = os.read(p->in, part, sizeof part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, RC_IO, errno, "cannot read '%.300s'", p->from);
		if (n == 0)
			return RC_OK;
		enum rc rc = pump_part(p, part, (size_t)n, err);
		if (rc != RC_OK)
			return rc;
	}
}

static enum rc pump_log(struct pump *p, struct err *err)
{
	int64_t end, at = 0, next = 0;
	struct buf part;

	enum rc rc = file_size_open(p->in, &end, err);
	buf_init(&part, PART_SIZE + GAPLOG_NOTE_MAX);
	for (bool is_over = false; rc == RC_OK && !is_over; at = next) {
		buf_reset(&part);
		rc = gaplog_read_open(p->in, at, PART_SIZE, &part, &next, err);
		is_over = next == at || next >= end;
		if (rc == RC_OK)
			rc = pump_part(p, buf_text(&part), part.len, err);
	}
	buf_fini(&part);
	return rc == RC_OK ? RC_OK : err_wrap(err, rc, "'%.300s'", p->from);
}

static enum rc pump_summed(struct pump *p, struct file_sum *sum, struct err *err)
{
	unsigned char digest[32];
	struct file_sum s = { .mode = sum->mode };

	p->hash = EVP_MD_CTX_new();
	must(p->hash);
	must(EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL) == 1);
	enum rc rc = p->is_log ? pump_log(p, err) : pump_file(p, err);
	must(EVP_DigestFinal_ex(p->hash, digest, NULL) == 1);
	EVP_MD_CTX_free(p->hash);
	s.size = p->size;
	hex_of(digest, sizeof digest, s.sha256);
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
	struct pump p = { .from = path, .in = in, .out = -1 };
	rc = pump_summed(&p, &sum, err);
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
static enum rc copy_open(struct pump *p, struct file_sum *sum, struct err *err)
{
	int out = p->out = os.open(p->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(err, errno == ENOSPC ? RC_BUSY : errno == EEXIST ? RC_CONFLICT : RC_IO, errno,
		               "cannot create '%.300s'", p->to);
	enum rc rc = pump_summed(p, sum, err);
	if (rc == RC_OK && fchmod(out, (mode_t)sum->mode | 0400) != 0)
		rc = err_sys(err, RC_IO, errno, "cannot set the mode of '%.300s'", p->to);
	if (rc == RC_OK && os.fsync(out) != 0)
		rc = err_sys(err, errno == ENOSPC || errno == EDQUOT ? RC_BUSY : RC_IO, errno, "cannot fsync '%.300s'",
		             p->to);
	if (os.close(out) != 0 && rc == RC_OK)
		rc = err_sys(err, RC_IO, errno, "cannot close '%.300s'", p->to);
	if (rc != RC_OK)
		(void)os.unlink(p->to); /* the first failure is the one to report */
	return rc;
}

static enum rc copy(struct pump *p, unsigned mode, struct file_sum *out, struct err *err)
{
	struct file_sum sum = { 0 };

	enum rc rc = open_source(p->from, &p->in, &sum.mode, err);
	if (rc != RC_OK)
		return rc;
	sum.mode = mode ? mode : sum.mode;
	rc = make_parents(p->to, err);
	if (rc == RC_OK)
		rc = copy_open(p, &sum, err);
	(void)os.close(p->in); /* opened for reading: nothing to lose */
	if (rc == RC_OK)
		*out = sum;
	return rc;
}

enum rc file_copy(const char *from, const char *to, unsigned mode, struct file_sum *out, struct err *err)
{
	struct pump p = { .from = from, .to = to };
	return copy(&p, mode, out, err);
}

enum rc log_copy(const char *from, const char *to, struct file_sum *out, struct err *err)
{
	struct pump p = { .from = from, .to = to, .is_log = true };
	return copy(&p, /* mode= */ 0, out, err);
}
