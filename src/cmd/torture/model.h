/*
 * model: what the server has acknowledged and shown so far, and so what it must still show after a crash.
 *
 * A few app groups with a few places for instances each. An app group "own0" belongs to one connection, which alone
 * changes it, so its answers can be told in advance; "all" is shared: everybody creates and deletes tasks there.
 * A change whose answer was lost with the server makes its object unsure; the look after the restart decides,
 * and it must be there wholly or not at all.
 *
 * Since generations have no gaps (E3), the tasks of an instance are an array, and a number below the highest one that
 * was neither shown nor deleted is a task that was lost.
 *
 * An answer is compared only with what had been seen before its request was sent: answers overtake each other.
 *
 * Owner:   texts are inside. Threads: functions lock; the members are for one thread while no other runs, and those
 *          of an instance with an owner for its owner.
 */
#ifndef CMD_TORTURE_MODEL_H
#define CMD_TORTURE_MODEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rand.h"
#include "cmd/torture/findings.h"

enum { CONNECTIONS_MAX = 32, INSTANCES_PER_APP = 6, NAME_SIZE = 24, RUN_ID_SIZE = 64, SHARED = -1 };

/* A function of the run: what its tasks may do (act.c), and how. */
struct trade {
	const char *function, *model_type;
	int attempts_max, timeout_s;
	bool is_built_in;
	const char *acts[8]; /* NULL-terminated */
};
const struct trade *trades(size_t *n);

enum presence { ABSENT, THERE, UNSURE };
enum record { UNSEEN, KEPT, PERHAPS_DELETED, DELETED };

struct task_fact {
	enum record record;
	bool is_deleting;         /* a request is under way */
	bool is_listed;           /* by the list that is being compared */
	bool is_over, is_success; /* the newest sighting */
	bool is_judged;
	int progress;
	int64_t ended_at;
	int64_t seen_us, deleted_us; /* when the answer came */
	char run_id[RUN_ID_SIZE];
};

/* What is asked of an instance; the number goes into its description, so that each asking differs. */
struct wish {
	const char *act;
	int64_t ms, number;
	const char *cron;
};

struct instance_fact {
	struct app_fact *app;
	char name[NAME_SIZE];
	const struct trade *trade;
	bool has_schedule; /* one that fires every minute; nobody else creates tasks there */
	enum presence is;
	struct wish now, asked; /* asked: its answer is missing */
	bool has_asked;
	struct wish *past; /* all that was asked for in this round, in order; one without an act is the deletion */
	size_t n_past, cap_past;
	struct wish *others; /* what it may be as well: of a twin (twin.h) */
	size_t n_others;
	/* Of a twin: the old one of that name, or one made anew; it may have had, and lost, any tasks. */
	bool has_unknown_past;
	struct task_fact *tasks;             /* [generation - 1] */
	int64_t n_tasks, cap;                /* the highest generation known */
	int64_t n_created, n_asking, n_lost; /* creations acknowledged, under way, without an answer */
	int64_t minute;                      /* of the last look at a schedule, Unix minutes */
};

struct app_fact {
	char name[NAME_SIZE];
	int owner; /* a connection's number, or SHARED */
	bool comes_and_goes;
	enum presence is;
	struct instance_fact instances[INSTANCES_PER_APP];
	int n;
	const struct instance_fact *fallback,
	        *fallback_asked; /* the default instance of its first function; NULL none */
	bool has_fallback_asked;
	bool is_default_open;                  /* any is right: of a twin */
	int64_t n_changes, n_default_changes; /* asked for */
};

struct model {
	pthread_mutex_t lock;
	struct findings *findings;
	struct app_fact *apps;
	int n_apps;
	int64_t n_made_unanswered; /* changes without an answer that turned out to have been made */
};

void model_init(struct model *m, int connections, struct findings *f);
void model_fini(struct model *m);

/* No change is under way: forget what was asked for in the last round. */
void model_begin_round(struct model *m);
/* A change of an instance is about to be asked for; NULL: its deletion. For its owner. */
void model_wishing(struct instance_fact *i, const struct wish *w);
/* It was refused. */
void model_unwish(struct instance_fact *i);

/* A creation of a task: before it is sent, and how it went. */
enum outcome { DONE, REFUSED, LOST };
void model_creating(struct model *m, struct instance_fact *i);
void model_created(struct model *m, struct instance_fact *i, enum outcome how);

/* A task of the instance that the record is known of, chosen by chance; 0: none. */
int64_t model_pick_task(struct model *m, struct instance_fact *i, struct rng *r);
/* How many records the instance should have. */
int64_t model_count_kept(struct model *m, const struct instance_fact *i);
/* A deletion. False: somebody else is at it. *is_over: it was seen to have ended, so a refusal is wrong. */
bool model_deleting(struct model *m, struct instance_fact *i, int64_t generation, bool *is_over);
void model_deleted(struct model *m, struct instance_fact *i, int64_t generation, enum outcome how);

struct sighting {
	int64_t generation, ended_at;
	bool is_over, is_success;
	int progress;
	const char *run_id;
};
/* What a list shows, newest first; reaches_end: down to the oldest. begun_us: when its request was sent. */
void model_saw_list(struct model *m, struct instance_fact *i, const struct sighting *rows, size_t n, bool reaches_end,
                    int64_t begun_us, int64_t now_us);
void model_saw_task(struct model *m, struct instance_fact *i, const struct sighting *row, int64_t begun_us,
                    int64_t now_us);
/* It is not there, says an answer. */
void model_missed_task(struct model *m, struct instance_fact *i, int64_t generation, int64_t begun_us);
/* Every known task is over and none may have come since: a creation must succeed. For the owner. */
bool model_is_idle(struct model *m, const struct instance_fact *i);
/* Of a copy: newer runs than it shows began, and were deleted, while it was made. For the owner. */
bool model_lacks_deleted(struct model *m, const struct instance_fact *i);

/* After a restart, when nobody else asks and a list down to the oldest was seen: what was unsure is decided, and the
 * number of tasks must be right. firings: how many a schedule may have added. */
void model_compare_end(struct model *m, struct instance_fact *i, int64_t firings);
/* A new instance, or none: forget its tasks. */
void model_forget_tasks(struct model *m, struct instance_fact *i);

#endif
