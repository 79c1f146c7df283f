/*
 * client: signed calls to a server, as the vendors' SDKs make them (libcurl): ACS3-HMAC-SHA256 for OpenSearch's
 * functions, SDK-HMAC-SHA256 for DCS.
 *
 * Where the endpoint and the key come from, first found wins, each by itself: the options; the environment
 * (STINT_ENDPOINT and what the vendor's SDKs read: ALIBABA_CLOUD_ACCESS_KEY_ID and _SECRET, or HUAWEICLOUD_SDK_AK, _SK
 * and _PROJECT_ID) unless --data is given; the data folder (the address its running server wrote, its first active
 * key). The project of DCS is that of the key, so a key given elsewhere is looked up in the data folder for it.
 *
 * Owner:  answers and paths live in the client's arena, until client_close or client_forget.
 * Errors: RC_BUSY nobody listens there, RC_TIMEOUT, else by the answer's HTTP status with "CODE: message".
 */
#ifndef CMD_CLIENT_H
#define CMD_CLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "cmd/args.h"
#include "json/json.h"

enum cloud { CLOUD_OPENSEARCH, CLOUD_DCS };

struct client_options {
	enum cloud cloud; /* set by the command, not by an option */
	const char *endpoint, *key_id, *key_secret, *project_id, *data, *ca_file;
	bool as_json;
};
/* Rows of a command's option table; o is a struct client_options. */
#define CLIENT_ENDPOINT(o)                                                                                     \
	OPTION_TEXT("endpoint", &(o).endpoint, "URL", "Server (default $STINT_ENDPOINT, else that of --data).")
#define CLIENT_KEY(o, variable)                                                                                \
	OPTION_TEXT("access-key-id", &(o).key_id, "ID", "Key (default $" variable ", else of --data).")
#define CLIENT_SECRET(o, variable)                                                                             \
	OPTION_TEXT("access-key-secret", &(o).key_secret, "TEXT", "Its secret (default $" variable ").")
#define CLIENT_DATA(o, what)                                                                                   \
	OPTION_TEXT("data", &(o).data, "DIR",                                                                  \
		    "Data folder to take " what " from (default $STINT_DATA, else ./stint-data).")
#define CLIENT_CA_FILE(o)                                                                                      \
	OPTION_TEXT("ca-file", &(o).ca_file, "FILE",                                                           \
		    "Certificates to trust with https (default $STINT_CA_FILE, else the system's).")
#define CLIENT_JSON(o) OPTION_FLAG("json", &(o).as_json, "Print the server's answer as JSON.")

#define CLIENT_PLACE_OPTIONS(o)                                                                                \
	CLIENT_ENDPOINT(o),                                                                                    \
	CLIENT_KEY(o, "ALIBABA_CLOUD_ACCESS_KEY_ID"),                                                          \
	CLIENT_SECRET(o, "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),                                                   \
	CLIENT_DATA(o, "endpoint and key"),                                                                    \
	CLIENT_CA_FILE(o)
#define CLIENT_OPTIONS(o) CLIENT_PLACE_OPTIONS(o), CLIENT_JSON(o)

/* The same for a command of DCS. */
#define DCS_CLIENT_OPTIONS(o)                                                                                  \
	CLIENT_ENDPOINT(o),                                                                                    \
	CLIENT_KEY(o, "HUAWEICLOUD_SDK_AK"),                                                                   \
	CLIENT_SECRET(o, "HUAWEICLOUD_SDK_SK"),                                                                \
	OPTION_TEXT("project-id", &(o).project_id, "ID",                                                       \
		    "Project (default $HUAWEICLOUD_SDK_PROJECT_ID, else the key's)."),                         \
	CLIENT_DATA(o, "endpoint, key and project"),                                                           \
	CLIENT_CA_FILE(o),                                                                                     \
	CLIENT_JSON(o)

struct client;

struct access {
	const char *endpoint, *key_id, *key_secret, *project_id; /* project_id: "" with OpenSearch */
};
/* Only find out where and as whom; needs no server when the endpoint is given. */
enum rc client_access(const struct client_options *o, struct arena *a, struct access *out, struct err *err) NODISCARD;

enum rc client_open(const struct client_options *o, struct client **out, struct err *err) NODISCARD;
void client_close(struct client *c); /* NULL is fine */
struct arena *client_arena(struct client *c);
const char *client_project(const struct client *c);
/* Drop every answer so far: for commands that poll. */
void client_forget(struct client *c);

/* "/v4/openapi/app-groups/{}/functions/{}" with each {} replaced by a percent-encoded segment. */
const char *client_path(struct client *c, const char *pattern, const char *const *segments, size_t n);
/* "a=b&c=d" from pairs of texts; pairs whose value is NULL are left out. */
const char *client_query(struct client *c, const char *const *pairs, size_t n_pairs);

struct answer {
	int status;
	const char *text;    /* the body */
	size_t len;
	const json_t *json;  /* its root; NULL when it is not JSON (client_fetch), or there is none (DCS, 204) */
	int64_t next_offset; /* header x-stint-next-offset; -1 absent */
};
/* method and action as in the vendor's documentation (DCS sends no action); body NULL: none. */
enum rc client_call(struct client *c, const char *method, const char *action, const char *path, const char *query,
		    const char *body, struct answer *out, struct err *err) NODISCARD;
/* The same for a caller that looks at refusals itself: RC_OK also for a status of 400 and more; json is NULL when the
 * body is none. What fails is the exchange: the change asked for may have been made or not. */
enum rc client_ask(struct client *c, const char *method, const char *action, const char *path, const char *query,
		   const char *body, struct answer *out, struct err *err) NODISCARD;
/* GET of something that is not JSON when it succeeds. */
enum rc client_fetch(struct client *c, const char *action, const char *path, const char *query, struct answer *out,
		     struct err *err) NODISCARD;

/* Members of an answer's result, in either casing; "" and 0 when absent. */
const json_t *answer_result(const struct answer *a);
const char *json_text_of(const json_t *object, const char *camel_name);
int64_t json_int_of(const json_t *object, const char *camel_name);

#endif
