/*
 * Versions: the published parameter schema of a function, sections 8.4 and 8.5. The camelCase tree also carries
 * what a form needs to draw an input (formItemProps, componentProps), as JSON texts in strings like the vendor's.
 */
#include <string.h>
#include "api/opensearch/answer.h"
#include "api/opensearch/routes.h"
#include "api/opensearch/scope.h"
#include "base/num.h"

enum { PROPS_MAX_SIZE = 8192 };

static void write_form_item(struct buf *out, const struct param_rule *rule)
{
	struct jw w;
	char words[256];

	param_rule_words(rule, words, sizeof words);
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_bool(&w, "required", rule->is_required);
	jw_kv_text(&w, "rule", words);
	jw_kv_text(&w, "help", rule->help);
	jw_end_object(&w);
}

static const char *component_of(enum param_type type)
{
	switch (type) {
	case PARAM_INT:
	case PARAM_REAL: return "InputNumber";
	case PARAM_BOOL: return "Switch";
	case PARAM_CHOICE: return "Select";
	case PARAM_TEXT:
	case PARAM_RULE:
	case PARAM_PATHS:
	case PARAM_FIELDS: break;
	}
	return "Input";
}

static void write_choices(struct jw *w, const char *choices)
{
	char word[128];

	jw_key(w, "options");
	jw_array(w);
	for (const char *p = choices; *p;) {
		size_t len = strcspn(p, "|");
		(void)snprintf(word, sizeof word, "%.*s", (int)len, p);
		jw_text(w, word);
		p += len + (p[len] == '|');
	}
	jw_end_array(w);
}

static void write_component(struct buf *out, const struct param_rule *rule)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "component", component_of(rule->type));
	jw_key(&w, "attributes");
	jw_object(&w);
	if (rule->default_text)
		jw_kv_text(&w, "defaultValue", rule->default_text);
	if (rule->type == PARAM_INT || rule->type == PARAM_REAL) {
		jw_kv_real(&w, "min", rule->low);
		jw_kv_real(&w, "max", rule->high);
	}
	if (rule->type == PARAM_CHOICE && rule->choices)
		write_choices(&w, rule->choices);
	jw_end_object(&w);
	jw_end_object(&w);
}

static void write_props(struct jw *w, const char *key, const struct param_rule *rule,
			void (*write)(struct buf *, const struct param_rule *))
{
	struct buf text;

	buf_init(&text, PROPS_MAX_SIZE);
	write(&text, rule);
	jw_kv_text(w, key, text.is_over ? "{}" : buf_text(&text));
	buf_fini(&text);
}

static void write_rules(struct jw *w, const char *key, const struct param_rule *rules, size_t n)
{
	jw_key(w, key);
	jw_array(w);
	for (size_t i = 0; i < n; i++) {
		jw_object(w);
		jw_kv_text(w, "name", rules[i].name);
		jw_kv_text(w, "required", rules[i].is_required ? "true" : "false");
		if (w->casing == CASING_CAMEL) {
			write_props(w, "formItemProps", &rules[i], write_form_item);
			write_props(w, "componentProps", &rules[i], write_component);
		}
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void write_version(struct jw *w, const void *subject)
{
	const struct function *f = subject;

	jw_object(w);
	jw_kv_int(w, "versionId", f->version_id);
	jw_kv_text(w, "versionName", f->version_name);
	jw_kv_text(w, "functionName", f->name);
	jw_kv_text(w, "functionType", f->function_type);
	jw_kv_text(w, "modelType", f->model_type);
	jw_key(w, "versionConfig");
	jw_object(w);
	write_rules(w, "createParameters", f->create_rules, f->n_create_rules);
	jw_key(w, "depends");
	jw_array(w);
	jw_end_array(w);
	write_rules(w, "usageParameters", f->usage_rules, f->n_usage_rules);
	jw_end_object(w);
	jw_end_object(w);
}

static void answer_version(struct call *c, const struct function *f)
{
	if (f)
		answer_function(c, (struct envelope){ .result = write_version, .result_differs = true, .subject = f });
	else
		answer_error(c, API_ERR_VERSION_NOT_EXIST, NULL);
}

static const char *or_else(const char *text, const char *other) { return text ? text : other; }

void versions_current(struct call *c)
{
	const char *name;
	const char *model_type = query_text(&c->query, "modelType");
	const char *category = or_else(query_text(&c->query, "category"), "");

	if (!scope_function(c, &name))
		return;
	if (!model_type) {
		answer_error(c, API_ERR_MISSING_PARAMETER, "modelType is required");
		return;
	}
	/* "general" and empty are the same category. */
	if (strcmp(category, "general") == 0)
		category = "";
	answer_version(c, functions_find(engine_functions(c->engine), name, model_type,
					 or_else(query_text(&c->query, "functionType"), "PAAS"),
					 or_else(query_text(&c->query, "domain"), ""), category));
}

void versions_get(struct call *c)
{
	const char *name;
	int64_t id;

	if (!scope_function(c, &name))
		return;
	bool is_number = num_i64(path_arg(&c->args, "version"), &id);
	answer_version(c, is_number ? functions_by_version(engine_functions(c->engine), name, id) : NULL);
}
