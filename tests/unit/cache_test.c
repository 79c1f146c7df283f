/*
 * Real redis-server processes on addresses of 127/8 that only this run uses, in a folder of its own under TMPDIR.
 * Nothing sleeps to be in time: operations wait by themselves, each with a deadline that only a failing test reaches.
 */
#include "cache/cache.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/must.h"
#include "base/num.h"
#include "cache/analyse.h"
#include "cache/cache_priv.h"
#include "cache/log.h"
#include "cache/wire.h"
#include "os/file.h"
#include "os/proc.h"
#include "test.h"

enum { MIB = 1 << 20, PATIENCE_MS = 60000 };

static char root[PATH_MAX];
static int net, last_host;
static const struct cache_run run = { .timeout_ms = PATIENCE_MS };

/* ---- instances ---- */

static void next_host(char out[CACHE_HOST_SIZE])
{
	last_host++;
	(void)snprintf(out, CACHE_HOST_SIZE, "127.%d.%d.%d", 2 + net / 250 % 250, 1 + net % 250, last_host);
}

static bool stopped(struct cache_instance *c)
{
	int percent;
	struct op op = op_start(&run, &percent);
	return stop_all(&op, c, NULL) == RC_OK;
}

static struct cache_instance describe(const char *name, enum cache_mode mode)
{
	struct cache_instance c = {
		.mode = mode, .port = 16379, .capacity = 64 * MIB, .n_nodes = mode == CACHE_HA ? 2 : 1
	};
	int len = snprintf(c.dir, sizeof c.dir, "%s/%s", root, name);

	must(len > 0 && (size_t)len < sizeof c.dir);
	next_host(c.host);
	for (int i = 0; i < c.n_nodes; i++) {
		c.nodes[i] = (struct cache_node){ .number = i, .priority = 100 };
		next_host(c.nodes[i].host);
	}
	return c;
}

static bool made(struct cache_instance *c)
{
	struct err e = { .rc = RC_OK };
	EXPECT(cache_create(c, &run, &e) == RC_OK, "create: %s", e.msg);
	return e.rc == RC_OK;
}

static void gone(struct cache_instance *c)
{
	struct err e = { .rc = RC_OK };
	EXPECT(cache_delete(c, &run, &e) == RC_OK, "delete: %s", e.msg);
	EXPECT(!file_exists(c->dir), "%s is still there", c->dir);
}

/* ---- as a client ---- */

static struct wire *client(const char *host, int port, const char *password, struct err *err)
{
	static int percent;
	static struct op op;
	struct wire *w = NULL;

	op = op_start(&run, &percent);
	return wire_open(&op, host, port, password ? "default" : NULL, password, &w, err) == RC_OK ? w : NULL;
}

/* The answer as text; "!..." for an error. A new connection each time. */
static const char *ask_at(const char *host, int port, const char *password, const char *const *argv, int argc)
{
	static char text[4096];
	struct err e = { .rc = RC_OK };
	CLEANUP(wire_closep) struct wire *w = client(host, port, password, &e);
	CLEANUP(reply_freep) redisReply *r = NULL;

	if (!w || wire_callv(w, &r, &e, argv, argc) != RC_OK)
		(void)snprintf(text, sizeof text, "!%s", e.msg);
	else if (r->type == REDIS_REPLY_INTEGER)
		(void)snprintf(text, sizeof text, "%lld", r->integer);
	else
		(void)snprintf(text, sizeof text, "%s",
		               r->type == REDIS_REPLY_NIL ? "(nil)"
		               : reply_is_text(r)         ? r->str
		                                          : "(array)");
	return text;
}
#define ASK(c, password, ...)                                                                                          \
	ask_at((c)->host, (c)->port, (password), (const char *const[]){ __VA_ARGS__ },                                 \
	       (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)))
#define EXPECT_ANSWER(want, c, password, ...)                                                                          \
	do {                                                                                                           \
		const char *got_ = ASK(c, password, __VA_ARGS__);                                                      \
		EXPECT(strcmp(got_, (want)) == 0, "answer '%s', not '%s'", got_, (want));                              \
	} while (0)

/* ---- descriptions ---- */

static void no_change(struct cache_instance *c) { (void)c; }
static void relative_dir(struct cache_instance *c) { (void)snprintf(c->dir, sizeof c->dir, "cache"); }
static void newline_dir(struct cache_instance *c) { (void)snprintf(c->dir, sizeof c->dir, "/tmp/a\nrequirepass x"); }
static void named_host(struct cache_instance *c) { (void)snprintf(c->host, sizeof c->host, "localhost"); }
static void bad_port(struct cache_instance *c) { c->port = 65536; }
static void tiny(struct cache_instance *c) { c->capacity = 1000; }
static void bad_hash(struct cache_instance *c) { (void)snprintf(c->password_hash, sizeof c->password_hash, "secret"); }
static void shared_host(struct cache_instance *c) { memcpy(c->nodes[1].host, c->nodes[0].host, CACHE_HOST_SIZE); }
static void client_host(struct cache_instance *c) { memcpy(c->nodes[1].host, c->host, CACHE_HOST_SIZE); }
static void same_number(struct cache_instance *c) { c->nodes[1].number = 0; }
static void lonely(struct cache_instance *c) { c->n_nodes = 1; }
static void bad_master(struct cache_instance *c) { c->master = 2; }
static void unknown_setting(struct cache_instance *c)
{
	c->settings[c->n_settings++] = (struct cache_setting){ "requirepass", "x" };
}
static void events(struct cache_instance *c)
{
	c->settings[c->n_settings++] = (struct cache_setting){ "notify-keyspace-events", "KAg" };
}
static void rename_config(struct cache_instance *c)
{
	c->renames[c->n_renames++] = (struct cache_rename){ "config", "abcd" };
}
static void rename_short(struct cache_instance *c)
{
	c->renames[c->n_renames++] = (struct cache_rename){ "keys", "abc" };
}

TEST(descriptions_are_checked)
{
	const struct {
		void (*spoil)(struct cache_instance *c);
		const char *says;
	} row[] = {
		{ no_change, NULL },
		{ relative_dir, "absolute" },
		{ newline_dir, "control character" },
		{ named_host, "no IP" },
		{ bad_port, "65536" },
		{ tiny, "1000 bytes" },
		{ bad_hash, "SHA-256" },
		{ shared_host, "two nodes" },
		{ client_host, "clients' address" },
		{ same_number, "number 0" },
		{ lonely, "1 nodes" },
		{ bad_master, "index 2" },
		{ events, "A contains" },
		{ unknown_setting, "'requirepass'" },
		{ rename_config, "'config'" },
		{ rename_short, "'abc'" },
	};
	FOR_EACH_ROW (i, row) {
		struct cache_instance c = describe("checked", CACHE_HA), before;
		struct err e = { .rc = RC_OK };
		row[i].spoil(&c);
		memcpy(&before, &c, sizeof c);
		enum rc want = row[i].says ? RC_INVALID : RC_OK;
		EXPECT(cache_check(&c, &e) == want, "row %zu: %s", i, e.msg);
		EXPECT(!row[i].says || strstr(e.msg, row[i].says), "row %zu said '%s'", i, e.msg);
		EXPECT(!row[i].says || cache_create(&c, &run, &e) == RC_INVALID, "row %zu was made", i);
		EXPECT(memcmp(&before, &c, sizeof c) == 0, "row %zu: description touched", i);
	}
	char hash[CACHE_HASH_SIZE];
	cache_hash_password("abc", hash); /* FIPS 180-2, example B.1 */
	EXPECT(strcmp(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0, "%s", hash);
}

/* ---- one node ---- */

static void check_secrecy(const struct cache_instance *c, const char *password)
{
	static const char *const files[] = { "admin.key", "node-0/redis.conf" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[PATH_MAX];
		struct stat st;
		struct buf text;
		must(path_join(path, c->dir, files[i], NULL) == RC_OK);
		EXPECT(stat(path, &st) == 0 && (st.st_mode & 077) == 0, "%s may be read by others", path);
		buf_init(&text, MIB);
		EXPECT(file_read(path, &text, NULL) == RC_OK && !strstr(buf_text(&text), password), "%s tells it",
		       path);
		buf_fini(&text);
	}
}

static void check_password(struct cache_instance *c)
{
	struct err e = { .rc = RC_OK };
	char hash[CACHE_HASH_SIZE];

	cache_hash_password("se\"cret 2", hash);
	EXPECT(cache_set_password(c, hash, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("kept", c, "se\"cret 2", "GET", "a");
	EXPECT(strstr(ASK(c, "first", "GET", "a"), "WRONGPASS"), "the old password opens");
	EXPECT(strstr(ASK(c, NULL, "GET", "a"), "NOAUTH"), "no password opens");
	EXPECT(cache_restart(c, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("kept", c, "se\"cret 2", "GET", "a");
	check_secrecy(c, "se\"cret 2");
	EXPECT(cache_set_password(c, "", &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("kept", c, NULL, "GET", "a");
}

static void check_size(struct cache_instance *c)
{
	struct err e = { .rc = RC_OK };
	struct cache_view view;
	static char big[6 * MIB + 1];

	memset(big, 'x', sizeof big - 1);
	EXPECT_ANSWER("OK", c, NULL, "SET", "big", big);
	EXPECT(cache_resize(c, 4 * MIB, &run, &e) == RC_CONFLICT && strstr(e.msg, "MiB are used"), "%s", e.msg);
	EXPECT(c->capacity == 64 * MIB, "capacity touched");
	EXPECT(cache_resize(c, 32 * MIB, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("1", c, NULL, "DEL", "big");
	EXPECT(cache_restart(c, &run, &e) == RC_OK, "%s", e.msg);
	cache_look(c, 3000, &view);
	EXPECT(view.is_serving && view.nodes[0].max_memory == 32 * MIB, "max_memory %lld",
	       (long long)view.nodes[0].max_memory);
	EXPECT(view.nodes[0].keys == 1 && view.nodes[0].is_aof_on, "keys %lld", (long long)view.nodes[0].keys);
}

/* Part number i of a live client-output-buffer-limit: "normal 0 0 0 slave 1 2 3 pubsub ...". */
static bool live_output_limit(const char *text, int i, char *out, size_t size)
{
	const char *p = strstr(text, "slave ");
	for (int skip = 0; p && skip <= i; skip++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	size_t len = p ? strcspn(p, " ") : 0;
	(void)snprintf(out, size, "%.*s", (int)len, p ? p : "");
	return len > 0 && len < size;
}

/* What the master really runs with. */
static bool live_setting(const struct cache_instance *c, const char *name, char *out, size_t size)
{
	static const char *const limits[] = { "client-output-buffer-slave-hard-limit",
		                              "client-output-buffer-slave-soft-limit",
		                              "client-output-buffer-limit-slave-soft-seconds" };
	CLEANUP(wire_closep) struct wire *w = NULL;
	CLEANUP(reply_freep) redisReply *r = NULL;
	int part = -1, percent;
	struct op op = op_start(&run, &percent);

	for (int i = 0; i < (int)ARRAY_LEN(limits); i++)
		part = strcmp(name, limits[i]) == 0 ? i : part;
	if (node_open(&op, c, c->master, &w, NULL) != RC_OK ||
	    wire_call(w, &r, NULL, "CONFIG", "GET", part >= 0 ? "client-output-buffer-limit" : name) != RC_OK ||
	    r->type != REDIS_REPLY_ARRAY || r->elements != 2 || !reply_is_text(r->element[1]))
		return false;
	if (part >= 0)
		return live_output_limit(r->element[1]->str, part, out, size);
	return (size_t)snprintf(out, size, "%s", r->element[1]->str) < size;
}

static void check_settings(struct cache_instance *c)
{
	struct err e = { .rc = RC_OK };
	const struct cache_setting good[] = { { "timeout", "77" },
		                              { "maxmemory-policy", "allkeys-lfu" },
		                              { "notify-keyspace-events", "AKE" },
		                              { "client-output-buffer-slave-soft-limit", "1048576" } };
	const struct cache_setting bad[] = { { "timeout", "78" }, { "maxmemory-policy", "sometimes" } };

	EXPECT(cache_configure(c, bad, 2, &run, &e) == RC_INVALID && strstr(e.msg, "sometimes"), "%s", e.msg);
	EXPECT(c->n_settings == 0, "settings touched");
	EXPECT(cache_configure(c, good, 4, &run, &e) == RC_OK && c->n_settings == 4, "%s", e.msg);
	EXPECT(cache_restart(c, &run, &e) == RC_OK, "%s", e.msg);
	for (size_t i = 0; i < n_cache_rules; i++) {
		const char *want = cache_setting(c, cache_rules[i].name);
		char got[64] = "?";
		EXPECT(live_setting(c, cache_rules[i].name, got, sizeof got), "%s", cache_rules[i].name);
		bool is_letters = strcmp(cache_rules[i].name, "notify-keyspace-events") == 0; /* Redis orders them */
		EXPECT(is_letters ? strlen(got) == strlen(want) : !strcmp(got, want), "%s: %s, not %s",
		       cache_rules[i].name, got, want);
	}
	const struct cache_setting back[] = { { "timeout", "0" }, { "maxmemory-policy", "volatile-lru" } };
	EXPECT(cache_configure(c, back, 2, &run, &e) == RC_OK && c->n_settings == 2, "%d settings", c->n_settings);
}

static void check_names_and_port(struct cache_instance *c)
{
	struct err e = { .rc = RC_OK };
	const struct cache_rename names[] = { { "flushall", "wipe-everything" }, { "scan", "look-through" } };

	EXPECT(cache_rename(c, names, 2, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(strstr(ASK(c, NULL, "FLUSHALL"), "unknown command"), "the old name works");
	EXPECT_ANSWER("OK", c, NULL, "wipe-everything"); /* now it stands in the append-only file under that name */
	EXPECT_ANSWER("OK", c, NULL, "SET", "a", "again");
	EXPECT(cache_rename(c, NULL, 0, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("again", c, NULL, "GET", "a");
	EXPECT(cache_set_port(c, 16380, &run, &e) == RC_OK && c->port == 16380, "%s", e.msg);
	EXPECT_ANSWER("again", c, NULL, "GET", "a");
	EXPECT(cache_restart(c, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(cache_flush(c, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("0", c, NULL, "DBSIZE");
}

TEST(a_single_instance_lives)
{
	struct cache_instance c = describe("single \"one\"", CACHE_SINGLE);
	struct err e = { .rc = RC_OK };

	cache_hash_password("first", c.password_hash);
	if (!made(&c))
		return;
	EXPECT_ANSWER("OK", &c, "first", "SET", "a", "kept");
	EXPECT(strstr(ASK(&c, "first", "CONFIG", "GET", "masterauth"), "NOPERM"), "clients may ask for our secret");
	EXPECT(strstr(ASK(&c, "first", "SHUTDOWN"), "NOPERM"), "clients may stop it");
	struct cache_instance twin = c;
	EXPECT(cache_create(&twin, &run, &e) == RC_CONFLICT && strstr(e.msg, "not empty"), "%s", e.msg);
	EXPECT(cache_switch_over(&c, -1, &run, &e) == RC_CONFLICT && strstr(e.msg, "single"), "%s", e.msg);
	check_password(&c);
	check_size(&c);
	check_settings(&c);
	check_names_and_port(&c);
	gone(&c);
	EXPECT(cache_delete(&c, &run, &e) == RC_OK, "deleting again: %s", e.msg);
}

/* ---- adoption ---- */

/* Make the instance in a process that then dies at once; its description comes through a pipe. */
static bool made_by_another(struct cache_instance *c)
{
	int fds[2];
	must(pipe2(fds, O_CLOEXEC) == 0);
	fflush(stdout);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		bool ok = cache_create(c, &run, NULL) == RC_OK && write(fds[1], c, sizeof *c) == (ssize_t)sizeof *c;
		(void)kill(getpid(), ok ? SIGKILL : SIGTERM);
		_exit(1);
	}
	(void)close(fds[1]);
	size_t got = 0;
	for (ssize_t n = 1; n > 0 && got < sizeof *c; got += (size_t)n) {
		n = read(fds[0], (char *)c + got, sizeof *c - got);
		must(n >= 0);
	}
	(void)close(fds[0]);
	must(waitpid(pid, NULL, 0) == pid);
	return got == sizeof *c;
}

static bool foreign_redis(const struct cache_instance *c, struct proc *p)
{
	char port[12];
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)snprintf(port, sizeof port, "%d", c->port);
	struct proc_spec spec = { .argv = (const char *const[]){ "redis-server", "--bind", c->nodes[0].host, "--port",
		                                                 port, "--save", "", NULL },
		                  .envp = (const char *const[]){ "PATH=/usr/local/bin:/usr/bin:/bin", NULL },
		                  .work_dir = root,
		                  .fds = (const int[]){ null_fd, null_fd, null_fd },
		                  .n_fds = 3,
		                  .dies_with_parent = true };
	bool ok = proc_spawn(&spec, p, NULL) == RC_OK;
	(void)close(null_fd);
	for (int i = 0; ok && i < 500; i++) {
		struct wire *w = client(c->nodes[0].host, c->port, NULL, NULL);
		wire_close(w);
		if (w)
			return true;
		(void)poll(NULL, 0, 10);
	}
	return false;
}

TEST(processes_outlive_their_maker_and_are_adopted)
{
	struct cache_instance c = describe("orphan", CACHE_SINGLE), unnoted = c;
	struct err e = { .rc = RC_OK };
	struct cache_view view;
	struct proc other;
	struct proc_exit end;

	if (!made_by_another(&c)) {
		EXPECT(false, "the helper made nothing");
		return;
	}
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "1");
	struct cache_instance adopted = c;
	EXPECT(cache_heal(&adopted, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(strcmp(adopted.nodes[0].run_id, c.nodes[0].run_id) == 0, "another process than before");
	EXPECT(cache_heal(&unnoted, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg); /* killed before it told */
	EXPECT(strcmp(unnoted.nodes[0].run_id, c.nodes[0].run_id) == 0, "another process than before");
	EXPECT(stopped(&c), "stop");
	cache_look(&c, 1000, &view);
	EXPECT(view.nodes[0].state == CACHE_NODE_DOWN, "state %d", view.nodes[0].state);

	EXPECT(foreign_redis(&c, &other), "no foreign redis");
	cache_look(&c, 1000, &view);
	EXPECT(view.nodes[0].state == CACHE_NODE_FOREIGN && !view.is_serving, "state %d",
	       view.nodes[0].state);
	EXPECT(cache_heal(&c, CACHE_KILL_HUNG, &run, &e) == RC_CONFLICT && strstr(e.msg, "something else"), "%s",
	       e.msg);
	struct pollfd ended = { .fd = other.pidfd, .events = POLLIN };
	EXPECT(poll(&ended, 1, 0) == 0, "the foreign one was ended");
	proc_signal_group(&other, SIGKILL);
	(void)proc_wait(&other, &end);
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("1", &c, NULL, "GET", "a");
	gone(&c);
}

/* ---- master and replica ---- */

struct writer {
	struct cache_instance at;
	atomic_bool should_end;
	atomic_int acknowledged; /* 0 .. this - 1 */
	int interruptions;
	pthread_t thread;
};

/* SET i i for i = 0, 1, 2 ...; i goes up when it is acknowledged, so each is tried until then. */
static void *keep_writing(void *arg)
{
	struct writer *wr = arg;
	struct wire *w = NULL;
	const struct cache_run mine = { .timeout_ms = PATIENCE_MS };
	int percent;
	struct op op = op_start(&mine, &percent);

	while (!wr->should_end) {
		char n[16];
		if (!w && wire_open(&op, wr->at.host, wr->at.port, NULL, NULL, &w, NULL) != RC_OK) {
			(void)poll(NULL, 0, 1);
			continue;
		}
		(void)snprintf(n, sizeof n, "%d", wr->acknowledged);
		if (wire_call(w, NULL, NULL, "SET", n, n) == RC_OK) {
			wr->acknowledged++;
			continue;
		}
		wr->interruptions++;
		wire_close(w);
		w = NULL;
	}
	wire_close(w);
	return NULL;
}

static void wait_writes(struct writer *w, int more)
{
	int from = w->acknowledged;
	for (int i = 0; i < PATIENCE_MS && w->acknowledged < from + more; i++)
		(void)poll(NULL, 0, 1);
	EXPECT(w->acknowledged >= from + more, "the writer does not get on");
}

static void check_all_written(const struct cache_instance *c, int n)
{
	int lost = 0;
	struct err e = { .rc = RC_OK };
	CLEANUP(wire_closep) struct wire *w = client(c->host, c->port, NULL, &e);

	EXPECT(w, "%s", e.msg);
	for (int i = 0; w && i < n; i++) {
		CLEANUP(reply_freep) redisReply *r = NULL;
		char name[16];
		(void)snprintf(name, sizeof name, "%d", i);
		lost += wire_call(w, &r, &e, "GET", name) != RC_OK || !reply_is_text(r) || strcmp(r->str, name) != 0;
	}
	EXPECT(lost == 0, "%d of %d acknowledged writes are lost", lost, n);
}

TEST(a_switchover_loses_no_acknowledged_write)
{
	struct cache_instance c = describe("switched", CACHE_HA);
	struct err e = { .rc = RC_OK };
	struct cache_view view;

	if (!made(&c))
		return;
	struct writer w = { .at = c };
	must(pthread_create(&w.thread, NULL, keep_writing, &w) == 0);
	for (int i = 0; i < 3; i++) {
		int before = c.master;
		wait_writes(&w, 200);
		EXPECT(cache_switch_over(&c, -1, &run, &e) == RC_OK, "%s", e.msg);
		EXPECT(c.master == 1 - before, "the master is still %d", c.master);
		wait_writes(&w, 200);
	}
	EXPECT(cache_switch_over(&c, c.nodes[c.master].number, &run, &e) == RC_CONFLICT, "%s", e.msg);
	EXPECT(cache_switch_over(&c, 7, &run, &e) == RC_NOT_FOUND, "%s", e.msg);
	w.should_end = true;
	must(pthread_join(w.thread, NULL) == 0);
	EXPECT(w.interruptions > 0, "the clients' address did not move");
	check_all_written(&c, w.acknowledged);
	cache_look(&c, 3000, &view);
	EXPECT(view.is_serving && view.nodes[1 - c.master].is_linked, "not in step");
	printf("   %d writes acknowledged, %d interruptions in 3 switchovers\n", w.acknowledged, w.interruptions);
	gone(&c);
}

/* WAIT speaks of its own connection's writes only. */
static void write_to_all(const struct cache_instance *c, const char *name, const char *value)
{
	struct err e = { .rc = RC_OK };
	CLEANUP(wire_closep) struct wire *w = client(c->host, c->port, NULL, &e);
	CLEANUP(reply_freep) redisReply *r = NULL;
	char replicas[12];

	(void)snprintf(replicas, sizeof replicas, "%d", c->n_nodes - 1);
	bool ok = w && wire_call(w, NULL, &e, "SET", name, value) == RC_OK &&
	          wire_call(w, &r, &e, "WAIT", replicas, "10000") == RC_OK;
	EXPECT(ok && r->type == REDIS_REPLY_INTEGER && r->integer == c->n_nodes - 1, "not replicated: %s", e.msg);
}

static bool has_weight(const struct cache_instance *c, int node, const char *wanted)
{
	const char *info =
	        ask_at(c->nodes[node].host, c->port, NULL, (const char *const[]){ "INFO", "replication" }, 2);
	return strstr(info, wanted) != NULL;
}

TEST(priorities_decide_who_becomes_master)
{
	struct cache_instance c = describe("preferred", CACHE_HA);
	struct err e = { .rc = RC_OK };

	c.nodes[2] = (struct cache_node){ .number = 2, .priority = 100 };
	next_host(c.nodes[2].host);
	c.n_nodes = 3;
	if (!made(&c))
		return;
	EXPECT(cache_set_priority(&c, 7, 1, &run, &e) == RC_NOT_FOUND, "%s", e.msg);
	EXPECT(cache_set_priority(&c, 2, 101, &run, &e) == RC_INVALID && c.nodes[2].priority == 100, "%s", e.msg);
	EXPECT(cache_set_priority(&c, 2, 10, &run, &e) == RC_OK && c.nodes[2].priority == 10, "%s", e.msg);
	EXPECT(has_weight(&c, 2, "slave_priority:10\r\n"), "Redis was not told");
	EXPECT(cache_restart(&c, &run, &e) == RC_OK && has_weight(&c, 2, "slave_priority:10\r\n"), "lost: %s", e.msg);
	EXPECT(cache_switch_over(&c, -1, &run, &e) == RC_OK && c.master == 2, "the master is %d %s", c.master, e.msg);

	EXPECT(cache_set_priority(&c, 1, 5, &run, &e) == RC_OK, "%s", e.msg);
	write_to_all(&c, "a", "1"); /* where the data differs, it decides before the priority */
	must(kill((pid_t)c.nodes[2].pid, SIGKILL) == 0);
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK && c.master == 1, "the master is %d %s", c.master,
	       e.msg);

	EXPECT(cache_set_priority(&c, 0, 0, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(cache_set_priority(&c, 2, 0, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(cache_switch_over(&c, -1, &run, &e) == RC_CONFLICT && c.master == 1, "%s", e.msg);
	int64_t dead = c.nodes[1].pid;
	write_to_all(&c, "b", "2");
	must(kill((pid_t)dead, SIGKILL) == 0);
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK && c.master == 1 && c.nodes[1].pid != dead,
	       "one that must not be was promoted: %d %s", c.master, e.msg);
	gone(&c);
}

TEST(processes_are_noted_after_a_failure_and_resizes_checked)
{
	struct cache_instance c = describe("noted", CACHE_HA);
	struct err e = { .rc = RC_OK };

	if (!made(&c))
		return;
	EXPECT(cache_check_resize(&c, 32 * MIB, &run, &e) == RC_OK && c.capacity == 64 * MIB, "%s", e.msg);
	EXPECT(cache_check_resize(&c, MIB, &run, &e) == RC_CONFLICT, "%s", e.msg);
	struct cache_instance old = c;
	EXPECT(cache_restart(&c, &run, &e) == RC_OK, "%s", e.msg);
	must(kill((pid_t)c.nodes[1].pid, SIGSTOP) == 0);
	cache_note_processes(&old, &run);
	EXPECT(strcmp(old.nodes[0].run_id, c.nodes[0].run_id) == 0 && old.nodes[0].pid == c.nodes[0].pid, "not noted");
	EXPECT(strcmp(old.nodes[1].run_id, c.nodes[1].run_id) != 0, "one that does not answer was noted");
	must(kill((pid_t)c.nodes[1].pid, SIGCONT) == 0);
	cache_note_processes(&old, &run);
	EXPECT(memcmp(&old, &c, sizeof old) == 0, "something else has changed");
	gone(&c);
}

TEST(a_dead_master_is_replaced_by_its_replica)
{
	struct cache_instance c = describe("failed", CACHE_HA);
	struct err e = { .rc = RC_OK };
	struct cache_view view;
	char host[CACHE_HOST_SIZE];
	const struct cache_run brief = { .timeout_ms = 10000 };

	if (!made(&c))
		return;
	write_to_all(&c, "a", "1");
	must(kill((pid_t)c.nodes[0].pid, SIGKILL) == 0);
	struct cache_instance unrecorded = c;
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(c.master == 1, "the master is %d", c.master);
	EXPECT_ANSWER("1", &c, NULL, "GET", "a");
	EXPECT_ANSWER("OK", &c, NULL, "SET", "b", "2");
	EXPECT(cache_heal(&unrecorded, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(unrecorded.master == 1, "an unrecorded promotion is not seen");
	unrecorded.master = 0;
	EXPECT(cache_flush(&unrecorded, &run, &e) == RC_CONFLICT && strstr(e.msg, "healed first"), "%s", e.msg);

	next_host(host);
	EXPECT(cache_remove_replica(&c, 0, &run, &e) == RC_CONFLICT && strstr(e.msg, "last"), "%s", e.msg);
	EXPECT(cache_add_replica(&c, host, &run, &e) == RC_OK && c.n_nodes == 3 && c.nodes[2].number == 2, "%s", e.msg);
	EXPECT(cache_remove_replica(&c, 1, &run, &e) == RC_CONFLICT && strstr(e.msg, "master"), "%s", e.msg);
	EXPECT(cache_set_port(&c, 16390, &brief, &e) == RC_OK, "%s", e.msg);
	EXPECT(cache_remove_replica(&c, 0, &run, &e) == RC_OK && c.n_nodes == 2 && c.master == 0, "%s", e.msg);
	cache_look(&c, 3000, &view);
	EXPECT(view.is_serving && view.nodes[1].is_linked && view.nodes[1].keys == 2, "the new replica is not in step");
	EXPECT(kill((pid_t)c.nodes[c.master].pid, SIGSTOP) == 0, "no master");
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_BUSY && strstr(e.msg, "does not answer"), "%s",
	       e.msg);
	EXPECT(cache_heal(&c, CACHE_KILL_HUNG, &run, &e) == RC_OK && c.master == 1, "master %d %s", c.master, e.msg);
	EXPECT_ANSWER("2", &c, NULL, "GET", "b");
	gone(&c);
}

/* Keeps Redis at work, and so silent, for longer than healing takes for a look. */
static void *keep_busy(void *arg)
{
	static const char spin[] = "local t = redis.call('TIME') for i = 1, 8000000 do "
				   "local n = redis.call('TIME') local passed = (n[1] - t[1]) * 1000000 + n[2] - t[2] "
				   "if passed > 3600000 then break end end return 'done'";
	const struct cache_instance *c = arg;
	(void)ASK(c, NULL, "EVAL", spin, "0");
	return NULL;
}

TEST(a_node_that_works_at_something_long_is_not_killed)
{
	enum { LOOK_MS = 200, LIMIT_MS = 3000 };
	struct cache_instance c = describe("busy", CACHE_SINGLE);
	struct cache_view view = { .is_serving = true };
	struct err e = { .rc = RC_OK };
	pthread_t worker;

	if (!made(&c))
		return;
	struct cache_instance healed = c;
	must(pthread_create(&worker, NULL, keep_busy, &c) == 0);
	for (int64_t until = clock_mono_ms() + LIMIT_MS; clock_mono_ms() < until; usleep(5000)) {
		cache_look(&c, LOOK_MS, &view);
		if (view.nodes[0].state == CACHE_NODE_HUNG)
			break;
	}
	EXPECT(view.nodes[0].state == CACHE_NODE_HUNG, "the test proves nothing: it answers");
	enum rc rc = cache_heal(&healed, CACHE_KILL_HUNG, &run, &e);
	/* Where the machine is slow the script outlasts its time, and Redis says that it is busy. */
	EXPECT(rc == RC_OK || rc == RC_BUSY, "%d %s", (int)rc, e.msg);
	must(pthread_join(worker, NULL) == 0);
	EXPECT(proc_is_same((pid_t)c.nodes[0].pid, c.nodes[0].mark), "it was killed");
	gone(&c);
}

/* Numbers grow, until all have been given once. */
TEST(a_number_of_a_removed_node_is_given_again_at_last)
{
	struct cache_instance c = describe("numbers", CACHE_HA);
	struct err e = { .rc = RC_OK };
	char host[CACHE_HOST_SIZE];

	c.nodes[1].number = 9999;
	if (!made(&c))
		return;
	next_host(host);
	EXPECT(cache_add_replica(&c, host, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(c.n_nodes == 3 && c.nodes[2].number == 1, "%d nodes, the new one is %d", c.n_nodes, c.nodes[2].number);
	gone(&c);
}

/* ---- backups ---- */

static void spoil_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0);
	must(pwrite(fd, "\xfe\xff\xfe\xff", 4, 30) == 4);
	must(close(fd) == 0);
}

/* A restore, without a file a flush. */
static enum rc replace_all(struct cache_instance *c, const char *file, const struct cache_run *how, struct err *err)
{
	return file ? cache_restore(c, file, "", how, err) : cache_flush(c, how, err);
}

/* In a process of its own that dies at its n-th act. False: it has fewer, and was done. */
static bool replacing_dies(struct cache_instance *c, const char *file, const struct cache_run *how, int n)
{
	char point[32];
	int status;

	(void)snprintf(point, sizeof point, "cache.act:%d", n);
	fflush(stdout);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		crash_arm(point);
		_exit(replace_all(c, file, how, NULL) == RC_OK ? 0 : 1);
	}
	must(waitpid(pid, &status, 0) == pid);
	bool has_died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	EXPECT(has_died || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "act %d: status %d", n, status);
	return has_died;
}

/* Whenever it dies, healing brings all of the old data or all of the new, and leaves no trace of it. */
static void cut_restores(struct cache_instance *c, const char *file, int stride)
{
	struct err e = { .rc = RC_OK };
	bool dies = true, was_done = false;
	static const char *const traces[] = { "restore.rdb", "before-restore", "after-restore" };
	char trace[PATH_MAX];

	for (int n = 1; dies; n += stride) {
		EXPECT_ANSWER("OK", c, NULL, "MSET", "a", "new", "b", "more");
		dies = replacing_dies(c, file, &run, n);
		EXPECT(cache_heal(c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "act %d: %s", n, e.msg);
		bool is_done = strcmp(ASK(c, NULL, "GET", "a"), "old") == 0;
		EXPECT(is_done || !was_done, "act %d: undone, though done after an earlier one", n);
		EXPECT(is_done || dies, "not done, though it did not die");
		EXPECT_ANSWER(is_done ? "(nil)" : "more", c, NULL, "GET", "b");
		EXPECT(!cache_is_closed(c), "act %d: healed, and still closed", n);
		was_done = is_done;
		for (size_t i = 0; i < (size_t)c->n_nodes * ARRAY_LEN(traces); i++) {
			const struct cache_node *node = &c->nodes[i / ARRAY_LEN(traces)];
			must(snprintf(trace, sizeof trace, "%.3000s/node-%d/%s", c->dir, node->number,
			              traces[i % ARRAY_LEN(traces)]) > 0);
			EXPECT(!file_exists(trace), "act %d: %s stays", n, trace);
		}
	}
	EXPECT_ANSWER("OK", c, NULL, "MSET", "a", "new", "b", "more");
}

/* What a client writes once it sees that the old data has gone; true when Redis took it. */
static bool wrote_after(struct cache_instance *c, const char *late)
{
	return strcmp(ASK(c, NULL, "GET", "b"), "(nil)") == 0 && strcmp(ASK(c, NULL, "SET", late, "kept"), "OK") == 0;
}

/* Whenever it dies, another attempt brings it to its end and takes away nothing that a client wrote after
 * the data went. */
static void cut_and_repeat(struct cache_instance *c, const char *file, int stride)
{
	struct err e = { .rc = RC_OK };
	bool dies = true;
	int n_late = 0;
	char order[12];

	for (int n = 1; dies; n += stride) {
		must(snprintf(order, sizeof order, "%d", n) > 0);
		const struct cache_run how = { .timeout_ms = PATIENCE_MS, .order = order };
		EXPECT_ANSWER("OK", c, NULL, "MSET", "a", "new", "b", "more");
		EXPECT(!cache_has_erased(c, order), "order %s is done before it begins", order);
		dies = replacing_dies(c, file, &how, n);
		bool is_first = wrote_after(c, "first");
		EXPECT(cache_heal(c, CACHE_WAIT_FOR_HUNG, &how, &e) == RC_OK, "act %d: %s", n, e.msg);
		bool is_second = wrote_after(c, "second");
		EXPECT(cache_has_erased(c, order) || replace_all(c, file, &how, &e) == RC_OK, "act %d: %s", n, e.msg);
		EXPECT(cache_has_erased(c, order) && !cache_is_closed(c), "act %d: not noted", n);
		EXPECT(!is_first || strcmp(ASK(c, NULL, "GET", "first"), "kept") == 0,
		       "act %d: the first write is lost", n);
		EXPECT(!is_second || strcmp(ASK(c, NULL, "GET", "second"), "kept") == 0,
		       "act %d: the second write is lost", n);
		EXPECT_ANSWER(file ? "old" : "(nil)", c, NULL, "GET", "a");
		EXPECT_ANSWER("(nil)", c, NULL, "GET", "b");
		EXPECT_ANSWER("OK", c, NULL, "SET", "b", "more");
		n_late += is_first;
	}
	EXPECT(n_late > 0, "no client ever wrote in between");
	EXPECT_ANSWER("OK", c, NULL, "MSET", "a", "new", "b", "more");
}

/* After the last attempt somebody else heals, and clients may write again whatever became of it. */
static void cut_and_given_up(struct cache_instance *c, const char *file, int stride)
{
	struct err e = { .rc = RC_OK };
	const struct cache_run how = { .timeout_ms = PATIENCE_MS, .order = "given-up" };

	for (int n = 1; replacing_dies(c, file, &how, n); n += stride) {
		EXPECT(cache_heal(c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "act %d: %s", n, e.msg);
		EXPECT_ANSWER("OK", c, NULL, "MSET", "a", "new", "b", "more");
	}
	EXPECT_ANSWER("OK", c, NULL, "MSET", "a", "new", "b", "more");
}

static void check_backup(enum cache_mode mode, const char *name)
{
	struct cache_instance c = describe(name, mode);
	struct cache_backup b = { .size = 0 }, bad = { .size = 0 };
	struct err e = { .rc = RC_OK };
	struct cache_view view;
	char file[PATH_MAX], spoilt[PATH_MAX];

	if (!made(&c))
		return;
	must(snprintf(file, sizeof file, "%.3000s/backups/%s-1.rdb", root, name) > 0);
	must(snprintf(spoilt, sizeof spoilt, "%.3000s/backups/%s-2.rdb", root, name) > 0);
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "old");
	EXPECT(cache_backup(&c, file, &b, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(b.keys == 1 && b.size > 0 && strlen(b.sha256) == 64 && b.node == (mode == CACHE_HA), "node %d", b.node);
	EXPECT(cache_backup(&c, file, &bad, &run, &e) == RC_CONFLICT && bad.size == 0, "%s", e.msg);
	EXPECT(cache_backup(&c, spoilt, &bad, &run, &e) == RC_OK, "%s", e.msg);
	spoil_file(spoilt);
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "new");
	EXPECT_ANSWER("OK", &c, NULL, "SET", "b", "more");

	EXPECT(cache_restore(&c, spoilt, bad.sha256, &run, &e) == RC_CORRUPT && strstr(e.msg, "altered"), "%s", e.msg);
	EXPECT(cache_restore(&c, spoilt, "", &run, &e) != RC_OK && strstr(e.msg, "redis-server"), "%s", e.msg);
	EXPECT_ANSWER("new", &c, NULL, "GET", "a");
	cut_restores(&c, file, mode == CACHE_HA ? 5 : 1);
	cut_and_repeat(&c, file, mode == CACHE_HA ? 4 : 2);
	cut_and_repeat(&c, NULL, 1);
	cut_and_given_up(&c, file, mode == CACHE_HA ? 7 : 3);
	cut_and_given_up(&c, NULL, 2);
	EXPECT(cache_restore(&c, file, b.sha256, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("old", &c, NULL, "GET", "a");
	EXPECT_ANSWER("(nil)", &c, NULL, "GET", "b");
	EXPECT_ANSWER("OK", &c, NULL, "SET", "c", "after");
	EXPECT(strstr(ASK(&c, NULL, "CONFIG", "GET", "port"), "NOPERM"), "clients may do more than before");
	EXPECT(cache_restart(&c, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("after", &c, NULL, "GET", "c");
	cache_look(&c, 3000, &view);
	for (int i = 0; i < c.n_nodes; i++)
		EXPECT(view.nodes[i].keys == 2 && view.nodes[i].is_aof_on, "node %d: %lld keys", i,
		       (long long)view.nodes[i].keys);
	gone(&c);
}

TEST(data_survives_switching_the_append_only_file)
{
	struct cache_instance c = describe("switching", CACHE_HA);
	const struct cache_setting off = { "appendonly", "no" }, on = { "appendonly", "yes" };
	struct err e = { .rc = RC_OK };

	if (!made(&c))
		return;
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "1");
	EXPECT(cache_configure(&c, &off, 1, &run, &e) == RC_OK, "%s", e.msg);
	for (int i = 0; i < c.n_nodes; i++)
		must(kill((pid_t)c.nodes[i].pid, SIGKILL) == 0);
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("1", &c, NULL, "GET", "a");
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "2");
	EXPECT(cache_configure(&c, &on, 1, &run, &e) == RC_OK, "%s", e.msg);
	for (int i = 0; i < c.n_nodes; i++)
		must(kill((pid_t)c.nodes[i].pid, SIGKILL) == 0);
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("2", &c, NULL, "GET", "a");
	struct cache_instance single = describe("switching-single", CACHE_SINGLE);
	EXPECT(cache_configure(&single, &off, 1, &run, &e) == RC_INVALID && strstr(e.msg, "single"), "%s", e.msg);
	gone(&c);
}

TEST(a_backup_of_a_single_instance_comes_back) { check_backup(CACHE_SINGLE, "saved"); }
TEST(a_backup_of_a_replica_comes_back) { check_backup(CACHE_HA, "saved-ha"); }

/* ---- no connection left ---- */

/* Ours, to the node's own address. */
static struct wire *administrator(const struct cache_instance *c, int node)
{
	static int percent;
	static struct op op;
	char path[PATH_MAX];
	struct err e = { .rc = RC_OK };
	struct wire *w = NULL;
	struct buf secret;

	op = op_start(&run, &percent);
	buf_init(&secret, 256);
	must(path_join(path, c->dir, "admin.key", &e) == RC_OK && file_read(path, &secret, &e) == RC_OK);
	must(wire_open(&op, c->nodes[node].host, c->port, "stint", buf_text(&secret), &w, &e) == RC_OK);
	buf_fini(&secret);
	return w;
}

static void limit_clients(struct wire *w, int64_t n)
{
	char text[24];
	must(snprintf(text, sizeof text, "%lld", (long long)n) > 0);
	EXPECT(wire_call(w, NULL, NULL, "CONFIG", "SET", "maxclients", text) == RC_OK, "%s", text);
}

/* Rewrites of the append-only file fail: a folder stands where the next one would go. */
static void block_rewrites(const struct cache_instance *c, char obstacle[PATH_MAX])
{
	struct buf info;
	CLEANUP(wire_closep) struct wire *w = administrator(c, 0);


	buf_init(&info, 65536);
	for (int n = 1; n < 20; n++) { /* which number is next is Redis' matter */
		must(snprintf(obstacle, PATH_MAX, "%.3000s/node-0/appendonlydir/appendonly.aof.%d.base.rdb", c->dir,
		              n) > 0);
		if (!file_exists(obstacle))
			break;
	}
	must(mkdir(obstacle, 0700) == 0);
	EXPECT(wire_call(w, NULL, NULL, "BGREWRITEAOF") == RC_OK, "no rewrite");
	do
		must(info_read(w, &info, NULL, "persistence") == RC_OK);
	while (info_int(&info, "aof_rewrite_in_progress", 0) || info_int(&info, "aof_rewrite_scheduled", 0));
	EXPECT(info_is(&info, "aof_last_bgrewrite_status", "err"), "%s", info.bytes);
	buf_fini(&info);
}

/* A kill could lose what was written since the last good file. */
TEST(a_restore_never_ends_a_master_whose_file_is_not_good)
{
	struct cache_instance c = describe("not-good", CACHE_SINGLE);
	struct cache_backup b = { .size = 0 };
	struct err e = { .rc = RC_OK };
	char file[PATH_MAX], obstacle[PATH_MAX];

	if (!made(&c))
		return;
	must(snprintf(file, sizeof file, "%.3000s/backups/not-good.rdb", root) > 0);
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "old");
	EXPECT(cache_backup(&c, file, &b, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "new");
	block_rewrites(&c, obstacle);
	const struct cache_instance before = c;
	EXPECT(cache_restore(&c, file, b.sha256, &run, &e) == RC_IO && strstr(e.msg, "not stopped"), "%s", e.msg);
	EXPECT(c.nodes[0].pid == before.nodes[0].pid && kill((pid_t)c.nodes[0].pid, 0) == 0, "it was ended");
	EXPECT_ANSWER("OK", &c, NULL, "SET", "b", "more");
	EXPECT(!cache_is_closed(&c), "closed");
	must(rmdir(obstacle) == 0);
	EXPECT(cache_restore(&c, file, b.sha256, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("old", &c, NULL, "GET", "a");
	gone(&c);
}

/* As if its clients took every connection that is left. */
static void fill(void *w, const char *name, int percent)
{
	struct buf info;
	(void)percent;
	if (strcmp(name, "erase") != 0)
		return;
	buf_init(&info, 65536);
	EXPECT(info_read(w, &info, NULL, "clients") == RC_OK, "no figures");
	limit_clients(w, info_int(&info, "connected_clients", 0));
	buf_fini(&info);
}

/* Once the data is gone clients may write again, though no other connection is to be had; and where a node cannot be
 * told, it is seen that somebody must. */
static void check_full(enum cache_mode mode, const char *name)
{
	struct cache_instance c = describe(name, mode);
	struct err e = { .rc = RC_OK };

	if (!made(&c))
		return;
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "old");
	CLEANUP(wire_closep) struct wire *w = administrator(&c, c.n_nodes - 1);
	const struct cache_run how = { .timeout_ms = PATIENCE_MS, .order = "full", .ctx = w, .on_step = fill };
	enum rc rc = cache_flush(&c, &how, &e);
	EXPECT(rc == (mode == CACHE_HA ? RC_BUSY : RC_OK), "%d: %s", (int)rc, e.msg);
	limit_clients(w, 10000);
	EXPECT(cache_has_erased(&c, "full"), "not noted");
	EXPECT_ANSWER("(nil)", &c, NULL, "GET", "a");
	EXPECT_ANSWER("OK", &c, NULL, "SET", "a", "new");
	EXPECT(cache_is_closed(&c) == (mode == CACHE_HA), "nobody would see it");
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(!cache_is_closed(&c), "it would be healed for ever");
	gone(&c);
}

TEST(a_flush_ends_though_clients_take_all_connections)
{
	check_full(CACHE_SINGLE, "full");
	check_full(CACHE_HA, "full-ha");
}

/* A client that takes the last connection as soon as a look at the master has ended. */
struct late_client {
	const struct cache_instance *c;
	struct wire *admin, *own; /* own: once it is in */
	atomic_bool is_over, is_in;
};

static void *come_late(void *arg)
{
	struct late_client *l = arg;
	struct buf info;

	buf_init(&info, 65536);
	do
		must(info_read(l->admin, &info, NULL, "clients") == RC_OK);
	while (info_int(&info, "connected_clients", 0) < 2 && !atomic_load(&l->is_over));
	buf_fini(&info);
	while (!l->own && !atomic_load(&l->is_over)) {
		l->own = client(l->c->host, l->c->port, NULL, NULL);
		if (l->own && wire_call(l->own, NULL, NULL, "PING") != RC_OK) {
			wire_close(l->own);
			l->own = NULL;
		}
	}
	atomic_store(&l->is_in, l->own != NULL);
	return NULL;
}

/* A look at the master's own address takes one connection, that at the clients' address another. */
TEST(a_master_whose_clients_take_the_last_connection_serves_them)
{
	enum { LOOKS_MOST = 20, LOOK_MS = 300 };
	struct cache_instance c = describe("nearly-full", CACHE_HA);
	struct cache_view view = { .is_serving = true };
	pthread_t thread;
	struct buf info;

	if (!made(&c))
		return;
	struct late_client late = { .c = &c, .admin = administrator(&c, c.master) };
	must(kill((pid_t)c.nodes[1].pid, SIGSTOP) == 0); /* looked at in between: this takes its time */
	buf_init(&info, 65536);
	do /* until those who made it have gone */
		must(info_read(late.admin, &info, NULL, "clients") == RC_OK);
	while (info_int(&info, "connected_clients", 0) != 1);
	buf_fini(&info);
	limit_clients(late.admin, 1 + 1 /* the replica */ + 1);
	must(pthread_create(&thread, NULL, come_late, &late) == 0);
	for (int i = 0; i < LOOKS_MOST && !atomic_load(&late.is_in); i++)
		cache_look(&c, LOOK_MS, &view);
	atomic_store(&late.is_over, true);
	must(pthread_join(thread, NULL) == 0);
	EXPECT(late.own && view.nodes[c.master].state == CACHE_NODE_UP, "the test proves nothing: %d",
	       (int)view.nodes[c.master].state);
	EXPECT(!view.is_serving && view.nodes[c.master].is_full, "serving %d full %d", view.is_serving,
	       view.nodes[c.master].is_full);
	must(kill((pid_t)c.nodes[1].pid, SIGCONT) == 0);
	limit_clients(late.admin, 10000);
	wire_close(late.own);
	wire_close(late.admin);
	gone(&c);
}

/* ---- refusals ---- */

struct fake {
	int fd;
	const char *answer; /* to whatever comes, each time; NULL: silence; "": hang up */
	pthread_t thread;
};

static void talk(int fd, const char *answer)
{
	char part[4096];
	while (read(fd, part, sizeof part) > 0) {
		if (answer && !*answer)
			break;
		if (answer && send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
			break;
	}
	(void)close(fd);
}

static void *serve_fake(void *arg)
{
	struct fake *f = arg;
	for (;;) {
		int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL;
		talk(fd, f->answer);
	}
}

static void fake_start(struct fake *f, const char *host, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int on = 1;

	must(inet_pton(AF_INET, host, &at.sin_addr) == 1);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(setsockopt(f->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	must(bind(f->fd, (struct sockaddr *)&at, sizeof at) == 0);
	must(listen(f->fd, 8) == 0);
	must(pthread_create(&f->thread, NULL, serve_fake, f) == 0);
}

static void fake_stop(struct fake *f)
{
	(void)shutdown(f->fd, SHUT_RDWR);
	must(pthread_join(f->thread, NULL) == 0);
	(void)close(f->fd);
}

TEST(a_peer_that_is_no_redis_is_an_error)
{
	static const char *const answers[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"*2000000000\r\n",
		"$-7\r\nabc",
		"+OK\r\n",
		"-ERR unknown command\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
		":99999999999999999999999\r\n",
		"$5\r\nhello\r\n*-1\r\n",
		"*1\r\n$-1\r\n",
		"",
		NULL,
	};
	struct cache_instance c = describe("faked", CACHE_SINGLE);
	if (!made(&c))
		return;
	EXPECT(stopped(&c), "stop");
	FOR_EACH_ROW (i, answers) {
		struct fake f = { .answer = answers[i] };
		struct cache_view view;
		struct err e = { .rc = RC_OK };
		const struct cache_run brief = { .timeout_ms = 700 };
		fake_start(&f, c.nodes[0].host, c.port);
		cache_look(&c, 300, &view);
		EXPECT(view.nodes[0].state != CACHE_NODE_UP && !view.is_serving, "row %zu looks well", i);
		enum rc rc = cache_heal(&c, CACHE_WAIT_FOR_HUNG, &brief, &e);
		EXPECT((rc == RC_CONFLICT || rc == RC_TIMEOUT) && *e.msg, "row %zu: %s '%s'", i, rc_name(rc), e.msg);
		fake_stop(&f);
	}
	gone(&c);
}

TEST(what_cannot_be_started_says_why)
{
	struct cache_instance c = describe("refused", CACHE_SINGLE);
	struct err e = { .rc = RC_OK };
	struct fake f = { .answer = "" };
	const struct cache_run without = { .program = "/nonexistent/redis-server", .timeout_ms = 5000 };
	struct cache_run old = { .timeout_ms = 1 };

	EXPECT(cache_create(&c, &without, &e) == RC_NOT_FOUND && strstr(e.msg, "install the package"), "%s", e.msg);
	EXPECT(!file_exists(c.dir), "the folder stays");
	fake_start(&f, c.host, c.port);
	EXPECT(cache_create(&c, &run, &e) == RC_CONFLICT && strstr(e.msg, "taken"), "%s", e.msg);
	fake_stop(&f);
	EXPECT(cache_create(&c, &old, &e) == RC_TIMEOUT, "%s", e.msg);
	(void)snprintf(c.host, sizeof c.host, "192.0.2.1");
	EXPECT(cache_create(&c, &run, &e) == RC_INVALID && strstr(e.msg, "no address of this machine"), "%s", e.msg);
	EXPECT(!file_exists(c.dir) && c.nodes[0].pid == 0, "something stays");
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_NOT_FOUND && strstr(e.msg, "folder"), "%s", e.msg);
}

/* ---- analyses ---- */

static void fill_keys(const struct cache_instance *c)
{
	static char text[5001];
	CLEANUP(wire_closep) struct wire *w = client(c->host, c->port, NULL, NULL);
	struct err e = { .rc = RC_OK };

	memset(text, 'y', sizeof text - 1);
	must(w);
	enum rc rc = wire_call(w, NULL, &e, "SET", "long", text);
	for (int i = 0; i < 300 && rc == RC_OK; i++) {
		char name[24];
		(void)snprintf(name, sizeof name, "k%d", i);
		rc = wire_call(w, NULL, &e, "SET", name, name);
		if (rc == RC_OK)
			rc = wire_call(w, NULL, &e, "RPUSH", "list", name);
		if (rc == RC_OK)
			rc = wire_call(w, NULL, &e, "PSETEX", name + 1, "1", "x");
	}
	if (rc == RC_OK)
		rc = wire_call(w, NULL, &e, "SELECT", "9");
	if (rc == RC_OK)
		rc = wire_call(w, NULL, &e, "HSET", "hash", "f", "1", "g", "2");
	EXPECT(rc == RC_OK, "%s", e.msg);
}

static void check_scans(struct cache_instance *c, struct arena *a)
{
	const struct cache_scan how = { .batch = 50, .pause_ms = 1, .top = 3 };
	struct cache_keys big = { .n_keys = 0 }, hot = { .n_keys = 0 };
	struct err e = { .rc = RC_OK };
	int64_t scanned = 0, expired = -1;

	EXPECT(cache_big_keys(c, &how, a, &big, &run, &e) == RC_OK && big.n_keys == 5, "%zu %s", big.n_keys, e.msg);
	if (big.n_keys == 5) {
		EXPECT(!strcmp(big.keys[0].name, "long") && big.keys[0].size == 5000, "%s", big.keys[0].name);
		EXPECT(big.keys[3].type == CACHE_LIST && big.keys[3].size == 300, "%s", big.keys[3].name);
		EXPECT(big.keys[4].type == CACHE_HASH && big.keys[4].size == 2 && big.keys[4].db == 9, "%s",
		       big.keys[4].name);
	}
	EXPECT(cache_hot_keys(c, &how, a, &hot, &run, &e) == RC_CONFLICT && strstr(e.msg, "volatile-lru"), "%s", e.msg);
	const struct cache_setting lfu = { "maxmemory-policy", "allkeys-lfu" };
	EXPECT(cache_configure(c, &lfu, 1, &run, &e) == RC_OK, "%s", e.msg);
	for (int i = 0; i < 60; i++)
		(void)ASK(c, NULL, "GET", "k7");
	EXPECT(cache_hot_keys(c, &how, a, &hot, &run, &e) == RC_OK && hot.n_keys == 3, "%s", e.msg);
	EXPECT(hot.n_keys && !strcmp(hot.keys[0].name, "k7") && hot.keys[0].freq > 5, "freq %d",
	       hot.n_keys ? hot.keys[0].freq : -1);
	EXPECT(cache_expire_keys(c, &how, &scanned, &expired, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT(scanned >= 303 && expired >= 0, "%lld scanned, %lld expired", (long long)scanned, (long long)expired);
	EXPECT(ASK(c, NULL, "DBSIZE") && !strcmp(ASK(c, NULL, "DBSIZE"), "302"), "%s keys", ASK(c, NULL, "DBSIZE"));
}

TEST(analyses_tell_what_is_there)
{
	struct cache_instance c = describe("analysed", CACHE_SINGLE);
	const struct cache_setting all_slow = { "slowlog-log-slower-than", "0" };
	struct arena *a = arena_new(16 * MIB);
	struct cache_client *clients = NULL;
	struct cache_slow *slow = NULL;
	struct err e = { .rc = RC_OK };
	size_t n = 0;
	int64_t killed = 0;

	c.settings[c.n_settings++] = all_slow;
	c.renames[c.n_renames++] = (struct cache_rename){ "scan", "look-through" };
	if (made(&c)) {
		fill_keys(&c);
		check_scans(&c, a);
		EXPECT(cache_slow_log(&c, 0, 10, a, &slow, &n, &run, &e) == RC_OK && n == 10 && *slow[0].command, "%s",
		       e.msg);
		EXPECT(cache_slow_log(&c, 5, 10, a, &slow, &n, &run, &e) == RC_NOT_FOUND, "%s", e.msg);
		CLEANUP(wire_closep) struct wire *w = client(c.host, c.port, NULL, &e);
		EXPECT(w && wire_call(w, NULL, &e, "CLIENT", "SETNAME", "visitor") == RC_OK, "%s", e.msg);
		EXPECT(cache_clients(&c, 0, a, &clients, &n, &run, &e) == RC_OK && n == 1, "%zu clients %s", n, e.msg);
		EXPECT(n == 1 && !strcmp(cache_client_get(&clients[0], "name"), "visitor"), "no visitor");
		const char *addr = n == 1 ? cache_client_get(&clients[0], "addr") : "";
		EXPECT(cache_kill_clients(&c, 0, "127.0.0.1:1", &killed, &run, &e) == RC_OK && killed == 0, "%s",
		       e.msg);
		EXPECT(cache_kill_clients(&c, 0, addr, &killed, &run, &e) == RC_OK && killed == 1, "%s", e.msg);
		EXPECT(wire_call(w, NULL, &e, "PING") == RC_IO, "the visitor is still there");
		gone(&c);
	}
	arena_free(a);
}

/* What happens to the keys when a scan has got its first ones. */
struct shrinking {
	const struct cache_instance *c;
	char cursor[32]; /* of the scan by then */
	bool is_done, comes_again;
};

/* Nearly all keys go, and Redis makes its table smaller: until those that were told are still to come. */
static void shrink_on_step(void *ctx, const char *name, int percent)
{
	static const char drop[] = "for _, k in ipairs(redis.call('KEYS', '*')) do "
				   "if redis.call('STRLEN', k) < 1000 then redis.call('DEL', k) end end return 'gone'";
	static const char look[] = "return #redis.call('SCAN', ARGV[1], 'COUNT', 10)[2]";
	struct shrinking *s = ctx;

	(void)percent;
	if (s->is_done || strcmp(name, "scan") != 0)
		return;
	s->is_done = true;
	EXPECT_ANSWER("gone", s->c, NULL, "EVAL", drop, "0");
	for (int64_t until = clock_mono_ms() + 20000; !s->comes_again && clock_mono_ms() < until; usleep(20000))
		s->comes_again = strcmp(ASK(s->c, NULL, "EVAL", look, "0", s->cursor), "0") != 0;
}

TEST(a_key_that_scanning_meets_twice_is_told_once)
{
	static const char fill[] = "for i = 1, 4000 do redis.call('SET', 'k' .. i, 'x') end "
				   "local r = redis.call('SCAN', 0, 'COUNT', 10) "
				   "for _, k in ipairs(r[2]) do redis.call('SET', k, string.rep('x', 1000)) end "
				   "return r[1]";
	const struct cache_scan how = { .batch = 10, .pause_ms = 0, .top = 100 };
	struct cache_instance c = describe("twice", CACHE_SINGLE);
	struct shrinking s = { .c = &c };
	struct arena *a = arena_new(16 * MIB);
	struct cache_keys big = { .n_keys = 0 };
	struct err e = { .rc = RC_OK };

	if (made(&c)) {
		const struct cache_run watched = { .timeout_ms = 60000, .on_step = shrink_on_step, .ctx = &s };
		(void)snprintf(s.cursor, sizeof s.cursor, "%s", ASK(&c, NULL, "EVAL", fill, "0"));
		EXPECT(cache_big_keys(&c, &how, a, &big, &watched, &e) == RC_OK, "%s", e.msg);
		EXPECT(s.comes_again, "the test proves nothing: the scan met no key twice");
		int64_t n = 0;
		EXPECT(num_i64(ASK(&c, NULL, "DBSIZE"), &n) && n >= 10, "%lld keys are left", (long long)n);
		EXPECT(big.n_keys == (size_t)n, "%zu keys are told, there are %lld", big.n_keys, (long long)n);
		gone(&c);
	}
	arena_free(a);
}

/* Names of which only the beginning is kept, the same of both. */
TEST(hot_keys_with_long_names_are_described_by_their_whole_names)
{
	static const char fill[] = "local n = string.rep('n', 3000) redis.call('SET', 'short', 'x') "
				   "redis.call('RPUSH', n .. 'a', 1, 2, 3) "
				   "redis.call('SADD', n .. 'b', 1, 2) return 'ok'";
	const struct cache_scan how = { .batch = 10, .top = 10 };
	struct cache_instance c = describe("long-names", CACHE_SINGLE);
	struct arena *a = arena_new(MIB);
	struct cache_keys hot = { .n_keys = 0 };
	struct err e = { .rc = RC_OK };
	bool has_list = false, has_set = false;

	c.settings[c.n_settings++] = (struct cache_setting){ "maxmemory-policy", "allkeys-lfu" };
	if (made(&c)) {
		EXPECT_ANSWER("ok", &c, NULL, "EVAL", fill, "0");
		EXPECT(cache_hot_keys(&c, &how, a, &hot, &run, &e) == RC_OK && hot.n_keys == 3, "%zu keys %s",
		       hot.n_keys, e.msg);
		for (size_t i = 0; i < hot.n_keys; i++) {
			const struct cache_key *k = &hot.keys[i];
			has_list |= k->name_len == 1024 && k->type == CACHE_LIST && k->size == 3;
			has_set |= k->name_len == 1024 && k->type == CACHE_SET && k->size == 2;
		}
		EXPECT(has_list && has_set, "list %d set %d", has_list, has_set);
		gone(&c);
	}
	arena_free(a);
}

/* ---- progress, and stopping on request ---- */

struct watcher {
	int steps, last, stop_at;
	bool fell;
};

static void on_step(void *ctx, const char *name, int percent)
{
	struct watcher *w = ctx;
	(void)name;
	w->steps++;
	w->fell = w->fell || percent < w->last;
	w->last = percent;
}

static bool should_stop(void *ctx)
{
	const struct watcher *w = ctx;
	return w->stop_at && w->last >= w->stop_at;
}

/* ---- run logs: files only, no process ---- */

static void put_log(const struct cache_instance *c, const char *name, const char *text)
{
	char path[PATH_MAX];
	struct err e = { .rc = RC_OK };
	int len = snprintf(path, sizeof path, "%s/%s", c->dir, name);

	must(len > 0 && (size_t)len < sizeof path);
	EXPECT(file_write(path, text, strlen(text), 0600, &e) == RC_OK, "%s", e.msg);
}

/* The log of a day; "(none)". */
static const char *log_of(const struct cache_instance *c, const char *day)
{
	static struct buf text;
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s/run-logs/redis_%s_%s.log", c->dir, c->host, day);

	must(len > 0 && (size_t)len < sizeof path);
	buf_fini(&text);
	buf_init(&text, 1 << 20);
	return file_read(path, &text, NULL) == RC_OK ? buf_text(&text) : "(none)";
}

#define EXPECT_LOG(day, wanted) EXPECT(strcmp(log_of(&c, (day)), (wanted)) == 0, "%s: %.200s", (day), log_of(&c, (day)))

TEST(run_logs_are_cut_by_day)
{
	struct cache_instance c = describe("logged", CACHE_SINGLE);
	const int64_t noon = utc(2026, 3, 10, 12, 0);
	struct err e = { .rc = RC_OK };
	char dir[PATH_MAX + 64], endless[20001];
	struct buf text;
	int n = -1;

	memcpy(c.nodes[0].host, c.host, sizeof c.host);
	(void)snprintf(dir, sizeof dir, "%s/node-0", c.dir);
	EXPECT(dir_make(dir, 0700, &e) == RC_OK, "%s", e.msg);
	EXPECT(cache_collect_logs(&c, &(struct cache_log_order){ .node = 0, .now_s = noon }, &n, &run, &e) == RC_OK &&
	               n == 0,
	       "no log yet: %d %s", n, e.msg);
	memset(endless, 'x', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	put_log(&c, "node-0/redis.log.1",
	        "no date at all\n1:C 28 Feb 2026 09:00:00.000 * old\n1:M 09 Mar 2026 09:00:00.000 * a\n");
	buf_init(&text, 1 << 20);
	buf_addf(&text, "1:M 09 Mar 2026 10:00:00.000 * %s 1:M 10 Mar 2026 \n\ttrace\n", endless);
	buf_adds(&text,
	        "1:M 10 Mar 2026 00:00:00.000 # b\n1:M 10 Mai 2026 is no month\n1:M 09 Mar 2026 10:00:00.000 * back\n");
	buf_adds(&text, "1:S 10 Mar 2026 11:00:00.000 * c\n1:M 00 Mar 2026 \nends without a line's end");
	put_log(&c, "node-0/redis.log", buf_text(&text));
	put_log(&c, "run-logs/redis_1.2.3.4_2026-03-02.log", "older than a week");
	put_log(&c, "run-logs/redis_1.2.3.4_2026-03-03.log", "a week");
	put_log(&c, "run-logs/redis_1.2.3.4_2026-03-09.log.part", "cut off");

	struct cache_log_order order = { .node = 7, .days = 1, .now_s = noon };
	EXPECT(cache_collect_logs(&c, &order, &n, &run, &e) == RC_NOT_FOUND && strstr(e.msg, "no node 7"), "%s", e.msg);
	order = (struct cache_log_order){ .node = -1, .days = 8, .now_s = noon };
	EXPECT(cache_collect_logs(&c, &order, &n, &run, &e) == RC_INVALID && n == 0, "%s", e.msg);
	order.days = 1;
	EXPECT(cache_collect_logs(&c, &order, &n, &run, &e) == RC_OK && n == 2, "%d %s", n, e.msg);
	EXPECT_LOG("2026-02-28", "(none)");
	EXPECT_LOG("2026-03-10", "1:M 10 Mar 2026 00:00:00.000 # b\n1:M 10 Mai 2026 is no month\n"
	           "1:S 10 Mar 2026 11:00:00.000 * c\n1:M 00 Mar 2026 \nends without a line's end");
	const char *yesterday = log_of(&c, "2026-03-09");
	EXPECT(strncmp(yesterday, "1:M 09 Mar 2026 09:00:00.000 * a\n1:M 09 Mar 2026 10:00:00.000 * xxx", 60) == 0,
	       "%.100s", yesterday);
	EXPECT(strlen(yesterday) > 20000 &&
	               strstr(yesterday, "xx 1:M 10 Mar 2026 \n\ttrace\n1:M 09 Mar 2026 10:00:00.000 * back\n"),
	       "%zu", strlen(yesterday));
	order.days = 0;
	EXPECT(cache_collect_logs(&c, &order, &n, &run, &e) == RC_OK && n == 1, "%d %s", n, e.msg);
	EXPECT(strlen(log_of(&c, "2026-03-09")) > 20000, "what was collected stays");
	(void)snprintf(dir, sizeof dir, "%s/run-logs/redis_1.2.3.4_2026-03-02.log", c.dir);
	EXPECT(!file_exists(dir), "an old one stayed");
	dir[strlen(dir) - 5] = '3';
	EXPECT(file_exists(dir), "a week is kept");
	const struct cache_log_order ahead = { .node = -1, .now_s = noon + 400 * 86400, .aged_s = noon };
	EXPECT(cache_collect_logs(&c, &ahead, &n, &run, &e) == RC_OK && n == 0, "%d %s", n, e.msg);
	EXPECT(file_exists(dir), "a clock that is ahead made it old");
	(void)snprintf(dir, sizeof dir, "%s/run-logs/redis_1.2.3.4_2026-03-09.log", c.dir);
	EXPECT(!file_exists(dir), "what was cut off came to be");
	buf_fini(&text);
	EXPECT(dir_remove(c.dir, &e) == RC_OK, "%s", e.msg);
}

/* A power failure may leave zeros in a log. */
TEST(a_run_log_with_zeros_is_cut_like_others)
{
	static const char torn[] = "1:M 10 Mar 2026 00:00:00.000 # b\n\0\0\0\n\0x\n1:M 10 Mar 2026 01:00:00.000 \0 c\n";
	struct cache_instance c = describe("torn", CACHE_SINGLE);
	struct cache_log_order order = { .node = -1, .now_s = utc(2026, 3, 10, 12, 0) };
	struct err e = { .rc = RC_OK };
	char path[PATH_MAX + 64];
	int n = -1;

	memcpy(c.nodes[0].host, c.host, sizeof c.host);
	(void)snprintf(path, sizeof path, "%s/node-0", c.dir);
	EXPECT(dir_make(path, 0700, &e) == RC_OK, "%s", e.msg);
	(void)snprintf(path, sizeof path, "%s/node-0/redis.log", c.dir);
	EXPECT(file_write(path, torn, sizeof torn - 1, 0600, &e) == RC_OK, "%s", e.msg);
	EXPECT(cache_collect_logs(&c, &order, &n, &run, &e) == RC_OK && n == 1, "%d %s", n, e.msg);
	EXPECT_LOG("2026-03-10", "1:M 10 Mar 2026 00:00:00.000 # b\n???\n?x\n1:M 10 Mar 2026 01:00:00.000 ? c\n");
	EXPECT(dir_remove(c.dir, &e) == RC_OK, "%s", e.msg);
}

static void put_size(const char *path, int64_t size)
{
	EXPECT(truncate(path, (off_t)size) == 0, "%s", path);
}

TEST(a_log_that_grows_while_redis_runs_is_put_aside)
{
	enum { LIVE_MAX = 64 << 20 };
	struct cache_instance c = describe("talkative", CACHE_SINGLE);
	struct err e = { .rc = RC_OK };
	char dir[PATH_MAX + 64], path[PATH_MAX + 96], old[PATH_MAX + 128];

	(void)snprintf(dir, sizeof dir, "%s/node-0", c.dir);
	(void)snprintf(path, sizeof path, "%s/redis.log", dir);
	(void)snprintf(old, sizeof old, "%s.1", path);
	EXPECT(dir_make(dir, 0700, &e) == RC_OK, "%s", e.msg);
	cache_bound_logs(&c);
	EXPECT(!file_exists(path) && !file_exists(old), "none is made");
	put_log(&c, "node-0/redis.log.1", "the part before");
	put_log(&c, "node-0/redis.log", "newest");
	put_size(path, LIVE_MAX);
	cache_bound_logs(&c);
	EXPECT(file_exists(path), "it is not too large yet");
	put_size(path, LIVE_MAX + 1);
	cache_bound_logs(&c);
	int64_t size = 0;
	EXPECT(!file_exists(path) && file_size(old, &size, &e) == RC_OK && size == LIVE_MAX + 1, "%lld",
	       (long long)size);
	EXPECT(dir_remove(c.dir, &e) == RC_OK, "%s", e.msg);
}

TEST(an_operation_tells_its_steps_and_stops_on_request)
{
	struct cache_instance c = describe("watched", CACHE_HA);
	struct watcher w = { .stop_at = 10 };
	struct cache_run watched = {
		.timeout_ms = PATIENCE_MS, .ctx = &w, .on_step = on_step, .should_stop = should_stop
	};
	struct err e = { .rc = RC_OK };

	EXPECT(cache_create(&c, &watched, &e) == RC_TIMEOUT && strstr(e.msg, "stopped on request"), "%s", e.msg);
	EXPECT(!file_exists(c.dir), "something stays");
	w = (struct watcher){ .stop_at = 0 };
	EXPECT(cache_create(&c, &watched, &e) == RC_OK, "%s", e.msg);
	EXPECT(w.steps >= 3 && !w.fell && w.last <= 99, "%d steps, last %d", w.steps, w.last);
	w = (struct watcher){ .stop_at = 5 };
	EXPECT(cache_restart(&c, &watched, &e) == RC_TIMEOUT, "%s", e.msg);
	EXPECT(cache_heal(&c, CACHE_WAIT_FOR_HUNG, &run, &e) == RC_OK, "%s", e.msg);
	EXPECT_ANSWER("PONG", &c, NULL, "PING");
	gone(&c);
}

/* ---- nothing stays ---- */

/* How many work below folder; each gets the signal, 0 for none. */
static int processes_in(const char *folder, int sig)
{
	DIR *proc = opendir("/proc");
	int n = 0;
	must(proc);
	for (struct dirent *e = readdir(proc); e; e = readdir(proc)) {
		char link[300], cwd[PATH_MAX];
		(void)snprintf(link, sizeof link, "/proc/%.200s/cwd", e->d_name);
		ssize_t len = readlink(link, cwd, sizeof cwd - 1);
		if (len > 0) {
			cwd[len] = '\0';
			int64_t pid;
			bool is_inside = strncmp(cwd, folder, strlen(folder)) == 0;
			n += is_inside;
			if (is_inside && sig && num_i64(e->d_name, &pid) && pid != getpid())
				(void)kill((pid_t)pid, sig);
		}
	}
	(void)closedir(proc);
	return n;
}

TEST(no_process_is_left)
{
	int n = processes_in(root, SIGKILL);
	EXPECT(n == 0, "%d processes worked in %s", n, root);
}

static bool has_redis(void)
{
	static const char *const places[] = { "/usr/local/bin/redis-server", "/usr/bin/redis-server",
		                              "/bin/redis-server" };
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (access(places[i], X_OK) == 0)
			return true;
	}
	return false;
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	char made_root[PATH_MAX];

	(void)snprintf(made_root, sizeof made_root, "%.3000s/cache-test.XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(made_root));
	must(realpath(made_root, root));
	net = (int)getpid();
	RUN(descriptions_are_checked);
	if (!has_redis()) {
		printf("skipped cache_test: redis-server is not installed\n");
		return test_failures != 0 || dir_remove(root, NULL) != RC_OK;
	}
	RUN(a_single_instance_lives);
	RUN(processes_outlive_their_maker_and_are_adopted);
	RUN(a_switchover_loses_no_acknowledged_write);
	RUN(priorities_decide_who_becomes_master);
	RUN(processes_are_noted_after_a_failure_and_resizes_checked);
	RUN(a_dead_master_is_replaced_by_its_replica);
	RUN(a_node_that_works_at_something_long_is_not_killed);
	RUN(a_number_of_a_removed_node_is_given_again_at_last);
	RUN(a_backup_of_a_single_instance_comes_back);
	RUN(a_backup_of_a_replica_comes_back);
	RUN(a_flush_ends_though_clients_take_all_connections);
	RUN(a_master_whose_clients_take_the_last_connection_serves_them);
	RUN(a_restore_never_ends_a_master_whose_file_is_not_good);
	RUN(data_survives_switching_the_append_only_file);
	RUN(a_peer_that_is_no_redis_is_an_error);
	RUN(what_cannot_be_started_says_why);
	RUN(analyses_tell_what_is_there);
	RUN(a_key_that_scanning_meets_twice_is_told_once);
	RUN(hot_keys_with_long_names_are_described_by_their_whole_names);
	RUN(run_logs_are_cut_by_day);
	RUN(a_run_log_with_zeros_is_cut_like_others);
	RUN(a_log_that_grows_while_redis_runs_is_put_aside);
	RUN(an_operation_tells_its_steps_and_stops_on_request);
	RUN(no_process_is_left);
	if (!test_failures && dir_remove(root, NULL) != RC_OK)
		test_failures++;
	return test_failures != 0;
}
