#include "api/dcs/errors.h"

#include <string.h>
#include "base/attr.h"
#include "base/must.h"

static const struct {
	const char *code;
	int http;
	const char *message;
} errors[DCS_ERRORS] = {
#define X(name, c, h, m) [DCS_##name] = { c, h, m },
	DCS_ERROR_TABLE(X)
#undef X
};

const char *dcs_error_code(enum dcs_error e) { return errors[e].code; }
int dcs_error_http(enum dcs_error e) { return errors[e].http; }
const char *dcs_error_message(enum dcs_error e) { return errors[e].message; }

/* No default: a new verdict stops the build here. */
enum dcs_error dcs_error_of_verdict(enum verdict v)
{
	switch (v) {
	case V_NO_INSTANCE: return DCS_NO_INSTANCE;
	case V_INSTANCE_BUSY:
	case V_BAD_STATE: return DCS_STATE;
	case V_NO_TASK: return DCS_NO_TASK;
	case V_TASK_UNFINISHED: return DCS_TASK_RUNNING;
	case V_TOO_MANY: return DCS_QUOTA;
	case V_BAD_INPUT: return DCS_PARAM;
	case V_NO_RECORD: return DCS_ID_PARAM;
	case V_UNAVAILABLE: return DCS_UNAVAILABLE;
	case V_NO_APP: /* of the other dialect */
	case V_APP_EXISTS:
	case V_NO_FUNCTION:
	case V_INSTANCE_EXISTS:
	case V_NO_DEFAULT:
	case V_DEFAULT_REFUSED:
	case V_FAILED: return DCS_INTERNAL;
	case V_OK: break;
	}
	must(v != V_OK);
	return DCS_INTERNAL;
}

/* Tasks and states that have a word of their own (5.4); clients retry on exactly these codes. */
static const struct {
	const char *busy;
	enum dcs_error error;
} busy_rows[] = {
	{ "BACKUP", DCS_BACKING_UP },       { "RESTORE", DCS_RESTORING },       { "RESTORING", DCS_RESTORING },
	{ "RESTART", DCS_RESTARTING },      { "SOFT_RESTART", DCS_RESTARTING }, { "RESTARTING", DCS_RESTARTING },
	{ "RenameCommands", DCS_RESTARTING }, { "EXTEND", DCS_EXTENDING },      { "AddReplica", DCS_EXTENDING },
	{ "DelReplica", DCS_EXTENDING },    { "EXTENDING", DCS_EXTENDING },     { "UpdateConfig", DCS_CONFIGURING },
	{ "modify", DCS_CHANGING_PASSWORD }, { "CREATE", DCS_CREATING },        { "CREATING", DCS_CREATING },
	{ "ERROR", DCS_NOT_RUNNING },
};

enum dcs_error dcs_error_of_busy(const char *busy)
{
	for (size_t i = 0; i < ARRAY_LEN(busy_rows); i++) {
		if (strcmp(busy_rows[i].busy, busy) == 0)
			return busy_rows[i].error;
	}
	return DCS_STATE;
}

enum dcs_error dcs_error_of_busy_delete(const char *busy)
{
	enum dcs_error e = dcs_error_of_busy(busy);
	return e == DCS_CREATING || e == DCS_RESTARTING ? DCS_DELETE_STATE : DCS_STATE;
}

enum dcs_error dcs_error_of_status(int http_status)
{
	switch (http_status) {
	case 400: return DCS_BODY;
	case 501: return DCS_METHOD;
	case 503: return DCS_UNAVAILABLE;
	default: return http_status >= 500 ? DCS_INTERNAL : DCS_QUERY;
	}
}
