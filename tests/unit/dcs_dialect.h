/* dcs_dialect: what the tests of the DCS dialect ask of a server without sockets (dialect.h). */
#ifndef DCS_DIALECT_H
#define DCS_DIALECT_H

#include "api/dcs/format.h"
#include "dialect.h"

#define P "/v2/a4d31cb63d7244fdbec96e3a41e47f71"
#define ALL P "/instances"
#define NOBODY "5560df16-cebf-4473-95c4-d1b573c16e79"
/* The end of a body that creates an instance. */
#define REST                                                                                                           \
	",\"engine\":\"Redis\",\"engine_version\":\"7.0\",\"az_codes\":[\"stint-1\"],\"vpc_id\":\"v\","                \
	"\"subnet_id\":\"s\""

/* The answer is JSON, or empty with 204. */
int run(const struct request *r);
int call(const char *method, const char *target, const char *body);
/* The last answer is this error, in the contract's form. */
void expect_error(const char *what, int status, const char *code);

/* The path of an instance, with rest behind it. The last eight stay valid. */
const char *one(const char *uid, const char *rest);
void create(const char *body, char uid[UUID_SIZE]);
void create_running(const char *body, char uid[UUID_SIZE]);

#endif
