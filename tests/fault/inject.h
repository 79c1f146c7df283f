/*
 * inject: makes the n-th call of chosen kinds fail, for loops that try n = 1, 2, 3 ... until none is left to fail.
 *
 * Four doors are covered: the table of kernel calls (os/calls.h), the system calls below SQLite with its syncs and its
 * allocator, jansson's allocator, and the growth of arenas. inject_install puts counting wrappers into all of them,
 * before anything else in the program; arming and disarming then is a matter of a moment, whatever threads run.
 *
 * Threads: arm and disarm from one thread; the wrappers from any. A loop that wants the n-th call to be the same one in
 * every run singles out the thread it tests: others, which look at something once a second, would otherwise take hits
 * meant for it, and always find one more call to be made to fail.
 */
#ifndef FAULT_INJECT_H
#define FAULT_INJECT_H

#include <pthread.h>
#include <stdbool.h>

#define INJECT_TABLE(X)                                                                                                \
	X(OPEN) X(READ) X(WRITE) X(FSYNC) X(CLOSE) X(RENAME) X(UNLINK) X(MKDIR) X(DIR) X(PIPE) X(EPOLL) X(CLONE)       \
	X(DB_OPEN) X(DB_READ) X(DB_WRITE) X(DB_INDEX) X(DB_SYNC) X(DB_TRUNCATE) X(DB_UNLINK) X(DB_MMAP)                \
	X(DB_MEMORY) X(JSON_MEMORY) X(ARENA)

enum inject_kind {
#define X(name) INJECT_##name,
	INJECT_TABLE(X)
#undef X
	INJECT_KINDS
};

#define KIND(name) (1u << INJECT_##name)

struct inject_plan {
	const char *what;    /* in words, for messages */
	unsigned kinds;      /* KIND(...) | KIND(...) */
	int sys;             /* errno of the failing call; 0: it transfers half of what it was asked to, and succeeds */
	bool goes_on;        /* every later call fails too, until disarmed */
	bool is_invisible;   /* correct code gets over it: nobody may notice */
};

void inject_install(void);
/* From the n-th call (1 ...) on that the plan means, made by any thread but those that are spared. */
void inject_arm(const struct inject_plan *plan, int n);
/* How many calls were made to fail. */
int inject_fired(void);
int inject_disarm(void);
/* How many calls that the plan means were made since it was armed, when none of them was to fail (n
 * beyond them all). */
int inject_calls(void);
/* The calling thread is never met: it looks, others are tested. */
void inject_spare_me(void);
/* That thread alone is met, until disarmed. */
void inject_single_out(pthread_t thread);

/* What a leak would show in: open descriptors of this process; children that nobody waited for (which end by themselves
 * are waited for here and counted). */
int inject_count_fds(void);
int inject_count_children(void);

#endif
