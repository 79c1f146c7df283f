/* sample: simulated data whose best possible score is known. */
#include <stdio.h>
#include "cmd/args.h"
#include "cmd/say.h"
#include "train/train.h"

static void print_json(const char *path, int64_t rows, int64_t seed, double best_auc, double best_logloss,
                       struct buf *out)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "file", path);
	jw_kv_int(&w, "rows", rows);
	jw_kv_int(&w, "seed", seed);
	jw_kv_real(&w, "best_auc", best_auc);
	jw_kv_real(&w, "best_logloss", best_logloss);
	jw_end_object(&w);
}

static int run_sample(const struct command *c, int argc, char **argv)
{
	const char *path = "shop.csv", *operands[OPERANDS_MAX];
	int64_t rows = 200000, seed = 1;
	bool as_json = false;
	struct opt opts[] = {
		OPTION_TEXT("out", &path, "FILE", "Where the rows go (default ./shop.csv)."),
		OPTION_INT("rows", &rows, "N", 10, 1000000000, "How many (default 200000)."),
		OPTION_INT("seed", &seed, "N", 0, INT64_MAX, "Same seed, same bytes (default 1)."),
		OPTION_FLAG("json", &as_json, "Print JSON."),
	};
	double best_auc, best_logloss;
	struct err err = { 0 };
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	enum rc rc = sample_shop(path, rows, (uint64_t)seed, &best_auc, &best_logloss, &err);
	if (rc != RC_OK)
		return say_failed(c, rc, &err);
	struct buf out;
	buf_init(&out, 64 << 10);
	if (as_json)
		print_json(path, rows, seed, best_auc, best_logloss, &out);
	else
		buf_addf(&out, "%s: %lld rows. The best any model can do on the last tenth: AUC %.4f, log loss %.4f.",
		         path, (long long)rows, best_auc, best_logloss);
	code = say_text(c, &out);
	buf_fini(&out);
	return code;
}

const struct command command_sample_shop = {
	.name = "sample shop",
	.operands = "",
	.summary = "Write simulated shop clicks with a known best score.",
	.example = "stint sample shop --out shop.csv --rows 200000 --seed 1",
	.run = run_sample,
};
