/*
 * The names that no command may be renamed to: Redis does not start when a new name is a command's already, and the
 * program that is installed tells its commands only while it runs. So they are listed: of Redis up to 8 and Valkey, in
 * lower case, sorted, but for those that break another rule of new names. "post" is none, but ends the connection.
 */
#include <strings.h>
#include "base/attr.h"
#include "cache/cache.h"

static const char *const commands[] = {
	"append", "asking", "auth", "bgrewriteaof", "bgsave", "bitcount", "bitfield", "bitfield_ro", "bitop", "bitpos",
	"blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop", "bzpopmax", "bzpopmin", "client", "cluster",
	"clusterscan", "command", "commandlog", "config", "copy", "dbsize", "debug", "decr", "decrby", "delex",
	"delifeq", "digest", "discard", "dump", "echo", "eval", "eval_ro", "evalsha", "evalsha_ro", "exec", "exists",
	"expire", "expireat", "expiretime", "failover", "fcall", "fcall_ro", "flushall", "flushdb", "function",
	"geoadd", "geodist", "geohash", "geopos", "georadius", "georadius_ro", "georadiusbymember",
	"georadiusbymember_ro", "geosearch", "geosearchstore", "getbit", "getdel", "getex", "getrange", "getset",
	"hdel", "hello", "hexists", "hexpire", "hexpireat", "hexpiretime", "hget", "hgetall", "hgetdel", "hgetex",
	"hincrby", "hincrbyfloat", "hkeys", "hlen", "hmget", "hmset", "hpersist", "hpexpire", "hpexpireat",
	"hpexpiretime", "hpttl", "hrandfield", "hscan", "hset", "hsetex", "hsetnx", "hstrlen", "httl", "hvals", "incr",
	"incrby", "incrbyfloat", "info", "keys", "lastsave", "latency", "lindex", "linsert", "llen", "lmove", "lmpop",
	"lolwut", "lpop", "lpos", "lpush", "lpushx", "lrange", "lrem", "lset", "ltrim", "memory", "mget", "migrate",
	"module", "monitor", "move", "mset", "msetex", "msetnx", "multi", "object", "persist", "pexpire", "pexpireat",
	"pexpiretime", "pfadd", "pfcount", "pfdebug", "pfmerge", "pfselftest", "ping", "post", "psetex", "psubscribe",
	"psync", "pttl", "publish", "pubsub", "punsubscribe", "quit", "randomkey", "readonly", "readwrite", "rename",
	"renamenx", "replconf", "replicaof", "reset", "restore", "restore-asking", "role", "rpop", "rpoplpush", "rpush",
	"rpushx", "sadd", "save", "scan", "scard", "script", "sdiff", "sdiffstore", "select", "setbit", "setex",
	"setnx", "setrange", "shutdown", "sinter", "sintercard", "sinterstore", "sismember", "slaveof", "slowlog",
	"smembers", "smismember", "smove", "sort", "sort_ro", "spop", "spublish", "srandmember", "srem", "sscan",
	"ssubscribe", "strlen", "subscribe", "substr", "sunion", "sunionstore", "sunsubscribe", "swapdb", "sync",
	"time", "touch", "type", "unlink", "unsubscribe", "unwatch", "vadd", "vcard", "vdim", "vemb", "vgetattr",
	"vinfo", "vismember", "vlinks", "vrandmember", "vrange", "vrem", "vsetattr", "vsim", "wait", "waitaof", "watch",
	"xack", "xackdel", "xadd", "xautoclaim", "xcfgset", "xclaim", "xdel", "xdelex", "xgroup", "xinfo", "xlen",
	"xpending", "xrange", "xread", "xreadgroup", "xrevrange", "xsetid", "xtrim", "zadd", "zcard", "zcount", "zdiff",
	"zdiffstore", "zincrby", "zinter", "zintercard", "zinterstore", "zlexcount", "zmpop", "zmscore", "zpopmax",
	"zpopmin", "zrandmember", "zrange", "zrangebylex", "zrangebyscore", "zrangestore", "zrank", "zrem",
	"zremrangebylex", "zremrangebyrank", "zremrangebyscore", "zrevrange", "zrevrangebylex", "zrevrangebyscore",
	"zrevrank", "zscan", "zscore", "zunion", "zunionstore",
};

bool cache_is_command(const char *name)
{
	size_t low = 0, high = ARRAY_LEN(commands);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcasecmp(name, commands[middle]);
		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}
