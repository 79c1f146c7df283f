#include "base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "base/must.h"

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	must(p);
	return p;
}

void *mem_array(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	must(p);
	return p;
}

void *mem_grow(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size ? size : 1);
	must(q);
	return q;
}

char *mem_dup_n(const char *bytes, size_t len)
{
	char *p = mem_alloc(len + 1);
	if (len)
		memcpy(p, bytes, len);
	return p;
}

char *mem_dup(const char *text) { return text ? mem_dup_n(text, strlen(text)) : NULL; }
void mem_free(void *p) { free(p); }
void mem_wipe(void *p, size_t size) { explicit_bzero(p, size); }
void mem_trim(void) { (void)malloc_trim(0); } /* whether there was any does not matter */

void mem_freep(void *pp)
{
	void *p;
	memcpy(&p, pp, sizeof p);
	free(p);
}
