/* A training run from its parameters to model.bin, and the result in words. */
#include "train/train.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "base/must.h"
#include "json/json.h"
#include "os/file.h"
#include "train/dataset.h"
#include "train/fit.h"
#include "train/model_file.h"

/* Everything that shapes the bits of the weights: runs with equal texts may share checkpoints. Threads are left out:
 * they change no format, and a run that is retried with fewer should go on. */
static char *run_identity(const struct train_options *o, const struct dataset_info *info, struct arena *a)
{
	const char *data_key = train_options_cache_key(o, a);
	return arena_printf(a,
	                    "%s factors=%d learning_rate=%.17g l2=%.17g normalize=%d seed=%llu early_stop_rounds=%d "
	                    "features=%u fields=%u rows=%lld/%lld data=%s %s",
	                    train_model_word(o->model), o->factors, o->learning_rate, o->l2, o->normalize,
	                    (unsigned long long)o->seed, o->early_stop_rounds, info->n_features, info->n_fields,
	                    (long long)info->rows[PART_TRAIN], (long long)info->rows[PART_VALID], info->content_hash,
	                    data_key ? data_key : "");
}

static void fill_data(struct train_result *r, const struct dataset_info *info)
{
	r->rows_train = info->rows[PART_TRAIN];
	r->rows_valid = info->rows[PART_VALID];
	r->positives_train = info->positives[PART_TRAIN];
	r->positives_valid = info->positives[PART_VALID];
	r->features = info->n_features;
	r->fields = info->n_fields;
}

static void fill_figures(struct train_result *r, const struct figures *f)
{
	r->logloss = f->logloss;
	r->auc = f->auc;
	r->pr_auc = f->pr_auc;
	r->recall = f->recall;
	r->precision = f->precision;
	r->calibration = f->calibration;
}

/* best is where the model lies now; it goes to model.bin unless it is there already. */
static enum rc publish(const char *best, const char *work_dir, struct train_result *r, struct err *err)
{
	enum rc rc = path_join(r->model_path, work_dir, "model.bin", err);
	if (rc == RC_OK && strcmp(best, r->model_path) != 0)
		rc = file_publish(best, r->model_path, err);
	return rc == RC_OK ? sha256_of_file(r->model_path, r->model_sha256, err) : rc;
}

static enum rc fit_and_publish(const struct train_run *run, const struct train_options *o, struct dataset *data,
                               struct arena *a, struct train_result *r, struct err *err)
{
	char best[PATH_MAX];
	struct fit_state state;
	struct fit_plan plan = { .options = o,
		                 .data = data,
		                 .sink = &run->sink,
		                 .kernel = kernel_best(),
		                 .work_dir = run->work_dir,
		                 .checkpoint = run->checkpoint,
		                 .identity = run_identity(o, dataset_info(data), a),
		                 .progress_from = DATASET_PERCENT };
	if (!plan.identity)
		return err_set(err, RC_LIMIT, "options are too long");
	enum rc rc = fit_run(&plan, &state, best, err);
	if (rc == RC_OK)
		rc = publish(best, run->work_dir, r, err);
	if (rc != RC_OK)
		return rc;
	fit_clean(&plan, &state);
	fill_data(r, dataset_info(data));
	fill_figures(r, &state.best);
	r->best_epoch = state.best_epoch;
	r->epochs_run = state.epoch;
	r->train_logloss = state.best_train_logloss;
	return RC_OK;
}

enum rc train_run(const struct train_run *run, struct arena *a, struct train_result *out, struct err *err)
{
	int64_t started_ms = clock_mono_ms();
	struct train_options o;
	struct dataset *data;
	struct train_result r = { 0 };

	static_assert(sizeof r.model_path >= PATH_MAX, "a path fits");
	enum rc rc = train_options_parse(run->params, run->n_params, a, &o, err);
	if (rc == RC_OK)
		rc = dir_make(run->work_dir, 0700, err);
	if (rc == RC_OK)
		rc = dataset_open(&o, run->work_dir, run->roots, run->n_roots, &run->sink, &data, err);
	if (rc != RC_OK)
		return rc;
	rc = fit_and_publish(run, &o, data, a, &r, err);
	dataset_close(data);
	if (rc != RC_OK)
		return rc;
	r.seconds = (double)(clock_mono_ms() - started_ms) / 1000;
	*out = r;
	return RC_OK;
}

/* Hundredths are as much as a percentage says. */
static double percent(double fraction) { return round(fraction * 10000) / 100; }

/* The file's name alone: whoever reads this knows the folder, and nobody else should. */
static void write_model(struct jw *w, const struct train_result *r)
{
	const char *slash = strrchr(r->model_path, '/');

	if (!*r->model_path) /* figures of a prediction */
		return;
	jw_kv_text(w, "model", slash ? slash + 1 : r->model_path);
	jw_kv_text(w, "sha256", r->model_sha256);
}

void train_result_json(const struct train_result *r, struct buf *out)
{
	struct jw w;
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	write_model(&w, r);
	jw_kv_int(&w, "rows", r->rows_train + r->rows_valid);
	jw_kv_int(&w, "rows_train", r->rows_train);
	jw_kv_int(&w, "rows_valid", r->rows_valid);
	jw_kv_int(&w, "positives_train", r->positives_train);
	jw_kv_int(&w, "positives_valid", r->positives_valid);
	jw_kv_int(&w, "features", r->features);
	jw_kv_int(&w, "fields", r->fields);
	jw_kv_int(&w, "best_epoch", r->best_epoch);
	jw_kv_int(&w, "epochs_run", r->epochs_run);
	jw_kv_real(&w, "logloss", r->logloss);
	jw_kv_real(&w, "train_logloss", r->train_logloss);
	jw_kv_real(&w, "auc", r->auc);
	jw_kv_real(&w, "pr_auc", r->pr_auc);
	jw_kv_real(&w, "recall", percent(r->recall));
	jw_kv_real(&w, "precision", percent(r->precision));
	jw_kv_real(&w, "calibration", r->calibration);
	jw_kv_real(&w, "seconds", r->seconds);
	jw_end_object(&w);
}
