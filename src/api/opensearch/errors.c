#include "api/opensearch/errors.h"

#include "base/must.h"

static const struct {
	const char *code;
	int http;
	const char *message;
} errors[] = {
#define X(name, c, h, m) [API_ERR_##name] = { c, h, m },
	API_ERROR_TABLE(X)
#undef X
};

const char *api_error_code(enum api_error e) { return errors[e].code; }
int api_error_http(enum api_error e) { return errors[e].http; }
const char *api_error_message(enum api_error e) { return errors[e].message; }

/* No default: a new verdict stops the build here. */
enum api_error api_error_of_verdict(enum verdict v)
{
	switch (v) {
	case V_NO_APP: return API_ERR_APP_NOT_FOUND;
	case V_APP_EXISTS: return API_ERR_APP_DUPLICATED;
	case V_NO_FUNCTION: return API_ERR_VERSION_NOT_EXIST;
	case V_NO_INSTANCE: return API_ERR_INSTANCE_NOT_EXIST;
	case V_INSTANCE_EXISTS: return API_ERR_INSTANCE_DUPLICATED;
	case V_INSTANCE_BUSY: return API_ERR_TASK_IS_RUNNING;
	case V_NO_TASK: return API_ERR_TASK_NOT_EXIST;
	case V_TASK_UNFINISHED: return API_ERR_TASK_UNABLE_DELETE;
	case V_NO_DEFAULT: return API_ERR_DEFAULT_NOT_EXIST;
	case V_DEFAULT_REFUSED: return API_ERR_DEFAULT_SET_FAIL;
	case V_BAD_INPUT: return API_ERR_INVALID_PARAMETER;
	case V_TOO_MANY: return API_ERR_OUT_OF_RANGE;
	case V_UNAVAILABLE: return API_ERR_UNAVAILABLE;
	case V_BAD_STATE: /* these two are of caches, the other dialect's */
	case V_NO_RECORD:
	case V_FAILED: return API_ERR_INTERNAL;
	case V_OK: break;
	}
	must(v != V_OK);
	return API_ERR_INTERNAL;
}

bool verdict_tells_why(enum verdict v)
{
	return v == V_BAD_INPUT || v == V_TOO_MANY || v == V_DEFAULT_REFUSED;
}

enum api_error api_error_of_status(int http_status)
{
	switch (http_status) {
	case 413:
	case 414:
	case 431: return API_ERR_INVALID_PARAMETER;
	case 501: /* a method or framing that we do not know, 505 a version: nothing of ours has failed */
	case 505: return API_ERR_INVALID_REQUEST;
	case 503: return API_ERR_UNAVAILABLE;
	default: return http_status >= 500 ? API_ERR_INTERNAL : API_ERR_INVALID_REQUEST;
	}
}
