/*
 * body: reading of JSON request bodies. Names are taken in camelCase and in PascalCase (camelCase wins when both
 * are there); unknown names are ignored.
 *
 * Owner:   everything lives in the arena.  Threads: pure, any.
 * Errors:  RC_INVALID (with RC_LIMIT for nesting) naming the member and its rule; outputs are then untouched.
 * Limits:  BODY_TEXT_MAX bytes per text, BODY_PARAMS_MAX parameters per list.
 */
#ifndef API_OPENSEARCH_BODY_H
#define API_OPENSEARCH_BODY_H

#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "json/json.h"
#include "task/param.h"

enum { BODY_TEXT_MAX = 4096, BODY_PARAMS_MAX = 256 };

/* May there be no body? Where nothing need be said the SDKs send none, and then it counts as {}. */
enum body_need { BODY_OPTIONAL, BODY_REQUIRED };
/* The body as an object. */
enum rc body_parse(const void *bytes, size_t len, enum body_need need, struct arena *a, const json_t **out,
		   struct err *err) NODISCARD;
/* A text member, NULL when absent. */
enum rc body_text(const json_t *body, const char *name, const char **out, struct err *err) NODISCARD;

struct body_params {
	bool is_set; /* the member is there, even if empty */
	size_t n;
	struct param *list;
};
/* An array of {name, value}, both strings; a value may be "". */
enum rc body_params(const json_t *body, const char *name, struct arena *a, struct body_params *out,
		    struct err *err) NODISCARD;

#endif
