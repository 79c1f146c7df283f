#include "train/jsonl.h"

#include <string.h>
#include "json/json.h"

static enum rc refuse(const char *name, const char *what, struct err *err)
{
	return err_set(err, RC_INVALID, "member '%.100s' is %s", name, what);
}

/* A text, number or truth value as the bytes a csv file would have for it. */
static enum rc scalar(const char *name, const json_t *v, struct arena *a, struct cell *out, struct err *err)
{
	const char *text;

	switch (json_typeof(v)) {
	case JSON_STRING:
		text = arena_dup_n(a, json_string_value(v), json_string_length(v));
		out->len = json_string_length(v);
		break;
	case JSON_INTEGER:
		text = arena_printf(a, "%lld", (long long)json_integer_value(v));
		out->len = text ? strlen(text) : 0;
		break;
	case JSON_REAL: {
		/* The shortest text that reads back as the same number, always with a decimal point or an exponent. */
		struct buf b;
		struct jw w;
		buf_init(&b, 64);
		jw_init(&w, &b, CASING_CAMEL);
		jw_real(&w, json_real_value(v));
		if (!strpbrk(buf_text(&b), ".eE"))
			buf_adds(&b, ".0");
		text = arena_dup_n(a, buf_text(&b), b.len);
		out->len = b.len;
		buf_fini(&b);
		break;
	}
	case JSON_TRUE:
	case JSON_FALSE:
		text = arena_dup(a, json_is_true(v) ? "true" : "false");
		out->len = json_is_true(v) ? 4 : 5;
		break;
	case JSON_OBJECT:
		return refuse(name, "an object; a text, a number, true, false, null or an array of these is needed",
			      err);
	default:
		return refuse(name, "an array inside an array, or null inside one", err);
	}
	if (!text)
		return err_set(err, RC_LIMIT, "the line's values take too much memory");
	/* The cell is the row's own copy: text columns are put into lower case in place. */
	memcpy(&out->bytes, &text, sizeof text);
	return RC_OK;
}

static enum rc add_member(const char *name, const json_t *v, uint32_t column, struct arena *a, struct cells *out,
			  struct err *err)
{
	struct cell c = { .column = column };
	size_t i;
	json_t *element;
	enum rc rc = RC_OK;

	if (json_is_null(v))
		return RC_OK;
	if (!json_is_array(v)) {
		rc = scalar(name, v, a, &c, err);
		if (rc == RC_OK && c.len)
			cells_add(out, c);
		return rc;
	}
	c.is_element = true;
	json_array_foreach(v, i, element)
	{
		rc = scalar(name, element, a, &c, err);
		if (rc != RC_OK)
			return rc;
		if (c.len)
			cells_add(out, c);
	}
	return RC_OK;
}

static enum rc take_label(const char *name, const json_t *v, struct arena *a, struct cell *label, struct err *err)
{
	if (json_is_null(v))
		return RC_OK;
	if (json_is_array(v))
		return refuse(name, "an array, but it is the label", err);
	if (json_is_boolean(v)) {
		label->bytes = arena_dup(a, json_is_true(v) ? "1" : "0");
		label->len = 1;
		return label->bytes ? RC_OK : err_set(err, RC_LIMIT, "the line's values take too much memory");
	}
	return scalar(name, v, a, label, err);
}

static enum rc take_member(const char *name, const json_t *v, struct schema *s, enum jsonl_growth growth,
			   struct arena *a, struct cells *out, struct cell *label, struct err *err)
{
	size_t len = strlen(name);
	if (schema_is_label(s, name, len))
		return take_label(name, v, a, label, err);
	int64_t at = schema_find(s, name, len);
	if (at < 0) {
		uint32_t column;
		if (growth == JSONL_FIXED || !s->is_open || !schema_wants(s, name, len))
			return RC_OK;
		enum rc rc = schema_add(s, name, len, &column, err);
		if (rc != RC_OK)
			return rc;
		at = column;
	}
	s->columns[at].is_met = true;
	return add_member(name, v, (uint32_t)at, a, out, err);
}

enum rc jsonl_cells(const char *line, size_t len, struct schema *s, enum jsonl_growth growth, struct arena *a,
		    struct cells *out, struct cell *label, struct err *err)
{
	const json_t *root = NULL;
	enum rc rc = json_read(line, len, a, &root, err);

	if (rc == RC_OK && !json_is_object(root))
		return err_set(err, RC_INVALID, "a JSON object is needed");
	*label = (struct cell){ 0 };
	out->n = 0;
	if (rc != RC_OK)
		return rc;
	json_t *members = (json_t *)(uintptr_t)root; /* its iterator is not const, but does not change it */
	for (void *i = json_object_iter(members); i && rc == RC_OK; i = json_object_iter_next(members, i))
		rc = take_member(json_object_iter_key(i), json_object_iter_value(i), s, growth, a, out, label, err);
	return rc;
}
