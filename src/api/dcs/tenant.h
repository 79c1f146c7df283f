/*
 * tenant: what a project may have. The vendor sells quotas; here they keep one project from taking all of a machine.
 */
#ifndef API_DCS_TENANT_H
#define API_DCS_TENANT_H

#include "api/call.h"

enum { QUOTA_INSTANCES = 100, QUOTA_MEMORY_GB = 1024 };

struct usage {
	int64_t instances, memory_mib;
};
/* What the project has, failed ones included. False: answered. */
bool tenant_usage(struct call *c, const char *project, struct usage *out) NODISCARD;

#endif
