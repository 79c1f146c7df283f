/*
 * Files with every call failing in turn: a model or checkpoint (sealed), a file replaced, a folder made and one
 * removed. After each the name has the old content or the new, whole; no temporary file is left; the answer was
 * the right class.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/must.h"
#include "inject.h"
#include "os/file.h"
#include "test.h"
#include "train/sealed.h"
#include "world.h"

enum { N_MAX = 2000, SIZE = 300000 };

#define WRITING                                                                                                        \
	(KIND(OPEN) | KIND(WRITE) | KIND(FSYNC) | KIND(CLOSE) | KIND(RENAME) | KIND(MKDIR) | KIND(UNLINK) | KIND(DIR))

static const struct inject_plan plans[] = {
	{ .what = "an I/O error", .kinds = WRITING, .sys = EIO },
	{ .what = "I/O errors from then on", .kinds = WRITING, .sys = EIO, .goes_on = true },
	{ .what = "a full disk", .kinds = KIND(OPEN) | KIND(WRITE) | KIND(RENAME) | KIND(MKDIR), .sys = ENOSPC },
	{ .what = "a full disk from then on", .kinds = KIND(WRITE), .sys = ENOSPC, .goes_on = true },
	{ .what = "a quota", .kinds = KIND(WRITE), .sys = EDQUOT, .goes_on = true },
	{ .what = "no descriptors", .kinds = KIND(OPEN) | KIND(DIR), .sys = EMFILE },
	{ .what = "a disk that became read-only", .kinds = WRITING & ~KIND(OPEN), .sys = EROFS, .goes_on = true },
	{ .what = "an interrupted write", .kinds = KIND(WRITE) | KIND(READ), .sys = EINTR, .is_invisible = true },
	{ .what = "a short write", .kinds = KIND(WRITE) | KIND(READ), .is_invisible = true },
};

static char dir[PATH_MAX], path[PATH_MAX];
static const struct sealed_kind kind = { "STNTTEST", 1, "test file" };

/* ---- what is written ---- */

static unsigned char *content(unsigned char byte)
{
	static unsigned char bytes[SIZE];
	memset(bytes, byte, sizeof bytes);
	return bytes;
}

static enum rc replace(unsigned char byte, struct err *err)
{
	return file_replace(path, content(byte), SIZE, 0600, err);
}

static enum rc seal(unsigned char byte, struct err *err)
{
	struct sealed_writer w;
	const struct sealed_section sections[] = { { "head", 8 }, { "body", SIZE } };

	enum rc rc = sealed_write_begin(&w, path, &kind, sections, 2, err);
	if (rc != RC_OK)
		return rc;
	rc = sealed_write(&w, content(byte), 8, err);
	if (rc == RC_OK)
		rc = sealed_write(&w, content(byte), SIZE, err);
	if (rc == RC_OK)
		return sealed_write_end(&w, NULL, err);
	sealed_write_abort(&w);
	return rc;
}

/* The byte that it is full of; 0: it is not whole. */
static unsigned char replaced(void)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	must(file_read(path, &b, NULL) == RC_OK);
	unsigned char byte = b.len == SIZE ? (unsigned char)b.bytes[0] : 0;
	bool is_whole = b.len == SIZE && memcmp(b.bytes, content(byte), SIZE) == 0;
	buf_fini(&b);
	return is_whole ? byte : 0;
}

static unsigned char sealed_byte(void)
{
	struct sealed s = { 0 };
	unsigned char *bytes = NULL, byte = 0;
	size_t size = 0;

	if (sealed_open(&s, path, &kind, NULL) == RC_OK && sealed_section(&s, "body", &bytes, &size, NULL) == RC_OK &&
	    size == SIZE)
		byte = bytes[0];
	sealed_close(&s);
	return byte;
}

static const struct writer {
	const char *name;
	enum rc (*write)(unsigned char byte, struct err *err);
	unsigned char (*read)(void);
} writers[] = { { "replace", replace, replaced }, { "seal", seal, sealed_byte } };

static int count_files(void)
{
	int n = 0;
	DIR *d = opendir(dir);
	must(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

/* The last step, the fsync of the folder, and the unlink that tidies up: after these the new one is there
 * all the same. */
static bool may_be_new(const struct err *err)
{
	return strstr(err->msg, dir) && (strstr(err->msg, "fsync") || strstr(err->msg, "open"));
}

static void judge(const char *what, const struct inject_plan *plan, const struct writer *w, enum rc rc,
		  const struct err *err)
{
	unsigned char byte = w->read();

	EXPECT(byte == 'o' || byte == 'n', "%s: neither the old nor the new", what);
	EXPECT(rc != RC_OK || byte == 'n', "%s: written, and still the old", what);
	EXPECT(rc == RC_OK || byte == 'o' || may_be_new(err), "%s: refused, and yet the new: %s", what, err->msg);
	EXPECT(rc == RC_OK || *err->msg, "%s: without a word", what);
	EXPECT(rc == RC_OK || !plan->is_invisible, "%s: was to go unnoticed: %s", what, err->msg);
	bool is_full = plan->sys == ENOSPC || plan->sys == EDQUOT;
	EXPECT(rc == RC_OK || rc == (is_full ? RC_BUSY : RC_IO), "%s: the wrong class: %s %s", what, rc_name(rc),
	       err->msg);
	bool may_stay = plan->kinds & KIND(UNLINK) && plan->goes_on; /* where nothing can be removed */
	EXPECT(count_files() == 1 || may_stay, "%s: %d files", what, count_files());
}

static bool try_write(const struct writer *w, const struct inject_plan *plan, int n)
{
	char what[128];
	struct err err = { 0 };
	int fds = inject_count_fds();

	(void)snprintf(what, sizeof what, "%s, %s at call %d", w->name, plan->what, n);
	must(w->write('o', &err) == RC_OK);
	inject_arm(plan, n);
	enum rc rc = w->write('n', &err);
	bool is_met = inject_disarm() > 0;
	judge(what, plan, w, rc, &err);
	EXPECT(inject_count_fds() == fds, "%s: descriptors", what);
	EXPECT(w->write('n', &err) == RC_OK && w->read() == 'n' && count_files() == 1, "%s: and never again: %s", what,
	       err.msg);
	return is_met;
}

TEST(a_file_has_the_old_content_or_the_new)
{
	FOR_EACH_ROW(k, writers) {
		FOR_EACH_ROW(i, plans) {
			bool is_met = true;
			for (int n = 1; is_met && n < N_MAX; n++)
				is_met = try_write(&writers[k], &plans[i], n);
			EXPECT(!is_met, "%s: no end of faults", plans[i].what);
		}
	}
}

/* ---- folders ---- */

static void fill_folder(const char *top)
{
	char name[PATH_MAX + 32];
	(void)snprintf(name, sizeof name, "%s/a/b", top);
	must(dir_make_unsynced(name, 0700, NULL) == RC_OK);
	(void)snprintf(name, sizeof name, "%s/a/file", top);
	must(file_write(name, "x", 1, 0600, NULL) == RC_OK);
	(void)snprintf(name, sizeof name, "%s/a/b/file", top);
	must(file_write(name, "x", 1, 0600, NULL) == RC_OK);
}

static bool try_remove(const struct inject_plan *plan, int n)
{
	char top[PATH_MAX], what[128];
	struct err err = { 0 };
	int fds = inject_count_fds();

	(void)snprintf(what, sizeof what, "removal, %s at call %d", plan->what, n);
	must(path_join(top, dir, "folder", NULL) == RC_OK);
	fill_folder(top);
	inject_arm(plan, n);
	enum rc rc = dir_remove(top, &err);
	bool is_met = inject_disarm() > 0;
	EXPECT(rc != RC_OK || !file_exists(top), "%s: said to be gone", what);
	EXPECT(rc == RC_OK || *err.msg, "%s: without a word", what);
	EXPECT(inject_count_fds() == fds, "%s: descriptors", what);
	EXPECT(dir_remove(top, &err) == RC_OK && !file_exists(top), "%s: and never again: %s", what, err.msg);
	return is_met;
}

static enum rc count_entry(void *ctx, const char *name, struct err *err)
{
	(void)name;
	(void)err;
	++*(int *)ctx;
	return RC_OK;
}

/* A listing that fails half way must not look like a short one. */
static bool try_list(const struct inject_plan *plan, int n)
{
	char what[128];
	struct err err = { 0 };
	int seen = 0;

	(void)snprintf(what, sizeof what, "listing, %s at call %d", plan->what, n);
	inject_arm(plan, n);
	enum rc rc = dir_each(world.dir, count_entry, &seen, &err);
	bool is_met = inject_disarm() > 0;
	EXPECT(rc != RC_OK || seen == 2, "%s: %d of 2 entries and no word", what, seen);
	EXPECT(rc == RC_OK || *err.msg, "%s: without a word", what);
	return is_met;
}

TEST(folders_are_listed_and_removed_wholly_or_with_a_word)
{
	FOR_EACH_ROW(i, plans) {
		bool is_met = true;
		for (int n = 1; is_met && n < N_MAX; n++)
			is_met = try_remove(&plans[i], n);
		EXPECT(!is_met, "%s: no end of faults", plans[i].what);
		is_met = true;
		for (int n = 1; is_met && n < N_MAX; n++)
			is_met = try_list(&plans[i], n);
		EXPECT(!is_met, "%s: no end of faults", plans[i].what);
	}
}

int main(void)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	inject_install();
	world_begin(); /* with functions.d */
	must(path_join(dir, world.dir, "files", NULL) == RC_OK && mkdir(dir, 0700) == 0);
	must(path_join(path, dir, "file", NULL) == RC_OK);
	RUN(a_file_has_the_old_content_or_the_new);
	RUN(folders_are_listed_and_removed_wholly_or_with_a_word);
	world_end();
	return test_failures != 0;
}
