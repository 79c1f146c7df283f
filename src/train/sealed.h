/*
 * sealed: the container of model files and checkpoints: named sections, each with a SHA-256, and one over all of them.
 * Every byte of the file is covered; a reader learns which section is damaged. Layout: docs/model-file.md.
 *
 * Writing streams: the sizes are told first, then the bytes follow in order. The file appears under its name only
 * when whole and on disk (temp, fsync, rename, fsync of the folder).
 * Reading maps the file and checks everything before it says RC_OK.
 *
 * Owner:   struct sealed_writer and struct sealed are the caller's. sealed_write_end or _abort ends a writer.
 * Errors:  RC_IO, RC_BUSY disk full; RC_NOT_FOUND; RC_CORRUPT naming the part; RC_INVALID a newer version or another
 *          byte order.
 * Limits:  SEALED_SECTIONS_MAX sections.
 */
#ifndef TRAIN_SEALED_H
#define TRAIN_SEALED_H

#include <limits.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { SEALED_SECTIONS_MAX = 8, SEALED_DIGEST_SIZE = 32, SEALED_NAME_SIZE = 16, SEALED_HEX_SIZE = 65 };

struct sealed_kind {
	char magic[8];
	uint32_t version;  /* written; a reader refuses larger ones */
	const char *words; /* "model file", for messages */
};

struct sealed_section {
	const char *name; /* shorter than SEALED_NAME_SIZE */
	uint64_t size;
};

struct sealed_writer {
	char path[PATH_MAX], temp[PATH_MAX];
	int fd;
	EVP_MD_CTX *digest;
	struct sealed_section sections[SEALED_SECTIONS_MAX];
	int n_sections, current;
	uint64_t left; /* bytes the current section still awaits */
	unsigned char header[64], digests[SEALED_SECTIONS_MAX + 1][SEALED_DIGEST_SIZE];
	unsigned char *held; /* gathered for the next write */
	size_t n_held;
};

enum rc sealed_write_begin(struct sealed_writer *w, const char *path, const struct sealed_kind *kind,
                           const struct sealed_section *sections, int n_sections, struct err *err) NODISCARD;
/* Next bytes of the sections, in order; a call may not cross from one section into the next. */
enum rc sealed_write(struct sealed_writer *w, const void *bytes, size_t len, struct err *err) NODISCARD;
/* Publish. seal_hex (may be NULL) receives the seal: the digest over all. On failure nothing is left behind. */
enum rc sealed_write_end(struct sealed_writer *w, char seal_hex[SEALED_HEX_SIZE], struct err *err) NODISCARD;
void sealed_write_abort(struct sealed_writer *w);

struct sealed {
	unsigned char *bytes; /* the file, mapped for reading */
	size_t size;
	int n_sections;
	struct {
		char name[SEALED_NAME_SIZE];
		unsigned char *bytes; /* 64-byte aligned */
		size_t size;
	} sections[SEALED_SECTIONS_MAX];
	char seal_hex[SEALED_HEX_SIZE];
	int64_t changed_at_s; /* the file's time stamp */
};

enum rc sealed_open(struct sealed *out, const char *path, const struct sealed_kind *kind, struct err *err) NODISCARD;
void sealed_close(struct sealed *s); /* an all-zero one is fine */
/* RC_CORRUPT when there is no such section. */
enum rc sealed_section(const struct sealed *s, const char *name, unsigned char **bytes, size_t *size,
                       struct err *err) NODISCARD;

/* Hex SHA-256 of a whole file, as sha256sum prints it. */
enum rc sha256_of_file(const char *path, char hex[SEALED_HEX_SIZE], struct err *err) NODISCARD;

#endif
