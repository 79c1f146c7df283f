/*
 * File: header (64 bytes) | per section: section head (64 bytes), payload, zeros to a multiple of 64 | digests of the
 * sections in order (32 bytes each) | seal (32 bytes) = SHA-256 of header and digests. A section's digest covers its
 * head, payload and zeros. All numbers little-endian.
 */
#include "train/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hex.h"
#include "base/mem.h"
#include "base/must.h"
#include "os/calls.h"
#include "os/file.h"

enum { HEAD_SIZE = 64, HELD_SIZE = 1 << 18 };

/* Both 64 bytes, as in the file. */
struct file_head {
	char magic[8];
	uint32_t byte_order; /* ORDER_MARK as a little-endian machine writes it */
	uint32_t version;
	uint32_t n_sections;
	uint32_t zero;
	uint64_t file_size;
	unsigned char reserved[32];
};

struct section_head {
	char name[SEALED_NAME_SIZE];
	uint64_t size;
	unsigned char reserved[40];
};

static const uint32_t order_mark = 0x01020304;

static_assert(sizeof(struct file_head) == HEAD_SIZE, "file head is 64 bytes");
static_assert(sizeof(struct section_head) == HEAD_SIZE, "section head is 64 bytes");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are written and mapped as they lie in memory");

static uint64_t padded(uint64_t size) { return (size + 63) / 64 * 64; }

static void sha256(const void *bytes, size_t size, unsigned char out[SEALED_DIGEST_SIZE])
{
	must(EVP_Digest(bytes, size, out, NULL, EVP_sha256(), NULL) == 1);
}

/* Writing */

static enum rc flush(struct sealed_writer *w, struct err *err)
{
	enum rc rc = file_put(w->fd, w->temp, w->held, w->n_held, err);
	w->n_held = 0;
	return rc;
}

/* Bytes into the file, through the gathering buffer. */
static enum rc put(struct sealed_writer *w, const void *bytes, size_t len, struct err *err)
{
	const unsigned char *p = bytes;
	while (len) {
		size_t n = HELD_SIZE - w->n_held < len ? HELD_SIZE - w->n_held : len;
		memcpy(w->held + w->n_held, p, n);
		w->n_held += n;
		p += n;
		len -= n;
		if (w->n_held == HELD_SIZE) {
			enum rc rc = flush(w, err);
			if (rc != RC_OK)
				return rc;
		}
	}
	return RC_OK;
}

static enum rc put_hashed(struct sealed_writer *w, const void *bytes, size_t len, struct err *err)
{
	must(EVP_DigestUpdate(w->digest, bytes, len) == 1);
	return put(w, bytes, len, err);
}

static enum rc section_begin(struct sealed_writer *w, struct err *err)
{
	const struct sealed_section *s = &w->sections[w->current];
	struct section_head head = { .size = s->size };
	memcpy(head.name, s->name, strlen(s->name));
	w->left = s->size;
	must(EVP_DigestInit_ex(w->digest, EVP_sha256(), NULL) == 1);
	return put_hashed(w, &head, sizeof head, err);
}

static enum rc section_end(struct sealed_writer *w, struct err *err)
{
	static const unsigned char zeros[64];
	uint64_t size = w->sections[w->current].size;
	enum rc rc = put_hashed(w, zeros, (size_t)(padded(size) - size), err);
	must(EVP_DigestFinal_ex(w->digest, w->digests[w->current], NULL) == 1);
	w->current++;
	return rc;
}

/* Close sections that are complete and open the next; an empty section is complete at once. */
static enum rc advance(struct sealed_writer *w, struct err *err)
{
	while (w->left == 0 && w->current < w->n_sections) {
		enum rc rc = section_end(w, err);
		if (rc == RC_OK && w->current < w->n_sections)
			rc = section_begin(w, err);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static uint64_t file_size_of(const struct sealed_section *sections, int n)
{
	uint64_t size = HEAD_SIZE + (uint64_t)(n + 1) * SEALED_DIGEST_SIZE;
	for (int i = 0; i < n; i++)
		size += HEAD_SIZE + padded(sections[i].size);
	return size;
}

enum rc sealed_write_begin(struct sealed_writer *w, const char *path, const struct sealed_kind *kind,
                           const struct sealed_section *sections, int n_sections, struct err *err)
{
	must(n_sections > 0 && n_sections <= SEALED_SECTIONS_MAX);
	*w = (struct sealed_writer){ .fd = -1, .n_sections = n_sections };
	int a = snprintf(w->path, sizeof w->path, "%s", path), b = snprintf(w->temp, sizeof w->temp, "%s.tmp", path);
	if (a < 0 || b < 0 || b >= (int)sizeof w->temp)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	for (int i = 0; i < n_sections; i++) {
		must(strlen(sections[i].name) < SEALED_NAME_SIZE);
		w->sections[i] = sections[i];
	}
	struct file_head head = { .byte_order = order_mark,
		                  .version = kind->version,
		                  .n_sections = (uint32_t)n_sections,
		                  .file_size = file_size_of(sections, n_sections) };
	memcpy(head.magic, kind->magic, sizeof head.magic);
	memcpy(w->header, &head, sizeof head);

	w->fd = os.open(w->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (w->fd < 0) {
		int sys = errno;
		return err_sys(err, sys == ENOSPC ? RC_BUSY : RC_IO, sys, "cannot create '%.300s'", w->temp);
	}
	w->held = mem_alloc(HELD_SIZE);
	w->digest = EVP_MD_CTX_new();
	must(w->digest);
	enum rc rc = put(w, w->header, sizeof w->header, err);
	if (rc == RC_OK)
		rc = section_begin(w, err);
	if (rc == RC_OK)
		rc = advance(w, err);
	if (rc != RC_OK)
		sealed_write_abort(w);
	return rc;
}

enum rc sealed_write(struct sealed_writer *w, const void *bytes, size_t len, struct err *err)
{
	must(len <= w->left);
	enum rc rc = put_hashed(w, bytes, len, err);
	w->left -= len;
	return rc == RC_OK ? advance(w, err) : rc;
}

static void release(struct sealed_writer *w)
{
	EVP_MD_CTX_free(w->digest);
	mem_free(w->held);
	w->digest = NULL;
	w->held = NULL;
}

void sealed_write_abort(struct sealed_writer *w)
{
	if (w->fd < 0)
		return;
	(void)os.close(w->fd); /* the file goes away */
	(void)os.unlink(w->temp);
	w->fd = -1;
	release(w);
}

enum rc sealed_write_end(struct sealed_writer *w, char seal_hex[SEALED_HEX_SIZE], struct err *err)
{
	unsigned char *seal = w->digests[w->n_sections];
	size_t digests_size = (size_t)w->n_sections * SEALED_DIGEST_SIZE;

	must(w->current == w->n_sections);
	must(EVP_DigestInit_ex(w->digest, EVP_sha256(), NULL) == 1);
	must(EVP_DigestUpdate(w->digest, w->header, sizeof w->header) == 1);
	must(EVP_DigestUpdate(w->digest, w->digests, digests_size) == 1);
	must(EVP_DigestFinal_ex(w->digest, seal, NULL) == 1);
	enum rc rc = put(w, w->digests, digests_size + SEALED_DIGEST_SIZE, err);
	if (rc == RC_OK)
		rc = flush(w, err);
	if (rc == RC_OK) {
		int fd = w->fd;
		w->fd = -1;
		if (os.close(fd) != 0)
			rc = err_sys(err, RC_IO, errno, "cannot close '%.300s'", w->temp);
		if (rc == RC_OK)
			rc = file_publish(w->temp, w->path, err);
		if (rc != RC_OK)
			(void)os.unlink(w->temp); /* the first failure is the one to report */
		release(w);
	} else {
		sealed_write_abort(w);
	}
	if (rc == RC_OK && seal_hex)
		hex_of(seal, SEALED_DIGEST_SIZE, seal_hex);
	return rc;
}

/* Reading */

static enum rc map_file(struct sealed *s, const char *path, const struct sealed_kind *kind, struct err *err)
{
	struct stat st;
	int fd = os.open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) {
		int sys = errno;
		return err_sys(err, sys == ENOENT || sys == ENOTDIR ? RC_NOT_FOUND : RC_IO, sys, "cannot open '%.300s'",
		               path);
	}
	enum rc rc = RC_OK;
	if (fstat(fd, &st) != 0)
		rc = err_sys(err, RC_IO, errno, "cannot look at '%.300s'", path);
	else if (!S_ISREG(st.st_mode) || st.st_size < HEAD_SIZE)
		rc = err_set(err, RC_CORRUPT, "'%.200s' is no %s: too short", path, kind->words);
	if (rc == RC_OK) {
		void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			rc = err_sys(err, RC_IO, errno, "cannot map '%.300s'", path);
		else
			*s = (struct sealed){ .bytes = p,
				              .size = (size_t)st.st_size,
				              .changed_at_s = (int64_t)st.st_mtime };
	}
	(void)os.close(fd); /* opened for reading: nothing to lose */
	return rc;
}

static enum rc check_head(const struct sealed *s, const char *path, const struct sealed_kind *kind,
                          struct file_head *head, struct err *err)
{
	memcpy(head, s->bytes, sizeof *head);
	if (memcmp(head->magic, kind->magic, sizeof head->magic) != 0)
		return err_set(err, RC_CORRUPT, "'%.200s' is no %s: wrong first bytes", path, kind->words);
	if (head->byte_order != order_mark)
		return err_set(err, RC_INVALID, "'%.200s': written with another byte order", path);
	if (head->version == 0 || head->version > kind->version)
		return err_set(err, RC_INVALID, "'%.200s': %s version %u, this program reads up to %u", path,
		               kind->words, head->version, kind->version);
	if (head->file_size != s->size)
		return err_set(err, RC_CORRUPT, "'%.200s': %s is cut or damaged: %zu bytes, its head says %llu", path,
		               kind->words, s->size, (unsigned long long)head->file_size);
	if (head->n_sections == 0 || head->n_sections > SEALED_SECTIONS_MAX)
		return err_set(err, RC_CORRUPT, "'%.200s': damaged head: %u sections", path, head->n_sections);
	return RC_OK;
}

/* Find the section at *at, check its digest against the one kept in the trailer. */
static enum rc check_section(struct sealed *s, const char *path, const unsigned char *digests, size_t end, size_t *at,
                             struct err *err)
{
	int i = s->n_sections;
	struct section_head head;
	unsigned char digest[SEALED_DIGEST_SIZE];

	if (end - *at < HEAD_SIZE)
		return err_set(err, RC_CORRUPT, "'%.200s': section %d does not fit in the file", path, i + 1);
	memcpy(&head, s->bytes + *at, sizeof head);
	if (head.size > end - *at - HEAD_SIZE || padded(head.size) > end - *at - HEAD_SIZE)
		return err_set(err, RC_CORRUPT, "'%.200s': section %d does not fit in the file", path, i + 1);
	memcpy(s->sections[i].name, head.name, sizeof head.name - 1);
	size_t size = HEAD_SIZE + (size_t)padded(head.size);
	sha256(s->bytes + *at, size, digest);
	if (memcmp(digest, digests + (size_t)i * SEALED_DIGEST_SIZE, sizeof digest) != 0)
		return err_set(err, RC_CORRUPT, "'%.200s': section %d is damaged (checksum)", path, i + 1);
	s->sections[i].bytes = s->bytes + *at + HEAD_SIZE;
	s->sections[i].size = (size_t)head.size;
	s->n_sections++;
	*at += size;
	return RC_OK;
}

static enum rc check_all(struct sealed *s, const char *path, const struct sealed_kind *kind, struct err *err)
{
	struct file_head head;
	unsigned char seal[SEALED_DIGEST_SIZE], text[HEAD_SIZE + SEALED_SECTIONS_MAX * SEALED_DIGEST_SIZE];
	enum rc rc = check_head(s, path, kind, &head, err);
	if (rc != RC_OK)
		return rc;
	size_t digests_size = head.n_sections * SEALED_DIGEST_SIZE, trailer = digests_size + SEALED_DIGEST_SIZE;
	if (s->size < HEAD_SIZE + trailer)
		return err_set(err, RC_CORRUPT, "'%.200s': too short for its %u sections", path, head.n_sections);
	size_t at = HEAD_SIZE, end = s->size - trailer;
	const unsigned char *digests = s->bytes + end;

	memcpy(text, s->bytes, HEAD_SIZE);
	memcpy(text + HEAD_SIZE, digests, digests_size);
	sha256(text, HEAD_SIZE + digests_size, seal);
	while (s->n_sections < (int)head.n_sections) {
		rc = check_section(s, path, digests, end, &at, err);
		if (rc != RC_OK)
			return rc;
	}
	/* Sections first: when one of them is damaged, it is named. */
	if (memcmp(seal, digests + digests_size, sizeof seal) != 0 || at != end)
		return err_set(err, RC_CORRUPT, "'%.200s': head or trailer is damaged (checksum)", path);
	hex_of(seal, SEALED_DIGEST_SIZE, s->seal_hex);
	return RC_OK;
}

enum rc sealed_open(struct sealed *out, const char *path, const struct sealed_kind *kind, struct err *err)
{
	struct sealed s = { 0 };
	enum rc rc = map_file(&s, path, kind, err);
	if (rc == RC_OK)
		rc = check_all(&s, path, kind, err);
	if (rc == RC_OK)
		*out = s;
	else
		sealed_close(&s);
	return rc;
}

void sealed_close(struct sealed *s)
{
	if (s->bytes)
		must(munmap(s->bytes, s->size) == 0);
	*s = (struct sealed){ 0 };
}

enum rc sealed_section(const struct sealed *s, const char *name, unsigned char **bytes, size_t *size, struct err *err)
{
	for (int i = 0; i < s->n_sections; i++) {
		if (strcmp(s->sections[i].name, name) == 0) {
			*bytes = s->sections[i].bytes;
			*size = s->sections[i].size;
			return RC_OK;
		}
	}
	return err_set(err, RC_CORRUPT, "section '%s' is missing", name);
}

enum rc sha256_of_file(const char *path, char hex[SEALED_HEX_SIZE], struct err *err)
{
	unsigned char digest[SEALED_DIGEST_SIZE];
	struct sealed s = { 0 };
	const struct sealed_kind any = { .words = "file" };
	enum rc rc = map_file(&s, path, &any, err);
	if (rc != RC_OK)
		return rc;
	sha256(s.bytes, s.size, digest);
	sealed_close(&s);
	hex_of(digest, SEALED_DIGEST_SIZE, hex);
	return RC_OK;
}
