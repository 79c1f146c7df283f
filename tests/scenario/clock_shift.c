/*
 * A clock that is ahead, for a server that is told to load this before its libraries (LD_PRELOAD): wall time is that of
 * the kernel plus CLOCK_SHIFT_S seconds. Monotonic time stays as it is, so waiting takes as long as ever.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t shift_s(void)
{
	static time_t shift;
	static int is_read;

	if (!is_read) {
		const char *text = getenv("CLOCK_SHIFT_S");
		shift = text ? (time_t)strtoll(text, NULL, 10) : 0;
		is_read = 1;
	}
	return shift;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += shift_s();
	return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	int rc = clock_gettime(CLOCK_REALTIME, &ts);

	(void)zone;
	if (rc == 0)
		*tv = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
	return rc;
}

time_t time(time_t *out)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return (time_t)-1;
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
