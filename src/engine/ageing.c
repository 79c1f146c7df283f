#include "engine/ageing.h"

#include <string.h>
#include "base/num.h"

#define FORMAT "stint-clock 1 "

/* Neither put back since, nor ahead by more than the server may have been down for. */
static bool goes_on(const struct ageing_mark *mark, int64_t wall_ms)
{
	return mark && wall_ms >= mark->wall_ms - AGEING_SLACK_MS && wall_ms <= mark->wall_ms + AGEING_SETTLE_MS;
}

static void go_on(struct ageing *a, int64_t wall_ms, int64_t boot_ms, const struct ageing_mark *mark)
{
	*a = (struct ageing){ .is_ahead = mark->wall_ms > mark->believed_ms + AGEING_SLACK_MS,
			      .lead_ms = mark->believed_ms + (wall_ms - mark->wall_ms) - boot_ms,
			      .ahead_ms = wall_ms - boot_ms,
			      .since_ms = boot_ms - mark->lasted_ms };
}

void ageing_begin(struct ageing *a, int64_t wall_ms, int64_t boot_ms, int64_t newest_ms,
		  const struct ageing_mark *mark)
{
	if (goes_on(mark, wall_ms)) {
		go_on(a, wall_ms, boot_ms, mark);
		return;
	}
	if (mark && mark->believed_ms <= wall_ms && mark->believed_ms > newest_ms)
		newest_ms = mark->believed_ms;
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

struct ageing_mark ageing_mark_of(const struct ageing *a, int64_t wall_ms, int64_t boot_ms)
{
	return (struct ageing_mark){ .wall_ms = wall_ms,
				     .believed_ms = boot_ms + a->lead_ms,
				     .lasted_ms = a->is_ahead ? boot_ms - a->since_ms : 0 };
}

void ageing_print(const struct ageing_mark *mark, struct buf *out)
{
	buf_addf(out, FORMAT "%lld %lld %lld\n", (long long)mark->wall_ms, (long long)mark->believed_ms,
		 (long long)mark->lasted_ms);
}

bool ageing_parse(const char *text, struct ageing_mark *out)
{
	int64_t number[3];

	if (strncmp(text, FORMAT, strlen(FORMAT)) != 0)
		return false;
	text += strlen(FORMAT);
	for (int i = 0; i < 3; i++) {
		size_t len = strcspn(text, " \n");
		if (!num_i64_n(text, len, &number[i]) || number[i] < 0 || text[len] != (i < 2 ? ' ' : '\n'))
			return false;
		text += len + 1;
	}
	/* Times far from any that a clock shows would overflow in sums. */
	if (*text || number[0] > AGEING_LAST_MS || number[1] > number[0] || number[2] > AGEING_SETTLE_MS)
		return false;
	*out = (struct ageing_mark){ number[0], number[1], number[2] };
	return true;
}
