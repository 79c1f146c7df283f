/*
 * A restore lays the old data of each node aside in DIR/node-N/before-restore until the new data serves.
 *
 *  R1 before-restore/complete is there from the moment all old data is in that folder until it begins to move back.
 *     So data files beside it are new ones, to be thrown away by undoing; without it they are old ones.
 *  R2 The restore is done when the folders are renamed to after-restore, master first: from then on nothing is undone.
 *  R3 Clients cannot write from before R1 until after R2 (seal.c): what they wrote to the new data would be
 *     lost by undoing.
 *  R4 Undoing may be cut off anywhere and begun again; every start of a node does it first (node_start).
 *  R5 After a loss of power too: each step that relies on an earlier one is taken after the folders are synced that
 *     the earlier one changed, whatever order the file system would keep by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cache/cache_priv.h"
#include "os/calls.h"
#include "os/file.h"

#define DONE_DIR "after-restore"
#define MARK ASIDE_DIR "/complete"
#define STAGED "restore.rdb"

static const char *const data_names[] = { AOF_DIR, DUMP_FILE };

bool restore_is_open(const struct cache_instance *c, int node)
{
	char aside[PATH_MAX];
	return node_file(c, node, ASIDE_DIR, aside, NULL) == RC_OK && file_exists(aside);
}

/* Rename inside the node's folder; what is not there need not move. */
static enum rc move(const struct cache_instance *c, int node, const char *from, const char *to, struct err *err)
{
	char a[PATH_MAX], b[PATH_MAX];
	enum rc rc = node_file(c, node, from, a, err);

	if (rc == RC_OK)
		rc = node_file(c, node, to, b, err);
	if (rc == RC_OK && os.rename(a, b) != 0 && errno != ENOENT)
		rc = err_sys(err, RC_IO, errno, "cannot rename '%.200s' to '%.200s'", a, b);
	act_done();
	return rc;
}

/* R5: the node's folder, and the one in it with that name when it is given. */
static enum rc sync_node(const struct cache_instance *c, int node, const char *name, struct err *err)
{
	char top[PATH_MAX], path[PATH_MAX];
	enum rc rc = node_dir(c, node, top, err);

	if (rc == RC_OK && name)
		rc = node_file(c, node, name, path, err);
	return rc == RC_OK ? dir_sync(name ? path : top, top, err) : rc;
}

static enum rc remove_data(const struct cache_instance *c, int node, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = node_file(c, node, AOF_DIR, path, err);
	if (rc == RC_OK)
		rc = dir_remove(path, err);
	if (rc == RC_OK)
		rc = node_file(c, node, DUMP_FILE, path, err);
	return rc == RC_OK ? file_remove(path, err) : rc;
}

static enum rc remove_in(const struct cache_instance *c, int node, const char *name, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = node_file(c, node, name, path, err);
	return rc == RC_OK ? dir_remove(path, err) : rc;
}

static enum rc lay_aside(const struct cache_instance *c, int node, struct err *err)
{
	char path[PATH_MAX], to[64];
	enum rc rc = remove_in(c, node, DONE_DIR, err); /* one that could not be removed then */

	if (rc == RC_OK)
		rc = node_file(c, node, ASIDE_DIR, path, err);
	if (rc == RC_OK)
		rc = dir_make(path, 0700, err);
	for (size_t i = 0; i < ARRAY_LEN(data_names) && rc == RC_OK; i++) {
		(void)snprintf(to, sizeof to, ASIDE_DIR "/%s", data_names[i]);
		rc = move(c, node, data_names[i], to, err);
	}
	if (rc == RC_OK)
		rc = sync_node(c, node, ASIDE_DIR, err);
	if (rc == RC_OK)
		rc = node_file(c, node, MARK, path, err);
	return rc == RC_OK ? file_replace(path, "", 0, 0600, err) : rc; /* R1 */
}

static enum rc put_back(const struct cache_instance *c, int node, struct err *err)
{
	char mark[PATH_MAX], from[64];
	enum rc rc = node_file(c, node, MARK, mark, err);

	if (rc == RC_OK && file_exists(mark)) {
		rc = remove_data(c, node, err);
		if (rc == RC_OK)
			rc = sync_node(c, node, NULL, err);
		if (rc == RC_OK)
			rc = file_remove(mark, err);
		if (rc == RC_OK)
			rc = sync_node(c, node, ASIDE_DIR, err);
	}
	for (size_t i = 0; i < ARRAY_LEN(data_names) && rc == RC_OK; i++) {
		(void)snprintf(from, sizeof from, ASIDE_DIR "/%s", data_names[i]);
		rc = move(c, node, from, data_names[i], err);
	}
	return rc == RC_OK ? sync_node(c, node, ASIDE_DIR, err) : rc;
}

enum rc restore_undo(const struct cache_instance *c, int node, struct err *err)
{
	enum rc rc = remove_in(c, node, DONE_DIR, err);
	if (rc != RC_OK || !restore_is_open(c, node))
		return rc;
	rc = put_back(c, node, err);
	return rc == RC_OK ? remove_in(c, node, ASIDE_DIR, err) : rc;
}

enum rc restore_tidy(const struct cache_instance *c, int node, struct err *err)
{
	static const char *const copies[] = { STAGED, STAGED ".part" };
	char path[PATH_MAX];
	enum rc rc = remove_in(c, node, DONE_DIR, err);

	for (size_t i = 0; i < ARRAY_LEN(copies) && rc == RC_OK; i++) {
		rc = node_file(c, node, copies[i], path, err);
		if (rc == RC_OK)
			rc = file_remove(path, err);
	}
	return rc;
}

/* ---- the restore ---- */

static void drop_stage(const struct cache_instance *c)
{
	char staged[PATH_MAX];
	if (node_file(c, c->master, STAGED, staged, NULL) == RC_OK)
		let_pass(file_remove(staged, NULL)); /* only space */
}

/* A copy beside the data, so that the backup's folder plays no part once Redis is stopped. */
static enum rc stage(const struct op *op, const struct cache_instance *c, const char *file, const char *sha256,
                     struct err *err)
{
	char staged[PATH_MAX], found[CACHE_HASH_SIZE];
	int64_t size;
	struct buf head;

	enum rc rc = node_file(c, c->master, STAGED, staged, err);
	if (rc == RC_OK)
		rc = copy_file(op, file, staged, found, &size, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&head, 16);
	rc = file_read_part(staged, 0, 9, &head, err);
	if (rc == RC_OK && *sha256 && strcmp(found, sha256) != 0)
		rc = err_set(err, RC_CORRUPT, "the backup '%.200s' was altered: its SHA-256 is %s", file, found);
	else if (rc == RC_OK && (head.len < 9 || memcmp(head.bytes, "REDIS0", 6) != 0))
		rc = err_set(err, RC_CORRUPT, "'%.200s' is no save of Redis", file);
	buf_fini(&head);
	if (rc != RC_OK)
		drop_stage(c);
	return rc;
}

static enum rc lay_all_aside(const struct cache_instance *c, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++)
		rc = lay_aside(c, i, err);
	return rc;
}

/* R2. An old folder that cannot be removed now goes at the node's next start. */
static enum rc commit(const struct cache_instance *c, struct err *err)
{
	enum rc rc = move(c, c->master, ASIDE_DIR, DONE_DIR, err);
	if (rc == RC_OK) {
		rc = sync_node(c, c->master, NULL, err);
		if (rc != RC_OK)
			let_pass(move(c, c->master, DONE_DIR, ASIDE_DIR, NULL)); /* in doubt: all of it is undone */
	}
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		/* What fails here costs a replica one more resynchronisation, when cache_heal finds it. */
		let_pass(move(c, i, ASIDE_DIR, DONE_DIR, NULL));
		let_pass(remove_in(c, i, DONE_DIR, NULL));
	}
	return rc;
}

/* Start with what lies there. Unlike node_start, it is not to put the old data back. */
static enum rc serve_new(const struct op *op, struct cache_instance *c, struct err *err)
{
	enum rc rc = move(c, c->master, STAGED, DUMP_FILE, err);
	op_step(op, "load backup", 40);
	if (rc == RC_OK)
		rc = node_boot(op, c, c->master, err);
	op_step(op, "resynchronise replicas", 70);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		if (i != c->master)
			rc = node_boot(op, c, i, err);
	}
	return rc == RC_OK ? replica_wait_all(op, c, err) : rc;
}

static enum rc swap(const struct op *op, struct cache_instance *c, struct err *err)
{
	op_step(op, "stop", 20);
	enum rc rc = stop_all(op, c, err);
	op_step(op, "lay old data aside", 30);
	if (rc == RC_OK)
		rc = lay_all_aside(c, err);
	if (rc == RC_OK)
		rc = serve_new(op, c, err);
	op_step(op, "finish", 95);
	return rc == RC_OK ? commit(c, err) : rc;
}

/* Everything as it was, as far as can be: start_all undoes what lies aside on each node. */
static enum rc go_back(const struct op *op, struct cache_instance *c, struct err *err)
{
	struct op undo = op_undo(op);
	enum rc rc = RC_OK;

	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++)
		rc = node_kill(c, i, err);
	if (rc == RC_OK)
		rc = seal_break(c, err);
	if (rc == RC_OK)
		rc = start_all(&undo, c, err);
	if (rc == RC_OK)
		rc = replica_wait_all(&undo, c, err);
	if (rc == RC_OK)
		seal_opened(c); /* their files said so at their start */
	drop_stage(c);
	return rc;
}

enum rc cache_restore(struct cache_instance *c, const char *file, const char *sha256, const struct cache_run *run,
                      struct err *err)
{
	struct cache_instance work = *c;
	struct err second = { .rc = RC_OK };
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	op_step(&op, "check backup", 5);
	if (rc == RC_OK)
		rc = stage(&op, c, file, sha256, err);
	if (rc != RC_OK)
		return rc;
	rc = aof_secure(&op, c, c->master, err); /* now, since going back is not to end a master that must not be */
	if (rc == RC_OK)
		rc = seal_set(&op, c, err);
	if (rc != RC_OK) {
		drop_stage(c);
		return rc;
	}
	rc = swap(&op, &work, err);
	if (rc == RC_OK) {
		struct op firm = op_undo(&op);
		*c = work;
		return seal_end(&firm, c, /* master= */ NULL, err);
	}
	work = *c;
	if (go_back(&op, &work, &second) != RC_OK)
		return err_wrap(err, RC_IO, "(and the old data is not in service: %.150s)", second.msg);
	*c = work; /* the old data, in new processes */
	return rc;
}
