#include "dcs_dialect.h"

int run(const struct request *r)
{
	(void)send_request(r);
	EXPECT(strcmp(seen.content_type, "application/json") == 0, "%s %s: %s", r->method, r->target,
	       seen.content_type);
	EXPECT(seen.status == 204 ? seen.body.len == 0 : seen.json != NULL, "%s %s: %d '%s'", r->method, r->target,
	       seen.status, buf_text(&seen.body));
	return seen.status;
}

int call(const char *method, const char *target, const char *body)
{
	struct request r = { .method = method, .target = target, .body = body };
	return run(&r);
}

void expect_error(const char *what, int status, const char *code)
{
	EXPECT(seen.status == status, "%s: %d %s", what, seen.status, buf_text(&seen.body));
	EXPECT(strcmp(at("error_code"), code) == 0, "%s: %s", what, buf_text(&seen.body));
	EXPECT(strlen(at("error_msg")) > 5, "%s: %s", what, at("error_msg"));
	EXPECT(strcmp(at("error_ext_msg"), "null") == 0, "%s: %s", what, at("error_ext_msg"));
	EXPECT(json_object_size(seen.json) == 3, "%s: %s", what, buf_text(&seen.body));
}

const char *one(const char *uid, const char *rest)
{
	static char text[8][512];
	static unsigned turn;
	char *out = text[turn++ % 8];

	(void)snprintf(out, sizeof text[0], ALL "/%s%s", uid, rest);
	return out;
}

void create(const char *body, char uid[UUID_SIZE])
{
	EXPECT(call("POST", ALL, body) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(uid, UUID_SIZE, "%s", at("instances/0/instance_id"));
	EXPECT(format_is_uuid(uid), "%s", uid);
}

void create_running(const char *body, char uid[UUID_SIZE])
{
	create(body, uid);
	(void)poll_until(one(uid, ""), "status", "RUNNING");
}
