/*
 * fit: the training loop over an opened data set: epochs, validation, early stop, checkpoints.
 *
 * Each epoch visits the blocks in a new random order and the rows of a block in a new random order, both derived from
 * seed and epoch, then scores the validation rows (the training rows when there are none). The epoch with the lowest
 * logloss wins. After every epoch ckpt-N is on disk, and best-B.bin, the model of the best epoch B; the last two
 * checkpoints and the files they refer to are kept, older ones removed.
 *
 * With threads > 1 the threads take blocks from a common queue and step on the same weights without locks (Hogwild;
 * Niu, Recht, Re, Wright, NIPS 2011): a lost update now and then costs nothing that one can measure, but bits differ
 * from run to run. With one thread everything repeats bit for bit, across an interruption too.
 *
 * Errors: RC_TIMEOUT should_stop said so; RC_LIMIT too large for memory; RC_IO, RC_BUSY, RC_CORRUPT from files.
 */
#ifndef TRAIN_FIT_H
#define TRAIN_FIT_H

#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/kernel.h"

struct fit_plan {
	const struct train_options *options;
	struct dataset *data;
	const struct train_sink *sink;
	const struct kernel *kernel;
	const char *work_dir;
	const char *checkpoint; /* name to go on from; NULL or "" */
	const char *identity;   /* of this run, for checkpoints */
	int progress_from;      /* percent already reported before the first epoch */
};

/* On success *state is final and model_path (PATH_MAX bytes) names the best epoch's model file in work_dir. */
enum rc fit_run(const struct fit_plan *plan, struct fit_state *state, char *model_path, struct err *err) NODISCARD;
/* Remove what a finished run leaves in work_dir besides the model. */
void fit_clean(const struct fit_plan *plan, const struct fit_state *state);

#endif
