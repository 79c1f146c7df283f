/*
 * settings: a settings file (inih: "name = value", ';' or '#' comments) read by the same table as the command line.
 * A name is an option's, with '_' or '-'. Sections and indentation are for the reader's eye only. A list option repeats
 * its line. A line has at most 198 bytes.
 */
#ifndef CMD_SETTINGS_H
#define CMD_SETTINGS_H

#include "cmd/args.h"

/* Options given on the command line keep their value. Texts live in a. RC_INVALID names file and line. */
enum rc settings_read(const char *path, struct opt *opts, size_t n, struct arena *a, struct err *err) NODISCARD;

#endif
