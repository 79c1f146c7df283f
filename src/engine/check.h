/*
 * check: names, parameters and schedules a user gives, judged by the rules of the contract. Pure but for looking
 * at the import roots; any thread. Errors: RC_INVALID in words that name the field and the rule.
 */
#ifndef ENGINE_CHECK_H
#define ENGINE_CHECK_H

#include <limits.h>
#include "engine/function.h"
#include "engine/priv.h"

enum rc check_app_name(const char *name, struct err *err) NODISCARD;      /* ^[a-zA-Z][a-zA-Z0-9_-]{0,29}$ */
enum rc check_instance_name(const char *name, struct err *err) NODISCARD; /* ^[a-zA-Z][a-zA-Z0-9_]{0,29}$ */
enum rc check_text(const char *field, const char *text, size_t max_len, struct err *err) NODISCARD;
enum rc check_cron(const char *cron, struct err *err) NODISCARD; /* "" is fine */
/* By the rules; paths must lie inside an import root. */
enum rc check_params(const struct engine *e, const struct param_rule *rules, size_t n_rules, const struct param *params,
		     size_t n_params, struct err *err) NODISCARD;
/* A list of parameters as a JSON object in a, members in the order given; NULL when a is full. */
char *params_to_json(const struct param *params, size_t n, struct arena *a);

#endif
