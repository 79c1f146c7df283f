/*
 * Reads of both dialects while memory ends: in SQLite, in the JSON library, in the request's arena, at the n-th call
 * for n = 1, 2, 3 ... The answer is the one that is given with memory, or 503 in the vendor's form: never another
 * status, never a part of it; and the next answer is whole again.
 */
#include <stdlib.h>
#include "base/must.h"
#include "change.h"
#include "dcs_dialect.h"
#include "engine/schedule.h"
#include "os/file.h"

enum { N_MAX = 1 << 20, TARGETS_MAX = 80 };

static const struct inject_plan plans[] = {
	{ .what = "no memory for the database once", .kinds = KIND(DB_MEMORY) },
	{ .what = "no memory for the database from then on", .kinds = KIND(DB_MEMORY), .goes_on = true },
	{ .what = "no memory for JSON once", .kinds = KIND(JSON_MEMORY) },
	{ .what = "no memory for JSON from then on", .kinds = KIND(JSON_MEMORY), .goes_on = true },
	{ .what = "a full arena", .kinds = KIND(ARENA), .goes_on = true },
};

/* ---- what there is to read ---- */

static char targets[TARGETS_MAX][256];
static size_t n_targets;

static void add(const char *target)
{
	must(n_targets < TARGETS_MAX);
	(void)snprintf(targets[n_targets++], sizeof targets[0], "%s", target);
}

static void post(const char *method, const char *target, const char *body)
{
	const struct request r = { .method = method, .target = target, .body = body };
	int status = send_request(&r);
	EXPECT(status == 200 || status == 204, "%s %s: %s", method, target, buf_text(&seen.body));
}

#define APPS "/v4/openapi/app-groups"
#define SCORE APPS "/my-app/functions/score"
#define INSTANCE SCORE "/instances/one"

static void make_opensearch(void)
{
	static const char *const reads[] = {
		APPS, APPS "?tags=%5B%7B%22key%22%3A%22team%22%2C%22value%22%3A%22a%22%7D%5D", APPS "/my-app",
		SCORE "/instances", INSTANCE, INSTANCE "?output=detail", INSTANCE "/tasks", INSTANCE "/tasks/1",
		SCORE "/default-instance", "/v4/openapi/functions/score/current-version?modelType=script",
		"/v4/openapi/functions/score/versions/101",
		"/stint/v1/app-groups/my-app/functions/score/instances/one/tasks/1",
		"/stint/v1/app-groups/my-app/functions/score/instances/one/tasks/1/log",
	};
	post("POST", APPS, "{\"name\":\"my-app\",\"type\":\"enhanced\",\"tags\":[{\"key\":\"team\",\"value\":\"a\"}],"
			   "\"quota\":{\"docSize\":1,\"computeResource\":20,\"spec\":\"opensearch.share.common\"}}");
	post("POST", SCORE "/instances", "{\"instanceName\":\"one\",\"modelType\":\"script\",\"description\":\"d\","
					 "\"createParameters\":[{\"name\":\"rows\",\"value\":\"7\"}]}");
	post("POST", INSTANCE "/tasks", NULL);
	poll_until(INSTANCE "/tasks/1", "Result/Status", "success");
	post("PUT", SCORE "/default-instance", "{\"instanceName\":\"one\"}");
	FOR_EACH_ROW(i, reads)
		add(reads[i]);
}

#define PLAN(more) "{\"enable_auto_scan\":true," more "}"

static void make_records(const char *uid)
{
	post("POST", one(uid, "/bigkey-task"), NULL);
	poll_until(one(uid, "/bigkey-tasks"), "records/0/status", "success");
	post("POST", one(uid, "/scan-expire-keys-task"), NULL);
	poll_until(one(uid, "/auto-expire/histories"), "records/0/status", "success");
	post("PUT", one(uid, "/bigkey/autoscan"), PLAN("\"schedule_at\":[\"03:00\"]"));
	post("PUT", one(uid, "/scan-expire-keys/autoscan-config"),
	     PLAN("\"first_scan_at\":\"2099-07-07T15:00:05.000\",\"interval\":86400"));
	post("PUT", one(uid, "/configs"), "{\"redis_config\":[{\"param_name\":\"timeout\",\"param_value\":\"100\"}]}");
	poll_until(one(uid, "/config-histories"), "histories/0/status", "SUCCESS");
}

static void make_dcs(void)
{
	static const char *const of_all[] = {
		"/v2/available-zones", P "/flavors", P "/quota", ALL "/status", ALL "/statistic", ALL,
		ALL "?tags=team%3Da", P "/tasks?start_time=20200101000000", P "/tasks",
		P "/config-templates?type=sys", P "/instances-logical-nodes", P "/dcs/tags",
	};
	static const char *const of_one[] = {
		"", "/tasks", "/operations", "/nodes", "/backups", "/restores", "/configs", "/config-histories",
		"/whitelist", "/groups", "/logical-nodes", "/deletable-replication", "/tags", "/bigkey-tasks",
		"/hotkey-tasks", "/auto-expire/histories", "/bigkey/autoscan", "/hotkey/autoscan",
		"/scan-expire-keys/autoscan-config", "/offline/key-analysis", "/diagnosis",
	};
	char uid[UUID_SIZE], id[64], rest[128];

	create_running("{\"name\":\"first\",\"capacity\":0.125,\"spec_code\":\"redis.ha.xu1.tiny.r2.128\","
		       "\"no_password_access\":true,\"tags\":[{\"key\":\"team\",\"value\":\"a\"}]" REST "}", uid);
	make_records(uid);
	FOR_EACH_ROW(i, of_all)
		add(of_all[i]);
	FOR_EACH_ROW(i, of_one)
		add(one(uid, of_one[i]));
	EXPECT(call("GET", one(uid, "/bigkey-tasks"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(rest, sizeof rest, "/bigkey-task/%s", at("records/0/id"));
	add(one(uid, rest));
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(id, sizeof id, "%s", at("tasks/0/id"));
	(void)snprintf(rest, sizeof rest, "/tasks/%s/progress", id);
	add(one(uid, rest));
	(void)snprintf(rest, sizeof rest, P "/jobs/%s", id);
	add(rest);
}

#define SAY(json) "echo '" json "' >&3\n"

/* What each run of a Redis instance says, and each run of a function. */
static const char redis_says[] =
	"#!/bin/sh\n" SAY("{\"stage\":\"start node\",\"status\":\"FINISH\"}")
	SAY("{\"result\":{\"scan\":{\"num\":1,\"scanned\":9,\"keys\":[{\"name\":\"a\",\"type\":\"string\",\"db\":0,"
	    "\"size\":77,\"unit\":\"byte\"}]}}}");
static const char function[] =
	"{\"name\":\"score\",\"modelType\":\"script\",\"maxAttempts\":1,\"run\":[\"/bin/sh\",\"-c\",\"echo '{"
	"\\\"metric\\\":\\\"auc\\\",\\\"value\\\":0.7,\\\"step\\\":1}' >&3; echo hello; echo '{\\\"result\\\":"
	"{\\\"auc\\\":0.85,\\\"recall\\\":91}}' >&3\"],\"createParameters\":[{\"name\":\"rows\",\"type\":\"int\","
	"\"low\":1,\"high\":1000,\"default\":\"10\",\"help\":\"Rows.\"}]}";

static void begin(void)
{
	struct dialect_setup setup = { .auth = AUTH_OFF, .max_running = 1, .threads = 1, .look_every_ms = 3600000 };
	char path[sizeof data_dir + 16];

	dialect_make_dir();
	(void)snprintf(path, sizeof path, "%s/functions.d", data_dir);
	must(dir_make(path, 0700, NULL) == RC_OK);
	write_file("functions.d/score.json", function, 0600);
	write_file(child, redis_says, 0700);
	dialect_start(&setup);
	make_opensearch();
	make_dcs();
}

/* ---- the loop ---- */

static const struct inject_plan *plan;
static int armed_with;

static void watch(bool begins)
{
	if (begins) {
		inject_single_out(pthread_self()); /* a request that reads is answered by the thread that brings it */
		inject_arm(plan, armed_with);
	} else {
		armed_with = inject_disarm() > 0 ? armed_with : 0;
	}
}

/* The answer without what is another one each time; text/plain as one text. */
static json_t *answer(void)
{
	static const char *const passing[] = { "requestId", "RequestId", "latency", "Latency" };
	json_t *copy = seen.json ? json_deep_copy(seen.json) : json_string(buf_text(&seen.body));

	FOR_EACH_ROW(i, passing)
		(void)json_object_del(copy, passing[i]);
	return copy;
}

static void judge(const char *what, const char *target, int status, const json_t *whole)
{
	bool is_dcs = strncmp(target, "/v2/", 4) == 0;
	json_t *given = answer();

	if (seen.status == status) {
		EXPECT(json_equal(given, whole), "%s: another answer: %s", what, buf_text(&seen.body));
	} else {
		EXPECT(seen.status == 503, "%s: %d %s", what, seen.status, buf_text(&seen.body));
		EXPECT(strcmp(at(is_dcs ? "error_code" : "Code"), is_dcs ? "DCS.5000" : "ServiceUnavailable") == 0,
		       "%s: %s", what, buf_text(&seen.body));
		EXPECT(strlen(at(is_dcs ? "error_msg" : "message")) > 5, "%s: %s", what, buf_text(&seen.body));
	}
	EXPECT(*seen_header(is_dcs ? "x-request-id" : "x-acs-request-id"), "%s: no id of the request", what);
	json_decref(given);
}

/* Whether a call was made to fail. */
static bool try_once(const struct request *r, int n, int status, const json_t *whole)
{
	char what[400];

	(void)snprintf(what, sizeof what, "%s, %s at call %d", r->target, plan->what, n);
	armed_with = n;
	dialect_watch = watch;
	(void)send_request(r);
	dialect_watch = NULL;
	judge(what, r->target, status, whole);
	return armed_with > 0;
}

static void loop(const char *target)
{
	const struct request r = { .method = "GET", .target = target };
	int status = send_request(&r), n = 1, met = 0;
	json_t *whole = answer();

	EXPECT(status == 200, "%s: %d %s", target, status, buf_text(&seen.body));
	for (; n < N_MAX && try_once(&r, n, status, whole); n = world_step(n))
		met++;
	EXPECT(n < N_MAX, "%s: no end of faults", target);
	(void)send_request(&r);
	judge("with memory again", target, status, whole);
	if (getenv("FAULT_VERBOSE"))
		printf("# %s, %s: %d faults met\n", target, plan->what, met);
	json_decref(whole);
}

TEST(reads_are_whole_or_refused_when_memory_ends)
{
	const char *only = getenv("FAULT_ONLY");

	begin();
	for (size_t i = 0; i < n_targets; i++) {
		FOR_EACH_ROW(k, plans) {
			plan = &plans[k];
			if (!only || strstr(targets[i], only) || strstr(plan->what, only))
				loop(targets[i]);
		}
	}
	dialect_end();
}

/* A schedule that is skipped for its policy says so for good: no memory to read it must not count as another one. */
TEST(a_policy_that_cannot_be_read_now_is_not_another_one)
{
	const struct cache_row row = { .state = "{\"settings\":{\"maxmemory-policy\":\"allkeys-lfu\"}}" };
	int n = 1;

	plan = &plans[2];
	for (bool is_met = true; is_met; n++) {
		bool counts = false;
		struct err err = { 0 };
		inject_arm(plan, n);
		enum rc rc = engine_cache_counts_uses(&row, &counts, &err);
		is_met = inject_disarm() > 0;
		EXPECT(rc == RC_BUSY || (rc == RC_OK && counts), "call %d: %s %s", n, rc_name(rc), err.msg);
		EXPECT(is_met || rc == RC_OK, "with memory: %s", err.msg);
	}
	EXPECT(n > 3, "%d calls", n);
}

int main(void)
{
	inject_install();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	setenv("TZ", "UTC", 1);
	tzset();
	RUN(reads_are_whole_or_refused_when_memory_ends);
	RUN(a_policy_that_cannot_be_read_now_is_not_another_one);
	return test_failures != 0;
}
