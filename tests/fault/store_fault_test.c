/*
 * The store alone: a batch of two rows with every call below it failing in turn. After each the rows are both there or
 * both absent, as the answer said; and so they would be had the process been killed at that moment: the files as they
 * are then are copied and opened beside. A checkpoint that fails loses nothing.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/must.h"
#include "os/file.h"
#include "store/sqlite/sqlite_priv.h"
#include "store/tables.h"
#include "test.h"
#include "world.h"

enum { N_MAX = 1 << 20 };

#define DB_ALL                                                                                                         \
	(KIND(DB_OPEN) | KIND(DB_READ) | KIND(DB_WRITE) | KIND(DB_INDEX) | KIND(DB_SYNC) | KIND(DB_TRUNCATE) |         \
	 KIND(DB_UNLINK) | KIND(DB_MMAP))

static const struct inject_plan plans[] = {
	{ .what = "an I/O error", .kinds = DB_ALL, .sys = EIO },
	{ .what = "I/O errors from then on", .kinds = DB_ALL, .sys = EIO, .goes_on = true },
	{ .what = "a full disk",
	  .kinds = KIND(DB_WRITE) | KIND(DB_TRUNCATE) | KIND(DB_INDEX) | KIND(DB_MMAP),
	  .sys = ENOSPC },
	{ .what = "a full disk from then on",
	  .kinds = KIND(DB_WRITE) | KIND(DB_TRUNCATE) | KIND(DB_INDEX) | KIND(DB_MMAP),
	  .sys = ENOSPC,
	  .goes_on = true },
	{ .what = "a quota", .kinds = KIND(DB_WRITE), .sys = EDQUOT, .goes_on = true },
	{ .what = "a failing sync", .kinds = KIND(DB_SYNC), .sys = EIO },
	{ .what = "a sync that finds the disk full", .kinds = KIND(DB_SYNC), .sys = ENOSPC },
	{ .what = "no memory", .kinds = KIND(DB_MEMORY), .sys = ENOMEM },
	{ .what = "no memory from then on", .kinds = KIND(DB_MEMORY), .sys = ENOMEM, .goes_on = true },
	{ .what = "an interrupted call", .kinds = KIND(DB_READ) | KIND(DB_WRITE), .sys = EINTR, .is_invisible = true },
	{ .what = "a short write", .kinds = KIND(DB_WRITE), .is_invisible = true },
};

/* No room, and nothing else: to be told so. */
static bool is_full(const struct inject_plan *plan)
{
	return (plan->sys == ENOSPC || plan->sys == EDQUOT) && !(plan->kinds & KIND(DB_SYNC));
}

/* Where it was found before anything was in doubt; and what has another cause is not told so. */
static bool is_told_right(const struct inject_plan *plan, enum rc rc, const struct err *err)
{
	bool says_full = strstr(err->msg, "the disk is full") != NULL;
	return rc == RC_OK || (is_full(plan) ? rc == RC_BUSY && says_full : !says_full);
}

static char path[PATH_MAX], copy[PATH_MAX];

static void set_paths(void)
{
	must(path_join(path, world.dir, "stint.db", NULL) == RC_OK);
	must(path_join(copy, world.dir, "copy.db", NULL) == RC_OK);
}

static void put(const char *from, const char *to, const char *end)
{
	char a[PATH_MAX + 8], b[PATH_MAX + 8];
	struct buf bytes;

	(void)snprintf(a, sizeof a, "%s%s", from, end);
	(void)snprintf(b, sizeof b, "%s%s", to, end);
	buf_init(&bytes, (size_t)256 << 20);
	enum rc rc = file_read(a, &bytes, NULL);
	must(rc == RC_OK || rc == RC_NOT_FOUND);
	must(file_remove(b, NULL) == RC_OK);
	if (rc == RC_OK)
		must(file_write(b, buf_text(&bytes), bytes.len, 0600, NULL) == RC_OK);
	buf_fini(&bytes);
}

/* What a restart would find after kill -9 now. */
static void copy_files(const char *from, const char *to)
{
	put(from, to, "");
	put(from, to, "-wal");
	char shm[PATH_MAX + 8];
	(void)snprintf(shm, sizeof shm, "%s-shm", to);
	must(file_remove(shm, NULL) == RC_OK);
}

static struct store *open_at(const char *where)
{
	struct store *s = NULL;
	struct err err = { 0 };
	must(store_open_sqlite(where, STORE_WRITER, &s, &err) == RC_OK || !printf("%s\n", err.msg));
	return s;
}

static int64_t count_rows(struct store *s, const char *account)
{
	struct query q = { .table = &table_app, .preds = { PRED_TEXT("account", CMP_EQ, account) }, .n_preds = 1 };
	struct err err = { 0 };
	int64_t n = -1;
	EXPECT(store_count(s, &q, &n, &err) == RC_OK, "count: %s", err.msg);
	return n;
}

static int64_t count_at(const char *where, const char *account)
{
	struct store *s = open_at(where);
	struct err err = { 0 };
	EXPECT(store_check(s, STORE_FULL, &err) == RC_OK, "%s: %s", where, err.msg);
	int64_t n = count_rows(s, account);
	store_close(s);
	return n;
}

static enum rc add_pair(struct store *s, const char *account, struct err *err)
{
	struct app_row one = { .account = account, .name = "one" }, two = { .account = account, .name = "two" };

	enum rc rc = store_begin(s, err);
	if (rc != RC_OK)
		return rc;
	rc = store_insert(s, &table_app, &one, err);
	if (rc == RC_OK)
		rc = store_mark(s, err);
	if (rc == RC_OK)
		rc = store_insert(s, &table_app, &two, err);
	if (rc == RC_OK)
		rc = store_mark_keep(s, err);
	if (rc == RC_OK)
		return store_commit(s, err);
	store_rollback(s);
	return rc;
}

/* Of a store in hand and of its files as they lie there. */
static void judge(const char *what, const struct inject_plan *plan, struct store *s, enum rc rc, const struct err *err,
		  const char *account)
{
	struct err again = { 0 };

	EXPECT(rc == RC_OK || rc == RC_BUSY || rc == RC_IO || rc == RC_CORRUPT, "%s: %s %s", what, rc_name(rc),
	       err->msg);
	EXPECT(rc == RC_OK || *err->msg, "%s: %s without a word", what, rc_name(rc));
	EXPECT(rc == RC_OK || !plan->is_invisible, "%s: was to go unnoticed: %s", what, err->msg);
	copy_files(path, copy);
	int64_t killed = count_at(copy, account);
	EXPECT(killed == 0 || killed == 2, "%s: half a batch after a kill", what);
	EXPECT(rc != RC_OK || killed == 2, "%s: acknowledged, and gone after a kill", what);
	EXPECT(rc != RC_BUSY || killed == 0, "%s: 'nothing was done' (%s), and there after a kill", what, err->msg);
	if (rc == RC_OK || rc == RC_BUSY)
		EXPECT(count_rows(s, account) == (rc == RC_OK ? 2 : 0), "%s: the store itself says otherwise", what);
	if (rc == RC_IO) /* in doubt: nothing more until it was opened afresh */
		EXPECT(store_begin(s, &again) == RC_IO && strstr(again.msg, "reopened"), "%s: goes on in doubt: %s",
		       what, again.msg);
}

static bool try_batch(const struct inject_plan *plan, int n)
{
	static int number;
	char what[128], account[32];
	struct err err = { 0 };
	struct store *s = open_at(path);

	(void)snprintf(what, sizeof what, "%s at call %d", plan->what, n);
	(void)snprintf(account, sizeof account, "%d", number++);
	inject_arm(plan, n);
	enum rc rc = add_pair(s, account, &err);
	bool is_met = inject_disarm() > 0;
	EXPECT(is_told_right(plan, rc, &err), "%s: told as %s %s", what, rc_name(rc), err.msg);
	judge(what, plan, s, rc, &err, account);
	store_close(s);
	int64_t left = count_at(path, account);
	EXPECT(left == 0 || left == 2, "%s: half a batch", what);
	EXPECT(rc != RC_OK || left == 2, "%s: acknowledged and lost", what);
	return is_met;
}

static bool is_chosen(const char *what)
{
	const char *only = getenv("FAULT_ONLY");
	return !only || strstr(what, only);
}

TEST(a_batch_is_whole_or_absent_also_after_a_kill)
{
	FOR_EACH_ROW(i, plans) {
		int n = 1;
		if (!is_chosen(plans[i].what))
			continue;
		for (; n < N_MAX && try_batch(&plans[i], n); n = world_step(n))
			continue;
		EXPECT(n < N_MAX, "%s: no end of faults", plans[i].what);
		if (getenv("FAULT_VERBOSE"))
			printf("# batch, %s: up to call %d\n", plans[i].what, n);
	}
}

/* ---- a batch that outgrows the index of the log ---- */

/* Larger than what one page of the index knows (4062 frames), in the second row. */
static enum rc add_large(struct store *s, const char *account, struct err *err)
{
	static char text[18 << 20];
	struct app_row one = { .account = account, .name = "one" },
		       two = { .account = account, .name = "two", .description = text };

	memset(text, 'x', sizeof text - 1);
	enum rc rc = store_begin(s, err);
	if (rc != RC_OK)
		return rc;
	rc = store_insert(s, &table_app, &one, err);
	if (rc == RC_OK)
		rc = store_insert(s, &table_app, &two, err);
	if (rc == RC_OK)
		return store_commit(s, err);
	store_rollback(s);
	return rc;
}

static struct store *open_anew(void)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char name[PATH_MAX + 8];

	FOR_EACH_ROW(i, ends) {
		(void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
		must(file_remove(name, NULL) == RC_OK);
	}
	return open_at(path);
}

/* The index grows when the frames are written already: no room for it is no proof that nothing was kept. */
TEST(a_log_index_without_room_is_a_doubt)
{
	static const struct inject_plan full = { .what = "no room for the index",
						 .kinds = KIND(DB_INDEX),
						 .sys = ENOSPC };
	char what[64], account[32];
	struct err err = { 0 };

	struct store *s = open_anew();
	inject_arm(&full, 1 << 20);
	must(add_large(s, "count", &err) == RC_OK);
	(void)inject_disarm();
	int last = inject_calls();
	store_close(s);
	EXPECT(last > 0, "the index did not grow");
	for (int n = 1; n <= last; n = world_step(n)) {
		s = open_anew();
		(void)snprintf(what, sizeof what, "a large batch, no room at call %d of %d", n, last);
		(void)snprintf(account, sizeof account, "large%d", n);
		err = (struct err){ 0 };
		inject_arm(&full, n);
		enum rc rc = add_large(s, account, &err);
		EXPECT(inject_disarm() == 1, "%s: not met", what);
		judge(what, &full, s, rc, &err, account);
		store_close(s);
	}
}

/* What the kernel said lately is not what it says now. */
TEST(an_error_after_a_full_disk_is_told_as_itself)
{
	static const struct inject_plan full = {
		.what = "full", .kinds = KIND(DB_WRITE), .sys = EDQUOT, .goes_on = true
	};
	static const struct inject_plan broken = {
		.what = "broken", .kinds = KIND(DB_WRITE), .sys = EIO, .goes_on = true
	};
	struct err err = { 0 };
	struct store *s = open_anew();

	inject_arm(&full, 1);
	EXPECT(add_pair(s, "lately", &err) == RC_BUSY && strstr(err.msg, "the disk is full"), "%s", err.msg);
	(void)inject_disarm();
	inject_arm(&broken, 1);
	EXPECT(add_pair(s, "now", &err) == RC_IO && !strstr(err.msg, "full"), "%s", err.msg);
	(void)inject_disarm();
	store_close(s);
}

/* ---- opening ---- */

static bool try_open(const struct inject_plan *plan, int n)
{
	char what[128];
	struct err err = { 0 };
	struct store *s = NULL;
	int fds = inject_count_fds();

	(void)snprintf(what, sizeof what, "opening, %s at call %d", plan->what, n);
	inject_arm(plan, n);
	enum rc rc = store_open_sqlite(path, STORE_WRITER, &s, &err);
	bool is_met = inject_disarm() > 0;
	EXPECT(rc == RC_OK || rc == RC_BUSY || rc == RC_IO || (rc == RC_CORRUPT && plan->sys == EIO), "%s: %s %s", what,
	       rc_name(rc), err.msg);
	EXPECT(rc == RC_OK || *err.msg, "%s: without a word", what);
	EXPECT(is_told_right(plan, rc, &err), "%s: told as %s %s", what, rc_name(rc), err.msg);
	EXPECT(rc == RC_OK || !plan->is_invisible, "%s: was to go unnoticed: %s", what, err.msg);
	EXPECT((rc == RC_OK) == (s != NULL), "%s: output", what);
	store_close(s);
	EXPECT(inject_count_fds() == fds, "%s: descriptors", what);
	EXPECT(count_at(path, "kept") == 2, "%s: what was there before", what);
	return is_met;
}

/* From the files that a kill left: with a log to be read. */
TEST(an_opening_that_fails_spoils_nothing)
{
	struct err err = { 0 };
	struct store *s = open_at(path);
	must(add_pair(s, "kept", &err) == RC_OK);
	copy_files(path, copy);
	store_close(s);
	FOR_EACH_ROW(i, plans) {
		bool is_met = is_chosen(plans[i].what);
		for (int n = 1; is_met && n < N_MAX; n = world_step(n)) {
			copy_files(copy, path);
			is_met = try_open(&plans[i], n);
		}
		EXPECT(!is_met, "%s: no end of faults", plans[i].what);
	}
}

/* ---- checkpoints ---- */

/* Every call of a checkpoint fails in turn; the rows stay readable, durable, and new ones can be written. */
static bool try_checkpoint(const struct inject_plan *plan, int n)
{
	static int number;
	char what[128], before[32], after[32];
	struct err err = { 0 };
	struct store *s = open_at(path);

	(void)snprintf(what, sizeof what, "a checkpoint, %s at call %d", plan->what, n);
	(void)snprintf(before, sizeof before, "before%d", number);
	(void)snprintf(after, sizeof after, "after%d", number++);
	must(add_pair(s, before, &err) == RC_OK);
	inject_arm(plan, n);
	int code = sqlite3_wal_checkpoint_v2(sqlite_of(s)->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	bool is_met = inject_disarm() > 0;
	EXPECT(code == SQLITE_OK || !plan->is_invisible, "%s: was to go unnoticed: %d", what, code);
	copy_files(path, copy);
	EXPECT(count_at(copy, before) == 2, "%s: lost after a kill", what);
	EXPECT(count_rows(s, before) == 2, "%s: not to be read any more", what);
	EXPECT(add_pair(s, after, &err) == RC_OK, "%s: nothing can be written any more: %s", what, err.msg);
	store_close(s);
	EXPECT(count_at(path, before) == 2 && count_at(path, after) == 2, "%s: lost", what);
	return is_met;
}

TEST(a_checkpoint_that_fails_loses_nothing)
{
	FOR_EACH_ROW(i, plans) {
		bool is_met = is_chosen(plans[i].what);
		for (int n = 1; is_met && n < N_MAX; n = world_step(n))
			is_met = try_checkpoint(&plans[i], n);
		EXPECT(!is_met, "%s: no end of faults", plans[i].what);
	}
}

/* ---- a write that proves ---- */

TEST(a_touch_writes_and_so_meets_the_full_disk)
{
	static const struct inject_plan full = {
		.what = "full", .kinds = KIND(DB_WRITE), .sys = ENOSPC, .goes_on = true
	};
	struct err err = { 0 };
	struct store *s = open_at(path);

	inject_arm(&full, 1);
	must(store_begin(s, &err) == RC_OK);
	EXPECT(store_commit(s, &err) == RC_OK, "an empty commit writes nothing: %s", err.msg);
	must(store_begin(s, &err) == RC_OK && store_touch(s, &err) == RC_OK);
	EXPECT(store_commit(s, &err) == RC_BUSY && strstr(err.msg, "full"), "nothing was written: %s", err.msg);
	(void)inject_disarm();
	must(store_begin(s, &err) == RC_OK && store_touch(s, &err) == RC_OK);
	EXPECT(store_commit(s, &err) == RC_OK, "%s", err.msg);
	EXPECT(store_schema_version(s) > 0, "the version stays");
	store_close(s);
	store_close(open_at(path));
}

int main(void)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	inject_install();
	world_begin();
	set_paths();
	RUN(a_batch_is_whole_or_absent_also_after_a_kill);
	RUN(a_log_index_without_room_is_a_doubt);
	RUN(an_error_after_a_full_disk_is_told_as_itself);
	RUN(an_opening_that_fails_spoils_nothing);
	RUN(a_checkpoint_that_fails_loses_nothing);
	RUN(a_touch_writes_and_so_meets_the_full_disk);
	world_end();
	return test_failures != 0;
}
