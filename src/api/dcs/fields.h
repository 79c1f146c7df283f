/*
 * fields: the rules for what a body says of an instance, shared by creation and change.
 * Each check answers the contract's error itself and returns false.
 */
#ifndef API_DCS_FIELDS_H
#define API_DCS_FIELDS_H

#include "api/dcs/answer.h"
#include "api/dcs/body.h"

enum { INSTANCE_NAME_MAX = 64, TAGS_MAX = 20 };

/* Members that have no effect here are typed all the same: a client whose mistake is taken silently never learns of it.
 * Absent and null are right; DCS_PARAM names the first that is wrong. */
enum field_kind { FIELD_TEXT, FIELD_FLAG, FIELD_TEXTS /* a list of them */, FIELD_OBJECT, FIELD_TEXT_OR_INT };
struct field_type {
	const char *name;
	enum field_kind kind;
};
bool fields_types(struct call *c, const json_t *object, const struct field_type *list, size_t n) NODISCARD;

bool fields_name(struct call *c, const char *name, size_t len_max) NODISCARD;
bool fields_description(struct call *c, const json_t *body, const char **out) NODISCARD;
/* Absent leaves *out. */
bool fields_port(struct call *c, const json_t *body, int64_t *out) NODISCARD;
/* Both or none; absent leaves them. */
bool fields_window(struct call *c, const json_t *body, const char **begin, const char **end) NODISCARD;
/* 8 to 32 characters of the allowed ones, three of four classes. */
bool fields_password(struct call *c, const char *password) NODISCARD;
/* All renamed commands as JSON in *out, {"keys":"my_keys"}: those of the body over the old ones (NULL: none). A
 * command's own name, "" and null give it its name back. Absent leaves *out. */
bool fields_renames(struct call *c, const json_t *body, const json_t *old, const char **out) NODISCARD;
/* [{"key","value"}] as JSON in *out. Absent leaves *out. */
bool fields_tags(struct call *c, const json_t *body, const char **out) NODISCARD;
/* The whole backup policy as JSON in *out, around the checked policy. old: what was there, "" nothing. */
bool fields_backup_policy(struct call *c, const json_t *body, const char *mode, const char *project, const char *old,
			  const char **out) NODISCARD;
/* Availability zones by code or id; n_out of them. error: for a list that is empty or wrong. */
bool fields_zones(struct call *c, const json_t *body, const char *name, enum dcs_error error, size_t max,
		  size_t *n_out) NODISCARD;
bool fields_remark(struct call *c, const json_t *body, const char **out) NODISCARD;

#endif
