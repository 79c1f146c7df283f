#include "engine/cache_state.h"

#include <stdio.h>
#include <string.h>

static enum rc take_text(const json_t *object, const char *name, char *out, size_t size, struct err *err)
{
	const json_t *v = json_object_get(object, name);
	const char *text = json_string_value(v);

	if (!v || json_is_null(v))
		return RC_OK;
	if (!text || strlen(text) >= size)
		return err_set(err, RC_CORRUPT, "description: %s must be a text of at most %zu bytes", name, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return RC_OK;
}

static enum rc take_int(const json_t *object, const char *name, int64_t *out, struct err *err)
{
	const json_t *v = json_object_get(object, name);

	if (!v || json_is_null(v))
		return RC_OK;
	if (!json_is_integer(v))
		return err_set(err, RC_CORRUPT, "description: %s must be an integer", name);
	*out = (int64_t)json_integer_value(v);
	return RC_OK;
}

static enum rc take_small(const json_t *object, const char *name, int *out, struct err *err)
{
	int64_t v = *out;
	enum rc rc = take_int(object, name, &v, err);
	if (rc == RC_OK && (v < INT32_MIN || v > INT32_MAX))
		return err_set(err, RC_CORRUPT, "description: %s is out of range", name);
	*out = (int)v;
	return rc;
}

static enum rc copy_pair(const char *name, const json_t *value, char *name_out, size_t name_size, char *value_out,
			 size_t value_size, struct err *err)
{
	const char *text = json_string_value(value);
	if (!text || strlen(name) >= name_size || strlen(text) >= value_size)
		return err_set(err, RC_CORRUPT, "description: '%.40s' must be a text of at most %zu bytes", name,
			       value_size - 1);
	memcpy(name_out, name, strlen(name) + 1);
	memcpy(value_out, text, strlen(text) + 1);
	return RC_OK;
}

enum rc cache_settings_read(const json_t *object, struct cache_setting *out, int max, int *n, struct err *err)
{
	json_t *members = (json_t *)(uintptr_t)object; /* the iterator only reads */
	int count = 0;

	for (void *it = json_object_iter(members); it; it = json_object_iter_next(members, it), count++) {
		if (count == max)
			return err_set(err, RC_CORRUPT, "description: more than %d settings", max);
		enum rc rc = copy_pair(json_object_iter_key(it), json_object_iter_value(it), out[count].name,
				       sizeof out[count].name, out[count].value, sizeof out[count].value, err);
		if (rc != RC_OK)
			return rc;
	}
	*n = count;
	return RC_OK;
}

enum rc cache_renames_read(const json_t *object, struct cache_rename *out, int max, int *n, struct err *err)
{
	json_t *members = (json_t *)(uintptr_t)object;
	int count = 0;

	for (void *it = json_object_iter(members); it; it = json_object_iter_next(members, it), count++) {
		if (count == max)
			return err_set(err, RC_CORRUPT, "description: more than %d renamed commands", max);
		enum rc rc = copy_pair(json_object_iter_key(it), json_object_iter_value(it), out[count].command,
				       sizeof out[count].command, out[count].name, sizeof out[count].name, err);
		if (rc != RC_OK)
			return rc;
	}
	*n = count;
	return RC_OK;
}

static enum rc read_node(const json_t *v, struct cache_node *out, struct err *err)
{
	enum rc rc = take_small(v, "number", &out->number, err);
	if (rc == RC_OK)
		rc = take_text(v, "host", out->host, sizeof out->host, err);
	if (rc == RC_OK)
		rc = take_small(v, "priority", &out->priority, err);
	if (rc == RC_OK)
		rc = take_text(v, "run_id", out->run_id, sizeof out->run_id, err);
	if (rc == RC_OK)
		rc = take_int(v, "pid", &out->pid, err);
	return rc == RC_OK ? take_int(v, "mark", &out->mark, err) : rc;
}

static enum rc read_nodes(const json_t *list, struct cache_instance *out, struct err *err)
{
	size_t n = json_array_size(list);
	enum rc rc = n <= CACHE_NODES_MAX
			     ? RC_OK
			     : err_set(err, RC_CORRUPT, "description: more than %d nodes", CACHE_NODES_MAX);

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = read_node(json_array_get(list, i), &out->nodes[i], err);
	out->n_nodes = (int)n;
	return rc;
}

enum rc cache_state_read(const json_t *state, struct cache_instance *out, struct err *err)
{
	struct cache_instance c = { .mode = CACHE_SINGLE };
	char mode[8] = "";

	if (!json_is_object(state))
		return err_set(err, RC_CORRUPT, "description: not a JSON object");
	enum rc rc = take_text(state, "mode", mode, sizeof mode, err);
	c.mode = strcmp(mode, "ha") == 0 ? CACHE_HA : CACHE_SINGLE;
	if (rc == RC_OK)
		rc = take_text(state, "dir", c.dir, sizeof c.dir, err);
	if (rc == RC_OK)
		rc = take_text(state, "host", c.host, sizeof c.host, err);
	if (rc == RC_OK)
		rc = take_small(state, "port", &c.port, err);
	if (rc == RC_OK)
		rc = take_int(state, "capacity", &c.capacity, err);
	if (rc == RC_OK)
		rc = take_text(state, "password_hash", c.password_hash, sizeof c.password_hash, err);
	if (rc == RC_OK)
		rc = cache_settings_read(json_object_get(state, "settings"), c.settings, CACHE_SETTINGS_MAX,
					 &c.n_settings, err);
	if (rc == RC_OK)
		rc = cache_renames_read(json_object_get(state, "renames"), c.renames, CACHE_RENAMES_MAX, &c.n_renames,
					err);
	if (rc == RC_OK)
		rc = read_nodes(json_object_get(state, "nodes"), &c, err);
	if (rc == RC_OK)
		rc = take_small(state, "master", &c.master, err);
	if (rc == RC_OK && (c.master < 0 || c.master >= c.n_nodes))
		rc = err_set(err, RC_CORRUPT, "description: master is none of the %d nodes", c.n_nodes);
	if (rc == RC_OK)
		*out = c;
	return rc;
}

enum rc cache_state_parse(const char *text, struct cache_instance *out, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(1 << 20);
	const json_t *state = NULL;
	enum rc rc = json_read(text, strlen(text), a, &state, err);
	return rc == RC_OK ? cache_state_read(state, out, err) : rc;
}

static void write_nodes(const struct cache_instance *c, struct jw *w)
{
	jw_key(w, "nodes");
	jw_array(w);
	for (int i = 0; i < c->n_nodes; i++) {
		const struct cache_node *n = &c->nodes[i];
		jw_object(w);
		jw_kv_int(w, "number", n->number);
		jw_kv_text(w, "host", n->host);
		jw_kv_int(w, "priority", n->priority);
		jw_kv_text(w, "run_id", n->run_id);
		jw_kv_int(w, "pid", n->pid);
		jw_kv_int(w, "mark", n->mark);
		jw_end_object(w);
	}
	jw_end_array(w);
}

void cache_state_write(const struct cache_instance *c, struct jw *w)
{
	jw_object(w);
	jw_kv_text(w, "mode", c->mode == CACHE_HA ? "ha" : "single");
	jw_kv_text(w, "dir", c->dir);
	jw_kv_text(w, "host", c->host);
	jw_kv_int(w, "port", c->port);
	jw_kv_int(w, "capacity", c->capacity);
	jw_kv_text(w, "password_hash", c->password_hash);
	jw_key(w, "settings");
	jw_object(w);
	for (int i = 0; i < c->n_settings; i++) {
		jw_key_exact(w, c->settings[i].name);
		jw_text(w, c->settings[i].value);
	}
	jw_end_object(w);
	jw_key(w, "renames");
	jw_object(w);
	for (int i = 0; i < c->n_renames; i++) {
		jw_key_exact(w, c->renames[i].command);
		jw_text(w, c->renames[i].name);
	}
	jw_end_object(w);
	write_nodes(c, w);
	jw_kv_int(w, "master", c->master);
	jw_end_object(w);
}

bool cache_whitelist_is_on(const json_t *whitelist)
{
	return json_is_true(json_object_get(whitelist, "enable_whitelist")) &&
	       json_array_size(json_object_get(whitelist, "whitelist")) > 0;
}
