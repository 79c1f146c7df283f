#include "cache/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/attr.h"
#include "cache/cache.h"
#include "cache/wire.h"

#define COMMAND_PREFIX "cmdstat_"
enum { COMMANDS_MAX = 1024, COMMAND_NAME_SIZE = 80, LOOKUPS_ENOUGH = 1000 };

/* ---- commands ---- */

static const char *const linear[] = {
	"keys",        "flushall",   "flushdb",      "sort",          "sort_ro",          "hgetall",
	"hkeys",       "hvals",      "smembers",     "sunion",        "sunionstore",      "sinter",
	"sinterstore", "sintercard", "sdiff",        "sdiffstore",    "lrange",           "lrem",
	"linsert",     "lpos",       "zrange",       "zrevrange",     "zrangebyscore",    "zrevrangebyscore",
	"zrangebylex", "zrevrangebylex", "zunion",   "zunionstore",   "zinter",           "zinterstore",
	"zdiff",       "zdiffstore", "zrangestore",  "zremrangebyrank", "zremrangebyscore", "zremrangebylex",
	"xrange",      "xrevrange",  "bitcount",     "bitop",         "lcs",
};

bool command_is_linear(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(linear); i++) {
		if (strcmp(linear[i], name) == 0)
			return true;
	}
	return false;
}

/* What runs other commands, which Redis times on their own as well: to count both would count them twice. */
static bool is_container(const char *name)
{
	static const char *const containers[] = { "eval",  "eval_ro",  "evalsha", "evalsha_ro",
		                                  "fcall", "fcall_ro", "exec" };

	for (size_t i = 0; i < ARRAY_LEN(containers); i++) {
		if (strcmp(containers[i], name) == 0)
			return true;
	}
	return false;
}

static int by_time(const void *a, const void *b)
{
	const struct cache_command *x = a, *y = b;
	if (x->usec != y->usec)
		return x->usec < y->usec ? 1 : -1;
	return strcmp(x->name, y->name);
}

static size_t count_commands(const struct buf *info)
{
	char line[COMMAND_NAME_SIZE];
	const char *at = NULL;
	size_t n = 0;

	while (n < COMMANDS_MAX && info_next(info, COMMAND_PREFIX, &at, line, sizeof line))
		n++;
	return n;
}

void measure_commands(const struct buf *info, struct arena *a, struct cache_commands *out)
{
	char line[COMMAND_NAME_SIZE];
	const char *at = NULL;
	size_t n = count_commands(info);
	struct cache_commands all = { .list = arena_array(a, n ? n : 1, sizeof *all.list) };

	while (all.list && all.n < n && info_next(info, COMMAND_PREFIX, &at, line, sizeof line)) {
		struct cache_command c = { .name = arena_dup(a, line + strlen(COMMAND_PREFIX)),
			                   .calls = info_part(info, line, "calls", 0),
			                   .usec = info_part(info, line, "usec", 0) };
		if (!c.name)
			break;
		all.usec += c.usec;
		all.list[all.n++] = c;
	}
	if (all.n > 1)
		qsort(all.list, all.n, sizeof *all.list, by_time);
	*out = all;
}

/* Time since the look before; of a counter that was set back meanwhile, since then. */
static int64_t usec_since(const struct cache_commands *before, const struct cache_command *c)
{
	for (size_t i = 0; i < before->n; i++) {
		if (strcmp(before->list[i].name, c->name) == 0 && before->list[i].usec <= c->usec)
			return c->usec - before->list[i].usec;
	}
	return c->usec;
}

static double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

struct times {
	int64_t all, linear; /* microseconds */
};

static void add_time(struct times *t, const struct cache_command *c, int64_t usec)
{
	t->all += is_container(c->name) ? 0 : usec;
	t->linear += command_is_linear(c->name) ? usec : 0;
}

static void sum_times(const struct cache_commands *before, const struct cache_commands *now, struct times *ever,
                      struct times *since)
{
	*ever = *since = (struct times){ 0, 0 };
	for (size_t i = 0; i < now->n; i++) {
		add_time(ever, &now->list[i], now->list[i].usec);
		add_time(since, &now->list[i], usec_since(before, &now->list[i]));
	}
}

void measure_shares(const struct cache_commands *before, const struct cache_commands *now, struct figures *f)
{
	struct times ever, since;

	sum_times(before, now, &ever, &since);
	f->value[FIGURE_LINEAR] = share((double)ever.linear, (double)ever.all);
	f->value[FIGURE_LINEAR_S] = (double)ever.linear / 1e6;
	f->value[FIGURE_LINEAR_NOW] = share((double)since.linear, (double)since.all);
}

void names_add(struct names *names, const char *name)
{
	size_t len = strlen(names->text), more = strlen(name);
	const char *found = strstr(names->text, name);

	for (; found; found = strstr(found + 1, name)) {
		bool begins = found == names->text || found[-1] == ' ';
		if (begins && (found[more] == ',' || found[more] == '\0'))
			return;
	}
	if (more && len + more + 3 <= sizeof names->text)
		(void)snprintf(names->text + len, sizeof names->text - len, "%s%s", len ? ", " : "", name);
}

static bool is_tenth(int64_t part, int64_t whole) { return part > 0 && part >= whole / 10; }

void measure_linear_names(const struct cache_commands *before, const struct cache_commands *now, struct names *out)
{
	struct times ever, since;

	sum_times(before, now, &ever, &since);
	for (size_t i = 0; i < now->n; i++) {
		const struct cache_command *c = &now->list[i];
		bool is_much = is_tenth(c->usec, ever.all) || is_tenth(usec_since(before, c), since.all);
		if (is_much && command_is_linear(c->name))
			names_add(out, c->name);
	}
}

/* ---- INFO ---- */

static double number(const struct buf *info, const char *name) { return info_real(info, name, NAN); }

/* Growth of a counter; one that was set back meanwhile counts from there. */
static double growth(const struct buf *before, const struct buf *now, const char *name)
{
	double from = number(before, name), to = number(now, name);
	return to < from ? to : to - from;
}

static double flag(bool is_known, bool is_set) { return !is_known ? NAN : is_set ? 1 : 0; }

static bool has(const struct buf *info, const char *name)
{
	char value[64];
	return info_text(info, name, value, sizeof value);
}

static bool has_child(const struct buf *info)
{
	return info_int(info, "rdb_bgsave_in_progress", 0) == 1 || info_int(info, "aof_rewrite_in_progress", 0) == 1;
}

static double seconds_between(const struct buf *before, const struct buf *now)
{
	double s = (number(now, "server_time_usec") - number(before, "server_time_usec")) / 1e6;
	return s > 0 ? s : NAN;
}

static void measure_load(const struct buf *before, const struct buf *now, double s, struct figures *f)
{
	double rate = growth(before, now, "total_commands_processed") / s;
	double average = share(number(now, "total_commands_processed"), number(now, "uptime_in_seconds"));

	f->value[FIGURE_CPU] = (growth(before, now, "used_cpu_sys_main_thread") +
	                        growth(before, now, "used_cpu_user_main_thread")) / s;
	f->value[FIGURE_PERSISTING] =
	        flag(has(now, "rdb_bgsave_in_progress"), has_child(before) || has_child(now));
	f->value[FIGURE_QPS_GROWTH] = share(rate, average);
}

/* The allocator's own figures leave out what no purge gives back: the program, its libraries, pages in reserve. Without
 * jemalloc there are none. */
static void measure_memory(const struct buf *now, struct figures *f)
{
	double size = number(now, "maxmemory"), ratio = number(now, "allocator_frag_ratio");
	double used = number(now, "used_memory") - number(now, "mem_not_counted_for_evict");
	bool has_allocator = !isnan(ratio);

	f->value[FIGURE_FRAGMENTATION] = has_allocator ? ratio : number(now, "mem_fragmentation_ratio");
	double bytes = number(now, has_allocator ? "allocator_frag_bytes" : "mem_fragmentation_bytes");
	f->value[FIGURE_FRAGMENTED] = size > 0 ? bytes / size : NAN;
	f->value[FIGURE_MEMORY] = size > 0 ? used / size : NAN;
}

static void measure_persistence(const struct buf *before, const struct buf *now, struct figures *f)
{
	bool is_aof_off = info_int(now, "aof_enabled", 0) == 0;

	f->value[FIGURE_SAVE_FAILED] =
	        flag(has(now, "rdb_last_bgsave_status"), !info_is(now, "rdb_last_bgsave_status", "ok"));
	f->value[FIGURE_AOF_FAILED] =
	        flag(has(now, "aof_last_write_status") && has(now, "aof_last_bgrewrite_status"),
	             !info_is(now, "aof_last_write_status", "ok") || !info_is(now, "aof_last_bgrewrite_status", "ok"));
	/* Told only while there is an append-only file. */
	f->value[FIGURE_FSYNC_DELAYED] = is_aof_off ? 0 : growth(before, now, "aof_delayed_fsync");
}

static void measure_expiry(const struct buf *before, const struct buf *now, struct figures *f)
{
	f->value[FIGURE_STALE] = number(now, "expired_stale_perc") / 100;
	f->value[FIGURE_EXPIRE_CUT] = growth(before, now, "expired_time_cap_reached_count");
	f->value[FIGURE_EXPIRING] = (double)info_sum(now, "db", "expires");
}

static void measure_hits(const struct buf *before, const struct buf *now, struct figures *f)
{
	double hits = growth(before, now, "keyspace_hits"), misses = growth(before, now, "keyspace_misses");

	if (!(hits + misses >= LOOKUPS_ENOUGH)) {
		hits = number(now, "keyspace_hits");
		misses = number(now, "keyspace_misses");
	}
	f->value[FIGURE_LOOKUPS] = hits + misses;
	f->value[FIGURE_HIT_RATIO] = hits + misses > 0 ? hits / (hits + misses) : NAN;
}

static void measure_network(const struct buf *before, const struct buf *now, double bandwidth, double s,
                            struct figures *f)
{
	double clients = number(now, "connected_clients") - 1; /* without the one that asks */
	double clients_max = number(now, "maxclients");

	f->value[FIGURE_CLIENTS] = clients_max > 0 ? clients / clients_max : NAN;
	f->value[FIGURE_REJECTED] = growth(before, now, "rejected_connections");
	f->value[FIGURE_RECEIVED] =
	        bandwidth > 0 ? growth(before, now, "total_net_input_bytes") / s / bandwidth : NAN;
}

void measure_info(const struct buf *before, const struct buf *now, double bandwidth, struct figures *f)
{
	double s = seconds_between(before, now);

	measure_load(before, now, s, f);
	measure_memory(now, f);
	measure_persistence(before, now, f);
	measure_expiry(before, now, f);
	measure_hits(before, now, f);
	measure_network(before, now, bandwidth, s, f);
}

/* ---- when keys end ---- */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

void measure_ends(int64_t *ends_s, size_t n, struct figures *f)
{
	size_t most = 0, run = 0;

	if (n > 1)
		qsort(ends_s, n, sizeof *ends_s, by_value);
	for (size_t i = 0; i < n; i++) {
		run = i > 0 && ends_s[i] == ends_s[i - 1] ? run + 1 : 1;
		most = run > most ? run : most;
	}
	f->value[FIGURE_SAME_SECOND] = n < SAMPLE_MIN ? 0 : (double)most / (double)n;
	f->value[FIGURE_SAME_SECOND_KEYS] = f->value[FIGURE_SAME_SECOND] * f->value[FIGURE_EXPIRING];
}
