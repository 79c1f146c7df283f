/*
 * A clock that is ahead, for a server that is told to load this before its libraries (LD_PRELOAD): wall time is that of
 * the kernel plus CLOCK_SHIFT_S seconds, or plus the number of seconds that stands in the file CLOCK_SHIFT_FILE: eight
 * bytes in the order of the machine. Who writes the file moves the clock of a server that runs. Monotonic time stays as
 * it is, so waiting takes as long as ever.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t fixed_shift;
static _Atomic int64_t *shift;   /* the file, or the value above */

static _Atomic int64_t *map_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *file = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);

	if (fd >= 0)
		(void)close(fd);
	if (file == MAP_FAILED)
		abort();   /* a test that runs with the wrong clock proves nothing */
	return file;
}

/* Before the program's threads; the clock itself is asked for even earlier. */
__attribute__((constructor)) static void find_shift(void)
{
	const char *path = getenv("CLOCK_SHIFT_FILE"), *text = getenv("CLOCK_SHIFT_S");

	fixed_shift = text ? strtoll(text, NULL, 10) : 0;
	shift = path ? map_file(path) : (_Atomic int64_t *)&fixed_shift;
}

static time_t shift_s(void)
{
	if (!shift)
		find_shift();
	return (time_t)atomic_load_explicit(shift, memory_order_relaxed);
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
