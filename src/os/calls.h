/*
 * calls: the kernel calls that can fail, as a table that tests swap to make the n-th one fail.
 * The members have the signatures, results and errno of the calls they are named after.
 * Swap only while no other thread runs.
 */
#ifndef OS_CALLS_H
#define OS_CALLS_H

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/types.h>

struct os_calls {
	int (*open)(const char *path, int flags, mode_t mode);
	ssize_t (*read)(int fd, void *buf, size_t n);
	ssize_t (*write)(int fd, const void *buf, size_t n);
	int (*fsync)(int fd);
	int (*close)(int fd);
	int (*rename)(const char *from, const char *to);
	int (*renameat)(int from_fd, const char *from, int to_fd, const char *to);
	int (*linkat)(int from_dir, const char *from, int to_dir, const char *to, int flags);
	int (*unlink)(const char *path);
	int (*mkdir)(const char *path, mode_t mode);
	DIR *(*opendir)(const char *path);
	struct dirent *(*readdir)(DIR *dir);
	int (*openat)(int dir_fd, const char *name, int flags); /* never makes a file */
	int (*unlinkat)(int dir_fd, const char *name, int flags);
	int (*rmdir)(const char *path);
	int (*pipe2)(int fds[2], int flags);
	int (*fallocate)(int fd, int mode, off_t offset, off_t len);
	int (*epoll_ctl)(int epoll_fd, int op, int fd, struct epoll_event *event);
	/* The five arguments of clone(2) that we use; the last one receives the pidfd (CLONE_PIDFD). */
	int (*clone)(int (*fn)(void *), void *stack_top, int flags, void *arg, int *pidfd);
};

extern struct os_calls os;          /* what everyone calls through */
extern const struct os_calls os_real;

#endif
