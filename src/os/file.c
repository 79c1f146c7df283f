/*
 * Durable replacement: temp, write, fsync, rename, fsync of the folder. A crash at any point leaves
 * the old file or the new one, and at worst a "*.tmp" beside it that the next replacement overwrites.
 */
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/must.h"
#include "os/calls.h"

static enum rc rc_of(int sys)
{
	switch (sys) {
	case ENOENT:
	case ENOTDIR:
		return RC_NOT_FOUND;
	case ENOSPC:
	case EDQUOT:
		return RC_BUSY;
	case ENAMETOOLONG:
		return RC_LIMIT;
	default:
		return RC_IO;
	}
}

static enum rc failed(struct err *err, const char *verb, const char *path)
{
	int sys = errno;
	return err_sys(err, rc_of(sys), sys, "cannot %s '%.300s'", verb, path);
}

enum rc path_join(char *out, const char *dir, const char *name, struct err *err)
{
	int len = snprintf(out, PATH_MAX, "%s/%s", dir, name);
	if (len < 0 || len >= PATH_MAX)
		return err_set(err, RC_LIMIT, "path too long: '%.100s/%.100s'", dir, name);
	return RC_OK;
}

static enum rc read_all(int fd, const char *path, struct buf *out, struct err *err)
{
	char part[16384];
	for (;;) {
		ssize_t n = os.read(fd, part, sizeof part);
		if (n == 0)
			return RC_OK;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(err, "read", path);
		buf_add(out, part, (size_t)n);
		if (out->is_over)
			return err_set(err, RC_LIMIT, "'%.300s' is larger than %zu bytes", path, out->ceiling);
	}
}

enum rc file_read(const char *path, struct buf *out, struct err *err)
{
	size_t before = out->len;
	int fd = os.open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return failed(err, "open", path);
	enum rc rc = read_all(fd, path, out, err);
	if (rc != RC_OK && out->len > before) {
		out->len = before; /* all of it or nothing */
		out->bytes[before] = '\0';
	}
	(void)os.close(fd); /* opened for reading: nothing to lose */
	return rc;
}

static enum rc read_part(int fd, const char *path, int64_t offset, size_t max, struct buf *out, struct err *err)
{
	char part[16384];

	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return failed(err, "seek in", path);
	while (max) {
		ssize_t n = os.read(fd, part, max < sizeof part ? max : sizeof part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(err, "read", path);
		if (n == 0)
			return RC_OK;
		buf_add(out, part, (size_t)n);
		if (out->is_over)
			return err_set(err, RC_LIMIT, "a part of '%.300s' is larger than %zu bytes", path,
				       out->ceiling);
		max -= (size_t)n;
	}
	return RC_OK;
}

enum rc file_read_part(const char *path, int64_t offset, size_t max, struct buf *out, struct err *err)
{
	int fd = os.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return failed(err, "open", path);
	enum rc rc = read_part(fd, path, offset, max, out, err);
	(void)os.close(fd); /* opened for reading: nothing to lose */
	return rc;
}

static enum rc sync_dir(const char *dir, struct err *err)
{
	int fd = os.open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return failed(err, "open", dir);
	enum rc rc = os.fsync(fd) == 0 ? RC_OK : failed(err, "fsync", dir);
	(void)os.close(fd);
	return rc;
}

static enum rc parent_of(const char *path, char dir[PATH_MAX], struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;

	if (len >= PATH_MAX)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	memcpy(dir, len ? path : ".", len ? len : 1);
	dir[len ? len : 1] = '\0';
	return RC_OK;
}

static enum rc sync_parent(const char *path, struct err *err)
{
	char dir[PATH_MAX];
	enum rc rc = parent_of(path, dir, err);
	return rc == RC_OK ? sync_dir(dir, err) : rc;
}

enum rc file_put(int fd, const char *path, const void *bytes, size_t len, struct err *err)
{
	const char *p = bytes;
	while (len) {
		ssize_t n = os.write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO; /* would loop for ever otherwise */
		if (n <= 0)
			return failed(err, "write", path);
		p += n;
		len -= (size_t)n;
	}
	return RC_OK;
}

enum rc file_write(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err)
{
	/* One left by a crash may have another mode or be a link: never write into what is there. */
	(void)os.unlink(path); /* mostly absent; when it cannot go, open says so */
	int fd = os.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return failed(err, "create", path);
	enum rc rc = file_put(fd, path, bytes, len, err);
	if (os.close(fd) != 0 && rc == RC_OK)
		rc = failed(err, "close", path);
	if (rc != RC_OK)
		(void)os.unlink(path); /* the first failure is the one to report */
	return rc;
}

static enum rc move_onto(const char *temp, const char *path, struct err *err)
{
	return os.rename(temp, path) == 0 ? RC_OK : failed(err, "rename onto", path);
}

static enum rc replace(const char *path, const void *bytes, size_t len, unsigned mode,
		       enum rc (*put)(const char *temp, const char *path, struct err *err), struct err *err)
{
	char temp[PATH_MAX];
	int n = snprintf(temp, sizeof temp, "%s.tmp", path);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	enum rc rc = file_write(temp, bytes, len, mode, err);
	if (rc != RC_OK)
		return rc;
	rc = put(temp, path, err);
	if (rc != RC_OK)
		(void)os.unlink(temp); /* the first failure is the one to report */
	return rc;
}

enum rc file_replace(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err)
{
	return replace(path, bytes, len, mode, file_publish, err);
}

enum rc file_replace_unsynced(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err)
{
	return replace(path, bytes, len, mode, move_onto, err);
}

enum rc file_publish(const char *temp, const char *path, struct err *err)
{
	int fd = os.open(temp, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return failed(err, "open", temp);
	enum rc rc = os.fsync(fd) == 0 ? RC_OK : failed(err, "fsync", temp);
	(void)os.close(fd);
	if (rc == RC_OK)
		rc = move_onto(temp, path, err);
	return rc == RC_OK ? sync_parent(path, err) : rc;
}

/* Give the open file its name, unless something has it. */
static enum rc link_open(int fd, const char *path, struct err *err)
{
	char self[64];

	(void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (os.linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return RC_OK;
	return errno == EEXIST ? err_set(err, RC_CONFLICT, "'%.300s' exists", path) : failed(err, "create", path);
}

enum rc file_create(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err)
{
	char dir[PATH_MAX];

	enum rc rc = parent_of(path, dir, err);
	if (rc != RC_OK)
		return rc;
	int fd = os.open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return failed(err, "create", path);
	rc = file_put(fd, path, bytes, len, err);
	if (rc == RC_OK && os.fsync(fd) != 0)
		rc = failed(err, "fsync", path);
	if (rc == RC_OK)
		rc = link_open(fd, path, err);
	(void)os.close(fd); /* after the fsync: nothing to lose */
	return rc == RC_OK ? sync_dir(dir, err) : rc;
}

enum rc file_open_regular(const char *path, int *fd, struct err *err)
{
	struct stat st;
	int f = os.open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0); /* a FIFO would make us wait */

	if (f < 0 && errno == ELOOP)
		return err_set(err, RC_INVALID, "'%.300s' is no regular file but a symbolic link", path);
	if (f < 0)
		return failed(err, "open", path);
	bool is_known = fstat(f, &st) == 0;
	if (is_known && S_ISREG(st.st_mode)) {
		*fd = f;
		return RC_OK;
	}
	enum rc rc =
		is_known ? err_set(err, RC_INVALID, "'%.300s' is no regular file", path) : failed(err, "look at", path);
	(void)os.close(f); /* opened for reading: nothing to lose */
	return rc;
}

enum rc file_size_open(int fd, int64_t *size, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(err, RC_IO, errno, "cannot look at an open file");
	*size = (int64_t)st.st_size;
	return RC_OK;
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

enum rc file_size(const char *path, int64_t *size, struct err *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return failed(err, "look at", path);
	*size = (int64_t)st.st_size;
	return RC_OK;
}

enum rc file_remove(const char *path, struct err *err)
{
	if (os.unlink(path) == 0 || errno == ENOENT)
		return RC_OK;
	return failed(err, "remove", path);
}

static enum rc make_one(const char *path, unsigned mode, bool syncs, struct err *err)
{
	struct stat st;
	if (os.mkdir(path, (mode_t)mode) == 0)
		return syncs ? sync_parent(path, err) : RC_OK;
	if (errno != EEXIST)
		return failed(err, "make folder", path);
	if (stat(path, &st) != 0)
		return failed(err, "look at", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, RC_CONFLICT, "'%.300s' exists and is no folder", path);
	return RC_OK;
}

/* From the bottom up, since most of the path is there already: only what is missing is gone through. */
static enum rc make_all(char path[PATH_MAX], unsigned mode, bool syncs, struct err *err)
{
	enum rc rc = make_one(path, mode, syncs, err);
	char *slash = strrchr(path, '/');

	if (rc != RC_NOT_FOUND || !slash || slash == path)
		return rc;
	*slash = '\0';
	rc = make_all(path, mode, syncs, err);
	*slash = '/';
	return rc == RC_OK ? make_one(path, mode, syncs, err) : rc;
}

static enum rc make_path(const char *path, unsigned mode, bool syncs, struct err *err)
{
	char copy[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof copy)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	memcpy(copy, path, len + 1);
	return make_all(copy, mode, syncs, err);
}

enum rc dir_make(const char *path, unsigned mode, struct err *err)
{
	return make_path(path, mode, /* syncs= */ true, err);
}

enum rc dir_make_unsynced(const char *path, unsigned mode, struct err *err)
{
	return make_path(path, mode, /* syncs= */ false, err);
}

enum rc dir_make_in(const char *top, const char *const *names, size_t n, unsigned mode, struct err *err)
{
	char path[PATH_MAX];
	bool is_new = false;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		rc = path_join(path, top, names[i], err);
		is_new |= rc == RC_OK && !file_exists(path);
		if (rc == RC_OK)
			rc = make_one(path, mode, /* syncs= */ false, err);
	}
	return rc == RC_OK && is_new ? sync_dir(top, err) : rc;
}

enum rc dir_sync(const char *path, const char *top, struct err *err)
{
	char dir[PATH_MAX];
	size_t len = strlen(path), top_len = strlen(top);

	must(top_len > 0 && strncmp(path, top, top_len) == 0);
	if (len >= sizeof dir)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	memcpy(dir, path, len + 1);
	for (;;) {
		enum rc rc = sync_dir(dir, err);
		const char *slash = strrchr(dir, '/');
		if (rc != RC_OK || !slash || (size_t)(slash - dir) < top_len)
			return rc;
		dir[slash - dir] = '\0';
	}
}

/* The next entry but "." and ".."; NULL at the end, and with *rc and err when reading fails: what was not read is not
 * known to be absent. */
static const char *next_entry(DIR *dir, const char *path, enum rc *rc, struct err *err)
{
	struct dirent *e;

	do {
		errno = 0;
		e = os.readdir(dir);
	} while (e && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
	if (!e && errno)
		*rc = failed(err, "list", path);
	return e ? e->d_name : NULL;
}

/* ---- removing folders ---- */

/*
 * One descriptor a level, and REMOVE_DEPTH levels at a time: a folder deeper than that is moved up to the top, from
 * where it is gone through like the others, so no depth is too much. Folders of ours without the rights to be emptied
 * (a cache that its program made read-only) get them.
 */
enum { REMOVE_DEPTH = 32, USABLE = 0700 };

struct removal {
	int top_fd;
	int n_moved; /* to the top */
};

static enum rc empty_dir(struct removal *r, int dir_fd, const char *path, int depth, struct err *err);

/* Through the descriptor, so that what was looked at is what is changed: a link is never followed. Keeps errno. */
static bool make_usable(int dir_fd, const char *name)
{
	char path[64];
	int sys = errno, fd = os.openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	bool is_usable = fd >= 0 && chmod(path, USABLE) == 0;
	if (fd >= 0)
		(void)os.close(fd); /* nothing was written through it */
	errno = sys;
	return is_usable;
}

static bool make_open_usable(int dir_fd)
{
	int sys = errno;
	bool is_usable = fchmod(dir_fd, USABLE) == 0;
	errno = sys;
	return is_usable;
}

static int unlink_in(int dir_fd, const char *name, int flags)
{
	int bad = os.unlinkat(dir_fd, name, flags);
	return bad && errno == EACCES && make_open_usable(dir_fd) ? os.unlinkat(dir_fd, name, flags) : bad;
}

static int open_folder(int dir_fd, const char *name)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	int fd = os.openat(dir_fd, name, FLAGS);
	return fd < 0 && errno == EACCES && make_usable(dir_fd, name) ? os.openat(dir_fd, name, FLAGS) : fd;
}

/* A folder that is moved must itself be writable, since its parent is noted in it. */
static enum rc move_up(struct removal *r, int dir_fd, const char *name, struct err *err)
{
	char place[32];
	int bad;

	(void)make_usable(dir_fd, name); /* if it fails, so does what needs it */
	do {
		(void)snprintf(place, sizeof place, "removed-%d", r->n_moved++);
		bad = os.renameat(dir_fd, name, r->top_fd, place);
	} while (bad && (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) && r->n_moved < INT_MAX);
	return bad ? failed(err, "move", name) : RC_OK;
}

static enum rc remove_entry(struct removal *r, int dir_fd, const char *name, int depth, struct err *err)
{
	if (unlink_in(dir_fd, name, 0) == 0 || errno == ENOENT)
		return RC_OK;
	if (errno != EISDIR && errno != EPERM)
		return failed(err, "remove", name);
	if (depth == 0)
		return move_up(r, dir_fd, name, err);
	int sub = open_folder(dir_fd, name);
	if (sub < 0)
		return failed(err, "open", name);
	enum rc rc = empty_dir(r, sub, name, depth - 1, err); /* closes sub */
	if (rc == RC_OK && unlink_in(dir_fd, name, AT_REMOVEDIR) != 0)
		rc = failed(err, "remove", name);
	return rc;
}

/* Remove what lies in the open folder dir_fd; depth bounds the recursion. */
static enum rc empty_dir(struct removal *r, int dir_fd, const char *path, int depth, struct err *err)
{
	DIR *dir = fdopendir(dir_fd);
	enum rc rc = RC_OK;

	if (!dir) {
		rc = failed(err, "list", path);
		(void)os.close(dir_fd);
		return rc;
	}
	for (const char *name = next_entry(dir, path, &rc, err); name; name = next_entry(dir, path, &rc, err)) {
		rc = remove_entry(r, dirfd(dir), name, depth, err);
		if (rc != RC_OK)
			break;
	}
	(void)closedir(dir);
	return rc;
}

enum rc dir_remove(const char *path, struct err *err)
{
	struct removal r;
	enum rc rc;

	do {
		r = (struct removal){ .top_fd = open_folder(AT_FDCWD, path) };
		if (r.top_fd < 0)
			return errno == ENOENT ? RC_OK : failed(err, "open", path);
		rc = empty_dir(&r, r.top_fd, path, REMOVE_DEPTH, err);
	} while (rc == RC_OK && r.n_moved > 0); /* what was moved up may have been passed over */
	if (rc == RC_OK && os.rmdir(path) != 0)
		rc = failed(err, "remove", path);
	return rc;
}

enum rc dir_each(const char *path, dir_entry_fn *fn, void *ctx, struct err *err)
{
	DIR *dir = os.opendir(path);
	enum rc rc = RC_OK;

	if (!dir)
		return errno == ENOENT ? RC_OK : failed(err, "list", path);
	for (const char *name = next_entry(dir, path, &rc, err); name; name = next_entry(dir, path, &rc, err)) {
		rc = fn(ctx, name, err);
		if (rc != RC_OK)
			break;
	}
	(void)closedir(dir);
	return rc;
}

struct prune {
	const char *dir, *keep;
};

static enum rc prune_entry(void *ctx, const char *name, struct err *err)
{
	const struct prune *p = ctx;
	char path[PATH_MAX];
	struct stat st;

	if (strcmp(name, p->keep) == 0)
		return RC_OK;
	enum rc rc = path_join(path, p->dir, name, err);
	if (rc != RC_OK)
		return rc;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? RC_OK : failed(err, "look at", path);
	return S_ISDIR(st.st_mode) ? dir_remove(path, err) : file_remove(path, err);
}

enum rc dir_prune(const char *path, const char *keep, struct err *err)
{
	struct prune p = { path, keep };
	return dir_each(path, prune_entry, &p, err);
}

enum rc path_inside(const char *path, const char *const *roots, int n_roots, char *out, struct err *err)
{
	char real[PATH_MAX], root[PATH_MAX];

	if (!realpath(path, real))
		return failed(err, "find", path);
	for (int i = 0; i < n_roots; i++) {
		if (!realpath(roots[i], root))
			continue; /* a root that is not there holds nothing */
		size_t len = strlen(root);
		bool under = strncmp(real, root, len) == 0 && (real[len] == '/' || real[len] == '\0');
		if (under || strcmp(root, "/") == 0) {
			memcpy(out, real, strlen(real) + 1);
			return RC_OK;
		}
	}
	return err_set(err, RC_DENIED, "'%.300s' is outside of every import root", path);
}

enum rc file_lock(const char *path, int *fd, struct err *err)
{
	int f = os.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f < 0)
		return failed(err, "open", path);
	if (flock(f, LOCK_EX | LOCK_NB) != 0) {
		enum rc rc = errno == EWOULDBLOCK
				     ? err_set(err, RC_CONFLICT, "'%.300s' is locked by another process", path)
				     : failed(err, "lock", path);
		(void)os.close(f);
		return rc;
	}
	*fd = f;
	return RC_OK;
}

enum rc dir_lock(const char *path, int *fd, struct err *err)
{
	int f = os.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), bad;
	if (f < 0)
		return failed(err, "open", path);
	do
		bad = flock(f, LOCK_EX);
	while (bad && errno == EINTR);
	if (bad) {
		enum rc rc = failed(err, "lock", path);
		(void)os.close(f);
		return rc;
	}
	*fd = f;
	return RC_OK;
}

int64_t dir_usage(const char *path)
{
	/* fts takes its list as not const for historical reasons; it does not write to it. */
	char *roots[] = { (char *)(uintptr_t)path, NULL };
	int64_t size = 0;

	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!tree)
		return 0;
	for (FTSENT *e = fts_read(tree); e; e = fts_read(tree)) {
		if (e->fts_info != FTS_DP && e->fts_info != FTS_NS && e->fts_info != FTS_ERR)
			size += (int64_t)e->fts_statp->st_blocks * 512;
	}
	(void)fts_close(tree); /* it was only read */
	return size;
}
