#include "train/reader.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "json/json.h"
#include "train/jsonl.h"
#include "train/sparse.h"

enum { TARGET_SKIP = -1, TARGET_LABEL = -2, ARENA_SIZE = 64 << 20 };

static bool ends_with(const char *p, size_t len, const char *ending)
{
	size_t n = strlen(ending);
	return len > n && strncasecmp(p + len - n, ending, n) == 0;
}

static enum train_format format_by_name(const char *path)
{
	static const char *const packed[] = { ".gz", ".xz", ".zst", ".zstd" };
	static const struct {
		const char *ending;
		enum train_format format;
	} known[] = {
		{ ".csv", FORMAT_CSV },       { ".tsv", FORMAT_TSV },    { ".jsonl", FORMAT_JSONL },
		{ ".ndjson", FORMAT_JSONL },  { ".ffm", FORMAT_LIBFFM }, { ".libffm", FORMAT_LIBFFM },
		{ ".libsvm", FORMAT_LIBSVM }, { ".svm", FORMAT_LIBSVM },
	};
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(packed); i++) {
		if (ends_with(path, len, packed[i])) {
			len -= strlen(packed[i]);
			break;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (ends_with(path, len, known[i].ending))
			return known[i].format;
	}
	return FORMAT_AUTO;
}

/* "1 2:3:4": a number, then numbers with one or two colons. */
static enum train_format sparse_by_content(const char *line, size_t len)
{
	const char *end = line + len;
	size_t label = strcspn(line, " \t");
	double number;
	if (label >= len || !num_f64_n(line, label, &number))
		return FORMAT_AUTO;
	const char *p = line + label;
	p += strspn(p, " \t");
	size_t n_colons = 0;
	for (; p < end && *p != ' ' && *p != '\t'; p++) {
		if (!strchr("0123456789:.eE+-", *p))
			return FORMAT_AUTO;
		n_colons += *p == ':';
	}
	return n_colons == 1 ? FORMAT_LIBSVM : n_colons == 2 ? FORMAT_LIBFFM : FORMAT_AUTO;
}

static enum train_format format_by_content(const char *bytes, size_t len)
{
	char *line = mem_dup_n(bytes, len);
	enum train_format f = line[strspn(line, " \t")] == '{' ? FORMAT_JSONL : sparse_by_content(line, len);
	if (f == FORMAT_AUTO)
		f = strchr(line, '\t') ? FORMAT_TSV : FORMAT_CSV;
	mem_free(line);
	return f;
}

/* Decide by the first line, which is given back. */
static enum rc peek_format(struct lines *l, enum train_format *out, struct err *err)
{
	char *line;
	size_t len = 0;
	bool has;
	enum rc rc;

	do
		rc = lines_next(l, &line, &len, &has, err);
	while (rc == RC_OK && has && len == 0);
	if (rc == RC_OK)
		*out = has ? format_by_content(line, len) : FORMAT_CSV;
	if (rc == RC_OK && has)
		lines_unread(l);
	return rc;
}

enum rc reader_format(const char *path, enum train_format *out, struct err *err)
{
	struct lines l = { 0 };
	enum train_format f = format_by_name(path);
	enum rc rc = f == FORMAT_AUTO ? lines_open(&l, path, INFLATE_ANY, NULL, err) : RC_OK;
	if (rc == RC_OK && f == FORMAT_AUTO)
		rc = peek_format(&l, &f, err);
	lines_close(&l);
	if (rc == RC_OK)
		*out = f;
	return rc;
}

static bool is_csv(const struct reader *r) { return r->format == FORMAT_CSV || r->format == FORMAT_TSV; }

static enum rc next_record(struct reader *r, bool *has, struct err *err)
{
	*has = r->has_pending;
	r->has_pending = false;
	return *has ? RC_OK : csv_next(&r->lines, r->format == FORMAT_TSV ? '\t' : ',', &r->cells, has, err);
}

/* The heading's cells; without a heading 0, 1, 2 ... for the first record's cells, which stay pending. */
static enum rc read_names(struct reader *r, struct arena *a, struct cells *names, struct err *err)
{
	bool has;
	enum rc rc = next_record(r, &has, err);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; has && i < r->cells.n; i++) {
		struct cell c = r->cells.items[i];
		if (!r->schema->has_header) {
			c.bytes = arena_printf(a, "%zu", i);
			c.len = strlen(c.bytes);
		}
		cells_add(names, c);
	}
	r->has_pending = has && !r->schema->has_header;
	return RC_OK;
}

static const struct cell *find_name(const struct cells *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		if (names->items[i].len == strlen(name) && memcmp(names->items[i].bytes, name, strlen(name)) == 0)
			return &names->items[i];
	}
	return NULL;
}

/* Decide the columns by the first file's names. */
static enum rc plan_columns(struct reader *r, const struct cells *names, struct err *err)
{
	struct schema *s = r->schema;
	uint32_t column;

	if (!find_name(names, s->label_field) && find_name(names, "label"))
		(void)schema_label_fallback(s); /* else the missing label is reported by map_columns */
	for (size_t i = 0; i < names->n; i++) {
		const struct cell *c = &names->items[i];
		if (!schema_wants(s, c->bytes, c->len))
			continue;
		enum rc rc = schema_add(s, c->bytes, c->len, &column, err);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc map_column(struct reader *r, const struct cell *name, bool *used, struct err *err)
{
	char shown[LINES_SHOWN_SIZE];
	const struct schema *s = r->schema;
	int64_t at = schema_find(s, name->bytes, name->len);
	bool is_label = schema_is_label(s, name->bytes, name->len);
	size_t use = is_label ? s->n : (size_t)(at < 0 ? 0 : at);

	if ((at >= 0 || is_label) && used[use])
		return err_set(err, RC_INVALID, "two columns are named '%s'",
			       lines_show(shown, name->bytes, name->len));
	if (at >= 0 || is_label)
		used[use] = true;
	r->targets[r->n_targets++] = is_label ? TARGET_LABEL : at < 0 ? TARGET_SKIP : (int32_t)at;
	return RC_OK;
}

static enum rc map_columns(struct reader *r, const struct cells *names, struct err *err)
{
	const struct schema *s = r->schema;
	bool *used = mem_array(s->n + 1, sizeof *used);
	enum rc rc = RC_OK;

	r->targets = mem_array(names->n, sizeof r->targets[0]);
	for (size_t i = 0; i < names->n && rc == RC_OK; i++)
		rc = map_column(r, &names->items[i], used, err);
	for (uint32_t i = 0; i < s->n && rc == RC_OK; i++) {
		if (!used[i])
			rc = err_set(err, RC_INVALID, "there is no column '%.100s'", s->columns[i].name);
	}
	if (rc == RC_OK && (r->flags & READER_LABELLED) && !used[s->n])
		rc = err_set(err, RC_INVALID, "there is no label column '%.100s'", s->label_field);
	mem_free(used);
	return rc;
}

static enum rc open_csv(struct reader *r, struct err *err)
{
	struct cells names = { 0 };
	struct arena *a = arena_new(1 << 20);
	struct schema *s = r->schema;
	enum rc rc = read_names(r, a, &names, err);

	if (rc == RC_OK && names.n) {
		if (!s->n && s->options && (r->flags & READER_GROWS))
			rc = plan_columns(r, &names, err);
		if (rc == RC_OK)
			rc = map_columns(r, &names, err);
		if (rc != RC_OK)
			rc = lines_where(&r->lines, rc, err);
	}
	cells_fini(&names);
	arena_free(a);
	return rc;
}

static bool is_empty(const char *p, size_t len)
{
	while (len && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	return !len;
}

static enum rc next_line(struct reader *r, char **line, size_t *len, bool *has, struct err *err)
{
	enum rc rc;
	do
		rc = lines_next(&r->lines, line, len, has, err);
	while (rc == RC_OK && *has && is_empty(*line, *len));
	return rc;
}

/* jsonl: the columns asked for come in the order asked for; the first row decides about the label's name. */
static enum rc open_jsonl(struct reader *r, struct err *err)
{
	struct schema *s = r->schema;
	char *line;
	size_t len;
	bool has;

	r->arena = arena_new(ARENA_SIZE);
	if (!s->options || !(r->flags & READER_GROWS) || s->n)
		return RC_OK;
	enum rc rc = next_line(r, &line, &len, &has, err);
	if (rc != RC_OK || !has)
		return rc;
	const json_t *root;
	if (json_read(line, len, r->arena, &root, NULL) == RC_OK && !json_object_get(root, s->label_field) &&
	    json_object_get(root, "label"))
		(void)schema_label_fallback(s); /* else the missing label is reported with the row */
	lines_unread(&r->lines);
	for (int i = 0; i < s->options->feature_fields.n && rc == RC_OK; i++) {
		uint32_t column;
		const char *name = s->options->feature_fields.items[i];
		rc = schema_add(s, name, strlen(name), &column, err);
	}
	return rc;
}

enum rc reader_open(struct reader *r, const char *path, enum train_format format, enum reader_flags flags,
		    struct schema *s, EVP_MD_CTX *digest, struct err *err)
{
	*r = (struct reader){ .schema = s, .flags = flags, .format = format };
	if (format == FORMAT_AUTO)
		r->format = format_by_name(path);
	enum rc rc = lines_open(&r->lines, path, flags & READER_LABELLED ? INFLATE_FILE : INFLATE_ANY, digest, err);
	if (rc == RC_OK && r->format == FORMAT_AUTO)
		rc = peek_format(&r->lines, &r->format, err);
	if (rc == RC_OK && (format_is_sparse(r->format) || format_is_sparse(s->format)) && r->format != s->format)
		rc = err_set(err, RC_INVALID, "%.300s: %s data cannot go with %s data", path, format_word(r->format),
			     format_word(s->format));
	if (rc == RC_OK && is_csv(r))
		rc = open_csv(r, err);
	else if (rc == RC_OK && r->format == FORMAT_JSONL)
		rc = open_jsonl(r, err);
	if (rc != RC_OK)
		reader_close(r);
	return rc;
}

void reader_close(struct reader *r)
{
	lines_close(&r->lines);
	cells_fini(&r->cells);
	mem_free(r->targets);
	arena_free(r->arena);
	*r = (struct reader){ 0 };
}

static int by_column(const void *a, const void *b)
{
	const struct cell *x = a, *y = b;
	return (x->column > y->column) - (x->column < y->column);
}

/* Rows look alike whatever the order of a file's columns or members: so one model gives them one score, to the bit. */
static void order_cells(struct cells *c)
{
	for (size_t i = 1; i < c->n; i++) {
		if (c->items[i].column < c->items[i - 1].column) {
			qsort(c->items, c->n, sizeof c->items[0], by_column);
			return;
		}
	}
}

/* Keep the cells that are features, under the schema's column numbers, and take the label out. */
static void place_cells(struct reader *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->cells.n; i++) {
		struct cell c = r->cells.items[i];
		int32_t target = r->targets[i];
		if (target == TARGET_LABEL) {
			r->label = c;
		} else if (target >= 0 && c.len) {
			c.column = (uint32_t)target;
			r->cells.items[kept++] = c;
		}
	}
	r->cells.n = kept;
}

static enum rc csv_cells(struct reader *r, bool *has, struct err *err)
{
	r->label = (struct cell){ 0 };
	enum rc rc = next_record(r, has, err);
	if (rc != RC_OK || !*has)
		return rc;
	if (r->cells.n != r->n_targets) {
		(void)err_set(err, RC_INVALID, "%zu cells where the %s has %zu", r->cells.n,
			      r->schema->has_header ? "heading" : "first row", r->n_targets);
		return lines_where(&r->lines, RC_INVALID, err);
	}
	place_cells(r);
	return RC_OK;
}

enum rc reader_cells(struct reader *r, bool *has, struct err *err)
{
	char *line;
	size_t len;

	must(!format_is_sparse(r->format));
	enum rc rc = is_csv(r) ? csv_cells(r, has, err) : next_line(r, &line, &len, has, err);
	if (rc != RC_OK || !*has || is_csv(r)) {
		order_cells(&r->cells);
		return rc;
	}
	arena_reset(r->arena);
	rc = jsonl_cells(line, len, r->schema, r->flags & READER_GROWS ? JSONL_GROWS : JSONL_FIXED, r->arena, &r->cells,
			 &r->label, err);
	order_cells(&r->cells);
	return rc == RC_OK ? RC_OK : lines_where(&r->lines, rc, err);
}

static enum rc featurize(struct reader *r, struct feat_row *row, struct err *err)
{
	const struct cells *c = &r->cells;
	enum rc rc = RC_OK;

	row->n = 0;
	row->has_label = false;
	if (r->label.len)
		rc = feat_row_set_label(row, r->schema, r->label.bytes, r->label.len, err);
	for (size_t i = 0, n; i < c->n && rc == RC_OK; i += n) {
		for (n = 1; i + n < c->n && c->items[i + n].column == c->items[i].column;)
			n++;
		rc = feat_row_add_cell(row, r->schema, c->items[i].column, c->items + i, n, err);
	}
	return rc;
}

enum rc reader_row(struct reader *r, struct feat_row *row, bool *has, struct err *err)
{
	enum rc rc;

	if (format_is_sparse(r->format)) {
		char *line;
		size_t len;
		rc = next_line(r, &line, &len, has, err);
		if (rc != RC_OK || !*has)
			return rc;
		rc = sparse_row(line, len, r->format, r->schema, r->flags & READER_GROWS ? SPARSE_GROWS : SPARSE_FIXED,
				row, err);
	} else {
		rc = reader_cells(r, has, err);
		if (rc != RC_OK || !*has)
			return rc;
		rc = featurize(r, row, err);
	}
	if (rc == RC_OK && (r->flags & READER_LABELLED) && !row->has_label)
		rc = format_is_sparse(r->format) ? err_set(err, RC_INVALID, "the row has no label")
						 : err_set(err, RC_INVALID, "the row has no label (column '%.100s')",
							   r->schema->label_field);
	return rc == RC_OK ? RC_OK : lines_where(&r->lines, rc, err);
}
