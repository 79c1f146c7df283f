/*
 * spec: specification codes such as "redis.ha.xu1.tiny.r2.128", the catalogue of what is offered, and the
 * availability zones. Pure, any thread.
 */
#ifndef API_DCS_SPEC_H
#define API_DCS_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPEC_CODE_SIZE = 40, COPIES_MAX = 6 /* a master and 5 replicas */ };

struct spec {
	const char *mode;      /* "single", "ha" */
	const char *cpu;       /* "xu1", "au1" */
	int64_t capacity_mib;
	int copies;            /* with the master; 1 of a single one */
};

enum spec_verdict { SPEC_GOOD, SPEC_UNKNOWN, SPEC_OTHER_TYPE /* cluster, proxy, ha_rw_split: not served */ };
enum spec_verdict spec_parse(const char *code, struct spec *out);
void spec_code(const struct spec *s, char out[SPEC_CODE_SIZE]);

/* What is offered, and all that may be ordered: index from 0 to spec_count() - 1, this machine's processor first. */
size_t spec_count(void);
struct spec spec_at(size_t index);
/* Bandwidth the vendor promises for a size, Mbit/s; shown, not enforced. */
int spec_bandwidth(int64_t mib);
const char *spec_cpu_type(const char *cpu);   /* "x86_64", "aarch64" */

/* Versions an instance may be ordered as. */
extern const char *const redis_versions[];
extern const size_t n_redis_versions;

extern const char zone_region[], zone_code[], zone_id[], zone_name[];
bool zone_is(const char *code_or_id);

#endif
