/*
 * templates: sets of parameters for instances to come. One of the system for each mode and version, with
 * the values every new instance has, and those of the project's users. Private to api/dcs.
 */
#ifndef API_DCS_TEMPLATES_H
#define API_DCS_TEMPLATES_H

#include "api/call.h"

/* What the template of that id sets beside the defaults, as a JSON object, when it is for instances of that mode. The
 * request's body named it as template_id: false when it is none, and that is answered. */
bool template_settings(struct call *c, const char *project, const char *id, const char *mode,
		       const char **out) NODISCARD;

#endif
