/*
 * cache_state: struct cache_instance as JSON and back: what cache_row.state holds, a task file carries to the child and
 * its result brings back. Members: mode dir host port capacity password_hash settings renames nodes master
 * (docs/cache.md); unknown ones are ignored, missing ones are 0 or "".
 * Pure; any thread. Errors: RC_CORRUPT says which member is of a wrong type or too long.
 */
#ifndef ENGINE_CACHE_STATE_H
#define ENGINE_CACHE_STATE_H

#include "cache/cache.h"
#include "json/json.h"

enum rc cache_state_read(const json_t *state, struct cache_instance *out, struct err *err) NODISCARD;
enum rc cache_state_parse(const char *text, struct cache_instance *out, struct err *err) NODISCARD;
void cache_state_write(const struct cache_instance *c, struct jw *w); /* one object */
/* Just the members of settings or renames: {"name":"value"}. */
enum rc cache_settings_read(const json_t *object, struct cache_setting *out, int max, int *n,
			    struct err *err) NODISCARD;
/* Of cache_row.whitelist: is it enabled, and not empty? Else everybody may connect, as its user sees it. */
bool cache_whitelist_is_on(const json_t *whitelist);
enum rc cache_renames_read(const json_t *object, struct cache_rename *out, int max, int *n, struct err *err) NODISCARD;

#endif
