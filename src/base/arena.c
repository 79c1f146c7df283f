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

/* Not zeroed: what is handed out zeroed is so piece by piece. */
static void *grow(size_t size) { return mem_grow(NULL, size, 1); }

void *(*arena_grow)(size_t size) = grow;

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

/* The chunk with room for need bytes. A large piece gets its own behind the newest, which goes on being filled. */
static struct chunk *chunk_for(struct arena *a, size_t need)
{
	struct chunk *newest = a->chunks;
	bool is_own = OWN_BLOCKS || need > CHUNK_SIZE / 4;

	if (!OWN_BLOCKS && newest && newest->cap - newest->used >= need)
		return newest;
	struct chunk *c = arena_grow(sizeof *c + (is_own ? need : CHUNK_SIZE));
	if (!c)
		return NULL;
	*c = (struct chunk){ .cap = is_own ? need : CHUNK_SIZE };
	struct chunk **place = is_own && newest ? &newest->next : &a->chunks;
	c->next = *place;
	*place = c;
	return c;
}

/* Not zeroed. */
static void *take(struct arena *a, size_t size)
{
	/* Full is for good: a builder that lost one piece must not go on with the smaller ones. */
	if (a->is_full || size > a->ceiling || a->used > a->ceiling - size) {
		a->is_full = true;
		return NULL;
	}
	/* Under the sanitizer the block ends exactly at size, so one byte past it is caught. */
	size_t need = OWN_BLOCKS ? size : (size + ALIGN - 1) / ALIGN * ALIGN;
	struct chunk *c = chunk_for(a, need);
	if (!c) {
		a->is_full = true;
		return NULL;
	}
	void *p = c->bytes + c->used;
	c->used += need;
	a->used += size;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p = take(a, size);
	return p ? memset(p, 0, size) : NULL;
}

void *arena_room(struct arena *a, size_t size) { return take(a, size); }

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
	char *p = len < SIZE_MAX ? take(a, len + 1) : NULL;
	if (!p)
		return NULL;
	if (len)
		memcpy(p, bytes, len);
	p[len] = '\0';
	return p;
}

char *arena_dup(struct arena *a, const char *text)
{
	return text ? arena_dup_n(a, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	enum { USUAL_SIZE = 256 };
	char usual[USUAL_SIZE];
	va_list again;
	if (a->is_full)
		return NULL; /* an argument may be what a full arena returned */
	va_copy(again, ap);
	int len = vsnprintf(usual, sizeof usual, fmt, ap);
	must(len >= 0);
	char *p = len < USUAL_SIZE ? arena_dup_n(a, usual, (size_t)len) : take(a, (size_t)len + 1);
	if (p && len >= USUAL_SIZE)
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
