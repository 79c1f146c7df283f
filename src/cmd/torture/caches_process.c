#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/num.h"
#include "cache/wire.h"
#include "cmd/torture/caches.h"
#include "os/file.h"

enum { COMM_MAX = 64, ANSWER_LIMIT_MS = 5000 };

static bool is_redis(const char *pid)
{
	char path[64];
	struct buf text;

	(void)snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
	buf_init(&text, COMM_MAX);
	bool is = file_read(path, &text, NULL) == RC_OK && strcmp(buf_text(&text), "redis-server\n") == 0;
	buf_fini(&text);
	return is;
}

/* The instance below DATA/cache in whose folder it works. */
static bool works_for(const char *pid, const char *root, char uid[CACHE_UID_SIZE])
{
	char link[64], dir[PATH_MAX];
	size_t len = strlen(root);

	(void)snprintf(link, sizeof link, "/proc/%.20s/cwd", pid);
	ssize_t n = readlink(link, dir, sizeof dir - 1);
	if (n <= 0)
		return false;
	dir[n] = '\0';
	if (strncmp(dir, root, len) != 0 || dir[len] != '/')
		return false;
	(void)snprintf(uid, CACHE_UID_SIZE, "%.*s", (int)strcspn(dir + len + 1, "/"), dir + len + 1);
	return true;
}

size_t redis_list(const char *data, struct redis_process out[REDIS_MAX])
{
	char root[PATH_MAX];
	size_t n = 0;
	DIR *dir = opendir("/proc");

	if (!dir || path_join(root, data, "cache", NULL) != RC_OK)
		root[0] = '\0';
	for (const struct dirent *e = dir ? readdir(dir) : NULL; e && n < REDIS_MAX && *root; e = readdir(dir)) {
		int64_t pid;
		if (!num_i64(e->d_name, &pid) || !is_redis(e->d_name) || !works_for(e->d_name, root, out[n].uid))
			continue;
		out[n++].pid = (pid_t)pid;
	}
	if (dir)
		(void)closedir(dir);
	return n;
}

bool redis_kill_one(const char *data, struct rng *r)
{
	struct redis_process live[REDIS_MAX];
	size_t n = redis_list(data, live);

	if (n == 0)
		return false;
	(void)kill(live[rng_below(r, n)].pid, SIGKILL); /* ended meanwhile: as good */
	return true;
}

void redis_kill_all(const char *data)
{
	struct redis_process live[REDIS_MAX];

	for (size_t n = redis_list(data, live), k = 0; k < n; k++)
		(void)kill(live[k].pid, SIGKILL);
}

enum rc cache_connect(const struct cache_fact *f, struct wire **out, struct err *err)
{
	static const struct cache_run run = { .timeout_ms = ANSWER_LIMIT_MS };
	static _Thread_local int percent; /* of an operation that tells no steps, and lives as long as the connection */
	struct op op = op_start(&run, &percent);

	return wire_open(&op, f->ip, f->port, "default", CACHE_PASSWORD, out, err);
}
