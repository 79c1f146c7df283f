/*
 * rdb: what is in a Redis RDB file, key by key, without a Redis server and without loading it.
 *
 * The file is read once, front to back, and each key is told to a callback. Values are skipped, not kept; packed ones
 * (listpacks, ziplists, intsets, zipmaps, LZF-compressed or not) are walked to count their elements.
 *
 * Memory:   RDB_MEMORY_SIZE at most, whatever the sizes of file, values and elements.
 * Formats:  file versions 1 .. RDB_VERSION_MAX; docs/rdb.md lists the types and what is checked.
 * Errors:   RC_NOT_FOUND, RC_IO; RC_INVALID not an RDB file, a newer version, or a value that cannot be skipped;
 *           RC_CORRUPT cut off or damaged, with the byte offset; and what a callback returned, which ends the reading.
 * Threads:  any; one reading is one call.
 * Order:    keys are told before the checksum at the end of the file can be judged. Believe them after RC_OK only.
 * Not here: totals and rankings (rdb/report.h).
 */
#ifndef RDB_RDB_H
#define RDB_RDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum {
	RDB_VERSION_MAX = 12,
	RDB_NAME_MAX = 512,             /* bytes of a key's name that are told */
	RDB_MEMORY_SIZE = 512 * 1024,
	RDB_PROGRESS_SIZE = 256 * 1024, /* a progress callback comes about this often, in bytes read */
};

#define RDB_TYPE_TABLE(X)                                                                           \
	X(STRING, "string") X(LIST, "list") X(SET, "set") X(ZSET, "zset") X(HASH, "hash")           \
	X(STREAM, "stream") X(MODULE, "module")

enum rdb_type {
#define X(name, text) RDB_##name,
	RDB_TYPE_TABLE(X)
#undef X
	RDB_TYPES
};

/* How the value is kept in the file. For what Redis 7 writes, the words are those of OBJECT ENCODING. */
#define RDB_ENCODING_TABLE(X)                                                                       \
	X(INT, "int") X(EMBSTR, "embstr") X(RAW, "raw") X(INTSET, "intset") X(LISTPACK, "listpack") \
	X(QUICKLIST, "quicklist") X(HASHTABLE, "hashtable") X(SKIPLIST, "skiplist")                 \
	X(STREAM, "stream") X(ZIPLIST, "ziplist") X(ZIPMAP, "zipmap")                               \
	X(LINKEDLIST, "linkedlist") X(MODULE, "module")

enum rdb_encoding {
#define X(name, text) RDB_ENC_##name,
	RDB_ENCODING_TABLE(X)
#undef X
	RDB_ENCODINGS
};

struct rdb_key {
	const uint8_t *name;    /* the first name_kept bytes; any bytes, no NUL behind; valid during the callback */
	uint64_t name_len;
	size_t name_kept;       /* min(name_len, RDB_NAME_MAX) */
	uint32_t db;
	enum rdb_type type;
	enum rdb_encoding encoding;
	uint64_t n_elements;    /* string: 1; hash: fields; stream: entries; module: fields of its serialisation */
	uint64_t longest_size;  /* bytes of the longest string, member, field, value (stream: any part of an entry) */
	uint64_t file_size;     /* bytes of the record: expiry and idle marks, type, name, value */
	uint64_t memory_size;   /* estimate of MEMORY USAGE name SAMPLES 0 in Redis 7; docs/rdb.md has the method */
	uint64_t offset;        /* of the record in the file */
	int64_t expires_at_ms;  /* wall clock; meant only when has_expiry */
	int64_t idle_s;         /* -1: the file does not say */
	int freq;               /* LFU counter 0 .. 255; -1: the file does not say */
	bool has_expiry;
	bool is_compressed;     /* some of the value is LZF-compressed */
	uint64_t n_groups, n_consumers, n_pending; /* streams */
	char module[10];        /* modules: the name of the module's type */
};

enum rdb_checksum { RDB_CHECKSUM_GOOD, RDB_CHECKSUM_OFF /* rdbchecksum no */, RDB_CHECKSUM_ABSENT /* version < 5 */ };

struct rdb_info {
	int version;
	enum rdb_checksum checksum;
	uint64_t file_size, n_keys, n_functions, n_module_aux;
	char redis_version[32];      /* "" when the file does not say */
	int64_t created_s, used_memory_size; /* -1 when the file does not say */
	int bits;                            /* 32, 64; -1 when the file does not say */
};

struct rdb_visitor {
	void *ctx;
	enum rc (*key)(void *ctx, const struct rdb_key *key, struct err *err);
	/* May be NULL. For showing how far it is, and for giving up: anything but RC_OK ends the reading. */
	enum rc (*progress)(void *ctx, uint64_t done_size, uint64_t file_size, struct err *err);
};

/* info (may be NULL) is written on success only. */
enum rc rdb_read(const char *path, const struct rdb_visitor *v, struct rdb_info *info, struct err *err) NODISCARD;
/* The same for a file that is in memory already. name is for messages. */
enum rc rdb_read_bytes(const void *bytes, size_t len, const char *name, const struct rdb_visitor *v,
		       struct rdb_info *info, struct err *err) NODISCARD;

const char *rdb_type_name(enum rdb_type type);
const char *rdb_encoding_name(enum rdb_encoding encoding);

#endif
