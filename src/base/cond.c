#include "base/cond.h"

#include <errno.h>
#include <time.h>
#include "base/must.h"

void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(c, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
}

bool cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until_mono_ms)
{
	const struct timespec until = { .tv_sec = until_mono_ms / 1000, .tv_nsec = until_mono_ms % 1000 * 1000000 };

	int rc = until_mono_ms == INT64_MAX ? pthread_cond_wait(c, lock) : pthread_cond_timedwait(c, lock, &until);
	return rc == ETIMEDOUT;
}
