/*
 * param: rules for the named text values a user gives (createParameters, usageParameters), as data.
 * One table serves checking, defaults, the published version schema, --help and the documentation.
 *
 * Pure, any thread. Errors: RC_INVALID naming the parameter, the value and the rule it breaks.
 */
#ifndef TASK_PARAM_H
#define TASK_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum param_type {
	PARAM_TEXT,   /* any text without control characters but the tab, at most 4096 bytes */
	PARAM_INT,    /* decimal; low..high */
	PARAM_REAL,   /* finite decimal; low..high */
	PARAM_BOOL,   /* "true" or "false" */
	PARAM_CHOICE, /* one word of choices, which is separated by '|' */
	PARAM_RULE,   /* a label rule: one of < <= > >= = != and a number, such as ">=4" */
	PARAM_PATHS,  /* one path, or several separated by ',', each under an import root */
	PARAM_FIELDS, /* column names separated by ',' */
};

struct param_rule {
	const char *name;
	enum param_type type;
	bool is_required;         /* must be present and not empty */
	const char *default_text; /* NULL: none. An empty value given means "not given". */
	double low, high;         /* INT and REAL; inclusive */
	const char *choices;      /* CHOICE */
	const char *help;         /* one sentence */
};

struct param {
	const char *name, *value; /* borrowed; value may be "" */
};

/* One value against its rule. "" passes unless the rule is required. */
enum rc param_check(const struct param_rule *rule, const char *value, struct err *err) NODISCARD;
/* A whole list: unknown names, names given twice, missing required ones, each value. */
enum rc param_check_all(const struct param_rule *rules, size_t n_rules, const struct param *params,
			size_t n_params, struct err *err) NODISCARD;
/* Value of name in params; when absent or "" the rule's default; NULL when there is neither. */
const char *param_get(const struct param_rule *rules, size_t n_rules, const struct param *params,
		      size_t n_params, const char *name);
/* "an integer from 1 to 100", for messages and documentation. */
void param_rule_words(const struct param_rule *rule, char *out, size_t size);

#endif
