/*
 * envelope: the vendor's answer around every result.
 *
 * Function operations get two trees in one body, first camelCase, then PascalCase, both written by one function per
 * resource through struct jw's casing. App-group operations are camelCase only. Errors have both casings always.
 *
 * Pure, any thread. Running over out's ceiling is sticky in the buf.
 */
#ifndef API_OPENSEARCH_ENVELOPE_H
#define API_OPENSEARCH_ENVELOPE_H

#include "json/json.h"

/* Writes one value (or, for members, keys with values) about subject in w's casing. */
typedef void envelope_fn(struct jw *w, const void *subject);

struct envelope {
	int http_code;            /* below 400: status OK */
	const char *request_id;
	const char *code, *message; /* "" when all is well */
	int64_t latency_ms;
	envelope_fn *result;      /* NULL: a writing operation; result {} in the camelCase tree, none in the other */
	bool result_differs;      /* by casing in more than its keys' first letters: result looks at w->casing */
	envelope_fn *members;     /* further members beside result; may be NULL */
	const void *subject;      /* for both */
	const int64_t *total;     /* of a list; NULL: none */
	const char *host;         /* of a refused signature; NULL: none */
};

void envelope_function(struct buf *out, const struct envelope *e);
void envelope_app(struct buf *out, const struct envelope *e);
/* Without result and total; members are written once, after both trees. */
void envelope_error(struct buf *out, const struct envelope *e);
/* A value as it was read, whatever it is: keys as they are, real numbers in their shortest form. */
void envelope_value(struct jw *w, const json_t *value);

#endif
