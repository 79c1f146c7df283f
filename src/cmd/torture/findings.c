#include "cmd/torture/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/must.h"

void findings_init(struct findings *f)
{
	memset(f, 0, sizeof *f);
	f->where = "";
	must(pthread_mutex_init(&f->lock, NULL) == 0);
}

void findings_fini(struct findings *f) { (void)pthread_mutex_destroy(&f->lock); }

void findings_begin_round(struct findings *f, int64_t round)
{
	(void)pthread_mutex_lock(&f->lock);
	f->round = round;
	(void)pthread_mutex_unlock(&f->lock);
}

void findings_set_place(struct findings *f, const char *where)
{
	(void)pthread_mutex_lock(&f->lock);
	f->where = where;
	(void)pthread_mutex_unlock(&f->lock);
}

void findings_add(struct findings *f, const char *rule, const char *fmt, ...)
{
	va_list ap;

	(void)pthread_mutex_lock(&f->lock);
	f->n_all++;
	if (f->n < FINDINGS_MAX) {
		struct finding *row = &f->rows[f->n++];
		row->round = f->round;
		row->rule = rule;
		int at = snprintf(row->text, sizeof row->text, "%.60s", f->where);
		va_start(ap, fmt);
		(void)vsnprintf(row->text + at, sizeof row->text - (size_t)at, fmt, ap);
		va_end(ap);
	}
	(void)pthread_mutex_unlock(&f->lock);
}

size_t findings_count(struct findings *f)
{
	(void)pthread_mutex_lock(&f->lock);
	size_t n = f->n_all;
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}
