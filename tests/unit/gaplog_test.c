#include "os/gaplog.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/must.h"
#include "base/num.h"
#include "os/calls.h"
#include "os/file.h"
#include "test.h"

/* ---- a log whose every byte follows from its offset: line n is n in 15 digits ---- */

enum { LINE = 16, LINES_PER_WRITE = 256, KIB = 1024, LIMIT = 1 << 20 };

static char dir[PATH_MAX / 2], path[PATH_MAX];

static void print_line(char out[LINE], int64_t n)
{
	out[LINE - 1] = '\n';
	for (int i = LINE - 2; i >= 0; i--, n /= 10)
		out[i] = (char)('0' + n % 10);
}

/* Where bytes and what they should be first differ; len: nowhere. */
static size_t first_wrong(const char *bytes, size_t len, int64_t offset)
{
	char line[LINE];

	for (size_t i = 0; i < len; i++) {
		int at = (int)((offset + (int64_t)i) % LINE);
		if (i == 0 || at == 0)
			print_line(line, (offset + (int64_t)i) / LINE);
		if (bytes[i] != line[at])
			return i;
	}
	return len;
}

static void append(int fd, int64_t *line, int64_t n_lines)
{
	char text[LINE * LINES_PER_WRITE];

	for (int64_t done = 0; done < n_lines; done += LINES_PER_WRITE) {
		for (int i = 0; i < LINES_PER_WRITE; i++)
			print_line(text + i * LINE, (*line)++);
		must(write(fd, text, sizeof text) == (ssize_t)sizeof text);
	}
}

static int begin(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err e = { 0 };

	(void)snprintf(dir, sizeof dir, "%s/gaplog_test.XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(dir) && path_join(path, dir, "7.log", &e) == RC_OK);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	must(fd >= 0);
	return fd;
}

static void end(int fd)
{
	struct err e = { 0 };
	os = os_real;
	must(close(fd) == 0);
	EXPECT(dir_remove(dir, &e) == RC_OK, "%s", e.msg);
}

static int64_t disk_size(int fd)
{
	struct stat st;
	must(fstat(fd, &st) == 0);
	return (int64_t)st.st_blocks * 512;
}

/* ---- a reader that goes on where it was, and checks all it is told ---- */

struct reader {
	int64_t offset, n_read, n_dropped;
	int n_notes;
};

/* The number in the note that out begins with, and its length; 0 without one. */
static int64_t dropped_by(const struct buf *out, size_t *note_len)
{
	static const char after[] = " bytes were dropped here: the log keeps its beginning and its newest part]\n";
	int64_t n = 0;

	*note_len = 0;
	if (strncmp(buf_text(out), "\n[", 2) != 0)
		return 0;
	size_t digits = strcspn(out->bytes + 2, " ");
	EXPECT(num_i64_n(out->bytes + 2, digits, &n) && n > 0, "%.80s", out->bytes);
	EXPECT(strncmp(out->bytes + 2 + digits, after, strlen(after)) == 0, "%.160s", out->bytes);
	*note_len = 2 + digits + strlen(after);
	return n;
}

static bool read_on(struct reader *r, size_t max)
{
	struct buf out;
	struct err e = { 0 };
	int64_t next = -1;
	size_t note_len;

	buf_init(&out, max + GAPLOG_NOTE_MAX);
	EXPECT(gaplog_read(path, r->offset, max, &out, &next, &e) == RC_OK, "%s", e.msg);
	int64_t dropped = dropped_by(&out, &note_len);
	int64_t at = r->offset + dropped;
	size_t len = out.len - note_len, wrong = first_wrong(buf_text(&out) + note_len, len, at);
	EXPECT(wrong == len, "byte %lld is not what was written there", (long long)at + (long long)wrong);
	at += (int64_t)len;
	EXPECT(next == at, "next %lld after %lld", (long long)next, (long long)at);
	r->n_read += at - dropped - r->offset;
	r->n_dropped += dropped;
	r->n_notes += note_len > 0;
	r->offset = next;
	bool got = out.len > 0;
	buf_fini(&out);
	return got;
}

static struct reader read_all(size_t max)
{
	struct reader r = { 0 };
	while (read_on(&r, max))
		;
	return r;
}

/* ---- the tests ---- */

TEST(a_log_below_its_limit_is_left_alone)
{
	int fd = begin();
	int64_t line = 0, size = -1;
	struct err e = { 0 };

	EXPECT(gaplog_bound(fd, LIMIT, &size, &e) == RC_OK && size == 0, "%s %lld", e.msg, (long long)size);
	append(fd, &line, LIMIT / LINE);
	EXPECT(gaplog_bound(fd, LIMIT, &size, &e) == RC_OK && size == LIMIT, "%s %lld", e.msg, (long long)size);
	struct reader r = read_all(100000);
	EXPECT(r.n_read == LIMIT && r.n_dropped == 0 && r.n_notes == 0, "%lld", (long long)r.n_read);
	end(fd);
}

TEST(past_its_limit_a_log_keeps_its_beginning_and_its_newest_part)
{
	int fd = begin();
	int64_t line = 0, size = 0;
	struct err e = { 0 };

	for (int round = 0; round < 40; round++) {
		append(fd, &line, (100 * KIB + round * 16 * KIB) / LINE);
		EXPECT(gaplog_bound(fd, LIMIT, &size, &e) == RC_OK, "%s", e.msg);
		EXPECT(size == line * LINE, "%lld", (long long)size);
		EXPECT(disk_size(fd) <= LIMIT, "it takes %lld", (long long)disk_size(fd));
		struct reader r = read_all(64 * KIB);
		EXPECT(r.n_read + r.n_dropped == size && r.offset == size, "%lld", (long long)r.n_read);
		EXPECT(r.n_notes == (size > LIMIT), "%d notes", r.n_notes);
		struct reader newest = { .offset = size - LIMIT / 2 > 0 ? size - LIMIT / 2 : 0 };
		while (read_on(&newest, 64 * KIB))
			;
		EXPECT(newest.n_dropped == 0, "of the newest half %lld are gone", (long long)newest.n_dropped);
		struct reader first = { 0 };
		EXPECT(read_on(&first, 64 * KIB) && first.n_read == 64 * KIB, "%lld", (long long)first.n_read);
	}
	EXPECT(size > 10 * LIMIT, "%lld", (long long)size);
	end(fd);
}

TEST(a_reader_in_the_gap_is_told_what_it_missed)
{
	int fd = begin();
	int64_t line = 0, size;
	struct err e = { 0 };

	append(fd, &line, 3 * LIMIT / LINE);
	EXPECT(gaplog_bound(fd, LIMIT, &size, &e) == RC_OK, "%s", e.msg);
	struct reader all = read_all(LIMIT), r = { .offset = LIMIT };
	EXPECT(read_on(&r, 10) && r.n_notes == 1 && r.n_read == 10, "%lld", (long long)r.n_read);
	EXPECT(r.n_dropped == 2 * LIMIT + LIMIT / 2 - LIMIT, "%lld", (long long)r.n_dropped);
	EXPECT(all.n_dropped == 2 * LIMIT + LIMIT / 2 - LIMIT / 4, "%lld", (long long)all.n_dropped);
	r.offset = 3 * LIMIT;
	EXPECT(!read_on(&r, 10) && r.offset == 3 * LIMIT, "something behind the end");
	r.offset = INT64_MAX;
	EXPECT(!read_on(&r, 10) && r.offset == INT64_MAX, "something far behind the end");
	end(fd);
}

/* ---- who writes, who bounds and who reads do it at the same time ---- */

static _Atomic bool is_written;

static void *write_much(void *arg)
{
	int64_t line = 0;
	for (int i = 0; i < 400; i++)
		append(*(int *)arg, &line, 64 * KIB / LINE);
	atomic_store(&is_written, true);
	return NULL;
}

static void *bound_all_the_time(void *arg)
{
	int64_t size;
	while (!atomic_load(&is_written))
		EXPECT(gaplog_bound(*(int *)arg, LIMIT, &size, NULL) == RC_OK, "%lld", (long long)size);
	EXPECT(gaplog_bound(*(int *)arg, LIMIT, &size, NULL) == RC_OK, "%lld", (long long)size);
	return NULL;
}

TEST(a_follower_of_a_flood_reads_only_what_was_written)
{
	int fd = begin();
	pthread_t writer, bounder;
	struct reader r = { 0 };

	atomic_store(&is_written, false);
	must(pthread_create(&writer, NULL, write_much, &fd) == 0);
	must(pthread_create(&bounder, NULL, bound_all_the_time, &fd) == 0);
	while (!atomic_load(&is_written))
		(void)read_on(&r, 300000);
	must(pthread_join(writer, NULL) == 0 && pthread_join(bounder, NULL) == 0);
	while (read_on(&r, 300000))
		;
	EXPECT(r.n_read + r.n_dropped == INT64_C(400) * 64 * KIB, "%lld + %lld", (long long)r.n_read,
	       (long long)r.n_dropped);
	EXPECT(disk_size(fd) <= LIMIT, "%lld", (long long)disk_size(fd));
	struct reader late = read_all(LIMIT);
	EXPECT(late.n_notes == 1 && late.n_dropped > 20 * LIMIT, "%lld", (long long)late.n_dropped);
	end(fd);
}

/* The gap reaches into what is being read: between the read and the look after it. */
static ssize_t read_and_drop(int fd, void *buf, size_t n)
{
	int64_t size;
	ssize_t got = os_real.read(fd, buf, n);
	os.read = os_real.read;
	must(gaplog_bound_path(path, LIMIT, NULL) == RC_OK);
	must(file_size(path, &size, NULL) == RC_OK && size == 3 * LIMIT);
	return got;
}

TEST(a_gap_that_comes_while_reading_is_told_as_one)
{
	int fd = begin();
	int64_t line = 0;
	struct reader r = { .offset = LIMIT };

	append(fd, &line, 3 * LIMIT / LINE);
	os.read = read_and_drop;
	EXPECT(read_on(&r, LIMIT) && r.n_notes == 1 && r.n_read > 0, "%d notes", r.n_notes);
	end(fd);
}

static bool drops_before_end;

/* gaplog.c's own: the gap reaches data that were just found, before their end is looked for. */
off_t lseek(int fd, off_t at, int whence)
{
	if (drops_before_end && whence == SEEK_HOLE) {
		drops_before_end = false;
		must(gaplog_bound_path(path, LIMIT, NULL) == RC_OK);
	}
	return syscall(SYS_lseek, fd, at, whence);
}

TEST(a_gap_that_comes_before_reading_is_not_taken_for_the_end)
{
	int fd = begin();
	int64_t line = 0;
	struct reader r = { .offset = LIMIT };

	append(fd, &line, 3 * LIMIT / LINE);
	drops_before_end = true;
	EXPECT(read_on(&r, LIMIT) && r.n_notes == 1 && r.n_read > 0, "%d notes", r.n_notes);
	EXPECT(!drops_before_end, "it never looked");
	end(fd);
}

/* ---- refusals ---- */

static int refused_with;

static int refuse(int fd, int mode, off_t from, off_t len)
{
	(void)fd, (void)mode, (void)from, (void)len;
	errno = refused_with;
	return -1;
}

TEST(a_file_system_that_keeps_everything_is_told_and_nothing_changes)
{
	static const struct {
		int sys;
		enum rc rc;
		const char *says;
	} row[] = {
		{ EOPNOTSUPP, RC_DENIED, "the file system cannot drop the middle of a file" },
		{ ENOSYS, RC_DENIED, "the file system cannot drop the middle of a file" },
		{ EPERM, RC_DENIED, "the file system cannot drop the middle of a file" },
		{ ENOSPC, RC_IO, "cannot drop the middle of the log" },
		{ EIO, RC_IO, "cannot drop the middle of the log" },
	};
	FOR_EACH_ROW (i, row) {
		int fd = begin();
		int64_t line = 0, size = 0;
		struct err e = { 0 };
		append(fd, &line, 2 * LIMIT / LINE);
		os.fallocate = refuse;
		refused_with = row[i].sys;
		EXPECT(gaplog_bound(fd, LIMIT, &size, &e) == row[i].rc && e.sys == row[i].sys, "%zu: %d", i, (int)e.rc);
		EXPECT(strncmp(e.msg, row[i].says, strlen(row[i].says)) == 0, "%s", e.msg);
		EXPECT(size == 2 * LIMIT, "%lld", (long long)size);
		struct reader r = read_all(LIMIT);
		EXPECT(r.n_read == 2 * LIMIT && r.n_notes == 0, "%lld", (long long)r.n_read);
		end(fd);
	}
}

TEST(what_is_no_log_is_refused)
{
	int fd = begin();
	char link[PATH_MAX];
	struct buf out;
	struct err e = { 0 };
	int64_t next = 42;

	must(path_join(link, dir, "link", NULL) == RC_OK && symlink(path, link) == 0);
	buf_init(&out, 100);
	buf_adds(&out, "before");
	EXPECT(gaplog_read("/no/such/log", 0, 10, &out, &next, &e) == RC_NOT_FOUND, "%s", e.msg);
	EXPECT(gaplog_read(link, 0, 10, &out, &next, &e) == RC_INVALID && strstr(e.msg, "symbolic link"), "%s", e.msg);
	EXPECT(gaplog_bound_path(link, LIMIT, &e) == RC_IO, "%s", e.msg);
	EXPECT(gaplog_bound_path("/no/such/log", LIMIT, &e) == RC_OK, "%s", e.msg);
	EXPECT(next == 42 && strcmp(buf_text(&out), "before") == 0, "%lld '%s'", (long long)next, buf_text(&out));
	buf_fini(&out);
	end(fd);
}

int main(void)
{
	RUN(a_log_below_its_limit_is_left_alone);
	RUN(past_its_limit_a_log_keeps_its_beginning_and_its_newest_part);
	RUN(a_reader_in_the_gap_is_told_what_it_missed);
	RUN(a_follower_of_a_flood_reads_only_what_was_written);
	RUN(a_gap_that_comes_while_reading_is_told_as_one);
	RUN(a_gap_that_comes_before_reading_is_not_taken_for_the_end);
	RUN(a_file_system_that_keeps_everything_is_told_and_nothing_changes);
	RUN(what_is_no_log_is_refused);
	return test_failures != 0;
}
