#include "train/model_file.h"

#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "json/json.h"

enum { META_SIZE_MAX = 65536 };

static const struct sealed_kind kind = { "STINTMDL", 1, "model file" };

/* Writing */

static void meta_figures(struct jw *w, const struct model_note *note)
{
	jw_kv_int(w, "epoch", note->epoch);
	jw_kv_real(w, "train_logloss", note->train_logloss);
	jw_kv_real(w, "logloss", note->figures.logloss);
	jw_kv_real(w, "auc", note->figures.auc);
	jw_kv_real(w, "pr_auc", note->figures.pr_auc);
	jw_kv_real(w, "recall", note->figures.recall);
	jw_kv_real(w, "precision", note->figures.precision);
	jw_kv_real(w, "calibration", note->figures.calibration);
}

static void write_meta(struct buf *out, const struct weights *weights, const struct train_options *o,
                       const struct dataset_info *info, const struct kernel *k, const struct model_note *note)
{
	struct jw w;
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "model", train_model_word(weights->shape.kind));
	jw_kv_int(&w, "factors", weights->shape.factors);
	jw_kv_int(&w, "fields", weights->shape.n_fields);
	jw_kv_int(&w, "features", weights->shape.n_features);
	jw_kv_int(&w, "hash_bits", info->hash_bits);
	jw_kv_bool(&w, "normalize", o->normalize);
	jw_kv_text(&w, "kernel", k->name);
	jw_kv_real(&w, "learning_rate", o->learning_rate);
	jw_kv_real(&w, "l2", o->l2);
	jw_kv_int(&w, "epochs", o->epochs);
	jw_kv_int(&w, "threads", o->threads);
	jw_kv_int(&w, "seed", (int64_t)o->seed);
	jw_kv_int(&w, "rows_train", info->rows[PART_TRAIN]);
	jw_kv_int(&w, "rows_valid", info->rows[PART_VALID]);
	jw_kv_text(&w, "data_sha256", info->content_hash);
	jw_kv_text(&w, "stint", STINT_VERSION);
	meta_figures(&w, note);
	jw_end_object(&w);
	buf_addc(out, '\0');
}

static enum rc put_weights(void *ctx, const void *bytes, size_t len, struct err *err)
{
	return sealed_write(ctx, bytes, len, err);
}

static enum rc write_sections(struct sealed_writer *file, const struct buf *meta, const struct weights *w,
                              const struct dataset_info *info, struct err *err)
{
	enum rc rc = sealed_write(file, meta->bytes, meta->len, err);
	if (rc == RC_OK)
		rc = sealed_write(file, info->schema_json, strlen(info->schema_json) + 1, err);
	if (rc == RC_OK)
		rc = sealed_write(file, info->seen, (size_t)1 << (info->hash_bits - 3), err);
	return rc == RC_OK ? weights_strip(w, put_weights, file, err) : rc;
}

enum rc model_write(const char *path, const struct weights *w, const struct train_options *o,
                    const struct dataset_info *info, const struct kernel *k, const struct model_note *note,
                    char seal_hex[SEALED_HEX_SIZE], struct err *err)
{
	struct sealed_writer file;
	struct buf meta;
	size_t weights_bytes;
	enum rc rc = weights_size(&w->shape, /* with_sums= */ false, &weights_bytes, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&meta, META_SIZE_MAX);
	write_meta(&meta, w, o, info, k, note);
	must(!meta.is_over);
	const struct sealed_section sections[] = {
		{ "meta", meta.len },
		{ "schema", strlen(info->schema_json) + 1 },
		{ "seen", UINT64_C(1) << (info->hash_bits - 3) },
		{ "weights", weights_bytes },
	};
	rc = sealed_write_begin(&file, path, &kind, sections, ARRAY_LEN(sections), err);
	if (rc == RC_OK) {
		rc = write_sections(&file, &meta, w, info, err);
		if (rc == RC_OK)
			rc = sealed_write_end(&file, seal_hex, err);
		else
			sealed_write_abort(&file);
	}
	buf_fini(&meta);
	return rc;
}

enum rc model_seal(const char *path, char seal_hex[SEALED_HEX_SIZE], struct err *err)
{
	struct sealed file;
	enum rc rc = sealed_open(&file, path, &kind, err);
	if (rc != RC_OK)
		return rc;
	memcpy(seal_hex, file.seal_hex, SEALED_HEX_SIZE);
	sealed_close(&file);
	return RC_OK;
}

/* Loading. The checksums held, so what follows guards against files made by something other than this program. */

static enum rc take_u32(const json_t *meta, const char *name, int64_t low, int64_t high, uint32_t *out, struct err *err)
{
	const json_t *v = json_object_get(meta, name);
	int64_t n = json_is_integer(v) ? (int64_t)json_integer_value(v) : -1;
	if (n < low || n > high)
		return err_set(err, RC_CORRUPT, "section 'meta': %s is missing or out of range", name);
	*out = (uint32_t)n;
	return RC_OK;
}

static enum rc read_shape(const json_t *meta, struct model *m, struct shape *shape, struct err *err)
{
	const char *word = json_string_value(json_object_get(meta, "model"));
	const char *kernel = json_string_value(json_object_get(meta, "kernel"));

	if (!word || !train_model_parse(word, &shape->kind))
		return err_set(err, RC_CORRUPT, "section 'meta': unknown model");
	enum rc rc = take_u32(meta, "factors", 1, FACTORS_MAX, &shape->factors, err);
	if (rc == RC_OK)
		rc = take_u32(meta, "fields", 1, UINT32_MAX, &shape->n_fields, err);
	if (rc == RC_OK)
		rc = take_u32(meta, "features", 0, UINT32_MAX, &shape->n_features, err);
	if (rc == RC_OK)
		rc = take_u32(meta, "hash_bits", 8, 28, &m->hash_bits, err);
	m->is_normalized = json_is_true(json_object_get(meta, "normalize"));
	m->kernel = kernel ? kernel_named(kernel) : NULL;
	if (!m->kernel)
		m->kernel = kernel_best();
	return rc;
}

/* A section holding text: its last byte is the only NUL. */
static enum rc take_text(const struct sealed *file, const char *name, const char **out, struct err *err)
{
	unsigned char *bytes;
	size_t size;
	enum rc rc = sealed_section(file, name, &bytes, &size, err);
	if (rc != RC_OK)
		return rc;
	if (size == 0 || memchr(bytes, 0, size) != bytes + size - 1)
		return err_set(err, RC_CORRUPT, "section '%s' is no text", name);
	*out = (const char *)bytes;
	return RC_OK;
}

static uint64_t count_bits(const unsigned char *bytes, size_t size)
{
	uint64_t n = 0;
	for (size_t i = 0; i < size; i++)
		n += (uint64_t)__builtin_popcount(bytes[i]);
	return n;
}

static enum rc take_weights(struct model *m, const struct shape *shape, struct err *err)
{
	unsigned char *bytes;
	size_t size, expected;
	enum rc rc = sealed_section(&m->file, "seen", &bytes, &size, err);
	if (rc != RC_OK)
		return rc;
	if (size != (size_t)1 << (m->hash_bits - 3) || count_bits(bytes, size) != shape->n_features)
		return err_set(err, RC_CORRUPT, "section 'seen' does not fit the number of features");
	m->seen = bytes;
	rc = weights_size(shape, /* with_sums= */ false, &expected, err);
	if (rc == RC_OK)
		rc = sealed_section(&m->file, "weights", &bytes, &size, err);
	if (rc != RC_OK)
		return rc;
	if (size != expected)
		return err_set(err, RC_CORRUPT, "section 'weights' has %zu bytes instead of %zu", size, expected);
	weights_borrow(&m->weights, shape, (float *)(void *)bytes, size);
	return RC_OK;
}

static enum rc read_model(struct model *m, struct err *err)
{
	CLEANUP(arena_freep) struct arena *a = arena_new(1 << 20);
	struct shape shape = { 0 };
	const json_t *meta;
	enum rc rc = take_text(&m->file, "meta", &m->meta_json, err);
	if (rc == RC_OK)
		rc = take_text(&m->file, "schema", &m->schema_json, err);
	if (rc == RC_OK && json_read(m->meta_json, strlen(m->meta_json), a, &meta, NULL) != RC_OK)
		rc = err_set(err, RC_CORRUPT, "section 'meta' is no JSON");
	if (rc == RC_OK)
		rc = read_shape(meta, m, &shape, err);
	return rc == RC_OK ? take_weights(m, &shape, err) : rc;
}

enum rc model_load(const char *path, struct model **out, struct err *err)
{
	struct model *m = mem_new(struct model);
	enum rc rc = sealed_open(&m->file, path, &kind, err);
	if (rc == RC_OK) {
		rc = read_model(m, err);
		if (rc != RC_OK)
			rc = err_wrap(err, rc, "'%.200s'", path);
	}
	if (rc == RC_OK)
		*out = m;
	else
		model_free(m);
	return rc;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	sealed_close(&m->file);
	mem_free(m);
}

/* The meta section's object, and the file's time stamp as trained_at. */
void model_describe(const struct model *m, struct buf *out)
{
	char when[CLOCK_TEXT_SIZE];
	size_t len = strlen(m->meta_json);

	must(len > 2 && m->meta_json[len - 1] == '}');
	clock_iso(when, m->file.changed_at_s);
	buf_add(out, m->meta_json, len - 1);
	buf_addf(out, ",\"trained_at\":\"%s\",\"size\":%zu}", when, m->file.size);
}
