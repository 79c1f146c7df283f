#include "exec/prepare.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "exec/tasklog.h"
#include "os/calls.h"
#include "os/file.h"

/* An attempt's first folder is empty: a number may have been given before, by a database that was lost. */
static enum rc make_folder(const struct exec_spec *s, struct err *err)
{
	if (s->is_first) {
		if (os.mkdir(s->work_dir, 0700) == 0)
			return RC_OK;
		enum rc rc = errno == EEXIST ? dir_remove(s->work_dir, err) : RC_OK;
		if (rc != RC_OK)
			return rc;
	}
	return dir_make_unsynced(s->work_dir, 0700, err);
}

static enum rc make_log_folder(const char *log_path, struct err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(log_path, '/');
	size_t len = slash ? (size_t)(slash - log_path) : 0;

	if (len == 0 || len >= sizeof dir)
		return err_set(err, RC_IO, "there is no folder for the log '%.200s'", log_path);
	memcpy(dir, log_path, len);
	dir[len] = '\0';
	return dir_make_unsynced(dir, 0700, err);
}

/* Its folder is there for all but an instance's first task: made only when it is missed. */
static enum rc open_log(struct child *c, bool makes_folder, struct err *err)
{
	enum rc rc = tasklog_open(c, err);

	if (rc == RC_OK || !makes_folder || (err->sys != ENOENT && err->sys != ENOTDIR))
		return rc;
	rc = make_log_folder(c->spec.log_path, err);
	return rc == RC_OK ? tasklog_open(c, err) : rc;
}

enum rc prepare_files(struct child *c, struct err *err)
{
	bool has_orders = c->orders != NULL;
	enum rc rc = RC_OK;

	must(c->state == CHILD_NEW && !c->has_files);
	c->has_files = true;
	if (has_orders) {
		rc = make_folder(&c->spec, err);
		if (rc == RC_OK)
			rc = file_write(c->spec.task_file, c->orders, c->spec.orders_len, 0600, err);
		mem_free(c->orders);
		c->orders = NULL;
	}
	if (rc == RC_OK)
		rc = open_log(c, has_orders, err);
	if (rc == RC_NOT_FOUND || rc == RC_DENIED)
		rc = err->rc = RC_IO; /* whatever is missing here, it is not the user's program */
	return rc;
}

void prepare_undo(struct child *c)
{
	struct err err = { 0 };

	must(c->state == CHILD_NEW);
	bool is_ours = c->has_files && c->spec.is_first;
	if (is_ours && c->log_fd >= 0 && c->log_size == 0)
		(void)os.unlink(c->spec.log_path); /* an empty one is no loss, nor in the way */
	tasklog_end(c);
	if (is_ours && dir_remove(c->spec.work_dir, &err) != RC_OK)
		log_warn("files.not_removed", "path=%s reason=\"%s\"", c->spec.work_dir, err.msg);
}
