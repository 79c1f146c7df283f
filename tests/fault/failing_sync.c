/*
 * A disk whose syncs fail while a file exists, for scenarios with a whole server: preloaded, it stands in front of the
 * C library's fdatasync and fsync. STINT_FAILING_SYNC names the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int fd);
int fdatasync(int fd);

static int failing(void)
{
	const char *name = getenv("STINT_FAILING_SYNC");
	if (!name || access(name, F_OK) != 0)
		return 0;
	errno = EIO;
	return 1;
}

int fsync(int fd) { return failing() ? -1 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return failing() ? -1 : (int)syscall(SYS_fdatasync, fd); }
