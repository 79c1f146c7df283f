/*
 * mem: heap memory for long-lived objects. These never return NULL: on Linux a NULL check there is
 * code that no test ever runs, so exhaustion stops the process. What an outsider sizes comes from
 * an arena (base/arena.h) or a buf (base/buf.h), which have limits and report RC_LIMIT.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);                    /* zeroed; size 0 gives a unique pointer */
void *mem_array(size_t n, size_t size);          /* zeroed; aborts when n * size overflows */
void *mem_grow(void *p, size_t n, size_t size);  /* realloc to n * size bytes; new part not zeroed */
char *mem_dup(const char *text);                 /* text may be NULL: gives NULL */
char *mem_dup_n(const char *bytes, size_t len);  /* adds the NUL */
void mem_free(void *p);                          /* NULL is fine */
void mem_freep(void *pp);                        /* for CLEANUP: frees *(void **)pp */
void mem_wipe(void *p, size_t size);             /* zero that the compiler may not drop */
void mem_trim(void);                             /* give freed pages back to the system; looks through the whole heap */

#define mem_new(type) ((type *)mem_alloc(sizeof(type)))

#endif
