/* The OpenSearch API and our own paths, on the common way of a request. */
#include "api/dialect.h"

#include <string.h>
#include "api/opensearch/answer.h"
#include "api/opensearch/routes.h"

static bool is_signed_place(const char *raw_path)
{
	return strncmp(raw_path, "/v4/", 4) == 0 || strncmp(raw_path, "/stint/", 7) == 0;
}

static bool settle_path(struct path *p)
{
	(void)p;
	return true;
}

/* x-acs-action says in a word what method and path say already. A request whose halves disagree is refused: what its
 * sender meant, and what a policy on the way let through, may be the other one. */
static bool is_consistent(struct call *c)
{
	const char *action = http_header_of(c->req, "x-acs-action");

	if (!action || !*action || strcmp(action, c->operation) == 0)
		return true;
	answer_error(c, API_ERR_ACTION_NOT_FOUND,
		     arena_printf(c->arena, "x-acs-action is '%.80s', but method and path are those of %s", action,
				  c->operation));
	return false;
}

static void bad_request(struct call *c, const struct err *err)
{
	/* Without a route the path itself could not be read; with one, a value of the query. */
	if (c->route)
		answer_bad_input(c, err);
	else
		answer_error(c, API_ERR_INVALID_REQUEST, err->msg);
}

static void unavailable(struct call *c) { answer_error(c, API_ERR_UNAVAILABLE, NULL); }
static void no_path(struct call *c) { answer_error(c, API_ERR_ACTION_NOT_FOUND, NULL); }

static void fault(struct buf *body, int status, const char *request_id, const char *why)
{
	enum api_error e = api_error_of_status(status);
	const struct envelope envelope = {
		.http_code = status,
		.request_id = request_id,
		.code = api_error_code(e),
		.message = why && *why ? why : api_error_message(e),
		.latency_ms = 0,
	};
	envelope_error(body, &envelope);
}

const struct dialect opensearch_dialect = {
	.id_header = "x-acs-request-id",
	.content_type = answer_json_type,
	.routes = api_routes,
	.is_signed_place = is_signed_place,
	.settle_path = settle_path,
	.authenticate = auth_check,
	.is_consistent = is_consistent,
	.bad_request = bad_request,
	.unavailable = unavailable,
	.no_memory = answer_no_memory,
	.no_path = no_path,
	.no_method = answer_method,
	.fault = fault,
};
