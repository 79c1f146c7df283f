/*
 * Diagnosis without Redis: the table of rules, figures from what INFO says, and the report. What a real node makes of
 * it is in tests/scenario/test_dcs_diagnosis.py.
 */
#include <math.h>
#include <stdlib.h>
#include "base/attr.h"
#include "cache/report.h"
#include "os/file.h"
#include "test.h"

/* ---- rules ---- */

static struct figures healthy(void)
{
	struct figures f;
	for (int i = 0; i < FIGURES; i++)
		f.value[i] = 0;
	f.value[FIGURE_HIT_RATIO] = 1;
	return f;
}

TEST(every_rule_has_its_ids_and_a_reason)
{
	size_t n;
	const struct judge_rule *rules = judge_rules(&n);
	int deciding[ITEMS] = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct judge_rule *r = &rules[i];
		EXPECT(r->why && strlen(r->why) > 20, "rule %zu", i);
		EXPECT(r->cause >= 0 && r->cause <= CAUSES_MAX && r->impact >= 0 && r->impact <= IMPACTS_MAX,
		       "rule %zu", i);
		EXPECT(r->advice[0] >= 0 && r->advice[0] <= ADVICE_MAX && r->advice[1] <= ADVICE_MAX, "rule %zu", i);
		EXPECT(r->only_explains ? r->cause > 0 : r->impact > 0, "rule %zu says nothing", i);
		deciding[r->item] += !r->only_explains;
	}
	for (int i = 0; i < ITEMS; i++)
		EXPECT(deciding[i] > 0, "%s is never abnormal", item_name((enum diagnosis_item)i));
}

static void describe(const struct judge_rule *r, char *out, size_t size)
{
	char limit[FIGURE_TEXT_SIZE], least[FIGURE_TEXT_SIZE], where[200] = "";

	figure_text(r->figure, r->limit, limit);
	if (r->guard < FIGURES) {
		figure_text(r->guard, r->guard_min, least);
		(void)snprintf(where, sizeof where, ", where %s: %s or more", figure_what(r->guard), least);
	}
	(void)snprintf(out, size, "| `%s` | %s%s: %s%s%s%s | %d | %d | %d, %d | %s |", item_name(r->item),
	               r->only_explains ? "(explains) " : "", figure_what(r->figure), r->is_floor ? "less than " : "",
	               limit, r->is_floor ? "" : " or more", where, r->cause, r->impact, r->advice[0], r->advice[1],
	               r->why);
}

/* docs/diagnosis.md is for users; a threshold changed here only would make it a lie. */
TEST(the_rules_are_those_of_the_docs)
{
	struct buf text;
	struct err err = { 0 };
	char row[1024];
	size_t n;
	const struct judge_rule *rules = judge_rules(&n);

	buf_init(&text, 1 << 20);
	EXPECT(file_read(TEST_SOURCE_DIR "/../docs/diagnosis.md", &text, &err) == RC_OK, "%s", err.msg);
	for (size_t i = 0; i < n; i++) {
		describe(&rules[i], row, sizeof row);
		EXPECT(strstr(buf_text(&text), row), "not in the docs: %s", row);
	}
	buf_fini(&text);
}

TEST(nothing_is_wrong_with_a_healthy_node)
{
	struct figures f = healthy();
	struct finding out[ITEMS];

	judge(&f, out);
	for (int i = 0; i < ITEMS; i++) {
		EXPECT(out[i].result == ITEM_NORMAL, "%s", item_name((enum diagnosis_item)i));
		EXPECT(out[i].n_causes + out[i].n_impacts + out[i].n_advice == 0, "%s",
		       item_name((enum diagnosis_item)i));
	}
}

TEST(each_threshold_is_where_it_says)
{
	const struct {
		enum diagnosis_item item;
		enum figure figure;
		double value;
		enum figure guard;
		double guarded;
		enum item_result result;
		int cause;
	} row[] = {
		{ ITEM_CPU, FIGURE_CPU, 0.79, FIGURES, 0, ITEM_NORMAL, 0 },
		{ ITEM_CPU, FIGURE_CPU, 0.8, FIGURES, 0, ITEM_ABNORMAL, 11 },
		{ ITEM_CPU, FIGURE_LINEAR_NOW, 1, FIGURES, 0, ITEM_NORMAL, 0 }, /* explains only */
		{ ITEM_CPU, FIGURE_QPS_GROWTH, 9, FIGURES, 0, ITEM_NORMAL, 0 },
		{ ITEM_COMMANDS, FIGURE_SLOW_LINEAR, 1, FIGURE_SLOW, 1, ITEM_ABNORMAL, 10 },
		{ ITEM_COMMANDS, FIGURE_SLOW, 9, FIGURES, 0, ITEM_NORMAL, 0 },
		{ ITEM_COMMANDS, FIGURE_SLOW, 10, FIGURES, 0, ITEM_ABNORMAL, 0 },
		{ ITEM_COMMANDS, FIGURE_LINEAR, 0.9, FIGURE_LINEAR_S, 0.9, ITEM_NORMAL, 0 },
		{ ITEM_COMMANDS, FIGURE_LINEAR, 0.9, FIGURE_LINEAR_S, 1, ITEM_ABNORMAL, 10 },
		{ ITEM_FRAGMENTATION, FIGURE_FRAGMENTATION, 9, FIGURE_FRAGMENTED, 0.09, ITEM_NORMAL, 0 },
		{ ITEM_FRAGMENTATION, FIGURE_FRAGMENTATION, 1.5, FIGURE_FRAGMENTED, 0.1, ITEM_ABNORMAL, 7 },
		{ ITEM_FRAGMENTATION, FIGURE_FRAGMENTATION, 1.4, FIGURE_FRAGMENTED, 0.5, ITEM_NORMAL, 0 },
		{ ITEM_PERSISTENCE, FIGURE_SAVE_FAILED, 1, FIGURES, 0, ITEM_ABNORMAL, 4 },
		{ ITEM_PERSISTENCE, FIGURE_AOF_FAILED, 1, FIGURES, 0, ITEM_ABNORMAL, 4 },
		{ ITEM_PERSISTENCE, FIGURE_FSYNC_DELAYED, 1, FIGURES, 0, ITEM_ABNORMAL, 3 },
		{ ITEM_EXPIRATION, FIGURE_SAME_SECOND, 0.9, FIGURE_SAME_SECOND_KEYS, 999, ITEM_NORMAL, 0 },
		{ ITEM_EXPIRATION, FIGURE_SAME_SECOND, 0.1, FIGURE_SAME_SECOND_KEYS, 1000, ITEM_ABNORMAL, 9 },
		{ ITEM_EXPIRATION, FIGURE_STALE, 0.1, FIGURE_EXPIRING, 999, ITEM_NORMAL, 0 },
		{ ITEM_EXPIRATION, FIGURE_STALE, 0.1, FIGURE_EXPIRING, 1000, ITEM_ABNORMAL, 9 },
		{ ITEM_EXPIRATION, FIGURE_EXPIRE_CUT, 1, FIGURES, 0, ITEM_ABNORMAL, 9 },
		{ ITEM_MEMORY, FIGURE_MEMORY, 0.79, FIGURE_RDB_ON, 1, ITEM_NORMAL, 0 },
		{ ITEM_MEMORY, FIGURE_MEMORY, 0.8, FIGURES, 0, ITEM_ABNORMAL, 5 },
		{ ITEM_MEMORY, FIGURE_MEMORY, 0.8, FIGURE_RDB_ON, 1, ITEM_ABNORMAL, 6 },
		{ ITEM_HIT_RATIO, FIGURE_HIT_RATIO, 0, FIGURE_LOOKUPS, 999, ITEM_NORMAL, 0 },
		{ ITEM_HIT_RATIO, FIGURE_HIT_RATIO, 0.79, FIGURE_LOOKUPS, 1000, ITEM_ABNORMAL, 8 },
		{ ITEM_HIT_RATIO, FIGURE_HIT_RATIO, 0.8, FIGURE_LOOKUPS, 1000, ITEM_NORMAL, 0 },
		{ ITEM_CONNECTIONS, FIGURE_CLIENTS, 0.79, FIGURES, 0, ITEM_NORMAL, 0 },
		{ ITEM_CONNECTIONS, FIGURE_CLIENTS, 0.8, FIGURES, 0, ITEM_ABNORMAL, 1 },
		{ ITEM_CONNECTIONS, FIGURE_REJECTED, 1, FIGURES, 0, ITEM_ABNORMAL, 1 },
		{ ITEM_RECEIVED, FIGURE_RECEIVED, 0.99, FIGURES, 0, ITEM_NORMAL, 0 },
		{ ITEM_RECEIVED, FIGURE_RECEIVED, 1, FIGURES, 0, ITEM_ABNORMAL, 2 },
	};
	FOR_EACH_ROW (i, row) {
		struct figures f = healthy();
		struct finding out[ITEMS];
		bool has_cause = row[i].cause == 0;
		f.value[row[i].figure] = row[i].value;
		if (row[i].guard < FIGURES)
			f.value[row[i].guard] = row[i].guarded;
		judge(&f, out);
		for (int k = 0; k < ITEMS; k++) {
			enum item_result wanted = k == (int)row[i].item ? row[i].result : ITEM_NORMAL;
			EXPECT(out[k].result == wanted, "row %zu: %s is %s", i, item_name((enum diagnosis_item)k),
			       item_result_word(out[k].result));
		}
		for (size_t k = 0; k < out[row[i].item].n_causes; k++)
			has_cause = has_cause || out[row[i].item].causes[k]->cause == row[i].cause;
		EXPECT(has_cause, "row %zu: cause %d is not told", i, row[i].cause);
	}
}

TEST(what_explains_is_added_to_what_is_abnormal)
{
	struct figures f = healthy();
	struct finding out[ITEMS];

	f.value[FIGURE_CPU] = 0.95;
	f.value[FIGURE_LINEAR_NOW] = 0.6;
	f.value[FIGURE_PERSISTING] = 1;
	f.value[FIGURE_QPS_GROWTH] = 3;
	judge(&f, out);
	const struct finding *cpu = &out[ITEM_CPU];
	EXPECT(cpu->n_causes == 4 && cpu->causes[0]->cause == 11 && cpu->causes[1]->cause == 10 &&
	               cpu->causes[2]->cause == 12 && cpu->causes[3]->cause == 13,
	       "%zu causes", cpu->n_causes);
	EXPECT(cpu->n_impacts == 1 && cpu->impacts[0] == 3, "%zu impacts", cpu->n_impacts);
	EXPECT(cpu->n_advice == 3 && cpu->advice[0] == 2 && cpu->advice[1] == 3 && cpu->advice[2] == 7,
	       "%zu pieces of advice", cpu->n_advice);
}

TEST(what_was_not_measured_has_failed)
{
	struct figures f = figures_none();
	struct finding out[ITEMS];

	judge(&f, out);
	for (int i = 0; i < ITEMS; i++)
		EXPECT(out[i].result == ITEM_FAILED && out[i].n_causes == 0, "%s", item_name((enum diagnosis_item)i));
	f = healthy();
	f.value[FIGURE_SLOW] = NAN;
	f.value[FIGURE_RDB_ON] = NAN; /* only explains */
	f.value[FIGURE_LOOKUPS] = 5;
	f.value[FIGURE_HIT_RATIO] = NAN; /* too few reads to ask for it */
	judge(&f, out);
	for (int i = 0; i < ITEMS; i++)
		EXPECT(out[i].result == (i == ITEM_COMMANDS ? ITEM_FAILED : ITEM_NORMAL), "%s",
		       item_name((enum diagnosis_item)i));
	f.value[FIGURE_SLOW_LINEAR] = 1; /* one reason is enough */
	judge(&f, out);
	EXPECT(out[ITEM_COMMANDS].result == ITEM_ABNORMAL, "%s", item_result_word(out[ITEM_COMMANDS].result));
}

TEST(figures_are_shown_by_their_unit)
{
	const struct {
		enum figure figure;
		double value;
		const char *text;
	} row[] = {
		{ FIGURE_CPU, 0.934, "93.4%" }, { FIGURE_CPU, 0.8, "80%" },     { FIGURE_FRAGMENTATION, 1.518, "1.52" },
		{ FIGURE_SLOW, 17, "17" },      { FIGURE_SAVE_FAILED, 1, "1" },
	};
	FOR_EACH_ROW (i, row) {
		char text[FIGURE_TEXT_SIZE];
		figure_text(row[i].figure, row[i].value, text);
		EXPECT(strcmp(text, row[i].text) == 0, "%s", text);
	}
}

/* ---- figures ---- */

static struct buf said(const char *text)
{
	struct buf b;
	buf_init(&b, 1 << 16);
	buf_adds(&b, text);
	return b;
}

static bool is_about(double value, double wanted) { return fabs(value - wanted) < 1e-9; }

#define SAME                                                                                                           \
	"role:master\r\nuptime_in_seconds:100\r\nmaxmemory:1000\r\nused_memory:700\r\nmem_not_counted_for_evict:"      \
	"100\r\n"                                                                                                      \
	"allocator_frag_ratio:1.25\r\nallocator_frag_bytes:50\r\nmem_fragmentation_ratio:9.0\r\nmem_fragmentation_"    \
	"bytes:900\r\n"                                                                                                \
	"aof_enabled:1\r\naof_last_write_status:ok\r\nrdb_last_bgsave_status:err\r\nmaxclients:100\r\nconnected_"      \
	"clients:21\r\n"                                                                                               \
	"expired_stale_perc:12.50\r\n"
#define BEFORE                                                                                                         \
	SAME "server_time_usec:1000000\r\nused_cpu_sys_main_thread:1.0\r\nused_cpu_user_main_thread:2.0\r\n"           \
	     "total_commands_processed:1000\r\nkeyspace_hits:10\r\nkeyspace_misses:30\r\naof_delayed_fsync:3\r\n"      \
	     "aof_last_bgrewrite_status:ok\r\ntotal_net_input_bytes:1000\r\nrejected_connections:5\r\nrdb_bgsave_in_"  \
	     "progress:1\r\n"                                                                                          \
	     "expired_time_cap_reached_count:0\r\n"
#define NOW                                                                                                            \
	SAME "server_time_usec:3000000\r\nused_cpu_sys_main_thread:1.25\r\nused_cpu_user_main_thread:3.0\r\n"          \
	     "total_commands_processed:1100\r\nkeyspace_hits:20\r\nkeyspace_misses:60\r\naof_delayed_fsync:4\r\n"      \
	     "aof_last_bgrewrite_status:err\r\ntotal_net_input_bytes:9000\r\nrejected_connections:7\r\nrdb_bgsave_in_" \
	     "progress:0\r\n"                                                                                          \
	     "expired_time_cap_reached_count:2\r\ndb0:keys=10,expires=7,avg_ttl=0\r\ndb255:keys=3,expires=3,avg_ttl="  \
	     "0\r\n"

TEST(figures_come_from_two_looks)
{
	struct buf before = said(BEFORE), now = said(NOW);
	struct figures f = figures_none();
	const struct {
		enum figure figure;
		double value;
	} row[] = {
		{ FIGURE_CPU, 1.25 / 2 },       { FIGURE_PERSISTING, 1 },    { FIGURE_QPS_GROWTH, 50 / 11.0 },
		{ FIGURE_FRAGMENTATION, 1.25 }, { FIGURE_FRAGMENTED, 0.05 }, { FIGURE_MEMORY, 0.6 },
		{ FIGURE_SAVE_FAILED, 1 },      { FIGURE_AOF_FAILED, 1 },    { FIGURE_FSYNC_DELAYED, 1 },
		{ FIGURE_STALE, 0.125 },        { FIGURE_EXPIRE_CUT, 2 },    { FIGURE_EXPIRING, 10 },
		{ FIGURE_LOOKUPS, 80 },         { FIGURE_HIT_RATIO, 0.25 },  { FIGURE_CLIENTS, 0.2 },
		{ FIGURE_REJECTED, 2 },         { FIGURE_RECEIVED, 2 },
	};
	measure_info(&before, &now, 2000, &f);
	FOR_EACH_ROW (i, row)
		EXPECT(is_about(f.value[row[i].figure], row[i].value), "%s: %f", figure_what(row[i].figure),
		       f.value[row[i].figure]);
	buf_fini(&before);
	buf_fini(&now);
}

TEST(reads_of_the_moment_count_when_there_are_enough)
{
	struct buf before = said("keyspace_hits:100000\r\nkeyspace_misses:0\r\n"),
	           now = said("keyspace_hits:100000\r\nkeyspace_misses:1000\r\n");
	struct figures f = figures_none();

	measure_info(&before, &now, 0, &f);
	EXPECT(is_about(f.value[FIGURE_HIT_RATIO], 0) && is_about(f.value[FIGURE_LOOKUPS], 1000), "%f",
	       f.value[FIGURE_HIT_RATIO]);
	buf_fini(&before);
	before = said("keyspace_hits:100000\r\nkeyspace_misses:500\r\n");
	measure_info(&before, &now, 0, &f);
	EXPECT(is_about(f.value[FIGURE_LOOKUPS], 101000), "%f", f.value[FIGURE_LOOKUPS]);
	buf_fini(&before);
	buf_fini(&now);
}

/* Another Redis, or CONFIG RESETSTAT between the looks. */
TEST(missing_lines_and_counters_set_back)
{
	struct buf before = said("server_time_usec:1000000\r\nrejected_connections:50\r\nmaxclients:0\r\n");
	struct buf now =
	        said("server_time_usec:3000000\r\nrejected_connections:3\r\nmem_fragmentation_ratio:2.0\r\n"
	             "mem_fragmentation_bytes:10\r\nallocator_frag_ratio:nan\r\nmaxmemory:100\r\naof_enabled:0\r\n");
	struct figures f = figures_none();
	static const enum figure missing[] = { FIGURE_CPU,         FIGURE_PERSISTING, FIGURE_MEMORY,
		                               FIGURE_SAVE_FAILED, FIGURE_AOF_FAILED, FIGURE_STALE,
		                               FIGURE_HIT_RATIO,   FIGURE_CLIENTS,    FIGURE_RECEIVED };

	measure_info(&before, &now, 1000, &f);
	FOR_EACH_ROW (i, missing)
		EXPECT(isnan(f.value[missing[i]]), "%s: %f", figure_what(missing[i]), f.value[missing[i]]);
	EXPECT(is_about(f.value[FIGURE_REJECTED], 3), "%f", f.value[FIGURE_REJECTED]);
	EXPECT(is_about(f.value[FIGURE_FRAGMENTATION], 2) && is_about(f.value[FIGURE_FRAGMENTED], 0.1),
	       "without jemalloc");
	EXPECT(is_about(f.value[FIGURE_FSYNC_DELAYED], 0), "no append-only file, no delay");
	buf_fini(&before);
	buf_fini(&now);
}

TEST(commands_are_counted_and_shared_out)
{
	struct arena *a = arena_new(1 << 20);
	struct buf first = said("# Commandstats\r\ncmdstat_get:calls=10,usec=100,usec_per_call=10.00\r\n"
	                        "cmdstat_keys:calls=1,usec=800,usec_per_call=800.00\r\n");
	struct buf second =
	        said("# Commandstats\r\ncmdstat_get:calls=20,usec=400,usec_per_call=20.00\r\n"
	             "cmdstat_keys:calls=1,usec=800,usec_per_call=800.00\r\n"
	             "cmdstat_config|set:calls=2,usec=700,usec_per_call=350.00\r\ncmdstat_hgetall:calls=1,usec=100\r\n"
	             "cmdstat_exec:calls=1,usec=5000,usec_per_call=5000\r\ncmdstat_broken\r\nkeyspace_hits:3\r\n");
	struct cache_commands before, now;
	struct figures f = figures_none();
	struct names names = { .text = "" };

	measure_commands(&first, a, &before);
	measure_commands(&second, a, &now);
	EXPECT(now.n == 5 && now.usec == 7000, "%zu, %lld", now.n, (long long)now.usec);
	EXPECT(strcmp(now.list[1].name, "keys") == 0 && strcmp(now.list[2].name, "config|set") == 0, "%s, %s",
	       now.list[0].name, now.list[1].name);
	EXPECT(now.list[3].calls == 20 && now.list[3].usec == 400, "%s", now.list[3].name);
	measure_shares(&before, &now, &f);
	EXPECT(is_about(f.value[FIGURE_LINEAR], 0.45), "%f", f.value[FIGURE_LINEAR]);
	EXPECT(is_about(f.value[FIGURE_LINEAR_S], 0.0009), "%f", f.value[FIGURE_LINEAR_S]);
	EXPECT(is_about(f.value[FIGURE_LINEAR_NOW], 100 / 1100.0), "%f", f.value[FIGURE_LINEAR_NOW]);
	measure_linear_names(&before, &now, &names);
	EXPECT(strcmp(names.text, "keys") == 0, "%s", names.text);
	buf_fini(&first);
	buf_fini(&second);
	arena_free(a);
}

TEST(names_are_listed_once)
{
	struct names names = { .text = "" };
	char many[40];

	names_add(&names, "zrangebyscore");
	names_add(&names, "zrange"); /* begins like one that is there */
	names_add(&names, "zrange");
	names_add(&names, "zrangebyscore");
	EXPECT(strcmp(names.text, "zrangebyscore, zrange") == 0, "%s", names.text);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(many, sizeof many, "command-with-a-long-name-%d", i);
		names_add(&names, many);
	}
	EXPECT(strlen(names.text) < NAMES_SIZE && names.text[strlen(names.text) - 1] != ' ', "%s", names.text);
}

TEST(keys_that_end_together_are_found)
{
	struct figures f = figures_none();
	int64_t spread[100], together[100];

	for (int i = 0; i < 100; i++) {
		spread[i] = 1700000000 + (i * 37) % 100;
		together[i] = i % 4 ? 1700000000 + i : 1700000500;
	}
	f.value[FIGURE_EXPIRING] = 8000;
	measure_ends(spread, 100, &f);
	EXPECT(is_about(f.value[FIGURE_SAME_SECOND], 0.01), "%f", f.value[FIGURE_SAME_SECOND]);
	measure_ends(together, 100, &f);
	EXPECT(is_about(f.value[FIGURE_SAME_SECOND], 0.25), "%f", f.value[FIGURE_SAME_SECOND]);
	EXPECT(is_about(f.value[FIGURE_SAME_SECOND_KEYS], 2000), "%f", f.value[FIGURE_SAME_SECOND_KEYS]);
	measure_ends(together, SAMPLE_MIN - 1, &f);
	EXPECT(is_about(f.value[FIGURE_SAME_SECOND], 0), "too few say nothing");
	measure_ends(together, 0, &f);
	EXPECT(is_about(f.value[FIGURE_SAME_SECOND_KEYS], 0), "none");
}

/* ---- the report ---- */

static json_t *report_of(const struct cache_diagnosis *d, struct report_sums *sums)
{
	struct buf text;
	struct jw w;

	buf_init(&text, 1 << 20);
	jw_init(&w, &text, CASING_CAMEL);
	jw_object(&w);
	report_write(&w, d, sums);
	jw_end_object(&w);
	json_t *json = json_loadb(buf_text(&text), text.len, 0, NULL);
	EXPECT(json, "%s", buf_text(&text));
	buf_fini(&text);
	return json;
}

TEST(the_longest_report_fits)
{
	struct cache_command list[200];
	struct cache_diagnosis d = { .is_asked = true, .commands = { list, ARRAY_LEN(list), 0 } };
	struct report_sums sums = { 0, 0 };
	char *dump;

	for (int f = 0; f < FIGURES; f++)
		d.figures.value[f] = 1e9;
	d.figures.value[FIGURE_HIT_RATIO] = 0;
	memset(d.linear.text, 'x', sizeof d.linear.text - 1);
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i] = (struct cache_command){ "cluster|count-failure-reports", INT64_MAX / 2, INT64_MAX / 400 };
	d.commands.usec = INT64_MAX / 2;
	json_t *json = report_of(&d, &sums);
	EXPECT(sums.abnormal == ITEMS && sums.failed == 0, "%d, %d", (int)sums.abnormal, (int)sums.failed);
	EXPECT(json_array_size(json_object_get(json_object_get(json, "command_time_taken_list"), "command_list")) ==
	               REPORT_COMMANDS_MAX,
	       "cut");
	EXPECT(json_integer_value(json_object_get(json_object_get(json, "command_time_taken_list"), "total_num")) ==
	               200,
	       "all counted");
	dump = json_dumps(json, JSON_COMPACT);
	EXPECT(strlen(dump) * CACHE_NODES_MAX < 48000, "%zu bytes a node", strlen(dump));
	free(dump);
	json_decref(json);
}

TEST(sums_are_kept_in_one_number)
{
	for (int all = CACHE_NODES_MAX * ITEMS, abnormal = 0; abnormal <= all; abnormal++) {
		struct report_sums back = report_unpack(report_pack((struct report_sums){ abnormal, all - abnormal }));
		EXPECT(back.abnormal == abnormal && back.failed == all - abnormal, "%d", abnormal);
	}
}

TEST(a_node_that_was_not_asked_has_only_failed_items)
{
	struct cache_diagnosis d = { .figures = figures_none() };
	struct report_sums sums = { 3, 4 };
	json_t *json = report_of(&d, &sums);
	char *dump = json_dumps(json_object_get(json, "command_time_taken_list"), JSON_COMPACT);

	EXPECT(sums.abnormal == 3 && sums.failed == 4 + ITEMS, "%d, %d", (int)sums.abnormal, (int)sums.failed);
	EXPECT(json_integer_value(json_object_get(json, "failed_sum")) == ITEMS, "failed_sum");
	EXPECT(strcmp(dump, "{\"total_num\":0,\"total_usec_sum\":0,\"result\":\"failed\",\"command_list\":[]}") == 0,
	       "%s", dump);
	free(dump);
	json_decref(json);
}

/* ---- asking, where nobody answers ---- */

static bool stop_at_once(void *ctx)
{
	(void)ctx;
	return true;
}

TEST(nodes_that_cannot_be_asked_are_no_error)
{
	struct arena *a = arena_new(1 << 20);
	struct cache_instance c = { .dir = "/nowhere/at/all",
		                    .host = "127.77.77.77",
		                    .port = 1,
		                    .capacity = 1 << 27,
		                    .nodes = { { .number = 1, .host = "127.77.77.77" } },
		                    .n_nodes = 1 };
	const struct cache_diagnose_how how = { .until_ms = 1, .span_ms = 100 };
	struct cache_run run = { .timeout_ms = 20000 };
	struct cache_diagnosis out[2];
	struct err err = { 0 };

	EXPECT(cache_diagnose(&c, &how, (const int[]){ 1, 9 }, 2, a, out, &run, &err) == RC_OK, "%s", err.msg);
	EXPECT(!out[0].is_asked && strstr(out[0].why.msg, "/nowhere/at/all"), "%s", out[0].why.msg);
	EXPECT(!out[1].is_asked && strstr(out[1].why.msg, "node 9 is there no more"), "%s", out[1].why.msg);
	for (int f = 0; f < FIGURES; f++)
		EXPECT(isnan(out[0].figures.value[f]) && isnan(out[1].figures.value[f]), "%s",
		       figure_what((enum figure)f));
	run.should_stop = stop_at_once;
	EXPECT(cache_diagnose(&c, &how, (const int[]){ 1 }, 1, a, out, &run, &err) == RC_TIMEOUT, "stopped: %s",
	       err.msg);
	arena_free(a);
}

TEST(what_cannot_be_asked_for_is_refused)
{
	struct arena *a = arena_new(1 << 20);
	struct cache_instance c = { .n_nodes = 0 };
	struct cache_run run = { .timeout_ms = 1000 };
	struct cache_diagnosis out[1] = { { .is_master = true } };
	const int numbers[CACHE_NODES_MAX + 1] = { 1 };
	const struct {
		int n, span_ms;
		const char *says;
	} row[] = { { 0, 1000, "0 nodes" },
		    { CACHE_NODES_MAX + 1, 1000, "7 nodes" },
		    { 1, 99, "span_ms 99" },
		    { 1, 60001, "span_ms 60001" } };
	FOR_EACH_ROW (i, row) {
		const struct cache_diagnose_how how = { .span_ms = row[i].span_ms };
		struct err err = { 0 };
		EXPECT(cache_diagnose(&c, &how, numbers, row[i].n, a, out, &run, &err) == RC_INVALID, "row %zu", i);
		EXPECT(strstr(err.msg, row[i].says) && out[0].is_master, "row %zu: %s", i, err.msg);
	}
	arena_free(a);
}

int main(void)
{
	RUN(every_rule_has_its_ids_and_a_reason);
	RUN(the_rules_are_those_of_the_docs);
	RUN(nothing_is_wrong_with_a_healthy_node);
	RUN(each_threshold_is_where_it_says);
	RUN(what_explains_is_added_to_what_is_abnormal);
	RUN(what_was_not_measured_has_failed);
	RUN(figures_are_shown_by_their_unit);
	RUN(figures_come_from_two_looks);
	RUN(reads_of_the_moment_count_when_there_are_enough);
	RUN(missing_lines_and_counters_set_back);
	RUN(commands_are_counted_and_shared_out);
	RUN(names_are_listed_once);
	RUN(keys_that_end_together_are_found);
	RUN(the_longest_report_fits);
	RUN(sums_are_kept_in_one_number);
	RUN(a_node_that_was_not_asked_has_only_failed_items);
	RUN(nodes_that_cannot_be_asked_are_no_error);
	RUN(what_cannot_be_asked_for_is_refused);
	return test_failures != 0;
}
