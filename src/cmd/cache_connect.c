/* cache connect: redis-cli at a cache, without its address or password on the command line of anybody. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cmd/dcs.h"
#include "cmd/password.h"
#include "os/proc.h"

/* redis-cli takes it from there; only its own user can read a process's environment. */
static bool provide_password(struct remote *r, const struct dcs_cache *cache)
{
	char password[PASSWORD_SIZE];

	if (strcmp(json_text_of(cache->json, "no_password_access"), "true") == 0)
		return true;
	r->rc = password_read(NULL, "Password", /* must_agree= */ false, password, &r->err);
	if (r->rc == RC_OK && setenv("REDISCLI_AUTH", password, /* overwrite: */ 1) != 0)
		r->rc = err_sys(&r->err, RC_IO, errno, "the password cannot be passed on");
	mem_wipe(password, sizeof password);
	return r->rc == RC_OK;
}

static bool is_ready(struct remote *r, const struct dcs_cache *cache)
{
	const char *status = json_text_of(cache->json, "status");

	if (strcmp(status, "CREATING") != 0 && strcmp(status, "CREATEFAILED") != 0)
		return true;
	r->rc = err_set(&r->err, RC_CONFLICT, "cache %.70s is %s", cache->name, status);
	return false;
}

/* Does not come back when it goes well. */
static void become_redis_cli(struct remote *r, const char *ip, const char *port, const char *const *words)
{
	const char *argv[5 + OPERANDS_MAX] = { "redis-cli", "-h", ip, "-p", port };
	size_t n = 5;

	for (size_t i = 0; i < OPERANDS_MAX - 1 && words[i]; i++)
		argv[n++] = words[i];
	r->rc = proc_become(argv, &r->err);
	if (r->rc == RC_NOT_FOUND)
		r->rc = err_set(&r->err, RC_NOT_FOUND, "there is no redis-cli; it is in the package redis-tools");
}

static int run_connect(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	bool only_prints = false;
	struct remote r = { .command = c };
	struct opt opts[] = {
		OPTION_FLAG("print", &only_prints, "Only print the command, without the password."),
		DCS_CLIENT_OPTIONS(r.options),
	};
	struct dcs_cache cache;
	int code;

	if (!dcs_open(&r, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	if (dcs_find(&r, operands[0], &cache) && is_ready(&r, &cache)) {
		const char *ip = json_text_of(cache.json, "ip");
		const char *port = arena_printf(client_arena(r.client), "%lld",
						(long long)json_int_of(cache.json, "port"));
		if (r.options.as_json)
			buf_addf(&r.out, "{\"host\":\"%s\",\"port\":%s}", ip, port);
		else if (only_prints)
			buf_addf(&r.out, "redis-cli -h %s -p %s", ip, port);
		else if (provide_password(&r, &cache))
			become_redis_cli(&r, ip, port, operands + 1);
	}
	return remote_close(&r);
}

const struct command command_cache_connect = {
	.name = "cache connect",
	.operands = "CACHE [WORD...]",
	.summary = "Open redis-cli at a cache, or run one command there.",
	.example = "stint cache connect sessions\nREDISCLI_AUTH=secret stint cache connect sessions GET user:1",
	.run = run_connect,
};
