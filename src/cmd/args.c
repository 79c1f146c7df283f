#include "cmd/args.h"

#include <stdio.h>
#include <string.h>
#include "base/num.h"
#include "cmd/say.h"

static bool names_match(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '_' ? '-' : *a, y = *b == '_' ? '-' : *b;
		if (x != y)
			return false;
	}
	return *a == *b;
}

struct opt *args_find(struct opt *opts, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (names_match(opts[i].name, name))
			return &opts[i];
	}
	return NULL;
}

static bool is_word_of(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = choices; len && *p;) {
		size_t word = strcspn(p, "|");
		if (word == len && strncmp(p, value, len) == 0)
			return true;
		p += word + (p[word] == '|');
	}
	return false;
}

static enum rc set_flag(struct opt *o, const char *value, struct err *err)
{
	if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return err_set(err, RC_INVALID, "--%s is true or false, not '%.60s'", o->name, value);
	*(bool *)o->out = !value || strcmp(value, "true") == 0;
	return RC_OK;
}

static enum rc set_int(struct opt *o, const char *value, struct err *err)
{
	int64_t v;

	if (!num_i64(value, &v) || v < o->low || v > o->high)
		return err_set(err, RC_INVALID, "--%s is an integer from %lld to %lld, not '%.60s'", o->name,
		               (long long)o->low, (long long)o->high, value);
	*(int64_t *)o->out = v;
	return RC_OK;
}

static enum rc add_item(struct opt *o, const char *value, struct err *err)
{
	struct opt_list *list = o->out;

	if (list->n == OPT_LIST_MAX)
		return err_set(err, RC_INVALID, "--%s is given more than %d times", o->name, OPT_LIST_MAX);
	list->items[list->n++] = value;
	return RC_OK;
}

enum rc args_set(struct opt *o, const char *value, struct err *err)
{
	if (o->kind == OPT_FLAG)
		return set_flag(o, value, err);
	if (!value)
		return err_set(err, RC_INVALID, "--%s needs a value: --%s %s", o->name, o->name, o->value);
	switch (o->kind) {
	case OPT_INT:
		return set_int(o, value, err);
	case OPT_LIST:
		return add_item(o, value, err);
	case OPT_CHOICE:
		if (!is_word_of(o->choices, value))
			return err_set(err, RC_INVALID, "--%s is one of %s, not '%.60s'", o->name, o->choices, value);
		break;
	case OPT_TEXT:
	case OPT_FLAG:
		break;
	}
	*(const char **)o->out = value;
	return RC_OK;
}

/* The option that word names and, in *value, what follows '='. NULL: unknown. */
static struct opt *option_of(struct opt *opts, size_t n, const char *word, const char **value)
{
	char name[64];

	*value = NULL;
	if (word[1] != '-') {
		for (size_t i = 0; i < n; i++) {
			if (opts[i].letter == word[1] && !word[2])
				return &opts[i];
		}
		return NULL;
	}
	size_t len = strcspn(word + 2, "=");
	if (len == 0 || len >= sizeof name)
		return NULL;
	memcpy(name, word + 2, len);
	name[len] = '\0';
	if (word[2 + len] == '=')
		*value = word + 2 + len + 1;
	return args_find(opts, n, name);
}

static enum rc take_option(struct opt *opts, size_t n, int argc, char **argv, int *i, struct err *err)
{
	const char *value;
	struct opt *o = option_of(opts, n, argv[*i], &value);

	if (!o)
		return err_set(err, RC_INVALID, "unknown option '%.60s'", argv[*i]);
	if (o->is_given && o->kind != OPT_LIST)
		return err_set(err, RC_INVALID, "--%s is given twice", o->name);
	if (!value && o->kind != OPT_FLAG && *i + 1 < argc)
		value = argv[++*i];
	o->is_given = true;
	return args_set(o, value, err);
}

/* The k-th word of the operands' description; *len 0 past the end. "[X]" is optional, "[X...]" may come often. */
static const char *operand_word(const char *words, int k, size_t *len)
{
	words += strspn(words, " ");
	for (; k > 0 && *words; k--) {
		size_t word = strcspn(words, " ");
		if (word > 4 && memcmp(words + word - 4, "...]", 4) == 0)
			break; /* stands for all that follow */
		words += word;
		words += strspn(words, " ");
	}
	*len = strcspn(words, " ");
	return words;
}

static enum rc check_operands(const struct command *c, int n_given, struct err *err)
{
	size_t len;
	const char *word = operand_word(c->operands, n_given, &len);

	if (len && word[0] != '[')
		return err_set(err, RC_INVALID, "%.*s is missing", (int)len, word);
	return RC_OK;
}

static enum rc take_operand(const struct command *c, const char *value, const char **operands, int *n, struct err *err)
{
	size_t len = 0;

	if (*n < OPERANDS_MAX)
		(void)operand_word(c->operands, *n, &len);
	if (!len)
		return err_set(err, RC_INVALID, "'%.60s' is one word too many", value);
	operands[(*n)++] = value;
	return RC_OK;
}

static enum rc read_all(const struct command *c, struct opt *opts, size_t n, int argc, char **argv,
                        const char **operands, struct err *err)
{
	bool only_operands = false;
	int n_operands = 0;
	enum rc rc = RC_OK;

	for (int i = 0; i < argc && rc == RC_OK; i++) {
		if (!only_operands && strcmp(argv[i], "--") == 0)
			only_operands = true;
		else if (!only_operands && argv[i][0] == '-' && argv[i][1])
			rc = take_option(opts, n, argc, argv, &i, err);
		else
			rc = take_operand(c, argv[i], operands, &n_operands, err);
	}
	return rc == RC_OK ? check_operands(c, n_operands, err) : rc;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

bool args_read(const struct command *c, struct opt *opts, size_t n, int argc, char **argv,
               const char *operands[OPERANDS_MAX], int *exit_code)
{
	struct err err = { 0 };

	for (int i = 0; i < OPERANDS_MAX; i++)
		operands[i] = NULL;
	if (asks_for_help(argc, argv)) {
		args_print_help(c, opts, n);
		*exit_code = 0;
		return false;
	}
	enum rc rc = read_all(c, opts, n, argc, argv, operands, &err);
	if (rc == RC_OK)
		return true;
	(void)fprintf(stderr, "stint %s: %s\nTry: stint %s --help\n", c->name, err.msg, c->name);
	*exit_code = rc_exit_code(rc);
	return false;
}

enum { HELP_COLUMN = 34, HELP_WIDTH = 76 };

/* help behind its option, broken between words; every line starts in the same column. */
static void print_wrapped(const char *help)
{
	size_t used = 0;

	for (const char *p = help; *p;) {
		size_t len = strcspn(p, " ");
		if (used && used + 1 + len > HELP_WIDTH) {
			printf("\n%*s", HELP_COLUMN + 3, "");
			used = 0;
		}
		printf("%s%.*s", used ? " " : "", (int)len, p);
		used += len + (used > 0);
		p += len;
		p += strspn(p, " ");
	}
	printf("\n");
}

static void print_lines_indented(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		printf("  %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

void args_print_help(const struct command *c, const struct opt *opts, size_t n)
{
	printf("%s\n\nUsage: stint %s%s%s%s\n", c->summary, c->name, *c->operands ? " " : "", c->operands,
	       n ? " [options]" : "");
	if (n)
		printf("\nOptions:\n");
	for (size_t i = 0; i < n; i++) {
		char left[80];
		(void)snprintf(left, sizeof left, "%c%c%s--%s%s%s", opts[i].letter ? '-' : ' ',
		               opts[i].letter ? opts[i].letter : ' ', opts[i].letter ? ", " : "  ", opts[i].name,
		               opts[i].value ? " " : "", opts[i].value ? opts[i].value : "");
		printf("  %-*s ", HELP_COLUMN, left);
		print_wrapped(opts[i].help);
	}
	printf("\nExample:\n");
	print_lines_indented(c->example);
}
