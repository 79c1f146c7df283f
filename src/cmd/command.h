/*
 * command: the table of subcommands. One file per subcommand holds its options and wiring; main.c finds it.
 * A command returns the process's exit code (craft: the code of its enum rc).
 */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct command {
	const char *name;     /* "serve", or two words: "task watch" */
	const char *operands; /* "APP INSTANCE [GENERATION]", "CACHE [WORD...]"; "" none */
	const char *summary;  /* one sentence for `stint help` */
	const char *example;  /* one or more lines for --help, without indentation */
	int (*run)(const struct command *self, int argc, char **argv); /* argv: what follows the name */
};

#define COMMAND_TABLE(X)                                                                                       \
	X(serve) X(init) X(env)                                                                                \
	X(key_create) X(key_list) X(key_enable) X(key_disable) X(key_delete)                                   \
	X(app_create) X(app_get) X(app_list) X(app_delete)                                                     \
	X(instance_create) X(instance_get) X(instance_list) X(instance_update) X(instance_delete)              \
	X(task_create) X(task_get) X(task_list) X(task_watch) X(task_log) X(task_delete)                       \
	X(cache_create) X(cache_list) X(cache_show) X(cache_resize) X(cache_restart) X(cache_flush)            \
	X(cache_swap) X(cache_password) X(cache_backup) X(cache_backups) X(cache_restore) X(cache_tasks)       \
	X(cache_forget) X(cache_connect) X(cache_delete)                                                       \
	X(train) X(predict) X(sample_shop) X(backup) X(restore) X(doctor) X(torture)                           \
	X(version) X(help) X(job) X(torture_act)

#define X(id) extern const struct command command_##id;
COMMAND_TABLE(X)
#undef X

/* The command of that name (words joined by one blank); NULL when there is none. */
const struct command *command_find(const char *name);
/* Print those whose first of two words is word; false when there are none. */
bool command_list_family(const char *word, FILE *to);
/* Started by the server, not by people. */
bool command_is_internal(const struct command *c);
/* In the order of the table. */
const struct command *const *command_all(size_t *n);

#endif
