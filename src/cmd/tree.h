/*
 * tree: everything in a folder, and files copied out of it with their checksums.
 *
 * Errors:  those of os/file.h. What vanishes while it is looked at is not there: no error.
 * Limits:  folders nested 24 deep (RC_LIMIT beyond).
 */
#ifndef CMD_TREE_H
#define CMD_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/err.h"

struct tree_entry {
	const char *path;     /* root's and the names below it */
	const char *relative; /* to root, without a leading slash */
	struct stat st;       /* of itself: links are not followed */
	bool is_skipped;      /* set by fn for a folder: do not look into it */
};
typedef enum rc tree_fn(void *ctx, struct tree_entry *e, struct err *err);

/* Call fn for each entry below root, a folder before what is in it; stops at the first failure of fn. */
enum rc tree_walk(const char *root, tree_fn *fn, void *ctx, struct err *err) NODISCARD;
/* fsync root and every folder below it. */
enum rc tree_sync(const char *root, struct err *err) NODISCARD;

enum { SUM_SIZE = 65 };
struct file_sum {
	char sha256[SUM_SIZE];
	int64_t size;
	unsigned mode; /* what the owner may do: 0600, 0700 ... */
};
/* RC_INVALID unless it is a regular file. */
enum rc file_sum(const char *path, struct file_sum *out, struct err *err) NODISCARD;
/* The same while it is copied to a path that must not exist (parents are made), and forced to disk. A file that grows
 * is copied as far as it goes when its end is met; out is of what was copied. mode: what the owner may do with the
 * copy; 0: what he may with the source. On failure nothing is left there. */
enum rc file_copy(const char *from, const char *to, unsigned mode, struct file_sum *out, struct err *err) NODISCARD;
/* The same of a task's log, up to the end that it had at first, and as its readers see it: where its middle was dropped
 * (os/gaplog.h) the copy has the line that says so, so that it is as small as what is left. */
enum rc log_copy(const char *from, const char *to, struct file_sum *out, struct err *err) NODISCARD;

#endif
