#include "api/dcs/answer.h"

#include <string.h>
#include "base/log.h"

const char dcs_json_type[] = "application/json";
enum { ANSWER_MAX_SIZE = 64 << 20 };

/* The contract counts characters; bytes are the stricter measure, and a cut must not split a character. */
static size_t cut_len(const char *message)
{
	size_t len = strlen(message);

	if (len <= DCS_MESSAGE_MAX)
		return len;
	len = DCS_MESSAGE_MAX;
	/* cppcheck-suppress arrayIndexOutOfBounds; it takes the one constant message for a long one */
	while (len > 0 && ((unsigned char)message[len] & 0xc0) == 0x80)
		len--;
	return len;
}

void dcs_write_error(struct buf *out, const char *code, const char *message)
{
	char text[DCS_MESSAGE_MAX + 1];
	size_t len = cut_len(message);
	struct jw w;

	memcpy(text, message, len);
	text[len] = '\0';
	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "error_code", code);
	jw_kv_text(&w, "error_msg", text);
	jw_key(&w, "error_ext_msg");
	jw_null(&w);
	jw_end_object(&w);
}

bool dcs_answer_words(struct call *c, enum dcs_error e, const char *message)
{
	struct buf body;

	buf_init(&body, ANSWER_MAX_SIZE);
	dcs_write_error(&body, dcs_error_code(e), message && *message ? message : dcs_error_message(e));
	call_reply(c, dcs_error_http(e), dcs_json_type, &body);
	buf_fini(&body);
	return false;
}

bool dcs_answer_named(struct call *c, enum dcs_error e, const char *name)
{
	const char *message = dcs_error_message(e);
	const char *at = strstr(message, "{0}");
	char text[DCS_MESSAGE_MAX];

	if (at)
		(void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - message), message, name, at + 3);
	else
		(void)snprintf(text, sizeof text, "%s", message);
	return dcs_answer_words(c, e, text);
}

bool dcs_answer_error(struct call *c, enum dcs_error e) { return dcs_answer_named(c, e, "value"); }

bool dcs_answer(struct call *c, dcs_write_fn *write, const void *subject)
{
	struct buf body;
	struct jw w;

	buf_init(&body, ANSWER_MAX_SIZE);
	jw_init(&w, &body, CASING_CAMEL);
	write(&w, subject);
	if (body.is_over) {
		log_error("api.answer_too_large", "request=%s operation=%s", c->req->id, c->operation);
		buf_reset(&body);
		dcs_write_error(&body, dcs_error_code(DCS_INTERNAL),
				"The answer is larger than this server's limit; ask for a smaller page.");
		call_reply(c, dcs_error_http(DCS_INTERNAL), dcs_json_type, &body);
	} else {
		call_reply(c, 200, dcs_json_type, &body);
	}
	buf_fini(&body);
	return false;
}

bool dcs_answer_none(struct call *c)
{
	struct buf body;

	buf_init(&body, 1);
	call_reply(c, 204, dcs_json_type, &body);
	buf_fini(&body);
	return false;
}

struct member {
	const char *key, *value;
};

static void write_member(struct jw *w, const void *subject)
{
	const struct member *m = subject;

	jw_object(w);
	jw_kv_text(w, m->key, m->value);
	jw_end_object(w);
}

bool dcs_answer_text(struct call *c, const char *key, const char *value)
{
	return dcs_answer(c, write_member, &(struct member){ key, value });
}

bool dcs_answer_task(struct call *c, const char *key, int64_t task_id)
{
	char uid[TASK_UID_SIZE];

	engine_task_uid(c->engine, task_id, uid);
	return dcs_answer_text(c, key, uid);
}

bool dcs_answer_verdict(struct call *c, enum verdict v, const char *busy, const struct err *err)
{
	switch (v) {
	case V_FAILED: return dcs_answer_internal(c, "api.failed", err);
	case V_INSTANCE_BUSY:
	case V_BAD_STATE: return dcs_answer_error(c, dcs_error_of_busy(busy));
	case V_BAD_INPUT: return dcs_answer_words(c, DCS_PARAM, err->msg);
	case V_NO_RECORD: return dcs_answer_named(c, DCS_ID_PARAM, "backup_id");
	default: return dcs_answer_error(c, dcs_error_of_verdict(v));
	}
}

bool dcs_answer_read(struct call *c, enum verdict v, const struct err *err)
{
	if (v == V_FAILED)
		call_spoil_view(c);
	if (v == V_TOO_MANY) /* of what is read there is no quota, only memory for it */
		return dcs_answer_no_memory(c);
	return dcs_answer_verdict(c, v, "", err);
}

bool dcs_answer_found(struct call *c, enum verdict v, const struct err *err, dcs_write_fn *write, const void *subject)
{
	return v == V_OK ? dcs_answer(c, write, subject) : dcs_answer_read(c, v, err);
}

bool dcs_answer_internal(struct call *c, const char *event, const struct err *err)
{
	log_error(event, "request=%s operation=%s why=\"%s\"", c->req->id, c->operation, err->msg);
	return dcs_answer_error(c, call_may_be_repeated(c, err) ? DCS_UNAVAILABLE : DCS_INTERNAL);
}

bool dcs_answer_no_memory(struct call *c)
{
	/* Not "unavailable" behind a change: that says that nothing was done. */
	return dcs_answer_words(c, c->is_submitted ? DCS_INTERNAL : DCS_UNAVAILABLE,
				"Internal service error. There is no memory for this request; ask for less at once.");
}

bool dcs_keep(struct call *c, struct buf *b, const char **out)
{
	char *text = b->is_over ? NULL : arena_dup_n(c->arena, buf_text(b), b->len);

	buf_fini(b);
	if (!text)
		return dcs_answer_no_memory(c);
	*out = text;
	return true;
}
