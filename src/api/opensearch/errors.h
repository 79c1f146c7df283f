/*
 * errors: the vendor's error codes as one table, and which of them each outcome of the engine becomes.
 * Pure, any thread.
 */
#ifndef API_OPENSEARCH_ERRORS_H
#define API_OPENSEARCH_ERRORS_H

#include "engine/engine.h"

#define API_ERROR_TABLE(X) /* name, code, HTTP status, message when there is nothing more exact to say */          \
	X(APP_NOT_FOUND, "App.NotFound", 404, "App not found")                                                     \
	X(APP_DUPLICATED, "App.Duplicated", 409, "an app group of this name exists already")                       \
	X(APP_NAME, "App.InvalidParameter.Name", 400, "bad name of an app group")                                  \
	X(VERSION_NOT_EXIST, "Version.NotExist", 404, "version not exist.")                                        \
	X(INSTANCE_NOT_EXIST, "Instance.NotExist", 404, "instance not exist.")                                     \
	X(INSTANCE_DUPLICATED, "Instance.Duplicated", 409, "an instance of this name exists already")              \
	X(TASK_IS_RUNNING, "Task.IsRunning", 409, "the instance has a training task in progress")                  \
	X(TASK_NOT_EXIST, "Task.NotExist", 404, "task not exist.")                                                 \
	X(TASK_UNABLE_DELETE, "Task.UnableDelete", 409, "the training task in progress cannot be deleted")         \
	X(DEFAULT_NOT_EXIST, "DefaultInstance.NotExist", 404, "default instance not set.")                         \
	X(DEFAULT_SET_FAIL, "DefaultInstance.SetFail", 400, "the default instance cannot be set to that")          \
	X(INVALID_REQUEST, "InvalidRequest", 400, "Invalid request.")                                              \
	X(INVALID_PARAMETER, "InvalidParameter", 400, "a parameter is not valid")                                  \
	X(MISSING_PARAMETER, "MissingParameter", 400, "a required parameter is missing")                           \
	X(OUT_OF_RANGE, "OutOfRange", 400, "over a limit of this server")                                          \
	X(ACTION_NOT_FOUND, "InvalidAction.NotFound", 404, "there is no operation at this path")                   \
	X(METHOD, "UnsupportedHTTPMethod", 405, "the path does not support this method")                           \
	X(SIGNATURE_METHOD, "InvalidSignatureMethod", 400,                                                         \
	  "sign with ACS3-HMAC-SHA256; no other scheme is known here")                                             \
	X(UNAVAILABLE, "ServiceUnavailable", 503, "the server takes no changes right now; try again later")        \
	X(INTERNAL, "InternalError", 500, "internal error; the server's log says more under this request id")

enum api_error {
#define X(name, code, http, message) API_ERR_##name,
	API_ERROR_TABLE(X)
#undef X
};

const char *api_error_code(enum api_error e);
int api_error_http(enum api_error e);
const char *api_error_message(enum api_error e);

/* V_OK is no error: it must not come here. */
enum api_error api_error_of_verdict(enum verdict v);
/* May err's words go to the client with this verdict? Those of an internal failure may not. */
bool verdict_tells_why(enum verdict v);
/* What the server says for a status it answers by itself (413, 431, 408 ...). */
enum api_error api_error_of_status(int http_status);

#endif
