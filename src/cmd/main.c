/*
 * stint: find the subcommand in the table and run it. All process exits of the program's own are here or below
 * a command's return; nothing outside of cmd/ calls exit.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/attr.h"
#include "base/err.h"
#include "cmd/args.h"
#include "cmd/command.h"

static const struct command *const commands[] = {
#define X(id) &command_##id,
	COMMAND_TABLE(X)
#undef X
};

const struct command *const *command_all(size_t *n)
{
	*n = ARRAY_LEN(commands);
	return commands;
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

/* The command that argv names, by two words or one; *used says how many. */
static const struct command *choose(int argc, char **argv, int *used)
{
	char two[64];
	const struct command *c = NULL;

	*used = 2;
	if (argc >= 2 && snprintf(two, sizeof two, "%s %s", argv[0], argv[1]) < (int)sizeof two)
		c = command_find(two);
	if (c)
		return c;
	*used = 1;
	return command_find(argv[0]);
}

/* "stint task" alone, or with a wrong second word: show what there is. */
static bool list_family(const char *word)
{
	size_t len = strlen(word);
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strncmp(commands[i]->name, word, len) != 0 || commands[i]->name[len] != ' ')
			continue;
		if (!any)
			(void)fprintf(stderr, "stint %s needs one of these words:\n", word);
		(void)fprintf(stderr, "  stint %-18s %s\n", commands[i]->name, commands[i]->summary);
		any = true;
	}
	return any;
}

static const char *alias(const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return "help";
	return strcmp(word, "--version") == 0 ? "version" : word;
}

int main(int argc, char **argv)
{
	int used;
	char *none[] = { NULL };

	if (argc < 2) {
		(void)command_help.run(&command_help, 0, none);
		return rc_exit_code(RC_INVALID);
	}
	/* A closed pipe is an error of a write, not the end of a server. */
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	(void)sigaction(SIGPIPE, &ignore, NULL);
	const struct command *c = command_find(alias(argv[1]));
	used = 1;
	if (!c)
		c = choose(argc - 1, argv + 1, &used);
	if (c)
		return c->run(c, argc - 1 - used, argv + 1 + used);
	if (!list_family(argv[1]))
		(void)fprintf(stderr, "stint: unknown command '%.60s'\nTry: stint help\n", argv[1]);
	return rc_exit_code(RC_INVALID);
}
