#include "train/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "train/train.h"

/* clang-format off */
const struct param_rule train_rules[] = {
	{ .name = "train_data", .type = PARAM_PATHS,
	  .help = "Files with the training rows, plain or packed with gzip, xz or zstd." },
	{ .name = "data_format", .type = PARAM_CHOICE, .default_text = "auto",
	  .choices = "auto|csv|tsv|jsonl|libffm|libsvm",
	  .help = "Form of the rows; auto decides by the file's name, then by its first line." },
	{ .name = "header", .type = PARAM_BOOL, .default_text = "true",
	  .help = "Whether the first line of csv and tsv files names the columns; without names they are 0, 1, 2 ..." },
	{ .name = "label_field", .type = PARAM_TEXT, .default_text = "click",
	  .help = "Column with the label, a number; where there is no column click, label is taken instead." },
	{ .name = "positive", .type = PARAM_RULE, .default_text = ">0",
	  .help = "Which labels count as a click; all others count as none." },
	{ .name = "feature_fields", .type = PARAM_FIELDS,
	  .help = "Columns to learn from; when not given, every named column except the label." },
	{ .name = "numeric_fields", .type = PARAM_FIELDS,
	  .help = "Columns of numbers to put into buckets by size, besides those found to hold decimals." },
	{ .name = "value_separator", .type = PARAM_TEXT, .default_text = "|",
	  .help = "Text between several values in one cell; none means that a cell is always one value." },
	{ .name = "valid_data", .type = PARAM_PATHS,
	  .help = "Files with validation rows; when given, no training rows are set aside for it." },
	{ .name = "valid_ratio", .type = PARAM_REAL, .default_text = "0.1", .low = 0, .high = 0.9,
	  .help = "Share of the training rows set aside for validation." },
	{ .name = "split", .type = PARAM_CHOICE, .default_text = "tail", .choices = "tail|random",
	  .help = "Which rows are set aside: the last ones in the files' order, or a random choice by the seed." },
	{ .name = "model", .type = PARAM_CHOICE, .default_text = "ffm", .choices = "ffm|fm|lr",
	  .help = "Field-aware factorisation machine, factorisation machine, or logistic regression." },
	{ .name = "factors", .type = PARAM_INT, .default_text = "4", .low = 1, .high = 128,
	  .help = "Length of a feature's latent vector in ffm (one for each field) and fm." },
	{ .name = "learning_rate", .type = PARAM_REAL, .default_text = "0.2", .low = 1e-6, .high = 10,
	  .help = "Step size of AdaGrad." },
	{ .name = "l2", .type = PARAM_REAL, .default_text = "1e-3", .low = 0, .high = 10,
	  .help = "Strength of the pull of the weights towards zero." },
	{ .name = "epochs", .type = PARAM_INT, .default_text = "15", .low = 1, .high = 1000,
	  .help = "Most passes over the training rows." },
	{ .name = "early_stop_rounds", .type = PARAM_INT, .default_text = "3", .low = 0, .high = 1000,
	  .help = "Stop after this many epochs without a better validation logloss; 0 means never." },
	{ .name = "hash_bits", .type = PARAM_INT, .default_text = "20", .low = 8, .high = 28,
	  .help = "Values are hashed to 2 to the power of this many features." },
	{ .name = "normalize", .type = PARAM_BOOL, .default_text = "true",
	  .help = "Scale each row to unit length, so that rows with many features weigh no more than others." },
	{ .name = "threads", .type = PARAM_INT, .default_text = "1", .low = 1, .high = 64,
	  .help = "Threads that train; with 1 the same data and seed give the same model, bit for bit." },
	{ .name = "seed", .type = PARAM_INT, .default_text = "1", .low = 0, .high = 9007199254740992.0,
	  .help = "Start of every random choice: first weights, order of rows, random split." },
	{ .name = "id_field", .type = PARAM_TEXT,
	  .help = "Column with the item's id, a category; added to feature_fields where those are given." },
	{ .name = "title_field", .type = PARAM_TEXT,
	  .help = "Column with the item's title, split into words." },
	{ .name = "description_field", .type = PARAM_TEXT,
	  .help = "Column with the item's description, split into words." },
	{ .name = "tags_field", .type = PARAM_TEXT,
	  .help = "Column with the item's tags, several in a cell, divided by value_separator; never numbers." },
	{ .name = "category_field", .type = PARAM_TEXT,
	  .help = "Column with the item's category; added to feature_fields where those are given." },
};
/* clang-format on */
const size_t n_train_rules = ARRAY_LEN(train_rules);

/* Words of the choices above, in the order of the enums of options.h. */
const char *const format_words[FORMATS] = { "auto", "csv", "tsv", "jsonl", "libffm", "libsvm" };
static const char *const split_words[] = { "tail", "random" };
static const char *const model_words[] = { "lr", "fm", "ffm" };
const char *const label_op_words[LABEL_OPS] = { "<", "<=", ">", ">=", "=", "!=" };

struct given {
	const struct param *params;
	size_t n;
	struct arena *arena;
};

static const char *text_of(const struct given *g, const char *name)
{
	return param_get(train_rules, n_train_rules, g->params, g->n, name);
}

/* The values below were checked against the rules, so reading them cannot fail. */
static int64_t int_of(const struct given *g, const char *name)
{
	int64_t v = 0;
	must(num_i64(text_of(g, name), &v));
	return v;
}

static double real_of(const struct given *g, const char *name)
{
	double v = 0;
	must(num_f64(text_of(g, name), &v));
	return v;
}

static bool bool_of(const struct given *g, const char *name) { return strcmp(text_of(g, name), "true") == 0; }

static int choice_of(const struct given *g, const char *name, const char *const *words, size_t n_words)
{
	const char *text = text_of(g, name);
	size_t i = 0;
	while (i < n_words && strcmp(words[i], text) != 0)
		i++;
	must(i < n_words); /* else a choice of the rules has no word above */
	return (int)i;
}

static struct label_rule label_rule_of(const struct given *g)
{
	const char *text = text_of(g, "positive");
	struct label_rule rule = { .op = LABEL_GT };
	size_t len = strspn(text, "<>=!");

	for (size_t i = 0; i < LABEL_OPS; i++) {
		if (strlen(label_op_words[i]) == len && strncmp(label_op_words[i], text, len) == 0)
			rule.op = (enum label_op)i; /* in the same order */
	}
	must(num_f64(text + len, &rule.value));
	return rule;
}

static bool list_has(const struct text_list *list, const char *text)
{
	for (int i = 0; i < list->n; i++) {
		if (strcmp(list->items[i], text) == 0)
			return true;
	}
	return false;
}

/* The list given as parameter name (NULL: an empty one), with room more places for list_add.
 * A full arena leaves it empty; the caller checks the arena. */
static struct text_list list_of(const struct given *g, const char *name, size_t room)
{
	struct text_list list = { 0 };
	const char *text = name ? text_of(g, name) : NULL;
	size_t n = room;

	for (const char *p = text ? text : ""; *p; p++)
		n += *p == ',';
	list.items = arena_array(g->arena, n + 1, sizeof list.items[0]);
	if (!text || !list.items)
		return list;
	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");
		const char *item = arena_dup_n(g->arena, p, len);
		if (item && !list_has(&list, item))
			list.items[list.n++] = item;
		p += len;
		if (!*p)
			return list;
	}
}

static void list_add(struct text_list *list, const char *text)
{
	if (text && list->items && !list_has(list, text))
		list->items[list->n++] = text;
}

/* The columns that the vendor's parameters name are features, each of its own kind. */
static void add_named_columns(const struct given *g, struct train_options *o)
{
	static const char *const all[] = { "id_field", "title_field", "description_field", "tags_field",
					   "category_field" };

	list_add(&o->text_fields, text_of(g, "title_field"));
	list_add(&o->text_fields, text_of(g, "description_field"));
	list_add(&o->multi_fields, text_of(g, "tags_field"));
	if (!o->feature_fields.n)
		return; /* all columns are features already */
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		list_add(&o->feature_fields, text_of(g, all[i]));
}

static enum rc check_lists(const struct train_options *o, struct err *err)
{
	const struct {
		const struct text_list *a, *b;
		const char *a_name, *b_name;
	} apart[] = {
		{ &o->train_data, &o->valid_data, "train_data", "valid_data" },
		{ &o->numeric_fields, &o->text_fields, "numeric_fields", "title_field or description_field" },
		{ &o->numeric_fields, &o->multi_fields, "numeric_fields", "tags_field" },
		{ &o->text_fields, &o->multi_fields, "title_field or description_field", "tags_field" },
	};
	for (size_t i = 0; i < ARRAY_LEN(apart); i++) {
		for (int k = 0; k < apart[i].a->n; k++) {
			if (list_has(apart[i].b, apart[i].a->items[k]))
				return err_set(err, RC_INVALID, "'%.200s' is in %s and in %s", apart[i].a->items[k],
					       apart[i].a_name, apart[i].b_name);
		}
	}
	return RC_OK;
}

static enum rc check_fields(const struct train_options *o, struct err *err)
{
	const struct {
		const struct text_list *list;
		const char *name;
	} fields[] = { { &o->feature_fields, "feature_fields" },
		       { &o->numeric_fields, "numeric_fields" },
		       { &o->text_fields, "title_field or description_field" },
		       { &o->multi_fields, "tags_field" } };

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (list_has(fields[i].list, o->label_field))
			return err_set(err, RC_INVALID,
				       "label_field '%.200s' is in %s too: a label cannot be a feature", o->label_field,
				       fields[i].name);
	}
	for (int i = 0; o->feature_fields.n && i < o->numeric_fields.n; i++) {
		if (!list_has(&o->feature_fields, o->numeric_fields.items[i]))
			return err_set(err, RC_INVALID, "'%.200s' is in numeric_fields, but not in feature_fields",
				       o->numeric_fields.items[i]);
	}
	return RC_OK;
}

enum rc train_options_parse(const struct param *params, size_t n_params, struct arena *a, struct train_options *out,
			    struct err *err)
{
	const struct given g = { params, n_params, a };
	struct train_options o = {
		.train_data = list_of(&g, "train_data", 0),
		.valid_data = list_of(&g, "valid_data", 0),
		.format = (enum train_format)choice_of(&g, "data_format", format_words, FORMATS),
		.has_header = bool_of(&g, "header"),
		.label_field = text_of(&g, "label_field"),
		.positive = label_rule_of(&g),
		.feature_fields = list_of(&g, "feature_fields", 5),
		.numeric_fields = list_of(&g, "numeric_fields", 0),
		.text_fields = list_of(&g, NULL, 2),
		.multi_fields = list_of(&g, NULL, 1),
		.value_separator = text_of(&g, "value_separator"),
		.valid_ratio = real_of(&g, "valid_ratio"),
		.split = (enum split_method)choice_of(&g, "split", split_words, ARRAY_LEN(split_words)),
		.model = (enum train_model)choice_of(&g, "model", model_words, ARRAY_LEN(model_words)),
		.factors = (int)int_of(&g, "factors"),
		.learning_rate = real_of(&g, "learning_rate"),
		.l2 = real_of(&g, "l2"),
		.epochs = (int)int_of(&g, "epochs"),
		.early_stop_rounds = (int)int_of(&g, "early_stop_rounds"),
		.hash_bits = (int)int_of(&g, "hash_bits"),
		.normalize = bool_of(&g, "normalize"),
		.threads = (int)int_of(&g, "threads"),
		.seed = (uint64_t)int_of(&g, "seed"),
	};

	add_named_columns(&g, &o);
	if (strcmp(o.value_separator, "none") == 0)
		o.value_separator = "";
	if (arena_is_full(a))
		return err_set(err, RC_LIMIT, "the training parameters need more memory than a task may use for them");
	enum rc rc = check_lists(&o, err);
	if (rc == RC_OK)
		rc = check_fields(&o, err);
	if (rc == RC_OK)
		*out = o;
	return rc;
}

/* Each item with its length, so that no two lists read alike. */
static void add_list(struct buf *b, const char *name, const struct text_list *list)
{
	buf_addf(b, "%s=%d\n", name, list->n);
	for (int i = 0; i < list->n; i++)
		buf_addf(b, " %zu:%s\n", strlen(list->items[i]), list->items[i]);
}

char *train_options_cache_key(const struct train_options *o, struct arena *a)
{
	struct buf b;
	buf_init(&b, (size_t)1 << 20);
	buf_addf(&b, "data_format=%s\nheader=%d\nlabel_field=%s\npositive=%s%.17g\n", format_words[o->format],
		 o->has_header, o->label_field, label_op_words[o->positive.op], o->positive.value);
	add_list(&b, "feature_fields", &o->feature_fields);
	add_list(&b, "numeric_fields", &o->numeric_fields);
	add_list(&b, "text_fields", &o->text_fields);
	add_list(&b, "multi_fields", &o->multi_fields);
	buf_addf(&b, "value_separator=%s\nhash_bits=%d\nseed=%llu\nfiles=%d+%d\n", o->value_separator, o->hash_bits,
		 (unsigned long long)o->seed, o->train_data.n, o->valid_data.n);
	if (!o->valid_data.n)
		buf_addf(&b, "split=%s\nvalid_ratio=%.17g\n", split_words[o->split], o->valid_ratio);
	char *text = arena_dup(a, buf_text(&b));
	buf_fini(&b);
	return text;
}
