/*
 * The trainer: kernels against the formula in double precision and its finite differences, metrics against counting
 * pairs, whole runs on planted data, interruption at every epoch, damaged files.
 */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/rand.h"
#include "json/json.h"
#include "os/file.h"
#include "test.h"
#include "train/fit.h"
#include "train/loss.h"
#include "train/model_file.h"
#include "train/train.h"

static const char *const kernel_names[] = { "scalar", "sse2", "avx2" };
static const enum train_model kinds[] = { MODEL_LR, MODEL_FM, MODEL_FFM };

/* Kernels */

enum { T_FEATURES = 40, T_FIELDS = 7 };

static void random_weights(struct weights *w, enum train_model kind, uint32_t factors, struct rng *rng)
{
	struct shape s = { kind, T_FEATURES, T_FIELDS, factors };
	struct err e = { 0 };
	EXPECT(weights_new(w, &s, &e) == RC_OK, "%s", e.msg);
	weights_start(w, rng_u64(rng));
	w->bias[0] = 0.3f;
	for (uint32_t i = 0; i < T_FEATURES; i++)
		w->linear[i * w->linear_step] = (float)rng_normal(rng);
	for (size_t i = 0; i < (size_t)T_FEATURES * w->vectors; i++) {
		for (uint32_t d = 0; d < factors; d++)
			w->vector[i * w->vector_step + d] = 0.5f * (float)rng_normal(rng);
	}
}

/* One feature per field, all different. */
static uint32_t random_row(struct feature *f, struct rng *rng)
{
	uint32_t n = 0;
	for (uint32_t field = 0; field < T_FIELDS; field++) {
		if (rng_below(rng, 4) > 0)
			f[n++] = (struct feature){ field,
				                   (uint32_t)rng_below(rng, T_FEATURES / T_FIELDS) * T_FIELDS + field,
				                   (float)rng_normal(rng) };
	}
	return n;
}

/* The formula of weights.h word by word, with the float at block[at] moved by `by`. */
struct moved {
	const struct weights *w;
	const float *at;
	double by;
};

static double value_at(const struct moved *m, const float *p) { return (double)*p + (p == m->at ? m->by : 0); }

static double pair_term(const struct moved *m, const struct feature *a, const struct feature *b)
{
	const struct weights *w = m->w;
	bool is_ffm = w->shape.kind == MODEL_FFM;
	const float *va = w->vector + ((size_t)a->index * w->vectors + (is_ffm ? b->field : 0)) * w->vector_step;
	const float *vb = w->vector + ((size_t)b->index * w->vectors + (is_ffm ? a->field : 0)) * w->vector_step;
	double dot = 0;
	for (uint32_t d = 0; d < w->shape.factors; d++)
		dot += value_at(m, va + d) * value_at(m, vb + d);
	return dot * (double)a->value * (double)b->value;
}

static double formula(const struct moved *m, const struct feature *f, uint32_t n)
{
	double z = value_at(m, m->w->bias);
	for (uint32_t i = 0; i < n; i++) {
		z += value_at(m, m->w->linear + f[i].index * m->w->linear_step) * (double)f[i].value;
		for (uint32_t j = i + 1; j < n && m->w->shape.kind != MODEL_LR; j++)
			z += pair_term(m, &f[i], &f[j]);
	}
	return z;
}

static double loss_of(const struct moved *m, const struct feature *f, uint32_t n, double label)
{
	double z = formula(m, f, n);
	return log1p(exp(label > 0 ? -z : z));
}

static bool are_finite(const struct weights *w)
{
	for (size_t i = 0; i < w->size / sizeof(float); i++) {
		if (!isfinite(w->block[i]))
			return false;
	}
	return true;
}

static bool is_sum(const struct weights *w, size_t i)
{
	size_t linear = (size_t)(w->linear - w->block), vector = (size_t)(w->vector - w->block);
	if (i < linear)
		return i != 0;
	return i < vector ? (i - linear) % 2 == 1 : (i - vector) % (2 * w->pad) >= w->pad;
}

/* With rate 1 a step moves a weight by g / sqrt(sum after): g follows, and is compared with (L(w+h) - L(w-h)) / 2h. */
static void check_gradient(const struct kernel *k, enum train_model kind, uint32_t factors, float l2, struct rng *rng)
{
	struct weights before, after;
	struct feature f[T_FIELDS];
	struct adagrad o = { 1, l2 };
	float label = (float)rng_below(rng, 2);

	random_weights(&before, kind, factors, rng);
	uint32_t n = random_row(f, rng);
	struct err e;
	EXPECT(weights_new(&after, &before.shape, &e) == RC_OK, "%s", e.msg);
	memcpy(after.block, before.block, before.size);
	double z = formula(&(struct moved){ &before, NULL, 0 }, f, n);
	EXPECT(fabs(z - (double)k->score[kind](&before, f, n)) < 2e-5 * (1 + fabs(z)), "%s k=%u", k->name, factors);
	EXPECT(fabs(z - (double)k->step[kind](&after, &o, f, n, label)) < 2e-5 * (1 + fabs(z)), "%s k=%u", k->name,
	       factors);
	int n_moved = 0;
	for (size_t i = 0; i < before.size / sizeof(float); i++) {
		if (is_sum(&before, i))
			continue;
		const float *sum = i == 0                           ? after.bias + 1
		                   : &after.block[i] < after.vector ? &after.block[i + 1]
		                                                    : &after.block[i + after.pad];
		double got = ((double)before.block[i] - (double)after.block[i]) * sqrt((double)*sum);
		double up = loss_of(&(struct moved){ &before, &before.block[i], 1e-4 }, f, n, (double)label);
		double down = loss_of(&(struct moved){ &before, &before.block[i], -1e-4 }, f, n, (double)label);
		double expected = (up - down) / 2e-4;
		bool is_touched = fabs(expected) > 1e-9;
		if (is_touched && i != 0)
			expected += (double)l2 * (double)before.block[i];
		n_moved += is_touched;
		EXPECT(!is_touched || fabs(got - expected) < 1e-4 * (1 + fabs(expected)),
		       "%s %s k=%u weight %zu: %g, not %g", k->name, train_model_word(kind), factors, i, got, expected);
		EXPECT(is_touched || l2 > 0 || got == 0, "%s moved weight %zu without a gradient", k->name, i);
	}
	EXPECT(n_moved >= (kind == MODEL_LR ? 1 : (int)(n > 1)), "%s: nothing was learnt", k->name);
	weights_free(&before);
	weights_free(&after);
}

TEST(gradients_are_those_of_the_formula)
{
	const uint32_t factors[] = { 1, 3, 4, 5, 8, 12, 16 };
	struct rng rng;
	rng_init(&rng, 11);
	FOR_EACH_ROW (i, kernel_names) {
		const struct kernel *k = kernel_named(kernel_names[i]);
		if (!k)
			continue;
		FOR_EACH_ROW (j, kinds) {
			FOR_EACH_ROW (m, factors) {
				check_gradient(k, kinds[j], factors[m], 0, &rng);
				check_gradient(k, kinds[j], factors[m], 0.01f, &rng);
			}
		}
	}
}

static double worst_difference(const struct weights *a, const struct weights *b)
{
	double worst = 0;
	for (size_t i = 0; i < a->size / sizeof(float); i++) {
		double d = fabs((double)a->block[i] - (double)b->block[i]) / (1 + fabs((double)a->block[i]));
		worst = d > worst ? d : worst;
	}
	return worst;
}

TEST(vector_kernels_match_the_plain_one)
{
	const uint32_t factors[] = { 1, 4, 7, 8, 20, 32 };
	const struct adagrad o = { 0.2f, 1e-4f };
	struct rng rng;
	rng_init(&rng, 12);
	for (size_t i = 1; i < 3; i++) {
		const struct kernel *k = kernel_named(kernel_names[i]);
		for (size_t c = 0; k && c < ARRAY_LEN(kinds) * ARRAY_LEN(factors); c++) {
			enum train_model kind = kinds[c % ARRAY_LEN(kinds)];
			struct weights a, b;
			struct feature f[T_FIELDS];
			struct err e;
			random_weights(&a, kind, factors[c / ARRAY_LEN(kinds)], &rng);
			EXPECT(weights_new(&b, &a.shape, &e) == RC_OK, "%s", e.msg);
			memcpy(b.block, a.block, a.size);
			for (int step = 0; step < 50; step++) {
				uint32_t n = random_row(f, &rng);
				float label = (float)rng_below(&rng, 2);
				(void)kernel_scalar.step[kind](&a, &o, f, n, label);
				(void)k->step[kind](&b, &o, f, n, label);
				/* One step differs by roundings; then start alike again. */
				EXPECT(worst_difference(&a, &b) < 1e-5, "%s %s: %g", k->name, train_model_word(kind),
				       worst_difference(&a, &b));
				memcpy(b.block, a.block, a.size);
			}
			weights_free(&a);
			weights_free(&b);
		}
	}
}

TEST(a_value_given_twice_does_no_harm)
{
	const struct feature f[] = { { 1, 8, 1 }, { 1, 8, 1 }, { 2, 9, 1 }, { 1, 1, 1 } };
	const struct adagrad o = { 0.5f, 0.01f };
	FOR_EACH_ROW (i, kernel_names) {
		const struct kernel *k = kernel_named(kernel_names[i]);
		FOR_EACH_ROW (j, kinds) {
			struct weights w;
			struct rng rng;
			rng_init(&rng, 3);
			random_weights(&w, kinds[j], 4, &rng);
			float first = k ? k->score[kinds[j]](&w, f, 4) : 0;
			for (int n = 0; k && n < 50; n++)
				(void)k->step[kinds[j]](&w, &o, f, 4, 1);
			EXPECT(!k || k->score[kinds[j]](&w, f, 4) > first + 1, "%s did not learn", kernel_names[i]);
			EXPECT(are_finite(&w), "%s", kernel_names[i]);
			weights_free(&w);
		}
	}
}

TEST(rows_are_made_final)
{
	const struct shape s = { MODEL_LR, 10, 3, 1 };
	const struct feature given[] = { { 0, 1, 2 },   { 1, 10, 1 },        { 3, 2, 1 },
		                         { 2, 3, NAN }, { 2, 4, -INFINITY }, { 1, 5, 1e30f } };
	const struct example e = { 1, 0.5f, ARRAY_LEN(given), given };
	struct row r = { 0 };
	row_fill(&r, &s, &e, true);
	EXPECT(r.n == 4, "%u", r.n);
	EXPECT(r.features[0].value == 1, "scaled");
	EXPECT(r.features[1].value == 0, "not a number");
	EXPECT(r.features[2].value == -ROW_VALUE_MAX && r.features[3].value == ROW_VALUE_MAX, "cut");
	row_fill(&r, &s, &e, false);
	EXPECT(r.features[0].value == 2, "not scaled");
	row_fini(&r);
}

TEST(a_model_too_large_is_refused_in_words)
{
	const struct shape s = { MODEL_FFM, 1u << 28, 1000, 128 }, t = { MODEL_FFM, UINT32_MAX, UINT32_MAX, 128 };
	struct weights w = { .pad = 42 };
	struct err e = { 0 };
	EXPECT(weights_new(&w, &s, &e) == RC_LIMIT, "%s", e.msg);
	EXPECT(strstr(e.msg, "lower factors or hash_bits") && strstr(e.msg, "1000 fields"), "%s", e.msg);
	EXPECT(w.pad == 42, "output touched");
	EXPECT(weights_new(&w, &t, &e) == RC_LIMIT, "overflow: %s", e.msg);
}

/* Loss and metrics */

TEST(losses_are_finite_everywhere)
{
	const float z[] = { 0, 1, -1, 50, -50, 1e30f, -1e30f, INFINITY, -INFINITY, NAN };
	FOR_EACH_ROW (i, z) {
		for (float y = 0; y <= 1; y++) {
			EXPECT(isfinite(loss_log(z[i], y)) && loss_log(z[i], y) >= 0 && loss_log(z[i], y) < 16.2, "%g",
			       (double)z[i]);
			EXPECT(fabsf(loss_slope(z[i], y)) <= 1, "%g", (double)z[i]);
		}
	}
	EXPECT(fabs(loss_log(0, 1) - log(2)) < 1e-12, "log 2");
	EXPECT(fabs(loss_log(2, 0) - log(1 + exp(2))) < 1e-9, "softplus");
}

struct counted {
	double auc, pr_auc;
};

/* By definition, over all pairs. */
static struct counted count(const float *score, const float *label, int n)
{
	double pairs = 0, right = 0, sum = 0, positives = 0;
	for (int i = 0; i < n; i++) {
		double above = 0, positives_above = 0;
		if (label[i] == 0)
			continue;
		positives++;
		for (int j = 0; j < n; j++) {
			if (label[j] == 0) {
				pairs++;
				right += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
			}
			above += score[j] >= score[i];
			positives_above += score[j] >= score[i] && label[j] > 0;
		}
		sum += positives_above / above;
	}
	return (struct counted){ right / pairs, sum / positives };
}

TEST(metrics_are_those_of_the_definition)
{
	enum { N = 400 };
	float score[N], label[N];
	struct rng rng;
	rng_init(&rng, 5);
	for (int round = 0; round < 20; round++) {
		struct metrics m, other;
		double loss = 0, hit = 0, said = 0, positives = 0, probability = 0;
		metrics_init(&m);
		metrics_init(&other);
		for (int i = 0; i < N; i++) {
			score[i] = round % 2 ? (float)rng_below(&rng, 7) - 3 : (float)rng_normal(&rng); /* ties, none */
			label[i] = rng_unit(&rng) < 1 / (1 + exp(-(double)score[i])) ? 1 : 0;
			metrics_add(i % 3 ? &m : &other, score[i], label[i]);
			double p = 1 / (1 + exp(-(double)score[i]));
			loss -= label[i] > 0 ? log(p) : log(1 - p);
			said += p >= 0.5;
			hit += p >= 0.5 && label[i] > 0;
			positives += (double)label[i];
			probability += p;
		}
		metrics_merge(&m, &other);
		struct figures f = metrics_figures(&m);
		struct counted c = count(score, label, N);
		EXPECT(fabs(f.auc - c.auc) < 1e-9, "%g %g", f.auc, c.auc);
		EXPECT(fabs(f.pr_auc - c.pr_auc) < 1e-9, "%g %g", f.pr_auc, c.pr_auc);
		EXPECT(fabs(f.logloss - loss / N) < 1e-6, "%g %g", f.logloss, loss / N);
		EXPECT(fabs(f.recall - hit / positives) < 1e-12 && fabs(f.precision - hit / said) < 1e-12, "at 0.5");
		EXPECT(fabs(f.calibration - probability / positives) < 1e-6, "%g", f.calibration);
		metrics_fini(&m);
	}
}

TEST(metrics_of_many_rows_stay_within_their_promise)
{
	enum { N = METRICS_EXACT_ROWS + 50000 };
	struct metrics exact, binned;
	struct rng rng;
	double pairs = 0, right = 0;
	static int64_t rows[2][2048];
	rng_init(&rng, 6);
	metrics_init(&binned);
	metrics_init(&exact);
	for (int i = 0; i < N; i++) {
		int step = (int)rng_below(&rng, 2048); /* scores 0.004 apart: groups that the test can count */
		int label = rng_unit(&rng) < step / 4096.0;
		rows[label][step]++;
		metrics_add(&binned, (float)step / 256 - 4, (float)label);
	}
	EXPECT(binned.bins && !binned.exact, "past the limit rows go to bins");
	double below = 0;
	for (int i = 0; i < 2048; i++) {
		right += (double)rows[1][i] * (below + (double)rows[0][i] / 2);
		below += (double)rows[0][i];
	}
	pairs = below * (double)(N - (int64_t)below);
	metrics_add(&exact, 1, 1);
	metrics_merge(&exact, &binned);
	struct figures f = metrics_figures(&exact);
	EXPECT(fabs(f.auc - right / pairs) < 1e-4, "%g %g", f.auc, right / pairs);
	EXPECT(exact.rows == N + 1, "%lld", (long long)exact.rows);
	metrics_fini(&exact);
}

TEST(figures_without_meaning_are_not_numbers)
{
	struct metrics m;
	metrics_init(&m);
	struct figures f = metrics_figures(&m);
	EXPECT(isnan(f.logloss) && isnan(f.auc), "no rows");
	metrics_add(&m, -1, 0);
	metrics_add(&m, NAN, 0);
	metrics_add(&m, -INFINITY, 0);
	f = metrics_figures(&m);
	EXPECT(isnan(f.auc) && isnan(f.pr_auc) && isnan(f.recall) && isnan(f.calibration), "one class");
	EXPECT(isfinite(f.logloss), "%g", f.logloss);
	metrics_fini(&m);
}

/* Whole runs */

/* A fresh folder below the current TMPDIR; its name stays valid until the next call but one. */
static const char *fresh_dir(void)
{
	static char dirs[2][256];
	static int n;
	char *dir = dirs[n++ % 2];
	const char *base = getenv("TMPDIR");
	(void)snprintf(dir, sizeof dirs[0], "%s/train_test.XXXXXX", base && *base ? base : "/tmp");
	EXPECT(mkdtemp(dir), "cannot make %s", dir);
	return dir;
}

static void drop_dir(const char *dir)
{
	struct err e = { 0 };
	EXPECT(dir_remove(dir, &e) == RC_OK, "%s", e.msg);
}

static const char *in_dir(const char *dir, const char *name)
{
	static char paths[4][512];
	static int n;
	char *path = paths[n++ % 4];
	(void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

/* Rows of three fields in libffm form. What decides is whether a and b agree in parity, which no sum of single weights
 * can say, and field 2 a little, which one can. */
static void write_parity_rows(const char *path, int rows, uint64_t seed)
{
	struct rng rng;
	FILE *f = fopen(path, "w");
	rng_init(&rng, seed);
	for (int i = 0; f && i < rows; i++) {
		int a = (int)rng_below(&rng, 6), b = (int)rng_below(&rng, 6), c = (int)rng_below(&rng, 5);
		double z = ((a + b) % 2 ? 3 : -3) + (c - 2) * 0.3;
		fprintf(f, "%d 0:%d:1 1:%d:1 2:%d:1\n", rng_unit(&rng) < 1 / (1 + exp(-z)), a, 10 + b, 20 + c);
	}
	EXPECT(f && fclose(f) == 0, "cannot write %s", path);
}

struct heard {
	int stop_after; /* ask to stop once ckpt-N was announced; 0: never */
	int checkpoints, percent;
	bool must_stop, went_back;
	char events[8192];
	double last_auc;
};

static void hear_progress(void *ctx, int percent)
{
	struct heard *h = ctx;
	h->went_back |= percent < h->percent || percent > 99;
	h->percent = percent;
}

static void hear_metric(void *ctx, const char *set, const char *name, int64_t step, double value)
{
	struct heard *h = ctx;
	if (strcmp(set, "validation") == 0 && strcmp(name, "auc") == 0 && step > 0)
		h->last_auc = value;
}

static void hear_event(void *ctx, const char *text)
{
	struct heard *h = ctx;
	size_t len = strlen(h->events);
	(void)snprintf(h->events + len, sizeof h->events - len, "%s\n", text);
}

static void hear_checkpoint(void *ctx, const char *name)
{
	struct heard *h = ctx;
	h->checkpoints++;
	char expected[32];
	(void)snprintf(expected, sizeof expected, "ckpt-%d", h->stop_after);
	h->must_stop |= strcmp(name, expected) == 0;
}

static bool hear_should_stop(void *ctx) { return ((struct heard *)ctx)->must_stop; }

/* options: "name=value name=value"; the files are DIR/train.ffm and, unless no_valid, DIR/valid.ffm. */
static enum rc run_in(const char *dir, const char *options, const char *checkpoint, struct heard *h,
                      struct train_result *r, struct err *err)
{
	char text[1024], train[512], valid[512], work[512], *save = NULL;
	struct param params[24];
	size_t n = 0;
	struct arena *a = arena_new(1 << 22);

	(void)snprintf(text, sizeof text, "data_format=libffm %s", options);
	(void)snprintf(train, sizeof train, "%s/train.ffm", dir);
	(void)snprintf(valid, sizeof valid, "%s/valid.ffm", dir);
	(void)snprintf(work, sizeof work, "%s/work", dir);
	params[n++] = (struct param){ "train_data", train };
	if (file_exists(valid))
		params[n++] = (struct param){ "valid_data", valid };
	for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(p, '=');
		*eq = '\0';
		params[n++] = (struct param){ p, eq + 1 };
	}
	EXPECT(param_check_all(train_rules, n_train_rules, params, n, err) == RC_OK, "%s", err->msg);
	struct train_run run = { .params = params,
		                 .n_params = n,
		                 .work_dir = work,
		                 .checkpoint = checkpoint,
		                 .sink = { h, hear_progress, hear_metric, hear_event, hear_checkpoint, NULL,
		                           hear_should_stop } };
	enum rc rc = train_run(&run, a, r, err);
	arena_free(a);
	return rc;
}

static const char *parity_dir(int rows)
{
	const char *dir = fresh_dir();
	write_parity_rows(in_dir(dir, "train.ffm"), rows, 1);
	write_parity_rows(in_dir(dir, "valid.ffm"), rows / 3, 2);
	return dir;
}

TEST(each_model_learns_what_it_can)
{
	const struct {
		const char *options;
		double auc_low, auc_high;
	} row[] = {
		{ "model=lr epochs=6 early_stop_rounds=0", 0.4, 0.62 },
		{ "model=fm epochs=30 learning_rate=0.3 early_stop_rounds=0", 0.93, 1 },
		{ "model=ffm epochs=30 learning_rate=0.3 early_stop_rounds=0", 0.93, 1 },
		{ "model=ffm epochs=30 learning_rate=0.3 early_stop_rounds=0 threads=3", 0.93, 1 },
		{ "model=fm epochs=30 learning_rate=0.3 factors=9 early_stop_rounds=0 normalize=false", 0.93, 1 },
	};
	const char *dir = parity_dir(3000);
	FOR_EACH_ROW (i, row) {
		struct heard h = { 0 };
		struct train_result r;
		struct err e = { 0 };
		EXPECT(run_in(dir, row[i].options, NULL, &h, &r, &e) == RC_OK, "%s: %s", row[i].options, e.msg);
		EXPECT(r.auc >= row[i].auc_low && r.auc <= row[i].auc_high, "%s: AUC %g", row[i].options, r.auc);
		EXPECT(r.rows_train == 3000 && r.rows_valid == 1000 && r.features == 17 && r.fields == 3,
		       "%lld rows %lld", (long long)r.rows_train, (long long)r.features);
		EXPECT(fabs(r.calibration - 1) < 0.15, "%s: calibration %g", row[i].options, r.calibration);
		EXPECT(!h.went_back && h.percent > 90, "%s: progress ended at %d", row[i].options, h.percent);
		EXPECT(h.checkpoints == r.epochs_run && strstr(h.events, "epoch 1 of "), "%s", h.events);
		EXPECT(file_exists(r.model_path), "%s", r.model_path);
		EXPECT(!file_exists(in_dir(dir, "work/ckpt-6")) && !file_exists(in_dir(dir, "work/best-1.bin")),
		       "left behind");
	}
	drop_dir(dir);
}

TEST(the_same_seed_gives_the_same_bits)
{
	static const char *const options[] = { "model=lr epochs=3", "model=fm epochs=3 factors=5",
		                               "model=ffm epochs=3" };
	const char *dir = parity_dir(900);
	FOR_EACH_ROW (i, options) {
		char other[128];
		struct train_result a, b, c;
		struct heard h = { 0 };
		struct err e = { 0 };
		(void)snprintf(other, sizeof other, "%s seed=2", options[i]);
		EXPECT(run_in(dir, options[i], NULL, &h, &a, &e) == RC_OK, "%s", e.msg);
		EXPECT(run_in(dir, options[i], NULL, &h, &b, &e) == RC_OK, "%s", e.msg);
		EXPECT(run_in(dir, other, NULL, &h, &c, &e) == RC_OK, "%s", e.msg);
		EXPECT(strcmp(a.model_sha256, b.model_sha256) == 0 && strlen(a.model_sha256) == 64, "%s", options[i]);
		EXPECT(strcmp(a.model_sha256, c.model_sha256) != 0, "%s: the seed has no effect", options[i]);
	}
	drop_dir(dir);
}

enum { R_EPOCHS = 6 };
static const char resume_options[] = "model=ffm epochs=6 learning_rate=0.3 early_stop_rounds=0";

TEST(a_resumed_run_equals_an_undisturbed_one)
{
	const char *dir = parity_dir(700);
	struct train_result whole, r;
	struct err e = { 0 };
	struct heard quiet = { 0 };
	EXPECT(run_in(dir, resume_options, NULL, &quiet, &whole, &e) == RC_OK, "%s", e.msg);
	for (int stop = 1; stop < R_EPOCHS; stop++) {
		struct heard first = { .stop_after = stop }, second = { 0 };
		char name[32];
		(void)snprintf(name, sizeof name, "ckpt-%d", stop);
		memset(&r, 0x5a, sizeof r);
		EXPECT(run_in(dir, resume_options, NULL, &first, &r, &e) == RC_TIMEOUT, "epoch %d: %s", stop, e.msg);
		EXPECT(r.best_epoch == 0x5a5a5a5a, "output touched");
		EXPECT(run_in(dir, resume_options, name, &second, &r, &e) == RC_OK, "epoch %d: %s", stop, e.msg);
		EXPECT(strstr(second.events, "going on after epoch"), "%s", second.events);
		EXPECT(second.checkpoints == R_EPOCHS - stop, "%d", second.checkpoints);
		EXPECT(strcmp(r.model_sha256, whole.model_sha256) == 0, "epoch %d: other bits", stop);
		EXPECT(r.logloss == whole.logloss && r.auc == whole.auc && r.train_logloss == whole.train_logloss &&
		               r.best_epoch == whole.best_epoch,
		       "epoch %d: other figures", stop);
	}
	drop_dir(dir);
}

static void flip_byte(const char *path, off_t at)
{
	unsigned char b = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	EXPECT(fd >= 0 && pread(fd, &b, 1, at) == 1, "cannot read %s", path);
	b ^= 0x10;
	EXPECT(pwrite(fd, &b, 1, at) == 1 && close(fd) == 0, "cannot write %s", path);
}

TEST(a_damaged_checkpoint_is_said_and_stepped_over)
{
	const struct {
		const char *flip[4], *says;
		int checkpoints;
	} row[] = {
		{ { "work/ckpt-3" }, "cannot go on from ckpt-3", R_EPOCHS - 2 },
		{ { "work/ckpt-3", "work/ckpt-2" }, "starting again", R_EPOCHS },
		{ { "work/best-3.bin", "work/best-2.bin", "work/best-1.bin", "work/model.bin" },
		  "starting again",
		  R_EPOCHS },
	};
	const char *dir = parity_dir(700);
	struct train_result whole, r;
	struct err e = { 0 };
	struct heard quiet = { 0 };
	EXPECT(run_in(dir, resume_options, NULL, &quiet, &whole, &e) == RC_OK, "%s", e.msg);
	FOR_EACH_ROW (i, row) {
		struct heard first = { .stop_after = 3 }, second = { 0 };
		EXPECT(run_in(dir, resume_options, NULL, &first, &r, &e) == RC_TIMEOUT, "%s", e.msg);
		for (int j = 0; j < 4 && row[i].flip[j]; j++) {
			if (file_exists(in_dir(dir, row[i].flip[j])))
				flip_byte(in_dir(dir, row[i].flip[j]), 700);
		}
		EXPECT(run_in(dir, resume_options, "ckpt-3", &second, &r, &e) == RC_OK, "%s", e.msg);
		EXPECT(strstr(second.events, row[i].says), "case %zu: %s", i, second.events);
		EXPECT(second.checkpoints == row[i].checkpoints, "case %zu: %d epochs", i, second.checkpoints);
		EXPECT(strcmp(r.model_sha256, whole.model_sha256) == 0, "case %zu: other bits", i);
	}
	drop_dir(dir);
}

TEST(a_checkpoint_of_another_run_is_not_taken)
{
	static const char *const names[] = { "ckpt-2", "ckpt-9", "../etc/passwd", "ckpt-0", "ckpt-99999999999999" };
	const char *dir = parity_dir(700);
	struct train_result r;
	struct err e = { 0 };
	FOR_EACH_ROW (i, names) {
		struct heard first = { .stop_after = 2 }, second = { 0 };
		EXPECT(run_in(dir, resume_options, NULL, &first, &r, &e) == RC_TIMEOUT, "%s", e.msg);
		EXPECT(run_in(dir, "model=ffm epochs=3 learning_rate=0.2", names[i], &second, &r, &e) == RC_OK, "%s",
		       e.msg);
		EXPECT(strstr(second.events, "starting again"), "%s: %s", names[i], second.events);
		EXPECT(second.checkpoints == 3, "%s", names[i]);
	}
	drop_dir(dir);
}

TEST(a_checkpoint_is_found_and_taken_only_within_the_epochs)
{
	const char *dir = parity_dir(700), *options = "model=ffm epochs=2 early_stop_rounds=0";
	char name[CHECKPOINT_NAME_SIZE] = "x";
	struct heard first = { .stop_after = 4 }, second = { 0 };
	struct train_result r;
	struct err e = { 0 };

	train_find_checkpoint(in_dir(dir, "work"), name);
	EXPECT(!*name, "'%s' in no folder", name);
	EXPECT(run_in(dir, "model=ffm epochs=9 early_stop_rounds=0", NULL, &first, &r, &e) == RC_TIMEOUT, "%s", e.msg);
	train_find_checkpoint(in_dir(dir, "work"), name);
	EXPECT(strcmp(name, "ckpt-4") == 0, "'%s'", name);
	EXPECT(run_in(dir, options, name, &second, &r, &e) == RC_OK && r.epochs_run == 2, "%s", e.msg);
	EXPECT(strstr(second.events, "ckpt-4: it is of epoch 4, past the last one") &&
	               strstr(second.events, "starting again"),
	       "%s", second.events);
	drop_dir(dir);
}

TEST(early_stop_keeps_the_best_epoch)
{
	const char *dir = parity_dir(300);
	struct heard h = { 0 };
	struct train_result r;
	struct err e = { 0 };
	EXPECT(run_in(dir, "model=ffm epochs=200 learning_rate=2 early_stop_rounds=2 l2=0", NULL, &h, &r, &e) == RC_OK,
	       "%s", e.msg);
	EXPECT(r.epochs_run < 200 && r.best_epoch == r.epochs_run - 2, "best %d of %d", r.best_epoch, r.epochs_run);
	EXPECT(strstr(h.events, "stopped early"), "%s", h.events);
	drop_dir(dir);
}

TEST(without_validation_rows_figures_are_of_training)
{
	const char *dir = fresh_dir();
	struct heard h = { 0 };
	struct train_result r;
	struct err e = { 0 };
	write_parity_rows(in_dir(dir, "train.ffm"), 600, 1);
	EXPECT(run_in(dir, "model=ffm epochs=4 valid_ratio=0", NULL, &h, &r, &e) == RC_OK, "%s", e.msg);
	EXPECT(r.rows_valid == 0 && r.rows_train == 600 && isfinite(r.auc), "%lld", (long long)r.rows_valid);
	EXPECT(strstr(h.events, "no validation rows"), "%s", h.events);
	drop_dir(dir);
}

TEST(an_auc_that_has_no_meaning_is_not_told)
{
	const char *dir = parity_dir(300);
	struct heard h = { 0 };
	struct train_result r;
	struct err e = { 0 };
	FILE *f = fopen(in_dir(dir, "valid.ffm"), "w");
	EXPECT(f && fputs("1 0:1:1 1:2:1\n1 0:2:1 1:3:1\n", f) >= 0 && fclose(f) == 0, "cannot write");
	EXPECT(run_in(dir, "model=lr epochs=1", NULL, &h, &r, &e) == RC_OK, "%s", e.msg);
	EXPECT(r.positives_valid == 2 && isnan(r.auc) && isfinite(r.logloss), "AUC %g of one class", r.auc);
	EXPECT(strstr(h.events, "validation logloss") && !strstr(h.events, "nan"), "%s", h.events);
	drop_dir(dir);
}

TEST(extreme_rows_give_numbers)
{
	const char *dir = fresh_dir();
	static const char *const options[] = { "model=lr", "model=fm", "model=ffm" };
	FILE *f = fopen(in_dir(dir, "train.ffm"), "w");
	struct rng rng;
	rng_init(&rng, 8);
	for (int i = 0; f && i < 400; i++)
		fprintf(f, "%d 0:%d:%s 1:%d:%s 2:9:%d\n", (int)rng_below(&rng, 2), (int)rng_below(&rng, 4),
		        i % 3 ? "1e18" : "-1e18", 4 + (int)rng_below(&rng, 4), i % 2 ? "9e17" : "1e-38", i % 5);
	EXPECT(f && fclose(f) == 0, "cannot write");
	FOR_EACH_ROW (i, options) {
		for (int normalize = 0; normalize < 2; normalize++) {
			char text[200];
			struct heard h = { 0 };
			struct train_result r;
			struct model *m;
			struct err e = { 0 };
			(void)snprintf(text, sizeof text,
			               "%s learning_rate=10 epochs=5 early_stop_rounds=0 valid_ratio=0.2 normalize=%s",
			               options[i], normalize ? "true" : "false");
			enum rc rc = run_in(dir, text, NULL, &h, &r, &e);
			EXPECT(rc == RC_OK, "%s: %s", text, e.msg);
			if (rc != RC_OK)
				continue;
			EXPECT(isfinite(r.logloss) && isfinite(r.auc) && isfinite(r.train_logloss), "%s", text);
			EXPECT(model_load(r.model_path, &m, &e) == RC_OK, "%s", e.msg);
			EXPECT(are_finite(&m->weights), "%s", text);
			model_free(m);
		}
	}
	drop_dir(dir);
}

/* Model files and prediction */

static struct train_result small_model(const char *dir, const char *options)
{
	struct heard h = { 0 };
	struct train_result r = { 0 };
	struct err e = { 0 };
	EXPECT(run_in(dir, options, NULL, &h, &r, &e) == RC_OK, "%s", e.msg);
	return r;
}

TEST(every_flipped_byte_of_a_model_is_noticed)
{
	const char *dir = parity_dir(300);
	struct train_result r = small_model(dir, "model=fm epochs=1 hash_bits=8 factors=2");
	int64_t size = 0;
	struct err e = { 0 };
	struct model *m = NULL;
	EXPECT(file_size(r.model_path, &size, &e) == RC_OK && size > 500, "%lld", (long long)size);
	EXPECT(model_load(r.model_path, &m, &e) == RC_OK, "%s", e.msg);
	model_free(m);
	m = NULL;
	for (off_t at = 0; at < size; at++) {
		flip_byte(r.model_path, at);
		enum rc rc = model_load(r.model_path, &m, &e);
		EXPECT(rc == RC_CORRUPT || rc == RC_INVALID, "byte %lld: %s", (long long)at, rc_name(rc));
		EXPECT(!m && strstr(e.msg, "model.bin"), "byte %lld: %s", (long long)at, e.msg);
		flip_byte(r.model_path, at);
	}
	flip_byte(r.model_path, size - 100);
	flip_byte(r.model_path, 300);
	EXPECT(model_load(r.model_path, &m, &e) == RC_CORRUPT && strstr(e.msg, "section 1 is damaged"), "%s", e.msg);
	drop_dir(dir);
}

TEST(a_cut_or_foreign_model_is_refused)
{
	const char *dir = parity_dir(300);
	struct train_result r = small_model(dir, "model=lr epochs=1 hash_bits=8");
	struct buf bytes;
	struct err e = { 0 };
	struct model *m = NULL;
	buf_init(&bytes, 1 << 20);
	EXPECT(file_read(r.model_path, &bytes, &e) == RC_OK, "%s", e.msg);
	const char *copy = in_dir(dir, "copy.bin");
	for (size_t len = 0; len < bytes.len; len += 1 + len / 16) {
		EXPECT(file_replace(copy, bytes.bytes, len, 0600, &e) == RC_OK, "%s", e.msg);
		EXPECT(model_load(copy, &m, &e) == RC_CORRUPT && !m, "%zu bytes: %s", len, e.msg);
	}
	buf_addc(&bytes, 'x');
	EXPECT(file_replace(copy, bytes.bytes, bytes.len, 0600, &e) == RC_OK, "%s", e.msg);
	EXPECT(model_load(copy, &m, &e) == RC_CORRUPT, "longer: %s", e.msg);
	bytes.bytes[12] = 2; /* version */
	EXPECT(file_replace(copy, bytes.bytes, bytes.len, 0600, &e) == RC_OK, "%s", e.msg);
	EXPECT(model_load(copy, &m, &e) == RC_INVALID && strstr(e.msg, "version 2"), "%s", e.msg);
	EXPECT(model_load(in_dir(dir, "none.bin"), &m, &e) == RC_NOT_FOUND && strstr(e.msg, "none.bin"), "%s", e.msg);
	EXPECT(model_load(dir, &m, &e) != RC_OK && !m, "a folder");
	buf_fini(&bytes);
	drop_dir(dir);
}

TEST(a_model_describes_itself)
{
	const char *dir = parity_dir(300);
	struct train_result r = small_model(dir, "model=ffm epochs=2 factors=6");
	struct model *m;
	struct err e = { 0 };
	struct arena *a = arena_new(1 << 20);
	struct buf text;
	const json_t *j = NULL;
	buf_init(&text, 1 << 16);
	EXPECT(model_load(r.model_path, &m, &e) == RC_OK, "%s", e.msg);
	model_describe(m, &text);
	EXPECT(json_read(text.bytes, text.len, a, &j, &e) == RC_OK, "%s: %s", e.msg, buf_text(&text));
	EXPECT(strcmp(json_string_value(json_object_get(j, "model")), "ffm") == 0, "%s", buf_text(&text));
	EXPECT(json_integer_value(json_object_get(j, "factors")) == 6, "%s", buf_text(&text));
	EXPECT(json_integer_value(json_object_get(j, "features")) == r.features, "%s", buf_text(&text));
	EXPECT(json_is_string(json_object_get(j, "trained_at")), "%s", buf_text(&text));
	model_free(m);
	buf_fini(&text);
	arena_free(a);
	drop_dir(dir);
}

TEST(predictions_are_those_of_the_validation)
{
	static const char *const options[] = { "model=lr epochs=3", "model=fm epochs=5 learning_rate=0.3",
		                               "model=ffm epochs=5 learning_rate=0.3 factors=6" };
	const char *dir = parity_dir(900);
	FOR_EACH_ROW (i, options) {
		struct train_result r = small_model(dir, options[i]), p = { 0 };
		struct model *m;
		struct err e = { 0 };
		struct buf text;
		int lines = 0;
		buf_init(&text, 1 << 20);
		EXPECT(model_load(r.model_path, &m, &e) == RC_OK, "%s", e.msg);
		int fd = open(in_dir(dir, "out.txt"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		EXPECT(model_predict_file(m, in_dir(dir, "valid.ffm"), "", fd, &p, &e) == RC_OK, "%s", e.msg);
		EXPECT(close(fd) == 0, "close");
		EXPECT(fabs(p.logloss - r.logloss) < 1e-12 && p.auc == r.auc && p.rows_valid == r.rows_valid,
		       "%s: %.17g %.17g", options[i], p.logloss, r.logloss);
		EXPECT(p.positives_valid == r.positives_valid && p.recall == r.recall, "%s", options[i]);
		EXPECT(file_read(in_dir(dir, "out.txt"), &text, &e) == RC_OK, "%s", e.msg);
		for (size_t at = 0; at + 9 <= text.len; at += 9, lines++)
			EXPECT(text.bytes[at + 1] == '.' && text.bytes[at + 8] == '\n', "line %d", lines);
		EXPECT(lines == r.rows_valid, "%d lines", lines);
		EXPECT(model_predict_file(m, in_dir(dir, "none"), "", 1, NULL, &e) == RC_NOT_FOUND, "%s", e.msg);
		model_free(m);
		buf_fini(&text);
	}
	drop_dir(dir);
}

TEST(the_result_is_json_with_recall_in_percent)
{
	const struct train_result r = { .model_path = "/secret/place/a\"b", .model_sha256 = "c0ffee",
					.rows_train = 9, .rows_valid = 1,
					.logloss = 0.25, .auc = NAN, .recall = 0.91, .precision = 1.0 / 3 };
	const struct train_result no_model = { .auc = 0.5 };
	struct arena *a = arena_new(1 << 16);
	struct buf text;
	struct err e = { 0 };
	const json_t *j = NULL;
	buf_init(&text, 1 << 16);
	train_result_json(&r, &text);
	EXPECT(json_read(text.bytes, text.len, a, &j, &e) == RC_OK, "%s: %s", e.msg, buf_text(&text));
	EXPECT(strstr(buf_text(&text), "\"recall\":91,") && strstr(buf_text(&text), "\"precision\":33.33"), "%s",
	       buf_text(&text));
	EXPECT(json_is_null(json_object_get(j, "auc")), "%s", buf_text(&text));
	EXPECT(strstr(buf_text(&text), "{\"model\":\"a\\\"b\",\"sha256\":\"c0ffee\",\"rows\":10,\"rows_train\":9,"),
	       "%s", buf_text(&text));
	EXPECT(!strstr(buf_text(&text), "secret"), "the folder is told: %s", buf_text(&text));
	buf_reset(&text);
	train_result_json(&no_model, &text);
	EXPECT(!strstr(buf_text(&text), "model") && !strstr(buf_text(&text), "sha256"), "%s", buf_text(&text));
	buf_fini(&text);
	arena_free(a);
}

int main(void)
{
	RUN(gradients_are_those_of_the_formula);
	RUN(vector_kernels_match_the_plain_one);
	RUN(a_value_given_twice_does_no_harm);
	RUN(rows_are_made_final);
	RUN(a_model_too_large_is_refused_in_words);
	RUN(losses_are_finite_everywhere);
	RUN(metrics_are_those_of_the_definition);
	RUN(metrics_of_many_rows_stay_within_their_promise);
	RUN(figures_without_meaning_are_not_numbers);
	RUN(each_model_learns_what_it_can);
	RUN(the_same_seed_gives_the_same_bits);
	RUN(a_resumed_run_equals_an_undisturbed_one);
	RUN(a_damaged_checkpoint_is_said_and_stepped_over);
	RUN(a_checkpoint_of_another_run_is_not_taken);
	RUN(a_checkpoint_is_found_and_taken_only_within_the_epochs);
	RUN(early_stop_keeps_the_best_epoch);
	RUN(without_validation_rows_figures_are_of_training);
	RUN(an_auc_that_has_no_meaning_is_not_told);
	RUN(extreme_rows_give_numbers);
	RUN(every_flipped_byte_of_a_model_is_noticed);
	RUN(a_cut_or_foreign_model_is_refused);
	RUN(a_model_describes_itself);
	RUN(predictions_are_those_of_the_validation);
	RUN(the_result_is_json_with_recall_in_percent);
	return test_failures != 0;
}
