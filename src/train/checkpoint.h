/*
 * checkpoint: all that an interrupted run needs to go on as if nothing had happened: the weights with their AdaGrad
 * sums, and struct fit_state. Random choices need no state: each epoch derives its own from seed and epoch number.
 *
 * A sealed file ckpt-N after epoch N, with the sections meta (JSON) and weights. The weights of the best epoch so far
 * are not in it but in best-B.bin, a model file written before; the checkpoint keeps its seal.
 * Errors: those of sealed.h; RC_CONFLICT when it belongs to another run (options, data, or shape differ).
 */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "train/metrics.h"
#include "train/sealed.h"
#include "train/weights.h"

struct fit_state {
	int epoch;             /* complete ones */
	int best_epoch;        /* 0: none yet */
	int before_best_epoch; /* best_epoch of the checkpoint before: its file is still wanted */
	int stale_epochs;      /* since the best */
	double best_train_logloss;
	struct figures best;
	char best_seal[SEALED_HEX_SIZE]; /* of best-B.bin */
};

/* identity: text that is equal for runs that may share checkpoints. kernel_name: whose bits these are. */
enum rc checkpoint_write(const char *path, const struct weights *w, const struct fit_state *s, const char *identity,
                         const char *kernel_name, struct err *err) NODISCARD;
/* On success fills w's block and *s, and says in *is_same_kernel whether the bits will go on alike. */
enum rc checkpoint_read(const char *path, struct weights *w, struct fit_state *s, const char *identity,
                        const char *kernel_name, bool *is_same_kernel, struct err *err) NODISCARD;

#endif
