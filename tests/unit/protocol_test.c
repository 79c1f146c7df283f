#include "exec/protocol.h"

#include <math.h>
#include "base/mem.h"
#include "exec/inbox.h"
#include "test.h"

enum { ARENA_SIZE = 262144 };

static const char *or_null(const char *text) { return text ? text : "(null)"; }
static bool same_text(const char *a, const char *b) { return strcmp(or_null(a), or_null(b)) == 0; }

static void expect_same(const char *what, const struct child_msg *got, const struct child_msg *want)
{
	EXPECT(got->kind == want->kind, "%s: kind %d", what, (int)got->kind);
	EXPECT(got->progress == want->progress, "%s: progress %d", what, got->progress);
	EXPECT(got->step == want->step, "%s: step %lld", what, (long long)got->step);
	EXPECT(got->value == want->value, "%s: value %g", what, got->value);
	EXPECT(got->fault == want->fault, "%s: fault %d", what, (int)got->fault);
	EXPECT(same_text(got->name, want->name), "%s: name '%s'", what, or_null(got->name));
	EXPECT(same_text(got->set, want->set), "%s: set '%s'", what, or_null(got->set));
	EXPECT(same_text(got->text, want->text), "%s: text '%s'", what, or_null(got->text));
	EXPECT(same_text(got->code, want->code), "%s: code '%s'", what, or_null(got->code));
	EXPECT(same_text(got->result_json, want->result_json), "%s: result '%s'", what, or_null(got->result_json));
}

#define METRIC(n, st, v, s)                                                                                            \
	{                                                                                                              \
		.kind = MSG_METRIC, .name = n, .step = st, .value = v, .set = s                                        \
	}
#define ERROR(c, t, f)                                                                                                 \
	{                                                                                                              \
		.kind = MSG_ERROR, .code = c, .text = t, .fault = f                                                    \
	}

TEST(good_lines_are_read)
{
	static const struct {
		const char *line;
		struct child_msg want;
	} row[] = {
		{ "{\"progress\":42}", { .kind = MSG_PROGRESS, .progress = 42 } },
		{ " {\"progress\": 0}\r", { .kind = MSG_PROGRESS } },
		{ "{\"progress\":99.9}", { .kind = MSG_PROGRESS, .progress = 99 } },
		{ "{\"progress\":100,\"unknown\":[1,{}]}", { .kind = MSG_PROGRESS, .progress = 100 } },
		{ "{\"metric\":\"auc\",\"value\":1}", METRIC("auc", 0, 1, "") },
		{ "{\"metric\":\"logloss\",\"step\":3,\"value\":0.4471,\"set\":\"validation\"}",
		  METRIC("logloss", 3, 0.4471, "validation") },
		{ "{\"metric\":\"x\",\"value\":-1e300,\"set\":null}", METRIC("x", 0, -1e300, "") },
		{ "{\"event\":\"epoch 3 of 15\"}", { .kind = MSG_EVENT, .text = "epoch 3 of 15" } },
		{ "{\"event\":\"\"}", { .kind = MSG_EVENT, .text = "" } },
		{ "{\"event\":\"\\u00e4\\n\"}", { .kind = MSG_EVENT, .text = "\xc3\xa4\n" } },
		{ "{\"checkpoint\":\"ckpt-3\"}", { .kind = MSG_CHECKPOINT, .text = "ckpt-3" } },
		{ "{\"checkpoint\":\"..a\"}", { .kind = MSG_CHECKPOINT, .text = "..a" } },
		{ "{\"data_hash\":\"9f86AB\"}", { .kind = MSG_DATA_HASH, .text = "9f86AB" } },
		{ "{\"stage\":\"copy it\",\"status\":\"FINISH\"}", { .kind = MSG_STAGE, .text = "FINISH copy it" } },
		{ "{\"stage\":\"copy it\"}", { .kind = MSG_STAGE, .text = "EXECUTING copy it" } },
		{ "{\"error\":{}}", ERROR("Task.Failed", "", FAULT_USER) },
		{ "{\"error\":{\"code\":\"Data.Empty\",\"message\":\"no rows\",\"fault\":\"machine\"}}",
		  ERROR("Data.Empty", "no rows", FAULT_MACHINE) },
		{ "{\"error\":{\"fault\":\"timeout\"}}", ERROR("Task.Failed", "", FAULT_TIMEOUT) },
		{ "{\"result\":{}}", { .kind = MSG_RESULT, .result_json = "{}" } },
		{ "{\"result\": {\"auc\" : 0.1, \"a\":[1,-2.5,true,null,\"q\\\"\"], \"n\":9007199254740993}}",
		  { .kind = MSG_RESULT,
		    .result_json = "{\"auc\":0.1,\"a\":[1,-2.5,true,null,\"q\\\"\"],\"n\":9007199254740993}" } },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct child_msg m = { 0 };
		struct err e = { 0 };
		EXPECT(protocol_parse(row[i].line, strlen(row[i].line), a, &m, &e) == RC_OK, "%s: %s", row[i].line,
		       e.msg);
		expect_same(row[i].line, &m, &row[i].want);
		arena_free(a);
	}
}

/* {"key":"xxx..."} with n times x, the value between open and close. */
static char *long_line(const char *open, size_t n, const char *close)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	buf_adds(&b, open);
	for (size_t i = 0; i < n; i++)
		buf_addc(&b, 'a');
	buf_adds(&b, close);
	return buf_take(&b);
}

static void expect_refused(const char *line, size_t len, enum rc rc, const char *says)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct child_msg m = { .progress = -7 };
	struct err e = { 0 };
	EXPECT(protocol_parse(line, len, a, &m, &e) == rc, "%.60s: %s: %s", line, rc_name(e.rc), e.msg);
	EXPECT(strstr(e.msg, says), "%.60s: said '%s'", line, e.msg);
	EXPECT(m.progress == -7 && !m.text, "%.60s: output touched", line);
	arena_free(a);
}

TEST(wrong_lines_are_refused_in_words)
{
	static const struct {
		const char *line, *says;
	} row[] = {
		{ "", "not JSON" },
		{ "hello", "not JSON" },
		{ "{\"progress\":1", "not JSON" },
		{ "{\"progress\":1}{}", "not JSON" },
		{ "{\"progress\":1,\"progress\":2}", "not JSON" },
		{ "{\"event\":\"\xff\"}", "not JSON" },
		{ "{\"event\":\"a\\u0000b\"}", "not JSON" },
		{ "{\"metric\":\"a\",\"value\":NaN}", "not JSON" },
		{ "{\"metric\":\"a\",\"value\":1e999}", "not JSON" },
		{ "42", "not a JSON object" },
		{ "[{\"progress\":1}]", "not a JSON object" },
		{ "null", "not a JSON object" },
		{ "{}", "none of progress" },
		{ "{\"Progress\":1}", "none of progress" },
		{ "{\"progress\":1,\"event\":\"x\"}", "both progress and event" },
		{ "{\"progress\":-1}", "progress must" },
		{ "{\"progress\":100.5}", "progress must" },
		{ "{\"progress\":\"5\"}", "progress must" },
		{ "{\"progress\":null}", "progress must" },
		{ "{\"progress\":true}", "progress must" },
		{ "{\"metric\":5,\"value\":1}", "metric must be a string" },
		{ "{\"metric\":\"\",\"value\":1}", "metric must not be empty" },
		{ "{\"metric\":\"a\\tb\",\"value\":1}", "control characters" },
		{ "{\"metric\":\"a\"}", "value must be a number" },
		{ "{\"metric\":\"a\",\"value\":\"1\"}", "value must be a number" },
		{ "{\"metric\":\"a\",\"value\":1,\"step\":-1}", "step must" },
		{ "{\"metric\":\"a\",\"value\":1,\"step\":1.5}", "step must" },
		{ "{\"metric\":\"a\",\"value\":1,\"set\":3}", "set must be a string" },
		{ "{\"event\":{}}", "event must be a string" },
		{ "{\"checkpoint\":\"\"}", "checkpoint must not be empty" },
		{ "{\"checkpoint\":\"a/b\"}", "plain file name" },
		{ "{\"checkpoint\":\"/etc/passwd\"}", "plain file name" },
		{ "{\"checkpoint\":\"..\"}", "plain file name" },
		{ "{\"checkpoint\":\".\"}", "plain file name" },
		{ "{\"data_hash\":\"xyz\"}", "hexadecimal" },
		{ "{\"stage\":\"copy\",\"status\":\"DONE\"}", "WAITING, EXECUTING" },
		{ "{\"stage\":7}", "stage" },
		{ "{\"data_hash\":\"\"}", "data_hash must not be empty" },
		{ "{\"error\":\"boom\"}", "error must be an object" },
		{ "{\"error\":{\"code\":7}}", "code must be a string" },
		{ "{\"error\":{\"fault\":\"nobody\"}}", "fault must be" },
		{ "{\"error\":{\"fault\":\"\"}}", "fault must not be empty" },
		{ "{\"result\":5}", "result must be an object" },
		{ "{\"result\":null}", "result must be an object" },
	};
	FOR_EACH_ROW (i, row)
		expect_refused(row[i].line, strlen(row[i].line), RC_INVALID, row[i].says);
	expect_refused("{\"progress\":1}\0", 15, RC_INVALID, "not JSON");
	expect_refused("\0\0\0", 3, RC_INVALID, "not JSON");
}

TEST(limits_hold_to_the_byte)
{
	static const struct {
		const char *open;
		size_t most;
		const char *close, *says;
	} row[] = {
		{ "{\"metric\":\"", 64, "\",\"value\":1}", "metric is longer than 64" },
		{ "{\"metric\":\"a\",\"value\":1,\"set\":\"", 64, "\"}", "set is longer than 64" },
		{ "{\"error\":{\"code\":\"", 64, "\"}}", "code is longer than 64" },
		{ "{\"error\":{\"message\":\"", 4096, "\"}}", "message is longer than 4096" },
		{ "{\"event\":\"", 4096, "\"}", "event is longer than 4096" },
		{ "{\"checkpoint\":\"", 255, "\"}", "checkpoint is longer than 255" },
		{ "{\"data_hash\":\"", 128, "\"}", "data_hash is longer than 128" },
		{ "{\"result\":{\"x\":\"", 49152 - 8, "\"}}", "result is longer than 49152" },
		{ "{\"progress\":1,\"pad\":\"", 65536 - 23, "\"}", "longer than 65536" },
	};
	FOR_EACH_ROW (i, row) {
		struct arena *a = arena_new(ARENA_SIZE);
		struct child_msg m;
		struct err e = { 0 };
		char *fits = long_line(row[i].open, row[i].most, row[i].close);
		char *over = long_line(row[i].open, row[i].most + 1, row[i].close);
		EXPECT(protocol_parse(fits, strlen(fits), a, &m, &e) == RC_OK, "%s: %s", row[i].open, e.msg);
		expect_refused(over, strlen(over), RC_LIMIT, row[i].says);
		mem_free(fits);
		mem_free(over);
		arena_free(a);
	}
}

TEST(deep_nesting_is_refused)
{
	struct buf b;
	buf_init(&b, 65536);
	buf_adds(&b, "{\"result\":");
	for (int i = 0; i < 100; i++)
		buf_adds(&b, "{\"a\":");
	buf_adds(&b, "1");
	for (int i = 0; i < 101; i++)
		buf_adds(&b, "}");
	expect_refused(buf_text(&b), b.len, RC_LIMIT, "nested deeper");
	buf_fini(&b);
}

static void expect_round_trip(const struct child_msg *m)
{
	struct arena *a = arena_new(ARENA_SIZE);
	struct child_msg got = { 0 };
	struct err e = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	protocol_print(m, &out);
	EXPECT(out.len && strchr(buf_text(&out), '\n') == out.bytes + out.len - 1, "one line: %s", buf_text(&out));
	EXPECT(protocol_parse(out.bytes, out.len - 1, a, &got, &e) == RC_OK, "%s: %s", buf_text(&out), e.msg);
	expect_same(buf_text(&out), &got, m);
	buf_fini(&out);
	arena_free(a);
}

TEST(what_is_printed_is_read_back)
{
	static const struct child_msg row[] = {
		{ .kind = MSG_PROGRESS, .progress = 7 },
		METRIC("logloss", 12345678901, 0.1, "training"),
		METRIC("a\"b", 0, -5e-324, ""),
		{ .kind = MSG_EVENT, .text = "line one\nline \"two\" \xe2\x82\xac" },
		{ .kind = MSG_CHECKPOINT, .text = "ckpt 3" },
		{ .kind = MSG_DATA_HASH, .text = "00ff" },
		ERROR("Data.Empty", "no \\ rows", FAULT_USER),
		ERROR("X", "", FAULT_TIMEOUT),
		{ .kind = MSG_RESULT, .result_json = "{\"a\":[1,2.5,\"x\\u000ay\"]}" },
	};
	FOR_EACH_ROW (i, row)
		expect_round_trip(&row[i]);
}

TEST(printing_makes_lines_that_are_within_the_limits)
{
	/* 4095 bytes and then a character of three: it must go as a whole. */
	char *text = long_line("", 4095, "\xe2\x82\xac");
	char *cut = long_line("", 4095, "");
	struct child_msg m = { .kind = MSG_ERROR, .code = "X", .text = text, .fault = FAULT_USER }, got = { 0 };
	struct arena *a = arena_new(ARENA_SIZE);
	struct err e = { 0 };
	struct buf out;

	buf_init(&out, 65536);
	protocol_print(&m, &out);
	EXPECT(protocol_parse(out.bytes, out.len - 1, a, &got, &e) == RC_OK, "%s", e.msg);
	EXPECT(same_text(got.text, cut), "%zu bytes left", got.text ? strlen(got.text) : 0);
	buf_reset(&out);
	m = (struct child_msg){ .kind = MSG_RESULT, .result_json = "{\n\t\"a\": 1\r\n}" };
	protocol_print(&m, &out);
	EXPECT(same_text(buf_text(&out), "{\"result\":{ \t\"a\": 1  }}\n"), "%s", buf_text(&out));
	buf_fini(&out);
	arena_free(a);
	mem_free(text);
	mem_free(cut);
}

TEST(inbox_gives_the_same_lines_however_they_arrive)
{
	static const char bytes[] = "one\n\nthree is longer\nx\nrest";
	static const char *const want[] = { "one", "", "three is longer", "x" };

	for (size_t part = 1; part <= sizeof bytes; part++) {
		struct inbox in;
		const char *line;
		size_t len, n = 0;
		inbox_init(&in, 32);
		for (size_t at = 0; at < sizeof bytes - 1; at += part) {
			size_t left = sizeof bytes - 1 - at;
			inbox_add(&in, bytes + at, left < part ? left : part);
			for (; inbox_take(&in, &line, &len) == INBOX_LINE; n++)
				EXPECT(n < 4 && len == strlen(want[n]) && memcmp(line, want[n], len) == 0,
				       "parts of %zu: line %zu is '%.*s'", part, n, (int)len, line);
		}
		EXPECT(n == 4, "parts of %zu: %zu lines", part, n);
		EXPECT(inbox_take_rest(&in, &line, &len) == INBOX_LINE && len == 4 && memcmp(line, "rest", 4) == 0,
		       "parts of %zu", part);
		EXPECT(inbox_take_rest(&in, &line, &len) == INBOX_EMPTY, "parts of %zu", part);
		inbox_fini(&in);
	}
}

TEST(inbox_bounds_a_line)
{
	static const struct {
		const char *bytes;
		enum inbox_state want;
	} row[] = {
		{ "1234", INBOX_EMPTY },       { "1234\n", INBOX_LINE },       { "12345", INBOX_TOO_LONG },
		{ "12345\n", INBOX_TOO_LONG }, { "123456\n", INBOX_TOO_LONG },
	};
	FOR_EACH_ROW (i, row) {
		struct inbox in;
		const char *line = NULL;
		size_t len = 0;
		inbox_init(&in, 4);
		inbox_add(&in, row[i].bytes, strlen(row[i].bytes));
		enum inbox_state got = inbox_take(&in, &line, &len);
		EXPECT(got == row[i].want, "'%s': %d", row[i].bytes, (int)got);
		EXPECT(got == INBOX_EMPTY || (len == 4 && memcmp(line, "1234", 4) == 0), "'%s'", row[i].bytes);
		inbox_fini(&in);
	}
}

int main(void)
{
	RUN(good_lines_are_read);
	RUN(wrong_lines_are_refused_in_words);
	RUN(limits_hold_to_the_byte);
	RUN(deep_nesting_is_refused);
	RUN(what_is_printed_is_read_back);
	RUN(printing_makes_lines_that_are_within_the_limits);
	RUN(inbox_gives_the_same_lines_however_they_arrive);
	RUN(inbox_bounds_a_line);
	return test_failures != 0;
}
