/*
 * The file: "REDIS" and four digits of version, then records that begin with a byte: a value's type, or a mark (aux
 * field, database, expiry of the next key ...), up to the end mark and the checksum. Marks are out of a table.
 */
#include "rdb/rdb.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/num.h"
#include "os/calls.h"
#include "rdb/rdb_priv.h"

static const char *const type_names[] = {
#define X(name, text) [RDB_##name] = text,
	RDB_TYPE_TABLE(X)
#undef X
};

static const char *const encoding_names[] = {
#define X(name, text) [RDB_ENC_##name] = text,
	RDB_ENCODING_TABLE(X)
#undef X
};

const char *rdb_type_name(enum rdb_type type) { return type_names[type]; }
const char *rdb_encoding_name(enum rdb_encoding encoding) { return encoding_names[encoding]; }

struct reader {
	struct input in;
	struct rdb_info info;
	struct rdb_key key; /* the next one, with the marks that came before it */
	bool has_marks;     /* of the key, which therefore must follow */
	bool is_done;
	uint32_t db;
	uint8_t name[RDB_NAME_MAX];
};

static const struct rdb_key fresh_key = { .idle_s = -1, .freq = -1 };

/* ---- marks ---- */

enum { WORD_MAX = 31 };

static void note_aux(struct rdb_info *info, const char *name, const char *value)
{
	int64_t v;
	bool is_number = num_i64(value, &v) && v >= 0;

	if (strcmp(name, "redis-ver") == 0)
		memcpy(info->redis_version, value, strlen(value) + 1);
	else if (strcmp(name, "ctime") == 0 && is_number)
		info->created_s = v;
	else if (strcmp(name, "used-mem") == 0 && is_number)
		info->used_memory_size = v;
	else if (strcmp(name, "redis-bits") == 0 && is_number && (v == 32 || v == 64))
		info->bits = (int)v;
}

static bool take_word(struct input *in, char out[WORD_MAX + 1])
{
	uint8_t bytes[WORD_MAX];
	uint64_t len;

	if (!take_name(in, bytes, sizeof bytes, &len))
		return false;
	size_t kept = len < WORD_MAX ? (size_t)len : WORD_MAX;
	memcpy(out, bytes, kept);
	out[kept] = '\0';
	return true;
}

static bool mark_aux(struct reader *r)
{
	char name[WORD_MAX + 1], value[WORD_MAX + 1];
	if (!take_word(&r->in, name) || !take_word(&r->in, value))
		return false;
	note_aux(&r->info, name, value);
	return true;
}

static bool mark_select_db(struct reader *r)
{
	uint64_t db;
	if (!take_len(&r->in, &db))
		return false;
	if (db > INT32_MAX)
		return in_bad(&r->in, "%llu is no number of a database", (unsigned long long)db);
	r->db = (uint32_t)db;
	return true;
}

static bool mark_resize_db(struct reader *r)
{
	uint64_t n_keys, n_expiries;
	return take_len(&r->in, &n_keys) && take_len(&r->in, &n_expiries); /* hints, and keys may be gone since */
}

static bool mark_slot_info(struct reader *r)
{
	uint64_t slot, n_keys, n_expiries;
	return take_len(&r->in, &slot) && take_len(&r->in, &n_keys) && take_len(&r->in, &n_expiries);
}

static bool mark_expires_s(struct reader *r)
{
	uint32_t s;
	if (!in_le32(&r->in, &s))
		return false;
	r->key.has_expiry = true;
	r->key.expires_at_ms = (int64_t)(int32_t)s * 1000;
	return true;
}

static bool mark_expires_ms(struct reader *r)
{
	uint64_t ms;
	if (!in_le64(&r->in, &ms))
		return false;
	r->key.has_expiry = true;
	r->key.expires_at_ms = (int64_t)ms;
	return true;
}

static bool mark_freq(struct reader *r)
{
	uint8_t freq;
	if (!in_u8(&r->in, &freq))
		return false;
	r->key.freq = freq;
	return true;
}

static bool mark_idle(struct reader *r)
{
	uint64_t s;
	if (!take_len(&r->in, &s))
		return false;
	if (s > INT64_MAX)
		return in_bad(&r->in, "idle for %llu seconds", (unsigned long long)s);
	r->key.idle_s = (int64_t)s;
	return true;
}

static bool mark_function(struct reader *r)
{
	struct text code;
	r->info.n_functions++;
	return skip_text(&r->in, &code);
}

static bool mark_function_old(struct reader *r)
{
	return in_refuse(&r->in, "it holds functions of a release candidate of Redis 7.0, which no release reads");
}

static bool mark_module_aux(struct reader *r)
{
	uint64_t id, what, when, n, longest;
	enum { UINT = 2 };

	if (!take_len(&r->in, &id) || !take_len(&r->in, &what))
		return false;
	if (what != UINT)
		return in_bad(&r->in, "a module's data does not say when it is to be loaded");
	r->info.n_module_aux++;
	return take_len(&r->in, &when) && skip_module_fields(&r->in, &n, &longest);
}

static bool mark_end(struct reader *r)
{
	enum { SUMMED_FROM = 5 };
	uint64_t crc = in_crc(&r->in), says;

	r->is_done = true;
	r->info.checksum = RDB_CHECKSUM_ABSENT;
	if (r->info.version >= SUMMED_FROM) {
		if (!in_le64(&r->in, &says))
			return false;
		r->info.checksum = says ? RDB_CHECKSUM_GOOD : RDB_CHECKSUM_OFF;
		if (says && says != crc)
			return in_bad(&r->in, "the checksum is %016llx, the bytes give %016llx",
			              (unsigned long long)says, (unsigned long long)crc);
	}
	if (in_left(&r->in))
		return in_bad(&r->in, "%llu bytes follow the end", (unsigned long long)in_left(&r->in));
	return true;
}

static const struct mark {
	uint8_t code;
	bool is_of_key; /* about the key that follows */
	bool (*take)(struct reader *r);
} marks[] = {
	{ 244, false, mark_slot_info },  { 245, false, mark_function },  { 246, false, mark_function_old },
	{ 247, false, mark_module_aux }, { 248, true, mark_idle },       { 249, true, mark_freq },
	{ 250, false, mark_aux },        { 251, false, mark_resize_db }, { 252, true, mark_expires_ms },
	{ 253, true, mark_expires_s },   { 254, false, mark_select_db }, { 255, false, mark_end },
};

/* ---- records ---- */

static bool take_key(struct reader *r, uint8_t code)
{
	struct rdb_key *k = &r->key;

	k->db = r->db;
	if (!take_name(&r->in, r->name, sizeof r->name, &k->name_len))
		return false;
	k->name = r->name;
	k->name_kept = k->name_len < RDB_NAME_MAX ? (size_t)k->name_len : RDB_NAME_MAX;
	k->memory_size = mem_key(k->name_len);
	if (!take_value(&r->in, code, k))
		return false;
	k->file_size = in_offset(&r->in) - k->offset;
	r->in.rc = r->in.visitor->key(r->in.visitor->ctx, k, r->in.err);
	r->info.n_keys++;
	r->key = fresh_key;
	r->has_marks = false;
	return r->in.rc == RC_OK;
}

static bool take_mark(struct reader *r, const struct mark *m)
{
	if (r->has_marks && !m->is_of_key)
		return in_bad(&r->in, "an expiry or idle time is not followed by its key");
	r->has_marks = m->is_of_key;
	return m->take(r);
}

static bool unknown(struct reader *r, uint8_t code)
{
	r->in.at--; /* the message names the byte itself */
	if (code == 6)
		return in_refuse(&r->in,
		                 "it holds a module's value of before Redis 4.0, which only the module can read");
	if (code == 22 || code == 23)
		return in_refuse(&r->in,
		                 "it holds a value of type %d, which means different things in release "
		                 "candidates of Redis 7.4 and in Valkey 9",
		                 code);
	return in_bad(&r->in, "%d is no type of a record", code);
}

static bool take_record(struct reader *r)
{
	uint8_t code;

	if (!r->has_marks)
		r->key.offset = in_offset(&r->in);
	if (!in_u8(&r->in, &code))
		return false;
	if (is_value_code(code))
		return take_key(r, code);
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (marks[i].code == code)
			return take_mark(r, &marks[i]);
	return unknown(r, code);
}

static bool take_heading(struct reader *r)
{
	static const char magic[5] = "REDIS", valkey[6] = "VALKEY";
	enum { DIGITS = 4, HEADING = sizeof magic + DIGITS };
	struct input *in = &r->in;
	int64_t version;

	if (!in_left(in))
		return in_bad(in, "it is empty");
	size_t shown = in->size < HEADING ? (size_t)in->size : HEADING;
	if (!in_need(in, shown))
		return false;
	if (shown >= sizeof valkey && memcmp(in->at, valkey, sizeof valkey) == 0)
		return in_refuse(in, "it is a file of Valkey 9 or newer, which is not read");
	if (memcmp(in->at, magic, shown < sizeof magic ? shown : sizeof magic) != 0)
		return in_refuse(in, "not an RDB file: it does not begin with \"REDIS\"");
	if (!in_need(in, HEADING))
		return false;
	if (!num_i64_n((const char *)in->at + sizeof magic, DIGITS, &version) || version < 1)
		return in_bad(in, "no version follows \"REDIS\"");
	if (version > RDB_VERSION_MAX)
		return in_refuse(in, "RDB version %d is newer than %d, the newest that is read", (int)version,
		                 RDB_VERSION_MAX);
	r->info.version = (int)version;
	in->at += HEADING;
	return true;
}

/* ---- entrances ---- */

static struct reader *reader_new(const char *path, const struct rdb_visitor *v, struct err *err)
{
	struct reader *r = mem_new(struct reader);

	r->in.path = path;
	r->in.visitor = v;
	r->in.err = err;
	r->in.fd = -1;
	r->key = fresh_key;
	r->info.created_s = r->info.used_memory_size = r->info.bits = -1;
	crc64_init(&r->in.crc64);
	return r;
}

static enum rc run(struct reader *r, struct rdb_info *info)
{
	bool ok = take_heading(r);
	while (ok && !r->is_done)
		ok = take_record(r);
	if (!ok)
		return r->in.rc;
	r->info.file_size = r->in.size;
	if (info)
		*info = r->info;
	return RC_OK;
}

enum rc rdb_read_bytes(const void *bytes, size_t len, const char *name, const struct rdb_visitor *v,
                       struct rdb_info *info, struct err *err)
{
	struct reader *r = reader_new(name, v, err);

	r->in.buf = r->in.at = r->in.summed = bytes;
	r->in.end = r->in.buf + len;
	r->in.size = len;
	enum rc rc = run(r, info);
	mem_free(r);
	return rc;
}

static enum rc open_file(const char *path, int *fd, uint64_t *size, struct err *err)
{
	struct stat st;
	int f = os.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0); /* a pipe must not hold us; files do not care */

	if (f < 0)
		return err_sys(err, errno == ENOENT || errno == ENOTDIR ? RC_NOT_FOUND : RC_IO, errno,
		               "cannot open '%.300s'", path);
	if (fstat(f, &st) == 0 && S_ISREG(st.st_mode)) {
		*fd = f;
		*size = (uint64_t)st.st_size;
		return RC_OK;
	}
	(void)os.close(f); /* nothing was written */
	return err_set(err, RC_INVALID, "'%.300s' is not a regular file", path);
}

enum rc rdb_read(const char *path, const struct rdb_visitor *v, struct rdb_info *info, struct err *err)
{
	int fd = -1;
	uint64_t size = 0;
	enum rc rc = open_file(path, &fd, &size, err);
	if (rc != RC_OK)
		return rc;
	struct reader *r = reader_new(path, v, err);
	r->in.fd = fd;
	r->in.own = mem_alloc(INPUT_SIZE);
	r->in.buf = r->in.at = r->in.end = r->in.summed = r->in.own;
	r->in.size = size;
	rc = run(r, info);
	(void)os.close(fd); /* opened for reading: nothing to lose */
	mem_free(r->in.own);
	mem_free(r);
	return rc;
}
