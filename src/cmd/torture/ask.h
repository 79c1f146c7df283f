/*
 * ask: one signed request of one connection, and what kind of answer it got.
 *
 * Owner:   the answer lives until the next request of the same connection.
 * Threads: one per struct asker.
 */
#ifndef CMD_TORTURE_ASK_H
#define CMD_TORTURE_ASK_H

#include "cmd/client.h"
#include "cmd/torture/model.h"

struct asker {
	struct client *client;
	struct answer answer;
	struct err err;   /* of a LOST one */
	struct buf body;  /* of the next request; built by the caller, empty: none */
	int64_t begun_us; /* when the last request was sent */
	int64_t lost_us;  /* when an answer stayed away; 0 never */
	int64_t n_done, n_refused, n_lost;
};

enum rc ask_open(const char *endpoint, const char *key_id, const char *key_secret, struct asker *a,
                 struct err *err) NODISCARD;
/* The same for the other cloud: paths begin with "/v2/{}", the project; answers carry error_code, see ask_code. */
enum rc ask_open_dcs(const char *endpoint, const char *key_id, const char *key_secret, const char *project_id,
                     struct asker *a, struct err *err) NODISCARD;
void ask_close(struct asker *a);

/* A path: {} are replaced by what follows, as many as there are. Dies with the next request. */
enum { SEGMENTS_MAX = 4 };
struct path {
	const char *pattern, *segments[SEGMENTS_MAX];
};
extern const char path_apps[], path_app[], path_instances[], path_instance[], path_tasks[], path_task[], path_detail[],
        path_default[];

/* Send it with a->body as its body. LOST: the exchange failed, whatever the server made of it. */
enum outcome ask(struct asker *a, const char *method, const char *action, const struct path *path, const char *query);
/* The refusal's code, "" when it has none. */
const char *ask_code(const struct asker *a);

/* Bodies. */
void ask_app_body(struct asker *a, const struct app_fact *app);
void ask_instance_body(struct asker *a, const struct instance_fact *i, const struct wish *w, bool is_creation);
void ask_default_body(struct asker *a, const char *instance);

/* Rows of ListFunctionTasks in the last answer, appended to rows; how many now. */
size_t ask_read_tasks(const struct asker *a, struct sighting *rows, size_t n, size_t most);
bool ask_read_task(const json_t *row, struct sighting *out);
/* Is the instance of the last answer as it was asked to be? why says what is not. */
bool ask_shows_wish(const struct asker *a, const struct instance_fact *i, const struct wish *w, char *why, size_t size);

#endif
