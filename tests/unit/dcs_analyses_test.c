/*
 * Analyses, logs, sessions and nodes in the DCS dialect, over a real engine and store (dialect.h). The child is a
 * script that says what the file DATA/said holds, in place of Redis. With max_running 0 what was asked for stays
 * waiting. Questions to Redis itself need the real child and a redis-server; without them that test is skipped.
 */
#include "dcs_dialect.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/attr.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/rand.h"
#include "engine/cache.h"
#include "os/file.h"

/* ---- fixture ---- */

/* What the next runs say. */
static void let_runs_say(const char *lines)
{
	write_file("said", lines, 0600);
}

static void start(int max_running)
{
	struct dialect_setup setup = {
		.auth = AUTH_OFF, .max_running = max_running, .threads = 1, .id_header = "x-request-id"
	};
	dialect_start(&setup);
}

static void begin(int max_running)
{
	char text[256 + 3 * sizeof data_dir];

	dialect_make_dir();
	(void)snprintf(text, sizeof text,
		       "#!/bin/sh\ncp task.json '%s/task.json'\ncat '%s/said' >&3\ngrep -q result '%s/said'\n",
		       data_dir, data_dir, data_dir);
	write_file(child, text, 0700);
	let_runs_say("{\"result\":{}}\n");
	start(max_running);
}

static void restart(int max_running)
{
	dialect_stop();
	start(max_running);
}

/* ---- requests ---- */

#define CREATE_SINGLE                                                                                                  \
	"{\"name\":\"dcs-one\",\"capacity\":0.125,\"spec_code\":\"redis.single.xu1.tiny.128\","                        \
	"\"no_password_access\":true" REST                                                                             \
	"}"
#define CREATE_HA                                                                                                      \
	"{\"name\":\"dcs-two\",\"capacity\":0.125,\"spec_code\":\"redis.ha.xu1.tiny.r2.128\","                         \
	"\"no_password_access\":true" REST                                                                             \
	"}"

static const char *part(const char *uid, const char *rest, const char *id)
{
	char text[256];
	(void)snprintf(text, sizeof text, "%s/%s", rest, id);
	return one(uid, text);
}

static void keep(char out[64], const char *place) { (void)snprintf(out, 64, "%s", at(place)); }

/* ---- figures ---- */

TEST(figures_are_numbers_before_anybody_looked)
{
	char uid[UUID_SIZE];
	begin(1);
	create_running(CREATE_HA, uid);
	EXPECT_AT("used_memory", "0");
	EXPECT_AT("max_memory", "128");
	EXPECT(call("GET", ALL "/statistic", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("statistics/0/instance_id", uid);
	EXPECT_AT("statistics/0/used_memory", "0");
	EXPECT_AT("statistics/0/max_memory", "128");
	EXPECT_AT("statistics/0/used_cpu", "0.0");
	EXPECT_AT("statistics/1", "-");
	dialect_end();
}

/* ---- scans ---- */

#define BIG_RESULT                                                                                                     \
	"{\"result\":{\"scan\":{\"num\":2,\"scanned\":9,\"keys\":[{\"name\":\"a\",\"type\":\"string\",\"db\":0,"       \
	"\"size\":77,\"unit\":\"byte\"},{\"name\":\"b\",\"type\":\"list\",\"db\":3,\"size\":5,\"unit\":\"count\"}]}}}\n"

TEST(a_big_key_scan_waits_runs_and_is_deleted)
{
	char uid[UUID_SIZE], id[64];
	begin(1);
	create_running(CREATE_HA, uid);
	restart(0);
	EXPECT(call("POST", one(uid, "/bigkey-task"), NULL) == 200, "%s", buf_text(&seen.body));
	keep(id, "id");
	EXPECT(format_is_uuid(id), "%s", id);
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("status", "waiting");
	EXPECT_AT("scan_type", "manual");
	EXPECT_AT("num", "0");
	EXPECT_AT("started_at", "-");
	EXPECT_AT("finished_at", "-");
	EXPECT_AT("keys", "-");
	EXPECT(strlen(at("created_at")) == 24, "%s", at("created_at"));
	(void)call("POST", one(uid, "/bigkey-task"), NULL);
	expect_error("a second one", 400, "DCS.4918");
	(void)call("DELETE", part(uid, "/bigkey-task", id), NULL);
	expect_error("one that waits", 400, "DCS.4957");
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("task", "null"); /* an analysis is no operation */
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/name", "BIGKEY");
	let_runs_say(BIG_RESULT);
	restart(1);
	poll_until(part(uid, "/bigkey-task", id), "status", "success");
	EXPECT_AT("num", "2");
	EXPECT_AT("keys/0", "{\"name\":\"a\",\"type\":\"string\",\"db\":0,\"size\":77,\"unit\":\"byte\"}");
	EXPECT_AT("keys/1/unit", "count");
	EXPECT(strlen(at("started_at")) == 24 && strlen(at("finished_at")) == 24, "%s", buf_text(&seen.body));
	EXPECT(call("GET", part(NOBODY, "/bigkey-task", id), NULL) == 404, "of nobody");
	EXPECT(call("DELETE", part(uid, "/bigkey-task", id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("id", id);
	EXPECT_AT("num", "2");
	EXPECT_AT("keys/0/name", "a");
	EXPECT(call("DELETE", part(uid, "/bigkey-task", id), NULL) == 204, "twice: %d", seen.status);
	(void)call("GET", part(uid, "/bigkey-task", id), NULL);
	expect_error("gone", 400, "DCS.4942");
	(void)call("GET", one(uid, "/bigkey-task/x"), NULL);
	expect_error("no id", 400, "DCS.4942");
	EXPECT(call("DELETE", one(uid, "/bigkey-task/x"), NULL) == 204, "no id: %d", seen.status);
	dialect_end();
}

TEST(scans_are_listed_by_page_and_status)
{
	char uid[UUID_SIZE], ids[3][64];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	EXPECT(call("GET", one(uid, "/bigkey-tasks"), NULL) == 200, "none");
	EXPECT_AT("count", "0");
	EXPECT_AT("records", "[]");
	for (int i = 0; i < 3; i++) {
		let_runs_say(i == 1 ? "{\"error\":{\"code\":\"Cache.Down\",\"message\":\"no Redis\"}}\n" : BIG_RESULT);
		EXPECT(call("POST", one(uid, "/bigkey-task"), "") == 200, "%s", buf_text(&seen.body));
		keep(ids[i], "id");
		poll_until(part(uid, "/bigkey-task", ids[i]), "status", i == 1 ? "failed" : "success");
	}
	EXPECT(call("GET", one(uid, "/bigkey-tasks?limit=2"), NULL) == 200, "page");
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("count", "3");
	EXPECT_AT("records/0/id", ids[2]);
	EXPECT_AT("records/1/id", ids[1]);
	EXPECT_AT("records/1/status", "failed");
	EXPECT_AT("records/2", "-");
	EXPECT(call("GET", one(uid, "/bigkey-tasks?offset=2"), NULL) == 200, "next");
	EXPECT_AT("records/0/id", ids[0]);
	EXPECT(call("GET", one(uid, "/bigkey-tasks?status=failed"), NULL) == 200, "by status");
	EXPECT_AT("count", "1");
	EXPECT_AT("records/0/id", ids[1]);
	EXPECT(call("GET", part(uid, "/bigkey-task", ids[1]), NULL) == 200, "one that failed");
	EXPECT_AT("keys", "-");
	EXPECT(call("DELETE", part(uid, "/bigkey-task", ids[1]), NULL) == 200, "%s", buf_text(&seen.body));
	const struct {
		const char *target, *code;
	} row[] = {
		{ "/bigkey-tasks?limit=0", "DCS.4800" },    { "/bigkey-tasks?limit=1001", "DCS.4800" },
		{ "/bigkey-tasks?offset=-1", "DCS.4800" },  { "/bigkey-tasks?status=done", "DCS.4800" },
		{ "/hotkey-tasks?offset=x", "DCS.4800" },   { "/auto-expire/histories?limit=x", "DCS.4800" },
	};
	FOR_EACH_ROW(i, row) {
		(void)call("GET", one(uid, row[i].target), NULL);
		expect_error(row[i].target, 400, row[i].code);
	}
	dialect_end();
}

#define CONFIG(value) "{\"redis_config\":[{\"param_name\":\"maxmemory-policy\",\"param_value\":\"" value "\"}]}"

/* The child's result is the new description; the engine's own has no settings while the script says nothing of it. */
static void set_policy(const char *uid)
{
	let_runs_say(
		"{\"result\":{\"cache\":{\"mode\":\"single\",\"host\":\"127.9.9.9\",\"port\":6379,\"master\":0,"
		"\"settings\":{\"maxmemory-policy\":\"allkeys-lfu\"},\"nodes\":[{\"number\":1,\"host\":\"127.9.9.9\","
		"\"priority\":100}]}}}\n");
	EXPECT(call("PUT", one(uid, "/configs"), CONFIG("allkeys-lfu")) == 204, "%s", buf_text(&seen.body));
}

TEST(hot_keys_need_a_policy_that_counts)
{
	char uid[UUID_SIZE], id[64];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	(void)call("POST", one(uid, "/hotkey-task"), NULL);
	expect_error("the default policy", 400, "DCS.4922");
	set_policy(uid);
	restart(0);
	EXPECT(call("POST", one(uid, "/hotkey-task"), NULL) == 200, "%s", buf_text(&seen.body));
	keep(id, "id");
	(void)call("POST", one(uid, "/hotkey-task"), NULL);
	expect_error("a second one", 400, "DCS.4026");
	EXPECT(call("POST", one(uid, "/bigkey-task"), NULL) == 200, "another kind beside it: %s", buf_text(&seen.body));
	(void)call("DELETE", part(uid, "/hotkey-task", id), NULL);
	expect_error("one that waits", 400, "DCS.4957");
	let_runs_say(
		"{\"result\":{\"scan\":{\"num\":1,\"keys\":[{\"name\":\"h\",\"type\":\"hash\",\"db\":0,\"size\":2,"
		"\"unit\":\"count\",\"freq\":255}]}}}\n");
	restart(1);
	poll_until(part(uid, "/hotkey-task", id), "status", "success");
	EXPECT_AT("keys/0/freq", "255");
	(void)call("GET", part(uid, "/bigkey-task", id), NULL);
	expect_error("of another kind", 400, "DCS.4942");
	EXPECT(call("DELETE", part(uid, "/hotkey-task", id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(call("DELETE", part(uid, "/hotkey-task", id), NULL) == 204, "twice");
	(void)call("GET", part(uid, "/hotkey-task", id), NULL);
	expect_error("gone", 400, "DCS.4941");
	EXPECT(call("GET", one(uid, "/hotkey-tasks"), NULL) == 200, "list");
	EXPECT_AT("count", "0");
	dialect_end();
}

/* ---- scans by themselves ---- */

#define DAILY(on, times) "{\"enable_auto_scan\":" on ",\"schedule_at\":" times "}"

TEST(big_and_hot_keys_are_scheduled_by_the_day)
{
	char uid[UUID_SIZE];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	EXPECT(call("GET", one(uid, "/bigkey/autoscan"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("enable_auto_scan", "false");
	EXPECT_AT("schedule_at", "[]");
	EXPECT_AT("updated_at", "null");
	EXPECT(call("PUT", one(uid, "/bigkey/autoscan"), DAILY("true", "[\"21:00\",\"08:30\"]")) == 200, "%s",
	       buf_text(&seen.body));
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("enable_auto_scan", "true");
	EXPECT_AT("schedule_at", "[\"21:00\",\"08:30\"]");
	EXPECT(strlen(at("updated_at")) == 24, "%s", at("updated_at"));
	EXPECT(call("PUT", one(uid, "/bigkey/autoscan"), "{\"enable_auto_scan\":false}") == 200, "%s",
	       buf_text(&seen.body));
	EXPECT_AT("schedule_at", "[\"21:00\",\"08:30\"]"); /* what is not named stays */
	restart(1);
	EXPECT(call("GET", one(uid, "/bigkey/autoscan"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("enable_auto_scan", "false");
	EXPECT_AT("schedule_at", "[\"21:00\",\"08:30\"]");
	EXPECT(call("GET", one(NOBODY, "/bigkey/autoscan"), NULL) == 404, "of nobody");
	(void)call("PUT", one(uid, "/hotkey/autoscan"), DAILY("true", "[\"21:00\"]"));
	expect_error("no policy that counts", 400, "DCS.4922");
	EXPECT(call("PUT", one(uid, "/hotkey/autoscan"), DAILY("false", "[\"21:00\"]")) == 200, "%s",
	       buf_text(&seen.body));
	set_policy(uid);
	EXPECT(call("PUT", one(uid, "/hotkey/autoscan"), "{\"enable_auto_scan\":true}") == 200, "%s",
	       buf_text(&seen.body));
	EXPECT_AT("schedule_at", "[\"21:00\"]");
	EXPECT(call("GET", one(uid, "/bigkey/autoscan"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("enable_auto_scan", "false"); /* each kind has its own */
	dialect_end();
}

TEST(schedules_that_make_no_sense_are_refused_and_change_nothing)
{
	static const char *const bodies[] = {
		DAILY("1", "[\"21:00\"]"),
		DAILY("\"true\"", "[\"21:00\"]"),
		DAILY("true", "[]"),
		DAILY("true", "\"21:00\""),
		DAILY("true", "[\"24:00\"]"),
		DAILY("true", "[\"9:00\"]"),
		DAILY("true", "[2100]"),
		DAILY("true", "[null]"),
		DAILY("true", "[\"21:00\",\"x\"]"),
		DAILY("true", "{}"),
		DAILY("true", "[\"21:00:00\"]"),
		DAILY("true",
		      "[\"00:00\",\"01:00\",\"02:00\",\"03:00\",\"04:00\",\"05:00\",\"06:00\",\"07:00\",\"08:00\","
		      "\"09:00\","
		      "\"10:00\",\"11:00\",\"12:00\",\"13:00\",\"14:00\",\"15:00\",\"16:00\",\"17:00\",\"18:00\","
		      "\"19:00\",\"20:00\",\"21:00\",\"22:00\",\"23:00\",\"23:30\"]"),
	};
	char uid[UUID_SIZE], before[8192];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	(void)call("PUT", one(uid, "/bigkey/autoscan"), DAILY("true", "[]"));
	expect_error("nothing to go by", 400, "DCS.4062");
	EXPECT(call("PUT", one(uid, "/bigkey/autoscan"), DAILY("true", "[\"03:00\"]")) == 200, "%s",
	       buf_text(&seen.body));
	(void)snprintf(before, sizeof before, "%s", buf_text(&seen.body));
	FOR_EACH_ROW(i, bodies) {
		(void)call("PUT", one(uid, "/bigkey/autoscan"), bodies[i]);
		expect_error(bodies[i], 400, "DCS.4062");
	}
	(void)call("PUT", one(uid, "/bigkey/autoscan"), NULL);
	expect_error("no body", 400, "DCS.4004");
	EXPECT(call("GET", one(uid, "/bigkey/autoscan"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body), before) == 0, "%s", buf_text(&seen.body));
	dialect_end();
}

#define EXPIRY "/scan-expire-keys/autoscan-config"
#define FAR "2099-07-07T15:00:05.000"

TEST(expired_keys_are_scheduled_by_an_interval)
{
	static const struct {
		const char *body, *code;
	} row[] = {
		{ "{\"enable_auto_scan\":true}", "DCS.4819" }, /* none is known */
		{ "{\"enable_auto_scan\":true,\"first_scan_at\":\"2023-07-07T15:00:05.000\"}", "DCS.4819" },
		{ "{\"enable_auto_scan\":true,\"first_scan_at\":\"2023-07-07T15:00:05.000\",\"interval\":0}",
		  "DCS.4819" },
		{ "{\"first_scan_at\":\"tomorrow\"}", "DCS.4062" },
		{ "{\"first_scan_at\":\"2099-02-30T15:00:05\"}", "DCS.4062" },
		{ "{\"first_scan_at\":\"2099-07-07T15:00:05.0-1\"}", "DCS.4062" },
		{ "{\"first_scan_at\":4087036805000}", "DCS.4062" },
		{ "{\"interval\":-1}", "DCS.4820" },
		{ "{\"interval\":2592001}", "DCS.4820" },
		{ "{\"interval\":\"3600\"}", "DCS.4062" },
		{ "{\"interval\":3600,\"timeout\":7199}", "DCS.4821" },
		{ "{\"timeout\":100}", "DCS.4821" }, /* of the interval by default */
		{ "{\"interval\":0,\"timeout\":0}", "DCS.4821" },
		{ "{\"timeout\":5184001}", "DCS.4821" },
		{ "{\"timeout\":true}", "DCS.4062" },
		{ "{\"scan_keys_count\":9}", "DCS.4822" },
		{ "{\"scan_keys_count\":1001}", "DCS.4822" },
		{ "{\"scan_keys_count\":null,\"enable_auto_scan\":\"yes\"}", "DCS.4062" },
	};
	char uid[UUID_SIZE], before[8192];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	EXPECT(call("GET", one(uid, EXPIRY), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("enable_auto_scan", "false");
	EXPECT_AT("first_scan_at", "null");
	EXPECT_AT("timeout", "21600");
	EXPECT_AT("scan_keys_count", "100");
	(void)snprintf(before, sizeof before, "%s", buf_text(&seen.body));
	FOR_EACH_ROW(i, row) {
		(void)call("PUT", one(uid, EXPIRY), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	EXPECT(call("GET", one(uid, EXPIRY), NULL) == 200 && strcmp(buf_text(&seen.body), before) == 0, "%s",
	       buf_text(&seen.body));
	EXPECT(call("PUT", one(uid, EXPIRY),
		    "{\"enable_auto_scan\":true,\"first_scan_at\":\"" FAR "\",\"interval\":86400,\"timeout\":172800,"
		    "\"scan_keys_count\":1000}") == 200,
	       "%s", buf_text(&seen.body));
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("enable_auto_scan", "true");
	EXPECT_AT("first_scan_at", FAR);
	EXPECT_AT("interval", "86400");
	EXPECT_AT("timeout", "172800");
	EXPECT_AT("scan_keys_count", "1000");
	EXPECT(strlen(at("updated_at")) == 24, "%s", at("updated_at"));
	EXPECT(call("PUT", one(uid, EXPIRY), "{\"interval\":100000}") == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("timeout", "200000"); /* grew with it */
	EXPECT_AT("first_scan_at", FAR);
	EXPECT(call("PUT", one(uid, EXPIRY), "{\"first_scan_at\":\"2098-01-01T00:00:00Z\"}") == 200, "%s",
	       buf_text(&seen.body));
	EXPECT_AT("first_scan_at", "2098-01-01T00:00:00.000");
	EXPECT(call("PUT", one(uid, EXPIRY),
		    "{\"enable_auto_scan\":false,\"first_scan_at\":\"2023-07-07T15:00:05.000\"}") == 200,
	       "a past one does no harm when nothing fires: %s", buf_text(&seen.body));
	dialect_end();
}

TEST(expired_keys_have_a_history)
{
	char uid[UUID_SIZE], id[64];
	begin(1);
	create_running(CREATE_HA, uid);
	restart(0);
	EXPECT(call("POST", one(uid, "/scan-expire-keys-task"), NULL) == 200, "%s", buf_text(&seen.body));
	keep(id, "id");
	EXPECT_AT("status", "waiting");
	EXPECT_AT("num", "-");
	(void)call("POST", one(uid, "/auto-expire/scan"), NULL);
	expect_error("a second one", 400, "DCS.4026");
	let_runs_say("{\"result\":{\"scan\":{\"num\":42,\"scanned\":100}}}\n");
	restart(1);
	poll_until(one(uid, "/auto-expire/histories"), "records/0/status", "success");
	EXPECT_AT("records/0/id", id);
	EXPECT_AT("records/0/num", "42");
	EXPECT_AT("total", "1");
	EXPECT_AT("count", "1");
	EXPECT(call("GET", one(uid, "/auto-expire/histories?offset=1"), NULL) == 200, "past the end");
	EXPECT_AT("total", "1");
	EXPECT_AT("count", "0");
	EXPECT(call("POST", one(uid, "/auto-expire/scan"), NULL) == 200, "again: %s", buf_text(&seen.body));
	dialect_end();
}

TEST(what_is_in_the_way_of_a_scan_is_told_by_its_code)
{
	char uid[UUID_SIZE];
	static const char restart_body[] = "{\"instances\":[\"%s\"],\"action\":\"restart\"}";
	char body[256];
	begin(0);
	create(CREATE_SINGLE, uid);
	(void)call("POST", one(uid, "/bigkey-task"), NULL);
	expect_error("being created", 400, "DCS.4118");
	restart(1);
	poll_until(one(uid, ""), "status", "RUNNING");
	restart(0);
	(void)snprintf(body, sizeof body, restart_body, uid);
	EXPECT(call("PUT", ALL "/status", body) == 200, "%s", buf_text(&seen.body));
	(void)call("POST", one(uid, "/bigkey-task"), NULL);
	expect_error("restarting", 400, "DCS.4111");
	(void)call("POST", one(NOBODY, "/bigkey-task"), NULL);
	expect_error("nobody", 404, "DCS.3022");
	(void)call("POST", one("x", "/bigkey-task"), NULL);
	expect_error("no id", 400, "DCS.4061");
	dialect_end();
}

/* ---- offline analysis ---- */

static void node_of(const char *uid, const char *role, char out[64])
{
	EXPECT(call("GET", one(uid, "/logical-nodes"), NULL) == 200, "%s", buf_text(&seen.body));
	for (size_t i = 0; i < json_array_size(value_at("nodes")); i++) {
		const json_t *n = json_array_get(value_at("nodes"), i);
		if (strcmp(json_string_value(json_object_get(n, "node_type")), role) == 0)
			(void)snprintf(out, 64, "%s", json_string_value(json_object_get(n, "node_id")));
	}
	EXPECT(format_is_hex32(out), "no %s", role);
}

static void read_file(const char *name, char *out, size_t size)
{
	char path[4200];
	(void)snprintf(path, sizeof path, "%s/%s", data_dir, name);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(out, 1, size - 1, f) : 0;
	out[n] = '\0';
	if (f)
		(void)fclose(f);
}

TEST(an_offline_analysis_reads_a_backup)
{
	char uid[UUID_SIZE], other[UUID_SIZE], node[64] = "", id[64], backup[64], body[256], task[8192];
	begin(1);
	create_running(CREATE_HA, uid);
	create_running(CREATE_HA, other);
	node_of(uid, "slave", node);
	const struct {
		const char *body, *code;
	} row[] = {
		{ "", "DCS.4004" },
		{ "[]", "DCS.4005" },
		{ "{}", "DCS.4062" },
		{ "{\"node_id\":7}", "DCS.4062" },
		{ "{\"node_id\":\"\"}", "DCS.4062" },
		{ "{\"node_id\":\"8abfa7aa73291f15017329e1cda0002d\"}", "DCS.3053" },
	};
	FOR_EACH_ROW(i, row) {
		(void)call("POST", one(uid, "/offline/key-analysis"), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	const char *const bad[] = { "7", "{}", "\"x\"", "\"" NOBODY "\"" };
	FOR_EACH_ROW(i, bad) {
		(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"backup_id\":%s}", node, bad[i]);
		(void)call("POST", one(uid, "/offline/key-analysis"), body);
		expect_error(body, 400, "DCS.4063");
	}
	let_runs_say("{\"result\":{\"file\":\"/none/b.rdb\",\"sha256\":\"00\",\"size\":7}}\n");
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	keep(backup, "backup_id");
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "succeed");
	let_runs_say(
		"{\"result\":{\"scan\":{\"num\":9,\"total_num\":9,\"total_bytes\":3000000000,"
		"\"largest_keys\":[{\"key\":\"k\",\"type\":"
		"\"hash\",\"bytes\":77,\"num_of_elem\":3}],\"largest_key_prefixes\":[],"
		"\"type_bytes\":[{\"type\":\"hash\",\"bytes\":77}],"
		"\"type_num\":[]}}}\n");
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"backup_id\":\"%s\"}", node, backup);
	EXPECT(call("POST", one(uid, "/offline/key-analysis"), body) == 200, "%s", buf_text(&seen.body));
	keep(id, "task_id");
	poll_until(part(uid, "/offline/key-analysis", id), "status", "success");
	EXPECT_AT("node_id", node);
	EXPECT_AT("node_type", "slave");
	EXPECT_AT("backup_id", backup);
	EXPECT_AT("analysis_type", "old_backup");
	EXPECT_AT("total_bytes", "2147483647"); /* clients keep 32 bits */
	EXPECT_AT("total_bytes_text", "3000000000");
	EXPECT_AT("total_num_text", "-");
	EXPECT_AT("largest_keys/0/num_of_elem", "3");
	EXPECT_AT("type_bytes/0/type", "hash");
	EXPECT_AT("file", "-");
	read_file("task.json", task, sizeof task);
	EXPECT(strstr(task, "\"file\":\"/none/b.rdb\""), "the child is told: %s", task);
	(void)snprintf(body, sizeof body, P "/jobs/%s", id);
	EXPECT(call("GET", body, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("job_type", "OfflineAnalysis");
	EXPECT_AT("status", "SUCCESS");
	EXPECT(call("GET", one(uid, "/offline/key-analysis"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("total", "1");
	EXPECT_AT("records/0/id", id);
	(void)call("GET", part(other, "/offline/key-analysis", id), NULL);
	expect_error("another instance's", 400, "DCS.4232");
	EXPECT(call("DELETE", part(other, "/offline/key-analysis", id), NULL) == 204, "another instance's");
	EXPECT(call("DELETE", part(uid, "/offline/key-analysis", id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("task_id", id);
	EXPECT(call("DELETE", part(uid, "/offline/key-analysis", id), NULL) == 204, "twice");

	restart(0);
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"backup_id\":null}", node);
	EXPECT(call("POST", one(uid, "/offline/key-analysis"), body) == 200, "%s", buf_text(&seen.body));
	keep(id, "task_id");
	(void)call("POST", one(uid, "/offline/key-analysis"), body);
	expect_error("a second one", 400, "DCS.4026");
	(void)call("DELETE", part(uid, "/offline/key-analysis", id), NULL);
	expect_error("one that waits", 400, "DCS.4957");
	EXPECT(call("GET", part(uid, "/offline/key-analysis", id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("status", "waiting");
	EXPECT_AT("analysis_type", "new_backup");
	EXPECT_AT("backup_id", "null");
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"backup_id\":\"%s\"}", node, at("backup_id"));
	(void)call("POST", one(uid, "/offline/key-analysis"), body);
	expect_error("a backup that waits", 400, "DCS.4087");
	dialect_end();
}

/* The file that an analysis has still to read stays; others may go, and so may it afterwards. */
TEST(a_backup_that_is_being_analysed_stays)
{
	char uid[UUID_SIZE], node[64] = "", backup[64], other[64], id[64], body[256];

	begin(2);
	create_running(CREATE_HA, uid);
	node_of(uid, "slave", node);
	let_runs_say("{\"result\":{\"file\":\"/none/b.rdb\",\"sha256\":\"00\",\"size\":7}}\n");
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	keep(other, "backup_id");
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "succeed");
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	keep(backup, "backup_id");
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "succeed");
	let_runs_say("{\"result\":{\"scan\":{\"num\":0}}}\n");
	restart(0);
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"backup_id\":\"%s\"}", node, backup);
	EXPECT(call("POST", one(uid, "/offline/key-analysis"), body) == 200, "%s", buf_text(&seen.body));
	keep(id, "task_id");
	(void)call("DELETE", part(uid, "/backups", backup), NULL);
	expect_error("its file is still to be read", 400, "DCS.4097");
	EXPECT_AT("error_msg", "An offline key analysis of the backup is unfinished.");
	EXPECT(call("DELETE", part(uid, "/backups", other), NULL) == 204, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/backups"), NULL) == 200, "backups");
	EXPECT_AT("backup_record_response/0/backup_id", backup);
	EXPECT_AT("total_num", "1");
	restart(2);
	poll_until(part(uid, "/offline/key-analysis", id), "status", "success");
	EXPECT(call("DELETE", part(uid, "/backups", backup), NULL) == 204, "%s", buf_text(&seen.body));
	dialect_end();
}

/* ---- nodes ---- */

TEST(nodes_are_shown_by_instance_group_and_project)
{
	char uid[UUID_SIZE], single[UUID_SIZE], group[64], target[512];
	begin(1);
	create_running(CREATE_HA, uid);
	create_running(CREATE_SINGLE, single);
	EXPECT(call("GET", P "/instances-logical-nodes?limit=1", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("count", "2");
	EXPECT_AT("instances/0/instance_id", single);
	EXPECT_AT("instances/0/node_count", "1");
	EXPECT_AT("instances/1", "-");
	EXPECT(call("GET", P "/instances-logical-nodes?offset=1", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instances/0/node_count", "2");
	EXPECT_AT("instances/0/nodes/0/node_type", "master");
	EXPECT_AT("instances/0/nodes/1/node_port", "6379");
	(void)call("GET", P "/instances-logical-nodes?limit=x", NULL);
	expect_error("limit", 400, "DCS.4800");
	(void)snprintf(target, sizeof target, P "/instance/%s/groups", uid);
	EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("group_count", "1");
	keep(group, "group_list/0/group_id");
	(void)snprintf(target, sizeof target, P "/instance/%s/groups/%s/group-nodes-state", uid, group);
	EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(json_is_array(seen.json) && json_array_size(seen.json) == 2, "%s", buf_text(&seen.body));
	EXPECT_AT("0/replication_role", "master");
	EXPECT_AT("1/is_replication", "true");
	(void)snprintf(target, sizeof target, P "/instance/%s/groups/%s/group-nodes-state", single, group);
	(void)call("GET", target, NULL);
	expect_error("another instance's group", 400, "DCS.4063");
	dialect_end();
}

/* ---- configuration histories, whitelist ---- */

#define TIMEOUT(value) "{\"redis_config\":[{\"param_id\":\"1\",\"param_value\":\"" value "\"}]}"

TEST(changes_of_the_configuration_have_a_history)
{
	char uid[UUID_SIZE], other[UUID_SIZE], id[64];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	create_running(CREATE_SINGLE, other);
	EXPECT(call("GET", one(uid, "/config-histories"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body), "{\"history_num\":0,\"histories\":[]}") == 0, "%s", buf_text(&seen.body));
	EXPECT(call("PUT", one(uid, "/configs"), TIMEOUT("100")) == 204, "%s", buf_text(&seen.body));
	EXPECT(call("POST", one(uid, "/bigkey-task"), NULL) == 200, "%s", buf_text(&seen.body));
	let_runs_say("{\"error\":{\"code\":\"Cache.Down\",\"message\":\"no Redis\"}}\n");
	(void)call("PUT", one(uid, "/configs"), TIMEOUT("200"));
	expect_error("one that fails", 500, "DCS.4842");
	restart(0);
	EXPECT(call("PUT", one(uid, "/async-configs"), TIMEOUT("300")) == 200, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/config-histories"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("history_num", "3");
	EXPECT_AT("histories/0/status", "UPDATING");
	EXPECT_AT("histories/1/status", "FAILURE");
	EXPECT_AT("histories/2/status", "SUCCESS");
	EXPECT_AT("histories/2/type", "config_param");
	keep(id, "histories/2/history_id");
	EXPECT(format_is_uuid(id), "%s", id);
	EXPECT(call("GET", one(uid, "/config-histories?offset=2&limit=5"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("history_num", "3");
	EXPECT_AT("histories/0/history_id", id);
	EXPECT_AT("histories/1", "-");
	EXPECT(call("GET", part(uid, "/config-histories", id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("redis_config", "[{\"param_id\":\"1\",\"param_name\":\"timeout\",\"param_value\":\"100\"}]");
	(void)call("GET", part(other, "/config-histories", id), NULL);
	expect_error("another instance's", 400, "DCS.4063");
	(void)call("GET", one(uid, "/config-histories/x"), NULL);
	expect_error("no id", 400, "DCS.4063");
	EXPECT(call("GET", one(uid, "/tasks?limit=100"), NULL) == 200, "tasks");
	(void)call("GET", part(uid, "/config-histories", at("tasks/4/id")), NULL); /* CREATE */
	expect_error("another operation", 400, "DCS.4063");
	dialect_end();
}

/* ---- parameter templates ---- */

#define TEMPLATES P "/config-templates"

/* Id of the system's for that mode. */
static void system_template(const char *mode, char id[64])
{
	char target[256];
	(void)snprintf(target, sizeof target, TEMPLATES "?type=sys&engine_version=7.0&engine=Redis&cache_mode=%s",
		       mode);
	EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("template_num", "1");
	keep(id, "templates/0/template_id");
}

static const char *template_path(const char *id)
{
	static char text[256];
	(void)snprintf(text, sizeof text, TEMPLATES "/%s", id);
	return text;
}

/* One of the parameters of a template just shown; "-" it has none of that name. */
static void expect_param(const char *name, const char *value)
{
	const json_t *list = value_at("params");
	const char *seen_value = "-";

	EXPECT(json_is_array(list), "%s", buf_text(&seen.body));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		if (strcmp(json_string_value(json_object_get(p, "param_name")), name) == 0)
			seen_value = json_string_value(json_object_get(p, "param_value"));
	}
	EXPECT(strcmp(seen_value, value) == 0, "%s is %s, not %s", name, seen_value, value);
}

static void make_template(const char *source, const char *more, char id[64])
{
	char body[1024];
	(void)snprintf(body, sizeof body, "{\"template_id\":\"%s\"%s}", source, more);
	EXPECT(call("POST", TEMPLATES, body) == 200, "%s: %s", body, buf_text(&seen.body));
	keep(id, "id");
	EXPECT(format_is_uuid(id), "%s", id);
}

TEST(templates_of_the_system_are_shown_and_stay)
{
	char single[64], ha[64];
	begin(0);
	EXPECT(call("GET", TEMPLATES "?type=sys", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("template_num", "8"); /* two modes of four versions */
	EXPECT_AT("templates/0/type", "sys");
	EXPECT_AT("templates/0/engine", "Redis");
	EXPECT_AT("templates/0/created_at", "null");
	EXPECT(call("GET", TEMPLATES "?type=sys&limit=3&offset=6", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("template_num", "8");
	EXPECT(strcmp(at("templates/1"), "-") != 0 && strcmp(at("templates/2"), "-") == 0, "%s", buf_text(&seen.body));
	system_template("single", single);
	system_template("ha", ha);
	EXPECT(call("GET", template_path(ha), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("cache_mode", "ha");
	expect_param("appendonly", "yes");
	expect_param("timeout", "0");
	EXPECT_AT("params/0/param_id", "1");
	EXPECT_AT("params/0/default_value", "0");
	EXPECT_AT("params/0/value_range", "0-7200");
	EXPECT_AT("params/0/value_type", "Interger"); /* so the vendor spells it */
	EXPECT(call("GET", template_path(single), NULL) == 200, "%s", buf_text(&seen.body));
	expect_param("appendonly", "-"); /* is offered to ha only */
	expect_param("maxmemory-policy", "volatile-lru");
	(void)call("PUT", template_path(single), "{\"name\":\"mine\"}");
	expect_error("change", 400, "DCS.4063");
	EXPECT(strstr(at("error_msg"), "system"), "%s", at("error_msg"));
	(void)call("DELETE", template_path(single), NULL);
	expect_error("delete", 400, "DCS.4063");
	system_template("single", ha);
	EXPECT(strcmp(single, ha) == 0, "%s", ha);
	dialect_end();
}

TEST(templates_of_users_live_and_die)
{
	char source[64], one_id[64], two_id[64];
	begin(0);
	system_template("single", source);
	EXPECT(call("GET", TEMPLATES "?type=user", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body), "{\"template_num\":0,\"templates\":[]}") == 0, "%s", buf_text(&seen.body));
	make_template(source,
		",\"type\":\"sys\",\"name\":\"cache \xc3\xa9\",\"description\":\"d\",\"params\":{\"timeout\":\"60\","
		"\"maxmemory-policy\":\"volatile-lru\"}",
		one_id);
	make_template(one_id,
		",\"type\":\"user\",\"name\":\"copy\",\"cache_mode\":\"single\",\"engine_version\":\"7.0\","
		"\"params\":{\"slowlog-max-len\":\"9\"}",
		two_id);
	restart(0);
	EXPECT(call("GET", template_path(one_id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("name", "cache \xc3\xa9");
	EXPECT_AT("description", "d");
	EXPECT_AT("type", "user");
	EXPECT_AT("engine_version", "7.0");
	expect_param("timeout", "60");
	EXPECT(strlen(at("created_at")) == 24, "%s", at("created_at"));
	EXPECT(call("GET", template_path(two_id), NULL) == 200, "%s", buf_text(&seen.body));
	expect_param("timeout", "60");
	expect_param("slowlog-max-len", "9");
	EXPECT(call("GET", TEMPLATES "?type=user&name=op", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("template_num", "1");
	EXPECT_AT("templates/0/template_id", two_id);
	EXPECT(call("GET", TEMPLATES "?type=user&limit=1", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("template_num", "2");
	EXPECT_AT("templates/0/template_id", two_id); /* newest first */
	EXPECT(call("PUT", template_path(two_id), "{\"name\":\"other\",\"params\":{\"timeout\":\"0\"}}") == 200, "%s",
	       buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body), "{\"result\":\"success\"}") == 0, "%s", buf_text(&seen.body));
	EXPECT(call("GET", template_path(two_id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("name", "other");
	expect_param("timeout", "0");
	expect_param("slowlog-max-len", "9");
	EXPECT(call("DELETE", template_path(two_id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("result", "success");
	(void)call("DELETE", template_path(two_id), NULL);
	expect_error("twice", 400, "DCS.4988");
	(void)call("GET", template_path(two_id), NULL);
	expect_error("gone", 400, "DCS.4988");
	(void)call("PUT", template_path(two_id), "{\"name\":\"again\"}");
	expect_error("changed when gone", 400, "DCS.4988");
	EXPECT(call("GET", TEMPLATES "?type=user", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("template_num", "1");
	dialect_end();
}

TEST(templates_are_checked_like_configurations)
{
	static const struct {
		const char *more, *code;
	} row[] = {
		{ "", "DCS.4062" },	/* no name */
		{ ",\"name\":\"\"", "DCS.4062" },
		{ ",\"name\":7", "DCS.4062" },
		{ ",\"name\":\"a\\u0001\"", "DCS.4062" },
		{ ",\"name\":\"0123456789012345678901234567890123456789012345678901234567890123x\"", "DCS.4062" },
		{ ",\"name\":\"n\",\"description\":[]", "DCS.4062" },
		{ ",\"name\":\"n\",\"type\":\"system\"", "DCS.4062" },
		{ ",\"name\":\"n\",\"type\":7", "DCS.4062" },
		{ ",\"name\":\"n\",\"cache_mode\":\"ha\"", "DCS.4062" },
		{ ",\"name\":\"n\",\"engine\":\"Memcached\"", "DCS.4062" },
		{ ",\"name\":\"n\",\"engine_version\":\"5.0\"", "DCS.4062" },
		{ ",\"name\":\"n\",\"params\":[]", "DCS.4062" },
		{ ",\"name\":\"n\",\"params\":{\"timeout\":\"7201\"}", "DCS.4066" },
		{ ",\"name\":\"n\",\"params\":{\"timeout\":60}", "DCS.4066" },
		{ ",\"name\":\"n\",\"params\":{\"timeout\":null}", "DCS.4066" },
		{ ",\"name\":\"n\",\"params\":{\"appendonly\":\"yes\"}", "DCS.4066" }, /* of ha only */
		{ ",\"name\":\"n\",\"params\":{\"dir\":\"/etc\"}", "DCS.4066" },
		{ ",\"name\":\"n\",\"params\":{\"maxmemory-policy\":\"none\"}", "DCS.4066" },
	};
	static const char *const lists[] = { "", "?type=all", "?type=", "?type=user&limit=0", "?type=sys&offset=-1" };
	char source[64], id[64], body[1024], target[256];
	begin(0);
	system_template("single", source);
	FOR_EACH_ROW(i, row) {
		(void)snprintf(body, sizeof body, "{\"template_id\":\"%s\"%s}", source, row[i].more);
		(void)call("POST", TEMPLATES, body);
		expect_error(body, 400, row[i].code);
	}
	(void)call("POST", TEMPLATES, "{\"template_id\":\"" NOBODY "\",\"name\":\"n\"}");
	expect_error("no source", 400, "DCS.4063");
	(void)call("POST", TEMPLATES, "{\"name\":\"n\"}");
	expect_error("no source named", 400, "DCS.4063");
	(void)call("POST", TEMPLATES, NULL);
	expect_error("no body", 400, "DCS.4004");
	FOR_EACH_ROW(i, lists) {
		(void)snprintf(target, sizeof target, TEMPLATES "%s", lists[i]);
		(void)call("GET", target, NULL);
		expect_error(lists[i], 400, "DCS.4800");
	}
	EXPECT(call("GET", TEMPLATES "?type=user", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("template_num", "0"); /* nothing was made */
	for (int i = 0; i < 100; i++)
		make_template(source, ",\"name\":\"n\",\"params\":{\"timeout\":\"1\"}", id);
	(void)snprintf(body, sizeof body, "{\"template_id\":\"%s\",\"name\":\"n\"}", source);
	(void)call("POST", TEMPLATES, body);
	expect_error("one too many", 400, "DCS.4039");
	(void)call("PUT", template_path(id), "{\"params\":{\"timeout\":\"x\"},\"name\":\"m\"}");
	expect_error("a change", 400, "DCS.4066");
	EXPECT(call("GET", template_path(id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("name", "n");
	expect_param("timeout", "1");
	dialect_end();
}

#define CREATE_FROM                                                                                                    \
	"{\"name\":\"dcs-one\",\"capacity\":0.125,\"spec_code\":\"redis.single.xu1.tiny.128\","                        \
	"\"no_password_access\":true,\"template_id\":\"%s\"" REST "}"

TEST(an_instance_begins_with_its_template)
{
	char source[64], id[64], body[1024], uid[UUID_SIZE];
	begin(1);
	system_template("ha", source);
	make_template(source, ",\"name\":\"of ha\"", id);
	(void)snprintf(body, sizeof body, CREATE_FROM, id);
	(void)call("POST", ALL, body);
	expect_error("of another mode", 400, "DCS.4063");
	(void)snprintf(body, sizeof body, CREATE_FROM, NOBODY);
	(void)call("POST", ALL, body);
	expect_error("unknown", 400, "DCS.4063");
	EXPECT(call("GET", ALL, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instance_num", "0");
	(void)snprintf(body, sizeof body, CREATE_FROM, "11"); /* the cloud's own have such ids */
	create_running(body, uid);
	EXPECT(call("GET", one(uid, "/configs"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("redis_config/0/param_value", "0");
	system_template("single", source);
	make_template(source, ",\"name\":\"lfu\",\"params\":{\"maxmemory-policy\":\"allkeys-lfu\",\"timeout\":\"77\"}",
		      id);
	(void)snprintf(body, sizeof body, CREATE_FROM, id);
	create_running(body, uid);
	EXPECT(call("GET", one(uid, "/configs"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("redis_config/0/param_value", "77");
	EXPECT(call("DELETE", template_path(id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/configs"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("redis_config/0/param_value", "77"); /* the instance keeps them */
	dialect_end();
}

#define LIST(enabled, addresses)                                                                                       \
	"{\"enable_whitelist\":" enabled ",\"whitelist\":[{\"group_name\":\"g\",\"ip_list\":[" addresses "]}]}"
#define GROUPS                                                                                                         \
	"[{\"group_name\":\"b\",\"ip_list\":[\"10.0.0.1, 10.0.0.0/8\",\"2001:db8::1\"]},"                              \
	"{\"group_name\":\"a \\\" \xc3\xa9\",\"ip_list\":[]}]"
#define FIVE_GROUPS "[" G "," G "," G "," G "," G "]"
#define G "{\"group_name\":\"g\",\"ip_list\":[]}"

static void expect_whitelist(const char *uid, const char *is_enabled, const char *groups)
{
	EXPECT(call("GET", one(uid, "/whitelist"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("enable_whitelist", is_enabled);
	EXPECT_AT("whitelist", groups);
	EXPECT_AT("whitelist_ip_limit_num", "20");
}

static void expect_n_tasks(const char *uid, const char *n)
{
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("task_count", n);
}

TEST(a_whitelist_is_kept_as_it_was_given)
{
	char uid[UUID_SIZE], other[UUID_SIZE], target[256];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	create_running(CREATE_HA, other);
	expect_whitelist(uid, "false", "[]");
	(void)snprintf(target, sizeof target, P "/instance/%s/whitelist", uid);
	EXPECT(call("PUT", target, "{\"enable_whitelist\":true,\"whitelist\":" GROUPS ",\"x\":1}") == 204, "%s",
	       buf_text(&seen.body));
	expect_whitelist(uid, "true", GROUPS);
	expect_whitelist(other, "false", "[]");
	expect_n_tasks(uid, "2");
	EXPECT_AT("tasks/0/name", "AddWhitelist");
	EXPECT_AT("tasks/0/status", "SUCCESS");
	restart(1);
	expect_whitelist(uid, "true", GROUPS);
	let_runs_say("{\"error\":{\"code\":\"Cache.Down\",\"message\":\"no Redis\"}}\n");
	(void)call("PUT", target, LIST("false", "\"10.0.0.2\""));
	expect_error("one that fails", 500, "DCS.4842");
	expect_whitelist(uid, "true", GROUPS);
	let_runs_say("{\"result\":{}}\n");
	EXPECT(call("PUT", one(uid, "/whitelist-async"), LIST("false", "\"10.0.0.2\"")) == 200, "%s",
	       buf_text(&seen.body));
	(void)snprintf(target, sizeof target, P "/jobs/%s", at("job_id"));
	poll_until(target, "status", "SUCCESS");
	EXPECT_AT("job_type", "AddWhitelist");
	expect_whitelist(uid, "false", "[{\"group_name\":\"g\",\"ip_list\":[\"10.0.0.2\"]}]");
	EXPECT(call("PUT", one(uid, "/whitelist"), "{\"enable_whitelist\":true,\"whitelist\":[]}") == 204, "%s",
	       buf_text(&seen.body));
	expect_whitelist(uid, "true", "[]");
	restart(0);
	EXPECT(call("PUT", one(uid, "/whitelist-async"), LIST("true", "\"10.0.0.3\"")) == 200, "%s",
	       buf_text(&seen.body));
	expect_whitelist(uid, "true", "[]"); /* until it was done */
	(void)call("PUT", one(uid, "/whitelist"), LIST("true", "\"10.0.0.4\""));
	expect_error("another is under way", 400, "DCS.4026");
	restart(1);
	poll_until(one(uid, "/whitelist"), "whitelist", "[{\"group_name\":\"g\",\"ip_list\":[\"10.0.0.3\"]}]");
	dialect_end();
}

TEST(a_whitelist_that_breaks_the_rules_changes_nothing)
{
	enum { LONG = 9 << 10 };
	static char one_long[4096 + LONG], long_name[256];
	char uid[UUID_SIZE], target[256];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	(void)snprintf(target, sizeof target, P "/instance/%s/whitelist", uid);
	EXPECT(call("PUT", target, LIST("true", "\"1,2,3,4,5,6,7,8,9,10\",\"0.0.0.0/8, 2,3,4,5,6,7,8,9,10\"")) == 204,
	       "%s", buf_text(&seen.body));
	(void)snprintf(one_long, sizeof one_long, LIST("true", "\"%*s10.0.0.1\""), LONG, "");
	(void)snprintf(long_name, sizeof long_name,
		       "{\"enable_whitelist\":true,\"whitelist\":[{\"group_name\":\"%065d\",\"ip_list\":[]}]}", 0);
	const struct {
		const char *body, *code, *says;
	} row[] = {
		{ "", "DCS.4004", "Empty" },
		{ "{}", "DCS.4800", "enable_whitelist" },
		{ "{\"enable_whitelist\":\"true\",\"whitelist\":[]}", "DCS.4800", "enable_whitelist" },
		{ "{\"enable_whitelist\":true}", "DCS.4800", "whitelist" },
		{ "{\"enable_whitelist\":true,\"whitelist\":{}}", "DCS.4800", "whitelist" },
		{ "{\"enable_whitelist\":true,\"whitelist\":[7]}", "DCS.4800", "whitelist" },
		{ "{\"enable_whitelist\":true,\"whitelist\":" FIVE_GROUPS "}", "DCS.4800", "whitelist" },
		{ "{\"enable_whitelist\":true,\"whitelist\":[{\"group_name\":\"g\"}]}", "DCS.4800", "whitelist" },
		{ "{\"enable_whitelist\":true,\"whitelist\":[{\"ip_list\":[]}]}", "DCS.4800", "whitelist" },
		{ "{\"enable_whitelist\":true,\"whitelist\":[{\"group_name\":\"\",\"ip_list\":[]}]}", "DCS.4800",
		  "whitelist" },
		{ long_name, "DCS.4800", "whitelist" },
		{ one_long, "DCS.4800", "whitelist" },
		{ LIST("true", "\"10.0.0.1,0.0.0.0\""), "DCS.4800", "whitelist" },
		{ LIST("false", "\"0.0.0.0/0\""), "DCS.4800", "whitelist" },
		{ LIST("true", "\"1,2,3,4,5,6,7,8,9,10,11\",\"1,2,3,4,5,6,7,8,9,10\""), "DCS.4800", "whitelist" },
		{ LIST("true", "7"), "DCS.4062", "ip_list" },
		{ "{\"enable_whitelist\":true,\"whitelist\":[],\"instance_id\":7}", "DCS.4062", "instance_id" },
	};
	FOR_EACH_ROW(i, row) {
		(void)call("PUT", target, row[i].body);
		expect_error(row[i].body, 400, row[i].code);
		EXPECT(strstr(at("error_msg"), row[i].says), "%s: %s", row[i].body, at("error_msg"));
		(void)call("PUT", one(uid, "/whitelist-async"), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	expect_whitelist(uid, "true",
			 "[{\"group_name\":\"g\",\"ip_list\":[\"1,2,3,4,5,6,7,8,9,10\","
			 "\"0.0.0.0/8, 2,3,4,5,6,7,8,9,10\"]}]");
	expect_n_tasks(uid, "2");
	dialect_end();
}

/* ---- diagnosis ---- */

/* The body of a request whose window ends ago_ms ago and is span_ms long; more: further members. */
static const char *window(int64_t ago_ms, int64_t span_ms, const char *more)
{
	static char text[16][256];
	static unsigned turn;
	char *out = text[turn++ % 16];
	long long end_ms = clock_wall_ms() - ago_ms;

	(void)snprintf(out, sizeof text[0], "{\"begin_time\":\"%lld\",\"end_time\":\"%lld\"%s}",
		       end_ms - (long long)span_ms, end_ms, more);
	return out;
}

/* Until a window of some milliseconds fits behind the instance's beginning. */
static void grow_older(const char *uid)
{
	for (int64_t until = clock_wall_ms() + 20; clock_wall_ms() < until;)
		EXPECT(call("GET", one(uid, ""), NULL) == 200, "%s", buf_text(&seen.body));
}

static void create_old_enough(const char *body, char uid[UUID_SIZE])
{
	create_running(body, uid);
	grow_older(uid);
}

static const char *report_target(const char *id)
{
	static char text[4][256];
	static unsigned turn;
	char *out = text[turn++ % 4];
	(void)snprintf(out, sizeof text[0], P "/diagnosis/%s", id);
	return out;
}

static void ask_diagnosis(const char *uid, const char *more, char id[64])
{
	EXPECT(call("POST", one(uid, "/diagnosis"), window(0, 5, more)) == 200, "%s", buf_text(&seen.body));
	EXPECT(json_object_size(seen.json) == 1, "%s", buf_text(&seen.body));
	keep(id, "report_id");
	EXPECT(format_is_uuid(id), "%s", id);
}

#define FOUND                                                                                                          \
	"{\"result\":{\"scan\":{\"nodes\":[{\"node_ip\":\"10.0.0.1:6379\",\"role\":\"slave\",\"abnormal_sum\":2,"      \
	"\"failed_sum\":1,"                                                                                            \
	"\"diagnosis_dimension_list\":[{\"name\":\"load\"}],\"command_time_taken_list\":{\"total_num\":1,"             \
	"\"command_list\":[{\"calls_sum\":2147483648}]}}],"                                                          \
	"\"num\":1002}}}\n"

TEST(a_diagnosis_waits_runs_and_is_reported)
{
	char uid[UUID_SIZE], id[64], second[64];
	begin(1);
	create_old_enough(CREATE_HA, uid);
	EXPECT(call("GET", one(uid, "/diagnosis"), NULL) == 200, "none");
	EXPECT(strcmp(buf_text(&seen.body), "{\"total_num\":0,\"diagnosis_report_list\":[]}") == 0, "%s",
	       buf_text(&seen.body));
	restart(0);
	ask_diagnosis(uid, "", id);
	EXPECT(call("GET", one(uid, "/diagnosis"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("total_num", "1");
	EXPECT_AT("diagnosis_report_list/0/report_id", id);
	EXPECT_AT("diagnosis_report_list/0/status", "diagnosing");
	EXPECT_AT("diagnosis_report_list/0/node_num", "2");
	EXPECT_AT("diagnosis_report_list/0/abnormal_item_sum", "0");
	EXPECT_AT("diagnosis_report_list/0/failed_item_sum", "0");
	EXPECT(strlen(at("diagnosis_report_list/0/begin_time")) == 24 &&
		       strlen(at("diagnosis_report_list/0/created_at")) == 24,
	       "%s", buf_text(&seen.body));
	EXPECT(call("GET", report_target(id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body),
		      "{\"abnormal_item_sum\":0,\"failed_item_sum\":0,\"diagnosis_node_report_list\":[]}") == 0,
	       "%s", buf_text(&seen.body));
	(void)call("POST", one(uid, "/diagnosis"), window(0, 5, ""));
	expect_error("a second one", 400, "DCS.4026");
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/name", "Diagnosis");
	let_runs_say(FOUND);
	restart(1);
	poll_until(one(uid, "/diagnosis"), "diagnosis_report_list/0/status", "finished");
	EXPECT_AT("diagnosis_report_list/0/abnormal_item_sum", "2");
	EXPECT_AT("diagnosis_report_list/0/failed_item_sum", "1");
	EXPECT(call("GET", report_target(id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("abnormal_item_sum", "2");
	EXPECT_AT("failed_item_sum", "1");
	EXPECT_AT("diagnosis_node_report_list/0/node_ip", "10.0.0.1:6379");
	EXPECT_AT("diagnosis_node_report_list/0/role", "slave");
	EXPECT_AT("diagnosis_node_report_list/0/az_code", "stint-1");
	EXPECT_AT("diagnosis_node_report_list/0/group_name", "group-0");
	EXPECT_AT("diagnosis_node_report_list/0/abnormal_sum", "2");
	EXPECT_AT("diagnosis_node_report_list/0/diagnosis_dimension_list/0/name", "load");
	EXPECT_AT("diagnosis_node_report_list/0/command_time_taken_list/total_num", "1");
	EXPECT_AT("diagnosis_node_report_list/0/command_time_taken_list/command_list/0/calls_sum", "2147483647");
	EXPECT_AT("diagnosis_node_report_list/0/command_time_taken_list/command_list/0/calls_sum_text", "2147483648");
	ask_diagnosis(uid, "", second);
	EXPECT(call("GET", one(uid, "/diagnosis?limit=1"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("total_num", "2");
	EXPECT_AT("diagnosis_report_list/0/report_id", second);
	EXPECT_AT("diagnosis_report_list/1", "-");
	(void)call("GET", one(uid, "/diagnosis?limit=0"), NULL);
	expect_error("no page", 400, "DCS.4800");
	dialect_end();
}

/* Not the nodes but the task: no item of any node was judged. */
TEST(a_diagnosis_that_fails_is_finished_with_failed_items)
{
	char uid[UUID_SIZE], id[64];
	begin(1);
	create_old_enough(CREATE_HA, uid);
	let_runs_say("{\"error\":{\"code\":\"Cache.Down\",\"message\":\"no Redis\"}}\n");
	ask_diagnosis(uid, "", id);
	poll_until(one(uid, "/diagnosis"), "diagnosis_report_list/0/status", "finished");
	EXPECT_AT("diagnosis_report_list/0/abnormal_item_sum", "0");
	EXPECT_AT("diagnosis_report_list/0/failed_item_sum", "18");
	EXPECT(call("GET", report_target(id), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("failed_item_sum", "18");
	EXPECT_AT("diagnosis_node_report_list/0/role", "master");
	EXPECT_AT("diagnosis_node_report_list/1/role", "slave");
	EXPECT_AT("diagnosis_node_report_list/1/failed_sum", "9");
	EXPECT_AT("diagnosis_node_report_list/1/diagnosis_dimension_list/2/diagnosis_item_list/1/name",
		  "rx_controlled");
	EXPECT_AT("diagnosis_node_report_list/1/diagnosis_dimension_list/2/diagnosis_item_list/1/result", "failed");
	EXPECT_AT("diagnosis_node_report_list/1/command_time_taken_list/result", "failed");
	EXPECT_AT("diagnosis_node_report_list/2", "-");
	dialect_end();
}

/* The file the child got: the engine's own words for what was asked. */
static void read_task_file(void)
{
	char path[4200];
	struct buf text;
	struct err err = { 0 };

	(void)snprintf(path, sizeof path, "%s/task.json", data_dir);
	buf_init(&text, 1 << 20);
	EXPECT(file_read(path, &text, &err) == RC_OK, "%s", err.msg);
	json_decref(seen.json);
	seen.json = json_loadb(buf_text(&text), text.len, 0, NULL);
	buf_fini(&text);
}

TEST(a_diagnosis_asks_the_nodes_that_are_named)
{
	char uid[UUID_SIZE], id[64], host[64], more[256];
	begin(1);
	create_old_enough(CREATE_HA, uid);
	EXPECT(call("GET", one(uid, "/logical-nodes"), NULL) == 200, "%s", buf_text(&seen.body));
	for (int i = 0; i < 2; i++) {
		(void)snprintf(more, sizeof more, "nodes/%d/node_type", i);
		if (strcmp(at(more), "slave") != 0)
			continue;
		(void)snprintf(more, sizeof more, "nodes/%d/node_ip", i);
		keep(host, more);
	}
	let_runs_say(FOUND);
	(void)snprintf(more, sizeof more, ",\"node_ip_list\":[\"%s\",\"%s:6379\"]", host, host);
	ask_diagnosis(uid, more, id);
	poll_until(one(uid, "/diagnosis"), "diagnosis_report_list/0/status", "finished");
	EXPECT_AT("diagnosis_report_list/0/node_num", "1"); /* both are the same */
	read_task_file();
	(void)snprintf(more, sizeof more, "%s:6379", host);
	EXPECT_AT("parameters/args/nodes/0/node_ip", more);
	EXPECT_AT("parameters/args/nodes/0/role", "slave");
	EXPECT_AT("parameters/args/nodes/1", "-");
	EXPECT_AT("parameters/args/bandwidth", "5000000"); /* 40 Mbit/s, as the flavor has it */
	ask_diagnosis(uid, ",\"node_ip_list\":[]", id);
	poll_until(one(uid, "/diagnosis"), "diagnosis_report_list/0/status", "finished");
	EXPECT_AT("diagnosis_report_list/0/node_num", "2");
	dialect_end();
}

TEST(a_diagnosis_is_refused_by_the_contracts_codes)
{
	char uid[UUID_SIZE];
	begin(1);
	create_old_enough(CREATE_SINGLE, uid);
	enum { S = 1000, MINUTE = 60 * S, DAY = 24 * 60 * MINUTE };
	const struct {
		const char *body, *code, *says;
	} row[] = {
		{ "", "DCS.4004", "Empty" },
		{ "[]", "DCS.4005", "JSON" },
		{ "{}", "DCS.4062", "begin_time" },
		{ "{\"begin_time\":\"x\",\"end_time\":\"1684191545379\"}", "DCS.4062", "begin_time" },
		{ "{\"begin_time\":\"1684191545379\"}", "DCS.4062", "end_time" },
		{ "{\"begin_time\":\"1684191545379\",\"end_time\":true}", "DCS.4062", "end_time" },
		{ "{\"begin_time\":\"-5\",\"end_time\":\"5\"}", "DCS.4062", "begin_time" },
		{ "{\"begin_time\":\"9223372036854775808\",\"end_time\":\"5\"}", "DCS.4062", "begin_time" },
		{ window(0, 0, ""), "DCS.4025", "after" },
		{ window(0, -1, ""), "DCS.4025", "after" },
		{ window(0, 10 * MINUTE + 1, ""), "DCS.4028", "10 minutes" },
		{ window(-MINUTE, 2 * MINUTE, ""), "DCS.4031", "current time" },
		{ window(7 * (int64_t)DAY, MINUTE, ""), "DCS.4030", "7 days" },
		{ window(7 * (int64_t)DAY - 5 * MINUTE, MINUTE, ""), "DCS.4033", "was started" },
		{ window(0, 10 * MINUTE, ""), "DCS.4033", "was started" },
		{ window(0, 5, ",\"node_ip_list\":\"10.0.0.1\""), "DCS.4062", "node_ip_list" },
		{ window(0, 5, ",\"node_ip_list\":[7]"), "DCS.4062", "node_ip_list" },
		{ window(0, 5, ",\"node_ip_list\":[\"10.255.0.1\"]"), "DCS.4062", "node_ip_list" },
	};
	FOR_EACH_ROW(i, row) {
		(void)call("POST", one(uid, "/diagnosis"), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
		EXPECT(strstr(at("error_msg"), row[i].says), "%s: %s", row[i].body, at("error_msg"));
	}
	EXPECT(call("GET", one(uid, "/diagnosis"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("total_num", "0");
	(void)call("POST", one(NOBODY, "/diagnosis"), window(0, 5, ""));
	expect_error("no instance", 404, "DCS.3022");
	(void)call("GET", report_target(NOBODY), NULL);
	expect_error("no report", 400, "DCS.4063");
	(void)call("GET", report_target("x"), NULL);
	expect_error("no id", 400, "DCS.4063");
	restart(0);
	create(CREATE_SINGLE, uid);
	grow_older(uid);
	(void)call("POST", one(uid, "/diagnosis"), window(0, 5, ""));
	expect_error("being created", 400, "DCS.4118");
	dialect_end();
}

TEST(reports_are_deleted_by_their_ids)
{
	char uid[UUID_SIZE], other[UUID_SIZE], id[2][64], waiting[64], body[512];
	begin(1);
	create_old_enough(CREATE_SINGLE, uid);
	create_old_enough(CREATE_HA, other);
	let_runs_say(FOUND);
	for (int i = 0; i < 2; i++) {
		ask_diagnosis(uid, "", id[i]);
		poll_until(one(uid, "/diagnosis"), "diagnosis_report_list/0/status", "finished");
	}
	restart(0);
	ask_diagnosis(uid, "", waiting);
	static const char *const bad[] = { "{}", "{\"report_id_list\":[]}", "{\"report_id_list\":\"x\"}",
					   "{\"report_id_list\":[7]}" };
	FOR_EACH_ROW(i, bad) {
		(void)call("DELETE", one(uid, "/diagnosis"), bad[i]);
		expect_error(bad[i], 400, "DCS.4062");
	}
	(void)snprintf(body, sizeof body, "{\"report_id_list\":[\"%s\"]}", id[0]);
	EXPECT(call("DELETE", one(other, "/diagnosis"), body) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("results/0/result", "failed"); /* another instance's */
	EXPECT(call("GET", "/v2/b4d31cb63d7244fdbec96e3a41e47f71/diagnosis/" NOBODY, NULL) == 400, "%s",
	       buf_text(&seen.body));
	(void)snprintf(body, sizeof body, "/v2/b4d31cb63d7244fdbec96e3a41e47f71/diagnosis/%s", id[0]);
	(void)call("GET", body, NULL);
	expect_error("another project's", 400, "DCS.4063");
	EXPECT(call("GET", one(uid, "/diagnosis"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("total_num", "3");
	(void)snprintf(body, sizeof body, "{\"report_id_list\":[\"%s\",\"%s\",\"x\",\"%s\"]}", id[1], waiting, id[1]);
	EXPECT(call("DELETE", one(uid, "/diagnosis"), body) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("results/0/id", id[1]);
	EXPECT_AT("results/0/result", "success");
	EXPECT_AT("results/1/id", waiting);
	EXPECT_AT("results/1/result", "failed"); /* not over */
	EXPECT_AT("results/2/result", "failed");
	EXPECT_AT("results/3/result", "failed"); /* gone by now */
	EXPECT_AT("results/4", "-");
	EXPECT(call("GET", one(uid, "/diagnosis"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("total_num", "2");
	EXPECT_AT("diagnosis_report_list/0/report_id", waiting);
	EXPECT_AT("diagnosis_report_list/1/report_id", id[0]);
	(void)call("GET", report_target(id[1]), NULL);
	expect_error("gone", 400, "DCS.4063");
	dialect_end();
}

/* ---- questions to Redis ---- */

TEST(questions_are_checked_before_redis_is_asked)
{
	char uid[UUID_SIZE], node[64] = "", body[256];
	begin(1);
	create_running(CREATE_HA, uid);
	node_of(uid, "master", node);
#define T "/slowlog?start_time=1000&end_time=2000"
	const struct {
		const char *method, *rest, *body, *code;
	} row[] = {
		{ "GET", "/slowlog", NULL, "DCS.4800" },
		{ "GET", "/slowlog?start_time=1000", NULL, "DCS.4800" },
		{ "GET", "/slowlog?end_time=1000", NULL, "DCS.4800" },
		{ "GET", "/slowlog?start_time=x&end_time=2000", NULL, "DCS.4800" },
		{ "GET", "/slowlog?start_time=-1&end_time=2000", NULL, "DCS.4800" },
		{ "GET", "/slowlog?start_time=2001&end_time=2000", NULL, "DCS.4025" },
		{ "GET", T "&limit=0", NULL, "DCS.4800" },
		{ "GET", T "&sort_key=id", NULL, "DCS.4800" },
		{ "GET", T "&sort_dir=up", NULL, "DCS.4800" },
		{ "GET", T "&role=proxy", NULL, "DCS.4800" },
		{ "GET", "/clients?node_id=x", NULL, "DCS.3053" },
		{ "GET", "/clients?sort=qbuf-free", NULL, "DCS.4800" },
		{ "GET", "/clients?order=up", NULL, "DCS.4800" },
		{ "GET", "/clients?offset=-1", NULL, "DCS.4800" },
		{ "POST", "/clients", NULL, "DCS.4004" },
		{ "POST", "/clients", "{}", "DCS.4062" },
		{ "POST", "/clients", "{\"node_id\":\"x\"}", "DCS.3053" },
		{ "POST", "/clients/kill", "{\"node_id\":5,\"client_addrs\":[\"a\"]}", "DCS.4062" },
		{ "POST", "/clients/kill", "{\"node_id\":\"x\",\"client_addrs\":[\"a\"]}", "DCS.3053" },
		{ "POST", "/clients/kill-all", "{}", "DCS.4062" },
		{ "POST", "/clients/kill-all", "{\"kill_all_nodes\":1}", "DCS.4062" },
		{ "POST", "/clients/kill-all", "{\"kill_all_nodes\":false}", "DCS.4062" },
		{ "POST", "/clients/kill-all", "{\"node_id\":\"x\"}", "DCS.3053" },
	};
	FOR_EACH_ROW(i, row) {
		(void)call(row[i].method, one(uid, row[i].rest), row[i].body);
		expect_error(row[i].rest, 400, row[i].code);
	}
	const char *const addrs[] = { "null", "[]", "7", "{}", "[7]", "[\"a\",\"\"]" };
	FOR_EACH_ROW(i, addrs) {
		(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"client_addrs\":%s}", node, addrs[i]);
		(void)call("POST", one(uid, "/clients/kill"), body);
		expect_error(body, 400, "DCS.4062");
	}
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"clean_cache\":true}", node);
	EXPECT(call("POST", one(uid, "/clients"), body) == 200, "%s", buf_text(&seen.body));
	/* Nothing listens there: the script made no Redis. */
	(void)call("GET", one(uid, T), NULL);
	expect_error("slow log", 400, "DCS.4049");
	(void)call("GET", one(uid, "/clients"), NULL);
	expect_error("clients", 400, "DCS.4049");
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"client_addrs\":[\"127.0.0.1:1\"]}", node);
	(void)call("POST", one(uid, "/clients/kill"), body);
	expect_error("kill", 400, "DCS.4049");
	restart(0);
	create(CREATE_SINGLE, uid);
	(void)call("GET", one(uid, T), NULL);
	expect_error("being created", 400, "DCS.4118");
	dialect_end();
}

TEST(no_request_makes_a_server_error)
{
	static const struct {
		const char *method, *rest;
	} target[] = {
		{ "POST", "/bigkey-task" }, { "POST", "/hotkey-task" }, { "POST", "/auto-expire/scan" },
		{ "POST", "/scan-expire-keys-task" }, { "POST", "/offline/key-analysis" }, { "POST", "/clients" },
		{ "POST", "/clients/kill" }, { "POST", "/clients/kill-all" }, { "PUT", "/whitelist" },
		{ "PUT", "/whitelist-async" }, { "DELETE", "/bigkey-task/%s" }, { "GET", "/hotkey-task/%s" },
		{ "DELETE", "/offline/key-analysis/%s" }, { "GET", "/config-histories/%s" },
		{ "PUT", "/bigkey/autoscan" }, { "PUT", "/hotkey/autoscan" },
		{ "PUT", "/scan-expire-keys/autoscan-config" },
		{ "GET", "/groups/%s/group-nodes-state" }, { "POST", "/diagnosis" }, { "DELETE", "/diagnosis" },
	};
	static const char *const bodies[] = {
		"", "null", "7", "\"x\"", "[]", "{", "{\"node_id\":[]}", "{\"node_id\":{},\"backup_id\":[]}",
		"{\"node_id\":\"\",\"client_addrs\":{}}", "{\"node_id\":null,\"kill_all_nodes\":null}",
		"{\"begin_time\":[],\"end_time\":{}}", "{\"report_id_list\":[[]]}", "{\"report_id_list\":{}}",
		"{\"enable_whitelist\":1,\"whitelist\":[1]}", "{\"enable_whitelist\":true,\"whitelist\":[[]]}",
	};
	static const char *const ids[] = { "%00", "x", NOBODY, "%ff%fe", "99999999999999999999999999999999", "'--" };
	char uid[UUID_SIZE];
	begin(1);
	create_running(CREATE_SINGLE, uid);
	restart(0);
	FOR_EACH_ROW(i, target) {
		FOR_EACH_ROW(k, bodies) {
			char rest[256];
			const char *mark = strstr(target[i].rest, "%s");
			(void)snprintf(rest, sizeof rest, "%.*s%s%s", (int)(mark ? mark - target[i].rest : 99),
				       target[i].rest, mark ? ids[k % ARRAY_LEN(ids)] : "", mark ? mark + 2 : "");
			int status = call(target[i].method, one(uid, rest), bodies[k]);
			EXPECT(status < 500, "%s %s %s: %d", target[i].method, rest, bodies[k], status);
		}
	}
	dialect_end();
}

/* ---- with the real child ---- */

#define STINT TEST_BUILD_DIR "/stint"

static bool has_redis(void)
{
	return access(STINT, X_OK) == 0 && access("/usr/bin/redis-server", X_OK) == 0;
}

static void drop(const char *uid)
{
	char body[64 + UUID_SIZE];
	(void)snprintf(body, sizeof body, "{\"instances\":[\"%s\"]}", uid);
	for (int64_t until = clock_mono_ms() + 20000; clock_mono_ms() < until;) {
		if (call("DELETE", ALL, body) == 200 && strcmp(at("results/0/result"), "success") == 0)
			break;
	}
	EXPECT_AT("results/0/result", "success");
	poll_until(P "/tasks?limit=1", "tasks/0/status", "SUCCESS");
}

static int connect_to(const char *ip)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(6379) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(inet_pton(AF_INET, ip, &server.sin_addr) == 1, "%s", ip);
	EXPECT(connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "%s", ip);
	return fd;
}

/* A client of our own is listed with the contract's types, and gone when it is to be. */
static void see_and_kill_one(const char *uid, const char *master)
{
	static const char *const integers[] = { "age",  "idle",      "sub", "psub", "multi",
						"qbuf", "qbuf_free", "obl", "oll",  "omem" };
	static const char *const texts[] = { "id", "addr", "fd", "name", "cmd", "db", "flags", "events", "user" };
	char body[256], pong[16] = "";
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "%s", buf_text(&seen.body));
	int fd = connect_to(at("ip"));
	EXPECT(write(fd, "PING\r\n", 6) == 6 && read(fd, pong, sizeof pong - 1) == 7, "%s", pong);
	EXPECT(call("GET", one(uid, "/clients?sort=age&order=desc"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("count", "1");
	FOR_EACH_ROW(i, integers)
		EXPECT(json_is_integer(json_object_get(value_at("clients/0"), integers[i])), "%s: %s", integers[i],
		       buf_text(&seen.body));
	FOR_EACH_ROW(i, texts)
		EXPECT(json_is_string(json_object_get(value_at("clients/0"), texts[i])), "%s: %s", texts[i],
		       buf_text(&seen.body));
	EXPECT_AT("clients/0/cmd", "ping");
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"client_addrs\":[\"%s\"]}", master,
		       at("clients/0/addr"));
	EXPECT(call("GET", one(uid, "/clients?addr=10.1.2.3"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("count", "0");
	EXPECT(call("POST", one(uid, "/clients/kill"), body) == 204, "%s", buf_text(&seen.body));
	EXPECT(read(fd, pong, sizeof pong) == 0, "still connected");
	(void)close(fd);
	EXPECT(call("GET", one(uid, "/clients"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("count", "0");
}

static void kill_all(const char *uid, const char *body)
{
	char job[256];
	EXPECT(call("POST", one(uid, "/clients/kill-all"), body) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(job, sizeof job, P "/jobs/%s", at("job_id"));
	poll_until(job, "status", "SUCCESS");
	EXPECT_AT("job_type", "KillClients");
}

static void kill_connected(const char *uid, const char *body)
{
	char pong[16];
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "%s", buf_text(&seen.body));
	int fd = connect_to(at("ip"));
	EXPECT(write(fd, "PING\r\n", 6) == 6 && read(fd, pong, sizeof pong) == 7, "not served");
	kill_all(uid, body);
	EXPECT(read(fd, pong, sizeof pong) == 0, "still connected");
	(void)close(fd);
}

static void expect_statistic(const char *uid)
{
	static const char *const integers[] = { "keys", "used_memory", "max_memory", "cmd_get_count", "cmd_set_count" };
	static const char *const texts[] = { "input_kbps", "output_kbps", "used_cpu" };
	EXPECT_AT("statistics/0/instance_id", uid);
	FOR_EACH_ROW(i, integers)
		EXPECT(json_is_integer(json_object_get(value_at("statistics/0"), integers[i])), "%s", integers[i]);
	FOR_EACH_ROW(i, texts)
		EXPECT(json_is_string(json_object_get(value_at("statistics/0"), texts[i])), "%s", texts[i]);
}

TEST(redis_itself_is_asked)
{
	char uid[UUID_SIZE], master[64] = "", slave[64] = "", body[256];
	if (!has_redis()) {
		printf("skipped redis_itself_is_asked: no stint or no redis-server\n");
		return;
	}
	dialect_make_dir();
	(void)snprintf(child, sizeof child, "%s", STINT);
	start(1);
	create_running(CREATE_HA, uid);
	node_of(uid, "master", master);
	node_of(uid, "slave", slave);
	EXPECT(call("PUT", one(uid, "/configs"),
		    "{\"redis_config\":[{\"param_name\":\"slowlog-log-slower-than\",\"param_value\":\"0\"}]}") == 204,
	       "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/clients"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("count", "0"); /* our own connection does not show */
	EXPECT(strlen(at("time")) == 24, "%s", at("time"));
#define ALL_TIMES "/slowlog?start_time=0&end_time=99999999999999"
	EXPECT(call("GET", one(uid, ALL_TIMES "&limit=3"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("count", "3");
	EXPECT(json_integer_value(value_at("total_num")) > 3, "%s", at("total_num"));
	EXPECT(json_is_integer(value_at("slowlogs/0/id")) && json_is_string(value_at("slowlogs/0/duration")), "%s",
	       buf_text(&seen.body));
	EXPECT(strlen(at("slowlogs/0/start_time")) == 20 && *at("slowlogs/0/command"), "%s", buf_text(&seen.body));
	EXPECT(strcmp(at("slowlogs/0/start_time"), at("slowlogs/2/start_time")) >= 0, "newest first: %s",
	       buf_text(&seen.body));
	EXPECT(call("GET", one(uid, ALL_TIMES "&role=slave&sort_dir=asc"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("slowlogs/0/node_role", "slave");
	EXPECT_AT("slowlogs/0/id", "0"); /* oldest first */
	EXPECT_AT("slowlogs/1/id", "1");
	EXPECT(call("GET", one(uid, ALL_TIMES "&sort_key=duration&limit=1"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("count", "1");
	EXPECT(call("GET", one(uid, "/slowlog?start_time=1000&end_time=2000"), NULL) == 200, "%s",
	       buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body), "{\"total_num\":0,\"count\":0,\"slowlogs\":[]}") == 0, "%s",
	       buf_text(&seen.body));
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\",\"client_addrs\":[\"127.0.0.1:1\",\"127.0.0.1:2\"]}",
		       master);
	EXPECT(call("POST", one(uid, "/clients/kill"), body) == 204, "%s", buf_text(&seen.body));
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\"}", slave);
	kill_all(uid, body);
	see_and_kill_one(uid, master);
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\"}", master);
	kill_connected(uid, body);
	kill_connected(uid, "{\"kill_all_nodes\":true}");
	EXPECT(call("PUT", one(uid, "/configs"), CONFIG("allkeys-lfu")) == 204, "%s", buf_text(&seen.body));
	EXPECT(call("POST", one(uid, "/hotkey-task"), NULL) == 200, "%s", buf_text(&seen.body));
	poll_until(part(uid, "/hotkey-task", at("id")), "status", "success");
	EXPECT_AT("keys", "[]");
	(void)snprintf(body, sizeof body, "{\"node_id\":\"%s\"}", slave);
	EXPECT(call("POST", one(uid, "/offline/key-analysis"), body) == 200, "%s", buf_text(&seen.body));
	poll_until(part(uid, "/offline/key-analysis", at("task_id")), "status", "success");
	EXPECT_AT("total_num", "0");
	poll_until(ALL "/statistic", "statistics/0/max_memory", "128");
	expect_statistic(uid);
	EXPECT(call("PUT", one(uid, "/whitelist-async"), "{\"enable_whitelist\":false,\"whitelist\":[]}") == 200, "%s",
	       buf_text(&seen.body));
	(void)snprintf(body, sizeof body, P "/jobs/%s", at("job_id"));
	poll_until(body, "status", "SUCCESS");
	drop(uid);
	dialect_end();
}

int main(void)
{
	RUN(figures_are_numbers_before_anybody_looked);
	RUN(a_big_key_scan_waits_runs_and_is_deleted);
	RUN(scans_are_listed_by_page_and_status);
	RUN(hot_keys_need_a_policy_that_counts);
	RUN(big_and_hot_keys_are_scheduled_by_the_day);
	RUN(schedules_that_make_no_sense_are_refused_and_change_nothing);
	RUN(expired_keys_are_scheduled_by_an_interval);
	RUN(expired_keys_have_a_history);
	RUN(what_is_in_the_way_of_a_scan_is_told_by_its_code);
	RUN(an_offline_analysis_reads_a_backup);
	RUN(a_backup_that_is_being_analysed_stays);
	RUN(nodes_are_shown_by_instance_group_and_project);
	RUN(changes_of_the_configuration_have_a_history);
	RUN(templates_of_the_system_are_shown_and_stay);
	RUN(templates_of_users_live_and_die);
	RUN(templates_are_checked_like_configurations);
	RUN(an_instance_begins_with_its_template);
	RUN(a_whitelist_is_kept_as_it_was_given);
	RUN(a_whitelist_that_breaks_the_rules_changes_nothing);
	RUN(a_diagnosis_waits_runs_and_is_reported);
	RUN(a_diagnosis_that_fails_is_finished_with_failed_items);
	RUN(a_diagnosis_asks_the_nodes_that_are_named);
	RUN(a_diagnosis_is_refused_by_the_contracts_codes);
	RUN(reports_are_deleted_by_their_ids);
	RUN(questions_are_checked_before_redis_is_asked);
	RUN(no_request_makes_a_server_error);
	RUN(redis_itself_is_asked);
	return test_failures != 0;
}
