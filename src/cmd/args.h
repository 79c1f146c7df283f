/*
 * args: strict reading of a command line from a table of options.
 *
 * --name VALUE, --name=VALUE, flags without a value, -x VALUE for options with a letter, lists by repeating.
 * "--" ends the options. The same table prints --help and reads a settings file (args_set), so an option is
 * described once. Values are borrowed from argv.
 *
 * Errors: RC_INVALID naming the option, the value and the rule. Outputs of options not given are left alone, so
 *         the caller puts its defaults there first.
 */
#ifndef CMD_ARGS_H
#define CMD_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "cmd/command.h"

enum opt_kind {
	OPT_FLAG /* bool */,
	OPT_TEXT /* const char * */,
	OPT_INT /* int64_t, low..high */,
	OPT_CHOICE /* const char *, a word of choices */,
	OPT_LIST /* struct opt_list */
};

enum { OPT_LIST_MAX = 128, OPERANDS_MAX = 256 };

struct opt_list {
	const char *items[OPT_LIST_MAX];
	int n;
};

struct opt {
	const char *name; /* "listen", for --listen */
	char letter;      /* 'p' for -p; 0 none */
	enum opt_kind kind;
	void *out;           /* what kind says */
	const char *value;   /* its name in the help: "HOST:PORT"; NULL for a flag */
	const char *help;    /* one sentence, with the default */
	int64_t low, high;   /* INT; inclusive */
	const char *choices; /* CHOICE: "strict|lax|off" */
	bool is_given;       /* set while reading the command line */
};

/* Rows of a table of options. */
#define OPTION_FLAG(name_, out_, help_)                                                                                \
	{                                                                                                              \
		.name = (name_), .kind = OPT_FLAG, .out = (out_), .help = (help_)                                      \
	}
#define OPTION_TEXT(name_, out_, value_, help_)                                                                        \
	{                                                                                                              \
		.name = (name_), .kind = OPT_TEXT, .out = (out_), .value = (value_), .help = (help_)                   \
	}
#define OPTION_LIST(name_, out_, value_, help_)                                                                        \
	{                                                                                                              \
		.name = (name_), .kind = OPT_LIST, .out = (out_), .value = (value_), .help = (help_)                   \
	}
#define OPTION_INT(name_, out_, value_, low_, high_, help_)                                                            \
	{                                                                                                              \
		.name = (name_), .kind = OPT_INT, .out = (out_), .value = (value_), .low = (low_), .high = (high_),    \
		.help = (help_)                                                                                        \
	}
#define OPTION_CHOICE(name_, out_, value_, choices_, help_)                                                            \
	{                                                                                                              \
		.name = (name_), .kind = OPT_CHOICE, .out = (out_), .value = (value_), .choices = (choices_),          \
		.help = (help_)                                                                                        \
	}

/* Check value by the option's rule and store it. value is NULL only for flags. */
enum rc args_set(struct opt *o, const char *value, struct err *err) NODISCARD;
/* Option of that name, '_' and '-' alike; NULL: none. */
struct opt *args_find(struct opt *opts, size_t n, const char *name);

/*
 * Read argv by opts and the command's operands into operands[] (NULL where an optional one is absent).
 * True: go on. False: the command ends with *exit_code; help or the reason has been printed.
 */
bool args_read(const struct command *c, struct opt *opts, size_t n, int argc, char **argv,
               const char *operands[OPERANDS_MAX], int *exit_code);
void args_print_help(const struct command *c, const struct opt *opts, size_t n);

#endif
