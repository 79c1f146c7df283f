/*
 * judge: from figures about a node to findings about it, by one table of rules. The ids of causes, impacts and advice
 * are the DCS contract's; the thresholds are ours, each with its reason beside it (docs/diagnosis.md shows them all).
 *
 * A rule that decides makes its item abnormal. A rule that only explains adds what else is true of an item that is
 * abnormal already. An item that no rule makes abnormal has failed when one of its deciding rules lacked its figure:
 * what nobody measured is not called normal.
 *
 * Owner:    values; rules are static.  Threads: pure, any.  Errors: none.
 */
#ifndef CACHE_JUDGE_H
#define CACHE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

enum figure_unit { UNIT_SHARE, UNIT_RATIO, UNIT_COUNT, UNIT_FLAG };

#define FIGURE_TABLE(X) /* name, unit, what it is. "now": between two looks at INFO; else since the process began */ \
	X(CPU, SHARE, "time the thread that runs commands was on a processor, now")                                \
	X(LINEAR_NOW, SHARE, "time of commands that went to O(N) ones, now")                                       \
	X(PERSISTING, FLAG, "a child writes an RDB file or a new append-only file")                                \
	X(QPS_GROWTH, RATIO, "commands a second now, against the average")                                         \
	X(SLOW_LINEAR, COUNT, "O(N) commands in the slow log of the window")                                       \
	X(SLOW, COUNT, "commands in the slow log of the window")                                                   \
	X(LINEAR, SHARE, "time of commands that went to O(N) ones")                                                \
	X(LINEAR_S, COUNT, "seconds spent on O(N) commands")                                                       \
	X(FRAGMENTATION, RATIO, "memory held by the allocator, against what is used of it")                        \
	X(FRAGMENTED, SHARE, "memory lost to fragmentation, of the instance's size")                               \
	X(SAVE_FAILED, FLAG, "the last RDB file could not be written")                                             \
	X(AOF_FAILED, FLAG, "the append-only file could not be written or rewritten")                              \
	X(FSYNC_DELAYED, COUNT, "writes that had to wait for the disk, now")                                       \
	X(SAME_SECOND, SHARE, "keys with an expiry that end in one and the same second, in a sample")              \
	X(SAME_SECOND_KEYS, COUNT, "the number of such keys, estimated")                                           \
	X(STALE, SHARE, "keys with an expiry that are over and not yet freed, as Redis estimates")                 \
	X(EXPIRING, COUNT, "keys with an expiry")                                                                  \
	X(EXPIRE_CUT, COUNT, "rounds of freeing that ran out of their time, now")                                  \
	X(MEMORY, SHARE, "memory used, of the instance's size")                                                    \
	X(RDB_ON, FLAG, "RDB files are written by a schedule")                                                     \
	X(HIT_RATIO, SHARE, "reads that found their key; now when there are enough of them, else since the start")  \
	X(LOOKUPS, COUNT, "the number of those reads")                                                             \
	X(CLIENTS, SHARE, "connections, of maxclients")                                                            \
	X(REJECTED, COUNT, "connections refused for want of room, now")                                            \
	X(RECEIVED, SHARE, "bytes received a second now, of the specification's bandwidth")

enum figure {
#define X(id, unit, what) FIGURE_##id,
	FIGURE_TABLE(X)
#undef X
	FIGURES
};

struct figures {
	double value[FIGURES];     /* NAN: could not be measured. A share is 0 .. 1 (more where it is exceeded) */
};
struct figures figures_none(void);             /* all NAN */
const char *figure_what(enum figure f);
enum figure_unit figure_unit(enum figure f);
enum { FIGURE_TEXT_SIZE = 32 };
/* As it is shown: "93.4%", "80%", "1.52", "17"; "unknown". */
void figure_text(enum figure f, double value, char out[FIGURE_TEXT_SIZE]);

#define DIMENSION_TABLE(X) X(LOAD, "load") X(STORAGE, "storage") X(NETWORK, "network")

enum diagnosis_dimension {
#define X(id, name) DIMENSION_##id,
	DIMENSION_TABLE(X)
#undef X
	DIMENSIONS
};

#define ITEM_TABLE(X) /* in the order of the report */         \
	X(CPU, LOAD, "cpu_usage")                              \
	X(COMMANDS, LOAD, "time_consuming_commands")           \
	X(FRAGMENTATION, STORAGE, "inner_memory_fragmentation") \
	X(PERSISTENCE, STORAGE, "persistence")                 \
	X(EXPIRATION, STORAGE, "centralized_expiration")       \
	X(MEMORY, STORAGE, "memory_usage")                     \
	X(HIT_RATIO, STORAGE, "hit_ratio")                     \
	X(CONNECTIONS, NETWORK, "connection_num")              \
	X(RECEIVED, NETWORK, "rx_controlled")

enum diagnosis_item {
#define X(id, dimension, name) ITEM_##id,
	ITEM_TABLE(X)
#undef X
	ITEMS
};
const char *dimension_name(enum diagnosis_dimension d);
const char *item_name(enum diagnosis_item i);
enum diagnosis_dimension item_dimension(enum diagnosis_item i);

enum { CAUSE_LINEAR_COMMANDS = 10, CAUSES_MAX = 13, IMPACTS_MAX = 6, ADVICE_MAX = 7 };   /* highest ids there are */

struct judge_rule {
	enum diagnosis_item item;
	bool only_explains;
	enum figure figure;
	bool is_floor;             /* bad is less than limit, else limit or more */
	double limit;
	enum figure guard;         /* FIGURES: none. Judged only where the guard is at least guard_min */
	double guard_min;
	int cause, impact, advice[2]; /* 0: none */
	const char *why;
};
const struct judge_rule *judge_rules(size_t *n);

enum item_result { ITEM_NORMAL, ITEM_ABNORMAL, ITEM_FAILED };
const char *item_result_word(enum item_result r);      /* "normal" ... */

enum { FINDING_MAX = 6 };
struct finding {
	enum item_result result;
	const struct judge_rule *causes[FINDING_MAX];  /* each with a cause of its own */
	int impacts[FINDING_MAX], advice[FINDING_MAX]; /* each once */
	size_t n_causes, n_impacts, n_advice;
};
void judge(const struct figures *f, struct finding out[ITEMS]);

#endif
