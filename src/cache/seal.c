/*
 * seal: nothing that clients write is lost to an operation that replaces all data and is then cut off.
 *
 * A flush or a restore may have to be repeated because nobody knows that it was done. What clients wrote in between
 * would go with it, though Redis had acknowledged it. So they can write again only when it is known:
 *
 *  S1 DIR/sealed, with the order's name, is on disk before anything is erased. While it is there clients cannot write:
 *     the file decides what a node is told at its start, by healing, and by seal_tell.
 *  S2 The seal becomes DIR/erased by one rename, when all is done; the nodes are opened after that. An order that is
 *     named there is not repeated.
 *  S3 Only another attempt at the same order keeps the seal; any other healing, such as that after the last attempt,
 *     breaks it.
 *  S4 DIR/closed is there from before S1 until every node was told that clients may write. So whoever keeps the
 *     instance sees when that failed, though all nodes serve, and has it healed.
 */
#include <string.h>
#include <unistd.h>
#include "cache/cache_priv.h"
#include "os/file.h"

#define SEALED "sealed"
#define ERASED "erased"
#define CLOSED "closed"

enum { ORDER_MAX = 256 };

static bool names_order(const struct cache_instance *c, const char *name, const char *order)
{
	char path[PATH_MAX];
	struct buf text;

	buf_init(&text, ORDER_MAX);
	bool is_it = order && path_join(path, c->dir, name, NULL) == RC_OK && file_read(path, &text, NULL) == RC_OK &&
	             strcmp(buf_text(&text), order) == 0;
	buf_fini(&text);
	return is_it;
}

static bool has(const struct cache_instance *c, const char *name)
{
	char path[PATH_MAX];
	return path_join(path, c->dir, name, NULL) == RC_OK && file_exists(path);
}

bool seal_is_there(const struct cache_instance *c) { return has(c, SEALED); }
bool cache_is_closed(const struct cache_instance *c) { return has(c, CLOSED); }
bool cache_has_erased(const struct cache_instance *c, const char *order) { return names_order(c, ERASED, order); }

/* Not synced: what would lose it ends the nodes as well, and they learn at their start what they may. */
static enum rc shut(const struct cache_instance *c, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = path_join(path, c->dir, CLOSED, err);

	if (rc == RC_OK)
		rc = file_write(path, "", 0, 0600, err);
	act_done();
	return rc;
}

void seal_opened(const struct cache_instance *c)
{
	char path[PATH_MAX];

	if (!cache_is_closed(c) || seal_is_there(c))
		return;
	if (path_join(path, c->dir, CLOSED, NULL) == RC_OK)
		let_pass(file_remove(path, NULL)); /* one healing more than needed */
	act_done();
}

enum rc seal_set(const struct op *op, const struct cache_instance *c, struct err *err)
{
	const char *order = op->run->order ? op->run->order : "";
	char path[PATH_MAX];
	enum rc rc = path_join(path, c->dir, SEALED, err);

	if (rc == RC_OK)
		rc = shut(c, err);
	if (rc == RC_OK)
		rc = file_replace(path, order, strlen(order), 0600, err);
	act_done();
	if (rc != RC_OK && seal_break(c, NULL) == RC_OK) /* it may be there and not last: nothing is erased yet */
		seal_opened(c);
	return rc;
}

enum rc seal_break(const struct cache_instance *c, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = path_join(path, c->dir, SEALED, err);

	if (rc == RC_OK)
		rc = file_remove(path, err);
	act_done();
	return rc;
}

enum rc seal_settle(const struct op *op, const struct cache_instance *c, struct err *err)
{
	return names_order(c, SEALED, op->run->order) ? RC_OK : seal_break(c, err);
}

/* A node without a process finds the file at its start. */
static enum rc tell(const struct op *op, const struct cache_instance *c, int node, struct wire *master, struct err *err)
{
	if (master && node == c->master)
		return conf_apply_account(master, c, err);
	CLEANUP(wire_closep) struct wire *w = NULL;
	enum rc rc = node_open(op, c, node, &w, err);
	int fd = rc == RC_OK ? -1 : node_pidfd(c, node);

	if (rc != RC_OK && fd < 0)
		return RC_OK;
	if (fd >= 0)
		(void)close(fd);
	return rc == RC_OK ? conf_apply_account(w, c, err) : rc;
}

enum rc seal_tell(const struct op *op, const struct cache_instance *c, struct wire *master, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++)
		rc = tell(op, c, i, master, err);
	if (rc == RC_OK)
		seal_opened(c);
	return rc == RC_OK ? conf_write_all(c, err) : rc;
}

enum rc seal_end(const struct op *op, const struct cache_instance *c, struct wire *master, struct err *err)
{
	char from[PATH_MAX], to[PATH_MAX];
	enum rc rc = path_join(from, c->dir, SEALED, err);

	if (rc == RC_OK)
		rc = path_join(to, c->dir, ERASED, err);
	if (rc == RC_OK)
		rc = file_publish(from, to, err); /* S2 */
	act_done();
	return rc == RC_OK ? seal_tell(op, c, master, err) : rc;
}
