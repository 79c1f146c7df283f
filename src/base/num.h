/*
 * num: strict numbers. Whole text or nothing: no leading blanks, no trailing rest, no overflow.
 * take_* are for hand-written parsers: they move *p past what they accept, else leave it.
 * Pure functions: any thread. Outputs are written on success only.
 */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool num_i64(const char *text, int64_t *out);                 /* optional '-', decimal digits */
bool num_i64_n(const char *bytes, size_t len, int64_t *out);
bool num_u64(const char *text, uint64_t *out);
bool num_f64(const char *text, double *out);                  /* finite, decimal; locale-free */
bool num_f64_n(const char *bytes, size_t len, double *out);   /* len <= 63 */
bool num_is_canonical(const char *text);                      /* 1, 2, 3 ...: no sign, no leading zero */

bool take_char(const char **p, char c);
bool take_int(const char **p, int *out);                      /* decimal digits, at most INT_MAX */

#endif
