/*
 * A line is read as a JSON object that has exactly one of the keys in kinds[]; each kind has a reader. Texts are
 * borrowed from the parsed value, which lives as long as the arena.
 */
#include "exec/protocol.h"

#include <math.h>
#include <string.h>
#include "base/must.h"
#include "json/json.h"

enum { NAME_SIZE_MAX = 64, TEXT_SIZE_MAX = 4096, RESULT_SIZE_MAX = 49152, FILE_NAME_MAX = 255, HASH_MAX = 128 };

/* What a text member must be like. */
struct text_rule {
	size_t most;
	bool is_word; /* not empty, no control characters */
};
static const struct text_rule a_name = { NAME_SIZE_MAX, true }, a_text = { TEXT_SIZE_MAX, false };
static const struct text_rule a_file = { FILE_NAME_MAX, true }, a_hash = { HASH_MAX, true };

/* One line being read: the object, the value of its known key, and where texts are kept. */
struct reading {
	const json_t *line, *value;
	struct arena *arena;
};

static bool has_control(const char *text)
{
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return true;
	}
	return false;
}

static enum rc get_text(const json_t *v, const char *key, struct text_rule rule, const char **out, struct err *err)
{
	const char *text = json_string_value(v);

	if (!text)
		return err_set(err, RC_INVALID, "%s must be a string", key);
	if (strlen(text) > rule.most)
		return err_set(err, RC_LIMIT, "%s is longer than %zu bytes", key, rule.most);
	if (rule.is_word && (!*text || has_control(text)))
		return err_set(err, RC_INVALID, "%s must not be empty nor have control characters", key);
	*out = text;
	return RC_OK;
}

/* A member that may be absent or null; *out keeps its default then. */
static enum rc get_optional(const json_t *object, const char *key, struct text_rule rule, const char **out,
			    struct err *err)
{
	const json_t *v = json_object_get(object, key);
	return v && !json_is_null(v) ? get_text(v, key, rule, out, err) : RC_OK;
}

static enum rc read_progress(const struct reading *r, struct child_msg *m, struct err *err)
{
	double percent = json_number_value(r->value);

	if (!json_is_number(r->value) || percent < 0 || percent > 100)
		return err_set(err, RC_INVALID, "progress must be a number from 0 to 100");
	m->progress = (int)percent; /* not rounded up: 99.9 is not done */
	return RC_OK;
}

static enum rc read_metric(const struct reading *r, struct child_msg *m, struct err *err)
{
	const json_t *step = json_object_get(r->line, "step"), *value = json_object_get(r->line, "value");
	enum rc rc = get_text(r->value, "metric", a_name, &m->name, err);

	m->set = "";
	if (rc == RC_OK)
		rc = get_optional(r->line, "set", a_name, &m->set, err);
	if (rc != RC_OK)
		return rc;
	if (step && (!json_is_integer(step) || json_integer_value(step) < 0))
		return err_set(err, RC_INVALID, "step must be an integer from 0 on");
	if (!json_is_number(value))
		return err_set(err, RC_INVALID, "value must be a number");
	m->step = json_integer_value(step); /* 0 for NULL */
	m->value = json_number_value(value);
	return RC_OK;
}

static enum rc read_event(const struct reading *r, struct child_msg *m, struct err *err)
{
	return get_text(r->value, "event", a_text, &m->text, err);
}

static enum rc read_checkpoint(const struct reading *r, struct child_msg *m, struct err *err)
{
	const char *name = NULL;
	enum rc rc = get_text(r->value, "checkpoint", a_file, &name, err);

	if (rc != RC_OK)
		return rc;
	/* The server joins it to the task's folder: it must not lead anywhere else. */
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(err, RC_INVALID, "checkpoint must be a plain file name without '/'");
	m->text = name;
	return RC_OK;
}

static enum rc read_hash(const struct reading *r, struct child_msg *m, struct err *err)
{
	const char *hex = NULL;
	enum rc rc = get_text(r->value, "data_hash", a_hash, &hex, err);

	if (rc != RC_OK)
		return rc;
	if (hex[strspn(hex, "0123456789abcdefABCDEF")])
		return err_set(err, RC_INVALID, "data_hash must be hexadecimal digits");
	m->text = hex;
	return RC_OK;
}

/* Kept as one text, "EXECUTING copy": the event that is recorded. */
static enum rc read_stage(const struct reading *r, struct child_msg *m, struct err *err)
{
	static const char *const words[] = { "WAITING", "EXECUTING", "FINISH", "FAILED" };
	const char *name = NULL, *status = "EXECUTING";
	enum rc rc = get_text(r->value, "stage", a_name, &name, err);

	if (rc == RC_OK)
		rc = get_optional(r->line, "status", a_name, &status, err);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], status) != 0)
			continue;
		m->text = arena_printf(r->arena, "%s %s", status, name);
		return m->text ? RC_OK : err_set(err, RC_LIMIT, "out of memory for a line");
	}
	return err_set(err, RC_INVALID, "status of a stage must be WAITING, EXECUTING, FINISH or FAILED");
}

static bool fault_of(const char *word, enum task_fault *out)
{
	for (int f = FAULT_USER; f <= FAULT_TIMEOUT; f++) {
		if (strcmp(word, task_fault_word((enum task_fault)f)) == 0) {
			*out = (enum task_fault)f;
			return true;
		}
	}
	return false;
}

static enum rc read_error(const struct reading *r, struct child_msg *m, struct err *err)
{
	const char *fault = task_fault_word(FAULT_USER);
	enum rc rc = json_is_object(r->value) ? RC_OK : err_set(err, RC_INVALID, "error must be an object");

	m->code = "Task.Failed";
	m->text = "";
	if (rc == RC_OK)
		rc = get_optional(r->value, "code", a_name, &m->code, err);
	if (rc == RC_OK)
		rc = get_optional(r->value, "message", a_text, &m->text, err);
	if (rc == RC_OK)
		rc = get_optional(r->value, "fault", a_name, &fault, err);
	if (rc == RC_OK && !fault_of(fault, &m->fault))
		return err_set(err, RC_INVALID, "fault must be user, machine or timeout");
	return rc;
}

static enum rc read_result(const struct reading *r, struct child_msg *m, struct err *err)
{
	struct buf text;
	struct jw w;

	if (!json_is_object(r->value))
		return err_set(err, RC_INVALID, "result must be an object");
	buf_init(&text, RESULT_SIZE_MAX);
	jw_init(&w, &text, CASING_CAMEL);
	jw_value(&w, r->value);
	m->result_json = text.is_over ? NULL : arena_dup_n(r->arena, buf_text(&text), text.len);
	buf_fini(&text);
	if (!m->result_json)
		return err_set(err, RC_LIMIT, "result is longer than %d bytes", RESULT_SIZE_MAX);
	return RC_OK;
}

static const struct kind {
	const char *key;
	enum rc (*read)(const struct reading *r, struct child_msg *m, struct err *err);
} kinds[] = {
	[MSG_PROGRESS] = { "progress", read_progress }, [MSG_METRIC] = { "metric", read_metric },
	[MSG_EVENT] = { "event", read_event },          [MSG_CHECKPOINT] = { "checkpoint", read_checkpoint },
	[MSG_RESULT] = { "result", read_result },       [MSG_ERROR] = { "error", read_error },
	[MSG_DATA_HASH] = { "data_hash", read_hash },   [MSG_STAGE] = { "stage", read_stage },
};

/* The one known key of the line. Two would leave open which message is lost. */
static enum rc find_kind(const json_t *line, enum child_msg_kind *out, struct err *err)
{
	const char *seen = NULL;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!json_object_get(line, kinds[i].key))
			continue;
		if (seen)
			return err_set(err, RC_INVALID, "both %s and %s in one line", seen, kinds[i].key);
		seen = kinds[i].key;
		*out = (enum child_msg_kind)i;
	}
	if (!seen)
		return err_set(err, RC_INVALID,
		               "none of progress, metric, event, checkpoint, result, error, data_hash, stage");
	return RC_OK;
}

enum rc protocol_parse(const char *line, size_t len, struct arena *a, struct child_msg *out, struct err *err)
{
	const json_t *object;
	struct child_msg m = { 0 };

	if (len > PROTOCOL_LINE_MAX)
		return err_set(err, RC_LIMIT, "longer than %d bytes", PROTOCOL_LINE_MAX);
	enum rc rc = json_read(line, len, a, &object, err);
	if (rc != RC_OK)
		return rc;
	if (!json_is_object(object))
		return err_set(err, RC_INVALID, "not a JSON object");
	rc = find_kind(object, &m.kind, err);
	if (rc != RC_OK)
		return rc;
	const struct reading r = { object, json_object_get(object, kinds[m.kind].key), a };
	rc = kinds[m.kind].read(&r, &m, err);
	if (rc == RC_OK)
		*out = m;
	return rc;
}

/* ---- writing ---- */

/* A text as protocol_parse takes it: cut at the limit, between two characters. */
static void write_text(struct jw *w, const char *key, const char *text)
{
	char cut[TEXT_SIZE_MAX + 1];
	size_t len = strlen(text);

	if (len > TEXT_SIZE_MAX) {
		len = TEXT_SIZE_MAX;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(cut, text, len);
	cut[len] = '\0';
	jw_kv_text(w, key, cut);
}

static void write_metric(struct jw *w, const struct child_msg *m)
{
	must(isfinite(m->value));
	jw_kv_text(w, "metric", m->name);
	jw_kv_int(w, "step", m->step);
	jw_kv_real(w, "value", m->value);
	if (m->set && *m->set)
		jw_kv_text(w, "set", m->set);
}

static void write_error(struct jw *w, const struct child_msg *m)
{
	jw_key(w, "error");
	jw_object(w);
	if (m->code)
		jw_kv_text(w, "code", m->code);
	write_text(w, "message", m->text ? m->text : "");
	if (m->fault != FAULT_NONE)
		jw_kv_text(w, "fault", task_fault_word(m->fault));
	jw_end_object(w);
}

/* text is "STATUS name". */
static void write_stage(struct jw *w, const struct child_msg *m)
{
	const char *blank = strchr(m->text, ' ');
	char status[16];

	must(blank && blank - m->text < (ptrdiff_t)sizeof status);
	memcpy(status, m->text, (size_t)(blank - m->text));
	status[blank - m->text] = '\0';
	write_text(w, "stage", blank + 1);
	jw_kv_text(w, "status", status);
}

/* Outside of strings a newline is only layout, and inside of one it cannot stand raw. */
static void write_result(struct jw *w, const struct child_msg *m)
{
	jw_key(w, "result");
	size_t from = w->out->len;
	jw_raw(w, m->result_json);
	for (size_t i = from; i < w->out->len; i++) {
		if (w->out->bytes[i] == '\n' || w->out->bytes[i] == '\r')
			w->out->bytes[i] = ' ';
	}
}

void protocol_print(const struct child_msg *msg, struct buf *out)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	switch (msg->kind) {
	case MSG_PROGRESS:
		jw_kv_int(&w, "progress", msg->progress);
		break;
	case MSG_METRIC:
		write_metric(&w, msg);
		break;
	case MSG_ERROR:
		write_error(&w, msg);
		break;
	case MSG_RESULT:
		write_result(&w, msg);
		break;
	case MSG_STAGE:
		write_stage(&w, msg);
		break;
	case MSG_EVENT:
	case MSG_CHECKPOINT:
	case MSG_DATA_HASH:
		write_text(&w, kinds[msg->kind].key, msg->text);
		break;
	}
	jw_end_object(&w);
	buf_addc(out, '\n');
}
