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
	if (e->result && !e->result_differs) {
		jw_twin_begin(&w);
		write_head(&w, e);
		write_result(&w, e);
		jw_twin_end(&w);
	} else {
		write_head(&w, e);
		write_result(&w, e);
		w.casing = CASING_PASCAL;
		write_head(&w, e);
		write_result(&w, e);
	}
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

static void write_object(struct jw *w, const json_t *object)
{
	json_t *o = (json_t *)(uintptr_t)object; /* jansson's iterators want to be able to change it; we do not */

	jw_object(w);
	for (void *iter = json_object_iter(o); iter; iter = json_object_iter_next(o, iter)) {
		jw_key_exact(w, json_object_iter_key(iter));
		envelope_value(w, json_object_iter_value(iter));
	}
	jw_end_object(w);
}

static void write_array(struct jw *w, const json_t *array)
{
	jw_array(w);
	for (size_t i = 0; i < json_array_size(array); i++)
		envelope_value(w, json_array_get(array, i));
	jw_end_array(w);
}

/* Recursion is bounded by json_read's limit of nesting. */
void envelope_value(struct jw *w, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: write_object(w, value); break;
	case JSON_ARRAY: write_array(w, value); break;
	case JSON_STRING: jw_text(w, json_string_value(value)); break;
	case JSON_INTEGER: jw_int(w, json_integer_value(value)); break;
	case JSON_REAL: jw_real(w, json_real_value(value)); break;
	case JSON_TRUE: jw_bool(w, true); break;
	case JSON_FALSE: jw_bool(w, false); break;
	case JSON_NULL: jw_null(w); break;
	}
}
