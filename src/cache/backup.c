/*
 * A backup is a copy of dump.rdb right after BGSAVE: the state of all databases at the moment Redis forked. Redis puts
 * the file there by rename, so the copy is of one save even when another follows.
 */
#include <string.h>
#include "base/must.h"
#include "cache/cache_priv.h"
#include "os/file.h"

enum { INFO_SIZE_MAX = 1 << 20, SAVE_FROM = 15, SAVE_TO = 70 };

static void say_saving(const struct op *op, const struct buf *info)
{
	int64_t done = info_int(info, "current_save_keys_processed", 0),
	        all = info_int(info, "current_save_keys_total", 0);
	if (all > 0 && done >= 0 && done <= all)
		op_step(op, "save", SAVE_FROM + (int)((double)done / (double)all * (SAVE_TO - SAVE_FROM)));
}

/* Wait until no child of Redis works. */
static enum rc wait_idle(const struct op *op, struct wire *w, struct buf *info, struct err *err)
{
	for (;;) {
		enum rc rc = info_read(w, info, err, "persistence");
		if (rc != RC_OK)
			return rc;
		if (info_int(info, "rdb_bgsave_in_progress", 1) == 0 &&
		    info_int(info, "aof_rewrite_in_progress", 1) == 0 &&
		    info_int(info, "aof_rewrite_scheduled", 1) == 0)
			return RC_OK;
		say_saving(op, info);
		rc = op_pause(op, LOOK_AGAIN_MS, err);
		if (rc != RC_OK)
			return rc;
	}
}

/* Between seeing it idle and asking, another child may have begun: then Redis refuses, and we wait again. */
static enum rc begin_save(const struct op *op, struct wire *w, struct buf *info, struct err *err)
{
	for (;;) {
		struct err why = { .rc = RC_OK };
		enum rc rc = wait_idle(op, w, info, err);
		if (rc != RC_OK)
			return rc;
		rc = wire_call(w, NULL, &why, "BGSAVE");
		act_done();
		if (rc == RC_OK)
			return RC_OK;
		if (rc != RC_CONFLICT || !(strstr(why.msg, "in progress") || strstr(why.msg, "child process")))
			return err_set(err, rc, "%s", why.msg);
		rc = op_pause(op, LOOK_AGAIN_MS, err);
		if (rc != RC_OK)
			return rc;
	}
}

enum rc save_now(const struct op *op, const struct cache_instance *c, int node, int64_t *saved_at_s, struct err *err)
{
	CLEANUP(wire_closep) struct wire *w = NULL;
	struct buf info;

	buf_init(&info, INFO_SIZE_MAX);
	enum rc rc = node_open(op, c, node, &w, err);
	op_step(op, "save", SAVE_FROM);
	if (rc == RC_OK)
		rc = begin_save(op, w, &info, err);
	if (rc == RC_OK)
		rc = wait_idle(op, w, &info, err);
	if (rc == RC_OK && !info_is(&info, "rdb_last_bgsave_status", "ok"))
		rc = err_set(err, RC_IO, "node %d could not save; its log tells why (disk full?)",
		             c->nodes[node].number);
	if (rc == RC_OK && saved_at_s)
		*saved_at_s = info_int(&info, "rdb_last_save_time", 0);
	buf_fini(&info);
	return rc;
}

static enum rc make_parent(const char *file, struct err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(file, '/');

	if (*file != '/' || strlen(file) >= sizeof dir - 8)
		return err_set(err, RC_INVALID, "the backup's file '%.200s' is no absolute path", file);
	if (slash == file)
		return RC_OK;
	memcpy(dir, file, (size_t)(slash - file));
	dir[slash - file] = '\0';
	return dir_make(dir, 0700, err);
}

enum rc cache_backup(struct cache_instance *c, const char *file, struct cache_backup *out, const struct cache_run *run,
                     struct err *err)
{
	struct cache_backup b = { .node = -1 };
	struct cache_figures f;
	char dump[PATH_MAX];
	int percent;
	struct op op = op_start(run, &percent);

	enum rc rc = cache_check(c, err);
	if (rc == RC_OK)
		rc = make_parent(file, err);
	if (rc == RC_OK && file_exists(file))
		rc = err_set(err, RC_CONFLICT, "'%.300s' exists already", file);
	if (rc != RC_OK)
		return rc;
	op_step(&op, "choose node", 5);
	struct cache_instance now = *c; /* a backup changes nothing, so not even who is recorded as master */
	rc = master_find(&op, &now, err);
	int node = rc == RC_OK ? replica_or_master(&op, &now) : c->master;
	if (rc == RC_OK && node != now.master)
		rc = replica_catch_up(&op, &now, node, err); /* what was acknowledged before belongs to the backup */
	if (rc == RC_OK)
		rc = save_now(&op, c, node, &b.saved_at_s, err);
	if (rc == RC_OK)
		rc = node_file(c, node, DUMP_FILE, dump, err);
	op_step(&op, "copy", SAVE_TO);
	if (rc == RC_OK)
		rc = copy_file(&op, dump, file, b.sha256, &b.size, err);
	if (rc != RC_OK)
		return rc;
	look_node(&op, c, node, &f);
	b.keys = f.keys;
	b.node = c->nodes[node].number;
	memcpy(b.file, file, strlen(file) + 1);
	*out = b;
	return RC_OK;
}
