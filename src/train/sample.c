/*
 * Simulated shop data. The planted model of a click:
 *
 *   logit p = base + quality(item) + <taste(user), kind(category)> + slot(position) + time(hour) + cheap(price)
 *
 * Taste and kind are latent vectors, so a model must learn users crossed with categories; everything else is a plain
 * effect. The click itself is drawn with probability p: that is the noise no model gets below. Users and items are met
 * with a skew, as in a shop. The best figures are computed from p itself over the last tenth of the rows.
 */
#include "train/train.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/rand.h"
#include "os/calls.h"
#include "os/file.h"
#include "train/spool.h"

enum {
	USERS = 2000,
	ITEMS = 500,
	CATEGORIES = 20,
	HOURS = 24,
	POSITIONS = 10,
	FACTORS = 2,
	AUC_BINS = 1 << 16,
	ROWS_MIN = 10,
};
static const int64_t rows_max = 1000000000;

struct shop {
	struct rng rng;
	double taste[USERS][FACTORS], kind[CATEGORIES][FACTORS];
	double quality[ITEMS], price[ITEMS];
	int category[ITEMS];
};

struct view {
	int user, item, hour, position;
	double p;
	bool is_clicked;
};

/* AUC by counting how often each probability, to 16 bits, was clicked; rows in one bin count as ties. */
struct truth {
	uint64_t hits[2][AUC_BINS];
	double loss;
	int64_t n;
};

static void plant(struct shop *s, uint64_t seed)
{
	rng_init(&s->rng, seed);
	for (int i = 0; i < USERS * FACTORS; i++)
		s->taste[i / FACTORS][i % FACTORS] = rng_normal(&s->rng);
	for (int i = 0; i < CATEGORIES * FACTORS; i++)
		s->kind[i / FACTORS][i % FACTORS] = 0.85 * rng_normal(&s->rng);
	for (int i = 0; i < ITEMS; i++) {
		s->category[i] = (int)rng_below(&s->rng, CATEGORIES);
		s->quality[i] = 0.55 * rng_normal(&s->rng);
		s->price[i] = round(100 * exp(3 + rng_normal(&s->rng))) / 100;
	}
}

/* 0 .. n-1, low numbers more often. */
static int skewed(struct rng *r, int n)
{
	double u = rng_unit(r);
	return (int)(n * u * (0.4 + 0.6 * u));
}

static struct view draw(struct shop *s)
{
	const double pi = 3.14159265358979323846;
	struct view v = { .user = skewed(&s->rng, USERS), .item = skewed(&s->rng, ITEMS) };
	int category = s->category[v.item];

	v.hour = (int)rng_below(&s->rng, HOURS);
	v.position = (int)rng_below(&s->rng, POSITIONS);
	double logit = -0.7 + s->quality[v.item] - 0.13 * v.position - 0.2 * (log(s->price[v.item]) - 3);
	logit += 0.35 * cos(2 * pi * (v.hour - 20) / HOURS); /* evenings are best */
	for (int k = 0; k < FACTORS; k++)
		logit += s->taste[v.user][k] * s->kind[category][k];
	v.p = 1 / (1 + exp(-logit));
	v.is_clicked = rng_unit(&s->rng) < v.p;
	return v;
}

static enum rc write_row(struct spool *out, const struct shop *s, const struct view *v, struct err *err)
{
	char line[128];
	int len = snprintf(line, sizeof line, "%d,u%d,i%d,c%d,%d,%d,%.2f\n", v->is_clicked, v->user, v->item,
			   s->category[v->item], v->hour, v->position + 1, s->price[v->item]);
	return spool_write(out, line, (size_t)len, err);
}

static void observe(struct truth *t, const struct view *v)
{
	t->hits[v->is_clicked][(int)(v->p * (AUC_BINS - 1))]++;
	t->loss -= log(v->is_clicked ? v->p : 1 - v->p);
	t->n++;
}

static double auc_of(const struct truth *t)
{
	double below = 0, pairs = 0, clicked = 0; /* below: rows not clicked in lower bins */
	for (int i = 0; i < AUC_BINS; i++) {
		double no = (double)t->hits[0][i], yes = (double)t->hits[1][i];
		pairs += yes * (below + no / 2);
		below += no;
		clicked += yes;
	}
	return clicked > 0 && below > 0 ? pairs / (clicked * below) : NAN;
}

static enum rc write_rows(struct spool *out, struct shop *s, int64_t rows, struct truth *t, struct err *err)
{
	static const char heading[] = "click,user_id,item_id,category,hour,position,price\n";
	enum rc rc = spool_write(out, heading, strlen(heading), err);

	for (int64_t i = 0; i < rows && rc == RC_OK; i++) {
		struct view v = draw(s);
		rc = write_row(out, s, &v, err);
		if (i >= rows - rows / 10)
			observe(t, &v);
	}
	return rc;
}

static enum rc write_file(const char *path, struct shop *s, int64_t rows, struct truth *t, struct err *err)
{
	char temp[PATH_MAX];
	struct spool out;
	int len = snprintf(temp, sizeof temp, "%s.tmp", path);

	if (len < 0 || len >= PATH_MAX)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", path);
	enum rc rc = spool_create(&out, temp, SPOOL_NAMED, err);
	if (rc != RC_OK)
		return rc;
	rc = write_rows(&out, s, rows, t, err);
	if (rc == RC_OK)
		rc = spool_finish(&out, err);
	spool_drop(&out);
	if (rc == RC_OK)
		rc = file_publish(temp, path, err);
	if (rc != RC_OK)
		(void)os.unlink(temp); /* the first failure is the one to report */
	return rc;
}

enum rc sample_shop(const char *path, int64_t rows, uint64_t seed, double *best_auc, double *best_logloss,
		    struct err *err)
{
	if (rows < ROWS_MIN || rows > rows_max)
		return err_set(err, RC_INVALID, "%lld rows: from %d to %lld are possible", (long long)rows, ROWS_MIN,
			       (long long)rows_max);
	struct shop *s = mem_new(struct shop);
	struct truth *t = mem_new(struct truth);
	plant(s, seed);
	enum rc rc = write_file(path, s, rows, t, err);
	if (rc == RC_OK) {
		*best_auc = auc_of(t);
		*best_logloss = t->loss / (double)t->n;
	}
	mem_free(t);
	mem_free(s);
	return rc;
}
