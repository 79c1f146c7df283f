/* predict: probabilities of a trained model for the rows of a file, without a server. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cmd/args.h"
#include "cmd/say.h"
#include "os/file.h"
#include "train/train.h"

enum { OUT_MAX = 1 << 20 };

/* Where the probabilities go. A file gets its name only when they are all there: until then its former content stays,
 * which may be the very rows being read. Other things (a pipe, a link) are written to directly. */
struct output {
	const char *path;
	char temp[PATH_MAX]; /* "": written directly */
	int fd;
};

static enum rc open_output(struct output *o, const char *path, struct err *err)
{
	struct stat st;

	*o = (struct output){ .path = path, .fd = STDOUT_FILENO };
	if (strcmp(path, "-") == 0)
		return RC_OK;
	bool is_there = lstat(path, &st) == 0;
	if (!is_there || S_ISREG(st.st_mode)) {
		int len = snprintf(o->temp, sizeof o->temp, "%s.tmp", path);
		if (len < 0 || len >= (int)sizeof o->temp)
			return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	}
	const char *opened = *o->temp ? o->temp : path;
	o->fd = open(opened, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, is_there ? st.st_mode & 0666 : 0666);
	return o->fd >= 0 ? RC_OK : err_sys(err, RC_IO, errno, "cannot write '%.200s'", path);
}

/* rc is how the writing went. */
static enum rc close_output(struct output *o, enum rc rc, struct err *err)
{
	if (strcmp(o->path, "-") == 0)
		return rc;
	if (close(o->fd) != 0 && rc == RC_OK)
		rc = err_sys(err, RC_IO, errno, "cannot write '%.200s'", o->path);
	if (rc == RC_OK && *o->temp)
		rc = file_publish(o->temp, o->path, err);
	if (rc != RC_OK && *o->temp)
		(void)unlink(o->temp); /* the first failure is the one to report */
	return rc;
}

static enum rc describe(const char *model_path, struct buf *out, struct err *err)
{
	struct model *m;

	enum rc rc = model_load(model_path, &m, err);
	if (rc == RC_OK) {
		model_describe(m, out);
		model_free(m);
	}
	return rc;
}

static enum rc predict(const char *model_path, const char *in, const char *format, const char *out,
                       struct train_result *metrics, struct err *err)
{
	struct model *m;
	struct output o;

	enum rc rc = model_load(model_path, &m, err);
	if (rc != RC_OK)
		return rc;
	rc = open_output(&o, out, err);
	if (rc == RC_OK)
		rc = close_output(&o, model_predict_file(m, in, format, o.fd, metrics, err), err);
	model_free(m);
	return rc;
}

static void print_metrics(const struct train_result *m, bool as_json, FILE *to)
{
	char logloss[FIGURE_SIZE], auc[FIGURE_SIZE], calibration[FIGURE_SIZE];
	struct buf line;

	buf_init(&line, OUT_MAX);
	if (as_json)
		train_result_json(m, &line);
	else if (!m->rows_valid)
		buf_adds(&line, "no row has a label: there is nothing to measure by");
	else
		buf_addf(&line, "%lld rows with a label: log loss %s, AUC %s, calibration %s", (long long)m->rows_valid,
		         say_figure(m->logloss, logloss), say_figure(m->auc, auc),
		         say_figure(m->calibration, calibration));
	(void)fprintf(to, "%s\n", buf_text(&line));
	buf_fini(&line);
}

static int run_predict(const struct command *c, int argc, char **argv)
{
	const char *model = "model/model.bin", *format = NULL, *out = "-", *operands[OPERANDS_MAX];
	bool as_json = false, wants_metrics = false, describes = false;
	struct opt opts[] = {
		OPTION_TEXT("model", &model, "FILE", "Model file (default ./model/model.bin)."),
		OPTION_CHOICE("format", &format, "FORMAT", "csv|tsv|jsonl|libffm|libsvm",
		              "Format of FILE (default: the training data's)."),
		OPTION_TEXT("out", &out, "FILE", "Where the probabilities go (default -: standard output)."),
		OPTION_FLAG("metrics", &wants_metrics, "FILE has labels: print log loss and AUC on standard error."),
		OPTION_FLAG("describe", &describes, "Only print what the model is, as JSON."),
		OPTION_FLAG("json", &as_json, "Print the metrics as JSON."),
	};
	struct train_result metrics = { .logloss = NAN, .auc = NAN };
	struct err err = { 0 };
	struct buf text;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	buf_init(&text, OUT_MAX);
	enum rc rc;
	if (describes)
		rc = describe(model, &text, &err);
	else if (!operands[0])
		rc = err_set(&err, RC_INVALID, "FILE is missing; - reads standard input");
	else
		rc = predict(model, operands[0], format, out, wants_metrics ? &metrics : NULL, &err);
	if (rc == RC_OK && describes)
		code = say_text(c, &text);
	else
		code = rc == RC_OK ? 0 : say_failed(c, rc, &err);
	if (rc == RC_OK && wants_metrics && !describes)
		print_metrics(&metrics, as_json, stderr);
	buf_fini(&text);
	return code;
}

const struct command command_predict = {
	.name = "predict",
	.operands = "[FILE]",
	.summary = "Print the click probability of each row of FILE.",
	.example = "stint predict --model ./model/model.bin new.csv --out scores.txt",
	.run = run_predict,
};
