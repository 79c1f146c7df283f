/*
 * json: reading through jansson with limits, and a small streaming writer.
 *
 * Reading: json_read parses strictly (UTF-8, no duplicate keys, no trailing bytes, depth <= 32) and the
 * value lives as long as the arena. A reader of vendor bodies uses json_pick, which finds "instanceName"
 * also as "InstanceName" (the contract accepts both casings).
 *
 * Writing: struct jw appends to a buf; commas and escapes are its matter. Misuse (a value without a key
 * inside an object) stops the process; running over the buf's ceiling is sticky in the buf.
 *
 * Both casings from one description: jw_key writes the key as given (camelCase); in PASCAL casing its
 * first letter is raised. So a body is written once as a function of the casing.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* RC_INVALID says line and column; RC_BUSY: no memory left, which says nothing about the bytes. *out is released with
 * the arena: never json_decref it. */
enum rc json_read(const char *bytes, size_t len, struct arena *a, const json_t **out, struct err *err) NODISCARD;
/* Text that this program kept itself: *out is NULL where it is empty or cannot be read any more, and callers go on
 * without. Only RC_BUSY comes back: what is there must not be passed over because memory is missing at the moment. */
enum rc json_read_kept(const char *text, struct arena *a, const json_t **out, struct err *err) NODISCARD;
/* Where parsed values get their memory. Tests put one here that answers NULL for the n-th piece. */
extern json_malloc_t json_grow;
/* Member of an object under camelCase name or its PascalCase twin; NULL when absent or JSON null. */
const json_t *json_pick(const json_t *object, const char *camel_name);
/* A text member. Absent: *out = NULL. RC_INVALID naming the member when it is no string. */
enum rc json_pick_text(const json_t *object, const char *camel_name, const char **out, struct err *err) NODISCARD;

enum casing { CASING_CAMEL, CASING_PASCAL };

struct jw {
	struct buf *out;
	enum casing casing;
	int depth;
	bool needs_comma, has_key;
	bool is_twin;           /* between jw_twin_begin and _end */
	size_t twin_from;       /* in out */
	struct buf twin_keys;   /* size_t each: where in out such a key's first letter stands */
};

void jw_init(struct jw *w, struct buf *out, enum casing casing);
void jw_key(struct jw *w, const char *camel_name);        /* follows w->casing */
void jw_key_exact(struct jw *w, const char *name);        /* for keys that are data */
/* Both casings for little more than one: what is written between these, members of an object that has none yet, is
 * there once more behind it with the keys of jw_key in PascalCase. */
void jw_twin_begin(struct jw *w);
void jw_twin_end(struct jw *w);
void jw_object(struct jw *w);
void jw_end_object(struct jw *w);
void jw_array(struct jw *w);
void jw_end_array(struct jw *w);
void jw_text(struct jw *w, const char *text);             /* NULL writes null; bad UTF-8 becomes U+FFFD */
void jw_int(struct jw *w, int64_t v);
void jw_int_text(struct jw *w, int64_t v);                /* in quotes */
void jw_real(struct jw *w, double v);                     /* shortest that reads back; -0 is 0; not finite: null */
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
void jw_value(struct jw *w, const json_t *v);             /* a parsed value again; keys are data */
void jw_raw(struct jw *w, const char *json_text);         /* already JSON; trusted */

/* The members of an object that struct jw has written before, as they are, but for those named in but (NULL ends it;
 * plain names). For texts of ours that need no reading. False, and nothing written: it is not in the form that
 * struct jw writes. */
bool jw_members(struct jw *w, const char *object_text, const char *const *but);

/* key and value in one call */
void jw_kv_text(struct jw *w, const char *key, const char *text);
void jw_kv_int(struct jw *w, const char *key, int64_t v);
void jw_kv_real(struct jw *w, const char *key, double v);
void jw_kv_bool(struct jw *w, const char *key, bool v);

#endif
