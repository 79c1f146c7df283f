/*
 * gaplog: a log file that is held to a size by dropping its middle: its beginning and its newest part stay. What was
 * dropped is a hole in the file, so it takes no room on the disk, and what stays keeps its place.
 *
 * Those who write know nothing of it: they append to the file (O_APPEND), and no line costs them or us a further call.
 * Somebody calls gaplog_bound now and then; readers go through gaplog_read, which says where bytes are missing.
 * Invariants:
 *   G1 the offset of a byte never changes, so a reader goes on where it was, however much was dropped meanwhile.
 *   G2 only bytes of the gap are lost: making or widening it is one call to the kernel, done or not done by a crash.
 *   G3 after gaplog_bound the file takes at most limit bytes of the disk, and what was written since.
 * Threads:  any; one that bounds a file at a time.
 * Limits:   a gap grows in steps of 64 KiB, so limit is at least GAPLOG_LIMIT_MIN.
 */
#ifndef OS_GAPLOG_H
#define OS_GAPLOG_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

enum { GAPLOG_LIMIT_MIN = 1 << 19, GAPLOG_NOTE_MAX = 160 };

/* Keep the file of fd, open for writing, at limit bytes: past them at least half of limit of the newest bytes stay, and
 * nearly a quarter of the first ones. *size: its end, gap included, also when the middle
 * could not be dropped. RC_DENIED: its file system cannot do it, ever. */
enum rc gaplog_bound(int fd, int64_t limit, int64_t *size, struct err *err) NODISCARD;
/* The same by path; an absent file is fine. */
enum rc gaplog_bound_path(const char *path, int64_t limit, struct err *err) NODISCARD;
/* Append at most max bytes from offset on, none past the end; *next is where to go on, offset itself at the end. Where
 * offset lies in the gap a line comes first (at most GAPLOG_NOTE_MAX bytes, beside max) that says how many bytes are
 * missing. Does not follow a symbolic link at the path's end. On failure out keeps what it had. */
enum rc gaplog_read(const char *path, int64_t offset, size_t max, struct buf *out, int64_t *next,
		    struct err *err) NODISCARD;
enum rc gaplog_read_open(int fd, int64_t offset, size_t max, struct buf *out, int64_t *next, struct err *err) NODISCARD;

#endif
