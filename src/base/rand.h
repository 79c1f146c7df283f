/*
 * rand: random bytes of the kernel for ids and keys, and a seeded generator for work that must repeat.
 * splitmix64: Steele, Lea, Flood, OOPSLA 2014. xoshiro256**: Blackman, Vigna, 2018 (public reference vectors).
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *out, size_t len);          /* getrandom; aborts if the kernel has none */
void rand_uuid(char out[37]);                    /* version 4, upper case, dashes */
void rand_hex(char *out, size_t n_digits);       /* n lower-case hex digits and NUL; n even */

struct rng { uint64_t s[4]; };

uint64_t rng_splitmix64(uint64_t *state);
void rng_init(struct rng *r, uint64_t seed);     /* state filled by splitmix64 */
uint64_t rng_u64(struct rng *r);
double rng_unit(struct rng *r);                  /* [0, 1), 53 bits */
uint64_t rng_below(struct rng *r, uint64_t n);   /* 0 .. n-1, unbiased; n > 0 */
double rng_normal(struct rng *r);                /* mean 0, variance 1 (Marsaglia's polar method) */

#endif
