/*
 * /healthz: the process answers. /readyz: it also takes changes; warnings tell what else is amiss. For probes, so no
 * key is needed.
 */
#include <stdio.h>
#include "api/opensearch/answer.h"
#include "api/opensearch/routes.h"

enum { DISK_FREE_MIN = 256 << 20 };

/* What an operator should look at although requests are served: no reason to send them elsewhere. */
static void write_warnings(struct call *c, struct jw *w)
{
	struct engine_state s;
	char text[96];

	engine_state(c->engine, &s);
	jw_key(w, "warnings");
	jw_array(w);
	if (s.models_unusable) {
		(void)snprintf(text, sizeof text, "%zu model(s) in service are missing or damaged", s.models_unusable);
		jw_text(w, text);
	}
	if (s.disk_free >= 0 && s.disk_free < DISK_FREE_MIN) {
		(void)snprintf(text, sizeof text, "the disk is nearly full: %lld MiB are free",
			       (long long)(s.disk_free >> 20));
		jw_text(w, text);
	}
	jw_end_array(w);
}

static void answer_state(struct call *c, int status, const char *word, const char *reason, bool has_warnings)
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
	if (has_warnings)
		write_warnings(c, &w);
	jw_end_object(&w);
	call_reply(c, status, answer_json_type, &body);
	buf_fini(&body);
}

void console_health(struct call *c) { answer_state(c, 200, "ok", NULL, /* has_warnings= */ false); }

void console_ready(struct call *c)
{
	const char *reason = api_not_ready(c->api);
	answer_state(c, reason ? 503 : 200, reason ? "unavailable" : "ok", reason, /* has_warnings= */ true);
}
