/* row_reader: rows to predict, featurized by a model's schema as its training rows were. See train/dataset.h. */
#include "train/dataset.h"

#include "base/mem.h"
#include "train/dense.h"
#include "train/reader.h"

struct row_reader {
	struct schema schema;
	struct dense dense;
	struct reader reader;
	struct feat_row row;
};

enum rc row_reader_open(const char *schema_json, uint32_t hash_bits, const uint8_t *seen, const char *path,
			const char *format, struct row_reader **out, struct err *err)
{
	struct row_reader *r = mem_new(struct row_reader);
	enum train_format f;
	enum rc rc = schema_from_json(&r->schema, schema_json, hash_bits, err);

	if (rc != RC_OK) {
		mem_free(r);
		return rc;
	}
	f = r->schema.format;
	if (format && *format && !format_parse(format, &f))
		rc = err_set(err, RC_INVALID, "format '%.40s' is not one of auto, csv, tsv, jsonl, libffm, libsvm",
			     format);
	dense_init(&r->dense, seen, hash_bits);
	if (rc == RC_OK)
		rc = reader_open(&r->reader, path, f, READER_PREDICT, &r->schema, NULL, err);
	if (rc != RC_OK) {
		row_reader_close(r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

enum rc row_reader_next(struct row_reader *r, struct example *out, bool *has_label, bool *has_row, struct err *err)
{
	bool has;
	enum rc rc = reader_row(&r->reader, &r->row, &has, err);
	if (rc != RC_OK)
		return rc;
	*has_row = has;
	if (!has)
		return RC_OK;
	feat_row_make_dense(&r->row, &r->dense, r->schema.n_fields);
	*out = (struct example){ .label = r->row.has_label ? r->row.label : 0,
				 .scale = feat_scale(r->row.features, r->row.n),
				 .n = r->row.n,
				 .features = r->row.features };
	*has_label = r->row.has_label;
	return RC_OK;
}

void row_reader_close(struct row_reader *r)
{
	if (!r)
		return;
	reader_close(&r->reader);
	feat_row_fini(&r->row);
	dense_fini(&r->dense);
	schema_fini(&r->schema);
	mem_free(r);
}
