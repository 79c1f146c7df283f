/*
 * Backup policies. Whatever the text, the plan keeps its bounds; and over some days, hour by hour, a window is open in
 * the begun hour of the days it names and at no other time.
 */
#include "base/mem.h"
#include "engine/backup_plan.h"
#include "fuzz.h"

enum { HOUR_MS = 3600000, HOURS = 9 * 24 };
static const int64_t monday_ms = INT64_C(1767571200000); /* 2026-01-05T00:00:00Z */

static void check_windows(const struct backup_plan *p, struct rng *r)
{
	for (int hour = 0; hour < HOURS; hour++) {
		int64_t begin = monday_ms + (int64_t)hour * HOUR_MS, now = begin + (int64_t)rng_below(r, HOUR_MS);
		bool is_open = p->is_auto && (p->days >> (1 + hour / 24 % 7) & 1) && hour % 24 == p->begin_hour;
		int64_t got = backup_plan_window(p, now);
		CHECK(got == (is_open ? begin : 0), "hour %d: %lld", hour, (long long)got);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng r;
	char *text = fuzz_text(data, size, NULL);
	struct backup_plan p = backup_plan_read(text);

	fuzz_chance(&r, data, size);
	CHECK((p.days & ~0xfeu) == 0, "days %x", p.days);
	if (p.is_auto) {
		CHECK(p.days, "no day");
		CHECK(p.begin_hour >= 0 && p.begin_hour < 24, "hour %d", p.begin_hour);
		CHECK(p.save_days >= 1 && p.save_days <= 7, "%d days kept", p.save_days);
	}
	check_windows(&p, &r);
	mem_free(text);
	return 0;
}
