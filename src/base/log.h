/*
 * log: one line per event on stderr, "time level event key=value ...", written by one write call.
 * event is a stable name such as "task.finished"; the rest says with which values, by %s, %d, %lld and %zu alone.
 * A %s may be anybody's text, NULL too: it stays one value. Where fmt has no quotes around it, it gets them if it needs
 * them; a quote in it becomes an apostrophe, a control character a blank, and what is longer than half a KiB is cut.
 * error: a person must act; warn: handled, and how; info: state changed; debug: for us.
 * Only cmd, api, http, engine and exec log; everything else returns an error. Never log a secret.
 * Threads: any.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include "base/attr.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level); /* default info */
void log_write(enum log_level level, const char *event, const char *fmt, ...) PRINTF(3, 4);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
