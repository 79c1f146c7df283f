#include "api/opensearch/envelope.h"

static void write_head(struct jw *w, const struct envelope *e)
{
	jw_kv_text(w, "status", e->http_code < 400 ? "OK" : "FAIL");
	jw_kv_text(w, "requestId", e->request_id);
	if (e->host)
		jw_kv_text(w, "hostId", e->host);
	jw_kv_int(w, "httpCode", e->http_code);
	jw_kv_text(w, "code", e->code);
	jw_kv_text(w, "message", e->message);
	jw_kv_int(w, "latency", e->latency_ms);
}

static void write_result(struct jw *w, const struct envelope *e)
{
	if (e->members)
		e->members(w, e->subject);
	if (e->total)
		jw_kv_int(w, "totalCount", *e->total);
	if (e->result) {
		jw_key(w, "result");
		e->result(w, e->subject);
	} else if (w->casing == CASING_CAMEL) {
		/* The vendor's own two examples differ in exactly this. */
		jw_key(w, "result");
		jw_object(w);
		jw_end_object(w);
	}
}

void envelope_function(struct buf *out, const struct envelope *e)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	write_head(&w, e);
	write_result(&w, e);
	w.casing = CASING_PASCAL;
	write_head(&w, e);
	write_result(&w, e);
	jw_end_object(&w);
}

void envelope_app(struct buf *out, const struct envelope *e)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "requestId", e->request_id);
	write_result(&w, e);
	jw_end_object(&w);
}

void envelope_error(struct buf *out, const struct envelope *e)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	write_head(&w, e);
	w.casing = CASING_PASCAL;
	write_head(&w, e);
	if (e->members)
		e->members(&w, e->subject);
	jw_end_object(&w);
}
