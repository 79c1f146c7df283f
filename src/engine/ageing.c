#include "engine/ageing.h"

#include "base/clock.h"
#include "base/log.h"

void ageing_begin(struct ageing *a, int64_t wall_ms, int64_t boot_ms, int64_t newest_ms)
{
	bool is_plausible = !newest_ms || wall_ms <= newest_ms + AGEING_SETTLE_MS;

	*a = (struct ageing){ .lead_ms = (is_plausible ? wall_ms : newest_ms) - boot_ms };
}

static bool is_close(int64_t a, int64_t b) { return a - b <= AGEING_SLACK_MS && b - a <= AGEING_SLACK_MS; }

int64_t ageing_now(struct ageing *a, int64_t wall_ms, int64_t boot_ms)
{
	int64_t lead_ms = wall_ms - boot_ms;
	bool is_jump = lead_ms > a->lead_ms + AGEING_SLACK_MS;

	if (is_jump && !(a->is_ahead && is_close(lead_ms, a->ahead_ms))) {
		a->ahead_ms = lead_ms;
		a->since_ms = boot_ms;
	}
	a->is_ahead = is_jump && boot_ms - a->since_ms < AGEING_SETTLE_MS;
	if (!a->is_ahead)
		a->lead_ms = lead_ms;
	return boot_ms + a->lead_ms;
}

void ageing_start(struct ageing *a, int64_t newest_ms) { ageing_begin(a, clock_wall_ms(), clock_boot_ms(), newest_ms); }

int64_t ageing_look(struct ageing *a)
{
	bool was_ahead = a->is_ahead;
	int64_t wall_ms = clock_wall_ms(), now_ms = ageing_now(a, wall_ms, clock_boot_ms());

	if (a->is_ahead && !was_ahead)
		log_warn("clock.ahead",
			 "by_s=%lld reason=\"nothing is deleted by this time until it has lasted for a day\"",
			 (long long)(wall_ms - now_ms) / 1000);
	return now_ms;
}
