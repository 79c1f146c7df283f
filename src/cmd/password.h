/*
 * password: passwords for a command: never from its arguments, which everybody on the machine can read.
 *
 * Where one comes from, first found wins: a file (its first line), the environment variable REDISCLI_AUTH (which
 * redis-cli reads, too), a question on the terminal, unseen.
 */
#ifndef CMD_PASSWORD_H
#define CMD_PASSWORD_H

#include <stdbool.h>
#include "base/err.h"

enum { PASSWORD_SIZE = 256 };

/* file: NULL none, "-" standard input. must_agree: a typed one is asked for twice. RC_INVALID: nowhere, or empty. */
enum rc password_read(const char *file, const char *question, bool must_agree, char out[PASSWORD_SIZE],
		    struct err *err) NODISCARD;

#endif
