/*
 * serve: what others want to know of the server's settings.
 */
#ifndef CMD_SERVE_H
#define CMD_SERVE_H

#include "base/err.h"

/* Would `stint serve --config path` take it? Errors as settings_read's (cmd/settings.h). */
enum rc serve_settings_check(const char *path, struct err *err) NODISCARD;

#endif
