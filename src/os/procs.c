#include "os/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "os/file.h"

enum { ENV_SIZE_MAX = 262144, STAT_SIZE = 1024 };

static bool is_exhausted(int sys) { return sys == EMFILE || sys == ENFILE || sys == ENOMEM; }

/* Of /proc/NAME. p may be NULL: then nothing is in reserve. -1 and errno. */
static int open_stat(struct procs *p, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%.20s/stat", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || !is_exhausted(errno) || !p || p->spare_fd < 0)
		return fd;
	(void)close(p->spare_fd); /* its place is taken at once; close_stat keeps it again */
	p->spare_fd = -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void close_stat(struct procs *p, int fd)
{
	if (p && p->spare_fd < 0)
		p->spare_fd = fd;
	else
		(void)close(fd); /* opened for reading: nothing to lose */
}

void procs_init(struct procs *p)
{
	*p = (struct procs){ .dir = opendir("/proc"), .spare_fd = -1 }; /* without it each look tries again */
	p->spare_fd = open_stat(NULL, "self");
}

void procs_fini(struct procs *p)
{
	mem_free(p->rows);
	if (p->dir)
		(void)closedir(p->dir);
	if (p->spare_fd >= 0)
		(void)close(p->spare_fd);
	*p = (struct procs){ .spare_fd = -1 };
}

/* The numbers of a stat line by their place; those before the third (pid, name) and the third (state) stay 0. */
enum { FIELD_PARENT = 4, FIELD_GROUP = 5, FIELD_USER = 14, FIELD_WAITED_SYSTEM = 17, FIELD_START = 22,
       FIELD_RESIDENT = 24, FIELDS };

static bool parse_stat(const char *text, char *state, int64_t field[FIELDS])
{
	const char *p = strrchr(text, ')'); /* the name before it may hold anything */

	if (!p || p[1] != ' ' || !p[2])
		return false;
	p += 2;
	*state = *p;
	for (int i = 4; i < FIELDS; i++) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
		if (!*p || !num_i64_n(p, strcspn(p, " \n"), &field[i]))
			return false;
	}
	return true;
}

/* False and errno: there is no such process, or it cannot be seen now. */
static bool read_row(struct procs *p, const char *name, pid_t pid, struct procs_row *out)
{
	char text[STAT_SIZE];
	int64_t field[FIELDS] = { 0 };

	int fd = open_stat(p, name);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	int sys = errno;
	close_stat(p, fd);
	errno = n < 0 ? sys : ESRCH;
	if (n <= 0)
		return false;
	text[n] = '\0';
	*out = (struct procs_row){ .pid = pid };
	if (!parse_stat(text, &out->state, field))
		return false;
	int64_t ticks = 0;
	for (int i = FIELD_USER; i <= FIELD_WAITED_SYSTEM; i++)
		ticks += field[i];
	out->parent = (pid_t)field[FIELD_PARENT];
	out->group = (pid_t)field[FIELD_GROUP];
	out->start_ticks = field[FIELD_START];
	out->cpu_ms = ticks * 1000 / sysconf(_SC_CLK_TCK);
	out->resident_size = field[FIELD_RESIDENT] * sysconf(_SC_PAGESIZE);
	return true;
}

static void add(struct procs *p, const struct procs_row *row)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 256;
		p->rows = mem_grow(p->rows, p->cap, sizeof *p->rows);
	}
	p->rows[p->n++] = *row;
}

static int by_pid(const void *x, const void *y)
{
	const struct procs_row *a = x, *b = y;
	return (a->pid > b->pid) - (a->pid < b->pid);
}

static struct dirent *next_entry(struct procs *p)
{
	errno = 0;
	struct dirent *e = readdir(p->dir);
	p->is_whole = p->is_whole && (e || !is_exhausted(errno));
	return e;
}

void procs_look(struct procs *p)
{
	p->n = 0;
	if (p->dir)
		rewinddir(p->dir);
	else
		p->dir = opendir("/proc");
	p->is_whole = p->dir || !is_exhausted(errno);
	if (!p->dir)
		return;
	for (struct dirent *e = next_entry(p); e; e = next_entry(p)) {
		int64_t pid;
		struct procs_row row;
		if (!num_i64(e->d_name, &pid) || pid <= 0 || pid > INT_MAX)
			continue;
		if (read_row(p, e->d_name, (pid_t)pid, &row))
			add(p, &row);
		else if (is_exhausted(errno))
			p->is_whole = false; /* else it has ended meanwhile */
	}
	if (p->n)
		qsort(p->rows, p->n, sizeof *p->rows, by_pid);
}

const struct procs_row *procs_find(const struct procs *p, pid_t pid)
{
	const struct procs_row key = { .pid = pid };
	return p->n ? bsearch(&key, p->rows, p->n, sizeof key, by_pid) : NULL;
}

/* As it is now. False: there is no such process. */
static bool read_now(struct procs *p, pid_t pid, struct procs_row *out)
{
	char name[24];

	(void)snprintf(name, sizeof name, "%d", (int)pid);
	return pid > 1 && read_row(p, name, pid, out);
}

static bool is_still(struct procs *p, const struct procs_row *row)
{
	struct procs_row now;
	return read_now(p, row->pid, &now) && now.start_ticks == row->start_ticks;
}

int64_t procs_cpu_ms(pid_t pid)
{
	struct procs_row now;
	return read_now(NULL, pid, &now) ? now.cpu_ms : -1;
}

void procs_kill(struct procs *p, const struct procs_row *row)
{
	if (is_still(p, row))
		(void)kill(row->pid, SIGKILL); /* gone by itself meanwhile: as good */
}

void procs_raise_file_limit(const struct procs_row *row, int64_t size)
{
	struct rlimit limit;

	if (!is_still(NULL, row) || prlimit(row->pid, RLIMIT_FSIZE, NULL, &limit) != 0 ||
	    limit.rlim_cur >= (rlim_t)size)
		return;
	limit.rlim_cur = (rlim_t)size < limit.rlim_max ? (rlim_t)size : limit.rlim_max;
	(void)prlimit(row->pid, RLIMIT_FSIZE, &limit, NULL); /* gone, or another user's now: it stays as it is */
}

/* "0.31 0.20 0.18 2/417 90113": behind the slash. */
int64_t procs_threads(void)
{
	char text[128];
	int64_t n = -1;

	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t len = read(fd, text, sizeof text - 1);
	(void)close(fd); /* opened for reading: nothing to lose */
	text[len < 0 ? 0 : len] = '\0';
	const char *slash = strchr(text, '/');
	return slash && num_i64_n(slash + 1, strspn(slash + 1, "0123456789"), &n) ? n : -1;
}

bool procs_may_have_adopted(void)
{
	char path[64], first;

	(void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	bool is_empty = read(fd, &first, 1) == 0;
	(void)close(fd); /* opened for reading: nothing to lose */
	return !is_empty;
}

int64_t procs_share_size(pid_t pid)
{
	char path[64];
	struct buf text;
	int64_t kib = -1;

	(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	buf_init(&text, 65536);
	const char *p = file_read(path, &text, NULL) == RC_OK ? strstr(buf_text(&text), "\nPss:") : NULL;
	if (p) {
		p += strlen("\nPss:");
		p += strspn(p, " \t");
		if (!num_i64_n(p, strspn(p, "0123456789"), &kib))
			kib = -1;
	}
	buf_fini(&text);
	return kib < 0 ? -1 : kib * 1024;
}

bool procs_env(pid_t pid, const char *name, char *out, size_t out_size)
{
	char path[64];
	struct buf env;
	size_t len = strlen(name);
	bool is_found = false;

	(void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	buf_init(&env, ENV_SIZE_MAX);
	enum rc rc = file_read(path, &env, NULL);
	bool is_read = rc == RC_OK || rc == RC_LIMIT; /* a too long one is judged by its beginning */
	for (size_t at = 0; is_read && at < env.len && !is_found; at += strlen(env.bytes + at) + 1) {
		const char *entry = env.bytes + at;
		is_found = strncmp(entry, name, len) == 0 && entry[len] == '=';
		if (is_found)
			(void)snprintf(out, out_size, "%s", entry + len + 1); /* cutting is fine */
	}
	buf_fini(&env);
	return is_found;
}
