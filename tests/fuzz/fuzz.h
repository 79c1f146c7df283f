/*
 * fuzz: what the fuzz targets share. A target is a file NAME_fuzz.c that defines LLVMFuzzerTestOneInput and checks
 * properties of one codec on any input; docs/fuzzing.md lists them.
 *
 * It is linked in one of two ways: with libFuzzer (meson -Dfuzz=true, clang), which looks for inputs, or with replay.c
 * (any compiler), which feeds it the files it is given.
 *
 * What a target decides by chance (where to split, which time it is) it takes from fuzz_chance, which the input alone
 * determines: so a corpus file is nothing but the text or bytes of the format, and a finding can be repeated.
 *
 * Owner:   what fuzz_text gives is mem_free'd by the caller; a struct fuzz_file is closed by him.
 * Threads: one.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/err.h"
#include "base/rand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold of any input. Says in words what went wrong, and aborts. */
#define CHECK(cond, ...)                                                                            \
	do {                                                                                        \
		if (!(cond))                                                                        \
			fuzz_fail(__FILE__, __LINE__, #cond, __VA_ARGS__);                          \
	} while (0)
NORETURN COLD void fuzz_fail(const char *file, int line, const char *cond, const char *fmt, ...) PRINTF(4, 5);

/* Chance of this input's own. */
void fuzz_chance(struct rng *r, const uint8_t *data, size_t size);

/* The input as a text in a heap block of just its size, so that the sanitizer sees one byte too far. It ends at the
 * first NUL byte of the input or at the end; *len (may be NULL) is strlen of it. */
char *fuzz_text(const uint8_t *data, size_t size, size_t *len);

/* The input as a file that lives in memory: path can be opened as long as it is not closed. */
struct fuzz_file {
	int fd;
	char path[32];
};
void fuzz_file_open(struct fuzz_file *f, const void *bytes, size_t size);
void fuzz_file_close(struct fuzz_file *f);

/* A refusal puts itself into words: the same code as returned, a message, no line break in it. */
void fuzz_check_refusal(enum rc rc, const struct err *err);

/* Are both bytes of x all equal to the bytes of y? Lengths may be 0 with NULL. */
bool fuzz_is_same(const void *x, size_t x_len, const void *y, size_t y_len);

#endif
