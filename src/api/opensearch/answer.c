#include "api/opensearch/answer.h"

#include <string.h>
#include "base/log.h"

const char answer_json_type[] = "application/json;charset=utf-8";
/* A page of 100 instances at their largest stays well below. */
enum { ANSWER_MAX_SIZE = 64 << 20 };

static void complete(const struct call *c, struct envelope *e)
{
	e->request_id = c->req->id;
	e->latency_ms = call_latency_ms(c);
	if (!e->http_code)
		e->http_code = 200;
	if (!e->code)
		e->code = e->message = "";
}

static void send_answer(struct call *c, const struct envelope *e, void (*write)(struct buf *, const struct envelope *))
{
	enum { USUAL_SIZE = 1024 };
	struct buf body;

	buf_init(&body, ANSWER_MAX_SIZE);
	buf_reserve(&body, USUAL_SIZE);
	write(&body, e);
	if (body.is_over) {
		struct envelope sorry = {
			.http_code = api_error_http(API_ERR_INTERNAL),
			.code = api_error_code(API_ERR_INTERNAL),
			.message = "the answer is larger than this server's limit; ask for a smaller page",
		};
		complete(c, &sorry);
		buf_reset(&body);
		envelope_error(&body, &sorry);
		log_error("api.answer_too_large", "request=%s operation=%s", c->req->id, c->operation);
		call_reply(c, sorry.http_code, answer_json_type, &body);
	} else {
		call_reply(c, e->http_code, answer_json_type, &body);
	}
	buf_fini(&body);
}

void answer_function(struct call *c, struct envelope e)
{
	complete(c, &e);
	send_answer(c, &e, envelope_function);
}

void answer_app(struct call *c, struct envelope e)
{
	complete(c, &e);
	send_answer(c, &e, envelope_app);
}

void answer_written(struct call *c) { answer_function(c, (struct envelope){ 0 }); }

static void answer_here(struct http_req *req)
{
	struct change *change = req->user;
	struct call *c = change->ctx;

	if (change->verdict == V_OK)
		answer_written(c);
	else
		answer_verdict(c, change->verdict, &change->err);
}

/* On the writer thread, which has the next batch waiting: there is one of it, and several loops. */
void answer_change(struct change *change)
{
	struct call *c = change->ctx;

	c->req->user = change;
	http_run(c->req, answer_here);
}

static void answer_code(struct call *c, int status, const char *code, const char *message, const char *host)
{
	struct envelope e = { .http_code = status, .code = code, .message = message, .host = host };

	complete(c, &e);
	send_answer(c, &e, envelope_error);
}

void answer_error(struct call *c, enum api_error e, const char *why)
{
	answer_code(c, api_error_http(e), api_error_code(e), why && *why ? why : api_error_message(e), NULL);
}

/* The same verdict may need other words in another operation. */
static const char *words_of(enum verdict v, const char *operation)
{
	static const struct {
		enum verdict verdict;
		const char *operation, *words;
	} rows[] = {
		{ V_INSTANCE_BUSY, "DeleteFunctionInstance",
		  "the instance has a training task in progress; delete it when the task has ended" },
		{ V_INSTANCE_BUSY, "RemoveAppGroup",
		  "an instance of the app group has a training task in progress; remove it when the task has ended" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].verdict == v && strcmp(rows[i].operation, operation) == 0)
			return rows[i].words;
	}
	return NULL;
}

void answer_verdict(struct call *c, enum verdict v, const struct err *err)
{
	if (v == V_FAILED)
		answer_internal(c, "api.failed", err);
	else if (verdict_tells_why(v))
		answer_error(c, api_error_of_verdict(v), err->msg);
	else
		answer_error(c, api_error_of_verdict(v), words_of(v, c->operation));
}

void answer_bad_input(struct call *c, const struct err *err)
{
	/* No memory to read it says nothing about the input. */
	answer_error(c, err->rc == RC_BUSY ? API_ERR_UNAVAILABLE : API_ERR_INVALID_PARAMETER, err->msg);
}

void answer_no_memory(struct call *c)
{
	answer_error(c, API_ERR_UNAVAILABLE, "there is no memory for this request; ask for less at once");
}

void answer_read(struct call *c, enum verdict v, const struct err *err)
{
	if (v == V_FAILED)
		call_spoil_view(c);
	if (v == V_TOO_MANY) /* of what is read there is no limit but the memory for it */
		answer_no_memory(c);
	else
		answer_verdict(c, v, err);
}

void answer_internal(struct call *c, const char *event, const struct err *err)
{
	log_error(event, "request=%s operation=%s why=\"%s\"", c->req->id, c->operation, err->msg);
	answer_error(c, call_may_be_repeated(c, err) ? API_ERR_UNAVAILABLE : API_ERR_INTERNAL, NULL);
}

void answer_method(struct call *c)
{
	c->headers[c->n_headers++] = (struct http_header){ "allow", c->methods };
	answer_error(c, API_ERR_METHOD, arena_printf(c->arena, "the path supports %s", c->methods));
}

static void write_push_error(struct jw *w, const void *subject)
{
	const struct call *c = subject;

	jw_key_exact(w, "request_id");
	jw_text(w, c->req->id);
	jw_key_exact(w, "errors");
	jw_array(w);
	jw_object(w);
	jw_key_exact(w, "code");
	jw_int(w, 4003);
	jw_key_exact(w, "message");
	jw_text(w, api_error_message(API_ERR_SIGNATURE_METHOD));
	jw_end_object(w);
	jw_end_array(w);
}

void answer_push_refused(struct call *c)
{
	struct envelope e = {
		.http_code = api_error_http(API_ERR_SIGNATURE_METHOD),
		.code = api_error_code(API_ERR_SIGNATURE_METHOD),
		.message = api_error_message(API_ERR_SIGNATURE_METHOD),
		.members = write_push_error,
		.subject = c,
	};
	complete(c, &e);
	send_answer(c, &e, envelope_error);
}

void answer_refusal(struct call *c, int status, const char *code, const char *message)
{
	const char *host = http_header_of(c->req, "host");
	answer_code(c, status, code, message, host ? host : "");
}
