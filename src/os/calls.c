#include "os/calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

/* clang-format off */
#define REAL { .open = real_open, .read = read, .write = write, .fsync = fsync, .close = close, \
	       .rename = rename, .unlink = unlink, .mkdir = mkdir, .pipe2 = pipe2, .fork = fork }
/* clang-format on */

struct os_calls os = REAL;
const struct os_calls os_real = REAL;
