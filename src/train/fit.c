#include "train/fit.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/attr.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "base/rand.h"
#include "os/file.h"
#include "train/loss.h"
#include "train/model_file.h"

enum { POLL_ROWS = 2048, THREADS_MAX = 64 };

struct fit {
	const struct fit_plan *plan;
	const struct train_options *o;
	const struct dataset_info *info;
	struct weights w;
	struct fit_state state;
	enum part valid_part;       /* PART_TRAIN when there are no validation rows */
	double work_done, work_all; /* rows to visit, in all epochs */
	int percent;                /* last reported */
};

/* One walk over a part: a training epoch or a validation. */
struct pass {
	struct fit *fit;
	enum part part;
	bool is_training;
	const uint32_t *order; /* of blocks */
	uint64_t shuffle_seed;
	atomic_uint next_block;
	atomic_llong rows_done;
	atomic_bool must_end;
};

struct worker {
	struct pass *pass;
	bool is_main; /* runs on fit_run's thread: only it may talk to the sink */
	struct block block;
	struct row row;
	struct metrics metrics;
	double loss;
	int unpolled_rows;
	enum rc rc;
	struct err err;
};

/* Telling */

PRINTF(2, 3) static void tell(const struct train_sink *sink, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!sink->event)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap); /* cutting is fine */
	va_end(ap);
	sink->event(sink->ctx, text);
}

static void tell_metric(const struct train_sink *sink, const char *set, const char *name, int step, double value)
{
	if (sink->metric && isfinite(value))
		sink->metric(sink->ctx, set, name, step, value);
}

static void tell_progress(struct fit *f, double rows_in_pass)
{
	const struct train_sink *sink = f->plan->sink;
	int from = f->plan->progress_from;
	int percent = from + (int)((99 - from) * (f->work_done + rows_in_pass) / f->work_all);

	if (percent <= f->percent || percent > 99)
		return;
	f->percent = percent;
	if (sink->progress)
		sink->progress(sink->ctx, percent);
}

/* Passes */

static uint64_t mix_seed(uint64_t seed, uint64_t epoch, uint64_t what)
{
	uint64_t s = seed;
	s = rng_splitmix64(&s) ^ epoch;
	s = rng_splitmix64(&s) ^ what;
	return rng_splitmix64(&s);
}

static void shuffle_examples(struct block *b, uint64_t seed)
{
	struct rng rng;
	rng_init(&rng, seed);
	for (uint32_t i = b->n; i > 1; i--) {
		uint32_t j = (uint32_t)rng_below(&rng, i);
		struct example e = b->examples[i - 1];
		b->examples[i - 1] = b->examples[j];
		b->examples[j] = e;
	}
}

/* Called before each block and every few thousand rows. */
static void poll_sink(struct worker *w)
{
	struct pass *p = w->pass;
	const struct train_sink *sink = p->fit->plan->sink;
	long long done = atomic_fetch_add(&p->rows_done, w->unpolled_rows) + w->unpolled_rows;

	w->unpolled_rows = 0;
	if (!w->is_main)
		return;
	tell_progress(p->fit, (double)done);
	if (sink->should_stop && sink->should_stop(sink->ctx)) {
		w->rc = err_set(&w->err, RC_TIMEOUT, "stopped on request in epoch %d", p->fit->state.epoch + 1);
		atomic_store(&p->must_end, true);
	}
}

/* Without locks on purpose: with several threads the reads and writes of the weights race (see fit.h). Each is one
 * aligned float or vector, so what is read is some value that was written there. */
static void visit_row(struct worker *w, const struct example *e)
{
	struct fit *f = w->pass->fit;
	enum train_model kind = f->w.shape.kind;

	row_fill(&w->row, &f->w.shape, e, f->o->normalize);
	if (w->pass->is_training) {
		struct adagrad a = { (float)f->o->learning_rate, (float)f->o->l2 };
		float z = f->plan->kernel->step[kind](&f->w, &a, w->row.features, w->row.n, e->label);
		w->loss += loss_log(z, e->label);
	} else {
		metrics_add(&w->metrics, f->plan->kernel->score[kind](&f->w, w->row.features, w->row.n), e->label);
	}
}

static void visit_block(struct worker *w, uint32_t index)
{
	struct pass *p = w->pass;

	w->rc = dataset_block(p->fit->plan->data, p->part, index, &w->block, &w->err);
	if (w->rc != RC_OK) {
		atomic_store(&p->must_end, true);
		return;
	}
	if (p->is_training)
		shuffle_examples(&w->block, mix_seed(p->shuffle_seed, 0, index));
	for (uint32_t i = 0; i < w->block.n; i++) {
		if (++w->unpolled_rows >= POLL_ROWS) {
			poll_sink(w);
			if (atomic_load(&p->must_end))
				return;
		}
		visit_row(w, &w->block.examples[i]);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pass *p = w->pass;

	for (;;) {
		poll_sink(w);
		if (atomic_load(&p->must_end))
			break;
		uint32_t i = atomic_fetch_add(&p->next_block, 1);
		if (i >= p->fit->info->n_blocks[p->part])
			break;
		visit_block(w, p->order ? p->order[i] : i);
	}
	return NULL;
}

static enum rc run_workers(struct pass *p, struct worker *workers, int n, struct err *err)
{
	pthread_t threads[THREADS_MAX];
	int n_started = 0;

	for (int i = 0; i < n; i++)
		workers[i] = (struct worker){ .pass = p, .is_main = i == 0, .rc = RC_OK };
	while (n_started < n - 1 && pthread_create(&threads[n_started], NULL, work, &workers[n_started + 1]) == 0)
		n_started++; /* fewer threads than wished do the same work */
	(void)work(&workers[0]);
	for (int i = 0; i < n_started; i++)
		must(pthread_join(threads[i], NULL) == 0);
	for (int i = 0; i < n; i++) {
		if (workers[i].rc != RC_OK)
			return err_set(err, workers[i].rc, "%s", workers[i].err.msg);
	}
	return RC_OK;
}

/* loss: sum over the rows as they were met (training); metrics: of all rows (validation). */
static enum rc run_pass(struct pass *p, double *loss, struct metrics *metrics, struct err *err)
{
	struct worker workers[THREADS_MAX];
	uint32_t n_blocks = p->fit->info->n_blocks[p->part];
	int n = p->fit->o->threads < THREADS_MAX ? p->fit->o->threads : THREADS_MAX;

	n = (uint32_t)n > n_blocks && n_blocks ? (int)n_blocks : n;
	enum rc rc = run_workers(p, workers, n, err);
	for (int i = 0; i < n; i++) {
		if (rc == RC_OK) {
			*loss += workers[i].loss;
			metrics_merge(metrics, &workers[i].metrics);
		}
		metrics_fini(&workers[i].metrics);
		row_fini(&workers[i].row);
		block_fini(&workers[i].block);
	}
	if (rc == RC_OK)
		p->fit->work_done += (double)p->fit->info->rows[p->part];
	return rc;
}

static enum rc train_epoch(struct fit *f, int epoch, double *logloss, struct err *err)
{
	uint32_t n = f->info->n_blocks[PART_TRAIN];
	CLEANUP(mem_freep) uint32_t *order = mem_array(n, sizeof *order);
	struct rng rng;
	struct metrics none;
	double loss = 0;

	rng_init(&rng, mix_seed(f->o->seed, (uint64_t)epoch, 1));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = (uint32_t)rng_below(&rng, i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	struct pass p = { .fit = f,
		          .part = PART_TRAIN,
		          .is_training = true,
		          .order = order,
		          .shuffle_seed = mix_seed(f->o->seed, (uint64_t)epoch, 2) };
	metrics_init(&none);
	enum rc rc = run_pass(&p, &loss, &none, err);
	if (rc == RC_OK)
		*logloss = loss / (double)f->info->rows[PART_TRAIN];
	return rc;
}

static enum rc validate(struct fit *f, struct figures *out, struct err *err)
{
	struct pass p = { .fit = f, .part = f->valid_part };
	struct metrics metrics;
	double loss = 0;

	metrics_init(&metrics);
	enum rc rc = run_pass(&p, &loss, &metrics, err);
	if (rc == RC_OK)
		*out = metrics_figures(&metrics);
	metrics_fini(&metrics);
	return rc;
}

/* Files */

static enum rc path_of(const struct fit *f, const char *pattern_name, int epoch, char path[PATH_MAX], struct err *err)
{
	char name[64];
	(void)snprintf(name, sizeof name, strcmp(pattern_name, "best") == 0 ? "best-%d.bin" : "ckpt-%d", epoch);
	return path_join(path, f->plan->work_dir, name, err);
}

static void drop(const struct fit *f, const char *pattern_name, int epoch)
{
	char path[PATH_MAX];
	if (epoch < 1 || path_of(f, pattern_name, epoch, path, NULL) != RC_OK)
		return;
	enum rc rc = file_remove(path, NULL);
	(void)rc; /* one file too many does no harm */
}

/* After ckpt-N: nothing before N-1 is wanted any more. before: the state in ckpt-(N-1). */
static void drop_old(const struct fit *f, const struct fit_state *before)
{
	drop(f, "ckpt", f->state.epoch - 2);
	if (before->before_best_epoch != before->best_epoch)
		drop(f, "best", before->before_best_epoch);
}

static enum rc save(struct fit *f, const struct fit_state *before, struct err *err)
{
	char path[PATH_MAX], name[32];
	const struct train_sink *sink = f->plan->sink;
	enum rc rc = path_of(f, "ckpt", f->state.epoch, path, err);
	if (rc == RC_OK)
		rc = checkpoint_write(path, &f->w, &f->state, f->plan->identity, f->plan->kernel->name, err);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(name, sizeof name, "ckpt-%d", f->state.epoch);
	if (sink->checkpoint)
		sink->checkpoint(sink->ctx, name);
	drop_old(f, before);
	return RC_OK;
}

static enum rc save_best(struct fit *f, double train_logloss, const struct figures *now, struct err *err)
{
	char path[PATH_MAX];
	struct fit_state *s = &f->state;
	struct model_note note = { s->epoch, train_logloss, *now };
	enum rc rc = path_of(f, "best", s->epoch, path, err);
	if (rc == RC_OK)
		rc = model_write(path, &f->w, f->o, f->info, f->plan->kernel, &note, s->best_seal, err);
	if (rc != RC_OK)
		return rc;
	s->best_epoch = s->epoch;
	s->best_train_logloss = train_logloss;
	s->best = *now;
	s->stale_epochs = 0;
	return RC_OK;
}

/* Where the best epoch's model lies: best-B.bin, or model.bin when the run ended but its end was not recorded. */
static enum rc find_best(const struct fit *f, const struct fit_state *s, char path[PATH_MAX], struct err *err)
{
	char seal[SEALED_HEX_SIZE] = "";
	enum rc rc = path_of(f, "best", s->best_epoch, path, err);
	if (rc == RC_OK)
		rc = model_seal(path, seal, err);
	if (rc == RC_OK && strcmp(seal, s->best_seal) == 0)
		return RC_OK;
	struct err ignored;
	if (path_join(path, f->plan->work_dir, "model.bin", &ignored) == RC_OK &&
	    model_seal(path, seal, &ignored) == RC_OK && strcmp(seal, s->best_seal) == 0)
		return RC_OK;
	return rc == RC_OK ? err_set(err, RC_CORRUPT, "the model of epoch %d is another one", s->best_epoch) : rc;
}

/* Going on */

static bool checkpoint_number(const char *name, int *out)
{
	const char *p = name;
	int n;
	if (strncmp(p, "ckpt-", 5) != 0)
		return false;
	p += 5;
	if (!take_int(&p, &n) || *p || n < 1)
		return false;
	*out = n;
	return true;
}

static enum rc note_newest(void *ctx, const char *name, UNUSED struct err *err)
{
	int *newest = ctx, n;
	if (checkpoint_number(name, &n) && n > *newest)
		*newest = n;
	return RC_OK;
}

void train_find_checkpoint(const char *work_dir, char name[CHECKPOINT_NAME_SIZE])
{
	int newest = 0;
	enum rc rc = dir_each(work_dir, note_newest, &newest, NULL);
	name[0] = '\0';
	if (rc == RC_OK && newest) /* what cannot be looked at holds nothing to go on from */
		(void)snprintf(name, CHECKPOINT_NAME_SIZE, "ckpt-%d", newest);
}

static enum rc try_checkpoint(struct fit *f, int number, struct err *err)
{
	char path[PATH_MAX], best[PATH_MAX];
	struct fit_state state;
	bool is_same_kernel;
	enum rc rc = path_of(f, "ckpt", number, path, err);
	if (rc == RC_OK)
		rc = checkpoint_read(path, &f->w, &state, f->plan->identity, f->plan->kernel->name, &is_same_kernel,
		                     err);
	if (rc == RC_OK && state.epoch > f->o->epochs)
		rc = err_set(err, RC_CONFLICT, "it is of epoch %d, past the last one", state.epoch);
	if (rc == RC_OK)
		rc = find_best(f, &state, best, err);
	if (rc != RC_OK)
		return rc;
	f->state = state;
	tell(f->plan->sink, "going on after epoch %d from ckpt-%d%s", state.epoch, number,
	     is_same_kernel ? "" : " (written on another kind of processor: last digits may differ)");
	return RC_OK;
}

/* From the checkpoint named, else the one before it, else from the start. */
static void resume_or_start(struct fit *f)
{
	const struct train_sink *sink = f->plan->sink;
	const char *name = f->plan->checkpoint;
	int number = 0;

	if (name && *name && !checkpoint_number(name, &number))
		tell(sink, "checkpoint '%.60s' is none of ours", name);
	for (int n = number; n > 0 && n >= number - 1; n--) {
		struct err why = { 0 };
		if (try_checkpoint(f, n, &why) == RC_OK)
			return;
		tell(sink, "cannot go on from ckpt-%d: %.300s", n, why.msg);
	}
	if (name && *name)
		tell(sink, "starting again from the first epoch");
	weights_start(&f->w, mix_seed(f->o->seed, 0, 0));
	f->state = (struct fit_state){ 0 };
}

/* The loop */

static void tell_epoch(struct fit *f, double train_logloss, const struct figures *now)
{
	const struct train_sink *sink = f->plan->sink;
	const struct fit_state *s = &f->state;
	const char *set = f->valid_part == PART_VALID ? "validation" : "training";
	char auc[24] = ""; /* of one class there is none */

	tell_metric(sink, "training", f->valid_part == PART_VALID ? "logloss" : "running_logloss", s->epoch,
	            train_logloss);
	tell_metric(sink, set, "logloss", s->epoch, now->logloss);
	tell_metric(sink, set, "auc", s->epoch, now->auc);
	if (isfinite(now->auc))
		(void)snprintf(auc, sizeof auc, ", AUC %.4f", now->auc);
	tell(sink, "epoch %d of %d: training logloss %.4f, %s logloss %.4f%s%s", s->epoch, f->o->epochs, train_logloss,
	     f->valid_part == PART_VALID ? "validation" : "afterwards", now->logloss, auc,
	     s->best_epoch == s->epoch ? ", best so far" : "");
}

static enum rc run_epoch(struct fit *f, struct err *err)
{
	struct fit_state before = f->state;
	double train_logloss = NAN;
	struct figures now;
	enum rc rc = train_epoch(f, before.epoch + 1, &train_logloss, err);
	if (rc == RC_OK)
		rc = validate(f, &now, err);
	if (rc != RC_OK)
		return rc;
	f->state.epoch++;
	f->state.before_best_epoch = before.best_epoch;
	f->state.stale_epochs++;
	if (before.best_epoch == 0 || now.logloss < before.best.logloss)
		rc = save_best(f, train_logloss, &now, err);
	if (rc == RC_OK)
		rc = save(f, &before, err);
	if (rc == RC_OK)
		tell_epoch(f, train_logloss, &now);
	return rc;
}

static bool is_stale(const struct fit *f)
{
	return f->o->early_stop_rounds > 0 && f->state.stale_epochs >= f->o->early_stop_rounds;
}

static enum rc run_epochs(struct fit *f, struct err *err)
{
	double rows_each = (double)(f->info->rows[PART_TRAIN] + f->info->rows[f->valid_part]);

	f->work_all = rows_each * f->o->epochs;
	f->work_done = rows_each * f->state.epoch;
	f->percent = f->plan->progress_from;
	while (f->state.epoch < f->o->epochs && !is_stale(f)) {
		enum rc rc = run_epoch(f, err);
		if (rc != RC_OK)
			return rc;
	}
	if (is_stale(f) && f->state.epoch < f->o->epochs)
		tell(f->plan->sink, "stopped early: no better logloss for %d epochs; the model is that of epoch %d",
		     f->state.stale_epochs, f->state.best_epoch);
	return RC_OK;
}

static void tell_data(const struct fit *f)
{
	const struct dataset_info *i = f->info;
	const struct train_sink *sink = f->plan->sink;
	int64_t positives = i->positives[PART_TRAIN], rows = i->rows[PART_TRAIN];

	tell(sink,
	     "training %s on %lld rows (%.2f%% positive), %u features in %u fields, %.1f MiB of weights, kernel %s",
	     train_model_word(f->w.shape.kind), (long long)rows, 100.0 * (double)positives / (double)rows,
	     i->n_features, i->n_fields, (double)f->w.size / 0x1p20, f->plan->kernel->name);
	if (f->valid_part == PART_TRAIN)
		tell(sink, "there are no validation rows: figures are of the training rows, and flatter the model");
}

enum rc fit_run(const struct fit_plan *plan, struct fit_state *state, char *model_path, struct err *err)
{
	const struct dataset_info *info = dataset_info(plan->data);
	struct fit f = { .plan = plan,
		         .o = plan->options,
		         .info = info,
		         .valid_part = info->rows[PART_VALID] > 0 ? PART_VALID : PART_TRAIN };
	struct shape shape = { plan->options->model, info->n_features, info->n_fields,
		               (uint32_t)plan->options->factors };

	if (info->rows[PART_TRAIN] <= 0)
		return err_set(err, RC_INVALID, "there are no training rows");
	enum rc rc = weights_new(&f.w, &shape, err);
	if (rc != RC_OK)
		return rc;
	tell_data(&f);
	resume_or_start(&f);
	rc = run_epochs(&f, err);
	if (rc == RC_OK)
		rc = find_best(&f, &f.state, model_path, err);
	if (rc == RC_OK)
		*state = f.state;
	weights_free(&f.w);
	return rc;
}

void fit_clean(const struct fit_plan *plan, const struct fit_state *s)
{
	const struct fit f = { .plan = plan };
	drop(&f, "ckpt", s->epoch);
	drop(&f, "ckpt", s->epoch - 1);
	drop(&f, "best", s->best_epoch);
	drop(&f, "best", s->before_best_epoch);
}
