/* Tags of a cache: a list in its row, changed by those who name only a part of it. */
#include <string.h>
#include "base/clock.h"
#include "engine/cache.h"
#include "engine/priv.h"
#include "json/json.h"

enum { TAGS_TEXT_MAX = 64 << 10 };

static bool names(const json_t *tags, const char *key)
{
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *other = json_string_value(json_object_get(json_array_get(tags, i), "key"));
		if (other && strcmp(other, key) == 0)
			return true;
	}
	return false;
}

/* The old ones that given does not name, then, unless they go, the given ones: how many that are. */
static size_t write_merged(struct jw *w, const json_t *old, const json_t *given, bool removes)
{
	size_t n = 0;

	jw_array(w);
	for (size_t i = 0; i < json_array_size(old); i++) {
		const json_t *tag = json_array_get(old, i);
		const char *key = json_string_value(json_object_get(tag, "key"));
		if (!key || names(given, key))
			continue;
		jw_value(w, tag);
		n++;
	}
	for (size_t i = 0; !removes && i < json_array_size(given); i++, n++)
		jw_value(w, json_array_get(given, i));
	jw_end_array(w);
	return n;
}

static enum rc merge(const struct cache_tag *c, const char *old_text, struct arena *a, const char **out,
		     struct err *err)
{
	const json_t *old = NULL, *given = NULL;
	struct buf text;
	struct jw w;

	enum rc rc = json_read(*old_text ? old_text : "[]", strlen(*old_text ? old_text : "[]"), a, &old, err);
	if (rc == RC_OK)
		rc = json_read(c->tags, strlen(c->tags), a, &given, err);
	if (rc != RC_OK)
		return err_wrap(err, rc == RC_BUSY ? rc : RC_CORRUPT, "tags of instance %s", c->uid);
	buf_init(&text, TAGS_TEXT_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	size_t n = write_merged(&w, old, given, c->removes);
	*out = text.is_over ? NULL : arena_dup(a, buf_text(&text));
	buf_fini(&text);
	return *out && n <= (size_t)c->max ? RC_OK : err_set(err, RC_LIMIT, "more than %d tags", c->max);
}

static enum verdict apply_tag(struct engine *e, struct change *base)
{
	struct cache_tag *c = (struct cache_tag *)base;
	struct err *err = &base->err;
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_MAX);
	struct cache_row row;

	enum rc rc = row_cache(e->store, c->project_id, c->uid, a, &row, err);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? V_NO_INSTANCE : verdict_of(rc);
	rc = merge(c, row.tags, a, &row.tags, err);
	if (rc == RC_LIMIT)
		return V_TOO_MANY;
	row.updated_at = clock_wall_ms();
	return verdict_of(rc == RC_OK ? store_update(e->store, &table_cache, &row, err) : rc);
}

void engine_cache_tag(struct engine *e, struct cache_tag *c)
{
	c->base.apply = apply_tag;
	c->base.committed = NULL;
	writer_submit(e, &c->base);
}
