#include <stdio.h>
#include <string.h>
#include "cmd/args.h"
#include "cmd/say.h"

static int run_version(const struct command *c, int argc, char **argv)
{
	bool as_json = false;
	struct opt opts[] = {
		OPTION_FLAG("json", &as_json, "Print JSON."),
	};
	const char *operands[OPERANDS_MAX];
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	printf(as_json ? "{\"version\":\"%s\"}\n" : "stint %s\n", STINT_VERSION);
	return 0;
}

static void print_all(void)
{
	size_t n;
	const struct command *const *all = command_all(&n);

	printf("stint %s: managed instances and their long tasks on your own machines.\n\n"
	       "Usage: stint COMMAND [options]\n\nCommands:\n",
	       STINT_VERSION);
	for (size_t i = 0; i < n; i++) {
		if (!command_is_internal(all[i]))
			printf("  %-18s %s\n", all[i]->name, all[i]->summary);
	}
	printf("\n`stint COMMAND --help` shows options and an example. First steps: scripts/quickstart, or\n"
	       "  stint init --data ./stint-data && stint serve --data ./stint-data\n");
}

static int run_help(const struct command *self, int argc, char **argv)
{
	const char *words[OPERANDS_MAX];
	char name[64], *ask[] = { name, NULL };
	int code;

	if (!args_read(self, NULL, 0, argc, argv, words, &code))
		return code;
	if (!words[0]) {
		print_all();
		return 0;
	}
	(void)snprintf(name, sizeof name, "%s%s%s", words[0], words[1] ? " " : "", words[1] ? words[1] : "");
	const struct command *c = command_find(name);
	if (!c && !words[1] && command_list_family(name, stdout))
		return 0;
	if (!c) {
		struct err err;
		enum rc rc = err_set(&err, RC_INVALID, "no command is named '%s'", name);
		return say_failed(self, rc, &err);
	}
	(void)snprintf(name, sizeof name, "--help");
	return c->run(c, 1, ask);
}

const struct command command_version = {
	.name = "version",
	.operands = "",
	.summary = "Print the version of this program.",
	.example = "stint version --json",
	.run = run_version,
};

const struct command command_help = {
	.name = "help",
	.operands = "[COMMAND] [WORD]",
	.summary = "List the commands, or explain one.",
	.example = "stint help task watch",
	.run = run_help,
};
