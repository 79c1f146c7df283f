/*
 * remote: what the commands that talk to a server share: one call, then its answer printed.
 */
#ifndef CMD_REMOTE_H
#define CMD_REMOTE_H

#include "cmd/client.h"
#include "cmd/say.h"

#define FUNCTION_OPTION(out_) OPTION_TEXT("function", (out_), "NAME", "Function of the instance (default ctr).")
#define PAGE_OPTIONS(page, size)                                                                                       \
	OPTION_INT("page", &(page), "N", 1, INT32_MAX, "Which page (default 1)."),                                     \
	        OPTION_INT("page-size", &(size), "N", 1, 100, "Rows of a page (default 100).")

/* One command's run: client, output and the failure, so that the steps of a command read as a list. */
struct remote {
	const struct command *command;
	struct client_options options;
	struct client *client;
	struct buf out;
	struct err err;
	enum rc rc;
};

/* Read the arguments and connect. False: the command ends with *exit_code. */
bool remote_open(struct remote *r, struct opt *opts, size_t n_opts, int argc, char **argv, const char **operands,
                 int *exit_code);
/* Print what was collected, or say why not. The exit code. */
int remote_close(struct remote *r);

/* A call whose failure stays in r; false then. path NULL counts as failed. */
bool remote_call(struct remote *r, const char *method, const char *action, const char *path, const char *query,
                 const char *body, struct answer *out);
/* With --json the answer's own text ("{}" when it has none), else nothing; true when printed. */
bool remote_print_json(struct remote *r, const struct answer *a);
/* pageNumber and pageSize, and one more pair unless value is NULL. NULL when out of memory. */
const char *remote_page_query(struct remote *r, int64_t page, int64_t size, const char *name, const char *value);
/* A "name   value" line. */
void remote_line(struct remote *r, const char *label, const char *value);

/* What a command to be typed next needs of FUNCTION_OPTION: " --function score", or "". */
const char *remote_function(struct remote *r, const char *function);

/* Between two looks at something that goes on at the server. */
void remote_pause(long ms);

/* -p name=value ... as a JSON member [{"name":..,"value":..}]. */
enum rc remote_params(const struct opt_list *list, const char *key, struct jw *w, struct err *err) NODISCARD;

#endif
