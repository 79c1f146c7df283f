/*
 * Operations of the OpenSearch dialect, a script of requests in an app group of its own (server.h). Every answer has
 * the contract's envelope in both casings; errors have a code and words and are not the server's own failure; and a
 * refused change changes nothing that the lists show.
 */
#include <stdio.h>
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "server.h"

enum { TURN = 200, REQUESTS_MAX = 8 };

#define APPS "/v4/openapi/app-groups"

static char app[16];

static const char function[] =
        "{\"name\":\"score\",\"modelType\":\"script\",\"run\":[\"/bin/true\"],\"createParameters\":["
        "{\"name\":\"rows\",\"type\":\"int\",\"low\":1,\"high\":1000,\"default\":\"10\"},"
        "{\"name\":\"mode\",\"type\":\"choice\",\"choices\":\"fast|exact\",\"default\":\"fast\"},"
        "{\"name\":\"rule\",\"type\":\"rule\"},{\"name\":\"files\",\"type\":\"paths\"}]}";

static void begin(void)
{
	server_write("child", "#!/bin/sh\n", 0700);
	server_write("functions.d/score.json", function, 0600);
	server_start(0);
	server_stop();
}

/* Without what differs from answer to answer. */
static void add_settled(struct buf *out, const json_t *answer)
{
	static const char *const passing[] = { "requestId", "RequestId", "latency", "Latency" };
	json_t *copy = json_copy((json_t *)(uintptr_t)answer);

	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		(void)json_object_del(copy, passing[i]); /* absent is fine */
	char *text = json_dumps(copy, JSON_SORT_KEYS);
	buf_adds(out, text ? text : "-");
	free(text);
	json_decref(copy);
}

static void look(struct buf *out)
{
	static const char *const lists[] = { "", "/functions/score/instances?pageSize=100&output=detail",
		                             "/functions/score/instances/one", "/functions/score/instances/one/tasks",
		                             "/functions/score/default-instance" };
	char target[200];

	buf_init(out, 1 << 22);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		snprintf(target, sizeof target, APPS "/%s%s", app, lists[i]);
		const struct server_answer *a = server_call("GET", target, NULL, 0, /* may_wait= */ false);
		CHECK(a->status < 500, "%s: %d %s", target, a->status, a->body);
		add_settled(out, a->json);
	}
}

static const char *text_of(const struct server_answer *a, const char *name)
{
	const char *text = json_string_value(json_object_get(a->json, name));
	return text ? text : "";
}

static void check_error(const struct server_request *r, const struct server_answer *a)
{
	CHECK(a->status < 500, "%s %s: %d %s", r->method, r->target, a->status, a->body);
	CHECK(*text_of(a, "code") && strcmp(text_of(a, "code"), text_of(a, "Code")) == 0, "%s: %s", r->target, a->body);
	CHECK(*text_of(a, "message") && strcmp(text_of(a, "message"), text_of(a, "Message")) == 0, "%s: %s", r->target,
	      a->body);
	CHECK(strcmp(text_of(a, "status"), "FAIL") == 0, "%s: %s", r->target, a->body);
	CHECK(json_integer_value(json_object_get(a->json, "httpCode")) == a->status, "%s: %s", r->target, a->body);
	CHECK(!json_object_get(a->json, "result"), "%s: a result beside an error: %s", r->target, a->body);
}

static void take(const struct server_request *r)
{
	struct buf before, after;

	if (strncmp(r->target, "/v4/", 4) != 0 && strncmp(r->target, "/stint/", 7) != 0)
		return; /* another dialect's, or an open path */
	look(&before);
	const struct server_answer *a = server_call(r->method, r->target, r->body, r->body_len, /* may_wait= */ false);
	int status = a->status;
	if (status >= 400 && strcmp(r->method, "HEAD") != 0)
		check_error(r, a);
	if (status >= 400) {
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
	static const char body[] =
	        "\",\"type\":\"enhanced\",\"quota\":{\"docSize\":1,\"computeResource\":20,"
	        "\"spec\":\"opensearch.share.common\"}}";
	static unsigned i;
	char text[256];

	i = server_turn(begin, TURN) ? 0 : i + 1;
	snprintf(app, sizeof app, "app%u", i);
	server_define("a", app);
	snprintf(text, sizeof text, "{\"name\":\"%s%s", app, body);
	const struct server_answer *a = server_call("POST", APPS, text, strlen(text), /* may_wait= */ false);
	CHECK(a->status == 200, "%s", a->body);
	server_script(data, size, REQUESTS_MAX, take);
	return 0;
}
