#include "cmd/client.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "base/rand.h"
#include "cmd/curl.h"
#include "cmd/data.h"
#include "sign/acs3.h"
#include "sign/sdk_hmac.h"

enum {
	ARENA_MAX = 64 << 20,
	ANSWER_MAX = 16 << 20,
	CONNECT_TIMEOUT_MS = 10000,
	CALL_TIMEOUT_MS = 60000,
	HEADERS_MAX = 8
};

struct client {
	struct arena *arena; /* answers */
	struct arena *own;   /* endpoint and key */
	enum cloud cloud;
	struct access access;
	const char *host;    /* of the endpoint: what the Host header will say */
	const char *ca_file; /* NULL: the system's */
	const struct curl_calls *calls;
	CURL *curl;
	struct buf body;
	int64_t next_offset;
};

static enum rc no_memory(struct err *err)
{
	return err_set(err, RC_LIMIT, "the answer needs more memory than a command may use");
}

/* ---- where and as whom ---- */

static const char *from_env(const struct client_options *o, const char *name)
{
	const char *value = o->data ? NULL : getenv(name);
	return value && *value ? value : NULL;
}

/* What the vendor's SDKs read. */
static const struct {
	const char *key_id, *key_secret, *project_id;
} env_names[] = {
	[CLOUD_OPENSEARCH] = { "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", NULL },
	[CLOUD_DCS] = { "HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_PROJECT_ID" },
};

/* The key that is named, else the first one. */
static enum rc find_key(struct data_keys *keys, const struct access *known, struct access_key *out, struct err *err)
{
	if (known->key_id)
		return keyring_find(keys->ring, keys->store, known->key_id, keys->arena, out, err);
	return data_keys_first(keys, out, err);
}

static enum rc key_from_data(const char *dir, struct arena *a, struct access *out, struct err *err)
{
	struct data_keys keys;
	struct access_key key;

	enum rc rc = data_keys_open(dir, /* makes= */ false, &keys, err);
	if (rc != RC_OK)
		return rc;
	rc = find_key(&keys, out, &key, err);
	if (rc == RC_OK && (!out->key_id || !out->key_secret)) {
		out->key_id = arena_dup(a, key.id);
		out->key_secret = arena_dup(a, key.secret);
	}
	if (rc == RC_OK && !out->project_id)
		out->project_id = arena_dup(a, key.project_id);
	data_keys_close(&keys);
	return rc;
}

static enum rc complete(const struct client_options *o, struct arena *a, struct access *found, struct err *err)
{
	enum rc rc = RC_OK;

	if (found->key_secret && !found->key_id)
		return err_set(err, RC_INVALID, "whose secret? Give --access-key-id or %s too",
		               env_names[o->cloud].key_id);
	if (!found->endpoint)
		rc = data_endpoint_read(data_dir(o->data), a, &found->endpoint, err);
	if (rc == RC_OK && (!found->key_id || !found->key_secret))
		return key_from_data(data_dir(o->data), a, found, err);
	if (rc == RC_OK && !found->project_id && key_from_data(data_dir(o->data), a, found, NULL) != RC_OK)
		rc = err_set(err, RC_INVALID, "which project? Give --project-id, or --data with the key's data folder");
	return rc;
}

enum rc client_access(const struct client_options *o, struct arena *a, struct access *out, struct err *err)
{
	struct access found = { o->endpoint, o->key_id, o->key_secret, o->project_id };

	if (!found.endpoint)
		found.endpoint = from_env(o, "STINT_ENDPOINT");
	if (!found.key_id)
		found.key_id = from_env(o, env_names[o->cloud].key_id);
	if (!found.key_secret)
		found.key_secret = from_env(o, env_names[o->cloud].key_secret);
	if (o->cloud == CLOUD_OPENSEARCH)
		found.project_id = "";
	else if (!found.project_id)
		found.project_id = from_env(o, env_names[o->cloud].project_id);
	enum rc rc = complete(o, a, &found, err);
	if (rc == RC_OK)
		*out = found;
	return rc;
}

/* "http://HOST:PORT" without a path; *host points behind the scheme. */
static enum rc check_endpoint(struct client *c, struct err *err)
{
	const char *url = c->access.endpoint;

	if (!strstr(url, "://"))
		url = arena_printf(c->own, "http://%s", url);
	bool is_plain = url && strncmp(url, "http://", 7) == 0;
	if (!url || (!is_plain && strncmp(url, "https://", 8) != 0))
		return err_set(err, RC_INVALID,
		               "the endpoint must be http://HOST:PORT or https://HOST:PORT, not '%.100s'",
		               c->access.endpoint);
	const char *host = url + (is_plain ? 7 : 8);
	size_t len = strcspn(host, "/?#");
	if (len == 0 || (host[len] && strcmp(host + len, "/") != 0))
		return err_set(err, RC_INVALID, "the endpoint has a host and a port only: '%.100s'",
		               c->access.endpoint);
	c->host = arena_dup_n(c->own, host, len);
	c->access.endpoint = arena_dup_n(c->own, url, (size_t)(host - url) + len);
	return c->host && c->access.endpoint ? RC_OK : no_memory(err);
}

enum rc client_open(const struct client_options *o, struct client **out, struct err *err)
{
	struct client *c = mem_new(struct client);

	c->cloud = o->cloud;
	c->arena = arena_new(ARENA_MAX);
	c->own = arena_new(1 << 20);
	buf_init(&c->body, ANSWER_MAX);
	const char *env_ca = getenv("STINT_CA_FILE");
	c->ca_file = o->ca_file ? o->ca_file : env_ca && *env_ca ? env_ca : NULL;
	enum rc rc = client_access(o, c->own, &c->access, err);
	if (rc == RC_OK)
		rc = check_endpoint(c, err);
	if (rc == RC_OK)
		rc = curl_load(&c->calls, err);
	if (rc == RC_OK)
		c->curl = c->calls->easy_init();
	if (rc == RC_OK && !c->curl)
		rc = err_set(err, RC_INTERNAL, "libcurl cannot start");
	if (rc == RC_OK)
		*out = c;
	else
		client_close(c);
	return rc;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->curl)
		c->calls->easy_cleanup(c->curl);
	buf_fini(&c->body);
	arena_free(c->arena);
	arena_free(c->own);
	mem_free(c);
}

struct arena *client_arena(struct client *c) { return c->arena; }
const char *client_project(const struct client *c) { return c->access.project_id; }
void client_forget(struct client *c) { arena_reset(c->arena); }

/* ---- texts of a request ---- */

static void add_encoded(struct buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
	for (; *text; text++) {
		if (strchr(plain, *text))
			buf_addc(out, *text);
		else
			buf_addf(out, "%%%02X", (unsigned char)*text);
	}
}

/* A segment of dots alone would be taken for a step in the folder tree by every client on the way. */
static void add_segment(struct buf *out, const char *text)
{
	if (strspn(text, ".") == strlen(text)) {
		for (; *text; text++)
			buf_adds(out, "%2E");
	} else {
		add_encoded(out, text);
	}
}

static const char *keep(struct client *c, struct buf *text)
{
	const char *kept = text->is_over ? NULL : arena_dup_n(c->arena, buf_text(text), text->len);
	buf_fini(text);
	return kept;
}

const char *client_path(struct client *c, const char *pattern, const char *const *segments, size_t n)
{
	struct buf out;
	size_t used = 0;

	buf_init(&out, 64 << 10);
	for (const char *p = pattern; *p; p++) {
		if (p[0] == '{' && p[1] == '}') {
			must(used < n);
			add_segment(&out, segments[used++]);
			p++;
		} else {
			buf_addc(&out, *p);
		}
	}
	must(used == n);
	return keep(c, &out);
}

const char *client_query(struct client *c, const char *const *pairs, size_t n_pairs)
{
	struct buf out;

	buf_init(&out, 64 << 10);
	for (size_t i = 0; i < n_pairs; i++) {
		if (!pairs[2 * i + 1])
			continue;
		if (out.len)
			buf_addc(&out, '&');
		add_encoded(&out, pairs[2 * i]);
		buf_addc(&out, '=');
		add_encoded(&out, pairs[2 * i + 1]);
	}
	return keep(c, &out);
}

/* ---- the call ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct client *c = ctx;
	buf_add(&c->body, bytes, size * n);
	return c->body.is_over ? 0 : size * n; /* 0 makes libcurl give up */
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	static const char name[] = "x-stint-next-offset:";
	struct client *c = ctx;
	size_t len = size * n, skip = sizeof name - 1;

	if (len > skip && strncasecmp(line, name, skip) == 0) {
		while (skip < len && line[skip] == ' ')
			skip++;
		while (len > skip && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
			len--;
		if (!num_i64_n(line + skip, len - skip, &c->next_offset))
			c->next_offset = -1;
	}
	return size * n;
}

struct head {
	struct sign_header rows[HEADERS_MAX];
	size_t n;
	char date[CLOCK_TEXT_SIZE], nonce[33], hash[65];
};

static void add_header(struct head *h, const char *name, const char *value)
{
	must(h->n < HEADERS_MAX);
	h->rows[h->n++] = (struct sign_header){ name, value };
}

static void make_acs3_head(const struct client *c, const char *action, const char *body, struct head *h)
{
	clock_iso(h->date, clock_wall_ms() / 1000);
	rand_hex(h->nonce, 32);
	sign_sha256_hex(body ? body : "", body ? strlen(body) : 0, h->hash);
	add_header(h, "host", c->host);
	add_header(h, "x-acs-action", action);
	add_header(h, "x-acs-version", "2017-12-25");
	add_header(h, "x-acs-date", h->date);
	add_header(h, "x-acs-signature-nonce", h->nonce);
	add_header(h, "x-acs-content-sha256", h->hash);
	if (body)
		add_header(h, "content-type", "application/json; charset=utf-8");
}

/* "2026-11-21T23:36:12Z" becomes "20261121T233612Z". */
static void compact_date(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from != '-' && *from != ':')
			*to++ = *from;
	}
	*to = '\0';
}

static void make_dcs_head(const struct client *c, struct head *h)
{
	clock_iso(h->date, clock_wall_ms() / 1000);
	compact_date(h->date);
	add_header(h, "host", c->host);
	add_header(h, "x-sdk-date", h->date);
	add_header(h, "x-project-id", c->access.project_id);
	add_header(h, "content-type", "application/json");
}

static const char *sign(struct client *c, const struct sign_request *req)
{
	if (c->cloud == CLOUD_DCS)
		return sdk_hmac_authorization(req, c->access.key_id, c->access.key_secret, c->arena);
	return acs3_authorization(req, c->access.key_id, c->access.key_secret, c->arena);
}

static struct curl_slist *header_list(struct client *c, const struct head *h, const char *authorization)
{
	struct curl_slist *list = NULL;

	for (size_t i = 0; i < h->n; i++)
		list = c->calls->slist_append(list,
		                              arena_printf(c->arena, "%s: %s", h->rows[i].name, h->rows[i].value));
	list = c->calls->slist_append(list, arena_printf(c->arena, "authorization: %s", authorization));
	list = c->calls->slist_append(list, "accept: application/json");
	return c->calls->slist_append(list, "expect:"); /* no 100-continue round trip */
}

static void set_up(struct client *c, const char *method, const char *url, const char *body, struct curl_slist *head)
{
	c->calls->easy_reset(c->curl); /* keeps the connection */
	c->calls->easy_setopt(c->curl, CURLOPT_URL, url);
	c->calls->easy_setopt(c->curl, CURLOPT_PATH_AS_IS, 1L);
	c->calls->easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	c->calls->easy_setopt(c->curl, CURLOPT_HTTPHEADER, head);
	c->calls->easy_setopt(c->curl, CURLOPT_USERAGENT, "stint/" STINT_VERSION);
	c->calls->easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	c->calls->easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	c->calls->easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)CALL_TIMEOUT_MS);
	c->calls->easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	c->calls->easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	c->calls->easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	c->calls->easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
	if (c->ca_file)
		c->calls->easy_setopt(c->curl, CURLOPT_CAINFO, c->ca_file);
	if (body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
		c->calls->easy_setopt(c->curl, CURLOPT_POSTFIELDS, body ? body : "");
		c->calls->easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, body ? (long)strlen(body) : 0L);
	}
}

static enum rc transport_failure(const struct client *c, CURLcode code, struct err *err)
{
	const char *url = c->access.endpoint;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return err_set(err, RC_BUSY, "no server answers at %.100s; is `stint serve` running?", url);
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(err, RC_INVALID, "the host of %.100s is not known", url);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, RC_TIMEOUT, "%.100s did not answer in time", url);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(err, RC_DENIED,
		               "the certificate of %.100s is not trusted; give its issuer with --ca-file", url);
	case CURLE_WRITE_ERROR:
		return no_memory(err);
	default:
		return err_set(err, RC_IO, "%.100s: %s", url, c->calls->easy_strerror(code));
	}
}

static enum rc rc_of_status(long status)
{
	switch (status) {
	case 401:
	case 403:
		return RC_DENIED;
	case 404:
		return RC_NOT_FOUND;
	case 409:
		return RC_CONFLICT;
	case 413:
		return RC_LIMIT;
	case 408:
	case 504:
		return RC_TIMEOUT;
	case 429:
	case 503:
		return RC_BUSY;
	default:
		return status >= 400 && status < 500 ? RC_INVALID : RC_INTERNAL;
	}
}

static enum rc exchange(struct client *c, const char *method, const char *action, const char *path, const char *query,
                        const char *body, struct answer *out, struct err *err)
{
	struct head h = { .n = 0 };
	long status = 0;

	if (c->cloud == CLOUD_DCS)
		make_dcs_head(c, &h);
	else
		make_acs3_head(c, action, body, &h);
	struct sign_request req = { .method = method,
		                    .raw_path = path,
		                    .raw_query = query ? query : "",
		                    .headers = h.rows,
		                    .n_headers = h.n,
		                    .body = body ? body : "",
		                    .body_len = body ? strlen(body) : 0 };
	const char *auth = sign(c, &req);
	const char *url =
	        arena_printf(c->arena, "%s%s%s%s", c->access.endpoint, path, *req.raw_query ? "?" : "", req.raw_query);
	if (!auth || !url)
		return no_memory(err);
	struct curl_slist *list = header_list(c, &h, auth);
	set_up(c, method, url, body, list);
	buf_reset(&c->body);
	c->next_offset = -1;
	CURLcode code = c->calls->easy_perform(c->curl);
	c->calls->slist_free_all(list);
	if (code != CURLE_OK)
		return transport_failure(c, code, err);
	c->calls->easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	const char *text = arena_dup_n(c->arena, buf_text(&c->body), c->body.len);
	if (!text)
		return no_memory(err);
	*out = (struct answer){
		.status = (int)status, .text = text, .len = c->body.len, .next_offset = c->next_offset
	};
	return RC_OK;
}

static enum rc refusal(const struct answer *a, struct err *err)
{
	bool is_dcs = json_object_get(a->json, "error_code") != NULL;
	const char *code = json_text_of(a->json, is_dcs ? "error_code" : "code");
	const char *message = json_text_of(a->json, is_dcs ? "error_msg" : "message");

	if (*code || *message)
		return err_set(err, rc_of_status(a->status), "%s: %.400s", *code ? code : "error", message);
	return err_set(err, rc_of_status(a->status), "the server answered with status %d", a->status);
}

static enum rc call(struct client *c, const char *method, const char *action, const char *path, const char *query,
                    const char *body, bool wants_json, struct answer *out, struct err *err)
{
	struct answer a = { 0 };

	if (!path)
		return no_memory(err);
	enum rc rc = exchange(c, method, action, path, query, body, &a, err);
	if (rc != RC_OK)
		return rc;
	bool failed = a.status >= 400;
	if (a.status == 204)
		wants_json = false;
	if ((wants_json || failed) && json_read(a.text, a.len, c->arena, &a.json, failed ? NULL : err) != RC_OK &&
	    !failed)
		return err_wrap(err, RC_INTERNAL, "the server's answer is not JSON");
	if (failed)
		return refusal(&a, err);
	*out = a;
	return RC_OK;
}

enum rc client_call(struct client *c, const char *method, const char *action, const char *path, const char *query,
                    const char *body, struct answer *out, struct err *err)
{
	return call(c, method, action, path, query, body, /* wants_json= */ true, out, err);
}

enum rc client_ask(struct client *c, const char *method, const char *action, const char *path, const char *query,
                   const char *body, struct answer *out, struct err *err)
{
	if (!path)
		return no_memory(err);
	enum rc rc = exchange(c, method, action, path, query, body, out, err);
	if (rc == RC_OK && json_read(out->text, out->len, c->arena, &out->json, NULL) != RC_OK)
		out->json = NULL;
	return rc;
}

enum rc client_fetch(struct client *c, const char *action, const char *path, const char *query, struct answer *out,
                     struct err *err)
{
	return call(c, "GET", action, path, query, NULL, /* wants_json= */ false, out, err);
}

const json_t *answer_result(const struct answer *a) { return json_pick(a->json, "result"); }

const char *json_text_of(const json_t *object, const char *camel_name)
{
	const char *text = json_string_value(object ? json_pick(object, camel_name) : NULL);
	return text ? text : "";
}

int64_t json_int_of(const json_t *object, const char *camel_name)
{
	return json_integer_value(object ? json_pick(object, camel_name) : NULL);
}
