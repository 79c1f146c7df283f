/*
 * Operations of the DCS dialect, a script of requests against instances that are RUNNING (server.h). Every answer has
 * the contract's form; errors have a code, words and no more; none is the server's own failure; no secret is shown; and
 * a refused change changes nothing that the project's lists show.
 */
#include <stdio.h>
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "server.h"

/* Instances made once: a turn uses up one for each input. */
enum { INSTANCES = 24, REQUESTS_MAX = 6 };

static char instances[INSTANCES][40];
static char project[40];

/* In place of Redis: two nodes of which nothing is there. */
static const char child[] =
        "#!/bin/sh\n"
        "echo '{\"result\":{\"cache\":{\"mode\":\"ha\",\"dir\":\"/nonexistent\",\"host\":\"127.0.0.1\",\"port\":1,"
        "\"capacity\":128,\"password_hash\":\"secrethash\",\"settings\":{},\"renames\":{},\"nodes\":[{\"number\":0,"
        "\"host\":\"127.0.0.1\","
        "\"priority\":100},{\"number\":1,\"host\":\"127.0.0.1\",\"priority\":100}],\"master\":0}}}' >&3\n";

static const char create[] =
        "{\"name\":\"fuzz\",\"capacity\":0.125,\"spec_code\":\"redis.ha.xu1.tiny.r2.128\",\"password\":"
        "\"Secret-1x\",\"engine\":\"Redis\",\"engine_version\":\"7.0\",\"az_codes\":[\"stint-1\"],"
        "\"vpc_id\":\"v\",\"subnet_id\":\"s\"}";

static const char *in_project(const char *rest)
{
	static char target[8][200];
	static unsigned turn;
	char *out = target[turn++ % 8];

	snprintf(out, sizeof target[0], "/v2/%s%s", project, rest);
	return out;
}

static void set_project(int i) { snprintf(project, sizeof project, "a4d31cb63d7244fdbec96e3a41e4%04x", (unsigned)i); }

static void wait_until_running(const char *uid)
{
	static const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	char rest[80];
	bool is_running = false;

	CHECK((size_t)snprintf(rest, sizeof rest, "/instances/%s", uid) < sizeof rest, "long id %s", uid);
	for (int i = 0; i < 6000 && !is_running; i++) {
		const struct server_answer *a = server_call("GET", in_project(rest), NULL, 0, /* may_wait= */ false);
		const char *status = json_string_value(json_object_get(a->json, "status"));
		is_running = status && strcmp(status, "RUNNING") == 0;
		if (!is_running)
			nanosleep(&pause, NULL);
	}
	CHECK(is_running, "%s does not run", uid);
}

static void begin(void)
{
	server_write("child", child, 0700);
	server_start(2);
	for (int i = 0; i < INSTANCES; i++) {
		set_project(i);
		const struct server_answer *a =
			server_call("POST", in_project("/instances"), create, strlen(create), /* may_wait= */ false);
		CHECK(a->status == 200, "%d %s", a->status, a->body);
		snprintf(instances[i], sizeof instances[i], "%s", server_value("instance_id"));
	}
	for (int i = 0; i < INSTANCES; i++) {
		set_project(i);
		wait_until_running(instances[i]);
	}
	server_stop();
}

/* What the project's lists show. */
static void look(struct buf *out)
{
	static const char *const lists[] = { "/instances?limit=100",         "/tasks?limit=100",
		                             "/instances/@/backups",         "/instances/@/tags",
		                             "/instances/@/configs",         "/instances/@/bigkey-tasks",
		                             "/instances/@/bigkey/autoscan", "/instances/@/diagnosis",
		                             "/config-templates?limit=100" };

	buf_init(out, 1 << 22);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		char rest[120];
		const char *at = strchr(lists[i], '@');
		snprintf(rest, sizeof rest, "%.*s%s%s", at ? (int)(at - lists[i]) : (int)strlen(lists[i]), lists[i],
			 at ? server_value("i") : "", at ? at + 1 : "");
		const struct server_answer *a = server_call("GET", in_project(rest), NULL, 0, /* may_wait= */ false);
		CHECK(a->status < 500, "%s: %d %s", rest, a->status, a->body);
		buf_add(out, a->body, a->body_len);
	}
}

static void check_error(const struct server_request *r, const struct server_answer *a)
{
	const char *code = json_string_value(json_object_get(a->json, "error_code"));
	const char *words = json_string_value(json_object_get(a->json, "error_msg"));

	CHECK(a->status < 500, "%s %s: %d %s", r->method, r->target, a->status, a->body);
	CHECK(code && strncmp(code, "DCS.", 4) == 0 && strlen(code) <= 9, "%s: %s", r->target, a->body);
	CHECK(words && *words, "%s: %s", r->target, a->body);
	CHECK(json_object_size(a->json) == 3, "%s: %s", r->target, a->body);
}

/* Is the path one of this dialect? Of others the other target tells. */
static bool is_ours(const char *target)
{
	size_t len = strcspn(target, "?");
	return len == 1 || (strncmp(target, "/v2", 3) == 0 && (len == 3 || target[3] == '/'));
}

/* The operations that answer when their task has ended; here none does. */
static bool may_wait(const struct server_request *r)
{
	static const char *const last[] = { "/swap", "/password", "/password/reset", "/configs", "/whitelist" };
	size_t len = strcspn(r->target, "?");
	bool found = false;

	len -= len && r->target[len - 1] == '/';
	for (size_t i = 0; i < ARRAY_LEN(last); i++) {
		size_t n = strlen(last[i]);
		found |= len >= n && memcmp(r->target + len - n, last[i], n) == 0;
	}
	return found && strcmp(r->method, "GET") != 0;
}

static void take(const struct server_request *r)
{
	struct buf before, after;

	if (!is_ours(r->target))
		return;
	bool is_idle = server_is_idle();
	look(&before);
	const struct server_answer *a = server_call(r->method, r->target, r->body, r->body_len, may_wait(r));
	CHECK(a->is_waiting || !a->body || !strstr(a->body, "secrethash"), "%s shows %s", r->target, a->body);
	bool is_refused = !a->is_waiting && a->status >= 400;
	if (is_refused && strcmp(r->method, "HEAD") != 0)
		check_error(r, a);
	if (is_refused && is_idle) {
		look(&after);
		CHECK(fuzz_is_same(before.bytes, before.len, after.bytes, after.len),
		      "%s %s was refused and changed %s to %s", r->method, r->target, buf_text(&before),
		      buf_text(&after));
		buf_fini(&after);
	}
	buf_fini(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int i;

	i = server_turn(begin, INSTANCES) ? 0 : i + 1;
	set_project(i);
	server_define("p", project);
	server_define("i", instances[i]);
	server_script(data, size, REQUESTS_MAX, take);
	return 0;
}
