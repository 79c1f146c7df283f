/*
 * /healthz: the process answers. /readyz: it also takes changes. For probes, so no key is needed.
 */
#include "api/opensearch/answer.h"
#include "api/opensearch/routes.h"

static void answer_state(struct call *c, int status, const char *word, const char *reason)
{
	struct buf body;
	struct jw w;

	buf_init(&body, 4096);
	jw_init(&w, &body, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "status", word);
	if (reason)
		jw_kv_text(&w, "reason", reason);
	jw_kv_text(&w, "version", STINT_VERSION);
	jw_end_object(&w);
	call_reply(c, status, answer_json_type, &body);
	buf_fini(&body);
}

void console_health(struct call *c) { answer_state(c, 200, "ok", NULL); }

void console_ready(struct call *c)
{
	const char *reason = api_not_ready(c->api);
	answer_state(c, reason ? 503 : 200, reason ? "unavailable" : "ok", reason);
}
