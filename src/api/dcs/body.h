/*
 * body: reading of JSON bodies: names exact, unknown ones ignored, null is absent. What is asked for with a wrong type
 * gives false and leaves the output as it was. Tolerant where clients differ: 1 and 1.0 are the same integer.
 */
#ifndef API_DCS_BODY_H
#define API_DCS_BODY_H

#include "api/call.h"
#include "json/json.h"

enum { BODY_TEXT_BYTES = 4096 };

enum dcs_need { DCS_BODY_OPTIONAL /* no body counts as {} */, DCS_BODY_REQUIRED };
/* The body as an object; false: answered. One that the signature does not cover is refused. */
bool dcs_body(struct call *c, enum dcs_need need, const json_t **out) NODISCARD;

/* Member, NULL when absent or null. */
const json_t *dcs_member(const json_t *object, const char *name);
/* Absent: *out is not touched, true. A text longer than BODY_TEXT_BYTES is as wrong as a number. */
bool dcs_text(const json_t *object, const char *name, const char **out) NODISCARD;
bool dcs_int(const json_t *object, const char *name, int64_t *out) NODISCARD;
bool dcs_number(const json_t *object, const char *name, double *out) NODISCARD;
bool dcs_bool(const json_t *object, const char *name, bool *out) NODISCARD;
/* An integer, also one written as text ("7"): some documented examples do so. NULL value: false. */
bool dcs_int_value(const json_t *value, int64_t *out) NODISCARD;
/* Characters of a UTF-8 text. */
size_t dcs_length(const char *text);

#endif
