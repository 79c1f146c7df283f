/*
 * The file is header, blocks, tail (directory of blocks, schema, bitmap). The header is written last, over a place
 * kept for it, so a file without a good one is no cache. Every byte is under some CRC-32: the header's own, one for
 * each block, one for the tail. Numbers are little-endian.
 *
 * A block is columns, not rows: labels, feature counts, fields, indices, values; so a column is copied by one tight
 * loop, and a column that says nothing (all values 1) is left out. Fields and indices take as few whole bytes as the
 * largest needs.
 *
 * Reading is through one mapping of the file. The trainer must never see an index out of range, so decoding checks
 * the CRC and the ranges each time: that costs less than a tenth of the simplest model's step.
 */
#include "train/packed.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>
#include "base/hex.h"
#include "base/mem.h"
#include "base/must.h"
#include "os/calls.h"
#include "train/dense.h"
#include "train/featurize.h"

enum {
	VERSION = 1,
	HEADER_SIZE = 176,
	DIRECTORY_ROW_SIZE = 24,
	BLOCK_HEAD_SIZE = 12,
	BLOCK_HAS_VALUES = 1,
	BLOCK_MAX_SIZE = 0x7fffffff,
};
static const unsigned char magic[8] = "stintds\n";

/* Places in the header. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_HASH_BITS = 12,
	AT_KEY = 16,
	AT_CONTENT = 48,
	AT_ROWS = 80,
	AT_POSITIVES = 96,
	AT_BLOCKS = 112,
	AT_FIELDS = 120,
	AT_FEATURES = 124,
	AT_ROW_MAX = 128,
	AT_SCHEMA_SIZE = 132,
	AT_TAIL = 136,
	AT_FILE_SIZE = 144,
	AT_TAIL_CRC = 152,
	AT_ZERO = 156,
	AT_HEADER_CRC = HEADER_SIZE - 4,
};

static void put32(unsigned char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}

static void put64(unsigned char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static uint32_t crc_of(const void *bytes, size_t len) { return (uint32_t)crc32_z(0, bytes, len); }

/* Bytes that values below n need. */
static unsigned width_of(uint32_t n) { return n <= 1u << 8 ? 1 : n <= 1u << 16 ? 2 : n <= 1u << 24 ? 3 : 4; }

/* ---- writing ---- */

enum rc packed_create(struct packed_writer *w, const char *path, const struct dataset_info *info, struct err *err)
{
	static const unsigned char empty[HEADER_SIZE];
	struct spool file;
	enum rc rc = spool_create(&file, path, SPOOL_NAMED, err);
	if (rc != RC_OK)
		return rc;
	*w = (struct packed_writer){ .file = file, .info = *info };
	buf_init(&w->directory, (size_t)1 << 32);
	rc = spool_write(&w->file, empty, sizeof empty, err);
	if (rc != RC_OK)
		packed_drop(w);
	return rc;
}

static unsigned char *put_wide(unsigned char *p, uint32_t v, unsigned width)
{
	for (unsigned k = 0; k < width; k++)
		p[k] = (unsigned char)(v >> 8 * k);
	return p + width;
}

static bool has_values(const struct example *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < e[i].n; k++) {
			if (e[i].features[k].value < 1 || e[i].features[k].value > 1)
				return true;
		}
	}
	return false;
}

/* The features' columns behind labels and counts. */
static void put_features(const struct packed_writer *w, const struct example *e, uint32_t n, bool values,
			 unsigned char *p)
{
	unsigned field_width = width_of(w->info.n_fields), index_width = width_of(w->info.n_features);

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < e[i].n; k++)
			p = put_wide(p, e[i].features[k].field, field_width);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < e[i].n; k++)
			p = put_wide(p, e[i].features[k].index, index_width);
	for (uint32_t i = 0; values && i < n; i++) {
		for (uint32_t k = 0; k < e[i].n; k++, p += 4) {
			uint32_t bits;
			memcpy(&bits, &e[i].features[k].value, sizeof bits);
			put32(p, bits);
		}
	}
}

/* Pack into w->block; its size, or 0 when it is too large. */
static uint32_t encode(struct packed_writer *w, const struct example *e, uint32_t n, uint32_t n_features)
{
	bool values = has_values(e, n);
	size_t width = width_of(w->info.n_fields) + width_of(w->info.n_features) + (values ? 4u : 0u);
	size_t size = BLOCK_HEAD_SIZE + 5 * (size_t)n + n_features * width;

	if (size > BLOCK_MAX_SIZE)
		return 0;
	if (size > w->block_cap) {
		w->block = mem_grow(w->block, size, 1);
		w->block_cap = size;
	}
	unsigned char *p = w->block, *counts = p + BLOCK_HEAD_SIZE + n;
	put32(p, n);
	put32(p + 4, n_features);
	put32(p + 8, values ? BLOCK_HAS_VALUES : 0);
	for (size_t i = 0; i < n; i++) {
		p[BLOCK_HEAD_SIZE + i] = e[i].label > 0;
		put32(counts + 4 * i, e[i].n);
	}
	put_features(w, e, n, values, counts + 4 * (size_t)n);
	return (uint32_t)size;
}

enum rc packed_add_block(struct packed_writer *w, enum part part, const struct example *e, uint32_t n, struct err *err)
{
	unsigned char row[DIRECTORY_ROW_SIZE] = { 0 };
	uint32_t n_features = 0;

	must(part == PART_VALID || !w->info.n_blocks[PART_VALID]);
	for (uint32_t i = 0; i < n; i++) {
		n_features += e[i].n;
		w->info.positives[part] += e[i].label > 0;
		if (e[i].n > w->info.row_features_max)
			w->info.row_features_max = e[i].n;
	}
	uint32_t size = encode(w, e, n, n_features);
	if (!size || w->directory.is_over)
		return err_set(err, RC_LIMIT, "the data are too large for the cache");
	w->info.rows[part] += n;
	w->info.n_blocks[part]++;
	put64(row, w->file.size);
	put32(row + 8, size);
	put32(row + 12, n);
	put32(row + 16, n_features);
	put32(row + 20, crc_of(w->block, size));
	buf_add(&w->directory, row, sizeof row);
	return spool_write(&w->file, w->block, size, err);
}

static void encode_header(const struct packed_writer *w, const unsigned char *key, uint32_t schema_size, uint64_t tail,
			  uint32_t tail_crc, unsigned char h[HEADER_SIZE])
{
	const struct dataset_info *info = &w->info;

	memset(h, 0, HEADER_SIZE);
	memcpy(h + AT_MAGIC, magic, sizeof magic);
	put32(h + AT_VERSION, VERSION);
	put32(h + AT_HASH_BITS, info->hash_bits);
	memcpy(h + AT_KEY, key, PACKED_KEY_SIZE);
	for (size_t i = 0; i < 32; i++)
		h[AT_CONTENT + i] = (unsigned char)(hex_value(info->content_hash[2 * i]) << 4 |
						    hex_value(info->content_hash[2 * i + 1]));
	for (size_t p = 0; p < PARTS; p++) {
		put64(h + AT_ROWS + 8 * p, (uint64_t)info->rows[p]);
		put64(h + AT_POSITIVES + 8 * p, (uint64_t)info->positives[p]);
		put32(h + AT_BLOCKS + 4 * p, info->n_blocks[p]);
	}
	put32(h + AT_FIELDS, info->n_fields);
	put32(h + AT_FEATURES, info->n_features);
	put32(h + AT_ROW_MAX, info->row_features_max);
	put32(h + AT_SCHEMA_SIZE, schema_size);
	put64(h + AT_TAIL, tail);
	put64(h + AT_FILE_SIZE, w->file.size);
	put32(h + AT_TAIL_CRC, tail_crc);
	put32(h + AT_HEADER_CRC, crc_of(h, AT_HEADER_CRC));
}

enum rc packed_finish(struct packed_writer *w, const unsigned char key[PACKED_KEY_SIZE], struct err *err)
{
	unsigned char header[HEADER_SIZE];
	uint64_t tail = w->file.size;
	const struct {
		const void *bytes;
		size_t len;
	} sections[] = {
		{ buf_text(&w->directory), w->directory.len },
		{ w->info.schema_json, strlen(w->info.schema_json) + 1 }, /* with its NUL */
		{ w->info.seen, dense_bitmap_size(w->info.hash_bits) },
	};
	uint32_t crc = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < ARRAY_LEN(sections) && rc == RC_OK; i++) {
		crc = (uint32_t)crc32_z(crc, sections[i].bytes, sections[i].len);
		rc = spool_write(&w->file, sections[i].bytes, sections[i].len, err);
	}
	if (rc == RC_OK) {
		encode_header(w, key, (uint32_t)sections[1].len, tail, crc, header);
		rc = spool_write_at(&w->file, 0, header, sizeof header, err);
	}
	if (rc == RC_OK)
		rc = spool_finish(&w->file, err);
	packed_drop(w);
	return rc;
}

void packed_drop(struct packed_writer *w)
{
	spool_drop(&w->file);
	mem_free(w->block);
	w->block = NULL;
	buf_fini(&w->directory);
}

/* ---- reading ---- */

struct packed {
	struct dataset_info info;
	const unsigned char *map, *directory;
	size_t size;
	uint64_t tail;
};

static enum rc corrupt(struct err *err, const char *why)
{
	return err_set(err, RC_CORRUPT, "the data cache is damaged: %s", why);
}

static enum rc map_file(const char *path, struct packed *c, struct err *err)
{
	struct stat st;
	int fd = os.open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? RC_NOT_FOUND : RC_IO, errno, "cannot open '%.300s'", path);
	enum rc rc = RC_OK;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < HEADER_SIZE) {
		rc = corrupt(err, "it is too short");
	} else {
		c->size = (size_t)st.st_size;
		void *map = mmap(NULL, c->size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			rc = err_sys(err, RC_IO, errno, "cannot map '%.300s'", path);
		else
			c->map = map;
	}
	(void)os.close(fd); /* the mapping stays */
	return rc;
}

static void decode_header(struct packed *c)
{
	const unsigned char *h = c->map;
	struct dataset_info *info = &c->info;

	for (size_t p = 0; p < PARTS; p++) {
		info->rows[p] = (int64_t)get64(h + AT_ROWS + 8 * p);
		info->positives[p] = (int64_t)get64(h + AT_POSITIVES + 8 * p);
		info->n_blocks[p] = get32(h + AT_BLOCKS + 4 * p);
	}
	info->n_fields = get32(h + AT_FIELDS);
	info->n_features = get32(h + AT_FEATURES);
	info->hash_bits = get32(h + AT_HASH_BITS);
	info->row_features_max = get32(h + AT_ROW_MAX);
	hex_of(h + AT_CONTENT, 32, info->content_hash);
	c->tail = get64(h + AT_TAIL);
}

static enum rc check_header(struct packed *c, const unsigned char *key, struct err *err)
{
	const unsigned char *h = c->map;

	if (memcmp(h + AT_MAGIC, magic, sizeof magic) != 0)
		return corrupt(err, "it is another kind of file");
	if (get32(h + AT_HEADER_CRC) != crc_of(h, AT_HEADER_CRC))
		return corrupt(err, "its header");
	if (get32(h + AT_VERSION) != VERSION || memcmp(h + AT_KEY, key, PACKED_KEY_SIZE) != 0)
		return corrupt(err, "it belongs to other data, options or another version");
	if (get64(h + AT_FILE_SIZE) != c->size)
		return corrupt(err, "its length");
	decode_header(c);
	uint64_t n_blocks = (uint64_t)c->info.n_blocks[PART_TRAIN] + c->info.n_blocks[PART_VALID];
	uint32_t bits = c->info.hash_bits, schema_size = get32(h + AT_SCHEMA_SIZE);
	if (bits < 8 || bits > 28 || c->tail < HEADER_SIZE || c->tail > c->size || !schema_size ||
	    n_blocks > UINT64_C(1) << 32 ||
	    c->size - c->tail != n_blocks * DIRECTORY_ROW_SIZE + schema_size + dense_bitmap_size(bits))
		return corrupt(err, "its lengths disagree");
	c->directory = c->map + c->tail;
	const unsigned char *schema = c->directory + n_blocks * DIRECTORY_ROW_SIZE;
	c->info.schema_json = (const char *)schema;
	c->info.seen = schema + schema_size;
	if (get32(h + AT_TAIL_CRC) != crc_of(c->directory, c->size - c->tail) || schema[schema_size - 1])
		return corrupt(err, "its tail");
	return RC_OK;
}

/* Row of the directory, or NULL when it points outside of the blocks. */
static const unsigned char *find_block(const struct packed *c, uint64_t at, const unsigned char **bytes, uint32_t *size)
{
	const unsigned char *row = c->directory + at * DIRECTORY_ROW_SIZE;
	uint64_t offset = get64(row);
	*size = get32(row + 8);
	if (offset < HEADER_SIZE || offset > c->tail || c->tail - offset < *size || *size < BLOCK_HEAD_SIZE)
		return NULL;
	*bytes = c->map + offset;
	return row;
}

static enum rc check_blocks(const struct packed *c, struct err *err)
{
	uint64_t n = (uint64_t)c->info.n_blocks[PART_TRAIN] + c->info.n_blocks[PART_VALID], total = HEADER_SIZE;

	for (uint64_t i = 0; i < n; i++) {
		const unsigned char *bytes;
		uint32_t size;
		const unsigned char *row = find_block(c, i, &bytes, &size);
		if (!row || get64(row) != total || crc_of(bytes, size) != get32(row + 20))
			return corrupt(err, "a block");
		total += size;
	}
	return total == c->tail ? RC_OK : corrupt(err, "its blocks leave a gap");
}

enum rc packed_open(const char *path, const unsigned char key[PACKED_KEY_SIZE], struct packed **out, struct err *err)
{
	struct packed *c = mem_new(struct packed);
	enum rc rc = map_file(path, c, err);

	if (rc == RC_OK)
		rc = check_header(c, key, err);
	if (rc == RC_OK)
		rc = check_blocks(c, err);
	if (rc != RC_OK) {
		packed_close(c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

void packed_close(struct packed *c)
{
	if (c && c->map)
		must(munmap((void *)(uintptr_t)c->map, c->size) == 0);
	mem_free(c);
}

const struct dataset_info *packed_info(const struct packed *c) { return &c->info; }

/* Inlined with a constant width, each call is one loop of plain loads. Returns the largest. */
static inline uint32_t load_wide(const unsigned char *p, uint32_t n, unsigned width, uint32_t *to, size_t stride)
{
	uint32_t max = 0;
	for (size_t i = 0; i < n; i++, p += width) {
		uint32_t v = p[0];
		for (unsigned k = 1; k < width; k++)
			v |= (uint32_t)p[k] << 8 * k;
		to[i * stride] = v;
		max = v > max ? v : max;
	}
	return max;
}

static uint32_t load(const unsigned char *p, uint32_t n, unsigned width, uint32_t *to)
{
	enum { STRIDE = sizeof(struct feature) / sizeof(uint32_t) };
	static_assert(sizeof(struct feature) == 12, "features are three words");
	switch (width) {
	case 1:
		return load_wide(p, n, 1, to, STRIDE);
	case 2:
		return load_wide(p, n, 2, to, STRIDE);
	case 3:
		return load_wide(p, n, 3, to, STRIDE);
	default:
		return load_wide(p, n, 4, to, STRIDE);
	}
}

static bool load_values(const unsigned char *p, uint32_t n, struct feature *to)
{
	bool ok = true;
	for (size_t i = 0; i < n; i++) {
		uint32_t bits = get32(p + 4 * i);
		memcpy(&to[i].value, &bits, sizeof bits);
		ok = ok && isfinite(to[i].value);
	}
	return ok;
}

static void reserve(struct block *b, uint32_t n, uint32_t n_features)
{
	if (b->examples_cap < n) {
		b->examples = mem_grow(b->examples, n, sizeof b->examples[0]);
		b->examples_cap = n;
	}
	if (b->features_cap < n_features) {
		b->features = mem_grow(b->features, n_features, sizeof b->features[0]);
		b->features_cap = n_features;
	}
}

/* Labels, counts and scales of the examples; false when the counts do not add up. */
static bool load_examples(const unsigned char *labels, uint32_t n, uint32_t n_features, bool all_one, struct block *b)
{
	const unsigned char *counts = labels + n;
	uint64_t used = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t count = get32(counts + 4 * (size_t)i);
		if (labels[i] > 1 || count > n_features - used)
			return false;
		const struct feature *f = n_features ? b->features + used : NULL; /* none was ever reserved, perhaps */
		float scale = !all_one ? feat_scale(f, count) : count ? (float)(1 / sqrt(count)) : 1;
		b->examples[i] = (struct example){ .label = labels[i], .scale = scale, .n = count, .features = f };
		used += count;
	}
	return used == n_features;
}

static bool decode(const struct packed *c, const unsigned char *p, uint32_t size, struct block *b)
{
	uint32_t n = get32(p), n_features = get32(p + 4), flags = get32(p + 8);
	unsigned field_width = width_of(c->info.n_fields), index_width = width_of(c->info.n_features);
	bool values = flags & BLOCK_HAS_VALUES;
	uint64_t need = BLOCK_HEAD_SIZE + (uint64_t)n * 5 +
			(uint64_t)n_features * (field_width + index_width + (values ? 4 : 0));

	if (flags > BLOCK_HAS_VALUES || need != size)
		return false;
	reserve(b, n, n_features);
	const unsigned char *labels = p + BLOCK_HEAD_SIZE, *fields = labels + 5 * (size_t)n;
	const unsigned char *indices = fields + (size_t)n_features * field_width;
	if (n_features) {
		if (load(fields, n_features, field_width, &b->features[0].field) >= c->info.n_fields ||
		    load(indices, n_features, index_width, &b->features[0].index) >= c->info.n_features)
			return false;
		if (values && !load_values(indices + (size_t)n_features * index_width, n_features, b->features))
			return false;
	}
	for (size_t i = 0; !values && i < n_features; i++)
		b->features[i].value = 1;
	b->n = n;
	return load_examples(labels, n, n_features, !values, b);
}

enum rc packed_block(const struct packed *c, enum part part, uint32_t index, struct block *b, struct err *err)
{
	uint64_t at = (uint64_t)index + (part == PART_VALID ? c->info.n_blocks[PART_TRAIN] : 0);
	const unsigned char *bytes;
	uint32_t size;

	must(index < c->info.n_blocks[part]);
	const unsigned char *row = find_block(c, at, &bytes, &size);
	if (!row || crc_of(bytes, size) != get32(row + 20) || !decode(c, bytes, size, b))
		return corrupt(err, "a block has changed since it was opened");
	return RC_OK;
}
