/*
 * The SQLite store alone: what survives, what is refused at opening, neighbours, full disks, failing disks, crashes,
 * migrations and query plans. What it shares with the memory store is in tests/contract/store_contract_test.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/crash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "os/calls.h"
#include "os/file.h"
#include "store/foreign.h"
#include "store/sqlite/sqlite_priv.h"
#include "store/tables.h"
#include "test.h"

static char dir[512], path[600];
static struct arena *a;
static struct err e;

#define OK(call) EXPECT((call) == RC_OK, "%s", e.msg)
#define SAYS(text) EXPECT(strstr(e.msg, text), "said '%s'", e.msg)

/* Each test has a path of its own, nothing there yet. */
#define RUN_FRESH(test)                                                                             \
	do {                                                                                        \
		(void)snprintf(path, sizeof path, "%s/%s.db", dir, #test);                          \
		a = arena_new((size_t)64 << 20);                                                    \
		memset(&e, 0, sizeof e);                                                            \
		RUN(test);                                                                          \
		arena_free(a);                                                                      \
	} while (0)

static struct store *open_as(enum store_mode mode)
{
	struct store *s = NULL;
	OK(store_open_sqlite(path, mode, &s, &e));
	return s;
}

static sqlite3 *db_of(struct store *s) { return sqlite_of(s)->db; }

static enum rc add_app(struct store *s, const char *name)
{
	struct app_row row = { .account = "1", .name = name };
	return store_insert(s, &table_app, &row, &e);
}

static int64_t count_apps(struct store *s)
{
	int64_t n = -1;
	OK(store_count(s, &(struct query){ .table = &table_app }, &n, &e));
	return n;
}

/* Run SQL on the file behind the store's back. */
static void tamper(const char *sql)
{
	sqlite3 *db = NULL;
	char *words = NULL;
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK, "open");
	EXPECT(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s: %s", sql, words);
	sqlite3_free(words);
	(void)sqlite3_close(db);
}

static void read_whole(struct buf *out)
{
	buf_init(out, (size_t)64 << 20);
	OK(file_read(path, out, &e));
}

/* ---- opening ---- */

TEST(rows_survive_a_reopen)
{
	struct store *s = open_as(STORE_WRITER);
	OK(add_app(s, "a"));
	OK(store_begin(s, &e));
	OK(add_app(s, "never committed"));
	store_close(s);
	s = open_as(STORE_WRITER);
	EXPECT(count_apps(s) == 1, "%lld", (long long)count_apps(s));
	EXPECT(store_schema_version(s) == schema_version, "version");
	OK(add_app(s, "b"));
	store_close(s);
	struct store *r = open_as(STORE_READER); /* no log beside the file, and no other connection */
	EXPECT(count_apps(r) == 2, "reader");
	store_close(r);
}

TEST(settings_that_durability_rests_on)
{
	const struct {
		const char *sql;
		int64_t value;
	} row[] = {
		{ "PRAGMA synchronous", 2 },
		{ "PRAGMA foreign_keys", 1 },
		{ "PRAGMA trusted_schema", 0 },
		{ "PRAGMA busy_timeout", BUSY_TIMEOUT_MS },
		{ "PRAGMA application_id", STORE_APPLICATION_ID },
		{ "PRAGMA user_version", schema_version },
		{ "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 1 },
	};
	struct store *s = open_as(STORE_WRITER);
	FOR_EACH_ROW(i, row) {
		int64_t v = -1;
		OK(sqlite_number(db_of(s), row[i].sql, &v, &e));
		EXPECT(v == row[i].value, "%s is %lld", row[i].sql, (long long)v);
	}
	struct stat st = { 0 };
	EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "mode %o", st.st_mode & 0777);
	int64_t mapped = -1, judges = -1;
	OK(sqlite_number(db_of(s), "PRAGMA mmap_size", &mapped, &e));
	OK(sqlite_number(db_of(s), "PRAGMA cell_size_check", &judges, &e));
	EXPECT(mapped == 0 && judges == 1, "of the writer: %lld mapped, check %lld", (long long)mapped,
		(long long)judges);
	store_close(s);
}

static int n_opened, n_synced;

static int open_without_nameless(const char *p, int flags, mode_t mode)
{
	n_opened++;
	errno = EOPNOTSUPP;
	return (flags & O_TMPFILE) == O_TMPFILE ? -1 : os_real.open(p, flags, mode);
}

static int refused_folder_sync(int fd)
{
	errno = EIO;
	return ++n_synced == 2 ? -1 : os_real.fsync(fd);
}

/* A database is made as a whole where the file system has files without a name, and by SQLite where not: the same
 * one. */
TEST(a_new_database_is_there_as_a_whole_or_not)
{
	struct buf whole;
	struct store *s;

	/* The file is there, and may be lost with the power: that cannot be called a success. */
	os.fsync = refused_folder_sync;
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, &e) == RC_IO && strstr(e.msg, "fsync"), "%s", e.msg);
	os = os_real;
	read_whole(&whole);
	EXPECT(n_synced == 2 && whole.len > 4096 && memcmp(whole.bytes, "SQLite format 3", 16) == 0, "%d %zu",
	       n_synced, whole.len);
	EXPECT(whole.bytes[18] == 2 && whole.bytes[19] == 2, "without a log");
	buf_fini(&whole);
	s = open_as(STORE_WRITER);
	EXPECT(store_schema_version(s) == schema_version && store_check(s, STORE_FULL, &e) == RC_OK, "%s", e.msg);
	OK(add_app(s, "a"));
	store_close(s);
	(void)snprintf(path, sizeof path, "%s/with-a-name.db", dir);
	os.open = open_without_nameless;
	s = open_as(STORE_WRITER);
	os = os_real;
	EXPECT(n_opened > 0 && store_schema_version(s) == schema_version && count_apps(s) == 0, "%d", n_opened);
	OK(store_check(s, STORE_FULL, &e));
	store_close(s);
}

TEST(files_that_are_not_ours_are_refused_and_left_alone)
{
	static const char text[] = "This is a letter, not a database. It is longer than the head of one, which has "
				   "one hundred bytes, so that it is read at all.";
	const struct {
		const char *name, *sql; /* NULL: a text file */
		enum rc rc;
		const char *says;
	} row[] = {
		{ "foreign", "PRAGMA application_id=77; CREATE TABLE x(y)", RC_INVALID, "application id 77" },
		{ "nameless", "CREATE TABLE x(y)", RC_INVALID, "application id 0" },
		{ "versioned", "PRAGMA user_version=1", RC_INVALID, "another program" },
		{ "newer", "PRAGMA application_id=1937010292; PRAGMA user_version=99", RC_CONFLICT, "version 99" },
		{ "letter", NULL, RC_CORRUPT, "no database" },
	};
	FOR_EACH_ROW(i, row) {
		(void)snprintf(path, sizeof path, "%s/%s.db", dir, row[i].name);
		if (row[i].sql)
			tamper(row[i].sql);
		else
			OK(file_replace(path, text, sizeof text, 0644, &e));
		struct buf before, after;
		read_whole(&before);
		for (int mode = STORE_WRITER; mode <= STORE_READER; mode++) {
			struct store *s = (struct store *)path;
			EXPECT(store_open_sqlite(path, (enum store_mode)mode, &s, &e) == row[i].rc, "%s: %s",
			       row[i].name, e.msg);
			SAYS(row[i].says);
			SAYS(path);
			EXPECT((char *)s == path, "output touched");
		}
		/* What its head alone tells: all but which version it has. */
		enum rc by_head = row[i].rc == RC_CONFLICT ? RC_OK : row[i].rc;
		EXPECT(store_refuse_foreign(path, &e) == by_head, "%s: %s", row[i].name, e.msg);
		if (by_head != RC_OK)
			SAYS(row[i].says);
		read_whole(&after);
		EXPECT(before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0, "%s changed",
		       row[i].name);
		buf_fini(&before);
		buf_fini(&after);
	}
	EXPECT(STORE_APPLICATION_ID == 1937010292, "the number in the table above");
}

TEST(nothing_is_said_against_our_own_database_nor_an_empty_file)
{
	OK(store_refuse_foreign(path, &e)); /* there is none */
	OK(file_replace(path, "", 0, 0600, &e));
	OK(store_refuse_foreign(path, &e));
	struct store *s = open_as(STORE_WRITER);
	OK(store_refuse_foreign(path, &e));
	OK(add_app(s, "a"));
	store_close(s);
	OK(store_refuse_foreign(path, &e));
}

TEST(a_newer_database_is_refused_with_both_versions)
{
	char own[32];
	struct store *s = open_as(STORE_WRITER);
	OK(add_app(s, "a"));
	store_close(s);
	tamper("PRAGMA user_version=4711");
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, &e) == RC_CONFLICT, "%s", e.msg);
	(void)snprintf(own, sizeof own, "up to %d", schema_version);
	SAYS("version 4711");
	SAYS(own);
}

TEST(readers_do_not_create)
{
	struct store *s = NULL;
	EXPECT(store_open_sqlite(path, STORE_READER, &s, &e) == RC_NOT_FOUND, "%s", e.msg);
	SAYS(path);
	EXPECT(!s && !file_exists(path), "made");
	OK(file_replace(path, "", 0, 0600, &e));
	EXPECT(store_open_sqlite(path, STORE_READER, &s, &e) == RC_NOT_FOUND, "%s", e.msg);
	SAYS("empty");
	(void)snprintf(path, sizeof path, "%s/no/such/folder/x.db", dir);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, &e) == RC_IO, "%s", e.msg);
	SAYS("cannot open");
}

TEST(a_reader_wants_an_up_to_date_schema)
{
	struct store *s = open_as(STORE_WRITER);
	store_close(s);
	tamper("PRAGMA user_version=0"); /* as if this program had one migration more */
	EXPECT(store_open_sqlite(path, STORE_READER, &s, &e) == RC_CONFLICT, "%s", e.msg);
	SAYS("up to date");
}

TEST(columns_must_be_the_described_ones)
{
	const struct {
		const char *sql, *says;
	} row[] = {
		{ "ALTER TABLE app RENAME COLUMN domain TO realm", "realm" },
		{ "ALTER TABLE task ADD COLUMN extra TEXT NOT NULL DEFAULT ''", "extra" },
		{ "ALTER TABLE event DROP COLUMN text", "5 of the 6" },
		{ "DROP TABLE \"default\"", "default has 0 of the 3" },
		{ "DROP TABLE metric; CREATE TABLE metric(task_id INTEGER, set_name TEXT, name TEXT, step INTEGER, "
		  "value TEXT, at INTEGER, PRIMARY KEY(task_id, set_name, name, step))", "value" },
		{ "DROP TABLE metric; CREATE TABLE metric(task_id INTEGER PRIMARY KEY, set_name TEXT, name TEXT, "
		  "step INTEGER, value REAL, at INTEGER)", "set_name" },
	};
	FOR_EACH_ROW(i, row) {
		(void)snprintf(path, sizeof path, "%s/columns-%zu.db", dir, i);
		struct store *s = open_as(STORE_WRITER);
		store_close(s);
		tamper(row[i].sql);
		EXPECT(store_open_sqlite(path, STORE_WRITER, &s, &e) == RC_CORRUPT, "%s: %s", row[i].sql, e.msg);
		SAYS(row[i].says);
	}
}

/* Overwrite one page of 4096 bytes (the first is page 1). */
static void spoil_page(int64_t page)
{
	char junk[4096];
	memset(junk, 0xa5, sizeof junk);
	int fd = os.open(path, O_WRONLY | O_CLOEXEC, 0);
	EXPECT(fd >= 0 && pwrite(fd, junk, sizeof junk, (page - 1) * 4096) == (ssize_t)sizeof junk, "spoil");
	(void)os.close(fd);
}

TEST(damage_is_called_damage)
{
	int64_t root = 0;
	struct store *s = open_as(STORE_WRITER);
	OK(add_app(s, "a"));
	OK(sqlite_number(db_of(s), "SELECT rootpage FROM sqlite_schema WHERE name='app'", &root, &e));
	store_close(s);
	spoil_page(root);
	s = open_as(STORE_WRITER);
	struct app_row *rows = NULL;
	size_t n = 7;
	EXPECT(store_list(s, &(struct query){ .table = &table_app }, a, (void **)&rows, &n, &e) == RC_CORRUPT, "%s",
	       e.msg);
	EXPECT(n == 7 && !rows, "touched");
	EXPECT(store_check(s, STORE_FULL, &e) == RC_CORRUPT, "%s", e.msg);
	SAYS("damaged");
	EXPECT(add_app(s, "b") == RC_CORRUPT, "%s", e.msg);
	store_close(s);
	spoil_page(1);
	EXPECT(store_open_sqlite(path, STORE_WRITER, &s, &e) == RC_CORRUPT, "%s", e.msg);
}

/* A reader for requests judges no cells when it meets a page. What it answers then is up to the damage: rows, or that
 * the file is damaged; it never reads beyond the page, and the check of the whole finds it. */
TEST(a_reader_for_requests_survives_damage)
{
	enum { ROUNDS = 150, ROWS = 60, PAGE = 4096 };
	int64_t leaf = 0;
	unsigned char whole[PAGE], page[PAGE];
	int n_told = 0;
	struct store *s = open_as(STORE_WRITER);
	for (int i = 0; i < ROWS; i++)
		OK(add_app(s, arena_printf(a, "app-%d", i)));
	OK(sqlite_number(db_of(s), "SELECT rootpage FROM sqlite_schema WHERE name='app'", &leaf, &e));
	store_close(s);
	int fd = os.open(path, O_RDWR | O_CLOEXEC, 0);
	EXPECT(fd >= 0 && pread(fd, whole, PAGE, (leaf - 1) * PAGE) == PAGE && whole[0] == 13,
		"the rows are on one leaf");
	srandom(7);
	for (int round = 0; round < ROUNDS; round++) {
		memcpy(page, whole, PAGE);
		page[8 + random() % (2 * ROWS)] = (unsigned char)random(); /* where a cell begins */
		page[random() % PAGE] = (unsigned char)random();
		EXPECT(pwrite(fd, page, PAGE, (leaf - 1) * PAGE) == PAGE, "spoil");
		s = open_as(STORE_READER);
		OK(store_for_requests(s, 1 << 20, &e));
		struct app_row *rows;
		size_t n;
		enum rc rc = store_list(s, &(struct query){ .table = &table_app }, a, (void **)&rows, &n, &e);
		EXPECT(rc == RC_OK || rc == RC_CORRUPT || rc == RC_LIMIT, "round %d: %s", round, e.msg);
		n_told += rc == RC_CORRUPT;
		store_close(s);
	}
	EXPECT(n_told > ROUNDS / 10, "told %d times", n_told);
	(void)os.close(fd);
}

/* Were it mapped, the process would be ended by a signal. */
TEST(a_file_that_is_cut_short_is_an_error)
{
	struct store *w = open_as(STORE_WRITER);
	for (int i = 0; i < 300; i++)
		OK(add_app(w, arena_printf(a, "app-%d", i)));
	store_close(w); /* all of the log is in the file */
	struct store *r = open_as(STORE_READER);
	OK(store_for_requests(r, 1 << 20, &e));
	struct app_row *rows;
	struct query first = { .table = &table_app, .limit = 1 }, all = { .table = &table_app };
	size_t n = 0;
	OK(store_begin_read(r, &e)); /* of a new view SQLite looks at the file's size first */
	OK(store_list(r, &first, a, (void **)&rows, &n, &e));
	EXPECT(n == 1 && truncate(path, 2 * 4096) == 0, "cut");
	EXPECT(store_list(r, &all, a, (void **)&rows, &n, &e) == RC_CORRUPT, "%s", e.msg);
	store_close(r);
}

TEST(an_index_that_lacks_a_row_is_found_by_a_full_check)
{
	store_close(open_as(STORE_WRITER));
	/* A row comes while the index is said to be for others: its pages are whole, and what they say is not. */
	tamper("PRAGMA writable_schema=ON;"
	       "UPDATE sqlite_schema SET sql = sql || ' WHERE id < 0' WHERE name='template_newest'");
	tamper("INSERT INTO template (uid) VALUES ('x')");
	tamper("PRAGMA writable_schema=ON;"
	       "UPDATE sqlite_schema SET sql = replace(sql, ' WHERE id < 0', '') WHERE name='template_newest'");
	struct store *s = open_as(STORE_READER);
	OK(store_check(s, STORE_QUICK, &e));
	EXPECT(store_check(s, STORE_FULL, &e) == RC_CORRUPT, "%s", e.msg);
	SAYS("missing from index template_newest");
	store_close(s);
}

/* ---- neighbours ---- */

TEST(a_reader_sees_what_is_committed_at_once)
{
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	for (int i = 0; i < 5; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "%d", i);
		OK(store_begin(w, &e));
		OK(add_app(w, name));
		EXPECT(count_apps(r) == i, "uncommitted seen");
		OK(store_commit(w, &e));
		EXPECT(count_apps(r) == i + 1, "committed not seen");
	}
	OK(store_begin_read(r, &e));
	EXPECT(count_apps(r) == 5, "start of the view");
	OK(add_app(w, "later"));
	EXPECT(count_apps(r) == 5, "the view moved");
	store_end_read(r);
	EXPECT(count_apps(r) == 6, "after the view");
	store_close(r);
	store_close(w);
}

static enum rc get_app(struct store *s, const char *name, struct app_row *out)
{
	struct query q = { .table = &table_app,
			   .preds = { PRED_TEXT("account", CMP_EQ, "1"), PRED_TEXT("name", CMP_EQ, name) },
			   .n_preds = 2 };
	return store_get(s, &q, out, a, &e);
}

/* In a view of its own, as a request does. */
static const char *description_of(struct store *r, const char *name)
{
	struct app_row got = { 0 };
	OK(store_begin_read(r, &e));
	enum rc rc = get_app(r, name, &got);
	store_end_read(r);
	return rc == RC_OK ? got.description : "not there";
}

static void describe(struct store *w, const char *name, const char *text)
{
	struct app_row row;
	OK(get_app(w, name, &row));
	row.description = text;
	OK(store_update(w, &table_app, &row, &e));
}

TEST(what_was_read_is_remembered_until_somebody_writes)
{
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	struct app_row row = { .account = "1", .name = "a", .description = "first" }, got;
	OK(store_insert(w, &table_app, &row, &e));
	uint64_t *hits = &sqlite_of(r)->memo.n_hits;

	EXPECT(strcmp(description_of(r, "a"), "first") == 0 && *hits == 0, "read");
	EXPECT(strcmp(description_of(r, "a"), "first") == 0 && *hits == 0, 
	       "read once more, so it may be asked for often");
	EXPECT(strcmp(description_of(r, "a"), "first") == 0 && *hits == 1, "remembered: %d", (int)*hits);
	EXPECT(strcmp(description_of(r, "b"), "not there") == 0 && *hits == 1, "another key");

	/* Any commit of the writer ends it, of whatever row. */
	describe(w, "a", "second");
	EXPECT(strcmp(description_of(r, "a"), "second") == 0 && *hits == 1, "changed");
	EXPECT(strcmp(description_of(r, "a"), "second") == 0 && *hits == 2, "remembered again");
	OK(add_app(w, "b"));
	EXPECT(strcmp(description_of(r, "b"), "") == 0, "it exists by now");

	/* Within a view the moment stays, whether the row comes from memory or from the file. */
	OK(store_begin_read(r, &e));
	describe(w, "a", "third");
	OK(get_app(r, "a", &got));
	EXPECT(strcmp(got.description, "second") == 0, "%s", got.description);
	OK(get_app(r, "a", &got));
	EXPECT(strcmp(got.description, "second") == 0 && got.id == row.id && strcmp(got.name, "a") == 0, "%s",
	       got.description);
	store_end_read(r);
	EXPECT(strcmp(description_of(r, "a"), "third") == 0, "after it");

	/* Gone is gone, and a writer remembers nothing of its own. */
	int64_t n;
	struct query all = { .table = &table_app };
	OK(store_begin_read(w, &e));
	OK(get_app(w, "a", &got));
	store_end_read(w);
	OK(store_delete(w, &all, &n, &e));
	EXPECT(strcmp(description_of(r, "a"), "not there") == 0, "deleted");
	EXPECT(strcmp(description_of(w, "a"), "not there") == 0, "deleted by itself");
	store_close(r);
	store_close(w);
}

static bool is_in_transaction(struct store *s) { return !sqlite3_get_autocommit(sqlite_of(s)->db); }

/* All of the log into the file and the log to nothing; false: a reader still needs some of it. */
static bool cut_log(struct store *w)
{
	int in_log, done;
	return sqlite3_wal_checkpoint_v2(sqlite_of(w)->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &in_log, &done) ==
	       SQLITE_OK;
}

static void expect_in_view(struct store *r, const char *text)
{
	struct app_row got = { 0 };
	OK(store_begin_read(r, &e));
	OK(get_app(r, "a", &got));
	EXPECT(got.description && strcmp(got.description, text) == 0, "%s, not %s", got.description, text);
}

TEST(a_paused_view_goes_on_until_somebody_writes)
{
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	struct app_row row = { .account = "1", .name = "a", .description = "first" }, got;
	OK(store_insert(w, &table_app, &row, &e));
	(void)sqlite3_busy_timeout(sqlite_of(w)->db, 0); /* a log that cannot be cut says so at once */
	expect_in_view(r, "first"); /* learns where to look */
	store_end_read(r);

	expect_in_view(r, "first");
	store_pause_read(r);
	EXPECT(is_in_transaction(r) && newest_is_same(&sqlite_of(r)->newest), "paused, and nothing has changed");
	expect_in_view(r, "first");
	store_pause_read(r);
	describe(w, "a", "second");
	EXPECT(!newest_is_same(&sqlite_of(r)->newest), "changed");
	expect_in_view(r, "second");
	describe(w, "a", "third"); /* within the view the moment stays */
	OK(get_app(r, "a", &got));
	EXPECT(strcmp(got.description, "second") == 0, "%s", got.description);
	store_pause_read(r);

	/* A read outside of a view is of now. */
	OK(get_app(r, "a", &got));
	EXPECT(strcmp(got.description, "third") == 0 && !is_in_transaction(r), "%s", got.description);

	/* A transaction undone is no change. */
	expect_in_view(r, "third");
	store_pause_read(r);
	OK(store_begin(w, &e));
	OK(add_app(w, "b"));
	store_rollback(w);
	EXPECT(newest_is_same(&sqlite_of(r)->newest), "undone");

	/* What is paused holds the log; resting lets go of it. */
	EXPECT(!cut_log(w), "the paused view's log was cut");
	store_rest(r);
	store_rest(r);
	EXPECT(!is_in_transaction(r) && cut_log(w), "still held");
	expect_in_view(r, "third");
	store_pause_read(r);

	/* As SQLite does it by itself when a read finds no memory: what comes next is one moment again. */
	OK(sqlite_run(db_of(r), "ROLLBACK", &e));
	expect_in_view(r, "third");
	EXPECT(is_in_transaction(r), "goes on with a view that has ended");
	store_pause_read(r);
	store_close(r); /* paused */
	store_close(w);
}

/* Whatever is written, undone, copied back from the log and cut off it in between: a view sees what
 * was committed last. */
TEST(no_order_of_pauses_and_writes_shows_what_is_old)
{
	enum { STEPS = 3000 };
	struct store *w = open_as(STORE_WRITER), *readers[] = { open_as(STORE_READER), open_as(STORE_READER) };
	struct app_row row = { .account = "1", .name = "a", .description = "0" };
	struct rng rng;
	char text[16] = "0";

	OK(store_insert(w, &table_app, &row, &e));
	(void)sqlite3_busy_timeout(sqlite_of(w)->db, 0);
	rng_init(&rng, 4);
	for (int i = 1; i <= STEPS && test_failures == 0; i++) {
		struct store *r = readers[rng_below(&rng, ARRAY_LEN(readers))];
		switch (rng_below(&rng, 8)) {
		case 0:
			(void)snprintf(text, sizeof text, "%d", i);
			describe(w, "a", text);
			break;
		case 1:
			OK(store_begin(w, &e));
			describe(w, "a", "undone");
			store_rollback(w);
			break;
		case 2: (void)cut_log(w); break;
		case 3: store_rest(r); break;
		case 4:
			expect_in_view(r, text);
			store_end_read(r);
			break;
		default:
			expect_in_view(r, text);
			store_pause_read(r);
		}
	}
	store_close(readers[0]);
	store_close(readers[1]);
	store_close(w);
}

static int64_t size_now(void)
{
	int64_t size = -1;
	OK(file_size(path, &size, &e));
	return size;
}

static void add_big(struct store *w, int n, const char *big)
{
	char name[16];
	struct app_row row = { .account = "1", .name = name, .description = big };
	(void)snprintf(name, sizeof name, "big%d", n);
	OK(store_insert(w, &table_app, &row, &e));
}

/* A commit that somebody waits for does not copy the log back into the file, unless nobody else ever does. */
TEST(the_log_is_copied_back_between_transactions)
{
	enum { BIG = 1 << 20, PAGES_OF_BIG = BIG / 4096 };
	struct store *w = open_as(STORE_WRITER);
	char *big = mem_alloc(BIG + 1);
	int64_t before = size_now();
	int n = 0;

	memset(big, 'b', BIG);
	for (; n <= LOG_FRAMES / PAGES_OF_BIG; n++) {
		store_tidy(w); /* too early */
		add_big(w, n, big);
	}
	EXPECT(size_now() == before, "within a commit, or too early");
	store_tidy(w);
	EXPECT(size_now() >= before + (int64_t)n * BIG, "not copied: %lld", (long long)size_now());
	before = size_now();
	store_tidy(w);
	for (int last = n + LOG_FRAMES_MOST / PAGES_OF_BIG; n <= last; n++) {
		EXPECT(size_now() == before, "within a commit");
		add_big(w, n, big);
	}
	EXPECT(size_now() > before, "a log that nobody copies back grows for ever");
	mem_free(big);
	store_close(w);
}

/* Views that are kept while others come and go would let a log grow for as long as the readers are busy. */
TEST(a_long_log_and_an_old_view_are_not_held)
{
	enum { BIG = 1 << 20, BIGS = 24 };
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER), *other = open_as(STORE_READER);
	struct app_row row = { .account = "1", .name = "a", .description = "x" };
	char *big = mem_alloc(BIG + 1), name[16];

	memset(big, 'b', BIG);
	OK(store_insert(w, &table_app, &row, &e));
	expect_in_view(r, "x");
	store_end_read(r);
	expect_in_view(r, "x");
	describe(w, "a", "y");
	store_pause_read(r);
	EXPECT(!is_in_transaction(r), "holds an old view");
	expect_in_view(r, "y");
	store_pause_read(r);
	EXPECT(is_in_transaction(r), "lets go of a new one");
	store_rest(r);

	expect_in_view(other, "y"); /* so that the log cannot begin anew */
	OK(store_begin(w, &e));
	for (int i = 0; i < BIGS; i++) {
		(void)snprintf(name, sizeof name, "big%d", i);
		struct app_row more = { .account = "1", .name = name, .tags = big };
		OK(store_insert(w, &table_app, &more, &e));
	}
	OK(store_commit(w, &e));
	expect_in_view(r, "y");
	store_pause_read(r);
	EXPECT(!is_in_transaction(r), "holds a long log");
	store_end_read(other);
	EXPECT(cut_log(w), "held all the same");
	expect_in_view(r, "y");
	store_pause_read(r);
	EXPECT(is_in_transaction(r), "short again");
	mem_free(big);
	store_close(other);
	store_close(r);
	store_close(w);
}

/* The head of the log's index as another process leaves it that is killed while it writes there: one copy is new. */
static void leave_head_half_written(struct store *s)
{
	sqlite3_file *file = NULL;
	volatile void *region = NULL;
	EXPECT(sqlite3_file_control(db_of(s), "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK, "file");
	EXPECT(file->pMethods->xShmMap(file, 0, 32768, 0, &region) == SQLITE_OK, "index");
	for (int i = 48; i < 96; i++)
		((volatile unsigned char *)region)[i] ^= 0xff;
}

TEST(an_index_made_anew_shows_what_the_log_has)
{
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	struct app_row row = { .account = "1", .name = "a", .description = "0" };
	char text[16];
	OK(store_insert(w, &table_app, &row, &e));
	for (int i = 1; i <= 20 && test_failures == 0; i++) {
		(void)snprintf(text, sizeof text, "%d", i);
		describe(w, "a", text);
		expect_in_view(r, text);
		store_pause_read(r);
		leave_head_half_written(w);
		EXPECT(!newest_is_same(&sqlite_of(r)->newest), "trusts a half-written head");
		expect_in_view(r, text); /* SQLite reads the log again */
		store_pause_read(r);
		expect_in_view(r, text);
		store_pause_read(r);
		leave_head_half_written(w);
		if (i % 2)
			store_rest(r);
	}
	OK(store_check(w, STORE_QUICK, &e));
	store_close(r);
	store_close(w);
}

/* Blobs, empty texts, long values and long keys come back as they were. */
TEST(remembered_rows_are_whole)
{
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	static char huge[MEMO_SIZE_MAX + 1], long_name[MEMO_KEY_MAX + 1];
	memset(huge, 'h', sizeof huge - 1);
	memset(long_name, 'n', sizeof long_name - 1);
	struct key_row keys[] = {
		{ .access_key_id = "k",
		  .secret = { "\0\1\0", 3 },
		  .name = "n",
		  .is_active = 1,
		  .created_at = INT64_MIN },
		{ .access_key_id = "empty" },
		{ .access_key_id = "huge", .secret = { "s", 1 }, .name = huge },
		{ .access_key_id = long_name, .secret = { "s", 1 } },
	};
	FOR_EACH_ROW(i, keys)
		OK(store_insert(w, &table_key, &keys[i], &e));
	/* One right after the other: two keys may share a place, which depends on where the program was loaded. */
	FOR_EACH_ROW(i, keys) {
		for (int round = 0; round < 3; round++) {
			struct key_row got;
			struct query q = { .table = &table_key, .n_preds = 1,
					   .preds = { PRED_TEXT("access_key_id", CMP_EQ, keys[i].access_key_id) } };
			OK(store_begin_read(r, &e));
			OK(store_get(r, &q, &got, a, &e));
			store_end_read(r);
			EXPECT(strcmp(got.access_key_id, keys[i].access_key_id) == 0, "id of %zu", i);
			EXPECT(got.secret.len == keys[i].secret.len, "secret of %zu", i);
			EXPECT(!got.secret.len || memcmp(got.secret.bytes, keys[i].secret.bytes, got.secret.len) == 0,
			       "secret of %zu", i);
			EXPECT(strcmp(got.name, keys[i].name ? keys[i].name : "") == 0, "name of %zu", i);
			EXPECT(strcmp(got.account, "") == 0 && got.created_at == keys[i].created_at, "rest of %zu", i);
		}
	}
	EXPECT(sqlite_of(r)->memo.n_hits == 2, "two are small enough: %d", (int)sqlite_of(r)->memo.n_hits);
	store_close(r);
	store_close(w);
}

/* What is asked for time and again stays, however much is read once; and no more is kept than may be. */
TEST(rows_are_remembered_within_their_memory)
{
	enum { ROWS = 1500, MEMORY = 256 << 10 };
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	static char text[400];
	memset(text, 't', sizeof text - 1);
	OK(store_for_requests(r, MEMORY, &e));
	struct memo *memo = &sqlite_of(r)->memo;
	OK(store_begin(w, &e));
	for (int i = 0; i < ROWS; i++) {
		struct app_row row = { .account = "1", .name = arena_printf(a, "%d", i), .description = text };
		OK(store_insert(w, &table_app, &row, &e));
	}
	OK(store_commit(w, &e));
	for (int i = 0; i < 3; i++)
		EXPECT(strcmp(description_of(r, "7"), text) == 0, "one of them");
	for (int i = 8; i < ROWS; i++)
		EXPECT(strcmp(description_of(r, arena_printf(a, "%d", i)), text) == 0, "%d", i);
	size_t size = memo->size;
	uint64_t hits = memo->n_hits;
	EXPECT(strcmp(description_of(r, "7"), text) == 0 && memo->n_hits == hits + 1,
		"it went for others that were read once");
	EXPECT(size < 20 * sizeof text, "what was read once is kept: %zu bytes", size);
	for (int i = 0; i < 3 * ROWS; i++) {
		EXPECT(strcmp(description_of(r, arena_printf(a, "%d", i / 3)), text) == 0, "%d", i);
		EXPECT(memo->size <= memo->limit && memo->limit <= MEMORY, "%zu bytes of %zu", memo->size, memo->limit);
	}
	EXPECT(memo->size > memo->limit / 2, "the memory is used: %zu of %zu", memo->size, memo->limit);
	store_close(r);
	store_close(w);
}

TEST(writers_exclude_each_other)
{
	struct store *x = open_as(STORE_WRITER), *y = open_as(STORE_WRITER);
	(void)sqlite3_busy_timeout(db_of(y), 1);
	OK(store_begin(x, &e));
	EXPECT(store_begin(y, &e) == RC_BUSY, "%s", e.msg);
	SAYS("write lock");
	EXPECT(add_app(y, "y") == RC_BUSY, "%s", e.msg);
	EXPECT(count_apps(y) == 0, "reading goes on");
	OK(add_app(x, "x"));
	OK(store_commit(x, &e));
	OK(add_app(y, "y")); /* not broken */
	EXPECT(count_apps(x) == 2, "both");
	store_close(x);
	store_close(y);
}

/* Run fn in a child process; its wait status. */
static int in_child(void (*fn)(void))
{
	int status = -1;
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		fn();
		_exit(test_failures != 0);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid, "child");
	return status;
}

static void create_a_key(void)
{
	struct store *s = open_as(STORE_WRITER);
	struct key_row row = { .access_key_id = "LTAI1", .secret = { "\0\1\2", 3 }, .is_active = 1 };
	OK(store_insert(s, &table_key, &row, &e));
	store_close(s);
}

TEST(another_process_writes_meanwhile)
{
	/* A connection must not cross a fork, so the child is made first and waits at a pipe. */
	int go[2];
	EXPECT(os.pipe2(go, O_CLOEXEC) == 0, "pipe");
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		(void)os.close(go[1]);
		EXPECT(os.read(go[0], &byte, 1) == 1, "told to go");
		create_a_key();
		_exit(test_failures != 0);
	}
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	int status = -1;
	OK(add_app(w, "a"));
	EXPECT(os.write(go[1], "g", 1) == 1, "go");
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0, "child says %d", status);
	struct key_row row;
	OK(store_get(r, &(struct query){ .table = &table_key }, &row, a, &e));
	EXPECT(row.secret.len == 3 && memcmp(row.secret.bytes, "\0\1\2", 3) == 0, "secret");
	OK(add_app(w, "b"));
	store_close(w);
	store_close(r);
	(void)os.close(go[0]);
	(void)os.close(go[1]);
}

enum { READERS = 3, BATCHES = 60 };
static atomic_bool is_over;

/* Apps come in pairs, so an odd number would be half a transaction. */
static void *read_pairs(void *arg)
{
	struct store *r = arg;
	struct query q = { .table = &table_app };
	int64_t before = 0, n = 0;
	intptr_t n_bad = 0;
	while (!atomic_load(&is_over)) {
		if (store_count(r, &q, &n, NULL) != RC_OK || n % 2 || n < before)
			n_bad++;
		before = n;
	}
	return (void *)n_bad;
}

TEST(readers_in_threads_never_see_half_a_transaction)
{
	struct store *w = open_as(STORE_WRITER), *r[READERS];
	pthread_t threads[READERS];
	atomic_store(&is_over, false);
	for (int i = 0; i < READERS; i++) {
		r[i] = open_as(STORE_READER);
		EXPECT(pthread_create(&threads[i], NULL, read_pairs, r[i]) == 0, "thread");
	}
	for (int i = 0; i < BATCHES; i++) {
		char x[16], y[16];
		(void)snprintf(x, sizeof x, "x%d", i);
		(void)snprintf(y, sizeof y, "y%d", i);
		OK(store_begin(w, &e));
		OK(add_app(w, x));
		OK(add_app(w, y));
		OK(store_commit(w, &e));
	}
	atomic_store(&is_over, true);
	for (int i = 0; i < READERS; i++) {
		void *bad = NULL;
		EXPECT(pthread_join(threads[i], &bad) == 0 && !bad, "reader %d saw %zd oddities", i, (ssize_t)bad);
		store_close(r[i]);
	}
	EXPECT(count_apps(w) == 2 * BATCHES, "rows");
	store_close(w);
}

static void *open_new(void *arg)
{
	struct err why = { 0 };
	struct store *s = NULL;
	enum rc *rc = arg;
	*rc = store_open_sqlite(path, STORE_WRITER, &s, &why);
	store_close(s);
	return NULL;
}

TEST(two_may_create_at_once)
{
	for (int round = 0; round < 8; round++) {
		pthread_t threads[2];
		enum rc rc[2] = { RC_INTERNAL, RC_INTERNAL };
		(void)snprintf(path, sizeof path, "%s/at-once-%d.db", dir, round);
		for (int i = 0; i < 2; i++)
			EXPECT(pthread_create(&threads[i], NULL, open_new, &rc[i]) == 0, "thread");
		for (int i = 0; i < 2; i++)
			EXPECT(pthread_join(threads[i], NULL) == 0, "join");
		EXPECT(rc[0] == RC_OK && rc[1] == RC_OK, "%s %s", rc_name(rc[0]), rc_name(rc[1]));
	}
}

/* ---- a full disk ---- */

static void set_max_pages(struct store *s, int64_t more)
{
	char sql[64];
	int64_t now = 0;
	OK(sqlite_number(db_of(s), "PRAGMA page_count", &now, &e));
	(void)snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld", (long long)(now + more));
	OK(sqlite_run(db_of(s), sql, &e));
}

TEST(a_full_disk_undoes_the_transaction_and_passes)
{
	char big[20000];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	struct store *s = open_as(STORE_WRITER);
	OK(add_app(s, "before"));
	set_max_pages(s, 2);
	struct app_row row = { .account = "1", .name = "big", .tags = big }, got;
	OK(store_begin(s, &e));
	OK(add_app(s, "small"));
	EXPECT(store_insert(s, &table_app, &row, &e) == RC_BUSY, "%s", e.msg);
	SAYS("disk is full");
	EXPECT(row.id == 0, "touched");
	/* The transaction is dead until it ends: nothing of it may be kept. */
	EXPECT(add_app(s, "small too") == RC_BUSY, "%s", e.msg);
	SAYS("undone");
	SAYS("disk is full");
	EXPECT(store_mark(s, &e) == RC_BUSY, "%s", e.msg);
	EXPECT(store_get(s, &(struct query){ .table = &table_app }, &got, a, &e) == RC_BUSY, "%s", e.msg);
	EXPECT(store_commit(s, &e) == RC_BUSY, "%s", e.msg);
	EXPECT(count_apps(s) == 1, "something was kept");
	EXPECT(store_insert(s, &table_app, &row, &e) == RC_BUSY, "alone: %s", e.msg);
	set_max_pages(s, 100);
	OK(store_insert(s, &table_app, &row, &e));
	EXPECT(count_apps(s) == 2, "room again");
	OK(store_check(s, STORE_FULL, &e));
	store_close(s);
}

/* ---- a failing disk: a layer below SQLite whose n-th write or sync fails ---- */

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real;
};

static int calls_left = -1; /* until the failing one; -1: none fails */
static int failing_code;
static sqlite3_io_methods faulty_methods;

static bool fails_now(void)
{
	if (calls_left < 0)
		return false;
	return calls_left-- == 0;
}

#define REAL(f) (((struct faulty_file *)(f))->real)
static int f_close(sqlite3_file *f)
{
	int code = REAL(f)->pMethods ? REAL(f)->pMethods->xClose(REAL(f)) : SQLITE_OK;
	sqlite3_free(REAL(f));
	return code;
}
static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	return fails_now() ? failing_code : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 n) { return REAL(f)->pMethods->xTruncate(REAL(f), n); }
static int f_sync(sqlite3_file *f, int flags)
{
	if (!fails_now())
		return REAL(f)->pMethods->xSync(REAL(f), flags);
	return failing_code == SQLITE_FULL ? SQLITE_IOERR_FSYNC : failing_code;
}
static int f_size(sqlite3_file *f, sqlite3_int64 *n) { return REAL(f)->pMethods->xFileSize(REAL(f), n); }
static int f_lock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xLock(REAL(f), l); }
static int f_unlock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xUnlock(REAL(f), l); }
static int f_reserved(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int f_control(sqlite3_file *f, int op, void *p) { return REAL(f)->pMethods->xFileControl(REAL(f), op, p); }
static int f_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int f_traits(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }
static int f_shm_map(sqlite3_file *f, int i, int n, int x, void volatile **p)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), i, n, x, p);
}
static int f_shm_lock(sqlite3_file *f, int at, int n, int x) { return REAL(f)->pMethods->xShmLock(REAL(f), at, n, x); }
static void f_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int f_shm_unmap(sqlite3_file *f, int d) { return REAL(f)->pMethods->xShmUnmap(REAL(f), d); }

/* Version 2: no mapped reading, which would pass this layer by. */
static sqlite3_io_methods faulty_methods = {
	2,	   f_close,  f_read,	f_write,  f_truncate, f_sync,	 f_size,    f_lock,	   f_unlock,
	f_reserved, f_control, f_sector, f_traits, f_shm_map,  f_shm_lock, f_shm_barrier, f_shm_unmap, NULL, NULL,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	sqlite3_vfs *real = vfs->pAppData;
	struct faulty_file *ff = (struct faulty_file *)f;
	ff->base.pMethods = NULL;
	ff->real = sqlite3_malloc(real->szOsFile);
	memset(ff->real, 0, (size_t)real->szOsFile);
	int code = real->xOpen(real, name, ff->real, flags, out_flags);
	if (code == SQLITE_OK)
		ff->base.pMethods = &faulty_methods;
	else
		sqlite3_free(ff->real);
	return code;
}

static sqlite3_vfs faulty_vfs;

static void use_faulty_disk(void)
{
	sqlite3_vfs *real = sqlite3_vfs_find("unix");
	faulty_vfs = *real;
	faulty_vfs.zName = "faulty";
	faulty_vfs.szOsFile = (int)sizeof(struct faulty_file);
	faulty_vfs.pAppData = real;
	faulty_vfs.xOpen = faulty_open;
	(void)sqlite3_vfs_register(&faulty_vfs, 1);
}

/* One committed batch of two; whether the store says it is on disk. */
static enum rc add_pair(struct store *s)
{
	enum rc rc = store_begin(s, &e);
	if (rc != RC_OK)
		return rc;
	if (add_app(s, "x") == RC_OK)
		(void)add_app(s, "y"); /* the commit repeats its error */
	return store_commit(s, &e);
}

/* With the n-th write or sync failing: was there one? After it, all or nothing must be there, and what was
 * acknowledged must. */
static bool pair_with_fault(int n, int code)
{
	(void)snprintf(path, sizeof path, "%s/fault-%d-%d.db", dir, code, n);
	struct store *s = open_as(STORE_WRITER);
	failing_code = code;
	calls_left = n;
	enum rc rc = add_pair(s);
	bool is_through = calls_left >= 0;
	calls_left = -1;
	if (rc == RC_IO) {
		EXPECT(store_begin(s, &e) == RC_IO, "fault %d: goes on after an I/O error", n);
		SAYS("reopened");
	} else {
		EXPECT(rc == RC_OK || rc == RC_BUSY, "fault %d: %s %s", n, rc_name(rc), e.msg);
		EXPECT(count_apps(s) == (rc == RC_OK ? 2 : 0), "fault %d: %s", n, rc_name(rc));
	}
	store_close(s);
	s = open_as(STORE_WRITER);
	int64_t left = count_apps(s);
	EXPECT(rc == RC_OK ? left == 2 : left == 0 || left == 2, "fault %d: %lld rows after %s", n, (long long)left,
	       rc_name(rc));
	OK(store_check(s, STORE_FULL, &e));
	if (left == 0)
		OK(add_pair(s));
	store_close(s);
	return is_through;
}

TEST(every_failing_write_or_sync_leaves_all_or_nothing)
{
	const int codes[] = { SQLITE_IOERR_WRITE, SQLITE_FULL };
	use_faulty_disk();
	FOR_EACH_ROW(i, codes) {
		int n = 0;
		while (n < 200 && !pair_with_fault(n, codes[i]))
			n++;
		EXPECT(n >= 3 && n < 200, "%d faults tried", n);
	}
	(void)sqlite3_vfs_unregister(&faulty_vfs);
}

/* ---- crashes ---- */

static void commit_two(void)
{
	struct store *s = open_as(STORE_WRITER);
	OK(add_app(s, "first"));
	OK(add_app(s, "second"));
	store_close(s);
}

static const char *armed_with;
static void commit_two_armed(void)
{
	crash_arm(armed_with);
	commit_two();
}

TEST(kill_9_around_a_commit)
{
	const struct {
		const char *point;
		bool dies;
		int64_t left;
	} row[] = {
		{ "store.before_commit", true, 0 },   { "store.after_commit", true, 1 },
		{ "store.before_commit:2", true, 1 }, { "store.after_commit:2", true, 2 },
		{ "store.before_commit:3", false, 2 }, { "no.such.point", false, 2 },
		{ "store.before_commit:0", false, 2 }, { "store.before_commit:x", false, 2 },
		{ "", false, 2 },		      { NULL, false, 2 },
	};
	FOR_EACH_ROW(i, row) {
		(void)snprintf(path, sizeof path, "%s/crash-%zu.db", dir, i);
		armed_with = row[i].point;
		int status = in_child(commit_two_armed);
		EXPECT(row[i].dies ? WIFSIGNALED(status) && WTERMSIG(status) == 9 : status == 0, "%s: status %x",
		       row[i].point ? row[i].point : "NULL", status);
		struct store *s = open_as(STORE_WRITER);
		EXPECT(count_apps(s) == row[i].left, "%s: %lld rows", row[i].point ? row[i].point : "NULL",
		       (long long)count_apps(s));
		OK(store_check(s, STORE_FULL, &e));
		store_close(s);
	}
}

/* ---- migrations ---- */

static const struct migration steps[] = {
	{ "0001_one.sql",
	  "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id) ON DELETE CASCADE);"
	  "INSERT INTO p VALUES(1); INSERT INTO c VALUES(1)" },
	/* A table is rebuilt: with foreign keys on, its children would go. */
	{ "0002_two.sql", "CREATE TABLE q(id INTEGER PRIMARY KEY, v TEXT NOT NULL DEFAULT ''); INSERT INTO q(id) "
			  "SELECT id FROM p; DROP TABLE p; ALTER TABLE q RENAME TO p" },
	{ "0003_bad.sql", "CREATE TABLE half(x); INSERT INTO nowhere VALUES(1)" },
};
static const struct migration orphaning[] = {
	{ "0001_one.sql", "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id));"
			  "INSERT INTO c VALUES(5)" },
};

static int64_t number(sqlite3 *db, const char *sql)
{
	int64_t v = -1;
	OK(sqlite_number(db, sql, &v, &e));
	return v;
}

TEST(migrations_are_all_or_nothing)
{
	sqlite3 *db = NULL;
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK, "open");
	EXPECT(migrate(db, steps, 3, &e) == RC_INTERNAL, "%s", e.msg);
	EXPECT(number(db, "PRAGMA user_version") == 0, "some of them were kept");
	EXPECT(number(db, "SELECT count(*) FROM sqlite_schema") == 0, "some of them were kept");
	OK(migrate(db, steps, 1, &e));
	EXPECT(number(db, "PRAGMA user_version") == 1, "version");
	EXPECT(number(db, "PRAGMA application_id") == STORE_APPLICATION_ID, "application id");
	OK(migrate(db, steps, 2, &e));
	EXPECT(number(db, "SELECT count(*) FROM c") == 1, "children survive a rebuild");
	EXPECT(migrate(db, steps, 3, &e) == RC_INTERNAL, "%s", e.msg);
	SAYS("0003_bad.sql");
	SAYS("nowhere");
	EXPECT(number(db, "PRAGMA user_version") == 2, "version stays");
	EXPECT(number(db, "SELECT count(*) FROM sqlite_schema WHERE name='half'") == 0, "half a migration");
	OK(migrate(db, steps, 2, &e)); /* nothing to do */
	(void)sqlite3_close(db);
	(void)snprintf(path, sizeof path, "%s/orphans.db", dir);
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK, "open");
	EXPECT(migrate(db, orphaning, 1, &e) == RC_CORRUPT, "%s", e.msg);
	SAYS("1 rows refer");
	EXPECT(number(db, "PRAGMA user_version") == 0, "version stays");
	(void)sqlite3_close(db);
}

/* A command of a newer program brings the file up to date under a server that goes on: nothing may take that back, or
 * the newer program would apply its steps twice. */
TEST(a_version_is_never_lowered)
{
	sqlite3 *db = NULL;
	struct store *s = open_as(STORE_WRITER);
	tamper("PRAGMA user_version=4711");
	OK(store_begin(s, &e));
	OK(store_touch(s, &e));
	OK(store_commit(s, &e));
	EXPECT(number(db_of(s), "PRAGMA user_version") == 4711, "lowered by a touch");
	store_close(s);
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK, "open");
	EXPECT(migrate(db, schema_migrations, schema_version, &e) == RC_CONFLICT, "%s", e.msg);
	SAYS("4711");
	EXPECT(number(db, "PRAGMA user_version") == 4711, "lowered by a migration");
	(void)sqlite3_close(db);
}

/* ---- totals ---- */

/* Three instances' tasks as version 5 kept them: i has 1500 i, every tenth of them failed, the newest under way. */
static const char rows_of_5[] =
	"INSERT INTO app (id, name) VALUES (1, 'a');"
	"INSERT INTO instance (id, app_id, name) VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 1, 'z');"
	"WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 4500) "
	"INSERT INTO task (instance_id, generation, state) SELECT i.id, n, CASE WHEN n = 1500 * i.id THEN 1 "
	"WHEN n % 10 = 0 THEN 3 ELSE 2 END FROM instance i, g WHERE n <= 1500 * i.id;"
	"INSERT INTO cache_task (task_id, cache_id, project_id) SELECT id, instance_id, 'p' FROM task";

static void make_version_5(void)
{
	sqlite3 *db = NULL;
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK, "open");
	OK(migrate(db, schema_migrations, 5, &e));
	OK(sqlite_run(db, rows_of_5, &e));
	(void)sqlite3_close(db);
}

/* The same rows under version 6, whose triggers counted what was inserted. */
static void make_version_6(void)
{
	sqlite3 *db = NULL;
	make_version_5();
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK, "open");
	OK(migrate(db, schema_migrations, 6, &e));
	OK(sqlite_run(db, "INSERT INTO task (id, instance_id, generation, state) "
			  "VALUES (20000, 3, 9000, 2), (20001, 3, 9001, 3);"
			  "INSERT INTO cache_task (task_id, cache_id, project_id) VALUES (20000, 3, 'p')", &e));
	(void)sqlite3_close(db);
}

static int64_t count_tasks(struct store *s, int64_t instance_id, int64_t state)
{
	struct query q = { .table = &table_task,
			   .n_preds = state < 0 ? 1 : 2,
			   .preds = { PRED_INT("instance_id", CMP_EQ, instance_id),
				      PRED_INT("state", CMP_EQ, state) } };
	int64_t n = -1;
	OK(store_count(s, &q, &n, &e));
	return n;
}

TEST(a_migration_counts_the_rows_that_are_there)
{
	make_version_5();
	struct store *s = open_as(STORE_WRITER);
	for (int64_t i = 1; i <= 3; i++) {
		EXPECT(count_tasks(s, i, -1) == 1500 * i, "all of %d: %lld", (int)i, (long long)count_tasks(s, i, -1));
		EXPECT(count_tasks(s, i, 3) == 150 * i - 1, "failed of %d: %lld", (int)i,
		       (long long)count_tasks(s, i, 3));
		EXPECT(count_tasks(s, i, 1) == 1, "running of %d", (int)i);
	}
	struct query q = { .table = &table_cache_task,
			   .preds = { PRED_TEXT("project_id", CMP_EQ, "p") },
			   .n_preds = 1 };
	int64_t n = 0;
	OK(store_count(s, &q, &n, &e));
	EXPECT(n == 9000, "of the project: %lld", (long long)n);
	OK(store_check_totals(s, NULL, &e));
	store_close(s);
}

/* Counting looks at the number that is kept, else it would not say what we put there. */
/* What is inserted is counted once, as before; and for a new task, which counts nowhere yet, nothing but its own pages
 * is written: where a trigger might act, SQLite copies each of them first. */
TEST(inserts_are_counted_without_triggers)
{
	make_version_6();
	struct store *s = open_as(STORE_WRITER);
	int64_t n = -1;
	OK(store_check_totals(s, NULL, &e));
	EXPECT(count_tasks(s, 3, 2) == 4051 && count_tasks(s, 3, 3) == 450, "before: %lld, %lld",
		(long long)count_tasks(s, 3, 2),
	       (long long)count_tasks(s, 3, 3));
	struct task_row rows[] = { { .instance_id = 3, .generation = 9002, .state = 0 },
				   { .instance_id = 3, .generation = 9003, .state = 2 } };
	FOR_EACH_ROW(i, rows)
		OK(store_insert(s, &table_task, &rows[i], &e));
	OK(store_insert(s, &table_cache_task,
			&(struct cache_task_row){ .task_id = rows[0].id, .cache_id = 3, .project_id = "p" }, &e));
	EXPECT(count_tasks(s, 3, 2) == 4052 && count_tasks(s, 3, 0) == 1, "counted once");
	struct query of_project = { .table = &table_cache_task, .preds = { PRED_TEXT("project_id", CMP_EQ, "p") },
		.n_preds = 1 };
	OK(store_count(s, &of_project, &n, &e));
	EXPECT(n == 9002, "of the project: %lld", (long long)n);
	OK(store_check_totals(s, NULL, &e));
	/* One that is refused counts nothing. */
	EXPECT(store_insert(s, &table_task, &rows[1], &e) == RC_CONFLICT, "%s", e.msg);
	OK(store_check_totals(s, NULL, &e));
	OK(sqlite_number(db_of(s),
		"SELECT count(*) FROM sqlite_schema WHERE type='trigger' AND sql LIKE '%AFTER INSERT%'", &n, &e));
	EXPECT(n == 0, "%lld triggers at inserts", (long long)n);
	store_close(s);
}

TEST(a_count_reads_what_is_kept)
{
	make_version_5();
	struct store *s = open_as(STORE_WRITER);
	OK(sqlite_run(db_of(s), "UPDATE task_total SET n = n + 7 WHERE instance_id = 2 AND block = 1 AND state = 3",
		      &e));
	EXPECT(count_tasks(s, 2, -1) == 3007 && count_tasks(s, 2, 3) == 306 && count_tasks(s, 2, 2) == 2700, "kept");
	store_close(s);
}

static bool says_yes(void *ctx) { return ctx == NULL; }

TEST(a_wrong_total_is_mended)
{
	int64_t n = 0;
	make_version_5();
	struct store *s = open_as(STORE_WRITER);
	OK(store_mend_totals(s, &n, &e));
	EXPECT(n == 0, "nothing to do, %lld mended", (long long)n);
	OK(sqlite_run(db_of(s),
		"UPDATE task_total SET n = n + 1 WHERE instance_id = 2; DELETE FROM task_total WHERE instance_id = 1;"
		"INSERT INTO task_total VALUES (9, 0, 2, 1); DELETE FROM cache_task_total WHERE block = 1;"
		"UPDATE project_task_total SET n = 0",
		&e));
	OK(store_mend_totals(s, &n, &e));
	EXPECT(n == 3 + 3 + 1, "%lld mended", (long long)n);
	OK(store_check_totals(s, NULL, &e));
	EXPECT(count_tasks(s, 1, -1) == 1500 && count_tasks(s, 2, 3) == 299 && count_tasks(s, 9, 2) == 0, "counts");
	store_close(s);
}

TEST(a_wrong_total_is_found)
{
	const struct {
		const char *spoils, *says[2];
	} row[] = {
		{ "UPDATE task_total SET n = n + 1 WHERE instance_id = 2 AND block = 1 AND state = 2",
		  { "task_total", "instance_id 2" } },
		{ "UPDATE task_total SET n = 476 - n WHERE instance_id = 1 AND block = 1",
		  { "task_total", "instance_id 1" } },
		{ "DELETE FROM task_total WHERE instance_id = 3 AND block = 2 AND state = 3",
		  { "task_total", "instance_id 3" } },
		{ "DELETE FROM task_total WHERE instance_id = 3", { "task_total", "instance_id 3" } },
		{ "INSERT INTO task_total VALUES (9, 0, 2, 1)", { "task_total", "instance_id 9" } },
		{ "UPDATE cache_task_total SET n = n - 1 WHERE cache_id = 3 AND block = 4",
		  { "cache_task_total", "cache_id 3" } },
		{ "DELETE FROM project_task_total", { "project_task_total", "project_id p" } },
		{ "DROP TRIGGER task_total_delete; DELETE FROM task WHERE instance_id = 1 AND generation = 77",
		  { "task_total", "instance_id 1" } },
	};
	const struct store_pause at_once = { .is_over = says_yes };
	make_version_5();
	struct store *s = open_as(STORE_WRITER);
	OK(store_check_totals(s, NULL, &e));
	FOR_EACH_ROW(i, row) {
		OK(sqlite_run(db_of(s), "SAVEPOINT before", &e));
		OK(sqlite_run(db_of(s), row[i].spoils, &e));
		EXPECT(store_check_totals(s, NULL, &e) == RC_CORRUPT, "%s: not found", row[i].spoils);
		SAYS(row[i].says[0]);
		SAYS(row[i].says[1]);
		EXPECT(store_check_totals(s, &at_once, &e) == RC_OK, "it was told to stop");
		OK(sqlite_run(db_of(s), "ROLLBACK TO before; RELEASE before", &e));
		OK(store_check_totals(s, NULL, &e));
	}
	store_close(s);
}

/* Steps of SQLite's machine for a list's page, which is what grows with what it passes over. */
static int steps_of_page(struct store *s, struct query q, int64_t offset)
{
	void *rows;
	size_t n = 0;
	int n_steps = 0;
	q.offset = offset;
	q.limit = 10;
	OK(store_list(s, &q, a, &rows, &n, &e)); /* prepared from now on */
	for (sqlite3_stmt *p = sqlite3_next_stmt(db_of(s), NULL); p; p = sqlite3_next_stmt(db_of(s), p))
		(void)sqlite3_stmt_status(p, SQLITE_STMTSTATUS_VM_STEP, /* reset= */ 1);
	OK(store_list(s, &q, a, &rows, &n, &e));
	EXPECT(n == 10, "%zu rows at %lld", n, (long long)offset);
	for (sqlite3_stmt *p = sqlite3_next_stmt(db_of(s), NULL); p; p = sqlite3_next_stmt(db_of(s), p))
		n_steps += sqlite3_stmt_status(p, SQLITE_STMTSTATUS_VM_STEP, /* reset= */ 1);
	return n_steps;
}

TEST(a_deep_page_does_not_pass_over_all_before_it)
{
	make_version_5();
	struct store *s = open_as(STORE_WRITER);
	OK(sqlite_run(db_of(s), "WITH RECURSIVE g(n) AS (SELECT 4501 UNION ALL SELECT n + 1 FROM g WHERE n < 60000) "
				"INSERT INTO task (instance_id, generation, state) SELECT 3, n, 2 + n % 2 FROM g", &e));
	int64_t n_mended;
	OK(store_mend_totals(s, &n_mended, &e)); /* these came past the store */
	struct query q = { .table = &table_task, .n_preds = 1, .orders = { { "generation", true } },
			   .preds = { PRED_INT("instance_id", CMP_EQ, 3), PRED_INT("state", CMP_EQ, 3) } };
	for (; q.n_preds <= 2; q.n_preds++) {
		int near = steps_of_page(s, q, 1000), far = steps_of_page(s, q, 26000);
		EXPECT(far < near + 4000, "%d steps at 1,000, %d at 26,000", near, far);
	}
	store_close(s);
}

/* ---- statements and plans ---- */

TEST(a_shape_is_prepared_once)
{
	struct store *s = open_as(STORE_WRITER);
	struct app_row row = { .account = "1", .name = "a" };
	OK(store_insert(s, &table_app, &row, &e));
	uint64_t before = 0;
	for (int64_t i = 0; i < 20; i++) {
		struct query q = { .table = &table_app, .preds = { PRED_INT("id", CMP_EQ, row.id) }, .n_preds = 1 };
		struct app_row got;
		OK(store_get(s, &q, &got, a, &e));
		got.updated_at = i;
		OK(store_update(s, &table_app, &got, &e));
		if (i == 0)
			before = sqlite_of(s)->n_prepared;
	}
	EXPECT(sqlite_of(s)->n_prepared == before, "%llu more",
	       (unsigned long long)(sqlite_of(s)->n_prepared - before));
	store_close(s);
}

/* SQLite would parse a statement anew when a value is bound that may decide whether a partial index serves. */
TEST(a_value_bound_anew_is_no_reason_to_prepare_anew)
{
	struct store *s = open_as(STORE_WRITER);
	for (int64_t i = 0; i < 5; i++) {
		struct query due = { .table = &table_instance,
				     .preds = { PRED_INT("cron_next_at", CMP_GT, 0),
						PRED_INT("cron_next_at", CMP_LE, i) },
				     .n_preds = 2,
				     .orders = { { "cron_next_at", false } } };
		struct query next = { .table = &table_task,
				      .preds = { PRED_INT("state", CMP_EQ, i % 2), PRED_INT("not_before", CMP_GT, i) },
				      .n_preds = 2,
				      .orders = { { "not_before", false } } };
		struct instance_row instance;
		struct task_row task;
		EXPECT(store_get(s, &due, &instance, a, &e) == RC_NOT_FOUND, "%s", e.msg);
		EXPECT(store_get(s, &next, &task, a, &e) == RC_NOT_FOUND, "%s", e.msg);
	}
	int n = 0;
	for (int i = 0; i < CACHE_SETS * CACHE_WAYS; i++) {
		sqlite3_stmt *stmt = sqlite_of(s)->cache[i / CACHE_WAYS][i % CACHE_WAYS].stmt;
		n += stmt ? sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 0) : 0;
	}
	EXPECT(n == 0, "prepared anew %d times", n);
	store_close(s);
}

TEST(more_shapes_than_places)
{
	struct store *s = open_as(STORE_WRITER);
	OK(add_app(s, "a"));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 6 * 6 * 12; i++) {
			struct query q = { .table = &table_app, .n_preds = 2,
					   .preds = { { "id", (enum cmp)(i % 6), 1, NULL },
						      { "created_at", (enum cmp)(i / 6 % 6), 0, NULL } },
					   .orders = { { table_app.cols[i / 36].name, false } } };
			const bool one[] = { true, false, false, true, false, true };
			struct app_row got;
			enum rc want = one[i % 6] && one[i / 6 % 6] ? RC_OK : RC_NOT_FOUND;
			EXPECT(store_get(s, &q, &got, a, &e) == want, "shape %d", i);
		}
	}
	EXPECT(sqlite_of(s)->n_prepared > CACHE_SETS * CACHE_WAYS, "too few shapes tried");
	store_close(s);
}

/* What SQLite means to do, one line per step. */
static const char *plan_of(struct store *s, const struct shape *shape)
{
	struct buf sql, out;
	sqlite3_stmt *stmt = NULL;
	buf_init(&sql, SQL_MAX);
	buf_init(&out, 4096);
	buf_adds(&sql, "EXPLAIN QUERY PLAN ");
	sql_of_shape(&sql, shape);
	EXPECT(sqlite3_prepare_v2(db_of(s), buf_text(&sql), -1, &stmt, NULL) == SQLITE_OK, "%s", buf_text(&sql));
	while (sqlite3_step(stmt) == SQLITE_ROW)
		buf_addf(&out, "%s; ", (const char *)sqlite3_column_text(stmt, 3));
	(void)sqlite3_finalize(stmt);
	const char *text = arena_dup(a, buf_text(&out));
	buf_fini(&sql);
	buf_fini(&out);
	return text;
}

/* The shape that a query had: the one the cache holds since it ran. */
static const struct shape *shape_run(struct store *s)
{
	struct cached *best = NULL;
	for (int i = 0; i < CACHE_SETS * CACHE_WAYS; i++) {
		struct cached *c = &sqlite_of(s)->cache[i / CACHE_WAYS][i % CACHE_WAYS];
		if (c->stmt && (!best || c->used_at > best->used_at))
			best = c;
	}
	return &best->shape;
}

/* Into how many indexes of its table the statement that ran last writes; the programs of triggers follow its own. */
static int index_writes(struct store *s)
{
	struct buf sql;
	sqlite3_stmt *stmt = NULL;
	int n = 0, n_programs = 0;
	buf_init(&sql, SQL_MAX);
	buf_adds(&sql, "EXPLAIN ");
	sql_of_shape(&sql, shape_run(s));
	EXPECT(sqlite3_prepare_v2(db_of(s), buf_text(&sql), -1, &stmt, NULL) == SQLITE_OK, "%s", buf_text(&sql));
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		n_programs += strcmp((const char *)sqlite3_column_text(stmt, 1), "Init") == 0;
		n += n_programs == 1 && strcmp((const char *)sqlite3_column_text(stmt, 1), "IdxInsert") == 0;
	}
	(void)sqlite3_finalize(stmt);
	buf_fini(&sql);
	return n;
}

/* A task's steps, as the engine makes them. */
TEST(a_change_writes_only_the_indexes_of_what_it_sets)
{
	struct store *s = open_as(STORE_WRITER);
	struct app_row app = { .name = "app" };
	OK(store_insert(s, &table_app, &app, &e));
	struct instance_row i = { .app_id = app.id, .name = "i" }, was_i = i;
	OK(store_insert(s, &table_instance, &i, &e));
	was_i = i;
	struct task_row t = { .instance_id = i.id, .generation = 1 };
	OK(store_insert(s, &table_task, &t, &e));
	EXPECT(index_writes(s) == 3, "an insert writes %d", index_writes(s));
	i.last_generation = 1;
	i.busy_task_id = t.id;
	OK(store_change(s, &table_instance, &was_i, &i, &e));
	EXPECT(index_writes(s) == 0, "a create writes %d of the instance", index_writes(s));
	struct task_row was = t;
	t.state = 1; /* running */
	OK(store_change(s, &table_task, &was, &t, &e));
	EXPECT(index_writes(s) == 2, "a claim writes %d", index_writes(s));
	was = t;
	t.pid = 42;
	OK(store_change(s, &table_task, &was, &t, &e));
	EXPECT(index_writes(s) == 0, "a start writes %d", index_writes(s));
	store_close(s);
}

TEST(the_main_queries_use_an_index_and_no_sort)
{
	const struct {
		const char *what;
		struct query q;
		const char *uses; /* part of the plan; it sorts only if this says so */
	} row[] = {
		{ "a task by id",
		  { .table = &table_task, .preds = { PRED_INT("id", CMP_EQ, 1) }, .n_preds = 1 },
		  "INTEGER PRIMARY KEY" },
		{ "a task by generation",
		  { .table = &table_task,
		    .n_preds = 2,
		    .preds = { PRED_INT("instance_id", CMP_EQ, 1), PRED_INT("generation", CMP_EQ, 1) } },
		  "(instance_id=? AND generation=?)" },
		{ "an instance's tasks",
		  { .table = &table_task,
		    .n_preds = 1,
		    .preds = { PRED_INT("instance_id", CMP_EQ, 1) },
		    .orders = { { "generation", true } },
		    .limit = 10 },
		  "(instance_id=?)" },
		{ "those of a state",
		  { .table = &table_task,
		    .n_preds = 2,
		    .preds = { PRED_INT("instance_id", CMP_EQ, 1), PRED_INT("state", CMP_EQ, 3) },
		    .orders = { { "generation", true } },
		    .limit = 10 },
		  "task_of_state (instance_id=? AND state=?)" },
		{ "the unfinished ones of an instance",
		  { .table = &table_task,
		    .n_preds = 2,
		    .preds = { PRED_INT("instance_id", CMP_EQ, 1), PRED_INT("state", CMP_LT, 2) },
		    .orders = { { "generation", true } },
		    .limit = 10 },
		  "task_of_state (instance_id=? AND state<?); USE TEMP B-TREE" }, /* of one row: E2 */
		{ "between two times",
		  { .table = &table_task,
		    .n_preds = 4,
		    .preds = { PRED_INT("instance_id", CMP_EQ, 1), PRED_INT("state", CMP_EQ, 2),
			       PRED_INT("started_at", CMP_GT, 5), PRED_INT("ended_at", CMP_LT, 9) },
		    .orders = { { "generation", true } },
		    .limit = 10 },
		  "task_of_state (instance_id=? AND state=?)" },
		{ "the queue",
		  { .table = &table_task,
		    .n_preds = 2,
		    .preds = { PRED_INT("state", CMP_EQ, 0), PRED_INT("not_before", CMP_LE, 9) },
		    .orders = { { "not_before", false }, { "id", false } },
		    .limit = 10 },
		  "task_unfinished (state=? AND not_before<?)" },
		{ "the running ones",
		  { .table = &table_task,
		    .n_preds = 1,
		    .preds = { PRED_INT("state", CMP_EQ, 1) },
		    .orders = { { "not_before", false } } },
		  "task_unfinished (state=?)" },
		{ "all unfinished ones",
		  { .table = &table_task,
		    .n_preds = 1,
		    .preds = { PRED_INT("state", CMP_LT, 2) },
		    .orders = { { "state", false }, { "not_before", false } } },
		  "task_unfinished" },
		{ "the next cron",
		  { .table = &table_instance,
		    .n_preds = 1,
		    .preds = { PRED_INT("cron_next_at", CMP_GT, 0) },
		    .orders = { { "cron_next_at", false } },
		    .limit = 1 },
		  "instance_cron" },
		{ "schedules that are due",
		  { .table = &table_schedule,
		    .n_preds = 2,
		    .preds = { PRED_INT("next_at", CMP_GT, 0), PRED_INT("next_at", CMP_LE, 9) },
		    .orders = { { "next_at", false } },
		    .limit = 10 },
		  "schedule_due (next_at>? AND next_at<?)" },
		{ "a cache's schedule",
		  { .table = &table_schedule,
		    .n_preds = 2,
		    .preds = { PRED_INT("cache_id", CMP_EQ, 1), PRED_TEXT("kind", CMP_EQ, "bigkey") } },
		  "(cache_id=? AND kind=?)" },
		{ "a project's templates",
		  { .table = &table_template,
		    .n_preds = 1,
		    .preds = { PRED_TEXT("project_id", CMP_EQ, "p") },
		    .orders = { { "created_at", true }, { "id", true } } },
		  "template_newest (project_id=?)" },
		{ "an instance by name",
		  { .table = &table_instance,
		    .n_preds = 3,
		    .preds = { PRED_INT("app_id", CMP_EQ, 1), PRED_TEXT("function", CMP_EQ, "f"),
			       PRED_TEXT("name", CMP_EQ, "n") } },
		  "(app_id=? AND function=? AND name=?)" },
		{ "instances, newest first",
		  { .table = &table_instance,
		    .n_preds = 2,
		    .preds = { PRED_INT("app_id", CMP_EQ, 1), PRED_TEXT("function", CMP_EQ, "f") },
		    .orders = { { "created_at", true }, { "name", false } },
		    .limit = 10 },
		  "instance_newest" },
		{ "a task's events",
		  { .table = &table_event,
		    .n_preds = 1,
		    .preds = { PRED_INT("task_id", CMP_EQ, 1) },
		    .orders = { { "id", false } } },
		  "event_of_task" },
		{ "a task's metrics of one set",
		  { .table = &table_metric,
		    .n_preds = 3,
		    .preds = { PRED_INT("task_id", CMP_EQ, 1), PRED_TEXT("set_name", CMP_EQ, ""),
			       PRED_TEXT("name", CMP_EQ, "loss") },
		    .orders = { { "step", false } } },
		  "PRIMARY KEY" },
		{ "a key",
		  { .table = &table_key, .n_preds = 1, .preds = { PRED_TEXT("access_key_id", CMP_EQ, "k") } },
		  "PRIMARY KEY" },
	};
	struct store *s = open_as(STORE_WRITER);
	FOR_EACH_ROW(i, row) {
		void *rows;
		size_t n;
		OK(store_list(s, &row[i].q, a, &rows, &n, &e));
		const char *plan = plan_of(s, shape_run(s));
		EXPECT(strstr(plan, row[i].uses), "%s: %s", row[i].what, plan);
		EXPECT(!strstr(plan, "TEMP B-TREE") == !strstr(row[i].uses, "TEMP B-TREE"), "%s sorts: %s", row[i].what,
		       plan);
		/* A walk along a small partial index is wanted, one through the table is not. */
		EXPECT(!strstr(plan, "SCAN") || strstr(plan, "task_unfinished") || strstr(plan, "instance_cron"),
		       "%s scans: %s", row[i].what, plan);
	}
	store_close(s);
}

TEST(counts_look_a_number_up)
{
	const struct {
		const char *what;
		struct query q;
		const char *uses;
	} row[] = {
		{ "how many tasks an instance has",
		  { .table = &table_task, .n_preds = 1, .preds = { PRED_INT("instance_id", CMP_EQ, 1) } },
		  "task_total USING PRIMARY KEY (instance_id=?)" },
		{ "and of those the ones kept in no total",
		  { .table = &table_task, .n_preds = 1, .preds = { PRED_INT("instance_id", CMP_EQ, 1) } },
		  "task USING COVERING INDEX task_of_state (instance_id=? AND state<?)" },
		{ "how many of a state",
		  { .table = &table_task,
		    .n_preds = 2,
		    .preds = { PRED_INT("instance_id", CMP_EQ, 1), PRED_INT("state", CMP_EQ, 3) } },
		  "task_total USING PRIMARY KEY (instance_id=?)" },
		{ "how many are unfinished",
		  { .table = &table_task,
		    .n_preds = 2,
		    .preds = { PRED_INT("instance_id", CMP_EQ, 1), PRED_INT("state", CMP_LT, 2) } },
		  "task USING COVERING INDEX task_of_state (instance_id=? AND state<?)" },
		{ "how many of a project",
		  { .table = &table_cache_task, .n_preds = 1, .preds = { PRED_TEXT("project_id", CMP_EQ, "p") } },
		  "project_task_total USING PRIMARY KEY (project_id=?)" },
		{ "how many of a cache",
		  { .table = &table_cache_task,
		    .n_preds = 2,
		    .preds = { PRED_TEXT("project_id", CMP_EQ, "p"), PRED_INT("cache_id", CMP_EQ, 1) } },
		  "cache_task_total USING PRIMARY KEY (cache_id=?)" },
	};
	struct store *s = open_as(STORE_WRITER);
	FOR_EACH_ROW(i, row) {
		int64_t n;
		OK(store_count(s, &row[i].q, &n, &e));
		const char *plan = plan_of(s, shape_run(s));
		EXPECT(strstr(plan, row[i].uses), "%s: %s", row[i].what, plan);
		EXPECT(!strstr(plan, "TEMP B-TREE") && !strstr(plan, "SCAN task"), "%s: %s", row[i].what, plan);
	}
	/* Blocks come in the order of the list, as they lie. */
	struct query q = { .table = &table_task, .preds = { PRED_INT("instance_id", CMP_EQ, 1) }, .n_preds = 1 };
	struct shape blocks = shape_of(VERB_COUNT, &q);
	blocks.verb = VERB_BLOCKS;
	const char *plan = plan_of(s, &blocks);
	EXPECT(strstr(plan, "PRIMARY KEY (instance_id=?)") && !strstr(plan, "TEMP B-TREE"), "blocks: %s", plan);
	store_close(s);
}

/* ---- copies ---- */

static int64_t count_in(const char *file)
{
	struct store *s = NULL;
	OK(store_open_sqlite(file, STORE_READER, &s, &e));
	OK(store_check(s, STORE_FULL, &e));
	int64_t n = count_apps(s);
	store_close(s);
	return n;
}

TEST(a_copy_is_of_the_view_and_holds_no_writer_up)
{
	struct store *w = open_as(STORE_WRITER), *r = open_as(STORE_READER);
	char to[700];
	struct stat st;

	(void)snprintf(to, sizeof to, "%s.copy", path);
	OK(add_app(w, "before"));
	OK(store_begin_read(r, &e));
	EXPECT(count_apps(r) == 1, "the view begins with its first reading");
	OK(add_app(w, "after"));
	OK(store_begin(w, &e)); /* and a third one on its way */
	OK(add_app(w, "open"));
	OK(store_copy(r, to, &e));
	OK(store_commit(w, &e));
	store_end_read(r);
	EXPECT(count_in(to) == 1, "the copy has what the view has");
	EXPECT(stat(to, &st) == 0 && (st.st_mode & 0777) == 0600, "mode %o", (unsigned)st.st_mode);
	EXPECT(count_apps(r) == 3, "all of it without the view");
	store_close(r);
	store_close(w);
}

TEST(a_copy_is_refused_where_it_would_do_harm)
{
	struct store *w = open_as(STORE_WRITER), *mem = NULL;
	char to[700];

	(void)snprintf(to, sizeof to, "%s.copy", path);
	OK(store_begin(w, &e));
	EXPECT(store_copy(w, to, &e) == RC_INVALID, "in a change");
	OK(store_commit(w, &e));
	OK(store_open_mem(&mem, &e));
	EXPECT(store_copy(mem, to, &e) == RC_INVALID, "%s", e.msg);
	SAYS("mem");
	store_close(mem);
	EXPECT(!file_exists(to), "no file after a refusal");
	OK(file_write(to, "mine", 4, 0600, &e));
	EXPECT(store_copy(w, to, &e) == RC_CONFLICT, "%s", e.msg);
	struct buf text;
	buf_init(&text, 16);
	OK(file_read(to, &text, &e));
	EXPECT(strcmp(buf_text(&text), "mine") == 0, "what was there stays");
	buf_fini(&text);
	(void)snprintf(to, sizeof to, "%s/no/folder", dir);
	EXPECT(store_copy(w, to, &e) == RC_NOT_FOUND, "%s", e.msg);
	store_close(w);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	(void)snprintf(dir, sizeof dir, "%.400s/store-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	RUN_FRESH(rows_survive_a_reopen);
	RUN_FRESH(settings_that_durability_rests_on);
	RUN_FRESH(a_new_database_is_there_as_a_whole_or_not);
	RUN_FRESH(files_that_are_not_ours_are_refused_and_left_alone);
	RUN_FRESH(nothing_is_said_against_our_own_database_nor_an_empty_file);
	RUN_FRESH(a_newer_database_is_refused_with_both_versions);
	RUN_FRESH(readers_do_not_create);
	RUN_FRESH(a_reader_wants_an_up_to_date_schema);
	RUN_FRESH(columns_must_be_the_described_ones);
	RUN_FRESH(damage_is_called_damage);
	RUN_FRESH(a_reader_for_requests_survives_damage);
	RUN_FRESH(a_file_that_is_cut_short_is_an_error);
	RUN_FRESH(an_index_that_lacks_a_row_is_found_by_a_full_check);
	RUN_FRESH(a_reader_sees_what_is_committed_at_once);
	RUN_FRESH(what_was_read_is_remembered_until_somebody_writes);
	RUN_FRESH(a_paused_view_goes_on_until_somebody_writes);
	RUN_FRESH(no_order_of_pauses_and_writes_shows_what_is_old);
	RUN_FRESH(the_log_is_copied_back_between_transactions);
	RUN_FRESH(a_long_log_and_an_old_view_are_not_held);
	RUN_FRESH(an_index_made_anew_shows_what_the_log_has);
	RUN_FRESH(remembered_rows_are_whole);
	RUN_FRESH(rows_are_remembered_within_their_memory);
	RUN_FRESH(writers_exclude_each_other);
	RUN_FRESH(another_process_writes_meanwhile);
	RUN_FRESH(readers_in_threads_never_see_half_a_transaction);
	RUN_FRESH(two_may_create_at_once);
	RUN_FRESH(a_full_disk_undoes_the_transaction_and_passes);
	RUN_FRESH(every_failing_write_or_sync_leaves_all_or_nothing);
	RUN_FRESH(kill_9_around_a_commit);
	RUN_FRESH(migrations_are_all_or_nothing);
	RUN_FRESH(a_version_is_never_lowered);
	RUN_FRESH(a_migration_counts_the_rows_that_are_there);
	RUN_FRESH(inserts_are_counted_without_triggers);
	RUN_FRESH(a_count_reads_what_is_kept);
	RUN_FRESH(a_wrong_total_is_found);
	RUN_FRESH(a_wrong_total_is_mended);
	RUN_FRESH(a_deep_page_does_not_pass_over_all_before_it);
	RUN_FRESH(a_shape_is_prepared_once);
	RUN_FRESH(a_value_bound_anew_is_no_reason_to_prepare_anew);
	RUN_FRESH(more_shapes_than_places);
	RUN_FRESH(a_copy_is_of_the_view_and_holds_no_writer_up);
	RUN_FRESH(a_copy_is_refused_where_it_would_do_harm);
	RUN_FRESH(a_change_writes_only_the_indexes_of_what_it_sets);
	RUN_FRESH(the_main_queries_use_an_index_and_no_sort);
	RUN_FRESH(counts_look_a_number_up);
	if (dir_remove(dir, &e) != RC_OK)
		return 1;
	return test_failures != 0;
}
