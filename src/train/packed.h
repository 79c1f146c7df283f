/*
 * packed: the packed binary file of a data set: write it block by block, check it, read blocks from it.
 * Format: docs/binary-cache.md. Which rows go into which block is train/deal.h's matter.
 *
 * Errors:  RC_CORRUPT damaged, of another version or not the one asked for; RC_NOT_FOUND; RC_BUSY disk full; RC_IO.
 * Threads: a writer has one owner; an open cache is read-only, any thread may decode blocks.
 */
#ifndef TRAIN_PACKED_H
#define TRAIN_PACKED_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "train/dataset.h"
#include "train/spool.h"

enum { PACKED_KEY_SIZE = 32 };

struct packed_writer {
	struct spool file;
	struct dataset_info info; /* counts grow as blocks come; the rest is packed_create's caller's */
	struct buf directory;
	unsigned char *block; /* the one being packed */
	size_t block_cap;
};

/* path: a temporary name, to be published after packed_finish. */
enum rc packed_create(struct packed_writer *w, const char *path, const struct dataset_info *info,
		     struct err *err) NODISCARD;
/* All blocks of PART_TRAIN come before those of PART_VALID. */
enum rc packed_add_block(struct packed_writer *w, enum part part, const struct example *examples, uint32_t n,
			struct err *err) NODISCARD;
/* Uses info's content_hash, seen and schema_json. Then the file is complete and closed. */
enum rc packed_finish(struct packed_writer *w, const unsigned char key[PACKED_KEY_SIZE], struct err *err) NODISCARD;
void packed_drop(struct packed_writer *w); /* remove what is not finished; finished is fine */

struct packed;
/* Checks every byte. */
enum rc packed_open(const char *path, const unsigned char key[PACKED_KEY_SIZE], struct packed **out,
		   struct err *err) NODISCARD;
void packed_close(struct packed *c);
const struct dataset_info *packed_info(const struct packed *c);
enum rc packed_block(const struct packed *c, enum part part, uint32_t index, struct block *b,
		     struct err *err) NODISCARD;

#endif
