#include "base/rand.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>
#include "base/must.h"

void rand_bytes(void *out, size_t len)
{
	unsigned char *p = out;
	while (len) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		must(n > 0);
		p += n;
		len -= (size_t)n;
	}
}

void rand_hex(char *out, size_t n_digits)
{
	static const char digits[] = "0123456789abcdef";
	must(n_digits % 2 == 0);
	for (size_t i = 0; i < n_digits; i += 2) {
		unsigned char b;
		rand_bytes(&b, 1);
		out[i] = digits[b >> 4];
		out[i + 1] = digits[b & 15];
	}
	out[n_digits] = '\0';
}

/* Bytes for ids, fetched for many at once: every request has one, and asking the kernel takes longer than all else
 * about it. Not for keys: what is left of a fetch stays in memory. */
static void id_bytes(unsigned char *out, size_t len)
{
	static _Thread_local unsigned char pool[1024];
	static _Thread_local size_t left;

	if (left < len) {
		rand_bytes(pool, sizeof pool);
		left = sizeof pool;
	}
	left -= len;
	memcpy(out, pool + left, len);
}

void rand_uuid(char out[37])
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char b[16];

	id_bytes(b, sizeof b);
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[b[i] >> 4];
		*out++ = digits[b[i] & 15];
	}
	*out = '\0';
}

uint64_t rng_splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void rng_init(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = rng_splitmix64(&seed);
}

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

uint64_t rng_u64(struct rng *r)
{
	uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

double rng_unit(struct rng *r) { return (double)(rng_u64(r) >> 11) * 0x1.0p-53; }

uint64_t rng_below(struct rng *r, uint64_t n)
{
	must(n > 0);
	uint64_t floor = -n % n, v; /* draws below 2^64 mod n would favour small results */
	do
		v = rng_u64(r);
	while (v < floor);
	return v % n;
}

double rng_normal(struct rng *r)
{
	double u, v, q;
	do {
		u = 2 * rng_unit(r) - 1;
		v = 2 * rng_unit(r) - 1;
		q = u * u + v * v;
	} while (q >= 1 || q <= 0);
	return u * sqrt(-2 * log(q) / q);
}
