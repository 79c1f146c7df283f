/*
 * A node's configuration is written whole from the description, never edited: what a restart finds is what the caller
 * keeps. The same values reach a running node by one CONFIG SET, which Redis carries out entirely or not at all.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/mem.h"
#include "base/must.h"
#include "cache/cache_priv.h"
#include "os/file.h"

#define POLICIES                                                                                                       \
	"noeviction|allkeys-lru|allkeys-lfu|allkeys-random|volatile-lru|volatile-lfu|volatile-random|volatile-ttl"
#define OUT_LIMIT "client-output-buffer-slave-"

enum { ACCOUNT_WORDS = 48, ACCOUNT_MAX = 2048 };

const struct param_rule cache_rules[] = {
	{ "timeout", PARAM_INT, false, "0", 0, 7200, NULL,
	  "Seconds after which an idle client is disconnected; 0 never." },
	{ "maxmemory-policy", PARAM_CHOICE, false, "volatile-lru", 0, 0, POLICIES,
	  "What is evicted when memory is full." },
	{ "appendonly", PARAM_CHOICE, false, "yes", 0, 0, "yes|no", "Keep every write in an append-only file." },
	{ "appendfsync", PARAM_CHOICE, false, "everysec", 0, 0, "no|always|everysec",
	  "When the append-only file is forced to disk." },
	{ "maxclients", PARAM_INT, false, "10000", 16, 50000, NULL, "Connections at most." },
	{ "lua-time-limit", PARAM_INT, false, "5000", 100, 5000, NULL, "Milliseconds until a script counts as slow." },
	{ "proto-max-bulk-len", PARAM_INT, false, "536870912", 1048576, 536870912, NULL, "Largest value in bytes." },
	{ "repl-timeout", PARAM_INT, false, "60", 30, 3600, NULL,
	  "Seconds until a silent replication link is given up." },
	{ "repl-backlog-size", PARAM_INT, false, "1048576", 16384, 1073741824, NULL,
	  "Bytes of writes kept for a replica that was away for a moment." },
	{ "repl-backlog-ttl", PARAM_INT, false, "3600", 0, 604800, NULL, "Seconds they are kept without any replica." },
	{ "hash-max-ziplist-entries", PARAM_INT, false, "512", 1, 10000, NULL, "Fields of a compactly kept hash." },
	{ "hash-max-ziplist-value", PARAM_INT, false, "64", 1, 10000, NULL, "Longest value of a compactly kept hash." },
	{ "set-max-intset-entries", PARAM_INT, false, "512", 1, 10000, NULL,
	  "Members of a compactly kept integer set." },
	{ "zset-max-ziplist-entries", PARAM_INT, false, "128", 1, 10000, NULL, "Members of a compact sorted set." },
	{ "zset-max-ziplist-value", PARAM_INT, false, "64", 1, 10000, NULL, "Longest member of a compact sorted set." },
	{ "latency-monitor-threshold", PARAM_INT, false, "0", 0, 86400000, NULL,
	  "Milliseconds from which the latency monitor records; 0 off." },
	{ "slowlog-log-slower-than", PARAM_INT, false, "10000", 0, 1000000, NULL,
	  "Microseconds from which a command goes to the slow log." },
	{ "slowlog-max-len", PARAM_INT, false, "128", 0, 1000, NULL, "Entries of the slow log." },
	{ "notify-keyspace-events", PARAM_TEXT, false, "", 0, 0, NULL, "Classes of events published; empty none." },
	{ OUT_LIMIT "hard-limit", PARAM_INT, false, "268435456", 0, 68719476736, NULL,
	  "Bytes waiting for a replica at which its link is cut." },
	{ OUT_LIMIT "soft-limit", PARAM_INT, false, "67108864", 0, 68719476736, NULL,
	  "The same when they wait longer than the soft seconds." },
	{ "client-output-buffer-limit-slave-soft-seconds", PARAM_INT, false, "60", 0, 60, NULL, "Soft seconds." },
};
const size_t n_cache_rules = ARRAY_LEN(cache_rules);
static_assert(ARRAY_LEN(cache_rules) <= CACHE_SETTINGS_MAX, "every setting has a place in a description");

/* Commands that would take a node out of our hands or show our account's secret (CONFIG GET masterauth). */
static const char *const denied_commands = "-config -acl +acl|whoami -shutdown -replicaof -slaveof -failover -debug "
                                           "-module -cluster -migrate -sync -psync "
                                           "-replconf -save -bgsave -bgrewriteaof";

static const char *const renamable[] = { "command", "keys",  "flushdb", "flushall", "hgetall",
	                                 "scan",    "hscan", "sscan",   "zscan" };
static_assert(ARRAY_LEN(renamable) == CACHE_RENAMES_MAX, "every renamable command has a place in a description");

/* ---- settings ---- */

const struct param_rule *conf_rule(const char *name)
{
	for (size_t i = 0; i < n_cache_rules; i++) {
		if (strcmp(cache_rules[i].name, name) == 0)
			return &cache_rules[i];
	}
	return NULL;
}

const char *cache_setting(const struct cache_instance *c, const char *name)
{
	const struct param_rule *rule = conf_rule(name);
	for (int i = 0; i < c->n_settings; i++) {
		if (strcmp(c->settings[i].name, name) == 0)
			return c->settings[i].value;
	}
	return rule ? rule->default_text : NULL;
}

static enum rc check_events(const char *value, struct err *err)
{
	if (value[strspn(value, "AKEg$lshzxetdmn")])
		return err_set(err, RC_INVALID, "notify-keyspace-events: '%.32s' has a letter that stands for no class",
		               value);
	if (*value && !strpbrk(value, "KE"))
		return err_set(err, RC_INVALID, "notify-keyspace-events: '%.32s' has neither K nor E", value);
	if (strchr(value, 'A') && strpbrk(value, "g$lshzxe"))
		return err_set(err, RC_INVALID, "notify-keyspace-events: '%.32s' names classes that A contains", value);
	return RC_OK;
}

static enum rc check_setting(const struct cache_instance *c, const struct cache_setting *s, struct err *err)
{
	const struct param_rule *rule = conf_rule(s->name);
	if (!rule)
		return err_set(err, RC_INVALID, "'%.47s' is no setting of an instance", s->name);
	enum rc rc = param_check(rule, s->value, err);
	if (rc == RC_OK && rule->type != PARAM_TEXT && !*s->value)
		rc = err_set(err, RC_INVALID, "%s: the value is empty", s->name);
	if (rc == RC_OK && strcmp(s->name, "notify-keyspace-events") == 0)
		rc = check_events(s->value, err);
	if (rc == RC_OK && c->mode == CACHE_SINGLE && strcmp(s->name, "appendonly") == 0 && strcmp(s->value, "no") == 0)
		rc = err_set(err, RC_INVALID, "appendonly: a single instance keeps its append-only file");
	return rc;
}

static void drop_setting(struct cache_instance *c, const char *name)
{
	for (int i = 0; i < c->n_settings; i++) {
		if (strcmp(c->settings[i].name, name) == 0)
			c->settings[i--] = c->settings[--c->n_settings];
	}
}

enum rc conf_set(struct cache_instance *c, const struct cache_setting *s, struct err *err)
{
	enum rc rc = check_setting(c, s, err);
	if (rc != RC_OK)
		return rc;
	drop_setting(c, s->name);
	if (strcmp(s->value, conf_rule(s->name)->default_text) != 0) {
		must(c->n_settings < CACHE_SETTINGS_MAX); /* one place for each rule */
		c->settings[c->n_settings++] = *s;
	}
	return RC_OK;
}

/* ---- renames ---- */

static bool is_renamable(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(renamable); i++) {
		if (strcmp(command, renamable[i]) == 0)
			return true;
	}
	return false;
}

static bool is_command_name(const char *name)
{
	size_t len = strlen(name);
	bool starts_well = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z');
	return starts_well && len >= 4 && len <= 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

enum rc conf_check_renames(const struct cache_rename *renames, int n, struct err *err)
{
	if (n < 0 || n > CACHE_RENAMES_MAX)
		return err_set(err, RC_INVALID, "at most %d commands can be renamed", CACHE_RENAMES_MAX);
	for (int i = 0; i < n; i++) {
		if (!is_renamable(renames[i].command))
			return err_set(err, RC_INVALID, "the command '%.16s' cannot be renamed", renames[i].command);
		if (!is_command_name(renames[i].name))
			return err_set(err, RC_INVALID,
			               "'%.64s' is no name for a command: 4 to 64 letters, digits, '_' "
			               "and '-', first a letter",
			               renames[i].name);
		for (int j = 0; j < i; j++) {
			if (strcmp(renames[i].command, renames[j].command) == 0)
				return err_set(err, RC_INVALID, "the command '%s' is renamed twice",
				               renames[i].command);
			if (strcasecmp(renames[i].name, renames[j].name) == 0)
				return err_set(err, RC_INVALID, "two commands are renamed to '%s'", renames[i].name);
		}
	}
	return RC_OK;
}

const char *conf_command(const struct cache_instance *c, const char *command)
{
	for (int i = 0; i < c->n_renames; i++) {
		if (strcmp(c->renames[i].command, command) == 0)
			return c->renames[i].name;
	}
	return command;
}

enum rc conf_has_names(struct wire *w, const struct cache_instance *c, bool *out, struct err *err)
{
	bool has_all = true;

	for (size_t i = 0; i < ARRAY_LEN(renamable) && has_all; i++) {
		struct err why = { .rc = RC_OK };
		/* Looks the name up, no more; a command that exists complains of missing arguments at most. */
		enum rc rc = wire_call(w, NULL, &why, "ACL", "DRYRUN", ADMIN_USER, conf_command(c, renamable[i]));
		if (rc == RC_IO || rc == RC_TIMEOUT)
			return err_set(err, rc, "%s", why.msg);
		has_all = rc == RC_OK || !strstr(why.msg, "not found");
	}
	*out = has_all;
	return RC_OK;
}

const char *conf_command_of(const struct cache_instance *c, const char *name)
{
	for (int i = 0; i < c->n_renames; i++) {
		if (strcasecmp(c->renames[i].name, name) == 0)
			return c->renames[i].command;
	}
	return name;
}

bool conf_is_denied(const char *command)
{
	size_t len = strlen(command);

	for (const char *p = denied_commands; *p; p += strspn(p, " ")) {
		size_t word = strcspn(p, " ");
		if (*p == '-' && word == len + 1 && strncasecmp(p + 1, command, len) == 0)
			return true;
		p += word;
	}
	return false;
}

/* ---- what Redis is told ---- */

void conf_bind(const struct cache_instance *c, int node, char *out, size_t size)
{
	const char *own = c->nodes[node].host;
	bool is_both = node == c->master && strcmp(own, c->host) != 0;
	int len = snprintf(out, size, is_both ? "%s %s" : "%s", own, c->host);
	must(len > 0 && (size_t)len < size);
}

static void default_user(const struct cache_instance *c, struct buf *out)
{
	buf_adds(out, "on resetpass ");
	if (*c->password_hash)
		buf_addf(out, "#%s", c->password_hash);
	else
		buf_adds(out, "nopass");
	buf_addf(out, " ~* &* +@all %s%s", denied_commands, seal_is_there(c) ? " -@write" : "");
}

/* Settings whose names or shapes differ in Redis, gathered into one line there. */
static bool is_output_limit(const char *name) { return strncmp(name, "client-output-buffer-", 21) == 0; }

static void output_limit(const struct cache_instance *c, char *out, size_t size)
{
	int len = snprintf(out, size, "replica %s %s %s", cache_setting(c, OUT_LIMIT "hard-limit"),
	                   cache_setting(c, OUT_LIMIT "soft-limit"),
	                   cache_setting(c, "client-output-buffer-limit-slave-soft-seconds"));
	must(len > 0 && (size_t)len < size);
}

/* With an append-only file saves are only made when asked for; without it they are all there is. */
static const char *save_points(const struct cache_instance *c)
{
	return strcmp(cache_setting(c, "appendonly"), "yes") == 0 ? "" : "900 1 300 100 60 10000";
}

struct pairs {
	const char *argv[2 + 2 * (CACHE_SETTINGS_MAX + 8)];
	int argc;
	char capacity[24], port[12], priority[12], output[128];
};

static void add_pair(struct pairs *p, const char *name, const char *value)
{
	must(p->argc + 2 <= (int)ARRAY_LEN(p->argv));
	p->argv[p->argc++] = name;
	p->argv[p->argc++] = value;
}

/* What both the file and a running node get. */
static void gather(struct pairs *p, const struct cache_instance *c, int node)
{
	(void)snprintf(p->capacity, sizeof p->capacity, "%lld", (long long)c->capacity);
	(void)snprintf(p->port, sizeof p->port, "%d", c->port);
	output_limit(c, p->output, sizeof p->output);
	(void)snprintf(p->priority, sizeof p->priority, "%d", c->nodes[node].priority);
	add_pair(p, "maxmemory", p->capacity);
	add_pair(p, "replica-priority", p->priority);
	add_pair(p, "replica-announce-ip", c->nodes[node].host);
	add_pair(p, "replica-announce-port", p->port);
	add_pair(p, "client-output-buffer-limit", p->output);
	add_pair(p, "save", save_points(c));
	for (size_t i = 0; i < n_cache_rules; i++) {
		const char *name = cache_rules[i].name;
		if (!is_output_limit(name))
			add_pair(p, name, cache_setting(c, name));
	}
}

static void drop_pair(struct pairs *p, const char *name)
{
	for (int i = 2; i < p->argc; i += 2) {
		if (strcmp(p->argv[i], name) != 0)
			continue;
		p->argc -= 2;
		memmove(&p->argv[i], &p->argv[i + 2], (size_t)(p->argc - i) * sizeof p->argv[0]);
		return;
	}
}

enum rc conf_apply_clients(struct wire *w, const struct cache_instance *c, bool is_firm, struct err *err)
{
	struct err why = { .rc = RC_OK };

	enum rc rc = wire_call(w, NULL, &why, "CONFIG", "SET", "maxclients", cache_setting(c, "maxclients"));
	bool is_limit = rc == RC_CONFLICT && strstr(why.msg, "not able to handle the specified number of clients");
	act_done();
	if (rc == RC_OK || (is_limit && !is_firm))
		return RC_OK;
	return err_set(err, rc, "%s", why.msg);
}

enum rc conf_apply(struct wire *w, const struct cache_instance *c, int node, struct err *err)
{
	struct pairs p = { .argv = { "CONFIG", "SET" }, .argc = 2 };
	gather(&p, c, node);
	drop_pair(&p, "maxclients");
	enum rc rc = conf_apply_clients(w, c, /* is_firm= */ false, err);
	if (rc == RC_OK)
		rc = wire_callv(w, NULL, err, p.argv, p.argc);
	act_done();
	return rc;
}

enum rc conf_apply_all(const struct op *op, const struct cache_instance *c, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		rc = node_open(op, c, i, &w, err);
		if (rc == RC_OK)
			rc = conf_apply(w, c, i, err);
	}
	return rc;
}

/* Redis takes all words of it or none. */
enum rc conf_apply_account(struct wire *w, const struct cache_instance *c, struct err *err)
{
	const char *argv[ACCOUNT_WORDS] = { "ACL", "SETUSER", "default" };
	int argc = 3;
	struct buf text;

	buf_init(&text, ACCOUNT_MAX);
	default_user(c, &text);
	must(!text.is_over);
	for (size_t i = 0; i < text.len; i++) {
		if (text.bytes[i] == ' ')
			text.bytes[i] = '\0';
	}
	for (const char *p = text.bytes; p < text.bytes + text.len; p += strlen(p) + 1) {
		must(argc < ACCOUNT_WORDS);
		argv[argc++] = p;
	}
	enum rc rc = wire_callv(w, NULL, err, argv, argc);
	act_done();
	buf_fini(&text);
	return rc;
}

enum rc conf_apply_accounts(const struct op *op, const struct cache_instance *c, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++) {
		CLEANUP(wire_closep) struct wire *w = NULL;
		rc = node_open(op, c, i, &w, err);
		if (rc == RC_OK)
			rc = conf_apply_account(w, c, err);
	}
	return rc;
}

/* ---- the file ---- */

/* A quoted word as Redis reads it. The value has no control characters: cache_check and the rules see to it. */
static void add_quoted(struct buf *out, const char *value)
{
	buf_addc(out, '"');
	for (const char *p = value; *p; p++) {
		must((unsigned char)*p >= ' ' && *p != 127);
		if (*p == '"' || *p == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
}

static void add_line(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "%s ", name);
	add_quoted(out, value);
	buf_addc(out, '\n');
}

static void add_place(struct buf *out, const struct cache_instance *c, int node, const char *dir)
{
	char bind[2 * CACHE_HOST_SIZE];

	conf_bind(c, node, bind, sizeof bind);
	buf_addf(out, "bind %s\nport %d\n", bind, c->port);
	/* Who may connect is decided by the addresses and the accounts. */
	buf_adds(out, "protected-mode no\ndaemonize yes\nalways-show-logo no\n");
	add_line(out, "dir", dir);
	buf_adds(out, "pidfile \"redis.pid\"\nlogfile \"redis.log\"\n");
	buf_addf(out, "dbfilename %s\nappenddirname %s\ndatabases %d\n", DUMP_FILE, AOF_DIR, CACHE_DATABASES);
}

static void add_settings(struct buf *out, const struct cache_instance *c, int node, bool is_rdb_boot)
{
	struct pairs p = { .argc = 0 };
	gather(&p, c, node);
	for (int i = 0; i < p.argc; i += 2) {
		const char *name = p.argv[i], *value = p.argv[i + 1];
		if (strcmp(name, "appendonly") == 0 && is_rdb_boot)
			value = "no";
		bool is_list = strcmp(name, "client-output-buffer-limit") == 0 || (strcmp(name, "save") == 0 && *value);
		if (is_list)
			buf_addf(out, "%s %s\n", name, value);
		else
			add_line(out, name, value);
	}
}

static void add_accounts(struct buf *out, const struct cache_instance *c, const char *secret)
{
	char hash[CACHE_HASH_SIZE];

	cache_hash_password(secret, hash);
	buf_adds(out, "user default ");
	default_user(c, out);
	buf_addf(out, "\nuser %s on #%s ~* &* +@all\n", ADMIN_USER, hash);
	buf_addf(out, "masteruser %s\nmasterauth %s\n", ADMIN_USER, secret);
}

static void add_role(struct buf *out, const struct cache_instance *c, int node)
{
	buf_adds(out, "repl-diskless-sync-delay 0\n");
	if (node != c->master)
		buf_addf(out, "replicaof %s %d\n", c->nodes[c->master].host, c->port);
	for (int i = 0; i < c->n_renames; i++)
		buf_addf(out, "rename-command %s %s\n", c->renames[i].command, c->renames[i].name);
}

enum rc conf_write(const struct cache_instance *c, int node, bool is_rdb_boot, struct err *err)
{
	char dir[PATH_MAX], path[PATH_MAX], secret[SECRET_DIGITS + 1];
	struct buf text;

	enum rc rc = node_dir(c, node, dir, err);
	if (rc == RC_OK)
		rc = node_file(c, node, "redis.conf", path, err);
	if (rc == RC_OK)
		rc = secret_read(c, secret, err);
	if (rc != RC_OK)
		return rc;
	buf_init(&text, 65536);
	buf_adds(&text, "# Written by stint from its own records; a change made here is lost at the next start.\n");
	add_place(&text, c, node, dir);
	add_settings(&text, c, node, is_rdb_boot);
	add_accounts(&text, c, secret);
	add_role(&text, c, node);
	must(!text.is_over);
	rc = file_replace(path, text.bytes, text.len, 0600, err);
	act_done();
	mem_wipe(text.bytes, text.cap);
	mem_wipe(secret, sizeof secret);
	buf_fini(&text);
	return rc;
}

enum rc conf_write_all(const struct cache_instance *c, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++)
		rc = conf_write(c, i, /* is_rdb_boot= */ false, err);
	return rc;
}
