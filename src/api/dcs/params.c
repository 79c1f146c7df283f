#include "api/dcs/params.h"

#include <string.h>
#include "base/attr.h"
#include "base/num.h"

#define NUMBER(low, high) CONFIG_NUMBER, low, high, #low "-" #high
#define WORD(words) CONFIG_WORD, 0, 0, words

const struct dcs_param dcs_params[] = {
	{ "1", "timeout", NUMBER(0, 7200), "0", false,
	  "Close a connection after a client is idle for this many seconds; 0 never does." },
	{ "2", "appendonly", WORD("yes,no"), "yes", true, "Log every write, so that a restart keeps it." },
	{ "3", "appendfsync", WORD("no,always,everysec"), "everysec", false,
	  "When the log of writes is forced to disk: as the system likes, at every write, every second." },
	{ "4", "maxmemory-policy",
	  WORD("volatile-lru,allkeys-lru,volatile-lfu,allkeys-lfu,volatile-random,allkeys-random,volatile-ttl,"
	       "noeviction"),
	  "volatile-lru", false, "Which keys give way when the memory is full." },
	{ "5", "maxclients", NUMBER(1000, 50000), "10000", false, "Connections at the same time." },
	{ "6", "lua-time-limit", NUMBER(100, 5000), "5000", false,
	  "Milliseconds a script may run before other clients are told that the server is busy." },
	{ "7", "proto-max-bulk-len", NUMBER(1048576, 536870912), "536870912", false, "Bytes of the longest value." },
	{ "8", "repl-timeout", NUMBER(30, 3600), "60", false,
	  "Seconds of silence after which a replica counts as lost." },
	{ "9", "repl-backlog-size", NUMBER(16384, 1073741824), "1048576", false,
	  "Bytes of writes kept for replicas that come back." },
	{ "10", "repl-backlog-ttl", NUMBER(0, 604800), "3600", false,
	  "Seconds the backlog is kept when no replica is connected; 0 for ever." },
	{ "11", "hash-max-ziplist-entries", NUMBER(1, 10000), "512", false, "Fields up to which a hash is packed." },
	{ "12", "hash-max-ziplist-value", NUMBER(1, 10000), "64", false, "Bytes of a value in a packed hash." },
	{ "13", "set-max-intset-entries", NUMBER(1, 10000), "512", false, "Integers up to which a set is packed." },
	{ "14", "zset-max-ziplist-entries", NUMBER(1, 10000), "128", false,
	  "Members up to which a sorted set is packed." },
	{ "15", "zset-max-ziplist-value", NUMBER(1, 10000), "64", false, "Bytes of a member in a packed sorted set." },
	{ "16", "latency-monitor-threshold", NUMBER(0, 86400000), "0", false,
	  "Milliseconds from which an operation is noted as slow by the latency monitor; 0 switches it off." },
	{ "17", "slowlog-log-slower-than", NUMBER(0, 1000000), "10000", false,
	  "Microseconds from which a command is written to the slow log." },
	{ "18", "slowlog-max-len", NUMBER(0, 1000), "128", false, "Entries the slow log keeps." },
	{ "19", "notify-keyspace-events", CONFIG_EVENTS, 0, 0,
	  "A subset of KEg$lshzxeA with K or E; A stands for g$lshzxe", "", false,
	  "Which changes of keys are published; empty publishes none." },
	{ "20", "client-output-buffer-slave-hard-limit", NUMBER(0, 68719476736), "268435456", false,
	  "Bytes waiting for a replica at which its link is cut." },
	{ "21", "client-output-buffer-slave-soft-limit", NUMBER(0, 68719476736), "67108864", false,
	  "The same, when that many wait for longer than the soft seconds." },
	{ "22", "client-output-buffer-limit-slave-soft-seconds", NUMBER(0, 60), "60", false, "The soft seconds." },
};
const size_t n_dcs_params = ARRAY_LEN(dcs_params);

const struct dcs_param *param_find(const char *id, const char *name)
{
	for (const struct dcs_param *p = dcs_params; (id || name) && p < dcs_params + n_dcs_params; p++) {
		if ((!id || strcmp(p->id, id) == 0) && (!name || strcmp(p->name, name) == 0))
			return p;
	}
	return NULL;
}

static bool is_word_of(const char *words, const char *value)
{
	for (const char *p = words;; p++) {
		size_t len = strcspn(p, ",");
		if (strlen(value) == len && memcmp(p, value, len) == 0)
			return true;
		p += len;
		if (!*p)
			return false;
	}
}

/* Nothing happens without K or E, and A already holds the classes: both mistakes are refused (the contract's rule). */
static bool is_event_set(const char *value)
{
	if (!*value)
		return true;
	if (value[strspn(value, "KEg$lshzxeA")] || !strpbrk(value, "KE"))
		return false;
	return !strchr(value, 'A') || !strpbrk(value, "g$lshzxe");
}

/* Redis takes no "05" and no "-0". */
static bool is_plain_number(const char *value) { return strcmp(value, "0") == 0 || num_is_canonical(value); }

bool param_takes(const struct dcs_param *p, const char *value)
{
	int64_t n;

	switch (p->kind) {
	case CONFIG_NUMBER: return is_plain_number(value) && num_i64(value, &n) && n >= p->low && n <= p->high;
	case CONFIG_WORD: return is_word_of(p->range, value);
	case CONFIG_EVENTS: return is_event_set(value);
	}
	return false;
}

/* The vendor's spelling. */
static const char *type_word(const struct dcs_param *p) { return p->kind == CONFIG_NUMBER ? "Interger" : "Enum"; }

void param_write(struct jw *w, const struct dcs_param *p, const char *value)
{
	jw_object(w);
	jw_kv_text(w, "param_id", p->id);
	jw_kv_text(w, "param_name", p->name);
	jw_kv_text(w, "param_value", value ? value : p->initial);
	jw_kv_text(w, "default_value", p->initial);
	jw_kv_text(w, "value_range", p->range);
	jw_kv_text(w, "value_type", type_word(p));
	jw_kv_text(w, "description", p->description);
	jw_end_object(w);
}
