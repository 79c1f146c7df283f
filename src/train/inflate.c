/*
 * Each packing is a row of a table: magic bytes, begin, step, end. A step takes input from s->next and gives output;
 * s->is_inside says whether the packing has begun a part that it has not ended, which at the end of the file
 * means that the file was cut off. Memory is one input buffer and the unpacker's own window.
 */
#include "train/inflate.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "base/mem.h"
#include "base/must.h"
#include "os/calls.h"

enum { INPUT_SIZE = 128 * 1024, MAGIC_MAX = 6, WINDOW_LOG_MAX = 27 };
static const uint64_t memory_max = UINT64_C(128) << 20;

struct packing {
	const char *name;
	size_t magic_len;
	const char *magic;
	void (*begin)(struct inflate *s);
	enum rc (*step)(struct inflate *s, unsigned char *out, size_t cap, size_t *made, struct err *err);
	void (*end)(struct inflate *s);
};

struct inflate {
	const struct packing *packing; /* NULL until the first bytes are read */
	char *path;
	int fd;
	uint64_t taken;
	bool is_eof;        /* the file has no more input */
	bool is_inside;     /* a packed part is begun and not ended */
	EVP_MD_CTX *digest; /* the caller's, or NULL */
	const unsigned char *next;
	size_t left;
	union {
		z_stream z;
		lzma_stream xz;
		ZSTD_DStream *zstd;
	} u;
	unsigned char input[INPUT_SIZE];
};

static enum rc damaged(struct inflate *s, struct err *err, const char *why)
{
	return err_set(err, RC_INVALID, "%s: damaged %s data: %s", s->path, s->packing->name, why);
}

static void plain_begin(struct inflate *s) { (void)s; }
static void plain_end(struct inflate *s) { (void)s; }

static enum rc plain_step(struct inflate *s, unsigned char *out, size_t cap, size_t *made, struct err *err)
{
	(void)err;
	size_t n = s->left < cap ? s->left : cap;
	memcpy(out, s->next, n);
	s->next += n;
	s->left -= n;
	*made = n;
	return RC_OK;
}

static void gzip_begin(struct inflate *s)
{
	s->u.z = (z_stream){ 0 };
	must(inflateInit2(&s->u.z, 16 + MAX_WBITS) == Z_OK); /* 16: a gzip heading, nothing else */
}

static void gzip_end(struct inflate *s) { (void)inflateEnd(&s->u.z); }

/* Between members only another member may follow, or zeros up to the end (tapes are filled up with them). */
static enum rc gzip_between(struct inflate *s, struct err *err)
{
	while (s->left && *s->next == 0) {
		s->next++;
		s->left--;
	}
	if (s->left && *s->next != 0x1f)
		return damaged(s, err, "other bytes follow its end");
	if (s->left)
		must(inflateReset(&s->u.z) == Z_OK);
	s->is_inside = s->left > 0;
	return RC_OK;
}

static enum rc gzip_step(struct inflate *s, unsigned char *out, size_t cap, size_t *made, struct err *err)
{
	z_stream *z = &s->u.z;
	uInt room = cap < UINT32_MAX ? (uInt)cap : UINT32_MAX;

	*made = 0;
	if (!s->is_inside) {
		enum rc rc = gzip_between(s, err);
		if (rc != RC_OK || !s->is_inside)
			return rc;
	}
	z->next_in = (Bytef *)(uintptr_t)s->next; /* zlib does not write there */
	z->avail_in = (uInt)s->left;
	z->next_out = out;
	z->avail_out = room;
	int got = inflate(z, Z_NO_FLUSH);
	s->next += s->left - z->avail_in;
	s->left = z->avail_in;
	*made = room - z->avail_out;
	if (got == Z_STREAM_END)
		s->is_inside = false;
	else if (got != Z_OK && got != Z_BUF_ERROR)
		return damaged(s, err, z->msg ? z->msg : "not a gzip member");
	return RC_OK;
}

static void xz_begin(struct inflate *s)
{
	s->u.xz = (lzma_stream)LZMA_STREAM_INIT;
	must(lzma_stream_decoder(&s->u.xz, memory_max, LZMA_CONCATENATED) == LZMA_OK);
	s->is_inside = true; /* until the decoder, told of the end, agrees */
}

static void xz_end(struct inflate *s) { lzma_end(&s->u.xz); }

static const char *xz_words(lzma_ret got)
{
	switch (got) {
	case LZMA_FORMAT_ERROR:
		return "not an xz stream";
	case LZMA_OPTIONS_ERROR:
		return "made with options that are not supported";
	case LZMA_DATA_ERROR:
		return "a checksum or a length is wrong";
	default:
		return "the unpacker refuses it";
	}
}

static enum rc xz_step(struct inflate *s, unsigned char *out, size_t cap, size_t *made, struct err *err)
{
	lzma_stream *xz = &s->u.xz;

	*made = 0;
	if (!s->is_inside)
		return RC_OK;
	xz->next_in = s->next;
	xz->avail_in = s->left;
	xz->next_out = out;
	xz->avail_out = cap;
	lzma_ret got = lzma_code(xz, s->is_eof ? LZMA_FINISH : LZMA_RUN);
	s->next = xz->next_in;
	s->left = xz->avail_in;
	*made = cap - xz->avail_out;
	if (got == LZMA_STREAM_END)
		s->is_inside = false;
	else if (got == LZMA_MEMLIMIT_ERROR)
		return err_set(err, RC_LIMIT, "%s: unpacking it takes more than %d MiB of memory", s->path,
			       (int)(memory_max >> 20));
	else if (got != LZMA_OK && got != LZMA_BUF_ERROR) /* the latter: it wants more input */
		return damaged(s, err, xz_words(got));
	return RC_OK;
}

static void zstd_begin(struct inflate *s)
{
	s->u.zstd = ZSTD_createDStream();
	must(s->u.zstd);
	must(!ZSTD_isError(ZSTD_DCtx_setParameter(s->u.zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)));
}

static void zstd_end(struct inflate *s) { (void)ZSTD_freeDStream(s->u.zstd); }

static enum rc zstd_step(struct inflate *s, unsigned char *out, size_t cap, size_t *made, struct err *err)
{
	ZSTD_inBuffer in = { s->next, s->left, 0 };
	ZSTD_outBuffer to = { out, cap, 0 };

	*made = 0;
	if (!s->left && !s->is_inside)
		return RC_OK;
	size_t got = ZSTD_decompressStream(s->u.zstd, &to, &in);
	if (ZSTD_isError(got))
		return damaged(s, err, ZSTD_getErrorName(got));
	s->next += in.pos;
	s->left -= in.pos;
	s->is_inside = got != 0; /* 0: a frame is complete and all its output given */
	*made = to.pos;
	return RC_OK;
}

static const struct packing packings[] = {
	{ "gzip", 2, "\x1f\x8b", gzip_begin, gzip_step, gzip_end },
	{ "xz", 6,
	  "\xfd"
	  "7zXZ\0",
	  xz_begin, xz_step, xz_end },
	{ "zstd", 4, "\x28\xb5\x2f\xfd", zstd_begin, zstd_step, zstd_end },
	{ "plain", 0, "", plain_begin, plain_step, plain_end }, /* last: fits everything */
};

static enum rc open_file(const char *path, enum inflate_source source, int *fd, struct err *err)
{
	struct stat st;
	int f = strcmp(path, "-") == 0 && source == INFLATE_ANY ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
								: os.open(path, O_RDONLY | O_CLOEXEC, 0);
	if (f < 0)
		return err_sys(err, errno == ENOENT || errno == ENOTDIR ? RC_NOT_FOUND : RC_IO, errno,
			       "cannot open '%.300s'", path);
	bool is_known = fstat(f, &st) == 0;
	if (is_known && !S_ISDIR(st.st_mode) && (source == INFLATE_ANY || S_ISREG(st.st_mode))) {
		*fd = f;
		return RC_OK;
	}
	(void)os.close(f); /* nothing was written */
	return err_set(err, RC_INVALID, "'%.300s' is %s", path,
		       is_known && S_ISDIR(st.st_mode) ? "a folder, not a file" : "not a regular file");
}

enum rc inflate_open(const char *path, enum inflate_source source, EVP_MD_CTX *digest, struct inflate **out,
		     struct err *err)
{
	int fd = -1;
	enum rc rc = open_file(path, source, &fd, err);
	if (rc != RC_OK)
		return rc;
	struct inflate *s = mem_new(struct inflate);
	s->fd = fd;
	s->path = mem_dup(strcmp(path, "-") == 0 ? "standard input" : path);
	s->next = s->input;
	s->digest = digest;
	*out = s;
	return RC_OK;
}

/* More input after what is left, which is moved to the front. */
static enum rc fill(struct inflate *s, struct err *err)
{
	if (s->left)
		memmove(s->input, s->next, s->left);
	s->next = s->input;
	ssize_t n;
	do
		n = os.read(s->fd, s->input + s->left, sizeof s->input - s->left);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, RC_IO, errno, "cannot read '%.300s'", s->path);
	if (n == 0)
		s->is_eof = true;
	else if (s->digest)
		must(EVP_DigestUpdate(s->digest, s->input + s->left, (size_t)n) == 1);
	s->left += (size_t)n;
	s->taken += (uint64_t)n;
	return RC_OK;
}

static enum rc choose_packing(struct inflate *s, struct err *err)
{
	while (s->left < MAGIC_MAX && !s->is_eof) {
		enum rc rc = fill(s, err);
		if (rc != RC_OK)
			return rc;
	}
	const struct packing *p = packings;
	while (s->left < p->magic_len || memcmp(s->next, p->magic, p->magic_len) != 0)
		p++;
	p->begin(s);
	s->packing = p;
	return RC_OK;
}

enum rc inflate_read(struct inflate *s, void *bytes, size_t cap, size_t *n, struct err *err)
{
	enum rc rc = s->packing ? RC_OK : choose_packing(s, err);
	must(cap > 0);
	while (rc == RC_OK) {
		size_t made, before = s->left;
		if (!s->left && !s->is_eof)
			rc = fill(s, err);
		if (rc == RC_OK)
			rc = s->packing->step(s, bytes, cap, &made, err);
		if (rc != RC_OK)
			return rc;
		bool is_stuck = s->is_eof && !made && s->left == before;
		if (is_stuck && (s->is_inside || s->left))
			return damaged(s, err, "it is cut off");
		if (made || is_stuck) {
			*n = made;
			return RC_OK;
		}
	}
	return rc;
}

uint64_t inflate_taken(const struct inflate *s) { return s->taken; }

void inflate_close(struct inflate *s)
{
	if (!s)
		return;
	if (s->packing)
		s->packing->end(s);
	(void)os.close(s->fd); /* opened for reading: nothing to lose */
	mem_free(s->path);
	mem_free(s);
}

enum rc inflate_digest(const char *path, EVP_MD_CTX *digest, uint64_t *size, struct err *err)
{
	struct inflate *s = NULL;
	enum rc rc = inflate_open(path, INFLATE_FILE, digest, &s, err);

	while (rc == RC_OK && !s->is_eof) {
		s->left = 0;
		rc = fill(s, err);
	}
	if (rc == RC_OK)
		*size = s->taken;
	inflate_close(s);
	return rc;
}
