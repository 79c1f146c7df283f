/*
 * place: the folder of a run: made, found to be ours, taken away again.
 *
 *   RUN/torture.lock     says that `stint torture` made this; held while it runs
 *   RUN/data/            the server's data folder
 *   RUN/journal/         what tasks write down (journal.h)
 *   RUN/copy/            a restored backup, while it is examined (copy.h)
 *   RUN/server.log       and .old: the last two lives of the server; doctor.txt: the last `stint doctor`
 *
 * Errors: RC_CONFLICT: there is something that it did not make, or another run is at it. Then nothing was touched.
 */
#ifndef CMD_TORTURE_PLACE_H
#define CMD_TORTURE_PLACE_H

#include <stdbool.h>
#include "base/arena.h"
#include "cmd/torture/server.h"

struct place {
	char run[PATH_MAX], journal[PATH_MAX];
	bool is_made; /* the folder itself was not there before */
	int lock_fd;
	const char *key_id, *key_secret, *project_id;
};

/* Take the folder, emptied, with a data folder in it that has a key, the functions and rows to train on. */
enum rc place_take(const char *dir, struct arena *a, struct place *p, struct server_config *cfg,
                   struct err *err) NODISCARD;
/* The functions of the run in a data folder, their tasks keeping their journal in that folder, which is made. */
enum rc place_write_functions(const struct server_config *cfg, const char *journal, struct err *err) NODISCARD;
/* Give it up; keeps says whether to leave it as it is. */
void place_leave(struct place *p, bool keeps);

#endif
