/*
 * figures: how many requests each operation answered with which status, and how long they took.
 *
 * Owner:    figures_new's caller.  Threads: any (counters are atomic); the list of operations is fixed at birth.
 */
#ifndef API_FIGURES_H
#define API_FIGURES_H

#include "api/router.h"
#include "base/buf.h"

struct figures;

/* One figure per distinct operation of the table, plus FIGURE_UNKNOWN (no such operation) and FIGURE_REFUSED (what
 * the http server refused before it was a request). */
enum { FIGURE_UNKNOWN, FIGURE_REFUSED, FIGURE_FIRST_OPERATION };

struct figures *figures_new(const struct route *routes, size_t n);
void figures_free(struct figures *f); /* NULL is fine */
size_t figures_of(const struct figures *f, const char *operation);
void figures_add(struct figures *f, size_t figure, int http_status, double seconds);
/* Prometheus text; figures that never counted are left out. */
void figures_write(struct figures *f, struct buf *out);

#endif
