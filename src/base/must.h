/*
 * must: claims about our own code. Never compiled out, never used on outside input.
 * A failed must writes one record to stderr (condition, place, errno) and aborts.
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#include <assert.h>
#include "base/attr.h"

NORETURN COLD void must_failed(const char *cond, const char *file, int line, const char *func);

#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__, __func__))

#endif
