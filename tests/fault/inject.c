#include "inject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "json/json.h"
#include "os/calls.h"

static struct {
	atomic_bool is_armed;
	atomic_int left;  /* calls before the first that fails */
	atomic_int fired;
	_Atomic pthread_t only; /* 0: any */
	int armed_with;
	struct inject_plan plan; /* written while not armed */
} state;
static _Thread_local bool is_spared;

/* Is this call one to fail? */
static bool hits(enum inject_kind kind)
{
	if (is_spared || !atomic_load(&state.is_armed) || !(state.plan.kinds & (1u << kind)))
		return false;
	pthread_t only = atomic_load(&state.only);
	if (only && !pthread_equal(only, pthread_self()))
		return false;
	int before = atomic_fetch_sub(&state.left, 1);
	if (before > 1 || (before < 1 && !state.plan.goes_on))
		return false;
	atomic_fetch_add(&state.fired, 1);
	return true;
}

/* A call that fails as a whole: true when it is to, with errno set. */
static bool fails(enum inject_kind kind)
{
	if (!hits(kind))
		return false;
	errno = state.plan.sys ? state.plan.sys : EIO;
	return true;
}

/* A transfer: false when it is to fail; may shorten *n. */
static bool passes(enum inject_kind kind, size_t *n)
{
	if (!hits(kind))
		return true;
	errno = state.plan.sys;
	if (!state.plan.sys && *n > 1)
		*n /= 2;
	return state.plan.sys == 0;
}

void inject_arm(const struct inject_plan *plan, int n)
{
	must(!atomic_load(&state.is_armed));
	state.plan = *plan;
	state.armed_with = n;
	atomic_store(&state.left, n);
	atomic_store(&state.fired, 0);
	atomic_store(&state.is_armed, true);
}

int inject_fired(void) { return atomic_load(&state.fired); }

int inject_calls(void) { return state.armed_with - atomic_load(&state.left); }

int inject_disarm(void)
{
	atomic_store(&state.is_armed, false);
	atomic_store(&state.only, 0);
	return inject_fired();
}

void inject_spare_me(void) { is_spared = true; }
void inject_single_out(pthread_t thread) { atomic_store(&state.only, thread); }

/* ---- the table of kernel calls ---- */

static int f_open(const char *path, int flags, mode_t mode)
{
	return fails(INJECT_OPEN) ? -1 : os_real.open(path, flags, mode);
}
static ssize_t f_read(int fd, void *buf, size_t n) { return passes(INJECT_READ, &n) ? os_real.read(fd, buf, n) : -1; }
static ssize_t f_write(int fd, const void *buf, size_t n)
{
	return passes(INJECT_WRITE, &n) ? os_real.write(fd, buf, n) : -1;
}
static int f_fsync(int fd) { return fails(INJECT_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd); }
/* A close that reports an error has closed all the same. */
static int f_close(int fd)
{
	bool is_bad = hits(INJECT_CLOSE);
	int rc = os_real.close(fd);
	if (is_bad)
		errno = state.plan.sys;
	return is_bad ? -1 : rc;
}
static int f_rename(const char *from, const char *to) { return fails(INJECT_RENAME) ? -1 : os_real.rename(from, to); }
static int f_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return fails(INJECT_RENAME) ? -1 : os_real.renameat(from_fd, from, to_fd, to);
}
static int f_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return fails(INJECT_RENAME) ? -1 : os_real.linkat(from_dir, from, to_dir, to, flags);
}
static int f_unlink(const char *path) { return fails(INJECT_UNLINK) ? -1 : os_real.unlink(path); }
static int f_unlinkat(int fd, const char *name, int flags)
{
	return fails(INJECT_UNLINK) ? -1 : os_real.unlinkat(fd, name, flags);
}
static int f_rmdir(const char *path) { return fails(INJECT_UNLINK) ? -1 : os_real.rmdir(path); }
static int f_mkdir(const char *path, mode_t mode) { return fails(INJECT_MKDIR) ? -1 : os_real.mkdir(path, mode); }
static DIR *f_opendir(const char *path) { return fails(INJECT_DIR) ? NULL : os_real.opendir(path); }
static struct dirent *f_readdir(DIR *dir) { return fails(INJECT_DIR) ? NULL : os_real.readdir(dir); }
static int f_openat(int fd, const char *name, int flags)
{
	return fails(INJECT_OPEN) ? -1 : os_real.openat(fd, name, flags);
}
static int f_pipe2(int fds[2], int flags) { return fails(INJECT_PIPE) ? -1 : os_real.pipe2(fds, flags); }
static int f_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	/* Taking one out fails only where it is not in. */
	return op != EPOLL_CTL_DEL && fails(INJECT_EPOLL) ? -1 : os_real.epoll_ctl(epoll_fd, op, fd, event);
}
static int f_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *pidfd)
{
	return fails(INJECT_CLONE) ? -1 : os_real.clone(fn, stack, flags, arg, pidfd);
}

static const struct os_calls faulty = {
	.open = f_open,
	.read = f_read,
	.write = f_write,
	.fsync = f_fsync,
	.close = f_close,
	.rename = f_rename,
	.renameat = f_renameat,
	.linkat = f_linkat,
	.unlink = f_unlink,
	.mkdir = f_mkdir,
	.opendir = f_opendir,
	.readdir = f_readdir,
	.openat = f_openat,
	.unlinkat = f_unlinkat,
	.rmdir = f_rmdir,
	.pipe2 = f_pipe2,
	.fallocate = fallocate, /* gaplog_test */
	.epoll_ctl = f_epoll_ctl,
	.clone = f_clone,
};

/* ---- below SQLite ---- */

static int db_open(const char *path, int flags, int mode)
{
	return fails(INJECT_DB_OPEN) ? -1 : open(path, flags, mode);
}
static ssize_t db_read(int fd, void *buf, size_t n) { return passes(INJECT_DB_READ, &n) ? read(fd, buf, n) : -1; }
static ssize_t db_pread(int fd, void *buf, size_t n, off_t at)
{
	return passes(INJECT_DB_READ, &n) ? pread(fd, buf, n, at) : -1;
}
static ssize_t db_write(int fd, const void *buf, size_t n)
{
	return passes(INJECT_DB_WRITE, &n) ? write(fd, buf, n) : -1;
}
static ssize_t db_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	/* The index of the write-ahead log is made longer by single bytes; nothing else is written so. */
	return passes(n == 1 ? INJECT_DB_INDEX : INJECT_DB_WRITE, &n) ? pwrite(fd, buf, n, at) : -1;
}
static int db_truncate(int fd, off_t size) { return fails(INJECT_DB_TRUNCATE) ? -1 : ftruncate(fd, size); }
static int db_unlink(const char *path) { return fails(INJECT_DB_UNLINK) ? -1 : unlink(path); }
static void *db_mmap(void *at, size_t len, int prot, int flags, int fd, off_t from)
{
	return fails(INJECT_DB_MMAP) ? MAP_FAILED : mmap(at, len, prot, flags, fd, from);
}

/* SQLite syncs through no table: these two stand in front of the C library's, for it alone (f_fsync goes past them). */
int fsync(int fd) { return fails(INJECT_DB_SYNC) ? -1 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return fails(INJECT_DB_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd); }

static void install_db_calls(void)
{
	static const struct {
		const char *name;
		sqlite3_syscall_ptr fn;
	} calls[] = {
		{ "open", (sqlite3_syscall_ptr)db_open },	{ "read", (sqlite3_syscall_ptr)db_read },
		{ "pread", (sqlite3_syscall_ptr)db_pread },	{ "pread64", (sqlite3_syscall_ptr)db_pread },
		{ "write", (sqlite3_syscall_ptr)db_write },	{ "pwrite", (sqlite3_syscall_ptr)db_pwrite },
		{ "pwrite64", (sqlite3_syscall_ptr)db_pwrite }, { "ftruncate", (sqlite3_syscall_ptr)db_truncate },
		{ "unlink", (sqlite3_syscall_ptr)db_unlink },	{ "mmap", (sqlite3_syscall_ptr)db_mmap },
	};
	sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");

	must(unix_vfs && unix_vfs->iVersion >= 3);
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		if (unix_vfs->xGetSystemCall(unix_vfs, calls[i].name)) /* some are not there in every build */
			must(unix_vfs->xSetSystemCall(unix_vfs, calls[i].name, calls[i].fn) == SQLITE_OK);
	}
}

static sqlite3_mem_methods real_memory;
static void *db_malloc(int n) { return hits(INJECT_DB_MEMORY) ? NULL : real_memory.xMalloc(n); }
static void *db_realloc(void *p, int n) { return hits(INJECT_DB_MEMORY) ? NULL : real_memory.xRealloc(p, n); }

static void install_db_memory(void)
{
	must(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) == SQLITE_OK);
	sqlite3_mem_methods memory = real_memory;
	memory.xMalloc = db_malloc;
	memory.xRealloc = db_realloc;
	must(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) == SQLITE_OK);
	/* Without the pools that hide the small allocations from the one above. */
	must(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
	must(sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0) == SQLITE_OK);
}

/* ---- other memory ---- */

static void *json_malloc(size_t n) { return hits(INJECT_JSON_MEMORY) ? NULL : malloc(n); }
static void *grow(size_t n) { return hits(INJECT_ARENA) ? NULL : mem_alloc(n); }

void inject_install(void)
{
	install_db_memory(); /* before SQLite is used at all */
	install_db_calls();
	json_grow = json_malloc;
	arena_grow = grow;
	os = faulty;
}

/* ---- what must not leak ---- */

int inject_count_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	must(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n - 3; /* ".", ".." and the folder itself */
}

int inject_count_children(void)
{
	int n = 0;
	while (waitpid(-1, NULL, WNOHANG) >= 0)
		n++;
	return n;
}
