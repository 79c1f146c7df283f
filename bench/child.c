/*
 * bench_child: the smallest task there is. Its first instruction notes the time, its only line says it:
 * {"result":{"at_ns":N}} on descriptor 3, N of CLOCK_REALTIME. Without a descriptor 3 (run by xargs) it says nothing.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	struct timespec now;
	char line[64];

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return 1;
	int len =
		snprintf(line, sizeof line, "{\"result\":{\"at_ns\":%lld%09ld}}\n", (long long)now.tv_sec, now.tv_nsec);
	(void)!write(3, line, (size_t)len); /* who runs it without one wants no answer */
	return 0;
}
