/*
 * A data set is its cache file. Opening one: hash the files, look for the cache of that content and those options,
 * build it when it is not there or damaged, open it.
 */
#include "train/dataset.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/must.h"
#include "os/file.h"
#include "train/build.h"
#include "train/packed.h"
#include "train/reader.h"

enum { BUILDER_VERSION = 1 /* raise it when the same data and options give another cache */ };

struct dataset {
	struct packed *cache;
};

/* What dataset_open works with. */
struct opening {
	const struct train_options *options;
	struct build_file *files;
	int n_files;
	uint64_t size; /* of all of them */
	char content_hash[65];
	unsigned char key[PACKED_KEY_SIZE];
	char cache_path[PATH_MAX];
};

/* Where a name of the user's is: a relative one below the first root that has it. One that no root has keeps the first
 * root, for the message. The names are resolved here and not among the parameters, which are short. */
static enum rc find_in_roots(const char *name, const char *const *roots, int n_roots, char path[PATH_MAX],
			     struct err *err)
{
	char full[PATH_MAX];
	enum rc rc = RC_OK;
	int at = 0;

	if (name[0] == '/' || n_roots == 0)
		return path_inside(name, roots, n_roots, path, err);
	for (int i = n_roots - 1; i >= 0; i--) {
		rc = path_join(full, roots[i], name, err);
		if (rc != RC_OK)
			return rc;
		at = file_exists(full) ? i : at;
	}
	rc = path_join(full, roots[at], name, err);
	return rc == RC_OK ? path_inside(full, roots, n_roots, path, err) : rc;
}

/* Two names may mean one file. *is_new false: it is there already, for the same purpose. */
static enum rc check_twice(const struct opening *op, const char *path, const char *name, enum part part, bool *is_new,
			   struct err *err)
{
	*is_new = true;
	for (int i = 0; i < op->n_files; i++) {
		if (strcmp(op->files[i].path, path) != 0)
			continue;
		if (op->files[i].part != part)
			return err_set(err, RC_INVALID, "'%.200s' is in train_data and in valid_data", name);
		*is_new = false;
	}
	return RC_OK;
}

static enum rc add_file(struct opening *op, const char *name, enum part part, const char *const *roots, int n_roots,
			struct err *err)
{
	char found[PATH_MAX];
	struct build_file *f = &op->files[op->n_files];
	const char *path = roots ? found : name;
	bool is_new = true;
	enum rc rc = roots ? find_in_roots(name, roots, n_roots, found, err) : RC_OK;

	if (rc == RC_OK)
		rc = check_twice(op, path, name, part, &is_new, err);
	if (rc != RC_OK || !is_new)
		return rc;
	*f = (struct build_file){ .path = mem_dup(path), .name = name, .part = part };
	op->n_files++;
	f->format = op->options->format;
	return f->format == FORMAT_AUTO ? reader_format(f->path, &f->format, err) : RC_OK;
}

static enum rc add_files(struct opening *op, const char *const *roots, int n_roots, struct err *err)
{
	const struct text_list *lists[PARTS] = { &op->options->train_data, &op->options->valid_data };
	enum rc rc = RC_OK;

	op->files = mem_array((size_t)lists[0]->n + (size_t)lists[1]->n, sizeof op->files[0]);
	for (int part = 0; part < PARTS; part++) {
		for (int i = 0; i < lists[part]->n && rc == RC_OK; i++)
			rc = add_file(op, lists[part]->items[i], (enum part)part, roots, n_roots, err);
	}
	return rc;
}

/* Content hash: of all files' bytes one after the other. key_text gets what else tells data sets apart. */
static enum rc hash_files(struct opening *op, EVP_MD_CTX *digest, struct buf *key_text, struct err *err)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	enum rc rc = RC_OK;

	must(EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1);
	for (int i = 0; i < op->n_files && rc == RC_OK; i++) {
		uint64_t size = 0;
		rc = inflate_digest(op->files[i].path, digest, &size, err);
		op->size += size;
		buf_addf(key_text, "file=%s %llu %d\n", format_word(op->files[i].format), (unsigned long long)size,
			 op->files[i].part);
	}
	if (rc != RC_OK)
		return rc;
	must(EVP_DigestFinal_ex(digest, hash, NULL) == 1);
	hex_of(hash, 32, op->content_hash);
	return RC_OK;
}

static enum rc find_key(struct opening *op, const char *work_dir, struct err *err)
{
	char name[64];
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	struct arena *a = arena_new(1 << 20);
	struct buf text;

	must(digest);
	buf_init(&text, (size_t)4 << 20);
	buf_addf(&text, "builder=%d\n", BUILDER_VERSION);
	enum rc rc = hash_files(op, digest, &text, err);
	const char *options = train_options_cache_key(op->options, a);
	if (rc == RC_OK && !options)
		rc = err_set(err, RC_LIMIT, "the training parameters are too long");
	if (rc == RC_OK) {
		buf_addf(&text, "content=%s\n%s", op->content_hash, options);
		must(EVP_Digest(buf_text(&text), text.len, op->key, NULL, EVP_sha256(), NULL) == 1);
		char hex[33];
		hex_of(op->key, 16, hex);
		(void)snprintf(name, sizeof name, "data-%s.cache", hex);
		rc = path_join(op->cache_path, work_dir, name, err);
	}
	buf_fini(&text);
	arena_free(a);
	EVP_MD_CTX_free(digest);
	return rc;
}

static void tell(const struct train_sink *sink, const char *text)
{
	if (sink && sink->event)
		sink->event(sink->ctx, text);
}

static enum rc open_or_build(const struct opening *op, const char *work_dir, const struct train_sink *sink,
			     struct packed **out, struct err *err)
{
	const struct build_input in = { .options = op->options,
					.files = op->files,
					.n_files = op->n_files,
					.size = op->size,
					.content_hash = op->content_hash,
					.dir = work_dir,
					.sink = sink };
	enum rc rc = packed_open(op->cache_path, op->key, out, err);

	if (rc == RC_OK)
		tell(sink, "data cache found");
	if (rc != RC_NOT_FOUND && rc != RC_CORRUPT)
		return rc;
	tell(sink, rc == RC_CORRUPT ? "data cache damaged: building it again" : "building the data cache");
	rc = build_cache(&in, op->cache_path, op->key, err);
	return rc == RC_OK ? packed_open(op->cache_path, op->key, out, err) : rc;
}

enum rc dataset_open(const struct train_options *o, const char *work_dir, const char *const *roots, int n_roots,
		     const struct train_sink *sink, struct dataset **out, struct err *err)
{
	if (!o->train_data.n)
		return err_set(err, RC_INVALID, "no training data: give train_data");
	struct opening op = { .options = o };
	struct packed *cache = NULL;
	enum rc rc = add_files(&op, roots, n_roots, err);
	if (rc == RC_OK)
		rc = find_key(&op, work_dir, err);
	if (rc == RC_OK && sink && sink->data_hash)
		sink->data_hash(sink->ctx, op.content_hash);
	if (rc == RC_OK)
		rc = open_or_build(&op, work_dir, sink, &cache, err);
	for (int i = 0; i < op.n_files; i++)
		mem_free(op.files[i].path);
	mem_free(op.files);
	if (rc != RC_OK)
		return rc;
	struct dataset *d = mem_new(struct dataset);
	d->cache = cache;
	*out = d;
	return RC_OK;
}

void dataset_close(struct dataset *d)
{
	if (d)
		packed_close(d->cache);
	mem_free(d);
}

const struct dataset_info *dataset_info(const struct dataset *d) { return packed_info(d->cache); }

enum rc dataset_block(struct dataset *d, enum part part, uint32_t index, struct block *b, struct err *err)
{
	return packed_block(d->cache, part, index, b, err);
}

void block_fini(struct block *b)
{
	mem_free(b->examples);
	mem_free(b->features);
	*b = (struct block){ 0 };
}
