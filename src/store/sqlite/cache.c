/*
 * Prepared statements by shape: a small set-associative table, so that finding one is a hash and at most four
 * comparisons, and nothing grows. The program has fewer shapes than places; more of them only cost time.
 */
#include <assert.h>
#include <string.h>
#include "base/must.h"
#include "store/sqlite/sqlite_priv.h"

static const char *const control_sql[CONTROLS] = {
	[CTL_BEGIN] = "BEGIN IMMEDIATE",  [CTL_COMMIT] = "COMMIT",   [CTL_ROLLBACK] = "ROLLBACK",
	[CTL_MARK] = "SAVEPOINT mark",    [CTL_KEEP] = "RELEASE mark", [CTL_UNDO] = "ROLLBACK TO mark",
	[CTL_BEGIN_READ] = "BEGIN",       [CTL_VERSION] = "PRAGMA data_version",
};

static enum rc prepare(struct sqlite_store *s, const char *sql, sqlite3_stmt **out, struct err *err)
{
	int code = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
	s->n_prepared++;
	return code == SQLITE_OK ? RC_OK : sqlite_failed(s->db, code, NULL, "cannot prepare a statement", err);
}

/* FNV-1a over eight bytes at a time; a shape is a few words. */
static size_t set_of(const struct shape *shape)
{
	static_assert(sizeof *shape % sizeof(uint64_t) == 0, "hashed in words");
	uint64_t h = UINT64_C(0xcbf29ce484222325), words[sizeof *shape / sizeof(uint64_t)];
	memcpy(words, shape, sizeof words);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		h = (h ^ words[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h >> 32) & (CACHE_SETS - 1);
}

/* The place of the shape, or else the one to give up. */
static struct cached *place_of(struct cached *set, const struct shape *shape)
{
	struct cached *oldest = &set[0];
	for (int i = 0; i < CACHE_WAYS; i++) {
		if (set[i].stmt && memcmp(&set[i].shape, shape, sizeof *shape) == 0)
			return &set[i];
		if (set[i].used_at < oldest->used_at)
			oldest = &set[i];
	}
	(void)sqlite3_finalize(oldest->stmt); /* repeats the error of its last run, which was reported then */
	oldest->stmt = NULL;
	return oldest;
}

enum rc cache_get(struct sqlite_store *s, const struct shape *shape, sqlite3_stmt **out, struct err *err)
{
	struct cached *c = place_of(s->cache[set_of(shape)], shape);

	if (!c->stmt) {
		struct buf sql;
		buf_init(&sql, SQL_MAX);
		sql_of_shape(&sql, shape);
		must(!sql.is_over);
		enum rc rc = prepare(s, buf_text(&sql), &c->stmt, err);
		buf_fini(&sql);
		if (rc != RC_OK)
			return rc;
		c->shape = *shape;
	}
	c->used_at = ++s->tick;
	*out = c->stmt;
	return RC_OK;
}

void cache_done(sqlite3_stmt *stmt)
{
	(void)sqlite3_reset(stmt);          /* repeats the error of the step before */
	(void)sqlite3_clear_bindings(stmt); /* always succeeds; the texts bound are the caller's */
}

enum rc cache_prepare_controls(struct sqlite_store *s, struct err *err)
{
	enum rc rc = RC_OK;
	for (int i = 0; i < CONTROLS && rc == RC_OK; i++)
		rc = prepare(s, control_sql[i], &s->controls[i], err);
	return rc;
}

enum rc cache_control(struct sqlite_store *s, enum control c, struct err *err)
{
	int code = sqlite3_step(s->controls[c]);
	enum rc rc = code == SQLITE_DONE ? RC_OK : sqlite_failed(s->db, code, NULL, control_sql[c], err);
	(void)sqlite3_reset(s->controls[c]); /* repeats the error of the step */
	return rc;
}

enum rc cache_version(struct sqlite_store *s, int64_t *version, struct err *err)
{
	sqlite3_stmt *stmt = s->controls[CTL_VERSION];
	enum rc rc = RC_OK;
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*version = sqlite3_column_int64(stmt, 0);
	else
		rc = sqlite_failed(s->db, code, NULL, "cannot begin to read", err);
	(void)sqlite3_reset(stmt); /* repeats the error of the step */
	return rc;
}

void cache_fini(struct sqlite_store *s)
{
	for (int i = 0; i < CONTROLS; i++)
		(void)sqlite3_finalize(s->controls[i]);
	for (int i = 0; i < CACHE_SETS * CACHE_WAYS; i++)
		(void)sqlite3_finalize(s->cache[i / CACHE_WAYS][i % CACHE_WAYS].stmt);
}
