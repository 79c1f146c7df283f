/* cache: Redis instances and what is done to them, through the DCS API. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cmd/dcs.h"
#include "cmd/password.h"

#define PASSWORD_OPTION(out_)                                                                                          \
	OPTION_TEXT(                                                                                                   \
		"password-file", (out_), "FILE",                                                                       \
		"Password in the first line of a file, - for standard input (default $REDISCLI_AUTH, else asked for).")

/* ---- create ---- */

struct creation {
	const char *name, *mode, *size, *version, *description, *password_file, *ip;
	int64_t replicas, port;
	bool is_free, waits;
	struct opt_list tags;
};

static void write_tags(struct remote *r, struct jw *w, const struct opt_list *tags)
{
	jw_key(w, "tags");
	jw_array(w);
	for (int i = 0; i < tags->n && r->rc == RC_OK; i++) {
		const char *item = tags->items[i], *equals = strchr(item, '=');
		if (!equals || equals == item) {
			r->rc = err_set(&r->err, RC_INVALID, "a tag is written key=value, not '%.60s'", item);
			break;
		}
		jw_object(w);
		jw_kv_text(w, "key", arena_dup_n(client_arena(r->client), item, (size_t)(equals - item)));
		jw_kv_text(w, "value", equals + 1);
		jw_end_object(w);
	}
	if (r->rc == RC_OK)
		jw_end_array(w);
}

static bool write_place(struct remote *r, struct jw *w)
{
	if (!dcs_body_zones(r, w, "az_codes"))
		return false;
	jw_kv_text(w, "vpc_id", "local"); /* the API wants networks; here they mean nothing */
	jw_kv_text(w, "subnet_id", "local");
	return true;
}

static void write_password(struct remote *r, struct jw *w, const struct creation *n)
{
	char password[PASSWORD_SIZE];

	if (n->is_free) {
		jw_kv_bool(w, "no_password_access", true);
		return;
	}
	r->rc = password_read(n->password_file, "Password of the new cache", /* must_agree= */ true, password, &r->err);
	if (r->rc == RC_OK)
		jw_kv_text(w, "password", password);
	mem_wipe(password, sizeof password);
}

static bool write_creation(struct remote *r, const struct creation *n, struct buf *body)
{
	bool is_ha = strcmp(n->mode, "ha") == 0;
	const char *spec;
	int64_t mib;
	struct jw w;

	dcs_body_begin(&w, body);
	if (!is_ha && n->replicas != 1)
		r->rc = err_set(&r->err, RC_INVALID, "--replicas is for --mode ha");
	if (r->rc != RC_OK || !dcs_size(r, n->size, &mib) ||
	    !dcs_spec(r, n->mode, NULL, mib, is_ha ? n->replicas + 1 : 0, &spec) || !write_place(r, &w))
		return false;
	jw_kv_text(&w, "name", n->name);
	jw_kv_text(&w, "engine", "Redis");
	jw_kv_text(&w, "engine_version", n->version);
	jw_kv_real(&w, "capacity", (double)mib / 1024);
	jw_kv_text(&w, "spec_code", spec);
	jw_kv_int(&w, "port", n->port);
	if (n->ip)
		jw_kv_text(&w, "private_ip", n->ip);
	if (n->description)
		jw_kv_text(&w, "description", n->description);
	if (n->tags.n)
		write_tags(r, &w, &n->tags);
	if (r->rc == RC_OK)
		write_password(r, &w, n);
	return dcs_body_finish(r, &w, body);
}

static void print_created(struct remote *r, const char *uid)
{
	struct dcs_cache cache;

	client_forget(r->client);
	if (r->options.as_json || !dcs_find(r, uid, &cache))
		return;
	buf_addf(&r->out, "Cache %s is running at %s:%lld. Talk to it: stint cache connect %s", cache.name,
		 json_text_of(cache.json, "ip"), (long long)json_int_of(cache.json, "port"), cache.name);
}

static void create(struct remote *r, const struct creation *n)
{
	struct dcs_cache cache = { .name = n->name };
	struct answer a;
	struct buf body;
	bool is_made = write_creation(r, n, &body) &&
		       dcs_call(r, "POST", "/instances", NULL, NULL, buf_text(&body), &a);

	dcs_body_drop(&body);
	if (!is_made)
		return;
	const json_t *made = json_array_get(json_pick(a.json, "instances"), 0);
	(void)snprintf(cache.uid_text, sizeof cache.uid_text, "%s", json_text_of(made, "instance_id"));
	cache.uid = cache.uid_text;
	dcs_finish(r, &cache, n->waits, "is made");
	if (r->rc == RC_OK && n->waits && !r->options.as_json) {
		buf_reset(&r->out);
		print_created(r, cache.uid);
	}
}

static int run_create(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct creation n = { .mode = "single", .size = "128M", .version = "7.0", .replicas = 1, .port = 6379 };
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_CHOICE("mode", &n.mode, "MODE", "single|ha", "single, or ha with replicas (default single)."),
		OPTION_TEXT("size", &n.size, "SIZE", "Memory: 128M, 256M, 512M, 1G, 2G, 4G ... 64G (default 128M)."),
		OPTION_INT("replicas", &n.replicas, "N", 1, 5, "Replicas of an ha cache (default 1)."),
		OPTION_TEXT("engine-version", &n.version, "V", "4.0, 5.0, 6.0 or 7.0, a name only (default 7.0)."),
		OPTION_INT("port", &n.port, "N", 1, 65535, "Port (default 6379)."),
		OPTION_TEXT("ip", &n.ip, "ADDRESS", "Address of this machine for clients (default: one of its own)."),
		OPTION_TEXT("description", &n.description, "TEXT", "Free text."),
		OPTION_LIST("tag", &n.tags, "KEY=VALUE", "A tag; may be repeated."),
		PASSWORD_OPTION(&n.password_file),
		OPTION_FLAG("no-password", &n.is_free, "Let everybody in."),
		DCS_WAIT_OPTION(&n.waits),
		DCS_CLIENT_OPTIONS(r.options),
	};
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	n.name = operands[0];
	create(&r, &n);
	return remote_close(&r);
}

/* ---- list, show ---- */

/* "128 MB", "2 GB" */
static const char *size_of(struct arena *a, const json_t *cache)
{
	int64_t mb = json_int_of(cache, "max_memory");
	return mb % 1024 ? arena_printf(a, "%lld MB", (long long)mb) : arena_printf(a, "%lld GB", (long long)mb / 1024);
}

static const char *address_of(struct arena *a, const json_t *cache)
{
	const char *ip = json_text_of(cache, "ip");
	return *ip ? arena_printf(a, "%s:%lld", ip, (long long)json_int_of(cache, "port")) : "-";
}

static void print_list(struct remote *r, const json_t *list)
{
	static const char *const heads[] = { "NAME", "STATUS", "MODE", "SIZE", "ADDRESS", "CREATED (UTC)", "ID" };
	struct arena *a = client_arena(r->client);
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *c = json_array_get(list, i);
		const char *cells[] = { json_text_of(c, "name"), json_text_of(c, "status"),
					json_text_of(c, "cache_mode"), size_of(a, c), address_of(a, c),
					dcs_time(a, c, "created_at"), json_text_of(c, "instance_id") };
		sheet_row(&s, cells);
	}
	sheet_print(&s, &r->out);
}

static int run_list(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX], *status = NULL, *name = NULL;
	int64_t offset = 0, limit = 1000;
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_TEXT("name", &name, "TEXT", "Only those with this in their name."),
		OPTION_TEXT("status", &status, "STATUS", "Only those in this status, such as RUNNING."),
		OPTION_INT("offset", &offset, "N", 0, INT32_MAX, "Skip so many (default 0)."),
		OPTION_INT("limit", &limit, "N", 1, 1000, "Show at most so many (default 1000)."),
		DCS_CLIENT_OPTIONS(r.options),
	};
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct arena *arena = client_arena(r.client);
	const char *pairs[] = { "include_failure", "true", "name", name, "status", status,
				"offset", arena_printf(arena, "%lld", (long long)offset),
				"limit", arena_printf(arena, "%lld", (long long)limit) };
	if (dcs_call(&r, "GET", "/instances", NULL, client_query(r.client, pairs, 5), NULL, &a) &&
	    !remote_print_json(&r, &a))
		print_list(&r, json_pick(a.json, "instances"));
	return remote_close(&r);
}

static void print_tags(struct remote *r, const json_t *tags)
{
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const json_t *t = json_array_get(tags, i);
		remote_line(r, i == 0 ? "tags" : "",
			    arena_printf(client_arena(r->client), "%s=%s", json_text_of(t, "key"),
					 json_text_of(t, "value")));
	}
}

static void print_nodes(struct remote *r, const char *uid)
{
	struct arena *a = client_arena(r->client);
	struct answer answer;

	if (!dcs_call_on(r, "GET", uid, "/logical-nodes", NULL, NULL, &answer))
		return;
	const json_t *nodes = json_pick(answer.json, "nodes");
	for (size_t i = 0; i < json_array_size(nodes); i++) {
		const json_t *n = json_array_get(nodes, i);
		remote_line(r, i == 0 ? "nodes" : "",
			    arena_printf(a, "%-6s %s:%s  weight %lld  %s", json_text_of(n, "node_type"),
					 json_text_of(n, "node_ip"), json_text_of(n, "node_port"),
					 (long long)json_int_of(n, "priority_weight"), json_text_of(n, "node_id")));
	}
}

static void print_cache(struct remote *r, const struct dcs_cache *cache)
{
	struct arena *a = client_arena(r->client);
	const json_t *c = cache->json;
	bool is_free = strcmp(json_text_of(c, "no_password_access"), "true") == 0;

	remote_line(r, "name", cache->name);
	remote_line(r, "id", cache->uid);
	remote_line(r, "status", json_text_of(c, "status"));
	remote_line(r, "address", address_of(a, c));
	remote_line(r, "password", is_free ? "none" : "set");
	remote_line(r, "mode", json_text_of(c, "cache_mode"));
	remote_line(r, "size", size_of(a, c));
	if (json_is_integer(json_pick(c, "used_memory")))
		remote_line(r, "used", arena_printf(a, "%lld MB", (long long)json_int_of(c, "used_memory")));
	remote_line(r, "spec code", json_text_of(c, "spec_code"));
	remote_line(r, "created", dcs_time(a, c, "created_at"));
	remote_line(r, "maintenance", arena_printf(a, "%s to %s UTC", json_text_of(c, "maintain_begin"),
						   json_text_of(c, "maintain_end")));
	if (*json_text_of(c, "description"))
		remote_line(r, "description", json_text_of(c, "description"));
	print_tags(r, json_pick(c, "tags"));
	print_nodes(r, cache->uid);
}

static int run_show(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct remote r = { .command = c };
	struct opt opts[] = { DCS_CLIENT_OPTIONS(r.options) };
	struct dcs_cache cache;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache)) {
		if (r.options.as_json)
			say_json(cache.json, &r.out);
		else
			print_cache(&r, &cache);
	}
	return remote_close(&r);
}

/* ---- changes ---- */

/* {"instances":[uid],"action":...}: accepted or refused stands in the answer. */
static void set_status(struct remote *r, const struct dcs_cache *cache, const char *action)
{
	struct answer a;
	struct buf body;
	struct jw w;

	dcs_body_begin(&w, &body);
	jw_key(&w, "instances");
	jw_array(&w);
	jw_text(&w, cache->uid);
	jw_end_array(&w);
	jw_kv_text(&w, "action", action);
	if (dcs_body_finish(r, &w, &body) && dcs_call(r, "PUT", "/instances/status", NULL, NULL, buf_text(&body), &a) &&
	    strcmp(json_text_of(json_array_get(json_pick(a.json, "results"), 0), "result"), "success") != 0)
		r->rc = err_set(&r->err, RC_CONFLICT, "cache %.70s does not take a %s now; it is busy, or %s",
				cache->name, action, json_text_of(cache->json, "status"));
	dcs_body_drop(&body);
}

static int run_restart(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	bool waits = false;
	struct remote r = { .command = c };
	struct opt opts[] = { DCS_WAIT_OPTION(&waits), DCS_CLIENT_OPTIONS(r.options) };
	struct dcs_cache cache;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache)) {
		set_status(&r, &cache, "restart");
		dcs_finish(&r, &cache, waits, "has been restarted");
	}
	return remote_close(&r);
}

static int run_flush(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	bool waits = false, is_sure = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_FLAG("yes", &is_sure, "Required: all data will be gone."),
		DCS_WAIT_OPTION(&waits),
		DCS_CLIENT_OPTIONS(r.options),
	};
	struct dcs_cache cache;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (!is_sure) {
		r.rc = err_set(&r.err, RC_INVALID, "this erases every key of every database; say --yes");
	} else if (dcs_find(&r, operands[0], &cache)) {
		set_status(&r, &cache, "flush");
		dcs_finish(&r, &cache, waits, "is empty now");
	}
	return remote_close(&r);
}

static int run_swap(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	bool waits = false;
	struct remote r = { .command = c };
	struct opt opts[] = { DCS_WAIT_OPTION(&waits), DCS_CLIENT_OPTIONS(r.options) };
	struct dcs_cache cache;
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache)) {
		(void)dcs_call_on(&r, "PUT", cache.uid, "/async-swap", NULL, NULL, &a);
		dcs_finish(&r, &cache, waits, "has another master now");
	}
	return remote_close(&r);
}

/* ---- password ---- */

static bool reset_password(struct remote *r, const char *uid, const char *file, bool is_free, struct answer *a)
{
	char password[PASSWORD_SIZE] = "";
	struct buf body;
	struct jw w;

	dcs_body_begin(&w, &body);
	if (is_free)
		jw_kv_bool(&w, "no_password_access", true);
	else
		r->rc = password_read(file, "New password", /* must_agree= */ true, password, &r->err);
	if (r->rc == RC_OK && !is_free)
		jw_kv_text(&w, "new_password", password);
	mem_wipe(password, sizeof password);
	bool is_answered = dcs_body_finish(r, &w, &body) &&
			   dcs_call_on(r, "POST", uid, "/password/reset", NULL, buf_text(&body), a);
	dcs_body_drop(&body);
	return is_answered;
}

static int run_password(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX], *file = NULL;
	bool is_free = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		PASSWORD_OPTION(&file),
		OPTION_FLAG("no-password", &is_free, "Let everybody in from now on."),
		DCS_CLIENT_OPTIONS(r.options),
	};
	struct dcs_cache cache;
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache) && reset_password(&r, cache.uid, file, is_free, &a) &&
	    !remote_print_json(&r, &a)) {
		if (strcmp(json_text_of(a.json, "code"), "1") == 0)
			buf_addf(&r.out, "Cache %s has %s password now; open connections stay.", cache.name,
				 is_free ? "no" : "a new");
		else
			r.rc = err_set(&r.err, RC_CONFLICT, "%.200s: %s min left", json_text_of(a.json, "message"),
				       json_text_of(a.json, "lock_time_left"));
	}
	return remote_close(&r);
}

/* ---- delete ---- */

/* The instance is not there any more, so its task is found among the project's. */
static void wait_for_end(struct remote *r)
{
	char ids[20][40];
	size_t n = 0;
	struct answer a;

	if (!dcs_call(r, "GET", "/tasks", NULL, "limit=20", NULL, &a))
		return;
	const json_t *tasks = json_pick(a.json, "tasks");
	for (size_t i = 0; i < json_array_size(tasks) && n < ARRAY_LEN(ids); i++) {
		const json_t *t = json_array_get(tasks, i);
		const char *status = json_text_of(t, "status");
		if (strcmp(json_text_of(t, "name"), "DELETE") == 0 && strcmp(status, "SUCCESS") != 0 &&
		    strcmp(status, "FAILED") != 0)
			(void)snprintf(ids[n++], sizeof ids[0], "%s", json_text_of(t, "id"));
	}
	for (size_t i = 0; i < n && r->rc == RC_OK; i++)
		dcs_wait(r, NULL, ids[i]);
}

static int run_delete(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	bool waits = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_FLAG("wait", &waits, "Until its processes and files are gone, too."),
		DCS_CLIENT_OPTIONS(r.options),
	};
	struct dcs_cache cache;
	struct answer a;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache) && dcs_call_on(&r, "DELETE", cache.uid, "", NULL, NULL, &a)) {
		if (waits)
			wait_for_end(&r);
		if (r.options.as_json)
			buf_addf(&r.out, "{\"instance_id\":\"%s\"}", cache.uid);
		else
			buf_addf(&r.out, "Cache %s is gone, with its data and backups.", cache.name);
	}
	return remote_close(&r);
}

#define CACHE_COMMAND(id_, name_, operands_, summary_, example_)                                                       \
	const struct command command_cache_##id_ = {                                                                   \
		.name = name_, .operands = operands_, .summary = summary_, .example = example_, .run = run_##id_       \
	}

CACHE_COMMAND(create, "cache create", "NAME", "Make a Redis instance.",
	      "stint cache create sessions --mode ha --size 256M --wait");
CACHE_COMMAND(list, "cache list", "", "List the Redis instances, newest first.", "stint cache list --status RUNNING");
CACHE_COMMAND(show, "cache show", "CACHE", "Show an instance and its nodes.", "stint cache show sessions");
CACHE_COMMAND(restart, "cache restart", "CACHE", "Restart the processes of an instance.",
	      "stint cache restart sessions --wait");
CACHE_COMMAND(flush, "cache flush", "CACHE", "Erase all data of an instance.", "stint cache flush sessions --yes");
CACHE_COMMAND(swap, "cache swap", "CACHE", "Make a replica the master.", "stint cache swap sessions --wait");
CACHE_COMMAND(password, "cache password", "CACHE", "Set the password of an instance.", "stint cache password sessions");
CACHE_COMMAND(delete, "cache delete", "CACHE", "Delete an instance with its data and backups.",
	      "stint cache delete sessions --wait");
