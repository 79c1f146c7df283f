#include "train/build.h"

#include <limits.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "base/hex.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "os/calls.h"
#include "os/file.h"
#include "train/deal.h"
#include "train/dense.h"
#include "train/reader.h"

enum {
	SNIFF_ROWS = 10000,
	BLOCK_ROWS = 4096,
	BLOCK_ROWS_MIN = 64,
	BLOCK_FEATURES = 1 << 20, /* where rows are long, fewer go into a block */
	STOP_EVERY = 4096,
};

struct build {
	const struct build_input *in;
	struct schema schema;
	struct spool rows;
	uint64_t n_rows[PARTS];    /* read from train_data and from valid_data */
	uint64_t n_train, n_valid; /* after the split */
	uint64_t n_features;       /* of all rows together */
	uint64_t taken;            /* bytes of the files that are done with */
	bool is_split;             /* validation rows are some of train_data's */
	struct shuffle choice;     /* SPLIT_RANDOM: rows it sends below n_valid are validation */
	uint8_t *seen;
	struct feat_row row; /* scratch */
	EVP_MD_CTX *digest;
	struct packed_writer writer;
};

/* ---- which columns hold numbers ---- */

struct sniffed {
	bool has_value, has_point, has_text;
};

static void sniff_row(const struct cells *cells, struct sniffed *found)
{
	double v;
	for (size_t i = 0; i < cells->n; i++) {
		const struct cell *c = &cells->items[i];
		struct sniffed *f = &found[c->column];
		f->has_value = true;
		f->has_point = f->has_point || memchr(c->bytes, '.', c->len);
		f->has_text = f->has_text || !num_f64_n(c->bytes, c->len, &v);
	}
}

static void settle_kinds(struct schema *s, const struct sniffed *found)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct column *c = &s->columns[i];
		if (c->kind == COLUMN_CATEGORY && found[i].has_value && found[i].has_point && !found[i].has_text)
			c->kind = COLUMN_NUMBER;
	}
}

static enum rc sniff_file(struct build *b, const struct build_file *file, struct sniffed *found, int *rows_left,
			  struct err *err)
{
	struct reader r;
	bool has = true;
	enum rc rc = reader_open(&r, file->path, file->format, READER_LABELLED | READER_GROWS, &b->schema, NULL, err);

	if (rc != RC_OK)
		return rc;
	for (; *rows_left > 0 && rc == RC_OK && has; --*rows_left) {
		rc = reader_cells(&r, &has, err);
		if (rc == RC_OK && has)
			sniff_row(&r.cells, found);
	}
	reader_close(&r);
	return rc;
}

static enum rc find_columns(struct build *b, struct err *err)
{
	struct sniffed found[COLUMNS_MAX] = { 0 };
	int rows_left = SNIFF_ROWS;
	enum rc rc = RC_OK;

	for (int i = 0; i < b->in->n_files && rows_left > 0 && rc == RC_OK; i++) {
		if (b->in->files[i].part == PART_TRAIN)
			rc = sniff_file(b, &b->in->files[i], found, &rows_left, err);
	}
	settle_kinds(&b->schema, found);
	return rc;
}

/* ---- rows as features, in the files' order ---- */

static enum rc store_row(struct build *b, enum part part, struct err *err)
{
	const struct feat_row *r = &b->row;
	struct stored_row head = { .place = part, .n = r->n, .label = r->label > 0 };

	b->n_rows[part]++;
	b->n_features += r->n;
	enum rc rc = spool_write(&b->rows, &head, sizeof head, err);
	return rc == RC_OK ? spool_write(&b->rows, r->features, r->n * sizeof r->features[0], err) : rc;
}

static enum rc load_row(struct build *b, struct stored_row *head, struct err *err)
{
	struct feat_row *r = &b->row;
	enum rc rc = spool_read(&b->rows, head, sizeof *head, err);
	if (rc != RC_OK)
		return rc;
	must(head->n <= r->cap || !head->n); /* the scratch row was once as long */
	r->n = head->n;
	r->label = (float)head->label;
	return spool_read(&b->rows, r->features, head->n * sizeof r->features[0], err);
}

static bool should_stop(const struct build *b)
{
	const struct train_sink *k = b->in->sink;
	return k && k->should_stop && k->should_stop(k->ctx);
}

/* Percent of the run that are done when the files are read, and when their rows are dealt to blocks. */
enum { PERCENT_READ = DATASET_PERCENT * 7 / 10, PERCENT_DEALT = DATASET_PERCENT };

static void report(const struct build *b, int from, int to, uint64_t done, uint64_t all)
{
	const struct train_sink *k = b->in->sink;
	double share = all ? (double)done / (double)all : 1;
	if (k && k->progress)
		k->progress(k->ctx, from + (int)((share < 1 ? share : 1) * (to - from)));
}

static enum rc stopped(struct err *err) { return err_set(err, RC_TIMEOUT, "stopped while reading the data"); }

static enum rc read_file(struct build *b, const struct build_file *file, struct err *err)
{
	enum reader_flags flags = READER_LABELLED | (file->part == PART_TRAIN ? READER_GROWS : 0);
	struct reader r;
	bool has = true;
	enum rc rc = reader_open(&r, file->path, file->format, flags, &b->schema, b->digest, err);

	if (rc != RC_OK)
		return rc;
	for (uint64_t i = 0; rc == RC_OK; i++) {
		rc = reader_row(&r, &b->row, &has, err);
		if (rc != RC_OK || !has)
			break;
		if (i % STOP_EVERY == 0)
			report(b, 0, PERCENT_READ, b->taken + inflate_taken(r.lines.in), b->in->size);
		rc = i % STOP_EVERY == 0 && should_stop(b) ? stopped(err) : store_row(b, file->part, err);
	}
	b->taken += inflate_taken(r.lines.in);
	reader_close(&r);
	return rc;
}

static enum rc check_unchanged(struct build *b, struct err *err)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char hex[65];

	must(EVP_DigestFinal_ex(b->digest, hash, NULL) == 1);
	hex_of(hash, 32, hex);
	if (memcmp(hex, b->in->content_hash, 64) != 0)
		return err_set(err, RC_INVALID, "the data files were changed while they were read");
	return RC_OK;
}

static enum rc read_rows(struct build *b, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = path_join(path, b->in->dir, "rows.tmp", err);

	if (rc == RC_OK)
		rc = spool_create(&b->rows, path, SPOOL_NAMELESS, err);
	for (int i = 0; i < b->in->n_files && rc == RC_OK; i++)
		rc = read_file(b, &b->in->files[i], err);
	if (rc == RC_OK)
		rc = check_unchanged(b, err);
	return rc == RC_OK ? schema_check_named(&b->schema, err) : rc;
}

/* ---- split ---- */

static enum rc plan_split(struct build *b, struct err *err)
{
	const struct train_options *o = b->in->options;
	uint64_t n = b->n_rows[PART_TRAIN];

	if (n == 0)
		return err_set(err, RC_INVALID, "no rows in the training data ('%.200s')", b->in->files[0].name);
	b->is_split = o->valid_data.n == 0;
	if (!b->is_split && !b->n_rows[PART_VALID])
		return err_set(err, RC_INVALID, "no rows in the validation data ('%.200s')", o->valid_data.items[0]);
	b->n_valid = b->is_split ? (uint64_t)llround((double)n * o->valid_ratio) : b->n_rows[PART_VALID];
	b->n_train = b->is_split ? n - b->n_valid : n;
	if (b->n_train == 0)
		return err_set(err, RC_INVALID, "%llu rows are too few to set %g of them aside for validation",
			       (unsigned long long)n, o->valid_ratio);
	shuffle_init(&b->choice, n, o->seed ^ UINT64_C(0x73706c6974)); /* not the order of training */
	return RC_OK;
}

/* Part of row i of train_data. */
static enum part part_of(const struct build *b, const struct stored_row *head, uint64_t i)
{
	if (!b->is_split)
		return (enum part)head->place;
	if (b->in->options->split == SPLIT_RANDOM)
		return shuffle_of(&b->choice, i) < b->n_valid ? PART_VALID : PART_TRAIN;
	return i < b->n_train ? PART_TRAIN : PART_VALID;
}

/* ---- dense indices and blocks ---- */

static enum rc one_class(const struct build *b, uint64_t positives, struct err *err)
{
	const struct label_rule *rule = &b->schema.positive;
	return err_set(err, RC_INVALID,
		       "only one class of label: all %llu training rows are %s (positive means label %s %g)",
		       (unsigned long long)b->n_train, positives ? "positive" : "negative", label_op_words[rule->op],
		       rule->value);
}

/* Mark the hashes of the training rows. */
static enum rc mark_seen(struct build *b, struct err *err)
{
	uint64_t n = b->n_rows[PART_TRAIN] + b->n_rows[PART_VALID], positives = 0;
	enum rc rc = spool_rewind(&b->rows, err);

	b->seen = mem_alloc(dense_bitmap_size(b->schema.hash_bits));
	for (uint64_t i = 0; i < n && rc == RC_OK; i++) {
		struct stored_row head;
		rc = load_row(b, &head, err);
		if (rc != RC_OK || part_of(b, &head, i) != PART_TRAIN)
			continue;
		positives += head.label;
		for (uint32_t k = 0; k < b->row.n; k++) {
			uint32_t h = b->row.features[k].index;
			b->seen[h / 8] = (uint8_t)(b->seen[h / 8] | 1u << h % 8);
		}
	}
	if (rc == RC_OK && (positives == 0 || positives == b->n_train))
		return one_class(b, positives, err);
	return rc;
}

static uint32_t rows_per_block(const struct build *b)
{
	uint64_t n_rows = b->n_train + b->n_valid, rows = n_rows * BLOCK_FEATURES / (b->n_features + 1);
	return rows >= BLOCK_ROWS ? BLOCK_ROWS : rows <= BLOCK_ROWS_MIN ? BLOCK_ROWS_MIN : (uint32_t)rows;
}

/*
 * Deal out one part: training rows to random places, validation rows in the files' order. They are dealt one part after
 * the other, so that a block never holds both.
 */
static enum rc deal_part(struct build *b, enum part part, const struct dense *dense, struct deal *d, struct err *err)
{
	uint64_t n = b->n_rows[PART_TRAIN] + b->n_rows[PART_VALID], at = 0;
	struct shuffle order;
	enum rc rc = spool_rewind(&b->rows, err);

	shuffle_init(&order, b->n_train, b->in->options->seed);
	for (uint64_t i = 0; i < n && rc == RC_OK; i++) {
		struct stored_row head;
		rc = load_row(b, &head, err);
		if (rc == RC_OK && i % STOP_EVERY == 0 && should_stop(b))
			rc = stopped(err);
		if (rc != RC_OK || part_of(b, &head, i) != part)
			continue;
		feat_row_make_dense(&b->row, dense, b->schema.n_fields);
		const struct example e = { .label = b->row.label, .n = b->row.n, .features = b->row.features };
		rc = deal_add(d, part == PART_TRAIN ? shuffle_of(&order, at) : at, &e, err);
		at++;
	}
	return rc;
}

struct taker {
	struct build *build;
	enum part part;
};

static enum rc take_block(void *ctx, const struct example *rows, uint32_t n, struct err *err)
{
	struct taker *t = ctx;
	const struct dataset_info *info = &t->build->writer.info;
	enum rc rc = should_stop(t->build) ? stopped(err) : packed_add_block(&t->build->writer, t->part, rows, n, err);
	uint64_t done = (uint64_t)info->rows[PART_TRAIN] + (uint64_t)info->rows[PART_VALID];

	report(t->build, PERCENT_READ, PERCENT_DEALT, done, t->build->n_train + t->build->n_valid);
	return rc;
}

static enum rc write_part(struct build *b, enum part part, const struct dense *dense, struct err *err)
{
	char path[PATH_MAX];
	struct deal *d = NULL;
	struct taker t = { b, part };
	uint64_t n = part == PART_TRAIN ? b->n_train : b->n_valid, all = b->n_train + b->n_valid;
	uint64_t size = all * sizeof(struct stored_row) + b->n_features * sizeof(struct feature);
	enum rc rc = path_join(path, b->in->dir, "deal.tmp", err);

	if (rc == RC_OK)
		rc = deal_new(path, n, (uint64_t)((double)size * (double)n / (double)all), rows_per_block(b), &d, err);
	if (rc == RC_OK)
		rc = deal_part(b, part, dense, d, err);
	if (rc == RC_OK)
		rc = deal_out(d, take_block, &t, err);
	deal_free(d);
	return rc;
}

static enum rc write_cache(struct build *b, const char *temp, const unsigned char *key, struct err *err)
{
	struct dense dense;
	struct buf schema;
	dense_init(&dense, b->seen, b->schema.hash_bits);
	struct dataset_info info = { .n_fields = b->schema.n_fields ? b->schema.n_fields : 1,
				     .n_features = dense.n,
				     .hash_bits = b->schema.hash_bits,
				     .seen = b->seen };
	memcpy(info.content_hash, b->in->content_hash, sizeof info.content_hash);
	buf_init(&schema, (size_t)64 << 20);
	enum rc rc = schema_to_json(&b->schema, &schema, err);
	info.schema_json = buf_text(&schema);
	if (rc == RC_OK)
		rc = dense.n ? packed_create(&b->writer, temp, &info, err)
			     : err_set(err, RC_INVALID, "the training rows have no features at all");
	for (int part = PART_TRAIN; part < PARTS && rc == RC_OK; part++)
		rc = write_part(b, (enum part)part, &dense, err);
	if (rc == RC_OK)
		rc = packed_finish(&b->writer, key, err);
	packed_drop(&b->writer);
	buf_fini(&schema);
	dense_fini(&dense);
	return rc;
}

static enum rc run(struct build *b, const char *temp, const unsigned char *key, struct err *err)
{
	enum rc rc = RC_OK;

	if (format_is_sparse(b->schema.format))
		rc = schema_check_named(&b->schema, err);
	else
		rc = find_columns(b, err);
	if (rc == RC_OK)
		rc = read_rows(b, err);
	if (rc == RC_OK)
		rc = plan_split(b, err);
	if (rc == RC_OK)
		rc = mark_seen(b, err);
	return rc == RC_OK ? write_cache(b, temp, key, err) : rc;
}

enum rc build_cache(const struct build_input *in, const char *cache_path, const unsigned char key[PACKED_KEY_SIZE],
		    struct err *err)
{
	char temp[PATH_MAX];
	struct build b = { .in = in, .rows.fd = -1, .writer.file.fd = -1, .digest = EVP_MD_CTX_new() };
	int len = snprintf(temp, sizeof temp, "%s.tmp", cache_path);

	if (len < 0 || len >= PATH_MAX) {
		EVP_MD_CTX_free(b.digest);
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", cache_path);
	}
	must(b.digest);
	must(EVP_DigestInit_ex(b.digest, EVP_sha256(), NULL) == 1);
	schema_init(&b.schema, in->options, in->files[0].format);
	enum rc rc = run(&b, temp, key, err);
	if (rc == RC_OK)
		rc = file_publish(temp, cache_path, err);
	if (rc != RC_OK)
		(void)os.unlink(temp); /* the first failure is the one to report */
	spool_drop(&b.rows);
	schema_fini(&b.schema);
	feat_row_fini(&b.row);
	mem_free(b.seen);
	EVP_MD_CTX_free(b.digest);
	return rc;
}
