#include "api/dcs/spec.h"

#include <stdio.h>
#include <string.h>
#include "base/attr.h"
#include "base/must.h"
#include "base/num.h"

/* One machine is one zone. */
const char *const redis_versions[] = { "4.0", "5.0", "6.0", "7.0" };
const size_t n_redis_versions = ARRAY_LEN(redis_versions);

const char zone_region[] = "stint";
const char zone_code[] = "stint-1";
const char zone_id[] = "a6d4a9e0c4c94b0f8b0f6f3d2b7d5c11";
const char zone_name[] = "AZ 1.";

bool zone_is(const char *code_or_id) { return strcmp(code_or_id, zone_code) == 0 || strcmp(code_or_id, zone_id) == 0; }

static const struct {
	int64_t mib;
	const char *class;
	int size, bandwidth;
} sizes[] = {
	{ 128, "tiny", 128, 40 },        { 256, "tiny", 256, 80 },        { 512, "tiny", 512, 80 },
	{ 1 << 10, "large", 1, 80 },     { 2 << 10, "large", 2, 128 },    { 4 << 10, "large", 4, 192 },
	{ 8 << 10, "large", 8, 192 },    { 16 << 10, "large", 16, 256 },  { 24 << 10, "large", 24, 256 },
	{ 32 << 10, "large", 32, 256 },  { 48 << 10, "large", 48, 256 },  { 64 << 10, "large", 64, 384 },
};

int spec_bandwidth(int64_t mib)
{
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (sizes[i].mib == mib)
			return sizes[i].bandwidth;
	}
	return 0;
}

/* This machine's own first. What an order names is kept and shown; what runs is the machine's redis-server. */
#if defined(__aarch64__)
static const char *const cpus[] = { "au1", "xu1" };
#else
static const char *const cpus[] = { "xu1", "au1" };
#endif

const char *spec_cpu_type(const char *cpu) { return strcmp(cpu, "au1") == 0 ? "aarch64" : "x86_64"; }

void spec_code(const struct spec *s, char out[SPEC_CODE_SIZE])
{
	char copies[16] = "";
	size_t i = 0;

	while (i < ARRAY_LEN(sizes) && sizes[i].mib != s->capacity_mib)
		i++;
	must(i < ARRAY_LEN(sizes));
	if (s->copies > 1)
		(void)snprintf(copies, sizeof copies, "r%d.", s->copies);
	(void)snprintf(out, SPEC_CODE_SIZE, "redis.%s.%s.%s.%s%d", s->mode, s->cpu, sizes[i].class, copies,
		       sizes[i].size);
}

/* ---- parsing: a word up to the next dot ---- */

struct word {
	const char *at;
	size_t len;
};

static struct word take_word(const char **p)
{
	struct word w = { *p, strcspn(*p, ".") };
	*p += w.len + ((*p)[w.len] == '.');
	return w;
}

static bool word_is(struct word w, const char *text) { return strlen(text) == w.len && memcmp(w.at, text, w.len) == 0; }

static const char *word_among(struct word w, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (word_is(w, list[i]))
			return list[i];
	}
	return NULL;
}

/* "r3." moves *p past it. */
static bool take_copies(const char **p, int *copies)
{
	const char *at = *p;
	int n;

	if (!take_char(&at, 'r'))
		return true;
	if (!take_int(&at, &n) || !take_char(&at, '.') || n < 2 || n > COPIES_MAX)
		return false;
	*copies = n;
	*p = at;
	return true;
}

static bool take_size(struct word class, const char *rest, int64_t *mib)
{
	int64_t size;

	if (!num_is_canonical(rest) || !num_i64(rest, &size))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (sizes[i].size == size && word_is(class, sizes[i].class)) {
			*mib = sizes[i].mib;
			return true;
		}
	}
	return false;
}

enum spec_verdict spec_parse(const char *code, struct spec *out)
{
	static const char *const modes[] = { "single", "ha" }, *const others[] = { "cluster", "proxy", "ha_rw_split" };
	const char *p = code;
	struct spec s = { .copies = 1 };

	if (!word_is(take_word(&p), "redis"))
		return SPEC_UNKNOWN;
	struct word mode = take_word(&p);
	if (word_among(mode, others, ARRAY_LEN(others)))
		return SPEC_OTHER_TYPE;
	s.mode = word_among(mode, modes, ARRAY_LEN(modes));
	s.cpu = word_among(take_word(&p), cpus, ARRAY_LEN(cpus));
	struct word class = take_word(&p);
	if (!s.mode || !s.cpu)
		return SPEC_UNKNOWN;
	if (strcmp(s.mode, "ha") == 0) {
		s.copies = 2;
		if (*p == 'p') /* read/write split is written ha with pN */
			return SPEC_OTHER_TYPE;
		if (!take_copies(&p, &s.copies))
			return SPEC_UNKNOWN;
	}
	if (!take_size(class, p, &s.capacity_mib))
		return SPEC_UNKNOWN;
	*out = s;
	return SPEC_GOOD;
}

/* ---- the catalogue: all sizes of single, then of ha with 2, 3 ... copies; all that of each processor ---- */

enum { SPECS_OF_CPU = ARRAY_LEN(sizes) * COPIES_MAX };

size_t spec_count(void) { return SPECS_OF_CPU * ARRAY_LEN(cpus); }

struct spec spec_at(size_t index)
{
	must(index < spec_count());
	int copies = (int)(index % SPECS_OF_CPU / ARRAY_LEN(sizes)) + 1;
	return (struct spec){ .mode = copies == 1 ? "single" : "ha", .cpu = cpus[index / SPECS_OF_CPU],
			      .capacity_mib = sizes[index % ARRAY_LEN(sizes)].mib, .copies = copies };
}
