#include "cmd/torture/ask.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/num.h"

enum { BODY_MAX = 64 << 10 };

#define FUNCTIONS "/v4/openapi/app-groups/{}/functions/{}"
const char path_apps[] = "/v4/openapi/app-groups";
const char path_app[] = "/v4/openapi/app-groups/{}";
const char path_instances[] = FUNCTIONS "/instances";
const char path_instance[] = FUNCTIONS "/instances/{}";
const char path_tasks[] = FUNCTIONS "/instances/{}/tasks";
const char path_task[] = FUNCTIONS "/instances/{}/tasks/{}";
const char path_detail[] = "/stint/v1/app-groups/{}/functions/{}/instances/{}/tasks/{}";
const char path_default[] = FUNCTIONS "/default-instance";

static enum rc open_as(const struct client_options *o, struct asker *a, struct err *err)
{
	*a = (struct asker){ .client = NULL };
	buf_init(&a->body, BODY_MAX);
	return client_open(o, &a->client, err);
}

enum rc ask_open(const char *endpoint, const char *key_id, const char *key_secret, struct asker *a, struct err *err)
{
	struct client_options o = {
		.cloud = CLOUD_OPENSEARCH, .endpoint = endpoint, .key_id = key_id, .key_secret = key_secret
	};
	return open_as(&o, a, err);
}

enum rc ask_open_dcs(const char *endpoint, const char *key_id, const char *key_secret, const char *project_id,
                     struct asker *a, struct err *err)
{
	struct client_options o = { .cloud = CLOUD_DCS,
		                    .endpoint = endpoint,
		                    .key_id = key_id,
		                    .key_secret = key_secret,
		                    .project_id = project_id };
	return open_as(&o, a, err);
}

void ask_close(struct asker *a)
{
	client_close(a->client);
	a->client = NULL;
	buf_fini(&a->body);
}

enum outcome ask(struct asker *a, const char *method, const char *action, const struct path *path, const char *query)
{
	size_t n = 0;

	client_forget(a->client);
	while (n < SEGMENTS_MAX && path->segments[n])
		n++;
	const char *target = client_path(a->client, path->pattern, path->segments, n);
	const char *body = a->body.len ? buf_text(&a->body) : NULL;
	a->begun_us = clock_mono_us();
	enum rc rc = client_ask(a->client, method, action, target, query, body, &a->answer, &a->err);
	buf_reset(&a->body);
	if (rc != RC_OK) {
		a->n_lost++;
		a->lost_us = clock_mono_us();
		return LOST;
	}
	bool is_done = a->answer.status == 200 || a->answer.status == 204;
	a->n_done += is_done;
	a->n_refused += !is_done;
	return is_done ? DONE : REFUSED;
}

const char *ask_code(const struct asker *a)
{
	const char *code = json_text_of(a->answer.json, "code");
	return *code ? code : json_text_of(a->answer.json, "error_code");
}

/* ---- bodies ---- */

void ask_app_body(struct asker *a, const struct app_fact *app)
{
	struct jw w;

	buf_reset(&a->body);
	jw_init(&w, &a->body, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "name", app->name);
	jw_kv_text(&w, "type", "standard");
	jw_end_object(&w);
}

static void write_param(struct jw *w, const char *name, const char *value)
{
	jw_object(w);
	jw_kv_text(w, "name", name);
	jw_kv_text(w, "value", value);
	jw_end_object(w);
}

static void write_params(struct jw *w, const struct instance_fact *i, const struct wish *wish)
{
	char ms[24];

	jw_key(w, "createParameters");
	jw_array(w);
	if (!i->trade->is_built_in) {
		(void)snprintf(ms, sizeof ms, "%lld", (long long)wish->ms);
		write_param(w, "act", wish->act);
		write_param(w, "ms", ms);
	} else {
		write_param(w, "train_data", "clicks.csv");
		write_param(w, "label_field", "click");
		write_param(w, "epochs", "2");
		write_param(w, "threads", "1");
	}
	jw_end_array(w);
}

void ask_instance_body(struct asker *a, const struct instance_fact *i, const struct wish *wish, bool is_creation)
{
	char description[64];
	struct jw w;

	(void)snprintf(description, sizeof description, "wish %lld", (long long)wish->number);
	buf_reset(&a->body);
	jw_init(&w, &a->body, CASING_CAMEL);
	jw_object(&w);
	if (is_creation) {
		jw_kv_text(&w, "instanceName", i->name);
		jw_kv_text(&w, "modelType", i->trade->model_type);
	}
	jw_kv_text(&w, "description", description);
	jw_kv_text(&w, "cron", wish->cron);
	write_params(&w, i, wish);
	jw_end_object(&w);
}

void ask_default_body(struct asker *a, const char *instance)
{
	struct jw w;

	buf_reset(&a->body);
	jw_init(&w, &a->body, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "instanceName", instance);
	jw_end_object(&w);
}

/* ---- answers ---- */

bool ask_read_task(const json_t *row, struct sighting *out)
{
	const char *status = json_text_of(row, "status");
	int64_t generation;

	if (!num_i64(json_text_of(row, "generation"), &generation))
		return false;
	*out = (struct sighting){
		.generation = generation,
		.ended_at = json_int_of(row, "endTime"),
		.is_success = strcmp(status, "success") == 0,
		.is_over = strcmp(status, "running") != 0,
		.progress = (int)json_int_of(row, "progress"),
		.run_id = json_text_of(row, "runId"),
	};
	return true;
}

size_t ask_read_tasks(const struct asker *a, struct sighting *rows, size_t n, size_t most)
{
	const json_t *list = answer_result(&a->answer);

	for (size_t i = 0; i < json_array_size(list) && n < most; i++)
		n += ask_read_task(json_array_get(list, i), &rows[n]);
	return n;
}

static const char *param_of(const json_t *instance, const char *name)
{
	const json_t *list = json_pick(instance, "createParameters");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		if (strcmp(json_text_of(p, "name"), name) == 0)
			return json_text_of(p, "value");
	}
	return "";
}

bool ask_shows_wish(const struct asker *a, const struct instance_fact *i, const struct wish *w, char *why, size_t size)
{
	const json_t *shown = answer_result(&a->answer);
	bool has_acts = !i->trade->is_built_in;
	char description[64], ms[24];

	if (!w->act)
		return false;
	(void)snprintf(description, sizeof description, "wish %lld", (long long)w->number);
	(void)snprintf(ms, sizeof ms, "%lld", (long long)w->ms);
	const struct {
		const char *what, *wanted, *found;
	} rows[] = {
		{ "description", description, json_text_of(shown, "description") },
		{ "cron", w->cron, json_text_of(shown, "cron") },
		{ "act", has_acts ? w->act : "", param_of(shown, "act") },
		{ "ms", has_acts ? ms : "", param_of(shown, "ms") },
	};
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		if (strcmp(rows[k].wanted, rows[k].found) != 0) {
			(void)snprintf(why, size, "%s is '%.60s', and was set to '%.60s'", rows[k].what, rows[k].found,
			               rows[k].wanted);
			return false;
		}
	}
	return true;
}
