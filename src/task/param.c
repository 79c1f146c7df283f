#include "task/param.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/num.h"

enum { VALUE_MAX = 4096 };

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);
	for (const char *p = choices; *p; p += strcspn(p, "|"), p += *p == '|') {
		if (strcspn(p, "|") == len && strncmp(p, value, len) == 0)
			return true;
	}
	return false;
}

static bool is_label_rule(const char *value)
{
	static const char *const ops[] = { "<=", ">=", "!=", "<", ">", "=" };
	double v;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		size_t len = strlen(ops[i]);
		if (strncmp(value, ops[i], len) == 0)
			return num_f64(value + len, &v);
	}
	return false;
}

static bool is_list(const char *value)
{
	for (const char *p = value;; p++) {
		size_t len = strcspn(p, ",");
		if (len == 0)
			return false;
		p += len;
		if (!*p)
			return true;
	}
}

static bool is_plain(const char *value)
{
	for (const char *p = value; *p; p++) {
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return false;
	}
	return strlen(value) <= VALUE_MAX;
}

static bool obeys(const struct param_rule *r, const char *value)
{
	int64_t i;
	double d;

	if (!is_plain(value))
		return false;
	switch (r->type) {
	case PARAM_TEXT:
		return true;
	case PARAM_INT:
		return num_i64(value, &i) && (double)i >= r->low && (double)i <= r->high;
	case PARAM_REAL:
		return num_f64(value, &d) && d >= r->low && d <= r->high;
	case PARAM_BOOL:
		return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
	case PARAM_CHOICE:
		return is_choice(r->choices, value);
	case PARAM_RULE:
		return is_label_rule(value);
	case PARAM_PATHS:
	case PARAM_FIELDS:
		return is_list(value);
	}
	return false;
}

void param_rule_words(const struct param_rule *r, char *out, size_t size)
{
	switch (r->type) {
	case PARAM_TEXT:
		(void)snprintf(out, size, "a text of at most %d bytes without control characters", VALUE_MAX);
		return;
	case PARAM_INT:
		(void)snprintf(out, size, "an integer from %.0f to %.0f", r->low, r->high);
		return;
	case PARAM_REAL:
		(void)snprintf(out, size, "a number from %g to %g", r->low, r->high);
		return;
	case PARAM_BOOL:
		(void)snprintf(out, size, "true or false");
		return;
	case PARAM_CHOICE:
		(void)snprintf(out, size, "one of %s", r->choices);
		return;
	case PARAM_RULE:
		(void)snprintf(out, size, "a comparison (< <= > >= = !=) with a number, such as >=4");
		return;
	case PARAM_PATHS:
		(void)snprintf(out, size, "a path, or several separated by commas");
		return;
	case PARAM_FIELDS:
		(void)snprintf(out, size, "column names separated by commas");
		return;
	}
}

enum rc param_check(const struct param_rule *r, const char *value, struct err *err)
{
	char words[200];

	if (!*value) {
		return r->is_required ? err_set(err, RC_INVALID, "parameter %s is required", r->name) : RC_OK;
	}
	if (obeys(r, value))
		return RC_OK;
	param_rule_words(r, words, sizeof words);
	return err_set(err, RC_INVALID, "parameter %s: '%.60s' is not %s", r->name, value, words);
}

static const struct param_rule *rule_of(const struct param_rule *rules, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	}
	return NULL;
}

static const struct param *param_of(const struct param *params, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(params[i].name, name) == 0)
			return &params[i];
	}
	return NULL;
}

enum rc param_check_all(const struct param_rule *rules, size_t n_rules, const struct param *params,
			size_t n_params, struct err *err)
{
	for (size_t i = 0; i < n_params; i++) {
		const struct param_rule *r = rule_of(rules, n_rules, params[i].name);
		if (!r)
			return err_set(err, RC_INVALID, "unknown parameter '%.60s'", params[i].name);
		if (param_of(params, i, params[i].name))
			return err_set(err, RC_INVALID, "parameter %s is given twice", r->name);
		enum rc rc = param_check(r, params[i].value, err);
		if (rc != RC_OK)
			return rc;
	}
	for (size_t i = 0; i < n_rules; i++) {
		if (rules[i].is_required && !param_of(params, n_params, rules[i].name))
			return err_set(err, RC_INVALID, "parameter %s is required", rules[i].name);
	}
	return RC_OK;
}

const char *param_get(const struct param_rule *rules, size_t n_rules, const struct param *params,
		      size_t n_params, const char *name)
{
	const struct param *p = param_of(params, n_params, name);
	if (p && *p->value)
		return p->value;
	const struct param_rule *r = rule_of(rules, n_rules, name);
	return r ? r->default_text : NULL;
}
