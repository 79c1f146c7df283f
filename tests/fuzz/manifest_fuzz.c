/*
 * Manifests of functions. One that is taken is found by its name, runs something, keeps its limits, and its defaults
 * obey its own rules; a refused one is named with the reason, and no functions come out.
 */
#include <stdio.h>
#include "base/mem.h"
#include "engine/function.h"
#include "fuzz.h"
#include "os/file.h"
#include "task/param.h"

enum { DAY_S = 86400 };

static char folder[64];

static void remove_folder(void)
{
	if (dir_remove(folder, NULL) != RC_OK)
		fprintf(stderr, "%s is left\n", folder);
}

/* For the one manifest; made once, gone at the end. */
static void make_folder(void)
{
	const char *tmp = getenv("TMPDIR");

	if (folder[0])
		return;
	snprintf(folder, sizeof folder, "%.40s/stint-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(folder), "no temporary folder");
	CHECK(atexit(remove_folder) == 0, "no clean-up");
}

static void check_rules(const struct param_rule *rules, size_t n)
{
	struct err err = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct param_rule *r = &rules[i];
		char words[200];
		CHECK(r->name && r->help && (r->choices || r->type != PARAM_CHOICE), "a rule without texts");
		if (r->default_text && *r->default_text)
			CHECK(param_check(r, r->default_text, &err) == RC_OK, "%s", err.msg);
		param_rule_words(r, words, sizeof words);
		CHECK(words[0], "%s: no words", r->name);
	}
}

static void check_function(const struct function *f)
{
	CHECK(*f->name && strlen(f->name) <= 30, "name '%s'", f->name);
	CHECK(f->model_type && f->domain && f->category && f->language && f->version_name, "%s lacks texts", f->name);
	CHECK(strcmp(f->function_type, "PAAS") == 0 || strcmp(f->function_type, "SAAS") == 0, "%s", f->function_type);
	CHECK(f->version_id >= 1 && f->max_attempts >= 1 && f->max_attempts <= 100, "%s: attempts", f->name);
	CHECK(f->limits.time_s >= 0 && f->limits.time_s <= 30 * DAY_S && f->stall_ms >= 0, "%s: times", f->name);
	CHECK(f->grace_ms >= 0 && f->limits.memory_mib >= 0 && f->limits.cpu_s >= 0, "%s: limits", f->name);
	CHECK(f->limits.disk_mib >= 0 && f->limits.log_mib >= 0 && f->limits.processes >= 0, "%s: limits", f->name);
	CHECK(f->builtin || (f->argv && f->argv[0]), "%s runs nothing", f->name);
	check_rules(f->create_rules, f->n_create_rules);
	check_rules(f->usage_rules, f->n_usage_rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[128];
	struct functions *all = NULL;
	struct err err = { 0 };

	make_folder();
	snprintf(path, sizeof path, "%s/x.json", folder);
	CHECK(file_write(path, size ? (const void *)data : "", size, 0600, &err) == RC_OK, "%s", err.msg);
	enum rc rc = functions_load(folder, NULL, &all, &err);
	if (rc != RC_OK) {
		fuzz_check_refusal(rc, &err);
		CHECK(!all, "output touched");
		CHECK(strstr(err.msg, "x.json"), "'%s' does not name the file", err.msg);
		return 0;
	}
	const struct function *ctr = functions_find(all, "ctr", "tf_checkpoint", "PAAS", "", "");
	CHECK(ctr && ctr->builtin, "the built-in is lost");
	CHECK(!functions_any(all, "dcs") || !functions_any(all, "dcs")->is_internal, "an internal one is offered");
	for (int v = 1; v < 200; v++) {
		const struct function *f = functions_by_version(all, "score", v);
		if (f)
			check_function(f);
	}
	check_function(ctr);
	functions_free(all);
	return 0;
}
