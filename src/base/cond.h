/*
 * cond: condition variables whose waits end by the monotonic clock (base/clock.h), whatever becomes of the wall clock.
 * Owner: as of any pthread_cond_t, which these are; pthread_cond_destroy.
 */
#ifndef BASE_COND_H
#define BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void cond_init(pthread_cond_t *c);
/* One wait, with lock held; it may end for no reason. True: until_mono_ms has come; INT64_MAX never does. */
bool cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until_mono_ms);

#endif
