/*
 * How much a folder takes on the disk, whoever filled it: names alone are opened, so no path is too long, and no depth
 * too much. Folders are gone through depth first. The outermost and the innermost levels are open; of those between
 * only who they are and how far they were read is kept. The way back to one leads through "..", and is believed if it
 * ends at the folder that was left; otherwise, when it was moved meanwhile, the walk goes on at the innermost one that
 * is open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "os/calls.h"
#include "os/file.h"
#include "os/file_priv.h"

enum { OUTER_OPEN = 32, INNER_OPEN = 32, LEVELS_MAX = 1 << 20 };

struct level {
	DIR *dir; /* NULL: closed for the time being, read up to `at` */
	dev_t dev;
	ino_t ino;
	long at;
};

struct walk {
	struct level *levels; /* the innermost last */
	size_t n, cap;
	int64_t size;
};

static DIR *open_listed(int dir_fd, const char *name, struct stat *st)
{
	int fd = folder_open(dir_fd, name);
	if (fd < 0)
		return NULL;
	DIR *dir = fstat(fd, st) == 0 ? fdopendir(fd) : NULL;
	if (!dir)
		(void)os.close(fd); /* nothing was written through it */
	return dir;
}

/* The one that is no longer among the innermost. */
static void shut_far(struct walk *w)
{
	if (w->n < OUTER_OPEN + INNER_OPEN)
		return;
	struct level *l = &w->levels[w->n - INNER_OPEN];
	if (!l->dir)
		return; /* since the walk was deeper than now */
	l->at = telldir(l->dir);
	(void)closedir(l->dir);
	l->dir = NULL;
}

static void enter(struct walk *w, int dir_fd, const char *name)
{
	struct stat st;
	DIR *dir = open_listed(dir_fd, name, &st);

	if (!dir)
		return;
	if (w->n && st.st_dev != w->levels[0].dev) { /* something is mounted there */
		(void)closedir(dir);
		return;
	}
	shut_far(w);
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : OUTER_OPEN + INNER_OPEN;
		w->levels = mem_grow(w->levels, w->cap, sizeof w->levels[0]);
	}
	w->levels[w->n++] = (struct level){ .dir = dir, .dev = st.st_dev, .ino = st.st_ino };
}

/* As seen from the folder in it that is open. */
static DIR *open_again(const struct level *l, int inner_fd)
{
	struct stat st;
	DIR *dir = open_listed(inner_fd, "..", &st);

	if (dir && (st.st_dev != l->dev || st.st_ino != l->ino)) {
		(void)closedir(dir);
		return NULL;
	}
	if (dir)
		seekdir(dir, l->at);
	return dir;
}

/* The innermost level is read. */
static void leave(struct walk *w)
{
	DIR *done = w->levels[--w->n].dir;
	struct level *next = w->n ? &w->levels[w->n - 1] : NULL;

	if (next && !next->dir)
		next->dir = open_again(next, dirfd(done));
	(void)closedir(done);
	while (w->n && !w->levels[w->n - 1].dir)
		w->n--; /* lost: the outer ones are open */
}

static bool look_at(int dir_fd, const char *name, struct stat *st)
{
	if (fstatat(dir_fd, name, st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	return errno == EACCES && folder_make_usable(dir_fd) && fstatat(dir_fd, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void take_entry(struct walk *w, DIR *dir, const char *name)
{
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !look_at(dirfd(dir), name, &st))
		return;
	w->size += (int64_t)st.st_blocks * 512;
	if (S_ISDIR(st.st_mode))
		enter(w, dirfd(dir), name);
}

int64_t dir_usage(const char *path)
{
	struct walk w = { 0 };
	struct stat st;

	if (lstat(path, &st) != 0)
		return 0;
	w.size = (int64_t)st.st_blocks * 512;
	if (S_ISDIR(st.st_mode))
		enter(&w, AT_FDCWD, path);
	while (w.n && w.n < LEVELS_MAX) {
		DIR *dir = w.levels[w.n - 1].dir;
		const struct dirent *entry = os.readdir(dir);
		if (entry)
			take_entry(&w, dir, entry->d_name);
		else
			leave(&w);
	}
	if (w.n)
		w.size = INT64_MAX;
	for (size_t i = 0; i < w.n; i++) {
		if (w.levels[i].dir)
			(void)closedir(w.levels[i].dir);
	}
	mem_free(w.levels);
	return w.size;
}
