#include "train/sparse.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/num.h"
#include "train/lines.h"

/* Beyond these a value's square, or one over it, does not fit a float. */
static const double value_max = 1e18, value_min = 1e-18;

struct token {
	const char *bytes;
	size_t len;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static bool next_token(const char **p, const char *end, struct token *t)
{
	while (*p < end && is_blank(**p))
		++*p;
	t->bytes = *p;
	while (*p < end && !is_blank(**p))
		++*p;
	t->len = (size_t)(*p - t->bytes);
	return t->len > 0;
}

/* Cut what stands before the next ':' off *rest. */
static bool cut(struct token *rest, struct token *part)
{
	const char *colon = memchr(rest->bytes, ':', rest->len);
	if (!colon)
		return false;
	*part = (struct token){ rest->bytes, (size_t)(colon - rest->bytes) };
	rest->bytes = colon + 1;
	rest->len -= part->len + 1;
	return true;
}

static bool whole(struct token t, int64_t *v) { return num_i64_n(t.bytes, t.len, v) && *v >= 0; }

static enum rc refuse(struct token t, const char *why, struct err *err)
{
	char shown[LINES_SHOWN_SIZE];
	return err_set(err, RC_INVALID, "'%s': %s", lines_show(shown, t.bytes, t.len), why);
}

struct triple {
	int64_t field, index;
	double value;
};

static enum rc parse(struct token t, enum train_format format, struct triple *out, struct err *err)
{
	struct token rest = t, part;
	bool is_ffm = format == FORMAT_LIBFFM;

	out->field = 0;
	if (is_ffm && !(cut(&rest, &part) && whole(part, &out->field)))
		return refuse(t, "field:index:value with a whole number as field is needed", err);
	if (!(cut(&rest, &part) && whole(part, &out->index)))
		return refuse(t,
			      is_ffm ? "field:index:value with a whole number as index is needed"
				     : "index:value with a whole number as index is needed",
			      err);
	if (!num_f64_n(rest.bytes, rest.len, &out->value))
		return refuse(t, "the value is not a number", err);
	if (fabs(out->value) > value_max)
		return refuse(t, "the value is too large (at most 1e18)", err);
	if (out->field >= SCHEMA_FIELDS_MAX)
		return refuse(t, "the field is too large (fields are 0 to 1023)", err);
	return RC_OK;
}

static enum rc add(struct token t, enum train_format format, struct schema *s, enum sparse_growth growth,
		   struct feat_row *row, struct err *err)
{
	struct triple v;
	char digits[24];
	enum rc rc = parse(t, format, &v, err);

	if (rc != RC_OK)
		return rc;
	if (growth == SPARSE_GROWS && v.field >= s->n_fields)
		s->n_fields = (uint32_t)v.field + 1;
	if (v.field >= s->n_fields || fabs(v.value) < value_min)
		return RC_OK;
	int len = snprintf(digits, sizeof digits, "%lld", (long long)v.index); /* "007" is 7 */
	uint32_t index = feat_index(s, feat_name_hash("", 0), digits, (size_t)len);
	return feat_row_add(row, (uint32_t)v.field, index, (float)v.value, err);
}

enum rc sparse_row(const char *line, size_t len, enum train_format format, struct schema *s, enum sparse_growth growth,
		   struct feat_row *row, struct err *err)
{
	const char *p = line, *end = line + len;
	const char *comment = format == FORMAT_LIBSVM && len ? memchr(line, '#', len) : NULL;
	struct token t;
	enum rc rc = RC_OK;

	end = comment ? comment : end;
	row->n = 0;
	row->has_label = false;
	bool has = next_token(&p, end, &t);
	if (has && !memchr(t.bytes, ':', t.len)) {
		rc = feat_row_set_label(row, s, t.bytes, t.len, err);
		has = next_token(&p, end, &t);
	}
	for (; rc == RC_OK && has; has = next_token(&p, end, &t))
		rc = add(t, format, s, growth, row, err);
	return rc;
}
