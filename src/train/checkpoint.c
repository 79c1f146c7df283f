#include "train/checkpoint.h"

#include <math.h>
#include <string.h>
#include "base/must.h"
#include "json/json.h"

/* The identity holds all that was said about the data: a dozen parameters, each of 4 KiB before it is escaped. */
enum { META_SIZE_MAX = 1 << 20, WRITE_SIZE = 1 << 20 };

static const struct sealed_kind kind = { "STINTCKP", 1, "checkpoint" };

/* Every real of the state, once, for both directions. A NAN is written as null. */
#define REALS(X)                                                                                                       \
	X("best_train_logloss", best_train_logloss)                                                                    \
	X("logloss", best.logloss)                                                                                     \
	X("auc", best.auc)                                                                                             \
	X("pr_auc", best.pr_auc)                                                                                       \
	X("recall", best.recall)                                                                                       \
	X("precision", best.precision)                                                                                 \
	X("calibration", best.calibration)
#define INTS(X)                                                                                                        \
	X("epoch", epoch)                                                                                              \
	X("best_epoch", best_epoch)                                                                                    \
	X("before_best_epoch", before_best_epoch)                                                                      \
	X("stale_epochs", stale_epochs)

static void write_meta(struct buf *out, const struct fit_state *s, const char *identity, const char *kernel_name)
{
	struct jw w;
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "identity", identity);
	jw_kv_text(&w, "kernel", kernel_name);
	jw_kv_text(&w, "best_seal", s->best_seal);
#define X(name, member) jw_kv_int(&w, name, s->member);
	INTS(X)
#undef X
#define X(name, member) jw_kv_real(&w, name, s->member);
	REALS(X)
#undef X
	jw_end_object(&w);
	must(!out->is_over);
}

static enum rc write_sections(struct sealed_writer *file, const struct buf *meta, const struct weights *w,
                              struct err *err)
{
	enum rc rc = sealed_write(file, meta->bytes, meta->len, err);
	for (size_t at = 0; rc == RC_OK && at < w->size; at += WRITE_SIZE) {
		size_t n = w->size - at < WRITE_SIZE ? w->size - at : WRITE_SIZE;
		rc = sealed_write(file, (const char *)w->block + at, n, err);
	}
	return rc;
}

enum rc checkpoint_write(const char *path, const struct weights *w, const struct fit_state *s, const char *identity,
                         const char *kernel_name, struct err *err)
{
	struct sealed_writer file;
	struct buf meta;

	buf_init(&meta, META_SIZE_MAX);
	write_meta(&meta, s, identity, kernel_name);
	const struct sealed_section sections[] = { { "meta", meta.len }, { "weights", w->size } };
	enum rc rc = sealed_write_begin(&file, path, &kind, sections, ARRAY_LEN(sections), err);
	if (rc == RC_OK) {
		rc = write_sections(&file, &meta, w, err);
		if (rc == RC_OK)
			rc = sealed_write_end(&file, NULL, err);
		else
			sealed_write_abort(&file);
	}
	buf_fini(&meta);
	return rc;
}

static double real_of(const json_t *meta, const char *name)
{
	const json_t *v = json_object_get(meta, name);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static bool read_state(const json_t *meta, struct fit_state *s)
{
	const char *seal = json_string_value(json_object_get(meta, "best_seal"));
	if (!seal || strlen(seal) >= sizeof s->best_seal)
		return false;
	memcpy(s->best_seal, seal, strlen(seal) + 1);
#define X(name, member) s->member = (int)json_integer_value(json_object_get(meta, name));
	INTS(X)
#undef X
#define X(name, member) s->member = real_of(meta, name);
	REALS(X)
#undef X
	return s->epoch > 0 && s->best_epoch > 0 && s->best_epoch <= s->epoch && s->before_best_epoch >= 0 &&
	       s->stale_epochs >= 0;
}

static enum rc read_meta(const struct sealed *file, struct arena *a, const json_t **meta, struct err *err)
{
	unsigned char *bytes;
	size_t size;
	enum rc rc = sealed_section(file, "meta", &bytes, &size, err);
	if (rc == RC_OK && json_read((const char *)bytes, size, a, meta, NULL) != RC_OK)
		rc = err_set(err, RC_CORRUPT, "section 'meta' is no JSON");
	return rc;
}

static enum rc read_all(const struct sealed *file, struct weights *w, struct fit_state *s, const char *identity,
                        const char *kernel_name, bool *is_same_kernel, struct err *err)
{
	CLEANUP(arena_freep) struct arena *a = arena_new(1 << 20);
	const json_t *meta;
	unsigned char *bytes;
	size_t size;
	struct fit_state state = { 0 };
	enum rc rc = read_meta(file, a, &meta, err);
	if (rc == RC_OK)
		rc = sealed_section(file, "weights", &bytes, &size, err);
	if (rc != RC_OK)
		return rc;
	const char *whose = json_string_value(json_object_get(meta, "identity"));
	const char *kernel = json_string_value(json_object_get(meta, "kernel"));
	if (!whose || !kernel || !read_state(meta, &state))
		return err_set(err, RC_CORRUPT, "section 'meta' is incomplete");
	if (strcmp(whose, identity) != 0 || size != w->size)
		return err_set(err, RC_CONFLICT, "it was written for other options or other data");
	memcpy(w->block, bytes, size);
	*s = state;
	*is_same_kernel = strcmp(kernel, kernel_name) == 0;
	return RC_OK;
}

enum rc checkpoint_read(const char *path, struct weights *w, struct fit_state *s, const char *identity,
                        const char *kernel_name, bool *is_same_kernel, struct err *err)
{
	struct sealed file;
	enum rc rc = sealed_open(&file, path, &kind, err);
	if (rc != RC_OK)
		return rc;
	rc = read_all(&file, w, s, identity, kernel_name, is_same_kernel, err);
	sealed_close(&file);
	return rc;
}
