/*
 * errors: the vendor's error codes as one table, and which of them each outcome of the engine
 * becomes. "{0}" in a message stands for the name of what is wrong.
 * Pure, any thread.
 */
#ifndef API_DCS_ERRORS_H
#define API_DCS_ERRORS_H

#include "engine/cache.h"

#define DCS_ERROR_TABLE(X) /* name, code, HTTP status, message */                                                  \
	X(PATH, "DCS.4001", 404, "The requested URL does not exist.")                                              \
	X(METHOD, "DCS.5001", 405, "This request method is not allowed.")                                          \
	X(BAD_TOKEN, "DCS.1001", 401, "Invalid token.")                                                            \
	X(FOREIGN_PROJECT, "DCS.1004", 401, "Project ID does not match the token.")                                \
	X(FORBIDDEN, "DCS.2003", 403, "This role does not have the permission to perform this operation.")         \
	X(PROJECT_FORMAT, "DCS.4002", 400, "Invalid project ID format.")                                           \
	X(BODY_EMPTY, "DCS.4004", 400, "Empty request body.")                                                      \
	X(BODY, "DCS.4005", 400, "The message body contains invalid characters or is not in JSON format.")         \
	X(ENGINE, "DCS.4006", 400, "The selected cache engine type is not supported.")                             \
	X(TYPE, "DCS.4007", 400, "Instance type is not supported.")                                                \
	X(ENGINE_VERSION, "DCS.4008", 400, "The selected cache engine version is not supported.")                  \
	X(NAME, "DCS.4010", 400,                                                                                   \
	  "Invalid DCS instance name. It must be 4 to 64 characters long, begin with a letter or a digit, and "    \
	  "hold only letters, digits, underscores and hyphens.")                                                   \
	X(DESCRIPTION, "DCS.4011", 400, "DCS instance description cannot exceed 1024 characters.")                 \
	X(CAPACITY, "DCS.4012", 400, "Invalid capacity parameter in the request.")                                 \
	X(VPC, "DCS.4013", 400, "Invalid vpc_id in the request.")                                                  \
	X(SECURITY_GROUP, "DCS.4014", 400, "Invalid security_group_id in the request.")                            \
	X(SUBNET, "DCS.4016", 400, "Invalid subnet_id in the request.")                                            \
	X(TASK_RUNNING, "DCS.4017", 400, "This DCS instance job task is still running.")                           \
	X(WEAK_PASSWORD, "DCS.4019", 400, "The password does not meet complexity requirements.")                   \
	X(TIME_ORDER, "DCS.4025", 400, "The end time must be after the start time.")                               \
	X(STATE, "DCS.4026", 400,                                                                                  \
	  "This operation is not allowed when the DCS instance is in the current state.")                          \
	X(SPAN, "DCS.4028", 400, "The time span cannot exceed 10 minutes.")                                        \
	X(TOO_LONG_AGO, "DCS.4030", 400, "The start time must be within the last 7 days.")                         \
	X(IN_FUTURE, "DCS.4031", 400, "The end time cannot be later than the current time.")                       \
	X(BEFORE_INSTANCE, "DCS.4033", 400, "The start time must be after the DCS instance was started.")          \
	X(QUOTA_INSTANCES, "DCS.4035", 400, "DCS instance quota of the tenant is insufficient.")                   \
	X(QUOTA_MEMORY, "DCS.4036", 400, "Memory quota of the tenant is insufficient.")                            \
	X(QUOTA, "DCS.4039", 400, "The quota limit has been reached.")                                             \
	X(ZONE, "DCS.4042", 400, "This AZ does not exist.")                                                        \
	X(NOT_RUNNING, "DCS.4049", 400, "The instance status is not running.")                                     \
	X(INSTANCE_FORMAT, "DCS.4061", 400, "Invalid instance ID format.")                                         \
	X(PARAM, "DCS.4062", 400, "Invalid {0} parameter in the request.")                                         \
	X(ID_PARAM, "DCS.4063", 400, "Invalid {0} parameter in the request.")                                      \
	X(ACTION, "DCS.4064", 400, "The action parameter in the request must be start, stop, or restart.")         \
	X(NO_INSTANCES, "DCS.4065", 400,                                                                           \
	  "The instances parameter in the request cannot be a null value or left unspecified.")                    \
	X(CONFIG_VALUE, "DCS.4066", 400, "Invalid value of the configure parameter {0}.")                          \
	X(CONFIG_RACE, "DCS.4069", 500, "Another user is modifying configuration parameters of the DCS instance. " \
					"Please try again later.")                                         \
	X(TASK_FORMAT, "DCS.4070", 400, "Invalid task ID format.")                                                 \
	X(SAVE_DAYS, "DCS.4072", 400, "Invalid saveDays instance backup policy parameter in the request.")         \
	X(BACKUP_TYPE, "DCS.4073", 400, "Invalid backupType instance backup policy parameter in the request.")     \
	X(PERIOD_TYPE, "DCS.4074", 400, "Invalid periodType instance backup policy parameter in the request.")     \
	X(BACKUP_AT, "DCS.4075", 400, "Invalid backupAt instance backup policy parameter in the request.")         \
	X(BEGIN_AT, "DCS.4076", 400, "Invalid beginAt instance backup policy parameter in the request.")           \
	X(HA_ONLY, "DCS.4086", 400, "only master standby instance is support this action")                         \
	X(BACKUP_UNFIT, "DCS.4087", 400, "the backup record status is err when restore this instance")             \
	X(BACKING_UP, "DCS.4096", 400, "the instance is backuping.")                                               \
	X(RESTORING, "DCS.4097", 400, "the instance is restoring.")                                                \
	X(REMARK, "DCS.4098", 400, "The value of the remark parameter must be 0 to 128 characters in length.")     \
	X(DELETE_STATE, "DCS.4099", 400,                                                                           \
	  "DCS instances in the Creating, Starting, Stopping, or Restarting state cannot be deleted.")             \
	X(TOO_MANY_IDS, "DCS.4100", 400, "The number of instance IDs in an instances array cannot exceed 50.")     \
	X(RESIZE, "DCS.4102", 400, "The system is not support resize.")                                            \
	X(SAME_SIZE, "DCS.4103", 400, "The instance has the requested specification already.")                     \
	X(MAINTAIN, "DCS.4106", 400, "The value of maintain time illegal.")                                        \
	X(RESTARTING, "DCS.4111", 400, "the instance is restarting.")                                              \
	X(EXTENDING, "DCS.4113", 400, "the instance is extending.")                                                \
	X(CONFIGURING, "DCS.4114", 400, "the instance is configuring.")                                            \
	X(CHANGING_PASSWORD, "DCS.4115", 400, "the instance is changing the password.")                            \
	X(CREATING, "DCS.4118", 400, "the instance is creating.")                                                  \
	X(NO_TASK, "DCS.4133", 404, "Instance job is not found.")                                                  \
	X(TYPE_CHANGE, "DCS.4200", 400, "Instance type cannot be changed.")                                        \
	X(NO_OFFLINE, "DCS.4232", 400, "The offline key analysis task does not exist.")                            \
	X(ALL_PRIORITIES_ZERO, "DCS.4253", 400, "All replicas have a priority of 0.")                              \
	X(QUERY, "DCS.4800", 400, "Invalid {0} in the request.")                                                   \
	X(FIRST_SCAN_AT, "DCS.4819", 400, "The first_scan_at parameter must be a time in the future.")             \
	X(SCAN_INTERVAL, "DCS.4820", 400, "The interval parameter must be 0 to 2592000 seconds.")                  \
	X(SCAN_TIMEOUT, "DCS.4821", 400,                                                                           \
	  "The timeout parameter must be 1 to 5184000 seconds, and at least twice the interval.")                  \
	X(SCAN_KEYS_COUNT, "DCS.4822", 400, "The scan_keys_count parameter must be 10 to 1000.")                   \
	X(JOB_FAILED, "DCS.4842", 500, "job execution status failed.")                                             \
	X(NO_PASSWORD_ACCESS, "DCS.4843", 400, "The {0} parameter is missing or its value is invalid.")            \
	X(PASSWORD, "DCS.4845", 400, "The {0} parameter is missing or its value is invalid.")                      \
	X(PASSWORD_SUPERFLUOUS, "DCS.4849", 400, "The request parameter new_password should not exist.")           \
	X(PASSWORD_FREE, "DCS.4850", 400,                                                                          \
	  "This operation is not supported when Password-Free Access is enabled for the instance.")                \
	X(SWAP, "DCS.4855", 400, "Master standby swap is not supported.")                                          \
	X(TOO_MANY_REPLICAS, "DCS.4875", 400, "The number of replicas exceeds the limit.")                         \
	X(BIGKEY_RUNNING, "DCS.4918", 400, "Instance bigkey analyze is running.")                                  \
	X(HOTKEY, "DCS.4922", 400, "Does not support hotkey analyze.")                                             \
	X(SPEC_CODE, "DCS.4927", 400, "The param spec_code is invalid")                                            \
	X(NODE_LIST, "DCS.4930", 400, "The param node_list is invalid.")                                           \
	X(ZONES, "DCS.4933", 400, "The param available_zones is invalid.")                                         \
	X(IS_MASTER, "DCS.4936", 400, "The master node cannot be deleted.")                                        \
	X(LAST_REPLICA, "DCS.4937", 400, "The last replica cannot be deleted.")                                    \
	X(PRIORITY, "DCS.4939", 400, "The param slave_priority_weight is invalid.")                                \
	X(NO_HOTKEY, "DCS.4941", 400, "The hotkey id does not exist.")                                             \
	X(NO_BIGKEY, "DCS.4942", 400, "The bigkey id does not exist.")                                             \
	X(SCAN_STATE, "DCS.4957", 400,                                                                             \
	  "This operation is not allowed when the task is in the current state.")                                  \
	X(NO_TEMPLATE, "DCS.4988", 400, "The parameter template does not exist.")                                  \
	X(NO_INSTANCE, "DCS.3022", 404, "This DCS instance does not exist.")                                       \
	X(NODE_ID, "DCS.3053", 400, "Incorrect node ID.")                                                          \
	X(INTERNAL, "DCS.5000", 500, "Internal service error.")                                                    \
	X(UNAVAILABLE, "DCS.5000", 503,                                                                            \
	  "Internal service error. The server takes no changes right now; try again later.")                       \
	X(SUBMIT, "DCS.5006", 500, "Submit job failed.")                                                           \
	X(SWAP_FAILED, "DCS.5094", 500, "Master standby swap failed.")

enum dcs_error {
#define X(name, code, http, message) DCS_##name,
	DCS_ERROR_TABLE(X)
#undef X
	DCS_ERRORS
};

enum { DCS_CODE_MAX = 9, DCS_MESSAGE_MAX = 1024 /* bytes here, characters in the contract */ };

const char *dcs_error_code(enum dcs_error e);
int dcs_error_http(enum dcs_error e);
const char *dcs_error_message(enum dcs_error e);

/* Of a refusal that needs nothing more than the verdict; V_OK must not come here. V_TOO_MANY: a quota. */
enum dcs_error dcs_error_of_verdict(enum verdict v);
/* Why an instance takes no operation now. busy: name of the task that runs, or the status (cache_operate.busy). */
enum dcs_error dcs_error_of_busy(const char *busy);
/* The same for its deletion. */
enum dcs_error dcs_error_of_busy_delete(const char *busy);
/* For a status the server answers by itself (413, 431, 408 ...). */
enum dcs_error dcs_error_of_status(int http_status);

#endif
