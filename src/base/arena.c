#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"

#if defined(__SANITIZE_ADDRESS__)
#define OWN_BLOCKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_BLOCKS 1
#endif
#endif
#ifndef OWN_BLOCKS
#define OWN_BLOCKS 0
#endif

enum { ALIGN = 16, CHUNK_SIZE = 8192 };

struct chunk {
	struct chunk *next;
	size_t used, cap;
	_Alignas(ALIGN) unsigned char bytes[];
};

struct cleanup {
	struct cleanup *next;
	void (*fn)(void *arg);
	void *arg;
};

struct arena {
	struct chunk *chunks;     /* newest first */
	struct cleanup *cleanups; /* newest first */
	size_t used, ceiling;
	bool is_full;
};

void *(*arena_grow)(size_t size) = mem_alloc;

struct arena *arena_new(size_t ceiling_size)
{
	struct arena *a = mem_new(struct arena);
	a->ceiling = ceiling_size < PTRDIFF_MAX ? ceiling_size : PTRDIFF_MAX; /* so that rounding up cannot wrap */
	return a;
}

void arena_reset(struct arena *a)
{
	while (a->cleanups) {
		struct cleanup *c = a->cleanups;
		a->cleanups = c->next;
		c->fn(c->arg);
		mem_free(c);
	}
	while (a->chunks) {
		struct chunk *c = a->chunks;
		a->chunks = c->next;
		mem_free(c);
	}
	a->used = 0;
	a->is_full = false;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	mem_free(a);
}

void arena_freep(struct arena **a) { arena_free(*a); }
bool arena_is_full(const struct arena *a) { return a->is_full; }

void *arena_alloc(struct arena *a, size_t size)
{
	/* Full is for good: a builder that lost one piece must not go on with the smaller ones. */
	if (a->is_full || size > a->ceiling || a->used > a->ceiling - size) {
		a->is_full = true;
		return NULL;
	}
	size_t need = (size + ALIGN - 1) / ALIGN * ALIGN;
	struct chunk *c = a->chunks;
	if (OWN_BLOCKS || !c || c->cap - c->used < need) {
		/* Under the sanitizer the block ends exactly at size, so one byte past it is caught. */
		size_t cap = OWN_BLOCKS ? size : need > CHUNK_SIZE / 4 ? need : CHUNK_SIZE;
		c = arena_grow(sizeof *c + cap);
		if (!c) {
			a->is_full = true;
			return NULL;
		}
		c->cap = cap;
		c->next = a->chunks;
		a->chunks = c;
	}
	void *p = c->bytes + c->used;
	c->used += OWN_BLOCKS ? size : need;
	a->used += size;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes)) {
		a->is_full = true;
		return NULL;
	}
	return arena_alloc(a, bytes);
}

char *arena_dup_n(struct arena *a, const char *bytes, size_t len)
{
	char *p = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;
	if (p && len)
		memcpy(p, bytes, len);
	return p;
}

char *arena_dup(struct arena *a, const char *text)
{
	return text ? arena_dup_n(a, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	if (a->is_full)
		return NULL; /* an argument may be what a full arena returned */
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, ap);
	must(len >= 0);
	char *p = arena_alloc(a, (size_t)len + 1);
	if (p)
		(void)vsnprintf(p, (size_t)len + 1, fmt, again);
	va_end(again);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

void arena_cleanup(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct cleanup *c = mem_new(struct cleanup);
	*c = (struct cleanup){ a->cleanups, fn, arg };
	a->cleanups = c;
}
