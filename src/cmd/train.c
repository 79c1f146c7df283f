/* train: a click-through-rate model from files, without a server. Stops cleanly at SIGINT and SIGTERM, and then goes on
 * from where it was when it is run again. */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/must.h"
#include "cmd/args.h"
#include "cmd/say.h"
#include "os/file.h"
#include "train/train.h"

enum { TRAIN_ARENA_MAX = 64 << 20, OUT_MAX = 1 << 20 };

static volatile sig_atomic_t stop_asked;

static void on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

static bool should_stop(void *ctx)
{
	(void)ctx;
	return stop_asked;
}

static void on_progress(void *ctx, int percent) { progress_show(ctx, percent, "", clock_mono_ms()); }

/* The figures of an epoch are among them. */
static void on_event(void *ctx, const char *text) { progress_line(ctx, text); }

/* Options --train-data ... made from the rules, so the two cannot drift apart. values[i] belongs to rule i. */
static struct opt *options_from_rules(const char **values, struct opt *own, size_t n_own, struct arena *a)
{
	struct opt *opts = arena_array(a, n_own + n_train_rules, sizeof *opts);

	must(opts);
	memcpy(opts, own, n_own * sizeof *own);
	for (size_t i = 0; i < n_train_rules; i++) {
		const struct param_rule *r = &train_rules[i];
		char words[200];
		char *name = arena_dup(a, r->name);
		must(name);
		for (char *p = name; *p; p++)
			*p = *p == '_' ? '-' : *p;
		param_rule_words(r, words, sizeof words);
		const char *preset = r->default_text && *r->default_text ? r->default_text : NULL;
		opts[n_own + i] =
		        (struct opt)OPTION_TEXT(name, &values[i], "VALUE",
		                                arena_printf(a, "%s (%s%s%s)", r->help ? r->help : "", words,
		                                             preset ? "; default " : "", preset ? preset : ""));
	}
	return opts;
}

static void print_result(const struct train_result *r, struct arena *a, struct buf *out)
{
	char text[FIGURE_SIZE];

	buf_addf(out, "model        %s\nsha256       %s\n", r->model_path, r->model_sha256);
	buf_addf(out, "rows         %lld to train, %lld to validate\n", (long long)r->rows_train,
	         (long long)r->rows_valid);
	buf_addf(out, "features     %lld in %lld fields\n", (long long)r->features, (long long)r->fields);
	buf_addf(out, "epochs       %d run, the best is %d\n", r->epochs_run, r->best_epoch);
	buf_addf(out, "log loss     %s\n", say_figure(r->logloss, text));
	buf_addf(out, "AUC          %s\n", say_figure(r->auc, text));
	buf_addf(out, "PR AUC       %s\n", say_figure(r->pr_auc, text));
	buf_addf(out, "calibration  %s (mean prediction / share of positives)\n", say_figure(r->calibration, text));
	buf_addf(out, "time         %s\n", say_duration(a, (int64_t)(r->seconds * 1000)));
}

static enum rc collect_params(const char *const *values, struct param *params, size_t *n, struct err *err)
{
	*n = 0;
	for (size_t i = 0; i < n_train_rules; i++) {
		if (values[i])
			params[(*n)++] = (struct param){ train_rules[i].name, values[i] };
	}
	return param_check_all(train_rules, n_train_rules, params, *n, err);
}

static enum rc train_into(const char *out_dir, const char *const *values, struct arena *a, struct train_result *result,
                          struct err *err)
{
	struct progress bar;
	struct param *params = arena_array(a, n_train_rules, sizeof *params);
	char checkpoint[CHECKPOINT_NAME_SIZE];
	bool is_new = !file_exists(out_dir);
	size_t n;

	must(params);
	enum rc rc = collect_params(values, params, &n, err);
	if (rc == RC_OK)
		rc = dir_make(out_dir, 0755, err);
	if (rc != RC_OK)
		return rc;
	train_find_checkpoint(out_dir, checkpoint);
	struct train_run run = {
		.params = params,
		.n_params = n,
		.work_dir = out_dir,
		.checkpoint = checkpoint,
		.sink = { .ctx = &bar, .progress = on_progress, .event = on_event, .should_stop = should_stop },
	};
	progress_init(&bar, clock_mono_ms());
	rc = train_run(&run, a, result, err);
	if (rc == RC_OK)
		progress_show(&bar, 100, "", clock_mono_ms());
	progress_end(&bar);
	if (rc != RC_OK && is_new)
		(void)rmdir(out_dir); /* unless there is something in it: a checkpoint, rows prepared */
	return rc;
}

static int run_train(const struct command *c, int argc, char **argv)
{
	const char *out_dir = "model", *operands[OPERANDS_MAX];
	bool as_json = false;
	struct opt own[] = {
		OPTION_TEXT("out", &out_dir, "DIR",
		            "Folder for model.bin, cache and checkpoints (default ./model); a run cut off goes on."),
		OPTION_FLAG("json", &as_json, "Print the result as JSON."),
	};
	struct sigaction stop = { .sa_handler = on_stop };
	struct train_result result;
	struct err err = { 0 };
	struct buf out;
	int code;

	struct arena *a = arena_new(TRAIN_ARENA_MAX);
	const char **values = arena_array(a, n_train_rules + 1, sizeof *values);
	must(values);
	struct opt *opts = options_from_rules(values, own, ARRAY_LEN(own), a);
	if (!args_read(c, opts, ARRAY_LEN(own) + n_train_rules, argc, argv, operands, &code)) {
		arena_free(a);
		return code;
	}
	must(sigaction(SIGTERM, &stop, NULL) == 0 && sigaction(SIGINT, &stop, NULL) == 0);
	buf_init(&out, OUT_MAX);
	enum rc rc = train_into(out_dir, values, a, &result, &err);
	if (rc == RC_OK && as_json)
		train_result_json(&result, &out);
	else if (rc == RC_OK)
		print_result(&result, a, &out);
	code = say_result(c, rc, &err, &out);
	arena_free(a);
	return code;
}

const struct command command_train = {
	.name = "train",
	.operands = "",
	.summary = "Train a click-through-rate model from files, without a server.",
	.example =
	        "stint sample shop --out shop.csv\nstint train --train-data shop.csv --label-field click --out ./model",
	.run = run_train,
};
