#include "task/param.h"
#include "task/state.h"
#include "test.h"

/* ---- state ---- */

TEST(transitions)
{
	/* rows from, columns to: pending running success failed */
	static const bool may[TASK_STATES][TASK_STATES] = {
		{ false, true, false, false },
		{ true, false, true, true },
		{ false, false, false, false },
		{ false, false, false, false },
	};
	for (int from = 0; from < TASK_STATES; from++) {
		bool leaves = false;
		for (int to = 0; to < TASK_STATES; to++) {
			bool got = task_state_may_become((enum task_state)from, (enum task_state)to);
			EXPECT(got == may[from][to], "%s -> %s", task_state_word((enum task_state)from),
			       task_state_word((enum task_state)to));
			leaves = leaves || got;
		}
		EXPECT(task_state_is_final((enum task_state)from) == !leaves, "%d", from);
	}
}

TEST(state_words)
{
	static const char *const words[TASK_STATES] = { "pending", "running", "success", "failed" };
	for (int i = 0; i < TASK_STATES; i++)
		EXPECT(strcmp(task_state_word((enum task_state)i), words[i]) == 0, "%d", i);
}

TEST(fault_words)
{
	EXPECT(strcmp(task_fault_word(FAULT_NONE), "") == 0, "none");
	EXPECT(strcmp(task_fault_word(FAULT_USER), "user") == 0, "user");
	EXPECT(strcmp(task_fault_word(FAULT_MACHINE), "machine") == 0, "machine");
	EXPECT(strcmp(task_fault_word(FAULT_TIMEOUT), "timeout") == 0, "timeout");
}

TEST(progress_never_decreases_and_100_is_for_success)
{
	const struct {
		int kept, reported, next;
	} row[] = {
		{ 0, 0, 0 },     { 0, 1, 1 },     { 50, 49, 50 },  { 50, 50, 50 }, { 50, 51, 51 },  { 50, 99, 99 },
		{ 50, 100, 99 }, { 99, 100, 99 }, { 0, 1000, 99 }, { 7, -1, 7 },   { 100, 3, 100 },
	};
	FOR_EACH_ROW (i, row)
		EXPECT(task_progress_next(row[i].kept, row[i].reported) == row[i].next, "%d, then %d", row[i].kept,
		       row[i].reported);
}

TEST(backoff_doubles_to_five_minutes)
{
	static const int ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000 };
	FOR_EACH_ROW (i, ms)
		EXPECT(task_backoff_ms((int)i + 1) == ms[i], "attempt %zu: %d", i + 1, task_backoff_ms((int)i + 1));
	EXPECT(task_backoff_ms(0) == 1000 && task_backoff_ms(-5) == 1000, "no attempt yet");
	EXPECT(task_backoff_ms(2147483647) == 300000, "%d", task_backoff_ms(2147483647));
}

/* ---- param ---- */

static const struct param_rule rules[] = {
	{ .name = "title", .type = PARAM_TEXT },
	{ .name = "epochs", .type = PARAM_INT, .default_text = "3", .low = 1, .high = 100 },
	{ .name = "rate", .type = PARAM_REAL, .low = 1e-6, .high = 1 },
	{ .name = "shuffle", .type = PARAM_BOOL },
	{ .name = "optimizer", .type = PARAM_CHOICE, .choices = "sgd|adam|ftrl" },
	{ .name = "label", .type = PARAM_RULE },
	{ .name = "data", .type = PARAM_PATHS, .is_required = true },
	{ .name = "columns", .type = PARAM_FIELDS },
};
enum { N_RULES = sizeof rules / sizeof rules[0] };

static const struct param_rule *rule(const char *name)
{
	for (size_t i = 0; i < N_RULES; i++) {
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	}
	return NULL;
}

TEST(values_that_obey)
{
	static const struct {
		const char *name, *value;
	} row[] = {
		{ "title", "a b\tc \xe4\xbd\xa0" },
		{ "title", "" },
		{ "epochs", "1" },
		{ "epochs", "100" },
		{ "epochs", "" },
		{ "rate", "1e-6" },
		{ "rate", "1" },
		{ "rate", ".5" },
		{ "shuffle", "true" },
		{ "shuffle", "false" },
		{ "optimizer", "sgd" },
		{ "optimizer", "adam" },
		{ "optimizer", "ftrl" },
		{ "label", "<4" },
		{ "label", "<=4.5" },
		{ "label", ">-1" },
		{ "label", ">=1e3" },
		{ "label", "=1" },
		{ "label", "!=0" },
		{ "data", "a.csv" },
		{ "data", "a.csv,b dir/c.csv" },
		{ "columns", "user,item,price" },
	};
	FOR_EACH_ROW (i, row) {
		struct err e = { 0 };
		EXPECT(param_check(rule(row[i].name), row[i].value, &e) == RC_OK, "%s", e.msg);
	}
}

TEST(values_that_break_their_rule)
{
	static const struct {
		const char *name, *value, *says;
	} row[] = {
		{ "title", "a\nb", "a text" },
		{ "title", "\x7f", "a text" },
		{ "title", "\x1b[0m", "a text" },
		{ "epochs", "0", "an integer from 1 to 100" },
		{ "epochs", "101", "an integer from 1 to 100" },
		{ "epochs", "-1", "an integer from 1 to 100" },
		{ "epochs", "1.0", "an integer from 1 to 100" },
		{ "epochs", " 1", "an integer from 1 to 100" },
		{ "epochs", "99999999999999999999", "an integer from 1 to 100" },
		{ "rate", "0", "a number from 1e-06 to 1" },
		{ "rate", "1.0001", "a number from 1e-06 to 1" },
		{ "rate", "nan", "a number" },
		{ "rate", "inf", "a number" },
		{ "rate", "x", "a number" },
		{ "shuffle", "True", "true or false" },
		{ "shuffle", "1", "true or false" },
		{ "optimizer", "sg", "one of sgd|adam|ftrl" },
		{ "optimizer", "sgdx", "one of" },
		{ "optimizer", "SGD", "one of" },
		{ "optimizer", "sgd|adam", "one of" },
		{ "optimizer", "|", "one of" },
		{ "label", "4", "a comparison" },
		{ "label", ">=", "a comparison" },
		{ "label", "<>4", "a comparison" },
		{ "label", "==4", "a comparison" },
		{ "label", "> 4", "a comparison" },
		{ "label", ">=4x", "a comparison" },
		{ "label", "!4", "a comparison" },
		{ "data", "", "is required" },
		{ "data", ",", "a path" },
		{ "data", "a,", "a path" },
		{ "data", ",a", "a path" },
		{ "data", "a,,b", "a path" },
		{ "data", "a\nb", "a path" },
		{ "columns", "a,", "column names" },
		{ "columns", "a,,b", "column names" },
	};
	FOR_EACH_ROW (i, row) {
		struct err e = { 0 };
		EXPECT(param_check(rule(row[i].name), row[i].value, &e) == RC_INVALID, "%s=%s", row[i].name,
		       row[i].value);
		EXPECT(strstr(e.msg, row[i].says), "%s=%s: %s", row[i].name, row[i].value, e.msg);
		EXPECT(strstr(e.msg, row[i].name), "names no parameter: %s", e.msg);
		EXPECT(!strchr(e.msg, '\n'), "more than a line: %s", e.msg);
		EXPECT(param_check(rule(row[i].name), row[i].value, NULL) == RC_INVALID, "without a place");
	}
}

TEST(long_values_are_refused_and_quoted_short)
{
	static char text[4098];
	struct err e = { 0 };
	memset(text, 'x', 4096);
	EXPECT(param_check(rule("title"), text, &e) == RC_OK, "4096 bytes: %s", e.msg);
	text[4096] = 'x';
	EXPECT(param_check(rule("title"), text, &e) == RC_INVALID, "4097 bytes");
	EXPECT(strlen(e.msg) < 200, "%s", e.msg);
	EXPECT(param_check(rule("data"), text, &e) == RC_INVALID, "4097 bytes of path");
}

TEST(whole_lists)
{
	static const struct param none[1];
	static const struct param good[] = { { "epochs", "5" }, { "data", "a.csv" }, { "title", "" } };
	static const struct param unknown[] = { { "data", "a" }, { "Epochs", "5" } };
	static const struct param twice[] = { { "data", "a" }, { "epochs", "5" }, { "epochs", "5" } };
	static const struct param twice_empty[] = { { "data", "a" }, { "title", "" }, { "title", "" } };
	static const struct param missing[] = { { "epochs", "5" } };
	static const struct param empty[] = { { "epochs", "5" }, { "data", "" } };
	static const struct param wrong[] = { { "data", "a" }, { "epochs", "x" } };
	static const struct {
		const struct param *params;
		size_t n;
		const char *says; /* NULL: good */
	} row[] = {
		{ good, 3, NULL },
		{ good + 1, 1, NULL },
		{ none, 0, "parameter data is required" },
		{ unknown, 2, "unknown parameter 'Epochs'" },
		{ twice, 3, "parameter epochs is given twice" },
		{ twice_empty, 3, "parameter title is given twice" },
		{ missing, 1, "parameter data is required" },
		{ empty, 2, "parameter data is required" },
		{ wrong, 2, "parameter epochs: 'x' is not an integer" },
	};
	FOR_EACH_ROW (i, row) {
		struct err e = { 0 };
		enum rc rc = param_check_all(rules, N_RULES, row[i].params, row[i].n, &e);
		EXPECT(rc == (row[i].says ? RC_INVALID : RC_OK), "row %zu: %s %s", i, rc_name(rc), e.msg);
		EXPECT(!row[i].says || strstr(e.msg, row[i].says), "row %zu: %s", i, e.msg);
	}
	struct err e = { 0 };
	EXPECT(param_check_all(rules, 0, good, 1, &e) == RC_INVALID, "no rules, so nothing is known");
	EXPECT(param_check_all(rules, 0, none, 0, &e) == RC_OK, "nothing asked, nothing given");
}

TEST(values_and_defaults)
{
	static const struct param given[] = { { "rate", "0.5" }, { "epochs", "" }, { "title", "" } };
	const struct {
		const char *name, *want;
	} row[] = { { "rate", "0.5" }, { "epochs", "3" }, { "title", NULL }, { "shuffle", NULL }, { "none", NULL } };
	FOR_EACH_ROW (i, row) {
		const char *got = param_get(rules, N_RULES, given, 3, row[i].name);
		EXPECT(got == row[i].want || (got && row[i].want && strcmp(got, row[i].want) == 0), "%s: %s",
		       row[i].name, got ? got : "NULL");
	}
	static const struct param own[] = { { "epochs", "9" } };
	EXPECT(strcmp(param_get(rules, N_RULES, own, 1, "epochs"), "9") == 0, "a given value wins");
}

TEST(every_type_has_words)
{
	for (size_t i = 0; i < N_RULES; i++) {
		char words[200] = "", small[8] = "";
		param_rule_words(&rules[i], words, sizeof words);
		EXPECT(strlen(words) > 8, "%s: '%s'", rules[i].name, words);
		param_rule_words(&rules[i], small, sizeof small);
		EXPECT(strlen(small) == sizeof small - 1, "%s: cut to '%s'", rules[i].name, small);
	}
}

int main(void)
{
	RUN(transitions);
	RUN(state_words);
	RUN(fault_words);
	RUN(progress_never_decreases_and_100_is_for_success);
	RUN(backoff_doubles_to_five_minutes);
	RUN(values_that_obey);
	RUN(values_that_break_their_rule);
	RUN(long_values_are_refused_and_quoted_short);
	RUN(whole_lists);
	RUN(values_and_defaults);
	RUN(every_type_has_words);
	return test_failures != 0;
}
