/*
 * job_train: a training as a task: its options and data from the task file, its progress, metrics and model told
 * on fd 3.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "cmd/job.h"
#include "train/train.h"

static void on_metric(void *ctx, const char *set, const char *name, int64_t step, double value)
{
	(void)ctx;
	printf("step %lld: %s %s = %.6g\n", (long long)step, set, name, value);
	(void)fflush(stdout);                     /* the log is for reading along */
	if (isfinite(value)) /* the protocol has no words for others */
		job_send(&(struct child_msg){
		        .kind = MSG_METRIC, .set = set, .name = name, .step = step, .value = value });
}

static void send_text(enum child_msg_kind kind, const char *label, const char *text)
{
	printf("%s%s\n", label, text);
	(void)fflush(stdout);
	job_send(&(struct child_msg){ .kind = kind, .text = text });
}

static void on_event(void *ctx, const char *text)
{
	(void)ctx;
	send_text(MSG_EVENT, "", text);
}

static void on_checkpoint(void *ctx, const char *file_name)
{
	(void)ctx;
	send_text(MSG_CHECKPOINT, "checkpoint: ", file_name);
}

static void on_data_hash(void *ctx, const char *hex)
{
	(void)ctx;
	send_text(MSG_DATA_HASH, "data: sha256 ", hex);
}

/* ---- from the task file ---- */

struct training {
	struct arena *arena;
	const char *checkpoint;
	const char **roots;
	int n_roots;
	struct param *params;
	size_t n_params;
};

static enum rc read_roots(const json_t *task, struct training *j, struct err *err)
{
	const json_t *roots = json_pick(task, "import_roots");
	size_t n = json_array_size(roots);

	j->roots = arena_array(j->arena, n + 1, sizeof *j->roots);
	if (!j->roots)
		return err_set(err, RC_LIMIT, "the task file has too many import roots");
	for (size_t i = 0; i < n; i++) {
		const char *root = json_string_value(json_array_get(roots, i));
		if (!root)
			return err_set(err, RC_INTERNAL, "import_roots holds something else than texts");
		j->roots[j->n_roots++] = root;
	}
	return RC_OK;
}

static enum rc read_params(json_t *params, struct training *j, struct err *err)
{
	const char *name;
	json_t *value;

	j->params = arena_array(j->arena, json_object_size(params) + 1, sizeof *j->params);
	if (!j->params)
		return err_set(err, RC_LIMIT, "the task file has too many parameters");
	json_object_foreach(params, name, value)
	{
		const char *text = json_string_value(value);
		if (!text)
			return err_set(err, RC_INTERNAL, "parameter %.60s is no text", name);
		j->params[j->n_params++] = (struct param){ name, text };
	}
	return RC_OK;
}

/* The server wrote the file: whatever is wrong with it is not the user's fault. */
static enum rc read_training(const json_t *task, struct training *j, struct err *err)
{
	enum rc rc = json_pick_text(task, "checkpoint", &j->checkpoint, err);
	if (rc == RC_OK)
		rc = read_roots(task, j, err);
	if (rc == RC_OK)
		rc = read_params(json_object_get(task, "parameters"), j, err);
	return rc == RC_OK || rc == RC_LIMIT ? rc : err_wrap(err, RC_INTERNAL, "task file");
}

static void tell_result(const struct train_result *r)
{
	struct buf text;

	buf_init(&text, PROTOCOL_LINE_MAX);
	train_result_json(r, &text);
	job_send(&(struct child_msg){ .kind = MSG_RESULT, .result_json = buf_text(&text) });
	buf_fini(&text);
}

enum rc job_train(const json_t *task, struct arena *a, struct err *err)
{
	struct training j = { .arena = a };
	struct train_result result;

	enum rc rc = read_training(task, &j, err);
	if (rc != RC_OK)
		return rc;
	struct train_run run = {
		.params = j.params,
		.n_params = j.n_params,
		.work_dir = ".",
		.roots = j.roots,
		.n_roots = j.n_roots,
		.checkpoint = j.checkpoint,
		.sink = { .progress = job_progress,
		          .metric = on_metric,
		          .event = on_event,
		          .checkpoint = on_checkpoint,
		          .data_hash = on_data_hash,
		          .should_stop = job_should_stop },
	};
	rc = param_check_all(train_rules, n_train_rules, run.params, run.n_params, err);
	if (rc == RC_OK)
		rc = train_run(&run, a, &result, err);
	if (rc == RC_OK)
		tell_result(&result);
	return rc;
}
