#include "cmd/manifest.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hex.h"
#include "base/mem.h"
#include "base/num.h"
#include "os/calls.h"
#include "os/file.h"
#include "sign/acs3.h"

enum { FORMAT = 1, MANIFEST_MAX = 256 << 20, ARENA_MAX = 768 << 20, PATH_LEN_MAX = 1024, LIST_FIRST = 64 };

/* ---- folders that are being filled ---- */

static enum rc count_others(void *ctx, const char *name, struct err *err)
{
	(void)err;
	*(int *)ctx += strcmp(name, UNFINISHED_FILE) != 0;
	return RC_OK;
}

static enum rc lock_mark(const char *dir, const char *purpose, const char *mark, int *fd, struct err *err)
{
	enum rc rc = file_lock(mark, fd, err);
	return rc == RC_CONFLICT ? err_set(err, rc, "another %s into '%.200s' is under way", purpose, dir) : rc;
}

enum rc folder_claim(const char *dir, const char *purpose, int *lock_fd, struct err *err)
{
	char mark[PATH_MAX];
	int n_others = 0, fd;

	enum rc rc = dir_make(dir, 0700, err);
	if (rc == RC_OK)
		rc = path_join(mark, dir, UNFINISHED_FILE, err);
	if (rc == RC_OK)
		rc = dir_each(dir, count_others, &n_others, err);
	if (rc != RC_OK)
		return rc;
	if (n_others && !file_exists(mark))
		return err_set(err, RC_CONFLICT, "'%.200s' is not empty; a %s needs a folder of its own", dir, purpose);
	rc = lock_mark(dir, purpose, mark, &fd, err);
	if (rc != RC_OK)
		return rc;
	rc = dir_prune(dir, UNFINISHED_FILE, err); /* what one that was cut off has left */
	if (rc == RC_OK)
		rc = dir_sync(dir, dir, err);
	if (rc == RC_OK)
		*lock_fd = fd;
	else
		(void)close(fd);
	return rc;
}

enum rc folder_release(const char *dir, int lock_fd, struct err *err)
{
	char mark[PATH_MAX];

	enum rc rc = path_join(mark, dir, UNFINISHED_FILE, err);
	if (rc == RC_OK)
		rc = file_remove(mark, err);
	if (rc == RC_OK)
		rc = dir_sync(dir, dir, err);
	(void)close(lock_fd); /* nothing was written through it */
	return rc;
}

void folder_abandon(const char *dir, int lock_fd)
{
	char mark[PATH_MAX];

	/* The mark goes last, and only from an empty folder: else the next one finds what to clear away. */
	if (dir_prune(dir, UNFINISHED_FILE, NULL) == RC_OK && path_join(mark, dir, UNFINISHED_FILE, NULL) == RC_OK)
		(void)os.unlink(mark);
	(void)close(lock_fd);
}

/* ---- the list ---- */

void manifest_init(struct manifest *m)
{
	*m = (struct manifest){ .arena = arena_new(ARENA_MAX), .program = "", .data = "" };
}

void manifest_fini(struct manifest *m)
{
	arena_free(m->arena);
	*m = (struct manifest){ 0 };
}

/* Relative and tame: it names a place below a folder, whatever that folder is, and fits on a line. */
static bool is_tame(const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len > PATH_LEN_MAX)
		return false;
	for (const char *p = path; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 127)
			return false;
	}
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

/* Room for one more element; NULL when the arena is full. */
static void *more(struct arena *a, void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	size_t new_cap = *cap ? 2 * *cap : LIST_FIRST;
	void *bigger = arena_array(a, new_cap, size);
	if (bigger && n)
		memcpy(bigger, list, n * size);
	*cap = bigger ? new_cap : *cap;
	return bigger;
}

static enum rc too_many(struct err *err) { return err_set(err, RC_LIMIT, "a backup cannot hold so many files"); }

enum rc manifest_add_file(struct manifest *m, const char *path, const struct file_sum *sum, struct err *err)
{
	if (!is_tame(path))
		return err_set(err, RC_INVALID, "the name '%.200s' cannot be kept in a backup; rename the file", path);
	struct manifest_file *files = more(m->arena, m->files, m->n_files, &m->cap_files, sizeof *files);
	const char *own = arena_dup(m->arena, path);
	if (!files || !own)
		return too_many(err);
	m->files = files;
	m->files[m->n_files++] = (struct manifest_file){ own, *sum };
	m->size += sum->size;
	return RC_OK;
}

enum rc manifest_add_cache(struct manifest *m, const struct manifest_cache *c, struct err *err)
{
	struct manifest_cache *caches = more(m->arena, m->caches, m->n_caches, &m->cap_caches, sizeof *caches);
	struct manifest_cache own = { arena_dup(m->arena, c->uid), arena_dup(m->arena, c->source),
		                      arena_dup(m->arena, c->path), c->saved_at };
	if (!caches || !own.uid || !own.source || !own.path)
		return too_many(err);
	m->caches = caches;
	m->caches[m->n_caches++] = own;
	return RC_OK;
}

/* ---- writing ---- */

static void print(const struct manifest *m, struct buf *out)
{
	char seal[65];

	buf_addf(out, "stint-backup %d\nmade %lld\nprogram %s\nschema %lld\ndata %s\n", FORMAT, (long long)m->made_at,
	         m->program, (long long)m->schema, m->data);
	for (size_t i = 0; i < m->n_files; i++) {
		const struct manifest_file *f = &m->files[i];
		buf_addf(out, "file %s %lld %o %s\n", f->sum.sha256, (long long)f->sum.size, f->sum.mode, f->path);
	}
	for (size_t i = 0; i < m->n_caches; i++) {
		const struct manifest_cache *c = &m->caches[i];
		buf_addf(out, "redis %s %s %lld %s\n", c->uid, c->source, (long long)c->saved_at,
		         *c->path ? c->path : "-");
	}
	sign_sha256_hex(buf_text(out), out->len, seal);
	buf_addf(out, "end %s\n", seal);
}

enum rc manifest_write(const struct manifest *m, const char *dir, struct err *err)
{
	char path[PATH_MAX];
	struct buf text;

	enum rc rc = path_join(path, dir, MANIFEST_FILE, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&text, MANIFEST_MAX);
	print(m, &text);
	rc = text.is_over ? too_many(err) : file_replace(path, buf_text(&text), text.len, 0600, err);
	buf_fini(&text);
	return rc;
}

/* ---- reading: words between single blanks, the last one may have blanks itself ---- */

struct line {
	const char *p, *end;
};

/* The next word into the arena; the last takes what is left. NULL: there is none. */
static const char *word(struct manifest *m, struct line *l, bool is_last)
{
	if (!l->p || l->p >= l->end)
		return NULL;
	const char *stop = is_last ? NULL : memchr(l->p, ' ', (size_t)(l->end - l->p));
	const char *begin = l->p;
	l->p = stop ? stop + 1 : NULL;
	return arena_dup_n(m->arena, begin, (size_t)((stop ? stop : l->end) - begin));
}

static bool read_file(struct manifest *m, struct line *l, struct err *err)
{
	struct file_sum sum;
	const char *hex = word(m, l, false), *size = word(m, l, false), *mode = word(m, l, false),
	           *path = word(m, l, true);

	if (!hex || strlen(hex) != 64 || !hex_is(hex, 64) || !size || !num_i64(size, &sum.size) || sum.size < 0 ||
	    !mode || !path)
		return false;
	if (strlen(mode) != 3 || mode[0] < '4' || mode[0] > '7' || mode[1] != '0' || mode[2] != '0')
		return false;
	memcpy(sum.sha256, hex, sizeof sum.sha256);
	sum.mode = (unsigned)(mode[0] - '0') << 6;
	return manifest_add_file(m, path, &sum, err) == RC_OK;
}

static bool is_listed(const struct manifest *m, const char *path)
{
	for (size_t i = 0; i < m->n_files; i++) {
		if (strcmp(m->files[i].path, path) == 0)
			return true;
	}
	return false;
}

static bool read_cache(struct manifest *m, struct line *l, struct err *err)
{
	const char *uid = word(m, l, false), *source = word(m, l, false), *at = word(m, l, false),
	           *path = word(m, l, true);
	struct manifest_cache c = { .uid = uid, .source = source };

	if (!uid || !source || !at || !num_i64(at, &c.saved_at) || !path)
		return false;
	c.path = strcmp(path, "-") == 0 ? "" : path;
	if (*c.path && !is_listed(m, c.path))
		return false;
	return manifest_add_cache(m, &c, err) == RC_OK;
}

static bool read_number(struct manifest *m, struct line *l, int64_t *out)
{
	const char *text = word(m, l, true);
	return text && num_i64(text, out);
}

static bool read_text(struct manifest *m, struct line *l, const char **out)
{
	const char *text = word(m, l, true);
	*out = text ? text : "";
	return text;
}

static bool read_line(struct manifest *m, struct line *l, struct err *err)
{
	const char *key = word(m, l, false);

	if (!key)
		return false;
	if (strcmp(key, "file") == 0)
		return read_file(m, l, err);
	if (strcmp(key, "redis") == 0)
		return read_cache(m, l, err);
	if (strcmp(key, "made") == 0)
		return read_number(m, l, &m->made_at);
	if (strcmp(key, "schema") == 0)
		return read_number(m, l, &m->schema);
	if (strcmp(key, "program") == 0)
		return read_text(m, l, &m->program);
	return strcmp(key, "data") == 0 && read_text(m, l, &m->data);
}

/* The last line seals what stands before it. */
static enum rc check_seal(const char *text, size_t len, size_t *body_len, struct err *err)
{
	enum { END_LEN = 4 + 64 + 1 };
	char seal[65];

	if (len < END_LEN || memcmp(text + len - END_LEN, "end ", 4) != 0 || text[len - 1] != '\n')
		return err_set(err, RC_CORRUPT, "the list of the backup is cut short or altered");
	*body_len = len - END_LEN;
	sign_sha256_hex(text, *body_len, seal);
	if (memcmp(seal, text + *body_len + 4, 64) != 0)
		return err_set(err, RC_CORRUPT,
		               "the list of the backup was altered: its checksum is not the one it ends with");
	return RC_OK;
}

static enum rc parse(struct manifest *m, const char *text, size_t len, struct err *err)
{
	static const char head[] = "stint-backup 1\n";
	struct err why = { 0 };

	if (len < 13 || memcmp(text, head, 13) != 0)
		return err_set(err, RC_INVALID, "this is no backup of stint");
	if (len < sizeof head - 1 || memcmp(text, head, sizeof head - 1) != 0)
		return err_set(err, RC_INVALID, "the backup's format is not %d: use a newer stint", FORMAT);
	int n = 1;
	for (const char *p = text + sizeof head - 1; p < text + len; n++) {
		const char *end = memchr(p, '\n', (size_t)(text + len - p));
		struct line l = { p, end };
		if (!end || !read_line(m, &l, &why))
			return err_set(err, RC_CORRUPT, "line %d of the backup's list is malformed%s%s", n + 1,
			               *why.msg ? ": " : "", why.msg);
		p = end + 1;
	}
	return RC_OK;
}

static enum rc read_list(struct manifest *m, const char *path, struct err *err)
{
	struct buf text;
	size_t body_len = 0;

	buf_init(&text, MANIFEST_MAX);
	enum rc rc = file_read(path, &text, err);
	if (rc == RC_NOT_FOUND)
		rc = err_set(err, RC_INVALID, "this is no backup of stint, or one that was never finished: it has no "
		                              MANIFEST_FILE);
	if (rc == RC_OK)
		rc = check_seal(buf_text(&text), text.len, &body_len, err);
	if (rc == RC_OK)
		rc = parse(m, buf_text(&text), body_len, err);
	buf_fini(&text);
	return rc;
}

enum rc manifest_read(struct manifest *m, const char *dir, struct err *err)
{
	char path[PATH_MAX], mark[PATH_MAX];

	enum rc rc = path_join(mark, dir, UNFINISHED_FILE, err);
	if (rc == RC_OK)
		rc = path_join(path, dir, MANIFEST_FILE, err);
	if (rc == RC_OK && file_exists(mark))
		rc = err_set(err, RC_INVALID, "the backup was not finished; make another");
	if (rc == RC_OK && !file_exists(dir))
		return err_set(err, RC_NOT_FOUND, "'%.300s' is not there", dir);
	if (rc == RC_OK)
		rc = read_list(m, path, err);
	return rc == RC_OK ? rc : err_wrap(err, rc, "%.200s", dir);
}
