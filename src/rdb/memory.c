/*
 * The memory that a value will take in Redis 7.0 on 64 bits, after the rules of its MEMORY USAGE command: the sizes of
 * its structures are written down here, and what it asks of the allocator is rounded up to the classes of jemalloc as
 * Debian builds it (multiples of 16 up to 128, then four classes for each doubling). docs/rdb.md says what is left out.
 */
#include "rdb/rdb_priv.h"

enum {
	OBJECT = 16,       /* robj */
	EMBEDDED_MAX = 44, /* strings up to here share the object's block */
	DICT = 56,
	DICT_ENTRY = 24,
	DICT_SLOTS_MIN = 4,
	QUICKLIST = 40,
	QUICKLIST_NODE = 40,
	ZSET = 16,
	SKIPLIST = 32,
	SKIPLIST_HEAD = 640, /* a node of 32 levels: 24 + 32 * 16, rounded up to its class */
	STREAM = 80,
	RADIX_NODE = 4 + 30 * 8, /* what MEMORY USAGE counts for one */
	STREAM_ID = 16,
	GROUP = 40,
	CONSUMER = 24,
	PENDING = 24,
};

/* Mean block of a skip list node: 24 + 16 * levels in whole classes, where another level has the chance 1/4. */
static const double skiplist_node_size = 53.3;

uint64_t mem_block(uint64_t size)
{
	enum { QUANTUM = 16, LINEAR_MAX = 128, GROUP_BITS = 2 };

	if (size <= 8)
		return 8;
	if (size <= LINEAR_MAX)
		return (size + QUANTUM - 1) / QUANTUM * QUANTUM;
	if (size >> 62)
		return size;
	unsigned top = 63 - (unsigned)__builtin_clzll(size - 1);
	uint64_t step = UINT64_C(1) << (top - GROUP_BITS);
	return (size + step - 1) & ~(step - 1);
}

uint64_t mem_sds(uint64_t len)
{
	/* The heading grows with the length; the empty string gets the second one. */
	uint64_t heading = len && len < 32 ? 1 : len < 1 << 8 ? 3 : len < 1 << 16 ? 5 : len >> 32 ? 17 : 9;
	return mem_block(heading + len + 1);
}

uint64_t mem_key(uint64_t name_len) { return mem_sds(name_len) + DICT_ENTRY; }

uint64_t mem_string(enum rdb_encoding e, uint64_t len)
{
	if (e == RDB_ENC_INT)
		return OBJECT;
	return len <= EMBEDDED_MAX ? mem_block(OBJECT + 3 + len + 1) : OBJECT + mem_sds(len);
}

uint64_t mem_packed(uint64_t size) { return OBJECT + mem_block(size); }

uint64_t mem_node(uint64_t size) { return QUICKLIST_NODE + mem_block(size); }

uint64_t mem_quicklist(void) { return OBJECT + QUICKLIST; }

/* A table is loaded with the power of two of slots that holds its entries. */
static uint64_t table_slots(uint64_t n)
{
	uint64_t slots = DICT_SLOTS_MIN;
	while (slots < n && slots < UINT64_C(1) << 48)
		slots *= 2;
	return slots;
}

uint64_t mem_table(uint64_t n_entries) { return OBJECT + DICT + 8 * table_slots(n_entries) + DICT_ENTRY * n_entries; }

uint64_t mem_skiplist(uint64_t n_entries)
{
	return ZSET + SKIPLIST + SKIPLIST_HEAD + (uint64_t)(skiplist_node_size * (double)n_entries);
}

/* Keys are ids: a node of the bytes that all share, one where they part, and for each key one of its own bytes and a
 * leaf. One key alone has no parting. */
static uint64_t radix(uint64_t n_keys)
{
	uint64_t n_nodes = n_keys == 0 ? 1 : n_keys == 1 ? 2 : 2 * n_keys + 2;
	return STREAM_ID * n_keys + RADIX_NODE * n_nodes;
}

uint64_t mem_stream(uint64_t n_blocks) { return OBJECT + STREAM + radix(n_blocks); }
uint64_t mem_group(uint64_t n_pending) { return GROUP + radix(n_pending) + PENDING * n_pending; }
uint64_t mem_consumer(uint64_t name_len, uint64_t n_pending) { return CONSUMER + mem_sds(name_len) + radix(n_pending); }
