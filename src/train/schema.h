/*
 * schema: which columns are features and of what kind, where the label is, and how values become hashes.
 *
 * It is made from the options and the first file's heading (or, in jsonl, from the members met), ends up as JSON in
 * the cache and in the model file, and read back from there treats new rows alike. A column's place in it is its field.
 * Owner:   struct schema is the caller's; schema_fini releases. The options given must live while it is open.
 * Errors:  RC_INVALID what the options name is not there; RC_LIMIT too many columns; RC_CORRUPT bad JSON.
 * Threads: one owner at a time.
 */
#ifndef TRAIN_SCHEMA_H
#define TRAIN_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "train/options.h"

enum column_kind {
	COLUMN_CATEGORY, /* each value is a feature */
	COLUMN_NUMBER,   /* put into a bucket by size */
	COLUMN_TEXT,     /* each word is a feature */
	COLUMN_TAGS,     /* as category, with blanks around each value dropped, and never taken for numbers */
	COLUMN_KINDS
};

struct column {
	char *name;
	uint64_t hash; /* of the name: where its values' hashes begin */
	enum column_kind kind;
	bool is_strict; /* named in numeric_fields: what is no number is an error, not a category */
	bool is_met;    /* jsonl: some row had it */
};

struct schema {
	enum train_format format; /* of the first file; never auto */
	bool has_header;
	bool is_open; /* jsonl without feature_fields: members not met before become columns */
	char *label_field, *separator;
	struct label_rule positive;
	struct column *columns;
	uint32_t n, cap;
	size_t names_size; /* bytes of all names */
	uint32_t hash_bits;
	uint32_t n_fields;                   /* columns, or in libffm and libsvm the highest field + 1 */
	uint32_t *slots, n_slots;            /* name -> column + 1, open addressing */
	const struct train_options *options; /* NULL: read from JSON */
};

enum { SCHEMA_FIELDS_MAX = 1024 /* of libffm */, SCHEMA_NAMES_MAX_SIZE = 8 << 20 };

bool format_is_sparse(enum train_format f); /* libffm, libsvm: no columns */
const char *format_word(enum train_format f);
bool format_parse(const char *word, enum train_format *out); /* "auto" too */

void schema_init(struct schema *s, const struct train_options *o, enum train_format format);
void schema_fini(struct schema *s);

int64_t schema_find(const struct schema *s, const char *name, size_t len); /* -1: not there */
/* Add a column of the kind the options say. RC_INVALID: it is there already, or its name is no UTF-8. RC_LIMIT: too
 * many columns, or bytes of names. */
enum rc schema_add(struct schema *s, const char *name, size_t len, uint32_t *column, struct err *err) NODISCARD;
/* Whether a column of this name becomes a feature: not nameless, not the label, in feature_fields if any are given. */
bool schema_wants(const struct schema *s, const char *name, size_t len);
/* Whether name is the label's. */
bool schema_is_label(const struct schema *s, const char *name, size_t len);
/* No column "click" was found, but one "label", and the options did not ask for another: take that. */
bool schema_label_fallback(struct schema *s);
/* RC_INVALID naming a column that the options name and that is no column. */
enum rc schema_check_named(const struct schema *s, struct err *err) NODISCARD;

/* RC_LIMIT: longer than schema_from_json reads. */
enum rc schema_to_json(const struct schema *s, struct buf *out, struct err *err) NODISCARD;
enum rc schema_from_json(struct schema *s, const char *json, uint32_t hash_bits, struct err *err) NODISCARD;

#endif
