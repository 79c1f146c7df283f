#include "train/schema.h"

#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "json/json.h"
#include "train/csv.h"
#include "train/featurize.h"
#include "train/lines.h"

enum { SCHEMA_VERSION = 1, JSON_MAX_SIZE = 64 << 20 };

static const char *const kind_words[] = { "category", "number", "text", "tags" };

static int find_word(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; word && i < n; i++) {
		if (strcmp(words[i], word) == 0)
			return (int)i;
	}
	return -1;
}

bool format_is_sparse(enum train_format f) { return f == FORMAT_LIBFFM || f == FORMAT_LIBSVM; }
const char *format_word(enum train_format f) { return format_words[f]; }

bool format_parse(const char *word, enum train_format *out)
{
	int i = find_word(format_words, FORMATS, word);
	if (i >= 0)
		*out = (enum train_format)i;
	return i >= 0;
}

void schema_init(struct schema *s, const struct train_options *o, enum train_format format)
{
	*s = (struct schema){
		.format = format,
		.has_header = o->has_header,
		.is_open = format == FORMAT_JSONL && !o->feature_fields.n,
		.label_field = mem_dup(o->label_field),
		.separator = mem_dup(o->value_separator),
		.positive = o->positive,
		.hash_bits = (uint32_t)o->hash_bits,
		.options = o,
	};
}

void schema_fini(struct schema *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		mem_free(s->columns[i].name);
	mem_free(s->columns);
	mem_free(s->slots);
	mem_free(s->label_field);
	mem_free(s->separator);
	*s = (struct schema){ 0 };
}

/* The slot of a name, or the empty one where it belongs. Slots are never full. */
static uint32_t slot_of(const struct schema *s, const char *name, size_t len, uint64_t hash)
{
	uint32_t mask = s->n_slots - 1, i = (uint32_t)feat_mix(hash) & mask;
	for (; s->slots[i]; i = (i + 1) & mask) {
		const char *there = s->columns[s->slots[i] - 1].name;
		if (strlen(there) == len && memcmp(there, name, len) == 0)
			break;
	}
	return i;
}

int64_t schema_find(const struct schema *s, const char *name, size_t len)
{
	if (!s->n)
		return -1;
	return (int64_t)s->slots[slot_of(s, name, len, feat_name_hash(name, len))] - 1;
}

static void rehash(struct schema *s)
{
	mem_free(s->slots);
	s->n_slots = s->n_slots ? 2 * s->n_slots : 64;
	s->slots = mem_array(s->n_slots, sizeof s->slots[0]);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct column *c = &s->columns[i];
		s->slots[slot_of(s, c->name, strlen(c->name), c->hash)] = i + 1;
	}
}

/* A column that is not there yet. */
static uint32_t append(struct schema *s, const char *name, size_t len, enum column_kind kind, bool is_strict)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 32;
		s->columns = mem_grow(s->columns, s->cap, sizeof s->columns[0]);
	}
	if (2 * (s->n + 1) > s->n_slots)
		rehash(s);
	uint64_t hash = feat_name_hash(name, len);
	s->slots[slot_of(s, name, len, hash)] = s->n + 1;
	s->columns[s->n] =
		(struct column){ .name = mem_dup_n(name, len), .hash = hash, .kind = kind, .is_strict = is_strict };
	s->names_size += len;
	s->n_fields = s->n + 1;
	return s->n++;
}

static bool list_has(const struct text_list *list, const char *name, size_t len)
{
	for (int i = 0; i < list->n; i++) {
		if (strlen(list->items[i]) == len && memcmp(list->items[i], name, len) == 0)
			return true;
	}
	return false;
}

static enum rc check_name(const struct schema *s, const char *name, size_t len, struct err *err)
{
	char shown[LINES_SHOWN_SIZE];

	for (size_t i = 0, n; i < len; i += n) {
		n = name[i] ? lines_utf8_len(name + i, len - i) : 0;
		if (!n)
			return err_set(err, RC_INVALID, "column name '%s' is not UTF-8", lines_show(shown, name, len));
	}
	if (schema_find(s, name, len) >= 0)
		return err_set(err, RC_INVALID, "two columns are named '%s'", lines_show(shown, name, len));
	if (s->n == COLUMNS_MAX)
		return err_set(err, RC_LIMIT, "more than %d columns", COLUMNS_MAX);
	if (s->names_size + len > SCHEMA_NAMES_MAX_SIZE)
		return err_set(err, RC_LIMIT, "the names of the columns take more than %d MiB",
			       SCHEMA_NAMES_MAX_SIZE >> 20);
	return RC_OK;
}

enum rc schema_add(struct schema *s, const char *name, size_t len, uint32_t *column, struct err *err)
{
	const struct train_options *o = s->options;
	enum rc rc = check_name(s, name, len, err);
	if (rc != RC_OK)
		return rc;
	bool is_number = list_has(&o->numeric_fields, name, len);
	enum column_kind kind = is_number                               ? COLUMN_NUMBER
				: list_has(&o->text_fields, name, len)  ? COLUMN_TEXT
				: list_has(&o->multi_fields, name, len) ? COLUMN_TAGS
									: COLUMN_CATEGORY;
	*column = append(s, name, len, kind, is_number);
	return RC_OK;
}

bool schema_is_label(const struct schema *s, const char *name, size_t len)
{
	return strlen(s->label_field) == len && memcmp(s->label_field, name, len) == 0;
}

bool schema_wants(const struct schema *s, const char *name, size_t len)
{
	const struct text_list *chosen = &s->options->feature_fields;
	return len && !schema_is_label(s, name, len) && (!chosen->n || list_has(chosen, name, len));
}

bool schema_label_fallback(struct schema *s)
{
	if (strcmp(s->label_field, "click") != 0 || list_has(&s->options->feature_fields, "label", 5))
		return false;
	mem_free(s->label_field);
	s->label_field = mem_dup("label");
	return true;
}

enum rc schema_check_named(const struct schema *s, struct err *err)
{
	const struct {
		const struct text_list *list;
		const char *name;
	} lists[] = { { &s->options->feature_fields, "feature_fields" },
		      { &s->options->numeric_fields, "numeric_fields" },
		      { &s->options->text_fields, "title_field or description_field" },
		      { &s->options->multi_fields, "tags_field" } };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (int k = 0; k < lists[i].list->n; k++) {
			const char *name = lists[i].list->items[k];
			if (format_is_sparse(s->format))
				return err_set(err, RC_INVALID, "%s names column '%.100s', but %s data have no columns",
					       lists[i].name, name, format_word(s->format));
			int64_t at = schema_find(s, name, strlen(name));
			if (at < 0 || (s->format == FORMAT_JSONL && !s->columns[at].is_met))
				return err_set(err, RC_INVALID, "%s names column '%.100s', which is not in the data",
					       lists[i].name, name);
		}
	}
	return RC_OK;
}

enum rc schema_to_json(const struct schema *s, struct buf *out, struct err *err)
{
	struct jw w;
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_int(&w, "version", SCHEMA_VERSION);
	jw_kv_text(&w, "format", format_word(s->format));
	jw_kv_bool(&w, "header", s->has_header);
	jw_kv_text(&w, "labelField", s->label_field);
	jw_kv_text(&w, "labelOp", label_op_words[s->positive.op]);
	jw_kv_real(&w, "labelValue", s->positive.value);
	jw_kv_text(&w, "valueSeparator", s->separator);
	jw_kv_int(&w, "fields", s->n_fields);
	jw_key(&w, "columns");
	jw_array(&w);
	for (uint32_t i = 0; i < s->n; i++) {
		jw_object(&w);
		jw_kv_text(&w, "name", s->columns[i].name);
		jw_kv_text(&w, "kind", kind_words[s->columns[i].kind]);
		jw_kv_bool(&w, "strict", s->columns[i].is_strict);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_end_object(&w);
	if (out->is_over || out->len > JSON_MAX_SIZE)
		return err_set(err, RC_LIMIT, "the description of the columns takes more than %d MiB",
			       JSON_MAX_SIZE >> 20);
	return RC_OK;
}

static enum rc columns_from_json(struct schema *s, const json_t *columns)
{
	size_t i;
	json_t *c;

	if (!json_is_array(columns) || json_array_size(columns) > COLUMNS_MAX)
		return RC_CORRUPT;
	json_array_foreach(columns, i, c)
	{
		const json_t *name = json_object_get(c, "name");
		int kind = find_word(kind_words, COLUMN_KINDS, json_string_value(json_object_get(c, "kind")));
		if (!json_is_string(name) || kind < 0)
			return RC_CORRUPT;
		if (schema_find(s, json_string_value(name), json_string_length(name)) >= 0)
			return RC_CORRUPT;
		(void)append(s, json_string_value(name), json_string_length(name), (enum column_kind)kind,
			     json_is_true(json_object_get(c, "strict"))); /* its number is i */
	}
	return RC_OK;
}

/* Fill s from the parsed object; whatever is wrong is RC_CORRUPT. */
static enum rc fill_from_json(struct schema *s, const json_t *root)
{
	const json_t *label = json_object_get(root, "labelField"), *separator = json_object_get(root, "valueSeparator");
	int op = find_word(label_op_words, LABEL_OPS, json_string_value(json_object_get(root, "labelOp")));
	json_int_t n_fields = json_integer_value(json_object_get(root, "fields"));

	if (json_integer_value(json_object_get(root, "version")) != SCHEMA_VERSION || op < 0 ||
	    !format_parse(json_string_value(json_object_get(root, "format")), &s->format) || s->format == FORMAT_AUTO ||
	    !json_is_string(label) || !json_is_string(separator) || n_fields < 0 || n_fields > COLUMNS_MAX)
		return RC_CORRUPT;
	memcpy(&s->positive.op, &op, sizeof s->positive.op);
	s->positive.value = json_number_value(json_object_get(root, "labelValue"));
	s->has_header = json_is_true(json_object_get(root, "header"));
	s->label_field = mem_dup(json_string_value(label));
	s->separator = mem_dup(json_string_value(separator));
	if (columns_from_json(s, json_object_get(root, "columns")) != RC_OK)
		return RC_CORRUPT;
	s->n_fields = (uint32_t)n_fields;
	return format_is_sparse(s->format) || s->n_fields == s->n ? RC_OK : RC_CORRUPT;
}

enum rc schema_from_json(struct schema *s, const char *json, uint32_t hash_bits, struct err *err)
{
	struct schema made = { .hash_bits = hash_bits };
	const json_t *root;
	if (hash_bits < 8 || hash_bits > 28 || strlen(json) > JSON_MAX_SIZE)
		return err_set(err, RC_CORRUPT, "the description of the model's columns is damaged");
	struct arena *a = arena_new(1 << 20);
	enum rc rc = json_read(json, strlen(json), a, &root, NULL);
	if (rc == RC_OK)
		rc = fill_from_json(&made, root);
	arena_free(a);
	if (rc != RC_OK) {
		schema_fini(&made);
		return err_set(err, RC_CORRUPT, "the description of the model's columns is damaged");
	}
	*s = made;
	return RC_OK;
}
