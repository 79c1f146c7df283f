/*
 * stint: find the subcommand in the table and run it. All process exits of the program's own are here or below
 * a command's return; nothing outside of cmd/ calls exit.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/attr.h"
#include "base/err.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/say.h"

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

bool command_is_internal(const struct command *c) { return c == &command_job || c == &command_torture_act; }

bool command_list_family(const char *word, FILE *to)
{
	size_t len = strlen(word);
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strncmp(commands[i]->name, word, len) != 0 || commands[i]->name[len] != ' ')
			continue;
		if (!any)
			(void)fprintf(to, "stint %s needs one of these words:\n", word);
		(void)fprintf(to, "  stint %-18s %s\n", commands[i]->name, commands[i]->summary);
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

/* A file opened while one of the first three descriptors is closed would get its number, and be written to in place of
 * the terminal. Each is held the wrong way round, so that using it fails as on a closed one. */
static void hold_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest free is fd */
	}
}

/* No command, or the first word of several: what there is. Asked for, it is an answer; else a mistake. */
static int explain(const char *word, const char *next)
{
	bool is_asked = next && strcmp(alias(next), "help") == 0;

	if (command_list_family(word, is_asked ? stdout : stderr))
		return is_asked ? 0 : rc_exit_code(RC_INVALID);
	(void)fprintf(stderr, "stint: unknown command '%.60s'\nTry: stint help\n", word);
	return rc_exit_code(RC_INVALID);
}

static int run(int argc, char **argv)
{
	int used = 1;
	char *none[] = { NULL };

	if (argc < 2) {
		(void)command_help.run(&command_help, 0, none);
		return rc_exit_code(RC_INVALID);
	}
	const struct command *c = command_find(alias(argv[1]));
	if (!c)
		c = choose(argc - 1, argv + 1, &used);
	if (!c)
		return say_end(explain(argv[1], argv[2]));
	int code = c->run(c, argc - 1 - used, argv + 1 + used);
	return command_is_internal(c) ? code : say_end(code); /* a log that takes no more fails no task */
}

int main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	hold_descriptors();
	/* A closed pipe is an error of a write, not the end of a server. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	return run(argc, argv);
}
