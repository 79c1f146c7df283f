#include "cmd/remote.h"

#include <string.h>
#include <time.h>

bool remote_open(struct remote *r, struct opt *opts, size_t n_opts, int argc, char **argv, const char **operands,
                 int *exit_code)
{
	if (!args_read(r->command, opts, n_opts, argc, argv, operands, exit_code))
		return false;
	buf_init(&r->out, 32 << 20);
	r->rc = client_open(&r->options, &r->client, &r->err);
	if (r->rc == RC_OK)
		return true;
	*exit_code = remote_close(r);
	return false;
}

int remote_close(struct remote *r)
{
	int code = 0;

	if (!r->options.as_json && r->out.len)
		say_tame(r->out.bytes, r->out.len);
	if (r->rc == RC_OK && r->out.is_over)
		r->rc = err_set(&r->err, RC_LIMIT, "the output is too large");
	if (r->rc != RC_OK)
		code = say_failed(r->command, r->rc, &r->err);
	else if (r->out.len)
		code = say_text(r->command, &r->out);
	client_close(r->client);
	buf_fini(&r->out);
	return code;
}

bool remote_call(struct remote *r, const char *method, const char *action, const char *path, const char *query,
                 const char *body, struct answer *out)
{
	if (r->rc == RC_OK)
		r->rc = client_call(r->client, method, action, path, query, body, out, &r->err);
	return r->rc == RC_OK;
}

bool remote_print_json(struct remote *r, const struct answer *a)
{
	if (r->options.as_json)
		a->len ? buf_add(&r->out, a->text, a->len) : buf_adds(&r->out, "{}");
	return r->options.as_json;
}

const char *remote_page_query(struct remote *r, int64_t page, int64_t size, const char *name, const char *value)
{
	struct arena *a = client_arena(r->client);
	const char *pairs[] = { "pageNumber", arena_printf(a, "%lld", (long long)page),
		                "pageSize",   arena_printf(a, "%lld", (long long)size),
		                name,         value };
	return client_query(r->client, pairs, name ? 3 : 2);
}

void remote_line(struct remote *r, const char *label, const char *value)
{
	buf_addf(&r->out, "%-14s ", label);
	for (const char *p = value; *p; p++)
		buf_addc(&r->out, *p == '\n' ? '?' : *p); /* else a description could add lines of its own */
	buf_addc(&r->out, '\n');
}

const char *remote_function(struct remote *r, const char *function)
{
	const char *words = arena_printf(client_arena(r->client), " --function %s", function);
	return strcmp(function, "ctr") == 0 || !words ? "" : words;
}

void remote_pause(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* cut short by a signal: polls sooner */
}

enum rc remote_params(const struct opt_list *list, const char *key, struct jw *w, struct err *err)
{
	if (list->n == 0)
		return RC_OK;
	jw_key(w, key);
	jw_array(w);
	for (int i = 0; i < list->n; i++) {
		const char *item = list->items[i], *equals = strchr(item, '=');
		char name[128];
		if (!equals || equals == item || (size_t)(equals - item) >= sizeof name)
			return err_set(err, RC_INVALID, "a parameter is written name=value, not '%.60s'", item);
		memcpy(name, item, (size_t)(equals - item));
		name[equals - item] = '\0';
		jw_object(w);
		jw_kv_text(w, "name", name);
		jw_kv_text(w, "value", equals + 1);
		jw_end_object(w);
	}
	jw_end_array(w);
	return RC_OK;
}
