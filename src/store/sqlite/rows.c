#include <math.h>
#include <string.h>
#include "store/sqlite/sqlite_priv.h"

/* A real that is not a number is kept as NULL, which is what SQLite makes of it. */
static int bind_col(sqlite3_stmt *stmt, const struct table *t, int col, const void *row)
{
	const struct col *c = &t->cols[col];
	int at = col + 1;

	switch (c->type) {
	case COL_INT: {
		int64_t v = row_int(t, col, row);
		/* An unbound parameter is NULL, and for NULL SQLite chooses the key. */
		return (c->flags & COL_AUTO) && v == 0 ? SQLITE_OK : sqlite3_bind_int64(stmt, at, v);
	}
	case COL_REAL:
		return sqlite3_bind_double(stmt, at, row_real(t, col, row));
	case COL_TEXT:
		return sqlite3_bind_text(stmt, at, row_text(t, col, row), -1, SQLITE_STATIC);
	case COL_BLOB: {
		struct blob b = row_blob(t, col, row);
		return sqlite3_bind_blob64(stmt, at, b.bytes, b.len, SQLITE_STATIC);
	}
	}
	return SQLITE_MISUSE;
}

int rows_bind(sqlite3_stmt *stmt, const struct shape *shape, const void *row)
{
	const struct table *t = shape->table;
	int code = SQLITE_OK;
	for (int i = 0; i < t->n_cols && code == SQLITE_OK; i++) {
		bool is_used = shape->verb == VERB_INSERT || t->cols[i].flags & COL_KEY || shape->sets >> i & 1;
		code = is_used ? bind_col(stmt, t, i, row) : SQLITE_OK;
	}
	return code;
}

/* Bytes of a text or blob column into the arena, with a NUL after them; NULL when it is full. */
static const char *read_bytes(sqlite3_stmt *stmt, int col, struct arena *a, size_t *len)
{
	/* Texts too are fetched as blobs: the database is UTF-8, so nothing is converted. */
	const char *bytes = sqlite3_column_blob(stmt, col);
	*len = (size_t)sqlite3_column_bytes(stmt, col);
	return *len ? arena_dup_n(a, bytes, *len) : "";
}

static bool read_col(sqlite3_stmt *stmt, const struct table *t, int col, void *row, struct arena *a)
{
	void *slot = row_slot(t, col, row);
	size_t len;

	switch (t->cols[col].type) {
	case COL_INT:
		*(int64_t *)slot = sqlite3_column_int64(stmt, col);
		return true;
	case COL_REAL:
		*(double *)slot = sqlite3_column_type(stmt, col) == SQLITE_NULL ? (double)NAN
										 : sqlite3_column_double(stmt, col);
		return true;
	case COL_TEXT:
		*(const char **)slot = read_bytes(stmt, col, a, &len);
		return *(const char **)slot;
	case COL_BLOB: {
		struct blob *b = slot;
		b->bytes = read_bytes(stmt, col, a, &b->len);
		return b->bytes;
	}
	}
	return false;
}

bool rows_read(sqlite3_stmt *stmt, const struct table *t, void *row, struct arena *a)
{
	memset(row, 0, t->row_size);
	for (int i = 0; i < t->n_cols; i++) {
		if (!read_col(stmt, t, i, row, a))
			return false;
	}
	return true;
}
