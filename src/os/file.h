/*
 * file: files and folders, durably. The only door to the file system besides SQLite's own and the data readers' mmap.
 *
 * Errors:   RC_IO with errno in err->sys and the path in words; RC_NOT_FOUND when it is not there;
 *           RC_LIMIT when larger than allowed; RC_BUSY when the disk is full.
 * Threads:  any.
 * All descriptors are close-on-exec. Every call goes through struct os_calls (os/calls.h), which tests swap.
 */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

/* Append the whole file to out (RC_LIMIT past out's ceiling); on failure out keeps what it had. */
enum rc file_read(const char *path, struct buf *out, struct err *err) NODISCARD;
/* Append at most max bytes from offset on, none past the end. Does not follow a symbolic link at the path's end. */
enum rc file_read_part(const char *path, int64_t offset, size_t max, struct buf *out, struct err *err) NODISCARD;
/* Replace path atomically: temp beside it, write, fsync, rename, fsync of the folder. mode e.g. 0600. One thread per
 * path at a time. On failure the old content stands and no temp is left; only when the last step fails, the fsync of
 * the folder (RC_IO, "fsync" and the folder's name), the new content is there and may be lost with the power. */
enum rc file_replace(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err) NODISCARD;
/* fsync temp (already written and closed), rename it to path, fsync the folder. */
enum rc file_publish(const char *temp, const char *path, struct err *err) NODISCARD;
/* All of the bytes to an open file; path is for the words. RC_BUSY: the disk is full. */
enum rc file_put(int fd, const char *path, const void *bytes, size_t len, struct err *err) NODISCARD;
/* A new file: nothing at path, or all of it and durable; no other name is used meanwhile. RC_CONFLICT: something is
 * there. When the last step fails, the fsync of the folder, the file is there and may be lost with the power. Where the
 * file system has no files without a name: another failure, and nothing there. */
enum rc file_create(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err) NODISCARD;
/* Make path anew with these bytes, for whoever reads it next while the machine runs: not atomic, not fsynced. */
enum rc file_write(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err) NODISCARD;
/* Replace path by these bytes in one step for whoever reads it while the machine runs: not fsynced. */
enum rc file_replace_unsynced(const char *path, const void *bytes, size_t len, unsigned mode,
			      struct err *err) NODISCARD;
/* Open for reading what must be a regular file: RC_INVALID for anything else, a symbolic link included. Never waits. */
enum rc file_open_regular(const char *path, int *fd, struct err *err) NODISCARD;
/* Bytes of an open file. */
enum rc file_size_open(int fd, int64_t *size, struct err *err) NODISCARD;
bool file_exists(const char *path);
enum rc file_size(const char *path, int64_t *size, struct err *err) NODISCARD;
enum rc file_remove(const char *path, struct err *err) NODISCARD;      /* absent is fine */
/* Folder and all its parents; mode for those made. fsyncs the parents of what it made. */
enum rc dir_make(const char *path, unsigned mode, struct err *err) NODISCARD;
/* The same without any fsync; dir_sync makes up for it. */
enum rc dir_make_unsynced(const char *path, unsigned mode, struct err *err) NODISCARD;
/* Folders of top, which exists, by their names; one fsync for all that it made. */
enum rc dir_make_in(const char *top, const char *const *names, size_t n, unsigned mode, struct err *err) NODISCARD;
/* fsync the folder path and its parents up to and including top, which path begins with. */
enum rc dir_sync(const char *path, const char *top, struct err *err) NODISCARD;
/* Delete a folder with everything in it, however deep, and also what our own user made read-only; does not follow
 * symbolic links; absent is fine. */
enum rc dir_remove(const char *path, struct err *err) NODISCARD;
/* Call fn for each entry but "." and ".."; stops at the first failure of fn. An absent folder is empty. */
typedef enum rc dir_entry_fn(void *ctx, const char *name, struct err *err);
enum rc dir_each(const char *path, dir_entry_fn *fn, void *ctx, struct err *err) NODISCARD;
/* Delete everything in a folder but the entry named keep. */
enum rc dir_prune(const char *path, const char *keep, struct err *err) NODISCARD;
/* Bytes that a folder and all below it take on the disk, as far as one can look: what vanishes meanwhile, or may not be
 * read, counts nothing. Does not follow symbolic links nor leave the file system. 0 for an absent one. */
int64_t dir_usage(const char *path);
/* realpath(path) must lie in one of roots (themselves resolved). On success out (PATH_MAX bytes) has the
 * resolved path. RC_NOT_FOUND: no such file. RC_DENIED: outside of every root. */
enum rc path_inside(const char *path, const char *const *roots, int n_roots, char *out, struct err *err) NODISCARD;
/* dir + "/" + name into out of size PATH_MAX; RC_LIMIT when too long. */
enum rc path_join(char *out, const char *dir, const char *name, struct err *err) NODISCARD;
/* Take an exclusive lock on a file (made if absent), held until the process ends. RC_CONFLICT: another has it. */
enum rc file_lock(const char *path, int *fd, struct err *err) NODISCARD;
/* Wait until no other process has the folder, and take it: for a moment, in which what must be there once is made.
 * Closing *fd lets go of it. It says nothing to those who do not ask. */
enum rc dir_lock(const char *path, int *fd, struct err *err) NODISCARD;

#endif
