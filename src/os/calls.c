#include "os/calls.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

static int real_openat(int dir_fd, const char *name, int flags) { return openat(dir_fd, name, flags); }

static int real_clone(int (*fn)(void *), void *stack_top, int flags, void *arg, int *pidfd)
{
	return clone(fn, stack_top, flags, arg, pidfd);
}

/* clang-format off */
#define REAL { .open = real_open, .read = read, .write = write, .fsync = fsync, .close = close, \
	       .rename = rename, .renameat = renameat, .linkat = linkat, .unlink = unlink, \
	       .mkdir = mkdir, .opendir = opendir, .readdir = readdir, \
	       .openat = real_openat, .unlinkat = unlinkat, .rmdir = rmdir, .pipe2 = pipe2, \
	       .fallocate = fallocate, .epoll_ctl = epoll_ctl, .clone = real_clone }
/* clang-format on */

struct os_calls os = REAL;
const struct os_calls os_real = REAL;
