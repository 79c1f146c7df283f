/* Scoring the rows of a file with a loaded model: one line per row, in the rows' order. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/must.h"
#include "os/file.h"
#include "train/loss.h"
#include "train/model_file.h"
#include "train/train.h"

enum { LINE_SIZE = 16, LINES = 4096 };

struct lines {
	char text[LINES * LINE_SIZE];
	size_t len;
	int fd;
};

static enum rc flush(struct lines *l, struct err *err)
{
	enum rc rc = file_put(l->fd, "predictions", l->text, l->len, err);
	l->len = 0;
	return rc;
}

static enum rc add_line(struct lines *l, float probability, struct err *err)
{
	int len = snprintf(l->text + l->len, LINE_SIZE, "%.6f\n", (double)probability);
	must(len > 0 && len < LINE_SIZE);
	l->len += (size_t)len;
	return l->len > sizeof l->text - LINE_SIZE ? flush(l, err) : RC_OK;
}

struct job {
	const struct model *model;
	struct row_reader *reader;
	struct row row;
	struct metrics metrics;
	struct lines lines;
};

static enum rc predict_rows(struct job *j, struct err *err)
{
	const struct model *m = j->model;
	struct example e;
	bool has_label, has_row;

	for (;;) {
		enum rc rc = row_reader_next(j->reader, &e, &has_label, &has_row, err);
		if (rc != RC_OK)
			return rc;
		if (!has_row)
			return flush(&j->lines, err);
		row_fill(&j->row, &m->weights.shape, &e, m->is_normalized);
		float z = m->kernel->score[m->weights.shape.kind](&m->weights, j->row.features, j->row.n);
		if (has_label)
			metrics_add(&j->metrics, z, e.label);
		rc = add_line(&j->lines, loss_probability(z), err);
		if (rc != RC_OK)
			return rc;
	}
}

/* Figures of the labelled rows; NAN when no row has a label. */
static void fill(struct train_result *out, struct job *j)
{
	struct figures f = metrics_figures(&j->metrics);
	*out = (struct train_result){
		.rows_valid = j->metrics.rows,
		.positives_valid = j->metrics.positives,
		.features = j->model->weights.shape.n_features,
		.fields = j->model->weights.shape.n_fields,
		.logloss = f.logloss,
		.auc = f.auc,
		.pr_auc = f.pr_auc,
		.recall = f.recall,
		.precision = f.precision,
		.calibration = f.calibration,
		.train_logloss = NAN,
	};
}

enum rc model_predict_file(const struct model *m, const char *in_path, const char *format, int out_fd,
                           struct train_result *metrics, struct err *err)
{
	struct job j = { .model = m, .lines = { .fd = out_fd } };
	const char *form = format && *format ? format : NULL;
	enum rc rc = row_reader_open(m->schema_json, m->hash_bits, m->seen, in_path, form, &j.reader, err);
	if (rc != RC_OK)
		return rc;
	metrics_init(&j.metrics);
	rc = predict_rows(&j, err);
	if (rc == RC_OK && metrics)
		fill(metrics, &j);
	metrics_fini(&j.metrics);
	row_fini(&j.row);
	row_reader_close(j.reader);
	return rc;
}
