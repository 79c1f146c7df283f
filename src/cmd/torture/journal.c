#include "cmd/torture/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "os/calls.h"
#include "os/file.h"

enum { PART_MAX = 1 << 20, ID_MAX = 1 << 24, FIELDS = 5 };

struct held {
	int64_t pid, task_id;
};

struct run {
	int64_t attempt, pid, ended; /* ended: the last attempt that did all */
};

enum rc journal_write(int fd, const struct journal_line *l, struct err *err)
{
	char text[160];
	int len = snprintf(text, sizeof text, "%c %lld %lld %lld %lld %lld\n", l->letter, (long long)l->instance_id,
	                   (long long)l->task_id, (long long)l->generation, (long long)l->attempt, (long long)l->pid);

	if (os.write(fd, text, (size_t)len) == len)
		return RC_OK;
	return err_sys(err, RC_IO, errno, "cannot write to the journal");
}

enum rc journal_open(struct journal *j, const char *folder, struct err *err)
{
	*j = (struct journal){ .offset = 0 };
	enum rc rc = path_join(j->path, folder, JOURNAL_FILE, err);
	return rc == RC_OK ? file_write(j->path, "", 0, 0600, err) : rc;
}

void journal_close(struct journal *j)
{
	mem_free(j->instances);
	mem_free(j->tasks);
	*j = (struct journal){ .offset = 0 };
}

/* Room for index id in an array of *n elements; false: no server gives such an id. */
static bool reserve(void **array, int64_t *n, size_t size, int64_t id)
{
	if (id < 0 || id > ID_MAX)
		return false;
	if (id < *n)
		return true;
	int64_t want = id + 1 > 2 * *n ? id + 256 : 2 * *n;
	*array = mem_grow(*array, (size_t)want, size);
	memset((char *)*array + (size_t)*n * size, 0, (size_t)(want - *n) * size);
	*n = want;
	return true;
}

static void begin(struct journal *j, const struct journal_line *l, struct findings *f)
{
	struct run *r = &j->tasks[l->task_id];
	struct held *h = &j->instances[l->instance_id];

	if (l->attempt <= r->attempt)
		findings_add(f, "E4",
		             "attempt %lld of task id %lld began (process %lld) after attempt %lld (process %lld)",
		             (long long)l->attempt, (long long)l->task_id, (long long)l->pid, (long long)r->attempt,
		             (long long)r->pid);
	r->attempt = l->attempt;
	r->pid = l->pid;
	*h = (struct held){ l->pid, l->task_id };
	j->n_begun++;
}

static void go_on(struct journal *j, const struct journal_line *l, struct findings *f)
{
	const struct held *h = &j->instances[l->instance_id];

	if (h->pid != l->pid || h->task_id != l->task_id)
		findings_add(
		        f, "E4",
		        "process %lld worked on task id %lld after process %lld had begun on task id %lld of the same "
		        "instance",
		        (long long)l->pid, (long long)l->task_id, (long long)h->pid, (long long)h->task_id);
	if (l->letter != 'E')
		return;
	j->tasks[l->task_id].ended = l->attempt;
}

static bool parse(const char *text, size_t len, struct journal_line *l)
{
	int64_t *const fields[FIELDS] = { &l->instance_id, &l->task_id, &l->generation, &l->attempt, &l->pid };
	const char *p = text + 1, *end = text + len;

	if (len < 2)
		return false;
	l->letter = text[0];
	for (int i = 0; i < FIELDS; i++) {
		if (p >= end || *p != ' ')
			return false;
		p++;
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		size_t width = (size_t)((blank ? blank : end) - p);
		if (!num_i64_n(p, width, fields[i]))
			return false;
		p += width;
	}
	return p == end;
}

static void take_line(struct journal *j, const char *text, size_t len, struct findings *f)
{
	struct journal_line l;

	if (!parse(text, len, &l) || !reserve((void **)&j->tasks, &j->n_tasks, sizeof *j->tasks, l.task_id) ||
	    !reserve((void **)&j->instances, &j->n_instances, sizeof *j->instances, l.instance_id)) {
		findings_add(f, "journal", "a line that no task writes: %.*s", (int)(len < 80 ? len : 80), text);
		return;
	}
	if (l.letter == 'B')
		begin(j, &l, f);
	else if (l.letter == 'X')
		findings_add(f, "E4", "process %lld (task id %lld) found process %lld at work on the same instance",
		             (long long)l.pid, (long long)l.task_id, (long long)l.attempt);
	else
		go_on(j, &l, f);
}

enum rc journal_read(struct journal *j, struct findings *f, struct err *err)
{
	struct buf part;
	enum rc rc;

	buf_init(&part, PART_MAX);
	do {
		buf_reset(&part);
		rc = file_read_part(j->path, j->offset, PART_MAX, &part, err);
		size_t used = 0;
		for (const char *end; rc == RC_OK && used < part.len; used = (size_t)(end - part.bytes) + 1) {
			end = memchr(part.bytes + used, '\n', part.len - used);
			if (!end)
				break; /* its writer was killed, or is writing */
			take_line(j, part.bytes + used, (size_t)(end - (part.bytes + used)), f);
		}
		j->offset += (int64_t)used;
	} while (rc == RC_OK && part.len == PART_MAX);
	buf_fini(&part);
	return rc;
}

bool journal_has_ended(const struct journal *j, int64_t task_id, int64_t attempt)
{
	return task_id >= 0 && task_id < j->n_tasks && j->tasks[task_id].ended == attempt;
}
