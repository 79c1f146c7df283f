/*
 * manifest: the list of what a backup holds, written last; its last line seals the rest. docs/operations.md
 * has the format.
 *
 * A folder is claimed before anything is put into it and released when it is whole. In between it holds the file
 * STINT-UNFINISHED, which the claimer keeps locked; so a backup or a restored data folder that was cut off is told from
 * a finished one, and from one that is being made.
 *
 * Owner:   a struct manifest owns its memory: manifest_fini.
 * Errors:  RC_CONFLICT  the folder holds something, or somebody else works on it
 *          RC_INVALID   no backup, an unfinished one, one of a newer program;  RC_CORRUPT  altered or cut short
 */
#ifndef CMD_MANIFEST_H
#define CMD_MANIFEST_H

#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cmd/tree.h"

#define MANIFEST_FILE "MANIFEST"
#define UNFINISHED_FILE "STINT-UNFINISHED"

/* Take dir, made if absent, else empty or left unfinished (then it is emptied). purpose: "backup", for messages. */
enum rc folder_claim(const char *dir, const char *purpose, int *lock_fd, struct err *err) NODISCARD;
/* It is whole: the mark goes. */
enum rc folder_release(const char *dir, int lock_fd, struct err *err) NODISCARD;
/* It came to nothing: what was put into it goes, an empty folder stays. */
void folder_abandon(const char *dir, int lock_fd);

struct manifest_file {
	const char *path; /* relative, checked: no "..", no control characters */
	struct file_sum sum;
};
/* A Redis instance in a backup. */
struct manifest_cache {
	const char *uid;
	const char *source; /* "live": its data of saved_at; "stored": an earlier backup; "none": no data */
	const char *path;   /* of the RDB file, one of files; "" none */
	int64_t saved_at;   /* ms */
};

struct manifest {
	struct arena *arena;
	int64_t made_at;     /* ms */
	const char *program; /* version */
	int64_t schema;
	const char *data;    /* the folder it was made from */
	struct manifest_file *files;
	size_t n_files, cap_files;
	struct manifest_cache *caches;
	size_t n_caches, cap_caches;
	int64_t size;        /* of all files */
};

void manifest_init(struct manifest *m);
void manifest_fini(struct manifest *m);
/* RC_INVALID: a path that a manifest cannot hold. */
enum rc manifest_add_file(struct manifest *m, const char *path, const struct file_sum *sum, struct err *err) NODISCARD;
enum rc manifest_add_cache(struct manifest *m, const struct manifest_cache *c, struct err *err) NODISCARD;
enum rc manifest_write(const struct manifest *m, const char *dir, struct err *err) NODISCARD;
/* m: as manifest_init left it. */
enum rc manifest_read(struct manifest *m, const char *dir, struct err *err) NODISCARD;

#endif
