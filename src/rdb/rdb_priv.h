/*
 * rdb_priv: the layers of the reader, for files of rdb/ alone.
 *
 *   input   bytes of the file in order, with offset and running CRC64      input.c
 *   text    lengths and strings; a blob is a string's content, unpacked    text.c
 *   packed  listpack, ziplist, intset, zipmap inside a blob                packed.c
 *   value   one value of each type                                         value.c
 *   rdb     the file: heading, records, end                                rdb.c
 *
 * Failing: the functions that return bool return false once and for all: the first one has put the reason into
 * in->rc and in->err, and everybody above only hands the false on. Outputs are written on success only.
 */
#ifndef RDB_PRIV_H
#define RDB_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rdb/rdb.h"

/* ---- input ---- */

enum {
	INPUT_SIZE = 256 * 1024,
	INPUT_NEED_MAX = 64,               /* the most that in_need gives in one piece */
	LZF_REACH = 8192,                  /* how far back a reference may point */
	LZF_COPY_MAX = 264,                /* the most that one instruction of LZF makes */
	LZF_SIZE = LZF_REACH + 64 * 1024,  /* what is unpacked and not yet taken, and the reach before it */
};

struct crc64 { uint64_t table[8][256]; };
void crc64_init(struct crc64 *c);
uint64_t crc64_add(const struct crc64 *c, uint64_t crc, const void *bytes, size_t len);

struct input {
	const char *path;
	const struct rdb_visitor *visitor;
	struct err *err;
	enum rc rc;
	int fd;                       /* -1: all of it is between buf and end */
	uint8_t *own;                 /* INPUT_SIZE bytes, NULL in the other case */
	const uint8_t *buf, *at, *end;
	const uint8_t *summed;        /* up to here the bytes are in crc */
	uint64_t base;                /* offset of buf in the file */
	uint64_t size;                /* of the file */
	uint64_t crc;
	struct crc64 crc64;
	uint8_t lzf[LZF_SIZE];        /* of the one compressed blob that can be open */
};

static inline uint64_t in_offset(const struct input *in) { return in->base + (uint64_t)(in->at - in->buf); }
static inline uint64_t in_left(const struct input *in) { return in->size - in_offset(in); }

/* Damage at the present offset; and what we do not read, though it may be whole. Both are always false, as macros so
 * that the compiler sees it and knows which outputs are written. */
void in_note_bad(struct input *in, const char *fmt, ...) PRINTF(2, 3) COLD;
void in_note_refused(struct input *in, const char *fmt, ...) PRINTF(2, 3) COLD;
#define in_bad(in, ...) (in_note_bad(in, __VA_ARGS__), false)
#define in_refuse(in, ...) (in_note_refused(in, __VA_ARGS__), false)

bool in_refill(struct input *in, size_t n);
/* n bytes at in->at, n <= INPUT_NEED_MAX. */
static inline bool in_need(struct input *in, size_t n) { return (size_t)(in->end - in->at) >= n || in_refill(in, n); }
bool in_skip(struct input *in, uint64_t n);
bool in_u8(struct input *in, uint8_t *out);
bool in_le32(struct input *in, uint32_t *out);
bool in_le64(struct input *in, uint64_t *out);
uint64_t in_crc(struct input *in);       /* of everything taken so far */

uint64_t le_get(const uint8_t *p, size_t n);     /* little endian, n <= 8 */
int64_t le_get_signed(const uint8_t *p, size_t n);
uint64_t be_get(const uint8_t *p, size_t n);
unsigned decimal_len(int64_t v);                 /* characters of it in decimal */

/* ---- text ---- */

enum text_kind { TEXT_PLAIN, TEXT_INT, TEXT_LZF };

/* The heading of a string; its content follows. */
struct text {
	enum text_kind kind;
	uint64_t len;             /* of the content as Redis sees it */
	uint64_t packed_len;      /* TEXT_LZF: bytes in the file */
	int64_t value;            /* TEXT_INT */
};

bool take_len(struct input *in, uint64_t *out);
/* A number of things of which each takes at least min_size bytes: more than the file has left is damage. */
bool take_count(struct input *in, const char *what, unsigned min_size, uint64_t *out);
bool take_text(struct input *in, struct text *out);
bool skip_content(struct input *in, const struct text *t);
bool skip_text(struct input *in, struct text *out);
/* The first cap bytes of a string; *len is all of its length. */
bool take_name(struct input *in, uint8_t *out, size_t cap, uint64_t *len);

/* The content of a string, unpacked on the way: at most one is open, and it is read to its end. */
struct blob {
	struct input *in;
	uint64_t left;            /* not yet handed out */
	bool is_packed;
	uint64_t packed_left;     /* in the file */
	uint64_t unmade;          /* still to be unpacked */
	size_t at, end;           /* in in->lzf: unpacked and not yet handed out */
};

bool blob_open(struct input *in, const struct text *t, struct blob *b);
bool blob_take(struct blob *b, size_t n, const uint8_t **bytes); /* n <= INPUT_NEED_MAX; valid until the next call */
bool blob_skip(struct blob *b, uint64_t n);
bool blob_close(struct blob *b); /* everything must have been taken */

/* ---- packed ---- */

/* What a walk has seen. Of each period elements in a row the first n_measured may be the longest. */
struct walk {
	unsigned period, n_measured;
	uint64_t n;
	uint64_t longest;
};

typedef bool walk_fn(struct blob *b, struct walk *w);
walk_fn walk_listpack, walk_ziplist, walk_intset, walk_zipmap;

/* ---- value ---- */

/* The value of type byte code into k (type, encoding, elements, memory of the value, ...). */
bool take_value(struct input *in, uint8_t code, struct rdb_key *k);
bool is_value_code(uint8_t code);
bool skip_module_fields(struct input *in, uint64_t *n, uint64_t *longest);
void module_name(uint64_t id, char out[10]);

/* ---- memory: see memory.c for the method ---- */

uint64_t mem_block(uint64_t size);               /* what the allocator takes for a request */
uint64_t mem_sds(uint64_t len);                  /* a string of its own */
uint64_t mem_key(uint64_t name_len);             /* entry in the keyspace with its name */
uint64_t mem_string(enum rdb_encoding e, uint64_t len);
uint64_t mem_packed(uint64_t size);              /* object and one block */
uint64_t mem_node(uint64_t size);                /* a node of a quicklist */
uint64_t mem_quicklist(void);                    /* the rest of a quicklist */
uint64_t mem_table(uint64_t n_entries);          /* a hash table's fixed part and entries, without their strings */
uint64_t mem_skiplist(uint64_t n_entries);       /* what a zset has beside its table and strings */
uint64_t mem_stream(uint64_t n_blocks);          /* a stream's fixed part and radix tree, without the blocks */
uint64_t mem_group(uint64_t n_pending);
uint64_t mem_consumer(uint64_t name_len, uint64_t n_pending);

#endif
