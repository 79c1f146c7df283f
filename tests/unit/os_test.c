#include "os/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/must.h"
#include "os/calls.h"
#include "os/proc.h"
#include "os/procs.h"
#include "test.h"

/* ---- a folder per test ---- */

static char home[PATH_MAX / 2];

static void home_make(void)
{
	const char *tmp = getenv("TMPDIR");
	(void)snprintf(home, sizeof home, "%s/os_test.XXXXXX", tmp ? tmp : "/tmp");
	EXPECT(mkdtemp(home), "%s", home);
}

static void home_remove(void)
{
	struct err e = { 0 };
	EXPECT(dir_remove(home, &e) == RC_OK, "%s", e.msg);
	EXPECT(!file_exists(home), "%s is still there", home);
}

/* Path in the folder; three may be in use at a time. */
static const char *in(const char *name)
{
	static char paths[3][PATH_MAX];
	static int turn;
	char *path = paths[turn++ % 3];
	(void)snprintf(path, PATH_MAX, "%s/%s", home, name);
	return path;
}

static void put(const char *path, const char *text)
{
	struct err e = { 0 };
	EXPECT(file_replace(path, text, strlen(text), 0600, &e) == RC_OK, "%s", e.msg);
}

static bool holds(const char *path, const char *text)
{
	struct buf b;
	buf_init(&b, 10000);
	bool same = file_read(path, &b, NULL) == RC_OK && strcmp(buf_text(&b), text) == 0;
	buf_fini(&b);
	return same;
}

static int entries_of(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;
	for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d)
		(void)closedir(d);
	return n;
}

static int open_descriptors(void) { return entries_of("/proc/self/fd"); }

/* ---- kernel calls that fail ---- */

static struct {
	int until; /* calls that still succeed; the next one fails, once */
	int sys;   /* with this errno */
	int n_failed;
	bool was_renamed; /* a rename, or a link, took place */
} fault;

static bool fails_now(void)
{
	if (fault.until-- != 0)
		return false;
	fault.n_failed++;
	errno = fault.sys;
	return true;
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
	return fails_now() ? -1 : os_real.open(path, flags, mode);
}
static ssize_t faulty_read(int fd, void *buf, size_t n) { return fails_now() ? -1 : os_real.read(fd, buf, n); }
static ssize_t faulty_write(int fd, const void *buf, size_t n) { return fails_now() ? -1 : os_real.write(fd, buf, n); }
static int faulty_fsync(int fd) { return fails_now() ? -1 : os_real.fsync(fd); }
static int faulty_unlink(const char *path) { return fails_now() ? -1 : os_real.unlink(path); }
static int faulty_mkdir(const char *path, mode_t mode) { return fails_now() ? -1 : os_real.mkdir(path, mode); }

static int faulty_close(int fd)
{
	int rc = os_real.close(fd); /* Linux lets go of the descriptor also when close reports an error */
	return fails_now() ? -1 : rc;
}

static int faulty_rename(const char *from, const char *to)
{
	if (fails_now())
		return -1;
	int rc = os_real.rename(from, to);
	fault.was_renamed = rc == 0;
	return rc;
}

static int faulty_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (fails_now())
		return -1;
	int rc = os_real.linkat(from_dir, from, to_dir, to, flags);
	fault.was_renamed = rc == 0;
	return rc;
}

static void fail_call(int n, int sys)
{
	fault.until = n;
	fault.sys = sys;
	fault.n_failed = 0;
	fault.was_renamed = false;
	os.open = faulty_open;
	os.read = faulty_read;
	os.write = faulty_write;
	os.fsync = faulty_fsync;
	os.unlink = faulty_unlink;
	os.mkdir = faulty_mkdir;
	os.close = faulty_close;
	os.rename = faulty_rename;
	os.linkat = faulty_linkat;
}

static void fail_nothing(void) { os = os_real; }

/* ---- tests ---- */

TEST(replace_writes_whole_files)
{
	home_make();
	const char *path = in("a");
	struct stat st;

	put(path, "one");
	EXPECT(holds(path, "one"), "first content");
	put(path, "");
	EXPECT(holds(path, ""), "emptied");
	struct err e = { 0 };
	EXPECT(file_replace(path, "a\0b", 3, 0640, &e) == RC_OK, "%s", e.msg);
	int64_t size = 0;
	EXPECT(file_size(path, &size, &e) == RC_OK && size == 3, "%lld bytes", (long long)size);
	EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0640, "mode %o", st.st_mode);
	EXPECT(entries_of(home) == 1, "something is left beside it");
	EXPECT(file_replace(in("none/a"), "x", 1, 0600, &e) == RC_NOT_FOUND && e.sys == ENOENT, "%s", e.msg);
	EXPECT(strstr(e.msg, "none/a"), "%s", e.msg);
	home_remove();
}

TEST(replace_trusts_no_temp_left_by_a_crash)
{
	home_make();
	struct err e = { 0 };
	struct stat st;

	put(in("victim"), "victim");
	put(in("key.tmp"), "left by a crash");
	EXPECT(chmod(in("key.tmp"), 0666) == 0, "chmod");
	EXPECT(file_replace(in("key"), "secret", 6, 0600, &e) == RC_OK, "%s", e.msg);
	EXPECT(stat(in("key"), &st) == 0 && (st.st_mode & 0777) == 0600, "mode %o", st.st_mode);
	EXPECT(symlink(in("victim"), in("key.tmp")) == 0, "symlink");
	EXPECT(file_replace(in("key"), "secret2", 7, 0600, &e) == RC_OK, "%s", e.msg);
	EXPECT(holds(in("victim"), "victim") && holds(in("key"), "secret2"), "wrote through a link");
	EXPECT(symlink(in("victim"), in("key.tmp")) == 0, "symlink");
	fail_call(0, EPERM); /* the link cannot be removed */
	EXPECT(file_replace(in("key"), "secret3", 7, 0600, &e) == RC_IO && e.sys == EEXIST, "%s", e.msg);
	fail_nothing();
	EXPECT(holds(in("victim"), "victim") && holds(in("key"), "secret2"), "wrote through a link");
	home_remove();
}

TEST(a_replace_that_fails_leaves_the_old_file_and_no_temp)
{
	static const struct {
		int sys;
		enum rc rc;
	} row[] = { { EIO, RC_IO }, { ENOSPC, RC_BUSY }, { EDQUOT, RC_BUSY } };
	FOR_EACH_ROW (i, row) {
		int n = 0, n_refused = 0;
		home_make();
		for (bool more = true; more; n++) {
			struct err e = { 0 };
			put(in("f"), "old");
			int before = open_descriptors();
			fail_call(n, row[i].sys);
			enum rc rc = file_replace(in("f"), "new", 3, 0600, &e);
			fail_nothing();
			more = fault.n_failed > 0;
			n_refused += rc != RC_OK;
			const char *want = rc == RC_OK || fault.was_renamed ? "new" : "old";
			EXPECT(holds(in("f"), want), "call %d: not %s (%s)", n, want, e.msg);
			EXPECT(rc == RC_OK || (rc == row[i].rc && e.sys == row[i].sys), "call %d: %s", n, e.msg);
			EXPECT(rc == RC_OK || strstr(e.msg, home), "call %d names no path: %s", n, e.msg);
			EXPECT(rc == RC_OK || !fault.was_renamed || strstr(e.msg, "open") || strstr(e.msg, "fsync"),
			       "call %d: %s", n, e.msg);
			EXPECT(entries_of(home) == 1, "call %d: a temp is left", n);
			EXPECT(open_descriptors() == before, "call %d: a descriptor is left open", n);
		}
		/* open, write, close, open, fsync, rename, open, fsync; not the removal of a temp nor closing after
		 * reading */
		EXPECT(n_refused == 8, "%d of %d calls were noticed", n_refused, n);
		home_remove();
	}
}

TEST(a_new_file_is_whole_or_not_there)
{
	int n_refused = 0;
	struct stat st;
	home_make();
	for (int n = 0;; n++) {
		struct err e = { 0 };
		int before = open_descriptors();
		fail_call(n, ENOSPC);
		enum rc rc = file_create(in("f"), "new", 3, 0640, &e);
		fail_nothing();
		n_refused += rc != RC_OK;
		EXPECT(rc == RC_OK || (rc == RC_BUSY && strstr(e.msg, home)), "call %d: %s", n, e.msg);
		EXPECT(rc == RC_OK || !fault.was_renamed || strstr(e.msg, "open") || strstr(e.msg, "fsync"),
		       "call %d: %s", n, e.msg);
		EXPECT(file_exists(in("f")) == fault.was_renamed && (!fault.was_renamed || holds(in("f"), "new")),
		       "call %d", n);
		EXPECT(entries_of(home) == fault.was_renamed, "call %d: something else is left", n);
		EXPECT(open_descriptors() == before, "call %d: a descriptor is left open", n);
		if (!fault.n_failed)
			break;
		EXPECT(!fault.was_renamed || unlink(in("f")) == 0, "call %d", n);
	}
	EXPECT(n_refused == 6, "%d of open, write, fsync, link, open, fsync were noticed", n_refused);
	EXPECT(stat(in("f"), &st) == 0 && (st.st_mode & 0777) == (0640 & ~022), "mode %o", st.st_mode & 0777);
	struct err e = { 0 };
	EXPECT(file_create(in("f"), "newer", 5, 0640, &e) == RC_CONFLICT && holds(in("f"), "new"), "%s", e.msg);
	EXPECT(file_create(in("no/f"), "x", 1, 0600, &e) == RC_NOT_FOUND && entries_of(home) == 1, "%s", e.msg);
	home_remove();
}

static int n_syncs;

static int counted_sync(int fd)
{
	n_syncs++;
	return os_real.fsync(fd);
}

TEST(replacing_without_a_sync_is_as_atomic)
{
	int n_refused = 0;
	home_make();
	for (int n = 0;; n++) {
		struct err e = { 0 };
		put(in("f"), "old");
		fail_call(n, ENOSPC);
		enum rc rc = file_replace_unsynced(in("f"), "new", 3, 0600, &e);
		fail_nothing();
		n_refused += rc != RC_OK;
		EXPECT(rc == RC_OK || (rc == RC_BUSY && strstr(e.msg, home)), "call %d: %s", n, e.msg);
		EXPECT(holds(in("f"), rc == RC_OK ? "new" : "old"), "call %d", n);
		EXPECT(entries_of(home) == 1, "call %d: a temp is left", n);
		if (!fault.n_failed)
			break;
	}
	EXPECT(n_refused == 4, "%d of open, write, close, rename were noticed", n_refused);
	n_syncs = 0;
	os.fsync = counted_sync;
	EXPECT(file_replace_unsynced(in("f"), "x", 1, 0600, NULL) == RC_OK && n_syncs == 0, "%d syncs", n_syncs);
	fail_nothing();
	home_remove();
}

TEST(folders_made_together_are_synced_once)
{
	static const char *const names[] = { "a", "b", "c" };
	struct err e = { 0 };
	home_make();
	put(in("f"), "x");
	n_syncs = 0;
	os.fsync = counted_sync;
	EXPECT(dir_make_in(home, names, 2, 0700, &e) == RC_OK && n_syncs == 1, "%d syncs: %s", n_syncs, e.msg);
	EXPECT(dir_make_in(home, names, 2, 0700, &e) == RC_OK && n_syncs == 1, "%d syncs when all are there", n_syncs);
	EXPECT(dir_make_in(home, names, 3, 0700, &e) == RC_OK && n_syncs == 2, "%d syncs", n_syncs);
	EXPECT(file_exists(in("a")) && file_exists(in("b")) && file_exists(in("c")), "made");
	static const char *const wrong[] = { "d", "f" };
	EXPECT(dir_make_in(home, wrong, 2, 0700, &e) == RC_CONFLICT && strstr(e.msg, "no folder"), "%s", e.msg);
	fail_nothing();
	for (int n = 0;; n++) {
		EXPECT(dir_remove(in("a"), &e) == RC_OK, "%s", e.msg);
		fail_call(n, ENOSPC);
		enum rc rc = dir_make_in(home, names, 3, 0700, &e);
		fail_nothing();
		EXPECT(rc == RC_OK || rc == RC_BUSY, "call %d: %s", n, e.msg);
		EXPECT(rc != RC_OK || file_exists(in("a")), "call %d: claims what is not", n);
		if (!fault.n_failed)
			break;
	}
	home_remove();
}

static int transfers_to_interrupt;

static ssize_t slow_write(int fd, const void *buf, size_t n)
{
	if (transfers_to_interrupt-- > 0) {
		errno = EINTR;
		return -1;
	}
	return os_real.write(fd, buf, n > 2 ? 2 : n);
}

static ssize_t slow_read(int fd, void *buf, size_t n)
{
	if (transfers_to_interrupt-- > 0) {
		errno = EINTR;
		return -1;
	}
	return os_real.read(fd, buf, n > 2 ? 2 : n);
}

static ssize_t no_write(int fd, const void *buf, size_t n)
{
	(void)fd, (void)buf, (void)n;
	return 0;
}

TEST(short_and_interrupted_transfers_go_on)
{
	home_make();
	struct err e = { 0 };

	transfers_to_interrupt = 3;
	os.write = slow_write;
	EXPECT(file_replace(in("f"), "0123456789x", 11, 0600, &e) == RC_OK, "%s", e.msg);
	transfers_to_interrupt = 3;
	os.read = slow_read;
	EXPECT(holds(in("f"), "0123456789x"), "content");
	os.write = no_write;
	EXPECT(file_replace(in("f"), "new", 3, 0600, &e) == RC_IO && e.sys == EIO, "%s", e.msg);
	fail_nothing();
	EXPECT(holds(in("f"), "0123456789x") && entries_of(home) == 1, "a write that takes nothing");
	home_remove();
}

TEST(publish_moves_a_finished_file)
{
	home_make();
	struct err e = { 0 };

	put(in("new"), "model 2");
	put(in("model"), "model 1");
	EXPECT(file_publish(in("new"), in("model"), &e) == RC_OK, "%s", e.msg);
	EXPECT(holds(in("model"), "model 2") && !file_exists(in("new")), "not moved");
	EXPECT(file_publish(in("new"), in("model"), &e) == RC_NOT_FOUND, "%s", e.msg);
	EXPECT(holds(in("model"), "model 2"), "a failed publish touched the target");
	for (int n = 0;; n++) {
		put(in("new"), "model 3");
		put(in("model"), "model 2");
		fail_call(n, EIO);
		enum rc rc = file_publish(in("new"), in("model"), &e);
		fail_nothing();
		if (!fault.n_failed)
			break;
		EXPECT(holds(in("model"), fault.was_renamed ? "model 3" : "model 2"), "call %d: %s", n, rc_name(rc));
		EXPECT(file_exists(in("new")) == !fault.was_renamed, "call %d", n);
	}
	home_remove();
}

TEST(read_gives_all_or_nothing)
{
	home_make();
	struct buf b;
	struct err e = { 0 };

	put(in("f"), "0123456789");
	buf_init(&b, 13);
	buf_adds(&b, "abc");
	EXPECT(file_read(in("f"), &b, &e) == RC_OK && strcmp(buf_text(&b), "abc0123456789") == 0, "%s", buf_text(&b));
	buf_reset(&b);
	buf_adds(&b, "abcd");
	EXPECT(file_read(in("f"), &b, &e) == RC_LIMIT && strstr(e.msg, "13 bytes"), "%s", e.msg);
	EXPECT(b.len == 4 && strcmp(buf_text(&b), "abcd") == 0, "%s", buf_text(&b));
	buf_reset(&b);
	buf_adds(&b, "x");
	EXPECT(file_read(in("none"), &b, &e) == RC_NOT_FOUND && strstr(e.msg, "none"), "%s", e.msg);
	EXPECT(file_read(home, &b, &e) == RC_IO && e.sys == EISDIR, "%s", e.msg);
	for (int n = 0;; n++) {
		int before = open_descriptors();
		fail_call(n, EIO);
		enum rc rc = file_read(in("f"), &b, &e);
		fail_nothing();
		EXPECT(open_descriptors() == before, "call %d: a descriptor is left open", n);
		if (rc == RC_OK && !fault.n_failed)
			break;
		EXPECT(rc == RC_OK || (b.len == 1 && strcmp(buf_text(&b), "x") == 0), "call %d: %s", n, buf_text(&b));
		b.len = 1;
		b.bytes[1] = '\0';
	}
	buf_fini(&b);
	home_remove();
}

TEST(small_file_calls)
{
	home_make();
	struct err e = { 0 };
	int64_t size = 42;
	char out[PATH_MAX] = "kept";
	static char name[PATH_MAX + 1];

	EXPECT(!file_exists(in("f")) && file_remove(in("f"), &e) == RC_OK, "removing what is absent: %s", e.msg);
	EXPECT(file_size(in("f"), &size, &e) == RC_NOT_FOUND && size == 42, "%s", e.msg);
	put(in("f"), "x");
	EXPECT(file_exists(in("f")) && file_remove(in("f"), &e) == RC_OK && !file_exists(in("f")), "%s", e.msg);
	EXPECT(file_remove(home, &e) != RC_OK && file_exists(home), "removed a folder as a file");
	EXPECT(path_join(out, "a/b", "c", &e) == RC_OK && strcmp(out, "a/b/c") == 0, "%s", out);
	memset(name, 'x', PATH_MAX);
	EXPECT(path_join(out, "a", name, &e) == RC_LIMIT, "%s", e.msg);
	EXPECT(file_replace(name, "x", 1, 0600, &e) == RC_LIMIT, "%s", e.msg);
	EXPECT(dir_make(name, 0700, &e) == RC_LIMIT, "%s", e.msg);
	home_remove();
}

TEST(folders_are_made_with_their_parents)
{
	home_make();
	struct err e = { 0 };
	struct stat st;

	EXPECT(dir_make(in("a/b//c/"), 0750, &e) == RC_OK, "%s", e.msg);
	EXPECT(stat(in("a/b/c"), &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0750, "mode %o",
	       st.st_mode);
	EXPECT(dir_make(in("a/b/c"), 0700, &e) == RC_OK, "again: %s", e.msg);
	EXPECT(stat(in("a/b/c"), &st) == 0 && (st.st_mode & 0777) == 0750, "the mode of an old one changed");
	put(in("a/f"), "x");
	EXPECT(dir_make(in("a/f"), 0700, &e) == RC_CONFLICT && strstr(e.msg, "no folder"), "%s", e.msg);
	EXPECT(dir_make(in("a/f/g"), 0700, &e) == RC_CONFLICT, "%s", e.msg);
	EXPECT(dir_make("", 0700, &e) == RC_NOT_FOUND, "%s", e.msg);
	EXPECT(symlink("a", in("link")) == 0 && dir_make(in("link/d"), 0700, &e) == RC_OK, "%s", e.msg);
	EXPECT(file_exists(in("a/d")), "through a link");
	for (int n = 0;; n++) {
		int before = open_descriptors();
		fail_call(n, ENOSPC);
		enum rc rc = dir_make(in("x/y/z"), 0700, &e);
		fail_nothing();
		EXPECT(open_descriptors() == before, "call %d: a descriptor is left open", n);
		EXPECT(rc != RC_OK || file_exists(in("x/y/z")), "call %d: claims what is not", n);
		EXPECT(rc == RC_OK || rc == RC_BUSY, "call %d: %s", n, e.msg);
		EXPECT(dir_make(in("x/y/z"), 0700, &e) == RC_OK, "the next try after call %d: %s", n, e.msg);
		EXPECT(dir_remove(in("x"), &e) == RC_OK, "%s", e.msg);
		if (!fault.n_failed)
			break;
	}
	home_remove();
}

TEST(removing_a_folder_follows_no_link)
{
	home_make();
	struct err e = { 0 };

	EXPECT(dir_make(in("keep"), 0700, &e) == RC_OK && dir_make(in("go/sub/deep"), 0700, &e) == RC_OK, "%s", e.msg);
	put(in("keep/f"), "kept");
	put(in("go/f"), "x");
	put(in("go/sub/deep/f"), "x");
	EXPECT(symlink("../keep", in("go/link")) == 0 && symlink("nowhere", in("go/sub/dead")) == 0, "symlink");
	EXPECT(dir_remove(in("go"), &e) == RC_OK && !file_exists(in("go")), "%s", e.msg);
	EXPECT(holds(in("keep/f"), "kept"), "removed through a link");
	EXPECT(dir_remove(in("go"), &e) == RC_OK, "absent: %s", e.msg);
	EXPECT(symlink("keep", in("link")) == 0, "symlink");
	EXPECT(dir_remove(in("link"), &e) != RC_OK && holds(in("keep/f"), "kept"), "followed the link itself");
	EXPECT(dir_remove(in("keep/f"), &e) != RC_OK && holds(in("keep/f"), "kept"), "removed a file as a folder");
	home_remove();
}

static int64_t disk_size(int fd)
{
	struct stat st;
	must(fstat(fd, &st) == 0);
	return (int64_t)st.st_blocks * 512;
}

/* Below the folder `in`, one in the other, each with a file; deeper than any path is long. What all of it, but the
 * empty folders beside, takes on the disk. */
static int64_t dig(const char *path, int depth)
{
	int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t size = 0;
	for (int i = 0; i < depth; i++) {
		must(mkdirat(at, "deeper", 0700) == 0 && mkdirat(at, "beside", 0700) == 0);
		int file = openat(at, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		int next = openat(at, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		must(file >= 0 && next >= 0 && write(file, "x", 1) == 1);
		size += disk_size(file) + disk_size(at);
		must(close(file) == 0 && close(at) == 0);
		at = next;
	}
	size += disk_size(at);
	must(close(at) == 0);
	return size;
}

static int64_t empty_folder_size(void)
{
	struct err e = { 0 };
	EXPECT(dir_make(in("empty"), 0700, &e) == RC_OK, "%s", e.msg);
	int64_t size = dir_usage(in("empty"));
	EXPECT(dir_remove(in("empty"), &e) == RC_OK, "%s", e.msg);
	return size;
}

TEST(a_folder_of_any_depth_is_measured)
{
	home_make();
	struct err e = { 0 };
	const int depths[] = { 1, 31, 32, 33, 63, 64, 65, 66, 97, 150, 1500 };
	int64_t beside = empty_folder_size();

	FOR_EACH_ROW(i, depths) {
		EXPECT(dir_make(in("deep"), 0700, &e) == RC_OK, "%s", e.msg);
		int64_t size = dig(in("deep"), depths[i]) + depths[i] * beside;
		int before = open_descriptors();
		int64_t used = dir_usage(in("deep"));
		EXPECT(used == size, "%d: %lld, and it is %lld", depths[i], (long long)used, (long long)size);
		EXPECT(open_descriptors() == before, "%d: a descriptor is left open", depths[i]);
		EXPECT(dir_remove(in("deep"), &e) == RC_OK, "%s", e.msg);
	}
	EXPECT(dir_usage(in("deep")) == 0, "an absent one");
	home_remove();
}

/* Each level has two that go on: the way back is taken from every depth. */
static int64_t branch(const char *path, int depth)
{
	char below[PATH_MAX];
	struct stat st;
	int64_t size = 0;

	must(mkdir(path, 0700) == 0);
	for (int i = 0; i < 2 && depth; i++) {
		(void)snprintf(below, sizeof below, "%s/%c", path, "ab"[i]);
		size += branch(below, i == 0 ? depth - 1 : depth / 16);
	}
	(void)snprintf(below, sizeof below, "%s/link", path);
	must(symlink("..", below) == 0 && lstat(below, &st) == 0);
	size += (int64_t)st.st_blocks * 512;
	must(stat(path, &st) == 0);
	return size + (int64_t)st.st_blocks * 512;
}

TEST(a_folder_with_branches_is_measured)
{
	home_make();
	int64_t size = branch(in("tree"), 120), used = dir_usage(in("tree"));
	EXPECT(used == size, "%lld, and it is %lld", (long long)used, (long long)size);
	home_remove();
}

/* A program that shuts its folders has no more room than others. */
TEST(folders_that_may_not_be_read_are_measured)
{
	enum { NOBODY = 65534 };
	const mode_t modes[] = { 0000, 0100, 0300, 0400, 0600 };
	struct err e = { 0 };
	char here[PATH_MAX];
	bool is_root = geteuid() == 0;

	home_make();
	must(getcwd(here, sizeof here) && chdir(home) == 0);
	if (is_root)
		must(chown(home, NOBODY, NOBODY) == 0 && seteuid(NOBODY) == 0);
	FOR_EACH_ROW(i, modes) {
		EXPECT(dir_make("use/shut/x", 0700, &e) == RC_OK, "%s", e.msg);
		put("use/shut/x/file", "x");
		int64_t open_size = dir_usage("use");
		must(chmod("use/shut/x", modes[i]) == 0 && chmod("use/shut", modes[i]) == 0);
		int64_t shut_size = dir_usage("use");
		EXPECT(shut_size == open_size && shut_size > 0, "%o: %lld, and open it is %lld", (unsigned)modes[i],
		       (long long)shut_size, (long long)open_size);
		EXPECT(dir_remove("use", &e) == RC_OK, "%s", e.msg);
	}
	if (is_root)
		must(seteuid(0) == 0);
	must(chdir(here) == 0);
	home_remove();
}

TEST(a_folder_of_any_depth_is_removed)
{
	home_make();
	struct err e = { 0 };
	const int depths[] = { 31, 32, 33, 34, 40, 100, 1500 };

	FOR_EACH_ROW(i, depths) {
		EXPECT(dir_make(in("deep"), 0700, &e) == RC_OK, "%s", e.msg);
		(void)dig(in("deep"), depths[i]);
		int before = open_descriptors();
		EXPECT(dir_remove(in("deep"), &e) == RC_OK && !file_exists(in("deep")), "%d: %s", depths[i], e.msg);
		EXPECT(open_descriptors() == before, "%d: a descriptor is left open", depths[i]);
	}
	/* The names that what is too deep is moved to may be there already. */
	EXPECT(dir_make(in("deep"), 0700, &e) == RC_OK, "%s", e.msg);
	(void)dig(in("deep"), 70);
	put(in("deep/removed-0"), "x");
	EXPECT(dir_make(in("deep/removed-1/x"), 0700, &e) == RC_OK, "%s", e.msg);
	EXPECT(dir_remove(in("deep"), &e) == RC_OK && !file_exists(in("deep")), "%s", e.msg);
	home_remove();
}

/* As the caches of some tools are, which write below HOME. Root is held up by no mode, so somebody else tries. */
TEST(folders_that_were_made_read_only_are_removed)
{
	enum { NOBODY = 65534 };
	struct err e = { 0 };
	char here[PATH_MAX];
	bool is_root = geteuid() == 0;
	const struct {
		const char *path;
		mode_t mode;
	} row[] = { { "go/pkg/mod/x", 0555 }, { "go/pkg/mod", 0555 }, { "go/shut/x", 0000 }, { "go/shut", 0400 },
		    { "go/pkg", 0100 },       { "go", 0555 } };

	home_make();
	must(getcwd(here, sizeof here) && chdir(home) == 0);
	if (is_root)
		must(chown(home, NOBODY, NOBODY) == 0 && seteuid(NOBODY) == 0);
	EXPECT(dir_make("go/pkg/mod/x", 0700, &e) == RC_OK && dir_make("go/shut/x", 0700, &e) == RC_OK, "%s", e.msg);
	put("go/pkg/mod/x/file", "x");
	put("go/pkg/file", "x");
	FOR_EACH_ROW(i, row)
		must(chmod(row[i].path, row[i].mode) == 0);
	int before = open_descriptors();
	EXPECT(dir_remove("go", &e) == RC_OK && !file_exists("go"), "%s", e.msg);
	EXPECT(open_descriptors() == before, "a descriptor is left open");
	if (is_root)
		must(seteuid(0) == 0);
	must(chdir(here) == 0);
	home_remove();
}

static enum rc count_entry(void *ctx, const char *name, struct err *err)
{
	int *left = ctx;
	EXPECT(strcmp(name, ".") != 0 && strcmp(name, "..") != 0, "%s", name);
	return --*left ? RC_OK : err_set(err, RC_CONFLICT, "enough");
}

TEST(each_entry_until_one_fails)
{
	home_make();
	struct err e = { 0 };
	int left = 10;

	put(in("a"), "x");
	put(in("b"), "x");
	EXPECT(dir_make(in("c"), 0700, &e) == RC_OK, "%s", e.msg);
	EXPECT(dir_each(home, count_entry, &left, &e) == RC_OK && left == 7, "%d left", left);
	left = 2;
	EXPECT(dir_each(home, count_entry, &left, &e) == RC_CONFLICT && left == 0, "%d left", left);
	EXPECT(dir_each(in("none"), count_entry, &left, &e) == RC_OK && left == 0, "absent: %s", e.msg);
	EXPECT(dir_each(in("a"), count_entry, &left, &e) == RC_NOT_FOUND, "a file: %s", e.msg);
	home_remove();
}

TEST(prune_keeps_one_and_follows_no_link)
{
	home_make();
	struct err e = { 0 };

	EXPECT(dir_make(in("out"), 0700, &e) == RC_OK && dir_make(in("m/1/x"), 0700, &e) == RC_OK &&
	               dir_make(in("m/2"), 0700, &e) == RC_OK,
	       "%s", e.msg);
	put(in("out/f"), "kept");
	put(in("m/2/f"), "kept");
	put(in("m/f"), "x");
	EXPECT(symlink("../out", in("m/link")) == 0, "symlink");
	EXPECT(dir_prune(in("m"), "2", &e) == RC_OK, "%s", e.msg);
	EXPECT(entries_of(in("m")) == 1 && holds(in("m/2/f"), "kept"), "%d left", entries_of(in("m")));
	EXPECT(holds(in("out/f"), "kept"), "removed through a link");
	home_remove();
}

TEST(only_paths_inside_the_roots)
{
	home_make();
	struct err e = { 0 };
	char data[PATH_MAX], more[PATH_MAX], missing[PATH_MAX];

	(void)snprintf(data, sizeof data, "%s/data", home);
	(void)snprintf(more, sizeof more, "%s/more/", home);
	(void)snprintf(missing, sizeof missing, "%s/missing", home);
	const char *const roots[] = { missing, data, more };
	EXPECT(dir_make(in("data/sub"), 0700, &e) == RC_OK && dir_make(in("database"), 0700, &e) == RC_OK &&
	               dir_make(more, 0700, &e) == RC_OK,
	       "%s", e.msg);
	put(in("data/f"), "x");
	put(in("data/sub/g"), "x");
	put(in("database/f"), "x");
	put(in("secret"), "x");
	put(in("more/h"), "x");
	EXPECT(symlink("../secret", in("data/to_secret")) == 0 && symlink("..", in("data/up")) == 0 &&
	               symlink("sub/g", in("data/to_g")) == 0 && symlink("data", in("to_data")) == 0 &&
	               symlink("loop", in("data/loop")) == 0,
	       "symlink");
	const struct {
		const char *path;
		enum rc rc;
		const char *real;
	} row[] = {
		{ "data/f", RC_OK, "data/f" },
		{ "data", RC_OK, "data" },
		{ "data/", RC_OK, "data" },
		{ "data/./sub/../f", RC_OK, "data/f" },
		{ "data/to_g", RC_OK, "data/sub/g" },
		{ "to_data/f", RC_OK, "data/f" },
		{ "more/h", RC_OK, "more/h" },
		{ "data/up/data/f", RC_OK, "data/f" },
		{ "database/f", RC_DENIED, NULL },
		{ "secret", RC_DENIED, NULL },
		{ "data/../secret", RC_DENIED, NULL },
		{ "data/sub/../../secret", RC_DENIED, NULL },
		{ "data/to_secret", RC_DENIED, NULL },
		{ "data/up/secret", RC_DENIED, NULL },
		{ "data/up", RC_DENIED, NULL },
		{ ".", RC_DENIED, NULL },
		{ "data/none", RC_NOT_FOUND, NULL },
		{ "data/f/g", RC_NOT_FOUND, NULL },
		{ "data/loop", RC_IO, NULL },
	};
	FOR_EACH_ROW (i, row) {
		char out[PATH_MAX] = "untouched", want[PATH_MAX] = "untouched";
		enum rc rc = path_inside(in(row[i].path), roots, 3, out, &e);
		if (row[i].real)
			EXPECT(realpath(in(row[i].real), want), "%s", row[i].real);
		EXPECT(rc == row[i].rc, "%s: %s", row[i].path, rc_name(rc));
		EXPECT(strcmp(out, want) == 0, "%s: %s", row[i].path, out);
	}
	char out[PATH_MAX];
	const char *const all[] = { "/" };
	EXPECT(path_inside(in("secret"), all, 1, out, &e) == RC_OK, "under /: %s", e.msg);
	EXPECT(path_inside(in("secret"), all, 0, out, &e) == RC_DENIED, "without roots");
	home_remove();
}

TEST(a_lock_has_one_holder)
{
	home_make();
	struct err e = { 0 };
	int first = -1, second = -1;

	EXPECT(file_lock(in("lock"), &first, &e) == RC_OK && first >= 0, "%s", e.msg);
	EXPECT(fcntl(first, F_GETFD) & FD_CLOEXEC, "a child would inherit the lock");
	int before = open_descriptors();
	EXPECT(file_lock(in("lock"), &second, &e) == RC_CONFLICT && second == -1, "%s", e.msg);
	EXPECT(strstr(e.msg, "lock") && open_descriptors() == before, "%s", e.msg);
	(void)close(first);
	EXPECT(file_lock(in("lock"), &second, &e) == RC_OK, "after release: %s", e.msg);
	(void)close(second);
	EXPECT(file_lock(in("none/lock"), &second, &e) == RC_NOT_FOUND, "%s", e.msg);
	home_remove();
}

/* ---- processes in a folder ---- */

/* A process of that name that works in dir and waits to be killed. */
static pid_t worker(const char *dir, const char *name)
{
	int ready[2];
	char byte;

	must(pipe(ready) == 0);
	(void)fflush(stdout);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		must(chdir(dir) == 0 && prctl(PR_SET_NAME, name) == 0);
		must(write(ready[1], "", 1) == 1);
		for (;;)
			(void)pause();
	}
	must(read(ready[0], &byte, 1) == 1);
	must(close(ready[0]) == 0 && close(ready[1]) == 0);
	return pid;
}

static bool has_ended(pid_t pid) { return waitpid(pid, NULL, WNOHANG) == pid; }

TEST(only_processes_of_the_name_in_the_folder_are_killed)
{
	home_make();
	must(mkdir(in("here"), 0700) == 0 && mkdir(in("here-too"), 0700) == 0);
	pid_t meant = worker(in("here"), "some-server"), other = worker(in("here"), "some-shell"),
	      elsewhere = worker(in("here-too"), "some-server");

	EXPECT(proc_kill_in(in("nowhere"), "some-server", 5000), "no folder");
	EXPECT(proc_kill_in(in("here"), "some-server", 5000), "it does not end");
	EXPECT(has_ended(meant), "it lives");
	EXPECT(!has_ended(other) && !has_ended(elsewhere), "too many");
	must(rmdir(in("here-too")) == 0);
	EXPECT(proc_kill_in(in("here-too"), "some-server", 5000), "in a removed folder");
	EXPECT(has_ended(elsewhere), "it lives in a removed folder");
	must(kill(other, SIGKILL) == 0 && waitpid(other, NULL, 0) == other);
	home_remove();
}

/* ---- looks at the processes ---- */

static struct rlimit leave_descriptors_below(rlim_t n)
{
	struct rlimit old, low;
	must(getrlimit(RLIMIT_NOFILE, &old) == 0);
	low = (struct rlimit){ .rlim_cur = n, .rlim_max = old.rlim_max };
	must(setrlimit(RLIMIT_NOFILE, &low) == 0);
	return old;
}

TEST(a_look_at_the_processes_needs_no_descriptor_of_others)
{
	struct procs p;
	pid_t child = fork();
	must(child >= 0);
	while (child == 0)
		(void)pause();
	procs_init(&p);
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	must(next >= 0 && close(next) == 0);
	struct rlimit old = leave_descriptors_below((rlim_t)next);
	for (int i = 0; i < 2; i++) {
		procs_look(&p);
		EXPECT(p.is_whole && procs_find(&p, getpid()) && procs_find(&p, child), "look %d is blind", i);
	}
	const struct procs_row *row = procs_find(&p, child);
	if (row)
		procs_kill(&p, row);
	must(setrlimit(RLIMIT_NOFILE, &old) == 0);
	EXPECT(row && waitpid(child, NULL, 0) == child, "it was not killed");
	old = leave_descriptors_below(3); /* the one in reserve is of no use now */
	procs_look(&p);
	must(setrlimit(RLIMIT_NOFILE, &old) == 0);
	EXPECT(!p.is_whole, "it saw nothing, and says it saw all");
	procs_look(&p);
	EXPECT(p.is_whole && procs_find(&p, getpid()), "with descriptors again");
	procs_fini(&p);
	if (!row)
		must(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

int main(void)
{
	(void)umask(022);
	RUN(replace_writes_whole_files);
	RUN(replace_trusts_no_temp_left_by_a_crash);
	RUN(a_replace_that_fails_leaves_the_old_file_and_no_temp);
	RUN(a_new_file_is_whole_or_not_there);
	RUN(replacing_without_a_sync_is_as_atomic);
	RUN(folders_made_together_are_synced_once);
	RUN(short_and_interrupted_transfers_go_on);
	RUN(publish_moves_a_finished_file);
	RUN(read_gives_all_or_nothing);
	RUN(small_file_calls);
	RUN(folders_are_made_with_their_parents);
	RUN(removing_a_folder_follows_no_link);
	RUN(a_folder_of_any_depth_is_measured);
	RUN(a_folder_with_branches_is_measured);
	RUN(folders_that_may_not_be_read_are_measured);
	RUN(a_folder_of_any_depth_is_removed);
	RUN(folders_that_were_made_read_only_are_removed);
	RUN(each_entry_until_one_fails);
	RUN(prune_keeps_one_and_follows_no_link);
	RUN(only_paths_inside_the_roots);
	RUN(a_lock_has_one_holder);
	RUN(only_processes_of_the_name_in_the_folder_are_killed);
	RUN(a_look_at_the_processes_needs_no_descriptor_of_others);
	return test_failures != 0;
}
