/*
 * The DCS dialect by itself, over a real engine and store (dialect.h). The child is a script that ends as a file tells
 * it, in place of Redis: with max_running 0 tasks stay pending, so that what is in the way of a second one can be seen.
 */
#include <sqlite3.h> /* before the macros of dcs_dialect.h */

#include "dcs_dialect.h"

#include "api/dcs/errors.h"
#include "api/dcs/params.h"
#include "api/dcs/routes.h"
#include "api/dcs/spec.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/rand.h"
#include "engine/cache.h"
#include "os/file.h"
#include "sign/sdk_hmac.h"
#include "task/param.h"
#include "cache/cache.h"

enum { ARENA_SIZE = 1 << 20 };

/* ---- pure parts ---- */

TEST(ids_have_the_contracts_forms)
{
	const struct {
		const char *text;
		bool is_hex32, is_uuid, is_task;
	} row[] = {
		{ "8abf6e1e72c12e7c0172c15b508500aa", true, false, true },
		{ "8ABF6E1E72C12E7C0172C15B508500AA", false, false, true },
		{ "5560df16-cebf-4473-95c4-d1b573c16e79", false, true, true },
		{ "5560DF16-cebf-4473-95c4-d1b573c16e79", false, false, true },
		{ "5560df16-cebf-4473-95c4-d1b573c16e7", false, false, false },
		{ "5560df16-cebf-4473-95c4-d1b573c16e790", false, false, false },
		{ "5560df16ccebf-4473-95c4-d1b573c16e79", false, false, false },
		{ "8abf6e1e72c12e7c0172c15b508500ag", false, false, false },
		{ "", false, false, false },
	};
	FOR_EACH_ROW (i, row) {
		EXPECT(format_is_hex32(row[i].text) == row[i].is_hex32, "%s", row[i].text);
		EXPECT(format_is_uuid(row[i].text) == row[i].is_uuid, "%s", row[i].text);
		EXPECT(format_is_project(row[i].text) == (row[i].is_hex32 || row[i].is_uuid), "%s", row[i].text);
		EXPECT(format_is_task(row[i].text) == row[i].is_task, "%s", row[i].text);
	}
	char a[UUID_SIZE], b[UUID_SIZE], hex[HEX32_SIZE];
	format_new_uuid(a);
	format_new_uuid(b);
	EXPECT(format_is_uuid(a) && format_is_uuid(b) && strcmp(a, b) != 0, "%s %s", a, b);
	format_derived_uuid("x", a);
	format_derived_uuid("x", b);
	format_derived_hex("x", hex);
	EXPECT(format_is_uuid(a) && strcmp(a, b) == 0 && format_is_hex32(hex), "%s %s", a, hex);
}

TEST(times_are_spelled_and_read)
{
	char stamp[15];
	int64_t at = -1;
	format_stamp(INT64_C(1592381886597), stamp);
	EXPECT(strcmp(stamp, "20200617081806") == 0, "%s", stamp);
	EXPECT(format_parse_stamp(stamp, &at) && at == 1592381886, "%lld", (long long)at);
	const char *const bad[] = { "",
		                    "2020061708180",
		                    "202006170818066",
		                    "20200617T81806",
		                    "20201301000000",
		                    "20200230000000",
		                    "20200617250000",
		                    "2020-06-17" };
	FOR_EACH_ROW (i, bad) {
		at = 42;
		EXPECT(!format_parse_stamp(bad[i], &at) && at == 42, "%s was taken", bad[i]);
	}
	const int64_t noon = utc(2020, 6, 17, 12, 0) * 1000;
	EXPECT(format_next_window("18:00:00", noon) == utc(2020, 6, 17, 18, 0) * 1000, "today");
	EXPECT(format_next_window("12:00:00", noon) == utc(2020, 6, 18, 12, 0) * 1000, "tomorrow");
	const struct {
		const char *text;
		bool is_good;
	} hour[] = { { "00:00:00", true }, { "23:00:00", true }, { "24:00:00", false }, { "18:30:00", false },
		     { "18:00", false },   { "1:00:00", false }, { "-1:00:00", false } };
	FOR_EACH_ROW (i, hour)
		EXPECT(format_is_full_hour(hour[i].text) == hour[i].is_good, "%s", hour[i].text);
}

TEST(sizes_are_spelled_as_in_the_contract)
{
	const struct {
		int64_t mib;
		const char *full, *minor;
		double gb;
	} row[] = { { 128, "0.125", ".125", 0.125 },
		    { 256, "0.25", ".25", 0.25 },
		    { 512, "0.5", ".5", 0.5 },
		    { 1024, "1", "1", 1 },
		    { 65536, "64", "64", 64 } };
	char text[24];
	FOR_EACH_ROW (i, row) {
		format_capacity(row[i].mib, text);
		EXPECT(strcmp(text, row[i].full) == 0, "%s", text);
		format_capacity_minor(row[i].mib, text);
		EXPECT(strcmp(text, row[i].minor) == 0, "%s", text);
		EXPECT(format_capacity_mib(row[i].gb) == row[i].mib, "%g", row[i].gb);
	}
	EXPECT(format_capacity_mib(0) == -1 && format_capacity_mib(-1) == -1 && format_capacity_mib(0.3) == -1,
	       "no sizes");
}

TEST(specification_codes_are_read_and_written)
{
	const struct {
		const char *code;
		enum spec_verdict verdict;
		const char *mode;
		int64_t mib;
		int copies;
	} row[] = {
		{ "redis.single.xu1.tiny.128", SPEC_GOOD, "single", 128, 1 },
		{ "redis.single.au1.large.64", SPEC_GOOD, "single", 65536, 1 },
		{ "redis.ha.xu1.tiny.r2.512", SPEC_GOOD, "ha", 512, 2 },
		{ "redis.ha.xu1.large.r6.4", SPEC_GOOD, "ha", 4096, 6 },
		{ "redis.ha.xu1.large.8", SPEC_GOOD, "ha", 8192, 2 },
		{ "redis.ha.xu1.large.p2.8", SPEC_OTHER_TYPE, NULL, 0, 0 },
		{ "redis.cluster.xu1.large.r1.4", SPEC_OTHER_TYPE, NULL, 0, 0 },
		{ "redis.proxy.xu1.large.4", SPEC_OTHER_TYPE, NULL, 0, 0 },
		{ "redis.ha.xu1.large.r7.4", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.ha.xu1.large.r1.4", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.single.xu1.large.r2.4", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.single.xu1.tiny.1", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.single.xu1.large.3", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.single.xu2.large.4", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.single.xu1.large.04", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.single.xu1.large.4.", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "redis.single", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "memcached.single.xu1.large.4", SPEC_UNKNOWN, NULL, 0, 0 },
		{ "", SPEC_UNKNOWN, NULL, 0, 0 },
	};
	FOR_EACH_ROW (i, row) {
		struct spec s = { .copies = 42 };
		EXPECT(spec_parse(row[i].code, &s) == row[i].verdict, "%s", row[i].code);
		if (row[i].verdict == SPEC_GOOD)
			EXPECT(strcmp(s.mode, row[i].mode) == 0 && s.capacity_mib == row[i].mib &&
			               s.copies == row[i].copies,
			       "%s", row[i].code);
		else
			EXPECT(s.copies == 42, "%s: output touched", row[i].code);
	}
	for (size_t i = 0; i < spec_count(); i++) {
		char code[SPEC_CODE_SIZE], again[SPEC_CODE_SIZE];
		struct spec s = spec_at(i), back;
		spec_code(&s, code);
		EXPECT(spec_parse(code, &back) == SPEC_GOOD, "%s is offered and not known", code);
		spec_code(&back, again);
		EXPECT(strcmp(code, again) == 0, "%s became %s", code, again);
	}
}

TEST(error_codes_keep_the_contracts_form)
{
	for (int e = 0; e < DCS_ERRORS; e++) {
		const char *code = dcs_error_code((enum dcs_error)e);
		EXPECT(strncmp(code, "DCS.", 4) == 0 && strlen(code) <= DCS_CODE_MAX, "%s", code);
		EXPECT(*dcs_error_message((enum dcs_error)e) &&
		               strlen(dcs_error_message((enum dcs_error)e)) <= DCS_MESSAGE_MAX,
		       "%s", code);
		EXPECT(dcs_error_http((enum dcs_error)e) >= 400, "%s", code);
	}
	const struct {
		const char *busy, *code, *when_deleted;
	} row[] = {
		{ "BACKUP", "DCS.4096", "DCS.4026" },       { "RESTORE", "DCS.4097", "DCS.4026" },
		{ "RESTART", "DCS.4111", "DCS.4099" },      { "SOFT_RESTART", "DCS.4111", "DCS.4099" },
		{ "EXTEND", "DCS.4113", "DCS.4026" },       { "AddReplica", "DCS.4113", "DCS.4026" },
		{ "UpdateConfig", "DCS.4114", "DCS.4026" }, { "modify", "DCS.4115", "DCS.4026" },
		{ "CREATE", "DCS.4118", "DCS.4099" },       { "CREATING", "DCS.4118", "DCS.4099" },
		{ "ERROR", "DCS.4049", "DCS.4026" },        { "masterStandbySwapJob", "DCS.4026", "DCS.4026" },
		{ "AutoRecovery", "DCS.4026", "DCS.4026" }, { "", "DCS.4026", "DCS.4026" },
	};
	FOR_EACH_ROW (i, row) {
		EXPECT(strcmp(dcs_error_code(dcs_error_of_busy(row[i].busy)), row[i].code) == 0, "%s", row[i].busy);
		EXPECT(strcmp(dcs_error_code(dcs_error_of_busy_delete(row[i].busy)), row[i].when_deleted) == 0, "%s",
		       row[i].busy);
	}
}

/* What is shown as a default must be what Redis runs with, and what is taken here must be taken there. */
TEST(parameters_are_those_of_the_processes)
{
	EXPECT(strcmp(dcs_params[0].id, "1") == 0 && strcmp(dcs_params[0].name, "timeout") == 0,
	       "the first is timeout");
	for (size_t i = 0; i < n_dcs_params; i++) {
		const struct dcs_param *p = &dcs_params[i];
		const struct param_rule *rule = NULL;
		for (size_t k = 0; k < n_cache_rules; k++) {
			if (strcmp(cache_rules[k].name, p->name) == 0)
				rule = &cache_rules[k];
		}
		EXPECT(rule, "%s is unknown to the processes", p->name);
		EXPECT(rule && strcmp(rule->default_text, p->initial) == 0, "%s: %s", p->name,
		       rule ? rule->default_text : "-");
		EXPECT(rule && (p->kind != CONFIG_NUMBER ||
		                ((double)p->low >= rule->low && (double)p->high <= rule->high)),
		       "%s", p->name);
		EXPECT(param_takes(p, p->initial), "%s refuses its own default", p->name);
		EXPECT(param_find(p->id, p->name) == p && param_find(p->id, NULL) == p &&
		               param_find(NULL, p->name) == p,
		       "%s", p->name);
	}
	EXPECT(!param_find(NULL, NULL) && !param_find("1", "appendonly") && !param_find("0", NULL),
	       "found what is not");
	const struct {
		const char *name, *value;
		bool is_good;
	} row[] = {
		{ "timeout", "7200", true },
		{ "timeout", "7201", false },
		{ "timeout", "-1", false },
		{ "timeout", "", false },
		{ "timeout", "1.0", false },
		{ "timeout", "0", true },
		{ "timeout", "05", false },
		{ "timeout", "-0", false },
		{ "timeout", "+5", false },
		{ "appendonly", "no", true },
		{ "appendonly", "maybe", false },
		{ "appendonly", "yes,no", false },
		{ "maxmemory-policy", "noeviction", true },
		{ "maxmemory-policy", "volatile-lr", false },
		{ "notify-keyspace-events", "", true },
		{ "notify-keyspace-events", "KEA", true },
		{ "notify-keyspace-events", "A", false },
		{ "notify-keyspace-events", "KAg", false },
		{ "notify-keyspace-events", "Kq", false },
	};
	FOR_EACH_ROW (i, row)
		EXPECT(param_takes(param_find(NULL, row[i].name), row[i].value) == row[i].is_good, "%s = %s",
		       row[i].name, row[i].value);
}

TEST(the_table_is_complete)
{
	size_t n;
	const struct route *routes = dcs_routes(&n);

	check_routes(routes, n);
}

/* ---- fixture ---- */

#define OTHER_P "/v2/a4d31cb63d7244fdbec96e3a41e47f72"
#define NO_TASK "8abf6e1e72c12e7c0172c15b508500aa"

/* The run says two steps, and ends well unless there is a file DATA/fail. */
static const char script[] = "#!/bin/sh\n"
                             "echo '{\"stage\":\"start node\",\"status\":\"EXECUTING\"}' >&3\n"
                             "echo '{\"progress\":40}' >&3\n"
                             "echo '{\"stage\":\"start node\",\"status\":\"FINISH\"}' >&3\n"
                             "echo '{\"stage\":\"settle\",\"status\":\"EXECUTING\"}' >&3\n"
                             "if [ -e %s/fail ]; then echo '{\"error\":{\"code\":\"Cache.Down\",\"message\":\"no Redis "
                             "here\"}}' >&3; exit 1; fi\n"
                             "echo '{\"result\":{\"file\":\"%s/none.rdb\",\"sha256\":\"00\",\"size\":7}}' >&3\n";

static void start(enum auth_mode auth, int max_running)
{
	struct dialect_setup setup = {
		.auth = auth, .max_running = max_running, .threads = 1, .id_header = "x-request-id",
		.look_every_ms = 3600000 /* there are no processes, and nobody shall find that out */
	};
	dialect_start(&setup);
}

static void begin(enum auth_mode auth, int max_running)
{
	char text[2048 + 2 * sizeof data_dir];

	dialect_make_dir();
	(void)snprintf(text, sizeof text, script, data_dir, data_dir);
	write_file(child, text, 0700);
	start(auth, max_running);
}

/* The same data under a server that executes otherwise. */
static void restart(int max_running)
{
	dialect_stop();
	start(AUTH_OFF, max_running);
}

static void let_runs_fail(bool fail)
{
	char path[4200];
	(void)snprintf(path, sizeof path, "%s/fail", data_dir);
	if (fail)
		write_file(path, "", 0600);
	else
		EXPECT(file_remove(path, NULL) == RC_OK, "remove");
}

/* ---- requests ---- */

#define CREATE_SINGLE                                                                                                  \
	"{\"name\":\"dcs-one\",\"capacity\":0.125,\"spec_code\":\"redis.single.xu1.tiny.128\",\"no_password_access\":" \
	"true" REST "}"
#define CREATE_HA                                                                                                      \
	"{\"name\":\"dcs-two\",\"capacity\":1.0,\"spec_code\":\"redis.ha.xu1.large.r2.1\",\"password\":\"Secret-1x\""  \
	",\"tags\":[{\"key\":\"team\",\"value\":\"a\"}],\"description\":\"for "                                        \
	"tests\",\"bss_param\":{\"charging_mode\":\"\"}"                                                               \
	",\"rename_commands\":{\"keys\":\"my_keys\"},\"security_group_id\":\"sg\"" REST "}\n"

/* ---- the common part ---- */

TEST(paths_are_taken_in_every_spelling_and_nothing_else)
{
	char uid[UUID_SIZE];
	begin(AUTH_OFF, 0);
	create(CREATE_SINGLE, uid);
	char singular[256];
	(void)snprintf(singular, sizeof singular, P "/instance/%s/tasks/", uid);
	const char *const good[] = { ALL,
		                     ALL "/",
		                     ALL "?limit=1",
		                     P "/tasks",
		                     P "/tasks/",
		                     "/v2/available-zones/",
		                     "/",
		                     "/v2",
		                     "/v2/",
		                     "/v2/instances/maintain-windows",
		                     P "/instances/status",
		                     "/v2/a4d31cb6-3d72-4fdc-8ec9-6e3a41e47f71/instances" };
	FOR_EACH_ROW (i, good)
		EXPECT(call("GET", good[i], NULL) == 200, "%s: %s", good[i], buf_text(&seen.body));
	EXPECT(call("GET", singular, NULL) == 200, "%s: %s", singular, buf_text(&seen.body));
	EXPECT_AT("task_count", "1");

	const struct {
		const char *method, *target;
		int status;
		const char *code, *allow;
	} row[] = {
		{ "GET", P, 404, "DCS.4001", "" },
		{ "GET", P "/nothing", 404, "DCS.4001", "" },
		{ "GET", P "/instances/" NOBODY "/accounts", 404, "DCS.4001", "" },
		{ "POST", P "/instances/" NOBODY "/public-ip", 404, "DCS.4001", "" },
		{ "GET", P "/instances/../tasks", 404, "DCS.4001", "" },
		{ "GET", P "%2Finstances", 404, "DCS.4001", "" },
		{ "PATCH", ALL, 405, "DCS.5001", "POST, GET, DELETE" },
		{ "POST", P "/instances/" NOBODY "/tasks", 405, "DCS.5001", "GET" },
		{ "HEAD", P "/tasks", 405, "DCS.5001", "GET" },
		{ "GET", "/v2/no-project/instances", 400, "DCS.4002", "" },
		{ "GET", P "/instances/no-instance", 400, "DCS.4061", "" },
		{ "GET", P "/instances/" NOBODY, 404, "DCS.3022", "" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call(row[i].method, row[i].target, NULL);
		expect_error(row[i].target, row[i].status, row[i].code);
		EXPECT(strcmp(seen_header("allow"), row[i].allow) == 0, "%s: %s", row[i].target, seen_header("allow"));
	}
	dialect_end();
}

static struct request signed_with(const char *method, const char *target, const char *secret, const char *type,
				  const char *body_hash, struct arena *a)
{
	char date[CLOCK_TEXT_SIZE];
	const char *mark = strchr(target, '?');
	struct request r = { .method = method, .target = target };
	struct sign_header headers[4];
	size_t n = 0;

	format_stamp(clock_wall_ms(), date);
	r.headers[n++] = (struct http_header){ "host", "127.0.0.1:8080" };
	r.headers[n++] = (struct http_header){ "content-type", type };
	r.headers[n++] = (struct http_header){ "x-sdk-date", arena_printf(a, "%.8sT%.6sZ", date, date + 8) };
	if (body_hash)
		r.headers[n++] = (struct http_header){ "x-sdk-content-sha256", body_hash };
	for (size_t i = 0; i < n; i++)
		headers[i] = (struct sign_header){ r.headers[i].name, r.headers[i].value };
	struct sign_request s = { .method = method,
		                  .raw_path = mark ? arena_dup_n(a, target, (size_t)(mark - target)) : target,
		                  .raw_query = mark ? mark + 1 : "",
		                  .headers = headers,
		                  .n_headers = n,
		                  .body = "" };
	r.headers[n++] = (struct http_header){ "authorization", sdk_hmac_authorization(&s, key_id, secret, a) };
	r.n_headers = n;
	return r;
}

static struct request signed_request(const char *method, const char *target, const char *secret, struct arena *a)
{
	return signed_with(method, target, secret, "application/json", NULL, a);
}

/* What says that its body is not signed may have been given another one on its way. */
TEST(a_body_that_nobody_signed_has_no_effect)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);

	begin(AUTH_STRICT, 0);
	make_key(NULL);
	const char *all = arena_printf(a, "/v2/%s/instances", key_project);
	struct request r = signed_with("POST", all, key_secret, "text/plain", "UNSIGNED-PAYLOAD", a);
	r.body = CREATE_SINGLE;
	(void)run(&r);
	expect_error("a body under UNSIGNED-PAYLOAD", 400, "DCS.4005");
	EXPECT(strstr(at("error_msg"), "not signed"), "%s", at("error_msg"));
	r = signed_with("GET", all, key_secret, "text/plain", "UNSIGNED-PAYLOAD", a);
	EXPECT(run(&r) == 200, "without a body there is nothing to swap: %s", buf_text(&seen.body));
	EXPECT_AT("instance_num", "0");
	dialect_end();
}

TEST(a_key_opens_its_own_project_only)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	begin(AUTH_STRICT, 0);
	make_key(NULL);
	const char *own = arena_printf(a, "/v2/%s/tasks?limit=5", key_project);
	struct request r = signed_request("GET", own, key_secret, a);
	EXPECT(run(&r) == 200, "%s", buf_text(&seen.body));
	EXPECT(run(&r) == 200, "SDKs repeat requests: %s", buf_text(&seen.body));
	r.headers[r.n_headers++] = (struct http_header){ "x-project-id", key_project };
	EXPECT(run(&r) == 200, "%s", buf_text(&seen.body));
	r.headers[r.n_headers - 1].value = "a4d31cb63d7244fdbec96e3a41e47f71";
	(void)run(&r);
	expect_error("another project in the header", 401, "DCS.1004");
	r = signed_request("GET", own, "wrong", a);
	(void)run(&r);
	expect_error("wrong secret", 401, "DCS.1001");
	r = signed_request("GET", "/v2/bad/instances", key_secret, a);
	(void)run(&r);
	expect_error("form before owner", 400, "DCS.4002");
	const char *const foreign[] = { P "/tasks", P "/instances/" NOBODY "/tasks", P "/jobs/" NO_TASK };
	FOR_EACH_ROW (i, foreign) {
		r = signed_request("GET", foreign[i], key_secret, a);
		(void)run(&r);
		expect_error(foreign[i], 401, "DCS.1004");
	}
	r = signed_request("DELETE", P "/instances/x/tasks/y", key_secret, a);
	(void)run(&r);
	expect_error("form of the instance before the owner", 400, "DCS.4061");
	r = signed_request("GET", P "/nothing", key_secret, a);
	(void)run(&r);
	expect_error("unknown path", 404, "DCS.4001");
	const char *const unsigned_paths[] = { own, P "/nothing", "/v2/available-zones" };
	FOR_EACH_ROW (i, unsigned_paths) {
		(void)call("GET", unsigned_paths[i], NULL);
		expect_error(unsigned_paths[i], 401, "DCS.1003");
	}
	EXPECT(call("GET", "/", NULL) == 200, "versions need no key");
	dialect_end();
	begin(AUTH_LAX, 0);
	make_key(NULL);
	own = arena_printf(a, "/v2/%s/tasks", key_project);
	r = signed_request("GET", own, "wrong", a);
	EXPECT(run(&r) == 200, "%s", buf_text(&seen.body));
	dialect_end();
}

TEST(the_servers_own_refusals_have_the_contracts_form)
{
	const struct {
		const char *path;
		int status;
		const char *code;
	} row[] = { { "/v2/x", 400, "DCS.4005" },
		    { "/v2/x", 413, "DCS.4800" },
		    { "/v2", 501, "DCS.5001" },
		    { "/v2/x", 503, "DCS.5000" } };
	begin(AUTH_OFF, 0);
	FOR_EACH_ROW (i, row) {
		struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
		struct http_req req = { .raw_path = row[i].path, .arena = a, .id = "ID" };
		struct http_reply reply = { 0 };
		api_fault(api, &req, row[i].status, "", &reply);
		json_t *body = json_loadb(reply.body, reply.body_len, 0, NULL);
		EXPECT(reply.status == row[i].status && strcmp(reply.content_type, "application/json") == 0, "%d",
		       reply.status);
		EXPECT(body && strcmp(json_string_value(json_object_get(body, "error_code")), row[i].code) == 0, "%s",
		       (const char *)reply.body);
		EXPECT(reply.n_headers == 1 && strcmp(reply.headers[0].name, "x-request-id") == 0, "request id");
		json_decref(body);
	}
	dialect_end();
}

/* ---- instances ---- */

TEST(a_creation_is_refused_in_the_contracts_order)
{
	const struct {
		const char *body;
		const char *code, *says;
	} row[] = {
		{ "", "DCS.4004", "Empty" },
		{ "no json", "DCS.4005", "JSON" },
		{ "[]", "DCS.4005", "JSON" },
		{ "{}", "DCS.4010", "name" },
		{ "{\"name\":\"abc\"}", "DCS.4010", "name" },
		{ "{\"name\":\"-abcd\"}", "DCS.4010", "name" },
		{ "{\"name\":\"abc d\"}", "DCS.4010", "name" },
		{ "{\"name\":5}", "DCS.4010", "name" },
		{ "{\"name\":\"a123456789012345678901234567890123456789012345678901234567\",\"instance_num\":2}",
		  "DCS.4010", "name" },
		{ "{\"name\":\"abcd\"}", "DCS.4006", "engine" },
		{ "{\"name\":\"abcd\",\"engine\":\"Memcached\"}", "DCS.4006", "engine" },
		{ "{\"name\":\"abcd\",\"engine\":\"redis\"}", "DCS.4008", "version" },
		{ "{\"name\":\"abcd\",\"engine\":\"redis\",\"engine_version\":\"3.0\"}", "DCS.4008", "version" },
#define V "{\"name\":\"1bcd\",\"engine\":\"redis\",\"engine_version\":\"5.0\""
		{ V "}", "DCS.4012", "capacity" },
		{ V ",\"capacity\":\"1\"}", "DCS.4012", "capacity" },
		{ V ",\"capacity\":1}", "DCS.4927", "spec_code" },
		{ V ",\"capacity\":1,\"spec_code\":\"what\"}", "DCS.4927", "spec_code" },
		{ V ",\"capacity\":4,\"spec_code\":\"redis.cluster.xu1.large.r1.4\"}", "DCS.4007", "type" },
		{ V ",\"capacity\":2,\"spec_code\":\"redis.single.xu1.large.1\"}", "DCS.4012", "capacity" },
#define S V ",\"capacity\":1,\"spec_code\":\"redis.single.xu1.large.1\""
		{ S "}", "DCS.4042", "AZ" },
		{ S ",\"az_codes\":[]}", "DCS.4042", "AZ" },
		{ S ",\"az_codes\":[\"mars\"]}", "DCS.4042", "AZ" },
#define Z S ",\"az_codes\":[\"a6d4a9e0c4c94b0f8b0f6f3d2b7d5c11\",\"stint-1\"]"
		{ Z "}", "DCS.4013", "vpc_id" },
		{ Z ",\"vpc_id\":\"\"}", "DCS.4013", "vpc_id" },
		{ Z ",\"vpc_id\":\"v\"}", "DCS.4016", "subnet_id" },
#define N Z ",\"vpc_id\":\"v\",\"subnet_id\":\"s\""
		{ N ",\"security_group_id\":1}", "DCS.4014", "security_group_id" },
		{ N ",\"private_ip\":\"here\"}", "DCS.4062", "private_ip" },
		{ N ",\"private_ip\":\"0.0.0.0\"}", "DCS.4062", "private_ip" },
		{ N ",\"instance_num\":0}", "DCS.4062", "instance_num" },
		{ N ",\"instance_num\":101}", "DCS.4062", "instance_num" },
		{ N ",\"instance_num\":1.5}", "DCS.4062", "instance_num" },
		{ N ",\"instance_num\":2,\"private_ip\":\"127.1.2.3\"}", "DCS.4062", "private_ip" },
		{ N ",\"maintain_begin\":\"18:00:00\"}", "DCS.4106", "maintain" },
		{ N ",\"maintain_begin\":\"18:00:00\",\"maintain_end\":\"18:30:00\"}", "DCS.4106", "maintain" },
		{ N "}", "DCS.4845", "password" },
		{ N ",\"no_password_access\":\"true\"}", "DCS.4843", "no_password_access" },
		{ N ",\"password\":\"short1A\"}", "DCS.4019", "password" },
		{ N ",\"password\":\"onlyletters\"}", "DCS.4019", "password" },
		{ N ",\"password\":\"Onlyletters\"}", "DCS.4019", "password" },
		{ N ",\"password\":\"With blank 1\"}", "DCS.4019", "password" },
		{ N ",\"password\":\"Percent%11\"}", "DCS.4019", "password" },
		{ N ",\"password\":\"A1234567890123456789012345678901b\"}", "DCS.4019", "password" },
#define W N ",\"no_password_access\":true"
		{ W ",\"port\":0}", "DCS.4062", "port" },
		{ W ",\"port\":65536}", "DCS.4062", "port" },
		{ W ",\"port\":\"6379\"}", "DCS.4062", "port" },
		{ W ",\"rename_commands\":{\"get\":\"my_get\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"abc\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"1abcd\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"flushall\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"same\",\"scan\":\"same\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"same\",\"scan\":\"SAME\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"mget\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"SCAN\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":{\"keys\":\"post\"}}", "DCS.4062", "rename_commands" },
		{ W ",\"rename_commands\":[]}", "DCS.4062", "rename_commands" },
		{ W ",\"tags\":[{\"key\":\"\",\"value\":\"x\"}]}", "DCS.4062", "tags" },
		{ W ",\"tags\":[{\"key\":\"a\"},{\"key\":\"a\"}]}", "DCS.4062", "tags" },
		{ W ",\"instance_backup_policy\":{\"backup_type\":\"auto\"}}", "DCS.4086", "master standby" },
		{ W ",\"bss_param\":{\"charging_mode\":\"prePaid\"}}", "DCS.4800", "charging_mode" },
	};
	begin(AUTH_OFF, 0);
	FOR_EACH_ROW (i, row) {
		(void)call("POST", ALL, row[i].body);
		expect_error(row[i].body, 400, row[i].code);
		EXPECT(strstr(at("error_msg"), row[i].says), "%s: %s", row[i].body, at("error_msg"));
	}
	EXPECT(call("GET", ALL, NULL) == 200, "list");
	EXPECT_AT("instance_num", "0");
	EXPECT_AT("instances", "[]");
	dialect_end();
}

TEST(backup_policies_are_checked_and_kept)
{
#define H                                                                                                              \
	"{\"name\":\"abcd\",\"capacity\":1,\"spec_code\":\"redis.ha.xu1.large.r2.1\",\"no_password_access\":true" REST \
	",\"instance_backup_policy\":{"
#define PLAN(days, period, at, begin)                                                                                  \
	"\"backup_type\":\"auto\",\"save_days\":" days ",\"periodical_backup_plan\":{\"period_type\":\"" period        \
	"\",\"backup_at\":" at ",\"begin_at\":\"" begin "\"}}}"
	const struct {
		const char *body, *code;
	} row[] = {
		{ H "\"save_days\":1}}", "DCS.4073" },
		{ H "\"backup_type\":\"never\"}}", "DCS.4073" },
		{ H "\"backup_type\":\"auto\"}}", "DCS.4072" },
		{ H PLAN("8", "weekly", "[1]", "00:00-01:00"), "DCS.4072" },
		{ H PLAN("7", "daily", "[1]", "00:00-01:00"), "DCS.4074" },
		{ H PLAN("7", "weekly", "[]", "00:00-01:00"), "DCS.4075" },
		{ H PLAN("7", "weekly", "[8]", "00:00-01:00"), "DCS.4075" },
		{ H PLAN("7", "weekly", "[1]", "0:00-01:00"), "DCS.4076" },
		{ H PLAN("7", "weekly", "[1]", "00:30-01:30"), "DCS.4076" },
	};
	char uid[UUID_SIZE];
	begin(AUTH_OFF, 0);
	FOR_EACH_ROW (i, row) {
		(void)call("POST", ALL, row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	create(H PLAN("\"7\"", "weekly", "[\"7\",1]", "00:00-01:00"), uid);
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("instance_backup_policy/policy/save_days", "7");
	EXPECT_AT("instance_backup_policy/policy/periodical_backup_plan/backup_at", "[1,7]");
	EXPECT(format_is_uuid(at("instance_backup_policy/backup_policy_id")), "%s", at("instance_backup_policy"));
	dialect_end();
}


/* ---- memory that is missing for a moment ---- */

static json_malloc_t real_grow;
static int pieces_left, pieces_missing;

static void *grow_but_one(size_t size)
{
	bool is_missing = pieces_left-- == 0;
	pieces_missing += is_missing;
	return is_missing ? NULL : real_grow(size);
}

/* Id and birthday of a policy outlive its edits; one that cannot be read at the moment must not lose them. */
TEST(a_policy_keeps_its_id_when_memory_is_missing_for_a_moment)
{
	const char *body = "{\"instance_backup_policy\":{" PLAN("3", "weekly", "[2]", "00:00-01:00");
	char uid[UUID_SIZE], id[UUID_SIZE];

	begin(AUTH_OFF, 1);
	create_running(H PLAN("7", "weekly", "[1]", "00:00-01:00"), uid);
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	(void)snprintf(id, sizeof id, "%s", at("instance_backup_policy/backup_policy_id"));
	real_grow = json_grow;
	for (int n = 0, missing = 1; missing; n++) {
		struct request put = { .method = "PUT", .target = one(uid, ""), .body = body };
		pieces_left = n;
		pieces_missing = 0;
		json_grow = grow_but_one;
		(void)send_request(&put);
		json_grow = real_grow;
		missing = pieces_missing;
		EXPECT(seen.status == 204 || (missing && seen.status >= 500), "piece %d: %d", n, seen.status);
		EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
		EXPECT(strcmp(at("instance_backup_policy/backup_policy_id"), id) == 0, "piece %d: another id", n);
	}
	dialect_end();
}

TEST(an_instance_is_shown_with_the_contracts_types)
{
	const struct {
		const char *place, *value;
		json_type type;
	} row[] = {
		{ "name", "dcs-two", JSON_STRING },
		{ "status", "CREATING", JSON_STRING },
		{ "engine", "Redis", JSON_STRING },
		{ "engine_version", "7.0", JSON_STRING },
		{ "spec_code", "redis.ha.xu1.large.r2.1", JSON_STRING },
		{ "description", "for tests", JSON_STRING },
		{ "port", "6379", JSON_INTEGER },
		{ "capacity", "1", JSON_INTEGER },
		{ "capacity_minor", "1", JSON_STRING },
		{ "max_memory", "1024", JSON_INTEGER },
		{ "used_memory", "0", JSON_INTEGER },
		{ "no_password_access", "false", JSON_STRING },
		{ "maintain_begin", "18:00:00", JSON_STRING },
		{ "maintain_end", "19:00:00", JSON_STRING },
		{ "cache_mode", "ha", JSON_STRING },
		{ "replica_count", "2", JSON_INTEGER },
		{ "sharding_count", "1", JSON_INTEGER },
		{ "db_number", "256", JSON_INTEGER },
		{ "tags", "[{\"key\":\"team\",\"value\":\"a\"}]", JSON_ARRAY },
		{ "enable_ssl", "false", JSON_FALSE },
		{ "sub_status", "normal", JSON_STRING },
		{ "task", "CREATE", JSON_STRING },
		{ "features/support_acl", "false", JSON_FALSE },
		{ "az_codes", "[\"stint-1\"]", JSON_ARRAY },
		{ "charging_mode", "0", JSON_INTEGER },
		{ "vpc_id", "v", JSON_STRING },
		{ "security_group_id", "sg", JSON_STRING },
		{ "enterprise_project_id", "0", JSON_STRING },
		{ "cpu_type", "x86_64", JSON_STRING },
		{ "support_slow_log_flag", "true", JSON_STRING },
		{ "launched_at", "null", JSON_NULL },
		{ "instance_backup_policy", "null", JSON_NULL },
		{ "order_id", "null", JSON_NULL },
	};
	char uid[UUID_SIZE], small[UUID_SIZE];
	begin(AUTH_OFF, 0);
	create(CREATE_HA, uid);
	EXPECT_AT("instances/0/instance_name", "dcs-two");
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "%s", buf_text(&seen.body));
	FOR_EACH_ROW (i, row) {
		EXPECT_AT(row[i].place, row[i].value);
		EXPECT(json_typeof(value_at(row[i].place)) == row[i].type, "%s has a wrong type", row[i].place);
	}
	EXPECT(strncmp(at("ip"), "127.", 4) == 0, "%s", at("ip"));
	EXPECT(strlen(at("created_at")) == 24 && at("created_at")[23] == 'Z' && at("created_at")[19] == '.', "%s",
	       at("created_at"));
	EXPECT(!strstr(buf_text(&seen.body), "Secret") && !strstr(buf_text(&seen.body), "password_hash"),
	       "a secret is shown");
	create(CREATE_SINGLE, small);
	EXPECT(call("GET", ALL, NULL) == 200, "list");
	EXPECT_AT("instance_num", "2");
	EXPECT_AT("instances/0/instance_id", small);
	EXPECT_AT("instances/0/capacity", "0");
	EXPECT_AT("instances/0/capacity_minor", ".125");
	EXPECT_AT("instances/0/no_password_access", "true");
	EXPECT_AT("instances/0/security_group_id", "securityGroupId");
	EXPECT_AT("instances/1/instance_id", uid);
	dialect_end();
}

TEST(lists_are_filtered_and_paged)
{
	char uid[UUID_SIZE];
	begin(AUTH_OFF, 0);
	create(CREATE_HA, uid);
	EXPECT(call("POST", ALL,
	            "{\"name\":\"many\",\"capacity\":1,\"spec_code\":\"redis.single.xu1.large.1\",\"instance_num\":12,"
	            "\"no_password_access\":true" REST "}") == 200,
	       "%s", buf_text(&seen.body));
	EXPECT_AT("instances/11/instance_name", "many-011");
	const struct {
		const char *query;
		const char *total;
		size_t n;
	} row[] = {
		{ "", "13", 10 },
		{ "?limit=1000", "13", 13 },
		{ "?offset=12", "13", 1 },
		{ "?offset=13", "13", 0 },
		{ "?offset=9223372036854775807", "13", 0 },
		{ "?name=any-00", "10", 10 },
		{ "?name=many-003", "1", 1 },
		{ "?name=many&name_equal=true", "0", 0 },
		{ "?name=many-003&name_equal=true", "1", 1 },
		{ "?status=RUNNING", "0", 0 },
		{ "?status=CREATING&limit=2", "13", 2 },
		{ "?capacity=0.125", "0", 0 },
		{ "?capacity=1", "13", 10 },
		{ "?tags=team=a", "1", 1 },
		{ "?tags=team=b", "0", 0 },
		{ "?instance_id=" NOBODY, "0", 0 },
	};
	FOR_EACH_ROW (i, row) {
		char target[256];
		(void)snprintf(target, sizeof target, ALL "%s", row[i].query);
		EXPECT(call("GET", target, NULL) == 200, "%s: %s", target, buf_text(&seen.body));
		EXPECT_AT("instance_num", row[i].total);
		EXPECT(json_array_size(value_at("instances")) == row[i].n, "%s: %zu", target,
		       json_array_size(value_at("instances")));
	}
	const struct {
		const char *target, *says;
	} bad[] = {
		{ ALL "?offset=-1", "Invalid offset in the request." },
		{ ALL "?offset=x", "Invalid offset in the request." },
		{ ALL "?limit=0", "Invalid limit in the request." },
		{ ALL "?limit=1001", "Invalid limit in the request." },
		{ ALL "?limit=", "Invalid limit in the request." },
		{ ALL "?capacity=x", "Invalid capacity in the request." },
		{ ALL "?name_equal=1", "Invalid name_equal in the request." },
		{ P "/tasks?start_time=yesterday", "Invalid start_time in the request." },
		{ P "/tasks?begin_time=2020", "Invalid begin_time in the request." },
		{ P "/tasks?end_time=20200000000000", "Invalid end_time in the request." },
	};
	FOR_EACH_ROW (i, bad) {
		(void)call("GET", bad[i].target, NULL);
		expect_error(bad[i].target, 400, "DCS.4800");
		EXPECT(strcmp(at("error_msg"), bad[i].says) == 0, "%s: %s", bad[i].target, at("error_msg"));
	}
	(void)call("GET", P "/tasks?start_time=20200102000000&end_time=20200101000000", NULL);
	expect_error("end before start", 400, "DCS.4025");
	EXPECT(call("GET", P "/tasks?end_time=20200101000000", NULL) == 200, "old ones");
	EXPECT_AT("task_count", "0");
	EXPECT(call("GET", P "/tasks?start_time=20200101000000&limit=2", NULL) == 200, "new ones");
	EXPECT_AT("task_count", "13");
	EXPECT(json_is_string(value_at("task_count")) && json_array_size(value_at("tasks")) == 2, "a page of two");
	(void)call("POST", ALL,
	           "{\"name\":\"many\",\"capacity\":1,\"spec_code\":\"redis.single.xu1.large.1\",\"instance_num\":88,"
	           "\"no_password_access\":true" REST "}");
	expect_error("one over the quota", 400, "DCS.4035");
	(void)call("POST", ALL,
	           "{\"name\":\"many\",\"capacity\":64,\"spec_code\":\"redis.single.xu1.large.64\",\"instance_num\":16,"
	           "\"no_password_access\":true" REST "}");
	expect_error("memory over the quota", 400, "DCS.4036");
	EXPECT(call("GET", P "/quota", NULL) == 200, "quota");
	EXPECT_AT("quotas/resources/0/used", "13");
	EXPECT_AT("quotas/resources/1/used", "13");
	EXPECT(call("GET", P "/instances/status", NULL) == 200, "counts");
	EXPECT_AT("creating_count", "13");
	EXPECT_AT("redis/creating_count", "13");
	EXPECT_AT("memcached/creating_count", "0");
	EXPECT(call("GET", P "/instances/statistic", NULL) == 200, "statistics");
	EXPECT_AT("statistics", "[]"); /* none runs */
	EXPECT(call("GET", OTHER_P "/instances", NULL) == 200, "another project");
	EXPECT_AT("instance_num", "0");
	dialect_end();
}

/* ---- tasks ---- */

TEST(a_task_runs_is_followed_and_its_record_deleted)
{
	char uid[UUID_SIZE], other[UUID_SIZE], task[64], target[256];
	begin(AUTH_OFF, 1);
	create_running(CREATE_SINGLE, uid);
	create_running(CREATE_HA, other);
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "list");
	EXPECT_AT("task_count", "1");
	EXPECT(json_is_string(value_at("task_count")), "a text");
	EXPECT_AT("tasks/0/name", "CREATE");
	EXPECT_AT("tasks/0/status", "SUCCESS");
	EXPECT_AT("tasks/0/enable_show", "true");
	EXPECT_AT("tasks/0/error_code", "null");
	EXPECT_AT("tasks/0/user_name", "stint");
	EXPECT(json_is_object(value_at("tasks/0/details")), "details");
	(void)snprintf(task, sizeof task, "%s", at("tasks/0/id"));
	EXPECT(format_is_hex32(task), "%s", task);

	(void)snprintf(target, sizeof target, ALL "/%s/tasks/%s/progress", uid, task);
	EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("progress", "100");
	EXPECT_AT("remain_time", "0");
	EXPECT(json_array_size(value_at("step_details")) == 2, "%s", buf_text(&seen.body));
	EXPECT_AT("step_details/0/step_name", "start node");
	EXPECT_AT("step_details/0/step_status", "FINISH");
	EXPECT_AT("step_details/1/step_name", "settle");
	EXPECT_AT("step_details/1/step_status", "FINISH"); /* the task ended, so did its step */
	EXPECT_AT("step_details/1/sub_step_details", "[]");
	EXPECT(strlen(at("step_details/0/begin_time")) == 24, "%s", at("step_details/0/begin_time"));

	(void)snprintf(target, sizeof target, P "/jobs/%s", task);
	EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("job_id", task);
	EXPECT_AT("job_type", "CREATE");
	EXPECT_AT("status", "SUCCESS");
	EXPECT_AT("fail_reason", "null");
	EXPECT(json_is_string(value_at("begin_time")) && strlen(at("begin_time")) == 13, "%s", at("begin_time"));

	const struct {
		const char *method, *target;
		int status;
		const char *code;
	} row[] = {
		{ "DELETE", one(uid, "/tasks/nonsense"), 400, "DCS.4070" },
		{ "DELETE", one(uid, "/tasks/" NO_TASK), 404, "DCS.4133" },
		{ "DELETE", ALL "/" NOBODY "/tasks/" NO_TASK, 404, "DCS.3022" },
		{ "DELETE", P "/tasks/nonsense", 400, "DCS.4070" },
		{ "DELETE", P "/tasks/" NO_TASK, 404, "DCS.4133" },
		{ "GET", P "/jobs/nonsense", 400, "DCS.4063" },
		{ "GET", P "/jobs/" NO_TASK, 404, "DCS.4133" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call(row[i].method, row[i].target, NULL);
		expect_error(row[i].target, row[i].status, row[i].code);
	}
	(void)snprintf(target, sizeof target, ALL "/%s/tasks/%s", other, task);
	(void)call("DELETE", target, NULL);
	expect_error("by another instance", 404, "DCS.4133");
	(void)snprintf(target, sizeof target, OTHER_P "/tasks/%s", task);
	(void)call("DELETE", target, NULL);
	expect_error("by another project", 404, "DCS.4133");

	(void)snprintf(target, sizeof target, ALL "/%s/tasks/%s", uid, task);
	EXPECT(call("DELETE", target, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body), "{\"message\":\"\"}") == 0, "%s", buf_text(&seen.body));
	(void)call("DELETE", target, NULL);
	expect_error("twice", 404, "DCS.4133");
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "list");
	EXPECT(strcmp(buf_text(&seen.body), "{\"task_count\":\"0\",\"tasks\":[]}") == 0, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "the effect stays");
	dialect_end();
}

TEST(the_task_centre_outlives_the_instance)
{
	char uid[UUID_SIZE], task[64], target[256];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	EXPECT(call("DELETE", one(uid, ""), NULL) == 204, "%s", buf_text(&seen.body));
	(void)call("GET", one(uid, ""), NULL);
	expect_error("gone at once", 404, "DCS.3022");
	(void)call("GET", one(uid, "/tasks"), NULL);
	expect_error("its tasks", 404, "DCS.3022");
	poll_until(P "/tasks", "tasks/0/status", "SUCCESS");
	EXPECT_AT("task_count", "2");
	EXPECT_AT("tasks/0/name", "DELETE");
	EXPECT_AT("tasks/1/name", "CREATE");
	EXPECT(strcmp(at("tasks/1/job_id"), at("tasks/1/id")) == 0, "%s", at("tasks/1/job_id"));
	(void)snprintf(task, sizeof task, "%s", at("tasks/1/id"));
	(void)snprintf(target, sizeof target, P "/tasks/%s", task);
	struct request r = { .method = "DELETE", .target = target, .body = "{\"message\":\"bye\"}" };
	r.headers[r.n_headers++] = (struct http_header){ "prefer", "return=minimal" };
	EXPECT(run(&r) == 204, "%s", buf_text(&seen.body));
	(void)snprintf(target, sizeof target, P "/jobs/%s", task);
	(void)call("GET", target, NULL);
	expect_error("the job goes with it", 404, "DCS.4133");
	dialect_end();
}

TEST(what_runs_is_told_by_its_code)
{
	const struct {
		const char *method, *rest, *body;
		int status;
		const char *kind, *code, *delete_code; /* of the task, and of what meets it */
	} row[] = {
		{ "POST", "/backups", NULL, 200, "BACKUP", "DCS.4096", "DCS.4026" },
		{ "POST", "/resize", "{\"spec_code\":\"redis.ha.xu1.large.r2.2\",\"new_capacity\":2}", 204, "EXTEND",
		  "DCS.4113", "DCS.4026" },
		{ "PUT", "/async-configs", "{\"redis_config\":[{\"param_name\":\"timeout\",\"param_value\":\"5\"}]}",
		  200, "UpdateConfig", "DCS.4114", "DCS.4026" },
		{ "PUT", "/async-swap", NULL, 200, "masterStandbySwapJob", "DCS.4026", "DCS.4026" },
		{ "PUT", "", "{\"port\":7000}", 204, "UpdatePort", "DCS.4026", "DCS.4026" },
		{ "PUT", "", "{\"rename_commands\":{\"keys\":\"keys\"}}", 204, "RenameCommands", "DCS.4111",
		  "DCS.4099" },
	};
	FOR_EACH_ROW (i, row) {
		char uid[UUID_SIZE], task[64];
		begin(AUTH_OFF, 1);
		create_running(CREATE_HA, uid);
		restart(0);
		EXPECT(call(row[i].method, one(uid, row[i].rest), row[i].body) == row[i].status, "%s: %s", row[i].kind,
		       buf_text(&seen.body));
		(void)call("PUT", one(uid, "/async-swap"), NULL);
		expect_error(row[i].kind, 400, row[i].code);
		(void)call("DELETE", one(uid, ""), NULL);
		expect_error(row[i].kind, 400, row[i].delete_code);
		EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "list");
		EXPECT_AT("task_count", "2");
		EXPECT_AT("tasks/0/name", row[i].kind);
		EXPECT_AT("tasks/0/status", "CREATED");
		(void)snprintf(task, sizeof task, "/tasks/%s", at("tasks/0/id"));
		(void)call("DELETE", one(uid, task), NULL);
		expect_error("an unfinished record", 400, "DCS.4017");
		dialect_end();
	}
}

TEST(a_creation_that_fails_leaves_what_can_be_deleted)
{
	char uid[UUID_SIZE];
	begin(AUTH_OFF, 1);
	let_runs_fail(true);
	create(CREATE_SINGLE, uid);
	poll_until(one(uid, ""), "status", "CREATEFAILED");
	EXPECT(call("GET", ALL, NULL) == 200, "list");
	EXPECT_AT("instance_num", "0");
	EXPECT(call("GET", ALL "?include_failure=true", NULL) == 200, "list");
	EXPECT_AT("instance_num", "1");
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/status", "FAILED");
	EXPECT_AT("tasks/0/error_code", "Cache.Down");
	char job[128];
	(void)snprintf(job, sizeof job, P "/jobs/%s", at("tasks/0/id"));
	EXPECT(call("GET", job, NULL) == 200, "job");
	EXPECT_AT("status", "FAIL");
	EXPECT(strstr(at("fail_reason"), "no Redis here"), "%s", at("fail_reason"));
	EXPECT(call("DELETE", ALL "?all_failure=true", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("results/0/instance", uid);
	EXPECT_AT("results/0/result", "success");
	(void)call("GET", one(uid, ""), NULL);
	expect_error("gone", 404, "DCS.3022");
	dialect_end();
}

TEST(a_list_too_long_for_memory_is_no_matter_of_quotas)
{
	char body[4096];

	begin(AUTH_OFF, 0);
	(void)snprintf(body, sizeof body, "%.*s,\"description\":\"%01000d\",\"instance_num\":40}",
		       (int)strlen(CREATE_SINGLE) - 1, CREATE_SINGLE, 0);
	EXPECT(call("POST", ALL, body) == 200, "%s", buf_text(&seen.body));
	request_memory = 40 << 10;
	(void)call("GET", ALL "?limit=1000", NULL);
	expect_error("too much to read", 503, "DCS.5000");
	request_memory = 16 << 20;
	EXPECT(call("GET", ALL "?limit=1000", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instance_num", "40");
	dialect_end();
}

/* A request that names instances has a limit; this one names none, and "all" means all. */
TEST(all_creations_that_failed_are_deleted_at_once)
{
	char body[512];

	begin(AUTH_OFF, 4);
	let_runs_fail(true);
	(void)snprintf(body, sizeof body, "%.*s,\"instance_num\":51}", (int)strlen(CREATE_SINGLE) - 1, CREATE_SINGLE);
	EXPECT(call("POST", ALL, body) == 200, "%s", buf_text(&seen.body));
	poll_until(P "/instances/status?include_failure=true", "createfailed_count", "51");
	EXPECT(call("DELETE", ALL "?all_failure=true", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(json_array_size(value_at("results")) == 51, "%zu", json_array_size(value_at("results")));
	EXPECT(call("GET", ALL "?include_failure=true", NULL) == 200, "list");
	EXPECT_AT("instance_num", "0");
	dialect_end();
}

/* ---- operations ---- */

/* Terraform keeps the list it sent, and would make the instance anew for a shorter one. */
TEST(as_many_zones_are_shown_as_were_named)
{
	char uid[UUID_SIZE], id[64], two_ids[160];
	begin(AUTH_OFF, 1);
	create_running("{\"name\":\"dcs-two\",\"capacity\":1,\"spec_code\":\"redis.ha.xu1.large.r2.1\","
	               "\"no_password_access\":true,\"engine\":\"Redis\",\"engine_version\":\"7.0\",\"vpc_id\":\"v\","
	               "\"subnet_id\":\"s\",\"az_codes\":[\"stint-1\",\"stint-1\"]}",
	               uid);
	for (int i = 0; i < 2; i++) { /* the second time after another member was changed */
		EXPECT(call("GET", one(uid, ""), NULL) == 200, "%s", buf_text(&seen.body));
		EXPECT_AT("az_codes", "[\"stint-1\",\"stint-1\"]");
		(void)snprintf(id, sizeof id, "%s", at("available_zones/0"));
		(void)snprintf(two_ids, sizeof two_ids, "[\"%s\",\"%s\"]", id, id);
		EXPECT_AT("available_zones", two_ids);
		EXPECT(call("PUT", one(uid, ""), "{\"security_group_id\":\"sg\"}") == 204, "%s",
		       buf_text(&seen.body));
	}
	EXPECT(call("GET", ALL, NULL) == 200, "list");
	EXPECT_AT("instances/0/az_codes", "[\"stint-1\",\"stint-1\"]");
	dialect_end();
}

TEST(updates_act_on_differences_only)
{
	char uid[UUID_SIZE];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	EXPECT(call("PUT", one(uid, ""),
	            "{\"name\":\"dcs-two\",\"description\":\"for "
	            "tests\",\"port\":6379,\"rename_commands\":{\"keys\":\"my_keys\"},"
	            "\"maintain_begin\":\"18:00:00\",\"maintain_end\":\"19:00:00\",\"security_group_id\":\"sg\"}") ==
	               204,
	       "%s", buf_text(&seen.body));
	EXPECT(call("PUT", one(uid, ""), "{\"rename_commands\":{}}") == 204, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("task_count", "1");
	EXPECT(call("PUT", one(uid, ""),
	            "{\"name\":\"renamed\",\"description\":\"\\u00e4\\ud83d\\ude00\",\"maintain_begin\":\"02:00:00\","
	            "\"maintain_end\":\"06:00:00\",\"security_group_id\":\"sg2\"}") == 204,
	       "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("name", "renamed");
	EXPECT_AT("description", "\xc3\xa4\xf0\x9f\x98\x80");
	EXPECT_AT("maintain_begin", "02:00:00");
	EXPECT_AT("security_group_id", "sg2");
	EXPECT_AT("vpc_id", "v");
	EXPECT(call("PUT", one(uid, ""), "{\"security_group_id\":\"\"}") == 204, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("security_group_id", "securityGroupId"); /* the vendor's word for none */
	EXPECT_AT("vpc_id", "v");
	char updated_at[64];
	(void)snprintf(updated_at, sizeof updated_at, "%s", at("updated_at"));
	EXPECT(call("PUT", one(uid, ""), "{\"security_group_id\":\"securityGroupId\"}") == 204, "the word");
	EXPECT(call("PUT", one(uid, ""), "{\"security_group_id\":\"\"}") == 204, "none");
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("updated_at", updated_at);
	EXPECT(call("PUT", one(uid, ""), "{\"port\":7000.0,\"name\":\"moved\"}") == 204, "%s", buf_text(&seen.body));
	poll_until(one(uid, "/tasks"), "tasks/0/status", "SUCCESS");
	EXPECT_AT("tasks/0/name", "UpdatePort");
	EXPECT_AT("tasks/0/details/old_port", "6379");
	EXPECT_AT("tasks/0/details/new_port", "7000");
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("name", "moved");
	const struct {
		const char *body, *code;
	} row[] = {
		{ "{\"name\":\"x\"}", "DCS.4010" },
		{ "{\"port\":0}", "DCS.4062" },
		{ "{\"maintain_end\":\"06:00:00\"}", "DCS.4106" },
		{ "{\"port\":7001,\"rename_commands\":{\"keys\":\"keys\"}}", "DCS.4062" },
		{ "{\"rename_commands\":{\"scan\":\"my_keys\"}}", "DCS.4062" },
		{ "{\"instance_backup_policy\":{\"backup_type\":\"x\"}}", "DCS.4073" },
		{ "", "DCS.4004" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call("PUT", one(uid, ""), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	dialect_end();
}

TEST(resizes_are_checked_against_what_is_there)
{
	char uid[UUID_SIZE], node[64], replica[64], body[256];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	EXPECT(call("GET", one(uid, "/groups"), NULL) == 200, "groups");
	EXPECT_AT("group_count", "1");
	EXPECT_AT("group_list/0/replication_list/0/replication_role", "master");
	EXPECT_AT("group_list/0/replication_list/1/replication_role", "slave");
	(void)snprintf(node, sizeof node, "%s", at("group_list/0/replication_list/0/node_id"));
	(void)snprintf(replica, sizeof replica, "%s", at("group_list/0/replication_list/1/node_id"));
	EXPECT(format_is_hex32(node) && format_is_hex32(replica) && strcmp(node, replica) != 0, "%s %s", node, replica);
	EXPECT(call("GET", one(uid, "/logical-nodes"), NULL) == 200, "nodes");
	EXPECT_AT("total", "2");
	EXPECT_AT("nodes/0/node_id", node);
	EXPECT(json_is_string(value_at("nodes/0/node_port")), "a text");
	EXPECT(call("GET", one(uid, "/deletable-replication"), NULL) == 200, "deletable");
	EXPECT_AT("check_result", "false");
#define SAME "\"spec_code\":\"redis.ha.xu1.large.r2.1\",\"new_capacity\":1"
#define R3 "\"spec_code\":\"redis.ha.xu1.large.r3.1\",\"new_capacity\":0"
#define R4 "\"spec_code\":\"redis.ha.xu1.large.r4.1\",\"new_capacity\":0"
#define ADD "\"change_type\":\"createReplication\",\"available_zones\""
	char master_list[256], replica_list[256];
	(void)snprintf(master_list, sizeof master_list,
	               "{" SAME ",\"change_type\":\"deleteReplication\",\"node_list\":[\"%s\"]}", node);
	(void)snprintf(replica_list, sizeof replica_list,
	               "{" SAME ",\"change_type\":\"deleteReplication\",\"node_list\":[\"%s\"]}", replica);
	const struct {
		const char *body, *code;
	} row[] = {
		{ "{}", "DCS.4927" },
		{ "{\"spec_code\":\"what\",\"new_capacity\":1}", "DCS.4927" },
		{ "{\"spec_code\":\"redis.single.xu1.large.1\",\"new_capacity\":1}", "DCS.4200" },
		{ "{\"spec_code\":\"redis.proxy.xu1.large.4\",\"new_capacity\":4}", "DCS.4200" },
		{ "{\"spec_code\":\"redis.ha.xu1.large.r2.2\"}", "DCS.4012" },
		{ "{\"spec_code\":\"redis.ha.xu1.large.r2.2\",\"new_capacity\":4}", "DCS.4012" },
		{ "{" SAME "}", "DCS.4103" },
		{ "{" R3 "}", "DCS.4102" },
		{ "{" SAME ",\"change_type\":\"sideways\"}", "DCS.4062" },
		{ "{" SAME ",\"change_type\":\"addSharding\"}", "DCS.4102" },
		{ "{" R3 ",\"change_type\":\"createReplication\"}", "DCS.4933" },
		{ "{" R3 "," ADD ":[\"mars\"]}", "DCS.4042" },
		{ "{" R3 "," ADD ":[\"stint-1\",\"mars\"]}", "DCS.4042" },
		{ "{" R4 "," ADD ":[\"stint-1\"]}", "DCS.4102" }, /* one at a time: they would wait for two */
		{ "{" R4 ",\"change_type\":\"deleteReplication\"}", "DCS.4930" },
		{ "{" SAME ",\"change_type\":\"deleteReplication\"}", "DCS.4930" },
		{ "{" SAME ",\"change_type\":\"deleteReplication\",\"node_list\":[\"x\"]}", "DCS.4930" },
		{ master_list, "DCS.4936" },
		{ replica_list, "DCS.4937" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call("POST", one(uid, "/resize"), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	EXPECT(call("POST", one(uid, "/resize"),
	            "{" R3 "," ADD ":[\"stint-1\",\"stint-1\"]}") == 204, /* of all of them: Terraform */
	       "%s", buf_text(&seen.body));
	poll_until(one(uid, "/tasks"), "tasks/0/status", "SUCCESS");
	EXPECT_AT("tasks/0/name", "AddReplica");
	EXPECT_AT("tasks/0/details/new_replica_num", "3");
	EXPECT_AT("tasks/0/details/replica_az", "stint-1");
	EXPECT_AT("tasks/0/details/new_resource_spec_code", "redis.ha.xu1.large.r3.1");
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("spec_code", "redis.ha.xu1.large.r3.1");
	(void)snprintf(body, sizeof body, "{\"spec_code\":\"redis.ha.xu1.tiny.r2.512\",\"new_capacity\":0.5}");
	EXPECT(call("POST", one(uid, "/resize"), body) == 204, "%s", buf_text(&seen.body));
	poll_until(one(uid, ""), "capacity_minor", ".5");
	EXPECT_AT("spec_code", "redis.ha.xu1.tiny.r2.512");
	EXPECT_AT("capacity", "0");
	EXPECT_AT("max_memory", "512");
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/name", "EXTEND");
	EXPECT_AT("tasks/0/details/old_capacity", "1");
	EXPECT_AT("tasks/0/details/new_capacity", "0.5");
	EXPECT_AT("tasks/0/details/old_resource_spec_code", "redis.ha.xu1.large.r3.1");
	EXPECT(call("POST", one(uid, "/resize"),
	            "{\"spec_code\":\"redis.ha.xu1.large.r2.2\",\"new_capacity\":2,\"execute_immediately\":false}") ==
	               204,
	       "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/status", "CREATED");
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("status", "RUNNING"); /* it waits for its window */
	dialect_end();
}

TEST(a_resize_can_be_checked_and_asked_for_first)
{
	char uid[UUID_SIZE], job[128];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	const struct {
		const char *body, *code;
	} row[] = {
		{ NULL, "DCS.4004" },
		{ "{\"new_capacity\":2}", "DCS.4927" },
		{ "{\"spec_code\":\"redis.ha.xu1.large.r2.2\"}", "DCS.4012" },
		{ "{\"spec_code\":\"redis.single.xu1.large.2\",\"new_capacity\":2}", "DCS.4200" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call("POST", one(uid, "/resize/check-job"), row[i].body);
		expect_error(row[i].body ? row[i].body : "none", 400, row[i].code);
	}
	EXPECT(call("POST", one(uid, "/resize/check-job"),
	            "{\"spec_code\":\"redis.ha.xu1.large.r2.2\",\"new_capacity\":2}") == 200,
	       "%s", buf_text(&seen.body));
	(void)snprintf(job, sizeof job, P "/jobs/%s", at("job_id"));
	poll_until(job, "status", "SUCCESS");
	EXPECT_AT("job_type", "ResizeCheck");
	EXPECT(call("GET", one(uid, ""), NULL) == 200, "show");
	EXPECT_AT("spec_code", "redis.ha.xu1.large.r2.1");
	EXPECT_AT("capacity", "1");

	EXPECT(call("GET", one(uid, "/operations?operation=extend"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("operations", "[{\"operation\":\"extend\",\"is_support\":true,\"cause_id\":null}]");
	(void)call("GET", one(uid, "/operations?operation=fly"), NULL);
	expect_error("no operation", 400, "DCS.4800");
	restart(0);
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/operations"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("operations", "[{\"operation\":\"extend\",\"is_support\":false,\"cause_id\":\"DCS.4096\"}]");
	dialect_end();
}

TEST(version_and_topology_have_the_contracts_types)
{
	char uid[UUID_SIZE];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	EXPECT(call("GET", one(uid, "/version"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("engine_minor_version", "null"); /* nobody has asked a Redis yet */
	EXPECT_AT("engine_minor_version_upgradable", "false");
	EXPECT_AT("proxy_minor_version_upgradable", "false");
	EXPECT(call("GET", one(uid, "/nodes"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(json_array_size(value_at("redis_server")) == 2, "%s", buf_text(&seen.body));
	EXPECT_AT("redis_server/0/node_type", "master");
	EXPECT_AT("redis_server/1/node_type", "slave");
	EXPECT_AT("redis_server/1/relation_ip", at("redis_server/0/ip"));
	const json_t *node = value_at("redis_server/1");
	for (void *it = json_object_iter((json_t *)(uintptr_t)node); it;
	     it = json_object_iter_next((json_t *)(uintptr_t)node, it))
		EXPECT(json_is_string(json_object_iter_value(it)), "%s is no text", json_object_iter_key(it));
	const char *const absent[] = { "/version", "/nodes", "/operations" };
	FOR_EACH_ROW (i, absent) {
		(void)call("GET", one(NOBODY, absent[i]), NULL);
		expect_error(absent[i], 404, "DCS.3022");
	}
	dialect_end();
}

TEST(a_replicas_priority_is_checked_before_it_is_set)
{
	char uid[UUID_SIZE], single[UUID_SIZE], group[64], master[64], replica[64], rest[200];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	create_running(CREATE_SINGLE, single);
	EXPECT(call("GET", one(uid, "/logical-nodes"), NULL) == 200, "nodes");
	EXPECT_AT("nodes/1/priority_weight", "100");
	(void)snprintf(group, sizeof group, "%s", at("nodes/0/group_id"));
	(void)snprintf(master, sizeof master, "%s", at("nodes/0/node_id"));
	(void)snprintf(replica, sizeof replica, "%s", at("nodes/1/node_id"));
#define WEIGHT "{\"slave_priority_weight\":5}"
	const struct {
		const char *instance, *group, *node, *body, *code;
	} row[] = {
		{ single, group, replica, WEIGHT, "DCS.4086" },
		{ uid, NOBODY, replica, WEIGHT, "DCS.4063" },
		{ uid, group, NO_TASK, WEIGHT, "DCS.3053" },
		{ uid, group, master, WEIGHT, "DCS.3053" },
		{ uid, group, replica, NULL, "DCS.4004" },
		{ uid, group, replica, "{}", "DCS.4939" },
		{ uid, group, replica, "{\"slave_priority_weight\":-1}", "DCS.4939" },
		{ uid, group, replica, "{\"slave_priority_weight\":101}", "DCS.4939" },
		{ uid, group, replica, "{\"slave_priority_weight\":\"5\"}", "DCS.4939" },
	};
	FOR_EACH_ROW (i, row) {
		(void)snprintf(rest, sizeof rest, "/groups/%s/replications/%s/slave-priority", row[i].group,
			       row[i].node);
		(void)call("POST", one(row[i].instance, rest), row[i].body);
		expect_error(row[i].code, 400, row[i].code);
	}
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("task_count", "1"); /* that of its creation */
	(void)snprintf(rest, sizeof rest, "/groups/%s/replications/%s/slave-priority", group, replica);
	EXPECT(call("POST", one(uid, rest), WEIGHT) == 204, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/name", "UpdateSlavePriority");
	EXPECT_AT("tasks/0/status", "SUCCESS"); /* it was waited for */
	EXPECT_AT("tasks/0/details/group_name", "group-0");
	let_runs_fail(true);
	(void)call("POST", one(uid, rest), WEIGHT);
	expect_error("one that fails", 500, "DCS.4842");
	dialect_end();
}

TEST(deleted_instances_are_listed_on_request)
{
	char uid[UUID_SIZE];
	begin(AUTH_OFF, 1);
	create_running(CREATE_SINGLE, uid);
	EXPECT(call("DELETE", one(uid, ""), NULL) == 204, "%s", buf_text(&seen.body));
	const struct {
		const char *query, *total;
	} row[] = { { "", "0" },
		    { "?include_delete=false", "0" },
		    { "?include_delete=true", "1" },
		    { "?include_delete=true&status=DELETED", "1" },
		    { "?include_delete=true&status=DELETING", "0" },
		    { "?include_delete=true&status=RUNNING", "0" },
		    { "?include_delete=true&name=other", "0" } };
	FOR_EACH_ROW (i, row) {
		char target[256];
		(void)snprintf(target, sizeof target, ALL "%s", row[i].query);
		EXPECT(call("GET", target, NULL) == 200, "%s: %s", target, buf_text(&seen.body));
		EXPECT_AT("instance_num", row[i].total);
	}
	EXPECT(call("GET", ALL "?include_delete=true", NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instances/0/instance_id", uid);
	EXPECT_AT("instances/0/status", "DELETED");
	(void)call("GET", ALL "?include_delete=1", NULL);
	expect_error("no flag", 400, "DCS.4800");
	dialect_end();
}

TEST(restart_and_flush_answer_for_each_instance)
{
	char uid[UUID_SIZE], body[256];
	begin(AUTH_OFF, 1);
	create_running(CREATE_SINGLE, uid);
	const struct {
		const char *body, *code;
	} row[] = {
		{ "{}", "DCS.4065" },
		{ "{\"instances\":[]}", "DCS.4065" },
		{ "{\"instances\":[1]}", "DCS.4065" },
		{ "{\"instances\":[\"" NOBODY "\"]}", "DCS.4064" },
		{ "{\"instances\":[\"" NOBODY "\"],\"action\":\"start\"}", "DCS.4064" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call("PUT", P "/instances/status", row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	struct buf many;
	buf_init(&many, 1 << 16);
	buf_adds(&many, "{\"action\":\"restart\",\"instances\":[\"" NOBODY "\"");
	for (int i = 0; i < 50; i++)
		buf_adds(&many, ",\"" NOBODY "\"");
	buf_adds(&many, "]}");
	(void)call("PUT", P "/instances/status", buf_text(&many));
	expect_error("51", 400, "DCS.4100");
	buf_fini(&many);
	(void)snprintf(body, sizeof body, "{\"instances\":[\"%s\",\"%s\",\"nonsense\"],\"action\":\"flush\"}", uid,
	               NOBODY);
	EXPECT(call("PUT", P "/instances/status", body) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("results/0/instance", uid);
	EXPECT_AT("results/0/result", "success");
	EXPECT_AT("results/1/result", "failed");
	EXPECT_AT("results/2/instance", "nonsense");
	EXPECT_AT("results/2/result", "failed");
	poll_until(one(uid, "/tasks"), "tasks/0/status", "SUCCESS");
	EXPECT_AT("tasks/0/name", "FLUSH");
	dialect_end();
}

/* As a clock that is ahead does it. */
static void lock_for_a_year(void)
{
	char path[4200], sql[100];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof path, "%s/stint.db", data_dir);
	(void)snprintf(sql, sizeof sql, "UPDATE cache SET locked_until = %lld WHERE locked_until > 0",
		       (long long)clock_wall_ms() + INT64_C(31536000000));
	EXPECT(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK &&
		       sqlite3_changes(db) == 1,
	       "%s", sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}

TEST(passwords_change_fail_and_lock)
{
	char uid[UUID_SIZE], free_uid[UUID_SIZE];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	create_running(CREATE_SINGLE, free_uid);
#define RIGHT "{\"old_password\":\"Secret-1x\",\"new_password\":\"Secret-2x\"}"
#define WRONG "{\"old_password\":\"Wrong-1xx\",\"new_password\":\"Secret-2x\"}"
	const struct {
		const char *uid, *method, *rest, *body, *code;
	} row[] = {
		{ uid, "PUT", "/password", "{}", "DCS.4845" },
		{ uid, "PUT", "/password", "{\"old_password\":\"Secret-1x\"}", "DCS.4845" },
		{ uid, "PUT", "/password", "{\"old_password\":\"Secret-1x\",\"new_password\":\"weak\"}", "DCS.4019" },
		{ uid, "PUT", "/password", "{\"old_password\":\"Secret-1x\",\"new_password\":\"Secret-1x\"}",
		  "DCS.4019" },
		{ free_uid, "PUT", "/password", RIGHT, "DCS.4850" },
		{ uid, "POST", "/password/reset", "{}", "DCS.4845" },
		{ uid, "POST", "/password/reset", "{\"no_password_access\":true,\"new_password\":\"Secret-2x\"}",
		  "DCS.4849" },
		{ uid, "POST", "/password/reset", "{\"no_password_access\":1}", "DCS.4843" },
		{ uid, "POST", "/password/reset", "{\"new_password\":\"weak\"}", "DCS.4019" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call(row[i].method, one(row[i].uid, row[i].rest), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
	}
	for (int left = 4; left >= 3; left--) {
		char text[8];
		(void)snprintf(text, sizeof text, "%d", left);
		EXPECT(call("PUT", one(uid, "/password"), WRONG) == 200, "%s", buf_text(&seen.body));
		EXPECT_AT("result", "passwordFailed");
		EXPECT_AT("retry_times_left", text);
		EXPECT_AT("lock_time", "0");
		EXPECT(json_is_string(value_at("retry_times_left")), "a text");
	}
	EXPECT(call("PUT", one(uid, "/password"), RIGHT) == 200, "%s", buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body),
	              "{\"lock_time\":\"0\",\"result\":\"success\",\"lock_time_left\":\"0\",\"retry_times_left\":\"5\","
	              "\"message\":\"Modify DCSInstance password success.\"}") == 0,
	       "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/name", "modify");
	EXPECT_AT("tasks/0/status", "SUCCESS"); /* the answer came after the task's end */
	EXPECT(!strstr(buf_text(&seen.body), "hash") && !strstr(buf_text(&seen.body), "Secret"), "%s",
	       buf_text(&seen.body));
	for (int i = 0; i < 4; i++) { /* the good one made the count begin anew */
		EXPECT(call("PUT", one(uid, "/password"), WRONG) == 200, "wrong");
		EXPECT_AT("result", "passwordFailed");
	}
	for (int i = 0; i < 2; i++) {
		EXPECT(call("PUT", one(uid, "/password"), i ? RIGHT : WRONG) == 200, "fifth");
		EXPECT_AT("result", "locked");
		EXPECT_AT("lock_time", "5");
		EXPECT_AT("lock_time_left", "5");
		EXPECT_AT("retry_times_left", "0");
	}
	EXPECT(call("POST", one(uid, "/password/reset"), "{\"new_password\":\"Secret-3x\"}") == 200, "locked too");
	EXPECT_AT("code", "3");
	EXPECT_AT("message", "instance is locked");
	EXPECT_AT("ext_message", "null");
	EXPECT(call("POST", one(free_uid, "/password/reset"), "{\"new_password\":\"Secret-3x\"}") == 200, "%s",
	       buf_text(&seen.body));
	EXPECT_AT("code", "1");
	EXPECT_AT("message", "success");
	let_runs_fail(true);
	(void)call("POST", one(free_uid, "/password/reset"), "{\"new_password\":\"Secret-3x\"}");
	expect_error("a reset that fails", 500, "DCS.4842");
	lock_for_a_year();
	EXPECT(call("PUT", one(uid, "/password"), WRONG) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("result", "passwordFailed");
	EXPECT_AT("retry_times_left", "4");
	dialect_end();
}

TEST(switchovers_wait_and_say_how_they_ended)
{
	char uid[UUID_SIZE], single[UUID_SIZE], job[128];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	create_running(CREATE_SINGLE, single);
	(void)call("POST", one(single, "/swap"), NULL);
	expect_error("single", 400, "DCS.4855");
	EXPECT(call("POST", one(uid, "/swap"), NULL) == 204, "%s", buf_text(&seen.body));
	EXPECT(call("PUT", one(uid, "/async-swap"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(format_is_hex32(at("job_id")), "%s", at("job_id"));
	(void)snprintf(job, sizeof job, P "/jobs/%s", at("job_id"));
	poll_until(job, "status", "SUCCESS");
	EXPECT_AT("job_type", "masterStandbySwapJob");
	let_runs_fail(true);
	(void)call("POST", one(uid, "/swap"), NULL);
	expect_error("a switchover that fails", 500, "DCS.5094");
	dialect_end();
}

TEST(backups_are_made_listed_restored_and_deleted)
{
	char uid[UUID_SIZE], single[UUID_SIZE], backup[64], body[256], target[256];
	struct buf remark;
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	create_running(CREATE_SINGLE, single);
	(void)call("POST", one(single, "/backups"), "{}");
	expect_error("single", 400, "DCS.4086");
	(void)call("POST", one(uid, "/backups"), "{\"backup_format\":\"zip\"}");
	expect_error("format", 400, "DCS.4063");
	buf_init(&remark, 4096);
	buf_adds(&remark, "{\"remark\":\"");
	for (int i = 0; i < 129; i++)
		buf_adds(&remark, "\xc3\xa4");
	buf_adds(&remark, "\"}");
	(void)call("POST", one(uid, "/backups"), buf_text(&remark));
	expect_error("129 characters", 400, "DCS.4098");
	buf_fini(&remark);
	EXPECT(call("GET", one(uid, "/backups"), NULL) == 200, "none");
	EXPECT(strcmp(buf_text(&seen.body), "{\"total_num\":0,\"backup_record_response\":[]}") == 0, "%s",
	       buf_text(&seen.body));
	EXPECT(call("POST", one(uid, "/backups"), "{\"remark\":\"first\",\"backup_format\":\"aof\"}") == 200, "%s",
	       buf_text(&seen.body));
	(void)snprintf(backup, sizeof backup, "%s", at("backup_id"));
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "succeed");
	EXPECT_AT("total_num", "1");
	EXPECT_AT("backup_record_response/0/backup_id", backup);
	EXPECT_AT("backup_record_response/0/remark", "first");
	EXPECT_AT("backup_record_response/0/backup_type", "manual");
	EXPECT_AT("backup_record_response/0/backup_format", "rdb");
	EXPECT_AT("backup_record_response/0/progress", "100.00");
	EXPECT_AT("backup_record_response/0/is_support_restore", "TRUE");
	EXPECT_AT("backup_record_response/0/size", "7");
	EXPECT_AT("backup_record_response/0/error_code", "null");
	EXPECT(strncmp(at("backup_record_response/0/backup_name"), "backup_20", 9) == 0, "%s",
	       at("backup_record_response/0/backup_name"));
	EXPECT(call("GET", one(uid, "/backups?end_time=20200101000000"), NULL) == 200, "old ones");
	EXPECT_AT("total_num", "0");

	(void)call("POST", one(uid, "/restores"), "{}");
	expect_error("no backup", 400, "DCS.4063");
	(void)call("POST", one(uid, "/restores"), "{\"backup_id\":\"" NOBODY "\"}");
	expect_error("unknown backup", 400, "DCS.4063");
	(void)snprintf(body, sizeof body, "{\"backup_id\":\"%s\",\"remark\":\"back\"}", backup);
	(void)call("POST", one(single, "/restores"), body);
	expect_error("another's backup", 400, "DCS.4063");
	EXPECT(call("POST", one(uid, "/restores"), body) == 200, "%s", buf_text(&seen.body));
	EXPECT(format_is_uuid(at("restore_id")), "%s", at("restore_id"));
	poll_until(one(uid, "/restores"), "restore_record_response/0/status", "succeed");
	EXPECT_AT("restore_record_response/0/backup_id", backup);
	EXPECT_AT("restore_record_response/0/backup_remark", "first");
	EXPECT_AT("restore_record_response/0/restore_remark", "back");

	let_runs_fail(true);
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(body, sizeof body, "{\"backup_id\":\"%s\"}", at("backup_id"));
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "failed");
	EXPECT_AT("backup_record_response/0/is_support_restore", "FALSE");
	(void)call("POST", one(uid, "/restores"), body);
	expect_error("a failed backup", 400, "DCS.4087");
	(void)snprintf(target, sizeof target, "/backups/%s", backup);
	EXPECT(call("DELETE", one(uid, target), NULL) == 204, "%s", buf_text(&seen.body));
	(void)call("DELETE", one(uid, target), NULL);
	expect_error("twice", 400, "DCS.4063");
	(void)call("DELETE", one(uid, "/backups/x"), NULL);
	expect_error("malformed", 400, "DCS.4063");
	EXPECT(call("GET", one(uid, "/restores"), NULL) == 200, "restores");
	EXPECT_AT("restore_record_response/0/backup_name", "null");
	restart(0);
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(target, sizeof target, "/backups/%s", at("backup_id"));
	(void)call("DELETE", one(uid, target), NULL);
	expect_error("one that waits", 400, "DCS.4096");
	dialect_end();
}

/* Call a link of the last answer, and keep it. */
static void take_link(char out[1024])
{
	(void)snprintf(out, 1024, "%s", at("links/0/link"));
	EXPECT(strncmp(out, "https://", 8) != 0 && strncmp(out, "http://cache.example:8080/v2/", 29) == 0, "%s", out);
	memmove(out, out + strlen("http://cache.example:8080"), strlen(out) + 1 - strlen("http://cache.example:8080"));
}

static int ask_links(const char *uid, const char *backup, const char *body)
{
	struct request r = { .method = "POST", .body = body, .n_headers = 1,
			     .headers = { { "host", "cache.example:8080" } } };
	char rest[128];

	(void)snprintf(rest, sizeof rest, "/backups/%s/links", backup);
	r.target = one(uid, rest);
	return run(&r);
}

TEST(a_backup_that_is_being_restored_stays)
{
	char uid[UUID_SIZE], backup[UUID_SIZE], target[64], body[96];

	begin(AUTH_OFF, 2);
	create_running(CREATE_HA, uid);
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(backup, sizeof backup, "%s", at("backup_id"));
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "succeed");
	(void)snprintf(body, sizeof body, "{\"backup_id\":\"%s\"}", backup);
	(void)snprintf(target, sizeof target, "/backups/%s", backup);
	restart(0);
	EXPECT(call("POST", one(uid, "/restores"), body) == 200, "%s", buf_text(&seen.body));
	(void)call("DELETE", one(uid, target), NULL);
	expect_error("its file is still to be read", 400, "DCS.4097");
	EXPECT(call("GET", one(uid, "/backups"), NULL) == 200, "backups");
	EXPECT_AT("backup_record_response/0/backup_id", backup);
	restart(2);
	poll_until(one(uid, "/restores"), "restore_record_response/0/status", "succeed");
	EXPECT(call("DELETE", one(uid, target), NULL) == 204, "%s", buf_text(&seen.body));
	dialect_end();
}

TEST(links_to_a_backup_open_it_without_a_key_and_only_it)
{
	char uid[UUID_SIZE], backup[UUID_SIZE], link[1024], bad[1100], path[4200], rest[128];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	(void)ask_links(uid, NOBODY, "{\"expiration\":300}");
	expect_error("unknown backup", 400, "DCS.4063");
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(backup, sizeof backup, "%s", at("backup_id"));
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "succeed");
	(void)snprintf(path, sizeof path, "%s/none.rdb", data_dir); /* where the child says that the file is */
	write_file(path, "REDIS0011", 0600);

	const char *const bodies[] = { "{}", "{\"expiration\":299}", "{\"expiration\":86401}",
				       "{\"expiration\":\"300\"}" };
	FOR_EACH_ROW (i, bodies) {
		(void)ask_links(uid, backup, bodies[i]);
		expect_error(bodies[i], 400, "DCS.4062");
	}
	(void)ask_links(uid, backup, NULL);
	expect_error("no body", 400, "DCS.4004");
	(void)ask_links(uid, "x", "{\"expiration\":300}");
	expect_error("no id", 400, "DCS.4063");
	(void)snprintf(rest, sizeof rest, "/backups/%s/links", backup);
	(void)call("POST", one(uid, rest), "{\"expiration\":300}");
	expect_error("no Host", 400, "DCS.4800");

	EXPECT(ask_links(uid, backup, "{\"expiration\":300.0}") == 200, "%s", buf_text(&seen.body));
	EXPECT(strncmp(at("links/0/file_name"), "redis_127.", 10) == 0 && strstr(at("links/0/file_name"), "_6379_"),
	       "%s", at("links/0/file_name"));
	EXPECT_AT("bucket_name", "stint");
	char name[256];
	(void)snprintf(name, sizeof name, "attachment; filename=\"%s\"", at("links/0/file_name"));
	take_link(link);

	/* Under strict authentication too: the link is the key. Also after a restart. */
	dialect_stop();
	start(AUTH_STRICT, 1);
	struct request get = { .method = "GET", .target = link };
	EXPECT(send_request(&get) == 200, "%s", buf_text(&seen.body));
	EXPECT(strcmp(buf_text(&seen.body), "REDIS0011") == 0, "%s", buf_text(&seen.body));
	EXPECT(strcmp(seen.content_type, "application/octet-stream") == 0, "%s", seen.content_type);
	EXPECT(strcmp(seen_header("content-disposition"), name) == 0, "%s", seen_header("content-disposition"));

	char *query = strchr(link, '?');
	const char *signature = strstr(link, "signature=") + strlen("signature=");
	const struct {
		const char *what, *text;
	} row[] = { { "no query", "" },
		    { "no signature", "?expires=99999999999" },
		    { "no end", "?signature=x" },
		    { "a longer life", "?expires=99999999999&signature=" },
		    { "odd end", "?expires=soon&signature=" } };
	FOR_EACH_ROW (i, row) {
		bool ends_open = *row[i].text && row[i].text[strlen(row[i].text) - 1] == '=';
		(void)snprintf(bad, sizeof bad, "%.*s%s%s", (int)(query - link), link, row[i].text,
			       ends_open ? signature : "");
		(void)call("GET", bad, NULL);
		expect_error(row[i].what, 403, "DCS.2003");
	}
	(void)snprintf(bad, sizeof bad, "%s", link);
	bad[strlen(bad) - 1] = bad[strlen(bad) - 1] == '0' ? '1' : '0';
	(void)call("GET", bad, NULL);
	expect_error("another signature", 403, "DCS.2003");
	(void)snprintf(bad, sizeof bad, "%s", link);
	memcpy(strstr(bad, backup), NOBODY, strlen(NOBODY));
	(void)call("GET", bad, NULL);
	expect_error("another backup", 403, "DCS.2003");
	(void)call("PUT", link, NULL);
	expect_error("another method", 405, "DCS.5001");

	char until[128], mac[LINK_MAC_SIZE];
	(void)snprintf(until, sizeof until, "%lld", (long long)(clock_wall_ms() / 1000 - 1));
	(void)snprintf(bad, sizeof bad, "GET\n%.*s\n%s", (int)(query - link), link, until);
	engine_link_mac(engine, bad, mac);
	(void)snprintf(bad, sizeof bad, "%.*s?expires=%s&signature=%s", (int)(query - link), link, until, mac);
	(void)call("GET", bad, NULL);
	expect_error("over", 403, "DCS.2003");
	EXPECT(strstr(at("error_msg"), "expired"), "%s", at("error_msg"));

	EXPECT(file_remove(path, NULL) == RC_OK, "remove");
	(void)call("GET", link, NULL);
	expect_error("no file", 404, "DCS.4001");
	write_file(path, "REDIS0011", 0600);
	restart(1);
	(void)snprintf(rest, sizeof rest, "/backups/%s", backup);
	EXPECT(call("DELETE", one(uid, rest), NULL) == 204, "%s", buf_text(&seen.body));
	(void)call("GET", link, NULL);
	expect_error("no backup", 404, "DCS.4001");
	EXPECT(call("DELETE", one(uid, ""), NULL) == 204, "%s", buf_text(&seen.body));
	(void)call("GET", link, NULL);
	expect_error("no instance", 404, "DCS.4001");
	create_running(CREATE_HA, uid);
	let_runs_fail(true);
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(backup, sizeof backup, "%s", at("backup_id"));
	poll_until(one(uid, "/backups"), "backup_record_response/0/status", "failed");
	(void)ask_links(uid, backup, "{\"expiration\":300}");
	expect_error("a failed backup", 400, "DCS.4087");
	restart(0);
	EXPECT(call("POST", one(uid, "/backups"), NULL) == 200, "%s", buf_text(&seen.body));
	(void)snprintf(backup, sizeof backup, "%s", at("backup_id"));
	(void)ask_links(uid, backup, "{\"expiration\":300}");
	expect_error("one that waits", 400, "DCS.4096");
	dialect_end();
}

TEST(configurations_are_shown_and_changed)
{
	char uid[UUID_SIZE], single[UUID_SIZE];
	begin(AUTH_OFF, 1);
	create_running(CREATE_HA, uid);
	create_running(CREATE_SINGLE, single);
	EXPECT(call("GET", one(uid, "/configs"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("instance_id", uid);
	EXPECT_AT("config_status", "SUCCESS");
	EXPECT_AT("redis_config/0/param_id", "1");
	EXPECT_AT("redis_config/0/param_name", "timeout");
	EXPECT_AT("redis_config/0/param_value", "0");
	EXPECT_AT("redis_config/0/value_range", "0-7200");
	EXPECT_AT("redis_config/0/value_type", "Interger");
	EXPECT(json_array_size(value_at("redis_config")) == n_dcs_params, "%zu",
	       json_array_size(value_at("redis_config")));
	EXPECT(call("GET", one(single, "/configs"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(json_array_size(value_at("redis_config")) == n_dcs_params - 1, "appendonly is of ha only");
#define C(entries) "{\"redis_config\":[" entries "]}"
	const struct {
		const char *uid, *body, *code, *says;
	} row[] = {
		{ uid, "{}", "DCS.4062", "redis_config" },
		{ uid, C(""), "DCS.4062", "redis_config" },
		{ uid, C("{\"param_id\":\"99\",\"param_value\":\"1\"}"), "DCS.4066", "99" },
		{ uid, C("{\"param_name\":\"save\",\"param_value\":\"1\"}"), "DCS.4066", "save" },
		{ uid, C("{\"param_name\":\"timeout\",\"param_value\":\"7201\"}"), "DCS.4066", "timeout" },
		{ uid, C("{\"param_name\":\"timeout\",\"param_value\":5}"), "DCS.4066", "redis_config" },
		{ uid, C("{\"param_id\":\"2\",\"param_name\":\"timeout\",\"param_value\":\"5\"}"), "DCS.4066",
		  "timeout" },
		{ uid,
		  C("{\"param_name\":\"timeout\",\"param_value\":\"5\"},{\"param_id\":\"1\",\"param_value\":\"6\"}"),
		  "DCS.4066", "1" },
		{ single, C("{\"param_name\":\"appendonly\",\"param_value\":\"no\"}"), "DCS.4066", "appendonly" },
	};
	FOR_EACH_ROW (i, row) {
		(void)call("PUT", one(row[i].uid, "/configs"), row[i].body);
		expect_error(row[i].body, 400, row[i].code);
		EXPECT(strstr(at("error_msg"), row[i].says), "%s: %s", row[i].body, at("error_msg"));
	}
#define GOOD C("{\"param_id\":\"1\",\"param_name\":\"timeout\",\"param_value\":\"1000\"}")
	EXPECT(call("PUT", one(uid, "/configs"), GOOD) == 204, "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/tasks"), NULL) == 200, "tasks");
	EXPECT_AT("tasks/0/name", "UpdateConfig");
	EXPECT_AT("tasks/0/status", "SUCCESS");
	EXPECT_AT("tasks/0/details/updated_config_length", "1");
	let_runs_fail(true);
	(void)call("PUT", one(uid, "/configs"), GOOD);
	expect_error("one that fails", 500, "DCS.4842");
	EXPECT(call("GET", one(uid, "/configs"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("config_status", "FAILURE");
	restart(0);
	EXPECT(call("PUT", one(uid, "/async-configs"), GOOD) == 200, "%s", buf_text(&seen.body));
	EXPECT(format_is_hex32(at("job_id")), "%s", at("job_id"));
	(void)call("PUT", one(uid, "/configs"), GOOD);
	expect_error("two at once", 500, "DCS.4069");
	EXPECT(call("GET", one(uid, "/configs"), NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT_AT("config_status", "UPDATING");
	dialect_end();
}

/* ---- the rest ---- */

TEST(tags_are_merged_and_counted)
{
	char uid[UUID_SIZE], target[256];
	begin(AUTH_OFF, 0);
	create(CREATE_HA, uid);
	(void)snprintf(target, sizeof target, P "/dcs/%s/tags/action", uid);
	EXPECT(call("POST", target,
	            "{\"action\":\"create\",\"tags\":[{\"key\":\"team\",\"value\":\"b\"},{\"key\":\"env\",\"value\":"
	            "\"\"}]}") == 204,
	       "%s", buf_text(&seen.body));
	EXPECT(call("GET", one(uid, "/tags"), NULL) == 200, "tags");
	EXPECT(strcmp(buf_text(&seen.body),
	              "{\"tags\":[{\"key\":\"team\",\"value\":\"b\"},{\"key\":\"env\",\"value\":\"\"}]}") == 0,
	       "%s", buf_text(&seen.body));
	create(CREATE_HA, uid);
	EXPECT(call("GET", P "/dcs/tags", NULL) == 200, "of the project");
	EXPECT_AT("tags", "[{\"key\":\"env\",\"values\":[\"\"]},{\"key\":\"team\",\"values\":[\"a\",\"b\"]}]");
	EXPECT(call("POST", target, "{\"action\":\"delete\",\"tags\":[{\"key\":\"team\"},{\"key\":\"none\"}]}") == 204,
	       "%s", buf_text(&seen.body));
	(void)call("POST", target, "{\"action\":\"keep\",\"tags\":[]}");
	expect_error("action", 400, "DCS.4062");
	(void)call("POST", target, "{\"action\":\"create\"}");
	expect_error("no tags", 400, "DCS.4062");
	struct buf many;
	buf_init(&many, 1 << 16);
	buf_adds(&many, "{\"action\":\"create\",\"tags\":[{\"key\":\"k0\"}");
	for (int i = 1; i < 20; i++)
		buf_addf(&many, ",{\"key\":\"k%d\"}", i);
	buf_adds(&many, "]}");
	(void)call("POST", target, buf_text(&many));
	expect_error("21 with the old one", 400, "DCS.4039");
	buf_fini(&many);
	dialect_end();
}

TEST(flavors_zones_and_windows_are_offered)
{
	char uid[UUID_SIZE], target[256];
	begin(AUTH_OFF, 0);
	create(CREATE_HA, uid);
	const struct {
		const char *query;
		size_t n;
	} row[] = {
		{ "", 144 },
		{ "?cache_mode=single", 24 },
		{ "?cache_mode=single&capacity=0.125", 2 },
		{ "?cache_mode=single&capacity=0.125&cpu_type=x86_64", 1 },
		{ "?cpu_type=aarch64", 72 },
		{ "?cpu_type=sparc", 0 },
		{ "?spec_code=redis.ha.xu1.large.r2.1", 1 },
		{ "?spec_code=redis.ha.au1.large.r2.1", 1 },
		{ "?engine=Redis&engine_version=6.0&capacity=64", 12 },
		{ "?engine_version=0", 0 },
		{ "?engine=memcached", 0 },
		{ "?cache_mode=cluster", 0 },
	};
	FOR_EACH_ROW (i, row) {
		(void)snprintf(target, sizeof target, P "/flavors%s", row[i].query);
		EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
		EXPECT(json_array_size(value_at("flavors")) == row[i].n, "%s: %zu", target,
		       json_array_size(value_at("flavors")));
	}
	(void)snprintf(target, sizeof target, P "/flavors?instance_id=%s", uid);
	EXPECT(call("GET", target, NULL) == 200, "%s", buf_text(&seen.body));
	EXPECT(json_array_size(value_at("flavors")) == 11, "%zu", json_array_size(value_at("flavors")));
	EXPECT_AT("flavors/0/capacity", "[\"0.125\"]");
	EXPECT_AT("flavors/0/replica_count", "2");
	EXPECT_AT("flavors/0/attrs/3/name", "max_memory");
	EXPECT_AT("flavors/0/cpu_type", "x86_64"); /* a resize keeps it */
	EXPECT_AT("flavors/10/cpu_type", "x86_64");
	(void)call("GET", P "/flavors?instance_id=" NOBODY, NULL);
	expect_error("of nobody", 404, "DCS.3022");
	EXPECT(call("GET", "/v2/available-zones", NULL) == 200, "zones");
	EXPECT(strcmp(at("region_id"), at("regionId")) == 0, "both spellings");
	EXPECT_AT("available_zones/0/resource_availability", "true");
	EXPECT(call("GET", "/v2/instances/maintain-windows", NULL) == 200, "windows");
	EXPECT(json_array_size(value_at("maintain_windows")) == 24, "24");
	EXPECT_AT("maintain_windows/0/begin", "18:00:00");
	EXPECT_AT("maintain_windows/0/default", "true");
	EXPECT_AT("maintain_windows/23/end", "18:00:00");
	EXPECT(call("GET", "/", NULL) == 200, "versions");
	EXPECT_AT("versions/0/id", "v2");
	EXPECT(call("GET", "/v2/", NULL) == 200, "version");
	EXPECT_AT("version/status", "CURRENT");
	dialect_end();
}

int main(void)
{
	RUN(ids_have_the_contracts_forms);
	RUN(times_are_spelled_and_read);
	RUN(sizes_are_spelled_as_in_the_contract);
	RUN(specification_codes_are_read_and_written);
	RUN(error_codes_keep_the_contracts_form);
	RUN(parameters_are_those_of_the_processes);
	RUN(the_table_is_complete);
	RUN(paths_are_taken_in_every_spelling_and_nothing_else);
	RUN(a_body_that_nobody_signed_has_no_effect);
	RUN(a_key_opens_its_own_project_only);
	RUN(the_servers_own_refusals_have_the_contracts_form);
	RUN(a_creation_is_refused_in_the_contracts_order);
	RUN(backup_policies_are_checked_and_kept);
	RUN(a_policy_keeps_its_id_when_memory_is_missing_for_a_moment);
	RUN(an_instance_is_shown_with_the_contracts_types);
	RUN(lists_are_filtered_and_paged);
	RUN(a_task_runs_is_followed_and_its_record_deleted);
	RUN(the_task_centre_outlives_the_instance);
	RUN(what_runs_is_told_by_its_code);
	RUN(a_creation_that_fails_leaves_what_can_be_deleted);
	RUN(a_list_too_long_for_memory_is_no_matter_of_quotas);
	RUN(all_creations_that_failed_are_deleted_at_once);
	RUN(as_many_zones_are_shown_as_were_named);
	RUN(updates_act_on_differences_only);
	RUN(resizes_are_checked_against_what_is_there);
	RUN(a_resize_can_be_checked_and_asked_for_first);
	RUN(version_and_topology_have_the_contracts_types);
	RUN(a_replicas_priority_is_checked_before_it_is_set);
	RUN(deleted_instances_are_listed_on_request);
	RUN(restart_and_flush_answer_for_each_instance);
	RUN(passwords_change_fail_and_lock);
	RUN(switchovers_wait_and_say_how_they_ended);
	RUN(backups_are_made_listed_restored_and_deleted);
	RUN(a_backup_that_is_being_restored_stays);
	RUN(links_to_a_backup_open_it_without_a_key_and_only_it);
	RUN(configurations_are_shown_and_changed);
	RUN(tags_are_merged_and_counted);
	RUN(flavors_zones_and_windows_are_offered);
	return test_failures != 0;
}
